#include "scheduler/wire/json/queue_status.h"

#include "nlohmann/json.hpp"
#include "scheduler/model/amount_text.h"

namespace muster {
namespace {

using nlohmann::json;

std::string Rfc3339(Time time) { return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone()); }

void SetUnlessEmpty(json& object, const char* field, const std::string& text) {
  if (!text.empty()) object[field] = text;
}

json Condition(const QueueStatus& status) {
  const PodCondition& ready = status.ready;
  json condition = {{"type", "Ready"}, {"status", ready.status}, {"reason", ready.reason}, {"message", ready.message}};
  if (status.observed_generation != 0) condition["observedGeneration"] = status.observed_generation;
  if (status.transition != absl::InfinitePast()) condition["lastTransitionTime"] = Rfc3339(status.transition);
  return condition;
}

json Pending(const QueueStatus::Pending& group) {
  json item = {{"group", group.group}, {"position", group.position}, {"pods", group.pods}};
  SetUnlessEmpty(item, "ahead", group.ahead);
  SetUnlessEmpty(item, "waitingFor", group.waiting_for);
  if (group.estimated_start != absl::InfiniteFuture()) item["estimatedStart"] = Rfc3339(group.estimated_start);
  SetUnlessEmpty(item, "assumption", group.assumption);
  return item;
}

}  // namespace

json QueueStatusJson(const QueueStatus& status) {
  json body = {{"conditions", json::array()},
               {"pendingGroups", status.pending_groups},
               {"pendingPods", status.pending_pods},
               {"runningPods", status.running_pods},
               {"usage", json::array()},
               {"pending", json::array()}};
  if (status.ready.present) body["conditions"].push_back(Condition(status));
  SetUnlessEmpty(body, "share", status.share);
  for (const QueueStatus::Usage& usage : status.usage) {
    json item = {{"resource", usage.resource},
                 {"used", AmountText(usage.resource, usage.used)},
                 {"borrowed", AmountText(usage.resource, usage.borrowed)}};
    SetUnlessEmpty(item, "flavor", usage.flavor);
    body["usage"].push_back(std::move(item));
  }
  for (const QueueStatus::Pending& group : status.pending) body["pending"].push_back(Pending(group));
  return body;
}

}  // namespace muster
