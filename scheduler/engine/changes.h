// What an object's change amounts to, in the events that plugins wait for.
#ifndef MUSTER_SCHEDULER_ENGINE_CHANGES_H_
#define MUSTER_SCHEDULER_ENGINE_CHANGES_H_

#include "scheduler/framework/cluster_event.h"
#include "scheduler/model/node.h"
#include "scheduler/model/object.h"
#include "scheduler/model/pod.h"

namespace muster {

ClusterEvents NodeChanges(const Node& before, const Node& after);
// Of a pod that takes room on a node.
ClusterEvents BoundPodChanges(const Pod& before, const Pod& after);
// Of an object that is neither pod nor node, and was there before or not.
ClusterEvents ObjectChanges(Kind kind, bool existed, bool gone);
// Of a pending pod.
ClusterEvents PendingPodChanges(const Pod& before, const Pod& after);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_CHANGES_H_
