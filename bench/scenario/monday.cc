#include "bench/scenario/monday.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <memory>
#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "scheduler/engine/scheduler.h"
#include "scheduler/runtime/decision_log.h"
#include "scheduler/sim/kubelet.h"
#include "scheduler/sim/sim_api_server.h"
#include "scheduler/sim/sim_event_loop.h"

namespace muster {
namespace {

constexpr Duration kSampled = absl::Seconds(10), kFilled = absl::Minutes(1);
constexpr Duration kStarts = absl::Milliseconds(500), kForgotten = absl::Seconds(5);

bool Running(const PodPtr& pod) { return pod != nullptr && !pod->ended && !pod->node.empty(); }
bool Going(const PodPtr& pod) { return Running(pod) && pod->deleting; }
bool Waiting(const PodPtr& pod) { return pod != nullptr && !pod->ended && pod->node.empty(); }

template <typename Value>
Value At(const std::vector<Value>& sorted, double quantile) {
  return sorted[static_cast<size_t>(std::ceil(quantile * static_cast<double>(sorted.size()))) - 1];
}

// Keeps the books, and does what kubelets and controllers do besides: says that pods have started, and deletes those
// that have ended.
class Books final : public SimApiServer::Observer {
 public:
  Books(EventLoop& loop, SimApiServer& server, const MondayPlan& plan)
      : loop_(loop), server_(server), start_(loop.Now()), now_(plan.teams.size()), evicted_(plan.teams.size()) {
    for (size_t t = 0; t < plan.teams.size(); ++t) teams_[plan.teams[t].name] = t;
    for (size_t w = 0; w < kWorks; ++w) works_[WorkName(static_cast<Work>(w))] = w;
    for (size_t p = 0; p < kPools; ++p) pools_[PoolName(static_cast<Pool>(p))] = p;
    server_.AddObserver(this);
  }
  ~Books() override { server_.RemoveObserver(this); }
  Books(const Books&) = delete;
  Books& operator=(const Books&) = delete;

  void OnPod(const PodPtr& before, const PodPtr& after) override {
    const Pod& pod = after != nullptr ? *after : *before;
    const size_t team = teams_.at(pod.ns());
    MondayUse& now = now_[team];
    now.pending += (Waiting(after) ? 1 : 0) - (Waiting(before) ? 1 : 0);
    if (before == nullptr) ++arrived_;
    if (Running(before) != Running(after)) Count(pod, Running(after) ? 1 : -1, now.used);
    if (Going(before) != Going(after)) Count(pod, Going(after) ? 1 : -1, now.going);
    if (!Running(before) && Running(after)) Bound(pod);
    if (Running(before) && after != nullptr && after->ended) Ended(pod);
    if (Running(before) && !before->deleting && after != nullptr && after->deleting && after->preempted)
      Evicted(pod, team);
  }
  void OnNode(const NodePtr&, const NodePtr&) override {}

  void Sample() { samples_.push_back({loop_.Now() - start_, now_}); }

  void Report(MondayResult& result) {
    for (const PodPtr& pod : server_.Pods()) {
      if (Waiting(pod)) Waited(*pod, true);
    }
    for (size_t w = 0; w < kWorks; ++w) {
      std::vector<Duration>& waits = waits_[w];
      std::sort(waits.begin(), waits.end());
      if (waits.empty()) continue;
      result.waits[w] = {waits.size(), pending_[w], At(waits, 0.5), At(waits, 0.99), waits.back()};
    }
    for (Evictions& team : evicted_) {
      team.told.gangs = team.gangs.size();
      result.evictions.push_back(team.told);
    }
    result.samples = std::move(samples_);
    result.arrived = arrived_;
    result.bound = bound_;
  }

 private:
  struct Evictions {
    MondayEvictions told;
    std::deque<Time> hour;  // of the last 60 minutes
    std::set<std::string> gangs;
  };

