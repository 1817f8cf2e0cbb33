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
  // All of a custom resource's metadata but its version is passed over where its status is written, the uid as well:
  // only a test refuses when it is another queue by now.
  nlohmann::json body = nlohmann::json::array();
  if (!uid.empty()) body.push_back({{"op", "test"}, {"path", "/metadata/uid"}, {"value", uid}});
  body.push_back({{"op", "add"}, {"path", "/status"}, {"value", QueueStatusJson(status)}});
  HttpRequest http;
  http.lane = HttpRequest::Lane::kBackground;
  http.method = "PATCH";
  http.path = absl::StrCat(ResourcesOf(Kind::kQueue)[0].Path(), "/", UrlEscape(name), "/status");
  http.content_type = "application/json-patch+json";
  http.accept = "application/json";
  http.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  Send(std::move(http), std::move(done));
}

}  // namespace muster
