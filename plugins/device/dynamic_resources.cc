#include "plugins/device/dynamic_resources.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "plugins/node/node_selector.h"
#include "scheduler/framework/evaluation.h"
#include "scheduler/framework/post_filter.h"
#include "scheduler/framework/statement.h"
#include "scheduler/framework/verdicts.h"
#include "scheduler/model/stable_hash.h"

namespace muster {
namespace {

constexpr Reason kNoDevices{"cannot allocate all claims"};
constexpr Reason kElsewhere{"resourceclaim not available on the node"};
constexpr Reason kNotAsked{"devices were not looked for: the steps of one decision were used up"};
constexpr char kDeallocated[] = "deallocation of ResourceClaim completed";

constexpr size_t kMostConsumers = 256;  // of a claim: status.reservedFor
constexpr int64_t kMostAlternatives = 8;
// A step is some 30 ns: 0.6 ms for a node, and 12 ms for all that one look at the cluster may cost.
constexpr int64_t kStepsForNode = 20'000, kStepsInAll = 400'000;

bool IsReadyOrMayBe(const ResourceClaim& claim) {
  return std::none_of(claim.allocation->devices.begin(), claim.allocation->devices.end(), [&](const auto& device) {
    const auto& failures = device.binding_failure_conditions;
    return !device.binding_conditions.empty() &&
           std::any_of(claim.conditions.begin(), claim.conditions.end(), [&](const auto& condition) {
             return condition.device == device.id && condition.is_true &&
                    std::find(failures.begin(), failures.end(), condition.type) != failures.end();
           });
  });
}

// What the alternatives chosen are worth: the earlier the more.
int64_t WorthOf(const ResourceClaim& claim) {
  int64_t worth = 0;
  for (const DeviceRequest& request : claim.requests) {
    for (size_t i = 0; i < request.first_available.size(); ++i) {
      const std::string name = absl::StrCat(request.name, "/", request.first_available[i].name);
      const auto& devices = claim.allocation->devices;
      if (std::any_of(devices.begin(), devices.end(), [&](const auto& device) { return device.request == name; }))
        worth += kMostAlternatives - static_cast<int64_t>(i);
    }
  }
  return worth;
}

int64_t WorthOf(const DeviceOutcome& outcome, std::span<const ResourceClaim* const> claims) {
  int64_t worth = 0;
  for (size_t c = 0; c < claims.size(); ++c) {
    for (size_t r = 0; r < claims[c]->requests.size(); ++r) {
      if (!claims[c]->requests[r].first_available.empty()) worth += kMostAlternatives - outcome.chosen[c][r];
    }
  }
  return worth;
}

// Of a look at the cluster: a trial is of one node.
bool LooksAtMany(const Feasible& nodes) {
  size_t entered = 0;
  for (size_t w = nodes.range().begin; w < nodes.range().end && entered < 2; ++w) {
    entered += static_cast<size_t>(std::popcount(nodes.Entered(w)));
  }
  return entered > 1 && !nodes.explaining();
}

// Why the class of a request that is to be allocated cannot do, or "".
std::string ClassProblem(const ResourceClaim& claim, const ClusterObjects& objects) {
  const auto missing = [&](const DeviceRequest& request, const std::string& name) -> std::string {
    if (objects.Find(Kind::kDeviceClass, "", request.device_class) != nullptr) return "";
    return absl::StrCat("request ", name, ": device class ", request.device_class, " does not exist");
  };
  for (const DeviceRequest& request : claim.requests) {
    if (request.first_available.empty() && request.device_class.empty())
      return absl::StrCat("resource claim ", claim.Key(), ", request ", request.name, ": unknown request type");
    if (request.first_available.empty()) {
      if (std::string why = missing(request, request.name); !why.empty()) return why;
    }
    for (const DeviceRequest& alternative : request.first_available) {
      std::string why = missing(alternative, absl::StrCat(request.name, "/", alternative.name));
      if (!why.empty()) return why;
    }
  }
  return "";
}

}  // namespace

// What the allocator said of a node while its devices had this version.
struct DynamicResources::Row {
  enum class Kind : uint8_t { kNotAsked, kFits, kNoFit, kNodeError, kError };
  uint64_t version = 0;
  Kind kind = Kind::kNotAsked;
  int64_t worth = 0;    // kFits
  std::string message;  // of errors
};

struct DynamicResources::State final : PluginState {
  std::vector<ClaimPtr> keep_alive;
  std::vector<const ResourceClaim*> located;  // have an allocation
  std::vector<const ResourceClaim*> wanted;   // are to get one
  int64_t located_worth = 0;
  mutable std::vector<Row> rows;
  mutable int64_t steps = kStepsInAll;  // that are left
};

absl::StatusOr<std::unique_ptr<Plugin>> DynamicResources::Make(const PluginArgs& args) {
  const auto* given = std::get_if<DynamicResourcesArgs>(&args);
  return std::unique_ptr<Plugin>(new DynamicResources(given != nullptr ? *given : DynamicResourcesArgs()));
}

DynamicResources::DynamicResources(const DynamicResourcesArgs& args) : nodes_fail_alone_(args.nodes_fail_alone) {}

// --- The allocator --------------------------------------------------------------------------------

void DynamicResources::Look(const Snapshot& snap) const {
  objects_ = &snap.objects();
  if (devices_ != &snap.devices() ||
      !devices_->ForgottenSince(&forgotten_, [&](const ResourceSlice& slice) { selectors_.Forget(slice); })) {
    devices_ = &snap.devices();
    devices_->ForgottenSince(&forgotten_, [](const ResourceSlice&) {});
    selectors_ = DeviceSelectors();
    allocator_ = nullptr;
  }
  if (allocator_ != nullptr) return;
  DeviceQuestions questions;
  selectors_.Answer(questions);
  questions.node_matches = [](const std::vector<NodeSelectorTerm>& terms, const Node& node) {
    return MatchesAny(terms, node);
  };
  questions.find_class = [this](const std::string& name) {
    return objects_->Get<DeviceClass>(Kind::kDeviceClass, "", name);
  };
  questions.new_share_id = [this] { return ShareId(); };
  allocator_ = std::make_unique<DeviceAllocator>(DeviceFeatures(), std::move(questions));
}

// A UUID in form. Decisions have no random source: it is made of what there is once only.
std::string DynamicResources::ShareId() const {
  const uint64_t a = share_seed_ = Mix(share_seed_), b = Mix(a);
  return absl::StrFormat("%08x-%04x-4%03x-%04x-%012x", a >> 32, a >> 16 & 0xffff, a & 0xfff,
                         (b >> 48 & 0x3fff) | 0x8000, b & 0xffff'ffff'ffff);
}

DeviceOutcome DynamicResources::Run(const Snapshot& snap, NodeIndex node,
                                    std::span<const ResourceClaim* const> claims) const {
  Look(snap);
  return allocator_->Allocate(*devices_, snap.node(node), claims, kStepsForNode);
}

DeviceOutcome DynamicResources::Allocate(const Pod& pod, const Snapshot& snap, NodeIndex node,
                                         std::vector<ClaimPtr>* claims) const {
  std::vector<ClaimOfPod> all;
  DeviceOutcome outcome;
  outcome.message = FindClaims(pod, snap.objects(), &all);
  if (!outcome.message.empty()) return outcome;
  outcome.kind = DeviceOutcome::Kind::kAllocated;
  std::vector<const ResourceClaim*> wanted;
  share_seed_ = StableHash(pod.uid);
  for (ClaimOfPod& found : all) {
    if (found.claim->allocation) continue;
    share_seed_ = Mix(Mix(share_seed_, StableHash(found.claim->uid)), found.claim->resource_version);
    wanted.push_back(found.claim.get());
    claims->push_back(std::move(found.claim));
  }
  return wanted.empty() ? outcome : Run(snap, node, wanted);
}

// --- Queueing -------------------------------------------------------------------------------------

Outcome DynamicResources::PreEnqueue(const Pod& pod, const ClusterObjects& objects) const {
  if (pod.claims.empty()) return Outcome::Success();
  std::vector<ClaimOfPod> claims;
  std::string problem = FindClaims(pod, objects, &claims);
  return problem.empty() ? Outcome::Success() : Outcome::Unresolvable(std::move(problem));
}

bool DynamicResources::MayHelp(const Pod& pod, const ClusterEvent& event) const {
  if ((event.what & kSelfClaims) != 0) {
    return std::all_of(pod.claims.begin(), pod.claims.end(), [](const PodClaim& claim) { return claim.known; });
  }
  if ((event.what & kResourceClaimChanged) == 0) return true;
  const auto* before = static_cast<const ResourceClaim*>(event.old_object);
  const auto* after = static_cast<const ResourceClaim*>(event.new_object);
  // Devices are free again, for anybody.
  if (before != nullptr && before->allocation && (after == nullptr || !after->allocation)) return true;
  if (after == nullptr || after->ns != pod.ns()) return false;
  const bool uses = std::any_of(pod.claims.begin(), pod.claims.end(),
                                [&](const PodClaim& claim) { return claim.known && claim.claim == after->name; });
  if (!uses || before == nullptr) return uses;
  return before->allocation != after->allocation || before->reserved_for != after->reserved_for ||
         before->conditions != after->conditions;
}

// --- Filtering ------------------------------------------------------------------------------------

absl::StatusOr<Outcome> DynamicResources::PreFilter(const PodInfo& pod, const Snapshot& snap, CycleState& state,
                                                    NodeSet&) const {
  const AskedClaims& asked = pod.spec->asked;
  if (asked.empty()) return Outcome::Skip();
  if (!asked.problem.empty()) return Outcome::Unresolvable(asked.problem);
  State made;
  for (const AskedClaim& one : asked.claims) {
    ClaimPtr claim = one.like;
    if (claim == nullptr) {
      claim = std::static_pointer_cast<const ResourceClaim>(
          snap.objects().Find(Kind::kResourceClaim, pod.spec->ns, one.name));
    }
    if (claim == nullptr)
      return Outcome::Unresolvable(
          absl::StrCat("could not find v1.ResourceClaim \"", pod.spec->ns, "/", one.name, "\""));
    if (!one.reserved && claim->reserved_for.size() >= kMostConsumers)
      return Outcome::Unresolvable("resourceclaim in use");
    if (claim->allocation) {
      made.located.push_back(claim.get());
      made.located_worth += WorthOf(*claim);
    } else {
      if (std::string why = ClassProblem(*claim, snap.objects()); !why.empty())
        return Outcome::Unresolvable(std::move(why));
      made.wanted.push_back(claim.get());
    }
    made.keep_alive.push_back(std::move(claim));
  }
  made.rows.resize(snap.size());
  state.Emplace(slot(), std::move(made));
  return Outcome::Success();
}

bool DynamicResources::Available(const State& made, const Node& node) const {
  return std::all_of(made.located.begin(), made.located.end(), [&](const ResourceClaim* claim) {
    const DeviceAllocation& allocation = *claim->allocation;
    return (!allocation.nodes || MatchesAny(std::span(&*allocation.nodes, 1), node)) && IsReadyOrMayBe(*claim);
  });
}

DynamicResources::Row DynamicResources::AskAllocator(const State& made, const Snapshot& snap, NodeIndex n,
                                                     int64_t* steps) const {
  Row row;
  row.version = snap.devices().VersionOf(n);
  DeviceOutcome outcome = Run(snap, n, made.wanted);
  *steps -= outcome.steps;
  row.message = std::move(outcome.message);
  if (outcome.kind == DeviceOutcome::Kind::kError && nodes_fail_alone_) row.message.insert(0, 1, kFatalMark);
  switch (outcome.kind) {
    case DeviceOutcome::Kind::kAllocated:
      row.kind = Row::Kind::kFits;
      row.worth = WorthOf(outcome, made.wanted);
      break;
    case DeviceOutcome::Kind::kNoFit: row.kind = Row::Kind::kNoFit; break;
    case DeviceOutcome::Kind::kError: row.kind = nodes_fail_alone_ ? Row::Kind::kNodeError : Row::Kind::kError; break;
    // A node on which devices were looked for too long is no worse than one that has none.
    case DeviceOutcome::Kind::kNodeError:
    case DeviceOutcome::Kind::kGaveUp: row.kind = Row::Kind::kNodeError; break;
  }
  return row;
}

// The allocator is asked about a node once while its devices are what they were. There are steps anew for a look at the
// cluster, none for explaining what it found and for trying one node after the other with pods evicted: the look after
// it goes on where it ended.
absl::Status DynamicResources::Filter(const PodInfo&, const Snapshot& snap, const CycleState& state,
                                      Feasible& nodes) const {
  if (!state.Has(slot())) return absl::InternalError("not found");
  const State& made = state.Get<State>(slot());
  const bool many = LooksAtMany(nodes);
  if (many) made.steps = kStepsInAll;
  absl::Status status;
  for (size_t w = nodes.range().begin; w < nodes.range().end && status.ok(); ++w) {
    NodeSet::ForEachBit(nodes.Entered(w), w, [&](NodeIndex n) {
      if (!status.ok()) return;
      const bool available = Available(made, snap.node(n));
      if (!available && !nodes.explaining()) return nodes.Reject(n, kElsewhere);
      Row& row = made.rows[n];
      const bool same = row.version == snap.devices().VersionOf(n);
      const bool known = row.kind != Row::Kind::kNotAsked && same;
      if (!known && !made.wanted.empty()) {
        // One node alone, with devices that nobody was asked about, is no more than its own limit.
        const bool may = made.steps > 0 || (!many && !same && !nodes.explaining());
        row = may ? AskAllocator(made, snap, n, &made.steps) : Row();
        row.version = snap.devices().VersionOf(n);
      }
      if (made.wanted.empty()) row.kind = Row::Kind::kFits;
      switch (row.kind) {
        case Row::Kind::kFits: break;
        case Row::Kind::kNotAsked: return nodes.Reject(n, kNotAsked);
        case Row::Kind::kNoFit: return nodes.Reject(n, kNoDevices);
        case Row::Kind::kNodeError: return nodes.Reject(n, {row.message});
        case Row::Kind::kError:
          if (!available) break;
          status = absl::InternalError(row.message);
          return;
      }
      if (!available) nodes.Reject(n, kElsewhere);
    });
  }
  return status;
}

// Where an allocation keeps the pod from nodes, and nobody else uses it, others may do.
PostFilterResult DynamicResources::PostFilter(const PostFilterRequest& request, CycleState&) const {
  PostFilterResult result;
  result.code = Code::kUnschedulable;
  if (request.info.spec->asked.empty()) return result;
  const auto steps = request.framework.filters();
  std::vector<NodeIndex> rejected;
  for (NodeIndex n = 0; n < request.snap.size(); ++n) {
    if (request.verdicts.code(n) == Code::kSuccess) continue;
    const RejectionKinds::Kind& kind = request.verdicts.Of(n);
    if (kind.plugin == Rejections::kNobody || steps[kind.plugin].filter != this) continue;
    if (std::any_of(kind.reasons.begin(), kind.reasons.end(),
                    [&](uint32_t reason) { return request.verdicts.Text(reason) == kElsewhere.text; }))
      rejected.push_back(n);
  }
  std::vector<ClaimOfPod> claims;
  if (rejected.empty() || !FindClaims(request.pod, request.snap.objects(), &claims).empty()) return result;
  for (const ClaimOfPod& found : claims) {
    const ResourceClaim& claim = *found.claim;
    const bool unused =
        claim.reserved_for.empty() || (claim.reserved_for.size() == 1 && claim.reserved_for[0].uid == request.pod.uid);
    if (!claim.allocation || claim.assumed || !unused) continue;
    State only;
    only.located.push_back(&claim);
    if (std::all_of(rejected.begin(), rejected.end(),
                    [&](NodeIndex n) { return Available(only, request.snap.node(n)); }))
      continue;
    result.deallocate = found.claim;
    result.message = kDeallocated;
    break;
  }
  return result;
}

// --- Scoring --------------------------------------------------------------------------------------

absl::StatusOr<Outcome> DynamicResources::PreScore(const PodInfo& pod, const Snapshot&, CycleState&,
                                                   const NodeSet&) const {
  return pod.spec->asked.empty() ? Outcome::Skip() : Outcome::Success();
}

absl::Status DynamicResources::Score(const PodInfo&, const Snapshot& snap, const CycleState& state,
                                     const NodeSet& feasible, WordRange range, int64_t* out) const {
  std::fill(out + range.begin * kWordBits, out + range.end * kWordBits, 0);
  if (!state.Has(slot())) return absl::OkStatus();
  const State& made = state.Get<State>(slot());
  int64_t most = 0;
  feasible.ForEach([&](NodeIndex n) {
    if (n >= snap.size()) return;
    out[n] = made.located_worth + made.rows[n].worth;
    most = std::max(most, out[n]);
  });
  if (most > 0) feasible.ForEach([&](NodeIndex n) { out[n] = out[n] * kMaxNodeScore / most; });
  return absl::OkStatus();
}

// --- Committing -----------------------------------------------------------------------------------

Outcome DynamicResources::Reserve(const PodOnNode& pod, const Snapshot& snap, NodeIndex node,
                                  Statement& statement) const {
  if (pod.info->spec->asked.empty()) return Outcome::Success();
  std::vector<ClaimPtr> wanted;
  DeviceOutcome outcome = Allocate(*pod.pod, snap, node, &wanted);
  if (outcome.kind != DeviceOutcome::Kind::kAllocated) {
    return Outcome::Unresolvable(outcome.message.empty() ? std::string(kNoDevices.text) : std::move(outcome.message));
  }
  std::vector<ClaimOfPod> claims;
  FindClaims(*pod.pod, snap.objects(), &claims);
  for (size_t i = 0, w = 0; i < claims.size(); ++i) {
    const bool allocate = w < wanted.size() && claims[i].claim == wanted[w];
    if (!allocate && claims[i].reserved()) continue;
    auto claim = std::make_shared<ResourceClaim>(*claims[i].claim);
    claim->assumed = true;
    if (allocate) claim->allocation = std::move(outcome.allocations[w++]);
    if (!claims[i].reserved()) claim->reserved_for.push_back(claims[i].consumer);
    statement.SetObject(Kind::kResourceClaim, std::move(claim));
  }
  return Outcome::Success();
}

Outcome DynamicResources::PreBind(const PodOnNode& pod, const Snapshot& snap, NodeIndex,
                                  std::vector<Intent>& intents) const {
  if (pod.info->spec->asked.empty()) return Outcome::Success();
  std::vector<ClaimOfPod> claims;
  FindClaims(*pod.pod, snap.objects(), &claims);
  for (ClaimOfPod& found : claims) {
    if (!found.claim->assumed) continue;
    Intent& intent = intents.emplace_back();
    intent.kind = Intent::Kind::kReserveClaim;
    intent.claim = std::move(found.claim);
    intent.consumer = std::move(found.consumer);
  }
  return Outcome::Success();
}

}  // namespace muster
