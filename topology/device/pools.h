// The pools of devices that a node can reach, made of ResourceSlices.
#ifndef MUSTER_TOPOLOGY_DEVICE_POOLS_H_
#define MUSTER_TOPOLOGY_DEVICE_POOLS_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "topology/device/allocator.h"

namespace muster {

struct DevicePool {
  std::string driver, name;
  bool incomplete = false;                      // its driver is publishing it just now; nothing is taken of it
  std::string invalid;                          // why nothing is taken of it, or ""
  std::vector<const ResourceSlice*> slices;     // that have devices and reach the node, by name
  std::vector<const ResourceSlice*> elsewhere;  // that have devices and do not
  std::vector<const CounterSet*> counter_sets;

  struct Counter {
    std::string_view set, name;
    Quantity amount;
  };
  struct Amount {
    uint32_t counter;  // index of counters
    uint32_t share;    // of the counter's amount, in parts of kWholeShare
    Quantity amount;
  };
  struct Consumer {
    const Device* device;
    const DeviceUse* use;  // null: nothing is taken
    uint32_t begin, end;   // of amounts
    bool holds() const { return use != nullptr && (!use->free() || use->metered > 0); }
  };
  std::vector<Counter> counters;    // of all sets, by set and name
  std::vector<Consumer> consumers;  // the devices that consume them, those that reach the node first
  std::vector<Amount> amounts;
  std::span<const Amount> AmountsOf(const Consumer& c) const { return {&amounts[c.begin], c.end - c.begin}; }

  std::string Text() const { return driver + "/" + name; }
};
inline constexpr int64_t kWholeShare = 256;
// `part` of `whole` in parts of kWholeShare, at most that; 0 where there is nothing to share.
uint32_t ShareOf(Quantity part, Quantity whole);

// A device that the node can reach, of a pool that may be used.
struct Candidate {
  static constexpr uint32_t kNoCounters = UINT32_MAX;
  const ResourceSlice* slice;
  const Device* device;
  uint32_t pool;
  const DeviceUse* use;             // null: nothing is taken
  uint32_t consumer = kNoCounters;  // index of its pool's consumers
  DeviceId Id() const { return {slice->driver, slice->pool, device->name}; }
};

struct DeviceReach {
  std::vector<DevicePool> pools;
  std::vector<Candidate> candidates;  // pool by pool
  std::vector<uint32_t> pool_begin;   // first candidate of each pool, and the end
};

// The pools with slices that name the node, or none and reach it, in the order in which devices are tried: by driver
// and name, those with binding conditions last. Only each pool's newest generation counts; a pool whose newest does not
// reach the node is left out. Valid until slices change.
DeviceReach GatherReach(const DeviceColumns& devices, const Node& node, const DeviceFeatures& features,
                        const DeviceQuestions& questions);

// Whether the node is among `nodes`.
bool Reaches(const DeviceNodes& nodes, const Node& node, const DeviceQuestions& questions);

}  // namespace muster

#endif  // MUSTER_TOPOLOGY_DEVICE_POOLS_H_
