#include "topology/device/constraint.h"

#include <algorithm>
#include <optional>

namespace muster {
namespace {

using Type = DeviceAttribute::Type;

template <typename T>
std::vector<T> CommonOf(const std::vector<T>& a, const std::vector<T>& b) {
  std::vector<T> common;
  for (const T& value : a) {
    if (std::find(b.begin(), b.end(), value) != b.end()) common.push_back(value);
  }
  return common;
}

// Nothing where they have none in common.
std::optional<DeviceAttribute> Common(const DeviceAttribute& a, const DeviceAttribute& b) {
  if (a.type != b.type) return std::nullopt;
  DeviceAttribute common;
  common.type = a.type;
  common.list = true;
  common.ints = CommonOf(a.ints, b.ints);
  common.texts = CommonOf(a.texts, b.texts);
  if (common.ints.empty() && common.texts.empty()) return std::nullopt;
  return common;
}

bool HasValue(const DeviceAttribute& a) { return a.type != Type::kUnknown; }
// Without the feature, lists are of an unknown type.
bool IsScalar(const DeviceAttribute& a) { return HasValue(a) && !a.list; }

bool EqualScalars(const DeviceAttribute& a, const DeviceAttribute& b) {
  return IsScalar(b) && a.type == b.type && a.ints == b.ints && a.texts == b.texts;
}

}  // namespace

const DeviceAttribute* FindAttribute(const Device& device, const std::string& driver, const std::string& name) {
  if (const auto it = device.attributes.find(name); it != device.attributes.end()) return &it->second;
  const size_t slash = name.find('/');
  if (slash == std::string::npos || name.compare(0, slash, driver) != 0) return nullptr;
  const auto it = device.attributes.find(name.substr(slash + 1));
  return it == device.attributes.end() ? nullptr : &it->second;
}

ConstraintState::ConstraintState(const DeviceConstraint& constraint, bool lists)
    : constraint_(&constraint), matches_(!constraint.match_attribute.empty()), lists_(lists) {}

bool ConstraintState::Concerns(const std::string& request, const std::string& alternative) const {
  const auto& requests = constraint_->requests;
  return requests.empty() || std::find(requests.begin(), requests.end(), request) != requests.end() ||
         (!alternative.empty() && std::find(requests.begin(), requests.end(), alternative) != requests.end());
}

bool ConstraintState::Add(const DeviceAttribute* attribute) {
  if (attribute == nullptr) return false;
  if (lists_) {
    if (!HasValue(*attribute)) return false;
    if (matches_) {
      std::optional<DeviceAttribute> common = *attribute;
      if (!common_.empty()) common = Common(common_.back(), *attribute);
      if (!common) return false;
      common_.push_back(*std::move(common));
    } else if (std::any_of(devices_.begin(), devices_.end(),
                           [&](const DeviceAttribute* other) { return Common(*attribute, *other).has_value(); })) {
      return false;
    }
  } else if (!devices_.empty()) {
    // The first device may have any value, even one that nothing equals.
    if (!IsScalar(*attribute)) return false;
    if (matches_ && !EqualScalars(*attribute, *devices_.front())) return false;
    if (!matches_ && std::any_of(devices_.begin(), devices_.end(),
                                 [&](const DeviceAttribute* other) { return EqualScalars(*attribute, *other); })) {
      return false;
    }
  }
  devices_.push_back(attribute);
  return true;
}

void ConstraintState::RemoveLast() {
  devices_.pop_back();
  if (lists_ && matches_) common_.pop_back();
}

}  // namespace muster
