#include "scheduler/sim/controllers/disruption_controller.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/sim/kubelet.h"
#include "scheduler/sim/scenario.h"
#include "scheduler/sim/sim_event_loop.h"

namespace muster {
namespace {

// A node, a ReplicaSet of ten pods a-0 ... a-9, and a pod of nobody's; all labelled app=a.
constexpr char kCluster[] = R"(
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: a}
spec:
  replicas: 10
  selector: {matchLabels: {app: a}}
  template: {metadata: {labels: {app: a}}, spec: {containers: [{name: c}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: alone, labels: {app: a}}, spec: {containers: [{name: c}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: other, labels: {app: b}}, spec: {containers: [{name: c}]}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: b}
)";

// disruptionsAllowed after so many of a-0, a-1, ... and then `alone` were bound.
int32_t Allowed(const std::string& spec, int bound) {
  const ManifestSource source{"f.yaml", kCluster + spec};
  auto manifests = ParseManifests({&source, 1}, {});
  EXPECT_TRUE(manifests.ok()) << manifests.status();
  SimEventLoop loop;
  SimApiServer server(loop);
  Kubelet kubelet(loop, server);
  DisruptionController controller(loop, server, *manifests);
  Scenario scenario(loop, server, kubelet);
  EXPECT_TRUE(scenario.Start(*manifests).ok());
  for (int i = 0; i < bound; ++i) {
    const std::string name = i < 10 ? "a-" + std::to_string(i) : "alone";
    EXPECT_TRUE(server.BindNow({"default", name, "", "n"}).ok());
  }
  EXPECT_TRUE(server.BindNow({"default", "other", "", "n"}).ok());
  loop.RunFor(absl::Seconds(1));
  EXPECT_TRUE(controller.Idle());
  const ObjectPtr budget = server.FindObject(Kind::kPodDisruptionBudget, "default", "b");
  return static_cast<const DisruptionBudget&>(*budget).disruptions_allowed;
}

TEST(DisruptionControllerTest, CountsWhatMayBeDisrupted) {
  const struct {
    const char* spec;
    int bound;
    int32_t allowed;
  } kCases[] = {
      {"spec: {minAvailable: 3, selector: {matchLabels: {app: a}}}", 0, 0},
      {"spec: {minAvailable: 3, selector: {matchLabels: {app: a}}}", 3, 0},
      {"spec: {minAvailable: 3, selector: {matchLabels: {app: a}}}", 11, 8},
      {"spec: {minAvailable: 55%, selector: {matchLabels: {app: a}}}", 7, 1},
      {"spec: {minAvailable: 100%, selector: {matchLabels: {app: a}}}", 10, 0},
      {"spec: {maxUnavailable: 2, selector: {matchLabels: {app: a}}}", 9, 1},
      {"spec: {maxUnavailable: 25%, selector: {matchLabels: {app: a}}}", 10, 3},
      {"spec: {maxUnavailable: 25%, selector: {matchLabels: {app: a}}}", 7, 0},
      {"spec: {maxUnavailable: 1, selector: {matchLabels: {app: b}}}", 11, 0},  // no workload
      {"spec: {minAvailable: 0, selector: {matchLabels: {app: b}}}", 11, 1},
      {"spec: {minAvailable: 0}", 11, 0},
      {"spec: {minAvailable: 0, selector: {}}", 11, 12},
      {"spec: {minAvailable: 0, selector: {}}\nstatus: {disruptionsAllowed: 5}", 11, 5},
  };
  for (const auto& c : kCases) EXPECT_EQ(Allowed(c.spec, c.bound), c.allowed) << c.spec << " " << c.bound;
}

}  // namespace
}  // namespace muster
