// A random cluster of teams with queues: queues, flavors and namespaces change, pods of all kinds come, grow and end,
// nodes are lost and return, requests fail and the scheduler dies; what must hold at every write, and in the end.
#ifndef MUSTER_TEST_ENGINE_QUOTA_QUOTA_WORLD_H_
#define MUSTER_TEST_ENGINE_QUOTA_QUOTA_WORLD_H_

#include <algorithm>
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
#include "test/engine/quota/quota_model.h"
#include "test/support/sim_cluster.h"

namespace muster {

class QuotaWorld final : public SimApiServer::Observer {
 public:
  using Tally = std::map<std::string, int64_t>;  // how often each thing came about

  QuotaWorld(uint64_t seed, FaultRates faults, int threads, Tally& tally)
      : random_(seed),
        c_({seed, threads, faults, 0}),
        // How old what the scheduler decides by may be, where watches may be cut: they start again after up to 10 s.
        lag_(faults.cut > 0 ? absl::Seconds(40) : absl::Milliseconds(20)),
        faulty_(faults.refused > 0),
        tally_(tally) {
    c_.server.AddObserver(this);
    c_.log.AddObserver([this](const Decision& decision) {
      for (const Decision::Member& pod : decision.pods) {
        if (!pod.node.empty()) decided_[absl::StrCat(AsAbsl(pod.ns), "/", AsAbsl(pod.name))] = decision.at;
      }
    });
    SetFlavor(c_.server, "h", {{"model", "h"}});
    SetFlavor(c_.server, "o", {{"model", "o"}});
    for (int i = 0; i < kNamespaces; ++i) SetTeam(c_.server, Name("ns", i), Name("t", i));
    const uint64_t queues = 2 + Pick(7);
    for (uint64_t i = 0; i < queues; ++i) SetQueue();
    const uint64_t nodes = 2 + Pick(4);
    for (uint64_t i = 0; i < nodes; ++i) AddNode();
  }
  ~QuotaWorld() override { c_.server.RemoveObserver(this); }

  void Run() {
    const uint64_t steps = 20 + Pick(30);
    for (uint64_t i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      Step();
      const int64_t micros[] = {0, 4'000, 40'000, 3'000'000, 60'000'000};
      if (const int64_t most = micros[Pick(5)]; most != 0)
        c_.loop.RunFor(absl::Microseconds(static_cast<int64_t>(Pick(static_cast<uint64_t>(most)))));
    }
    c_.faulty.set_rates({});
    const size_t before = evictions_.size(), pods = c_.server.Pods().size();
    c_.loop.RunFor(absl::Minutes(12));
    EXPECT_TRUE(c_.Settle()) << "it never settles";
    EXPECT_LE(evictions_.size() - before, 3 * pods + 10) << "evictions do not end";
    CheckLedger();
    if (OneIn(3)) {
      c_.RestartScheduler();
      EXPECT_TRUE(c_.Settle());
      CheckLedger();
    }
    if (!testing::Test::HasFailure()) Drain();
    if (!testing::Test::HasFailure()) CheckEvictions();
    tally_["evictions"] += static_cast<int64_t>(evictions_.size());
    if (testing::Test::HasFailure()) Dump();
  }
  SimCluster& cluster() { return c_; }

  // --- Every write -----------------------------------------------------------------------------------

  void OnNode(const NodePtr&, const NodePtr&) override {}
  void OnPod(const PodPtr& before, const PodPtr& after) override {
    if (after == nullptr) return;
    if (before != nullptr && before->node.empty() && !after->node.empty()) {
      CheckBind(*after);
      Start(*after);
    }
    if (before != nullptr && !before->preempted && after->preempted) NoteEviction(*before);
  }

 private:
  using Source = GroupRef::Source;
  static constexpr int kNamespaces = 5;
  static constexpr char kGpu[] = "example.com/gpu";
  struct Gang {
    std::string ns, name;
    Source source = Source::kNative;
    int min = 1, pods = 1;
  };
  struct Eviction {
    Time at;
    std::string uid, key, queue;
    QuotaModel::Amounts charges;
    std::map<QuotaModel::Cell, std::vector<int64_t>> over;  // as OverOf, with all others that go gone
    std::vector<std::string> path;
    std::map<std::string, std::string> pending;  // the queues of pods, by uid
    QueuePreemption::Within within = QueuePreemption::Within::kNever;
    bool drained = false, sure = false;
    int life = 0;
  };

