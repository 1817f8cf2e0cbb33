#include "scheduler/engine/binding/preparation.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"

namespace muster {

namespace {

// As kube-scheduler words what a plugin's PreBind says; "" stays.
std::string PreBindError(const char* plugin, const std::string& error) {
  return error.empty() ? error : absl::StrCat("running PreBind plugin \"", plugin, "\": ", error);
}

}  // namespace

std::vector<Intent> PreparationsIn(const std::vector<Intent>& intents) {
  std::vector<Intent> out;
  for (const Intent& intent : intents) {
    if (intent.kind != Intent::Kind::kBind) out.push_back(intent);
  }
  return out;
}

Preparation::Preparation(EventLoop& loop, ApiServer& api, ClusterCache& cache, Callbacks callbacks)
    : callbacks_(std::move(callbacks)),
      volumes_(loop, api, cache, [this](const auto& task, const auto& error) { OnVolumesEnded(task, error); }),
      claims_(loop, api, cache,
              {[this](const auto& task, const auto& error) {
                 callbacks_.ended(task, PreBindError("DynamicResources", error));
               },
               callbacks_.claim_changed}) {}

void Preparation::Start(BindingCycle::Task task, std::vector<Intent> intents) {
  const auto claims = std::stable_partition(
      intents.begin(), intents.end(), [](const Intent& intent) { return intent.kind != Intent::Kind::kReserveClaim; });
  std::vector<Intent> of_claims(std::make_move_iterator(claims), std::make_move_iterator(intents.end()));
  intents.erase(claims, intents.end());
  claims_.Expect(task.pod->uid, of_claims);
  if (intents.empty()) return claims_.Start(std::move(task), std::move(of_claims));
  if (!of_claims.empty()) after_volumes_[task.pod->uid] = std::move(of_claims);
  volumes_.Start(std::move(task), std::move(intents));
}

void Preparation::OnVolumesEnded(const BindingCycle::Task& task, const std::string& error) {
  std::vector<Intent> claims;
  if (const auto it = after_volumes_.find(task.pod->uid); it != after_volumes_.end()) {
    claims = std::move(it->second);
    after_volumes_.erase(it);
  }
  if (error.empty() && !claims.empty()) return claims_.Start(task, std::move(claims));
  if (!error.empty()) claims_.Abandon(task.pod->uid, claims);
  callbacks_.ended(task, PreBindError("VolumeBinding", error));
}

void Preparation::GiveUp(const std::string& uid) {
  volumes_.Cancel(uid);
  if (const auto it = after_volumes_.find(uid); it != after_volumes_.end()) {
    const std::vector<Intent> claims = std::move(it->second);
    after_volumes_.erase(it);
    claims_.Abandon(uid, claims);
  }
  claims_.GiveBack(uid);
}

}  // namespace muster
