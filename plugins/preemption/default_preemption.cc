#include "plugins/preemption/default_preemption.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "plugins/preemption/dry_run.h"
#include "scheduler/framework/evaluation.h"
#include "scheduler/framework/explain.h"
#include "scheduler/framework/nominator.h"
#include "scheduler/framework/victims.h"

namespace muster {
namespace {

// Why the pod may not preempt now, or "".
std::string_view NotEligible(const PostFilterRequest& r) {
  if (r.info.spec->preemption_policy == "Never") return "not eligible due to preemptionPolicy=Never.";
  std::string nominated = r.pod.nominated_node;
  if (nominated.empty() && r.nominated != nullptr) nominated = r.nominated->nominator.NodeOf(r.pod.uid);
  const NodeIndex n = nominated.empty() ? kNoNode : r.snap.Find(nominated);
  if (n == kNoNode) return "";
  // What it waits for there cannot help it any more: it may look elsewhere.
  const Code code = r.answer.pre_filter().ok() ? r.verdicts.code(n) : r.answer.pre_filter().code;
  if (code == Code::kUnschedulableAndUnresolvable) return "";
  if (VictimIsGoing(r.snap, n, r.info.spec->priority))
    return "not eligible due to a terminating pod on the nominated node.";
  return "";
}

// Calls f(n) for the nodes of `set` from `start` on, round to it, while f says true.
template <typename F>
void ForEachFrom(const NodeSet& set, NodeIndex start, F&& f) {
  const size_t first = start / kWordBits;
  const uint64_t from = ~uint64_t{0} << (start % kWordBits);
  for (size_t i = 0; i <= set.words(); ++i) {
    const size_t w = (first + i) % set.words();
    uint64_t bits = set.word(w);
    if (i == 0) bits &= from;
    if (i == set.words()) bits &= ~from;
    for (; bits != 0; bits &= bits - 1) {
      if (!f(static_cast<NodeIndex>(w * kWordBits + static_cast<size_t>(std::countr_zero(bits))))) return;
    }
  }
}

// No candidate: what was wrong with each node.
PostFilterResult NotHelpful(const PostFilterRequest& r, DryRuns& runs, const NodeSet* potential) {
  PostFilterResult result;
  absl::btree_map<std::string, int32_t> reasons;
  std::vector<std::string> errors;
  auto rest = static_cast<int32_t>(r.snap.size());
  std::vector<int32_t> fails(runs.kinds().size(), 0);
  int32_t no_victims = 0;
  if (potential != nullptr) {
    potential->ForEach([&](NodeIndex n) {
      const DryRun& run = runs.Of(r, n);
      --rest;
      if (run.result == DryRun::Result::kNoVictims) ++no_victims;
      if (run.result == DryRun::Result::kFails) ++fails[run.why];
      if (run.result == DryRun::Result::kFitsAnyway)
        errors.push_back(absl::StrCat("expected at least one victim pod on node \"", AsAbsl(r.snap.NodeName(n)), "\""));
    });
  }
  if (!errors.empty()) {
    const std::string all = absl::StrJoin(errors, ", ");
    result.message = errors.size() == 1 ? absl::StrCat("preemption: ", all) : absl::StrCat("preemption: [", all, "]");
    return result;
  }
  if (no_victims > 0) reasons["No preemption victims found for incoming pod"] = no_victims;
  if (rest > 0) reasons["Preemption is not helpful for scheduling"] = rest;
  for (uint32_t kind = 0; kind < fails.size(); ++kind) {
    if (fails[kind] == 0) continue;
    for (const uint32_t reason : runs.kinds()[kind].reasons) reasons[runs.Text(reason)] += fails[kind];
  }
  result.code = Code::kUnschedulable;
  result.message = absl::StrCat("preemption: ", NoNodeMessage(r.snap.size(), reasons));
  result.nominate = "";
  return result;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Plugin>> DefaultPreemption::Make(const PluginArgs& args) {
  const auto* given = std::get_if<DefaultPreemptionArgs>(&args);
  return std::make_unique<DefaultPreemption>(given != nullptr ? *given : DefaultPreemptionArgs());
}

size_t DefaultPreemption::CandidatesWanted(size_t nodes) const {
  const size_t share = nodes * static_cast<size_t>(args_.min_candidate_nodes_percentage) / 100;
  return std::min(nodes, std::max(share, static_cast<size_t>(args_.min_candidate_nodes_absolute)));
}

PostFilterResult DefaultPreemption::PostFilter(const PostFilterRequest& r, CycleState& memo) const {
  PostFilterResult result;
  if (const std::string_view why = NotEligible(r); !why.empty()) {
    result.code = Code::kUnschedulable;
    result.message = absl::StrCat("preemption: ", AsAbsl(why));
    return result;
  }
  DryRuns& runs = memo.Ensure<DryRuns>(slot());
  // Where a PreFilter plugin said no, nothing proves that the pod fits once pods are gone.
  const NodeSet* potential = r.answer.pre_filter().ok() ? &r.verdicts.resolvable() : nullptr;
  if (potential == nullptr || !potential->Any()) return NotHelpful(r, runs, nullptr);

  runs.Refresh(r);
  const size_t wanted = r.all_nodes ? r.snap.size() : CandidatesWanted(potential->Count());
  const auto start = static_cast<NodeIndex>(r.all_nodes ? 0 : Mix(r.seed, r.info.shape) % r.snap.size());
  NodeIndex best = kNoNode;
  const DryRun* best_run = nullptr;
  size_t found = 0, harmless = 0;
  ForEachFrom(*potential, start, [&](NodeIndex n) {
    const DryRun& run = runs.Of(r, n);
    if (run.result != DryRun::Result::kCandidate) return true;
    ++found;
    harmless += run.violations == 0;
    if (best == kNoNode || run.BetterThan(*best_run) || (n < best && !best_run->BetterThan(run))) {
      best = n;
      best_run = &run;
    }
    return harmless == 0 || found < wanted;
  });
  if (best == kNoNode) return NotHelpful(r, runs, potential);

  result.budget_violations = runs.Try(r, best).violations;
  for (const PodOnNode& victim : runs.victims()) result.victims.push_back(victim.pod);
  result.code = Code::kSuccess;
  result.nominate = std::string(r.snap.NodeName(best));
  result.message = absl::StrCat("preemption: found a potential placement for pod on node ", *result.nominate,
                                ", preempting ", result.victims.size(), " victims");
  return result;
}

}  // namespace muster
