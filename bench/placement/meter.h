// What the placement harness measures with: a loop that times decisions, quantiles, and what the process
// has used.
#ifndef MUSTER_BENCH_PLACEMENT_METER_H_
#define MUSTER_BENCH_PLACEMENT_METER_H_

#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <utility>
#include <vector>

#include "scheduler/runtime/real_event_loop.h"

namespace muster {

using Steady = std::chrono::steady_clock;

inline double Seconds(Steady::duration duration) { return std::chrono::duration<double>(duration).count(); }

// Of this thread, in seconds: what others do to the machine shows less in it than in time that passes.
inline double ThreadCpu() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// The real loop, which times each decision: from the clock being read at its start to the engine's
// telling what it cost. (Metrics would read the clock in between: they are off.) `by_cpu`: in CPU time of the
// thread, which leaves out what others do to the machine and takes some 0.2 us to read.
class MeteredLoop final : public EventLoop {
 public:
  explicit MeteredLoop(bool by_cpu = false) : by_cpu_(by_cpu) {}
  Time Now() const override {
    last_read_ = Read();
    return loop_.Now();
  }
  TimerId At(Time when, std::function<void()> fn) override { return loop_.At(when, std::move(fn)); }
  void Cancel(TimerId id) override { loop_.Cancel(id); }
  void Post(std::function<void()> fn) override { loop_.Post(std::move(fn)); }
  void Spend(Duration) override { decisions_.push_back(Read() - last_read_); }

  void Run() { loop_.Run(); }
  void Stop() { loop_.Stop(); }
  std::vector<double>& decisions() { return decisions_; }

 private:
  double Read() const { return by_cpu_ ? ThreadCpu() : Seconds(Steady::now().time_since_epoch()); }

  const bool by_cpu_;
  RealEventLoop loop_;
  mutable double last_read_ = 0;
  std::vector<double> decisions_;
};

struct Quantiles {
  double p50 = 0, p90 = 0, p99 = 0, p999 = 0, max = 0, mean = 0;
};

inline Quantiles QuantilesOf(std::vector<double>& samples) {
  if (samples.empty()) return {};
  std::sort(samples.begin(), samples.end());
  const auto at = [&](double q) {
    return samples[static_cast<size_t>(std::ceil(q * static_cast<double>(samples.size()))) - 1];
  };
  double sum = 0;
  for (double sample : samples) sum += sample;
  return {at(0.5), at(0.9), at(0.99), at(0.999), samples.back(), sum / static_cast<double>(samples.size())};
}

struct Usage {
  double cpu = 0;        // seconds, user and system
  int64_t peak_kib = 0;  // resident
};

inline Usage UsageNow() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return {seconds(use.ru_utime) + seconds(use.ru_stime), use.ru_maxrss};
}

}  // namespace muster

#endif  // MUSTER_BENCH_PLACEMENT_METER_H_
