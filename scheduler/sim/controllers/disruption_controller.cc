#include "scheduler/sim/controllers/disruption_controller.h"

#include <algorithm>

#include "absl/strings/numbers.h"

namespace muster {
namespace {

constexpr Duration kDelay = absl::Milliseconds(10);  // from a pod's change to the budget's

// "2", or "50%" of a number, rounded up.
int64_t Scaled(const std::string& text, int64_t of) {
  int64_t value = 0;
  const bool percent = text.ends_with('%');
  if (!absl::SimpleAtoi(text.substr(0, text.size() - (percent ? 1 : 0)), &value)) return 0;
  return percent ? (value * of + 99) / 100 : value;
}

bool Healthy(const Pod& pod) { return !pod.node.empty() && !pod.deleting && !pod.ended; }

}  // namespace

DisruptionController::DisruptionController(EventLoop& loop, SimApiServer& server, const Manifests& manifests)
    : loop_(loop), server_(server) {
  for (const ManifestDisruptionBudget& written : manifests.budgets_to_count) {
    Budget budget{written.ns, written.name, {}, written.min_available, written.max_unavailable, 0, 0, 0, false};
    for (const ManifestObject& made : manifests.objects) {
      if (made.kind == Kind::kPodDisruptionBudget && made.object->ns == budget.ns && made.object->name == budget.name)
        budget.selector = static_cast<const DisruptionBudget&>(*made.object).selector;
    }
    for (const ManifestWorkload& workload : manifests.workloads) {
      // Jobs have no scale that the controller could ask for.
      if (workload.kind == "Job" || workload.ns != budget.ns || workload.pod_count == 0) continue;
      if (budget.selector.Matches(manifests.pods[workload.first_pod].pod->spec->labels))
        budget.replicas += static_cast<int64_t>(workload.pod_count);
    }
    budgets_.push_back(std::move(budget));
  }
  server_.AddObserver(this);
}

DisruptionController::~DisruptionController() { server_.RemoveObserver(this); }

int32_t DisruptionController::Allowed(const Budget& budget) {
  int64_t expected = budget.replicas, needed = 0;
  if (!budget.max_unavailable.empty()) {
    needed = expected - std::min(expected, Scaled(budget.max_unavailable, expected));
  } else {
    if (!budget.min_available.ends_with('%')) expected = budget.pods;
    needed = Scaled(budget.min_available, expected);
  }
  if (expected <= 0 || budget.healthy <= needed) return 0;
  return static_cast<int32_t>(budget.healthy - needed);
}

void DisruptionController::OnPod(const PodPtr& before, const PodPtr& after) {
  for (Budget& budget : budgets_) {
    int64_t pods = 0, healthy = 0;
    const auto count = [&](const PodPtr& pod, int sign) {
      if (pod == nullptr || pod->ns() != budget.ns || !budget.selector.Matches(pod->spec->labels)) return;
      pods += sign;
      healthy += Healthy(*pod) ? sign : 0;
    };
    count(before, -1);
    count(after, +1);
    budget.pods += pods;
    budget.healthy += healthy;
    if ((pods == 0 && healthy == 0) || budget.scheduled) continue;
    budget.scheduled = true;
    ++under_way_;
    loop_.After(kDelay, [this, &budget] { Write(budget); });
  }
}

void DisruptionController::Write(Budget& budget) {
  --under_way_;
  budget.scheduled = false;
  const ObjectPtr object = server_.FindObject(Kind::kPodDisruptionBudget, budget.ns, budget.name);
  if (object == nullptr) return;
  auto next = static_cast<const DisruptionBudget&>(*object);
  const int32_t allowed = Allowed(budget);
  if (next.disruptions_allowed == allowed) return;
  next.disruptions_allowed = allowed;
  server_.SetObject(Kind::kPodDisruptionBudget, next);
}

}  // namespace muster
