// How many more pods each node, and each domain of a tree, can take at most.
//
// The counts are upper bounds from free amounts: what other plugins refuse once pods of the group are
// there is not in them.
#ifndef MUSTER_TOPOLOGY_SLOT_COUNTS_H_
#define MUSTER_TOPOLOGY_SLOT_COUNTS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "scheduler/model/node_set.h"
#include "scheduler/model/snapshot.h"
#include "topology/domain_tree.h"

namespace muster {

// What limits the pods of one shape, or of several, on a node.
class SlotRule {
 public:
  static constexpr uint32_t kMost = INT32_MAX;  // slots of a node that nothing limits

  SlotRule() = default;
  // `limits`: by ResourceId, not 0 where nodes must have free what is asked for; empty: always.
  SlotRule(const PodInfo& pod, const Snapshot& snap, std::span<const uint8_t> limits = {});
  // Of pods of all these shapes together: what each of them takes at least.
  SlotRule(std::span<const PodInfo* const> pods, const Snapshot& snap, std::span<const uint8_t> limits = {});

  uint32_t SlotsOn(const Snapshot& snap, NodeIndex n) const;
  friend bool operator==(const SlotRule&, const SlotRule&) = default;

 private:
  // k pods fit in `free` where k - 1 times `each` and `first` do: a pod may be asked for more, or less,
  // than it is then counted for.
  struct Want {
    ResourceId resource = 0;
    int64_t first = 0;
    int64_t each = 0;
    uint64_t reciprocal = 0;  // floor(2^64 / each); each >= 2
    friend bool operator==(const Want&, const Want&) = default;
  };
  void AddWant(ResourceId resource, int64_t first, int64_t each, std::span<const uint8_t> limits);
  // Hosts' names by node, or null where it does not matter whether a node has one.
  const uint32_t* Hosts(const Snapshot& snap) const;
  uint32_t SlotsOn(const Snapshot& snap, const uint32_t* hosts, NodeIndex n) const;
  friend class SlotCounts;

  std::vector<Want> wants_;  // the scarcest kinds first
  bool one_a_node_ = false;  // two of them cannot share a node
  bool one_a_host_ = false;  // likewise where it has a host name
};

// Counts of one rule, kept up to date row by row.
class SlotCounts {
 public:
  // Makes the counts true for the snapshot and the nodes of `open`; others have no slots. Cost where the
  // tree and the rule are those of the last call: the rows that changed, and a look at each word of
  // `open`. Decision thread only.
  void Update(const DomainTree& tree, const Snapshot& snap, const SlotRule& rule, const NodeSet& open);

  uint32_t On(NodeIndex n) const { return slots_[n]; }
  uint64_t In(DomainId id) const { return sums_[id]; }
  uint64_t Everywhere() const { return total_; }  // also outside the tree

 private:
  void Compute(const DomainTree& tree, const Snapshot& snap, const uint32_t* hosts);
  void Set(const DomainTree& tree, NodeIndex n, uint32_t slots);

  SlotRule rule_;
  uint64_t tree_serial_ = 0;  // 0: nothing computed
  uint64_t cell_version_ = 0;
  NodeSet open_;
  std::vector<uint32_t> slots_;  // by node
  std::vector<uint64_t> sums_;   // by domain
  uint64_t total_ = 0;
};

}  // namespace muster

#endif  // MUSTER_TOPOLOGY_SLOT_COUNTS_H_
