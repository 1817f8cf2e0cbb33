// Pending pods that preemption makes room for, by the node they wait for (status.nominatedNodeName).
// Others of lower or equal priority must leave them that room. Decision thread only.
#ifndef MUSTER_SCHEDULER_FRAMEWORK_NOMINATOR_H_
#define MUSTER_SCHEDULER_FRAMEWORK_NOMINATOR_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "scheduler/framework/statement.h"
#include "scheduler/model/pod.h"
#include "scheduler/model/snapshot.h"

namespace muster {

class Nominator {
 public:
  struct Entry {
    PodPtr pod;
    PodInfoPtr info;
  };
  using ByNode = absl::btree_map<std::string, std::vector<Entry>>;

  // The pod waits for `node`; "": for none. Replaces what was known of it.
  void Set(const PodPtr& pod, PodInfoPtr info, const std::string& node) {
    Remove(pod->uid);
    if (node.empty()) return;
    by_node_[node].push_back({pod, std::move(info)});
    node_of_[pod->uid] = node;
  }
  void Remove(const std::string& uid) {
    const auto it = node_of_.find(uid);
    if (it == node_of_.end()) return;
    const auto at = by_node_.find(it->second);
    std::erase_if(at->second, [&](const Entry& e) { return e.pod->uid == uid; });
    if (at->second.empty()) by_node_.erase(at);
    node_of_.erase(it);
  }
  // "" where it waits for none.
  std::string NodeOf(const std::string& uid) const {
    const auto it = node_of_.find(uid);
    return it == node_of_.end() ? std::string() : it->second;
  }
  const ByNode& by_node() const { return by_node_; }

 private:
  ByNode by_node_;
  absl::flat_hash_map<std::string, std::string> node_of_;  // by uid
};

// The nominated pods as one pending pod meets them: those of its own or a higher priority.
struct Nominated {
  const Nominator& nominator;
  Statement& statement;  // places them for a moment, and rolls back
  std::string_view uid;  // of the pending pod

  // Calls f(row, entries) for each node that has such pods and is in the snapshot, in name order.
  template <typename F>
  void ForEachRow(const PodInfo& pod, const Snapshot& snap, F&& f) const {
    for (const auto& [node, entries] : nominator.by_node()) {
      const NodeIndex n = snap.Find(node);
      if (n == kNoNode) continue;
      for (const Nominator::Entry& e : entries) {
        if (!Counts(e, pod)) continue;
        f(n, entries);
        break;
      }
    }
  }
  bool Counts(const Nominator::Entry& e, const PodInfo& pod) const {
    return e.pod->uid != uid && e.info->spec->priority >= pod.spec->priority;
  }
  void Place(const std::vector<Nominator::Entry>& entries, const PodInfo& pod, NodeIndex n) const {
    for (const Nominator::Entry& e : entries) {
      if (Counts(e, pod)) statement.Place({e.pod.get(), e.info.get()}, n);
    }
  }
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_FRAMEWORK_NOMINATOR_H_
