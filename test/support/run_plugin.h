// One plugin on one snapshot: every node's verdict or score, asked in several ways that must agree.
#ifndef MUSTER_TEST_SUPPORT_RUN_PLUGIN_H_
#define MUSTER_TEST_SUPPORT_RUN_PLUGIN_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "scheduler/framework/plugin.h"

namespace muster {

class RunPlugin {
 public:
  explicit RunPlugin(std::unique_ptr<Plugin> plugin) : plugin_(std::move(plugin)) { plugin_->set_slot(3); }
  explicit RunPlugin(absl::StatusOr<std::unique_ptr<Plugin>> plugin) : RunPlugin(*std::move(plugin)) {}

  const Plugin& plugin() const { return *plugin_; }
  const Outcome& pre_filter() const { return pre_filter_; }
  const NodeSet& candidates() const { return candidates_; }

  // Runs PreFilter, which must not be broken.
  const Outcome& PreFilter(const PodInfo& pod, const Snapshot& snap) {
    state_.Clear();
    candidates_ = snap.all();
    auto outcome = dynamic_cast<const PreFilterPlugin&>(*plugin_).PreFilter(pod, snap, state_, candidates_);
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    return pre_filter_ = *std::move(outcome);
  }

  // Per node "" where it is feasible, else the code's letter (U, or R: unresolvable) and the reasons:
  // "U: Too many pods, Insufficient cpu". PreFilter first, where there is one.
  std::vector<std::string> Filter(const PodInfo& pod, const Snapshot& snap) {
    if (dynamic_cast<const PreFilterPlugin*>(plugin_.get()) != nullptr) PreFilter(pod, snap);
    return FilterAgain(pod, snap);
  }
  // The same on the state that is there: the snapshot's cells may have changed since PreFilter.
  std::vector<std::string> FilterAgain(const PodInfo& pod, const Snapshot& snap) {
    std::vector<std::string> verdicts(snap.size());
    if (pre_filter_.skip()) return verdicts;
    const auto& filter = dynamic_cast<const FilterPlugin&>(*plugin_);
    NodeSet explained = snap.all();
    Rejections rejections;
    rejections.Reset(snap.size());
    Feasible slow(explained, {0, snap.words()}, &rejections);
    slow.BeginPlugin(7);
    EXPECT_TRUE(filter.Filter(pod, snap, state_, slow).ok());
    for (NodeIndex n = 0; n < snap.size(); ++n) {
      const Rejections::OfNode& of = rejections.nodes[n];
      EXPECT_EQ(explained.Has(n), of.plugin == Rejections::kNobody);
      EXPECT_EQ(of.plugin == Rejections::kNobody, of.reasons.empty());
      if (explained.Has(n)) continue;
      EXPECT_EQ(of.plugin, 7);
      verdicts[n] = of.code == Code::kUnschedulableAndUnresolvable ? "R: " : "U: ";
      absl::StrAppend(&verdicts[n], absl::StrJoin(of.reasons, ", ", [&](std::string* out, uint32_t id) {
        out->append(rejections.texts.Text(id));
      }));
    }
    for (const size_t step : {snap.words(), size_t{1}, size_t{2}}) {
      NodeSet fast = snap.all();
      for (size_t w = 0; w < snap.words(); w += std::max<size_t>(step, 1)) {
        Feasible nodes(fast, {w, std::min(w + step, snap.words())});
        nodes.BeginPlugin(7);
        EXPECT_TRUE(filter.Filter(pod, snap, state_, nodes).ok());
      }
      EXPECT_EQ(fast, explained) << "fast form in steps of " << step << " words";
    }
    return verdicts;
  }

  // Whether PreScore skips; it must not be broken.
  bool PreScoreSkips(const PodInfo& pod, const Snapshot& snap) {
    auto outcome = dynamic_cast<const PreScorePlugin&>(*plugin_).PreScore(pod, snap, state_, snap.all());
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    return outcome->skip();
  }
  // Normalised scores of all nodes, PreScore first; empty where it skips.
  std::vector<int64_t> Score(const PodInfo& pod, const Snapshot& snap) {
    state_.Clear();
    if (dynamic_cast<const PreScorePlugin*>(plugin_.get()) != nullptr && PreScoreSkips(pod, snap)) return {};
    return ScoreAgain(pod, snap);
  }
  std::vector<int64_t> ScoreAgain(const PodInfo& pod, const Snapshot& snap) {
    const auto& score = dynamic_cast<const ScorePlugin&>(*plugin_);
    std::vector<int64_t> whole(snap.words() * kWordBits, -1), split = whole;
    EXPECT_TRUE(score.Score(pod, snap, state_, snap.all(), {0, snap.words()}, whole.data()).ok());
    for (size_t w = 0; w < snap.words(); ++w) {
      EXPECT_TRUE(score.Score(pod, snap, state_, snap.all(), {w, w + 1}, split.data()).ok());
    }
    if (dynamic_cast<const CrossNodePlugin*>(plugin_.get()) != nullptr) split = whole;  // asked whole only
    whole.resize(snap.size());
    split.resize(snap.size());
    EXPECT_EQ(whole, split) << "asked word by word";
    const int64_t max = whole.empty() ? 0 : *std::max_element(whole.begin(), whole.end());
    if (score.normalization() == Normalization::kNone) return whole;
    const bool reversed = score.normalization() == Normalization::kByMaxReversed;
    for (int64_t& s : whole) {
      s = max == 0 ? 0 : s * 100 / max;
      if (reversed) s = 100 - s;
    }
    return whole;
  }

 private:
  std::unique_ptr<Plugin> plugin_;
  CycleState state_;
  Outcome pre_filter_;
  NodeSet candidates_;
};

}  // namespace muster

#endif  // MUSTER_TEST_SUPPORT_RUN_PLUGIN_H_
