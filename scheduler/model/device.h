// Devices and who asks for them: resource.k8s.io/v1, reduced to what allocating reads and writes. Each field names its
// path in the Kubernetes object where that is not its own name in camel case.
#ifndef MUSTER_SCHEDULER_MODEL_DEVICE_H_
#define MUSTER_SCHEDULER_MODEL_DEVICE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "scheduler/model/ids.h"
#include "scheduler/model/labels.h"
#include "scheduler/model/object.h"
#include "scheduler/model/quantity.h"

namespace muster {

// "DRIVER/POOL/DEVICE" in messages.
struct DeviceId {
  std::string driver, pool, device;
  std::string Text() const { return driver + "/" + pool + "/" + device; }
  friend auto operator<=>(const DeviceId&, const DeviceId&) = default;
  friend bool operator==(const DeviceId&, const DeviceId&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const DeviceId& id) {
    return H::combine(std::move(h), id.driver, id.pool, id.device);
  }
};

// A quantity that is written back: with the format that it came in.
struct DeviceQuantity {
  Quantity value;
  QuantityFormat format = QuantityFormat::kDecimalSI;
  std::string Text() const { return value.Text(format); }
  friend bool operator==(const DeviceQuantity&, const DeviceQuantity&) = default;
};
// By qualified name: "memory" or "domain/memory".
using DeviceQuantities = absl::btree_map<std::string, DeviceQuantity>;

// int, bool, string, version; ints, bools, strings, versions. Kept as one list of the type's values; a scalar is a list
// of one whose `list` is false.
struct DeviceAttribute {
  enum class Type : uint8_t { kUnknown, kInt, kBool, kString, kVersion };
  Type type = Type::kUnknown;
  bool list = false;
  std::vector<int64_t> ints = {};       // kInt; kBool: 0 and 1
  std::vector<std::string> texts = {};  // kString, kVersion
  friend bool operator==(const DeviceAttribute&, const DeviceAttribute&) = default;
};
using DeviceAttributes = absl::btree_map<std::string, DeviceAttribute>;  // by qualified name

// What a request of a capacity is rounded up to.
struct CapacityPolicy {
  struct Range {
    std::optional<DeviceQuantity> min, max, step;
    friend bool operator==(const Range&, const Range&) = default;
  };
  std::optional<DeviceQuantity> default_value;  // default
  std::vector<DeviceQuantity> valid_values;     // ascending
  std::optional<Range> valid_range;
  friend bool operator==(const CapacityPolicy&, const CapacityPolicy&) = default;
};

struct DeviceCapacity {
  DeviceQuantity value;
  std::optional<CapacityPolicy> policy;  // requestPolicy
  friend bool operator==(const DeviceCapacity&, const DeviceCapacity&) = default;
};

// What a device takes of a counter set of its pool.
struct CounterConsumption {
  std::string counter_set;
  DeviceQuantities counters;
  std::vector<std::string> compatibility_groups;
  friend bool operator==(const CounterConsumption&, const CounterConsumption&) = default;
};

struct CounterSet {
  std::string name;
  DeviceQuantities counters;
  friend bool operator==(const CounterSet&, const CounterSet&) = default;
};

struct DeviceTaint {
  std::string key, value;
  std::string effect;                      // as written: "NoSchedule", "NoExecute" and others, which do nothing
  Time time_added = absl::InfinitePast();  // InfinitePast: not written
  friend bool operator==(const DeviceTaint&, const DeviceTaint&) = default;
};

struct DeviceToleration {
  std::string key, op, value, effect;  // op: spec's operator; "" = Equal
  std::optional<int64_t> toleration_seconds;
  friend bool operator==(const DeviceToleration&, const DeviceToleration&) = default;
};

// Which nodes can reach devices: at most one of them is given. A selector has one term; more are an error.
struct DeviceNodes {
  std::string node_name;  // "": not given
  bool all_nodes = false;
  std::optional<std::vector<NodeSelectorTerm>> selector;  // nodeSelector.nodeSelectorTerms
  friend bool operator==(const DeviceNodes&, const DeviceNodes&) = default;
};

struct Device {
  std::string name;
  DeviceAttributes attributes;
  absl::btree_map<std::string, DeviceCapacity> capacity;
  std::vector<CounterConsumption> consumes_counters;
  DeviceNodes nodes;  // read where the slice says perDeviceNodeSelection
  std::vector<DeviceTaint> taints;
  bool binds_to_node = false;
  std::vector<std::string> binding_conditions, binding_failure_conditions;
  std::optional<bool> allow_multiple_allocations;
  friend bool operator==(const Device&, const Device&) = default;
};

struct ResourceSlice : Object {
  std::string driver;
  std::string pool;         // spec.pool.name
  int64_t generation = 0;   // spec.pool.generation
  int64_t slice_count = 0;  // spec.pool.resourceSliceCount
  DeviceNodes nodes;
  bool per_device_node_selection = false;
  std::vector<Device> devices;
  std::vector<CounterSet> shared_counters;
  std::vector<std::string> skip_node_operations;
  // Why it cannot be interpreted ("spec.devices[0].capacity[memory].value: ..."), or "": then none of its devices may
  // be allocated. The same below.
  std::string invalid;
};

// config of a class or claim: parameters for a driver, passed on unread.
struct DeviceConfig {
  std::vector<std::string> requests;  // empty: all; a class's has none
  bool opaque = false;                // whether it has the one kind there is
  std::string driver;                 // opaque.driver
  std::string parameters;             // opaque.parameters: JSON
  friend bool operator==(const DeviceConfig&, const DeviceConfig&) = default;
};

struct DeviceClass : Object {
  std::vector<std::string> selectors;  // selectors[].cel.expression; "": of another kind
  std::vector<DeviceConfig> config;
  std::string extended_resource_name;
  Time created = absl::InfinitePast();  // metadata.creationTimestamp
  std::string invalid;
};

struct DerivedAttribute {
  std::string name, expression;
  friend bool operator==(const DerivedAttribute&, const DerivedAttribute&) = default;
};

// A request (with its `exactly`), or one of its alternatives.
struct DeviceRequest {
  std::string name;
  std::string device_class;            // deviceClassName
  std::vector<std::string> selectors;  // selectors[].cel.expression; "": of another kind
  std::string allocation_mode;         // "ExactCount", "All"
  int64_t count = 0;
  std::optional<bool> admin_access;  // no alternative has it
  std::vector<DeviceToleration> tolerations;
  std::optional<DeviceQuantities> capacity;  // capacity.requests
  std::vector<DerivedAttribute> derived_attributes;
  std::vector<DeviceRequest> first_available;  // alternatives, best first; else `exactly`'s fields above are read
  friend bool operator==(const DeviceRequest&, const DeviceRequest&) = default;
};

// With neither attribute it is of an unknown kind.
struct DeviceConstraint {
  std::vector<std::string> requests;  // "request" or "request/alternative"; empty: all
  std::string match_attribute, distinct_attribute;
  friend bool operator==(const DeviceConstraint&, const DeviceConstraint&) = default;
};

// status.allocation.devices.results[].
struct AllocatedDevice {
  std::string request;  // "request" or "request/alternative"
  DeviceId id;
  std::optional<bool> admin_access;
  std::vector<DeviceToleration> tolerations;
  std::vector<std::string> binding_conditions, binding_failure_conditions;
  std::string share_id;                // "": the device is not shared
  DeviceQuantities consumed_capacity;  // of a shared device: every capacity that it has
  std::vector<std::string> skip_node_operations;
  friend bool operator==(const AllocatedDevice&, const AllocatedDevice&) = default;
};

// status.allocation.devices.config[].
struct AllocatedConfig {
  bool from_class = false;  // source: FromClass or FromClaim
  DeviceConfig config;
  friend bool operator==(const AllocatedConfig&, const AllocatedConfig&) = default;
};

// status.allocation.
struct DeviceAllocation {
  std::vector<AllocatedDevice> devices;
  std::vector<AllocatedConfig> config;
  std::optional<NodeSelectorTerm> nodes;  // nodeSelector's one term; absent: reachable from everywhere
  Time time = absl::InfinitePast();       // allocationTimestamp; InfinitePast: not written
  friend bool operator==(const DeviceAllocation&, const DeviceAllocation&) = default;
};

struct ResourceClaim : Object {
  struct Consumer {  // status.reservedFor[]
    std::string api_group, resource, name, uid;
    friend bool operator==(const Consumer&, const Consumer&) = default;
  };
  struct Condition {  // status.devices[].conditions[], of binding conditions
    DeviceId device;
    std::string share_id, type;
    bool is_true = false;
    friend bool operator==(const Condition&, const Condition&) = default;
  };
  // metadata
  std::string controller_uid;      // uid of the owner with controller: true; "" without
  std::string pod_claim_name;      // annotation resource.kubernetes.io/pod-claim-name
  bool extended_resource = false;  // annotation resource.kubernetes.io/extended-resource-claim is "true"
  bool deleting = false;
  bool finalizer = false;  // has resource.kubernetes.io/delete-protection
  bool assumed = false;    // its status holds what was decided here and is not written yet
  // spec.devices
  std::vector<DeviceRequest> requests;
  std::vector<DeviceConstraint> constraints;
  std::vector<DeviceConfig> config;
  // status
  std::optional<DeviceAllocation> allocation;
  std::vector<Consumer> reserved_for;
  std::vector<Condition> conditions;
  std::string invalid;
  // The message as it was read, without managedFields: what it holds beside these is written back. Only the API
  // server's adapter looks into it; "" of one that was made here.
  std::string original;

  std::string Key() const { return ns.empty() ? name : ns + "/" + name; }
};

using ClaimPtr = std::shared_ptr<const ResourceClaim>;

// resource.k8s.io/v1 DeviceTaintRule: taints devices from outside of their slices. Without a selector it matches none.
struct DeviceTaintRule : Object {
  bool has_selector = false;                        // spec.deviceSelector
  std::optional<std::string> driver, pool, device;  // all that are given must be equal
  DeviceTaint taint;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_DEVICE_H_
