// Events about pods and their groups (events.k8s.io/v1), as kube-scheduler writes them; repeats become a series.
#ifndef MUSTER_SCHEDULER_ENGINE_BINDING_EVENT_RECORDER_H_
#define MUSTER_SCHEDULER_ENGINE_BINDING_EVENT_RECORDER_H_

#include <cstdint>
#include <list>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "scheduler/model/pod.h"
#include "scheduler/model/pod_group.h"
#include "scheduler/runtime/api_server.h"
#include "scheduler/runtime/event_loop.h"

namespace muster {

class EventRecorder {
 public:
  // `instance` is appended to the reporting controller's name ("muster-<instance>").
  EventRecorder(EventLoop& loop, ApiServer& api, std::string instance);

  // "Successfully assigned NS/NAME to NODE".
  void Scheduled(const Pod& pod, std::string_view node);
  // A warning with the reason why not.
  void FailedScheduling(const Pod& pod, std::string_view message);

  // "Preempted by pod UID on node NODE"; for a group "Preempted by podgroup NS/NAME on node NODE".
  void Preempted(const Pod& victim, const Pod& preemptor, std::string_view node);

  // The same of a group, where it has an object; `profile` is the scheduler's name.
  void GroupScheduled(const PodGroup& group, const std::string& profile, size_t pods);
  void GroupFailed(const PodGroup& group, const std::string& profile, std::string_view message);

 private:
  struct Series {
    std::string key;
    ApiEvent event;
    Time told;  // when the count last went to the server
  };

  std::string InstanceOf(const std::string& profile) const;
  ApiEvent Make(const std::string& profile, std::string_view reason, std::string_view action, std::string_view type,
                std::string_view note);
  template <typename T>
  ApiEvent Regarding(const T& of, const std::string& ns, ApiEvent event);
  ApiEvent About(const Pod& pod, ApiEvent event);
  ApiEvent About(const PodGroup& group, ApiEvent event);
  // A new event, or one more of a series that runs.
  void Repeat(const std::string& key, absl::FunctionRef<ApiEvent()> make);

  EventLoop& loop_;
  ApiServer& api_;
  const std::string instance_;
  uint64_t count_ = 0;
  std::list<Series> recent_;  // the last ones to repeat first; bounded
  absl::flat_hash_map<std::string, std::list<Series>::iterator> by_key_;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_BINDING_EVENT_RECORDER_H_
