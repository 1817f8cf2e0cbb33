// What KubeApiServer writes to volumes and claims: patches that hold only for the version that was read.
#include <charconv>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "scheduler/kube/kube_api_server.h"

namespace muster {
namespace {

constexpr char kMergePatch[] = "application/merge-patch+json";

HttpRequest PatchRequest(std::string path, const nlohmann::json& body) {
  HttpRequest http;
  http.lane = HttpRequest::Lane::kWrite;
  http.method = "PATCH";
  http.path = std::move(path);
  http.content_type = kMergePatch;
  http.accept = "application/json";
  http.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return http;
}

// metadata.resourceVersion of an object in JSON; 0 where it has none.
uint64_t VersionOf(const std::string& body) {
  const nlohmann::json object = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object() || !object.contains("metadata")) return 0;
  const auto& metadata = object["metadata"];
  if (!metadata.is_object() || !metadata.contains("resourceVersion") || !metadata["resourceVersion"].is_string())
    return 0;
  const std::string text = metadata["resourceVersion"].get<std::string>();
  uint64_t version = 0;
  std::from_chars(text.data(), text.data() + text.size(), version);
  return version;
}

}  // namespace

void KubeApiServer::SendVersioned(HttpRequest request, VersionDone done) {
  std::string what = absl::StrCat(request.method, " ", request.path);
  http_.Send(std::move(request), [what = std::move(what), done = std::move(done)](const HttpResponse& response) {
    ApiStatus status = ToApiStatus(response, what);
    const uint64_t version = status.ok() ? VersionOf(response.body) : 0;
    done(std::move(status), version);
  });
}

void KubeApiServer::BindVolume(const VolumeBindRequest& request, VersionDone done) {
  nlohmann::json metadata = {{"resourceVersion", absl::StrCat(request.resource_version)}};
  if (request.by_controller) metadata["annotations"] = {{"pv.kubernetes.io/bound-by-controller", "yes"}};
  const nlohmann::json claim = {{"apiVersion", "v1"},
                                {"kind", "PersistentVolumeClaim"},
                                {"namespace", request.claim_ns},
                                {"name", request.claim_name},
                                {"uid", request.claim_uid},
                                {"resourceVersion", absl::StrCat(request.claim_version)}};
  SendVersioned(PatchRequest(absl::StrCat("/api/v1/persistentvolumes/", request.volume),
                             {{"metadata", std::move(metadata)}, {"spec", {{"claimRef", claim}}}}),
                std::move(done));
}

void KubeApiServer::SelectNode(const SelectNodeRequest& request, VersionDone done) {
  const nlohmann::json metadata = {{"resourceVersion", absl::StrCat(request.resource_version)},
                                   {"annotations", {{"volume.kubernetes.io/selected-node", request.node}}}};
  SendVersioned(PatchRequest(absl::StrCat("/api/v1/namespaces/", request.ns, "/persistentvolumeclaims/", request.claim),
                             {{"metadata", metadata}}),
                std::move(done));
}

}  // namespace muster
