#include "queue/release_times.h"

#include <algorithm>

#include "queue/fair_share.h"

namespace muster {
namespace {

QueueIndex RootOf(const QuotaTree& tree, QueueIndex q) {
  while (tree.parent(q) != kNoQueue) q = tree.parent(q);
  return q;
}

// All that the group may be charged.
void AddAll(QuotaTree& tree, const QueuedGroup& group, int64_t sign) {
  if (group.queue == kNoQueue) return;
  for (const Charge& charge : group.demand) tree.Add(group.queue, charge.cell, sign * charge.amount);
  for (const AnyCharge& any : group.either) {
    for (const QuotaCell cell : any.cells) tree.Add(group.queue, cell, sign * any.each * any.pods);
  }
}

}  // namespace

void ReleaseTimes::Add(const std::string& uid, QueueIndex queue, std::span<const Charge> charges, Time end) {
  Remove(uid);
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<uint32_t>(pods_.size()));
    pods_.emplace_back();
  }
  const uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  slot_of_.emplace(uid, slot);
  Pod& pod = pods_[slot];
  pod.queue = queue;
  pod.charges.assign(charges.begin(), charges.end());
  pod.end = end;
  if (end == absl::InfiniteFuture()) return;
  ends_.emplace(end, slot);
  for (const Charge& charge : charges) {
    if (charge.cell >= ends_in_.size()) ends_in_.resize(charge.cell + 1);
    ends_in_[charge.cell].emplace(end, slot);
  }
  ++version_;
}

void ReleaseTimes::Remove(const std::string& uid) {
  const auto at = slot_of_.find(uid);
  if (at == slot_of_.end()) return;
  if (pods_[at->second].end != absl::InfiniteFuture()) EraseEnd(at->second);
  free_slots_.push_back(at->second);
  slot_of_.erase(at);
}

void ReleaseTimes::EraseEnd(uint32_t slot) {
  const Pod& pod = pods_[slot];
  ends_.erase({pod.end, slot});
  for (const Charge& charge : pod.charges) ends_in_[charge.cell].erase({pod.end, slot});
  ++version_;
}

Time ReleaseTimes::EndOf(const std::string& uid) const {
  const auto at = slot_of_.find(uid);
  return at == slot_of_.end() ? absl::InfiniteFuture() : pods_[at->second].end;
}

void ReleaseTimes::Clear() {
  pods_.clear();
  free_slots_.clear();
  slot_of_.clear();
  ends_.clear();
  ends_in_.clear();
  answers_.clear();
  later_of_ = kNoQueue;
}

void ReleaseTimes::Forget(Time now) {
  while (!ends_.empty() && ends_.begin()->first + kGrace < now) {
    const uint32_t slot = ends_.begin()->second;
    EraseEnd(slot);
    pods_[slot].end = absl::InfiniteFuture();
  }
}

Time ReleaseTimes::Find(const QuotaTree& tree, const QueuedGroup& head, Time now) {
  later_ = tree;
  later_of_ = head.queue;
  if (Fits(later_, head)) return now;
  const QueueIndex root = RootOf(tree, head.queue);
  next_.clear();
  const auto look_in = [&](QuotaCell cell) {
    const bool known = std::any_of(next_.begin(), next_.end(), [&](const auto& next) { return next.first == cell; });
    if (!known && cell < ends_in_.size()) next_.emplace_back(cell, ends_in_[cell].begin());
  };
  for (const Charge& charge : head.demand) look_in(charge.cell);
  for (const AnyCharge& any : head.either) std::for_each(any.cells.begin(), any.cells.end(), look_in);
  while (true) {
    Time end = absl::InfiniteFuture();
    for (const auto& [cell, at] : next_) {
      if (at != ends_in_[cell].end()) end = std::min(end, at->first);
    }
    if (end == absl::InfiniteFuture()) return end;
    end = std::max(end, now);
    bool helps = false;
    for (auto& [cell, at] : next_) {
      for (; at != ends_in_[cell].end() && at->first <= end; ++at) {
        const Pod& pod = pods_[at->second];
        if (RootOf(tree, pod.queue) != root) continue;
        for (const Charge& charge : pod.charges) {
          if (charge.cell != cell) continue;
          later_.Add(pod.queue, cell, -charge.amount);
          helps = true;
        }
      }
    }
    if (helps && Fits(later_, head)) return end;
  }
}

bool ReleaseTimes::Known(const QuotaTree& tree, const QueuedGroup& head) const {
  const Answer& answer = answers_[head.queue];
  return answer.tree == tree.fingerprint() && answer.ends == version_ + 1 && answer.demand == head.demand &&
         answer.either == head.either;
}

Time ReleaseTimes::StartOf(const QuotaTree& tree, const QueuedGroup& head, Time now) {
  Forget(now);
  answers_.resize(tree.size());
  Answer& answer = answers_[head.queue];
  if (!Known(tree, head)) answer = {tree.fingerprint(), version_ + 1, head.demand, head.either, Find(tree, head, now)};
  return std::max(answer.start, now);
}

bool ReleaseTimes::MayGoAhead(QuotaTree& tree, const QueuedGroup& group, const QueuedGroup& head, Time now) {
  const Time start = StartOf(tree, head, now), end = now + group.max_runtime;
  if (end < absl::InfiniteFuture() && end <= start) return true;
  if (LeavesBe(tree, group, head)) return true;
  if (start == absl::InfiniteFuture()) return false;
  if (later_of_ != head.queue) Find(tree, head, now);
  AddAll(later_, group, 1);
  const bool both = Fits(later_, head);
  AddAll(later_, group, -1);
  return both;
}

bool ReleaseTimes::LeavesBe(QuotaTree& tree, const QueuedGroup& group, const QueuedGroup& head) {
  const auto available = [&] {
    available_.clear();
    for (const Charge& charge : head.demand) available_.push_back(tree.Available(head.queue, charge.cell));
    for (const AnyCharge& any : head.either) {
      for (const QuotaCell cell : any.cells) available_.push_back(tree.Available(head.queue, cell));
    }
  };
  available();
  before_.swap(available_);
  AddAll(tree, group, 1);
  available();
  AddAll(tree, group, -1);
  for (size_t i = 0; i < available_.size(); ++i) {
    const bool enough = i < head.demand.size() && available_[i] >= head.demand[i].amount;
    if (available_[i] != before_[i] && !enough) return false;
  }
  return true;
}

}  // namespace muster
