#include "scheduler/engine/cycle/group_search.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace muster {
namespace {

constexpr int64_t kMany = int64_t{1} << 30;

int64_t SaturatingAdd(int64_t a, int64_t b) {
  int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<int64_t>::max() : sum;
}

// Whether placing other pods can make nodes feasible that were not.
bool MayGrow(const PodInfo& pod) {
  const PodSpec& spec = *pod.spec;
  return !spec.pod_affinity.required.empty() || pod.default_spread != kNoColumn ||
         std::any_of(spec.spread.begin(), spec.spread.end(), [](const SpreadConstraint& c) { return c.hard; });
}

}  // namespace

const Plugin* WhoRefuses(const Framework& framework, const PodOnNode& pod, const Snapshot& snap, NodeIndex node,
                         Statement& statement, Outcome* why) {
  for (const ReservePlugin* plugin : framework.reserves()) {
    if (*why = plugin->Reserve(pod, snap, node, statement); !why->ok()) return plugin;
  }
  for (const PermitPlugin* plugin : framework.permits()) {
    if (*why = plugin->Permit(*pod.info, snap, node); !why->ok()) return plugin;
  }
  return nullptr;
}

bool GroupSearch::Begin(const Framework& framework, const GroupRequest& request, ShapeCache& shapes,
                        const Nominated* nominated, StageListener* stages, WorkCount& work) {
  framework_ = &framework;
  request_ = &request;
  nominated_ = nominated;
  work_ = &work;
  candidate_ = nullptr;
  prices_ = nullptr;
  need_ = std::max<size_t>(1, request.min);
  RenewBudget();
  across_ = grows_ = volumes_ = false;
  known_ = true;
  broken_ = nullptr;
  refused_by_ = nullptr;
  without_quota_ = nullptr;
  Clear();

  const CapacityPlugin* capacity = nullptr;
  for (const Framework::FilterStep& step : framework.filters()) {
    if (capacity == nullptr) capacity = dynamic_cast<const CapacityPlugin*>(step.filter);
  }
  limits_pods_ = capacity != nullptr;
  limits_.resize(snapshot_.resources().size());
  for (ResourceId r = 0; r < limits_.size(); ++r)
    limits_[r] = capacity != nullptr && capacity->Limits(snapshot_.resources().Text(r));

  shapes_.clear();
  shape_of_.clear();
  // All ask before any two are compared: a question makes pods count that did not.
  for (const Member& member : request.members) snapshot_.Prepare(*member.info);
  for (uint32_t m = 0; m < request.members.size(); ++m) {
    if (m > 0 && request.members[m].info == request.members[m - 1].info) {
      shape_of_.push_back(shape_of_.back());
      ++shapes_[shape_of_.back()].members;
      continue;
    }
    bool known = false;
    ShapeCache::Entry& entry = shapes.GetAlike(snapshot_, request.members[m].info, &known);
    const auto it = std::find_if(shapes_.begin(), shapes_.end(), [&](const Shape& s) { return s.entry == &entry; });
    shape_of_.push_back(static_cast<uint32_t>(it - shapes_.begin()));
    if (it != shapes_.end()) {
      ++it->members;
      continue;
    }
    known_ &= known;
    shapes_.push_back({&entry, 1, false, false});
    volumes_ |= !entry.pod->spec->volumes.empty();
  }
  for (Shape& shape : shapes_) {
    if (!Look(shape, stages)) return false;
    shape.across = shape.entry->answer.looks_across(framework);
    shape.grows = shape.across && MayGrow(*shape.entry->pod);
    across_ |= shape.across;
    grows_ |= shape.grows;
  }
  return true;
}

bool GroupSearch::Look(Shape& shape, StageListener* stages) {
  const auto for_words = [this](size_t words, absl::FunctionRef<void(WordRange)> body) {
    workers_.ForWords(words, [&](size_t begin, size_t end) { body({begin, end}); });
  };
  Evaluation& answer = shape.entry->answer;
  answer.Update(*framework_, *shape.entry->pod, snapshot_, seed_, for_words, *work_, stages, nominated_);
  if (!answer.error().ok()) broken_ = &shape;
  return broken_ == nullptr;
}

