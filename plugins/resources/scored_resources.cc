#include "plugins/resources/scored_resources.h"

#include <algorithm>

#include "scheduler/model/pod_requests.h"

namespace muster {

int64_t AmountOf(std::span<const Amount> amounts, std::string_view resource) {
  const auto it = std::lower_bound(amounts.begin(), amounts.end(), resource,
                                   [](const Amount& a, std::string_view name) { return a.resource < name; });
  return it != amounts.end() && it->resource == resource ? it->value : 0;
}

std::vector<ScoredResource> ResolveScored(std::span<const ResourceWeight> resources, std::span<const Amount> wants,
                                          const Snapshot& snap) {
  std::vector<ScoredResource> scored;
  for (const ResourceWeight& r : resources) {
    const ResourceId id = snap.resources().Find(r.name);
    if (id == Interner::kNone || !IsAccountedResource(r.name)) continue;
    const int64_t want = AmountOf(wants, r.name);
    if (want == 0 && id > kEphemeralStorage) continue;
    scored.push_back({id, want, r.weight});
  }
  return scored;
}

ScoredColumns ColumnsOf(std::span<const ScoredResource> resources, const Snapshot& snap, bool non_zero) {
  ScoredColumns columns;
  for (const ScoredResource& r : resources) {
    ScoredColumn c{snap.Allocatable(r.resource), snap.Free(r.resource), true, r.want, r.weight};
    if (non_zero && r.resource == kCpu) c.cells = snap.NonZeroCpuUsed(), c.cells_are_free = false;
    if (non_zero && r.resource == kMemory) c.cells = snap.NonZeroMemoryUsed(), c.cells_are_free = false;
    columns.push_back(c);
  }
  return columns;
}

}  // namespace muster
