// ResourceSlices, claims and pods with claims, for tests.
#ifndef MUSTER_TEST_SUPPORT_MAKE_DEVICES_H_
#define MUSTER_TEST_SUPPORT_MAKE_DEVICES_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/model/device.h"
#include "scheduler/model/pod.h"
#include "test/support/make.h"

namespace muster {

// Driver "d", a pool named after the node, devices "dev-0", "dev-1", ...; node "": all nodes.
inline ResourceSlice MakeSlice(const std::string& node, int devices) {
  ResourceSlice slice;
  slice.name = absl::StrCat("slice-", node);
  slice.uid = absl::StrCat("uid-slice-", node);
  slice.driver = "d";
  slice.pool = node.empty() ? "shared" : node;
  slice.slice_count = 1;
  slice.nodes.node_name = node;
  slice.nodes.all_nodes = node.empty();
  for (int i = 0; i < devices; ++i) slice.devices.emplace_back().name = absl::StrCat("dev-", i);
  return slice;
}

inline DeviceClass MakeDeviceClass(const std::string& name = "c") {
  DeviceClass made;
  made.name = name;
  made.uid = absl::StrCat("uid-", name);
  return made;
}

inline DeviceRequest MakeDeviceRequest(int64_t count, const std::string& name = "r") {
  DeviceRequest request;
  request.name = name;
  request.device_class = "c";
  request.allocation_mode = "ExactCount";
  request.count = count;
  return request;
}

// Asks for so many devices of class "c"; its uid is "uid-NAME". `owner`: the uid of the pod that it was made for.
inline ResourceClaim MakeDeviceClaim(const std::string& name, int64_t count, const std::string& owner = "") {
  ResourceClaim claim;
  claim.ns = "default";
  claim.name = name;
  claim.uid = absl::StrCat("uid-", name);
  claim.controller_uid = owner;
  claim.requests.push_back(MakeDeviceRequest(count));
  return claim;
}

// As `claim` with these devices of the node's pool.
inline ResourceClaim WithDevices(ResourceClaim claim, const std::string& node,
                                 const std::vector<std::string>& devices) {
  DeviceAllocation& allocation = claim.allocation.emplace();
  for (const std::string& device : devices) {
    AllocatedDevice& given = allocation.devices.emplace_back();
    given.request = "r";
    given.id = {"d", node, device};
  }
  allocation.nodes.emplace().fields.push_back({"metadata.name", Operator::kIn, {node}, ""});
  claim.finalizer = true;
  return claim;
}

// Names a claim; `from_template`: made for the pod alone.
inline PodClaim ClaimNamed(const std::string& claim, bool from_template = false) {
  return {absl::StrCat("own-", claim), from_template ? "t" : "", claim, true};
}

// uid "uid-NAME", with a claim of its own of that name, made of template "t", unless `claims` are given.
inline Pod WithClaims(const MakePod& made, std::vector<PodClaim> claims = {}) {
  Pod pod = made.Build();
  pod.uid = absl::StrCat("uid-", pod.name);
  pod.claims = claims.empty() ? std::vector<PodClaim>{ClaimNamed(pod.name, true)} : std::move(claims);
  return pod;
}

}  // namespace muster

#endif  // MUSTER_TEST_SUPPORT_MAKE_DEVICES_H_
