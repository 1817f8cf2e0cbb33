#include "bench/placement/groups.h"

#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/gpu_cluster.h"
#include "bench/placement/configuration.h"
#include "bench/placement/meter.h"
#include "nlohmann/json.hpp"
#include "plugins/all.h"
#include "scheduler/command/arguments.h"
#include "scheduler/engine/cycle/group_cycle.h"
#include "scheduler/engine/scheduler.h"
#include "scheduler/framework/framework.h"
#include "scheduler/runtime/decision_log.h"
#include "scheduler/runtime/worker_pool.h"
#include "scheduler/sim/sim_api_server.h"

namespace muster {
namespace {

using Mode = TopologyRequest::Mode;

constexpr size_t kWarmUp = 3;  // decisions that do not count: memory is touched, columns are made

struct Case {
  std::string name;
  size_t nodes = 5000;
  bool almost_full = false;
  size_t pods = 8;
  Mode mode = Mode::kNone;
  std::string level = {};
  bool fits = true;
  size_t decisions = 500;
  size_t alive = 0;    // so many gangs stay; beyond that one goes, drawn at random, for each that comes
  double bound = 0;    // seconds a decision may take
  bool whole = false;  // through the scheduler and the API server in memory, all gangs at once
};

struct Row {
  Row() = default;
  Row(const Case& c, GangKind of) : name(c.name), kind(of), bound(c.bound) {}
  std::string name;
  GangKind kind = GangKind::kEqual;
  double bound = 0;
  size_t decided = 0, as_expected = 0;
  double racks = 0;  // that a gang spans, mean
  Quantiles time;
  double cpu = 0;                             // of the deciding thread, mean; 0: not known
  double pods_per_second = 0, cpu_a_pod = 0;  // of Case::whole
  std::string why;                            // of the last gang that did not fit
};

const char* KindName(GangKind kind) {
  static constexpr const char* kNames[] = {"equal", "job", "indexed"};
  return kNames[static_cast<int>(kind)];
}

std::vector<Case> Cases() {
  return {
      {.name = "gang of 8", .decisions = 500, .alive = 200, .bound = 300e-6},
      {.name = "gang of 8, rack required",
       .mode = Mode::kRequired,
       .level = kRackLabel,
       .decisions = 500,
       .alive = 200,
       .bound = 1e-3},
      {.name = "gang of 8, rack preferred",
       .mode = Mode::kPreferred,
       .level = kRackLabel,
       .decisions = 500,
       .alive = 200,
       .bound = 1e-3},
      {.name = "gang of 512", .pods = 512, .decisions = 60, .alive = 8, .bound = 10e-3},
      {.name = "gang of 512, block required",
       .pods = 512,
       .mode = Mode::kRequired,
       .level = kBlockLabel,
       .decisions = 60,
       .alive = 4,
       .bound = 10e-3},
      {.name = "cannot fit: 512 in 500 free",
       .almost_full = true,
       .pods = 512,
       .fits = false,
       .decisions = 100,
       .bound = 5e-3},
      {.name = "cannot fit: 512 in a rack of 320",
       .pods = 512,
       .mode = Mode::kRequired,
       .level = kRackLabel,
       .fits = false,
       .decisions = 100,
       .bound = 5e-3},
      {.name = "cannot fit: 300, no rack has them free",
       .pods = 300,
       .mode = Mode::kRequired,
       .level = kRackLabel,
       .fits = false,
       .decisions = 100,
       .bound = 5e-3},
      {.name = "100,000 nodes: gang of 1,024, block preferred",
       .nodes = 100'000,
       .pods = 1024,
       .mode = Mode::kPreferred,
       .level = kBlockLabel,
       .decisions = 20,
       .alive = 4,
       .bound = 100e-3},
      {.name = "scheduler: 500 gangs of 8", .decisions = 500, .bound = 300e-6, .whole = true},
      {.name = "scheduler: 500 gangs of 8, rack required",
       .mode = Mode::kRequired,
       .level = kRackLabel,
       .decisions = 500,
       .bound = 1e-3,
       .whole = true},
  };
}

std::vector<std::vector<int64_t>> Filling(const Case& c, uint64_t seed) {
  return c.almost_full ? AlmostFull(c.nodes) : PartFilled(c.nodes, seed);
}

// A case's gangs, made before they are decided about.
class Gangs {
 public:
  Gangs(const Case& c, GangKind kind) : c_(c), kind_(kind) {
    topology_.mode = c.mode;
    topology_.level = c.level;
  }
  const TopologyRequest& topology() const { return topology_; }
  std::string Name(size_t i) const { return absl::StrFormat("gang-%05d", i); }
  std::vector<Pod> Pods(size_t i) const { return GangPods(Name(i), c_.pods, 1, kind_, topology_); }

