// What Watch() makes of a server's answers.
#include "scheduler/kube/list_watch.h"

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/kube/kube_api_server.h"
#include "test/kube/kube_fixture.h"
#include "test/kube/tls_test_server.h"

namespace muster {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Exchange = TlsTestServer::Exchange;
using Request = TlsTestServer::Request;

core::Pod BarePod(const std::string& name, int version) {
  core::Pod pod;
  pod.mutable_metadata()->set_name(name);
  pod.mutable_metadata()->set_resourceversion(std::to_string(version));
  return pod;
}

class ListWatchTest : public KubeTest {
 protected:
  // Opens a watch and records what it tells: "+a@5" (added), "~", "-", "B@5", "S@5" (synced).
  void Open(TlsTestServer& server, uint64_t version, ListWatchOptions options = {}, Kind kind = Kind::kPod) {
    KubeOptions kube;
    kube.watch = options;
    api_ = std::make_unique<KubeApiServer>(loop_, server.Access(), kube, nullptr);
    stream_ = api_->Watch(kind, version,
                          {.on_events =
                               [this](std::vector<WatchEvent> events) {
                                 EXPECT_FALSE(end_.has_value());
                                 if (events.empty()) ++accepted_;
                                 for (const WatchEvent& event : events) told_.push_back(Text(event));
                               },
                           .on_end = [this](ApiStatus status) { end_ = std::move(status); }});
  }
  void RunToEnd() {
    RunUntil([this] { return end_.has_value(); });
  }
  static std::string Text(const WatchEvent& event) {
    constexpr const char* kMarks[] = {"+", "~", "-", "B", "S"};
    const auto* pod = std::get_if<PodPtr>(&event.object);
    const auto* other = std::get_if<ObjectPtr>(&event.object);
    return absl::StrCat(kMarks[static_cast<size_t>(event.type)],
                        pod != nullptr     ? (*pod)->name
                        : other != nullptr ? (*other)->name
                                           : "",
                        "@", event.resource_version);
  }

