// A Queue's status as the server has it.
#ifndef MUSTER_SCHEDULER_WIRE_JSON_QUEUE_STATUS_H_
#define MUSTER_SCHEDULER_WIRE_JSON_QUEUE_STATUS_H_

#include <string>

#include "nlohmann/json_fwd.hpp"
#include "scheduler/model/queue.h"

namespace muster {

// The whole of `status`, amounts as quantities. What is not known is left out.
nlohmann::json QueueStatusJson(const QueueStatus& status);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_WIRE_JSON_QUEUE_STATUS_H_
