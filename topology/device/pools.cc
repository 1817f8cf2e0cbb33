#include "topology/device/pools.h"

#include <algorithm>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/numeric/int128.h"
#include "absl/strings/str_cat.h"

namespace muster {
namespace {

using Slices = std::vector<const ResourceSlice*>;

bool HasCompatibilityGroups(const ResourceSlice& slice) {
  return std::any_of(slice.devices.begin(), slice.devices.end(), [](const Device& device) {
    return std::any_of(device.consumes_counters.begin(), device.consumes_counters.end(),
                       [](const CounterConsumption& c) { return !c.compatibility_groups.empty(); });
  });
}

bool Relevant(const ResourceSlice& slice, const Node& node, const DeviceFeatures& features,
              const DeviceQuestions& questions) {
  if (!features.partitionable_devices && (slice.per_device_node_selection || !slice.shared_counters.empty())) {
    return false;
  }
  // Groups that are not enforced make a slice unusable: its pool stays incomplete without it.
  if (!features.compatibility_groups && HasCompatibilityGroups(slice)) return false;
  const DeviceNodes& nodes = slice.nodes;
  if (!nodes.node_name.empty() || nodes.all_nodes || nodes.selector) return Reaches(nodes, node, questions);
  return slice.per_device_node_selection &&
         std::any_of(slice.devices.begin(), slice.devices.end(),
                     [&](const Device& device) { return Reaches(device.nodes, node, questions); });
}

bool HasBindingConditions(const DevicePool& pool) {
  return std::any_of(pool.slices.begin(), pool.slices.end(), [](const ResourceSlice* slice) {
    return std::any_of(slice->devices.begin(), slice->devices.end(),
                       [](const Device& device) { return !device.binding_conditions.empty(); });
  });
}

std::string NameError(const Slices& slices) {
  absl::flat_hash_set<absl::string_view> names;
  for (const ResourceSlice* slice : slices) {
    for (const Device& device : slice->devices) {
      if (!names.insert(device.name).second) return absl::StrCat("duplicate device name ", device.name);
    }
  }
  return "";
}

std::string CounterError(const std::vector<const CounterSet*>& sets, const Slices& slices) {
  for (const ResourceSlice* slice : slices) {
    for (const Device& device : slice->devices) {
      for (const CounterConsumption& wanted : device.consumes_counters) {
        const auto set =
            std::find_if(sets.begin(), sets.end(), [&](const CounterSet* s) { return s->name == wanted.counter_set; });
        if (set == sets.end()) return absl::StrCat("counter set ", wanted.counter_set, " not found");
        for (const auto& [counter, amount] : wanted.counters) {
          if (!(*set)->counters.contains(counter)) {
            return absl::StrCat("counter ", counter, " not found in counter set ", wanted.counter_set);
          }
        }
      }
    }
  }
  return "";
}

// Of a complete pool: `near` reaches the node, `all` are all its slices (empty: no others than `near`).
void Build(Slices near, const Slices& all, const DeviceFeatures& features, DevicePool& pool) {
  std::sort(near.begin(), near.end(), [](const auto* a, const auto* b) { return a->name < b->name; });
  Slices counter_slices;
  for (const ResourceSlice* slice : near) {
    const bool counters = features.partitionable_devices && !slice->shared_counters.empty();
    (counters ? counter_slices : pool.slices).push_back(slice);
  }
  for (const ResourceSlice* slice : all) {
    if (near.size() >= all.size()) break;
    const auto same = [&](const ResourceSlice* s) { return s->name == slice->name; };
    if (std::any_of(near.begin(), near.end(), same)) continue;
    const bool counters = features.partitionable_devices && !slice->shared_counters.empty();
    (counters ? counter_slices : pool.elsewhere).push_back(slice);
  }
  pool.invalid = NameError(pool.slices);
  if (features.partitionable_devices) {
    absl::flat_hash_set<absl::string_view> names;
    for (const ResourceSlice* slice : counter_slices) {
      for (const CounterSet& set : slice->shared_counters) {
        if (!names.insert(set.name).second && pool.invalid.empty()) {
          pool.invalid = absl::StrCat("duplicate counter set name ", set.name);
        }
        pool.counter_sets.push_back(&set);
      }
    }
    if (pool.invalid.empty()) pool.invalid = CounterError(pool.counter_sets, pool.slices);
    if (pool.invalid.empty()) pool.invalid = CounterError(pool.counter_sets, pool.elsewhere);
  } else {
    pool.elsewhere.clear();
  }
  if (pool.invalid.empty()) return;
  pool.slices.clear();
  pool.elsewhere.clear();
  pool.counter_sets.clear();
}

const DeviceUse* UseOf(const DeviceColumns& devices, const DeviceId& device) {
  const auto use = devices.allocated().find(device);
  return use == devices.allocated().end() ? nullptr : &use->second;
}

void AddConsumer(DevicePool& pool, const Device& device, const DeviceUse* use) {
  const auto begin = static_cast<uint32_t>(pool.amounts.size());
  for (const CounterConsumption& consumed : device.consumes_counters) {
    for (const auto& [name, amount] : consumed.counters) {
      const auto counter = std::lower_bound(
          pool.counters.begin(), pool.counters.end(),
          std::pair<std::string_view, std::string_view>(consumed.counter_set, name),
          [](const DevicePool::Counter& c, const auto& wanted) { return std::pair(c.set, c.name) < wanted; });
      pool.amounts.push_back({static_cast<uint32_t>(counter - pool.counters.begin()),
                              ShareOf(amount.value, counter->amount), amount.value});
    }
  }
  pool.consumers.push_back({&device, use, begin, static_cast<uint32_t>(pool.amounts.size())});
}

// Who takes how much of the pool's counters. The reach has its candidates.
void CountConsumers(const DeviceColumns& devices, uint32_t index, DeviceReach& reach) {
  DevicePool& pool = reach.pools[index];
  for (const CounterSet* set : pool.counter_sets) {
    for (const auto& [name, amount] : set->counters) pool.counters.push_back({set->name, name, amount.value});
  }
  std::sort(pool.counters.begin(), pool.counters.end(),
            [](const auto& a, const auto& b) { return std::pair(a.set, a.name) < std::pair(b.set, b.name); });
  for (uint32_t c = reach.pool_begin[index]; c < reach.pool_begin[index + 1]; ++c) {
    Candidate& candidate = reach.candidates[c];
    if (candidate.device->consumes_counters.empty()) continue;
    candidate.consumer = static_cast<uint32_t>(pool.consumers.size());
    AddConsumer(pool, *candidate.device, candidate.use);
  }
  for (const ResourceSlice* slice : pool.elsewhere) {
    for (const Device& device : slice->devices) {
      if (device.consumes_counters.empty()) continue;
      AddConsumer(pool, device, UseOf(devices, {slice->driver, slice->pool, device.name}));
    }
  }
}

}  // namespace

uint32_t ShareOf(Quantity part, Quantity whole) {
  const int64_t of = whole.MilliValue();
  if (of <= 0 || part.IsNegative()) return 0;
  if (!(part < whole)) return kWholeShare;
  return static_cast<uint32_t>(absl::int128(part.MilliValue()) * kWholeShare / of);
}

bool Reaches(const DeviceNodes& nodes, const Node& node, const DeviceQuestions& questions) {
  if (!nodes.node_name.empty()) return node.name == nodes.node_name;
  return nodes.all_nodes || (nodes.selector && questions.node_matches(*nodes.selector, node));
}

DeviceReach GatherReach(const DeviceColumns& devices, const Node& node, const DeviceFeatures& features,
                        const DeviceQuestions& questions) {
  absl::btree_map<DevicePoolId, Slices> near;  // each pool's newest generation
  const auto look = [&](const ResourceSlice& slice) {
    if (!Relevant(slice, node, features, questions)) return;
    Slices& slices = near[{slice.driver, slice.pool}];
    if (!slices.empty() && slice.generation < slices[0]->generation) return;
    if (!slices.empty() && slice.generation > slices[0]->generation) slices.clear();
    slices.push_back(&slice);
  };
  if (const auto* own = devices.Of(node.name)) {
    for (const ResourceSlice* slice : own->slices) look(*slice);
  }
  for (const ResourceSlice* slice : devices.shared()) look(*slice);

  std::vector<DevicePool> pools, with_conditions;
  for (auto& [id, slices] : near) {
    DevicePool pool;
    pool.driver = id.first;
    pool.name = id.second;
    const int64_t generation = slices[0]->generation, count = slices[0]->slice_count;
    Slices all;
    if (static_cast<int64_t>(slices.size()) != count) {
      // Slices of other nodes belong to it too; and one of them may be newer than all that this node sees.
      bool obsolete = false;
      for (const ResourceSlice* slice : devices.OfPool(id)) {
        obsolete |= slice->generation > generation;
        if (slice->generation != generation) continue;
        if (features.compatibility_groups || !HasCompatibilityGroups(*slice)) all.push_back(slice);
      }
      if (obsolete) continue;
      pool.incomplete = static_cast<int64_t>(all.size()) != count;
    }
    if (!pool.incomplete) Build(std::move(slices), all, features, pool);
    (HasBindingConditions(pool) ? with_conditions : pools).push_back(std::move(pool));
  }
  for (DevicePool& pool : with_conditions) pools.push_back(std::move(pool));

  DeviceReach reach;
  for (uint32_t p = 0; p < pools.size(); ++p) {
    reach.pool_begin.push_back(static_cast<uint32_t>(reach.candidates.size()));
    for (const ResourceSlice* slice : pools[p].slices) {
      for (const Device& device : slice->devices) {
        Candidate& candidate = reach.candidates.emplace_back(Candidate{slice, &device, p, nullptr});
        candidate.use = UseOf(devices, candidate.Id());
      }
    }
  }
  reach.pool_begin.push_back(static_cast<uint32_t>(reach.candidates.size()));
  reach.pools = std::move(pools);
  if (!features.partitionable_devices) return reach;
  for (uint32_t p = 0; p < reach.pools.size(); ++p) CountConsumers(devices, p, reach);
  return reach;
}

}  // namespace muster
