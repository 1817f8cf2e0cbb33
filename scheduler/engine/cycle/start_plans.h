// Nodes that are kept for groups of Backfill queues which cannot start yet, until they can: who would still be there
// then may not go there, but for those who rank higher.
//
// Decision thread only.
#ifndef MUSTER_SCHEDULER_ENGINE_CYCLE_START_PLANS_H_
#define MUSTER_SCHEDULER_ENGINE_CYCLE_START_PLANS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <utility>

#include "absl/container/btree_map.h"
#include "scheduler/model/ids.h"
#include "scheduler/model/node_set.h"
#include "scheduler/model/pod.h"

namespace muster {

class StartPlans {
 public:
  struct Plan {
    std::string name;  // the group's, for people
    NodeSet rows;      // where its pods will be
    Time at;           // when they all fit there, if those who run now end when they say
    int32_t priority = 0;
  };

  bool empty() const { return plans_.empty(); }
  bool Has(const std::string& key) const { return plans_.contains(key); }
  void Set(const std::string& key, Plan plan) { plans_.insert_or_assign(key, std::move(plan)); }
  bool Remove(const std::string& key) { return plans_.erase(key) > 0; }
  // Rows are others now.
  void Clear() { plans_.clear(); }
  // Plans whose time has come are over. True: there were some.
  bool Expire(Time now) {
    const size_t before = plans_.size();
    for (auto it = plans_.begin(); it != plans_.end();) it = it->second.at <= now ? plans_.erase(it) : std::next(it);
    return plans_.size() != before;
  }
  Time NextEnd() const {
    Time next = absl::InfiniteFuture();
    for (const auto& [of, plan] : plans_) next = std::min(next, plan.at);
    return next;
  }
  // Takes out of `room` what is kept from the pod, which is of the group `key`. True: it was something.
  bool Keep(const std::string& key, const Pod& pod, int32_t priority, Time now, NodeSet& room) const {
    bool any = false;
    for (const auto& [of, plan] : plans_) {
      if (of == key || priority > plan.priority || (pod.max_runtime && now + *pod.max_runtime <= plan.at)) continue;
      for (size_t w = 0; w < room.words() && w < plan.rows.words(); ++w) {
        any |= (room.word(w) & plan.rows.word(w)) != 0;
        room.word(w) &= ~plan.rows.word(w);
      }
    }
    return any;
  }
  // For people: whom nodes are kept for.
  std::string Text() const {
    std::string text;
    for (const auto& [of, plan] : plans_) text += (text.empty() ? "" : ", ") + plan.name;
    return text;
  }

 private:
  absl::btree_map<std::string, Plan> plans_;  // by group
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_CYCLE_START_PLANS_H_
