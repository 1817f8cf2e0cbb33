#include "scheduler/framework/evaluation.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace muster {
namespace {

// upstream's DefaultNormalizeScore for one value; `max` over the feasible nodes.
int64_t Normalise(Normalization how, int64_t raw, int64_t max) {
  if (max == 0) return how == Normalization::kByMaxReversed ? kMaxNodeScore : 0;
  const int64_t scaled = raw * kMaxNodeScore / max;
  return how == Normalization::kByMaxReversed ? kMaxNodeScore - scaled : scaled;
}

// Keeps the error of the lowest word, so that it does not depend on how words were split.
class FirstError {
 public:
  void Add(size_t word, absl::Status status) {
    if (status.ok()) return;
    std::lock_guard lock(mu_);
    if (error_.ok() || word < word_) error_ = std::move(status), word_ = word;
  }
  const absl::Status& error() const { return error_; }

 private:
  std::mutex mu_;
  size_t word_ = 0;
  absl::Status error_;
};

// Rises when anything changes that the pod's PreFilter reads and that is neither cell nor node.
uint64_t AskedVersion(const PodInfo& pod, const Snapshot& snap) {
  uint64_t version = pod.questions_version;
  if (!pod.spec->asked.empty()) version = Mix(version, snap.devices().VersionFor(*pod.spec));
  if (pod.spec->volumes.empty()) return version;
  for (const Kind kind : {Kind::kPersistentVolume, Kind::kPersistentVolumeClaim, Kind::kStorageClass, Kind::kCSINode,
                          Kind::kCSIDriver, Kind::kCSIStorageCapacity, Kind::kVolumeAttachment})
    version += snap.objects().version(kind);
  return version;
}

absl::Status ScoreError(const ScorePlugin& plugin, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat("running Score plugins: plugin \"", AsAbsl(plugin.Name()),
                                                  "\" failed with: ", status.message()));
}

}  // namespace

class Evaluation::Stage {
 public:
  Stage(const Context& c, Point point) : listener_(c.stages) {
    if (listener_ != nullptr) listener_->Begin(point);
  }
  void End(std::string_view status) {
    if (listener_ != nullptr) listener_->End(status);
  }

 private:
  StageListener* listener_;
};

std::string Evaluation::NarrowedText() const {
  return absl::StrCat("node(s) didn't satisfy plugin(s) [", absl::StrJoin(narrowed_by_, " "), "]");
}

size_t Evaluation::MemoryBytes() const {
  size_t bytes = sizeof *this + (plain_.capacity() + totals_.capacity()) * sizeof(int64_t);
  for (const Raw& raw : raw_) bytes += raw.scores.capacity() * sizeof(int64_t);
  return bytes;
}

void Evaluation::Update(const Framework& framework, const PodInfo& pod, const Snapshot& snap, uint64_t seed,
                        ForWords for_words, WorkCount& work, StageListener* stages, const Nominated* nominated) {
  const Context c{framework, pod, snap, stages, nominated};
  tie_seed_ = Mix(seed, pod.shape);
  const uint64_t asked = AskedVersion(pod, snap);
  std::span<const NodeIndex> rows;
  const bool few = static_version_ == snap.static_version() && asked_version_ == asked &&
                   snap.ChangedSince(cell_version_, &rows) && rows.size() <= snap.size() / 4 + kWordBits;
  const bool broken = !error_.ok() || !score_error_.ok() || anew_;
  if (few) {
    rows_.assign(rows.begin(), rows.end());
    // A pod's own nomination does not count for it, but does for the next of its shape.
    const NodeIndex own = nominated != nullptr ? nominated->OwnRow(snap) : kNoNode;
    for (const NodeIndex n : {own_row_, own}) {
      if (n != kNoNode) rows_.push_back(n);
    }
    own_row_ = own;
  }
  if (!few || ((broken || state_.only_now()) && !rows_.empty())) {
    own_row_ = nominated != nullptr ? nominated->OwnRow(snap) : kNoNode;
    Compute(c, for_words, work);
  } else if (pre_filter_.ok() && !rows_.empty()) {  // rows cannot change what PreFilter said
    const bool had_none = feasible_count_ == 0;
    if (RefreshFilters(c, rows_, work)) {
      RefreshScores(c, had_none, work);
    } else {
      Compute(c, for_words, work);
    }
  }
  static_version_ = snap.static_version();
  asked_version_ = asked;
  cell_version_ = snap.cell_version();
}

