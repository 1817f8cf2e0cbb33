#include "scheduler/kube/resources.h"

#include <cstddef>

namespace muster {
namespace {

// By Kind; of those that may be absent the best place.
constexpr Resource kResources[kKindCount] = {
    {"/api/v1", "pods"},
    {"/api/v1", "nodes"},
    {"/api/v1", "namespaces"},
    {"/api/v1", "services"},
    {"/api/v1", "replicationcontrollers"},
    {"/apis/apps/v1", "replicasets"},
    {"/apis/apps/v1", "statefulsets"},
    {"/apis/policy/v1", "poddisruptionbudgets"},
    {"/api/v1", "persistentvolumes"},
    {"/api/v1", "persistentvolumeclaims"},
    {"/apis/storage.k8s.io/v1", "storageclasses"},
    {"/apis/storage.k8s.io/v1", "csinodes"},
    {"/apis/storage.k8s.io/v1", "csidrivers"},
    {"/apis/storage.k8s.io/v1", "csistoragecapacities"},
    {"/apis/storage.k8s.io/v1", "volumeattachments"},
    {"/apis/scheduling.k8s.io/v1beta1", "podgroups"},
    {"/apis/scheduling.x-k8s.io/v1alpha1", "podgroups", /*json=*/true},
    {"/apis/muster.dev/v1alpha1", "topologies", /*json=*/true},
    {"/apis/kueue.x-k8s.io/v1beta2", "topologies", /*json=*/true},
    {"/apis/muster.dev/v1alpha1", "queues", /*json=*/true},
    {"/apis/muster.dev/v1alpha1", "resourceflavors", /*json=*/true},
    {"/apis/resource.k8s.io/v1", "resourceclaims"},
    {"/apis/resource.k8s.io/v1", "resourceslices"},
    {"/apis/resource.k8s.io/v1", "deviceclasses"},
    {"/apis/resource.k8s.io/v1", "devicetaintrules"},
};

constexpr Resource kPodGroups[] = {kResources[static_cast<size_t>(Kind::kPodGroup)],
                                   {"/apis/scheduling.k8s.io/v1alpha3", "podgroups"},
                                   {"/apis/scheduling.k8s.io/v1alpha2", "podgroups"}};
constexpr Resource kDeviceTaintRules[] = {kResources[static_cast<size_t>(Kind::kDeviceTaintRule)],
                                          {"/apis/resource.k8s.io/v1beta2", "devicetaintrules"},
                                          {"/apis/resource.k8s.io/v1alpha3", "devicetaintrules"}};
constexpr Resource kKueueTopologies[] = {kResources[static_cast<size_t>(Kind::kKueueTopology)],
                                         {"/apis/kueue.x-k8s.io/v1beta1", "topologies", /*json=*/true}};

}  // namespace

std::span<const Resource> ResourcesOf(Kind kind) {
  if (kind == Kind::kPodGroup) return kPodGroups;
  if (kind == Kind::kKueueTopology) return kKueueTopologies;
  if (kind == Kind::kDeviceTaintRule) return kDeviceTaintRules;
  return {&kResources[static_cast<size_t>(kind)], 1};
}

bool MayBeAbsent(Kind kind) {
  switch (kind) {
    case Kind::kPodGroup:
    case Kind::kCoschedulingPodGroup:
    case Kind::kTopology:
    case Kind::kKueueTopology:
    case Kind::kQueue:
    case Kind::kResourceFlavor:
    case Kind::kResourceClaim:
    case Kind::kResourceSlice:
    case Kind::kDeviceClass:
    case Kind::kDeviceTaintRule: return true;
    default: return false;
  }
}

}  // namespace muster
