// Stands in for the kubelets and for the controllers that clean up after them: pods run for a
// given time and end; pods of a lost node are deleted; pods of a workload are replaced.
#ifndef MUSTER_SCHEDULER_SIM_KUBELET_H_
#define MUSTER_SCHEDULER_SIM_KUBELET_H_

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "scheduler/runtime/event_loop.h"
#include "scheduler/sim/sim_api_server.h"

namespace muster {

// Owner: the thread of the event loop; must outlive the loop's events.
class Kubelet final : public SimApiServer::Observer {
 public:
  struct Options {
    Duration start = absl::Milliseconds(500);      // from bound to running
    Duration lost_node_grace = absl::Seconds(40);  // from a node's deletion to that of its pods
    Duration replace = absl::Milliseconds(100);    // from a workload pod's deletion to its successor
  };

  Kubelet(EventLoop& loop, SimApiServer& server, Options options);
  Kubelet(EventLoop& loop, SimApiServer& server);
  ~Kubelet() override;
  Kubelet(const Kubelet&) = delete;
  Kubelet& operator=(const Kubelet&) = delete;

  // The pod ends this long after it started. Pods of which nothing is said run for ever. To be told
  // before the pod is bound.
  void RunsFor(const std::string& ns, const std::string& name, Duration duration);
  // The pod belongs to a workload: when it is deleted before it ended, a copy named
  // "<name>-<number>" takes its place, pending.
  void Replaces(const std::string& ns, const std::string& name);

  // No pod is on its way to its end, to deletion or to replacement.
  bool Idle() const { return under_way_ == 0; }
  // Pods that started and ended.
  uint64_t ended() const { return ended_; }

  void OnPod(const PodPtr& before, const PodPtr& after) override;
  void OnNode(const NodePtr& before, const NodePtr& after) override;

 private:
  struct Life {
    Duration run_time = absl::InfiniteDuration();
    bool replaced = false;
  };
  void After(Duration delay, std::function<void()> fn);
  void Start(const Pod& pod);
  void Replace(const PodPtr& pod);
  void LoseNode(const std::string& node);

  EventLoop& loop_;
  SimApiServer& server_;
  const Options options_;
  absl::flat_hash_map<std::string, Life> lives_;  // by namespace/name
  size_t under_way_ = 0;
  uint64_t ended_ = 0;
  uint64_t replacements_ = 0;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_SIM_KUBELET_H_
