#include <algorithm>
#include <cstdlib>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "queue/quota_tree.h"
#include "test/queue/kueue_arithmetic_table.h"
#include "test/queue/quota_scene.h"

namespace muster {
namespace {

using Wide = absl::int128;

// Kueue's documented rules as they are written, node by node: usage goes up and down the tree in steps, everything else
// is looked up anew. Source: pkg/cache/scheduler/{resource_node,fair_sharing}.go.
class Kueue {
 public:
  explicit Kueue(const Scene& scene, bool flavors)
      : queues_(scene.queues), cells_(static_cast<QuotaCell>(scene.tree.cells())), flavors_(flavors) {
    usage_.assign(queues_.size(), std::vector<Wide>(cells_));
  }

  void AddUsage(QueueIndex q, QuotaCell c, Wide v) {
    const Wide local_available = std::max(Wide(0), LocalQuota(q, c) - usage_[q][c]);
    usage_[q][c] += v;
    if (Parent(q) != kNoQueue && v > local_available) AddUsage(Parent(q), c, v - local_available);
  }
  void RemoveUsage(QueueIndex q, QuotaCell c, Wide v) {
    const Wide in_parent = usage_[q][c] - LocalQuota(q, c);
    usage_[q][c] -= v;
    if (Parent(q) != kNoQueue && in_parent > 0) RemoveUsage(Parent(q), c, std::min(v, in_parent));
  }
  Wide Usage(QueueIndex q, QuotaCell c) const { return usage_[q][c]; }
  Wide SubtreeQuota(QueueIndex q, QuotaCell c) const {
    Wide sum = QuotaOf(q, c).nominal;
    for (QueueIndex k = 0; k < queues_.size(); ++k) {
      if (Parent(k) == q) sum += SubtreeQuota(k, c) - LocalQuota(k, c);
    }
    return sum;
  }
  Wide Available(QueueIndex q, QuotaCell c) const {
    if (Parent(q) == kNoQueue) return SubtreeQuota(q, c) - Usage(q, c);
    const Wide local = LocalQuota(q, c), used_in_parent = std::max(Wide(0), Usage(q, c) - local);
    Wide parents = Available(Parent(q), c);
    if (const int64_t limit = QuotaOf(q, c).borrowing_limit; limit != kUnlimited)
      parents = std::min(parents, SubtreeQuota(q, c) - local - used_in_parent + limit);
    return std::max(Wide(0), local - Usage(q, c)) + parents;
  }
  Wide Potential(QueueIndex q, QuotaCell c) const {
    if (Parent(q) == kNoQueue) return SubtreeQuota(q, c);
    const Wide all = LocalQuota(q, c) + Potential(Parent(q), c);
    const int64_t limit = QuotaOf(q, c).borrowing_limit;
    return limit == kUnlimited ? all : std::min(all, SubtreeQuota(q, c) + limit);
  }
  // The weighted share as a ratio; with weight 0 the unweighted one.
  std::pair<Wide, Wide> Share(QueueIndex q) const {
    std::pair<Wide, Wide> most = {0, 1};
    if (Parent(q) == kNoQueue) return most;
    for (QuotaCell first = 0; first < (flavors_ ? 1 : cells_); ++first) {
      Wide borrowed = 0, lendable = 0;
      for (QuotaCell c = first; c < (flavors_ ? cells_ : first + 1); ++c) {
        borrowed += std::max(Wide(0), Usage(q, c) - SubtreeQuota(q, c));
        lendable += Potential(Parent(q), c);
      }
      lendable *= std::max(1, queues_[q].weight);
      if (lendable > 0 && borrowed * most.second > most.first * lendable) most = {borrowed, lendable};
    }
    return most;
  }

 private:
  QueueIndex Parent(QueueIndex q) const { return queues_[q].parent; }
  Quota QuotaOf(QueueIndex q, QuotaCell c) const {
    for (const Quota& quota : queues_[q].quotas) {
      if (quota.cell == c) return quota;
    }
    return {};
  }
  Wide LocalQuota(QueueIndex q, QuotaCell c) const {
    const int64_t limit = QuotaOf(q, c).lending_limit;
    return limit == kUnlimited ? Wide(0) : std::max(Wide(0), SubtreeQuota(q, c) - limit);
  }

