// What the scheduler knows of nodes and of pods that take room on them, and the Snapshot made of
// it. Bound pods of every scheduler count; assumed ones are ours, decided but not yet confirmed.
//
// Decision thread only.
#ifndef MUSTER_SCHEDULER_ENGINE_CLUSTER_CACHE_H_
#define MUSTER_SCHEDULER_ENGINE_CLUSTER_CACHE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "scheduler/model/ids.h"
#include "scheduler/model/node.h"
#include "scheduler/model/pod.h"
#include "scheduler/model/snapshot.h"

namespace muster {

class ClusterCache {
 public:
  ClusterCache() = default;
  ClusterCache(const ClusterCache&) = delete;
  ClusterCache& operator=(const ClusterCache&) = delete;

  // The snapshot, true for all that was told so far. Indices into it hold until the next change
  // of nodes.
  Snapshot& Refresh();
  // The pod's resolved shape; equal shapes share one.
  PodInfoPtr InfoFor(const Pod& pod);
  // The same for one that is about to be placed, with what its claims are now. `alike`: see AskClaims.
  PodInfoPtr InfoToPlace(const Pod& pod, bool alike = true);

  // Told of each pod that takes room, again when it is renewed, and of each that does no more (row kNoNode; also where
  // its node is not there).
  using Listener = std::function<void(const Pod& pod, const PodInfo& info, NodeIndex row, bool gone)>;
  void SetListener(Listener listener) { listener_ = std::move(listener); }

  // Any kind but Pod and Node.
  void SetObject(Kind kind, ObjectPtr object) { snapshot_.SetObject(kind, std::move(object)); }
  void RemoveObject(Kind kind, const std::string& ns, const std::string& name) {
    snapshot_.RemoveObject(kind, ns, name);
  }
  const ClusterObjects& objects() const { return snapshot_.objects(); }
  const DeviceColumns& devices() const { return snapshot_.devices(); }

  void SetNode(NodePtr node);
  void RemoveNode(const std::string& name);
  NodePtr FindNode(const std::string& name) const;
  size_t node_count() const { return node_count_; }

  // A pod is bound (pod->node is set): counts it there, once, whatever was known of it before.
  void SetBound(const PodPtr& pod);
  // The pod takes room on its node, or is assumed to: the pod, else null.
  PodPtr FindPlaced(const std::string& uid) const;
  // The node that it takes room on, "" for none.
  std::string NodeOf(const std::string& uid) const;
  bool IsAssumed(const std::string& uid) const;
  // Gives the room back; no effect if the pod has none.
  void Remove(const std::string& uid);
  // The pod's eviction is asked for (Pod::leaving), so that nobody evicts it, or others of its queue, once more for the
  // same, until the watch says that it is being deleted, or SetStaying that it was refused. No effect on assumed ones.
  void SetLeaving(const std::string& uid);
  void SetStaying(const std::string& uid);

  // The pod is already on `node`'s row (a committed Statement put it there).
  void Assume(const PodPtr& pod, PodInfoPtr info, NodeIndex node);
  // The bind was accepted: unless a watch event confirms it before `deadline`, it shows in Expired.
  void FinishBinding(const std::string& uid, Time deadline);
  // Assumed pods past their deadline, by uid.
  std::vector<PodPtr> Expired(Time now) const;
  size_t assumed_count() const { return assumed_.size(); }
  size_t placed_count() const { return placed_.size(); }

 private:
  struct Placed;
  struct NodeRecord {
    std::string name;
    NodePtr node;             // null: pods name it, but the node is not (or no longer) there
    NodeIndex row = kNoNode;  // in the snapshot as last refreshed
    std::vector<Placed*> pods;
  };
  struct Placed {
    PodPtr pod;
    PodInfoPtr info;
    NodeRecord* record = nullptr;
    uint32_t index = 0;  // in record->pods
  };

  PodInfoPtr InfoFor(const std::shared_ptr<const PodSpec>& spec);
  NodeRecord& RecordOf(const std::string& name);
  void Renew(const PodPtr& pod);
  void Drop(const std::string& uid);
  Placed& Attach(const PodPtr& pod, PodInfoPtr info, const std::string& node);
  void SweepInfos();

  Listener listener_;
  Snapshot snapshot_;
  bool nodes_changed_ = false;
  size_t node_count_ = 0;
  absl::flat_hash_map<std::string, std::unique_ptr<NodeRecord>> nodes_;
  absl::flat_hash_map<std::string, std::unique_ptr<Placed>> placed_;  // by uid
  absl::flat_hash_map<std::string, Time> assumed_;                    // uid -> deadline
  absl::flat_hash_map<std::string, PodPtr> leaving_;                  // by uid: as the watch has it
  absl::flat_hash_map<uint64_t, std::vector<PodInfoPtr>> infos_;      // by shape
  absl::flat_hash_map<const PodSpec*, PodInfoPtr> info_of_spec_;      // of the specs that infos_ keep alive
  // Of InfoToPlace: by the shape without claims and a hash of what they ask for.
  absl::flat_hash_map<std::pair<const PodInfo*, uint64_t>, std::vector<PodInfoPtr>> asking_;
  size_t sweep_at_ = 1024, asking_count_ = 0;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_CLUSTER_CACHE_H_
