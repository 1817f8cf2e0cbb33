// The life of a group of pods, one scene at a time, each with a known right end.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/support/sim_cluster.h"

namespace muster {
namespace {

using ::testing::HasSubstr;
using Source = GroupRef::Source;

MakePod Member(const std::string& name, const std::string& group, int64_t cpu = 1000) {
  return MakePod(name).Group(group).Cpu(cpu);
}
MakePod Labelled(const std::string& name, const std::string& group, int size, int64_t cpu = 1000) {
  return MakePod(name).Group(group, Source::kLabels, size).Cpu(cpu);
}
void CreateGang(SimCluster& c, const std::string& name, int pods, int min, int64_t cpu = 1000, int priority = 0) {
  c.CreateGroup(name, min, [&](PodGroup& group) { group.priority = priority; });
  for (int i = 0; i < pods; ++i) c.Create(Member(name + "-" + std::to_string(i), name, cpu).Rank(i).Priority(priority));
}
int Bound(const SimCluster& c, const std::string& prefix = "") {
  int bound = 0;
  for (const PodPtr& pod : c.server.Pods()) bound += !pod->node.empty() && !pod->ended && pod->name.starts_with(prefix);
  return bound;
}
std::string MessageOf(const SimCluster& c, const std::string& name) {
  const PodPtr pod = c.server.FindPod("default", name);
  return pod->scheduled.reason + ": " + pod->scheduled.message;
}
void RunUntilBinding(SimCluster& c) {
  while (c.server.binds() == 0 &&
         (c.scheduler->Idle() || c.scheduler->queue().active() != 0 || !c.scheduler->cache().assumed_count()))
    ASSERT_TRUE(c.loop.Step());
}

TEST(GangTest, IsPlacedWholeOrNotAtAll) {
  SimCluster c;
  c.Create(MakeNode("n1").Cpu(2000));
  c.Create(MakeNode("n2").Cpu(1000));
  CreateGang(c, "g", 4, 4);
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c), 0);
  for (const char* name : {"g-0", "g-1", "g-2", "g-3"}) EXPECT_THAT(MessageOf(c, name), HasSubstr("Unschedulable: "));
  EXPECT_EQ(c.FindGroup("g")->scheduled.status, "False");
  EXPECT_EQ(c.FindGroup("g")->scheduled.reason, "Unschedulable");
  EXPECT_EQ(c.FindGroup("g")->scheduled.message, c.server.FindPod("default", "g-0")->scheduled.message);
  // What it does not get is not held either.
  c.Create(MakePod("lone").Cpu(1000));
  ASSERT_TRUE(c.Settle());
  EXPECT_NE(c.NodeOf("lone"), "");
  c.Create(MakeNode("n3").Cpu(2000));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c, "g-"), 4);
  EXPECT_EQ(c.FindGroup("g")->scheduled.status, "True");
  EXPECT_EQ(c.FindGroup("g")->scheduled.reason, "Scheduled");
}

TEST(GangTest, WaitsForItsObjectAndItsPods) {
  SimCluster c;
  c.Create(MakeNode("n1").Cpu(4000));
  c.Create(Member("g-0", "g"));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(MessageOf(c, "g-0"), "SchedulingGated: waiting for pods's pod group \"g\" to appear in scheduling queue");
  c.CreateGroup("g", 2);
  ASSERT_TRUE(c.Settle());
  EXPECT_THAT(MessageOf(c, "g-0"), HasSubstr("waiting for minCount pods from a gang to appear in scheduling queue"));
  c.Create(Member("g-1", "g").Gate("example.com/wait"));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c), 0) << "a gated pod does not count";
  EXPECT_EQ(c.scheduler->queue().gated(), 1u);
  ASSERT_TRUE(c.server.UpdatePod("default", "g-1", [](Pod& pod) { pod.scheduling_gates.clear(); }).ok());
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c), 2);
  EXPECT_EQ(c.scheduler->queue().size(), 0u);
}

TEST(GangTest, NothingIsToldOfPodsThatComeTogether) {
  SimCluster c;
  c.Create(MakeNode("n1").Cpu(4000));
  c.CreateGroup("g", 3);
  for (const char* name : {"g-0", "g-1", "g-2"}) {
    c.Create(Member(name, "g"));
    c.loop.RunFor(absl::Milliseconds(300));
    EXPECT_EQ(c.server.FindPod("default", name)->scheduled.message, "");
  }
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c), 3);
}

