// The cluster's Queue and ResourceFlavor objects made sense of: which queues are sound, their tree, whom a namespace
// may charge, and in which cells.
//
// A queue is not sound where it cannot be interpreted, is its own ancestor, has an unknown parent or flavor, or lends
// more than it and its children have: nothing may be charged to it, and its children are roots meanwhile, with what is
// their own. No other queue is disturbed.
//
// A resource that a queue, or an ancestor, has only in flavors may be used only on nodes of these. Of several flavors
// that a node has, the one counts that the queue lists first, then its parent's first, and so on; a resource without
// flavor is there on any node.
//
// Decision thread only.
#ifndef MUSTER_QUEUE_QUEUE_CATALOG_H_
#define MUSTER_QUEUE_QUEUE_CATALOG_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "queue/quota_tree.h"
#include "scheduler/model/cluster_objects.h"
#include "scheduler/model/queue.h"

namespace muster {

class QueueCatalog {
 public:
  struct Entry {
    const Queue* queue = nullptr;
    QueueIndex index = kNoQueue;  // in the tree; kNoQueue: not sound
    std::string reason, message;  // of what is not: "ParentNotFound", "parent \"x\" does not exist"
  };
  struct Cell {
    std::string resource, flavor;  // flavor "": any node
  };
  // The queue that a pod is charged to, or why there is none.
  struct Owner {
    QueueIndex queue = kNoQueue;
    std::string why;
  };

  // Reads what there is, and keeps it alive. `default_queue`: for namespaces that none selects, "" =
  // none.
  void Build(const ClusterObjects& objects, const std::string& default_queue);

  // Whether there is any Queue, sound or not: else there is no quota.
  bool any() const { return !entries_.empty(); }
  std::span<const Entry> entries() const { return entries_; }  // by name
  const Queue& queue(QueueIndex q) const { return *entries_[of_index_[q]].queue; }
  size_t size() const { return of_index_.size(); }
  // With nothing charged; parents come before children, queues of one depth by name.
  std::span<const QuotaTree::Queue> tree() const { return tree_; }
  std::span<const Cell> cells() const { return cells_; }                  // by resource and flavor
  std::span<const uint32_t> resource_of() const { return resource_of_; }  // as QuotaTree::Build takes it

  // `wanted`: the pod's label muster.dev/queue, "" = it has none: the first by name that selects the namespace. The
  // objects are those of the last Build, but for namespaces. `ours`: the pod is this program's to schedule, so that the
  // default queue may take it.
  Owner OwnerOf(const std::string& ns, const std::string& wanted, const ClusterObjects& objects, bool ours = true);

  // The cells that the resource is charged in, the first first of which the node has the flavor. Empty: it is not
  // counted.
  std::span<const QuotaCell> CellsOf(QueueIndex q, std::string_view resource) const;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  uint32_t Find(std::string_view name) const;
  void Fail(uint32_t entry, std::string reason, std::string message);
  void CheckEach(const ClusterObjects& objects);
  void CheckCycles();
  void CheckLending();
  void MakeTree();
  void MakeCells();

  std::vector<Entry> entries_;
  std::vector<ObjectPtr> kept_;     // the queues, which may have gone from the cluster since
  std::vector<uint32_t> parents_;   // by entry: the entry of its parent, kNone without
  std::vector<uint32_t> of_index_;  // by queue: its entry
  std::vector<QuotaTree::Queue> tree_;
  std::vector<Cell> cells_;
  std::vector<uint32_t> resource_of_;
  absl::flat_hash_map<std::string, uint32_t> resources_;      // as resource_of_ numbers them
  std::vector<std::vector<std::vector<QuotaCell>>> charged_;  // by queue and resource
  std::string default_queue_;
  // By namespace: its object when it was asked about, and the entries that select it.
  absl::flat_hash_map<std::string, std::pair<ObjectPtr, std::vector<uint32_t>>> selected_;
};

}  // namespace muster

#endif  // MUSTER_QUEUE_QUEUE_CATALOG_H_
