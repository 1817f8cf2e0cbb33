#include "scheduler/kube/list_watch.h"

#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace muster {
namespace {

// Ended pods hold nothing: one that ends is told as deleted.
constexpr char kPodSelector[] = "fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed&";

ApiCode CodeOf(int http, std::string_view reason, std::string_view message) {
  if (reason == "Expired" || reason == "Gone") return ApiCode::kGone;
  if (http == 409) return reason == "AlreadyExists" ? ApiCode::kAlreadyExists : ApiCode::kConflict;
  // A version that the server has not reached: it lost its history, or we speak to another one.
  if (message.find("Too large resource version") != std::string_view::npos) return ApiCode::kGone;
  switch (http) {
    case 401: return ApiCode::kUnauthorized;
    case 403: return ApiCode::kForbidden;
    case 404: return ApiCode::kNotFound;
    case 410: return ApiCode::kGone;
    case 429: return ApiCode::kTooManyRequests;
  }
  return http >= 500 ? ApiCode::kServerError : ApiCode::kInvalid;
}

std::string Message(std::string_view request, std::string_view what) {
  std::string text(request);
  text.append(": ").append(what);
  return text;
}

// What a body that is no protobuf Status says: JSON of one, or plain text.
std::pair<std::string, std::string> ReasonAndMessage(const std::string& body) {
  const nlohmann::json json = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  const auto text = [&](const char* field) {
    const auto it = json.find(field);
    return it != json.end() && it->is_string() ? it->get<std::string>() : std::string();
  };
  if (json.is_object()) return {text("reason"), text("message")};
  return {"", body.substr(0, 200)};
}

}  // namespace

std::string_view PathOf(Kind kind) {
  switch (kind) {
    case Kind::kPod: return "/api/v1/pods";
    case Kind::kNode: return "/api/v1/nodes";
    case Kind::kNamespace: return "/api/v1/namespaces";
    case Kind::kService: return "/api/v1/services";
    case Kind::kReplicationController: return "/api/v1/replicationcontrollers";
    case Kind::kReplicaSet: return "/apis/apps/v1/replicasets";
    case Kind::kStatefulSet: return "/apis/apps/v1/statefulsets";
    case Kind::kPodDisruptionBudget: return "/apis/policy/v1/poddisruptionbudgets";
    case Kind::kPersistentVolume: return "/api/v1/persistentvolumes";
    case Kind::kPersistentVolumeClaim: return "/api/v1/persistentvolumeclaims";
    case Kind::kStorageClass: return "/apis/storage.k8s.io/v1/storageclasses";
    case Kind::kCSINode: return "/apis/storage.k8s.io/v1/csinodes";
    case Kind::kCSIDriver: return "/apis/storage.k8s.io/v1/csidrivers";
    case Kind::kCSIStorageCapacity: return "/apis/storage.k8s.io/v1/csistoragecapacities";
    case Kind::kVolumeAttachment: return "/apis/storage.k8s.io/v1/volumeattachments";
    case Kind::kPodGroup: return "/apis/scheduling.k8s.io/v1beta1/podgroups";
    case Kind::kCoschedulingPodGroup: return "/apis/scheduling.x-k8s.io/v1alpha1/podgroups";
    case Kind::kTopology: return "/apis/muster.dev/v1alpha1/topologies";
    case Kind::kKueueTopology: return "/apis/kueue.x-k8s.io/v1beta2/topologies";
  }
  return "";
}

ApiStatus ToApiStatus(const StatusView& status, std::string_view request) {
  if (status.success) return {};
  return {CodeOf(status.code, status.reason, status.message), Message(request, status.message),
          absl::Seconds(status.retry_after_seconds)};
}

ApiStatus ToApiStatus(const HttpResponse& response, std::string_view request) {
  if (response.ok()) return {};
  if (response.status == 0) return {ApiCode::kUnreachable, Message(request, response.error), {}};
  ApiStatus result{CodeOf(response.status, "", ""), {}, response.retry_after};
  std::string reason, message;
  const std::optional<Envelope> envelope = OpenEnvelope(response.body);
  const std::optional<StatusView> status = envelope.has_value() ? ReadStatus(envelope->object) : std::nullopt;
  if (status.has_value()) {
    reason = status->reason;
    message = status->message;
  } else {
    std::tie(reason, message) = ReasonAndMessage(response.body);
  }
  result.code = CodeOf(response.status, reason, message);
  result.message = Message(request, absl::StrCat("HTTP ", response.status, message.empty() ? "" : ": ", message));
  return result;
}

ListWatch::ListWatch(HttpClient& http, Decoder& decoder, Kind kind, uint64_t resource_version, Duration watch_timeout,
                     const ListWatchOptions& options, WatchHandler handler)
    : http_(http),
      decoder_(decoder),
      kind_(kind),
      watch_timeout_(watch_timeout),
      options_(options),
      handler_(std::make_shared<Handler>(Handler{std::move(handler), false})),
      phase_(resource_version != 0                         ? Phase::kWatch
             : options.initial == InitialState::kWatchList ? Phase::kWatchList
                                                           : Phase::kList),
      resource_version_(resource_version) {}

HttpRequest ListWatch::FirstRequest() { return Request(phase_); }

