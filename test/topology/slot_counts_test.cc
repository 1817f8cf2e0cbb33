#include "topology/slot_counts.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "test/support/make.h"
#include "test/support/make_snapshot.h"

namespace muster {
namespace {

constexpr char kGpu[] = "example.com/gpu";
constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();

TEST(SlotRule, CountsPodsOnANode) {
  const struct {
    MakeNode node;
    MakePod pod;
    uint32_t want;
  } kRows[] = {
      {MakeNode().Cpu(1000), MakePod().Cpu(300), 3},
      {MakeNode().Cpu(900), MakePod().Cpu(300), 3},
      {MakeNode().Cpu(899), MakePod().Cpu(300), 2},
      {MakeNode().Cpu(299), MakePod().Cpu(300), 0},
      {MakeNode().Cpu(1000).Memory(5), MakePod().Cpu(300).Memory(2), 2},
      {MakeNode().Cpu(1000).Memory(100).Room(kGpu, 1), MakePod().Cpu(300).Memory(2).Request(kGpu, 1), 1},
      {MakeNode().Cpu(1000), MakePod().Cpu(300).Request(kGpu, 1), 0},
      {MakeNode().Cpu(1000), MakePod(), 110},
      {MakeNode().Room("pods", 7).Cpu(1000), MakePod().Cpu(1), 7},
      {MakeNode().Room("pods", kHuge), MakePod(), SlotRule::kMost},
      {MakeNode().Room("pods", kHuge).Memory(kHuge), MakePod().Memory(1), SlotRule::kMost},
      {MakeNode().Room("pods", kHuge).Memory(kHuge), MakePod().Memory(kHuge), 1},
      {MakeNode().Room("pods", kHuge).Memory(kHuge), MakePod().Memory(kHuge / 2), 2},
      {MakeNode().Cpu(1000), MakePod().Cpu(300).HostPort(80), 1},
      {MakeNode().Cpu(200), MakePod().Cpu(300).HostPort(80), 0},
  };
  for (const auto& row : kRows) {
    Snapshot snap = MakeSnapshot({row.node.Ptr()});
    const PodInfoPtr info = snap.Resolve(row.pod.Spec());
    EXPECT_EQ(SlotRule(*info, snap).SlotsOn(snap, 0), row.want) << &row - kRows;
  }
}

TEST(SlotRule, OfSeveralShapesIsWhatEachTakesAtLeast) {
  Snapshot snap = MakeSnapshot({MakeNode().Cpu(1000).Memory(10).Room(kGpu, 4).Ptr()});
  const auto resolve = [&](const MakePod& pod) { return snap.Resolve(pod.Spec()); };
  const PodInfoPtr a = resolve(MakePod().Cpu(100).Memory(3).Request(kGpu, 1));
  const PodInfoPtr b = resolve(MakePod().Cpu(300).Request(kGpu, 2).HostPort(80));
  const PodInfo* both[] = {a.get(), b.get()};
  EXPECT_EQ(SlotRule(*a, snap).SlotsOn(snap, 0), 3u);
  EXPECT_EQ(SlotRule(*b, snap).SlotsOn(snap, 0), 1u);
  EXPECT_EQ(SlotRule(both, snap).SlotsOn(snap, 0), 4u);
  std::vector<uint8_t> limits(snap.resources().size(), 1);
  limits[kMemory] = 0;
  EXPECT_EQ(SlotRule(*a, snap, limits).SlotsOn(snap, 0), 4u);
  limits.assign(limits.size(), 0);
  EXPECT_EQ(SlotRule(both, snap, limits).SlotsOn(snap, 0), SlotRule::kMost);
}

TEST(SlotRule, DividesExactly) {
  std::mt19937_64 random(7);
  Snapshot snap = MakeSnapshot({MakeNode().Room("pods", kHuge).Memory(1).Ptr()});
  PodInfo info = *snap.Resolve(MakePod().Spec());
  for (int i = 0; i < 100'000; ++i) {
    // Amounts of all sizes, quotients near a whole number.
    const int64_t want = static_cast<int64_t>(random() >> (1 + random() % 63)) | 1;
    const int64_t times = static_cast<int64_t>(random() >> (1 + random() % 63));
    int64_t free = 0;
    if (__builtin_mul_overflow(want, times, &free)) free = static_cast<int64_t>(random() >> 1);
    free = std::max<int64_t>(0, free - static_cast<int64_t>(random() % 3) + 1);
    const int64_t exact = std::min<int64_t>(free / want, SlotRule::kMost);
    info.requests = info.usage = {{kMemory, want}};
    snap.ReplaceNode(0, MakeNode().Room("pods", kHuge).Memory(free).Ptr());
    ASSERT_EQ(SlotRule(info, snap).SlotsOn(snap, 0), static_cast<uint32_t>(exact)) << free << " / " << want;
  }
}

// Kept up to date row by row, the counts are what they are anew.
TEST(SlotCounts, FollowTheCluster) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937 random(seed);
    const auto pick = [&](uint32_t below) { return random() % below; };
    std::vector<NodePtr> nodes;
    for (uint32_t i = 0, count = 1 + pick(150); i < count; ++i) {
      MakeNode node(absl::StrCat("n", i));
      node.Cpu(pick(8) * 100).Room(kGpu, pick(9));
      if (pick(9) != 0) node.Label("block", absl::StrCat(pick(3))).Label("rack", absl::StrCat(pick(5)));
      nodes.push_back(node.Ptr());
    }
    Snapshot snap = MakeSnapshot(std::move(nodes));
    const DomainTree racks(snap, {"block", "rack"}, 1), blocks(snap, {"block"}, 2);
    const PodInfoPtr info = snap.Resolve(MakePod().Cpu(100).Request(kGpu, 1 + pick(3)).Spec());
    const SlotRule rule(*info, snap);
    const Pod pod;
    std::vector<NodeIndex> on;
    NodeSet open = snap.all();
    SlotCounts counts;
    for (int step = 0; step < 30; ++step) {
      for (uint32_t i = pick(4); i > 0; --i) {
        const NodeIndex n = pick(static_cast<uint32_t>(snap.size()));
        if (on.empty() || pick(2) == 0) {
          snap.AddPod({&pod, info.get()}, n);
          on.push_back(n);
        } else {
          snap.RemovePod(pod, on.back());
          on.pop_back();
        }
        if (pick(3) == 0) open.word(n / 64) ^= uint64_t{1} << (n % 64);
      }
      const DomainTree& tree = pick(10) == 0 ? blocks : racks;
      counts.Update(tree, snap, rule, open);
      uint64_t total = 0;
      std::vector<uint64_t> sums(tree.size());
      for (NodeIndex n = 0; n < snap.size(); ++n) {
        const int64_t cpu = snap.Free(kCpu)[n] / 100, gpu = snap.Free(info->requests[1].resource)[n];
        const int64_t slots = std::max<int64_t>(0, std::min(cpu, gpu / info->requests[1].amount));
        ASSERT_EQ(counts.On(n), open.Has(n) ? slots : 0);
        total += counts.On(n);
        for (DomainId id = tree.LeafOf(n); id != kNoDomain; id = tree.Parent(id)) sums[id] += counts.On(n);
      }
      ASSERT_EQ(counts.Everywhere(), total);
      for (DomainId id = 0; id < tree.size(); ++id) ASSERT_EQ(counts.In(id), sums[id]);
    }
    for (const NodeIndex n : on) snap.RemovePod(pod, n);
  }
}

}  // namespace
}  // namespace muster
