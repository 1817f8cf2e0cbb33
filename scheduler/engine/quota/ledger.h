// Who is charged with what: the pods on the snapshot's rows, charged to their queues in the quota tree. Told of every
// pod that comes to a row or goes, so that decisions, trials and their undoing need nothing more.
//
// A pod is charged to the queue that QueueCatalog names for its namespace and its label muster.dev/queue, with what it
// counts for on its node (PodAmounts::usage, and one of "pods") in each cell that the queue counts; of a resource
// that is there in flavors, in the first of its cells that the node has. Pods of namespaces that no queue selects
// are charged, to the default queue, only if they ask for this scheduler.
//
// Decision thread only.
#ifndef MUSTER_SCHEDULER_ENGINE_QUOTA_LEDGER_H_
#define MUSTER_SCHEDULER_ENGINE_QUOTA_LEDGER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "queue/queue_catalog.h"
#include "queue/queued_group.h"
#include "queue/quota_tree.h"
#include "scheduler/model/node_set.h"
#include "scheduler/model/snapshot.h"

namespace muster {

inline constexpr char kQueueLabel[] = "muster.dev/queue";

class Ledger final : public PodObserver {
 public:
  // What pods of one queue that count for the same are charged with.
  struct Account {
    QueueIndex queue = kNoQueue;
    std::string why;            // kNoQueue: why no queue takes the pod
    std::vector<Charge> fixed;  // one a cell, whatever the node; by cell
    // Of one pod: of each the first cell that the node has.
    std::vector<AnyCharge> any;
    // The same of a pod that has no node yet: without flavors that its node selector rules out.
    std::vector<AnyCharge> asked;
  };

  // `snapshot` outlives this, and tells it of its pods. `ours`: whether a scheduler's name is one of this program's.
  Ledger(Snapshot& snapshot, std::string default_queue, std::function<bool(const std::string&)> ours);

  // A Queue, ResourceFlavor or Namespace came, changed or went.
  void OnObjectsChanged() { objects_changed_ = true; }
  // Takes up what changed of objects and nodes. True: queues, their order or what is asked of them are others now: all
  // that waits is to be assigned anew, and nothing is reserved any more. To be called before anything below is asked.
  bool Refresh();

  // Whether there is any Queue: else there is no quota, and nothing is charged.
  bool on() const { return catalog_.any(); }
  const QueueCatalog& catalog() const { return catalog_; }
  // What is charged: all, or without promises (Reserve), or without pods that are on their way out.
  enum class View : uint8_t { kAll, kWithoutPromises, kWithoutGoing };
  // Of the methods below those that tell of room, and the trees, are of this view until the next call.
  void Use(View view) { view_ = view; }
  const QuotaTree& tree() const { return tree(view_); }
  const QuotaTree& tree(View view) const { return trees_[static_cast<size_t>(view)]; }
  QuotaTree& tree_for_trials() { return trees_[static_cast<size_t>(view_)]; }  // for who undoes all that it changes
  // Whether pods that are on their way out are charged to queues.
  bool any_going() const { return going_ > 0; }
  // Queues, by name, that may borrow nothing for now: taken up by the next Refresh.
  void SetNoBorrowing(std::vector<std::string> queues);
  // Keeps room in the queue for a group, by its key, that waits until its victims are gone: charged like pods.
  // `promised`: it waits for what others leave anyway.
  void Reserve(const std::string& key, QueueIndex queue, std::vector<Charge> charges, bool promised);
  void Release(const std::string& key);  // no effect where nothing is kept
  // Whether the pod, for which something is kept, has no room even without all promises until those leave who are on
  // their way out, and then has it.
  bool WaitsForGoing(const std::string& key, const PodInfo& pod);

  // Valid until Refresh says true.
  const Account& AccountOf(const PodInfo& pod);
  // What the pods, all of one queue, ask of it at least when `count` of them are placed.
  void Demand(std::span<const PodInfo* const> pods, size_t count, std::vector<Charge>& all,
              std::vector<AnyCharge>& any);
  // What the pod is charged with on the row.
  void ChargesOn(const PodInfo& pod, NodeIndex row, std::vector<Charge>& charges);

  // The rows on which the pod's queue has room for it now. Null: on all. Valid until the next call.
  const NodeSet* RoomFor(const PodInfo& pod);

