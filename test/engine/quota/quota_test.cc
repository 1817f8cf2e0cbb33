// Teams with queues, one scene at a time, each with a known right end.
#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/engine/quota/make_queue.h"
#include "test/support/sim_cluster.h"

namespace muster {
namespace {

using ::testing::HasSubstr;

struct Teams : SimCluster {
  explicit Teams(const std::vector<std::string>& names = {"a", "b", "c"}, int64_t node_cpu = 100) {
    for (const std::string& name : names) SetTeam(server, name, name);
    Create(MakeNode("n1").Cpu(node_cpu * 1000));
  }
  // Pods "NS-0", ... of one cpu each.
  void CreatePods(const std::string& ns, int count, int64_t cpu = 1000, int32_t priority = 0) {
    for (int i = 0; i < count; ++i) {
      Create(MakePod(absl::StrCat(ns, "-", next_++), ns).Cpu(cpu).Priority(priority));
    }
  }
  int Bound(const std::string& ns) const {
    int bound = 0;
    for (const PodPtr& pod : server.Pods()) bound += pod->ns() == ns && !pod->node.empty() && !pod->ended;
    return bound;
  }
  std::string BoundOf(const std::vector<std::string>& namespaces) const {
    std::string all;
    for (const std::string& ns : namespaces) absl::StrAppend(&all, all.empty() ? "" : " ", Bound(ns));
    return all;
  }
  // What a pending pod of the namespace was told.
  std::string Told(const std::string& ns) const {
    for (const PodPtr& pod : server.Pods()) {
      if (pod->ns() == ns && pod->node.empty() && pod->scheduled.present)
        return absl::StrCat(pod->scheduled.reason, ": ", pod->scheduled.message);
    }
    return "";
  }
  int next_ = 0;
};

TEST(QuotaTest, WithoutQueuesThereIsNoQuota) {
  Teams c;
  c.CreatePods("a", 3);
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.BoundOf({"a"}), "3");
}

TEST(QuotaTest, AQueueGetsItsQuotaAndBorrowsWhatIsIdle) {
  struct Row {
    std::vector<MakeQueue> queues;
    int pods[3];
    const char* bound;
  } const rows[] = {
      {{MakeQueue("a").Cpu(4000)}, {6, 0, 0}, "4 0 0"},
      {{MakeQueue("r"), MakeQueue("a", "r").Cpu(4000), MakeQueue("b", "r").Cpu(4000)}, {6, 0, 0}, "6 0 0"},
      {{MakeQueue("r"), MakeQueue("a", "r").Cpu(4000), MakeQueue("b", "r").Cpu(4000)}, {9, 0, 0}, "8 0 0"},
      {{MakeQueue("r"), MakeQueue("a", "r").Cpu(4000, 1000), MakeQueue("b", "r").Cpu(4000)}, {9, 0, 0}, "5 0 0"},
      {{MakeQueue("r"), MakeQueue("a", "r").Cpu(4000), MakeQueue("b", "r").Cpu(4000, {}, 1000)}, {9, 0, 0}, "5 0 0"},
      {{MakeQueue("r").Cpu(6000), MakeQueue("a", "r").Cpu(0), MakeQueue("b", "r").Cpu(0).Weight(2)},
       {9, 9, 0},
       "2 4 0"},
      {{MakeQueue("r").Cpu(7000), MakeQueue("a", "r").Cpu(0, 1000), MakeQueue("b", "r").Cpu(0)}, {9, 9, 0}, "1 6 0"},
      {{MakeQueue("a").Cpu(2000), MakeQueue("b").Cpu(3000)}, {9, 9, 0}, "2 3 0"},
  };
  for (const Row& row : rows) {
    Teams c;
    for (const MakeQueue& queue : row.queues) SetQueue(c.server, queue);
    c.loop.RunFor(absl::Seconds(1));
    for (const auto& [ns, count] : {std::pair("a", row.pods[0]), {"b", row.pods[1]}, {"c", row.pods[2]}})
      c.CreatePods(ns, count);
    ASSERT_TRUE(c.Settle());
    EXPECT_EQ(c.BoundOf({"a", "b", "c"}), row.bound) << "row " << &row - rows;
  }
}

TEST(QuotaTest, WhoIsSelectedByNoQueueIsHeldAndTold) {
  Teams c;
  SetQueue(c.server, MakeQueue("a").Cpu(4000));
  c.CreatePods("b", 1);
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.BoundOf({"b"}), "0");
  EXPECT_EQ(c.Told("b"), "SchedulingGated: no queue selects namespace \"b\"");
  SetQueue(c.server, MakeQueue("b").Cpu(1000));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.BoundOf({"b"}), "1");
}

