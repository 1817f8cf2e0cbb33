// What is written to ResourceClaims, on the wire. (What the bodies hold: claim_bodies_test.)
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "scheduler/kube/kube_api_server.h"
#include "scheduler/wire/proto/resource_v1.pb.h"
#include "test/kube/kube_fixture.h"
#include "test/kube/tls_test_server.h"

namespace muster {
namespace {

using testing::HasSubstr;
using Exchange = TlsTestServer::Exchange;
using Request = TlsTestServer::Request;
namespace resource = k8s::io::api::resource::v1;

constexpr char kPath[] = "/apis/resource.k8s.io/v1/namespaces/ns/resourceclaims";

class ClaimWritesTest : public KubeTest {
 protected:
  static resource::ResourceClaim Wire(int version) {
    resource::ResourceClaim wire;
    wire.mutable_metadata()->set_namespace_("ns");
    wire.mutable_metadata()->set_name("c");
    wire.mutable_metadata()->set_uid("u");
    wire.mutable_metadata()->set_resourceversion(std::to_string(version));
    return wire;
  }
  static ClaimPtr Claim() {
    return std::static_pointer_cast<const ResourceClaim>(
        Decoder().DecodeObject(Kind::kResourceClaim, Wire(7).SerializeAsString()));
  }
  static std::string Answer() { return Seal("resource.k8s.io/v1", "ResourceClaim", Wire(8)); }

  // What the server answers, and what it was asked.
  std::pair<ApiStatus, ClaimPtr> Ask(int code, const std::string& answer,
                                     const std::function<void(KubeApiServer&, ApiServer::ClaimDone)>& ask) {
    TlsTestServer server([&](const Request& request, Exchange& exchange) {
      seen_ = request;
      exchange.Answer(code, kProtobuf, answer);
    });
    KubeApiServer api(loop_, server.Access(), {}, nullptr);
    std::optional<std::pair<ApiStatus, ClaimPtr>> got;
    ask(api, [&](ApiStatus status, ClaimPtr claim) { got.emplace(std::move(status), std::move(claim)); });
    RunUntil([&] { return got.has_value(); });
    return *got;
  }
  resource::ResourceClaim Sent() const {
    resource::ResourceClaim wire;
    const auto envelope = OpenEnvelope(seen_.body);
    EXPECT_TRUE(envelope.has_value());
    wire.ParseFromArray(envelope->object.data(), static_cast<int>(envelope->object.size()));
    return wire;
  }

