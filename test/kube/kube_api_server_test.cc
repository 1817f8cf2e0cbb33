#include "scheduler/kube/kube_api_server.h"

#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "scheduler/wire/decode.h"
#include "scheduler/wire/proto/coordination_v1.pb.h"
#include "scheduler/wire/proto/events_v1.pb.h"
#include "test/kube/kube_fixture.h"
#include "test/kube/tls_test_server.h"

namespace muster {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Exchange = TlsTestServer::Exchange;
using Request = TlsTestServer::Request;

class KubeApiServerTest : public KubeTest {
 protected:
  // Waits for the answer of what `ask` asks.
  ApiStatus Wait(const std::function<void(ApiServer::Done)>& ask) {
    std::optional<ApiStatus> answer;
    ask([&](ApiStatus status) { answer = std::move(status); });
    RunUntil([&] { return answer.has_value(); });
    return answer.value_or(ApiStatus{ApiCode::kUnreachable, "no answer", {}});
  }
  static std::string Success() {
    meta::Status status;
    status.set_status("Success");
    return Seal("v1", "Status", status);
  }
};

TEST_F(KubeApiServerTest, Binds) {
  Request seen;
  TlsTestServer server([&](const Request& request, Exchange& exchange) {
    seen = request;
    exchange.Answer(201, kProtobuf, Success());
  });
  KubeApiServer api(loop_, server.Access(), {}, nullptr);
  const ApiStatus status = Wait([&](auto done) { api.Bind({"ns", "a", "uid-a", "n1"}, done); });
  EXPECT_TRUE(status.ok()) << status.message;
  EXPECT_EQ(seen.method + seen.target, "POST/api/v1/namespaces/ns/pods/a/binding");
  EXPECT_EQ(seen.headers["content-type"], kProtobuf);
  const auto envelope = OpenEnvelope(seen.body);
  ASSERT_TRUE(envelope.has_value());
  core::Binding binding;
  ASSERT_TRUE(binding.ParseFromArray(envelope->object.data(), static_cast<int>(envelope->object.size())));
  EXPECT_EQ(binding.metadata().uid(), "uid-a");
  EXPECT_EQ(binding.target().name(), "n1");
}

// 409 can mean: done before, with the answer lost.
TEST_F(KubeApiServerTest, TellsABindDoneBeforeFromOneRefused) {
  const std::string conflict = StatusBody(409, "Conflict", "pod a is already assigned to node \"n1\"");
  const struct {
    int status;
    std::string pod;
    ApiCode want;
  } kRows[] = {
      {200, Seal("v1", "Pod", WirePod("a", 5, "n1")), ApiCode::kOk},
      {200, Seal("v1", "Pod", WirePod("a", 5, "n2")), ApiCode::kConflict},
      {200, Seal("v1", "Pod", WirePod("a", 5)), ApiCode::kConflict},
      {200, Seal("v1", "Pod", WirePod("other", 5, "n1")), ApiCode::kConflict},  // another uid
      {404, StatusBody(404, "NotFound", "no"), ApiCode::kConflict},
      {503, "", ApiCode::kServerError},  // not known yet
  };
  for (const auto& row : kRows) {
    TlsTestServer server([&](const Request& request, Exchange& exchange) {
      if (request.method == "POST") return exchange.Answer(409, kProtobuf, conflict);
      EXPECT_EQ(request.target, "/api/v1/namespaces/default/pods/a");
      exchange.Answer(row.status, kProtobuf, row.pod);
    });
    KubeApiServer api(loop_, server.Access(), {}, nullptr);
    const ApiStatus status = Wait([&](auto done) { api.Bind({"default", "a", "uid-a", "n1"}, done); });
    EXPECT_EQ(status.code, row.want) << status.message;
    if (row.want == ApiCode::kConflict) {
      EXPECT_THAT(status.message, HasSubstr("already assigned"));
    }
  }
}

TEST_F(KubeApiServerTest, BindFailuresAreToldOnceAndWhole) {
  std::atomic<int> asked = 0;
  TlsTestServer server([&](const Request&, Exchange& exchange) {
    ++asked;
    exchange.Answer(429, kProtobuf, StatusBody(429, "TooManyRequests", "busy"), "Retry-After: 2\r\n");
  });
  KubeApiServer api(loop_, server.Access(), {}, nullptr);
  const ApiStatus status = Wait([&](auto done) { api.Bind({"default", "a", "uid-a", "n1"}, done); });
  EXPECT_EQ(status.code, ApiCode::kTooManyRequests);
  EXPECT_EQ(status.retry_after, absl::Seconds(2));
  EXPECT_EQ(asked, 1);
}

TEST_F(KubeApiServerTest, PatchesTheStatusAndTriesAgain) {
  std::vector<std::string> bodies;
  TlsTestServer server([&](const Request& request, Exchange& exchange) {
    EXPECT_EQ(request.method + request.target, "PATCH/api/v1/namespaces/ns/pods/a/status");
    EXPECT_EQ(request.headers.at("content-type"), "application/strategic-merge-patch+json");
    bodies.push_back(request.body);
    const int status = bodies.size() == 1 ? 500 : bodies.size() == 2 ? 409 : 200;
    exchange.Answer(status, kProtobuf, "");
  });
  KubeApiServer api(loop_, server.Access(), {}, nullptr);
  PodStatusPatch patch{"ns", "a", "uid-a", {true, "False", "Unschedulable", "0/1 nodes: \xff \"x\""}, 7, true, ""};
  patch.transition = absl::FromUnixSeconds(1'000'000);
  const ApiStatus status = Wait([&](auto done) { api.PatchPodStatus(patch, done); });
  EXPECT_TRUE(status.ok()) << status.message;
  ASSERT_EQ(bodies.size(), 3u);
  EXPECT_EQ(nlohmann::json::parse(bodies[2]), nlohmann::json::parse(R"({
      "metadata": {"uid": "uid-a"},
      "status": {"nominatedNodeName": null, "conditions": [{
          "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes: \ufffd \"x\"",
          "observedGeneration": 7, "lastTransitionTime": "1970-01-12T13:46:40Z"}]}})"));
}

TEST_F(KubeApiServerTest, APatchThatIsRefusedIsNotTriedAgain) {
  TlsTestServer server([&](const Request&, Exchange& exchange) {
    exchange.Answer(403, kProtobuf, StatusBody(403, "Forbidden", "cannot patch resource \"pods/status\""));
  });
  KubeApiServer api(loop_, server.Access(), {}, nullptr);
  const ApiStatus status = Wait([&](auto done) { api.PatchPodStatus({"ns", "a", "", {}, 0, true, "n1"}, done); });
  EXPECT_EQ(status.code, ApiCode::kForbidden);
  EXPECT_THAT(status.message, HasSubstr("PATCH /api/v1/namespaces/ns/pods/a/status: HTTP 403: cannot patch resource"));
  EXPECT_EQ(server.Seen().size(), 1u);
}

TEST_F(KubeApiServerTest, DeletesOnlyThePodThatIsMeant) {
  std::string body;
  TlsTestServer server([&](const Request& request, Exchange& exchange) {
    EXPECT_EQ(request.method + request.target, "DELETE/api/v1/namespaces/ns/pods/a");
    body = request.body;
    exchange.Answer(200, kProtobuf, Success());
  });
  KubeApiServer api(loop_, server.Access(), {}, nullptr);
  EXPECT_TRUE(Wait([&](auto done) { api.DeletePod("ns", "a", "u", done); }).ok());
  EXPECT_EQ(nlohmann::json::parse(body)["preconditions"]["uid"], "u");
}

TEST_F(KubeApiServerTest, WritesEvents) {
  std::vector<Request> seen;
  TlsTestServer server([&](const Request& request, Exchange& exchange) {
    seen.push_back(request);
    exchange.Answer(201, kProtobuf, "");
  });
  KubeApiServer api(loop_, server.Access(), {}, nullptr);
  ApiEvent event;
  event.ns = "ns";
  event.name = "a.1f";
  event.note = "a note";
  event.event_time = absl::FromUnixSeconds(1'000'000);
  EXPECT_TRUE(Wait([&](auto done) { api.CreateEvent(event, done); }).ok());
  event.series_count = 3;
  event.series_last = absl::FromUnixMicros(1'000'000'000'500);
  EXPECT_TRUE(Wait([&](auto done) { api.PatchEventSeries(event, done); }).ok());
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].method + seen[0].target, "POST/apis/events.k8s.io/v1/namespaces/ns/events");
  EXPECT_THAT(seen[0].body, HasSubstr("a note"));
  EXPECT_EQ(seen[1].method + seen[1].target, "PATCH/apis/events.k8s.io/v1/namespaces/ns/events/a.1f");
  EXPECT_EQ(seen[1].body, R"({"series":{"count":3,"lastObservedTime":"1970-01-12T13:46:40.000500Z"}})");
  EXPECT_EQ(api.waiting_events(), 0u);
}

