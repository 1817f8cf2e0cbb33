// NodeDeclaredFeatures: a pod that asks for a feature of the kubelet's goes where it is declared.
#ifndef MUSTER_PLUGINS_NODE_NODE_DECLARED_FEATURES_H_
#define MUSTER_PLUGINS_NODE_NODE_DECLARED_FEATURES_H_

#include <string_view>

#include "scheduler/framework/plugin.h"

namespace muster {

class NodeDeclaredFeatures final : public PreFilterPlugin, public PerNodeFilter<NodeDeclaredFeatures> {
 public:
  static constexpr Reason kReason{"node(s) didn't match Pod's required features"};

  std::string_view Name() const override { return "NodeDeclaredFeatures"; }
  ClusterEvents RequeueOn() const override { return kNodeAdded | kNodeDeclaredFeature | kSelfUpdated; }
  bool MayHelp(const Pod& pod, const ClusterEvent& event) const override;
  absl::StatusOr<Outcome> PreFilter(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                    NodeSet& candidates) const override;
  bool Fits(const PodInfo& pod, const Snapshot& snap, const CycleState& state, NodeIndex n) const;
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_NODE_NODE_DECLARED_FEATURES_H_
