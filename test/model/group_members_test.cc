#include "scheduler/model/group_members.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/model/snapshot.h"
#include "scheduler/runtime/random.h"
#include "test/support/make.h"

namespace muster {
namespace {

using Source = GroupRef::Source;

std::set<std::pair<std::string, NodeIndex>> Names(std::span<const PlacedMember> members) {
  std::set<std::pair<std::string, NodeIndex>> names;
  for (const PlacedMember& m : members) names.emplace(m.pod->name, m.row);
  return names;
}

TEST(GroupMembersTest, AGroupIsItsNamespaceSourceAndName) {
  Snapshot snap;
  snap.Rebuild({MakeNode("a").Ptr(), MakeNode("b").Ptr()});
  const Pod one = MakePod("one").Group("g").Build(), two = MakePod("two", "other").Group("g").Build();
  const Pod three = MakePod("three").Group("g", Source::kLabels, 4).Build(), lone = MakePod("lone").Build();
  const PodInfoPtr info = snap.Resolve(one.spec), other = snap.Resolve(two.spec);
  snap.AddPod({&one, info.get()}, 1);
  snap.AddPod({&two, other.get()}, 0);
  snap.AddPod({&three, info.get()}, 0);
  snap.AddPod({&lone, info.get()}, 0);
  using Placed = std::set<std::pair<std::string, NodeIndex>>;
  EXPECT_EQ(Names(snap.MembersOf("default", {Source::kNative, "g", 0})), (Placed{{"one", 1}}));
  EXPECT_EQ(Names(snap.MembersOf("other", {Source::kNative, "g", 0})), (Placed{{"two", 0}}));
  EXPECT_EQ(Names(snap.MembersOf("default", {Source::kLabels, "g", 9})), (Placed{{"three", 0}})) << "whatever its size";
  EXPECT_TRUE(snap.MembersOf("default", {Source::kCoscheduling, "g", 0}).empty());
  snap.RemovePod(three, 0);
  EXPECT_TRUE(snap.MembersOf("default", {Source::kLabels, "g", 4}).empty());
}

TEST(GroupMembersTest, ARenewedPodMayChangeItsGroup) {
  Snapshot snap;
  snap.Rebuild({MakeNode("a").Ptr()});
  const Pod before = MakePod("p").Group("g").Build(), after = MakePod("p").Group("h").Build(),
            none = MakePod("p").Build();
  const PodInfoPtr info = snap.Resolve(before.spec);
  const auto count = [&](const char* name) { return snap.MembersOf("default", {Source::kNative, name, 0}).size(); };
  snap.AddPod({&before, info.get()}, 0);
  snap.RenewPod(before, {&after, info.get()}, 0);
  EXPECT_EQ(count("g"), 0u);
  ASSERT_EQ(count("h"), 1u);
  EXPECT_EQ(snap.MembersOf("default", after.group)[0].pod, &after);
  snap.RenewPod(after, {&none, info.get()}, 0);
  EXPECT_EQ(count("h"), 0u);
  snap.RenewPod(none, {&before, info.get()}, 0);
  EXPECT_EQ(count("g"), 1u);
  snap.RemovePod(before, 0);
  EXPECT_EQ(count("g"), 0u);
}

// Whatever happens to pods and nodes, the members are those of a walk over all rows.
TEST(GroupMembersTest, IncrementalEqualsAWalkOverAllRows) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    Snapshot snap;
    const PodInfoPtr info = snap.Resolve(MakePod("p").Spec());
    std::vector<std::unique_ptr<Pod>> pods;
    for (int i = 0; i < 300; ++i) {
      const std::string group = "g" + std::to_string(random.Below(150));
      MakePod make("p" + std::to_string(i));
      pods.push_back(std::make_unique<Pod>(random.Below(4) == 0 ? make.Build() : make.Group(group).Build()));
    }
    for (int step = 0; step < 400; ++step) {
      if (step % 100 == 0) {
        std::vector<NodePtr> nodes;
        for (char c = 'a'; c < 'k'; ++c) {
          if (random.Below(3) != 0) nodes.push_back(MakeNode(std::string(1, c)).Ptr());
        }
        nodes.push_back(MakeNode("z").Ptr());
        snap.Rebuild(nodes);
      }
      const Pod& pod = *pods[random.Below(pods.size())];
      const auto on = [&](NodeIndex n) {
        for (const PodOnNode& p : snap.PodsOn(n)) {
          if (p.pod == &pod) return true;
        }
        return false;
      };
      NodeIndex where = kNoNode;
      for (NodeIndex n = 0; n < snap.size(); ++n) where = on(n) ? n : where;
      if (where != kNoNode)
        snap.RemovePod(pod, where);
      else
        snap.AddPod({&pod, info.get()}, static_cast<NodeIndex>(random.Below(snap.size())));
    }
    for (int g = 0; g < 150; ++g) {
      const GroupRef group{Source::kNative, "g" + std::to_string(g), 0};
      std::set<std::pair<std::string, NodeIndex>> walked;
      for (NodeIndex n = 0; n < snap.size(); ++n) {
        for (const PodOnNode& p : snap.PodsOn(n)) {
          if (p.pod->group == group) walked.emplace(p.pod->name, n);
        }
      }
      EXPECT_EQ(Names(snap.MembersOf("default", group)), walked);
    }
  }
}

}  // namespace
}  // namespace muster
