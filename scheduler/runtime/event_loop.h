// Time and its order: the two ports through which anything happens.
#ifndef MUSTER_SCHEDULER_RUNTIME_EVENT_LOOP_H_
#define MUSTER_SCHEDULER_RUNTIME_EVENT_LOOP_H_

#include <cstdint>
#include <functional>

#include "scheduler/model/ids.h"

namespace muster {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time Now() const = 0;
};

// Runs functions one at a time on the decision thread, ordered by (time, sequence of asking).
class EventLoop : public Clock {
 public:
  using TimerId = uint64_t;
  // Runs fn at `when` (at once if that is past). Decision thread only.
  virtual TimerId At(Time when, std::function<void()> fn) = 0;
  TimerId After(Duration delay, std::function<void()> fn) { return At(Now() + delay, std::move(fn)); }
  // No effect if it already ran.
  virtual void Cancel(TimerId id) = 0;
  // Runs fn soon; callable from any thread. Functions of one thread keep their order.
  virtual void Post(std::function<void()> fn) = 0;
  // Tells how much work a decision took (see engine's cost model). The simulated loop moves its
  // clock; the real one ignores it.
  virtual void Spend(Duration cost) { (void)cost; }
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_RUNTIME_EVENT_LOOP_H_
