// What PostFilter plugins are given, and what they may propose.
#ifndef MUSTER_SCHEDULER_FRAMEWORK_POST_FILTER_H_
#define MUSTER_SCHEDULER_FRAMEWORK_POST_FILTER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/framework/status.h"
#include "scheduler/model/device.h"
#include "scheduler/model/pod.h"
#include "scheduler/model/snapshot.h"

namespace muster {

class Evaluation;
class Framework;
class Statement;
class Verdicts;
struct Nominated;

// A pod that fits nowhere. All is of the same moment.
struct PostFilterRequest {
  const Framework& framework;
  const Pod& pod;
  const PodInfo& info;
  const Snapshot& snap;
  Evaluation& answer;        // up to date, not broken, without a feasible node
  const Verdicts& verdicts;  // likewise
  Statement& statement;      // for trials, all undone
  const Nominated* nominated = nullptr;
  uint64_t seed = 0;
  bool all_nodes = false;  // looks at every node, however many would do
};

struct PostFilterResult {
  // Success: room can be made on *nominate. Unschedulable: it cannot. nullopt: something broke.
  std::optional<Code> code;
  std::string message;  // upstream's; also on success
  // What becomes of the pod's nominated node; "": it has none any more. nullopt: what it was.
  std::optional<std::string> nominate;
  // To be evicted, most important first. The pods are those of Snapshot::PodsOn: valid until that changes.
  std::vector<const Pod*> victims;
  int32_t budget_violations = 0;
  // Where queues decide, by victim: the other queue that it is taken from, "" where it is of the same or of none, and
  // why it may go: "InQueue", "Reclamation", "BorrowingPreemption", "LowerPriority".
  struct Taken {
    std::string queue, reason;
  };
  std::vector<Taken> taken;
  // Its allocation is in the way, and nobody else uses it: to be taken from it. Or null.
  ClaimPtr deallocate;
  // When the answer may be another although nothing changes.
  Time again_at = absl::InfiniteFuture();
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_FRAMEWORK_POST_FILTER_H_
