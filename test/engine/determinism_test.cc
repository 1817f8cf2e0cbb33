// The same inputs give the same decisions, bit for bit: twice, and at any number of threads.
#include <string>

#include "gtest/gtest.h"
#include "scheduler/runtime/random.h"
#include "test/support/sim_cluster.h"

namespace muster {
namespace {

struct Course {
  uint64_t log_hash, unseed, decisions, binds;
  Time end;
  friend bool operator==(const Course&, const Course&) = default;
  friend void PrintTo(const Course& c, std::ostream* out) {
    *out << std::hex << c.log_hash << " unseed " << c.unseed << std::dec << " after " << c.decisions << " decisions, "
         << c.binds << " binds";
  }
};

// 700 nodes are 11 words: enough for four threads to share. Few shapes, so that scores tie often.
Course RunCourse(uint64_t seed, int threads, FaultRates faults) {
  SimCluster c({seed, threads, faults});
  Random random(seed);
  const auto pick = [&](uint64_t bound) { return static_cast<int64_t>(random.Below(bound)); };
  for (int i = 0; i < 700; ++i) {
    MakeNode node("node-" + std::to_string(i));
    node.Cpu(1000 * (1 + pick(3))).Memory(int64_t{1} << 33).Label("zone", i % 2 != 0 ? "a" : "b");
    if (pick(5) == 0) node.Taint("team");
    c.Create(node);
  }
  for (int i = 0; i < 1500; ++i) {
    MakePod pod("pod-" + std::to_string(i));
    pod.Cpu(250 * (1 + pick(4))).Memory((1 + pick(3)) << 28);
    if (pick(4) == 0) pod.NodeSelector("zone", "a");
    if (pick(4) == 0) pod.Tolerate("team");
    if (pick(2) == 0) c.kubelet.RunsFor("default", "pod-" + std::to_string(i), absl::Seconds(pick(30)));
    c.Create(pod);
    if (pick(20) == 0) c.loop.RunFor(absl::Milliseconds(pick(100)));
    if (pick(50) == 0) c.server.DeleteNode("node-" + std::to_string(i / 3)).IgnoreError();  // it may be gone
  }
  c.faulty.set_rates({});
  EXPECT_TRUE(c.Settle());
  return {c.log.Hash(), c.scheduler->Unseed(), c.log.entries(), c.server.binds(), c.loop.Now()};
}

constexpr FaultRates kFaults{
    .refused = 0.05, .lost_answer = 0.05, .slow = 0.1, .cut = 0.01, .gone = 0.005, .duplicated = 0.02};

TEST(DeterminismTest, SameScenarioTwiceSameLogHash) {
  EXPECT_EQ(RunCourse(1, 1, {}), RunCourse(1, 1, {}));
  EXPECT_EQ(RunCourse(2, 1, kFaults), RunCourse(2, 1, kFaults));
}

TEST(DeterminismTest, OneAndFourThreadsSameLogHash) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const Course one = RunCourse(seed, 1, seed % 2 == 0 ? FaultRates{} : kFaults);
    EXPECT_EQ(RunCourse(seed, 2, seed % 2 == 0 ? FaultRates{} : kFaults), one);
    EXPECT_EQ(RunCourse(seed, 4, seed % 2 == 0 ? FaultRates{} : kFaults), one);
    EXPECT_GT(one.binds, 1000u);
  }
}

TEST(DeterminismTest, AnotherSeedPlacesElsewhere) {
  // Else the two tests above would also pass with a hash of nothing.
  EXPECT_NE(RunCourse(1, 1, {}).log_hash, RunCourse(2, 1, {}).log_hash);
}

}  // namespace
}  // namespace muster
