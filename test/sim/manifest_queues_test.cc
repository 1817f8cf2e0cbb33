// Queues, flavors and run times in manifests.
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/model/queue.h"
#include "scheduler/sim/manifests.h"
#include "test/sim/parse_manifests.h"

namespace muster {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// From line 1 on; its `spec` begins on line 4.
std::string Object(const std::string& kind, const std::string& spec) {
  return "apiVersion: muster.dev/v1alpha1\nkind: " + kind + "\nmetadata: {name: q}\n" + spec;
}

TEST(ManifestQueues, QueuesAndFlavors) {
  ManifestOptions options;
  options.start = absl::FromUnixSeconds(50);
  const Manifests m = MustParse(Object("Queue", R"(spec:
  parent: research
  namespaceSelector: {matchLabels: {team: a}}
  weight: 2
  order: Backfill
  usageHalfLife: 168h
  resources:
  - {name: nvidia.com/gpu, flavor: q, nominalQuota: "16", borrowingLimit: "8", lendingLimit: 4}
  - {name: cpu, nominalQuota: 1.5}
  preemption: {withinQueue: LowerPriority, reclaim: Any, borrowing: Never, minRuntime: 10m, evictionsPerHour: 20}
  burst: {maxPodRuntime: 5m, resources: {cpu: 64}, refill: 1m}
  budget: {resource: nvidia.com/gpu, seconds: "864000", window: 24h, beyond: NoBorrowing}
  stopPolicy: None
status:
  conditions: [{type: Ready, status: "True", reason: Ready, message: ""}]
  pending: [{group: a/b, position: 1, estimatedStart: 2026-01-31T12:00:00Z}]
  usage: [{resource: cpu, used: 1500m}]
)") + "---\n" + Object("ResourceFlavor", "spec: {nodeLabels: {gpu.example.com/model: H100}}\n"),
                                options);
  ASSERT_EQ(m.objects.size(), 2u);
  EXPECT_EQ(m.objects[0].kind, Kind::kQueue);
  const auto& queue = dynamic_cast<const Queue&>(*m.objects[0].object);
  EXPECT_EQ(queue.ns + "/" + queue.name, "/q");
  EXPECT_FALSE(queue.uid.empty());
  EXPECT_EQ(queue.created, options.start);
  EXPECT_EQ(queue.parent, "research");
  ASSERT_EQ(queue.resources.size(), 2u);
  EXPECT_EQ(queue.resources[0].lending_limit, 4);
  EXPECT_EQ(queue.resources[1].nominal_quota, 1500);
  EXPECT_EQ(queue.burst->resources, (std::vector<Amount>{{"cpu", 64000}}));
  EXPECT_EQ(queue.budget->window, absl::Hours(24));
  EXPECT_EQ(queue.ready.status, "True");
  EXPECT_EQ(m.objects[1].kind, Kind::kResourceFlavor);
  EXPECT_EQ(dynamic_cast<const ResourceFlavor&>(*m.objects[1].object).node_labels,
            (Labels{{"gpu.example.com/model", "H100"}}));
  EXPECT_TRUE(m.notices.empty());
}

TEST(ManifestQueues, Errors) {
  const struct {
    const char *kind, *spec, *want;
  } kRows[] = {
      {"Queue", "", "f.yaml:1: spec: is missing"},
      {"Queue", "spec:\n  weight: -1\n", "f.yaml:5: spec.weight: must not be negative"},
      {"Queue", "spec:\n  weight: two\n", "f.yaml:5: spec.weight: expected an integer"},
      {"Queue", "spec:\n  wait: 1\n", "f.yaml:5: spec.wait: unknown field \"spec.wait\""},
      {"Queue", "spec:\n  parent: q\n", "f.yaml:5: spec.parent: must not be the queue itself"},
      {"Queue", "spec:\n  weight: 1\n  order: FIFO\n", "f.yaml:6: spec.order: \"FIFO\" is none of StrictFIFO, "},
      {"Queue", "spec:\n  order: Backfill\n  usageHalfLife: 0s\n", "f.yaml:6: spec.usageHalfLife: must be greater"},
      {"Queue", "spec:\n  resources:\n  - {name: cpu, nominalQuota: 1}\n  - name: gpu\n    nominalQuota: -1\n",
       "f.yaml:8: spec.resources[1].nominalQuota: must not be negative"},
      {"Queue", "spec:\n  resources:\n  - {name: cpu, nominalQuota: 1}\n  - {name: cpu, nominalQuota: 1}\n",
       "f.yaml:7: spec.resources[1].name: is there twice"},
      {"Queue", "spec:\n  resources:\n  - {name: cpu, nominalQuota: many}\n",
       "f.yaml:6: spec.resources[0].nominalQuota: "},
      {"Queue", "spec:\n  resources:\n  - {name: cpu, quota: 1}\n", "f.yaml:6: spec.resources[0].quota: unknown field"},
      {"Queue", "spec:\n  resources:\n  - name: cpu\n", "f.yaml:6: spec.resources[0].nominalQuota: is missing"},
      {"Queue", "spec:\n  burst:\n    maxPodRuntime: 1m\n    resources:\n      c/p/u: 1\n    refill: 1m\n",
       "f.yaml:8: spec.burst.resources[c/p/u]: is no name of a resource"},
      {"Queue", "spec:\n  burst:\n    resources:\n      cpu: -1\n",
       "f.yaml:7: spec.burst.resources[cpu]: quantity \"-1\" must not be negative"},
      {"Queue", "spec:\n  namespaceSelector:\n    matchExpressions:\n    - {key: a, operator: In}\n",
       "f.yaml:7: spec.namespaceSelector.matchExpressions[0].values: must not be empty"},
      {"Queue", "spec:\n  budget:\n    resource: cpu\n    seconds: 1\n    window: 0h\n",
       "f.yaml:8: spec.budget.window: must be greater than zero"},
      {"Queue", "spec:\n  stopPolicy: Drain\n", "f.yaml:5: spec.stopPolicy: \"Drain\" is none of"},
      {"ResourceFlavor", "spec: {}\n", "f.yaml:4: spec.nodeLabels: must not be empty"},
      {"ResourceFlavor", "spec:\n  nodeLabels:\n    a: b\n    b c: d\n", "f.yaml:7: spec.nodeLabels[b c]: "},
      {"ResourceFlavor", "spec:\n  labels: {a: b}\n", "f.yaml:5: spec.labels: unknown field"},
      {"Cohort", "", "f.yaml:1: kind: no kind \"Cohort\" in \"muster.dev/v1alpha1\" is known"},
  };
  for (const auto& row : kRows) {
    const std::string error = ErrorOf(Object(row.kind, row.spec));
    EXPECT_EQ(error.find(row.want), 0u) << error << "\n" << row.want;
  }
  EXPECT_THAT(ErrorOf(Object("Queue", "spec: {}\n---\n") + Object("Queue", "spec: {}\n")),
              HasSubstr("Queue q is there already"));
}

// A Job's own deadline is not its pods'.
TEST(ManifestQueues, HowLongPodsRun) {
  const std::string job =
      "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j, labels: {kueue.x-k8s.io/max-exec-time-seconds: '7'}}\n"
      "spec: {activeDeadlineSeconds: 5, template: {metadata: {}, spec: {containers: [{name: c}]";
  const struct {
    std::string text;
    std::optional<Duration> want;
  } kRows[] = {
      {job + "}}}\n", std::nullopt},
      {job + ", activeDeadlineSeconds: 60}}}\n", absl::Seconds(60)},
      {"apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {kueue.x-k8s.io/max-exec-time-seconds: '30'}}\n"
       "spec: {containers: [{name: c}], activeDeadlineSeconds: 60}\n",
       absl::Seconds(30)},
  };
  for (const auto& row : kRows) {
    const Manifests m = MustParse(row.text);
    ASSERT_EQ(m.pods.size(), 1u);
    EXPECT_EQ(m.pods[0].pod->max_runtime, row.want) << row.text;
  }
}

}  // namespace
}  // namespace muster
