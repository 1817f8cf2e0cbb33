// The kinds that the scheduler watches, and the small ones among them. (Pods and nodes have headers
// of their own, storage and devices too: volume_objects.h, device.h.)
#ifndef MUSTER_SCHEDULER_MODEL_OBJECT_H_
#define MUSTER_SCHEDULER_MODEL_OBJECT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/model/labels.h"

namespace muster {

enum class Kind : uint8_t {
  kPod,
  kNode,
  kNamespace,
  kService,
  kReplicationController,
  kReplicaSet,
  kStatefulSet,
  kPodDisruptionBudget,
  kPersistentVolume,
  kPersistentVolumeClaim,
  kStorageClass,
  kCSINode,
  kCSIDriver,
  kCSIStorageCapacity,
  kVolumeAttachment,
  kPodGroup,              // scheduling.k8s.io
  kCoschedulingPodGroup,  // scheduling.x-k8s.io
  kTopology,              // muster.dev
  kKueueTopology,         // kueue.x-k8s.io
  kQueue,                 // muster.dev
  kResourceFlavor,        // muster.dev
  kResourceClaim,         // resource.k8s.io, like those below
  kResourceSlice,
  kDeviceClass,
  kDeviceTaintRule,
};
inline constexpr size_t kKindCount = static_cast<size_t>(Kind::kDeviceTaintRule) + 1;

// As in manifests: "Pod".
std::string_view KindName(Kind kind);

// What all kinds but Pod and Node have; each kind's own type derives from it.
struct Object {
  std::string ns, name, uid;  // ns "": not namespaced
  uint64_t resource_version = 0;
  virtual ~Object() = default;
};
using ObjectPtr = std::shared_ptr<const Object>;

struct Namespace : Object {
  Labels labels;
};

// Kinds kService, kReplicationController, kReplicaSet and kStatefulSet: which pods it selects. A
// map of labels is a selector of In requirements; a Service without selector has none present.
struct WorkloadSelector : Object {
  LabelSelector selector;
};

// Kind kPodDisruptionBudget.
struct DisruptionBudget : Object {
  LabelSelector selector;  // absent: selects nothing
  int32_t disruptions_allowed = 0;
  std::vector<std::string> disrupted_pods;  // names: their disruption is counted already; sorted
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_OBJECT_H_
