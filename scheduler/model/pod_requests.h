// What a pod asks for: upstream's PodRequests arithmetic (component-helpers/resource, 1.37).
#ifndef MUSTER_SCHEDULER_MODEL_POD_REQUESTS_H_
#define MUSTER_SCHEDULER_MODEL_POD_REQUESTS_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/model/pod.h"
#include "scheduler/model/quantity.h"

namespace muster {

struct ContainerResources {
  std::string name;
  bool restart_always = false;  // init containers only: a sidecar
  ResourceList requests;
  // From the container's status, matched by name; absent where it has none.
  // An empty list is as good as none: protobuf cannot tell them apart.
  std::optional<ResourceList> status_requests;   // status.resources.requests (status.resources set)
  std::optional<ResourceList> status_allocated;  // status.allocatedResources (set and not nil)
};

// Everything of a Pod object that its requests depend on.
struct PodResources {
  std::vector<ContainerResources> containers;
  std::vector<ContainerResources> init_containers;
  std::optional<ResourceList> pod_requests;      // spec.resources.requests
  std::optional<ResourceList> status_requests;   // status.resources.requests
  std::optional<ResourceList> status_allocated;  // status.allocatedResources
  ResourceList overhead;
  bool resize_infeasible = false;  // condition PodResizePending with reason Infeasible
};

PodAmounts SumRequests(const PodResources& pod);

// What the containers ask for together: the sum of the containers and sidecars, or the most that
// the chain of init containers needs at once. Spec only; without pod-level requests and overhead.
ResourceList SumContainers(const PodResources& pod);

// Whether pod-level requests and limits of this resource count: cpu, memory and huge pages.
bool IsPodLevelResource(std::string_view name);

// Whether a scheduler accounts for the resource: cpu, memory, ephemeral-storage, huge pages,
// extended resources, attachable volumes and what is named *kubernetes.io/ ("pods" is apart).
bool IsAccountedResource(std::string_view name);

// The amounts of a list in their fixed units, ordered by name, of accounted resources only.
std::vector<Amount> ToAmounts(const ResourceList& list);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_POD_REQUESTS_H_