// At least eight straight ways down: 1,024 members at 100,000 nodes need 1.6 million steps for one.
void GroupSearch::RenewBudget() {
  left_in_all_ = std::max(kBudgetsInAll * kBudget, 8 * need_ * (kStepBase + snapshot_.words()));
}

bool GroupSearch::Refresh(uint32_t shape) { return Look(shapes_[shape], nullptr); }

bool GroupSearch::RefreshAll() {
  return std::all_of(shapes_.begin(), shapes_.end(), [&](Shape& shape) { return Look(shape, nullptr); });
}

PlacementCandidate GroupSearch::WholeCluster() {
  if (all_rows_.size() != snapshot_.size()) {
    all_rows_.resize(snapshot_.size());
    for (NodeIndex n = 0; n < all_rows_.size(); ++n) all_rows_[n] = n;
  }
  return {{}, all_rows_, {}, {}, {}, {}};
}

void GroupSearch::Clear() {
  order_.clear();
  marks_.clear();
  const size_t members = request_ == nullptr ? 0 : request_->members.size();
  node_.assign(members, kNoNode);
  score_.assign(members, 0);
}

void GroupSearch::Enter(const PlacementCandidate& candidate) {
  candidate_ = &candidate;
  inside_.Reset(snapshot_.size());
  for (const NodeIndex n : candidate.nodes) inside_.Add(n);
  slices_.clear();
  slice_of_.clear();
  homed_ = false;
  if (candidate.slices.empty()) return;
  domain_of_row_.resize(snapshot_.size());
  for (size_t i = 0; i < candidate.nodes.size(); ++i) domain_of_row_[candidate.nodes[i]] = candidate.slice_domain[i];
  for (const PlacementSlice& slice : candidate.slices) {
    const bool has_home = slice.home != UINT32_MAX;
    homed_ |= has_home;
    slice_of_.resize(slice.first + slice.count, static_cast<uint32_t>(slices_.size()));
    slices_.push_back({slice.home, has_home});
  }
}

bool GroupSearch::Allowed(uint32_t member, NodeIndex n) const {
  if (slices_.empty()) return true;
  const Slice& slice = slices_[slice_of_[member]];
  return slice.placed == 0 || domain_of_row_[n] == slice.domain;
}

void GroupSearch::Prefer(const Prices* prices) {
  prices_ = prices;
  on_row_.assign(prices == nullptr ? 0 : snapshot_.size(), 0);
}

int64_t GroupSearch::CostOf(NodeIndex n) const {
  for (uint32_t i = prices_->of_row[n]; i < prices_->of_row[n + 1]; ++i) {
    if (prices_->steps[i].slots > on_row_[n]) return prices_->steps[i].cost;
  }
  return std::numeric_limits<int64_t>::max();
}

const NodeSet* GroupSearch::RoomFor(const GroupRequest& request, const Member& member) {
  const NodeSet* room = ledger_ == nullptr ? nullptr : ledger_->RoomFor(*member.info);
  if (plans_.empty()) return room;
  room_ = room == nullptr ? snapshot_.all() : *room;
  return plans_.Keep(request.key, *member.pod, request.priority, request.now, room_) ? &room_ : room;
}

// Requires: the member's answer is up to date.
NodeIndex GroupSearch::Pick(uint32_t member, std::span<const NodeIndex> nodes) {
  const NodeSet* const room = RoomFor(member);
  const NodeIndex n = PickIn(member, nodes, room);
  if (n == kNoNode && room != nullptr && without_quota_ == nullptr && PickIn(member, nodes, nullptr) != kNoNode)
    without_quota_ = request_->members[member].info.get();
  return n;
}

NodeIndex GroupSearch::PickIn(uint32_t member, std::span<const NodeIndex> nodes, const NodeSet* room) const {
  const Evaluation& answer = shapes_[shape_of_[member]].entry->answer;
  if (prices_ != nullptr) {
    NodeIndex best = kNoNode;
    int64_t best_cost = 0;
    for (const NodeIndex n : nodes) {
      if (!answer.feasible().Has(n) || !Allowed(member, n) || (room != nullptr && !room->Has(n))) continue;
      const int64_t cost = CostOf(n);
      if (best != kNoNode && (cost > best_cost || (cost == best_cost && !answer.Better(n, best, snapshot_)))) continue;
      best = n, best_cost = cost;
    }
    return best;
  }
  if (slices_.empty() && nodes.size() == snapshot_.size())
    return room == nullptr ? answer.Best() : answer.BestIn(*room, snapshot_);
  if (answer.feasible_count() == 0) return kNoNode;
  return answer.BestAmong(nodes, snapshot_,
                          [&](NodeIndex n) { return !Allowed(member, n) || (room != nullptr && !room->Has(n)); });
}

