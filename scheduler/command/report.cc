#include "scheduler/command/report.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"

namespace muster {
namespace {

using Json = nlohmann::ordered_json;

// Alike pods from here on share one row.
constexpr size_t kAlike = 4;
// Of more rows than this only those of pending pods are shown, and no more of them either.
constexpr size_t kRowsShown = 200;
// More nodes than this are only summed up.
constexpr size_t kNodesShown = 40;
// Of many different reasons the most frequent are shown.
constexpr size_t kReasonsShown = 10;

std::string Result(const SimulationResult::Pod& pod) {
  if (pod.preempted) return "preempted";
  return pod.node.empty() ? "pending" : "bound";
}

std::string Percent(int64_t part, int64_t whole) {
  return whole <= 0 ? "-" : absl::StrFormat("%.0f%%", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

// "agent-17" -> "agent-*", "web-0" -> "web-*"; "" where the name has no number.
std::string Family(const SimulationResult::Pod& pod) {
  if (!pod.workload.empty()) return absl::StrCat(pod.workload, "-*");
  const size_t end = pod.name.find_last_not_of("0123456789");
  if (end == std::string::npos || end + 1 == pod.name.size()) return "";
  return absl::StrCat(pod.name.substr(0, end + 1), "*");
}

// Pods alike in all that their row would say, in order of namespace and name of the first.
struct Row {
  const SimulationResult::Pod* first;
  std::string family;
  size_t pods = 0;
  std::set<std::string> nodes;
};

std::vector<Row> PodRows(const std::vector<SimulationResult::Pod>& pods) {
  using Key = std::vector<std::string>;
  const auto key_of = [](const SimulationResult::Pod& pod, const std::string& family) {
    return Key{pod.ns, family, Result(pod), pod.message};
  };
  std::map<Key, size_t> counts;
  for (const auto& pod : pods) {
    if (const std::string family = Family(pod); !family.empty()) ++counts[key_of(pod, family)];
  }
  std::vector<Row> rows;
  std::map<Key, size_t> row_of;
  for (const auto& pod : pods) {
    std::string family = Family(pod);
    Key key = key_of(pod, family);
    if (family.empty() || counts[key] < kAlike) {
      rows.push_back({&pod, pod.name, 1, {pod.node}});
      continue;
    }
    const auto [it, added] = row_of.try_emplace(std::move(key), rows.size());
    if (added) rows.push_back({&pod, std::move(family), 0, {}});
    ++rows[it->second].pods;
    rows[it->second].nodes.insert(pod.node);
  }
  return rows;
}

std::string NodeCell(const Row& row) {
  if (row.first->node.empty()) return "-";
  return row.nodes.size() == 1 ? *row.nodes.begin() : absl::StrCat(row.nodes.size(), " nodes");
}

// Resources worth a column: what is not in every cluster (GPUs, ...), then what is.
std::vector<std::string> ShownResources(const SimulationResult::Uses& uses) {
  std::vector<std::string> shown;
  for (const char* name : {"cpu", "memory"}) {
    if (uses.contains(name)) shown.push_back(name);
  }
  for (const auto& [name, use] : uses) {
    if (name != "pods" && name != "cpu" && name != "memory" && name != "ephemeral-storage") shown.push_back(name);
  }
  return shown;
}

std::string Upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

void PrintNodes(const SimulationResult& result, const std::vector<std::string>& resources, std::ostream& out) {
  std::vector<std::vector<std::string>> rows = {{"NODE", "PODS"}};
  for (const std::string& resource : resources) rows[0].push_back(Upper(resource));
  for (const auto& node : result.nodes) {
    auto& row = rows.emplace_back();
    row = {node.name, absl::StrCat(node.placed)};
    for (const std::string& resource : resources) {
      const auto use = node.uses.find(resource);
      row.push_back(use == node.uses.end() ? "-" : Percent(use->second.peak, use->second.allocatable));
    }
  }
  PrintTable(rows, out);
}

size_t Count(const SimulationResult& result, bool bound) {
  return static_cast<size_t>(std::count_if(result.pods.begin(), result.pods.end(), [&](const auto& pod) {
    return !pod.preempted && pod.node.empty() != bound;
  }));
}

size_t Preempted(const SimulationResult& result) {
  return static_cast<size_t>(
      std::count_if(result.pods.begin(), result.pods.end(), [](const auto& pod) { return pod.preempted; }));
}

size_t Ended(const SimulationResult& result) {
  return static_cast<size_t>(
      std::count_if(result.pods.begin(), result.pods.end(), [](const auto& pod) { return pod.ended; }));
}

size_t NodesUsed(const SimulationResult& result) {
  return static_cast<size_t>(
      std::count_if(result.nodes.begin(), result.nodes.end(), [](const auto& node) { return node.placed != 0; }));
}

std::string Hex(uint64_t value) { return absl::StrFormat("%016x", value); }

}  // namespace

void PrintTable(const std::vector<std::vector<std::string>>& rows, std::ostream& out) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - row[i].size() + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << "\n";
  }
}

void PrintSimulationTable(const SimulationResult& result, std::ostream& out) {
  // Reasons are long and few: they go below, numbered.
  std::vector<std::pair<std::string, size_t>> reasons;
  std::vector<std::vector<std::string>> rows = {{"NAMESPACE", "NAME", "PODS", "NODE", "RESULT", "REASON"}};
  const std::vector<Row> pod_rows = PodRows(result.pods);
  size_t not_shown = 0;
  for (const Row& row : pod_rows) {
    const SimulationResult::Pod& pod = *row.first;
    if (pod_rows.size() > kRowsShown && (!pod.node.empty() || rows.size() > kRowsShown)) {
      not_shown += row.pods;
      continue;
    }
    std::string reason;
    if (pod.node.empty()) {
      auto it = std::find_if(reasons.begin(), reasons.end(), [&](const auto& r) { return r.first == pod.message; });
      if (it == reasons.end()) it = reasons.insert(reasons.end(), {pod.message, 0});
      it->second += row.pods;
      reason = absl::StrCat("[", it - reasons.begin() + 1, "]");
    }
    rows.push_back({pod.ns, row.family, absl::StrCat(row.pods), NodeCell(row),
                    absl::StrCat(Result(pod), pod.ended ? ", ended" : ""), reason});
  }
  PrintTable(rows, out);
  if (not_shown != 0) out << "... and " << not_shown << " more pods (-o json shows all)\n";

  if (!reasons.empty()) out << "\nPending because\n";
  size_t told = 0, left = 0;
  for (const auto& [message, pods] : reasons) {
    if (++told <= kReasonsShown) {
      out << "  [" << told << "] " << message << "\n";
    } else {
      left += pods;
    }
  }
  if (left != 0) out << "  and other reasons for " << left << " pods (-o json shows all)\n";

  if (!result.queues.empty()) {
    out << "\nQueues, at the end\n";
    PrintQueueTable(result.queues, out);
  }

  const std::vector<std::string> resources = ShownResources(result.uses);
  if (result.nodes.size() <= kNodesShown) {
    out << "\nNodes, at their fullest\n";
    PrintNodes(result, resources, out);
  }

  out << "\n";
  std::vector<std::string> uses;
  for (const std::string& resource : resources) {
    const SimulationResult::Use& use = result.uses.at(resource);
    uses.push_back(absl::StrCat(resource, " ", Percent(use.peak, use.allocatable)));
  }
  std::string pods =
      absl::StrCat(Count(result, true), " bound (", Ended(result), " have ended), ", Count(result, false), " pending");
  if (const size_t gone = Preempted(result); gone != 0) absl::StrAppend(&pods, ", ", gone, " preempted");
  if (result.never_created != 0) absl::StrAppend(&pods, ", ", result.never_created, " never created");
  PrintTable({{"pods", pods},
              {"nodes", absl::StrCat(NodesUsed(result), " of ", result.nodes.size(), " used")},
              {"peak use", uses.empty() ? "-" : absl::StrJoin(uses, ", ")},
              {"makespan", absl::StrCat(absl::FormatDuration(absl::Trunc(result.makespan, absl::Microseconds(1))),
                                        " of simulated time", result.cut_short ? ", cut short by --until" : "")},
              {"decisions", absl::StrCat(result.decisions)},
              {"log hash", absl::StrCat(Hex(result.log_hash), "  unseed ", Hex(result.unseed))}},
             out);
}

nlohmann::ordered_json DevicesJson(const std::vector<GivenDevice>& devices) {
  Json all = Json::array();
  for (const GivenDevice& device : devices)
    all.push_back({{"claim", device.claim},
                   {"request", device.request},
                   {"driver", device.id.driver},
                   {"pool", device.id.pool},
                   {"device", device.id.device}});
  return all;
}

void PrintSimulationJson(const SimulationResult& result, std::ostream& out) {
  Json pods = Json::array();
  for (const SimulationResult::Pod& pod : result.pods) {
    Json reasons = Json::array();
    for (const auto& reason : pod.reasons)
      reasons.push_back({{"plugin", reason.plugin}, {"message", reason.message}, {"nodes", reason.nodes}});
    pods.push_back({{"namespace", pod.ns},
                    {"name", pod.name},
                    {"node", pod.node},
                    {"result", Result(pod)},
                    {"group", pod.group},
                    {"queue", pod.queue},
                    {"devices", DevicesJson(pod.devices)},
                    {"reasons", std::move(reasons)}});
  }
  Json uses = Json::object();
  for (const auto& [resource, use] : result.uses)
    uses[resource] = {{"allocatable", use.allocatable}, {"peak", use.peak}};
  Json summary = {{"pods", result.pods.size()},     {"bound", Count(result, true)},
                  {"ended", Ended(result)},         {"pending", Count(result, false)},
                  {"preempted", Preempted(result)}, {"never_created", result.never_created},
                  {"nodes", result.nodes.size()},   {"nodes_used", NodesUsed(result)},
                  {"use", std::move(uses)},         {"makespan_seconds", absl::ToDoubleSeconds(result.makespan)},
                  {"cut_short", result.cut_short},  {"decisions", result.decisions}};
  const Json all = {{"pods", std::move(pods)},
                    {"summary", std::move(summary)},
                    {"log_hash", Hex(result.log_hash)},
                    {"unseed", Hex(result.unseed)}};
  // Names and messages may come from anywhere; what is not UTF-8 is replaced rather than thrown at.
  out << all.dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
}

}  // namespace muster
