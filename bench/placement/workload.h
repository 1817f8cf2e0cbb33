// Workloads of the placement harness, as bench/placement/workload/*.yaml write them: a first
// document that tells how many of each of the others there are, then templates of objects.
#ifndef MUSTER_BENCH_PLACEMENT_WORKLOAD_H_
#define MUSTER_BENCH_PLACEMENT_WORKLOAD_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "scheduler/sim/manifests.h"

namespace muster {

struct Workload {
  struct Document {
    size_t count = 0;                       // objects made before the measurement, or measured
    bool measured = false;                  // the pods that are placed and timed
    Duration every = absl::ZeroDuration();  // above zero: one more object each time, while these are placed
    bool recreate = false;                  // then the one before it is deleted
    std::string text;                       // with $(i), $(i%N), $(i%nodes)
  };
  std::vector<Document> documents;
  std::string prelude;  // the PriorityClasses, which pods' manifests need to be read
  size_t nodes = 0;

  // The objects [begin, end) of a document. Errors name the file.
  absl::StatusOr<Manifests> Make(const Document& document, size_t begin, size_t end) const;
};

// Counts over 1 are multiplied by `scale`, and are at least 2.
absl::StatusOr<Workload> ReadWorkload(const std::string& path, double scale);

}  // namespace muster

#endif  // MUSTER_BENCH_PLACEMENT_WORKLOAD_H_
