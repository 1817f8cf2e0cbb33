// Devices and claims in manifests.
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/model/device.h"
#include "scheduler/sim/manifests.h"
#include "scheduler/sim/scenario.h"
#include "scheduler/sim/sim_event_loop.h"
#include "test/sim/parse_manifests.h"

namespace muster {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr char kDevices[] = R"(
apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {name: gpu}
spec:
  selectors: [{cel: {expression: device.driver == "gpu.example.com"}}]
  config: [{opaque: {driver: gpu.example.com, parameters: {apiVersion: x/v1, share: 0.5, on: true, list: [1, null, "2"]}}}]
---
apiVersion: resource.k8s.io/v1
kind: ResourceSlice
metadata: {name: n1-gpu}
spec:
  driver: gpu.example.com
  pool: {name: n1, generation: 1, resourceSliceCount: 1}
  nodeName: n1
  devices:
  - name: gpu-0
    attributes: {model: {string: a100}, index: {int: 0}, ecc: {bool: false}, driverVersion: {version: 1.2.3}}
    capacity: {memory: {value: 40Gi}}
    taints: [{key: example.com/bad, effect: NoSchedule}]
---
apiVersion: resource.k8s.io/v1
kind: DeviceTaintRule
metadata: {name: r}
spec: {deviceSelector: {driver: gpu.example.com}, taint: {key: k, effect: NoExecute, timeAdded: "2026-01-01T00:00:00Z"}}
---
apiVersion: resource.k8s.io/v1
kind: ResourceClaim
metadata: {name: shared, namespace: team}
spec:
  devices:
    requests:
    - {name: a, exactly: {deviceClassName: gpu, tolerations: [{key: k}]}}
    - name: b
      firstAvailable: [{name: l, deviceClassName: gpu, count: 2}, {name: m, deviceClassName: gpu, allocationMode: All}]
    constraints: [{requests: [a, b/l], matchAttribute: example.com/root}]
status:
  allocation: {devices: {results: [{request: a, driver: gpu.example.com, pool: n1, device: gpu-0}]}}
  reservedFor: [{resource: pods, name: p, uid: u}]
)";

template <typename T>
const T& Get(const Manifests& m, size_t i) {
  return dynamic_cast<const T&>(*m.objects.at(i).object);
}

TEST(DeviceManifests, ObjectsWithTheServersDefaults) {
  ManifestOptions options;
  options.start = absl::FromUnixSeconds(1000);
  const Manifests m = MustParse(kDevices, options);
  ASSERT_THAT(m.objects, SizeIs(4));
  const auto& device_class = Get<DeviceClass>(m, 0);
  EXPECT_EQ(m.objects[0].kind, Kind::kDeviceClass);
  EXPECT_EQ(device_class.ns, "");
  EXPECT_EQ(device_class.created, options.start);
  EXPECT_THAT(device_class.config,
              ElementsAre(DeviceConfig{
                  {}, true, "gpu.example.com", R"({"apiVersion":"x/v1","list":[1,null,"2"],"on":true,"share":0.5})"}));
  const auto& slice = Get<ResourceSlice>(m, 1);
  EXPECT_EQ(m.objects[1].kind, Kind::kResourceSlice);
  EXPECT_EQ(slice.nodes.node_name, "n1");
  ASSERT_THAT(slice.devices, SizeIs(1));
  EXPECT_EQ(slice.devices[0].attributes.at("model").texts, std::vector<std::string>{"a100"});
  EXPECT_EQ(slice.devices[0].attributes.at("ecc").type, DeviceAttribute::Type::kBool);
  EXPECT_EQ(slice.devices[0].attributes.at("driverVersion").type, DeviceAttribute::Type::kVersion);
  EXPECT_EQ(slice.devices[0].taints[0].time_added, options.start);
  EXPECT_EQ(Get<DeviceTaintRule>(m, 2).taint.time_added, absl::FromUnixSeconds(1767225600));
  const auto& claim = Get<ResourceClaim>(m, 3);
  EXPECT_EQ(claim.Key(), "team/shared");
  EXPECT_EQ(claim.requests[0].allocation_mode, "ExactCount");
  EXPECT_EQ(claim.requests[0].count, 1);
  EXPECT_EQ(claim.requests[0].tolerations[0].op, "Equal");
  EXPECT_EQ(claim.requests[1].first_available[0].count, 2);
  EXPECT_EQ(claim.requests[1].first_available[1].count, 0);
  EXPECT_EQ(claim.allocation->devices[0].id, (DeviceId{"gpu.example.com", "n1", "gpu-0"}));
  EXPECT_EQ(claim.reserved_for[0].uid, "u");
  EXPECT_THAT(m.notices, IsEmpty());
}

