// A profile's plugins: what the file says about them, and what comes out of it with the defaults.
#ifndef MUSTER_SCHEDULER_FRAMEWORK_CONFIG_PROFILE_H_
#define MUSTER_SCHEDULER_FRAMEWORK_CONFIG_PROFILE_H_

#include <array>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "scheduler/framework/config/yaml_value.h"
#include "scheduler/framework/configuration.h"
#include "scheduler/framework/registry.h"

namespace muster {

struct PluginEntry {
  std::string name;
  int32_t weight = 0;           // 0: not given
  std::optional<YamlValue> at;  // where the file names it; none: a default
};

struct PluginSet {
  std::vector<PluginEntry> enabled;
  std::set<std::string> disabled;  // "*": all
};

// One entry of `profiles`, as written; names exist in the registry.
struct ProfileSource {
  struct Args {
    PluginArgs args;
    YamlValue at;
  };
  std::string scheduler_name;
  PluginSet multi_point;
  std::array<PluginSet, kPoints> points;
  absl::btree_map<std::string, Args> args;
};

// Reads one entry of `profiles`. A percentageOfNodesToScore that is given adds to *notices.
ProfileSource ReadProfile(const YamlValue& value, const Registry& registry, std::vector<std::string>* notices);

// Adds the defaults, expands multiPoint and orders the plugins of each extension point, as
// kube-scheduler does. Errors about the profile as a whole are reported at `at`.
ProfileConfig BuildProfile(const ProfileSource& source, const Registry& registry, const YamlValue& at);

// Accepts 0..100 with a notice, as all nodes are looked at anyway.
void ReadPercentageOfNodesToScore(YamlObject& object, std::vector<std::string>* notices);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_FRAMEWORK_CONFIG_PROFILE_H_
