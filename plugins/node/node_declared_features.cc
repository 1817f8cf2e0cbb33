#include "plugins/node/node_declared_features.h"

#include <algorithm>
#include <string>

namespace muster {

bool NodeDeclaredFeatures::MayHelp(const Pod& pod, const ClusterEvent& event) const {
  if ((event.what & kSelfUpdated) != 0) {
    const Pod& before = event.old_pod != nullptr ? *event.old_pod : pod;
    if (event.new_pod == nullptr || event.new_pod->spec->required_features != before.spec->required_features)
      return true;
  }
  if ((event.what & (kNodeAdded | kNodeDeclaredFeature)) == 0 || event.new_node == nullptr) return false;
  return event.old_node == nullptr || event.old_node->declared_features != event.new_node->declared_features;
}

absl::StatusOr<Outcome> NodeDeclaredFeatures::PreFilter(const PodInfo& pod, const Snapshot&, CycleState&,
                                                        NodeSet&) const {
  return pod.spec->required_features.empty() ? Outcome::Skip() : Outcome::Success();
}

bool NodeDeclaredFeatures::Fits(const PodInfo& pod, const Snapshot& snap, const CycleState&, NodeIndex n) const {
  const auto& declared = snap.node(n).declared_features;
  return std::all_of(pod.spec->required_features.begin(), pod.spec->required_features.end(),
                     [&](const std::string& feature) {
                       return std::find(declared.begin(), declared.end(), feature) != declared.end();
                     });
}

}  // namespace muster
