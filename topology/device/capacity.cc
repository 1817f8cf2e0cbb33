#include "topology/device/capacity.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "absl/numeric/int128.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace muster {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

// In thousandths, where that is exact.
std::optional<int64_t> ExactMilli(Quantity q) {
  const int64_t milli = q.MilliValue();
  if (!(Quantity::FromMilli(milli) == q)) return std::nullopt;
  return milli;
}

// Whether a range is counted in thousandths: all of its numbers are, and its step is one at least.
bool InMilli(const CapacityPolicy::Range& range, bool fractional) {
  if (!fractional) return false;
  for (const auto* bound : {&range.min, &range.max, &range.step}) {
    if (*bound && !ExactMilli((*bound)->value)) return false;
  }
  return !range.step || range.step->value.MilliValue() >= 1;
}

int64_t Count(const DeviceQuantity& q, bool milli) { return milli ? q.value.MilliValue() : q.value.Value(); }

absl::Status NotRepresentable(std::string_view why, const DeviceQuantity& request, std::string_view then) {
  return absl::InvalidArgumentError(
      absl::StrCat("capacity request cannot be represented in the device's range arithmetic: ", AsAbsl(why),
                   request.Text(), AsAbsl(then)));
}

absl::StatusOr<DeviceQuantity> RoundUp(const DeviceQuantity& request, const CapacityPolicy::Range& range,
                                       bool fractional) {
  if (request.value < range.min->value) return *range.min;
  if (!range.step) return request;
  const bool milli = InMilli(range, fractional);
  if (milli && !ExactMilli(request.value)) {
    return NotRepresentable("request ", request, " is not a representable milli value");
  }
  if (!milli && Quantity::FromUnits(kMax) < request.value) {
    return NotRepresentable("request ", request, " exceeds MaxInt64");
  }
  const absl::int128 step = std::max<int64_t>(Count(*range.step, milli), 1), min = Count(*range.min, milli);
  const absl::int128 beyond = absl::int128(Count(request, milli)) - min;
  const absl::int128 rounded = min + (beyond / step + (beyond % step != 0 ? 1 : 0)) * step;
  if (rounded > kMax) {
    return NotRepresentable(
        "rounding request ", request,
        milli ? " up to the next step passes the milli-value range" : " up to the next step passes MaxInt64");
  }
  const auto value = static_cast<int64_t>(rounded);
  return DeviceQuantity{milli ? Quantity::FromMilli(value) : Quantity::FromUnits(value), range.step->format};
}

absl::StatusOr<DeviceQuantity> Taken(const DeviceQuantity* request, const DeviceCapacity& capacity, bool fractional) {
  if (request == nullptr) {
    return capacity.policy && capacity.policy->default_value ? *capacity.policy->default_value : capacity.value;
  }
  if (!capacity.policy) return *request;
  if (capacity.policy->valid_range && capacity.policy->valid_range->min) {
    return RoundUp(*request, *capacity.policy->valid_range, fractional);
  }
  for (const DeviceQuantity& valid : capacity.policy->valid_values) {
    if (!(valid.value < request->value)) return valid;
  }
  return *request;
}

bool Violates(const DeviceQuantity& taken, const CapacityPolicy& policy, bool fractional) {
  if (policy.default_value && taken == *policy.default_value) return false;
  if (policy.valid_range) {
    const CapacityPolicy::Range& range = *policy.valid_range;
    if (range.max && range.max->value < taken.value) return true;
    if (!range.step || !range.min) return false;
    const bool milli = InMilli(range, fractional);
    if (milli && !ExactMilli(taken.value)) return true;
    const absl::int128 beyond = absl::int128(Count(taken, milli)) - Count(*range.min, milli);
    return beyond % std::max<int64_t>(Count(*range.step, milli), 1) != 0;
  }
  return !policy.valid_values.empty() &&
         std::none_of(policy.valid_values.begin(), policy.valid_values.end(),
                      [&](const DeviceQuantity& valid) { return valid.value == taken.value; });
}

}  // namespace

absl::StatusOr<DeviceQuantities> TakenCapacity(const std::optional<DeviceQuantities>& request, const Device& device,
                                               bool fractional) {
  DeviceQuantities all;
  for (const auto& [name, capacity] : device.capacity) {
    const DeviceQuantity* wanted = nullptr;
    if (request) {
      if (const auto it = request->find(name); it != request->end()) wanted = &it->second;
    }
    const absl::StatusOr<DeviceQuantity> taken = Taken(wanted, capacity, fractional);
    if (!taken.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("capacity \"", name, "\": ", taken.status().message()));
    }
    if (taken->value.IsNegative()) {
      return absl::InvalidArgumentError(absl::StrCat("capacity \"", name, "\": capacity value is negative"));
    }
    all.emplace(name, *taken);
  }
  return all;
}

absl::StatusOr<bool> CapacityFits(const std::optional<DeviceQuantities>& request, const Device& device, bool fractional,
                                  const CapacitySums* allocated, const CapacitySums* allocating) {
  if (request) {
    for (const auto& [name, wanted] : *request) {
      if (!device.capacity.contains(name)) return false;
    }
  }
  if (device.capacity.empty()) return true;
  const absl::StatusOr<DeviceQuantities> taken = TakenCapacity(request, device, fractional);
  if (!taken.ok()) return taken.status();
  for (const auto& [name, capacity] : device.capacity) {
    const DeviceQuantity& amount = taken->at(name);
    if (capacity.policy && Violates(amount, *capacity.policy, fractional)) return false;
    Quantity sum = amount.value;
    for (const CapacitySums* in_use : {allocated, allocating}) {
      if (in_use == nullptr) continue;
      if (const auto it = in_use->find(name); it != in_use->end()) sum += it->second;
    }
    if (capacity.value.value < sum) return false;
  }
  return true;
}

}  // namespace muster
