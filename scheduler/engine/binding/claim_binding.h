// Writes what was decided of ResourceClaims, in kube-scheduler's order and with its answers to conflicts.
#ifndef MUSTER_SCHEDULER_ENGINE_BINDING_CLAIM_BINDING_H_
#define MUSTER_SCHEDULER_ENGINE_BINDING_CLAIM_BINDING_H_

#include <deque>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "scheduler/model/device.h"
#include "scheduler/runtime/api_server.h"
#include "scheduler/runtime/event_loop.h"

namespace muster {

// Decision thread. Many claims at once; what is wanted of the same claim is written one after the other, so that a
// gang's members who share it do not conflict with each other. A claim that others changed is read and looked at anew,
// a few times.
class ClaimBinding {
 public:
  // Both outlive it.
  ClaimBinding(EventLoop& loop, ApiServer& api) : loop_(loop), api_(api) {}
  ~ClaimBinding() { *alive_ = false; }
  ClaimBinding(const ClaimBinding&) = delete;
  ClaimBinding& operator=(const ClaimBinding&) = delete;

  // Adds the finalizer where the claim gets an allocation and has none, then allocation and reservation in one write;
  // the reservation alone where the claim has these very devices already; nothing where it is reserved. An allocation
  // without a time gets the present one.
  // `done` gets ok and the claim as it then is; or kConflict: it was allocated, deallocated or deleted by somebody
  // else, and what was decided must be decided again, or others kept on changing it; or the last try's failure, which
  // may yet have taken effect: the watch will tell. Messages name the claim. It may be called before this returns.
  void Reserve(ClaimReservation reservation, ApiServer::ClaimDone done);

  // Removes the finalizer, then the claim: of a pod's extended resources, when the pod does not start. ok if it is
  // gone, or going where it has other finalizers.
  void Delete(ClaimPtr claim, ApiServer::Done done);

 private:
  struct Task;
  using TaskPtr = std::shared_ptr<Task>;
  void Start(const TaskPtr& task);
  void Try(const TaskPtr& task);
  void Write(const TaskPtr& task);
  void SetFinalizer(const TaskPtr& task, bool wanted);
  void DeleteNow(const TaskPtr& task);
  void OnGone(const TaskPtr& task);
  void OnFailure(const TaskPtr& task, const char* step, ApiStatus status);
  void Finish(const TaskPtr& task, ApiStatus status);

  EventLoop& loop_;
  ApiServer& api_;
  absl::flat_hash_map<std::string, std::deque<TaskPtr>> tasks_;       // by the claim's uid; the first is under way
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for answers and timers under way
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_BINDING_CLAIM_BINDING_H_
