#include "scheduler/kube/serving.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

// Sends one request and reads until the server closes.
std::string Ask(int port, const std::string& line) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return "cannot connect";
  const std::string request = line + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  if (write(fd, request.data(), request.size()) < 0) return "cannot write";
  std::string answer;
  char bytes[4096];
  for (ssize_t n = 0; (n = read(fd, bytes, sizeof bytes)) > 0;) answer.append(bytes, static_cast<size_t>(n));
  close(fd);
  return answer;
}

TEST(ServingTest, ServesItsPagesAndNoOthers) {
  std::atomic<bool> ready = false;
  auto serving = Serving::Start("127.0.0.1", 0,
                                {{"/readyz",
                                  [&] {
                                    return ServedPage{ready ? 200 : 500, "text/plain", "r"};
                                  }},
                                 {"/big", [] {
                                    return ServedPage{200, "a/b", std::string(100'000, 'x')};
                                  }}});
  ASSERT_TRUE(serving.ok()) << serving.status();
  const int port = (*serving)->port();
  EXPECT_THAT(Ask(port, "GET /readyz"), AllOf(StartsWith("HTTP/1.1 500"), EndsWith("\r\n\r\nr")));
  ready = true;
  EXPECT_THAT(Ask(port, "GET /readyz?verbose"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Ask(port, "HEAD /readyz"), AllOf(StartsWith("HTTP/1.1 200"), EndsWith("\r\n\r\n")));
  EXPECT_THAT(Ask(port, "GET /big"), AllOf(HasSubstr("Content-Type: a/b"), EndsWith(std::string(100'000, 'x'))));
  EXPECT_THAT(Ask(port, "GET /other"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Ask(port, "POST /readyz"), StartsWith("HTTP/1.1 405"));
}

TEST(ServingTest, SaysThatThePortIsTaken) {
  auto one = Serving::Start("127.0.0.1", 0, {});
  ASSERT_TRUE(one.ok()) << one.status();
  auto two = Serving::Start("127.0.0.1", (*one)->port(), {});
  EXPECT_THAT(two.status().message(), HasSubstr(absl::StrCat("cannot listen on 127.0.0.1:", (*one)->port())));
}

TEST(ServingTest, AnswersSeveralAtOnce) {
  auto serving = Serving::Start("127.0.0.1", 0, {{"/", [] { return ServedPage{200, "text/plain", "ok"}; }}});
  ASSERT_TRUE(serving.ok()) << serving.status();
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 20; ++n) good += Ask((*serving)->port(), "GET /").ends_with("ok") ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 160);
}

}  // namespace
}  // namespace muster
