// The pods on the snapshot's rows as VictimRule looks at them. A decision may look at all 25,000 of a cluster: what
// does not change from one to the next is kept here, row by row, and only rows whose pods changed are read again.
//
// Decision thread only.
#ifndef MUSTER_SCHEDULER_ENGINE_QUOTA_VICTIM_INDEX_H_
#define MUSTER_SCHEDULER_ENGINE_QUOTA_VICTIM_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "scheduler/engine/quota/ledger.h"
#include "scheduler/engine/quota/victim_rule.h"
#include "scheduler/framework/victims.h"
#include "scheduler/model/snapshot.h"

namespace muster {

class VictimIndex {
 public:
  static constexpr uint32_t kNoGroup = UINT32_MAX;

  // Who goes as one: a pod, or those of a group that is disrupted whole.
  struct Victim {
    VictimRule::Unit unit;
    Time start;       // the earliest of its pods'; InfiniteFuture: not yet
    PlacedPod first;  // by row and name
    uint32_t group = kNoGroup;
    bool elastic = false;  // above its group's minimum: goes before its equals
    bool whole = false;    // of On: it goes with its group alone
  };

  // Both outlive this.
  VictimIndex(const Snapshot& snapshot, Ledger& ledger) : snapshot_(snapshot), ledger_(ledger) {}

  // Takes up what changed. What was given before is not valid any more. Requires: nothing is on trial.
  void Update();

  // The pods on the row that are not on their way out, of those that rank alike the most important first.
  std::span<const Victim> On(NodeIndex n) const { return rows_[n].victims; }
  // Rows with pods that are on their way out, ascending.
  std::span<const NodeIndex> going() const { return going_; }
  // Calls f(const Victim&, std::span<const PlacedPod>) for each group that is disrupted whole, all of one queue.
  template <typename F>
  void ForEachWhole(F&& f) const {
    for (const Group& group : groups_) {
      if (group.members > 0 && group.whole && !group.pods.empty() && !group.mixed) f(group.victim, group.pods);
    }
  }
  std::span<const PlacedPod> PodsOf(uint32_t group) const { return groups_[group].pods; }
  // kNoGroup: none of its pods is on a row.
  uint32_t GroupOf(std::string_view ns, const GroupRef& group) const;

  // Whether a ranks higher, both of the same queue: priority, then who is whole, larger, and started first.
  static bool RanksHigher(const Victim& a, const Victim& b);

 private:
  struct Row {
    uint64_t version = 0;
    bool going = false;
    std::vector<uint32_t> going_of;  // the groups of pods on their way out
    std::vector<Victim> victims;
  };
  struct Group {
    std::string ns;
    GroupRef ref;
    size_t members = 0;
    bool dirty = false;
    bool whole = false;
    // Where it is whole: as one, and its pods.
    Victim victim;
    bool mixed = false;  // of several queues: nobody's to give
    std::vector<PlacedPod> pods;
  };
  using Key = std::tuple<std::string, GroupRef::Source, std::string>;

  void Read(NodeIndex n);
  uint32_t Enter(const Pod& pod);
  void Spoil(uint32_t group);
  void ReadGroup(uint32_t group);
  void ReadWhole(uint32_t group);
  Victim* Find(const Pod* pod, NodeIndex n);

  const Snapshot& snapshot_;
  Ledger& ledger_;
  uint64_t generation_ = 0, groups_version_ = 0, coscheduling_version_ = 0;
  std::vector<Row> rows_;
  std::vector<NodeIndex> going_;
  std::vector<Group> groups_;
  std::vector<uint32_t> unused_;  // in groups_
  absl::flat_hash_map<Key, uint32_t> group_of_;
  std::vector<uint32_t> dirty_;
  std::vector<Charge> charges_;              // scratch
  std::vector<const Pod*> members_;          // scratch
  absl::flat_hash_set<const Pod*> elastic_;  // scratch
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_QUOTA_VICTIM_INDEX_H_
