// Makes room for a group by evicting others, and proves beforehand that the group then fits.
#ifndef MUSTER_SCHEDULER_ENGINE_CYCLE_GROUP_PREEMPTION_H_
#define MUSTER_SCHEDULER_ENGINE_CYCLE_GROUP_PREEMPTION_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "scheduler/engine/cycle/group_explain.h"
#include "scheduler/framework/post_filter.h"
#include "scheduler/framework/statement.h"
#include "scheduler/framework/victims.h"
#include "scheduler/model/snapshot.h"

namespace muster {

struct RoomForGroup {
  // Success: who has to go, perhaps nobody. `nominate` stays unset: see nominations.
  PostFilterResult result;
  std::vector<std::string> nominations;  // on success, by member: its node, "" for those without
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

 private:
  struct Unit : VictimUnit {
    bool elastic = false;  // above its group's minimum: goes before its equals
    bool whole = false;
    uint32_t first = 0;  // in pods_
  };
  // What a place costs: budgets violated, pods, running time lost.
  using Cost = std::tuple<int32_t, int64_t, int64_t>;
  struct Found {
    Cost cost;
    std::vector<uint32_t> victims;  // units
    std::vector<NodeIndex> nodes;   // by member
  };

  std::string_view NotEligible(const GroupContext& group, std::span<const std::string> nominated) const;
  void FindUnits(const GroupContext& group);
  void AddElastic();
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

  Snapshot& snapshot_;
  Statement& statement_;
  std::vector<PlacedPod> pods_;
  std::vector<Unit> units_;  // the most important first
  BudgetLedger budgets_;
  Time newest_;  // start among all
  GroupSearch::Prices prices_;
  std::vector<int64_t> before_, after_, goers_;          // by row: slots with and without the units; their pods
  std::vector<std::pair<NodeIndex, uint32_t>> on_rows_;  // placed members by row, in the order of placing
  std::vector<uint32_t> affected_;                       // scratch
  size_t looks_ = 0;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_CYCLE_GROUP_PREEMPTION_H_
