#include "scheduler/engine/cycle/group_cycle.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "plugins/all.h"
#include "scheduler/framework/config/config.h"
#include "test/support/make.h"

// Counts allocations, so that "the decision path allocates nothing" is a fact.
namespace {
std::atomic<uint64_t> allocations{0};
}  // namespace
[[gnu::noinline]] void* operator new(size_t size) {
  ++allocations;
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
// std::stable_sort asks this way, and gives back by the plain delete below.
[[gnu::noinline]] void* operator new(size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size);
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t) noexcept { std::free(p); }

namespace muster {
namespace {

class GroupCycleTest : public testing::Test {
 protected:
  GroupCycleTest() {
    const Registry registry = AllPlugins();
    framework_ = *Framework::Create(DefaultConfiguration(registry).profiles[0], registry);
  }
  void Nodes(int count, int64_t cpu) {
    std::vector<NodePtr> nodes;
    for (int i = 0; i < count; ++i)
      nodes.push_back(MakeNode("node-" + std::to_string(10000 + i)).Cpu(cpu).Memory(int64_t{64} << 30).Ptr());
    snap_.Rebuild(std::move(nodes));
  }
  Member Pod(int64_t cpu) {
    const PodPtr pod = MakePod("p").Cpu(cpu).Memory(1 << 20).Ptr();
    return {pod, snap_.Resolve(pod->spec)};
  }

