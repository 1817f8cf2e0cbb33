// Finding the places of a group: all that the topology generator does but what the engine then tries.
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bench/gpu_cluster.h"
#include "benchmark/benchmark.h"
#include "plugins/topology/topology_placement_generator.h"
#include "topology/domain_tree.h"
#include "topology/slot_counts.h"

namespace muster {
namespace {

using Mode = TopologyRequest::Mode;

// A cluster in which other pods run, and a shape of one GPU as the engine keeps it.
struct Cluster {
  explicit Cluster(size_t count, bool full = false) {
    const GpuCluster layout{.nodes = count};
    std::vector<NodePtr> nodes;
    for (size_t i = 0; i < count; ++i) nodes.push_back(std::make_shared<const Node>(GpuNode(layout, i)));
    snap.Rebuild(std::move(nodes));
    snap.SetObject(Kind::kTopology, std::make_shared<Topology>(GpuTopology()));
    info = snap.Resolve(GpuPodSpec(1, {}));
    const auto filled = full ? AlmostFull(count) : PartFilled(count, 1);
    for (NodeIndex n = 0; n < count; ++n) {
      for (const int64_t gpus : filled[n]) {
        for (int64_t i = 0; i < gpus; ++i) snap.AddPod({&pod, info.get()}, n);
      }
    }
    feasible.Reset(count);
    for (NodeIndex n = 0; n < count; ++n) UpdateFeasible(n);
    generator.set_slot(0);
  }
  void UpdateFeasible(NodeIndex n) {
    if (snap.Free(info->requests.back().resource)[n] > 0) {
      feasible.Add(n);
    } else {
      feasible.Remove(n);
    }
  }
  // Some pod ends; the next time it is back.
  void ChangeARow() {
    const bool back = gone != kNoNode;
    while (!back && (gone == kNoNode || snap.PodsOn(gone).empty()))
      gone = static_cast<NodeIndex>(Mix(++draws) % snap.size());
    if (back) {
      snap.AddPod({&pod, info.get()}, gone);
    } else {
      snap.RemovePod(pod, gone);
    }
    UpdateFeasible(gone);
    if (back) gone = kNoNode;
  }
  // Candidates until the first, or all.
  size_t Places(const TopologyRequest& topology, size_t count, bool all = false) {
    members.assign(count, 0);
    const PlacementShape shape{info.get(), &feasible, &memo};
    size_t visited = 0;
    generator.GeneratePlacements({topology, std::span(&shape, 1), members, count, {}, {}}, snap,
                                 [&](const PlacementCandidate& candidate) {
                                   benchmark::DoNotOptimize(candidate.runs.data());
                                   ++visited;
                                   return !all;
                                 });
    return visited;
  }

  Snapshot snap;
  const Pod pod;
  PodInfoPtr info;
  NodeSet feasible;
  CycleState memo;
  TopologyPlacementGenerator generator;
  std::vector<uint32_t> members;
  uint64_t draws = 0;
  NodeIndex gone = kNoNode;  // where a pod ended
};

const TopologyRequest kInRack{Mode::kRequired, kRackLabel, "", 0};
const TopologyRequest kInBlock{Mode::kRequired, kBlockLabel, "", 0};
const TopologyRequest kNearBlock{Mode::kPreferred, kBlockLabel, "", 0};
const TopologyRequest kRacksOfEight{Mode::kRequired, kBlockLabel, kRackLabel, 8};

// Steady state: one row changed since the last group of this shape.
void FirstPlace(benchmark::State& state, const TopologyRequest& topology, size_t nodes, size_t count, bool full,
                size_t want) {
  Cluster cluster(nodes, full);
  for (auto _ : state) {
    cluster.ChangeARow();
    if (cluster.Places(topology, count) != want) return state.SkipWithError("another answer than was meant");
  }
}
BENCHMARK_CAPTURE(FirstPlace, Rack8, kInRack, 5'000, 8, false, 1)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(FirstPlace, Block512, kInBlock, 5'000, 512, false, 1)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(FirstPlace, Block512InSlices, kRacksOfEight, 5'000, 512, false, 1)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(FirstPlace, CannotFit512, kInBlock, 5'000, 512, true, 0)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(FirstPlace, NearBlock1024Of100000, kNearBlock, 100'000, 1024, false, 1)
    ->Unit(benchmark::kMicrosecond);

// A shape that is new: all nodes are counted.
void FirstPlaceOfNewShape(benchmark::State& state) {
  Cluster cluster(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    cluster.memo.Clear();
    if (cluster.Places(kInRack, 8) != 1) return state.SkipWithError("another answer than was meant");
  }
}
BENCHMARK(FirstPlaceOfNewShape)->Arg(5'000)->Arg(100'000)->Unit(benchmark::kMicrosecond);

// Every rack of 125 is refused.
void AllPlaces(benchmark::State& state) {
  Cluster cluster(5'000);
  for (auto _ : state) benchmark::DoNotOptimize(cluster.Places(kInRack, 8, /*all=*/true));
}
BENCHMARK(AllPlaces)->Unit(benchmark::kMicrosecond);

// A leader of another shape before the workers.
void FirstPlaceOfMixedGroup(benchmark::State& state) {
  Cluster cluster(5'000);
  const PodInfoPtr leader = cluster.snap.Resolve(GpuPodSpec(2, {}));
  NodeSet feasible(cluster.snap.size());
  CycleState memo;
  std::vector<uint32_t> members(static_cast<size_t>(state.range(0)), 0);
  members[0] = 1;
  for (auto _ : state) {
    cluster.ChangeARow();
    for (NodeIndex n = 0; n < cluster.snap.size(); ++n) {
      if (cluster.snap.Free(leader->requests.back().resource)[n] >= 2) feasible.Add(n);
    }
    const PlacementShape shapes[] = {{cluster.info.get(), &cluster.feasible, &cluster.memo},
                                     {leader.get(), &feasible, &memo}};
    cluster.generator.GeneratePlacements({kInBlock, shapes, members, members.size(), {}, {}}, cluster.snap,
                                         [](const PlacementCandidate& candidate) {
                                           benchmark::DoNotOptimize(candidate.runs.data());
                                           return true;
                                         });
  }
}
BENCHMARK(FirstPlaceOfMixedGroup)->Arg(8)->Arg(512)->Unit(benchmark::kMicrosecond);

void BuildDomainTree(benchmark::State& state) {
  Cluster cluster(static_cast<size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(DomainTree(cluster.snap, GpuTopology().levels, 1).size());
}
BENCHMARK(BuildDomainTree)->Arg(5'000)->Arg(100'000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace muster
