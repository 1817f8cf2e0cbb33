// What KubeApiServer writes about queues: their status.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "scheduler/kube/kube_api_server.h"
#include "scheduler/kube/resources.h"
#include "scheduler/wire/json/queue_status.h"

namespace muster {

void KubeApiServer::PatchQueueStatus(const std::string& name, const std::string& uid, const QueueStatus& status,
                                     Done done) {
  nlohmann::json body = {{"status", QueueStatusJson(status)}};
  // A merge leaves alone what it does not name.
  if (status.share.empty()) body["status"]["share"] = nullptr;
  if (!uid.empty()) body["metadata"] = {{"uid", uid}};  // refused when it is another queue by now
  HttpRequest http;
  http.lane = HttpRequest::Lane::kBackground;
  http.method = "PATCH";
  http.path = absl::StrCat(ResourcesOf(Kind::kQueue)[0].Path(), "/", UrlEscape(name), "/status");
  http.content_type = "application/merge-patch+json";
  http.accept = "application/json";
  http.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  Send(std::move(http), std::move(done));
}

}  // namespace muster
