// Shared counters of a pool: what partitions of the same hardware have left between them.
#ifndef MUSTER_TOPOLOGY_DEVICE_COUNTERS_H_
#define MUSTER_TOPOLOGY_DEVICE_COUNTERS_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "scheduler/model/device.h"
#include "topology/device/allocator.h"
#include "topology/device/pools.h"

namespace muster {

class PoolCounters {
 public:
  // What the devices of a counter set have in common of their compatibility groups. A device without groups goes with
  // others without groups only.
  struct Groups {
    bool grouped = false;             // or none of them has any
    std::vector<std::string> common;  // if grouped
  };
  using GroupsUndo = std::vector<std::pair<std::string_view, std::optional<Groups>>>;

  // The pool and what is allocated must outlive it. Reads them when it is first asked.
  PoolCounters(const DevicePool& pool, const AllocatedDevices& allocated) : pool_(&pool), allocated_(&allocated) {}

  // Takes what the device consumes, if all counters of the pool hold.
  bool Take(const Device& device);
  void Give(const Device& device);

  // Whether the device's groups go with those of the devices that consume the same sets; then it is one of them.
  bool JoinGroups(const Device& device, GroupsUndo& undo);
  void LeaveGroups(const GroupsUndo& undo);

 private:
  void Load();

  const DevicePool* pool_;
  const AllocatedDevices* allocated_;
  bool loaded_ = false;
  absl::btree_map<std::pair<std::string_view, std::string_view>, Quantity> left_;  // by set and counter
  absl::btree_map<std::string_view, Groups> groups_;  // by set; none: no device consumes it
};

}  // namespace muster

#endif  // MUSTER_TOPOLOGY_DEVICE_COUNTERS_H_
