// `muster scheduler`: the daemon.
#ifndef MUSTER_SCHEDULER_COMMAND_SCHEDULER_COMMAND_H_
#define MUSTER_SCHEDULER_COMMAND_SCHEDULER_COMMAND_H_

#include <ostream>
#include <span>
#include <string>

namespace muster {

// `args` without "scheduler". Runs until SIGTERM or SIGINT (0), or until it no longer leads (1).
// Before any other thread: it blocks those signals.
int SchedulerCommand(std::span<const std::string> args, std::ostream& out, std::ostream& err);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_COMMAND_SCHEDULER_COMMAND_H_
