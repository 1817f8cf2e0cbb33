// Builders of storage objects for tests.
#ifndef MUSTER_TEST_PLUGINS_VOLUME_MAKE_VOLUMES_H_
#define MUSTER_TEST_PLUGINS_VOLUME_MAKE_VOLUMES_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/model/snapshot.h"
#include "scheduler/model/volume_objects.h"
#include "test/support/make.h"

namespace muster {

inline Quantity Parsed(const char* text) { return *Quantity::Parse(text); }

// A volume of class "fast" with 1Gi, free to be bound, CSI driver "csi.x", its name as handle.
class MakePV {
 public:
  explicit MakePV(std::string name) {
    v_.name = name, v_.uid = "uid-" + name, v_.handle = std::move(name);
    v_.storage_class = "fast", v_.capacity = Parsed("1Gi"), v_.access_modes = {"ReadWriteOnce"};
    v_.phase = "Available", v_.source = PersistentVolume::Source::kCsi, v_.driver = "csi.x";
  }
  MakePV& Class(std::string name) { return v_.storage_class = std::move(name), *this; }
  MakePV& Size(const char* size) { return v_.capacity = Parsed(size), *this; }
  MakePV& Modes(std::vector<std::string> modes) { return v_.access_modes = std::move(modes), *this; }
  MakePV& Block() { return v_.volume_mode = "Block", *this; }
  MakePV& Attributes(std::string name) { return v_.attributes_class = std::move(name), *this; }
  MakePV& Phase(std::string phase) { return v_.phase = std::move(phase), *this; }
  MakePV& Deleting() { return v_.deleting = true, *this; }
  MakePV& Label(std::string key, std::string value) { return v_.labels[key] = std::move(value), *this; }
  MakePV& For(std::string claim, std::string uid = "") {
    return v_.claim_ref = ClaimReference{"default", std::move(claim), std::move(uid)}, *this;
  }
  // One more term of its node affinity.
  MakePV& On(std::vector<Requirement> expressions, std::vector<Requirement> fields = {}) {
    v_.affinity.has_required = true;
    return v_.affinity.required.push_back({std::move(expressions), std::move(fields)}), *this;
  }
  MakePV& From(PersistentVolume::Source source, std::string handle, std::string driver = "") {
    v_.source = source, v_.handle = std::move(handle), v_.driver = std::move(driver);
    return *this;
  }
  PersistentVolume Build() const { return v_; }
  ObjectPtr Ptr() const { return std::make_shared<PersistentVolume>(v_); }

 private:
  PersistentVolume v_;
};

// A claim of 1Gi of class "fast" in namespace "default", not bound.
class MakePVC {
 public:
  explicit MakePVC(std::string name) {
    c_.name = name, c_.ns = "default", c_.uid = "uid-" + name;
    c_.storage_class = "fast", c_.request = Parsed("1Gi"), c_.access_modes = {"ReadWriteOnce"};
    c_.phase = "Pending";
  }
  MakePVC& Ns(std::string ns) { return c_.ns = std::move(ns), *this; }
  MakePVC& Class(std::string name) { return c_.storage_class = std::move(name), *this; }
  MakePVC& NoClass() { return c_.storage_class.reset(), *this; }
  MakePVC& Size(const char* size) { return c_.request = Parsed(size), *this; }
  MakePVC& NoSize() { return c_.request.reset(), *this; }
  MakePVC& Modes(std::vector<std::string> modes) { return c_.access_modes = std::move(modes), *this; }
  MakePVC& Block() { return c_.volume_mode = "Block", *this; }
  MakePVC& Attributes(std::string name) { return c_.attributes_class = std::move(name), *this; }
  MakePVC& Select(std::vector<Requirement> expressions) { return c_.selector = {true, std::move(expressions)}, *this; }
  MakePVC& Bound(std::string volume) {
    c_.volume_name = std::move(volume), c_.bind_completed = true, c_.phase = "Bound";
    return *this;
  }
  MakePVC& Prebound(std::string volume) { return c_.volume_name = std::move(volume), *this; }
  MakePVC& Selected(std::string node) { return c_.selected_node = std::move(node), *this; }
  MakePVC& OwnedBy(std::string uid) { return c_.controller_uid = std::move(uid), *this; }
  MakePVC& Phase(std::string phase) { return c_.phase = std::move(phase), *this; }
  MakePVC& Deleting() { return c_.deleting = true, *this; }
  PersistentVolumeClaim Build() const { return c_; }
  ObjectPtr Ptr() const { return std::make_shared<PersistentVolumeClaim>(c_); }