void Evaluation::Compute(const Context& c, ForWords for_words, WorkCount& work) {
  ++work.full;
  ++epoch_;
  const size_t words = c.snap.words();
  error_ = score_error_ = absl::OkStatus();
  anew_ = false;
  pre_filter_ = Outcome::Success();
  pre_filter_plugin_ = {};
  feasible_.Reset(c.snap.size());
  feasible_count_ = 0;
  word_best_.assign(words, kNoNode);
  word_tie_.assign(words, 0);
  Stage pre_filter(c, Point::kPreFilter);
  PreFilter(c);
  pre_filter.End(!error_.ok() ? "Error" : pre_filter_.ok() ? "Success" : CodeName(pre_filter_.code));
  if (!error_.ok() || !pre_filter_.ok()) return;

  local_ = candidates_;
  FirstError first;
  Stage filter(c, Point::kFilter);
  for_words(words, [&](WordRange range) { first.Add(range.begin, FilterRange(c, Which::kLocal, local_, range)); });
  work.filtered += words;
  error_ = first.error();
  if (!error_.ok()) {
    // Upstream asks in the profile's order: a node that an earlier filter rejects breaks no later one.
    local_ = candidates_;
    error_ = FilterRange(c, Which::kAll, local_, {0, words});
    anew_ = true;
  }
  if (error_.ok()) FilterRest(c);
  filter.End(FilterStatus());
  if (!error_.ok() || feasible_count_ == 0) return;

  Stage pre_score(c, Point::kPreScore);
  const bool scoring = PreScore(c);
  pre_score.End(scoring ? "Success" : "Error");
  if (!scoring) return OnScoreError(c);

  Stage score(c, Point::kScore);
  ResizeScores(c);
  for_words(words, [&](WordRange range) { first.Add(range.begin, ScoreWords(c, range)); });
  work.scored += words;
  if (error_ = first.error(); error_.ok()) error_ = ScoreAcross(c);
  if (!error_.ok()) {
    FindFirstScoreError(c);
    score.End("Error");
    return OnScoreError(c);
  }
  UpdateMaxima();
  for_words(words, [&](WordRange range) {
    SumWords(c, range);
    PickWords(c, range);
  });
  score.End("Success");
}

// Upstream takes an only feasible node without scoring it, and so without noticing this.
void Evaluation::OnScoreError(const Context& c) {
  if (feasible_count_ != 1) return;
  score_error_ = std::exchange(error_, absl::OkStatus());
  totals_.assign(c.snap.words() * kWordBits, 0);
  PickWords(c, {0, c.snap.words()});
}

std::string_view Evaluation::FilterStatus() const {
  if (!error_.ok()) return "Error";
  return feasible_count_ == 0 ? CodeName(Code::kUnschedulable) : CodeName(Code::kSuccess);
}

