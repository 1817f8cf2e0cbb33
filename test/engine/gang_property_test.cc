// Random clusters, groups, faults and deaths of the scheduler: rules that hold at every write (the Auditor), and
// an end in which each group is whole or waits with reason. The seed of a failure is printed; MUSTER_CASES says
// how many cases to run.
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "scheduler/runtime/random.h"
#include "test/support/sim_cluster.h"

namespace muster {
namespace {

using Source = GroupRef::Source;
constexpr char kRack[] = "example.com/rack";

struct Group {
  std::string name;
  Source source = Source::kNative;
  int min = 1, pods = 0, made = 0;
  int32_t priority = 0;
  int64_t cpu = 1000;
  bool rack = false;  // all in one
};

class Case {
 public:
  Case(uint64_t seed, FaultRates faults) : random_(seed), c_({seed, 1, faults, OneIn(4) ? 2 : 0}) {
    const uint64_t nodes = 3 + Pick(6);
    for (uint64_t i = 0; i < nodes; ++i) AddNode();
  }

  void Run() {
    const uint64_t steps = 12 + Pick(20);
    for (uint64_t i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      Step();
      // At once, while requests are on their way, or after them.
      const int64_t micros[] = {0, 4'000, 40'000, 3'000'000};
      if (const int64_t most = micros[Pick(4)]; most != 0)
        c_.loop.RunFor(absl::Microseconds(static_cast<int64_t>(Pick(static_cast<uint64_t>(most)))));
    }
    c_.faulty.set_rates({});
    // A lost write is made up for when the group is next tried: after 5 minutes at the latest. Slots that are
    // kept are free after 5 minutes.
    c_.loop.RunFor(absl::Minutes(12));
    EXPECT_TRUE(c_.Settle()) << "it never settles";
    CheckEnd();
    Drain();
  }

 private:
  uint64_t Pick(uint64_t bound) { return random_.Below(bound); }
  bool OneIn(uint64_t n) { return Pick(n) == 0; }

  void Step() {
    const uint64_t dice = Pick(100);
    if (dice < 40) return AddGroup();
    if (dice < 50) return AddLone();
    if (dice < 62) return DeletePod();
    if (dice < 67) return AddNode();
    if (dice < 71) return LoseNode();
    if (dice < 75) return ChangeMinimum();
    if (dice < 83) return Die();
    if (dice < 86)
      return c_.server.CutWatches(OneIn(2) ? Kind::kPod : Kind::kPodGroup, {ApiCode::kUnreachable, "", {}});
    if (dice < 89) return DeleteGroup();
    c_.loop.RunFor(absl::Seconds(static_cast<int64_t>(Pick(40))));
  }

