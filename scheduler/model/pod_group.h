// Groups of pods that start together, and the places that they ask for.
#ifndef MUSTER_SCHEDULER_MODEL_POD_GROUP_H_
#define MUSTER_SCHEDULER_MODEL_POD_GROUP_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/model/ids.h"
#include "scheduler/model/object.h"
#include "scheduler/model/pod.h"

namespace muster {

// A group of scheduling.k8s.io (kind kPodGroup) or of scheduling.x-k8s.io (kind kCoschedulingPodGroup).
struct PodGroup : Object {
  // As read: "scheduling.k8s.io/v1beta1". Status is written in the same version.
  std::string api_version;
  int64_t generation = 0;
  Time created;
  bool gang = true;       // else ("basic") its pods are placed as they come
  int32_t min_count = 1;  // >= 1; basic: 1
  TopologyRequest topology;
  bool disrupted_whole = false;  // disruptionMode: its pods are preempted all or none
  std::optional<int32_t> priority;
  std::string preemption_policy;                         // "" = PreemptLowerPriority
  std::string parent;                                    // parentCompositePodGroupName
  std::vector<Amount> min_resources;                     // coscheduling: what must be free before it is tried
  Duration schedule_timeout = absl::InfiniteDuration();  // coscheduling: scheduleTimeoutSeconds
  std::vector<PodClaim> claims;
  PodCondition scheduled;  // PodGroupInitiallyScheduled (v1alpha2: PodGroupScheduled)
  // Coscheduling's status.
  std::string phase;
  int32_t members_scheduled = 0, members_running = 0, members_succeeded = 0, members_failed = 0;
  // Why it cannot be interpreted ("spec.minMember: must be at least 1"), or "".
  std::string invalid;
};

// Levels of places, the widest first: node label keys ("example.com/block", "example.com/rack",
// "kubernetes.io/hostname"). Kinds kTopology (muster.dev) and kKueueTopology.
struct Topology : Object {
  std::vector<std::string> levels;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_POD_GROUP_H_
