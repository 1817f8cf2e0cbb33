// Makes room for a pod of higher priority by evicting others from one node.
#ifndef MUSTER_PLUGINS_PREEMPTION_DEFAULT_PREEMPTION_H_
#define MUSTER_PLUGINS_PREEMPTION_DEFAULT_PREEMPTION_H_

#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "scheduler/framework/plugin.h"
#include "scheduler/framework/plugin_args.h"

namespace muster {

// Proposes; the engine evicts. What it finds out about a node is kept for the shape until something
// changes there, so that many equal pods cost little more than one.
class DefaultPreemption final : public PostFilterPlugin, public PreEnqueuePlugin {
 public:
  explicit DefaultPreemption(const DefaultPreemptionArgs& args) : args_(args) {}
  static absl::StatusOr<std::unique_ptr<Plugin>> Make(const PluginArgs& args);

  std::string_view Name() const override { return "DefaultPreemption"; }
  ClusterEvents RequeueOn() const override { return kPodRemoved; }
  // The plugins that rejected the pod know better what can help it.
  bool MayHelp(const Pod&, const ClusterEvent&) const override { return false; }
  // The engine itself holds a pod back while its victims' evictions are on their way.
  Outcome PreEnqueue(const Pod&, const ClusterObjects&) const override { return Outcome::Success(); }
  PostFilterResult PostFilter(const PostFilterRequest& request, CycleState& memo) const override;

  // How many candidates are enough, of so many nodes where removing pods may help.
  size_t CandidatesWanted(size_t nodes) const;

 private:
  const DefaultPreemptionArgs args_;
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_PREEMPTION_DEFAULT_PREEMPTION_H_