  void AddNode() {
    c_.Create(MakeNode("n" + std::to_string(++nodes_))
                  .Cpu(static_cast<int64_t>(1 + Pick(4)) * 1000)
                  .Label(kRack, std::string(1, static_cast<char>('a' + Pick(3)))));
  }
  void AddGroup() {
    Group group;
    group.name = "g" + std::to_string(groups_.size());
    const Source sources[] = {Source::kNative, Source::kCoscheduling, Source::kLabels};
    group.source = sources[Pick(3)];
    group.pods = static_cast<int>(1 + Pick(6));
    group.min = OneIn(2) ? group.pods : static_cast<int>(1 + Pick(static_cast<uint64_t>(group.pods)));
    group.priority = static_cast<int32_t>(Pick(3));
    group.cpu = static_cast<int64_t>(1 + Pick(3)) * 500;
    group.rack = OneIn(3);
    groups_.push_back(group);
    WriteGroup(groups_.back());
    for (int i = 0; i < group.pods; ++i) AddPod(groups_.back());
  }
  void WriteGroup(const Group& group) {
    if (group.source == Source::kLabels) return;
    c_.CreateGroup(group.name, group.min, [&](PodGroup& object) {
      if (group.source == Source::kCoscheduling) object.api_version = "scheduling.x-k8s.io/v1alpha1";
      object.priority = group.priority;
      if (group.rack) object.topology = Rack();
    });
  }
  static TopologyRequest Rack() {
    TopologyRequest topology;
    topology.mode = TopologyRequest::Mode::kRequired;
    topology.level = kRack;
    return topology;
  }
  void AddPod(Group& group) {
    const std::string name = group.name + "-" + std::to_string(group.made);
    MakePod pod(name);
    pod.Group(group.name, group.source, group.source == Source::kLabels ? group.min : 0);
    pod.Cpu(group.cpu).Priority(group.priority).Rank(group.made);
    Pod made = pod.Build();
    if (group.rack && group.source == Source::kLabels) made.topology = Rack();
    ++group.made;
    if (OneIn(2)) c_.kubelet.Replaces("default", name);
    EXPECT_TRUE(c_.server.CreatePod(made).ok());
  }
  void AddLone() {
    c_.Create(MakePod("lone" + std::to_string(++lone_))
                  .Cpu(static_cast<int64_t>(1 + Pick(3)) * 500)
                  .Priority(static_cast<int32_t>(Pick(3))));
  }
  void DeletePod() {
    const auto pods = c_.server.Pods();
    if (pods.empty()) return;
    const PodPtr pod = pods[Pick(pods.size())];
    c_.server.DeletePodNow(pod->ns(), pod->name, pod->uid);
  }
  void LoseNode() {
    if (c_.server.nodes().empty()) return;
    auto it = c_.server.nodes().begin();
    std::advance(it, static_cast<int64_t>(Pick(c_.server.nodes().size())));
    ASSERT_TRUE(c_.server.DeleteNode(std::string(it->first)).ok());
    // Pods that are on their way there are lost with it, and the others may find no room.
    c_.auditor.ExcuseAllInPart();
  }
  void ChangeMinimum() {
    if (groups_.empty()) return;
    Group& group = groups_[Pick(groups_.size())];
    if (group.source == Source::kLabels) return;
    group.min = static_cast<int>(1 + Pick(static_cast<uint64_t>(group.pods)));
    const auto* old =
        c_.FindGroup(group.name, group.source == Source::kNative ? Kind::kPodGroup : Kind::kCoschedulingPodGroup);
    if (old == nullptr) return;
    PodGroup changed = *old;
    changed.min_count = group.min;
    c_.server.SetObject(group.source == Source::kNative ? Kind::kPodGroup : Kind::kCoschedulingPodGroup, changed);
    c_.auditor.ExcuseAllInPart();  // more may be asked for than is there
  }
  void DeleteGroup() {
    if (groups_.empty()) return;
    const std::string prefix = groups_[Pick(groups_.size())].name + "-";
    for (const PodPtr& pod : c_.server.Pods()) {
      if (pod->name.starts_with(prefix)) c_.server.DeletePodNow(pod->ns(), pod->name, pod->uid);
    }
  }
  // Now, or at one of its next writes.
  void Die() {
    if (OneIn(2)) {
      c_.ports.back()->CrashAfter(static_cast<int>(Pick(8)));
      c_.loop.RunFor(absl::Milliseconds(static_cast<int64_t>(Pick(3000))));
    }
    c_.RestartScheduler();
  }

  int64_t Free(const Node& node) const {
    for (const Amount& amount : node.allocatable) {
      if (amount.resource == "cpu") return amount.value - c_.auditor.Used(node.name, "cpu");
    }
    return 0;
  }

