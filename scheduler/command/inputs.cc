#include "scheduler/command/inputs.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "scheduler/framework/config/config.h"
#include "scheduler/sim/sim_event_loop.h"

namespace muster {

absl::StatusOr<Inputs> ReadInputs(std::span<const std::string> files, const std::string& config_path,
                                  const Registry& registry, std::ostream& err) {
  Inputs inputs;
  if (config_path.empty()) {
    inputs.config = DefaultConfiguration(registry);
  } else {
    auto config = LoadConfiguration(config_path, registry);
    if (!config.ok()) return config.status();
    inputs.config = *std::move(config);
  }
  const auto& profiles = inputs.config.profiles;
  const auto named = [&](std::string_view name) {
    return std::find_if(profiles.begin(), profiles.end(),
                        [&](const ProfileConfig& profile) { return profile.scheduler_name == name; });
  };
  const auto muster = named("muster");
  ManifestOptions options;
  options.scheduler_name = (muster == profiles.end() ? profiles.begin() : muster)->scheduler_name;
  options.default_scheduler_is_no_name = named("default-scheduler") == profiles.end();
  options.start = SimEventLoop::Epoch();
  auto manifests = ReadManifests(files, options);
  if (!manifests.ok()) return manifests.status();
  inputs.manifests = *std::move(manifests);
  for (const auto* notices : {&inputs.config.notices, &inputs.manifests.notices}) {
    for (const std::string& notice : *notices) err << "muster: " << notice << "\n";
  }
  return inputs;
}

}  // namespace muster
