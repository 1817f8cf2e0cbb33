#include "scheduler/runtime/real_event_loop.h"

#include <algorithm>
#include <functional>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster {
namespace {

using testing::ElementsAre;

TEST(RealEventLoopTest, TimersRunByTimeThenByOrderOfAsking) {
  RealEventLoop loop;
  std::vector<int> ran;
  const Time now = loop.Now();
  loop.At(now + absl::Milliseconds(20), [&] { ran.push_back(3); });
  loop.At(now + absl::Milliseconds(10), [&] { ran.push_back(1); });
  loop.At(now + absl::Milliseconds(10), [&] { ran.push_back(2); });
  const auto cancelled = loop.At(now + absl::Milliseconds(15), [&] { ran.push_back(99); });
  loop.At(absl::InfiniteFuture(), [&] { ran.push_back(98); });
  loop.Cancel(cancelled);
  loop.Cancel(12345);
  loop.At(now + absl::Milliseconds(30), [&] { loop.Stop(); });
  loop.Run();
  EXPECT_THAT(ran, ElementsAre(1, 2, 3));
  EXPECT_GE(loop.Now(), now + absl::Milliseconds(30));
}

TEST(RealEventLoopTest, ATimerThatAsksForAnotherAtOnceDoesNotStarvePosts) {
  RealEventLoop loop;
  std::function<void()> again = [&] { loop.At(loop.Now(), again); };
  again();
  loop.Post([&] { loop.Post([&] { loop.Stop(); }); });
  loop.Run();
}

TEST(RealEventLoopTest, PostsOfAThreadKeepTheirOrder) {
  constexpr int kThreads = 4, kPosts = 2000;
  RealEventLoop loop;
  std::vector<std::vector<int>> seen(kThreads);
  int left = kThreads * kPosts;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kPosts; ++i) {
        loop.Post([&, t, i] {
          seen[static_cast<size_t>(t)].push_back(i);
          if (--left == 0) loop.Stop();
        });
      }
    });
  }
  loop.Run();
  for (std::thread& thread : threads) thread.join();
  for (const auto& one : seen) {
    EXPECT_EQ(one.size(), static_cast<size_t>(kPosts));
    EXPECT_TRUE(std::is_sorted(one.begin(), one.end()));
  }
}

TEST(RealEventLoopTest, StopLeavesTheRestToTheNextRun) {
  RealEventLoop loop;
  std::vector<int> ran;
  loop.Post([&] { loop.Stop(); });
  loop.Post([&] { ran.push_back(1); });
  loop.Run();
  EXPECT_THAT(ran, ElementsAre());
  loop.Post([&] {
    ran.push_back(2);
    loop.Stop();
  });
  loop.Run();
  EXPECT_THAT(ran, ElementsAre(1, 2));
}

}  // namespace
}  // namespace muster
