// Stands in for the controller of ResourceClaims: takes pods that are over, and groups that are gone, out of their
// claims' reservations, frees the devices of claims that nobody uses any more, and removes the claims that were made
// for a pod with it. Makes claims for pods that replace others.
//
// Owner: the thread of the event loop. It must outlive the loop's events.
#ifndef MUSTER_SCHEDULER_SIM_CONTROLLERS_CLAIM_CONTROLLER_H_
#define MUSTER_SCHEDULER_SIM_CONTROLLERS_CLAIM_CONTROLLER_H_

#include <cstddef>
#include <string>

#include "absl/container/btree_map.h"
#include "scheduler/model/device.h"
#include "scheduler/sim/sim_api_server.h"

namespace muster {

class ClaimController final : public SimApiServer::Observer {
 public:
  ClaimController(EventLoop& loop, SimApiServer& server);
  ~ClaimController() override;
  ClaimController(const ClaimController&) = delete;
  ClaimController& operator=(const ClaimController&) = delete;

  // Nothing is on its way to be freed.
  bool Idle() const { return under_way_ == 0; }

  void OnPod(const PodPtr& before, const PodPtr& after) override;
  void OnNode(const NodePtr&, const NodePtr&) override {}
  void OnObject(Kind kind, const ObjectPtr& before, const ObjectPtr& after) override;

 private:
  // Soon: the consumer does not use the claim any more.
  void Release(const std::string& ns, const std::string& name, const std::string& consumer_uid);
  void Make(const std::string& ns, const std::string& name);

  EventLoop& loop_;
  SimApiServer& server_;
  size_t under_way_ = 0;
  absl::btree_map<std::string, ResourceClaim> made_;  // by "namespace/template": some claim made of it that is gone
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_SIM_CONTROLLERS_CLAIM_CONTROLLER_H_
