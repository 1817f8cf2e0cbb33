// NodeVolumeLimits: how many volumes of a CSI driver fit on a node (CSINode), and whether a driver that
// asks for it is there at all.
#ifndef MUSTER_PLUGINS_VOLUME_NODE_VOLUME_LIMITS_H_
#define MUSTER_PLUGINS_VOLUME_NODE_VOLUME_LIMITS_H_

#include <string_view>

#include "scheduler/framework/plugin.h"

namespace muster {

class NodeVolumeLimits final : public PreFilterPlugin, public FilterPlugin {
 public:
  std::string_view Name() const override { return "NodeVolumeLimits"; }
  ClusterEvents RequeueOn() const override {
    return kCSINodeAdded | kCSINodeUpdated | kPodRemoved | kClaimAdded | kVolumeAttachmentDeleted;
  }
  bool MayHelp(const Pod& pod, const ClusterEvent& event) const override;
  absl::StatusOr<Outcome> PreFilter(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                    NodeSet& candidates) const override;
  // Errors: volumes, of the pod or of others, that upstream cannot count either.
  absl::Status Filter(const PodInfo& pod, const Snapshot& snap, const CycleState& state,
                      Feasible& nodes) const override;
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_VOLUME_NODE_VOLUME_LIMITS_H_
