// Tells of groups on their objects: the condition and the counts in their status, and events.
//
// Decision thread only.
#ifndef MUSTER_SCHEDULER_ENGINE_GROUP_STATUS_H_
#define MUSTER_SCHEDULER_ENGINE_GROUP_STATUS_H_

#include <string>

#include "absl/container/flat_hash_map.h"
#include "scheduler/engine/binding/event_recorder.h"
#include "scheduler/engine/pod_groups.h"
#include "scheduler/model/pod_group.h"
#include "scheduler/runtime/api_server.h"
#include "scheduler/runtime/event_loop.h"

namespace muster {

class GroupStatus {
 public:
  GroupStatus(EventLoop& loop, ApiServer& api, EventRecorder& recorder) : loop_(loop), api_(api), recorder_(recorder) {}

  // Its pods could not be placed; `reason` is "Unschedulable" or "SchedulerError". Once its minimum was
  // scheduled, that stays told.
  void Failed(const GroupId& id, const PodGroup& object, const std::string& profile, const std::string& reason,
              const std::string& message);
  // What its pods show by now: all of its minimum bound, and how many of a coscheduling group are where.
  // `pending`: those without a node.
  void Update(const GroupId& id, const GroupState& state, const std::string& profile, size_t pending);
  // A standby tells nothing.
  void SetActive(bool active) { active_ = active; }
  // The object is gone.
  void Forget(const std::string& uid) { told_.erase(uid); }

 private:
  struct Told {
    std::string text;  // of the last patch
    PodGroupStatusPatch patch;
    bool under_way = false;
  };

  void Tell(PodGroupStatusPatch patch);
  void Send(Told& told);
  void SendAgain(const std::string& uid, const std::string& text);

  EventLoop& loop_;
  ApiServer& api_;
  EventRecorder& recorder_;
  bool active_ = true;
  absl::flat_hash_map<std::string, Told> told_;  // by the object's uid
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_GROUP_STATUS_H_
