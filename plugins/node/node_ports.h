// NodePorts: no two pods of a node may hold the same host port.
#ifndef MUSTER_PLUGINS_NODE_NODE_PORTS_H_
#define MUSTER_PLUGINS_NODE_NODE_PORTS_H_

#include <string_view>

#include "scheduler/framework/plugin.h"

namespace muster {

class NodePorts final : public PreFilterPlugin, public FilterPlugin {
 public:
  std::string_view Name() const override { return "NodePorts"; }
  ClusterEvents RequeueOn() const override { return kNodeAdded | kPodRemoved; }
  bool MayHelp(const Pod& pod, const ClusterEvent& event) const override;
  absl::StatusOr<Outcome> PreFilter(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                    NodeSet& candidates) const override;
  absl::Status Filter(const PodInfo& pod, const Snapshot& snap, const CycleState& state,
                      Feasible& nodes) const override;
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_NODE_NODE_PORTS_H_
