// What the scheduler tells of queues and of those that wait in them.
#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "scheduler/engine/scheduler.h"

namespace muster {
namespace {

// Soon after something changed, but not often: a report costs milliseconds at tens of thousands of pods.
constexpr Duration kSoon = absl::Seconds(1);
constexpr Duration kRound = absl::Seconds(5);
// Most pods that lack room get it soon: told at once, each of a burst would be told of all before it.
constexpr Duration kTellWaiting = absl::Seconds(2);
// Positions change with every start. A pod is told again after so long, and all pods together at this pace.
constexpr Duration kTellAgain = absl::Minutes(1);
constexpr Duration kPace = absl::Milliseconds(50);
constexpr size_t kExaminedARound = 500;

double Units(const std::string& resource, int64_t amount) {
  return static_cast<double>(amount) / (resource == "cpu" ? 1000 : 1);
}

}  // namespace

QueueReport Scheduler::Report() {
  RefreshQuota();
  return QueueReport(ledger_, queue_, policies_.releases(), cache_.Refresh(), loop_.Now(),
                     [this](const QueuedGroup& group) { return WhyWaiting(group); });
}

std::string Scheduler::QueueOf(const Pod& pod) {
  RefreshQuota();
  if (!ledger_.on()) return "";
  const QueueIndex q = ledger_.AccountOf(*cache_.InfoFor(pod)).queue;
  return q == kNoQueue ? "" : ledger_.catalog().queue(q).name;
}

// Of a group for which quota is not what is in the way.
std::string Scheduler::WhyWaiting(const QueuedGroup& group) const {
  const auto gate = gates_.find(group.lone() ? group.first().pod->uid : group.key);
  if (gate != gates_.end()) return gate->second.message;
  for (const QueuedMember& member : group.members) {
    if (!member.pod->scheduling_gates.empty())
      return absl::StrCat("scheduling gates: ", absl::StrJoin(member.pod->scheduling_gates, ", "));
    if (member.placed || member.verdict.empty()) continue;
    const size_t start = member.verdict.find(": ") + 2;
    return member.verdict.substr(start, member.verdict.find('\n') - start);
  }
  return "";
}

// Something may be news.
void Scheduler::QueuesChanged() {
  if (!ledger_.on() && !queues_told_of_) return;
  queues_changed_ = loop_.Now();
  TellQueuesAt(std::max(loop_.Now() + kSoon, queues_told_ + kRound));
}

void Scheduler::TellQueuesAt(Time at) {
  if (queues_armed_ <= at) return;
  queues_armed_ = at;
  loop_.At(at, [this, at] {
    if (queues_armed_ == at) TellQueues();
  });
}

void Scheduler::TellQueues() {
  queues_armed_ = absl::InfiniteFuture();
  if (!active_ || !synced()) return;
  queues_told_ = loop_.Now();
  QueueReport report = Report();
  queues_told_of_ = ledger_.on();
  const std::span<const QueueCatalog::Entry> entries = ledger_.catalog().entries();
  queue_status_.BeginRound();
  std::optional<size_t> left;
  if (metrics_ != nullptr) metrics_->BeginQuotaQueues();
  for (size_t i = 0; i < entries.size(); ++i) {
    const size_t at = (i + first_told_) % entries.size();
    QueueStatus status = report.StatusOf(at);
    CountQueue(entries[at], status);
    if (!queue_status_.Tell(*entries[at].queue, std::move(status)) && !left) left = at;
  }
  if (metrics_ != nullptr) metrics_->EndQuotaQueues();
  first_told_ = left.value_or(0);
  if (left) TellQueuesAt(loop_.Now() + kRound);
  TellWaiting(report);
}

void Scheduler::CountQueue(const QueueCatalog::Entry& entry, const QueueStatus& status) {
  if (metrics_ == nullptr || entry.index == kNoQueue) return;
  Metrics::QuotaQueue counted;
  counted.pending_pods = status.pending_pods;
  counted.running_pods = status.running_pods;
  const Share share = ledger_.tree().ShareOf(entry.index);
  counted.share = share.infinite ? std::numeric_limits<double>::infinity()
                                 : static_cast<double>(share.value) / (1000.0 * (1 << 20));
  for (const QueueStatus::Usage& usage : status.usage) {
    const auto& listed = entry.queue->resources;
    const auto at = std::find_if(listed.begin(), listed.end(), [&](const QueueResource& resource) {
      return resource.name == usage.resource && resource.flavor == usage.flavor;
    });
    counted.cells.push_back({usage.resource, usage.flavor, Units(usage.resource, usage.used),
                             Units(usage.resource, at->nominal_quota), Units(usage.resource, usage.borrowed)});
  }
  metrics_->SetQuotaQueue(entry.queue->name, counted);
  const std::span<const uint32_t> resource_of = ledger_.catalog().resource_of();
  for (QuotaCell cell = 0; cell < resource_of.size(); ++cell) {
    if (std::find(resource_of.begin(), resource_of.begin() + cell, resource_of[cell]) != resource_of.begin() + cell)
      continue;  // another flavor of the same
    const std::string& resource = ledger_.catalog().cells()[cell].resource;
    const int64_t seconds = policies_.history().ResourceSeconds(entry.index, resource_of[cell], loop_.Now());
    if (seconds > 0) metrics_->QuotaResourceSeconds(entry.queue->name, resource, Units(resource, seconds));
  }
}

void Scheduler::CountEviction(const Pod& victim, const std::string& reason) {
  if (metrics_ == nullptr || !ledger_.on()) return;
  const QueueIndex q = ledger_.AccountOf(*cache_.InfoFor(victim)).queue;
  if (q != kNoQueue) metrics_->QuotaEvicted(ledger_.catalog().queue(q).name, reason);
}

// Pods whose queue is what they wait for learn it by their condition: those first that were never told, then those
// that were told longest ago.
void Scheduler::TellWaiting(QueueReport& report) {
  const Time now = loop_.Now();
  tell_credit_ = std::min(kRound, tell_credit_ + (now - std::exchange(credit_at_, now)));
  struct Candidate {
    const QueuedGroup* group;
    QueueIndex queue;
    size_t place;
    auto Order() const { return std::tuple(group->room_told, place, queue); }
  };
  std::vector<Candidate> candidates;
  Time next = absl::InfiniteFuture();
  for (QueueIndex q = 0; q < ledger_.tree().size(); ++q) {
    const std::span<const QueuedGroup* const> waiting = report.Waiting(q);
    for (size_t place = 0; place < waiting.size(); ++place) {
      const QueuedGroup& group = *waiting[place];
      if (group.room_told >= queues_changed_ || !report.Blocked(q, place)) continue;
      const Time due = std::max(group.room_told + kTellAgain, group.first_seen + kTellWaiting);
      if (due <= now) {
        candidates.push_back({&group, q, place});
      } else {
        next = std::min(next, due);
      }
    }
  }
  const size_t count = std::min(candidates.size(), kExaminedARound);
  std::partial_sort(candidates.begin(), candidates.begin() + static_cast<ptrdiff_t>(count), candidates.end(),
                    [](const Candidate& a, const Candidate& b) { return a.Order() < b.Order(); });
  size_t examined = 0;
  for (; examined < count && tell_credit_ > absl::ZeroDuration(); ++examined) {
    const Candidate& candidate = candidates[examined];
    const std::string message = report.TextOf(candidate.queue, candidate.place);
    QueuedGroup& group = *queue_.Find(candidate.group->first().pod->uid);
    const bool first = group.room_told == absl::InfinitePast();
    group.room_told = now;
    for (QueuedMember& member : group.members) {
      if (!member.may_be_tried() || !TellGated(member, message)) continue;
      tell_credit_ -= kPace;
      if (first) recorder_.FailedScheduling(*member.pod, message);
    }
  }
  if (examined < candidates.size()) next = std::min(next, now + kRound);
  if (next != absl::InfiniteFuture()) TellQueuesAt(std::max(next, now + kRound));
}

}  // namespace muster
