// The scheduling cycle: decides where a group's pods go, whole or not at all. It changes cells
// through its Statement and acts on nothing else.
#ifndef MUSTER_SCHEDULER_ENGINE_CYCLE_GROUP_CYCLE_H_
#define MUSTER_SCHEDULER_ENGINE_CYCLE_GROUP_CYCLE_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "scheduler/engine/cycle/group_places.h"
#include "scheduler/engine/cycle/group_preemption.h"
#include "scheduler/engine/cycle/group_request.h"
#include "scheduler/engine/cycle/group_search.h"
#include "scheduler/engine/cycle/shape_cache.h"
#include "scheduler/framework/evaluation.h"
#include "scheduler/framework/explain.h"
#include "scheduler/framework/framework.h"
#include "scheduler/framework/post_filter.h"
#include "scheduler/framework/statement.h"
#include "scheduler/model/snapshot.h"
#include "scheduler/runtime/worker_pool.h"

namespace muster {

class GroupCycle {
 public:
  // All outlive the cycle. `ledger`, which the snapshot's pods are charged in, may be null: there are no queues.
  GroupCycle(Snapshot& snapshot, WorkerPool& workers, uint64_t seed, Ledger* ledger = nullptr)
      : snapshot_(snapshot),
        workers_(workers),
        ledger_(ledger),
        seed_(seed),
        statement_(snapshot),
        nominator_(snapshot),
        search_(snapshot, workers, statement_, ledger, plans_, seed),
        preemption_(snapshot, statement_) {
    if (ledger == nullptr) return;
    rule_.emplace(ledger->catalog(), ledger->tree(), evictions_);
    // In one queue priority decides, and pods of no queue wait for what is left.
    nominator_.SetYields([ledger](const PodInfo& waiting, const PodInfo& other) {
      if (!ledger->on()) return true;
      const QueueIndex queue = ledger->AccountOf(waiting).queue;
      return queue == kNoQueue || queue == ledger->AccountOf(other).queue;
    });
  }

  // On success the pods are on their nodes in the snapshot, which keeps pointers to them; on failure
  // it is as before. The result is reused by the next call. Requires: there is a member.
  const GroupDecision& Decide(const Framework& framework, const GroupRequest& request, StageListener* stages = nullptr);
  // All of them, as a group without name.
  const GroupDecision& Decide(const Framework& framework, std::span<const Member> group,
                              StageListener* stages = nullptr) {
    GroupRequest request;
    request.members = group;
    request.min = group.size();
    return Decide(framework, request, stages);
  }

  // Looks for the earliest time at which the group fits, if those who run now end when they say (Pod::max_runtime), and
  // keeps the nodes for it until then. False: no such time is known. Requires: it does not fit now. `name` is for
  // people.
  bool PlanStart(const Framework& framework, const GroupRequest& request, const std::string& key,
                 const std::string& name);
  StartPlans& plans() { return plans_; }

  // Pods that wait for a node that preemption makes room on.
  Nominator& nominator() { return nominator_; }
  // Of queues' pods for others: noted by whoever has them evicted.
  EvictionLog& evictions() { return evictions_; }
  // Whether somebody may go so that the group's queue has room for it; false is certain.
  bool MayMakeRoom(QueueIndex queue, std::span<const Charge> all, std::span<const AnyCharge> any) const {
    return rule_ && rule_->MayHelp(queue, all, any);
  }

 private:
  void UseQuota(Ledger::View view) {
    if (ledger_ != nullptr) ledger_->Use(view);
  }
  bool PlacePod(const Framework& framework, const GroupRequest& request, StageListener* stages);
  NodeIndex Choose(const Pod& pod, const Evaluation& answer, const NodeSet* room) const;
  std::string WhyNoRoom(const PodInfo& pod) const;
  void NoQuota(const PodInfo& pod);
  void AddNoQuota();
  bool Reserve(const Framework& framework, const PodOnNode& pod, NodeIndex node);
  const Explanation& WhyNot(const Framework& framework, ShapeCache::Entry& entry, const Nominated* nominated);
  void MakeRoom(const Framework& framework, const GroupRequest& request, ShapeCache::Entry& entry,
                const Nominated* nominated, StageListener* stages);
  void MakeRoomInQueue(const Framework& framework, const GroupRequest& request, const Nominated* nominated,
                       StageListener* stages);
  // Whether the pod is charged to a queue: then queues' rules decide who goes for it.
  bool InQueue(const PodInfo& pod) const {
    return ledger_ != nullptr && ledger_->on() && ledger_->AccountOf(pod).queue != kNoQueue;
  }

  bool PlaceGroup(const Framework& framework, const GroupRequest& request, StageListener* stages);
  bool PlaceNominated(const Framework& framework, const GroupRequest& request, const Nominated* nominated);
  void TakePlacements(const Framework& framework, const GroupRequest& request, const PlacementCandidate& candidate,
                      const Nominated* nominated);
  bool MakeRoomForGroup(const Framework& framework, const GroupRequest& request, const Nominated* nominated,
                        StageListener* stages);
  void Withdraw(std::span<const Member> members);
  void Renominate(std::span<const Member> members);

  bool CollectIntents(const Framework& framework, std::span<const Member> members);
  bool Reject(const Plugin& plugin, const Outcome& outcome);

  Snapshot& snapshot_;
  WorkerPool& workers_;
  Ledger* const ledger_;
  const uint64_t seed_;
  Statement statement_;
  ShapeCache shapes_;
  GroupDecision result_;
  Nominator nominator_;
  StartPlans plans_;
  GroupSearch search_;
  GroupPlaces places_;
  GroupPreemption preemption_;
  EvictionLog evictions_;
  std::optional<VictimRule> rule_;         // where there is a ledger
  Explanation rejected_;                   // by Reserve, Permit or PreBind; or with what PostFilter said; or of a group
  std::vector<std::string> nominated_;     // by member: the node that it waits for; empty where none does
  std::vector<NodeIndex> nominated_rows_;  // likewise
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_CYCLE_GROUP_CYCLE_H_
