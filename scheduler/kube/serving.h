// A small HTTP server for /metrics, health checks and the like.
#ifndef MUSTER_SCHEDULER_KUBE_SERVING_H_
#define MUSTER_SCHEDULER_KUBE_SERVING_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace muster {

struct ServedPage {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

class Serving {
 public:
  // Called on the server's own threads, several at once.
  using Page = std::function<ServedPage()>;

  // Serves GET of the given paths ("/metrics"), and 404 for others. Port 0 takes a free one.
  // Errors: the address cannot be listened on.
  static absl::StatusOr<std::unique_ptr<Serving>> Start(const std::string& address, int port,
                                                        std::map<std::string, Page> pages);
  ~Serving();
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;

  int port() const;

 private:
  struct Impl;
  explicit Serving(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_KUBE_SERVING_H_