  uint64_t Pick(uint64_t bound) { return random_.Below(bound); }
  int64_t Upto(int64_t most) { return static_cast<int64_t>(Pick(static_cast<uint64_t>(most) + 1)); }
  bool OneIn(uint64_t n) { return Pick(n) == 0; }
  static std::string Name(const char* kind, uint64_t i) { return absl::StrCat(kind, i); }
  // What was sound before may be broken now by nobody's fault; it is known to the scheduler after `unseen`.
  void Disturb(Duration unseen = absl::ZeroDuration()) {
    disturbed_ = std::max(disturbed_, c_.loop.Now() + unseen);
  }
  bool SureSince(Time when) const { return disturbed_ + lag_ < when; }

  // Kubelets tell when a pod started.
  void Start(const Pod& pod) {
    c_.loop.After(absl::Milliseconds(500), [this, ns = pod.ns(), name = pod.name, uid = pod.uid] {
      const PodPtr now = c_.server.FindPod(ns, name);
      if (now == nullptr || now->uid != uid || now->ended || now->deleting) return;
      c_.server.UpdatePod(ns, name, [this](Pod& p) { p.started = c_.loop.Now(); }).IgnoreError();
    });
  }

  void CheckBind(const Pod& pod) {
    const NodePtr node = c_.server.FindNode(pod.node);
    const QuotaModel model(c_.server);
    if (node == nullptr || pod.spec->scheduler_name != Auditor::kOurs) return;
    const auto decided = decided_.find(pod.Key());
    ASSERT_TRUE(decided != decided_.end()) << pod.Key();
    if (!SureSince(decided->second)) {
      ++tally_["binds while all changes"];
      return;
    }
    ++tally_["binds checked"];
    const std::string queue = model.OwnerOf(pod);
    EXPECT_NE(queue, "") << pod.Key() << " is no queue's";
    if (queue.empty()) return;
    bool out = false;
    for (const auto& [cell, amount] : model.ChargesOn(pod, queue, *node, &out)) {
      const std::string broken = amount > 0 ? model.Broken(queue, cell, amount) : "";
      EXPECT_EQ(broken, "") << pod.Key() << " on " << pod.node << " at " << c_.loop.Now();
      tally_["borrow"] += model.Own(queue, cell) > model.Nominal(queue, cell);
    }
    EXPECT_FALSE(out) << pod.Key() << " is on " << pod.node << ", of no flavor of its queue " << queue;
    for (const std::string& up : model.Path(queue))
      EXPECT_EQ(model.queue(up).stop_policy, Queue::StopPolicy::kNone) << pod.Key() << " starts in " << up;
  }

  // --- Evictions -------------------------------------------------------------------------------------

  void NoteEviction(const Pod& pod) {
    const QuotaModel all(c_.server);
    Eviction e{c_.loop.Now(), pod.uid, pod.Key(), all.OwnerOf(pod), {}, {}, {}, {}, {}, false, false, life_};
    e.sure = SureSince(e.at) && !faulty_;
    for (const PodPtr& other : c_.server.Pods()) {
      if (other->node.empty()) e.pending[other->uid] = all.OwnerOf(*other);
    }
    const NodePtr node = c_.server.FindNode(pod.node);
    if (!e.queue.empty() && node != nullptr) {
      const QuotaModel left(c_.server, [&](const Pod& p) { return p.uid == pod.uid || (!p.preempted && !p.deleting); });
      const Queue& queue = all.queue(e.queue);
      e.path = all.Path(e.queue);
      for (const std::string& up : e.path) e.drained |= all.queue(up).stop_policy == Queue::StopPolicy::kHoldAndDrain;
      e.within = queue.preemption.within_queue;
      e.charges = all.ChargesOn(pod, e.queue, *node);
      for (const auto& [cell, amount] : e.charges) e.over[cell] = left.OverOf(e.queue, cell);
      if (e.sure && !e.drained && queue.preemption.min_runtime > absl::ZeroDuration()) {
        EXPECT_LE(pod.started + queue.preemption.min_runtime, e.at) << pod.Key() << " of " << e.queue << " goes early";
      }
    }
    evictions_.push_back(std::move(e));
  }

