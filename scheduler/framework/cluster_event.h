// What can happen in a cluster that may make a rejected pod fit, in upstream's terms.
#ifndef MUSTER_SCHEDULER_FRAMEWORK_CLUSTER_EVENT_H_
#define MUSTER_SCHEDULER_FRAMEWORK_CLUSTER_EVENT_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "scheduler/model/node.h"
#include "scheduler/model/object.h"
#include "scheduler/model/pod.h"

namespace muster {

using ClusterEvents = uint32_t;  // a set of the bits below
inline constexpr ClusterEvents kNodeAdded = 1u << 0;
inline constexpr ClusterEvents kNodeAllocatable = 1u << 1;
inline constexpr ClusterEvents kNodeLabel = 1u << 2;
inline constexpr ClusterEvents kNodeTaint = 1u << 3;        // also spec.unschedulable
inline constexpr ClusterEvents kPodAdded = 1u << 4;         // an assigned pod appeared
inline constexpr ClusterEvents kPodRemoved = 1u << 5;       // an assigned pod ended or was deleted
inline constexpr ClusterEvents kPodScaledDown = 1u << 6;    // an assigned pod's requests shrank
inline constexpr ClusterEvents kPodLabel = 1u << 7;         // an assigned pod's labels changed
inline constexpr ClusterEvents kSelfUpdated = 1u << 8;      // the pending pod's own spec changed
inline constexpr ClusterEvents kSelfTolerations = 1u << 9;  // the pending pod gained tolerations
inline constexpr ClusterEvents kSelfGates = 1u << 10;       // a scheduling gate went away
inline constexpr ClusterEvents kSelfScaledDown = 1u << 11;  // the pending pod asks for less
inline constexpr ClusterEvents kSelfLabel = 1u << 12;       // the pending pod's labels changed
inline constexpr ClusterEvents kNodeDeclaredFeature = 1u << 13;
inline constexpr ClusterEvents kVolumeAdded = 1u << 14;  // PersistentVolume
inline constexpr ClusterEvents kVolumeUpdated = 1u << 15;
inline constexpr ClusterEvents kClaimAdded = 1u << 16;  // PersistentVolumeClaim
inline constexpr ClusterEvents kClaimUpdated = 1u << 17;
inline constexpr ClusterEvents kStorageClassAdded = 1u << 18;
inline constexpr ClusterEvents kStorageClassUpdated = 1u << 19;
inline constexpr ClusterEvents kCSINodeAdded = 1u << 20;
inline constexpr ClusterEvents kCSINodeUpdated = 1u << 21;
inline constexpr ClusterEvents kCSIDriverAdded = 1u << 22;
inline constexpr ClusterEvents kCSIDriverUpdated = 1u << 23;
inline constexpr ClusterEvents kStorageCapacityAdded = 1u << 24;
inline constexpr ClusterEvents kStorageCapacityUpdated = 1u << 25;
inline constexpr ClusterEvents kVolumeAttachmentDeleted = 1u << 26;
inline constexpr ClusterEvents kVolumeDeleted = 1u << 27;  // PersistentVolume or its claim
inline constexpr ClusterEvents kNodeRemoved = 1u << 28;
inline constexpr ClusterEvents kTopologyChanged = 1u << 29;  // Topology, ours or Kueue's
inline constexpr ClusterEvents kQueueChanged = 1u << 30;     // Queue or ResourceFlavor, or whom they select
inline constexpr ClusterEvents kAnyEvent = ~0u;

// The names of the events in a set, in bit order.
std::vector<std::string_view> EventNames(ClusterEvents events);

// One event, with what it changed; pointers are null where they do not apply and valid only
// during the call.
struct ClusterEvent {
  ClusterEvents what = 0;
  const Node* old_node = nullptr;
  const Node* new_node = nullptr;
  const Pod* old_pod = nullptr;
  const Pod* new_pod = nullptr;
  // Of the events of other kinds; their type is the kind's.
  const Object* old_object = nullptr;
  const Object* new_object = nullptr;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_FRAMEWORK_CLUSTER_EVENT_H_
