// How much of a group each domain of a tree can hold at most.
#ifndef MUSTER_PLUGINS_TOPOLOGY_GROUP_ROOM_H_
#define MUSTER_PLUGINS_TOPOLOGY_GROUP_ROOM_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/framework/placement.h"
#include "scheduler/model/snapshot.h"
#include "topology/domain_tree.h"
#include "topology/slot_counts.h"

namespace muster {

// A group's request, resolved against the tree that it asks for.
struct GroupOnTree {
  const PlacementRequest& request;
  const Snapshot& snap;
  const DomainTree& tree;
  std::span<const SlotCounts* const> counts;  // by shape
  const SlotCounts& together;                 // what any shape takes at least; of one shape, its own
  size_t level = 0;                           // of kRequired and kPreferred, else 0
  size_t slice_level = 0;                     // 0: no slices

  size_t size() const { return request.members.size(); }
  bool sliced() const { return slice_level != 0; }
  size_t slice_size() const { return static_cast<size_t>(request.topology.slice_size); }
};

// Slices are domains of the slice level to share. Slice k is of the pods of ranks [k * size, (k + 1) * size);
// it is short where some of them are not there. Where a pod has no rank, or that of another one, the placed
// pods in one domain fill slices there, the first members complete these, and the others make slices in their
// order: the last may be short.
//
// Reused from group to group. Decision thread only.
class GroupRoom {
 public:
  // Says why the slices make no sense with the pods that are placed, or "". `group` outlives its use.
  std::string Reset(const GroupOnTree& group);

  // An upper bound of the members that the domain holds, by free amounts; kNoDomain: all nodes. Where it
  // is below `need` it may be higher than it could be. Slices count only where they are whole.
  uint64_t Held(DomainId id, uint64_t need);
  // Whether it may hold `need` members, of which Held() says `held`: elastic ones may leave slices in part.
  bool MayHold(DomainId id, uint64_t need, uint64_t held) const {
    return held >= need ||
           (group_->sliced() && group_->request.min < group_->size() && In(group_->together, id) >= need);
  }
  // How many slots (with slices: places for whole slices) are left when all members are in; of several
  // shapes, the one that has the fewest left.
  uint64_t Left(DomainId id) const;
  // Of one domain among several that hold the group together: how many members it could hold by each
  // shape alone.
  uint64_t Share(DomainId id) const;

  std::span<const PlacementSlice> slices() const { return slices_; }  // in order of members
  // Places for whole slices. Requires: group.sliced(), LevelOf(id) <= slice_level.
  uint64_t WholeSlices(DomainId id) const { return whole_[id]; }

 private:
  struct Placed {
    uint32_t rank;
    DomainId home;
    auto operator<=>(const Placed&) const = default;
  };
  struct Home {  // members that must go to a domain of the slice level, because their slices are there
    DomainId domain;
    uint64_t count;
  };
  struct Step {  // members of one shape and what each takes of a resource
    int64_t amount;
    size_t count;
  };
  void ListResources();
  std::string MakeSlices();
  bool RanksTell() const;
  void MakeRankedSlices();
  void MakeUnrankedSlices();
  void CountWholeSlices();
  uint64_t Homed(DomainId domain) const;
  uint64_t HeldInSlices(DomainId id) const;
  uint64_t HeldByShape(DomainId id) const;
  uint64_t HeldTogether(DomainId id);
  uint64_t In(const SlotCounts& counts, DomainId id) const {
    return id == kNoDomain ? counts.Everywhere() : counts.In(id);
  }

  const GroupOnTree* group_ = nullptr;
  std::vector<size_t> shape_members_;  // by shape
  std::vector<ResourceId> resources_;  // that some shape takes
  std::vector<Step> steps_;            // of each such resource as many as there are shapes, the smallest first
  std::vector<PlacementSlice> slices_;
  std::vector<Placed> placed_;
  std::vector<Home> homes_;
  std::vector<uint64_t> whole_;   // by domain of the slice level and those above
  uint64_t whole_members_ = 0;    // in slices without home that are not short
  std::vector<uint64_t> shorts_;  // members of each short slice without home
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_TOPOLOGY_GROUP_ROOM_H_
