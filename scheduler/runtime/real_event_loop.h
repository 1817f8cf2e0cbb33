// The EventLoop of a running daemon: one thread, a condition variable, the machine's clock.
#ifndef MUSTER_SCHEDULER_RUNTIME_REAL_EVENT_LOOP_H_
#define MUSTER_SCHEDULER_RUNTIME_REAL_EVENT_LOOP_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "scheduler/runtime/event_loop.h"

namespace muster {

class RealEventLoop final : public EventLoop {
 public:
  RealEventLoop();

  // The wall clock as it stood at construction, moved on by the monotonic one: it never jumps, so
  // that leases and backoffs do not expire because somebody set the clock. Any thread.
  Time Now() const override;
  TimerId At(Time when, std::function<void()> fn) override;
  void Cancel(TimerId id) override;
  void Post(std::function<void()> fn) override;

  // Runs what is asked for on the calling thread, which is then the decision thread, until Stop().
  void Run();
  // Ends Run() (this one, or else the next) after the function at work; what has not run by then
  // waits for the next Run(). Any thread.
  void Stop();

 private:
  using Steady = std::chrono::steady_clock;

  void RunDueTimers();
  Steady::time_point Deadline(Time when) const;

  const Time wall_start_;
  const Steady::time_point steady_start_;
  // Decision thread only.
  absl::btree_map<std::pair<Time, TimerId>, std::function<void()>> timers_;
  absl::flat_hash_map<TimerId, Time> timer_times_;
  TimerId next_timer_ = 0;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::function<void()>> posted_;  // guarded by mutex_
  bool stopped_ = false;                       // guarded by mutex_
  bool waiting_ = false;                       // guarded by mutex_: a Post need not wake a busy thread
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_RUNTIME_REAL_EVENT_LOOP_H_
