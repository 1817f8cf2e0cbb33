// Plays a Monday morning (monday_plan.h) through the scheduler in simulated time, and measures what became of it.
#ifndef MUSTER_BENCH_SCENARIO_MONDAY_H_
#define MUSTER_BENCH_SCENARIO_MONDAY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/scenario/monday_plan.h"
#include "scheduler/framework/configuration.h"
#include "scheduler/framework/registry.h"

namespace muster {

// What a team has at a moment.
struct MondayUse {
  std::array<int64_t, kPools> used = {};   // thousandths of cores in kGeneral, GPUs else, by pods bound and not ended
  uint32_t pending = 0;                    // pods
  std::array<int64_t, kPools> going = {};  // of what is used, by pods that were told to go
};

struct MondaySample {
  Duration at;
  std::vector<MondayUse> teams;
};

// From a pod's creation to its bind; of those not bound at the end, to the end. Pods of the first minute, in which the
// cluster is filled, are left out.
struct MondayWait {
  size_t pods = 0, pending = 0;
  Duration p50, p99, max;
};

struct MondayEvictions {
  size_t pods = 0, of_gangs = 0, gangs = 0;
  size_t most_in_an_hour = 0;                    // pods, in any 60 minutes
  Duration youngest = absl::InfiniteDuration();  // that one of them had run
};

// A queue that wanted more all the time that was measured.
struct MondayShare {
  std::string queue;
  int32_t weight = 1;
  double borrowed = 0;   // cores, mean; without what pods have that were told to go: it is promised to others
  double deviation = 0;  // of borrowed by weight, from that of all of its siblings that wanted more: 0.05 = 5% above
};

struct MondayResult {
  std::vector<MondaySample> samples;
  std::array<MondayWait, kWorks> waits;
  std::vector<MondayEvictions> evictions;  // by team
  std::vector<MondayShare> shares;         // siblings together
  Duration shares_over;                    // how much of the burst these are taken over
  size_t over_limit = 0;  // samples in which a queue had more than its quota and borrowing limit, or all more than all
  size_t arrived = 0, bound = 0;  // pods
  uint64_t decisions = 0, log_hash = 0, unseed = 0;
};

// What a scheduler of many teams' batch work is configured with: nodes are filled up rather than spread over.
Configuration MondayConfiguration(Configuration config);

// Errors: a plugin's arguments.
absl::StatusOr<MondayResult> RunMonday(const MondayOptions& options, const MondayPlan& plan,
                                       const Configuration& config, const Registry& registry);

// The samples in which all hungry teams (but for those at their borrowing limit) had something pending, in the burst.
void MeasureShares(const MondayPlan& plan, MondayResult& result);

// Usage by queue and pods that wait, over time.
std::string DrawMonday(const MondayPlan& plan, const MondayResult& result);

}  // namespace muster

#endif  // MUSTER_BENCH_SCENARIO_MONDAY_H_
