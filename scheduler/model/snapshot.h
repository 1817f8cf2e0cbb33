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
#include "scheduler/model/cluster_objects.h"
#include "scheduler/model/device/device_columns.h"
#include "scheduler/model/device/pod_claims.h"
#include "scheduler/model/group_members.h"
#include "scheduler/model/ids.h"
#include "scheduler/model/interner.h"
#include "scheduler/model/node.h"
#include "scheduler/model/node_set.h"
#include "scheduler/model/pod.h"
#include "scheduler/model/pod_terms.h"
#include "scheduler/model/volume_columns.h"

namespace muster {

// A PodSpec resolved against a Snapshot's columns; one per shape, shared by all its pods.
struct PodInfo {
  struct Want {
    ResourceId resource;
    int64_t amount;
  };
  struct CellDelta {
    ColumnId column;
    int64_t delta;
    friend bool operator==(const CellDelta&, const CellDelta&) = default;
  };
  std::shared_ptr<const PodSpec> spec;
  std::shared_ptr<const PodInfo> plain;  // the same without PodSpec::asked; null: this
  uint64_t shape = 0;                    // StableHash(*spec)
  uint64_t kin = 0;                      // StableHashButLabels(*spec)
  std::vector<Want> requests;            // spec->amounts.requests, in its order
  std::vector<Want> usage;               // spec->amounts.usage, in its order
  std::vector<CellDelta> cells;          // what placing the pod adds to a node's dynamic cells

  // What the pod asks about others: columns of how many pods of each node are meant. Set by
  // Snapshot::Prepare, which raises the version when any of it changes.
  std::vector<ColumnId> spread;         // by spec->spread; terminating pods do not count
  ColumnId default_spread = kNoColumn;  // pods of the same Services and controller, if there are such
  bool default_spread_selects_itself = false;
  ColumnId affinity = kNoColumn;        // pods that all terms of pod_affinity.required select
  std::vector<ColumnId> anti_affinity;  // by pod_affinity.required_anti
  std::vector<ColumnId> preferred, preferred_anti;
  std::vector<uint32_t> terms_of_others;  // those in Snapshot::terms() that select this pod, ascending
  uint64_t questions_version = 0;

  std::vector<uint32_t> own_terms;  // in Snapshot::terms()
  std::vector<uint32_t> questions;  // of PodTerms; for the Snapshot
  uint64_t selectors_version = 0;   // likewise
  bool asks = false;                // likewise: Prepare was called

  // For the Snapshot's observer alone: what it remembers of pods of this shape. `account_epoch` 0: nothing.
  mutable uint64_t account_epoch = 0;
  mutable uint32_t account = 0;
};
using PodInfoPtr = std::shared_ptr<const PodInfo>;

// A pod on a node. Whoever adds it keeps both alive until it is removed.
struct PodOnNode {
  const Pod* pod;
  const PodInfo* info;
};

// Told of every pod that comes to a row or goes, in decisions and trials too.
class PodObserver {
 public:
  virtual ~PodObserver() = default;
  virtual void OnPlaced(const PodOnNode& pod, NodeIndex row) = 0;
  virtual void OnRemoved(const PodOnNode& pod, NodeIndex row) = 0;
  // Rows were added, removed or renumbered; of pods that went with their row OnRemoved was not called.
  virtual void OnRowsChanged() = 0;
};

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
  Snapshot(Snapshot&&) = default;

  // --- Nodes -------------------------------------------------------------------------------
  size_t size() const { return nodes_.size(); }
  size_t words() const { return all_.words(); }
  const NodeSet& all() const { return all_; }
  const NodeSet& usable() const { return usable_; }  // all but nodes that could not be interpreted
  const Node& node(NodeIndex n) const { return *nodes_[n]; }
  const NodePtr& node_ptr(NodeIndex n) const { return nodes_[n]; }
  std::string_view NodeName(NodeIndex n) const { return nodes_[n]->name; }
  // Mix of the hash of the node's name: what ties are decided by. The same in every process.
  uint64_t NodeTie(NodeIndex n) const { return tie_[n]; }
  NodeIndex Find(std::string_view name) const;  // kNoNode if absent

