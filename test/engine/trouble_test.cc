// One kind of trouble at a time, each with a known right end.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/support/sim_cluster.h"

namespace muster {
namespace {

using ::testing::HasSubstr;

// Runs until the scheduler has a bind on its way.
void RunUntilBinding(SimCluster& c) {
  while (c.scheduler->Idle() || c.scheduler->queue().active() != 0) ASSERT_TRUE(c.loop.Step());
}

TEST(TroubleTest, EndedPodsFreeRoomForPendingOnes) {
  SimCluster c;
  c.Create(MakeNode("n1").Cpu(1000).Memory(1000));
  c.kubelet.RunsFor("default", "first", absl::Seconds(30));
  c.Create(MakePod("first").Cpu(800));
  c.loop.RunFor(absl::Seconds(1));
  c.Create(MakePod("second").Cpu(800));
  c.loop.RunFor(absl::Seconds(10));
  EXPECT_EQ(c.NodeOf("first"), "n1");
  EXPECT_EQ(c.NodeOf("second"), "");
  const PodPtr pending = c.server.FindPod("default", "second");
  EXPECT_EQ(pending->scheduled.status, "False");
  EXPECT_EQ(pending->scheduled.reason, "Unschedulable");
  EXPECT_THAT(pending->scheduled.message, HasSubstr("0/1 nodes are available: 1 Insufficient cpu."));
  c.loop.RunFor(absl::Seconds(21));  // "first" ended half a second ago
  EXPECT_EQ(c.NodeOf("second"), "n1");
  EXPECT_TRUE(c.Settle());
}

TEST(TroubleTest, PodsOfALostNodeMoveToOthers) {
  SimCluster c;
  c.Create(MakeNode("n1").Cpu(4000));
  for (const char* name : {"a", "b", "c"}) {
    c.kubelet.Replaces("default", name);
    c.Create(MakePod(name).Cpu(1000));
  }
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("a"), "n1");
  ASSERT_TRUE(c.server.DeleteNode("n1").ok());
  c.Create(MakeNode("n2").Cpu(4000));
  ASSERT_TRUE(c.Settle());
  int moved = 0;
  for (const PodPtr& pod : c.server.Pods()) moved += pod->node == "n2";
  EXPECT_EQ(moved, 3);
  EXPECT_EQ(c.auditor.Used("n1", "pods"), 0);
}

TEST(TroubleTest, NodeLostWhileThePodIsOnItsWay) {
  SimCluster c;
  c.Create(MakeNode("n1").Cpu(1000));
  c.kubelet.Replaces("default", "a");
  c.Create(MakePod("a").Cpu(500));
  RunUntilBinding(c);
  ASSERT_TRUE(c.server.DeleteNode("n1").ok());
  c.Create(MakeNode("n2").Cpu(1000));
  ASSERT_TRUE(c.Settle());
  const auto pods = c.server.Pods();
  ASSERT_EQ(pods.size(), 1u);
  EXPECT_EQ(pods[0]->node, "n2");
}

TEST(TroubleTest, ExpiredWatchListsAnew) {
  SimCluster c;
  c.Create(MakeNode("n1").Cpu(1000));
  c.Create(MakePod("old").Cpu(600));
  ASSERT_TRUE(c.Settle());
  c.server.CutWatches(Kind::kPod, {ApiCode::kUnreachable, "cut", {}});
  c.server.CutWatches(Kind::kNode, {});
  // What happens meanwhile is never an event: only the new list tells it.
  c.loop.Step();
  c.loop.Step();
  c.server.DeletePodNow("default", "old", "");
  c.Create(MakePod("new").Cpu(600));
  c.Create(MakeNode("n2").Cpu(100));
  c.server.Compact();
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("old"), "?");
  EXPECT_EQ(c.NodeOf("new"), "n1");
  EXPECT_EQ(c.scheduler->cache().placed_count(), 1u);
  EXPECT_EQ(c.scheduler->cache().node_count(), 2u);
}

TEST(TroubleTest, LostBindAnswersBindOnce) {
  SimCluster c({.seed = 5, .threads = 1, .faults = {.lost_answer = 0.5}});
  c.Create(MakeNode("n1").Cpu(10'000));
  for (int i = 0; i < 50; ++i) c.Create(MakePod("p" + std::to_string(i)).Cpu(100));
  ASSERT_TRUE(c.Settle());
  for (int i = 0; i < 50; ++i) EXPECT_EQ(c.NodeOf("p" + std::to_string(i)), "n1");
  EXPECT_GT(c.faulty.faults(), 10u);
  EXPECT_EQ(c.server.binds(), 50u);
}

TEST(TroubleTest, RefusedBindsAreTriedAgain) {
  SimCluster c({.seed = 6, .threads = 1, .faults = {.refused = 0.5}});
  c.Create(MakeNode("n1").Cpu(5000));
  for (int i = 0; i < 50; ++i) c.Create(MakePod("p" + std::to_string(i)).Cpu(100));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.server.binds(), 50u);
  EXPECT_EQ(c.auditor.Used("n1", "cpu"), 5000);
}

TEST(TroubleTest, AnotherSchedulerBindsThePodFirst) {
  SimCluster c;
  c.Create(MakeNode("n1").Cpu(1000));
  c.Create(MakeNode("n2").Cpu(1000).Taint("theirs"));
  c.Create(MakePod("a").Cpu(1000));
  RunUntilBinding(c);
  ASSERT_TRUE(c.server.BindNow({"default", "a", "", "n2"}).ok());
  c.Create(MakePod("b").Cpu(1000));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("a"), "n2");
  EXPECT_EQ(c.NodeOf("b"), "n1") << "the room kept for \"a\" was not given back";
}

