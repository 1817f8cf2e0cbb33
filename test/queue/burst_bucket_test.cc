#include "queue/burst_bucket.h"

#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace muster {
namespace {

using absl::Milliseconds;
using absl::Minutes;
using absl::Seconds;

const Time kStart = absl::FromUnixSeconds(1'000'000);

QueueBurst Lane(std::vector<Amount> resources, Duration refill = Minutes(1)) {
  return {Minutes(5), std::move(resources), refill};
}

TEST(BurstBucket, TakesSmallShortPods) {
  struct Row {
    std::vector<Amount> requests;
    std::optional<Duration> max_runtime;
    bool want;
  };
  const Row rows[] = {
      {{{"cpu", 1000}}, Minutes(5), true},
      {{{"cpu", 1000}}, Minutes(5) + Seconds(1), false},
      {{{"cpu", 1000}}, std::nullopt, false},
      {{{"cpu", 1000}, {"memory", 1 << 30}}, Minutes(1), true},
      {{{"cpu", 1000}, {"ephemeral-storage", 1}, {"pods", 1}}, Minutes(1), true},
      {{{"cpu", 1000}, {"nvidia.com/gpu", 1}}, Minutes(1), true},  // listed
      {{{"amd.com/gpu", 1}, {"cpu", 1000}}, Minutes(1), false},    // not listed, and scarce
      {{{"amd.com/gpu", 0}, {"cpu", 1000}}, Minutes(1), true},
      {{{"cpu", 1000}, {"deviceclass/h100", 1}}, Minutes(1), false},
      {{{"memory", 1 << 30}}, Minutes(1), false},  // nothing of what the lane counts
      {{{"cpu", 0}}, Minutes(1), false},
      {{}, Minutes(1), false},
  };
  BurstBucket bucket;
  bucket.Configure(Lane({{"cpu", 64000}, {"nvidia.com/gpu", 2}}), kStart);
  for (const Row& row : rows) EXPECT_EQ(bucket.Takes(row.requests, row.max_runtime), row.want) << &row - rows;
}

// "t5 -16 ?9": at 5 s take 16, then how long until there are 9, in milliseconds.
TEST(BurstBucket, RefillsLinearly) {
  struct Row {
    int64_t size, refill_s;
    struct Step {
      int64_t at_ms, take, ask, want_ms;  // take < 0: given back; want -1: never
    } steps[6];
  };
  const Row rows[] = {
      {60, 60, {{0, 0, 60, 0}, {0, 0, 61, -1}, {0, 60, 1, 1000}, {0, 0, 60, 60000}, {500, 0, 1, 500}, {1000, 0, 1, 0}}},
      {60, 60, {{0, 60, 0, 0}, {30000, 30, 1, 1000}, {31000, 1, 60, 60000}, {999999, 0, 60, 0}}},
      {64, 60, {{0, 64, 1, 938}, {0, -4, 4, 0}, {0, -100, 64, 0}, {0, 64, 64, 60000}}},  // 937.5
      {7, 3, {{0, 7, 1, 429}, {429, 1, 1, 429}, {858, 1, 1, 428}, {1286, 1, 1, 429}}},   // 3 / 7 s each
      {1000000, 1, {{0, 1000000, 1, 1}, {1, 1000, 1, 1}, {1, 0, 1001, 2}}},
  };
  for (const Row& row : rows) {
    BurstBucket bucket;
    bucket.Configure(Lane({{"cpu", row.size}}, Seconds(row.refill_s)), kStart);
    for (const Row::Step& step : row.steps) {
      const Time now = kStart + Milliseconds(step.at_ms);
      const std::vector<Amount> take = {{"cpu", std::abs(step.take)}}, ask = {{"cpu", step.ask}};
      EXPECT_TRUE(step.take <= 0 || bucket.Has(take, now));
      step.take < 0 ? bucket.GiveBack(take, now) : bucket.Take(take, now);
      const Time when = bucket.WhenHas(ask, now);
      EXPECT_EQ(bucket.Has(ask, now), when == now);
      if (when > now && when < absl::InfiniteFuture()) {
        EXPECT_TRUE(bucket.Has(ask, when));
        EXPECT_FALSE(bucket.Has(ask, when - absl::Nanoseconds(1)));
      }
      const int64_t wait =
          when == absl::InfiniteFuture() ? -1 : absl::ToInt64Milliseconds(absl::Ceil(when - now, Milliseconds(1)));
      EXPECT_EQ(wait, step.want_ms) << &row - rows << ":" << &step - row.steps;
    }
  }
}

TEST(BurstBucket, IsExactToTheNanosecond) {
  BurstBucket bucket;
  bucket.Configure(Lane({{"cpu", 7}}, Seconds(3)), kStart);
  const std::vector<Amount> all = {{"cpu", 7}}, one = {{"cpu", 1}};
  bucket.Take(all, kStart);
  EXPECT_EQ(bucket.WhenHas(one, kStart), kStart + absl::Nanoseconds(428571429));  // 3 s / 7 = 428571428.57 ns
  EXPECT_FALSE(bucket.Has(one, kStart + absl::Nanoseconds(428571428)));
}

TEST(BurstBucket, EachResourceHasItsTokens) {
  BurstBucket bucket;
  bucket.Configure(Lane({{"cpu", 60}, {"memory", 600}}), kStart);
  const std::vector<Amount> pod = {{"cpu", 10}, {"memory", 300}, {"pods", 1}}, small = {{"cpu", 10}, {"memory", 10}};
  bucket.Take(pod, kStart);
  bucket.Take(pod, kStart);
  EXPECT_FALSE(bucket.Has(pod, kStart));
  EXPECT_EQ(bucket.WhenHas(pod, kStart), kStart + Seconds(30));
  EXPECT_EQ(bucket.WhenHas(small, kStart), kStart + Seconds(1));
  const std::vector<Amount> cpu = {{"cpu", 40}};
  EXPECT_TRUE(bucket.Has(cpu, kStart));
}

TEST(BurstBucket, AnotherSizeKeepsWhatIsMissing) {
  struct Row {
    int64_t size, refill_s, has;  // of 60 in a minute, after 40 were taken and 10 s passed: 30 are missing
  };
  const Row rows[] = {{60, 60, 30}, {60, 1, 30}, {90, 60, 60}, {40, 60, 10}, {20, 60, 0}};
  for (const Row& row : rows) {
    BurstBucket bucket;
    bucket.Configure(Lane({{"cpu", 60}}), kStart);
    const std::vector<Amount> forty = {{"cpu", 40}};
    bucket.Take(forty, kStart);
    const Time now = kStart + Seconds(10);
    bucket.Configure(Lane({{"memory", 5}, {"cpu", row.size}}, Seconds(row.refill_s)), now);
    const std::vector<Amount> all = {{"cpu", row.has}, {"memory", 5}}, more = {{"cpu", row.has + 1}};
    EXPECT_TRUE(bucket.Has(all, now)) << row.size;
    EXPECT_FALSE(bucket.Has(more, now)) << row.size;
    const std::vector<Amount> full = {{"cpu", row.size}};
    const int64_t wait_ms = (row.size - row.has) * row.refill_s * 1000 / row.size;
    EXPECT_EQ(bucket.WhenHas(full, now), now + Milliseconds(wait_ms)) << row.size;
  }
}

// In any stretch of time no more goes through than the bucket and its refill, and a greedy user gets nearly as much.
TEST(BurstBucket, BoundsEveryStretchOfTime) {
  const char* const text = std::getenv("MUSTER_CASES");
  const int cases = text != nullptr ? std::atoi(text) : 300;
  size_t tight = 0;
  for (int i = 0; i < cases && !HasFailure(); ++i) {
    SCOPED_TRACE(absl::StrCat("seed ", i));
    std::mt19937_64 random(static_cast<uint64_t>(i));
    const int64_t size = 1 + static_cast<int64_t>(random() % 100), refill = 1 + static_cast<int64_t>(random() % 100);
    BurstBucket bucket;
    bucket.Configure(Lane({{"cpu", size}}, Seconds(refill)), kStart);
    Time now = kStart;
    std::vector<std::pair<Time, int64_t>> taken;
    int64_t sum = 0;
    for (int step = 0; step < 200; ++step) {
      now += absl::Nanoseconds(static_cast<int64_t>(random() % 3'000'000'000));
      const std::vector<Amount> want = {{"cpu", 1 + static_cast<int64_t>(random() % (size < 5 ? size : 5))}};
      while (bucket.Has(want, now)) {
        bucket.Take(want, now);
        taken.emplace_back(now, want[0].value);
        sum += want[0].value;
      }
      int64_t stretch = 0;
      for (size_t k = taken.size(); k-- > 0;) {
        stretch += taken[k].second;
        const absl::int128 nanos = absl::ToInt64Nanoseconds(now - taken[k].first);
        ASSERT_LE(absl::int128(stretch - size) * refill * 1'000'000'000, nanos * size);
      }
    }
    // Where what is left over (< 5) and what comes in the longest wait (3 s) never fill it, nothing is lost.
    if (4 * refill + 3 * size > size * refill) continue;
    ++tight;
    ASSERT_GE(absl::int128(sum) * refill * 1'000'000'000, absl::ToInt64Nanoseconds(now - kStart) * absl::int128(size));
  }
  EXPECT_GT(tight, 100u);
}

}  // namespace
}  // namespace muster
