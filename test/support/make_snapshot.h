// A Snapshot of nodes and the pods on them, for tests.
#ifndef MUSTER_TEST_SUPPORT_MAKE_SNAPSHOT_H_
#define MUSTER_TEST_SUPPORT_MAKE_SNAPSHOT_H_

#include <algorithm>
#include <utility>
#include <vector>

#include "scheduler/model/snapshot.h"

namespace muster {

// Nodes in any order; each pod of `placed` is on its Pod::node.
inline Snapshot MakeSnapshot(std::vector<NodePtr> nodes, const std::vector<PodPtr>& placed = {}) {
  std::sort(nodes.begin(), nodes.end(), [](const NodePtr& a, const NodePtr& b) { return a->name < b->name; });
  Snapshot snap;
  snap.Rebuild(std::move(nodes));
  for (const PodPtr& pod : placed) snap.Apply(*snap.Resolve(pod->spec), snap.Find(pod->node), +1);
  return snap;
}

}  // namespace muster

#endif  // MUSTER_TEST_SUPPORT_MAKE_SNAPSHOT_H_
