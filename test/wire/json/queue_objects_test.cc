// Queues and flavors as their messages say them; from JSON, as a server gives them.
#include "scheduler/wire/queue_objects.h"

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "scheduler/wire/json/json_message.h"
#include "scheduler/wire/json/json_stream.h"
#include "scheduler/wire/json/queue_status.h"

namespace muster {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

template <typename T>
std::shared_ptr<const T> ReadOne(Kind kind, const std::string& rest) {
  const json object = json::parse(R"({"apiVersion":"muster.dev/v1alpha1","kind":"K","metadata":{"name":"q","uid":"u",
      "resourceVersion":"7","generation":3,"creationTimestamp":"1970-01-01T00:00:05Z"})" +
                                  rest + "}");
  return std::dynamic_pointer_cast<const T>(ReadJsonObject(kind, object, "muster.dev/v1alpha1"));
}
std::shared_ptr<const Queue> ReadSpec(const std::string& spec) {
  return ReadOne<Queue>(Kind::kQueue, ",\"spec\":" + spec);
}

constexpr char kWhole[] = R"({
  "parent": "research",
  "namespaceSelector": {"matchLabels": {"team": "a"}},
  "weight": 2, "order": "Backfill", "usageHalfLife": "168h",
  "resources": [
    {"name": "nvidia.com/gpu", "flavor": "h100", "nominalQuota": "16", "borrowingLimit": "8", "lendingLimit": "4"},
    {"name": "nvidia.com/gpu", "nominalQuota": 1},
    {"name": "cpu", "nominalQuota": "400", "borrowingLimit": "1500m"},
    {"name": "memory", "nominalQuota": "1.5Gi"},
    {"name": "deviceclass/gpu.example.com", "nominalQuota": "3"}],
  "preemption": {"withinQueue": "LowerOrNewerEqualPriority", "reclaim": "LowerPriority", "borrowing": "LowerPriority",
                 "minRuntime": "10m", "evictionsPerHour": 20},
  "burst": {"maxPodRuntime": "1m30s", "resources": {"memory": "1Ki", "cpu": "64"}, "refill": "1m"},
  "budget": {"resource": "cpu", "seconds": "864", "window": "24h", "beyond": "Hold"},
  "stopPolicy": "HoldAndDrain"})";

TEST(QueueObject, AllOfIt) {
  const auto queue = ReadOne<Queue>(
      Kind::kQueue, std::string(",\"spec\":") + kWhole +
                        R"(,"status":{"conditions":[{"type":"Other","status":"True"},{"type":"Ready","status":"False",
                        "reason":"Cycle","message":"m","lastTransitionTime":"1970-01-01T00:01:00Z"}]})");
  ASSERT_NE(queue, nullptr);
  EXPECT_EQ(queue->invalid, "");
  EXPECT_EQ(queue->name + " " + queue->uid + " " + queue->ns, "q u ");
  EXPECT_EQ(queue->resource_version, 7u);
  EXPECT_EQ(queue->generation, 3);
  EXPECT_EQ(queue->created, absl::FromUnixSeconds(5));
  EXPECT_EQ(queue->parent, "research");
  EXPECT_TRUE(queue->namespace_selector.Matches({{"team", "a"}}));
  EXPECT_FALSE(queue->namespace_selector.Matches({}));
  EXPECT_EQ(queue->weight, 2);
  EXPECT_EQ(queue->order, Queue::Order::kBackfill);
  EXPECT_EQ(queue->usage_half_life, absl::Hours(168));
  std::vector<std::string> resources;
  for (const QueueResource& r : queue->resources) {
    resources.push_back(absl::StrCat(r.name, " ", r.flavor, " ", r.nominal_quota, " ", r.borrowing_limit.value_or(-1),
                                     " ", r.lending_limit.value_or(-1)));
  }
  EXPECT_THAT(resources, ElementsAre("nvidia.com/gpu h100 16 8 4", "nvidia.com/gpu  1 -1 -1", "cpu  400000 1500 -1",
                                     "memory  1610612736 -1 -1", "deviceclass/gpu.example.com  3 -1 -1"));
  EXPECT_EQ(queue->preemption.within_queue, QueuePreemption::Within::kLowerOrNewerEqualPriority);
  EXPECT_EQ(queue->preemption.reclaim, QueuePreemption::Reclaim::kLowerPriority);
  EXPECT_EQ(queue->preemption.borrowing, QueuePreemption::Borrowing::kLowerPriority);
  EXPECT_EQ(queue->preemption.min_runtime, absl::Minutes(10));
  EXPECT_EQ(queue->preemption.evictions_per_hour, 20);
  ASSERT_TRUE(queue->burst && queue->budget);
  EXPECT_EQ(queue->burst->max_pod_runtime, absl::Seconds(90));
  EXPECT_EQ(queue->burst->resources, (std::vector<Amount>{{"cpu", 64000}, {"memory", 1024}}));
  EXPECT_EQ(queue->burst->refill, absl::Minutes(1));
  EXPECT_EQ(queue->budget->resource, "cpu");
  EXPECT_EQ(queue->budget->seconds, 864000);
  EXPECT_EQ(queue->budget->window, absl::Hours(24));
  EXPECT_EQ(queue->budget->beyond, QueueBudget::Beyond::kHold);
  EXPECT_EQ(queue->stop_policy, Queue::StopPolicy::kHoldAndDrain);
  EXPECT_EQ(queue->ready, (PodCondition{true, "False", "Cycle", "m"}));
  EXPECT_EQ(queue->ready_since, absl::FromUnixSeconds(60));
}

