#include "scheduler/framework/nominator.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scheduler/framework/statement.h"
#include "test/support/make.h"

namespace muster {
namespace {

// Nodes are looked at closely only where those who wait for them may be in the way: "n" has 4 cores and takes 3 pods.
TEST(NominatorTest, PassesOverNodesWithRoomForAll) {
  const struct {
    const char* name;
    std::vector<MakePod> waiting;
    MakePod pod;
    bool passed_over;
  } kRows[] = {
      {"room for both", {MakePod("w").Cpu(3000)}, MakePod("p").Cpu(1000), true},
      {"a core too few", {MakePod("w").Cpu(3000)}, MakePod("p").Cpu(2000), false},
      {"two wait", {MakePod("v").Cpu(2000), MakePod("w").Cpu(2000)}, MakePod("p").Cpu(1000), false},
      {"a pod too many", {MakePod("u"), MakePod("v"), MakePod("w")}, MakePod("p"), false},
      {"asks for nothing that they have", {MakePod("w").Cpu(4000)}, MakePod("p"), true},
      {"a port", {MakePod("w").Cpu(1000).HostPort(80)}, MakePod("p").Cpu(1000), false},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.name);
    Snapshot snap;
    snap.Rebuild({MakeNode("n").Cpu(4000).Room("pods", 3).Ptr()});
    Statement statement(snap);
    Nominator nominator(snap);
    for (size_t i = 0; i < row.waiting.size(); ++i) {
      const PodPtr pod = MakePod(row.waiting[i]).Uid(std::to_string(i)).Ptr();
      nominator.Set(pod, snap.Resolve(pod->spec), "n");
    }
    const PodPtr pod = MakePod(row.pod).Uid("p").Ptr();
    const PodInfoPtr info = snap.Resolve(pod->spec);
    const Nominated others{nominator, statement, pod->uid};
    int looked = 0;
    others.ForEachRow(*info, snap, [&](NodeIndex, const std::vector<Nominator::Entry>&) { ++looked; });
    EXPECT_EQ(looked, row.passed_over ? 0 : 1);
    // When who waited is gone, so is what was summed.
    for (size_t i = 0; i < row.waiting.size(); ++i) nominator.Remove(std::to_string(i));
    EXPECT_TRUE(nominator.by_node().empty());
  }
}

}  // namespace
}  // namespace muster
