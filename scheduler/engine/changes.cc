#include "scheduler/engine/changes.h"

#include <vector>

namespace muster {
namespace {

int64_t AmountOf(const std::vector<Amount>& amounts, const std::string& resource) {
  for (const Amount& a : amounts) {
    if (a.resource == resource) return a.value;
  }
  return 0;
}

bool AnySmaller(const std::vector<Amount>& before, const std::vector<Amount>& after) {
  for (const Amount& a : before) {
    if (AmountOf(after, a.resource) < a.value) return true;
  }
  return false;
}

}  // namespace

ClusterEvents NodeChanges(const Node& before, const Node& after) {
  ClusterEvents events = 0;
  if (before.allocatable != after.allocatable) events |= kNodeAllocatable;
  if (before.labels != after.labels) events |= kNodeLabel;
  if (before.taints != after.taints || before.unschedulable != after.unschedulable) events |= kNodeTaint;
  if (before.declared_features != after.declared_features) events |= kNodeDeclaredFeature;
  if (before.invalid != after.invalid) events |= kNodeAdded;
  return events;
}

ClusterEvents BoundPodChanges(const Pod& before, const Pod& after) {
  if (before.spec == after.spec) return 0;
  ClusterEvents events = 0;
  if (before.spec->labels != after.spec->labels) events |= kPodLabel;
  if (AnySmaller(before.spec->amounts.usage, after.spec->amounts.usage)) events |= kPodScaledDown;
  return events;
}

ClusterEvents ObjectChanges(Kind kind, bool existed, bool gone) {
  const auto of = [&](ClusterEvents added, ClusterEvents updated, ClusterEvents deleted = 0) {
    return gone ? deleted : existed ? updated : added;
  };
  switch (kind) {
    case Kind::kPersistentVolume: return of(kVolumeAdded, kVolumeUpdated, kVolumeDeleted);
    case Kind::kPersistentVolumeClaim: return of(kClaimAdded, kClaimUpdated, kVolumeDeleted);
    case Kind::kStorageClass: return of(kStorageClassAdded, kStorageClassUpdated);
    case Kind::kCSINode: return of(kCSINodeAdded, kCSINodeUpdated);
    case Kind::kCSIDriver: return of(kCSIDriverAdded, kCSIDriverUpdated);
    case Kind::kCSIStorageCapacity: return of(kStorageCapacityAdded, kStorageCapacityUpdated);
    case Kind::kVolumeAttachment: return of(0, 0, kVolumeAttachmentDeleted);
    case Kind::kResourceClaim: return kResourceClaimChanged;
    case Kind::kResourceSlice:
    case Kind::kDeviceClass: return of(kDevicesChanged, kDevicesChanged);
    case Kind::kDeviceTaintRule: return kDevicesChanged;
    case Kind::kTopology:
    case Kind::kKueueTopology: return kTopologyChanged;
    default: return 0;
  }
}

ClusterEvents PendingPodChanges(const Pod& before, const Pod& after) {
  ClusterEvents events = 0;
  if (after.scheduling_gates.size() < before.scheduling_gates.size()) events |= kSelfGates;
  if (before.claims != after.claims) events |= kSelfClaims;
  if (before.spec == after.spec || *before.spec == *after.spec) return events;
  events |= kSelfUpdated;
  if (before.spec->labels != after.spec->labels) events |= kSelfLabel;
  if (before.spec->tolerations != after.spec->tolerations) events |= kSelfTolerations;
  if (AnySmaller(before.spec->amounts.requests, after.spec->amounts.requests)) events |= kSelfScaledDown;
  return events;
}

}  // namespace muster
