// The API server over HTTPS.
#ifndef MUSTER_SCHEDULER_KUBE_KUBE_API_SERVER_H_
#define MUSTER_SCHEDULER_KUBE_KUBE_API_SERVER_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "scheduler/kube/http_client.h"
#include "scheduler/kube/list_watch.h"
#include "scheduler/runtime/api_server.h"
#include "scheduler/runtime/metrics.h"
#include "scheduler/runtime/random.h"

namespace muster {

struct KubeOptions {
  HttpOptions http;
  ListWatchOptions watch;
  uint64_t seed = 1;  // of watch timeouts only
  // Events yield to binds; beyond so many waiting, new ones are dropped, counted and logged.
  size_t max_waiting_events = 20'000;
  Duration look_again = absl::Seconds(30);  // for a kind that the server lacks
  Duration lease_timeout = absl::Seconds(5);
};

class KubeApiServer final : public ApiServer {
 public:
  // The loop outlives it, and it outlives its WatchStreams. `metrics` may be null.
  KubeApiServer(EventLoop& loop, ServerAccess access, KubeOptions options, Metrics* metrics);
  ~KubeApiServer() override;

  // What serves there: ok with its version, if it offers the groups that are written to.
  void Discover(std::function<void(ApiStatus, const std::string& version)> done);

  std::unique_ptr<WatchStream> Watch(Kind kind, uint64_t resource_version, WatchHandler handler) override;

  // Once; who asked knows when to try again. A bind that the server refuses because it has been
  // done before (the answer was lost) is ok.
  void Bind(const BindRequest& request, Done done) override;
  // Tried again a few times within half a second, also after a conflict.
  void PatchPodStatus(const PodStatusPatch& patch, Done done) override;
  void DeletePod(const std::string& ns, const std::string& name, const std::string& uid, Done done) override;
  // Tried again when the server is too busy.
  void CreateEvent(const ApiEvent& event, Done done) override;
  void PatchEventSeries(const ApiEvent& event, Done done) override;

  void PatchPodGroupStatus(const PodGroupStatusPatch& patch, Done done) override;
  // Once: the next one says it all anew.
  void PatchQueueStatus(const std::string& name, const std::string& uid, const QueueStatus& status, Done done) override;

  // Once (writes/volume_writes.cc, writes/claim_writes.cc).
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

  void GetLease(const std::string& ns, const std::string& name, LeaseDone done) override;
  void CreateLease(const Lease& lease, LeaseDone done) override;
  void UpdateLease(const Lease& lease, LeaseDone done) override;

  uint64_t dropped_events() const { return dropped_events_; }
  size_t waiting_events() const { return waiting_events_; }
  // No watch that was opened last failed: the server is there and lets us read.
  bool watching() const {
    return std::all_of(broken_.begin(), broken_.end(), [](const ApiStatus& status) { return status.ok(); });
  }
  const ApiStatus& watch_error(Kind kind) const { return broken_[static_cast<size_t>(kind)]; }

 private:
  class Stream;

  void Send(HttpRequest request, Done done);
  void SendAgain(HttpRequest request, int tries_left, Duration wait, Done done);
  void SendEvent(HttpRequest request, Done done);
  void SendLease(HttpRequest request, LeaseDone done);
  void SendVersioned(HttpRequest request, VersionDone done);
  void SendClaim(HttpRequest request, ClaimDone done);
  void WasItBound(const BindRequest& request, ApiStatus refused, Done done);

  EventLoop& loop_;
  const KubeOptions options_;
  Metrics* const metrics_;
  Random random_;
  Decoder decoder_;                           // the I/O thread's
  Decoder answer_decoder_;                    // the loop's thread's
  std::array<ApiStatus, kKindCount> broken_;  // by Kind: how its last watch ended, until one works again
  std::array<bool, kKindCount> started_{};    // by Kind: its whole state was asked for
  size_t waiting_events_ = 0;
  uint64_t dropped_events_ = 0;
  Time told_dropped_ = absl::InfinitePast();
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for timers
  HttpClient http_;                                             // last: its thread uses the others
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_KUBE_KUBE_API_SERVER_H_
