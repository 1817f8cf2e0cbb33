#include "plugins/resources/resource_score.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "scheduler/framework/kernels.h"

namespace muster {
namespace {

constexpr size_t kBlock = kWordBits;
constexpr int64_t kMaxScore = 100;
constexpr int32_t kMaxShapeScore = 10;  // a shape's points are scored 0..10

#define MUSTER_INLINE __attribute__((always_inline)) inline

// The loops below work on doubles, which hold integers below 2^53 exactly: dividing them vectorises.
// Conversions by adding 2^52, because packed ones of 64-bit integers need AVX-512.
// Requires of all three: 0 <= x < 2^52.
MUSTER_INLINE double ToDouble(int64_t x) { return std::bit_cast<double>(x | std::bit_cast<int64_t>(0x1p52)) - 0x1p52; }
MUSTER_INLINE int64_t ToInt(double whole) {
  return static_cast<int64_t>(std::bit_cast<uint64_t>(whole + 0x1p52) - std::bit_cast<uint64_t>(0x1p52));
}
MUSTER_INLINE double Floor(double x) {
  const double nearest = (x + 0x1p52) - 0x1p52;
  return nearest > x ? nearest - 1 : nearest;
}
MUSTER_INLINE double AtLeastOne(double x) { return x < 1 ? 1 : x; }
MUSTER_INLINE double AtMostOne(double x) { return x > 1 ? 1 : x; }

// The part of `allocatable` that is left, or used, with the pod placed; between 0 and all of it.
enum class Share { kLeft, kUsed };
template <Share share>
MUSTER_INLINE int64_t PartOf(const ScoredColumn& c, size_t row) {
  const int64_t left = (c.cells_are_free ? c.cells[row] : c.allocatable[row] - c.cells[row]) - c.want;
  const int64_t positive = left > 0 ? left : 0;
  return share == Share::kLeft ? positive : c.allocatable[row] - positive;
}

// percent[i] = part * 100 / allocatable, rounded down; 0 where nothing is allocatable. Returns
// whether that is right for all rows of the block, which it is while all amounts are below 2^46:
// 100 * part is then exact, and a quotient just below an integer k stays at least 1/allocatable
// away from it, which is more than half a unit in the last place (k * 2^-53), because
// k * allocatable <= 100 * part + allocatable < 2^53.
template <Share share>
MUSTER_INLINE bool Percents(const ScoredColumn& c, size_t row, double (&percent)[kBlock]) {
  int64_t part[kBlock];
  ScoredColumn column = c;  // constant conditions and no aliasing inside the loops
  if (c.cells_are_free) {
    column.cells_are_free = true;
    for (size_t i = 0; i < kBlock; ++i) part[i] = PartOf<share>(column, row + i);
  } else {
    column.cells_are_free = false;
    for (size_t i = 0; i < kBlock; ++i) part[i] = PartOf<share>(column, row + i);
  }
  const int64_t* const allocatable = c.allocatable + row;
  uint64_t bits = 0;
  for (size_t i = 0; i < kBlock; ++i) bits |= static_cast<uint64_t>(part[i] | allocatable[i]);
  for (size_t i = 0; i < kBlock; ++i) {
    percent[i] = Floor(ToDouble(part[i]) * 100.0 / AtLeastOne(ToDouble(allocatable[i])));
  }
  return bits >> 46 == 0;
}

// One row of any amounts; overflow wraps, as upstream's does.
template <Share share>
int64_t Percent(const ScoredColumn& c, size_t row) {
  const auto scaled = static_cast<int64_t>(static_cast<uint64_t>(PartOf<share>(c, row)) * 100);
  return c.allocatable[row] == 0 ? 0 : scaled / c.allocatable[row];
}

// The same for the curve of utilization, in which upstream looks up 100 where the pod does not fit,
// without multiplying.
int64_t Utilization(const ScoredColumn& c, size_t row) {
  const int64_t left = (c.cells_are_free ? c.cells[row] : c.allocatable[row] - c.cells[row]) - c.want;
  return left < 0 ? 100 : Percent<Share::kUsed>(c, row);
}

template <Share share>
int64_t WeightedMeanOfRow(std::span<const ScoredColumn> columns, size_t row) {
  int64_t sum = 0, weights = 0;
  for (const ScoredColumn& c : columns) {
    if (c.allocatable[row] == 0) continue;
    sum += Percent<share>(c, row) * c.weight;
    weights += c.weight;
  }
  return weights == 0 ? 0 : sum / weights;
}

template <Share share>
MUSTER_INLINE void WeightedMean(std::span<const ScoredColumn> columns, WordRange range, int64_t* out) {
  for (size_t row = range.begin * kBlock; row < range.end * kBlock; row += kBlock) {
    double sum[kBlock] = {}, weights[kBlock] = {}, percent[kBlock];
    bool right = true;
    for (const ScoredColumn& c : columns) {
      right &= Percents<share>(c, row, percent);
      const auto weight = static_cast<double>(c.weight);
      const int64_t* const allocatable = c.allocatable + row;
      for (size_t i = 0; i < kBlock; ++i) {
        const double counted = allocatable[i] != 0 ? weight : 0;
        sum[i] += percent[i] * counted;
        weights[i] += counted;
      }
    }
    // A loop of its own: joined with the division, the compiler makes branches of it.
    for (size_t i = 0; i < kBlock; ++i) weights[i] = AtLeastOne(weights[i]);
    for (size_t i = 0; i < kBlock; ++i) out[row + i] = ToInt(Floor(sum[i] / weights[i]));
    if (right) continue;
    for (size_t i = 0; i < kBlock; ++i) out[row + i] = WeightedMeanOfRow<share>(columns, row + i);
  }
}

// One row, any number of resources: 100 minus the standard deviation of the shares in use.
int64_t Balance(std::span<const ScoredColumn> columns, size_t row, bool with_pod) {
  double total = 0;
  int counted = 0;
  const auto fraction = [&](const ScoredColumn& c) {
    const int64_t used = c.allocatable[row] - c.cells[row] + (with_pod ? c.want : 0);
    return AtMostOne(static_cast<double>(used) / static_cast<double>(c.allocatable[row]));
  };
  double first_two[2] = {};
  for (const ScoredColumn& c : columns) {
    if (c.allocatable[row] == 0) continue;
    const double f = fraction(c);
    if (counted < 2) first_two[counted] = f;
    total += f;
    ++counted;
  }
  double deviation = 0;
  if (counted == 2) {
    deviation = std::abs((first_two[0] - first_two[1]) / 2);
  } else if (counted > 2) {
    const double mean = total / counted;
    double sum = 0;
    for (const ScoredColumn& c : columns) {
      if (c.allocatable[row] == 0) continue;
      const double off = fraction(c) - mean;
      sum = sum + off * off;
    }
    deviation = std::sqrt(sum / counted);
  }
  return static_cast<int64_t>((1 - deviation) * 100.0);
}

// The same for a block of rows and two resources, with and without the pod. Returns whether that is
// right for all rows: amounts must be below 2^51, so that sums stay below 2^52.
MUSTER_INLINE bool BalancePair(const ScoredColumn a, const ScoredColumn b, size_t row, double (&with_pod)[kBlock],
                               double (&without)[kBlock]) {
  uint64_t bits = static_cast<uint64_t>(a.want | b.want);
  for (size_t i = row; i < row + kBlock; ++i) {
    bits |= static_cast<uint64_t>(a.allocatable[i] | b.allocatable[i] | (a.allocatable[i] - a.cells[i]) |
                                  (b.allocatable[i] - b.cells[i]));
  }
  for (size_t i = 0; i < kBlock; ++i) {
    const int64_t used_a = a.allocatable[row + i] - a.cells[row + i];
    const int64_t used_b = b.allocatable[row + i] - b.cells[row + i];
    const double all_a = ToDouble(a.allocatable[row + i]), all_b = ToDouble(b.allocatable[row + i]);
    const double over_a = AtLeastOne(all_a), over_b = AtLeastOne(all_b);
    const double before = AtMostOne(ToDouble(used_a) / over_a) - AtMostOne(ToDouble(used_b) / over_b);
    const double after = AtMostOne(ToDouble(used_a + a.want) / over_a) - AtMostOne(ToDouble(used_b + b.want) / over_b);
    const double both = (all_a < 1 ? 0.0 : 1.0) * (all_b < 1 ? 0.0 : 1.0);  // one resource alone is in balance
    with_pod[i] = Floor((1 - std::abs(after / 2) * both) * 100.0);
    without[i] = Floor((1 - std::abs(before / 2) * both) * 100.0);
  }
  return bits >> 51 == 0;
}

}  // namespace

MUSTER_KERNEL void ScoreLeastAllocated(std::span<const ScoredColumn> columns, WordRange range, int64_t* out) {
  WeightedMean<Share::kLeft>(columns, range, out);
}

MUSTER_KERNEL void ScoreMostAllocated(std::span<const ScoredColumn> columns, WordRange range, int64_t* out) {
  WeightedMean<Share::kUsed>(columns, range, out);
}

// Between 50 (the pod makes the node less balanced) and 100 (more).
MUSTER_KERNEL void ScoreBalanced(std::span<const ScoredColumn> columns, WordRange range, int64_t* out) {
  for (size_t row = range.begin * kBlock; row < range.end * kBlock; row += kBlock) {
    double with_pod[kBlock], without[kBlock];
    if (columns.size() == 2 && BalancePair(columns[0], columns[1], row, with_pod, without)) {
      for (size_t i = 0; i < kBlock; ++i) out[row + i] = ToInt(50 + Floor((50 + with_pod[i] - without[i]) / 2));
      continue;
    }
    for (size_t i = row; i < row + kBlock; ++i) {
      out[i] = 50 + (50 + Balance(columns, i, true) - Balance(columns, i, false)) / 2;
    }
  }
}

UtilizationScores ScoresOfShape(std::span<const UtilizationPoint> shape) {
  constexpr int64_t kScale = kMaxScore / kMaxShapeScore;
  UtilizationScores scores;
  size_t next = 0;  // the first point at or after the utilization
  for (int64_t u = 0; u <= 100; ++u) {
    while (next < shape.size() && shape[next].utilization < u) ++next;
    if (next == 0 || next == shape.size()) {
      scores[static_cast<size_t>(u)] = (next == 0 ? shape.front() : shape.back()).score * kScale;
      continue;
    }
    const UtilizationPoint &from = shape[next - 1], &to = shape[next];
    scores[static_cast<size_t>(u)] = from.score * kScale + (to.score - from.score) * kScale * (u - from.utilization) /
                                                               (to.utilization - from.utilization);
  }
  return scores;
}

MUSTER_KERNEL void ScoreByUtilization(std::span<const ScoredColumn> columns, const UtilizationScores& scores,
                                      WordRange range, int64_t* out) {
  for (size_t row = range.begin * kBlock; row < range.end * kBlock; row += kBlock) {
    int64_t sum[kBlock] = {}, weights[kBlock] = {};
    double percent[kBlock];
    for (const ScoredColumn& c : columns) {
      const bool right = Percents<Share::kUsed>(c, row, percent);
      for (size_t i = 0; i < kBlock; ++i) {
        const int64_t used = right ? ToInt(percent[i]) : Utilization(c, row + i);
        const int64_t score = scores[static_cast<size_t>(std::clamp<int64_t>(used, 0, 100))];
        if (c.allocatable[row + i] == 0 || score == 0) continue;  // a resource that scores 0 has no say
        sum[i] += score * c.weight;
        weights[i] += c.weight;
      }
    }
    for (size_t i = 0; i < kBlock; ++i) {
      if (weights[i] == 0) weights[i] = 1;
      out[row + i] = static_cast<int64_t>(std::round(static_cast<double>(sum[i]) / static_cast<double>(weights[i])));
    }
  }
}

}  // namespace muster