  Request seen_;
};

TEST_F(ClaimWritesTest, WholeClaimsOfTheVersionThatWasRead) {
  DeviceAllocation allocation;
  allocation.devices.resize(1);
  const struct {
    const char* path;
    std::function<void(KubeApiServer&, ApiServer::ClaimDone)> ask;
    bool finalizer, allocated;
  } kRows[] = {
      {"/c", [](auto& api, auto done) { api.SetClaimFinalizer(Claim(), true, done); }, true, false},
      {"/c/status",
       [&](auto& api, auto done) {
         api.ReserveClaim({Claim(), allocation, {"", "pods", "p", "pu"}}, done);
       },
       false, true},
      {"/c/status", [](auto& api, auto done) { api.DeallocateClaim(Claim(), done); }, false, false},
  };
  for (const auto& row : kRows) {
    const auto [status, claim] = Ask(200, Answer(), row.ask);
    ASSERT_TRUE(status.ok()) << status.message;
    EXPECT_EQ(claim->resource_version, 8u);
    EXPECT_EQ(seen_.method + " " + seen_.target, std::string("PUT ") + kPath + row.path);
    EXPECT_EQ(seen_.headers.at("content-type"), kProtobuf);
    EXPECT_EQ(Sent().metadata().resourceversion(), "7");
    EXPECT_EQ(Sent().metadata().uid(), "u");
    EXPECT_EQ(Sent().metadata().finalizers_size(), row.finalizer ? 1 : 0);
    EXPECT_EQ(Sent().status().has_allocation(), row.allocated);
  }
}

TEST_F(ClaimWritesTest, AnUnreservationIsAPatch) {
  const auto [status, claim] =
      Ask(200, Answer(), [](auto& api, auto done) { api.UnreserveClaim("ns", "c", "u", "pu", done); });
  EXPECT_TRUE(status.ok()) << status.message;
  EXPECT_EQ(claim->resource_version, 8u);
  EXPECT_EQ(seen_.method + " " + seen_.target, std::string("PATCH ") + kPath + "/c/status");
  EXPECT_EQ(seen_.headers.at("content-type"), "application/strategic-merge-patch+json");
  EXPECT_EQ(nlohmann::json::parse(seen_.body), nlohmann::json::parse(R"({
      "metadata": {"uid": "u"}, "status": {"reservedFor": [{"$patch": "delete", "uid": "pu"}]}})"));
}

TEST_F(ClaimWritesTest, MakesReadsAndDeletes) {
  EXPECT_TRUE(Ask(200, Answer(), [](auto& api, auto done) { api.GetClaim("ns", "c", done); }).first.ok());
  EXPECT_EQ(seen_.method + " " + seen_.target, std::string("GET ") + kPath + "/c");
  EXPECT_TRUE(Ask(201, Answer(), [](auto& api, auto done) {
                api.CreateClaim({"ns", "p", "pu", {}}, done);
              }).first.ok());
  EXPECT_EQ(seen_.method + " " + seen_.target, std::string("POST ") + kPath);
  EXPECT_EQ(Sent().metadata().generatename(), "p-extended-resources-");
  EXPECT_TRUE(Ask(200, "{}", [](auto& api, auto done) {
                api.DeleteClaim("ns", "c", "u", [done](ApiStatus status) { done(std::move(status), nullptr); });
              }).first.ok());
  EXPECT_EQ(seen_.method + " " + seen_.target, std::string("DELETE ") + kPath + "/c");
  EXPECT_EQ(nlohmann::json::parse(seen_.body)["preconditions"]["uid"], "u");
}

TEST_F(ClaimWritesTest, TellsWhyNot) {
  const auto finalize = [](auto& api, auto done) { api.SetClaimFinalizer(Claim(), true, done); };
  const auto [conflict, none] = Ask(409, StatusBody(409, "Conflict", "the object has been modified"), finalize);
  EXPECT_EQ(conflict.code, ApiCode::kConflict);
  EXPECT_THAT(conflict.message, HasSubstr("the object has been modified"));
  EXPECT_EQ(none, nullptr);
  EXPECT_EQ(Ask(422, StatusBody(422, "Invalid", "field is immutable"), finalize).first.code, ApiCode::kInvalid);
  EXPECT_EQ(Ask(403, StatusBody(403, "Forbidden", "no"), finalize).first.code, ApiCode::kForbidden);
  const auto [odd, nothing] = Ask(200, "{}", finalize);
  EXPECT_EQ(odd.code, ApiCode::kServerError);
  EXPECT_THAT(odd.message, HasSubstr("the answer is no claim"));
  EXPECT_EQ(nothing, nullptr);
}

TEST_F(ClaimWritesTest, APodsStatusNamesTheClaimOfItsExtendedResources) {
  TlsTestServer server([&](const Request& request, Exchange& exchange) {
    seen_ = request;
    exchange.Answer(200, kProtobuf, "");
  });
  KubeApiServer api(loop_, server.Access(), {}, nullptr);
  PodStatusPatch patch;
  patch.ns = "ns";
  patch.name = "p";
  patch.extended = {"p-extended-resources-x", {{"c", "example.com/gpu", "container-0-request-0"}}};
  bool told = false;
  api.PatchPodStatus(patch, [&](const ApiStatus&) { told = true; });
  RunUntil([&] { return told; });
  EXPECT_EQ(nlohmann::json::parse(seen_.body), nlohmann::json::parse(R"({"status": {"extendedResourceClaimStatus": {
      "resourceClaimName": "p-extended-resources-x", "requestMappings": [
        {"containerName": "c", "resourceName": "example.com/gpu", "requestName": "container-0-request-0"}]}}})"));
}

}  // namespace
}  // namespace muster
