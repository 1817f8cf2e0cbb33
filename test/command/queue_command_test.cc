#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "nlohmann/json.hpp"
#include "test/command/cli.h"

namespace muster {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

// Two teams share ten CPUs; team-a's pods do not say when they end, team-b's run ten minutes.
constexpr char kTeams[] = R"(
apiVersion: v1
kind: Namespace
metadata: {name: team-a, labels: {team: a}}
---
apiVersion: v1
kind: Namespace
metadata: {name: team-b, labels: {team: b}}
---
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {model: H100}}
status: {allocatable: {cpu: "64", pods: "110", nvidia.com/gpu: "8"}}
---
apiVersion: muster.dev/v1alpha1
kind: ResourceFlavor
metadata: {name: h100}
spec: {nodeLabels: {model: H100}}
---
apiVersion: muster.dev/v1alpha1
kind: Queue
metadata: {name: research}
spec: {resources: [{name: cpu, nominalQuota: 2}]}
---
apiVersion: muster.dev/v1alpha1
kind: Queue
metadata: {name: team-a}
spec:
  parent: research
  namespaceSelector: {matchLabels: {team: a}}
  weight: 2
  resources: [{name: cpu, nominalQuota: 4}, {name: nvidia.com/gpu, flavor: h100, nominalQuota: 4, borrowingLimit: 2}]
---
apiVersion: muster.dev/v1alpha1
kind: Queue
metadata: {name: team-b}
spec:
  parent: research
  order: StrictFIFO
  namespaceSelector: {matchLabels: {team: b}}
  resources: [{name: cpu, nominalQuota: 4, lendingLimit: 0}]
---
apiVersion: muster.dev/v1alpha1
kind: Queue
metadata: {name: wrong}
spec: {parent: nobody}
---
)";

std::string PodYaml(const std::string& ns, const std::string& name, const std::string& cpu, const std::string& spec) {
  return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", namespace: " + ns + "}\nspec:\n" + spec +
         "  containers: [{name: c, image: i, resources: {requests: {cpu: " + cpu + "}}}]\n---\n";
}

class QueueCommandTest : public CliTest {
 protected:
  QueueCommandTest() {
    std::string text = kTeams;
    for (int i = 0; i < 3; ++i) text += PodYaml("team-a", "web-" + std::to_string(i), "\"3\"", "");
    for (int i = 0; i < 3; ++i)
      text += PodYaml("team-b", "job-" + std::to_string(i), "\"2\"", "  activeDeadlineSeconds: 600\n");
    file_ = Write("teams.yaml", text);
  }
  std::string file_;
};

TEST_F(QueueCommandTest, AllInATable) {
  const Ran ran = Queues({"-f", file_, "--until", "1m"});
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.out,
            "NAME      PARENT    WEIGHT  ORDER           PENDING  RUNNING  SHARE  READY\n"
            "research  -         1       BestEffortFIFO  0        0        0      True\n"
            "team-a    research  2       BestEffortFIFO  1        2        0.167  True\n"
            "team-b    research  1       StrictFIFO      1        2        0      True\n"
            "wrong     nobody    1       BestEffortFIFO  0        0        -      False (ParentNotFound)\n");
}

TEST_F(QueueCommandTest, OneWithThoseThatWait) {
  const Ran a = Queues({"team-a", "-f", file_, "--until", "1m"});
  ASSERT_EQ(a.exit, 0) << a.err;
  EXPECT_EQ(
      a.out,
      "queue        team-a\n"
      "parent       research\n"
      "weight       2\n"
      "order        BestEffortFIFO\n"
      "stop policy  None\n"
      "ready        True\n"
      "share        0.167\n"
      "running      2 pods\n"
      "pending      1 pods in 1 groups\n"
      "\n"
      "RESOURCE        FLAVOR  USED  NOMINAL  BORROWED  MAY BORROW  LENDS\n"
      "cpu             -       6     4        2         all         all\n"
      "nvidia.com/gpu  h100    0     4        0         2           all\n"
      "\n"
      "POSITION  GROUP         PODS  AHEAD  WAITS FOR"
      "                                                             ESTIMATED START\n"
      "1         team-a/web-2  1     -      queue \"team-a\" has no room: cpu asks for 3, available 0, used 6 of 4"
      "  not known: running pods of queue team-a have no known end\n");
}

