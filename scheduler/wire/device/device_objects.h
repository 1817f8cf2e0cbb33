// The messages of resource.k8s.io to the model.
#ifndef MUSTER_SCHEDULER_WIRE_DEVICE_DEVICE_OBJECTS_H_
#define MUSTER_SCHEDULER_WIRE_DEVICE_DEVICE_OBJECTS_H_

#include <string>

#include "scheduler/model/device.h"
#include "scheduler/model/object.h"
#include "scheduler/wire/proto/resource_v1.pb.h"

namespace muster {

// As in objects.h. What cannot be interpreted is told in the object's `invalid`, and in *error too if that is empty.
// A claim gets its `original` from ReadObject as well.
ObjectPtr ReadObject(const k8s::io::api::resource::v1::ResourceClaim& wire, std::string* error);
ObjectPtr ReadObject(const k8s::io::api::resource::v1::ResourceSlice& wire, std::string* error);
ObjectPtr ReadObject(const k8s::io::api::resource::v1::DeviceClass& wire, std::string* error);
ObjectPtr ReadObject(const k8s::io::api::resource::v1::DeviceTaintRule& wire, std::string* error);

inline constexpr char kClaimFinalizer[] = "resource.kubernetes.io/delete-protection";
inline constexpr char kPodClaimAnnotation[] = "resource.kubernetes.io/pod-claim-name";
inline constexpr char kExtendedClaimAnnotation[] = "resource.kubernetes.io/extended-resource-claim";

}  // namespace muster

#endif  // MUSTER_SCHEDULER_WIRE_DEVICE_DEVICE_OBJECTS_H_
