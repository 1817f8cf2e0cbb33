// The answers of recently seen shapes, least recently used out first.
#ifndef MUSTER_SCHEDULER_ENGINE_SHAPE_CACHE_H_
#define MUSTER_SCHEDULER_ENGINE_SHAPE_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "scheduler/framework/evaluation.h"
#include "scheduler/framework/explain.h"

namespace muster {

class ShapeCache {
 public:
  struct Entry {
    PodInfoPtr pod;  // keeps the key alive
    Evaluation answer;
    // Why it fits nowhere, as of these epoch() and version().
    Verdicts verdicts;
    Explanation why;
    uint64_t why_epoch = 0, why_version = 0;
    CycleState memo;  // of PostFilter plugins
  };

  // `max_bytes` bounds the columns that entries hold; at least kMin entries are kept.
  explicit ShapeCache(size_t max_bytes = size_t{32} << 20) : max_bytes_(max_bytes) {}

  // The shape's entry, perhaps fresh (*known false). Valid until the next call. A shape belongs to
  // one profile, because its spec names the scheduler.
  Entry& Get(const PodInfoPtr& pod, bool* known) {
    if (auto it = index_.find(pod.get()); it != index_.end()) {
      entries_.splice(entries_.begin(), entries_, it->second);
      *known = true;
      return entries_.front();
    }
    *known = false;
    if (entries_.size() >= kMin && entries_.size() * entries_.front().answer.MemoryBytes() > max_bytes_) {
      // Reuse the oldest entry's columns rather than allocate new ones.
      index_.erase(entries_.back().pod.get());
      entries_.splice(entries_.begin(), entries_, std::prev(entries_.end()));
    } else {
      entries_.emplace_front();
    }
    Entry& entry = entries_.front();
    entry.pod = pod;
    entry.answer.Invalidate();
    entry.memo.Clear();
    index_[pod.get()] = entries_.begin();
    return entry;
  }
  size_t size() const { return entries_.size(); }

 private:
  static constexpr size_t kMin = 8;
  size_t max_bytes_;
  std::list<Entry> entries_;
  absl::flat_hash_map<const PodInfo*, std::list<Entry>::iterator> index_;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_SHAPE_CACHE_H_
