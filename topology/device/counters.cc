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
  left_.reserve(pool_->counters.size());
  for (const DevicePool::Counter& counter : pool_->counters) left_.push_back(counter.amount);
  for (const DevicePool::Consumer& consumer : pool_->consumers) {
    if (!consumer.holds()) continue;
    for (const DevicePool::Amount& taken : pool_->AmountsOf(consumer)) left_[taken.counter] -= taken.amount;
  }
}

void PoolCounters::LoadGroups() {
  if (groups_loaded_) return;
  groups_loaded_ = true;
  for (const DevicePool::Consumer& consumer : pool_->consumers) {
    if (!consumer.holds()) continue;
    for (const CounterConsumption& consumed : consumer.device->consumes_counters) {
      std::optional<Groups> groups;
      const auto known = groups_.find(consumed.counter_set);
      if (known != groups_.end()) groups = known->second;
      Join(groups, consumed.compatibility_groups);
      groups_[consumed.counter_set] = *std::move(groups);
    }
  }
}

bool PoolCounters::Take(uint32_t consumer) {
  Load();
  for (const DevicePool::Amount& taken : pool_->AmountsOf(pool_->consumers[consumer]))
    left_[taken.counter] -= taken.amount;
  // Of all counters: one that is overdrawn, by whatever, stops the pool.
  if (std::none_of(left_.begin(), left_.end(), [](Quantity left) { return left.IsNegative(); })) return true;
  Give(consumer);
  return false;
}

void PoolCounters::Give(uint32_t consumer) {
  for (const DevicePool::Amount& taken : pool_->AmountsOf(pool_->consumers[consumer]))
    left_[taken.counter] += taken.amount;
}

bool PoolCounters::JoinGroups(const Device& device, GroupsUndo& undo) {
  LoadGroups();
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
