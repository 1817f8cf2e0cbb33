// Random teams, queues, pods, faults and deaths of the scheduler: rules that hold at every write (QuotaModel), and an
// end in which everybody ran or waits with reason. The seed of a failure is printed; MUSTER_CASES says how many cases
// to run.
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/runtime/random.h"
#include "test/engine/quota/make_queue.h"
#include "test/engine/quota/quota_world.h"
#include "test/support/sim_cluster.h"

namespace muster {
namespace {

constexpr FaultRates kFewFaults{
    .refused = 0.05, .lost_answer = 0.05, .slow = 0.1, .cut = 0.02, .gone = 0.01, .duplicated = 0.02};
constexpr FaultRates kManyFaults{
    .refused = 0.2, .lost_answer = 0.2, .slow = 0.3, .cut = 0.15, .gone = 0.1, .duplicated = 0.1};

uint64_t Cases() {
  const char* text = std::getenv("MUSTER_CASES");
  return text == nullptr ? 300 : std::strtoull(text, nullptr, 10);
}
// Of the first case: to look at one.
uint64_t First() {
  const char* text = std::getenv("MUSTER_SEED");
  return text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
}

void Print(const QuotaWorld::Tally& tally) {
  for (const auto& [what, count] : tally) std::cout << what << ": " << count << "; ";
  std::cout << "\n";
}

// The cases are split, so that tests run beside each other.
constexpr uint64_t kParts = 4;

class QuotaPropertyTest : public testing::TestWithParam<uint64_t> {};

TEST_P(QuotaPropertyTest, QuotaHoldsAndNobodyWaitsForEver) {
  const uint64_t end = First() + Cases();
  QuotaWorld::Tally tally;
  for (uint64_t seed = First() + GetParam(); seed < end; seed += kParts) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const FaultRates rates[] = {FaultRates{}, FaultRates{}, kFewFaults, kManyFaults};
    ++tally["cases"];
    QuotaWorld(seed, rates[seed / kParts % 4], 1, tally).Run();
    if (HasFailure()) return;
  }
  Print(tally);
  if (tally["cases"] < 50) return;
  for (const char* what :
       {"binds checked", "borrow", "evictions checked", "evictions by other queues", "deaths", "resized",
        "moved flavors", "others' pods", "usage compared", "left: it never fits", "left: on hold", "left: no queue"})
    EXPECT_GT(tally[what], 0) << what;
}

// Each of these found a bug once.
TEST(QuotaRegressionTest, SeedsThatFailedOnce) {
  const FaultRates rates[] = {FaultRates{}, FaultRates{}, kFewFaults, kManyFaults};
  QuotaWorld::Tally tally;
  for (const uint64_t seed : {55,   179,  610,  1021, 1087,  2166,  2562,  2860,  2532,  3439,  3759,  4706, 5953,
                              6790, 7101, 7520, 7683, 10190, 10758, 12779, 14608, 15733, 17633, 18155, 19684}) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    QuotaWorld(seed, rates[seed / kParts % 4], 1, tally).Run();
  }
}

// The same seed gives the same decisions, at any number of threads.
TEST(QuotaReplayTest, SameSeedSameLogHash) {
  for (uint64_t seed = 0; seed < std::max<uint64_t>(10, Cases() / 30); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    QuotaWorld::Tally tally;
    const auto hash = [&](int threads) {
      QuotaWorld world(seed, seed % 2 == 0 ? FaultRates{} : kFewFaults, threads, tally);
      world.Run();
      return std::tuple(world.cluster().log.Hash(), world.cluster().log.entries(), world.cluster().scheduler->Unseed());
    };
    const auto one = hash(1);
    EXPECT_EQ(hash(1), one);
    EXPECT_EQ(hash(4), one);
    EXPECT_GT(std::get<1>(one), 0u);
    if (HasFailure()) return;
  }
}

// Teams below one root, all with more to do than there is: what they borrow is in proportion to their weights.
struct Shares {
  struct Team {
    std::string name;
    int64_t nominal = 0, weight = 1;
    std::optional<int64_t> limit;
    int64_t Borrowed(int64_t bound) const { return std::max<int64_t>(0, bound - nominal); }
    bool MayBorrow(int64_t bound) const { return !limit || Borrowed(bound) < *limit; }
  };
  explicit Shares(uint64_t seed) : random(seed), c({seed, 1, {}, 0}) {
    const uint64_t count = 2 + random.Below(5);
    int64_t total = 0;
    for (uint64_t i = 0; i < count; ++i) {
      Team team{absl::StrCat("t", i), 0, 1, {}};
      if (random.Below(3) == 0) team.nominal = static_cast<int64_t>(random.Below(4));
      team.weight = 1 + static_cast<int64_t>(random.Below(5));
      if (random.Below(5) == 0) team.limit = static_cast<int64_t>(random.Below(5));
      total += team.nominal;
      SetTeam(c.server, team.name, team.name);
      teams.push_back(std::move(team));
    }
    const auto shared = static_cast<int64_t>(8 + random.Below(25));
    SetQueue(c.server, MakeQueue("root").Cpu(1000 * shared));
    capacity = total + shared;
    for (const Team& team : teams) {
      const auto limit = team.limit ? std::optional(1000 * *team.limit) : std::nullopt;
      SetQueue(c.server,
               MakeQueue(team.name, "root").Cpu(1000 * team.nominal, limit).Weight(static_cast<int32_t>(team.weight)));
    }
    for (int n = 0; n < 3; ++n) c.Create(MakeNode(absl::StrCat("n", n)).Cpu(1'000'000).Room("pods", 1000));
    c.loop.RunFor(absl::Seconds(1));
  }
  // Each has so many pods; in random order.
  void Fill(int pods, Duration shortest, Duration longest) {
    std::vector<std::pair<uint64_t, std::string>> all;
    for (const Team& team : teams) {
      for (int i = 0; i < pods; ++i) all.emplace_back(random.Next(), team.name);
    }
    std::sort(all.begin(), all.end());
    for (const auto& [number, ns] : all) {
      const std::string name = absl::StrCat("p", number);
      if (longest < absl::InfiniteDuration())
        c.kubelet.RunsFor(ns, name, shortest + (longest - shortest) * random.Unit());
      c.Create(MakePod(name, ns).Cpu(1000));
    }
  }
  std::vector<int64_t> Bound() const {
    std::vector<int64_t> bound(teams.size());
    for (const PodPtr& pod : c.server.Pods()) {
      for (size_t i = 0; i < teams.size(); ++i)
        bound[i] += pod->ns() == teams[i].name && !pod->node.empty() && !pod->ended;
    }
    return bound;
  }
  // By how many pods too few the team is served that is served worst, as the others see it: what another borrows per
  // weight is at most what this one borrows, and so many pods more, per its weight.
  double Gap() const {
    const std::vector<int64_t> bound = Bound();
    double gap = 0;
    for (size_t i = 0; i < teams.size(); ++i) {
      for (size_t j = 0; j < teams.size(); ++j) {
        if (!teams[j].MayBorrow(bound[j])) continue;
        gap = std::max(gap, static_cast<double>(teams[i].Borrowed(bound[i]) * teams[j].weight) /
                                    static_cast<double>(teams[i].weight) -
                                static_cast<double>(teams[j].Borrowed(bound[j])));
      }
    }
    return gap;
  }
  bool Full() const {
    const std::vector<int64_t> bound = Bound();
    int64_t sum = 0;
    bool may = false;
    for (size_t i = 0; i < bound.size(); ++i) sum += bound[i], may |= teams[i].MayBorrow(bound[i]);
    return sum == capacity || !may;
  }

