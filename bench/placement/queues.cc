#include "bench/placement/queues.h"

#include <algorithm>
#include <deque>
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
#include "queue/fair_share.h"
#include "queue/quota_tree.h"
#include "scheduler/command/arguments.h"
#include "scheduler/engine/scheduler.h"
#include "scheduler/model/queue.h"
#include "scheduler/runtime/decision_log.h"
#include "scheduler/runtime/random.h"
#include "scheduler/sim/kubelet.h"
#include "scheduler/sim/sim_api_server.h"
#include "scheduler/sim/sim_event_loop.h"

namespace muster {
namespace {

// The mix of Kueue's large-scale performance test at 1,000 queues, and what it took there
// (test/performance/scheduler/configs/large-scale/{generator,rangespec}.yaml): without nodes.
constexpr struct {
  uint64_t share;  // hundredths of the groups
  const char* name;
  int64_t cores;
  int32_t priority;
  Duration runs;
} kMix[] = {{70, "small", 1, 50, absl::Milliseconds(150)},
            {22, "medium", 5, 100, absl::Milliseconds(350)},
            {8, "large", 20, 200, absl::Milliseconds(700)}};
constexpr double kKueueSeconds = 1179.4;
constexpr int64_t kNominal = 20, kBorrowing = 100;  // cores of each queue
constexpr int64_t kCores = 96;                      // of a node
constexpr double kChoiceBound = 10e-6, kRatioBound = 20;

// Tree: one root, a hundredth of the queues below it, a tenth below those, all others below these. By queue: its
// parent, by index.
std::vector<size_t> Parents(size_t queues) {
  const size_t upper = std::max<size_t>(1, queues / 110), middle = std::max<size_t>(1, queues / 11);
  std::vector<size_t> parents;
  for (size_t q = 0; q < queues; ++q) {
    if (q <= upper) {
      parents.push_back(0);
    } else if (q <= upper + middle) {
      parents.push_back(1 + q % upper);
    } else {
      parents.push_back(1 + upper + q % middle);
    }
  }
  return parents;
}

// The queues that have groups: those without children.
std::vector<size_t> Leaves(const std::vector<size_t>& parents) {
  std::vector<bool> inner(parents.size());
  for (size_t q = 1; q < parents.size(); ++q) inner[parents[q]] = true;
  std::vector<size_t> leaves;
  for (size_t q = 0; q < parents.size(); ++q) {
    if (!inner[q]) leaves.push_back(q);
  }
  return leaves;
}

struct Pending {
  size_t queue = 0;
  size_t mix = 0;
};

// In the order of arrival: round the queues, what each gets drawn from the mix.
std::vector<Pending> MakePending(const QueueFlags& flags, const std::vector<size_t>& leaves) {
  Random random(flags.seed);
  std::vector<Pending> pending(flags.groups);
  for (size_t g = 0; g < pending.size(); ++g) {
    pending[g].queue = leaves[g % leaves.size()];
    uint64_t draw = random.Below(100);
    while (draw >= kMix[pending[g].mix].share) draw -= kMix[pending[g].mix++].share;
  }
  return pending;
}

struct Row {
  std::string name;
  size_t groups = 0, pods = 0, done = 0;  // of pods
  size_t evicted = 0;                     // pods, which come anew
  uint64_t decisions = 0;
  double wall = 0, cpu = 0, simulated = 0;  // seconds
  double a_group = 0;                       // seconds a group
  double bound_on = 0;                      // what a_group, or wall, may be at most; 0: no bound
  bool met = true;
  uint64_t log_hash = 0;
};

// Choosing alone: takes the next group, charges it, and, where nothing fits, ends those that began first.
std::vector<Row> MeasureChoice(const QueueFlags& flags) {
  const std::vector<size_t> parents = Parents(flags.queues);
  const std::vector<Pending> pending = MakePending(flags, Leaves(parents));
  std::vector<QuotaTree::Queue> queues;
  for (size_t q = 0; q < parents.size(); ++q) {
    queues.push_back(
        {q == 0 ? kNoQueue : static_cast<QueueIndex>(parents[q]), 1, {{0, kNominal, kBorrowing, kUnlimited}}});
  }
  const uint32_t resource[] = {0};
  QuotaTree tree;
  tree.Build(queues, resource);
  FairShare order([](const QueuedGroup& a, const QueuedGroup& b) {
    return a.priority != b.priority ? a.priority > b.priority : a.sequence < b.sequence;
  });
  order.Build(tree, std::vector<Queue::Order>(queues.size(), Queue::Order::kBestEffortFIFO));
  std::vector<std::unique_ptr<QueuedGroup>> groups;
  for (size_t g = 0; g < pending.size(); ++g) {
    auto& group = groups.emplace_back(std::make_unique<QueuedGroup>());
    group->queue = static_cast<QueueIndex>(pending[g].queue);
    group->priority = kMix[pending[g].mix].priority;
    group->sequence = g;
    group->demand = {{0, kMix[pending[g].mix].cores}};
  }

  const auto row = [&](std::string name, double wall, size_t count) {
    Row made;
    made.name = std::move(name);
    made.groups = count;
    made.wall = wall;
    made.a_group = wall / static_cast<double>(std::max<size_t>(1, count));
    return made;
  };
  const double cpu = ThreadCpu();
  const auto begin = Steady::now();
  for (const auto& group : groups) order.Push(group.get());
  const auto pushed = Steady::now();
  const auto charge = [&](const QueuedGroup& group, int64_t sign) {
    tree.Add(group.queue, 0, sign * group.demand[0].amount);
    order.Changed(group.queue);
  };
  std::deque<QueuedGroup*> running;
  size_t chosen = 0, ended = 0;
  double ending = 0;
  while (chosen < groups.size()) {
    if (QueuedGroup* next = order.Top()) {
      order.Remove(next);
      charge(*next, 1);
      running.push_back(next);
      ++chosen;
      continue;
    }
    if (running.empty()) break;
    const auto before = Steady::now();
    const size_t some = std::min<size_t>(running.size(), 100);
    for (size_t i = 0; i < some; ++i, running.pop_front()) charge(*running.front(), -1);
    ending += Seconds(Steady::now() - before);
    ended += some;
  }
  const auto end = Steady::now();
  std::vector<Row> rows = {row("choice: enter the queue", Seconds(pushed - begin), groups.size()),
                           row("choice: take the next, charge it", Seconds(end - pushed) - ending, chosen),
                           row("choice: give back what ended", ending, ended),
                           row("choice: all of it, a group", Seconds(end - begin), chosen)};
  rows.back().cpu = ThreadCpu() - cpu;
  rows.back().bound_on = kChoiceBound;
  rows.back().met = chosen == groups.size() && rows.back().a_group <= kChoiceBound;
  return rows;
}

class Counter final : public SimApiServer::Observer {
 public:
  void OnPod(const PodPtr& before, const PodPtr& after) override {
    if (before == nullptr || after == nullptr) return;
    if (!before->ended && after->ended) ++ended_;
    if (!before->deleting && after->deleting) ++evicted_;
  }
  void OnNode(const NodePtr&, const NodePtr&) override {}
  size_t ended() const { return ended_; }
  size_t evicted() const { return evicted_; }

