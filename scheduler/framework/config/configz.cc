#include "scheduler/framework/config/configz.h"

#include <utility>
#include <variant>

#include "absl/time/time.h"
#include "nlohmann/json.hpp"

namespace muster {
namespace {

using Json = nlohmann::ordered_json;

Json ToJson(const std::vector<ResourceWeight>& resources) {
  Json list = Json::array();
  for (const auto& resource : resources) list.push_back({{"name", resource.name}, {"weight", resource.weight}});
  return list;
}

Json ToJson(const std::vector<Requirement>& requirements) {
  Json list = Json::array();
  for (const auto& r : requirements) list.push_back({{"key", r.key}, {"operator", r.op_text}, {"values", r.values}});
  return list;
}

Json ToJson(const NodeSelectorTerm& term) {
  return {{"matchExpressions", ToJson(term.expressions)}, {"matchFields", ToJson(term.fields)}};
}

Json ToJson(const NodeAffinity& affinity) {
  Json json = Json::object();
  if (affinity.has_required) {
    Json terms = Json::array();
    for (const auto& term : affinity.required) terms.push_back(ToJson(term));
    json["requiredDuringSchedulingIgnoredDuringExecution"] = {{"nodeSelectorTerms", std::move(terms)}};
  }
  Json& preferred = json["preferredDuringSchedulingIgnoredDuringExecution"] = Json::array();
  for (const auto& term : affinity.preferred)
    preferred.push_back({{"weight", term.weight}, {"preference", ToJson(term.term)}});
  return json;
}

const char* NameOf(ScoringStrategy::Type type) {
  switch (type) {
    case ScoringStrategy::Type::kLeastAllocated: return "LeastAllocated";
    case ScoringStrategy::Type::kMostAllocated: return "MostAllocated";
    case ScoringStrategy::Type::kRequestedToCapacityRatio: return "RequestedToCapacityRatio";
  }
  return "";
}

void Fill(Json& json, const NodeResourcesFitArgs& args) {
  json["ignoredResources"] = args.ignored_resources;
  json["ignoredResourceGroups"] = args.ignored_resource_groups;
  Json& strategy = json["scoringStrategy"];
  strategy = {{"type", NameOf(args.scoring_strategy.type)}, {"resources", ToJson(args.scoring_strategy.resources)}};
  if (args.scoring_strategy.shape.empty()) return;
  Json& shape = strategy["requestedToCapacityRatio"]["shape"] = Json::array();
  for (const auto& point : args.scoring_strategy.shape)
    shape.push_back({{"utilization", point.utilization}, {"score", point.score}});
}

void Fill(Json& json, const NodeResourcesBalancedAllocationArgs& args) { json["resources"] = ToJson(args.resources); }

void Fill(Json& json, const NodeAffinityArgs& args) {
  if (args.added_affinity.has_required || !args.added_affinity.preferred.empty())
    json["addedAffinity"] = ToJson(args.added_affinity);
}

void Fill(Json& json, const PodTopologySpreadArgs& args) {
  json["defaultingType"] = args.system_defaults ? "System" : "List";
  if (args.default_constraints.empty()) return;
  Json& list = json["defaultConstraints"] = Json::array();
  for (const SpreadConstraint& c : args.default_constraints) {
    list.push_back({{"maxSkew", c.max_skew},
                    {"topologyKey", c.topology_key},
                    {"whenUnsatisfiable", c.hard ? "DoNotSchedule" : "ScheduleAnyway"},
                    {"minDomains", c.min_domains},
                    {"nodeAffinityPolicy", c.honor_affinity ? "Honor" : "Ignore"},
                    {"nodeTaintsPolicy", c.honor_taints ? "Honor" : "Ignore"}});
  }
}

void Fill(Json& json, const InterPodAffinityArgs& args) {
  json["hardPodAffinityWeight"] = args.hard_pod_affinity_weight;
  json["ignorePreferredTermsOfExistingPods"] = args.ignore_preferred_terms_of_existing_pods;
}

void Fill(Json& json, const VolumeBindingArgs& args) {
  json["bindTimeoutSeconds"] = args.bind_timeout_seconds;
  Json& shape = json["shape"] = Json::array();
  for (const auto& point : args.shape) shape.push_back({{"utilization", point.utilization}, {"score", point.score}});
}

void Fill(Json& json, const DefaultPreemptionArgs& args) {
  json["minCandidateNodesPercentage"] = args.min_candidate_nodes_percentage;
  json["minCandidateNodesAbsolute"] = args.min_candidate_nodes_absolute;
}

void Fill(Json& json, const DynamicResourcesArgs& args) {
  json["filterTimeout"] = absl::FormatDuration(args.filter_timeout);
  json["bindingTimeout"] = absl::FormatDuration(args.binding_timeout);
}

void Fill(Json&, std::monostate) {}

Json ToJson(const ProfileConfig& profile) {
  Json json = {{"schedulerName", profile.scheduler_name}};
  Json& plugins = json["plugins"];
  // All is spelt out a point at a time below.
  plugins["multiPoint"]["disabled"] = {{{"name", "*"}}};
  for (size_t i = 0; i < kPoints; ++i) {
    if (profile.points[i].empty()) continue;
    Json& enabled = plugins[std::string(ConfigName(static_cast<Point>(i)))]["enabled"] = Json::array();
    for (const PluginUse& use : profile.points[i]) {
      Json entry = {{"name", use.name}};
      if (use.weight != 0) entry["weight"] = use.weight;
      enabled.push_back(std::move(entry));
    }
  }
  Json& configs = json["pluginConfig"] = Json::array();
  for (const auto& [name, args] : profile.args) {
    if (std::holds_alternative<std::monostate>(args)) continue;
    Json body = {{"apiVersion", "kubescheduler.config.k8s.io/v1"}, {"kind", name + "Args"}};
    std::visit([&body](const auto& typed) { Fill(body, typed); }, args);
    configs.push_back({{"name", name}, {"args", std::move(body)}});
  }
  return json;
}

Json SchedulerJson(const Configuration& config) {
  const LeaderElectionConfig& leader = config.leader_election;
  Json json = {
      {"apiVersion", "kubescheduler.config.k8s.io/v1"},
      {"kind", "KubeSchedulerConfiguration"},
      {"parallelism", config.parallelism},
      {"leaderElection",
       {{"leaderElect", leader.leader_elect},
        {"leaseDuration", absl::FormatDuration(leader.lease_duration)},
        {"renewDeadline", absl::FormatDuration(leader.renew_deadline)},
        {"retryPeriod", absl::FormatDuration(leader.retry_period)},
        {"resourceLock", "leases"},
        {"resourceName", leader.resource_name},
        {"resourceNamespace", leader.resource_namespace}}},
      {"clientConnection", {{"kubeconfig", config.client.kubeconfig}}},
      {"enableProfiling", false},
      {"podInitialBackoffSeconds", absl::ToInt64Seconds(config.initial_backoff)},
      {"podMaxBackoffSeconds", absl::ToInt64Seconds(config.max_backoff)},
      {"delayCacheUntilActive", config.delay_cache_until_active},
  };
  if (config.client.qps) json["clientConnection"]["qps"] = *config.client.qps;
  if (config.client.burst) json["clientConnection"]["burst"] = *config.client.burst;
  Json& profiles = json["profiles"] = Json::array();
  for (const ProfileConfig& profile : config.profiles) profiles.push_back(ToJson(profile));
  return json;
}

Json MusterJson(const MusterOptions& options) {
  Json json = {
      {"apiVersion", "muster.dev/v1alpha1"},
      {"kind", "MusterConfiguration"},
      {"bindsInFlight", options.binds_in_flight},
      {"seed", options.seed},
      {"podMaxInUnschedulablePodsDuration", absl::FormatDuration(options.pod_max_in_unschedulable_pods)},
      {"assumeExpiry", absl::FormatDuration(options.assume_expiry)},
      {"deviceChoice", options.devices_first_fit ? "FirstFit" : "Scored"},
      {"deviceGroups", options.device_groups},
  };
  if (!options.default_queue.empty()) json["defaultQueue"] = options.default_queue;
  if (options.threads) json["threads"] = *options.threads;
  return json;
}

}  // namespace

std::string ConfigzJson(const Configuration& config) {
  const Json json = {{"componentconfig", SchedulerJson(config)}, {"musterconfig", MusterJson(config.muster)}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace muster