TEST(GangTest, ABasicGroupsPodsArePlacedAsTheyCome) {
  SimCluster c;
  c.Create(MakeNode("n1").Cpu(2000));
  c.CreateGroup("g", 1, [](PodGroup& group) { group.gang = false; });
  for (const char* name : {"g-0", "g-1", "g-2"}) c.Create(Member(name, "g"));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c), 2);
  EXPECT_EQ(c.FindGroup("g")->scheduled.status, "True");
}

TEST(GangTest, PodsAboveTheMinimumComeAsThereIsRoom) {
  SimCluster c;
  c.Create(MakeNode("n1").Cpu(3000));
  CreateGang(c, "g", 5, 2);
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c), 3);
  EXPECT_EQ(c.FindGroup("g")->scheduled.status, "True");
  int told = 0;
  for (const PodPtr& pod : c.server.Pods()) told += pod->node.empty() && pod->scheduled.reason == "Unschedulable";
  EXPECT_EQ(told, 2);
  c.Create(MakeNode("n2").Cpu(1000));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c), 4);
  c.Create(MakeNode("n3").Cpu(1000));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c), 5);
  EXPECT_EQ(c.FindGroup("g")->scheduled.status, "True");
  EXPECT_EQ(c.scheduler->queue().size(), 0u);
}

TEST(GangTest, ItsMinimumMayChange) {
  SimCluster c;
  c.Create(MakeNode("n1").Cpu(2000));
  CreateGang(c, "g", 4, 4);
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c), 0);
  c.CreateGroup("g", 2, [](PodGroup& group) { group.priority = 0, group.generation = 2; });
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c), 2);
}

TEST(GangTest, LabelsAloneMakeAGang) {
  SimCluster c;
  c.Create(MakeNode("n1").Cpu(3000));
  for (const char* name : {"a", "b", "c", "d"}) c.Create(Labelled(name, "g", 4));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c), 0);
  c.Create(MakeNode("n2").Cpu(1000));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c), 4);
}

TEST(GangTest, ACoschedulingGroupsPhasesAreTold) {
  SimCluster c;
  const auto phase = [&] { return c.FindGroup("g", Kind::kCoschedulingPodGroup)->phase; };
  c.CreateGroup("g", 2, [](PodGroup& group) { group.api_version = "scheduling.x-k8s.io/v1alpha1"; });
  c.Create(MakePod("a").Group("g", Source::kCoscheduling).Cpu(1000));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(phase(), "Pending");
  c.Create(MakePod("b").Group("g", Source::kCoscheduling).Cpu(1000));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(phase(), "PreScheduling");
  c.Create(MakeNode("n1").Cpu(2000));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c), 2);
  EXPECT_EQ(phase(), "Scheduled");
  EXPECT_EQ(c.FindGroup("g", Kind::kCoschedulingPodGroup)->members_scheduled, 2);
}

TEST(GangTest, ACoschedulingGroupWaitsForItsMinResources) {
  SimCluster c;
  c.Create(MakeNode("n1").Cpu(3000));
  c.CreateGroup("g", 2, [](PodGroup& group) {
    group.api_version = "scheduling.x-k8s.io/v1alpha1", group.min_resources = {{"cpu", 4000}};
  });
  for (const char* name : {"a", "b"}) c.Create(MakePod(name).Group("g", Source::kCoscheduling).Cpu(1000));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c), 0);
  EXPECT_THAT(MessageOf(c, "a"), HasSubstr("its minResources ask for 4000 of cpu, and the cluster has 3000 free"));
  c.Create(MakeNode("n2").Cpu(1000));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c), 2);
}