// Requires: the member's answer is up to date, and the node feasible. False: nothing was done.
bool GroupSearch::PlaceOn(uint32_t member, NodeIndex n) {
  const Member& m = request_->members[member];
  const size_t mark = statement_.Checkpoint();
  statement_.Place({m.pod.get(), m.info.get()}, n);
  Outcome why;
  if (const Plugin* plugin = WhoRefuses(*framework_, {m.pod.get(), m.info.get()}, snapshot_, n, statement_, &why);
      plugin != nullptr) {
    refused_by_ = plugin;
    statement_.Rollback(mark);
    return false;
  }
  node_[member] = n;
  score_[member] = shapes_[shape_of_[member]].entry->answer.Total(n);
  order_.push_back(member);
  marks_.push_back(mark);
  if (prices_ != nullptr) ++on_row_[n];
  if (!slices_.empty()) {
    Slice& slice = slices_[slice_of_[member]];
    slice.domain = domain_of_row_[n];
    ++slice.placed;
  }
  return true;
}

void GroupSearch::UndoTo(size_t count) {
  if (order_.size() <= count) return;
  statement_.Rollback(marks_[count]);
  for (size_t i = count; i < order_.size(); ++i) {
    if (prices_ != nullptr) --on_row_[node_[order_[i]]];
    node_[order_[i]] = kNoNode;
    if (!slices_.empty()) --slices_[slice_of_[order_[i]]].placed;
  }
  order_.resize(count);
  marks_.resize(count);
}

// --- Greedy ------------------------------------------------------------------------------------

bool GroupSearch::GreedyMember(uint32_t member, std::span<const NodeIndex> nodes) {
  left_in_all_ -= std::min(left_in_all_, kStepBase + snapshot_.words());
  if (!Refresh(shape_of_[member])) return false;
  const NodeIndex n = Pick(member, nodes);
  return n != kNoNode && PlaceOn(member, n);
}

// Each member on the best node of its run, or else of all; those that need others beside them once more
// after these; `most` at most. False where fewer than `enough` are placed.
bool GroupSearch::Greedy(bool along_runs, size_t enough, size_t most) {
  const size_t members = request_->members.size();
  const std::span<const PlacementRun> runs = along_runs ? candidate_->runs : std::span<const PlacementRun>();
  size_t run = 0, failed = 0;
  waiting_.clear();
  for (uint32_t m = 0; m < members && order_.size() < most; ++m) {
    while (run < runs.size() && m >= runs[run].first + runs[run].count) ++run;
    const bool in_run = run < runs.size() && m >= runs[run].first;
    bool placed = in_run && GreedyMember(m, runs[run].nodes);
    if (!placed && broken_ == nullptr) placed = GreedyMember(m, candidate_->nodes);
    if (broken_ != nullptr) return false;
    if (placed) continue;
    if (shapes_[shape_of_[m]].grows) {
      waiting_.push_back(m);
    } else if (++failed > members - enough) {
      return false;
    }
  }
  for (size_t before = members; !waiting_.empty() && waiting_.size() < before;) {
    before = waiting_.size();
    std::erase_if(waiting_, [&](uint32_t m) {
      return broken_ == nullptr && order_.size() < most && GreedyMember(m, candidate_->nodes);
    });
  }
  return broken_ == nullptr && order_.size() >= enough;
}

// Elastic members, each where there is room.
void GroupSearch::PlaceRest() {
  for (uint32_t m = 0; m < node_.size() && order_.size() < node_.size() && broken_ == nullptr; ++m) {
    if (node_[m] == kNoNode) GreedyMember(m, candidate_->nodes);
  }
}

