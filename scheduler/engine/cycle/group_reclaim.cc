// GroupPreemption where there are queues: who may go is as VictimRule says, and what lacks may be room in the queue.
#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "scheduler/engine/cycle/group_preemption.h"

namespace muster {
namespace {

using Why = VictimRule::Reason;

std::string_view NameOf(Why reason) {
  switch (reason) {
    case Why::kNone: break;
    case Why::kInQueue: return "InQueue";
    case Why::kReclamation: return "Reclamation";
    case Why::kBorrowing: return "BorrowingPreemption";
    case Why::kUncharged: return "LowerPriority";
  }
  return "";
}

}  // namespace

RoomForGroup GroupPreemption::MakeRoomInQueue(const GroupContext& group, VictimRule& rule, Ledger& ledger) {
  const GroupRequest& request = group.request;
  RoomForGroup room;
  room.result.code = Code::kUnschedulable;
  if (request.preemption_policy == "Never") {
    room.result.message = "preemption: not eligible due to preemptionPolicy=Never.";
    return room;
  }
  room.result.nominate = "";  // unless room is found
  rule_ = &rule;
  ledger_ = &ledger;
  kept_.clear();
  VictimRule::Preemptor preemptor;
  std::vector<const PodInfo*> infos;
  preemptor.queue = ledger.AccountOf(*request.members[0].info).queue;
  preemptor.priority = request.priority;
  preemptor.created = absl::InfinitePast();
  preemptor.now = request.now;
  for (const Member& member : request.members) {
    infos.push_back(member.info.get());
    if (infos.size() <= group.search.need()) preemptor.created = std::max(preemptor.created, member.pod->created);
  }
  ledger.Demand(infos, group.search.need(), preemptor.all, preemptor.any);
  rule.Begin(std::move(preemptor));
  // Of equal pods that are tried one after the other the first is told for all.
  Refusal asked{request.members[0].info.get(),
                request.members.size(),
                request.priority,
                request.now,
                rule.heeds_age() ? rule.preemptor().created : Time(),
                snapshot_.cell_version(),
                ledger.version()};
  const bool known = request.members.size() == 1 && asked == refused_;
  if (known || (rule.only_own() && !ledger.MayHaveBelow(kNoQueue, request.priority) &&
                !ledger.MayHaveBelow(rule.preemptor().queue, rule.below()))) {
    rule_ = nullptr;
    ledger_ = nullptr;
    room.result.message = "preemption: no pods may go that make room";
    return room;
  }
  FindUnitsOfQueues(group);

  const size_t mark = statement_.Checkpoint();
  for (const PlacedPod& p : going_) statement_.Remove(p.pod, p.row);
  rule.TakeUsage();
  std::optional<Found> best;
  if (Found found; !going_.empty() && PlaceAtAll(group, found)) {
    best = std::move(found);
    room.waits = true;
    units_.clear();
  }
  std::string places;
  if (!best) {
    for (const VictimRule::Plan& plan : rule.Plans(all_asked_)) {
      rule.Follow(plan);
      kept_.clear();
      for (int i = 0; i < kChoices && !best; ++i) {
        SelectUnits();
        if (units_.empty()) break;
        const size_t kept = kept_.size();
        Tried tried = Try(group);
        places = tried.places;
        if (tried.best && Proven(group, *tried.best)) best = std::move(tried.best);
        if (kept_.size() == kept) break;
      }
      if (best) break;
    }
  }
  statement_.Rollback(mark);
  group.search.RefreshAll();
  room.result.again_at = rule.again_at();
  if (!best) {
    asked.cells = snapshot_.cell_version();
    asked.charges = ledger.version();
    if (room.result.again_at == absl::InfiniteFuture()) refused_ = asked;
    room.result.message = absl::StrCat(
        "preemption: no pods may go that make room",
        rule.again_at() < absl::InfiniteFuture() ? " (some are protected by their queue yet)" : "", places);
  } else {
    Tell(*best, room);
    room.result.message = room.waits ? std::string("preemption: pods that are going leave enough room")
                                     : absl::StrCat(Explain(*best, room), places);
  }
  rule_ = nullptr;
  ledger_ = nullptr;
  return room;
}

// Whoever may have to go, by any plan.
void GroupPreemption::FindUnitsOfQueues(const GroupContext& group) {
  const GroupRequest& request = group.request;
  const ClusterObjects& objects = snapshot_.objects();
  const std::string& ns = request.members[0].pod->ns();
  const NodeSet useful = UsefulRows(group);
  const bool any_groups = !objects.All(Kind::kPodGroup).empty();
  absl::flat_hash_set<const PodGroup*> whole;  // those that were met
  pods_.clear();
  units_.clear();
  going_.clear();
  all_asked_.clear();
  std::vector<Charge> charges;
  for (NodeIndex n = 0; n < snapshot_.size(); ++n) {
    for (const PodOnNode& pod : snapshot_.PodsOn(n)) {
      const QueueIndex queue = ledger_->AccountOf(*pod.info).queue;
      // Most are not to go: no more is read of them than must be. For room in the queue anybody of a queue may, who is
      // in no queue only where the nodes are of use.
      if (!rule_->MayLose(queue) || (queue == kNoQueue && !useful.Has(n))) continue;
      if (pod.pod->deleting || pod.pod->leaving) {
        going_.push_back({pod, n});
        continue;
      }
      const bool same = request.group.present() && pod.pod->group.source == request.group.source &&
                        pod.pod->group.name == request.group.name && pod.pod->ns() == ns;
      if (same) continue;
      const int32_t priority = any_groups ? VictimPriority(*pod.pod, objects) : pod.info->spec->priority;
      Unit unit{{priority, StartOf(*pod.pod), 1}, false, false, static_cast<uint32_t>(pods_.size())};
      const PodGroup* own = any_groups ? NativeGroupOf(*pod.pod, objects) : nullptr;
      unit.whole = own != nullptr && own->disrupted_whole;
      if (!unit.whole) {
        pods_.push_back({pod, n});
      } else if (!whole.insert(own).second) {
        continue;
      } else {
        static_cast<VictimUnit&>(unit) = AppendGroup(*pod.pod, snapshot_, pods_);
        pods_.erase(std::remove_if(pods_.begin() + unit.first, pods_.end(),
                                   [](const PlacedPod& p) { return p.pod.pod->deleting || p.pod.pod->leaving; }),
                    pods_.end());
        unit.count = static_cast<uint32_t>(pods_.size()) - unit.first;
      }
      VictimRule::Unit asked{queue, unit.priority, absl::InfiniteFuture(), absl::InfinitePast(), unit.count, {}};
      bool mixed = false;
      for (const PlacedPod& p : Pods(unit)) {
        mixed |= ledger_->AccountOf(*p.pod.info).queue != queue;
        asked.created = std::min(asked.created, p.pod.pod->created);
        asked.started = std::max(asked.started, StartOf(*p.pod.pod));
        if (queue == kNoQueue) continue;
        ledger_->ChargesOn(*p.pod.info, p.row, charges);
        for (const Charge& charge : charges) {
          const auto it = std::find_if(asked.charges.begin(), asked.charges.end(),
                                       [&](const Charge& c) { return c.cell == charge.cell; });
          if (it == asked.charges.end()) {
            asked.charges.push_back(charge);
          } else {
            it->amount += charge.amount;
          }
        }
      }
      if (mixed) {  // nobody's to give
        pods_.resize(unit.first);
        continue;
      }
      units_.push_back(unit);
      all_asked_.push_back(std::move(asked));
    }
  }
  AddElastic();
  all_units_ = units_;
  newest_ = absl::InfinitePast();
  for (const PlacedPod& p : pods_) newest_ = std::max(newest_, p.pod.pod->started);
}

// Into units_ those that the plan lets go, the most important first.
void GroupPreemption::SelectUnits() {
  std::vector<uint32_t> chosen;
  std::map<QueueIndex, VictimRule::Rank> ranks;
  for (uint32_t u = 0; u < all_units_.size(); ++u) {
    if (kept_.contains(all_units_[u].first) || rule_->ReasonOf(all_asked_[u]) == Why::kNone) continue;
    const QueueIndex queue = all_asked_[u].queue;
    if (const auto it = ranks.lower_bound(queue); it == ranks.end() || it->first != queue)
      ranks.emplace_hint(it, queue, rule_->RankOf(queue));
    chosen.push_back(u);
  }
  struct Of {
    const VictimRule::Rank* rank;
    uint32_t unit;
  };
  std::vector<Of> order;
  for (const uint32_t u : chosen) order.push_back({&ranks.find(all_asked_[u].queue)->second, u});
  std::sort(order.begin(), order.end(), [&](const Of& x, const Of& y) {
    if (*x.rank != *y.rank) return *x.rank < *y.rank;
    const QueueIndex qx = all_asked_[x.unit].queue, qy = all_asked_[y.unit].queue;
    if (x.rank->other && qx != qy) return qx < qy;
    const Unit &a = all_units_[x.unit], &b = all_units_[y.unit];
    if (a.priority != b.priority) return a.priority > b.priority;
    if (a.elastic != b.elastic) return b.elastic;
    if (a.whole != b.whole) return a.whole;
    if (a.count != b.count) return a.count > b.count;
    if (a.start != b.start) return a.start < b.start;
    const Pod &p = *pods_[a.first].pod.pod, &q = *pods_[b.first].pod.pod;
    return std::tie(p.ns(), p.name) < std::tie(q.ns(), q.name);
  });
  units_.clear();
  asked_.clear();
  for (const Of& of : order) {
    Unit unit = all_units_[of.unit];
    unit.dear = (of.rank->other ? 0 : int64_t{1} << 33) + unit.priority;
    units_.push_back(unit);
    asked_.push_back(all_asked_[of.unit]);
  }
  DropExcess();
}

// On one node no more may go of a queue than that borrows: without the others a place there would look free.
void GroupPreemption::DropExcess() {
  std::vector<std::tuple<NodeIndex, QueueIndex, uint32_t>> at;
  for (uint32_t u = static_cast<uint32_t>(units_.size()); u-- > 0;) {
    if (!units_[u].whole && asked_[u].queue != kNoQueue)
      at.emplace_back(pods_[units_[u].first].row, asked_[u].queue, UINT32_MAX - u);
  }
  std::sort(at.begin(), at.end());  // of each node and queue the least important first
  std::vector<bool> stays(units_.size());
  std::vector<const VictimRule::Unit*> of;
  for (size_t i = 0, end = 0; i < at.size(); i = end) {
    const auto [row, queue, _] = at[i];
    of.clear();
    for (end = i; end < at.size() && std::get<0>(at[end]) == row && std::get<1>(at[end]) == queue; ++end)
      of.push_back(&asked_[UINT32_MAX - std::get<2>(at[end])]);
    for (size_t k = i + rule_->MostOf(of); k < end; ++k) stays[UINT32_MAX - std::get<2>(at[k])] = true;
  }
  size_t kept = 0;
  for (size_t u = 0; u < units_.size(); ++u) {
    if (stays[u]) continue;
    if (kept != u) {
      units_[kept] = units_[u];
      asked_[kept] = std::move(asked_[u]);
    }
    ++kept;
  }
  units_.resize(kept);
  asked_.resize(kept);
}

// Whether the group has a place with what is free now.
bool GroupPreemption::PlaceAtAll(const GroupContext& group, Found& found) {
  GroupSearch& search = group.search;
  if (!search.RefreshAll()) return false;
  search.RenewBudget();
  group.places.Visit(group.framework, group.request, search.need(), snapshot_, search,
                     [&](const PlacementCandidate& candidate) {
                       if (search.Place(candidate, /*whole=*/false) == GroupSearch::Verdict::kPlaced) {
                         found.nodes.assign(search.nodes().begin(), search.nodes().end());
                         search.Undo();
                       }
                       return !found.nodes.empty() || search.broken_shape() != nullptr;
                     });
  return !found.nodes.empty();
}

// Adds to those who are in the way who else has to go for room in the queue. False: they may not all go.
bool GroupPreemption::Complete(const GroupContext& group, Found& found) {
  std::vector<Charge> all, own;
  for (size_t m = 0; m < found.nodes.size(); ++m) {
    if (found.nodes[m] == kNoNode) continue;
    ledger_->ChargesOn(*group.request.members[m].info, found.nodes[m], own);
    for (const Charge& charge : own) {
      const auto it = std::find_if(all.begin(), all.end(), [&](const Charge& c) { return c.cell == charge.cell; });
      if (it == all.end()) {
        all.push_back(charge);
      } else {
        it->amount += charge.amount;
      }
    }
  }
  if (!rule_->Choose(asked_, all, found.victims, illegal_)) {
    for (const uint32_t u : illegal_) kept_.insert(units_[u].first);
    return false;
  }
  found.cost = CostOf(found.victims);
  return true;
}

// Whether, with those gone, all filters and all queues let the group be where it was found a place.
bool GroupPreemption::Proven(const GroupContext& group, const Found& found) {
  GroupSearch& search = group.search;
  const size_t mark = statement_.Checkpoint();
  for (const uint32_t u : found.victims) {
    for (const PlacedPod& p : Pods(units_[u])) statement_.Remove(p.pod, p.row);
  }
  search.RenewBudget();
  const PlacementCandidate everywhere = search.WholeCluster();
  const bool proven =
      search.RefreshAll() && search.PlaceExactly(everywhere, found.nodes) == GroupSearch::Verdict::kPlaced;
  if (proven) search.Undo();
  statement_.Rollback(mark);
  return proven;
}

// Who goes and why, for people; and by victim, for the result.
std::string GroupPreemption::Explain(const Found& found, RoomForGroup& room) const {
  std::map<std::pair<Why, std::string>, uint32_t> counts;
  for (const uint32_t u : found.victims) {
    const Why reason = rule_->ReasonOf(asked_[u]);
    const bool other = reason == Why::kReclamation || reason == Why::kBorrowing;
    const std::string queue = other ? ledger_->catalog().queue(asked_[u].queue).name : "";
    counts[{reason, queue}] += units_[u].count;
    for (uint32_t i = 0; i < units_[u].count; ++i) room.result.taken.push_back({queue, std::string(NameOf(reason))});
  }
  return absl::StrCat("preemption: evicting ", absl::StrJoin(counts, ", ", [](std::string* out, const auto& entry) {
                        const auto& [of, count] = entry;
                        absl::StrAppend(out, count, count == 1 ? " pod" : " pods");
                        if (!of.second.empty()) absl::StrAppend(out, " of queue \"", of.second, "\" that borrows");
                        absl::StrAppend(out, " (", AsAbsl(NameOf(of.first)), ")");
                      }));
}

}  // namespace muster
