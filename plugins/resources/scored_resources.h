// Which resources a scoring plugin looks at for one shape.
#ifndef MUSTER_PLUGINS_RESOURCES_SCORED_RESOURCES_H_
#define MUSTER_PLUGINS_RESOURCES_SCORED_RESOURCES_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "plugins/resources/resource_score.h"
#include "scheduler/framework/cycle_state.h"
#include "scheduler/framework/plugin_args.h"
#include "scheduler/model/snapshot.h"

namespace muster {

// The amount of a resource in a list ordered by name; 0 where it is not there.
int64_t AmountOf(std::span<const Amount> amounts, std::string_view resource);

struct ScoredResource {
  ResourceId resource;
  int64_t want;
  int64_t weight;
};
using ScoredColumns = absl::InlinedVector<ScoredColumn, 8>;

// Those of `resources` that the snapshot knows and that count for a pod that adds `wants`: cpu,
// memory and ephemeral-storage always, others where the pod asks for them.
std::vector<ScoredResource> ResolveScored(std::span<const ResourceWeight> resources, std::span<const Amount> wants,
                                          const Snapshot& snap);

// Their columns; with `non_zero`, cpu and memory in use count a default for containers that ask
// for nothing.
ScoredColumns ColumnsOf(std::span<const ScoredResource> resources, const Snapshot& snap, bool non_zero);

}  // namespace muster

#endif  // MUSTER_PLUGINS_RESOURCES_SCORED_RESOURCES_H_
