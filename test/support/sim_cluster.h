// The real scheduler with all plugins on a simulated cluster, and an auditor that never sleeps.
#ifndef MUSTER_TEST_SUPPORT_SIM_CLUSTER_H_
#define MUSTER_TEST_SUPPORT_SIM_CLUSTER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "plugins/all.h"
#include "scheduler/engine/pod_groups.h"
#include "scheduler/engine/scheduler.h"
#include "scheduler/framework/config/config.h"
#include "scheduler/model/pod_group.h"
#include "scheduler/runtime/decision_log.h"
#include "scheduler/sim/faults.h"
#include "scheduler/sim/kubelet.h"
#include "scheduler/sim/sim_api_server.h"
#include "scheduler/sim/sim_event_loop.h"
#include "test/support/crashing_api_server.h"
#include "test/support/make.h"

namespace muster {

// Fails the test at the write that breaks a rule: a pod bound twice, a node filled over its
// allocatable by a pod of ours, a pod of another scheduler changed. Counts from the server's own
// state. Whoever else writes in a test must not overfill nodes nor touch others' pods.
class Auditor final : public SimApiServer::Observer {
 public:
  static constexpr const char* kOurs = "muster";

  Auditor(SimApiServer& server, const EventLoop& loop) : server_(server), loop_(loop) { server_.AddObserver(this); }
  ~Auditor() override { server_.RemoveObserver(this); }
  Auditor(const Auditor&) = delete;
  Auditor& operator=(const Auditor&) = delete;

  void OnNode(const NodePtr&, const NodePtr&) override {}
  void OnPod(const PodPtr& before, const PodPtr& after) override {
    if (TakesRoom(before)) Count(*before, -1);
    if (TakesRoom(after)) Count(*after, +1);
    CountGang(before, after);
    if (after != nullptr && after->spec->scheduler_name != kOurs && TakesRoom(after) && !TakesRoom(before))
      others_came_[after->node] = loop_.Now();
    if (before == nullptr || after == nullptr) return;
    if (before->node != after->node) {
      EXPECT_EQ(before->node, "") << after->Key() << " was moved";
      EXPECT_EQ(++binds_[after->uid], 1) << after->Key() << " was bound twice";
      if (after->spec->scheduler_name == kOurs) CheckRoom(*after);
    }
    if (after->spec->scheduler_name != kOurs) {
      EXPECT_EQ(before->node, after->node) << after->Key() << " is another scheduler's";
      EXPECT_EQ(before->scheduled, after->scheduled) << after->Key() << " is another scheduler's";
      EXPECT_EQ(before->nominated_node, after->nominated_node) << after->Key() << " is another scheduler's";
    }
  }

  // To be called where nothing is under way: no gang has some of its minimum bound and not all. Gangs that
  // lost a pod, bound or about to be, may wait for others.
  void CheckGangs() {
    for (auto& [key, gang] : gangs_) {
      if (gang.bound == 0) gang.lost = false;
      if (gang.lost || gang.bound == 0) continue;
      EXPECT_GE(gang.bound, MinimumOf(gang.id)) << "gang " << key << " runs in part";
    }
  }
  // A gang may be left in part: the caller has seen to that.
  void Excuse(const std::string& key) { gangs_[key].lost = true; }
  void ExcuseAllInPart() {
    for (auto& [key, gang] : gangs_) gang.lost |= gang.bound > 0 && gang.bound < MinimumOf(gang.id);
  }
  int BoundOf(const std::string& key) const {
    const auto it = gangs_.find(key);
    return it == gangs_.end() ? 0 : it->second.bound;
  }

  // The room that pods which have not ended take on a node.
  int64_t Used(const std::string& node, const std::string& resource) const {
    const auto it = used_.find(node);
    if (it == used_.end()) return 0;
    const auto amount = it->second.find(resource);
    return amount == it->second.end() ? 0 : amount->second;
  }

 private:
  struct Gang {
    GroupId id;
    int size = 0;  // as its pods say
    int bound = 0;
    bool lost = false;
  };
  int MinimumOf(const GroupId& id) const {
    if (id.kind() == Kind::kPod) return gangs_.at(id.Key()).size;
    const auto object = server_.FindObject(id.kind(), id.ns, id.name);
    return object == nullptr ? 0 : static_cast<const PodGroup&>(*object).min_count;
  }
  void CountGang(const PodPtr& before, const PodPtr& after) {
    const bool was = TakesRoom(before) && !before->deleting, is = TakesRoom(after) && !after->deleting;
    const Pod& pod = after != nullptr ? *after : *before;
    if (!pod.group.present() || pod.spec->scheduler_name != kOurs) return;
    Gang& gang = gangs_[GroupKeyOf(pod)];
    gang.lost |= after == nullptr;
    if (was == is) return;
    gang.id = GroupId::Of(pod);
    gang.size = pod.group.size;
    gang.bound += is ? 1 : -1;
    gang.lost = is ? gang.lost && gang.bound < MinimumOf(gang.id) : true;
  }
  static bool TakesRoom(const PodPtr& pod) { return pod != nullptr && !pod->node.empty() && !pod->ended; }
  void Count(const Pod& pod, int sign) {
    auto& used = used_[pod.node];
    used["pods"] += sign;
    for (const Amount& amount : pod.spec->amounts.requests) used[amount.resource] += sign * amount.value;
  }
  void CheckRoom(const Pod& pod) {
    const NodePtr node = server_.FindNode(pod.node);
    if (node == nullptr) return;  // it went while the bind was on its way
    // Likewise a pod of another scheduler came that no watch had told of when ours was decided: requests take 2 ms,
    // events 1 ms.
    const auto came = others_came_.find(pod.node);
    if (came != others_came_.end() && loop_.Now() - came->second <= absl::Milliseconds(3)) return;
    for (const Amount& room : node->allocatable)
      EXPECT_LE(Used(pod.node, room.resource), room.value) << pod.node << " is overfull by " << pod.Key();
  }