TEST(QueueObject, WhatIsNotThere) {
  const auto queue = ReadSpec(R"({"budget":{"resource":"cpu","seconds":1,"window":"1h"},"preemption":{}})");
  EXPECT_EQ(queue->invalid, "");
  EXPECT_EQ(queue->parent, "");
  EXPECT_FALSE(queue->namespace_selector.present);
  EXPECT_EQ(queue->weight, 1);
  EXPECT_EQ(queue->order, Queue::Order::kBestEffortFIFO);
  EXPECT_EQ(queue->usage_half_life, std::nullopt);
  EXPECT_EQ(queue->preemption.within_queue, QueuePreemption::Within::kLowerPriority);
  EXPECT_EQ(queue->preemption.reclaim, QueuePreemption::Reclaim::kAny);
  EXPECT_EQ(queue->preemption.borrowing, QueuePreemption::Borrowing::kNever);
  EXPECT_EQ(queue->preemption.min_runtime, absl::ZeroDuration());
  EXPECT_EQ(queue->preemption.evictions_per_hour, std::nullopt);
  EXPECT_EQ(queue->budget->beyond, QueueBudget::Beyond::kNoBorrowing);
  EXPECT_FALSE(queue->burst.has_value());
  EXPECT_EQ(queue->stop_policy, Queue::StopPolicy::kNone);
  EXPECT_FALSE(queue->ready.present);
  EXPECT_EQ(queue->ready_since, absl::InfinitePast());
  EXPECT_TRUE(ReadSpec(R"({"namespaceSelector":{}})")->namespace_selector.empty());
}

