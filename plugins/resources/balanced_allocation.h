// NodeResourcesBalancedAllocation: nodes whose resources the pod makes more evenly used are better.
#ifndef MUSTER_PLUGINS_RESOURCES_BALANCED_ALLOCATION_H_
#define MUSTER_PLUGINS_RESOURCES_BALANCED_ALLOCATION_H_

#include <memory>
#include <string_view>
#include <utility>

#include "scheduler/framework/plugin.h"
#include "scheduler/framework/plugin_args.h"

namespace muster {

class BalancedAllocation final : public PreScorePlugin, public ScorePlugin {
 public:
  static absl::StatusOr<std::unique_ptr<Plugin>> Make(const PluginArgs& args);

  std::string_view Name() const override { return "NodeResourcesBalancedAllocation"; }
  absl::StatusOr<Outcome> PreScore(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                   const NodeSet& feasible) const override;
  absl::Status Score(const PodInfo& pod, const Snapshot& snap, const CycleState& state, const NodeSet& feasible,
                     WordRange range, int64_t* out) const override;

 private:
  explicit BalancedAllocation(NodeResourcesBalancedAllocationArgs args) : args_(std::move(args)) {}

  NodeResourcesBalancedAllocationArgs args_;
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_RESOURCES_BALANCED_ALLOCATION_H_
