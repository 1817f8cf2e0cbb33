#include "scheduler/engine/cluster_cache.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "scheduler/runtime/random.h"
#include "test/support/make.h"

namespace muster {
namespace {

PodPtr Bound(const std::string& name, const std::string& node, int64_t cpu = 100) {
  return MakePod(name).Uid(name).Node(node).Cpu(cpu).Ptr();
}
int64_t FreeCpu(ClusterCache& cache, const std::string& node) {
  Snapshot& snap = cache.Refresh();
  return snap.Free(kCpu)[snap.Find(node)];
}

TEST(ClusterCacheTest, CountsAPodOnceWhateverIsTold) {
  ClusterCache cache;
  cache.SetNode(MakeNode("a").Cpu(1000).Ptr());
  cache.SetBound(Bound("p", "a"));
  EXPECT_EQ(FreeCpu(cache, "a"), 900);
  cache.SetBound(Bound("p", "a"));
  EXPECT_EQ(FreeCpu(cache, "a"), 900);
  cache.SetBound(Bound("p", "a", 300));  // resized
  EXPECT_EQ(FreeCpu(cache, "a"), 700);
  cache.Remove("p");
  cache.Remove("p");
  EXPECT_EQ(FreeCpu(cache, "a"), 1000);
}

TEST(ClusterCacheTest, PodsMayBeToldBeforeTheirNode) {
  ClusterCache cache;
  cache.SetBound(Bound("p", "late"));
  EXPECT_EQ(cache.Refresh().size(), 0u);
  cache.SetNode(MakeNode("late").Cpu(1000).Ptr());
  EXPECT_EQ(FreeCpu(cache, "late"), 900);
}

TEST(ClusterCacheTest, ANodeThatComesBackFindsItsPods) {
  ClusterCache cache;
  cache.SetNode(MakeNode("a").Cpu(1000).Ptr());
  cache.SetBound(Bound("p", "a"));
  cache.Refresh();
  for (const bool refreshed : {false, true}) {
    cache.RemoveNode("a");
    if (refreshed) {
      EXPECT_EQ(cache.Refresh().size(), 0u);
    }
    cache.SetNode(MakeNode("a").Cpu(2000).Ptr());
    EXPECT_EQ(FreeCpu(cache, "a"), 1900) << refreshed;
  }
}

TEST(ClusterCacheTest, AnAssumedPodIsConfirmedMovedOrForgotten) {
  ClusterCache cache;
  for (const char* name : {"a", "b"}) cache.SetNode(MakeNode(name).Cpu(1000).Ptr());
  const auto assume = [&](const std::string& name) {
    PodPtr pod = MakePod(name).Uid(name).Cpu(100).Ptr();
    PodInfoPtr info = cache.InfoFor(*pod);
    Snapshot& snap = cache.Refresh();
    snap.AddPod({pod.get(), info.get()}, 0);
    cache.Assume(pod, info, 0);
  };
  assume("confirmed"), assume("elsewhere"), assume("forgotten"), assume("expires");
  EXPECT_EQ(FreeCpu(cache, "a"), 600);
  cache.SetBound(Bound("confirmed", "a"));
  cache.SetBound(Bound("elsewhere", "b"));
  cache.Remove("forgotten");
  EXPECT_EQ(FreeCpu(cache, "a"), 800);
  EXPECT_EQ(FreeCpu(cache, "b"), 900);
  EXPECT_FALSE(cache.IsAssumed("confirmed"));
  EXPECT_TRUE(cache.IsAssumed("expires"));
  const Time now = absl::UnixEpoch();
  EXPECT_TRUE(cache.Expired(now + absl::Hours(1)).empty());
  cache.FinishBinding("expires", now);
  ASSERT_EQ(cache.Expired(now).size(), 1u);
  EXPECT_EQ(cache.Expired(now)[0]->name, "expires");
}

TEST(ClusterCacheTest, EqualSpecsShareOneShape) {
  ClusterCache cache;
  const PodInfoPtr first = cache.InfoFor(MakePod("a").Cpu(1).Build());
  EXPECT_EQ(first, cache.InfoFor(MakePod("b").Cpu(1).Build()));
  EXPECT_NE(first, cache.InfoFor(MakePod("b").Cpu(2).Build()));
  for (int i = 0; i < 5000; ++i) cache.InfoFor(MakePod("x").Cpu(i).Build());  // unused ones are let go
  EXPECT_EQ(first, cache.InfoFor(MakePod("c").Cpu(1).Build()));
}

TEST(ClusterCacheTest, RandomHistoriesEndInTheRightSums) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    ClusterCache cache;
    std::set<std::string> nodes;
    std::map<std::string, std::pair<std::string, int64_t>> pods;
    for (int step = 0; step < 200; ++step) {
      const std::string node = "n" + std::to_string(random.Below(8)), pod = "p" + std::to_string(random.Below(20));
      switch (random.Below(5)) {
        case 0: cache.SetNode(MakeNode(node).Cpu(1000).Ptr()), nodes.insert(node); break;
        case 1: cache.RemoveNode(node), nodes.erase(node); break;
        case 2: cache.Remove(pod), pods.erase(pod); break;
        case 3: {
          pods[pod] = {node, static_cast<int64_t>(random.Below(3)) * 10};
          cache.SetBound(Bound(pod, node, pods[pod].second));
          break;
        }
        case 4: cache.Refresh(); break;
      }
    }
    std::map<std::string, int64_t> used;
    for (const auto& [_, at] : pods) used[at.first] += at.second;
    ASSERT_EQ(cache.Refresh().size(), nodes.size());
    for (const std::string& node : nodes) ASSERT_EQ(FreeCpu(cache, node), 1000 - used[node]) << node;
  }
}

}  // namespace
}  // namespace muster
