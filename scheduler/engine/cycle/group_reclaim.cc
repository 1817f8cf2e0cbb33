// GroupPreemption where there are queues: who may go is as VictimRule says, and what lacks may be room in the queue.
#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "queue/fair_share.h"
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
  if (!index_) index_.emplace(snapshot_, ledger);
  units_.clear();
  pods_.clear();
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
  // As it will be once those on their way out are gone.
  ledger.Use(Ledger::View::kWithoutGoing);
  rule.Begin(std::move(preemptor), ledger.tree());
  // Of equal pods that are tried one after the other the first is told for all.
  Refusal asked{request.members[0].info.get(),
                request.members.size(),
                request.priority,
                request.now,
                rule.heeds_age() ? rule.preemptor().created : Time(),
                snapshot_.cell_version(),
                ledger.version()};
  const bool known = request.members.size() == 1 && asked == refused_;
  if (known) {
    ledger.Use(Ledger::View::kAll);
    rule_ = nullptr;
    ledger_ = nullptr;
    room.result.message = "preemption: no pods may go that make room";
    return room;
  }
  index_->Update();
  const size_t mark = statement_.Checkpoint();
  std::optional<Found> best;
  removed_ = false;
  if (Found found; !index_->going().empty() && PlaceWithoutGoing(group, found)) {
    best = std::move(found);
    room.waits = true;
  }
  std::string places;
  if (!best && rule.MayFind([&](QueueIndex q, int32_t priority) { return ledger.MayHaveBelow(q, priority); })) {
    FindVictims(group);
    for (const VictimRule::Plan& plan : rule.Plans(all_asked_)) {
      rule.Follow(plan);
      best = ChooseVictims(group, places);
      if (best) break;
    }
  }
  statement_.Rollback(mark);
  ledger.Use(Ledger::View::kAll);
  // Of a lone pod nobody reads the answer any more.
  if (request.members.size() > 1 || request.group.present()) group.search.RefreshAll();
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

void GroupPreemption::RemoveGoing() {
  if (std::exchange(removed_, true)) return;
  going_.clear();
  for (const NodeIndex n : index_->going()) {
    for (const PodOnNode& pod : snapshot_.PodsOn(n)) {
      if (pod.pod->going()) going_.push_back({pod, n});
    }
  }
  for (const PlacedPod& p : going_) statement_.Remove(p.pod, p.row);
}

// Whether the group has a place once those on their way out are gone: on nodes that have room now, if there is one.
bool GroupPreemption::PlaceWithoutGoing(const GroupContext& group, Found& found) {
  const VictimRule::Preemptor& p = rule_->preemptor();
  if (!Fits(ledger_->tree(), p.queue, p.all, p.any)) return false;
  if (HasSlots(group) && PlaceAtAll(group, found)) return true;
  RemoveGoing();
  return PlaceAtAll(group, found);
}

// Whoever may have to go, by any plan.
void GroupPreemption::FindVictims(const GroupContext& group) {
  const GroupRequest& request = group.request;
  const uint32_t same =
      request.group.present() ? index_->GroupOf(request.members[0].pod->ns(), request.group) : VictimIndex::kNoGroup;
  // For room in the queue anybody of a queue may go, who is in no queue only where the nodes are of use.
  const bool uncharged = ledger_->MayHaveBelow(kNoQueue, request.priority);
  if (uncharged) RemoveGoing();
  const NodeSet useful = uncharged ? UsefulRows(group) : NodeSet();
  all_.clear();
  all_asked_.clear();
  newest_ = absl::InfinitePast();
  const auto add = [&](const Victim& victim) {
    all_.push_back(&victim);
    if (victim.unit.queue == rule_->preemptor().queue) all_asked_.push_back(&victim.unit);
  };
  const auto started = [&](Time start) {
    if (start != absl::InfiniteFuture()) newest_ = std::max(newest_, start);
  };
  for (NodeIndex n = 0; n < snapshot_.size(); ++n) {
    for (const Victim& victim : index_->On(n)) {
      if (victim.whole || !rule_->MayLose(victim.unit.queue) ||
          (victim.group == same && same != VictimIndex::kNoGroup) ||
          (victim.unit.queue == kNoQueue && !(uncharged && useful.Has(n))))
        continue;
      add(victim);
      started(victim.start);
    }
  }
  index_->ForEachWhole([&](const Victim& victim, std::span<const PlacedPod> pods) {
    if (!rule_->MayLose(victim.unit.queue) || victim.group == same) return;
    if (victim.unit.queue == kNoQueue &&
        !(uncharged && std::any_of(pods.begin(), pods.end(), [&](const PlacedPod& p) { return useful.Has(p.row); })))
      return;
    add(victim);
    for (const PlacedPod& p : pods) started(StartOf(*p.pod.pod));
  });
}

