#include "scheduler/command/scheduler_command.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "plugins/all.h"
#include "scheduler/command/arguments.h"
#include "scheduler/engine/scheduler.h"
#include "scheduler/framework/config/config.h"
#include "scheduler/framework/config/configz.h"
#include "scheduler/kube/credentials.h"
#include "scheduler/kube/kube_api_server.h"
#include "scheduler/kube/serving.h"
#include "scheduler/runtime/decision_log.h"
#include "scheduler/runtime/leader_election.h"
#include "scheduler/runtime/log.h"
#include "scheduler/runtime/metrics.h"
#include "scheduler/runtime/real_event_loop.h"

namespace muster {
namespace {

// A stop is orderly for so long; a supervisor usually gives 30 s.
constexpr Duration kDrainLimit = absl::Seconds(6);
constexpr Duration kEventsLimit = absl::Seconds(2);
constexpr Duration kReleaseLimit = absl::Seconds(3);
constexpr Duration kTick = absl::Milliseconds(100);
// The decision thread is taken for dead when it has not ticked for so long.
constexpr Duration kStuck = absl::Seconds(60);

struct Flags {
  std::string config, kubeconfig, context, decision_log;
  std::string bind_address = "127.0.0.1";
  uint64_t port = 10259;
  uint64_t verbosity = 0;
  std::optional<uint64_t> seed, threads;
};

std::string Hostname() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  return name;
}

// Turns SIGTERM and SIGINT into a call, on a thread of its own.
class Signals {
 public:
  static void Block() {
    signal(SIGPIPE, SIG_IGN);  // a lost connection is an error of that connection
    const sigset_t set = Set();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
  }
  explicit Signals(std::function<void()> on_signal)
      : thread_([this, on_signal = std::move(on_signal)] {
          const sigset_t set = Set();
          for (int number = 0; sigwait(&set, &number) == 0 && !over_;) on_signal();
        }) {}
  ~Signals() {
    over_ = true;
    pthread_kill(thread_.native_handle(), SIGTERM);
    thread_.join();
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  static sigset_t Set() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return set;
  }
  std::atomic<bool> over_ = false;
  std::thread thread_;  // last: it uses over_
};

// What the pages tell, kept by the decision thread.
struct Health {
  std::atomic<bool> ready = false;
  std::atomic<bool> watching = false;
  std::atomic<int64_t> ticked_ns = 0;
};

class Daemon {
 public:
  Daemon(Configuration config, Flags flags, ServerAccess access)
      : config_(std::move(config)),
        flags_(std::move(flags)),
        seed_(flags_.seed.value_or(config_.muster.seed)),
        random_(Mix(seed_, static_cast<uint64_t>(absl::ToUnixNanos(loop_.Now())))),
        api_(loop_, std::move(access), ApiOptions(config_, seed_), &metrics_) {}

  // The exit code, or an error before anything was begun.
  absl::StatusOr<int> Run(const Registry& registry);

 private:
  static KubeOptions ApiOptions(const Configuration& config, uint64_t seed);
  absl::Status StartServing();
  void Begin();
  void Lead();
  void Discover();
  void Tick();
  void OnSignal();
  void Shutdown();
  void AfterDrain();
  void AwaitEvents(Time until);
  void GiveUpLease();
  void End(int code);

