// Which of the ready groups goes next, by weighted dominant share at every level of the tree of queues.
//
// A queue's head is the best of its own groups, by the order inside a queue, or the head of one of its children: of
// those with the smallest share with that head placed (QuotaTree::ShareOf; its own groups are as a child without
// quota); among equal shares, and among roots, the order inside a queue decides. In the order of heads the tree is
// searched, depth first, for a group whose demand is available. Of a StrictFIFO queue's own only the first may go; of
// a Backfill queue's own, behind a first that may not, those of which GoesAhead says so. A group that completes what
// runs in part (QueuedGroup::partial) goes before all shares, and then one of the burst lane (express). Source: Kueue
// pkg/cache/scheduler/fair_sharing_iterator.go. Worked: a uses 6 and b 2 beyond their own 10 of 40, both of weight 1,
// and both ask for 2 more: (6 + 2) / 40 against (2 + 2) / 40, so b is next.
//
// A change costs O(depth * log n). So does a choice, but for queues that are searched in vain: those for which some
// cell's least demand is more than is available are passed over. Decision thread only.
#ifndef MUSTER_QUEUE_FAIR_SHARE_H_
#define MUSTER_QUEUE_FAIR_SHARE_H_

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <tuple>
#include <vector>

#include "absl/container/btree_set.h"
#include "queue/indexed_heap.h"
#include "queue/queued_group.h"
#include "queue/quota_tree.h"
#include "scheduler/model/queue.h"

namespace muster {

// Whether what the group asks for is available in its queue.
bool Fits(const QuotaTree& tree, const QueuedGroup& group);
// The same of the demand.
bool Fits(const QuotaTree& tree, QueueIndex queue, std::span<const Charge> all, std::span<const AnyCharge> any);

class FairShare {
 public:
  // A strict order that leaves no two groups equal, partial ones first.
  using Before = std::function<bool(const QueuedGroup& a, const QueuedGroup& b)>;

  // Whether a group of a Backfill queue may go although the other, before it, may not.
  using GoesAhead = std::function<bool(const QueuedGroup& group, const QueuedGroup& blocked)>;

  explicit FairShare(Before before);

  // Takes up the tree, which outlives this. `orders`, by queue. What is in stays in, by its `queue`.
  void Build(const QuotaTree& tree, const std::vector<Queue::Order>& orders, GoesAhead goes_ahead = nullptr);
  // The tree is another one already: until Build, groups only leave.
  void Suspend() { suspended_ = true; }

  // The group keeps its `queue`, `demand` and `either` (of cells that count there), and what the order reads, while it
  // is in; kNoQueue: without quota.
  void Push(QueuedGroup* group);
  void Remove(QueuedGroup* group);
  // The group is not to go, but others of a StrictFIFO or Backfill queue wait behind it.
  void Block(QueuedGroup* group) { SetBlocked(group, true); }
  void Unblock(QueuedGroup* group) { SetBlocked(group, false); }
  // Whether others of its Backfill queue wait behind the group, which is not to go itself.
  bool HoldsBack(const QueuedGroup& group) const {
    const Node& node = *nodes_[group.queue == kNoQueue ? nodes_.size() - 1 : group.queue];
    return node.order == Queue::Order::kBackfill && BlockedFirst(node) == &group;
  }
  // Whether the group's demand is available.
  bool Fits(const QueuedGroup& group) const { return muster::Fits(*tree_, group); }
  // The order inside a queue.
  bool ComesBefore(const QueuedGroup& a, const QueuedGroup& b) const { return before_(a, b); }
  // As Top, but what is available is told by another tree, which is built alike and has not more in use anywhere.
  // Groups that are to be left alone until later (QueuedGroup::promise_again), and queues whose first is not to go and
  // holds others back, are passed over.
  QueuedGroup* TopOfTrial(const QuotaTree& tree, Time now) {
    const Trial trial{tree, now};
    return Search(*nodes_.back(), &trial);
  }
  // Calls f(QueuedGroup&) for what is in without room and not to be left alone until later (QueuedGroup::room_again),
  // queue by queue in the order of shares: of groups that ask for the same the first, in the queue's order; of a
  // StrictFIFO queue the first alone. Returns when the first of the others is to be looked at again.
  template <typename F>
  Time ForEachWithoutRoom(Time now, F&& f) const;
  size_t size() const { return size_; }
  // The next group, which stays in; null where none is in whose demand is available.
  QueuedGroup* Top() {
    if (!searched_) top_ = Search(*nodes_.back(), nullptr);
    searched_ = true;
    return top_;
  }
  bool empty() const { return size_ == 0; }
  // What GoesAhead says may be something else now.
  void Reconsider() { searched_ = false; }

