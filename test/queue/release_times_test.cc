#include "queue/release_times.h"

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "queue/fair_share.h"

namespace muster {
namespace {

using absl::Minutes;
using absl::Seconds;

const Time kStart = absl::FromUnixSeconds(1'000'000);

QuotaTree::Queue Q(QueueIndex parent, int64_t nominal, int64_t lend = kUnlimited, int64_t second = 0) {
  return {parent, 1, {{0, nominal, kUnlimited, lend}, {1, second, kUnlimited, kUnlimited}}};
}

QueuedGroup Group(QueueIndex queue, std::vector<Charge> demand, Duration runtime = absl::InfiniteDuration()) {
  QueuedGroup group;
  group.queue = queue;
  group.demand = std::move(demand);
  group.max_runtime = runtime;
  return group;
}

struct World {
  explicit World(const std::vector<QuotaTree::Queue>& queues, std::vector<uint32_t> resources = {0, 1}) {
    tree.Build(queues, resources);
  }
  // Ends so many minutes after the start; < 0: unknown.
  void Run(const std::string& uid, QueueIndex queue, std::vector<Charge> charges, int64_t end) {
    for (const Charge& charge : charges) tree.Add(queue, charge.cell, charge.amount);
    times.Add(uid, queue, charges, end < 0 ? absl::InfiniteFuture() : kStart + Minutes(end));
  }
  // Minutes after the start; -1: unknown.
  int64_t StartOf(const QueuedGroup& head) {
    const Time start = times.StartOf(tree, head, now);
    return start == absl::InfiniteFuture() ? -1 : absl::ToInt64Minutes(start - kStart);
  }
  bool MayGoAhead(const QueuedGroup& group, const QueuedGroup& head) {
    return times.MayGoAhead(tree, group, head, now);
  }