  std::unique_ptr<Framework> framework_;
  Snapshot snap_;
  WorkerPool pool_{1};
};

TEST_F(GroupCycleTest, PlacesAGroupWholeOrNotAtAll) {
  Nodes(3, 1000);
  GroupCycle cycle(snap_, pool_, 7);
  const Member pod = Pod(600);
  const std::vector<Member> three(3, pod), four(4, pod);
  const GroupDecision& no = cycle.Decide(*framework_, four);
  EXPECT_FALSE(no.placed);
  EXPECT_EQ(no.why->message,
            "3 of 4 pods of the group fit: 3 Insufficient cpu; 1 more node with 600m cpu free would "
            "do. preemption: No preemption victims found for incoming preemptor");
  for (NodeIndex n = 0; n < 3; ++n) EXPECT_EQ(snap_.Free(kCpu)[n], 1000) << "a failed group leaves no trace";
  const GroupDecision& yes = cycle.Decide(*framework_, three);
  ASSERT_TRUE(yes.placed);
  EXPECT_EQ(yes.placements.size(), 3u);
  EXPECT_EQ(yes.intents.size(), 3u);
  for (NodeIndex n = 0; n < 3; ++n) EXPECT_EQ(snap_.Free(kCpu)[n], 400);
}

TEST_F(GroupCycleTest, TheSeedDecidesTiesAndNothingElse) {
  Nodes(100, 1000);
  const Member pod = Pod(100);
  const auto first_node = [&](uint64_t seed) {
    GroupCycle cycle(snap_, pool_, seed);
    const NodeIndex node = cycle.Decide(*framework_, std::span(&pod, 1)).placements[0].node;
    snap_.RemovePod(*pod.pod, node);
    return node;
  };
  EXPECT_EQ(first_node(1), first_node(1));
  std::vector<NodeIndex> seen;
  for (uint64_t seed = 1; seed <= 20; ++seed) seen.push_back(first_node(seed));
  std::sort(seen.begin(), seen.end());
  seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
  EXPECT_GT(seen.size(), 10u) << "ties spread over the nodes";
}

TEST_F(GroupCycleTest, AllocatesNothingInSteadyState) {
  Nodes(1000, 64000);
  GroupCycle cycle(snap_, pool_, 1);
  std::vector<Member> shapes = {Pod(100), Pod(200), Pod(300)};
  std::vector<NodeIndex> placed(300, kNoNode);  // of the last pods; the oldest one leaves when a new one comes
  const auto place = [&](int rounds) {
    for (int i = 0; i < rounds; ++i) {
      const Member& shape = shapes[i % 3];
      NodeIndex& oldest = placed[static_cast<size_t>(i) % placed.size()];
      if (oldest != kNoNode) snap_.RemovePod(*shape.pod, oldest);
      const GroupDecision& decision = cycle.Decide(*framework_, std::span(&shape, 1));
      ASSERT_TRUE(decision.placed);
      oldest = decision.placements[0].node;
    }
  };
  place(3000);  // buffers and the change log reach their size
  for (int i = 0; i < 20; ++i) place(3000);
  const uint64_t before = allocations;
  place(3000);
  EXPECT_EQ(allocations - before, 0u);
}

TEST_F(GroupCycleTest, AnEmptyClusterSaysSo) {
  GroupCycle cycle(snap_, pool_, 1);
  const Member pod = Pod(100);
  const GroupDecision& decision = cycle.Decide(*framework_, std::span(&pod, 1));
  EXPECT_FALSE(decision.placed);
  EXPECT_EQ(decision.why->message, "no nodes available to schedule pods");
  EXPECT_TRUE(decision.why->wake_on & kNodeAdded);
}

// --- Groups ------------------------------------------------------------------------------------

class GroupTest : public GroupCycleTest {
 protected:
  // Nodes of one rack after the other, `gpus` each.
  void Racks(int racks, int nodes, int64_t gpus) {
    std::vector<NodePtr> all;
    for (int i = 0; i < racks * nodes; ++i) {
      all.push_back(MakeNode("node-" + std::to_string(1000 + i))
                        .Cpu(8000)
                        .Room("x.io/gpu", gpus)
                        .Label("rack", "r" + std::to_string(i / nodes))
                        .Ptr());
    }
    snap_.Rebuild(std::move(all));
  }
  // `count` more pods of the group "g".
  void Add(int count, MakePod like, bool ranks = false) {
    PodInfoPtr info;
    for (int i = 0; i < count; ++i) {
      MakePod make = like;
      const std::string name = "m" + std::to_string(members_.size());
      if (ranks) make.Label("rank", name);
      ::muster::Pod pod = make.Group("g").Uid(name).Build();
      pod.name = name;
      if (info == nullptr || ranks) info = snap_.Resolve(pod.spec);
      members_.push_back({std::make_shared<const ::muster::Pod>(std::move(pod)), info});
    }
    request_.members = members_;
    request_.min = members_.size();
    request_.group = members_[0].pod->group;
  }
  void Require(const std::string& level) { request_.topology = {TopologyRequest::Mode::kRequired, level, "", 0}; }
  void Leave(const GroupDecision& decision) {
    for (size_t i = 0; i < members_.size(); ++i) {
      if (decision.placements[i].node != kNoNode) snap_.RemovePod(*members_[i].pod, decision.placements[i].node);
    }
  }
  std::string WhyNot() {
    GroupCycle cycle(snap_, pool_, 1);
    const GroupDecision& decision = cycle.Decide(*framework_, request_);
    EXPECT_FALSE(decision.placed);
    return decision.placed ? "" : decision.why->message;
  }

