// Whole clusters under random work and random faults: rules that hold at every write (the Auditor),
// and an end in which every pod is bound or rightly pending. The seed of a failure is printed.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "scheduler/runtime/random.h"
#include "test/support/sim_cluster.h"

namespace muster {
namespace {

constexpr int64_t kMebi = int64_t{1} << 20;
// Where the rival scheduler puts the pods that it takes from us; ours keep out.
constexpr char kRivalNode[] = "rival";

// Does whatever users, operators and other controllers do to a cluster.
class Chaos {
 public:
  Chaos(SimCluster& c, uint64_t seed) : c_(c), random_(seed) {
    c_.Create(MakeNode(kRivalNode)
                  .Taint("rival")
                  .Cpu(1'000'000)
                  .Memory(1'000'000 * kMebi)
                  .Room("pods", 10'000)
                  .Room("example.com/gpu", 1000));
    const uint64_t nodes = 3 + Pick(8);
    for (uint64_t i = 0; i < nodes; ++i) AddNode();
  }

  void Run(int steps) {
    for (int i = 0; i < steps; ++i) {
      Step();
      // At once, while requests are on their way, or after them.
      const int64_t micros[] = {0, 3'000, 400'000};
      if (const int64_t most = micros[Pick(3)]; most != 0)
        c_.loop.RunFor(absl::Microseconds(static_cast<int64_t>(Pick(static_cast<uint64_t>(most)))));
    }
  }

 private:
  uint64_t Pick(uint64_t bound) { return random_.Below(bound); }
  bool OneIn(uint64_t n) { return Pick(n) == 0; }

  void Step() {
    const uint64_t dice = Pick(100);
    if (dice < 55) return AddPod();
    if (dice < 65) return DeletePod();
    if (dice < 70) return AddNode();
    if (dice < 72) return LoseNode();
    if (dice < 82) return ChangeNode();
    if (dice < 86) return OpenGate();
    if (dice < 91) return Rival();
    if (dice < 93) return Relabel();
    if (dice < 95) return c_.server.CutWatches(OneIn(2) ? Kind::kPod : Kind::kNode, {ApiCode::kUnreachable, "cut", {}});
    if (dice < 96) return c_.server.Compact();
    c_.loop.RunFor(absl::Seconds(static_cast<int64_t>(Pick(60))));
  }

  void AddPod() {
    const int64_t cpus[] = {100, 250, 500, 1000, 2000};
    MakePod pod("p" + std::to_string(++pods_));
    pod.Cpu(cpus[Pick(5)]).Memory(static_cast<int64_t>(64 << Pick(5)) * kMebi);
    pod.Priority(static_cast<int32_t>(Pick(3)));
    if (OneIn(8)) pod.Request("example.com/gpu", static_cast<int64_t>(1 + Pick(2)));
    if (OneIn(5)) pod.NodeSelector("zone", std::string(1, static_cast<char>('a' + Pick(4))));
    if (OneIn(3)) pod.Tolerate("team");
    if (OneIn(10)) pod.HostPort(8080);
    if (OneIn(10)) pod.Scheduler("other");
    if (OneIn(20)) pod.Gate("example.com/gate");
    const std::string name = pod.Build().name;
    if (OneIn(2)) c_.kubelet.RunsFor("default", name, absl::Seconds(static_cast<int64_t>(1 + Pick(100))));
    if (OneIn(4)) c_.kubelet.Replaces("default", name);
    c_.Create(pod);
  }

  PodPtr AnyPod() {
    const auto pods = c_.server.Pods();
    return pods.empty() ? nullptr : pods[Pick(pods.size())];
  }
  void DeletePod() {
    if (const PodPtr pod = AnyPod()) c_.server.DeletePodNow(pod->ns(), pod->name, pod->uid);
  }
  void OpenGate() {
    const PodPtr pod = AnyPod();
    if (pod == nullptr || pod->scheduling_gates.empty()) return;
    ASSERT_TRUE(c_.server.UpdatePod(pod->ns(), pod->name, [](Pod& p) { p.scheduling_gates.clear(); }).ok());
  }
  void Rival() {
    const PodPtr pod = AnyPod();
    if (pod != nullptr && pod->spec->scheduler_name == Auditor::kOurs && !pod->ended)
      c_.server.BindNow({pod->ns(), pod->name, pod->uid, kRivalNode});
  }
  void Relabel() {
    const PodPtr pod = AnyPod();
    if (pod == nullptr || pod->ended) return;
    ASSERT_TRUE(c_.server
                    .UpdatePod(pod->ns(), pod->name,
                               [&](Pod& p) {
                                 auto spec = std::make_shared<PodSpec>(*p.spec);
                                 spec->labels["changed"] = std::to_string(Pick(5));
                                 p.spec = std::move(spec);
                               })
                    .ok());
  }

  void AddNode() {
    MakeNode node("n" + std::to_string(++nodes_));
    node.Cpu(static_cast<int64_t>(1 + Pick(4)) * 1000).Memory(static_cast<int64_t>(1 + Pick(4)) * 1024 * kMebi);
    node.Label("zone", std::string(1, static_cast<char>('a' + Pick(3))))
        .Room("pods", static_cast<int64_t>(2 + Pick(20)));
    if (OneIn(3)) node.Room("example.com/gpu", static_cast<int64_t>(1 + Pick(4)));
    if (OneIn(5)) node.Taint("team");
    if (OneIn(10)) node.Unschedulable();
    c_.Create(node);
  }
  std::string AnyNode() {
    const auto& nodes = c_.server.nodes();
    auto it = nodes.begin();
    std::advance(it, static_cast<int64_t>(Pick(nodes.size())));
    return it->first;
  }
  void LoseNode() {
    const std::string name = AnyNode();
    if (name == kRivalNode) return;
    ASSERT_TRUE(c_.server.DeleteNode(name).ok());
  }
  void ChangeNode() {
    const std::string name = AnyNode();
    if (name == kRivalNode) return;
    const uint64_t what = Pick(4), zone = Pick(3);
    ASSERT_TRUE(c_.server
                    .UpdateNode(name,
                                [&](Node& node) {
                                  if (what == 0) node.unschedulable = !node.unschedulable;
                                  if (what == 1) node.labels["zone"] = std::string(1, static_cast<char>('a' + zone));
                                  if (what == 2)
                                    node.taints = node.taints.empty() ? MakeNode("x").Taint("team").Build().taints
                                                                      : std::vector<Taint>{};
                                  if (what == 3) {
                                    for (Amount& amount : node.allocatable)
                                      amount.value += amount.resource == "cpu" ? 500 : 0;
                                  }
                                })
                    .ok());
  }

  SimCluster& c_;
  Random random_;
  int pods_ = 0, nodes_ = 0;
};

// Whether the pod could run on the node, said the slow and obvious way.
bool Fits(const SimCluster& c, const Pod& pod, const Node& node) {
  const auto tolerated = [&](const std::string& key) {
    return std::any_of(pod.spec->tolerations.begin(), pod.spec->tolerations.end(),
                       [&](const Toleration& t) { return t.key == key; });
  };
  if (node.unschedulable) return false;
  for (const Taint& taint : node.taints) {
    if (!tolerated(taint.key)) return false;
  }
  for (const auto& [key, value] : pod.spec->node_selector) {
    const auto label = node.labels.find(key);
    if (label == node.labels.end() || label->second != value) return false;
  }
  const auto free = [&](const std::string& resource) {
    int64_t room = 0;
    for (const Amount& amount : node.allocatable) room += amount.resource == resource ? amount.value : 0;
    return room - c.auditor.Used(node.name, resource);
  };
  if (free("pods") < 1) return false;
  for (const Amount& amount : pod.spec->amounts.requests) {
    if (free(amount.resource) < amount.value) return false;
  }
  for (const PodPtr& other : c.server.Pods()) {
    if (other->node == node.name && !other->ended && !other->spec->host_ports.empty() && !pod.spec->host_ports.empty())
      return false;
  }
  return true;
}

void CheckEnd(const SimCluster& c) {
  size_t pending = 0, gated = 0;
  for (const PodPtr& pod : c.server.Pods()) {
    if (!pod->node.empty() || pod->spec->scheduler_name != Auditor::kOurs) continue;
    if (!pod->scheduling_gates.empty()) {
      ++gated;
      continue;
    }
    ++pending;
    EXPECT_EQ(pod->scheduled.status, "False") << pod->Key() << " was never told why it waits";
    for (const auto& [name, node] : c.server.nodes())
      EXPECT_FALSE(Fits(c, *pod, *node)) << pod->Key() << " waits though it fits " << name;
  }
  // Nothing is stuck, and nothing is remembered that is not there.
  EXPECT_EQ(c.scheduler->queue().unschedulable(), pending);
  EXPECT_EQ(c.scheduler->queue().gated(), gated);
  EXPECT_EQ(c.scheduler->queue().size(), pending + gated);
  EXPECT_EQ(c.scheduler->cache().assumed_count(), 0u);
  const auto pods = c.server.Pods();
  EXPECT_EQ(static_cast<int64_t>(c.scheduler->cache().placed_count()),
            std::count_if(pods.begin(), pods.end(), [](const PodPtr& p) { return !p->node.empty() && !p->ended; }));
}

void RunChaos(uint64_t seed, FaultRates faults, int steps) {
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  SimCluster c({seed, 1, faults});
  Chaos chaos(c, seed);
  chaos.Run(steps);
  c.faulty.set_rates({});
  // A lost write of a condition is made up for when the pod is next tried: after 5 minutes at the latest.
  c.loop.RunFor(absl::Minutes(6));
  EXPECT_TRUE(c.Settle()) << "it never settles";
  EXPECT_GT(c.server.binds(), 5u) << "too little happened to show anything";
  CheckEnd(c);
}

constexpr FaultRates kFewFaults{
    .refused = 0.05, .lost_answer = 0.05, .slow = 0.1, .cut = 0.02, .gone = 0.01, .duplicated = 0.02};
constexpr FaultRates kManyFaults{
    .refused = 0.2, .lost_answer = 0.2, .slow = 0.3, .cut = 0.15, .gone = 0.1, .duplicated = 0.1};
// 32 seeds a test, so that tests run beside each other and a failure is small.
constexpr uint64_t kSeeds = 32;

class RandomScenarioTest : public testing::TestWithParam<uint64_t> {};

TEST_P(RandomScenarioTest, CalmClusterEndsRight) {
  for (uint64_t i = 0; i < kSeeds; ++i) {
    RunChaos(GetParam() * kSeeds + i, {}, 150);
    if (HasFailure()) return;
  }
}

TEST_P(RandomScenarioTest, FaultyClusterEndsRight) {
  for (uint64_t i = 0; i < kSeeds; ++i) {
    RunChaos(GetParam() * kSeeds + i, kFewFaults, 150);
    if (HasFailure()) return;
  }
}

TEST_P(RandomScenarioTest, VeryFaultyClusterEndsRight) {
  for (uint64_t i = 0; i < kSeeds; ++i) {
    RunChaos(GetParam() * kSeeds + i, kManyFaults, 150);
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomScenarioTest, testing::Range<uint64_t>(0, 8));

}  // namespace
}  // namespace muster