 private:
  size_t ended_ = 0, evicted_ = 0;
};

std::string QueueName(size_t q) { return absl::StrFormat("queue-%04d", q); }

void MakeQueues(const QueueFlags& flags, const std::vector<size_t>& parents, bool queues, SimApiServer& server) {
  for (size_t q = 0; q < flags.queues; ++q) {
    Namespace ns;
    ns.name = QueueName(q);
    ns.labels = {{"example.com/team", ns.name}};
    server.SetObject(Kind::kNamespace, ns);
    if (!queues) continue;
    Queue queue;
    queue.name = ns.name;
    if (q > 0) queue.parent = QueueName(parents[q]);
    queue.namespace_selector = {true, {{"example.com/team", Operator::kIn, {ns.name}, "In"}}};
    queue.resources = {{"cpu", "", kNominal * 1000, kBorrowing * 1000, {}}};
    server.SetObject(Kind::kQueue, queue);
  }
}

std::shared_ptr<const PodSpec> Spec(const std::string& ns, size_t mix, int64_t cores) {
  PodSpec spec;
  spec.scheduler_name = "muster";
  spec.ns = ns;
  spec.labels = {{"app", kMix[mix].name}};
  spec.priority = kMix[mix].priority;
  spec.amounts.requests = {{"cpu", cores * 1000}, {"memory", cores << 30}};
  spec.amounts.usage = spec.amounts.scored = spec.amounts.requests;
  spec.amounts.non_zero_cpu = cores * 1000;
  spec.amounts.non_zero_memory = cores << 30;
  spec.images = {"registry/work:latest"};
  spec.image_count = 1;
  return std::make_shared<const PodSpec>(std::move(spec));
}

// All of it, in simulated time: groups are placed on nodes by the whole engine, run and end.
absl::StatusOr<Row> MeasurePlacing(const QueueFlags& flags, std::string name, bool gangs, bool queues,
                                   const Configuration& config, const Registry& registry) {
  SimEventLoop loop;
  SimApiServer::Options server_options;
  server_options.keep_events = false;
  server_options.termination = absl::ZeroDuration();  // in Kueue's test nothing runs that would have to stop
  SimApiServer server(loop, server_options);
  Kubelet::Options kubelet_options;
  kubelet_options.start = absl::ZeroDuration();
  Kubelet kubelet(loop, server, kubelet_options);
  DecisionLog log;
  SchedulerOptions options;
  options.seed = flags.seed;
  auto scheduler = Scheduler::Create(config, registry, options, loop, server, log, nullptr);
  if (!scheduler.ok()) return scheduler.status();
  (*scheduler)->Start();
  loop.Run([&] { return (*scheduler)->synced(); });

  const std::vector<size_t> parents = Parents(flags.queues);
  const std::vector<Pending> pending = MakePending(flags, Leaves(parents));
  MakeQueues(flags, parents, queues, server);
  absl::Status status;
  // Twice what the quotas allow: these, not the nodes, are what is short, as in Kueue's test.
  const size_t nodes = std::max<size_t>(2, static_cast<size_t>(2 * kNominal) * flags.queues / kCores);
  for (size_t n = 0; n < nodes; ++n) {
    Node node;
    node.name = absl::StrFormat("node-%05d", n);
    node.labels = {{"kubernetes.io/hostname", node.name}};
    node.allocatable = {{"cpu", kCores * 1000}, {"memory", int64_t{1} << 40}, {"pods", 250}};
    status.Update(server.CreateNode(std::move(node)));
  }
  loop.RunFor(absl::Seconds(1));

  Row row;
  row.name = std::move(name);
  row.groups = pending.size();
  Counter counter;
  server.AddObserver(&counter);
  const Time start = loop.Now();
  const double cpu = ThreadCpu();
  const auto begin = Steady::now();
  for (size_t g = 0; g < pending.size(); ++g) {
    const auto& mix = kMix[pending[g].mix];
    const std::string ns = QueueName(pending[g].queue);
    const size_t pods = gangs ? static_cast<size_t>(mix.cores) : 1;
    const auto spec = Spec(ns, pending[g].mix, gangs ? 1 : mix.cores);
    for (size_t i = 0; i < pods; ++i) {
      Pod pod;
      pod.name = absl::StrFormat("%s-%05d-%02d", mix.name, g, i);
      pod.spec = spec;
      if (pods > 1) pod.group = {GroupRef::Source::kLabels, absl::StrCat("group-", g), static_cast<int32_t>(pods)};
      if (pods > 1) pod.rank = static_cast<int32_t>(i);
      kubelet.RunsFor(ns, pod.name, mix.runs);
      // Of a gang some may have ended already: too few would come anew.
      if (!gangs) kubelet.Replaces(ns, pod.name);
      status.Update(server.CreatePod(std::move(pod)));
    }
    row.pods += pods;
  }
  if (!status.ok()) return status;
  const Time most = start + absl::Hours(1);
  const auto done = [&] { return counter.ended() + (gangs ? counter.evicted() : 0); };
  loop.Run([&] { return done() == row.pods || loop.Now() > most; });
  row.wall = Seconds(Steady::now() - begin);
  row.cpu = ThreadCpu() - cpu;
  row.done = done();
  row.evicted = counter.evicted();
  row.decisions = log.entries();
  row.simulated = absl::ToDoubleSeconds(loop.Now() - start);
  row.a_group = row.wall / static_cast<double>(row.groups);
  row.log_hash = log.Hash();
  if (queues) row.bound_on = kKueueSeconds / kRatioBound;
  row.met = row.done == row.pods && (!queues || row.wall <= row.bound_on);
  server.RemoveObserver(&counter);
  return row;
}

void Print(const Row& row) {
  std::cout << absl::StreamFormat("%-44s %8d %8d %9.3f %9.2f %9.3f %9d %9d %9.2f", row.name, row.groups, row.done,
                                  row.wall, row.a_group * 1e6, row.cpu, row.decisions, row.evicted, row.simulated);
  if (row.pods > 0) std::cout << absl::StreamFormat(" %7.0f", kKueueSeconds / row.wall);
  if (row.bound_on > 0) {
    std::cout << absl::StreamFormat(
        "  %s (bound %s)", row.met ? "met" : "NOT MET",
        row.pods > 0 ? absl::StrFormat("%.1f s", row.bound_on) : absl::StrFormat("%.0f us", row.bound_on * 1e6));
  }
  if (row.done < row.pods) std::cout << absl::StreamFormat("  %d pods not placed", row.pods - row.done);
  std::cout << std::endl;
}

nlohmann::ordered_json Json(const Row& row) {
  return {{"name", row.name},
          {"groups", row.groups},
          {"pods", row.pods},
          {"done", row.done},
          {"evicted", row.evicted},
          {"decisions", row.decisions},
          {"wallSeconds", row.wall},
          {"cpuSeconds", row.cpu},
          {"secondsPerGroup", row.a_group},
          {"simulatedSeconds", row.simulated},
          {"boundSeconds", row.bound_on},
          {"met", row.met},
          {"logHash", absl::StrFormat("%016x", row.log_hash)}};
}

}  // namespace

int MeasureQueues(const QueueFlags& flags) {
  const Registry registry = AllPlugins();
  const auto config = ConfigurationOf(flags.config, registry);
  if (!config.ok()) {
    std::cerr << config.status().message() << "\n";
    return kExitBadInput;
  }
  const bool table = flags.output == "table";
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  bool complete = true;
  const auto show = [&](const Row& row) {
    if (table) Print(row);
    rows.push_back(Json(row));
    complete = complete && row.done == row.pods;
  };
  if (table) {
    std::cout << absl::StreamFormat(
        "%d queues in a tree of depth 4, each with a quota of %d cores and %d more by borrowing; %d groups pending:\n"
        "%d%% of 1 core, %d%% of 5, %d%% of 20, which run 150, 350 and 700 ms. One thread.\n",
        flags.queues, kNominal, kBorrowing, flags.groups, kMix[0].share, kMix[1].share, kMix[2].share);
    std::cout << absl::StreamFormat("%-44s %8s %8s %9s %9s %9s %9s %9s %9s %7s\n", "", "groups", "pods", "wall, s",
                                    "us each", "CPU, s", "decisions", "evicted", "simulated", "x Kueue");
  }
  if (std::string("choice").find(flags.only) != std::string::npos) {
    for (const Row& row : MeasureChoice(flags)) show(row);
  }
  static constexpr struct {
    const char* name;
    bool gangs, queues;
  } kCases[] = {{"simulation: one pod each", false, true},
                {"simulation: one pod each, no queues", false, false},
                {"simulation: gangs of one-core pods", true, true},
                {"simulation: gangs of one-core pods, no queues", true, false}};
  for (const auto& one : kCases) {
    if (std::string(one.name).find(flags.only) == std::string::npos) continue;
    const auto row = MeasurePlacing(flags, one.name, one.gangs, one.queues, *config, registry);
    if (!row.ok()) {
      std::cerr << one.name << ": " << row.status().message() << "\n";
      return kExitFailed;
    }
    show(*row);
  }
  if (!table) std::cout << nlohmann::ordered_json{{"rows", rows}}.dump() << "\n";
  return complete ? kExitOk : kExitFailed;
}

}  // namespace muster
