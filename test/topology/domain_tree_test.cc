#include "topology/domain_tree.h"

#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/support/make.h"
#include "test/support/make_snapshot.h"

namespace muster {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

NodePtr Node(const std::string& name, const std::string& block, const std::string& rack) {
  MakeNode node(name);
  if (!block.empty()) node.Label("example.com/block", block);
  if (!rack.empty()) node.Label("rack", rack);
  return node.Ptr();
}

std::vector<std::string> Names(const Snapshot& snap, std::span<const NodeIndex> nodes) {
  std::vector<std::string> names;
  for (const NodeIndex n : nodes) names.emplace_back(snap.NodeName(n));
  return names;
}

TEST(DomainTree, OrdersNodesByTheirLabels) {
  const Snapshot snap = MakeSnapshot({Node("a", "b2", "r1"), Node("b", "b1", "r3"), Node("c", "", "r1"),
                                      Node("d", "b1", "r10"), Node("e", "b1", "r3"), Node("f", "b2", "")});
  const DomainTree tree(snap, {"example.com/block", "rack"}, 1);
  EXPECT_THAT(Names(snap, tree.Nodes(kRoot)), ElementsAre("d", "b", "e", "a"));
  EXPECT_THAT(Names(snap, tree.AllNodes()), ElementsAre("d", "b", "e", "a", "c", "f"));
  EXPECT_THAT(Names(snap, tree.Outside()), ElementsAre("c", "f"));
  EXPECT_EQ(tree.levels(), 2u);
  EXPECT_EQ(tree.size(), 1u + 2u + 3u);
  std::vector<std::string> names;
  for (DomainId id = 0; id < tree.size(); ++id) names.push_back(tree.Name(id, snap));
  EXPECT_THAT(names, ElementsAre("any block", "block b1", "block b2", "rack r10", "rack r3", "rack r1"));
  EXPECT_EQ(tree.LeafOf(snap.Find("e")), 4u);
  EXPECT_EQ(tree.LeafOf(snap.Find("f")), kNoDomain);
  EXPECT_EQ(tree.Around(4, 1), 1u);
  EXPECT_EQ(tree.Around(4, 0), kRoot);
  EXPECT_EQ(tree.LevelOf("rack"), 2u);
  EXPECT_EQ(tree.LevelOf("zone"), std::nullopt);
}

TEST(DomainTree, NamesTellRacksOfOneNameApart) {
  const Snapshot snap = MakeSnapshot({Node("a", "b1", "r1"), Node("b", "b2", "r1")});
  EXPECT_EQ(DomainTree(snap, {"example.com/block", "rack"}, 1).Name(4, snap), "block b2, rack r1");
  EXPECT_EQ(DomainTree(snap, {"rack"}, 1).Name(1, snap), "rack r1");
  EXPECT_EQ(DomainTree(snap, {"rack"}, 1).Name(kRoot, snap), "");
}

TEST(DomainTree, OfNoNodesOrNoLevels) {
  const Snapshot snap = MakeSnapshot({Node("a", "b1", ""), Node("b", "b2", "")});
  for (const std::vector<std::string>& keys :
       {std::vector<std::string>{"rack"}, {"example.com/block", "rack"}, {"rack", "example.com/block"}}) {
    const DomainTree none(snap, keys, 1);
    EXPECT_EQ(none.size(), 1u);
    EXPECT_THAT(none.Nodes(kRoot), IsEmpty());
    EXPECT_EQ(none.Outside().size(), 2u);
    EXPECT_EQ(none.Inside(kRoot, keys.size()).size(), 0u);
    EXPECT_EQ(none.OfLevel(keys.size()).size(), 0u);
  }
  const DomainTree flat(snap, {}, 1);
  EXPECT_EQ(flat.size(), 1u);
  EXPECT_EQ(flat.Nodes(kRoot).size(), 2u);
  EXPECT_EQ(flat.LeafOf(1), kRoot);
  EXPECT_EQ(DomainTree(MakeSnapshot({}), {"rack"}, 1).size(), 1u);
}

// Each domain of each level is a range, holds exactly the nodes of its labels, and is in order.
TEST(DomainTree, IsWhatTheLabelsSay) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937 random(seed);
    const auto pick = [&](uint32_t below) { return random() % below; };
    const size_t levels = 1 + pick(3);
    std::vector<std::string> keys;
    for (size_t i = 0; i < levels; ++i) keys.push_back(absl::StrCat("level", i));
    std::vector<NodePtr> nodes;
    for (uint32_t i = 0, count = pick(40); i < count; ++i) {
      MakeNode node(absl::StrCat("n", i));
      for (const std::string& key : keys) {
        if (pick(12) != 0) node.Label(key, absl::StrCat("v", pick(4)));
      }
      nodes.push_back(node.Ptr());
    }
    const Snapshot snap = MakeSnapshot(std::move(nodes));
    const DomainTree tree(snap, keys, 1);
    const auto path = [&](NodeIndex n) {
      std::vector<std::string> values;
      for (const std::string& key : keys) {
        const auto it = snap.node(n).labels.find(key);
        if (it == snap.node(n).labels.end()) return std::vector<std::string>();
        values.push_back(it->second);
      }
      return values;
    };
    ASSERT_EQ(tree.AllNodes().size(), snap.size());
    for (NodeIndex n = 0; n < snap.size(); ++n) EXPECT_EQ(tree.LeafOf(n) == kNoDomain, path(n).empty());
    for (size_t level = 0; level <= levels; ++level) {
      std::vector<std::vector<std::string>> seen;
      size_t covered = 0;
      for (DomainId id = tree.OfLevel(level).begin; id < tree.OfLevel(level).end; ++id) {
        EXPECT_EQ(tree.LevelOf(id), level);
        covered += tree.Nodes(id).size();
        for (const NodeIndex n : tree.Nodes(id)) {
          std::vector<std::string> prefix = path(n);
          prefix.resize(level);
          if (n == tree.Nodes(id)[0]) seen.push_back(prefix);
          EXPECT_EQ(prefix, seen.back());
          EXPECT_EQ(tree.Around(tree.LeafOf(n), level), id);
        }
        for (size_t below = level; below <= levels; ++below) {
          for (DomainId in = tree.Inside(id, below).begin; in < tree.Inside(id, below).end; ++in)
            EXPECT_EQ(tree.Around(in, level), id);
        }
      }
      EXPECT_EQ(covered, tree.Nodes(kRoot).size());
      EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
      EXPECT_EQ(std::adjacent_find(seen.begin(), seen.end()), seen.end());
    }
  }
}

}  // namespace
}  // namespace muster
