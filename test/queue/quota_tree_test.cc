#include "queue/quota_tree.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/queue/quota_scene.h"

namespace muster {
namespace {

struct Row {
  std::string_view queues, used;
  std::string_view want;  // by queue, of cell 0: "r=6" for what is available
};

std::string AvailableOf(const Scene& scene) {
  std::string all;
  for (QueueIndex q = 0; q < scene.tree.size(); ++q) {
    const int64_t v = scene.tree.Available(q, 0);
    absl::StrAppend(&all, q == 0 ? "" : " ", scene.names[q], "=", v == kUnlimited ? "all" : absl::StrCat(v));
  }
  return all;
}

// From the rules in the header, by hand.
TEST(QuotaTree, Available) {
  const Row rows[] = {
      {"a 10", "", "a=10"},
      {"a 10", "a 4", "a=6"},
      {"a 10", "a 12", "a=-2"},
      {"a", "a 12", "a=all"},
      {"a 10 b5", "a 4", "a=6"},  // nobody to borrow of
      {"r; a<r 10; b<r 5", "", "r=15 a=15 b=15"},
      {"r; a<r 10; b<r 5", "a 12", "r=3 a=3 b=3"},
      {"r; a<r 10; b<r 5", "a 12; b 3", "r=0 a=0 b=0"},
      {"r; a<r 10; b<r 5", "a 12; b 5", "r=-2 a=-2 b=-2"},
      {"r 6; a<r 10; b<r 5", "", "r=21 a=21 b=21"},
      {"r 6; a<r; b<r", "a 4", "r=2 a=2 b=2"},  // not listed: its parent's are shared
      {"r; a<r 10 b0; b<r 5", "", "r=15 a=10 b=15"},
      {"r; a<r 10 b2; b<r 5", "", "r=15 a=12 b=15"},
      {"r; a<r 10 b2; b<r 5", "a 11", "r=4 a=1 b=4"},
      {"r; a<r 10 b2; b<r 5", "a 11; b 4", "r=0 a=0 b=0"},
      {"r; a<r 10 l4; b<r 5", "", "r=9 a=15 b=9"},
      {"r; a<r 10 l4; b<r 5", "b 9", "r=0 a=6 b=0"},  // a keeps 6
      {"r; a<r 10 l4; b<r 5", "a 6", "r=9 a=9 b=9"},  // 6 of its own are not what others see
      {"r; a<r 10 l4; b<r 5", "a 8; b 2", "r=5 a=5 b=5"},
      {"r; a<r 10 l0; b<r 5", "", "r=5 a=15 b=5"},
      {"r; a<r 10 l0; b<r 5", "b 5", "r=0 a=10 b=0"},
      {"r; a<r 10 l0 b0; b<r 5", "", "r=5 a=10 b=5"},
      {"r; a<r 10 l20; b<r 5", "", "r=15 a=15 b=15"},  // more than it has: all of it
      {"r; m<r 2; a<m 3; b<m 4; c<r 5", "", "r=14 m=14 a=14 b=14 c=14"},
      {"r; m<r 2 b1; a<m 3; b<m 4; c<r 5", "", "r=14 m=10 a=10 b=10 c=14"},
      {"r; m<r 2 l1; a<m 3; b<m 4; c<r 5", "", "r=6 m=14 a=14 b=14 c=6"},
      {"r; m<r 2 l1; a<m 3; b<m 4; c<r 5", "c 6", "r=0 m=8 a=8 b=8 c=0"},
      {"r; m<r 2 b1; a<m 3; b<m 4; c<r 5", "a 10", "r=4 m=0 a=0 b=0 c=4"},
      {"r; m<r b0; a<m 3 l1; b<m 4; c<r 5", "b 5", "r=5 m=0 a=2 b=0 c=5"},
      {"r; m<r b0; a<m 3 l1; b<m 4; c<r 5", "a 3; b 5", "r=4 m=-1 a=-1 b=-1 c=4"},
      {"r; a<r 9223372036854775807; b<r 9223372036854775807", "a 5", "r=all a=all b=all"},
      {"r; a<r 9223372036854775807 l3; b<r 1", "b 4", "r=0 a=9223372036854775804 b=0"},
      {"r; a<r 10; b<r 5; s; c<s 7", "a 1", "r=14 a=14 b=14 s=7 c=7"},
      {"r; a<r 10; b<r", "b 99", "r=10 a=10 b=all"},  // b has no word of it
  };
  for (const Row& row : rows) {
    Scene scene = MakeScene(row.queues);
    Use(scene, row.used);
    EXPECT_EQ(AvailableOf(scene), row.want) << row.queues << " used " << row.used;
  }
}

struct ShareRow {
  std::string_view queues, used;
  bool flavors;
  double want;  // of queue a
};

TEST(QuotaTree, Shares) {
  const ShareRow rows[] = {
      {"a 10", "a 30", false, 0},  // a root borrows of nobody
      {"r; a<r 10; b<r 10", "a 10", false, 0},
      {"r; a<r 10; b<r 10", "a 15", false, 250},  // 5 of 20
      {"r; a<r 10 w2; b<r 10", "a 15", false, 125},
      {"r; a<r 0; b<r 10", "a 5", false, 500},
      {"r; a<r 10|10; b<r 10|30", "a 15|20", false, 250},  // the dominant one: 5 of 20 and 10 of 40
      {"r; a<r 10|10; b<r 10|30", "a 15|30", false, 500},
      {"r; a<r 10|10; b<r 10|30", "a 15|20", true, 250},  // flavors of one: 15 of 60
      {"r; a<r 10 l4; b<r 10", "a 15", false, 1000.0 * 5 / 14},
      {"r; a<r 10; b<r 10 l0", "a 15", false, 500},  // 5 of the 10 that a itself lends
      {"r; m<r; a<m 4; b<m 4; c<r 8", "a 12", false, 500},
      {"r; m<r b2; a<m 4; b<m 4; c<r 8", "a 9", false, 500},  // all that m can have is 10
  };
  for (const ShareRow& row : rows) {
    Scene scene = MakeScene(row.queues, row.flavors);
    Use(scene, row.used);
    const Share share = scene.tree.ShareOf(scene.Find("a"));
    EXPECT_FALSE(share.infinite);
    EXPECT_EQ(share.value, static_cast<uint64_t>(std::ceil(row.want * (1 << 20))))
        << row.queues << " used " << row.used;
  }
}

TEST(QuotaTree, WhoHasNoWeightComesLast) {
  Scene scene = MakeScene("r; a<r 10 w0; b<r 10 w0; c<r 10");
  EXPECT_EQ(scene.tree.ShareOf(1), Share{});
  Use(scene, "a 11; b 12; c 19");
  EXPECT_LT(scene.tree.ShareOf(3), scene.tree.ShareOf(1));
  EXPECT_LT(scene.tree.ShareOf(1), scene.tree.ShareOf(2));
  const Charge more[] = {{0, 5}};
  EXPECT_LT(scene.tree.ShareOf(2), scene.tree.ShareOf(1, more));
}

TEST(QuotaTree, ChargesOfSeveralCells) {
  Scene scene = MakeScene("r; a<r 10 b0|4; b<r 5|4");
  const Charge charges[] = {{0, 10}, {1, 9}};
  ASSERT_NE(scene.tree.Lacking(1, charges), nullptr);
  EXPECT_EQ(scene.tree.Lacking(1, charges)->cell, 1u);
  const Charge fewer[] = {{0, 10}, {1, 8}};
  EXPECT_EQ(scene.tree.Lacking(1, fewer), nullptr);
  EXPECT_FALSE(scene.tree.WithinNominal(1, fewer));
  const Charge own[] = {{0, 10}, {1, 4}};
  EXPECT_TRUE(scene.tree.WithinNominal(1, own));
}

// --- Beside a model that knows the rules only by what they forbid ------------------------------------

// usage(q) <= subtree(q) + borrowing limit at every queue with a parent, and a root's within its subtree's quota.
class Model {
 public:
  explicit Model(const Scene& scene) : scene_(scene), own_(scene.queues.size()) {}