  // For people: what the pod's queue, or a queue above it, has no room for.
  std::string WhyNoRoom(const PodInfo& pod);
  // The same for demand; "" where there is room.
  std::string WhyNoRoom(QueueIndex queue, std::span<const Charge> all, std::span<const AnyCharge> any) const;

  // The queues whose charges are others than at the last call, each once.
  template <typename F>
  void TakeChanged(F&& f) {
    for (const QueueIndex q : changed_) {
      is_changed_[q] = false;
      // Most were changed by trials that were undone.
      if (std::exchange(taken_as_[q], charged_as_[q]) != charged_as_[q]) f(q);
    }
    changed_.clear();
  }
  // Whether pods are on rows that are charged to the queue (kNoQueue: to none) and may rank below the priority: by
  // their own, or as part of a group that has one of its own.
  bool MayHaveBelow(QueueIndex queue, int32_t priority) const {
    const auto& counts = priorities_[queue == kNoQueue ? priorities_.size() - 1 : queue];
    return !counts.empty() && counts.begin()->first < priority;
  }
  // Another number whenever pods may be charged to other queues, or with something else, than before.
  uint64_t generation() const { return generation_; }
  // Rises with every charge.
  uint64_t version() const { return version_; }

  void OnPlaced(const PodOnNode& pod, NodeIndex row) override { Count(pod, row, +1); }
  void OnRemoved(const PodOnNode& pod, NodeIndex row) override { Count(pod, row, -1); }
  void OnRowsChanged() override { rows_changed_ = true; }

 private:
  struct Kept {
    QueueIndex queue;
    std::vector<Charge> charges;
    bool promised;
  };

  using Key = std::tuple<QueueIndex, std::string, std::vector<std::pair<std::string, int64_t>>, Labels>;

  void Count(const PodOnNode& pod, NodeIndex row, int sign);
  // `but`: the view that is without it; kAll: none is.
  void Add(QueueIndex queue, QuotaCell cell, int64_t amount, View but);
  void AddToTrees(QueueIndex queue, QuotaCell cell, int64_t amount, View but);
  static View ViewWithout(const Kept& kept) { return kept.promised ? View::kWithoutPromises : View::kAll; }
  bool MayHave(const PodSpec& pod, QuotaCell cell) const;
  // Without flavor; one with a flavor is nowhere while there are no nodes.
  bool IsEverywhere(QuotaCell cell) const { return catalog_.cells()[cell].flavor.empty(); }
  QuotaCell CellOn(const AnyCharge& any, NodeIndex row) const;
  bool FindFlavors();
  void CountAll();

  static constexpr QuotaCell kNoCell = UINT32_MAX;

  Snapshot& snapshot_;
  const std::string default_queue_;
  const std::function<bool(const std::string&)> ours_;
  QueueCatalog catalog_;
  std::array<QuotaTree, 3> trees_;  // by View
  View view_ = View::kAll;
  int64_t going_ = 0;
  std::vector<std::string> no_borrowing_;
  std::map<Key, uint32_t> known_;  // in accounts_
  std::vector<Account> accounts_;
  absl::flat_hash_map<std::string, Kept> reserved_;
  std::vector<NodeSet> rows_of_;  // by cell: the rows of its flavor; empty where it is everywhere
  uint64_t epoch_ = 1;            // of accounts_; PodInfo::account is of it, or is not
  uint64_t static_version_ = 0;   // that rows_of_ is true for
  bool objects_changed_ = true, rows_changed_ = true;
  // By queue, and last of pods charged to none: how many pods there are of a priority, INT32_MIN where a group's
  // counts.
  std::vector<absl::btree_map<int32_t, int64_t>> priorities_;
  std::vector<QueueIndex> changed_;
  std::vector<bool> is_changed_;  // by queue
  // By queue: the same where the same is charged to it; and as TakeChanged told last.
  std::vector<uint64_t> charged_as_, taken_as_;
  uint64_t version_ = 0, generation_ = 0;
  NodeSet room_, some_, taken_;   // scratch
  std::vector<int64_t> amounts_;  // scratch
  std::vector<Charge> all_;       // scratch
  std::vector<AnyCharge> any_;    // scratch
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_QUOTA_LEDGER_H_
