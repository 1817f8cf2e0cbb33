// The messages of queues to the model.
#ifndef MUSTER_SCHEDULER_WIRE_QUEUE_OBJECTS_H_
#define MUSTER_SCHEDULER_WIRE_QUEUE_OBJECTS_H_

#include <memory>

#include "scheduler/model/queue.h"
#include "scheduler/wire/proto/custom_resources.pb.h"

namespace muster {

// Never null; the first thing that cannot be interpreted is told in `invalid`. The custom resource definitions in
// manifests/crd refuse the same.
std::shared_ptr<Queue> ReadQueue(const custom::Queue& wire);
std::shared_ptr<ResourceFlavor> ReadFlavor(const custom::ResourceFlavor& wire);

// The whole status; what is not there is as in an empty one.
QueueStatus ReadQueueStatus(const custom::QueueStatus& wire);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_WIRE_QUEUE_OBJECTS_H_
