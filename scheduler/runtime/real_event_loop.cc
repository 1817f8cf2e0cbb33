#include "scheduler/runtime/real_event_loop.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "absl/time/clock.h"

namespace muster {

RealEventLoop::RealEventLoop() : wall_start_(absl::Now()), steady_start_(Steady::now()) {}

Time RealEventLoop::Now() const { return wall_start_ + absl::FromChrono(Steady::now() - steady_start_); }

RealEventLoop::Steady::time_point RealEventLoop::Deadline(Time when) const {
  // A year ahead is as good as never, and does not overflow.
  const Duration ahead = std::min(when - wall_start_, Now() - wall_start_ + absl::Hours(24 * 365));
  return steady_start_ + absl::ToChronoNanoseconds(ahead);
}

EventLoop::TimerId RealEventLoop::At(Time when, std::function<void()> fn) {
  const TimerId id = ++next_timer_;
  timers_.emplace(std::pair(when, id), std::move(fn));
  timer_times_.emplace(id, when);
  return id;
}

void RealEventLoop::Cancel(TimerId id) {
  const auto it = timer_times_.find(id);
  if (it == timer_times_.end()) return;
  timers_.erase(std::pair(it->second, id));
  timer_times_.erase(it);
}

void RealEventLoop::Post(std::function<void()> fn) {
  std::lock_guard lock(mutex_);
  posted_.push_back(std::move(fn));
  if (waiting_) wake_.notify_one();
}

void RealEventLoop::Stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  if (waiting_) wake_.notify_one();
}

void RealEventLoop::RunDueTimers() {
  // Those due now, not those that they add: posted functions get their turn in between.
  const Time now = Now();
  const TimerId last = next_timer_;
  while (!timers_.empty()) {
    const auto first = timers_.begin();
    const auto [when, id] = first->first;
    if (when > now || id > last) return;
    std::function<void()> fn = std::move(first->second);
    timers_.erase(first);
    timer_times_.erase(id);
    fn();
    std::lock_guard lock(mutex_);
    if (stopped_) return;
  }
}

void RealEventLoop::Run() {
  std::vector<std::function<void()>> batch;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      const auto ready = [this] { return stopped_ || !posted_.empty(); };
      waiting_ = true;
      if (timers_.empty()) {
        wake_.wait(lock, ready);
      } else {
        wake_.wait_until(lock, Deadline(timers_.begin()->first.first), ready);
      }
      waiting_ = false;
      if (std::exchange(stopped_, false)) return;
      batch.swap(posted_);
    }
    for (size_t i = 0; i < batch.size(); ++i) {
      std::exchange(batch[i], nullptr)();
      std::lock_guard lock(mutex_);
      if (!stopped_) continue;
      posted_.insert(posted_.begin(), std::make_move_iterator(batch.begin() + static_cast<ptrdiff_t>(i) + 1),
                     std::make_move_iterator(batch.end()));
      stopped_ = false;
      return;
    }
    batch.clear();
    RunDueTimers();
  }
}

}  // namespace muster
