// One shape's answer: which nodes can take it and how each scores. Computed once, then kept up to
// date row by row as placements change the cluster.
#ifndef MUSTER_SCHEDULER_FRAMEWORK_EVALUATION_H_
#define MUSTER_SCHEDULER_FRAMEWORK_EVALUATION_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "scheduler/framework/framework.h"
#include "scheduler/framework/nominator.h"
#include "scheduler/framework/plugin.h"
#include "scheduler/model/snapshot.h"

namespace muster {

// Runs body over all words of [0, words), possibly split over threads.
using ForWords = absl::FunctionRef<void(size_t words, absl::FunctionRef<void(WordRange)> body)>;

// Work done, in units that the simulator's cost model prices: the same for every thread count.
struct WorkCount {
  uint64_t filtered = 0;  // node words filtered
  uint64_t scored = 0;    // node words scored
  uint64_t full = 0;      // evaluations computed from nothing
};

// Told when the plugins of an extension point begin and end.
class StageListener {
 public:
  virtual ~StageListener() = default;
  virtual void Begin(Point point) = 0;
  // Of the point that began last. `status` is kube-scheduler's outcome code or "Error".
  virtual void End(std::string_view status) = 0;
};

class Evaluation {
 public:
  // What the last Update said. Checked in this order:
  const absl::Status& error() const { return error_; }  // broken: the pod's cycle ends with it
  // Scoring is broken, which does not matter: only one node is feasible.
  const absl::Status& score_error() const { return score_error_; }
  const Outcome& pre_filter() const { return pre_filter_; }  // rejected everywhere, by pre_filter_plugin()
  std::string_view pre_filter_plugin() const { return pre_filter_plugin_; }
  size_t feasible_count() const { return feasible_count_; }
  const NodeSet& feasible() const { return feasible_; }
  // What the filters that look at one node alone left. Requires: error() and pre_filter() are ok.
  const NodeSet& local() const { return local_; }
  // Plugins whose PreFilter left nodes out, by name; and upstream's words for those nodes.
  const std::vector<std::string>& narrowed_by() const { return narrowed_by_; }
  std::string NarrowedText() const;

  // Makes the answer true for the snapshot as it is now; `pod` and `framework` must be the same at
  // every call until Invalidate(). `seed` decides ties; `stages` may be null, and `nominated` where
  // there are no nominated pods. Requires: Snapshot::Prepare(pod).
  void Update(const Framework& framework, const PodInfo& pod, const Snapshot& snap, uint64_t seed, ForWords for_words,
              WorkCount& work, StageListener* stages = nullptr, const Nominated* nominated = nullptr);
  // The next Update computes everything, for whatever pod and framework it is given.
  void Invalidate() { static_version_ = 0; }
  // Feasible node with the highest total; of equals the one with the smallest Mix(seed, shape,
  // node name). kNoNode if none. Cost: one step a word.
  NodeIndex Best() const;
  // The same of those in `nodes`, by Snapshot::NodeTie; `skip(n)` leaves nodes out.
  template <typename F>
  NodeIndex BestAmong(std::span<const NodeIndex> nodes, const Snapshot& snap, F&& skip) const {
    NodeIndex best = kNoNode;
    for (const NodeIndex n : nodes) {
      if (feasible_.Has(n) && !skip(n) && (best == kNoNode || Better(n, best, snap))) best = n;
    }
    return best;
  }
  // The same of those in `among`.
  NodeIndex BestIn(const NodeSet& among, const Snapshot& snap) const;
  bool Better(NodeIndex a, NodeIndex b, const Snapshot& snap) const {
    if (totals_[a] != totals_[b]) return totals_[a] > totals_[b];
    return Tie(a, snap) < Tie(b, snap);
  }
  uint64_t Tie(NodeIndex n, const Snapshot& snap) const { return Mix(tie_seed_ ^ snap.NodeTie(n)); }
  int64_t Total(NodeIndex n) const { return totals_[n]; }

  // --- What if ---------------------------------------------------------------------------------
  // Whether the pod would pass every filter on `n` after changes to that row only, which a Statement
  // made since Update. Requires: error() and pre_filter() are ok. Whoever rolled the changes back
  // calls Restore(n) before asking about another row.
  bool Fits(const Framework& framework, const PodInfo& pod, const Snapshot& snap, NodeIndex n,
            const Nominated* nominated = nullptr);
  void Restore(const Framework& framework, const PodInfo& pod, const Snapshot& snap, NodeIndex n);