TEST(QueueObject, WhatMakesNoSense) {
  const std::string duration = "is no duration such as 30s or 1h30m";
  const struct {
    const char* spec;
    std::string want;
  } kRows[] = {
      {R"({"parent":"q"})", "spec.parent: must not be the queue itself"},
      {R"({"parent":"A_B"})", "spec.parent: \"A_B\" is no Queue's name"},
      {R"({"parent":""})", "spec.parent: \"\" is no Queue's name"},
      {R"({"parent":3})", "spec.parent: must be a string"},
      {R"({"namespaceSelector":{"matchExpressions":[{"key":"a","operator":"In"}]}})",
       "spec.namespaceSelector.matchExpressions[0].values: must not be empty for In and NotIn"},
      {R"({"weight":-1})", "spec.weight: must not be negative"},
      {R"({"weight":1.5})", "spec.weight: must be a whole number"},
      {R"({"order":"FIFO"})", "spec.order: \"FIFO\" is none of StrictFIFO, BestEffortFIFO, Backfill"},
      {R"({"order":""})", "spec.order: \"\" is none of StrictFIFO, BestEffortFIFO, Backfill"},
      {R"({"usageHalfLife":"0s"})", "spec.usageHalfLife: must be greater than zero"},
      {R"({"usageHalfLife":"week"})", "spec.usageHalfLife: \"week\" " + duration},
      {R"({"usageHalfLife":"inf"})", "spec.usageHalfLife: \"inf\" " + duration},
      {R"({"usageHalfLife":"-1h"})", "spec.usageHalfLife: \"-1h\" " + duration},
      {R"({"usageHalfLife":"5"})", "spec.usageHalfLife: \"5\" " + duration},
      {R"({"usageHalfLife":""})", "spec.usageHalfLife: \"\" " + duration},
      {R"({"usageHalfLife":"3000000h"})", "spec.usageHalfLife: \"3000000h\" " + duration},
      {R"({"resources":[{"nominalQuota":1}]})", "spec.resources[0].name: \"\" is no name of a resource"},
      {R"({"resources":[{"name":"cpu"}]})", "spec.resources[0].nominalQuota: is missing"},
      {R"({"resources":[{"name":"a/b/c","nominalQuota":1}]})",
       "spec.resources[0].name: \"a/b/c\" is no name of a resource"},
      {R"({"resources":[{"name":"cpu","nominalQuota":1},{"name":"memory","nominalQuota":"-1"}]})",
       "spec.resources[1].nominalQuota: must not be negative"},
      {R"({"resources":[{"name":"cpu","nominalQuota":"many"}]})", "spec.resources[0].nominalQuota: "},
      {R"({"resources":[{"name":"cpu","nominalQuota":true}]})", "spec.resources[0].nominalQuota: must be a quantity"},
      {R"({"resources":[{"name":"cpu","nominalQuota":1,"flavor":""}]})",
       "spec.resources[0].flavor: \"\" is no ResourceFlavor's name"},
      {R"({"resources":[{"name":"cpu","nominalQuota":1},{"name":"cpu","nominalQuota":2}]})",
       "spec.resources[1].name: is there twice, in the same flavor"},
      {R"({"resources":[{"name":"cpu","nominalQuota":1,"borrowingLimit":1}]})",
       "spec.resources[0].borrowingLimit: a queue without parent has none to borrow from"},
      {R"({"parent":"p","resources":[{"name":"cpu","nominalQuota":1,"borrowingLimit":-1}]})",
       "spec.resources[0].borrowingLimit: must not be negative"},
      {R"({"resources":[{"name":"cpu","nominalQuota":1,"lendingLimit":-1}]})",
       "spec.resources[0].lendingLimit: must not be negative"},
      {R"({"preemption":{"withinQueue":"Any"}})",
       "spec.preemption.withinQueue: \"Any\" is none of Never, LowerPriority, LowerOrNewerEqualPriority"},
      {R"({"preemption":{"reclaim":"x"}})", "spec.preemption.reclaim: \"x\" is none of Never, LowerPriority, Any"},
      {R"({"preemption":{"borrowing":"Any"}})", "spec.preemption.borrowing: \"Any\" is none of Never, LowerPriority"},
      {R"({"preemption":{"minRuntime":"x"}})", "spec.preemption.minRuntime: \"x\" " + duration},
      {R"({"preemption":{"evictionsPerHour":-1}})", "spec.preemption.evictionsPerHour: must not be negative"},
      {R"({"burst":{"resources":{"cpu":1},"refill":"1m"}})", "spec.burst.maxPodRuntime: \"\" " + duration},
      {R"({"burst":{"maxPodRuntime":"1m","refill":"1m"}})", "spec.burst.resources: must not be empty"},
      {R"({"burst":{"maxPodRuntime":"1m","resources":{"cpu":-1},"refill":"1m"}})",
       "spec.burst.resources[cpu]: must not be negative"},
      {R"({"burst":{"maxPodRuntime":"1m","resources":{"c u":1},"refill":"1m"}})",
       "spec.burst.resources[c u]: is no name of a resource"},
      {R"({"burst":{"maxPodRuntime":"1m","resources":{"cpu":1},"refill":"0s"}})",
       "spec.burst.refill: must be greater than zero"},
      {R"({"budget":{"seconds":1,"window":"1h"}})", "spec.budget.resource: \"\" is no name of a resource"},
      {R"({"budget":{"resource":"cpu","window":"1h"}})", "spec.budget.seconds: is missing"},
      {R"({"budget":{"resource":"cpu","seconds":-1,"window":"1h"}})", "spec.budget.seconds: must not be negative"},
      {R"({"budget":{"resource":"cpu","seconds":1}})", "spec.budget.window: \"\" " + duration},
      {R"({"budget":{"resource":"cpu","seconds":1,"window":"1h","beyond":"x"}})",
       "spec.budget.beyond: \"x\" is none of NoBorrowing, Hold"},
      {R"({"stopPolicy":"Stop"})", "spec.stopPolicy: \"Stop\" is none of None, Hold, HoldAndDrain"},
      {R"({"weight":-1,"order":"x"})", "spec.weight: must not be negative"},  // the first is told
      {"5", "spec: must be an object"},
      {"null", "spec: is missing"},
  };
  for (const auto& row : kRows) {
    const std::string invalid = ReadSpec(row.spec)->invalid;
    EXPECT_TRUE(row.want.ends_with(": ") ? invalid.starts_with(row.want) : invalid == row.want) << row.spec << "\n"
                                                                                                << invalid << "\n"
                                                                                                << row.want;
  }
}

