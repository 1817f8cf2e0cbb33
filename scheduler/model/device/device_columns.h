// What deciding about devices asks of the cluster, kept up to date object by object: which slices reach which node, the
// slices of each pool, and what claims with an allocation take of each device.
//
// Owner: the Snapshot. Decision thread only.
#ifndef MUSTER_SCHEDULER_MODEL_DEVICE_DEVICE_COLUMNS_H_
#define MUSTER_SCHEDULER_MODEL_DEVICE_DEVICE_COLUMNS_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/node_hash_map.h"
#include "absl/functional/function_ref.h"
#include "scheduler/model/device.h"
#include "scheduler/model/ids.h"
#include "scheduler/model/object.h"

namespace muster {

struct PodSpec;

// What of a device is taken by claims that have their allocation, admin access aside.
struct DeviceUse {
  uint32_t exclusive = 0;  // results that take it wholly: more than one are a conflict between schedulers
  uint32_t shared = 0;     // results with share ids
  uint32_t metered = 0;    // those of them that have consumed capacity: then its sums, by name
  absl::btree_map<std::string, Quantity> capacity;
  uint32_t listed = 0;  // how many slices have the device
  bool free() const { return exclusive == 0 && shared == 0; }
};
// References stay valid while the device is listed.
using AllocatedDevices = absl::node_hash_map<DeviceId, DeviceUse>;

using DevicePoolId = std::pair<std::string, std::string>;  // driver, pool
using DeviceSlicePtr = std::shared_ptr<const ResourceSlice>;

class DeviceColumns {
 public:
  // With the taints of DeviceTaintRules; none that is invalid.
  using Slices = std::vector<const ResourceSlice*>;
  struct OfNode {
    Slices slices;  // that name the node
    // Another number whenever a slice of one of its pools comes, changes or goes; and `version` also when what is taken
    // of its devices changes. Numbers are never used again.
    uint64_t slices_version = 0, version = 0;
    NodeIndex row = kNoNode;
  };

  DeviceColumns() = default;
  DeviceColumns(DeviceColumns&&) = default;

  // --- Slices -----------------------------------------------------------------------------------
  // Null where no slice names the node.
  const OfNode* Of(std::string_view node) const {
    const auto it = nodes_.find(AsAbsl(node));
    return it == nodes_.end() ? nullptr : it->second.get();
  }
  // Of the row's OfNode; 0 where there is none.
  uint64_t VersionOf(NodeIndex n) const { return rows_[n] == nullptr ? 0 : rows_[n]->version; }
  size_t nodes() const { return nodes_.size(); }
  const Slices& shared() const { return shared_; }  // those that name no node, in no promised order
  const Slices& OfPool(const DevicePoolId& pool) const;
  // Another number whenever anything changes about slices that name no node, or about what is taken of their pools.
  uint64_t shared_version() const { return shared_version_; }
  // Calls f(slice) for each that went after the first `*position`, and moves *position on. False: so many did that not
  // all are known any more. What f is given lives until then.
  template <typename F>
  bool ForgottenSince(uint64_t* position, F&& f) const {
    const uint64_t first = forgotten_count_ - forgotten_.size(), from = std::exchange(*position, forgotten_count_);
    if (from < first) return false;
    for (uint64_t i = from; i < forgotten_count_; ++i) f(*forgotten_[i - first]);
    return true;
  }

  // --- Claims -----------------------------------------------------------------------------------
  const AllocatedDevices& allocated() const { return allocated_; }
  // Another number whenever an answer about claims that the pod names, or about any pod's with slices that name no
  // node, may be another, whatever the rows say.
  uint64_t VersionFor(const PodSpec& pod) const;
  // One object for all claims that ask for the same; and a hash of that, the same in every process.
  ClaimPtr Like(const ClaimPtr& claim, uint64_t* hash);

  // --- Changes ----------------------------------------------------------------------------------
  // Of an object that was there, is there now, or both.
  // `find` gives a node's row by name or kNoNode.
  using Find = absl::FunctionRef<NodeIndex(const std::string& node)>;
  void Update(Kind kind, const ObjectPtr& before, const ObjectPtr& after, Find find);
  // The rows have changed.
  void Rebuild(size_t rows, Find find);
  // Rows whose answers may have changed since they were taken last, with repeats.
  std::vector<NodeIndex>& touched() { return touched_; }

 private:
  struct SliceRecord {
    DeviceSlicePtr raw, used;  // without and with the taints of rules; `used` null: invalid
  };
  struct ClaimRecord {
    uint64_t version = 0;
    ClaimPtr like;
    uint64_t hash = 0;
  };

  void SetSlice(const std::string& key, const DeviceSlicePtr& slice, Find find);
  void Put(const ResourceSlice& slice, Find find);
  void Take(const ResourceSlice& slice);
  void List(const ResourceSlice& slice);
  void Unlist(const ResourceSlice& slice);
  DeviceSlicePtr Tainted(const DeviceSlicePtr& slice) const;
  void SetRule(const ObjectPtr& before, const ObjectPtr& after, Find find);
  void SetClaim(const ResourceClaim* before, const ResourceClaim* after);
  void Count(const AllocatedDevice& device, bool taken);
  void TouchSlices(const DevicePoolId& pool);
  void TouchUse(const DeviceId& device);
  void Touch(OfNode& node);
  void SweepLikes();

  uint64_t counter_ = 0;                                  // gives versions
  absl::flat_hash_map<std::string, SliceRecord> slices_;  // by uid, or name where there is none
  absl::btree_map<std::string, ObjectPtr> rules_;
  absl::flat_hash_map<std::string, std::unique_ptr<OfNode>> nodes_;
  std::vector<OfNode*> rows_;
  Slices shared_;
  absl::flat_hash_map<DevicePoolId, Slices> pools_;
  uint64_t shared_version_ = 0;
  std::deque<DeviceSlicePtr> forgotten_;
  uint64_t forgotten_count_ = 0;

  AllocatedDevices allocated_;
  absl::flat_hash_map<std::string, ClaimRecord> claims_;  // by "namespace/name"
  absl::flat_hash_map<uint64_t, std::vector<ClaimPtr>> likes_;
  size_t like_count_ = 0, sweep_at_ = 1024;
  uint64_t classes_version_ = 0;
  std::vector<NodeIndex> touched_;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_DEVICE_DEVICE_COLUMNS_H_
