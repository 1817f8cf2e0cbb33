#include "scheduler/framework/feasible.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "scheduler/framework/kernels.h"

namespace muster {
namespace {

using Texts = std::vector<std::string>;

constexpr Reason kFull{"full", /*preemption_may_help=*/true}, kSmall{"too small"};

Texts TextsOf(const Rejections& rejections, NodeIndex n) {
  Texts texts;
  for (const uint32_t id : rejections.nodes[n].reasons) texts.push_back(rejections.texts.Text(id));
  return texts;
}

TEST(FeasibleTest, ThePluginThatRejectsFirstIsBlamed) {
  NodeSet alive(4);
  for (const NodeIndex n : {0u, 1u, 2u, 3u}) alive.Add(n);
  Rejections rejections;
  rejections.Reset(4);
  Feasible nodes(alive, {0, 1}, &rejections);
  nodes.BeginPlugin(0);
  nodes.Reject(1, kFull);
  nodes.Reject(2, kFull);
  EXPECT_EQ(nodes.Entered(0), 0b1111u);  // as it was when the plugin began
  nodes.Reject(2, kSmall);
  nodes.Reject(2, kFull);
  nodes.BeginPlugin(1);
  EXPECT_EQ(nodes.Entered(0), 0b1001u);
  nodes.RejectAll(alive, kSmall);
  EXPECT_EQ(alive.Count(), 0u);
  EXPECT_EQ(rejections.nodes[1].plugin, 0);
  EXPECT_EQ(rejections.nodes[1].code, Code::kUnschedulable);
  EXPECT_EQ(TextsOf(rejections, 1), Texts{"full"});
  // One reason beyond help decides; none is listed twice.
  EXPECT_EQ(rejections.nodes[2].code, Code::kUnschedulableAndUnresolvable);
  EXPECT_EQ(TextsOf(rejections, 2), (Texts{"full", "too small"}));
  EXPECT_EQ(rejections.nodes[3].plugin, 1);
  EXPECT_EQ(rejections.nodes[3].code, Code::kUnschedulableAndUnresolvable);
}

TEST(FeasibleTest, LeavesOtherWordsAlone) {
  NodeSet alive(192);
  for (NodeIndex n = 0; n < 192; ++n) alive.Add(n);
  Feasible nodes(alive, {1, 2});
  nodes.BeginPlugin(0);
  nodes.RetainOnly(NodeSet(192), kFull);
  EXPECT_EQ(alive.word(0), ~uint64_t{0});
  EXPECT_EQ(alive.word(1), 0u);
  EXPECT_EQ(alive.word(2), ~uint64_t{0});
  const std::vector<int64_t> zeros(192, 0);
  Feasible none(alive, {3, 3});
  none.BeginPlugin(0);
  none.RetainAtLeast(zeros.data(), 1, kFull);
  EXPECT_EQ(alive.Count(), 128u);
}

TEST(FeasibleTest, ColumnsAreComparedRowByRow) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  constexpr int64_t kSome[] = {INT64_MIN, -1, 0, 1, 2, int64_t{1} << 32, INT64_MAX};
  for (int trial = 0; trial < 200; ++trial) {
    const size_t words = 1 + random() % 4, rows = words * kWordBits;
    std::vector<int64_t> column(rows);
    std::vector<uint32_t> ids(rows);
    for (size_t i = 0; i < rows; ++i) column[i] = kSome[random() % 7], ids[i] = static_cast<uint32_t>(random() % 3);
    const int64_t want = kSome[random() % 7];
    NodeSet before(rows);
    for (size_t w = 0; w < words; ++w) before.word(w) = random();
    NodeSet fast = before, slow = before, equal = before;
    Feasible quick(fast, {0, words});
    quick.BeginPlugin(0);
    quick.RetainAtLeast(column.data(), want, kFull);
    Rejections rejections;
    rejections.Reset(rows);
    Feasible explained(slow, {0, words}, &rejections);
    explained.BeginPlugin(0);
    explained.RetainAtLeast(column.data(), want, kFull);
    OrEqual(ids.data(), 2, words, &equal.word(0));
    for (NodeIndex n = 0; n < rows; ++n) {
      const bool keeps = before.Has(n) && column[n] >= want;
      ASSERT_EQ(fast.Has(n), keeps);
      ASSERT_EQ(slow.Has(n), keeps);
      ASSERT_EQ(rejections.nodes[n].reasons.size(), before.Has(n) && !keeps ? 1u : 0u);
      ASSERT_EQ(equal.Has(n), before.Has(n) || ids[n] == 2);
    }
  }
}

}  // namespace
}  // namespace muster
