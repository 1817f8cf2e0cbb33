// Groups between their decision and their last bind. The volumes and claims of all pods that were decided together
// are ready before the first of them is bound; then all binds go out. A pod whose bind fails keeps its slot, and
// so does one that goes away, for a pod that replaces it, until the group's time is up.
//
// Decision thread only.
#ifndef MUSTER_SCHEDULER_ENGINE_BINDING_GROUP_COMMIT_H_
#define MUSTER_SCHEDULER_ENGINE_BINDING_GROUP_COMMIT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "scheduler/engine/binding/binding_cycle.h"
#include "scheduler/engine/binding/preparation.h"
#include "scheduler/framework/plugin.h"
#include "scheduler/model/pod.h"
#include "scheduler/model/snapshot.h"
#include "scheduler/runtime/api_server.h"
#include "scheduler/runtime/event_loop.h"

namespace muster {

class GroupCommits {
 public:
  struct Member {
    PodPtr pod;
    PodInfoPtr info;
    std::string node;
    std::vector<Intent> first;  // what is to be done before its bind
  };
  // The slots that these pods had are free again. `culprit` is the pod that this is due to, with `error`; ""
  // where nothing is wrong but the pods changed. Some of the pods may be gone.
  struct Undone {
    std::string key;
    std::vector<PodPtr> pods;
    PodPtr culprit;
    std::string error;
  };
  struct Callbacks {
    std::function<void(const BindingCycle::Task& task)> bind;
    // All that precedes the binds of a batch of the group is done, and they are out.
    std::function<void(const std::string& key)> prepared;
    std::function<void(const Undone& undone)> undone;
  };

  // All outlive this.
  GroupCommits(EventLoop& loop, Preparation& preparation, BindingCycle& binding, Callbacks callbacks)
      : loop_(loop), preparation_(preparation), binding_(binding), callbacks_(std::move(callbacks)) {}

  // Pods of the group `key` that were decided together, and assumed. May call `prepared` at once.
  void Start(const std::string& key, Time popped_at, Duration timeout, std::vector<Member> members);

  // Whether the pod has a slot here: its preparation's and bind's ends are to be told here then.
  bool Has(const std::string& uid) const { return of_pod_.contains(uid); }
  // The batch's binds are not out yet.
  bool Preparing(const std::string& key) const { return preparing_.contains(key); }
  void OnPreparationEnded(const BindingCycle::Task& task, const std::string& error);
  void OnBindEnded(const BindingCycle::Task& task, const ApiStatus& status);
  // The watch shows it bound, here or elsewhere.
  void OnBound(const std::string& uid);
  // The pod is gone. True: its slot is kept, and so must be its assumption.
  bool OnGone(const std::string& uid);

  // A slot of the group whose pod is gone, for another pod of that shape: the pod that had it. The caller
  // ends its assumption.
  struct Slot {
    PodPtr pod;
    std::string node;
  };
  std::optional<Slot> TakeSlot(const std::string& key, const PodInfo& info);
  bool has_empty() const { return empty_ > 0; }
  // Whether all of these pods are gone, and only their slots are kept.
  bool AllEmpty(std::span<const PlacedMember> placed) const;
  // Nobody will replace those that are gone.
  void ReleaseEmpty(const std::string& key);
  // Gives back every slot that no bind is on its way to: decisions are no longer ours.
  void ReleaseAll();

  size_t open() const { return commits_.size(); }

 private:
  struct Place {
    Member member;
    enum class Stage : uint8_t { kPreparing, kReady, kBinding, kFailed, kEmpty } stage = Stage::kPreparing;
    uint32_t tries = 0;
    std::string error;
  };
  struct Commit {
    std::string key;
    Time decided_at, popped_at;
    Duration timeout;
    EventLoop::TimerId timer = 0;
    size_t preparing = 0;  // pods that are not ready
    bool binding = false;  // the binds are out
    bool expired = false;
    std::vector<Place> places;
  };

  BindingCycle::Task TaskOf(const Commit& commit, const Place& place) const {
    return {place.member.pod, place.member.node, commit.decided_at, commit.popped_at};
  }
  Commit* Find(const std::string& uid, Place** place, uint64_t* id = nullptr);
  void SendBinds(uint64_t id);
  void Retry(uint64_t id, const std::string& uid);
  void Abort(uint64_t id, const PodPtr& culprit, const std::string& error);
  void Expire(uint64_t id);
  // Of those that `choose` takes.
  void Release(uint64_t id, const std::function<bool(const Place&)>& choose, const std::string& prefix);
  void Drop(uint64_t id, const std::string& uid);
  void EndIfOver(uint64_t id);

  EventLoop& loop_;
  Preparation& preparation_;
  BindingCycle& binding_;
  const Callbacks callbacks_;
  uint64_t next_id_ = 0;
  absl::btree_map<uint64_t, Commit> commits_;
  absl::flat_hash_map<std::string, uint64_t> of_pod_;   // by uid
  size_t empty_ = 0;                                    // slots whose pod is gone
  absl::flat_hash_map<std::string, size_t> preparing_;  // by group: batches whose binds are not out
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_BINDING_GROUP_COMMIT_H_
