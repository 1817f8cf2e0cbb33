// The API server's rules for writes of ResourceClaims.
#include <algorithm>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "scheduler/model/device.h"
#include "scheduler/model/ids.h"
#include "scheduler/sim/api_errors.h"
#include "scheduler/sim/sim_api_server.h"

namespace muster {
namespace {

constexpr char kClaims[] = "resourceclaims.resource.k8s.io";
constexpr size_t kConsumers = 256, kResults = 32;
constexpr size_t kNameStem = 58;  // what is left of 63 for generateName

ApiStatus Refuse(const ResourceClaim& claim, const std::string& why) {
  return {ApiCode::kInvalid, absl::StrCat("ResourceClaim.resource.k8s.io \"", claim.name, "\" is invalid: ", why), {}};
}

bool Asks(const ResourceClaim& claim, const std::string& request) {
  for (const DeviceRequest& asked : claim.requests) {
    if (asked.first_available.empty() && asked.name == request) return true;
    for (const DeviceRequest& sub : asked.first_available) {
      if (absl::StrCat(asked.name, "/", sub.name) == request) return true;
    }
  }
  return false;
}

// Whether status may become that of `after`.
ApiStatus CheckStatus(const ResourceClaim& before, const ResourceClaim& after) {
  if (after.reserved_for.size() > kConsumers)
    return Refuse(after, absl::StrCat("status.reservedFor: Too many: ", after.reserved_for.size(),
                                      ": must have at most ", kConsumers, " items"));
  std::set<std::string> uids;
  for (size_t i = 0; i < after.reserved_for.size(); ++i) {
    const std::string path = absl::StrCat("status.reservedFor[", i, "]");
    const auto& [api_group, resource, name, uid] = after.reserved_for[i];
    if (resource.empty() || name.empty() || uid.empty())
      return Refuse(after, absl::StrCat(path, ".",
                                        resource.empty() ? "resource"
                                        : name.empty()   ? "name"
                                                         : "uid",
                                        ": Required value"));
    if (!uids.insert(uid).second) return Refuse(after, absl::StrCat(path, ": Duplicate value"));
    if (after.deleting && std::find(before.reserved_for.begin(), before.reserved_for.end(), after.reserved_for[i]) ==
                              before.reserved_for.end())
      return Refuse(after,
                    "status.reservedFor: Forbidden: new entries may not be added while `deallocationRequested` "
                    "or `deletionTimestamp` are set");
  }
  if (!after.reserved_for.empty() && !after.allocation)
    return Refuse(after, "status.reservedFor: Forbidden: may not be specified when `allocated` is not set");
  if (before.allocation && after.allocation && *before.allocation != *after.allocation)
    return Refuse(after, "status.allocation: Invalid value: null: field cannot be modified once set");
  if (before.allocation || !after.allocation) return {};
  if (after.allocation->devices.size() > kResults)
    return Refuse(after, absl::StrCat("status.allocation.devices.results: Too many: ", after.allocation->devices.size(),
                                      ": must have at most ", kResults, " items"));
  for (size_t i = 0; i < after.allocation->devices.size(); ++i) {
    const AllocatedDevice& device = after.allocation->devices[i];
    if (!Asks(after, device.request))
      return Refuse(after, absl::StrCat("status.allocation.devices.results[", i, "].request: Invalid value: \"",
                                        device.request, "\": must be the name of a request in the claim"));
  }
  return {};
}

auto Status(const ResourceClaim& claim) {
  return std::tie(claim.allocation, claim.reserved_for, claim.conditions, claim.finalizer, claim.deleting);
}

auto Unpack(ApiServer::ClaimDone done) {
  return [done = std::move(done)](std::pair<ApiStatus, ClaimPtr> result) {
    done(std::move(result.first), std::move(result.second));
  };
}

}  // namespace

SimApiServer::ClaimResult SimApiServer::StoreClaim(const ResourceClaim& before, const ResourceClaim& after) {
  // Who is to be deleted goes with the last finalizer.
  if (after.deleting && !after.finalizer) {
    RemoveObject(Kind::kResourceClaim, after.ns, after.name).IgnoreError();
    return {ApiStatus(), std::make_shared<ResourceClaim>(after)};
  }
  if (Status(before) == Status(after)) return {ApiStatus(), std::make_shared<ResourceClaim>(before)};  // not written
  return {ApiStatus(), std::static_pointer_cast<const ResourceClaim>(SetObject(Kind::kResourceClaim, after))};
}

SimApiServer::ClaimResult SimApiServer::WriteClaim(const ClaimPtr& read,
                                                   const std::function<ApiStatus(ResourceClaim&)>& change) {
  const ObjectPtr object = FindObject(Kind::kResourceClaim, read->ns, read->name);
  if (object == nullptr) return {NotFound(kClaims, read->name), nullptr};
  const auto& before = static_cast<const ResourceClaim&>(*object);
  if (before.uid != read->uid) return {UidConflict(kClaims, before.Key(), before.name, read->uid, before.uid), nullptr};
  if (before.resource_version != read->resource_version) return {Conflict(kClaims, before.name, kWasModified), nullptr};
  ResourceClaim after = before;
  if (ApiStatus status = change(after); !status.ok()) return {std::move(status), nullptr};
  if (ApiStatus status = CheckStatus(before, after); !status.ok()) return {std::move(status), nullptr};
  return StoreClaim(before, after);
}

void SimApiServer::GetClaim(const std::string& ns, const std::string& name, ClaimDone done) {
  Request(
      [this, ns, name]() -> ClaimResult {
        const ObjectPtr object = FindObject(Kind::kResourceClaim, ns, name);
        if (object == nullptr) return {NotFound(kClaims, name), nullptr};
        return {ApiStatus(), std::static_pointer_cast<const ResourceClaim>(object)};
      },
      Unpack(std::move(done)));
}

void SimApiServer::SetClaimFinalizer(const ClaimPtr& claim, bool wanted, ClaimDone done) {
  Request(
      [this, claim, wanted] {
        return WriteClaim(claim, [&](ResourceClaim& after) -> ApiStatus {
          if (after.deleting && wanted && !after.finalizer)
            return Refuse(after,
                          "metadata.finalizers: Forbidden: no new finalizers can be added if the object is "
                          "being deleted");
          after.finalizer = wanted;
          return {};
        });
      },
      Unpack(std::move(done)));
}

void SimApiServer::ReserveClaim(const ClaimReservation& reservation, ClaimDone done) {
  Request(
      [this, reservation] {
        return WriteClaim(reservation.claim, [&](ResourceClaim& after) -> ApiStatus {
          if (reservation.allocation) after.allocation = reservation.allocation;
          after.reserved_for.push_back(reservation.consumer);
          return {};
        });
      },
      Unpack(std::move(done)));
}

void SimApiServer::DeallocateClaim(const ClaimPtr& claim, ClaimDone done) {
  Request(
      [this, claim] {
        return WriteClaim(claim, [](ResourceClaim& after) -> ApiStatus {
          after.allocation.reset();
          after.reserved_for.clear();
          after.conditions.clear();
          return {};
        });
      },
      Unpack(std::move(done)));
}

void SimApiServer::UnreserveClaim(const std::string& ns, const std::string& name, const std::string& uid,
                                  const std::string& consumer_uid, ClaimDone done) {
  Request(
      [this, ns, name, uid, consumer_uid]() -> ClaimResult {
        const ObjectPtr object = FindObject(Kind::kResourceClaim, ns, name);
        if (object == nullptr) return {NotFound(kClaims, name), nullptr};
        const auto& before = static_cast<const ResourceClaim&>(*object);
        if (!uid.empty() && uid != before.uid)
          return {Refuse(before, absl::StrCat("metadata.uid: Invalid value: \"", uid, "\": field is immutable")),
                  nullptr};
        ResourceClaim after = before;
        std::erase_if(after.reserved_for, [&](const auto& consumer) { return consumer.uid == consumer_uid; });
        return StoreClaim(before, after);
      },
      Unpack(std::move(done)));
}

void SimApiServer::CreateClaim(const ExtendedClaim& claim, ClaimDone done) {
  Request(
      [this, claim]() -> ClaimResult {
        ResourceClaim made;
        made.ns = claim.ns;
        const std::string stem = absl::StrCat(claim.pod, "-extended-resources-").substr(0, kNameStem);
        do {
          made.name = absl::StrCat(stem, absl::StrFormat("%05x", Mix(++uids_) & 0xfffff));
        } while (FindObject(Kind::kResourceClaim, made.ns, made.name) != nullptr);
        made.controller_uid = claim.pod_uid;
        made.extended_resource = true;
        made.requests = claim.requests;
        return {ApiStatus(), std::static_pointer_cast<const ResourceClaim>(SetObject(Kind::kResourceClaim, made))};
      },
      Unpack(std::move(done)));
}

void SimApiServer::DeleteClaim(const std::string& ns, const std::string& name, const std::string& uid, Done done) {
  Request([this, ns, name, uid] { return DeleteClaimNow(ns, name, uid); }, std::move(done));
}

ApiStatus SimApiServer::DeleteClaimNow(const std::string& ns, const std::string& name, const std::string& uid) {
  const ObjectPtr object = FindObject(Kind::kResourceClaim, ns, name);
  if (object == nullptr) return NotFound(kClaims, name);
  const auto& before = static_cast<const ResourceClaim&>(*object);
  if (!uid.empty() && uid != before.uid) return UidConflict(kClaims, before.Key(), name, uid, before.uid);
  ResourceClaim after = before;
  after.deleting = true;
  return StoreClaim(before, after).first;
}

}  // namespace muster