std::span<const PlacedPod> GroupPreemption::PodsOf(const Victim& victim) const {
  return victim.whole ? index_->PodsOf(victim.group) : std::span(&victim.first, 1);
}

// Of two that the plan lets go: whose queue is less over its share, then who ranks higher, goes after the other.
bool GroupPreemption::GoesAfter(const Victim& a, const Victim& b) const {
  const uint32_t x = ClassOf(a.unit.queue), y = ClassOf(b.unit.queue);
  return x != y ? x < y : VictimIndex::RanksHigher(a, b);
}

// Those whom the plan lets go, and in which order their queues are: own pods, and those in none, go after all others.
void GroupPreemption::SelectVictims() {
  const size_t cells = ledger_->tree().cells();
  chosen_.clear();
  lent_.assign(ledger_->tree().size() * cells, 0);
  std::vector<std::pair<VictimRule::Rank, QueueIndex>> queues;
  class_of_.assign(ledger_->tree().size() + 1, 0);
  for (const Victim* victim : all_) {
    if (rule_->ReasonOf(victim->unit) == Why::kNone || kept_.contains(victim)) continue;
    chosen_.push_back(victim);
    const QueueIndex queue = victim->unit.queue;
    for (const Charge& charge : victim->unit.charges) lent_[queue * cells + charge.cell] += charge.amount;
    if (queue == kNoQueue || queue == rule_->preemptor().queue || std::exchange(class_of_[queue], 1) != 0) continue;
    queues.emplace_back(rule_->RankOf(queue), queue);
  }
  std::sort(queues.begin(), queues.end());
  for (uint32_t i = 0; i < queues.size(); ++i) class_of_[queues[i].second] = i + 1;
}

// Who goes by the plan, if there is a place for the group then.
std::optional<GroupPreemption::Found> GroupPreemption::ChooseVictims(const GroupContext& group, std::string& places) {
  const bool any_place = !group.search.heeds_others() && group.search.shapes().size() == 1 &&
                         GroupPlaces::PluginFor(group.framework, group.request) == nullptr;
  kept_.clear();
  for (int i = 0; i < kChoices; ++i) {
    SelectVictims();
    if (chosen_.empty()) return std::nullopt;
    on_row_.clear();
    if (!MayHaveRoom()) return std::nullopt;
    const size_t kept = kept_.size();
    const auto tried = [&](const NodeSet& rows) {
      Tried said = TryRows(group, rows);
      places = said.places;
      if (said.best && !Proven(group, *said.best)) said.best.reset();
      return said;
    };
    // Where room in the queue is all that lacks, nodes stay as they are.
    Tried said;
    if (HasSlots(group)) said = tried(NodeSet(snapshot_.size()));
    if (!said.best && !(said.placed && any_place) && !removed_) {
      RemoveGoing();
      if (!group.search.RefreshAll()) return std::nullopt;
      if (HasSlots(group)) said = tried(NodeSet(snapshot_.size()));
    }
    if (!said.best && !(said.placed && any_place)) {
      FindRows(group, any_place);
      NodeSet rows(snapshot_.size());
      const size_t most = std::max(kRows, 2 * group.search.need());
      if (any_place && priced_.size() > most) {
        std::nth_element(priced_.begin(), priced_.begin() + static_cast<ptrdiff_t>(most), priced_.end());
        for (size_t r = 0; r < most; ++r) rows.Add(priced_[r].second);
        said = tried(rows);
      }
      for (const auto& [price, n] : priced_) rows.Add(n);
      if (!said.best && kept_.size() == kept && !priced_.empty()) said = tried(rows);
    }
    if (said.best) return std::move(said.best);
    if (kept_.size() == kept) return std::nullopt;
  }
  return std::nullopt;
}

// Takes from the queues' usage (-1), or adds to it, what the chosen are charged with: but for the `but`, who are taken
// from their nodes, and their charges with them.
void GroupPreemption::Lend(std::span<const VictimRule::Unit* const> but, int sign) {
  QuotaTree& tree = ledger_->tree_for_trials();
  const auto add = [&](const VictimRule::Unit& unit, int64_t by) {
    for (const Charge& charge : unit.charges) lent_[unit.queue * tree.cells() + charge.cell] += by * charge.amount;
  };
  for (const VictimRule::Unit* unit : but) add(*unit, -1);
  for (size_t i = 0; i < lent_.size(); ++i) {
    if (lent_[i] != 0)
      tree.Add(static_cast<QueueIndex>(i / tree.cells()), static_cast<QuotaCell>(i % tree.cells()), sign * lent_[i]);
  }
  for (const VictimRule::Unit* unit : but) add(*unit, +1);
}

