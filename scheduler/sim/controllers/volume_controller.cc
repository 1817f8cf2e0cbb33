#include "scheduler/sim/controllers/volume_controller.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace muster {
namespace {

bool Names(const PersistentVolume& volume, const PersistentVolumeClaim& claim) {
  return volume.claim_ref && volume.claim_ref->ns == claim.ns && volume.claim_ref->name == claim.name &&
         (volume.claim_ref->uid.empty() || volume.claim_ref->uid == claim.uid);
}

bool Serves(const PersistentVolume& volume, const PersistentVolumeClaim& claim) {
  return !volume.claim_ref && volume.phase == "Available" && !volume.deleting && volume.Class() == claim.Class() &&
         volume.volume_mode == claim.volume_mode && volume.attributes_class == claim.attributes_class &&
         !(volume.capacity < claim.request.value_or(Quantity())) &&
         (!claim.selector.present || claim.selector.Matches(volume.labels)) &&
         std::all_of(claim.access_modes.begin(), claim.access_modes.end(), [&](const std::string& mode) {
           return std::find(volume.access_modes.begin(), volume.access_modes.end(), mode) != volume.access_modes.end();
         });
}

bool Provisions(const StorageClass& storage_class) {
  return !storage_class.provisioner.empty() && storage_class.provisioner != "kubernetes.io/no-provisioner";
}

}  // namespace

VolumeController::VolumeController(EventLoop& loop, SimApiServer& server, Options options)
    : loop_(loop), server_(server), options_(options) {
  server_.AddObserver(this);
}
VolumeController::VolumeController(EventLoop& loop, SimApiServer& server) : VolumeController(loop, server, Options()) {}
VolumeController::~VolumeController() { server_.RemoveObserver(this); }

void VolumeController::OnObject(Kind kind, const ObjectPtr&, const ObjectPtr& after) {
  if (after == nullptr) return;
  if (kind == Kind::kPersistentVolumeClaim) {
    const auto& claim = static_cast<const PersistentVolumeClaim&>(*after);
    if (!claim.FullyBound()) Look(claim.selected_node ? options_.provision : options_.bind, claim.ns, claim.name);
  } else if (kind == Kind::kPersistentVolume) {
    const auto& volume = static_cast<const PersistentVolume&>(*after);
    if (volume.claim_ref) return Look(options_.bind, volume.claim_ref->ns, volume.claim_ref->name);
    if (volume.phase.empty() || volume.phase == "Pending") {
      Look(options_.bind, "", volume.name);  // to become available
      return;
    }
    for (const auto& [key, object] : server_.objects().All(Kind::kPersistentVolumeClaim)) {
      const auto& claim = static_cast<const PersistentVolumeClaim&>(*object);
      if (!claim.FullyBound() && Serves(volume, claim)) Look(options_.bind, claim.ns, claim.name);
    }
  }
}

void VolumeController::Look(Duration delay, const std::string& ns, const std::string& name) {
  ++under_way_;
  loop_.After(delay, [this, ns, name] {
    --under_way_;
    Sync(ns, name);
  });
}

void VolumeController::Sync(const std::string& ns, const std::string& name) {
  const ClusterObjects& objects = server_.objects();
  if (ns.empty()) {
    const auto* found = objects.Get<PersistentVolume>(Kind::kPersistentVolume, "", name);
    if (found == nullptr || found->claim_ref || (!found->phase.empty() && found->phase != "Pending")) return;
    PersistentVolume volume = *found;
    volume.phase = "Available";
    server_.SetObject(Kind::kPersistentVolume, volume);
    return;
  }
  const auto* found = objects.Get<PersistentVolumeClaim>(Kind::kPersistentVolumeClaim, ns, name);
  if (found == nullptr || found->FullyBound() || found->deleting) return;
  const PersistentVolumeClaim claim = *found;  // writes replace what the server holds
  const auto* storage_class = objects.Get<StorageClass>(Kind::kStorageClass, "", claim.Class());
  const bool waits = storage_class != nullptr && storage_class->binding_mode == "WaitForFirstConsumer";
  const PersistentVolume* best = nullptr;
  for (const auto& [key, object] : objects.All(Kind::kPersistentVolume)) {
    const auto& volume = static_cast<const PersistentVolume&>(*object);
    const bool named = Names(volume, claim) || volume.name == claim.volume_name;
    if (named) return Bind(claim, PersistentVolume(volume));
    if (waits || !claim.volume_name.empty() || !Serves(volume, claim)) continue;
    if (best == nullptr || volume.capacity < best->capacity) best = &volume;
  }
  if (best != nullptr) return Bind(claim, PersistentVolume(*best));
  if (storage_class == nullptr || !Provisions(*storage_class) || !claim.volume_name.empty()) return;
  if (!waits || claim.selected_node) Provision(claim, StorageClass(*storage_class));
}

void VolumeController::Bind(const PersistentVolumeClaim& claim, const PersistentVolume& volume) {
  if (volume.claim_ref && !Names(volume, claim)) return;
  PersistentVolume bound_volume = volume;
  bound_volume.claim_ref = ClaimReference{claim.ns, claim.name, claim.uid};
  bound_volume.phase = "Bound";
  PersistentVolumeClaim bound_claim = claim;
  bound_claim.volume_name = volume.name;
  bound_claim.bind_completed = true;
  bound_claim.phase = "Bound";
  // The claim first: the volume's change then finds it bound.
  server_.SetObject(Kind::kPersistentVolumeClaim, bound_claim);
  server_.SetObject(Kind::kPersistentVolume, bound_volume);
}

void VolumeController::Provision(const PersistentVolumeClaim& claim, const StorageClass& storage_class) {
  PersistentVolume volume;
  volume.name = absl::StrCat("pvc-", claim.uid);
  volume.capacity = claim.request.value_or(Quantity());
  volume.access_modes = claim.access_modes;
  volume.volume_mode = claim.volume_mode;
  volume.storage_class = claim.Class();
  volume.attributes_class = claim.attributes_class;
  volume.source = PersistentVolume::Source::kCsi;
  volume.driver = storage_class.provisioner;
  volume.handle = volume.name;
  // Where the class confines its volumes, they are reachable from there.
  if (!storage_class.allowed_topologies.empty()) {
    volume.affinity.has_required = true;
    for (const StorageClass::TopologyTerm& term : storage_class.allowed_topologies) {
      NodeSelectorTerm& out = volume.affinity.required.emplace_back();
      for (const auto& r : term) out.expressions.push_back({r.key, Operator::kIn, r.values, "In"});
    }
  }
  Bind(claim, volume);
}

}  // namespace muster
