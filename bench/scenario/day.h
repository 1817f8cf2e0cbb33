// A day of mixed gangs: jobs of all sizes that come to a GPU cluster and go again.
#ifndef MUSTER_BENCH_SCENARIO_DAY_H_
#define MUSTER_BENCH_SCENARIO_DAY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/gpu_cluster.h"
#include "scheduler/framework/configuration.h"
#include "scheduler/framework/registry.h"
#include "scheduler/model/pod.h"

namespace muster {

struct DayOptions {
  uint64_t seed = 1;
  GpuCluster cluster = {.nodes = 256, .nodes_a_rack = 16, .racks_a_block = 4};
  double hours = 24;
  double load = 0.9;  // of the GPU hours that there are
};

struct DayGang {
  std::string name;
  Duration arrival, duration;
  size_t pods = 1;
  int64_t gpus = 1;  // of each pod
  TopologyRequest topology;
};

// By arrival. Gangs of 1 to 64 pods of 1, 2, 4 or 8 GPUs, at most 256 in all. Half say nothing of topology; a
// quarter require one domain, a rack up to 64 GPUs and a block above; a quarter prefer one rack.
std::vector<DayGang> MakeDay(const DayOptions& options);

// What became of a gang.
struct DayOutcome {
  Duration started = absl::InfiniteDuration();  // when the last of its pods was bound, as `arrival`
  std::vector<std::string> nodes;               // by rank; "" where a pod has none
};

// Plays the day through the scheduler in simulated time, until all gangs are done or three more days have
// passed. By gang. Errors: a plugin's arguments.
absl::StatusOr<std::vector<DayOutcome>> RunDay(const DayOptions& options, const std::vector<DayGang>& gangs,
                                               const Configuration& config, const Registry& registry);

}  // namespace muster

#endif  // MUSTER_BENCH_SCENARIO_DAY_H_
