// In which order a node's devices are taken where not the first that fits is: those first whose taking leaves most for
// others. What a device costs them is its loss, in 256ths of a device:
//   size    128 for each doubling of each of its capacities: the tightest first
//   shared  what is left of a device that is shared already; of one that nobody shares yet, twice a whole one
//   pieces  what of the counters it takes, each part times the parts of it that all devices still possible ask for: a
//           piece of cut hardware comes before one of whole hardware, and the piece that is in the way of fewest
//           larger ones before others
//   groups  32 for each other free device that has the same value of a group attribute: groups broken already first
//   pool    8 for each other free device of its pool: tells nodes apart, full ones first
#ifndef MUSTER_TOPOLOGY_DEVICE_DEVICE_ORDER_H_
#define MUSTER_TOPOLOGY_DEVICE_DEVICE_ORDER_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "topology/device/counters.h"
#include "topology/device/pools.h"

namespace muster {

// One thread at a time.
class DeviceOrder {
 public:
  // Reads what slices say; before all else, and after they changed. `groups`: attributes, fully qualified.
  void Reset(const DeviceReach& reach, const std::vector<std::string>& groups);
  // Reads what is taken. `counters`: of the reach's pools, with what claims took only.
  void Update(const DeviceReach& reach, std::vector<PoolCounters>& counters);

  // What taking it costs others, as of Update.
  int64_t Loss(uint32_t candidate) const { return loss_[candidate]; }
  // The candidates that are free, best first. `many`: more than one device is wanted, so that what lies together (a
  // counter set, else a group) is used up before the next. Valid until Update.
  std::span<const uint32_t> Of(bool many) const;
  // The same for `wanted` devices with one value of the attribute; devices of values that cannot suffice come last.
  void Match(const DeviceReach& reach, const std::string& attribute, int64_t wanted, std::vector<uint32_t>& out) const;

  // What Match costs, in DeviceOutcome's steps. An attribute that groups are of is known already.
  int64_t StepsOfMatch(const std::string& attribute) const;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  // The candidates' values of an attribute, numbered as they come; kNone: it has none.
  struct Grouping {
    std::vector<uint32_t> group;
    uint32_t groups = 0;
  };
  struct Entry {
    bool last;
    int64_t unit_loss;
    uint64_t unit;  // what lies together
    int64_t loss;
    uint32_t candidate;
  };

  static Grouping GroupBy(const DeviceReach& reach, const std::string& attribute);
  static void Sort(bool many, std::vector<Entry>& entries, std::vector<uint32_t>& out);
  void CountFree(const Grouping& grouping) const;  // into group_free_
  void AddPieces(const DevicePool& pool, uint32_t begin, uint32_t end, const DeviceReach& reach,
                 const std::vector<Quantity>& left);
  // Of a shared device; -1: it is full.
  static int64_t LeftOf(const Candidate& candidate);

  // Of the slices:
  std::vector<std::string> attributes_;
  std::vector<Grouping> groupings_;  // by attribute
  std::vector<int64_t> size_;        // by candidate
  std::vector<uint64_t> unit_;       // by candidate
  // Of what is taken:
  std::vector<uint8_t> free_;               // by candidate
  std::vector<int64_t> loss_;               // by candidate
  mutable std::vector<uint32_t> order_[2];  // made when asked for
  mutable bool ordered_[2] = {false, false};
  std::vector<uint8_t> possible_;            // by consumer of a pool
  std::vector<int64_t> demand_;              // by counter of a pool
  mutable std::vector<int64_t> group_free_;  // by group
  mutable std::vector<Entry> entries_;
};

}  // namespace muster

#endif  // MUSTER_TOPOLOGY_DEVICE_DEVICE_ORDER_H_
