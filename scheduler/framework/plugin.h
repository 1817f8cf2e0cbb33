// The plugin interfaces: one per extension point, with kube-scheduler's names. A plugin class
// implements the ones it needs.
//
// Plugins decide; they do not act. A plugin reads one immutable Snapshot and has no clock, I/O or
// lock. Filter, Score and Normalize may run on several threads at once, for disjoint word ranges.
#ifndef MUSTER_SCHEDULER_FRAMEWORK_PLUGIN_H_
#define MUSTER_SCHEDULER_FRAMEWORK_PLUGIN_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "scheduler/framework/cluster_event.h"
#include "scheduler/framework/cycle_state.h"
#include "scheduler/framework/feasible.h"
#include "scheduler/framework/status.h"
#include "scheduler/model/device.h"
#include "scheduler/model/snapshot.h"

namespace muster {

class Statement;
struct PostFilterRequest;
struct PlacementAnswer;
struct PlacementCandidate;
struct PlacementRequest;
struct PostFilterResult;

inline constexpr int64_t kMaxNodeScore = 100;

class Plugin {
 public:
  virtual ~Plugin() = default;
  virtual std::string_view Name() const = 0;
  // Events that can make a pod fit which this plugin rejected.
  virtual ClusterEvents RequeueOn() const { return 0; }
  // Narrower: whether this event can help this pod (a queueing hint). Asked only for events in
  // RequeueOn().
  virtual bool MayHelp(const Pod& pod, const ClusterEvent& event) const {
    (void)pod, (void)event;
    return true;
  }
  // The plugin's slot in a CycleState; set once by the Framework.
  size_t slot() const { return slot_; }
  void set_slot(size_t slot) { slot_ = slot; }