// Whether the queue has room once all of them are gone; else nobody needs to look for a place.
bool GroupPreemption::MayHaveRoom() {
  Lend({}, -1);
  const VictimRule::Preemptor& p = rule_->preemptor();
  const bool room = Fits(ledger_->tree(), p.queue, p.all, p.any);
  Lend({}, +1);
  return room;
}

// Whether nodes may have enough room for the group as they are.
bool GroupPreemption::HasSlots(const GroupContext& group) {
  const GroupSearch& search = group.search;
  size_t missing = 0;
  for (const GroupSearch::Shape& shape : search.shapes()) missing = std::max<size_t>(missing, shape.members);
  missing = std::min(missing, search.need());
  for (const GroupSearch::Shape& shape : search.shapes()) {
    if (shape.members < missing) continue;
    const Evaluation& answer = shape.entry->answer;
    if (!answer.error().ok() || !answer.pre_filter().ok()) continue;
    int64_t slots = 0;
    for (size_t w = 0; w < answer.feasible().words() && slots < static_cast<int64_t>(missing); ++w) {
      NodeSet::ForEachBit(answer.feasible().word(w), w,
                          [&](NodeIndex n) { slots += search.Slots(*shape.entry->pod, n); });
    }
    if (slots >= static_cast<int64_t>(missing)) return true;
  }
  return false;
}

// Nodes where victims are: all, or priced, those alone where one more pod may have room without them.
void GroupPreemption::FindRows(const GroupContext& group, bool price) {
  priced_.clear();
  on_row_.clear();
  for (const Victim* victim : chosen_) {
    if (!victim->whole) on_row_.emplace_back(victim->first.row, victim);
  }
  const auto singles = static_cast<ptrdiff_t>(on_row_.size());
  for (const Victim* victim : chosen_) {
    if (!victim->whole) continue;
    for (const PlacedPod& p : PodsOf(*victim)) on_row_.emplace_back(p.row, victim);
  }
  const auto by_row = [](const auto& a, const auto& b) { return a.first < b.first; };
  std::stable_sort(on_row_.begin() + singles, on_row_.end(), by_row);
  std::inplace_merge(on_row_.begin(), on_row_.begin() + singles, on_row_.end(), by_row);
  const NodeSet useful = price ? UsefulRows(group) : snapshot_.all();
  budgets_.Load(snapshot_.objects());
  for (size_t begin = 0, end = 0; begin < on_row_.size(); begin = end) {
    const NodeIndex n = on_row_[begin].first;
    for (end = begin; end < on_row_.size() && on_row_[end].first == n; ++end) {
    }
    RowPrice what;
    if (useful.Has(n) && (!price || PriceRow(group, std::span(on_row_).subspan(begin, end - begin), what)))
      priced_.emplace_back(what, n);
  }
}

// What has to go from one row, at about, for one more pod; who is on it comes in any order. False: all are too few.
bool GroupPreemption::PriceRow(const GroupContext& group, std::span<std::pair<NodeIndex, const Victim*>> victims,
                               RowPrice& price) {
  const NodeIndex n = victims[0].first;
  const ShapeCache::Entry& entry = *group.search.shapes()[0].entry;
  const PodInfo& pod = *entry.pod;
  const int64_t slots = entry.answer.feasible().Has(n) ? group.search.Slots(pod, n) : 0;
  int64_t pods = snapshot_.Free(kPods)[n];
  free_.clear();
  for (const PodInfo::Want& want : pod.requests) free_.push_back(snapshot_.Free(want.resource)[n]);
  price = {0, 0, INT64_MIN, false, 0};
  auto& [broken, count, dear, core, lost] = price;
  budgets_.Reset();
  rule_->BeginNode();
  // A heap, the one first that is to go first: few of them are needed.
  const auto after = [this](const auto& a, const auto& b) { return GoesAfter(*a.second, *b.second); };
  std::make_heap(victims.begin(), victims.end(), after);
  const Victim* last = nullptr;
  for (auto end = victims.end(); end != victims.begin();) {
    std::pop_heap(victims.begin(), end--, after);
    const Victim& victim = *end->second;
    if (&victim == last || (!victim.whole && !rule_->MayLeaveNode(victim.unit))) continue;
    last = &victim;
    count += victim.unit.pods;
    dear = std::max(dear, DearOf(victim));
    core |= !victim.elastic;
    if (!victim.whole && victim.start != absl::InfiniteFuture())
      lost += absl::ToInt64Milliseconds(newest_ - victim.start);
    for (const PlacedPod& p : PodsOf(victim)) {
      if (!budgets_.empty()) broken += budgets_.Violates(*p.pod.pod);
      if (victim.whole) lost += WorkLost(*p.pod.pod);
      if (p.row != n) continue;
      ++pods;
      for (const PodInfo::Want& used : p.pod.info->usage) {
        for (size_t i = 0; i < free_.size(); ++i)
          free_[i] += used.resource == pod.requests[i].resource ? used.amount : 0;
      }
    }
    int64_t now = pods;
    for (size_t i = 0; i < free_.size(); ++i) {
      const PodInfo::Want& want = pod.requests[i];
      if (want.amount > 0 && group.search.Limits(want.resource)) now = std::min(now, free_[i] / want.amount);
    }
    if (now > slots) return true;
  }
  return false;
}

