// PodTopologySpread: equal pods over topology domains, hard (DoNotSchedule) and soft
// (ScheduleAnyway). Source of rules, messages and formulas: kube-scheduler's plugin of that name.
#ifndef MUSTER_PLUGINS_SPREAD_POD_TOPOLOGY_SPREAD_H_
#define MUSTER_PLUGINS_SPREAD_POD_TOPOLOGY_SPREAD_H_

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "scheduler/framework/plugin.h"
#include "scheduler/framework/plugin_args.h"

namespace muster {

class PodTopologySpread final : public PreFilterPlugin,
                                public FilterPlugin,
                                public PreScorePlugin,
                                public ScorePlugin,
                                public CrossNodePlugin {
 public:
  static absl::StatusOr<std::unique_ptr<Plugin>> Make(const PluginArgs& args);

  std::string_view Name() const override { return "PodTopologySpread"; }
  ClusterEvents RequeueOn() const override {
    return kPodAdded | kPodRemoved | kPodLabel | kSelfTolerations | kSelfLabel | kNodeAdded | kNodeRemoved |
           kNodeLabel | kNodeTaint;
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
  explicit PodTopologySpread(PodTopologySpreadArgs args) : args_(std::move(args)) {}

  // The pod's constraints of one kind, or the defaults where it has none of either kind; with the
  // column that counts the pods meant (kNoColumn: none ever).
  struct Asked {
    const SpreadConstraint* constraint;
    ColumnId column;
    bool selects_itself;
  };
  std::vector<Asked> Constraints(const PodInfo& pod, bool hard) const;

  PodTopologySpreadArgs args_;
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_SPREAD_POD_TOPOLOGY_SPREAD_H_
