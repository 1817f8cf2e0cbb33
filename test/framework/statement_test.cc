#include "scheduler/framework/statement.h"

#include <gtest/gtest.h>

#include <vector>

#include "scheduler/runtime/random.h"
#include "test/support/make.h"

namespace muster {
namespace {

std::vector<int64_t> CellsOf(const Snapshot& snap) {
  std::vector<int64_t> all;
  for (ResourceId r : {kPods, kCpu, kMemory}) all.insert(all.end(), snap.Free(r), snap.Free(r) + snap.size());
  all.insert(all.end(), snap.NonZeroCpuUsed(), snap.NonZeroCpuUsed() + snap.size());
  return all;
}

Snapshot ThreeNodes() {
  Snapshot snap;
  snap.Rebuild({MakeNode("a").Cpu(1000).Ptr(), MakeNode("b").Cpu(2000).Ptr(), MakeNode("c").Cpu(3000).Ptr()});
  return snap;
}

TEST(StatementTest, LeavesNoTraceUnlessCommitted) {
  Snapshot snap = ThreeNodes();
  const PodPtr pod = MakePod("p").Cpu(400).HostPort(80).Ptr();
  const PodInfoPtr info = snap.Resolve(pod->spec);
  const auto before = CellsOf(snap);
  {
    Statement statement(snap);
    statement.Place({pod.get(), info.get()}, 1);
    EXPECT_EQ(snap.Free(kCpu)[1], 1600);
    EXPECT_EQ(snap.Cells(snap.host_ports()[0].column)[1], 1);
  }
  EXPECT_EQ(CellsOf(snap), before);
  EXPECT_EQ(snap.Cells(snap.host_ports()[0].column)[1], 0);
  Statement statement(snap);
  statement.Place({pod.get(), info.get()}, 1);
  statement.Commit();
  statement.Rollback(0);
  EXPECT_EQ(snap.Free(kCpu)[1], 1600);
}

TEST(StatementTest, RollsBackToAnyMark) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    Snapshot snap = ThreeNodes();
    const PodPtr pod = MakePod("p").Cpu(10).Memory(7).Ptr();
    const PodInfoPtr info = snap.Resolve(pod->spec);
    Statement statement(snap);
    std::vector<std::pair<size_t, std::vector<int64_t>>> marks;
    for (int step = 0; step < 40; ++step) {
      if (random.Below(3) == 0) marks.emplace_back(statement.Checkpoint(), CellsOf(snap));
      statement.Place({pod.get(), info.get()}, static_cast<NodeIndex>(random.Below(3)));
      if (!marks.empty() && random.Below(5) == 0) {
        marks.resize(1 + random.Below(marks.size()));
        statement.Rollback(marks.back().first);
        ASSERT_EQ(CellsOf(snap), marks.back().second);
      }
    }
  }
}

}  // namespace
}  // namespace muster
