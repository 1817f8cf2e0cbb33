// Devices, as simulate and evaluate tell of them.
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "nlohmann/json.hpp"
#include "test/command/cli.h"

namespace muster {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

constexpr char kCluster[] = R"(
apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {name: gpu}
spec: {selectors: [{cel: {expression: "device.driver == 'gpu.example.com'"}}]}
---
apiVersion: resource.k8s.io/v1
kind: ResourceSlice
metadata: {name: s0}
spec:
  driver: gpu.example.com
  pool: {name: n0, generation: 1, resourceSliceCount: 1}
  nodeName: n0
  devices: [{name: g0, attributes: {mem: {int: 40}}}, {name: g1, attributes: {mem: {int: 80}}}]
---
apiVersion: resource.k8s.io/v1
kind: ResourceSlice
metadata: {name: s1}
spec:
  driver: gpu.example.com
  pool: {name: n1, generation: 1, resourceSliceCount: 1}
  nodeName: n1
  devices: [{name: g0, attributes: {mem: {int: 40}}}]
---
apiVersion: v1
kind: Node
metadata: {name: n0}
status: {allocatable: {cpu: 8, memory: 8Gi, pods: 110}}
---
apiVersion: v1
kind: Node
metadata: {name: n1}
status: {allocatable: {cpu: 8, memory: 8Gi, pods: 110}}
---
)";

std::string Template(const std::string& selector) {
  return absl::StrCat("apiVersion: resource.k8s.io/v1\nkind: ResourceClaimTemplate\nmetadata: {name: t}\n",
                      "spec: {spec: {devices: {requests: [{name: r, exactly: {deviceClassName: gpu, selectors: [{cel: ",
                      "{expression: \"", selector, "\"}}]}}]}}}\n---\n");
}

std::string Pod(const std::string& name) {
  return absl::StrCat("apiVersion: v1\nkind: Pod\nmetadata: {name: ", name,
                      "}\nspec: {resourceClaims: [{name: g, resourceClaimTemplateName: t}], containers: ",
                      "[{name: c, image: i}]}\n---\n");
}

class DevicesCommandTest : public CliTest {
 protected:
  Json Ask(const std::string& selector) {
    const Ran ran = Evaluate(
        {"-f", Write("all.yaml", kCluster + Template(selector) + Pod("p")), "--pod", "default/p", "-o", "json"});
    EXPECT_EQ(ran.exit, 0) << ran.err;
    return Json::parse(ran.out);
  }
};

TEST_F(DevicesCommandTest, SimulateGivesDevicesOnce) {
  const std::string file = Write("all.yaml", kCluster + Template("device.attributes['gpu.example.com'].mem >= 40") +
                                                 Pod("a") + Pod("b") + Pod("c") + Pod("d"));
  const Ran ran = Simulate({"-f", file, "-o", "json"});
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const Json pods = Json::parse(ran.out)["pods"];
  ASSERT_EQ(pods.size(), 4u);
  std::string given;
  int bound = 0;
  for (const Json& pod : pods) {
    if (pod["result"] != "bound") {
      EXPECT_EQ(pod["reasons"][0]["plugin"], "DynamicResources");
      EXPECT_EQ(pod["reasons"][0]["message"], "cannot allocate all claims");
      EXPECT_EQ(pod["reasons"][0]["nodes"], 2);
      EXPECT_TRUE(pod["devices"].empty());
      continue;
    }
    ++bound;
    ASSERT_EQ(pod["devices"].size(), 1u);
    const Json& device = pod["devices"][0];
    EXPECT_EQ(device["pool"], pod["node"]);
    EXPECT_EQ(device["request"], "r");
    EXPECT_EQ(device["driver"], "gpu.example.com");
    EXPECT_THAT(device["claim"].get<std::string>(), HasSubstr(pod["name"].get<std::string>() + "-g-"));
    const std::string id =
        absl::StrCat(device["pool"].get<std::string>(), "/", device["device"].get<std::string>(), " ");
    EXPECT_THAT(given, Not(HasSubstr(id)));
    given += id;
  }
  EXPECT_EQ(bound, 3);
}

// Devices are free again once a pod has ended.
TEST_F(DevicesCommandTest, SimulateFreesDevices) {
  std::string text = kCluster + Template("device.attributes['gpu.example.com'].mem >= 80");
  for (const char* name : {"a", "b", "c"}) {
    std::string pod = Pod(name);
    pod.replace(pod.find("}\nspec"), 1, ", annotations: {muster.dev/run-duration: 10s}}");
    text += pod;
  }
  const Ran ran = Simulate({"-f", Write("all.yaml", text), "-o", "json"});
  ASSERT_EQ(ran.exit, 0) << ran.err;
  for (const Json& pod : Json::parse(ran.out)["pods"]) EXPECT_EQ(pod["node"], "n0") << pod;
}

TEST_F(DevicesCommandTest, EvaluateTellsWhichDevices) {
  const Json nodes = Ask("device.attributes['gpu.example.com'].mem >= 80")["nodes"];
  ASSERT_EQ(nodes["n0"]["feasible"], true) << nodes;
  ASSERT_EQ(nodes["n0"]["devices"].size(), 1u);
  EXPECT_EQ(nodes["n0"]["devices"][0]["device"], "g1");
  EXPECT_EQ(nodes["n0"]["devices"][0]["request"], "r");
  EXPECT_EQ(nodes["n0"]["scores"]["DynamicResources"], 0);
  EXPECT_EQ(nodes["n1"],
            Json({{"feasible", false}, {"plugin", "DynamicResources"}, {"reasons", {"cannot allocate all claims"}}}));
}

TEST_F(DevicesCommandTest, EvaluateTellsWhatIsWrongWithClaims) {
  const Json nodes = Ask("device.attributes['gpu.example.com'].absent >= 80")["nodes"];
  for (const char* node : {"n0", "n1"}) {
    EXPECT_EQ(nodes[node]["feasible"], false);
    EXPECT_FALSE(nodes[node].contains("plugin"));
    EXPECT_THAT(nodes[node]["error"].get<std::string>(),
                testing::AllOf(HasSubstr("claim default/p-g-"), HasSubstr("CEL runtime error: no such key: absent")));
  }
}

}  // namespace
}  // namespace muster
