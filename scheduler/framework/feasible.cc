#include "scheduler/framework/feasible.h"

#include <algorithm>

#include "scheduler/framework/kernels.h"

namespace muster {

void Feasible::BeginPlugin(uint16_t plugin) {
  plugin_ = plugin;
  if (!explaining()) return;
  entered_.resize(range_.end - range_.begin);
  for (size_t w = range_.begin; w < range_.end; ++w) entered_[w - range_.begin] = alive_.word(w);
}

void Feasible::RetainAtLeast(const int64_t* column, int64_t want, const Reason& why) {
  if (range_.begin == range_.end) return;
  if (!explaining()) {
    AndAtLeast(column + range_.begin * kWordBits, want, range_.end - range_.begin, &alive_.word(range_.begin));
    return;
  }
  for (size_t w = range_.begin; w < range_.end; ++w) {
    uint64_t keep = ~uint64_t{0};
    AndAtLeast(column + w * kWordBits, want, 1, &keep);
    Retain(w, keep, why);
  }
}

void Feasible::Record(size_t w, uint64_t lost, const Reason& why) {
  const uint32_t text = rejections_->texts.Intern(why.text);
  NodeSet::ForEachBit(lost, w, [&](NodeIndex n) {
    Rejections::OfNode& of = rejections_->nodes[n];
    of.plugin = plugin_;
    // One reason beyond preemption's help makes the whole node so.
    if (!why.preemption_may_help) of.code = Code::kUnschedulableAndUnresolvable;
    if (of.code == Code::kSuccess) of.code = Code::kUnschedulable;
    if (std::find(of.reasons.begin(), of.reasons.end(), text) == of.reasons.end()) of.reasons.push_back(text);
  });
}

}  // namespace muster
