#include "scheduler/engine/binding/preemption.h"

#include "absl/strings/str_cat.h"

namespace muster {

bool Preemption::Start(const PodPtr& preemptor, const std::string& node, const std::vector<PodPtr>& victims) {
  std::vector<PodPtr> alive;
  for (const PodPtr& victim : victims) {
    if (!victim->deleting) alive.push_back(victim);
  }
  if (alive.empty()) return false;
  const uint64_t id = ++next_id_;
  running_[id] = {preemptor, node, alive.size(), {}};
  PodStatusPatch patch;
  patch.preempted_message =
      absl::StrCat(preemptor->spec->scheduler_name, ": preempting to accommodate a higher priority ",
                   preemptor->group.present() ? "podgroup" : "pod");
  for (const PodPtr& victim : alive) {
    patch.ns = victim->ns();
    patch.name = victim->name;
    patch.uid = victim->uid;
    patch.observed_generation = victim->generation;
    patch.transition = victim->preempted ? absl::InfinitePast() : loop_.Now();
    api_.PatchPodStatus(patch, [this, id, victim](const ApiStatus& status) {
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
  if (!status.ok() && status.code != ApiCode::kNotFound && run.refusal.ok()) run.refusal = status;
  if (--run.open > 0) return;
  const Running done = std::move(run);
  running_.erase(id);
  ended_(*done.preemptor, done.node, done.refusal);
}

}  // namespace muster
