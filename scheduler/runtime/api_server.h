// The API server as the engine sees it. Implemented over HTTPS (scheduler/kube) and in memory
// (scheduler/sim). All methods are called on the decision thread and return at once; every answer
// is a later event on the same EventLoop, in no promised order between requests.
#ifndef MUSTER_SCHEDULER_RUNTIME_API_SERVER_H_
#define MUSTER_SCHEDULER_RUNTIME_API_SERVER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "scheduler/model/device.h"
#include "scheduler/model/ids.h"
#include "scheduler/model/node.h"
#include "scheduler/model/object.h"
#include "scheduler/model/pod.h"
#include "scheduler/model/queue.h"

namespace muster {

enum class ApiCode : uint8_t {
  kOk,
  kNotFound,         // 404
  kConflict,         // 409
  kAlreadyExists,    // 409 with reason AlreadyExists
  kGone,             // 410, or an ERROR event with reason Expired or Gone: list anew
  kTooManyRequests,  // 429
  kForbidden,        // 403: message says which rule is missing
  kUnauthorized,     // 401
  kInvalid,          // 400, 422 and other 4xx
  kServerError,      // 5xx
  kUnreachable,      // no connection, connection lost, timeout, certificate not accepted
};

struct ApiStatus {
  ApiCode code = ApiCode::kOk;
  std::string message;
  Duration retry_after;  // from Retry-After; zero if none
  bool ok() const { return code == ApiCode::kOk; }
  // Whether the same request may succeed later without change.
  bool Retriable() const {
    return code == ApiCode::kTooManyRequests || code == ApiCode::kServerError || code == ApiCode::kUnreachable;
  }
};

// Of the watched kind: ObjectPtr for all but pods and nodes.
using AnyObject = std::variant<std::monostate, PodPtr, NodePtr, ObjectPtr>;

// One change of a watched object. kSynced ends the initial state: what was not named before it
// since the watch's start does not exist. kBookmark only moves the resourceVersion on.
struct WatchEvent {
  enum class Type : uint8_t { kAdded, kModified, kDeleted, kBookmark, kSynced };
  Type type = Type::kAdded;
  uint64_t resource_version = 0;
  AnyObject object;
};

// An open watch; destroying it cancels it, after which its handler is not called again.
class WatchStream {
 public:
  virtual ~WatchStream() = default;
};

struct WatchHandler {
  // Events in server order, as many as have arrived. None: the server has accepted the stream.
  std::function<void(std::vector<WatchEvent> events)> on_events;
  // The stream is over (always the last call): ok after a server's normal timeout.
  std::function<void(ApiStatus)> on_end;
};

struct BindRequest {
  std::string ns, name, uid, node;
};

// A strategic-merge patch of pods/status; empty optional parts are left alone.
struct PodStatusPatch {
  std::string ns, name, uid;
  PodCondition condition;  // present: sets PodScheduled
  int64_t observed_generation = 0;
  bool set_nominated_node = false;
  std::string nominated_node;  // "" clears it
  // Not "": sets DisruptionTarget to True for PreemptionByScheduler, with this message.
  std::string preempted_message = {};
  // When the status of these conditions last changed; InfinitePast leaves lastTransitionTime alone.
  Time transition = absl::InfinitePast();
  // status.extendedResourceClaimStatus, unless `claim` is "".
  struct Extended {
    struct Mapping {
      std::string container, resource, request;  // which of the claim's requests stands for what
    };
    std::string claim;
    std::vector<Mapping> mappings;
  };
  Extended extended = {};
};

// events.k8s.io/v1 Event.
struct ApiEvent {
  std::string ns, name;  // name unique per series: "<pod>.<hex>"
  std::string reporting_controller, reporting_instance, action, reason, type, note;
  std::string regarding_kind, regarding_api_version, regarding_ns, regarding_name, regarding_uid;
  uint64_t regarding_resource_version = 0;
  std::string related_kind, related_api_version, related_ns, related_name, related_uid;  // kind "": no such
  uint64_t related_resource_version = 0;
  Time event_time;
  int32_t series_count = 0;  // > 0: `series` is present
  Time series_last;
};

struct Lease {
  std::string ns, name, holder;
  int32_t duration_seconds = 0, transitions = 0;
  Time acquired, renewed;
  // Written back as read, with unknown fields; opaque to the engine.
  std::string resource_version;
  std::shared_ptr<const void> original;
};

// Binds a volume to a claim: spec.claimRef. Optimistic: kConflict where the volume has another version.
struct VolumeBindRequest {
  std::string volume;
  uint64_t resource_version = 0;
  std::string claim_ns, claim_name, claim_uid;
  uint64_t claim_version = 0;
  bool by_controller = false;  // sets the annotation pv.kubernetes.io/bound-by-controller
};

// Has a claim provisioned for a node: the annotation volume.kubernetes.io/selected-node. Likewise.
struct SelectNodeRequest {
  std::string ns, claim;
  uint64_t resource_version = 0;
  std::string node;
};

// Puts a consumer into a claim's status.reservedFor, and its allocation into a claim that has none.
struct ClaimReservation {
  ClaimPtr claim;                              // as it was read
  std::optional<DeviceAllocation> allocation;  // absent: the claim has one
  ResourceClaim::Consumer consumer;
};

// The claim for what a pod asks for as extended resources: the pod owns it, and it has the annotation
// resource.kubernetes.io/extended-resource-claim. The server chooses its name.
struct ExtendedClaim {
  std::string ns, pod, pod_uid;
  std::vector<DeviceRequest> requests;
};

// A group's status, in the version that it was read in (a PodGroup's).
struct PodGroupStatusPatch {
  Kind kind = Kind::kPodGroup;  // or kCoschedulingPodGroup
  std::string ns, name, uid, api_version;
  // kPodGroup: the condition PodGroupInitiallyScheduled (v1alpha2: PodGroupScheduled).
  PodCondition condition;
  int64_t observed_generation = 0;
  Time transition = absl::InfinitePast();  // likewise
  // kCoschedulingPodGroup.
  std::string phase;
  int32_t scheduled = 0, running = 0, succeeded = 0, failed = 0;
};

class ApiServer {
 public:
  using Done = std::function<void(ApiStatus)>;
  using LeaseDone = std::function<void(ApiStatus, Lease)>;
  using VersionDone = std::function<void(ApiStatus, uint64_t resource_version)>;  // of the object as written
  using ClaimDone = std::function<void(ApiStatus, ClaimPtr)>;                     // as it is now; null unless ok
  virtual ~ApiServer() = default;