 private:
  const Case& c_;
  const GangKind kind_;
  TopologyRequest topology_;
};

// The cycle alone, on a snapshot.
class CycleBench {
 public:
  CycleBench(const Case& c, const ProfileConfig& profile, const Registry& registry, uint64_t seed)
      : c_(c),
        random_(seed),
        workers_(1),
        cycle_(snap_, workers_, seed),
        framework_(*Framework::Create(profile, registry)) {
    cluster_.nodes = c.nodes;
    std::vector<NodePtr> nodes;
    for (size_t i = 0; i < c.nodes; ++i) nodes.push_back(std::make_shared<const Node>(GpuNode(cluster_, i)));
    snap_.Rebuild(std::move(nodes));
    snap_.SetObject(Kind::kTopology, std::make_shared<const Topology>(GpuTopology()));
    absl::flat_hash_map<int64_t, PodInfoPtr> infos;
    const auto filling = Filling(c, seed);
    for (size_t n = 0; n < filling.size(); ++n) {
      for (const int64_t gpus : filling[n]) {
        PodInfoPtr& info = infos[gpus];
        if (info == nullptr) info = snap_.Resolve(GpuPodSpec(gpus, {{"app", "notebook"}}));
        Put(info, static_cast<NodeIndex>(n));
      }
    }
  }

  Row Measure(GangKind kind) {
    Row row(c_, kind);
    const Gangs gangs(c_, kind);
    std::vector<double> times;
    double racks = 0;
    for (size_t i = 0; i < c_.decisions + kWarmUp; ++i) {
      Gang gang = Make(gangs, i);
      MoveSomeone();
      GroupRequest request;
      request.members = gang.members;
      request.min = gang.members.size();
      request.group = gang.members[0].pod->group;
      request.topology = gangs.topology();
      const double cpu_before = ThreadCpu();
      const auto start = Steady::now();
      const GroupDecision& decision = cycle_.Decide(*framework_, request);
      const double took = Seconds(Steady::now() - start);
      if (i >= kWarmUp) {
        times.push_back(took);
        row.cpu += (ThreadCpu() - cpu_before) / static_cast<double>(c_.decisions);
        row.as_expected += decision.placed == c_.fits;
      }
      if (!decision.placed) {
        if (decision.why != nullptr) row.why = decision.why->message;
        continue;
      }
      std::set<size_t> in;
      for (const Placement& placement : decision.placements) {
        gang.nodes.push_back(placement.node);
        if (placement.node != kNoNode) in.insert(cluster_.RackOf(placement.node));
      }
      racks += static_cast<double>(in.size());
      placed_.push_back(std::move(gang));
      if (placed_.size() > c_.alive) End(random_.Below(placed_.size()));
    }
    row.decided = times.size();
    row.racks = racks / static_cast<double>(c_.decisions + kWarmUp);
    row.time = QuantilesOf(times);
    return row;
  }

 private:
  struct Gang {
    std::vector<Member> members;
    std::vector<NodeIndex> nodes;  // by member, once placed
  };
  struct Settled {
    PodPtr pod;
    PodInfoPtr info;
    NodeIndex node;
  };

  void Put(const PodInfoPtr& info, NodeIndex node) {
    Pod pod;
    pod.name = pod.uid = absl::StrCat("old-", settled_.size());
    pod.spec = info->spec;
    settled_.push_back({std::make_shared<const Pod>(std::move(pod)), info, node});
    snap_.AddPod({settled_.back().pod.get(), info.get()}, node);
  }

  Gang Make(const Gangs& gangs, size_t i) {
    Gang gang;
    PodInfoPtr info;
    for (Pod& pod : gangs.Pods(i)) {
      if (info == nullptr || info->spec != pod.spec) info = Resolve(pod.spec);
      gang.members.push_back({std::make_shared<const Pod>(std::move(pod)), info});
    }
    return gang;
  }

  // Equal specs share one, as in the scheduler.
  PodInfoPtr Resolve(const std::shared_ptr<const PodSpec>& spec) {
    PodInfoPtr& known = infos_[StableHash(*spec)];
    if (known == nullptr) known = snap_.Resolve(spec);
    return known;
  }

