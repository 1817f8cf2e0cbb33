// What PlacementGenerate plugins are given about a group, and the candidate places they give.
#ifndef MUSTER_SCHEDULER_FRAMEWORK_PLACEMENT_H_
#define MUSTER_SCHEDULER_FRAMEWORK_PLACEMENT_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "scheduler/framework/cycle_state.h"
#include "scheduler/model/node_set.h"
#include "scheduler/model/pod.h"
#include "scheduler/model/snapshot.h"

namespace muster {

// One of the group's distinct shapes.
struct PlacementShape {
  const PodInfo* info;
  // Nodes that take at least one such pod now, by all filters, or may once other members are placed.
  const NodeSet* feasible;
  CycleState* memo;  // the shape's: what a plugin keeps in its slot lives until the shape is forgotten
};

// A group to be placed: its pending members in rank order, of which any `min`
// must be placed. All is of the same moment.
struct PlacementRequest {
  const TopologyRequest& topology;
  std::span<const PlacementShape> shapes;
  std::span<const uint32_t> members;  // by member: its index in `shapes`
  size_t min = 0;                     // how many of the members must be placed, <= members.size()
  std::span<const NodeIndex> placed;  // nodes of the group's pods that are placed already: they pin a required domain
  std::span<const uint32_t> placed_ranks;  // by `placed`: the rank there, UINT32_MAX where the pod has none
  // By ResourceId: not 0 where the profile's filters look at it (CapacityPlugin::Limits). Empty: at all.
  // The same at every call with a shape's memo.
  std::span<const uint8_t> limits = {};
  std::span<const uint32_t> ranks = {};  // by member: its rank, UINT32_MAX without; empty: none has one
};

// Members [first, first + count), which must share a domain.
struct PlacementSlice {
  uint32_t first = 0, count = 0;
  uint32_t home = UINT32_MAX;  // that domain, where others of the slice are placed; else UINT32_MAX
};

// Members [first, first + count), which had best go to these nodes.
struct PlacementRun {
  uint32_t first = 0, count = 0;
  std::span<const NodeIndex> nodes;
};

struct PlacementCandidate {
  std::string_view domain;           // for people: "rack r7"; "" is the whole cluster
  std::span<const NodeIndex> nodes;  // where members may go, near ones beside each other
  // How the members are best spread inside: neighbours in rank share the lowest domain. Covers members
  // from the first on, perhaps not all. Advice.
  std::span<const PlacementRun> runs;
  // Where slices are asked for, all members in slices, and by `nodes` the domain that these speak of; else
  // empty.
  std::span<const PlacementSlice> slices;
  std::span<const uint32_t> slice_domain;
  // Where few domains are preferred, and others than the runs tell may do with fewer: by row of the whole
  // cluster, the domain that counts, UINT32_MAX where it costs nothing. Else empty.
  std::span<const uint32_t> preferred_domain;
};

struct PlacementAnswer {
  // Not ok: the request makes no sense in this cluster ("no node has the label example.com/rack"): data
  // for the user, not a fault.
  std::string impossible;
  // Every place that could hold `min` members was visited: where none of them did, none can.
  bool complete = true;
  // Where nothing, or too little, was visited: the most members that one domain could hold, by the bounds
  // that free amounts give, and in which.
  size_t most = 0;
  std::string most_domain;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_FRAMEWORK_PLACEMENT_H_
