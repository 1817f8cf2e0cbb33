// Why a group does not fit, for people and for the queue.
#ifndef MUSTER_SCHEDULER_ENGINE_CYCLE_GROUP_EXPLAIN_H_
#define MUSTER_SCHEDULER_ENGINE_CYCLE_GROUP_EXPLAIN_H_

#include "scheduler/engine/cycle/group_places.h"
#include "scheduler/engine/cycle/group_request.h"
#include "scheduler/engine/cycle/group_search.h"
#include "scheduler/framework/explain.h"
#include "scheduler/framework/framework.h"
#include "scheduler/framework/nominator.h"
#include "scheduler/framework/placement.h"
#include "scheduler/model/snapshot.h"

namespace muster {

// A group that is being decided.
struct GroupContext {
  const Framework& framework;
  const GroupRequest& request;
  Snapshot& snap;
  GroupSearch& search;  // that began with the request
  GroupPlaces& places;
  const Nominated* nominated;
};

// How many members fit in the best place, what holds the others back there (and in up to two more places),
// and what would have to change: "6 of 8 pods fit in rack r7: 2 Insufficient nvidia.com/gpu; 2 more nodes
// with 1 nvidia.com/gpu free there would do". `proven`: no placement exists at all. Requires: nothing of
// the group is placed. Slow; allocates.
Explanation ExplainGroup(const GroupContext& group, const PlacementAnswer& answer, bool proven);

// The same of the first member that the search left, all others being placed in the candidate.
Explanation ExplainLeft(const GroupContext& group, const PlacementCandidate& candidate);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_CYCLE_GROUP_EXPLAIN_H_
