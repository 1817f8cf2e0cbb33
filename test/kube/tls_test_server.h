// An HTTPS server on loopback whose answers a test writes byte by byte; a thread per connection.
#ifndef MUSTER_TEST_KUBE_TLS_TEST_SERVER_H_
#define MUSTER_TEST_KUBE_TLS_TEST_SERVER_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "scheduler/kube/credentials.h"

struct ssl_st;
struct ssl_ctx_st;

namespace muster {

class TlsTestServer {
 public:
  struct Request {
    std::string method, target, body;
    std::map<std::string, std::string> headers;  // names in lower case
    int connection = 0;                          // counted from 1
    bool Asks(std::string_view text) const { return target.find(text) != std::string::npos; }
  };
  // One request's answer.
  class Exchange {
   public:
    Exchange(ssl_st* ssl, const TlsTestServer& server) : ssl_(ssl), server_(server) {}
    void Answer(int status, std::string_view content_type, std::string_view body, std::string_view more_headers = "");
    void Raw(std::string_view bytes);
    // A chunked answer, a chunk at a time; the empty one ends it.
    void BeginChunks(std::string_view content_type);
    void Chunk(std::string_view bytes);
    // Says nothing more until the client or the server goes away.
    void Hang();
    // Drops the connection.
    void Drop() { dropped_ = true; }
    bool dropped() const { return dropped_; }

   private:
    ssl_st* ssl_;
    const TlsTestServer& server_;
    bool dropped_ = false;
  };
  using Handler = std::function<void(const Request&, Exchange&)>;

  explicit TlsTestServer(Handler handler);
  ~TlsTestServer();
  TlsTestServer(const TlsTestServer&) = delete;
  TlsTestServer& operator=(const TlsTestServer&) = delete;

  // Trusts this server's certificate, with a fixed token.
  ServerAccess Access(const std::string& token = "secret") const;
  std::string url() const;
  const std::string& certificate() const { return certificate_; }
  int connections() const { return connections_; }
  // All requests so far, as "METHOD target".
  std::vector<std::string> Seen() const;

 private:
  void Accept();
  void Serve(int fd, int number);

  const Handler handler_;
  std::string certificate_;
  ssl_ctx_st* context_ = nullptr;
  int listener_ = -1, port_ = 0;
  std::atomic<bool> stop_ = false;
  std::atomic<int> connections_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::string> seen_;     // guarded by mutex_
  std::vector<std::thread> threads_;  // guarded by mutex_
  std::vector<int> open_;             // guarded by mutex_
  std::thread acceptor_;
};

// A token that never changes.
std::shared_ptr<IdentitySource> FixedToken(std::string token);

}  // namespace muster

#endif  // MUSTER_TEST_KUBE_TLS_TEST_SERVER_H_
