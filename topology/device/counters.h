// Shared counters of a pool: what partitions of the same hardware have left between them.
#ifndef MUSTER_TOPOLOGY_DEVICE_COUNTERS_H_
#define MUSTER_TOPOLOGY_DEVICE_COUNTERS_H_

#include <cstdint>
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

  // The pool must outlive it. Reads what is taken when it is first asked.
  explicit PoolCounters(const DevicePool& pool) : pool_(&pool) {}

  // Takes what the device consumes, if all counters of the pool hold. `consumer`: index of the pool's.
  bool Take(uint32_t consumer);
  void Give(uint32_t consumer);
  // By index of the pool's counters.
  const std::vector<Quantity>& Left() {
    Load();
    return left_;
  }

  // Whether the device's groups go with those of the devices that consume the same sets; then it is one of them.
  bool JoinGroups(const Device& device, GroupsUndo& undo);
  void LeaveGroups(const GroupsUndo& undo);

 private:
  void Load();
  void LoadGroups();

  const DevicePool* pool_;
  bool loaded_ = false, groups_loaded_ = false;
  std::vector<Quantity> left_;
  absl::btree_map<std::string_view, Groups> groups_;  // by set; none: no device consumes it
};

}  // namespace muster

#endif  // MUSTER_TOPOLOGY_DEVICE_COUNTERS_H_
