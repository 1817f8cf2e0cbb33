// All that is to be done between a pod's decision and its bind: its volumes, then its ResourceClaims.
//
// Decision thread only.
#ifndef MUSTER_SCHEDULER_ENGINE_BINDING_PREPARATION_H_
#define MUSTER_SCHEDULER_ENGINE_BINDING_PREPARATION_H_

#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "scheduler/engine/binding/binding_cycle.h"
#include "scheduler/engine/binding/claim_flights.h"
#include "scheduler/engine/binding/volume_binding.h"
#include "scheduler/engine/cluster_cache.h"
#include "scheduler/framework/plugin.h"
#include "scheduler/runtime/api_server.h"
#include "scheduler/runtime/event_loop.h"

namespace muster {

class Preparation {
 public:
  struct Callbacks {
    // The pod can be bound (error ""), or not: why, with the plugin's name. Not called for one that was given up.
    std::function<void(const BindingCycle::Task& task, const std::string& error)> ended;
    // See ClaimFlights.
    std::function<void(const ClaimPtr& before, const ClaimPtr& after)> claim_changed;
  };

  // All outlive it.
  Preparation(EventLoop& loop, ApiServer& api, ClusterCache& cache, Callbacks callbacks);

  // Requires: intents hold no bind and are not empty; what they intend is assumed in the cache.
  void Start(BindingCycle::Task task, std::vector<Intent> intents);
  // The pod will not be bound as was decided, or is gone: what it has beyond its room is given back.
  void GiveUp(const std::string& uid);
  void Bound(const std::string& uid) { claims_.Bound(uid); }
  // The server told of an object, of any kind, which the cache has; for claims see ClaimFlights, before it has.
  void OnObject(Kind kind, const ObjectPtr& object, bool gone) { volumes_.OnObject(kind, object, gone); }
  ClaimFlights& claims() { return claims_; }
  size_t in_flight() const { return volumes_.in_flight() + claims_.in_flight(); }

 private:
  void OnVolumesEnded(const BindingCycle::Task& task, const std::string& error);

  const Callbacks callbacks_;
  VolumeBinder volumes_;
  ClaimFlights claims_;
  absl::flat_hash_map<std::string, std::vector<Intent>> after_volumes_;  // by uid
};

// Of a pod's intents all but its bind.
std::vector<Intent> PreparationsIn(const std::vector<Intent>& intents);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_BINDING_PREPARATION_H_