  // What is charged to the queue changed. Before the next call of another method.
  void Changed(QueueIndex q);
  // An average of what the queue used before, by cell or empty, as usage is counted and of its own charges: it adds to
  // the queue's share (QuotaTree::ShareOf, ShareOfOwn) until the next call for the queue, or Build. Present usage
  // counts in full beside it, so that a queue that used nothing yet does not win all there is at once; and for what is
  // its own a queue still goes before all that borrow.
  void SetPast(QueueIndex q, std::span<const int64_t> usage, std::span<const int64_t> own);

 private:
  // What decides whether there is room, and in a Backfill queue for how long it is needed.
  struct Demand {
    std::vector<Charge> all;
    std::vector<AnyCharge> any;
    Duration runtime;
    friend bool operator<(const Demand& a, const Demand& b) {
      return std::tie(a.all, a.any, a.runtime) < std::tie(b.all, b.any, b.runtime);
    }
  };
  // Groups of one queue that ask for the same: where the first does not fit, none does.
  struct Bucket {
    explicit Bucket(const Before& before) : groups(before) {}
    QueuedGroup* first() const { return groups.Top(); }
    IndexedHeap<QueuedGroup> groups;
  };
  struct GroupOrder {
    bool operator()(const QueuedGroup* a, const QueuedGroup* b) const { return of->before_(*a, *b); }
    const FairShare* of;
  };
  struct BucketOrder {
    bool operator()(const Bucket* a, const Bucket* b) const { return of->before_(*a->first(), *b->first()); }
    const FairShare* of;
  };
  struct Node;
  struct NodeOrder {
    bool operator()(const Node* a, const Node* b) const { return of->First(a->share, *a->head, b->share, *b->head); }
    const FairShare* of;
  };
  struct Node {
    Node(const FairShare& of, QueueIndex index)
        : queue(index), blocked(GroupOrder{&of}), own(BucketOrder{&of}), children(NodeOrder{&of}) {}
    // Its first group that is in.
    QueuedGroup* first() const { return own.empty() ? nullptr : (*own.begin())->first(); }
    QueueIndex queue;
    Node* parent = nullptr;
    Queue::Order order = Queue::Order::kBestEffortFIFO;
    std::map<Demand, Bucket> buckets;
    absl::btree_set<QueuedGroup*, GroupOrder> blocked;
    absl::btree_set<Bucket*, BucketOrder> own;   // the same, by their first
    absl::btree_set<Node*, NodeOrder> children;  // that have a head
    Share own_share;                             // with the first of its own groups placed
    QueuedGroup* head = nullptr;
    Share share;  // with the head placed
    std::vector<int64_t> past, own_past;
    // Until then all are to be left alone for which room would be looked for.
    mutable Time quiet_until = absl::InfinitePast();
    mutable Time all_quiet_until = absl::InfinitePast();  // the least of it and of all queues below it
    // By cell, not more than what must be available here (QuotaTree::Available) for any group to fit.
    std::vector<int64_t> need;
  };

