#include "scheduler/command/evaluate_command.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"
#include "plugins/all.h"
#include "plugins/device/dynamic_resources.h"
#include "scheduler/command/arguments.h"
#include "scheduler/command/inputs.h"
#include "scheduler/command/report.h"
#include "scheduler/engine/cluster_cache.h"
#include "scheduler/framework/evaluation.h"
#include "scheduler/framework/framework.h"
#include "scheduler/framework/post_filter.h"
#include "scheduler/framework/statement.h"
#include "scheduler/framework/verdicts.h"

namespace muster {
namespace {

using Json = nlohmann::ordered_json;

// What the command answers.
struct Verdict {
  struct Node {
    std::string name;
    bool feasible = false;
    std::string plugin;                                   // that rejected it
    std::vector<std::string> reasons;                     // in that plugin's order
    std::vector<std::pair<std::string, int64_t>> scores;  // by plugin, normalised, before weights
    int64_t total = 0;                                    // after weights
    std::vector<GivenDevice> devices;                     // that the pod's claims would get
    std::string error;                                    // what is wrong with the claims there
  };
  bool has_claims = false;
  std::string error;             // the cycle would end with it: nothing below holds
  bool rejected_before = false;  // by a PreFilter plugin: there are no nodes below
  std::string plugin;
  std::vector<std::string> reasons;
  std::vector<Node> nodes;           // by name
  std::string room_on;               // the node that preemption would make room on, or ""
  std::vector<std::string> victims;  // sorted
};

Verdict Broken(const absl::Status& status) {
  Verdict verdict;
  verdict.error = std::string(status.message());
  return verdict;
}

// What DefaultPreemption would do for a pod that fits nowhere.
void Preempt(const PostFilterRequest& request, Verdict& verdict) {
  CycleState memo;
  for (const PostFilterPlugin* plugin : request.framework.post_filters()) {
    const PostFilterResult result = plugin->PostFilter(request, memo);
    if (result.code != Code::kSuccess) continue;
    verdict.room_on = *result.nominate;
    for (const Pod* victim : result.victims) verdict.victims.push_back(victim->Key());
    std::sort(verdict.victims.begin(), verdict.victims.end());
    return;
  }
}

std::vector<GivenDevice> DevicesOn(const DynamicResources& plugin, const Pod& pod, const Snapshot& snap, NodeIndex n) {
  std::vector<GivenDevice> devices;
  std::vector<ClaimPtr> claims;
  const DeviceOutcome outcome = plugin.Allocate(pod, snap, n, &claims);
  for (size_t i = 0; i < outcome.allocations.size(); ++i) {
    for (const AllocatedDevice& device : outcome.allocations[i].devices)
      devices.push_back({claims[i]->name, device.request, device.id});
  }
  return devices;
}

Verdict Evaluate(const Framework& framework, const Pod& subject, const PodInfo& pod, Snapshot& snap,
                 const Nominated& others) {
  if (snap.size() == 0) return Broken(absl::NotFoundError("no nodes available to schedule pods"));
  snap.Prepare(pod);
  const Nominated* nominated = &others;
  Evaluation answer;
  WorkCount work;
  answer.Update(
      framework, pod, snap, /*seed=*/0,
      [](size_t words, absl::FunctionRef<void(WordRange)> body) {
        body({0, words});
      },
      work, /*stages=*/nullptr, nominated);
  if (!answer.error().ok()) return Broken(answer.error());
  if (!answer.score_error().ok()) return Broken(answer.score_error());
  Verdict verdict;
  verdict.has_claims = !subject.claims.empty();
  if (!answer.pre_filter().ok()) {
    verdict.rejected_before = true;
    verdict.plugin = std::string(answer.pre_filter_plugin());
    verdict.reasons = answer.pre_filter().reasons;
    return verdict;
  }
  if (answer.feasible_count() == 0) {
    Verdicts verdicts;
    if (auto status = verdicts.Update(framework, pod, snap, answer, nominated); !status.ok()) return Broken(status);
    Preempt(
        {framework, subject, pod, snap, answer, verdicts, others.statement, nominated, /*seed=*/0, /*all_nodes=*/true},
        verdict);
  }
  Rejections rejections;
  if (auto status = answer.Explain(framework, pod, snap, rejections, nominated); !status.ok()) return Broken(status);
  std::vector<std::vector<int64_t>> scores(framework.scores().size());
  for (size_t step = 0; step < scores.size(); ++step) {
    if (auto status = answer.Scores(framework, pod, snap, step, scores[step]); !status.ok()) return Broken(status);
  }
  const auto* devices = dynamic_cast<const DynamicResources*>(framework.Find("DynamicResources"));
  for (NodeIndex n = 0; n < snap.size(); ++n) {
    Verdict::Node& node = verdict.nodes.emplace_back();
    node.name = std::string(snap.NodeName(n));
    node.feasible = answer.feasible().Has(n);
    if (node.feasible) {
      for (size_t step = 0; step < scores.size(); ++step) {
        if (scores[step].empty()) continue;  // it skipped this pod
        node.scores.emplace_back(framework.scores()[step].score->Name(), scores[step][n]);
      }
      node.total = scores.empty() ? 1 : answer.Total(n);  // upstream's, where nothing scores
      if (devices != nullptr && verdict.has_claims) node.devices = DevicesOn(*devices, subject, snap, n);
    } else if (!answer.candidates().Has(n) && !answer.narrowed_by().empty()) {
      node.plugin = absl::StrJoin(answer.narrowed_by(), ",");
      node.reasons = {answer.NarrowedText()};
    } else {
      const Rejections::OfNode& rejected = rejections.nodes[n];
      if (rejected.plugin != Rejections::kNobody)
        node.plugin = std::string(framework.filters()[rejected.plugin].filter->Name());
      for (const uint32_t reason : rejected.reasons) node.reasons.push_back(rejections.texts.Text(reason));
      if (!node.reasons.empty() && node.reasons[0].starts_with(DynamicResources::kFatalMark))
        node.error = node.reasons[0].substr(1);
      if (node.reasons.empty()) node.reasons = {snap.node(n).invalid};  // no plugin was asked about it
    }
  }
  return verdict;
}

void PrintJson(const Verdict& verdict, std::ostream& out) {
  Json all = Json::object();
  if (!verdict.error.empty()) {
    all["error"] = verdict.error;
  } else {
    all["preFilter"] = nullptr;
    if (verdict.rejected_before) all["preFilter"] = {{"plugin", verdict.plugin}, {"reasons", verdict.reasons}};
    Json nodes = Json::object();
    for (const Verdict::Node& node : verdict.nodes) {
      if (!node.error.empty()) {
        nodes[node.name] = {{"feasible", false}, {"error", node.error}};
        continue;
      }
      if (!node.feasible) {
        nodes[node.name] = {{"feasible", false}, {"plugin", node.plugin}, {"reasons", node.reasons}};
        continue;
      }
      Json scores = Json::object();
      for (const auto& [plugin, score] : node.scores) scores[plugin] = score;
      nodes[node.name] = {{"feasible", true}, {"scores", std::move(scores)}, {"total", node.total}};
      if (verdict.has_claims) nodes[node.name]["devices"] = DevicesJson(node.devices);
    }
    all["nodes"] = std::move(nodes);
    all["preemption"] = nullptr;
    if (!verdict.room_on.empty()) all["preemption"] = {{"node", verdict.room_on}, {"victims", verdict.victims}};
  }
  out << all.dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
}

void PrintVerdict(const Verdict& verdict, std::ostream& out) {
  if (!verdict.error.empty()) {
    out << "error: " << verdict.error << "\n";
    return;
  }
  if (verdict.rejected_before) {
    out << "Fits no node: " << verdict.plugin << ": " << absl::StrJoin(verdict.reasons, ", ") << "\n";
    return;
  }
  std::vector<std::vector<std::string>> feasible = {{"NODE", "TOTAL"}}, others = {{"NODE", "REJECTED BY", "REASON"}};
  std::vector<const Verdict::Node*> best;
  for (const Verdict::Node& node : verdict.nodes) {
    if (node.feasible) {
      best.push_back(&node);
    } else {
      others.push_back({node.name, node.plugin.empty() ? "-" : node.plugin,
                        node.error.empty() ? absl::StrJoin(node.reasons, ", ") : node.error});
    }
  }
  std::stable_sort(best.begin(), best.end(), [](const auto* a, const auto* b) { return a->total > b->total; });
  for (const Verdict::Node* node : best) {
    auto& row = feasible.emplace_back();
    row = {node->name, absl::StrCat(node->total)};
    for (const auto& [plugin, score] : node->scores) {
      if (node == best.front()) feasible.front().push_back(plugin);
      row.push_back(absl::StrCat(score));
    }
    if (!verdict.has_claims) continue;
    if (node == best.front()) feasible.front().push_back("DEVICES");
    row.push_back(absl::StrJoin(node->devices, " ", [](std::string* text, const GivenDevice& device) {
      absl::StrAppend(text, device.request, "=", device.id.Text());
    }));
  }
  out << best.size() << " of " << verdict.nodes.size() << " nodes can take the pod\n";
  if (!best.empty()) {
    out << "\n";
    PrintTable(feasible, out);
  }
  if (others.size() > 1) {
    out << "\n";
    PrintTable(others, out);
  }
  if (!verdict.room_on.empty())
    out << "\nPreemption makes room on " << verdict.room_on << ": " << absl::StrJoin(verdict.victims, ", ") << "\n";
}

}  // namespace

int EvaluateCommand(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  std::vector<std::string> files;
  std::string config_path, output = "table", wanted;
  Arguments arguments("evaluate -f FILE|DIR ... --pod NAMESPACE/NAME [flags]",
                      "Asks every plugin about one pod and every node of the manifests, and places nothing. Pods that\n"
                      "have a node already count as running there; other pending pods do not count.");
  arguments.Many("-f, --filename", "FILE|DIR", "manifests (YAML or JSON); - is standard input; may be repeated",
                 &files);
  arguments.Text("--pod", "NAMESPACE/NAME", "the pod to ask about", &wanted);
  arguments.Text("--config", "FILE", "KubeSchedulerConfiguration (default: one profile, muster, all plugins)",
                 &config_path);
  arguments.Choice("-o, --output", {"table", "json"}, "form of the answer (default table)", &output);
  arguments.Rest(&files);
  if (const auto exit = arguments.Parse(args, out, err)) return *exit;
  if (files.empty()) return arguments.Refuse("-f FILE|DIR is missing", err);
  const size_t slash = wanted.find('/');
  if (wanted.empty()) return arguments.Refuse("--pod NAMESPACE/NAME is missing", err);
  if (slash == std::string::npos || slash == 0 || slash + 1 == wanted.size())
    return arguments.Refuse(absl::StrCat("--pod ", wanted, ": must be NAMESPACE/NAME"), err);

  const Registry registry = AllPlugins();
  const auto inputs = ReadInputs(files, config_path, registry, err);
  if (!inputs.ok()) {
    err << inputs.status().message() << "\n";
    return kExitBadInput;
  }
  ClusterCache cache;
  for (const NodePtr& node : inputs->manifests.nodes) cache.SetNode(node);
  for (const ManifestObject& made : inputs->manifests.objects) cache.SetObject(made.kind, made.object);
  Nominator nominator(cache.Refresh());
  const auto& profiles = inputs->config.profiles;
  const auto profile_of = [&](const Pod& of) {
    return std::find_if(profiles.begin(), profiles.end(),
                        [&](const ProfileConfig& p) { return p.scheduler_name == of.spec->scheduler_name; });
  };
  PodPtr pod;
  for (const ManifestPod& other : inputs->manifests.pods) {
    for (const ObjectPtr& claim : other.device_claims) cache.SetObject(Kind::kResourceClaim, claim);
    if (other.pod->Key() == wanted) {
      pod = other.pod;
    } else if (!other.pod->node.empty() && !other.pod->ended) {
      cache.SetBound(other.pod);
    } else if (!other.pod->ended && profile_of(*other.pod) != profiles.end()) {
      nominator.Set(other.pod, cache.InfoFor(*other.pod), other.pod->nominated_node);
    }
  }
  if (pod == nullptr) {
    err << "muster: --pod " << wanted << ": no such pod in the manifests\n";
    return kExitBadInput;
  }
  const auto profile = profile_of(*pod);
  if (profile == profiles.end()) {
    err << "muster: --pod " << wanted << ": no profile is named \"" << pod->spec->scheduler_name
        << "\", as its spec.schedulerName is\n";
    return kExitBadInput;
  }
  ProfileConfig here = *profile;
  for (auto& [name, plugin_args] : here.args) {
    if (name != "DynamicResources") continue;
    if (!std::holds_alternative<DynamicResourcesArgs>(plugin_args)) plugin_args = DynamicResourcesArgs();
    std::get<DynamicResourcesArgs>(plugin_args).nodes_fail_alone = true;
  }
  const auto framework = Framework::Create(here, registry);
  if (!framework.ok()) {
    err << "muster: " << framework.status().message() << "\n";
    return kExitBadInput;
  }
  if (!pod->node.empty()) {  // asked about as if it were pending, the node is a wish
    auto spec = std::make_shared<PodSpec>(*pod->spec);
    spec->requested_node = pod->node;
    auto wishing = std::make_shared<Pod>(*pod);
    wishing->spec = std::move(spec);
    pod = std::move(wishing);
  }
  Snapshot& snap = cache.Refresh();
  const PodInfoPtr info = cache.InfoToPlace(*pod, /*alike=*/false);
  Statement statement(snap);
  const Nominated nominated{nominator, statement, pod->uid};
  const Verdict verdict = pod->invalid.empty() ? Evaluate(**framework, *pod, *info, snap, nominated)
                                               : Broken(absl::InvalidArgumentError(pod->invalid));
  if (output == "json") {
    PrintJson(verdict, out);
  } else {
    PrintVerdict(verdict, out);
  }
  return verdict.error.empty() ? kExitOk : kExitFailed;
}

}  // namespace muster
