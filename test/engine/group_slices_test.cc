// Slices of a group, some of whose pods are placed already or are not there.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "plugins/all.h"
#include "scheduler/engine/cycle/group_cycle.h"
#include "scheduler/framework/config/config.h"
#include "test/support/make.h"

namespace muster {
namespace {

struct Placed {
  int32_t rank;
  const char* node;
};

// The nodes of a group's pending pods, "-" for those without; "" where it is not placed. Node i of rack r is "r<i>",
// one of each rack for each of its numbers of free GPUs; pods ask for one GPU, slices of two for a rack.
std::string Place(const std::vector<std::vector<int>>& racks, const std::vector<Placed>& placed,
                  const std::vector<int32_t>& pending, size_t min) {
  const Registry registry = AllPlugins();
  const auto framework = *Framework::Create(DefaultConfiguration(registry).profiles[0], registry);
  std::vector<NodePtr> nodes;
  for (size_t rack = 0; rack < racks.size(); ++rack) {
    const std::string name(1, static_cast<char>('a' + rack));
    for (size_t i = 0; i < racks[rack].size(); ++i)
      nodes.push_back(MakeNode(name + std::to_string(i)).Room("x.io/gpu", racks[rack][i]).Label("rack", name).Ptr());
  }
  Snapshot snap;
  snap.Rebuild(nodes);
  std::vector<Member> there, members;
  const auto make = [&](int32_t rank) {
    const std::string name = "m" + std::to_string(rank);
    const PodPtr pod = MakePod(name).Uid(name).Group("g").Rank(rank).Request("x.io/gpu", 1).Ptr();
    return Member{pod, snap.Resolve(pod->spec)};
  };
  for (const Placed& p : placed) {
    there.push_back(make(p.rank));
    snap.AddPod({there.back().pod.get(), there.back().info.get()}, snap.Find(p.node));
  }
  for (const int32_t rank : pending) members.push_back(make(rank));
  GroupRequest request;
  request.members = members;
  request.min = min;
  request.group = members[0].pod->group;
  request.topology = {TopologyRequest::Mode::kUnconstrained, "", "rack", 2};
  WorkerPool pool{1};
  GroupCycle cycle(snap, pool, 1);
  const GroupDecision& decision = cycle.Decide(*framework, request);
  std::string text;
  for (const Placement& p : decision.placements) {
    text += text.empty() ? "" : " ";
    text += p.node == kNoNode ? "-" : std::string(snap.NodeName(p.node));
  }
  return text;
}

TEST(GroupSlicesTest, MembersKeepToTheirSlice) {
  const struct {
    std::vector<std::vector<int>> racks;
    std::vector<Placed> placed;
    std::vector<int32_t> pending;
    size_t min;
    const char* want;
  } kRows[] = {
      // Who has no room where its slice is goes nowhere else.
      {{{1}, {9}}, {{0, "a0"}}, {1, 2, 3}, 1, "- b0 b0"},
      {{{1}, {9}}, {{0, "a0"}}, {1, 2, 3}, 3, ""},
      {{{1}, {2}}, {{0, "a0"}, {2, "b0"}}, {1, 3}, 1, "- b0"},
      {{{2}, {2}}, {{0, "a0"}, {2, "b0"}}, {1, 3}, 2, "a0 b0"},
      // Ranks that are not there: 0, and 2 with 3.
      {{{1}, {2}}, {}, {0, 2, 3}, 3, "a0 b0 b0"},
      {{{1}, {1}, {1}}, {}, {0, 2, 3}, 3, ""},
      {{{1}, {1}, {1}}, {}, {0, 2, 5}, 3, "a0 b0 c0"},
      {{{9}, {9}}, {{0, "a0"}, {3, "b0"}}, {2}, 1, "b0"},
      {{{9}, {1}}, {{0, "a0"}, {3, "b0"}}, {2}, 1, ""},
      // The last slice is short; elastic members may leave another one so.
      {{{2}, {1}}, {}, {0, 1, 2}, 3, "a0 a0 b0"},
      {{{1}}, {}, {0, 1}, 1, "a0 -"},
      {{{1}}, {}, {0, 1}, 2, ""},
      {{{1}, {1}}, {}, {0, 1, 2, 3}, 2, "a0 - b0 -"},
      // What is begun is searched for, too.
      {{{2, 1}, {2}}, {{0, "a1"}}, {1, 2, 3}, 3, "a0 b0 b0"},
  };
  for (size_t i = 0; i < std::size(kRows); ++i) {
    const auto& row = kRows[i];
    EXPECT_EQ(Place(row.racks, row.placed, row.pending, row.min), row.want) << "row " << i;
  }
}

}  // namespace
}  // namespace muster
