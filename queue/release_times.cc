#include "queue/release_times.h"

#include <algorithm>

#include "queue/fair_share.h"

namespace muster {
namespace {

QueueIndex RootOf(const QuotaTree& tree, QueueIndex q) {
  while (tree.parent(q) != kNoQueue) q = tree.parent(q);
  return q;
}

bool AsksFor(const QueuedGroup& group, QuotaCell cell) {
  return std::any_of(group.demand.begin(), group.demand.end(), [&](const Charge& c) { return c.cell == cell; }) ||
         std::any_of(group.either.begin(), group.either.end(), [&](const AnyCharge& any) {
           return std::find(any.cells.begin(), any.cells.end(), cell) != any.cells.end();
         });
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
  ++version_;
}

void ReleaseTimes::Remove(const std::string& uid) {
  const auto at = slot_of_.find(uid);
  if (at == slot_of_.end()) return;
  version_ += ends_.erase({pods_[at->second].end, at->second});
  free_slots_.push_back(at->second);
  slot_of_.erase(at);
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
  answers_.clear();
  later_of_ = kNoQueue;
}

void ReleaseTimes::Forget(Time now) {
  while (!ends_.empty() && ends_.begin()->first + kGrace < now) {
    pods_[ends_.begin()->second].end = absl::InfiniteFuture();
    ends_.erase(ends_.begin());
    ++version_;
  }
}

Time ReleaseTimes::Find(const QuotaTree& tree, const QueuedGroup& head, Time now) {
  later_ = tree;
  later_of_ = head.queue;
  if (Fits(later_, head)) return now;
  const QueueIndex root = RootOf(tree, head.queue);
  for (auto at = ends_.begin(); at != ends_.end();) {
    const Time end = std::max(at->first, now);
    bool helps = false;
    for (; at != ends_.end() && at->first <= end; ++at) {
      const Pod& pod = pods_[at->second];
      if (RootOf(tree, pod.queue) != root) continue;
      for (const Charge& charge : pod.charges) {
        if (!AsksFor(head, charge.cell)) continue;
        later_.Add(pod.queue, charge.cell, -charge.amount);
        helps = true;
      }
    }
    if (helps && Fits(later_, head)) return end;
  }
  return absl::InfiniteFuture();
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