TEST(QuotaTest, AGroupIsOneItemAndChargedWhole) {
  Teams c;
  SetQueue(c.server, MakeQueue("a").Cpu(4000));
  c.loop.RunFor(absl::Seconds(1));
  for (int i = 0; i < 5; ++i)
    c.Create(MakePod(absl::StrCat("g-", i), "a").Cpu(1000).Group("g", GroupRef::Source::kLabels, 5));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.BoundOf({"a"}), "0");
  c.CreatePods("a", 2);
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.BoundOf({"a"}), "2");
  SetQueue(c.server, MakeQueue("a").Cpu(7000));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.BoundOf({"a"}), "7");
}

TEST(QuotaTest, AFlavorCountsWhereThePodRuns) {
  Teams c;
  c.Create(MakeNode("big").Cpu(100000).Label("model", "h").Room("example.com/gpu", 8));
  c.Create(MakeNode("old").Cpu(100000).Label("model", "o").Room("example.com/gpu", 8));
  c.Create(MakeNode("odd").Cpu(100000).Label("model", "?").Room("example.com/gpu", 8));
  SetFlavor(c.server, "h", {{"model", "h"}});
  SetFlavor(c.server, "o", {{"model", "o"}});
  SetQueue(c.server, MakeQueue("a").Resource("example.com/gpu", "h", 2).Resource("example.com/gpu", "o", 3));
  c.loop.RunFor(absl::Seconds(1));
  for (int i = 0; i < 9; ++i) c.Create(MakePod(absl::StrCat("p", i), "a").Cpu(10).Request("example.com/gpu", 1));
  ASSERT_TRUE(c.Settle());
  std::map<std::string, int> on;
  for (const PodPtr& pod : c.server.Pods()) ++on[pod->node];
  EXPECT_EQ(on["big"], 2);
  EXPECT_EQ(on["old"], 3);
  EXPECT_EQ(on["odd"], 0);
  EXPECT_EQ(on[""], 4);
}

TEST(QuotaTest, HoldStartsNothingNewAndLendsWhatIsIdle) {
  Teams c;
  const MakeQueue b = MakeQueue("b", "r").Cpu(4000);
  SetQueue(c.server, MakeQueue("r"));
  SetQueue(c.server, MakeQueue("a", "r").Cpu(4000));
  SetQueue(c.server, b);
  c.loop.RunFor(absl::Seconds(1));
  c.CreatePods("b", 1);
  ASSERT_TRUE(c.Settle());
  SetQueue(c.server, MakeQueue(b).With([](Queue& q) { q.stop_policy = Queue::StopPolicy::kHold; }));
  c.loop.RunFor(absl::Seconds(1));
  c.CreatePods("b", 2);
  c.CreatePods("a", 9);
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.BoundOf({"a", "b"}), "7 1");
  EXPECT_EQ(c.Told("b"), "SchedulingGated: queue \"b\" is on hold");
}

TEST(QuotaTest, ADrainedQueueLosesItsPods) {
  Teams c;
  SetQueue(c.server, MakeQueue("r"));
  SetQueue(c.server, MakeQueue("a", "r").Cpu(4000));
  SetQueue(c.server, MakeQueue("b", "r").Cpu(4000));
  c.CreatePods("a", 5);
  c.CreatePods("b", 2);
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.BoundOf({"a", "b"}), "5 2");
  SetQueue(c.server,
           MakeQueue("a", "r").Cpu(4000).With([](Queue& q) { q.stop_policy = Queue::StopPolicy::kHoldAndDrain; }));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.BoundOf({"a", "b"}), "0 2");
}

TEST(QuotaTest, ShortPodsGoThroughTheBurstLaneWhileTokensLast) {
  Teams c;
  SetQueue(c.server, MakeQueue("a").Cpu(4000).With([](Queue& q) {
    q.burst = QueueBurst{absl::Minutes(5), {{"cpu", 2000}}, absl::Minutes(1)};
  }));
  c.CreatePods("a", 4);  // the queue is full
  ASSERT_TRUE(c.Settle());
  c.CreatePods("a", 3);  // long ones, which come first
  for (int i = 0; i < 3; ++i) {
    Pod pod = MakePod(absl::StrCat("short-", i), "a").Cpu(1000).Build();
    pod.max_runtime = absl::Minutes(1);
    ASSERT_TRUE(c.server.CreatePod(pod).ok());
  }
  c.loop.RunFor(absl::Seconds(5));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(c.server.EndPod("a", absl::StrCat("a-", i)).ok());
  c.loop.RunFor(absl::Seconds(5));
  // Two tokens, for two short pods; then it is the first long one's turn.
  EXPECT_NE(c.server.FindPod("a", "short-0")->node, "");
  EXPECT_NE(c.server.FindPod("a", "short-1")->node, "");
  EXPECT_EQ(c.server.FindPod("a", "short-2")->node, "");
  EXPECT_NE(c.server.FindPod("a", "a-4")->node, "");
  // After half a minute there is another token.
  c.loop.RunFor(absl::Seconds(60));
  ASSERT_TRUE(c.server.EndPod("a", "a-3").ok());
  c.loop.RunFor(absl::Seconds(5));
  EXPECT_NE(c.server.FindPod("a", "short-2")->node, "");
}

