// Between the decision and the bind: has the pods' ResourceClaims written, and keeps in the cache what was decided of
// them while the server does not show it. Where a pod is not bound after all, gives back what it had.
//
// Decision thread only.
#ifndef MUSTER_SCHEDULER_ENGINE_BINDING_CLAIM_FLIGHTS_H_
#define MUSTER_SCHEDULER_ENGINE_BINDING_CLAIM_FLIGHTS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "scheduler/engine/binding/binding_cycle.h"
#include "scheduler/engine/binding/claim_binding.h"
#include "scheduler/engine/cluster_cache.h"
#include "scheduler/framework/plugin.h"
#include "scheduler/model/device.h"
#include "scheduler/runtime/api_server.h"
#include "scheduler/runtime/event_loop.h"

namespace muster {

class ClaimFlights {
 public:
  struct Callbacks {
    // The pod's claims are allocated and reserved (error ""), or will not be: why; then it has none of them any more.
    // Not called for a task that was cancelled.
    std::function<void(const BindingCycle::Task& task, const std::string& error)> ended;
    // The cache has another object for a claim, because what was assumed is not to be.
    std::function<void(const ClaimPtr& before, const ClaimPtr& after)> changed;
  };

  // All outlive it.
  ClaimFlights(EventLoop& loop, ApiServer& api, ClusterCache& cache, Callbacks callbacks)
      : loop_(loop), api_(api), cache_(cache), callbacks_(std::move(callbacks)), writes_(loop, api) {}
  ~ClaimFlights() { *alive_ = false; }

  // What these intend, of kind kReserveClaim, is assumed in the cache for the pod: from now on it stays so.
  void Expect(const std::string& uid, const std::vector<Intent>& intents);
  // It is not to be written. No effect on what Start was called for.
  void Abandon(const std::string& uid, const std::vector<Intent>& intents);
  // Writes it, in order. Requires: intents are not empty, and expected. Tells of the end later.
  void Start(BindingCycle::Task task, std::vector<Intent> intents);
  // The pod is not going to be bound: ends its task, and gives back what is reserved for it and was written here. An
  // allocation that is written stays with the claim.
  void GiveBack(const std::string& uid);
  // The pod is bound: what it has is its own.
  void Bound(const std::string& uid) { reserved_.erase(uid); }
  // The server told of a claim. Returns what the cache shall have for it; null: nothing.
  ClaimPtr OnClaim(const ClaimPtr& claim, bool gone);
  // Takes the allocation from a claim that nobody uses.
  void Deallocate(const ResourceClaim& claim);
  // Tasks.
  size_t writing() const { return tasks_.size(); }
  // And writes whose end is not known.
  size_t in_flight() const { return tasks_.size() + settling_; }

 private:
  // What a pod has in hand of a claim.
  struct Wish {
    std::string uid;  // of the pod
    ResourceClaim::Consumer consumer;
  };
  struct Flight {
    std::string claim_uid;
    std::optional<DeviceAllocation> allocation;  // that was decided; the server may have it by now
    std::vector<Wish> wishes;                    // never empty
  };
  struct Running {
    BindingCycle::Task task;
    std::vector<Intent> intents;
    size_t next = 0;
    uint64_t id = 0;
  };
  struct Reservation {
    std::string ns, name, claim_uid, consumer_uid;
  };

  void WriteNext(Running& running);
  void OnWritten(const std::string& uid, uint64_t id, const Intent& intent, const ApiStatus& status,
                 const ClaimPtr& claim);
  // The write's end is not known: asks until it is.
  void Settle(const std::string& uid, const Intent& intent, Duration wait);
  std::string Conflict(const Running& running) const;
  void Withdraw(const Running& running);
  void Learn(const ClaimPtr& claim);
  void DropWish(const std::string& key, const std::string& uid);
  ClaimPtr Compose(const std::string& key) const;
  void Apply(const std::string& key);
  void Unreserve(const Reservation& reservation);
  void End(const std::string& uid, const std::string& error);

  EventLoop& loop_;
  ApiServer& api_;
  ClusterCache& cache_;
  const Callbacks callbacks_;
  ClaimBinding writes_;
  absl::flat_hash_map<std::string, ClaimPtr> latest_;  // by "namespace/name": what the server told or answered last
  absl::flat_hash_map<std::string, Flight> flights_;   // likewise
  absl::flat_hash_map<std::string, Running> tasks_;    // by pod uid
  absl::flat_hash_map<std::string, std::vector<Reservation>> reserved_;  // likewise: written, the pod not bound yet
  uint64_t next_id_ = 0;
  size_t settling_ = 0;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for answers and timers under way
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_BINDING_CLAIM_FLIGHTS_H_
