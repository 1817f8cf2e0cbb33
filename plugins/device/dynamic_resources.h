// DynamicResources: the pod's ResourceClaims must have devices that the node reaches, or get them there.
#ifndef MUSTER_PLUGINS_DEVICE_DYNAMIC_RESOURCES_H_
#define MUSTER_PLUGINS_DEVICE_DYNAMIC_RESOURCES_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/framework/plugin.h"
#include "scheduler/framework/plugin_args.h"
#include "scheduler/model/device/pod_claims.h"
#include "topology/device/allocator.h"
#include "topology/device/device_selectors.h"

namespace muster {

class DynamicResources final : public PreEnqueuePlugin,
                               public PreFilterPlugin,
                               public FilterPlugin,
                               public CrossNodePlugin,  // devices that several nodes reach
                               public PostFilterPlugin,
                               public PreScorePlugin,
                               public ScorePlugin,
                               public ReservePlugin,
                               public PreBindPlugin {
 public:
  // What the reasons of a node begin with where DynamicResourcesArgs::nodes_fail_alone made them of an error.
  static constexpr char kFatalMark = '\1';

  static absl::StatusOr<std::unique_ptr<Plugin>> Make(const PluginArgs& args);

  std::string_view Name() const override { return "DynamicResources"; }
  ClusterEvents RequeueOn() const override {
    return kNodeAdded | kNodeLabel | kNodeAllocatable | kResourceClaimChanged | kSelfClaims | kDevicesChanged;
  }
  bool MayHelp(const Pod& pod, const ClusterEvent& event) const override;
  Outcome PreEnqueue(const Pod& pod, const ClusterObjects& objects) const override;
  absl::StatusOr<Outcome> PreFilter(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                    NodeSet& candidates) const override;
  absl::Status Filter(const PodInfo& pod, const Snapshot& snap, const CycleState& state,
                      Feasible& nodes) const override;
  bool Recount(const PodInfo&, const Snapshot&, std::span<const NodeIndex>, CycleState&) const override {
    return false;  // what nodes share is asked about anew
  }
  PostFilterResult PostFilter(const PostFilterRequest& request, CycleState& memo) const override;
  absl::StatusOr<Outcome> PreScore(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                   const NodeSet& feasible) const override;
  // Earlier alternatives, the more the better, as kube-scheduler. Without the first fit also what the devices' loss
  // (topology/device/device_order) leaves: alone, or where alternatives tell nodes apart a tenth, which is less than
  // the next alternative is worth.
  absl::Status Score(const PodInfo& pod, const Snapshot& snap, const CycleState& state, const NodeSet& feasible,
                     WordRange range, int64_t* out) const override;
  // Assumes the claims allocated and reserved.
  Outcome Reserve(const PodOnNode& pod, const Snapshot& snap, NodeIndex node, Statement& statement) const override;
  Outcome PreBind(const PodOnNode& pod, const Snapshot& snap, NodeIndex node,
                  std::vector<Intent>& intents) const override;

  // What Reserve would take there for the claims that have no allocation, which `claims` gets.
  DeviceOutcome Allocate(const Pod& pod, const Snapshot& snap, NodeIndex node, std::vector<ClaimPtr>* claims) const;

 private:
  struct State;
  struct Row;

  explicit DynamicResources(const DynamicResourcesArgs& args);
  void Look(const Snapshot& snap) const;
  DeviceOutcome Run(const Snapshot& snap, NodeIndex node, std::span<const ResourceClaim* const> claims,
                    int64_t better_limit) const;
  bool Available(const State& made, const Node& node) const;
  Row AskAllocator(const State& made, const Snapshot& snap, NodeIndex n) const;
  std::string ShareId() const;

  const bool nodes_fail_alone_;
  const DeviceChoice choice_;
  // What is remembered of the snapshot asked last, from one pod to the next. Decision thread only, as all that looks
  // across nodes.
  mutable const DeviceColumns* devices_ = nullptr;
  mutable const ClusterObjects* objects_ = nullptr;
  mutable uint64_t forgotten_ = 0;
  mutable DeviceSelectors selectors_;
  mutable std::unique_ptr<DeviceAllocator> allocator_;
  mutable uint64_t share_seed_ = 0;
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_DEVICE_DYNAMIC_RESOURCES_H_
