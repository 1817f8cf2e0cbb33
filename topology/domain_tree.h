// The nodes of a Snapshot as a tree of domains, by the labels of one Topology.
//
// Immutable once built; true while Snapshot::static_version() stays as it was.
#ifndef MUSTER_TOPOLOGY_DOMAIN_TREE_H_
#define MUSTER_TOPOLOGY_DOMAIN_TREE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/model/snapshot.h"

namespace muster {

// Dense: the root is 0, then the domains of level 1 in order of their labels' values, those of level 2, ...
using DomainId = uint32_t;
inline constexpr DomainId kRoot = 0;
inline constexpr DomainId kNoDomain = UINT32_MAX;

class DomainTree {
 public:
  struct Range {
    uint32_t begin = 0, end = 0;
    uint32_t size() const { return end - begin; }
  };

  // `keys` are node label keys, the widest level first. Nodes that lack one of the labels are outside
  // the tree; with no keys every node is in the root. `serial` tells it from other trees.
  // Costs a few passes over the nodes a level.
  DomainTree(const Snapshot& snap, std::vector<std::string> keys, uint64_t serial);

  uint64_t serial() const { return serial_; }

  // Level 0 is the whole tree, level i is that of keys()[i - 1].
  const std::vector<std::string>& keys() const { return keys_; }
  size_t levels() const { return keys_.size(); }
  // Of a label key; nullopt where the tree has no such level.
  std::optional<size_t> LevelOf(std::string_view key) const;

  size_t size() const { return domains_.size(); }  // domains of all levels
  Range OfLevel(size_t level) const { return {level_begin_[level], level_begin_[level + 1]}; }
  size_t LevelOf(DomainId id) const { return domains_[id].level; }
  DomainId Parent(DomainId id) const { return domains_[id].parent; }  // kNoDomain for the root
  // Domains of the next level inside this one; empty at the lowest.
  Range Children(DomainId id) const { return domains_[id].children; }
  // Domains of a level inside this one (or itself). Requires: level >= LevelOf(id).
  Range Inside(DomainId id, size_t level) const;
  // The domain of a level around this one (or itself). Requires: level <= LevelOf(id).
  DomainId Around(DomainId id, size_t level) const;
  // The lowest domain that a node is in; kNoDomain where it is outside the tree.
  DomainId LeafOf(NodeIndex n) const { return leaf_[n]; }

  // The nodes of a domain; neighbours share low domains.
  std::span<const NodeIndex> Nodes(DomainId id) const {
    const Range& range = domains_[id].nodes;
    return std::span(nodes_).subspan(range.begin, range.size());
  }
  std::span<const NodeIndex> AllNodes() const { return nodes_; }  // those outside come last
  std::span<const NodeIndex> Outside() const { return std::span(nodes_).subspan(domains_[kRoot].nodes.end); }

  // For people: "rack r7", with the levels above where racks of that name are in several; the root's
  // is "any rack" of the first level, or "" where the tree has all nodes.
  std::string Name(DomainId id, const Snapshot& snap) const;
  void AppendName(DomainId id, const Snapshot& snap, std::string* out) const;

 private:
  struct Domain {
    Range nodes;  // in nodes_
    Range children;
    DomainId parent = kNoDomain;
    uint32_t level = 0;
  };
  void Sort(const Snapshot& snap);
  void Divide(std::span<const std::vector<uint32_t>* const> values);

  std::vector<std::string> keys_;
  uint64_t serial_;
  std::vector<NodeIndex> nodes_;
  std::vector<Domain> domains_;
  std::vector<DomainId> level_begin_;  // by level, and the end
  std::vector<DomainId> leaf_;         // by node
  std::vector<bool> ambiguous_;        // by level: a value appears in several domains
};

}  // namespace muster

#endif  // MUSTER_TOPOLOGY_DOMAIN_TREE_H_
