#include "plugins/resources/node_resources_fit.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "test/support/make.h"
#include "test/support/make_snapshot.h"
#include "test/support/run_plugin.h"

namespace muster {
namespace {

using Texts = std::vector<std::string>;
using Scores = std::vector<int64_t>;
using Type = ScoringStrategy::Type;

Texts Verdicts(const MakePod& pod, const NodePtr& node, const std::vector<PodPtr>& placed = {},
               NodeResourcesFitArgs args = {}) {
  Snapshot snap = MakeSnapshot({node}, placed);
  const PodInfoPtr info = snap.Resolve(pod.Spec());
  return RunPlugin(NodeResourcesFit::Make(args)).Filter(*info, snap);
}

// A node of 10 milli-CPU, 20 bytes of memory, 20 of ephemeral-storage and five of a.com/gpu.
NodePtr SmallNode(int64_t pods = 32) {
  return MakeNode("n").Room("pods", pods).Cpu(10).Memory(20).Room("ephemeral-storage", 20).Room("a.com/gpu", 5).Ptr();
}
PodPtr Placed(Quantities q) { return MakePod("placed").Node("n").Req(q).Ptr(); }

TEST(NodeResourcesFitTest, ListsEveryShortage) {
  struct Case {
    MakePod pod;
    std::vector<PodPtr> placed;
    std::string verdict;
  };
  const PodPtr full = Placed({{"cpu", "10m"}, {"memory", "20"}});
  const Case cases[] = {
      {MakePod(), {full}, ""},
      {MakePod().Cpu(1).Memory(1), {full}, "U: Insufficient cpu, Insufficient memory"},
      {MakePod().Cpu(1).Memory(1), {Placed({{"cpu", "5m"}, {"memory", "20"}})}, "U: Insufficient memory"},
      {MakePod().Cpu(5).Memory(1), {Placed({{"cpu", "5m"}, {"memory", "19"}})}, ""},
      {MakePod().Cpu(6), {Placed({{"cpu", "5m"}})}, "U: Insufficient cpu"},
      // More than the node has at all: one such shortage makes the whole answer unresolvable.
      {MakePod().Cpu(11), {}, "R: Insufficient cpu"},
      {MakePod().Cpu(6).Memory(21), {Placed({{"cpu", "5m"}})}, "R: Insufficient cpu, Insufficient memory"},
      {MakePod().Request("ephemeral-storage", 25), {}, "R: Insufficient ephemeral-storage"},
      {MakePod().Request("ephemeral-storage", 10),
       {Placed({{"ephemeral-storage", "11"}})},
       "U: Insufficient ephemeral-storage"},
      {MakePod().Request("a.com/gpu", 5), {}, ""},
      {MakePod().Request("a.com/gpu", 3), {Placed({{"a.com/gpu", "3"}})}, "U: Insufficient a.com/gpu"},
      {MakePod().Request("a.com/gpu", 10), {}, "R: Insufficient a.com/gpu"},
      {MakePod().Request("a.com/none", 1), {}, "R: Insufficient a.com/none"},
      {MakePod().Request("hugepages-2Mi", 1), {}, "R: Insufficient hugepages-2Mi"},
      {MakePod().Request("kubernetes.io/thing", 1), {}, "R: Insufficient kubernetes.io/thing"},
      {MakePod().Request("a.com/gpu", 0), {Placed({{"a.com/gpu", "6"}})}, ""},
      // Fixed order: cpu, memory, ephemeral-storage, then the others by name.
      {MakePod().Request("b.com/x", 1).Request("a.com/x", 1).Request("ephemeral-storage", 21).Memory(21).Cpu(11),
       {},
       "R: Insufficient cpu, Insufficient memory, Insufficient ephemeral-storage, Insufficient a.com/x, Insufficient "
       "b.com/x"},
      // Init containers run one after the other, sidecars beside everything; overhead comes on top.
      {MakePod().Req({{"cpu", "1m"}}).InitReq({{"cpu", "6m"}}), {Placed({{"cpu", "5m"}})}, "U: Insufficient cpu"},
      {MakePod().Req({{"cpu", "1m"}}).InitReq({{"cpu", "3m"}}).InitReq({{"cpu", "5m"}}), {Placed({{"cpu", "5m"}})}, ""},
      {MakePod().Req({{"cpu", "3m"}}).SidecarReq({{"cpu", "3m"}}), {Placed({{"cpu", "5m"}})}, "U: Insufficient cpu"},
      {MakePod().Req({{"cpu", "3m"}}).Overhead({{"cpu", "3m"}}), {Placed({{"cpu", "5m"}})}, "U: Insufficient cpu"},
      {MakePod().Req({{"cpu", "3m"}}).PodReq({{"cpu", "6m"}}), {Placed({{"cpu", "5m"}})}, "U: Insufficient cpu"},
  };
  for (const Case& c : cases) EXPECT_EQ(Verdicts(c.pod, SmallNode(), c.placed), Texts{c.verdict}) << c.verdict;
}

TEST(NodeResourcesFitTest, CountsPods) {
  const PodPtr placed = Placed({});
  EXPECT_EQ(Verdicts(MakePod(), SmallNode(1), {placed}), Texts{"U: Too many pods"});
  EXPECT_EQ(Verdicts(MakePod(), SmallNode(2), {placed}), Texts{""});
  EXPECT_EQ(Verdicts(MakePod(), SmallNode(0)), Texts{"U: Too many pods"});
  EXPECT_EQ(Verdicts(MakePod().Cpu(11), SmallNode(1), {placed}), Texts{"R: Too many pods, Insufficient cpu"});
  EXPECT_EQ(Verdicts(MakePod().Cpu(6), SmallNode(1), {Placed({{"cpu", "5m"}})}),
            Texts{"U: Too many pods, Insufficient cpu"});
}

TEST(NodeResourcesFitTest, IgnoresNamedExtendedResources) {
  NodeResourcesFitArgs one, group, native;
  one.ignored_resources = {"a.com/none"};
  group.ignored_resource_groups = {"a.com"};
  native.ignored_resources = {"cpu", "hugepages-2Mi"};
  const MakePod pod = MakePod().Request("a.com/none", 1).Request("b.com/none", 1);
  EXPECT_EQ(Verdicts(pod, SmallNode(), {}, one), Texts{"R: Insufficient b.com/none"});
  EXPECT_EQ(Verdicts(pod, SmallNode(), {}, group), Texts{"R: Insufficient b.com/none"});
  EXPECT_EQ(Verdicts(MakePod().Cpu(11), SmallNode(), {}, native), Texts{"R: Insufficient cpu"});
  EXPECT_EQ(Verdicts(MakePod().Request("hugepages-2Mi", 1), SmallNode(), {}, native),
            Texts{"R: Insufficient hugepages-2Mi"});
}

TEST(NodeResourcesFitTest, ReadsCellsAsTheyAre) {
  Snapshot snap = MakeSnapshot({SmallNode()});
  const PodInfoPtr pod = snap.Resolve(MakePod().Cpu(6).Spec());
  RunPlugin run(NodeResourcesFit::Make({}));
  EXPECT_EQ(run.Filter(*pod, snap), Texts{""});
  EXPECT_EQ(run.Score(*pod, snap).size(), 1u);
  const int64_t before = run.ScoreAgain(*pod, snap)[0];
  snap.Apply(*pod, 0, +1);
  EXPECT_EQ(run.FilterAgain(*pod, snap), Texts{"U: Insufficient cpu"});
  EXPECT_LT(run.ScoreAgain(*pod, snap)[0], before);
}

// --- Scores -------------------------------------------------------------------------------------

const ResourceWeight kGpu2{"a.com/gpu", 2};

struct ScoreCase {
  const char* name;
  MakePod pod;
  std::vector<MakeNode> nodes;
  std::vector<PodPtr> placed;
  Scores scores;
  std::vector<ResourceWeight> resources = {{"cpu", 1}, {"memory", 1}};
};

MakeNode Two(const char* name, int64_t cpu, int64_t memory) { return MakeNode(name).Cpu(cpu * 1000).Memory(memory); }
MakePod Ask(const char* cpu, const char* memory) { return MakePod().Req({{"cpu", cpu}, {"memory", memory}}); }
PodPtr On(const char* node, const char* cpu, const char* memory) { return Ask(cpu, memory).Node(node).Ptr(); }

void CheckScores(Type type, const std::vector<ScoreCase>& cases, std::vector<UtilizationPoint> shape = {}) {
  for (const ScoreCase& c : cases) {
    std::vector<NodePtr> nodes;
    for (const MakeNode& node : c.nodes) nodes.push_back(node.Ptr());
    Snapshot snap = MakeSnapshot(nodes, c.placed);
    NodeResourcesFitArgs args;
    args.scoring_strategy = {type, c.resources, shape};
    RunPlugin run(NodeResourcesFit::Make(args));
    EXPECT_EQ(run.Score(*snap.Resolve(c.pod.Spec()), snap), c.scores) << c.name;
  }
}

TEST(NodeResourcesFitTest, LeastAllocated) {
  const MakeNode a = Two("a", 10, 20000), b = Two("b", 10, 20000);
  CheckScores(Type::kLeastAllocated,
              {
                  {"empty", Ask("0", "0"), {Two("a", 4, 10000), Two("b", 4, 10000)}, {}, {100, 100}},
                  {"sizes differ", Ask("3", "5000"), {Two("a", 4, 10000), Two("b", 6, 10000)}, {}, {37, 50}},
                  {"only placed pods ask", Ask("0", "0"), {a, b}, {On("a", "6", "0"), On("b", "6", "5000")}, {70, 57}},
                  {"all ask", Ask("3", "5000"), {a, b}, {On("a", "3", "0"), On("b", "3", "5000")}, {57, 45}},
                  {"all ask, sizes differ",
                   Ask("3", "5000"),
                   {a, Two("b", 10, 50000)},
                   {On("a", "3", "0"), On("b", "3", "5000")},
                   {57, 60}},
                  {"cpu overcommitted",
                   Ask("3", "0"),
                   {Two("a", 4, 10000), Two("b", 4, 10000)},
                   {On("a", "3", "0"), On("b", "3", "5000")},
                   {50, 25}},
                  {"nothing allocatable", Ask("0", "0"), {MakeNode("a"), MakeNode("b")}, {On("a", "3", "0")}, {0, 0}},
                  {"weights",
                   Ask("3", "5000"),
                   {Two("a", 4, 10000), Two("b", 6, 10000)},
                   {},
                   {41, 50},
                   {{"memory", 2}, {"cpu", 1}}},
                  {"extended, not asked for",
                   Ask("3", "5000"),
                   {Two("a", 6, 10000), Two("b", 6, 10000).Room("a.com/gpu", 4)},
                   {},
                   {50, 50},
                   {kGpu2, {"cpu", 1}, {"memory", 1}}},
                  {"extended, asked for",
                   MakePod().Req({{"cpu", "3"}, {"memory", "5000"}, {"a.com/gpu", "2"}}),
                   {Two("a", 6, 10000).Room("a.com/gpu", 4), Two("b", 6, 10000).Room("a.com/gpu", 10)},
                   {},
                   {50, 60},
                   {{"a.com/gpu", 1}, {"cpu", 1}, {"memory", 1}}},
                  {"ephemeral-storage counts unasked",
                   Ask("0", "0"),
                   {Two("a", 4, 1).Room("ephemeral-storage", 10)},
                   {MakePod().Node("a").Request("ephemeral-storage", 5).Ptr()},
                   {50},
                   {{"ephemeral-storage", 1}}},
                  {"a name that is no resource",
                   Ask("1", "0"),
                   {Two("a", 4, 10)},
                   {},
                   {75},
                   {{"storage", 5}, {"cpu", 1}, {"pods", 1}}},
              });
}

TEST(NodeResourcesFitTest, MissingRequestsCountTheDefaults) {
  constexpr int64_t kMi = 1 << 20;
  CheckScores(Type::kLeastAllocated,
              {
                  {"100m and 200Mi a container", MakePod().Req({}).Req({}), {Two("a", 1, 1000 * kMi)}, {}, {70}},
                  {"of placed pods too", Ask("0", "0"), {Two("a", 1, 1000 * kMi)}, {MakePod().Node("a").Ptr()}, {85}},
                  // Pod-level requests count on the node, but not for the pod to be placed.
                  {"pod-level", MakePod().Req({}).PodReq({{"cpu", "500m"}}), {Two("a", 1, 1000 * kMi)}, {}, {85}},
              });
}

TEST(NodeResourcesFitTest, MostAllocated) {
  const MakeNode a = Two("a", 10, 20000), b = Two("b", 10, 20000);
  CheckScores(Type::kMostAllocated,
              {
                  {"empty", Ask("0", "0"), {Two("a", 4, 10000), Two("b", 4, 10000)}, {}, {0, 0}},
                  {"sizes differ", Ask("3", "5000"), {Two("a", 4, 10000), Two("b", 6, 10000)}, {}, {62, 50}},
                  {"only placed pods ask", Ask("0", "0"), {a, b}, {On("a", "6", "0"), On("b", "6", "5000")}, {30, 42}},
                  {"all ask", Ask("3", "5000"), {a, b}, {On("a", "3", "0"), On("b", "3", "5000")}, {42, 55}},
                  {"full", Ask("5", "9000"), {Two("a", 5, 10000), Two("b", 10, 9000)}, {}, {95, 75}},
                  {"weights",
                   Ask("3", "5000"),
                   {Two("a", 4, 10000), Two("b", 6, 10000)},
                   {},
                   {58, 50},
                   {{"memory", 2}, {"cpu", 1}}},
              });
}

TEST(NodeResourcesFitTest, RequestedToCapacityRatio) {
  const std::vector<ScoreCase> cases = {
      {"empty", Ask("0", "0"), {Two("a", 4, 10000), Two("b", 4, 10000)}, {}, {100, 100}},
      {"sizes differ", Ask("3", "5000"), {Two("a", 4, 10000), Two("b", 6, 10000)}, {}, {38, 50}},
      {"placed pods ask",
       Ask("0", "0"),
       {Two("a", 4, 10000), Two("b", 6, 10000)},
       {On("a", "3", "5000"), On("b", "3", "5000")},
       {38, 50}},
  };
  CheckScores(Type::kRequestedToCapacityRatio, cases, {{0, 10}, {100, 0}});
  const MakeNode a = Two("a", 4, 10000).Room("a.com/x", 8), b = Two("b", 4, 10000).Room("a.com/x", 4);
  const std::vector<ResourceWeight> x = {{"a.com/x", 1}};
  const std::vector<ScoreCase> packing = {
      {"not asked for", Ask("0", "0"), {a, b}, {}, {0, 0}, x},
      {"emptier first", MakePod().Request("a.com/x", 2), {a, b}, {}, {25, 50}, x},
      {"with a pod there",
       MakePod().Request("a.com/x", 2),
       {a, b},
       {MakePod().Node("b").Request("a.com/x", 2).Ptr()},
       {25, 100},
       x},
      {"too much is as good as all", MakePod().Request("a.com/x", 5), {a, b}, {}, {62, 100}, x},
      // A resource that scores 0 has no say in the mean.
      {"zero left out",
       MakePod().Req({{"cpu", "0"}, {"memory", "0"}, {"a.com/x", "4"}}),
       {a, b},
       {},
       {50, 100},
       {{"cpu", 5}, {"a.com/x", 1}}},
  };
  CheckScores(Type::kRequestedToCapacityRatio, packing, {{0, 0}, {100, 10}});
}

// --- Arguments ----------------------------------------------------------------------------------

TEST(NodeResourcesFitTest, NamesWhatIsWrongWithItsArguments) {
  const auto with = [](auto change) {
    NodeResourcesFitArgs args;
    change(args);
    return args;
  };
  struct Case {
    NodeResourcesFitArgs args;
    std::string error;  // a part of it
  };
  const Case cases[] = {
      {with([](auto& a) {
         a.ignored_resources = {"a.com/x", "/broken"};
       }),
       "ignoredResources[1]: Invalid value: \"/broken\": "},
      {with([](auto& a) { a.ignored_resource_groups = {"a.com/x"}; }),
       "ignoredResourceGroups[0]: Invalid value: \"a.com/x\": resource group name can't contain '/'"},
      {with([](auto& a) { a.scoring_strategy.resources[1].weight = 0; }),
       "scoringStrategy.resources[1].weight: Invalid value: 0: resource weight of memory not in valid range (0, 100]"},
      {with([](auto& a) { a.scoring_strategy.resources[0].weight = 101; }), "scoringStrategy.resources[0].weight: "},
      {with([](auto& a) { a.scoring_strategy.type = Type::kRequestedToCapacityRatio; }),
       "scoringStrategy.requestedToCapacityRatio.shape: Required value: at least one point must be specified"},
      {with([](auto& a) {
         a.scoring_strategy.shape = {{0, 0}};
       }),
       "scoringStrategy.requestedToCapacityRatio: Forbidden: must be nil when type is not RequestedToCapacityRatio"},
      {with([](auto& a) {
         a.scoring_strategy = {Type::kRequestedToCapacityRatio, {}, {{10, 0}, {10, 1}}};
       }),
       "shape[1].utilization: Invalid value: 10: values must be sorted in increasing order"},
      {with([](auto& a) {
         a.scoring_strategy = {Type::kRequestedToCapacityRatio, {}, {{0, 0}, {101, 11}}};
       }),
       "shape[1].utilization: Invalid value: 101: not in valid range [0, 100], "
       "scoringStrategy.requestedToCapacityRatio."
       "shape[1].score: Invalid value: 11: not in valid range [0, 10]]"},
  };
  for (const Case& c : cases) {
    const auto made = NodeResourcesFit::Make(c.args);
    ASSERT_FALSE(made.ok()) << c.error;
    EXPECT_NE(std::string(made.status().message()).find(c.error), std::string::npos) << made.status();
  }
  EXPECT_TRUE(NodeResourcesFit::Make(with([](auto& a) { a.ignored_resources = {"a.com/x", "plain"}; })).ok());
}

// --- Queueing hints -----------------------------------------------------------------------------

TEST(NodeResourcesFitTest, KnowsWhichEventsHelp) {
  const auto plugin = *NodeResourcesFit::Make({});
  const Pod pod = MakePod("waiting").Cpu(4).Request("a.com/gpu", 2).Build();
  const Node fits = MakeNode("n").Cpu(4).Room("a.com/gpu", 2).Build(), no_gpu = MakeNode("n").Cpu(4).Build();
  const Node roomier = MakeNode("n").Cpu(4).Room("a.com/gpu", 2).Room("pods", 111).Build();
  const Node more_memory = MakeNode("n").Cpu(4).Room("a.com/gpu", 2).Memory(1).Build();
  const Pod bound = MakePod("bound").Node("n").Cpu(2).Build(), less = MakePod("bound").Node("n").Cpu(1).Build();
  const Pod nominated = MakePod("nominated").Nominated("n").Build(), pending = MakePod("pending").Build();
  const Pod memory = MakePod("bound").Node("n").Memory(9).Build(),
            less_memory = MakePod("bound").Node("n").Memory(1).Build();
  struct Case {
    ClusterEvent event;
    bool helps;
  };
  const Case cases[] = {
      {{.what = kNodeAdded, .new_node = &fits}, true},
      {{.what = kNodeAdded, .new_node = &no_gpu}, false},
      {{.what = kNodeAllocatable, .old_node = &no_gpu, .new_node = &fits}, true},
      {{.what = kNodeAllocatable, .old_node = &fits, .new_node = &no_gpu}, false},
      {{.what = kNodeAllocatable, .old_node = &fits, .new_node = &roomier}, true},
      {{.what = kNodeAllocatable, .old_node = &fits, .new_node = &more_memory}, false},
      {{.what = kPodRemoved, .old_pod = &bound}, true},
      {{.what = kPodRemoved, .old_pod = &nominated}, true},
      {{.what = kPodRemoved, .old_pod = &pending}, false},
      {{.what = kPodScaledDown, .old_pod = &bound, .new_pod = &less}, true},
      {{.what = kPodScaledDown, .old_pod = &memory, .new_pod = &less_memory}, false},
      {{.what = kSelfScaledDown}, true},
  };
  for (size_t i = 0; i < std::size(cases); ++i) {
    EXPECT_EQ(plugin->MayHelp(pod, cases[i].event), cases[i].helps) << "case " << i;
    EXPECT_NE(plugin->RequeueOn() & cases[i].event.what, 0u) << "case " << i;
  }
}

}  // namespace
}  // namespace muster
