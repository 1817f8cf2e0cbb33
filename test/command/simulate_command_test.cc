#include <algorithm>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "nlohmann/json.hpp"
#include "test/command/cli.h"

namespace muster {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

constexpr char kNodes[] = R"(
apiVersion: v1
kind: Node
metadata: {name: n1}
status: {allocatable: {cpu: "2", memory: 4Gi, pods: "10"}}
---
apiVersion: v1
kind: Node
metadata: {name: n2}
status: {allocatable: {cpu: "2", memory: 4Gi, pods: "10", nvidia.com/gpu: "1"}}
---
)";

std::string PodYaml(const std::string& name, const std::string& requests, const std::string& more = "") {
  return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", namespace: team}\nspec:\n" + more +
         "  containers: [{name: c, image: i, resources: {requests: {" + requests + "}}}]\n---\n";
}

std::vector<std::string> Keys(const Json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;
}

class SimulateCommandTest : public CliTest {};

TEST_F(SimulateCommandTest, JsonIsAsTheManualGivesIt) {
  const std::string file = Write("all.yaml", kNodes + PodYaml("a", "cpu: 500m") + PodYaml("big", "cpu: \"3\"") +
                                                 PodYaml("theirs", "cpu: 1", "  schedulerName: other\n") +
                                                 PodYaml("gated", "cpu: 1", "  schedulingGates: [{name: g}]\n"));
  const Ran ran = Simulate({"-f", file, "-o", "json"});
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const Json all = Json::parse(ran.out);
  EXPECT_THAT(Keys(all), ElementsAre("pods", "summary", "log_hash", "unseed"));
  ASSERT_EQ(all["pods"].size(), 4u);
  for (const Json& pod : all["pods"]) {
    EXPECT_THAT(Keys(pod), ElementsAre("namespace", "name", "node", "result", "group", "queue", "devices", "reasons"));
    EXPECT_EQ(pod["namespace"], "team");
  }
  const Json &a = all["pods"][0], &big = all["pods"][1], &gated = all["pods"][2], &theirs = all["pods"][3];
  EXPECT_EQ(a["name"], "a");
  EXPECT_EQ(a["result"], "bound");
  EXPECT_THAT(a["node"].get<std::string>(), ContainsRegex("^n[12]$"));
  EXPECT_TRUE(a["reasons"].empty());
  EXPECT_EQ(big["result"], "pending");
  EXPECT_EQ(big["node"], "");
  EXPECT_EQ(big["reasons"].dump(), R"([{"plugin":"NodeResourcesFit","message":"Insufficient cpu","nodes":2}])");
  EXPECT_EQ(gated["reasons"][0]["plugin"], "SchedulingGates");
  EXPECT_EQ(theirs["result"], "pending");
  EXPECT_THAT(theirs["reasons"][0]["message"].get<std::string>(), HasSubstr("\"other\""));
  EXPECT_EQ(all["summary"]["bound"], 1);
  EXPECT_EQ(all["summary"]["pending"], 3);
  EXPECT_THAT(all["log_hash"].get<std::string>(), ContainsRegex("^[0-9a-f]+$"));
}

TEST_F(SimulateCommandTest, GroupsAreWholeAndNamed) {
  const auto gang = [](const std::string& name, int i, int size) {
    std::string pod = PodYaml(name + std::to_string(i), "cpu: 1");
    const std::string labels = "namespace: team, labels: {muster.dev/gang: " + name + ", muster.dev/gang-size: \"" +
                               std::to_string(size) + "\"}";
    return pod.replace(pod.find("namespace: team"), 15, labels);
  };
  std::string text = kNodes;
  for (int i = 0; i < 5; ++i) text += gang("big", i, 5);
  for (int i = 0; i < 4; ++i) text += gang("fits", i, 4);
  text += gang("lacks", 0, 2);
  const Ran ran = Simulate({"-f", Write("all.yaml", text), "-o", "json"});
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const Json answer = Json::parse(ran.out);
  for (const Json& pod : answer["pods"]) {
    const std::string name = pod["name"], group = pod["group"];
    EXPECT_EQ(name.substr(0, name.size() - 1), group);
    EXPECT_EQ(pod["result"], group == "fits" ? "bound" : "pending") << name;
    EXPECT_EQ(pod["reasons"].empty(), group == "fits") << name;
    if (group != "lacks") continue;
    EXPECT_THAT(pod["reasons"][0]["message"].get<std::string>(), HasSubstr("waiting for minCount pods from a gang"));
  }
}

