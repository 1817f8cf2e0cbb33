// TaintToleration: nodes with untolerated NoSchedule or NoExecute taints are out; the fewer
// untolerated PreferNoSchedule taints a node has, the better.
#ifndef MUSTER_PLUGINS_NODE_TAINT_TOLERATION_H_
#define MUSTER_PLUGINS_NODE_TAINT_TOLERATION_H_

#include <string_view>

#include "scheduler/framework/plugin.h"

namespace muster {

class TaintToleration final : public PreFilterPlugin, public FilterPlugin, public PreScorePlugin, public ScorePlugin {
 public:
  std::string_view Name() const override { return "TaintToleration"; }
  ClusterEvents RequeueOn() const override { return kNodeAdded | kNodeTaint | kSelfTolerations; }
  bool MayHelp(const Pod& pod, const ClusterEvent& event) const override;
  absl::StatusOr<Outcome> PreFilter(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                    NodeSet& candidates) const override;
  absl::Status Filter(const PodInfo& pod, const Snapshot& snap, const CycleState& state,
                      Feasible& nodes) const override;
  absl::StatusOr<Outcome> PreScore(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                   const NodeSet& feasible) const override;
  absl::Status Score(const PodInfo& pod, const Snapshot& snap, const CycleState& state, const NodeSet& feasible,
                     WordRange range, int64_t* out) const override;
  Normalization normalization() const override { return Normalization::kByMaxReversed; }
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_NODE_TAINT_TOLERATION_H_
