#include "scheduler/engine/event_recorder.h"

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

std::string EventRecorder::InstanceOf(const Pod& pod) const {
  return absl::StrCat(pod.spec->scheduler_name, "-", instance_).substr(0, kMaxInstance);
}

ApiEvent EventRecorder::Make(const Pod& pod, std::string_view reason, std::string_view action, std::string_view type,
                             std::string_view note) {
  ApiEvent event;
  event.ns = pod.ns();
  // Unique among this pod's events: the time, and a counter for two in one nanosecond.
  event.name = absl::StrFormat("%s.%x", pod.name, static_cast<uint64_t>(absl::ToUnixNanos(loop_.Now())) + count_++);
  event.reporting_controller = pod.spec->scheduler_name;
  event.reporting_instance = InstanceOf(pod);
  event.action = action;
  event.reason = reason;
  event.type = type;
  event.note = note;
  if (event.note.size() > kMaxNote) event.note = absl::StrCat(event.note.substr(0, kMaxNote - 4), " ...");
  event.regarding_kind = "Pod";
  event.regarding_api_version = "v1";
  event.regarding_ns = pod.ns();
  event.regarding_name = pod.name;
  event.regarding_uid = pod.uid;
  event.regarding_resource_version = pod.resource_version;
  event.event_time = loop_.Now();
  return event;
}

void EventRecorder::Scheduled(const Pod& pod, std::string_view node) {
  const std::string note = absl::StrCat("Successfully assigned ", pod.ns(), "/", pod.name, " to ", AsAbsl(node));
  api_.CreateEvent(Make(pod, "Scheduled", "Binding", "Normal", note), [](const ApiStatus&) {});
}

void EventRecorder::Preempted(const Pod& victim, const Pod& preemptor, std::string_view node) {
  const std::string note = absl::StrCat("Preempted by pod ", preemptor.uid, " on node ", AsAbsl(node));
  ApiEvent event = Make(victim, "Preempted", "Preempting", "Normal", note);
  // The victim may be another scheduler's.
  event.reporting_controller = preemptor.spec->scheduler_name;
  event.reporting_instance = InstanceOf(preemptor);
  event.related_kind = "Pod";
  event.related_api_version = "v1";
  event.related_ns = preemptor.ns();
  event.related_name = preemptor.name;
  event.related_uid = preemptor.uid;
  event.related_resource_version = preemptor.resource_version;
  api_.CreateEvent(event, [](const ApiStatus&) {});
}

void EventRecorder::FailedScheduling(const Pod& pod, std::string_view message) {
  const Time now = loop_.Now();
  const std::string key = absl::StrCat(pod.uid, "/FailedScheduling");
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
  ApiEvent event = Make(pod, "FailedScheduling", "Scheduling", "Warning", message);
  api_.CreateEvent(event, [](const ApiStatus&) {});
  recent_.push_front({key, std::move(event), now});
  by_key_[key] = recent_.begin();
  if (recent_.size() <= kMaxSeries) return;
  by_key_.erase(recent_.back().key);
  recent_.pop_back();
}

}  // namespace muster
