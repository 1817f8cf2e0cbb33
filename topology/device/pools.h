// The pools of devices that a node can reach, made of ResourceSlices.
#ifndef MUSTER_TOPOLOGY_DEVICE_POOLS_H_
#define MUSTER_TOPOLOGY_DEVICE_POOLS_H_

#include <string>
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
  std::string Text() const { return driver + "/" + name; }
};

// A device that the node can reach, of a pool that may be used.
struct Candidate {
  const ResourceSlice* slice;
  const Device* device;
  uint32_t pool;
  const DeviceUse* use;  // null: nothing is taken
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
