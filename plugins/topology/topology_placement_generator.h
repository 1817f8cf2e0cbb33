// Candidate places of a group in the topology that it asks for (kube-scheduler's plugin of that name
// knows one label key; this one the levels of Topology objects).
#ifndef MUSTER_PLUGINS_TOPOLOGY_TOPOLOGY_PLACEMENT_GENERATOR_H_
#define MUSTER_PLUGINS_TOPOLOGY_TOPOLOGY_PLACEMENT_GENERATOR_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "plugins/topology/group_layout.h"
#include "plugins/topology/group_room.h"
#include "scheduler/framework/placement.h"
#include "scheduler/framework/plugin.h"
#include "topology/domain_trees.h"
#include "topology/slot_counts.h"

namespace muster {

// Order of candidates. Required: domains of the level that hold all members, the tightest first; then
// those that hold the minimum, the roomiest first. Preferred: domains of the level and of those above, up to
// the whole tree, that hold all members: the ones first that need the fewest domains of the asked level (where
// pods of the group are placed already, the fewest more), of these the lowest; then all nodes; then, level by
// level, those that hold the minimum. Domains near pods of the group that are placed already go before others
// of their level; they pin a required domain. Equal ones in the order of their labels' values.
//
// Decision thread only: it keeps trees and buffers from call to call.
class TopologyPlacementGenerator final : public PlacementGeneratePlugin {
 public:
  std::string_view Name() const override { return "TopologyPlacementGenerator"; }
  ClusterEvents RequeueOn() const override {
    return kNodeAdded | kNodeAllocatable | kNodeLabel | kNodeTaint | kPodRemoved | kPodScaledDown | kTopologyChanged;
  }
  PlacementAnswer GeneratePlacements(const PlacementRequest& request, const Snapshot& snap,
                                     absl::FunctionRef<bool(const PlacementCandidate&)> visit) const override;

 private:
  struct Shape;       // what is kept in a shape's memo
  struct Option {     // a domain that may be visited, in the order of the members but `held`
    uint64_t needed;  // preferred: more domains of the asked level that all members need
    size_t up;        // levels above the asked one
    uint32_t far;     // how many levels up it meets the pods that are placed already
    uint64_t out;     // members that it does not hold
    uint64_t left;    // when the members are in
    DomainId domain;
    uint64_t held;
  };
  using Visit = absl::FunctionRef<bool(const PlacementCandidate&)>;

  void UpdateCounts(const PlacementRequest& request, const Snapshot& snap, const DomainTree& tree) const;
  bool MarkUsed(const GroupOnTree& group, DomainId* pinned, std::string* impossible) const;
  void UnmarkUsed(const GroupOnTree& group) const;
  void VisitAll(const GroupOnTree& group, DomainId pinned, Visit visit, PlacementAnswer& answer) const;
  void AddOptions(const GroupOnTree& group, DomainTree::Range domains, bool all, PlacementAnswer& answer) const;
  bool VisitOptions(const GroupOnTree& group, uint64_t needed, Visit visit) const;
  bool VisitOne(const GroupOnTree& group, DomainId domain, uint64_t held, Visit visit) const;
  void FindPreferredDomains(const GroupOnTree& group) const;
  uint64_t DomainsNeeded(const GroupOnTree& group, DomainId domain) const;
  uint32_t Distance(const GroupOnTree& group, DomainId domain) const;

  mutable DomainTrees trees_;
  mutable GroupRoom room_;
  mutable GroupLayout layout_;
  mutable SlotCounts mixed_counts_;  // of the last group with several shapes
  mutable std::vector<const SlotCounts*> counts_;
  mutable std::vector<const PodInfo*> infos_;
  mutable NodeSet open_;
  mutable std::vector<uint32_t> used_;  // by domain: placed pods of the group; zero between calls
  mutable std::vector<Option> options_;
  mutable std::vector<uint64_t> shares_;
  mutable std::vector<uint32_t> slice_domains_, preferred_domains_;
  mutable std::string name_;
  mutable DomainId most_ = kNoDomain;
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_TOPOLOGY_TOPOLOGY_PLACEMENT_GENERATOR_H_
