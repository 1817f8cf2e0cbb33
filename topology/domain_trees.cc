#include "topology/domain_trees.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "scheduler/model/pod_group.h"

namespace muster {

const DomainTree* DomainTrees::Find(const Snapshot& snap, const TopologyRequest& request, std::string* impossible) {
  std::pair<NodePtr, NodePtr> ends;
  if (snap.size() > 0) ends = {snap.node_ptr(0), snap.node_ptr(static_cast<NodeIndex>(snap.size() - 1))};
  if (snap_ != &snap || static_version_ != snap.static_version() || first_and_last_ != ends) {
    snap_ = &snap;
    static_version_ = snap.static_version();
    first_and_last_ = std::move(ends);
    trees_.clear();
  }

  using Mode = TopologyRequest::Mode;
  const bool has_level = request.mode == Mode::kPreferred || request.mode == Mode::kRequired;
  const std::string& one = has_level ? request.level : request.slice_level;
  const std::string& other = request.slice_level.empty() ? one : request.slice_level;
  if (!has_level && request.slice_level.empty()) return &Tree(snap, {});

  const Topology* empty = nullptr;
  for (const Kind kind : {Kind::kTopology, Kind::kKueueTopology}) {
    for (const auto& [name, object] : snap.objects().All(kind)) {
      const auto& topology = static_cast<const Topology&>(*object);
      const auto has = [&](const std::string& key) {
        return std::find(topology.levels.begin(), topology.levels.end(), key) != topology.levels.end();
      };
      if (!has(one) || !has(other)) continue;
      const DomainTree& tree = Tree(snap, topology.levels);
      if (tree.size() > 1) return &tree;
      if (empty == nullptr) empty = &topology;
    }
  }
  if (empty != nullptr) {
    *impossible =
        absl::StrCat("no node has all labels of Topology ", empty->name, ": ", absl::StrJoin(empty->levels, ", "));
    return nullptr;
  }
  if (one != other) {
    *impossible = absl::StrCat("no Topology has both ", one, " and ", other, " among its levels");
    return nullptr;
  }
  const DomainTree& tree = Tree(snap, std::span(&one, 1));
  if (tree.size() > 1) return &tree;
  *impossible = absl::StrCat("no node has the label ", one);
  return nullptr;
}

const DomainTree& DomainTrees::Tree(const Snapshot& snap, std::span<const std::string> keys) {
  for (const auto& tree : trees_) {
    if (std::equal(keys.begin(), keys.end(), tree->keys().begin(), tree->keys().end())) return *tree;
  }
  std::vector<std::string> own(keys.begin(), keys.end());
  return *trees_.emplace_back(std::make_unique<const DomainTree>(snap, std::move(own), ++built_));
}

}  // namespace muster