  // For whom each went is told by events.
  void CheckEvictions() {
    std::map<std::string, const ApiEvent*> told;  // by uid
    for (const auto& [key, event] : c_.server.events()) {
      if (event.reason == "Preempted") told[event.regarding_uid] = &event;
    }
    std::map<std::pair<std::string, int>, std::vector<Time>> by_others;
    for (const Eviction& e : evictions_) {
      const auto event = told.find(e.uid);
      if (!e.sure || event == told.end() || e.queue.empty()) continue;
      const auto by = e.pending.find(event->second->related_uid);
      if (by == e.pending.end()) continue;
      ++tally_["evictions checked"];
      SCOPED_TRACE(absl::StrCat(e.key, " of queue ", e.queue, " went for ", event->second->related_name, " of queue ",
                                by->second, " at ", absl::FormatTime(e.at)));
      if (by->second == e.queue) {
        EXPECT_NE(e.within, QueuePreemption::Within::kNever);
        continue;
      }
      ++tally_["evictions by other queues"];
      by_others[{e.queue, e.life}].push_back(e.at);
      // The tree is looked at as it is in the end.
      const bool moved = changed_.contains(e.queue) || changed_.contains(by->second) ||
                         std::any_of(e.path.begin(), e.path.end(), [&](const auto& q) { return changed_.contains(q); });
      if (moved) continue;
      ++tally_["evictions by other queues judged"];
      EXPECT_TRUE(BorrowedFrom(e, by->second)) << "it was within what is its own";
    }
    for (const auto& [of, times] : by_others) {
      const auto* queue = static_cast<const Queue*>(c_.server.FindObject(Kind::kQueue, "", of.first).get());
      if (queue == nullptr || changed_.contains(of.first) || !queue->preemption.evictions_per_hour) continue;
      ++tally_["eviction budgets"];
      for (size_t i = 0; i < times.size(); ++i) {
        const auto most = static_cast<size_t>(*queue->preemption.evictions_per_hour);
        if (i >= most) {
          EXPECT_GE(times[i] - times[i - most], absl::Hours(1) - absl::Seconds(1)) << of.first;
        }
      }
    }
  }
  // Whether, as seen from the other queue, the pod's used more than was theirs.
  bool BorrowedFrom(const Eviction& e, const std::string& by) const {
    const QuotaModel model(c_.server);
    if (!model.queues().contains(by)) return true;
    size_t levels = 1;  // own pods, and those below the first queue that is above the other too
    while (levels <= e.path.size() && !model.IsBelow(by, e.path[levels - 1])) ++levels;
    return std::any_of(e.over.begin(), e.over.end(), [&](const auto& over) {
      const auto end = over.second.begin() + static_cast<ptrdiff_t>(std::min(levels, over.second.size()));
      return std::all_of(over.second.begin(), end, [](int64_t more) { return more > 0; });
    });
  }

  // --- Steps -----------------------------------------------------------------------------------------

