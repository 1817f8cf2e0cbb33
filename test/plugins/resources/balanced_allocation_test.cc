#include "plugins/resources/balanced_allocation.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "test/support/make.h"
#include "test/support/make_snapshot.h"
#include "test/support/run_plugin.h"

namespace muster {
namespace {

using Scores = std::vector<int64_t>;

MakeNode Two(const char* name, int64_t milli, int64_t memory) { return MakeNode(name).Cpu(milli).Memory(memory); }
MakePod Ask(const char* cpu, const char* memory) { return MakePod().Req({{"cpu", cpu}, {"memory", memory}}); }
PodPtr On(const char* node, const char* cpu, const char* memory) { return Ask(cpu, memory).Node(node).Ptr(); }

TEST(BalancedAllocationTest, PrefersWhatThePodEvensOut) {
  struct Case {
    const char* name;
    MakePod pod;
    std::vector<MakeNode> nodes;
    std::vector<PodPtr> placed;
    Scores scores;  // empty: skips
    std::vector<ResourceWeight> resources = {{"cpu", 1}, {"memory", 1}};
  };
  const std::vector<ResourceWeight> with_gpu = {{"cpu", 1}, {"memory", 1}, {"a.com/gpu", 1}};
  const PodPtr three_on_a = On("a", "3", "0"), both_on_b = On("b", "3", "5000");
  const Case cases[] = {
      {"nothing asked for", MakePod(), {Two("a", 4000, 10000)}, {}, {}},
      {"sizes differ", Ask("3", "5000"), {Two("a", 4000, 10000), Two("b", 6000, 10000)}, {}, {68, 75}},
      {"placed pods",
       Ask("3", "5000"),
       {Two("a", 10000, 20000), Two("b", 10000, 20000)},
       {three_on_a, both_on_b},
       {73, 74}},
      {"both", Ask("3", "5000"), {Two("a", 10000, 20000), Two("b", 10000, 50000)}, {three_on_a, both_on_b}, {73, 70}},
      {"least and most", Ask("0", "5000"), {Two("a", 3000, 5000), Two("b", 3000, 5000)}, {three_on_a}, {100, 50}},
      {"up to capacity",
       Ask("3", "0"),
       {Two("a", 6000, 10000), Two("b", 6000, 10000)},
       {three_on_a, both_on_b},
       {62, 62}},
      {"three resources",
       MakePod().Request("a.com/gpu", 1),
       {Two("a", 3500, 40000).Room("a.com/gpu", 8), Two("b", 3500, 40000).Room("a.com/gpu", 8)},
       {MakePod().Node("a").Req({{"cpu", "3"}, {"memory", "5000"}, {"a.com/gpu", "3"}}).Ptr(), both_on_b},
       {75, 76},
       with_gpu},
      {"gpu not asked for",
       Ask("3", "5000"),
       {Two("a", 3500, 40000).Room("a.com/gpu", 8), Two("b", 3500, 40000)},
       {},
       {56, 56},
       with_gpu},
      {"one resource is in balance", Ask("3", "5000"), {MakeNode("a").Cpu(4000), MakeNode("b")}, {}, {75, 75}},
  };
  for (const Case& c : cases) {
    std::vector<NodePtr> nodes;
    for (const MakeNode& node : c.nodes) nodes.push_back(node.Ptr());
    Snapshot snap = MakeSnapshot(nodes, c.placed);
    const PodInfoPtr pod = snap.Resolve(c.pod.Spec());
    RunPlugin run(BalancedAllocation::Make(NodeResourcesBalancedAllocationArgs{c.resources}));
    EXPECT_EQ(run.Score(*pod, snap), c.scores) << c.name;
    RunPlugin unprepared(BalancedAllocation::Make(NodeResourcesBalancedAllocationArgs{c.resources}));
    const Scores zero(snap.size(), 0);
    EXPECT_EQ(unprepared.ScoreAgain(*pod, snap), c.scores.empty() ? zero : c.scores) << c.name << " without PreScore";
  }
}

TEST(BalancedAllocationTest, NamesWhatIsWrongWithItsArguments) {
  const auto error = [](std::vector<ResourceWeight> resources) {
    return std::string(
        BalancedAllocation::Make(NodeResourcesBalancedAllocationArgs{std::move(resources)}).status().message());
  };
  EXPECT_EQ(error({{"cpu", 1}, {"cpu", 1}}), "resources[1].name: Duplicate value: \"cpu\"");
  EXPECT_EQ(error({{"cpu", 1}, {"memory", 2}}), "resources[1].weight: Invalid value: 2: must be 1");
  EXPECT_EQ(error({{"cpu", 1}, {"memory", 1}}), "");
}

}  // namespace
}  // namespace muster