GroupSearch::Verdict GroupSearch::Place(const PlacementCandidate& candidate, bool whole) {
  Enter(candidate);
  const size_t most = whole ? node_.size() : need_;
  exhausted_ = partial_ = false;
  if (BoundInside(need_) < need_) return Verdict::kImpossible;
  if (left_in_all_ == 0) return Verdict::kNotFound;
  const Plugin* refused_before = std::exchange(refused_by_, nullptr);
  const bool runs_first = prices_ == nullptr || !slices_.empty();
  bool placed = Greedy(runs_first, need_, most);
  if (!placed && broken_ == nullptr && !candidate.runs.empty()) {
    UndoTo(0);
    placed = Greedy(!runs_first, need_, most);
  }
  // Equal pods that heed nobody else fill each node up, whatever their order: more cannot be placed.
  const bool exact = shapes_.size() == 1 && !across_ && !volumes_ && slices_.empty() && refused_by_ == nullptr &&
                     without_quota_ == nullptr;
  if (!placed && broken_ == nullptr && !exact) {
    UndoTo(0);
    placed = Search();
    if (placed && whole) PlaceRest();
  }
  if (refused_by_ == nullptr) refused_by_ = refused_before;
  if (placed && broken_ == nullptr) return Verdict::kPlaced;
  UndoTo(0);
  if (broken_ != nullptr) return Verdict::kBroken;
  return exhausted_ || partial_ || without_quota_ != nullptr ? Verdict::kNotFound : Verdict::kImpossible;
}

GroupSearch::Verdict GroupSearch::PlaceExactly(const PlacementCandidate& candidate, std::span<const NodeIndex> nodes) {
  Enter(candidate);
  waiting_.clear();
  for (uint32_t m = 0; m < nodes.size(); ++m) {
    if (nodes[m] != kNoNode) waiting_.push_back(m);
  }
  const auto place = [&](uint32_t m) {
    return broken_ == nullptr && inside_.Has(nodes[m]) && Allowed(m, nodes[m]) && Refresh(shape_of_[m]) &&
           shapes_[shape_of_[m]].entry->answer.feasible().Has(nodes[m]) && HasRoom(m, nodes[m]) && PlaceOn(m, nodes[m]);
  };
  for (size_t before = nodes.size() + 1; !waiting_.empty() && waiting_.size() < before;) {
    before = waiting_.size();
    std::erase_if(waiting_, place);
  }
  const bool whole = waiting_.empty() && broken_ == nullptr;
  if (whole) PlaceRest();
  if (whole && broken_ == nullptr && order_.size() >= need_) return Verdict::kPlaced;
  UndoTo(0);
  return broken_ != nullptr ? Verdict::kBroken : Verdict::kNotFound;
}

GroupSearch::Verdict GroupSearch::PlaceMost(const PlacementCandidate& candidate) {
  Enter(candidate);
  Greedy(/*along_runs=*/true, 0, node_.size());
  if (broken_ != nullptr) return Verdict::kBroken;
  return order_.size() >= need_ ? Verdict::kPlaced : Verdict::kNotFound;
}

bool GroupSearch::TryFewer(std::span<const uint32_t> domain_of_row) {
  const auto domains = [&] {
    domains_.clear();
    for (const uint32_t m : order_) {
      if (domain_of_row[node_[m]] != UINT32_MAX) domains_.push_back(domain_of_row[node_[m]]);
    }
    std::sort(domains_.begin(), domains_.end());
    return std::unique(domains_.begin(), domains_.end()) - domains_.begin();
  };
  if (domain_of_row.empty() || left_in_all_ == 0) return true;
  const auto taken = domains();
  const bool all = order_.size() == node_.size();
  const bool none_is_free = std::find(domain_of_row.begin(), domain_of_row.end(), UINT32_MAX) == domain_of_row.end();
  if (all && taken <= (none_is_free ? 1 : 0)) return true;
  before_.clear();
  for (const uint32_t m : order_) before_.emplace_back(m, node_[m]);
  UndoTo(0);
  everywhere_ = WholeCluster();
  Enter(everywhere_);
  if (Greedy(/*along_runs=*/false, before_.size(), node_.size())) {
    const auto now = domains();
    if (now < taken || (now == taken && order_.size() > before_.size())) return true;
  }
  UndoTo(0);
  for (const auto& [m, n] : before_) {
    if (broken_ == nullptr && Refresh(shape_of_[m])) PlaceOn(m, n);
  }
  return broken_ == nullptr;
}

