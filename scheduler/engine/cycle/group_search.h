// Finds nodes for a group's members inside one candidate place: greedily where that does, else by a
// bounded search. Whatever it tries is in the Statement; what it gives up is rolled back.
#ifndef MUSTER_SCHEDULER_ENGINE_CYCLE_GROUP_SEARCH_H_
#define MUSTER_SCHEDULER_ENGINE_CYCLE_GROUP_SEARCH_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "scheduler/engine/cycle/group_request.h"
#include "scheduler/engine/cycle/shape_cache.h"
#include "scheduler/engine/cycle/start_plans.h"
#include "scheduler/engine/quota/ledger.h"
#include "scheduler/framework/evaluation.h"
#include "scheduler/framework/framework.h"
#include "scheduler/framework/placement.h"
#include "scheduler/framework/statement.h"
#include "scheduler/model/snapshot.h"
#include "scheduler/runtime/worker_pool.h"

namespace muster {

// Reserves for a pod that is on the node in the statement, and asks for permission: null, or who refuses and `why`.
// What was reserved until then stays in the statement.
const Plugin* WhoRefuses(const Framework& framework, const PodOnNode& pod, const Snapshot& snap, NodeIndex node,
                         Statement& statement, Outcome* why);

class GroupSearch {
 public:
  // What the search in one candidate may do beyond the greedy passes, in steps: looking again at one
  // shape's answer, or picking nodes from it, counts as kStepBase and one for every word of nodes.
  // 400,000 steps are 4,200 looks at 5,000 nodes (79 words), some 15 ms, and 23,000 at up to 64 nodes.
  static constexpr uint64_t kBudget = 400'000;
  static constexpr uint64_t kStepBase = 16;
  // And in all candidates together, greedy passes included, in times that: with more, the rest is given up.
  static constexpr uint64_t kBudgetsInAll = 4;
  // Up to so many shapes, the search always takes the one with the fewest nodes left; with more, in the
  // order that this gives at the start.
  static constexpr size_t kDynamicShapes = 16;

  enum class Verdict : uint8_t {
    kPlaced,      // at least `min` members, and at least one, are on their nodes in the snapshot
    kImpossible,  // proven: no order of placing enough of them passes all filters
    kNotFound,    // none was found within the budget, or the search was not over all orders
    kBroken,      // a plugin failed: broken_shape()
  };

  struct Shape {
    ShapeCache::Entry* entry;
    uint32_t members = 0;  // how many there are
    bool across = false;   // a filter looks at other nodes' pods
    bool grows = false;    // nodes may become feasible as members are placed: affinity, spreading
  };

  // All outlive this. No member goes where its queue has no room for it (`ledger`; null: there are no queues), nor
  // where `plans` keep the node from it.
  GroupSearch(Snapshot& snapshot, WorkerPool& workers, Statement& statement, Ledger* ledger, const StartPlans& plans,
              uint64_t seed)
      : snapshot_(snapshot), workers_(workers), statement_(statement), ledger_(ledger), plans_(plans), seed_(seed) {}

  // The rows that a member may take as far as queues and plans go; null: all. Valid until the next call.
  const NodeSet* RoomFor(const GroupRequest& request, const Member& member);

  // Takes up a group: its shapes' answers, brought up to date. False where one is broken. What is given
  // here stays valid until the last call for this group.
  bool Begin(const Framework& framework, const GroupRequest& request, ShapeCache& shapes, const Nominated* nominated,
             StageListener* stages, WorkCount& work);
  // What was spent counts no more.
  void RenewBudget();
  // Brings one answer, or all, up to date with the cluster. False where it is broken.
  bool Refresh(uint32_t shape);
  bool RefreshAll();

  // The whole cluster as a candidate. Valid until the next call.
  PlacementCandidate WholeCluster();

  // What it costs to have one more member on a row, in steps: of the row's, the first with more slots than
  // members are there counts. Rows beyond their last step cost the most.
  struct Price {
    int64_t slots;
    int64_t cost;  // 0: nothing
  };
  struct Prices {
    std::vector<Price> steps;      // row after row, slots ascending
    std::vector<uint32_t> of_row;  // begin in `steps`, by row; one more than there are rows
  };
  // While set, the cheapest nodes come first and runs later; null: the best, as scores and runs say.
  void Prefer(const Prices* prices);

  // All need: nothing of the group is placed by an earlier call, or Undo() was called since.
  // `whole`: elastic members too, each where there is room; else the minimum only.
  Verdict Place(const PlacementCandidate& candidate, bool whole = true);
  // Exactly these nodes, by member; those with kNoNode may go where there is room once the others are placed.
  Verdict PlaceExactly(const PlacementCandidate& candidate, std::span<const NodeIndex> nodes);
  // As many as greedily fit, however few; kPlaced where that is enough.
  Verdict PlaceMost(const PlacementCandidate& candidate);
  // Tries the members anywhere instead, each on its best node, and leaves it so where as many as now take fewer of
  // these domains (PlacementCandidate::preferred_domain), or more of them no more. False: an answer is broken.
  bool TryFewer(std::span<const uint32_t> domain_of_row);
  void Undo() { UndoTo(0); }
  // Forgets what is placed: it stays in the Statement.
  void Keep() { Clear(); }

  // How many pods of the shape the node's free amounts hold, whatever else keeps them away.
  int64_t Slots(const PodInfo& pod, NodeIndex n) const;
  // The resources that filters look at: whether nodes must have them free.
  bool Limits(ResourceId resource) const { return resource < limits_.size() && limits_[resource] != 0; }
  std::span<const uint8_t> limits() const { return limits_; }

