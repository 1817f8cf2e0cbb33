// Plays a Monday morning of 50 teams in simulated time, and prints what it shows.
#include <algorithm>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "bench/scenario/monday.h"
#include "nlohmann/json.hpp"
#include "plugins/all.h"
#include "scheduler/command/arguments.h"
#include "scheduler/framework/config/config.h"

namespace muster {
namespace {

struct Verdict {
  std::string what, is, bound;
  bool met = false;
};

double Seconds(Duration duration) { return absl::ToDoubleSeconds(duration); }

std::vector<Verdict> Judge(const MondayPlan& plan, const MondayResult& r) {
  std::vector<Verdict> verdicts;
  const auto wait = [&](Work work, const char* what, double bound) {
    const double p99 = Seconds(r.waits[static_cast<size_t>(work)].p99);
    verdicts.push_back({what, absl::StrFormat("%.3f s", p99), absl::StrFormat("< %g s", bound), p99 < bound});
  };
  wait(Work::kInference, "inference, p99 wait", 1);
  wait(Work::kLane, "agents' burst lane, p99 wait while tokens last", 5);
  size_t beyond = 0, young = 0, evicted = 0;
  for (size_t t = 0; t < plan.teams.size(); ++t) {
    const QueuePreemption& rule = plan.teams[t].queue.preemption;
    evicted += r.evictions[t].of_gangs;
    beyond += r.evictions[t].of_gangs > 0 && rule.evictions_per_hour.has_value() &&
              static_cast<int64_t>(r.evictions[t].most_in_an_hour) > *rule.evictions_per_hour;
    young += r.evictions[t].pods > 0 && r.evictions[t].youngest < rule.min_runtime;
  }
  verdicts.push_back({"queues that lost more pods of gangs than their budget",
                      absl::StrFormat("%d (%d pods evicted)", beyond, evicted), "0", beyond == 0});
  verdicts.push_back(
      {"queues with pods evicted before their minimum run time", absl::StrFormat("%d", young), "0", young == 0});
  double most = 0;
  for (const MondayShare& share : r.shares) most = std::max(most, std::abs(share.deviation));
  verdicts.push_back({"borrowed by weight, greatest deviation among siblings",
                      absl::StrFormat("%.1f%% (over %.0f min)", 100 * most, absl::ToDoubleMinutes(r.shares_over)),
                      "< 5%", !r.shares.empty() && most < 0.05});
  verdicts.push_back(
      {"samples with more in use than quota allows", absl::StrFormat("%d", r.over_limit), "0", r.over_limit == 0});
  return verdicts;
}

void PrintTable(const MondayOptions& options, const MondayPlan& plan, const MondayResult& r) {
  std::cout << absl::StreamFormat(
      "%d nodes, %d teams, %.0f simulated minutes, seed %d%s: %d pods came, %d were bound, %d decisions\n",
      plan.nodes.size(), plan.teams.size(), absl::ToDoubleMinutes(kMondayEnd), options.seed,
      options.queues ? "" : ", no queues", r.arrived, r.bound, r.decisions);
  std::cout << absl::StreamFormat("\n%-12s %9s %9s %10s %10s %10s\n", "wait, s", "pods", "pending", "p50", "p99",
                                  "max");
  for (size_t w = 0; w < kWorks; ++w) {
    const MondayWait& wait = r.waits[w];
    std::cout << absl::StreamFormat("%-12s %9d %9d %10.3f %10.3f %10.3f\n", WorkName(static_cast<Work>(w)), wait.pods,
                                    wait.pending, Seconds(wait.p50), Seconds(wait.p99), Seconds(wait.max));
  }
  std::cout << absl::StreamFormat("\n%-16s %7s %10s %10s %10s\n", "wants more", "weight", "borrowed", "by weight",
                                  "deviation");
  for (const MondayShare& share : r.shares) {
    std::cout << absl::StreamFormat("%-16s %7d %10.1f %10.1f %9.1f%%\n", share.queue, share.weight, share.borrowed,
                                    share.borrowed / share.weight, 100 * share.deviation);
  }
  std::cout << absl::StreamFormat("\n%-16s %7s %9s %9s %12s %7s %10s\n", "evicted", "pods", "of gangs", "gangs",
                                  "in an hour", "budget", "youngest s");
  for (size_t t = 0; t < plan.teams.size(); ++t) {
    const MondayEvictions& evictions = r.evictions[t];
    if (evictions.pods == 0) continue;
    const auto budget = plan.teams[t].queue.preemption.evictions_per_hour;
    std::cout << absl::StreamFormat("%-16s %7d %9d %9d %12d %7s %10.1f\n", plan.teams[t].name, evictions.pods,
                                    evictions.of_gangs, evictions.gangs, evictions.most_in_an_hour,
                                    budget.has_value() ? absl::StrFormat("%d", *budget) : "-",
                                    Seconds(evictions.youngest));
  }
  std::cout << "\n";
  for (const Verdict& verdict : Judge(plan, r)) {
    std::cout << absl::StreamFormat("%-7s %-58s %-22s bound %s\n", verdict.met ? "met" : "NOT MET", verdict.what,
                                    verdict.is, verdict.bound);
  }
  std::cout << absl::StreamFormat("log hash %016x, unseed %016x\n", r.log_hash, r.unseed);
}

nlohmann::ordered_json Json(const MondayPlan& plan, const MondayResult& r) {
  nlohmann::ordered_json waits, shares = nlohmann::ordered_json::array(), verdicts = shares, evictions = shares;
  for (size_t w = 0; w < kWorks; ++w) {
    const MondayWait& wait = r.waits[w];
    waits[WorkName(static_cast<Work>(w))] = {{"pods", wait.pods},
                                             {"pending", wait.pending},
                                             {"p50Seconds", Seconds(wait.p50)},
                                             {"p99Seconds", Seconds(wait.p99)},
                                             {"maxSeconds", Seconds(wait.max)}};
  }
  for (const MondayShare& share : r.shares) {
    shares.push_back({{"queue", share.queue},
                      {"weight", share.weight},
                      {"borrowedCores", share.borrowed},
                      {"deviation", share.deviation}});
  }
  for (size_t t = 0; t < plan.teams.size(); ++t) {
    const MondayEvictions& of = r.evictions[t];
    if (of.pods == 0) continue;
    evictions.push_back({{"queue", plan.teams[t].name},
                         {"pods", of.pods},
                         {"podsOfGangs", of.of_gangs},
                         {"mostInAnHour", of.most_in_an_hour},
                         {"youngestSeconds", Seconds(of.youngest)}});
  }
  for (const Verdict& verdict : Judge(plan, r))
    verdicts.push_back({{"what", verdict.what}, {"is", verdict.is}, {"bound", verdict.bound}, {"met", verdict.met}});
  return {{"pods", r.arrived},
          {"bound", r.bound},
          {"decisions", r.decisions},
          {"waits", waits},
          {"shares", shares},
          {"sharesOverSeconds", Seconds(r.shares_over)},
          {"evictions", evictions},
          {"verdicts", verdicts},
          {"logHash", absl::StrFormat("%016x", r.log_hash)},
          {"unseed", absl::StrFormat("%016x", r.unseed)}};
}

int Run(int argc, char** argv) {
  MondayOptions options;
  uint64_t scale = 100, threads = 1;
  bool no_queues = false;
  std::string svg, output = "table";
  Arguments arguments("monday [flags]", "Plays a Monday morning of 50 teams in simulated time.");
  arguments.Number("--seed", "N", "of the morning, and of ties", 0, UINT64_MAX, &options.seed);
  arguments.Number("--scale", "PERCENT", "of nodes, quotas and arrivals", 1, 100, &scale);
  arguments.Number("--threads", "N", "threads that decide", 1, 256, &threads);
  arguments.Switch("--no-queues", "the same without Queue objects", &no_queues);
  arguments.Text("--svg", "FILE", "draws usage by queue over time", &svg);
  arguments.Choice("-o, --output", {"table", "json"}, "how to print", &output);
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (const auto exit = arguments.Parse(args, std::cout, std::cerr)) return *exit;
  options.scale = static_cast<double>(scale) / 100;
  options.threads = static_cast<int>(threads);
  options.queues = !no_queues;

  const Registry registry = AllPlugins();
  const MondayPlan plan = PlanMonday(options);
  const auto result = RunMonday(options, plan, MondayConfiguration(DefaultConfiguration(registry)), registry);
  if (!result.ok()) {
    std::cerr << result.status().message() << "\n";
    return kExitFailed;
  }
  if (!svg.empty()) {
    std::ofstream file(svg);
    file << DrawMonday(plan, *result);
    if (!file.flush()) {
      std::cerr << svg << ": cannot be written\n";
      return kExitFailed;
    }
  }
  if (output == "json") {
    std::cout << Json(plan, *result).dump(2) << "\n";
  } else {
    PrintTable(options, plan, *result);
  }
  return kExitOk;
}

}  // namespace
}  // namespace muster

int main(int argc, char** argv) { return muster::Run(argc, argv); }
