#include "plugins/volume/node_volume_limits.h"

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "plugins/volume/csi_migration.h"
#include "plugins/volume/pod_claims.h"

namespace muster {
namespace {

constexpr Reason kTooMany{"node(s) exceed max volume count", /*preemption_may_help=*/true};

using Volumes = std::map<std::string, std::string>;  // "<driver>/<handle>" -> driver

struct CsiVolume {
  std::string driver, handle;
};

// Which volume a class will provide is not known yet: it counts under the claim's own name.
std::optional<CsiVolume> VolumeOfClass(const PersistentVolumeClaim& claim, bool has_csi_node,
                                       const ClusterObjects& objects) {
  const std::string class_name = claim.Class();
  if (class_name.empty()) return std::nullopt;
  const auto* storage_class = objects.Get<StorageClass>(Kind::kStorageClass, "", class_name);
  if (storage_class == nullptr) return std::nullopt;
  std::string handle = absl::StrCat("\n", claim.ns, "/", claim.name);  // no volume's handle has a line break
  if (const InTreeType* type = FindInTreeType(storage_class->provisioner)) {
    if (!has_csi_node || !type->on) return std::nullopt;
    return CsiVolume{std::string(type->driver), std::move(handle)};
  }
  return CsiVolume{storage_class->provisioner, std::move(handle)};
}

std::optional<CsiVolume> VolumeOf(const PersistentVolumeClaim& claim, bool has_csi_node,
                                  const ClusterObjects& objects) {
  const PersistentVolume* volume = claim.volume_name.empty()
                                       ? nullptr
                                       : objects.Get<PersistentVolume>(Kind::kPersistentVolume, "", claim.volume_name);
  if (volume == nullptr) return VolumeOfClass(claim, has_csi_node, objects);
  if (volume->source == PersistentVolume::Source::kCsi) return CsiVolume{volume->driver, volume->handle};
  const InTreeType* type = TypeOf(*volume);
  if (type == nullptr || !has_csi_node || !type->on) return std::nullopt;
  auto handle = CsiHandle(*volume);
  if (!handle.ok()) return std::nullopt;
  return CsiVolume{std::string(type->driver), *std::move(handle)};
}

// The volumes that a pod attaches where there is a CSINode, or where there is none.
struct Attached {
  Volumes volumes;
  std::string missing;  // a claim that does not exist: the sentence about it; only for the new pod
  absl::Status error;
};

void Attach(const PodSpec& pod, bool is_new, bool has_csi_node, const ClusterObjects& objects, Attached& out) {
  const auto add = [&](std::string_view driver, const std::string& handle) {
    out.volumes.emplace(absl::StrCat(AsAbsl(driver), "/", handle), driver);
  };
  for (const PodVolume& v : pod.volumes) {
    if (!UsesClaim(v)) {
      const InTreeType* type = TypeOf(v);
      if (type == nullptr || !type->on || !has_csi_node) continue;
      auto handle = CsiHandle(v);
      if (!handle.ok()) {
        out.error = absl::InternalError(
            absl::StrCat("converting volume(", v.name, ") from inline to csi: ", handle.status().message()));
        return;
      }
      add(type->driver, *handle);
      continue;
    }
    if (v.source.empty()) {
      out.error = absl::InternalError("PersistentVolumeClaim had no name");
      return;
    }
    const PersistentVolumeClaim* claim = FindClaim(objects, pod.ns, v.source);
    if (claim == nullptr) {
      if (!is_new) continue;
      out.missing = absl::StrCat("looking up PVC ", pod.ns, "/", v.source, ": ", ClaimNotFound(v.source));
      return;
    }
    if (v.kind == PodVolume::Kind::kEphemeral) {
      if (std::string why = NotOwned(pod, v, *claim); !why.empty()) {
        out.error = absl::InternalError(why);
        return;
      }
    }
    const auto volume = VolumeOf(*claim, has_csi_node, objects);
    if (volume && !volume->driver.empty() && !volume->handle.empty()) add(volume->driver, volume->handle);
  }
}

// A driver that the pod's volumes need.
struct Driver {
  std::string name;
  int count = 0;          // volumes of the pod
  std::string not_there;  // the sentence for nodes without it; "" where the driver does not ask for that
};

struct NewVolumes {
  Attached attached;
  std::vector<Driver> drivers;  // by name
};

struct State final : PluginState {
  NewVolumes with_csi_node, without;
  bool plain = false;  // nothing but the limits can keep the pod off a node
};

NewVolumes MakeNewVolumes(const PodSpec& pod, bool has_csi_node, const ClusterObjects& objects) {
  NewVolumes out;
  Attach(pod, /*is_new=*/true, has_csi_node, objects, out.attached);
  std::map<std::string, int> counts;
  for (const auto& [id, driver] : out.attached.volumes) ++counts[driver];
  for (const auto& [name, count] : counts) {
    const auto* driver = objects.Get<CSIDriver>(Kind::kCSIDriver, "", name);
    const bool asks = driver != nullptr && driver->prevent_pod_scheduling_if_missing;
    out.drivers.push_back(
        {name, count, asks ? absl::StrCat(name, " CSI driver is not installed on the node") : std::string()});
  }
  return out;
}

State MakeState(const PodSpec& pod, const Snapshot& snap) {
  const ClusterObjects& objects = snap.objects();
  State out;
  out.with_csi_node = MakeNewVolumes(pod, true, objects);
  out.without = MakeNewVolumes(pod, false, objects);
  const auto plain = [](const NewVolumes& v) {
    return v.attached.missing.empty() && v.attached.error.ok() &&
           std::all_of(v.drivers.begin(), v.drivers.end(), [](const Driver& d) { return d.not_there.empty(); });
  };
  out.plain = plain(out.with_csi_node) && plain(out.without);
  return out;
}

// Rows of a word that have room even if every volume there were of each driver, and no two the same.
// Most nodes are far from full: their pods' claims need not be looked up.
uint64_t SurelyRoom(const State& state, const Snapshot& snap, size_t word) {
  if (!state.plain) return 0;
  const size_t begin = word * kWordBits;
  const int64_t* claims = snap.ClaimVolumes() + begin;
  const int64_t* attached = snap.volumes().attachment_counts() + begin;
  uint8_t room[kWordBits];
  // Where a volume is not a claim, it may be an error.
  for (size_t i = 0; i < kWordBits; ++i) room[i] = claims[i] < Snapshot::kUncountable;
  for (const Driver& driver : state.with_csi_node.drivers) {
    const int64_t* limits = snap.volumes().Limits(driver.name);
    if (limits == nullptr) continue;
    limits += begin;
    for (size_t i = 0; i < kWordBits; ++i) room[i] &= claims[i] + attached[i] + driver.count <= limits[i];
  }
  uint64_t bits = 0;
  for (size_t i = 0; i < kWordBits; ++i) bits |= uint64_t{room[i]} << i;
  return bits;
}

// Volumes that the node has attached, whether or not a pod that is known uses them.
Volumes AttachedTo(std::span<const VolumeAttachment* const> attachments, const ClusterObjects& objects) {
  Volumes out;
  for (const VolumeAttachment* a : attachments) {
    if (a->attacher.empty() || !a->volume_name) continue;
    const auto* volume = objects.Get<PersistentVolume>(Kind::kPersistentVolume, "", *a->volume_name);
    if (volume == nullptr || volume->source != PersistentVolume::Source::kCsi) continue;
    out.emplace(absl::StrCat(a->attacher, "/", volume->handle), a->attacher);
  }
  return out;
}

class NodeCheck {
 public:
  NodeCheck(const Snapshot& snap, const State& state) : snap_(snap), state_(state) {}