TEST(GangTest, WhatMakesNoSenseIsToldToEachPod) {
  const struct {
    const char* name;
    void (*make)(SimCluster& c);
    const char* message;
  } kCases[] = {
      {"sizes",
       [](SimCluster& c) {
         c.Create(Labelled("a", "g", 2));
         c.Create(Labelled("b", "g", 3));
       },
       "got 3 of pod b and 2 of pod a"},
      {"priorities",
       [](SimCluster& c) {
         c.Create(Labelled("a", "g", 2));
         c.Create(Labelled("b", "g", 2).Priority(7));
       },
       "all pods in a single pod group should have the same priority, got 7 and 0"},
      {"the group's priority",
       [](SimCluster& c) {
         c.CreateGroup("g", 2, [](PodGroup& g) { g.priority = 3; });
         c.Create(Member("a", "g"));
         c.Create(Member("b", "g"));
       },
       "all pods in a single pod group should have the same priority as the pod group's priority, got 0 and 3"},
      {"the group's policy",
       [](SimCluster& c) {
         c.CreateGroup("g", 2, [](PodGroup& g) { g.preemption_policy = "Never"; });
         c.Create(Member("a", "g"));
         c.Create(Member("b", "g"));
       },
       "the same preemption policy as the pod group's preemption policy, got PreemptLowerPriority and Never"},
      {"invalid",
       [](SimCluster& c) {
         c.CreateGroup("g", 2, [](PodGroup& g) { g.invalid = "spec.minMember: must be at least 1"; });
         c.Create(Member("a", "g"));
         c.Create(Member("b", "g"));
       },
       "pod group \"g\": spec.minMember: must be at least 1"},
      {"composite",
       [](SimCluster& c) {
         c.CreateGroup("g", 2, [](PodGroup& g) { g.parent = "all"; });
         c.Create(Member("a", "g"));
         c.Create(Member("b", "g"));
       },
       "composite pod groups are not supported"},
  };
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.name);
    SimCluster c;
    c.Create(MakeNode("n1").Cpu(4000));
    test.make(c);
    ASSERT_TRUE(c.Settle());
    EXPECT_EQ(Bound(c), 0);
    for (const char* name : {"a", "b"}) {
      EXPECT_THAT(MessageOf(c, name), HasSubstr(test.message));
      EXPECT_THAT(MessageOf(c, name), HasSubstr("SchedulerError: "));
    }
    if (const PodGroup* group = c.FindGroup("g")) {
      EXPECT_EQ(group->scheduled.reason, "SchedulerError");
      EXPECT_THAT(group->scheduled.message, HasSubstr(test.message));
    }
  }
}

TEST(GangTest, IsTriedOnceItMakesSense) {
  SimCluster c;
  c.Create(MakeNode("n1").Cpu(4000));
  c.Create(Labelled("a", "g", 2));
  c.Create(Labelled("b", "g", 3));
  ASSERT_TRUE(c.Settle());
  c.server.DeletePodNow("default", "b", "");
  c.Create(Labelled("c", "g", 2));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c), 2);
}

TEST(GangTest, ADeletedObjectIsMissed) {
  SimCluster c;
  CreateGang(c, "g", 2, 2);
  ASSERT_TRUE(c.Settle());
  ASSERT_TRUE(c.server.RemoveObject(Kind::kPodGroup, "default", "g").ok());
  c.Create(MakeNode("n1").Cpu(4000));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c), 0);
  EXPECT_THAT(MessageOf(c, "g-0"), HasSubstr("waiting for pods's pod group \"g\" to appear"));
}

TEST(GangTest, MayBeLargerThanTheBindsInFlight) {
  SimCluster c({.seed = 1, .threads = 1, .faults = {}, .binds_in_flight = 3});
  c.Create(MakeNode("n1").Cpu(100'000));
  CreateGang(c, "g", 20, 20);
  CreateGang(c, "h", 20, 20);
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c), 40);
}

TEST(GangTest, TwoThatDoNotFitTogetherDoNotHoldEachOtherUp) {
  SimCluster c;
  for (int i = 0; i < 6; ++i) c.Create(MakeNode("n" + std::to_string(i)).Cpu(1000));
  CreateGang(c, "g", 4, 4);
  CreateGang(c, "h", 4, 4);
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c), 4);
  const std::string first = Bound(c, "g-") == 4 ? "g" : "h";
  for (int i = 0; i < 4; ++i) c.server.DeletePodNow("default", first + "-" + std::to_string(i), "");
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c, first == "g" ? "h-" : "g-"), 4);
}

TEST(GangTest, ThePriorityOfTheGroupDecidesWhoIsFirst) {
  SimCluster c;
  CreateGang(c, "low", 2, 2);
  CreateGang(c, "high", 2, 2, 1000, 10);
  ASSERT_TRUE(c.Settle());
  c.Create(MakeNode("n1").Cpu(2000));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c, "high-"), 2);
  EXPECT_EQ(Bound(c, "low-"), 0);
}