TEST_F(KubeApiServerTest, CountsTheEventsThatItDrops) {
  TlsTestServer server([&](const Request&, Exchange& exchange) { exchange.Answer(201, kProtobuf, ""); });
  KubeOptions options;
  options.max_waiting_events = 3;
  KubeApiServer api(loop_, server.Access(), options, nullptr);
  int written = 0, dropped = 0;
  for (int i = 0; i < 5; ++i) {
    ApiEvent event;
    event.ns = "ns";
    event.name = absl::StrCat("e", i);
    api.CreateEvent(event, [&](const ApiStatus& status) { ++(status.ok() ? written : dropped); });
  }
  RunUntil([&] { return written + dropped == 5; });
  EXPECT_EQ(written, 3);
  EXPECT_EQ(dropped, 2);
  EXPECT_EQ(api.dropped_events(), 2u);
}

TEST_F(KubeApiServerTest, ALeaseKeepsItsUnknownFields) {
  std::string stored;
  std::vector<std::string> asked;
  TlsTestServer server([&](const Request& request, Exchange& exchange) {
    asked.push_back(request.method + request.target);
    if (request.method == "GET") {
      k8s::io::api::coordination::v1::Lease lease;
      lease.mutable_metadata()->set_name("muster");
      lease.mutable_metadata()->set_namespace_("ns");
      lease.mutable_metadata()->set_resourceversion("5");
      (*lease.mutable_metadata()->mutable_annotations())["keep"] = "me";
      lease.mutable_spec()->set_holderidentity("other");
      return exchange.Answer(200, kProtobuf, Seal("coordination.k8s.io/v1", "Lease", lease));
    }
    stored = request.body;
    exchange.Answer(200, kProtobuf, request.body);
  });
  KubeApiServer api(loop_, server.Access(), {}, nullptr);
  Lease lease;
  EXPECT_TRUE(Wait([&](auto done) {
                api.GetLease("ns", "muster", [&, done](const ApiStatus& status, const Lease& got) {
                  lease = got;
                  done(status);
                });
              }).ok());
  EXPECT_EQ(lease.holder, "other");
  lease.holder = "me";
  lease.renewed = lease.acquired = absl::FromUnixSeconds(7);
  Lease written;
  EXPECT_TRUE(Wait([&](auto done) {
                api.UpdateLease(lease, [&, done](const ApiStatus& status, const Lease& got) {
                  written = got;
                  done(status);
                });
              }).ok());
  EXPECT_EQ(written.holder, "me");
  EXPECT_EQ(written.renewed, absl::FromUnixSeconds(7));
  EXPECT_EQ(written.resource_version, "5");
  EXPECT_THAT(stored, HasSubstr("keep"));
  EXPECT_THAT(asked, ElementsAre("GET/apis/coordination.k8s.io/v1/namespaces/ns/leases/muster",
                                 "PUT/apis/coordination.k8s.io/v1/namespaces/ns/leases/muster"));
}

