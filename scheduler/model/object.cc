#include "scheduler/model/object.h"

namespace muster {

std::string_view KindName(Kind kind) {
  constexpr std::string_view kNames[kKindCount] = {"Pod",
                                                   "Node",
                                                   "Namespace",
                                                   "Service",
                                                   "ReplicationController",
                                                   "ReplicaSet",
                                                   "StatefulSet",
                                                   "PodDisruptionBudget",
                                                   "PersistentVolume",
                                                   "PersistentVolumeClaim",
                                                   "StorageClass",
                                                   "CSINode",
                                                   "CSIDriver",
                                                   "CSIStorageCapacity",
                                                   "VolumeAttachment",
                                                   "PodGroup",
                                                   "PodGroup",
                                                   "Topology",
                                                   "Topology",
                                                   "Queue",
                                                   "ResourceFlavor",
                                                   "ResourceClaim",
                                                   "ResourceSlice",
                                                   "DeviceClass",
                                                   "DeviceTaintRule"};
  return kNames[static_cast<size_t>(kind)];
}

}  // namespace muster
