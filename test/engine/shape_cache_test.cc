#include "scheduler/engine/cycle/shape_cache.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "test/support/make.h"

namespace muster {
namespace {

class ShapeCacheTest : public testing::Test {
 protected:
  PodInfoPtr Shape(int i) { return snap_.Resolve(MakePod("p").Cpu(100 + i).Ptr()->spec); }
  // Whether the cache knew it.
  bool Get(const PodInfoPtr& pod) {
    bool known = false;
    cache_.BeginRound();
    EXPECT_EQ(cache_.Get(pod, &known).pod, pod);
    return known;
  }

  Snapshot snap_;
  ShapeCache cache_{/*max_bytes=*/0};
};

TEST_F(ShapeCacheTest, ShapesThatComeOnceShareFewEntries) {
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(Get(Shape(i))) << i;
  EXPECT_EQ(cache_.size(), 8u);
}

TEST_F(ShapeCacheTest, OneThatCameAgainStaysWhileOthersPass) {
  const PodInfoPtr kept = Shape(0);
  EXPECT_FALSE(Get(kept));
  EXPECT_TRUE(Get(kept));
  for (int i = 1; i < 1000; ++i) Get(Shape(i));
  EXPECT_TRUE(Get(kept));
}

// More shapes by turns than there are entries for those that came once.
TEST_F(ShapeCacheTest, OnesThatReturnLaterAreKept) {
  ShapeCache cache;
  std::vector<PodInfoPtr> shapes;
  for (int i = 0; i < 50; ++i) shapes.push_back(Shape(i));
  int known_in_round[4] = {};
  for (int& count : known_in_round) {
    for (const PodInfoPtr& shape : shapes) {
      bool known = false;
      cache.BeginRound();
      cache.Get(shape, &known);
      count += known;
    }
  }
  EXPECT_EQ(known_in_round[0], 0);
  EXPECT_GE(known_in_round[2], 45);  // but for shapes whose memories share a slot
  EXPECT_EQ(known_in_round[3], 50);
}

TEST_F(ShapeCacheTest, EntriesOfOneRoundStay) {
  std::vector<ShapeCache::Entry*> entries;
  std::vector<PodInfoPtr> shapes;
  cache_.BeginRound();
  for (int i = 0; i < 100; ++i) {
    bool known = false;
    shapes.push_back(Shape(i));
    entries.push_back(&cache_.Get(shapes.back(), &known));
  }
  for (size_t i = 0; i < entries.size(); ++i) EXPECT_EQ(entries[i]->pod, shapes[i]);
  for (int i = 100; i < 1000; ++i) Get(Shape(i));
  EXPECT_EQ(cache_.size(), 8u);  // those that it needed for a while are gone
}

}  // namespace
}  // namespace muster
