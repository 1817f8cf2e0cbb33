// The claims that controllers make for a pod: of volumes and of devices.
#ifndef MUSTER_SCHEDULER_SIM_CLAIMS_POD_CLAIMS_H_
#define MUSTER_SCHEDULER_SIM_CLAIMS_POD_CLAIMS_H_

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "scheduler/wire/proto/core_v1.pb.h"
#include "scheduler/wire/proto/meta_v1.pb.h"
#include "scheduler/wire/proto/resource_v1.pb.h"

namespace muster {

// A made-up uid: the same for the same object in every run.
std::string MakeUid(const std::string& kind, const k8s::io::apimachinery::pkg::apis::meta::v1::ObjectMeta& object);

// Of ephemeral volumes, and of `templates`, those of a StatefulSet, whose volumes get the claims' names here. All have
// namespace, name and uid.
std::vector<k8s::io::api::core::v1::PersistentVolumeClaim> MakeVolumeClaims(
    const std::vector<k8s::io::api::core::v1::PersistentVolumeClaim>& templates, k8s::io::api::core::v1::Pod* pod);

using ClaimTemplates = absl::flat_hash_map<std::string, k8s::io::api::resource::v1::ResourceClaimTemplate>;
// Of spec.resourceClaims that name one of `templates`, which are by "namespace/name"; status.resourceClaimStatuses then
// names the claims. One that names a template that there is not waits for it for ever, as the pod does.
std::vector<k8s::io::api::resource::v1::ResourceClaim> MakeDeviceClaims(const ClaimTemplates& templates,
                                                                        k8s::io::api::core::v1::Pod* pod);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_SIM_CLAIMS_POD_CLAIMS_H_
