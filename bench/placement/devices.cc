#include "bench/placement/devices.h"

#include <algorithm>
#include <functional>
#include <iostream>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/placement/configuration.h"
#include "bench/placement/meter.h"
#include "nlohmann/json.hpp"
#include "plugins/all.h"
#include "scheduler/command/arguments.h"
#include "scheduler/engine/scheduler.h"
#include "scheduler/model/device.h"
#include "scheduler/runtime/decision_log.h"
#include "scheduler/sim/sim_api_server.h"

namespace muster {
namespace {

using Devices = std::vector<Device>;

constexpr double kPodBound = 1e-3, kLongestBound = 50e-3;  // seconds
constexpr double kTimeout = 120;                           // seconds a case
constexpr char kRoot[] = "resource.kubernetes.io/pcieRoot";

struct Case {
  std::string name;
  size_t nodes, pods;
  std::vector<std::pair<std::string, Devices>> slices;  // of each node: driver and devices
  std::vector<DeviceRequest> requests;                  // of each pod's claim
  std::vector<DeviceConstraint> constraints = {};
  size_t claims = 1;     // a pod
  bool fits = true;      // each pod somewhere
  bool running = false;  // a pod of lower priority on each node, which may be evicted
  double bound = 0;      // seconds a pod, or of the longest decision where the pods do not fit
};

DeviceAttribute Text(std::string text) { return {DeviceAttribute::Type::kString, false, {}, {std::move(text)}}; }

// dev-00, dev-01, ...; `value_of` gives the attribute's value.
Devices MakeDevices(int count, const std::string& attribute, const std::function<std::string(int)>& value_of) {
  Devices devices(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    Device& device = devices[static_cast<size_t>(i)];
    device.name = absl::StrFormat("dev-%02d", i);
    device.attributes[attribute] = Text(value_of(i));
  }
  return devices;
}

DeviceRequest Ask(std::string name, std::string device_class, int64_t count, std::vector<std::string> selectors = {}) {
  DeviceRequest request;
  request.name = std::move(name);
  request.device_class = std::move(device_class);
  request.allocation_mode = count > 0 ? "ExactCount" : "All";
  request.count = count;
  request.selectors = std::move(selectors);
  return request;
}

// `count` requests of eight alternatives for a device each, then what there is nowhere.
std::vector<DeviceRequest> Alternatives(int count, std::vector<std::string> selectors = {}) {
  std::vector<DeviceRequest> requests;
  for (int r = 0; r < count; ++r) {
    DeviceRequest& request = requests.emplace_back();
    request.name = absl::StrCat("r", r);
    for (int a = 0; a < 8; ++a) request.first_available.push_back(Ask(absl::StrCat("a", a), "gpu", 1, selectors));
  }
  requests.push_back(Ask("none", "gpu", 1, {"false"}));
  return requests;
}

// All that may be: 100,000 turns, at just under the cost limit of 1,000,000; each pod's own, so that no answer is
// known.
constexpr char kHostile[] =
    "[0,1,2,3,4,5,6,7,8,9].all(a,[0,1,2,3,4,5,6,7,8,9].all(b,[0,1,2,3,4,5,6,7,8,9].all(c,"
    "[0,1,2,3,4,5,6,7,8,9].all(d,[0,1,2,3,4,5,6,7].all(e,true))))) && device.driver == 'none'";

std::vector<Case> Cases() {
  const auto one = [](int) { return "pci0000:00"; };
  const auto root = [](int i) { return absl::StrFormat("pci0000:%02d", i); };
  // 31 of 64 have one value, 31 another, two a third: 32 alike are not there, which only all subsets of 31 show.
  const auto halves = [](int i) { return absl::StrCat("v", i / 31); };
  const auto seven = [](int i) { return absl::StrCat("v", i % 7); };
  using Slices = std::vector<std::pair<std::string, Devices>>;
  const Slices ten = {{"gpu.example.com", MakeDevices(10, kRoot, root)}};
  const Slices pairs = {{"gpu.example.com", MakeDevices(8, kRoot, root)},
                        {"nic.example.com", MakeDevices(8, kRoot, root)}};
  const Slices many = {{"gpu.example.com", MakeDevices(64, kRoot, halves)}};
  const Slices distinct = {{"gpu.example.com", MakeDevices(64, kRoot, seven)}};
  const Slices half = {{"gpu.example.com", MakeDevices(32, kRoot, one)},
                       {"nic.example.com", MakeDevices(32, kRoot, one)}};
  const DeviceConstraint match{{}, kRoot, ""}, differ{{}, "", kRoot};
  std::vector<Case> cases = {
      {.name = "filling: 500 nodes of 10", .nodes = 500, .pods = 5000, .slices = ten, .requests = {Ask("r", "gpu", 1)}},
      {.name = "pairs: GPU and NIC on a PCIe root",
       .nodes = 5000,
       .pods = 5000,
       .slices = pairs,
       .requests = {Ask("gpu", "gpu", 1), Ask("nic", "nic", 1)},
       .constraints = {match},
       .bound = kPodBound},
  };
  const auto worst = [&](std::string name, const Slices& slices, std::vector<DeviceRequest> requests,
                         std::vector<DeviceConstraint> constraints = {}, size_t claims = 1) -> Case& {
    cases.push_back({.name = "worst: " + std::move(name),
                     .nodes = 500,
                     .pods = 3,
                     .slices = slices,
                     .requests = std::move(requests),
                     .constraints = std::move(constraints),
                     .claims = claims,
                     .fits = false,
                     .bound = kLongestBound});
    return cases.back();
  };
  std::vector<DeviceRequest> first_none = Alternatives(31);
  std::swap(first_none.front(), first_none.back());
  worst("32 of 64 that match, 31 do", many, {Ask("r", "gpu", 32)}, {match});
  worst("the same, pods to evict", many, {Ask("r", "gpu", 32)}, {match}).running = true;
  worst("8 of 64 that differ, 7 do", distinct, {Ask("r", "gpu", 8)}, {differ});
  worst("All over 32, then none", half, {Ask("all", "gpu", 0)}, {match}, 2);
  worst("31 x 8 alternatives, then none", many, Alternatives(31));
  worst("8 claims of these", many, Alternatives(31), {}, 8);
  worst("8 claims of 1 + 248, none for the first", many, first_none, {}, 8);
  worst("hostile CEL", many, {Ask("r", "gpu", 1, {kHostile})});
  worst("hostile CEL, pods to evict", many, {Ask("r", "gpu", 1, {kHostile})}).running = true;
  worst("31 x 8 alternatives of hostile CEL", many, Alternatives(31, {kHostile}));
  return cases;
}

struct Row {
  std::string name;
  size_t nodes = 0, pods = 0, bound_pods = 0, decisions = 0;
  bool as_expected = false;
  double wall = 0, cpu = 0;  // seconds, of all
  double first = 0;          // seconds of the first decision
  Quantiles decision;
  double bound = 0, measured = 0;  // seconds
  std::string why;                 // of a pod that was not placed
};

class BindCounter final : public SimApiServer::Observer {
 public:
  void OnPod(const PodPtr& before, const PodPtr& after) override {
    if (before == nullptr || after == nullptr || !before->node.empty() || after->node.empty()) return;
    ++bound_;
    last_ = Steady::now();
  }
  void OnNode(const NodePtr&, const NodePtr&) override {}
  size_t bound() const { return bound_; }
  Steady::time_point last() const { return last_; }

