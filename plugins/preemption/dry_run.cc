#include "plugins/preemption/dry_run.h"

#include <algorithm>
#include <tuple>

#include "scheduler/framework/evaluation.h"
#include "scheduler/framework/nominator.h"
#include "scheduler/framework/statement.h"

namespace muster {
namespace {

// Pods that have not started count as the last to start.
Time StartOf(const Pod& pod) { return pod.started == absl::InfinitePast() ? absl::InfiniteFuture() : pod.started; }

// Equal ones by name, the order in which a server lists them: upstream keeps that in which it saw them.
bool MoreImportant(const PodOnNode& a, const PodOnNode& b) {
  const int32_t pa = a.info->spec->priority, pb = b.info->spec->priority;
  if (pa != pb) return pa > pb;
  const Time start_a = StartOf(*a.pod), start_b = StartOf(*b.pod);
  if (start_a != start_b) return start_a < start_b;
  return std::tie(a.pod->ns(), a.pod->name) < std::tie(b.pod->ns(), b.pod->name);
}

}  // namespace

bool DryRun::BetterThan(const DryRun& other) const {
  if (violations != other.violations) return violations < other.violations;
  if (highest != other.highest) return highest < other.highest;
  if (priorities != other.priorities) return priorities < other.priorities;
  if (victims != other.victims) return victims < other.victims;
  return start > other.start;
}

void DryRuns::Refresh(const PostFilterRequest& r) {
  const Snapshot& snap = r.snap;
  const NodeIndex own = r.nominated != nullptr ? r.nominated->OwnRow(snap) : kNoNode;
  const uint64_t budgets = snap.objects().version(Kind::kPodDisruptionBudget);
  // Whether the pod fits on a row may then depend on others, or on who uses its claims anywhere.
  const bool across = r.answer.looks_across(r.framework) || !r.info.spec->volumes.empty();
  std::span<const NodeIndex> changed;
  if (epoch_ != r.answer.epoch() || rows_.size() != snap.size() || !snap.ChangedSince(cell_version_, &changed) ||
      (across && !changed.empty())) {
    rows_.assign(snap.size(), {});
    rejections_.nodes.assign(snap.size(), {});
    one_.Reset(snap.size());
  } else {
    for (const NodeIndex n : changed) rows_[n] = {};
    // The pod's own nomination does not count for it, but does for the next of its shape.
    for (const NodeIndex n : {own, own_row_}) {
      if (n != kNoNode && own != own_row_) rows_[n] = {};
    }
  }
  if (budgets != budgets_version_) {
    budgets_version_ = budgets;
    budgets_.clear();
    for (const auto& [key, object] : snap.objects().All(Kind::kPodDisruptionBudget))
      budgets_.push_back(static_cast<const DisruptionBudget*>(object.get()));
    for (DryRun& row : rows_) {
      if (row.result == DryRun::Result::kCandidate) row = {};
    }
  }
  own_row_ = own;
  epoch_ = r.answer.epoch();
  cell_version_ = snap.cell_version();
}

// Takes the pod off the budgets that select it, up to the first that has nothing left.
bool DryRuns::Violates(const Pod& pod) {
  if (pod.spec->labels.empty()) return false;
  const auto begin = std::partition_point(budgets_.begin(), budgets_.end(),
                                          [&](const DisruptionBudget* b) { return b->ns < pod.ns(); });
  for (auto it = begin; it != budgets_.end() && (*it)->ns == pod.ns(); ++it) {
    const DisruptionBudget& budget = **it;
    // A budget without requirements protects nobody here, though the API's evictions take it for all.
    if (!budget.selector.present || budget.selector.empty() || !budget.selector.Matches(pod.spec->labels)) continue;
    if (std::binary_search(budget.disrupted_pods.begin(), budget.disrupted_pods.end(), pod.name)) continue;
    if (--allowed_[static_cast<size_t>(it - budgets_.begin())] < 0) return true;
  }
  return false;
}

// The pod stays if there is room for it beside the one to be placed.
void DryRuns::Reprieve(const PostFilterRequest& r, NodeIndex n, const PodOnNode& pod) {
  r.statement.Place(pod, n);
  if (r.answer.Fits(r.framework, r.info, r.snap, n, r.nominated)) return;
  r.statement.Remove(pod, n);
  victims_.push_back(pod);
}

DryRun DryRuns::Try(const PostFilterRequest& r, NodeIndex n) {
  DryRun run;
  victims_.clear();
  potential_.clear();
  for (const PodOnNode& pod : r.snap.PodsOn(n)) {
    if (pod.info->spec->priority < r.info.spec->priority) potential_.push_back(pod);
  }
  if (potential_.empty()) {
    run.result = DryRun::Result::kNoVictims;
    return run;
  }
  const size_t mark = r.statement.Checkpoint();
  const uint64_t version = r.snap.cell_version();
  // From the back, where a pod is found at once.
  for (auto it = potential_.rbegin(); it != potential_.rend(); ++it) r.statement.Remove(*it, n);
  if (!r.answer.Fits(r.framework, r.info, r.snap, n, r.nominated)) {
    one_.Add(n);
    r.answer.ExplainSome(r.framework, r.info, r.snap, one_, rejections_, r.nominated).IgnoreError();  // asked just now
    one_.Remove(n);
    run.why = kinds_.Take(rejections_, n);
    run.result = DryRun::Result::kFails;
  } else {
    std::sort(potential_.begin(), potential_.end(), MoreImportant);
    protected_.clear();
    others_.clear();
    allowed_.clear();
    for (const DisruptionBudget* budget : budgets_) allowed_.push_back(budget->disruptions_allowed);
    for (const PodOnNode& pod : potential_)
      (!budgets_.empty() && Violates(*pod.pod) ? protected_ : others_).push_back(pod);
    for (const PodOnNode& pod : protected_) Reprieve(r, n, pod);
    const auto violations = static_cast<int32_t>(victims_.size());
    for (const PodOnNode& pod : others_) Reprieve(r, n, pod);
    if (violations > 0) std::sort(victims_.begin(), victims_.end(), MoreImportant);
    run = Judge(violations);
  }
  r.statement.EndTrial(mark, version);
  r.answer.Restore(r.framework, r.info, r.snap, n);
  return run;
}

DryRun DryRuns::Judge(int32_t violations) const {
  DryRun run;
  if (victims_.empty()) {
    run.result = DryRun::Result::kFitsAnyway;
    return run;
  }
  run.result = DryRun::Result::kCandidate;
  run.violations = violations;
  run.highest = victims_.front().info->spec->priority;
  run.victims = static_cast<int32_t>(victims_.size());
  run.start = StartOf(*victims_.front().pod);  // the first of its priority started first
  for (const PodOnNode& pod : victims_) run.priorities += pod.info->spec->priority + (int64_t{1} << 31);
  return run;
}

}  // namespace muster
