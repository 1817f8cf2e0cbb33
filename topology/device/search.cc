#include "topology/device/search.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace muster {
namespace {

// Planning a request or alternative is some 100 ns, and a byte for each device of the node.
constexpr int64_t kStepsOfPlan = 2, kCandidatesAStep = 64;
constexpr std::string_view kOptionalNodeOperations = "DRAOptionalNodeOperations";

bool Tolerates(const DeviceToleration& toleration, const DeviceTaint& taint) {
  if (!toleration.effect.empty() && toleration.effect != taint.effect) return false;
  if (!toleration.key.empty() && toleration.key != taint.key) return false;
  if (toleration.op.empty() || toleration.op == "Equal") return toleration.value == taint.value;
  return toleration.op == "Exists";
}

bool TaintsPrevent(const Device& device, const DeviceRequest& request) {
  return std::any_of(device.taints.begin(), device.taints.end(), [&](const DeviceTaint& taint) {
    if (taint.effect != "NoSchedule" && taint.effect != "NoExecute") return false;
    return std::none_of(request.tolerations.begin(), request.tolerations.end(),
                        [&](const DeviceToleration& toleration) { return Tolerates(toleration, taint); });
  });
}

std::string Where(const ResourceClaim& claim, const DeviceRequest& request) {
  return absl::StrCat("claim ", claim.Key(), ", request ", request.name);
}

}  // namespace

DeviceSearch::DeviceSearch(const Node& node, const DeviceFeatures& features, const DeviceQuestions& questions,
                           const AllocatedDevices& allocated, const DeviceReach& reach, int64_t step_limit,
                           DeviceOutcome& outcome)
    : node_(node),
      features_(features),
      questions_(questions),
      pools_(reach.pools),
      candidates_(reach.candidates),
      pool_begin_(reach.pool_begin),
      step_limit_(step_limit),
      outcome_(outcome) {
  counters_.reserve(pools_.size());
  for (const DevicePool& pool : pools_) counters_.emplace_back(pool, allocated);
  allocating_.resize(candidates_.size());
  shares_.resize(candidates_.size());
}

bool DeviceSearch::Fail(std::string message) {
  outcome_.kind = DeviceOutcome::Kind::kError;
  outcome_.message = std::move(message);
  return false;
}

bool DeviceSearch::CountSteps(int64_t steps) {
  outcome_.steps += steps;
  if (outcome_.steps <= step_limit_) return true;
  outcome_.kind = DeviceOutcome::Kind::kGaveUp;
  outcome_.message = absl::StrCat("gave up looking for devices after ", step_limit_, " steps");
  return false;
}

bool DeviceSearch::Plan(std::span<const ResourceClaim* const> claims) {
  claims_.resize(claims.size());
  for (size_t i = 0; i < claims.size(); ++i) {
    claims_[i].claim = claims[i];
    if (!PlanClaim(i)) return false;
  }
  return true;
}

bool DeviceSearch::PlanClaim(size_t index) {
  ClaimPlan& plan = claims_[index];
  const ResourceClaim& claim = *plan.claim;
  int64_t least = 0;  // devices of the claim
  for (const DeviceRequest& request : claim.requests) {
    const bool alternatives = !request.first_available.empty();
    if (!features_.prioritized_list && alternatives) {
      return Fail(
          absl::StrCat(Where(claim, request), ": has subrequests, but the DRAPrioritizedList feature is disabled"));
    }
    if (!features_.consumable_capacity) {
      constexpr std::string_view kOff = ": has capacity requests, but the DRAConsumableCapacity feature is disabled";
      if (request.capacity) return Fail(absl::StrCat(Where(claim, request), AsAbsl(kOff)));
      for (const DeviceRequest& sub : request.first_available) {
        if (sub.capacity) {
          return Fail(absl::StrCat("claim ", claim.Key(), ", subrequest ", sub.name, AsAbsl(kOff)));
        }
      }
    }
    std::vector<RequestPlan>& plans = plan.requests.emplace_back();
    plan.chosen.push_back(0);
    int64_t fewest = std::numeric_limits<int64_t>::max();
    for (size_t i = 0; i < std::max<size_t>(request.first_available.size(), 1); ++i) {
      RequestPlan& one = plans.emplace_back();
      one.request = alternatives ? &request.first_available[i] : &request;
      one.parent = alternatives ? &request : nullptr;
      one.selectable.resize(candidates_.size());
      if (!PlanRequest(claim, one)) return false;
      fewest = std::min(fewest, one.count);
    }
    if (fewest > kMaxDevicesOfClaim - least) {
      return Fail(absl::StrCat(Where(claim, request), ": adding ", fewest, " devices exceeds the claim limit of ",
                               kMaxDevicesOfClaim, ", with ", least, " already accounted for"));
    }
    least += fewest;
  }
  for (size_t i = 0; i < claim.constraints.size(); ++i) {
    const DeviceConstraint& constraint = claim.constraints[i];
    if (constraint.match_attribute.empty() && constraint.distinct_attribute.empty()) {
      return Fail(absl::StrCat("claim ", claim.Key(), ", constraint #", i,
                               ": empty constraint (unsupported constraint type?)"));
    }
    plan.constraints.emplace_back(constraint, features_.list_type_attributes);
  }
  return true;
}

