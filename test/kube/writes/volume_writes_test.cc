// What is written to volumes and claims, on the wire.
#include <optional>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "scheduler/kube/kube_api_server.h"
#include "test/kube/kube_fixture.h"
#include "test/kube/tls_test_server.h"

namespace muster {
namespace {

using testing::HasSubstr;
using Exchange = TlsTestServer::Exchange;
using Request = TlsTestServer::Request;

constexpr char kJson[] = "application/json";

class VolumeWritesTest : public KubeTest {
 protected:
  // What the server answers, and what it was asked.
  std::pair<ApiStatus, uint64_t> Ask(int code, const std::string& answer,
                                     const std::function<void(KubeApiServer&, ApiServer::VersionDone)>& ask) {
    TlsTestServer server([&](const Request& request, Exchange& exchange) {
      seen_ = request;
      exchange.Answer(code, kJson, answer);
    });
    KubeApiServer api(loop_, server.Access(), {}, nullptr);
    std::optional<std::pair<ApiStatus, uint64_t>> got;
    ask(api, [&](ApiStatus status, uint64_t version) { got.emplace(std::move(status), version); });
    RunUntil([&] { return got.has_value(); });
    return *got;
  }

  Request seen_;
};

TEST_F(VolumeWritesTest, BindsAVolume) {
  VolumeBindRequest request{"v", 41, "ns", "c", "uid-c", 40, true};
  const auto [status, version] = Ask(200, R"({"kind": "PersistentVolume", "metadata": {"resourceVersion": "42"}})",
                                     [&](auto& api, auto done) { api.BindVolume(request, done); });
  EXPECT_TRUE(status.ok()) << status.message;
  EXPECT_EQ(version, 42u);
  EXPECT_EQ(seen_.method + " " + seen_.target, "PATCH /api/v1/persistentvolumes/v");
  EXPECT_EQ(seen_.headers.at("content-type"), "application/merge-patch+json");
  EXPECT_EQ(nlohmann::json::parse(seen_.body), nlohmann::json::parse(R"({
      "metadata": {"resourceVersion": "41", "annotations": {"pv.kubernetes.io/bound-by-controller": "yes"}},
      "spec": {"claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": "ns", "name": "c",
                            "uid": "uid-c", "resourceVersion": "40"}}})"));
}

TEST_F(VolumeWritesTest, LeavesTheAnnotationOfAUsersBindingAlone) {
  Ask(200, "{}", [&](auto& api, auto done) { api.BindVolume({"v", 1, "ns", "c", "u", 1, false}, done); });
  EXPECT_FALSE(nlohmann::json::parse(seen_.body)["metadata"].contains("annotations"));
}

TEST_F(VolumeWritesTest, SelectsANode) {
  const auto [status, version] = Ask(200, R"({"metadata": {"resourceVersion": "8"}})", [&](auto& api, auto done) {
    api.SelectNode({"ns", "c", 7, "n1"}, done);
  });
  EXPECT_TRUE(status.ok()) << status.message;
  EXPECT_EQ(version, 8u);
  EXPECT_EQ(seen_.method + " " + seen_.target, "PATCH /api/v1/namespaces/ns/persistentvolumeclaims/c");
  EXPECT_EQ(nlohmann::json::parse(seen_.body), nlohmann::json::parse(R"({
      "metadata": {"resourceVersion": "7", "annotations": {"volume.kubernetes.io/selected-node": "n1"}}})"));
}

TEST_F(VolumeWritesTest, TellsAConflict) {
  const std::string body = R"({"kind": "Status", "code": 409, "reason": "Conflict", "message": "Operation cannot be )"
                           R"(fulfilled on persistentvolumes \"v\": the object has been modified"})";
  const auto [status, version] = Ask(409, body, [&](auto& api, auto done) {
    api.BindVolume({"v", 1, "ns", "c", "u", 1, true}, done);
  });
  EXPECT_EQ(status.code, ApiCode::kConflict);
  EXPECT_THAT(status.message, HasSubstr("persistentvolumes \"v\": the object has been modified"));
  EXPECT_EQ(version, 0u);
}

}  // namespace
}  // namespace muster