void Evaluation::PreFilter(const Context& c) {
  state_.Clear();
  candidates_ = c.snap.usable();
  skip_filter_.assign(c.framework.filters().size(), false);
  narrowed_by_.clear();
  NodeSet before = candidates_;
  std::optional<std::vector<std::string>> only;  // the names that all plugins so far allow
  for (const PreFilterPlugin* plugin : c.framework.pre_filters()) {
    auto outcome = plugin->PreFilter(c.pod, c.snap, state_, candidates_);
    if (!outcome.ok()) {
      error_ = absl::Status(outcome.status().code(), absl::StrCat("running PreFilter plugin \"", AsAbsl(plugin->Name()),
                                                                  "\": ", outcome.status().message()));
      return;
    }
    if (outcome->skip()) {
      for (size_t i = 0; i < skip_filter_.size(); ++i) {
        if (c.framework.filters()[i].pre == plugin) skip_filter_[i] = true;
      }
      continue;
    }
    if (!outcome->ok()) {
      pre_filter_ = *std::move(outcome);
      pre_filter_plugin_ = plugin->Name();
      // An unresolvable answer ends it; after a resolvable one later plugins may still be unresolvable.
      if (pre_filter_.code == Code::kUnschedulableAndUnresolvable) return;
      continue;
    }
    if (candidates_ == before && !outcome->only) continue;
    before = candidates_;
    narrowed_by_.emplace_back(plugin->Name());
    std::sort(narrowed_by_.begin(), narrowed_by_.end());
    if (!outcome->only) continue;
    if (only) {
      std::erase_if(*only, [&](const std::string& name) { return !absl::c_binary_search(*outcome->only, name); });
    } else {
      only = std::move(outcome->only);
    }
    if (only->empty()) {
      pre_filter_ = Outcome::Unresolvable(absl::StrCat(NarrowedText(), " simultaneously"));
      pre_filter_plugin_ = {};
      return;
    }
  }
}

bool Evaluation::PreScore(const Context& c) {
  const auto steps = c.framework.scores();
  skip_score_.assign(steps.size(), false);
  if (steps.empty()) return true;  // as upstream
  for (const PreScorePlugin* plugin : c.framework.pre_scores()) {
    if (!RunPreScore(c, *plugin)) return false;
  }
  return true;
}

// What depends on other nodes or on which nodes are feasible.
bool Evaluation::PreScoreAcross(const Context& c) {
  for (const Framework::ScoreStep& step : c.framework.scores()) {
    if (step.cross != nullptr && step.pre != nullptr && !RunPreScore(c, *step.pre)) return false;
  }
  return true;
}

bool Evaluation::RunPreScore(const Context& c, const PreScorePlugin& plugin) {
  auto outcome = plugin.PreScore(c.pod, c.snap, state_, feasible_);
  if (!outcome.ok()) {
    error_ = absl::Status(outcome.status().code(), absl::StrCat("running PreScore plugin \"", AsAbsl(plugin.Name()),
                                                                "\": ", outcome.status().message()));
    return false;
  }
  const auto steps = c.framework.scores();
  for (size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].pre == &plugin) skip_score_[i] = outcome->skip();
  }
  return true;
}

void Evaluation::ResizeScores(const Context& c) {
  const auto steps = c.framework.scores();
  const size_t rows = c.snap.words() * kWordBits;
  plain_.resize(rows);
  totals_.resize(rows);
  raw_.resize(steps.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    const bool keeps = !skip_score_[i] && steps[i].score->normalization() != Normalization::kNone;
    raw_[i].scores.resize(keeps ? rows : 0);
    raw_[i].word_max.assign(keeps ? c.snap.words() : 0, 0);
    raw_[i].max = 0;
  }
}

// Runs the filters that look at one node alone, or the others, over `alive`.
absl::Status Evaluation::FilterRange(const Context& c, Which which, NodeSet& alive, WordRange range) {
  Feasible nodes(alive, range);
  const auto steps = c.framework.filters();
  for (size_t i = 0; i < steps.size(); ++i) {
    if (skip_filter_[i] || (which != Which::kAll && (steps[i].cross != nullptr) != (which == Which::kAcross))) continue;
    nodes.BeginPlugin(static_cast<uint16_t>(i));
    absl::Status status = steps[i].filter->Filter(c.pod, c.snap, state_, nodes);
    if (!status.ok()) {
      return absl::Status(status.code(), absl::StrCat("running \"", AsAbsl(steps[i].filter->Name()),
                                                      "\" filter plugin: ", status.message()));
    }
  }
  return absl::OkStatus();
}

