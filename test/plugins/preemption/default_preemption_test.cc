#include "plugins/preemption/default_preemption.h"

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "plugins/all.h"
#include "scheduler/framework/config/config.h"
#include "scheduler/framework/evaluation.h"
#include "scheduler/framework/nominator.h"
#include "scheduler/framework/post_filter.h"
#include "scheduler/framework/statement.h"
#include "scheduler/framework/verdicts.h"
#include "scheduler/model/pod_group.h"
#include "test/support/make.h"
#include "test/support/make_snapshot.h"

namespace muster {
namespace {

class DefaultPreemptionTest : public testing::Test {
 protected:
  DefaultPreemptionTest() {
    const Registry registry = AllPlugins();
    framework_ = *Framework::Create(DefaultConfiguration(registry).profiles[0], registry);
  }

  void Budget(const std::string& name, int32_t allowed, const std::string& app,
              std::vector<std::string> disrupted = {}) {
    auto budget = std::make_shared<DisruptionBudget>();
    budget->ns = "default";
    budget->name = name;
    budget->selector.present = true;
    if (!app.empty()) budget->selector.requirements = {In("app", {app})};
    budget->disruptions_allowed = allowed;
    budget->disrupted_pods = std::move(disrupted);
    snap_->SetObject(Kind::kPodDisruptionBudget, std::move(budget));
  }

  void Group(const std::string& name, bool whole, std::optional<int32_t> priority = {}) {
    auto group = std::make_shared<PodGroup>();
    group->ns = "default";
    group->name = name;
    group->disrupted_whole = whole;
    group->priority = priority;
    snap_->SetObject(Kind::kPodGroup, std::move(group));
  }

  // Asks for the pod with all nodes candidates: "n1: b,a" or the message.
  std::string Ask(const PodPtr& pod) { return Ask(pod, answer_, verdicts_, memo_); }
  std::string Ask(const PodPtr& pod, Evaluation& answer, Verdicts& verdicts, CycleState& memo) {
    if (info_ == nullptr || !(*info_->spec == *pod->spec)) {
      info_ = snap_->Resolve(pod->spec);
      answer.Invalidate();
    }
    snap_->Prepare(*info_);
    Statement statement(*snap_);
    const Nominated nominated{*nominator_, statement, pod->uid};
    WorkCount work;
    answer.Update(
        *framework_, *info_, *snap_, 0,
        [](size_t words, absl::FunctionRef<void(WordRange)> body) {
          body({0, words});
        },
        work, nullptr, &nominated);
    EXPECT_TRUE(answer.error().ok());
    if (answer.feasible_count() > 0) return "fits";
    EXPECT_TRUE(verdicts.Update(*framework_, *info_, *snap_, answer, &nominated).ok());
    const uint64_t version = snap_->cell_version();
    result_ = framework_->post_filters().back()->PostFilter(
        {*framework_, *pod, *info_, *snap_, answer, verdicts, statement, &nominated, 0, all_nodes_}, memo);
    EXPECT_EQ(statement.Checkpoint(), 0u);
    EXPECT_EQ(snap_->cell_version(), version) << "a trial shows as a change";
    if (result_.code != Code::kSuccess) return result_.message;
    return absl::StrCat(
        *result_.nominate, ": ",
        absl::StrJoin(result_.victims, ",", [](std::string* out, const Pod* p) { out->append(p->name); }));
  }
  // With nothing remembered.
  std::string AskAnew(const PodPtr& pod) {
    Evaluation answer;
    Verdicts verdicts;
    CycleState memo;
    return Ask(pod, answer, verdicts, memo);
  }
  void Cluster(const std::vector<NodePtr>& nodes, const std::vector<PodPtr>& pods) {
    snap_ = std::make_unique<Snapshot>(MakeSnapshot(nodes, pods));
    nominator_ = std::make_unique<Nominator>(*snap_);
    info_ = nullptr;
  }

