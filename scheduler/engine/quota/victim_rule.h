// Who may be evicted for whom where there are queues, and who of them goes first.
//
// A queue's own pods are at the bottom of its path upwards, as a child that has what the queue itself lists: so a
// queue with children has pods of its own, and a quota that is theirs. Of two queues' paths the parts below the place
// where they meet, the nearest queue above both, decide. A queue borrows in a cell, as seen from another one, where all
// of its part use more than is theirs. Where queue q wants room, a pod may go that is charged to
//  - q itself, as q's withinQueue says: of lower priority, or created later and of equal priority; but not for those
//    who, beside q's pods of higher rank, are in part within what is q's own and in part beyond: they would be
//    reclaimed whole and come back for ever;
//  - a queue that borrows in a cell that the pod is charged in and q asks for ("reclamation"), as q's reclaim says,
//    where the top of q's part stays within what is its own: so children reclaim what their parent shares among them;
//  - such a queue of lower priority ("borrowing"), where the top of q's part borrows and q's borrowing allows it, while
//    its share stays below that of the top of the other part with the pod;
//  - no queue, of lower priority.
// Of other queues' pods none of system priority goes, none more an hour than their queue allows, and nobody's before
// it ran for its queue's minRuntime. All of that holds for each of the set that goes, with all others of it gone and
// those who want room there: nobody goes who could come back without his queue borrowing again.
//
// No chain of such evictions goes on for ever without arrivals: reclamation lowers what is used beyond what is theirs
// just below the place where two queues meet, and raises none there; and without reclamation all that go rank lower (by
// priority, then age) than those they go for.
//
// Decision thread only.
#ifndef MUSTER_SCHEDULER_ENGINE_QUOTA_VICTIM_RULE_H_
#define MUSTER_SCHEDULER_ENGINE_QUOTA_VICTIM_RULE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/functional/function_ref.h"
#include "queue/queue_catalog.h"
#include "queue/queued_group.h"
#include "queue/quota_tree.h"
#include "scheduler/model/ids.h"

namespace muster {

// How many of each queue's pods others had evicted within an hour. By name: queues may change meanwhile.
class EvictionLog {
 public:
  void Note(const std::string& queue, Time now, int64_t pods = 1);
  // In the hour up to `now`, and a second more.
  int64_t Count(const std::string& queue, Time now) const;
  // When that falls if nothing is added. InfiniteFuture: it is 0.
  Time FallsAt(const std::string& queue, Time now) const;

 private:
  std::map<std::string, std::deque<std::pair<Time, int64_t>>> of_;
};

class VictimRule {
 public:
  static constexpr int32_t kSystemPriority = 2'000'000'000;

  enum class Reason : uint8_t { kNone, kInQueue, kReclamation, kBorrowing, kUncharged };

  // Who wants room, all of one queue, and what they ask of it: the whole that is to be placed.
  struct Preemptor {
    QueueIndex queue = kNoQueue;
    int32_t priority = 0;
    Time created;  // the last of those that must be placed: who is evicted for them is newer than all of them
    Time now;
    std::vector<Charge> all;
    std::vector<AnyCharge> any;
  };

  // Who goes or stays as one.
  struct Unit {
    QueueIndex queue = kNoQueue;  // kNoQueue: charged to none
    int32_t priority = 0;         // the highest of its pods'
    Time created;                 // the first of its pods
    Time started;                 // the last of its pods; InfiniteFuture: not yet
    int64_t pods = 1;
    absl::InlinedVector<Charge, 4> charges;  // one a cell
  };

  // What is tried. Places are those of the preemptor's queue (0) and of the queues above it, bottom up.
  struct Plan {
    std::vector<bool> reclaim;  // by place: from queues that meet the preemptor's there it reclaims
    bool makes_own = false;     // pods of its own queue go too, so that it may
    bool borrow = false;        // from queues that meet it elsewhere it takes as borrowing says
  };

  // All outlive this. The tree is as the catalog says.
  VictimRule(const QueueCatalog& catalog, const QuotaTree& tree, const EvictionLog& evictions)
      : catalog_(catalog), live_(tree), evictions_(evictions) {}

  // Whether somebody may go so that the queue has room for the demand, as far as can be told at once: false is
  // certain. O(cells * depth * children).
  bool MayHelp(QueueIndex queue, std::span<const Charge> all, std::span<const AnyCharge> any) const;

  // Takes up who wants room, and what is used before anybody goes, of a tree that is built alike. Valid until the tree
  // is built anew.
  void Begin(Preemptor preemptor, const QuotaTree& used);
  const Preemptor& preemptor() const { return p_; }
  // Whether pods of the queue are worth a look.
  bool MayLose(QueueIndex queue) const { return queue == kNoQueue || look_[queue] != Reason::kNone; }
  // Whether by some plan somebody may go; false is certain. `has_below(queue, priority)`: whether pods that are charged
  // to the queue (kNoQueue: to none) may rank below the priority.
  bool MayFind(absl::FunctionRef<bool(QueueIndex, int32_t)> has_below) const;
  // What to try, the best first. `units`: all of the preemptor's own queue; others do not matter.
  std::vector<Plan> Plans(std::span<const Unit* const> units);
  // Tries this from now on.
  void Follow(const Plan& plan);
  // Why the unit may go by the plan, taken alone; kNone: it may not.
  Reason ReasonOf(const Unit& unit) const;
  // How much the unit's queue is over its share: who has more goes first. Own pods, and those of no queue, after all.
  struct Rank {
    bool other = false;
    Share outer, inner;  // below the nearest queue above both; of the queue itself
    friend auto operator<=>(const Rank&, const Rank&) = default;
  };
  Rank RankOf(QueueIndex queue) const;
  // Begins another node: nobody goes there.
  void BeginNode() { ++node_; }
  // Whether the unit, which is on the node, may go beside those that were let go there before, of its queue the least
  // important first: no more of a queue than that borrows.
  bool MayLeaveNode(const Unit& unit);

