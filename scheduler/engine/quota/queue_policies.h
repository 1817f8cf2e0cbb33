// What queues do over time: shares that remember, budgets, burst lanes, and when running pods give room back.
//
// Decision thread only; time comes in as an argument and does not run backwards.
#ifndef MUSTER_SCHEDULER_ENGINE_QUOTA_QUEUE_POLICIES_H_
#define MUSTER_SCHEDULER_ENGINE_QUOTA_QUEUE_POLICIES_H_

#include <deque>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_set.h"
#include "queue/burst_bucket.h"
#include "queue/release_times.h"
#include "queue/scheduling_queue.h"
#include "queue/usage_history.h"
#include "scheduler/engine/quota/ledger.h"
#include "scheduler/model/ids.h"
#include "scheduler/model/pod.h"
#include "scheduler/model/snapshot.h"

namespace muster {

class QueuePolicies {
 public:
  // Shares and budgets are looked at so often while something waits.
  static constexpr Duration kTick = absl::Seconds(1);

  // All outlive this.
  QueuePolicies(Ledger& ledger, SchedulingQueue& queue, const Snapshot& snapshot)
      : ledger_(ledger), queue_(queue), snapshot_(snapshot) {}

  // After Ledger::Refresh said true, and SchedulingQueue::SetQueues.
  void Build(Time now);
  // After what is charged to the queue changed.
  void Charged(QueueIndex q, Time now);

  // A pod is on a row, or its start is known now; or it is gone from there. Without effect while there are no queues.
  void OnRunning(const Pod& pod, const PodInfo& info, NodeIndex row, Time now);
  void OnGone(const std::string& uid) { releases_.Remove(uid); }

  // Why the queue may start nothing: it, or a queue above it, has used up its budget; "" where it may.
  std::string OverBudget(QueueIndex q) const;

  // Whether a lone pod that waits goes through its queue's burst lane now; if it is of the lane, and there are no
  // tokens, Advance will say when. To be asked as often as one likes.
  bool GoesExpress(const QueuedGroup& group, Time now);
  void Forget(const std::string& uid) { in_lane_.erase(uid); }

  // What time alone brings about: shares, lanes and budgets. True: budgets say something else now, and all that waits
  // is to be assigned anew.
  bool Advance(Time now);
  // When Advance has something to do; InfiniteFuture: not before something else happens.
  Time NextDeadline(Time now) const;
  // Whether something waits for a time that is known: tokens, or a budget.
  bool Waits(Time now) const;

  // Whether the group may go ahead of a group of its Backfill queue that may not go.
  bool GoesAhead(const QueuedGroup& group, const QueuedGroup& blocked);

  const UsageHistory& history() const { return history_; }
  ReleaseTimes& releases() { return releases_; }

 private:
  struct Lane {
    BurstBucket bucket;
    std::deque<std::string> waiting;  // uids, the first first; some are gone
  };

  bool CheckBudgets(Time now);
  void ReadPast(Time now);
  // The first of those that wait in the lane and still do; null where none does.
  QueuedGroup* FirstOf(Lane& lane);

  Ledger& ledger_;
  SchedulingQueue& queue_;
  const Snapshot& snapshot_;
  UsageHistory history_;
  ReleaseTimes releases_;
  absl::btree_map<std::string, Lane> lanes_;  // by queue
  absl::flat_hash_set<std::string> in_lane_;  // uids that took tokens or wait for some
  std::vector<bool> over_;                    // by queue: its budget is used up
  bool fades_ = false, has_budgets_ = false, backfills_ = false;
  Time now_;  // as last told
  Time ticked_ = absl::InfinitePast();
  UsageHistory::Average average_;  // scratch
  std::vector<Charge> charges_;    // scratch
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_QUOTA_QUEUE_POLICIES_H_
