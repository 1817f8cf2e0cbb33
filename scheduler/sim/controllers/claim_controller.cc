#include "scheduler/sim/controllers/claim_controller.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/model/pod_group.h"

namespace muster {
namespace {

constexpr Duration kDelay = absl::Milliseconds(10);

}  // namespace

ClaimController::ClaimController(EventLoop& loop, SimApiServer& server) : loop_(loop), server_(server) {
  server_.AddObserver(this);
}
ClaimController::~ClaimController() { server_.RemoveObserver(this); }

void ClaimController::OnPod(const PodPtr& before, const PodPtr& after) {
  if (before == nullptr && after != nullptr) {
    for (const PodClaim& claim : after->claims) {
      if (!claim.known && made_.contains(absl::StrCat(after->ns(), "/", claim.template_name)))
        return Make(after->ns(), after->name);
    }
  }
  if (before == nullptr || before->ended || (after != nullptr && !after->ended)) return;
  for (const PodClaim& claim : before->claims) {
    const auto found = server_.FindObject(Kind::kResourceClaim, before->ns(), claim.claim);
    if (found != nullptr && !claim.template_name.empty()) {
      made_[absl::StrCat(before->ns(), "/", claim.template_name)] = static_cast<const ResourceClaim&>(*found);
    }
    if (!claim.claim.empty()) Release(before->ns(), claim.claim, before->uid);
  }
}

void ClaimController::OnObject(Kind kind, const ObjectPtr& before, const ObjectPtr& after) {
  if (kind != Kind::kPodGroup || before == nullptr || after != nullptr) return;
  const auto& group = static_cast<const PodGroup&>(*before);
  for (const PodClaim& claim : group.claims) {
    if (!claim.claim.empty()) Release(group.ns, claim.claim, group.uid);
  }
}

void ClaimController::Make(const std::string& ns, const std::string& name) {
  ++under_way_;
  loop_.After(kDelay, [this, ns, name] {
    --under_way_;
    const PodPtr pod = server_.FindPod(ns, name);
    if (pod == nullptr) return;
    std::vector<PodClaim> claims = pod->claims;
    for (PodClaim& wanted : claims) {
      const auto like = made_.find(absl::StrCat(ns, "/", wanted.template_name));
      if (wanted.known || like == made_.end()) continue;
      ResourceClaim claim = like->second;
      claim.name = wanted.claim = absl::StrCat(name, "-", wanted.name);
      claim.uid.clear();
      claim.original.clear();
      claim.controller_uid = pod->uid;
      claim.finalizer = claim.deleting = false;
      claim.allocation.reset();
      claim.reserved_for.clear();
      claim.conditions.clear();
      wanted.known = true;
      server_.SetObject(Kind::kResourceClaim, claim);
    }
    (void)server_.UpdatePod(ns, name, [&](Pod& changed) { changed.claims = claims; });
  });
}

void ClaimController::Release(const std::string& ns, const std::string& name, const std::string& consumer_uid) {
  ++under_way_;
  loop_.After(kDelay, [this, ns, name, consumer_uid] {
    --under_way_;
    const auto found = server_.FindObject(Kind::kResourceClaim, ns, name);
    if (found == nullptr) return;
    ResourceClaim claim = static_cast<const ResourceClaim&>(*found);
    if (claim.controller_uid == consumer_uid) {
      (void)server_.RemoveObject(Kind::kResourceClaim, ns, name);
      return;
    }
    if (std::erase_if(claim.reserved_for, [&](const auto& c) { return c.uid == consumer_uid; }) == 0) return;
    if (claim.reserved_for.empty()) {
      claim.allocation.reset();
      claim.conditions.clear();
      claim.finalizer = false;
    }
    server_.SetObject(Kind::kResourceClaim, claim);
  });
}

}  // namespace muster
