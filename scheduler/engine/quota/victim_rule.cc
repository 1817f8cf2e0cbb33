#include "scheduler/engine/quota/victim_rule.h"

#include <algorithm>
#include <queue>

#include "absl/numeric/int128.h"

namespace muster {
namespace {

// A second more: two evictions that are decided an hour apart may be carried out a little less apart.
constexpr Duration kHour = absl::Seconds(3601);

const QueuePreemption& PolicyOf(const QueueCatalog& catalog, QueueIndex queue) {
  return catalog.queue(queue).preemption;
}

int64_t AmountIn(std::span<const Charge> charges, QuotaCell cell) {
  for (const Charge& charge : charges) {
    if (charge.cell == cell) return charge.amount;
  }
  return 0;
}

}  // namespace

void EvictionLog::Note(const std::string& queue, Time now, int64_t pods) {
  auto& of = of_[queue];
  while (!of.empty() && of.front().first <= now - kHour) of.pop_front();
  of.emplace_back(now, pods);
}

int64_t EvictionLog::Count(const std::string& queue, Time now) const {
  const auto it = of_.find(queue);
  int64_t count = 0;
  if (it == of_.end()) return 0;
  for (const auto& [at, pods] : it->second) count += at > now - kHour ? pods : 0;
  return count;
}

Time EvictionLog::FallsAt(const std::string& queue, Time now) const {
  const auto it = of_.find(queue);
  if (it == of_.end()) return absl::InfiniteFuture();
  for (const auto& [at, pods] : it->second) {
    if (at > now - kHour) return at + kHour;
  }
  return absl::InfiniteFuture();
}

// --- The tree as levels ----------------------------------------------------------------------------

VictimRule::Wide VictimRule::Over(const QuotaTree& tree, Level level, QuotaCell cell) const {
  if (!tree.Counts(level.queue, cell)) return 0;
  if (!level.own) return Wide(tree.Usage(level.queue, cell)) - tree.SubtreeQuota(level.queue, cell);
  Wide over = tree.Own(level.queue, cell);
  for (const Quota& quota : catalog_.tree()[level.queue].quotas) {
    if (quota.cell == cell) over -= quota.nominal;
  }
  return over;
}

int VictimRule::Meet(QueueIndex queue) const { return meet_[queue]; }

std::span<const VictimRule::Level> VictimRule::PathOf(QueueIndex queue, int meet) const {
  path_.assign(1, {queue, true});
  for (; queue != chain_[static_cast<size_t>(meet)]; queue = live_.parent(queue)) path_.push_back({queue, false});
  return path_;
}

bool VictimRule::Borrows(const QuotaTree& tree, std::span<const Level> path, QuotaCell cell) const {
  return std::all_of(path.begin(), path.end(), [&](Level level) { return Over(tree, level, cell) > 0; });
}

// With so much more charged to the bottom of the path.
bool VictimRule::WouldBorrow(std::span<const Level> path, QuotaCell cell, int64_t amount) const {
  Wide more = amount;
  for (const Level level : path) {
    if (more <= 0 || Over(tree_, level, cell) + more <= 0) return false;
    if (!level.own) more -= tree_.Slack(level.queue, cell);
  }
  return true;
}

std::vector<bool> VictimRule::MayReclaim(const QuotaTree& tree, std::span<const QueueIndex> chain,
                                         std::span<const Charge> all, std::span<const AnyCharge> any) const {
  std::vector<Wide> slack(tree.cells(), 0);  // of what is further down: what fits there does not come up
  std::vector<bool> may;
  for (size_t place = 0; place < chain.size(); ++place) {
    const Level level = place == 0 ? Level{chain[0], true} : Level{chain[place - 1], false};
    const auto room = [&](QuotaCell cell) {
      if (!tree.Counts(level.queue, cell)) return Wide(kUnlimited);
      return slack[cell] + std::max(Wide(0), -Over(tree, level, cell));
    };
    const bool all_stay =
        std::all_of(all.begin(), all.end(), [&](const Charge& charge) { return charge.amount <= room(charge.cell); });
    may.push_back(all_stay && std::all_of(any.begin(), any.end(), [&](const AnyCharge& charge) {
                    Wide pods = 0;
                    for (const QuotaCell cell : charge.cells) pods += room(cell) / std::max<int64_t>(1, charge.each);
                    return pods >= charge.pods;
                  }));
    for (QuotaCell cell = 0; cell < slack.size() && !level.own; ++cell) slack[cell] += tree.Slack(level.queue, cell);
  }
  return may;
}

// Whether what is below the place, with those who want room, stays within what is its own; or they do not count there.
bool VictimRule::IsWithin(int place) const {
  return std::all_of(charges_.begin(), charges_.end(), [&](const Charge& charge) {
    for (int i = 0; i + 1 < place; ++i) {
      const QueueIndex queue = chain_[static_cast<size_t>(i)];
      if (tree_.Usage(queue, charge.cell) <= tree_.Local(queue, charge.cell)) return true;
    }
    return Over(tree_, Below(place), charge.cell) <= 0;
  });
}

// Whether those who want room are, beside those of their queue that rank as high, in part within what is its own.
bool VictimRule::Straddles() const {
  return std::any_of(charges_.begin(), charges_.end(), [&](const Charge& charge) {
    if (charge.amount <= 0 || !tree_.Counts(p_.queue, charge.cell)) return false;
    const Wide over = Over(tree_, Below(0), charge.cell) - lower_[charge.cell];
    return over < 0 && over + charge.amount > 0;
  });
}

bool VictimRule::Fits() const {
  const bool room = std::all_of(charges_.begin(), charges_.end(), [&](const Charge& charge) {
    return charge.amount <= 0 || tree_.Available(p_.queue, charge.cell) >= 0;
  });
  if (!room) return false;
  for (size_t place = 0; place < reclaimed_.size(); ++place) {
    if (reclaimed_[place] > 0 && !IsWithin(static_cast<int>(place))) return false;
  }
  return true;
}

Share VictimRule::OwnShare(int meet) const {
  const Level level = Below(meet);
  return level.own ? tree_.ShareOfOwn(level.queue) : tree_.ShareOf(level.queue);
}

Share VictimRule::ShareWith(QueueIndex queue, int meet, std::span<const Charge> charges) const {
  const QueueIndex above = chain_[static_cast<size_t>(meet)];
  if (queue == above) return tree_.ShareOfOwn(queue, charges);
  std::vector<Charge> passed(charges.begin(), charges.end());
  for (; tree_.parent(queue) != above; queue = tree_.parent(queue)) tree_.PassOn(queue, passed);
  return tree_.ShareOf(queue, passed);
}

// --- Who may go ------------------------------------------------------------------------------------

void VictimRule::FindChildren() const {
  if (std::exchange(builds_, live_.builds()) == live_.builds()) return;
  children_.assign(live_.size(), {});
  for (QueueIndex q = 0; q < live_.size(); ++q) {
    if (live_.parent(q) != kNoQueue) children_[live_.parent(q)].push_back(q);
  }
}

bool VictimRule::MayHelp(QueueIndex queue, std::span<const Charge> all, std::span<const AnyCharge> any) const {
  FindChildren();
  const QueuePreemption& policy = PolicyOf(catalog_, queue);
  const bool own = policy.within_queue != QueuePreemption::Within::kNever;
  const bool borrow = policy.borrowing != QueuePreemption::Borrowing::kNever;
  const auto in_asked = [&](auto&& holds) {
    return std::any_of(all.begin(), all.end(), [&](const Charge& charge) { return holds(charge.cell); }) ||
           std::any_of(any.begin(), any.end(), [&](const AnyCharge& charge) {
             return std::any_of(charge.cells.begin(), charge.cells.end(), holds);
           });
  };
  if (own && in_asked([&](QuotaCell cell) { return live_.Own(queue, cell) > 0; })) return true;
  if (policy.reclaim == QueuePreemption::Reclaim::kNever && !borrow) return false;
  std::vector<QueueIndex> chain;
  for (QueueIndex q = queue; q != kNoQueue; q = live_.parent(q)) chain.push_back(q);
  const std::vector<bool> may = MayReclaim(live_, chain, all, any);
  for (size_t place = 0; place < chain.size(); ++place) {
    if (!borrow && !may[place]) continue;
    const auto borrows = [&](Level level) {
      return in_asked([&](QuotaCell cell) { return Over(live_, level, cell) > 0; });
    };
    if (place > 0 && borrows({chain[place], true})) return true;
    for (const QueueIndex child : children_[chain[place]]) {
      if ((place == 0 || child != chain[place - 1]) && borrows({child, false})) return true;
    }
  }
  return false;
}

void VictimRule::Begin(Preemptor preemptor, const QuotaTree& used) {
  p_ = std::move(preemptor);
  again_at_ = absl::InfiniteFuture();
  plan_ = {};
  charges_.clear();
  leaving_.assign(live_.size(), 0);
  chain_.clear();
  ++round_;
  views_.resize(live_.size());
  place_.assign(live_.size(), kNowhere);
  for (QueueIndex q = p_.queue; q != kNoQueue; q = live_.parent(q)) {
    place_[q] = static_cast<int>(chain_.size());
    chain_.push_back(q);
  }
  reclaimed_.assign(chain_.size(), 0);
  asked_.clear();
  for (const Charge& charge : p_.all) asked_.push_back(charge.cell);
  for (const AnyCharge& charge : p_.any) asked_.insert(asked_.end(), charge.cells.begin(), charge.cells.end());
  std::sort(asked_.begin(), asked_.end());
  asked_.erase(std::unique(asked_.begin(), asked_.end()), asked_.end());
  asked_at_.assign(live_.cells(), kNotAsked);
  for (uint32_t i = 0; i < asked_.size(); ++i) asked_at_[asked_[i]] = i;
  tree_ = used;

  const QueuePreemption& policy = PolicyOf(catalog_, p_.queue);
  const bool others =
      policy.reclaim != QueuePreemption::Reclaim::kNever || policy.borrowing != QueuePreemption::Borrowing::kNever;
  look_.assign(live_.size(), Reason::kNone);
  meet_.assign(live_.size(), kNowhere);
  for (QueueIndex q = 0; q < live_.size(); ++q) {  // parents come first
    const QueueIndex above = live_.parent(q);
    meet_[q] = place_[q] != kNowhere || above == kNoQueue ? place_[q] : meet_[above];
    if (!others || q == p_.queue || meet_[q] == kNowhere) continue;
    // The bottom is what is cheapest to look at.
    const bool any = std::any_of(asked_.begin(), asked_.end(), [&](QuotaCell cell) { return live_.Own(q, cell) > 0; });
    if (!any) continue;
    const auto path = PathOf(q, meet_[q]);
    const bool borrows =
        std::any_of(asked_.begin(), asked_.end(), [&](QuotaCell cell) { return Borrows(live_, path, cell); });
    if (borrows) look_[q] = Reason::kReclamation;
  }
  if (policy.within_queue != QueuePreemption::Within::kNever) look_[p_.queue] = Reason::kInQueue;
}

bool VictimRule::MayFind(absl::FunctionRef<bool(QueueIndex, int32_t)> has_below) const {
  if (has_below(kNoQueue, p_.priority) || has_below(p_.queue, below())) return true;
  const QueuePreemption& policy = PolicyOf(catalog_, p_.queue);
  const std::vector<bool> may = MayReclaim(tree_, chain_, p_.all, p_.any);
  for (QueueIndex q = 0; q < look_.size(); ++q) {
    if (look_[q] != Reason::kReclamation) continue;
    if (!may[static_cast<size_t>(Meet(q))]) {
      if (policy.borrowing != QueuePreemption::Borrowing::kNever && has_below(q, p_.priority)) return true;
    } else if (policy.reclaim == QueuePreemption::Reclaim::kAny ||
               (policy.reclaim == QueuePreemption::Reclaim::kLowerPriority && has_below(q, p_.priority))) {
      return true;
    }
  }
  return false;
}

bool VictimRule::heeds_age() const {
  const QueuePreemption& policy = PolicyOf(catalog_, p_.queue);
  return policy.within_queue == QueuePreemption::Within::kLowerOrNewerEqualPriority ||
         policy.borrowing != QueuePreemption::Borrowing::kNever;
}

int32_t VictimRule::below() const {
  const QueuePreemption::Within within = PolicyOf(catalog_, p_.queue).within_queue;
  if (within == QueuePreemption::Within::kNever) return INT32_MIN;
  const bool equal = within == QueuePreemption::Within::kLowerOrNewerEqualPriority && p_.priority < INT32_MAX;
  return p_.priority + (equal ? 1 : 0);
}

std::vector<VictimRule::Plan> VictimRule::Plans(std::span<const Unit* const> units) {
  const QueuePreemption& policy = PolicyOf(catalog_, p_.queue);
  const std::vector<bool> now = MayReclaim(tree_, chain_, p_.all, p_.any);
  const bool borrows = std::find(now.begin(), now.end(), false) != now.end();
  std::vector<Plan> plans;
  Follow({now, false, false});
  std::vector<const Unit*> own;
  lower_.assign(tree_.cells(), 0);
  for (const Unit* unit : units) {
    if (unit->queue != p_.queue || ReasonOf(*unit) == Reason::kNone) continue;
    own.push_back(unit);
    for (const Charge& charge : unit->charges) lower_[charge.cell] += charge.amount;
  }
  if (policy.reclaim != QueuePreemption::Reclaim::kNever && borrows) {
    for (const Unit* unit : own) Move(*unit, -1);
    const std::vector<bool> then = MayReclaim(tree_, chain_, p_.all, p_.any);
    for (const Unit* unit : own) Move(*unit, +1);
    if (then != now) plans.push_back({then, true, false});
  }
  plans.push_back({now, false, false});
  if (policy.borrowing != QueuePreemption::Borrowing::kNever && borrows) plans.push_back({now, false, true});
  return plans;
}

bool VictimRule::RanksLower(const Unit& unit) const {
  return unit.priority < p_.priority || (unit.priority == p_.priority && unit.created > p_.created);
}

bool VictimRule::Protected(const Unit& unit, Duration run) const {
  if (run <= absl::ZeroDuration()) return false;
  const Time until = std::min(unit.started, p_.now) + run;
  if (until <= p_.now) return false;
  again_at_ = std::min(again_at_, until);
  return true;
}

int64_t VictimRule::Allowance(QueueIndex queue) const {
  const auto& most = PolicyOf(catalog_, queue).evictions_per_hour;
  if (!most) return INT64_MAX;
  return *most - evictions_.Count(catalog_.queue(queue).name, p_.now) - leaving_[queue];
}

VictimRule::Reason VictimRule::ReasonOf(const Unit& unit) const {
  if (unit.queue == kNoQueue) return unit.priority < p_.priority ? Reason::kUncharged : Reason::kNone;
  if (look_[unit.queue] == Reason::kNone) return Reason::kNone;
  const QueuePreemption& policy = PolicyOf(catalog_, p_.queue);
  if (unit.queue == p_.queue) {
    const bool newer = policy.within_queue == QueuePreemption::Within::kLowerOrNewerEqualPriority;
    const bool lower = newer ? RanksLower(unit) : unit.priority < p_.priority;
    return lower && !Protected(unit, policy.min_runtime) ? Reason::kInQueue : Reason::kNone;
  }
  if (unit.priority >= kSystemPriority) return Reason::kNone;
  const View& view = ViewOf(unit.queue);
  if (view.reason == Reason::kNone || (view.lower && unit.priority >= p_.priority)) return Reason::kNone;
  const bool helps = std::any_of(unit.charges.begin(), unit.charges.end(), [&](const Charge& charge) {
    const uint32_t at = asked_at_[charge.cell];
    return charge.amount > 0 && at != kNotAsked && view.borrowed[at] > 0;
  });
  if (!helps || Protected(unit, view.run)) return Reason::kNone;
  if (view.allowance < unit.pods) {
    again_at_ = std::min(again_at_, evictions_.FallsAt(catalog_.queue(unit.queue).name, p_.now));
    return Reason::kNone;
  }
  return view.reason;
}

// Requires: it is not the preemptor's own.
VictimRule::View& VictimRule::ViewOf(QueueIndex queue) const {
  View& view = views_[queue];
  if (std::exchange(view.round, round_) == round_) return view;
  const QueuePreemption& policy = PolicyOf(catalog_, p_.queue);
  const int meet = Meet(queue);
  const bool reclaims = Reclaims(meet);
  view.reason = Reason::kNone;
  view.lower = !reclaims || policy.reclaim == QueuePreemption::Reclaim::kLowerPriority;
  view.node = 0;
  if (reclaims ? policy.reclaim == QueuePreemption::Reclaim::kNever : !plan_.borrow) return view;
  view.reason = reclaims ? Reason::kReclamation : Reason::kBorrowing;
  view.allowance = Allowance(queue);
  view.run = PolicyOf(catalog_, queue).min_runtime;
  const auto path = PathOf(queue, meet);
  view.borrowed.clear();
  for (const QuotaCell cell : asked_) {
    Wide least = Over(tree_, path[0], cell);
    for (const Level level : path) least = std::min(least, Over(tree_, level, cell));
    view.borrowed.push_back(least);
  }
  return view;
}

VictimRule::Rank VictimRule::RankOf(QueueIndex queue) const {
  if (queue == kNoQueue || queue == p_.queue) return {};
  const int meet = Meet(queue);
  if (meet == kNowhere) return {};
  return {true, ShareWith(queue, meet, {}),
          tree_.parent(queue) == kNoQueue ? tree_.ShareOfOwn(queue) : tree_.ShareOf(queue)};
}

bool VictimRule::MayLeaveNode(const Unit& unit) {
  if (unit.queue == kNoQueue || unit.queue == p_.queue) return true;
  View& view = ViewOf(unit.queue);
  if (std::exchange(view.node, node_) != node_) {
    view.left = view.borrowed;
    view.closed = false;
  }
  bool may = false;
  for (const Charge& charge : unit.charges) {
    const uint32_t at = asked_at_[charge.cell];
    if (at == kNotAsked || charge.amount <= 0) continue;
    may |= view.left[at] > 0;
    view.left[at] -= charge.amount;
  }
  view.closed |= !may;
  return !view.closed;
}

// Whether the unit may go as one of the set: all others of it are gone, and those who want room are there. `gone`: so
// is the unit itself.
bool VictimRule::MayGo(const Unit& unit, bool gone) const {
  if (unit.queue == kNoQueue) return true;
  if (unit.queue == p_.queue) return !straddles_;
  if (Allowance(unit.queue) < (gone ? 0 : unit.pods)) return false;
  const int meet = Meet(unit.queue);
  const auto path = PathOf(unit.queue, meet);
  const bool borrows = std::any_of(unit.charges.begin(), unit.charges.end(), [&](const Charge& charge) {
    if (charge.amount <= 0 || AmountIn(charges_, charge.cell) <= 0) return false;
    return gone ? WouldBorrow(path, charge.cell, charge.amount) : Borrows(tree_, path, charge.cell);
  });
  if (!borrows) return false;
  if (Reclaims(meet)) return (plan_.makes_own && !gone) || IsWithin(meet);
  // Once its own pods are gone it may be no borrower any more.
  if (gone && PolicyOf(catalog_, p_.queue).reclaim == QueuePreemption::Reclaim::kNever && IsWithin(meet)) return false;
  // And none goes below what is its own for one that borrows: else that could be reclaimed again, and so on for ever.
  const bool whole = std::all_of(unit.charges.begin(), unit.charges.end(), [&](const Charge& charge) {
    if (AmountIn(charges_, charge.cell) <= 0) return true;
    return std::all_of(path.begin(), path.end(),
                       [&](Level level) { return Over(tree_, level, charge.cell) >= (gone ? 0 : charge.amount); });
  });
  if (!whole) return false;
  return OwnShare(meet) <
         ShareWith(unit.queue, meet, gone ? std::span<const Charge>(unit.charges) : std::span<const Charge>());
}

// Whether the unit is charged in what lacks.
bool VictimRule::Helps(const Unit& unit) const {
  bool lacks = false;
  for (const Charge& charge : charges_) {
    if (charge.amount <= 0 || tree_.Available(p_.queue, charge.cell) >= 0) continue;
    lacks = true;
    if (AmountIn(unit.charges, charge.cell) > 0) return true;
  }
  // There is room, but not within what is the preemptor's own.
  return !lacks && unit.queue == p_.queue;
}

// Whether units of the queue, not the preemptor's own, may help yet. Once false it stays so while others go.
bool VictimRule::MayHelp(QueueIndex queue) const {
  const auto path = PathOf(queue, Meet(queue));
  return std::any_of(charges_.begin(), charges_.end(), [&](const Charge& charge) {
    return charge.amount > 0 && tree_.Available(p_.queue, charge.cell) < 0 && Borrows(tree_, path, charge.cell);
  });
}

// --- The set ---------------------------------------------------------------------------------------

void VictimRule::Follow(const Plan& plan) {
  plan_ = plan;
  ++round_;
}

void VictimRule::Move(const Unit& unit, int sign) {
  if (unit.queue == kNoQueue) return;
  for (const Charge& charge : unit.charges) tree_.Add(unit.queue, charge.cell, sign * charge.amount);
  if (unit.queue == p_.queue) return;
  leaving_[unit.queue] -= sign * unit.pods;
  if (const int meet = Meet(unit.queue); Reclaims(meet)) reclaimed_[static_cast<size_t>(meet)] -= sign;
}

void VictimRule::Place(int sign) {
  for (const Charge& charge : charges_) tree_.Add(p_.queue, charge.cell, sign * charge.amount);
}

bool VictimRule::Choose(std::span<const Unit* const> units, std::span<const Charge> charges, Before before,
                        std::vector<uint32_t>& victims, std::vector<uint32_t>& illegal) {
  charges_.assign(charges.begin(), charges.end());
  illegal.clear();
  straddles_ = Straddles();
  Place(+1);
  for (const uint32_t u : victims) Move(*units[u], -1);
  const bool fits = Take(units, before, victims);
  std::sort(victims.begin(), victims.end(), before);
  if (fits) FindIllegal(units, victims, illegal);
  for (const uint32_t u : victims) Move(*units[u], +1);
  Place(-1);
  const bool legal = fits && illegal.empty() && Falls(units, victims);
  charges_.clear();
  return legal;
}

// Takes one after the other until there is room, then gives back who need not go.
bool VictimRule::Take(std::span<const Unit* const> units, Before before, std::vector<uint32_t>& victims) {
  if (Fits()) return true;
  struct From {
    Rank rank;
    QueueIndex queue;
    std::vector<uint32_t> units;  // a heap, once it is one: the least important first
    bool heap = false;
  };
  std::vector<bool> goes(units.size());
  for (const uint32_t u : victims) goes[u] = true;
  From own;
  std::map<QueueIndex, From> others;
  for (uint32_t u = 0; u < units.size(); ++u) {
    if (goes[u] || units[u]->queue == kNoQueue) continue;
    if (units[u]->queue == p_.queue) {
      own.units.push_back(u);
    } else {
      others[units[u]->queue].units.push_back(u);
    }
  }
  // Most are not looked at: they are not put into order.
  const auto pop = [&](From& from) {
    if (!std::exchange(from.heap, true)) std::make_heap(from.units.begin(), from.units.end(), before);
    std::pop_heap(from.units.begin(), from.units.end(), before);
    const uint32_t u = from.units.back();
    from.units.pop_back();
    return u;
  };
  const auto less = [](const From* a, const From* b) {
    return a->rank != b->rank ? a->rank < b->rank : a->queue > b->queue;
  };
  std::priority_queue<From*, std::vector<From*>, decltype(less)> next(less);
  for (auto& [queue, from] : others) {
    from.queue = queue;
    from.rank = RankOf(queue);
    next.push(&from);
  }
  std::vector<uint32_t> taken;
  const auto take = [&](uint32_t u) {
    if (!Helps(*units[u]) || !MayGo(*units[u], /*gone=*/false)) return;
    Move(*units[u], -1);
    taken.push_back(u);
  };
  while (!Fits() && !next.empty()) {
    From& from = *next.top();
    next.pop();
    if (!MayHelp(from.queue)) continue;
    const Rank rank = RankOf(from.queue);
    if (rank == from.rank) {
      take(pop(from));
      from.rank = RankOf(from.queue);
    } else {
      from.rank = rank;  // who went from beside it lowered it
    }
    if (!from.units.empty()) next.push(&from);
  }
  while (!straddles_ && !Fits() && !own.units.empty()) take(pop(own));
  const bool fits = Fits();
  // Where others come back, who went so that they may go need not go either.
  for (bool again = fits; again;) {
    again = false;
    for (size_t i = taken.size(); i-- > 0;) {
      Move(*units[taken[i]], +1);
      if (Fits()) {
        taken.erase(taken.begin() + static_cast<ptrdiff_t>(i));
        again = true;
      } else {
        Move(*units[taken[i]], -1);
      }
    }
  }
  victims.insert(victims.end(), taken.begin(), taken.end());
  return fits;
}

// As few as that the others are legal: one after the other, the most important first, each that must not go comes back.
void VictimRule::FindIllegal(std::span<const Unit* const> units, std::span<const uint32_t> victims,
                             std::vector<uint32_t>& illegal) {
  for (const uint32_t u : victims) {
    if (MayGo(*units[u], /*gone=*/true)) continue;
    illegal.push_back(u);
    Move(*units[u], +1);
  }
  for (const uint32_t u : illegal) Move(*units[u], -1);
}

// Whether something falls that cannot fall for ever. The tree is as before.
bool VictimRule::Falls(std::span<const Unit* const> units, std::span<const uint32_t> victims) {
  bool all_lower = true;
  std::vector<bool> places(chain_.size());  // where something is reclaimed
  std::vector<Level> levels;                // what meets there
  for (const uint32_t u : victims) {
    all_lower &= RanksLower(*units[u]);
    if (units[u]->queue == kNoQueue || units[u]->queue == p_.queue) continue;
    const int meet = Meet(units[u]->queue);
    if (!Reclaims(meet)) continue;
    if (!places[static_cast<size_t>(meet)]) levels.push_back(Below(meet));
    places[static_cast<size_t>(meet)] = true;
    levels.push_back(PathOf(units[u]->queue, meet).back());
  }
  if (levels.empty()) return all_lower;
  const auto borrowed = [&] {
    std::vector<Wide> all;
    for (const Level level : levels) {
      for (QuotaCell cell = 0; cell < tree_.cells(); ++cell) all.push_back(std::max(Wide(0), Over(tree_, level, cell)));
    }
    return all;
  };
  const std::vector<Wide> before = borrowed();
  Place(+1);
  for (const uint32_t u : victims) Move(*units[u], -1);
  const std::vector<Wide> after = borrowed();
  for (const uint32_t u : victims) Move(*units[u], +1);
  Place(-1);
  bool falls = false;
  for (size_t i = 0; i < before.size(); ++i) {
    if (after[i] > before[i]) return false;
    falls |= after[i] < before[i];
  }
  return falls;
}

}  // namespace muster
