// The placement harness, in memory: the real engine on the simulated API server, in real time.
//
// Prints throughput, create-to-bound and decision times, CPU a pod and memory.
#include <algorithm>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/bench_cluster.h"
#include "bench/placement/devices.h"
#include "bench/placement/groups.h"
#include "bench/placement/meter.h"
#include "bench/placement/queues.h"
#include "bench/placement/workload.h"
#include "nlohmann/json.hpp"
#include "plugins/all.h"
#include "scheduler/command/arguments.h"
#include "scheduler/engine/scheduler.h"
#include "scheduler/framework/config/config.h"
#include "scheduler/runtime/decision_log.h"
#include "scheduler/sim/sim_api_server.h"

namespace muster {
namespace {

struct Flags {
  uint64_t nodes = 1000, pods = 10'000, shapes = 8, rate = 0, threads = 1, seed = 1, binds = 128, timeout = 300;
  uint64_t scale = 1000;  // thousandths
  std::string kind = "repeated", output = "table", config, workload;
  bool groups = false, queues = false, devices = false;
  GroupFlags group;
  QueueFlags queue;
  DeviceFlags device;
};

// Notes when pods are created and bound.
class Stopwatch final : public SimApiServer::Observer {
 public:
  void OnPod(const PodPtr& before, const PodPtr& after) override {
    if (after == nullptr) return;
    if (!created_.contains(after->name)) return;
    if (before == nullptr) {
      created_[after->name] = Steady::now();
    } else if (before->node.empty() && !after->node.empty()) {
      last_bound_ = Steady::now();
      latencies_.push_back(Seconds(last_bound_ - created_[after->name]));
    }
  }
  void OnNode(const NodePtr&, const NodePtr&) override {}

  void Expect(const std::string& pod) { created_[pod] = {}; }
  Steady::time_point last_bound() const { return last_bound_; }
  std::vector<double>& latencies() { return latencies_; }

 private:
  absl::flat_hash_map<std::string, Steady::time_point> created_;
  Steady::time_point last_bound_;
  std::vector<double> latencies_;
};

// Which shape the i-th pod has.
size_t ShapeOf(const Flags& flags, size_t i) {
  const size_t own = flags.shapes + i;
  if (flags.kind == "distinct") return own;
  if (flags.kind == "mix" && i % 2 == 1) return own;
  return i % flags.shapes;
}

std::vector<Pod> MakePods(const Flags& flags) {
  std::vector<std::shared_ptr<const PodSpec>> shared;
  for (size_t shape = 0; shape < flags.shapes; ++shape) shared.push_back(BenchSpec(shape));
  std::vector<Pod> pods(flags.pods);
  for (size_t i = 0; i < pods.size(); ++i) {
    const size_t shape = ShapeOf(flags, i);
    pods[i].name = absl::StrFormat("pod-%07d", i);
    pods[i].spec = shape < shared.size() ? shared[shape] : BenchSpec(shape);
  }
  return pods;
}

struct Report {
  size_t bound = 0, wanted = 0;
  double seconds = 0, cpu = 0;
  int64_t peak_kib = 0;
  Quantiles create_to_bound, decision;
  size_t decisions = 0;
};

// What a run places, and in what cluster.
class Load {
 public:
  static absl::StatusOr<Load> Create(const Flags& flags, SimApiServer& server) {
    Load load;
    if (flags.workload.empty()) {
      for (size_t i = 0; i < flags.nodes; ++i) {
        if (auto status = server.CreateNode(*BenchNode(i)); !status.ok()) return status;
      }
      load.pods = MakePods(flags);
      return load;
    }
    auto workload = ReadWorkload(flags.workload, flags.scale / 1000.0);
    if (!workload.ok()) return workload.status();
    load.workload = *std::move(workload);
    for (const Workload::Document& document : load.workload.documents) {
      if (document.every > absl::ZeroDuration()) continue;
      auto made = load.workload.Make(document, 0, document.count);
      if (!made.ok()) return made.status();
      if (document.measured) {
        for (const ManifestPod& pod : made->pods) load.pods.push_back(*pod.pod);
      } else if (auto status = Put(*made, server); !status.ok()) {
        return status;
      }
    }
    return load;
  }

