// What PatchQueueStatus sends.
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

class QueueWritesTest : public KubeTest {
 protected:
  ApiStatus Send(const std::string& uid, const QueueStatus& status, int answer = 200) {
    seen_.clear();
    TlsTestServer server([&](const Request& request, Exchange& exchange) {
      seen_.push_back(request);
      exchange.Answer(answer, "application/json", "{}");
    });
    KubeApiServer api(loop_, server.Access(), {}, nullptr);
    std::optional<ApiStatus> result;
    api.PatchQueueStatus("team-a", uid, status, [&](ApiStatus told) { result = std::move(told); });
    RunUntil([&] { return result.has_value(); });
    return *result;
  }

  std::vector<Request> seen_;
};

TEST_F(QueueWritesTest, TheWholeStatusIsReplacedWhereTheUidIsTheQueues) {
  QueueStatus status;
  status.ready = {true, "True", "Ready", "\xff"};
  status.running_pods = 3;
  status.usage = {{"cpu", "", 1500, 0}};
  EXPECT_TRUE(Send("u", status).ok());
  ASSERT_EQ(seen_.size(), 1u);
  EXPECT_EQ(seen_[0].method + seen_[0].target, "PATCH/apis/muster.dev/v1alpha1/queues/team-a/status");
  EXPECT_EQ(seen_[0].headers["content-type"], "application/json-patch+json");
  const auto want = nlohmann::json::parse(R"([{"op": "test", "path": "/metadata/uid", "value": "u"},
    {"op": "add", "path": "/status", "value": {
      "conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "message": "\ufffd"}],
      "pendingGroups": 0, "pendingPods": 0, "runningPods": 3,
      "usage": [{"resource": "cpu", "used": "1500m", "borrowed": "0"}], "pending": []}}])");
  EXPECT_EQ(nlohmann::json::parse(seen_[0].body), want);
  EXPECT_TRUE(Send("", status).ok());
  EXPECT_EQ(nlohmann::json::parse(seen_.at(0).body), nlohmann::json::array({want[1]}));
}

TEST_F(QueueWritesTest, IsSentOnce) {
  const struct {
    int answer;
    ApiCode code;
  } kRows[] = {{500, ApiCode::kServerError},
               {429, ApiCode::kTooManyRequests},
               {422, ApiCode::kInvalid},
               {403, ApiCode::kForbidden},
               {404, ApiCode::kNotFound}};
  for (const auto& row : kRows) {
    EXPECT_EQ(Send("u", {}, row.answer).code, row.code);
    EXPECT_EQ(seen_.size(), 1u) << row.answer;
  }
}

}  // namespace
}  // namespace muster
