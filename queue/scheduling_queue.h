// Pending groups in three parts: active (to be tried), backoff (tried, waiting a little) and
// unschedulable (waiting for an event that can help). Gated and held groups wait beside them.
//
// Source of the rules and numbers: kube-scheduler's scheduling queue (reference 3.3).
// Decision thread only; time comes in as an argument.
#ifndef MUSTER_QUEUE_SCHEDULING_QUEUE_H_
#define MUSTER_QUEUE_SCHEDULING_QUEUE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "queue/backoff.h"
#include "queue/indexed_heap.h"
#include "scheduler/model/ids.h"
#include "scheduler/model/pod.h"
#include "scheduler/model/snapshot.h"

namespace muster {

// One or more pods placed as one; for now always one.
struct QueuedGroup {
  enum class Part : uint8_t { kNone, kActive, kBackoff, kUnschedulable, kGated, kHeld };

  PodPtr pod;
  PodInfoPtr info;
  uint32_t profile = 0;           // index of the profile that the pod asked for
  Part part = Part::kNone;
  uint32_t attempts = 0;          // decisions so far
  uint32_t unschedulable_count = 0;  // rejections since the last success of its spec
  uint32_t error_count = 0;       // consecutive failures that are nobody's rejection
  uint64_t sequence = 0;          // order of arrival, unique
  Time queued_at;                 // when it last entered the queue by an event (QueueSort's time)
  Time first_seen;
  Time rejected_at;               // when it entered kUnschedulable
  Time backoff_until;
  bool backoff_is_error = false;  // set only while in no part
  uint32_t wake_on = 0;           // ClusterEvents that may help
  std::vector<const void*> rejectors;  // opaque here: the plugins that said no
  std::string verdict;            // last message told to the user
  std::string nominated;          // the nominated node as last told or heard
  bool woken = false;             // while held: an event came that may help
  size_t heap_index = 0;          // position in the part that holds it
};

class SchedulingQueue {
 public:
  // Before(a, b): a is to be tried first; must be a strict order up to equal keys (sequence decides
  // those).
  using Before = std::function<bool(const QueuedGroup& a, const QueuedGroup& b)>;

  SchedulingQueue(Backoff backoff, Duration max_unschedulable, const Before& before);

  // --- Pods come, change and go -------------------------------------------------------------
  // New pending pod. `gated`: PreEnqueue said no.
  QueuedGroup& Add(PodPtr pod, PodInfoPtr info, uint32_t profile, bool gated, Time now);
  QueuedGroup* Find(const std::string& uid);
  void Remove(const std::string& uid);
  // The pod changed; the group stays in its part.
  void Update(QueuedGroup& group, PodPtr pod, PodInfoPtr info);
  // Moves a gated group in, or gates one that waits.
  void SetGated(QueuedGroup& group, bool gated, Time now);

  // --- The cycle -----------------------------------------------------------------------------
  // The group to try next, now in no part; null if none is ready. Takes from backoff what was
  // merely rejected before when nothing is active.
  QueuedGroup* Pop(Time now);
  // It fits nowhere: waits for `wake_on`.
  void Rejected(QueuedGroup& group, Time now);
  // Something broke (bind refused, plugin error): tried again after backoff.
  void Failed(QueuedGroup& group, Time now);

  // Keeps an unschedulable group from being tried, whatever happens, until Release or Failed: what it
  // waits for is being prepared.
  void Hold(QueuedGroup& group);
  // It waits for `wake_on` again, or is woken if something of that came meanwhile. No effect unless held.
  void Release(QueuedGroup& group, Time now);

  // --- Events --------------------------------------------------------------------------------
  // Wakes every unschedulable group with (wake_on & events) that may_help approves. may_help is
  // asked once per shape: equal pods were rejected for equal reasons.
  void Wake(uint32_t events, absl::FunctionRef<bool(const QueuedGroup&)> may_help, Time now);
  void WakeOne(QueuedGroup& group, Time now);
  // Moves groups whose backoff is over to active, and wakes those unschedulable for too long.
  void Flush(Time now);
  // When Flush or Pop has something to do next; InfiniteFuture if never.
  Time NextDeadline() const;

  size_t active() const { return active_.size(); }
  size_t backing_off() const { return backoff_.size() + error_backoff_.size(); }
  size_t unschedulable() const { return unschedulable_count_ + held_.size(); }
  size_t gated() const { return gated_count_; }
  size_t size() const { return groups_.size(); }
  // All groups, in arrival order (slow; for reports).
  std::vector<const QueuedGroup*> Groups() const;

 private:
  using Bucket = std::vector<QueuedGroup*>;  // groups of one shape and profile, by heap_index

  void Detach(QueuedGroup& group);
  void Attach(QueuedGroup& group, QueuedGroup::Part part);
  void Enqueue(QueuedGroup& group, Time now);  // to active, or to backoff while that lasts
  IndexedHeap<QueuedGroup>& BackoffOf(const QueuedGroup& group) {
    return group.backoff_is_error ? error_backoff_ : backoff_;
  }

  Backoff backoff_rule_;
  Duration max_unschedulable_;
  uint64_t next_sequence_ = 0;
  absl::flat_hash_map<std::string, std::unique_ptr<QueuedGroup>> groups_;  // by uid
  IndexedHeap<QueuedGroup> active_;
  IndexedHeap<QueuedGroup> backoff_;        // after a rejection: may be tried early
  IndexedHeap<QueuedGroup> error_backoff_;  // after an error: always waited for
  absl::flat_hash_map<const PodInfo*, Bucket> unschedulable_;
  std::vector<QueuedGroup*> held_;
  std::vector<const PodInfo*> bucket_order_;  // deterministic iteration over the map
  size_t unschedulable_count_ = 0, gated_count_ = 0;
  Time next_leftover_flush_ = absl::InfiniteFuture();
};

}  // namespace muster

#endif  // MUSTER_QUEUE_SCHEDULING_QUEUE_H_
