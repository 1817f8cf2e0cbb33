#include "scheduler/runtime/metrics.h"

#include <dirent.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "prometheus/text_serializer.h"
#include "scheduler/model/stable_hash.h"

namespace muster {
namespace {

using prometheus::Counter;
using prometheus::Gauge;
using prometheus::Histogram;
using Buckets = Histogram::BucketBoundaries;

Buckets Exponential(double start, double factor, int count) {
  Buckets bounds;
  for (double bound = start; count > 0; --count, bound *= factor) bounds.push_back(bound);
  return bounds;
}

// A metric with labels: its series are made as they are met and found again by the values' hash.
template <typename Metric>
class Labelled {
 public:
  Labelled(prometheus::Family<Metric>& family, std::vector<std::string> labels, Buckets buckets = {})
      : family_(family), labels_(std::move(labels)), buckets_(std::move(buckets)) {}

  // `values` in the order of the labels.
  Metric& At(std::initializer_list<std::string_view> values) {
    StableHasher hasher;
    for (std::string_view value : values) hasher.Add(value);
    Metric*& metric = series_[hasher.Digest()];
    if (metric == nullptr) metric = &Make(values);
    return *metric;
  }

 private:
  Metric& Make(std::initializer_list<std::string_view> values) {
    std::map<std::string, std::string> labels;
    size_t i = 0;
    for (std::string_view value : values) labels.emplace(labels_[i++], value);
    if constexpr (std::is_same_v<Metric, Histogram>) {
      return family_.Add(labels, buckets_);
    } else {
      return family_.Add(labels);
    }
  }

  prometheus::Family<Metric>& family_;
  std::vector<std::string> labels_;
  Buckets buckets_;
  absl::flat_hash_map<uint64_t, Metric*> series_;
};

// Metrics of objects that come and go: the first label names the object, and its series go with it.
template <typename Metric>
class Passing {
 public:
  using Values = std::vector<std::string>;
  Passing(prometheus::Family<Metric>& family, Values labels, Buckets buckets = {})
      : family_(family), labels_(std::move(labels)), buckets_(std::move(buckets)) {}

  Metric& At(const Values& values) {
    auto [at, added] = series_.try_emplace(values, nullptr);
    if (added) at->second = &Make(values);
    return *at->second;
  }
  // Removes all but those that keep(values) approves.
  template <typename F>
  void Keep(F&& keep) {
    for (auto at = series_.begin(); at != series_.end();) {
      if (keep(at->first)) {
        ++at;
        continue;
      }
      family_.Remove(at->second);
      at = series_.erase(at);
    }
  }

 private:
  Metric& Make(const Values& values) {
    std::map<std::string, std::string> labels;
    for (size_t i = 0; i < values.size(); ++i) labels.emplace(labels_[i], values[i]);
    if constexpr (std::is_same_v<Metric, Histogram>) {
      return family_.Add(labels, buckets_);
    } else {
      return family_.Add(labels);
    }
  }

  prometheus::Family<Metric>& family_;
  Values labels_;
  Buckets buckets_;
  std::map<Values, Metric*> series_;
};

std::string_view Label(Metrics::Attempt result) {
  switch (result) {
    case Metrics::Attempt::kScheduled: return "scheduled";
    case Metrics::Attempt::kUnschedulable: return "unschedulable";
    case Metrics::Attempt::kError: return "error";
  }
  return "";
}

std::string_view Label(Metrics::Queue queue) {
  switch (queue) {
    case Metrics::Queue::kActive: return "active";
    case Metrics::Queue::kBackoff: return "backoff";
    case Metrics::Queue::kUnschedulable: return "unschedulable";
    case Metrics::Queue::kGated: return "gated";
  }
  return "";
}

std::string ReadFile(const char* path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

// The number on the line (not the first) that starts with `key`, or 0.
double NumberAfter(const std::string& text, std::string_view key) {
  const size_t start = text.find('\n' + std::string(key));
  return start == std::string::npos ? 0 : std::strtod(text.c_str() + start + 1 + key.size(), nullptr);
}

double OpenFiles() {
  DIR* dir = opendir("/proc/self/fd");
  if (dir == nullptr) return 0;
  double count = 0;
  while (readdir(dir) != nullptr) ++count;
  closedir(dir);
  return count - 3;  // ".", ".." and the folder's own
}

}  // namespace

struct Metrics::Series {
  prometheus::Registry registry;
  mutable std::mutex api_mutex;  // of api_requests' lookup
  mutable std::mutex text_mutex;

