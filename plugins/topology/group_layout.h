// Spreads a group's members over the lowest domains of a candidate, neighbours in rank together.
#ifndef MUSTER_PLUGINS_TOPOLOGY_GROUP_LAYOUT_H_
#define MUSTER_PLUGINS_TOPOLOGY_GROUP_LAYOUT_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "plugins/topology/group_room.h"
#include "scheduler/framework/placement.h"
#include "topology/domain_tree.h"

namespace muster {

// Reused from group to group. Decision thread only.
class GroupLayout {
 public:
  // `used[id]` is not 0 where pods of the group are in the domain already: such are filled first.
  // All outlive their use.
  void Reset(const GroupOnTree& group, const GroupRoom& room, std::span<const uint32_t> used);

  // Runs for up to `count` members, from the first on, in the domain (kNoDomain: all nodes), by order of
  // members. At each level as few domains as possible, at the asked one before those above it:
  // where one holds all that remain, the tightest such, else the one that holds the most. With slices every
  // run is in one domain of the slice level.
  // Valid until the next call.
  std::span<const PlacementRun> Lay(DomainId id, size_t count);

 private:
  struct Child {
    DomainId id;
    bool used;
    uint64_t holds, room;
  };
  template <typename HoldsFn, typename PlaceFn>
  size_t Spread(DomainTree::Range children, size_t count, HoldsFn holds, PlaceFn place);
  void Forget();
  size_t LayAll(DomainId id, size_t count);
  size_t Spans(DomainId id) const;
  size_t Lay(DomainId id, size_t first, size_t count);
  size_t LaySlices(DomainId id, size_t count);
  void LayShort(DomainId id, const PlacementSlice& slice);
  void LayWhole(DomainId id, size_t first, size_t count);
  uint64_t Room(DomainId id) const;
  size_t Holds(DomainId id, size_t first, size_t count) const;
  void Run(DomainId id, size_t first, size_t count);

  const GroupOnTree* group_ = nullptr;
  const GroupRoom* room_ = nullptr;
  std::span<const uint32_t> used_;
  std::vector<PlacementRun> runs_;
  std::vector<DomainId> run_domains_;  // by run as it was made
  std::vector<uint32_t> taken_;        // by domain: members laid there; zero between calls
  std::vector<PlacementRun> near_;     // a layout to compare with
  std::vector<DomainId> near_domains_;
  std::vector<Child> children_;  // a stack: of each level that is being laid
  std::vector<uint32_t> whole_;  // slices without home that are whole
  size_t next_whole_ = 0;
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_TOPOLOGY_GROUP_LAYOUT_H_
