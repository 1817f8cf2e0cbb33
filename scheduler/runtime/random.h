// Seeded random numbers (xoshiro-free: a counter through Mix), the same on every platform.
#ifndef MUSTER_SCHEDULER_RUNTIME_RANDOM_H_
#define MUSTER_SCHEDULER_RUNTIME_RANDOM_H_

#include <cstdint>

#include "scheduler/model/ids.h"

namespace muster {

class Random {
 public:
  explicit Random(uint64_t seed) : seed_(seed) {}
  uint64_t Next() { return Mix(seed_, ++count_); }
  // Uniform in [0, bound); bound > 0. The bias of the modulus is below 2^-32 for bounds below 2^32.
  uint64_t Below(uint64_t bound) { return Next() % bound; }
  // Uniform in [0, 1).
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

 private:
  uint64_t seed_;
  uint64_t count_ = 0;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_RUNTIME_RANDOM_H_
