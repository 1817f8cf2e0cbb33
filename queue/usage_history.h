// What queues used over time: for metrics, for shares that remember (Queue::usage_half_life), and for budgets.
//
// The amount used is a step function of time, told by Changed at each step. Of it are kept
// - by queue and resource its integral, of what is charged to the queue and those below it: exact;
// - by queue and cell, where the queue has a half-life H, the average that forgets: d(average)/dt =
//   (used - average) * ln 2 / H, so that after dt of constant use average = used + (average - used) * 2^(-dt/H).
//   Source: Kueue's AdmissionFairSharing, in the limit of short sampling intervals. Two of them: of what the queue
//   uses as QuotaTree::Usage counts it, and of what is charged to the queue itself. Each starts at what is used when
//   it begins, as if it had always been so. Kept in 2^-56ths; each step errs by at most 2^-48 of the difference;
// - by queue with a budget its integral at 64 instants a window. Between two of these use counts as even: what is used
//   in the trailing window is exact but for the 64th of it that the window's begin falls into, and there off by at most
//   a quarter of the most that was used at once times that 64th.
//
// All is kept by name while the Queue object, sound or not, is there, and the resource or cell is anybody's. It is not
// kept over a restart. Integers throughout: the same steps give the same numbers, whoever reads in between. Time does
// not run backwards. Decision thread only.
#ifndef MUSTER_QUEUE_USAGE_HISTORY_H_
#define MUSTER_QUEUE_USAGE_HISTORY_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/numeric/int128.h"
#include "queue/queue_catalog.h"
#include "queue/quota_tree.h"
#include "scheduler/model/ids.h"

namespace muster {

// `value` * 2^(-passed / half_life); passed >= 0 and half_life > 0 in one unit, |value| < 2^126.
absl::int128 Fade(absl::int128 value, int64_t passed, int64_t half_life);

class UsageHistory {
 public:
  // Takes up the catalog's queues, and what is charged in their tree, which outlives this.
  void Build(const QueueCatalog& catalog, const QuotaTree& tree, Time now);

  // What is charged to the queue in the cell is another amount since `now`; of several calls at one instant the last
  // counts. O(depth).
  void Changed(QueueIndex q, QuotaCell cell, Time now);

  // Amount times seconds that the queue and those below it were charged, rounded down; never less than before.
  // `resource` as QueueCatalog::resource_of numbers it.
  int64_t ResourceSeconds(QueueIndex q, uint32_t resource, Time now) const;

  bool Fades(QueueIndex q) const { return Of(q).half_life > 0; }
  // The averages that forget, by cell, to the nearest unit; the queue fades.
  struct Average {
    std::vector<int64_t> usage, own;
  };
  void Read(QueueIndex q, Time now, Average& average) const;

  // Of the queue's budget: resource-seconds left in the window that ends now, negative beyond it; kUnlimited without.
  int64_t Left(QueueIndex q, Time now) const;
  // When some will be left, or now; InfiniteFuture: not before less is used.
  Time LeftAgain(QueueIndex q, Time now) const;

 private:
  using Wide = absl::int128;
  using Nanos = int64_t;  // since start_
  static constexpr int64_t kBuckets = 64;

  struct Total {
    Wide used = 0, area = 0;  // area: amount times nanoseconds until `at`
    Nanos at = 0;
    Wide AreaAt(Nanos now) const;
  };
  struct Fading {
    int64_t used = 0;
    Wide average = 0;
    Nanos began = 0, at = 0;
    Wide At(Nanos now, Nanos half_life) const;
    void Set(int64_t amount, Nanos now, Nanos half_life);
  };
  struct Window {
    Nanos width = 0;  // 0: no budget
    int64_t seconds = 0;
    uint32_t resource = 0;
    std::array<Wide, kBuckets + 1> areas = {};  // when the k-th bucket began, at k modulo the size

    Nanos Bucket() const { return (width + kBuckets - 1) / kBuckets; }
    Wide& Sample(Nanos k) { return areas[Slot(k)]; }
    static size_t Slot(Nanos k) { return static_cast<size_t>((k % (kBuckets + 1) + kBuckets + 1) % (kBuckets + 1)); }
    void Advance(const Total& total, Nanos now);  // before the total changes
    Wide AreaAt(const Total& total, Nanos when) const;
    Wide UsedAt(const Total& total, Nanos when) const;
  };
  struct Entry {
    std::string name;
    Nanos half_life = 0;             // 0: does not fade
    std::vector<int64_t> charged;    // by cell: to the queue itself
    std::vector<Total> totals;       // by resource
    std::vector<Fading> usage, own;  // by cell, or empty
    Window window;
  };

  const Entry& Of(QueueIndex q) const { return entries_[of_index_[q]]; }
  Entry& Of(QueueIndex q) { return entries_[of_index_[q]]; }
  Nanos Since(Time now) const { return absl::ToInt64Nanoseconds(now - start_); }
  void AddTotal(Entry& entry, uint32_t resource, Wide amount, Nanos now);
  void SetPolicy(Entry& entry, const Queue& queue, Nanos now);
  // The same entries with their columns as the catalog numbers resources and cells.
  void Renumber(const QueueCatalog& catalog, Nanos now);

  const QuotaTree* tree_ = nullptr;
  Time start_ = absl::InfinitePast();
  std::vector<Entry> entries_;      // by name
  std::vector<uint32_t> of_index_;  // by queue
  std::vector<QueueCatalog::Cell> cells_;
  std::vector<uint32_t> resource_of_;   // by cell
  std::vector<std::string> resources_;  // by number
};

}  // namespace muster

#endif  // MUSTER_QUEUE_USAGE_HISTORY_H_
