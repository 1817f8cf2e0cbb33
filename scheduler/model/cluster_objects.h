// What plugins read beside pods and nodes: namespaces, selectors of workloads, disruption budgets,
// storage. By kind, then by namespace and name.
//
// Owner: the Snapshot. Decision thread only.
#ifndef MUSTER_SCHEDULER_MODEL_CLUSTER_OBJECTS_H_
#define MUSTER_SCHEDULER_MODEL_CLUSTER_OBJECTS_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/btree_map.h"
#include "scheduler/model/object.h"

namespace muster {

class ClusterObjects {
 public:
  using Key = std::pair<std::string, std::string>;  // namespace, name
  using Map = absl::btree_map<Key, ObjectPtr>;

  void Set(Kind kind, ObjectPtr object) {
    ++versions_[Index(kind)];
    Key key(object->ns, object->name);
    maps_[Index(kind)][std::move(key)] = std::move(object);
  }
  void Remove(Kind kind, const std::string& ns, const std::string& name) {
    if (maps_[Index(kind)].erase(Key(ns, name)) > 0) ++versions_[Index(kind)];
  }
  ObjectPtr Find(Kind kind, std::string_view ns, std::string_view name) const {
    const Map& map = maps_[Index(kind)];
    const auto it = map.find(Key(ns, name));
    return it == map.end() ? nullptr : it->second;
  }
  // Of the type that the kind has; null if there is none. Valid until the object is set or removed.
  template <typename T>
  const T* Get(Kind kind, std::string_view ns, std::string_view name) const {
    return static_cast<const T*>(Find(kind, ns, name).get());
  }
  const Map& All(Kind kind) const { return maps_[Index(kind)]; }
  // Rises with every change of the kind.
  uint64_t version(Kind kind) const { return versions_[Index(kind)]; }

 private:
  static size_t Index(Kind kind) { return static_cast<size_t>(kind); }
  std::array<Map, kKindCount> maps_;
  std::array<uint64_t, kKindCount> versions_ = {};
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_CLUSTER_OBJECTS_H_
