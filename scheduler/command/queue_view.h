// Queues and what is told of them, for people and for programs.
#ifndef MUSTER_SCHEDULER_COMMAND_QUEUE_VIEW_H_
#define MUSTER_SCHEDULER_COMMAND_QUEUE_VIEW_H_

#include <memory>
#include <ostream>
#include <span>

#include "scheduler/model/queue.h"

namespace muster {

struct QueueView {
  std::shared_ptr<const Queue> queue;
  QueueStatus status;
};

// A line each.
void PrintQueueTable(std::span<const QueueView> queues, std::ostream& out);
// One with its resources and those that wait.
void PrintQueue(const QueueView& view, std::ostream& out);
// {"queues":[{"name","parent","weight","order","stopPolicy","resources":[{"name","flavor","nominalQuota",
// "borrowingLimit"|null,"lendingLimit"|null}],"status":{...}}]}; `status` as in the Queue object, amounts as
// quantities.
void PrintQueueJson(std::span<const QueueView> queues, std::ostream& out);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_COMMAND_QUEUE_VIEW_H_
