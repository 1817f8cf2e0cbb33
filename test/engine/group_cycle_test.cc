#include "scheduler/engine/group_cycle.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "plugins/all.h"
#include "scheduler/framework/config/config.h"
#include "test/support/make.h"

// Counts allocations, so that "the decision path allocates nothing" is a fact.
namespace {
std::atomic<uint64_t> allocations{0};
}  // namespace
[[gnu::noinline]] void* operator new(size_t size) {
  ++allocations;
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
// std::stable_sort asks this way, and gives back by the plain delete below.
[[gnu::noinline]] void* operator new(size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size);
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t) noexcept { std::free(p); }

namespace muster {
namespace {

class GroupCycleTest : public testing::Test {
 protected:
  GroupCycleTest() {
    const Registry registry = AllPlugins();
    framework_ = *Framework::Create(DefaultConfiguration(registry).profiles[0], registry);
  }
  void Nodes(int count, int64_t cpu) {
    std::vector<NodePtr> nodes;
    for (int i = 0; i < count; ++i)
      nodes.push_back(MakeNode("node-" + std::to_string(10000 + i)).Cpu(cpu).Memory(int64_t{64} << 30).Ptr());
    snap_.Rebuild(std::move(nodes));
  }
  Member Pod(int64_t cpu) {
    const PodPtr pod = MakePod("p").Cpu(cpu).Memory(1 << 20).Ptr();
    return {pod, snap_.Resolve(pod->spec)};
  }

  std::unique_ptr<Framework> framework_;
  Snapshot snap_;
  WorkerPool pool_{1};
};

TEST_F(GroupCycleTest, PlacesAGroupWholeOrNotAtAll) {
  Nodes(3, 1000);
  GroupCycle cycle(snap_, pool_, 7);
  const Member pod = Pod(600);
  const std::vector<Member> three(3, pod), four(4, pod);
  const GroupDecision& no = cycle.Decide(*framework_, four);
  EXPECT_FALSE(no.placed);
  EXPECT_EQ(no.why->message, "3 of 4 pods of the group fit: 3 Insufficient cpu; 1 more node with 600m cpu free would "
                             "do. preemption: No preemption victims found for incoming preemptor");
  for (NodeIndex n = 0; n < 3; ++n) EXPECT_EQ(snap_.Free(kCpu)[n], 1000) << "a failed group leaves no trace";
  const GroupDecision& yes = cycle.Decide(*framework_, three);
  ASSERT_TRUE(yes.placed);
  EXPECT_EQ(yes.placements.size(), 3u);
  EXPECT_EQ(yes.intents.size(), 3u);
  for (NodeIndex n = 0; n < 3; ++n) EXPECT_EQ(snap_.Free(kCpu)[n], 400);
}

TEST_F(GroupCycleTest, TheSeedDecidesTiesAndNothingElse) {
  Nodes(100, 1000);
  const Member pod = Pod(100);
  const auto first_node = [&](uint64_t seed) {
    GroupCycle cycle(snap_, pool_, seed);
    const NodeIndex node = cycle.Decide(*framework_, std::span(&pod, 1)).placements[0].node;
    snap_.RemovePod(*pod.pod, node);
    return node;
  };
  EXPECT_EQ(first_node(1), first_node(1));
  std::vector<NodeIndex> seen;
  for (uint64_t seed = 1; seed <= 20; ++seed) seen.push_back(first_node(seed));
  std::sort(seen.begin(), seen.end());
  seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
  EXPECT_GT(seen.size(), 10u) << "ties spread over the nodes";
}

TEST_F(GroupCycleTest, AllocatesNothingInSteadyState) {
  Nodes(1000, 64000);
  GroupCycle cycle(snap_, pool_, 1);
  std::vector<Member> shapes = {Pod(100), Pod(200), Pod(300)};
  std::vector<NodeIndex> placed(300, kNoNode);  // of the last pods; the oldest one leaves when a new one comes
  const auto place = [&](int rounds) {
    for (int i = 0; i < rounds; ++i) {
      const Member& shape = shapes[i % 3];
      NodeIndex& oldest = placed[static_cast<size_t>(i) % placed.size()];
      if (oldest != kNoNode) snap_.RemovePod(*shape.pod, oldest);
      const GroupDecision& decision = cycle.Decide(*framework_, std::span(&shape, 1));
      ASSERT_TRUE(decision.placed);
      oldest = decision.placements[0].node;
    }
  };
  place(3000);  // buffers and the change log reach their size
  for (int i = 0; i < 20; ++i) place(3000);
  const uint64_t before = allocations;
  place(3000);
  EXPECT_EQ(allocations - before, 0u);
}

TEST_F(GroupCycleTest, AnEmptyClusterSaysSo) {
  GroupCycle cycle(snap_, pool_, 1);
  const Member pod = Pod(100);
  const GroupDecision& decision = cycle.Decide(*framework_, std::span(&pod, 1));
  EXPECT_FALSE(decision.placed);
  EXPECT_EQ(decision.why->message, "no nodes available to schedule pods");
  EXPECT_TRUE(decision.why->wake_on & kNodeAdded);
}

}  // namespace
}  // namespace muster
