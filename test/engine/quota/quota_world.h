// What must hold in a random cluster of teams with queues (QuotaSteps) at every write, and in the end.
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
#include "test/engine/quota/quota_model.h"
#include "test/engine/quota/quota_steps.h"
#include "test/support/sim_cluster.h"

namespace muster {

class QuotaWorld final : public QuotaSteps, public SimApiServer::Observer {
 public:
  QuotaWorld(uint64_t seed, FaultRates faults, int threads, Tally& tally)
      : QuotaSteps(seed, faults, threads, tally), faulty_(faults.refused > 0) {
    c_.server.AddObserver(this);
    c_.log.AddObserver([this](const Decision& decision) {
      for (const Decision::Member& pod : decision.pods) {
        Trace("decided ", AsAbsl(pod.ns), "/", AsAbsl(pod.name.substr(0, 12)), " ", AsAbsl(pod.node), " ",
              AsAbsl(decision.message));
        if (!pod.node.empty()) decided_[absl::StrCat(AsAbsl(pod.ns), "/", AsAbsl(pod.name))] = decision.at;
      }
    });
    Begin();
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
    ExcuseWhoMayNotStart();
    EXPECT_TRUE(c_.Settle()) << "it never settles";
    EXPECT_LE(evictions_.size() - before, 3 * pods + 10) << "evictions do not end";
    CheckLedger();
    if (OneIn(3)) {
      c_.RestartScheduler();
      ++life_;
      EXPECT_TRUE(c_.Settle());
      CheckLedger();
    }
    if (!testing::Test::HasFailure()) Drain();
    if (!testing::Test::HasFailure()) CheckEvictions();
    tally_["evictions"] += static_cast<int64_t>(evictions_.size());
    if (testing::Test::HasFailure()) Dump();
  }

  // --- Every write -----------------------------------------------------------------------------------

  void OnNode(const NodePtr& before, const NodePtr& after) override {
    const Node& node = after == nullptr ? *before : *after;
    const auto model = node.labels.find("model");
    Trace(before == nullptr  ? "add "
          : after == nullptr ? "remove "
                             : "change ",
          node.name, " of ", model == node.labels.end() ? "no" : model->second, " model");
  }
  void OnPod(const PodPtr& before, const PodPtr& after) override {
    if (after == nullptr) return;
    if (before != nullptr && before->node.empty() && !after->node.empty()) {
      Trace("bind ", Short(*after), " to ", after->node);
      CheckBind(*after);
      Start(*after);
    }
    if (before != nullptr && !before->preempted && after->preempted) {
      Trace("evict ", Short(*after), " from ", after->node);
      NoteEviction(*before);
    }
    if (before != nullptr && before->scheduled.message != after->scheduled.message && !after->scheduled.message.empty())
      Trace("told ", Short(*after), ": ", after->scheduled.message.substr(0, 240));
  }

 private:
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
      // Those for whom others went already count where they will be.
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

  // --- The end ---------------------------------------------------------------------------------------

  // What is charged is what is bound.
  void CheckLedger() {
    const QuotaModel model(c_.server);
    const QueueCatalog& catalog = c_.scheduler->ledger().catalog();
    const QuotaTree& tree = c_.scheduler->ledger().tree();
    const std::vector<PodPtr> pods = c_.server.Pods();
    const bool kept =
        std::any_of(pods.begin(), pods.end(), [](const PodPtr& pod) { return !pod->nominated_node.empty(); });
    const bool going = std::any_of(pods.begin(), pods.end(), [](const PodPtr& pod) { return pod->deleting; });
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
          for (const auto view : {Ledger::View::kWithoutPromises, Ledger::View::kWithoutGoing}) {
            if (going) continue;
            EXPECT_EQ(c_.scheduler->ledger().tree(view).Own(q, c), tree.Own(q, c)) << name;
          }
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
  // A gang of which a dying scheduler bound some, or of which a bind failed, may by now be of no queue, or of one with
  // less quota: it stays in part.
  void ExcuseWhoMayNotStart() {
    const QuotaModel model(c_.server);
    for (const PodPtr& pod : c_.server.Pods()) {
      if (!pod->group.present() || !pod->node.empty()) continue;
      const bool lacks_room = pod->scheduled.message.find("has no room") != std::string::npos;
      if (!WhyHeldBack(model, *pod).empty() || (lacks_room && (faulty_ || life_ > 0)))
        c_.auditor.Excuse(GroupKeyOf(*pod));
    }
  }
  std::string WhyHeldBack(const QuotaModel& model, const Pod& pod) const {
    const std::string queue = model.OwnerOf(pod);
    if (queue.empty()) return "no queue";
    for (const std::string& up : model.Path(queue)) {
      if (model.queue(up).stop_policy != Queue::StopPolicy::kNone) return "on hold";
    }
    return "";
  }
  std::string WhyNotTried(const QuotaModel& model, const std::vector<PodPtr>& pods) const {
    if (const std::string why = WhyHeldBack(model, *pods[0]); !why.empty()) return why;
    const Gang* gang = GangOf(*pods[0]);
    return gang != nullptr && static_cast<int>(pods.size()) < gang->min ? "pods are missing" : "";
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

  // Who is created again and again has a name of thousands of characters.
  static std::string Short(const Pod& pod) {
    const std::string key = pod.Key();
    return key.size() < 24 ? key : absl::StrCat(key.substr(0, 10), "..", key.substr(key.size() - 8));
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

  const bool faulty_;
  std::map<std::string, Time> decided_;  // by key
  std::vector<Eviction> evictions_;
};

}  // namespace muster

#endif  // MUSTER_TEST_ENGINE_QUOTA_QUOTA_WORLD_H_
