// A content hash that is the same in every process, platform and run. (absl's is seeded per
// process and may not decide anything that a replay must repeat.)
#ifndef MUSTER_SCHEDULER_MODEL_STABLE_HASH_H_
#define MUSTER_SCHEDULER_MODEL_STABLE_HASH_H_

#include <cstdint>
#include <cstring>
#include <string_view>

#include "scheduler/model/ids.h"

namespace muster {

class StableHasher {
 public:
  void Add(uint64_t value) { state_ = Mix(state_, value); }
  void Add(std::string_view text) {
    Add(text.size());
    while (!text.empty()) {
      uint64_t chunk = 0;  // little-endian hosts only, as all of ours are
      const size_t n = text.size() < sizeof chunk ? text.size() : sizeof chunk;
      std::memcpy(&chunk, text.data(), n);
      Add(chunk);
      text.remove_prefix(n);
    }
  }
  uint64_t Digest() const { return state_; }

 private:
  uint64_t state_ = 0;
};

inline uint64_t StableHash(std::string_view text) {
  StableHasher hasher;
  hasher.Add(text);
  return hasher.Digest();
}

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_STABLE_HASH_H_
