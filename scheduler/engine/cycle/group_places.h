// The candidate places of a group: what the profile's PlacementGenerate plugin gives where the group asks
// for topology, else the whole cluster. (A profile without such a plugin places nobody who requires a
// domain or slices; what is only preferred it leaves alone.)
#ifndef MUSTER_SCHEDULER_ENGINE_CYCLE_GROUP_PLACES_H_
#define MUSTER_SCHEDULER_ENGINE_CYCLE_GROUP_PLACES_H_

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "scheduler/engine/cycle/group_request.h"
#include "scheduler/engine/cycle/group_search.h"
#include "scheduler/framework/framework.h"
#include "scheduler/framework/placement.h"
#include "scheduler/model/snapshot.h"

namespace muster {

class GroupPlaces {
 public:
  // Calls visit for candidates that may hold `min` of the members, as PlacementGeneratePlugin does.
  // Requires: the search has begun with this request, its answers are up to date, and none is broken.
  PlacementAnswer Visit(const Framework& framework, const GroupRequest& request, size_t min, const Snapshot& snap,
                        GroupSearch& search, absl::FunctionRef<bool(const PlacementCandidate&)> visit);
  // The plugin that is asked, or null.
  static const PlacementGeneratePlugin* PluginFor(const Framework& framework, const GroupRequest& request);

 private:
  // Scratch, so that a steady state allocates nothing.
  std::vector<PlacementShape> shapes_;
  std::vector<NodeSet> may_take_;
  std::vector<std::pair<NodeIndex, uint32_t>> placed_;
  std::vector<NodeIndex> placed_nodes_;
  std::vector<uint32_t> placed_ranks_, ranks_;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_CYCLE_GROUP_PLACES_H_