bool DeviceSearch::PlanRequest(const ResourceClaim& claim, RequestPlan& plan) {
  const DeviceRequest& request = *plan.request;
  if (!CountSteps(kStepsOfPlan + static_cast<int64_t>(candidates_.size()) / kCandidatesAStep)) return false;
  const auto fail = [&](const auto&... why) { return Fail(absl::StrCat(Where(claim, request), why...)); };
  if (!request.derived_attributes.empty() && !features_.derived_attributes) {
    return fail(": cannot handle request with derived attributes, the feature is disabled");
  }
  for (size_t i = 0; i < request.selectors.size(); ++i) {
    if (request.selectors[i].empty()) {
      return fail(", selector #", i, ": CEL expression empty (unsupported selector type?)");
    }
  }
  if (!features_.admin_access && request.admin_access) {
    return fail(": admin access is requested, but the feature is disabled");
  }
  if (request.device_class.empty()) return fail(": missing device class name (unsupported request type?)");
  plan.device_class = questions_.find_class(request.device_class);
  if (plan.device_class == nullptr) {
    return fail(": could not retrieve device class ", request.device_class, ": deviceclass.resource.k8s.io \"",
                request.device_class, "\" not found");
  }
  if (request.allocation_mode == "ExactCount") {
    plan.count = request.count;
    return true;
  }
  if (request.allocation_mode == "All") return PlanAll(claim, plan);
  return fail(": unsupported count mode ", request.allocation_mode);
}

bool DeviceSearch::PlanAll(const ResourceClaim& claim, RequestPlan& plan) {
  plan.all = true;
  for (uint32_t p = 0; p < pools_.size(); ++p) {
    if (pools_[p].incomplete || !pools_[p].invalid.empty()) {
      return Fail(absl::StrCat(Where(claim, *plan.request), ": asks for all devices, but resource pool ",
                               pools_[p].Text(), " is currently ", pools_[p].incomplete ? "being updated" : "invalid"));
    }
    for (uint32_t c = pool_begin_[p]; c < pool_begin_[p + 1]; ++c) {
      if (!CountSteps()) return false;
      const Step selectable = Selectable(claim, plan, c);
      if (selectable == Step::kError) return false;
      if (selectable == Step::kNo) continue;
      if (features_.consumable_capacity) {
        // Of the whole device: one that is full belongs to "all" too, which then cannot be had.
        const absl::StatusOr<bool> fits = CapacityFits(plan.request->capacity, *candidates_[c].device,
                                                       features_.fractional_capacity_range, nullptr, nullptr);
        if (!fits.ok()) {
          return Fail(absl::StrCat(Where(claim, *plan.request), ": checking capacity for device ",
                                   candidates_[c].device->name, ": ", fits.status().message()));
        }
        if (!*fits) continue;
      }
      plan.all_devices.push_back(c);
    }
  }
  plan.count = static_cast<int64_t>(plan.all_devices.size());
  return true;
}

bool DeviceSearch::Run() {
  const Step step = Place(At(0), false, 0);
  if (step == Step::kTooMany) return Fail("allocation max size exceeded");
  return step == Step::kDone;
}