  const Configuration config_;
  const Flags flags_;
  const uint64_t seed_;
  Metrics metrics_;
  Health health_;
  RealEventLoop loop_;
  Random random_;  // of waits, which no decision depends on
  DecisionLog log_;
  // Stopping it can take seconds: writes to the API server end before.
  std::unique_ptr<Serving> serving_;
  KubeApiServer api_;
  std::unique_ptr<Scheduler> scheduler_;
  std::unique_ptr<LeaderElection> election_;
  bool begun_ = false, stopping_ = false, told_ready_ = false;
  std::string lease_error_;  // the last one told
  EventLoop::TimerId limit_ = 0;
  int exit_code_ = 0;
};

KubeOptions Daemon::ApiOptions(const Configuration& config, uint64_t seed) {
  KubeOptions options;
  options.seed = seed;
  // kube-scheduler's defaults for an unset limit (50 a second, 100 at once) would throttle every
  // burst. Here unset means none: fairness among clients is the server's business.
  if (config.client.qps.has_value() && *config.client.qps > 0) {
    options.http.qps = *config.client.qps;
    options.http.burst = config.client.burst.value_or(100);
  }
  return options;
}

absl::StatusOr<int> Daemon::Run(const Registry& registry) {
  if (!flags_.decision_log.empty()) {
    absl::StatusOr<DecisionLog::Observer> observer = WriteDecisionsTo(flags_.decision_log);
    if (!observer.ok()) return observer.status();
    log_.AddObserver(*std::move(observer));
  }
  SchedulerOptions options;
  options.seed = seed_;
  options.instance = Hostname();
  // Half of the machine: the others on it want to live.
  const int machine = static_cast<int>(std::clamp(std::thread::hardware_concurrency() / 2, 1u, 8u));
  options.threads =
      flags_.threads.has_value() ? static_cast<int>(*flags_.threads) : config_.muster.threads.value_or(machine);
  absl::StatusOr<std::unique_ptr<Scheduler>> scheduler =
      Scheduler::Create(config_, registry, options, loop_, api_, log_, &metrics_);
  if (!scheduler.ok()) return scheduler.status();
  scheduler_ = *std::move(scheduler);
  if (absl::Status status = StartServing(); !status.ok()) {
    LogError(std::string(status.message()));
    return kExitFailed;
  }
  Signals signals([this] { loop_.Post([this] { OnSignal(); }); });
  Tick();
  Discover();
  if (config_.leader_election.leader_elect) {
    scheduler_->SetActive(false);
    if (!config_.delay_cache_until_active) Begin();
    Lead();
  } else {
    Begin();
  }
  loop_.Run();
  return exit_code_;
}

absl::Status Daemon::StartServing() {
  const auto text = [](int status, std::string body) {
    return ServedPage{status, "text/plain; charset=utf-8", std::move(body)};
  };
  const auto alive = [this, text] {
    const Time ticked = absl::FromUnixNanos(health_.ticked_ns);
    return loop_.Now() - ticked < kStuck ? text(200, "ok") : text(500, "the decision thread does not answer\n");
  };
  std::map<std::string, Serving::Page> pages;
  pages["/healthz"] = alive;
  pages["/livez"] = alive;
  pages["/readyz"] = [this, text] {
    if (health_.ready) return text(200, "ok");
    return text(500, health_.watching ? "not ready: pods and nodes are not yet known\n"
                                      : "not ready: the API server cannot be watched\n");
  };
  pages["/metrics"] = [this] { return ServedPage{200, "text/plain; version=0.0.4", metrics_.Text()}; };
  pages["/configz"] = [json = ConfigzJson(config_)] { return ServedPage{200, "application/json", json}; };
  health_.ticked_ns = absl::ToUnixNanos(loop_.Now());
  absl::StatusOr<std::unique_ptr<Serving>> serving =
      Serving::Start(flags_.bind_address, static_cast<int>(flags_.port), std::move(pages));
  if (!serving.ok()) return serving.status();
  serving_ = *std::move(serving);
  LogInfo(absl::StrCat("serving on ", flags_.bind_address, ":", serving_->port()));
  return absl::OkStatus();
}

void Daemon::Begin() {
  if (std::exchange(begun_, true)) return;
  scheduler_->Start();
}

void Daemon::Lead() {
  const LeaderElectionConfig& wanted = config_.leader_election;
  LeaderElection::Options options;
  options.ns = wanted.resource_namespace;
  options.name = wanted.resource_name;
  // Unique to this process, also among pods of one node's network.
  options.identity = absl::StrFormat("%s_%d-%08x", Hostname(), getpid(), random_.Next() >> 32);
  options.lease_duration = wanted.lease_duration;
  options.renew_deadline = wanted.renew_deadline;
  options.retry_period = wanted.retry_period;
  const std::string lease = absl::StrCat(options.ns, "/", options.name);
  metrics_.Leading(wanted.resource_name, false);
  LeaderElection::Callbacks callbacks;
  callbacks.on_started = [this, lease] {
    LogInfo(absl::StrCat("leading by lease ", lease));
    metrics_.Leading(config_.leader_election.resource_name, true);
    Begin();
    scheduler_->SetActive(true);
  };
  callbacks.on_lost = [this, lease] {
    // At once, with binds in flight: another one leads now.
    LogError(absl::StrCat("lost lease ", lease));
    if (!stopping_) End(kExitFailed);
  };
  callbacks.on_new_leader = [lease, self = options.identity](const std::string& holder) {
    if (holder != self) LogInfo(absl::StrCat("standing by: ", holder, " holds lease ", lease));
  };
  callbacks.on_error = [this, lease](const ApiStatus& status) {
    if (std::exchange(lease_error_, status.message) != status.message) {
      LogWarning(absl::StrCat("lease ", lease, ": ", status.message));
    }
  };
  election_ = std::make_unique<LeaderElection>(loop_, api_, random_, std::move(options), std::move(callbacks));
  election_->Start();
}

void Daemon::Discover() {
  api_.Discover([this](const ApiStatus& status, const std::string& version) {
    if (status.ok()) {
      LogInfo(absl::StrCat("API server ", version));
      return;
    }
    LogWarning(status.message);
    loop_.After(absl::Seconds(5), [this] { Discover(); });
  });
}

void Daemon::Tick() {
  health_.watching = api_.watching();
  health_.ready = scheduler_->synced() && api_.watching();
  health_.ticked_ns = absl::ToUnixNanos(loop_.Now());
  if (health_.ready && !std::exchange(told_ready_, true)) {
    LogInfo(absl::StrCat("ready: ", scheduler_->cache().node_count(), " nodes, ", scheduler_->cache().placed_count(),
                         " pods on them"));
  }
  loop_.After(kTick, [this] { Tick(); });
}

// --- The end ----------------------------------------------------------------------------------

void Daemon::OnSignal() {
  if (stopping_) {
    LogWarning("told twice to stop");
    End(kExitFailed);
    return;
  }
  Shutdown();
}

// Decide no more, let binds in flight end, write the events about them, give up the lease.
void Daemon::Shutdown() {
  stopping_ = true;
  LogInfo("stopping");
  limit_ = loop_.After(kDrainLimit, [this] {
    LogWarning("binds are still in flight; leaving them to the server");
    AfterDrain();
  });
  scheduler_->Stop([this] { AfterDrain(); });
}

void Daemon::AfterDrain() {
  if (limit_ == 0) return;  // the other way was first
  loop_.Cancel(std::exchange(limit_, 0));
  AwaitEvents(loop_.Now() + kEventsLimit);
}

void Daemon::AwaitEvents(Time until) {
  if (api_.waiting_events() > 0 && loop_.Now() < until) {
    loop_.After(absl::Milliseconds(10), [this, until] { AwaitEvents(until); });
    return;
  }
  if (api_.waiting_events() > 0) LogWarning(absl::StrCat(api_.waiting_events(), " events were not written"));
  GiveUpLease();
}

void Daemon::GiveUpLease() {
  if (election_ == nullptr) {
    End(kExitOk);
    return;
  }
  loop_.After(kReleaseLimit, [this] { End(kExitOk); });
  election_->Release([this] { End(kExitOk); });
}

void Daemon::End(int code) {
  exit_code_ = code;
  loop_.Stop();
}

}  // namespace

