// A random cluster of teams with queues, and what may happen to it in a step: queues, flavors and namespaces change,
// pods of all kinds come, grow and end, nodes are lost and return, watches are cut and the scheduler dies.
#ifndef MUSTER_TEST_ENGINE_QUOTA_QUOTA_STEPS_H_
#define MUSTER_TEST_ENGINE_QUOTA_QUOTA_STEPS_H_

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "scheduler/model/pod_group.h"
#include "scheduler/runtime/random.h"
#include "test/engine/quota/make_queue.h"
#include "test/support/sim_cluster.h"

namespace muster {

class QuotaSteps {
 public:
  using Tally = std::map<std::string, int64_t>;  // how often each thing came about

  SimCluster& cluster() { return c_; }

 protected:
  using Source = GroupRef::Source;
  static constexpr int kNamespaces = 5;
  static constexpr char kGpu[] = "example.com/gpu";
  struct Gang {
    std::string ns, name;
    Source source = Source::kNative;
    int min = 1, pods = 1;
  };

  QuotaSteps(uint64_t seed, FaultRates faults, int threads, Tally& tally)
      : random_(seed),
        c_({seed, threads, faults, 0}),
        // How old what the scheduler decides by may be, where watches may be cut: they start again after up to 10 s.
        lag_(faults.cut > 0 ? absl::Seconds(40) : absl::Milliseconds(20)),
        tally_(tally) {}
  // Before the first step.
  void Begin() {
    SetFlavor(c_.server, "h", {{"model", "h"}});
    SetFlavor(c_.server, "o", {{"model", "o"}});
    for (int i = 0; i < kNamespaces; ++i) SetTeam(c_.server, Name("ns", i), Name("t", i));
    const uint64_t queues = 2 + Pick(7);
    for (uint64_t i = 0; i < queues; ++i) SetQueue();
    const uint64_t nodes = 2 + Pick(4);
    for (uint64_t i = 0; i < nodes; ++i) AddNode();
  }

  uint64_t Pick(uint64_t bound) { return random_.Below(bound); }
  int64_t Upto(int64_t most) { return static_cast<int64_t>(Pick(static_cast<uint64_t>(most) + 1)); }
  bool OneIn(uint64_t n) { return Pick(n) == 0; }
  static std::string Name(const char* kind, uint64_t i) { return absl::StrCat(kind, i); }
  // MUSTER_TRACE=1 prints what comes about.
  template <typename... Parts>
  void Trace(const Parts&... parts) const {
    if (tracing_)
      std::cerr << absl::StrCat(absl::FormatTime("%H:%M:%E6S ", c_.loop.Now(), absl::UTCTimeZone()), parts...) << "\n";
  }
  // What was sound before may be broken now by nobody's fault; it is known to the scheduler after `unseen`.
  void Disturb(Duration unseen = absl::ZeroDuration()) { disturbed_ = std::max(disturbed_, c_.loop.Now() + unseen); }
  void Step() {
    const uint64_t dice = Pick(100);
    Trace("step ", dice);
    if (dice < 30) return AddLones();
    if (dice < 44) return AddGang();
    if (dice < 49) return DeletePod();
    if (dice < 55) return EndPods();
    if (dice < 57) return AddNode();
    if (dice < 60) return LoseNode();
    if (dice < 63) return ReturnNode();
    if (dice < 65) return MoveFlavor();
    if (dice < 72) return SetQueue();
    if (dice < 74) return DeleteQueue();
    if (dice < 76) return SetTeamOf();
    if (dice < 79) return Resize();
    if (dice < 81) return AddForeign();
    if (dice < 86) return Die();
    if (dice < 88) {
      const Kind kinds[] = {Kind::kPod, Kind::kQueue, Kind::kNamespace};
      c_.server.CutWatches(kinds[Pick(3)], {ApiCode::kUnreachable, "", {}});
      return Disturb(absl::Seconds(40));
    }
    c_.loop.RunFor(absl::Seconds(Upto(40)));
  }

