// Which kinds of objects a manifest may hold, and which of them a simulation reads.
#ifndef MUSTER_SCHEDULER_SIM_MANIFEST_KINDS_H_
#define MUSTER_SCHEDULER_SIM_MANIFEST_KINDS_H_

#include <cstdint>
#include <string_view>

namespace muster {

enum class ManifestKind : uint8_t {
  kPod,
  kNode,
  kNamespace,
  kPriorityClass,
  kDeployment,
  kReplicaSet,
  kStatefulSet,
  kJob,
  kReplicationController,
  kPodDisruptionBudget,
  kService,
  kPersistentVolume,
  kPersistentVolumeClaim,
  kStorageClass,
  kCSINode,
  kCSIDriver,
  kCSIStorageCapacity,
  kVolumeAttachment,
  kPodGroup,          // scheduling.k8s.io
  kPodGroupV1Alpha2,  // likewise, as of 1.36
  kCoschedulingPodGroup,
  kTopology,  // muster.dev
  kKueueTopology,
  kQueue,
  kResourceFlavor,
  kResourceClaim,
  kResourceClaimTemplate,
  kResourceSlice,
  kDeviceClass,
  kDeviceTaintRule,
  kIgnored,  // exists, but is not read: also kinds of groups that are not Kubernetes' own
  kUnknown,  // Kubernetes has no such kind, or not in this version
};

ManifestKind FindManifestKind(std::string_view api_version, std::string_view kind);

bool IsNamespaced(ManifestKind kind);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_SIM_MANIFEST_KINDS_H_