  void Step() {
    const uint64_t dice = Pick(100);
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
    ++tally_["resized"];
    Disturb();
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
      return Disturb();
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

  // --- The end ---------------------------------------------------------------------------------------

  // What is charged is what is bound.
  void CheckLedger() {
    const QuotaModel model(c_.server);
    const QueueCatalog& catalog = c_.scheduler->ledger().catalog();
    const QuotaTree& tree = c_.scheduler->ledger().tree();
    const std::vector<PodPtr> pods = c_.server.Pods();
    const bool kept =
        std::any_of(pods.begin(), pods.end(), [](const PodPtr& pod) { return !pod->nominated_node.empty(); });
    ASSERT_EQ(catalog.size(), model.queues().size());
    EXPECT_EQ(c_.scheduler->cache().assumed_count(), 0u);
    for (QueueIndex q = 0; q < catalog.size(); ++q) {
      const std::string& name = catalog.queue(q).name;
      ASSERT_TRUE(model.queues().contains(name)) << name;
      for (QuotaCell c = 0; c < catalog.cells().size(); ++c) {
        const auto& [resource, flavor] = catalog.cells()[c];
        const QuotaModel::Cell cell(resource, flavor);
        ++tally_[kept ? "usage with room kept" : "usage compared"];
        if (kept) {
          EXPECT_GE(tree.Own(q, c), model.Own(name, cell)) << name << " " << resource << " " << flavor;
        } else {
          EXPECT_EQ(tree.Own(q, c), model.Own(name, cell)) << name << " " << resource << " " << flavor;
          if (tree.Counts(q, c)) {
            EXPECT_EQ(tree.Usage(q, c), model.Usage(name, cell)) << name << " " << resource << " " << flavor;
          }
        }
      }
    }
  }

  // What runs ends, again and again, until who is left has reason to wait.
  void Drain() {
    for (int idle = 0; idle < 2;) {
      c_.loop.RunFor(absl::Seconds(20));
      ASSERT_TRUE(c_.Idle() || c_.Settle());
      bool ran = false;
      for (const PodPtr& pod : c_.server.Pods()) {
        if (pod->node.empty() || pod->ended) continue;
        ran = true;
        if (!pod->deleting) c_.server.EndPod(pod->ns(), pod->name).IgnoreError();
      }
      idle = ran ? 0 : idle + 1;
      ASSERT_TRUE(ran || c_.Settle());
    }
    const QuotaModel model(c_.server);
    std::map<std::string, std::vector<PodPtr>> waiting;
    for (const PodPtr& pod : c_.server.Pods()) {
      if (!pod->ended && pod->node.empty() && pod->spec->scheduler_name == Auditor::kOurs)
        waiting[pod->group.present() ? GroupKeyOf(*pod) : pod->uid].push_back(pod);
    }
    std::set<std::string> blocked;  // queues in which somebody can never run
    for (const auto& [key, pods] : waiting) {
      if (WhyNotTried(model, pods).empty() && !CouldRun(model, pods)) blocked.insert(model.OwnerOf(*pods[0]));
    }
    for (const auto& [key, pods] : waiting) {
      const std::string why = WhyNotTried(model, pods);
      EXPECT_EQ(pods[0]->scheduled.status, "False") << pods[0]->Key() << " was told nothing";
      if (!why.empty() || !CouldRun(model, pods)) {
        ++tally_[why.empty() ? "left: it never fits" : "left: " + why];
        continue;
      }
      const std::string queue = model.OwnerOf(*pods[0]);
      if (model.queue(queue).order != Queue::Order::kBestEffortFIFO && blocked.contains(queue)) {
        ++tally_["left: behind one that never fits"];
        continue;
      }
      ADD_FAILURE() << pods[0]->Key() << " of queue " << queue << " is left: " << pods[0]->scheduled.message;
    }
  }
  std::string WhyNotTried(const QuotaModel& model, const std::vector<PodPtr>& pods) const {
    const std::string queue = model.OwnerOf(*pods[0]);
    if (queue.empty()) return "no queue";
    for (const std::string& up : model.Path(queue)) {
      if (model.queue(up).stop_policy != Queue::StopPolicy::kNone) return "on hold";
    }
    const Gang* gang = GangOf(*pods[0]);
    return gang != nullptr && static_cast<int>(pods.size()) < gang->min ? "pods are missing" : "";
  }
  const Gang* GangOf(const Pod& pod) const {
    const auto it =
        std::find_if(gangs_.begin(), gangs_.end(), [&](const Gang& gang) { return gang.name == pod.group.name; });
    return it == gangs_.end() ? nullptr : &*it;
  }
  // Whether the group fits, on nodes that its queue charges alike, with nobody else there. Its pods are alike.
  bool CouldRun(const QuotaModel& model, const std::vector<PodPtr>& pods) const {
    const Pod& pod = *pods[0];
    const std::string queue = model.OwnerOf(pod);
    const Gang* gang = GangOf(pod);
    const int64_t need = gang == nullptr ? 1 : gang->min;
    std::map<QuotaModel::Amounts, int64_t> slots;
    for (const auto& [name, node] : c_.server.nodes()) {
      bool out = false;
      const QuotaModel::Amounts charges = model.ChargesOn(pod, queue, *node, &out);
      const auto& selector = pod.spec->node_selector;
      const bool selected = std::all_of(selector.begin(), selector.end(), [&, &labels = node->labels](const auto& s) {
        const auto it = labels.find(s.first);
        return it != labels.end() && it->second == s.second;
      });
      if (out || !selected) continue;
      int64_t fit = 110;
      for (const Amount& asked : pod.spec->amounts.requests)
        fit = std::min(fit, std::max<int64_t>(0, Free(*node, asked.resource)) / asked.value);
      slots[charges] += fit;
    }
    return std::any_of(slots.begin(), slots.end(), [&](const auto& of) {
      return of.second >= need && std::all_of(of.first.begin(), of.first.end(), [&](const auto& charge) {
               return charge.second * need <= model.Potential(queue, charge.first);
             });
    });
  }

  void Dump() const {
    const QuotaModel model(c_.server);
    std::cerr << "at " << c_.loop.Now() << ", disturbed " << disturbed_ << "\n";
    for (const auto& [name, node] : c_.server.nodes()) {
      const auto label = node->labels.find("model");
      std::cerr << "node " << name << " model " << (label == node->labels.end() ? "-" : label->second) << " free cpu "
                << Free(*node, "cpu") << " gpu " << Free(*node, kGpu) << "\n";
    }
    for (const auto& [key, object] : c_.server.objects().All(Kind::kQueue)) {
      const auto& q = static_cast<const Queue&>(*object);
      std::cerr << "queue " << q.name << " parent " << q.parent << " order " << static_cast<int>(q.order) << " weight "
                << q.weight << " stop " << static_cast<int>(q.stop_policy) << " within "
                << static_cast<int>(q.preemption.within_queue) << " reclaim " << static_cast<int>(q.preemption.reclaim)
                << " borrowing " << static_cast<int>(q.preemption.borrowing) << " run " << q.preemption.min_runtime
                << " evictions " << q.preemption.evictions_per_hour.value_or(-1) << " half-life "
                << q.usage_half_life.value_or(absl::ZeroDuration()) << (q.burst ? " burst" : "")
                << (q.budget ? q.budget->beyond == QueueBudget::Beyond::kHold ? " budget(hold)" : " budget" : "")
                << (model.queues().contains(q.name) ? "" : " UNSOUND") << " teams";
      for (const Requirement& r : q.namespace_selector.requirements) {
        for (const std::string& team : r.values) std::cerr << " " << team;
      }
      std::cerr << "\n";
      for (const QueueResource& r : q.resources) {
        std::cerr << "  " << r.name << " " << r.flavor << " " << r.nominal_quota << " borrows "
                  << r.borrowing_limit.value_or(-1) << " lends " << r.lending_limit.value_or(-1);
        if (model.queues().contains(q.name))
          std::cerr << " own " << model.Own(q.name, {r.name, r.flavor}) << " usage "
                    << model.Usage(q.name, {r.name, r.flavor}) << " of " << model.Subtree(q.name, {r.name, r.flavor})
                    << " available " << model.Available(q.name, {r.name, r.flavor}) << " potential "
                    << model.Potential(q.name, {r.name, r.flavor});
        std::cerr << "\n";
      }
    }
    for (const PodPtr& pod : c_.server.Pods()) {
      if (pod->ended) continue;
      std::cerr << pod->Key() << "@" << pod->node << " " << pod->group.name << " queue " << model.OwnerOf(*pod)
                << " priority " << pod->spec->priority << " nominated " << pod->nominated_node << " preempted "
                << pod->preempted << " deleting " << pod->deleting;
      for (const Amount& amount : pod->spec->amounts.usage) std::cerr << " " << amount.resource << "=" << amount.value;
      std::cerr << " " << pod->scheduled.reason << ": " << pod->scheduled.message << "\n";
    }
    for (const QueuedGroup* group : c_.scheduler->queue().Groups())
      std::cerr << group->key << group->first().pod->name << " part " << static_cast<int>(group->part) << " pods "
                << group->members.size() << " needs " << group->needed << "\n";
  }

  Random random_;
  SimCluster c_;
  const Duration lag_;
  const bool faulty_;
  Tally& tally_;
  std::map<std::string, Time> decided_;  // by key
  std::vector<Eviction> evictions_;
  std::vector<Gang> gangs_;
  std::vector<Node> lost_;
  std::set<std::string> changed_;  // queues
  Time disturbed_ = absl::InfinitePast();
  uint64_t queues_ = 0, nodes_ = 0, pods_ = 0;
  int life_ = 0;
};

}  // namespace muster

#endif  // MUSTER_TEST_ENGINE_QUOTA_QUOTA_WORLD_H_
