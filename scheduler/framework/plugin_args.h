// Typed plugin arguments (kubescheduler.config.k8s.io/v1), with upstream's defaults.
#ifndef MUSTER_SCHEDULER_FRAMEWORK_PLUGIN_ARGS_H_
#define MUSTER_SCHEDULER_FRAMEWORK_PLUGIN_ARGS_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "scheduler/model/ids.h"
#include "scheduler/model/labels.h"
#include "scheduler/model/pod.h"

namespace muster {

struct ResourceWeight {
  std::string name;
  int64_t weight = 1;
};

struct UtilizationPoint {
  int32_t utilization = 0;  // 0..100
  int32_t score = 0;        // 0..10
};

struct ScoringStrategy {
  enum class Type : uint8_t { kLeastAllocated, kMostAllocated, kRequestedToCapacityRatio };
  Type type = Type::kLeastAllocated;
  std::vector<ResourceWeight> resources = {{"cpu", 1}, {"memory", 1}};
  std::vector<UtilizationPoint> shape;  // kRequestedToCapacityRatio only
};

struct NodeResourcesFitArgs {
  std::vector<std::string> ignored_resources;
  std::vector<std::string> ignored_resource_groups;
  ScoringStrategy scoring_strategy;
};

struct NodeResourcesBalancedAllocationArgs {
  std::vector<ResourceWeight> resources = {{"cpu", 1}, {"memory", 1}};
};

struct NodeAffinityArgs {
  NodeAffinity added_affinity;
};

struct PodTopologySpreadArgs {
  bool system_defaults = true;                        // defaultingType: System
  std::vector<SpreadConstraint> default_constraints;  // without selectors; only with List
};

struct InterPodAffinityArgs {
  int32_t hard_pod_affinity_weight = 1;  // 0..100
  bool ignore_preferred_terms_of_existing_pods = false;
};

struct VolumeBindingArgs {
  int64_t bind_timeout_seconds = 600;
  std::vector<UtilizationPoint> shape = {{0, 10}, {100, 0}};
};

struct DefaultPreemptionArgs {
  int32_t min_candidate_nodes_percentage = 10;  // 0..100; not zero together with the next
  int32_t min_candidate_nodes_absolute = 100;   // >= 0
};

struct DynamicResourcesArgs {
  Duration filter_timeout = absl::Seconds(10);    // read, not used: steps are counted, not time
  Duration binding_timeout = absl::Seconds(600);  // for binding conditions
  // MusterConfiguration's deviceChoice and deviceGroups.
  bool first_fit = false;
  std::vector<std::string> groups = {"resource.kubernetes.io/pcieRoot"};
  // No part of the configuration: what is wrong with the claims on a node keeps the pod off that node alone.
  bool nodes_fail_alone = false;
};

// monostate: the plugin takes no arguments, or none were given.
using PluginArgs = std::variant<std::monostate, NodeResourcesFitArgs, NodeResourcesBalancedAllocationArgs,
                                NodeAffinityArgs, PodTopologySpreadArgs, InterPodAffinityArgs, VolumeBindingArgs,
                                DefaultPreemptionArgs, DynamicResourcesArgs>;

}  // namespace muster

#endif  // MUSTER_SCHEDULER_FRAMEWORK_PLUGIN_ARGS_H_
