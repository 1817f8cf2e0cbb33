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

// Requires: 0 <= x < 2^52. Unlike a cast, this needs no AVX-512 to be vectorised.
MUSTER_INLINE double SmallToDouble(int64_t x) {
  return std::bit_cast<double>(x | std::bit_cast<int64_t>(0x1p52)) - 0x1p52;
}

// What stays unused with the pod placed; negative where it does not fit.
MUSTER_INLINE void Left(const ScoredColumn& c, size_t row, int64_t (&left)[kBlock]) {
  const int64_t* const allocatable = c.allocatable + row;
  const int64_t* const cells = c.cells + row;
  const int64_t want = c.want;
  if (c.cells_are_free) {
    for (size_t i = 0; i < kBlock; ++i) left[i] = cells[i] - want;
  } else {
    for (size_t i = 0; i < kBlock; ++i) left[i] = allocatable[i] - cells[i] - want;
  }
}

// percent[i] = part[i] * 100 / whole[i], 0 where whole[i] is 0. Requires: 0 <= part[i].
//
// Dividing doubles gives the integer quotient as long as 100 * part < 2^53: both operands are then
// exact, and a quotient just below an integer k stays at least 1/whole away from it, which is more
// than half a unit in the last place (k * 2^-53), because k * whole <= 100 * part + whole < 2^53.
MUSTER_INLINE void Percent(const int64_t (&part)[kBlock], const int64_t* whole, int32_t (&percent)[kBlock]) {
  uint64_t bits = 0;
  for (size_t i = 0; i < kBlock; ++i) bits |= static_cast<uint64_t>(part[i] | whole[i]);
  if (bits >> 46 == 0) {
    for (size_t i = 0; i < kBlock; ++i) {
      const double divisor = SmallToDouble(whole[i]);
      percent[i] = static_cast<int32_t>(SmallToDouble(part[i]) * 100.0 / (divisor < 1.0 ? 1.0 : divisor));
    }
    return;
  }
  for (size_t i = 0; i < kBlock; ++i) {
    const auto scaled = static_cast<int64_t>(static_cast<uint64_t>(part[i]) * 100);  // wraps, as upstream's does
    percent[i] = whole[i] == 0 ? 0 : static_cast<int32_t>(scaled / whole[i]);
  }
}

// The share in use, in per cent and at most 100.
MUSTER_INLINE void UsedPercent(const ScoredColumn& c, size_t row, int32_t (&percent)[kBlock]) {
  int64_t part[kBlock];
  Left(c, row, part);
  for (size_t i = 0; i < kBlock; ++i) part[i] = c.allocatable[row + i] - (part[i] > 0 ? part[i] : 0);
  Percent(part, c.allocatable + row, percent);
}

MUSTER_INLINE void FreePercent(const ScoredColumn& c, size_t row, int32_t (&percent)[kBlock]) {
  int64_t part[kBlock];
  Left(c, row, part);
  for (size_t i = 0; i < kBlock; ++i) part[i] = part[i] > 0 ? part[i] : 0;
  Percent(part, c.allocatable + row, percent);
}

// The weighted mean of `percent` over the columns, rounded down.
template <typename PercentOf>
MUSTER_INLINE void WeightedMean(std::span<const ScoredColumn> columns, WordRange range, int64_t* out,
                                PercentOf percent_of) {
  for (size_t row = range.begin * kBlock; row < range.end * kBlock; row += kBlock) {
    int32_t sum[kBlock] = {}, weights[kBlock] = {}, percent[kBlock];
    for (const ScoredColumn& c : columns) {
      percent_of(c, row, percent);
      const auto weight = static_cast<int32_t>(c.weight);
      const int64_t* const allocatable = c.allocatable + row;
      for (size_t i = 0; i < kBlock; ++i) {
        const int32_t counted = allocatable[i] != 0 ? weight : 0;
        sum[i] += percent[i] * counted;
        weights[i] += counted;
      }
    }
    // Exact: see Percent.
    for (size_t i = 0; i < kBlock; ++i) {
      out[row + i] = static_cast<int32_t>(static_cast<double>(sum[i]) / (weights[i] == 0 ? 1 : weights[i]));
    }
  }
}

MUSTER_INLINE double Capped(double fraction) { return fraction > 1 ? 1 : fraction; }

