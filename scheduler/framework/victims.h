// What preemption, of one pod's making or of a group's, has to know about those who may have to go.
#ifndef MUSTER_SCHEDULER_FRAMEWORK_VICTIMS_H_
#define MUSTER_SCHEDULER_FRAMEWORK_VICTIMS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <vector>

#include "scheduler/model/cluster_objects.h"
#include "scheduler/model/object.h"
#include "scheduler/model/pod.h"
#include "scheduler/model/pod_group.h"
#include "scheduler/model/snapshot.h"

namespace muster {

// The pod's PodGroup of scheduling.k8s.io, null where it has none. Valid until objects change.
inline const PodGroup* NativeGroupOf(const Pod& pod, const ClusterObjects& objects) {
  if (pod.group.source != GroupRef::Source::kNative) return nullptr;
  return objects.Get<PodGroup>(Kind::kPodGroup, pod.ns(), pod.group.name);
}

// The priority that counts for a placed pod: its group's where that has one.
inline int32_t VictimPriority(const Pod& pod, const ClusterObjects& objects) {
  const PodGroup* group = NativeGroupOf(pod, objects);
  return group != nullptr && group->priority ? *group->priority : pod.spec->priority;
}

// How many of a gang's pods must stay for it to run; 0: it is no gang.
inline size_t MinimumOf(const Pod& pod, const ClusterObjects& objects) {
  const PodGroup* group = nullptr;
  switch (pod.group.source) {
    case GroupRef::Source::kNone: return 0;
    case GroupRef::Source::kLabels: return static_cast<size_t>(std::max(0, pod.group.size));
    case GroupRef::Source::kNative: group = NativeGroupOf(pod, objects); break;
    case GroupRef::Source::kCoscheduling:
      group = objects.Get<PodGroup>(Kind::kCoschedulingPodGroup, pod.ns(), pod.group.name);
      break;
  }
  return group != nullptr && group->gang ? static_cast<size_t>(std::max(0, group->min_count)) : 0;
}

// Pods that have not started count as the last to start.
inline Time StartOf(const Pod& pod) {
  return pod.started == absl::InfinitePast() ? absl::InfiniteFuture() : pod.started;
}

// Leaves of the members of a group those above its minimum: who started last. Minimum 0: it is no gang, none is left.
inline void KeepElastic(std::vector<const Pod*>& members, size_t minimum) {
  if (minimum == 0 || members.size() <= minimum) return members.clear();
  std::sort(members.begin(), members.end(), [](const Pod* a, const Pod* b) {
    const Time start_a = StartOf(*a), start_b = StartOf(*b);
    return std::tie(start_a, a->rank, a->name) < std::tie(start_b, b->rank, b->name);
  });
  members.erase(members.begin(), members.begin() + static_cast<std::ptrdiff_t>(minimum));
}

struct PlacedPod {
  PodOnNode pod;
  NodeIndex row;
};

// What goes or stays as one: a pod, or all pods of a group that is disrupted whole.
struct VictimUnit {
  int32_t priority = 0;  // the highest of its pods
  Time start;            // the earliest
  uint32_t count = 0;
};

// Appends the pods of the group of `pod`, by row and name.
inline VictimUnit AppendGroup(const Pod& pod, const Snapshot& snap, std::vector<PlacedPod>& pods) {
  VictimUnit unit{VictimPriority(pod, snap.objects()), StartOf(pod), 0};
  const auto first = static_cast<std::ptrdiff_t>(pods.size());
  for (const PlacedMember& m : snap.MembersOf(pod.ns(), pod.group)) {
    pods.push_back({{m.pod, m.info}, m.row});
    unit.start = std::min(unit.start, StartOf(*m.pod));
    unit.priority = std::max(unit.priority, VictimPriority(*m.pod, snap.objects()));
    ++unit.count;
  }
  std::sort(pods.begin() + first, pods.end(), [](const PlacedPod& a, const PlacedPod& b) {
    return std::tie(a.row, a.pod.pod->name) < std::tie(b.row, b.pod.pod->name);
  });
  return unit;
}

// Whether somebody on the node who had to go for a pod of this priority, or might have, is still on the way out.
inline bool VictimIsGoing(const Snapshot& snap, NodeIndex n, int32_t priority) {
  const auto pods = snap.PodsOn(n);
  return std::any_of(pods.begin(), pods.end(), [&](const PodOnNode& pod) {
    return pod.pod->deleting && pod.pod->preempted && VictimPriority(*pod.pod, snap.objects()) < priority;
  });
}

// The disruption budgets of a cluster, charged with one victim after the other.
class BudgetLedger {
 public:
  // Takes up what budgets there are; valid while ClusterObjects::version of their kind stays as it is.
  void Load(const ClusterObjects& objects) {
    budgets_.clear();
    for (const auto& [key, object] : objects.All(Kind::kPodDisruptionBudget))
      budgets_.push_back(static_cast<const DisruptionBudget*>(object.get()));
    Reset();
  }
  bool empty() const { return budgets_.empty(); }
  // From here on nothing is charged yet.
  void Reset() {
    allowed_.clear();
    for (const DisruptionBudget* budget : budgets_) allowed_.push_back(budget->disruptions_allowed);
  }
  // Charges the budgets that select the pod, up to the first that has nothing left: true, that is violated.
  bool Violates(const Pod& pod) {
    if (budgets_.empty() || pod.spec->labels.empty()) return false;
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

 private:
  std::vector<const DisruptionBudget*> budgets_;  // by namespace and name
  std::vector<int32_t> allowed_;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_FRAMEWORK_VICTIMS_H_
