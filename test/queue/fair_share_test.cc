#include "queue/fair_share.h"

#include <cstdlib>
#include <random>
#include <set>
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

// Queues of one or two cells, each a resource; parents come first.
struct World {
  explicit World(std::vector<QuotaTree::Queue> of, std::vector<bool> strict = {}, uint32_t cells = 1)
      : queues(std::move(of)) {
    std::vector<uint32_t> resources;
    for (uint32_t c = 0; c < cells; ++c) resources.push_back(c);
    tree.Build(queues, resources);
    strict.resize(queues.size());
    order.Build(tree, strict);
  }
  QueuedGroup& Add(QueueIndex queue, int64_t wants, int32_t priority = 0, int64_t second = 0) {
    auto& group = groups.emplace_back(std::make_unique<QueuedGroup>());
    group->queue = queue;
    group->priority = priority;
    group->sequence = groups.size();
    if (queue != kNoQueue) group->demand.push_back({0, wants});
    if (second != 0) group->demand.push_back({1, second});
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
    if (group.queue != kNoQueue) order.Changed(group.queue, sign < 0);
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

// Beside a tournament held anew at each choice: who wins and does not fit is set aside, until something is given back.
class Plain {
 public:
  Plain(const World& world, const std::vector<bool>& strict) : world_(world), strict_(strict) {}
  std::vector<QueuedGroup*> in;
  std::set<std::pair<QueueIndex, std::vector<Charge>>> aside;

  QueuedGroup* Top() {
    for (;;) {
      QueuedGroup* best = Winner();
      if (best == nullptr || best->queue == kNoQueue || world_.tree.Lacking(best->queue, best->demand) == nullptr)
        return best;
      aside.emplace(best->queue, best->demand);
    }
  }

 private:
  QueuedGroup* Winner() const {
    QueuedGroup* best = nullptr;
    for (QueuedGroup* g : in) {
      if (g->queue == kNoQueue && (best == nullptr || ByPriority(*g, *best))) best = g;
    }
    for (QueueIndex q = 0; q < world_.queues.size(); ++q) {
      if (world_.queues[q].parent != kNoQueue) continue;
      QueuedGroup* g = Best(q);
      if (g != nullptr && (best == nullptr || ByPriority(*g, *best))) best = g;
    }
    return best;
  }
  QueuedGroup* Best(QueueIndex q) const {
    QueuedGroup* head = nullptr;
    QueuedGroup* best = nullptr;
    for (QueuedGroup* g : in) {
      if (g->queue != q) continue;
      if (head == nullptr || ByPriority(*g, *head)) head = g;
      if (!aside.contains({q, g->demand}) && (best == nullptr || ByPriority(*g, *best))) best = g;
    }
    if (strict_[q] && best != head) best = nullptr;
    Share share = best == nullptr ? Share{} : world_.tree.ShareOfOwn(q, best->demand);
    for (QueueIndex c = 0; c < world_.queues.size(); ++c) {
      if (world_.queues[c].parent != q) continue;
      QueuedGroup* g = Best(c);
      if (g == nullptr) continue;
      const Share of = ShareWith(c, *g);
      if (best == nullptr || of < share || (of == share && ByPriority(*g, *best))) best = g, share = of;
    }
    return best;
  }
  Share ShareWith(QueueIndex at, const QueuedGroup& group) const {
    QuotaTree with = world_.tree;
    for (const Charge& charge : group.demand) with.Add(group.queue, charge.cell, charge.amount);
    return with.ShareOf(at);
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
    std::vector<QueuedGroup*> running;
    for (int step = 0; step < 60; ++step) {
      if (draw(3) != 0) {
        const auto queue = static_cast<QueueIndex>(draw(size + 1));
        plain.in.push_back(&world.Add(queue == size ? kNoQueue : queue, 1 + draw(3), static_cast<int32_t>(draw(3)),
                                      queue == size ? 0 : draw(3)));
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
        if (running[at]->queue != kNoQueue) plain.aside.clear();
        running.erase(running.begin() + static_cast<ptrdiff_t>(at));
      }
      if (draw(30) == 0) world.order.Build(world.tree, strict), plain.aside.clear();
    }
  }
  EXPECT_GT(chosen, 1000u);
  EXPECT_GT(none, 1000u);
}

}  // namespace
}  // namespace muster
