// The nodes still possible for a pod while filters run, and who rejected the others.
#ifndef MUSTER_SCHEDULER_FRAMEWORK_FEASIBLE_H_
#define MUSTER_SCHEDULER_FRAMEWORK_FEASIBLE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/framework/status.h"
#include "scheduler/model/interner.h"
#include "scheduler/model/node_set.h"
#include "scheduler/model/snapshot.h"

namespace muster {

// Why a node is rejected. `text` is kube-scheduler's own.
struct Reason {
  std::string_view text;
  bool preemption_may_help = false;  // Unschedulable, else UnschedulableAndUnresolvable
};

// Per node: the first plugin that rejected it, its code and all the reasons that plugin gave.
struct Rejections {
  static constexpr uint16_t kNobody = UINT16_MAX;
  struct OfNode {
    uint16_t plugin = kNobody;  // position in the profile's filter order
    Code code = Code::kSuccess;
    std::vector<uint32_t> reasons;  // ids in `texts`, in the order given, without repeats
  };
  std::vector<OfNode> nodes;  // by NodeIndex
  Interner texts;

  void Reset(size_t node_count) { nodes.assign(node_count, {}); }
};

// Handed to one filter at a time, for the words in range(). Fast mode only clears bits; when
// explaining, each call also records its reason, and a filter that checks several things (cpu,
// memory, ...) records every one that fails, because Entered() still shows the nodes it began
// with.
class Feasible {
 public:
  Feasible(NodeSet& alive, WordRange range) : alive_(alive), range_(range) {}
  Feasible(NodeSet& alive, WordRange range, Rejections* rejections)
      : alive_(alive), range_(range), rejections_(rejections) {}

  // The framework calls this before each filter.
  void BeginPlugin(uint16_t plugin);

  WordRange range() const { return range_; }
  bool explaining() const { return rejections_ != nullptr; }
  // Nodes of word `w` that the filter should look at; it need not look at others.
  uint64_t Entered(size_t w) const { return explaining() ? entered_[w - range_.begin] : alive_.word(w); }

  // Rejects the entered nodes of word `w` that are not in `keep`.
  void Retain(size_t w, uint64_t keep, const Reason& why) {
    const uint64_t lost = Entered(w) & ~keep;
    if (lost == 0) return;
    alive_.word(w) &= keep;
    if (explaining()) Record(w, lost, why);
  }
  void Reject(NodeIndex n, const Reason& why) { Retain(n / kWordBits, ~(uint64_t{1} << (n % kWordBits)), why); }
  void RejectAll(const NodeSet& nodes, const Reason& why) {
    for (size_t w = range_.begin; w < range_.end; ++w) Retain(w, ~nodes.word(w), why);
  }
  void RetainOnly(const NodeSet& nodes, const Reason& why) {
    for (size_t w = range_.begin; w < range_.end; ++w) Retain(w, nodes.word(w), why);
  }
  // Keeps nodes with column[n] >= want.
  void RetainAtLeast(const int64_t* column, int64_t want, const Reason& why);

 private:
  void Record(size_t w, uint64_t lost, const Reason& why);

  NodeSet& alive_;
  WordRange range_;
  Rejections* rejections_ = nullptr;
  std::vector<uint64_t> entered_;  // only when explaining
  uint16_t plugin_ = Rejections::kNobody;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_FRAMEWORK_FEASIBLE_H_
