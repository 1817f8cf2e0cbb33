#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "nlohmann/json.hpp"
#include "test/command/cli.h"

namespace muster {
namespace {

using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

constexpr char kCluster[] = R"(
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Node
  metadata: {name: free}
  status: {allocatable: {cpu: "4", memory: 8Gi, pods: "10"}}
- apiVersion: v1
  kind: Node
  metadata: {name: full}
  status: {allocatable: {cpu: "4", memory: 8Gi, pods: "1"}}
- apiVersion: v1
  kind: Node
  metadata: {name: tainted}
  spec: {taints: [{key: team, value: x, effect: NoSchedule}]}
  status: {allocatable: {cpu: "4", memory: 8Gi, pods: "10"}}
- apiVersion: v1
  kind: Pod
  metadata: {name: filler, namespace: a}
  spec:
    nodeName: full
    containers: [{name: c, image: i, resources: {requests: {cpu: "3"}}}]
- apiVersion: v1
  kind: Pod
  metadata: {name: asked, namespace: a}
  spec:
    containers: [{name: c, image: i, resources: {requests: {cpu: "2", memory: 2Gi}}}]
- apiVersion: v1
  kind: Pod
  metadata: {name: pinned, namespace: a}
  spec:
    affinity:
      nodeAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
          nodeSelectorTerms: [{matchFields: [{key: metadata.name, operator: In, values: [free]}]}]
    containers: [{name: c, image: i}]
- apiVersion: v1
  kind: Pod
  metadata: {name: elsewhere, namespace: a}
  spec:
    affinity:
      nodeAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
          nodeSelectorTerms:
          - matchFields:
            - {key: metadata.name, operator: In, values: [free]}
            - {key: metadata.name, operator: In, values: [full]}
    containers: [{name: c, image: i}]
- apiVersion: v1
  kind: Pod
  metadata: {name: theirs, namespace: a}
  spec: {schedulerName: other, containers: [{name: c, image: i}]}
)";

class EvaluateCommandTest : public CliTest {
 protected:
  Json Ask(const std::string& pod) {
    const Ran ran = Evaluate({"-f", Write("cluster.yaml", kCluster), "--pod", pod, "-o", "json"});
    EXPECT_EQ(ran.exit, 0) << ran.err;
    return ran.exit == 0 ? Json::parse(ran.out) : Json::object();
  }
};

std::vector<std::string> Keys(const Json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;
}

TEST_F(EvaluateCommandTest, EveryNodeHasItsVerdict) {
  const Json all = Ask("a/asked");
  EXPECT_THAT(Keys(all), ElementsAre("preFilter", "nodes", "preemption"));
  EXPECT_TRUE(all["preFilter"].is_null());
  EXPECT_TRUE(all["preemption"].is_null());
  EXPECT_THAT(Keys(all["nodes"]), ElementsAre("free", "full", "tainted"));
  const Json& free = all["nodes"]["free"];
  EXPECT_THAT(Keys(free), ElementsAre("feasible", "scores", "total"));
  EXPECT_EQ(free["feasible"], true);
  EXPECT_EQ(free["scores"]["TaintToleration"], 100);
  // LeastAllocated: cpu (4 - 2) / 4 = 50, memory (8 - 2) / 8 = 75, mean 62.
  EXPECT_EQ(free["scores"]["NodeResourcesFit"], 62);
  EXPECT_EQ(all["nodes"]["full"].dump(),
            R"({"feasible":false,"plugin":"NodeResourcesFit","reasons":["Too many pods","Insufficient cpu"]})");
  EXPECT_EQ(all["nodes"]["tainted"]["plugin"], "TaintToleration");
}

TEST_F(EvaluateCommandTest, NodesThatPreFilterLeftOutNameItsPlugin) {
  const Json all = Ask("a/pinned");
  EXPECT_EQ(all["nodes"]["free"]["feasible"], true);
  for (const char* node : {"full", "tainted"}) {
    EXPECT_EQ(all["nodes"][node].dump(), R"({"feasible":false,"plugin":"NodeAffinity",)"
                                         R"("reasons":["node(s) didn't satisfy plugin(s) [NodeAffinity]"]})");
  }
}

TEST_F(EvaluateCommandTest, APreFilterRejectionLeavesNoNodes) {
  const Json all = Ask("a/elsewhere");
  EXPECT_EQ(all["preFilter"]["plugin"], "NodeAffinity");
  EXPECT_EQ(all["preFilter"]["reasons"].size(), 1u);
  EXPECT_EQ(all["nodes"].dump(), "{}");
}

TEST_F(EvaluateCommandTest, ABoundPodDoesNotStandInItsOwnWay) {
  // Without itself, "full" has room for one pod again.
  EXPECT_EQ(Ask("a/filler")["nodes"]["full"]["feasible"], true);
}

TEST_F(EvaluateCommandTest, TableNamesBestNodeFirstAndEveryRejection) {
  const Ran ran = Evaluate({"-f", Write("cluster.yaml", kCluster), "--pod", "a/asked"});
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("1 of 3 nodes can take the pod\n"));
  EXPECT_THAT(ran.out, ContainsRegex("NODE +TOTAL +TaintToleration"));
  EXPECT_THAT(ran.out, ContainsRegex("full +NodeResourcesFit +Too many pods, Insufficient cpu\n"));
}

TEST_F(EvaluateCommandTest, BadInputIsRefused) {
  const std::string file = Write("cluster.yaml", kCluster);
  const struct {
    std::vector<std::string> args;
    const char* says;
  } kCases[] = {
      {{"--pod", "a/asked"}, "-f FILE|DIR is missing"},
      {{"-f", file}, "--pod NAMESPACE/NAME is missing"},
      {{"-f", file, "--pod", "asked"}, "--pod asked: must be NAMESPACE/NAME"},
      {{"-f", file, "--pod", "a/"}, "must be NAMESPACE/NAME"},
      {{"-f", file, "--pod", "a/nobody"}, "--pod a/nobody: no such pod in the manifests"},
      {{"-f", file, "--pod", "a/theirs"}, "no profile is named \"other\""},
  };
  for (const auto& c : kCases) {
    const Ran ran = Evaluate(c.args);
    EXPECT_EQ(ran.exit, 2) << testing::PrintToString(c.args);
    EXPECT_EQ(ran.out, "");
    EXPECT_THAT(ran.err, HasSubstr(c.says));
  }
}

}  // namespace
}  // namespace muster