  // --- Columns: int64 per row, padded with zeros to words() * 64 -----------------------------
  const Interner& resources() const { return resources_; }
  // Total and unused amount; free may be negative. Unknown resources read as all zero.
  const int64_t* Allocatable(ResourceId r) const { return allocatable_[r].data(); }
  const int64_t* Free(ResourceId r) const { return cells_[free_column_[r]].data(); }
  // Sum over the node's pods of PodAmounts::non_zero_*.
  const int64_t* NonZeroCpuUsed() const { return cells_[0].data(); }
  const int64_t* NonZeroMemoryUsed() const { return cells_[1].data(); }
  // Volumes of the node's pods that are claims; each that is not and may still be attached by a CSI
  // driver counts as kUncountable.
  static constexpr int64_t kUncountable = int64_t{1} << 20;
  const int64_t* ClaimVolumes() const { return cells_[2].data(); }
  const int64_t* Cells(ColumnId c) const { return cells_[c].data(); }
  size_t columns() const { return cells_.size(); }  // bound of the ColumnIds
  std::span<const PortColumn> host_ports() const { return ports_; }

  // A label key's values per row: 0 where the node lacks the key, else 1 + id in `values`.
  struct LabelKey {
    Interner values;  // also some that no node has any more
    std::vector<uint32_t> column;
    size_t domains() const { return values.size() + 1; }  // bound of the column's entries
  };
  const LabelKey* FindLabel(std::string_view key) const;  // nullptr where no node has the key

  std::span<const TaintColumn> taints() const { return taints_; }  // distinct taints
  const NodeSet& unschedulable() const { return unschedulable_; }
  const Image* FindImage(std::string_view name) const;

  // The pods on a row, in no promised order.
  std::span<const PodOnNode> PodsOn(NodeIndex n) const { return pods_[n]; }
  // Another number whenever the row's pods, or their objects, are no more what they were; no two rows share one.
  uint64_t PodsVersion(NodeIndex n) const { return pods_version_[n]; }
  // The group's pods on rows, in no promised order. Valid until pods change.
  std::span<const PlacedMember> MembersOf(std::string_view ns, const GroupRef& group) const {
    return group_members_.Of(ns, group);
  }
  // How many pods of the cluster use a claim ("namespace/name").
  int ClaimUsers(std::string_view claim) const;

  // --- What is not a node or a pod -----------------------------------------------------------
  const ClusterObjects& objects() const { return *objects_; }
  const VolumeColumns& volumes() const { return volumes_; }
  const DeviceColumns& devices() const { return devices_; }
  const std::vector<PodTerm>& terms() const { return terms_.terms(); }
  // Whether the term selects the pod; its namespace counts only if it exists.
  bool Selects(const PodAffinityTerm& term, const PodSpec& pod) const { return terms_.Selects(term, pod, false); }

  // --- Versions -----------------------------------------------------------------------------
  // Rises with every change that is not a cell: cached answers must be computed anew.
  uint64_t static_version() const { return static_version_; }
  // Position in the log of changed rows. Decision thread only.
  uint64_t cell_version() const { return seen_ = log_start_ + log_.size(); }
  // Rows changed since `version` (with repeats), or false if the log no longer reaches back.
  bool ChangedSince(uint64_t version, std::span<const NodeIndex>* rows) const;

