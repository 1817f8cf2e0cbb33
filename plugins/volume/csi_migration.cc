#include "plugins/volume/csi_migration.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace muster {
namespace {

constexpr InTreeType kGcePd = {"kubernetes.io/gce-pd", "pd.csi.storage.gke.io", "topology.gke.io/zone"};
constexpr InTreeType kAwsEbs = {"kubernetes.io/aws-ebs", "ebs.csi.aws.com", "topology.ebs.csi.aws.com/zone"};
constexpr InTreeType kCinder = {"kubernetes.io/cinder", "cinder.csi.openstack.org",
                                "topology.cinder.csi.openstack.org/zone"};
constexpr InTreeType kAzureDisk = {"kubernetes.io/azure-disk", "disk.csi.azure.com", ""};
constexpr InTreeType kAzureFile = {"kubernetes.io/azure-file", "file.csi.azure.com", "", false};
constexpr InTreeType kVsphere = {"kubernetes.io/vsphere-volume", "csi.vsphere.vmware.com", "", false};
constexpr InTreeType kPortworx = {"kubernetes.io/portworx-volume", "pxd.portworx.com", ""};

constexpr char kZone[] = "topology.kubernetes.io/zone";
constexpr char kRegion[] = "topology.kubernetes.io/region";
constexpr char kBetaZone[] = "failure-domain.beta.kubernetes.io/zone";
constexpr char kBetaRegion[] = "failure-domain.beta.kubernetes.io/region";
constexpr char kZoneDelimiter[] = "__";
constexpr char kUnspecified[] = "UNSPECIFIED";

// "vol-1", "aws:///vol-1" and "aws://us-east-1a/vol-1" name the same disk.
absl::StatusOr<std::string> EbsVolumeId(const std::string& text) {
  constexpr std::string_view kScheme = "aws://";
  if (!text.starts_with(kScheme)) return text;
  std::string_view path = std::string_view(text).substr(kScheme.size());
  path = path.substr(0, path.find_first_of("?#"));
  const size_t slash = path.find('/');
  path = slash == std::string_view::npos ? std::string_view() : path.substr(slash);
  while (path.starts_with('/')) path.remove_prefix(1);
  while (path.ends_with('/')) path.remove_suffix(1);
  if (!path.starts_with("vol-") || path.find('/') != std::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("failed to translate Kubernetes ID to EBS Volume ID Invalid format for AWS volume (", text, ")"));
  }
  return std::string(path);
}

std::string GceDisk(std::string_view scope, std::string_view place, const std::string& name) {
  return absl::StrCat("projects/", kUnspecified, "/", AsAbsl(scope), "/", AsAbsl(place), "/disks/", name);
}

// The region that all zones are in.
absl::StatusOr<std::string> GceRegion(const std::vector<std::string>& zones) {
  std::set<std::string> regions;
  for (const std::string& zone : zones) {
    const std::vector<std::string> parts = absl::StrSplit(zone, '-');
    if (parts.size() != 3) {
      return absl::InvalidArgumentError(absl::StrCat(
          "failed to get region from zones: zone in unexpected format, expected: {locale}-{region}-{zone}, got: ",
          zone));
    }
    regions.insert(absl::StrCat(parts[0], "-", parts[1]));
  }
  if (regions.size() == 1) return *regions.begin();
  return absl::InvalidArgumentError(absl::StrCat(
      "failed to get region from zones: multiple or no regions gotten from zones, got: map[",
      absl::StrJoin(regions, " ", [](std::string* out, const std::string& r) { out->append(r + ":{}"); }), "]"));
}

absl::StatusOr<std::string> GceHandle(const PersistentVolume& volume) {
  const auto label = [&](const char* key) {
    const auto it = volume.labels.find(key);
    return it == volume.labels.end() ? std::string() : it->second;
  };
  std::string zones_label = label(kBetaZone);
  if (zones_label.empty()) zones_label = label(kZone);
  const std::vector<std::string> zones = absl::StrSplit(zones_label, kZoneDelimiter);
  if (zones.size() == 1) return GceDisk("zones", zones[0].empty() ? kUnspecified : zones[0], volume.handle);
  auto region = GceRegion(zones);
  if (!region.ok()) return region.status();
  return GceDisk("regions", *region, volume.handle);
}

absl::Status CheckAzureKind(const std::string& kind) {
  if (kind.empty() || absl::EqualsIgnoreCase(kind, "Managed")) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("kind(", kind, ") is not supported in csi migration"));
}

bool HasKey(const NodeAffinity& affinity, std::string_view key) {
  for (const NodeSelectorTerm& term : affinity.required) {
    for (const Requirement& r : term.expressions) {
      if (r.key == key) return true;
    }
  }
  return false;
}

