#include "scheduler/kube/optional_watch.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "scheduler/kube/list_watch.h"

namespace muster {
namespace {

// Whether an APIResourceList has a resource of that name.
bool Lists(const std::string& body, std::string_view name) {
  const nlohmann::json list = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!list.is_object()) return false;
  const auto resources = list.find("resources");
  if (resources == list.end() || !resources->is_array()) return false;
  for (const nlohmann::json& resource : *resources) {
    if (resource.is_object() && resource.contains("name") && resource["name"] == std::string(name)) return true;
  }
  return false;
}

}  // namespace

OptionalWatch::OptionalWatch(EventLoop& loop, HttpClient& http, Kind kind, uint64_t resource_version,
                             Duration look_again, WatchHandler handler, Open open)
    : loop_(loop),
      http_(http),
      kind_(kind),
      resource_version_(resource_version),
      look_again_(look_again),
      handler_(std::make_shared<WatchHandler>(std::move(handler))),
      open_(std::move(open)) {
  Ask(0);
}

OptionalWatch::~OptionalWatch() {
  *alive_ = false;
  if (timer_ != 0) loop_.Cancel(timer_);
}

void OptionalWatch::Ask(size_t candidate) {
  timer_ = 0;
  HttpRequest request;
  request.path = ResourcesOf(kind_)[candidate].version_path;
  request.accept = "application/json";
  http_.Send(std::move(request), [this, candidate, alive = alive_](const HttpResponse& response) {
    if (*alive) OnAnswer(candidate, response);
  });
}

void OptionalWatch::OnAnswer(size_t candidate, const HttpResponse& response) {
  const std::span<const Resource> candidates = ResourcesOf(kind_);
  const Resource& asked = candidates[candidate];
  if (response.ok() && Lists(response.body, asked.name)) {
    OnFound(asked);
  } else if (!response.ok() && response.status != 404) {
    // No answer to the question. One who waits for the kind to come need not know.
    if (absent_) return OnAbsent();
    std::shared_ptr(handler_)->on_end(ToApiStatus(response, absl::StrCat("GET ", AsAbsl(asked.version_path))));
  } else if (candidate + 1 < candidates.size()) {
    Ask(candidate + 1);
  } else {
    OnAbsent();
  }
}

void OptionalWatch::OnFound(const Resource& resource) {
  if (absent_) return std::shared_ptr(handler_)->on_end({});  // which may destroy this
  stream_ = open_(resource, {.on_events = [handler = handler_](auto events) { handler->on_events(std::move(events)); },
                             .on_end =
                                 [handler = handler_](ApiStatus status) {
                                   // It has gone since we asked: whoever watches it asks again.
                                   if (status.code == ApiCode::kNotFound) status.code = ApiCode::kGone;
                                   handler->on_end(std::move(status));
                                 }});
}

void OptionalWatch::OnAbsent() {
  if (!absent_ && resource_version_ != 0) {
    std::shared_ptr(handler_)->on_end(
        {ApiCode::kGone, absl::StrCat(ResourcesOf(kind_)[0].Path(), ": is not served any more"), {}});
    return;
  }
  timer_ = loop_.After(look_again_, [this] { Ask(0); });
  if (std::exchange(absent_, true)) return;
  WatchEvent synced;
  synced.type = WatchEvent::Type::kSynced;
  handler_->on_events({synced});
}

}  // namespace muster
