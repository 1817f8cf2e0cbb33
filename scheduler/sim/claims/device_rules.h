// What the API server fills into new objects of resource.k8s.io, and what it refuses, as far as decisions read it.
#ifndef MUSTER_SCHEDULER_SIM_CLAIMS_DEVICE_RULES_H_
#define MUSTER_SCHEDULER_SIM_CLAIMS_DEVICE_RULES_H_

#include <string>

#include "scheduler/model/ids.h"
#include "scheduler/wire/proto/resource_v1.pb.h"

namespace muster {

// `now`: when taints were added that do not say it.
void CompleteNew(k8s::io::api::resource::v1::ResourceClaimSpec* spec);
void CompleteNew(Time now, k8s::io::api::resource::v1::ResourceSlice* slice);
void CompleteNew(Time now, k8s::io::api::resource::v1::DeviceTaintRule* rule);

// The first thing that is refused ("spec.devices[1].name: is there twice"), or "".
std::string CheckNew(const k8s::io::api::resource::v1::ResourceClaimSpec& spec);
std::string CheckNew(const k8s::io::api::resource::v1::ResourceSlice& slice);
std::string CheckNew(const k8s::io::api::resource::v1::DeviceClass& device_class);
std::string CheckNew(const k8s::io::api::resource::v1::DeviceTaintRule& rule);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_SIM_CLAIMS_DEVICE_RULES_H_
