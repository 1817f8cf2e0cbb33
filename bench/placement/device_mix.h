// Measures how many pods get devices where requests of all sizes come and go: devices chosen by score, and in first
// fit.
#ifndef MUSTER_BENCH_PLACEMENT_DEVICE_MIX_H_
#define MUSTER_BENCH_PLACEMENT_DEVICE_MIX_H_

#include <cstdint>
#include <string>

namespace muster {

struct DeviceMixFlags {
  uint64_t seed = 1, seeds = 10;  // the first, and how many
  uint64_t effort = 100;          // percent of the arrivals
  std::string only;               // mixes whose name has this text
  std::string config;             // the scheduler's configuration file, or ""
  std::string output = "table";
};

// Prints a row a mix; "json" for programs. Returns the exit code: kExitFailed where a mean over the seeds is less than
// that of first fit.
int MeasureDeviceMixes(const DeviceMixFlags& flags);

}  // namespace muster

#endif  // MUSTER_BENCH_PLACEMENT_DEVICE_MIX_H_
