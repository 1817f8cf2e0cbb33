// What the commands that work in memory read: a configuration and manifests.
#ifndef MUSTER_SCHEDULER_COMMAND_INPUTS_H_
#define MUSTER_SCHEDULER_COMMAND_INPUTS_H_

#include <ostream>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "scheduler/framework/configuration.h"
#include "scheduler/framework/registry.h"
#include "scheduler/sim/manifests.h"

namespace muster {

struct Inputs {
  Configuration config;
  Manifests manifests;
};

// `config_path` "" stands for the default configuration. Pods that name no scheduler, or
// "default-scheduler" where no profile is called so, get the configuration's "muster" profile, or
// its first where there is none. Notices go to `err`.
// Errors are for the user: they name file, line and field.
absl::StatusOr<Inputs> ReadInputs(std::span<const std::string> files, const std::string& config_path,
                                  const Registry& registry, std::ostream& err);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_COMMAND_INPUTS_H_
