// Typed plugin arguments out of `profiles[].pluginConfig[].args`.
#ifndef MUSTER_SCHEDULER_FRAMEWORK_CONFIG_PLUGIN_ARGS_READER_H_
#define MUSTER_SCHEDULER_FRAMEWORK_CONFIG_PLUGIN_ARGS_READER_H_

#include <string>

#include "scheduler/framework/config/yaml_value.h"
#include "scheduler/framework/plugin_args.h"

namespace muster {

// The arguments that `plugin` gets, with upstream's defaults for what is left out; `defaults` tells
// which alternative it takes. What is wrong is reported through `value`.
PluginArgs ReadPluginArgs(const std::string& plugin, const PluginArgs& defaults, const YamlValue& value);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_FRAMEWORK_CONFIG_PLUGIN_ARGS_READER_H_