  // Null where the node can take the pod's volumes. The reason holds until the next call.
  absl::StatusOr<const Reason*> Check(NodeIndex n) {
    const CSINode* csi = snap_.volumes().csi_node(n);
    const NewVolumes& wanted = csi != nullptr ? state_.with_csi_node : state_.without;
    if (!wanted.attached.missing.empty()) return Say(wanted.attached.missing, false);
    if (!wanted.attached.error.ok()) return wanted.attached.error;
    if (wanted.drivers.empty()) return nullptr;
    for (const Driver& driver : wanted.drivers) {
      if (!driver.not_there.empty() && !Has(csi, driver.name)) return Say(driver.not_there, true);
    }
    if (csi == nullptr) return nullptr;
    limits_.clear();
    for (const CSINode::Driver& d : csi->drivers) {
      if (d.count) limits_[d.name] = *d.count;
    }
    if (limits_.empty()) return nullptr;
    return Count(n, wanted);
  }

 private:
  const Reason* Say(const std::string& text, bool preemption_may_help) {
    said_ = {text, preemption_may_help};
    return &said_;
  }

  static bool Has(const CSINode* csi, const std::string& driver) {
    return csi != nullptr && std::any_of(csi->drivers.begin(), csi->drivers.end(),
                                         [&](const CSINode::Driver& d) { return d.name == driver; });
  }

