// Random clusters, groups, faults and deaths of the scheduler: rules that hold at every write (the Auditor, and
// GangPlaces), and an end in which each group is whole or waits with reason. The seed of a failure is printed;
// MUSTER_CASES says how many cases to run.
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "scheduler/runtime/random.h"
#include "test/engine/gang_world.h"
#include "test/support/sim_cluster.h"

namespace muster {
namespace {

constexpr char kRack[] = "example.com/rack";

constexpr FaultRates kFewFaults{
    .refused = 0.05, .lost_answer = 0.05, .slow = 0.1, .cut = 0.02, .gone = 0.01, .duplicated = 0.02};
constexpr FaultRates kManyFaults{
    .refused = 0.2, .lost_answer = 0.2, .slow = 0.3, .cut = 0.15, .gone = 0.1, .duplicated = 0.1};

uint64_t Cases() {
  const char* text = std::getenv("MUSTER_CASES");
  return text == nullptr ? 2000 : std::strtoull(text, nullptr, 10);
}

void Print(const GangWorld::Tally& tally) {
  for (const auto& [what, count] : tally) std::cout << what << ": " << count << "; ";
  std::cout << "\n";
}

Topology OfRacks() {
  Topology topology;
  topology.name = "t", topology.levels = {kRack, "kubernetes.io/hostname"};
  return topology;
}

// The cases are split, so that tests run beside each other.
constexpr uint64_t kParts = 6;

class GangPropertyTest : public testing::TestWithParam<uint64_t> {};

TEST_P(GangPropertyTest, GroupsAreWholeOrWait) {
  const uint64_t cases = Cases();
  GangWorld::Tally tally;
  for (uint64_t seed = GetParam(); seed < cases; seed += kParts) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const FaultRates rates[] = {FaultRates{}, kFewFaults, kManyFaults};
    ++tally["cases"];
    GangWorld(seed, rates[seed / kParts % 3], tally).Run();
    if (HasFailure()) return;
  }
  Print(tally);
  if (tally["cases"] < 30) return;
  for (const char* what : {"run", "wait, wholly or in part", "unconstrained", "preferred", "required",
                           "ranked in slices", "unranked in slices", "elastic in slices", "slices in a required domain",
                           "joined others in their place", "nodes that returned", "claims", "deaths"})
    EXPECT_GT(tally[what], 0) << what;
}

// Who had to go did so for a group that runs in the end: nothing else happens in these clusters.
TEST_P(GangPropertyTest, NobodyIsEvictedInVain) {
  const uint64_t cases = Cases();
  GangWorld::Tally tally;
  for (uint64_t seed = GetParam(); seed < cases; seed += kParts) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    const auto pick = [&](uint64_t bound) { return static_cast<int>(random.Below(bound)); };
    SimClusterOptions options;
    options.seed = seed;
    SimCluster c(options);
    const int nodes = 2 + pick(6);
    for (int i = 0; i < nodes; ++i) {
      c.Create(MakeNode("n" + std::to_string(i))
                   .Cpu((1 + pick(4)) * 1000)
                   .Label(kRack, std::string(1, static_cast<char>('a' + pick(2)))));
    }
    DisruptionBudget budget;
    budget.ns = "default", budget.name = "pdb", budget.disruptions_allowed = pick(3);
    budget.selector = {true, {In("app", {"guarded"})}};
    c.server.SetObject(Kind::kPodDisruptionBudget, budget);
    for (int i = 0; i < 4 * nodes; ++i) {
      MakePod pod("low" + std::to_string(i));
      pod.Cpu((1 + pick(3)) * 500).Priority(pick(3));
      if (pick(3) == 0) pod.Label("app", "guarded");
      if (pick(3) == 0) pod.Group("low", GroupRef::Source::kLabels, 1);
      if (pick(3) != 0) pod.Priority(0).Group("", GroupRef::Source::kNone);
      c.Create(pod);
    }
    ASSERT_TRUE(c.Settle());
    const std::vector<PodPtr> before = c.server.Pods();
    const int size = 1 + pick(6), min = 1 + pick(static_cast<uint64_t>(size));
    const Topology racks = OfRacks();
    c.server.SetObject(Kind::kTopology, racks);
    using Mode = TopologyRequest::Mode;
    TopologyRequest topology;
    topology.mode = static_cast<Mode>(pick(4));
    if (topology.mode >= Mode::kPreferred) topology.level = kRack;
    if (pick(3) == 0)
      topology.slice_level = racks.levels[static_cast<size_t>(pick(2))], topology.slice_size = 1 + pick(3);
    c.CreateGroup("high", min, [&](PodGroup& group) {
      group.priority = 5;
      group.topology = topology;
    });
    const int64_t cpu = (1 + pick(4)) * 500;
    for (int i = 0; i < size; ++i)
      c.Create(MakePod("high" + std::to_string(i)).Group("high").Cpu(cpu).Priority(5).Rank(i));
    EXPECT_TRUE(c.Settle());
    int bound = 0, evicted = 0;
    for (int i = 0; i < size; ++i) bound += c.NodeOf("high" + std::to_string(i)) != "";
    for (const PodPtr& pod : before) evicted += !pod->node.empty() && c.server.FindPod("default", pod->name) == nullptr;
    EXPECT_TRUE(evicted == 0 || bound >= min) << evicted << " pods were evicted in vain";
    EXPECT_TRUE(bound == 0 || bound >= min);
    if (HasFailure()) return;
    ++tally["cases"];
    if (evicted == 0) continue;
    ++tally["evicted for it"];
    if (topology.mode == Mode::kRequired) ++tally["evicted for a required rack"];
    if (!topology.slice_level.empty()) ++tally[min < size ? "evicted for some of its slices" : "evicted for slices"];
  }
  Print(tally);
  if (tally["cases"] < 200) return;
  for (const char* what : {"evicted for a required rack", "evicted for slices", "evicted for some of its slices"})
    EXPECT_GT(tally[what], 0) << what;
}

INSTANTIATE_TEST_SUITE_P(Parts, GangPropertyTest, testing::Range<uint64_t>(0, kParts));

}  // namespace
}  // namespace muster
