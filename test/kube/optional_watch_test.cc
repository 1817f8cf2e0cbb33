// Watches of kinds that a server may lack, and of those that come as JSON.
#include "scheduler/kube/optional_watch.h"

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/kube/kube_api_server.h"
#include "scheduler/model/pod_group.h"
#include "scheduler/runtime/reflector.h"
#include "scheduler/wire/proto/scheduling_v1alpha2.pb.h"
#include "scheduler/wire/proto/scheduling_v1beta1.pb.h"
#include "test/kube/kube_fixture.h"
#include "test/kube/tls_test_server.h"

namespace muster {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using Exchange = TlsTestServer::Exchange;
using Request = TlsTestServer::Request;

constexpr char kJson[] = "application/json";
constexpr char kNotFound[] = R"({"kind":"Status","code":404,"reason":"NotFound","message":"not found"})";

std::string Resources(const std::string& name) {
  return R"({"kind":"APIResourceList","resources":[{"name":"other"},{"name":")" + name + R"("},{"name":")" + name +
         R"(/status"}]})";
}

std::string JsonObject(const std::string& name, int version, const std::string& rest = "") {
  return absl::StrCat(R"({"kind":"K","metadata":{"name":")", name, R"(","namespace":"team","uid":"u-)", name,
                      R"(","resourceVersion":")", version, "\"}", rest, "}");
}
std::string JsonEvent(const std::string& type, const std::string& object) {
  return R"({"type":")" + type + R"(","object":)" + object + "}\n";
}
std::string JsonList(const std::string& items, int version) {
  return absl::StrCat(R"({"apiVersion":"a/v1","items":[)", items, R"(],"kind":"KList","metadata":{"resourceVersion":")",
                      version, "\"}}");
}

class OptionalWatchTest : public KubeTest {
 protected:
  void Open(TlsTestServer& server, Kind kind, uint64_t version = 0, ListWatchOptions options = {}) {
    KubeOptions kube;
    kube.watch = options;
    kube.look_again = absl::Milliseconds(20);
    told_.clear();
    end_.reset();
    stream_.reset();
    api_ = std::make_unique<KubeApiServer>(loop_, server.Access(), kube, nullptr);
    stream_ = api_->Watch(kind, version,
                          {.on_events =
                               [this](std::vector<WatchEvent> events) {
                                 EXPECT_FALSE(end_.has_value());
                                 for (const WatchEvent& event : events) Tell(event);
                               },
                           .on_end = [this](ApiStatus status) { end_ = std::move(status); }});
  }
  void RunToEnd() {
    RunUntil([this] { return end_.has_value(); });
  }
  void Tell(const WatchEvent& event) {
    constexpr const char* kMarks[] = {"+", "~", "-", "B", "S"};
    const auto* object = std::get_if<ObjectPtr>(&event.object);
    if (object != nullptr) last_ = *object;
    told_.push_back(absl::StrCat(kMarks[static_cast<size_t>(event.type)], object != nullptr ? (*object)->name : "", "@",
                                 event.resource_version));
  }

  std::vector<std::string> told_;
  ObjectPtr last_;
  std::optional<ApiStatus> end_;
  std::unique_ptr<KubeApiServer> api_;
  std::unique_ptr<WatchStream> stream_;
};

TEST_F(OptionalWatchTest, CustomResourcesComeAsJson) {
  const struct {
    Kind kind;
    const char *version_path, *resource;
  } kRows[] = {
      {Kind::kCoschedulingPodGroup, "/apis/scheduling.x-k8s.io/v1alpha1", "podgroups"},
      {Kind::kTopology, "/apis/muster.dev/v1alpha1", "topologies"},
      {Kind::kKueueTopology, "/apis/kueue.x-k8s.io/v1beta2", "topologies"},
      {Kind::kQueue, "/apis/muster.dev/v1alpha1", "queues"},
      {Kind::kResourceFlavor, "/apis/muster.dev/v1alpha1", "resourceflavors"},
  };
  for (const auto& row : kRows) {
    TlsTestServer server([&](const Request& request, Exchange& exchange) {
      EXPECT_EQ(request.headers.at("accept"), kJson);
      if (request.target == row.version_path) return exchange.Answer(200, kJson, Resources(row.resource));
      if (!request.Asks("watch=true"))
        return exchange.Answer(200, kJson, JsonList(JsonObject("a", 3) + "," + JsonObject("b", 4), 9));
      EXPECT_TRUE(request.Asks("resourceVersion=9"));
      exchange.BeginChunks(kJson);
      const std::string added = JsonEvent("ADDED", JsonObject("c", 10));
      exchange.Chunk(added.substr(0, 30));  // half a line
      exchange.Chunk(added.substr(30) + JsonEvent("MODIFIED", JsonObject("a", 11)) +
                     JsonEvent("BOOKMARK", R"({"kind":"K","metadata":{"resourceVersion":"12"}})"));
      exchange.Chunk(JsonEvent("DELETED", JsonObject("b", 13)) + JsonEvent("ADDED", JsonObject("d", 14)).substr(0, 20));
      exchange.Chunk("");
    });
    Open(server, row.kind);
    RunToEnd();
    EXPECT_TRUE(end_->ok()) << end_->message;
    EXPECT_THAT(told_, ElementsAre("+a@3", "+b@4", "S@9", "+c@10", "~a@11", "B@12", "-b@13"));
    EXPECT_THAT(server.Seen(),
                ElementsAre(std::string("GET ") + row.version_path,
                            absl::StrCat("GET ", row.version_path, "/", row.resource, "?"),
                            StartsWith(absl::StrCat("GET ", row.version_path, "/", row.resource, "?watch"))));
  }
}

