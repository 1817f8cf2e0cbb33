#include "scheduler/command/queue_view.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "scheduler/command/report.h"
#include "scheduler/model/amount_text.h"
#include "scheduler/wire/json/queue_status.h"

namespace muster {
namespace {

using Json = nlohmann::ordered_json;

std::string OrderName(Queue::Order order) {
  switch (order) {
    case Queue::Order::kStrictFIFO: return "StrictFIFO";
    case Queue::Order::kBestEffortFIFO: return "BestEffortFIFO";
    case Queue::Order::kBackfill: return "Backfill";
  }
  return "";
}

std::string StopName(Queue::StopPolicy policy) {
  switch (policy) {
    case Queue::StopPolicy::kNone: return "None";
    case Queue::StopPolicy::kHold: return "Hold";
    case Queue::StopPolicy::kHoldAndDrain: return "HoldAndDrain";
  }
  return "";
}

std::string OrDash(const std::string& text) { return text.empty() ? "-" : text; }

// "" in the status: no scheduler has told anything yet.
std::string ReadyText(const PodCondition& ready) {
  if (!ready.present) return "-";
  return ready.status == "True" ? "True" : absl::StrCat(ready.status, " (", ready.reason, ")");
}

std::string StartText(const QueueStatus::Pending& group) {
  if (group.estimated_start == absl::InfiniteFuture()) return OrDash(group.assumption);
  return absl::StrCat(absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", group.estimated_start, absl::UTCTimeZone()),
                      group.assumption.empty() ? "" : " if ", group.assumption);
}

}  // namespace

void PrintQueueTable(std::span<const QueueView> queues, std::ostream& out) {
  std::vector<std::vector<std::string>> rows = {
      {"NAME", "PARENT", "WEIGHT", "ORDER", "PENDING", "RUNNING", "SHARE", "READY"}};
  for (const auto& [queue, status] : queues) {
    rows.push_back({queue->name, OrDash(queue->parent), absl::StrCat(queue->weight), OrderName(queue->order),
                    absl::StrCat(status.pending_pods), absl::StrCat(status.running_pods), OrDash(status.share),
                    ReadyText(status.ready)});
  }
  PrintTable(rows, out);
}

void PrintQueue(const QueueView& view, std::ostream& out) {
  const Queue& queue = *view.queue;
  const QueueStatus& status = view.status;
  const std::string ready = status.ready.message.empty() ? "" : absl::StrCat(": ", status.ready.message);
  std::vector<std::vector<std::string>> facts = {
      {"queue", queue.name},
      {"parent", OrDash(queue.parent)},
      {"weight", absl::StrCat(queue.weight)},
      {"order", OrderName(queue.order)},
      {"stop policy", StopName(queue.stop_policy)},
      {"ready", absl::StrCat(ReadyText(status.ready), ready)},
      {"share", OrDash(status.share)},
      {"running", absl::StrCat(status.running_pods, " pods")},
      {"pending", absl::StrCat(status.pending_pods, " pods in ", status.pending_groups, " groups")}};
  PrintTable(facts, out);

  if (!queue.resources.empty()) {
    std::vector<std::vector<std::string>> rows = {
        {"RESOURCE", "FLAVOR", "USED", "NOMINAL", "BORROWED", "MAY BORROW", "LENDS"}};
    for (const QueueResource& resource : queue.resources) {
      const auto text = [&](int64_t amount) { return AmountText(resource.name, amount); };
      const auto limit = [&](const std::optional<int64_t>& amount) { return amount ? text(*amount) : "all"; };
      std::string used = "-", borrowed = "-";
      for (const QueueStatus::Usage& usage : status.usage) {
        if (usage.resource != resource.name || usage.flavor != resource.flavor) continue;
        used = text(usage.used);
        borrowed = text(usage.borrowed);
      }
      rows.push_back({resource.name, OrDash(resource.flavor), used, text(resource.nominal_quota), borrowed,
                      queue.parent.empty() ? "-" : limit(resource.borrowing_limit),
                      queue.parent.empty() ? "-" : limit(resource.lending_limit)});
    }
    out << "\n";
    PrintTable(rows, out);
  }

  if (!status.pending.empty()) {
    std::vector<std::vector<std::string>> rows = {
        {"POSITION", "GROUP", "PODS", "AHEAD", "WAITS FOR", "ESTIMATED START"}};
    for (const QueueStatus::Pending& group : status.pending) {
      rows.push_back({absl::StrCat(group.position), group.group, absl::StrCat(group.pods), OrDash(group.ahead),
                      OrDash(group.waiting_for), StartText(group)});
    }
    out << "\n";
    PrintTable(rows, out);
    const int64_t left = status.pending_groups - static_cast<int64_t>(status.pending.size());
    if (left > 0) out << "... and " << left << " more groups\n";
  }
}

void PrintQueueJson(std::span<const QueueView> queues, std::ostream& out) {
  Json all = {{"queues", Json::array()}};
  for (const auto& [queue, status] : queues) {
    Json resources = Json::array();
    for (const QueueResource& resource : queue->resources) {
      const auto limit = [&](const std::optional<int64_t>& amount) {
        return amount ? Json(AmountText(resource.name, *amount)) : Json(nullptr);
      };
      resources.push_back({{"name", resource.name},
                           {"flavor", resource.flavor},
                           {"nominalQuota", AmountText(resource.name, resource.nominal_quota)},
                           {"borrowingLimit", limit(resource.borrowing_limit)},
                           {"lendingLimit", limit(resource.lending_limit)}});
    }
    all["queues"].push_back({{"name", queue->name},
                             {"parent", queue->parent},
                             {"weight", queue->weight},
                             {"order", OrderName(queue->order)},
                             {"stopPolicy", StopName(queue->stop_policy)},
                             {"resources", std::move(resources)},
                             {"status", Json(QueueStatusJson(status))}});
  }
  out << all.dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
}

}  // namespace muster
