// NodeName: a pod that names its node runs there or nowhere.
#ifndef MUSTER_PLUGINS_NODE_NODE_NAME_H_
#define MUSTER_PLUGINS_NODE_NODE_NAME_H_

#include <string_view>

#include "scheduler/framework/plugin.h"

namespace muster {

class NodeName final : public PreFilterPlugin, public FilterPlugin {
 public:
  std::string_view Name() const override { return "NodeName"; }
  ClusterEvents RequeueOn() const override { return kNodeAdded; }
  absl::StatusOr<Outcome> PreFilter(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                    NodeSet& candidates) const override;
  absl::Status Filter(const PodInfo& pod, const Snapshot& snap, const CycleState& state,
                      Feasible& nodes) const override;
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_NODE_NODE_NAME_H_
