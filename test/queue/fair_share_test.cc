#include "queue/fair_share.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace muster {
namespace {

bool ByPriority(const QueuedGroup& a, const QueuedGroup& b) {
  if (a.partial != b.partial) return a.partial;
  return a.priority != b.priority ? a.priority > b.priority : a.sequence < b.sequence;
}

std::vector<Queue::Order> Orders(const std::vector<bool>& strict) {
  std::vector<Queue::Order> orders;
  for (const bool is : strict) orders.push_back(is ? Queue::Order::kStrictFIFO : Queue::Order::kBestEffortFIFO);
  return orders;
}

// Queues of one or two cells, each a resource; parents come first.
struct World {
  explicit World(std::vector<QuotaTree::Queue> of, std::vector<bool> strict = {}, uint32_t cells = 1)
      : queues(std::move(of)) {
    std::vector<uint32_t> resources;
    for (uint32_t c = 0; c < cells; ++c) resources.push_back(c);
    tree.Build(queues, resources);
    strict.resize(queues.size());
    order.Build(tree, Orders(strict));
  }
  QueuedGroup& Add(QueueIndex queue, int64_t wants, int32_t priority = 0, int64_t second = 0) {
    auto& group = groups.emplace_back(std::make_unique<QueuedGroup>());
    group->queue = queue;
    group->priority = priority;
    group->sequence = groups.size();
    if (queue != kNoQueue && tree.Counts(queue, 0)) group->demand.push_back({0, wants});
    if (second != 0 && tree.Counts(queue, 1)) group->demand.push_back({1, second});
    order.Push(group.get());
    return *group;
  }
  // Places what comes until nothing does: whose they were.
  std::string Drain() {
    std::string all;
    while (QueuedGroup* group = order.Top()) {
      order.Remove(group);
      absl::StrAppend(&all, group->queue == kNoQueue ? "-" : absl::StrCat(group->queue));
      Charge(*group, 1);
    }
    return all;
  }
  void Charge(const QueuedGroup& group, int64_t sign) {
    for (const auto& charge : group.demand) tree.Add(group.queue, charge.cell, sign * charge.amount);
    if (group.queue != kNoQueue) order.Changed(group.queue);
  }

