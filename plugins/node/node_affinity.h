// NodeAffinity: spec.nodeSelector and spec.affinity.nodeAffinity, and the affinity that the
// configuration adds to every pod.
#ifndef MUSTER_PLUGINS_NODE_NODE_AFFINITY_H_
#define MUSTER_PLUGINS_NODE_NODE_AFFINITY_H_

#include <memory>
#include <string_view>
#include <utility>

#include "scheduler/framework/plugin.h"
#include "scheduler/framework/plugin_args.h"

namespace muster {

class NodeAffinityPlugin final : public PreFilterPlugin,
                                 public FilterPlugin,
                                 public PreScorePlugin,
                                 public ScorePlugin {
 public:
  // Errors: terms of the added affinity that cannot be interpreted.
  static absl::StatusOr<std::unique_ptr<Plugin>> Make(const PluginArgs& args);

  std::string_view Name() const override { return "NodeAffinity"; }
  ClusterEvents RequeueOn() const override { return kNodeAdded | kNodeLabel; }
  bool MayHelp(const Pod& pod, const ClusterEvent& event) const override;
  absl::StatusOr<Outcome> PreFilter(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                    NodeSet& candidates) const override;
  absl::Status Filter(const PodInfo& pod, const Snapshot& snap, const CycleState& state,
                      Feasible& nodes) const override;
  // Errors: preferred terms of the pod that cannot be interpreted (upstream ends the cycle too).
  absl::StatusOr<Outcome> PreScore(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                   const NodeSet& feasible) const override;
  absl::Status Score(const PodInfo& pod, const Snapshot& snap, const CycleState& state, const NodeSet& feasible,
                     WordRange range, int64_t* out) const override;
  Normalization normalization() const override { return Normalization::kByMax; }

 private:
  explicit NodeAffinityPlugin(NodeAffinity added) : added_(std::move(added)) {}

  NodeAffinity added_;
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_NODE_NODE_AFFINITY_H_
