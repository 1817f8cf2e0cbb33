#include "scheduler/framework/kernels.h"

#include <bit>
#include <cstring>

namespace muster {
namespace {

static_assert(std::endian::native == std::endian::little);

// 64 bytes of 0 or 1 to 64 bits: the product gathers a byte's lowest bits in its top byte. Setting
// the bits one by one while comparing keeps the comparison from being vectorised.
inline uint64_t Pack(const uint8_t (&bytes)[64]) {
  uint64_t word = 0;
  for (size_t i = 0; i < 8; ++i) {
    uint64_t eight;
    std::memcpy(&eight, bytes + 8 * i, sizeof eight);
    word |= (eight * 0x0102040810204080u >> 56) << (8 * i);
  }
  return word;
}

}  // namespace

MUSTER_KERNEL void AndAtLeast(const int64_t* column, int64_t want, size_t words, uint64_t* set) {
  for (size_t w = 0; w < words; ++w, column += 64) {
    uint8_t holds[64];
    for (size_t i = 0; i < 64; ++i) holds[i] = column[i] >= want;
    set[w] &= Pack(holds);
  }
}

MUSTER_KERNEL void OrEqual(const uint32_t* column, uint32_t id, size_t words, uint64_t* set) {
  for (size_t w = 0; w < words; ++w, column += 64) {
    uint8_t holds[64];
    for (size_t i = 0; i < 64; ++i) holds[i] = column[i] == id;
    set[w] |= Pack(holds);
  }
}

}  // namespace muster
