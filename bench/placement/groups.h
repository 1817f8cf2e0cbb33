// Measures what deciding about groups costs: gangs of GPU pods on a part-filled cluster of racks.
#ifndef MUSTER_BENCH_PLACEMENT_GROUPS_H_
#define MUSTER_BENCH_PLACEMENT_GROUPS_H_

#include <cstdint>
#include <string>

namespace muster {

struct GroupFlags {
  uint64_t seed = 1;
  uint64_t effort = 100;  // hundredths of how many gangs each case decides
  std::string only;       // cases whose name has this text
  std::string config;     // the scheduler's configuration file, or ""
  std::string output = "table";
};

// Prints a row a case; "json" for programs, with what the cluster was filled with. Returns the exit code.
int MeasureGroups(const GroupFlags& flags);

}  // namespace muster

#endif  // MUSTER_BENCH_PLACEMENT_GROUPS_H_
