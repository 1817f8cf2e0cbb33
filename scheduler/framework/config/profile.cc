#include "scheduler/framework/config/profile.h"

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "scheduler/framework/config/plugin_args_reader.h"

namespace muster {
namespace {

constexpr char kNodesNotice[] =
    "percentageOfNodesToScore has no effect: Muster looks at all nodes, which costs it little.";

// Whether the plugin can be enabled here; else says why not.
bool CheckPlugin(const std::string& name, const Registry& registry, const YamlValue& at) {
  if (registry.Find(name) != nullptr) return true;
  at.Error(registry.IsMissing(name)
               ? absl::StrCat("plugin ", name, " is part of kube-scheduler but not of this build of Muster")
               : absl::StrCat("there is no plugin \"", name, "\""));
  return false;
}

// Reads {name, weight}; an empty name where it is missing or wrong, which is reported.
PluginEntry ReadPluginEntry(const YamlValue& value) {
  YamlObject object(value);
  PluginEntry entry{.name = "", .weight = 0, .at = value};
  object.ReadName("name", "must name a plugin", &entry.name);
  if (object.Read("weight", &entry.weight) && entry.weight < 0)
    object.Error("weight", absl::StrCat(entry.weight, " is negative; to leave a plugin out, disable it"));
  return entry;
}

PluginSet ReadPluginSet(const YamlValue& value, const Registry& registry) {
  YamlObject object(value);
  PluginSet set;
  if (const auto enabled = object.Take("enabled")) {
    std::set<std::string> seen;
    for (const YamlValue& element : enabled->Elements()) {
      PluginEntry entry = ReadPluginEntry(element);
      if (entry.name.empty() || !CheckPlugin(entry.name, registry, element)) continue;
      if (seen.insert(entry.name).second) {
        set.enabled.push_back(std::move(entry));
      } else {
        element.Error(absl::StrCat("plugin ", entry.name, " is enabled twice"));
      }
    }
  }
  if (const auto disabled = object.Take("disabled")) {
    for (const YamlValue& element : disabled->Elements()) {
      PluginEntry entry = ReadPluginEntry(element);
      // A plugin that this build lacks is as good as disabled: such a file need not be changed.
      if (!entry.name.empty() && entry.name != "*" && !registry.IsMissing(entry.name))
        CheckPlugin(entry.name, registry, element);
      set.disabled.insert(std::move(entry.name));
    }
  }
  return set;
}

void ReadPlugins(const YamlValue& value, const Registry& registry, ProfileSource* source) {
  YamlObject object(value);
  if (const auto set = object.Take("multiPoint")) source->multi_point = ReadPluginSet(*set, registry);
  for (int i = 0; i < kPoints; ++i) {
    if (const auto set = object.Take(ConfigName(static_cast<Point>(i))))
      source->points[static_cast<size_t>(i)] = ReadPluginSet(*set, registry);
  }
  if (const auto set = object.Take("podGroupPostFilter")) {
    if (!ReadPluginSet(*set, registry).enabled.empty())
      set->Error("Muster has no such extension point: a group's postFilter is the one of its pods");
  }
}

void ReadPluginConfig(const YamlValue& list, const Registry& registry, ProfileSource* source) {
  for (const YamlValue& element : list.Elements()) {
    YamlObject object(element);
    std::string name;
    const std::optional<YamlValue> args = object.Take("args");
    if (!object.ReadName("name", "must name a plugin", &name) || !CheckPlugin(name, registry, element)) continue;
    const PluginArgs& defaults = registry.Find(name)->default_args;
    PluginArgs read = args ? ReadPluginArgs(name, defaults, *args) : defaults;
    if (!source->args.try_emplace(name, ProfileSource::Args{std::move(read), args.value_or(element)}).second)
      element.Error(absl::StrCat("plugin ", name, " is configured twice"));
  }
}

// kube-scheduler's merge: defaults that are not disabled, in their order, re-configured in place
// where the profile names them; then what else the profile enables.
std::vector<PluginEntry> MergeMultiPoint(const PluginSet& custom, const Registry& registry) {
  std::vector<PluginEntry> merged;
  std::set<std::string> replaced;
  if (custom.disabled.count("*") == 0) {
    for (const Registry::Entry& entry : registry.entries()) {
      if (custom.disabled.count(entry.name) != 0) continue;
      const auto same = [&](const PluginEntry& other) { return other.name == entry.name; };
      const auto it = std::find_if(custom.enabled.begin(), custom.enabled.end(), same);
      if (it == custom.enabled.end()) {
        merged.push_back({entry.name, entry.default_weight, std::nullopt});
      } else {
        merged.push_back(*it);
        replaced.insert(entry.name);
      }
    }
  }
  for (const PluginEntry& entry : custom.enabled) {
    if (replaced.count(entry.name) == 0) merged.push_back(entry);
  }
  return merged;
}

using Instances = absl::btree_map<std::string, std::unique_ptr<Plugin>>;

// The plugins of one extension point, in kube-scheduler's order: those enabled both here and by
// multiPoint (in the order given here), those of multiPoint alone, those enabled here alone.
std::vector<PluginUse> ExpandPoint(Point point, const PluginSet& own, const std::vector<PluginEntry>& multi_point,
                                   const Instances& instances) {
  const bool scored = point == Point::kScore || point == Point::kPlacementScore;
  std::vector<PluginUse> overriding, expanded, rest;
  const auto add = [scored](std::vector<PluginUse>& to, const PluginEntry& entry) {
    to.push_back({entry.name, scored ? std::max(entry.weight, 1) : 0});
  };
  const auto expands = [&](const std::string& name) {
    const auto it = instances.find(name);
    return own.disabled.count("*") == 0 && own.disabled.count(name) == 0 && it != instances.end() &&
           Implements(*it->second, point);
  };
  const auto in = [](const std::vector<PluginEntry>& entries, const std::string& name) {
    return std::any_of(entries.begin(), entries.end(), [&](const PluginEntry& entry) { return entry.name == name; });
  };
  for (const PluginEntry& entry : own.enabled)
    add(in(multi_point, entry.name) && expands(entry.name) ? overriding : rest, entry);
  for (const PluginEntry& entry : multi_point) {
    if (expands(entry.name) && !in(own.enabled, entry.name)) add(expanded, entry);
  }
  overriding.insert(overriding.end(), expanded.begin(), expanded.end());
  overriding.insert(overriding.end(), rest.begin(), rest.end());
  return overriding;
}

std::string Names(const std::vector<PluginUse>& plugins) {
  return absl::StrJoin(plugins, ", ", [](std::string* out, const PluginUse& use) { absl::StrAppend(out, use.name); });
}

// `error` is a path below the arguments and what is wrong there.
void ReportArgs(const std::string& plugin, const YamlValue& args, const absl::Status& error) {
  const std::string message(error.message());
  const YamlValue place = args.Below(message.substr(0, message.find(": ")));
  args.errors()->Add(place.line(), args.path(), absl::StrCat("plugin ", plugin, ": ", message));
}

// Makes each plugin that is enabled anywhere, once: to know what it implements and that it takes
// its arguments.
Instances MakePlugins(const ProfileSource& source, const std::vector<PluginEntry>& multi_point,
                      const Registry& registry, const YamlValue& at, ProfileConfig* profile) {
  Instances instances;
  const auto make = [&](const PluginEntry& entry) {
    if (profile->args.contains(entry.name)) return;
    const Registry::Entry& known = *registry.Find(entry.name);
    const auto given = source.args.find(entry.name);
    const PluginArgs& args = given == source.args.end() ? known.default_args : given->second.args;
    profile->args.emplace(entry.name, args);
    absl::StatusOr<std::unique_ptr<Plugin>> plugin = known.make(args);
    if (plugin.ok()) {
      instances.emplace(entry.name, *std::move(plugin));
    } else if (at.errors()->empty()) {  // else it is likely what was reported already
      ReportArgs(entry.name, given == source.args.end() ? at : given->second.at, plugin.status());
    }
  };
  for (const PluginEntry& entry : multi_point) make(entry);
  for (const PluginSet& set : source.points) {
    for (const PluginEntry& entry : set.enabled) make(entry);
  }
  // Arguments of plugins that are not enabled must be right too.
  for (const auto& [name, given] : source.args) {
    if (profile->args.contains(name) || !at.errors()->empty()) continue;
    const auto plugin = registry.Find(name)->make(given.args);
    if (!plugin.ok()) ReportArgs(name, given.at, plugin.status());
  }
  return instances;
}

}  // namespace

void ReadPercentageOfNodesToScore(YamlObject& object, std::vector<std::string>* notices) {
  int32_t percentage = 0;
  if (!object.Read("percentageOfNodesToScore", &percentage)) return;
  if (percentage < 0 || percentage > 100) {
    object.Error("percentageOfNodesToScore", absl::StrCat(percentage, " is not in the range 0 to 100"));
  } else if (std::find(notices->begin(), notices->end(), kNodesNotice) == notices->end()) {
    notices->push_back(kNodesNotice);
  }
}

ProfileSource ReadProfile(const YamlValue& value, const Registry& registry, std::vector<std::string>* notices) {
  ProfileSource source;
  YamlObject object(value);
  object.Read("schedulerName", &source.scheduler_name);
  ReadPercentageOfNodesToScore(object, notices);
  if (const auto plugins = object.Take("plugins")) ReadPlugins(*plugins, registry, &source);
  if (const auto config = object.Take("pluginConfig")) ReadPluginConfig(*config, registry, &source);
  return source;
}

ProfileConfig BuildProfile(const ProfileSource& source, const Registry& registry, const YamlValue& at) {
  ProfileConfig profile;
  profile.scheduler_name = source.scheduler_name;
  const std::vector<PluginEntry> multi_point = MergeMultiPoint(source.multi_point, registry);
  const Instances instances = MakePlugins(source, multi_point, registry, at, &profile);
  for (size_t i = 0; i < kPoints; ++i) {
    const Point point = static_cast<Point>(i);
    for (const PluginEntry& entry : source.points[i].enabled) {
      const auto it = instances.find(entry.name);
      if (it != instances.end() && !Implements(*it->second, point))
        entry.at->Error(absl::StrCat("plugin ", entry.name, " has nothing to do at ", std::string(ConfigName(point))));
    }
    profile.points[i] = ExpandPoint(point, source.points[i], multi_point, instances);
  }
  if (!at.errors()->empty()) return profile;  // what follows may only be its consequence

  const std::string who = absl::StrCat("profile \"", profile.scheduler_name, "\"");
  if (const auto& sorts = profile.At(Point::kQueueSort); sorts.size() != 1)
    at.Error(absl::StrCat(who, " must have one queueSort plugin, but has ",
                          sorts.empty() ? std::string("none") : Names(sorts)));
  if (profile.At(Point::kBind).empty()) at.Error(absl::StrCat(who, " must have a bind plugin, but has none"));
  if (const auto& makers = profile.At(Point::kPlacementGenerate); makers.size() > 1)
    at.Error(absl::StrCat(who, " must have at most one placementGenerate plugin, but has ", Names(makers)));
  return profile;
}

}  // namespace muster
