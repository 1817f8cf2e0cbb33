#include "scheduler/model/device/pod_claims.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "scheduler/model/pod_group.h"

namespace muster {
namespace {

const PodGroup* GroupOf(const Pod& pod, const ClusterObjects& objects) {
  if (pod.group.source != GroupRef::Source::kNative) return nullptr;
  return objects.Get<PodGroup>(Kind::kPodGroup, pod.ns(), pod.group.name);
}

// Whether the group brings the claim that the pod names.
bool Brings(const PodGroup& group, const PodClaim& wanted) {
  return std::any_of(group.claims.begin(), group.claims.end(), [&](const PodClaim& claim) {
    const bool named = wanted.template_name.empty() && claim.template_name.empty() && claim.claim == wanted.claim;
    return claim.name == wanted.name && claim.template_name == wanted.template_name &&
           (named || !wanted.template_name.empty());
  });
}

}  // namespace

bool ClaimOfPod::reserved() const {
  const auto& reserved_for = claim->reserved_for;
  return std::any_of(reserved_for.begin(), reserved_for.end(), [&](const auto& c) { return c.uid == consumer.uid; });
}

std::string FindClaims(const Pod& pod, const ClusterObjects& objects, std::vector<ClaimOfPod>* claims) {
  const PodGroup* const group = pod.claims.empty() ? nullptr : GroupOf(pod, objects);
  for (const PodClaim& wanted : pod.claims) {
    if (!wanted.known) {
      return absl::StrCat("pod \"", pod.Key(), "\"",
                          wanted.template_name.empty() ? absl::StrCat(", spec.resourceClaim \"", wanted.name,
                                                                      "\": none of the supported fields are set")
                                                       : std::string(": ResourceClaim not created yet"));
    }
    if (wanted.claim.empty()) continue;
    ClaimOfPod found;
    found.claim =
        std::static_pointer_cast<const ResourceClaim>(objects.Find(Kind::kResourceClaim, pod.ns(), wanted.claim));
    const std::string key = absl::StrCat(pod.ns(), "/", wanted.claim);
    if (found.claim == nullptr) return absl::StrCat("could not find v1.ResourceClaim \"", key, "\"");
    if (found.claim->deleting) return absl::StrCat("resourceclaim \"", wanted.claim, "\" is being deleted");
    const bool of_group = group != nullptr && Brings(*group, wanted);
    if (!wanted.template_name.empty() && found.claim->controller_uid != pod.uid &&
        !(of_group && found.claim->controller_uid == group->uid)) {
      return absl::StrCat("ResourceClaim ", key, " was not created for Pod ", pod.Key(), " (Pod is not owner)");
    }
    found.own = !wanted.template_name.empty() && found.claim->controller_uid == pod.uid;
    found.consumer = of_group ? ResourceClaim::Consumer{"scheduling.k8s.io", "podgroups", group->name, group->uid}
                              : ResourceClaim::Consumer{"", "pods", pod.name, pod.uid};
    claims->push_back(std::move(found));
  }
  return "";
}

AskedClaims AskClaims(const Pod& pod, const ClusterObjects& objects, bool alike, DeviceColumns& devices) {
  AskedClaims asked;
  std::vector<ClaimOfPod> claims;
  asked.problem = FindClaims(pod, objects, &claims);
  if (!asked.problem.empty()) return asked;
  for (const ClaimOfPod& found : claims) {
    AskedClaim& one = asked.claims.emplace_back();
    const ResourceClaim& claim = *found.claim;
    if (alike && found.own && !claim.allocation && claim.reserved_for.empty()) {
      one.like = devices.Like(found.claim, &one.hash);
    } else {
      one.name = claim.name;
      one.reserved = found.reserved();
    }
  }
  return asked;
}

}  // namespace muster
