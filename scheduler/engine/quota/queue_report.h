// What is told of queues and of those that wait in them, at one instant: in the queues' status, in pods' conditions, by
// `muster queue` and in metrics. Computes and changes nothing.
//
// The order inside a queue: groups that may be tried before those that are gated, else the queue's own (priority, then
// age). Estimated starts look at quota alone: at the running pods that say when they end, nearest first, and take those
// before a group in its queue to start before it. They do not depend on the present, so that nothing changes where
// nothing happens.
//
// Decision thread only.
#ifndef MUSTER_SCHEDULER_ENGINE_QUOTA_QUEUE_REPORT_H_
#define MUSTER_SCHEDULER_ENGINE_QUOTA_QUEUE_REPORT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "queue/queued_group.h"
#include "queue/quota_tree.h"
#include "queue/release_times.h"
#include "queue/scheduling_queue.h"
#include "scheduler/engine/quota/ledger.h"
#include "scheduler/model/ids.h"
#include "scheduler/model/queue.h"
#include "scheduler/model/snapshot.h"

namespace muster {

// "0.125": thousandths, to the nearest, but never nothing for something; "inf".
std::string ShareText(const Share& share);

class QueueReport {
 public:
  // Why a group is not tried now for other reasons than quota, for people; "" where there is nothing to say.
  using Why = std::function<std::string(const QueuedGroup&)>;

  // What is given outlives this, and does not change meanwhile. The ledger is refreshed.
  QueueReport(Ledger& ledger, const SchedulingQueue& queue, const ReleaseTimes& releases, const Snapshot& snapshot,
              Time now, Why why);

  // Of the i-th of QueueCatalog::entries, with the first `most` of those that wait; without `transition`. Pending and
  // running pods are those charged to the queue itself, usage is with its children's.
  QueueStatus StatusOf(size_t entry, size_t most = 10);

  // The groups with pods that wait in the queue, in order.
  std::span<const QueuedGroup* const> Waiting(QueueIndex q) const { return waiting_[q]; }
  // Of Waiting(q)[place].
  QueueStatus::Pending Describe(QueueIndex q, size_t place);
  // The same for the pod's condition, in a line.
  std::string TextOf(QueueIndex q, size_t place);
  // Whether it is its queue that keeps the group from being tried: no room, or somebody before it.
  bool Blocked(QueueIndex q, size_t place) const;

 private:
  struct End {
    Time at;
    QueueIndex queue = kNoQueue;
    uint32_t first = 0, count = 0;  // in charges_
  };
  struct Start {
    Time at = absl::InfiniteFuture();
    std::string assumption;
  };
  class Walk;

  bool Fits(const QueuedGroup& group) const { return queue_.order().Fits(group); }
  std::string WaitingFor(QueueIndex q, size_t place) const;
  std::string Ahead(QueueIndex q, size_t place) const;
  void FindEnds();
  const Start& StartOf(QueueIndex q, size_t place);
  std::string Never(const QueuedGroup& group) const;
  std::string WhoDoesNotSay(const QueuedGroup& group) const;

  Ledger& ledger_;
  const SchedulingQueue& queue_;
  const ReleaseTimes& releases_;
  const Snapshot& snapshot_;
  const Time now_;
  const Why why_;
  std::vector<int64_t> running_;                          // by queue
  std::vector<std::vector<const QueuedGroup*>> waiting_;  // by queue
  std::map<QueueIndex, std::vector<Start>> starts_;       // by place
  bool ends_known_ = false;
  std::vector<End> ends_;        // by time
  std::vector<Charge> charges_;  // of ends_
  std::vector<bool> unsaid_;     // by queue and cell: charged there is a pod that does not say when it ends
  QuotaTree later_;              // scratch: the tree, between walks
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_QUOTA_QUEUE_REPORT_H_
