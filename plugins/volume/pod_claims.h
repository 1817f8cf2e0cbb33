// The claims that a pod's volumes name, and the sentences about them that clients know.
#ifndef MUSTER_PLUGINS_VOLUME_POD_CLAIMS_H_
#define MUSTER_PLUGINS_VOLUME_POD_CLAIMS_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "scheduler/framework/status.h"
#include "scheduler/model/cluster_objects.h"
#include "scheduler/model/pod.h"
#include "scheduler/model/volume_objects.h"

namespace muster {

// `persistentvolumeclaim "data" not found`.
std::string NotFound(std::string_view what, std::string_view name);
inline std::string ClaimNotFound(std::string_view name) { return NotFound("persistentvolumeclaim", name); }
inline std::string VolumeNotFound(std::string_view name) { return NotFound("persistentvolume", name); }
inline std::string ClassNotFound(std::string_view name) { return NotFound("storageclass.storage.k8s.io", name); }

inline bool UsesClaim(const PodVolume& volume) {
  return volume.kind == PodVolume::Kind::kClaim || volume.kind == PodVolume::Kind::kEphemeral;
}
inline const PersistentVolumeClaim* FindClaim(const ClusterObjects& objects, std::string_view ns,
                                              std::string_view name) {
  return objects.Get<PersistentVolumeClaim>(Kind::kPersistentVolumeClaim, ns, name);
}

// What is wrong with the claim of an ephemeral volume that another pod made, or "".
std::string NotOwned(const PodSpec& pod, const PodVolume& volume, const PersistentVolumeClaim& claim);

// Whether the object is a claim that the pod names; `ephemeral`: also as an ephemeral volume's.
bool NamesClaim(const PodSpec& pod, const Object* claim, bool ephemeral);

}  // namespace muster

#endif  // MUSTER_PLUGINS_VOLUME_POD_CLAIMS_H_