DeviceSearch::Step DeviceSearch::Place(const At& at, bool in_alternative, uint32_t start) {
  ++outcome_.rounds;
  if (!CountSteps()) return Step::kError;
  if (at.claim >= claims_.size()) return Step::kDone;
  ClaimPlan& claim = claims_[at.claim];
  if (at.request >= claim.requests.size()) {
    const Step next = Place(At(at.claim + 1), false, 0);
    // Other alternatives of this claim do not make the next smaller; its own may fit on a second try.
    return next == Step::kTooMany ? Step::kNo : next;
  }
  std::vector<RequestPlan>& alternatives = claim.requests[at.request];
  if (!in_alternative && alternatives[0].parent != nullptr) return PlaceAlternatives(at);
  RequestPlan& plan = alternatives[at.alternative];
  if (plan.all && plan.all_devices.empty()) return Step::kNo;
  if (at.nth >= plan.count) return Place(At(at.claim, at.request + 1), false, 0);
  if (plan.count - at.nth > kMaxDevicesOfClaim - static_cast<int64_t>(claim.devices.size())) return Step::kTooMany;
  return plan.all ? PlaceAll(at, plan) : PlaceCounted(at, plan, start);
}

DeviceSearch::Step DeviceSearch::PlaceAlternatives(At at) {
  bool all_too_many = true;
  const size_t count = claims_[at.claim].requests[at.request].size();
  for (at.alternative = 0; at.alternative < count; ++at.alternative) {
    const Step step = Place(at, true, 0);
    if (step == Step::kTooMany) continue;
    all_too_many = false;
    if (step == Step::kNo) continue;
    if (step == Step::kDone) claims_[at.claim].chosen[at.request] = at.alternative;
    return step;
  }
  return all_too_many ? Step::kTooMany : Step::kNo;
}

DeviceSearch::Step DeviceSearch::PlaceAll(const At& at, const RequestPlan& plan) {
  const uint32_t c = plan.all_devices[static_cast<size_t>(at.nth)];
  Undo undo;
  const Step taken = Take(at, plan, c, undo);
  if (taken != Step::kDone) return taken;
  At next = at;
  ++next.nth;
  const Step step = Place(next, plan.parent != nullptr, 0);
  if (step != Step::kDone) Release(undo);
  return step;
}

DeviceSearch::Step DeviceSearch::PlaceCounted(const At& at, RequestPlan& plan, uint32_t start) {
  const ResourceClaim& claim = *claims_[at.claim].claim;
  At next = at;
  ++next.nth;
  for (uint32_t c = start; c < candidates_.size(); ++c) {
    if (!CountSteps()) return Step::kError;
    if (plan.admin() ? AllocatingFor(c, at.claim) : InUse(c)) continue;
    Step step = Selectable(claim, plan, c);
    if (step == Step::kDone) step = HasCapacity(claim, plan, c, "checking");
    Undo undo;
    if (step == Step::kDone) step = Take(at, plan, c, undo);
    if (step == Step::kNo) continue;
    if (step == Step::kError) return step;
    // The others of the request lie behind it: combinations, not permutations.
    step = Place(next, plan.parent != nullptr, c + 1);
    if (step == Step::kDone) return step;
    Release(undo);
    if (step != Step::kNo) return step;
  }
  return Step::kNo;
}

DeviceSearch::Step DeviceSearch::Take(const At& at, const RequestPlan& plan, uint32_t candidate, Undo& undo) {
  undo.candidate = candidate;
  undo.claim = at.claim;
  undo.plan = &plan;
  const Step step = TakeUnder(at, plan, candidate, undo);
  if (step != Step::kDone) Release(undo);
  return step;
}

