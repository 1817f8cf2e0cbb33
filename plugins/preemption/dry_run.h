// What would have to go from one node for a pod to fit there.
#ifndef MUSTER_PLUGINS_PREEMPTION_DRY_RUN_H_
#define MUSTER_PLUGINS_PREEMPTION_DRY_RUN_H_

#include <cstdint>
#include <span>
#include <vector>

#include "scheduler/framework/cycle_state.h"
#include "scheduler/framework/post_filter.h"
#include "scheduler/framework/verdicts.h"
#include "scheduler/framework/victims.h"

namespace muster {

// One node's dry run, without the victims' names.
struct DryRun {
  enum class Result : uint8_t {
    kUnknown,     // not tried yet
    kCandidate,   // the pod fits once the victims are gone
    kNoVictims,   // nobody there has a lower priority
    kFails,       // it does not fit even then
    kFitsAnyway,  // it would fit with all of them there: contradicts the filters
  };
  Result result = Result::kUnknown;
  int32_t violations = 0;  // victims that a disruption budget protects
  int32_t highest = 0;     // priority among victims
  int32_t victims = 0;
  int64_t priorities = 0;  // sum over victims, each moved up to be >= 0
  Time start;              // the earliest of victims with the highest priority
  uint32_t why = 0;        // kFails: in DryRuns::kinds
  bool beyond = false;     // it depends on pods of other nodes: of groups that are disrupted whole

  // Upstream's order of choice among candidates; equal ones are neither way better.
  bool BetterThan(const DryRun& other) const;
};

// All nodes' dry runs for one shape, true for the moment of the last Refresh.
class DryRuns : public PluginState {
 public:
  void Refresh(const PostFilterRequest& r);
  // Tries the node unless that is known.
  const DryRun& Of(const PostFilterRequest& r, NodeIndex n) {
    if (rows_[n].result == DryRun::Result::kUnknown) rows_[n] = Try(r, n);
    return rows_[n];
  }
  // Tries the node; afterwards victims() are its victims, most important first: pods of the node, and of
  // groups that are disrupted whole those of other nodes too.
  DryRun Try(const PostFilterRequest& r, NodeIndex n);
  std::span<const PodOnNode> victims() const { return victim_pods_; }

  const RejectionKinds& kinds() const { return kinds_; }
  const std::string& Text(uint32_t reason) const { return rejections_.texts.Text(reason); }

 private:
  struct Unit : VictimUnit {
    bool whole = false;
    uint32_t first = 0;      // in pods_
    int32_t violations = 0;  // its pods that a disruption budget protects
  };

  static bool MoreImportant(const Unit& a, const Unit& b, const std::vector<PlacedPod>& pods);
  void FindUnits(const PostFilterRequest& r, NodeIndex n);
  void Move(const PostFilterRequest& r, NodeIndex n, const Unit& unit, bool away);
  DryRun Judge() const;
  void Reprieve(const PostFilterRequest& r, NodeIndex n, const Unit& unit);

  std::vector<DryRun> rows_;
  BudgetLedger budgets_;
  RejectionKinds kinds_;
  Rejections rejections_;                                       // scratch, but for its texts
  NodeSet one_;                                                 // scratch: empty between calls
  std::vector<PlacedPod> pods_;                                 // scratch, by unit
  std::vector<Unit> potential_, protected_, others_, victims_;  // scratch
  std::vector<PodOnNode> victim_pods_;
  uint64_t epoch_ = 0, cell_version_ = 0, budgets_version_ = 0, groups_version_ = 0;
  NodeIndex own_row_ = kNoNode;
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_PREEMPTION_DRY_RUN_H_
