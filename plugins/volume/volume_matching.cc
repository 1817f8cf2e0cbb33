#include "plugins/volume/volume_matching.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "plugins/node/node_selector.h"
#include "plugins/volume/csi_migration.h"
#include "plugins/volume/pod_claims.h"

namespace muster {
namespace {

constexpr char kNoProvisioner[] = "kubernetes.io/no-provisioner";

const StorageClass* FindClass(const ClusterObjects& objects, const std::string& name) {
  return objects.Get<StorageClass>(Kind::kStorageClass, "", name);
}

Quantity RequestOf(const PersistentVolumeClaim& claim) { return claim.request.value_or(Quantity()); }

bool Names(const ClaimReference& ref, const PersistentVolumeClaim& claim) {
  return ref.name == claim.name && ref.ns == claim.ns && (ref.uid.empty() || ref.uid == claim.uid);
}

// What a volume must have to serve the claim, wherever the pod runs.
bool Serves(const PersistentVolume& volume, const PersistentVolumeClaim& claim) {
  return !(volume.capacity < RequestOf(claim)) && volume.volume_mode == claim.volume_mode &&
         volume.attributes_class == claim.attributes_class && !volume.deleting;
}

bool AllowsModes(const PersistentVolume& volume, const PersistentVolumeClaim& claim) {
  const std::vector<std::string>& has = volume.access_modes;
  return std::all_of(claim.access_modes.begin(), claim.access_modes.end(),
                     [&](const std::string& mode) { return std::find(has.begin(), has.end(), mode) != has.end(); });
}

// Whether the node takes volumes of the type for their CSI driver's.
bool Migrated(const InTreeType* type, const CSINode* csi) {
  if (type == nullptr || !type->on || csi == nullptr) return false;
  const std::vector<absl::string_view> names = absl::StrSplit(csi->migrated_plugins, ',');
  return std::find(names.begin(), names.end(), AsAbsl(type->name)) != names.end();
}

// A volume's affinity is matched with labels alone: a term's fields count as met. Terms that cannot be
// interpreted match nothing. nullopt: every node.
std::optional<std::vector<NodeSelectorTerm>> LabelTerms(const NodeAffinity& affinity) {
  if (!affinity.has_required) return std::nullopt;
  std::vector<NodeSelectorTerm> terms;
  for (const NodeSelectorTerm& term : affinity.required) {
    if (!TermErrors(term, "").empty()) continue;
    if (term.expressions.empty() && !term.fields.empty()) return std::nullopt;
    terms.push_back({term.expressions, {}});
  }
  return terms;
}

// As a node selector's term.
std::vector<NodeSelectorTerm> TermsOf(const std::vector<StorageClass::TopologyTerm>& topologies) {
  std::vector<NodeSelectorTerm> terms;
  for (const StorageClass::TopologyTerm& topology : topologies) {
    NodeSelectorTerm& term = terms.emplace_back();
    for (const auto& r : topology) term.expressions.push_back({r.key, Operator::kIn, r.values, "In"});
  }
  return terms;
}

}  // namespace

absl::StatusOr<PodClaims> ClaimsOf(const PodSpec& pod, const ClusterObjects& objects) {
  PodClaims out;
  for (const PodVolume& v : pod.volumes) {
    if (!UsesClaim(v)) continue;
    const PersistentVolumeClaim& claim = *FindClaim(objects, pod.ns, v.source);
    if (claim.FullyBound()) {
      out.bound.push_back(&claim);
      continue;
    }
    const std::string class_name = claim.Class();
    const StorageClass* storage_class = class_name.empty() ? nullptr : FindClass(objects, class_name);
    if (storage_class != nullptr && storage_class->binding_mode.empty()) {
      return absl::InternalError(absl::StrCat("VolumeBindingMode not set for StorageClass \"", class_name, "\""));
    }
    const bool delayed =
        storage_class != nullptr && storage_class->binding_mode == "WaitForFirstConsumer" && claim.volume_name.empty();
    (delayed ? out.delayed : out.immediate).push_back(&claim);
  }
  return out;
}

VolumeMatcher::VolumeMatcher(const Snapshot& snap, const PodClaims& claims) : snap_(snap) {
  for (const PersistentVolumeClaim* claim : claims.bound) AddBound(*claim);
  std::vector<const PersistentVolumeClaim*> unselected;
  for (const PersistentVolumeClaim* claim : claims.delayed) {
    (claim->selected_node ? selected_ : unselected).push_back(claim);
    AddProvisioner(*claim);
  }
  std::stable_sort(unselected.begin(), unselected.end(),
                   [](const auto* a, const auto* b) { return RequestOf(*a) < RequestOf(*b); });
  for (const PersistentVolumeClaim* claim : unselected) AddWanted(*claim);
  matches_ = Matches();
}

bool VolumeReaches(const Object& object, const Node& node, const ClusterObjects& objects) {
  const auto& volume = static_cast<const PersistentVolume&>(object);
  const bool migrated = Migrated(TypeOf(volume), objects.Get<CSINode>(Kind::kCSINode, "", node.name));
  if (migrated && !CsiHandle(volume).ok()) return false;
  const auto terms = LabelTerms(migrated ? CsiAffinity(volume) : volume.affinity);
  return !terms || MatchesAny(*terms, node);
}

VolumeMatcher::Reach VolumeMatcher::ReachOf(const NodeAffinity& affinity) const {
  const auto terms = LabelTerms(affinity);
  return terms ? std::make_shared<NodeSet>(MatchingAny(*terms, snap_)) : nullptr;
}

VolumeMatcher::Reach VolumeMatcher::ReachOf(const PersistentVolume& volume) {
  const auto [it, fresh] = reach_of_volume_.try_emplace(&volume);
  if (fresh) it->second = ReachOf(volume.affinity);
  return it->second;
}

void VolumeMatcher::AddBound(const PersistentVolumeClaim& claim) {
  Bound& bound = bound_.emplace_back();
  bound.volume = snap_.objects().Get<PersistentVolume>(Kind::kPersistentVolume, "", claim.volume_name);
  if (bound.volume == nullptr) return;
  bound.reach = ReachOf(*bound.volume);
  const InTreeType* type = TypeOf(*bound.volume);
  if (type == nullptr || !type->on) return;
  // Nodes that take it for a CSI driver's see its affinity in the driver's terms.
  const auto handle = CsiHandle(*bound.volume);
  const Reach translated = ReachOf(CsiAffinity(*bound.volume));
  auto reach = std::make_shared<NodeSet>(snap_.size());
  NodeSet migrated(snap_.size());
  const std::string* last = nullptr;  // many nodes say the same
  bool last_migrated = false;
  for (NodeIndex n = 0; n < snap_.size(); ++n) {
    const CSINode* csi = snap_.volumes().csi_node(n);
    if (csi != nullptr && (last == nullptr || csi->migrated_plugins != *last)) {
      last = &csi->migrated_plugins;
      last_migrated = Migrated(type, csi);
    }
    if (csi != nullptr && last_migrated) migrated.Add(n);
  }
  for (size_t w = 0; w < reach->words(); ++w) {
    const uint64_t here = migrated.word(w);
    reach->word(w) = (Word(translated, w) & here) | (Word(bound.reach, w) & ~here);
  }
  bound.reach = std::move(reach);
  if (handle.ok() || !migrated.Any()) return;
  bound.error = absl::InternalError(absl::StrCat("could not translate pv: ", handle.status().message()));
  bound.broken = std::move(migrated);
}

void VolumeMatcher::AddWanted(const PersistentVolumeClaim& claim) {
  Wanted& wanted = wanted_.emplace_back();
  wanted.claim = &claim;
  const std::string class_name = claim.Class();
  for (const auto& [key, object] : snap_.objects().All(Kind::kPersistentVolume)) {
    const auto& volume = static_cast<const PersistentVolume&>(*object);
    if (volume.Class() != class_name || !Serves(volume, claim)) continue;
    if (volume.claim_ref) {
      if (Names(*volume.claim_ref, claim)) wanted.prebound.push_back({&volume, ReachOf(volume)});
      continue;
    }
    if (volume.phase != "Available" || !AllowsModes(volume, claim)) continue;
    if (claim.selector.present && !claim.selector.Matches(volume.labels)) continue;
    wanted.free.push_back({&volume, ReachOf(volume)});
  }
  std::stable_sort(wanted.free.begin(), wanted.free.end(),
                   [](const Candidate& a, const Candidate& b) { return a.volume->capacity < b.volume->capacity; });
}

void VolumeMatcher::AddProvisioner(const PersistentVolumeClaim& claim) {
  Provisioner& p = provisioners_[&claim];
  const ClusterObjects& objects = snap_.objects();
  const StorageClass& storage_class = *FindClass(objects, claim.Class());  // it made the claim a delayed one
  p.able = !storage_class.provisioner.empty() && storage_class.provisioner != kNoProvisioner;
  if (!storage_class.allowed_topologies.empty()) {
    p.reach = std::make_shared<NodeSet>(MatchingAny(TermsOf(storage_class.allowed_topologies), snap_));
  }
  const auto* driver = objects.Get<CSIDriver>(Kind::kCSIDriver, "", storage_class.provisioner);
  if (!claim.request || driver == nullptr || !driver->storage_capacity) return;
  p.tracked = true;
  for (const auto& [key, object] : objects.All(Kind::kCSIStorageCapacity)) {
    const auto& capacity = static_cast<const CSIStorageCapacity&>(*object);
    if (capacity.storage_class != storage_class.name || !capacity.node_topology.present) continue;
    if (!capacity.Limit() || capacity.Limit()->Value() < claim.request->Value()) continue;
    Reach reach;
    if (!capacity.node_topology.empty()) {
      reach = std::make_shared<NodeSet>(Matching({capacity.node_topology.requirements, {}}, snap_));
    }
    p.capacities.emplace_back(&capacity, std::move(reach));
  }
}

absl::Status VolumeMatcher::CheckBound(NodeIndex n, NodeVolumes& out) const {
  for (const Bound& bound : bound_) {
    if (bound.volume == nullptr) {
      out.volume_gone = true;
      break;
    }
    if (!bound.error.ok() && bound.broken.Has(n)) return bound.error;
    if (!Reaches(bound.reach, n)) {
      out.bound_elsewhere = true;
      break;
    }
  }
  return absl::OkStatus();
}

// Volumes chosen for claims before this one are taken.
const PersistentVolume* VolumeMatcher::Match(const Wanted& wanted, NodeIndex n, const NodeVolumes& taken) {
  const auto is_taken = [&](const PersistentVolume* volume) {
    return std::any_of(taken.bindings.begin(), taken.bindings.end(),
                       [&](const NodeVolumes::Binding& b) { return b.volume == volume; });
  };
  for (const Candidate& c : wanted.prebound) {
    if (!is_taken(c.volume)) return Reaches(c.reach, n) ? c.volume : nullptr;
  }
  for (const Candidate& c : wanted.free) {
    if (Reaches(c.reach, n) && !is_taken(c.volume)) return c.volume;
  }
  return nullptr;
}

void VolumeMatcher::Provide(const std::vector<const PersistentVolumeClaim*>& claims, NodeIndex n,
                            NodeVolumes& out) const {
  for (const PersistentVolumeClaim* claim : claims) {
    const Provisioner& p = provisioners_.find(claim)->second;
    NodeVolumes::Provision provision{claim, nullptr};
    if (!p.able || !Reaches(p.reach, n)) {
      out.no_match = true;
    } else if (p.tracked) {
      const auto it =
          std::find_if(p.capacities.begin(), p.capacities.end(), [&](const auto& c) { return Reaches(c.second, n); });
      out.no_space = it == p.capacities.end();
      if (!out.no_space) provision.capacity = it->first;
    }
    if (out.no_match || out.no_space) {
      out.provisions.clear();
      return;
    }
    out.provisions.push_back(provision);
  }
}

absl::StatusOr<NodeVolumes> VolumeMatcher::On(NodeIndex n) const {
  NodeVolumes out;
  if (absl::Status status = CheckBound(n, out); !status.ok()) return status;
  for (const PersistentVolumeClaim* claim : selected_) {
    if (*claim->selected_node == snap_.NodeName(n)) continue;
    out.no_match = true;
    return out;
  }
  std::vector<const PersistentVolumeClaim*> to_provide = selected_;
  for (const Wanted& wanted : wanted_) {
    if (const PersistentVolume* volume = Match(wanted, n, out)) {
      out.bindings.push_back({volume, wanted.claim});
    } else {
      to_provide.push_back(wanted.claim);
    }
  }
  Provide(to_provide, n, out);
  return out;
}

bool VolumeMatcher::Matches() const {
  return std::any_of(wanted_.begin(), wanted_.end(),
                     [](const Wanted& w) { return !w.prebound.empty() || !w.free.empty(); });
}

bool VolumeMatcher::counts_space() const {
  return Matches() || std::any_of(provisioners_.begin(), provisioners_.end(),
                                  [](const auto& entry) { return entry.second.tracked; });
}

absl::StatusOr<VolumeMatcher::Verdicts> VolumeMatcher::OnWord(size_t w, uint64_t asked) const {
  Verdicts out;
  if (matches_) {
    absl::Status status;
    NodeSet::ForEachBit(asked, w, [&](NodeIndex n) {
      if (!status.ok()) return;
      const auto volumes = On(n);
      if (!volumes.ok()) {
        status = volumes.status();
        return;
      }
      const uint64_t bit = uint64_t{1} << (n % kWordBits);
      if (volumes->bound_elsewhere) out.bound_elsewhere |= bit;
      if (volumes->no_match) out.no_match |= bit;
      if (volumes->no_space) out.no_space |= bit;
      if (volumes->volume_gone) out.volume_gone |= bit;
    });
    if (!status.ok()) return status;
    return out;
  }
  // Without volumes to choose from, each step is a set: a node's first failure among its claims counts.
  uint64_t left = asked;
  for (const Bound& bound : bound_) {
    if (bound.volume == nullptr) {
      out.volume_gone |= left;
      break;
    }
    if (!bound.error.ok() && (left & bound.broken.word(w)) != 0) return bound.error;
    out.bound_elsewhere |= left & ~Word(bound.reach, w);
    left &= Word(bound.reach, w);
  }
  left = asked;
  for (const PersistentVolumeClaim* claim : selected_) {
    const NodeIndex node = snap_.Find(*claim->selected_node);
    const bool here = node != kNoNode && node / kWordBits == w;
    left &= here ? uint64_t{1} << (node % kWordBits) : 0;
  }
  out.no_match |= asked & ~left;
  const auto provide = [&](const PersistentVolumeClaim* claim) {
    const Provisioner& p = provisioners_.find(claim)->second;
    const uint64_t able = p.able ? Word(p.reach, w) : 0;
    out.no_match |= left & ~able;
    left &= able;
    if (!p.tracked) return;
    uint64_t space = 0;
    for (const auto& [capacity, reach] : p.capacities) space |= Word(reach, w);
    out.no_space |= left & ~space;
    left &= space;
  };
  for (const PersistentVolumeClaim* claim : selected_) provide(claim);
  for (const Wanted& wanted : wanted_) provide(wanted.claim);
  return out;
}

}  // namespace muster
