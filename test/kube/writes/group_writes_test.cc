// What PatchPodGroupStatus sends.
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "scheduler/kube/kube_api_server.h"
#include "test/kube/kube_fixture.h"
#include "test/kube/tls_test_server.h"

namespace muster {
namespace {

using Exchange = TlsTestServer::Exchange;
using Request = TlsTestServer::Request;

class GroupWritesTest : public KubeTest {
 protected:
  // Sends the patch to a server that answers with these, one after the other.
  ApiStatus Send(const PodGroupStatusPatch& patch, std::vector<int> answers = {200}) {
    seen_.clear();
    TlsTestServer server([&](const Request& request, Exchange& exchange) {
      seen_.push_back(request);
      exchange.Answer(answers[std::min(seen_.size(), answers.size()) - 1], "application/json", "{}");
    });
    KubeApiServer api(loop_, server.Access(), {}, nullptr);
    std::optional<ApiStatus> answer;
    api.PatchPodGroupStatus(patch, [&](ApiStatus status) { answer = std::move(status); });
    RunUntil([&] { return answer.has_value(); });
    return *answer;
  }

  std::vector<Request> seen_;
};

PodGroupStatusPatch Native(const std::string& version) {
  PodGroupStatusPatch patch;
  patch.ns = "team";
  patch.name = "g";
  patch.uid = "u";
  patch.api_version = "scheduling.k8s.io/" + version;
  patch.condition = {true, "False", "Unschedulable", "0 of 4 \xff"};
  patch.observed_generation = 3;
  patch.transition = absl::FromUnixSeconds(1'000'000);
  return patch;
}

TEST_F(GroupWritesTest, TheConditionHasTheVersionsName) {
  for (const std::string version : {"v1beta1", "v1alpha3", "v1alpha2"}) {
    const ApiStatus status = Send(Native(version));
    EXPECT_TRUE(status.ok()) << status.message;
    ASSERT_EQ(seen_.size(), 1u);
    EXPECT_EQ(seen_[0].method + seen_[0].target,
              "PATCH/apis/scheduling.k8s.io/" + version + "/namespaces/team/podgroups/g/status");
    EXPECT_EQ(seen_[0].headers["content-type"], "application/strategic-merge-patch+json");
    auto want = nlohmann::json::parse(R"({"metadata": {"uid": "u"}, "status": {"conditions": [{
        "status": "False", "reason": "Unschedulable", "message": "0 of 4 \ufffd",
        "observedGeneration": 3, "lastTransitionTime": "1970-01-12T13:46:40Z"}]}})");
    want["status"]["conditions"][0]["type"] =
        version == "v1alpha2" ? "PodGroupScheduled" : "PodGroupInitiallyScheduled";
    EXPECT_EQ(nlohmann::json::parse(seen_[0].body), want);
  }
}

TEST_F(GroupWritesTest, WhatIsNotSetIsLeftAlone) {
  PodGroupStatusPatch patch = Native("v1beta1");
  patch.uid.clear();
  patch.observed_generation = 0;
  patch.transition = absl::InfinitePast();
  Send(patch);
  EXPECT_EQ(nlohmann::json::parse(seen_.at(0).body), nlohmann::json::parse(R"({"status": {"conditions": [{
      "type": "PodGroupInitiallyScheduled", "status": "False", "reason": "Unschedulable", "message": "0 of 4 \ufffd"}]}})"));
}

TEST_F(GroupWritesTest, CoschedulingHasItsOwnStatus) {
  PodGroupStatusPatch patch;
  patch.kind = Kind::kCoschedulingPodGroup;
  patch.ns = "team";
  patch.name = "g";
  patch.api_version = "scheduling.x-k8s.io/v1alpha1";
  patch.phase = "Scheduling";
  patch.scheduled = 4;
  patch.running = 3;
  patch.succeeded = 2;
  patch.failed = 1;
  patch.transition = absl::FromUnixSeconds(1'000'000);
  EXPECT_TRUE(Send(patch).ok());
  EXPECT_EQ(seen_.at(0).method + seen_[0].target,
            "PATCH/apis/scheduling.x-k8s.io/v1alpha1/namespaces/team/podgroups/g/status");
  EXPECT_EQ(seen_[0].headers["content-type"], "application/merge-patch+json");
  EXPECT_EQ(nlohmann::json::parse(seen_[0].body), nlohmann::json::parse(R"({"status": {"phase": "Scheduling",
      "scheduled": 4, "running": 3, "succeeded": 2, "failed": 1, "scheduleStartTime": "1970-01-12T13:46:40Z"}})"));
}

TEST_F(GroupWritesTest, ABusyServerIsAskedAgainAndARefusalStands) {
  const struct {
    std::vector<int> answers;
    ApiCode code;
    size_t asked;
  } kRows[] = {
      {{500, 409, 200}, ApiCode::kOk, 3}, {{403}, ApiCode::kForbidden, 1}, {{404}, ApiCode::kNotFound, 1},
      {{422}, ApiCode::kInvalid, 1},      {{409}, ApiCode::kConflict, 4},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(Send(Native("v1beta1"), row.answers).code, row.code);
    EXPECT_EQ(seen_.size(), row.asked);
  }
}

}  // namespace
}  // namespace muster
