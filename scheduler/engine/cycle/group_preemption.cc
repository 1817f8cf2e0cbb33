#include "scheduler/engine/cycle/group_preemption.h"

#include <algorithm>
#include <optional>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"

namespace muster {
namespace {

constexpr size_t kShapesLookedAt = 8;  // to find out where removing pods may help

bool SameGroup(const Pod& pod, const std::string& ns, const GroupRef& group) {
  return group.present() && pod.group.source == group.source && pod.group.name == group.name && pod.ns() == ns;
}

}  // namespace

// Why the group may not preempt now, or "".
std::string_view GroupPreemption::NotEligible(const GroupContext& group, std::span<const std::string> nominated) const {
  const GroupRequest& request = group.request;
  if (request.preemption_policy == "Never") return "not eligible due to preemptionPolicy=Never.";
  for (size_t i = 0; i < request.members.size(); ++i) {
    const std::string& own = request.members[i].pod->nominated_node;
    const std::string& node = i < nominated.size() && !nominated[i].empty() ? nominated[i] : own;
    const NodeIndex n = node.empty() ? kNoNode : snapshot_.Find(node);
    if (n == kNoNode) continue;
    if (VictimIsGoing(snapshot_, n, request.priority))
      return "not eligible due to terminating pods on the nominated nodes.";
  }
  return "";
}

// Rows where some member fits now, or may once pods are gone.
NodeSet GroupPreemption::UsefulRows(const GroupContext& group) {
  NodeSet useful = snapshot_.all();
  if (group.search.heeds_others() || group.search.shapes().size() > kShapesLookedAt) return useful;
  useful.Reset(snapshot_.size());
  for (uint32_t s = 0; s < group.search.shapes().size(); ++s) {
    ShapeCache::Entry& entry = *group.search.shapes()[s].entry;
    if (!group.search.Refresh(s) || !entry.answer.pre_filter().ok()) continue;
    if (!entry.verdicts.Update(group.framework, *entry.pod, snapshot_, entry.answer, group.nominated).ok()) continue;
    for (size_t w = 0; w < useful.words(); ++w)
      useful.word(w) |= entry.answer.feasible().word(w) | entry.verdicts.resolvable().word(w);
  }
  return useful;
}

void GroupPreemption::FindUnits(const GroupContext& group) {
  const GroupRequest& request = group.request;
  const ClusterObjects& objects = snapshot_.objects();
  const std::string& ns = request.members[0].pod->ns();
  const NodeSet useful = UsefulRows(group);
  pods_.clear();
  units_.clear();
  absl::flat_hash_set<const PodGroup*> whole;  // those that were met
  const bool any_groups = !objects.All(Kind::kPodGroup).empty();
  useful.ForEach([&](NodeIndex n) {
    for (const PodOnNode& pod : snapshot_.PodsOn(n)) {
      // Most are not to go: no more is read of them than must be.
      const int32_t priority = any_groups ? VictimPriority(*pod.pod, objects) : pod.info->spec->priority;
      if (priority >= request.priority || SameGroup(*pod.pod, ns, request.group)) continue;
      Unit unit{{priority, StartOf(*pod.pod), 1}, false, false, static_cast<uint32_t>(pods_.size()), priority};
      const PodGroup* own = NativeGroupOf(*pod.pod, objects);
      unit.whole = own != nullptr && own->disrupted_whole;
      if (!unit.whole) {
        pods_.push_back({pod, n});
      } else if (!whole.insert(own).second) {
        continue;
      } else {
        static_cast<VictimUnit&>(unit) = AppendGroup(*pod.pod, snapshot_, pods_);
        unit.dear = unit.priority;
        if (unit.priority >= request.priority) {
          pods_.resize(unit.first);
          continue;
        }
      }
      units_.push_back(unit);
    }
  });
  AddElastic();
  std::sort(units_.begin(), units_.end(), [&](const Unit& a, const Unit& b) {
    if (a.priority != b.priority) return a.priority > b.priority;
    if (a.elastic != b.elastic) return b.elastic;
    if (a.whole != b.whole) return a.whole;
    if (a.count != b.count) return a.count > b.count;
    if (a.start != b.start) return a.start < b.start;
    const Pod &x = *pods_[a.first].pod.pod, &y = *pods_[b.first].pod.pod;
    return std::tie(x.ns(), x.name) < std::tie(y.ns(), y.name);
  });
  newest_ = absl::InfinitePast();
  for (const PlacedPod& p : pods_) newest_ = std::max(newest_, p.pod.pod->started);
}

// Of each gang, the pods above its minimum that started last.
void GroupPreemption::AddElastic() {
  absl::flat_hash_set<const Pod*> elastic, looked;
  std::vector<const Pod*> members;
  for (const Unit& unit : units_) {
    const Pod& pod = *pods_[unit.first].pod.pod;
    if (unit.whole || !pod.group.present() || looked.contains(&pod)) continue;
    members.clear();
    for (const PlacedMember& m : snapshot_.MembersOf(pod.ns(), pod.group)) members.push_back(m.pod);
    looked.insert(members.begin(), members.end());
    KeepElastic(members, MinimumOf(pod, snapshot_.objects()));
    elastic.insert(members.begin(), members.end());
  }
  for (Unit& unit : units_) unit.elastic = !unit.whole && elastic.contains(pods_[unit.first].pod.pod);
}

void GroupPreemption::RemoveAll() {
  std::vector<bool> goes(pods_.size());
  for (const Unit& unit : units_) std::fill_n(goes.begin() + unit.first, unit.count, true);
  // From the back of each row, where a pod is found at once.
  for (size_t i = pods_.size(); i-- > 0;) {
    if (goes[i]) statement_.Remove(pods_[i].pod, pods_[i].row);
  }
}

// What has to go from each row for one more pod of the shape, again and again, the least important first:
// budgets broken, pods, how high their priority is, work lost.
void GroupPreemption::FindPrices(const GroupContext& group, const PodInfo& main) {
  struct Step {
    RowPrice price;
    size_t index;  // in prices_.steps
  };
  std::vector<std::pair<NodeIndex, uint32_t>> on_row;  // units by row, the least important first
  std::vector<int32_t> violations(units_.size(), 0);
  budgets_.Reset();
  for (uint32_t u = 0; u < units_.size(); ++u) {
    for (const PlacedPod& p : Pods(units_[u])) violations[u] += budgets_.Violates(*p.pod.pod);
  }
  for (uint32_t u = static_cast<uint32_t>(units_.size()); u-- > 0;) {
    for (const PlacedPod& p : Pods(units_[u])) {
      if (on_row.empty() || on_row.back() != std::pair(p.row, u)) on_row.emplace_back(p.row, u);
    }
  }
  std::stable_sort(on_row.begin(), on_row.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  size_t next = 0;
  std::vector<Step> steps;
  prices_.steps.clear();
  prices_.of_row.assign(1, 0);
  std::vector<int64_t> free(main.requests.size());
  for (NodeIndex n = 0; n < snapshot_.size(); ++n) {
    int64_t slots = before_[n];
    prices_.steps.push_back({slots, 0});
    int64_t pods = snapshot_.Free(kPods)[n];
    for (size_t i = 0; i < free.size(); ++i) free[i] = snapshot_.Free(main.requests[i].resource)[n];
    RowPrice price{0, 0, INT64_MIN, false, 0};
    for (; next < on_row.size() && on_row[next].first == n; ++next) {
      const uint32_t u = on_row[next].second;
      const bool last = next + 1 == on_row.size() || on_row[next + 1].first != n;
      const Unit& unit = units_[u];
      auto& [broken, count, dear, core, lost] = price;
      broken += violations[u];
      count += unit.count;
      dear = std::max(dear, unit.dear);
      core |= !unit.elastic;
      for (const PlacedPod& p : Pods(unit)) {
        lost += WorkLost(*p.pod.pod);
        if (p.row != n) continue;
        ++pods;
        for (const PodInfo::Want& used : p.pod.info->usage) {
          for (size_t i = 0; i < free.size(); ++i)
            free[i] += used.resource == main.requests[i].resource ? used.amount : 0;
        }
      }
      int64_t now = pods;
      for (size_t i = 0; i < free.size(); ++i) {
        const PodInfo::Want& want = main.requests[i];
        if (want.amount > 0 && group.search.Limits(want.resource)) now = std::min(now, free[i] / want.amount);
      }
      if (now <= slots && !last) continue;
      slots = std::max(now, slots + 1);  // at the last: what else was in the way is gone too
      steps.push_back({price, prices_.steps.size()});
      prices_.steps.push_back({slots, 0});
      price = {0, 0, INT64_MIN, false, 0};
    }
    prices_.of_row.push_back(static_cast<uint32_t>(prices_.steps.size()));
  }
  std::sort(steps.begin(), steps.end(),
            [](const Step& a, const Step& b) { return std::tie(a.price, a.index) < std::tie(b.price, b.index); });
  int64_t rank = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    rank += i == 0 || steps[i].price != steps[i - 1].price;
    prices_.steps[steps[i].index].cost = rank;
  }
}

// About how many pods have to go from the candidate, by the room that they leave on each node.
int64_t GroupPreemption::Estimate(const GroupContext& group, const PlacementCandidate& candidate) {
  int64_t missing = static_cast<int64_t>(group.search.need());
  std::vector<std::pair<int64_t, int64_t>> gains;  // pods that go, slots that they leave
  for (const NodeIndex n : candidate.nodes) {
    missing -= before_[n];
    if (after_[n] > before_[n]) gains.emplace_back(goers_[n], after_[n] - before_[n]);
  }
  std::sort(gains.begin(), gains.end(),
            [](const auto& a, const auto& b) { return a.first * b.second < b.first * a.second; });
  int64_t pods = 0;
  for (const auto& [goers, slots] : gains) {
    if (missing <= 0) break;
    pods += (goers * std::min(missing, slots) + slots - 1) / slots;
    missing -= slots;
  }
  return pods;
}

RoomForGroup GroupPreemption::MakeRoom(const GroupContext& group, std::span<const std::string> nominated) {
  rule_ = nullptr;
  RoomForGroup room;
  room.result.code = Code::kUnschedulable;
  if (const std::string_view why = NotEligible(group, nominated); !why.empty()) {
    room.result.message = absl::StrCat("preemption: ", AsAbsl(why));
    return room;
  }
  room.result.nominate = "";  // unless room is found
  FindUnits(group);
  if (units_.empty()) {
    room.result.message = "preemption: No preemption victims found for incoming preemptor";
    return room;
  }
  const Tried tried = Try(group);
  if (!tried.best) {
    room.result.message =
        absl::StrCat("preemption: the group ", tried.proven ? "does not fit" : "was found no place for",
                     " even without all pods of lower priority", tried.places);
    return room;
  }
  Tell(*tried.best, room);
  room.result.message = absl::StrCat("preemption: found a placement for podgroup, preempting ",
                                     room.result.victims.size(), " victims", tried.places);
  return room;
}

void GroupPreemption::Tell(const Found& found, RoomForGroup& room) const {
  for (const uint32_t u : found.victims) {
    for (const PlacedPod& p : Pods(units_[u])) room.result.victims.push_back(p.pod.pod);
  }
  room.result.budget_violations = std::get<0>(found.cost);
  for (const NodeIndex n : found.nodes)
    room.nominations.push_back(n == kNoNode ? std::string() : std::string(snapshot_.NodeName(n)));
  room.result.code = Code::kSuccess;
}

// Takes all units away, looks for the best place, and finds out who may stay. All is undone.
GroupPreemption::Tried GroupPreemption::Try(const GroupContext& group) {
  using Verdict = GroupSearch::Verdict;
  GroupSearch& search = group.search;
  Tried tried;
  budgets_.Load(snapshot_.objects());
  // The shape of most members stands for all in estimates.
  const auto main =
      static_cast<uint32_t>(std::max_element(search.shapes().begin(), search.shapes().end(),
                                             [](const auto& a, const auto& b) { return a.members < b.members; }) -
                            search.shapes().begin());
  const auto count_slots = [&](std::vector<int64_t>& slots) {
    slots.assign(snapshot_.size(), 0);
    const ShapeCache::Entry& entry = *search.shapes()[main].entry;
    entry.answer.feasible().ForEach([&](NodeIndex n) { slots[n] = search.Slots(*entry.pod, n); });
  };
  const size_t mark = statement_.Checkpoint();
  units_tried_ = units_.size();
  search.RefreshAll();
  count_slots(before_);
  if (units_.empty()) {
    after_ = before_;
  } else {
    FindPrices(group, *search.shapes()[main].entry->pod);
    RemoveAll();
    search.RefreshAll();
    count_slots(after_);
    search.Prefer(&prices_);
  }
  search.RenewBudget();
  goers_.assign(snapshot_.size(), 0);
  for (const Unit& unit : units_) {
    for (const PlacedPod& p : Pods(unit)) ++goers_[p.row];
  }

  std::vector<std::pair<int64_t, uint32_t>> estimates;  // and which candidate
  const auto visit = [&](absl::FunctionRef<bool(const PlacementCandidate&)> f) {
    return group.places.Visit(group.framework, group.request, search.need(), snapshot_, search, f);
  };
  if (GroupPlaces::PluginFor(group.framework, group.request) != nullptr && search.broken_shape() == nullptr) {
    visit([&](const PlacementCandidate& candidate) {
      estimates.emplace_back(Estimate(group, candidate), static_cast<uint32_t>(estimates.size()));
      return false;
    });
    std::sort(estimates.begin(), estimates.end());
  }
  std::vector<bool> chosen(std::max<size_t>(1, estimates.size()), estimates.size() <= kPlaces);
  for (size_t i = 0; i < std::min(kPlaces, estimates.size()); ++i) chosen[estimates[i].second] = true;
  size_t index = 0;
  const PlacementAnswer answer = visit([&](const PlacementCandidate& candidate) {
    const bool looked_at = index < chosen.size() && chosen[index];
    ++index;
    if (!looked_at) return false;
    const Verdict verdict = search.Place(candidate, /*whole=*/false);
    tried.placed |= verdict == Verdict::kPlaced;
    if (verdict == Verdict::kPlaced) {
      Found found;
      Prove(group, found);
      if ((rule_ == nullptr || Complete(group, found)) && (!tried.best || found.cost < tried.best->cost))
        tried.best = std::move(found);
      search.Undo();
    }
    tried.proven &= verdict == Verdict::kImpossible;
    return search.broken_shape() != nullptr;
  });
  tried.proven &= answer.complete && chosen.size() <= kPlaces;
  search.Prefer(nullptr);
  statement_.Rollback(mark);
  search.RefreshAll();
  if (chosen.size() > kPlaces) tried.places = absl::StrCat(" (", kPlaces, " of ", chosen.size(), " places were tried)");
  return tried;
}

// Who must go for the group to stay where the search has placed it.
void GroupPreemption::Prove(const GroupContext& group, Found& found) {
  const GroupSearch& search = group.search;
  found.nodes.assign(search.nodes().begin(), search.nodes().end());
  NodeSet rows(snapshot_.size());
  on_rows_.clear();
  for (const uint32_t m : search.order()) {
    on_rows_.emplace_back(search.nodes()[m], m);
    rows.Add(search.nodes()[m]);
  }
  std::stable_sort(on_rows_.begin(), on_rows_.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  looks_ = 0;
  budgets_.Reset();
  std::vector<uint32_t> spared, others;  // the protected first, each the most important first
  for (uint32_t u = 0; u < units_tried_; ++u) {
    const auto pods = Pods(units_[u]);
    if (!search.heeds_others() &&
        std::none_of(pods.begin(), pods.end(), [&](const auto& p) { return rows.Has(p.row); }))
      continue;  // in nobody's way
    bool violates = false;
    for (const PlacedPod& p : pods) violates |= budgets_.Violates(*p.pod.pod);
    (violates ? spared : others).push_back(u);
  }
  spared.insert(spared.end(), others.begin(), others.end());
  const size_t mark = statement_.Checkpoint();
  Spare(group, spared, found.victims);
  statement_.Rollback(mark);
  std::sort(found.victims.begin(), found.victims.end());
  found.cost = CostOf(found.victims);
}

// Those of the units stay for whom there is room beside the group, the first before the others.
void GroupPreemption::Spare(const GroupContext& group, std::span<const uint32_t> units,
                            std::vector<uint32_t>& victims) {
  if (units.empty()) return;
  for (const uint32_t u : units) {
    for (const PlacedPod& p : Pods(units_[u])) statement_.Place(p.pod, p.row);
  }
  if (StillFits(group, units)) return;
  for (auto u = units.rbegin(); u != units.rend(); ++u) {
    const auto pods = Pods(units_[*u]);
    for (auto p = pods.rbegin(); p != pods.rend(); ++p) statement_.Remove(p->pod, p->row);
  }
  if (units.size() == 1) return victims.push_back(units[0]);
  Spare(group, units.first(units.size() / 2), victims);
  Spare(group, units.subspan(units.size() / 2), victims);
}

// Whether the placed members still fit beside the units, which came last.
bool GroupPreemption::StillFits(const GroupContext& group, std::span<const uint32_t> units) {
  if (group.search.heeds_others()) {
    looks_ += group.search.placed();
    return looks_ <= kLooks && MembersFit(group, group.search.order());
  }
  std::vector<NodeIndex> rows;
  for (const uint32_t u : units) {
    for (const PlacedPod& p : Pods(units_[u])) rows.push_back(p.row);
  }
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  return std::all_of(rows.begin(), rows.end(), [&](NodeIndex n) {
    affected_.clear();
    const auto from =
        std::partition_point(on_rows_.begin(), on_rows_.end(), [&](const auto& m) { return m.first < n; });
    for (auto it = from; it != on_rows_.end() && it->first == n; ++it) affected_.push_back(it->second);
    return MembersFit(group, affected_);
  });
}

// Looks at the members anew, each as it was placed: with those before it only.
bool GroupPreemption::MembersFit(const GroupContext& group, std::span<const uint32_t> members) {
  const GroupSearch& search = group.search;
  const auto on_node = [&](uint32_t m) {
    return PodOnNode{group.request.members[m].pod.get(), group.request.members[m].info.get()};
  };
  for (auto m = members.rbegin(); m != members.rend(); ++m) statement_.Remove(on_node(*m), search.nodes()[*m]);
  bool fits = true;
  for (const uint32_t m : members) {
    const NodeIndex n = search.nodes()[m];
    if (fits) {
      const uint32_t shape = search.shape_of()[m];
      ShapeCache::Entry& entry = *search.shapes()[shape].entry;
      fits = search.heeds_others() ? group.search.Refresh(shape) && entry.answer.feasible().Has(n)
                                   : entry.answer.Fits(group.framework, *entry.pod, snapshot_, n, group.nominated);
    }
    statement_.Place(on_node(m), n);
  }
  return fits;
}

// In milliseconds, against who started last.
int64_t GroupPreemption::WorkLost(const Pod& pod) const {
  return pod.started == absl::InfinitePast() ? 0 : absl::ToInt64Milliseconds(newest_ - pod.started);
}

GroupPreemption::Cost GroupPreemption::CostOf(std::span<const uint32_t> victims) {
  int32_t violations = 0;
  int64_t pods = 0, lost = 0;
  budgets_.Reset();
  for (const uint32_t u : victims) {
    for (const PlacedPod& p : Pods(units_[u])) {
      violations += budgets_.Violates(*p.pod.pod);
      ++pods;
      lost += WorkLost(*p.pod.pod);
    }
  }
  return {violations, pods, lost};
}

}  // namespace muster
