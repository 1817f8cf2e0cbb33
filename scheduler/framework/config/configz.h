// The configuration in force, for /configz.
#ifndef MUSTER_SCHEDULER_FRAMEWORK_CONFIG_CONFIGZ_H_
#define MUSTER_SCHEDULER_FRAMEWORK_CONFIG_CONFIGZ_H_

#include <string>

#include "scheduler/framework/configuration.h"

namespace muster {

// {"componentconfig": a KubeSchedulerConfiguration, "musterconfig": a MusterConfiguration}, all
// defaults and multiPoint spelt out; either part can be read back to the same Configuration.
std::string ConfigzJson(const Configuration& config);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_FRAMEWORK_CONFIG_CONFIGZ_H_
