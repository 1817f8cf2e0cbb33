#include "plugins/node/taint_toleration.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "plugins/node/tolerations.h"

namespace muster {
namespace {

constexpr Reason kUntolerated{"node(s) had untolerated taint(s)"};

struct State final : PluginState {
  std::optional<NodeSet> repelled;  // from PreFilter
  // From PreScore: untolerated PreferNoSchedule taints by row; empty where no row has any.
  std::optional<std::vector<uint16_t>> avoided;
};

NodeSet Repelled(const PodSpec& spec, const Snapshot& snap) {
  NodeSet set(snap.size());
  for (const Snapshot::TaintColumn& column : snap.taints()) {
    if (!Repels(column.taint, spec.tolerations)) continue;
    for (size_t w = 0; w < set.words(); ++w) set.word(w) |= column.nodes.word(w);
  }
  return set;
}

std::vector<uint16_t> Avoided(const PodSpec& spec, const Snapshot& snap) {
  std::vector<uint16_t> counts;
  for (const Snapshot::TaintColumn& column : snap.taints()) {
    if (column.taint.effect != TaintEffect::kPreferNoSchedule || Tolerates(spec.tolerations, column.taint)) continue;
    counts.resize(snap.words() * kWordBits);
    column.nodes.ForEach([&](NodeIndex n) { ++counts[n]; });
  }
  return counts;
}

bool RepelledBy(const Node& node, const PodSpec& spec) {
  return std::any_of(node.taints.begin(), node.taints.end(),
                     [&](const Taint& t) { return Repels(t, spec.tolerations); });
}

}  // namespace

bool TaintToleration::MayHelp(const Pod& pod, const ClusterEvent& event) const {
  if ((event.what & kSelfTolerations) != 0) return true;
  if (event.new_node == nullptr) return false;
  const bool was_repelled = event.old_node == nullptr || RepelledBy(*event.old_node, *pod.spec);
  return was_repelled && !RepelledBy(*event.new_node, *pod.spec);
}

absl::StatusOr<Outcome> TaintToleration::PreFilter(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                                   NodeSet&) const {
  state.Ensure<State>(slot()).repelled = Repelled(*pod.spec, snap);
  return Outcome::Success();
}

absl::Status TaintToleration::Filter(const PodInfo& pod, const Snapshot& snap, const CycleState& state,
                                     Feasible& nodes) const {
  if (state.Has(slot()) && state.Get<State>(slot()).repelled) {
    nodes.RejectAll(*state.Get<State>(slot()).repelled, kUntolerated);
  } else {
    nodes.RejectAll(Repelled(*pod.spec, snap), kUntolerated);  // a profile without this PreFilter
  }
  return absl::OkStatus();
}

absl::StatusOr<Outcome> TaintToleration::PreScore(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                                  const NodeSet&) const {
  state.Ensure<State>(slot()).avoided = Avoided(*pod.spec, snap);
  return Outcome::Success();
}

absl::Status TaintToleration::Score(const PodInfo&, const Snapshot&, const CycleState& state, const NodeSet&,
                                    WordRange range, int64_t* out) const {
  if (!state.Has(slot()) || !state.Get<State>(slot()).avoided) {
    // Its PreScore is disabled, which upstream words so.
    return absl::FailedPreconditionError("failed to read \"PreScoreTaintToleration\" from cycleState: not found");
  }
  const std::vector<uint16_t>& avoided = *state.Get<State>(slot()).avoided;
  const size_t begin = range.begin * kWordBits, end = range.end * kWordBits;
  if (avoided.empty()) {
    std::fill(out + begin, out + end, 0);
  } else {
    std::copy(avoided.data() + begin, avoided.data() + end, out + begin);
  }
  return absl::OkStatus();
}

}  // namespace muster
