#include "scheduler/runtime/metrics.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> Lines(const Metrics& metrics) { return absl::StrSplit(metrics.Text(), '\n'); }

TEST(Metrics, QueuesTakeTheirSeriesAlong) {
  Metrics m;
  const auto round = [&m](const std::vector<std::string>& queues, const std::vector<std::string>& resources) {
    m.BeginQuotaQueues();
    for (const std::string& queue : queues) {
      Metrics::QuotaQueue now{7, 3, 0.25, {}};
      for (const std::string& resource : resources) now.cells.push_back({resource, "h100", 6, 4, 2});
      m.SetQuotaQueue(queue, now);
    }
    m.EndQuotaQueues();
  };
  round({"a", "b"}, {"cpu", "gpu"});
  for (const char* queue : {"a", "b"}) {
    m.QuotaWaited(queue, absl::Seconds(3));
    m.QuotaEvicted(queue, "Reclamation");
    m.QuotaResourceSeconds(queue, "gpu", 10);
    m.QuotaResourceSeconds(queue, "gpu", 25);
  }
  const std::vector<const char*> of_a = {
      R"(muster_queue_pending_pods{queue="a"} 7)",
      R"(muster_queue_running_pods{queue="a"} 3)",
      R"(muster_queue_share{queue="a"} 0.25)",
      R"(muster_queue_usage{flavor="h100",queue="a",resource="cpu"} 6)",
      R"(muster_queue_nominal{flavor="h100",queue="a",resource="cpu"} 4)",
      R"(muster_queue_borrowed{flavor="h100",queue="a",resource="cpu"} 2)",
      R"(muster_queue_evictions_total{queue="a",reason="Reclamation"} 1)",
      R"(muster_queue_wait_seconds_count{queue="a"} 1)",
      R"(muster_queue_resource_seconds_total{queue="a",resource="gpu"} 25)",
  };
  for (const char* line : of_a) EXPECT_THAT(Lines(m), Contains(line));
  round({"a"}, {"cpu"});
  for (const char* line : of_a) EXPECT_THAT(Lines(m), Contains(line));
  EXPECT_THAT(m.Text(), Not(HasSubstr("queue=\"b\"")));
  EXPECT_THAT(m.Text(), Not(HasSubstr("muster_queue_usage{flavor=\"h100\",queue=\"a\",resource=\"gpu\"}")));
  round({"a", "b"}, {"cpu"});
  m.QuotaEvicted("b", "Reclamation");
  EXPECT_THAT(Lines(m), Contains(R"(muster_queue_evictions_total{queue="b",reason="Reclamation"} 1)"));
}

TEST(Metrics, CountUnderKubeSchedulersNames) {
  Metrics m;
  m.ScheduleAttempt("muster", Metrics::Attempt::kScheduled, absl::Milliseconds(3));
  m.ScheduleAttempt("muster", Metrics::Attempt::kScheduled, absl::Milliseconds(20));
  m.ScheduleAttempt("muster", Metrics::Attempt::kUnschedulable, absl::Microseconds(20));
  m.Decided(absl::Microseconds(3));
  m.PodScheduled(2, absl::Milliseconds(15));
  m.PodScheduled(99, absl::Milliseconds(15));
  m.ExtensionPoint("muster", "Filter", "Success", absl::Microseconds(150));
  m.PluginRan("NodePorts", "Filter", "Success", absl::Microseconds(5));
  m.PluginEvaluated("muster", "NodePorts", "Filter");
  m.UnschedulablePods("muster", "NodePorts", 2);
  m.UnschedulablePods("muster", "NodePorts", -1);
  m.PendingPods(Metrics::Queue::kBackoff, 7);
  m.QueuedPod(Metrics::Queue::kActive, "NodeAdd");
  m.CacheSize(5, 10, 1);
  m.PreemptionAttempt();
  m.Preemption(3);
  m.BindStarted();
  m.BindStarted();
  m.BindEnded(absl::Milliseconds(2), true);
  m.ShapeCache(true);
  m.ShapeCache(false);
  m.EventDropped();
  m.DecisionLogged();
  m.ApiRequest("POST", "10.0.0.1:6443", 201);
  m.ApiRequest("POST", "10.0.0.1:6443", 0);
  m.Leading("muster", true);
  const std::vector<std::string> lines = Lines(m);
  for (const char* want : {
           R"(scheduler_schedule_attempts_total{profile="muster",result="scheduled"} 2)",
           R"(scheduler_schedule_attempts_total{profile="muster",result="unschedulable"} 1)",
           R"(scheduler_scheduling_attempt_duration_seconds_bucket{profile="muster",result="scheduled",le="0.004"} 1)",
           R"(scheduler_scheduling_attempt_duration_seconds_bucket{profile="muster",result="scheduled",le="16.384"} 2)",
           R"(scheduler_scheduling_algorithm_duration_seconds_count 1)",
           R"(muster_decision_seconds_bucket{le="2e-06"} 0)",
           R"(muster_decision_seconds_bucket{le="4e-06"} 1)",
           R"(scheduler_pod_scheduling_sli_duration_seconds_bucket{attempts="2",le="0.02"} 1)",
           R"(scheduler_pod_scheduling_sli_duration_seconds_count{attempts="15+"} 1)",
           R"(scheduler_pod_scheduling_attempts_bucket{le="2"} 1)",
           R"(scheduler_pod_scheduling_attempts_bucket{le="16"} 1)",
           R"(scheduler_pod_scheduling_attempts_bucket{le="+Inf"} 2)",
           R"(scheduler_plugin_evaluation_total{extension_point="Filter",plugin="NodePorts",profile="muster"} 1)",
           R"(scheduler_unschedulable_pods{plugin="NodePorts",profile="muster"} 1)",
           R"(scheduler_pending_pods{queue="active"} 0)",
           R"(scheduler_pending_pods{queue="backoff"} 7)",
           R"(scheduler_queue_incoming_pods_total{event="NodeAdd",queue="active"} 1)",
           R"(scheduler_cache_size{type="assumed_pods"} 1)",
           R"(scheduler_preemption_victims_bucket{le="4"} 1)",
           R"(scheduler_preemption_attempts_total 1)",
           R"(scheduler_goroutines{operation="binding"} 1)",
           R"(muster_binds_in_flight 1)",
           R"(muster_bind_seconds_count{result="success"} 1)",
           R"(muster_shape_cache_total{result="hit"} 1)",
           R"(muster_events_dropped_total 1)",
           R"(muster_decisions_total 1)",
           R"(rest_client_requests_total{code="201",host="10.0.0.1:6443",method="POST"} 1)",
           R"(rest_client_requests_total{code="<error>",host="10.0.0.1:6443",method="POST"} 1)",
           R"(leader_election_master_status{name="muster"} 1)",
       })
    EXPECT_THAT(lines, Contains(want));
}