// From local_ to feasible_.
void Evaluation::FilterRest(const Context& c) {
  feasible_ = local_;
  error_ = FilterRange(c, Which::kAcross, feasible_, {0, c.snap.words()});
  if (error_.ok() && c.nominated != nullptr && feasible_.Any()) {
    c.nominated->ForEachRow(c.pod, c.snap, [&](NodeIndex n, const std::vector<Nominator::Entry>& entries) {
      if (feasible_.Has(n) && !FitsBesideNominated(c, n, entries)) feasible_.Remove(n);
    });
  }
  feasible_count_ = feasible_.Count();
}

// The same on rows_ alone, where no filter looks at other nodes: the others are as they were.
void Evaluation::RefreshRest(const Context& c) {
  dirty_rows_.Reset(c.snap.size());
  for (const NodeIndex n : rows_) {
    feasible_.Remove(n);
    if (!local_.Has(n)) continue;
    feasible_.Add(n);
    dirty_rows_.Add(n);
  }
  if (c.nominated != nullptr) {
    c.nominated->ForEachRowOf(dirty_rows_, c.pod, c.snap,
                              [&](NodeIndex n, const std::vector<Nominator::Entry>& entries) {
                                if (!FitsBesideNominated(c, n, entries)) feasible_.Remove(n);
                              });
  }
  feasible_count_ = feasible_.Count();
}

bool Evaluation::Recount(const Context& c, std::span<const NodeIndex> rows) {
  bool elsewhere = false;
  for (const CrossNodePlugin* plugin : c.framework.cross_nodes()) {
    if (state_.Has(plugin->slot())) elsewhere |= plugin->Recount(c.pod, c.snap, rows, state_);
  }
  return elsewhere;
}

absl::Status Evaluation::ScoreWords(const Context& c, WordRange range) {
  const auto steps = c.framework.scores();
  const size_t begin = range.begin * kWordBits, end = range.end * kWordBits;
  bool first = true;  // of those that do not normalise
  for (size_t i = 0; i < steps.size(); ++i) {
    if (skip_score_[i] || steps[i].cross != nullptr) continue;
    Raw& raw = raw_[i];
    const bool plain = raw.scores.empty();
    int64_t* out = plain ? totals_.data() : raw.scores.data();
    absl::Status status = steps[i].score->Score(c.pod, c.snap, state_, local_, range, out);
    if (!status.ok()) return ScoreError(*steps[i].score, status);
    if (!plain) continue;
    const auto weight = static_cast<uint64_t>(steps[i].weight);
    int64_t* sum = plain_.data();
    // Rows that are not feasible hold anything: sum them as unsigned, nobody reads the result.
    if (first) {
      for (size_t n = begin; n < end; ++n) sum[n] = static_cast<int64_t>(weight * static_cast<uint64_t>(out[n]));
    } else {
      for (size_t n = begin; n < end; ++n)
        sum[n] = static_cast<int64_t>(static_cast<uint64_t>(sum[n]) + weight * static_cast<uint64_t>(out[n]));
    }
    first = false;
  }
  if (first) std::fill(plain_.begin() + static_cast<ptrdiff_t>(begin), plain_.begin() + static_cast<ptrdiff_t>(end), 0);
  for (size_t w = range.begin; w < range.end; ++w) TakeMaxima(w);
  return absl::OkStatus();
}

void Evaluation::TakeMaxima(size_t w) {
  for (Raw& raw : raw_) {
    if (raw.scores.empty()) continue;
    int64_t max = 0;
    NodeSet::ForEachBit(feasible_.word(w), w, [&](NodeIndex n) { max = std::max(max, raw.scores[n]); });
    raw.word_max[w] = max;
  }
}

// Plugins are asked in two turns. Upstream's error is that of the first in its order.
void Evaluation::FindFirstScoreError(const Context& c) {
  const auto steps = c.framework.scores();
  for (size_t i = 0; i < steps.size(); ++i) {
    if (skip_score_[i]) continue;
    absl::Status status = steps[i].score->Score(c.pod, c.snap, state_, steps[i].cross == nullptr ? local_ : feasible_,
                                                {0, c.snap.words()}, totals_.data());
    if (status.ok()) continue;
    error_ = ScoreError(*steps[i].score, status);
    return;
  }
}

