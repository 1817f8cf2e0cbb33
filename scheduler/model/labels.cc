#include "scheduler/model/labels.h"

#include <algorithm>

namespace muster {
namespace {

bool Holds(const Requirement& r, const Labels& labels) {
  const auto it = labels.find(r.key);
  const bool has = it != labels.end();
  const auto listed = [&] { return std::find(r.values.begin(), r.values.end(), it->second) != r.values.end(); };
  switch (r.op) {
    case Operator::kIn: return has && listed();
    case Operator::kNotIn: return !has || !listed();
    case Operator::kExists: return has;
    case Operator::kDoesNotExist: return !has;
    default: return false;
  }
}

}  // namespace

bool LabelSelector::Matches(const Labels& labels) const {
  return present &&
         std::all_of(requirements.begin(), requirements.end(), [&](const Requirement& r) { return Holds(r, labels); });
}

}  // namespace muster
