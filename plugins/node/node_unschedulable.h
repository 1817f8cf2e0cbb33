// NodeUnschedulable: nodes with spec.unschedulable take only pods that tolerate it.
#ifndef MUSTER_PLUGINS_NODE_NODE_UNSCHEDULABLE_H_
#define MUSTER_PLUGINS_NODE_NODE_UNSCHEDULABLE_H_

#include <string_view>

#include "scheduler/framework/plugin.h"

namespace muster {

class NodeUnschedulable final : public PreFilterPlugin, public FilterPlugin {
 public:
  std::string_view Name() const override { return "NodeUnschedulable"; }
  ClusterEvents RequeueOn() const override { return kNodeAdded | kNodeTaint | kSelfTolerations; }
  bool MayHelp(const Pod& pod, const ClusterEvent& event) const override;
  absl::StatusOr<Outcome> PreFilter(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                    NodeSet& candidates) const override;
  absl::Status Filter(const PodInfo& pod, const Snapshot& snap, const CycleState& state,
                      Feasible& nodes) const override;
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_NODE_NODE_UNSCHEDULABLE_H_