  void Add(QueueIndex q, int64_t v) { own_[q] += v; }
  int64_t Own(QueueIndex q) const { return own_[q]; }
  bool Legal() const {
    for (QueueIndex q = 0; q < own_.size(); ++q) {
      if (!LegalAt(q)) return false;
    }
    return true;
  }
  // By trying: more of it breaks a rule on the way up.
  int64_t Available(QueueIndex q) {
    if (!Counts(q)) return kUnlimited;
    int64_t most = 0;
    for (;; ++most, ++own_[q]) {
      bool legal = true;
      for (QueueIndex up = q; up != kNoQueue; up = scene_.queues[up].parent) legal &= LegalAt(up);
      if (!legal) break;
    }
    own_[q] -= most;
    return most - 1;
  }
  int64_t Usage(QueueIndex q) const {
    int64_t sum = Counts(q) ? own_[q] : 0;
    for (QueueIndex c = 0; c < own_.size(); ++c) {
      if (scene_.queues[c].parent == q) sum += std::max<int64_t>(0, Usage(c) - Kept(c));
    }
    return sum;
  }
  int64_t Subtree(QueueIndex q) const {
    int64_t sum = scene_.queues[q].quotas.empty() ? 0 : scene_.queues[q].quotas[0].nominal;
    for (QueueIndex c = 0; c < own_.size(); ++c) {
      if (scene_.queues[c].parent == q) sum += Subtree(c) - Kept(c);
    }
    return sum;
  }
  bool Counts(QueueIndex q) const {
    for (QueueIndex up = q; up != kNoQueue; up = scene_.queues[up].parent) {
      if (!scene_.queues[up].quotas.empty()) return true;
    }
    for (QueueIndex below = 0; below < own_.size(); ++below) {
      for (QueueIndex up = below; up != kNoQueue; up = scene_.queues[up].parent) {
        if (up == q && !scene_.queues[below].quotas.empty()) return true;
      }
    }
    return false;
  }

