// Pending pods that preemption makes room for, by the node they wait for (status.nominatedNodeName).
// Others of lower or equal priority must leave them that room, and those of higher priority too from which they have it
// by the rules of queues: else whoever was evicted, once it is created again, would take the room back and be evicted
// for ever. Decision thread only.
#ifndef MUSTER_SCHEDULER_FRAMEWORK_NOMINATOR_H_
#define MUSTER_SCHEDULER_FRAMEWORK_NOMINATOR_H_

#include <algorithm>
#include <functional>
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
  // Evaluations of `snapshot`, which outlives this, look again at the nodes that nominations concern.
  explicit Nominator(Snapshot& snapshot) : snapshot_(snapshot) {}
  using PodRule = std::function<bool(const PodInfo& waiting, const PodInfo& other)>;
  // Whether a pod leaves its room to another one of higher priority; without a rule all do.
  void SetYields(PodRule rule) { yields_ = std::move(rule); }

  struct Entry {
    PodPtr pod;
    PodInfoPtr info;
  };
  struct OfNode {
    std::vector<Entry> entries;
    bool plain = true;                  // they have nothing that filters look at but what they use
    std::vector<PodInfo::Want> in_sum;  // what they use, where that holds
    mutable NodeIndex row = kNoNode;    // as of this static_version() of the snapshot
    mutable uint64_t row_version = 0;
  };
  using ByNode = absl::btree_map<std::string, OfNode, std::less<>>;

  // The pod waits for `node`; "": for none. Replaces what was known of it.
  void Set(const PodPtr& pod, PodInfoPtr info, const std::string& node) {
    Remove(pod->uid);
    if (node.empty()) return;
    OfNode& of = by_node_[node];
    of.entries.push_back({pod, std::move(info)});
    Count(of, *of.entries.back().info);
    node_of_[pod->uid] = node;
    Touch(node);
  }
  void Remove(const std::string& uid) {
    const auto it = node_of_.find(uid);
    if (it == node_of_.end()) return;
    const auto at = by_node_.find(it->second);
    Touch(it->second);
    std::erase_if(at->second.entries, [&](const Entry& e) { return e.pod->uid == uid; });
    at->second.plain = true;
    at->second.in_sum.clear();
    for (const Entry& e : at->second.entries) Count(at->second, *e.info);
    if (at->second.entries.empty()) by_node_.erase(at);
    node_of_.erase(it);
  }
  // "" where it waits for none.
  std::string NodeOf(std::string_view uid) const {
    const auto it = node_of_.find(AsAbsl(uid));
    return it == node_of_.end() ? std::string() : it->second;
  }
  const ByNode& by_node() const { return by_node_; }
  bool Yields(const PodInfo& waiting, const PodInfo& other) const {
    return yields_ == nullptr || yields_(waiting, other);
  }
  // Whether the pod that waits for its room has it before the other.
  bool Keeps(const PodInfo& waiting, const PodInfo& other) const {
    return waiting.spec->priority >= other.spec->priority || !Yields(waiting, other);
  }
  // What the answer above depends on changed: the nodes are to be looked at again.
  void TouchAll() {
    for (const auto& [node, of] : by_node_) Touch(node);
  }

 private:
  static void Count(OfNode& of, const PodInfo& info) {
    const PodSpec& spec = *info.spec;
    of.plain &= spec.volumes.empty() && spec.host_ports.empty() && spec.asked.empty() &&
                spec.pod_affinity.required_anti.empty();
    for (const PodInfo::Want& use : info.usage) {
      const auto it = std::find_if(of.in_sum.begin(), of.in_sum.end(),
                                   [&](const PodInfo::Want& sum) { return sum.resource == use.resource; });
      if (it == of.in_sum.end()) {
        of.in_sum.push_back(use);
      } else {
        it->amount += use.amount;
      }
    }
  }
  // Where rows are about to be numbered anew, evaluations begin anew too.
  void Touch(const std::string& node) {
    if (const NodeIndex n = snapshot_.Find(node); n != kNoNode) snapshot_.Touch(n);
  }

  Snapshot& snapshot_;
  PodRule yields_;
  ByNode by_node_;
  absl::flat_hash_map<std::string, std::string> node_of_;  // by uid
};

// The nominated pods as one pending pod meets them: those that have their room before it.
struct Nominated {
  const Nominator& nominator;
  Statement& statement;  // places them for a moment, and rolls back
  std::string_view uid;  // of the pending pod

  // The row that the pending pod itself waits for: what it answers there depends on the pod.
  NodeIndex OwnRow(const Snapshot& snap) const {
    const std::string own = nominator.NodeOf(uid);
    return own.empty() ? kNoNode : snap.Find(own);
  }
  // Calls f(row, entries) for each node that has such pods and is in the snapshot, in name order; but for those where
  // what is free is enough for all of them beside the pod.
  template <typename F>
  void ForEachRow(const PodInfo& pod, const Snapshot& snap, F&& f) const {
    for (const auto& [node, of] : nominator.by_node()) {
      if (of.row_version != snap.static_version()) {
        of.row = snap.Find(node);
        of.row_version = snap.static_version();
      }
      if (of.row == kNoNode || HasRoomForAll(of, pod, snap, of.row)) continue;
      for (const Nominator::Entry& e : of.entries) {
        if (!Counts(e, pod)) continue;
        f(of.row, of.entries);
        break;
      }
    }
  }
  // The same for rows of `rows` only, in their order.
  template <typename F>
  void ForEachRowOf(const NodeSet& rows, const PodInfo& pod, const Snapshot& snap, F&& f) const {
    if (rows.Count() >= nominator.by_node().size()) {
      return ForEachRow(pod, snap, [&](NodeIndex n, const std::vector<Nominator::Entry>& entries) {
        if (rows.Has(n)) f(n, entries);
      });
    }
    rows.ForEach([&](NodeIndex n) {
      const auto at = nominator.by_node().find(snap.NodeName(n));
      if (at == nominator.by_node().end()) return;
      if (HasRoomForAll(at->second, pod, snap, n)) return;
      const std::vector<Nominator::Entry>& entries = at->second.entries;
      if (std::any_of(entries.begin(), entries.end(), [&](const auto& e) { return Counts(e, pod); })) f(n, entries);
    });
  }
  // Thousands may wait, for whom evaluating each of their nodes would cost 0.4 us a pod and node.
  static bool HasRoomForAll(const Nominator::OfNode& of, const PodInfo& pod, const Snapshot& snap, NodeIndex n) {
    const bool asks = pod.affinity != kNoColumn || !pod.anti_affinity.empty() || !pod.spread.empty();
    if (asks || !of.plain || snap.Free(kPods)[n] <= static_cast<int64_t>(of.entries.size())) return false;
    return std::all_of(pod.requests.begin(), pod.requests.end(), [&](const PodInfo::Want& want) {
      const auto sum = std::find_if(of.in_sum.begin(), of.in_sum.end(),
                                    [&](const PodInfo::Want& use) { return use.resource == want.resource; });
      return want.amount <= 0 || sum == of.in_sum.end() || snap.Free(want.resource)[n] - sum->amount >= want.amount;
    });
  }
  bool Counts(const Nominator::Entry& e, const PodInfo& pod) const {
    return nominator.Keeps(*e.info, pod) && e.pod->uid != uid;
  }
  void Place(const std::vector<Nominator::Entry>& entries, const PodInfo& pod, NodeIndex n) const {
    for (const Nominator::Entry& e : entries) {
      if (Counts(e, pod)) statement.Place({e.pod.get(), e.info.get()}, n);
    }
  }
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_FRAMEWORK_NOMINATOR_H_
