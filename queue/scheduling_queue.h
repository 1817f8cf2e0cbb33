// Pending groups in three parts: active (to be tried), backoff (tried, waiting a little) and
// unschedulable (waiting for an event that can help). Gated and held groups wait beside them.
// Active groups go in the order of FairShare; those without room in their queue stay active.
//
// Source of the rules and numbers: kube-scheduler's scheduling queue (reference 3.3).
// Decision thread only; time comes in as an argument.
#ifndef MUSTER_QUEUE_SCHEDULING_QUEUE_H_
#define MUSTER_QUEUE_SCHEDULING_QUEUE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "queue/backoff.h"
#include "queue/fair_share.h"
#include "queue/indexed_heap.h"
#include "queue/queued_group.h"
#include "scheduler/model/ids.h"
#include "scheduler/model/pod.h"
#include "scheduler/model/snapshot.h"

namespace muster {

class SchedulingQueue {
 public:
  // Before(a, b): a is to be tried first; must be a strict order up to equal keys (sequence decides
  // those).
  using Before = std::function<bool(const QueuedGroup& a, const QueuedGroup& b)>;

  SchedulingQueue(Backoff backoff, Duration max_unschedulable, const Before& before);

  // --- Pods come, change and go -------------------------------------------------------------
  // New pending lone pod. `gated`: PreEnqueue said no.
  QueuedGroup& Add(PodPtr pod, PodInfoPtr info, uint32_t profile, bool gated, Time now);
  // New pending pod of the group `key`, which stays in its part; a new group is gated until SetGated.
  QueuedGroup& Join(const std::string& key, PodPtr pod, PodInfoPtr info, uint32_t profile, bool gated, Time now);
  // The group that the pod is in, or null; what is found is valid until a pod of the group goes.
  QueuedGroup* Find(const std::string& uid) const;
  QueuedMember* FindMember(const std::string& uid);
  QueuedGroup* FindGroup(const std::string& key);
  // All but lone pods, by key.
  const absl::flat_hash_map<std::string, QueuedGroup*>& named() const { return groups_; }
  // A group goes with its last pod.
  void Remove(const std::string& uid);
  // The pod changed; the group stays in its part.
  void Update(const std::string& uid, PodPtr pod, PodInfoPtr info);
  // `partial`: some of the pods that must run together do so already; such a group is tried before all
  // others, so that they do not take the room that completes it.
  void SetOrder(QueuedGroup& group, int32_t priority, bool partial);
  // The queue that it is charged to, and what it asks of that; `max_runtime` as QueuedGroup's. In a queue it waits
  // since `since`, whatever happens to it.
  void SetDemand(QueuedGroup& group, QueueIndex queue, std::vector<Charge> demand, std::vector<AnyCharge> either,
                 Duration max_runtime, Time since);
  // Room is kept for it in its queue, or no more.
  void SetReserved(QueuedGroup& group, bool reserved);
  // It goes through the burst lane, or no more.
  void SetExpress(QueuedGroup& group, bool express);
  // Moves a gated group in, or gates one that waits.
  void SetGated(QueuedGroup& group, bool gated, Time now);
  // A group that is in no part has a pod to be tried again.
  void Enter(QueuedGroup& group, Time now);

  // --- Quota ---------------------------------------------------------------------------------
  // As FairShare::Build. Groups keep their queues: SetDemand each of which the index or the demand is another now.
  void SetQueues(const QuotaTree& tree, const std::vector<Queue::Order>& orders, FairShare::GoesAhead goes_ahead);
  // What is charged to the queue changed: before the next Pop.
  void Charged(QueueIndex queue) { active_.Changed(queue); }
  // As FairShare::SetPast.
  void SetPast(QueueIndex queue, std::span<const int64_t> usage, std::span<const int64_t> own) {
    active_.SetPast(queue, usage, own);
  }
  // What GoesAhead says may be something else now.
  void Reconsider() { active_.Reconsider(); }
  const FairShare& order() const { return active_; }
  // As FairShare::TopOfTrial, of the active.
  QueuedGroup* TopOfTrial(const QuotaTree& tree, Time now) { return active_.TopOfTrial(tree, now); }

  // --- The cycle -----------------------------------------------------------------------------
  // The group to try next, now in no part; null if none is ready. Takes from backoff what was
  // merely rejected before when nothing active may go.
  QueuedGroup* Pop(Time now);
  // Takes an active group out although it has no room in its queue: room may be made.
  void Take(QueuedGroup& group);
  // None can: it is active again. `version` and the backoff keep it from being taken soon (QueuedGroup::room_again).
  void NoRoom(QueuedGroup& group, uint64_t version, Time now);
  // Whether Pop would find one.
  bool Ready() { return backing_off() > 0 || active_.Top() != nullptr; }
  // It fits nowhere: waits for `wake_on`.
  void Rejected(QueuedGroup& group, Time now);
  // Something broke (bind refused, plugin error): tried again after backoff.
  void Failed(QueuedGroup& group, Time now);

