// A group that waits in the queue.
#ifndef MUSTER_QUEUE_QUEUED_GROUP_H_
#define MUSTER_QUEUE_QUEUED_GROUP_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "queue/quota_tree.h"
#include "scheduler/model/ids.h"
#include "scheduler/model/pod.h"
#include "scheduler/model/snapshot.h"

namespace muster {

// One of a group's pods that are not bound yet.
struct QueuedMember {
  PodPtr pod;
  PodInfoPtr info;
  std::string verdict;    // last message told to the user
  std::string nominated;  // the nominated node as last told or heard
  bool gated = false;     // of a group: PreEnqueue says no, and the others go without it
  bool placed = false;    // of a group: it has a node and is on its way there

  bool may_be_tried() const { return !gated && !placed; }
};

// A number of pods of which each asks for so much of any one of the cells: it depends on the node which.
struct AnyCharge {
  int64_t each = 0, pods = 0;
  std::vector<QuotaCell> cells;
  friend auto operator<=>(const AnyCharge&, const AnyCharge&) = default;
};

// One or more pods placed as one: a lone pod is a group of one.
struct QueuedGroup {
  enum class Part : uint8_t { kNone, kActive, kBackoff, kUnschedulable, kGated, kHeld };

  absl::InlinedVector<QueuedMember, 1> members;  // never empty; in no promised order
  std::string key;                               // names the group; "" for a lone pod
  int32_t priority = 0;                          // the group's
  bool partial = false;                          // see SetOrder
  uint32_t profile = 0;                          // index of the profile that the first pod asked for
  Part part = Part::kNone;
  uint32_t attempts = 0;             // decisions so far
  uint32_t unschedulable_count = 0;  // rejections since the last success of its spec
  uint32_t no_room_count = 0;        // since the last rejection: tries for which nobody made room in its queue
  uint32_t error_count = 0;          // consecutive failures that are nobody's rejection
  uint64_t sequence = 0;             // order of arrival, unique
  // QueueSort's time: when it last entered by an event, or, where it is charged to a queue, when its first pod was
  // created: neither a try nor a restart costs it its place.
  Time queued_at;
  Time first_seen;
  Time rejected_at;  // when it entered kUnschedulable
  Time backoff_until;
  bool backoff_is_error = false;       // set only while in no part
  uint64_t wake_on = 0;                // ClusterEvents that may help
  std::vector<const void*> rejectors;  // opaque here: the plugins that said no
  bool woken = false;                  // while held: an event came that may help
  size_t heap_index = 0;               // position in the part that holds it
  // The queue that it is charged to, and what its minimum asks of the queue's cells, one charge a cell, by cell.
  QueueIndex queue = kNoQueue;
  std::vector<Charge> demand;
  std::vector<AnyCharge> either;  // beside `demand`: without as much it cannot start, with as much it may
  Duration max_runtime = absl::InfiniteDuration();  // the longest of its pods'
  // Room is kept for it in its queue: it asks for nothing more, and so goes before all that wait for room.
  bool reserved = false;
  bool promised = false;  // what is kept is what others leave anyway: nobody was evicted for it
  // When room in its queue was last looked for in vain: what the charges were, and until when not again.
  uint64_t room_version = UINT64_MAX;
  Time room_again;
  Time promise_again;                     // the same of room that those leave who are on their way out
  std::string note;                       // when it was looked for: what was said beside the lack of it
  Time room_told = absl::InfinitePast();  // when its pods were last told of the lack
  // When last tried it had room in its queue and no place, and when it will have one is not known: nobody waits for it.
  bool placeless = false;
  Time plan_again;       // when a start for it may be looked for again
  bool express = false;  // goes through the burst lane: before all shares
  // Of a group, as of its last try: how many pods it had to place, and how many it needed to.
  size_t tried = 0, needed = 0;

  bool lone() const { return key.empty(); }
  const QueuedMember& first() const { return members.front(); }
};

}  // namespace muster

#endif  // MUSTER_QUEUE_QUEUED_GROUP_H_
