#include "scheduler/kube/http_client.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/kube/kube_fixture.h"
#include "test/kube/tls_test_server.h"

namespace muster {
namespace {

using testing::HasSubstr;
using Exchange = TlsTestServer::Exchange;
using Request = TlsTestServer::Request;
using Lane = HttpRequest::Lane;

HttpRequest Get(std::string path) {
  HttpRequest request;
  request.path = std::move(path);
  return request;
}

class HttpClientTest : public KubeTest {
 protected:
  HttpResponse Fetch(HttpClient& client, HttpRequest request) {
    std::optional<HttpResponse> answer;
    client.Send(std::move(request), [&](HttpResponse response) { answer = std::move(response); });
    RunUntil([&] { return answer.has_value(); });
    return answer.value_or(HttpResponse{});
  }
};

TEST_F(HttpClientTest, SendsAndReceives) {
  Request seen;
  TlsTestServer server([&](const Request& request, Exchange& exchange) {
    seen = request;
    exchange.Answer(201, "text/plain", "made", "Retry-After: 7\r\n");
  });
  HttpClient client(loop_, server.Access(), {}, nullptr);
  HttpRequest request = Get("/a/b?c=d");
  request.method = "PATCH";
  request.content_type = "application/x";
  request.body = "the body";
  const HttpResponse response = Fetch(client, request);
  EXPECT_EQ(response.status, 201) << response.error;
  EXPECT_EQ(response.body, "made");
  EXPECT_EQ(response.retry_after, absl::Seconds(7));
  EXPECT_EQ(seen.method, "PATCH");
  EXPECT_EQ(seen.target, "/a/b?c=d");
  EXPECT_EQ(seen.body, "the body");
  EXPECT_EQ(seen.headers["authorization"], "Bearer secret");
  EXPECT_EQ(seen.headers["content-type"], "application/x");
  EXPECT_EQ(seen.headers["accept"], "application/vnd.kubernetes.protobuf,application/json");
  EXPECT_EQ(seen.headers.count("accept-encoding"), 0u);
}

TEST_F(HttpClientTest, AHandleThatPostedCanGet) {
  std::vector<std::string> bodies;
  TlsTestServer server([&](const Request& request, Exchange& exchange) {
    bodies.push_back(absl::StrCat(request.method, ":", request.body));
    exchange.Answer(200, "text/plain", "");
  });
  HttpClient client(loop_, server.Access(), {}, nullptr);
  HttpRequest post = Get("/");
  post.method = "POST";
  post.body = "x";
  Fetch(client, post);
  Fetch(client, Get("/"));
  post.method = "DELETE";
  post.body = "";
  Fetch(client, post);
  EXPECT_THAT(bodies, testing::ElementsAre("POST:x", "GET:", "DELETE:"));
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(HttpClientTest, KeepsTheLanesLimits) {
  std::mutex mutex;
  int writes = 0, most_writes = 0, background_beside = 0;
  std::atomic<bool> all_sent = false;
  TlsTestServer server([&](const Request& request, Exchange& exchange) {
    const bool write = request.Asks("write");
    {
      std::lock_guard lock(mutex);
      if (write) most_writes = std::max(most_writes, ++writes);
    }
    while (!all_sent) absl::SleepFor(absl::Milliseconds(1));
    absl::SleepFor(absl::Milliseconds(5));
    std::lock_guard lock(mutex);
    if (write) {
      --writes;
    } else if (writes > 0) {
      ++background_beside;
    }
    exchange.Answer(200, "text/plain", "");
  });
  HttpClient client(loop_, server.Access(), {.writes_in_flight = 3, .background_beside_writes = 0}, nullptr);
  int left = 60;
  for (int i = 0; i < left; ++i) {
    HttpRequest request = Get(i % 6 == 5 ? "/background" : "/write");  // writes first
    request.lane = i % 6 == 5 ? Lane::kBackground : Lane::kWrite;
    client.Send(std::move(request), [&](const HttpResponse& r) { left -= r.ok() ? 1 : 0; });
  }
  all_sent = true;
  RunUntil([&] { return left == 0; });
  EXPECT_LE(most_writes, 3);
  EXPECT_EQ(background_beside, 0);
}

TEST_F(HttpClientTest, LimitsTheRateWhenTold) {
  TlsTestServer server([](const Request&, Exchange& exchange) { exchange.Answer(200, "text/plain", ""); });
  HttpClient client(loop_, server.Access(), {.qps = 50, .burst = 5}, nullptr);
  const Time start = loop_.Now();
  int left = 15;
  for (int i = 0; i < 15; ++i) {
    client.Send(Get("/"), [&](const HttpResponse&) { --left; });
  }
  RunUntil([&] { return left == 0; });
  EXPECT_GE(loop_.Now() - start, absl::Milliseconds(190));  // ten more than the burst, 20 ms each
}

TEST_F(HttpClientTest, ReadsTheIdentityAnewOnceAfter401) {
  class Rotating final : public IdentitySource {
   public:
    absl::StatusOr<IdentityPtr> Get(absl::Time) override { return identity_; }
    void Refused() override { identity_ = std::make_shared<ClientIdentity>(ClientIdentity{"new", "", ""}); }

   private:
    IdentityPtr identity_ = std::make_shared<ClientIdentity>(ClientIdentity{"old", "", ""});
  };
  bool accept = true;
  TlsTestServer server([&](const Request& request, Exchange& exchange) {
    const bool good = accept && request.headers.at("authorization") == "Bearer new";
    exchange.Answer(good ? 200 : 401, "text/plain", "");
  });
  ServerAccess access = server.Access();
  access.identity = std::make_shared<Rotating>();
  HttpClient client(loop_, access, {}, nullptr);
  EXPECT_EQ(Fetch(client, Get("/")).status, 200);
  EXPECT_EQ(server.Seen().size(), 2u);
  accept = false;
  EXPECT_EQ(Fetch(client, Get("/")).status, 401);
  EXPECT_EQ(server.Seen().size(), 4u);
}

TEST_F(HttpClientTest, SaysWhyThereIsNoAnswer) {
  TlsTestServer server([](const Request& request, Exchange& exchange) {
    if (request.Asks("drop")) return exchange.Drop();
    if (request.Asks("half")) {
      exchange.Raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
      return exchange.Drop();
    }
    exchange.Hang();
  });
  ServerAccess other_authority = server.Access(), no_authority = server.Access(), other_name = server.Access(),
               refused = server.Access(), no_token = server.Access();
  TlsTestServer other([](const Request&, Exchange&) {});
  other_authority.ca = other.certificate();
  no_authority.ca = "";
  other_name.tls_server_name = "wrong.test";
  refused.server = "https://127.0.0.1:1";
  no_token.identity = TokenFile("/no/such/file");
  HttpRequest slow = Get("/");
  slow.timeout = absl::Milliseconds(50);
  const struct {
    const ServerAccess access;
    HttpRequest request;
    std::string want;
  } kRows[] = {
      {other_authority, Get("/"), "certificate not accepted: "},
      {no_authority, Get("/"), "certificate not accepted: "},
      {other_name, Get("/"), "certificate not accepted: "},
      {refused, Get("/"), "https://127.0.0.1:1: Failed to connect"},
      {no_token, Get("/"), "no credentials: /no/such/file"},
      {server.Access(), Get("/drop"), "Empty reply from server"},
      {server.Access(), Get("/half"), ""},
      {server.Access(), slow, "timed out"},
  };
  for (const auto& row : kRows) {
    HttpClient client(loop_, row.access, {}, nullptr);
    const HttpResponse response = Fetch(client, row.request);
    EXPECT_EQ(response.status, 0) << row.want;
    EXPECT_THAT(response.error, HasSubstr(row.want));
    EXPECT_THAT(response.error, HasSubstr(row.access.server));
  }
}

TEST_F(HttpClientTest, VerifiesTheNameThatIsAskedFor) {
  TlsTestServer server([](const Request& request, Exchange& exchange) {
    exchange.Answer(200, "text/plain", request.headers.at("host"));
  });
  ServerAccess access = server.Access();
  access.tls_server_name = "kube.test";
  HttpClient client(loop_, access, {}, nullptr);
  const HttpResponse response = Fetch(client, Get("/"));
  EXPECT_EQ(response.status, 200) << response.error;
  EXPECT_EQ("https://" + response.body, server.url());
}

TEST_F(HttpClientTest, EndsWithRequestsUnderWay) {
  TlsTestServer server([](const Request&, Exchange& exchange) { exchange.Hang(); });
  bool called = false;
  {
    HttpClient client(loop_, server.Access(), {}, nullptr);
    for (int i = 0; i < 5; ++i) client.Send(Get("/"), [&](const HttpResponse&) { called = true; });
    RunUntil([&] { return server.Seen().size() == 5; });
  }
  EXPECT_FALSE(called);
}

TEST(UrlEscapeTest, Escapes) { EXPECT_EQ(UrlEscape("a-b.c_d~1/ü %"), "a-b.c_d~1%2f%c3%bc%20%25"); }

}  // namespace
}  // namespace muster
