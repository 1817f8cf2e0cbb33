#include "scheduler/framework/config/plugin_args_reader.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/model/label_syntax.h"
#include "yaml-cpp/yaml.h"

namespace muster {
namespace {

// ---- Resources and scores ------------------------------------------------------------------------
// Reads a list of {name, weight}; a weight left out or 0 is 1. `most` bounds the weight.
void ReadResources(YamlObject& args, int64_t most, std::vector<ResourceWeight>* out) {
  const std::optional<YamlValue> list = args.Take("resources");
  if (!list) return;
  std::vector<ResourceWeight> resources;
  for (const YamlValue& element : list->Elements()) {
    YamlObject object(element);
    ResourceWeight resource;
    object.ReadName("name", "must name a resource", &resource.name);
    if (object.Read("weight", &resource.weight)) {
      if (resource.weight == 0) resource.weight = 1;
      if (resource.weight < 1 || resource.weight > most)
        object.Error("weight",
                     most == 1 ? "must be 1" : absl::StrCat(resource.weight, " is not in the range 1 to ", most));
    }
    resources.push_back(std::move(resource));
  }
  if (!resources.empty()) *out = std::move(resources);
}

void ReadShape(const YamlValue& list, std::vector<UtilizationPoint>* out) {
  for (const YamlValue& element : list.Elements()) {
    YamlObject object(element);
    UtilizationPoint point;
    if (object.Read("utilization", &point.utilization) && (point.utilization < 0 || point.utilization > 100))
      object.Error("utilization", absl::StrCat(point.utilization, " is not in the range 0 to 100"));
    if (object.Read("score", &point.score) && (point.score < 0 || point.score > 10))
      object.Error("score", absl::StrCat(point.score, " is not in the range 0 to 10"));
    if (!out->empty() && out->back().utilization >= point.utilization)
      object.Error("utilization", "must be larger than that of the point before");
    out->push_back(point);
  }
  if (out->empty()) list.Error("must have at least one point");
}

void ReadScoringStrategy(const YamlValue& value, ScoringStrategy* strategy) {
  using Type = ScoringStrategy::Type;
  YamlObject object(value);
  std::string type;
  object.Read("type", &type);
  if (type == "LeastAllocated") {
    strategy->type = Type::kLeastAllocated;
  } else if (type == "MostAllocated") {
    strategy->type = Type::kMostAllocated;
  } else if (type == "RequestedToCapacityRatio") {
    strategy->type = Type::kRequestedToCapacityRatio;
  } else {
    object.Error("type", "must be LeastAllocated, MostAllocated or RequestedToCapacityRatio");
  }
  ReadResources(object, 100, &strategy->resources);
  const std::optional<YamlValue> ratio = object.Take("requestedToCapacityRatio");
  if (strategy->type != Type::kRequestedToCapacityRatio) {
    if (ratio) ratio->Error("must be left out unless type is RequestedToCapacityRatio");
  } else if (!ratio) {
    object.Error("requestedToCapacityRatio", "is needed where type is RequestedToCapacityRatio");
  } else {
    YamlObject param(*ratio);
    if (const std::optional<YamlValue> shape = param.Take("shape")) {
      ReadShape(*shape, &strategy->shape);
    } else {
      param.Error("shape", "must have at least one point");
    }
  }
}

// ---- Node affinity: only read here; the plugin checks the terms ----------------------------------
Operator OperatorOf(std::string_view text) {
  static constexpr std::pair<std::string_view, Operator> kOperators[] = {
      {"In", Operator::kIn},         {"NotIn", Operator::kNotIn},
      {"Exists", Operator::kExists}, {"DoesNotExist", Operator::kDoesNotExist},
      {"Gt", Operator::kGt},         {"Lt", Operator::kLt},
  };
  for (const auto& [name, op] : kOperators) {
    if (name == text) return op;
  }
  return Operator::kInvalid;
}

std::vector<Requirement> ReadRequirements(YamlObject& term, std::string_view name) {
  std::vector<Requirement> requirements;
  const std::optional<YamlValue> list = term.Take(name);
  if (!list) return requirements;
  for (const YamlValue& element : list->Elements()) {
    YamlObject object(element);
    Requirement requirement;
    object.Read("key", &requirement.key);
    object.Read("operator", &requirement.op_text);
    object.Read("values", &requirement.values);
    requirement.op = OperatorOf(requirement.op_text);
    requirements.push_back(std::move(requirement));
  }
  return requirements;
}

NodeSelectorTerm ReadTerm(const YamlValue& value) {
  YamlObject object(value);
  NodeSelectorTerm term;
  term.expressions = ReadRequirements(object, "matchExpressions");
  term.fields = ReadRequirements(object, "matchFields");
  return term;
}

void ReadNodeAffinity(const YamlValue& value, NodeAffinity* affinity) {
  YamlObject object(value);
  if (const auto required = object.Take("requiredDuringSchedulingIgnoredDuringExecution")) {
    affinity->has_required = true;
    YamlObject selector(*required);
    if (const auto terms = selector.Take("nodeSelectorTerms")) {
      for (const YamlValue& term : terms->Elements()) affinity->required.push_back(ReadTerm(term));
    } else {
      selector.Error("nodeSelectorTerms", "must be given");
    }
  }
  const auto preferred = object.Take("preferredDuringSchedulingIgnoredDuringExecution");
  if (!preferred) return;
  for (const YamlValue& element : preferred->Elements()) {
    YamlObject term(element);
    PreferredTerm& out = affinity->preferred.emplace_back();
    if (!term.Read("weight", &out.weight) || out.weight < 1 || out.weight > 100)
      term.Error("weight", "must be an integer from 1 to 100");
    if (const auto preference = term.Take("preference")) {
      out.term = ReadTerm(*preference);
    } else {
      term.Error("preference", "must be given");
    }
  }
}

// ---- One a plugin --------------------------------------------------------------------------------
void ReadArgs(YamlObject& object, NodeResourcesFitArgs* args) {
  if (const auto list = object.Take("ignoredResources")) {
    list->Read(&args->ignored_resources);
    for (const std::string& name : args->ignored_resources) {
      if (!IsLabelKey(name)) list->Error(absl::StrCat("\"", name, "\" is not a resource name"));
    }
  }
  if (const auto list = object.Take("ignoredResourceGroups")) {
    list->Read(&args->ignored_resource_groups);
    for (const std::string& name : args->ignored_resource_groups) {
      if (!IsLabelName(name)) list->Error(absl::StrCat("\"", name, "\" is not a resource group: a name without '/'"));
    }
  }
  if (const auto strategy = object.Take("scoringStrategy")) ReadScoringStrategy(*strategy, &args->scoring_strategy);
}

void ReadArgs(YamlObject& object, NodeResourcesBalancedAllocationArgs* args) {
  ReadResources(object, 1, &args->resources);
  std::set<std::string> seen;
  for (const ResourceWeight& resource : args->resources) {
    if (!seen.insert(resource.name).second)
      object.Error("resources", absl::StrCat("names \"", resource.name, "\" twice"));
  }
}

void ReadArgs(YamlObject& object, NodeAffinityArgs* args) {
  if (const auto affinity = object.Take("addedAffinity")) ReadNodeAffinity(*affinity, &args->added_affinity);
}

void ReadConstraint(const YamlValue& element, SpreadConstraint* c) {
  YamlObject object(element);
  if (!object.Read("maxSkew", &c->max_skew) || c->max_skew <= 0)
    object.Error("maxSkew", "must be a whole number above 0");
  if (!object.Read("topologyKey", &c->topology_key) || !IsLabelKey(c->topology_key))
    object.Error("topologyKey", "must be a label key");
  std::string when;
  object.Read("whenUnsatisfiable", &when);
  c->hard = when == "DoNotSchedule";
  if (!c->hard && when != "ScheduleAnyway")
    object.Error("whenUnsatisfiable", "must be DoNotSchedule or ScheduleAnyway");
  if (object.Take("labelSelector"))
    object.Error("labelSelector", "must not be given: it is deduced for each pod from its services and controller");
  if (object.Read("minDomains", &c->min_domains) && c->min_domains < 1) object.Error("minDomains", "must be above 0");
  const auto policy = [&](const char* field, bool* honor) {
    std::string text;
    if (!object.Read(field, &text)) return;
    if (text != "Honor" && text != "Ignore") object.Error(field, "must be Honor or Ignore");
    *honor = text == "Honor";
  };
  policy("nodeAffinityPolicy", &c->honor_affinity);
  policy("nodeTaintsPolicy", &c->honor_taints);
  std::vector<std::string> keys;  // they narrow a selector that a default constraint does not have
  object.Read("matchLabelKeys", &keys);
}

void ReadArgs(YamlObject& object, PodTopologySpreadArgs* args) {
  if (const auto list = object.Take("defaultConstraints")) {
    for (const YamlValue& element : list->Elements()) {
      SpreadConstraint& c = args->default_constraints.emplace_back();
      ReadConstraint(element, &c);
      for (size_t i = 0; i + 1 < args->default_constraints.size(); ++i) {
        const SpreadConstraint& other = args->default_constraints[i];
        if (other.topology_key == c.topology_key && other.hard == c.hard)
          element.Error("repeats a topologyKey with the same whenUnsatisfiable");
      }
    }
  }
  std::string type = "System";
  if (object.Read("defaultingType", &type) && type != "System" && type != "List")
    object.Error("defaultingType", "must be System or List");
  args->system_defaults = type == "System";
  if (args->system_defaults && !args->default_constraints.empty())
    object.Error("defaultingType", "must be List where defaultConstraints are given");
}

void ReadArgs(YamlObject& object, InterPodAffinityArgs* args) {
  if (object.Read("hardPodAffinityWeight", &args->hard_pod_affinity_weight) &&
      (args->hard_pod_affinity_weight < 0 || args->hard_pod_affinity_weight > 100))
    object.Error("hardPodAffinityWeight", "must be an integer from 0 to 100");
  object.Read("ignorePreferredTermsOfExistingPods", &args->ignore_preferred_terms_of_existing_pods);
}

void ReadArgs(YamlObject& object, VolumeBindingArgs* args) {
  if (object.Read("bindTimeoutSeconds", &args->bind_timeout_seconds) && args->bind_timeout_seconds < 0)
    object.Error("bindTimeoutSeconds", "invalid BindTimeoutSeconds, should not be a negative value");
  const std::optional<YamlValue> list = object.Take("shape");
  if (!list || list->Elements().empty()) return;
  args->shape.clear();
  ReadShape(*list, &args->shape);
}

void ReadArgs(YamlObject& object, DefaultPreemptionArgs* args) {
  int32_t& percentage = args->min_candidate_nodes_percentage;
  int32_t& absolute = args->min_candidate_nodes_absolute;
  if (object.Read("minCandidateNodesPercentage", &percentage) && (percentage < 0 || percentage > 100))
    object.Error("minCandidateNodesPercentage", "must be an integer from 0 to 100");
  if (object.Read("minCandidateNodesAbsolute", &absolute) && absolute < 0)
    object.Error("minCandidateNodesAbsolute", "must not be negative");
  if (percentage == 0 && absolute == 0)
    object.Error("minCandidateNodesPercentage", "must not be 0 at the same time as minCandidateNodesAbsolute");
}

void ReadArgs(YamlObject& object, DynamicResourcesArgs* args) {
  if (object.Read("filterTimeout", &args->filter_timeout) && args->filter_timeout < absl::ZeroDuration())
    object.Error("filterTimeout", "must be zero or positive");
  if (object.Read("bindingTimeout", &args->binding_timeout) && args->binding_timeout < absl::Seconds(1))
    object.Error("bindingTimeout", "must be at least 1 second");
}

void ReadArgs(YamlObject& object, std::monostate*) { object.TakeRest(); }

}  // namespace

PluginArgs ReadPluginArgs(const std::string& plugin, const PluginArgs& defaults, const YamlValue& value) {
  PluginArgs args = defaults;
  if (std::holds_alternative<std::monostate>(defaults) && value.node().IsMap() && value.node().size() > 0) {
    value.Error(absl::StrCat("plugin ", plugin, " takes no arguments"));
    return args;
  }
  YamlObject object(value);
  std::string text;
  if (object.Read("apiVersion", &text) && text != "kubescheduler.config.k8s.io/v1")
    object.Error("apiVersion", "must be kubescheduler.config.k8s.io/v1");
  if (object.Read("kind", &text) && text != plugin + "Args")
    object.Error("kind", absl::StrCat("must be ", plugin, "Args"));
  std::visit([&object](auto& typed) { ReadArgs(object, &typed); }, args);
  return args;
}

}  // namespace muster
