#include "plugins/volume/volume_zone.h"

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "plugins/volume/pod_claims.h"

namespace muster {
namespace {

constexpr Reason kReason{"node(s) had no available volume zone"};
constexpr char kWaitForFirstConsumer[] = "WaitForFirstConsumer";

struct Label {
  std::string_view key;
  std::string_view today;  // what the label is called today
};
constexpr std::array<Label, 4> kLabels = {{
    {"failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"},
    {"failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"},
    {"topology.kubernetes.io/zone", "topology.kubernetes.io/zone"},
    {"topology.kubernetes.io/region", "topology.kubernetes.io/region"},
}};

struct Topology {
  const Label* label;
  std::set<std::string> values;
  friend bool operator==(const Topology&, const Topology&) = default;
};

// A label's zones, "a__b"; a list with a hole in it counts for nothing.
std::set<std::string> ZonesOf(const std::string& text) {
  std::set<std::string> zones;
  for (const absl::string_view part : absl::StrSplit(text, "__")) {
    const absl::string_view zone = absl::StripAsciiWhitespace(part);
    if (zone.empty()) return {};
    zones.emplace(zone);
  }
  return zones;
}

void AddTopologies(const PersistentVolume& volume, std::vector<Topology>& out) {
  for (const Label& label : kLabels) {
    const auto it = volume.labels.find(AsAbsl(label.key));
    if (it == volume.labels.end()) continue;
    if (std::set<std::string> zones = ZonesOf(it->second); !zones.empty()) out.push_back({&label, std::move(zones)});
  }
}

// A key's value per row as an index: 0 where the node lacks it, else 1 + place among the key's values.
class Column {
 public:
  Column(const Snapshot& snap, std::string_view key) : label_(snap.FindLabel(key)) {}
  uint32_t At(NodeIndex n) const { return label_ == nullptr ? 0 : label_->column[n]; }
  std::vector<bool> Among(const std::set<std::string>& values) const {
    std::vector<bool> among(label_ == nullptr ? 1 : label_->domains());
    for (const std::string& value : values) {
      const uint32_t id = label_ == nullptr ? Interner::kNone : label_->values.Find(value);
      if (id != Interner::kNone) among[1 + id] = true;
    }
    return among;
  }

 private:
  const Snapshot::LabelKey* label_;
};

NodeSet Allowed(const std::vector<Topology>& topologies, const Snapshot& snap) {
  NodeSet zoned(snap.size());
  for (const Label& label : kLabels) {
    const Column column(snap, label.key);
    for (NodeIndex n = 0; n < snap.size(); ++n) {
      if (column.At(n) != 0) zoned.Add(n);
    }
  }
  NodeSet allowed = snap.all();
  for (const Topology& t : topologies) {
    const Column own(snap, t.label->key), today(snap, t.label->today);
    const std::vector<bool> own_fits = own.Among(t.values), today_fits = today.Among(t.values);
    zoned.ForEach([&](NodeIndex n) {
      if (own.At(n) != 0 ? !own_fits[own.At(n)] : !today_fits[today.At(n)]) allowed.Remove(n);
    });
  }
  return allowed;
}

// The topologies of the pod's bound volumes, or why it fits nowhere.
Outcome TopologiesOf(const PodSpec& pod, const Snapshot& snap, std::vector<Topology>& out) {
  const ClusterObjects& objects = snap.objects();
  for (const PodVolume& v : pod.volumes) {
    if (v.kind != PodVolume::Kind::kClaim) continue;
    if (v.source.empty()) return Outcome::Unresolvable("PersistentVolumeClaim had no name");
    const PersistentVolumeClaim* claim = FindClaim(objects, pod.ns, v.source);
    if (claim == nullptr) return Outcome::Unresolvable(ClaimNotFound(v.source));
    if (claim->volume_name.empty()) {
      const std::string class_name = claim->Class();
      if (class_name.empty()) {
        return Outcome::Unresolvable("PersistentVolumeClaim had no pv name and storageClass name");
      }
      const auto* storage_class = objects.Get<StorageClass>(Kind::kStorageClass, "", class_name);
      if (storage_class == nullptr) return Outcome::Unresolvable(ClassNotFound(class_name));
      if (storage_class->binding_mode.empty()) {
        return Outcome::Unresolvable(absl::StrCat("VolumeBindingMode not set for StorageClass \"", class_name, "\""));
      }
      if (storage_class->binding_mode == kWaitForFirstConsumer) continue;
      return Outcome::Unresolvable("PersistentVolume had no name");
    }
    const auto* volume = objects.Get<PersistentVolume>(Kind::kPersistentVolume, "", claim->volume_name);
    if (volume == nullptr) return Outcome::Unresolvable(VolumeNotFound(claim->volume_name));
    AddTopologies(*volume, out);
  }
  return Outcome::Success();
}

struct State final : PluginState {
  NodeSet allowed;
};

}  // namespace

bool VolumeZone::MayHelp(const Pod& pod, const ClusterEvent& event) const {
  if ((event.what & kStorageClassAdded) != 0) {
    const auto* added = static_cast<const StorageClass*>(event.new_object);
    return added != nullptr && added->binding_mode == kWaitForFirstConsumer;
  }
  if ((event.what & (kClaimAdded | kClaimUpdated)) != 0) {
    return NamesClaim(*pod.spec, event.new_object, /*ephemeral=*/false);
  }
  if ((event.what & kVolumeUpdated) != 0 && event.old_object != nullptr && event.new_object != nullptr) {
    std::vector<Topology> before, after;
    AddTopologies(static_cast<const PersistentVolume&>(*event.old_object), before);
    AddTopologies(static_cast<const PersistentVolume&>(*event.new_object), after);
    return before != after;
  }
  return true;
}

absl::StatusOr<Outcome> VolumeZone::PreFilter(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                              NodeSet&) const {
  std::vector<Topology> topologies;
  if (Outcome outcome = TopologiesOf(*pod.spec, snap, topologies); !outcome.ok()) return outcome;
  if (topologies.empty()) return Outcome::Skip();
  State made;
  made.allowed = Allowed(topologies, snap);
  state.Emplace(slot(), std::move(made));
  return Outcome::Success();
}

absl::Status VolumeZone::Filter(const PodInfo& pod, const Snapshot& snap, const CycleState& state,
                                Feasible& nodes) const {
  if (state.Has(slot())) {
    nodes.RetainOnly(state.Get<State>(slot()).allowed, kReason);
    return absl::OkStatus();
  }
  // Only for a profile without this PreFilter.
  std::vector<Topology> topologies;
  if (const Outcome outcome = TopologiesOf(*pod.spec, snap, topologies); !outcome.ok()) {
    nodes.RejectAll(snap.all(), {outcome.reasons[0], false});
  } else {
    nodes.RetainOnly(Allowed(topologies, snap), kReason);
  }
  return absl::OkStatus();
}

}  // namespace muster
