#include "plugins/node/node_selector.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "plugins/node/label_syntax.h"
#include "scheduler/framework/kernels.h"

namespace muster {
namespace {

constexpr size_t kFewValues = 4;  // below this, one pass a value beats a table of values

std::optional<int64_t> ParseInt(std::string_view text) {
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out += '"';
}

std::string QuotedList(const std::vector<std::string>& values) {
  if (values.empty()) return "null";
  return absl::StrCat(
      "[", absl::StrJoin(values, ",", [](std::string* out, const std::string& v) { out->append(Quoted(v)); }), "]");
}

std::string_view Text(const Requirement& r) {
  switch (r.op) {
    case Operator::kIn: return "In";
    case Operator::kNotIn: return "NotIn";
    case Operator::kExists: return "Exists";
    case Operator::kDoesNotExist: return "DoesNotExist";
    case Operator::kGt: return "Gt";
    case Operator::kLt: return "Lt";
    case Operator::kInvalid: return r.op_text;
  }
  return "";
}

void ExpressionErrors(const Requirement& r, const std::string& path, std::vector<std::string>& errors) {
  const auto invalid = [&](std::string_view field, const std::string& value, std::string_view why) {
    errors.push_back(absl::StrCat(path, ".", AsAbsl(field), ": Invalid value: ", value, ": ", AsAbsl(why)));
  };
  if (r.op == Operator::kInvalid) {
    errors.push_back(
        absl::StrCat(path, ".operator: Unsupported value: ", Quoted(Text(r)),
                     ": supported values: \"In\", \"NotIn\", \"Exists\", \"DoesNotExist\", \"Gt\", \"Lt\""));
    return;
  }
  if (const auto key_errors = LabelKeyErrors(r.key); !key_errors.empty()) {
    invalid("key", Quoted(r.key), absl::StrJoin(key_errors, "; "));
  }
  switch (r.op) {
    case Operator::kIn:
    case Operator::kNotIn:
      if (r.values.empty()) {
        invalid("values", QuotedList(r.values), "for 'in', 'notin' operators, values set can't be empty");
      }
      break;
    case Operator::kExists:
    case Operator::kDoesNotExist:
      if (!r.values.empty()) {
        invalid("values", QuotedList(r.values), "values set must be empty for exists and does not exist");
      }
      break;
    default:
      if (r.values.size() != 1) {
        invalid("values", QuotedList(r.values), "for 'Gt', 'Lt' operators, exactly one value is required");
      }
      for (size_t i = 0; i < r.values.size(); ++i) {
        if (!ParseInt(r.values[i])) {
          invalid(absl::StrCat("values[", i, "]"), Quoted(r.values[i]),
                  "for 'Gt', 'Lt' operators, the value must be an integer");
        }
      }
  }
  for (size_t i = 0; i < r.values.size(); ++i) {
    if (const auto value_errors = LabelValueErrors(r.values[i]); !value_errors.empty()) {
      invalid(absl::StrCat("values[", i, "][", r.key, "]"), Quoted(r.values[i]), absl::StrJoin(value_errors, "; "));
    }
  }
}

void FieldErrors(const Requirement& r, const std::string& path, std::vector<std::string>& errors) {
  if (r.op != Operator::kIn && r.op != Operator::kNotIn) {
    errors.push_back(
        absl::StrCat(path, ".operator: Unsupported value: ", Quoted(Text(r)), ": supported values: \"In\", \"NotIn\""));
  } else if (r.values.size() != 1) {
    errors.push_back(absl::StrCat(path, ".values: Invalid value: ", QuotedList(r.values), ": must have one element"));
  }
}

bool Empty(const NodeSelectorTerm& term) { return term.expressions.empty() && term.fields.empty(); }

bool Usable(const NodeSelectorTerm& term) { return !Empty(term) && TermErrors(term, "").empty(); }

// Whether a value that the node has satisfies Gt or Lt.
bool Compares(const Requirement& r, std::string_view value) {
  const auto have = ParseInt(value);
  const auto bound = ParseInt(r.values[0]);
  return have && bound && (r.op == Operator::kGt ? *have > *bound : *have < *bound);
}

bool Holds(const Requirement& r, const Labels& labels) {
  const auto it = labels.find(r.key);
  const bool has = it != labels.end();
  const auto listed = [&] { return std::find(r.values.begin(), r.values.end(), it->second) != r.values.end(); };
  switch (r.op) {
    case Operator::kIn: return has && listed();
    case Operator::kNotIn: return !has || !listed();
    case Operator::kExists: return has;
    case Operator::kDoesNotExist: return !has;
    case Operator::kGt:
    case Operator::kLt: return has && Compares(r, it->second);
    case Operator::kInvalid: return false;
  }
  return false;
}

// Nodes know one field; any other reads as "".
bool FieldHolds(const Requirement& r, std::string_view node_name) {
  const std::string_view value = r.key == kNodeNameField ? node_name : "";
  return (value == r.values[0]) == (r.op == Operator::kIn);
}

void And(NodeSet& set, const NodeSet& other) {
  for (size_t w = 0; w < set.words(); ++w) set.word(w) &= other.word(w);
}
void AndNot(NodeSet& set, const NodeSet& other) {
  for (size_t w = 0; w < set.words(); ++w) set.word(w) &= ~other.word(w);
}

// Nodes whose label is one of `ids` (as in the key's column).
NodeSet WithValues(const Snapshot::LabelKey& label, const std::vector<uint32_t>& ids, const Snapshot& snap) {
  const uint32_t* column = label.column.data();
  NodeSet found(snap.size());
  if (found.words() == 0) return found;
  if (ids.size() <= kFewValues) {
    for (const uint32_t id : ids) OrEqual(column, id, found.words(), &found.word(0));
    return found;
  }
  std::vector<bool> wanted(label.domains());
  for (const uint32_t id : ids) wanted[id] = true;
  for (NodeIndex n = 0; n < snap.size(); ++n) {
    if (wanted[column[n]]) found.Add(n);
  }
  return found;
}

void Narrow(const Requirement& r, const Snapshot& snap, NodeSet& set) {
  const Snapshot::LabelKey* label = snap.FindLabel(r.key);
  const bool absence_holds = r.op == Operator::kNotIn || r.op == Operator::kDoesNotExist;
  if (label == nullptr) {
    if (!absence_holds) set.Reset(snap.size());
    return;
  }
  switch (r.op) {
    case Operator::kIn:
    case Operator::kNotIn: {
      std::vector<uint32_t> ids;
      for (const std::string& value : r.values) {
        if (const uint32_t id = label->values.Find(value); id != Interner::kNone) ids.push_back(1 + id);
      }
      const NodeSet found = WithValues(*label, ids, snap);
      r.op == Operator::kIn ? And(set, found) : AndNot(set, found);
      break;
    }
    case Operator::kExists:
    case Operator::kDoesNotExist: {
      const NodeSet lacking = WithValues(*label, {0}, snap);
      r.op == Operator::kExists ? AndNot(set, lacking) : And(set, lacking);
      break;
    }
    default: {
      NodeSet found(snap.size());
      set.ForEach([&](NodeIndex n) {
        const uint32_t id = label->column[n];
        if (id != 0 && Compares(r, label->values.Text(id - 1))) found.Add(n);
      });
      set = std::move(found);
    }
  }
}

}  // namespace

std::vector<std::string> TermErrors(const NodeSelectorTerm& term, std::string_view path) {
  std::vector<std::string> errors;
  for (size_t i = 0; i < term.expressions.size(); ++i) {
    ExpressionErrors(term.expressions[i], absl::StrCat(AsAbsl(path), ".matchExpressions[", i, "]"), errors);
  }
  for (size_t i = 0; i < term.fields.size(); ++i) {
    FieldErrors(term.fields[i], absl::StrCat(AsAbsl(path), ".matchFields[", i, "]"), errors);
  }
  return errors;
}

std::string JoinErrors(const std::vector<std::string>& errors) {
  std::vector<std::string> distinct;
  for (const std::string& e : errors) {
    if (std::find(distinct.begin(), distinct.end(), e) == distinct.end()) distinct.push_back(e);
  }
  if (distinct.size() == 1) return distinct[0];
  return absl::StrCat("[", absl::StrJoin(distinct, ", "), "]");
}

bool Matches(const NodeSelectorTerm& term, const Node& node) {
  return Usable(term) &&
         std::all_of(term.expressions.begin(), term.expressions.end(),
                     [&](const Requirement& r) { return Holds(r, node.labels); }) &&
         std::all_of(term.fields.begin(), term.fields.end(),
                     [&](const Requirement& r) { return FieldHolds(r, node.name); });
}

bool MatchesAny(std::span<const NodeSelectorTerm> terms, const Node& node) {
  return std::any_of(terms.begin(), terms.end(), [&](const NodeSelectorTerm& t) { return Matches(t, node); });
}

bool HasLabels(const Labels& wanted, const Node& node) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& label) {
    const auto it = node.labels.find(label.first);
    return it != node.labels.end() && it->second == label.second;
  });
}

