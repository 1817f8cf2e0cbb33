// The answers of recently seen shapes, least recently used out first.
#ifndef MUSTER_SCHEDULER_ENGINE_CYCLE_SHAPE_CACHE_H_
#define MUSTER_SCHEDULER_ENGINE_CYCLE_SHAPE_CACHE_H_

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
    CycleState memo;     // of PostFilter and PlacementGenerate plugins
    uint64_t round = 0;  // that it was last got in
    bool once = true;    // not got again since it was made
  };

  // `max_bytes` bounds the columns of entries that were got again; beside these a few are kept.
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
  size_t size() const { return entries_.size() + once_.size(); }

 private:
  static constexpr size_t kMin = 8, kRemembered = 1024;
  using Iterator = std::list<Entry>::iterator;

  Entry& Touch(Iterator it) {
    entries_.splice(entries_.begin(), it->once ? once_ : entries_, it);
    it->once = false;
    it->round = round_;
    const bool full = entries_.size() > kMin && entries_.size() * it->answer.MemoryBytes() > max_bytes_;
    if (full && entries_.back().round != round_) {  // the oldest gets a last chance
      entries_.back().once = true;
      once_.splice(once_.begin(), entries_, std::prev(entries_.end()));
    }
    return *it;
  }
  void Forget(Entry& entry) {
    index_.erase(entry.pod.get());
    const auto kin = kin_.find(entry.pod->kin);
    std::erase_if(kin->second, [&](Iterator it) { return &*it == &entry; });
    if (kin->second.empty()) kin_.erase(kin);
    Remembered(entry.pod->shape) = entry.pod->shape;
  }
  bool AnySpare() const { return once_.size() >= kMin && once_.back().round != round_; }
  // Most shapes that came once never come again (each pod has a claim of its own, say): they take turns
  // in a few entries, whose columns so stay in the processor's caches. One that does come again is kept.
  Entry& Add(const PodInfoPtr& pod) {
    if (AnySpare()) {
      Forget(once_.back());
      once_.splice(once_.begin(), once_, std::prev(once_.end()));
      if (AnySpare()) {  // after a round that needed many
        Forget(once_.back());
        once_.pop_back();
      }
    } else {
      once_.emplace_front();
    }
    Entry& entry = once_.front();
    entry.pod = pod;
    entry.round = round_;
    entry.once = true;
    entry.answer.Invalidate();
    entry.memo.Clear();
    index_[pod.get()] = once_.begin();
    kin_[pod->kin].push_back(once_.begin());
    return Remembered(pod->shape) == pod->shape ? Touch(once_.begin()) : entry;
  }
  uint64_t& Remembered(uint64_t shape) { return remembered_[shape % kRemembered]; }

  size_t max_bytes_;
  uint64_t round_ = 1;
  std::list<Entry> entries_, once_;                                        // the last got first
  std::vector<uint64_t> remembered_ = std::vector<uint64_t>(kRemembered);  // some shapes that lost their entry
  absl::flat_hash_map<const PodInfo*, Iterator> index_;
  absl::flat_hash_map<uint64_t, std::vector<Iterator>> kin_;  // by PodInfo::kin, the oldest first
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_CYCLE_SHAPE_CACHE_H_
