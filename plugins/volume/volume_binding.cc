#include "plugins/volume/volume_binding.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "plugins/volume/pod_claims.h"
#include "plugins/volume/volume_matching.h"
#include "scheduler/framework/statement.h"

namespace muster {
namespace {

constexpr Reason kBoundElsewhere{"node(s) didn't match PersistentVolume's node affinity"};
constexpr Reason kNoMatch{"node(s) didn't find available persistent volumes to bind"};
constexpr Reason kNoSpace{"node(s) did not have enough free storage"};
constexpr Reason kVolumeGone{"node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"};

struct State final : PluginState {
  std::optional<VolumeMatcher> matcher;  // unset: the pod has no claims
  bool scored = false;                   // some node's score may be other than 0
  mutable bool filtered = false;         // written by several threads at once
};

// What keeps the pod off every node, "" where nothing does.
std::string BrokenClaim(const PodSpec& pod, const ClusterObjects& objects, bool* any) {
  for (const PodVolume& v : pod.volumes) {
    if (!UsesClaim(v)) continue;
    *any = true;
    const PersistentVolumeClaim* claim = FindClaim(objects, pod.ns, v.source);
    if (claim == nullptr && v.kind == PodVolume::Kind::kClaim) return ClaimNotFound(v.source);
    if (claim == nullptr) {
      return absl::StrCat("waiting for ephemeral volume controller to create the persistentvolumeclaim \"", v.source,
                          "\"");
    }
    if (claim->phase == "Lost") {
      return absl::StrCat("persistentvolumeclaim \"", claim->name, "\" bound to non-existent persistentvolume \"",
                          claim->volume_name, "\"");
    }
    if (claim->deleting) return absl::StrCat("persistentvolumeclaim \"", claim->name, "\" is being deleted");
    if (v.kind == PodVolume::Kind::kEphemeral) {
      if (std::string why = NotOwned(pod, v, *claim); !why.empty()) return why;
    }
  }
  return {};
}

struct Use {
  int64_t requested = 0, capacity = 0;
};

int64_t RequestOf(const PersistentVolumeClaim& claim) { return claim.request ? claim.request->Value() : 0; }

// How full the storage would be, by class: of the volumes that would be bound; without such, of what
// others would be provisioned from.
std::map<std::string, Use> UseByClass(const NodeVolumes& volumes) {
  std::map<std::string, Use> uses;
  for (const NodeVolumes::Binding& b : volumes.bindings) {
    Use& use = uses[b.volume->storage_class];
    use.requested += RequestOf(*b.claim);
    use.capacity += b.volume->capacity.Value();
  }
  if (!volumes.bindings.empty()) return uses;
  for (const NodeVolumes::Provision& p : volumes.provisions) {
    if (p.capacity == nullptr) continue;
    Use& use = uses[p.claim->storage_class.value_or("")];
    use.requested += RequestOf(*p.claim);
    use.capacity = p.capacity->capacity ? p.capacity->capacity->Value() : 0;
  }
  return uses;
}

int64_t ScoreOf(const NodeVolumes& volumes, const UtilizationScores& scores) {
  const std::map<std::string, Use> uses = UseByClass(volumes);
  if (uses.empty()) return 0;
  int64_t sum = 0;
  for (const auto& [name, use] : uses) {
    int64_t percent = 100;
    if (use.capacity != 0 && use.requested <= use.capacity) {
      // Upstream's product wraps around; its scores of less than nothing are those of nothing.
      percent = static_cast<int64_t>(static_cast<uint64_t>(use.requested) * 100) / use.capacity;
    }
    sum += scores[static_cast<size_t>(std::clamp<int64_t>(percent, 0, 100))];
  }
  const auto classes = static_cast<int64_t>(uses.size());
  return (2 * sum + classes) / (2 * classes);  // rounded half up
}

// What is to be bound or provisioned on the node; nothing where all claims are bound.
NodeVolumes Unbound(const PodInfo& pod, const Snapshot& snap, NodeIndex node) {
  auto claims = ClaimsOf(*pod.spec, snap.objects());
  if (!claims.ok() || claims->delayed.empty()) return {};
  claims->bound.clear();
  auto volumes = VolumeMatcher(snap, *claims).On(node);
  return volumes.ok() ? *std::move(volumes) : NodeVolumes();
}

bool UsesAnyClaim(const PodInfo& pod) {
  return std::any_of(pod.spec->volumes.begin(), pod.spec->volumes.end(), UsesClaim);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Plugin>> VolumeBinding::Make(const PluginArgs& args) {
  const auto* given = std::get_if<VolumeBindingArgs>(&args);
  return std::unique_ptr<Plugin>(new VolumeBinding(given != nullptr ? *given : VolumeBindingArgs()));
}

bool VolumeBinding::MayHelp(const Pod& pod, const ClusterEvent& event) const {
  if ((event.what & (kClaimAdded | kClaimUpdated)) != 0) {
    return NamesClaim(*pod.spec, event.new_object, /*ephemeral=*/true);
  }
  if (event.old_object == nullptr || event.new_object == nullptr) return true;
  if ((event.what & kStorageClassUpdated) != 0) {
    return static_cast<const StorageClass&>(*event.old_object).allowed_topologies !=
           static_cast<const StorageClass&>(*event.new_object).allowed_topologies;
  }
  if ((event.what & kCSINodeUpdated) != 0) {
    return static_cast<const CSINode&>(*event.old_object).migrated_plugins !=
           static_cast<const CSINode&>(*event.new_object).migrated_plugins;
  }
  if ((event.what & kCSIDriverUpdated) != 0) {
    const auto& before = static_cast<const CSIDriver&>(*event.old_object);
    const auto& after = static_cast<const CSIDriver&>(*event.new_object);
    const std::vector<PodVolume>& volumes = pod.spec->volumes;
    return before.storage_capacity && !after.storage_capacity &&
           std::any_of(volumes.begin(), volumes.end(),
                       [&](const PodVolume& v) { return v.kind == PodVolume::Kind::kCsi && v.source == after.name; });
  }
  if ((event.what & kStorageCapacityUpdated) != 0) {
    const auto& before = static_cast<const CSIStorageCapacity&>(*event.old_object).Limit();
    const auto& after = static_cast<const CSIStorageCapacity&>(*event.new_object).Limit();
    return after && (!before || after->Value() > before->Value());
  }
  return true;
}

absl::StatusOr<Outcome> VolumeBinding::PreFilter(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                                 NodeSet&) const {
  State& made = state.Emplace(slot(), State());
  bool any = false;
  if (std::string why = BrokenClaim(*pod.spec, snap.objects(), &any); !why.empty()) {
    return Outcome::Unresolvable(std::move(why));
  }
  if (!any) return Outcome::Skip();
  auto claims = ClaimsOf(*pod.spec, snap.objects());
  if (!claims.ok()) return claims.status();
  if (!claims->immediate.empty()) return Outcome::Unresolvable("pod has unbound immediate PersistentVolumeClaims");
  made.matcher.emplace(snap, *claims);
  made.scored = made.matcher->counts_space();
  return Outcome::Success();
}

absl::Status VolumeBinding::Filter(const PodInfo&, const Snapshot&, const CycleState& state, Feasible& nodes) const {
  if (!state.Has(slot())) return absl::InternalError("not found");  // upstream's words without its PreFilter
  const std::optional<VolumeMatcher>& matcher = state.Get<State>(slot()).matcher;
  if (!matcher) return absl::OkStatus();
  // A profile may leave this filter out: then nothing is known of the nodes' volumes, and nothing scored.
  std::atomic_ref<bool>(state.Get<State>(slot()).filtered).store(true, std::memory_order_relaxed);
  for (size_t w = nodes.range().begin; w < nodes.range().end; ++w) {
    const auto verdicts = matcher->OnWord(w, nodes.Entered(w));
    if (!verdicts.ok()) return verdicts.status();
    nodes.Retain(w, ~verdicts->bound_elsewhere, kBoundElsewhere);
    nodes.Retain(w, ~verdicts->no_match, kNoMatch);
    nodes.Retain(w, ~verdicts->no_space, kNoSpace);
    nodes.Retain(w, ~verdicts->volume_gone, kVolumeGone);
  }
  return absl::OkStatus();
}

// Never skips: a pod without volumes to bind has the score 0 everywhere, as upstream.
absl::StatusOr<Outcome> VolumeBinding::PreScore(const PodInfo&, const Snapshot&, CycleState& state,
                                                const NodeSet&) const {
  if (!state.Has(slot())) return absl::InternalError("not found");
  return Outcome::Success();
}

absl::Status VolumeBinding::Score(const PodInfo&, const Snapshot&, const CycleState& state, const NodeSet& feasible,
                                  WordRange range, int64_t* out) const {
  if (!state.Has(slot())) return absl::InternalError("not found");
  const State& made = state.Get<State>(slot());
  std::fill(out + range.begin * kWordBits, out + range.end * kWordBits, 0);
  if (!made.scored || !made.filtered) return absl::OkStatus();
  for (size_t w = range.begin; w < range.end; ++w) {
    NodeSet::ForEachBit(feasible.word(w), w, [&](NodeIndex n) {
      if (const auto volumes = made.matcher->On(n); volumes.ok()) out[n] = ScoreOf(*volumes, scores_);
    });
  }
  return absl::OkStatus();
}

Outcome VolumeBinding::Reserve(const PodOnNode& pod, const Snapshot& snap, NodeIndex node, Statement& statement) const {
  if (!UsesAnyClaim(*pod.info)) return Outcome::Success();
  const NodeVolumes volumes = Unbound(*pod.info, snap, node);
  // Made before any is set: setting one may free another's memory.
  std::vector<std::pair<Kind, ObjectPtr>> assumed;
  for (const NodeVolumes::Binding& b : volumes.bindings) {
    auto volume = std::make_shared<PersistentVolume>(*b.volume);
    const ClaimReference ref{b.claim->ns, b.claim->name, b.claim->uid};
    // A volume that names the claim already was bound to it by its user.
    if (!volume->claim_ref) volume->bound_by_controller = true;
    volume->claim_ref = ref;
    assumed.emplace_back(Kind::kPersistentVolume, std::move(volume));
  }
  for (const NodeVolumes::Provision& p : volumes.provisions) {
    auto claim = std::make_shared<PersistentVolumeClaim>(*p.claim);
    claim->selected_node = std::string(snap.NodeName(node));
    assumed.emplace_back(Kind::kPersistentVolumeClaim, std::move(claim));
  }
  for (auto& [kind, object] : assumed) statement.SetObject(kind, std::move(object));
  return Outcome::Success();
}

// After Reserve the assumed volumes are the ones that match.
Outcome VolumeBinding::PreBind(const PodOnNode& pod, const Snapshot& snap, NodeIndex node,
                               std::vector<Intent>& intents) const {
  if (!UsesAnyClaim(*pod.info)) return Outcome::Success();
  const NodeVolumes volumes = Unbound(*pod.info, snap, node);
  const ClusterObjects& objects = snap.objects();
  const auto claim_of = [&](const PersistentVolumeClaim& c) {
    return objects.Find(Kind::kPersistentVolumeClaim, c.ns, c.name);
  };
  for (const NodeVolumes::Binding& b : volumes.bindings) {
    intents.push_back({Intent::Kind::kBindVolume, objects.Find(Kind::kPersistentVolume, "", b.volume->name),
                       claim_of(*b.claim), timeout_, &VolumeReaches});
  }
  for (const NodeVolumes::Provision& p : volumes.provisions) {
    intents.push_back({Intent::Kind::kProvisionClaim, nullptr, claim_of(*p.claim), timeout_, &VolumeReaches});
  }
  return Outcome::Success();
}

}  // namespace muster