NodeSet Matching(const NodeSelectorTerm& term, const Snapshot& snap) {
  if (!Usable(term)) return NodeSet(snap.size());
  NodeSet set = snap.all();
  for (const Requirement& r : term.expressions) Narrow(r, snap, set);
  for (const Requirement& r : term.fields) {
    if (r.key != kNodeNameField) {
      if (!FieldHolds(r, "")) set.Reset(snap.size());
      continue;
    }
    const NodeIndex named = snap.Find(r.values[0]);
    if (r.op == Operator::kIn) {
      const bool had = named != kNoNode && set.Has(named);
      set.Reset(snap.size());
      if (had) set.Add(named);
    } else if (named != kNoNode) {
      set.Remove(named);
    }
  }
  return set;
}

NodeSet MatchingAny(std::span<const NodeSelectorTerm> terms, const Snapshot& snap) {
  NodeSet any(snap.size());
  for (const NodeSelectorTerm& term : terms) {
    const NodeSet one = Matching(term, snap);
    for (size_t w = 0; w < any.words(); ++w) any.word(w) |= one.word(w);
  }
  return any;
}

NodeSet HavingLabels(const Labels& wanted, const Snapshot& snap) {
  NodeSet set = snap.all();
  for (const auto& [key, value] : wanted) Narrow({key, Operator::kIn, {value}, "In"}, snap, set);
  return set;
}

}  // namespace muster