  SimApiServer& server_;
  const EventLoop& loop_;
  std::map<std::string, Time> others_came_;  // by node: when the last did
  std::map<std::string, std::map<std::string, int64_t>> used_;
  std::map<std::string, int> binds_;   // by uid
  std::map<std::string, Gang> gangs_;  // by key
};

struct SimClusterOptions {
  uint64_t seed = 1;
  int threads = 1;
  FaultRates faults;
  int binds_in_flight = 0;  // 0: as configured
};

struct SimCluster {
  explicit SimCluster(SimClusterOptions with = {}) : options(with), faulty(loop, server, options.faults, options.seed) {
    StartScheduler();
  }

  // Another process takes over where this one stopped, with all that it knew lost and its last requests on
  // their way.
  void RestartScheduler() {
    ports.back()->Crash();
    scheduler->SetActive(false);
    dead.push_back(std::move(scheduler));
    StartScheduler();
  }

  void Create(const MakePod& pod) { EXPECT_TRUE(server.CreatePod(pod.Build()).ok()); }
  // A group of scheduling.k8s.io; `change` may be null.
  void CreateGroup(const std::string& name, int min, const std::function<void(PodGroup&)>& change = nullptr) {
    PodGroup group;
    group.ns = "default", group.name = name, group.api_version = "scheduling.k8s.io/v1beta1", group.min_count = min;
    if (change) change(group);
    const bool native = group.api_version.starts_with("scheduling.k8s.io/");
    server.SetObject(native ? Kind::kPodGroup : Kind::kCoschedulingPodGroup, group);
  }
  const PodGroup* FindGroup(const std::string& name, Kind kind = Kind::kPodGroup) const {
    return static_cast<const PodGroup*>(server.FindObject(kind, "default", name).get());
  }
  void Create(const MakeNode& node) { EXPECT_TRUE(server.CreateNode(node.Build()).ok()); }
  // "" pending, "?" no such pod.
  std::string NodeOf(const std::string& name) const {
    const PodPtr pod = server.FindPod("default", name);
    return pod == nullptr ? "?" : pod->node;
  }

  bool Idle() const {
    return server.Idle() && kubelet.Idle() && faulty.Idle() && scheduler->synced() && scheduler->Idle();
  }
  // Runs until nothing has happened for a minute. False: something is stuck.
  bool Settle(Duration limit = absl::Hours(2)) {
    const Time end = loop.Now() + limit;
    while (loop.Now() < end) {
      const uint64_t before = server.resource_version();
      const uint64_t ended = kubelet.ended();
      loop.RunFor(absl::Minutes(1));
      if (Idle() && server.resource_version() == before && kubelet.ended() == ended) {
        auditor.CheckGangs();
        return true;
      }
    }
    return false;
  }

  void StartScheduler() {
    const Registry registry = AllPlugins();
    SchedulerOptions scheduler_options;
    scheduler_options.seed = options.seed;
    scheduler_options.threads = options.threads;
    scheduler_options.min_words_a_thread = 1;
    Configuration config = DefaultConfiguration(registry);
    if (options.binds_in_flight > 0) config.muster.binds_in_flight = options.binds_in_flight;
    ports.push_back(std::make_unique<CrashingApiServer>(faulty));
    auto created = Scheduler::Create(config, registry, scheduler_options, loop, *ports.back(), log, nullptr);
    scheduler = *std::move(created);
    scheduler->Start();
  }

  SimClusterOptions options;

  SimEventLoop loop;
  SimApiServer server{loop};
  Kubelet kubelet{loop, server};
  Auditor auditor{server, loop};
  FaultyApiServer faulty;
  DecisionLog log;
  std::vector<std::unique_ptr<CrashingApiServer>> ports;  // the last is the scheduler's
  std::vector<std::unique_ptr<Scheduler>> dead;           // the loop may still call them
  std::unique_ptr<Scheduler> scheduler;
};

}  // namespace muster

#endif  // MUSTER_TEST_SUPPORT_SIM_CLUSTER_H_