  Labelled<Counter> Counters(const char* name, const char* help, std::vector<std::string> labels) {
    return Labelled<Counter>(prometheus::BuildCounter().Name(name).Help(help).Register(registry), std::move(labels));
  }
  Labelled<Gauge> Gauges(const char* name, const char* help, std::vector<std::string> labels) {
    return Labelled<Gauge>(prometheus::BuildGauge().Name(name).Help(help).Register(registry), std::move(labels));
  }
  Labelled<Histogram> Histograms(const char* name, const char* help, std::vector<std::string> labels, Buckets buckets) {
    return Labelled<Histogram>(prometheus::BuildHistogram().Name(name).Help(help).Register(registry), std::move(labels),
                               std::move(buckets));
  }
  Counter& OneCounter(const char* name, const char* help) { return Counters(name, help, {}).At({}); }
  Gauge& OneGauge(const char* name, const char* help) { return Gauges(name, help, {}).At({}); }
  Histogram& OneHistogram(const char* name, const char* help, Buckets buckets) {
    return Histograms(name, help, {}, std::move(buckets)).At({});
  }

  // kube-scheduler's, stable and beta.
  Labelled<Counter> attempts = Counters("scheduler_schedule_attempts_total",
                                        "Attempts to schedule a pod, by how they ended.", {"result", "profile"});
  Labelled<Histogram> attempt_seconds =
      Histograms("scheduler_scheduling_attempt_duration_seconds", "Seconds that an attempt took, its bind included.",
                 {"result", "profile"}, Exponential(0.001, 2, 15));
  Histogram& algorithm_seconds = OneHistogram("scheduler_scheduling_algorithm_duration_seconds",
                                              "Seconds that deciding took.", Exponential(0.001, 2, 15));
  Histogram& preemption_victims =
      OneHistogram("scheduler_preemption_victims", "Pods evicted to make room for one pod.", Exponential(1, 2, 7));
  Counter& preemption_attempts =
      OneCounter("scheduler_preemption_attempts_total", "Attempts to make room by evicting pods.");
  Labelled<Gauge> pending = Gauges("scheduler_pending_pods", "Pods that wait, by the queue they wait in.", {"queue"});
  Labelled<Histogram> sli_seconds =
      Histograms("scheduler_pod_scheduling_sli_duration_seconds",
                 "Seconds from a pod's entering the queue to its bind, by attempts needed.", {"attempts"},
                 Exponential(0.01, 2, 20));
  Histogram& pod_attempts = OneHistogram("scheduler_pod_scheduling_attempts",
                                         "Attempts that a pod needed until it was bound.", Exponential(1, 2, 5));
  Labelled<Histogram> point_seconds = Histograms("scheduler_framework_extension_point_duration_seconds",
                                                 "Seconds that all plugins of an extension point took together.",
                                                 {"extension_point", "status", "profile"}, Exponential(0.0001, 2, 12));
  Labelled<Histogram> plugin_seconds =
      Histograms("scheduler_plugin_execution_duration_seconds", "Seconds that one plugin took (sampled).",
                 {"plugin", "extension_point", "status"}, Exponential(0.00001, 1.5, 20));
  Labelled<Counter> incoming = Counters("scheduler_queue_incoming_pods_total",
                                        "Pods put into a queue, by queue and the event behind it.", {"queue", "event"});
  Labelled<Gauge> goroutines =
      Gauges("scheduler_goroutines", "Things under way at once, by what they do.", {"operation"});
  Labelled<Histogram> permit_seconds =
      Histograms("scheduler_permit_wait_duration_seconds", "Seconds that pods waited at Permit.", {"result"},
                 Exponential(0.001, 2, 15));
  Labelled<Gauge> unschedulable =
      Gauges("scheduler_unschedulable_pods", "Pods that wait for a plugin's sake; one pod counts at several plugins.",
             {"plugin", "profile"});
  Labelled<Counter> evaluations = Counters("scheduler_plugin_evaluation_total", "Attempts in which a plugin ran.",
                                           {"plugin", "extension_point", "profile"});
  Labelled<Gauge> cache_size =
      Gauges("scheduler_cache_size", "Nodes, pods and assumed pods that the scheduler knows.", {"type"});