bool HasValues(const NodeAffinity& affinity, std::string_view key) {
  for (const NodeSelectorTerm& term : affinity.required) {
    for (const Requirement& r : term.expressions) {
      if (r.key == key && !r.values.empty()) return true;
    }
  }
  return false;
}

void ReplaceKey(NodeAffinity& affinity, std::string_view from, std::string_view to) {
  for (NodeSelectorTerm& term : affinity.required) {
    for (Requirement& r : term.expressions) {
      if (r.key == from) r.key = to;
    }
  }
}

void AddZones(NodeAffinity& affinity, std::string_view key, const std::string& label) {
  std::set<std::string> zones;
  for (const absl::string_view part : absl::StrSplit(label, kZoneDelimiter)) {
    const absl::string_view zone = absl::StripAsciiWhitespace(part);
    if (!zone.empty()) zones.emplace(zone);
  }
  if (zones.empty()) return;
  affinity.has_required = true;
  if (affinity.required.empty()) affinity.required.emplace_back();
  for (NodeSelectorTerm& term : affinity.required) {
    term.expressions.push_back({std::string(key), Operator::kIn, {zones.begin(), zones.end()}, "In"});
  }
}

// Whether zones are told by the labels of old.
bool UsesBeta(const PersistentVolume& volume) {
  if (HasKey(volume.affinity, kZone)) return false;
  if (HasKey(volume.affinity, kBetaZone)) return true;
  return !volume.labels.contains(kZone) && volume.labels.contains(kBetaZone);
}

}  // namespace

const InTreeType* TypeOf(const PersistentVolume& volume) {
  using Source = PersistentVolume::Source;
  switch (volume.source) {
    case Source::kGcePd: return &kGcePd;
    case Source::kAwsEbs: return &kAwsEbs;
    case Source::kAzureDisk: return &kAzureDisk;
    case Source::kAzureFile: return &kAzureFile;
    case Source::kCinder: return &kCinder;
    case Source::kVsphere: return &kVsphere;
    case Source::kPortworx: return &kPortworx;
    case Source::kOther:
    case Source::kCsi: return nullptr;
  }
  return nullptr;
}

const InTreeType* TypeOf(const PodVolume& volume) {
  using K = PodVolume::Kind;
  switch (volume.kind) {
    case K::kGcePd: return &kGcePd;
    case K::kAwsEbs: return &kAwsEbs;
    case K::kAzureDisk: return &kAzureDisk;
    case K::kAzureFile: return &kAzureFile;
    case K::kCinder: return &kCinder;
    case K::kVsphere: return &kVsphere;
    case K::kPortworx: return &kPortworx;
    default: return nullptr;
  }
}

const InTreeType* FindInTreeType(std::string_view name) {
  for (const InTreeType* type : {&kGcePd, &kAwsEbs, &kCinder, &kAzureDisk, &kAzureFile, &kVsphere, &kPortworx}) {
    if (type->name == name) return type;
  }
  return nullptr;
}

absl::StatusOr<std::string> CsiHandle(const PersistentVolume& volume) {
  switch (volume.source) {
    case PersistentVolume::Source::kGcePd: return GceHandle(volume);
    case PersistentVolume::Source::kAwsEbs: return EbsVolumeId(volume.handle);
    case PersistentVolume::Source::kAzureDisk:
      if (absl::Status status = CheckAzureKind(volume.azure_kind); !status.ok()) return status;
      return volume.handle;
    default: return volume.handle;
  }
}

absl::StatusOr<std::string> CsiHandle(const PodVolume& volume) {
  switch (volume.kind) {
    case PodVolume::Kind::kGcePd: return GceDisk("zones", kUnspecified, volume.source);
    case PodVolume::Kind::kAwsEbs: return EbsVolumeId(volume.source);
    case PodVolume::Kind::kAzureDisk:
      if (absl::Status status = CheckAzureKind(volume.pool); !status.ok()) return status;
      return volume.source;
    default: return volume.source;
  }
}

NodeAffinity CsiAffinity(const PersistentVolume& volume) {
  NodeAffinity affinity = volume.affinity;
  const InTreeType* type = TypeOf(volume);
  if (type == nullptr || type->topology_key.empty()) return affinity;
  const bool beta = UsesBeta(volume);
  const char* zone = beta ? kBetaZone : kZone;
  if (HasValues(affinity, zone)) {
    ReplaceKey(affinity, zone, type->topology_key);
  } else if (const auto it = volume.labels.find(zone); it != volume.labels.end()) {
    AddZones(affinity, type->topology_key, it->second);
  }
  if (beta && HasValues(affinity, kBetaRegion)) ReplaceKey(affinity, kBetaRegion, kRegion);
  return affinity;
}

}  // namespace muster
