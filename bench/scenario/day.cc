#include "bench/scenario/day.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_format.h"
#include "scheduler/engine/scheduler.h"
#include "scheduler/runtime/decision_log.h"
#include "scheduler/sim/kubelet.h"
#include "scheduler/sim/sim_api_server.h"
#include "scheduler/sim/sim_event_loop.h"

namespace muster {
namespace {

using Mode = TopologyRequest::Mode;

constexpr int64_t kMostGpus = 256, kMostInRack = 64;

template <typename T>
struct Share {
  double share;
  T value;
};

template <typename T, size_t N>
T Draw(Random& random, const Share<T> (&shares)[N]) {
  double draw = random.Unit();
  for (const Share<T>& one : shares) {
    if ((draw -= one.share) < 0) return one.value;
  }
  return shares[N - 1].value;
}

DayGang DrawGang(Random& random, size_t number) {
  static constexpr Share<size_t> kPods[] = {{.20, 1}, {.15, 2}, {.20, 4}, {.20, 8}, {.12, 16}, {.08, 32}, {.05, 64}};
  static constexpr Share<int64_t> kGpus[] = {{.40, 1}, {.20, 2}, {.15, 4}, {.25, 8}};
  static constexpr Share<Mode> kModes[] = {{.50, Mode::kNone}, {.25, Mode::kRequired}, {.25, Mode::kPreferred}};
  DayGang gang;
  gang.name = absl::StrFormat("gang-%05d", number);
  gang.pods = Draw(random, kPods);
  gang.gpus = Draw(random, kGpus);
  while (static_cast<int64_t>(gang.pods) * gang.gpus > kMostGpus) gang.gpus /= 2;
  gang.topology.mode = Draw(random, kModes);
  const bool wide = static_cast<int64_t>(gang.pods) * gang.gpus > kMostInRack;
  if (gang.topology.mode == Mode::kPreferred) gang.topology.level = kRackLabel;
  if (gang.topology.mode == Mode::kRequired) gang.topology.level = wide ? kBlockLabel : kRackLabel;
  // Exponential about half an hour, from two minutes to four hours.
  gang.duration = absl::Seconds(std::clamp(-1800 * std::log(1 - random.Unit()), 120.0, 14'400.0));
  return gang;
}

// Notes when and where the pods of gangs are bound, and when they are gone.
class Notes final : public SimApiServer::Observer {
 public:
  Notes(EventLoop& loop, Time start, const std::vector<DayGang>& gangs)
      : loop_(loop), start_(start), outcomes_(gangs.size()) {
    for (size_t g = 0; g < gangs.size(); ++g) {
      index_[gangs[g].name] = g;
      left_.push_back(gangs[g].pods);
      running_ += gangs[g].pods;
      outcomes_[g].nodes.resize(gangs[g].pods);
    }
  }

  void OnPod(const PodPtr& before, const PodPtr& after) override {
    if (before == nullptr || after == nullptr) return;
    const size_t g = index_.at(after->group.name);
    if (before->node.empty() && !after->node.empty()) {
      outcomes_[g].nodes[static_cast<size_t>(after->rank)] = after->node;
      if (--left_[g] == 0) outcomes_[g].started = loop_.Now() - start_;
    }
    if (!before->ended && after->ended) --running_;
  }
  void OnNode(const NodePtr&, const NodePtr&) override {}
  bool over() const { return running_ == 0; }
  std::vector<DayOutcome> Take() { return std::move(outcomes_); }

 private:
  EventLoop& loop_;
  const Time start_;
  absl::flat_hash_map<std::string, size_t> index_;
  std::vector<size_t> left_;  // by gang: pods without node
  size_t running_ = 0;        // pods that have not ended
  std::vector<DayOutcome> outcomes_;
};

}  // namespace

std::vector<DayGang> MakeDay(const DayOptions& options) {
  Random random(options.seed);
  const double room = static_cast<double>(options.cluster.nodes * kGpusANode) * options.hours * 3600 * options.load;
  std::vector<DayGang> gangs;
  double work = 0;
  while (work < room) {
    gangs.push_back(DrawGang(random, gangs.size()));
    const DayGang& gang = gangs.back();
    work += static_cast<double>(gang.pods) * static_cast<double>(gang.gpus) * absl::ToDoubleSeconds(gang.duration);
  }
  // Uniform arrivals in a day are a Poisson process, given their number.
  std::vector<double> arrivals;
  for (size_t i = 0; i < gangs.size(); ++i) arrivals.push_back(random.Unit() * options.hours * 3600);
  std::sort(arrivals.begin(), arrivals.end());
  for (size_t i = 0; i < gangs.size(); ++i) gangs[i].arrival = absl::Seconds(arrivals[i]);
  return gangs;
}

absl::StatusOr<std::vector<DayOutcome>> RunDay(const DayOptions& options, const std::vector<DayGang>& gangs,
                                               const Configuration& config, const Registry& registry) {
  SimEventLoop loop;
  SimApiServer::Options server_options;
  server_options.keep_events = false;
  SimApiServer server(loop, server_options);
  Kubelet kubelet(loop, server);
  DecisionLog log;
  SchedulerOptions scheduler_options;
  scheduler_options.seed = options.seed;
  auto scheduler = Scheduler::Create(config, registry, scheduler_options, loop, server, log, nullptr);
  if (!scheduler.ok()) return scheduler.status();
  (*scheduler)->Start();
  loop.Run([&] { return (*scheduler)->synced(); });

  absl::Status status;
  server.SetObject(Kind::kTopology, GpuTopology());
  for (size_t n = 0; n < options.cluster.nodes; ++n) status.Update(server.CreateNode(GpuNode(options.cluster, n)));
  const Time start = loop.Now();
  Notes notes(loop, start, gangs);
  server.AddObserver(&notes);
  for (const DayGang& gang : gangs) {
    loop.At(start + gang.arrival, [&] {
      server.SetObject(Kind::kPodGroup, GangObject(gang.name, gang.pods, gang.topology));
      for (Pod& pod : GangPods(gang.name, gang.pods, gang.gpus, GangKind::kIndexed, gang.topology)) {
        kubelet.RunsFor(pod.ns(), pod.name, gang.duration);
        status.Update(server.CreatePod(std::move(pod)));
      }
    });
  }
  const Time end = start + absl::Hours(options.hours) + absl::Hours(72);
  loop.Run([&] { return notes.over() || loop.Now() > end; });
  server.RemoveObserver(&notes);
  if (!status.ok()) return status;
  return notes.Take();
}

}  // namespace muster
