// What if a row changed, and why a node does not do: the slow questions about an Evaluation.
#include <string>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "scheduler/framework/evaluation.h"

namespace muster {

bool Evaluation::FitsNow(const Context& c, NodeIndex n) {
  Recount(c, std::span(&n, 1));
  if (trial_.words() != c.snap.words()) trial_.Reset(c.snap.size());
  const size_t w = n / kWordBits;
  trial_.Add(n);
  const WordRange word{w, w + 1};
  const bool ok = FilterRange(c, Which::kLocal, trial_, word).ok() && trial_.word(w) != 0 &&
                  FilterRange(c, Which::kAcross, trial_, word).ok() && trial_.word(w) != 0;
  trial_.word(w) = 0;
  return ok;
}

bool Evaluation::FitsBesideNominated(const Context& c, NodeIndex n, const std::vector<Nominator::Entry>& entries) {
  const size_t mark = c.nominated->statement.Checkpoint();
  const uint64_t version = c.snap.cell_version();
  // Of pods without volumes filters read nothing but cells: their sums will do, where hundreds wait for one node.
  absl::InlinedVector<std::pair<ColumnId, int64_t>, 16> sums;
  for (const Nominator::Entry& e : entries) {
    if (!c.nominated->nominator.Keeps(*e.info, c.pod) || (n == own_row_ && e.pod->uid == c.nominated->uid)) continue;
    if (!e.info->spec->volumes.empty()) {
      c.nominated->statement.Place({e.pod.get(), e.info.get()}, n);
      continue;
    }
    size_t at = 0;  // most have the same columns in the same order
    for (const PodInfo::CellDelta& d : e.info->cells) {
      if (at >= sums.size() || sums[at].first != d.column) {
        for (at = 0; at < sums.size() && sums[at].first != d.column; ++at) {
        }
        if (at == sums.size()) sums.emplace_back(d.column, 0);
      }
      sums[at++].second += d.delta;
    }
  }
  for (const auto& [column, sum] : sums) c.nominated->statement.Set(column, n, c.snap.Cell(column, n) + sum);
  const bool fits = FitsNow(c, n);
  c.nominated->statement.EndTrial(mark, version);
  Recount(c, std::span(&n, 1));
  return fits;
}

bool Evaluation::Fits(const Framework& framework, const PodInfo& pod, const Snapshot& snap, NodeIndex n,
                      const Nominated* nominated) {
  const Context c{framework, pod, snap, nullptr, nominated};
  if (!candidates_.Has(n) || !FitsNow(c, n)) return false;
  if (nominated == nullptr) return true;
  const auto entries = nominated->nominator.by_node().find(snap.NodeName(n));
  return entries == nominated->nominator.by_node().end() || FitsBesideNominated(c, n, entries->second.entries);
}

void Evaluation::Restore(const Framework& framework, const PodInfo& pod, const Snapshot& snap, NodeIndex n) {
  Recount({framework, pod, snap, nullptr, nullptr}, std::span(&n, 1));
}

absl::Status Evaluation::Explain(const Framework& framework, const PodInfo& pod, const Snapshot& snap, Rejections& out,
                                 const Nominated* nominated) {
  out.Reset(snap.size());
  return ExplainSome(framework, pod, snap, snap.all(), out, nominated);
}

absl::Status Evaluation::ExplainSome(const Framework& framework, const PodInfo& pod, const Snapshot& snap,
                                     const NodeSet& which, Rejections& out, const Nominated* nominated) {
  const Context c{framework, pod, snap, nullptr, nominated};
  NodeSet alive = which;
  which.ForEach([&](NodeIndex n) {
    if (candidates_.Has(n)) return;
    alive.Remove(n);
    const std::string& invalid = snap.node(n).invalid;
    const std::string text =
        invalid.empty() ? NarrowedText() : absl::StrCat("node(s) cannot be interpreted: ", invalid);
    out.nodes[n] = {Rejections::kNobody, Code::kUnschedulableAndUnresolvable, {out.texts.Intern(text)}};
  });
  absl::Status status;
  // Beside nominated pods first: what fails there is told as it fails there.
  if (nominated != nullptr) {
    nominated->ForEachRowOf(which, pod, snap, [&](NodeIndex n, const std::vector<Nominator::Entry>& entries) {
      if (!alive.Has(n)) return;
      const size_t mark = nominated->statement.Checkpoint();
      const uint64_t version = snap.cell_version();
      nominated->Place(entries, pod, n);
      Recount(c, std::span(&n, 1));
      NodeSet one(snap.size());
      one.Add(n);
      status.Update(ExplainNodes(c, one, {n / kWordBits, n / kWordBits + 1}, out));
      if (!one.Has(n)) alive.Remove(n);
      nominated->statement.EndTrial(mark, version);
      Recount(c, std::span(&n, 1));
    });
  }
  for (size_t w = 0; w < alive.words();) {  // runs of words in which there is something
    size_t end = w;
    while (end < alive.words() && alive.word(end) != 0) ++end;
    if (end > w) status.Update(ExplainNodes(c, alive, {w, end}, out));
    w = end + 1;
  }
  return status;
}

bool Evaluation::looks_across(const Framework& framework) const {
  const auto steps = framework.filters();
  for (size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].cross != nullptr && !skip_filter_[i]) return true;
  }
  return false;
}

absl::Status Evaluation::ExplainNodes(const Context& c, NodeSet& alive, WordRange range, Rejections& out) const {
  Feasible nodes(alive, range, &out);
  const auto steps = c.framework.filters();
  for (size_t i = 0; i < steps.size(); ++i) {
    if (skip_filter_[i]) continue;
    nodes.BeginPlugin(static_cast<uint16_t>(i));
    if (absl::Status status = steps[i].filter->Filter(c.pod, c.snap, state_, nodes); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace muster