constexpr char kPods[] = R"(
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: team}
spec:
  containers: [{name: c, resources: {claims: [{name: gpu}]}}]
  resourceClaims:
  - {name: gpu, resourceClaimTemplateName: one}
  - {name: all, resourceClaimName: shared}
  - {name: later, resourceClaimTemplateName: not-there}
---
apiVersion: batch/v1
kind: Job
metadata: {name: j, namespace: team}
spec:
  parallelism: 2
  completions: 2
  template: {spec: {containers: [{name: c}], resourceClaims: [{name: gpu, resourceClaimTemplateName: one}]}}
---
apiVersion: resource.k8s.io/v1
kind: ResourceClaimTemplate
metadata: {name: one, namespace: team}
spec: {metadata: {labels: {a: b}}, spec: {devices: {requests: [{name: r, exactly: {deviceClassName: gpu}}]}}}
)";

TEST(DeviceManifests, ControllersMakeClaimsOfTemplates) {
  const Manifests m = MustParse(kPods);
  ASSERT_THAT(m.pods, SizeIs(3));
  const Pod& pod = *m.pods[0].pod;
  ASSERT_THAT(m.pods[0].device_claims, SizeIs(1));
  const auto& claim = dynamic_cast<const ResourceClaim&>(*m.pods[0].device_claims[0]);
  EXPECT_THAT(claim.Key(), testing::StartsWith("team/p-gpu-"));
  EXPECT_EQ(claim.controller_uid, pod.uid);
  EXPECT_EQ(claim.pod_claim_name, "gpu");
  EXPECT_EQ(claim.requests[0].count, 1);
  EXPECT_THAT(pod.claims, ElementsAre(PodClaim{"gpu", "one", claim.name, true}, PodClaim{"all", "", "shared", true},
                                      PodClaim{"later", "not-there", "", false}));
  // A job's pods have claims of their own and one shape.
  for (size_t i : {1, 2}) {
    ASSERT_THAT(m.pods[i].device_claims, SizeIs(1));
    EXPECT_EQ(m.pods[i].pod->claims[0].claim, m.pods[i].device_claims[0]->name);
  }
  EXPECT_NE(m.pods[1].pod->claims[0].claim, m.pods[2].pod->claims[0].claim);
  EXPECT_EQ(m.pods[1].pod->spec, m.pods[2].pod->spec);
}

TEST(DeviceManifests, ClaimsComeWithTheirPods) {
  SimEventLoop loop;
  SimApiServer server(loop);
  Kubelet kubelet(loop, server);
  Scenario scenario(loop, server, kubelet);
  ASSERT_TRUE(scenario.Start(MustParse(kPods)).ok());
  const PodPtr pod = server.FindPod("team", "p");
  ASSERT_NE(pod, nullptr);
  EXPECT_NE(server.FindObject(Kind::kResourceClaim, "team", pod->claims[0].claim), nullptr);
  EXPECT_THAT(server.objects().All(Kind::kResourceClaim), SizeIs(3));
}

