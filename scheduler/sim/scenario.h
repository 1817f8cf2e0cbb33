// Plays manifests into a simulated cluster: objects at their time, Jobs a few pods at once.
#ifndef MUSTER_SCHEDULER_SIM_SCENARIO_H_
#define MUSTER_SCHEDULER_SIM_SCENARIO_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "scheduler/runtime/event_loop.h"
#include "scheduler/sim/kubelet.h"
#include "scheduler/sim/manifests.h"
#include "scheduler/sim/sim_api_server.h"

namespace muster {

// Owner: the thread of the event loop; must outlive the loop's events.
class Scenario final : public SimApiServer::Observer {
 public:
  Scenario(EventLoop& loop, SimApiServer& server, Kubelet& kubelet);
  ~Scenario() override;
  Scenario(const Scenario&) = delete;
  Scenario& operator=(const Scenario&) = delete;

  // Once. Creates the nodes, the other objects and the pods that are there from the start, in the order of the
  // manifests; asks the loop for the later ones. Error: a name that is taken.
  absl::Status Start(const Manifests& manifests);

  // No pod is to come at a known time. (A Job's next one comes when another has ended.)
  bool Idle() const { return under_way_ == 0; }

  void OnPod(const PodPtr& before, const PodPtr& after) override;
  void OnNode(const NodePtr&, const NodePtr&) override {}

 private:
  struct Workload {
    size_t next = 0, end = 0;  // of `pods_`, still to be created
  };
  void Create(size_t pod);
  void After(Duration delay, std::function<void()> fn);

  EventLoop& loop_;
  SimApiServer& server_;
  Kubelet& kubelet_;
  std::vector<ManifestPod> pods_;
  std::vector<Workload> workloads_;
  absl::flat_hash_map<std::string, size_t> job_of_;  // by uid of a created pod
  size_t under_way_ = 0;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_SIM_SCENARIO_H_
