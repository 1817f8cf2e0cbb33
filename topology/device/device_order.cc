#include "topology/device/device_order.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <tuple>

#include "absl/container/btree_map.h"
#include "topology/device/constraint.h"

namespace muster {
namespace {

constexpr int64_t kOfDoubling = kWholeShare / 2, kOfGroupMember = kWholeShare / 8, kOfPoolMember = kWholeShare / 32;

// kOfDoubling times its binary logarithm, its fraction as if it were linear.
int64_t Magnitude(Quantity amount) {
  const auto value = static_cast<uint64_t>(std::max<int64_t>(amount.Value(), 1));
  const int whole = std::bit_width(value) - 1;
  const uint64_t fraction = (value << (63 - whole) << 1) >> 57;  // of 128
  return whole * kOfDoubling + static_cast<int64_t>(fraction) * kOfDoubling / 128;
}

struct ByValue {
  bool operator()(const DeviceAttribute* a, const DeviceAttribute* b) const {
    return std::tie(a->type, a->list, a->ints, a->texts) < std::tie(b->type, b->list, b->ints, b->texts);
  }
};

bool IsShared(const Candidate& candidate) { return candidate.device->allow_multiple_allocations.value_or(false); }

uint64_t UnitOf(uint32_t pool, uint32_t within) { return uint64_t{pool} << 32 | within; }

}  // namespace

DeviceOrder::Grouping DeviceOrder::GroupBy(const DeviceReach& reach, const std::string& attribute) {
  Grouping grouping;
  grouping.group.resize(reach.candidates.size(), kNone);
  absl::btree_map<const DeviceAttribute*, uint32_t, ByValue> known;
  for (size_t c = 0; c < reach.candidates.size(); ++c) {
    const Candidate& candidate = reach.candidates[c];
    const DeviceAttribute* value = FindAttribute(*candidate.device, candidate.slice->driver, attribute);
    if (value == nullptr) continue;
    const auto [it, added] = known.try_emplace(value, grouping.groups);
    if (added) ++grouping.groups;
    grouping.group[c] = it->second;
  }
  return grouping;
}

void DeviceOrder::Reset(const DeviceReach& reach, const std::vector<std::string>& groups) {
  attributes_ = groups;
  groupings_.clear();
  for (const std::string& attribute : groups) groupings_.push_back(GroupBy(reach, attribute));
  size_.clear();
  unit_.clear();
  for (uint32_t c = 0; c < reach.candidates.size(); ++c) {
    const Candidate& candidate = reach.candidates[c];
    int64_t size = 0;
    for (const auto& [name, capacity] : candidate.device->capacity) size += Magnitude(capacity.value.value);
    size_.push_back(size);
    // Numbers of counters and of groups do not meet: a device has one or the other.
    uint32_t within = kNone;
    if (candidate.consumer != Candidate::kNoCounters) {
      const DevicePool& pool = reach.pools[candidate.pool];
      const auto amounts = pool.AmountsOf(pool.consumers[candidate.consumer]);
      const auto of_set = [&](const DevicePool::Counter& counter) {
        return counter.set == candidate.device->consumes_counters[0].counter_set;
      };
      if (!amounts.empty()) {
        within = static_cast<uint32_t>(std::find_if(pool.counters.begin(), pool.counters.end(), of_set) -
                                       pool.counters.begin());
      }
    }
    for (size_t g = 0; g < groupings_.size() && within == kNone; ++g) within = groupings_[g].group[c];
    unit_.push_back(UnitOf(candidate.pool, within));
  }
}

int64_t DeviceOrder::LeftOf(const Candidate& candidate) {
  const DeviceUse* use = candidate.use;
  if (use == nullptr || use->free()) return 2 * kWholeShare;
  int64_t left = 0, capacities = 0;
  for (const auto& [name, capacity] : candidate.device->capacity) {
    Quantity rest = capacity.value.value;
    if (const auto used = use->capacity.find(name); used != use->capacity.end()) rest -= used->second;
    if (rest.IsNegative() || rest.IsZero()) return -1;
    left += ShareOf(rest, capacity.value.value);
    ++capacities;
  }
  return capacities == 0 ? 0 : left / capacities;
}

// Of the candidates in [begin, end), the pool's, and whether they are free.
void DeviceOrder::AddPieces(const DevicePool& pool, uint32_t begin, uint32_t end, const DeviceReach& reach,
                            const std::vector<Quantity>& left) {
  demand_.assign(pool.counters.size(), 0);
  possible_.assign(pool.consumers.size(), 0);
  for (size_t i = 0; i < pool.consumers.size(); ++i) {
    const DevicePool::Consumer& consumer = pool.consumers[i];
    const auto amounts = pool.AmountsOf(consumer);
    const bool fits = std::none_of(amounts.begin(), amounts.end(), [&](const DevicePool::Amount& amount) {
      return left[amount.counter] < amount.amount;
    });
    if (consumer.holds() || !fits) continue;
    possible_[i] = 1;
    for (const DevicePool::Amount& amount : amounts) demand_[amount.counter] += amount.share;
  }
  const auto counters_of_set =
      static_cast<int64_t>(pool.counters.size() / std::max<size_t>(pool.counter_sets.size(), 1));
  for (uint32_t c = begin; c < end; ++c) {
    const uint32_t i = reach.candidates[c].consumer;
    if (i == Candidate::kNoCounters || pool.consumers[i].holds()) continue;
    if (possible_[i] == 0) free_[c] = 0;
    int64_t pieces = 0;
    for (const DevicePool::Amount& amount : pool.AmountsOf(pool.consumers[i])) {
      pieces += amount.share * demand_[amount.counter];
    }
    loss_[c] += pieces / (kWholeShare * std::max<int64_t>(counters_of_set, 1));
  }
}

void DeviceOrder::CountFree(const Grouping& grouping) const {
  group_free_.assign(grouping.groups, 0);
  for (size_t c = 0; c < free_.size(); ++c) {
    if (grouping.group[c] != kNone) group_free_[grouping.group[c]] += free_[c];
  }
}

void DeviceOrder::Update(const DeviceReach& reach, std::vector<PoolCounters>& counters) {
  const size_t count = reach.candidates.size();
  loss_ = size_;
  free_.assign(count, 1);
  for (size_t c = 0; c < count; ++c) {
    const Candidate& candidate = reach.candidates[c];
    if (candidate.use != nullptr && candidate.use->exclusive > 0) free_[c] = 0;
    // Results cannot say from where it is reached: it is taken only where the first fit takes it, which fails then.
    const auto& selector =
        candidate.slice->per_device_node_selection ? candidate.device->nodes.selector : candidate.slice->nodes.selector;
    if (selector && selector->size() > 1) free_[c] = 0;
    if (!IsShared(candidate)) continue;
    const int64_t left = LeftOf(candidate);
    if (left < 0) free_[c] = 0;
    loss_[c] += left;
  }
  for (uint32_t p = 0; p < reach.pools.size(); ++p) {
    const uint32_t begin = reach.pool_begin[p], end = reach.pool_begin[p + 1];
    if (!reach.pools[p].consumers.empty()) AddPieces(reach.pools[p], begin, end, reach, counters[p].Left());
    int64_t free = 0;
    for (uint32_t c = begin; c < end; ++c) free += free_[c];
    for (uint32_t c = begin; c < end; ++c) loss_[c] += (free - 1) * kOfPoolMember;
  }
  for (const Grouping& grouping : groupings_) {
    CountFree(grouping);
    for (size_t c = 0; c < count; ++c) {
      if (grouping.group[c] != kNone) loss_[c] += (group_free_[grouping.group[c]] - 1) * kOfGroupMember;
    }
  }
  ordered_[0] = ordered_[1] = false;
}

std::span<const uint32_t> DeviceOrder::Of(bool many) const {
  const size_t which = many ? 1 : 0;
  if (ordered_[which]) return order_[which];
  ordered_[which] = true;
  entries_.clear();
  for (uint32_t c = 0; c < free_.size(); ++c) {
    if (free_[c] != 0) entries_.push_back({false, 0, unit_[c], loss_[c], c});
  }
  Sort(many, entries_, order_[which]);
  return order_[which];
}

int64_t DeviceOrder::StepsOfMatch(const std::string& attribute) const {
  const bool known = std::find(attributes_.begin(), attributes_.end(), attribute) != attributes_.end();
  return static_cast<int64_t>(free_.size()) * (known ? 2 : 6);
}

void DeviceOrder::Match(const DeviceReach& reach, const std::string& attribute, int64_t wanted,
                        std::vector<uint32_t>& out) const {
  const auto known = std::find(attributes_.begin(), attributes_.end(), attribute);
  const bool configured = known != attributes_.end();
  Grouping made;
  if (!configured) made = GroupBy(reach, attribute);
  const Grouping& grouping = configured ? groupings_[static_cast<size_t>(known - attributes_.begin())] : made;
  CountFree(grouping);
  entries_.clear();
  for (uint32_t c = 0; c < free_.size(); ++c) {
    const uint32_t group = grouping.group[c];
    if (free_[c] == 0) continue;
    const int64_t others = group == kNone ? 0 : group_free_[group] - 1;
    entries_.push_back({others + 1 < wanted, 0, UnitOf(reach.candidates[c].pool, group),
                        loss_[c] + (configured ? 0 : others * kOfGroupMember), c});
  }
  Sort(/*many=*/true, entries_, out);
}

void DeviceOrder::Sort(bool many, std::vector<Entry>& entries, std::vector<uint32_t>& out) {
  const auto by_loss = [](const Entry& a, const Entry& b) {
    return std::tie(a.last, a.unit_loss, a.unit, a.loss, a.candidate) <
           std::tie(b.last, b.unit_loss, b.unit, b.loss, b.candidate);
  };
  if (many) {
    std::sort(entries.begin(), entries.end(), by_loss);  // by unit, then
    for (size_t i = 0; i < entries.size(); ++i) {
      const bool same = i > 0 && entries[i].unit == entries[i - 1].unit && entries[i].last == entries[i - 1].last;
      entries[i].unit_loss = same ? entries[i - 1].unit_loss : entries[i].loss;
    }
  } else {
    for (Entry& entry : entries) entry.unit_loss = entry.loss;
  }
  std::sort(entries.begin(), entries.end(), by_loss);
  out.clear();
  for (const Entry& entry : entries) out.push_back(entry.candidate);
}

}  // namespace muster
