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
      {{MakeQueue("r").Cpu(6000), MakeQueue("a", "r").Cpu(0), MakeQueue("b", "r").Cpu(0).Weight(2)}, {9, 9, 0}, "2 4 0"},
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