  void CheckEnd() {
    std::map<std::string, std::vector<PodPtr>> bound, pending;
    for (const PodPtr& pod : c_.server.Pods()) {
      if (pod->ended) continue;
      (pod->node.empty() ? pending : bound)[pod->group.name].push_back(pod);
    }
    for (const Group& group : groups_) {
      SCOPED_TRACE(group.name);
      const auto& here = bound[group.name];
      const auto& waiting = pending[group.name];
      if (group.rack) {
        std::set<std::string> racks;
        for (const PodPtr& pod : here) {
          if (const NodePtr node = c_.server.FindNode(pod->node)) racks.insert(node->labels.at(kRack));
        }
        EXPECT_LE(racks.size(), 1u) << "it is split";
      }
      for (const PodPtr& pod : waiting) EXPECT_EQ(pod->scheduled.status, "False") << pod->Key() << " was told nothing";
      const int needed = std::max(group.min - static_cast<int>(here.size()), 0);
      if (waiting.empty() || static_cast<int>(waiting.size()) < needed) continue;
      EXPECT_LT(Fit(group, here), std::max(needed, 1)) << "it waits though it fits";
    }
    for (const PodPtr& pod : pending[""]) {
      for (const auto& [name, node] : c_.server.nodes())
        EXPECT_LT(Free(*node), pod->spec->amounts.requests[0].value) << pod->Key() << " waits though it fits " << name;
    }
    EXPECT_EQ(c_.scheduler->cache().assumed_count(), 0u);
    if (testing::Test::HasFailure()) Dump();
  }
  void Dump() const {
    const Snapshot& snapshot = const_cast<ClusterCache&>(c_.scheduler->cache()).Refresh();
    for (NodeIndex n = 0; n < snapshot.size(); ++n) {
      std::cerr << "row " << snapshot.NodeName(n) << " free " << snapshot.Free(snapshot.resources().Find("cpu"))[n];
      for (const PodOnNode& pod : snapshot.PodsOn(n)) std::cerr << " " << pod.pod->name;
      std::cerr << "\n";
    }
    for (const auto& [name, node] : c_.server.nodes())
      std::cerr << "node " << name << " rack " << node->labels.at(kRack) << " free " << Free(*node) << "\n";
    for (const Group& g : groups_)
      std::cerr << "group " << g.name << " min " << g.min << " priority " << g.priority << " cpu " << g.cpu << " rack "
                << g.rack << "\n";
    for (const PodPtr& pod : c_.server.Pods())
      std::cerr << pod->name << "@" << pod->node << " nominated " << pod->nominated_node << " preempted "
                << pod->preempted << " deleting " << pod->deleting << " " << pod->scheduled.message << "\n";
    for (const QueuedGroup* group : c_.scheduler->queue().Groups())
      std::cerr << group->key << " part " << static_cast<int>(group->part) << " pods " << group->members.size() << "\n";
  }

  // How many more of the group's pods there is room for, said the slow and obvious way.
  int Fit(const Group& group, const std::vector<PodPtr>& here) const {
    std::map<std::string, int> by_rack;
    int all = 0;
    for (const auto& [name, node] : c_.server.nodes()) {
      const int fit = static_cast<int>(std::max<int64_t>(Free(*node), 0) / group.cpu);
      by_rack[node->labels.at(kRack)] += fit;
      all += fit;
    }
    if (!group.rack) return all;
    for (const PodPtr& pod : here) {
      if (const NodePtr node = c_.server.FindNode(pod->node)) return by_rack[node->labels.at(kRack)];
    }
    int most = 0;
    for (const auto& [rack, fit] : by_rack) most = std::max(most, fit);
    return most;
  }

  // All that waits fits in the end, given room.
  void Drain() {
    for (const char rack : {'a', 'b', 'c'})
      c_.Create(MakeNode(std::string("big-") + rack).Cpu(1'000'000).Label(kRack, std::string(1, rack)));
    c_.loop.RunFor(absl::Minutes(6));
    ASSERT_TRUE(c_.Settle());
    std::map<std::string, int> alive;
    for (const PodPtr& pod : c_.server.Pods()) alive[pod->group.name] += !pod->ended;
    for (const PodPtr& pod : c_.server.Pods()) {
      if (!pod->node.empty() || pod->ended) continue;
      const auto group =
          std::find_if(groups_.begin(), groups_.end(), [&](const Group& g) { return g.name == pod->group.name; });
      if (group == groups_.end()) {
        ADD_FAILURE() << pod->Key() << " is left behind";
      } else {
        EXPECT_LT(alive[group->name], group->min) << pod->Key() << " is left behind: " << pod->scheduled.message;
      }
    }
  }