 private:
  int64_t Kept(QueueIndex q) const {
    const auto& quotas = scene_.queues[q].quotas;
    if (quotas.empty() || quotas[0].lending_limit == kUnlimited) return 0;
    return std::max<int64_t>(0, Subtree(q) - quotas[0].lending_limit);
  }
  bool LegalAt(QueueIndex q) const {
    if (scene_.queues[q].parent == kNoQueue) return Usage(q) <= Subtree(q);
    const auto& quotas = scene_.queues[q].quotas;
    if (quotas.empty() || quotas[0].borrowing_limit == kUnlimited) return true;
    return Usage(q) <= Subtree(q) + quotas[0].borrowing_limit;
  }

  const Scene& scene_;
  std::vector<int64_t> own_;
};

Scene RandomScene(std::mt19937_64& random) {
  const auto draw = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint64_t>(n)); };
  Scene scene;
  const size_t size = 1 + static_cast<size_t>(draw(8));
  for (QueueIndex q = 0; q < size; ++q) {
    QuotaTree::Queue queue;
    if (q > 0 && draw(6) != 0) queue.parent = static_cast<QueueIndex>(draw(q));
    if (draw(4) != 0) {
      Quota quota;
      quota.nominal = draw(8);
      if (draw(2) == 0) quota.borrowing_limit = draw(5);
      if (draw(2) == 0) quota.lending_limit = draw(5);
      queue.quotas.push_back(quota);
    }
    scene.names.push_back(absl::StrCat("q", q));
    scene.queues.push_back(queue);
  }
  const uint32_t resources[] = {0};
  scene.tree.Build(scene.queues, resources);
  return scene;
}

TEST(QuotaTree, GivesWhatTheRulesAllow) {
  const char* const cases_text = std::getenv("MUSTER_CASES");
  const int cases = cases_text != nullptr ? std::atoi(cases_text) : 3000;
  size_t lends = 0, limited = 0, uncounted = 0;
  for (int i = 0; i < cases && !HasFailure(); ++i) {
    SCOPED_TRACE(absl::StrCat("seed ", i));
    std::mt19937_64 random(static_cast<uint64_t>(i));
    Scene scene = RandomScene(random);
    Model model(scene);
    for (int step = 0; step < 12; ++step) {
      const auto q = static_cast<QueueIndex>(random() % scene.queues.size());
      const int64_t available = model.Available(q);
      ASSERT_EQ(scene.tree.Available(q, 0), available) << scene.names[q];
      ASSERT_EQ(scene.tree.Counts(q, 0), model.Counts(q));
      uncounted += available == kUnlimited;
      limited += available == 0;
      int64_t v = static_cast<int64_t>(random() % 6) - 2;
      v = v > 0 ? std::min(v, available) : -std::min(-v, model.Own(q));
      scene.tree.Add(q, 0, v);
      model.Add(q, v);
      ASSERT_TRUE(model.Legal());
      for (QueueIndex p = 0; p < scene.queues.size(); ++p) {
        ASSERT_EQ(scene.tree.Usage(p, 0), model.Usage(p));
        ASSERT_EQ(scene.tree.SubtreeQuota(p, 0), model.Subtree(p));
        if (scene.queues[p].parent != kNoQueue) lends += scene.tree.Borrowed(p, 0) > 0;
      }
    }
    // All given back, in another order: no trace is left.
    for (QueueIndex q = 0; q < scene.queues.size(); ++q) scene.tree.Add(q, 0, -model.Own(q));
    for (QueueIndex q = 0; q < scene.queues.size(); ++q) ASSERT_EQ(scene.tree.Usage(q, 0), 0);
  }
  EXPECT_GT(lends, 100u);
  EXPECT_GT(limited, 100u);
  EXPECT_GT(uncounted, 100u);
}

}  // namespace
}  // namespace muster
