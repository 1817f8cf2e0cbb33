// Queues: which namespaces' pods may use how much of what. Kinds kQueue and kResourceFlavor (muster.dev/v1alpha1).
#ifndef MUSTER_SCHEDULER_MODEL_QUEUE_H_
#define MUSTER_SCHEDULER_MODEL_QUEUE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/model/ids.h"
#include "scheduler/model/labels.h"
#include "scheduler/model/object.h"
#include "scheduler/model/pod.h"

namespace muster {

// Nodes of one kind, by their labels.
struct ResourceFlavor : Object {
  Labels node_labels;
  std::string invalid;  // why it cannot be interpreted ("spec.nodeLabels: ..."), or ""
};

// One of a queue's resources. Amounts as in Pod's (cpu in thousandths, the others in units), >= 0.
struct QueueResource {
  std::string name;    // a resource, or "deviceclass/NAME"
  std::string flavor;  // a ResourceFlavor's name; "" = on any node
  int64_t nominal_quota = 0;
  std::optional<int64_t> borrowing_limit, lending_limit;  // absent: no limit
};

struct QueuePreemption {
  enum class Within : uint8_t { kNever, kLowerPriority, kLowerOrNewerEqualPriority };
  enum class Reclaim : uint8_t { kNever, kLowerPriority, kAny };
  enum class Borrowing : uint8_t { kNever, kLowerPriority };
  Within within_queue = Within::kLowerPriority;
  Reclaim reclaim = Reclaim::kAny;            // from queues that borrow, for what is the queue's own
  Borrowing borrowing = Borrowing::kNever;    // whether it preempts other queues' pods while it borrows itself
  Duration min_runtime = {};                  // this queue's pods are left alone so long after they started
  std::optional<int64_t> evictions_per_hour;  // of this queue's pods, by other queues; absent: no limit
};

// A token bucket: small pods that say that they end soon go ahead of the others, up to `resources` at once.
struct QueueBurst {
  Duration max_pod_runtime = {};  // activeDeadlineSeconds or kueue.x-k8s.io/max-exec-time-seconds at most
  std::vector<Amount> resources;  // the bucket's size
  Duration refill = {};           // from empty to full; > 0
};

// How much of a resource, by time, may be used in a window.
struct QueueBudget {
  enum class Beyond : uint8_t { kNoBorrowing, kHold };
  std::string resource;
  int64_t seconds = 0;   // resource-seconds in the resource's units
  Duration window = {};  // > 0
  Beyond beyond = Beyond::kNoBorrowing;
};

// What is told of a queue: the status subresource, in full.
struct QueueStatus {
  struct Usage {  // by resource and flavor, in the order of spec.resources
    std::string resource, flavor;
    int64_t used = 0, borrowed = 0;  // in QueueResource's units; of the queue and its children
    friend bool operator==(const Usage&, const Usage&) = default;
  };
  struct Pending {         // the first groups in the queue's order
    std::string group;     // "namespace/name" of the pod, or of the group with its kind: "team-a/PodGroup/train"
    int32_t position = 0;  // 1 = next
    int32_t pods = 0;
    std::string ahead;  // who goes before it: "", or the names of the nearest
    std::string waiting_for;
    Time estimated_start = absl::InfiniteFuture();  // InfiniteFuture: not known
    std::string assumption;                         // what the estimate rests on, or why there is none
    friend bool operator==(const Pending&, const Pending&) = default;
  };
  int64_t observed_generation = 0;
  PodCondition ready;                      // condition Ready: True, or False with a reason and message
  Time transition = absl::InfinitePast();  // when it last changed; InfinitePast: leave as it is
  int64_t pending_groups = 0, pending_pods = 0, running_pods = 0;
  std::string share;  // weighted share as a decimal number, "inf"
  std::vector<Usage> usage;
  std::vector<Pending> pending;
  friend bool operator==(const QueueStatus&, const QueueStatus&) = default;
};

struct Queue : Object {
  enum class Order : uint8_t { kStrictFIFO, kBestEffortFIFO, kBackfill };
  enum class StopPolicy : uint8_t { kNone, kHold, kHoldAndDrain };
  int64_t generation = 0;
  Time created;
  std::string parent;                // a queue's name; "" = a root
  LabelSelector namespace_selector;  // absent: selects none; empty: all
  int32_t weight = 1;                // >= 0
  Order order = Order::kBestEffortFIFO;
  std::optional<Duration> usage_half_life;  // absent: present usage only
  std::vector<QueueResource> resources;     // at most one of a name and flavor
  QueuePreemption preemption;
  std::optional<QueueBurst> burst;
  std::optional<QueueBudget> budget;
  StopPolicy stop_policy = StopPolicy::kNone;
  // Why it cannot be interpreted ("spec.resources[1].nominalQuota: ..."), or "".
  std::string invalid;
  PodCondition ready;                       // the status' condition Ready, as read
  Time ready_since = absl::InfinitePast();  // its lastTransitionTime
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_QUEUE_H_