  void AddNode() {
    MakeNode node(Name("n", ++nodes_));
    node.Cpu(2000 * (1 + Upto(4)));
    if (!OneIn(4)) node.Room(kGpu, 2 * Upto(3));
    if (!OneIn(4)) node.Label("model", OneIn(2) ? "h" : "o");
    c_.Create(node);
  }
  void LoseNode() {
    if (c_.server.nodes().empty()) return;
    auto it = c_.server.nodes().begin();
    std::advance(it, static_cast<int64_t>(Pick(c_.server.nodes().size())));
    lost_.push_back(*it->second);
    ASSERT_TRUE(c_.server.DeleteNode(lost_.back().name).ok());
    c_.auditor.ExcuseAllInPart();
    Disturb();
  }
  void ReturnNode() {
    if (lost_.empty()) return;
    ASSERT_TRUE(c_.server.CreateNode(lost_.back()).ok());
    lost_.pop_back();
    Disturb();
  }
  void MoveFlavor() {
    if (OneIn(3)) {
      SetFlavor(c_.server, OneIn(2) ? "h" : "o", {{"model", OneIn(2) ? "h" : "o"}});
    } else if (!c_.server.nodes().empty()) {
      auto it = c_.server.nodes().begin();
      std::advance(it, static_cast<int64_t>(Pick(c_.server.nodes().size())));
      const std::string model = OneIn(2) ? "h" : "o";
      ASSERT_TRUE(c_.server.UpdateNode(it->first, [&](Node& node) { node.labels["model"] = model; }).ok());
    }
    ++tally_["moved flavors"];
    Disturb();
  }
  void SetTeamOf() {
    SetTeam(c_.server, Name("ns", Pick(kNamespaces)), Name("t", Pick(kNamespaces + 1)));
    Disturb();
  }

  // --- Queues ----------------------------------------------------------------------------------------

  // A new one, or another in the place of one.
  void SetQueue() {
    const bool changes = queues_ > 0 && OneIn(2);
    const uint64_t number = changes ? Pick(queues_) : queues_++;
    if (queues_ > 12) return;
    Queue queue;
    queue.name = Name("q", number);
    changed_.insert(queue.name);
    if (!changes) changed_.erase(queue.name);
    if (!OneIn(4) && number > 0) queue.parent = Name("q", Pick(number));
    if (OneIn(25)) queue.parent = OneIn(2) ? "nowhere" : Name("q", Pick(queues_));  // perhaps below itself
    queue.namespace_selector.present = !OneIn(6);
    Requirement teams{"team", Operator::kIn, {}, ""};
    for (int t = 0; t < kNamespaces; ++t) {
      if (OneIn(2)) teams.values.push_back(Name("t", t));
    }
    if (!OneIn(10)) queue.namespace_selector.requirements.push_back(teams);
    const int32_t weights[] = {0, 1, 1, 1, 2, 3, 5};
    queue.weight = weights[Pick(7)];
    const Queue::Order orders[] = {Queue::Order::kStrictFIFO, Queue::Order::kBestEffortFIFO, Queue::Order::kBackfill};
    queue.order = orders[OneIn(2) ? 1 : Pick(3)];
    AddResources(queue);
    AddPolicies(queue);
    c_.server.SetObject(Kind::kQueue, queue);
    Disturb();
  }
  void AddResources(Queue& queue) {
    const auto add = [&](const char* name, const char* flavor, int64_t unit, int64_t most) {
      QueueResource r{name, flavor, unit * Upto(most), {}, {}};
      if (OneIn(4)) r.borrowing_limit = unit * Upto(most);
      if (OneIn(4)) r.lending_limit = OneIn(15) ? r.nominal_quota + unit : Upto(r.nominal_quota / unit) * unit;
      queue.resources.push_back(std::move(r));
    };
    if (!OneIn(4)) add("cpu", "", 500, 20);
    if (OneIn(2)) add(kGpu, "h", 1, 6);
    if (OneIn(2)) add(kGpu, "o", 1, 6);
    if (OneIn(8)) add(kGpu, "", 1, 6);
    if (OneIn(8)) add("pods", "", 1, 9);
    if (OneIn(12)) add("cpu", "h", 500, 12);
  }
  void AddPolicies(Queue& queue) {
    using Within = QueuePreemption::Within;
    using Reclaim = QueuePreemption::Reclaim;
    const Within within[] = {Within::kNever, Within::kLowerPriority, Within::kLowerOrNewerEqualPriority};
    const Reclaim reclaim[] = {Reclaim::kNever, Reclaim::kLowerPriority, Reclaim::kAny, Reclaim::kAny};
    queue.preemption.within_queue = within[Pick(3)];
    queue.preemption.reclaim = reclaim[Pick(4)];
    if (OneIn(3)) queue.preemption.borrowing = QueuePreemption::Borrowing::kLowerPriority;
    if (OneIn(4)) queue.preemption.min_runtime = absl::Seconds(Upto(120));
    if (OneIn(4)) queue.preemption.evictions_per_hour = Upto(4);
    if (OneIn(4)) queue.usage_half_life = absl::Seconds(1 + Upto(600));
    if (OneIn(6))
      queue.burst = QueueBurst{absl::Seconds(60 + Upto(60)), {{"cpu", 1000 * (1 + Upto(3))}}, absl::Seconds(60)};
    if (OneIn(6)) {
      const auto beyond = OneIn(2) ? QueueBudget::Beyond::kHold : QueueBudget::Beyond::kNoBorrowing;
      queue.budget = QueueBudget{"cpu", 1000 * (50 + Upto(500)), absl::Minutes(2 + Upto(10)), beyond};
    }
    if (OneIn(12)) queue.stop_policy = OneIn(2) ? Queue::StopPolicy::kHold : Queue::StopPolicy::kHoldAndDrain;
  }
  // The first stays: without any there would be no quota.
  void DeleteQueue() {
    if (queues_ < 2) return;
    const std::string name = Name("q", 1 + Pick(queues_ - 1));
    changed_.insert(name);
    c_.server.RemoveObject(Kind::kQueue, "", name).IgnoreError();
    Disturb();
  }