// The first that waits for tokens asks for more than the lane has since it was changed.
TEST(QuotaTest, ABurstLaneThatBecomesSmallerDoesNotGetStuck) {
  Teams c;
  const auto set = [&](int64_t cpu) {
    SetQueue(c.server, MakeQueue("a").Cpu(4000).With([&](Queue& q) {
      q.burst = QueueBurst{absl::Minutes(5), {{"cpu", cpu}}, absl::Minutes(1)};
    }));
  };
  const auto add = [&](const char* name, int64_t cpu) {
    Pod pod = MakePod(name, "a").Cpu(cpu).Build();
    pod.max_runtime = absl::Minutes(1);
    ASSERT_TRUE(c.server.CreatePod(pod).ok());
    c.loop.RunFor(absl::Seconds(1));
  };
  set(2000);
  c.CreatePods("a", 8);
  ASSERT_TRUE(c.Settle());
  add("takes-all", 2000);
  add("waits", 2000);
  set(1000);
  add("small", 1000);
  c.loop.RunFor(absl::Minutes(3));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(c.server.EndPod("a", absl::StrCat("a-", i)).ok());
  c.loop.RunFor(absl::Seconds(5));
  EXPECT_NE(c.server.FindPod("a", "small")->node, "") << c.Told("a");
}

TEST(QuotaTest, ARestartCostsNobodyItsPlace) {
  Teams c({"a"}, 1);
  SetQueue(c.server, MakeQueue("a").Cpu(8000));
  for (const char* name : {"runs", "z", "y", "x"}) {
    c.Create(MakePod(name, "a").Cpu(1000));
    c.loop.RunFor(absl::Seconds(5));
  }
  c.RestartScheduler();
  ASSERT_TRUE(c.Settle());
  ASSERT_TRUE(c.server.EndPod("a", "runs").ok());
  ASSERT_TRUE(c.Settle());
  EXPECT_NE(c.server.FindPod("a", "z")->node, "") << c.Told("a");
}

// What a flavor is was looked up while there were no nodes.
TEST(QuotaTest, AFlavorOfNoNodeIsNotEverywhere) {
  SimCluster c;
  SetTeam(c.server, "a", "a");
  SetFlavor(c.server, "h100", {{"model", "h100"}});
  SetQueue(c.server, MakeQueue("a").Resource("nvidia.com/gpu", "h100", 4));
  c.Create(MakePod("p", "a").Request("nvidia.com/gpu", 1));
  ASSERT_TRUE(c.Settle());
  c.Create(MakeNode("n1").Cpu(8000).Room("nvidia.com/gpu", 4));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.server.FindPod("a", "p")->node, "");
  c.Create(MakeNode("n2").Cpu(8000).Room("nvidia.com/gpu", 4).Label("model", "h100"));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.server.FindPod("a", "p")->node, "n2");
}

// While its victim goes, the pod's queue stops selecting its namespace.
TEST(QuotaTest, WhoWaitsForItsVictimsIsHeldWithItsQueue) {
  Teams c({"a"}, 1);
  SetQueue(c.server, MakeQueue("a").Cpu(1000));
  c.CreatePods("a", 1);
  ASSERT_TRUE(c.Settle());
  c.CreatePods("a", 1, 1000, /*priority=*/5);
  c.loop.RunFor(absl::Milliseconds(3));
  SetTeam(c.server, "a", "other");
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.server.FindPod("a", "a-1")->node, "");
  EXPECT_EQ(c.server.FindPod("a", "a-1")->nominated_node, "");
  EXPECT_THAT(c.Told("a"), HasSubstr("no queue selects namespace \"a\""));
}

