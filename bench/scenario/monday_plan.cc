#include "bench/scenario/monday_plan.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/gpu_cluster.h"
#include "scheduler/runtime/random.h"

namespace muster {
namespace {

constexpr char kTeamLabel[] = "example.com/team";
constexpr int64_t kCore = 1000;
constexpr size_t kResearch = 20, kProduct = 15, kAssistants = 15;
constexpr size_t kBusy = 10;     // of research: run more than their own from the start
constexpr size_t kRollouts = 6;  // of those: gangs without GPUs too
constexpr int64_t kCoresAGpu = 8;
constexpr Duration kLaneRuntime = absl::Minutes(5), kAgentRuntime = absl::Minutes(15), kRefill = absl::Minutes(1);
constexpr int64_t kBucket = 64 * kCore;
// For every team alike, for inference and for agents of teams that are not hungry.
constexpr double kReplicas = 200, kReplicaLife = 600, kGpuReplicas = 10, kGpuReplicaLife = 1200;
constexpr double kAgentLife = 240, kLaneLife = 60;

class Planner {
 public:
  explicit Planner(const MondayOptions& options) : options_(options) {}

  MondayPlan Make() && {
    MakeNodes();
    plan_.parents = {{"research", 3}, {"product", 2}, {"assistants", 2}};
    for (size_t i = 0; i < kResearch; ++i) AddTeam(0, i);
    for (size_t i = 0; i < kProduct; ++i) AddTeam(1, i);
    for (size_t i = 0; i < kAssistants; ++i) AddTeam(2, i);
    for (size_t t = 0; t < plan_.teams.size(); ++t) {
      const size_t parent = plan_.teams[t].parent, i = index_[t];
      if (parent == 0) Gangs(t, i);
      if (parent == 1) Inference(t);
      Agents(t);
    }
    std::stable_sort(plan_.arrivals.begin(), plan_.arrivals.end(),
                     [](const MondayArrival& a, const MondayArrival& b) { return a.at < b.at; });
    return std::move(plan_);
  }

 private:
  int64_t Scaled(int64_t amount) const {
    return static_cast<int64_t>(std::llround(static_cast<double>(amount) * options_.scale));
  }
  // A source of its own for every team and kind of work, so that changing one changes no other.
  Random Source(size_t team, uint64_t what) const { return Random(Mix(options_.seed, Mix(team, what))); }
  static double Exponential(Random& random, double mean) { return -mean * std::log(1 - random.Unit()); }

  void MakeNodes() {
    static constexpr struct {
      Pool pool;
      int64_t count, cores, gib;
    } kKinds[] = {{Pool::kGeneral, 1600, 32, 128}, {Pool::kH100, 200, 96, 1024}, {Pool::kA100, 200, 96, 1024}};
    for (const auto& kind : kKinds) {
      for (int64_t i = 0; i < std::max<int64_t>(1, Scaled(kind.count)); ++i) {
        Node& node = plan_.nodes.emplace_back();
        node.name = absl::StrFormat("%s-%04d", PoolName(kind.pool), i);
        node.labels = {{kHostLabel, node.name}, {kPoolLabel, PoolName(kind.pool)}};
        node.allocatable = {{"cpu", kind.cores * kCore}, {"memory", kind.gib << 30}};
        if (kind.pool != Pool::kGeneral) node.allocatable.push_back({kGpu, kGpusANode});
        node.allocatable.push_back({"pods", 110});
      }
    }
  }

  void AddQuota(Queue& queue, Pool pool, int64_t amount, std::optional<int64_t> lending = {}) const {
    const bool general = pool == Pool::kGeneral;
    const int64_t nominal = Scaled(general ? amount * kCore : amount);
    if (lending.has_value()) lending = std::min(nominal, Scaled(general ? *lending * kCore : *lending));
    queue.resources.push_back({general ? "cpu" : kGpu, PoolName(pool), nominal, {}, lending});
    if (general) return;
    std::optional<int64_t> lent_cores;
    if (lending.has_value()) lent_cores = *lending * kCoresAGpu * kCore;
    queue.resources.push_back({"cpu", PoolName(pool), nominal * kCoresAGpu * kCore, {}, lent_cores});
  }

