// Plays days of mixed gangs through the scheduler in simulated time and prints as JSON what came, when it
// started and where. bench/placement/run.sh --group-day puts kube-scheduler beside it and sums up.
#include <iostream>
#include <string>
#include <vector>

#include "bench/scenario/day.h"
#include "nlohmann/json.hpp"
#include "plugins/all.h"
#include "scheduler/command/arguments.h"
#include "scheduler/framework/config/config.h"

namespace muster {
namespace {

const char* ModeName(TopologyRequest::Mode mode) {
  switch (mode) {
    case TopologyRequest::Mode::kRequired: return "required";
    case TopologyRequest::Mode::kPreferred: return "preferred";
    default: return "none";
  }
}

int Run(int argc, char** argv) {
  DayOptions options;
  uint64_t racks = 16, hours = 24, load = 90;
  std::string path;
  Arguments arguments("group_day [flags]", "Plays a day of mixed gangs in simulated time; prints JSON.");
  arguments.Number("--seed", "N", "of the day, and of ties", 0, UINT64_MAX, &options.seed);
  arguments.Number("--racks", "N", "of 16 nodes of 8 GPUs, four racks a block", 1, 10'000, &racks);
  arguments.Number("--hours", "N", "in which gangs arrive", 1, 1000, &hours);
  arguments.Number("--load", "PERCENT", "GPU hours that they ask for, of those that there are", 1, 1000, &load);
  arguments.Text("--config", "FILE", "the scheduler's configuration", &path);
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (const auto exit = arguments.Parse(args, std::cout, std::cerr)) return *exit;
  options.cluster.nodes = racks * options.cluster.nodes_a_rack;
  options.hours = static_cast<double>(hours);
  options.load = static_cast<double>(load) / 100;

  const Registry registry = AllPlugins();
  absl::StatusOr<Configuration> config = DefaultConfiguration(registry);
  if (!path.empty()) config = LoadConfiguration(path, registry);
  if (!config.ok()) return arguments.Refuse(std::string(config.status().message()), std::cerr);
  const std::vector<DayGang> gangs = MakeDay(options);
  const auto outcomes = RunDay(options, gangs, *config, registry);
  if (!outcomes.ok()) {
    std::cerr << outcomes.status().message() << "\n";
    return kExitFailed;
  }
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (size_t g = 0; g < gangs.size(); ++g) {
    const DayGang& gang = gangs[g];
    const DayOutcome& outcome = (*outcomes)[g];
    nlohmann::ordered_json row = {{"name", gang.name},
                                  {"arrival", absl::ToDoubleSeconds(gang.arrival)},
                                  {"duration", absl::ToDoubleSeconds(gang.duration)},
                                  {"pods", gang.pods},
                                  {"gpus", gang.gpus},
                                  {"mode", ModeName(gang.topology.mode)},
                                  {"level", gang.topology.level},
                                  {"nodes", outcome.nodes}};
    if (outcome.started != absl::InfiniteDuration()) row["started"] = absl::ToDoubleSeconds(outcome.started);
    rows.push_back(std::move(row));
  }
  const nlohmann::ordered_json day = {{"nodes", options.cluster.nodes},
                                      {"nodesARack", options.cluster.nodes_a_rack},
                                      {"racksABlock", options.cluster.racks_a_block},
                                      {"hours", options.hours},
                                      {"gangs", std::move(rows)}};
  std::cout << day.dump() << "\n";
  return kExitOk;
}

}  // namespace
}  // namespace muster

int main(int argc, char** argv) { return muster::Run(argc, argv); }