TEST(GangTest, ASlotIsKeptForThePodThatReplacesALostOne) {
  for (const bool replaced : {true, false}) {
    SimCluster c;
    c.Create(MakeNode("n1").Cpu(2000));
    CreateGang(c, "g", 2, 2);
    RunUntilBinding(c);
    ASSERT_TRUE(c.server.DeletePodNow("default", "g-1", "").ok());
    c.Create(MakePod("lone").Cpu(1000).Priority(0));
    c.loop.RunFor(absl::Minutes(1));
    EXPECT_EQ(c.NodeOf("g-0"), "n1");
    EXPECT_EQ(c.NodeOf("lone"), "") << "the slot is the group's for five minutes";
    if (replaced) c.Create(Member("g-1b", "g").Rank(1));
    c.loop.RunFor(absl::Minutes(6));
    ASSERT_TRUE(c.Settle());
    EXPECT_EQ(c.NodeOf("lone"), replaced ? "" : "n1");
    EXPECT_EQ(c.NodeOf("g-1b"), replaced ? "n1" : "?");
    EXPECT_EQ(c.scheduler->cache().assumed_count(), 0u);
  }
}

TEST(GangTest, SlotsOfAGroupThatIsGoneAreFree) {
  SimCluster c;
  c.Create(MakeNode("n1").Cpu(2000));
  CreateGang(c, "g", 2, 2);
  RunUntilBinding(c);
  for (const char* name : {"g-0", "g-1"}) ASSERT_TRUE(c.server.DeletePodNow("default", name, "").ok());
  c.Create(MakePod("lone").Cpu(2000));
  c.loop.RunFor(absl::Seconds(5));
  EXPECT_EQ(c.NodeOf("lone"), "n1");
}

TEST(GangTest, PodsOfALostNodeAreReplacedBesideTheOthers) {
  SimCluster c;
  for (const char* name : {"n1", "n2"}) c.Create(MakeNode(name).Cpu(2000));
  for (int i = 0; i < 4; ++i) c.kubelet.Replaces("default", "g-" + std::to_string(i));
  CreateGang(c, "g", 4, 4);
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c), 4);
  ASSERT_TRUE(c.server.DeleteNode("n1").ok());
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c), 2);
  c.Create(MakeNode("n3").Cpu(1000));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c), 2) << "both are needed";
  c.Create(MakeNode("n4").Cpu(1000));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c), 4);
  EXPECT_EQ(c.FindGroup("g")->scheduled.status, "True");
}

TEST(GangTest, MakesRoomAsAWhole) {
  SimCluster c;
  for (const char* name : {"n1", "n2", "n3"}) c.Create(MakeNode(name).Cpu(1000));
  for (const char* name : {"a", "b", "c"}) c.Create(MakePod(name).Cpu(1000));
  ASSERT_TRUE(c.Settle());
  CreateGang(c, "big", 4, 4, 1000, 10);
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c), 3) << "no eviction helps four pods on three nodes";
  CreateGang(c, "g", 2, 2, 1000, 10);
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(Bound(c, "g-"), 2);
  EXPECT_EQ(Bound(c), 3);
}

// Dead before each of its writes in turn, and another takes over.
TEST(GangTest, ADeathAtAnyWriteLeavesItWholeInTheEnd) {
  for (int writes = 0; writes < 20; ++writes) {
    SCOPED_TRACE(writes);
    SimCluster c;
    for (const char* name : {"n1", "n2"}) c.Create(MakeNode(name).Cpu(3000));
    c.Create(MakePod("low").Cpu(1000));
    c.loop.RunFor(absl::Seconds(1));
    c.ports.back()->CrashAfter(writes);
    CreateGang(c, "g", 6, 6, 1000, 5);
    c.loop.RunFor(absl::Seconds(10));
    c.RestartScheduler();
    ASSERT_TRUE(c.Settle());
    EXPECT_EQ(Bound(c, "g-"), 6);
    EXPECT_EQ(c.FindGroup("g")->scheduled.status, "True");
  }
}

TEST(GangTest, ADecisionIsOneEntryOfTheLog) {
  SimCluster c;
  std::vector<std::string> entries;
  c.log.AddObserver([&](const Decision& decision) {
    std::string entry(decision.group);
    for (const Decision::Member& pod : decision.pods)
      entry += " " + std::string(pod.name) + "@" + std::string(pod.node);
    entries.push_back(entry);
  });
  c.Create(MakeNode("n1").Cpu(3000));
  c.CreateGroup("g", 2);
  for (const int rank : {2, 0, 1}) c.Create(Member("p" + std::to_string(rank), "g").Rank(rank));
  ASSERT_TRUE(c.Settle());
  EXPECT_THAT(entries, testing::ElementsAre("default/g p0@n1 p1@n1 p2@n1"));
}

}  // namespace
}  // namespace muster
