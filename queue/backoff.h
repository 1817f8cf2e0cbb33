// How long a group waits after its n-th failure.
#ifndef MUSTER_QUEUE_BACKOFF_H_
#define MUSTER_QUEUE_BACKOFF_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "scheduler/model/ids.h"

namespace muster {

struct Backoff {
  Duration initial = absl::Seconds(1);
  Duration max = absl::Seconds(10);

  // initial * 2^(failures-1), at most max: 1 s, 2 s, 4 s, 8 s, 10 s, 10 s ... Zero for none. Of several pods
  // at most max * sqrt(pods): 32 s for ten.
  Duration After(uint32_t failures, size_t pods = 1) const {
    if (failures == 0) return absl::ZeroDuration();
    const Duration most = pods > 1 ? max * std::sqrt(static_cast<double>(pods)) : max;
    Duration wait = initial;
    for (uint32_t i = 1; i < failures && wait < most; ++i) wait += wait;
    return std::min(wait, most);
  }
};

}  // namespace muster

#endif  // MUSTER_QUEUE_BACKOFF_H_
