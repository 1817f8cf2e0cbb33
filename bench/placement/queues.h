// Measures what queues cost: choosing the next group among many queues, and placing all that is pending in them.
#ifndef MUSTER_BENCH_PLACEMENT_QUEUES_H_
#define MUSTER_BENCH_PLACEMENT_QUEUES_H_

#include <cstdint>
#include <string>

namespace muster {

struct QueueFlags {
  uint64_t seed = 1;
  uint64_t queues = 1000;    // of the tree
  uint64_t groups = 50'000;  // pending
  std::string only;          // cases whose name has this text
  std::string config;        // the scheduler's configuration file, or ""
  std::string output = "table";
};

// Prints a row a case; "json" for programs. Returns the exit code: kExitFailed where not all was placed.
int MeasureQueues(const QueueFlags& flags);

}  // namespace muster

#endif  // MUSTER_BENCH_PLACEMENT_QUEUES_H_
