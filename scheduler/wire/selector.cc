#include "scheduler/wire/selector.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "scheduler/model/ids.h"

namespace muster {

Operator ReadOperator(std::string_view text) {
  constexpr std::pair<std::string_view, Operator> kOperators[] = {
      {"In", Operator::kIn},         {"NotIn", Operator::kNotIn},
      {"Exists", Operator::kExists}, {"DoesNotExist", Operator::kDoesNotExist},
      {"Gt", Operator::kGt},         {"Lt", Operator::kLt},
  };
  for (const auto& [name, op] : kOperators) {
    if (text == name) return op;
  }
  return Operator::kInvalid;
}

LabelSelector SelectorOf(const google::protobuf::Map<std::string, std::string>& labels) {
  LabelSelector selector;
  selector.present = true;
  const Labels sorted(labels.begin(), labels.end());
  for (const auto& [key, value] : sorted) selector.requirements.push_back({key, Operator::kIn, {value}, {}});
  return selector;
}

LabelSelector ReadLabelSelector(const k8s::io::apimachinery::pkg::apis::meta::v1::LabelSelector& wire,
                                std::string_view path, std::string* error) {
  LabelSelector selector = SelectorOf(wire.matchlabels());
  for (int i = 0; i < wire.matchexpressions_size(); ++i) {
    const auto& r = wire.matchexpressions(i);
    const Operator op = ReadOperator(r.operator_());
    std::string wrong;
    switch (op) {
      case Operator::kIn:
      case Operator::kNotIn:
        if (r.values().empty()) wrong = "values: must not be empty for In and NotIn";
        break;
      case Operator::kExists:
      case Operator::kDoesNotExist:
        if (!r.values().empty()) wrong = "values: must be empty for Exists and DoesNotExist";
        break;
      default: wrong = absl::StrCat("operator: \"", r.operator_(), "\" is not a valid label selector operator");
    }
    if (!wrong.empty() && error->empty()) *error = absl::StrCat(AsAbsl(path), ".matchExpressions[", i, "].", wrong);
    selector.requirements.push_back({r.key(), op, {r.values().begin(), r.values().end()}, {}});
  }
  return selector;
}

}  // namespace muster
