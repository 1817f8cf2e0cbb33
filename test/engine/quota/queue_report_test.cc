// What queues and those that wait in them are told, in small worlds with known numbers.
#include "scheduler/engine/quota/queue_report.h"

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/engine/quota/make_queue.h"
#include "test/support/sim_cluster.h"

namespace muster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct World : SimCluster {
  World() {
    for (const char* name : {"a", "b", "c"}) SetTeam(server, name, name);
    Create(MakeNode("n1").Cpu(1000000));
    loop.RunFor(absl::Seconds(1));
  }
  // Pod NS/NAME; `minutes` 0: it does not say how long it runs.
  void Create(const std::string& ns, const std::string& name, int64_t cpu, int minutes = 0, int32_t priority = 0,
              const std::string& gang = "", int size = 0) {
    MakePod make(name, ns);
    make.Cpu(cpu * 1000).Priority(priority);
    if (!gang.empty()) make.Group(gang, GroupRef::Source::kLabels, size);
    Pod pod = make.Build();
    if (minutes > 0) pod.max_runtime = absl::Minutes(minutes);
    EXPECT_TRUE(server.CreatePod(pod).ok());
    loop.RunFor(absl::Milliseconds(50));
  }
  using SimCluster::Create;
  QueueStatus StatusOf(const std::string& name) {
    QueueReport report = scheduler->Report();
    const auto entries = scheduler->ledger().catalog().entries();
    for (size_t i = 0; i < entries.size(); ++i) {
      if (entries[i].queue->name == name) return report.StatusOf(i);
    }
    ADD_FAILURE() << "no queue " << name;
    return {};
  }
  // "3m", rounded down, or "-".
  std::string Minute(Time time) const {
    if (time == absl::InfiniteFuture()) return "-";
    return absl::StrCat(absl::ToInt64Minutes(time - SimEventLoop::Epoch()), "m");
  }
  // "1 a/x" ...
  std::vector<std::string> Order(const std::string& queue) {
    std::vector<std::string> all;
    for (const auto& group : StatusOf(queue).pending) all.push_back(absl::StrCat(group.position, " ", group.group));
    return all;
  }
  std::string Told(const std::string& ns, const std::string& name) const {
    const PodPtr pod = server.FindPod(ns, name);
    return pod->scheduled.present ? absl::StrCat(pod->scheduled.reason, ": ", pod->scheduled.message) : "";
  }
};