TEST_F(QueueCommandTest, JsonIsAsTheManualGivesIt) {
  const Ran ran = Queues({"team-b", "-f", file_, "--until", "1m", "-o", "json"});
  ASSERT_EQ(ran.exit, 0) << ran.err;
  Json all = Json::parse(ran.out);
  ASSERT_EQ(all["queues"].size(), 1u);
  Json& pending = all["queues"][0]["status"]["pending"][0];
  EXPECT_THAT(pending["estimatedStart"].get<std::string>(), HasSubstr("T"));
  pending.erase("estimatedStart");
  EXPECT_EQ(all.dump(),
            R"({"queues":[{"name":"team-b","parent":"research","weight":1,"order":"StrictFIFO","stopPolicy":"None",)"
            R"("resources":[{"name":"cpu","flavor":"","nominalQuota":"4","borrowingLimit":null,"lendingLimit":"0"}],)"
            R"("status":{"conditions":[{"message":"","observedGeneration":1,"reason":"Ready","status":"True",)"
            R"("type":"Ready"}],"pending":[{"assumption":"running pods end when they say, and nobody else takes what )"
            R"(they leave","group":"team-b/job-2","pods":1,"position":1,"waitingFor":"queue \"team-b\" has no room: )"
            R"(cpu asks for 2, available 0, used 4 of 4"}],"pendingGroups":1,"pendingPods":1,"runningPods":2,)"
            R"("share":"0","usage":[{"borrowed":"0","resource":"cpu","used":"4"}]}}]})");
}

TEST_F(QueueCommandTest, SimulateNamesTheQueueOfEachPod) {
  const Ran ran = Simulate({"-f", file_, "--until", "1m", "-o", "json"});
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const Json all = Json::parse(ran.out);
  for (const Json& pod : all["pods"]) EXPECT_EQ(pod["queue"], pod["namespace"]);
  const Json& waits = all["pods"][2];
  EXPECT_EQ(waits["name"], "web-2");
  EXPECT_EQ(waits["reasons"][0]["plugin"], "Quota");
  EXPECT_THAT(waits["reasons"][0]["message"].get<std::string>(), HasSubstr("; position 1 of 1; estimated start"));
  EXPECT_THAT(Simulate({"-f", file_, "--until", "1m"}).out, HasSubstr("\nQueues, at the end\nNAME      PARENT "));
}

TEST_F(QueueCommandTest, ExitCodes) {
  const struct {
    std::vector<std::string> args;
    int exit;
    const char* err;
  } rows[] = {
      {{"nobody", "-f", file_}, 1, "muster: there is no queue \"nobody\"\n"},
      {{"a", "b", "-f", file_}, 2, "unexpected argument \"b\""},
      {{"-f", Path("absent.yaml")}, 2, "absent.yaml"},
      {{"--until", "1m"}, 2, "--config, --seed and --until need -f"},
      {{"-f", file_, "--kubeconfig", "x"}, 2, "-f needs no --kubeconfig or --context"},
      {{"--kubeconfig", Path("absent")}, 2, "absent"},
      {{"-o", "yaml"}, 2, "must be one of table, json"},
  };
  for (const auto& row : rows) {
    const Ran ran = Queues(row.args);
    EXPECT_EQ(ran.exit, row.exit) << row.args[0];
    EXPECT_THAT(ran.err, HasSubstr(row.err));
    EXPECT_EQ(ran.out, "");
  }
}

TEST_F(QueueCommandTest, AClusterThatDoesNotAnswerIsAnError) {
  const std::string config = Write("kubeconfig", R"(
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://127.0.0.1:9"}}]
users: [{name: u, user: {token: t}}]
)");
  const Ran ran = Queues({"--kubeconfig", config});
  EXPECT_EQ(ran.exit, 1);
  EXPECT_THAT(ran.err, HasSubstr("GET /apis/muster.dev/v1alpha1/queues"));
}

}  // namespace
}  // namespace muster
