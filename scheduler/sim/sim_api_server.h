// The API server in memory: the ApiServer port on model objects, with the real server's
// resourceVersions, watches, preconditions and messages.
//
// Objects are immutable; a write replaces the pointer. A request takes effect half its latency
// after it was sent and is answered after the other half, so that other writes can come between.
// The methods of "the rest of the cluster" take effect at once.
//
// Owner: the thread of the event loop. It must outlive the loop's events.
#ifndef MUSTER_SCHEDULER_SIM_SIM_API_SERVER_H_
#define MUSTER_SCHEDULER_SIM_SIM_API_SERVER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "scheduler/model/cluster_objects.h"
#include "scheduler/runtime/api_server.h"
#include "scheduler/runtime/event_loop.h"

namespace muster {

class SimApiServer final : public ApiServer {
 public:
  struct Options {
    Duration request_latency = absl::Milliseconds(2);  // from request to answer
    Duration watch_latency = absl::Milliseconds(1);    // from write to event
    Duration bookmark_interval = absl::Minutes(1);     // only after writes that the watch does not show
    Duration termination = absl::Seconds(1);           // from a bound pod's deletion to its end
    size_t history = 100'000;                          // events a kind that a watch may resume from
    bool keep_events = true;                           // store Events, not only count them
  };

  // Told of every change at the moment it happens, before any watch: pointers are null for an
  // object that did not exist before or does not after. An observer may write to the server only
  // from a later event.
  class Observer {
   public:
    virtual ~Observer() = default;
    virtual void OnPod(const PodPtr& before, const PodPtr& after) = 0;
    virtual void OnNode(const NodePtr& before, const NodePtr& after) = 0;
    virtual void OnObject(Kind, const ObjectPtr& before, const ObjectPtr& after) { (void)before, (void)after; }
  };

  SimApiServer(EventLoop& loop, Options options);
  explicit SimApiServer(EventLoop& loop);
  ~SimApiServer() override;

  // --- The port --------------------------------------------------------------------------------
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
  void GetLease(const std::string& ns, const std::string& name, LeaseDone done) override;
  void CreateLease(const Lease& lease, LeaseDone done) override;
  void UpdateLease(const Lease& lease, LeaseDone done) override;

  // --- The rest of the cluster: at once ----------------------------------------------------------
  // Sets resource_version, and uid and creation time where they are empty. A pod with a node set
  // is one that runs already. Error: the name is taken.
  absl::Status CreatePod(Pod pod);
  // Error: no such pod.
  absl::Status UpdatePod(const std::string& ns, const std::string& name, const std::function<void(Pod&)>& change);
  // The pod succeeded or failed: it stays readable and leaves its node and all watches.
  absl::Status EndPod(const std::string& ns, const std::string& name);
  absl::Status CreateNode(Node node);
  absl::Status UpdateNode(const std::string& name, const std::function<void(Node&)>& change);
  // Pods of the node stay until someone deletes them (see Kubelet).
  absl::Status DeleteNode(const std::string& name);
  // Creates or replaces an object of any kind but Pod and Node; it must be of the kind's type. Sets
  // resource_version, and uid where it is empty. Returns it as stored.
  ObjectPtr SetObject(Kind kind, const Object& object);
  // Error: no such object.
  absl::Status RemoveObject(Kind kind, const std::string& ns, const std::string& name);
  // What the requests of the port do, for other actors and for tests. uid "" is no precondition.
  ApiStatus BindNow(const BindRequest& request);
  ApiStatus PatchPodStatusNow(const PodStatusPatch& patch);
  ApiStatus PatchPodGroupStatusNow(const PodGroupStatusPatch& patch);
  ApiStatus PatchQueueStatusNow(const std::string& name, const std::string& uid, const QueueStatus& status);
  ApiStatus DeleteClaimNow(const std::string& ns, const std::string& name, const std::string& uid);
  // A bound pod that has not ended gets its deletion time and goes after Options::termination.
  ApiStatus DeletePodNow(const std::string& ns, const std::string& name, const std::string& uid);

  // --- Trouble -----------------------------------------------------------------------------------
  // Ends every open watch of a kind.
  void CutWatches(Kind kind, ApiStatus why);
  // Forgets the history: a watch that resumes from before now ends with kGone.
  void Compact();

