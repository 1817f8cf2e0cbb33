// Which ResourceClaims a pod has, and what of them makes it fit where others do not.
#ifndef MUSTER_SCHEDULER_MODEL_DEVICE_POD_CLAIMS_H_
#define MUSTER_SCHEDULER_MODEL_DEVICE_POD_CLAIMS_H_

#include <string>
#include <vector>

#include "scheduler/model/cluster_objects.h"
#include "scheduler/model/device.h"
#include "scheduler/model/device/device_columns.h"
#include "scheduler/model/pod.h"

namespace muster {

struct ClaimOfPod {
  ClaimPtr claim;
  ResourceClaim::Consumer consumer;  // whom it is to be reserved for: the pod, or the group that brings the claim
  bool own = false;                  // made for this pod alone
  bool reserved() const;             // for that consumer
};

// The pod's claims in its order, those that it needs not left out. Else why they cannot be worked with, in upstream's
// words: one is not there yet, is being deleted or is another's; `claims` has those before it then.
std::string FindClaims(const Pod& pod, const ClusterObjects& objects, std::vector<ClaimOfPod>* claims);

// The same as part of a shape. `alike`: claims of equal specs that nothing is known of yet are as one.
AskedClaims AskClaims(const Pod& pod, const ClusterObjects& objects, bool alike, DeviceColumns& devices);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_DEVICE_POD_CLAIMS_H_