  // --- Pods ------------------------------------------------------------------------------------------

  // Mostly one that the namespace may choose.
  std::string QueueFor(const std::string& ns) {
    std::vector<std::string> names;
    const Labels& labels = static_cast<const Namespace&>(*c_.server.FindObject(Kind::kNamespace, "", ns)).labels;
    for (const auto& [key, object] : c_.server.objects().All(Kind::kQueue)) {
      if (static_cast<const Queue&>(*object).namespace_selector.Matches(labels)) names.push_back(key.second);
    }
    return names.empty() || OneIn(8) ? Name("q", Pick(queues_)) : names[Pick(names.size())];
  }
  MakePod RandomPod(const std::string& name, const std::string& ns, int32_t priority) {
    MakePod pod(name, ns);
    pod.Cpu(500 * (1 + Upto(3))).Priority(priority);
    if (OneIn(3)) pod.Request(kGpu, 1 + Upto(1));
    if (OneIn(8)) pod.NodeSelector("model", OneIn(2) ? "h" : "o");
    if (OneIn(4)) pod.Label("muster.dev/queue", QueueFor(ns));
    return pod;
  }
  // Its copies run, and say how long, alike.
  struct Life {
    Duration runs = absl::InfiniteDuration(), says = absl::InfiniteDuration();
    bool replaced = false;
  };
  Life RandomLife() {
    Life life;
    if (OneIn(3)) life.runs = absl::Seconds(3 + Upto(OneIn(2) ? 30 : 400));
    if (OneIn(2) && life.runs < absl::InfiniteDuration()) life.says = life.runs + absl::Seconds(Upto(60));
    life.replaced = OneIn(2);
    return life;
  }
  void Create(Pod pod, const Life& life) {
    c_.kubelet.RunsFor(pod.ns(), pod.name, life.runs);
    if (life.says < absl::InfiniteDuration()) pod.max_runtime = life.says;
    if (life.replaced) c_.kubelet.Replaces(pod.ns(), pod.name);
    EXPECT_TRUE(c_.server.CreatePod(pod).ok());
  }
  void AddLones() {
    const std::string ns = Name("ns", Pick(kNamespaces));
    const uint64_t count = 1 + Pick(5);
    const auto priority = static_cast<int32_t>(Pick(3));
    const Life life = RandomLife();
    const MakePod like = RandomPod("", ns, priority);
    for (uint64_t i = 0; i < count; ++i) {
      Pod pod = like.Build();
      pod.name = Name("p", ++pods_);
      Create(std::move(pod), life);
    }
  }
  void AddGang() {
    const Source sources[] = {Source::kNative, Source::kCoscheduling, Source::kLabels};
    Gang gang{Name("ns", Pick(kNamespaces)), Name("g", gangs_.size()), sources[Pick(3)], 1, 1};
    gang.pods = static_cast<int>(1 + Pick(5));
    gang.min = OneIn(2) ? gang.pods : static_cast<int>(1 + Pick(static_cast<uint64_t>(gang.pods)));
    gangs_.push_back(gang);
    const auto priority = static_cast<int32_t>(Pick(3));
    if (gang.source != Source::kLabels) {
      c_.CreateGroup(gang.name, gang.min, [&](PodGroup& object) {
        object.ns = gang.ns;
        if (gang.source == Source::kCoscheduling) object.api_version = "scheduling.x-k8s.io/v1alpha1";
        object.priority = priority;
      });
    }
    const Life life = RandomLife();
    MakePod like = RandomPod("", gang.ns, priority);
    like.Group(gang.name, gang.source, gang.source == Source::kLabels ? gang.min : 0);
    for (int i = 0; i < gang.pods; ++i) {
      Pod pod = like.Build();
      pod.name = absl::StrCat(gang.name, "-", i);
      Create(std::move(pod), life);
    }
  }
  PodPtr RandomPodThere() {
    const std::vector<PodPtr> pods = c_.server.Pods();
    return pods.empty() ? nullptr : pods[Pick(pods.size())];
  }
  PodPtr RandomBound() {
    std::vector<PodPtr> pods = c_.server.Pods();
    std::erase_if(pods, [](const PodPtr& pod) { return pod->node.empty() || pod->ended || pod->deleting; });
    return pods.empty() ? nullptr : pods[Pick(pods.size())];
  }
  void DeletePod() {
    if (const PodPtr pod = RandomPodThere()) c_.server.DeletePodNow(pod->ns(), pod->name, pod->uid);
  }
  void EndPods() {
    const uint64_t of = 1 + Pick(4);
    for (const PodPtr& pod : c_.server.Pods()) {
      if (!pod->node.empty() && !pod->ended && !pod->deleting && OneIn(of))
        c_.server.EndPod(pod->ns(), pod->name).IgnoreError();
    }
  }
  int64_t Free(const Node& node, const std::string& resource) const {
    for (const Amount& amount : node.allocatable) {
      if (amount.resource == resource) return amount.value - c_.auditor.Used(node.name, resource);
    }
    return 0;
  }
  // What was taken beside the scheduler it knows of before anything else happens.
  void Seen() { c_.loop.RunFor(lag_); }
  // In place, where there is room on the node and nothing else is about to take it.
  void Resize() {
    c_.loop.RunFor(absl::Seconds(2));
    const PodPtr pod = RandomBound();
    if (pod == nullptr || !c_.Idle()) return;
    const NodePtr node = c_.server.FindNode(pod->node);
    if (node == nullptr) return;
    const int64_t more = std::min<int64_t>(500 * (Upto(4) - 2), Free(*node, "cpu"));
    const int64_t now = pod->spec->amounts.requests[0].value;
    ASSERT_EQ(pod->spec->amounts.requests[0].resource, "cpu");
    if (now + more <= 0) return;
    ASSERT_TRUE(c_.server
                    .UpdatePod(pod->ns(), pod->name,
                               [&](Pod& p) {
                                 PodSpec spec = *p.spec;
                                 for (auto* amounts : {&spec.amounts.requests, &spec.amounts.usage})
                                   SetAmount(*amounts, "cpu", now + more);
                                 p.spec = std::make_shared<const PodSpec>(std::move(spec));
                               })
                    .ok());
    Trace("resize ", pod->Key(), " on ", pod->node, " from ", now, " by ", more);
    ++tally_["resized"];
    Disturb();
    Seen();
  }
  // Another scheduler's.
  void AddForeign() {
    c_.loop.RunFor(absl::Seconds(2));
    if (!c_.Idle()) return;
    for (const auto& [name, node] : c_.server.nodes()) {
      if (Free(*node, "cpu") < 500) continue;
      MakePod pod(Name("f", ++pods_), Name("ns", Pick(kNamespaces)));
      c_.Create(pod.Cpu(500).Scheduler("another").Node(name));
      ++tally_["others' pods"];
      Disturb();
      return Seen();
    }
  }
  // Now, or at one of its next writes.
  void Die() {
    ++tally_["deaths"];
    if (OneIn(2)) {
      c_.ports.back()->CrashAfter(static_cast<int>(Pick(8)));
      c_.loop.RunFor(absl::Milliseconds(Upto(3000)));
    }
    c_.RestartScheduler();
    ++life_;
  }
  const Gang* GangOf(const Pod& pod) const {
    const auto it =
        std::find_if(gangs_.begin(), gangs_.end(), [&](const Gang& gang) { return gang.name == pod.group.name; });
    return it == gangs_.end() ? nullptr : &*it;
  }

  Random random_;
  SimCluster c_;
  const Duration lag_;
  Tally& tally_;
  const bool tracing_ = std::getenv("MUSTER_TRACE") != nullptr;
  std::vector<Gang> gangs_;
  std::vector<Node> lost_;
  std::set<std::string> changed_;  // queues
  Time disturbed_ = absl::InfinitePast();
  uint64_t queues_ = 0, nodes_ = 0, pods_ = 0;
  int life_ = 0;
};

}  // namespace muster

#endif  // MUSTER_TEST_ENGINE_QUOTA_QUOTA_STEPS_H_