  std::vector<QuotaTree::Queue> queues;
  QuotaTree tree;
  FairShare order{ByPriority};
  std::vector<std::unique_ptr<QueuedGroup>> groups;
};

QuotaTree::Queue Q(QueueIndex parent, int64_t nominal, int32_t weight = 1, int64_t borrow = kUnlimited) {
  return {parent, weight, {{0, nominal, borrow, kUnlimited}}};
}

TEST(FairShare, WithoutQueuesTheOrderDecides) {
  FairShare order(ByPriority);
  QueuedGroup groups[3];
  for (size_t i = 0; i < 3; ++i) groups[i].priority = i == 1 ? 5 : 0, groups[i].sequence = i, order.Push(&groups[i]);
  for (const size_t i : {1, 0, 2}) {
    ASSERT_EQ(order.Top(), &groups[i]);
    order.Remove(&groups[i]);
  }
  EXPECT_EQ(order.Top(), nullptr);
}

TEST(FairShare, BorrowedIsSharedByWeight) {
  World world({Q(kNoQueue, 12), Q(0, 0), Q(0, 0, 2)});
  for (int i = 0; i < 12; ++i) world.Add(1, 1), world.Add(2, 1);
  EXPECT_EQ(world.Drain(), "212212212212");  // 4 and 8
  EXPECT_EQ(world.order.size(), 12u);
}

TEST(FairShare, OwnersGoBeforeBorrowers) {
  World world({Q(kNoQueue, 0), Q(0, 2), Q(0, 2)});
  for (int i = 0; i < 4; ++i) world.Add(1, 1);
  world.Add(2, 1, -5);
  EXPECT_EQ(world.Drain(), "1121");
}

TEST(FairShare, WhatDoesNotFitIsPassedOverUnlessStrict) {
  for (const bool strict : {false, true}) {
    World world({Q(kNoQueue, 4)}, {strict});
    world.Add(0, 5, 1);
    world.Add(0, 2);
    EXPECT_EQ(world.Drain(), strict ? "" : "0");
    world.Add(0, 1, 2);  // before the head
    EXPECT_EQ(world.Drain(), "0");
  }
}

TEST(FairShare, RoomGivenBackIsSeen) {
  World world({Q(kNoQueue, 0), Q(0, 2), Q(0, 0)});
  QueuedGroup& first = world.Add(1, 2);
  world.Add(2, 1);
  EXPECT_EQ(world.Drain(), "1");
  world.Charge(first, -1);
  EXPECT_EQ(world.Drain(), "2");
}

TEST(FairShare, WhatCompletesAGroupGoesFirst) {
  World world({Q(kNoQueue, 9), Q(0, 0), Q(0, 0)});
  for (int i = 0; i < 2; ++i) world.Add(1, 1), world.Add(2, 1);
  QueuedGroup& late = world.Add(1, 1, -9);
  world.order.Remove(&late);
  late.partial = true;
  world.order.Push(&late);
  EXPECT_EQ(world.order.Top(), &late);
}

TEST(FairShare, NoQuotaForThoseWithoutQueue) {
  World world({Q(kNoQueue, 1)});
  for (int i = 0; i < 2; ++i) world.Add(kNoQueue, 9), world.Add(0, 1);
  EXPECT_EQ(world.Drain(), "-0-");
}

struct PastRow {
  std::vector<QuotaTree::Queue> queues;
  std::vector<int64_t> past;  // by queue
  const char* want;           // six groups of one in each child, placed while there is room
};

TEST(FairShare, WhoUsedMoreBeforeWaits) {
  const PastRow rows[] = {
      {{Q(kNoQueue, 6), Q(0, 0), Q(0, 0)}, {0, 0, 0}, "121212"},
      {{Q(kNoQueue, 6), Q(0, 0), Q(0, 0)}, {0, 3, 0}, "222121"},    // 2 is ahead until its share is 3 more
      {{Q(kNoQueue, 6), Q(0, 0), Q(0, 0)}, {0, 99, 99}, "121212"},  // present use counts beside it, in full
      {{Q(kNoQueue, 6), Q(0, 0), Q(0, 0)}, {0, 99, 98}, "212121"},
      {{Q(kNoQueue, 6), Q(0, 0), Q(0, 0, 2)}, {0, 0, 6}, "111221"},           // (6 + 1) / 2 is more than 3
      {{Q(kNoQueue, 4), Q(0, 2), Q(0, 0)}, {0, 99, 0}, "112222"},             // its own first, whatever it used before
      {{Q(kNoQueue, 4), Q(0, 2), Q(0, 0)}, {0, 5, 0}, "112221"},              // of the past 5 - 2 was not its own
      {{Q(kNoQueue, 6), Q(0, 0), Q(0, 0), Q(2, 0)}, {0, 3, 0, 1}, "232131"},  // between 2's own and 3 too
  };
  for (const PastRow& row : rows) {
    World world(row.queues);
    for (int i = 0; i < 6; ++i) {
      for (QueueIndex q = 1; q < row.queues.size(); ++q) world.Add(q, 1);
    }
    for (QueueIndex q = 1; q < row.queues.size(); ++q) world.order.SetPast(q, {&row.past[q], 1}, {});
    EXPECT_EQ(world.Drain(), row.want) << &row - rows;
  }
}

TEST(FairShare, PastOfAQueuesOwnGroups) {
  World world({Q(kNoQueue, 6), Q(0, 0)});
  for (int i = 0; i < 6; ++i) world.Add(0, 1), world.Add(1, 1);
  const int64_t past[] = {2};
  world.order.SetPast(0, {}, past);
  EXPECT_EQ(world.Drain(), "110101");
}

// The same rules, looked up anew at each choice.
class Plain {
 public:
  Plain(const World& world, const std::vector<bool>& strict) : world_(world), strict_(strict) {}
  std::vector<QueuedGroup*> in;
  std::vector<std::vector<int64_t>> past, own_past;  // by queue and cell

  QueuedGroup* Top() const { return Search(kNoQueue); }

