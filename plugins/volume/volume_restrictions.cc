#include "plugins/volume/volume_restrictions.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "plugins/volume/pod_claims.h"

namespace muster {
namespace {

constexpr Reason kDiskConflict{"node(s) had no available disk", /*preemption_may_help=*/true};
constexpr Reason kClaimInUse{
    "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod",
    /*preemption_may_help=*/true};

struct State final : PluginState {
  std::set<std::string> claims;  // of the pod with ReadWriteOncePod, by name
  // Of those, how many were in use when PreFilter ran, and what changed since by what-if. As upstream,
  // changes count a claim of the same name in any namespace.
  int in_use = 0;
  std::vector<int> uses;  // by row, uses of claims of these names; empty where there are no claims
};

bool IsRestricted(const PodVolume& v) {
  using K = PodVolume::Kind;
  return v.kind == K::kGcePd || v.kind == K::kAwsEbs || v.kind == K::kRbd || v.kind == K::kIscsi;
}

bool Overlap(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  return std::any_of(a.begin(), a.end(),
                     [&](const std::string& x) { return std::find(b.begin(), b.end(), x) != b.end(); });
}

bool Conflict(const PodVolume& a, const PodVolume& b) {
  if (a.kind != b.kind || a.source != b.source) return false;
  const bool only_read = a.read_only && b.read_only;
  switch (a.kind) {
    case PodVolume::Kind::kAwsEbs: return true;
    case PodVolume::Kind::kGcePd:
    case PodVolume::Kind::kIscsi: return !only_read;
    case PodVolume::Kind::kRbd: return !only_read && a.pool == b.pool && Overlap(a.monitors, b.monitors);
    default: return false;
  }
}

bool Conflict(const PodSpec& pod, const PodSpec& other) {
  return std::any_of(pod.volumes.begin(), pod.volumes.end(), [&](const PodVolume& v) {
    return IsRestricted(v) &&
           std::any_of(other.volumes.begin(), other.volumes.end(), [&](const PodVolume& o) { return Conflict(v, o); });
  });
}

int UsesOn(const Snapshot& snap, NodeIndex n, const std::set<std::string>& claims) {
  int uses = 0;
  for (const PodOnNode& pod : snap.PodsOn(n)) {
    for (const PodVolume& v : pod.info->spec->volumes) {
      uses += v.kind == PodVolume::Kind::kClaim && claims.contains(v.source);
    }
  }
  return uses;
}

}  // namespace

bool VolumeRestrictions::MayHelp(const Pod& pod, const ClusterEvent& event) const {
  const PodSpec& spec = *pod.spec;
  if ((event.what & kNodeAdded) != 0) return true;
  if ((event.what & kClaimAdded) != 0) return NamesClaim(spec, event.new_object, /*ephemeral=*/false);
  if (event.old_pod == nullptr) return false;
  const PodSpec& gone = *event.old_pod->spec;
  if (gone.ns != spec.ns) return false;
  if (Conflict(spec, gone)) return true;
  return std::any_of(spec.volumes.begin(), spec.volumes.end(), [&](const PodVolume& v) {
    return v.kind == PodVolume::Kind::kClaim &&
           std::any_of(gone.volumes.begin(), gone.volumes.end(),
                       [&](const PodVolume& g) { return g.kind == PodVolume::Kind::kClaim && g.source == v.source; });
  });
}

absl::StatusOr<Outcome> VolumeRestrictions::PreFilter(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                                      NodeSet&) const {
  const PodSpec& spec = *pod.spec;
  if (spec.volumes.empty()) return Outcome::Skip();
  State made;
  for (const PodVolume& v : spec.volumes) {
    if (v.kind != PodVolume::Kind::kClaim) continue;
    const PersistentVolumeClaim* claim = FindClaim(snap.objects(), spec.ns, v.source);
    if (claim == nullptr) return Outcome::Unresolvable(ClaimNotFound(v.source));
    const std::vector<std::string>& modes = claim->access_modes;
    if (std::find(modes.begin(), modes.end(), "ReadWriteOncePod") != modes.end()) made.claims.insert(v.source);
  }
  for (const std::string& claim : made.claims) made.in_use += snap.ClaimUsers(absl::StrCat(spec.ns, "/", claim)) > 0;
  // Who uses a claim may change on any row: nothing is kept for longer than the rows stay as they are.
  if (!made.claims.empty()) state.HoldOnlyNow();
  const bool disks = std::any_of(spec.volumes.begin(), spec.volumes.end(), IsRestricted);
  if (!disks && made.in_use == 0) return Outcome::Skip();
  if (!made.claims.empty()) {
    made.uses.resize(snap.size());
    for (NodeIndex n = 0; n < snap.size(); ++n) made.uses[n] = UsesOn(snap, n, made.claims);
  }
  state.Emplace(slot(), std::move(made));
  return Outcome::Success();
}

bool VolumeRestrictions::Recount(const PodInfo&, const Snapshot& snap, std::span<const NodeIndex> rows,
                                 CycleState& state) const {
  auto& made = state.Mutable<State>(slot());
  if (made.uses.empty()) return false;
  const bool before = made.in_use > 0;
  for (const NodeIndex n : rows) {
    const int uses = UsesOn(snap, n, made.claims);
    made.in_use += uses - made.uses[n];
    made.uses[n] = uses;
  }
  return before != (made.in_use > 0);
}

absl::Status VolumeRestrictions::Filter(const PodInfo& pod, const Snapshot& snap, const CycleState& state,
                                        Feasible& nodes) const {
  const PodSpec& spec = *pod.spec;
  const bool disks = std::any_of(spec.volumes.begin(), spec.volumes.end(), IsRestricted);
  if (!state.Has(slot())) {  // only for a profile without this PreFilter
    return absl::InternalError("cannot read \"PreFilterVolumeRestrictions\" from cycleState");
  }
  const bool in_use = state.Get<State>(slot()).in_use > 0;
  for (size_t w = nodes.range().begin; w < nodes.range().end; ++w) {
    uint64_t conflicts = 0;
    if (disks) {
      NodeSet::ForEachBit(nodes.Entered(w), w, [&](NodeIndex n) {
        for (const PodOnNode& other : snap.PodsOn(n)) {
          if (other.info->spec->volumes.empty() || !Conflict(spec, *other.info->spec)) continue;
          conflicts |= uint64_t{1} << (n % kWordBits);
          break;
        }
      });
      nodes.Retain(w, ~conflicts, kDiskConflict);
    }
    if (in_use) nodes.Retain(w, conflicts, kClaimInUse);  // one reason a node
  }
  return absl::OkStatus();
}

}  // namespace muster
