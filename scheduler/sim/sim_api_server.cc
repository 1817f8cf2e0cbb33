#include "scheduler/sim/sim_api_server.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "scheduler/model/device.h"
#include "scheduler/model/pod_group.h"
#include "scheduler/model/volume_objects.h"
#include "scheduler/sim/api_errors.h"

namespace muster {

// One open watch. The client's Stream shares it, so that either side may go first.
struct SimApiServer::Watcher {
  Kind kind;
  WatchHandler handler;
  bool open = true;
  bool synced = false;     // the initial state was sent
  bool scheduled = false;  // a delivery is under way
  bool bookmark_scheduled = false;
  uint64_t position = 0;  // next entry of the history to send
  uint64_t sent = 0;      // resourceVersion the client knows of
};

class SimApiServer::Stream final : public WatchStream {
 public:
  explicit Stream(std::shared_ptr<Watcher> watcher) : watcher_(std::move(watcher)) {}
  ~Stream() override { watcher_->open = false; }

 private:
  std::shared_ptr<Watcher> watcher_;
};

namespace {

std::string Key(const std::string& ns, const std::string& name) { return absl::StrCat(ns, "/", name); }

template <typename T>
std::shared_ptr<Object> CopyAs(const Object& object) {
  return std::make_shared<T>(static_cast<const T&>(object));
}

std::shared_ptr<Object> Copy(Kind kind, const Object& object) {
  switch (kind) {
    case Kind::kPod:
    case Kind::kNode: break;  // no Objects
    case Kind::kNamespace: return CopyAs<Namespace>(object);
    case Kind::kService:
    case Kind::kReplicationController:
    case Kind::kReplicaSet:
    case Kind::kStatefulSet: return CopyAs<WorkloadSelector>(object);
    case Kind::kPodDisruptionBudget: return CopyAs<DisruptionBudget>(object);
    case Kind::kPersistentVolume: return CopyAs<PersistentVolume>(object);
    case Kind::kPersistentVolumeClaim: return CopyAs<PersistentVolumeClaim>(object);
    case Kind::kStorageClass: return CopyAs<StorageClass>(object);
    case Kind::kCSINode: return CopyAs<CSINode>(object);
    case Kind::kCSIDriver: return CopyAs<CSIDriver>(object);
    case Kind::kCSIStorageCapacity: return CopyAs<CSIStorageCapacity>(object);
    case Kind::kVolumeAttachment: return CopyAs<VolumeAttachment>(object);
    case Kind::kPodGroup:
    case Kind::kCoschedulingPodGroup: return CopyAs<PodGroup>(object);
    case Kind::kTopology:
    case Kind::kKueueTopology: return CopyAs<Topology>(object);
    case Kind::kQueue: return CopyAs<Queue>(object);
    case Kind::kResourceFlavor: return CopyAs<ResourceFlavor>(object);
    case Kind::kResourceClaim: return CopyAs<ResourceClaim>(object);
    case Kind::kResourceSlice: return CopyAs<ResourceSlice>(object);
    case Kind::kDeviceClass: return CopyAs<DeviceClass>(object);
    case Kind::kDeviceTaintRule: return CopyAs<DeviceTaintRule>(object);
  }
  return nullptr;
}

}  // namespace

SimApiServer::SimApiServer(EventLoop& loop, Options options) : loop_(loop), options_(options) {}
SimApiServer::SimApiServer(EventLoop& loop) : SimApiServer(loop, Options()) {}

SimApiServer::~SimApiServer() {
  for (const auto& watcher : watchers_) watcher->open = false;
}

void SimApiServer::After(Duration delay, std::function<void()> fn) {
  ++under_way_;
  loop_.After(delay, [this, fn = std::move(fn)] {
    --under_way_;
    fn();
  });
}

// ---- Writes --------------------------------------------------------------------------------------

void SimApiServer::SetPod(const PodPtr& before, std::shared_ptr<Pod> after) {
  after->resource_version = ++version_;
  const PodPtr pod = std::move(after);
  pods_[pod->Key()] = pod;
  for (Observer* observer : observers_) observer->OnPod(before, pod);
  const bool was_seen = before != nullptr && !before->ended;
  if (pod->ended && !was_seen) return;
  const auto type =
      pod->ended ? WatchEvent::Type::kDeleted : (was_seen ? WatchEvent::Type::kModified : WatchEvent::Type::kAdded);
  Append(Kind::kPod, {type, version_, pod});
}

void SimApiServer::RemovePod(const PodPtr& pod) {
  pods_.erase(pod->Key());
  auto last = std::make_shared<Pod>(*pod);
  last->resource_version = ++version_;
  for (Observer* observer : observers_) observer->OnPod(pod, nullptr);
  if (!pod->ended) Append(Kind::kPod, {WatchEvent::Type::kDeleted, version_, PodPtr(std::move(last))});
}

void SimApiServer::SetNode(const NodePtr& before, std::shared_ptr<Node> after) {
  after->resource_version = ++version_;
  const NodePtr node = std::move(after);
  nodes_[node->name] = node;
  for (Observer* observer : observers_) observer->OnNode(before, node);
  Append(Kind::kNode, {before == nullptr ? WatchEvent::Type::kAdded : WatchEvent::Type::kModified, version_, node});
}

absl::Status SimApiServer::CreatePod(Pod pod) {
  if (FindPod(pod.ns(), pod.name) != nullptr)
    return absl::AlreadyExistsError(absl::StrCat("pods \"", pod.name, "\" already exists"));
  if (pod.uid.empty()) pod.uid = absl::StrFormat("00000000-0000-4000-8000-%012x", ++uids_);
  if (pod.created == Time()) pod.created = loop_.Now();
  SetPod(nullptr, std::make_shared<Pod>(std::move(pod)));
  return absl::OkStatus();
}

absl::Status SimApiServer::UpdatePod(const std::string& ns, const std::string& name,
                                     const std::function<void(Pod&)>& change) {
  const PodPtr before = FindPod(ns, name);
  if (before == nullptr) return absl::NotFoundError(NotFound("pods", name).message);
  auto after = std::make_shared<Pod>(*before);
  change(*after);
  SetPod(before, std::move(after));
  return absl::OkStatus();
}

absl::Status SimApiServer::EndPod(const std::string& ns, const std::string& name) {
  return UpdatePod(ns, name, [](Pod& pod) { pod.ended = true; });
}

absl::Status SimApiServer::CreateNode(Node node) {
  if (nodes_.contains(node.name))
    return absl::AlreadyExistsError(absl::StrCat("nodes \"", node.name, "\" already exists"));
  if (node.uid.empty()) node.uid = absl::StrFormat("00000000-0000-4000-9000-%012x", ++uids_);
  SetNode(nullptr, std::make_shared<Node>(std::move(node)));
  return absl::OkStatus();
}

absl::Status SimApiServer::UpdateNode(const std::string& name, const std::function<void(Node&)>& change) {
  const NodePtr before = FindNode(name);
  if (before == nullptr) return absl::NotFoundError(NotFound("nodes", name).message);
  auto after = std::make_shared<Node>(*before);
  change(*after);
  SetNode(before, std::move(after));
  return absl::OkStatus();
}

absl::Status SimApiServer::DeleteNode(const std::string& name) {
  const NodePtr node = FindNode(name);
  if (node == nullptr) return absl::NotFoundError(NotFound("nodes", name).message);
  nodes_.erase(node->name);
  auto last = std::make_shared<Node>(*node);
  last->resource_version = ++version_;
  for (Observer* observer : observers_) observer->OnNode(node, nullptr);
  Append(Kind::kNode, {WatchEvent::Type::kDeleted, version_, NodePtr(std::move(last))});
  return absl::OkStatus();
}

ObjectPtr SimApiServer::SetObject(Kind kind, const Object& object) {
  const std::shared_ptr<Object> after = Copy(kind, object);
  after->resource_version = ++version_;
  const ObjectPtr before = objects_.Find(kind, after->ns, after->name);
  if (kind == Kind::kQueue) {
    auto& queue = static_cast<Queue&>(*after);
    const auto* old = static_cast<const Queue*>(before.get());
    if (old != nullptr && queue.uid.empty()) queue.uid = old->uid;
    if (queue.generation == 0) queue.generation = old == nullptr ? 1 : old->generation + 1;  // a spec that is new
  }
  if (after->uid.empty()) after->uid = absl::StrFormat("00000000-0000-4000-a000-%012x", ++uids_);
  objects_.Set(kind, after);
  for (Observer* observer : observers_) observer->OnObject(kind, before, after);
  Append(kind,
         {before != nullptr ? WatchEvent::Type::kModified : WatchEvent::Type::kAdded, version_, ObjectPtr(after)});
  return after;
}

absl::Status SimApiServer::RemoveObject(Kind kind, const std::string& ns, const std::string& name) {
  const ObjectPtr object = FindObject(kind, ns, name);
  if (object == nullptr) return absl::NotFoundError(absl::StrCat(AsAbsl(KindName(kind)), " \"", name, "\" not found"));
  const std::shared_ptr<Object> last = Copy(kind, *object);
  last->resource_version = ++version_;
  objects_.Remove(kind, ns, name);
  if (kind == Kind::kQueue) queue_status_.erase(name);
  for (Observer* observer : observers_) observer->OnObject(kind, object, nullptr);
  Append(kind, {WatchEvent::Type::kDeleted, version_, ObjectPtr(last)});
  return absl::OkStatus();
}

ApiStatus SimApiServer::BindNow(const BindRequest& request) {
  const PodPtr pod = FindPod(request.ns, request.name);
  if (pod == nullptr) return NotFound("pods", request.name);
  if (!request.uid.empty() && request.uid != pod->uid)
    return UidConflict("pods", pod->Key(), pod->name, request.uid, pod->uid);
  const auto refuse = [&](const std::string& why) { return Conflict("pods/binding", pod->name, why); };
  if (pod->deleting) return refuse(absl::StrCat("pod ", pod->name, " is being deleted, cannot be assigned to a host"));
  if (!pod->node.empty())
    return refuse(absl::StrCat("pod ", pod->name, " is already assigned to node \"", pod->node, "\""));
  if (!pod->scheduling_gates.empty())
    return refuse(absl::StrCat("pod ", pod->name, " has non-empty .spec.schedulingGates"));
  auto bound = std::make_shared<Pod>(*pod);
  bound->node = request.node;
  bound->nominated_node.clear();
  bound->scheduled = {true, "True", "", ""};
  ++binds_;
  SetPod(pod, std::move(bound));
  return {};
}

ApiStatus SimApiServer::PatchPodStatusNow(const PodStatusPatch& patch) {
  const PodPtr pod = FindPod(patch.ns, patch.name);
  if (pod == nullptr) return NotFound("pods", patch.name);
  if (!patch.uid.empty() && patch.uid != pod->uid)
    return UidConflict("pods", pod->Key(), pod->name, patch.uid, pod->uid);
  const bool new_condition = patch.condition.present && !(patch.condition == pod->scheduled);
  const bool new_nomination = patch.set_nominated_node && patch.nominated_node != pod->nominated_node;
  const bool new_disruption = !patch.preempted_message.empty() && !pod->preempted;
  const bool new_claim = !patch.extended.claim.empty() && patch.extended.claim != pod->extended_claim;
  if (!new_condition && !new_nomination && !new_disruption && !new_claim)
    return {};  // the server writes nothing where nothing changes
  auto patched = std::make_shared<Pod>(*pod);
  if (new_condition) patched->scheduled = patch.condition;
  patched->preempted |= new_disruption;
  if (new_nomination) patched->nominated_node = patch.nominated_node;
  if (new_claim) patched->extended_claim = patch.extended.claim;
  SetPod(pod, std::move(patched));
  return {};
}

ApiStatus SimApiServer::PatchPodGroupStatusNow(const PodGroupStatusPatch& patch) {
  const bool native = patch.kind == Kind::kPodGroup;
  const std::string resource = native ? "podgroups.scheduling.k8s.io" : "podgroups.scheduling.x-k8s.io";
  const ObjectPtr object = FindObject(patch.kind, patch.ns, patch.name);
  if (object == nullptr) return NotFound(resource, patch.name);
  const auto& group = static_cast<const PodGroup&>(*object);
  if (!patch.uid.empty() && patch.uid != group.uid)
    return UidConflict(resource, Key(group.ns, group.name), group.name, patch.uid, group.uid);
  PodGroup patched = group;
  if (native) {
    if (patch.condition.present) patched.scheduled = patch.condition;
  } else {
    patched.phase = patch.phase;
    patched.members_scheduled = patch.scheduled;
    patched.members_running = patch.running;
    patched.members_succeeded = patch.succeeded;
    patched.members_failed = patch.failed;
  }
  const auto status = [](const PodGroup& g) {
    return std::tie(g.scheduled, g.phase, g.members_scheduled, g.members_running, g.members_succeeded,
                    g.members_failed);
  };
  if (status(patched) != status(group)) SetObject(patch.kind, patched);
  return {};
}

ApiStatus SimApiServer::PatchQueueStatusNow(const std::string& name, const std::string& uid,
                                            const QueueStatus& status) {
  constexpr char kQueues[] = "queues.muster.dev";
  const ObjectPtr object = FindObject(Kind::kQueue, "", name);
  if (object == nullptr) return NotFound(kQueues, name);
  if (!uid.empty() && uid != object->uid)
    return {ApiCode::kInvalid, "the server rejected our request due to an error in our request", {}};
  const auto [stored, added] = queue_status_.try_emplace(name);
  if (!added && stored->second == status) return {};
  stored->second = status;
  Queue patched = static_cast<const Queue&>(*object);
  patched.ready = status.ready;
  SetObject(Kind::kQueue, patched);
  return {};
}

ApiStatus SimApiServer::DeletePodNow(const std::string& ns, const std::string& name, const std::string& uid) {
  const PodPtr pod = FindPod(ns, name);
  if (pod == nullptr) return NotFound("pods", name);
  if (!uid.empty() && uid != pod->uid) return UidConflict("pods", pod->Key(), name, uid, pod->uid);
  if (pod->node.empty() || pod->ended) {
    RemovePod(pod);
    return {};
  }
  if (pod->deleting) return {};
  auto deleting = std::make_shared<Pod>(*pod);
  deleting->deleting = true;
  SetPod(pod, std::move(deleting));
  After(options_.termination, [this, ns = pod->ns(), name = pod->name, uid = pod->uid] {
    const PodPtr last = FindPod(ns, name);
    if (last != nullptr && last->uid == uid) RemovePod(last);
  });
  return {};
}

// ---- Requests of the port --------------------------------------------------------------------------

void SimApiServer::Bind(const BindRequest& request, Done done) {
  Request([this, request] { return BindNow(request); }, std::move(done));
}

void SimApiServer::PatchPodStatus(const PodStatusPatch& patch, Done done) {
  Request([this, patch] { return PatchPodStatusNow(patch); }, std::move(done));
}

void SimApiServer::PatchPodGroupStatus(const PodGroupStatusPatch& patch, Done done) {
  Request([this, patch] { return PatchPodGroupStatusNow(patch); }, std::move(done));
}

void SimApiServer::PatchQueueStatus(const std::string& name, const std::string& uid, const QueueStatus& status,
                                    Done done) {
  Request([this, name, uid, status] { return PatchQueueStatusNow(name, uid, status); }, std::move(done));
}

void SimApiServer::DeletePod(const std::string& ns, const std::string& name, const std::string& uid, Done done) {
  Request([this, ns, name, uid] { return DeletePodNow(ns, name, uid); }, std::move(done));
}

void SimApiServer::CreateEvent(const ApiEvent& event, Done done) {
  Request(
      [this, event]() -> ApiStatus {
        ++event_writes_;
        if (!options_.keep_events) return {};
        if (events_.try_emplace(Key(event.ns, event.name), event).second) return {};
        return {ApiCode::kAlreadyExists, absl::StrCat("events.events.k8s.io \"", event.name, "\" already exists"), {}};
      },
      std::move(done));
}

void SimApiServer::PatchEventSeries(const ApiEvent& event, Done done) {
  Request(
      [this, event]() -> ApiStatus {
        ++event_writes_;
        if (!options_.keep_events) return {};
        const auto it = events_.find(Key(event.ns, event.name));
        if (it == events_.end()) return NotFound("events.events.k8s.io", event.name);
        it->second.series_count = event.series_count;
        it->second.series_last = event.series_last;
        return {};
      },
      std::move(done));
}

namespace {
using WriteResult = std::pair<ApiStatus, uint64_t>;

auto Unpack(ApiServer::VersionDone done) {
  return [done = std::move(done)](WriteResult result) { done(std::move(result.first), result.second); };
}
}  // namespace

void SimApiServer::BindVolume(const VolumeBindRequest& request, VersionDone done) {
  Request(
      [this, request]() -> WriteResult {
        const ObjectPtr object = FindObject(Kind::kPersistentVolume, "", request.volume);
        if (object == nullptr) return {NotFound("persistentvolumes", request.volume), 0};
        if (object->resource_version != request.resource_version)
          return {Conflict("persistentvolumes", request.volume, kWasModified), 0};
        PersistentVolume volume = static_cast<const PersistentVolume&>(*object);
        volume.claim_ref = ClaimReference{request.claim_ns, request.claim_name, request.claim_uid};
        volume.bound_by_controller |= request.by_controller;
        return {ApiStatus(), SetObject(Kind::kPersistentVolume, volume)->resource_version};
      },
      Unpack(std::move(done)));
}

void SimApiServer::SelectNode(const SelectNodeRequest& request, VersionDone done) {
  Request(
      [this, request]() -> WriteResult {
        const ObjectPtr object = FindObject(Kind::kPersistentVolumeClaim, request.ns, request.claim);
        if (object == nullptr) return {NotFound("persistentvolumeclaims", request.claim), 0};
        if (object->resource_version != request.resource_version)
          return {Conflict("persistentvolumeclaims", request.claim, kWasModified), 0};
        PersistentVolumeClaim claim = static_cast<const PersistentVolumeClaim&>(*object);
        if (claim.selected_node == request.node) return {ApiStatus(), object->resource_version};  // no change, no write
        claim.selected_node = request.node;
        return {ApiStatus(), SetObject(Kind::kPersistentVolumeClaim, claim)->resource_version};
      },
      Unpack(std::move(done)));
}

namespace {
using LeaseResult = std::pair<ApiStatus, Lease>;
constexpr char kLeases[] = "leases.coordination.k8s.io";

auto Unpack(ApiServer::LeaseDone done) {
  return [done = std::move(done)](LeaseResult result) { done(std::move(result.first), std::move(result.second)); };
}
}  // namespace

void SimApiServer::GetLease(const std::string& ns, const std::string& name, LeaseDone done) {
  Request(
      [this, ns, name]() -> LeaseResult {
        const auto it = leases_.find(Key(ns, name));
        if (it == leases_.end()) return {NotFound(kLeases, name), {}};
        return {ApiStatus(), it->second};
      },
      Unpack(std::move(done)));
}

void SimApiServer::CreateLease(const Lease& lease, LeaseDone done) {
  Request(
      [this, lease]() -> LeaseResult {
        const auto [it, added] = leases_.try_emplace(Key(lease.ns, lease.name), lease);
        if (!added) {
          return {{ApiCode::kAlreadyExists, absl::StrCat(kLeases, " \"", lease.name, "\" already exists"), {}}, {}};
        }
        it->second.resource_version = absl::StrCat(++version_);
        return {ApiStatus(), it->second};
      },
      Unpack(std::move(done)));
}

void SimApiServer::UpdateLease(const Lease& lease, LeaseDone done) {
  Request(
      [this, lease]() -> LeaseResult {
        const auto it = leases_.find(Key(lease.ns, lease.name));
        if (it == leases_.end()) return {NotFound(kLeases, lease.name), {}};
        if (it->second.resource_version != lease.resource_version) {
          return {Conflict(kLeases, lease.name, kWasModified), {}};
        }
        it->second = lease;
        it->second.resource_version = absl::StrCat(++version_);
        return {ApiStatus(), it->second};
      },
      Unpack(std::move(done)));
}

// ---- Watches ---------------------------------------------------------------------------------------

std::unique_ptr<WatchStream> SimApiServer::Watch(Kind kind, uint64_t resource_version, WatchHandler handler) {
  auto watcher = std::make_shared<Watcher>();
  watcher->kind = kind;
  watcher->handler = std::move(handler);
  watcher->sent = resource_version;
  After(options_.watch_latency, [this, watcher] { Start(watcher); });
  return std::make_unique<Stream>(std::move(watcher));
}

void SimApiServer::Start(const std::shared_ptr<Watcher>& watcher) {
  if (!watcher->open) return;
  History& history = history_[Index(watcher->kind)];
  if (watcher->sent != 0) {
    if (watcher->sent < history.trimmed) {
      End(watcher, {ApiCode::kGone,
                    absl::StrCat("too old resource version: ", watcher->sent, " (", history.trimmed + 1, ")"),
                    {}});
      return;
    }
    const auto first = std::partition_point(history.entries.begin(), history.entries.end(),
                                            [&](const Entry& e) { return e.event.resource_version <= watcher->sent; });
    watcher->position = history.first + static_cast<uint64_t>(first - history.entries.begin());
    watcher->synced = true;
    watchers_.push_back(watcher);
    Deliver(watcher);
    return;
  }
  std::vector<WatchEvent> state;
  if (watcher->kind == Kind::kNode) {
    state.reserve(nodes_.size() + 1);
    for (const auto& [name, node] : nodes_) state.push_back({WatchEvent::Type::kAdded, node->resource_version, node});
  } else if (watcher->kind != Kind::kPod) {
    for (const auto& [key, object] : objects_.All(watcher->kind)) {
      state.push_back({WatchEvent::Type::kAdded, object->resource_version, object});
    }
  } else {
    state.reserve(pods_.size() + 1);
    for (PodPtr& pod : Pods()) {
      if (pod->ended) continue;
      const uint64_t version = pod->resource_version;
      state.push_back({WatchEvent::Type::kAdded, version, std::move(pod)});
    }
  }
  state.push_back({WatchEvent::Type::kSynced, version_, {}});
  watcher->position = history.end();
  watcher->sent = version_;
  watcher->synced = true;
  watchers_.push_back(watcher);
  watcher->handler.on_events(std::move(state));
}

void SimApiServer::Append(Kind kind, WatchEvent event) {
  History& history = history_[Index(kind)];
  history.entries.push_back({loop_.Now(), std::move(event)});
  std::erase_if(watchers_, [](const auto& watcher) { return !watcher->open; });
  for (const auto& watcher : watchers_) {
    if (watcher->kind == kind) {
      Schedule(watcher, loop_.Now() + options_.watch_latency);
    } else {
      ScheduleBookmark(watcher);
    }
  }
  TrimHistory(kind);
}

void SimApiServer::TrimHistory(Kind kind) {
  History& history = history_[Index(kind)];
  if (history.entries.size() <= options_.history) return;
  // An open watch has a buffer of its own on a real server: what it has yet to see stays.
  uint64_t needed = history.end();
  for (const auto& watcher : watchers_) {
    if (watcher->open && watcher->kind == kind) needed = std::min(needed, watcher->position);
  }
  while (history.entries.size() > options_.history && history.first < needed) {
    history.trimmed = history.entries.front().event.resource_version;
    history.entries.pop_front();
    ++history.first;
  }
}

void SimApiServer::Schedule(const std::shared_ptr<Watcher>& watcher, Time when) {
  if (watcher->scheduled) return;
  watcher->scheduled = true;
  After(when - loop_.Now(), [this, watcher] {
    watcher->scheduled = false;
    Deliver(watcher);
  });
}

void SimApiServer::Deliver(const std::shared_ptr<Watcher>& watcher) {
  if (!watcher->open) return;
  History& history = history_[Index(watcher->kind)];
  std::vector<WatchEvent> events;
  for (; watcher->position < history.end(); ++watcher->position) {
    const Entry& entry = history.entries[watcher->position - history.first];
    if (entry.at + options_.watch_latency > loop_.Now()) {
      Schedule(watcher, entry.at + options_.watch_latency);
      break;
    }
    events.push_back(entry.event);
  }
  if (events.empty()) return;
  watcher->sent = events.back().resource_version;
  watcher->handler.on_events(std::move(events));
}

void SimApiServer::ScheduleBookmark(const std::shared_ptr<Watcher>& watcher) {
  if (watcher->bookmark_scheduled) return;
  watcher->bookmark_scheduled = true;
  // Not counted as under way: a bookmark changes nothing that a scheduler decides.
  loop_.After(options_.bookmark_interval, [this, watcher] {
    watcher->bookmark_scheduled = false;
    // A bookmark says that all before it was sent: not true while events wait.
    if (!watcher->open || watcher->position < history_[Index(watcher->kind)].end() || watcher->sent >= version_) return;
    watcher->sent = version_;
    watcher->handler.on_events({{WatchEvent::Type::kBookmark, version_, {}}});
  });
}

void SimApiServer::End(const std::shared_ptr<Watcher>& watcher, ApiStatus why) {
  if (!watcher->open) return;
  watcher->open = false;
  watcher->handler.on_end(std::move(why));
}

void SimApiServer::CutWatches(Kind kind, ApiStatus why) {
  for (const auto& watcher : std::vector(watchers_)) {
    if (watcher->kind == kind) After(absl::ZeroDuration(), [this, watcher, why] { End(watcher, why); });
  }
}

void SimApiServer::Compact() {
  for (size_t i = 0; i < kKindCount; ++i) {
    const auto kind = static_cast<Kind>(i);
    const size_t window = std::exchange(options_.history, 0);
    TrimHistory(kind);
    options_.history = window;
    // Also what was never an event of this kind is history now.
    if (history_[Index(kind)].entries.empty()) history_[Index(kind)].trimmed = version_;
  }
}

// ---- Reading ---------------------------------------------------------------------------------------

PodPtr SimApiServer::FindPod(const std::string& ns, const std::string& name) const {
  const auto it = pods_.find(Key(ns, name));
  return it == pods_.end() ? nullptr : it->second;
}

NodePtr SimApiServer::FindNode(const std::string& name) const {
  const auto it = nodes_.find(name);
  return it == nodes_.end() ? nullptr : it->second;
}

ObjectPtr SimApiServer::FindObject(Kind kind, const std::string& ns, const std::string& name) const {
  return objects_.Find(kind, ns, name);
}

const QueueStatus* SimApiServer::FindQueueStatus(const std::string& name) const {
  const auto it = queue_status_.find(name);
  return it == queue_status_.end() ? nullptr : &it->second;
}

std::vector<PodPtr> SimApiServer::Pods() const {
  std::vector<PodPtr> pods;
  pods.reserve(pods_.size());
  for (const auto& [key, pod] : pods_) pods.push_back(pod);  // any order: sorted next
  std::sort(pods.begin(), pods.end(), [](const PodPtr& a, const PodPtr& b) {
    const int order = a->ns().compare(b->ns());
    return order != 0 ? order < 0 : a->name < b->name;
  });
  return pods;
}

}  // namespace muster
