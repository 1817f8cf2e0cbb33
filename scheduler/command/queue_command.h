// `muster queue`: shows queues and those that wait in them, of a cluster or of a simulation.
#ifndef MUSTER_SCHEDULER_COMMAND_QUEUE_COMMAND_H_
#define MUSTER_SCHEDULER_COMMAND_QUEUE_COMMAND_H_

#include <ostream>
#include <span>
#include <string>

namespace muster {

// `args` without "queue". Returns the exit code.
int QueueCommand(std::span<const std::string> args, std::ostream& out, std::ostream& err);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_COMMAND_QUEUE_COMMAND_H_
