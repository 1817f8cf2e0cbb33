// Pods that make room for themselves, from the decision to the bind.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/support/sim_cluster.h"

namespace muster {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// Whose deletion began, and whether it was marked as preempted before.
class Evictions final : public SimApiServer::Observer {
 public:
  explicit Evictions(SimApiServer& server) : server_(server) { server_.AddObserver(this); }
  ~Evictions() override { server_.RemoveObserver(this); }
  void OnNode(const NodePtr&, const NodePtr&) override {}
  void OnPod(const PodPtr& before, const PodPtr& after) override {
    if (before == nullptr || before->ended || before->deleting) return;
    if (after != nullptr && !after->deleting) return;
    names.push_back(before->name);
    if (!before->preempted) unmarked.push_back(before->name);
  }
  std::vector<std::string> names, unmarked;

 private:
  SimApiServer& server_;
};

MakePod Pod(const std::string& name, int64_t cpu, int32_t priority) {
  return MakePod(name).Cpu(cpu).Priority(priority);
}

std::vector<std::string> Notes(const SimCluster& c, const std::string& reason) {
  std::vector<std::string> notes;
  for (const auto& [key, event] : c.server.events()) {
    if (event.reason == reason)
      notes.push_back(
          absl::StrCat(event.regarding_name, ": ", event.note, " / ", event.action, " ", event.related_name));
  }
  return notes;
}

TEST(PreemptionTest, TakesThePlaceOfLessImportantPods) {
  SimCluster c;
  Evictions evictions(c.server);
  c.Create(MakeNode("n1").Cpu(1000));
  c.Create(Pod("a", 400, 1));
  c.Create(Pod("b", 400, 2));
  c.loop.RunFor(absl::Seconds(5));
  c.Create(Pod("high", 500, 10));
  c.loop.RunFor(absl::Milliseconds(100));
  PodPtr high = c.server.FindPod("default", "high");
  EXPECT_EQ(high->node, "");
  EXPECT_EQ(high->nominated_node, "n1");
  EXPECT_EQ(high->scheduled.reason, "Unschedulable");
  EXPECT_EQ(high->scheduled.message,
            "0/1 nodes are available: 1 Insufficient cpu. preemption: found a potential placement for pod on node n1, "
            "preempting 1 victims");
  EXPECT_TRUE(c.server.FindPod("default", "a")->deleting);
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("a"), "?");
  EXPECT_EQ(c.NodeOf("b"), "n1");
  EXPECT_EQ(c.NodeOf("high"), "n1");
  EXPECT_THAT(evictions.names, ElementsAre("a"));
  EXPECT_THAT(evictions.unmarked, IsEmpty());
  EXPECT_THAT(Notes(c, "Preempted"),
              ElementsAre(absl::StrCat("a: Preempted by pod ", high->uid, " on node n1 / Preempting high")));
}

TEST(PreemptionTest, KeepsTheRoomAndHoldsUpNobodyElse) {
  SimCluster c;
  c.Create(MakeNode("n1").Cpu(1000));
  c.Create(Pod("victim", 1000, 1));
  c.loop.RunFor(absl::Seconds(5));
  c.Create(MakeNode("n2").Cpu(300));
  c.Create(Pod("high", 800, 10));
  c.loop.RunFor(absl::Milliseconds(20));
  c.Create(Pod("thief", 300, 10).NodeSelector("no", "such"));
  c.Create(Pod("small", 300, 0));  // fits on n2, now
  c.Create(Pod("other", 600, 9));  // would fit on n1 once the victim is gone
  c.loop.RunFor(absl::Milliseconds(500));
  EXPECT_EQ(c.NodeOf("small"), "n2");
  EXPECT_EQ(c.NodeOf("high"), "");
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("high"), "n1");
  EXPECT_EQ(c.NodeOf("other"), "");
  EXPECT_THAT(c.server.FindPod("default", "other")->scheduled.message,
              EndsWith("preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 "
                       "Preemption is not helpful for scheduling."));
}