DeviceSearch::Step DeviceSearch::TakeUnder(const At& at, const RequestPlan& plan, uint32_t candidate, Undo& undo) {
  ClaimPlan& claim = claims_[at.claim];
  const auto& [slice, device, pool, use] = candidates_[candidate];
  const bool shareable = features_.consumable_capacity && device->allow_multiple_allocations.value_or(false);
  if (!shareable && plan.admin() && AllocatingFor(candidate, at.claim)) return Step::kNo;
  if (!plan.admin() && InUse(candidate)) return Step::kNo;
  if (!slice->skip_node_operations.empty() && features_.any_alpha()) {
    const auto& features = node_.declared_features;
    if (!features_.optional_node_operations) return Step::kNo;
    if (std::find(features.begin(), features.end(), kOptionalNodeOperations) == features.end()) return Step::kNo;
  }
  if (!features_.partitionable_devices && !device->consumes_counters.empty()) return Step::kNo;

  // The first share of a device takes its counters, for all of them.
  const bool taken_before =
      shareable && ((use != nullptr && (use->metered > 0 || use->shared > 0)) || shares_[candidate].count > 0);
  if (!taken_before && !device->consumes_counters.empty()) {
    if (features_.compatibility_groups && !counters_[pool].JoinGroups(*device, undo.groups)) return Step::kNo;
    if (!counters_[pool].Take(*device)) return Step::kNo;
    undo.counters = true;
  }
  if (features_.device_taints && TaintsPrevent(*device, *plan.request)) return Step::kNo;
  if (const Step step = Constrain(claim, plan, candidate, undo); step != Step::kDone) return step;

  if (!shareable) {
    allocating_[candidate].push_back(at.claim);
    undo.marked = true;
  }
  if (const Step step = HasCapacity(*claim.claim, plan, candidate, "rechecking"); step != Step::kDone) return step;
  DeviceQuantities consumed;
  if (shareable) {
    auto taken = TakenCapacity(plan.request->capacity, *device, features_.fractional_capacity_range);
    if (!taken.ok()) {
      Fail(absl::StrCat(Where(*claim.claim, *plan.request), ": computing consumed capacity for device ",
                        candidates_[candidate].Id().Text(), ": ", taken.status().message()));
      return Step::kError;
    }
    consumed = *std::move(taken);
    Shares& shares = shares_[candidate];
    ++shares.count;
    for (const auto& [name, amount] : consumed) shares.sums[name] += amount.value;
    undo.shared = true;
  }
  claim.devices.push_back({candidate, &plan, shareable, std::move(consumed)});
  undo.taken = true;
  return Step::kDone;
}

DeviceSearch::Step DeviceSearch::Constrain(ClaimPlan& claim, const RequestPlan& plan, uint32_t candidate, Undo& undo) {
  const std::string& request = plan.parent != nullptr ? plan.parent->name : plan.request->name;
  const std::string alternative = plan.parent != nullptr ? plan.FullName() : "";
  if (!claim.constraints.empty() && !CountSteps(static_cast<int64_t>(claim.constraints.size()))) return Step::kError;
  for (ConstraintState& constraint : claim.constraints) {
    if (constraint.Concerns(request, alternative)) {
      const DeviceAttribute* attribute = nullptr;
      if (AttributeOf(plan, candidate, constraint.attribute(), &attribute) == Step::kError) return Step::kError;
      if (!constraint.Add(attribute)) {
        if (!plan.all) return Step::kNo;
        Fail(absl::StrCat(Where(*claim.claim, *plan.request), ": cannot add device ",
                          candidates_[candidate].Id().Text(), " because a claim constraint would not be satisfied"));
        return Step::kError;
      }
    }
    ++undo.constraints;
  }
  return Step::kDone;
}

void DeviceSearch::Release(const Undo& undo) {
  ClaimPlan& claim = claims_[undo.claim];
  const auto& [slice, device, pool, use] = candidates_[undo.candidate];
  if (undo.shared) {
    Shares& shares = shares_[undo.candidate];
    for (const auto& [name, amount] : claim.devices.back().consumed) shares.sums[name] -= amount.value;
    --shares.count;
  }
  if (undo.constraints > 0) {
    // Those that the device's request concerns had it last.
    const RequestPlan& plan = *undo.plan;
    const std::string& request = plan.parent != nullptr ? plan.parent->name : plan.request->name;
    const std::string alternative = plan.parent != nullptr ? plan.FullName() : "";
    for (size_t i = 0; i < undo.constraints; ++i) {
      if (claim.constraints[i].Concerns(request, alternative)) claim.constraints[i].RemoveLast();
    }
  }
  if (undo.taken) claim.devices.pop_back();
  if (undo.marked) allocating_[undo.candidate].pop_back();
  counters_[pool].LeaveGroups(undo.groups);
  if (undo.counters) counters_[pool].Give(*device);
}

