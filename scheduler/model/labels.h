// Labels and the selectors that ask about them, as Kubernetes writes them.
#ifndef MUSTER_SCHEDULER_MODEL_LABELS_H_
#define MUSTER_SCHEDULER_MODEL_LABELS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/btree_map.h"

namespace muster {

using Labels = absl::btree_map<std::string, std::string>;

// kInvalid: an operator this build does not know; the plugin that reads it reports it.
enum class Operator : uint8_t { kIn, kNotIn, kExists, kDoesNotExist, kGt, kLt, kInvalid };

struct Requirement {
  std::string key;
  Operator op = Operator::kIn;
  std::vector<std::string> values;  // in the order written
  std::string op_text;              // as written; needed only to report kInvalid
  friend bool operator==(const Requirement&, const Requirement&) = default;
};

// metav1.LabelSelector: requirements that all hold; matchLabels are In with one value. Absent, it
// selects nothing; present without requirements, everything.
struct LabelSelector {
  bool present = false;
  std::vector<Requirement> requirements;
  bool empty() const { return present && requirements.empty(); }
  // In, NotIn, Exists, DoesNotExist; any other operator matches nothing.
  bool Matches(const Labels& labels) const;
  friend bool operator==(const LabelSelector&, const LabelSelector&) = default;
};

// All requirements hold ("and"). A term with neither expressions nor fields matches nothing.
struct NodeSelectorTerm {
  std::vector<Requirement> expressions;  // over node labels
  std::vector<Requirement> fields;       // over metadata.name
  friend bool operator==(const NodeSelectorTerm&, const NodeSelectorTerm&) = default;
};

struct PreferredTerm {
  int32_t weight = 0;
  NodeSelectorTerm term;
  friend bool operator==(const PreferredTerm&, const PreferredTerm&) = default;
};

// spec.affinity.nodeAffinity. `required` terms are alternatives ("or"); has_required with no terms
// matches nothing.
struct NodeAffinity {
  bool has_required = false;
  std::vector<NodeSelectorTerm> required;
  std::vector<PreferredTerm> preferred;
  bool empty() const { return !has_required && preferred.empty(); }
  friend bool operator==(const NodeAffinity&, const NodeAffinity&) = default;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_LABELS_H_
