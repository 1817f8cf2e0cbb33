// A set of nodes in words of 64: bit b of word w is node 64 w + b.
#ifndef MUSTER_SCHEDULER_MODEL_NODE_SET_H_
#define MUSTER_SCHEDULER_MODEL_NODE_SET_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "scheduler/model/ids.h"

namespace muster {

inline constexpr size_t kWordBits = 64;

// Words [begin, end) of the cluster: the unit in which plugins are asked, so that re-evaluating
// one row costs one word, and threads can share a cluster without sharing a word.
struct WordRange {
  size_t begin = 0, end = 0;
};

class NodeSet {
 public:
  NodeSet() = default;
  explicit NodeSet(size_t nodes) { Reset(nodes); }
  void Reset(size_t nodes) { words_.assign((nodes + kWordBits - 1) / kWordBits, 0); }

  size_t words() const { return words_.size(); }
  uint64_t word(size_t w) const { return words_[w]; }
  uint64_t& word(size_t w) { return words_[w]; }
  bool Has(NodeIndex n) const { return (words_[n / kWordBits] >> (n % kWordBits) & 1) != 0; }
  void Add(NodeIndex n) { words_[n / kWordBits] |= Bit(n); }
  void Remove(NodeIndex n) { words_[n / kWordBits] &= ~Bit(n); }
  size_t Count() const {
    size_t count = 0;
    for (uint64_t w : words_) count += static_cast<size_t>(std::popcount(w));
    return count;
  }
  bool Any() const {
    for (uint64_t w : words_) {
      if (w != 0) return true;
    }
    return false;
  }
  // Calls f(NodeIndex) in ascending order.
  template <typename F>
  void ForEach(F&& f) const {
    for (size_t w = 0; w < words_.size(); ++w) ForEachBit(words_[w], w, f);
  }
  template <typename F>
  static void ForEachBit(uint64_t bits, size_t word, F&& f) {
    for (; bits != 0; bits &= bits - 1)
      f(static_cast<NodeIndex>(word * kWordBits + static_cast<size_t>(std::countr_zero(bits))));
  }
  friend bool operator==(const NodeSet&, const NodeSet&) = default;

 private:
  static uint64_t Bit(NodeIndex n) { return uint64_t{1} << (n % kWordBits); }
  std::vector<uint64_t> words_;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_NODE_SET_H_