  void AddTeam(size_t parent, size_t i) {
    MondayTeam& team = plan_.teams.emplace_back();
    index_.push_back(i);
    team.parent = parent;
    team.name = absl::StrFormat("%s-%02d", plan_.parents[parent].name, i);
    team.hungry = (parent == 0 && i + 4 >= kResearch) || (parent == 2 && i < 8);
    Queue& queue = team.queue;
    queue.name = team.name;
    queue.parent = plan_.parents[parent].name;
    queue.weight = static_cast<int32_t>(1 + i % 4);
    queue.namespace_selector = {true, {{kTeamLabel, Operator::kIn, {team.name}, "In"}}};
    queue.burst = QueueBurst{kLaneRuntime, {{"cpu", std::max(4 * kCore, Scaled(kBucket))}}, kRefill};
    queue.preemption.min_runtime = absl::Minutes(5);
    if (parent == 0) {
      AddQuota(queue, Pool::kGeneral, 800);
      AddQuota(queue, Pool::kH100, 80, i >= kBusy && i < kBusy + 2 ? std::optional<int64_t>(40) : std::nullopt);
      AddQuota(queue, Pool::kA100, 64);
      queue.order = Queue::Order::kBackfill;
      queue.preemption.min_runtime = absl::Minutes(10);
      queue.preemption.evictions_per_hour = std::max<int64_t>(8, Scaled(40));
    } else if (parent == 1) {
      AddQuota(queue, Pool::kGeneral, 1000, 250);  // its inference and agents together need some 570 cores
      AddQuota(queue, Pool::kA100, 20, 0);
      queue.resources[0].borrowing_limit = Scaled(500 * kCore);
    } else {
      AddQuota(queue, Pool::kGeneral, 1130);
      if (i == 7) queue.resources[0].borrowing_limit = Scaled(200 * kCore);
    }
  }

  MondayArrival& Add(Duration at, size_t team, Work work) {
    MondayArrival& arrival = plan_.arrivals.emplace_back();
    arrival.at = at;
    arrival.team = team;
    arrival.work = work;
    arrival.name = absl::StrFormat("%s-%06d", WorkName(work), plan_.arrivals.size());
    return arrival;
  }

  // `gpus` 0: eight pods of four cores.
  void Gang(Random& random, Duration at, size_t team, Pool pool, size_t pods) {
    MondayArrival& gang = Add(at, team, Work::kTraining);
    gang.pool = pool;
    gang.pods = pods;
    gang.gpus = pool == Pool::kGeneral ? 0 : kGpusANode;
    gang.cpu = pool == Pool::kGeneral ? 4 * kCore : gang.gpus * kCoresAGpu * kCore;
    gang.runs = absl::Minutes(45 + 195 * random.Unit());
  }

  void Gangs(size_t team, size_t i) {
    Random random = Source(team, 1);
    for (const Pool pool : {Pool::kH100, Pool::kA100}) {
      const int64_t nominal = QuotaOf(plan_.teams[team].queue, pool)->nominal_quota;
      // The busy ones ask for 2.4 times what is theirs, in gangs of 2, 4 or 8 pods; the others for theirs.
      double gpus = static_cast<double>(nominal) * (i < kBusy ? 2.4 : 1);
      while (gpus >= 2 * kGpusANode) {
        size_t pods = i < kBusy ? size_t{2} << random.Below(3) : 2;
        while (static_cast<double>(pods) * kGpusANode > gpus) pods /= 2;
        Gang(random, i < kBusy ? Duration() : absl::Minutes(15 + 10 * random.Unit()), team, pool, pods);
        gpus -= static_cast<double>(pods) * kGpusANode;
      }
    }
    if (i >= kRollouts) return;
    const int64_t cores = Scaled(1600);
    for (int64_t used = 0; used + 32 <= cores; used += 32) Gang(random, {}, team, Pool::kGeneral, 8);
  }

