// Makes room for a group by evicting others, and proves beforehand that the group then fits.
#ifndef MUSTER_SCHEDULER_ENGINE_CYCLE_GROUP_PREEMPTION_H_
#define MUSTER_SCHEDULER_ENGINE_CYCLE_GROUP_PREEMPTION_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "scheduler/engine/cycle/group_explain.h"
#include "scheduler/engine/quota/ledger.h"
#include "scheduler/engine/quota/victim_index.h"
#include "scheduler/engine/quota/victim_rule.h"
#include "scheduler/framework/post_filter.h"
#include "scheduler/framework/statement.h"
#include "scheduler/framework/victims.h"
#include "scheduler/model/snapshot.h"

namespace muster {

struct RoomForGroup {
  // Success: who has to go, perhaps nobody. `nominate` stays unset: see nominations.
  PostFilterResult result;
  std::vector<std::string> nominations;  // on success, by member: its node, "" for those without
  bool waits = false;                    // success: pods that are on their way out already are enough
};

class GroupPreemption {
 public:
  // Candidate places that are proved, of those that seem to cost least.
  static constexpr size_t kPlaces = 16;
  // How often a placed member is looked at again while victims are spared, in one place, where filters
  // look across nodes; who was not spared by then has to go. Each costs some 20 us at 5,000 nodes.
  static constexpr size_t kLooks = 4096;

  // Both outlive this.
  GroupPreemption(Snapshot& snapshot, Statement& statement) : snapshot_(snapshot), statement_(statement) {}

  // `nominated`: by member the node that it waits for, or empty where none does. Requires: the group was
  // explained just now (its verdicts are up to date), and nothing of it is placed. Leaves the snapshot as
  // it was.
  RoomForGroup MakeRoom(const GroupContext& group, std::span<const std::string> nominated);

  // The same for pods of a queue, of whatever group or none: who may go is as the rule says. What lacks may be room in
  // the queue too. Pods that are on their way out already are waited for: where they are enough, nobody goes, and
  // `victims` is empty. `rule` and `ledger` are of the same queues. group_reclaim.cc.
  RoomForGroup MakeRoomInQueue(const GroupContext& group, VictimRule& rule, Ledger& ledger);

 private:
  using Victim = VictimIndex::Victim;
  // How often victims are chosen anew because of those chosen not all may go together.
  static constexpr int kChoices = 16;
  // Where room on nodes is made in queues: nodes looked at first, of those that seem to cost least; or twice as many as
  // pods want a place. All are only where that does not do.
  static constexpr size_t kRows = 32;

  struct Unit : VictimUnit {
    bool elastic = false;  // above its group's minimum: goes before its equals
    bool whole = false;
    uint32_t first = 0;                       // in pods_
    int64_t dear = 0;                         // who is dearer goes after the others; without queues its priority
    const VictimIndex::Victim* of = nullptr;  // where there are queues
  };
  // What has to go from a row for one more pod: budgets broken, pods, how dear they are, whether somebody is not
  // elastic, work lost.
  using RowPrice = std::tuple<int32_t, int64_t, int64_t, bool, int64_t>;
  // What a place costs: budgets violated, pods, running time lost.
  using Cost = std::tuple<int32_t, int64_t, int64_t>;
  struct Found {
    Cost cost;
    std::vector<uint32_t> victims;  // units
    std::vector<NodeIndex> nodes;   // by member
  };
  // What came of trying all units.
  struct Tried {
    std::optional<Found> best;
    bool placed = false;
    bool proven = true;  // that without them there is no place either, if none was found
    std::string places;  // for people: which were tried
  };

  std::string_view NotEligible(const GroupContext& group, std::span<const std::string> nominated) const;
  NodeSet UsefulRows(const GroupContext& group);
  void FindUnits(const GroupContext& group);
  void AddElastic();
  Tried Try(const GroupContext& group);
  void Tell(const Found& found, RoomForGroup& room) const;
  void RemoveAll();
  std::span<const PlacedPod> Pods(const Unit& unit) const { return std::span(pods_).subspan(unit.first, unit.count); }
  void FindPrices(const GroupContext& group, const PodInfo& main);
  int64_t Estimate(const GroupContext& group, const PlacementCandidate& candidate);
  void Prove(const GroupContext& group, Found& found);
  void Spare(const GroupContext& group, std::span<const uint32_t> units, std::vector<uint32_t>& victims);
  bool StillFits(const GroupContext& group, std::span<const uint32_t> units);
  bool MembersFit(const GroupContext& group, std::span<const uint32_t> members);
  Cost CostOf(std::span<const uint32_t> victims);
  int64_t WorkLost(const Pod& pod) const;