// One call a plugin, because its scores depend on all feasible nodes.
absl::Status Evaluation::ScoreAcross(const Context& c) {
  const auto steps = c.framework.scores();
  across_.clear();
  for (size_t i = 0; i < steps.size(); ++i) {
    if (skip_score_[i] || steps[i].cross == nullptr) continue;
    across_.resize(totals_.size(), 0);
    absl::Status status = steps[i].score->Score(c.pod, c.snap, state_, feasible_, {0, c.snap.words()}, totals_.data());
    if (!status.ok()) return ScoreError(*steps[i].score, status);
    for (size_t n = 0; n < across_.size(); ++n)
      across_[n] = static_cast<int64_t>(static_cast<uint64_t>(across_[n]) +
                                        static_cast<uint64_t>(steps[i].weight) * static_cast<uint64_t>(totals_[n]));
  }
  return absl::OkStatus();
}

// Returns whether a maximum moved, which changes every node's normalised score.
bool Evaluation::UpdateMaxima() {
  bool moved = false;
  for (Raw& raw : raw_) {
    int64_t max = 0;
    for (int64_t m : raw.word_max) max = std::max(max, m);
    moved |= max != raw.max;
    raw.max = max;
  }
  return moved;
}

void Evaluation::SumWords(const Context& c, WordRange range) {
  const auto steps = c.framework.scores();
  const size_t begin = range.begin * kWordBits, end = range.end * kWordBits;
  std::copy(plain_.begin() + static_cast<ptrdiff_t>(begin), plain_.begin() + static_cast<ptrdiff_t>(end),
            totals_.begin() + static_cast<ptrdiff_t>(begin));
  if (!across_.empty()) {
    for (size_t n = begin; n < end; ++n)
      totals_[n] = static_cast<int64_t>(static_cast<uint64_t>(totals_[n]) + static_cast<uint64_t>(across_[n]));
  }
  for (size_t i = 0; i < raw_.size(); ++i) {
    const Raw& raw = raw_[i];
    if (raw.scores.empty()) continue;
    const Normalization how = steps[i].score->normalization();
    for (size_t w = range.begin; w < range.end; ++w) {
      NodeSet::ForEachBit(feasible_.word(w), w,
                          [&](NodeIndex n) { totals_[n] += steps[i].weight * Normalise(how, raw.scores[n], raw.max); });
    }
  }
}

void Evaluation::PickWords(const Context& c, WordRange range) {
  for (size_t w = range.begin; w < range.end; ++w) {
    const int64_t* const totals = totals_.data() + w * kWordBits;
    uint64_t best = 0;  // the rows with the highest total
    int64_t most = INT64_MIN;
    NodeSet::ForEachBit(feasible_.word(w), 0, [&](NodeIndex i) {
      if (totals[i] < most) return;
      best = totals[i] > most ? uint64_t{1} << i : best | uint64_t{1} << i;
      most = totals[i];
    });
    NodeIndex chosen = kNoNode;
    uint64_t least = UINT64_MAX;
    const uint64_t seed = tie_seed_;
    NodeSet::ForEachBit(best, w, [&](NodeIndex n) {
      const uint64_t tie = Mix(seed ^ c.snap.NodeTie(n));
      if (chosen != kNoNode && tie >= least) return;
      chosen = n, least = tie;
    });
    word_best_[w] = chosen;
    word_tie_[w] = chosen == kNoNode ? 0 : least;
  }
}

// False where a filter broke: all is to be computed anew.
bool Evaluation::RefreshFilters(const Context& c, std::span<const NodeIndex> rows, WorkCount& work) {
  dirty_.clear();
  for (NodeIndex row : rows) dirty_.push_back(row / kWordBits);
  std::sort(dirty_.begin(), dirty_.end());
  dirty_.erase(std::unique(dirty_.begin(), dirty_.end()), dirty_.end());

  Stage filter(c, Point::kFilter);
  for (const uint32_t w : dirty_) {
    local_.word(w) = candidates_.word(w);
    if (FilterRange(c, Which::kLocal, local_, {w, w + 1}).ok()) continue;
    filter.End("Error");
    return false;
  }
  Recount(c, rows);
  before_ = feasible_;
  // Of rows that did not change only filters that look at other nodes can say something else.
  if (looks_across(c.framework)) {
    FilterRest(c);
  } else {
    RefreshRest(c);
  }
  work.filtered += dirty_.size();
  filter.End(FilterStatus());
  return true;
}