TEST_F(OptionalWatchTest, JsonStreamsTheInitialState) {
  TlsTestServer server([&](const Request& request, Exchange& exchange) {
    if (!request.Asks("watch=true")) return exchange.Answer(200, kJson, Resources("topologies"));
    EXPECT_TRUE(request.Asks("sendInitialEvents=true"));
    exchange.BeginChunks(kJson);
    exchange.Chunk(
        JsonEvent("ADDED", JsonObject("a", 3, R"(,"spec":{"levels":[{"nodeLabel":"rack"}]})")) +
        JsonEvent("BOOKMARK",
                  R"({"metadata":{"resourceVersion":"9","annotations":{"k8s.io/initial-events-end":"true"}}})"));
    exchange.Chunk("");
  });
  Open(server, Kind::kTopology, 0, {.initial = InitialState::kWatchList});
  RunToEnd();
  EXPECT_TRUE(end_->ok()) << end_->message;
  EXPECT_THAT(told_, ElementsAre("+a@3", "S@9"));
  EXPECT_THAT(dynamic_cast<const Topology&>(*last_).levels, ElementsAre("rack"));
}

TEST_F(OptionalWatchTest, EndsWithWhatTheServerSaysInJson) {
  const std::string gone =
      JsonEvent("ERROR", R"({"kind":"Status","code":410,"reason":"Expired","message":"too old resource version"})");
  const struct {
    uint64_t from;
    int status;
    std::string body;
    ApiCode code;
    const char* message;
  } kRows[] = {
      {10, 200, gone, ApiCode::kGone, "too old resource version"},
      {10, 200, JsonEvent("ADDED", JsonObject("a", 11)) + gone, ApiCode::kGone, "too old"},
      {10, 200, JsonEvent("ERROR", R"({"code":500,"message":"etcd"})"), ApiCode::kServerError, "etcd"},
      {10, 200, "{}", ApiCode::kServerError, "a watch event cannot be read"},
      {10, 200, JsonEvent("ADDED", "{}"), ApiCode::kServerError, "a watch event cannot be read"},
      {10, 200, JsonEvent("NEW", JsonObject("a", 11)), ApiCode::kServerError, "a watch event cannot be read"},
      {10, 200, "<html>", ApiCode::kServerError, "the stream is not one of JSON objects"},
      {0, 200, JsonList("{}", 9), ApiCode::kServerError, "an item of the list cannot be read"},
      {0, 200, JsonList(JsonObject("a", 3), 9).substr(0, 90), ApiCode::kServerError, "the body is not a list in JSON"},
      {0, 200, JsonList("", 0), ApiCode::kServerError, "a list without a version"},
      {0, 403, R"({"kind":"Status","code":403,"message":"cannot list resource \"topologies\""})", ApiCode::kForbidden,
       "GET /apis/muster.dev/v1alpha1/topologies: HTTP 403: cannot list resource \"topologies\""},
  };
  for (const auto& row : kRows) {
    TlsTestServer server([&](const Request& request, Exchange& exchange) {
      if (request.target == "/apis/muster.dev/v1alpha1") return exchange.Answer(200, kJson, Resources("topologies"));
      exchange.Answer(row.status, kJson, row.body);
    });
    Open(server, Kind::kTopology, row.from);
    RunToEnd();
    EXPECT_EQ(end_->code, row.code) << end_->message;
    EXPECT_THAT(end_->message, HasSubstr(row.message));
    EXPECT_THAT(told_, testing::Not(testing::Contains(StartsWith("S"))));
  }
}

