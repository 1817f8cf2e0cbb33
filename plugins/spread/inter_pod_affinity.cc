#include "plugins/spread/inter_pod_affinity.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "plugins/spread/domain_counts.h"

namespace muster {
namespace {

constexpr Reason kAffinity{"node(s) didn't match pod affinity rules"};
constexpr Reason kAntiAffinity{"node(s) didn't match pod anti-affinity rules", /*preemption_may_help=*/true};
constexpr Reason kExisting{"node(s) didn't satisfy existing pods anti-affinity rules", /*preemption_may_help=*/true};

// What filters need: pods by domain, and the nodes that each of the three rules rejects.
struct Filters {
  std::vector<DomainCounts> affinity;  // by required term: pods that all of them select
  std::vector<DomainCounts> anti;      // by required anti-affinity term: pods that it selects
  std::vector<DomainCounts> existing;  // pods whose anti-affinity selects this pod
  bool selects_itself = false;
  NodeSet no_affinity, anti_affinity, existing_anti;
};

// One term's part of the score: `weight` for each pod counted.
struct Scorer {
  int64_t weight;
  DomainCounts counts;
};
struct ByKey {  // their sum over the terms of one topology key
  const Snapshot::LabelKey* label;
  std::vector<int64_t> scores;  // by domain
};

struct State final : PluginState {
  std::optional<Filters> filters;
  std::optional<std::vector<Scorer>> scorers;
  std::vector<ByKey> keys;
};

void RejectDomains(const std::vector<DomainCounts>& counts, const Snapshot& snap, NodeSet& out) {
  out.Reset(snap.size());
  for (const DomainCounts& c : counts) {
    if (c.total() == 0) continue;
    snap.all().ForEach([&](NodeIndex n) {
      const uint32_t domain = c.Domain(n);
      if (domain != 0 && c[domain] > 0) out.Add(n);
    });
  }
}

// A node needs every term's domain, each with a pod that all terms select; the first pod of a series
// may begin anywhere that has the keys, if it selects itself.
void RejectWithoutAffinity(const Snapshot& snap, Filters& f) {
  f.no_affinity.Reset(snap.size());
  if (f.affinity.empty()) return;
  const bool none = std::all_of(f.affinity.begin(), f.affinity.end(), [](const auto& c) { return c.total() == 0; });
  const bool may_begin = none && f.selects_itself;
  snap.all().ForEach([&](NodeIndex n) {
    for (const DomainCounts& c : f.affinity) {
      const uint32_t domain = c.Domain(n);
      if (domain == 0 || (!may_begin && c[domain] <= 0)) return f.no_affinity.Add(n);
    }
  });
}

// Whether the term may select the pod; namespaces are not known by label here.
bool MaySelect(const PodAffinityTerm& term, const PodSpec& pod) {
  return (term.namespace_selector.present ||
          std::binary_search(term.namespaces.begin(), term.namespaces.end(), pod.ns)) &&
         term.selector.Matches(pod.labels);
}

bool MaySelectByAll(const std::vector<PodAffinityTerm>& terms, const PodSpec& pod) {
  return !terms.empty() && std::all_of(terms.begin(), terms.end(), [&](const auto& t) { return MaySelect(t, pod); });
}

bool MaySelectByAny(const std::vector<PodAffinityTerm>& terms, const PodSpec& pod) {
  return std::any_of(terms.begin(), terms.end(), [&](const auto& t) { return MaySelect(t, pod); });
}

const std::string* LabelOf(const Node* node, const std::string& key) {
  if (node == nullptr) return nullptr;
  const auto it = node->labels.find(key);
  return it == node->labels.end() ? nullptr : &it->second;
}

bool NodeMayHelp(const PodAffinity& affinity, const ClusterEvent& event) {
  if (event.old_node == nullptr && !affinity.required_anti.empty()) return true;
  for (const PodAffinityTerm& term : affinity.required) {
    const std::string *before = LabelOf(event.old_node, term.topology_key),
                      *after = LabelOf(event.new_node, term.topology_key);
    if (after != nullptr && (before == nullptr || *before != *after)) return true;
  }
  for (const PodAffinityTerm& term : affinity.required_anti) {
    const std::string *before = LabelOf(event.old_node, term.topology_key),
                      *after = LabelOf(event.new_node, term.topology_key);
    if (before != nullptr && (after == nullptr || *before != *after)) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Plugin>> InterPodAffinity::Make(const PluginArgs& args) {
  const auto* given = std::get_if<InterPodAffinityArgs>(&args);
  return std::unique_ptr<Plugin>(new InterPodAffinity(given != nullptr ? *given : InterPodAffinityArgs()));
}

bool InterPodAffinity::MayHelp(const Pod& pod, const ClusterEvent& event) const {
  if ((event.what & kSelfLabel) != 0) return true;
  const PodAffinity& own = pod.spec->pod_affinity;
  if (event.old_node != nullptr || event.new_node != nullptr) return NodeMayHelp(own, event);
  const PodSpec* before =
      event.old_pod != nullptr && (event.what & kPodAdded) == 0 ? event.old_pod->spec.get() : nullptr;
  const PodSpec* after = event.new_pod != nullptr ? event.new_pod->spec.get() : nullptr;
  if (after != nullptr && MaySelectByAll(own.required, *after) &&
      (before == nullptr || !MaySelectByAll(own.required, *before)))
    return true;
  if (before == nullptr) return false;
  if (MaySelectByAny(own.required_anti, *before) && (after == nullptr || !MaySelectByAny(own.required_anti, *after)))
    return true;
  return after == nullptr && MaySelectByAny(before->pod_affinity.required_anti, *pod.spec);
}

absl::StatusOr<Outcome> InterPodAffinity::PreFilter(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                                    NodeSet&) const {
  const PodAffinity& own = pod.spec->pod_affinity;
  Filters f;
  for (const PodAffinityTerm& t : own.required)
    f.affinity.emplace_back(snap, snap.FindLabel(t.topology_key), pod.affinity, nullptr);
  for (size_t i = 0; i < own.required_anti.size(); ++i)
    f.anti.emplace_back(snap, snap.FindLabel(own.required_anti[i].topology_key), pod.anti_affinity[i], nullptr);
  for (const uint32_t id : pod.terms_of_others) {
    const PodTerm& term = snap.terms()[id];
    if (term.role == PodTerm::Role::kAntiAffinity)
      f.existing.emplace_back(snap, snap.FindLabel(term.term.topology_key), term.column, nullptr);
  }
  if (f.affinity.empty() && f.anti.empty() && f.existing.empty()) return Outcome::Skip();
  f.selects_itself = std::all_of(own.required.begin(), own.required.end(),
                                 [&](const PodAffinityTerm& t) { return snap.Selects(t, *pod.spec); });
  RejectWithoutAffinity(snap, f);
  RejectDomains(f.anti, snap, f.anti_affinity);
  RejectDomains(f.existing, snap, f.existing_anti);
  state.Ensure<State>(slot()).filters = std::move(f);
  return Outcome::Success();
}

absl::Status InterPodAffinity::Filter(const PodInfo&, const Snapshot&, const CycleState& state, Feasible& nodes) const {
  if (!state.Has(slot()) || !state.Get<State>(slot()).filters) return absl::OkStatus();
  const Filters& f = *state.Get<State>(slot()).filters;
  for (size_t w = nodes.range().begin; w < nodes.range().end; ++w) {
    // One reason a node: the first rule that it breaks.
    uint64_t told = 0;
    for (const auto& [set, reason] :
         {std::pair(&f.no_affinity, &kAffinity), std::pair(&f.anti_affinity, &kAntiAffinity),
          std::pair(&f.existing_anti, &kExisting)}) {
      nodes.Retain(w, ~set->word(w) | told, *reason);
      told |= set->word(w);
    }
  }
  return absl::OkStatus();
}

bool InterPodAffinity::Recount(const PodInfo&, const Snapshot& snap, std::span<const NodeIndex> rows,
                               CycleState& state) const {
  auto& s = state.Mutable<State>(slot());
  bool moved = false;
  if (s.filters) {
    Filters& f = *s.filters;
    // A domain's answer changes only where its count becomes zero or is no longer.
    const auto update = [&](std::vector<DomainCounts>& counts) {
      bool flipped = false;
      for (DomainCounts& c : counts)
        c.Update(snap, rows, [&](uint32_t, int64_t before, int64_t after) { flipped |= (before > 0) != (after > 0); });
      moved |= flipped;
      return flipped;
    };
    if (update(f.affinity)) RejectWithoutAffinity(snap, f);
    if (update(f.anti)) RejectDomains(f.anti, snap, f.anti_affinity);
    if (update(f.existing)) RejectDomains(f.existing, snap, f.existing_anti);
  }
  if (s.scorers) {
    for (Scorer& scorer : *s.scorers) scorer.counts.Update(snap, rows, [](uint32_t, int64_t, int64_t) {});
  }
  return moved;
}

absl::StatusOr<Outcome> InterPodAffinity::PreScore(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                                   const NodeSet&) const {
  const PodAffinity& own = pod.spec->pod_affinity;
  if (args_.ignore_preferred_terms_of_existing_pods && own.preferred.empty() && own.preferred_anti.empty())
    return Outcome::Skip();
  auto& s = state.Ensure<State>(slot());
  if (!s.scorers) {
    s.scorers.emplace();
    const auto add = [&](const std::string& key, ColumnId column, int64_t weight) {
      if (weight != 0) s.scorers->push_back({weight, DomainCounts(snap, snap.FindLabel(key), column, nullptr)});
    };
    for (size_t i = 0; i < own.preferred.size(); ++i)
      add(own.preferred[i].term.topology_key, pod.preferred[i], own.preferred[i].weight);
    for (size_t i = 0; i < own.preferred_anti.size(); ++i)
      add(own.preferred_anti[i].term.topology_key, pod.preferred_anti[i], -own.preferred_anti[i].weight);
    for (const uint32_t id : pod.terms_of_others) {
      const PodTerm& term = snap.terms()[id];
      switch (term.role) {
        case PodTerm::Role::kAffinity: add(term.term.topology_key, term.column, args_.hard_pod_affinity_weight); break;
        case PodTerm::Role::kPreferred: add(term.term.topology_key, term.column, 1); break;
        case PodTerm::Role::kPreferredAnti: add(term.term.topology_key, term.column, -1); break;
        case PodTerm::Role::kAntiAffinity: break;
      }
    }
  }
  const bool none =
      std::all_of(s.scorers->begin(), s.scorers->end(), [](const Scorer& c) { return c.counts.total() == 0; });
  if (none) return Outcome::Skip();
  for (ByKey& key : s.keys) std::fill(key.scores.begin(), key.scores.end(), 0);
  for (const Scorer& scorer : *s.scorers) {
    const DomainCounts& counts = scorer.counts;
    if (counts.total() == 0) continue;
    auto key = std::find_if(s.keys.begin(), s.keys.end(), [&](const ByKey& k) { return k.label == counts.label(); });
    if (key == s.keys.end()) {
      s.keys.push_back({counts.label(), std::vector<int64_t>(counts.size(), 0)});
      key = s.keys.end() - 1;
    }
    for (uint32_t d = 1; d < counts.size(); ++d) key->scores[d] += scorer.weight * counts[d];
  }
  return Outcome::Success();
}

absl::Status InterPodAffinity::Score(const PodInfo&, const Snapshot&, const CycleState& state, const NodeSet& feasible,
                                     WordRange range, int64_t* out) const {
  if (!state.Has(slot()) || !state.Get<State>(slot()).scorers)
    return absl::InternalError("failed to read \"PreScoreInterPodAffinity\" from cycleState: not found");
  const State& s = state.Get<State>(slot());
  const size_t begin = range.begin * kWordBits, end = range.end * kWordBits;
  std::fill(out + begin, out + end, 0);
  for (const ByKey& key : s.keys) {
    const uint32_t* domains = key.label->column.data();
    const int64_t* scores = key.scores.data();
    for (size_t n = begin; n < end; ++n) out[n] += scores[domains[n]];  // domain 0 scores 0
  }
  int64_t least = std::numeric_limits<int64_t>::max(), most = std::numeric_limits<int64_t>::min();
  for (size_t w = range.begin; w < range.end; ++w) {
    NodeSet::ForEachBit(feasible.word(w), w, [&](NodeIndex n) {
      least = std::min(least, out[n]);
      most = std::max(most, out[n]);
    });
  }
  const double span = static_cast<double>(most - least);
  for (size_t n = begin; n < end; ++n) {
    out[n] =
        most > least
            ? static_cast<int64_t>(static_cast<double>(kMaxNodeScore) * (static_cast<double>(out[n] - least) / span))
            : 0;
  }
  return absl::OkStatus();
}

}  // namespace muster
