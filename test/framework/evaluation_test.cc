#include "scheduler/framework/evaluation.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "plugins/all.h"
#include "scheduler/framework/framework.h"
#include "scheduler/framework/statement.h"
#include "scheduler/runtime/random.h"
#include "scheduler/runtime/worker_pool.h"
#include "test/support/make.h"

namespace muster {
namespace {

// A profile of every plugin of the registry, at every point that it implements.
std::unique_ptr<Framework> EveryPlugin(const Registry& registry) {
  ProfileConfig profile;
  profile.scheduler_name = "muster";
  for (const Registry::Entry& entry : registry.entries()) {
    profile.args[entry.name] = entry.default_args;
    const auto plugin = entry.make(entry.default_args);
    for (int p = 0; p < kPoints; ++p) {
      const auto point = static_cast<Point>(p);
      if (Implements(**plugin, point))
        profile.points[static_cast<size_t>(p)].push_back({entry.name, entry.default_weight});
    }
  }
  auto framework = Framework::Create(profile, registry);
  EXPECT_TRUE(framework.ok()) << framework.status();
  return *std::move(framework);
}

NodePtr RandomNode(Random& random, int i) {
  MakeNode node("node-" + std::to_string(1000 + i));
  node.Cpu(static_cast<int64_t>(1 + random.Below(4)) * 1000).Memory(static_cast<int64_t>(1 + random.Below(4)) << 30);
  node.Room("pods", static_cast<int64_t>(3 + random.Below(6)));
  node.Label("zone", "z" + std::to_string(random.Below(3)));
  if (random.Below(4) == 0) node.Taint("soft", TaintEffect::kPreferNoSchedule);
  if (random.Below(6) == 0) node.Taint("hard");
  if (random.Below(12) == 0) node.Unschedulable();
  return node.Ptr();
}

std::shared_ptr<const PodSpec> RandomSpec(Random& random) {
  MakePod pod("p");
  if (random.Below(4) != 0) pod.Cpu(static_cast<int64_t>(random.Below(8)) * 250);
  if (random.Below(3) != 0) pod.Memory(static_cast<int64_t>(1 + random.Below(4)) << 28);
  if (random.Below(5) == 0) pod.NodeSelector("zone", "z1");
  if (random.Below(3) == 0) pod.Tolerate("hard");
  if (random.Below(5) == 0) pod.HostPort(8000 + static_cast<int32_t>(random.Below(2)));
  // Pods that count for each other, over few domains and over every node.
  const auto key = [&] { return random.Below(2) == 0 ? "zone" : "kubernetes.io/hostname"; };
  const auto app = [&] { return std::vector{In("app", {random.Below(2) == 0 ? "a" : "b"})}; };
  if (random.Below(3) != 0) pod.Label("app", random.Below(2) == 0 ? "a" : "b");
  if (random.Below(3) == 0) pod.Spread(static_cast<int32_t>(1 + random.Below(3)), key(), app(), random.Below(2) == 0);
  if (random.Below(6) == 0) pod.Spread(1, "zone", app(), false).Spread(2, "kubernetes.io/hostname", app(), false);
  if (random.Below(8) == 0) pod.Beside(key(), app());
  if (random.Below(8) == 0) pod.Apart(key(), app());
  if (random.Below(5) == 0) pod.RatherBeside(random.Below(2) == 0 ? 30 : -20, key(), app());
  PodSpec spec = *pod.Build().spec;
  if (random.Below(3) == 0) {
    spec.node_affinity.preferred.push_back(
        {static_cast<int32_t>(1 + random.Below(100)), {{{"zone", Operator::kIn, {"z2"}, "In"}}, {}}});
  }
  if (random.Below(8) == 0) {  // one that breaks scoring
    spec.node_affinity.preferred.push_back({1, {{{"zone", Operator::kGt, {"none"}, "Gt"}}, {}}});
  }
  return std::make_shared<const PodSpec>(std::move(spec));
}

void Serial(size_t words, absl::FunctionRef<void(WordRange)> body) { body({0, words}); }

// The heart of caching: an answer kept up to date row by row equals one computed from nothing.
TEST(EvaluationTest, RefreshedEqualsComputed) {
  const Registry registry = AllPlugins();
  const auto framework = EveryPlugin(registry);
  WorkerPool pool(3, 1);
  const auto parallel = [&](size_t words, absl::FunctionRef<void(WordRange)> body) {
    pool.ForWords(words, [&](size_t begin, size_t end) { body({begin, end}); });
  };
  int compared = 0, infeasible = 0, broken = 0, unscored = 0;
  for (uint64_t seed = 1; seed <= 25; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    Snapshot snap;
    std::vector<NodePtr> nodes;
    for (int i = 0; i < 70; ++i) nodes.push_back(RandomNode(random, i));
    snap.Rebuild(nodes);
    std::vector<PodInfoPtr> shapes;
    for (int i = 0; i < 8; ++i) shapes.push_back(snap.Resolve(RandomSpec(random)));
    const std::vector<Pod> pods(shapes.size());
    std::vector<std::pair<size_t, NodeIndex>> placed;
    std::vector<Evaluation> kept(shapes.size());
    for (int step = 0; step < 500; ++step) {
      const size_t i = random.Below(shapes.size());
      WorkCount work;
      snap.Prepare(*shapes[i]);
      kept[i].Update(*framework, *shapes[i], snap, seed, Serial, work);
      Evaluation fresh;
      fresh.Update(*framework, *shapes[i], snap, seed, parallel, work);
      ASSERT_EQ(kept[i].error(), fresh.error());
      ASSERT_EQ(kept[i].score_error(), fresh.score_error());
      ASSERT_EQ(kept[i].feasible(), fresh.feasible());
      ASSERT_EQ(kept[i].feasible_count(), fresh.feasible_count());
      // As upstream: an only feasible node is taken unscored.
      broken += !fresh.error().ok(), unscored += !fresh.score_error().ok();
      ASSERT_TRUE(fresh.error().ok() || fresh.feasible_count() > 1);
      ASSERT_TRUE(fresh.score_error().ok() || fresh.feasible_count() == 1);
      if (!fresh.error().ok()) continue;
      ASSERT_EQ(kept[i].Best(), fresh.Best());
      fresh.feasible().ForEach([&](NodeIndex n) { ASSERT_EQ(kept[i].Total(n), fresh.Total(n)) << n; });
      ++compared;
      const NodeIndex best = fresh.Best();
      if (best == kNoNode) {
        ++infeasible;
        for (int some = 0; some < 10 && !placed.empty(); ++some) {  // room appears
          std::swap(placed[random.Below(placed.size())], placed.back());
          snap.RemovePod(pods[placed.back().first], placed.back().second);
          placed.pop_back();
        }
        continue;
      }
      Statement statement(snap);
      statement.Place({&pods[i], shapes[i].get()}, best);
      if (random.Below(8) == 0) continue;  // it is undone
      statement.Commit();
      placed.emplace_back(i, best);
    }
  }
  EXPECT_GT(compared, 4000);
  EXPECT_GT(infeasible, 50);
  EXPECT_GT(broken, 50);
  EXPECT_GT(unscored, 5);
}

// Totals are what the plugins' normalised scores and weights say, and every rejected node has a
// reason from the plugin that rejected it.
TEST(EvaluationTest, ExplainingAgreesWithTheAnswer) {
  const Registry registry = AllPlugins();
  const auto framework = EveryPlugin(registry);
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    Snapshot snap;
    std::vector<NodePtr> nodes;
    for (int i = 0; i < 90; ++i) nodes.push_back(RandomNode(random, i));
    snap.Rebuild(nodes);
    const PodInfoPtr pod = snap.Resolve(RandomSpec(random));
    snap.Prepare(*pod);
    Evaluation answer;
    WorkCount work;
    answer.Update(*framework, *pod, snap, seed, Serial, work);
    if (!answer.error().ok()) continue;
    Rejections rejections;
    ASSERT_TRUE(answer.Explain(*framework, *pod, snap, rejections).ok());
    for (NodeIndex n = 0; n < snap.size(); ++n) {
      ASSERT_EQ(answer.feasible().Has(n), rejections.nodes[n].reasons.empty()) << n;
      ASSERT_EQ(answer.feasible().Has(n), rejections.nodes[n].code == Code::kSuccess) << n;
    }
    std::vector<int64_t> totals(snap.words() * kWordBits, 0), scores;
    for (size_t step = 0; step < framework->scores().size(); ++step) {
      ASSERT_TRUE(answer.Scores(*framework, *pod, snap, step, scores).ok());
      if (scores.empty()) continue;
      answer.feasible().ForEach([&](NodeIndex n) {
        ASSERT_GE(scores[n], 0);
        ASSERT_LE(scores[n], kMaxNodeScore);
        totals[n] += framework->scores()[step].weight * scores[n];
      });
    }
    answer.feasible().ForEach([&](NodeIndex n) { ASSERT_EQ(totals[n], answer.Total(n)) << n; });
  }
}

}  // namespace
}  // namespace muster
