#include "scheduler/model/snapshot.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "scheduler/runtime/random.h"
#include "test/support/make.h"

namespace muster {
namespace {

TEST(SnapshotTest, RowsAreInNameOrderAndKeepTheirCells) {
  Snapshot snap;
  snap.Rebuild({MakeNode("b").Cpu(1000).Ptr(), MakeNode("d").Cpu(1000).Ptr()});
  const PodInfoPtr pod = snap.Resolve(MakePod("p").Cpu(300).Build().spec);
  snap.Apply(*pod, snap.Find("d"), +1);
  snap.Rebuild({MakeNode("a").Cpu(500).Ptr(), MakeNode("d").Cpu(1500).Ptr()});
  EXPECT_EQ(snap.NodeName(0), "a");
  EXPECT_EQ(snap.Find("b"), kNoNode);
  EXPECT_EQ(snap.Free(kCpu)[snap.Find("d")], 1200);
  EXPECT_EQ(snap.Free(kPods)[snap.Find("d")], 109);
  EXPECT_EQ(snap.Free(kCpu)[snap.Find("a")], 500);
}

TEST(SnapshotTest, IndexesLabelsTaintsAndImages) {
  Node a = MakeNode("a").Label("zone", "x").Taint("t").Build();
  a.images = {{{"img:1", "img:latest"}, 100}};
  Node b = MakeNode("b").Label("zone", "y").Taint("t").Unschedulable().Build();
  b.images = {{{"img:1"}, 999}};
  Snapshot snap;
  snap.Rebuild({std::make_shared<const Node>(a), std::make_shared<const Node>(b), MakeNode("c").Ptr()});
  const Snapshot::LabelKey& label = *snap.FindLabel("zone");
  const std::vector<uint32_t>& zone = label.column;
  ASSERT_NE(snap.FindLabel("zone"), nullptr);
  EXPECT_EQ(label.values.Text(zone[0] - 1), "x");
  EXPECT_EQ(zone[2], 0u);
  EXPECT_EQ(snap.FindLabel("none"), nullptr);
  ASSERT_EQ(snap.taints().size(), 1u);
  EXPECT_EQ(snap.taints()[0].nodes.Count(), 2u);
  EXPECT_TRUE(snap.unschedulable().Has(1));
  EXPECT_EQ(snap.FindImage("img:1")->size_bytes, 100);  // the first node's word
  EXPECT_EQ(snap.FindImage("img:1")->node_count, 2);
  EXPECT_EQ(snap.FindImage("img:latest")->node_count, 1);
}

TEST(SnapshotTest, TheChangeLogReachesBackOrSaysSo) {
  Snapshot snap;
  snap.Rebuild({MakeNode("a").Ptr(), MakeNode("b").Ptr()});
  const PodInfoPtr pod = snap.Resolve(MakePod("p").Build().spec);
  const uint64_t start = snap.cell_version();
  snap.Apply(*pod, 1, +1);
  std::span<const NodeIndex> rows;
  ASSERT_TRUE(snap.ChangedSince(start, &rows));
  EXPECT_EQ(std::vector<NodeIndex>(rows.begin(), rows.end()), std::vector<NodeIndex>{1});
  // A row that changes again after it was read shows again.
  const uint64_t read = snap.cell_version();
  snap.Apply(*pod, 1, +1);
  ASSERT_TRUE(snap.ChangedSince(read, &rows));
  EXPECT_EQ(rows.size(), 1u);
  for (int i = 0; i < 200'000; ++i) snap.Apply(*pod, static_cast<NodeIndex>(i % 2), i % 4 < 2 ? +1 : -1);
  EXPECT_FALSE(snap.ChangedSince(start, &rows));
  EXPECT_TRUE(snap.ChangedSince(snap.cell_version(), &rows));
  EXPECT_TRUE(rows.empty());
}

// Any order of node and pod changes ends in the same columns as a snapshot made at once.
TEST(SnapshotTest, IncrementalEqualsRebuilt) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    Snapshot snap;
    std::map<std::string, NodePtr> nodes;
    std::map<std::string, int> pods;  // node -> pods on it
    const PodInfoPtr pod = snap.Resolve(MakePod("p").Cpu(3).Request("x.io/gpu", 2).HostPort(80).Build().spec);
    for (int step = 0; step < 60; ++step) {
      const std::string name = "n" + std::to_string(random.Below(100));
      if (random.Below(3) == 0 && nodes.contains(name) && pods[name] == 0)
        nodes.erase(name);
      else
        nodes[name] = MakeNode(name).Cpu(static_cast<int64_t>(random.Below(50))).Label("l", name).Ptr();
      std::vector<NodePtr> sorted;
      for (const auto& [_, node] : nodes) sorted.push_back(node);
      if (random.Below(2) == 0 && snap.Find(name) != kNoNode && nodes.contains(name) && sorted.size() == snap.size()) {
        snap.ReplaceNode(snap.Find(name), nodes[name]);
        snap.Settle();
      } else {
        snap.Rebuild(sorted);
      }
      for (int i = 0; i < 3 && !sorted.empty(); ++i) {
        const auto row = static_cast<NodeIndex>(random.Below(sorted.size()));
        const int sign = pods[sorted[row]->name] > 0 && random.Below(2) == 0 ? -1 : +1;
        pods[sorted[row]->name] += sign;
        snap.Apply(*pod, row, sign);
      }
      Snapshot fresh;
      const PodInfoPtr same = fresh.Resolve(pod->spec);
      fresh.Rebuild(sorted);
      for (NodeIndex n = 0; n < fresh.size(); ++n) {
        for (int i = 0; i < pods[sorted[n]->name]; ++i) fresh.Apply(*same, n, +1);
        for (const PodInfo::Want& want : same->requests) {
          ASSERT_EQ(snap.Free(want.resource)[n], fresh.Free(want.resource)[n]);
          ASSERT_EQ(snap.Allocatable(want.resource)[n], fresh.Allocatable(want.resource)[n]);
        }
        ASSERT_EQ(snap.Free(kPods)[n], fresh.Free(kPods)[n]);
        ASSERT_EQ(snap.Cells(snap.host_ports()[0].column)[n], fresh.Cells(fresh.host_ports()[0].column)[n]);
      }
    }
  }
}

}  // namespace
}  // namespace muster