TEST_F(KubeApiServerTest, AnAnswerThatIsNoLeaseIsAnError) {
  TlsTestServer server([&](const Request&, Exchange& exchange) { exchange.Answer(200, "text/html", "<html>"); });
  KubeApiServer api(loop_, server.Access(), {}, nullptr);
  const ApiStatus status =
      Wait([&](auto done) { api.GetLease("ns", "muster", [done](const ApiStatus& s, const Lease&) { done(s); }); });
  EXPECT_EQ(status.code, ApiCode::kServerError);
}

TEST_F(KubeApiServerTest, LearnsWhatServesThere) {
  const std::string both = R"({"groups":[{"v":"events.k8s.io/v1"},{"v":"coordination.k8s.io/v1"}]})";
  const struct {
    std::string groups;
    ApiCode code;
    std::string want;  // the version, or the error's text
  } kRows[] = {
      {both, ApiCode::kOk, "v1.37.1"},
      {R"({"groups":[{"v":"coordination.k8s.io/v1"}]})", ApiCode::kInvalid, "does not offer events.k8s.io/v1"},
  };
  for (const auto& row : kRows) {
    TlsTestServer server([&](const Request& request, Exchange& exchange) {
      exchange.Answer(200, "application/json",
                      request.target == "/version" ? R"({"gitVersion":"v1.37.1"})" : row.groups);
    });
    KubeApiServer api(loop_, server.Access(), {}, nullptr);
    std::string version;
    const ApiStatus status = Wait([&](auto done) {
      api.Discover([&, done](const ApiStatus& s, const std::string& v) {
        version = v;
        done(s);
      });
    });
    EXPECT_EQ(status.code, row.code);
    EXPECT_THAT(status.ok() ? version : status.message, HasSubstr(row.want));
  }
}

}  // namespace
}  // namespace muster
