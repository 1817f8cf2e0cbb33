#include "queue/fair_share.h"

#include <algorithm>

namespace muster {

FairShare::Node::Node(FairShare& of, QueueIndex index)
    : queue(index),
      open([&of](const Bucket& a, const Bucket& b) { return of.before_(*a.groups.Top(), *b.groups.Top()); }),
      children([&of](const Node& a, const Node& b) { return of.First(a.share, *a.candidate, b.share, *b.candidate); }) {
}

FairShare::FairShare(Before before) : before_(std::move(before)) {
  nodes_.push_back(std::make_unique<Node>(*this, kNoQueue));
}

void FairShare::Build(const QuotaTree& tree, const std::vector<bool>& strict) {
  std::vector<QueuedGroup*> groups;
  for (const auto& node : nodes_) {
    for (auto& [demand, bucket] : node->buckets) {
      for (; !bucket.groups.empty(); bucket.groups.Remove(groups.back())) groups.push_back(bucket.groups.Top());
    }
  }
  tree_ = &tree;
  closed_.clear();
  nodes_.clear();
  for (QueueIndex q = 0; q < tree.size(); ++q) {
    nodes_.push_back(std::make_unique<Node>(*this, q));
    nodes_.back()->strict = strict[q];
  }
  nodes_.push_back(std::make_unique<Node>(*this, kNoQueue));
  for (QueueIndex q = 0; q < tree.size(); ++q) nodes_[q]->parent = &NodeOf(tree.parent(q));
  size_ = 0;
  for (QueuedGroup* group : groups) Push(group);
}

bool FairShare::First(const Share& a, const QueuedGroup& of_a, const Share& b, const QueuedGroup& of_b) const {
  if (of_a.partial != of_b.partial) return of_a.partial;
  return a != b ? a < b : before_(of_a, of_b);
}

void FairShare::Push(QueuedGroup* group) {
  Node& node = NodeOf(group->queue);
  Bucket& bucket = node.buckets.try_emplace(group->demand, before_).first->second;
  if (!bucket.closed && !bucket.groups.empty()) node.open.Remove(&bucket);
  bucket.groups.Push(group);
  if (!bucket.closed) node.open.Push(&bucket);
  ++size_;
  Update(&node);
}

void FairShare::Remove(QueuedGroup* group) {
  Node& node = NodeOf(group->queue);
  const auto at = node.buckets.find(group->demand);
  Bucket& bucket = at->second;
  if (!bucket.closed) node.open.Remove(&bucket);
  bucket.groups.Remove(group);
  if (!bucket.groups.empty()) {
    if (!bucket.closed) node.open.Push(&bucket);
  } else {
    if (bucket.closed) std::erase(closed_, std::pair(&node, &bucket));
    node.buckets.erase(at);
  }
  --size_;
  Update(&node);
}

QueuedGroup* FairShare::OwnBest(const Node& node) const {
  if (node.open.empty()) return nullptr;
  QueuedGroup* best = node.open.Top()->groups.Top();
  if (!node.strict) return best;
  for (const auto& [demand, bucket] : node.buckets) {
    if (bucket.closed && before_(*bucket.groups.Top(), *best)) return nullptr;
  }
  return best;
}

void FairShare::Choose(Node& node) {
  const bool top = node.queue == kNoQueue;
  node.candidate = OwnBest(node);
  Share share;
  if (node.candidate != nullptr && !top) share = tree_->ShareOfOwn(node.queue, node.candidate->demand);
  if (!node.children.empty()) {
    const Node& child = *node.children.Top();
    if (node.candidate == nullptr || First(child.share, *child.candidate, share, *node.candidate))
      node.candidate = child.candidate;
  }
  node.share = {};
  if (node.candidate == nullptr || top) return;
  passed_ = node.candidate->demand;
  for (QueueIndex q = node.candidate->queue; q != node.queue; q = tree_->parent(q)) tree_->PassOn(q, passed_);
  node.share = tree_->ShareOf(node.queue, passed_);
}

void FairShare::UpdateOne(Node& node) {
  if (node.parent != nullptr && node.candidate != nullptr) node.parent->children.Remove(&node);
  Choose(node);
  if (node.parent != nullptr && node.candidate != nullptr) node.parent->children.Push(&node);
}

void FairShare::Update(Node* node) {
  for (; node != nullptr; node = node->parent) UpdateOne(*node);
}

void FairShare::Changed(QueueIndex q, bool freed) {
  reopen_ |= freed;
  Update(&NodeOf(q));
}

// Children have greater indices than their parents: each node is looked at once.
void FairShare::Reopen() {
  reopen_ = false;
  if (closed_.empty()) return;
  for (const auto& [node, bucket] : closed_) {
    bucket->closed = false;
    node->open.Push(bucket);
    node->dirty = true;
  }
  closed_.clear();
  for (size_t q = nodes_.size() - 1; q-- > 0;) {
    Node& node = *nodes_[q];
    if (!std::exchange(node.dirty, false)) continue;
    UpdateOne(node);
    node.parent->dirty = true;
  }
  nodes_.back()->dirty = false;
  Choose(*nodes_.back());
}

QueuedGroup* FairShare::Top() {
  if (reopen_) Reopen();
  while (QueuedGroup* group = nodes_.back()->candidate) {
    if (group->queue == kNoQueue || tree_->Lacking(group->queue, group->demand) == nullptr) return group;
    Node& node = NodeOf(group->queue);
    Bucket& bucket = node.buckets.find(group->demand)->second;
    node.open.Remove(&bucket);
    bucket.closed = true;
    closed_.emplace_back(&node, &bucket);
    Update(&node);
  }
  return nullptr;
}

}  // namespace muster