  // Streams a kind. resource_version 0: the whole present state first (ADDED..., then kSynced),
  // from a consistent read, whether the server does that by WatchList or by list and watch; else
  // the changes after that version. Pods come without ended ones (the server's field selector);
  // a pod that ends is a kDeleted. A kind that the server does not serve (a CRD that is not installed, an
  // API behind a gate) has no objects: kSynced, and then silence until it is served; the stream then ends
  // normally, so that it is asked again.
  virtual std::unique_ptr<WatchStream> Watch(Kind kind, uint64_t resource_version, WatchHandler handler) = 0;

  virtual void Bind(const BindRequest& request, Done done) = 0;
  virtual void PatchPodStatus(const PodStatusPatch& patch, Done done) = 0;
  virtual void DeletePod(const std::string& ns, const std::string& name, const std::string& uid, Done done) = 0;
  virtual void CreateEvent(const ApiEvent& event, Done done) = 0;
  // Sets an existing event's series (count and last time).
  virtual void PatchEventSeries(const ApiEvent& event, Done done) = 0;

  virtual void PatchPodGroupStatus(const PodGroupStatusPatch& patch, Done done) = 0;

  // Replaces a Queue's status. kInvalid where it has another uid ("" is any).
  virtual void PatchQueueStatus(const std::string& name, const std::string& uid, const QueueStatus& status,
                                Done done) = 0;

  virtual void BindVolume(const VolumeBindRequest& request, VersionDone done) = 0;
  virtual void SelectNode(const SelectNodeRequest& request, VersionDone done) = 0;

  // ResourceClaims; each is sent once, and may have taken effect although its answer was lost. Writes that are given a
  // claim hold for its uid and resource_version alone, else kConflict. kInvalid: what the server will never take, such
  // as an allocation where there is another.
  virtual void GetClaim(const std::string& ns, const std::string& name, ClaimDone done) = 0;
  // Adds or removes resource.kubernetes.io/delete-protection. A claim that is to be deleted goes with it.
  virtual void SetClaimFinalizer(const ClaimPtr& claim, bool wanted, ClaimDone done) = 0;
  virtual void ReserveClaim(const ClaimReservation& reservation, ClaimDone done) = 0;
  // Empties status: allocation, reservedFor and devices.
  virtual void DeallocateClaim(const ClaimPtr& claim, ClaimDone done) = 0;
  // Takes a consumer out of status.reservedFor, if it is there, whatever the claim's version. kInvalid: another uid.
  virtual void UnreserveClaim(const std::string& ns, const std::string& name, const std::string& uid,
                              const std::string& consumer_uid, ClaimDone done) = 0;
  // Whoever asks again may have made two.
  virtual void CreateClaim(const ExtendedClaim& claim, ClaimDone done) = 0;
  // A claim with a finalizer stays, deleting, until that is removed. kConflict: another uid ("" is any).
  virtual void DeleteClaim(const std::string& ns, const std::string& name, const std::string& uid, Done done) = 0;

  virtual void GetLease(const std::string& ns, const std::string& name, LeaseDone done) = 0;
  virtual void CreateLease(const Lease& lease, LeaseDone done) = 0;
  virtual void UpdateLease(const Lease& lease, LeaseDone done) = 0;  // optimistic: kConflict
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_RUNTIME_API_SERVER_H_
