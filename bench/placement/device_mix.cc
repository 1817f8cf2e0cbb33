#include "bench/placement/device_mix.h"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/placement/configuration.h"
#include "nlohmann/json.hpp"
#include "plugins/all.h"
#include "scheduler/command/arguments.h"
#include "scheduler/engine/scheduler.h"
#include "scheduler/model/device.h"
#include "scheduler/runtime/decision_log.h"
#include "scheduler/runtime/random.h"
#include "scheduler/sim/controllers/claim_controller.h"
#include "scheduler/sim/kubelet.h"
#include "scheduler/sim/sim_api_server.h"
#include "scheduler/sim/sim_event_loop.h"

namespace muster {
namespace {

constexpr char kRoot[] = "resource.kubernetes.io/pcieRoot", kLink[] = "gpu.example.com/nvlinkGroup";
constexpr double kMeanSeconds = 1800;  // that a pod runs, exponential
constexpr double kArrivals = 4000;     // a seed and mix, some
constexpr Duration kPatience = absl::Minutes(1);

DeviceAttribute Text(std::string text) { return {DeviceAttribute::Type::kString, false, {}, {std::move(text)}}; }
DeviceQuantity Amount(int64_t units) { return {Quantity::FromUnits(units), QuantityFormat::kBinarySI}; }
constexpr int64_t kGi = int64_t{1} << 30;

// --- Nodes ----------------------------------------------------------------------------------------

ResourceSlice SliceOf(const std::string& driver, const std::string& node, int64_t slices = 1) {
  ResourceSlice slice;
  slice.driver = driver;
  slice.name = absl::StrCat(node, "-", driver);
  slice.pool = slice.nodes.node_name = node;
  slice.slice_count = slices;
  return slice;
}

// 8 GPUs in two groups with NVLink, and 8 NICs; GPU and NIC i have PCIe root i.
std::vector<ResourceSlice> Box(const std::string& node) {
  ResourceSlice gpus = SliceOf("gpu.example.com", node), nics = SliceOf("nic.example.com", node);
  for (int i = 0; i < 8; ++i) {
    Device& gpu = gpus.devices.emplace_back();
    gpu.name = absl::StrCat("gpu-", i);
    gpu.attributes = {{kRoot, Text(absl::StrCat("pci", i))}, {"nvlinkGroup", Text(absl::StrCat("link", i / 4))}};
    gpu.capacity["memory"].value = Amount(80 * kGi);
    Device& nic = nics.devices.emplace_back();
    nic.name = absl::StrCat("nic-", i);
    nic.attributes[kRoot] = Text(absl::StrCat("pci", i));
  }
  return {gpus, nics};
}

// 4 GPUs, each of which can be cut in pieces as an H100 can.
std::vector<ResourceSlice> Partitioned(const std::string& node) {
  static const struct {
    const char* profile;
    int slices, processors;
    std::vector<int> first;
  } kProfiles[] = {
      {"1g", 1, 16, {0, 1, 2, 3, 4, 5, 6}}, {"2g", 2, 32, {0, 2, 4}}, {"3g", 4, 60, {0, 4}}, {"7g", 8, 132, {0}}};
  ResourceSlice counters = SliceOf("mig.example.com", node, 2), pieces = counters;
  counters.name += "-counters";
  for (int g = 0; g < 4; ++g) {
    CounterSet& set = counters.shared_counters.emplace_back();
    set.name = absl::StrCat("gpu-", g);
    set.counters = {{"processors", Amount(132)}, {"memory", Amount(80 * kGi)}};
    for (int i = 0; i < 8; ++i) set.counters[absl::StrCat("memory-slice-", i)] = Amount(1);
    for (const auto& profile : kProfiles) {
      for (const int first : profile.first) {
        Device& piece = pieces.devices.emplace_back();
        piece.name = absl::StrCat("gpu-", g, "-", profile.profile, "-", first);
        piece.attributes["profile"] = Text(profile.profile);
        piece.capacity["memory"].value = Amount(10 * kGi * profile.slices);
        CounterConsumption& takes = piece.consumes_counters.emplace_back();
        takes.counter_set = set.name;
        takes.counters = {{"processors", Amount(profile.processors)}, {"memory", Amount(10 * kGi * profile.slices)}};
        for (int i = first; i < first + profile.slices; ++i)
          takes.counters[absl::StrCat("memory-slice-", i)] = Amount(1);
      }
    }
  }
  return {counters, pieces};
}

// 4 GPUs of 80 GiB whose memory is shared.
std::vector<ResourceSlice> Shared(const std::string& node) {
  ResourceSlice gpus = SliceOf("shared.example.com", node);
  for (int i = 0; i < 4; ++i) {
    Device& gpu = gpus.devices.emplace_back();
    gpu.name = absl::StrCat("gpu-", i);
    gpu.allow_multiple_allocations = true;
    gpu.capacity["memory"].value = Amount(80 * kGi);
  }
  return {gpus};
}

// --- Pods -----------------------------------------------------------------------------------------

struct Ask {
  double share;  // of the arrivals
  double size;   // GPUs
  std::vector<DeviceRequest> requests;
  std::string match = "";  // attribute
};

DeviceRequest Want(const std::string& device_class, int64_t count = 1) {
  DeviceRequest request;
  request.name = device_class;
  request.device_class = device_class;
  request.allocation_mode = "ExactCount";
  request.count = count;
  return request;
}
DeviceRequest Piece(const std::string& profile) {
  DeviceRequest request = Want("mig");
  request.selectors = {absl::StrCat("device.attributes['mig.example.com'].profile == '", profile, "'")};
  return request;
}
DeviceRequest Part(int64_t gi) {
  DeviceRequest request = Want("shared");
  request.capacity.emplace()["memory"] = Amount(gi * kGi);
  return request;
}

// Nodes of a kind, and who asks for their devices.
struct Stream {
  std::string name;
  std::vector<ResourceSlice> (*slices)(const std::string& node);
  size_t nodes;
  double gpus;  // a node
  std::vector<Ask> asks;
};

std::vector<Stream> Streams() {
  return {{"whole",
           Box,
           16,
           8,
           {{.30, 1, {Want("gpu")}},
            {.20, 0, {Want("nic")}},
            {.25, 1, {Want("gpu"), Want("nic")}, kRoot},
            {.10, 2, {Want("gpu", 2)}},
            {.10, 4, {Want("gpu", 4)}, kLink},
            {.05, 8, {Want("gpu", 8)}}}},
          {"partitioned",
           Partitioned,
           16,
           4,
           {{.45, 1 / 7., {Piece("1g")}},
            {.25, 2 / 7., {Piece("2g")}},
            {.15, 4 / 7., {Piece("3g")}},
            {.15, 1, {Piece("7g")}}}},
          {"shared",
           Shared,
           16,
           4,
           {{.40, .125, {Part(10)}}, {.30, .25, {Part(20)}}, {.15, .5, {Part(40)}}, {.15, 1, {Part(80)}}}}};
}

struct RequestMix {
  std::string name;
  double load;  // GPUs asked for of those that there are, if all were placed
  std::vector<Stream> streams;
};

std::vector<RequestMix> Mixes() {
  std::vector<RequestMix> mixes;
  for (const double load : {.8, 1.1}) {
    std::vector<Stream> all = Streams();
    for (const Stream& stream : all) mixes.push_back({stream.name, load, {stream}});
    mixes.push_back({"all", load, std::move(all)});
  }
  return mixes;
}

struct Arrival {
  Duration at, runs;
  const Ask* ask;
};

// By time: each stream's by a Poisson process.
std::vector<Arrival> Draw(const RequestMix& mix, uint64_t seed, double count) {
  std::vector<Arrival> arrivals;
  double hours_rate = 0;
  std::vector<double> rates;
  for (const Stream& stream : mix.streams) {
    double size = 0;
    for (const Ask& ask : stream.asks) size += ask.share * ask.size;
    rates.push_back(mix.load * static_cast<double>(stream.nodes) * stream.gpus / (size * kMeanSeconds));
    hours_rate += rates.back();
  }
  Random random(seed);
  const auto exponential = [&](double mean) { return -mean * std::log(1 - random.Unit()); };
  for (size_t s = 0; s < mix.streams.size(); ++s) {
    for (double at = exponential(1 / rates[s]); at < count / hours_rate; at += exponential(1 / rates[s])) {
      double draw = random.Unit();
      const std::vector<Ask>& asks = mix.streams[s].asks;
      size_t i = 0;
      while (i + 1 < asks.size() && (draw -= asks[i].share) >= 0) ++i;
      arrivals.push_back({absl::Seconds(at), absl::Seconds(std::max(1.0, exponential(kMeanSeconds))), &asks[i]});
    }
  }
  std::stable_sort(arrivals.begin(), arrivals.end(), [](const auto& a, const auto& b) { return a.at < b.at; });
  return arrivals;
}

struct Outcome {
  size_t placed = 0;
  double gpu_hours = 0;  // of those placed
};

class Placed final : public SimApiServer::Observer {
 public:
  explicit Placed(const std::vector<Arrival>& arrivals) : arrivals_(arrivals) {}
  void OnPod(const PodPtr& before, const PodPtr& after) override {
    if (before == nullptr || after == nullptr || !before->node.empty() || after->node.empty()) return;
    const Arrival& arrival = arrivals_[static_cast<size_t>(std::stoul(after->name.substr(4)))];
    ++outcome.placed;
    outcome.gpu_hours += arrival.ask->size * absl::ToDoubleHours(arrival.runs);
  }
  void OnNode(const NodePtr&, const NodePtr&) override {}
  Outcome outcome;

