// Carries out what PostFilter decided: evicts the victims, each marked before it is deleted.
#ifndef MUSTER_SCHEDULER_ENGINE_BINDING_PREEMPTION_H_
#define MUSTER_SCHEDULER_ENGINE_BINDING_PREEMPTION_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "scheduler/engine/binding/event_recorder.h"
#include "scheduler/model/pod.h"
#include "scheduler/runtime/api_server.h"
#include "scheduler/runtime/event_loop.h"

namespace muster {

// Decision thread only.
class Preemption {
 public:
  // All requests of one preemptor are answered: ok, or the first refusal. Victims that are gone anyway
  // are no refusal.
  using Ended = std::function<void(const Pod& preemptor, const std::string& node, const ApiStatus& status)>;

  // The server refused to evict the pod; before Ended.
  using Refused = std::function<void(const Pod& victim)>;

  Preemption(EventLoop& loop, ApiServer& api, EventRecorder& recorder, Ended ended, Refused refused)
      : loop_(loop), api_(api), recorder_(recorder), ended_(std::move(ended)), refused_(std::move(refused)) {}

  // Evicts those that are not being deleted already. False: there are none of these, and no end follows.
  // For a group `preemptor` is any of its pods, and `node` is "".
  // `why`: by victim, more to be told of it; empty, or "" = nothing.
  bool Start(const PodPtr& preemptor, const std::string& node, const std::vector<PodPtr>& victims,
             const std::vector<std::string>& why = {});
  size_t running() const { return running_.size(); }

 private:
  struct Running {
    PodPtr preemptor;
    std::string node;
    size_t open = 0;  // victims without an answer
    ApiStatus refusal;
  };
  using Runs = absl::flat_hash_map<uint64_t, Running>;

  void Delete(uint64_t id, const PodPtr& victim);
  void OnAnswer(uint64_t id, const PodPtr& victim, const ApiStatus& status, bool evicted);

  EventLoop& loop_;
  ApiServer& api_;
  EventRecorder& recorder_;
  Ended ended_;
  Refused refused_;
  uint64_t next_id_ = 0;
  Runs running_;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_BINDING_PREEMPTION_H_