  std::vector<std::string> told_;
  int accepted_ = 0;
  std::optional<ApiStatus> end_;
  std::unique_ptr<KubeApiServer> api_;
  std::unique_ptr<WatchStream> stream_;
};

const std::string kStream = PodFrame("ADDED", WirePod("a", 11)) + PodFrame("MODIFIED", WirePod("b", 12)) +
                            BookmarkFrame(20, false) + PodFrame("DELETED", WirePod("c", 21));

TEST_F(ListWatchTest, ReadsFramesHoweverTheyAreCut) {
  for (const size_t cut : {size_t{1}, size_t{2}, size_t{3}, size_t{7}, size_t{64}, kStream.size()}) {
    TlsTestServer server([&](const Request&, Exchange& exchange) {
      exchange.BeginChunks(kProtobufStream);
      for (size_t at = 0; at < kStream.size(); at += cut) exchange.Chunk(std::string_view(kStream).substr(at, cut));
      exchange.Chunk("");
    });
    told_.clear();
    end_.reset();
    Open(server, 10);
    RunToEnd();
    EXPECT_TRUE(end_->ok()) << end_->message;
    EXPECT_THAT(told_, ElementsAre("+a@11", "~b@12", "B@20", "-c@21")) << cut;
    stream_.reset();
    api_.reset();
  }
}

TEST_F(ListWatchTest, AsksForWhatItSaysAndNoMore) {
  TlsTestServer server([&](const Request&, Exchange& exchange) {
    exchange.BeginChunks(kProtobufStream);
    exchange.Chunk("");
  });
  Open(server, 10);
  RunToEnd();
  EXPECT_THAT(server.Seen(),
              ElementsAre(testing::MatchesRegex(
                  "GET /api/v1/pods\\?fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed&watch=true"
                  "&allowWatchBookmarks=true&timeoutSeconds=[345][0-9][0-9]&resourceVersion=10")));
}

TEST_F(ListWatchTest, ListsThenWatches) {
  TlsTestServer server([&](const Request& request, Exchange& exchange) {
    if (!request.Asks("watch=true")) {
      return exchange.Answer(200, kProtobuf, ListBody({WirePod("a", 3), WirePod("b", 4)}, 9));
    }
    EXPECT_TRUE(request.Asks("resourceVersion=9"));
    exchange.BeginChunks(kProtobufStream);
    exchange.Chunk(PodFrame("DELETED", WirePod("a", 10)));
    exchange.Chunk("");
  });
  Open(server, 0);
  RunToEnd();
  EXPECT_TRUE(end_->ok()) << end_->message;
  EXPECT_THAT(told_, ElementsAre("+a@3", "+b@4", "S@9", "-a@10"));
}

TEST_F(ListWatchTest, WatchesAllKindsThatServersHave) {
  const std::pair<Kind, const char*> kCases[] = {
      {Kind::kNamespace, "/api/v1/namespaces"},
      {Kind::kService, "/api/v1/services"},
      {Kind::kReplicationController, "/api/v1/replicationcontrollers"},
      {Kind::kReplicaSet, "/apis/apps/v1/replicasets"},
      {Kind::kStatefulSet, "/apis/apps/v1/statefulsets"},
      {Kind::kPodDisruptionBudget, "/apis/policy/v1/poddisruptionbudgets"},
      {Kind::kPersistentVolume, "/api/v1/persistentvolumes"},
      {Kind::kPersistentVolumeClaim, "/api/v1/persistentvolumeclaims"},
      {Kind::kStorageClass, "/apis/storage.k8s.io/v1/storageclasses"},
      {Kind::kCSINode, "/apis/storage.k8s.io/v1/csinodes"},
      {Kind::kCSIDriver, "/apis/storage.k8s.io/v1/csidrivers"},
      {Kind::kCSIStorageCapacity, "/apis/storage.k8s.io/v1/csistoragecapacities"},
      {Kind::kVolumeAttachment, "/apis/storage.k8s.io/v1/volumeattachments"},
  };
  size_t optional = 0;  // see optional_watch_test
  for (size_t kind = 0; kind < kKindCount; ++kind) optional += MayBeAbsent(static_cast<Kind>(kind)) ? 1 : 0;
  EXPECT_EQ(std::size(kCases) + 2 + optional, kKindCount);  // and pods and nodes
  for (const auto& [kind, path] : kCases) {
    TlsTestServer server([&](const Request& request, Exchange& exchange) {
      // A pod stands in: what these kinds have in common is where metadata is.
      if (!request.Asks("watch=true")) return exchange.Answer(200, kProtobuf, ListBody({BarePod("a", 3)}, 9));
      exchange.BeginChunks(kProtobufStream);
      exchange.Chunk(PodFrame("MODIFIED", BarePod("a", 10)) + PodFrame("DELETED", BarePod("a", 11)));
      exchange.Chunk("");
    });
    told_.clear();
    end_.reset();
    Open(server, 0, {}, kind);
    RunToEnd();
    EXPECT_TRUE(end_->ok()) << end_->message;
    EXPECT_THAT(told_, ElementsAre("+a@3", "S@9", "~a@10", "-a@11")) << path;
    EXPECT_THAT(server.Seen(), ElementsAre(std::string("GET ") + path + "?",
                                           testing::StartsWith(std::string("GET ") + path + "?watch=true")));
    stream_.reset();
    api_.reset();
  }
}

TEST_F(ListWatchTest, StreamsTheInitialState) {
  TlsTestServer server([&](const Request& request, Exchange& exchange) {
    EXPECT_TRUE(request.Asks("sendInitialEvents=true&resourceVersionMatch=NotOlderThan"));
    exchange.BeginChunks(kProtobufStream);
    exchange.Chunk(PodFrame("ADDED", WirePod("a", 3)) + BookmarkFrame(9, true) + PodFrame("ADDED", WirePod("b", 10)));
    exchange.Chunk("");
  });
  Open(server, 0, {.initial = InitialState::kWatchList});
  RunToEnd();
  EXPECT_TRUE(end_->ok()) << end_->message;
  EXPECT_THAT(told_, ElementsAre("+a@3", "S@9", "+b@10"));
}

TEST_F(ListWatchTest, ListsWhereTheServerDoesNotStreamTheInitialState) {
  for (const int refusal : {400, 422}) {
    TlsTestServer server([&](const Request& request, Exchange& exchange) {
      if (request.Asks("sendInitialEvents")) {
        return exchange.Answer(refusal, kProtobuf, StatusBody(refusal, "Invalid", "sendInitialEvents: Forbidden"));
      }
      if (!request.Asks("watch=true")) return exchange.Answer(200, kProtobuf, ListBody({WirePod("a", 3)}, 9));
      exchange.BeginChunks(kProtobufStream);
      exchange.Chunk("");
    });
    told_.clear();
    end_.reset();
    Open(server, 0, {.initial = InitialState::kWatchList});
    RunToEnd();
    EXPECT_THAT(told_, ElementsAre("+a@3", "S@9"));
    stream_.reset();
    api_.reset();
  }
}

TEST_F(ListWatchTest, ListsAtFirstAndStreamsTheStateLater) {
  TlsTestServer server([&](const Request&, Exchange& exchange) { exchange.Answer(500, kProtobuf, ""); });
  Open(server, 0);
  RunToEnd();
  for (const Kind kind : {Kind::kPod, Kind::kNode}) {
    bool ended = false;
    auto again = api_->Watch(kind, 0, {.on_events = [](const auto&) {}, .on_end = [&](const auto&) { ended = true; }});
    RunUntil([&] { return ended; });
  }
  const auto streams = HasSubstr("sendInitialEvents=true");
  EXPECT_THAT(server.Seen(), ElementsAre(testing::Not(streams), streams, testing::Not(streams)));
}

TEST_F(ListWatchTest, EndsWithWhatTheServerSays) {
  const std::string gone = Frame("ERROR", StatusBody(410, "Expired", "too old resource version: 1 (2)"));
  const std::string busy = Frame("ERROR", StatusBody(500, "InternalError", "etcd"));
  const struct {
    int status;
    std::string body, headers;
    ApiCode code;
    std::string message;
    Duration retry_after;
  } kRows[] = {
      {200, gone, "", ApiCode::kGone, "too old resource version", {}},
      {200, PodFrame("ADDED", WirePod("a", 11)) + gone, "", ApiCode::kGone, "too old", {}},
      {200, busy, "", ApiCode::kServerError, "etcd", {}},
      {200, Frame("ADDED", "junk"), "", ApiCode::kServerError, "a watch event cannot be read", {}},
      {200, std::string("\xff\xff\xff\xff", 4), "", ApiCode::kServerError, "/api/v1/pods: ", {}},
      {410, StatusBody(410, "Expired", "gone"), "", ApiCode::kGone, "gone", {}},
      {504,
       StatusBody(504, "Timeout", "Too large resource version: 9, current: 3"),
       "",
       ApiCode::kGone,
       "Too large",
       {}},
      {429, StatusBody(429, "TooManyRequests", "busy"), "Retry-After: 3\r\n", ApiCode::kTooManyRequests, "busy",
       absl::Seconds(3)},
      {500, "plain text", "", ApiCode::kServerError, "HTTP 500: plain text", {}},
      {403,
       StatusBody(403, "Forbidden", "pods is forbidden: User \"u\" cannot watch resource \"pods\""),
       "",
       ApiCode::kForbidden,
       "GET /api/v1/pods: HTTP 403: pods is forbidden: User \"u\" cannot watch resource",
       {}},
      {401,
       R"({"kind":"Status","reason":"Unauthorized","message":"no"})",
       "",
       ApiCode::kUnauthorized,
       "HTTP 401: no",
       {}},
      {404, "", "", ApiCode::kNotFound, "HTTP 404", {}},
  };
  for (const auto& row : kRows) {
    TlsTestServer server([&](const Request&, Exchange& exchange) {
      exchange.Answer(row.status, kProtobufStream, row.body, row.headers);
    });
    end_.reset();
    Open(server, 10);
    RunToEnd();
    EXPECT_EQ(end_->code, row.code) << row.message << " / " << end_->message;
    EXPECT_THAT(end_->message, HasSubstr(row.message));
    EXPECT_EQ(end_->retry_after, row.retry_after) << row.message;
    stream_.reset();
    api_.reset();
  }
}

TEST_F(ListWatchTest, AStateThatEndsEarlyIsNoState) {
  const std::string list = ListBody({WirePod("a", 3), WirePod("b", 4)}, 9);
  const struct {
    InitialState initial;
    std::string body;
  } kRows[] = {
      {InitialState::kList, list.substr(0, list.size() - 3)},
      {InitialState::kList, ""},
      {InitialState::kList, ListBody({}, 0).substr(0, 4)},
      {InitialState::kList, R"({"kind":"PodList","items":[]})"},
      {InitialState::kWatchList, PodFrame("ADDED", WirePod("a", 3))},
      {InitialState::kWatchList, ""},
  };
  for (const auto& row : kRows) {
    TlsTestServer server([&](const Request&, Exchange& exchange) { exchange.Answer(200, kProtobuf, row.body); });
    told_.clear();
    end_.reset();
    Open(server, 0, {.initial = row.initial});
    RunToEnd();
    EXPECT_EQ(end_->code, ApiCode::kServerError) << row.body;
    EXPECT_THAT(told_, testing::Not(testing::Contains(testing::StartsWith("S"))));
    stream_.reset();
    api_.reset();
  }
}

TEST_F(ListWatchTest, TellsThatAQuietWatchWorks) {
  std::atomic<bool> refuse = true;
  TlsTestServer server([&](const Request&, Exchange& exchange) {
    if (refuse) return exchange.Answer(503, "text/plain", "not now");
    exchange.BeginChunks(kProtobufStream);
    exchange.Hang();
  });
  Open(server, 10);
  RunToEnd();
  EXPECT_FALSE(api_->watching());
  EXPECT_EQ(accepted_, 0);
  refuse = false;
  auto again =
      api_->Watch(Kind::kPod, 10, {.on_events = [&](const auto&) { ++accepted_; }, .on_end = [](const auto&) {}});
  RunUntil([&] { return accepted_ > 0; });
  EXPECT_TRUE(api_->watching());
}

TEST_F(ListWatchTest, NoticesASilentServer) {
  TlsTestServer server([&](const Request&, Exchange& exchange) {
    exchange.BeginChunks(kProtobufStream);
    exchange.Chunk(PodFrame("ADDED", WirePod("a", 11)));
    exchange.Hang();
  });
  Open(server, 10, {.stall_timeout = absl::Seconds(1)});
  RunToEnd();
  EXPECT_EQ(end_->code, ApiCode::kUnreachable);
  EXPECT_THAT(told_, ElementsAre("+a@11"));
}

TEST_F(ListWatchTest, NoticesALostConnection) {
  TlsTestServer server([&](const Request&, Exchange& exchange) {
    exchange.BeginChunks(kProtobufStream);
    exchange.Chunk(PodFrame("ADDED", WirePod("a", 11)));
    exchange.Drop();
  });
  Open(server, 10);
  RunToEnd();
  EXPECT_EQ(end_->code, ApiCode::kUnreachable);
  EXPECT_THAT(told_, ElementsAre("+a@11"));
  EXPECT_FALSE(api_->watching());
}

TEST_F(ListWatchTest, SaysNothingOnceCancelled) {
  std::atomic<bool> more = false;
  TlsTestServer server([&](const Request&, Exchange& exchange) {
    exchange.BeginChunks(kProtobufStream);
    exchange.Chunk(PodFrame("ADDED", WirePod("a", 11)));
    while (!more) absl::SleepFor(absl::Milliseconds(1));
    exchange.Chunk(PodFrame("ADDED", WirePod("b", 12)));
    exchange.Hang();
  });
  Open(server, 10);
  RunUntil([this] { return !told_.empty(); });
  stream_.reset();
  more = true;
  bool later = false;
  loop_.After(absl::Milliseconds(50), [&] { later = true; });
  RunUntil([&] { return later; });
  EXPECT_THAT(told_, ElementsAre("+a@11"));
  EXPECT_FALSE(end_.has_value());
}

}  // namespace
}  // namespace muster
