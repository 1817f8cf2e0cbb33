// VolumeBinding: the pod's claims must be bound to volumes that are reachable from the node, or find
// such volumes there, or be provisioned from there.
#ifndef MUSTER_PLUGINS_VOLUME_VOLUME_BINDING_H_
#define MUSTER_PLUGINS_VOLUME_VOLUME_BINDING_H_

#include <memory>
#include <string_view>
#include <vector>

#include "plugins/resources/resource_score.h"
#include "scheduler/framework/plugin.h"
#include "scheduler/framework/plugin_args.h"

namespace muster {

class VolumeBinding final : public PreFilterPlugin,
                            public FilterPlugin,
                            public PreScorePlugin,
                            public ScorePlugin,
                            public ReservePlugin,
                            public PreBindPlugin {
 public:
  static absl::StatusOr<std::unique_ptr<Plugin>> Make(const PluginArgs& args);

  std::string_view Name() const override { return "VolumeBinding"; }
  ClusterEvents RequeueOn() const override {
    return kStorageClassAdded | kStorageClassUpdated | kClaimAdded | kClaimUpdated | kVolumeAdded | kVolumeUpdated |
           kNodeAdded | kNodeLabel | kCSINodeAdded | kCSINodeUpdated | kCSIDriverUpdated | kStorageCapacityAdded |
           kStorageCapacityUpdated;
  }
  bool MayHelp(const Pod& pod, const ClusterEvent& event) const override;
  absl::StatusOr<Outcome> PreFilter(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                    NodeSet& candidates) const override;
  absl::Status Filter(const PodInfo& pod, const Snapshot& snap, const CycleState& state,
                      Feasible& nodes) const override;
  absl::StatusOr<Outcome> PreScore(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                   const NodeSet& feasible) const override;
  absl::Status Score(const PodInfo& pod, const Snapshot& snap, const CycleState& state, const NodeSet& feasible,
                     WordRange range, int64_t* out) const override;
  // Assumes the volumes bound to the claims, and the node selected for those to be provisioned.
  Outcome Reserve(const PodOnNode& pod, const Snapshot& snap, NodeIndex node, Statement& statement) const override;
  Outcome PreBind(const PodOnNode& pod, const Snapshot& snap, NodeIndex node,
                  std::vector<Intent>& intents) const override;

 private:
  explicit VolumeBinding(const VolumeBindingArgs& args)
      : timeout_(absl::Seconds(args.bind_timeout_seconds)), scores_(ScoresOfShape(args.shape)) {}

  const Duration timeout_;
  const UtilizationScores scores_;
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_VOLUME_VOLUME_BINDING_H_
