// A scheduler's connection to the server, which its death cuts: what was sent takes effect, and no answer comes
// back.
#ifndef MUSTER_TEST_SUPPORT_CRASHING_API_SERVER_H_
#define MUSTER_TEST_SUPPORT_CRASHING_API_SERVER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/runtime/api_server.h"

namespace muster {

class CrashingApiServer final : public ApiServer {
 public:
  explicit CrashingApiServer(ApiServer& inner) : inner_(inner) {}

  void Crash() { *alive_ = false; }
  // Requests before the scheduler dies by itself: it is dead before the next one is sent.
  void CrashAfter(int writes) { left_ = writes; }
  bool alive() const { return *alive_; }

  std::unique_ptr<WatchStream> Watch(Kind kind, uint64_t version, WatchHandler handler) override {
    if (!*alive_) return std::make_unique<WatchStream>();
    return inner_.Watch(kind, version, {Guard(std::move(handler.on_events)), Guard(std::move(handler.on_end))});
  }
  void Bind(const BindRequest& r, Done done) override {
    if (Send()) inner_.Bind(r, Guard(std::move(done)));
  }
  void PatchPodStatus(const PodStatusPatch& patch, Done done) override {
    if (Send()) inner_.PatchPodStatus(patch, Guard(std::move(done)));
  }
  void DeletePod(const std::string& ns, const std::string& name, const std::string& uid, Done done) override {
    if (Send()) inner_.DeletePod(ns, name, uid, Guard(std::move(done)));
  }
  void CreateEvent(const ApiEvent& event, Done done) override {
    if (*alive_) inner_.CreateEvent(event, Guard(std::move(done)));
  }
  void PatchEventSeries(const ApiEvent& event, Done done) override {
    if (*alive_) inner_.PatchEventSeries(event, Guard(std::move(done)));
  }
  void PatchPodGroupStatus(const PodGroupStatusPatch& patch, Done done) override {
    if (Send()) inner_.PatchPodGroupStatus(patch, Guard(std::move(done)));
  }
  void PatchQueueStatus(const std::string& name, const std::string& uid, const QueueStatus& status,
                        Done done) override {
    if (Send()) inner_.PatchQueueStatus(name, uid, status, Guard(std::move(done)));
  }
  void BindVolume(const VolumeBindRequest& r, VersionDone done) override {
    if (Send()) inner_.BindVolume(r, Guard(std::move(done)));
  }
  void SelectNode(const SelectNodeRequest& r, VersionDone done) override {
    if (Send()) inner_.SelectNode(r, Guard(std::move(done)));
  }
  void GetClaim(const std::string& ns, const std::string& name, ClaimDone done) override {
    if (*alive_) inner_.GetClaim(ns, name, Guard(std::move(done)));
  }
  void SetClaimFinalizer(const ClaimPtr& claim, bool wanted, ClaimDone done) override {
    if (Send()) inner_.SetClaimFinalizer(claim, wanted, Guard(std::move(done)));
  }
  void ReserveClaim(const ClaimReservation& r, ClaimDone done) override {
    if (Send()) inner_.ReserveClaim(r, Guard(std::move(done)));
  }
  void DeallocateClaim(const ClaimPtr& claim, ClaimDone done) override {
    if (Send()) inner_.DeallocateClaim(claim, Guard(std::move(done)));
  }
  void UnreserveClaim(const std::string& ns, const std::string& name, const std::string& uid,
                      const std::string& consumer_uid, ClaimDone done) override {
    if (Send()) inner_.UnreserveClaim(ns, name, uid, consumer_uid, Guard(std::move(done)));
  }
  void CreateClaim(const ExtendedClaim& claim, ClaimDone done) override {
    if (Send()) inner_.CreateClaim(claim, Guard(std::move(done)));
  }
  void DeleteClaim(const std::string& ns, const std::string& name, const std::string& uid, Done done) override {
    if (Send()) inner_.DeleteClaim(ns, name, uid, Guard(std::move(done)));
  }
  void GetLease(const std::string& ns, const std::string& name, LeaseDone done) override {
    if (*alive_) inner_.GetLease(ns, name, Guard(std::move(done)));
  }
  void CreateLease(const Lease& lease, LeaseDone done) override {
    if (*alive_) inner_.CreateLease(lease, Guard(std::move(done)));
  }
  void UpdateLease(const Lease& lease, LeaseDone done) override {
    if (*alive_) inner_.UpdateLease(lease, Guard(std::move(done)));
  }

 private:
  bool Send() {
    if (left_ == 0) Crash();
    if (left_ > 0) --left_;
    return *alive_;
  }
  template <typename... Args>
  std::function<void(Args...)> Guard(std::function<void(Args...)> fn) {
    return [alive = alive_, fn = std::move(fn)](Args... args) {
      if (*alive) fn(std::move(args)...);
    };
  }

  ApiServer& inner_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  int left_ = -1;  // < 0: without end
};

}  // namespace muster

#endif  // MUSTER_TEST_SUPPORT_CRASHING_API_SERVER_H_