  absl::StatusOr<const Reason*> Count(NodeIndex n, const NewVolumes& wanted) const {
    Attached present;
    for (const PodOnNode& pod : snap_.PodsOn(n)) {
      if (pod.info->spec->volumes.empty()) continue;
      Attach(*pod.info->spec, /*is_new=*/false, /*has_csi_node=*/true, snap_.objects(), present);
      if (!present.error.ok()) return present.error;
    }
    std::map<std::string_view, int64_t> counts;
    for (const auto& [id, driver] : present.volumes) ++counts[driver];
    const Volumes more = AttachedTo(snap_.volumes().attachments(n), snap_.objects());
    for (const auto& [id, driver] : more) counts[driver] += !present.volumes.contains(id);
    // A volume that a pod there has already is not new; one that is only attached counts twice, as upstream.
    std::map<std::string_view, int64_t> added;
    for (const auto& [id, driver] : wanted.attached.volumes) added[driver] += !present.volumes.contains(id);
    for (const auto& [driver, count] : added) {
      const auto limit = limits_.find(driver);
      if (count > 0 && limit != limits_.end() && counts[driver] + count > limit->second) return &kTooMany;
    }
    return nullptr;
  }

  const Snapshot& snap_;
  const State& state_;
  Reason said_;
  std::map<std::string_view, int64_t> limits_;  // of the node at hand; reused
};

}  // namespace

bool NodeVolumeLimits::MayHelp(const Pod& pod, const ClusterEvent& event) const {
  const std::vector<PodVolume>& volumes = pod.spec->volumes;
  if ((event.what & kClaimAdded) != 0) return NamesClaim(*pod.spec, event.new_object, /*ephemeral=*/true);
  if ((event.what & kPodRemoved) != 0 && event.old_pod != nullptr) {
    const std::vector<PodVolume>& gone = event.old_pod->spec->volumes;
    return std::any_of(gone.begin(), gone.end(),
                       [](const PodVolume& v) { return UsesClaim(v) || TypeOf(v) != nullptr; });
  }
  if ((event.what & kVolumeAttachmentDeleted) != 0 && event.old_object != nullptr) {
    const auto& gone = static_cast<const VolumeAttachment&>(*event.old_object);
    return std::any_of(volumes.begin(), volumes.end(), [&](const PodVolume& v) {
      return v.kind == PodVolume::Kind::kClaim || (TypeOf(v) != nullptr && TypeOf(v)->driver == gone.attacher);
    });
  }
  if ((event.what & kCSINodeUpdated) != 0 && event.old_object != nullptr && event.new_object != nullptr) {
    const auto& before = static_cast<const CSINode&>(*event.old_object);
    const auto& after = static_cast<const CSINode&>(*event.new_object);
    std::map<std::string, int32_t> limits;
    for (const CSINode::Driver& d : before.drivers) limits[d.name] = d.count.value_or(0);
    return std::any_of(after.drivers.begin(), after.drivers.end(),
                       [&](const CSINode::Driver& d) { return d.count.value_or(0) > limits[d.name]; });
  }
  return true;
}

absl::StatusOr<Outcome> NodeVolumeLimits::PreFilter(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                                    NodeSet&) const {
  const std::vector<PodVolume>& volumes = pod.spec->volumes;
  const bool counts = std::any_of(volumes.begin(), volumes.end(),
                                  [](const PodVolume& v) { return UsesClaim(v) || TypeOf(v) != nullptr; });
  if (!counts) return Outcome::Skip();
  state.Emplace(slot(), MakeState(*pod.spec, snap));
  return Outcome::Success();
}

absl::Status NodeVolumeLimits::Filter(const PodInfo& pod, const Snapshot& snap, const CycleState& state,
                                      Feasible& nodes) const {
  if (pod.spec->volumes.empty()) return absl::OkStatus();
  std::optional<State> made;  // only for a profile without this PreFilter
  if (!state.Has(slot())) made = MakeState(*pod.spec, snap);
  const State& known = made ? *made : state.Get<State>(slot());
  NodeCheck check(snap, known);
  absl::Status status;
  for (size_t w = nodes.range().begin; w < nodes.range().end; ++w) {
    NodeSet::ForEachBit(nodes.Entered(w) & ~SurelyRoom(known, snap, w), w, [&](NodeIndex n) {
      if (!status.ok()) return;
      const auto reason = check.Check(n);
      if (!reason.ok()) {
        status = reason.status();
      } else if (*reason != nullptr) {
        nodes.Reject(n, **reason);
      }
    });
  }
  return status;
}

}  // namespace muster
