// The real scheduler with all plugins on a simulated cluster, and an auditor that never sleeps.
#ifndef MUSTER_TEST_SUPPORT_SIM_CLUSTER_H_
#define MUSTER_TEST_SUPPORT_SIM_CLUSTER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "plugins/all.h"
#include "scheduler/engine/scheduler.h"
#include "scheduler/framework/config/config.h"
#include "scheduler/runtime/decision_log.h"
#include "scheduler/sim/faults.h"
#include "scheduler/sim/kubelet.h"
#include "scheduler/sim/sim_api_server.h"
#include "scheduler/sim/sim_event_loop.h"
#include "test/support/make.h"

namespace muster {

// Fails the test at the write that breaks a rule: a pod bound twice, a node filled over its
// allocatable by a pod of ours, a pod of another scheduler changed. Counts from the server's own
// state. Whoever else writes in a test must not overfill nodes nor touch others' pods.
class Auditor final : public SimApiServer::Observer {
 public:
  static constexpr const char* kOurs = "muster";

  explicit Auditor(SimApiServer& server) : server_(server) { server_.AddObserver(this); }
  ~Auditor() override { server_.RemoveObserver(this); }
  Auditor(const Auditor&) = delete;
  Auditor& operator=(const Auditor&) = delete;

  void OnNode(const NodePtr&, const NodePtr&) override {}
  void OnPod(const PodPtr& before, const PodPtr& after) override {
    if (TakesRoom(before)) Count(*before, -1);
    if (TakesRoom(after)) Count(*after, +1);
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

  // The room that pods which have not ended take on a node.
  int64_t Used(const std::string& node, const std::string& resource) const {
    const auto it = used_.find(node);
    if (it == used_.end()) return 0;
    const auto amount = it->second.find(resource);
    return amount == it->second.end() ? 0 : amount->second;
  }

 private:
  static bool TakesRoom(const PodPtr& pod) { return pod != nullptr && !pod->node.empty() && !pod->ended; }
  void Count(const Pod& pod, int sign) {
    auto& used = used_[pod.node];
    used["pods"] += sign;
    for (const Amount& amount : pod.spec->amounts.requests) used[amount.resource] += sign * amount.value;
  }
  void CheckRoom(const Pod& pod) {
    const NodePtr node = server_.FindNode(pod.node);
    if (node == nullptr) return;  // it went while the bind was on its way
    for (const Amount& room : node->allocatable)
      EXPECT_LE(Used(pod.node, room.resource), room.value) << pod.node << " is overfull by " << pod.Key();
  }

  SimApiServer& server_;
  std::map<std::string, std::map<std::string, int64_t>> used_;
  std::map<std::string, int> binds_;  // by uid
};

struct SimClusterOptions {
  uint64_t seed = 1;
  int threads = 1;
  FaultRates faults;
};

struct SimCluster {
  explicit SimCluster(SimClusterOptions options = {}) : faulty(loop, server, options.faults, options.seed) {
    const Registry registry = AllPlugins();
    SchedulerOptions scheduler_options;
    scheduler_options.seed = options.seed;
    scheduler_options.threads = options.threads;
    scheduler_options.min_words_a_thread = 1;
    auto created =
        Scheduler::Create(DefaultConfiguration(registry), registry, scheduler_options, loop, faulty, log, nullptr);
    scheduler = *std::move(created);
    scheduler->Start();
  }

  void Create(const MakePod& pod) { EXPECT_TRUE(server.CreatePod(pod.Build()).ok()); }
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
      if (Idle() && server.resource_version() == before && kubelet.ended() == ended) return true;
    }
    return false;
  }

  SimEventLoop loop;
  SimApiServer server{loop};
  Kubelet kubelet{loop, server};
  Auditor auditor{server};
  FaultyApiServer faulty;
  DecisionLog log;
  std::unique_ptr<Scheduler> scheduler;
};

}  // namespace muster

#endif  // MUSTER_TEST_SUPPORT_SIM_CLUSTER_H_
