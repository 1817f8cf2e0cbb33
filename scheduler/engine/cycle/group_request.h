// A group as the cycle is asked about it, and what the cycle answers.
#ifndef MUSTER_SCHEDULER_ENGINE_CYCLE_GROUP_REQUEST_H_
#define MUSTER_SCHEDULER_ENGINE_CYCLE_GROUP_REQUEST_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "scheduler/framework/evaluation.h"
#include "scheduler/framework/explain.h"
#include "scheduler/framework/plugin.h"
#include "scheduler/framework/post_filter.h"
#include "scheduler/model/pod.h"
#include "scheduler/model/snapshot.h"

namespace muster {

// A pod to place.
struct Member {
  PodPtr pod;
  PodInfoPtr info;
};

// Pods to place as one. A lone pod is a group of one: `group` is absent, `min` is 1.
struct GroupRequest {
  std::span<const Member> members;  // pending; by rank, those without one last, by name
  // How many must be placed now or none: the group's minimum less its pods that are placed already.
  // 0: these are all elastic, each placed where there is room.
  size_t min = 1;
  // Absent for a lone pod. The group's pods that are placed already: Snapshot::MembersOf(ns, group).
  GroupRef group;
  TopologyRequest topology;
  int32_t priority = 0;           // the group's: it may take room from pods below it
  std::string preemption_policy;  // "" = PreemptLowerPriority
  Time now;                       // for how long others have run
  bool kept = false;              // room is kept for it in its queue: it goes before those that have but a promise
  std::string key;                // names the group, or the lone pod by its uid: see StartPlans
};

struct Placement {
  NodeIndex node = kNoNode;
  int64_t score = 0;  // the node's weighted total
};

struct GroupDecision {
  bool placed = false;                  // at least `min` members, and at least one, have a node
  std::vector<Placement> placements;    // one a member, kNoNode for elastic ones without room; empty unless placed
  std::vector<Intent> intents;          // what to do about it, by member in order
  std::vector<uint32_t> intent_member;  // by intent: its member's index
  // Where not placed, why; where elastic members were left, why the first of them was. Valid until the
  // next Decide.
  const Explanation* why = nullptr;
  // Where not placed: what PostFilter (or for groups the group's own preemption) proposes, if it was
  // asked. Its pods live as long as they are on their nodes. A lone pod's node is room->nominate.
  std::optional<PostFilterResult> room;
  std::vector<std::string> nominations;  // of a group with `room` of code kSuccess: by member, "" for none
  WorkCount work;
  bool from_cache = false;  // every shape's answer was known
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_CYCLE_GROUP_REQUEST_H_
