// The scheduling cycle: decides where a group's pods go, whole or not at all. It changes cells
// through its Statement and acts on nothing else.
#ifndef MUSTER_SCHEDULER_ENGINE_GROUP_CYCLE_H_
#define MUSTER_SCHEDULER_ENGINE_GROUP_CYCLE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "scheduler/engine/shape_cache.h"
#include "scheduler/framework/evaluation.h"
#include "scheduler/framework/explain.h"
#include "scheduler/framework/framework.h"
#include "scheduler/framework/statement.h"
#include "scheduler/model/snapshot.h"
#include "scheduler/runtime/worker_pool.h"

namespace muster {

struct Placement {
  NodeIndex node = kNoNode;
  int64_t score = 0;  // the node's weighted total
};

struct GroupDecision {
  bool placed = false;
  std::vector<Placement> placements;  // one a pod, in the group's order; empty unless placed
  std::vector<Intent> intents;        // what to do about it
  const Explanation* why = nullptr;   // where not placed: valid until the next Decide
  WorkCount work;
  bool from_cache = false;  // every shape's answer was known
};

class GroupCycle {
 public:
  // `snapshot` and `workers` outlive the cycle.
  GroupCycle(Snapshot& snapshot, WorkerPool& workers, uint64_t seed)
      : snapshot_(snapshot), workers_(workers), seed_(seed), statement_(snapshot) {}

  // On success the pods' cells are committed to the snapshot; on failure it is as before. The
  // result is reused by the next call.
  const GroupDecision& Decide(const Framework& framework, std::span<const PodInfoPtr> group,
                              StageListener* stages = nullptr);

 private:
  bool PlacePod(const Framework& framework, const PodInfoPtr& pod, StageListener* stages);
  bool Reserve(const Framework& framework, const PodInfo& pod, NodeIndex node);
  bool CollectIntents(const Framework& framework, std::span<const PodInfoPtr> group);
  const Explanation& WhyNot(const Framework& framework, ShapeCache::Entry& entry);
  bool Reject(const Plugin& plugin, const Outcome& outcome);

  Snapshot& snapshot_;
  WorkerPool& workers_;
  const uint64_t seed_;
  Statement statement_;
  ShapeCache shapes_;
  GroupDecision result_;
  Explanation rejected_;  // by Reserve, Permit or PreBind
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_GROUP_CYCLE_H_