  // --- Explaining (slow; allocates) ----------------------------------------------------------
  // Runs the filters again on every node that PreFilter left, recording all reasons.
  absl::Status Explain(const Framework& framework, const PodInfo& pod, const Snapshot& snap, Rejections& out,
                       const Nominated* nominated = nullptr);
  // A score plugin's normalised scores per node, in Framework::scores() order; empty if skipped or
  // if there is a score_error().
  absl::Status Scores(const Framework& framework, const PodInfo& pod, const Snapshot& snap, size_t step,
                      std::vector<int64_t>& out) const;
  // The same for nodes of `which`, whose entries in `out` are empty; those of others are left alone.
  absl::Status ExplainSome(const Framework& framework, const PodInfo& pod, const Snapshot& snap, const NodeSet& which,
                           Rejections& out, const Nominated* nominated = nullptr);
  // Nodes that PreFilter left.
  const NodeSet& candidates() const { return candidates_; }

  // Versions of the snapshot that the answer is true for.
  uint64_t static_version() const { return static_version_; }
  uint64_t cell_version() const { return cell_version_; }
  // How often all was computed: what was concluded row by row before holds no more.
  uint64_t epoch() const { return epoch_; }
  // A filter's answer on one node depends on other nodes.
  bool looks_across(const Framework& framework) const;
  // Approximate bytes held.
  size_t MemoryBytes() const;

 private:
  struct Raw {  // a normalising score plugin's raw scores
    std::vector<int64_t> scores;
    std::vector<int64_t> word_max;  // over feasible nodes; 0 for none
    int64_t max = 0;
  };
  struct Context {
    const Framework& framework;
    const PodInfo& pod;
    const Snapshot& snap;
    StageListener* stages;
    const Nominated* nominated;
  };
  class Stage;  // tells the listener of its beginning and end

  void Compute(const Context& c, ForWords for_words, WorkCount& work);
  void PreFilter(const Context& c);
  bool PreScore(const Context& c);
  bool PreScoreAcross(const Context& c);
  bool RunPreScore(const Context& c, const PreScorePlugin& plugin);
  void OnScoreError(const Context& c);
  std::string_view FilterStatus() const;
  bool Recount(const Context& c, std::span<const NodeIndex> rows);
  enum class Which : uint8_t { kLocal, kAcross, kAll };  // filters of one node alone, CrossNodePlugins, in order
  absl::Status FilterRange(const Context& c, Which which, NodeSet& alive, WordRange range);
  void FilterRest(const Context& c);
  void RefreshRest(const Context& c);
  bool FitsNow(const Context& c, NodeIndex n);
  bool FitsBesideNominated(const Context& c, NodeIndex n, const std::vector<Nominator::Entry>& entries);
  absl::Status ExplainNodes(const Context& c, NodeSet& alive, WordRange range, Rejections& out) const;
  void ResizeScores(const Context& c);
  absl::Status ScoreWords(const Context& c, WordRange range);
  absl::Status ScoreAcross(const Context& c);
  void FindFirstScoreError(const Context& c);
  bool UpdateMaxima();
  void TakeMaxima(size_t word);
  void SumWords(const Context& c, WordRange range);
  void PickWords(const Context& c, WordRange range);
  bool RefreshFilters(const Context& c, std::span<const NodeIndex> rows, WorkCount& work);
  void RefreshScores(const Context& c, bool had_none, WorkCount& work);

  CycleState state_;
  absl::Status error_, score_error_;
  Outcome pre_filter_;
  std::string_view pre_filter_plugin_;
  std::vector<std::string> narrowed_by_;
  NodeSet candidates_;
  NodeSet local_;       // what filters that look at one node alone left of them
  NodeSet feasible_;    // what is left after all
  NodeSet before_;      // scratch
  NodeSet dirty_rows_;  // scratch
  NodeSet trial_;       // scratch: empty between calls
  size_t feasible_count_ = 0;
  std::vector<bool> skip_filter_, skip_score_;  // by step
  std::vector<Raw> raw_;                        // by score step; empty for those that do not normalise
  std::vector<int64_t> plain_;                  // weighted sum of those
  std::vector<int64_t> across_;                 // likewise of CrossNodePlugins; empty where none scores
  std::vector<int64_t> totals_;                 // also the scratch column of ScoreWords
  std::vector<NodeIndex> word_best_;            // by word; kNoNode if none
  std::vector<uint64_t> word_tie_;              // its tie value
  std::vector<uint32_t> dirty_;                 // scratch
  std::vector<NodeIndex> rows_;                 // scratch
  uint64_t tie_seed_ = 0;
  bool anew_ = false;  // the next Update computes all: a filter broke on a node that others reject
  uint64_t static_version_ = 0;
  uint64_t cell_version_ = 0;
  uint64_t epoch_ = 0;
  NodeIndex own_row_ = kNoNode;  // that the pod of the last Update was nominated for
  uint64_t asked_version_ = 0;   // of what the pod asks about other pods and its volumes
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_FRAMEWORK_EVALUATION_H_