  // By member: its node, kNoNode for those without, and the node's total as it was placed.
  std::span<const NodeIndex> nodes() const { return node_; }
  std::span<const int64_t> scores() const { return score_; }
  // The members in the order in which they were placed.
  std::span<const uint32_t> order() const { return order_; }
  size_t placed() const { return order_.size(); }
  // Members that must be placed: at least one.
  size_t need() const { return need_; }

  std::span<const Shape> shapes() const { return shapes_; }
  std::span<const uint32_t> shape_of() const { return shape_of_; }  // by member
  // Whether a member may fit on a node or not for what pods on other nodes are.
  bool heeds_others() const { return across_ || volumes_; }
  const Shape* broken_shape() const { return broken_; }
  // The last plugin that refused a node which all filters had passed; null where none did.
  const Plugin* refused_by() const { return refused_by_; }
  // The first member since Begin that a node could take but its queue had no room for there; null where none was so.
  const PodInfo* without_quota() const { return without_quota_; }
  bool known() const { return known_; }  // every shape's answer was known

 private:
  struct Class {  // members that can stand for each other: of one shape, and with slices of one slice
    uint32_t shape = 0, slice = 0;
    std::vector<uint32_t> left;  // not placed, the first last
    bool dropped = false;
  };
  struct Slice {
    uint32_t domain, placed;  // a domain that is given counts as one more that is placed
  };
  struct Choice {
    uint32_t of;   // in classes_
    size_t nodes;  // that it may go to
  };

  bool Look(Shape& shape, StageListener* stages);
  void Enter(const PlacementCandidate& candidate);
  void Clear();
  bool Allowed(uint32_t member, NodeIndex n) const;
  int64_t CostOf(NodeIndex n) const;
  // The rows on which the member's queue has room for it; null: all.
  const NodeSet* RoomFor(uint32_t member) { return RoomFor(*request_, request_->members[member]); }
  bool HasRoom(uint32_t member, NodeIndex n) {
    const NodeSet* const room = RoomFor(member);
    return room == nullptr || room->Has(n);
  }
  NodeIndex Pick(uint32_t member, std::span<const NodeIndex> nodes);
  NodeIndex PickIn(uint32_t member, std::span<const NodeIndex> nodes, const NodeSet* room) const;
  bool PlaceOn(uint32_t member, NodeIndex n);
  void UndoTo(size_t count);
  bool Greedy(bool along_runs, size_t enough, size_t most);
  bool GreedyMember(uint32_t member, std::span<const NodeIndex> nodes);
  void PlaceRest();
  const NodeSet* MayTake(const Shape& shape) const;
  size_t BoundOf(const Shape& shape, size_t enough) const;
  bool ResourcesSuffice(size_t members);
  size_t BoundInside(size_t enough);

  // The search beyond the greedy passes: group_descent.cc.
  bool Search();
  bool Descend();
  bool TryClass(uint32_t c);
  bool TryNode(uint32_t c, NodeIndex n);
  bool FindChoices(std::vector<Choice>& choices, std::vector<uint32_t>& hopeless);
  size_t CountAllowed(const Class& of, const NodeSet& nodes) const;
  bool Spend();
  bool Exchangeable(NodeIndex a, NodeIndex b) const;

  Snapshot& snapshot_;
  WorkerPool& workers_;
  Statement& statement_;
  Ledger* const ledger_;
  const StartPlans& plans_;
  const uint64_t seed_;

  // Of the group.
  const Framework* framework_ = nullptr;
  const GroupRequest* request_ = nullptr;
  const Nominated* nominated_ = nullptr;
  WorkCount* work_ = nullptr;
  std::vector<Shape> shapes_;
  std::vector<uint32_t> shape_of_;
  size_t need_ = 1;
  bool across_ = false, grows_ = false, volumes_ = false, known_ = false;
  std::vector<uint8_t> limits_;  // by ResourceId
  bool limits_pods_ = false;
  const Shape* broken_ = nullptr;
  const Plugin* refused_by_ = nullptr;
  const PodInfo* without_quota_ = nullptr;
  std::vector<NodeIndex> all_rows_;
  const Prices* prices_ = nullptr;
  std::vector<uint32_t> on_row_;  // members placed, while there are prices

  // Of the candidate.
  const PlacementCandidate* candidate_ = nullptr;
  NodeSet inside_;
  bool homed_ = false;                   // a slice's domain is given
  std::vector<Slice> slices_;            // empty: none are asked for
  std::vector<uint32_t> slice_of_;       // by member
  std::vector<uint32_t> domain_of_row_;  // of the slice level

  // What is placed.
  std::vector<NodeIndex> node_;
  std::vector<int64_t> score_;
  std::vector<uint32_t> order_;
  std::vector<size_t> marks_;  // beside order_: the Statement before

  // Scratch.
  std::vector<uint32_t> waiting_;
  std::vector<std::pair<int64_t, uint32_t>> amounts_;
  std::vector<std::pair<uint32_t, NodeIndex>> before_;
  std::vector<uint32_t> domains_;
  PlacementCandidate everywhere_;
  NodeSet room_;
  NodeSet union_;

  // Of the search.
  std::vector<Class> classes_;
  absl::flat_hash_set<uint64_t> seen_;  // states that were tried
  uint64_t state_ = 0, left_ = 0, left_in_all_ = 0;
  size_t slack_ = 0;  // members that may yet be left out
  bool symmetric_ = false, exhausted_ = false, partial_ = false;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_CYCLE_GROUP_SEARCH_H_
