// Groups that make room for themselves: who has to go, and that the group then fits.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "plugins/all.h"
#include "scheduler/engine/cycle/group_cycle.h"
#include "scheduler/framework/config/config.h"
#include "scheduler/model/pod_group.h"
#include "scheduler/runtime/random.h"
#include "test/support/make.h"
#include "test/support/make_snapshot.h"

namespace muster {
namespace {

class GroupPreemptionTest : public testing::Test {
 protected:
  GroupPreemptionTest() {
    const Registry registry = AllPlugins();
    framework_ = *Framework::Create(DefaultConfiguration(registry).profiles[0], registry);
  }
  void Cluster(const std::vector<NodePtr>& nodes, const std::vector<PodPtr>& pods) {
    cycle_.reset();
    snap_ = std::make_unique<Snapshot>(MakeSnapshot(nodes, pods));
    cycle_ = std::make_unique<GroupCycle>(*snap_, pool_, 1);
  }
  void Group(const std::string& name, int32_t min, bool whole, std::optional<int32_t> priority = {}) {
    auto group = std::make_shared<PodGroup>();
    group->ns = "default";
    group->name = name;
    group->min_count = min;
    group->disrupted_whole = whole;
    group->priority = priority;
    snap_->SetObject(Kind::kPodGroup, std::move(group));
  }
  void Budget(const std::string& app, int32_t allowed) {
    auto budget = std::make_shared<DisruptionBudget>();
    budget->ns = "default";
    budget->name = app;
    budget->selector = {true, {In("app", {app})}};
    budget->disruptions_allowed = allowed;
    snap_->SetObject(Kind::kPodDisruptionBudget, std::move(budget));
  }
  // `count` pods of the gang "mine", of priority 100: "a,b -> n1,n2" (victims and nominations), "placed" or
  // what preemption said.
  std::string Ask(int count, const MakePod& like, size_t min = 0) {
    members_.clear();
    for (int i = 0; i < count; ++i) {
      MakePod make = like;
      const std::string name = absl::StrCat("m", i);
      Pod pod = make.Group("mine").Rank(i).Priority(100).Uid(name).Build();
      pod.name = name;
      const auto ptr = std::make_shared<const Pod>(std::move(pod));
      members_.push_back({ptr, snap_->Resolve(ptr->spec)});
    }
    request_.members = members_;
    request_.min = min == 0 ? members_.size() : min;
    request_.group = members_[0].pod->group;
    request_.priority = 100;
    return Again();
  }
  std::string Again() {
    std::vector<std::vector<int64_t>> before;
    for (const Member& m : members_) snap_->Prepare(*m.info);
    for (ColumnId c = 0; c < snap_->columns(); ++c)
      before.emplace_back(snap_->Cells(c), snap_->Cells(c) + snap_->size());
    const GroupDecision& d = cycle_->Decide(*framework_, request_);
    if (d.placed) return "placed";
    for (ColumnId c = 0; c < before.size(); ++c)
      EXPECT_TRUE(std::equal(before[c].begin(), before[c].end(), snap_->Cells(c))) << "left a trace";
    if (!d.room) return d.why->message;
    if (d.room->code != Code::kSuccess) return d.room->message;
    violations_ = d.room->budget_violations;
    victims_ = d.room->victims;
    nominations_ = d.nominations;
    EXPECT_EQ(d.nominations.size(), members_.size());
    EXPECT_NE(d.why->message.find(d.room->message), std::string::npos);
    const auto name = [](std::string* out, const Pod* p) { out->append(p->name); };
    return absl::StrCat(absl::StrJoin(d.room->victims, ",", name), " -> ", absl::StrJoin(d.nominations, ","));
  }
  void Evict() {
    for (const Pod* victim : victims_) snap_->RemovePod(*victim, snap_->Find(victim->node));
    for (size_t i = 0; i < members_.size(); ++i)
      cycle_->nominator().Set(members_[i].pod, members_[i].info, nominations_[i]);
  }

