#include "plugins/queueing/scheduling_gates.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace muster {

Outcome SchedulingGates::PreEnqueue(const Pod& pod, const ClusterObjects&) const {
  if (pod.scheduling_gates.empty()) return Outcome::Success();
  return Outcome::Unresolvable(
      absl::StrCat("waiting for scheduling gates: [", absl::StrJoin(pod.scheduling_gates, " "), "]"));
}

}  // namespace muster
