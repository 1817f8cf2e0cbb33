// Who may use how much of what: Kueue's quota arithmetic over a tree of queues of any depth, and the share
// of what is lent that each takes.
//
// A cell is one resource in one flavor (nvidia.com/gpu on h100). For queue q and each cell:
//   subtree(q)     = nominal(q) + sum over its children c of (subtree(c) - local(c))
//   local(q)       = max(0, subtree(q) - lendingLimit(q)); 0 without a limit: what it lends to nobody
//   usage(q)       = what is charged to q itself + sum over its children c of max(0, usage(c) - local(c))
//   available(q)   = max(0, local - usage) + min(available(parent),
//                        subtree - local - max(0, usage - local) + borrowingLimit); of a root: subtree - usage
//   potential(q)   = min(subtree + borrowingLimit, local + potential(parent)); of a root: subtree
//   share(q)       = max over resources of 1000 * borrowed / lendable, by weight, where
//                        borrowed = sum over the resource's cells of max(0, usage - subtree)
//                        lendable = sum over the resource's cells of potential(parent)
// Source: Kueue pkg/cache/scheduler/{resource_node,fair_sharing}.go. Worked: a and b are children of r; a has 10,
// lends 4; b has 0. subtree(r) = 0 + (10 - 6) + 0 = 4, and available(b) = 0 + min(4, 0 - 0 + unlimited) = 4.
//
// What is charged to a queue counts where the queue, an ancestor or a descendant lists the cell; else everything is
// available.
// Amounts are in the cells' own units, and no sum overflows. Decision thread only.
#ifndef MUSTER_QUEUE_QUOTA_TREE_H_
#define MUSTER_QUEUE_QUOTA_TREE_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "absl/numeric/int128.h"

namespace muster {

using QueueIndex = uint32_t;
inline constexpr QueueIndex kNoQueue = UINT32_MAX;
using QuotaCell = uint32_t;

inline constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

struct Quota {
  QuotaCell cell = 0;
  int64_t nominal = 0;
  int64_t borrowing_limit = kUnlimited;
  int64_t lending_limit = kUnlimited;
};

struct Charge {
  QuotaCell cell = 0;
  int64_t amount = 0;
  friend auto operator<=>(const Charge&, const Charge&) = default;
};

// Of a queue among its siblings: who has the least is served first. Ordered: all infinite ones (weight 0 and
// something borrowed) after the others.
struct Share {
  bool infinite = false;
  uint64_t value =
      0;  // 1000 * borrowed / lendable / weight in 2^-20ths, rounded up; of infinite ones without the weight

  friend auto operator<=>(const Share&, const Share&) = default;
};

class QuotaTree {
 public:
  struct Queue {
    QueueIndex parent = kNoQueue;  // smaller than the queue's own index
    int32_t weight = 1;            // >= 0
    std::vector<Quota> quotas;     // at most one a cell
  };

  // `resource_of` numbers each cell's resource: cells with the same number differ in flavor. Nothing is charged.
  void Build(std::span<const Queue> queues, std::span<const uint32_t> resource_of);

  // Another number after each Build.
  uint64_t builds() const { return builds_; }
  size_t size() const { return parents_.size(); }
  size_t cells() const { return resource_of_.size(); }
  QueueIndex parent(QueueIndex q) const { return parents_[q]; }

  // Negative amounts give back. What is charged and given back in any order leaves no trace.
  void Add(QueueIndex q, QuotaCell cell, int64_t amount);
  // The same where the same is charged (as good as only there); of trees that were built alike.
  uint64_t fingerprint() const { return fingerprint_; }
  // What was charged to the queue itself.
  int64_t Own(QueueIndex q, QuotaCell cell) const { return Narrow(At(q, cell).own); }

  bool Counts(QueueIndex q, QuotaCell cell) const { return At(q, cell).counts; }
  int64_t SubtreeQuota(QueueIndex q, QuotaCell cell) const { return Narrow(At(q, cell).subtree); }
  int64_t Usage(QueueIndex q, QuotaCell cell) const { return Narrow(At(q, cell).usage); }
  // Negative where a quota shrank below what is used; kUnlimited where nothing is counted.
  int64_t Available(QueueIndex q, QuotaCell cell) const {
    return Counts(q, cell) ? Narrow(AvailableAt(q, cell)) : kUnlimited;
  }
  // What is free of what the queue lends to nobody: so much it does not need of its parent.
  int64_t Slack(QueueIndex q, QuotaCell cell) const {
    const Cell& at = At(q, cell);
    return at.usage < at.local ? Narrow(at.local - at.usage) : 0;
  }
  // Of what it has, what it lends to nobody.
  int64_t Local(QueueIndex q, QuotaCell cell) const { return Narrow(At(q, cell).local); }
  // With nothing in use anywhere.
  int64_t Potential(QueueIndex q, QuotaCell cell) const { return Narrow(At(q, cell).potential); }
  // Over what is its own.
  int64_t Borrowed(QueueIndex q, QuotaCell cell) const;

  // The first of the charges (at most one a cell) that is more than is available, or null.
  const Charge* Lacking(QueueIndex q, std::span<const Charge> charges) const;
  // Whether the queue needs nothing of others for them: its subtree's usage stays within its subtree's quota.
  bool WithinNominal(QueueIndex q, std::span<const Charge> charges) const;
  // With `charges` on top of what is used. Of a root: none. `past`, by cell or empty: an average of what was used
  // before; what of it is more than the queue's own counts as borrowed too, of resources that are borrowed now.
  Share ShareOf(QueueIndex q, std::span<const Charge> charges = {}, std::span<const int64_t> past = {}) const;
  // Of what is charged to the queue itself, as if that were a child without quota and of weight 1.
  Share ShareOfOwn(QueueIndex q, std::span<const Charge> charges = {}, std::span<const int64_t> past = {}) const;
  // Of charges to the queue, what its parent gets.
  void PassOn(QueueIndex q, std::vector<Charge>& charges) const;

 private:
  using Wide = absl::int128;
  struct Cell {
    bool listed = false, counts = false;
    int64_t borrowing_limit = kUnlimited;
    Wide subtree = 0, local = 0, potential = 0;
    Wide own = 0, usage = 0;
  };

  const Cell& At(QueueIndex q, QuotaCell cell) const { return cells_[q * resource_of_.size() + cell]; }
  Cell& At(QueueIndex q, QuotaCell cell) { return cells_[q * resource_of_.size() + cell]; }
  Wide AvailableAt(QueueIndex q, QuotaCell cell) const;
  // The greatest, over resources, of the sums of `used_of`, and where there is any of `past_of`, by those of `all_of`,
  // by cell.
  template <typename Used, typename Past, typename All>
  Share Dominant(int32_t weight, std::span<const Charge> charges, Used used_of, Past past_of, All all_of) const;
  static int64_t Narrow(Wide v) {
    if (v >= kUnlimited) return kUnlimited;
    return v < -kUnlimited ? -kUnlimited : static_cast<int64_t>(v);
  }

  std::vector<QueueIndex> parents_;
  std::vector<int32_t> weights_;
  std::vector<uint32_t> resource_of_;       // by cell
  std::vector<std::vector<QuotaCell>> of_;  // by resource: its cells
  std::vector<Cell> cells_;                 // by queue and cell
  uint64_t fingerprint_ = 0, builds_ = 0;
};

}  // namespace muster

#endif  // MUSTER_QUEUE_QUOTA_TREE_H_
