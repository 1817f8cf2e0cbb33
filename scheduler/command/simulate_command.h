// `muster simulate`: runs manifests through the engine in memory.
#ifndef MUSTER_SCHEDULER_COMMAND_SIMULATE_COMMAND_H_
#define MUSTER_SCHEDULER_COMMAND_SIMULATE_COMMAND_H_

#include <ostream>
#include <span>
#include <string>

namespace muster {

// `args` without "simulate". Returns the exit code.
int SimulateCommand(std::span<const std::string> args, std::ostream& out, std::ostream& err);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_COMMAND_SIMULATE_COMMAND_H_
