#include "queue/usage_history.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "queue/fair_share.h"

namespace muster {
namespace {

using absl::Hours;
using absl::Minutes;
using absl::Seconds;

TEST(Fade, HalvesInEachHalfLife) {
  struct Row {
    int64_t value, passed, half_life, want;
  };
  const Row rows[] = {
      {1024, 0, 5, 1024},
      {1024, 5, 5, 512},
      {1024, 15, 5, 128},
      {-1024, 15, 5, -128},
      {int64_t{1} << 40, 1, 2, 777472127994},  // 2^39.5 = 777472127993.78...
      {int64_t{1} << 40, 3, 2, 388736063997},
      {-(int64_t{1} << 40), 1, 2, -777472127994},
      {1000000, 1, 1000000, 999999},  // less 0.69
      {1000000, 1, 4000000, 1000000},
      {int64_t{1} << 62, 62, 1, 1},
      {int64_t{1} << 62, 64, 1, 0},
      {int64_t{1} << 62, 1000000, 1, 0},
      {int64_t{1} << 62, INT64_MAX, 1, 0},
      {int64_t{1} << 62, INT64_MAX, INT64_MAX, int64_t{1} << 61},
  };
  for (const Row& row : rows)
    EXPECT_EQ(static_cast<int64_t>(Fade(row.value, row.passed, row.half_life)), row.want)
        << row.value << " " << row.passed << "/" << row.half_life;
}

TEST(Fade, IsExactToItsBound) {
  std::mt19937_64 random(1);
  const absl::int128 one = absl::int128(1) << 100;
  for (int i = 0; i < 20000; ++i) {
    const int64_t half_life = 1 + static_cast<int64_t>(random() >> (1 + random() % 60));
    const int64_t passed = static_cast<int64_t>(random() >> (1 + random() % 60));
    const long double want = std::exp2(-static_cast<long double>(passed) / static_cast<long double>(half_life));
    const long double got = std::ldexp(static_cast<long double>(Fade(one, passed, half_life)), -100);
    // Its fraction of a half-life is known to 2^-48, and 2^-100 is one; the rest is how exact exp2 is.
    const long double bound = std::ldexp(want, -48) + std::ldexp(1.0L, -100) + std::ldexp(want, -54);
    ASSERT_LE(std::abs(got - want), bound) << passed << "/" << half_life;
  }
}

// Queues with cpu, and what is charged to them.
struct World {
  Queue& Add(const std::string& name, const std::string& parent = "") {
    auto queue = std::make_shared<Queue>();
    queue->name = name;
    queue->parent = parent;
    queue->resources.push_back({"cpu", "", 100, {}, {}});
    queue->namespace_selector.present = true;
    objects.Set(Kind::kQueue, queue);
    return *queue;
  }
  void Build() {
    catalog.Build(objects, "");
    tree.Build(catalog.tree(), catalog.resource_of());
    for (const auto& [name, amount] : charged) {
      if (Of(name) != kNoQueue) tree.Add(Of(name), Cpu(), amount);
    }
    history.Build(catalog, tree, now);
  }
  QueueIndex Of(const std::string& name) const {
    for (const QueueCatalog::Entry& entry : catalog.entries()) {
      if (entry.queue->name == name) return entry.index;
    }
    return kNoQueue;
  }
  QuotaCell Cpu() const {
    QuotaCell c = 0;
    while (catalog.cells()[c].resource != "cpu") ++c;
    return c;
  }
  void Charge(const std::string& name, int64_t amount) {
    charged[name] += amount;
    tree.Add(Of(name), Cpu(), amount);
    history.Changed(Of(name), Cpu(), now);
  }
  int64_t Area(const std::string& name) const {
    return history.ResourceSeconds(Of(name), catalog.resource_of()[Cpu()], now);
  }
  int64_t Average(const std::string& name, bool own = false) const {
    UsageHistory::Average average;
    history.Read(Of(name), now, average);
    return (own ? average.own : average.usage)[Cpu()];
  }
  int64_t Left(const std::string& name) const { return history.Left(Of(name), now); }
  double AgainIn(const std::string& name) const {
    return absl::ToDoubleSeconds(history.LeftAgain(Of(name), now) - now);
  }