 private:
  const std::vector<Arrival>& arrivals_;
};

absl::Status MakeNodes(const RequestMix& mix, SimApiServer& server) {
  absl::Status status;
  for (const char* driver : {"gpu", "nic", "mig", "shared"}) {
    DeviceClass made;
    made.name = driver;
    made.selectors = {absl::StrCat("device.driver == '", driver, ".example.com'")};
    server.SetObject(Kind::kDeviceClass, made);
  }
  for (const Stream& stream : mix.streams) {
    for (size_t n = 0; n < stream.nodes; ++n) {
      Node node;
      node.name = absl::StrFormat("%s-%03d", stream.name, n);
      node.allocatable = {{"cpu", 128'000}, {"memory", int64_t{1} << 40}, {"pods", 250}};
      status.Update(server.CreateNode(node));
      for (const ResourceSlice& slice : stream.slices(node.name)) server.SetObject(Kind::kResourceSlice, slice);
    }
  }
  return status;
}

// A pod with a claim of its own, as the controller makes it.
absl::Status Arrive(const Arrival& arrival, size_t number, const std::shared_ptr<const PodSpec>& spec, Kubelet& kubelet,
                    SimApiServer& server) {
  Pod pod;
  pod.name = absl::StrFormat("pod-%06d", number);
  pod.uid = absl::StrCat("uid-", pod.name);
  pod.spec = spec;
  ResourceClaim claim;
  claim.ns = spec->ns;
  claim.name = absl::StrCat(pod.name, "-devices");
  claim.controller_uid = pod.uid;
  claim.pod_claim_name = "devices";
  claim.requests = arrival.ask->requests;
  if (!arrival.ask->match.empty()) claim.constraints.push_back({{}, arrival.ask->match, ""});
  pod.claims.push_back({claim.pod_claim_name, "template", claim.name, true});
  server.SetObject(Kind::kResourceClaim, claim);
  kubelet.RunsFor(pod.ns(), pod.name, arrival.runs);
  return server.CreatePod(std::move(pod));
}

absl::StatusOr<Outcome> Play(const RequestMix& mix, const std::vector<Arrival>& arrivals, const Configuration& config,
                             const Registry& registry, uint64_t seed) {
  SimEventLoop loop;
  SimApiServer::Options server_options;
  server_options.keep_events = false;
  SimApiServer server(loop, server_options);
  Kubelet kubelet(loop, server);
  ClaimController claims(loop, server);
  DecisionLog log;
  SchedulerOptions options;
  options.seed = seed;
  auto scheduler = Scheduler::Create(config, registry, options, loop, server, log, nullptr);
  if (!scheduler.ok()) return scheduler.status();
  absl::Status status = MakeNodes(mix, server);
  (*scheduler)->Start();
  loop.Run([&] { return (*scheduler)->synced(); });
  Placed placed(arrivals);
  server.AddObserver(&placed);
  PodSpec made;
  made.scheduler_name = "muster";
  made.ns = "bench";
  made.amounts.requests = {{"cpu", 100}};
  made.amounts.usage = made.amounts.scored = made.amounts.requests;
  made.amounts.non_zero_cpu = 100;
  made.amounts.non_zero_memory = 200 << 20;
  const auto spec = std::make_shared<const PodSpec>(std::move(made));
  const Time start = loop.Now();
  for (size_t i = 0; i < arrivals.size(); ++i) {
    loop.At(start + arrivals[i].at, [&, i] { status.Update(Arrive(arrivals[i], i, spec, kubelet, server)); });
    loop.At(start + arrivals[i].at + kPatience, [&, i] {
      const PodPtr pod = server.FindPod(spec->ns, absl::StrFormat("pod-%06d", i));
      if (pod != nullptr && pod->node.empty()) (void)server.DeletePodNow(spec->ns, pod->name, pod->uid);
    });
  }
  const Time end = start + arrivals.back().at + kPatience + absl::Seconds(1);
  loop.Run([&] { return loop.Now() > end; });
  server.RemoveObserver(&placed);
  if (!status.ok()) return status;
  return placed.outcome;
}

struct Row {
  double arrivals = 0, first = 0, scored = 0;           // pods, means over seeds
  double asked = 0, first_hours = 0, scored_hours = 0;  // GPU hours, likewise
  double worst = 1e9;                                   // scored less first fit, in the seed where that is least
  size_t fewer = 0;                                     // seeds in which scoring placed fewer
};

absl::StatusOr<Row> Measure(const RequestMix& mix, const DeviceMixFlags& flags, const Configuration& config,
                            const Registry& registry) {
  Row row;
  const auto seeds = static_cast<double>(flags.seeds);
  for (uint64_t seed = flags.seed; seed < flags.seed + flags.seeds; ++seed) {
    const std::vector<Arrival> arrivals = Draw(mix, seed, kArrivals * static_cast<double>(flags.effort) / 100);
    Outcome outcomes[2];
    for (const bool scored : {false, true}) {
      Configuration with = config;
      for (ProfileConfig& profile : with.profiles) {
        auto& args = std::get<DynamicResourcesArgs>(profile.args.at("DynamicResources"));
        args.first_fit = !scored;
        args.groups = {kRoot, kLink};
      }
      auto outcome = Play(mix, arrivals, with, registry, seed);
      if (!outcome.ok()) return outcome.status();
      outcomes[scored ? 1 : 0] = *outcome;
    }
    for (const Arrival& arrival : arrivals) row.asked += arrival.ask->size * absl::ToDoubleHours(arrival.runs) / seeds;
    row.arrivals += static_cast<double>(arrivals.size()) / seeds;
    row.first += static_cast<double>(outcomes[0].placed) / seeds;
    row.scored += static_cast<double>(outcomes[1].placed) / seeds;
    row.first_hours += outcomes[0].gpu_hours / seeds;
    row.scored_hours += outcomes[1].gpu_hours / seeds;
    const double more = static_cast<double>(outcomes[1].placed) - static_cast<double>(outcomes[0].placed);
    row.worst = std::min(row.worst, more);
    row.fewer += more < 0 ? 1 : 0;
  }
  return row;
}

}  // namespace

int MeasureDeviceMixes(const DeviceMixFlags& flags) {
  const Registry registry = AllPlugins();
  const auto config = ConfigurationOf(flags.config, registry);
  if (!config.ok()) {
    std::cerr << config.status().message() << "\n";
    return kExitBadInput;
  }
  const bool table = flags.output == "table";
  if (table) {
    std::cout << absl::StreamFormat(
        "Pods that come, wait for a minute at most and run for half an hour in the mean; means of %d seeds from %d.\n"
        "%-16s %5s %9s %9s %9s %7s %7s %7s %9s %9s\n",
        flags.seeds, flags.seed, "", "load", "arrivals", "first fit", "scored", "more", "worst", "fewer", "hours, ff",
        "scored");
  }
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  bool none_fewer = true;
  for (const RequestMix& mix : Mixes()) {
    if (mix.name.find(flags.only) == std::string::npos) continue;
    const auto row = Measure(mix, flags, *config, registry);
    if (!row.ok()) {
      std::cerr << mix.name << ": " << row.status().message() << "\n";
      return kExitFailed;
    }
    none_fewer = none_fewer && row->scored >= row->first;
    if (table) {
      std::cout << absl::StreamFormat("%-16s %5.2f %9.1f %9.1f %9.1f %6.2f%% %7.0f %7d %8.1f%% %8.1f%%", mix.name,
                                      mix.load, row->arrivals, row->first, row->scored,
                                      100 * (row->scored / row->first - 1), row->worst, row->fewer,
                                      100 * row->first_hours / row->asked, 100 * row->scored_hours / row->asked)
                << std::endl;
    }
    rows.push_back({{"name", mix.name},
                    {"load", mix.load},
                    {"arrivals", row->arrivals},
                    {"firstFit", row->first},
                    {"scored", row->scored},
                    {"worstDifference", row->worst},
                    {"seedsWithFewer", row->fewer},
                    {"gpuHours", row->asked},
                    {"gpuHoursFirstFit", row->first_hours},
                    {"gpuHoursScored", row->scored_hours}});
  }
  if (!table) std::cout << nlohmann::ordered_json{{"rows", rows}}.dump() << "\n";
  return none_fewer ? kExitOk : kExitFailed;
}

}  // namespace muster