  Random random;
  SimCluster c;
  std::vector<Team> teams;
  int64_t capacity = 0;
};

// From nothing, each pod goes to who borrows least per weight with it: nobody is a whole pod behind.
TEST(QuotaFairnessTest, BusyQueuesBorrowByWeightFromTheStart) {
  for (uint64_t seed = 0; seed < Cases(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Shares s(seed);
    s.Fill(40, {}, absl::InfiniteDuration());
    s.c.loop.RunFor(absl::Seconds(5));
    EXPECT_TRUE(s.Full()) << absl::StrJoin(s.Bound(), " ") << " of " << s.capacity;
    EXPECT_LE(s.Gap(), 1 + 1e-9) << absl::StrJoin(s.Bound(), " ");
    if (HasFailure()) return;
  }
}

TEST(QuotaFairnessTest, AndRemainSoWhilePodsComeAndGo) {
  double worst = 0;
  int64_t samples = 0;
  for (uint64_t seed = 0; seed < Cases() / 5; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Shares s(seed);
    s.Fill(400, absl::Seconds(20), absl::Seconds(60));
    s.c.loop.RunFor(absl::Minutes(3));
    for (int i = 0; i < 60; ++i) {
      s.c.loop.RunFor(absl::Seconds(2.3));
      if (!s.Full()) continue;
      ++samples;
      worst = std::max(worst, s.Gap());
      EXPECT_LE(s.Gap(), 2 + 1e-9) << absl::StrJoin(s.Bound(), " ");
      if (HasFailure()) return;
    }
  }
  std::cout << samples << " samples, the worst gap is " << worst << " pods\n";
  EXPECT_GT(samples, 0);
}

// --- What random worlds have found -------------------------------------------------------------------

// The tree was another one already while groups left the old one.
TEST(QuotaFoundTest, ATreeMayLoseItsRootWhileGroupsWait) {
  SimCluster c;
  SetTeam(c.server, "b", "b");
  SetQueue(c.server, MakeQueue("r").Cpu(4000));
  SetQueue(c.server, MakeQueue("a", "r").Cpu(0));
  SetQueue(c.server, MakeQueue("b", "a").Cpu(1000));
  c.Create(MakeNode("n").Cpu(100'000));
  c.loop.RunFor(absl::Seconds(1));
  for (int i = 0; i < 9; ++i) c.Create(MakePod(absl::StrCat("p", i), "b").Cpu(1000));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.server.binds(), 5u);
  ASSERT_TRUE(c.server.RemoveObject(Kind::kQueue, "", "r").ok());
  ASSERT_TRUE(c.Settle());
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(c.server.EndPod("b", absl::StrCat("p", i)).ok());
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.server.binds(), 6u);
}

// What kept the pod above the minimum was its queue alone, and no event was waited for.
TEST(QuotaFoundTest, APodAboveTheMinimumGoesOnceTheQueueHasRoom) {
  SimCluster c;
  SetTeam(c.server, "a", "a");
  SetQueue(c.server, MakeQueue("a").Cpu(3000));
  c.Create(MakeNode("n").Cpu(100'000));
  c.loop.RunFor(absl::Seconds(1));
  for (int i = 0; i < 3; ++i)
    c.Create(MakePod(absl::StrCat("g-", i), "a").Cpu(1500).Group("g", GroupRef::Source::kLabels, 1));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.server.binds(), 2u);
  EXPECT_THAT(c.server.FindPod("a", "g-2")->scheduled.message, testing::HasSubstr("queue \"a\" has no room"));
  ASSERT_TRUE(c.server.EndPod("a", "g-0").ok());
  c.loop.RunFor(absl::Seconds(5));
  EXPECT_EQ(c.server.binds(), 3u);
}

INSTANTIATE_TEST_SUITE_P(Parts, QuotaPropertyTest, testing::Range<uint64_t>(0, kParts));

}  // namespace
}  // namespace muster
