// What a decision costs that takes room from other queues.
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/bench_cluster.h"
#include "benchmark/benchmark.h"
#include "plugins/all.h"
#include "scheduler/engine/cycle/group_cycle.h"
#include "scheduler/engine/quota/ledger.h"
#include "scheduler/framework/config/config.h"
#include "scheduler/framework/framework.h"
#include "scheduler/model/queue.h"
#include "scheduler/runtime/worker_pool.h"

namespace muster {
namespace {

// 5,000 nodes, each with five pods of a queue that has no quota of its own and borrows all of another's.
struct BorrowedCluster {
  static constexpr size_t kNodes = 5000, kPods = 5;

  // `percent` of each node that its pods take in all.
  explicit BorrowedCluster(int64_t percent) {
    std::vector<NodePtr> nodes;
    for (size_t i = 0; i < kNodes; ++i) nodes.push_back(BenchNode(3 * i));  // of one size
    const int64_t cpu = nodes[0]->allocatable[0].value;
    snap.Rebuild(std::move(nodes));
    each = cpu * percent / 100 / static_cast<int64_t>(kPods);
    for (const char* name : {"owner", "borrower"}) {
      auto ns = std::make_shared<Namespace>();
      ns->name = name;
      ns->labels = {{"team", name}};
      snap.SetObject(Kind::kNamespace, ns);
      auto queue = std::make_shared<Queue>();
      queue->name = name;
      queue->parent = "root";
      queue->namespace_selector = {true, {{"team", Operator::kIn, {name}, "In"}}};
      const int64_t all = each * static_cast<int64_t>(kNodes * kPods);
      queue->resources = {{"cpu", "", name[0] == 'o' ? all : 0, {}, {}}};
      snap.SetObject(Kind::kQueue, queue);
    }
    auto root = std::make_shared<Queue>();
    root->name = "root";
    snap.SetObject(Kind::kQueue, root);
    ledger.Refresh();
    const PodInfoPtr info = snap.Resolve(Spec("borrower", each));
    for (size_t i = 0; i < kNodes * kPods; ++i) {
      pods.push_back(MakeOne(info, i));
      snap.AddPod({pods.back().get(), info.get()}, static_cast<NodeIndex>(i % kNodes));
    }
    infos.push_back(info);
    const Registry registry = AllPlugins();
    framework = *Framework::Create(DefaultConfiguration(registry).profiles[0], registry);
  }
  static std::shared_ptr<const PodSpec> Spec(const std::string& ns, int64_t cpu) {
    auto spec = std::make_shared<PodSpec>(*BenchSpec(1));
    spec->ns = ns;
    spec->amounts.requests = spec->amounts.usage = {{"cpu", cpu}};
    return spec;
  }
  static PodPtr MakeOne(const PodInfoPtr& of, size_t i) {
    auto pod = std::make_shared<Pod>();
    pod->spec = of->spec;
    pod->name = pod->uid = absl::StrCat(of->spec->ns, "-", i);
    pod->created = pod->started = absl::UnixEpoch() + absl::Seconds(static_cast<int64_t>(Mix(i) % 10'000));
    return pod;
  }

  Snapshot snap;
  Ledger ledger{snap, "", [](const std::string&) { return true; }};
  std::unique_ptr<Framework> framework;
  int64_t each = 0;
  std::vector<PodPtr> pods;
  std::vector<PodInfoPtr> infos;
};

// The owner wants its own back for as many pods; between two decisions a pod of the other moves. Nodes have a fifth of
// their cores free (80), or nothing (100).
void Reclaim(benchmark::State& state) {
  BorrowedCluster cluster(state.range(0));
  const PodInfoPtr info = cluster.snap.Resolve(BorrowedCluster::Spec("owner", cluster.each));
  std::vector<Member> members;
  for (int64_t i = 0; i < state.range(1); ++i)
    members.push_back({BorrowedCluster::MakeOne(info, static_cast<size_t>(i)), info});
  WorkerPool workers(1);
  GroupCycle cycle(cluster.snap, workers, 1, &cluster.ledger);
  GroupRequest request;
  request.members = members;
  request.min = members.size();
  request.now = absl::UnixEpoch() + absl::Hours(10);
  size_t next = 0;
  for (auto _ : state) {
    const size_t moved = Mix(++next) % cluster.pods.size();
    const auto row = static_cast<NodeIndex>(moved % BorrowedCluster::kNodes);
    cluster.snap.RemovePod(*cluster.pods[moved], row);
    cluster.snap.AddPod({cluster.pods[moved].get(), cluster.infos[0].get()}, row);
    const GroupDecision& decision = cycle.Decide(*cluster.framework, request);
    if (!decision.room || decision.room->victims.size() != members.size())
      return state.SkipWithError(decision.why != nullptr ? decision.why->message.c_str() : "placed");
  }
}
BENCHMARK(Reclaim)->ArgNames({"full", "pods"})->ArgsProduct({{80, 100}, {1, 8, 64}})->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace muster
