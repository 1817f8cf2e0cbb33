#include "topology/device/counters.h"

#include <algorithm>

namespace muster {
namespace {

bool GoWith(const PoolCounters::Groups& groups, const std::vector<std::string>& others) {
  if (!groups.grouped || others.empty()) return !groups.grouped && others.empty();
  return std::any_of(others.begin(), others.end(), [&](const std::string& group) {
    return std::find(groups.common.begin(), groups.common.end(), group) != groups.common.end();
  });
}

void Join(std::optional<PoolCounters::Groups>& groups, const std::vector<std::string>& others) {
  if (!groups) {
    groups.emplace(PoolCounters::Groups{!others.empty(), others});
  } else if (groups->grouped && !others.empty()) {
    std::erase_if(groups->common, [&](const std::string& group) {
      return std::find(others.begin(), others.end(), group) == others.end();
    });
  }
}

}  // namespace

void PoolCounters::Load() {
  if (loaded_) return;
  loaded_ = true;
  for (const CounterSet* set : pool_->counter_sets) {
    for (const auto& [name, amount] : set->counters) left_[{set->name, name}] = amount.value;
  }
  for (const auto* slices : {&pool_->slices, &pool_->elsewhere}) {
    for (const ResourceSlice* slice : *slices) {
      for (const Device& device : slice->devices) {
        if (device.consumes_counters.empty()) continue;
        const auto use = allocated_->find(DeviceId{slice->driver, slice->pool, device.name});
        if (use == allocated_->end()) continue;
        if (use->second.free() && use->second.metered == 0) continue;
        for (const CounterConsumption& consumed : device.consumes_counters) {
          for (const auto& [name, amount] : consumed.counters) {
            const auto left = left_.find({consumed.counter_set, name});
            if (left != left_.end()) left->second -= amount.value;
          }
          std::optional<Groups> groups;
          const auto known = groups_.find(consumed.counter_set);
          if (known != groups_.end()) groups = known->second;
          Join(groups, consumed.compatibility_groups);
          groups_[consumed.counter_set] = *std::move(groups);
        }
      }
    }
  }
}

bool PoolCounters::Take(const Device& device) {
  Load();
  for (const CounterConsumption& consumed : device.consumes_counters) {
    for (const auto& [name, amount] : consumed.counters) left_[{consumed.counter_set, name}] -= amount.value;
  }
  // Of all counters: one that is overdrawn, by whatever, stops the pool.
  if (std::none_of(left_.begin(), left_.end(), [](const auto& left) { return left.second.IsNegative(); })) return true;
  Give(device);
  return false;
}

void PoolCounters::Give(const Device& device) {
  for (const CounterConsumption& consumed : device.consumes_counters) {
    for (const auto& [name, amount] : consumed.counters) left_[{consumed.counter_set, name}] += amount.value;
  }
}

bool PoolCounters::JoinGroups(const Device& device, GroupsUndo& undo) {
  Load();
  for (const CounterConsumption& consumed : device.consumes_counters) {
    const auto known = groups_.find(consumed.counter_set);
    std::optional<Groups> groups;
    if (known != groups_.end()) groups = known->second;
    if (groups && !GoWith(*groups, consumed.compatibility_groups)) {
      LeaveGroups(undo);
      undo.clear();
      return false;
    }
    undo.emplace_back(consumed.counter_set, groups);
    Join(groups, consumed.compatibility_groups);
    groups_[consumed.counter_set] = *std::move(groups);
  }
  return true;
}

void PoolCounters::LeaveGroups(const GroupsUndo& undo) {
  for (auto it = undo.rbegin(); it != undo.rend(); ++it) {
    if (it->second) {
      groups_[it->first] = *it->second;
    } else {
      groups_.erase(it->first);
    }
  }
}

}  // namespace muster
