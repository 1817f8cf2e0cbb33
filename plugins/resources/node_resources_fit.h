// NodeResourcesFit: what the pod asks for must be free; how full nodes are decides their score.
#ifndef MUSTER_PLUGINS_RESOURCES_NODE_RESOURCES_FIT_H_
#define MUSTER_PLUGINS_RESOURCES_NODE_RESOURCES_FIT_H_

#include <memory>
#include <string_view>

#include "plugins/resources/resource_score.h"
#include "scheduler/framework/plugin.h"
#include "scheduler/framework/plugin_args.h"

namespace muster {

class NodeResourcesFit final : public PreFilterPlugin,
                               public FilterPlugin,
                               public CapacityPlugin,
                               public PreScorePlugin,
                               public ScorePlugin {
 public:
  static absl::StatusOr<std::unique_ptr<Plugin>> Make(const PluginArgs& args);

  std::string_view Name() const override { return "NodeResourcesFit"; }
  ClusterEvents RequeueOn() const override {
    return kNodeAdded | kNodeAllocatable | kPodRemoved | kPodScaledDown | kSelfScaledDown;
  }
  bool MayHelp(const Pod& pod, const ClusterEvent& event) const override;
  absl::StatusOr<Outcome> PreFilter(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                    NodeSet& candidates) const override;
  absl::Status Filter(const PodInfo& pod, const Snapshot& snap, const CycleState& state,
                      Feasible& nodes) const override;
  bool Limits(std::string_view resource) const override { return !Ignores(resource); }
  absl::StatusOr<Outcome> PreScore(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                   const NodeSet& feasible) const override;
  absl::Status Score(const PodInfo& pod, const Snapshot& snap, const CycleState& state, const NodeSet& feasible,
                     WordRange range, int64_t* out) const override;

 private:
  explicit NodeResourcesFit(NodeResourcesFitArgs args);
  bool Ignores(std::string_view resource) const;

  NodeResourcesFitArgs args_;
  UtilizationScores utilization_scores_ = {};  // kRequestedToCapacityRatio only
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_RESOURCES_NODE_RESOURCES_FIT_H_
