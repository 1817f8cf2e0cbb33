#include "scheduler/command/simulation.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "scheduler/engine/scheduler.h"
#include "scheduler/model/device/pod_claims.h"
#include "scheduler/sim/controllers/claim_controller.h"
#include "scheduler/sim/controllers/disruption_controller.h"
#include "scheduler/sim/controllers/volume_controller.h"
#include "scheduler/sim/kubelet.h"
#include "scheduler/sim/scenario.h"
#include "scheduler/sim/sim_api_server.h"
#include "scheduler/sim/sim_event_loop.h"

namespace muster {
namespace {

// A run in which no pod was bound, created or ended for so long is going in circles (a pod whose
// every try ends in an error).
constexpr Duration kNoProgress = absl::Minutes(15);

// Watches what the pods take.
class UseMeter final : public SimApiServer::Observer {
 public:
  UseMeter(EventLoop& loop, SimApiServer& server) : loop_(loop), server_(server) { server_.AddObserver(this); }
  ~UseMeter() override { server_.RemoveObserver(this); }
  UseMeter(const UseMeter&) = delete;
  UseMeter& operator=(const UseMeter&) = delete;

  void OnNode(const NodePtr& before, const NodePtr& after) override {
    last_change_ = loop_.Now();
    if (before != nullptr) AddRoom(*before, -1);
    if (after != nullptr) AddRoom(*after, +1);
  }

  void OnPod(const PodPtr& before, const PodPtr& after) override {
    const bool was = Running(before), is = Running(after);
    if (was != is) (is ? Take(*after, +1) : Take(*before, -1));
    if (was != is || before == nullptr || after == nullptr) last_change_ = loop_.Now();
    if (was != is) last_placed_ = loop_.Now();
    if (after == nullptr && before->preempted) preempted_[before->Key()] = before;
  }

  Time last_change() const { return last_change_; }
  Time last_placed() const { return last_placed_; }
  // Pods that are gone because others took their place, by namespace/name.
  const absl::btree_map<std::string, PodPtr>& preempted() const { return preempted_; }

  void Report(SimulationResult& result) const {
    result.uses = Finish(total_);
    for (const auto& [name, node] : nodes_) result.nodes.push_back({name, node.placed, Finish(node.uses)});
  }

 private:
  struct Meter {
    SimulationResult::Use use;
    int64_t now = 0;
  };
  using Meters = absl::btree_map<std::string, Meter>;
  struct NodeMeters {
    size_t placed = 0;
    Meters uses;
  };

  static bool Running(const PodPtr& pod) { return pod != nullptr && !pod->ended && !pod->node.empty(); }

  void AddRoom(const Node& node, int sign) {
    for (const Amount& amount : node.allocatable) {
      total_[amount.resource].use.allocatable += sign * amount.value;
      nodes_[node.name].uses[amount.resource].use.allocatable += sign * amount.value;
    }
  }
  static void Change(Meters& meters, const std::string& resource, int64_t by) {
    Meter& meter = meters[resource];
    meter.now += by;
    meter.use.peak = std::max(meter.use.peak, meter.now);
  }
  void Take(const Pod& pod, int sign) {
    NodeMeters& node = nodes_[pod.node];
    if (sign > 0) ++node.placed;
    for (Meters* meters : {&total_, &node.uses}) {
      Change(*meters, "pods", sign);
      for (const Amount& amount : pod.spec->amounts.usage) Change(*meters, amount.resource, sign * amount.value);
    }
  }
  static SimulationResult::Uses Finish(const Meters& meters) {
    SimulationResult::Uses uses;
    for (const auto& [resource, meter] : meters) {
      if (meter.use.allocatable != 0) uses[resource] = meter.use;
    }
    return uses;
  }

