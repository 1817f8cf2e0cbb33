#include "queue/scheduling_queue.h"

#include <algorithm>
#include <utility>

namespace muster {
namespace {

constexpr Duration kLeftoverScan = absl::Seconds(30);

// Backoffs end in windows of a second, and inside a window by priority, so that a pod of low
// priority does not slip in just before one of high priority.
Time Window(Time t) { return absl::FromUnixSeconds(absl::ToUnixSeconds(t)); }

SchedulingQueue::Before WithSequence(SchedulingQueue::Before before) {
  return [before = std::move(before)](const QueuedGroup& a, const QueuedGroup& b) {
    if (before(a, b)) return true;
    if (before(b, a)) return false;
    return a.sequence < b.sequence;
  };
}

SchedulingQueue::Before ByBackoff(SchedulingQueue::Before before) {
  return [order = WithSequence(std::move(before))](const QueuedGroup& a, const QueuedGroup& b) {
    const Time wa = Window(a.backoff_until), wb = Window(b.backoff_until);
    return wa != wb ? wa < wb : order(a, b);
  };
}

}  // namespace

SchedulingQueue::SchedulingQueue(Backoff backoff, Duration max_unschedulable, const Before& before)
    : backoff_rule_(backoff),
      max_unschedulable_(max_unschedulable),
      active_(WithSequence(before)),
      backoff_(ByBackoff(before)),
      error_backoff_(ByBackoff(before)) {}

QueuedGroup& SchedulingQueue::Add(PodPtr pod, PodInfoPtr info, uint32_t profile, bool gated, Time now) {
  auto owned = std::make_unique<QueuedGroup>();
  QueuedGroup& group = *owned;
  groups_[pod->uid] = std::move(owned);
  group.pod = std::move(pod);
  group.info = std::move(info);
  group.profile = profile;
  group.sequence = next_sequence_++;
  group.queued_at = group.first_seen = now;
  Attach(group, gated ? QueuedGroup::Part::kGated : QueuedGroup::Part::kActive);
  return group;
}

QueuedGroup* SchedulingQueue::Find(const std::string& uid) {
  auto it = groups_.find(uid);
  return it == groups_.end() ? nullptr : it->second.get();
}

void SchedulingQueue::Remove(const std::string& uid) {
  auto it = groups_.find(uid);
  if (it == groups_.end()) return;
  Detach(*it->second);
  groups_.erase(it);
}

void SchedulingQueue::Update(QueuedGroup& group, PodPtr pod, PodInfoPtr info) {
  const QueuedGroup::Part part = group.part;
  Detach(group);
  group.pod = std::move(pod);
  group.info = std::move(info);
  Attach(group, part);
}

void SchedulingQueue::SetGated(QueuedGroup& group, bool gated, Time now) {
  if (gated == (group.part == QueuedGroup::Part::kGated) || group.part == QueuedGroup::Part::kHeld) return;
  Detach(group);
  group.queued_at = now;
  Attach(group, gated ? QueuedGroup::Part::kGated : QueuedGroup::Part::kActive);
}

void SchedulingQueue::Detach(QueuedGroup& group) {
  switch (std::exchange(group.part, QueuedGroup::Part::kNone)) {
    case QueuedGroup::Part::kActive: active_.Remove(&group); break;
    case QueuedGroup::Part::kBackoff: BackoffOf(group).Remove(&group); break;
    case QueuedGroup::Part::kGated: --gated_count_; break;
    case QueuedGroup::Part::kHeld: std::erase(held_, &group); break;
    case QueuedGroup::Part::kUnschedulable: {
      Bucket& bucket = unschedulable_[group.info.get()];
      bucket[group.heap_index] = bucket.back();
      bucket[group.heap_index]->heap_index = group.heap_index;
      bucket.pop_back();
      --unschedulable_count_;
      if (!bucket.empty()) break;
      unschedulable_.erase(group.info.get());
      bucket_order_.erase(std::find(bucket_order_.begin(), bucket_order_.end(), group.info.get()));
      break;
    }
    case QueuedGroup::Part::kNone: break;
  }
}

void SchedulingQueue::Attach(QueuedGroup& group, QueuedGroup::Part part) {
  group.part = part;
  switch (part) {
    case QueuedGroup::Part::kActive: active_.Push(&group); break;
    case QueuedGroup::Part::kBackoff: BackoffOf(group).Push(&group); break;
    case QueuedGroup::Part::kGated: ++gated_count_; break;
    case QueuedGroup::Part::kHeld: held_.push_back(&group); break;
    case QueuedGroup::Part::kUnschedulable: {
      Bucket& bucket = unschedulable_[group.info.get()];
      if (bucket.empty()) bucket_order_.push_back(group.info.get());
      group.heap_index = bucket.size();
      bucket.push_back(&group);
      ++unschedulable_count_;
      break;
    }
    case QueuedGroup::Part::kNone: break;
  }
}

void SchedulingQueue::Enqueue(QueuedGroup& group, Time now) {
  Attach(group, group.backoff_until <= now ? QueuedGroup::Part::kActive : QueuedGroup::Part::kBackoff);
}

QueuedGroup* SchedulingQueue::Pop(Time now) {
  Flush(now);
  QueuedGroup* group = nullptr;
  if (!active_.empty()) {
    group = active_.Top();
  } else if (!backoff_.empty()) {
    group = backoff_.Top();
  } else {
    return nullptr;
  }
  Detach(*group);
  ++group->attempts;
  return group;
}

void SchedulingQueue::Rejected(QueuedGroup& group, Time now) {
  Detach(group);
  ++group.unschedulable_count;
  group.error_count = 0;
  group.backoff_is_error = false;
  group.backoff_until = now + backoff_rule_.After(group.unschedulable_count);
  group.rejected_at = now;
  Attach(group, QueuedGroup::Part::kUnschedulable);
  if (next_leftover_flush_ == absl::InfiniteFuture()) next_leftover_flush_ = now + kLeftoverScan;
}

void SchedulingQueue::Failed(QueuedGroup& group, Time now) {
  Detach(group);
  ++group.error_count;
  group.backoff_is_error = true;
  group.backoff_until = now + backoff_rule_.After(group.error_count);
  Enqueue(group, now);
}

void SchedulingQueue::Hold(QueuedGroup& group) {
  Detach(group);
  group.woken = false;
  Attach(group, QueuedGroup::Part::kHeld);
}

void SchedulingQueue::Release(QueuedGroup& group, Time now) {
  if (group.part != QueuedGroup::Part::kHeld) return;
  Detach(group);
  Attach(group, QueuedGroup::Part::kUnschedulable);
  if (group.woken) WakeOne(group, now);
}

void SchedulingQueue::WakeOne(QueuedGroup& group, Time now) {
  if (group.part == QueuedGroup::Part::kHeld) group.woken = true;
  if (group.part != QueuedGroup::Part::kUnschedulable) return;
  Detach(group);
  group.queued_at = now;
  Enqueue(group, now);
}

void SchedulingQueue::Wake(uint32_t events, absl::FunctionRef<bool(const QueuedGroup&)> may_help, Time now) {
  for (QueuedGroup* group : held_) {
    if (!group->woken && (group->wake_on & events) != 0) group->woken = may_help(*group);
  }
  for (size_t i = 0; i < bucket_order_.size();) {
    const PodInfo* shape = bucket_order_[i];
    const Bucket& bucket = unschedulable_.find(shape)->second;
    // Equal pods differ only in when they were last tried: any of them stands for all.
    const QueuedGroup& first = *bucket.front();
    if ((first.wake_on & events) == 0 || !may_help(first)) {
      ++i;
      continue;
    }
    const Bucket woken = bucket;
    for (QueuedGroup* group : woken) WakeOne(*group, now);  // removes the bucket: i is the next one
  }
}

void SchedulingQueue::Flush(Time now) {
  for (IndexedHeap<QueuedGroup>* heap : {&backoff_, &error_backoff_}) {
    while (!heap->empty() && heap->Top()->backoff_until <= now) {
      QueuedGroup& group = *heap->Top();
      Detach(group);
      Attach(group, QueuedGroup::Part::kActive);
    }
  }
  if (now < next_leftover_flush_) return;
  std::vector<QueuedGroup*> old;
  for (const PodInfo* shape : bucket_order_) {
    for (QueuedGroup* group : unschedulable_[shape]) {
      if (now - group->rejected_at > max_unschedulable_) old.push_back(group);
    }
  }
  for (QueuedGroup* group : old) WakeOne(*group, now);
  next_leftover_flush_ = unschedulable_count_ == 0 ? absl::InfiniteFuture() : now + kLeftoverScan;
}

Time SchedulingQueue::NextDeadline() const {
  Time next = unschedulable_count_ == 0 ? absl::InfiniteFuture() : next_leftover_flush_;
  for (const IndexedHeap<QueuedGroup>* heap : {&backoff_, &error_backoff_}) {
    if (!heap->empty()) next = std::min(next, heap->Top()->backoff_until);
  }
  return next;
}

std::vector<const QueuedGroup*> SchedulingQueue::Groups() const {
  std::vector<const QueuedGroup*> all;
  all.reserve(groups_.size());
  for (const auto& [uid, group] : groups_) all.push_back(group.get());
  std::sort(all.begin(), all.end(), [](const auto* a, const auto* b) { return a->sequence < b->sequence; });
  return all;
}

}  // namespace muster