HttpRequest ListWatch::Request(Phase phase) {
  phase_ = phase;
  list_.reset();
  frames_.reset();
  path_ = PathOf(kind_);
  HttpRequest request;
  request.lane = HttpRequest::Lane::kUnlimited;
  request.timeout = absl::ZeroDuration();
  request.stall_timeout = options_.stall_timeout;
  request.path = absl::StrCat(path_, "?", kind_ == Kind::kPod ? kPodSelector : "");
  if (phase == Phase::kList) {
    // No version asked for: what is there now, and never older than what we knew before.
    list_.emplace([this](std::string_view item) { OnItem(item); });
    return request;
  }
  frames_.emplace([this](std::string_view frame) { OnFrame(frame); });
  request.accept = "application/vnd.kubernetes.protobuf;stream=watch,application/vnd.kubernetes.protobuf";
  absl::StrAppend(&request.path,
                  "watch=true&allowWatchBookmarks=true&timeoutSeconds=", absl::ToInt64Seconds(watch_timeout_));
  absl::StrAppend(&request.path, phase == Phase::kWatchList
                                     ? "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
                                     : absl::StrCat("&resourceVersion=", resource_version_));
  return request;
}

bool ListWatch::Decode(std::string_view object, WatchEvent& event) {
  if (kind_ == Kind::kPod) {
    PodPtr pod = decoder_.DecodePod(object);
    if (pod == nullptr) return false;
    event.resource_version = pod->resource_version;
    event.object = std::move(pod);
  } else if (kind_ == Kind::kNode) {
    NodePtr node = decoder_.DecodeNode(object);
    if (node == nullptr) return false;
    event.resource_version = node->resource_version;
    event.object = std::move(node);
  } else {
    ObjectPtr other = decoder_.DecodeObject(kind_, object);
    if (other == nullptr) return false;
    event.resource_version = other->resource_version;
    event.object = std::move(other);
  }
  return true;
}

void ListWatch::OnItem(std::string_view item) {
  WatchEvent event;
  if (Decode(item, event)) {
    events_.push_back(std::move(event));
  } else if (!failed_.has_value()) {
    failed_ = {ApiCode::kServerError, Message(path_, "an item of the list cannot be read"), {}};
  }
}

void ListWatch::OnFrame(std::string_view bytes) {
  if (failed_.has_value()) return;
  const std::optional<WatchFrame> frame = ReadWatchFrame(bytes);
  WatchEvent event;
  bool good = frame.has_value();
  if (good) {
    switch (frame->type) {
      case WatchFrame::Type::kAdded:
        event.type = WatchEvent::Type::kAdded;
        good = Decode(frame->object, event);
        break;
      case WatchFrame::Type::kModified:
        event.type = WatchEvent::Type::kModified;
        good = Decode(frame->object, event);
        break;
      case WatchFrame::Type::kDeleted:
        event.type = WatchEvent::Type::kDeleted;
        good = Decode(frame->object, event);
        break;
      case WatchFrame::Type::kBookmark: {
        const std::optional<ObjectMetaView> meta = ReadObjectMeta(frame->object);
        good = meta.has_value();
        if (!good) break;
        event.resource_version = meta->resource_version;
        event.type = meta->initial_events_end && phase_ == Phase::kWatchList ? WatchEvent::Type::kSynced
                                                                             : WatchEvent::Type::kBookmark;
        if (event.type == WatchEvent::Type::kSynced) phase_ = Phase::kWatch;
        break;
      }
      case WatchFrame::Type::kError: {
        const std::optional<StatusView> status = ReadStatus(frame->object);
        failed_ = status.has_value()
                      ? ToApiStatus(*status, path_)
                      : ApiStatus{ApiCode::kServerError, Message(path_, "an error without a status"), {}};
        return;
      }
      case WatchFrame::Type::kUnknown: good = false; break;
    }
  }
  if (good) {
    events_.push_back(std::move(event));
  } else {
    failed_ = {ApiCode::kServerError, Message(path_, "a watch event cannot be read"), {}};
  }
}

bool ListWatch::OnData(std::string_view bytes) {
  if (bytes.empty()) {
    accepted_ = true;
    return true;
  }
  const absl::Status fed = list_.has_value() ? list_->Feed(bytes) : frames_->Feed(bytes);
  if (!fed.ok() && !failed_.has_value()) {
    failed_ = {ApiCode::kServerError, Message(path_, std::string(fed.message())), {}};
  }
  return !failed_.has_value();
}

void ListWatch::OnPause() {
  if (!std::exchange(accepted_, false) && events_.empty()) return;
  http_.Deliver([handler = handler_, events = std::exchange(events_, {})]() mutable {
    if (!handler->cancelled) handler->call.on_events(std::move(events));
  });
}

void ListWatch::End(ApiStatus status) {
  http_.Deliver([handler = handler_, status = std::move(status)] {
    if (!handler->cancelled) handler->call.on_end(status);
  });
}

std::optional<HttpRequest> ListWatch::OnDone(HttpResponse response) {
  if (phase_ == Phase::kWatchList && (response.status == 400 || response.status == 422)) {
    return Request(Phase::kList);  // an older server, or one told not to
  }
  ApiStatus status = failed_.has_value() ? *failed_ : ToApiStatus(response, absl::StrCat("GET ", path_));
  if (status.ok() && phase_ == Phase::kList) {
    const absl::Status whole = list_->Finish();
    if (whole.ok() && list_->resource_version() != 0) {
      resource_version_ = list_->resource_version();
      WatchEvent synced;
      synced.type = WatchEvent::Type::kSynced;
      synced.resource_version = resource_version_;
      events_.push_back(std::move(synced));
      OnPause();
      return Request(Phase::kWatch);
    }
    status = {ApiCode::kServerError,
              Message(path_, whole.ok() ? "a list without a version" : std::string(whole.message())),
              {}};
  }
  if (status.ok() && phase_ == Phase::kWatchList) {
    status = {ApiCode::kServerError, Message(path_, "the stream ended before the initial state did"), {}};
  }
  OnPause();
  End(std::move(status));
  return std::nullopt;
}

}  // namespace muster
