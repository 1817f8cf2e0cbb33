#include "scheduler/framework/victims.h"

#include <algorithm>

namespace muster {

void BudgetLedger::Load(const ClusterObjects& objects) {
  budgets_.clear();
  for (const auto& [key, object] : objects.All(Kind::kPodDisruptionBudget))
    budgets_.push_back(static_cast<const DisruptionBudget*>(object.get()));
  Reset();
}

void BudgetLedger::Reset() {
  allowed_.clear();
  for (const DisruptionBudget* budget : budgets_) allowed_.push_back(budget->disruptions_allowed);
}

bool BudgetLedger::Violates(const Pod& pod) {
  if (budgets_.empty() || pod.spec->labels.empty()) return false;
  const auto begin = std::partition_point(budgets_.begin(), budgets_.end(),
                                          [&](const DisruptionBudget* b) { return b->ns < pod.ns(); });
  for (auto it = begin; it != budgets_.end() && (*it)->ns == pod.ns(); ++it) {
    const DisruptionBudget& budget = **it;
    // A budget without requirements protects nobody here, though the API's evictions take it for all.
    if (!budget.selector.present || budget.selector.empty() || !budget.selector.Matches(pod.spec->labels)) continue;
    if (std::binary_search(budget.disrupted_pods.begin(), budget.disrupted_pods.end(), pod.name)) continue;
    if (--allowed_[static_cast<size_t>(it - budgets_.begin())] < 0) return true;
  }
  return false;
}

}  // namespace muster
