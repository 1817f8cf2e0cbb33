// Between the decision and the bind: writes which volumes the pod's claims shall have or where they
// shall be provisioned, and waits until they are bound. Where that fails, what was assumed is as the
// server has it again.
//
// Decision thread only.
#ifndef MUSTER_SCHEDULER_ENGINE_BINDING_VOLUME_BINDING_H_
#define MUSTER_SCHEDULER_ENGINE_BINDING_VOLUME_BINDING_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "scheduler/engine/binding/binding_cycle.h"
#include "scheduler/engine/cluster_cache.h"
#include "scheduler/framework/plugin.h"
#include "scheduler/model/cluster_objects.h"
#include "scheduler/runtime/api_server.h"
#include "scheduler/runtime/event_loop.h"

namespace muster {

class VolumeBinder {
 public:
  // The claims are bound (error ""), or will not be: why. Not called for a task that was cancelled.
  using Ended = std::function<void(const BindingCycle::Task& task, const std::string& error)>;

  // All outlive the binder.
  VolumeBinder(EventLoop& loop, ApiServer& api, ClusterCache& cache, Ended ended)
      : loop_(loop), api_(api), cache_(cache), ended_(std::move(ended)) {}

  // Requires: intents are volumes' and not empty; what they intend is assumed in the cache.
  void Start(BindingCycle::Task task, std::vector<Intent> intents);
  // The server told of an object, of any kind; the cache has it already.
  void OnObject(Kind kind, const ObjectPtr& object, bool gone);
  // The pod is gone.
  void Cancel(const std::string& uid);
  size_t in_flight() const { return tasks_.size(); }

 private:
  struct Running {
    BindingCycle::Task task;
    std::vector<Intent> intents;
    std::vector<uint64_t> written;  // by intent: the version that its write made
    uint64_t id = 0;
    EventLoop::TimerId timer = 0;
    bool waiting = false;             // all is written
    std::vector<std::string> awaits;  // its keys in waiting_on_
  };
  Running* Find(const std::string& uid, uint64_t id);
  void WriteNext(Running& running);
  void OnWritten(const std::string& uid, uint64_t id, const ApiStatus& status, uint64_t version);
  void Check(Running& running);
  // Whether all claims are bound; *error where they will not be.
  bool AllBound(Running& running, std::string* error);
  bool VolumeIsBound(Running& running, const Intent& intent, uint64_t written, const Node& node, std::string* error);
  bool ClaimIsBound(Running& running, const Intent& intent, uint64_t written, const Node& node, std::string* error);
  void AwaitObject(Running& running, Kind kind, const std::string& ns, const std::string& name);
  void Revert(const Running& running);
  Running Take(const std::string& uid);
  void End(const std::string& uid, const std::string& error);

  EventLoop& loop_;
  ApiServer& api_;
  ClusterCache& cache_;
  ClusterObjects latest_;  // what was told last of volumes, claims and CSINodes: the cache may be ahead
  const Ended ended_;
  uint64_t next_id_ = 0;
  absl::flat_hash_map<std::string, Running> tasks_;                        // by uid
  absl::flat_hash_map<std::string, std::vector<std::string>> waiting_on_;  // kind/namespace/name -> uids
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_BINDING_VOLUME_BINDING_H_
