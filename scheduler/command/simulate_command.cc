#include "scheduler/command/simulate_command.h"

#include <optional>
#include <vector>

#include "plugins/all.h"
#include "scheduler/command/arguments.h"
#include "scheduler/command/inputs.h"
#include "scheduler/command/report.h"
#include "scheduler/command/simulation.h"

namespace muster {

int SimulateCommand(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  std::vector<std::string> files;
  std::string config_path, output = "table", log_path;
  std::optional<uint64_t> seed, threads;
  SimulationOptions options;
  Arguments arguments("simulate -f FILE|DIR ... [flags]",
                      "Reads Kubernetes manifests, schedules their pods in memory with the real engine, in simulated\n"
                      "time, until nothing changes any more, and prints where everything went.");
  arguments.Many("-f, --filename", "FILE|DIR", "manifests (YAML or JSON); - is standard input; may be repeated",
                 &files);
  arguments.Text("--config", "FILE", "KubeSchedulerConfiguration (default: one profile, muster, all plugins)",
                 &config_path);
  arguments.Number("--seed", "N", "decides ties (default: the configuration's, else 1)", 0, UINT64_MAX, &seed);
  arguments.Number("--threads", "N", "for deciding; the outcome is the same for any number (default 1)", 1, 256,
                   &threads);
  arguments.Length("--until", "DURATION", "stop after so much simulated time, such as 90s or 2h", &options.until);
  arguments.Choice("-o, --output", {"table", "json"}, "form of the outcome (default table)", &output);
  arguments.Text("--decision-log", "FILE", "write every decision there, a line of JSON each", &log_path);
  arguments.Rest(&files);
  if (const auto exit = arguments.Parse(args, out, err)) return *exit;
  if (files.empty()) return arguments.Refuse("-f FILE|DIR is missing", err);

  const Registry registry = AllPlugins();
  const auto inputs = ReadInputs(files, config_path, registry, err);
  if (!inputs.ok()) {
    err << inputs.status().message() << "\n";
    return kExitBadInput;
  }
  if (!log_path.empty()) {
    auto observer = WriteDecisionsTo(log_path);
    if (!observer.ok()) {
      err << "muster: --decision-log " << observer.status().message() << "\n";
      return kExitBadInput;
    }
    options.observer = *std::move(observer);
  }
  options.seed = seed.value_or(inputs->config.muster.seed);
  options.threads = threads.has_value() ? static_cast<int>(*threads) : inputs->config.muster.threads.value_or(1);
  const auto result = Simulate(inputs->manifests, inputs->config, registry, options);
  if (!result.ok()) {
    err << "muster: " << result.status().message() << "\n";
    return kExitBadInput;
  }
  if (output == "json") {
    PrintSimulationJson(*result, out);
  } else {
    PrintSimulationTable(*result, out);
  }
  return kExitOk;
}

}  // namespace muster
