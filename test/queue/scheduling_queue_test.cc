#include "queue/scheduling_queue.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scheduler/runtime/random.h"
#include "test/support/make.h"

namespace muster {
namespace {

constexpr uint32_t kEvent = 1, kOther = 2;
constexpr auto kForAll = [](const QueuedGroup&) { return true; };

class SchedulingQueueTest : public testing::Test {
 protected:
  SchedulingQueueTest()
      : queue_({absl::Seconds(1), absl::Seconds(10)}, absl::Minutes(5), [](const auto& a, const auto& b) {
          if (a.priority != b.priority) return a.priority > b.priority;
          return a.queued_at < b.queued_at;
        }) {}

  QueuedGroup& Add(const std::string& name, int priority = 0, bool gated = false) {
    PodPtr pod = MakePod(name).Uid(name).Priority(priority).Ptr();
    return queue_.Add(pod, Info(*pod), 0, gated, now_);
  }
  // Pods of one priority share a shape.
  PodInfoPtr Info(const Pod& pod) {
    for (const PodInfoPtr& info : infos_) {
      if (*info->spec == *pod.spec) return info;
    }
    infos_.push_back(snapshot_.Resolve(pod.spec));
    return infos_.back();
  }
  std::string Pop() {
    QueuedGroup* group = queue_.Pop(now_);
    return group == nullptr ? "-" : group->first().pod->name;
  }
  QueuedGroup& Join(const std::string& group, const std::string& name, int priority = 0) {
    PodPtr pod = MakePod(name).Uid(name).Priority(priority).Ptr();
    return queue_.Join(group, pod, Info(*pod), 0, false, now_);
  }
  void Reject(const std::string& name, uint32_t wake_on = kEvent) {
    QueuedGroup& group = *queue_.Find(name);
    group.wake_on = wake_on;
    queue_.Rejected(group, now_);
  }
  void Wake(uint32_t events) {
    queue_.Wake(
        events, [](const QueuedGroup&) { return true; }, kForAll, now_);
  }