 private:
  struct Entry {
    QueueIndex child;  // kNoQueue: the queue's own groups
    QueuedGroup* head;
    Share share;
  };
  std::vector<QueuedGroup*> Own(QueueIndex q) const {
    std::vector<QueuedGroup*> own;
    for (QueuedGroup* g : in) {
      if (g->queue == q) own.push_back(g);
    }
    std::sort(own.begin(), own.end(), [](auto* a, auto* b) { return ByPriority(*a, *b); });
    return own;
  }
  std::vector<Entry> Entries(QueueIndex q) const {
    std::vector<Entry> all;
    const std::vector<QueuedGroup*> own = Own(q);
    if (!own.empty())
      all.push_back(
          {kNoQueue, own[0], q == kNoQueue ? Share{} : world_.tree.ShareOfOwn(q, own[0]->demand, own_past[q])});
    for (QueueIndex c = 0; c < world_.queues.size(); ++c) {
      if (world_.queues[c].parent != q) continue;
      const std::vector<Entry> below = Entries(c);
      if (below.empty()) continue;
      QuotaTree with = world_.tree;
      for (const Charge& charge : below[0].head->demand) with.Add(below[0].head->queue, charge.cell, charge.amount);
      all.push_back({c, below[0].head, with.ShareOf(c, {}, past[c])});
    }
    std::sort(all.begin(), all.end(), [](const Entry& a, const Entry& b) {
      return a.share != b.share ? a.share < b.share : ByPriority(*a.head, *b.head);
    });
    return all;
  }
  QueuedGroup* Search(QueueIndex q) const {
    for (const Entry& entry : Entries(q)) {
      if (entry.child != kNoQueue) {
        if (QueuedGroup* g = Search(entry.child)) return g;
        continue;
      }
      for (QueuedGroup* g : Own(q)) {
        if (q == kNoQueue || world_.tree.Lacking(q, g->demand) == nullptr) return g;
        if (strict_[q]) break;
      }
    }
    return nullptr;
  }

  const World& world_;
  const std::vector<bool>& strict_;
};

TEST(FairShare, ChoosesAsATournamentDoes) {
  const char* const text = std::getenv("MUSTER_CASES");
  const int cases = text != nullptr ? std::atoi(text) : 1000;
  size_t chosen = 0, none = 0;
  for (int i = 0; i < cases && !HasFailure(); ++i) {
    SCOPED_TRACE(absl::StrCat("seed ", i));
    std::mt19937_64 random(static_cast<uint64_t>(i));
    const auto draw = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint64_t>(n)); };
    std::vector<QuotaTree::Queue> queues;
    std::vector<bool> strict;
    const int64_t size = 1 + draw(7);
    for (int64_t q = 0; q < size; ++q) {
      QuotaTree::Queue queue{
          q > 0 && draw(5) != 0 ? static_cast<QueueIndex>(draw(q)) : kNoQueue, static_cast<int32_t>(draw(4)), {}};
      for (QuotaCell cell = 0; cell < 2; ++cell) {
        if (draw(4) == 0) continue;
        queue.quotas.push_back(
            {cell, draw(9), draw(2) == 0 ? draw(5) : kUnlimited, draw(2) == 0 ? draw(5) : kUnlimited});
      }
      queues.push_back(queue);
      strict.push_back(draw(4) == 0);
    }
    World world(queues, strict, 2);
    Plain plain(world, strict);
    plain.past.resize(queues.size());
    plain.own_past.resize(queues.size());
    std::vector<QueuedGroup*> running;
    for (int step = 0; step < 60; ++step) {
      if (draw(3) != 0) {
        const auto queue = static_cast<QueueIndex>(draw(size + 1));
        plain.in.push_back(&world.Add(queue == size ? kNoQueue : queue, 1 + draw(3), static_cast<int32_t>(draw(3)),
                                      queue == size ? 0 : draw(3)));
      }
      if (i % 2 == 1 && draw(4) == 0) {
        const auto q = static_cast<QueueIndex>(draw(size));
        for (auto* past : {&plain.past[q], &plain.own_past[q]})
          *past = draw(4) == 0 ? std::vector<int64_t>() : std::vector<int64_t>{draw(12), draw(12)};
        world.order.SetPast(q, plain.past[q], plain.own_past[q]);
      }
      QueuedGroup* const top = world.order.Top();
      ASSERT_EQ(top, plain.Top()) << "step " << step;
      (top == nullptr ? none : chosen) += 1;
      if (top != nullptr && draw(3) != 0) {
        world.order.Remove(top);
        std::erase(plain.in, top);
        running.push_back(top);
        world.Charge(*top, 1);
      }
      if (!running.empty() && draw(3) == 0) {
        const auto at = static_cast<size_t>(draw(static_cast<int64_t>(running.size())));
        world.Charge(*running[at], -1);
        running.erase(running.begin() + static_cast<ptrdiff_t>(at));
      }
      if (draw(30) == 0) {
        world.order.Build(world.tree, Orders(strict));
        for (QueueIndex q = 0; q < queues.size(); ++q) world.order.SetPast(q, plain.past[q], plain.own_past[q]);
      }
    }
  }
  EXPECT_GT(chosen, 1000u);
  EXPECT_GT(none, 1000u);
}

}  // namespace
}  // namespace muster
