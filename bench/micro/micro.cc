// One kernel a benchmark, at growing cluster sizes: what a decision is made of.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/bench_cluster.h"
#include "benchmark/benchmark.h"
#include "plugins/all.h"
#include "queue/scheduling_queue.h"
#include "scheduler/engine/cycle/group_cycle.h"
#include "scheduler/framework/config/config.h"
#include "scheduler/framework/evaluation.h"
#include "scheduler/framework/framework.h"
#include "scheduler/framework/statement.h"
#include "scheduler/runtime/worker_pool.h"
#include "scheduler/wire/decode.h"
#include "scheduler/wire/proto/core_v1.pb.h"

namespace muster {
namespace {

// A cluster with four pods on each node, and the default profile.
struct Cluster {
  explicit Cluster(size_t nodes) {
    snap.Rebuild(BenchNodes(nodes));
    for (size_t shape = 0; shape < 4; ++shape) {
      const PodInfoPtr pod = snap.Resolve(BenchSpec(1000 + shape));
      for (NodeIndex n = 0; n < nodes; ++n) snap.AddPod({&anybody, pod.get()}, n);
      infos.push_back(pod);
    }
    const Registry registry = AllPlugins();
    framework = *Framework::Create(DefaultConfiguration(registry).profiles[0], registry);
  }
  NodeIndex SomeNode() { return static_cast<NodeIndex>(Mix(++draws) % snap.size()); }

