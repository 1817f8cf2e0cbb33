#include "plugins/resources/resource_score.h"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <random>
#include <vector>

namespace muster {
namespace {

constexpr size_t kRows = 3 * kWordBits;

// The rules one node at a time, in 64-bit integers.
struct Amounts {
  int64_t requested, allocatable, weight;
};

int64_t LeastOrMost(const std::vector<Amounts>& resources, bool most) {
  int64_t sum = 0, weights = 0;
  for (const Amounts& a : resources) {
    if (a.allocatable == 0) continue;
    const int64_t capped = std::min(a.requested, a.allocatable);
    const auto part = static_cast<uint64_t>(most ? capped : a.allocatable - capped);
    sum += static_cast<int64_t>(part * 100) / a.allocatable * a.weight;
    weights += a.weight;
  }
  return weights == 0 ? 0 : sum / weights;
}

int64_t ByUtilization(const std::vector<Amounts>& resources, const UtilizationScores& scores) {
  int64_t sum = 0, weights = 0;
  for (const Amounts& a : resources) {
    if (a.allocatable == 0) continue;
    const int64_t percent = a.requested > a.allocatable ? 100 : a.requested * 100 / a.allocatable;
    const int64_t score = scores[static_cast<size_t>(percent)];
    if (score > 0) sum += score * a.weight, weights += a.weight;
  }
  return weights == 0 ? 0 : static_cast<int64_t>(std::round(static_cast<double>(sum) / static_cast<double>(weights)));
}

int64_t Evenness(const std::vector<Amounts>& resources) {
  std::vector<double> fractions;
  double total = 0;
  for (const Amounts& a : resources) {
    if (a.allocatable == 0) continue;
    double f = static_cast<double>(a.requested) / static_cast<double>(a.allocatable);
    if (f > 1) f = 1;
    total += f;
    fractions.push_back(f);
  }
  double deviation = 0;
  if (fractions.size() == 2) {
    deviation = std::fabs((fractions[0] - fractions[1]) / 2);
  } else if (fractions.size() > 2) {
    const double mean = total / static_cast<double>(fractions.size());
    double sum = 0;
    for (const double f : fractions) sum = sum + (f - mean) * (f - mean);
    deviation = std::sqrt(sum / static_cast<double>(fractions.size()));
  }
  return static_cast<int64_t>((1 - deviation) * 100.0);
}

// Random columns whose amounts stay below 2^bits, with whole divisions and off-by-ones among them.
struct RandomCluster {
  struct Column {
    std::vector<int64_t> allocatable, used, free;
    ScoredColumn scored;
  };
  std::vector<Column> columns;

