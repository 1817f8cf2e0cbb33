#include "plugins/spread/pod_topology_spread.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "plugins/node/node_selector.h"
#include "plugins/node/tolerations.h"
#include "plugins/spread/domain_counts.h"

namespace muster {
namespace {

constexpr Reason kSkewed{"node(s) didn't match pod topology spread constraints", /*preemption_may_help=*/true};
constexpr Reason kNoLabel{"node(s) didn't match pod topology spread constraints (missing required label)"};

// A hard constraint: which domains may take one more pod.
struct Hard {
  int32_t max_skew, min_domains;
  bool selects_itself;
  std::unique_ptr<NodeSet> counted;  // by pointer: `counts` refers to it
  DomainCounts counts;
  std::vector<bool> exists;  // domains that have a counted node
  int64_t domains = 0;       // how many of them
  int64_t least = 0;         // the fewest pods in one of them
  int64_t at_least = 0;      // how many have so few

  // kube-scheduler's condition: matching + self - minimum <= maxSkew; the minimum counts as 0 while
  // there are fewer than minDomains, and as "none" where nothing counts at all.
  bool Allows(uint32_t domain) const {
    const int64_t minimum = domains < min_domains ? 0 : least;
    return counts[domain] + (selects_itself ? 1 : 0) - minimum <= max_skew;
  }
  void FindLeast() {
    least = std::numeric_limits<int32_t>::max();
    at_least = 0;
    for (uint32_t d = 1; d < counts.size(); ++d) {
      if (!exists[d] || counts[d] > least) continue;
      at_least = counts[d] == least ? at_least + 1 : 1;
      least = counts[d];
    }
  }
  // Keeps `least` true after one domain's change.
  void Moved(uint32_t domain, int64_t before, int64_t after) {
    if (!exists[domain]) return;
    if (after < least) {
      least = after, at_least = 1;
    } else {
      at_least += (after == least) - (before == least);
      if (at_least == 0) FindLeast();
    }
  }
};

// A soft constraint.
struct Soft {
  int32_t max_skew;
  bool by_host;
  std::unique_ptr<NodeSet> counted;
  DomainCounts counts;
  ColumnId column;  // by_host: counts the node's own pods, whichever they are
  double weight = 0;
};

struct State final : PluginState {
  std::vector<Hard> hard;
  NodeSet allowed;     // nodes that no hard constraint rejects
  bool fresh = false;  // `allowed` is true for the counts
  std::optional<std::vector<Soft>> soft;
  NodeSet scorable;  // nodes with all keys of soft constraints, or all where these need not be there
  NodeSet feasible;  // that weights were computed for
};

// Rows that a constraint counts, of those in `all_keys`.
NodeSet Counted(const SpreadConstraint& c, const PodSpec& spec, const NodeSet& all_keys, const Snapshot& snap) {
  NodeSet set = all_keys;
  const auto keep = [&](const NodeSet& other) {
    for (size_t w = 0; w < set.words(); ++w) set.word(w) &= other.word(w);
  };
  if (c.honor_affinity) {
    keep(HavingLabels(spec.node_selector, snap));
    if (spec.node_affinity.has_required) keep(MatchingAny(spec.node_affinity.required, snap));
  }
  if (c.honor_taints) {
    for (const Snapshot::TaintColumn& column : snap.taints()) {
      if (!Repels(column.taint, spec.tolerations)) continue;
      for (size_t w = 0; w < set.words(); ++w) set.word(w) &= ~column.nodes.word(w);
    }
  }
  return set;
}

NodeSet HavingKey(const Snapshot::LabelKey* label, NodeSet set) {
  set.ForEach([&](NodeIndex n) {
    if (label == nullptr || label->column[n] == 0) set.Remove(n);
  });
  return set;
}

std::vector<SpreadConstraint> SystemDefaults() {
  SpreadConstraint host, zone;
  host.topology_key = kHostnameLabel;
  host.max_skew = 3;
  host.hard = false;
  zone.topology_key = "topology.kubernetes.io/zone";
  zone.max_skew = 5;
  zone.hard = false;
  return {host, zone};
}

void FindAllowed(const Snapshot& snap, State& s) {
  if (s.allowed.words() != snap.words()) s.allowed.Reset(snap.size());
  for (size_t w = 0; w < snap.words(); ++w) s.allowed.word(w) = snap.all().word(w);
  for (const Hard& c : s.hard) {
    snap.all().ForEach([&](NodeIndex n) {
      const uint32_t domain = c.counts.Domain(n);
      if (domain == 0 || !c.Allows(domain)) s.allowed.Remove(n);
    });
  }
  s.fresh = true;
}

bool AnyConstraint(const PodSpec& spec, auto&& holds) {
  return std::any_of(spec.spread.begin(), spec.spread.end(),
                     [&](const SpreadConstraint& c) { return c.hard && holds(c); });
}

bool HasAllKeys(const PodSpec& spec, const Node& node) {
  return !AnyConstraint(spec, [&](const SpreadConstraint& c) { return !node.labels.contains(c.topology_key); });
}

// Whether the labels' change makes the pod count, or no longer count, for one of the constraints.
bool MatchChanges(const PodSpec& spec, const Labels& before, const Labels& after) {
  return before != after && AnyConstraint(spec, [&](const SpreadConstraint& c) {
           return c.selector.Matches(before) != c.selector.Matches(after);
         });
}

}  // namespace

absl::StatusOr<std::unique_ptr<Plugin>> PodTopologySpread::Make(const PluginArgs& args) {
  const auto* given = std::get_if<PodTopologySpreadArgs>(&args);
  PodTopologySpreadArgs own = given != nullptr ? *given : PodTopologySpreadArgs();
  if (own.system_defaults) own.default_constraints = SystemDefaults();
  return std::unique_ptr<Plugin>(new PodTopologySpread(std::move(own)));
}

bool PodTopologySpread::MayHelp(const Pod& pod, const ClusterEvent& event) const {
  const PodSpec& spec = *pod.spec;
  if (spec.spread.empty()) return true;  // default constraints: what they select is not known here
  if ((event.what & (kSelfTolerations | kSelfLabel)) != 0) {
    const bool tolerates = event.old_pod->spec->tolerations != event.new_pod->spec->tolerations;
    return (tolerates && AnyConstraint(spec, [](const SpreadConstraint& c) { return c.honor_taints; })) ||
           MatchChanges(spec, event.old_pod->spec->labels, event.new_pod->spec->labels);
  }
  if (event.old_pod != nullptr || event.new_pod != nullptr) {
    const Pod& other = *(event.new_pod != nullptr ? event.new_pod : event.old_pod);
    if (other.ns() != pod.ns()) return false;
    if (event.old_pod != nullptr && event.new_pod != nullptr && (event.what & kPodAdded) == 0)
      return MatchChanges(spec, event.old_pod->spec->labels, event.new_pod->spec->labels);
    return AnyConstraint(spec, [&](const SpreadConstraint& c) { return c.selector.Matches(other.spec->labels); });
  }
  const bool had = event.old_node != nullptr && HasAllKeys(spec, *event.old_node);
  const bool has = event.new_node != nullptr && HasAllKeys(spec, *event.new_node);
  if (event.old_node == nullptr || event.new_node == nullptr) return had || has;
  if (had != has) return true;
  return has &&
         (event.old_node->taints != event.new_node->taints || AnyConstraint(spec, [&](const SpreadConstraint& c) {
            return event.old_node->labels.at(c.topology_key) != event.new_node->labels.at(c.topology_key);
          }));
}

std::vector<PodTopologySpread::Asked> PodTopologySpread::Constraints(const PodInfo& pod, bool hard) const {
  const PodSpec& spec = *pod.spec;
  std::vector<Asked> asked;
  for (size_t i = 0; i < spec.spread.size(); ++i) {
    const SpreadConstraint& c = spec.spread[i];
    // An empty selector counts no pod, but selects the pod itself: as upstream.
    if (c.hard == hard)
      asked.push_back({&c, c.selector.empty() ? kNoColumn : pod.spread[i], c.selector.Matches(spec.labels)});
  }
  if (!spec.spread.empty() || pod.default_spread == kNoColumn) return asked;
  for (const SpreadConstraint& c : args_.default_constraints) {
    if (c.hard == hard) asked.push_back({&c, pod.default_spread, pod.default_spread_selects_itself});
  }
  return asked;
}

absl::StatusOr<Outcome> PodTopologySpread::PreFilter(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                                     NodeSet&) const {
  const std::vector<Asked> asked = Constraints(pod, /*hard=*/true);
  if (asked.empty()) return Outcome::Skip();
  NodeSet all_keys = snap.all();
  for (const Asked& a : asked) all_keys = HavingKey(snap.FindLabel(a.constraint->topology_key), std::move(all_keys));
  auto& s = state.Ensure<State>(slot());
  s.hard.clear();
  for (const Asked& a : asked) {
    const SpreadConstraint& c = *a.constraint;
    const Snapshot::LabelKey* label = snap.FindLabel(c.topology_key);
    auto counted = std::make_unique<NodeSet>(Counted(c, *pod.spec, all_keys, snap));
    DomainCounts counts(snap, label, a.column, counted.get());
    Hard hard{c.max_skew, c.min_domains, a.selects_itself, std::move(counted), std::move(counts), {}, 0, 0, 0};
    hard.exists.assign(hard.counts.size(), false);
    hard.counted->ForEach([&](NodeIndex n) {
      if (hard.exists[label->column[n]]) return;
      hard.exists[label->column[n]] = true;
      ++hard.domains;
    });
    hard.FindLeast();
    s.hard.push_back(std::move(hard));
  }
  FindAllowed(snap, s);
  return Outcome::Success();
}

absl::Status PodTopologySpread::Filter(const PodInfo&, const Snapshot&, const CycleState& state,
                                       Feasible& nodes) const {
  if (!state.Has(slot())) return absl::OkStatus();
  const State& s = state.Get<State>(slot());
  for (size_t w = nodes.range().begin; w < nodes.range().end; ++w) {
    if (!nodes.explaining()) {
      nodes.Retain(w, s.allowed.word(w), kSkewed);
      continue;
    }
    // The first constraint that a node fails gives the reason.
    NodeSet::ForEachBit(nodes.Entered(w), w, [&](NodeIndex n) {
      for (const Hard& c : s.hard) {
        const uint32_t domain = c.counts.Domain(n);
        if (domain != 0 && c.Allows(domain)) continue;
        return nodes.Reject(n, domain == 0 ? kNoLabel : kSkewed);
      }
    });
  }
  return absl::OkStatus();
}

bool PodTopologySpread::Recount(const PodInfo&, const Snapshot& snap, std::span<const NodeIndex> rows,
                                CycleState& state) const {
  auto& s = state.Mutable<State>(slot());
  bool moved = false;
  for (Hard& c : s.hard) {
    c.counts.Update(snap, rows, [&](uint32_t domain, int64_t before, int64_t after) {
      c.Moved(domain, before, after);
      moved = true;
    });
  }
  if (moved) FindAllowed(snap, s);
  if (s.soft) {
    for (Soft& c : *s.soft) c.counts.Update(snap, rows, [](uint32_t, int64_t, int64_t) {});
  }
  return moved;
}

absl::StatusOr<Outcome> PodTopologySpread::PreScore(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                                    const NodeSet& feasible) const {
  auto& s = state.Ensure<State>(slot());
  if (!s.soft) {
    s.soft.emplace();
    // System defaults do without zone labels.
    const bool all_keys = !pod.spec->spread.empty() || !args_.system_defaults;
    const std::vector<Asked> asked = Constraints(pod, /*hard=*/false);
    s.scorable = snap.all();
    for (const Asked& a : asked) {
      if (all_keys) s.scorable = HavingKey(snap.FindLabel(a.constraint->topology_key), std::move(s.scorable));
    }
    for (const Asked& a : asked) {
      const SpreadConstraint& c = *a.constraint;
      const bool by_host = c.topology_key == kHostnameLabel;
      auto counted = std::make_unique<NodeSet>(Counted(c, *pod.spec, s.scorable, snap));
      DomainCounts counts(snap, snap.FindLabel(c.topology_key), by_host ? kNoColumn : a.column, counted.get());
      s.soft->push_back({c.max_skew, by_host, std::move(counted), std::move(counts), a.column});
    }
    s.feasible.Reset(0);
  }
  if (s.soft->empty()) return Outcome::Skip();
  if (s.feasible == feasible) return Outcome::Success();
  s.feasible = feasible;
  for (Soft& c : *s.soft) {
    // How many domains the feasible nodes are in: log(that + 2) keeps small topologies audible.
    int64_t domains = 0;
    std::vector<bool> seen(c.counts.size(), false);
    feasible.ForEach([&](NodeIndex n) {
      if (!s.scorable.Has(n)) return;
      const uint32_t domain = c.counts.Domain(n);
      if (c.by_host || !seen[domain]) ++domains;
      seen[domain] = true;
    });
    c.weight = std::log(static_cast<double>(domains + 2));
  }
  return Outcome::Success();
}

absl::Status PodTopologySpread::Score(const PodInfo&, const Snapshot& snap, const CycleState& state,
                                      const NodeSet& feasible, WordRange range, int64_t* out) const {
  if (!state.Has(slot()) || !state.Get<State>(slot()).soft)
    return absl::InternalError("error reading \"PreScorePodTopologySpread\" from cycleState: not found");
  const State& s = state.Get<State>(slot());
  int64_t least = std::numeric_limits<int64_t>::max(), most = 0;
  for (size_t w = range.begin; w < range.end; ++w) {
    NodeSet::ForEachBit(feasible.word(w) & s.scorable.word(w), w, [&](NodeIndex n) {
      double score = 0;
      for (const Soft& c : *s.soft) {
        const uint32_t domain = c.counts.Domain(n);
        if (domain == 0) continue;
        const int64_t count = !c.by_host ? c.counts[domain] : c.column == kNoColumn ? 0 : snap.Cells(c.column)[n];
        score += static_cast<double>(count) * c.weight + static_cast<double>(c.max_skew - 1);
      }
      const auto whole = static_cast<int64_t>(score);
      out[n] = whole + (score - static_cast<double>(whole) >= 0.5 ? 1 : 0);  // halves go up
      least = std::min(least, out[n]);
      most = std::max(most, out[n]);
    });
  }
  for (size_t w = range.begin; w < range.end; ++w) {
    NodeSet::ForEachBit(feasible.word(w), w, [&](NodeIndex n) {
      out[n] = !s.scorable.Has(n) ? 0 : most == 0 ? kMaxNodeScore : kMaxNodeScore * (most + least - out[n]) / most;
    });
  }
  return absl::OkStatus();
}

}  // namespace muster