  void Count(const Pod& pod, int64_t sign, std::array<int64_t, kPools>& cores_or_gpus) {
    const size_t pool = pools_.at(pod.spec->node_selector.at(kPoolLabel));
    const bool cores = pool == static_cast<size_t>(Pool::kGeneral);
    for (const Amount& amount : pod.spec->amounts.usage) {
      if (amount.resource == (cores ? "cpu" : "nvidia.com/gpu")) cores_or_gpus[pool] += sign * amount.value;
    }
  }
  void Waited(const Pod& pod, bool still) {
    if (pod.created - start_ < kFilled) return;
    const size_t work = works_.at(pod.spec->labels.at(kWorkLabel));
    waits_[work].push_back(loop_.Now() - pod.created);
    if (still) ++pending_[work];
  }
  void Bound(const Pod& pod) {
    ++bound_;
    Waited(pod, false);
    loop_.After(kStarts, [this, ns = pod.ns(), name = pod.name, uid = pod.uid] {
      const PodPtr now = server_.FindPod(ns, name);
      if (now == nullptr || now->uid != uid || now->ended) return;
      server_.UpdatePod(ns, name, [this](Pod& started) { started.started = loop_.Now(); }).IgnoreError();
    });
  }
  void Ended(const Pod& pod) {
    loop_.After(kForgotten,
                [this, ns = pod.ns(), name = pod.name, uid = pod.uid] { (void)server_.DeletePodNow(ns, name, uid); });
  }
  void Evicted(const Pod& pod, size_t team) {
    Evictions& of = evicted_[team];
    ++of.told.pods;
    if (pod.group.present()) {
      ++of.told.of_gangs;
      of.gangs.insert(pod.group.name);
    }
    while (!of.hour.empty() && loop_.Now() - of.hour.front() >= absl::Hours(1)) of.hour.pop_front();
    of.hour.push_back(loop_.Now());
    of.told.most_in_an_hour = std::max(of.told.most_in_an_hour, of.hour.size());
    const bool started = pod.started != absl::InfinitePast();
    of.told.youngest = std::min(of.told.youngest, started ? loop_.Now() - pod.started : Duration());
  }

  EventLoop& loop_;
  SimApiServer& server_;
  const Time start_;
  absl::flat_hash_map<std::string, size_t> teams_, works_, pools_;
  std::vector<MondayUse> now_;  // by team
  std::vector<Evictions> evicted_;
  std::vector<MondaySample> samples_;
  std::array<std::vector<Duration>, kWorks> waits_;
  std::array<size_t, kWorks> pending_ = {};
  size_t arrived_ = 0, bound_ = 0;
};

// Makes the plan's arrivals come true, one timer at a time.
class Arrivals {
 public:
  Arrivals(EventLoop& loop, SimApiServer& server, Kubelet& kubelet, const MondayPlan& plan)
      : loop_(loop), server_(server), kubelet_(kubelet), plan_(plan), start_(loop.Now()) {}

  void Next() {
    while (next_ < plan_.arrivals.size() && start_ + plan_.arrivals[next_].at <= loop_.Now())
      Arrive(plan_.arrivals[next_++]);
    if (next_ == plan_.arrivals.size()) return;
    loop_.At(start_ + plan_.arrivals[next_].at, [this] { Next(); });
  }
  const absl::Status& status() const { return status_; }

 private:
  void Arrive(const MondayArrival& arrival) {
    const MondayTeam& team = plan_.teams[arrival.team];
    if (arrival.pods > 1) server_.SetObject(Kind::kPodGroup, GroupOf(arrival, team));
    for (Pod& pod : PodsOf(arrival, team)) {
      kubelet_.RunsFor(pod.ns(), pod.name, arrival.runs);
      kubelet_.Replaces(pod.ns(), pod.name);
      status_.Update(server_.CreatePod(std::move(pod)));
    }
  }