TEST(QuotaTest, ABudgetThatIsUsedUpEndsBorrowingOrHolds) {
  for (const bool hold : {false, true}) {
    Teams c;
    SetQueue(c.server, MakeQueue("r"));
    SetQueue(c.server, MakeQueue("b", "r").Cpu(4000));
    SetQueue(c.server, MakeQueue("a", "r").Cpu(2000).With([&](Queue& q) {
      using Beyond = QueueBudget::Beyond;
      // 4 cpus for a hundred seconds.
      q.budget = QueueBudget{"cpu", 4000 * 100, absl::Hours(1), hold ? Beyond::kHold : Beyond::kNoBorrowing};
    }));
    c.CreatePods("a", 4);
    c.loop.RunFor(absl::Seconds(90));
    EXPECT_EQ(c.Bound("a"), 4);
    c.CreatePods("a", 1);
    c.loop.RunFor(absl::Seconds(5));
    EXPECT_EQ(c.Bound("a"), 5);
    c.loop.RunFor(absl::Seconds(15));
    c.CreatePods("a", 1);
    c.loop.RunFor(absl::Seconds(15));
    EXPECT_EQ(c.Bound("a"), 5);
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(c.server.EndPod("a", absl::StrCat("a-", i)).ok());
    c.loop.RunFor(absl::Seconds(15));
    EXPECT_EQ(c.Bound("a"), hold ? 1 : 2) << c.Told("a");
    if (!hold) continue;
    // Once nothing runs, the window passes.
    ASSERT_TRUE(c.server.EndPod("a", "a-4").ok());
    c.loop.RunFor(absl::Minutes(50));
    EXPECT_EQ(c.Bound("a"), 0);
    c.loop.RunFor(absl::Minutes(15));
    EXPECT_EQ(c.Bound("a"), 1);
  }
}

TEST(QuotaTest, SharesRememberWhatWasUsed) {
  Teams c;
  SetQueue(c.server, MakeQueue("r").Cpu(4000));
  for (const char* name : {"a", "b"})
    SetQueue(c.server, MakeQueue(name, "r").Cpu(0).With([](Queue& q) { q.usage_half_life = absl::Hours(1); }));
  c.CreatePods("a", 4);
  c.loop.RunFor(absl::Hours(4));
  c.CreatePods("a", 4);
  c.CreatePods("b", 4);
  c.loop.RunFor(absl::Seconds(10));
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(c.server.EndPod("a", absl::StrCat("a-", i)).ok());
  c.loop.RunFor(absl::Seconds(10));
  EXPECT_EQ(c.BoundOf({"a", "b"}), "0 4");
}

TEST(QuotaTest, BackfillLetsPassWhatEndsBeforeTheFirstCanStart) {
  using Order = Queue::Order;
  for (const Order order : {Order::kBackfill, Order::kBestEffortFIFO, Order::kStrictFIFO}) {
    Teams c;
    SetQueue(c.server, MakeQueue("a").Cpu(4000).With([&](Queue& q) { q.order = order; }));
    c.loop.RunFor(absl::Seconds(1));
    const auto create = [&](const std::string& name, int64_t cpu, Duration runtime) {
      Pod pod = MakePod(name, "a").Cpu(cpu).Build();
      pod.max_runtime = runtime;
      ASSERT_TRUE(c.server.CreatePod(pod).ok());
    };
    create("running", 3000, absl::Hours(1));
    c.loop.RunFor(absl::Seconds(5));
    create("large", 4000, absl::Hours(1));
    create("long", 1000, absl::Hours(2));
    create("short", 1000, absl::Minutes(30));
    c.loop.RunFor(absl::Seconds(5));
    const auto runs = [&](const char* name) { return c.server.FindPod("a", name)->node.empty() ? "" : name; };
    const std::string all = absl::StrCat(runs("large"), runs("long"), runs("short"));
    EXPECT_EQ(all, order == Order::kBackfill ? "short" : order == Order::kBestEffortFIFO ? "long" : "");
  }
}

