// How full a node would be with the pod on it, as a score: kube-scheduler's arithmetic over whole
// columns. These loops decide what placing a pod costs; they allocate nothing.
#ifndef MUSTER_PLUGINS_RESOURCES_RESOURCE_SCORE_H_
#define MUSTER_PLUGINS_RESOURCES_RESOURCE_SCORE_H_

#include <array>
#include <cstdint>
#include <span>

#include "scheduler/framework/plugin_args.h"
#include "scheduler/model/node_set.h"

namespace muster {

// One resource that counts, with its columns. Rows with nothing allocatable do not count it.
struct ScoredColumn {
  const int64_t* allocatable = nullptr;
  const int64_t* cells = nullptr;  // amounts in use or, where cells_are_free, amounts unused
  bool cells_are_free = true;
  int64_t want = 0;  // what the pod adds
  int64_t weight = 1;
};

// Each writes 0..100 to out[row] for every row of `range`.
void ScoreLeastAllocated(std::span<const ScoredColumn> columns, WordRange range, int64_t* out);
void ScoreMostAllocated(std::span<const ScoredColumn> columns, WordRange range, int64_t* out);
// Needs cells_are_free; weights do not count.
void ScoreBalanced(std::span<const ScoredColumn> columns, WordRange range, int64_t* out);

// The score of each utilization in per cent: linear between the points of a shape, flat outside.
using UtilizationScores = std::array<int64_t, 101>;
UtilizationScores ScoresOfShape(std::span<const UtilizationPoint> shape);  // requires: sorted, not empty
void ScoreByUtilization(std::span<const ScoredColumn> columns, const UtilizationScores& scores, WordRange range,
                        int64_t* out);

}  // namespace muster

#endif  // MUSTER_PLUGINS_RESOURCES_RESOURCE_SCORE_H_