TEST(DeviceManifests, Errors) {
  const auto slice = [](const std::string& spec) {
    return "apiVersion: resource.k8s.io/v1\nkind: ResourceSlice\nmetadata: {name: s}\nspec:\n  driver: d\n"
           "  pool: {name: p, resourceSliceCount: 1}\n" +
           spec;
  };
  const auto claim = [](const std::string& devices) {
    return "apiVersion: resource.k8s.io/v1\nkind: ResourceClaim\nmetadata: {name: c}\nspec:\n  devices:\n" + devices;
  };
  std::string many;
  for (int i = 0; i < 65; ++i)
    many += "  - {name: d" + std::to_string(i) + ", taints: [{key: k, effect: NoSchedule}]}\n";
  const struct {
    std::string text, error;
  } kRows[] = {
      {slice("  nodeName: n\n  devices:\n  - {name: a}\n  - {name: a}\n"),
       "f.yaml:10: spec.devices[1].name: is there twice"},
      {slice("  nodeName: n\n  devices: [{name: A}]\n"), "spec.devices[0].name: \"A\" is no name"},
      {slice("  nodeName: n\n  allNodes: true\n"),
       "spec: must have one of nodeName, nodeSelector, allNodes and perDeviceNodeSelection"},
      {slice("  perDeviceNodeSelection: true\n  devices: [{name: a}]\n"), "as perDeviceNodeSelection is true"},
      {slice("  nodeName: n\n  devices: [{name: a, nodeName: m}]\n"), "as perDeviceNodeSelection is not true"},
      {slice("  nodeName: n\n  devices:\n" + many), "spec.devices: must have at most 64 items"},
      {slice("  nodeName: n\n  devices: [{name: a, capacity: {m: {value: 1x}}}]\n"),
       "spec.devices[0].capacity[m].value: quantity \"1x\" is not"},
      {slice("  nodeName: n\n  devices: [{name: a, attributes: {m: {int: 1, string: a}}}]\n"), "must have one value"},
      {slice("  nodeName: n\n  devices: [{name: a, taints: [{key: k, effect: Never}]}]\n"),
       "spec.devices[0].taints[0].effect: must be None, NoSchedule or NoExecute"},
      {slice("  nodeName: n\n  devices: [{name: a, device: b}]\n"), "unknown field \"spec.devices[0].device\""},
      {claim("    requests: [{name: a}]\n"),
       "f.yaml:6: spec.devices.requests[0]: must have one of exactly and firstAvail"},
      {claim("    requests: [{name: a, exactly: {}}]\n"), "exactly.deviceClassName: \"\" is no name of a DeviceClass"},
      {claim("    requests: [{name: a, exactly: {deviceClassName: c, count: -1}}]\n"), "count: must be greater than 0"},
      {claim("    requests: [{name: a, exactly: {deviceClassName: c, allocationMode: All, count: 1}}]\n"),
       "count: must not be given where allocationMode is All"},
      {claim("    requests: [{name: a, exactly: {deviceClassName: c}}]\n    constraints: [{requests: [b], "
             "matchAttribute: x/y}]\n"),
       "spec.devices.constraints[0].requests: there is no request \"b\""},
      {claim("    constraints: [{}]\n"), "must have one of matchAttribute and distinctAttribute"},
      {"{apiVersion: resource.k8s.io/v1, kind: ResourceClaimTemplate, metadata: {name: t}, spec: {spec: {devices: "
       "{requests: [{name: a}]}}}}",
       "spec.spec.devices.requests[0]: must have one of"},
      {"{apiVersion: resource.k8s.io/v1, kind: DeviceClass, metadata: {name: t}, spec: {selectors: [{}]}}",
       "spec.selectors[0].cel.expression: is missing"},
  };
  for (const auto& row : kRows) {
    EXPECT_THAT(ErrorOf(row.text), HasSubstr(row.error)) << row.text;
  }
}

}  // namespace
}  // namespace muster