  EventLoop& loop_;
  SimApiServer& server_;
  Kubelet& kubelet_;
  const MondayPlan& plan_;
  const Time start_;
  size_t next_ = 0;
  absl::Status status_;
};

size_t OverLimit(const MondayPlan& plan, const std::vector<MondaySample>& samples) {
  size_t over = 0;
  for (const MondaySample& sample : samples) {
    bool any = false;
    for (size_t p = 0; p < kPools; ++p) {
      int64_t used = 0, nominal = 0;
      for (size_t t = 0; t < plan.teams.size(); ++t) {
        used += sample.teams[t].used[p];
        const QueueResource* quota = QuotaOf(plan.teams[t].queue, static_cast<Pool>(p));
        if (quota == nullptr) continue;
        nominal += quota->nominal_quota;
        const auto most = quota->borrowing_limit;
        any = any || (most.has_value() && sample.teams[t].used[p] > quota->nominal_quota + *most);
      }
      any = any || used > nominal;
    }
    over += any;
  }
  return over;
}

// Of the general pool's cores.
double Borrowed(const MondayTeam& team, const MondayUse& use) {
  constexpr Pool kPool = Pool::kGeneral;
  const int64_t own = QuotaOf(team.queue, kPool)->nominal_quota;
  const size_t p = static_cast<size_t>(kPool);
  return static_cast<double>(std::max<int64_t>(0, use.used[p] - use.going[p] - own)) / 1000;
}

void Compare(std::vector<MondayShare> siblings, std::vector<MondayShare>& out) {
  double borrowed = 0, weight = 0;
  for (const MondayShare& one : siblings) {
    borrowed += one.borrowed;
    weight += one.weight;
  }
  for (MondayShare& one : siblings) {
    if (borrowed > 0) one.deviation = one.borrowed / one.weight / (borrowed / weight) - 1;
    out.push_back(std::move(one));
  }
}

}  // namespace

Configuration MondayConfiguration(Configuration config) {
  for (ProfileConfig& profile : config.profiles) {
    NodeResourcesFitArgs fit;
    fit.scoring_strategy.type = ScoringStrategy::Type::kMostAllocated;
    fit.scoring_strategy.resources = {{"nvidia.com/gpu", 5}, {"cpu", 1}};
    profile.args["NodeResourcesFit"] = fit;
  }
  return config;
}

void MeasureShares(const MondayPlan& plan, MondayResult& result) {
  std::vector<size_t> hungry;
  for (size_t t = 0; t < plan.teams.size(); ++t) {
    const auto limit = QuotaOf(plan.teams[t].queue, Pool::kGeneral)->borrowing_limit;
    if (plan.teams[t].hungry && !limit.has_value()) hungry.push_back(t);
  }
  size_t samples = 0;
  std::vector<double> team(plan.teams.size());
  std::vector<double> parent(plan.parents.size());
  for (const MondaySample& sample : result.samples) {
    if (sample.at < kBurstBegin || sample.at >= kBurstEnd) continue;
    if (!std::all_of(hungry.begin(), hungry.end(), [&](size_t t) { return sample.teams[t].pending > 0; })) continue;
    ++samples;
    std::vector<double> beyond(plan.parents.size());  // their own; what is not used is not theirs to lend alone
    for (size_t t = 0; t < plan.teams.size(); ++t) {
      const MondayTeam& of = plan.teams[t];
      team[t] += Borrowed(of, sample.teams[t]);
      beyond[of.parent] += static_cast<double>(sample.teams[t].used[0] - sample.teams[t].going[0] -
                                               QuotaOf(of.queue, Pool::kGeneral)->nominal_quota) /
                           1000;
    }
    for (size_t p = 0; p < parent.size(); ++p) parent[p] += std::max(0.0, beyond[p]);
  }
  result.shares.clear();
  result.shares_over = static_cast<double>(samples) * kSampled;
  if (samples == 0) return;
  const double n = static_cast<double>(samples);
  std::vector<MondayShare> parents;
  for (size_t p = 0; p < plan.parents.size(); ++p) {
    std::vector<MondayShare> siblings;
    for (const size_t t : hungry) {
      if (plan.teams[t].parent == p)
        siblings.push_back({plan.teams[t].name, plan.teams[t].queue.weight, team[t] / n, 0});
    }
    if (!siblings.empty()) parents.push_back({plan.parents[p].name, plan.parents[p].weight, parent[p] / n, 0});
    Compare(std::move(siblings), result.shares);
  }
  Compare(std::move(parents), result.shares);
}

absl::StatusOr<MondayResult> RunMonday(const MondayOptions& options, const MondayPlan& plan,
                                       const Configuration& config, const Registry& registry) {
  SimEventLoop loop;
  SimApiServer::Options server_options;
  server_options.keep_events = false;
  SimApiServer server(loop, server_options);
  Kubelet kubelet(loop, server);
  DecisionLog log;
  SchedulerOptions scheduler_options;
  scheduler_options.seed = options.seed;
  scheduler_options.threads = options.threads;
  auto scheduler = Scheduler::Create(config, registry, scheduler_options, loop, server, log, nullptr);
  if (!scheduler.ok()) return scheduler.status();
  (*scheduler)->Start();
  loop.Run([&] { return (*scheduler)->synced(); });

  absl::Status status;
  for (const MondayTeam& team : plan.teams) {
    Namespace ns;
    ns.name = team.name;
    ns.labels = {{"example.com/team", team.name}};
    server.SetObject(Kind::kNamespace, ns);
  }
  if (options.queues) {
    for (const ResourceFlavor& flavor : plan.Flavors()) server.SetObject(Kind::kResourceFlavor, flavor);
    for (const Queue& queue : plan.Queues()) server.SetObject(Kind::kQueue, queue);
  }
  for (const Node& node : plan.nodes) status.Update(server.CreateNode(node));
  loop.RunFor(absl::Seconds(1));

  Books books(loop, server, plan);
  Arrivals arrivals(loop, server, kubelet, plan);
  const Time end = loop.Now() + kMondayEnd;
  arrivals.Next();
  while (loop.Now() < end) {
    loop.RunUntil(std::min(end, loop.Now() + kSampled));
    books.Sample();
  }
  status.Update(arrivals.status());
  if (!status.ok()) return status;

  MondayResult result;
  books.Report(result);
  result.decisions = log.entries();
  result.log_hash = log.Hash();
  result.unseed = (*scheduler)->Unseed();
  result.over_limit = OverLimit(plan, result.samples);
  MeasureShares(plan, result);
  return result;
}

}  // namespace muster
