// Measures what deciding about devices costs: filling a cluster, pairs of devices, and the worst that can be asked.
#ifndef MUSTER_BENCH_PLACEMENT_DEVICES_H_
#define MUSTER_BENCH_PLACEMENT_DEVICES_H_

#include <cstdint>
#include <string>

namespace muster {

struct DeviceFlags {
  uint64_t seed = 1;
  uint64_t effort = 100;  // percent of the pods
  std::string only;       // cases whose name has this text
  std::string config;     // the scheduler's configuration file, or ""
  std::string output = "table";
};

// Prints a row a case; "json" for programs. Returns the exit code: kExitFailed where a pod that fits was not placed, or
// one that does not fit was.
int MeasureDevices(const DeviceFlags& flags);

}  // namespace muster

#endif  // MUSTER_BENCH_PLACEMENT_DEVICES_H_
