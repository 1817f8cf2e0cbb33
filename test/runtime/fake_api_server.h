// An ApiServer of which a test plays the server: requests wait in the open until it answers them.
#ifndef MUSTER_TEST_RUNTIME_FAKE_API_SERVER_H_
#define MUSTER_TEST_RUNTIME_FAKE_API_SERVER_H_

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/runtime/api_server.h"

namespace muster {

class FakeApiServer final : public ApiServer {
 public:
  struct OpenWatch {
    Kind kind;
    uint64_t resource_version;
    WatchHandler handler;
    std::weak_ptr<int> alive;  // expired: cancelled
  };
  struct LeaseCall {
    std::string verb;
    Lease lease;
    LeaseDone done;
  };

  std::deque<OpenWatch> watches;                                   // all that were ever opened
  std::deque<LeaseCall> leases;                                    // not answered yet
  std::deque<std::pair<PodGroupStatusPatch, Done>> group_patches;  // likewise
  std::deque<std::pair<QueueStatus, Done>> queue_patches;          // likewise

  LeaseCall TakeLease() {
    LeaseCall call = std::move(leases.front());
    leases.pop_front();
    return call;
  }

  std::unique_ptr<WatchStream> Watch(Kind kind, uint64_t version, WatchHandler handler) override {
    struct Stream final : WatchStream {
      std::shared_ptr<int> alive = std::make_shared<int>(0);
    };
    auto stream = std::make_unique<Stream>();
    watches.push_back({kind, version, std::move(handler), stream->alive});
    return stream;
  }
  void Bind(const BindRequest&, Done) override {}
  void PatchPodStatus(const PodStatusPatch&, Done) override {}
  void DeletePod(const std::string&, const std::string&, const std::string&, Done) override {}
  void CreateEvent(const ApiEvent&, Done) override {}
  void PatchEventSeries(const ApiEvent&, Done) override {}
  void PatchPodGroupStatus(const PodGroupStatusPatch& patch, Done done) override {
    group_patches.emplace_back(patch, std::move(done));
  }
  void PatchQueueStatus(const std::string&, const std::string&, const QueueStatus& status, Done done) override {
    queue_patches.emplace_back(status, std::move(done));
  }
  void BindVolume(const VolumeBindRequest&, VersionDone) override {}
  void SelectNode(const SelectNodeRequest&, VersionDone) override {}
  void GetClaim(const std::string&, const std::string&, ClaimDone) override {}
  void SetClaimFinalizer(const ClaimPtr&, bool, ClaimDone) override {}
  void ReserveClaim(const ClaimReservation&, ClaimDone) override {}
  void DeallocateClaim(const ClaimPtr&, ClaimDone) override {}
  void UnreserveClaim(const std::string&, const std::string&, const std::string&, const std::string&,
                      ClaimDone) override {}
  void CreateClaim(const ExtendedClaim&, ClaimDone) override {}
  void DeleteClaim(const std::string&, const std::string&, const std::string&, Done) override {}
  void GetLease(const std::string& ns, const std::string& name, LeaseDone done) override {
    Lease lease;
    lease.ns = ns;
    lease.name = name;
    leases.push_back({"get", std::move(lease), std::move(done)});
  }
  void CreateLease(const Lease& lease, LeaseDone done) override {
    leases.push_back({"create", lease, std::move(done)});
  }
  void UpdateLease(const Lease& lease, LeaseDone done) override {
    leases.push_back({"update", lease, std::move(done)});
  }
};

}  // namespace muster

#endif  // MUSTER_TEST_RUNTIME_FAKE_API_SERVER_H_
