// The cluster as columns: what plugins read. Rows are nodes in name order.
//
// Owner: the decision thread; plugins see it const. Dynamic cells (what pods use) change through
// a Statement or Apply(); everything else (nodes, labels, taints, images) through Rebuild() and
// ReplaceNode(), which raise static_version().
#ifndef MUSTER_SCHEDULER_MODEL_SNAPSHOT_H_
#define MUSTER_SCHEDULER_MODEL_SNAPSHOT_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "scheduler/model/ids.h"
#include "scheduler/model/interner.h"
#include "scheduler/model/node.h"
#include "scheduler/model/node_set.h"
#include "scheduler/model/pod.h"

namespace muster {

using ColumnId = uint32_t;

// A PodSpec resolved against a Snapshot's columns; one per shape, shared by all its pods.
struct PodInfo {
  struct Want {
    ResourceId resource;
    int64_t amount;
  };
  struct CellDelta {
    ColumnId column;
    int64_t delta;
  };
  std::shared_ptr<const PodSpec> spec;
  uint64_t shape = 0;           // StableHash(*spec)
  std::vector<Want> requests;   // spec->amounts.requests, in its order
  std::vector<Want> usage;      // spec->amounts.usage, in its order
  std::vector<CellDelta> cells; // what placing the pod adds to a node's dynamic cells
};
using PodInfoPtr = std::shared_ptr<const PodInfo>;

class Snapshot {
 public:
  struct TaintColumn {
    Taint taint;
    NodeSet nodes;
  };
  struct PortColumn {
    HostPort port;
    ColumnId column;  // how many pods of the node hold it
  };
  struct Image {
    NodeSet nodes;
    int64_t size_bytes = 0;  // as the first node in name order reports it
    int32_t node_count = 0;
  };

  Snapshot();

  // --- Nodes -------------------------------------------------------------------------------
  size_t size() const { return nodes_.size(); }
  size_t words() const { return all_.words(); }
  const NodeSet& all() const { return all_; }
  const NodeSet& usable() const { return usable_; }  // all but nodes that could not be interpreted
  const Node& node(NodeIndex n) const { return *nodes_[n]; }
  const NodePtr& node_ptr(NodeIndex n) const { return nodes_[n]; }
  std::string_view NodeName(NodeIndex n) const { return nodes_[n]->name; }
  uint64_t NodeNameHash(NodeIndex n) const { return name_hash_[n]; }  // stable across processes
  NodeIndex Find(std::string_view name) const;     // kNoNode if absent

  // --- Columns: int64 per row, padded with zeros to words() * 64 -----------------------------
  const Interner& resources() const { return resources_; }
  // Total and unused amount; free may be negative. Unknown resources read as all zero.
  const int64_t* Allocatable(ResourceId r) const { return allocatable_[r].data(); }
  const int64_t* Free(ResourceId r) const { return cells_[free_column_[r]].data(); }
  // Sum over the node's pods of PodAmounts::non_zero_*.
  const int64_t* NonZeroCpuUsed() const { return cells_[0].data(); }
  const int64_t* NonZeroMemoryUsed() const { return cells_[1].data(); }
  const int64_t* Cells(ColumnId c) const { return cells_[c].data(); }
  std::span<const PortColumn> host_ports() const { return ports_; }

  // Value ids of a label key per row (0: the node lacks the key; else 1 + id in label_values());
  // nullptr where no node has the key.
  const uint32_t* LabelColumn(std::string_view key) const;
  const Interner& label_values() const { return label_values_; }

  std::span<const TaintColumn> taints() const { return taints_; }  // distinct taints
  const NodeSet& unschedulable() const { return unschedulable_; }
  const Image* FindImage(std::string_view name) const;

  // --- Versions -----------------------------------------------------------------------------
  // Rises with every change that is not a cell: cached answers must be computed anew.
  uint64_t static_version() const { return static_version_; }
  // Position in the log of changed rows. Decision thread only.
  uint64_t cell_version() const { return seen_ = log_start_ + log_.size(); }
  // Rows changed since `version` (with repeats), or false if the log no longer reaches back.
  bool ChangedSince(uint64_t version, std::span<const NodeIndex>* rows) const;

  // --- Changes ------------------------------------------------------------------------------
  // Resolves a shape; creates the columns it needs.
  PodInfoPtr Resolve(std::shared_ptr<const PodSpec> spec);
  int64_t Cell(ColumnId c, NodeIndex n) const { return cells_[c][n]; }
  void SetCell(ColumnId c, NodeIndex n, int64_t value);
  // Adds (sign +1) or takes away (-1) a pod's cells on a row, without undo.
  void Apply(const PodInfo& pod, NodeIndex n, int sign);
  // New set of nodes, ordered by name. Rows that stay keep their dynamic cells.
  void Rebuild(std::vector<NodePtr> nodes);
  // Replaces a row's node (of the same name). Needs a Settle() before plugins read again: many
  // nodes that change together are indexed once.
  void ReplaceNode(NodeIndex n, NodePtr node);
  void Settle() {
    if (std::exchange(unsettled_, false)) IndexStatic();
  }

 private:
  ResourceId InternResource(std::string_view name);
  ColumnId InternPort(const HostPort& port);
  void SetAllocatable(NodeIndex n, const Node& node);
  void IndexStatic();  // labels, taints, images, unschedulable from nodes_
  void LogRow(NodeIndex n);

  std::vector<NodePtr> nodes_;
  std::vector<uint64_t> name_hash_;
  NodeSet all_, usable_;
  Interner resources_;
  std::vector<std::vector<int64_t>> allocatable_;  // by ResourceId
  std::vector<ColumnId> free_column_;              // by ResourceId
  std::vector<std::vector<int64_t>> cells_;        // by ColumnId
  std::vector<PortColumn> ports_;
  Interner label_values_;
  absl::flat_hash_map<std::string, std::vector<uint32_t>> labels_;
  std::vector<TaintColumn> taints_;
  NodeSet unschedulable_;
  absl::flat_hash_map<std::string, Image> images_;
  bool unsettled_ = false;
  uint64_t static_version_ = 1;
  std::vector<NodeIndex> log_;
  uint64_t log_start_ = 0;
  mutable uint64_t seen_ = 0;  // highest position told: entries before it may not stand for later changes
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_SNAPSHOT_H_
