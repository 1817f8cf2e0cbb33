// Consumable capacity: how much of a device a request takes.
#ifndef MUSTER_TOPOLOGY_DEVICE_CAPACITY_H_
#define MUSTER_TOPOLOGY_DEVICE_CAPACITY_H_

#include <optional>
#include <string>

#include "absl/container/btree_map.h"
#include "absl/status/statusor.h"
#include "scheduler/model/device.h"

namespace muster {

using CapacitySums = absl::btree_map<std::string, Quantity>;

// What a request takes of each of the device's capacities: what it asks for, rounded up as the capacity's policy says;
// else the policy's default, else all. `fractional`: feature fractional_capacity_range. An error where an amount is
// negative or too large for the policy's arithmetic: such a request is wrong for every device.
absl::StatusOr<DeviceQuantities> TakenCapacity(const std::optional<DeviceQuantities>& request, const Device& device,
                                               bool fractional);

// Whether that is allowed by the policies, and free: beside `allocated` and `allocating` (null: nothing). A request of
// a capacity that the device lacks does not fit.
absl::StatusOr<bool> CapacityFits(const std::optional<DeviceQuantities>& request, const Device& device, bool fractional,
                                  const CapacitySums* allocated, const CapacitySums* allocating);

}  // namespace muster

#endif  // MUSTER_TOPOLOGY_DEVICE_CAPACITY_H_
