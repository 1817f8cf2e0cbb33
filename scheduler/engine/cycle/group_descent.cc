// The search beyond the greedy passes: depth first, the shape with the fewest nodes left before others,
// each state of the cluster once.
//
// Where no filter can come to like a node because of what is placed (all but affinity and spreading
// constraints), the order of placing does not matter: it is enough to try all nodes for one member, and
// then to leave its like out. Else all shapes are tried in each state.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

#include "scheduler/engine/cycle/group_search.h"

namespace muster {
namespace {

constexpr std::string_view kHostname = "kubernetes.io/hostname";

bool NamesNodes(const std::vector<Requirement>& requirements) {
  return std::any_of(requirements.begin(), requirements.end(), [](const Requirement& r) { return r.key == kHostname; });
}

// Whether the pod can tell nodes apart that differ by name alone.
bool NamesNodes(const PodSpec& spec) {
  return !spec.requested_node.empty() || spec.node_selector.contains(std::string(kHostname)) ||
         std::any_of(spec.node_affinity.required.begin(), spec.node_affinity.required.end(),
                     [](const NodeSelectorTerm& t) { return !t.fields.empty() || NamesNodes(t.expressions); });
}

bool HostnamesAreUnique(const Snapshot& snap) {
  const Snapshot::LabelKey* label = snap.FindLabel(kHostname);
  if (label == nullptr) return true;
  std::vector<bool> seen(label->domains(), false);
  for (NodeIndex n = 0; n < snap.size(); ++n) {
    const uint32_t domain = label->column[n];
    if (domain == 0 || seen[domain]) return false;
    seen[domain] = true;
  }
  return true;
}

bool SameLabels(const Labels& a, const Labels& b) {
  if (a.size() != b.size()) return false;
  return std::equal(a.begin(), a.end(), b.begin(), [](const auto& x, const auto& y) {
    return x == y || (x.first == kHostname && y.first == kHostname);
  });
}

// A node that a member may go to: the best comes off a heap first.
struct Option {
  int64_t total;
  uint64_t tie;
  NodeIndex node;
  bool operator<(const Option& o) const { return total != o.total ? total < o.total : tie > o.tie; }
};

}  // namespace

bool GroupSearch::Spend() {
  // Filters and scores that look across, and volumes, are computed for all nodes anew.
  const uint64_t cost = kStepBase + snapshot_.words() * (across_ || volumes_ ? 4 : 1);
  if (left_ < cost) exhausted_ = true;
  left_ -= std::min(left_, cost);
  left_in_all_ -= std::min(left_in_all_, cost);
  return !exhausted_;
}

// Whether the rest of the group fits on the one node as it does on the other: nothing but the names
// differs, and nobody asks about these.
bool GroupSearch::Exchangeable(NodeIndex a, NodeIndex b) const {
  if (!symmetric_ || (!slices_.empty() && domain_of_row_[a] != domain_of_row_[b])) return false;
  for (ColumnId c = 0; c < snapshot_.columns(); ++c) {
    if (snapshot_.Cells(c)[a] != snapshot_.Cells(c)[b]) return false;
  }
  const Node &x = snapshot_.node(a), &y = snapshot_.node(b);
  return x.unschedulable == y.unschedulable && x.taints == y.taints && x.declared_features == y.declared_features &&
         SameLabels(x.labels, y.labels);
}

bool GroupSearch::Search() {
  // Slices are filled one after the other; and others than the given ones may be theirs.
  partial_ = homed_ || (grows_ && !slices_.empty());
  // Twice the steps that one straight way down takes, at least.
  left_ = std::min(left_in_all_, std::max(kBudget, 2 * need_ * (kStepBase + snapshot_.words())));
  slack_ = request_->members.size() - need_;
  state_ = 0;
  seen_.clear();
  symmetric_ =
      nominated_ == nullptr && !volumes_ && HostnamesAreUnique(snapshot_) &&
      std::none_of(shapes_.begin(), shapes_.end(), [](const Shape& s) { return NamesNodes(*s.entry->pod->spec); });
  classes_.clear();
  for (uint32_t m = 0; m < shape_of_.size(); ++m) {
    const uint32_t slice = slices_.empty() ? 0 : slice_of_[m];
    auto it = std::find_if(classes_.begin(), classes_.end(),
                           [&](const Class& c) { return c.shape == shape_of_[m] && c.slice == slice; });
    if (it == classes_.end()) it = classes_.insert(classes_.end(), Class{shape_of_[m], slice, {}, false});
    it->left.insert(it->left.begin(), m);
  }
  if (!RefreshAll()) return false;
  std::stable_sort(classes_.begin(), classes_.end(), [&](const Class& a, const Class& b) {
    const auto nodes = [&](const Class& c) {
      const NodeSet* may_take = MayTake(shapes_[c.shape]);
      return may_take == nullptr ? 0 : CountAllowed(c, *may_take);
    };
    return a.slice != b.slice ? a.slice < b.slice : nodes(a) < nodes(b);
  });
  return Descend();
}

size_t GroupSearch::CountAllowed(const Class& of, const NodeSet& nodes) const {
  size_t count = 0;
  const uint32_t member = of.left.empty() ? 0 : of.left.back();
  for (size_t w = 0; w < inside_.words(); ++w) {
    if (slices_.empty()) {
      count += static_cast<size_t>(std::popcount(inside_.word(w) & nodes.word(w)));
    } else {
      NodeSet::ForEachBit(inside_.word(w) & nodes.word(w), w, [&](NodeIndex n) { count += Allowed(member, n); });
    }
  }
  return count;
}

// What may be placed next, by the fewest nodes. Leaves out classes that have no hope: they are told in
// `hopeless`. False where that is more than may be left out, or the search is over.
bool GroupSearch::FindChoices(std::vector<Choice>& choices, std::vector<uint32_t>& hopeless) {
  constexpr size_t kSmall = 128;  // nodes: so many are counted out at every step
  const bool dynamic = shapes_.size() <= kDynamicShapes;
  if (dynamic) {
    for (uint32_t s = 0; s < shapes_.size(); ++s) {
      const bool open = std::any_of(classes_.begin(), classes_.end(),
                                    [&](const Class& c) { return c.shape == s && !c.dropped && !c.left.empty(); });
      if (open && (!Spend() || !Refresh(s))) return false;
    }
  }
  uint32_t slice = UINT32_MAX;  // the one that is filled now
  for (uint32_t i = 0; i < classes_.size(); ++i) {
    Class& c = classes_[i];
    if (c.dropped || c.left.empty()) continue;
    if (slice != UINT32_MAX && c.slice != slice) break;  // they are in order of slices
    const Shape& shape = shapes_[c.shape];
    if (!dynamic && (!Spend() || !Refresh(c.shape))) return false;
    const NodeSet* may_take = MayTake(shape);
    const size_t nodes = may_take == nullptr ? 0 : CountAllowed(c, shape.entry->answer.feasible());
    const bool small = candidate_->nodes.size() <= kSmall;
    if (may_take == nullptr || (nodes == 0 && (!shape.grows || CountAllowed(c, *may_take) == 0)) ||
        (small && c.left.size() > slack_ && BoundOf(shape, c.left.size() - slack_) < c.left.size() - slack_)) {
      if (c.left.size() > slack_) return false;
      slack_ -= c.left.size();
      c.dropped = true;
      hopeless.push_back(i);
      continue;
    }
    slice = c.slice;
    if (nodes != 0) choices.push_back({i, nodes});
    if (!dynamic && nodes != 0 && !grows_) break;
  }
  std::stable_sort(choices.begin(), choices.end(), [](const Choice& a, const Choice& b) { return a.nodes < b.nodes; });
  return true;
}

// True: enough members are placed.
bool GroupSearch::Descend() {
  if (order_.size() >= need_) return true;
  if (!seen_.insert(state_).second) return false;
  std::vector<Choice> choices;
  std::vector<uint32_t> hopeless;
  bool found = false;
  if (FindChoices(choices, hopeless) && !choices.empty()) {
    if (grows_) {
      for (const Choice& choice : choices) {
        if (found = TryClass(choice.of); found || exhausted_ || broken_ != nullptr) break;
      }
    } else {
      const uint32_t i = choices[0].of;
      Class& c = classes_[i];
      found = TryClass(i);
      if (!found && !exhausted_ && broken_ == nullptr && c.left.size() <= slack_) {
        const uint64_t state = std::exchange(state_, state_ + Mix(i, kNoNode));
        slack_ -= c.left.size();
        c.dropped = true;
        found = Descend();
        c.dropped = false;
        slack_ += c.left.size();
        state_ = state;
      }
    }
  }
  for (const uint32_t i : hopeless) {
    classes_[i].dropped = false;
    slack_ += classes_[i].left.size();
  }
  return found;
}

// Tries the class's next member on each node.
bool GroupSearch::TryClass(uint32_t i) {
  constexpr size_t kCompared = 8;
  const uint32_t member = classes_[i].left.back();
  const uint32_t shape = classes_[i].shape;
  const Evaluation& answer = shapes_[shape].entry->answer;
  // With many shapes, or after another class's try, the answer may be an older state's.
  if (!Spend() || !Refresh(shape)) return false;
  const NodeIndex first = Pick(member, candidate_->nodes);
  if (first == kNoNode) return false;
  if (TryNode(i, first)) return true;
  if (!Spend() || broken_ != nullptr || !Refresh(shape)) return false;
  std::vector<Option> options;
  const NodeSet* const room = RoomFor(member);
  for (const NodeIndex n : candidate_->nodes) {
    if (n != first && answer.feasible().Has(n) && Allowed(member, n) && (room == nullptr || room->Has(n)))
      options.push_back({answer.Total(n), answer.Tie(n, snapshot_), n});
  }
  std::make_heap(options.begin(), options.end());
  std::vector<NodeIndex> tried = {first};
  for (; !options.empty(); options.pop_back()) {
    std::pop_heap(options.begin(), options.end());
    const NodeIndex n = options.back().node;
    if (std::any_of(tried.begin(), tried.end(), [&](NodeIndex t) { return Exchangeable(n, t); })) continue;
    if (tried.size() == kCompared) tried.erase(tried.begin());
    tried.push_back(n);
    if (TryNode(i, n)) return true;
    if (exhausted_ || broken_ != nullptr) return false;
  }
  return false;
}

bool GroupSearch::TryNode(uint32_t i, NodeIndex n) {
  Class& c = classes_[i];
  const uint32_t member = c.left.back();
  const size_t count = order_.size();
  if (!PlaceOn(member, n)) return false;
  c.left.pop_back();
  const uint64_t state = std::exchange(state_, state_ + Mix(i, n));
  if (Descend()) return true;
  state_ = state;
  classes_[i].left.push_back(member);
  UndoTo(count);
  return false;
}

}  // namespace muster
