// JSON of resource.k8s.io/v1 to the model, as far as the rows need it. Throws where it is malformed.
#ifndef MUSTER_TEST_TOPOLOGY_DEVICE_ROW_OBJECTS_H_
#define MUSTER_TEST_TOPOLOGY_DEVICE_ROW_OBJECTS_H_

#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "scheduler/model/device.h"
#include "scheduler/model/node.h"

namespace muster {

Node ReadNode(const nlohmann::json& json);
ResourceSlice ReadSlice(const nlohmann::json& json);
DeviceClass ReadClass(const nlohmann::json& json);
ResourceClaim ReadClaim(const nlohmann::json& json);
DeviceAttribute ReadAttribute(const nlohmann::json& json);
DeviceQuantity ReadQuantity(const std::string& text);

// An allocation as the API server's JSON has it.
nlohmann::json WriteAllocation(const DeviceAllocation& allocation);

}  // namespace muster

#endif  // MUSTER_TEST_TOPOLOGY_DEVICE_ROW_OBJECTS_H_