// Of the words in dirty_, and of those whose feasible nodes are no longer the same.
void Evaluation::RefreshScores(const Context& c, bool had_none, WorkCount& work) {
  if (!error_.ok()) return;
  if (feasible_count_ == 0) {
    std::fill(word_best_.begin(), word_best_.end(), kNoNode);
    return;
  }
  if (!(had_none ? PreScore(c) : PreScoreAcross(c))) return OnScoreError(c);
  Stage score(c, Point::kScore);
  if (had_none) {  // scores were never computed, or are of an older state: all words anew
    ResizeScores(c);
    dirty_.resize(feasible_.words());
    for (uint32_t w = 0; w < dirty_.size(); ++w) dirty_[w] = w;
  }
  for (const uint32_t w : dirty_) {
    if (error_ = ScoreWords(c, {w, w + 1}); error_.ok()) continue;
    FindFirstScoreError(c);
    score.End("Error");
    return OnScoreError(c);
  }
  const bool had_across = !across_.empty();
  if (error_ = ScoreAcross(c); !error_.ok()) {
    FindFirstScoreError(c);
    score.End("Error");
    return OnScoreError(c);
  }
  work.scored += dirty_.size();
  // Words that were not dirty, but whose feasible nodes changed.
  for (uint32_t w = 0; w < feasible_.words(); ++w) {
    if (feasible_.word(w) == before_.word(w)) continue;
    TakeMaxima(w);
    dirty_.push_back(w);
  }
  if (UpdateMaxima() || had_across || !across_.empty()) {
    const WordRange all{0, feasible_.words()};
    SumWords(c, all);
    PickWords(c, all);
  } else {
    for (const uint32_t w : dirty_) {
      SumWords(c, {w, w + 1});
      PickWords(c, {w, w + 1});
    }
  }
  score.End("Success");
}

NodeIndex Evaluation::Best() const {
  NodeIndex best = kNoNode;
  uint64_t best_tie = 0;
  for (size_t w = 0; w < word_best_.size(); ++w) {
    const NodeIndex n = word_best_[w];
    if (n == kNoNode) continue;
    if (best != kNoNode && (totals_[n] < totals_[best] || (totals_[n] == totals_[best] && word_tie_[w] >= best_tie)))
      continue;
    best = n, best_tie = word_tie_[w];
  }
  return best;
}

NodeIndex Evaluation::BestIn(const NodeSet& among, const Snapshot& snap) const {
  NodeIndex best = kNoNode;
  for (size_t w = 0; w < feasible_.words(); ++w) {
    NodeSet::ForEachBit(feasible_.word(w) & among.word(w), w, [&](NodeIndex n) {
      if (best == kNoNode || Better(n, best, snap)) best = n;
    });
  }
  return best;
}

absl::Status Evaluation::Scores(const Framework& framework, const PodInfo& pod, const Snapshot& snap, size_t step,
                                std::vector<int64_t>& out) const {
  out.clear();
  if (feasible_count_ == 0 || !score_error_.ok() || skip_score_[step]) return absl::OkStatus();
  out.assign(snap.words() * kWordBits, 0);
  const ScorePlugin& plugin = *framework.scores()[step].score;
  absl::Status status = plugin.Score(pod, snap, state_, feasible_, {0, snap.words()}, out.data());
  if (!status.ok() || plugin.normalization() == Normalization::kNone) return status;
  feasible_.ForEach([&](NodeIndex n) { out[n] = Normalise(plugin.normalization(), out[n], raw_[step].max); });
  return absl::OkStatus();
}

}  // namespace muster