  Node& NodeOf(QueueIndex queue) { return queue == kNoQueue ? *nodes_.back() : *nodes_[queue]; }
  Demand DemandOf(const Node& node, const QueuedGroup& group) const;
  // The queue's first that is not to go, where it comes before all that are in.
  const QueuedGroup* BlockedFirst(const Node& node) const;
  void SetBlocked(QueuedGroup* group, bool blocked);
  bool First(const Share& a, const QueuedGroup& of_a, const Share& b, const QueuedGroup& of_b) const;
  // The node's groups, or what is used there, changed: heads and shares of it and those above.
  void Update(Node* node);
  void Choose(Node& node);
  int64_t NeedAbove(const Node& node, size_t cell) const;  // of the node's parent
  void FindNeeds(Node& node);
  struct Trial {
    const QuotaTree& tree;
    Time now;
  };
  static bool MayFit(const Node& node, const QuotaTree& tree);
  // Null: it is no trial.
  QueuedGroup* Search(Node& node, const Trial* trial);
  QueuedGroup* SearchOwn(const Node& node, const Trial* trial) const;
  // In the order of shares, until one returns true: own(), where the node has groups of its own, and of(child).
  template <typename Own, typename OfChild>
  bool InOrder(const Node& node, Own&& own, OfChild&& of) const;
  // Somebody's room is to be looked for there.
  static void Stir(Node& node);
  // ForEachWithoutRoom of the node's own, and of all below it too.
  template <typename F>
  void LookAtOwn(const Node& node, Time now, F&& f) const;
  template <typename F>
  Time LookAt(const Node& node, Time now, F&& f) const;

  const Before before_;
  GoesAhead goes_ahead_;
  const QuotaTree* tree_ = nullptr;
  std::vector<std::unique_ptr<Node>> nodes_;  // by queue; the last is above all roots, with the groups without queue
  size_t size_ = 0;
  bool suspended_ = false;
  bool searched_ = false;  // `top_` is what Top says
  QueuedGroup* top_ = nullptr;
  std::vector<Charge> passed_;   // scratch
  std::vector<int64_t> needed_;  // scratch
};

template <typename Own, typename OfChild>
bool FairShare::InOrder(const Node& node, Own&& own, OfChild&& of) const {
  bool waits = node.first() != nullptr;
  for (Node* child : node.children) {
    if (waits && !First(child->share, *child->head, node.own_share, *node.first())) {
      waits = false;
      if (own()) return true;
    }
    if (of(*child)) return true;
  }
  return waits && own();
}

template <typename F>
Time FairShare::ForEachWithoutRoom(Time now, F&& f) const {
  return LookAt(*nodes_.back(), now, f);
}

template <typename F>
void FairShare::LookAtOwn(const Node& node, Time now, F&& f) const {
  if (now < node.quiet_until) return;
  node.quiet_until = absl::InfiniteFuture();
  if (node.queue == kNoQueue || BlockedFirst(node) != nullptr) return;
  for (const Bucket* bucket : node.own) {
    QueuedGroup& group = *bucket->first();
    node.quiet_until = std::min(node.quiet_until, group.room_again);
    if (group.room_again <= now && !Fits(group)) f(group);
    if (node.order == Queue::Order::kStrictFIFO) break;
  }
}

// Returns when something is to be looked at again that is not now.
template <typename F>
Time FairShare::LookAt(const Node& node, Time now, F&& f) const {
  if (node.all_quiet_until > now) return node.all_quiet_until;
  Time next = absl::InfiniteFuture();
  node.all_quiet_until = absl::InfiniteFuture();
  const auto take = [&](Time quiet_until, Time again) {
    node.all_quiet_until = std::min(node.all_quiet_until, quiet_until);
    if (again > now) next = std::min(next, again);
  };
  InOrder(
      node,
      [&] {
        LookAtOwn(node, now, f);
        take(node.quiet_until, node.quiet_until);
        return false;
      },
      [&](const Node& child) {
        const Time again = LookAt(child, now, f);
        take(child.all_quiet_until, again);
        return false;
      });
  return next;
}

}  // namespace muster

#endif  // MUSTER_QUEUE_FAIR_SHARE_H_
