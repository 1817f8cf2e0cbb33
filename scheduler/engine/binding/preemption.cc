#include "scheduler/engine/binding/preemption.h"

#include "absl/strings/str_cat.h"

namespace muster {

bool Preemption::Start(const PodPtr& preemptor, const std::string& node, const std::vector<PodPtr>& victims,
                       const std::vector<std::string>& why) {
  std::vector<std::pair<PodPtr, std::string>> alive;
  for (size_t i = 0; i < victims.size(); ++i) {
    if (!victims[i]->deleting) alive.emplace_back(victims[i], why.empty() ? "" : why[i]);
  }
  if (alive.empty()) return false;
  const uint64_t id = ++next_id_;
  running_[id] = {preemptor, node, alive.size(), {}};
  PodStatusPatch patch;
  const std::string kind = preemptor->group.present() ? "podgroup" : "pod";
  for (const auto& [pod, more] : alive) {
    patch.preempted_message =
        more.empty()
            ? absl::StrCat(preemptor->spec->scheduler_name, ": preempting to accommodate a higher priority ", kind)
            : absl::StrCat(preemptor->spec->scheduler_name, ": preempting to accommodate a ", kind, " ", more);
    patch.ns = pod->ns();
    patch.name = pod->name;
    patch.uid = pod->uid;
    patch.observed_generation = pod->generation;
    patch.transition = pod->preempted ? absl::InfinitePast() : loop_.Now();
    api_.PatchPodStatus(patch, [this, id, victim = pod](const ApiStatus& status) {
      if (status.ok()) {
        Delete(id, victim);
      } else {
        OnAnswer(id, victim, status, false);
      }
    });
  }
  return true;
}

void Preemption::Delete(uint64_t id, const PodPtr& victim) {
  api_.DeletePod(victim->ns(), victim->name, victim->uid,
                 [this, id, victim](const ApiStatus& status) { OnAnswer(id, victim, status, status.ok()); });
}

void Preemption::OnAnswer(uint64_t id, const PodPtr& victim, const ApiStatus& status, bool evicted) {
  Running& run = running_.find(id)->second;
  if (evicted) recorder_.Preempted(*victim, *run.preemptor, run.node.empty() ? victim->node : run.node);
  if (!status.ok() && status.code != ApiCode::kNotFound) {
    if (run.refusal.ok()) run.refusal = status;
    refused_(*victim);
  }
  if (--run.open > 0) return;
  const Running done = std::move(run);
  running_.erase(id);
  ended_(*done.preemptor, done.node, done.refusal);
}

}  // namespace muster