  // Somebody else's pod starts anew on its node: each decision finds a row that changed.
  void MoveSomeone() {
    const Settled& one = settled_[random_.Below(settled_.size())];
    snap_.RemovePod(*one.pod, one.node);
    snap_.AddPod({one.pod.get(), one.info.get()}, one.node);
  }

  void End(size_t at) {
    const Gang& gang = placed_[at];
    for (size_t m = 0; m < gang.members.size(); ++m) {
      if (gang.nodes[m] != kNoNode) snap_.RemovePod(*gang.members[m].pod, gang.nodes[m]);
    }
    std::swap(placed_[at], placed_.back());
    placed_.pop_back();
  }

  const Case& c_;
  GpuCluster cluster_;
  Random random_;
  Snapshot snap_;
  WorkerPool workers_;
  GroupCycle cycle_;
  std::unique_ptr<Framework> framework_;
  std::vector<Settled> settled_;
  std::vector<Gang> placed_;
  absl::flat_hash_map<uint64_t, PodInfoPtr> infos_;
};

// Where the pods of gangs were bound.
class Binds final : public SimApiServer::Observer {
 public:
  void OnPod(const PodPtr& before, const PodPtr& after) override {
    if (before == nullptr || after == nullptr || after->node.empty() || !before->node.empty()) return;
    ++count_;
    last_ = Steady::now();
    nodes_[after->group.name].push_back(after->node);
  }
  void OnNode(const NodePtr&, const NodePtr&) override {}

  size_t count() const { return count_; }
  Steady::time_point last() const { return last_; }
  const absl::flat_hash_map<std::string, std::vector<std::string>>& nodes() const { return nodes_; }

