// Writes the queues' status: of each queue one write at a time, only what is news, and of all queues so many a round.
//
// Decision thread only.
#ifndef MUSTER_SCHEDULER_ENGINE_QUOTA_QUEUE_STATUS_H_
#define MUSTER_SCHEDULER_ENGINE_QUOTA_QUEUE_STATUS_H_

#include <cstddef>
#include <functional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "scheduler/model/queue.h"
#include "scheduler/runtime/api_server.h"
#include "scheduler/runtime/event_loop.h"

namespace muster {

class QueueStatusWriter {
 public:
  static constexpr size_t kWritesARound = 50;

  // `again`: a write failed that may yet succeed, so another round is to come.
  QueueStatusWriter(EventLoop& loop, ApiServer& api, std::function<void()> again)
      : loop_(loop), api_(api), again_(std::move(again)) {}

  void BeginRound() { left_ = kWritesARound; }
  // This is the queue's status by now (without `transition`). False: there is news, but for a later round.
  bool Tell(const Queue& queue, QueueStatus status);
  // A standby tells nothing, and does not know what the leader told.
  void SetActive(bool active) {
    active_ = active;
    told_.clear();
  }
  // The object is gone.
  void Forget(const std::string& uid) { told_.erase(uid); }

 private:
  struct Told {
    bool known = false, under_way = false;
    QueueStatus status;  // if known
  };

  EventLoop& loop_;
  ApiServer& api_;
  const std::function<void()> again_;
  bool active_ = true;
  size_t left_ = 0;
  absl::flat_hash_map<std::string, Told> told_;  // by uid
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_QUOTA_QUEUE_STATUS_H_