TEST_F(SimulateCommandTest, SameArgumentsSameOutputAtAnyNumberOfThreads) {
  std::string text = kNodes;
  for (int i = 0; i < 30; ++i) text += PodYaml("p" + std::to_string(i), "cpu: 100m");
  const std::string file = Write("all.yaml", text);
  const Ran one = Simulate({"-f", file, "-o", "json", "--seed", "3"});
  EXPECT_EQ(one.out, Simulate({"-f", file, "-o", "json", "--seed", "3"}).out);
  EXPECT_EQ(one.out, Simulate({"-f", file, "-o", "json", "--seed", "3", "--threads", "4"}).out);
  EXPECT_NE(one.out, Simulate({"-f", file, "-o", "json", "--seed", "4"}).out);
}

TEST_F(SimulateCommandTest, PodsThatNameNoSchedulerGoToTheConfigurationsProfile) {
  const std::string config = Write("config.yaml",
                                   "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"
                                   "profiles: [{schedulerName: first}, {schedulerName: second}]\n");
  const std::string file = Write("all.yaml", kNodes + PodYaml("a", "cpu: 1") +
                                                 PodYaml("b", "cpu: 1", "  schedulerName: default-scheduler\n") +
                                                 PodYaml("c", "cpu: 1", "  schedulerName: second\n"));
  const Ran ran = Simulate({"--config", config, "-f", file, "-o", "json"});
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(Json::parse(ran.out)["summary"]["bound"], 3);
}

TEST_F(SimulateCommandTest, UntilCutsTheRunShort) {
  const std::string job =
      "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j, namespace: team}\nspec:\n  parallelism: 1\n  completions: "
      "3\n"
      "  template:\n    metadata: {annotations: {muster.dev/run-duration: 1m}}\n"
      "    spec: {containers: [{name: c, image: i, resources: {requests: {cpu: 1}}}]}\n";
  const std::string file = Write("all.yaml", kNodes + job);
  const Json whole = Json::parse(Simulate({"-f", file, "-o", "json"}).out)["summary"];
  EXPECT_EQ(whole["ended"], 3);
  EXPECT_EQ(whole["cut_short"], false);
  EXPECT_NEAR(whole["makespan_seconds"].get<double>(), 181.5, 0.5);  // half a second each to start
  const Json cut = Json::parse(Simulate({"-f", file, "-o", "json", "--until", "90s"}).out)["summary"];
  EXPECT_EQ(cut["ended"], 1);
  EXPECT_EQ(cut["never_created"], 1);
  EXPECT_EQ(cut["cut_short"], true);
}

TEST_F(SimulateCommandTest, DecisionLogHasALineADecision) {
  const std::string file = Write("all.yaml", kNodes + PodYaml("a", "cpu: 1") + PodYaml("b", "cpu: 9"));
  const Ran ran = Simulate({"-f", file, "--decision-log", Path("log")});
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const std::string log = Read(Path("log"));
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 2);
  EXPECT_THAT(log, AllOf(HasSubstr("\"bound\""), HasSubstr("Insufficient cpu")));
}

TEST_F(SimulateCommandTest, PodsThatHadToGoForOthersArePreempted) {
  const std::string text = kNodes + PodYaml("keep", "cpu: 1", "  nodeName: n2\n  priority: 10\n") +
                           PodYaml("low", "cpu: 1", "  nodeName: n1\n") + PodYaml("new", "cpu: 2", "  priority: 9\n");
  const Json all = Json::parse(Simulate({"-f", Write("all.yaml", text), "-o", "json"}).out);
  std::vector<std::string> ends;
  for (const Json& pod : all["pods"])
    ends.push_back(pod["name"].get<std::string>() + " " + pod["result"].get<std::string>() + " " +
                   pod["node"].get<std::string>());
  EXPECT_THAT(ends, ElementsAre("keep bound n2", "low preempted n1", "new bound n1"));
  EXPECT_EQ(all["summary"]["preempted"], 1);
  EXPECT_EQ(all["summary"]["never_created"], 0);
}

TEST_F(SimulateCommandTest, TableShowsAlikePodsInOneRow) {
  std::string text = kNodes;
  for (int i = 0; i < 9; ++i) text += PodYaml("many-" + std::to_string(i), "cpu: 100m");
  text += PodYaml("big", "cpu: 100") + PodYaml("alone", "cpu: 1");
  const Ran ran = Simulate({"-f", Write("all.yaml", text)});
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_THAT(ran.out, ContainsRegex("NAMESPACE +NAME +PODS +NODE +RESULT +REASON\n"));
  EXPECT_THAT(ran.out, ContainsRegex("team +many-\\* +9 +2 nodes +bound\n"));
  EXPECT_THAT(ran.out, ContainsRegex("team +alone +1 +n[12] +bound\n"));
  EXPECT_THAT(ran.out, ContainsRegex("team +big +1 +- +pending +\\[1\\]\n"));
  EXPECT_THAT(ran.out, HasSubstr("  [1] 0/2 nodes are available: 2 Insufficient cpu."));
  EXPECT_THAT(ran.out, ContainsRegex("pods +10 bound \\(0 have ended\\), 1 pending\n"));
  EXPECT_THAT(ran.out, ContainsRegex("log hash +[0-9a-f]+ +unseed [0-9a-f]+\n"));
}

