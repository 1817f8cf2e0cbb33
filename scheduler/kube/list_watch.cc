#include "scheduler/kube/list_watch.h"

#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace muster {
namespace {

constexpr char kJson[] = "application/json";
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

ListWatch::ListWatch(HttpClient& http, Decoder& decoder, Kind kind, const Resource& resource, uint64_t resource_version,
                     Duration watch_timeout, const ListWatchOptions& options, WatchHandler handler)
    : http_(http),
      decoder_(decoder),
      kind_(kind),
      resource_(resource),
      path_(resource.Path()),
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
  json_list_.reset();
  json_frames_.reset();
  HttpRequest request;
  request.lane = HttpRequest::Lane::kFree;
  request.timeout = absl::ZeroDuration();
  request.stall_timeout = options_.stall_timeout;
  request.path = absl::StrCat(path_, "?", kind_ == Kind::kPod ? kPodSelector : "");
  if (phase == Phase::kList) {
    // No version asked for: what is there now, and never older than what we knew before.
    if (resource_.json) {
      request.accept = kJson;
      json_list_.emplace();
    } else {
      list_.emplace([this](std::string_view item) { OnItem(item); });
    }
    return request;
  }
  if (resource_.json) {
    request.accept = kJson;
    json_frames_.emplace([this](std::string_view object) { OnJsonFrame(object); });
  } else {
    request.accept = "application/vnd.kubernetes.protobuf;stream=watch,application/vnd.kubernetes.protobuf";
    frames_.emplace([this](std::string_view frame) { OnFrame(frame); });
  }
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
    ObjectPtr other = decoder_.DecodeObject(kind_, object, resource_.ApiVersion());
    if (other == nullptr) return false;
    event.resource_version = other->resource_version;
    event.object = std::move(other);
  }
  return true;
}

bool ListWatch::DecodeJson(const nlohmann::json& object, WatchEvent& event) {
  ObjectPtr read = ReadJsonObject(kind_, object, resource_.ApiVersion());
  if (read == nullptr) return false;
  event.resource_version = read->resource_version;
  event.object = std::move(read);
  return true;
}

void ListWatch::OnListed(bool readable, WatchEvent event) {
  if (readable) {
    events_.push_back(std::move(event));
  } else if (!failed_.has_value()) {
    failed_ = {ApiCode::kServerError, Message(path_, "an item of the list cannot be read"), {}};
  }
}

void ListWatch::OnItem(std::string_view item) {
  WatchEvent event;
  const bool readable = Decode(item, event);
  OnListed(readable, std::move(event));
}

void ListWatch::OnFrame(std::string_view bytes) {
  if (failed_.has_value()) return;
  const std::optional<WatchFrame> frame = ReadWatchFrame(bytes);
  if (!frame.has_value()) return OnUnreadable();
  switch (frame->type) {
    case WatchFrame::Type::kBookmark: {
      const std::optional<ObjectMetaView> meta = ReadObjectMeta(frame->object);
      if (!meta.has_value()) return OnUnreadable();
      return OnBookmark(meta->resource_version, meta->initial_events_end);
    }
    case WatchFrame::Type::kError: {
      const std::optional<StatusView> status = ReadStatus(frame->object);
      failed_ = status.has_value() ? ToApiStatus(*status, path_)
                                   : ApiStatus{ApiCode::kServerError, Message(path_, "an error without a status"), {}};
      return;
    }
    default: {
      WatchEvent event;
      const bool readable = Decode(frame->object, event);
      OnChange(frame->type, readable, std::move(event));
    }
  }
}

void ListWatch::OnJsonFrame(std::string_view text) {
  if (failed_.has_value()) return;
  const std::optional<JsonFrame> frame = ReadJsonFrame(text);
  if (!frame.has_value()) return OnUnreadable();
  switch (frame->type) {
    case WatchFrame::Type::kBookmark: {
      const JsonMeta meta = ReadJsonMeta(*frame->object);
      return OnBookmark(meta.resource_version, meta.initial_events_end);
    }
    case WatchFrame::Type::kError: {
      const JsonStatus s = ReadJsonStatus(*frame->object);
      failed_ = ToApiStatus(StatusView{false, s.code, s.reason, s.message, s.retry_after_seconds}, path_);
      return;
    }
    default: {
      WatchEvent event;
      const bool readable = DecodeJson(*frame->object, event);
      OnChange(frame->type, readable, std::move(event));
    }
  }
}

void ListWatch::OnChange(WatchFrame::Type type, bool readable, WatchEvent event) {
  switch (type) {
    case WatchFrame::Type::kAdded: event.type = WatchEvent::Type::kAdded; break;
    case WatchFrame::Type::kModified: event.type = WatchEvent::Type::kModified; break;
    case WatchFrame::Type::kDeleted: event.type = WatchEvent::Type::kDeleted; break;
    default: readable = false;
  }
  if (!readable) return OnUnreadable();
  events_.push_back(std::move(event));
}

void ListWatch::OnBookmark(uint64_t resource_version, bool initial_events_end) {
  WatchEvent event;
  event.resource_version = resource_version;
  event.type = WatchEvent::Type::kBookmark;
  if (initial_events_end && phase_ == Phase::kWatchList) {
    event.type = WatchEvent::Type::kSynced;
    phase_ = Phase::kWatch;
  }
  events_.push_back(std::move(event));
}

void ListWatch::OnUnreadable() {
  failed_ = {ApiCode::kServerError, Message(path_, "a watch event cannot be read"), {}};
}

absl::Status ListWatch::Feed(std::string_view bytes) {
  if (list_.has_value()) return list_->Feed(bytes);
  if (json_list_.has_value()) return json_list_->Feed(bytes);
  return frames_.has_value() ? frames_->Feed(bytes) : json_frames_->Feed(bytes);
}

absl::Status ListWatch::FinishList() {
  absl::Status whole;
  if (list_.has_value()) {
    whole = list_->Finish();
    resource_version_ = list_->resource_version();
  } else {
    whole = json_list_->Finish([this](const nlohmann::json& item) {
      WatchEvent event;
      const bool readable = DecodeJson(item, event);
      OnListed(readable, std::move(event));
    });
    resource_version_ = json_list_->resource_version();
  }
  if (whole.ok() && resource_version_ == 0) return absl::InternalError("a list without a version");
  return whole;
}

bool ListWatch::OnData(std::string_view bytes) {
  if (bytes.empty()) {
    accepted_ = true;
    return true;
  }
  const absl::Status fed = Feed(bytes);
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
    const absl::Status whole = FinishList();
    if (whole.ok() && !failed_.has_value()) {
      WatchEvent synced;
      synced.type = WatchEvent::Type::kSynced;
      synced.resource_version = resource_version_;
      events_.push_back(std::move(synced));
      OnPause();
      return Request(Phase::kWatch);
    }
    status = failed_.has_value() ? *failed_
                                 : ApiStatus{ApiCode::kServerError, Message(path_, std::string(whole.message())), {}};
  }
  if (status.ok() && phase_ == Phase::kWatchList) {
    status = {ApiCode::kServerError, Message(path_, "the stream ended before the initial state did"), {}};
  }
  OnPause();
  End(std::move(status));
  return std::nullopt;
}

}  // namespace muster