// --- Bounds ------------------------------------------------------------------------------------

int64_t GroupSearch::Slots(const PodInfo& pod, NodeIndex n) const {
  if (!limits_pods_) return kMany;
  int64_t slots = std::max<int64_t>(0, snapshot_.Free(kPods)[n]);
  for (const PodInfo::Want& want : pod.requests) {
    if (slots == 0) break;
    if (want.amount <= 0 || !Limits(want.resource)) continue;
    slots = std::min(slots, std::max<int64_t>(0, snapshot_.Free(want.resource)[n]) / want.amount);
  }
  return slots;
}

// Nodes on which such a pod may yet be placed, now or after others; null: none.
const NodeSet* GroupSearch::MayTake(const Shape& shape) const {
  const Evaluation& answer = shape.entry->answer;
  if (!answer.pre_filter().ok()) return nullptr;
  return shape.grows ? &answer.local() : &answer.feasible();
}

size_t GroupSearch::BoundOf(const Shape& shape, size_t enough) const {
  const NodeSet* may_take = MayTake(shape);
  if (may_take == nullptr) return 0;
  size_t sum = 0;
  for (size_t w = 0; w < inside_.words() && sum < enough; ++w) {
    NodeSet::ForEachBit(inside_.word(w) & may_take->word(w), w, [&](NodeIndex n) {
      if (sum < enough) sum += static_cast<size_t>(Slots(*shape.entry->pod, n));
    });
  }
  return sum;
}

// Whether the nodes that take any of the shapes have together free what the least demanding members ask for.
bool GroupSearch::ResourcesSuffice(size_t members) {
  union_.Reset(snapshot_.size());
  for (const Shape& shape : shapes_) {
    const NodeSet* may_take = MayTake(shape);
    for (size_t w = 0; may_take != nullptr && w < union_.words(); ++w)
      union_.word(w) |= may_take->word(w) & inside_.word(w);
  }
  for (ResourceId r = 0; r < limits_.size(); ++r) {
    if (!Limits(r) && !(r == kPods && limits_pods_)) continue;
    amounts_.clear();
    for (const Shape& shape : shapes_) {
      int64_t amount = r == kPods ? 1 : 0;
      for (const PodInfo::Want& want : shape.entry->pod->requests) {
        if (want.resource == r) amount = std::max<int64_t>(0, want.amount);
      }
      amounts_.emplace_back(amount, shape.members);
    }
    std::sort(amounts_.begin(), amounts_.end());
    int64_t asked = 0;
    size_t left = members;
    for (const auto& [amount, count] : amounts_) {
      const size_t take = std::min<size_t>(left, count);
      for (size_t i = 0; i < take && amount > 0; ++i) asked = SaturatingAdd(asked, amount);
      left -= take;
    }
    int64_t free = 0;
    for (size_t w = 0; w < union_.words() && free < asked; ++w) {
      NodeSet::ForEachBit(union_.word(w), w,
                          [&](NodeIndex n) { free = SaturatingAdd(free, std::max<int64_t>(0, snapshot_.Free(r)[n])); });
    }
    if (free < asked) return false;
  }
  return true;
}

// An upper bound of how many members the candidate may hold, by what its nodes have free; some number of at least
// `enough` where that is reached.
size_t GroupSearch::BoundInside(size_t enough) {
  size_t sum = 0;
  for (const Shape& shape : shapes_) {
    if (sum >= enough) break;
    sum += std::min<size_t>(shape.members, BoundOf(shape, shape.members));
  }
  if (sum < enough || shapes_.size() == 1) return sum;
  // Of members of several shapes the sum over shapes counts each node's room more than once.
  if (ResourcesSuffice(enough)) return sum;
  size_t low = 0, high = enough;  // low suffices, high does not
  while (high - low > 1) {
    const size_t middle = (low + high) / 2;
    (ResourcesSuffice(middle) ? low : high) = middle;
  }
  return low;
}

}  // namespace muster
