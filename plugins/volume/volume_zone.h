// VolumeZone: the zone and region labels of the pod's bound volumes must be those of the node.
#ifndef MUSTER_PLUGINS_VOLUME_VOLUME_ZONE_H_
#define MUSTER_PLUGINS_VOLUME_VOLUME_ZONE_H_

#include <string_view>

#include "scheduler/framework/plugin.h"

namespace muster {

class VolumeZone final : public PreFilterPlugin, public FilterPlugin {
 public:
  std::string_view Name() const override { return "VolumeZone"; }
  ClusterEvents RequeueOn() const override {
    return kStorageClassAdded | kNodeAdded | kNodeLabel | kClaimAdded | kClaimUpdated | kVolumeAdded | kVolumeUpdated;
  }
  bool MayHelp(const Pod& pod, const ClusterEvent& event) const override;
  absl::StatusOr<Outcome> PreFilter(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                    NodeSet& candidates) const override;
  absl::Status Filter(const PodInfo& pod, const Snapshot& snap, const CycleState& state,
                      Feasible& nodes) const override;
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_VOLUME_VOLUME_ZONE_H_