DeviceSearch::Step DeviceSearch::Selectable(const ResourceClaim& claim, RequestPlan& plan, uint32_t candidate) {
  const auto& [slice, device, pool, use] = candidates_[candidate];
  if (!features_.binding_conditions && !device->binding_conditions.empty()) return Step::kNo;
  uint8_t& known = plan.selectable[candidate];
  if (known != 0) return known == 2 ? Step::kDone : Step::kNo;
  Step step = SelectorsMatch("class " + plan.device_class->name, plan.device_class->selectors, candidates_[candidate]);
  if (step == Step::kDone) {
    step = SelectorsMatch("claim " + claim.Key(), plan.request->selectors, candidates_[candidate]);
  }
  if (step == Step::kDone && slice->per_device_node_selection && !Reaches(device->nodes, node_, questions_)) {
    step = Step::kNo;
  }
  if (step != Step::kError) known = step == Step::kDone ? 2 : 1;
  return step;
}

DeviceSearch::Step DeviceSearch::SelectorsMatch(const std::string& whose, const std::vector<std::string>& selectors,
                                                const Candidate& candidate) {
  for (size_t i = 0; i < selectors.size(); ++i) {
    const SelectorAnswer answer = questions_.selector(selectors[i], *candidate.slice, *candidate.device);
    if (answer.steps > 0 && !CountSteps(answer.steps)) return Step::kError;
    switch (answer.kind) {
      case SelectorAnswer::Kind::kYes: break;
      case SelectorAnswer::Kind::kNo: return Step::kNo;
      case SelectorAnswer::Kind::kCompileError:
        Fail(absl::StrCat(whose, ": selector #", i, ": CEL compile error: ", answer.message));
        return Step::kError;
      case SelectorAnswer::Kind::kRuntimeError:
        Fail(absl::StrCat(whose, ": selector #", i, " on device ", candidate.Id().Text(),
                          ": CEL runtime error: ", answer.message));
        return Step::kError;
    }
  }
  return Step::kDone;
}

DeviceSearch::Step DeviceSearch::HasCapacity(const ResourceClaim& claim, const RequestPlan& plan, uint32_t candidate,
                                             std::string_view doing) {
  if (!features_.consumable_capacity) return Step::kDone;
  const DeviceUse* use = candidates_[candidate].use;
  const absl::StatusOr<bool> fits =
      CapacityFits(plan.request->capacity, *candidates_[candidate].device, features_.fractional_capacity_range,
                   use != nullptr && use->metered > 0 ? &use->capacity : nullptr, &shares_[candidate].sums);
  if (fits.ok()) return *fits ? Step::kDone : Step::kNo;
  Fail(absl::StrCat(Where(claim, *plan.request), ": ", AsAbsl(doing), " capacity for device ",
                    candidates_[candidate].Id().Text(), ": ", fits.status().message()));
  return Step::kError;
}

DeviceSearch::Step DeviceSearch::AttributeOf(const RequestPlan& plan, uint32_t candidate, const std::string& name,
                                             const DeviceAttribute** found) {
  const auto& [slice, device, pool, use] = candidates_[candidate];
  const auto& derived = plan.request->derived_attributes;
  const auto it = std::find_if(derived.rbegin(), derived.rend(), [&](const auto& d) { return d.name == name; });
  if (it == derived.rend()) {
    *found = FindAttribute(*device, slice->driver, name);
    return Step::kDone;
  }
  std::unique_ptr<DeviceAttribute>& known = derived_[{candidate, it->expression}];
  if (known == nullptr) {
    absl::StatusOr<DeviceAttribute> value = questions_.derived(*it, *slice, *device);
    if (!value.ok()) {
      Fail(std::string(value.status().message()));
      return Step::kError;
    }
    known = std::make_unique<DeviceAttribute>(*std::move(value));
  }
  *found = known.get();
  return Step::kDone;
}

bool DeviceSearch::InUse(uint32_t candidate) const {
  return (candidates_[candidate].use != nullptr && candidates_[candidate].use->exclusive > 0) ||
         !allocating_[candidate].empty();
}

bool DeviceSearch::AllocatingFor(uint32_t candidate, size_t claim) const {
  const auto& claims = allocating_[candidate];
  return std::find(claims.begin(), claims.end(), claim) != claims.end();
}

}  // namespace muster