  // --- Reading -----------------------------------------------------------------------------------
  PodPtr FindPod(const std::string& ns, const std::string& name) const;  // null if there is none
  NodePtr FindNode(const std::string& name) const;
  // Of any kind but Pod and Node.
  ObjectPtr FindObject(Kind kind, const std::string& ns, const std::string& name) const;
  const ClusterObjects& objects() const { return objects_; }
  // As last written; null for a Queue that there is not, or that has none.
  const QueueStatus* FindQueueStatus(const std::string& name) const;
  std::vector<PodPtr> Pods() const;  // in order of namespace/name, ended ones too
  const absl::btree_map<std::string, NodePtr, std::less<>>& nodes() const { return nodes_; }
  // By "namespace/name" of the Event; empty unless Options::keep_events.
  const absl::btree_map<std::string, ApiEvent>& events() const { return events_; }
  uint64_t event_writes() const { return event_writes_; }
  uint64_t binds() const { return binds_; }  // that took effect
  uint64_t resource_version() const { return version_; }
  // No request, answer, watch event or termination is under way.
  bool Idle() const { return under_way_ == 0; }

  // Not owned; must outlive the server or be removed.
  void AddObserver(Observer* observer) { observers_.push_back(observer); }
  void RemoveObserver(Observer* observer) { std::erase(observers_, observer); }

 private:
  struct Watcher;
  class Stream;
  struct Entry {
    Time at;
    WatchEvent event;
  };
  struct History {
    std::deque<Entry> entries;
    uint64_t first = 0;    // absolute index of entries.front()
    uint64_t trimmed = 0;  // resourceVersion of the last entry that was dropped
    uint64_t end() const { return first + entries.size(); }
  };

  static size_t Index(Kind kind) { return static_cast<size_t>(kind); }
  // Calls `answer` after the latency with what `effect` gave half-way.
  template <typename Effect, typename Answer>
  void Request(Effect effect, Answer answer) {
    After(options_.request_latency / 2, [this, effect = std::move(effect), answer = std::move(answer)]() mutable {
      After(options_.request_latency / 2,
            [result = effect(), answer = std::move(answer)]() mutable { answer(std::move(result)); });
    });
  }
  // claims/claim_writes.cc: what `change` makes of a claim's status, if the server would take that.
  using ClaimResult = std::pair<ApiStatus, ClaimPtr>;
  ClaimResult WriteClaim(const ClaimPtr& read, const std::function<ApiStatus(ResourceClaim&)>& change);
  ClaimResult StoreClaim(const ResourceClaim& before, const ResourceClaim& after);
  void After(Duration delay, std::function<void()> fn);  // counts as under way

  void SetPod(const PodPtr& before, std::shared_ptr<Pod> after);
  void RemovePod(const PodPtr& pod);
  void SetNode(const NodePtr& before, std::shared_ptr<Node> after);
  void Append(Kind kind, WatchEvent event);
  void Start(const std::shared_ptr<Watcher>& watcher);
  void Schedule(const std::shared_ptr<Watcher>& watcher, Time when);
  void Deliver(const std::shared_ptr<Watcher>& watcher);
  void ScheduleBookmark(const std::shared_ptr<Watcher>& watcher);
  void End(const std::shared_ptr<Watcher>& watcher, ApiStatus why);
  void TrimHistory(Kind kind);

  EventLoop& loop_;
  Options options_;
  uint64_t version_ = 1;
  uint64_t uids_ = 0;
  uint64_t binds_ = 0;
  uint64_t event_writes_ = 0;
  size_t under_way_ = 0;
  absl::flat_hash_map<std::string, PodPtr> pods_;  // by namespace/name
  absl::btree_map<std::string, NodePtr, std::less<>> nodes_;
  ClusterObjects objects_;
  absl::btree_map<std::string, QueueStatus> queue_status_;  // by name; what Queue itself has no room for
  absl::btree_map<std::string, ApiEvent> events_;
  absl::btree_map<std::string, Lease> leases_;
  std::array<History, kKindCount> history_;
  std::vector<std::shared_ptr<Watcher>> watchers_;
  std::vector<Observer*> observers_;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_SIM_SIM_API_SERVER_H_
