// The storage kinds, reduced to what the volume plugins read. Each field names its path in the
// Kubernetes object; texts are kept as written unless it says otherwise.
#ifndef MUSTER_SCHEDULER_MODEL_VOLUME_OBJECTS_H_
#define MUSTER_SCHEDULER_MODEL_VOLUME_OBJECTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/model/labels.h"
#include "scheduler/model/object.h"
#include "scheduler/model/quantity.h"

namespace muster {

// spec.claimRef of a volume.
struct ClaimReference {
  std::string ns, name;
  std::string uid;  // "": the user named the claim before it existed
  friend bool operator==(const ClaimReference&, const ClaimReference&) = default;
};

// Kind kPersistentVolume.
struct PersistentVolume : Object {
  // What spec's volume source is; kOther: one that is neither CSI nor ever moves to it (nfs, local, ...).
  enum class Source : uint8_t { kOther, kCsi, kGcePd, kAwsEbs, kAzureDisk, kAzureFile, kCinder, kVsphere, kPortworx };

  Labels labels;          // metadata.labels
  bool deleting = false;  // metadata.deletionTimestamp is set
  // metadata.annotations["volume.beta.kubernetes.io/storage-class"]: goes before spec.storageClassName.
  std::optional<std::string> class_annotation;
  bool bound_by_controller = false;       // has the annotation pv.kubernetes.io/bound-by-controller, whatever its value
  Quantity capacity;                      // spec.capacity["storage"]; zero where absent
  std::vector<std::string> access_modes;  // spec.accessModes
  std::string volume_mode = "Filesystem";   // spec.volumeMode; "Filesystem" where absent
  std::string storage_class;                // spec.storageClassName; "" where absent
  std::string attributes_class;             // spec.volumeAttributesClassName; "" where absent
  NodeAffinity affinity;                    // spec.nodeAffinity.required (has_required, required); nothing preferred
  std::optional<ClaimReference> claim_ref;  // spec.claimRef
  std::string phase;                        // status.phase
  Source source = Source::kOther;
  // kCsi: spec.csi.driver; else "".
  std::string driver;
  // kCsi: spec.csi.volumeHandle; kGcePd: .pdName; kAwsEbs: .volumeID; kAzureDisk: .diskURI; kCinder and
  // kPortworx: .volumeID; kVsphere: .volumePath; kAzureFile: not kept.
  std::string handle;
  std::string azure_kind;  // kAzureDisk: spec.azureDisk.kind; "" where absent

  const std::string& Class() const { return class_annotation ? *class_annotation : storage_class; }
};

// Kind kPersistentVolumeClaim.
struct PersistentVolumeClaim : Object {
  bool deleting = false;  // metadata.deletionTimestamp is set
  // metadata.annotations["volume.beta.kubernetes.io/storage-class"]: goes before spec.storageClassName.
  std::optional<std::string> class_annotation;
  std::optional<std::string> selected_node;  // metadata.annotations["volume.kubernetes.io/selected-node"]
  bool bind_completed = false;               // has the annotation pv.kubernetes.io/bind-completed, whatever its value
  std::string controller_uid;  // uid of the metadata.ownerReferences entry with controller: true; "" without
  std::optional<std::string> storage_class;  // spec.storageClassName
  std::string volume_name;                   // spec.volumeName
  std::vector<std::string> access_modes;     // spec.accessModes
  std::string volume_mode = "Filesystem";    // spec.volumeMode; "Filesystem" where absent
  std::string attributes_class;              // spec.volumeAttributesClassName; "" where absent
  std::optional<Quantity> request;           // spec.resources.requests["storage"]
  LabelSelector selector;                    // spec.selector; not present where absent
  std::string phase;                         // status.phase

  std::string Class() const { return class_annotation ? *class_annotation : storage_class.value_or(""); }
  bool FullyBound() const { return !volume_name.empty() && bind_completed; }
  std::string Key() const { return ns + "/" + name; }
};

// Kind kStorageClass.
struct StorageClass : Object {
  struct TopologyRequirement {
    std::string key;
    std::vector<std::string> values;
    friend bool operator==(const TopologyRequirement&, const TopologyRequirement&) = default;
  };
  // matchLabelExpressions: all hold. Without any, it matches no node.
  using TopologyTerm = std::vector<TopologyRequirement>;

  std::string provisioner;                       // provisioner
  std::string binding_mode;                      // volumeBindingMode; "" where absent
  std::vector<TopologyTerm> allowed_topologies;  // allowedTopologies: one must hold; none written: all nodes
};

// Kind kCSINode: named as its node.
struct CSINode : Object {
  struct Driver {
    std::string name;              // spec.drivers[].name
    std::optional<int32_t> count;  // spec.drivers[].allocatable.count
    friend bool operator==(const Driver&, const Driver&) = default;
  };
  std::vector<Driver> drivers;
  // metadata.annotations["storage.alpha.kubernetes.io/migrated-plugins"]: names separated by commas; "" where absent
  std::string migrated_plugins;
};

// Kind kCSIDriver.
struct CSIDriver : Object {
  bool storage_capacity = false;                   // spec.storageCapacity
  bool prevent_pod_scheduling_if_missing = false;  // spec.preventPodSchedulingIfMissing
};

// Kind kCSIStorageCapacity.
struct CSIStorageCapacity : Object {
  std::string storage_class;                    // storageClassName
  LabelSelector node_topology;                  // nodeTopology; absent: no node has access
  std::optional<Quantity> capacity;             // capacity
  std::optional<Quantity> maximum_volume_size;  // maximumVolumeSize
  // The largest volume that fits, where that is known.
  const std::optional<Quantity>& Limit() const { return maximum_volume_size ? maximum_volume_size : capacity; }
};

// Kind kVolumeAttachment.
struct VolumeAttachment : Object {
  std::string attacher;                    // spec.attacher
  std::string node;                        // spec.nodeName
  std::optional<std::string> volume_name;  // spec.source.persistentVolumeName
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_VOLUME_OBJECTS_H_
