// The messages of all kinds but Pod and Node to the model.
#ifndef MUSTER_SCHEDULER_WIRE_OBJECTS_H_
#define MUSTER_SCHEDULER_WIRE_OBJECTS_H_

#include <string>

#include "scheduler/model/object.h"
#include "scheduler/wire/proto/apps_v1.pb.h"
#include "scheduler/wire/proto/core_v1.pb.h"
#include "scheduler/wire/proto/policy_v1.pb.h"
#include "scheduler/wire/proto/storage_v1.pb.h"

namespace muster {

// Each fills in nothing that the API server would. Never null. The first field that cannot be
// interpreted is named in *error, if that is empty ("spec.selector...: ..."); it then counts as
// absent, a selector as one that matches nothing.
ObjectPtr ReadObject(const k8s::io::api::core::v1::Namespace& wire, std::string* error);
ObjectPtr ReadObject(const k8s::io::api::core::v1::Service& wire, std::string* error);
ObjectPtr ReadObject(const k8s::io::api::core::v1::ReplicationController& wire, std::string* error);
ObjectPtr ReadObject(const k8s::io::api::apps::v1::ReplicaSet& wire, std::string* error);
ObjectPtr ReadObject(const k8s::io::api::apps::v1::StatefulSet& wire, std::string* error);
ObjectPtr ReadObject(const k8s::io::api::policy::v1::PodDisruptionBudget& wire, std::string* error);
ObjectPtr ReadObject(const k8s::io::api::core::v1::PersistentVolume& wire, std::string* error);
ObjectPtr ReadObject(const k8s::io::api::core::v1::PersistentVolumeClaim& wire, std::string* error);
ObjectPtr ReadObject(const k8s::io::api::storage::v1::StorageClass& wire, std::string* error);
ObjectPtr ReadObject(const k8s::io::api::storage::v1::CSINode& wire, std::string* error);
ObjectPtr ReadObject(const k8s::io::api::storage::v1::CSIDriver& wire, std::string* error);
ObjectPtr ReadObject(const k8s::io::api::storage::v1::CSIStorageCapacity& wire, std::string* error);
ObjectPtr ReadObject(const k8s::io::api::storage::v1::VolumeAttachment& wire, std::string* error);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_WIRE_OBJECTS_H_
