// ResourceClaims as they are written to the API server.
#ifndef MUSTER_SCHEDULER_WIRE_DEVICE_CLAIM_BODIES_H_
#define MUSTER_SCHEDULER_WIRE_DEVICE_CLAIM_BODIES_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/model/device.h"

namespace muster {

// Whole claims, of the version that `claim` was read in (it has an `original`), with all that was not read: for a PUT.
std::string EncodeFinalizer(const ResourceClaim& claim, bool wanted);
// With the allocation, where one is given, and the consumer.
std::string EncodeReservation(const ResourceClaim& claim, const std::optional<DeviceAllocation>& allocation,
                              const ResourceClaim::Consumer& consumer);
std::string EncodeDeallocation(const ResourceClaim& claim);

// A new claim for a pod's extended resources: for a POST.
std::string EncodeExtendedClaim(std::string_view ns, std::string_view pod, std::string_view pod_uid,
                                const std::vector<DeviceRequest>& requests);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_WIRE_DEVICE_CLAIM_BODIES_H_
