#include "queue/scheduling_queue.h"

#include <algorithm>
#include <utility>

namespace muster {
namespace {

constexpr Duration kLeftoverScan = absl::Seconds(30);
// Of an event's room one of a shape is told that waits for room that is kept for it; there may be enough for more.
constexpr Duration kKeptScan = absl::Seconds(1);

// Backoffs end in windows of a second, and inside a window by priority, so that a pod of low
// priority does not slip in just before one of high priority.
Time Window(Time t) { return absl::FromUnixSeconds(absl::ToUnixSeconds(t)); }

SchedulingQueue::Before WithSequence(SchedulingQueue::Before before) {
  return [before = std::move(before)](const QueuedGroup& a, const QueuedGroup& b) {
    if (a.partial != b.partial) return a.partial;
    if (a.reserved != b.reserved) return a.reserved;
    if (a.express != b.express) return a.express;
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

std::shared_ptr<QueuedGroup> SchedulingQueue::Make(uint32_t profile, int32_t priority, Time now) {
  auto group = std::make_shared<QueuedGroup>();
  group->profile = profile;
  group->priority = priority;
  group->sequence = next_sequence_++;
  group->queued_at = group->first_seen = now;
  return group;
}

QueuedGroup& SchedulingQueue::Insert(std::shared_ptr<QueuedGroup> group, PodPtr pod, PodInfoPtr info, bool gated) {
  QueuedGroup& to = *group;
  Ref& ref = refs_[pod->uid];
  ref.group = std::move(group);
  ref.index = static_cast<uint32_t>(to.members.size());
  QueuedMember& member = to.members.emplace_back();
  member.pod = std::move(pod);
  member.info = std::move(info);
  member.gated = gated;
  ++pods_in_[static_cast<size_t>(to.part)];
  return to;
}

QueuedGroup& SchedulingQueue::Add(PodPtr pod, PodInfoPtr info, uint32_t profile, bool gated, Time now) {
  const int32_t priority = info->spec->priority;
  QueuedGroup& group = Insert(Make(profile, priority, now), std::move(pod), std::move(info), gated);
  Attach(group, gated ? QueuedGroup::Part::kGated : QueuedGroup::Part::kActive);
  return group;
}

QueuedGroup& SchedulingQueue::Join(const std::string& key, PodPtr pod, PodInfoPtr info, uint32_t profile, bool gated,
                                   Time now) {
  if (const auto it = groups_.find(key); it != groups_.end()) {
    return Insert(refs_.find(it->second->first().pod->uid)->second.group, std::move(pod), std::move(info), gated);
  }
  const int32_t priority = info->spec->priority;
  QueuedGroup& group = Insert(Make(profile, priority, now), std::move(pod), std::move(info), gated);
  group.key = key;
  groups_[key] = &group;
  Attach(group, QueuedGroup::Part::kGated);
  return group;
}

QueuedGroup* SchedulingQueue::Find(const std::string& uid) const {
  const auto it = refs_.find(uid);
  return it == refs_.end() ? nullptr : it->second.group.get();
}

QueuedMember* SchedulingQueue::FindMember(const std::string& uid) {
  const auto it = refs_.find(uid);
  return it == refs_.end() ? nullptr : &it->second.group->members[it->second.index];
}

QueuedGroup* SchedulingQueue::FindGroup(const std::string& key) {
  const auto it = groups_.find(key);
  return it == groups_.end() ? nullptr : it->second;
}

void SchedulingQueue::Remove(const std::string& uid) {
  const auto it = refs_.find(uid);
  if (it == refs_.end()) return;
  const Ref ref = std::move(it->second);
  refs_.erase(it);
  QueuedGroup& group = *ref.group;
  if (group.members.size() == 1) {
    Detach(group);
    --pods_in_[static_cast<size_t>(group.part)];
    if (!group.lone()) groups_.erase(group.key);
    return;
  }
  if (ref.index + 1 < group.members.size()) {
    group.members[ref.index] = std::move(group.members.back());
    refs_.find(group.members[ref.index].pod->uid)->second.index = ref.index;
  }
  group.members.pop_back();
  --pods_in_[static_cast<size_t>(group.part)];
}

void SchedulingQueue::Update(const std::string& uid, PodPtr pod, PodInfoPtr info) {
  const Ref& ref = refs_.find(uid)->second;
  QueuedGroup& group = *ref.group;
  QueuedMember& member = group.members[ref.index];
  const QueuedGroup::Part part = group.part;
  Detach(group);  // its bucket or place may be another now
  member.pod = std::move(pod);
  member.info = std::move(info);
  if (group.lone()) group.priority = member.info->spec->priority;
  Attach(group, part);
}

void SchedulingQueue::SetOrder(QueuedGroup& group, int32_t priority, bool partial) {
  if (group.priority == priority && group.partial == partial) return;
  const QueuedGroup::Part part = group.part;
  Detach(group);
  group.priority = priority;
  group.partial = partial;
  Attach(group, part);
}

void SchedulingQueue::SetDemand(QueuedGroup& group, QueueIndex queue, std::vector<Charge> demand,
                                std::vector<AnyCharge> either, Duration max_runtime, Time since) {
  if (queue == kNoQueue) since = group.queued_at;
  if (group.queue == queue && group.demand == demand && group.either == either && group.max_runtime == max_runtime &&
      group.queued_at == since)
    return;
  const QueuedGroup::Part part = group.part;
  Detach(group);
  group.queue = queue;
  group.demand = std::move(demand);
  group.either = std::move(either);
  group.max_runtime = max_runtime;
  group.queued_at = since;
  Attach(group, part);
}

void SchedulingQueue::SetReserved(QueuedGroup& group, bool reserved) {
  if (group.reserved == reserved) return;
  const QueuedGroup::Part part = group.part;
  Detach(group);
  group.reserved = reserved;
  Attach(group, part);
  if (reserved) next_leftover_flush_ = std::min(next_leftover_flush_, group.rejected_at + kKeptScan);
}

void SchedulingQueue::SetExpress(QueuedGroup& group, bool express) {
  if (group.express == express) return;
  const QueuedGroup::Part part = group.part;
  Detach(group);
  group.express = express;
  Attach(group, part);
}

void SchedulingQueue::SetQueues(const QuotaTree& tree, const std::vector<Queue::Order>& orders,
                                FairShare::GoesAhead goes_ahead) {
  // Indices are others now: nobody is in while the tree is exchanged.
  active_.Suspend();
  std::vector<std::pair<QueuedGroup*, QueuedGroup::Part>> in;
  for (const QueuedGroup* each : Groups()) {
    auto* const group = const_cast<QueuedGroup*>(each);
    if (group->part != QueuedGroup::Part::kActive && !Blocks(group->part)) {
      group->queue = kNoQueue;
      group->demand.clear();
      group->either.clear();
      continue;
    }
    in.emplace_back(group, group->part);
    Detach(*group);
    group->queue = kNoQueue;
    group->demand.clear();
    group->either.clear();
  }
  active_.Build(tree, orders, std::move(goes_ahead));
  for (const auto& [group, part] : in) Attach(*group, part);
}

void SchedulingQueue::Enter(QueuedGroup& group, Time now) {
  if (group.part != QueuedGroup::Part::kNone) return;
  if (group.queue == kNoQueue) group.queued_at = now;
  Enqueue(group, now);
}

const void* SchedulingQueue::BucketOf(const QueuedGroup& group) {
  // What a pod asks of topology is no part of its shape, nor which claims it has.
  if (!group.lone() || group.first().pod->topology.present() || !group.first().pod->claims.empty()) return &group;
  return group.first().info.get();
}

void SchedulingQueue::SetGated(QueuedGroup& group, bool gated, Time now) {
  if (gated == (group.part == QueuedGroup::Part::kGated) || group.part == QueuedGroup::Part::kHeld) return;
  Detach(group);
  if (group.queue == kNoQueue) group.queued_at = now;
  Attach(group, gated ? QueuedGroup::Part::kGated : QueuedGroup::Part::kActive);
}

void SchedulingQueue::Detach(QueuedGroup& group) {
  pods_in_[static_cast<size_t>(group.part)] -= group.members.size();
  pods_in_[static_cast<size_t>(QueuedGroup::Part::kNone)] += group.members.size();
  if (Blocks(group.part)) active_.Unblock(&group);
  switch (std::exchange(group.part, QueuedGroup::Part::kNone)) {
    case QueuedGroup::Part::kActive: active_.Remove(&group); break;
    case QueuedGroup::Part::kBackoff: BackoffOf(group).Remove(&group); break;
    case QueuedGroup::Part::kGated: --gated_count_; break;
    case QueuedGroup::Part::kHeld: std::erase(held_, &group); break;
    case QueuedGroup::Part::kUnschedulable: {
      const void* const key = BucketOf(group);
      Bucket& bucket = unschedulable_[key];
      bucket[group.heap_index] = bucket.back();
      bucket[group.heap_index]->heap_index = group.heap_index;
      bucket.pop_back();
      --unschedulable_count_;
      if (!bucket.empty()) break;
      unschedulable_.erase(key);
      bucket_order_.erase(std::find(bucket_order_.begin(), bucket_order_.end(), key));
      break;
    }
    case QueuedGroup::Part::kNone: break;
  }
}

void SchedulingQueue::Attach(QueuedGroup& group, QueuedGroup::Part part) {
  pods_in_[static_cast<size_t>(group.part)] -= group.members.size();
  pods_in_[static_cast<size_t>(part)] += group.members.size();
  group.part = part;
  if (Blocks(part)) active_.Block(&group);
  switch (part) {
    case QueuedGroup::Part::kActive: active_.Push(&group); break;
    case QueuedGroup::Part::kBackoff: BackoffOf(group).Push(&group); break;
    case QueuedGroup::Part::kGated: ++gated_count_; break;
    case QueuedGroup::Part::kHeld: held_.push_back(&group); break;
    case QueuedGroup::Part::kUnschedulable: {
      const void* const key = BucketOf(group);
      Bucket& bucket = unschedulable_[key];
      if (bucket.empty()) bucket_order_.push_back(key);
      group.heap_index = bucket.size();
      bucket.push_back(&group);
      ++unschedulable_count_;
      break;
    }
    case QueuedGroup::Part::kNone: break;
  }
}

void SchedulingQueue::Enqueue(QueuedGroup& group, Time now) {
  // Room that is kept is not to lie idle.
  const bool ready = group.backoff_until <= now || (group.reserved && !group.backoff_is_error);
  Attach(group, ready ? QueuedGroup::Part::kActive : QueuedGroup::Part::kBackoff);
}

QueuedGroup* SchedulingQueue::Pop(Time now) {
  Flush(now);
  QueuedGroup* group = active_.Top();
  // What has no room in its queue is not tried before it has, wherever it waits; behind it somebody may have room.
  while (group == nullptr && !backoff_.empty()) {
    group = backoff_.Top();
    if (active_.Fits(*group)) break;
    Detach(*group);
    Attach(*std::exchange(group, nullptr), QueuedGroup::Part::kActive);
  }
  if (group != nullptr) Take(*group);
  return group;
}

void SchedulingQueue::Take(QueuedGroup& group) {
  Detach(group);
  ++group.attempts;
}

void SchedulingQueue::NoRoom(QueuedGroup& group, uint64_t version, Time now) {
  Detach(group);
  ++group.no_room_count;
  group.room_version = version;
  group.room_again = now + backoff_rule_.After(group.no_room_count, group.members.size());
  Attach(group, QueuedGroup::Part::kActive);
}

void SchedulingQueue::Rejected(QueuedGroup& group, Time now) {
  Detach(group);
  ++group.unschedulable_count;
  group.no_room_count = 0;
  group.error_count = 0;
  group.backoff_is_error = false;
  group.backoff_until = now + backoff_rule_.After(group.unschedulable_count, group.members.size());
  group.rejected_at = now;
  Attach(group, QueuedGroup::Part::kUnschedulable);
  next_leftover_flush_ = std::min(next_leftover_flush_, now + kLeftoverScan);
}

void SchedulingQueue::Failed(QueuedGroup& group, Time now) {
  Detach(group);
  ++group.error_count;
  group.backoff_is_error = true;
  group.backoff_until = now + backoff_rule_.After(group.error_count, group.members.size());
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
  if (group.queue == kNoQueue) group.queued_at = now;
  Enqueue(group, now);
}

// Of two that room is kept for, who may look first whether there is room elsewhere. They take turns.
bool SchedulingQueue::GoesFirst(const QueuedGroup& a, const QueuedGroup& b) const {
  if (a.express != b.express) return a.express;
  if (a.attempts != b.attempts) return a.attempts < b.attempts;
  return active_.ComesBefore(a, b);
}

void SchedulingQueue::Wake(uint64_t events, absl::FunctionRef<bool(const QueuedGroup&)> may_help,
                           absl::FunctionRef<bool(const QueuedGroup&)> is_for, Time now) {
  for (QueuedGroup* group : held_) {
    if (!group->woken && (group->wake_on & events) != 0) group->woken = may_help(*group);
  }
  for (size_t i = 0; i < bucket_order_.size();) {
    const void* key = bucket_order_[i];
    const Bucket& bucket = unschedulable_.find(key)->second;
    // Equal pods differ only in when they were last tried: any of them stands for all.
    const QueuedGroup& first = *bucket.front();
    if ((first.wake_on & events) == 0 || !may_help(first)) {
      ++i;
      continue;
    }
    std::vector<QueuedGroup*> woken;
    QueuedGroup* one = nullptr;
    for (QueuedGroup* group : bucket) {
      if (!group->reserved || is_for(*group)) {
        woken.push_back(group);
      } else if (one == nullptr || GoesFirst(*group, *one)) {
        one = group;
      }
    }
    if (one != nullptr) woken.push_back(one);
    const bool all = woken.size() == bucket.size();
    for (QueuedGroup* group : woken) WakeOne(*group, now);
    if (!all) ++i;  // else the bucket is gone: i is the next one
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
  for (const void* key : bucket_order_) {
    for (QueuedGroup* group : unschedulable_[key]) {
      if (now - group->rejected_at > max_unschedulable_ || group->reserved) old.push_back(group);
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
  for (const auto& [uid, ref] : refs_) {
    if (ref.index == 0) all.push_back(ref.group.get());
  }
  std::sort(all.begin(), all.end(), [](const auto* a, const auto* b) { return a->sequence < b->sequence; });
  return all;
}

}  // namespace muster
