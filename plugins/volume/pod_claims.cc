#include "plugins/volume/pod_claims.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace muster {

std::string NotFound(std::string_view what, std::string_view name) {
  return absl::StrCat(AsAbsl(what), " \"", AsAbsl(name), "\" not found");
}

std::string NotOwned(const PodSpec& pod, const PodVolume& volume, const PersistentVolumeClaim& claim) {
  if (!claim.controller_uid.empty() && claim.controller_uid == volume.owner_uid) return {};
  // The claim is named "<pod>-<volume>".
  const std::string name =
      volume.source.substr(0, volume.source.size() - std::min(volume.source.size(), volume.name.size() + 1));
  return absl::StrCat("PVC ", claim.ns, "/", claim.name, " was not created for pod ", pod.ns, "/", name,
                      " (pod is not owner)");
}

bool NamesClaim(const PodSpec& pod, const Object* claim, bool ephemeral) {
  return claim != nullptr && claim->ns == pod.ns &&
         std::any_of(pod.volumes.begin(), pod.volumes.end(), [&](const PodVolume& v) {
           return (v.kind == PodVolume::Kind::kClaim || (ephemeral && v.kind == PodVolume::Kind::kEphemeral)) &&
                  v.source == claim->name;
         });
}

}  // namespace muster
