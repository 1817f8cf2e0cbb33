// The scheduler's configuration that a benchmark runs with.
#ifndef MUSTER_BENCH_PLACEMENT_CONFIGURATION_H_
#define MUSTER_BENCH_PLACEMENT_CONFIGURATION_H_

#include <string>

#include "absl/status/statusor.h"
#include "scheduler/framework/config/config.h"

namespace muster {

// Of the file; the default where `path` is "".
inline absl::StatusOr<Configuration> ConfigurationOf(const std::string& path, const Registry& registry) {
  if (path.empty()) return DefaultConfiguration(registry);
  return LoadConfiguration(path, registry);
}

}  // namespace muster

#endif  // MUSTER_BENCH_PLACEMENT_CONFIGURATION_H_
