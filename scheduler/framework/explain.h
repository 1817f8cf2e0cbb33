// Why a pod fits nowhere, in kube-scheduler's words and as data.
#ifndef MUSTER_SCHEDULER_FRAMEWORK_EXPLAIN_H_
#define MUSTER_SCHEDULER_FRAMEWORK_EXPLAIN_H_

#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "scheduler/framework/cluster_event.h"
#include "scheduler/framework/evaluation.h"
#include "scheduler/framework/verdicts.h"

namespace muster {

struct Explanation {
  struct Cause {
    std::string plugin;
    std::string message;
    int32_t nodes = 0;
  };
  // "0/5 nodes are available: 2 Insufficient cpu, 3 node(s) were unschedulable."
  std::string message;
  std::vector<Cause> causes;             // by plugin in filter order, then by message
  std::vector<const Plugin*> rejectors;  // whose events can make the pod fit
  ClusterEvents wake_on = 0;             // union of their RequeueOn()
  bool preemption_may_help = false;      // some node was rejected as Unschedulable
  bool is_error = false;                 // the cycle broke: message says how
};

// "0/5 nodes are available: 2 Insufficient cpu, 3 node(s) were unschedulable.", of nodes by reason.
std::string NoNodeMessage(size_t all, const absl::btree_map<std::string, int32_t>& reasons);

// Requires: `answer` is up to date with `snap` and has no feasible node. `verdicts` are the answer's:
// they are brought up to date here.
Explanation Explain(const Framework& framework, const PodInfo& pod, const Snapshot& snap, Evaluation& answer,
                    Verdicts& verdicts, const Nominated* nominated = nullptr);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_FRAMEWORK_EXPLAIN_H_