  std::vector<Member> members_;
  GroupRequest request_;
};

TEST_F(GroupTest, ElasticMembersTakeWhatRoomThereIs) {
  Racks(1, 3, 1);
  Add(5, MakePod().Request("x.io/gpu", 1));
  request_.min = 2;
  GroupCycle cycle(snap_, pool_, 1);
  const GroupDecision& decision = cycle.Decide(*framework_, request_);
  ASSERT_TRUE(decision.placed);
  const auto placed = [&](size_t i) { return decision.placements[i].node != kNoNode; };
  EXPECT_TRUE(placed(0) && placed(1) && placed(2) && !placed(3) && !placed(4)) << "the first ones first";
  EXPECT_EQ(decision.intent_member, (std::vector<uint32_t>{0, 1, 2}));
  EXPECT_EQ(decision.why->message, "no room for 2 pods above the minimum: 3 Insufficient x.io/gpu.");
  EXPECT_TRUE(decision.why->wake_on & kPodRemoved);
  // The rest later, with no minimum left.
  const std::vector<Member> rest(members_.begin() + 3, members_.end());
  request_.members = rest;
  request_.min = 0;
  EXPECT_FALSE(cycle.Decide(*framework_, request_).placed);
  EXPECT_EQ(
      cycle.Decide(*framework_, request_).why->message,
      "none of the 2 pods of the group fits, 1 are needed: 3 Insufficient x.io/gpu; 1 more node with 1 x.io/gpu free "
      "would do.");
}

TEST_F(GroupTest, MembersThatNeedEachOtherWaitForEachOther) {
  Racks(2, 4, 1);
  // Workers need the launcher in their rack; it comes last.
  Add(3, MakePod().Request("x.io/gpu", 1).Label("role", "worker").Beside("rack", {In("role", {"launcher"})}));
  Add(1, MakePod().Cpu(8000).Label("role", "launcher"));
  GroupCycle cycle(snap_, pool_, 1);
  const GroupDecision& decision = cycle.Decide(*framework_, request_);
  ASSERT_TRUE(decision.placed);
  for (const Placement& p : decision.placements) EXPECT_EQ(p.node / 4, decision.placements[3].node / 4);
}

TEST_F(GroupTest, PodsThatDifferByALabelThatNobodyAsksAboutShareTheirAnswer) {
  Racks(1, 100, 1);
  Add(8, MakePod().Request("x.io/gpu", 1), /*ranks=*/true);
  GroupCycle cycle(snap_, pool_, 1);
  const GroupDecision& first = cycle.Decide(*framework_, request_);
  EXPECT_TRUE(first.placed);
  EXPECT_EQ(first.work.full, 1u);
  Leave(first);
  members_.clear();
  Add(8, MakePod().Request("x.io/gpu", 1).Label("job", "other"), /*ranks=*/true);
  const GroupDecision& second = cycle.Decide(*framework_, request_);
  EXPECT_TRUE(second.placed && second.from_cache);
  EXPECT_EQ(second.work.full, 0u);
  Leave(second);
  // Somebody asks about one of them: that one's answer is its own from now on.
  const PodPtr guard = MakePod("guard").Uid("guard").Apart("rack", {In("rank", {"m3"})}).Ptr();
  const PodInfoPtr info = snap_.Resolve(guard->spec);
  snap_.AddPod({guard.get(), info.get()}, 0);
  request_.min = 1;
  const GroupDecision& third = cycle.Decide(*framework_, request_);
  ASSERT_TRUE(third.placed);
  EXPECT_EQ(third.work.full, 1u);
  for (size_t i = 0; i < members_.size(); ++i) EXPECT_EQ(third.placements[i].node == kNoNode, i == 3) << i;
}

TEST_F(GroupTest, AllocatesNothingInSteadyState) {
  Racks(10, 40, 4);
  Add(6, MakePod().Request("x.io/gpu", 1).Cpu(100));
  Add(6, MakePod().Cpu(1000));
  request_.min = 8;
  GroupCycle cycle(snap_, pool_, 1);
  const auto rounds = [&](int count) {
    for (int i = 0; i < count; ++i) {
      const GroupDecision& decision = cycle.Decide(*framework_, request_);
      ASSERT_TRUE(decision.placed);
      Leave(decision);
    }
  };
  rounds(6000);  // the change log reaches its size
  const uint64_t before = allocations;
  rounds(500);
  EXPECT_EQ(allocations - before, 0u);
}

TEST_F(GroupTest, ThreadsDoNotShow) {
  Racks(20, 40, 2);
  Add(30, MakePod().Request("x.io/gpu", 1));
  Add(20, MakePod().Cpu(3000).Label("app", "x").Apart("rack", {In("app", {"x"})}));
  const auto nodes = [&](int threads) {
    WorkerPool pool(threads, 1);
    GroupCycle cycle(snap_, pool, 5);
    const GroupDecision& decision = cycle.Decide(*framework_, request_);
    EXPECT_TRUE(decision.placed);
    std::vector<NodeIndex> rows;
    for (const Placement& p : decision.placements) rows.push_back(p.node);
    Leave(decision);
    return rows;
  };
  const std::vector<NodeIndex> one = nodes(1);
  EXPECT_EQ(one, nodes(1));
  EXPECT_EQ(one, nodes(4));
}

TEST_F(GroupTest, SaysHowManyFitAndWhatWouldHelp) {
  Racks(3, 3, 2);
  const PodPtr big = MakePod("big").Uid("big").Request("x.io/gpu", 2).Ptr();
  const PodInfoPtr info = snap_.Resolve(big->spec);
  for (const NodeIndex n : {0u, 1u, 2u, 3u, 6u}) snap_.AddPod({big.get(), info.get()}, n);  // r0 full, r1 and r2 not
  Add(6, MakePod().Request("x.io/gpu", 1));
  Require("rack");
  EXPECT_EQ(
      WhyNot(),
      "4 of 6 pods of the group fit in rack r1: 3 Insufficient x.io/gpu; 4 fit in rack r2: 3 Insufficient x.io/gpu; "
      "2 more nodes with 1 x.io/gpu free in rack r1 would do. preemption: No preemption victims found for incoming "
      "preemptor");
  Require("zone");
  EXPECT_NE(WhyNot().find("zone"), std::string::npos) << "no node has the label";
  request_.topology = {};
  members_.clear();
  Add(2, MakePod().Request("x.io/gpu", 1));
  Add(3, MakePod().Cpu(9000).Memory(1 << 30));
  EXPECT_EQ(WhyNot(),
            "2 of 5 pods of the group fit: 9 Insufficient cpu, 9 Insufficient memory; no room for 3 pods like m2 "
            "(9 cpu and 1Gi memory).");
}

TEST_F(GroupTest, TellsAProofFromAGivenUpSearch) {
  Racks(2, 20, 1);
  Add(30, MakePod().Request("x.io/gpu", 1).Label("app", "x").Spread(1, "rack", {In("app", {"x"})}));
  Add(11, MakePod().Request("x.io/gpu", 1).Label("app", "y").Beside("rack", {In("app", {"x"})}));
  EXPECT_EQ(WhyNot().find("budget"), std::string::npos) << "41 pods on 40 nodes with one place each";
  // 21 pods for 20 unequal nodes, of which no two share one; each shape alone would fit, and so does the sum.
  std::vector<NodePtr> nodes;
  for (int i = 0; i < 20; ++i) nodes.push_back(MakeNode("n" + std::to_string(10 + i)).Cpu(1000 - i).Ptr());
  snap_.Rebuild(nodes);
  members_.clear();
  Add(10, MakePod().Cpu(501));
  Add(11, MakePod().Cpu(502));
  const std::string why = WhyNot();
  EXPECT_NE(why.find("20 of 21 pods of the group fit"), std::string::npos) << why;
  EXPECT_NE(why.find("no placement was found within the search's budget"), std::string::npos) << why;
}

TEST_F(GroupTest, WakesForWhatCanHelpAnyMember) {
  Racks(1, 2, 1);
  Add(1, MakePod().NodeSelector("disk", "ssd"));
  Add(3, MakePod().Request("x.io/gpu", 1));
  GroupCycle cycle(snap_, pool_, 1);
  const GroupDecision& decision = cycle.Decide(*framework_, request_);
  ASSERT_FALSE(decision.placed);
  std::vector<std::string> rejectors;
  for (const Plugin* plugin : decision.why->rejectors) rejectors.emplace_back(plugin->Name());
  std::sort(rejectors.begin(), rejectors.end());
  EXPECT_EQ(rejectors, (std::vector<std::string>{"NodeAffinity", "NodeResourcesFit"}));
  EXPECT_TRUE(decision.why->wake_on & kNodeLabel);
  EXPECT_TRUE(decision.why->wake_on & kPodRemoved);
  EXPECT_TRUE(decision.why->preemption_may_help);
}

}  // namespace
}  // namespace muster
