// Reads the scheduler's configuration file: a kubescheduler.config.k8s.io/v1
// KubeSchedulerConfiguration as users of kube-scheduler know it and, optionally, a
// muster.dev/v1alpha1 MusterConfiguration as a second document.
//
// Errors are InvalidArgument; the message has a line "FILE:LINE: FIELD.PATH: what is wrong" for
// each thing that is wrong, in the file's order. Nothing is accepted in silence: a field either
// works, or is an error, or earns a sentence in Configuration::notices.
#ifndef MUSTER_SCHEDULER_FRAMEWORK_CONFIG_CONFIG_H_
#define MUSTER_SCHEDULER_FRAMEWORK_CONFIG_CONFIG_H_

#include <string>

#include "absl/status/statusor.h"
#include "scheduler/framework/configuration.h"
#include "scheduler/framework/registry.h"

namespace muster {

absl::StatusOr<Configuration> LoadConfiguration(const std::string& path, const Registry& registry);

// `file_name` only names the text in errors.
absl::StatusOr<Configuration> ParseConfiguration(const std::string& text, const std::string& file_name,
                                                 const Registry& registry);

// What holds where no file is given: one profile, "muster", with all of the registry's plugins.
// Requires: those make a valid profile.
Configuration DefaultConfiguration(const Registry& registry);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_FRAMEWORK_CONFIG_CONFIG_H_
