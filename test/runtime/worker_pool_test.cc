#include "scheduler/runtime/worker_pool.h"

#include <gtest/gtest.h>

#include <vector>

namespace muster {
namespace {

TEST(WorkerPoolTest, CoversEveryWordOnceForAnyNumberOfThreads) {
  for (int threads : {1, 2, 3, 4, 8}) {
    WorkerPool pool(threads, 1);
    for (size_t words : {0u, 1u, 2u, 3u, 7u, 8u, 64u, 79u}) {
      for (int repeat = 0; repeat < 50; ++repeat) {
        std::vector<int> seen(words, 0);  // each word is written by one thread
        pool.ForWords(words, [&](size_t begin, size_t end) {
          for (size_t w = begin; w < end; ++w) ++seen[w];
        });
        ASSERT_EQ(seen, std::vector<int>(words, 1)) << threads << " threads, " << words << " words";
      }
    }
  }
}

TEST(WorkerPoolTest, SmallRangesStayOnTheCaller) {
  WorkerPool pool(4, 32);
  int calls = 0;
  pool.ForWords(63, [&](size_t begin, size_t end) {
    ++calls;
    EXPECT_EQ(begin, 0u);
    EXPECT_EQ(end, 63u);
  });
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace muster
