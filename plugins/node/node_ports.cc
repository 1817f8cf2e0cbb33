#include "plugins/node/node_ports.h"

#include <algorithm>
#include <span>
#include <vector>

namespace muster {
namespace {

constexpr Reason kTaken{"node(s) didn't have free ports for the requested pod ports", /*preemption_may_help=*/true};

// Columns of the ports that would clash with the pod's. More may be created after PreFilter (by
// other shapes), hence `seen`.
struct State final : PluginState {
  std::vector<ColumnId> clashing;
  size_t seen = 0;  // of Snapshot::host_ports()
};

bool Clash(const HostPort& a, const HostPort& b) {
  constexpr std::string_view kEveryAddress = "0.0.0.0";
  return a.port == b.port && a.protocol == b.protocol &&
         (a.ip == b.ip || a.ip == kEveryAddress || b.ip == kEveryAddress);
}

bool ClashesWithAny(const HostPort& port, std::span<const HostPort> others) {
  return std::any_of(others.begin(), others.end(), [&](const HostPort& o) { return Clash(port, o); });
}

void RejectHolders(const Snapshot& snap, ColumnId column, Feasible& nodes) {
  const int64_t* held = snap.Cells(column);
  for (size_t w = nodes.range().begin; w < nodes.range().end; ++w) {
    uint64_t keep = 0;
    for (size_t i = 0; i < kWordBits; ++i) keep |= uint64_t{held[w * kWordBits + i] == 0} << i;
    nodes.Retain(w, keep, kTaken);
  }
}

}  // namespace

bool NodePorts::MayHelp(const Pod& pod, const ClusterEvent& event) const {
  if ((event.what & kNodeAdded) != 0) return true;
  if (event.old_pod == nullptr) return true;
  const Pod& gone = *event.old_pod;
  if (gone.node.empty() && gone.nominated_node.empty()) return false;
  return std::any_of(gone.spec->host_ports.begin(), gone.spec->host_ports.end(),
                     [&](const HostPort& p) { return ClashesWithAny(p, pod.spec->host_ports); });
}

absl::StatusOr<Outcome> NodePorts::PreFilter(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                             NodeSet&) const {
  if (pod.spec->host_ports.empty()) return Outcome::Skip();
  State own;
  for (const Snapshot::PortColumn& p : snap.host_ports()) {
    if (ClashesWithAny(p.port, pod.spec->host_ports)) own.clashing.push_back(p.column);
  }
  own.seen = snap.host_ports().size();
  state.Emplace(slot(), std::move(own));
  return Outcome::Success();
}

absl::Status NodePorts::Filter(const PodInfo& pod, const Snapshot& snap, const CycleState& state,
                               Feasible& nodes) const {
  size_t seen = 0;
  if (state.Has(slot())) {
    const State& own = state.Get<State>(slot());
    for (const ColumnId column : own.clashing) RejectHolders(snap, column, nodes);
    seen = own.seen;
  }
  for (const Snapshot::PortColumn& p : snap.host_ports().subspan(seen)) {
    if (ClashesWithAny(p.port, pod.spec->host_ports)) RejectHolders(snap, p.column, nodes);
  }
  return absl::OkStatus();
}

}  // namespace muster