TEST_F(SimulateCommandTest, OfThousandsOfUnlikePodsTheTableShowsThePending) {
  std::string text = kNodes;
  for (int i = 0; i < 300; ++i) text += PodYaml("a" + std::to_string(i) + "x", i % 100 == 0 ? "cpu: 5" : "");
  const Ran ran = Simulate({"-f", Write("all.yaml", text)});
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_LT(std::count(ran.out.begin(), ran.out.end(), '\n'), 340);
  EXPECT_THAT(ran.out, ContainsRegex("team +a200x +1 +- +pending"));
  EXPECT_THAT(ran.out, HasSubstr(" more pods (-o json shows all)"));
}

TEST_F(SimulateCommandTest, TheExampleTellsItsStory) {
  const Ran ran = Simulate({"-f", "manifests/example", "-o", "json"});
  ASSERT_EQ(ran.exit, 0) << ran.err;
  std::vector<std::string> pending;
  const Json all = Json::parse(ran.out);
  for (const Json& pod : all["pods"]) {
    if (pod["result"] == "pending") pending.push_back(pod["name"]);
  }
  EXPECT_THAT(pending, ElementsAre("windows-agent", "notebook", "pretrain", "reindex"));
  EXPECT_EQ(all["summary"]["bound"], 73);
  EXPECT_EQ(all["summary"]["never_created"], 0);
}

TEST_F(SimulateCommandTest, EmptyInputIsNoError) {
  const Ran ran = Simulate({"-f", Write("empty.yaml", "---\n")});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_THAT(ran.out, ContainsRegex("pods +0 bound"));
}

TEST_F(SimulateCommandTest, BadInputIsRefusedWithItsPlace) {
  const std::string good = Write("good.yaml", kNodes);
  const std::string broken = Write("broken.yaml", "kind: Pod\n  metadata: [\n");
  const std::string field =
      Write("field.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containerz: []\n");
  const std::string amount = Write("amount.yaml", kNodes + PodYaml("a", "cpu: \"-1\""));
  const std::string huge = Write("huge.yaml", kNodes + PodYaml("a", "memory: 99999999999Ti"));
  const std::string twice = Write("twice.yaml", PodYaml("a", "cpu: 1") + PodYaml("a", "cpu: 1"));
  const std::string plugin = Write("plugin.yaml",
                                   "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"
                                   "profiles:\n- schedulerName: m\n  plugins:\n    filter:\n      enabled:\n"
                                   "      - name: NoSuchPlugin\n");
  const std::string two = Write("two.yaml",
                                "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"
                                "profiles:\n- schedulerName: m\n- schedulerName: m\n");
  const struct {
    std::vector<std::string> args;
    std::vector<std::string> says;
  } kCases[] = {
      {{}, {"-f FILE|DIR is missing", "usage: muster simulate"}},
      {{"-f", good, "--wat"}, {"unknown flag --wat"}},
      {{"-f", good, "-o", "wide"}, {"-o wide: must be one of table, json"}},
      {{"-f", good, "--until", "soon"}, {"--until soon"}},
      {{"-f", good, "--threads", "0"}, {"--threads 0"}},
      {{"-f", Path("none.yaml")}, {"none.yaml"}},
      {{"-f", broken}, {broken + ":2"}},
      {{"-f", field}, {field + ":5: spec.containerz"}},
      {{"-f", amount}, {amount + ":", "spec.containers[0].resources.requests[cpu]"}},
      {{"-f", huge}, {huge + ":", "spec.containers[0].resources.requests[memory]"}},
      {{"-f", twice}, {twice + ":", "metadata.name"}},
      {{"-f", good, "--config", Path("no-config.yaml")}, {"no-config.yaml"}},
      {{"-f", good, "--config", plugin}, {plugin + ":8: profiles[0].plugins.filter.enabled[0]", "NoSuchPlugin"}},
      {{"-f", good, "--config", two}, {two + ":5: profiles[1]", "schedulerName"}},
      {{"-f", good, "--decision-log", Path("no/such/folder/log")}, {"--decision-log", "no/such/folder/log"}},
  };
  for (const auto& c : kCases) {
    const Ran ran = Simulate(c.args);
    EXPECT_EQ(ran.exit, 2) << testing::PrintToString(c.args);
    EXPECT_EQ(ran.out, "");
    for (const std::string& text : c.says) EXPECT_THAT(ran.err, HasSubstr(text));
  }
}

}  // namespace
}  // namespace muster
