// VolumeRestrictions: disks that only one node may write, and claims that only one pod may use
// (ReadWriteOncePod).
#ifndef MUSTER_PLUGINS_VOLUME_VOLUME_RESTRICTIONS_H_
#define MUSTER_PLUGINS_VOLUME_VOLUME_RESTRICTIONS_H_

#include <span>
#include <string_view>

#include "scheduler/framework/plugin.h"

namespace muster {

class VolumeRestrictions final : public PreFilterPlugin, public FilterPlugin, public CrossNodePlugin {
 public:
  std::string_view Name() const override { return "VolumeRestrictions"; }
  ClusterEvents RequeueOn() const override { return kPodRemoved | kNodeAdded | kClaimAdded; }
  bool MayHelp(const Pod& pod, const ClusterEvent& event) const override;
  absl::StatusOr<Outcome> PreFilter(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                    NodeSet& candidates) const override;
  absl::Status Filter(const PodInfo& pod, const Snapshot& snap, const CycleState& state,
                      Feasible& nodes) const override;
  bool Recount(const PodInfo& pod, const Snapshot& snap, std::span<const NodeIndex> rows,
               CycleState& state) const override;
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_VOLUME_VOLUME_RESTRICTIONS_H_
