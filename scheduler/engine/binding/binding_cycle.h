// Carries out what was decided: many binds in flight, each followed to a known end.
#ifndef MUSTER_SCHEDULER_ENGINE_BINDING_BINDING_CYCLE_H_
#define MUSTER_SCHEDULER_ENGINE_BINDING_BINDING_CYCLE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "scheduler/model/pod.h"
#include "scheduler/runtime/api_server.h"
#include "scheduler/runtime/event_loop.h"
#include "scheduler/runtime/random.h"

namespace muster {

class BindingCycle {
 public:
  struct Task {
    PodPtr pod;
    std::string node;
    Time decided_at;
    Time popped_at;
  };
  // The bind's end: ok, or why the server refused it. Not called for a task that was cancelled.
  using Ended = std::function<void(const Task& task, const ApiStatus& status)>;

  // At most `limit` binds are at the server at once; more wait for their turn, in order.
  BindingCycle(EventLoop& loop, ApiServer& api, Random& random, size_t limit, Ended ended)
      : loop_(loop), api_(api), random_(random), limit_(limit), ended_(std::move(ended)) {}

  // Binds. Where the server's answer leaves open whether the bind took effect (connection lost,
  // 5xx, 429), the same bind is tried again until that is known: until then the room must stay
  // taken, or another pod would be put into it.
  void Start(Task task);
  // The watch showed the pod bound to `node`: as if the answer had come.
  void Confirm(const std::string& uid, const std::string& node);
  // The pod is gone: its answer no longer matters.
  void Cancel(const std::string& uid);
  bool InFlight(const std::string& uid) const { return tasks_.contains(uid); }
  size_t in_flight() const { return tasks_.size(); }

 private:
  struct Running {
    Task task;
    int tries = 0;
    uint64_t id = 0;
    bool sent = false;
  };
  using Tasks = absl::flat_hash_map<std::string, Running>;
  void Send(Running& running);
  Task Take(Tasks::iterator it);  // its place is the next one's
  void End(const std::string& uid, const ApiStatus& status);
  void OnAnswer(const std::string& uid, uint64_t id, const ApiStatus& status);

  EventLoop& loop_;
  ApiServer& api_;
  Random& random_;
  const size_t limit_;
  Ended ended_;
  uint64_t next_id_ = 0;
  Tasks tasks_;  // by uid
  size_t sent_ = 0;
  std::deque<std::pair<std::string, uint64_t>> waiting_;  // uid and id; some may be no more
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_BINDING_BINDING_CYCLE_H_