  std::vector<QuotaTree::Queue> queues_;
  QuotaCell cells_;
  bool flavors_;
  std::vector<std::vector<Wide>> usage_;
};

uint64_t ValueOf(std::pair<Wide, Wide> ratio) {
  return static_cast<uint64_t>((ratio.first * 1000 * (1 << 20) + ratio.second - 1) / ratio.second);
}
int64_t Narrow(Wide v) { return static_cast<int64_t>(std::min(v, Wide(kUnlimited))); }

// What is charged to the scene's tree, charged in steps.
Kueue ModelOf(const Scene& scene, bool flavors) {
  Kueue model(scene, flavors);
  for (QueueIndex q = 0; q < scene.tree.size(); ++q) {
    for (QuotaCell c = 0; c < scene.tree.cells(); ++c) {
      for (const int64_t more : {3, 5}) model.AddUsage(q, c, more);
      model.AddUsage(q, c, scene.tree.Own(q, c));
      model.RemoveUsage(q, c, 8);
    }
  }
  return model;
}

void ExpectAsModel(const Scene& scene, const Kueue& model, QueueIndex q, QuotaCell c) {
  EXPECT_EQ(scene.tree.SubtreeQuota(q, c), Narrow(model.SubtreeQuota(q, c)));
  EXPECT_EQ(scene.tree.Usage(q, c), Narrow(model.Usage(q, c)));
  EXPECT_EQ(scene.tree.Available(q, c), Narrow(model.Available(q, c)));
  EXPECT_EQ(scene.tree.Potential(q, c), Narrow(model.Potential(q, c)));
  // The same by asking whether it fits.
  const int64_t available = scene.tree.Available(q, c);
  if (available <= 0 || available == kUnlimited) return;
  const Charge fits[] = {{c, available}}, more[] = {{c, available + 1}};
  EXPECT_EQ(scene.tree.Lacking(q, fits), nullptr);
  EXPECT_EQ(scene.tree.Lacking(q, more), more);
}

void Check(const KueueBlock& block, const KueueRow& row, bool flavors) {
  SCOPED_TRACE(absl::StrCat(block.queues, " used ", row.used, ": ", row.of, " asks ", row.asks));
  Scene scene = MakeScene(block.queues, flavors);
  Use(scene, row.used);
  const QueueIndex q = scene.Find(row.of);
  EXPECT_EQ(scene.tree.SubtreeQuota(q, 0), row.quota);
  EXPECT_EQ(scene.tree.Usage(q, 0), row.usage);
  EXPECT_EQ(scene.tree.Available(q, 0), row.available);
  EXPECT_EQ(scene.tree.Potential(q, 0), row.most);
  Kueue model = ModelOf(scene, flavors);
  ExpectAsModel(scene, model, q, 0);

  std::vector<Charge> asks;
  bool within = true;
  for (const std::string& amount : std::vector<std::string>(absl::StrSplit(row.asks, '|', absl::SkipEmpty()))) {
    const auto c = static_cast<QuotaCell>(asks.size());
    asks.push_back({c, std::atoll(amount.c_str())});
    model.AddUsage(q, c, asks.back().amount);
    within &= model.Usage(q, c) <= model.SubtreeQuota(q, c);
  }
  EXPECT_EQ(scene.tree.WithinNominal(q, asks), within);
  const Share share = scene.tree.ShareOf(q, asks);
  std::vector<std::string> ratio = absl::StrSplit(row.share, absl::ByAnyChar(" /"));
  EXPECT_EQ(share.infinite, ratio[0] == "inf");
  if (share.infinite) ratio.erase(ratio.begin());
  ratio.emplace_back("1");
  EXPECT_EQ(share.value, ValueOf({std::atoll(ratio[0].c_str()), std::atoll(ratio[1].c_str())}));
  EXPECT_EQ(share.value, ValueOf(model.Share(q)));
}

TEST(KueueArithmetic, AsPublished) {
  size_t rows = 0;
  for (const bool flavors : {false, true}) {
    for (const KueueBlock& block : flavors ? KueueFlavors() : KueueResources()) {
      for (const KueueRow& row : block.rows) Check(block, row, flavors), ++rows;
    }
  }
  EXPECT_GE(rows, 300u);
}

TEST(KueueArithmetic, OfAnyTree) {
  const char* const text = std::getenv("MUSTER_CASES");
  const int cases = text != nullptr ? std::atoi(text) : 1000;
  size_t borrowing = 0, infinite = 0;
  for (int i = 0; i < cases && !HasFailure(); ++i) {
    SCOPED_TRACE(absl::StrCat("seed ", i));
    std::mt19937_64 random(static_cast<uint64_t>(i));
    const auto draw = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint64_t>(n)); };
    Scene scene;
    const int64_t size = 1 + draw(9), cells = 1 + draw(3), unit = draw(5) == 0 ? 1'000'000'007 : 1;
    const bool flavors = draw(2) == 0;
    for (int64_t q = 0; q < size; ++q) {
      QuotaTree::Queue queue{
          q > 0 && draw(8) != 0 ? static_cast<QueueIndex>(draw(q)) : kNoQueue, static_cast<int32_t>(draw(4)), {}};
      for (QuotaCell c = 0; c < cells; ++c) {
        if (queue.parent == kNoQueue || draw(4) != 0)  // counted everywhere
          queue.quotas.push_back({c, draw(9) * unit, draw(2) == 0 ? draw(6) * unit : kUnlimited,
                                  draw(2) == 0 ? draw(6) * unit : kUnlimited});
      }
      scene.queues.push_back(queue);
    }
    std::vector<uint32_t> resources;
    for (uint32_t c = 0; c < cells; ++c) resources.push_back(flavors ? 0 : c);
    scene.tree.Build(scene.queues, resources);
    for (int64_t n = draw(12); n > 0; --n) {
      // Also beyond what is available, as where a quota shrank.
      const auto q = static_cast<QueueIndex>(draw(size));
      scene.tree.Add(q, static_cast<QuotaCell>(draw(cells)), draw(5) * unit);
    }
    const Kueue model = ModelOf(scene, flavors);
    for (QueueIndex q = 0; q < scene.queues.size(); ++q) {
      for (QuotaCell c = 0; c < cells; ++c) {
        ExpectAsModel(scene, model, q, c);
        EXPECT_EQ(scene.tree.Borrowed(q, c),
                  scene.queues[q].parent == kNoQueue
                      ? 0
                      : std::max<int64_t>(0, scene.tree.Usage(q, c) - scene.tree.SubtreeQuota(q, c)));
      }
      std::vector<Charge> asks;
      for (QuotaCell c = 0; c < cells; ++c) {
        if (draw(2) == 0) asks.push_back({c, draw(5) * unit});
      }
      Kueue with = model;
      for (const Charge& charge : asks) with.AddUsage(q, charge.cell, charge.amount);
      const Share share = scene.tree.ShareOf(q, asks);
      EXPECT_EQ(share.value, ValueOf(with.Share(q)));
      EXPECT_EQ(share.infinite, share.value > 0 && scene.queues[q].weight == 0);
      borrowing += share.value > 0;
      infinite += share.infinite;
      for (QueueIndex up = q; up != kNoQueue; up = scene.queues[up].parent) {
        for (QuotaCell c = 0; c < cells; ++c) {
          const auto at =
              std::find_if(asks.begin(), asks.end(), [&](const Charge& charge) { return charge.cell == c; });
          EXPECT_EQ(with.Usage(up, c) - model.Usage(up, c), at == asks.end() ? 0 : at->amount);
        }
        scene.tree.PassOn(up, asks);
      }
    }
  }
  EXPECT_GT(borrowing, 500u);
  EXPECT_GT(infinite, 100u);
}

}  // namespace
}  // namespace muster