  ClusterObjects objects;
  QueueCatalog catalog;
  QuotaTree tree;
  UsageHistory history;
  Time now = absl::FromUnixSeconds(1'000'000);
  std::map<std::string, int64_t> charged;
};

TEST(UsageHistory, SumsUpWhatItsQueuesAreCharged) {
  World world;
  world.Add("r");
  world.Add("a", "r").resources[0].lending_limit = 0;
  world.Add("b", "r");
  world.Build();
  world.Charge("a", 3);
  world.now += Seconds(10);
  world.Charge("b", 5);
  world.Charge("r", 1);
  world.now += absl::Milliseconds(1500);
  EXPECT_EQ(world.Area("a"), 34);  // 34.5
  EXPECT_EQ(world.Area("b"), 7);   // 7.5
  EXPECT_EQ(world.Area("r"), 43);  // 34.5 + 7.5 + 1.5; what a lends to nobody too
  world.Charge("a", -3);
  world.now += Hours(1);
  EXPECT_EQ(world.Area("a"), 34);
}

TEST(UsageHistory, WhatIsTriedAndUndoneLeavesNoTrace) {
  World world, other;
  for (World* w : {&world, &other}) {
    w->Add("a").usage_half_life = Hours(1);
    w->Build();
    w->now += Seconds(1);
    w->Charge("a", 10);
    w->now += Seconds(7);
    if (w == &other) w->Charge("a", 50), w->Charge("a", -50), w->Area("a"), w->Average("a");
    w->now += Hours(3);
  }
  EXPECT_EQ(world.Area("a"), other.Area("a"));
  EXPECT_EQ(world.Average("a"), other.Average("a"));
}

TEST(UsageHistory, AveragesForget) {
  World world;
  world.Add("r").usage_half_life = Hours(2);
  world.Add("a", "r").usage_half_life = Hours(1);
  world.Add("b", "r");
  world.Build();
  world.Charge("a", 1024);  // as it begins: as if it had always been so
  EXPECT_EQ(world.Average("a"), 1024);
  world.now += Hours(1);
  EXPECT_EQ(world.Average("a"), 1024);
  world.Charge("a", -1024);
  EXPECT_EQ(world.Average("a"), 1024);
  world.now += Hours(3);
  EXPECT_EQ(world.Average("a"), 128);
  EXPECT_EQ(world.Average("r"), 362);  // 1024 / 2^1.5 = 362.04
  EXPECT_EQ(world.Average("r", true), 0);
  world.Charge("a", 1152);
  world.now += Hours(1);
  EXPECT_EQ(world.Average("a"), 640);  // half way from 128 to 1152
  EXPECT_FALSE(world.history.Fades(world.Of("b")));
}

TEST(UsageHistory, AveragesAreOfWhatCountsInTheTree) {
  World world;
  world.Add("r").usage_half_life = Hours(1);
  world.Add("a", "r").resources[0].lending_limit = 40;  // keeps 60
  world.Build();
  world.Charge("a", 100);
  world.Charge("r", 7);
  EXPECT_EQ(world.Average("r"), 47);
  EXPECT_EQ(world.Average("r", true), 7);
}

TEST(UsageHistory, BudgetsLookBackOneWindow) {
  World world;
  world.Add("a").budget = QueueBudget{"cpu", 3600, Hours(1), QueueBudget::Beyond::kHold};
  world.Add("b");
  world.Build();
  EXPECT_EQ(world.Left("b"), kUnlimited);
  EXPECT_EQ(world.Left("a"), 3600);
  world.Charge("a", 4);
  world.now += Minutes(10);
  EXPECT_EQ(world.Left("a"), 1200);
  world.now += Minutes(5);
  EXPECT_EQ(world.Left("a"), 0);
  EXPECT_EQ(world.history.LeftAgain(world.Of("a"), world.now), absl::InfiniteFuture());  // 4 for ever is too much
  world.Charge("a", -4);
  world.now += Minutes(1);
  EXPECT_EQ(world.Left("a"), 0);
  EXPECT_NEAR(world.AgainIn("a"), 44 * 60 + 0.25, 1e-6);  // when the first quarter of a second is an hour ago
  world.now += Minutes(44) + Minutes(6);
  EXPECT_EQ(world.Left("a"), 4 * 6 * 60);
  EXPECT_EQ(world.AgainIn("a"), 0);
  world.now += Hours(1);
  EXPECT_EQ(world.Left("a"), 3600);
}

TEST(UsageHistory, SurvivesRebuilding) {
  World world;
  world.Add("r");
  Queue& a = world.Add("a", "r");
  a.usage_half_life = Hours(1);
  a.budget = QueueBudget{"cpu", 10000, Hours(1), QueueBudget::Beyond::kHold};
  world.Build();
  world.now += Seconds(1);
  world.Charge("a", 2);
  world.now += Minutes(30);
  const auto check = [&](const std::string& what, int64_t area, int64_t average, int64_t left) {
    EXPECT_EQ(world.Area("a"), area) << what;
    EXPECT_EQ(world.Average("a"), average) << what;
    EXPECT_EQ(world.Left("a"), left) << what;
  };
  world.Charge("a", 1022);
  world.now += Seconds(1);
  check("before", 4624, 1, 5376);
  world.Add("0").resources = {{"a", "", 1, {}, {}}};  // other indices, other cells
  world.Build();
  check("another index", 4624, 1, 5376);
  world.now += Seconds(1);
  check("goes on", 5648, 1, 4352);
  a.parent = "missing";
  world.Build();
  EXPECT_EQ(world.Of("a"), kNoQueue);
  world.now += Hours(1) + Minutes(1);
  a.parent = "r";
  world.Build();
  check("was not sound for an hour", 5648, 0, 10000);
  EXPECT_EQ(world.Area("r"), 5648);
  a.budget->window = Hours(2);
  world.Build();
  world.now += Seconds(1);
  check("a longer window sees what the shorter one did", 6672, 1, 8976);
  a.budget->window = Minutes(10);
  a.usage_half_life = Minutes(10);
  world.Build();
  world.now += Minutes(10);
  check("another half-life", 621072, 512, 10000 - 600 * 1024);
  a.budget.reset();
  world.Build();
  EXPECT_EQ(world.Left("a"), kUnlimited);
  a.budget = QueueBudget{"cpu", 10000, Hours(1), QueueBudget::Beyond::kHold};
  a.usage_half_life.reset();
  world.Build();
  EXPECT_EQ(world.Left("a"), 10000);  // begins anew
  a.usage_half_life = Hours(1);
  world.Build();
  EXPECT_EQ(world.Average("a"), 1024);
  world.objects.Remove(Kind::kQueue, "", "a");
  world.Build();
  EXPECT_EQ(world.Area("r"), 621072);  // what it was charged stays
  world.charged["a"] = 0;
  world.Add("a", "r");
  world.Build();
  EXPECT_EQ(world.Area("a"), 0);
}

TEST(UsageHistory, AnotherHalfLifeOrWindowBeginsWithWhatIsKnown) {
  World world;
  Queue& a = world.Add("a");
  a.usage_half_life = Hours(1);
  a.budget = QueueBudget{"cpu", 1'000'000, Hours(1), QueueBudget::Beyond::kHold};
  world.Build();
  world.Charge("a", 1024);
  world.now += Seconds(100);
  world.Charge("a", -1024);
  world.now += Hours(1) - Seconds(100);
  world.Charge("a", 10);
  world.now += Minutes(30);
  world.Charge("a", -10);
  world.now += Hours(2) - Minutes(30) + Seconds(100);  // 1024 * 2^-3, and 10 * (1 - 2^-0.5) * 2^-1.5: 129.04
  a.usage_half_life = Minutes(1);
  a.budget->window = Hours(3);
  world.Build();
  EXPECT_EQ(world.Average("a"), 129);
  EXPECT_EQ(world.Left("a"), 1'000'000);  // of the hour that it saw
  world.now += Minutes(1);
  EXPECT_EQ(world.Average("a"), 65);
  world.Charge("a", 10);
  world.now += Hours(4);
  EXPECT_EQ(world.Left("a"), 1'000'000 - 3 * 36'000);
  a.budget->window = Hours(10);
  world.Build();
  EXPECT_EQ(world.Left("a"), 1'000'000 - 3 * 36'000);  // of the three hours that it saw
}

// Steps kept as they came, and everything computed of them in long doubles.
struct Model {
  struct Step {
    double at, amount;  // seconds
  };
  std::vector<Step> steps;

  // Of the amount from `from` until `to`, weighted.
  template <typename Weight>
  long double Sum(double from, double to, Weight integral) const {
    long double sum = 0;
    for (size_t i = 0; i < steps.size(); ++i) {
      const double begin = std::max(from, steps[i].at), end = i + 1 < steps.size() ? std::min(to, steps[i + 1].at) : to;
      if (begin < end) sum += steps[i].amount * (integral(end) - integral(begin));
    }
    return sum;
  }
  long double Area(double from, double to) const {
    return Sum(from, to, [](double t) { return static_cast<long double>(t); });
  }
  long double Average(double now, double half_life) const {
    const auto weight = [&](double t) { return std::exp2((static_cast<long double>(t) - now) / half_life); };
    return Sum(0, now, weight) + steps[0].amount * weight(0);
  }
};

TEST(UsageHistory, AgreesWithItsDefinition) {
  const char* const text = std::getenv("MUSTER_CASES");
  const int cases = text != nullptr ? std::atoi(text) : 300;
  size_t over = 0, again = 0, uneven = 0;
  for (int i = 0; i < cases && !HasFailure(); ++i) {
    SCOPED_TRACE(absl::StrCat("seed ", i));
    std::mt19937_64 random(static_cast<uint64_t>(i));
    const auto draw = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint64_t>(n)); };
    World world;
    const double half_life = static_cast<double>(1 + draw(2000)), window = static_cast<double>(64 + draw(2000));
    const int64_t budget = 1 + draw(200'000);
    Queue& a = world.Add("a");
    a.usage_half_life = Seconds(half_life);
    a.budget = QueueBudget{"cpu", budget, Seconds(window), QueueBudget::Beyond::kHold};
    world.Add("below", "a");
    world.Build();
    const Time start = world.now;
    Model model;
    double most = 0;
    for (int step = 0; step < 60; ++step) {
      const double at = absl::ToDoubleSeconds(world.now - start);
      const int64_t amount = draw(3) == 0 ? 0 : draw(200);
      const std::string who = draw(2) == 0 ? "a" : "below";
      world.Charge(who, amount - world.charged[who]);
      const double sum = static_cast<double>(world.charged["a"] + world.charged["below"]);
      if (!model.steps.empty() && model.steps.back().at == at) model.steps.pop_back();
      model.steps.push_back({at, sum});
      most = std::max(most, sum);
      if (draw(10) == 0) {
        if (draw(2) == 0) world.Add(absl::StrCat("0", step)).resources[0].name = absl::StrCat("a", step);
        world.Build();
      }
      world.now += draw(20) == 0 ? Seconds(3 * window) : draw(3) == 0 ? Seconds(0) : absl::Milliseconds(draw(90'000));

      const double now = absl::ToDoubleSeconds(world.now - start);
      ASSERT_EQ(world.Area("a"), static_cast<int64_t>(std::floor(model.Area(0, now) + 1e-9L)));
      ASSERT_NEAR(static_cast<double>(world.Average("a") - model.Average(now, half_life)), 0, 0.5 + 1e-6);
      // Uneven only in the 64th that the window begins in, and there by a quarter of the most; up to a second is
      // rounded.
      const double used = static_cast<double>(model.Area(now - window, now));
      const int64_t left = world.Left("a");
      ASSERT_NEAR(static_cast<double>(budget - left), used, 1.001 + most * window / 64 / 4) << "at " << now;
      uneven += std::abs(static_cast<double>(budget - left) - used) > 1.001;
      if (left > 0) {
        ASSERT_EQ(world.AgainIn("a"), 0);
        continue;
      }
      ++over;
      const Time when = world.history.LeftAgain(world.Of("a"), world.now);
      if (when == absl::InfiniteFuture()) {
        ASSERT_GE(model.steps.back().amount * window, static_cast<double>(budget) - 1.001);
        continue;
      }
      ++again;
      ASSERT_GT(world.history.Left(world.Of("a"), when), 0);
      ASSERT_LE(world.history.Left(world.Of("a"), when - absl::Nanoseconds(1)), 0);
    }
  }
  EXPECT_GT(over, 1000u);
  EXPECT_GT(again, 500u);
  EXPECT_GT(uneven, 100u);
}

// a has all of 100 for itself for four half-lives; then b comes, and both want all. With d = (a's use - b's), and D
// that of their averages, equal shares are d = -D, and dD/dt = (d - D) ln 2 / H: d = -100 * 4^(-t/H). So in the first H
// b gets 50 + 50 * (1 - 1/4) / ln 4 = 77 of 100, and after four of them both get half. Without memory it would be half
// at once.
TEST(UsageHistory, SharesMakeUpForThePast) {
  World world;
  world.Add("r");
  Queue& a = world.Add("a", "r");
  Queue& b = world.Add("b", "r");
  for (Queue* queue : {&a, &b}) {
    queue->resources[0].nominal_quota = 0;
    queue->usage_half_life = Hours(1);
  }
  world.Build();
  FairShare order([](const QueuedGroup& x, const QueuedGroup& y) { return x.sequence < y.sequence; });
  order.Build(world.tree, std::vector<Queue::Order>(3, Queue::Order::kBestEffortFIFO));
  std::vector<std::unique_ptr<QueuedGroup>> groups;
  const auto push = [&](const std::string& name) {
    groups.push_back(std::make_unique<QueuedGroup>());
    groups.back()->queue = world.Of(name);
    groups.back()->sequence = groups.size();
    groups.back()->demand = {{world.Cpu(), 1}};
    order.Push(groups.back().get());
  };
  std::vector<std::string> running;  // pods of 36 s, one of which ends each 0.36 s
  size_t oldest = 0;
  double share_of_b = 0;
  const auto run = [&](Duration time) {
    const std::map<std::string, int64_t> before = {{"a", world.Area("a")}, {"b", world.Area("b")}};
    for (const Time end = world.now + time; world.now < end; world.now += absl::Milliseconds(360)) {
      if (running.size() - oldest == 100) {
        const std::string ends = running[oldest++];
        world.Charge(ends, -1);
        order.Changed(world.Of(ends));
      }
      if (oldest % 100 == 0) {
        for (const char* const name : {"a", "b"}) {
          UsageHistory::Average average;
          world.history.Read(world.Of(name), world.now, average);
          order.SetPast(world.Of(name), average.usage, average.own);
        }
      }
      QueuedGroup* const group = order.Top();
      ASSERT_NE(group, nullptr);
      order.Remove(group);
      const std::string starts = group->queue == world.Of("a") ? "a" : "b";
      world.Charge(starts, 1);
      order.Changed(group->queue);
      running.push_back(starts);
      push(starts);
    }
    const auto used = [&](const std::string& name) { return static_cast<double>(world.Area(name) - before.at(name)); };
    share_of_b = 100 * used("b") / (used("a") + used("b"));
  };
  push("a");
  run(Hours(4));
  EXPECT_EQ(share_of_b, 0);
  push("b");
  run(Hours(1));
  EXPECT_NEAR(share_of_b, 77, 2);
  run(Hours(3));
  run(Hours(1));
  EXPECT_NEAR(share_of_b, 50, 1);
}

}  // namespace
}  // namespace muster
