#include "scheduler/engine/binding/event_recorder.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace muster {
namespace {

constexpr size_t kMaxNote = 1024;                       // the API's limit
constexpr size_t kMaxInstance = 128;                    // likewise
constexpr size_t kMaxSeries = 4096;                     // remembered for repeats
constexpr Duration kSeriesEnds = absl::Minutes(6);      // a repeat later than this is a new event
constexpr Duration kSeriesRefresh = absl::Minutes(30);  // a running series is written again this often

}  // namespace

EventRecorder::EventRecorder(EventLoop& loop, ApiServer& api, std::string instance)
    : loop_(loop), api_(api), instance_(std::move(instance)) {}

std::string EventRecorder::InstanceOf(const std::string& profile) const {
  return absl::StrCat(profile, "-", instance_).substr(0, kMaxInstance);
}

ApiEvent EventRecorder::Make(const std::string& profile, std::string_view reason, std::string_view action,
                             std::string_view type, std::string_view note) {
  ApiEvent event;
  event.reporting_controller = profile;
  event.reporting_instance = InstanceOf(profile);
  event.action = action;
  event.reason = reason;
  event.type = type;
  event.note = note;
  if (event.note.size() > kMaxNote) event.note = absl::StrCat(event.note.substr(0, kMaxNote - 4), " ...");
  event.event_time = loop_.Now();
  return event;
}

// `of` is a Pod, or an Object.
template <typename T>
ApiEvent EventRecorder::Regarding(const T& of, const std::string& ns, ApiEvent event) {
  event.ns = event.regarding_ns = ns;
  // Unique among this object's events: the time, and a counter for two in one nanosecond.
  event.name = absl::StrFormat("%s.%x", of.name, static_cast<uint64_t>(absl::ToUnixNanos(loop_.Now())) + count_++);
  event.regarding_name = of.name;
  event.regarding_uid = of.uid;
  event.regarding_resource_version = of.resource_version;
  return event;
}

ApiEvent EventRecorder::About(const Pod& pod, ApiEvent event) {
  event.regarding_kind = "Pod";
  event.regarding_api_version = "v1";
  return Regarding(pod, pod.ns(), std::move(event));
}

ApiEvent EventRecorder::About(const PodGroup& group, ApiEvent event) {
  event.regarding_kind = "PodGroup";
  event.regarding_api_version = group.api_version;
  return Regarding(group, group.ns, std::move(event));
}

void EventRecorder::Scheduled(const Pod& pod, std::string_view node) {
  const std::string note = absl::StrCat("Successfully assigned ", pod.ns(), "/", pod.name, " to ", AsAbsl(node));
  api_.CreateEvent(About(pod, Make(pod.spec->scheduler_name, "Scheduled", "Binding", "Normal", note)),
                   [](const ApiStatus&) {});
}

void EventRecorder::GroupScheduled(const PodGroup& group, const std::string& profile, size_t pods) {
  const std::string note = absl::StrCat("Successfully scheduled ", pods, " pods of ", group.ns, "/", group.name);
  api_.CreateEvent(About(group, Make(profile, "Scheduled", "Binding", "Normal", note)), [](const ApiStatus&) {});
}

void EventRecorder::Preempted(const Pod& victim, const Pod& preemptor, std::string_view node) {
  const std::string by = preemptor.group.present()
                             ? absl::StrCat("podgroup ", preemptor.ns(), "/", preemptor.group.name)
                             : absl::StrCat("pod ", preemptor.uid);
  const std::string note = absl::StrCat("Preempted by ", by, " on node ", AsAbsl(node));
  // The victim may be another scheduler's.
  ApiEvent event = About(victim, Make(preemptor.spec->scheduler_name, "Preempted", "Preempting", "Normal", note));
  event.related_kind = "Pod";
  event.related_api_version = "v1";
  event.related_ns = preemptor.ns();
  event.related_name = preemptor.name;
  event.related_uid = preemptor.uid;
  event.related_resource_version = preemptor.resource_version;
  api_.CreateEvent(event, [](const ApiStatus&) {});
}

void EventRecorder::FailedScheduling(const Pod& pod, std::string_view message) {
  Repeat(absl::StrCat(pod.uid, "/FailedScheduling"), [&] {
    return About(pod, Make(pod.spec->scheduler_name, "FailedScheduling", "Scheduling", "Warning", message));
  });
}

void EventRecorder::GroupFailed(const PodGroup& group, const std::string& profile, std::string_view message) {
  Repeat(absl::StrCat(group.uid, "/FailedScheduling"),
         [&] { return About(group, Make(profile, "FailedScheduling", "Scheduling", "Warning", message)); });
}

void EventRecorder::Repeat(const std::string& key, absl::FunctionRef<ApiEvent()> make) {
  const Time now = loop_.Now();
  if (auto it = by_key_.find(key); it != by_key_.end()) {
    const auto series = it->second;
    recent_.splice(recent_.begin(), recent_, series);
    const Time last = series->event.series_count > 0 ? series->event.series_last : series->event.event_time;
    if (now - last <= kSeriesEnds) {
      ApiEvent& event = series->event;
      event.series_count = event.series_count == 0 ? 2 : event.series_count + 1;
      event.series_last = now;
      if (event.series_count > 2 && now - series->told < kSeriesRefresh) return;
      series->told = now;
      api_.PatchEventSeries(event, [](const ApiStatus&) {});
      return;
    }
    recent_.erase(series);
    by_key_.erase(it);
  }
  ApiEvent event = make();
  api_.CreateEvent(event, [](const ApiStatus&) {});
  recent_.push_front({key, std::move(event), now});
  by_key_[key] = recent_.begin();
  if (recent_.size() <= kMaxSeries) return;
  by_key_.erase(recent_.back().key);
  recent_.pop_back();
}

}  // namespace muster
