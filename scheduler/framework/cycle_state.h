// What plugins keep for one shape between their extension points: one slot a plugin, filled in
// PreFilter or PreScore, read-only (and shared by threads) in Filter and Score. It lives as long
// as the shape's cached answer, so nothing in it may depend on dynamic cells, but for what a
// CrossNodePlugin keeps up to date.
#ifndef MUSTER_SCHEDULER_FRAMEWORK_CYCLE_STATE_H_
#define MUSTER_SCHEDULER_FRAMEWORK_CYCLE_STATE_H_

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace muster {

struct PluginState {
  virtual ~PluginState() = default;
};

class CycleState {
 public:
  // `slot` is Plugin::slot(), unique in its profile.
  template <typename T>
  T& Emplace(size_t slot, T value) {
    if (slots_.size() <= slot) slots_.resize(slot + 1);
    auto owned = std::make_unique<T>(std::move(value));
    T& result = *owned;
    slots_[slot] = std::move(owned);
    return result;
  }
  // The plugin's T, made empty where the slot has none: for a plugin that fills it in two steps.
  template <typename T>
  T& Ensure(size_t slot) {
    return Has(slot) ? static_cast<T&>(*slots_[slot]) : Emplace<T>(slot, T());
  }
  // Requires: the plugin put a T there for this shape.
  template <typename T>
  const T& Get(size_t slot) const {
    return static_cast<const T&>(*slots_[slot]);
  }
  template <typename T>
  T& Mutable(size_t slot) {
    return static_cast<T&>(*slots_[slot]);
  }
  // What was put here holds only while no row changes: everything is computed anew then.
  void HoldOnlyNow() { only_now_ = true; }
  bool only_now() const { return only_now_; }
  bool Has(size_t slot) const { return slot < slots_.size() && slots_[slot] != nullptr; }
  void Clear() {
    slots_.clear();
    only_now_ = false;
  }

 private:
  std::vector<std::unique_ptr<PluginState>> slots_;
  bool only_now_ = false;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_FRAMEWORK_CYCLE_STATE_H_
