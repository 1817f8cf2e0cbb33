// Small vocabulary types that every room shares.
#ifndef MUSTER_SCHEDULER_MODEL_IDS_H_
#define MUSTER_SCHEDULER_MODEL_IDS_H_

#include <cstdint>
#include <string_view>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace muster {

using Time = absl::Time;
using Duration = absl::Duration;

// Debian builds abseil with a string_view type of its own, which does not convert from the standard
// one: StrCat(AsAbsl(name)), map.find(AsAbsl(name)).
inline absl::string_view AsAbsl(std::string_view text) { return {text.data(), text.size()}; }

// Position of a node in the Snapshot: dense, in name order. It changes when nodes come or go, so
// it is never kept across a Snapshot rebuild.
using NodeIndex = uint32_t;
inline constexpr NodeIndex kNoNode = UINT32_MAX;

// Dense id of an interned resource name; valid for one Snapshot's lifetime.
using ResourceId = uint32_t;
inline constexpr ResourceId kPods = 0;
inline constexpr ResourceId kCpu = 1;  // milli-CPU
inline constexpr ResourceId kMemory = 2;
inline constexpr ResourceId kEphemeralStorage = 3;

// 64-bit finaliser (SplitMix64): the one mixing function behind ties, seeds and log hashes.
constexpr uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}
constexpr uint64_t Mix(uint64_t a, uint64_t b) { return Mix(a ^ Mix(b)); }

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_IDS_H_