// Buckets decide what a dashboard's quantiles mean: the same bounds as kube-scheduler's.
TEST(Metrics, HistogramsHaveKubeSchedulersBounds) {
  Metrics m;
  m.ScheduleAttempt("p", Metrics::Attempt::kScheduled, absl::ZeroDuration());
  m.PodScheduled(1, absl::ZeroDuration());
  m.ExtensionPoint("p", "Filter", "Success", absl::ZeroDuration());
  m.PluginRan("x", "Filter", "Success", absl::ZeroDuration());
  m.PermitWaited("scheduled", absl::ZeroDuration());
  const std::vector<std::string> lines = Lines(m);
  const struct {
    const char* name;
    int bounds;  // without +Inf
    const char* first;
    const char* last;
  } kRows[] = {
      {"scheduler_scheduling_attempt_duration_seconds", 15, "le=\"0.001\"", "le=\"16.384\""},
      {"scheduler_scheduling_algorithm_duration_seconds", 15, "le=\"0.001\"", "le=\"16.384\""},
      {"scheduler_pod_scheduling_sli_duration_seconds", 20, "le=\"0.01\"", "le=\"5242.88\""},
      {"scheduler_pod_scheduling_attempts", 5, "le=\"1\"", "le=\"16\""},
      {"scheduler_framework_extension_point_duration_seconds", 12, "le=\"0.0001\"", "le=\"0.2048\""},
      {"scheduler_plugin_execution_duration_seconds", 20, "le=\"1e-05\"", "le=\"0.0221"},
      {"scheduler_preemption_victims", 7, "le=\"1\"", "le=\"64\""},
      {"scheduler_permit_wait_duration_seconds", 15, "le=\"0.001\"", "le=\"16.384\""},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.name);
    std::vector<std::string> buckets;
    for (const std::string& line : lines)
      if (absl::StartsWith(line, std::string(row.name) + "_bucket")) buckets.push_back(line);
    ASSERT_EQ(buckets.size(), static_cast<size_t>(row.bounds + 1));
    EXPECT_THAT(buckets.front(), HasSubstr(row.first));
    EXPECT_THAT(buckets[buckets.size() - 2], HasSubstr(row.last));
  }
}

TEST(Metrics, TellAboutTheProcess) {
  Metrics m;
  const std::string text = m.Text();
  for (const char* name : {"process_resident_memory_bytes", "process_start_time_seconds", "process_open_fds"}) {
    EXPECT_THAT(text, HasSubstr(std::string("\n") + name + " "));
    EXPECT_THAT(text, Not(HasSubstr(std::string("\n") + name + " 0\n")));
  }
  EXPECT_THAT(text, HasSubstr("\nprocess_cpu_seconds_total "));
}

}  // namespace
}  // namespace muster