TEST(QueueObject, AResourceMayBeThereOncePerFlavor) {
  EXPECT_EQ(ReadSpec(R"({"resources":[{"name":"gpu","nominalQuota":1},{"name":"gpu","flavor":"a","nominalQuota":1},
      {"name":"gpu","flavor":"b","nominalQuota":1}]})")
                ->invalid,
            "");
}

TEST(ResourceFlavorObject, Labels) {
  const struct {
    const char *spec, *want;
  } kRows[] = {
      {R"({"nodeLabels":{"gpu.example.com/model":"H100","empty":""}})", ""},
      {R"({"nodeLabels":{}})", "spec.nodeLabels: must not be empty"},
      {"{}", "spec.nodeLabels: must not be empty"},
      {R"({"nodeLabels":{"a":1}})", "spec.nodeLabels[a]: must be a string"},
      {R"({"nodeLabels":{"a b":"c"}})", "spec.nodeLabels[a b]: \"a b=c\" is no node label"},
      {R"({"nodeLabels":{"a":"b c"}})", "spec.nodeLabels[a]: \"a=b c\" is no node label"},
  };
  for (const auto& row : kRows) {
    const auto flavor = ReadOne<ResourceFlavor>(Kind::kResourceFlavor, absl::StrCat(",\"spec\":", row.spec));
    EXPECT_EQ(flavor->invalid, row.want) << row.spec;
  }
  const auto flavor = ReadOne<ResourceFlavor>(Kind::kResourceFlavor, absl::StrCat(",\"spec\":", kRows[0].spec));
  EXPECT_EQ(flavor->node_labels, (Labels{{"empty", ""}, {"gpu.example.com/model", "H100"}}));
  EXPECT_EQ(flavor->name + " " + flavor->uid, "q u");
}

QueueStatus SomeStatus() {
  QueueStatus status;
  status.observed_generation = 3;
  status.ready = {true, "True", "Ready", "m"};
  status.transition = absl::FromUnixSeconds(60);
  status.pending_groups = 2;
  status.pending_pods = 40;
  status.running_pods = 16;
  status.share = "0.125";
  status.usage = {{"nvidia.com/gpu", "h100", 18, 2}, {"cpu", "", 2500, 0}, {"memory", "", int64_t{3} << 30, 1000}};
  status.pending = {{"a/PodGroup/train", 1, 32, "", "quota", absl::FromUnixSeconds(3600), "run times hold"},
                    {"a/p", 2, 1, "a/PodGroup/train", "", absl::InfiniteFuture(), ""}};
  return status;
}