TEST(TroubleTest, AnotherSchedulersPodsTakeRoomToo) {
  SimCluster c;
  c.Create(MakeNode("n1").Cpu(1000));
  c.Create(MakePod("theirs").Scheduler("other").Cpu(700).Node("n1"));
  c.Create(MakePod("waiting").Scheduler("other").Cpu(100));
  c.loop.RunFor(absl::Seconds(1));
  c.Create(MakePod("ours").Cpu(400));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("ours"), "");
  EXPECT_EQ(c.NodeOf("waiting"), "");
  c.server.DeletePodNow("default", "theirs", "");
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("ours"), "n1");
}

TEST(TroubleTest, PodDeletedBetweenDecisionAndBind) {
  SimCluster c;
  c.Create(MakeNode("n1").Cpu(1000));
  c.Create(MakePod("a").Cpu(1000));
  RunUntilBinding(c);
  ASSERT_TRUE(c.server.DeletePodNow("default", "a", "").ok());
  c.Create(MakePod("b").Cpu(1000));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("a"), "?");
  EXPECT_EQ(c.NodeOf("b"), "n1");
  EXPECT_EQ(c.scheduler->queue().size(), 0u);
}

TEST(TroubleTest, PodRecreatedUnderItsNameBetweenDecisionAndBind) {
  SimCluster c;
  c.Create(MakeNode("n1").Cpu(1000));
  c.Create(MakeNode("n2").Cpu(1000).Label("zone", "b"));
  c.Create(MakePod("a").Cpu(1000).NodeSelector("kubernetes.io/hostname", "n1"));
  RunUntilBinding(c);
  ASSERT_TRUE(c.server.DeletePodNow("default", "a", "").ok());
  c.Create(MakePod("a").Cpu(1000).NodeSelector("zone", "b"));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("a"), "n2");
}

TEST(TroubleTest, EachEventWakesThePodItHelps) {
  const struct {
    const char* name;
    void (*happen)(SimCluster& c);
  } kCases[] = {
      {"node added", [](SimCluster& c) { c.Create(MakeNode("n9").Cpu(2000).Label("disk", "ssd")); }},
      {"label",
       [](SimCluster& c) {
         ASSERT_TRUE(c.server.UpdateNode("nolabel", [](Node& n) { n.labels["disk"] = "ssd"; }).ok());
       }},
      {"taint removed",
       [](SimCluster& c) { ASSERT_TRUE(c.server.UpdateNode("tainted", [](Node& n) { n.taints.clear(); }).ok()); }},
      {"uncordoned",
       [](SimCluster& c) {
         ASSERT_TRUE(c.server.UpdateNode("cordoned", [](Node& n) { n.unschedulable = false; }).ok());
       }},
      {"allocatable",
       [](SimCluster& c) {
         ASSERT_TRUE(c.server.UpdateNode("full", [](Node& n) { SetAmount(n.allocatable, "cpu", 2000); }).ok());
       }},
      {"pod deleted", [](SimCluster& c) { c.server.DeletePodNow("default", "filler", ""); }},
      {"own update",
       [](SimCluster& c) {
         ASSERT_TRUE(c.server
                         .UpdatePod("default", "a",
                                    [](Pod& pod) {
                                      pod.spec =
                                          MakePod("a").Cpu(800).NodeSelector("disk", "ssd").Tolerate("t").Build().spec;
                                    })
                         .ok());
       }},
  };
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.name);
    SimCluster c;
    c.Create(MakeNode("nolabel").Cpu(1000));
    c.Create(MakeNode("tainted").Cpu(1000).Label("disk", "ssd").Taint("t"));
    c.Create(MakeNode("cordoned").Cpu(1000).Label("disk", "ssd").Unschedulable());
    c.Create(MakeNode("full").Cpu(1000).Label("disk", "ssd"));
    c.Create(MakePod("filler").Cpu(500).Node("full"));
    c.Create(MakePod("a").Cpu(800).NodeSelector("disk", "ssd"));
    ASSERT_TRUE(c.Settle());
    ASSERT_EQ(c.NodeOf("a"), "");
    test.happen(c);
    c.loop.RunFor(absl::Seconds(2));  // a bound pod takes a second to go
    EXPECT_NE(c.NodeOf("a"), "");
  }
}

TEST(TroubleTest, GatedPodsWaitForTheirGates) {
  SimCluster c;
  c.Create(MakeNode("n1").Cpu(1000));
  c.Create(MakePod("a").Cpu(100).Gate("example.com/wait"));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("a"), "");
  EXPECT_EQ(c.scheduler->queue().gated(), 1u);
  ASSERT_TRUE(c.server.UpdatePod("default", "a", [](Pod& pod) { pod.scheduling_gates.clear(); }).ok());
  c.loop.RunFor(absl::Seconds(1));
  EXPECT_EQ(c.NodeOf("a"), "n1");
}

TEST(TroubleTest, AnUninterpretablePodIsToldSoAndOthersGoOn) {
  SimCluster c;
  c.Create(MakeNode("n1").Cpu(1000));
  c.Create(MakePod("odd").Invalid("spec.containers[0].resources.requests[cpu]: is negative"));
  c.Create(MakePod("fine").Cpu(100));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("odd"), "");
  EXPECT_EQ(c.NodeOf("fine"), "n1");
  EXPECT_THAT(c.server.FindPod("default", "odd")->scheduled.message, HasSubstr("requests[cpu]: is negative"));
}

}  // namespace
}  // namespace muster