TEST_F(OptionalWatchTest, TheBestVersionThatIsServedIsRead) {
  for (const std::string served : {"v1beta1", "v1alpha3", "v1alpha2"}) {
    std::string group;
    if (served == "v1alpha2") {
      k8s::io::api::scheduling::v1alpha2::PodGroup wire;
      wire.mutable_metadata()->set_name("g");
      wire.mutable_spec()->mutable_schedulingpolicy()->mutable_gang()->set_mincount(3);
      group = Seal("scheduling.k8s.io/" + served, "PodGroup", wire);
    } else {
      k8s::io::api::scheduling::v1beta1::PodGroup wire;
      wire.mutable_metadata()->set_name("g");
      wire.mutable_spec()->mutable_schedulingpolicy()->mutable_gang()->set_mincount(3);
      group = Seal("scheduling.k8s.io/" + served, "PodGroup", wire);
    }
    const std::string at = "/apis/scheduling.k8s.io/" + served;
    TlsTestServer server([&](const Request& request, Exchange& exchange) {
      if (request.target == at) return exchange.Answer(200, kJson, Resources("podgroups"));
      // A version that is served, without that resource.
      if (request.target == "/apis/scheduling.k8s.io/v1alpha3")
        return exchange.Answer(200, kJson, Resources("workloads"));
      if (!request.Asks(at + "/podgroups?")) return exchange.Answer(404, kJson, kNotFound);
      exchange.BeginChunks(kProtobufStream);
      exchange.Chunk(Frame("ADDED", group) + BookmarkFrame(9, true));
      exchange.Chunk("");
    });
    Open(server, Kind::kPodGroup, 0, {.initial = InitialState::kWatchList});
    RunToEnd();
    EXPECT_THAT(told_, ElementsAre("+g@0", "S@9")) << served;
    const auto& read = dynamic_cast<const PodGroup&>(*last_);
    EXPECT_EQ(read.api_version, "scheduling.k8s.io/" + served);
    EXPECT_EQ(read.min_count, 3);
    EXPECT_EQ(read.invalid, "");
  }
}

TEST_F(OptionalWatchTest, DevicesComeAsProtobufWhereTheyAreServed) {
  const struct {
    Kind kind;
    const char *version_path, *resource;
  } kRows[] = {
      {Kind::kResourceClaim, "/apis/resource.k8s.io/v1", "resourceclaims"},
      {Kind::kResourceSlice, "/apis/resource.k8s.io/v1", "resourceslices"},
      {Kind::kDeviceClass, "/apis/resource.k8s.io/v1", "deviceclasses"},
      {Kind::kDeviceTaintRule, "/apis/resource.k8s.io/v1", "devicetaintrules"},
      {Kind::kDeviceTaintRule, "/apis/resource.k8s.io/v1beta2", "devicetaintrules"},
      {Kind::kDeviceTaintRule, "/apis/resource.k8s.io/v1alpha3", "devicetaintrules"},
  };
  core::Pod bare = WirePod("a", 3);  // only its metadata is read
  bare.clear_spec();
  for (const auto& row : kRows) {
    const std::string at = row.version_path;
    TlsTestServer server([&](const Request& request, Exchange& exchange) {
      if (request.target == at) return exchange.Answer(200, kJson, Resources(row.resource));
      if (!request.Asks(at + "/" + row.resource + "?")) return exchange.Answer(404, kJson, kNotFound);
      EXPECT_EQ(request.headers.at("accept").substr(0, sizeof kProtobuf - 1), kProtobuf);
      exchange.BeginChunks(kProtobufStream);
      exchange.Chunk(PodFrame("ADDED", bare) + BookmarkFrame(9, true));
      exchange.Chunk("");
    });
    Open(server, row.kind, 0, {.initial = InitialState::kWatchList});
    RunToEnd();
    EXPECT_TRUE(end_->ok()) << end_->message;
    EXPECT_THAT(told_, ElementsAre("+a@3", "S@9")) << row.version_path << row.resource;
  }
}

TEST_F(OptionalWatchTest, AKindThatIsNotServedHasNoObjectsUntilItIs) {
  std::atomic<int> asked = 0;
  TlsTestServer server([&](const Request& request, Exchange& exchange) {
    EXPECT_FALSE(request.Asks("podgroups?"));
    if (request.target == "/apis/scheduling.k8s.io/v1beta1") ++asked;
    if (asked == 3) return exchange.Answer(503, kJson, "");  // nobody needs to know
    if (asked == 4 && request.Asks("v1alpha2")) return exchange.Answer(200, kJson, Resources("podgroups"));
    exchange.Answer(404, kJson, kNotFound);
  });
  Open(server, Kind::kPodGroup);
  RunToEnd();
  EXPECT_TRUE(end_->ok());
  EXPECT_EQ(asked, 4);
  EXPECT_THAT(told_, ElementsAre("S@0"));
  EXPECT_TRUE(api_->watching());
}

