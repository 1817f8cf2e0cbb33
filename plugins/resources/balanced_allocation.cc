#include "plugins/resources/balanced_allocation.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "plugins/node/node_selector.h"
#include "plugins/resources/resource_score.h"
#include "plugins/resources/scored_resources.h"

namespace muster {
namespace {

struct State final : PluginState {
  std::vector<ScoredResource> scored;
};

// Whether the pod asks for none of the resources.
bool BestEffort(std::span<const ResourceWeight> resources, const PodSpec& spec) {
  return std::all_of(resources.begin(), resources.end(),
                     [&](const ResourceWeight& r) { return AmountOf(spec.amounts.usage, r.name) == 0; });
}

std::vector<std::string> Errors(const NodeResourcesBalancedAllocationArgs& args) {
  std::vector<std::string> errors;
  for (size_t i = 0; i < args.resources.size(); ++i) {
    const ResourceWeight& r = args.resources[i];
    const auto end = args.resources.begin() + static_cast<ptrdiff_t>(i);
    if (std::any_of(args.resources.begin(), end, [&](const ResourceWeight& o) { return o.name == r.name; })) {
      errors.push_back(absl::StrCat("resources[", i, "].name: Duplicate value: \"", r.name, "\""));
    }
    if (r.weight != 1) {
      errors.push_back(absl::StrCat("resources[", i, "].weight: Invalid value: ", r.weight, ": must be 1"));
    }
  }
  return errors;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Plugin>> BalancedAllocation::Make(const PluginArgs& args) {
  const auto* given = std::get_if<NodeResourcesBalancedAllocationArgs>(&args);
  NodeResourcesBalancedAllocationArgs own = given != nullptr ? *given : NodeResourcesBalancedAllocationArgs();
  if (const auto errors = Errors(own); !errors.empty()) return absl::InvalidArgumentError(JoinErrors(errors));
  return std::unique_ptr<Plugin>(new BalancedAllocation(std::move(own)));
}

absl::StatusOr<Outcome> BalancedAllocation::PreScore(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                                     const NodeSet&) const {
  if (BestEffort(args_.resources, *pod.spec)) return Outcome::Skip();  // else all such pods would meet on one node
  state.Ensure<State>(slot()).scored = ResolveScored(args_.resources, pod.spec->amounts.usage, snap);
  return Outcome::Success();
}

absl::Status BalancedAllocation::Score(const PodInfo& pod, const Snapshot& snap, const CycleState& state,
                                       const NodeSet&, WordRange range, int64_t* out) const {
  std::vector<ScoredResource> made;  // only for a profile without this PreScore
  const bool kept = state.Has(slot());
  if (!kept) {
    if (BestEffort(args_.resources, *pod.spec)) {
      std::fill(out + range.begin * kWordBits, out + range.end * kWordBits, 0);
      return absl::OkStatus();
    }
    made = ResolveScored(args_.resources, pod.spec->amounts.usage, snap);
  }
  const ScoredColumns columns = ColumnsOf(kept ? state.Get<State>(slot()).scored : made, snap, /*non_zero=*/false);
  ScoreBalanced(columns, range, out);
  return absl::OkStatus();
}

}  // namespace muster
