#include "plugins/preemption/dry_run.h"

#include <algorithm>
#include <tuple>

#include "scheduler/framework/evaluation.h"
#include "scheduler/framework/nominator.h"
#include "scheduler/framework/statement.h"

namespace muster {

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
  const uint64_t groups = snap.objects().version(Kind::kPodGroup);
  // Whether the pod fits on a row may then depend on others, or on who uses its claims anywhere.
  const bool across = r.answer.looks_across(r.framework) || !r.info.spec->volumes.empty();
  std::span<const NodeIndex> changed;
  if (epoch_ != r.answer.epoch() || groups_version_ != groups || rows_.size() != snap.size() ||
      !snap.ChangedSince(cell_version_, &changed) || (across && !changed.empty())) {
    rows_.assign(snap.size(), {});
    rejections_.nodes.assign(snap.size(), {});
    one_.Reset(snap.size());
  } else {
    for (const NodeIndex n : changed) rows_[n] = {};
    for (DryRun& row : rows_) {
      if (row.beyond && !changed.empty()) row = {};
    }
    // The pod's own nomination does not count for it, but does for the next of its shape.
    for (const NodeIndex n : {own, own_row_}) {
      if (n != kNoNode && own != own_row_) rows_[n] = {};
    }
  }
  if (budgets != budgets_version_) {
    budgets_version_ = budgets;
    budgets_.Load(snap.objects());
    for (DryRun& row : rows_) {
      if (row.result == DryRun::Result::kCandidate) row = {};
    }
  }
  own_row_ = own;
  groups_version_ = groups;
  epoch_ = r.answer.epoch();
  cell_version_ = snap.cell_version();
}

// Equal ones by name, the order in which a server lists them: upstream keeps that in which it saw them.
bool DryRuns::MoreImportant(const Unit& a, const Unit& b, const std::vector<PlacedPod>& pods) {
  if (a.priority != b.priority) return a.priority > b.priority;
  if (a.whole != b.whole) return a.whole;
  if (a.count != b.count) return a.count > b.count;
  if (a.start != b.start) return a.start < b.start;
  const Pod &x = *pods[a.first].pod.pod, &y = *pods[b.first].pod.pod;
  return std::tie(x.ns(), x.name) < std::tie(y.ns(), y.name);
}

// Those of lower priority on the node, and what has to go with them.
void DryRuns::FindUnits(const PostFilterRequest& r, NodeIndex n) {
  const ClusterObjects& objects = r.snap.objects();
  pods_.clear();
  potential_.clear();
  for (const PodOnNode& pod : r.snap.PodsOn(n)) {
    const PodGroup* group = NativeGroupOf(*pod.pod, objects);
    const int32_t priority = group != nullptr && group->priority ? *group->priority : pod.info->spec->priority;
    if (priority >= r.info.spec->priority) continue;
    Unit unit{{priority, StartOf(*pod.pod), 1},
              group != nullptr && group->disrupted_whole,
              static_cast<uint32_t>(pods_.size())};
    if (!unit.whole) {
      pods_.push_back({pod, n});
    } else if (std::any_of(potential_.begin(), potential_.end(), [&](const Unit& u) {
                 return u.whole && NativeGroupOf(*pods_[u.first].pod.pod, objects) == group;
               })) {
      continue;
    } else {
      static_cast<VictimUnit&>(unit) = AppendGroup(*pod.pod, r.snap, pods_);
      if (unit.priority >= r.info.spec->priority) {
        pods_.resize(unit.first);
        continue;
      }
    }
    potential_.push_back(unit);
  }
}

// Takes the unit's pods off their nodes, or puts them back.
void DryRuns::Move(const PostFilterRequest& r, NodeIndex n, const Unit& unit, bool away) {
  for (uint32_t i = unit.first; i < unit.first + unit.count; ++i) {
    const PlacedPod& p = pods_[i];
    if (away) {
      r.statement.Remove(p.pod, p.row);
    } else {
      r.statement.Place(p.pod, p.row);
    }
    if (p.row != n) r.answer.Restore(r.framework, r.info, r.snap, p.row);  // counts it as it is now
  }
}

// The unit stays if there is room for it beside the pod to be placed.
void DryRuns::Reprieve(const PostFilterRequest& r, NodeIndex n, const Unit& unit) {
  Move(r, n, unit, /*away=*/false);
  if (r.answer.Fits(r.framework, r.info, r.snap, n, r.nominated)) return;
  Move(r, n, unit, /*away=*/true);
  victims_.push_back(unit);
}

DryRun DryRuns::Try(const PostFilterRequest& r, NodeIndex n) {
  DryRun run;
  victims_.clear();
  victim_pods_.clear();
  FindUnits(r, n);
  if (potential_.empty()) {
    run.result = DryRun::Result::kNoVictims;
    return run;
  }
  const size_t mark = r.statement.Checkpoint();
  const uint64_t version = r.snap.cell_version();
  // From the back, where a pod is found at once.
  for (auto it = potential_.rbegin(); it != potential_.rend(); ++it) Move(r, n, *it, /*away=*/true);
  if (!r.answer.Fits(r.framework, r.info, r.snap, n, r.nominated)) {
    one_.Add(n);
    r.answer.ExplainSome(r.framework, r.info, r.snap, one_, rejections_, r.nominated).IgnoreError();  // asked just now
    one_.Remove(n);
    run.why = kinds_.Take(rejections_, n);
    run.result = DryRun::Result::kFails;
  } else {
    const auto more_important = [&](const Unit& a, const Unit& b) { return MoreImportant(a, b, pods_); };
    std::sort(potential_.begin(), potential_.end(), more_important);
    protected_.clear();
    others_.clear();
    budgets_.Reset();
    for (Unit& unit : potential_) {
      for (uint32_t i = unit.first; !budgets_.empty() && i < unit.first + unit.count; ++i)
        unit.violations += budgets_.Violates(*pods_[i].pod.pod);
      (unit.violations > 0 ? protected_ : others_).push_back(unit);
    }
    for (const Unit& unit : protected_) Reprieve(r, n, unit);
    const bool violates = !victims_.empty();
    for (const Unit& unit : others_) Reprieve(r, n, unit);
    if (violates) std::sort(victims_.begin(), victims_.end(), more_important);
    run = Judge();
    for (const Unit& unit : victims_) {
      for (uint32_t i = unit.first; i < unit.first + unit.count; ++i) victim_pods_.push_back(pods_[i].pod);
    }
  }
  r.statement.EndTrial(mark, version);
  r.answer.Restore(r.framework, r.info, r.snap, n);
  for (const PlacedPod& p : pods_) {
    if (p.row != n) r.answer.Restore(r.framework, r.info, r.snap, p.row);
  }
  run.beyond = std::any_of(potential_.begin(), potential_.end(), [](const Unit& unit) { return unit.whole; });
  return run;
}

DryRun DryRuns::Judge() const {
  DryRun run;
  if (victims_.empty()) {
    run.result = DryRun::Result::kFitsAnyway;
    return run;
  }
  run.result = DryRun::Result::kCandidate;
  run.highest = victims_.front().priority;
  run.start = victims_.front().start;  // the first of its priority started first
  for (const Unit& unit : victims_) {
    run.violations += unit.violations;
    run.victims += static_cast<int32_t>(unit.count);
    run.priorities += (unit.priority + (int64_t{1} << 31)) * unit.count;
    if (unit.priority == run.highest) run.start = std::min(run.start, unit.start);
  }
  return run;
}

}  // namespace muster