 private:
  size_t bound_ = 0;
  Steady::time_point last_;
};

PodSpec MakeSpec(int32_t priority, int64_t milli) {
  PodSpec spec;
  spec.scheduler_name = "muster";
  spec.ns = "bench";
  spec.priority = priority;
  spec.amounts.requests = {{"cpu", milli}, {"memory", int64_t{1} << 30}};
  spec.amounts.usage = spec.amounts.scored = spec.amounts.requests;
  spec.amounts.non_zero_cpu = milli;
  spec.amounts.non_zero_memory = int64_t{1} << 30;
  return spec;
}

absl::Status MakeCluster(const Case& c, SimApiServer& server) {
  absl::Status status;
  for (const char* kind : {"gpu", "nic"}) {
    DeviceClass made;
    made.name = kind;
    made.selectors = {absl::StrCat("device.driver == '", kind, ".example.com'")};
    server.SetObject(Kind::kDeviceClass, made);
  }
  for (size_t n = 0; n < c.nodes; ++n) {
    Node node;
    node.name = absl::StrFormat("node-%05d", n);
    node.labels = {{"kubernetes.io/hostname", node.name}};
    node.allocatable = {{"cpu", 128'000}, {"memory", int64_t{1} << 40}, {"pods", 110}};
    status.Update(server.CreateNode(node));
    for (const auto& [driver, devices] : c.slices) {
      ResourceSlice slice;
      slice.name = absl::StrCat(node.name, "-", driver);
      slice.driver = driver;
      slice.pool = slice.nodes.node_name = node.name;
      slice.slice_count = 1;
      slice.devices = devices;
      server.SetObject(Kind::kResourceSlice, slice);
    }
    if (!c.running) continue;
    Pod pod;
    pod.name = absl::StrCat("runs-", n);
    pod.node = node.name;
    pod.spec = std::make_shared<const PodSpec>(MakeSpec(0, 1000));
    status.Update(server.CreatePod(std::move(pod)));
  }
  return status;
}

// Pods with claims of their own, as the controller makes them. Pods that fit nowhere have shapes of their own, so that
// each is decided about from nothing.
absl::Status MakePods(const Case& c, size_t pods, SimApiServer& server) {
  absl::Status status;
  const auto shared = std::make_shared<const PodSpec>(MakeSpec(100, 1000));
  for (size_t i = 0; i < pods; ++i) {
    Pod pod;
    pod.name = absl::StrFormat("pod-%05d", i);
    pod.uid = absl::StrCat("uid-", pod.name);
    pod.spec = c.fits ? shared : std::make_shared<const PodSpec>(MakeSpec(100, 1000 + static_cast<int64_t>(i)));
    for (size_t k = 0; k < c.claims; ++k) {
      ResourceClaim claim;
      claim.ns = "bench";
      claim.name = absl::StrCat(pod.name, "-", k);
      claim.controller_uid = pod.uid;
      claim.pod_claim_name = absl::StrCat("c", k);
      claim.requests = c.requests;
      claim.constraints = c.constraints;
      if (!c.fits) {
        const auto own = [&](DeviceRequest& request) {
          for (std::string& selector : request.selectors) absl::StrAppend(&selector, " && ", i, " == ", i);
        };
        for (DeviceRequest& request : claim.requests) {
          own(request);
          for (DeviceRequest& alternative : request.first_available) own(alternative);
        }
      }
      pod.claims.push_back({claim.pod_claim_name, "template", claim.name, true});
      server.SetObject(Kind::kResourceClaim, claim);
    }
    status.Update(server.CreatePod(std::move(pod)));
  }
  return status;
}

absl::StatusOr<Row> Measure(const Case& c, const DeviceFlags& flags, const Configuration& config,
                            const Registry& registry) {
  MeteredLoop loop(/*by_cpu=*/true);
  SimApiServer::Options server_options;
  server_options.request_latency = server_options.watch_latency = absl::ZeroDuration();
  server_options.keep_events = false;
  SimApiServer server(loop, server_options);
  absl::Status status = MakeCluster(c, server);
  DecisionLog log;
  SchedulerOptions options;
  options.seed = flags.seed;
  auto scheduler = Scheduler::Create(config, registry, options, loop, server, log, nullptr);
  if (!scheduler.ok()) return scheduler.status();
  BindCounter counter;
  server.AddObserver(&counter);

  Row row;
  row.name = c.name;
  row.nodes = c.nodes;
  row.pods = c.fits ? std::max<size_t>(1, c.pods * flags.effort / 100) : c.pods;
  Steady::time_point start;
  double cpu = 0;
  const auto watch_end = [&](auto&& self) -> void {
    const bool done = c.fits ? counter.bound() >= row.pods : loop.decisions().size() >= row.pods && server.Idle();
    if (done || Seconds(Steady::now() - start) > kTimeout) return loop.Stop();
    loop.After(absl::Milliseconds(5), [self] { self(self); });
  };
  const auto begin = [&](auto&& self) -> void {
    if (!(*scheduler)->synced()) return loop.Post([self] { self(self); });
    loop.decisions().clear();
    cpu = UsageNow().cpu;
    start = Steady::now();
    status.Update(MakePods(c, row.pods, server));
    loop.After(absl::Milliseconds(5), [watch_end] { watch_end(watch_end); });
  };
  (*scheduler)->Start();
  loop.Post([begin] { begin(begin); });
  loop.Run();
  if (!status.ok()) return status;
  row.cpu = UsageNow().cpu - cpu;
  row.wall = Seconds((c.fits ? counter.last() : Steady::now()) - start);
  row.bound_pods = counter.bound();
  row.decisions = loop.decisions().size();
  if (row.decisions > 0) row.first = loop.decisions()[0];
  row.decision = QuantilesOf(loop.decisions());
  row.as_expected = c.fits ? row.bound_pods == row.pods : row.bound_pods == 0 && row.decisions > 0;
  row.bound = c.bound;
  row.measured = c.fits ? row.cpu / static_cast<double>(row.pods) : row.decision.max;
  for (size_t i = 0; i < row.pods && row.why.empty(); ++i) {
    const PodPtr pod = server.FindPod("bench", absl::StrFormat("pod-%05d", i));
    if (pod->node.empty()) row.why = pod->scheduled.message;
  }
  server.RemoveObserver(&counter);
  return row;
}

void Print(const Row& row) {
  const auto pods = static_cast<double>(std::max<size_t>(row.pods, 1));
  std::cout << absl::StreamFormat("%-42s %6d %6d %6d %9.0f %9.1f %9.1f %9.1f %9.2f %9.2f", row.name, row.nodes,
                                  row.bound_pods, row.decisions, row.decision.mean > 0 ? 1 / row.decision.mean : 0,
                                  row.decision.p50 * 1e6, row.decision.p99 * 1e6, row.cpu / pods * 1e6, row.first * 1e3,
                                  row.decision.max * 1e3);
  if (row.bound > 0)
    std::cout << absl::StreamFormat("  %s (bound %.0f ms)", row.measured <= row.bound ? "met" : "NOT MET",
                                    row.bound * 1e3);
  if (!row.why.empty()) std::cout << "\n    " << row.why;
  std::cout << std::endl;
}

nlohmann::ordered_json Json(const Row& row) {
  return {{"name", row.name},
          {"nodes", row.nodes},
          {"pods", row.pods},
          {"bound", row.bound_pods},
          {"decisions", row.decisions},
          {"wallSeconds", row.wall},
          {"cpuSeconds", row.cpu},
          {"firstSeconds", row.first},
          {"p50Seconds", row.decision.p50},
          {"p99Seconds", row.decision.p99},
          {"longestSeconds", row.decision.max},
          {"boundSeconds", row.bound},
          {"asExpected", row.as_expected},
          {"message", row.why}};
}

}  // namespace

int MeasureDevices(const DeviceFlags& flags) {
  const Registry registry = AllPlugins();
  const auto config = ConfigurationOf(flags.config, registry);
  if (!config.ok()) {
    std::cerr << config.status().message() << "\n";
    return kExitBadInput;
  }
  const bool table = flags.output == "table";
  if (table) {
    std::cout << "Pods with claims of their own. One thread. Decisions in CPU time; a pod's CPU is the whole "
                 "process's, the API server in memory "
                 "included.\n"
              << absl::StreamFormat("%-42s %6s %6s %6s %9s %9s %9s %9s %9s %9s\n", "", "nodes", "bound", "made",
                                    "made/s", "p50, us", "p99, us", "CPU, us", "first, ms", "most, ms");
  }
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  bool all_as_expected = true;
  for (const Case& c : Cases()) {
    if (c.name.find(flags.only) == std::string::npos) continue;
    const auto row = Measure(c, flags, *config, registry);
    if (!row.ok()) {
      std::cerr << c.name << ": " << row.status().message() << "\n";
      return kExitFailed;
    }
    all_as_expected = all_as_expected && row->as_expected;
    if (table) Print(*row);
    rows.push_back(Json(*row));
  }
  if (!table) std::cout << nlohmann::ordered_json{{"rows", rows}}.dump() << "\n";
  return all_as_expected ? kExitOk : kExitFailed;
}

}  // namespace muster