  EventLoop& loop_;
  SimApiServer& server_;
  Meters total_;
  absl::btree_map<std::string, NodeMeters> nodes_;
  absl::btree_map<std::string, PodPtr> preempted_;
  Time last_change_ = loop_.Now(), last_placed_ = last_change_;
};

// The last word on each pod that a decision left pending, by namespace/name.
struct Verdict {
  std::string message;
  std::vector<SimulationResult::Reason> reasons;
};
using LastVerdicts = absl::flat_hash_map<std::string, Verdict>;

void Note(const Decision& decision, LastVerdicts& verdicts) {
  for (const Decision::Member& member : decision.pods) {
    std::string key = absl::StrCat(std::string(member.ns), "/", std::string(member.name));
    if (!member.node.empty()) {
      verdicts.erase(key);
      continue;
    }
    Verdict& verdict = verdicts[std::move(key)];
    verdict.message = decision.message;
    verdict.reasons.clear();
    for (const Decision::Rejection& why : decision.rejections) {
      verdict.reasons.push_back({std::string(why.plugin), std::string(why.reason), static_cast<int32_t>(why.nodes)});
    }
    if (verdict.reasons.empty()) verdict.reasons.push_back({"", verdict.message, 0});
  }
}

// What its queue is said to have it wait for, by pod's namespace/name: in short, and in full.
using Waits = absl::flat_hash_map<std::string, std::pair<std::string, std::string>>;

Waits ReportQueues(Scheduler& scheduler, size_t most, std::vector<QueueView>& views) {
  QueueReport report = scheduler.Report();
  Waits waits;
  const QueueCatalog& catalog = scheduler.ledger().catalog();
  for (size_t i = 0; i < catalog.entries().size(); ++i)
    views.push_back({std::make_shared<Queue>(*catalog.entries()[i].queue), report.StatusOf(i, most)});
  for (QueueIndex q = 0; q < catalog.size(); ++q) {
    for (size_t place = 0; place < report.Waiting(q).size(); ++place) {
      if (!report.Blocked(q, place)) continue;
      const std::pair wait(report.Describe(q, place).waiting_for, report.TextOf(q, place));
      for (const QueuedMember& member : report.Waiting(q)[place]->members) waits[member.pod->Key()] = wait;
    }
  }
  return waits;
}

void Explain(const Pod& pod, const Waits& waits, const LastVerdicts& verdicts, const Configuration& config,
             SimulationResult::Pod& out) {
  if (const auto wait = waits.find(pod.Key()); wait != waits.end()) {
    out.message = wait->second.first;
    out.reasons.push_back({"Quota", wait->second.second, 0});
    return;
  }
  if (const auto verdict = verdicts.find(pod.Key()); verdict != verdicts.end()) {
    out.message = verdict->second.message;
    out.reasons = verdict->second.reasons;
    return;
  }
  const bool ours = std::any_of(config.profiles.begin(), config.profiles.end(), [&](const ProfileConfig& profile) {
    return profile.scheduler_name == pod.spec->scheduler_name;
  });
  std::string plugin;
  if (!ours) {
    out.message = absl::StrCat("left to the scheduler that it names, \"", pod.spec->scheduler_name, "\"");
  } else if (!pod.scheduling_gates.empty()) {
    plugin = "SchedulingGates";
    out.message = absl::StrCat("waiting for scheduling gates: [", absl::StrJoin(pod.scheduling_gates, " "), "]");
  } else {
    out.message = "not tried yet";
  }
  out.reasons.push_back({plugin, out.message, 0});
}

// Of the claims that have an allocation and are the pod's to use.
std::vector<GivenDevice> DevicesOf(const Pod& pod, const ClusterObjects& objects) {
  std::vector<GivenDevice> devices;
  std::vector<ClaimOfPod> claims;
  if (pod.claims.empty() || pod.node.empty() || !FindClaims(pod, objects, &claims).empty()) return devices;
  for (const ClaimOfPod& found : claims) {
    if (!found.claim->allocation || !found.reserved()) continue;
    for (const AllocatedDevice& device : found.claim->allocation->devices)
      devices.push_back({found.claim->name, device.request, device.id});
  }
  return devices;
}

}  // namespace

absl::StatusOr<SimulationResult> Simulate(const Manifests& manifests, const Configuration& config,
                                          const Registry& registry, const SimulationOptions& options) {
  SimEventLoop loop;
  SimApiServer server(loop);
  Kubelet kubelet(loop, server);
  VolumeController volumes(loop, server);
  ClaimController claims(loop, server);
  DisruptionController budgets(loop, server, manifests);
  Scenario scenario(loop, server, kubelet);
  UseMeter meter(loop, server);
  DecisionLog log;
  LastVerdicts verdicts;
  if (options.observer) log.AddObserver(options.observer);
  log.AddObserver([&verdicts](const Decision& decision) { Note(decision, verdicts); });
  SchedulerOptions scheduler_options;
  scheduler_options.threads = options.threads;
  scheduler_options.min_words_a_thread = options.min_words_a_thread;
  scheduler_options.seed = options.seed;
  auto created = Scheduler::Create(config, registry, scheduler_options, loop, server, log, nullptr);
  if (!created.ok()) return created.status();
  Scheduler& scheduler = **created;

  // The scheduler is there before the first object, so that pods are queued in the order of their
  // creation, not in the order of a list.
  scheduler.Start();
  loop.Run([&] { return scheduler.synced(); });
  const Time start = loop.Now();
  if (auto status = scenario.Start(manifests); !status.ok()) return status;
  const Time end = options.until.has_value() ? start + *options.until : absl::InfiniteFuture();

  SimulationResult result;
  const auto settled = [&] {
    if (!server.Idle() || !kubelet.Idle() || !volumes.Idle() || !claims.Idle() || !budgets.Idle() || !scenario.Idle())
      return false;
    return (scheduler.synced() && scheduler.Idle()) || loop.Now() - meter.last_change() > kNoProgress;
  };
  while (!settled()) {
    if (loop.NextTime() > end) {
      result.cut_short = true;
      break;
    }
    if (!loop.Step()) break;
  }

  const Waits waits = ReportQueues(scheduler, options.most_pending, result.queues);
  absl::flat_hash_map<std::string, std::string> workloads;  // by namespace/name of the pod
  for (const ManifestPod& pod : manifests.pods) {
    if (pod.workload.has_value()) workloads[pod.pod->Key()] = manifests.workloads[*pod.workload].name;
    const bool exists = server.FindPod(pod.pod->ns(), pod.pod->name) != nullptr;
    if (!exists && !meter.preempted().contains(pod.pod->Key())) ++result.never_created;
  }
  std::vector<PodPtr> pods = server.Pods();
  for (const auto& [key, pod] : meter.preempted()) {
    if (server.FindPod(pod->ns(), pod->name) == nullptr) pods.push_back(pod);
  }
  std::sort(pods.begin(), pods.end(), [](const PodPtr& a, const PodPtr& b) { return a->Key() < b->Key(); });
  for (const PodPtr& pod : pods) {
    SimulationResult::Pod& out = result.pods.emplace_back();
    out.ns = pod->ns();
    out.name = pod->name;
    out.group = pod->group.name;
    if (const auto it = workloads.find(pod->Key()); it != workloads.end()) out.workload = it->second;
    out.node = pod->node;
    out.ended = pod->ended;
    out.preempted = server.FindPod(pod->ns(), pod->name) == nullptr;
    out.devices = DevicesOf(*pod, server.objects());
    if (!result.queues.empty()) out.queue = scheduler.QueueOf(*pod);
    if (pod->node.empty() && !out.preempted) Explain(*pod, waits, verdicts, config, out);
  }
  meter.Report(result);
  result.makespan = std::max(meter.last_placed() - start, absl::ZeroDuration());
  result.decisions = log.entries();
  result.log_hash = log.Hash();
  result.unseed = scheduler.Unseed();
  return result;
}

}  // namespace muster