  // Keeps an unschedulable group from being tried, whatever happens, until Release, Park or Failed: what it
  // waits for is being prepared.
  void Hold(QueuedGroup& group);
  // It waits for `wake_on` again, or is woken if something of that came meanwhile. No effect unless held.
  void Release(QueuedGroup& group, Time now);
  // None of its pods is to be tried: it is in no part until Enter or Failed.
  void Park(QueuedGroup& group) { Detach(group); }

  // --- Events --------------------------------------------------------------------------------
  // Wakes every unschedulable group with (wake_on & events) that may_help approves. may_help is asked once
  // for all lone pods of a shape: they were rejected for equal reasons. Of those of a shape that wait for room that is
  // kept for them (QueuedGroup::reserved), those are woken that it is for (is_for), and one more: what one pod leaves
  // is enough for one, and thousands may wait.
  void Wake(uint64_t events, absl::FunctionRef<bool(const QueuedGroup&)> may_help,
            absl::FunctionRef<bool(const QueuedGroup&)> is_for, Time now);
  void WakeOne(QueuedGroup& group, Time now);
  // Moves groups whose backoff is over to active, and wakes those unschedulable for too long.
  void Flush(Time now);
  // When Flush or Pop has something to do next; InfiniteFuture if never.
  Time NextDeadline() const;

  // How many groups each part has.
  size_t active() const { return active_.size(); }
  size_t backing_off() const { return backoff_.size() + error_backoff_.size(); }
  size_t unschedulable() const { return unschedulable_count_ + held_.size(); }
  size_t gated() const { return gated_count_; }
  // Pods in a part; in all.
  size_t PodsIn(QueuedGroup::Part part) const { return pods_in_[static_cast<size_t>(part)]; }
  size_t size() const { return refs_.size(); }
  // All groups, in arrival order (slow; for reports).
  std::vector<const QueuedGroup*> Groups() const;

 private:
  bool GoesFirst(const QueuedGroup& a, const QueuedGroup& b) const;
  using Bucket = std::vector<QueuedGroup*>;  // groups that equal reasons reject, by heap_index
  struct Ref {
    std::shared_ptr<QueuedGroup> group;
    uint32_t index = 0;  // in its members
  };

  // Lone pods of one shape and profile share a bucket.
  static const void* BucketOf(const QueuedGroup& group);
  QueuedGroup& Insert(std::shared_ptr<QueuedGroup> group, PodPtr pod, PodInfoPtr info, bool gated);
  std::shared_ptr<QueuedGroup> Make(uint32_t profile, int32_t priority, Time now);
  void Detach(QueuedGroup& group);
  void Attach(QueuedGroup& group, QueuedGroup::Part part);
  static bool Blocks(QueuedGroup::Part part) {
    return part == QueuedGroup::Part::kBackoff || part == QueuedGroup::Part::kUnschedulable ||
           part == QueuedGroup::Part::kHeld;
  }
  void Enqueue(QueuedGroup& group, Time now);  // to active, or to backoff while that lasts
  IndexedHeap<QueuedGroup>& BackoffOf(const QueuedGroup& group) {
    return group.backoff_is_error ? error_backoff_ : backoff_;
  }

  Backoff backoff_rule_;
  Duration max_unschedulable_;
  uint64_t next_sequence_ = 0;
  absl::flat_hash_map<std::string, Ref> refs_;             // by uid
  absl::flat_hash_map<std::string, QueuedGroup*> groups_;  // by key, but for lone pods
  FairShare active_;
  IndexedHeap<QueuedGroup> backoff_;        // after a rejection: may be tried early
  IndexedHeap<QueuedGroup> error_backoff_;  // after an error: always waited for
  absl::flat_hash_map<const void*, Bucket> unschedulable_;
  std::vector<QueuedGroup*> held_;
  std::vector<const void*> bucket_order_;  // deterministic iteration over the map
  size_t unschedulable_count_ = 0, gated_count_ = 0;
  std::array<size_t, 6> pods_in_ = {};
  Time next_leftover_flush_ = absl::InfiniteFuture();
};

}  // namespace muster

#endif  // MUSTER_QUEUE_SCHEDULING_QUEUE_H_
