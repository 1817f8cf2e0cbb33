#include "scheduler/sim/claims/pod_claims.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "scheduler/model/ids.h"
#include "scheduler/model/stable_hash.h"
#include "scheduler/wire/device/device_objects.h"

namespace muster {
namespace {

namespace core = k8s::io::api::core::v1;
namespace meta = k8s::io::apimachinery::pkg::apis::meta::v1;
namespace resource = k8s::io::api::resource::v1;

void SetOwner(const core::Pod& pod, meta::ObjectMeta* metadata) {
  auto& owner = *metadata->add_ownerreferences();
  owner.set_apiversion("v1");
  owner.set_kind("Pod");
  owner.set_name(pod.metadata().name());
  owner.set_uid(pod.metadata().uid());
  owner.set_controller(true);
}

}  // namespace

std::string MakeUid(const std::string& kind, const meta::ObjectMeta& object) {
  const uint64_t a = StableHash(absl::StrCat(kind, "/", object.namespace_(), "/", object.name())), b = Mix(a);
  return absl::StrFormat("%08x-%04x-%04x-%04x-%012x", a >> 32, a >> 16 & 0xffff, a & 0xffff, b >> 48,
                         b & 0xffff'ffff'ffff);
}

std::vector<core::PersistentVolumeClaim> MakeVolumeClaims(const std::vector<core::PersistentVolumeClaim>& templates,
                                                          core::Pod* pod) {
  std::vector<core::PersistentVolumeClaim> claims;
  for (core::Volume& volume : *pod->mutable_spec()->mutable_volumes()) {
    core::PersistentVolumeClaim claim;
    const auto of_set = std::find_if(templates.begin(), templates.end(),
                                     [&](const auto& c) { return c.metadata().name() == volume.name(); });
    if (of_set != templates.end()) {
      claim = *of_set;
      claim.mutable_metadata()->set_name(absl::StrCat(volume.name(), "-", pod->metadata().name()));
      volume.mutable_volumesource()->mutable_persistentvolumeclaim()->set_claimname(claim.metadata().name());
    } else if (volume.volumesource().has_ephemeral()) {
      const auto& from = volume.volumesource().ephemeral().volumeclaimtemplate();
      *claim.mutable_metadata() = from.metadata();
      *claim.mutable_spec() = from.spec();
      claim.mutable_metadata()->set_name(absl::StrCat(pod->metadata().name(), "-", volume.name()));
      SetOwner(*pod, claim.mutable_metadata());
    } else {
      continue;
    }
    claim.mutable_metadata()->set_namespace_(pod->metadata().namespace_());
    claim.mutable_metadata()->set_uid(MakeUid("PersistentVolumeClaim", claim.metadata()));
    claims.push_back(std::move(claim));
  }
  return claims;
}

std::vector<resource::ResourceClaim> MakeDeviceClaims(const ClaimTemplates& templates, core::Pod* pod) {
  std::vector<resource::ResourceClaim> claims;
  const meta::ObjectMeta& owner = pod->metadata();
  for (const core::PodResourceClaim& asked : pod->spec().resourceclaims()) {
    const auto& made = pod->status().resourceclaimstatuses();
    if (std::any_of(made.begin(), made.end(), [&](const auto& status) { return status.name() == asked.name(); }))
      continue;
    const auto found = templates.find(absl::StrCat(owner.namespace_(), "/", asked.resourceclaimtemplatename()));
    if (!asked.has_resourceclaimtemplatename() || found == templates.end()) continue;
    resource::ResourceClaim claim;
    *claim.mutable_metadata() = found->second.spec().metadata();
    *claim.mutable_spec() = found->second.spec().spec();
    meta::ObjectMeta& metadata = *claim.mutable_metadata();
    metadata.set_namespace_(owner.namespace_());
    metadata.set_name(absl::StrCat(owner.name(), "-", asked.name()));
    metadata.set_uid(MakeUid("ResourceClaim", metadata));
    metadata.set_name(absl::StrCat(metadata.name(), "-", metadata.uid().substr(0, 5)));
    (*metadata.mutable_annotations())[kPodClaimAnnotation] = asked.name();
    SetOwner(*pod, &metadata);
    claims.push_back(std::move(claim));
  }
  for (const resource::ResourceClaim& claim : claims) {
    auto& status = *pod->mutable_status()->add_resourceclaimstatuses();
    status.set_name(claim.metadata().annotations().at(kPodClaimAnnotation));
    status.set_resourceclaimname(claim.metadata().name());
  }
  return claims;
}

}  // namespace muster
