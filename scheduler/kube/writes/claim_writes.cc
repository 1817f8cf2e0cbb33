// What KubeApiServer writes to ResourceClaims: whole claims as kube-scheduler does, so that a server checks the version
// and works least; only an unreservation is a patch, which needs no version.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "scheduler/kube/kube_api_server.h"
#include "scheduler/kube/resources.h"
#include "scheduler/wire/decode.h"
#include "scheduler/wire/device/claim_bodies.h"
#include "scheduler/wire/encode.h"

namespace muster {
namespace {

HttpRequest ClaimRequest(const char* method, std::string_view ns, std::string_view name, std::string_view sub = "") {
  HttpRequest http;
  http.lane = HttpRequest::Lane::kWrite;
  http.method = method;
  http.path = absl::StrCat(AsAbsl(ResourcesOf(Kind::kResourceClaim)[0].version_path), "/namespaces/", UrlEscape(ns),
                           "/resourceclaims");
  if (!name.empty()) http.path.append("/").append(UrlEscape(name));
  http.path.append(sub);
  return http;
}

HttpRequest ClaimBody(HttpRequest http, std::string body) {
  http.content_type = kProtobufContentType;
  http.body = std::move(body);
  return http;
}

}  // namespace

void KubeApiServer::SendClaim(HttpRequest request, ClaimDone done) {
  std::string what = absl::StrCat(request.method, " ", request.path);
  http_.Send(std::move(request), [this, what = std::move(what), done = std::move(done)](const HttpResponse& response) {
    ApiStatus status = ToApiStatus(response, what);
    if (!status.ok()) return done(std::move(status), nullptr);
    const std::optional<Envelope> envelope = OpenEnvelope(response.body);
    auto claim = std::static_pointer_cast<const ResourceClaim>(
        envelope ? answer_decoder_.DecodeObject(Kind::kResourceClaim, envelope->object) : nullptr);
    if (claim == nullptr) status = {ApiCode::kServerError, absl::StrCat(what, ": the answer is no claim"), {}};
    done(std::move(status), std::move(claim));
  });
}

void KubeApiServer::GetClaim(const std::string& ns, const std::string& name, ClaimDone done) {
  SendClaim(ClaimRequest("GET", ns, name), std::move(done));
}

void KubeApiServer::SetClaimFinalizer(const ClaimPtr& claim, bool wanted, ClaimDone done) {
  SendClaim(ClaimBody(ClaimRequest("PUT", claim->ns, claim->name), EncodeFinalizer(*claim, wanted)), std::move(done));
}

void KubeApiServer::ReserveClaim(const ClaimReservation& reservation, ClaimDone done) {
  const ResourceClaim& claim = *reservation.claim;
  SendClaim(ClaimBody(ClaimRequest("PUT", claim.ns, claim.name, "/status"),
                      EncodeReservation(claim, reservation.allocation, reservation.consumer)),
            std::move(done));
}

void KubeApiServer::DeallocateClaim(const ClaimPtr& claim, ClaimDone done) {
  SendClaim(ClaimBody(ClaimRequest("PUT", claim->ns, claim->name, "/status"), EncodeDeallocation(*claim)),
            std::move(done));
}

void KubeApiServer::UnreserveClaim(const std::string& ns, const std::string& name, const std::string& uid,
                                   const std::string& consumer_uid, ClaimDone done) {
  nlohmann::json body = {
      {"status", {{"reservedFor", nlohmann::json::array({{{"$patch", "delete"}, {"uid", consumer_uid}}})}}}};
  if (!uid.empty()) body["metadata"] = {{"uid", uid}};
  HttpRequest http = ClaimRequest("PATCH", ns, name, "/status");
  http.content_type = "application/strategic-merge-patch+json";
  http.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  SendClaim(std::move(http), std::move(done));
}

void KubeApiServer::CreateClaim(const ExtendedClaim& claim, ClaimDone done) {
  SendClaim(ClaimBody(ClaimRequest("POST", claim.ns, ""),
                      EncodeExtendedClaim(claim.ns, claim.pod, claim.pod_uid, claim.requests)),
            std::move(done));
}

void KubeApiServer::DeleteClaim(const std::string& ns, const std::string& name, const std::string& uid, Done done) {
  HttpRequest http = ClaimRequest("DELETE", ns, name);
  if (!uid.empty()) {
    const nlohmann::json body = {{"apiVersion", "v1"}, {"kind", "DeleteOptions"}, {"preconditions", {{"uid", uid}}}};
    http.content_type = "application/json";
    http.body = body.dump();
  }
  Send(std::move(http), std::move(done));
}

}  // namespace muster