  // What every Kubernetes component tells.
  Labelled<Counter> api_requests =
      Counters("rest_client_requests_total", "Requests to the API server, by answer.", {"code", "method", "host"});
  Labelled<Gauge> leading =
      Gauges("leader_election_master_status", "1 where this process holds the lease, else 0.", {"name"});

  // Muster's own.
  Histogram& decision_seconds = OneHistogram(
      "muster_decision_seconds", "Seconds that deciding took, from a microsecond on.", Exponential(0.000001, 2, 20));
  Gauge& binds_in_flight = OneGauge("muster_binds_in_flight", "Bind requests sent and not yet answered.");
  Labelled<Histogram> bind_seconds = Histograms("muster_bind_seconds", "Seconds that the API server took to bind.",
                                                {"result"}, Exponential(0.0005, 2, 16));
  Counter& events_dropped = OneCounter("muster_events_dropped_total", "Events that were not sent, to save requests.");
  Counter& decisions = OneCounter("muster_decisions_total", "Entries of the decision log.");
  Labelled<Counter> shape_cache =
      Counters("muster_shape_cache_total", "Attempts, by whether the pod's shape had its answer already.", {"result"});
  Counter& shape_hits = shape_cache.At({"hit"});
  Counter& shape_misses = shape_cache.At({"miss"});

  // Queues with quota.
  Passing<Gauge> OfQueue(const char* name, const char* help, std::vector<std::string> labels) {
    return Passing<Gauge>(prometheus::BuildGauge().Name(name).Help(help).Register(registry), std::move(labels));
  }
  Passing<Counter> CountOfQueue(const char* name, const char* help, std::vector<std::string> labels) {
    return Passing<Counter>(prometheus::BuildCounter().Name(name).Help(help).Register(registry), std::move(labels));
  }
  Passing<Gauge> quota_pending =
      OfQueue("muster_queue_pending_pods", "Pods charged to the queue that wait.", {"queue"});
  Passing<Gauge> quota_running =
      OfQueue("muster_queue_running_pods", "Pods charged to the queue that are on nodes.", {"queue"});
  Passing<Gauge> quota_share =
      OfQueue("muster_queue_share",
              "What the queue borrows, as part of what is lent, by its weight; +Inf: it has none.", {"queue"});
  Passing<Gauge> quota_usage = OfQueue("muster_queue_usage", "What the queue and its children use; cpu in cores.",
                                       {"queue", "resource", "flavor"});
  Passing<Gauge> quota_nominal =
      OfQueue("muster_queue_nominal", "The queue's own quota.", {"queue", "resource", "flavor"});
  Passing<Gauge> quota_borrowed = OfQueue("muster_queue_borrowed", "What of the usage is more than the queue's own.",
                                          {"queue", "resource", "flavor"});
  Passing<Counter> quota_evictions =
      CountOfQueue("muster_queue_evictions_total", "Pods of the queue that had to go.", {"queue", "reason"});
  Passing<Counter> quota_seconds =
      CountOfQueue("muster_queue_resource_seconds_total",
                   "What the queue and its children were charged, times seconds; cpu in cores.", {"queue", "resource"});
  Passing<Histogram> quota_wait = Passing<Histogram>(prometheus::BuildHistogram()
                                                         .Name("muster_queue_wait_seconds")
                                                         .Help("Seconds from a pod's entering the queue to its bind.")
                                                         .Register(registry),
                                                     {"queue"}, Exponential(0.01, 2, 24));
  std::set<std::string> quota_queues;              // between BeginQuotaQueues and EndQuotaQueues
  std::set<std::vector<std::string>> quota_cells;  // likewise

