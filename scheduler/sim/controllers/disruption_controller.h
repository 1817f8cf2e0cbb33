// Stands in for the disruption controller: keeps disruptionsAllowed of PodDisruptionBudgets true while
// pods come, run and go.
#ifndef MUSTER_SCHEDULER_SIM_CONTROLLERS_DISRUPTION_CONTROLLER_H_
#define MUSTER_SCHEDULER_SIM_CONTROLLERS_DISRUPTION_CONTROLLER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "scheduler/sim/manifests.h"
#include "scheduler/sim/sim_api_server.h"

namespace muster {

// Keeps the manifests' budgets_to_count; others stay as they are written. A pod counts as healthy from
// its binding on.
// Owner: the thread of the event loop. It must outlive the loop's events.
class DisruptionController final : public SimApiServer::Observer {
 public:
  // Before the server gets the first object.
  DisruptionController(EventLoop& loop, SimApiServer& server, const Manifests& manifests);
  ~DisruptionController() override;
  DisruptionController(const DisruptionController&) = delete;
  DisruptionController& operator=(const DisruptionController&) = delete;

  // No budget is to be written.
  bool Idle() const { return under_way_ == 0; }

  void OnPod(const PodPtr& before, const PodPtr& after) override;
  void OnNode(const NodePtr&, const NodePtr&) override {}

 private:
  struct Budget {
    std::string ns, name;
    LabelSelector selector;
    std::string min_available, max_unavailable;  // as written
    int64_t replicas = 0;                        // that the workloads of its pods want
    int64_t pods = 0, healthy = 0;
    bool scheduled = false;
  };
  static int32_t Allowed(const Budget& budget);
  void Write(Budget& budget);

  EventLoop& loop_;
  SimApiServer& server_;
  std::vector<Budget> budgets_;
  size_t under_way_ = 0;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_SIM_CONTROLLERS_DISRUPTION_CONTROLLER_H_
