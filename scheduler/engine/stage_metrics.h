// Measures the extension points of a cycle for the metrics.
#ifndef MUSTER_SCHEDULER_ENGINE_STAGE_METRICS_H_
#define MUSTER_SCHEDULER_ENGINE_STAGE_METRICS_H_

#include <string>
#include <string_view>

#include "scheduler/framework/evaluation.h"
#include "scheduler/runtime/event_loop.h"
#include "scheduler/runtime/metrics.h"

namespace muster {

class StageMetrics final : public StageListener {
 public:
  StageMetrics(const Clock& clock, Metrics& metrics) : clock_(clock), metrics_(metrics) {}

  // The profile whose cycle runs next.
  void SetProfile(std::string_view profile) { profile_ = profile; }
  void Begin(Point point) override {
    // "filter" in a configuration is "Filter" in a label.
    point_ = ConfigName(point);
    point_[0] = static_cast<char>(point_[0] - 'a' + 'A');
    began_ = clock_.Now();
  }
  void End(std::string_view status) override {
    metrics_.ExtensionPoint(profile_, point_, status, clock_.Now() - began_);
  }

 private:
  const Clock& clock_;
  Metrics& metrics_;
  std::string_view profile_;
  std::string point_;
  Time began_;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_STAGE_METRICS_H_
