// The trees of a cluster's Topologies, each built when it is first asked for.
#ifndef MUSTER_TOPOLOGY_DOMAIN_TREES_H_
#define MUSTER_TOPOLOGY_DOMAIN_TREES_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/model/pod.h"
#include "scheduler/model/snapshot.h"
#include "topology/domain_tree.h"

namespace muster {

// Decision thread only. For one snapshot at a time: asked about another, it starts anew.
class DomainTrees {
 public:
  // The tree that has the levels which the request names: of a muster.dev Topology, by name, else of a
  // Kueue one; of a key that is in none, a tree of that level alone. Of Topologies, the first counts
  // that any node belongs to. Where no level is named: the tree without levels. Null, with
  // `*impossible` set: there is none. Valid until the next call on a changed snapshot.
  const DomainTree* Find(const Snapshot& snap, const TopologyRequest& request, std::string* impossible);

 private:
  const DomainTree& Tree(const Snapshot& snap, std::span<const std::string> keys);

  const Snapshot* snap_ = nullptr;
  uint64_t static_version_ = 0;
  // A snapshot at the address of one that is gone has other nodes.
  std::pair<NodePtr, NodePtr> first_and_last_;
  std::vector<std::unique_ptr<const DomainTree>> trees_;
  uint64_t built_ = 0;
};

}  // namespace muster

#endif  // MUSTER_TOPOLOGY_DOMAIN_TREES_H_