int SchedulerCommand(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  Flags flags;
  Arguments arguments("scheduler [--config FILE] [--kubeconfig FILE]",
                      "Schedules the pods that name one of its profiles, on the cluster that the kubeconfig or the "
                      "ServiceAccount names.");
  arguments.Text("--config", "FILE", "KubeSchedulerConfiguration (default: one profile, muster, all plugins)",
                 &flags.config);
  arguments.Text("--kubeconfig", "FILE",
                 "how to reach the cluster (default: the configuration's, else $KUBECONFIG, "
                 "else in-cluster, else ~/.kube/config)",
                 &flags.kubeconfig);
  arguments.Text("--context", "NAME", "of the kubeconfig (default: its current one)", &flags.context);
  arguments.Text("--bind-address", "IP",
                 "to serve /metrics, /healthz, /livez, /readyz and /configz on (default 127.0.0.1)",
                 &flags.bind_address);
  arguments.Number("--port", "N", "to serve on; 0 takes a free one (default 10259)", 0, 65535, &flags.port);
  arguments.Number("--seed", "N", "decides ties (default: the configuration's, else 1)", 0, UINT64_MAX, &flags.seed);
  arguments.Number("--threads", "N", "for deciding; decisions are the same for any number", 1, 256, &flags.threads);
  arguments.Text("--decision-log", "FILE", "write every decision there, a line of JSON each", &flags.decision_log);
  arguments.Number("-v", "LEVEL", "how much to log (default 0)", 0, 10, &flags.verbosity);
  if (const std::optional<int> code = arguments.Parse(args, out, err)) return *code;
  SetLogVerbosity(static_cast<int>(flags.verbosity));

  const Registry registry = AllPlugins();
  const auto bad_input = [&err](const absl::Status& status) {
    err << status.message() << "\n";
    return kExitBadInput;
  };
  absl::StatusOr<Configuration> config = DefaultConfiguration(registry);
  if (!flags.config.empty()) config = LoadConfiguration(flags.config, registry);
  if (!config.ok()) return bad_input(config.status());
  for (const std::string& notice : config->notices) LogInfo(notice);
  absl::StatusOr<ServerAccess> access =
      FindAccess(flags.kubeconfig.empty() ? config->client.kubeconfig : flags.kubeconfig, flags.context);
  if (!access.ok()) return bad_input(access.status());
  LogInfo(absl::StrCat("API server at ", access->server, " (", access->origin, ")"));

  Signals::Block();
  Daemon daemon(*std::move(config), std::move(flags), *std::move(access));
  absl::StatusOr<int> code = daemon.Run(registry);
  return code.ok() ? *code : bad_input(code.status());
}

}  // namespace muster