  QuotaTree tree;
  ReleaseTimes times;
  Time now = kStart;
};

TEST(ReleaseTimes, StartIsWhenEnoughEnds) {
  World world({Q(kNoQueue, 10), Q(0, 0), Q(0, 0), Q(kNoQueue, 10)});
  world.Run("a", 1, {{0, 4}}, 30);
  world.Run("b", 2, {{0, 2}}, 10);
  world.Run("c", 2, {{0, 2}}, 10);
  world.Run("d", 1, {{0, 1}}, -1);
  world.Run("elsewhere", 3, {{0, 9}}, 5);  // under another root
  struct Row {
    int64_t wants, want;
  };
  const Row rows[] = {{1, 0}, {2, 10}, {5, 10}, {6, 30}, {9, 30}, {10, -1}};
  for (const Row& row : rows) {
    for (const QueueIndex q : {0, 1, 2})
      EXPECT_EQ(world.StartOf(Group(q, {{0, row.wants}})), row.want) << row.wants << " in " << q;
  }
  EXPECT_EQ(world.StartOf(Group(1, {{0, 2}, {1, 0}})), 10);
  EXPECT_EQ(world.StartOf(Group(1, {{0, 1}, {1, 1}})), -1);  // none of the other cell ever comes
}

TEST(ReleaseTimes, FollowsWhatIsKnown) {
  World world({Q(kNoQueue, 10), Q(0, 0)});
  const QueuedGroup head = Group(1, {{0, 6}});
  world.Run("a", 1, {{0, 5}}, 20);
  world.Run("b", 1, {{0, 5}}, 40);
  EXPECT_EQ(world.StartOf(head), 40);
  world.times.Add("b", 1, std::vector<Charge>{{0, 5}}, kStart + Minutes(25));  // another end
  EXPECT_EQ(world.StartOf(head), 25);
  world.times.Remove("a");
  world.tree.Add(1, 0, -5);
  EXPECT_EQ(world.StartOf(head), 25);
  world.tree.Add(1, 0, -1);  // of b, in place
  EXPECT_EQ(world.StartOf(head), 0);
  world.tree.Add(1, 0, 1);
  EXPECT_EQ(world.StartOf(Group(1, {{0, 5}})), 0);  // another demand of the same queue
  EXPECT_EQ(world.StartOf(head), 25);
  world.times.Add("b", 1, std::vector<Charge>{{0, 4}}, absl::InfiniteFuture());  // not known any more
  EXPECT_EQ(world.StartOf(head), -1);
  world.times.Remove("unknown");
  EXPECT_EQ(world.times.size(), 1u);
  world.times.Clear();
  EXPECT_EQ(world.StartOf(head), -1);
}

TEST(ReleaseTimes, WhatOutlivesItsEndIsNoLongerBelieved) {
  World world({Q(kNoQueue, 10)});
  world.Run("a", 0, {{0, 10}}, 5);
  const QueuedGroup head = Group(0, {{0, 1}});
  world.now = kStart + Minutes(5) + Seconds(30);
  EXPECT_EQ(world.times.StartOf(world.tree, head, world.now), world.now);
  world.now += Minutes(1);
  EXPECT_EQ(world.StartOf(head), -1);
  world.times.Remove("a");
  EXPECT_EQ(world.times.size(), 0u);
}

TEST(ReleaseTimes, WhoMayGoAhead) {
  // The root has 10 and 10; queue 2 has 6 more of the first, of which it lends none.
  World world({Q(kNoQueue, 10, kUnlimited, 10), Q(0, 0), Q(0, 6, 0), Q(kNoQueue, 10)});
  world.Run("a", 1, {{0, 4}}, 30);
  world.Run("b", 1, {{0, 3}}, 60);
  world.Run("c", 1, {{1, 4}}, -1);
  const QueuedGroup head = Group(1, {{0, 6}, {1, 2}});  // at 30 7 are there
  const QueuedGroup never = Group(1, {{0, 6}, {1, 8}}), big = Group(1, {{0, 7}});
  const QueuedGroup more = Group(1, {{0, 11}, {1, 2}}), other = Group(2, {{0, 14}});  // 13 at 30, 16 at 60
  struct Row {
    QueuedGroup group;
    const QueuedGroup* head;
    bool want;
  };
  const Row rows[] = {
      {Group(1, {{0, 3}}, Minutes(30)), &head, true},  // ends in time
      {Group(1, {{0, 3}}, Minutes(31)), &head, false},
      {Group(1, {{0, 3}}), &head, false},
      {Group(1, {{0, 1}}), &head, true},  // there is one more than the head needs
      {Group(1, {{0, 1}}), &big, false},
      {Group(1, {{1, 4}}), &head, true},   // not what it lacks, and it leaves 2
      {Group(1, {{1, 5}}), &head, false},  // leaves 1
      {Group(1, {{1, 5}}), &big, true},    // which does not ask for it
      {Group(2, {{0, 6}}), &big, true},    // its own, and lent to nobody
      {Group(2, {{0, 7}}), &big, false},
      {Group(3, {{0, 9}}), &big, true},  // under another root
      {Group(kNoQueue, {}), &big, true},
      {Group(1, {{1, 1}}), &never, false},               // takes of what may come some day
      {Group(1, {{1, 1}}, Minutes(600)), &never, true},  // but not for ever
      {Group(1, {{0, 1}}, Minutes(600)), &never, true},
      {Group(1, {{0, 1}}), &never, false},
      {Group(1, {}), &never, true},
      {Group(1, {{1, 4}}), &more, true},  // leaves 2, which is all it asks of them
      {Group(1, {{1, 5}}), &more, false},
      {Group(1, {{0, 3}}), &other, false},
      {Group(1, {{0, 1}}), &head, true},
      {Group(1, {{0, 2}}), &other, true},  // 16 less 2
      {Group(1, {{0, 1}}), &head, true},
  };
  const uint64_t before = world.tree.fingerprint();
  for (const Row& row : rows) EXPECT_EQ(world.MayGoAhead(row.group, *row.head), row.want) << &row - rows;
  EXPECT_EQ(world.tree.fingerprint(), before);
  world.now = kStart + Minutes(10);
  EXPECT_FALSE(world.MayGoAhead(rows[0].group, head));
}

TEST(ReleaseTimes, AnyOfSeveralCells) {
  World world({Q(kNoQueue, 10, kUnlimited, 10)}, {0, 0});
  world.Run("a", 0, {{0, 9}}, 10);
  world.Run("b", 0, {{1, 7}}, 20);
  QueuedGroup head = Group(0, {});
  head.either = {{2, 3, {0, 1}}};  // three pods of two each: one would fit now
  EXPECT_EQ(world.StartOf(head), 10);
  head.either = {{2, 6, {0, 1}}};
  EXPECT_EQ(world.StartOf(head), 10);
  head.either = {{2, 7, {0, 1}}};
  EXPECT_EQ(world.StartOf(head), 20);
  head.either = {{2, 11, {0, 1}}};
  EXPECT_EQ(world.StartOf(head), -1);
  head.either = {{2, 5, {0, 1}}};  // at 10, 10 and 3 are there for 5 pods
  QueuedGroup group = Group(0, {});
  group.either = {{1, 1, {0, 1}}};
  EXPECT_TRUE(world.MayGoAhead(group, head));  // 4 and 1 pods
  group.either = {{1, 3, {0, 1}}};
  EXPECT_FALSE(world.MayGoAhead(group, head));
}

// Beside an answer that is looked up anew; and nothing that goes ahead moves the head's start.
TEST(ReleaseTimes, NothingThatGoesAheadDelaysTheHead) {
  const char* const text = std::getenv("MUSTER_CASES");
  const int cases = text != nullptr ? std::atoi(text) : 500;
  size_t ahead = 0, refused = 0, unknown = 0, extra = 0;
  for (int i = 0; i < cases && !HasFailure(); ++i) {
    SCOPED_TRACE(absl::StrCat("seed ", i));
    std::mt19937_64 random(static_cast<uint64_t>(i));
    const auto draw = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint64_t>(n)); };
    std::vector<QuotaTree::Queue> queues;
    const int64_t size = 1 + draw(6);
    for (int64_t q = 0; q < size; ++q) {
      queues.push_back({q > 0 && draw(6) != 0 ? static_cast<QueueIndex>(draw(q)) : kNoQueue, 1, {}});
      for (QuotaCell c = 0; c < 2; ++c) {
        if (draw(5) != 0)
          queues.back().quotas.push_back(
              {c, draw(15), draw(3) == 0 ? draw(8) : kUnlimited, draw(3) == 0 ? draw(8) : kUnlimited});
      }
    }
    World world(queues);
    struct Running {
      std::string uid;
      QueueIndex queue;
      std::vector<Charge> charges;
      Time end;
    };
    std::vector<Running> running;
    const auto run = [&](QueueIndex q, const std::vector<Charge>& charges, Time end) {
      running.push_back({absl::StrCat("pod", random()), q, charges, end});
      for (const Charge& charge : charges) world.tree.Add(q, charge.cell, charge.amount);
      world.times.Add(running.back().uid, q, charges, end);
    };
    const auto some = [&](int64_t most) {
      std::vector<Charge> charges;
      for (QuotaCell c = 0; c < 2; ++c) {
        if (draw(3) != 0) charges.push_back({c, 1 + draw(most)});
      }
      return charges;
    };
    const auto plain = [&](const QueuedGroup& head) {
      std::vector<Time> instants = {world.now};
      for (const Running& pod : running) {
        if (pod.end != absl::InfiniteFuture()) instants.push_back(std::max(world.now, pod.end));
      }
      std::sort(instants.begin(), instants.end());
      for (const Time at : instants) {
        QuotaTree then = world.tree;
        for (const Running& pod : running) {
          const bool believed = pod.end + ReleaseTimes::kGrace >= world.now;
          for (const Charge& charge : pod.charges) {
            if (believed && pod.end <= at && (at > world.now || pod.end < world.now))
              then.Add(pod.queue, charge.cell, -charge.amount);
          }
        }
        if (Fits(then, head)) return at;
      }
      return absl::InfiniteFuture();
    };
    for (int step = 0; step < 40; ++step) {
      const auto q = static_cast<QueueIndex>(draw(size));
      if (const std::vector<Charge> charges = some(4); world.tree.Lacking(q, charges) == nullptr)
        run(q, charges, draw(3) == 0 ? absl::InfiniteFuture() : world.now + Seconds(1 + draw(600)));
      if (draw(4) == 0 && !running.empty()) {
        const auto at = static_cast<size_t>(draw(static_cast<int64_t>(running.size())));
        for (const Charge& charge : running[at].charges) world.tree.Add(running[at].queue, charge.cell, -charge.amount);
        world.times.Remove(running[at].uid);
        running.erase(running.begin() + static_cast<ptrdiff_t>(at));
      }
      if (draw(4) == 0) world.now += Seconds(draw(100)) + absl::Milliseconds(1);
      const QueuedGroup head = Group(static_cast<QueueIndex>(draw(size)), some(10));
      const Time start = world.times.StartOf(world.tree, head, world.now);
      ASSERT_EQ(start, plain(head));
      if (Fits(world.tree, head)) continue;
      unknown += start == absl::InfiniteFuture();
      const Duration runtime = draw(2) == 0 ? absl::InfiniteDuration() : Seconds(1 + draw(600));
      const QueuedGroup group = Group(static_cast<QueueIndex>(draw(size)), some(3), runtime);
      if (!Fits(world.tree, group)) continue;
      if (draw(2) == 0) world.StartOf(Group(static_cast<QueueIndex>(draw(size)), some(10)));  // asked in between
      if (!world.MayGoAhead(group, head)) {
        ++refused;
        // Not for nothing: it would move the start, or, where that is not known, take something that the head lacks.
        QuotaTree with = world.tree;
        for (const Charge& charge : group.demand) with.Add(group.queue, charge.cell, charge.amount);
        bool less = false;
        for (const Charge& charge : head.demand)
          less |= with.Available(head.queue, charge.cell) < world.tree.Available(head.queue, charge.cell);
        ASSERT_TRUE(less);
        if (start == absl::InfiniteFuture()) continue;
        run(group.queue, group.demand, world.now + runtime);
        ASSERT_GT(world.times.StartOf(world.tree, head, world.now), start);
        continue;
      }
      ++ahead;
      extra += world.now + runtime > start;
      run(group.queue, group.demand, world.now + runtime);
      ASSERT_LE(world.times.StartOf(world.tree, head, world.now), start);
    }
  }
  EXPECT_GT(ahead, 500u);
  EXPECT_GT(refused, 300u);
  EXPECT_GT(unknown, 500u);
  EXPECT_GT(extra, 200u);
}

}  // namespace
}  // namespace muster
