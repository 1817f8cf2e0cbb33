// The event loop in virtual time: nothing sleeps, and a run depends on nothing but its inputs.
#ifndef MUSTER_SCHEDULER_SIM_SIM_EVENT_LOOP_H_
#define MUSTER_SCHEDULER_SIM_SIM_EVENT_LOOP_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "scheduler/runtime/event_loop.h"

namespace muster {

// Events run in the order (time, sequence of asking). Post runs at the present time, after what was
// asked for before it. Unlike the real loop's, Post may be called on the running thread only: the
// order of two threads' posts could not be replayed.
class SimEventLoop final : public EventLoop {
 public:
  // 2026-01-01T00:00:00Z, so that times in logs look like times.
  static Time Epoch() { return absl::FromUnixSeconds(1'767'225'600); }

  explicit SimEventLoop(Time start = Epoch()) : now_(start) {}

  Time Now() const override { return now_; }
  TimerId At(Time when, std::function<void()> fn) override;
  void Cancel(TimerId id) override;
  void Post(std::function<void()> fn) override { At(now_, std::move(fn)); }
  // Moves the clock while an event runs: events that were due in between run late, in their order.
  void Spend(Duration cost) override { now_ += cost; }

  // Runs the earliest event. False, and nothing happens, where there is none.
  bool Step();
  // Runs until there is no event left or `stop`, asked between events, says so.
  void Run(const std::function<bool()>& stop = nullptr);
  // Runs the events due up to and including `end`, then sets the clock to `end` (unless Spend has
  // carried it further).
  void RunUntil(Time end);
  void RunFor(Duration duration) { RunUntil(now_ + duration); }

  size_t pending() const { return heap_.size() - cancelled_; }
  // When the earliest event is due; InfiniteFuture where there is none.
  Time NextTime();
  uint64_t events_run() const { return events_run_; }

 private:
  struct Entry {
    Time when;
    uint64_t sequence;
    uint32_t slot;
  };
  struct Slot {
    std::function<void()> fn;  // null: free or cancelled
    uint32_t generation = 0;   // tells a TimerId of this use from one of an earlier use
  };
  static bool Later(const Entry& a, const Entry& b) {
    return a.when != b.when ? a.when > b.when : a.sequence > b.sequence;
  }
  void FreeSlot(uint32_t slot);
  void PopEntry();
  // Takes cancelled events off the top.
  void Trim();

  Time now_;
  uint64_t sequence_ = 0;
  uint64_t events_run_ = 0;
  size_t cancelled_ = 0;  // entries of heap_ whose function is gone
  std::vector<Entry> heap_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_slots_;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_SIM_SIM_EVENT_LOOP_H_
