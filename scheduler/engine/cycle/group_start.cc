// When and where a group can start at the earliest, if the pods that run now end when they say.
#include <algorithm>
#include <utility>
#include <vector>

#include "scheduler/engine/cycle/group_cycle.h"
#include "scheduler/framework/victims.h"

namespace muster {
namespace {

struct End {
  Time at;
  PlacedPod pod;
};

// Pods whose end is known, the first first; of more than kMost the first of them.
constexpr size_t kMost = 4096;
// Who should have ended does so soon, but not at once: a start planned for now would be over, and planned again, at
// once.
constexpr Duration kOverdue = absl::Seconds(10);

std::vector<End> KnownEnds(const Snapshot& snapshot, Time now) {
  std::vector<End> ends;
  for (NodeIndex n = 0; n < snapshot.size(); ++n) {
    for (const PodOnNode& on : snapshot.PodsOn(n)) {
      if (!on.pod->max_runtime) continue;
      const Time started = on.pod->started == absl::InfinitePast() ? now : on.pod->started;
      ends.push_back({std::max(now + kOverdue, started + *on.pod->max_runtime), {on, n}});
    }
  }
  std::sort(ends.begin(), ends.end(), [](const End& a, const End& b) {
    return a.at != b.at ? a.at < b.at : a.pod.pod.pod->uid < b.pod.pod.pod->uid;
  });
  if (ends.size() > kMost) ends.resize(kMost);
  return ends;
}

}  // namespace

bool GroupCycle::PlanStart(const Framework& framework, const GroupRequest& request, const std::string& key,
                           const std::string& name) {
  const std::vector<End> ends = KnownEnds(snapshot_, request.now);
  StartPlans::Plan plan{name, {}, {}, request.priority};
  // Whether the group fits once the first `count` are gone; notes where.
  const auto fits_after = [&](size_t count) {
    const size_t mark = statement_.Checkpoint();
    for (size_t i = 0; i < count; ++i) statement_.Remove(ends[i].pod.pod, ends[i].pod.row);
    const Nominated others{nominator_, statement_, request.members[0].pod->uid};
    const Nominated* nominated = nominator_.by_node().empty() ? nullptr : &others;
    shapes_.BeginRound();
    bool fits = false;
    if (search_.Begin(framework, request, shapes_, nominated, nullptr, result_.work)) {
      places_.Visit(framework, request, search_.need(), snapshot_, search_, [&](const PlacementCandidate& candidate) {
        const GroupSearch::Verdict said = search_.Place(candidate, /*whole=*/false);
        fits = said == GroupSearch::Verdict::kPlaced;
        return fits || said == GroupSearch::Verdict::kBroken;
      });
    }
    if (fits) {
      plan.rows.Reset(snapshot_.size());
      for (const NodeIndex n : search_.nodes()) {
        if (n != kNoNode) plan.rows.Add(n);
      }
      plan.at = ends[count - 1].at;
    }
    search_.Keep();
    statement_.Rollback(mark);
    return fits;
  };
  // Four times as many until it fits, then between the last two: 4 + 4 tries, and a bit late at worst.
  size_t too_few = 0, enough = 0;
  for (size_t count = std::min<size_t>(16, ends.size()); count > too_few; count = std::min(4 * count, ends.size())) {
    if (fits_after(count)) {
      enough = count;
      break;
    }
    too_few = count;
  }
  if (enough == 0) return false;
  for (int i = 0; i < 4 && enough - too_few > 1; ++i) {
    const size_t middle = too_few + (enough - too_few) / 2;
    (fits_after(middle) ? enough : too_few) = middle;
  }
  plans_.Set(key, std::move(plan));
  return true;
}

}  // namespace muster
