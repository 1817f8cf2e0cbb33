#include "bench/scenario/monday.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "plugins/all.h"
#include "scheduler/framework/config/config.h"

namespace muster {
namespace {

int64_t Nominal(const MondayPlan& plan, Pool pool) {
  int64_t all = 0;
  for (const MondayTeam& team : plan.teams) {
    if (const QueueResource* quota = QuotaOf(team.queue, pool)) all += quota->nominal_quota;
  }
  return all;
}

int64_t Allocatable(const MondayPlan& plan, Pool pool) {
  int64_t all = 0;
  for (const Node& node : plan.nodes) {
    if (node.labels.at(kPoolLabel) != PoolName(pool)) continue;
    for (const Amount& amount : node.allocatable) {
      if (amount.resource == (pool == Pool::kGeneral ? "cpu" : "nvidia.com/gpu")) all += amount.value;
    }
  }
  return all;
}

TEST(MondayPlan, QuotasSumToAboutTheCluster) {
  const MondayPlan plan = PlanMonday({});
  EXPECT_EQ(plan.nodes.size(), 2000u);
  EXPECT_EQ(plan.teams.size(), 50u);
  for (const Pool pool : {Pool::kGeneral, Pool::kH100, Pool::kA100}) {
    EXPECT_LE(Nominal(plan, pool), Allocatable(plan, pool)) << PoolName(pool);
    EXPECT_GE(Nominal(plan, pool), Allocatable(plan, pool) * 93 / 100) << PoolName(pool);
  }
}

TEST(MondayPlan, TenTimesTheAgentsComeInTheBurst) {
  const MondayPlan plan = PlanMonday({});
  std::map<std::string, std::set<std::string>> names;
  double burst = 0, else_where = 0;
  Duration last;
  for (const MondayArrival& arrival : plan.arrivals) {
    EXPECT_LE(last, arrival.at);
    last = arrival.at;
    EXPECT_TRUE(names[plan.teams[arrival.team].name].insert(arrival.name).second) << arrival.name;
    if (arrival.work != Work::kAgent) continue;
    (arrival.at >= kBurstBegin && arrival.at < kBurstEnd ? burst : else_where) += 1;
  }
  // 60 minutes against 20.
  EXPECT_NEAR(burst / 60 / (else_where / 20), 10, 0.5);
}

TEST(MondayPlan, IsTheSameForASeed) {
  const MondayPlan a = PlanMonday({.seed = 7, .scale = 0.05}), b = PlanMonday({.seed = 7, .scale = 0.05});
  const MondayPlan other = PlanMonday({.seed = 8, .scale = 0.05});
  const auto times = [](const MondayPlan& plan) {
    std::vector<std::pair<Duration, Duration>> all;
    for (const MondayArrival& arrival : plan.arrivals) all.push_back({arrival.at, arrival.runs});
    return all;
  };
  EXPECT_EQ(times(a), times(b));
  EXPECT_NE(times(a), times(other));
}

// A bucket of 64 tokens that refills in a minute never gives more than 64 and one more each 60/64 s.
TEST(MondayPlan, TokensLastForNoMoreThanTheBucketHas) {
  const MondayPlan plan = PlanMonday({});
  std::vector<std::vector<double>> at(plan.teams.size());
  size_t spent = 0;
  for (const MondayArrival& arrival : plan.arrivals) {
    if (arrival.work == Work::kLane) at[arrival.team].push_back(absl::ToDoubleSeconds(arrival.at));
    if (arrival.work == Work::kLaneSpent) ++spent;
  }
  for (const auto& times : at) {
    for (size_t from = 0; from < times.size(); from += 50) {
      for (size_t to = from; to < std::min(times.size(), from + 200); ++to) {
        ASSERT_LE(static_cast<double>(to - from + 1), 64 + (times[to] - times[from]) * 64 / 60 + 1e-6);
      }
    }
  }
  EXPECT_GT(spent, 0u);
}

MondayTeam Team(const char* name, size_t parent, int32_t weight, bool hungry, std::optional<int64_t> most = {}) {
  MondayTeam team;
  team.name = team.queue.name = name;
  team.parent = parent;
  team.hungry = hungry;
  team.queue.weight = weight;
  team.queue.resources = {{"cpu", "general", 10'000, most, {}}};
  return team;
}

MondaySample Sample(Duration at, std::vector<int64_t> cores, std::vector<uint32_t> pending) {
  MondaySample sample{at, std::vector<MondayUse>(cores.size())};
  for (size_t t = 0; t < cores.size(); ++t) sample.teams[t] = {{cores[t] * 1000, 0, 0}, pending[t], {}};
  return sample;
}

TEST(MondayShares, AreMeanBorrowedByWeightOfThoseThatWantMore) {
  MondayPlan plan;
  plan.parents = {{"p", 1}};
  // Each has 10 of its own; d is at its limit, and c wants nothing.
  plan.teams = {Team("a", 0, 1, true), Team("b", 0, 2, true), Team("c", 0, 1, false), Team("d", 0, 1, true, 0)};
  MondayResult result;
  const Duration burst = kBurstBegin;
  result.samples = {Sample(burst - absl::Seconds(10), {90, 10, 0, 10}, {5, 5, 0, 5}),   // not yet
                    Sample(burst, {15, 18, 0, 10}, {1, 1, 0, 1}),                       // 2 (see below) and 8
                    Sample(burst + absl::Seconds(10), {90, 10, 0, 10}, {1, 0, 0, 1}),   // b wants nothing
                    Sample(burst + absl::Seconds(20), {18, 22, 0, 10}, {1, 1, 0, 0})};  // 8 and 12
  result.samples[1].teams[0].going[0] = 3000;  // of 15 cores, and promised to others
  MeasureShares(plan, result);
  EXPECT_EQ(result.shares_over, absl::Seconds(20));
  // Means 5 and 10 of 15 by weights 1 and 2; the parent alone, at 30 to 50 of its 40, has borrowed 0 and 10.
  ASSERT_EQ(result.shares.size(), 3u);
  EXPECT_EQ(result.shares[0].queue, "a");
  EXPECT_DOUBLE_EQ(result.shares[0].borrowed, 5);
  EXPECT_DOUBLE_EQ(result.shares[0].deviation, 0);
  EXPECT_DOUBLE_EQ(result.shares[1].borrowed, 10);
  EXPECT_DOUBLE_EQ(result.shares[1].deviation, 0);
  EXPECT_EQ(result.shares[2].queue, "p");
  EXPECT_DOUBLE_EQ(result.shares[2].borrowed, 5);

  result.samples[1] = Sample(burst, {12, 12, 0, 10}, {1, 1, 0, 1});  // 5 and 7: 4 by weight
  MeasureShares(plan, result);
  EXPECT_DOUBLE_EQ(result.shares[0].deviation, 0.25);
  EXPECT_DOUBLE_EQ(result.shares[1].deviation, -0.125);
}

TEST(Monday, CanBeReplayedAndKeepsToItsQuotas) {
  const MondayOptions options = {.seed = 3, .scale = 0.02};
  const MondayPlan plan = PlanMonday(options);
  const Registry registry = AllPlugins();
  const Configuration config = MondayConfiguration(DefaultConfiguration(registry));
  const auto first = RunMonday(options, plan, config, registry), second = RunMonday(options, plan, config, registry);
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  EXPECT_EQ(first->log_hash, second->log_hash);
  EXPECT_EQ(first->unseed, second->unseed);
  EXPECT_GT(first->bound, 2000u);
  EXPECT_EQ(first->over_limit, 0u);
  EXPECT_EQ(first->samples.size(), 480u);
  EXPECT_THAT(DrawMonday(plan, *first),
              ::testing::AllOf(::testing::StartsWith("<svg "), ::testing::EndsWith("</svg>\n")));
}

}  // namespace
}  // namespace muster
