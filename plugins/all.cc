#include "plugins/all.h"

#include <memory>
#include <utility>

#include "plugins/device/dynamic_resources.h"
#include "plugins/node/image_locality.h"
#include "plugins/node/node_affinity.h"
#include "plugins/node/node_declared_features.h"
#include "plugins/node/node_name.h"
#include "plugins/node/node_ports.h"
#include "plugins/node/node_unschedulable.h"
#include "plugins/node/taint_toleration.h"
#include "plugins/preemption/default_preemption.h"
#include "plugins/queueing/default_binder.h"
#include "plugins/queueing/priority_sort.h"
#include "plugins/queueing/scheduling_gates.h"
#include "plugins/resources/balanced_allocation.h"
#include "plugins/resources/node_resources_fit.h"
#include "plugins/spread/inter_pod_affinity.h"
#include "plugins/spread/pod_topology_spread.h"
#include "plugins/topology/topology_placement_generator.h"
#include "plugins/volume/node_volume_limits.h"
#include "plugins/volume/volume_binding.h"
#include "plugins/volume/volume_restrictions.h"
#include "plugins/volume/volume_zone.h"

namespace muster {
namespace {

template <typename T>
void AddPlain(Registry& registry, int32_t weight = 0) {
  registry.Add({std::string(T().Name()),
                [](const PluginArgs&) -> absl::StatusOr<std::unique_ptr<Plugin>> { return std::make_unique<T>(); },
                std::monostate(), weight});
}

}  // namespace

Registry AllPlugins() {
  Registry registry;
  AddPlain<SchedulingGates>(registry);
  AddPlain<PrioritySort>(registry);
  AddPlain<NodeName>(registry);
  AddPlain<NodeUnschedulable>(registry);
  AddPlain<TaintToleration>(registry, 3);
  registry.Add({"NodeAffinity", &NodeAffinityPlugin::Make, NodeAffinityArgs(), 2});
  AddPlain<NodePorts>(registry);
  registry.Add({"NodeResourcesFit", &NodeResourcesFit::Make, NodeResourcesFitArgs(), 1});
  AddPlain<VolumeRestrictions>(registry);
  AddPlain<NodeVolumeLimits>(registry);
  registry.Add({"VolumeBinding", &VolumeBinding::Make, VolumeBindingArgs(), 1});
  AddPlain<VolumeZone>(registry);
  registry.Add({"PodTopologySpread", &PodTopologySpread::Make, PodTopologySpreadArgs(), 2});
  registry.Add({"InterPodAffinity", &InterPodAffinity::Make, InterPodAffinityArgs(), 2});
  registry.Add({"DynamicResources", &DynamicResources::Make, DynamicResourcesArgs(), 2});
  registry.Add({"DefaultPreemption", &DefaultPreemption::Make, DefaultPreemptionArgs(), 0});
  registry.Add(
      {"NodeResourcesBalancedAllocation", &BalancedAllocation::Make, NodeResourcesBalancedAllocationArgs(), 1});
  AddPlain<ImageLocality>(registry, 1);
  AddPlain<DefaultBinder>(registry);
  AddPlain<NodeDeclaredFeatures>(registry);
  AddPlain<TopologyPlacementGenerator>(registry);
  for (const char* name : {"GangScheduling", "PodGroupPodsCount", "DeferredPodScheduling"}) registry.AddMissing(name);
  return registry;
}

}  // namespace muster
