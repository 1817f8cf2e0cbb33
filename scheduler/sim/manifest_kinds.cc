#include "scheduler/sim/manifest_kinds.h"

namespace muster {
namespace {

struct Read {
  std::string_view api_version, kind;
  ManifestKind value;
};
constexpr Read kRead[] = {
    {"v1", "Pod", ManifestKind::kPod},
    {"v1", "Node", ManifestKind::kNode},
    {"v1", "Namespace", ManifestKind::kNamespace},
    {"scheduling.k8s.io/v1", "PriorityClass", ManifestKind::kPriorityClass},
    {"apps/v1", "Deployment", ManifestKind::kDeployment},
    {"apps/v1", "ReplicaSet", ManifestKind::kReplicaSet},
    {"apps/v1", "StatefulSet", ManifestKind::kStatefulSet},
    {"batch/v1", "Job", ManifestKind::kJob},
    {"v1", "ReplicationController", ManifestKind::kReplicationController},
    {"policy/v1", "PodDisruptionBudget", ManifestKind::kPodDisruptionBudget},
    {"v1", "Service", ManifestKind::kService},
    {"v1", "PersistentVolume", ManifestKind::kPersistentVolume},
    {"v1", "PersistentVolumeClaim", ManifestKind::kPersistentVolumeClaim},
    {"storage.k8s.io/v1", "StorageClass", ManifestKind::kStorageClass},
    {"storage.k8s.io/v1", "CSINode", ManifestKind::kCSINode},
    {"storage.k8s.io/v1", "CSIDriver", ManifestKind::kCSIDriver},
    {"storage.k8s.io/v1", "CSIStorageCapacity", ManifestKind::kCSIStorageCapacity},
    {"storage.k8s.io/v1", "VolumeAttachment", ManifestKind::kVolumeAttachment},
    {"scheduling.k8s.io/v1beta1", "PodGroup", ManifestKind::kPodGroup},
    {"scheduling.k8s.io/v1alpha3", "PodGroup", ManifestKind::kPodGroup},
    {"scheduling.k8s.io/v1alpha2", "PodGroup", ManifestKind::kPodGroupV1Alpha2},
    {"scheduling.x-k8s.io/v1alpha1", "PodGroup", ManifestKind::kCoschedulingPodGroup},
    {"muster.dev/v1alpha1", "Topology", ManifestKind::kTopology},
    {"muster.dev/v1alpha1", "Queue", ManifestKind::kQueue},
    {"muster.dev/v1alpha1", "ResourceFlavor", ManifestKind::kResourceFlavor},
    {"resource.k8s.io/v1", "ResourceClaim", ManifestKind::kResourceClaim},
    {"resource.k8s.io/v1", "ResourceClaimTemplate", ManifestKind::kResourceClaimTemplate},
    {"resource.k8s.io/v1", "ResourceSlice", ManifestKind::kResourceSlice},
    {"resource.k8s.io/v1", "DeviceClass", ManifestKind::kDeviceClass},
    {"resource.k8s.io/v1", "DeviceTaintRule", ManifestKind::kDeviceTaintRule},
    {"resource.k8s.io/v1beta2", "DeviceTaintRule", ManifestKind::kDeviceTaintRule},
    {"kueue.x-k8s.io/v1beta1", "Topology", ManifestKind::kKueueTopology},
    {"kueue.x-k8s.io/v1beta2", "Topology", ManifestKind::kKueueTopology},
};

// Kinds that exist beside them, by group, in any version; words between blanks.
struct Group {
  std::string_view name, kinds;
};
constexpr Group kIgnored[] = {
    {"",
     " ConfigMap Secret ServiceAccount Endpoints Event LimitRange ResourceQuota PodTemplate Binding "
     "ComponentStatus "},
    {"apps", " DaemonSet ControllerRevision "},
    {"batch", " CronJob "},
    {"policy", " Eviction "},
    {"autoscaling", " HorizontalPodAutoscaler Scale "},
    {"extensions", " "},
    {"scheduling.k8s.io", " CompositePodGroup Workload "},
    {"resource.k8s.io",
     " ResourceClaim ResourceClaimTemplate ResourceSlice DeviceClass DeviceTaintRule "
     "ResourcePoolStatusRequest "},
    {"rbac.authorization.k8s.io", " Role RoleBinding ClusterRole ClusterRoleBinding "},
    {"networking.k8s.io", " Ingress IngressClass NetworkPolicy IPAddress ServiceCIDR "},
    {"storage.k8s.io", " VolumeAttributesClass "},
    {"storagemigration.k8s.io", " StorageVersionMigration "},
    {"coordination.k8s.io", " Lease LeaseCandidate "},
    {"discovery.k8s.io", " EndpointSlice "},
    {"events.k8s.io", " Event "},
    {"node.k8s.io", " RuntimeClass "},
    {"certificates.k8s.io", " CertificateSigningRequest ClusterTrustBundle PodCertificateRequest "},
    {"admissionregistration.k8s.io",
     " ValidatingWebhookConfiguration MutatingWebhookConfiguration ValidatingAdmissionPolicy "
     "ValidatingAdmissionPolicyBinding MutatingAdmissionPolicy MutatingAdmissionPolicyBinding "},
    {"apiextensions.k8s.io", " CustomResourceDefinition "},
    {"apiregistration.k8s.io", " APIService "},
    {"flowcontrol.apiserver.k8s.io", " FlowSchema PriorityLevelConfiguration "},
};

bool HasWord(std::string_view words, std::string_view word) {
  if (word.empty() || word.find(' ') != std::string_view::npos) return false;
  for (size_t at = words.find(word); at != std::string_view::npos; at = words.find(word, at + 1)) {
    if (words[at - 1] == ' ' && words[at + word.size()] == ' ') return true;
  }
  return false;
}

}  // namespace

ManifestKind FindManifestKind(std::string_view api_version, std::string_view kind) {
  for (const Read& read : kRead) {
    if (read.api_version == api_version && read.kind == kind) return read.value;
  }
  const size_t slash = api_version.find('/');
  const std::string_view group = slash == std::string_view::npos ? "" : api_version.substr(0, slash);
  const std::string_view version = slash == std::string_view::npos ? api_version : api_version.substr(slash + 1);
  if (version.size() < 2 || version[0] != 'v' || version[1] < '1' || version[1] > '9') return ManifestKind::kUnknown;
  for (const Group& known : kIgnored) {
    if (known.name == group) return HasWord(known.kinds, kind) ? ManifestKind::kIgnored : ManifestKind::kUnknown;
  }
  // Groups of custom resources are domain names. Configurations are no objects, and ours are known.
  const bool foreign =
      group.find('.') != std::string_view::npos && !group.ends_with(".config.k8s.io") && group != "muster.dev";
  return foreign ? ManifestKind::kIgnored : ManifestKind::kUnknown;
}

bool IsNamespaced(ManifestKind kind) {
  switch (kind) {
    case ManifestKind::kNode:
    case ManifestKind::kNamespace:
    case ManifestKind::kPriorityClass:
    case ManifestKind::kPersistentVolume:
    case ManifestKind::kStorageClass:
    case ManifestKind::kCSINode:
    case ManifestKind::kCSIDriver:
    case ManifestKind::kVolumeAttachment:
    case ManifestKind::kTopology:
    case ManifestKind::kKueueTopology:
    case ManifestKind::kQueue:
    case ManifestKind::kResourceFlavor:
    case ManifestKind::kResourceSlice:
    case ManifestKind::kDeviceClass:
    case ManifestKind::kDeviceTaintRule: return false;
    default: return true;
  }
}

}  // namespace muster
