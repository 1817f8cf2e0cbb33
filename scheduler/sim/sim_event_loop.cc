#include "scheduler/sim/sim_event_loop.h"

#include <algorithm>
#include <utility>

namespace muster {

EventLoop::TimerId SimEventLoop::At(Time when, std::function<void()> fn) {
  uint32_t slot;
  if (free_slots_.empty()) {
    slot = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  slots_[slot].fn = std::move(fn);
  // An event asked for in the past is due now, behind what is due now already.
  heap_.push_back({std::max(when, now_), ++sequence_, slot});
  std::push_heap(heap_.begin(), heap_.end(), Later);
  // + 1: no TimerId is 0, so that callers may use 0 for "none".
  return (uint64_t{slots_[slot].generation} << 32 | slot) + 1;
}

void SimEventLoop::Cancel(TimerId id) {
  const uint64_t packed = id - 1;
  const auto slot = static_cast<uint32_t>(packed);
  if (slot >= slots_.size() || slots_[slot].generation != packed >> 32 || !slots_[slot].fn) return;
  slots_[slot].fn = nullptr;
  // Timers that are nearly always cancelled (expiries) must not pile up.
  if (++cancelled_ < 64 || cancelled_ < heap_.size() / 2) return;
  std::erase_if(heap_, [&](const Entry& e) {
    if (slots_[e.slot].fn) return false;
    FreeSlot(e.slot);
    return true;
  });
  std::make_heap(heap_.begin(), heap_.end(), Later);
  cancelled_ = 0;
}

void SimEventLoop::FreeSlot(uint32_t slot) {
  slots_[slot].fn = nullptr;
  ++slots_[slot].generation;
  free_slots_.push_back(slot);
}

void SimEventLoop::PopEntry() {
  std::pop_heap(heap_.begin(), heap_.end(), Later);
  FreeSlot(heap_.back().slot);
  heap_.pop_back();
}

void SimEventLoop::Trim() {
  while (!heap_.empty() && !slots_[heap_.front().slot].fn) {
    PopEntry();
    --cancelled_;
  }
}

Time SimEventLoop::NextTime() {
  Trim();
  return heap_.empty() ? absl::InfiniteFuture() : heap_.front().when;
}

bool SimEventLoop::Step() {
  Trim();
  if (heap_.empty()) return false;
  now_ = std::max(now_, heap_.front().when);
  const std::function<void()> fn = std::move(slots_[heap_.front().slot].fn);
  PopEntry();
  ++events_run_;
  fn();
  return true;
}

void SimEventLoop::Run(const std::function<bool()>& stop) {
  while (!(stop && stop()) && Step()) {
  }
}

void SimEventLoop::RunUntil(Time end) {
  while (NextTime() <= end) Step();
  now_ = std::max(now_, end);
}

}  // namespace muster
