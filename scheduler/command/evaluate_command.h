// `muster evaluate`: one pod's verdict on every node, without placing it.
#ifndef MUSTER_SCHEDULER_COMMAND_EVALUATE_COMMAND_H_
#define MUSTER_SCHEDULER_COMMAND_EVALUATE_COMMAND_H_

#include <ostream>
#include <span>
#include <string>

namespace muster {

// `args` without "evaluate". Returns the exit code.
int EvaluateCommand(std::span<const std::string> args, std::ostream& out, std::ostream& err);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_COMMAND_EVALUATE_COMMAND_H_
