// Stands in for the persistent volume controller and for every provisioner: binds claims to the volumes
// that name them, and to free ones where their class does not wait for a pod; makes volumes for claims
// that are to be provisioned.
//
// Owner: the thread of the event loop. It must outlive the loop's events.
#ifndef MUSTER_SCHEDULER_SIM_CONTROLLERS_VOLUME_CONTROLLER_H_
#define MUSTER_SCHEDULER_SIM_CONTROLLERS_VOLUME_CONTROLLER_H_

#include <cstddef>
#include <string>

#include "scheduler/model/volume_objects.h"
#include "scheduler/sim/sim_api_server.h"

namespace muster {

class VolumeController final : public SimApiServer::Observer {
 public:
  struct Options {
    Duration bind = absl::Milliseconds(10);        // from a claim's change to its binding
    Duration provision = absl::Milliseconds(500);  // from its node's selection to its volume
  };

  VolumeController(EventLoop& loop, SimApiServer& server, Options options);
  VolumeController(EventLoop& loop, SimApiServer& server);
  ~VolumeController() override;
  VolumeController(const VolumeController&) = delete;
  VolumeController& operator=(const VolumeController&) = delete;

  // No claim is on its way to be bound.
  bool Idle() const { return under_way_ == 0; }

  void OnPod(const PodPtr&, const PodPtr&) override {}
  void OnNode(const NodePtr&, const NodePtr&) override {}
  void OnObject(Kind kind, const ObjectPtr& before, const ObjectPtr& after) override;

 private:
  void Look(Duration delay, const std::string& ns, const std::string& name);
  void Sync(const std::string& ns, const std::string& name);
  void Bind(const PersistentVolumeClaim& claim, const PersistentVolume& volume);
  void Provision(const PersistentVolumeClaim& claim, const StorageClass& storage_class);

  EventLoop& loop_;
  SimApiServer& server_;
  const Options options_;
  size_t under_way_ = 0;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_SIM_CONTROLLERS_VOLUME_CONTROLLER_H_
