// Runs manifests through the real engine on the simulated cluster and says what came of it.
#ifndef MUSTER_SCHEDULER_COMMAND_SIMULATION_H_
#define MUSTER_SCHEDULER_COMMAND_SIMULATION_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/statusor.h"
#include "scheduler/command/queue_view.h"
#include "scheduler/framework/configuration.h"
#include "scheduler/framework/registry.h"
#include "scheduler/model/device.h"
#include "scheduler/runtime/decision_log.h"
#include "scheduler/sim/manifests.h"

namespace muster {

struct SimulationOptions {
  uint64_t seed = 1;
  int threads = 1;  // never changes the outcome
  size_t min_words_a_thread = 32;
  size_t most_pending = 10;        // of each queue, in `queues`
  std::optional<Duration> until;   // of simulated time; else until nothing changes any more
  DecisionLog::Observer observer;  // shown every decision; may be null
};

// A device that a pod has by one of its claims.
struct GivenDevice {
  std::string claim, request;  // the ResourceClaim's name, and of its request, or "request/alternative"
  DeviceId id;
};

struct SimulationResult {
  struct Reason {
    std::string plugin;  // "" where no plugin said it
    std::string message;
    int32_t nodes = 0;  // that it kept out; 0: the pod as a whole
  };
  struct Pod {
    std::string ns, name;
    std::string group;       // name of the group that it starts with, or ""
    std::string queue;       // that it is charged to, or ""
    std::string workload;    // name of the Deployment, Job, ... that it belongs to, or ""
    std::string node;        // "": pending
    bool ended = false;      // it ran and is over
    bool preempted = false;  // it ran on `node` and had to go for another
    std::vector<GivenDevice> devices;
    std::string message;  // why it is pending, in one line
    std::vector<Reason> reasons;
  };
  struct Use {
    int64_t allocatable = 0, peak = 0;  // milli-CPU, bytes, units
  };
  using Uses = absl::btree_map<std::string, Use>;  // by resource; "pods" too
  struct Node {
    std::string name;
    size_t placed = 0;  // pods that were on it at any time
    Uses uses;
  };

  std::vector<Pod> pods;          // by namespace, name; without those that were deleted, but for preempted ones
  std::vector<Node> nodes;        // by name
  std::vector<QueueView> queues;  // by name, as of the end
  Uses uses;                      // of the whole cluster; the peak is that of the sum
  size_t never_created = 0;       // pods whose time did not come (a Job's later ones, or after `until`)
  Duration makespan;              // from the first object to the last pod bound or ended
  bool cut_short = false;         // `until` came first
  uint64_t decisions = 0;
  uint64_t log_hash = 0, unseed = 0;
};

// Errors: a plugin's arguments, objects of one name.
absl::StatusOr<SimulationResult> Simulate(const Manifests& manifests, const Configuration& config,
                                          const Registry& registry, const SimulationOptions& options);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_COMMAND_SIMULATION_H_
