#include "scheduler/kube/kube_api_server.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "scheduler/kube/optional_watch.h"
#include "scheduler/runtime/log.h"
#include "scheduler/wire/encode.h"

namespace muster {
namespace {

constexpr char kStrategicMerge[] = "application/strategic-merge-patch+json";
constexpr char kJson[] = "application/json";
// Upstream's rhythm for a status patch: 10 ms, 50 ms, 250 ms.
constexpr int kPatchTries = 4;
constexpr Duration kPatchWait = absl::Milliseconds(10);
constexpr int kWaitFactor = 5;
// An event is worth less: 1 s, 5 s, 25 s.
constexpr int kEventTries = 4;
constexpr Duration kEventWait = absl::Seconds(1);

std::string NamespacedPath(std::string_view group, std::string_view ns, std::string_view resource,
                           std::string_view name = "") {
  std::string path(group);
  path.append("/namespaces/").append(UrlEscape(ns)).append("/").append(resource);
  if (!name.empty()) path.append("/").append(UrlEscape(name));
  return path;
}
std::string PodPath(std::string_view ns, std::string_view name) { return NamespacedPath("/api/v1", ns, "pods", name); }
std::string EventPath(std::string_view ns, std::string_view name = "") {
  return NamespacedPath("/apis/events.k8s.io/v1", ns, "events", name);
}
std::string LeasePath(std::string_view ns, std::string_view name = "") {
  return NamespacedPath("/apis/coordination.k8s.io/v1", ns, "leases", name);
}

std::string Describe(const HttpRequest& request) { return absl::StrCat(request.method, " ", request.path); }

nlohmann::json ConditionJson(const PodStatusPatch& patch, const char* type, const std::string& status,
                             const std::string& reason, const std::string& message) {
  nlohmann::json condition = {{"type", type}, {"status", status}, {"reason", reason}, {"message", message}};
  if (patch.observed_generation != 0) condition["observedGeneration"] = patch.observed_generation;
  if (patch.transition != absl::InfinitePast())
    condition["lastTransitionTime"] = absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", patch.transition, absl::UTCTimeZone());
  return condition;
}

nlohmann::json StatusPatch(const PodStatusPatch& patch) {
  nlohmann::json status = nlohmann::json::object();
  const PodCondition& c = patch.condition;
  if (c.present) status["conditions"].push_back(ConditionJson(patch, "PodScheduled", c.status, c.reason, c.message));
  if (!patch.preempted_message.empty()) {
    status["conditions"].push_back(
        ConditionJson(patch, "DisruptionTarget", "True", "PreemptionByScheduler", patch.preempted_message));
  }
  if (!patch.extended.claim.empty()) {
    nlohmann::json mappings = nlohmann::json::array();
    for (const auto& m : patch.extended.mappings)
      mappings.push_back({{"containerName", m.container}, {"resourceName", m.resource}, {"requestName", m.request}});
    status["extendedResourceClaimStatus"] = {{"requestMappings", std::move(mappings)},
                                             {"resourceClaimName", patch.extended.claim}};
  }
  if (patch.set_nominated_node) {
    status["nominatedNodeName"] =
        patch.nominated_node.empty() ? nlohmann::json() : nlohmann::json(patch.nominated_node);
  }
  nlohmann::json body = {{"status", std::move(status)}};
  if (!patch.uid.empty()) body["metadata"] = {{"uid", patch.uid}};  // refused when it is another pod by now
  return body;
}

// Texts that are not UTF-8 (they come from objects, so they should be) do not stop a write.
std::string Dump(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

LeaseRecord ToRecord(const Lease& lease) {
  return {lease.ns,       lease.name,    lease.holder,           lease.duration_seconds, lease.transitions,
          lease.acquired, lease.renewed, lease.resource_version, lease.original};
}

}  // namespace

class KubeApiServer::Stream final : public WatchStream {
 public:
  Stream(HttpClient& http, std::shared_ptr<ListWatch> watch)
      : http_(http), watch_(std::move(watch)), id_(http_.Open(watch_->FirstRequest(), watch_)) {}
  ~Stream() override {
    watch_->Cancel();
    http_.Cancel(id_);
  }