  // Who of the units goes beside those in `victims`, so that there is room for `charges` (what those who want room are
  // charged with where they will be): they are added, the fewest that suffice, the most important first, which is what
  // `before` tells of two units of one queue, and of two victims. False: no such set is legal; `illegal` are those of
  // the set who were why, if any.
  using Before = absl::FunctionRef<bool(uint32_t, uint32_t)>;
  bool Choose(std::span<const Unit* const> units, std::span<const Charge> charges, Before before,
              std::vector<uint32_t>& victims, std::vector<uint32_t>& illegal);
  // When somebody who is protected by his queue's minRuntime, or by its evictionsPerHour, is so no more: the first
  // time of all that ReasonOf has met. InfiniteFuture: nobody was.
  Time again_at() const { return again_at_; }
  // Below which priority pods of the preemptor's own queue may go.
  int32_t below() const;
  // Whether it matters when the preemptor was created.
  bool heeds_age() const;

 private:
  struct Level {
    QueueIndex queue;
    bool own;  // its own pods alone
  };
  using Wide = absl::int128;
  // Of another queue's units all that does not depend on the unit, by the plan and with nobody gone yet.
  struct View {
    uint64_t round = 0;  // that it is of
    Reason reason = Reason::kNone;
    bool lower = false;  // only units of lower priority
    int64_t allowance = 0;
    Duration run;  // its minRuntime
    // By asked cell: how much it borrows, at the level where that is least.
    absl::InlinedVector<Wide, 2> borrowed;
    uint64_t node = 0;  // that what is left is of
    bool closed = false;
    absl::InlinedVector<Wide, 2> left;
  };

  static constexpr int kNowhere = -1;
  static constexpr uint32_t kNotAsked = UINT32_MAX;

  // What the level uses beyond what is its own; negative: less.
  Wide Over(const QuotaTree& tree, Level level, QuotaCell cell) const;
  // The place where the two meet; kNowhere: nowhere.
  int Meet(QueueIndex queue) const;
  // The queue's levels below the place.
  std::span<const Level> PathOf(QueueIndex queue, int meet) const;
  bool Borrows(const QuotaTree& tree, std::span<const Level> path, QuotaCell cell) const;
  bool WouldBorrow(std::span<const Level> path, QuotaCell cell, int64_t amount) const;
  // Of the preemptor's path, what is just below the place.
  Level Below(int place) const {
    return place == 0 ? Level{chain_[0], true} : Level{chain_[static_cast<size_t>(place) - 1], false};
  }
  // By place, whether what is below it stays within what is its own.
  std::vector<bool> MayReclaim(const QuotaTree& tree, std::span<const QueueIndex> chain, std::span<const Charge> all,
                               std::span<const AnyCharge> any) const;
  bool IsWithin(int place) const;
  bool Straddles() const;
  bool Reclaims(int meet) const {
    return static_cast<size_t>(meet) < plan_.reclaim.size() && plan_.reclaim[static_cast<size_t>(meet)];
  }
  bool Fits() const;
  Share OwnShare(int meet) const;
  Share ShareWith(QueueIndex queue, int meet, std::span<const Charge> charges) const;
  View& ViewOf(QueueIndex queue) const;
  bool RanksLower(const Unit& unit) const;
  bool Protected(const Unit& unit, Duration run) const;
  int64_t Allowance(QueueIndex queue) const;
  bool MayGo(const Unit& unit, bool gone) const;
  bool Helps(const Unit& unit) const;
  bool MayHelp(QueueIndex queue) const;
  void Move(const Unit& unit, int sign);
  void Place(int sign);
  bool Take(std::span<const Unit* const> units, Before before, std::vector<uint32_t>& victims);
  void FindIllegal(std::span<const Unit* const> units, std::span<const uint32_t> victims,
                   std::vector<uint32_t>& illegal);
  bool Falls(std::span<const Unit* const> units, std::span<const uint32_t> victims);
  void FindChildren() const;

  const QueueCatalog& catalog_;
  const QuotaTree& live_;
  const EvictionLog& evictions_;
  Preemptor p_;
  std::vector<QueueIndex> chain_;    // by place
  std::vector<QuotaCell> asked_;     // the cells that it asks for
  std::vector<uint32_t> asked_at_;   // by cell: where in asked_, or kNotAsked
  std::vector<int> place_;           // by queue: its place; kNowhere: it is not above the preemptor
  std::vector<int> meet_;            // by queue: the place where the two meet
  mutable std::vector<View> views_;  // by queue
  uint64_t round_ = 0, node_ = 0;
  std::vector<Reason> look_;  // by queue: why some pod of it may go; kNone: none may
  Plan plan_;
  QuotaTree tree_;                  // as it is, or as it would be
  std::vector<Charge> charges_;     // of those who want room, once placed
  std::vector<int64_t> leaving_;    // by queue: pods that go
  std::vector<int64_t> reclaimed_;  // of them, by reclamation, by place
  std::vector<Wide> lower_;         // by cell: what of the own queue's usage ranks lower than those who want room
  bool straddles_ = false;
  mutable Time again_at_;
  mutable std::vector<Level> path_;                        // scratch
  mutable uint64_t builds_ = 0;                            // of the tree that children_ are of
  mutable std::vector<std::vector<QueueIndex>> children_;  // by queue
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_QUOTA_VICTIM_RULE_H_
