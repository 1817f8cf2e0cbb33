// An EventLoop whose time moves only when a test says so.
#ifndef MUSTER_TEST_RUNTIME_MANUAL_LOOP_H_
#define MUSTER_TEST_RUNTIME_MANUAL_LOOP_H_

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "scheduler/runtime/event_loop.h"

namespace muster {

class ManualLoop final : public EventLoop {
 public:
  Time Now() const override { return now_; }
  TimerId At(Time when, std::function<void()> fn) override {
    timers_.emplace(std::pair(when, ++next_), std::move(fn));
    return next_;
  }
  void Cancel(TimerId id) override {
    std::erase_if(timers_, [id](const auto& timer) { return timer.first.second == id; });
  }
  void Post(std::function<void()> fn) override { At(now_, std::move(fn)); }

  // Runs all that is due until then, in order.
  void Advance(Duration by) {
    const Time until = now_ + by;
    while (!timers_.empty() && timers_.begin()->first.first <= until) {
      const auto first = timers_.begin();
      now_ = std::max(now_, first->first.first);
      auto fn = std::move(first->second);
      timers_.erase(first);
      fn();
    }
    now_ = until;
  }
  size_t timers() const { return timers_.size(); }

 private:
  Time now_ = absl::FromUnixSeconds(1'000'000);
  TimerId next_ = 0;
  std::map<std::pair<Time, TimerId>, std::function<void()>> timers_;
};

}  // namespace muster

#endif  // MUSTER_TEST_RUNTIME_MANUAL_LOOP_H_