  // The process.
  Counter& cpu_seconds = OneCounter("process_cpu_seconds_total", "Processor seconds used, user and system.");
  Gauge& resident = OneGauge("process_resident_memory_bytes", "Memory that is resident.");
  Gauge& virtual_memory = OneGauge("process_virtual_memory_bytes", "Memory that is mapped.");
  Gauge& start_time = OneGauge("process_start_time_seconds", "When the process started, in seconds since 1970.");
  Gauge& open_files = OneGauge("process_open_fds", "File descriptors in use.");
  Gauge& max_files = OneGauge("process_max_fds", "File descriptors allowed.");

  void ReadProcess();
};

void Metrics::Series::ReadProcess() {
  const std::string stat = ReadFile("/proc/self/stat");
  // Fields are counted from behind the command's name, which may hold spaces: state is the first.
  const std::vector<std::string> fields = absl::StrSplit(stat.substr(stat.rfind(')') + 1), ' ', absl::SkipEmpty());
  const auto field = [&](size_t number) {  // as proc(5) numbers them
    double value = 0;
    if (number - 3 < fields.size()) (void)absl::SimpleAtod(fields[number - 3], &value);
    return value;
  };
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  const double cpu = (field(14) + field(15)) / ticks;
  cpu_seconds.Increment(cpu - cpu_seconds.Value());
  virtual_memory.Set(field(23));
  resident.Set(field(24) * static_cast<double>(sysconf(_SC_PAGESIZE)));
  start_time.Set(NumberAfter(ReadFile("/proc/stat"), "btime ") + field(22) / ticks);
  open_files.Set(OpenFiles());
  max_files.Set(static_cast<double>(sysconf(_SC_OPEN_MAX)));
}

Metrics::Metrics() : series_(std::make_unique<Series>()) {
  for (Queue queue : {Queue::kActive, Queue::kBackoff, Queue::kUnschedulable, Queue::kGated}) PendingPods(queue, 0);
  series_->goroutines.At({"binding"});
}

Metrics::~Metrics() = default;

void Metrics::ScheduleAttempt(std::string_view profile, Attempt result, Duration took) {
  series_->attempts.At({Label(result), profile}).Increment();
  series_->attempt_seconds.At({Label(result), profile}).Observe(absl::ToDoubleSeconds(took));
}

void Metrics::Decided(Duration took) {
  const double seconds = absl::ToDoubleSeconds(took);
  series_->algorithm_seconds.Observe(seconds);
  series_->decision_seconds.Observe(seconds);
}

void Metrics::PodScheduled(int attempts, Duration since_queued) {
  series_->pod_attempts.Observe(attempts);
  // Upstream's label: so that pods that are tried for ever do not make ever more series.
  const std::string label = attempts >= 15 ? "15+" : absl::StrCat(attempts);
  series_->sli_seconds.At({label}).Observe(absl::ToDoubleSeconds(since_queued));
}

void Metrics::ExtensionPoint(std::string_view profile, std::string_view point, std::string_view status, Duration took) {
  series_->point_seconds.At({point, status, profile}).Observe(absl::ToDoubleSeconds(took));
}

void Metrics::PluginRan(std::string_view plugin, std::string_view point, std::string_view status, Duration took) {
  series_->plugin_seconds.At({plugin, point, status}).Observe(absl::ToDoubleSeconds(took));
}

void Metrics::PluginEvaluated(std::string_view profile, std::string_view plugin, std::string_view point) {
  series_->evaluations.At({plugin, point, profile}).Increment();
}

void Metrics::UnschedulablePods(std::string_view profile, std::string_view plugin, int change) {
  series_->unschedulable.At({plugin, profile}).Increment(change);
}

void Metrics::PermitWaited(std::string_view result, Duration took) {
  series_->permit_seconds.At({result}).Observe(absl::ToDoubleSeconds(took));
}

void Metrics::PreemptionAttempt() { series_->preemption_attempts.Increment(); }

void Metrics::Preemption(int victims) { series_->preemption_victims.Observe(victims); }

void Metrics::PendingPods(Queue queue, int64_t pods) {
  series_->pending.At({Label(queue)}).Set(static_cast<double>(pods));
}

void Metrics::QueuedPod(Queue queue, std::string_view event) {
  series_->incoming.At({Label(queue), event}).Increment();
}

void Metrics::CacheSize(int64_t nodes, int64_t pods, int64_t assumed_pods) {
  series_->cache_size.At({"nodes"}).Set(static_cast<double>(nodes));
  series_->cache_size.At({"pods"}).Set(static_cast<double>(pods));
  series_->cache_size.At({"assumed_pods"}).Set(static_cast<double>(assumed_pods));
}

void Metrics::ShapeCache(bool hit) { (hit ? series_->shape_hits : series_->shape_misses).Increment(); }

void Metrics::DecisionLogged() { series_->decisions.Increment(); }

void Metrics::BeginQuotaQueues() {
  series_->quota_queues.clear();
  series_->quota_cells.clear();
}

void Metrics::SetQuotaQueue(const std::string& queue, const QuotaQueue& now) {
  series_->quota_queues.insert(queue);
  series_->quota_pending.At({queue}).Set(static_cast<double>(now.pending_pods));
  series_->quota_running.At({queue}).Set(static_cast<double>(now.running_pods));
  series_->quota_share.At({queue}).Set(now.share);
  for (const QuotaCell& cell : now.cells) {
    const std::vector<std::string> values = {queue, cell.resource, cell.flavor};
    series_->quota_cells.insert(values);
    series_->quota_usage.At(values).Set(cell.used);
    series_->quota_nominal.At(values).Set(cell.nominal);
    series_->quota_borrowed.At(values).Set(cell.borrowed);
  }
}

void Metrics::EndQuotaQueues() {
  const auto there = [this](const std::vector<std::string>& values) {
    return series_->quota_queues.contains(values[0]);
  };
  const auto listed = [this](const std::vector<std::string>& values) { return series_->quota_cells.contains(values); };
  for (auto* gauges : {&series_->quota_pending, &series_->quota_running, &series_->quota_share}) gauges->Keep(there);
  for (auto* gauges : {&series_->quota_usage, &series_->quota_nominal, &series_->quota_borrowed}) gauges->Keep(listed);
  series_->quota_evictions.Keep(there);
  series_->quota_seconds.Keep(there);
  series_->quota_wait.Keep(there);
}

void Metrics::QuotaWaited(const std::string& queue, Duration waited) {
  series_->quota_wait.At({queue}).Observe(absl::ToDoubleSeconds(waited));
}

void Metrics::QuotaEvicted(const std::string& queue, std::string_view reason) {
  series_->quota_evictions.At({queue, std::string(reason)}).Increment();
}

void Metrics::QuotaResourceSeconds(const std::string& queue, const std::string& resource, double total) {
  Counter& counter = series_->quota_seconds.At({queue, resource});
  if (const double more = total - counter.Value(); more > 0) counter.Increment(more);
}

void Metrics::BindStarted() {
  series_->binds_in_flight.Increment();
  series_->goroutines.At({"binding"}).Increment();
}

void Metrics::BindEnded(Duration took, bool ok) {
  series_->binds_in_flight.Decrement();
  series_->goroutines.At({"binding"}).Decrement();
  series_->bind_seconds.At({ok ? "success" : "error"}).Observe(absl::ToDoubleSeconds(took));
}

void Metrics::EventDropped() { series_->events_dropped.Increment(); }

void Metrics::ApiRequest(std::string_view method, std::string_view host, int http_code) {
  const std::string code = http_code == 0 ? "<error>" : absl::StrCat(http_code);
  std::lock_guard lock(series_->api_mutex);
  series_->api_requests.At({code, method, host}).Increment();
}

void Metrics::Leading(std::string_view lease, bool leading) { series_->leading.At({lease}).Set(leading ? 1 : 0); }

std::string Metrics::Text() const {
  std::lock_guard lock(series_->text_mutex);
  series_->ReadProcess();
  return prometheus::TextSerializer().Serialize(series_->registry.Collect());
}

}  // namespace muster
