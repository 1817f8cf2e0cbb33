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

using ClusterEvents = uint64_t;  // a set of the bits below
inline constexpr ClusterEvents kNodeAdded = 1ull << 0;
inline constexpr ClusterEvents kNodeAllocatable = 1ull << 1;
inline constexpr ClusterEvents kNodeLabel = 1ull << 2;
inline constexpr ClusterEvents kNodeTaint = 1ull << 3;        // also spec.unschedulable
inline constexpr ClusterEvents kPodAdded = 1ull << 4;         // an assigned pod appeared
inline constexpr ClusterEvents kPodRemoved = 1ull << 5;       // an assigned pod ended or was deleted
inline constexpr ClusterEvents kPodScaledDown = 1ull << 6;    // an assigned pod's requests shrank
inline constexpr ClusterEvents kPodLabel = 1ull << 7;         // an assigned pod's labels changed
inline constexpr ClusterEvents kSelfUpdated = 1ull << 8;      // the pending pod's own spec changed
inline constexpr ClusterEvents kSelfTolerations = 1ull << 9;  // the pending pod gained tolerations
inline constexpr ClusterEvents kSelfGates = 1ull << 10;       // a scheduling gate went away
inline constexpr ClusterEvents kSelfScaledDown = 1ull << 11;  // the pending pod asks for less
inline constexpr ClusterEvents kSelfLabel = 1ull << 12;       // the pending pod's labels changed
inline constexpr ClusterEvents kNodeDeclaredFeature = 1ull << 13;
inline constexpr ClusterEvents kVolumeAdded = 1ull << 14;  // PersistentVolume
inline constexpr ClusterEvents kVolumeUpdated = 1ull << 15;
inline constexpr ClusterEvents kClaimAdded = 1ull << 16;  // PersistentVolumeClaim
inline constexpr ClusterEvents kClaimUpdated = 1ull << 17;
inline constexpr ClusterEvents kStorageClassAdded = 1ull << 18;
inline constexpr ClusterEvents kStorageClassUpdated = 1ull << 19;
inline constexpr ClusterEvents kCSINodeAdded = 1ull << 20;
inline constexpr ClusterEvents kCSINodeUpdated = 1ull << 21;
inline constexpr ClusterEvents kCSIDriverAdded = 1ull << 22;
inline constexpr ClusterEvents kCSIDriverUpdated = 1ull << 23;
inline constexpr ClusterEvents kStorageCapacityAdded = 1ull << 24;
inline constexpr ClusterEvents kStorageCapacityUpdated = 1ull << 25;
inline constexpr ClusterEvents kVolumeAttachmentDeleted = 1ull << 26;
inline constexpr ClusterEvents kVolumeDeleted = 1ull << 27;  // PersistentVolume or its claim
inline constexpr ClusterEvents kNodeRemoved = 1ull << 28;
inline constexpr ClusterEvents kTopologyChanged = 1ull << 29;       // Topology, ours or Kueue's
inline constexpr ClusterEvents kQueueChanged = 1ull << 30;          // Queue or ResourceFlavor, or whom they select
inline constexpr ClusterEvents kDevicesChanged = 1ull << 31;        // ResourceSlice or DeviceClass added or updated
inline constexpr ClusterEvents kResourceClaimChanged = 1ull << 32;  // or added or deleted
inline constexpr ClusterEvents kSelfClaims = 1ull << 33;            // claims were made for the pending pod
inline constexpr ClusterEvents kAnyEvent = ~0ull;

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