 private:
  size_t slot_ = 0;
};

// May the pod enter the queue at all? Not ok: it stays gated, with the reasons.
class PreEnqueuePlugin : public virtual Plugin {
 public:
  virtual Outcome PreEnqueue(const Pod& pod, const ClusterObjects& objects) const = 0;
};

// What the queue is ordered by.
struct QueueKey {
  int32_t priority = 0;
  Time queued_at;
};
class QueueSortPlugin : public virtual Plugin {
 public:
  virtual bool Less(const QueueKey& a, const QueueKey& b) const = 0;
};

// Once per shape. May fill the plugin's slot, clear candidates (the only nodes that can do; where
// they are known by name, Outcome::only says so too), or reject the pod everywhere; Skip also skips
// the plugin's Filter.
class PreFilterPlugin : public virtual Plugin {
 public:
  virtual absl::StatusOr<Outcome> PreFilter(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                            NodeSet& candidates) const = 0;
};

// Clears, in nodes.range(), the nodes that the pod cannot run on.
class FilterPlugin : public virtual Plugin {
 public:
  virtual absl::Status Filter(const PodInfo& pod, const Snapshot& snap, const CycleState& state,
                              Feasible& nodes) const = 0;
};

// A filter by which a node takes pods only while it has free what they ask for.
class CapacityPlugin : public virtual Plugin {
 public:
  // Whether it looks at this resource ("nvidia.com/gpu"). "pods" always.
  virtual bool Limits(std::string_view resource) const = 0;
};

// Lifts a one-node answer to the cluster. Derived has
//   bool Fits(const PodInfo&, const Snapshot&, const CycleState&, NodeIndex) const;
//   static constexpr Reason kReason;
template <typename Derived>
class PerNodeFilter : public FilterPlugin {
 public:
  absl::Status Filter(const PodInfo& pod, const Snapshot& snap, const CycleState& state,
                      Feasible& nodes) const override {
    const auto& self = static_cast<const Derived&>(*this);
    for (size_t w = nodes.range().begin; w < nodes.range().end; ++w) {
      uint64_t keep = 0;
      NodeSet::ForEachBit(nodes.Entered(w), w,
                          [&](NodeIndex n) { keep |= uint64_t{self.Fits(pod, snap, state, n)} << (n % kWordBits); });
      nodes.Retain(w, keep, Derived::kReason);
    }
    return absl::OkStatus();
  }
};

// A plugin whose answer on one node depends on the pods of other nodes. What it counts lies in its
// slot of the CycleState. Its Filter runs after all others. Its PreScore runs again whenever rows or
// the feasible nodes changed; its Score is then called once for all words and gives final scores
// (normalization() is kNone).
class CrossNodePlugin : public virtual Plugin {
 public:
  // Cells of `rows` (perhaps with repeats) changed since PreFilter, PreScore or the last Recount:
  // brings the counts up to date. Called only where the plugin has something in its slot. Returns
  // whether the filter's answer may have changed on a node outside `rows`.
  virtual bool Recount(const PodInfo& pod, const Snapshot& snap, std::span<const NodeIndex> rows,
                       CycleState& state) const = 0;
};

// When no node is feasible: may propose to make room. post_filter.h has what it is given and gives.
class PostFilterPlugin : public virtual Plugin {
 public:
  // Leaves the snapshot as it was. `memo` is the shape's: what the plugin keeps in its slot lives until
  // the shape is forgotten.
  virtual PostFilterResult PostFilter(const PostFilterRequest& request, CycleState& memo) const = 0;
};

// Once per shape (but see CrossNodePlugin), when there are feasible nodes. Skip also skips the
// plugin's Score.
class PreScorePlugin : public virtual Plugin {
 public:
  virtual absl::StatusOr<Outcome> PreScore(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                           const NodeSet& feasible) const = 0;
};

// How raw scores become 0..100 over the feasible nodes (upstream's NormalizeScore).
enum class Normalization : uint8_t {
  kNone,           // Score gives 0..100 already
  kByMax,          // raw * 100 / max; all 0 where max is 0
  kByMaxReversed,  // 100 - that; all 100 where max is 0
};

class ScorePlugin : public virtual Plugin {
 public:
  // Writes out[n] for every feasible node n in `range`; other entries of the range may hold
  // anything. Raw scores are >= 0.
  virtual absl::Status Score(const PodInfo& pod, const Snapshot& snap, const CycleState& state, const NodeSet& feasible,
                             WordRange range, int64_t* out) const = 0;
  virtual Normalization normalization() const { return Normalization::kNone; }
};

// Takes or gives back what the pod uses beyond its cells, through the Statement.
class ReservePlugin : public virtual Plugin {
 public:
  virtual Outcome Reserve(const PodOnNode& pod, const Snapshot& snap, NodeIndex node, Statement& statement) const = 0;
};

class PermitPlugin : public virtual Plugin {
 public:
  virtual Outcome Permit(const PodInfo& pod, const Snapshot& snap, NodeIndex node) const = 0;
};

// What the engine shall do once a group is committed; executed by the binding cycle, in order.
struct Intent {
  // kBindVolume: writes that `volume` is the claim's; kProvisionClaim: that `claim` is to be provisioned
  // for the node. kReserveClaim: writes the ResourceClaim's allocation, where it has none, and the consumer.
  // After all of them, and once the volumes' claims are bound, the pod is bound.
  enum class Kind : uint8_t { kBind, kBindVolume, kProvisionClaim, kReserveClaim };
  Kind kind = Kind::kBind;
  ObjectPtr volume = nullptr;  // PersistentVolume, as it shall be
  ObjectPtr claim = nullptr;   // PersistentVolumeClaim or ResourceClaim, as it shall be
  Duration timeout = {};       // for the claims to be bound
  // Whether a volume (a PersistentVolume) is reachable from the node.
  bool (*reaches)(const Object& volume, const Node& node, const ClusterObjects& objects) = nullptr;
  ResourceClaim::Consumer consumer = {};  // kReserveClaim
};

// Writes needed before the first bind of a group.
class PreBindPlugin : public virtual Plugin {
 public:
  // `snap` has the whole group placed and reserved.
  virtual Outcome PreBind(const PodOnNode& pod, const Snapshot& snap, NodeIndex node,
                          std::vector<Intent>& intents) const = 0;
};

class BindPlugin : public virtual Plugin {
 public:
  // Skip: leaves the pod to the next Bind plugin.
  virtual Outcome Bind(const PodInfo& pod, NodeIndex node, std::vector<Intent>& intents) const = 0;
};

class PostBindPlugin : public virtual Plugin {
 public:
  virtual void PostBind(const PodInfo& pod, NodeIndex node) const = 0;
};

// Candidate places of a group that asks for topology.
class PlacementGeneratePlugin : public virtual Plugin {
 public:
  // Calls visit(candidate) for each place that may hold the group by its bounds (free amounts over what
  // the pods ask for), the best first, until visit returns true: the group was placed there. A candidate
  // is valid during the call; the snapshot is as before whenever visit returns false.
  virtual PlacementAnswer GeneratePlacements(const PlacementRequest& request, const Snapshot& snap,
                                             absl::FunctionRef<bool(const PlacementCandidate&)> visit) const = 0;
};

// Upstream's scores of placements. No plugin of ours has any: the generator visits the best place first.
class PlacementScorePlugin : public virtual Plugin {};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_FRAMEWORK_PLUGIN_H_
