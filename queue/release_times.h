// When quota will be free, from what is known of when running pods end: what backfill rests on. The head of a blocked
// queue has room reserved for it at the first instant at which it fits if what is known comes true (its start); those
// behind it may go ahead if they do not move that instant.
//
// A pod that is still there some time after its end (kGrace) has no known end any more: it takes as long as it takes.
// As long as the head's start is not known, only pods that do end go into the room that it lacks; so once the others
// there are gone, it is. Quota alone is looked at, not nodes.
//
// Answers are kept: asking again costs O(1) until what is charged, or a known end, is another. A first answer costs the
// tree's copy and O(depth) for each pod with a known end, charged in a cell that the head asks for, that ends by then.
// Decision thread only.
#ifndef MUSTER_QUEUE_RELEASE_TIMES_H_
#define MUSTER_QUEUE_RELEASE_TIMES_H_

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "queue/queued_group.h"
#include "queue/quota_tree.h"
#include "scheduler/model/ids.h"

namespace muster {

class ReleaseTimes {
 public:
  static constexpr Duration kGrace = absl::Minutes(1);

  // A pod that is charged to the queue, and its end if that is known (else InfiniteFuture). Anew: instead.
  void Add(const std::string& uid, QueueIndex queue, std::span<const Charge> charges, Time end);
  void Remove(const std::string& uid);
  // Queues have other indices: nothing is known.
  void Clear();
  size_t size() const { return slot_of_.size(); }
  // As added; InfiniteFuture: not known, or no such pod.
  Time EndOf(const std::string& uid) const;

  // The first instant, not before now, at which the head's demand is available in the tree; InfiniteFuture: unknown.
  // The tree has the charges of all pods that were added. `head.queue` is a queue.
  Time StartOf(const QuotaTree& tree, const QueuedGroup& head, Time now);

  // Whether the group may go ahead of the head, which does not fit now. One of these:
  // - it ends before the head's start (QueuedGroup::max_runtime from now);
  // - it takes nothing of what the head lacks, and leaves enough of the rest: in each cell as much is available to the
  //   head as before, or as much as it asks;
  // - at the head's start there is room for both.
  // Whether the group fits now is not asked. Where it needs any of several cells (AnyCharge), it counts in each. The
  // tree is as before when this returns.
  bool MayGoAhead(QuotaTree& tree, const QueuedGroup& group, const QueuedGroup& head, Time now);

 private:
  using Ends = std::set<std::pair<Time, uint32_t>>;  // with the pods' slots
  struct Pod {
    QueueIndex queue = kNoQueue;
    std::vector<Charge> charges;
    Time end;
  };
  // Asked about the queue, and what was answered.
  struct Answer {
    uint64_t tree = 0, ends = 0;  // fingerprint; 1 + version_
    std::vector<Charge> demand;
    std::vector<AnyCharge> either;
    Time start;
  };

  bool Known(const QuotaTree& tree, const QueuedGroup& head) const;
  // Takes from `later_` what ends until the head fits.
  Time Find(const QuotaTree& tree, const QueuedGroup& head, Time now);
  void Forget(Time now);
  void EraseEnd(uint32_t slot);
  bool LeavesBe(QuotaTree& tree, const QueuedGroup& group, const QueuedGroup& head);

  std::vector<Pod> pods_;  // by slot
  std::vector<uint32_t> free_slots_;
  absl::flat_hash_map<std::string, uint32_t> slot_of_;  // by uid
  Ends ends_;                                           // known ones
  std::vector<Ends> ends_in_;                           // the same by cell: of pods that are charged there
  uint64_t version_ = 0;                                // of ends_
  std::vector<Answer> answers_;                         // by queue
  QuotaTree later_;                                     // as it will be at the start of later_of_'s head
  QueueIndex later_of_ = kNoQueue;
  std::vector<int64_t> available_, before_;                       // scratch
  std::vector<std::pair<QuotaCell, Ends::const_iterator>> next_;  // scratch
};

}  // namespace muster

#endif  // MUSTER_QUEUE_RELEASE_TIMES_H_