  RandomCluster(std::mt19937_64& random, size_t resources, int bits) : columns(resources) {
    const auto below = [&](int64_t n) {
      return n <= 0 ? 0 : static_cast<int64_t>(random() % static_cast<uint64_t>(n));
    };
    for (Column& c : columns) {
      c.scored.want = below(3) == 0 ? 0 : below(int64_t{1} << below(bits));
      c.scored.weight = 1 + below(100);
      for (size_t row = 0; row < kRows; ++row) {
        int64_t allocatable = below(8) == 0 ? 0 : 1 + below(int64_t{1} << below(bits));
        int64_t used = below(allocatable + allocatable / 8 + 1);
        if (below(2) == 0) {  // at or beside a whole percentage
          const int64_t percent = allocatable / 100 * below(101);
          used = std::max<int64_t>(0, percent - c.scored.want + below(3) - 1);
        }
        if (below(16) == 0) used = 0;
        c.allocatable.push_back(allocatable);
        c.used.push_back(used);
        c.free.push_back(allocatable - used);
      }
    }
    for (Column& c : columns) {
      c.scored.allocatable = c.allocatable.data();
      c.scored.cells_are_free = below(2) == 0;
      c.scored.cells = c.scored.cells_are_free ? c.free.data() : c.used.data();
    }
  }
  std::vector<ScoredColumn> Scored() const {
    std::vector<ScoredColumn> all;
    for (const Column& c : columns) all.push_back(c.scored);
    return all;
  }
  std::vector<Amounts> Row(size_t row, bool with_pod) const {
    std::vector<Amounts> all;
    for (const Column& c : columns) {
      all.push_back({c.used[row] + (with_pod ? c.scored.want : 0), c.allocatable[row], c.scored.weight});
    }
    return all;
  }
};

TEST(ResourceScoreTest, ColumnsScoreLikeSingleNodes) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  const std::vector<UtilizationPoint> shape = {{0, 0}, {10, 7}, {55, 2}, {90, 10}};
  const UtilizationScores scores = ScoresOfShape(shape);
  for (const int bits : {4, 20, 44, 46, 47, 52, 57}) {
    for (int trial = 0; trial < 60; ++trial) {
      const RandomCluster cluster(random, 1 + random() % 4, bits);
      const std::vector<ScoredColumn> scored = cluster.Scored();
      std::vector<int64_t> least(kRows, -1), most(kRows, -1), ratio(kRows, -1);
      ScoreLeastAllocated(scored, {0, 3}, least.data());
      ScoreMostAllocated(scored, {0, 2}, most.data());
      ScoreMostAllocated(scored, {2, 3}, most.data());
      ScoreByUtilization(scored, scores, {0, 3}, ratio.data());
      for (size_t row = 0; row < kRows; ++row) {
        const std::vector<Amounts> amounts = cluster.Row(row, true);
        ASSERT_EQ(least[row], LeastOrMost(amounts, false)) << bits << " bits, row " << row;
        ASSERT_EQ(most[row], LeastOrMost(amounts, true)) << bits << " bits, row " << row;
        if (bits <= 52) {
          ASSERT_EQ(ratio[row], ByUtilization(amounts, scores)) << bits << " bits, row " << row;
        }
      }
    }
  }
}

TEST(ResourceScoreTest, BalanceOfColumnsIsThatOfSingleNodes) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  for (const int bits : {4, 20, 50, 53, 60}) {
    for (int trial = 0; trial < 100; ++trial) {
      RandomCluster cluster(random, 1 + random() % 4, bits);
      for (auto& c : cluster.columns) c.scored.cells_are_free = true, c.scored.cells = c.free.data();
      std::vector<int64_t> balance(kRows, -1);
      ScoreBalanced(cluster.Scored(), {0, 3}, balance.data());
      for (size_t row = 0; row < kRows; ++row) {
        const int64_t want = 50 + (50 + Evenness(cluster.Row(row, true)) - Evenness(cluster.Row(row, false))) / 2;
        ASSERT_EQ(balance[row], want) << bits << " bits, row " << row;
      }
    }
  }
}

TEST(ResourceScoreTest, ShapesAreLinearBetweenTheirPoints) {
  struct Case {
    std::vector<UtilizationPoint> shape;
    int utilization;
    int64_t score;
  };
  const std::vector<UtilizationPoint> rising = {{10, 1}, {90, 9}}, hill = {{0, 2}, {40, 10}, {100, 0}};
  const std::vector<UtilizationPoint> flat = {{0, 2}, {40, 2}, {100, 2}}, one = {{50, 3}};
  const Case cases[] = {
      {rising, 0, 10}, {rising, 10, 10}, {rising, 15, 15}, {rising, 20, 20}, {rising, 89, 89}, {rising, 100, 90},
      {hill, 0, 20},   {hill, 20, 60},   {hill, 30, 80},   {hill, 40, 100},  {hill, 70, 50},   {hill, 100, 0},
      {flat, 0, 20},   {flat, 70, 20},   {one, 0, 30},     {one, 50, 30},    {one, 100, 30},   {hill, 41, 99},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(ScoresOfShape(c.shape)[static_cast<size_t>(c.utilization)], c.score) << c.utilization;
  }
}

}  // namespace
}  // namespace muster