  // Makes what comes and goes while pods are placed, for as long as the loop runs.
  void Churn(EventLoop& loop, SimApiServer& server) {
    for (const Workload::Document& document : workload.documents) {
      if (document.every > absl::ZeroDuration()) ChurnOne(document, 0, loop, server);
    }
  }

  std::vector<Pod> pods;
  Workload workload;

 private:
  static absl::Status Put(const Manifests& made, SimApiServer& server) {
    absl::Status status;
    for (const NodePtr& node : made.nodes) status.Update(server.CreateNode(*node));
    for (const ManifestObject& object : made.objects) server.SetObject(object.kind, *object.object);
    for (const ManifestPod& pod : made.pods) status.Update(server.CreatePod(*pod.pod));
    return status;
  }

  void ChurnOne(const Workload::Document& document, size_t i, EventLoop& loop, SimApiServer& server) {
    const auto made = workload.Make(document, i, i + 1);
    if (made.ok()) (void)Put(*made, server);
    loop.After(document.every, [this, &document, i, &loop, &server] {
      if (const auto old = workload.Make(document, i, i + 1); document.recreate && old.ok()) {
        for (const NodePtr& node : old->nodes) (void)server.DeleteNode(node->name);
        for (const ManifestPod& pod : old->pods) (void)server.DeletePodNow(pod.pod->ns(), pod.pod->name, "");
        for (const ManifestObject& object : old->objects)
          (void)server.RemoveObject(object.kind, object.object->ns, object.object->name);
      }
      ChurnOne(document, i + 1, loop, server);
    });
  }
};

absl::StatusOr<Report> Measure(const Flags& flags) {
  const Registry registry = AllPlugins();
  Configuration config = DefaultConfiguration(registry);
  if (!flags.config.empty()) {
    auto loaded = LoadConfiguration(flags.config, registry);
    if (!loaded.ok()) return loaded.status();
    config = *std::move(loaded);
  }
  config.muster.binds_in_flight = static_cast<int32_t>(flags.binds);

  MeteredLoop loop;
  SimApiServer::Options server_options;
  server_options.request_latency = server_options.watch_latency = absl::ZeroDuration();
  server_options.termination = absl::ZeroDuration();
  server_options.keep_events = false;
  SimApiServer server(loop, server_options);
  auto load = Load::Create(flags, server);
  if (!load.ok()) return load.status();
  std::vector<Pod>& pods = load->pods;
  Stopwatch stopwatch;  // of the measured pods
  for (const Pod& pod : pods) stopwatch.Expect(pod.name);
  server.AddObserver(&stopwatch);
  DecisionLog log;
  SchedulerOptions options;
  options.threads = static_cast<int>(flags.threads);
  options.seed = flags.seed;
  auto scheduler = Scheduler::Create(config, registry, options, loop, server, log, /*metrics=*/nullptr);
  if (!scheduler.ok()) return scheduler.status();

  size_t created = 0;
  Steady::time_point start;
  double cpu_before = 0;
  const auto create_due = [&](auto&& self) -> void {
    const double due = flags.rate == 0 ? static_cast<double>(pods.size())
                                       : static_cast<double>(flags.rate) * Seconds(Steady::now() - start) + 1;
    for (; created < pods.size() && static_cast<double>(created) < due; ++created)
      (void)server.CreatePod(std::move(pods[created]));
    if (created < pods.size()) loop.After(absl::Milliseconds(1), [self] { self(self); });
  };
  // Everything is bound, or what is left fits nowhere, or time is up.
  const auto watch_end = [&](auto&& self) -> void {
    const bool settled = created == pods.size() && (*scheduler)->Idle() && server.Idle();
    if (stopwatch.latencies().size() == pods.size() || settled ||
        Seconds(Steady::now() - start) > static_cast<double>(flags.timeout))
      return loop.Stop();
    loop.After(absl::Milliseconds(20), [self] { self(self); });
  };
  const auto begin = [&](auto&& self) -> void {
    if (!(*scheduler)->synced()) return loop.Post([self] { self(self); });
    loop.decisions().clear();
    cpu_before = UsageNow().cpu;
    start = Steady::now();
    load->Churn(loop, server);
    create_due(create_due);
    loop.After(absl::Milliseconds(20), [watch_end] { watch_end(watch_end); });
  };
  (*scheduler)->Start();
  loop.Post([begin] { begin(begin); });
  loop.Run();

  Report report;
  const Usage usage = UsageNow();
  report.bound = stopwatch.latencies().size();
  report.wanted = created;
  report.seconds = report.bound == 0 ? 0 : Seconds(stopwatch.last_bound() - start);
  report.cpu = usage.cpu - cpu_before;
  report.peak_kib = usage.peak_kib;
  report.decisions = loop.decisions().size();
  report.create_to_bound = QuantilesOf(stopwatch.latencies());
  report.decision = QuantilesOf(loop.decisions());
  return report;
}

void PrintTable(const Flags& flags, const Report& r) {
  const double pods = static_cast<double>(std::max<size_t>(r.bound, 1));
  const auto line = [](const char* name, const Quantiles& q, double scale, const char* unit) {
    std::cout << absl::StreamFormat("%-16s p50 %.3f  p90 %.3f  p99 %.3f  p99.9 %.3f  mean %.3f %s\n", name,
                                    q.p50 * scale, q.p90 * scale, q.p99 * scale, q.p999 * scale, q.mean * scale, unit);
  };
  const std::string what = flags.workload.empty()
                               ? absl::StrCat(flags.nodes, " nodes, ", flags.pods, " pods (", flags.kind, ")")
                               : flags.workload;
  std::cout << absl::StreamFormat("%s, %s, %d thread(s), in memory\n", what,
                                  flags.rate == 0 ? std::string("all at once") : absl::StrCat(flags.rate, " a second"),
                                  flags.threads);
  std::cout << absl::StreamFormat("%-16s %d of %d\n", "bound", r.bound, r.wanted);
  std::cout << absl::StreamFormat("%-16s %.0f pods/s\n", "throughput", r.seconds > 0 ? pods / r.seconds : 0);
  line("create to bound", r.create_to_bound, 1e3, "ms");
  line("decision", r.decision, 1e6, "us");
  std::cout << absl::StreamFormat("%-16s %.1f us (the API server in memory included)\n", "CPU a pod",
                                  1e6 * r.cpu / pods);
  std::cout << absl::StreamFormat("%-16s %.1f MiB at most\n", "memory", static_cast<double>(r.peak_kib) / 1024);
}

void PrintJson(const Flags& flags, const Report& r) {
  const double pods = static_cast<double>(std::max<size_t>(r.bound, 1));
  const auto quantiles = [](const Quantiles& q) {
    return nlohmann::ordered_json{{"p50", q.p50}, {"p90", q.p90}, {"p99", q.p99}, {"p99.9", q.p999}, {"mean", q.mean}};
  };
  const nlohmann::ordered_json json = {
      {"mode", "memory"},
      {"workload", flags.workload.empty() ? flags.kind : flags.workload},
      {"nodes", flags.nodes},
      {"pods", r.wanted},
      {"rate", flags.rate},
      {"threads", flags.threads},
      {"bound", r.bound},
      {"decisions", r.decisions},
      {"seconds", r.seconds},
      {"podsPerSecond", r.seconds > 0 ? pods / r.seconds : 0},
      {"createToBoundSeconds", quantiles(r.create_to_bound)},
      {"decisionSeconds", quantiles(r.decision)},
      {"cpuSecondsPerPod", r.cpu / pods},
      {"peakMemoryBytes", r.peak_kib * 1024},
  };
  std::cout << json.dump(2) << "\n";
}

int Run(int argc, char** argv) {
  Flags flags;
  Arguments arguments("placement [flags]", "Measures the engine on an API server in memory.");
  constexpr uint64_t kMany = 10'000'000;
  arguments.Number("--nodes", "N", "nodes of the cluster", 1, kMany, &flags.nodes);
  arguments.Number("--pods", "N", "pods to place", 1, kMany, &flags.pods);
  arguments.Choice("--kind", {"repeated", "distinct", "mix"}, "whether pods share shapes", &flags.kind);
  arguments.Number("--shapes", "N", "shapes that repeated pods share", 1, kMany, &flags.shapes);
  arguments.Text("--workload", "FILE", "objects and pods of that file, not --nodes, --pods and --kind",
                 &flags.workload);
  arguments.Number("--scale", "N", "thousandths of the workload's counts", 1, 100'000, &flags.scale);
  arguments.Number("--rate", "N", "pods created a second; 0: all at once", 0, kMany, &flags.rate);
  arguments.Number("--threads", "N", "threads that decide", 1, 256, &flags.threads);
  arguments.Number("--binds-in-flight", "N", "binds under way at once", 1, 10'000, &flags.binds);
  arguments.Number("--seed", "N", "decides ties", 0, UINT64_MAX, &flags.seed);
  arguments.Number("--timeout", "SECONDS", "ends the run", 1, 36'000, &flags.timeout);
  arguments.Text("--config", "FILE", "the scheduler's configuration", &flags.config);
  arguments.Switch("--groups", "instead: what deciding about gangs costs, of all sizes", &flags.groups);
  arguments.Switch("--queues", "instead: what queues cost, of many and with much pending", &flags.queues);
  arguments.Switch("--devices", "instead: what devices cost, and the worst that can be asked of them", &flags.devices);
  arguments.Number("--tree", "N", "with --queues: how many", 100, 10'000, &flags.queue.queues);
  arguments.Number("--pending", "N", "with --queues: groups", 1, kMany, &flags.queue.groups);
  arguments.Text("--only", "TEXT", "with --groups, --queues, --devices: the cases with this in their name",
                 &flags.group.only);
  arguments.Number("--effort", "PERCENT", "with --groups, --devices: of the gangs or pods to decide about", 1, 10'000,
                   &flags.group.effort);
  arguments.Choice("-o, --output", {"table", "json"}, "how to print", &flags.output);
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (const auto exit = arguments.Parse(args, std::cout, std::cerr)) return *exit;
  if (flags.groups) {
    flags.group.seed = flags.seed;
    flags.group.config = flags.config;
    flags.group.output = flags.output;
    return MeasureGroups(flags.group);
  }
  if (flags.queues) {
    flags.queue.seed = flags.seed;
    flags.queue.only = flags.group.only;
    flags.queue.config = flags.config;
    flags.queue.output = flags.output;
    return MeasureQueues(flags.queue);
  }
  if (flags.devices) {
    flags.device.seed = flags.seed;
    flags.device.effort = flags.group.effort;
    flags.device.only = flags.group.only;
    flags.device.config = flags.config;
    flags.device.output = flags.output;
    return MeasureDevices(flags.device);
  }
  const absl::StatusOr<Report> report = Measure(flags);
  if (!report.ok()) {
    std::cerr << report.status().message() << "\n";
    return kExitBadInput;
  }
  flags.output == "json" ? PrintJson(flags, *report) : PrintTable(flags, *report);
  return kExitOk;
}

}  // namespace
}  // namespace muster

int main(int argc, char** argv) { return muster::Run(argc, argv); }