  void Inference(size_t team) {
    const auto serve = [&](Random& random, Duration at, Pool pool, double life) {
      MondayArrival& one = Add(at, team, Work::kInference);
      one.pool = pool;
      one.gpus = pool == Pool::kGeneral ? 0 : 1;
      one.cpu = pool == Pool::kGeneral ? 2 * kCore : kCoresAGpu * kCore;
      one.runs = absl::Seconds(std::max(30.0, Exponential(random, life)));
    };
    static constexpr struct {
      Pool pool;
      double replicas, life;
    } kKinds[] = {{Pool::kGeneral, kReplicas, kReplicaLife}, {Pool::kA100, kGpuReplicas, kGpuReplicaLife}};
    for (const auto& kind : kKinds) {
      Random random = Source(team, 10 + static_cast<uint64_t>(kind.pool));
      const double replicas = kind.replicas * options_.scale;
      for (double n = 0; n < std::floor(replicas); ++n) serve(random, {}, kind.pool, kind.life);
      const double every = kind.life / replicas;
      for (double at = Exponential(random, every); at < absl::ToDoubleSeconds(kMondayEnd);
           at += Exponential(random, every))
        serve(random, absl::Seconds(at), kind.pool, kind.life);
    }
  }

  // Poisson arrivals, `rate` a second in the burst and a tenth of it otherwise.
  template <typename Arrive>
  static void InBurst(Random& random, double rate, Arrive arrive) {
    // Thinned: drawn at the burst's rate all the time, nine of ten are left out of the rest.
    for (double at = Exponential(random, 1 / rate); at < absl::ToDoubleSeconds(kMondayEnd);
         at += Exponential(random, 1 / rate)) {
      const Duration when = absl::Seconds(at);
      if ((when >= kBurstBegin && when < kBurstEnd) || random.Unit() < 0.1) arrive(when);
    }
  }

  void Agents(size_t t) {
    const MondayTeam& team = plan_.teams[t];
    const double weight = team.queue.weight;
    double cores = team.parent == 2 ? 400 : 150;
    if (team.hungry) cores = 1.5 * (static_cast<double>(team.parent == 2 ? 1130 : 800) + 450 * weight);
    Random random = Source(t, 20);
    InBurst(random, options_.scale * cores / 4 / kAgentLife, [&](Duration at) {
      MondayArrival& agent = Add(at, t, Work::kAgent);
      agent.cpu = 4 * kCore;
      agent.runs = std::clamp(absl::Seconds(Exponential(random, kAgentLife)), absl::Seconds(20),
                              kAgentRuntime - absl::Seconds(30));
    });
    // Short ones come in sessions of one to fifteen at once. Tokens: each takes its core from the bucket where the
    // bucket has it; a pod counts as one of those for which tokens lasted only where no earlier one is owed any.
    Random short_ones = Source(t, 21);
    const double bucket = static_cast<double>(team.queue.burst->resources[0].value);
    const double a_second = bucket / absl::ToDoubleSeconds(kRefill);
    double tokens = bucket, then = 0;
    InBurst(short_ones, options_.scale * (team.hungry ? 0.9 : 0.3) / 8, [&](Duration at) {
      const double now = absl::ToDoubleSeconds(at);
      tokens = std::min(bucket, tokens + (now - then) * a_second);
      then = now;
      for (uint64_t n = 1 + short_ones.Below(15); n > 0; --n) {
        tokens -= kCore;
        MondayArrival& agent = Add(at, t, tokens >= 0 ? Work::kLane : Work::kLaneSpent);
        agent.cpu = kCore;
        agent.runs = std::clamp(absl::Seconds(Exponential(short_ones, kLaneLife)), absl::Seconds(5),
                                kLaneRuntime - absl::Seconds(10));
      }
    });
  }