TEST(QuotaTest, BackfillKeepsNodesForTheFirstUntilItCanStart) {
  using Order = Queue::Order;
  for (const Order order : {Order::kBackfill, Order::kBestEffortFIFO}) {
    Teams c({"a", "b"}, 4);
    c.Create(MakeNode("n2").Cpu(4000));
    SetQueue(c.server, MakeQueue("a").Cpu(100000).With([&](Queue& q) { q.order = order; }));
    SetQueue(c.server, MakeQueue("b").Cpu(100000));
    c.loop.RunFor(absl::Seconds(1));
    const auto create = [&](const std::string& name, const char* ns, int64_t cpu, std::optional<Duration> runtime) {
      Pod pod = MakePod(name, ns).Cpu(cpu).Build();
      pod.max_runtime = runtime;
      ASSERT_TRUE(c.server.CreatePod(pod).ok());
      c.loop.RunFor(absl::Seconds(1));
    };
    create("one", "a", 3000, absl::Minutes(10));
    create("two", "a", 3000, std::nullopt);
    const std::string first = c.server.FindPod("a", "one")->node;
    create("large", "a", 4000, absl::Hours(1));  // fits where "one" is, in ten minutes
    create("short", "b", 1000, absl::Minutes(5));
    create("long", "b", 1000, absl::Hours(5));
    create("longer", "b", 1000, std::nullopt);
    c.loop.RunFor(absl::Seconds(30));
    const auto node = [&](const char* ns, const char* name) { return c.server.FindPod(ns, name)->node; };
    // One of the long ones has the other node; nobody else is let to where the large one is to be.
    EXPECT_NE(node("b", "short"), "");
    const int on_first = (node("b", "long") == first) + (node("b", "longer") == first);
    EXPECT_EQ(on_first, order == Order::kBackfill || node("b", "short") == first ? 0 : 1);
    ASSERT_TRUE(c.server.EndPod("b", "short").ok());
    c.loop.RunFor(absl::Minutes(9));
    ASSERT_TRUE(c.server.EndPod("a", "one").ok());
    c.loop.RunFor(absl::Minutes(2));
    EXPECT_EQ(node("a", "large"), order == Order::kBackfill ? first : "");
    EXPECT_EQ(c.BoundOf({"b"}), order == Order::kBackfill ? "1" : "2");
  }
}

// It has quota, but no node is large enough: who comes after it is not to wait for that.
// What should have ended long ago still runs: the first of the queue is tried now and then, not without end.
TEST(QuotaTest, BackfillBehindPodsThatAreOverdueRests) {
  Teams c({"a"}, 2);
  SetQueue(c.server, MakeQueue("a").Cpu(8000).With([](Queue& q) { q.order = Queue::Order::kBackfill; }));
  Pod overdue = MakePod("overdue", "a").Cpu(2000).Build();
  overdue.max_runtime = absl::Seconds(10);
  ASSERT_TRUE(c.server.CreatePod(overdue).ok());
  c.CreatePods("a", 1);
  c.loop.RunFor(absl::Minutes(2));
  const uint64_t before = c.log.entries();
  c.loop.RunFor(absl::Minutes(1));
  EXPECT_LE(c.log.entries() - before, 10u);
}

TEST(QuotaTest, BackfillDoesNotWaitForWhatNoNodeCanTake) {
  Teams c({"a"}, 4);
  c.Create(MakeNode("n2").Cpu(4000));
  SetQueue(c.server, MakeQueue("a").Cpu(8000).With([](Queue& q) { q.order = Queue::Order::kBackfill; }));
  c.CreatePods("a", 1, 8000);
  c.CreatePods("a", 2, 3000);
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.BoundOf({"a"}), "2");
}

TEST(QuotaTest, AQueueThatChangesOrGoesUnderLoadIsCountedAnew) {
  Teams c;
  SetQueue(c.server, MakeQueue("r"));
  SetQueue(c.server, MakeQueue("a", "r").Cpu(3000));
  SetQueue(c.server, MakeQueue("b", "r").Cpu(3000));
  c.CreatePods("a", 9);
  c.CreatePods("b", 9);
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.BoundOf({"a", "b"}), "3 3");
  c.RestartScheduler();
  SetQueue(c.server, MakeQueue("a", "r").Cpu(5000));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.BoundOf({"a", "b"}), "5 3");
  ASSERT_TRUE(c.server.RemoveObject(Kind::kQueue, "", "b").ok());
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.BoundOf({"a", "b"}), "5 3");
  EXPECT_EQ(c.Told("b"), "SchedulingGated: no queue selects namespace \"b\"");
  ASSERT_TRUE(c.server.RemoveObject(Kind::kQueue, "", "a").ok());
  ASSERT_TRUE(c.server.RemoveObject(Kind::kQueue, "", "r").ok());
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.BoundOf({"a", "b"}), "9 9");
}

TEST(QuotaTest, AStrictQueueWaitsForItsFirst) {
  for (const bool strict : {true, false}) {
    Teams c;
    SetQueue(c.server, MakeQueue("a").Cpu(4000).With([&](Queue& q) {
      if (strict) q.order = Queue::Order::kStrictFIFO;
    }));
    c.loop.RunFor(absl::Seconds(1));
    c.CreatePods("a", 1, 3000);
    c.CreatePods("a", 1, 2000);
    c.CreatePods("a", 1, 1000);
    ASSERT_TRUE(c.Settle());
    EXPECT_EQ(c.Bound("a"), strict ? 1 : 2);
  }
}

}  // namespace
}  // namespace muster
