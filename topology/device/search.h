// The search for devices on one node: depth first over claims, requests, alternatives and devices, with backtracking.
#ifndef MUSTER_TOPOLOGY_DEVICE_SEARCH_H_
#define MUSTER_TOPOLOGY_DEVICE_SEARCH_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "scheduler/model/device.h"
#include "topology/device/allocator.h"
#include "topology/device/capacity.h"
#include "topology/device/constraint.h"
#include "topology/device/counters.h"
#include "topology/device/pools.h"

namespace muster {

inline constexpr int64_t kMaxDevicesOfClaim = 32;

// A request without alternatives, or one of the alternatives.
struct RequestPlan {
  const DeviceRequest* request = nullptr;
  const DeviceRequest* parent = nullptr;  // of an alternative
  const DeviceClass* device_class = nullptr;
  int64_t count = 0;
  bool all = false;                   // "All": these `all_devices`
  std::vector<uint32_t> all_devices;  // candidates
  std::vector<uint8_t> selectable;    // by candidate: 0 not asked yet, 1 no, 2 yes
  bool admin() const { return request->admin_access.value_or(false); }
  std::string FullName() const { return parent ? parent->name + "/" + request->name : request->name; }
};

struct TakenDevice {
  uint32_t candidate;
  const RequestPlan* plan;
  bool shared;
  DeviceQuantities consumed;
};

struct ClaimPlan {
  const ResourceClaim* claim = nullptr;
  std::vector<std::vector<RequestPlan>> requests;  // alternatives of each
  std::vector<uint32_t> chosen;                    // which of them
  std::vector<ConstraintState> constraints;
  std::vector<TakenDevice> devices;
};

class DeviceSearch {
 public:
  // All must outlive it. `outcome` gets rounds, steps and, where something fails, kind and message.
  DeviceSearch(const Node& node, const DeviceFeatures& features, const DeviceQuestions& questions,
               const AllocatedDevices& allocated, const DeviceReach& reach, int64_t step_limit, DeviceOutcome& outcome);

  // Reads the claims. False: outcome says why not.
  bool Plan(std::span<const ResourceClaim* const> claims);
  // After Plan. True: claims() has a solution. False: there is none, or outcome has an error.
  bool Run();

  const std::vector<ClaimPlan>& claims() const { return claims_; }
  const Candidate& candidate(uint32_t index) const { return candidates_[index]; }

 private:
  // kTooMany: the claim's limit of devices is in the way, whatever devices the request before takes.
  enum class Step : uint8_t { kDone, kNo, kTooMany, kError };
  struct At {
    explicit At(size_t c, size_t r = 0) : claim(c), request(r) {}
    size_t claim, request;
    uint32_t alternative = 0;
    int64_t nth = 0;  // of the request's devices
  };
  // What taking a device changed.
  struct Undo {
    uint32_t candidate = 0;
    size_t claim = 0;
    const RequestPlan* plan = nullptr;
    PoolCounters::GroupsUndo groups;
    bool counters = false, marked = false, shared = false, taken = false;
    size_t constraints = 0;
  };

  bool PlanClaim(size_t index);
  bool PlanRequest(const ResourceClaim& claim, RequestPlan& plan);
  bool PlanAll(const ResourceClaim& claim, RequestPlan& plan);
  bool Fail(std::string message);
  bool CountSteps(int64_t steps = 1);

  Step Place(const At& at, bool in_alternative, uint32_t start);
  Step PlaceAlternatives(At at);
  Step PlaceAll(const At& at, const RequestPlan& plan);
  Step PlaceCounted(const At& at, RequestPlan& plan, uint32_t start);
  // kDone: taken, and `undo` is for Release; kNo: not usable; kError.
  Step Take(const At& at, const RequestPlan& plan, uint32_t candidate, Undo& undo);
  Step TakeUnder(const At& at, const RequestPlan& plan, uint32_t candidate, Undo& undo);
  Step Constrain(ClaimPlan& claim, const RequestPlan& plan, uint32_t candidate, Undo& undo);
  void Release(const Undo& undo);

  // Whether class, selectors and node allow it.
  Step Selectable(const ResourceClaim& claim, RequestPlan& plan, uint32_t candidate);
  Step SelectorsMatch(const std::string& whose, const std::vector<std::string>& selectors, const Candidate& candidate);
  Step HasCapacity(const ResourceClaim& claim, const RequestPlan& plan, uint32_t candidate, std::string_view doing);
  // Null with kDone: it has none.
  Step AttributeOf(const RequestPlan& plan, uint32_t candidate, const std::string& name, const DeviceAttribute** found);
  bool InUse(uint32_t candidate) const;
  bool AllocatingFor(uint32_t candidate, size_t claim) const;

  const Node& node_;
  const DeviceFeatures& features_;
  const DeviceQuestions& questions_;
  const std::vector<DevicePool>& pools_;
  const std::vector<Candidate>& candidates_;
  const std::vector<uint32_t>& pool_begin_;
  const int64_t step_limit_;
  DeviceOutcome& outcome_;

  std::vector<std::vector<size_t>> allocating_;  // of each candidate: the claims that take it now
  struct Shares {
    int count = 0;
    CapacitySums sums;
  };
  std::vector<Shares> shares_;          // of each candidate, taken now
  std::vector<PoolCounters> counters_;  // by pool
  std::vector<ClaimPlan> claims_;
  absl::btree_map<std::pair<uint32_t, std::string>, std::unique_ptr<DeviceAttribute>> derived_;
};

}  // namespace muster

#endif  // MUSTER_TOPOLOGY_DEVICE_SEARCH_H_
