#include "plugins/node/node_unschedulable.h"

#include "plugins/node/tolerations.h"

namespace muster {
namespace {

constexpr Reason kUnschedulableNode{"node(s) were unschedulable"};

bool ToleratesUnschedulable(const PodSpec& spec) {
  static const Taint* const taint = new Taint{"node.kubernetes.io/unschedulable", "", TaintEffect::kNoSchedule};
  return Tolerates(spec.tolerations, *taint);
}

}  // namespace

bool NodeUnschedulable::MayHelp(const Pod& pod, const ClusterEvent& event) const {
  if ((event.what & kSelfTolerations) != 0) {
    const Pod& changed = event.new_pod != nullptr ? *event.new_pod : pod;
    if (ToleratesUnschedulable(*changed.spec)) return true;
  }
  if ((event.what & (kNodeAdded | kNodeTaint)) == 0 || event.new_node == nullptr) return false;
  return !event.new_node->unschedulable && (event.old_node == nullptr || event.old_node->unschedulable);
}

absl::StatusOr<Outcome> NodeUnschedulable::PreFilter(const PodInfo&, const Snapshot&, CycleState&, NodeSet&) const {
  return Outcome::Success();
}

absl::Status NodeUnschedulable::Filter(const PodInfo& pod, const Snapshot& snap, const CycleState&,
                                       Feasible& nodes) const {
  if (!ToleratesUnschedulable(*pod.spec)) nodes.RejectAll(snap.unschedulable(), kUnschedulableNode);
  return absl::OkStatus();
}

}  // namespace muster
