// Which plugins exist, what they implement and how they are made. plugins/all.cc fills it.
#ifndef MUSTER_SCHEDULER_FRAMEWORK_REGISTRY_H_
#define MUSTER_SCHEDULER_FRAMEWORK_REGISTRY_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "scheduler/framework/plugin.h"
#include "scheduler/framework/plugin_args.h"

namespace muster {

// The extension points, in the order in which a cycle meets them.
enum class Point : uint8_t {
  kPreEnqueue,
  kQueueSort,
  kPreFilter,
  kFilter,
  kPostFilter,
  kPreScore,
  kScore,
  kReserve,
  kPermit,
  kPreBind,
  kBind,
  kPostBind,
  kPlacementGenerate,
  kPlacementScore,
};
inline constexpr int kPoints = 14;

// "preEnqueue", "queueSort", ...: the field name in `profiles[].plugins`.
std::string_view ConfigName(Point point);

// Whether the plugin implements the extension point.
bool Implements(const Plugin& plugin, Point point);

class Registry {
 public:
  // Errors name what is wrong with the arguments, as a path below `args` ("scoringStrategy.type: ...").
  using Factory = std::function<absl::StatusOr<std::unique_ptr<Plugin>>(const PluginArgs& args)>;

  struct Entry {
    std::string name;
    Factory make;
    PluginArgs default_args;     // also tells which alternative of PluginArgs the plugin takes
    int32_t default_weight = 0;  // Score weight in the default profile
  };

  // In default-profile order: what `multiPoint` enables when a profile names nothing.
  void Add(Entry entry) { entries_.push_back(std::move(entry)); }
  const Entry* Find(std::string_view name) const;
  const std::vector<Entry>& entries() const { return entries_; }
  // Plugins of kube-scheduler that this build does not have yet: naming one is an error of its own.
  void AddMissing(std::string name) { missing_.push_back(std::move(name)); }
  bool IsMissing(std::string_view name) const;

 private:
  std::vector<Entry> entries_;
  std::vector<std::string> missing_;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_FRAMEWORK_REGISTRY_H_