// One node, any number of resources: 100 minus the standard deviation of the shares in use.
int64_t Balance(std::span<const ScoredColumn> columns, size_t row, bool with_pod) {
  double total = 0;
  int counted = 0;
  const auto fraction = [&](const ScoredColumn& c) {
    const int64_t used = c.allocatable[row] - c.cells[row] + (with_pod ? c.want : 0);
    return Capped(static_cast<double>(used) / static_cast<double>(c.allocatable[row]));
  };
  double first_two[2];
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

// Between 50 (the pod makes it worse) and 100 (better).
MUSTER_INLINE int64_t Improvement(int64_t with_pod, int64_t without) {
  return kMaxScore / 2 + (kMaxScore / 2 + with_pod - without) / 2;
}

// The block's rows, where they have two resources and amounts below 2^52.
MUSTER_INLINE bool BalancePair(const ScoredColumn& a, const ScoredColumn& b, size_t row, int64_t* out) {
  uint64_t bits = 0;
  for (size_t i = row; i < row + kBlock; ++i) {
    bits |= static_cast<uint64_t>(a.allocatable[i] | b.allocatable[i] | (a.allocatable[i] - a.cells[i]) |
                                  (b.allocatable[i] - b.cells[i]));
  }
  bits |= static_cast<uint64_t>(a.want | b.want);
  if (bits >> 51 != 0) return false;  // so that sums stay below 2^52
  for (size_t i = row; i < row + kBlock; ++i) {
    const int64_t used_a = a.allocatable[i] - a.cells[i], used_b = b.allocatable[i] - b.cells[i];
    const double all_a = SmallToDouble(a.allocatable[i]), all_b = SmallToDouble(b.allocatable[i]);
    const double over_a = all_a < 1 ? 1 : all_a, over_b = all_b < 1 ? 1 : all_b;
    const double before = Capped(SmallToDouble(used_a) / over_a) - Capped(SmallToDouble(used_b) / over_b);
    const double after =
        Capped(SmallToDouble(used_a + a.want) / over_a) - Capped(SmallToDouble(used_b + b.want) / over_b);
    const double both = all_a < 1 || all_b < 1 ? 0 : 1;  // one resource alone is in balance
    const auto with_pod = static_cast<int32_t>((1 - std::abs(after / 2) * both) * 100.0);
    const auto without = static_cast<int32_t>((1 - std::abs(before / 2) * both) * 100.0);
    out[i] = 50 + (50 + with_pod - without) / 2;
  }
  return true;
}

}  // namespace

MUSTER_KERNEL void ScoreLeastAllocated(std::span<const ScoredColumn> columns, WordRange range, int64_t* out) {
  WeightedMean(columns, range, out, [](const auto& c, size_t row, auto& percent) __attribute__((always_inline)) {
    FreePercent(c, row, percent);
  });
}

MUSTER_KERNEL void ScoreMostAllocated(std::span<const ScoredColumn> columns, WordRange range, int64_t* out) {
  WeightedMean(columns, range, out, [](const auto& c, size_t row, auto& percent) __attribute__((always_inline)) {
    UsedPercent(c, row, percent);
  });
}

MUSTER_KERNEL void ScoreBalanced(std::span<const ScoredColumn> columns, WordRange range, int64_t* out) {
  for (size_t row = range.begin * kBlock; row < range.end * kBlock; row += kBlock) {
    if (columns.size() == 2 && BalancePair(columns[0], columns[1], row, out)) continue;
    for (size_t i = row; i < row + kBlock; ++i) {
      out[i] = Improvement(Balance(columns, i, true), Balance(columns, i, false));
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
    int32_t percent[kBlock];
    for (const ScoredColumn& c : columns) {
      UsedPercent(c, row, percent);
      for (size_t i = 0; i < kBlock; ++i) {
        const int64_t score = scores[static_cast<size_t>(std::clamp(percent[i], 0, 100))];
        if (c.allocatable[row + i] == 0 || score == 0) continue;  // a resource that scores 0 has no say
        sum[i] += score * c.weight;
        weights[i] += c.weight;
      }
    }
    for (size_t i = 0; i < kBlock; ++i) {
      out[row + i] = weights[i] == 0 ? 0
                                     : static_cast<int64_t>(std::round(static_cast<double>(sum[i]) /
                                                                       static_cast<double>(weights[i])));
    }
  }
}

}  // namespace muster
