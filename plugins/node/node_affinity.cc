#include "plugins/node/node_affinity.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "plugins/node/node_selector.h"

namespace muster {
namespace {

constexpr Reason kOfPod{"node(s) didn't match Pod's node affinity/selector"};
constexpr Reason kEnforced{"node(s) didn't match scheduler-enforced node affinity"};

struct Filters {
  std::optional<NodeSet> enforced;  // nodes that the added affinity allows; unset: all
  NodeSet matching;                 // nodes that the pod allows
};

struct Preference {
  int64_t weight;
  NodeSet nodes;
};

struct State final : PluginState {
  std::optional<Filters> filters;                      // from PreFilter
  std::optional<std::vector<Preference>> preferences;  // from PreScore
};

Filters MakeFilters(const NodeAffinity& added, const PodSpec& spec, const Snapshot& snap) {
  Filters filters;
  if (added.has_required) filters.enforced = MatchingAny(added.required, snap);
  filters.matching = HavingLabels(spec.node_selector, snap);
  if (spec.node_affinity.has_required) {
    const NodeSet any = MatchingAny(spec.node_affinity.required, snap);
    for (size_t w = 0; w < any.words(); ++w) filters.matching.word(w) &= any.word(w);
  }
  return filters;
}

std::vector<std::string> PreferenceErrors(const std::vector<PreferredTerm>& terms, std::string_view path) {
  std::vector<std::string> errors;
  for (size_t i = 0; i < terms.size(); ++i) {
    if (terms[i].weight == 0) continue;
    for (std::string& e : TermErrors(terms[i].term, absl::StrCat(AsAbsl(path), "[", i, "]"))) {
      errors.push_back(std::move(e));
    }
  }
  return errors;
}

void AddPreferences(const std::vector<PreferredTerm>& terms, const Snapshot& snap, std::vector<Preference>& out) {
  for (const PreferredTerm& t : terms) {
    if (t.weight != 0) out.push_back({t.weight, Matching(t.term, snap)});
  }
}

// The node names to which metadata.name requirements confine the pod; nullopt: not confined.
std::optional<std::set<std::string>> ConfinedTo(const NodeAffinity& affinity) {
  std::set<std::string> names;
  for (const NodeSelectorTerm& term : affinity.required) {
    std::optional<std::set<std::string>> of_term;
    for (const Requirement& r : term.fields) {
      if (r.key != kNodeNameField || r.op != Operator::kIn) continue;
      std::set<std::string> listed(r.values.begin(), r.values.end());
      if (of_term) std::erase_if(listed, [&](const std::string& name) { return !of_term->contains(name); });
      of_term = std::move(listed);
    }
    if (!of_term) return std::nullopt;
    names.merge(*of_term);
  }
  return names;
}

bool MatchesPod(const PodSpec& spec, const Node& node) {
  return HasLabels(spec.node_selector, node) &&
         (!spec.node_affinity.has_required || MatchesAny(spec.node_affinity.required, node));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Plugin>> NodeAffinityPlugin::Make(const PluginArgs& args) {
  const auto* given = std::get_if<NodeAffinityArgs>(&args);
  NodeAffinity added = given != nullptr ? given->added_affinity : NodeAffinity();
  constexpr char kRequired[] = "addedAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
  constexpr char kPreferred[] = "addedAffinity.preferredDuringSchedulingIgnoredDuringExecution";
  std::vector<std::string> errors;
  for (size_t i = 0; i < added.required.size(); ++i) {
    for (std::string& e : TermErrors(added.required[i], absl::StrCat(kRequired, "[", i, "]"))) {
      errors.push_back(std::move(e));
    }
  }
  for (std::string& e : PreferenceErrors(added.preferred, kPreferred)) errors.push_back(std::move(e));
  if (!errors.empty()) return absl::InvalidArgumentError(JoinErrors(errors));
  return std::unique_ptr<Plugin>(new NodeAffinityPlugin(std::move(added)));
}

bool NodeAffinityPlugin::MayHelp(const Pod& pod, const ClusterEvent& event) const {
  if (event.new_node == nullptr) return false;
  if (added_.has_required && !MatchesAny(added_.required, *event.new_node)) return false;
  if (!MatchesPod(*pod.spec, *event.new_node)) return false;
  return event.old_node == nullptr || !MatchesPod(*pod.spec, *event.old_node);
}

absl::StatusOr<Outcome> NodeAffinityPlugin::PreFilter(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                                      NodeSet& candidates) const {
  const NodeAffinity& affinity = pod.spec->node_affinity;
  if (!affinity.has_required && !added_.has_required && pod.spec->node_selector.empty()) return Outcome::Skip();
  state.Ensure<State>(slot()).filters = MakeFilters(added_, *pod.spec, snap);
  if (affinity.required.empty()) return Outcome::Success();

  const auto names = ConfinedTo(affinity);
  if (!names) return Outcome::Success();
  if (names->empty()) return Outcome::Unresolvable("pod affinity terms conflict");
  NodeSet named(snap.size());
  for (const std::string& name : *names) {
    if (const NodeIndex n = snap.Find(name); n != kNoNode && candidates.Has(n)) named.Add(n);
  }
  candidates = std::move(named);
  return Outcome::Only({names->begin(), names->end()});
}

absl::Status NodeAffinityPlugin::Filter(const PodInfo& pod, const Snapshot& snap, const CycleState& state,
                                        Feasible& nodes) const {
  std::optional<Filters> made;  // only for a profile without this PreFilter
  const bool kept = state.Has(slot()) && state.Get<State>(slot()).filters;
  if (!kept) made = MakeFilters(added_, *pod.spec, snap);
  const Filters& filters = kept ? *state.Get<State>(slot()).filters : *made;
  for (size_t w = nodes.range().begin; w < nodes.range().end; ++w) {
    const uint64_t enforced = filters.enforced ? filters.enforced->word(w) : ~uint64_t{0};
    nodes.Retain(w, enforced, kEnforced);
    nodes.Retain(w, filters.matching.word(w) | ~enforced, kOfPod);  // one reason a node
  }
  return absl::OkStatus();
}

absl::StatusOr<Outcome> NodeAffinityPlugin::PreScore(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                                     const NodeSet&) const {
  const std::vector<PreferredTerm>& preferred = pod.spec->node_affinity.preferred;
  if (const auto errors = PreferenceErrors(preferred, ""); !errors.empty()) {
    return absl::InvalidArgumentError(JoinErrors(errors));
  }
  if (preferred.empty() && added_.preferred.empty()) return Outcome::Skip();
  auto& preferences = state.Ensure<State>(slot()).preferences.emplace();
  AddPreferences(added_.preferred, snap, preferences);
  AddPreferences(preferred, snap, preferences);
  return Outcome::Success();
}

absl::Status NodeAffinityPlugin::Score(const PodInfo& pod, const Snapshot& snap, const CycleState& state,
                                       const NodeSet& feasible, WordRange range, int64_t* out) const {
  std::vector<Preference> made;  // only for a profile without this PreScore
  const bool kept = state.Has(slot()) && state.Get<State>(slot()).preferences;
  if (!kept) {
    const std::vector<PreferredTerm>& preferred = pod.spec->node_affinity.preferred;
    if (const auto errors = PreferenceErrors(preferred, ""); !errors.empty()) {
      return absl::InvalidArgumentError(JoinErrors(errors));
    }
    AddPreferences(added_.preferred, snap, made);
    AddPreferences(preferred, snap, made);
  }
  const std::vector<Preference>& preferences = kept ? *state.Get<State>(slot()).preferences : made;
  std::fill(out + range.begin * kWordBits, out + range.end * kWordBits, 0);
  for (const Preference& p : preferences) {
    for (size_t w = range.begin; w < range.end; ++w) {
      NodeSet::ForEachBit(p.nodes.word(w) & feasible.word(w), w, [&](NodeIndex n) { out[n] += p.weight; });
    }
  }
  return absl::OkStatus();
}

}  // namespace muster