 private:
  size_t count_ = 0;
  Steady::time_point last_;
  absl::flat_hash_map<std::string, std::vector<std::string>> nodes_;  // by gang
};

// The whole scheduler on the API server in memory: all gangs are there at once.
absl::StatusOr<Row> MeasureScheduler(const Case& c, GangKind kind, const Configuration& config,
                                     const Registry& registry, uint64_t seed) {
  MeteredLoop loop;
  SimApiServer::Options server_options;
  server_options.request_latency = server_options.watch_latency = absl::ZeroDuration();
  server_options.keep_events = false;
  SimApiServer server(loop, server_options);
  GpuCluster cluster;
  cluster.nodes = c.nodes;
  absl::flat_hash_map<std::string, size_t> rack_of;
  const auto filling = Filling(c, seed);
  server.SetObject(Kind::kTopology, GpuTopology());
  absl::Status status;
  for (size_t n = 0; n < c.nodes; ++n) {
    const Node node = GpuNode(cluster, n);
    rack_of[node.name] = cluster.RackOf(n);
    status.Update(server.CreateNode(node));
    for (size_t i = 0; i < filling[n].size(); ++i) {
      Pod pod;
      pod.name = absl::StrCat("old-", n, "-", i);
      pod.spec = GpuPodSpec(filling[n][i], {{"app", "notebook"}});
      pod.node = node.name;
      status.Update(server.CreatePod(std::move(pod)));
    }
  }
  if (!status.ok()) return status;
  Binds binds;
  server.AddObserver(&binds);
  DecisionLog log;
  SchedulerOptions options;
  options.seed = seed;
  auto scheduler = Scheduler::Create(config, registry, options, loop, server, log, /*metrics=*/nullptr);
  if (!scheduler.ok()) return scheduler.status();

  const size_t wanted = c.decisions * c.pods;
  Steady::time_point start;
  double cpu_before = 0;
  const auto watch_end = [&](auto&& self) -> void {
    const bool settled = (*scheduler)->Idle() && server.Idle();
    if (binds.count() == wanted || settled || Seconds(Steady::now() - start) > 120) return loop.Stop();
    loop.After(absl::Milliseconds(20), [self] { self(self); });
  };
  const auto begin = [&](auto&& self) -> void {
    if (!(*scheduler)->synced()) return loop.Post([self] { self(self); });
    const Gangs gangs(c, kind);
    loop.decisions().clear();
    cpu_before = UsageNow().cpu;
    start = Steady::now();
    for (size_t i = 0; i < c.decisions; ++i) {
      server.SetObject(Kind::kPodGroup, GangObject(gangs.Name(i), c.pods, gangs.topology()));
      for (Pod& pod : gangs.Pods(i)) status.Update(server.CreatePod(std::move(pod)));
    }
    loop.After(absl::Milliseconds(20), [watch_end] { watch_end(watch_end); });
  };
  (*scheduler)->Start();
  loop.Post([begin] { begin(begin); });
  loop.Run();
  if (!status.ok()) return status;

  Row row(c, kind);
  row.decided = loop.decisions().size();
  row.time = QuantilesOf(loop.decisions());
  const double pods = static_cast<double>(std::max<size_t>(binds.count(), 1));
  row.cpu_a_pod = (UsageNow().cpu - cpu_before) / pods;
  if (binds.count() > 0) row.pods_per_second = pods / Seconds(binds.last() - start);
  for (const auto& [gang, nodes] : binds.nodes()) {
    std::set<size_t> in;
    for (const std::string& node : nodes) in.insert(rack_of[node]);
    row.as_expected += nodes.size() == c.pods;
    row.racks += static_cast<double>(in.size()) / static_cast<double>(binds.nodes().size());
  }
  return row;
}

const char* Verdict(const Row& row) {
  if (row.time.p99 <= row.bound) return "ok";
  return row.time.mean <= row.bound ? "ok, p99 over" : "OVER";
}

void Print(const Row& row) {
  std::cout << absl::StreamFormat("%-46s %-8s %6d %8.1f %8.1f %8.1f %8.1f %8.1f %8.0f  %-12s %6.2f", row.name,
                                  KindName(row.kind), row.decided, row.time.mean * 1e6, row.time.p50 * 1e6,
                                  row.time.p99 * 1e6, row.time.max * 1e6, row.cpu * 1e6, row.bound * 1e6, Verdict(row),
                                  row.racks);
  if (row.pods_per_second > 0) {
    std::cout << absl::StreamFormat("  %.0f pods/s, %.1f us of CPU a pod", row.pods_per_second, row.cpu_a_pod * 1e6);
  }
  if (row.as_expected < row.decided) {
    std::cout << absl::StreamFormat("  only %d of %d as expected: %s", row.as_expected, row.decided, row.why);
  }
  std::cout << std::endl;
}

nlohmann::ordered_json Json(const Row& row) {
  return {{"name", row.name},
          {"kind", KindName(row.kind)},
          {"decisions", row.decided},
          {"asExpected", row.as_expected},
          {"boundSeconds", row.bound},
          {"meanSeconds", row.time.mean},
          {"p50Seconds", row.time.p50},
          {"p99Seconds", row.time.p99},
          {"maxSeconds", row.time.max},
          {"cpuSeconds", row.cpu},
          {"racks", row.racks},
          {"podsPerSecond", row.pods_per_second},
          {"cpuSecondsPerPod", row.cpu_a_pod},
          {"why", row.why}};
}

}  // namespace

int MeasureGroups(const GroupFlags& flags) {
  const Registry registry = AllPlugins();
  const auto config = ConfigurationOf(flags.config, registry);
  if (!config.ok()) {
    std::cerr << config.status().message() << "\n";
    return kExitBadInput;
  }
  const bool table = flags.output == "table";
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  if (table) {
    std::cout
        << "One decision a gang of one-GPU pods, one thread, in memory; microseconds. Nodes of 8 GPUs, 40 a rack,\n"
           "25 racks a block, half filled. Pods: equal; of one shape a gang (job); of one shape each (indexed).\n";
    std::cout << absl::StreamFormat("%-46s %-8s %6s %8s %8s %8s %8s %8s %8s  %-12s %6s\n", "", "pods", "count", "mean",
                                    "p50", "p99", "max", "CPU", "bound", "", "racks");
  }
  for (Case& c : Cases()) {
    if (c.name.find(flags.only) == std::string::npos) continue;
    c.decisions = std::max<size_t>(1, c.decisions * flags.effort / 100);
    for (const GangKind kind : {GangKind::kEqual, GangKind::kJob, GangKind::kIndexed}) {
      absl::StatusOr<Row> row;
      if (c.whole) {
        row = MeasureScheduler(c, kind, *config, registry, flags.seed);
      } else {
        row = CycleBench(c, config->profiles[0], registry, flags.seed).Measure(kind);
      }
      if (!row.ok()) {
        std::cerr << c.name << ": " << row.status().message() << "\n";
        return kExitFailed;
      }
      if (table) Print(*row);
      rows.push_back(Json(*row));
    }
  }
  if (!table) {
    const GpuCluster cluster;
    const nlohmann::ordered_json json = {{"cluster",
                                          {{"nodesARack", cluster.nodes_a_rack},
                                           {"racksABlock", cluster.racks_a_block},
                                           {"filling", PartFilled(cluster.nodes, flags.seed)}}},
                                         {"rows", rows}};
    std::cout << json.dump() << "\n";
  }
  return kExitOk;
}

}  // namespace muster
