#include "plugins/resources/node_resources_fit.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "plugins/node/label_syntax.h"
#include "plugins/node/node_selector.h"
#include "plugins/resources/scored_resources.h"

namespace muster {
namespace {

using Type = ScoringStrategy::Type;

constexpr Reason kTooManyPods{"Too many pods", /*preemption_may_help=*/true};

struct State final : PluginState {
  std::vector<ScoredResource> scored;
};

// Whether a node without pods could take the pod.
bool FitsEmpty(const PodSpec& spec, const Node& node) {
  return AmountOf(node.allocatable, "pods") >= 1 &&
         std::all_of(spec.amounts.requests.begin(), spec.amounts.requests.end(),
                     [&](const Amount& a) { return a.value <= AmountOf(node.allocatable, a.resource); });
}

bool AnyIncreased(const PodSpec& spec, const Node& before, const Node& after) {
  const auto increased = [&](std::string_view resource) {
    return AmountOf(after.allocatable, resource) > AmountOf(before.allocatable, resource);
  };
  return increased("pods") || std::any_of(spec.amounts.requests.begin(), spec.amounts.requests.end(),
                                          [&](const Amount& a) { return increased(a.resource); });
}

// Whether `after` uses less than `before` of something that the pod asks for.
bool FreesForPod(const PodSpec& spec, const Pod& before, const Pod& after) {
  if (after.node.empty()) return false;
  return std::any_of(spec.amounts.usage.begin(), spec.amounts.usage.end(), [&](const Amount& a) {
    return AmountOf(before.spec->amounts.usage, a.resource) > AmountOf(after.spec->amounts.usage, a.resource);
  });
}

void NameErrors(const std::string& name, const std::string& path, std::vector<std::string>& errors) {
  for (const std::string& e : LabelKeyErrors(name)) {
    errors.push_back(absl::StrCat(path, ": Invalid value: \"", name, "\": ", e));
  }
}

void ShapeErrors(const std::vector<UtilizationPoint>& shape, const std::string& path,
                 std::vector<std::string>& errors) {
  if (shape.empty()) errors.push_back(absl::StrCat(path, ": Required value: at least one point must be specified"));
  for (size_t i = 1; i < shape.size(); ++i) {
    if (shape[i - 1].utilization < shape[i].utilization) continue;
    errors.push_back(absl::StrCat(path, "[", i, "].utilization: Invalid value: ", shape[i].utilization,
                                  ": values must be sorted in increasing order"));
    break;
  }
  for (size_t i = 0; i < shape.size(); ++i) {
    const auto [utilization, score] = shape[i];
    if (utilization < 0 || utilization > 100) {
      errors.push_back(
          absl::StrCat(path, "[", i, "].utilization: Invalid value: ", utilization, ": not in valid range [0, 100]"));
    }
    if (score < 0 || score > 10) {
      errors.push_back(absl::StrCat(path, "[", i, "].score: Invalid value: ", score, ": not in valid range [0, 10]"));
    }
  }
}

std::vector<std::string> Errors(const NodeResourcesFitArgs& args) {
  std::vector<std::string> errors;
  for (size_t i = 0; i < args.ignored_resources.size(); ++i) {
    NameErrors(args.ignored_resources[i], absl::StrCat("ignoredResources[", i, "]"), errors);
  }
  for (size_t i = 0; i < args.ignored_resource_groups.size(); ++i) {
    const std::string& group = args.ignored_resource_groups[i];
    const std::string path = absl::StrCat("ignoredResourceGroups[", i, "]");
    if (group.find('/') != std::string::npos) {
      errors.push_back(absl::StrCat(path, ": Invalid value: \"", group, "\": resource group name can't contain '/'"));
    }
    NameErrors(group, path, errors);
  }
  const ScoringStrategy& strategy = args.scoring_strategy;
  for (size_t i = 0; i < strategy.resources.size(); ++i) {
    const ResourceWeight& r = strategy.resources[i];
    if (r.weight > 0 && r.weight <= 100) continue;
    errors.push_back(absl::StrCat("scoringStrategy.resources[", i, "].weight: Invalid value: ", r.weight,
                                  ": resource weight of ", r.name, " not in valid range (0, 100]"));
  }
  const std::string path = "scoringStrategy.requestedToCapacityRatio";
  if (strategy.type == Type::kRequestedToCapacityRatio) {
    ShapeErrors(strategy.shape, path + ".shape", errors);
  } else if (!strategy.shape.empty()) {
    errors.push_back(path + ": Forbidden: must be nil when type is not RequestedToCapacityRatio");
  }
  return errors;
}

}  // namespace

NodeResourcesFit::NodeResourcesFit(NodeResourcesFitArgs args) : args_(std::move(args)) {
  const ScoringStrategy& strategy = args_.scoring_strategy;
  if (strategy.type == Type::kRequestedToCapacityRatio) utilization_scores_ = ScoresOfShape(strategy.shape);
}

absl::StatusOr<std::unique_ptr<Plugin>> NodeResourcesFit::Make(const PluginArgs& args) {
  const auto* given = std::get_if<NodeResourcesFitArgs>(&args);
  NodeResourcesFitArgs own = given != nullptr ? *given : NodeResourcesFitArgs();
  if (const auto errors = Errors(own); !errors.empty()) return absl::InvalidArgumentError(JoinErrors(errors));
  return std::unique_ptr<Plugin>(new NodeResourcesFit(std::move(own)));
}

// Only extended resources can be ignored: named DOMAIN/NAME outside kubernetes.io.
bool NodeResourcesFit::Ignores(std::string_view resource) const {
  const size_t slash = resource.find('/');
  if (slash == std::string_view::npos || resource.find("kubernetes.io/") != std::string_view::npos) return false;
  const auto has = [](const std::vector<std::string>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  return has(args_.ignored_resources, resource) || has(args_.ignored_resource_groups, resource.substr(0, slash));
}

bool NodeResourcesFit::MayHelp(const Pod& pod, const ClusterEvent& event) const {
  if ((event.what & kSelfScaledDown) != 0) return true;
  if ((event.what & kPodRemoved) != 0 && event.old_pod != nullptr) {
    // It frees a pod's place, whatever it asked for.
    if (!event.old_pod->node.empty() || !event.old_pod->nominated_node.empty()) return true;
  }
  if ((event.what & kPodScaledDown) != 0 && event.old_pod != nullptr && event.new_pod != nullptr) {
    if (FreesForPod(*pod.spec, *event.old_pod, *event.new_pod)) return true;
  }
  if ((event.what & (kNodeAdded | kNodeAllocatable)) == 0 || event.new_node == nullptr) return false;
  return FitsEmpty(*pod.spec, *event.new_node) &&
         (event.old_node == nullptr || AnyIncreased(*pod.spec, *event.old_node, *event.new_node));
}

absl::StatusOr<Outcome> NodeResourcesFit::PreFilter(const PodInfo&, const Snapshot&, CycleState&, NodeSet&) const {
  return Outcome::Success();  // PodInfo has the requests
}

absl::Status NodeResourcesFit::Filter(const PodInfo& pod, const Snapshot& snap, const CycleState&,
                                      Feasible& nodes) const {
  const auto check = [&](const PodInfo::Want& want) {
    const std::string& name = snap.resources().Text(want.resource);
    if (want.amount <= 0 || Ignores(name)) return;
    if (!nodes.explaining()) {
      nodes.RetainAtLeast(snap.Free(want.resource), want.amount, kTooManyPods);
      return;
    }
    // More than the node has at all: no preemption helps.
    const std::string text = absl::StrCat("Insufficient ", name);
    nodes.RetainAtLeast(snap.Allocatable(want.resource), want.amount, {text, false});
    nodes.RetainAtLeast(snap.Free(want.resource), want.amount, {text, true});
  };
  nodes.RetainAtLeast(snap.Free(kPods), 1, kTooManyPods);
  if (!nodes.explaining()) {
    std::for_each(pod.requests.begin(), pod.requests.end(), check);
    return absl::OkStatus();
  }
  for (const ResourceId first : {kCpu, kMemory, kEphemeralStorage}) {
    for (const PodInfo::Want& want : pod.requests) {
      if (want.resource == first) check(want);
    }
  }
  for (const PodInfo::Want& want : pod.requests) {
    if (want.resource > kEphemeralStorage) check(want);
  }
  return absl::OkStatus();
}

absl::StatusOr<Outcome> NodeResourcesFit::PreScore(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                                   const NodeSet&) const {
  state.Ensure<State>(slot()).scored = ResolveScored(args_.scoring_strategy.resources, pod.spec->amounts.scored, snap);
  return Outcome::Success();
}

absl::Status NodeResourcesFit::Score(const PodInfo& pod, const Snapshot& snap, const CycleState& state, const NodeSet&,
                                     WordRange range, int64_t* out) const {
  std::vector<ScoredResource> made;  // only for a profile without this PreScore
  const bool kept = state.Has(slot());
  if (!kept) made = ResolveScored(args_.scoring_strategy.resources, pod.spec->amounts.scored, snap);
  const ScoredColumns columns = ColumnsOf(kept ? state.Get<State>(slot()).scored : made, snap, /*non_zero=*/true);
  switch (args_.scoring_strategy.type) {
    case Type::kLeastAllocated: ScoreLeastAllocated(columns, range, out); break;
    case Type::kMostAllocated: ScoreMostAllocated(columns, range, out); break;
    case Type::kRequestedToCapacityRatio: ScoreByUtilization(columns, utilization_scores_, range, out); break;
  }
  return absl::OkStatus();
}

}  // namespace muster
