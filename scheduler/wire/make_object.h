// The model's objects begin with what all metadata says.
#ifndef MUSTER_SCHEDULER_WIRE_MAKE_OBJECT_H_
#define MUSTER_SCHEDULER_WIRE_MAKE_OBJECT_H_

#include <memory>

#include "scheduler/wire/decode.h"
#include "scheduler/wire/proto/meta_v1.pb.h"

namespace muster {

// T is an Object: namespace, name, uid and version are set.
template <typename T>
std::shared_ptr<T> MakeObject(const k8s::io::apimachinery::pkg::apis::meta::v1::ObjectMeta& meta) {
  auto object = std::make_shared<T>();
  object->ns = meta.namespace_();
  object->name = meta.name();
  object->uid = meta.uid();
  object->resource_version = ParseResourceVersion(meta.resourceversion());
  return object;
}

}  // namespace muster

#endif  // MUSTER_SCHEDULER_WIRE_MAKE_OBJECT_H_
