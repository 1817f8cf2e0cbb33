#include "scheduler/wire/objects.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "scheduler/model/ids.h"
#include "scheduler/model/volume_objects.h"
#include "scheduler/wire/decode.h"
#include "scheduler/wire/device/device_objects.h"
#include "scheduler/wire/group_objects.h"
#include "scheduler/wire/make_object.h"
#include "scheduler/wire/pod_spec.h"
#include "scheduler/wire/selector.h"

namespace muster {
namespace {

namespace core = k8s::io::api::core::v1;
namespace apps = k8s::io::api::apps::v1;
namespace policy = k8s::io::api::policy::v1;
namespace storage = k8s::io::api::storage::v1;
namespace resource = k8s::io::api::resource::v1;
using Meta = k8s::io::apimachinery::pkg::apis::meta::v1::ObjectMeta;

constexpr char kClassAnnotation[] = "volume.beta.kubernetes.io/storage-class";
constexpr char kBoundByController[] = "pv.kubernetes.io/bound-by-controller";
constexpr char kBindCompleted[] = "pv.kubernetes.io/bind-completed";
constexpr char kSelectedNode[] = "volume.kubernetes.io/selected-node";
constexpr char kMigratedPlugins[] = "storage.alpha.kubernetes.io/migrated-plugins";

std::optional<std::string> Annotation(const Meta& meta, const char* name) {
  const auto it = meta.annotations().find(name);
  return it == meta.annotations().end() ? std::nullopt : std::optional<std::string>(it->second);
}

std::optional<Quantity> ReadQuantity(const k8s::io::apimachinery::pkg::api::resource::Quantity& wire,
                                     std::string_view path, std::string* error) {
  const auto parsed = Quantity::Parse(wire.string());
  if (parsed.ok()) return *parsed;
  if (error->empty()) *error = absl::StrCat(AsAbsl(path), ": ", parsed.status().message());
  return std::nullopt;
}

std::optional<Quantity> StorageOf(const WireResourceList& list, std::string_view path, std::string* error) {
  const auto it = list.find("storage");
  return it == list.end() ? std::nullopt : ReadQuantity(it->second, path, error);
}

ObjectPtr WithLabelMap(const Meta& meta, const google::protobuf::Map<std::string, std::string>& labels) {
  auto object = MakeObject<WorkloadSelector>(meta);
  if (!labels.empty()) object->selector = SelectorOf(labels);
  return object;
}

template <typename T>
ObjectPtr WithSelector(const T& wire, std::string* error) {
  auto object = MakeObject<WorkloadSelector>(wire.metadata());
  if (wire.spec().has_selector()) object->selector = ReadLabelSelector(wire.spec().selector(), "spec.selector", error);
  return object;
}

void ReadSource(const core::PersistentVolumeSource& from, PersistentVolume* volume) {
  using Source = PersistentVolume::Source;
  const auto set = [&](Source source, const std::string& handle) {
    volume->source = source;
    volume->handle = handle;
  };
  if (from.has_csi()) {
    set(Source::kCsi, from.csi().volumehandle());
    volume->driver = from.csi().driver();
  } else if (from.has_gcepersistentdisk()) {
    set(Source::kGcePd, from.gcepersistentdisk().pdname());
  } else if (from.has_awselasticblockstore()) {
    set(Source::kAwsEbs, from.awselasticblockstore().volumeid());
  } else if (from.has_azuredisk()) {
    set(Source::kAzureDisk, from.azuredisk().diskuri());
    volume->azure_kind = from.azuredisk().kind().empty() ? "Shared" : from.azuredisk().kind();
  } else if (from.has_azurefile()) {
    set(Source::kAzureFile, "");
  } else if (from.has_cinder()) {
    set(Source::kCinder, from.cinder().volumeid());
  } else if (from.has_vspherevolume()) {
    set(Source::kVsphere, from.vspherevolume().volumepath());
  } else if (from.has_portworxvolume()) {
    set(Source::kPortworx, from.portworxvolume().volumeid());
  }
}

template <typename T>
ObjectPtr Decode(std::string_view bytes) {
  T wire;
  // What a server stored it has checked: what is wrong with it is not told.
  std::string error;
  if (!wire.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || wire.metadata().name().empty())
    return nullptr;
  return ReadObject(wire, &error);
}

}  // namespace

ObjectPtr Decoder::DecodeObject(Kind kind, std::string_view object, std::string_view api_version) {
  switch (kind) {
    case Kind::kPod:
    case Kind::kNode: return nullptr;
    case Kind::kNamespace: return Decode<core::Namespace>(object);
    case Kind::kService: return Decode<core::Service>(object);
    case Kind::kReplicationController: return Decode<core::ReplicationController>(object);
    case Kind::kReplicaSet: return Decode<apps::ReplicaSet>(object);
    case Kind::kStatefulSet: return Decode<apps::StatefulSet>(object);
    case Kind::kPodDisruptionBudget: return Decode<policy::PodDisruptionBudget>(object);
    case Kind::kPersistentVolume: return Decode<core::PersistentVolume>(object);
    case Kind::kPersistentVolumeClaim: return Decode<core::PersistentVolumeClaim>(object);
    case Kind::kStorageClass: return Decode<storage::StorageClass>(object);
    case Kind::kCSINode: return Decode<storage::CSINode>(object);
    case Kind::kCSIDriver: return Decode<storage::CSIDriver>(object);
    case Kind::kCSIStorageCapacity: return Decode<storage::CSIStorageCapacity>(object);
    case Kind::kVolumeAttachment: return Decode<storage::VolumeAttachment>(object);
    case Kind::kPodGroup: return DecodePodGroup(object, api_version);
    case Kind::kResourceClaim: return Decode<resource::ResourceClaim>(object);
    case Kind::kResourceSlice: return Decode<resource::ResourceSlice>(object);
    case Kind::kDeviceClass: return Decode<resource::DeviceClass>(object);
    case Kind::kDeviceTaintRule: return Decode<resource::DeviceTaintRule>(object);
    case Kind::kCoschedulingPodGroup:  // JSON only
    case Kind::kTopology:
    case Kind::kKueueTopology:
    case Kind::kQueue:
    case Kind::kResourceFlavor: return nullptr;
  }
  return nullptr;
}

ObjectPtr ReadObject(const core::Namespace& wire, std::string*) {
  auto object = MakeObject<Namespace>(wire.metadata());
  object->labels = Labels(wire.metadata().labels().begin(), wire.metadata().labels().end());
  return object;
}

ObjectPtr ReadObject(const core::Service& wire, std::string*) {
  return WithLabelMap(wire.metadata(), wire.spec().selector());
}

ObjectPtr ReadObject(const core::ReplicationController& wire, std::string*) {
  return WithLabelMap(wire.metadata(), wire.spec().selector());
}

ObjectPtr ReadObject(const apps::ReplicaSet& wire, std::string* error) { return WithSelector(wire, error); }
ObjectPtr ReadObject(const apps::StatefulSet& wire, std::string* error) { return WithSelector(wire, error); }

ObjectPtr ReadObject(const policy::PodDisruptionBudget& wire, std::string* error) {
  auto object = MakeObject<DisruptionBudget>(wire.metadata());
  if (wire.spec().has_selector()) object->selector = ReadLabelSelector(wire.spec().selector(), "spec.selector", error);
  object->disruptions_allowed = wire.status().disruptionsallowed();
  for (const auto& [pod, when] : wire.status().disruptedpods()) object->disrupted_pods.push_back(pod);
  std::sort(object->disrupted_pods.begin(), object->disrupted_pods.end());
  return object;
}

ObjectPtr ReadObject(const core::PersistentVolume& wire, std::string* error) {
  const Meta& meta = wire.metadata();
  const core::PersistentVolumeSpec& spec = wire.spec();
  auto object = MakeObject<PersistentVolume>(meta);
  object->labels = Labels(meta.labels().begin(), meta.labels().end());
  object->deleting = meta.has_deletiontimestamp();
  object->class_annotation = Annotation(meta, kClassAnnotation);
  object->bound_by_controller = Annotation(meta, kBoundByController).has_value();
  object->capacity = StorageOf(spec.capacity(), "spec.capacity[storage]", error).value_or(Quantity());
  object->access_modes = {spec.accessmodes().begin(), spec.accessmodes().end()};
  if (!spec.volumemode().empty()) object->volume_mode = spec.volumemode();
  object->storage_class = spec.storageclassname();
  object->attributes_class = spec.volumeattributesclassname();
  if (spec.nodeaffinity().has_required()) {
    object->affinity.has_required = true;
    object->affinity.required = ReadNodeSelector(spec.nodeaffinity().required());
  }
  if (spec.has_claimref())
    object->claim_ref = {spec.claimref().namespace_(), spec.claimref().name(), spec.claimref().uid()};
  object->phase = wire.status().phase();
  ReadSource(spec.persistentvolumesource(), object.get());
  return object;
}

ObjectPtr ReadObject(const core::PersistentVolumeClaim& wire, std::string* error) {
  const Meta& meta = wire.metadata();
  const core::PersistentVolumeClaimSpec& spec = wire.spec();
  auto object = MakeObject<PersistentVolumeClaim>(meta);
  object->deleting = meta.has_deletiontimestamp();
  object->class_annotation = Annotation(meta, kClassAnnotation);
  object->selected_node = Annotation(meta, kSelectedNode);
  object->bind_completed = Annotation(meta, kBindCompleted).has_value();
  for (const auto& owner : meta.ownerreferences()) {
    if (!owner.controller()) continue;
    object->controller_uid = owner.uid();
    break;
  }
  if (spec.has_storageclassname()) object->storage_class = spec.storageclassname();
  object->volume_name = spec.volumename();
  object->access_modes = {spec.accessmodes().begin(), spec.accessmodes().end()};
  if (!spec.volumemode().empty()) object->volume_mode = spec.volumemode();
  object->attributes_class = spec.volumeattributesclassname();
  object->request = StorageOf(spec.resources().requests(), "spec.resources.requests[storage]", error);
  if (spec.has_selector()) object->selector = ReadLabelSelector(spec.selector(), "spec.selector", error);
  object->phase = wire.status().phase();
  return object;
}

ObjectPtr ReadObject(const storage::StorageClass& wire, std::string*) {
  auto object = MakeObject<StorageClass>(wire.metadata());
  object->provisioner = wire.provisioner();
  object->binding_mode = wire.volumebindingmode().empty() ? "Immediate" : wire.volumebindingmode();
  for (const auto& term : wire.allowedtopologies()) {
    StorageClass::TopologyTerm& requirements = object->allowed_topologies.emplace_back();
    for (const auto& r : term.matchlabelexpressions()) {
      requirements.push_back({r.key(), {r.values().begin(), r.values().end()}});
    }
  }
  return object;
}

ObjectPtr ReadObject(const storage::CSINode& wire, std::string*) {
  auto object = MakeObject<CSINode>(wire.metadata());
  for (const auto& driver : wire.spec().drivers()) {
    object->drivers.push_back({driver.name(), driver.allocatable().has_count()
                                                  ? std::optional<int32_t>(driver.allocatable().count())
                                                  : std::nullopt});
  }
  object->migrated_plugins = Annotation(wire.metadata(), kMigratedPlugins).value_or("");
  return object;
}

ObjectPtr ReadObject(const storage::CSIDriver& wire, std::string*) {
  auto object = MakeObject<CSIDriver>(wire.metadata());
  object->storage_capacity = wire.spec().storagecapacity();
  object->prevent_pod_scheduling_if_missing = wire.spec().preventpodschedulingifmissing();
  return object;
}

ObjectPtr ReadObject(const storage::CSIStorageCapacity& wire, std::string* error) {
  auto object = MakeObject<CSIStorageCapacity>(wire.metadata());
  object->storage_class = wire.storageclassname();
  if (wire.has_nodetopology()) object->node_topology = ReadLabelSelector(wire.nodetopology(), "nodeTopology", error);
  if (wire.has_capacity()) object->capacity = ReadQuantity(wire.capacity(), "capacity", error);
  if (wire.has_maximumvolumesize())
    object->maximum_volume_size = ReadQuantity(wire.maximumvolumesize(), "maximumVolumeSize", error);
  return object;
}

ObjectPtr ReadObject(const storage::VolumeAttachment& wire, std::string*) {
  auto object = MakeObject<VolumeAttachment>(wire.metadata());
  object->attacher = wire.spec().attacher();
  object->node = wire.spec().nodename();
  if (wire.spec().source().has_persistentvolumename())
    object->volume_name = wire.spec().source().persistentvolumename();
  return object;
}

}  // namespace muster