  Snapshot snapshot_;
  std::vector<PodInfoPtr> infos_;
  SchedulingQueue queue_;
  Time now_ = absl::UnixEpoch() + absl::Hours(1);
};

TEST_F(SchedulingQueueTest, PopsByPriorityThenByTime) {
  Add("low");
  now_ += absl::Seconds(1);
  Add("high", 10);
  Add("high-later", 10);
  EXPECT_EQ(Pop(), "high");
  EXPECT_EQ(Pop(), "high-later");
  EXPECT_EQ(Pop(), "low");
  EXPECT_EQ(Pop(), "-");
}

TEST_F(SchedulingQueueTest, ARejectedPodWaitsForAnEventThatCanHelp) {
  Add("a");
  ASSERT_EQ(Pop(), "a");
  Reject("a");
  EXPECT_EQ(queue_.unschedulable(), 1u);
  EXPECT_EQ(Pop(), "-");
  Wake(kOther);
  EXPECT_EQ(Pop(), "-");
  queue_.Wake(
      kEvent, [](const QueuedGroup&) { return false; }, kForAll, now_);
  EXPECT_EQ(Pop(), "-");
  Wake(kEvent);
  // Its backoff of a second runs, but nothing else is waiting: it may go at once.
  EXPECT_EQ(queue_.backing_off(), 1u);
  EXPECT_EQ(Pop(), "a");
}

TEST_F(SchedulingQueueTest, ActivePodsGoBeforeThoseInBackoff) {
  Add("old", 5);
  ASSERT_EQ(Pop(), "old");
  Reject("old");
  Wake(kEvent);
  Add("new", 0);
  EXPECT_EQ(Pop(), "new");
  EXPECT_EQ(Pop(), "old");
}

TEST_F(SchedulingQueueTest, AnErrorsBackoffIsWaitedFor) {
  Add("a");
  ASSERT_EQ(Pop(), "a");
  queue_.Failed(*queue_.Find("a"), now_);
  EXPECT_EQ(Pop(), "-");
  EXPECT_EQ(queue_.NextDeadline(), now_ + absl::Seconds(1));
  now_ += absl::Seconds(1);
  EXPECT_EQ(Pop(), "a");
  queue_.Failed(*queue_.Find("a"), now_);
  EXPECT_EQ(queue_.NextDeadline(), now_ + absl::Seconds(2));
}

TEST(BackoffTest, DoublesUpToTheMaximum) {
  const Backoff backoff{absl::Seconds(1), absl::Seconds(10)};
  const int want[] = {0, 1, 2, 4, 8, 10, 10};
  for (uint32_t n = 0; n < 7; ++n) EXPECT_EQ(backoff.After(n), absl::Seconds(want[n])) << n;
  for (uint32_t n = 0; n < 5; ++n) EXPECT_EQ(backoff.After(n, 100), absl::Seconds(want[n])) << n;
  EXPECT_EQ(backoff.After(20, 100), absl::Seconds(100));
  EXPECT_EQ(backoff.After(4'000'000'000u), absl::Seconds(10));
}

TEST_F(SchedulingQueueTest, WakeAsksOncePerShape) {
  for (int i = 0; i < 5; ++i) Add("a" + std::to_string(i));
  Add("b", 7);
  while (queue_.active() > 0) {
    const std::string name = Pop();
    Reject(name);
  }
  int asked = 0;
  queue_.Wake(
      kEvent, [&](const QueuedGroup& g) { return ++asked, g.priority == 0; }, kForAll, now_);
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(queue_.unschedulable(), 1u);
  EXPECT_EQ(queue_.backing_off(), 5u);
}

// Of those with room kept for them the event is for some, and one of the others may use it.
TEST_F(SchedulingQueueTest, WakesOfThoseWithRoomKeptWhomItIsForAndOne) {
  for (const char* name : {"a", "b", "c", "d"}) {
    Add(name);
    ASSERT_EQ(Pop(), name);
    Reject(name);
  }
  const auto all = [](const QueuedGroup&) { return true; };
  for (const char* name : {"a", "b", "c"}) queue_.SetReserved(*queue_.Find(name), true);
  queue_.Wake(
      kEvent, all, [](const QueuedGroup& group) { return group.first().pod->name == "b"; }, now_);
  EXPECT_EQ(queue_.unschedulable(), 1u);  // "d" waits for room, whosever, and one may look for it
  EXPECT_EQ(queue_.Find("c")->part, QueuedGroup::Part::kUnschedulable);
  for (int i = 0; i < 2; ++i) {
    queue_.Wake(
        kEvent, all, [](const QueuedGroup&) { return false; }, now_);
    EXPECT_EQ(queue_.unschedulable(), 0u);
  }
}

// Nobody says how many an event's room is enough for.
TEST_F(SchedulingQueueTest, WhoHasRoomKeptLooksAgainEverySecond) {
  for (const char* name : {"a", "b"}) {
    Add(name);
    ASSERT_EQ(Pop(), name);
    Reject(name);
  }
  queue_.SetReserved(*queue_.Find("a"), true);
  EXPECT_EQ(queue_.NextDeadline(), now_ + absl::Seconds(1));
  now_ += absl::Seconds(1);
  EXPECT_EQ(Pop(), "a");
  EXPECT_EQ(Pop(), "-");
}

// Its victims are gone: nobody else may have the room meanwhile.
TEST_F(SchedulingQueueTest, WhoHasRoomKeptWaitsForNoBackoff) {
  for (const bool is_error : {false, true}) {
    Add("a");
    ASSERT_EQ(Pop(), "a");
    Reject("a");
    queue_.SetReserved(*queue_.Find("a"), true);
    if (is_error) {
      queue_.Failed(*queue_.Find("a"), now_);
    } else {
      Wake(kEvent);
    }
    EXPECT_EQ(queue_.active(), is_error ? 0u : 1u);
    EXPECT_EQ(Pop(), is_error ? "-" : "a");
    queue_.Remove("a");
  }
}

TEST_F(SchedulingQueueTest, WhoHasNoRoomHoldsNobodyBackInBackoff) {
  const QuotaTree::Queue queues[] = {{kNoQueue, 1, {{0, 1, kUnlimited, kUnlimited}}}};
  const uint32_t resource[] = {0};
  QuotaTree tree;
  tree.Build(queues, resource);
  queue_.SetQueues(tree, {Queue::Order::kBestEffortFIFO}, nullptr);
  const auto add = [&](const std::string& name, int priority, int64_t amount) {
    Add(name, priority);
    queue_.SetDemand(*queue_.Find(name), 0, {{0, 1}}, {}, absl::InfiniteDuration(), now_);
    ASSERT_EQ(Pop(), name);
    Reject(name);
    queue_.SetDemand(*queue_.Find(name), 0, {{0, amount}}, {}, absl::InfiniteDuration(), now_);
  };
  add("large", 10, 2);
  add("small", 0, 1);
  Wake(kEvent);
  EXPECT_EQ(queue_.backing_off(), 2u);
  EXPECT_EQ(Pop(), "small");
  EXPECT_EQ(Pop(), "-");
}

TEST_F(SchedulingQueueTest, AHeldPodIsNotTriedAndForgetsNoEvent) {
  for (const bool woken : {false, true}) {
    Add("a");
    ASSERT_EQ(Pop(), "a");
    Reject("a");
    queue_.Hold(*queue_.Find("a"));
    now_ += absl::Minutes(10);
    Wake(woken ? kEvent : kOther);
    EXPECT_EQ(Pop(), "-");
    EXPECT_EQ(queue_.unschedulable(), 1u);
    queue_.Update("a", queue_.FindMember("a")->pod, queue_.FindMember("a")->info);
    queue_.SetGated(*queue_.Find("a"), false, now_);
    EXPECT_EQ(Pop(), "-");
    queue_.Release(*queue_.Find("a"), now_);
    EXPECT_EQ(queue_.active(), woken ? 1u : 0u);
    Wake(kEvent);
    EXPECT_EQ(Pop(), "a");
    queue_.Remove("a");
  }
}

TEST_F(SchedulingQueueTest, LeftoversAreTriedAgainAfterFiveMinutes) {
  Add("a");
  ASSERT_EQ(Pop(), "a");
  Reject("a", 0);
  now_ += absl::Minutes(4);
  EXPECT_EQ(Pop(), "-");
  now_ += absl::Seconds(91);
  EXPECT_EQ(Pop(), "a");
}

TEST_F(SchedulingQueueTest, GatedPodsWaitOutside) {
  QueuedGroup& group = Add("a", 0, true);
  EXPECT_EQ(queue_.gated(), 1u);
  EXPECT_EQ(Pop(), "-");
  queue_.SetGated(group, false, now_);
  EXPECT_EQ(queue_.gated(), 0u);
  EXPECT_EQ(Pop(), "a");
}

TEST_F(SchedulingQueueTest, AnUpdateMovesARejectedPodToItsNewShape) {
  Add("a");
  ASSERT_EQ(Pop(), "a");
  Reject("a");
  PodPtr changed = MakePod("a").Uid("a").Label("x", "y").Ptr();
  queue_.Update("a", changed, Info(*changed));
  EXPECT_EQ(queue_.unschedulable(), 1u);
  Wake(kEvent);
  EXPECT_EQ(queue_.unschedulable(), 0u);
  EXPECT_EQ(Pop(), "a");
}

TEST_F(SchedulingQueueTest, AGroupIsOneItem) {
  for (const char* name : {"g-0", "g-1", "g-2"}) Join("g", name, 5);
  Add("lone");
  QueuedGroup& group = *queue_.FindGroup("g");
  EXPECT_EQ(group.members.size(), 3u);
  EXPECT_EQ(group.priority, 5);
  EXPECT_EQ(queue_.size(), 4u);
  // A new group waits until it is found complete.
  EXPECT_EQ(queue_.gated(), 1u);
  EXPECT_EQ(queue_.PodsIn(QueuedGroup::Part::kGated), 3u);
  EXPECT_EQ(Pop(), "lone");
  EXPECT_EQ(Pop(), "-");
  queue_.SetGated(group, false, now_);
  EXPECT_EQ(queue_.Pop(now_), &group);
  queue_.Rejected(group, now_);
  EXPECT_EQ(queue_.unschedulable(), 1u);
  EXPECT_EQ(queue_.PodsIn(QueuedGroup::Part::kUnschedulable), 3u);
  for (const char* name : {"g-0", "g-1", "g-2"}) EXPECT_EQ(queue_.Find(name), &group);
}

TEST_F(SchedulingQueueTest, AGroupIsOrderedByItsOwnPriority) {
  Add("lone", 3);
  QueuedGroup& group = Join("g", "g-0", 0);
  queue_.SetGated(group, false, now_);
  queue_.SetOrder(group, 7, false);
  QueuedGroup& half_there = Join("h", "h-0", 0);
  queue_.SetGated(half_there, false, now_);
  queue_.SetOrder(half_there, 0, true);
  EXPECT_EQ(Pop(), "h-0");
  EXPECT_EQ(Pop(), "g-0");
  EXPECT_EQ(Pop(), "lone");
}

TEST_F(SchedulingQueueTest, AGroupGoesWithItsLastPod) {
  for (const char* name : {"g-0", "g-1", "g-2"}) Join("g", name);
  queue_.Remove("g-0");  // the last takes its place
  EXPECT_EQ(queue_.FindMember("g-2")->pod->name, "g-2");
  EXPECT_EQ(queue_.FindMember("g-1")->pod->name, "g-1");
  EXPECT_EQ(queue_.Find("g-0"), nullptr);
  queue_.Remove("g-2");
  EXPECT_NE(queue_.FindGroup("g"), nullptr);
  queue_.Remove("g-1");
  EXPECT_EQ(queue_.FindGroup("g"), nullptr);
  EXPECT_EQ(queue_.size(), 0u);
  EXPECT_EQ(queue_.gated(), 0u);
}

TEST_F(SchedulingQueueTest, EqualGroupsAreWokenEachForItself) {
  for (const char* key : {"g", "h"}) {
    queue_.SetGated(Join(key, std::string(key) + "-0"), false, now_);
    ASSERT_EQ(Pop(), std::string(key) + "-0");
    Reject(std::string(key) + "-0");
  }
  queue_.Wake(
      kEvent, [](const QueuedGroup& group) { return group.key == "h"; }, kForAll, now_);
  EXPECT_EQ(Pop(), "h-0");
  EXPECT_EQ(Pop(), "-");
}

TEST_F(SchedulingQueueTest, AParkedGroupComesBackWhenToldTo) {
  QueuedGroup& group = Join("g", "g-0");
  queue_.SetGated(group, false, now_);
  ASSERT_EQ(Pop(), "g-0");
  queue_.Hold(group);
  queue_.Park(group);
  Wake(kEvent);
  EXPECT_EQ(Pop(), "-");
  queue_.Enter(group, now_);
  queue_.Enter(group, now_);
  EXPECT_EQ(queue_.active(), 1u);
  EXPECT_EQ(Pop(), "g-0");
}

// Whatever happens, the parts hold each group exactly once, and a removed one is never popped.
TEST_F(SchedulingQueueTest, RandomHistoriesKeepTheParts) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    std::vector<std::string> out;  // popped, to be answered
    for (int step = 0; step < 300; ++step) {
      now_ += absl::Milliseconds(static_cast<int64_t>(random.Below(900)));
      const std::string name = "p" + std::to_string(random.Below(30));
      QueuedGroup* group = queue_.Find(name);
      const bool is_out = std::find(out.begin(), out.end(), name) != out.end();
      switch (random.Below(6)) {
        case 0:
          if (group == nullptr) Add(name, static_cast<int>(random.Below(3)), random.Below(8) == 0);
          break;
        case 1:
          if (group != nullptr) queue_.Remove(name), std::erase(out, name);
          break;
        case 2:
          if (QueuedGroup* next = queue_.Pop(now_)) out.push_back(next->first().pod->name);
          break;
        case 3:
          if (is_out) Reject(name), std::erase(out, name);
          break;
        case 4:
          if (is_out) queue_.Failed(*group, now_), std::erase(out, name);
          break;
        case 5: Wake(kEvent); break;
      }
      ASSERT_EQ(queue_.active() + queue_.backing_off() + queue_.unschedulable() + queue_.gated() + out.size(),
                queue_.size());
    }
    for (const QueuedGroup* group : queue_.Groups()) queue_.Remove(group->first().pod->uid);
    ASSERT_EQ(queue_.size(), 0u);
  }
}

}  // namespace
}  // namespace muster