TEST(PreemptionTest, PrefersWhomNoBudgetProtects) {
  SimCluster c;
  DisruptionBudget budget;
  budget.ns = "default";
  budget.name = "db";
  budget.selector = {true, {In("app", {"db"})}};
  c.server.SetObject(Kind::kPodDisruptionBudget, budget);
  c.Create(MakeNode("n1").Cpu(1000));
  c.Create(MakeNode("n2").Cpu(1000));
  c.Create(Pod("db", 900, 1).Label("app", "db").Node("n1"));
  c.Create(Pod("web", 900, 2).Node("n2"));
  c.loop.RunFor(absl::Seconds(5));
  c.Create(Pod("high", 500, 10));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("high"), "n2");
  EXPECT_EQ(c.NodeOf("db"), "n1");
  c.Create(Pod("higher", 500, 10));  // there is a choice no more
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("higher"), "n2");
  c.Create(Pod("highest", 500, 11));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("db"), "n1") << "a budget counts for more than priority";
}

TEST(PreemptionTest, AHigherOneTakesOverTheNomination) {
  SimCluster c;
  c.Create(MakeNode("n1").Cpu(1000));
  c.Create(Pod("low", 1000, 1));
  c.loop.RunFor(absl::Seconds(5));
  c.Create(Pod("mid", 1000, 5));
  c.loop.RunFor(absl::Milliseconds(200));
  EXPECT_EQ(c.server.FindPod("default", "mid")->nominated_node, "n1");
  c.Create(Pod("high", 1000, 10));
  c.loop.RunFor(absl::Milliseconds(200));
  EXPECT_EQ(c.server.FindPod("default", "mid")->nominated_node, "");
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("high"), "n1");
  EXPECT_EQ(c.NodeOf("mid"), "");
}

TEST(PreemptionTest, EvictsWhatIsNeededAndNoMore) {
  SimCluster c;
  Evictions evictions(c.server);
  for (int i = 0; i < 20; ++i) {
    c.Create(MakeNode(absl::StrCat("n", i)).Cpu(4000));
    for (int j = 0; j < 4; ++j) c.Create(Pod(absl::StrCat("low-", i, "-", j), 900, 0).Node(absl::StrCat("n", i)));
  }
  c.loop.RunFor(absl::Seconds(5));
  for (int i = 0; i < 30; ++i) c.Create(Pod(absl::StrCat("high-", i), 1800, 10));  // two for two on a node
  ASSERT_TRUE(c.Settle());
  for (int i = 0; i < 30; ++i) EXPECT_NE(c.NodeOf(absl::StrCat("high-", i)), "") << i;
  EXPECT_LE(evictions.names.size(), 60u);
  EXPECT_THAT(evictions.unmarked, IsEmpty());
}

TEST(PreemptionTest, SparesAllWhereThePolicySaysNever) {
  SimCluster c;
  c.Create(MakeNode("n1").Cpu(1000));
  c.Create(Pod("low", 1000, 1));
  c.loop.RunFor(absl::Seconds(5));
  auto pod = Pod("high", 1000, 10).Build();
  auto spec = std::make_shared<PodSpec>(*pod.spec);
  spec->preemption_policy = "Never";
  pod.spec = spec;
  ASSERT_TRUE(c.server.CreatePod(pod).ok());
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("low"), "n1");
  EXPECT_EQ(c.server.FindPod("default", "high")->scheduled.message,
            "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never.");
}

TEST(PreemptionTest, TellsOfARefusalAndTriesAgain) {
  SimCluster c;
  c.Create(MakeNode("n1").Cpu(1000));
  c.Create(Pod("low", 1000, 1));
  c.loop.RunFor(absl::Seconds(5));
  FaultRates all;
  all.refused = 1;
  c.faulty.set_rates(all);
  c.Create(Pod("high", 1000, 10));
  c.loop.RunFor(absl::Seconds(3));
  EXPECT_EQ(c.NodeOf("low"), "n1");
  EXPECT_EQ(c.NodeOf("high"), "");
  c.faulty.set_rates({});
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("high"), "n1");
  EXPECT_EQ(c.NodeOf("low"), "?");
}

TEST(PreemptionTest, HonoursNominationsThatItFinds) {
  SimCluster c;
  c.Create(MakeNode("n1").Cpu(1000));
  c.Create(MakeNode("n2").Cpu(1000).Taint("x"));
  c.Create(Pod("waiting", 1000, 5).Gate("example.com/gate").Nominated("n1"));
  c.loop.RunFor(absl::Seconds(1));
  c.Create(Pod("other", 500, 5));
  c.loop.RunFor(absl::Seconds(5));
  EXPECT_EQ(c.NodeOf("other"), "");
  ASSERT_TRUE(c.server.DeletePodNow("default", "waiting", "").ok());
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("other"), "n1");
}

}  // namespace
}  // namespace muster
