// The answers of recently seen shapes, least recently used out first.
#ifndef MUSTER_SCHEDULER_ENGINE_SHAPE_CACHE_H_
#define MUSTER_SCHEDULER_ENGINE_SHAPE_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <list>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "scheduler/framework/evaluation.h"
#include "scheduler/framework/explain.h"

namespace muster {

class ShapeCache {
 public:
  struct Entry {
    PodInfoPtr pod;  // keeps the key alive; what the answer is computed for
    Evaluation answer;
    // Why it fits nowhere, as of these epoch() and version().
    Verdicts verdicts;
    Explanation why;
    uint64_t why_epoch = 0, why_version = 0;
    CycleState memo;  // of PostFilter and PlacementGenerate plugins
    uint64_t round = 0;  // that it was last got in
  };

  // `max_bytes` bounds the columns that entries hold; at least kMin entries are kept.
  explicit ShapeCache(size_t max_bytes = size_t{32} << 20) : max_bytes_(max_bytes) {}

  // Entries got from now on stay valid until the next call of this.
  void BeginRound() { ++round_; }

  // The shape's own entry, perhaps fresh (*known false). A shape belongs to one profile, because its
  // spec names the scheduler.
  Entry& Get(const PodInfoPtr& pod, bool* known) {
    const auto it = index_.find(pod.get());
    *known = it != index_.end();
    return *known ? Touch(it->second) : Add(pod);
  }

  // An entry that answers for this shape too (Snapshot::Alike), else its own. Its answer is to be
  // updated for Entry::pod. Requires: Prepare(pod), again whenever its questions may have changed.
  Entry& GetAlike(Snapshot& snap, const PodInfoPtr& pod, bool* known) {
    *known = true;
    const auto kin = kin_.find(pod->kin);
    if (kin != kin_.end()) {
      for (const auto it : kin->second) {
        if (it->pod != pod) snap.Prepare(*it->pod);
        if (snap.Alike(*it->pod, *pod)) return Touch(it);
      }
    }
    *known = false;
    return Add(pod);
  }
  size_t size() const { return entries_.size(); }

 private:
  static constexpr size_t kMin = 8;
  using Iterator = std::list<Entry>::iterator;

  Entry& Touch(Iterator it) {
    entries_.splice(entries_.begin(), entries_, it);
    it->round = round_;
    return *it;
  }
  bool Full() const {
    return entries_.size() >= kMin && entries_.size() * entries_.front().answer.MemoryBytes() > max_bytes_ &&
           entries_.back().round != round_;
  }
  void Forget(Iterator it) {
    index_.erase(it->pod.get());
    const auto kin = kin_.find(it->pod->kin);
    std::erase(kin->second, it);
    if (kin->second.empty()) kin_.erase(kin);
  }
  Entry& Add(const PodInfoPtr& pod) {
    if (Full()) {
      // Reuse the oldest entry's columns rather than allocate new ones.
      Forget(std::prev(entries_.end()));
      entries_.splice(entries_.begin(), entries_, std::prev(entries_.end()));
      if (Full()) {  // after a round that needed many
        Forget(std::prev(entries_.end()));
        entries_.pop_back();
      }
    } else {
      entries_.emplace_front();
    }
    Entry& entry = entries_.front();
    entry.pod = pod;
    entry.round = round_;
    entry.answer.Invalidate();
    entry.memo.Clear();
    index_[pod.get()] = entries_.begin();
    kin_[pod->kin].push_back(entries_.begin());
    return entry;
  }

  size_t max_bytes_;
  uint64_t round_ = 1;
  std::list<Entry> entries_;
  absl::flat_hash_map<const PodInfo*, Iterator> index_;
  absl::flat_hash_map<uint64_t, std::vector<Iterator>> kin_;  // by PodInfo::kin, the oldest first
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_SHAPE_CACHE_H_