  // Where there are queues.
  void FindVictims(const GroupContext& group);
  void SelectVictims();
  std::optional<Found> ChooseVictims(const GroupContext& group, std::string& places);
  bool MayHaveRoom();
  bool HasSlots(const GroupContext& group);
  void FindRows(const GroupContext& group, bool price);
  bool PriceRow(const GroupContext& group, std::span<std::pair<NodeIndex, const Victim*>> victims, RowPrice& price);
  Tried TryRows(const GroupContext& group, const NodeSet& rows);
  void DropExcess();
  void AddUnit(const Victim& victim);
  std::span<const PlacedPod> PodsOf(const Victim& victim) const;
  bool GoesAfter(const Victim& a, const Victim& b) const;
  uint32_t ClassOf(QueueIndex queue) const { return class_of_[queue == kNoQueue ? class_of_.size() - 1 : queue]; }
  int64_t DearOf(const Victim& victim) const;
  void Lend(std::span<const VictimRule::Unit* const> units, int sign);
  void RemoveGoing();
  bool PlaceWithoutGoing(const GroupContext& group, Found& found);
  bool PlaceAtAll(const GroupContext& group, Found& found);
  bool Complete(const GroupContext& group, Found& found);
  std::string Explain(const Found& found, RoomForGroup& room) const;
  bool Proven(const GroupContext& group, const Found& found);

  Snapshot& snapshot_;
  Statement& statement_;
  std::vector<PlacedPod> pods_;
  std::vector<Unit> units_;  // the most important first
  size_t units_tried_ = 0;   // of them, so many first: the others go for room in the queue alone
  BudgetLedger budgets_;
  Time newest_;  // start among all
  GroupSearch::Prices prices_;
  std::vector<int64_t> before_, after_, goers_;          // by row: slots with and without the units; their pods
  std::vector<std::pair<NodeIndex, uint32_t>> on_rows_;  // placed members by row, in the order of placing
  std::vector<uint32_t> affected_;                       // scratch
  size_t looks_ = 0;

  VictimRule* rule_ = nullptr;  // null: there are no queues
  Ledger* ledger_ = nullptr;
  std::optional<VictimIndex> index_;
  std::vector<const Victim*> all_;           // whoever may have to go by any plan, row by row; then groups as a whole
  std::vector<const Victim*> chosen_;        // those of them that the plan lets go
  absl::flat_hash_set<const Victim*> kept_;  // that may not go, as it turned out
  std::vector<uint32_t> class_of_;           // by queue, and last of those in none: whose goes later has the lower one
  std::vector<std::pair<RowPrice, NodeIndex>> priced_;
  std::vector<const Victim*> tried_;  // beside asked_: first those of units_, then the other chosen
  std::vector<const VictimRule::Unit*> all_asked_, asked_;
  std::vector<int64_t> free_;                                // scratch
  bool removed_ = false;                                     // those on their way out are taken from their rows
  std::vector<PlacedPod> going_;                             // scratch
  std::vector<std::pair<NodeIndex, const Victim*>> on_row_;  // the chosen by row: each of a whole group's too
  std::vector<int64_t> lent_;                                // scratch: by queue and cell
  std::vector<uint32_t> illegal_;                            // scratch
  // A lone pod for which nobody may go, and what everything was then.
  struct Refusal {
    const PodInfo* info = nullptr;
    size_t pods = 0;
    int32_t priority = 0;
    Time now, created;
    uint64_t cells = 0, charges = 0;
    friend bool operator==(const Refusal&, const Refusal&) = default;
  };
  Refusal refused_;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_CYCLE_GROUP_PREEMPTION_H_
