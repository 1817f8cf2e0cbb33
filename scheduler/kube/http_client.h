// Many HTTP requests at once to one API server, from one thread that does nothing else.
#ifndef MUSTER_SCHEDULER_KUBE_HTTP_CLIENT_H_
#define MUSTER_SCHEDULER_KUBE_HTTP_CLIENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "scheduler/kube/credentials.h"
#include "scheduler/runtime/event_loop.h"
#include "scheduler/runtime/metrics.h"

namespace muster {

struct HttpOptions {
  // HTTP/1.1 gives each request in flight a connection of its own; HTTP/2 shares a few.
  bool http2 = false;
  int writes_in_flight = 64;
  // Background requests yield: so many while writes are under way, else so many.
  int background_beside_writes = 1;
  int background_alone = 16;
  Duration connect_timeout = absl::Seconds(10);
  // A request a second, and how many may come at once; 0: no limit.
  double qps = 0;
  int burst = 0;
};

struct HttpRequest {
  enum class Lane : uint8_t { kWrite, kBackground, kFree };
  Lane lane = Lane::kFree;
  const char* method = "GET";     // a literal
  std::string path;               // with the query; below the server's address
  const char* content_type = "";  // a literal; of the body
  const char* accept = "application/vnd.kubernetes.protobuf,application/json";  // a literal
  std::string body;
  Duration timeout = absl::Seconds(30);           // of the whole; zero: none
  Duration stall_timeout = absl::ZeroDuration();  // in whole seconds: nothing came for so long; zero: none
};

struct HttpResponse {
  int status = 0;     // 0: no answer, or not the whole of it: see error
  std::string error;  // "https://host:port: Connection refused"
  Duration retry_after = absl::ZeroDuration();
  std::string body;  // what a HttpReader did not take
  bool ok() const { return status >= 200 && status < 300; }
};

// Takes an answer as it comes. Called on the I/O thread.
class HttpReader {
 public:
  virtual ~HttpReader() = default;
  // A part of the body of a 2xx answer; at first an empty one: its headers are there. False ends
  // the request.
  virtual bool OnData(std::string_view bytes) = 0;
  // All that has arrived by now was handed over: time to pass it on, in one piece.
  virtual void OnPause() = 0;
  // The answer is over. May name a request to follow, for the same reader.
  virtual std::optional<HttpRequest> OnDone(HttpResponse response) = 0;
};

class HttpClient {
 public:
  using Done = std::function<void(HttpResponse)>;

  // Answers are posted to `loop`, all of one turn of the I/O thread at once. `metrics` may be null.
  HttpClient(EventLoop& loop, ServerAccess access, HttpOptions options, Metrics* metrics);
  // Ends what is under way; nothing is called any more. On the loop's thread.
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // 401 is tried once more with a newly read identity; no other failure is. Any thread.
  void Send(HttpRequest request, Done done);
  // Returns what Cancel() takes. Any thread.
  uint64_t Open(HttpRequest request, std::shared_ptr<HttpReader> reader);
  // The reader may be called until the I/O thread has noticed. Any thread.
  void Cancel(uint64_t id);
  // Runs fn on the loop with this turn's answers. I/O thread only.
  void Deliver(std::function<void()> fn);

  const std::string& server() const;

 private:
  class Io;
  std::unique_ptr<Io> io_;
};

// Percent-encodes what may not stand in a path segment or a query's value.
std::string UrlEscape(std::string_view text);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_KUBE_HTTP_CLIENT_H_