int64_t GroupPreemption::DearOf(const Victim& victim) const {
  return (ClassOf(victim.unit.queue) > 0 ? 0 : int64_t{1} << 33) + victim.unit.priority;
}

void GroupPreemption::AddUnit(const Victim& victim) {
  const auto pods = PodsOf(victim);
  Unit& unit = units_.emplace_back();
  unit.priority = victim.unit.priority;
  unit.start = victim.start;
  unit.count = static_cast<uint32_t>(pods.size());
  unit.elastic = victim.elastic;
  unit.whole = victim.whole;
  unit.first = static_cast<uint32_t>(pods_.size());
  unit.dear = DearOf(victim);
  unit.of = &victim;
  pods_.insert(pods_.end(), pods.begin(), pods.end());
}

// Tries without the victims on these rows; what the others are charged with counts as free.
GroupPreemption::Tried GroupPreemption::TryRows(const GroupContext& group, const NodeSet& rows) {
  units_.clear();
  pods_.clear();
  tried_.clear();
  for (const auto& [n, victim] : on_row_) {
    if (rows.Has(n)) tried_.push_back(victim);
  }
  std::sort(tried_.begin(), tried_.end(), [this](const Victim* a, const Victim* b) { return GoesAfter(*a, *b); });
  tried_.erase(std::unique(tried_.begin(), tried_.end()), tried_.end());
  DropExcess();
  for (const Victim* victim : tried_) AddUnit(*victim);
  asked_.clear();
  for (const Victim* victim : tried_) asked_.push_back(&victim->unit);
  if (tried_.size() < chosen_.size()) {
    const absl::flat_hash_set<const Victim*> first(tried_.begin(), tried_.end());
    for (const Victim* victim : chosen_) {
      if (first.contains(victim)) continue;
      tried_.push_back(victim);
      asked_.push_back(&victim->unit);
    }
  }
  const size_t taken = units_.size();
  Lend(std::span(asked_).first(taken), -1);
  Tried tried = Try(group);
  Lend(std::span(asked_).first(taken), +1);
  return tried;
}

// On one node no more may go of a queue than that borrows: without the others a place there would look free.
void GroupPreemption::DropExcess() {
  std::vector<std::pair<NodeIndex, const Victim*>> at;
  for (size_t i = tried_.size(); i-- > 0;) {
    if (!tried_[i]->whole) at.emplace_back(tried_[i]->first.row, tried_[i]);
  }
  std::stable_sort(at.begin(), at.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  absl::flat_hash_set<const Victim*> stays;
  for (size_t i = 0; i < at.size(); ++i) {  // of each node the least important first
    if (i == 0 || at[i].first != at[i - 1].first) rule_->BeginNode();
    if (!rule_->MayLeaveNode(at[i].second->unit)) stays.insert(at[i].second);
  }
  std::erase_if(tried_, [&](const Victim* victim) { return stays.contains(victim); });
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
  const auto after = [this](uint32_t a, uint32_t b) { return a != b && GoesAfter(*tried_[a], *tried_[b]); };
  if (!rule_->Choose(asked_, all, after, found.victims, illegal_)) {
    for (const uint32_t u : illegal_) kept_.insert(tried_[u]);
    return false;
  }
  // Who goes for room in the queue alone is a unit from here on.
  for (uint32_t& u : found.victims) {
    if (u < units_tried_) continue;
    AddUnit(*tried_[u]);
    u = static_cast<uint32_t>(units_.size() - 1);
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
    const Why reason = rule_->ReasonOf(units_[u].of->unit);
    const bool other = reason == Why::kReclamation || reason == Why::kBorrowing;
    const std::string queue = other ? ledger_->catalog().queue(units_[u].of->unit.queue).name : "";
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