TEST_F(OptionalWatchTest, ToResumeAKindThatWentAwayIsToForgetIt) {
  TlsTestServer server([&](const Request&, Exchange& exchange) { exchange.Answer(404, kJson, kNotFound); });
  Open(server, Kind::kCoschedulingPodGroup, 10);
  RunToEnd();
  EXPECT_EQ(end_->code, ApiCode::kGone);
  EXPECT_THAT(told_, ElementsAre());
}

TEST_F(OptionalWatchTest, AKindThatGoesWhileItIsAskedForIsGone) {
  TlsTestServer server([&](const Request& request, Exchange& exchange) {
    if (!request.Asks("topologies")) return exchange.Answer(200, kJson, Resources("topologies"));
    exchange.Answer(404, kJson, kNotFound);
  });
  Open(server, Kind::kTopology, 10);
  RunToEnd();
  EXPECT_EQ(end_->code, ApiCode::kGone);
}

TEST_F(OptionalWatchTest, WhatKeepsUsFromFindingOutIsTold) {
  const struct {
    int status;
    ApiCode code;
  } kRows[] = {{403, ApiCode::kForbidden}, {500, ApiCode::kServerError}, {401, ApiCode::kUnauthorized}};
  for (const auto& row : kRows) {
    TlsTestServer server([&](const Request&, Exchange& exchange) { exchange.Answer(row.status, kJson, "{}"); });
    Open(server, Kind::kTopology);
    RunToEnd();
    EXPECT_EQ(end_->code, row.code) << end_->message;
    EXPECT_THAT(end_->message, HasSubstr("GET /apis/muster.dev/v1alpha1: HTTP "));
    EXPECT_FALSE(api_->watching());
  }
}

TEST_F(OptionalWatchTest, SaysNothingOnceCancelled) {
  std::atomic<int> asked = 0;
  TlsTestServer server([&](const Request&, Exchange& exchange) {
    ++asked;
    exchange.Answer(404, kJson, kNotFound);
  });
  Open(server, Kind::kTopology);
  stream_.reset();
  bool later = false;
  loop_.After(absl::Milliseconds(200), [&] { later = true; });
  RunUntil([&] { return later; });
  EXPECT_THAT(told_, ElementsAre());
  EXPECT_FALSE(end_.has_value());
  EXPECT_LE(asked, 1);
}

// A custom resource's life, as the reflector tells of it: not there, installed, removed.
TEST_F(OptionalWatchTest, AReflectorFollowsACustomResourceThatComesAndGoes) {
  std::atomic<bool> installed = false;
  TlsTestServer server([&](const Request& request, Exchange& exchange) {
    if (!installed) return exchange.Answer(404, kJson, kNotFound);
    if (!request.Asks("topologies")) return exchange.Answer(200, kJson, Resources("topologies"));
    if (request.Asks("sendInitialEvents")) return exchange.Answer(400, kJson, "{}");
    if (!request.Asks("watch=true")) return exchange.Answer(200, kJson, JsonList(JsonObject("a", 3), 9));
    exchange.BeginChunks(kJson);
    exchange.Chunk("");
  });
  KubeOptions options;
  options.look_again = absl::Milliseconds(10);
  KubeApiServer api(loop_, server.Access(), options, nullptr);
  Random random(1);
  std::vector<std::string> told;
  Reflector reflector(loop_, api, Kind::kTopology, random,
                      {.on_event =
                           [&](const WatchEvent& event) {
                             told.push_back((event.type == WatchEvent::Type::kDeleted ? "-" : "+") +
                                            std::get<ObjectPtr>(event.object)->name);
                           },
                       .on_synced = [&] { told.push_back("S"); },
                       .on_status = nullptr});
  reflector.Start();
  RunUntil([&] { return !told.empty(); });
  EXPECT_THAT(told, ElementsAre("S"));
  installed = true;
  RunUntil([&] { return told.size() >= 3; });
  EXPECT_THAT(told, ElementsAre("S", "+a", "S"));
  installed = false;
  RunUntil([&] { return told.size() >= 5; });
  EXPECT_THAT(told, ElementsAre("S", "+a", "S", "-a", "S"));
}

}  // namespace
}  // namespace muster
