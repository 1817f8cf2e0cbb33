// The `muster` command; also kubectl's plugin, when called kubectl-muster.
#include <algorithm>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/command/evaluate_command.h"
#include "scheduler/command/queue_command.h"
#include "scheduler/command/scheduler_command.h"
#include "scheduler/command/simulate_command.h"

namespace {

struct Command {
  std::string_view name, about;
  int (*run)(std::span<const std::string> args, std::ostream& out, std::ostream& err);
};

constexpr Command kCommands[] = {
    {"simulate", "schedule manifests in memory and show where everything goes", muster::SimulateCommand},
    {"evaluate", "show one pod's verdict on every node", muster::EvaluateCommand},
    {"queue", "show queues, and what those in them wait for", muster::QueueCommand},
    {"scheduler", "run as a scheduler of a Kubernetes cluster", muster::SchedulerCommand},
};

void Usage(std::ostream& out) {
  out << "usage: muster COMMAND [flags]\n\n";
  for (const Command& command : kCommands) {
    out << "  " << command.name << std::string(12 - command.name.size(), ' ') << command.about << "\n";
  }
  out << "\nmuster COMMAND --help lists a command's flags.\n";
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.empty() || args[0] == "--help" || args[0] == "-h" || args[0] == "help") {
    Usage(args.empty() ? std::cerr : std::cout);
    return args.empty() ? 2 : 0;
  }
  const auto command =
      std::find_if(std::begin(kCommands), std::end(kCommands), [&](const Command& c) { return c.name == args[0]; });
  if (command == std::end(kCommands)) {
    std::cerr << "muster: there is no command " << args[0] << "\n";
    Usage(std::cerr);
    return 2;
  }
  return command->run(std::span(args).subspan(1), std::cout, std::cerr);
}