  // --- Changes ------------------------------------------------------------------------------
  // At most one; outlives this.
  void SetObserver(PodObserver* observer) { observer_ = observer; }
  // Resolves a shape; creates the columns it needs.
  PodInfoPtr Resolve(std::shared_ptr<const PodSpec> spec, PodInfoPtr plain = nullptr);
  int64_t Cell(ColumnId c, NodeIndex n) const { return cells_[c][n]; }
  void SetCell(ColumnId c, NodeIndex n, int64_t value);
  // Adds (sign +1) or takes away (-1) a pod's cells on a row, without undo.
  void Apply(const PodInfo& pod, NodeIndex n, int sign);
  // The same with the pod itself, so that PodsOn shows it.
  void AddPod(const PodOnNode& pod, NodeIndex n);
  void RemovePod(const Pod& pod, NodeIndex n);
  // The pod object is replaced by a newer one of the same shape.
  void RenewPod(const Pod& before, const PodOnNode& after, NodeIndex n);
  // Makes the columns of what the shape asks about other pods. Before its first evaluation, and
  // again before each, for selectors may have changed; cheap where nothing did.
  void Prepare(const PodInfo& pod);
  // Whether the two differ in labels alone, and in none that anybody asks about: plugins answer both alike,
  // and they count alike for others. Requires: both are prepared.
  bool Alike(const PodInfo& a, const PodInfo& b) const;
  // Adds, replaces or (null) removes an object of any kind but Pod and Node.
  void SetObject(Kind kind, ObjectPtr object);
  void RemoveObject(Kind kind, const std::string& ns, const std::string& name);
  // What the shape of a pod to be placed says of its claims now.
  AskedClaims AskClaims(const Pod& pod, bool alike) { return muster::AskClaims(pod, *objects_, alike, devices_); }
  // Frees the columns that only shapes had which are no more.
  void SweepTerms();
  // Tells evaluations that a row is to be looked at again, though no cell of it changed.
  void Touch(NodeIndex n) { LogRow(n); }
  // All changes to the row's pods since it had this version were undone.
  void SetPodsVersion(NodeIndex n, uint64_t version) { pods_version_[n] = version; }
  // A trial is over: all changes since `version` (a cell_version()) were undone, and nobody asked for
  // the version meanwhile.
  void ForgetChanges(uint64_t version);
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
  ColumnId NewColumn();
  void AddOwnTerms(PodInfo& info);
  void CountMatches(PodInfo& info);  // cells for all questions and terms there are
  ColumnId Ask(PodInfo& info, PodQuestion question);
  bool UpdateDefaultSpread(PodInfo& info);
  void CountAnew();
  void CountClaims(const PodInfo& pod, int sign);
  void UpdateVolumes(Kind kind, const Object* before, const Object* after);
  void UpdateDevices(Kind kind, const ObjectPtr& before, const ObjectPtr& after);
  template <typename F>
  void ForEachInfo(F&& f);

  std::vector<NodePtr> nodes_;
  std::vector<uint64_t> tie_;
  NodeSet all_, usable_;
  Interner resources_;
  std::vector<std::vector<int64_t>> allocatable_;  // by ResourceId
  std::vector<ColumnId> free_column_;              // by ResourceId
  std::vector<std::vector<int64_t>> cells_;        // by ColumnId
  std::vector<PortColumn> ports_;
  absl::flat_hash_map<std::string, LabelKey> labels_;
  std::vector<TaintColumn> taints_;
  NodeSet unschedulable_;
  absl::flat_hash_map<std::string, Image> images_;
  std::vector<std::vector<PodOnNode>> pods_;  // by row
  std::vector<uint64_t> pods_version_;        // by row
  uint64_t pods_changes_ = 0;
  GroupMembers group_members_;
  absl::flat_hash_map<std::string, int> claim_users_;
  std::unique_ptr<ClusterObjects> objects_ = std::make_unique<ClusterObjects>();
  PodTerms terms_{*objects_};
  VolumeColumns volumes_;
  DeviceColumns devices_;
  std::vector<std::weak_ptr<PodInfo>> infos_;  // all that were resolved and may still live
  std::vector<ColumnId> free_cells_;
  uint64_t selectors_version_ = 1;  // of Services and controllers
  bool unsettled_ = false;
  PodObserver* observer_ = nullptr;
  uint64_t static_version_ = 1;
  std::vector<NodeIndex> log_;
  uint64_t log_start_ = 0;
  mutable uint64_t seen_ = 0;  // highest position told: entries before it may not stand for later changes
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_SNAPSHOT_H_
