// A watch of a kind that the server may lack: finds out where it is, and looks again while it is nowhere.
#ifndef MUSTER_SCHEDULER_KUBE_OPTIONAL_WATCH_H_
#define MUSTER_SCHEDULER_KUBE_OPTIONAL_WATCH_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "scheduler/kube/http_client.h"
#include "scheduler/kube/resources.h"
#include "scheduler/runtime/api_server.h"
#include "scheduler/runtime/event_loop.h"

namespace muster {

// The loop's thread.
class OptionalWatch final : public WatchStream {
 public:
  // Opens the watch proper, once the kind was found there.
  using Open = std::function<std::unique_ptr<WatchStream>(const Resource& resource, WatchHandler handler)>;

  // `loop` and `http` outlive it. A kind that is not served has no objects: kSynced, and nothing more until it is,
  // which ends the stream. Where the watch resumes (`resource_version` is not 0), or the kind goes away while
  // it is watched, the stream ends with kGone instead: what was known of it is forgotten.
  OptionalWatch(EventLoop& loop, HttpClient& http, Kind kind, uint64_t resource_version, Duration look_again,
                WatchHandler handler, Open open);
  ~OptionalWatch() override;

 private:
  void Ask(size_t candidate);
  void OnAnswer(size_t candidate, const HttpResponse& response);
  void OnFound(const Resource& resource);
  void OnAbsent();

  EventLoop& loop_;
  HttpClient& http_;
  const Kind kind_;
  const uint64_t resource_version_;
  const Duration look_again_;
  const std::shared_ptr<WatchHandler> handler_;
  const Open open_;
  bool absent_ = false;  // was told so
  EventLoop::TimerId timer_ = 0;
  std::unique_ptr<WatchStream> stream_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for answers under way
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_KUBE_OPTIONAL_WATCH_H_