 private:
  HttpClient& http_;
  const std::shared_ptr<ListWatch> watch_;
  const uint64_t id_;
};

KubeApiServer::KubeApiServer(EventLoop& loop, ServerAccess access, KubeOptions options, Metrics* metrics)
    : loop_(loop),
      options_(options),
      metrics_(metrics),
      random_(options.seed),
      http_(loop, std::move(access), options.http, metrics) {}

KubeApiServer::~KubeApiServer() { *alive_ = false; }

std::unique_ptr<WatchStream> KubeApiServer::Watch(Kind kind, uint64_t resource_version, WatchHandler handler) {
  // 5 to 10 minutes, so that many clients' watches do not end together.
  const Duration timeout = absl::Seconds(300 + static_cast<int64_t>(random_.Below(300)));
  ApiStatus& broken = broken_[static_cast<size_t>(kind)];
  WatchHandler told;
  told.on_events = [&broken, kind, call = std::move(handler.on_events)](std::vector<WatchEvent> events) {
    if (!broken.ok()) {
      broken = {};
      LogInfo(absl::StrCat("the watch of ", ResourcesOf(kind)[0].Path(), " works again"));
    }
    call(std::move(events));
  };
  told.on_end = [&broken, call = std::move(handler.on_end)](ApiStatus status) {
    // Gone is part of the trade: the reflector starts anew.
    if (!status.ok() && status.code != ApiCode::kGone) {
      if (status.message != broken.message) LogWarning(absl::StrCat("watch: ", status.message));
      broken = status;
    }
    call(std::move(status));
  };
  ListWatchOptions options = options_.watch;
  if (resource_version == 0 && std::exchange(started_[static_cast<size_t>(kind)], true))
    options.initial = options.again;
  auto open = [this, kind, resource_version, timeout, options](const Resource& resource, WatchHandler to) {
    return std::make_unique<Stream>(
        http_, std::make_shared<ListWatch>(http_, decoder_, kind, resource, resource_version, timeout, options,
                                           std::move(to)));
  };
  if (!MayBeAbsent(kind)) return open(ResourcesOf(kind)[0], std::move(told));
  return std::make_unique<OptionalWatch>(loop_, http_, kind, resource_version, options_.look_again, std::move(told),
                                         std::move(open));
}

void KubeApiServer::Send(HttpRequest request, Done done) {
  std::string what = Describe(request);
  http_.Send(std::move(request), [what = std::move(what), done = std::move(done)](const HttpResponse& response) {
    done(ToApiStatus(response, what));
  });
}

void KubeApiServer::SendAgain(HttpRequest request, int tries_left, Duration wait, Done done) {
  HttpRequest copy = request;
  Send(std::move(copy),
       [this, request = std::move(request), tries_left, wait, done = std::move(done)](ApiStatus status) {
         if (tries_left <= 1 || !(status.Retriable() || status.code == ApiCode::kConflict)) {
           done(std::move(status));
           return;
         }
         loop_.After(std::max(wait, status.retry_after), [this, alive = alive_, request, tries_left, wait, done] {
           if (*alive) SendAgain(request, tries_left - 1, wait * kWaitFactor, done);
         });
       });
}

// --- Pods -------------------------------------------------------------------------------------

void KubeApiServer::Bind(const BindRequest& request, Done done) {
  HttpRequest http;
  http.lane = HttpRequest::Lane::kWrite;
  http.method = "POST";
  http.path = PodPath(request.ns, request.name) + "/binding";
  http.content_type = kProtobufContentType;
  http.body = EncodeBinding(request.ns, request.name, request.uid, request.node);
  Send(std::move(http), [this, request, done = std::move(done)](ApiStatus status) {
    if (status.code == ApiCode::kConflict) {
      WasItBound(request, std::move(status), done);
    } else {
      done(std::move(status));
    }
  });
}

void KubeApiServer::WasItBound(const BindRequest& request, ApiStatus refused, Done done) {
  HttpRequest http;
  http.path = PodPath(request.ns, request.name);
  http.lane = HttpRequest::Lane::kWrite;
  http_.Send(std::move(http), [this, request, refused = std::move(refused),
                               done = std::move(done)](const HttpResponse& r) {
    if (r.status == 0 || r.status >= 500 || r.status == 429) {
      done(ToApiStatus(r, absl::StrCat("GET pod ", request.ns, "/", request.name)));  // not known yet: ask again
      return;
    }
    const std::optional<Envelope> envelope = r.ok() ? OpenEnvelope(r.body) : std::nullopt;
    const PodPtr pod = envelope.has_value() ? answer_decoder_.DecodePod(envelope->object) : nullptr;
    const bool ours = pod != nullptr && pod->node == request.node && (request.uid.empty() || pod->uid == request.uid);
    done(ours ? ApiStatus{} : refused);
  });
}

void KubeApiServer::PatchPodStatus(const PodStatusPatch& patch, Done done) {
  HttpRequest http;
  http.lane = HttpRequest::Lane::kWrite;
  http.method = "PATCH";
  http.path = PodPath(patch.ns, patch.name) + "/status";
  http.content_type = kStrategicMerge;
  http.body = Dump(StatusPatch(patch));
  SendAgain(std::move(http), kPatchTries, kPatchWait, std::move(done));
}

void KubeApiServer::DeletePod(const std::string& ns, const std::string& name, const std::string& uid, Done done) {
  HttpRequest http;
  http.lane = HttpRequest::Lane::kWrite;
  http.method = "DELETE";
  http.path = PodPath(ns, name);
  if (!uid.empty()) {
    http.content_type = kJson;
    http.body = Dump({{"apiVersion", "v1"}, {"kind", "DeleteOptions"}, {"preconditions", {{"uid", uid}}}});
  }
  Send(std::move(http), std::move(done));
}

// --- Events -----------------------------------------------------------------------------------

void KubeApiServer::SendEvent(HttpRequest request, Done done) {
  request.lane = HttpRequest::Lane::kBackground;
  if (waiting_events_ >= options_.max_waiting_events) {
    ++dropped_events_;
    if (metrics_ != nullptr) metrics_->EventDropped();
    if (loop_.Now() - told_dropped_ > absl::Seconds(10)) {
      told_dropped_ = loop_.Now();
      LogWarning(absl::StrCat("events are written too slowly: ", dropped_events_, " dropped so far"));
    }
    loop_.Post([done = std::move(done)] { done({ApiCode::kTooManyRequests, "too many events wait", {}}); });
    return;
  }
  ++waiting_events_;
  auto ended = [this, done = std::move(done)](ApiStatus status) {
    --waiting_events_;
    done(std::move(status));
  };
  SendAgain(std::move(request), kEventTries, kEventWait, std::move(ended));
}

void KubeApiServer::CreateEvent(const ApiEvent& e, Done done) {
  HttpRequest http;
  http.method = "POST";
  http.path = EventPath(e.ns);
  http.content_type = kProtobufContentType;
  EventRecord record;
  record.ns = e.ns;
  record.name = e.name;
  record.reporting_controller = e.reporting_controller;
  record.reporting_instance = e.reporting_instance;
  record.action = e.action;
  record.reason = e.reason;
  record.type = e.type;
  record.note = e.note;
  record.regarding_kind = e.regarding_kind;
  record.regarding_api_version = e.regarding_api_version;
  record.regarding_ns = e.regarding_ns;
  record.regarding_name = e.regarding_name;
  record.regarding_uid = e.regarding_uid;
  record.regarding_resource_version = e.regarding_resource_version;
  record.related_kind = e.related_kind;
  record.related_api_version = e.related_api_version;
  record.related_ns = e.related_ns;
  record.related_name = e.related_name;
  record.related_uid = e.related_uid;
  record.related_resource_version = e.related_resource_version;
  record.event_time = e.event_time;
  record.series_count = e.series_count;
  record.series_last = e.series_last;
  http.body = EncodeEvent(record);
  SendEvent(std::move(http), std::move(done));
}

void KubeApiServer::PatchEventSeries(const ApiEvent& event, Done done) {
  HttpRequest http;
  http.method = "PATCH";
  http.path = EventPath(event.ns, event.name);
  http.content_type = kStrategicMerge;
  const std::string last = absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", event.series_last, absl::UTCTimeZone());
  http.body = Dump({{"series", {{"count", event.series_count}, {"lastObservedTime", last}}}});
  SendEvent(std::move(http), std::move(done));
}

// --- Leases -----------------------------------------------------------------------------------

void KubeApiServer::SendLease(HttpRequest request, LeaseDone done) {
  request.timeout = options_.lease_timeout;
  std::string what = Describe(request);
  http_.Send(std::move(request), [what = std::move(what), done = std::move(done)](const HttpResponse& response) {
    ApiStatus status = ToApiStatus(response, what);
    if (!status.ok()) {
      done(std::move(status), {});
      return;
    }
    const std::optional<Envelope> envelope = OpenEnvelope(response.body);
    const std::optional<LeaseRecord> record = envelope.has_value() ? DecodeLease(envelope->object) : std::nullopt;
    if (!record.has_value()) {
      done({ApiCode::kServerError, absl::StrCat(what, ": the answer is no lease"), {}}, {});
      return;
    }
    done({}, {record->ns, record->name, record->holder, record->duration_seconds, record->transitions, record->acquired,
              record->renewed, record->resource_version, record->original});
  });
}

void KubeApiServer::GetLease(const std::string& ns, const std::string& name, LeaseDone done) {
  HttpRequest http;
  http.path = LeasePath(ns, name);
  SendLease(std::move(http), std::move(done));
}

void KubeApiServer::CreateLease(const Lease& lease, LeaseDone done) {
  HttpRequest http;
  http.method = "POST";
  http.path = LeasePath(lease.ns);
  http.content_type = kProtobufContentType;
  http.body = EncodeLease(ToRecord(lease));
  SendLease(std::move(http), std::move(done));
}

void KubeApiServer::UpdateLease(const Lease& lease, LeaseDone done) {
  HttpRequest http;
  http.method = "PUT";
  http.path = LeasePath(lease.ns, lease.name);
  http.content_type = kProtobufContentType;
  http.body = EncodeLease(ToRecord(lease));
  SendLease(std::move(http), std::move(done));
}

// --- Discovery --------------------------------------------------------------------------------

void KubeApiServer::Discover(std::function<void(ApiStatus, const std::string&)> done) {
  HttpRequest groups;
  groups.path = "/apis";
  groups.accept = kJson;
  http_.Send(std::move(groups), [this, done = std::move(done)](const HttpResponse& response) {
    ApiStatus status = ToApiStatus(response, "GET /apis");
    if (!status.ok()) {
      done(std::move(status), "");
      return;
    }
    for (const char* wanted : {"events.k8s.io/v1", "coordination.k8s.io/v1"}) {
      // The text of the answer, not its meaning: the names occur nowhere else.
      if (response.body.find(absl::StrCat("\"", wanted, "\"")) != std::string::npos) continue;
      done({ApiCode::kInvalid, absl::StrCat(http_.server(), " does not offer ", wanted), {}}, "");
      return;
    }
    HttpRequest version;
    version.path = "/version";
    version.accept = kJson;
    http_.Send(std::move(version), [done](const HttpResponse& answer) {
      const nlohmann::json json = nlohmann::json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
      const auto git = json.is_object() ? json.find("gitVersion") : json.end();
      const bool known = git != json.end() && git->is_string();
      done(ToApiStatus(answer, "GET /version"), known ? git->get<std::string>() : "of unknown version");
    });
  });
}

}  // namespace muster