  std::unique_ptr<Framework> framework_;
  std::unique_ptr<Snapshot> snap_;
  std::unique_ptr<Nominator> nominator_;
  PodInfoPtr info_;
  Evaluation answer_;
  Verdicts verdicts_;
  CycleState memo_;
  PostFilterResult result_;
  bool all_nodes_ = true;
};

NodePtr Node(const std::string& name, int64_t cpu = 1000) {
  return MakeNode(name).Cpu(cpu).Memory(int64_t{1} << 40).Label("kubernetes.io/hostname", name).Ptr();
}
MakePod On(const std::string& node, const std::string& name, int64_t cpu, int32_t priority) {
  return MakePod(name).Uid(name).Node(node).Cpu(cpu).Priority(priority);
}
MakePod High(int64_t cpu, int32_t priority = 100) { return MakePod("p").Uid("p").Cpu(cpu).Priority(priority); }
Time Day(int day) { return absl::FromUnixSeconds(86400 * day); }

TEST_F(DefaultPreemptionTest, EvictsTheLeastImportantPodsThatMakeRoom) {
  Cluster({Node("n1")}, {On("n1", "a", 300, 10).Ptr(), On("n1", "b", 300, 20).Ptr(), On("n1", "c", 300, 5).Ptr()});
  EXPECT_EQ(Ask(High(100).Ptr()), "fits");
  EXPECT_EQ(Ask(High(400).Ptr()), "n1: c");
  EXPECT_EQ(Ask(High(600).Ptr()), "n1: a,c");
  EXPECT_EQ(Ask(High(1000).Ptr()), "n1: b,a,c");
  EXPECT_EQ(Ask(High(400, 20).Ptr()), "n1: c");
  EXPECT_EQ(*result_.nominate, "n1");
  EXPECT_EQ(result_.message, "preemption: found a potential placement for pod on node n1, preempting 1 victims");
}

TEST_F(DefaultPreemptionTest, OfEqualPriorityTheYoungerGoesAndUnstartedOnesAreYoungest) {
  const auto pods = [](std::vector<Time> starts) {
    std::vector<PodPtr> out;
    for (size_t i = 0; i < starts.size(); ++i)
      out.push_back(On("n1", std::string(1, static_cast<char>('a' + i)), 300, 1).Started(starts[i]).Ptr());
    return out;
  };
  Cluster({Node("n1", 900)}, pods({Day(2), Day(3), Day(1)}));
  EXPECT_EQ(Ask(High(300).Ptr()), "n1: b");
  Cluster({Node("n1", 900)}, pods({absl::InfinitePast(), Day(3), Day(1)}));
  EXPECT_EQ(AskAnew(High(300).Ptr()), "n1: a");
}

TEST_F(DefaultPreemptionTest, SaysWhyNot) {
  Cluster({Node("n1"), Node("n2"), MakeNode("n3").Cpu(1000).Unschedulable().Ptr()},
          {On("n1", "a", 900, 100).Ptr(), On("n2", "b", 400, 10).Ptr(), On("n2", "c", 500, 100).Ptr()});
  EXPECT_EQ(Ask(High(600).Ptr()),
            "preemption: 0/3 nodes are available: 1 Insufficient cpu, 1 No preemption victims found for incoming pod, "
            "1 Preemption is not helpful for scheduling.");
  EXPECT_EQ(*result_.nominate, "");
  auto never = std::make_shared<PodSpec>(*High(200).Ptr()->spec);
  never->preemption_policy = "Never";
  auto pod = std::make_shared<Pod>(*High(200).Ptr());
  pod->spec = never;
  EXPECT_EQ(Ask(pod), "preemption: not eligible due to preemptionPolicy=Never.");
  EXPECT_EQ(result_.nominate, std::nullopt);
  EXPECT_EQ(Ask(High(200).NodeSelector("no", "such").Ptr()),
            "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.");
}

TEST_F(DefaultPreemptionTest, WaitsForItsVictimsToEnd) {
  auto ending = std::make_shared<Pod>(*On("n1", "a", 900, 10).Deleting().Ptr());
  Cluster({Node("n1"), Node("n2")}, {ending, On("n2", "b", 900, 10).Ptr()});
  EXPECT_EQ(Ask(High(500).Nominated("n1").Ptr()), "n1: a") << "it ends by itself";
  ending->preempted = true;
  const std::string waits = "preemption: not eligible due to a terminating pod on the nominated node.";
  EXPECT_EQ(Ask(High(500).Nominated("n1").Ptr()), waits);
  EXPECT_EQ(Ask(High(500, 10).Nominated("n1").Ptr()),
            "preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod.");
  EXPECT_EQ(Ask(High(500).Nominated("n2").Ptr()), "n1: a");
  EXPECT_EQ(Ask(High(500).Nominated("gone").Ptr()), "n1: a");
  nominator_->Set(High(500).Ptr(), snap_->Resolve(High(500).Ptr()->spec), "n1");
  EXPECT_EQ(Ask(High(500).Ptr()), waits) << "also where the server has not told yet";
}

TEST_F(DefaultPreemptionTest, ChoosesTheNodeAsUpstream) {
  const int32_t low = std::numeric_limits<int32_t>::min();
  struct Row {
    const char* what;
    std::vector<PodPtr> pods;
    const char* node;
  };
  const std::vector<Row> rows = {
      {"lowest highest priority", {On("n1", "a", 900, 20).Ptr(), On("n2", "b", 900, 10).Ptr()}, "n2: b"},
      {"lowest sum",
       {On("n1", "a", 450, 9).Ptr(), On("n1", "b", 450, 8).Ptr(), On("n2", "c", 450, 9).Ptr(),
        On("n2", "d", 450, 7).Ptr()},
       "n2: c,d"},
      {"the sum counts each victim",
       {On("n1", "a", 450, low + 1).Ptr(), On("n1", "b", 450, low).Ptr(), On("n2", "c", 900, low + 1).Ptr()},
       "n2: c"},
      {"fewest victims",
       {On("n1", "a", 450, low).Ptr(), On("n1", "b", 450, low).Ptr(), On("n2", "c", 900, low).Ptr()},
       "n2: c"},
      {"latest start of the most important",
       {On("n1", "a", 900, 1).Started(Day(1)).Ptr(), On("n2", "b", 900, 1).Started(Day(2)).Ptr()},
       "n2: b"},
      {"equal: the first by name", {On("n1", "a", 900, 1).Ptr(), On("n2", "b", 900, 1).Ptr()}, "n1: a"},
  };
  for (const Row& row : rows) {
    Cluster({Node("n1"), Node("n2")}, row.pods);
    EXPECT_EQ(AskAnew(High(1000).Ptr()), row.node) << row.what;
  }
}

TEST_F(DefaultPreemptionTest, SparesWhatBudgetsProtect) {
  const auto protect = [](MakePod pod) { return pod.Label("app", "db").Ptr(); };
  const auto cluster = [&] {
    Cluster({Node("n1"), Node("n2")}, {protect(On("n1", "a", 900, 1)), On("n2", "b", 900, 50).Ptr()});
  };
  cluster();
  EXPECT_EQ(Ask(High(1000).Ptr()), "n1: a");
  Budget("db", 0, "db");
  EXPECT_EQ(Ask(High(1000).Ptr()), "n2: b") << "a dry run is not remembered beyond a change of budgets";
  Budget("db", 1, "db");
  EXPECT_EQ(Ask(High(1000).Ptr()), "n1: a");
  Budget("db", 0, "db", {"a"});
  EXPECT_EQ(Ask(High(1000).Ptr()), "n1: a") << "its disruption is counted already";
  Budget("db", 0, "");
  EXPECT_EQ(Ask(High(1000).Ptr()), "n1: a") << "an empty selector";

  // Violations are not forbidden; the protected one is the last to go on its node.
  Cluster({Node("n1")}, {protect(On("n1", "a", 400, 1)), On("n1", "b", 400, 50).Ptr(), protect(On("n1", "c", 100, 2))});
  Budget("db", 0, "db");
  EXPECT_EQ(AskAnew(High(400).Ptr()), "n1: b");
  EXPECT_EQ(AskAnew(High(600).Ptr()), "n1: b,a");
  EXPECT_EQ(result_.budget_violations, 1);
  Budget("db", 1, "db");  // the more important one takes it
  EXPECT_EQ(AskAnew(High(1000).Ptr()), "n1: b,c,a");
  EXPECT_EQ(result_.budget_violations, 1);
}

TEST_F(DefaultPreemptionTest, LeavesRoomForNominatedPods) {
  Cluster({Node("n1")}, {On("n1", "a", 500, 1).Ptr(), On("n1", "b", 500, 2).Ptr()});
  const PodPtr other = MakePod("q").Uid("q").Cpu(500).Priority(100).Ptr();
  EXPECT_EQ(Ask(High(500).Ptr()), "n1: a");
  nominator_->Set(other, snap_->Resolve(other->spec), "n1");
  EXPECT_EQ(Ask(High(500).Ptr()), "n1: b,a") << "a's room is taken";
  EXPECT_EQ(Ask(High(500, 101).Ptr()), "n1: a") << "of lower priority";
  nominator_->Remove("q");
  EXPECT_EQ(Ask(High(500).Ptr()), "n1: a");
}

TEST_F(DefaultPreemptionTest, LooksAtEnoughCandidates) {
  const auto wanted = [](int32_t percentage, int32_t absolute, size_t nodes) {
    DefaultPreemptionArgs args;
    args.min_candidate_nodes_percentage = percentage;
    args.min_candidate_nodes_absolute = absolute;
    return DefaultPreemption(args).CandidatesWanted(nodes);
  };
  EXPECT_EQ(wanted(10, 100, 5000), 500u);
  EXPECT_EQ(wanted(10, 100, 500), 100u);
  EXPECT_EQ(wanted(10, 100, 50), 50u);
  EXPECT_EQ(wanted(0, 1, 5000), 1u);
  EXPECT_EQ(wanted(100, 0, 7), 7u);
}

// What is remembered must be what a first look finds.
TEST_F(DefaultPreemptionTest, RemembersOnlyWhatIsTrue) {
  for (uint32_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    uint64_t state = seed;
    const auto below = [&](uint64_t n) { return Mix(state++, 7) % n; };
    std::vector<NodePtr> nodes;
    for (int i = 10; i < 90; ++i)
      nodes.push_back(Node(absl::StrCat("n", i), 1000 + static_cast<int64_t>(below(3)) * 100));
    Cluster(nodes, {});
    std::vector<std::pair<PodPtr, NodeIndex>> placed;
    std::vector<PodInfoPtr> infos;
    const auto add = [&] {
      const NodeIndex n = static_cast<NodeIndex>(below(80));
      const std::string name = absl::StrCat("v", state);
      MakePod pod = On("", name, 100 * static_cast<int64_t>(1 + below(6)), static_cast<int32_t>(below(5)) * 30);
      if (below(3) == 0) pod.Label("app", "db");
      if (below(6) == 0) pod.HostPort(80);
      if (below(4) == 0) pod.Group(absl::StrCat("g", below(20)));
      placed.emplace_back(pod.Started(Day(static_cast<int>(below(3)))).Ptr(), n);
      infos.push_back(snap_->Resolve(placed.back().first->spec));
      snap_->AddPod({placed.back().first.get(), infos.back().get()}, n);
    };
    for (int i = 0; i < 300; ++i) add();
    MakePod subject = High(700 + 100 * static_cast<int64_t>(below(4)));
    if (below(2) == 0) subject.HostPort(80);
    if (below(3) == 0) subject.Apart("kubernetes.io/hostname", {In("app", {"db"})});
    Evaluation answer;
    Verdicts verdicts;
    CycleState memo;
    info_ = snap_->Resolve(subject.Ptr()->spec);
    for (int step = 0; step < 60; ++step) {
      switch (below(6)) {
        case 0: add(); break;
        case 4: Group(absl::StrCat("g", below(20)), below(2) == 0, static_cast<int32_t>(below(5)) * 30); break;
        case 1:
          if (const size_t i = below(placed.size()); placed[i].second != kNoNode) {
            snap_->RemovePod(*placed[i].first, placed[i].second);
            placed[i].second = kNoNode;
          }
          break;
        case 2: Budget(absl::StrCat("b", below(2)), static_cast<int32_t>(below(3)), "db"); break;
        case 3: {
          const PodPtr other = MakePod("q").Uid(absl::StrCat("q", below(3))).Cpu(300).Priority(100).Ptr();
          nominator_->Set(other, snap_->Resolve(other->spec), below(3) == 0 ? "" : absl::StrCat("n", 10 + below(80)));
          break;
        }
        default: break;
      }
      const PodPtr pod = subject.Uid(absl::StrCat("q", below(5))).Ptr();
      ASSERT_EQ(Ask(pod, answer, verdicts, memo), AskAnew(pod)) << "step " << step;
    }
  }
}

TEST_F(DefaultPreemptionTest, AGroupThatIsDisruptedWholeGoesOnAllNodes) {
  Cluster({Node("n1"), Node("n2"), Node("n3")},
          {On("n1", "a", 600, 1).Group("g").Ptr(), On("n2", "b", 600, 1).Group("g").Ptr(),
           On("n3", "c", 600, 1).Group("h").Ptr(), On("n3", "d", 400, 50).Ptr()});
  Group("g", /*whole=*/true);
  Group("h", /*whole=*/false);
  EXPECT_EQ(Ask(High(600).Ptr()), "n3: c") << "one pod rather than two";
  EXPECT_EQ(Ask(High(800).Ptr()), "n1: a,b") << "of priority 1, against one of priority 50";
  Group("g", /*whole=*/false);
  EXPECT_EQ(Ask(High(800).Ptr()), "n1: a") << "what is remembered of a node falls with its group";
  Group("g", /*whole=*/true, 70);
  EXPECT_EQ(Ask(High(800).Ptr()), "n3: d,c");
  Group("g", /*whole=*/true, 100);
  Group("h", /*whole=*/false, 100);
  EXPECT_EQ(Ask(High(800).Ptr()),
            "preemption: 0/3 nodes are available: 1 Insufficient cpu, 2 No preemption victims found for incoming pod.");
}

TEST_F(DefaultPreemptionTest, EveryPodOfAWholeGroupCountsAgainstBudgets) {
  Cluster({Node("n1"), Node("n2"), Node("n3")},
          {On("n1", "a", 600, 1).Group("g").Label("app", "x").Ptr(),
           On("n2", "b", 600, 1).Group("g").Label("app", "x").Ptr(), On("n3", "c", 600, 9).Label("app", "y").Ptr()});
  Group("g", /*whole=*/true);
  EXPECT_EQ(Ask(High(600).Ptr()), "n1: a,b");
  Budget("x", 1, "x");
  EXPECT_EQ(Ask(High(600).Ptr()), "n3: c") << "the second one of the group breaks the budget";
  Budget("y", 0, "y");
  EXPECT_EQ(Ask(High(600).Ptr()), "n1: a,b");
  EXPECT_EQ(result_.budget_violations, 1);
}

TEST_F(DefaultPreemptionTest, AWholeGroupsPodsElsewhereNoLongerCount) {
  const PodPtr pod = High(100).Apart("rack", {In("app", {"x"})}).Ptr();
  const auto node = [](const char* name) { return MakeNode(name).Cpu(1000).Label("rack", "r").Ptr(); };
  Cluster({node("n1"), node("n2")}, {On("n1", "a", 100, 1).Group("g").Label("app", "x").Ptr(),
                                     On("n2", "b", 100, 1).Group("g").Label("app", "x").Ptr()});
  EXPECT_EQ(Ask(pod), "preemption: 0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules.");
  Group("g", /*whole=*/true);
  EXPECT_EQ(Ask(pod), "n1: a,b");
  EXPECT_EQ(Ask(pod), "n1: a,b") << "what the trial counted was undone";
  EXPECT_EQ(AskAnew(pod), "n1: a,b");
}

}  // namespace
}  // namespace muster