TEST(QueueStatusJson, IsWhatTheServerHas) {
  EXPECT_EQ(QueueStatusJson(SomeStatus()), json::parse(R"({
    "conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "message": "m", "observedGeneration": 3,
                    "lastTransitionTime": "1970-01-01T00:01:00Z"}],
    "pendingGroups": 2, "pendingPods": 40, "runningPods": 16, "share": "0.125",
    "usage": [{"resource": "nvidia.com/gpu", "flavor": "h100", "used": "18", "borrowed": "2"},
              {"resource": "cpu", "used": "2500m", "borrowed": "0"},
              {"resource": "memory", "used": "3Gi", "borrowed": "1000"}],
    "pending": [{"group": "a/PodGroup/train", "position": 1, "pods": 32, "waitingFor": "quota",
                 "estimatedStart": "1970-01-01T01:00:00Z", "assumption": "run times hold"},
                {"group": "a/p", "position": 2, "pods": 1, "ahead": "a/PodGroup/train"}]})"));
  EXPECT_EQ(QueueStatusJson({}), json::parse(R"({"conditions": [], "pendingGroups": 0, "pendingPods": 0,
      "runningPods": 0, "usage": [], "pending": []})"));
}

TEST(QueueStatusJson, IsReadBack) {
  for (const QueueStatus& status : {SomeStatus(), QueueStatus()}) {
    custom::Queue wire;
    EXPECT_EQ(ReadJson({{"status", QueueStatusJson(status)}}, &wire), "");
    EXPECT_TRUE(ReadQueueStatus(wire.status()) == status);
  }
}

// Whatever a server sends, there is an object or none, and what was read is sound in itself.
TEST(QueueObject, SurvivesBrokenObjects) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::mt19937 random(seed);
  const std::string whole = std::string(R"({"metadata":{"name":"q"},"spec":)") + kWhole + "}";
  const json values[] = {nullptr,
                         -1,
                         3,
                         1e300,
                         "",
                         "x",
                         "-5",
                         "1e99",
                         "\x7f",
                         true,
                         json::array(),
                         json::object(),
                         json::array({1, "a", nullptr}),
                         INT64_MIN,
                         UINT64_MAX};
  size_t sound = 0;
  for (int i = 0; i < 20'000; ++i) {
    json object;
    if (i % 2 == 0) {  // a value anywhere becomes another
      object = json::parse(whole).flatten();
      auto at = object.begin();
      std::advance(at, static_cast<ptrdiff_t>(random() % object.size()));
      const json::json_pointer place(at.key());
      object = json::parse(whole);
      object[place] = values[random() % std::size(values)];
    } else {  // or bytes are lost and changed
      std::string text = whole.substr(0, random() % 4 == 0 ? random() % whole.size() : std::string::npos);
      for (size_t n = random() % 4; n > 0 && !text.empty(); --n)
        text[random() % text.size()] = static_cast<char>(random());
      object = json::parse(text, nullptr, /*allow_exceptions=*/false);
      if (object.is_discarded()) continue;
    }
    for (const Kind kind : {Kind::kQueue, Kind::kResourceFlavor}) {
      const ObjectPtr made = ReadJsonObject(kind, object, "muster.dev/v1alpha1");
      const auto* queue = dynamic_cast<const Queue*>(made.get());
      if (queue == nullptr || !queue->invalid.empty()) continue;
      ++sound;
      EXPECT_GE(queue->weight, 0);
      for (const QueueResource& r : queue->resources) {
        EXPECT_TRUE(r.nominal_quota >= 0 && r.borrowing_limit.value_or(0) >= 0 && r.lending_limit.value_or(0) >= 0);
      }
      EXPECT_TRUE(!queue->burst || queue->burst->refill > absl::ZeroDuration());
      EXPECT_TRUE(!queue->budget || queue->budget->window > absl::ZeroDuration());
      EXPECT_GT(queue->usage_half_life.value_or(absl::Hours(1)), absl::ZeroDuration());
    }
  }
  EXPECT_GT(sound, 100u);
}

}  // namespace
}  // namespace muster