  Random random_;
  SimCluster c_;
  std::vector<Group> groups_;
  int nodes_ = 0, lone_ = 0;
};

constexpr FaultRates kFewFaults{
    .refused = 0.05, .lost_answer = 0.05, .slow = 0.1, .cut = 0.02, .gone = 0.01, .duplicated = 0.02};
constexpr FaultRates kManyFaults{
    .refused = 0.2, .lost_answer = 0.2, .slow = 0.3, .cut = 0.15, .gone = 0.1, .duplicated = 0.1};

uint64_t Cases() {
  const char* text = std::getenv("MUSTER_CASES");
  return text == nullptr ? 300 : std::strtoull(text, nullptr, 10);
}

// The cases are split, so that tests run beside each other.
constexpr uint64_t kParts = 6;

class GangPropertyTest : public testing::TestWithParam<uint64_t> {};

TEST_P(GangPropertyTest, GroupsAreWholeOrWait) {
  const uint64_t cases = Cases();
  for (uint64_t seed = GetParam(); seed < cases; seed += kParts) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const FaultRates rates[] = {FaultRates{}, kFewFaults, kManyFaults};
    Case(seed, rates[seed / kParts % 3]).Run();
    if (HasFailure()) return;
  }
}

// Who had to go did so for a group that runs in the end: nothing else happens in these clusters.
TEST_P(GangPropertyTest, NobodyIsEvictedInVain) {
  const uint64_t cases = Cases();
  for (uint64_t seed = GetParam(); seed < cases; seed += kParts) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    const auto pick = [&](uint64_t bound) { return static_cast<int>(random.Below(bound)); };
    SimClusterOptions options;
    options.seed = seed;
    SimCluster c(options);
    const int nodes = 2 + pick(6);
    for (int i = 0; i < nodes; ++i) {
      c.Create(MakeNode("n" + std::to_string(i))
                   .Cpu((1 + pick(4)) * 1000)
                   .Label(kRack, std::string(1, static_cast<char>('a' + pick(2)))));
    }
    DisruptionBudget budget;
    budget.ns = "default", budget.name = "pdb", budget.disruptions_allowed = pick(3);
    budget.selector = {true, {In("app", {"guarded"})}};
    c.server.SetObject(Kind::kPodDisruptionBudget, budget);
    for (int i = 0; i < 4 * nodes; ++i) {
      MakePod pod("low" + std::to_string(i));
      pod.Cpu((1 + pick(3)) * 500).Priority(pick(3));
      if (pick(3) == 0) pod.Label("app", "guarded");
      if (pick(3) == 0) pod.Group("low", GroupRef::Source::kLabels, 1);
      if (pick(3) != 0) pod.Priority(0).Group("", GroupRef::Source::kNone);
      c.Create(pod);
    }
    ASSERT_TRUE(c.Settle());
    const std::vector<PodPtr> before = c.server.Pods();
    const int size = 1 + pick(6), min = 1 + pick(static_cast<uint64_t>(size));
    const bool rack = pick(3) == 0;
    c.CreateGroup("high", min, [&](PodGroup& group) {
      group.priority = 5;
      if (!rack) return;
      group.topology.mode = TopologyRequest::Mode::kRequired;
      group.topology.level = kRack;
    });
    const int64_t cpu = (1 + pick(4)) * 500;
    for (int i = 0; i < size; ++i)
      c.Create(MakePod("high" + std::to_string(i)).Group("high").Cpu(cpu).Priority(5).Rank(i));
    EXPECT_TRUE(c.Settle());
    int bound = 0, evicted = 0;
    for (int i = 0; i < size; ++i) bound += c.NodeOf("high" + std::to_string(i)) != "";
    for (const PodPtr& pod : before) evicted += !pod->node.empty() && c.server.FindPod("default", pod->name) == nullptr;
    EXPECT_TRUE(evicted == 0 || bound >= min) << evicted << " pods were evicted in vain";
    EXPECT_TRUE(bound == 0 || bound >= min);
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Parts, GangPropertyTest, testing::Range<uint64_t>(0, kParts));

}  // namespace
}  // namespace muster
