// Which devices a pod's claims get on a node: the first solution in the order of pools, slices and devices, found as
// kube-scheduler's structured allocator finds it (k8s.io/dynamic-resource-allocation 0.37), its messages included.
#ifndef MUSTER_TOPOLOGY_DEVICE_ALLOCATOR_H_
#define MUSTER_TOPOLOGY_DEVICE_ALLOCATOR_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "scheduler/model/device.h"
#include "scheduler/model/device/device_columns.h"
#include "scheduler/model/node.h"

namespace muster {

// Kubernetes' feature gates (DRA...) as the allocator reads them; on and off as 1.37 has them.
struct DeviceFeatures {
  bool admin_access = true;
  bool compatibility_groups = false;
  bool consumable_capacity = true;
  bool derived_attributes = false;
  bool binding_conditions = true;
  bool device_taints = true;
  bool fractional_capacity_range = true;
  bool list_type_attributes = false;
  bool optional_node_operations = false;
  bool partitionable_devices = true;
  bool prioritized_list = true;

  // kube-scheduler has another allocator then. The one for all others takes devices that need optional node operations
  // as if they needed none.
  bool any_alpha() const {
    return compatibility_groups || derived_attributes || list_type_attributes || optional_node_operations;
  }
};

struct SelectorAnswer {
  enum class Kind : uint8_t { kNo, kYes, kCompileError, kRuntimeError };
  Kind kind = Kind::kNo;
  std::string message;  // of errors
  int64_t steps = 0;    // what finding it cost; 0: it was known
};

// What the allocator asks; all but `derived` must be given, and the same question must have the same answer.
struct DeviceQuestions {
  // Whether a device matches a selector's CEL expression.
  std::function<SelectorAnswer(const std::string& expression, const ResourceSlice& slice, const Device& device)>
      selector;
  // The attribute that an expression derives from a device. Errors read as they are shown.
  std::function<absl::StatusOr<DeviceAttribute>(const DerivedAttribute& attribute, const ResourceSlice& slice,
                                                const Device& device)>
      derived;
  // Whether one of the terms matches the node.
  std::function<bool(const std::vector<NodeSelectorTerm>& terms, const Node& node)> node_matches;
  std::function<const DeviceClass*(const std::string& name)> find_class;  // null: there is none
  std::function<std::string()> new_share_id;                              // a fresh UUID, asked once a share taken
};

struct DeviceOutcome {
  enum class Kind : uint8_t {
    kAllocated,  // `allocations` has one for each claim
    kNoFit,      // not on this node
    kNodeError,  // not on this node, for the reason in `message`
    kError,      // on no node: the claims cannot be worked with, for the reason in `message`
    kGaveUp,     // the step budget ended
  };
  Kind kind = Kind::kNoFit;
  std::string message;
  std::vector<DeviceAllocation> allocations;
  // Index of the alternative chosen, by claim and request; 0 where there are none.
  std::vector<std::vector<uint32_t>> chosen;
  int64_t rounds = 0;  // how often a place in the claims was taken up (upstream's allocateOne)
  // What the budget limits, in units of some 30 ns: rounds, devices looked at, constraints, alternatives planned, and
  // what selectors cost. The last may go beyond the limit by one evaluation.
  int64_t steps = 0;
};

// What the devices that a node can reach are like, made of the slices.
struct DeviceReach;

// Remembers what it made of each node's slices until they change. Not for several threads at once.
class DeviceAllocator {
 public:
  explicit DeviceAllocator(DeviceFeatures features, DeviceQuestions questions);
  ~DeviceAllocator();
  DeviceAllocator(const DeviceAllocator&) = delete;
  DeviceAllocator& operator=(const DeviceAllocator&) = delete;

  // Devices for all of `claims`, none of which has an allocation, in their order. At most `step_limit` steps.
  // Requires: `devices` is the same object at every call.
  DeviceOutcome Allocate(const DeviceColumns& devices, const Node& node, std::span<const ResourceClaim* const> claims,
                         int64_t step_limit);

 private:
  struct Known;
  const DeviceReach& ReachOf(const DeviceColumns& devices, const Node& node);

  const DeviceFeatures features_;
  const DeviceQuestions questions_;
  absl::flat_hash_map<std::string, std::unique_ptr<Known>> known_;  // by node
  std::unique_ptr<DeviceReach> reach_;                              // of a node that reaches slices of several
};

}  // namespace muster

#endif  // MUSTER_TOPOLOGY_DEVICE_ALLOCATOR_H_
