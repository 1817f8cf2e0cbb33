// The statuses that KubeApiServer writes: of groups, in the words of each of the two kinds, and of queues.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "scheduler/kube/kube_api_server.h"
#include "scheduler/kube/resources.h"
#include "scheduler/wire/json/queue_status.h"

namespace muster {
namespace {

// Upstream's rhythm for a status patch: 10 ms, 50 ms, 250 ms.
constexpr int kTries = 4;
constexpr Duration kWait = absl::Milliseconds(10);

std::string Rfc3339(Time time) { return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone()); }

nlohmann::json NativeStatus(const PodGroupStatusPatch& patch) {
  nlohmann::json status = nlohmann::json::object();
  if (!patch.condition.present) return status;
  const bool first_version = patch.api_version.ends_with("/v1alpha2");
  nlohmann::json condition = {{"type", first_version ? "PodGroupScheduled" : "PodGroupInitiallyScheduled"},
                              {"status", patch.condition.status},
                              {"reason", patch.condition.reason},
                              {"message", patch.condition.message}};
  if (patch.observed_generation != 0) condition["observedGeneration"] = patch.observed_generation;
  if (patch.transition != absl::InfinitePast()) condition["lastTransitionTime"] = Rfc3339(patch.transition);
  status["conditions"].push_back(std::move(condition));
  return status;
}

nlohmann::json CoschedulingStatus(const PodGroupStatusPatch& patch) {
  nlohmann::json status = {{"phase", patch.phase},
                           {"scheduled", patch.scheduled},
                           {"running", patch.running},
                           {"succeeded", patch.succeeded},
                           {"failed", patch.failed}};
  if (patch.transition != absl::InfinitePast()) status["scheduleStartTime"] = Rfc3339(patch.transition);
  return status;
}

}  // namespace

void KubeApiServer::PatchPodGroupStatus(const PodGroupStatusPatch& patch, Done done) {
  const bool native = patch.kind == Kind::kPodGroup;
  nlohmann::json body = {{"status", native ? NativeStatus(patch) : CoschedulingStatus(patch)}};
  // A native group's is refused when it is another one by now; a custom resource's uid is passed over.
  if (!patch.uid.empty()) body["metadata"] = {{"uid", patch.uid}};
  HttpRequest http;
  http.lane = HttpRequest::Lane::kWrite;
  http.method = "PATCH";
  http.path = absl::StrCat("/apis/", patch.api_version, "/namespaces/", UrlEscape(patch.ns), "/podgroups/",
                           UrlEscape(patch.name), "/status");
  // Custom resources know no strategic merge.
  http.content_type = native ? "application/strategic-merge-patch+json" : "application/merge-patch+json";
  http.accept = "application/json";
  http.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  SendAgain(std::move(http), kTries, kWait, std::move(done));
}

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
