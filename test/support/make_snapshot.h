// A Snapshot of nodes and the pods on them, for tests.
#ifndef MUSTER_TEST_SUPPORT_MAKE_SNAPSHOT_H_
#define MUSTER_TEST_SUPPORT_MAKE_SNAPSHOT_H_

#include <algorithm>
#include <utility>
#include <vector>

#include "scheduler/model/snapshot.h"

namespace muster {

// Nodes in any order; each pod of `placed` is on its Pod::node, and lives as long as the program.
inline Snapshot MakeSnapshot(std::vector<NodePtr> nodes, const std::vector<PodPtr>& placed = {}) {
  std::sort(nodes.begin(), nodes.end(), [](const NodePtr& a, const NodePtr& b) { return a->name < b->name; });
  Snapshot snap;
  snap.Rebuild(std::move(nodes));
  static auto* const kept = new std::vector<std::pair<PodPtr, PodInfoPtr>>();
  for (const PodPtr& pod : placed) {
    kept->emplace_back(pod, snap.Resolve(pod->spec));
    snap.AddPod({pod.get(), kept->back().second.get()}, snap.Find(pod->node));
  }
  return snap;
}

}  // namespace muster

#endif  // MUSTER_TEST_SUPPORT_MAKE_SNAPSHOT_H_
