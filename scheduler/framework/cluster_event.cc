#include "scheduler/framework/cluster_event.h"

namespace muster {

std::vector<std::string_view> EventNames(ClusterEvents events) {
  static constexpr std::string_view kNames[] = {
      "NodeAdd",
      "NodeAllocatableChange",
      "NodeLabelChange",
      "NodeTaintChange",
      "AssignedPodAdd",
      "AssignedPodDelete",
      "AssignedPodScaleDown",
      "AssignedPodLabelChange",
      "PodUpdate",
      "PodTolerationChange",
      "PodSchedulingGatesEliminated",
      "PodScaleDown",
      "PodLabelChange",
      "NodeDeclaredFeatureChange",
      "PvAdd",
      "PvUpdate",
      "PvcAdd",
      "PvcUpdate",
      "StorageClassAdd",
      "StorageClassUpdate",
      "CSINodeAdd",
      "CSINodeUpdate",
      "CSIDriverAdd",
      "CSIDriverUpdate",
      "CSIStorageCapacityAdd",
      "CSIStorageCapacityUpdate",
      "VolumeAttachmentDelete",
      "PvOrPvcDelete",
      "NodeDelete",
      "TopologyChange",
      "QueueChange",
      "DeviceChange",
      "ResourceClaimChange",
      "PodGeneratedResourceClaimUpdate",
  };
  std::vector<std::string_view> names;
  for (size_t bit = 0; bit < std::size(kNames); ++bit) {
    if ((events >> bit & 1) != 0) names.push_back(kNames[bit]);
  }
  return names;
}

}  // namespace muster
