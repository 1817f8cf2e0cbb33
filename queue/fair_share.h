// Which of the ready groups goes next, by weighted dominant share at every level of the tree of queues.
//
// Each queue has one candidate: the best of its own groups, by the order inside a queue, or one of its children's.
// Who would have the smallest share with its candidate placed goes first (QuotaTree::ShareOf; its own groups are as a
// child without quota); among equal shares, and among roots, the order inside a queue decides. A winner whose demand is
// not available is set aside, and with it all of its queue that ask for the same, until something is given back; in a
// StrictFIFO queue so are those behind it. A group that completes
// what runs in part (QueuedGroup::partial) goes before all shares.
// Source: Kueue pkg/cache/scheduler/fair_sharing_iterator.go. Worked: a uses 6 and b 2 beyond their own 10 of 40, both
// of weight 1, and both ask for 2 more: (6 + 2) / 40 against (2 + 2) / 40, so b is next.
//
// A choice costs O(depth * log n); what is given back lets all look again that it kept waiting.
// Decision thread only.
#ifndef MUSTER_QUEUE_FAIR_SHARE_H_
#define MUSTER_QUEUE_FAIR_SHARE_H_

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "queue/indexed_heap.h"
#include "queue/queued_group.h"
#include "queue/quota_tree.h"

namespace muster {

class FairShare {
 public:
  // A strict order that leaves no two groups equal, partial ones first.
  using Before = std::function<bool(const QueuedGroup& a, const QueuedGroup& b)>;

  explicit FairShare(Before before);

  // Takes up the tree (which outlives this, and may change only through Changed and Build): by queue, whether the head
  // keeps those behind it waiting. What is in stays in, by its `queue`. Without queues there is no quota.
  void Build(const QuotaTree& tree, const std::vector<bool>& strict);

  // The group keeps its `queue` and `demand` while it is in; kNoQueue: without quota.
  void Push(QueuedGroup* group);
  void Remove(QueuedGroup* group);
  size_t size() const { return size_; }
  // The next group, which stays in; null where none is in whose demand is available.
  QueuedGroup* Top();

  // What the queue uses changed. `freed`: something was given back.
  void Changed(QueueIndex q, bool freed);

 private:
  // Groups of one queue that ask for the same: where the first does not fit, none does.
  struct Bucket {
    explicit Bucket(const Before& before) : groups(before) {}
    IndexedHeap<QueuedGroup> groups;
    size_t heap_index = 0;
    bool closed = false;
  };
  struct Node {
    Node(FairShare& of, QueueIndex queue);
    QueueIndex queue;
    Node* parent = nullptr;
    bool strict = false;
    std::map<std::vector<Charge>, Bucket> buckets;  // by demand
    IndexedHeap<Bucket> open;                       // those that may fit, by their first
    IndexedHeap<Node> children;                     // that have a candidate
    QueuedGroup* candidate = nullptr;
    Share share;  // with the candidate placed
    bool dirty = false;
    size_t heap_index = 0;
  };

  Node& NodeOf(QueueIndex queue) { return queue == kNoQueue ? *nodes_.back() : *nodes_[queue]; }
  bool First(const Share& a, const QueuedGroup& of_a, const Share& b, const QueuedGroup& of_b) const;
  QueuedGroup* OwnBest(const Node& node) const;
  void Choose(Node& node);
  void UpdateOne(Node& node);
  // What the node has, or what is used there, changed: its candidate and share, and those above.
  void Update(Node* node);
  void Reopen();

  const Before before_;
  const QuotaTree* tree_ = nullptr;
  std::vector<std::unique_ptr<Node>> nodes_;  // by queue; the last is above all roots, with the groups without queue
  std::vector<std::pair<Node*, Bucket*>> closed_;
  bool reopen_ = false;
  size_t size_ = 0;
  std::vector<Charge> passed_;  // scratch
};

}  // namespace muster

#endif  // MUSTER_QUEUE_FAIR_SHARE_H_