  const MondayOptions& options_;
  MondayPlan plan_;
  std::vector<size_t> index_;  // by team: in its parent
};

int32_t PriorityOf(Work work) {
  switch (work) {
    case Work::kInference: return 1000;
    case Work::kTraining: return 100;
    default: return 0;
  }
}

}  // namespace

const char* WorkName(Work work) {
  static constexpr const char* kNames[] = {"inference", "training", "lane", "lane-spent", "agent"};
  return kNames[static_cast<size_t>(work)];
}

const char* PoolName(Pool pool) {
  static constexpr const char* kNames[] = {"general", "h100", "a100"};
  return kNames[static_cast<size_t>(pool)];
}

MondayPlan PlanMonday(const MondayOptions& options) { return Planner(options).Make(); }

std::vector<Queue> MondayPlan::Queues() const {
  std::vector<Queue> queues(1);
  queues[0].name = "company";
  for (const MondayParent& parent : parents) {
    Queue& queue = queues.emplace_back();
    queue.name = parent.name;
    queue.parent = "company";
    queue.weight = parent.weight;
  }
  for (const MondayTeam& team : teams) queues.push_back(team.queue);
  return queues;
}

std::vector<ResourceFlavor> MondayPlan::Flavors() const {
  std::vector<ResourceFlavor> flavors(kPools);
  for (size_t p = 0; p < kPools; ++p) {
    flavors[p].name = PoolName(static_cast<Pool>(p));
    flavors[p].node_labels = {{kPoolLabel, flavors[p].name}};
  }
  return flavors;
}

std::vector<Pod> PodsOf(const MondayArrival& arrival, const MondayTeam& team) {
  PodSpec spec;
  spec.scheduler_name = "muster";
  spec.ns = team.name;
  spec.labels = {{kWorkLabel, WorkName(arrival.work)}, {kTeamLabel, team.name}};
  spec.priority = PriorityOf(arrival.work);
  spec.node_selector = {{kPoolLabel, PoolName(arrival.pool)}};
  spec.amounts.requests = {{"cpu", arrival.cpu}, {"memory", arrival.cpu * (int64_t{2} << 20)}};
  if (arrival.gpus > 0) spec.amounts.requests.push_back({kGpu, arrival.gpus});
  spec.amounts.usage = spec.amounts.scored = spec.amounts.requests;
  spec.amounts.non_zero_cpu = arrival.cpu;
  spec.amounts.non_zero_memory = spec.amounts.requests[1].value;
  spec.images = {absl::StrCat("registry/", WorkName(arrival.work), ":latest")};
  spec.image_count = 1;
  const auto shared = std::make_shared<const PodSpec>(std::move(spec));
  std::vector<Pod> pods(arrival.pods);
  for (size_t i = 0; i < pods.size(); ++i) {
    pods[i].name = arrival.pods == 1 ? arrival.name : absl::StrFormat("%s-%02d", arrival.name, i);
    pods[i].spec = shared;
    if (arrival.work == Work::kLane || arrival.work == Work::kLaneSpent) pods[i].max_runtime = kLaneRuntime;
    if (arrival.work == Work::kAgent) pods[i].max_runtime = kAgentRuntime;
    if (arrival.pods == 1) continue;
    pods[i].group = {GroupRef::Source::kNative, arrival.name, 0};
    pods[i].rank = static_cast<int32_t>(i);
  }
  return pods;
}

PodGroup GroupOf(const MondayArrival& arrival, const MondayTeam& team) {
  PodGroup group;
  group.ns = team.name;
  group.name = arrival.name;
  group.api_version = "scheduling.k8s.io/v1beta1";
  group.min_count = static_cast<int32_t>(arrival.pods);
  group.priority = PriorityOf(arrival.work);
  group.disrupted_whole = true;
  return group;
}

const QueueResource* QuotaOf(const Queue& queue, Pool pool) {
  const char* name = pool == Pool::kGeneral ? "cpu" : kGpu;
  for (const QueueResource& resource : queue.resources) {
    if (resource.name == name && resource.flavor == PoolName(pool)) return &resource;
  }
  return nullptr;
}

}  // namespace muster