  std::unique_ptr<Framework> framework_;
  WorkerPool pool_{1};
  std::unique_ptr<Snapshot> snap_;
  std::unique_ptr<GroupCycle> cycle_;
  GroupRequest request_;
  std::vector<Member> members_;
  std::vector<const Pod*> victims_;
  std::vector<std::string> nominations_;
  int32_t violations_ = 0;
};

NodePtr Node(const std::string& name, const std::string& rack = "r", int64_t cpu = 1000) {
  return MakeNode(name).Cpu(cpu).Label("rack", rack).Ptr();
}
MakePod On(const std::string& node, const std::string& name, int64_t cpu, int32_t priority) {
  return MakePod(name).Uid(name).Node(node).Cpu(cpu).Priority(priority);
}
Time Hour(int hour) { return absl::FromUnixSeconds(3600 * hour); }

TEST_F(GroupPreemptionTest, EvictsNoMoreThanItMust) {
  Cluster({Node("n1"), Node("n2"), Node("n3")},
          {On("n1", "a", 600, 1).Ptr(), On("n1", "b", 400, 2).Ptr(), On("n2", "c", 1000, 200).Ptr(),
           On("n3", "d", 500, 3).Ptr(), On("n3", "e", 500, 4).Ptr()});
  EXPECT_EQ(Ask(2, MakePod().Cpu(500)), "b,a -> n1,n1");
  EXPECT_EQ(Ask(1, MakePod().Cpu(500)), "a -> n1");
  EXPECT_EQ(Ask(3, MakePod().Cpu(500)), "d,b,a -> n1,n1,n3") << "what has priority 200 stays";
  EXPECT_EQ(Ask(5, MakePod().Cpu(500)), "preemption: the group does not fit even without all pods of lower priority");
  request_.preemption_policy = "Never";
  EXPECT_EQ(Again(), "preemption: not eligible due to preemptionPolicy=Never.");
}

TEST_F(GroupPreemptionTest, MakesRoomForTheMinimumOnly) {
  Cluster({Node("n1"), Node("n2")}, {On("n1", "a", 1000, 1).Ptr(), On("n2", "b", 1000, 2).Ptr()});
  EXPECT_EQ(Ask(2, MakePod().Cpu(1000), 1), "a -> n1,");
  Evict();
  EXPECT_EQ(Again(), "placed");
  EXPECT_EQ(snap_->MembersOf("default", request_.group).size(), 1u);
  request_.members = std::span(members_).subspan(1);
  request_.min = 0;
  EXPECT_EQ(cycle_->Decide(*framework_, request_).placed, false);
  EXPECT_FALSE(cycle_->Decide(*framework_, request_).room) << "elastic members evict nobody";
}

TEST_F(GroupPreemptionTest, TakesExactlyTheNodesThatItMadeRoomOn) {
  Cluster({Node("n1"), Node("n2"), Node("n3")},
          {On("n1", "a", 700, 1).Ptr(), On("n2", "b", 700, 2).Ptr(), On("n3", "c", 1000, 200).Ptr()});
  EXPECT_EQ(Ask(2, MakePod().Cpu(700)), "b,a -> n1,n2");
  Evict();
  // A lone pod of lower priority leaves the room; the group takes it, though n3 is free now too.
  const Pod* c = nullptr;
  for (const PodOnNode& p : snap_->PodsOn(2)) c = p.pod;
  snap_->RemovePod(*c, 2);
  const PodPtr low = MakePod("low").Uid("low").Cpu(700).Priority(1).Ptr();
  const Member lone{low, snap_->Resolve(low->spec)};
  EXPECT_EQ(cycle_->Decide(*framework_, std::span(&lone, 1)).placements[0].node, 2u);
  snap_->RemovePod(*low, 2);
  ASSERT_EQ(Again(), "placed");
  for (const PlacedMember& m : snap_->MembersOf("default", request_.group)) EXPECT_NE(m.row, 2u);
  EXPECT_EQ(cycle_->nominator().NodeOf("m0"), "n1") << "whoever nominated takes that back";
}

TEST_F(GroupPreemptionTest, WaitsForVictimsThatAreAboutToGo) {
  Pod leaving = On("n1", "a", 1000, 1).Deleting().Build();
  leaving.preempted = true;
  Cluster({Node("n1"), Node("n2")}, {std::make_shared<const Pod>(leaving), On("n2", "b", 1000, 1).Ptr()});
  EXPECT_EQ(Ask(1, MakePod().Cpu(1000)).substr(0, 1), "a") << "as upstream, one that is going counts as any other";
  cycle_->nominator().Set(members_[0].pod, members_[0].info, "n1");
  EXPECT_EQ(Again(), "preemption: not eligible due to terminating pods on the nominated nodes.");
}

TEST_F(GroupPreemptionTest, GroupsGoWholeOrTheirElasticPodsFirst) {
  const std::vector<PodPtr> pods = {On("n1", "a", 1000, 1).Group("g").Started(Hour(1)).Ptr(),
                                    On("n2", "b", 1000, 1).Group("g").Started(Hour(2)).Ptr(),
                                    On("n3", "c", 1000, 1).Started(Hour(3)).Ptr()};
  Cluster({Node("n1"), Node("n2"), Node("n3")}, pods);
  Group("g", 2, /*whole=*/false);
  EXPECT_EQ(Ask(1, MakePod().Cpu(1000)).substr(0, 1), "c") << "started last";
  Group("g", 1, /*whole=*/false);
  EXPECT_EQ(Ask(2, MakePod().Cpu(1000)).substr(0, 3), "c,b") << "elastic pods are the least important";
  Group("g", 2, /*whole=*/true);
  EXPECT_EQ(Ask(1, MakePod().Cpu(1000)).substr(0, 4), "c ->");
  EXPECT_EQ(Ask(3, MakePod().Cpu(1000)).substr(0, 8), "a,b,c ->");
  Cluster({Node("n1"), Node("n2"), Node("n3")}, {pods[0], pods[1], On("n3", "c", 1000, 50).Ptr()});
  Group("g", 1, /*whole=*/true);
  EXPECT_EQ(Ask(1, MakePod().Cpu(1000)).substr(0, 4), "c ->") << "one pod rather than two";
  Group("g", 1, /*whole=*/true, 60);
  EXPECT_EQ(Ask(3, MakePod().Cpu(1000)).substr(0, 8), "a,b,c ->");
  Group("g", 2, /*whole=*/true, 100);
  EXPECT_EQ(Ask(2, MakePod().Cpu(1000)), "preemption: the group does not fit even without all pods of lower priority");
}

TEST_F(GroupPreemptionTest, SparesWhatBudgetsProtect) {
  Cluster({Node("n1"), Node("n2")},
          {On("n1", "a", 1000, 9).Label("app", "x").Ptr(), On("n2", "b", 1000, 1).Label("app", "y").Ptr()});
  EXPECT_EQ(Ask(1, MakePod().Cpu(1000)).substr(0, 4), "b ->");
  Budget("y", 0);
  EXPECT_EQ(Ask(1, MakePod().Cpu(1000)).substr(0, 4), "a ->");
  EXPECT_EQ(violations_, 0);
  EXPECT_EQ(Ask(2, MakePod().Cpu(1000)).substr(0, 6), "a,b ->");
  EXPECT_EQ(violations_, 1);
}

TEST_F(GroupPreemptionTest, TheCheapestDomainPays) {
  const auto cluster = [&](std::vector<PodPtr> pods) {
    Cluster({Node("n1", "r1"), Node("n2", "r1"), Node("n3", "r2"), Node("n4", "r2")}, pods);
    request_.topology.mode = TopologyRequest::Mode::kRequired;
    request_.topology.level = "rack";
  };
  cluster({On("n1", "a", 1000, 1).Ptr(), On("n2", "b", 500, 1).Ptr(), On("n2", "c", 500, 1).Ptr(),
           On("n3", "d", 1000, 9).Ptr(), On("n4", "e", 1000, 9).Ptr()});
  EXPECT_EQ(Ask(2, MakePod().Cpu(1000)).substr(0, 6), "d,e ->") << "two pods, not three";
  cluster({On("n1", "a", 1000, 1).Label("app", "x").Ptr(), On("n2", "b", 1000, 1).Ptr(), On("n3", "c", 500, 9).Ptr(),
           On("n3", "d", 500, 9).Ptr(), On("n4", "e", 1000, 9).Ptr()});
  Budget("x", 0);
  EXPECT_EQ(Ask(2, MakePod().Cpu(1000)).substr(0, 8), "c,d,e ->");
  EXPECT_EQ(violations_, 0) << "rather three pods than a broken budget";
  cluster({On("n1", "a", 1000, 1).Started(Hour(1)).Ptr(), On("n2", "b", 1000, 1).Started(Hour(9)).Ptr(),
           On("n3", "c", 1000, 9).Started(Hour(8)).Ptr(), On("n4", "d", 1000, 9).Started(Hour(9)).Ptr()});
  EXPECT_EQ(Ask(2, MakePod().Cpu(1000)).substr(0, 6), "c,d ->") << "one hour of work is lost, not eight";
}

// Whoever is told to go makes room for the whole minimum, and none of them is told so for nothing.
TEST_F(GroupPreemptionTest, WhatItPromisesHolds) {
  int made_room = 0;
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Random random(seed);
    std::vector<NodePtr> nodes;
    for (int i = 0; i < 6; ++i) nodes.push_back(Node(absl::StrCat("n", i), absl::StrCat("r", i % 2)));
    std::vector<PodPtr> pods;
    std::vector<int64_t> free(6, 1000);
    for (int i = 0; i < 20; ++i) {
      const size_t node = random.Below(6);
      const int64_t cpu = 100 * static_cast<int64_t>(1 + random.Below(5));
      if (free[node] < cpu) continue;
      free[node] -= cpu;
      MakePod pod = On(absl::StrCat("n", node), absl::StrCat("p", i), cpu, static_cast<int32_t>(random.Below(4)) * 50);
      pod.Label("app", random.Below(2) == 0 ? "x" : "y").Started(Hour(static_cast<int>(random.Below(9))));
      if (random.Below(3) == 0) pod.Group(absl::StrCat("g", random.Below(3)));
      pods.push_back(pod.Ptr());
    }
    Cluster(nodes, pods);
    for (int g = 0; g < 3; ++g)
      Group(absl::StrCat("g", g), static_cast<int32_t>(1 + random.Below(3)), random.Below(2) == 0);
    Budget("x", static_cast<int32_t>(random.Below(3)));
    request_.topology = {};
    if (random.Below(2) == 0) request_.topology = {TopologyRequest::Mode::kRequired, "rack", "", 0};
    MakePod like;
    like.Cpu(100 * static_cast<int64_t>(3 + random.Below(6)));
    if (random.Below(3) == 0) like.Label("app", "z").Apart("kubernetes.io/hostname", {In("app", {"z"})});
    if (random.Below(4) == 0) like.Apart("kubernetes.io/hostname", {In("app", {"y"})});
    const int count = 2 + static_cast<int>(random.Below(3));
    const std::string said = Ask(count, like);
    if (said.find(" -> ") == std::string::npos) continue;
    ++made_room;
    Evict();
    EXPECT_EQ(Again(), "placed") << said;
    const auto mine = snap_->MembersOf("default", request_.group);
    EXPECT_EQ(mine.size(), members_.size());
    for (NodeIndex n = 0; n < snap_->size(); ++n) EXPECT_GE(snap_->Free(kCpu)[n], 0);
    for (const PlacedMember& m : mine) EXPECT_TRUE(request_.topology.level.empty() || m.row % 2 == mine[0].row % 2);
    for (const Pod* victim : victims_) EXPECT_LT(VictimPriority(*victim, snap_->objects()), 100);
    // Nobody goes in vain: with any one of them back (or its group, where that goes whole), it would not fit.
    const auto in_the_way = [&](const Pod* victim) {
      int64_t back = 0;
      for (const Pod* other : victims_) {
        const auto* group = snap_->objects().Get<PodGroup>(Kind::kPodGroup, "default", victim->group.name);
        const bool whole = group != nullptr && group->disrupted_whole && other->group == victim->group;
        if (other != victim && !whole) continue;
        const NodeIndex n = snap_->Find(other->node);
        back += snap_->Free(kCpu)[n] < other->spec->amounts.requests[0].value;
        const bool apart = !like.Build().spec->pod_affinity.required_anti.empty();
        back += apart && std::any_of(mine.begin(), mine.end(), [&](const PlacedMember& m) { return m.row == n; });
      }
      return back > 0;
    };
    for (const Pod* victim : victims_) EXPECT_TRUE(in_the_way(victim)) << victim->name << " of " << said;
  }
  EXPECT_GT(made_room, 100);
}

}  // namespace
}  // namespace muster
