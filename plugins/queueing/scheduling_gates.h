// SchedulingGates: a pod with scheduling gates waits outside the queue.
#ifndef MUSTER_PLUGINS_QUEUEING_SCHEDULING_GATES_H_
#define MUSTER_PLUGINS_QUEUEING_SCHEDULING_GATES_H_

#include <string_view>

#include "scheduler/framework/plugin.h"

namespace muster {

class SchedulingGates final : public PreEnqueuePlugin {
 public:
  std::string_view Name() const override { return "SchedulingGates"; }
  ClusterEvents RequeueOn() const override { return kSelfGates; }
  Outcome PreEnqueue(const Pod& pod, const ClusterObjects& objects) const override;
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_QUEUEING_SCHEDULING_GATES_H_
