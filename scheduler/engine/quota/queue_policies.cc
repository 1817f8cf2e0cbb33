#include "scheduler/engine/quota/queue_policies.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace muster {

void QueuePolicies::Build(Time now) {
  now_ = now;
  history_.Build(ledger_.catalog(), ledger_.tree(), now);
  fades_ = has_budgets_ = backfills_ = false;
  // Who waits may be of another queue now, or of none, or ask for more than the lane has: all are asked again.
  for (auto& [name, lane] : lanes_) {
    for (const std::string& uid : lane.waiting) in_lane_.erase(uid);
    lane.waiting.clear();
  }
  absl::btree_map<std::string, Lane> lanes;
  for (QueueIndex q = 0; q < ledger_.tree().size(); ++q) {
    const Queue& queue = ledger_.catalog().queue(q);
    fades_ |= history_.Fades(q);
    has_budgets_ |= queue.budget.has_value();
    backfills_ |= queue.order == Queue::Order::kBackfill;
    if (!queue.burst) continue;
    Lane& lane = lanes[queue.name];
    if (const auto it = lanes_.find(queue.name); it != lanes_.end()) lane = std::move(it->second);
    lane.bucket.Configure(*queue.burst, now);
  }
  lanes_ = std::move(lanes);
  releases_.Clear();
  for (NodeIndex n = 0; n < snapshot_.size(); ++n) {
    for (const PodOnNode& pod : snapshot_.PodsOn(n)) OnRunning(*pod.pod, *pod.info, n, now);
  }
  CheckBudgets(now);
  ReadPast(now);
}

void QueuePolicies::Charged(QueueIndex q, Time now) {
  for (QuotaCell cell = 0; cell < ledger_.tree().cells(); ++cell) history_.Changed(q, cell, now);
}

void QueuePolicies::OnRunning(const Pod& pod, const PodInfo& info, NodeIndex row, Time now) {
  if (!ledger_.on()) return;
  const QueueIndex queue = ledger_.AccountOf(info).queue;
  if (queue == kNoQueue) return;
  ledger_.ChargesOn(info, row, charges_);
  const Time started = pod.started == absl::InfinitePast() ? now : pod.started;
  releases_.Add(pod.uid, queue, charges_, pod.max_runtime ? started + *pod.max_runtime : absl::InfiniteFuture());
}

// --- Budgets -------------------------------------------------------------------------------------

std::string QueuePolicies::OverBudget(QueueIndex q) const {
  for (; q != kNoQueue; q = ledger_.tree().parent(q)) {
    const Queue& queue = ledger_.catalog().queue(q);
    if (over_[q] && queue.budget->beyond == QueueBudget::Beyond::kHold)
      return absl::StrCat("queue \"", queue.name, "\" has used up its budget of ", queue.budget->resource);
  }
  return "";
}

bool QueuePolicies::CheckBudgets(Time now) {
  std::vector<bool> over(ledger_.tree().size(), false);
  std::vector<std::string> no_borrowing;
  for (QueueIndex q = 0; has_budgets_ && q < over.size(); ++q) {
    const Queue& queue = ledger_.catalog().queue(q);
    if (!queue.budget) continue;
    over[q] = history_.Left(q, now) <= 0;
    if (over[q] && queue.budget->beyond == QueueBudget::Beyond::kNoBorrowing) no_borrowing.push_back(queue.name);
  }
  const bool news = over != over_;
  over_ = std::move(over);
  ledger_.SetNoBorrowing(std::move(no_borrowing));
  return news;
}

// --- Shares that remember --------------------------------------------------------------------------

void QueuePolicies::ReadPast(Time now) {
  ticked_ = now;
  for (QueueIndex q = 0; fades_ && q < ledger_.tree().size(); ++q) {
    if (!history_.Fades(q)) continue;
    history_.Read(q, now, average_);
    queue_.SetPast(q, average_.usage, average_.own);
  }
}

// --- The burst lane --------------------------------------------------------------------------------

bool QueuePolicies::GoesExpress(const QueuedGroup& group, Time now) {
  if (group.express || group.queue == kNoQueue) return group.express;
  const auto it = lanes_.find(ledger_.catalog().queue(group.queue).name);
  if (it == lanes_.end()) return false;
  Lane& lane = it->second;
  const Pod& pod = *group.first().pod;
  const std::vector<Amount>& requests = pod.spec->amounts.requests;
  if (!lane.bucket.Takes(requests, pod.max_runtime) || !in_lane_.insert(pod.uid).second) return false;
  if (FirstOf(lane) == nullptr && lane.bucket.Has(requests, now)) {
    lane.bucket.Take(requests, now);
    return true;
  }
  if (lane.bucket.WhenHas(requests, now) != absl::InfiniteFuture()) lane.waiting.push_back(pod.uid);
  return false;
}

QueuedGroup* QueuePolicies::FirstOf(Lane& lane) {
  while (!lane.waiting.empty()) {
    QueuedGroup* group = in_lane_.contains(lane.waiting.front()) ? queue_.Find(lane.waiting.front()) : nullptr;
    if (group != nullptr && !group->express) return group;
    lane.waiting.pop_front();
  }
  return nullptr;
}

// --- Backfill --------------------------------------------------------------------------------------

bool QueuePolicies::GoesAhead(const QueuedGroup& group, const QueuedGroup& blocked) {
  // Of one that has quota and finds no place, the nodes are kept (StartPlans), if it is known when they will be free.
  if (blocked.placeless || Fits(ledger_.tree(), blocked)) return true;
  return releases_.MayGoAhead(ledger_.tree_for_trials(), group, blocked, now_);
}

// --- Time ------------------------------------------------------------------------------------------

bool QueuePolicies::Advance(Time now) {
  now_ = now;
  if (!ledger_.on()) return false;
  for (auto& [name, lane] : lanes_) {
    for (QueuedGroup* first = FirstOf(lane); first != nullptr; first = FirstOf(lane)) {
      const std::vector<Amount>& requests = first->first().pod->spec->amounts.requests;
      if (!lane.bucket.Has(requests, now)) break;
      lane.bucket.Take(requests, now);
      lane.waiting.pop_front();
      queue_.SetExpress(*first, true);
    }
  }
  if (now < ticked_ + kTick || !(fades_ || has_budgets_ || backfills_)) return false;
  ReadPast(now);
  if (backfills_) queue_.Reconsider();
  return CheckBudgets(now);
}

Time QueuePolicies::NextDeadline(Time now) const {
  Time next = absl::InfiniteFuture();
  if (!ledger_.on() || queue_.size() == 0) return next;
  if (fades_ || has_budgets_ || backfills_) next = std::max(now, ticked_ + kTick);
  for (const auto& [name, lane] : lanes_) {
    if (lane.waiting.empty()) continue;
    const QueuedGroup* first = queue_.Find(lane.waiting.front());
    next =
        std::min(next, first == nullptr ? now : lane.bucket.WhenHas(first->first().pod->spec->amounts.requests, now));
  }
  return next;
}

bool QueuePolicies::Waits(Time now) const {
  if (!ledger_.on() || queue_.size() == 0) return false;
  for (QueueIndex q = 0; q < over_.size(); ++q) {
    if (over_[q] && history_.LeftAgain(q, now) != absl::InfiniteFuture()) return true;
  }
  return std::any_of(lanes_.begin(), lanes_.end(), [](const auto& lane) { return !lane.second.waiting.empty(); });
}

}  // namespace muster