TEST(QueueReportTest, TheStatusOfTheQueuesIsWritten) {
  World w;
  SetQueue(w.server, MakeQueue("r"));
  SetQueue(w.server, MakeQueue("a", "r").Cpu(4000).Resource("example.com/gpu", "", 2).Weight(2));
  SetQueue(w.server, MakeQueue("b", "r").Cpu(4000));
  SetQueue(w.server, MakeQueue("wrong", "nobody"));
  w.loop.RunFor(absl::Seconds(1));
  for (const char* name : {"p0", "p1", "p2", "p3", "p4", "p5"}) w.Create("a", name, 1);
  w.Create("b", "q0", 2);
  w.Create("a", "p6", 1);
  w.Create("a", "g0", 1, 0, 0, "g", 2);
  w.Create("a", "g1", 1, 0, 0, "g", 2);
  ASSERT_TRUE(w.Settle());
  const QueueStatus* a = w.server.FindQueueStatus("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->ready, (PodCondition{true, "True", "Ready", ""}));
  EXPECT_EQ(a->pending_groups, 2);
  EXPECT_EQ(a->pending_pods, 3);
  EXPECT_EQ(a->running_pods, 6);
  EXPECT_EQ(a->share, "0.125") << "2 of 8 borrowed, by a weight of 2";
  EXPECT_EQ(a->usage, (std::vector<QueueStatus::Usage>{{"cpu", "", 6000, 2000}, {"example.com/gpu", "", 0, 0}}));
  ASSERT_EQ(a->pending.size(), 2u);
  const QueueStatus::Pending first = {"a/p6",
                                      1,
                                      1,
                                      "",
                                      "queue \"a\" has no room: cpu asks for 1, available 0, used 6 of 4",
                                      absl::InfiniteFuture(),
                                      "not known: running pods of queues a, b have no known end"};
  EXPECT_EQ(a->pending[0], first);
  EXPECT_EQ(a->pending[1].group, "a/gang/g");
  EXPECT_EQ(a->pending[1].pods, 2);
  EXPECT_EQ(a->pending[1].ahead, "a/p6");
  const QueueStatus* b = w.server.FindQueueStatus("b");
  EXPECT_EQ(absl::StrCat(b->pending_pods, " ", b->running_pods, " ", b->share), "0 1 0");
  const QueueStatus* r = w.server.FindQueueStatus("r");
  EXPECT_EQ(absl::StrCat(r->pending_pods, " ", r->running_pods, " ", r->share), "0 0 0") << "its own alone";
  const QueueStatus* wrong = w.server.FindQueueStatus("wrong");
  EXPECT_EQ(wrong->ready, (PodCondition{true, "False", "ParentNotFound", "parent \"nobody\" does not exist"}));
}

TEST(QueueReportTest, TheOrderIsTheQueues) {
  World w;
  SetQueue(w.server, MakeQueue("a").Cpu(1000).With(
                         [](Queue& q) { q.preemption.within_queue = QueuePreemption::Within::kNever; }));
  w.loop.RunFor(absl::Seconds(1));
  w.Create("a", "runs", 1);
  w.Create("a", "gang0", 1, 0, 9, "lacks", 2);  // another pod is yet to come
  w.Create("a", "old", 1);
  w.Create("a", "new", 1);
  w.Create("a", "high", 1, 0, 5);
  w.Create("a", "newest", 1);
  ASSERT_TRUE(w.Settle());
  EXPECT_THAT(w.Order("a"), ElementsAre("1 a/high", "2 a/old", "3 a/new", "4 a/newest", "5 a/gang/lacks"));
  const QueueStatus status = w.StatusOf("a");
  ASSERT_EQ(status.pending.size(), 5u);
  EXPECT_EQ(status.pending[1].ahead, "a/high");
  EXPECT_EQ(status.pending[4].ahead, "a/newest, a/new, a/old and 1 more");
  EXPECT_THAT(status.pending[4].waiting_for, HasSubstr("1 of 2")) << "what its gate says";
  EXPECT_EQ(status.pending[4].assumption, "");
}

TEST(QueueReportTest, StartsAreEstimatedFromKnownEnds) {
  struct P {
    const char* ns;
    int64_t cpu;
    int minutes = 0;
  };
  const struct {
    Queue::Order order;
    std::vector<P> runs, waits;       // those that wait are of "a"
    std::vector<std::string> starts;  // minute, or what the answer begins with
  } rows[] = {
      // The nearest end is the first start; one that says how long it runs is followed by the next.
      {Queue::Order::kBestEffortFIFO, {{"a", 2, 10}, {"a", 2, 20}}, {{"a", 2, 5}, {"a", 2}}, {"10m", "15m"}},
      {Queue::Order::kBestEffortFIFO, {{"a", 2, 10}, {"a", 2, 20}}, {{"a", 2}, {"a", 2}}, {"10m", "20m"}},
      {Queue::Order::kStrictFIFO, {{"a", 2, 10}, {"a", 2, 20}}, {{"a", 4}, {"a", 1}}, {"20m", "not known: those"}},
      // What is lent counts, and ends elsewhere do too.
      {Queue::Order::kBestEffortFIFO, {{"a", 4}, {"b", 4, 30}}, {{"a", 2}, {"a", 2}}, {"30m", "30m"}},
      {Queue::Order::kBestEffortFIFO, {{"a", 2, 10}, {"a", 2}}, {{"a", 3}}, {"not known: running pods of queue a "}},
      {Queue::Order::kBestEffortFIFO,
       {{"a", 3, 10}, {"a", 1}, {"b", 4}},
       {{"a", 4}},
       {"not known: running pods of queues a, b "}},
      // One that cannot be placed in time does not keep a smaller one from it, but in a strict queue it does.
      {Queue::Order::kBestEffortFIFO,
       {{"a", 1, 10}, {"a", 1, 20}, {"a", 2}},
       {{"a", 3}, {"a", 1}},
       {"not known: running", "10m"}},
      {Queue::Order::kStrictFIFO,
       {{"a", 2, 10}, {"a", 2}},
       {{"a", 3}, {"a", 2}},
       {"not known: running", "not known: nor is a/w0's"}},
      {Queue::Order::kBestEffortFIFO, {{"a", 2, 10}}, {{"a", 9}}, {"never: its queue may use at most 8 of cpu"}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(&row - rows);
    World w;
    // Where only a's pods run, b keeps its own to itself.
    const bool lends = std::any_of(row.runs.begin(), row.runs.end(), [](const P& p) { return p.ns[0] == 'b'; }) ||
                       row.waits[0].cpu == 9;
    SetQueue(w.server, MakeQueue("r"));
    SetQueue(w.server, MakeQueue("a", "r").Cpu(4000).With([&](Queue& q) { q.order = row.order; }));
    SetQueue(w.server, MakeQueue("b", "r").Cpu(4000, {}, lends ? std::nullopt : std::optional<int64_t>(0)));
    w.loop.RunFor(absl::Seconds(1));
    int i = 0;
    for (const P& p : row.runs) w.Create(p.ns, absl::StrCat("r", i++), p.cpu, p.minutes);
    i = 0;
    for (const P& p : row.waits) w.Create(p.ns, absl::StrCat("w", i++), p.cpu, p.minutes);
    w.loop.RunFor(absl::Seconds(5));
    const QueueStatus status = w.StatusOf("a");
    ASSERT_EQ(status.pending.size(), row.starts.size());
    for (size_t k = 0; k < row.starts.size(); ++k) {
      const QueueStatus::Pending& group = status.pending[k];
      const std::string minute = w.Minute(group.estimated_start);
      EXPECT_THAT(minute == "-" ? group.assumption : minute, StartsWith(row.starts[k])) << group.group;
    }
  }
}

TEST(QueueReportTest, ThePodIsToldItsPlace) {
  World w;
  SetQueue(w.server, MakeQueue("a").Cpu(4000));
  w.loop.RunFor(absl::Seconds(1));
  w.Create("a", "runs", 4, 60);
  w.loop.RunFor(absl::Seconds(10));
  w.Create("a", "x", 2);
  w.Create("a", "y", 3);
  w.Create("a", "z", 4);
  w.loop.RunFor(absl::Milliseconds(1500));
  EXPECT_EQ(w.Told("a", "x"), "") << "most learn soon that they may go";
  ASSERT_TRUE(w.Settle(absl::Minutes(10)));
  EXPECT_THAT(
      w.Told("a", "x"),
      StartsWith("SchedulingGated: queue \"a\" has no room: cpu asks for 2, available 0, used 4 of 4; position 1 "
                 "of 3; estimated start "));
  EXPECT_THAT(w.Told("a", "x"), HasSubstr("if running pods end when they say, and nobody else takes what they leave"));
  EXPECT_THAT(w.Told("a", "z"), HasSubstr("; position 3 of 3, behind a/y, a/x; estimated start not known: those"));
  // Told anew when it moves on.
  w.server.DeletePod("a", "x", "", [](const ApiStatus&) {});
  ASSERT_TRUE(w.Settle(absl::Minutes(10)));
  EXPECT_THAT(w.Told("a", "z"), HasSubstr("; position 2 of 2, behind a/y; "));
}

TEST(QueueReportTest, WhatStartsAtNoKnownTimeDoesNotEndAtOne) {
  World w;
  SetQueue(w.server, MakeQueue("a").Cpu(4000).With([](Queue& q) { q.order = Queue::Order::kStrictFIFO; }));
  w.loop.RunFor(absl::Seconds(1));
  w.SimCluster::Create(MakePod("nowhere", "a").Cpu(1000).NodeSelector("no", "node"));
  w.loop.RunFor(absl::Seconds(1));
  w.Create("a", "x", 2, 5);
  w.Create("a", "y", 3);
  w.loop.RunFor(absl::Seconds(5));
  const QueueStatus status = w.StatusOf("a");
  ASSERT_EQ(status.pending.size(), 3u);
  EXPECT_EQ(status.pending[1].waiting_for, "its turn");
  EXPECT_EQ(w.Minute(status.pending[2].estimated_start), "-");
  EXPECT_THAT(status.pending[2].assumption, StartsWith("not known: those before it do not say"));
}

TEST(QueueReportTest, OnlyTheNearFutureIsEstimated) {
  World w;
  SetQueue(w.server, MakeQueue("a").Cpu(1000));
  w.loop.RunFor(absl::Seconds(1));
  for (int i = 0; i < 56; ++i) w.Create("a", absl::StrCat("p", i), 1, 10);
  QueueReport report = w.scheduler->Report();
  ASSERT_EQ(report.Waiting(0).size(), 55u);
  for (const auto& [place, start] :
       {std::pair(0, "10m"), {9, "100m"}, {10, "110m"}, {49, "500m"}, {50, "-"}, {3, "40m"}})
    EXPECT_EQ(w.Minute(report.Describe(0, static_cast<size_t>(place)).estimated_start), start) << place;
  EXPECT_EQ(report.Describe(0, 50).assumption, "not known: 50 or more are before it");
}

// Counts writes by what they are about.
struct Writes final : SimApiServer::Observer {
  explicit Writes(SimApiServer& of) : server(of) { server.AddObserver(this); }
  ~Writes() override { server.RemoveObserver(this); }
  Writes(const Writes&) = delete;
  Writes& operator=(const Writes&) = delete;
  void OnNode(const NodePtr&, const NodePtr&) override {}
  void OnPod(const PodPtr& before, const PodPtr& after) override {
    conditions += before != nullptr && after != nullptr && before->scheduled != after->scheduled && after->node.empty();
  }
  SimApiServer& server;
  int conditions = 0;
};

TEST(QueueReportTest, ManyThatWaitDoNotFloodTheServer) {
  World w;
  SetQueue(w.server, MakeQueue("a").Cpu(1000));
  w.loop.RunFor(absl::Seconds(1));
  Writes writes(w.server);
  constexpr int kPods = 2000;
  for (int i = 0; i < kPods; ++i)
    ASSERT_TRUE(w.server.CreatePod(MakePod(absl::StrCat("p", i), "a").Cpu(1000).Build()).ok());
  // Twenty a second, and what five seconds of silence left.
  for (int seconds = 10; seconds <= 60; seconds += 10) {
    w.loop.RunFor(absl::Seconds(10));
    EXPECT_LE(writes.conditions, 20 * seconds + 100);
    EXPECT_GE(writes.conditions, 20 * (seconds - 10));
  }
  ASSERT_TRUE(w.Settle());
  EXPECT_EQ(writes.conditions, kPods - 1) << "each is told once, for nothing changes";
}

TEST(QueueReportTest, APodThatWaitsForNodesIsUnschedulable) {
  World w;
  SetQueue(w.server, MakeQueue("a").Cpu(4000000));
  w.loop.RunFor(absl::Seconds(1));
  w.Create("a", "big", 2000);
  ASSERT_TRUE(w.Settle());
  EXPECT_THAT(w.Told("a", "big"), StartsWith("Unschedulable: 0/1 nodes are available"));
  const QueueStatus status = w.StatusOf("a");
  ASSERT_EQ(status.pending.size(), 1u);
  EXPECT_THAT(status.pending[0].waiting_for, StartsWith("0/1 nodes are available"));
  EXPECT_EQ(status.pending[0].assumption, "not known: it does not wait for quota");
}

TEST(QueueReportTest, SharesAreDecimals) {
  const struct {
    Share share;
    const char* text;
  } rows[] = {{{false, 0}, "0"},
              {{false, 1}, "0.001"},
              {{false, 125 << 20}, "0.125"},
              {{false, uint64_t{1000} << 20}, "1"},
              {{false, uint64_t{2500} << 20}, "2.5"},
              {{true, 7}, "inf"}};
  for (const auto& [share, text] : rows) EXPECT_EQ(ShareText(share), text);
}

}  // namespace
}  // namespace muster
