#include "plugins/node/node_name.h"

namespace muster {
namespace {

constexpr Reason kOtherNode{"node(s) didn't match the requested node name"};

}  // namespace

absl::StatusOr<Outcome> NodeName::PreFilter(const PodInfo& pod, const Snapshot& snap, CycleState&,
                                            NodeSet& candidates) const {
  const std::string& wish = pod.spec->requested_node;
  if (wish.empty()) return Outcome::Success();
  const NodeIndex n = snap.Find(wish);
  const bool there = n != kNoNode && candidates.Has(n);
  candidates.Reset(snap.size());
  if (there) candidates.Add(n);
  return Outcome::Only({wish});
}

absl::Status NodeName::Filter(const PodInfo& pod, const Snapshot& snap, const CycleState&, Feasible& nodes) const {
  const std::string& wish = pod.spec->requested_node;
  if (wish.empty()) return absl::OkStatus();
  const NodeIndex n = snap.Find(wish);
  for (size_t w = nodes.range().begin; w < nodes.range().end; ++w) {
    const bool here = n != kNoNode && n / kWordBits == w;
    nodes.Retain(w, here ? uint64_t{1} << (n % kWordBits) : 0, kOtherNode);
  }
  return absl::OkStatus();
}

}  // namespace muster
