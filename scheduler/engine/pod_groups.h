// What the engine knows of a group of pods: its settings, from its object or from the pods themselves, and
// whether it may be tried.
//
// Decision thread only.
#ifndef MUSTER_SCHEDULER_ENGINE_POD_GROUPS_H_
#define MUSTER_SCHEDULER_ENGINE_POD_GROUPS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "queue/scheduling_queue.h"
#include "scheduler/engine/cluster_cache.h"
#include "scheduler/model/object.h"
#include "scheduler/model/pod.h"
#include "scheduler/model/pod_group.h"
#include "scheduler/model/snapshot.h"

namespace muster {

// A group's identity.
struct GroupId {
  std::string ns;
  GroupRef::Source source = GroupRef::Source::kNone;
  std::string name;

  static GroupId Of(const Pod& pod) { return {pod.ns(), pod.group.source, pod.group.name}; }
  // Unlike any other's; "" for a lone pod.
  std::string Key() const;
  // Of the group's object; kPod where its kind of group has none.
  Kind kind() const;
  // As people know it: "namespace/name".
  std::string Text() const { return ns + "/" + name; }
};
// GroupId::Of(pod).Key(), without work for a lone pod.
std::string GroupKeyOf(const Pod& pod);

struct GroupState {
  enum class Stage : uint8_t {
    kReady,
    kWaiting,  // for its object, or for pods
    kBroken,   // it makes no sense, or cannot be read
  };
  Stage stage = Stage::kReady;
  std::string message;               // unless kReady: why
  const PodGroup* object = nullptr;  // valid until objects change
  bool gang = true;
  size_t min = 1;              // how many of its pods must run together
  size_t waiting = 0;          // pending pods that can be tried
  size_t placed = 0;           // pods on nodes, but for those that are about to go
  size_t bound = 0;            // those of them of which the server says so
  size_t running = 0;          // those of them that have started
  std::string scheduler_name;  // its pods'; "" where it has none
  int32_t priority = 0;
  std::string preemption_policy;
  TopologyRequest topology;
  Duration timeout;  // how long it may take from the first bind to the last

  // How many more must be placed, all or none of them.
  size_t Needed() const { return min > placed ? min - placed : 0; }
};

class PodGroups {
 public:
  // `cache` outlives this; it is refreshed before each Read.
  explicit PodGroups(const ClusterCache& cache) : cache_(cache) {}

  // `group` has the pending pods; null where there are none.
  GroupState Read(const GroupId& id, const QueuedGroup* group, const Snapshot& snapshot) const;

  // Null where there is none; valid until objects change.
  const PodGroup* ObjectOf(const GroupId& id) const {
    return id.kind() == Kind::kPod ? nullptr : cache_.objects().Get<PodGroup>(id.kind(), id.ns, id.name);
  }
  // What the group's minResources lack in the whole cluster, for people, or "".
  static std::string Short(const PodGroup& object, const GroupId& id, const Snapshot& snapshot);

 private:
  void ReadObject(const GroupId& id, GroupState& state) const;

  const ClusterCache& cache_;
};

// The phase that a coscheduling group's status shows next, given the one that it shows.
std::string_view NextPhase(std::string_view phase, const GroupState& state, size_t pending);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_POD_GROUPS_H_