  Snapshot snap;
  std::unique_ptr<Framework> framework;
  uint64_t draws = 0;
  const Pod anybody;
  std::vector<PodInfoPtr> infos;
};

void AllWords(size_t words, absl::FunctionRef<void(WordRange)> body) { body({0, words}); }

void Sizes(benchmark::internal::Benchmark* benchmark) {
  for (int nodes : {100, 1'000, 5'000, 20'000, 100'000}) benchmark->Arg(nodes);
  benchmark->Unit(benchmark::kMicrosecond);
}

// The filters of one pod that is new to the cache, over the whole cluster.
void Filter(benchmark::State& state) {
  Cluster cluster(static_cast<size_t>(state.range(0)));
  const PodInfoPtr pod = cluster.snap.Resolve(BenchSpec(15));
  const WordRange all{0, cluster.snap.words()};
  for (auto _ : state) {
    NodeSet alive = cluster.snap.usable();
    CycleState slots;
    Feasible feasible(alive, all);
    uint16_t step = 0;
    for (const Framework::FilterStep& filter : cluster.framework->filters()) {
      if (filter.pre != nullptr) {
        const auto outcome = filter.pre->PreFilter(*pod, cluster.snap, slots, alive);
        if (outcome->skip()) continue;
      }
      feasible.BeginPlugin(step++);
      benchmark::DoNotOptimize(filter.filter->Filter(*pod, cluster.snap, slots, feasible));
    }
    benchmark::DoNotOptimize(alive.Count());
  }
}
BENCHMARK(Filter)->Apply(Sizes);

// The scores of one pod on every node, normalisation and choice left out.
void Score(benchmark::State& state) {
  Cluster cluster(static_cast<size_t>(state.range(0)));
  const PodInfoPtr pod = cluster.snap.Resolve(BenchSpec(15));
  const WordRange all{0, cluster.snap.words()};
  std::vector<int64_t> out(cluster.snap.words() * kWordBits);
  for (auto _ : state) {
    CycleState slots;
    for (const Framework::ScoreStep& step : cluster.framework->scores()) {
      if (step.pre != nullptr) {
        const auto outcome = step.pre->PreScore(*pod, cluster.snap, slots, cluster.snap.all());
        if (outcome->skip()) continue;
      }
      benchmark::DoNotOptimize(step.score->Score(*pod, cluster.snap, slots, cluster.snap.all(), all, out.data()));
    }
    benchmark::ClobberMemory();
  }
}
BENCHMARK(Score)->Apply(Sizes);

// A whole evaluation of a shape that is not in the cache: filter, score, normalise, pick.
void EvaluateNewShape(benchmark::State& state) {
  Cluster cluster(static_cast<size_t>(state.range(0)));
  const PodInfoPtr pod = cluster.snap.Resolve(BenchSpec(15));
  Evaluation evaluation;
  WorkCount work;
  for (auto _ : state) {
    evaluation.Invalidate();
    evaluation.Update(*cluster.framework, *pod, cluster.snap, 1, AllWords, work);
    benchmark::DoNotOptimize(evaluation.Best());
  }
}
BENCHMARK(EvaluateNewShape)->Apply(Sizes);

// The next of many equal pods that evict others, on 5,000 nodes of four victims each, while so many
// before it wait for theirs to end.
void PreemptKnownShape(benchmark::State& state) {
  constexpr size_t kNodes = 5000;
  Cluster cluster(0);
  std::vector<NodePtr> nodes;
  for (size_t i = 0; i < kNodes; ++i) nodes.push_back(BenchNode(3 * i));  // of one size
  cluster.snap.Rebuild(std::move(nodes));
  const Node& node = cluster.snap.node(0);
  const auto spec = [&](int64_t share, int32_t priority) {
    auto out = std::make_shared<PodSpec>(*BenchSpec(1));
    out->priority = priority;
    out->amounts.requests = out->amounts.usage = {{"cpu", node.allocatable[0].value * share / 100}};
    return out;
  };
  const PodInfoPtr victim = cluster.snap.Resolve(spec(24, 0)), info = cluster.snap.Resolve(spec(75, 10));
  const auto pod = [](const PodInfoPtr& of, size_t i) {
    auto out = std::make_shared<Pod>();
    out->spec = of->spec;
    out->name = out->uid = absl::StrCat(of->spec->priority, "-", i);
    return out;
  };
  std::vector<PodPtr> victims, preemptors;
  for (size_t i = 0; i < 4 * kNodes; ++i) {
    victims.push_back(pod(victim, i));
    cluster.snap.AddPod({victims.back().get(), victim.get()}, static_cast<NodeIndex>(i % kNodes));
  }
  const auto waiting = static_cast<size_t>(state.range(0));
  for (size_t i = 0; i <= waiting; ++i) preemptors.push_back(pod(info, i));
  WorkerPool workers(1);
  GroupCycle cycle(cluster.snap, workers, 1);
  size_t next = 0;
  const auto preempt = [&] {
    const PodPtr& one = preemptors[next++ % preemptors.size()];
    cycle.nominator().Remove(one->uid);
    const Member member{one, info};
    const GroupDecision& decision = cycle.Decide(*cluster.framework, std::span(&member, 1));
    if (!decision.room || decision.room->victims.empty()) return state.SkipWithError("nobody to evict");
    cycle.nominator().Set(one, info, *decision.room->nominate);
  };
  for (size_t i = 0; i <= 2 * waiting; ++i) preempt();
  for (auto _ : state) preempt();
}
BENCHMARK(PreemptKnownShape)->Arg(1)->Arg(100)->Arg(1000)->Unit(benchmark::kMicrosecond);

// The next of many equal pods: one row changed since the answer was computed.
void DecideKnownShape(benchmark::State& state) {
  Cluster cluster(static_cast<size_t>(state.range(0)));
  const PodInfoPtr pod = cluster.snap.Resolve(BenchSpec(15));
  const Member member{std::make_shared<const Pod>(), pod};
  WorkerPool workers(1);
  GroupCycle cycle(cluster.snap, workers, 1);
  for (auto _ : state) {
    const GroupDecision& decision = cycle.Decide(*cluster.framework, {&member, 1});
    if (!decision.placed) {
      state.SkipWithError("the cluster is full");
      break;
    }
    // Room is given back elsewhere, so that the cluster never fills up: two changed rows.
    const NodeIndex node = decision.placements[0].node;
    benchmark::DoNotOptimize(node);
    cluster.snap.RemovePod(*member.pod, node);
  }
}
BENCHMARK(DecideKnownShape)->Apply(Sizes);

// Every pod has a shape of its own: the cache never helps.
void DecideNewShape(benchmark::State& state) {
  Cluster cluster(static_cast<size_t>(state.range(0)));
  std::vector<PodInfoPtr> pods;
  for (size_t shape = 0; shape < 4096; ++shape) pods.push_back(cluster.snap.Resolve(BenchSpec(shape)));
  WorkerPool workers(1);
  GroupCycle cycle(cluster.snap, workers, 1);
  size_t i = 0;
  Member member{std::make_shared<const Pod>(), nullptr};
  for (auto _ : state) {
    member.info = pods[i++ % pods.size()];
    const GroupDecision& decision = cycle.Decide(*cluster.framework, {&member, 1});
    if (decision.placed) cluster.snap.RemovePod(*member.pod, decision.placements[0].node);
  }
}
BENCHMARK(DecideNewShape)->Apply(Sizes);

// A pod comes to a node and leaves it.
void SnapshotApply(benchmark::State& state) {
  Cluster cluster(static_cast<size_t>(state.range(0)));
  const PodInfoPtr pod = cluster.snap.Resolve(BenchSpec(15));
  for (auto _ : state) {
    const NodeIndex node = cluster.SomeNode();
    cluster.snap.AddPod({&cluster.anybody, pod.get()}, node);
    cluster.snap.RemovePod(cluster.anybody, node);
  }
}
BENCHMARK(SnapshotApply)->Apply(Sizes);

// A node's labels or taints change.
void SnapshotReplaceNode(benchmark::State& state) {
  Cluster cluster(static_cast<size_t>(state.range(0)));
  const NodeIndex row = static_cast<NodeIndex>(cluster.snap.size() / 2);
  Node changed = cluster.snap.node(row);
  changed.unschedulable = true;
  const NodePtr nodes[] = {cluster.snap.node_ptr(row), std::make_shared<const Node>(std::move(changed))};
  size_t i = 0;
  for (auto _ : state) {
    cluster.snap.ReplaceNode(row, nodes[++i % 2]);
    cluster.snap.Settle();
  }
}
BENCHMARK(SnapshotReplaceNode)->Apply(Sizes);

// Nodes come or go: all columns are laid out anew.
void SnapshotRebuild(benchmark::State& state) {
  Cluster cluster(static_cast<size_t>(state.range(0)));
  const std::vector<NodePtr> nodes = BenchNodes(cluster.snap.size());
  for (auto _ : state) cluster.snap.Rebuild(nodes);
}
BENCHMARK(SnapshotRebuild)->Apply(Sizes);

// A group of eight pods is placed and rolled back.
void StatementRollback(benchmark::State& state) {
  Cluster cluster(static_cast<size_t>(state.range(0)));
  const PodInfoPtr pod = cluster.snap.Resolve(BenchSpec(15));
  Statement statement(cluster.snap);
  for (auto _ : state) {
    for (int i = 0; i < 8; ++i) statement.Place({&cluster.anybody, pod.get()}, cluster.SomeNode());
    statement.Rollback(0);
  }
}
BENCHMARK(StatementRollback)->Apply(Sizes);

PodPtr PendingPod(size_t i, const std::shared_ptr<const PodSpec>& spec) {
  Pod pod;
  pod.name = absl::StrCat("pod-", i);
  pod.uid = absl::StrCat("uid-", i);
  pod.spec = spec;
  return std::make_shared<const Pod>(std::move(pod));
}

// Pods are added to a queue that holds this many, and the first is taken out.
void QueueAddPop(benchmark::State& state) {
  Snapshot snap;
  const PodInfoPtr info = snap.Resolve(BenchSpec(15));
  SchedulingQueue queue({}, absl::Minutes(5),
                        [](const QueuedGroup& a, const QueuedGroup& b) { return a.queued_at < b.queued_at; });
  const auto waiting = static_cast<size_t>(state.range(0));
  Time now = absl::UnixEpoch();
  const auto add = [&](const PodPtr& pod) { queue.Add(pod, info, 0, false, now += absl::Microseconds(1)); };
  std::vector<PodPtr> pods;  // made before: only the queue's work is measured
  for (size_t i = 0; i < 2 * waiting; ++i) pods.push_back(PendingPod(i, info->spec));
  for (size_t i = 0; i < waiting; ++i) add(pods[i]);
  size_t next = waiting;
  for (auto _ : state) {
    add(pods[next++ % pods.size()]);
    const QueuedGroup* group = queue.Pop(now);
    queue.Remove(group->first().pod->uid);
  }
}
BENCHMARK(QueueAddPop)->Apply(Sizes);

// An event that can help none of this many equal pods that wait for one.
void QueueWake(benchmark::State& state) {
  Snapshot snap;
  const PodInfoPtr info = snap.Resolve(BenchSpec(15));
  SchedulingQueue queue({}, absl::Minutes(5),
                        [](const QueuedGroup& a, const QueuedGroup& b) { return a.queued_at < b.queued_at; });
  const Time now = absl::UnixEpoch();
  for (int64_t i = 0; i < state.range(0); ++i)
    queue.Add(PendingPod(static_cast<size_t>(i), info->spec), info, 0, false, now);
  while (QueuedGroup* group = queue.Pop(now)) {
    group->wake_on = kNodeAdded;
    queue.Rejected(*group, now);
  }
  for (auto _ : state)
    queue.Wake(
        kNodeAdded, [](const QueuedGroup&) { return false; }, [](const QueuedGroup&) { return true; }, now);
}
BENCHMARK(QueueWake)->Apply(Sizes);

k8s::io::api::core::v1::Pod WirePod(size_t i, size_t shape) {
  k8s::io::api::core::v1::Pod pod;
  auto& meta = *pod.mutable_metadata();
  meta.set_name(absl::StrCat("web-5d4f8c7b9-", i));
  meta.set_namespace_("bench");
  meta.set_uid(absl::StrCat("0f3c9a52-6d0e-4b7e-9c1d-", 100'000'000'000 + i));
  meta.set_resourceversion(absl::StrCat(100'000 + i));
  (*meta.mutable_labels())["app"] = absl::StrCat("web-", shape);
  auto& spec = *pod.mutable_spec();
  spec.set_schedulername("muster");
  spec.set_nodename(absl::StrCat("node-", i % 5000));
  auto& container = *spec.add_containers();
  container.set_name("web");
  container.set_image("registry/web:latest");
  auto& requests = *container.mutable_resources()->mutable_requests();
  requests["cpu"].set_string("250m");
  requests["memory"].set_string("512Mi");
  return pod;
}

// A list of this many pods, bound, of 50 shapes, as a cold start reads it.
void DecodePodList(benchmark::State& state) {
  std::vector<std::string> bodies;
  for (size_t i = 0; i < static_cast<size_t>(state.range(0)); ++i)
    bodies.push_back(WirePod(i, i % 50).SerializeAsString());
  std::vector<PodPtr> pods(bodies.size());
  size_t bytes = 0;
  for (const std::string& body : bodies) bytes += body.size();
  for (auto _ : state) {
    Decoder decoder;
    for (size_t i = 0; i < bodies.size(); ++i) pods[i] = decoder.DecodePod(bodies[i]);
    benchmark::DoNotOptimize(pods.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes));
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(bodies.size()));
}
BENCHMARK(DecodePodList)->Apply(Sizes);

}  // namespace
}  // namespace muster
