#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "test/plugins/topology/places.h"

// Counts allocations, so that "a steady state allocates nothing" is a fact.
namespace {
std::atomic<uint64_t> allocations{0};
}  // namespace
[[gnu::noinline]] void* operator new(size_t size) {
  ++allocations;
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t) noexcept { std::free(p); }

namespace muster {
namespace {

TEST(TopologyPlacementGenerator, AllocatesNothingForAKnownShape) {
  Places places("block-one:r1=4,4 r2=2,8; block-two:a-rack-of-a-long-name=4,2,5 r1=3",
                {"block", "rack", "kubernetes.io/hostname"});
  const Pod pod;
  Places::Shape& shape = places.ShapeOf(1);
  places.SetFeasible(shape);
  const PlacementShape shapes[] = {{shape.info.get(), &shape.feasible, &shape.memo}};
  const std::vector<uint32_t> members(6, 0), ranks = {1};
  const std::vector<NodeIndex> placed = {5};
  const TopologyRequest asked[] = {{Mode::kRequired, "rack", "", 0},
                                   {Mode::kPreferred, "rack", "", 0},
                                   {Mode::kUnconstrained, "", "", 0},
                                   {Mode::kPreferred, "block", "rack", 2}};
  size_t visited = 0;
  const auto ask = [&](const TopologyRequest& topology) {
    for (const size_t count : {0u, 1u}) {
      const PlacementRequest request{
          topology, shapes, members, 3, std::span(placed).first(count), std::span(ranks).first(count)};
      places.generator.GeneratePlacements(request, places.snap, [&](const PlacementCandidate&) {
        ++visited;
        return true;
      });
    }
  };
  for (const TopologyRequest& topology : asked) {
    ask(topology);
    places.snap.AddPod({&pod, shape.info.get()}, 1);
    ask(topology);
    visited = 0;
    places.snap.RemovePod(pod, 1);
    const uint64_t before = allocations;
    ask(topology);
    EXPECT_EQ(allocations - before, 0u) << &topology - asked;
    EXPECT_EQ(visited, 2u);
  }
}

}  // namespace
}  // namespace muster
