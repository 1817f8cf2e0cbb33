// What a pod asks for: upstream's PodRequests arithmetic (component-helpers/resource, 1.37).
#ifndef MUSTER_SCHEDULER_MODEL_POD_REQUESTS_H_
#define MUSTER_SCHEDULER_MODEL_POD_REQUESTS_H_

#include <optional>
#include <string>
#include <vector>

#include "scheduler/model/pod.h"
#include "scheduler/model/quantity.h"

namespace muster {

struct ContainerResources {
  std::string name;
  bool restart_always = false;  // init containers only: a sidecar
  ResourceList requests;
  // From the container's status, matched by name; absent where it has none.
  std::optional<ResourceList> status_requests;   // status.resources.requests (status.resources set)
  std::optional<ResourceList> status_allocated;  // status.allocatedResources (set and not nil)
};

// Everything of a Pod object that its requests depend on.
struct PodResources {
  std::vector<ContainerResources> containers;
  std::vector<ContainerResources> init_containers;
  std::optional<ResourceList> pod_requests;       // spec.resources.requests
  std::optional<ResourceList> status_requests;    // status.resources.requests
  std::optional<ResourceList> status_allocated;   // status.allocatedResources
  ResourceList overhead;
  bool resize_infeasible = false;  // condition PodResizePending with reason Infeasible
};

PodAmounts SumRequests(const PodResources& pod);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_POD_REQUESTS_H_
