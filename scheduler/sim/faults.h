// Seeded trouble between the engine and an API server: failed and lost answers, broken watches.
#ifndef MUSTER_SCHEDULER_SIM_FAULTS_H_
#define MUSTER_SCHEDULER_SIM_FAULTS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "scheduler/runtime/api_server.h"
#include "scheduler/runtime/event_loop.h"
#include "scheduler/runtime/random.h"

namespace muster {

// Each is a probability in [0, 1] a request or a batch of watch events.
struct FaultRates {
  double refused = 0;      // 409, 429, 500 or unreachable, each as likely; nothing took effect
  double lost_answer = 0;  // it took effect, and the client is told kUnreachable
  double slow = 0;         // the answer or the batch comes later, by up to max_delay
  double cut = 0;          // the batch is lost with the stream (kUnreachable, or ok as for a timeout)
  double gone = 0;         // the batch is lost with the stream, and so is the history (kGone)
  double duplicated = 0;   // the batch comes twice (not that of the initial state)
  Duration max_delay = absl::Seconds(2);
};

// Wraps a server. Writes of pods, events and claims suffer `refused`, `lost_answer` and `slow`; watches the
// others and `slow`, which keeps their order. Leases pass untouched.
// Owner: the thread of the event loop; must outlive the loop's events. `inner` must outlive it.
class FaultyApiServer final : public ApiServer {
 public:
  FaultyApiServer(EventLoop& loop, ApiServer& inner, FaultRates rates, uint64_t seed)
      : loop_(loop), inner_(inner), rates_(rates), random_(seed) {}

  // From now on; what is delayed already stays so.
  void set_rates(FaultRates rates) { rates_ = rates; }
  uint64_t faults() const { return faults_; }
  // No answer or batch is held back.
  bool Idle() const { return held_ == 0; }

  std::unique_ptr<WatchStream> Watch(Kind kind, uint64_t resource_version, WatchHandler handler) override;
  void Bind(const BindRequest& request, Done done) override;
  void PatchPodStatus(const PodStatusPatch& patch, Done done) override;
  void DeletePod(const std::string& ns, const std::string& name, const std::string& uid, Done done) override;
  void CreateEvent(const ApiEvent& event, Done done) override;
  void PatchEventSeries(const ApiEvent& event, Done done) override;
  void PatchPodGroupStatus(const PodGroupStatusPatch& patch, Done done) override;
  void PatchQueueStatus(const std::string& name, const std::string& uid, const QueueStatus& status, Done done) override;
  void BindVolume(const VolumeBindRequest& request, VersionDone done) override;
  void SelectNode(const SelectNodeRequest& request, VersionDone done) override;
  void GetClaim(const std::string& ns, const std::string& name, ClaimDone done) override;
  void SetClaimFinalizer(const ClaimPtr& claim, bool wanted, ClaimDone done) override;
  void ReserveClaim(const ClaimReservation& reservation, ClaimDone done) override;
  void DeallocateClaim(const ClaimPtr& claim, ClaimDone done) override;
  void UnreserveClaim(const std::string& ns, const std::string& name, const std::string& uid,
                      const std::string& consumer_uid, ClaimDone done) override;
  void CreateClaim(const ExtendedClaim& claim, ClaimDone done) override;
  void DeleteClaim(const std::string& ns, const std::string& name, const std::string& uid, Done done) override;
  void GetLease(const std::string& ns, const std::string& name, LeaseDone done) override {
    inner_.GetLease(ns, name, std::move(done));
  }
  void CreateLease(const Lease& lease, LeaseDone done) override { inner_.CreateLease(lease, std::move(done)); }
  void UpdateLease(const Lease& lease, LeaseDone done) override { inner_.UpdateLease(lease, std::move(done)); }

 private:
  struct Watcher;
  class Stream;
  bool Happens(double rate);
  Duration Delay();
  void Hold(Duration delay, std::function<void()> fn);
  void Write(const std::function<void(Done)>& send, Done done);
  // Of a write whose answer tells something, which a lost answer does not.
  template <typename T>
  void WriteFor(const std::function<void(std::function<void(ApiStatus, T)>)>& send,
                std::function<void(ApiStatus, T)> done);
  void OnEvents(const std::shared_ptr<Watcher>& watcher, std::vector<WatchEvent> events);
  void OnEnd(const std::shared_ptr<Watcher>& watcher, ApiStatus why);
  // Runs fn at once, or behind what is held back for this watcher.
  void InOrder(const std::shared_ptr<Watcher>& watcher, Duration delay, std::function<void()> fn);

  EventLoop& loop_;
  ApiServer& inner_;
  FaultRates rates_;
  Random random_;
  uint64_t faults_ = 0;
  size_t held_ = 0;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_SIM_FAULTS_H_
