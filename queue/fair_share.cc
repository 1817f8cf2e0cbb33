#include "queue/fair_share.h"

#include <algorithm>

namespace muster {

FairShare::FairShare(Before before) : before_(std::move(before)) {
  static const QuotaTree kNoQueues;  // until Build
  tree_ = &kNoQueues;
  nodes_.push_back(std::make_unique<Node>(*this, kNoQueue));
}

void FairShare::Build(const QuotaTree& tree, const std::vector<Queue::Order>& orders, GoesAhead goes_ahead) {
  std::vector<QueuedGroup*> groups, blocked;
  for (const auto& node : nodes_) {
    blocked.insert(blocked.end(), node->blocked.begin(), node->blocked.end());
    for (auto& [demand, bucket] : node->buckets) {
      for (; !bucket.groups.empty(); bucket.groups.Remove(groups.back())) groups.push_back(bucket.first());
    }
  }
  tree_ = &tree;
  searched_ = suspended_ = false;
  goes_ahead_ = std::move(goes_ahead);
  nodes_.clear();
  for (QueueIndex q = 0; q < tree.size(); ++q) {
    nodes_.push_back(std::make_unique<Node>(*this, q));
    nodes_.back()->order = orders[q];
    nodes_.back()->need.assign(tree.cells(), kUnlimited);
  }
  nodes_.push_back(std::make_unique<Node>(*this, kNoQueue));
  for (QueueIndex q = 0; q < tree.size(); ++q) nodes_[q]->parent = &NodeOf(tree.parent(q));
  needed_.resize(tree.cells());
  size_ = 0;
  for (QueuedGroup* group : groups) Push(group);
  for (QueuedGroup* group : blocked) Block(group);
}

FairShare::Demand FairShare::DemandOf(const Node& node, const QueuedGroup& group) const {
  Demand demand{group.demand, group.either, absl::ZeroDuration()};
  if (node.order == Queue::Order::kBackfill) demand.runtime = group.max_runtime;
  return demand;
}

void FairShare::Stir(Node& node) {
  node.quiet_until = absl::InfinitePast();
  for (Node* above = &node; above != nullptr; above = above->parent) above->all_quiet_until = absl::InfinitePast();
}

void FairShare::SetBlocked(QueuedGroup* group, bool blocked) {
  Node& node = NodeOf(group->queue);
  if (node.order == Queue::Order::kBestEffortFIFO) return;
  if (blocked) {
    node.blocked.insert(group);
  } else {
    node.blocked.erase(group);
  }
  Stir(node);
  Update(&node);
}

const QueuedGroup* FairShare::BlockedFirst(const Node& node) const {
  if (node.blocked.empty()) return nullptr;
  const QueuedGroup* const blocked = *node.blocked.begin();
  const QueuedGroup* const first = node.first();
  return first == nullptr || before_(*blocked, *first) ? blocked : nullptr;
}

bool FairShare::First(const Share& a, const QueuedGroup& of_a, const Share& b, const QueuedGroup& of_b) const {
  if (of_a.partial != of_b.partial) return of_a.partial;
  if (of_a.express != of_b.express) return of_a.express;
  return a != b ? a < b : before_(of_a, of_b);
}

void FairShare::Push(QueuedGroup* group) {
  Node& node = NodeOf(group->queue);
  Bucket& bucket = node.buckets.try_emplace(DemandOf(node, *group), before_).first->second;
  if (!bucket.groups.empty()) node.own.erase(&bucket);
  bucket.groups.Push(group);
  node.own.insert(&bucket);
  Stir(node);
  ++size_;
  if (group->queue != kNoQueue) {
    std::fill(needed_.begin(), needed_.end(), 0);
    for (const Charge& charge : group->demand) needed_[charge.cell] = charge.amount;
    for (size_t c = 0; c < needed_.size(); ++c) node.need[c] = std::min(node.need[c], needed_[c]);
  }
  Update(&node);
}

void FairShare::Remove(QueuedGroup* group) {
  Node& node = NodeOf(group->queue);
  const auto at = node.buckets.find(DemandOf(node, *group));
  Bucket& bucket = at->second;
  node.own.erase(&bucket);
  bucket.groups.Remove(group);
  if (bucket.groups.empty()) {
    node.buckets.erase(at);
  } else {
    node.own.insert(&bucket);
  }
  Stir(node);
  --size_;
  Update(&node);
}

void FairShare::Choose(Node& node) {
  const bool top = node.queue == kNoQueue;
  node.head = node.order == Queue::Order::kStrictFIFO && BlockedFirst(node) != nullptr ? nullptr : node.first();
  node.own_share =
      node.head == nullptr || top ? Share{} : tree_->ShareOfOwn(node.queue, node.head->demand, node.own_past);
  if (!node.children.empty()) {
    const Node& child = **node.children.begin();
    if (node.head == nullptr || First(child.share, *child.head, node.own_share, *node.head)) node.head = child.head;
  }
  node.share = {};
  if (node.head == nullptr || top) return;
  passed_ = node.head->demand;
  for (QueueIndex q = node.head->queue; q != node.queue; q = tree_->parent(q)) tree_->PassOn(q, passed_);
  node.share = tree_->ShareOf(node.queue, passed_, node.past);
}

void FairShare::Update(Node* node) {
  searched_ = false;
  if (suspended_) return;
  for (; node->parent != nullptr; node = node->parent) {
    Node& parent = *node->parent;
    if (node->head != nullptr) parent.children.erase(node);
    Choose(*node);
    if (node->head != nullptr) parent.children.insert(node);
    for (size_t c = 0; c < parent.need.size(); ++c) parent.need[c] = std::min(parent.need[c], NeedAbove(*node, c));
  }
  Choose(*node);
}

int64_t FairShare::NeedAbove(const Node& node, size_t cell) const {
  if (node.need[cell] == kUnlimited) return kUnlimited;
  return node.need[cell] - tree_->Slack(node.queue, static_cast<QuotaCell>(cell));
}

void FairShare::Changed(QueueIndex q) {
  if (q != kNoQueue) Update(nodes_[q].get());
}

void FairShare::SetPast(QueueIndex q, std::span<const int64_t> usage, std::span<const int64_t> own) {
  Node& node = *nodes_[q];
  node.past.assign(usage.begin(), usage.end());
  node.own_past.assign(own.begin(), own.end());
  Update(&node);
}

bool FairShare::MayFit(const Node& node, const QuotaTree& tree) {
  for (size_t c = 0; c < node.need.size(); ++c) {
    if (node.need[c] > 0 && node.need[c] > tree.Available(node.queue, static_cast<QuotaCell>(c))) return false;
  }
  return true;
}

// After a search in vain: as much as is needed now.
void FairShare::FindNeeds(Node& node) {
  for (QuotaCell c = 0; c < node.need.size(); ++c) {
    int64_t least = kUnlimited;
    for (const auto& [demand, bucket] : node.buckets) {
      int64_t amount = 0;
      for (const Charge& charge : demand.all) {
        if (charge.cell == c) amount = charge.amount;
      }
      least = std::min(least, amount);
    }
    for (const Node* child : node.children) least = std::min(least, NeedAbove(*child, c));
    node.need[c] = least;
  }
}

bool Fits(const QuotaTree& tree, const QueuedGroup& group) {
  return Fits(tree, group.queue, group.demand, group.either);
}

bool Fits(const QuotaTree& tree, QueueIndex queue, std::span<const Charge> all, std::span<const AnyCharge> any) {
  if (queue == kNoQueue) return true;
  if (tree.Lacking(queue, all) != nullptr) return false;
  return std::all_of(any.begin(), any.end(), [&](const AnyCharge& charge) {
    int64_t pods = 0;
    for (const QuotaCell cell : charge.cells) {
      if (pods >= charge.pods) break;
      pods += std::max<int64_t>(0, tree.Available(queue, cell)) / charge.each;
    }
    return pods >= charge.pods;
  });
}

QueuedGroup* FairShare::SearchOwn(const Node& node, const Trial* trial) const {
  const QueuedGroup* blocked = BlockedFirst(node);
  if (trial != nullptr && blocked != nullptr) return nullptr;
  const QuotaTree& tree = trial == nullptr ? *tree_ : trial->tree;
  for (const Bucket* bucket : node.own) {
    QueuedGroup* const group = bucket->first();
    if (blocked != nullptr && node.order == Queue::Order::kStrictFIFO) break;
    const bool in_order = blocked == nullptr || node.order == Queue::Order::kBestEffortFIFO ||
                          (goes_ahead_ != nullptr && goes_ahead_(*group, *blocked));
    if (in_order && (trial == nullptr || group->promise_again <= trial->now) && muster::Fits(tree, *group))
      return group;
    if (blocked == nullptr) blocked = group;
  }
  return nullptr;
}

QueuedGroup* FairShare::Search(Node& node, const Trial* trial) {
  // Of children more may be free in a trial, which then need less of their parent than is known.
  const bool known = trial == nullptr || node.children.empty();
  if (known && !MayFit(node, trial == nullptr ? *tree_ : trial->tree)) return nullptr;
  QueuedGroup* group = nullptr;
  InOrder(
      node, [&] { return (group = SearchOwn(node, trial)) != nullptr; },
      [&](Node& child) { return (group = Search(child, trial)) != nullptr; });
  if (group == nullptr && trial == nullptr) FindNeeds(node);
  return group;
}

}  // namespace muster