 private:
  PersistentVolumeClaim c_;
};

inline StorageClass MakeClass(std::string name, std::string mode = "WaitForFirstConsumer",
                              std::string provisioner = "csi.x") {
  StorageClass c;
  c.name = std::move(name), c.binding_mode = std::move(mode), c.provisioner = std::move(provisioner);
  return c;
}

// limit < 0: the driver is there without a limit.
inline CSINode MakeCSINode(std::string name, std::vector<std::pair<std::string, int>> drivers,
                           std::string migrated = "") {
  CSINode n;
  n.name = std::move(name), n.migrated_plugins = std::move(migrated);
  for (auto& [driver, limit] : drivers) {
    n.drivers.push_back({driver, limit < 0 ? std::nullopt : std::optional<int32_t>(limit)});
  }
  return n;
}

inline CSIDriver MakeCSIDriver(std::string name, bool capacity, bool prevent = false) {
  CSIDriver d;
  d.name = std::move(name), d.storage_capacity = capacity, d.prevent_pod_scheduling_if_missing = prevent;
  return d;
}

inline VolumeAttachment MakeAttachment(std::string name, std::string attacher, std::string node, std::string volume) {
  VolumeAttachment a;
  a.name = std::move(name), a.attacher = std::move(attacher), a.node = std::move(node),
  a.volume_name = std::move(volume);
  return a;
}

inline PodVolume ClaimVolume(std::string claim) {
  PodVolume v;
  v.kind = PodVolume::Kind::kClaim, v.name = "v", v.source = std::move(claim);
  return v;
}
inline PodVolume Disk(PodVolume::Kind kind, std::string source, bool read_only = false) {
  PodVolume v;
  v.kind = kind, v.name = "v", v.source = std::move(source), v.read_only = read_only;
  return v;
}
// Of a pod named "pod" with uid "uid-pod".
inline PodVolume Ephemeral(std::string volume = "eph", std::string pod = "pod") {
  PodVolume v;
  v.kind = PodVolume::Kind::kEphemeral, v.source = pod + "-" + volume, v.name = std::move(volume);
  v.owner_uid = "uid-" + pod;
  return v;
}
// A pod with these volumes.
inline MakePod PodWith(std::vector<PodVolume> volumes, std::string name = "pod") {
  MakePod pod(std::move(name));
  for (PodVolume& v : volumes) pod.Volume(std::move(v));
  return pod;
}

// Puts objects into a snapshot: Put(snap, MakePV("a"), MakePVC("b"), MakeClass("fast")).
inline void Put(Snapshot&) {}
template <typename... Rest>
void Put(Snapshot& snap, const MakePV& v, const Rest&... rest) {
  snap.SetObject(Kind::kPersistentVolume, v.Ptr());
  Put(snap, rest...);
}
template <typename... Rest>
void Put(Snapshot& snap, const MakePVC& v, const Rest&... rest) {
  snap.SetObject(Kind::kPersistentVolumeClaim, v.Ptr());
  Put(snap, rest...);
}
inline Kind KindOf(const StorageClass&) { return Kind::kStorageClass; }
inline Kind KindOf(const CSINode&) { return Kind::kCSINode; }
inline Kind KindOf(const CSIDriver&) { return Kind::kCSIDriver; }
inline Kind KindOf(const CSIStorageCapacity&) { return Kind::kCSIStorageCapacity; }
inline Kind KindOf(const VolumeAttachment&) { return Kind::kVolumeAttachment; }
template <typename T, typename... Rest>
void Put(Snapshot& snap, const T& object, const Rest&... rest) {
  snap.SetObject(KindOf(object), std::make_shared<T>(object));
  Put(snap, rest...);
}

}  // namespace muster

#endif  // MUSTER_TEST_PLUGINS_VOLUME_MAKE_VOLUMES_H_
