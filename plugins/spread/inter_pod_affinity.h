// InterPodAffinity: pods beside, or away from, pods that their terms select, by topology domain;
// terms of pods that run already count against and for the new one too. Source of rules, messages
// and formulas: kube-scheduler's plugin of that name.
#ifndef MUSTER_PLUGINS_SPREAD_INTER_POD_AFFINITY_H_
#define MUSTER_PLUGINS_SPREAD_INTER_POD_AFFINITY_H_

#include <memory>
#include <string_view>
#include <utility>

#include "scheduler/framework/plugin.h"
#include "scheduler/framework/plugin_args.h"

namespace muster {

class InterPodAffinity final : public PreFilterPlugin,
                               public FilterPlugin,
                               public PreScorePlugin,
                               public ScorePlugin,
                               public CrossNodePlugin {
 public:
  static absl::StatusOr<std::unique_ptr<Plugin>> Make(const PluginArgs& args);

  std::string_view Name() const override { return "InterPodAffinity"; }
  ClusterEvents RequeueOn() const override {
    return kPodAdded | kPodRemoved | kPodLabel | kSelfLabel | kNodeAdded | kNodeLabel;
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
  bool Recount(const PodInfo& pod, const Snapshot& snap, std::span<const NodeIndex> rows,
               CycleState& state) const override;

 private:
  explicit InterPodAffinity(InterPodAffinityArgs args) : args_(args) {}

  InterPodAffinityArgs args_;
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_SPREAD_INTER_POD_AFFINITY_H_
