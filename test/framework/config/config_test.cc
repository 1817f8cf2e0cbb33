#include "scheduler/framework/config/config.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "scheduler/framework/config/configz.h"
#include "scheduler/runtime/random.h"

namespace muster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// ---- A registry of plugins that do nothing but implement their extension points ------------------
struct Sort : QueueSortPlugin {
  std::string_view Name() const override { return "Sort"; }
  bool Less(const QueueKey&, const QueueKey&) const override { return false; }
};
struct Binder : BindPlugin {
  std::string_view Name() const override { return "Binder"; }
  Outcome Bind(const PodInfo&, NodeIndex, std::vector<Intent>&) const override { return Outcome::Success(); }
};
struct Filters : virtual FilterPlugin {
  std::string_view Name() const override { return "Filters"; }
  absl::Status Filter(const PodInfo&, const Snapshot&, const CycleState&, Feasible&) const override {
    return absl::OkStatus();
  }
};
struct Scores : virtual ScorePlugin {
  std::string_view Name() const override { return "Scores"; }
  absl::Status Score(const PodInfo&, const Snapshot&, const CycleState&, const NodeSet&, WordRange,
                     int64_t*) const override {
    return absl::OkStatus();
  }
};
struct FiltersAndScores : Filters, Scores {
  std::string_view Name() const override { return "FiltersAndScores"; }
};

template <typename T>
absl::StatusOr<std::unique_ptr<Plugin>> Make(const PluginArgs&) {
  return std::make_unique<T>();
}

// As the real one does: checks what only the plugin understands.
absl::StatusOr<std::unique_ptr<Plugin>> MakeAffinity(const PluginArgs& args) {
  for (const auto& term : std::get<NodeAffinityArgs>(args).added_affinity.required) {
    for (const auto& requirement : term.expressions) {
      if (requirement.op == Operator::kInvalid)
        return absl::InvalidArgumentError(
            "addedAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0]"
            ".operator: Unsupported value");
    }
  }
  return std::make_unique<FiltersAndScores>();
}

Registry TestRegistry() {
  Registry registry;
  registry.Add({"PrioritySort", Make<Sort>, {}, 0});
  registry.Add({"NodeName", Make<Filters>, {}, 0});
  registry.Add({"TaintToleration", Make<FiltersAndScores>, {}, 3});
  registry.Add({"NodeAffinity", MakeAffinity, NodeAffinityArgs(), 2});
  registry.Add({"NodeResourcesFit", Make<FiltersAndScores>, NodeResourcesFitArgs(), 1});
  registry.Add({"NodeResourcesBalancedAllocation", Make<Scores>, NodeResourcesBalancedAllocationArgs(), 1});
  registry.Add({"DefaultBinder", Make<Binder>, {}, 0});
  registry.AddMissing("InterPodAffinity");
  registry.AddMissing("DefaultPreemption");
  return registry;
}

constexpr char kHead[] = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n";
constexpr char kMusterHead[] = "---\napiVersion: muster.dev/v1alpha1\nkind: MusterConfiguration\n";

absl::StatusOr<Configuration> Parse(const std::string& text) { return ParseConfiguration(text, "f", TestRegistry()); }

std::string Message(const absl::StatusOr<Configuration>& config) { return std::string(config.status().message()); }

std::string Text(const std::vector<PluginUse>& uses) {
  return absl::StrJoin(uses, " ", [](std::string* out, const PluginUse& use) {
    absl::StrAppend(out, use.name);
    if (use.weight != 0) absl::StrAppend(out, "*", use.weight);
  });
}

// ---- What a good file says -----------------------------------------------------------------------
TEST(Config, DefaultsAreTheRegistrys) {
  for (const Configuration& config : {DefaultConfiguration(TestRegistry()), *Parse(kHead)}) {
    ASSERT_EQ(config.profiles.size(), 1u);
    const ProfileConfig& profile = config.profiles[0];
    EXPECT_EQ(profile.scheduler_name, "muster");
    EXPECT_EQ(Text(profile.At(Point::kQueueSort)), "PrioritySort");
    EXPECT_EQ(Text(profile.At(Point::kFilter)), "NodeName TaintToleration NodeAffinity NodeResourcesFit");
    EXPECT_EQ(Text(profile.At(Point::kScore)),
              "TaintToleration*3 NodeAffinity*2 NodeResourcesFit*1 NodeResourcesBalancedAllocation*1");
    EXPECT_EQ(Text(profile.At(Point::kBind)), "DefaultBinder");
    EXPECT_EQ(profile.args.size(), 7u);
    EXPECT_EQ(config.leader_election.resource_name, "muster");
    EXPECT_FALSE(config.client.qps.has_value());
    EXPECT_EQ(config.muster.binds_in_flight, 128);
    EXPECT_FALSE(config.muster.threads.has_value());
    EXPECT_TRUE(config.notices.empty());
  }
}

TEST(Config, ReadsEveryField) {
  const auto config = Parse(absl::StrCat(kHead, R"(parallelism: 4
leaderElection: {leaderElect: false, leaseDuration: 1m30s, renewDeadline: 20s, retryPeriod: 500ms, resourceLock: leases,
  resourceName: m, resourceNamespace: n}
clientConnection: {kubeconfig: /k, contentType: application/vnd.kubernetes.protobuf, acceptContentTypes: "", qps: 1.5,
  burst: 7}
enableProfiling: false
enableContentionProfiling: false
percentageOfNodesToScore: 50
podInitialBackoffSeconds: 2
podMaxBackoffSeconds: 30
extenders: []
delayCacheUntilActive: true
profiles:
- schedulerName: a
  percentageOfNodesToScore: 0
  pluginConfig:
  - name: NodeResourcesFit
    args:
      apiVersion: kubescheduler.config.k8s.io/v1
      kind: NodeResourcesFitArgs
      ignoredResources: [example.com/x, y]
      ignoredResourceGroups: [example.org]
      scoringStrategy:
        type: RequestedToCapacityRatio
        resources: [{name: cpu, weight: 3}, {name: nvidia.com/gpu}]
        requestedToCapacityRatio: {shape: [{utilization: 0, score: 0}, {utilization: 100, score: 10}]}
  - name: NodeResourcesBalancedAllocation
    args: {resources: [{name: nvidia.com/gpu}, {name: cpu, weight: 1}]}
  - name: NodeAffinity
    args:
      addedAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
          nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: In, values: [a, b]}]}]
        preferredDuringSchedulingIgnoredDuringExecution:
        - {weight: 5, preference: {matchFields: [{key: metadata.name, operator: NotIn, values: [n1]}]}}
  - name: NodeName
- schedulerName: b
)",
                                         kMusterHead, R"(bindsInFlight: 9
threads: 2
seed: 18446744073709551615
podMaxInUnschedulablePodsDuration: 10m
assumeExpiry: 5s
defaultQueue: team-a
deviceChoice: FirstFit
deviceGroups: [resource.kubernetes.io/pcieRoot, gpu.example.com/nvlinkGroup]
)"));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->parallelism, 4);
  const LeaderElectionConfig& leader = config->leader_election;
  EXPECT_FALSE(leader.leader_elect);
  EXPECT_EQ(leader.lease_duration, absl::Seconds(90));
  EXPECT_EQ(leader.renew_deadline, absl::Seconds(20));
  EXPECT_EQ(leader.retry_period, absl::Milliseconds(500));
  EXPECT_EQ(leader.resource_name + " " + leader.resource_namespace, "m n");
  EXPECT_EQ(config->client.kubeconfig, "/k");
  EXPECT_EQ(config->client.qps, 1.5);
  EXPECT_EQ(config->client.burst, 7);
  EXPECT_EQ(config->initial_backoff, absl::Seconds(2));
  EXPECT_EQ(config->max_backoff, absl::Seconds(30));
  EXPECT_TRUE(config->delay_cache_until_active);
  EXPECT_THAT(config->notices, ElementsAre(StartsWith("percentageOfNodesToScore has no effect")));
  EXPECT_EQ(config->muster.binds_in_flight, 9);
  EXPECT_EQ(config->muster.threads, 2);
  EXPECT_EQ(config->muster.seed, UINT64_MAX);
  EXPECT_EQ(config->muster.pod_max_in_unschedulable_pods, absl::Minutes(10));
  EXPECT_EQ(config->muster.assume_expiry, absl::Seconds(5));
  EXPECT_EQ(config->muster.default_queue, "team-a");
  EXPECT_TRUE(config->muster.devices_first_fit);
  EXPECT_THAT(config->muster.device_groups,
              ElementsAre("resource.kubernetes.io/pcieRoot", "gpu.example.com/nvlinkGroup"));

  ASSERT_EQ(config->profiles.size(), 2u);
  EXPECT_EQ(config->profiles[1].scheduler_name, "b");
  const auto& args = config->profiles[0].args;
  const auto& fit = std::get<NodeResourcesFitArgs>(args.at("NodeResourcesFit"));
  EXPECT_THAT(fit.ignored_resources, ElementsAre("example.com/x", "y"));
  EXPECT_THAT(fit.ignored_resource_groups, ElementsAre("example.org"));
  EXPECT_EQ(fit.scoring_strategy.type, ScoringStrategy::Type::kRequestedToCapacityRatio);
  ASSERT_EQ(fit.scoring_strategy.resources.size(), 2u);
  EXPECT_EQ(fit.scoring_strategy.resources[0].weight, 3);
  EXPECT_EQ(fit.scoring_strategy.resources[1].name, "nvidia.com/gpu");
  EXPECT_EQ(fit.scoring_strategy.resources[1].weight, 1);
  ASSERT_EQ(fit.scoring_strategy.shape.size(), 2u);
  EXPECT_EQ(fit.scoring_strategy.shape[1].score, 10);
  const auto& balanced = std::get<NodeResourcesBalancedAllocationArgs>(args.at("NodeResourcesBalancedAllocation"));
  EXPECT_EQ(balanced.resources[0].name, "nvidia.com/gpu");
  const NodeAffinity& affinity = std::get<NodeAffinityArgs>(args.at("NodeAffinity")).added_affinity;
  EXPECT_TRUE(affinity.has_required);
  EXPECT_EQ(affinity.required.at(0).expressions.at(0), (Requirement{"zone", Operator::kIn, {"a", "b"}, "In"}));
  EXPECT_EQ(affinity.preferred.at(0).weight, 5);
  EXPECT_EQ(affinity.preferred.at(0).term.fields.at(0).op, Operator::kNotIn);

  // And /configz tells it so that it can be read back.
  const nlohmann::json configz = nlohmann::json::parse(ConfigzJson(*config));
  EXPECT_EQ(configz["musterconfig"]["defaultQueue"], "team-a");
  const auto again = Parse(configz["componentconfig"].dump() + "\n---\n" + configz["musterconfig"].dump());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(ConfigzJson(*again), ConfigzJson(*config));
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(again->profiles[i].points, config->profiles[i].points);
}

TEST(Config, OrdersPluginsAsKubeSchedulerDoes) {
  const struct {
    const char* plugins;
    Point point;
    const char* want;
  } kRows[] = {
      {"{filter: {disabled: [{name: NodeName}]}}", Point::kFilter, "TaintToleration NodeAffinity NodeResourcesFit"},
      {"{filter: {disabled: [{name: '*'}]}}", Point::kFilter, ""},
      {"{filter: {disabled: [{name: '*'}], enabled: [{name: NodeResourcesFit}, {name: NodeName}]}}", Point::kFilter,
       "NodeResourcesFit NodeName"},
      // Enabled here and by multiPoint: first, in the order given here.
      {"{filter: {enabled: [{name: NodeResourcesFit}, {name: TaintToleration}]}}", Point::kFilter,
       "NodeResourcesFit TaintToleration NodeName NodeAffinity"},
      {"{score: {enabled: [{name: NodeAffinity, weight: 9}]}}", Point::kScore,
       "NodeAffinity*9 TaintToleration*3 NodeResourcesFit*1 NodeResourcesBalancedAllocation*1"},
      // Named without a weight: 1, not the default profile's.
      {"{score: {enabled: [{name: NodeAffinity}]}}", Point::kScore,
       "NodeAffinity*1 TaintToleration*3 NodeResourcesFit*1 NodeResourcesBalancedAllocation*1"},
      {"{score: {enabled: [{name: NodeAffinity, weight: 0}], disabled: [{name: '*'}]}}", Point::kScore,
       "NodeAffinity*1"},
      // Disabled for multiPoint but enabled here: last.
      {"{score: {enabled: [{name: TaintToleration, weight: 2}], disabled: [{name: TaintToleration}]}}", Point::kScore,
       "NodeAffinity*2 NodeResourcesFit*1 NodeResourcesBalancedAllocation*1 TaintToleration*2"},
      // A default re-configured in multiPoint keeps its place.
      {"{multiPoint: {enabled: [{name: NodeAffinity, weight: 7}]}}", Point::kScore,
       "TaintToleration*3 NodeAffinity*7 NodeResourcesFit*1 NodeResourcesBalancedAllocation*1"},
      {"{multiPoint: {disabled: [{name: TaintToleration}]}}", Point::kFilter, "NodeName NodeAffinity NodeResourcesFit"},
      // Disabled and enabled: at the end.
      {"{multiPoint: {disabled: [{name: TaintToleration}], enabled: [{name: TaintToleration, weight: 4}]}}",
       Point::kScore, "NodeAffinity*2 NodeResourcesFit*1 NodeResourcesBalancedAllocation*1 TaintToleration*4"},
      {"{multiPoint: {disabled: [{name: '*'}], enabled: [{name: NodeResourcesFit}, {name: DefaultBinder}, "
       "{name: PrioritySort}, {name: NodeName}]}}",
       Point::kFilter, "NodeResourcesFit NodeName"},
      // A weight at a point where nothing is scored says nothing.
      {"{filter: {enabled: [{name: NodeName, weight: 5}]}}", Point::kFilter,
       "NodeName TaintToleration NodeAffinity NodeResourcesFit"},
      // What this build lacks may be disabled.
      {"{multiPoint: {disabled: [{name: InterPodAffinity}]}, podGroupPostFilter: {disabled: [{name: '*'}]}}",
       Point::kBind, "DefaultBinder"},
  };
  for (const auto& row : kRows) {
    const auto config = Parse(absl::StrCat(kHead, "profiles: [{plugins: ", row.plugins, "}]"));
    ASSERT_TRUE(config.ok()) << row.plugins << ": " << config.status();
    EXPECT_EQ(Text(config->profiles[0].At(row.point)), row.want) << row.plugins;
  }
}

// ---- What is wrong with a bad one ----------------------------------------------------------------
TEST(Config, SaysWhatIsWrongAndWhere) {
  const struct {
    const char* text;  // after the head's two lines
    const char* want;  // after "f:"
  } kRows[] = {
      {"foo: 1", "3: foo: unknown field"},
      {"foo:\n  bar: 1", "3: foo: unknown field"},
      {"parallelism: 1\nparallelism: 2", "4: parallelism: is given twice"},
      {"parallelism: 0", "3: parallelism: 0 is not greater than zero"},
      {"parallelism: many", "3: parallelism: must be an integer, not a string"},
      {"parallelism: '4'", "3: parallelism: must be an integer, not a string"},
      {"parallelism: 1.5", "3: parallelism: must be an integer, not 1.5"},
      {"parallelism: 3000000000", "3: parallelism: 3000000000 is out of range (-2147483648 to 2147483647)"},
      {"percentageOfNodesToScore: 101", "3: percentageOfNodesToScore: 101 is not in the range 0 to 100"},
      {"podInitialBackoffSeconds: 0", "3: podInitialBackoffSeconds: 0 is not in the range 1 to 9223372036"},
      {"podInitialBackoffSeconds: 20", "1: podMaxBackoffSeconds: 10 is not in the range 20 "},
      {"delayCacheUntilActive: 1", "3: delayCacheUntilActive: must be true or false, not a number"},
      {"extenders: [{urlPrefix: http://x}]", "3: extenders: Muster calls no extenders"},
      {"leaderElection: x", "3: leaderElection: must be an object, not a string"},
      {"leaderElection:\n  leaseDuration: 15", "4: leaderElection.leaseDuration: must be a string, not a number"},
      {"leaderElection:\n  retryPeriod: soon",
       "4: leaderElection.retryPeriod: \"soon\" is not a duration such as 15s, 1m30s or 500ms"},
      {"leaderElection:\n  retryPeriod: inf", "4: leaderElection.retryPeriod: \"inf\" is not a duration"},
      {"leaderElection:\n  retryPeriod: -1s", "4: leaderElection.retryPeriod: must be greater than zero"},
      {"leaderElection:\n  leaseDuration: 10s",
       "4: leaderElection.leaseDuration: must be greater than renewDeadline, which is 10s"},
      {"leaderElection:\n  retryPeriod: 9s",
       "leaderElection.renewDeadline: must be greater than 1.2 times retryPeriod"},
      {"leaderElection:\n  resourceLock: endpoints", "4: leaderElection.resourceLock: must be leases"},
      {"clientConnection:\n  contentType: application/json", "4: clientConnection.contentType: Muster speaks "},
      {"clientConnection:\n  burst: -1", "4: clientConnection.burst: -1 is negative"},
      {"clientConnection:\n  qps: fast", "4: clientConnection.qps: must be a number, not a string"},
      {"clientConnection:\n  kubeconfig: 7",
       "4: clientConnection.kubeconfig: must be a string, not a number (quote it)"},
      {"profiles: {}", "3: profiles: must be a list, not an object"},
      {"profiles: [null]", "3: profiles[0]: must not be null"},
      {"profiles:\n- schedulerName: a\n- schedulerName: b\n- schedulerName: a",
       "6: profiles[2]: has the schedulerName \"a\" of profiles[0]"},
      {"profiles:\n- schedulerName: a\n- plugins: {}", "5: profiles[1]: must have a schedulerName"},
      {"profiles:\n- plugins:\n    filter:\n      enabled:\n      - name: NodeNam",
       "7: profiles[0].plugins.filter.enabled[0]: there is no plugin \"NodeNam\""},
      {"profiles:\n- plugins:\n    filtre: {}", "5: profiles[0].plugins.filtre: unknown field"},
      {"profiles:\n- plugins:\n    multiPoint:\n      enabled:\n      - name: InterPodAffinity",
       "7: profiles[0].plugins.multiPoint.enabled[0]: plugin InterPodAffinity is part of kube-scheduler but not of "
       "this "
       "build of Muster"},
      {"profiles:\n- plugins:\n    filter:\n      disabled:\n      - name: Nope",
       "7: profiles[0].plugins.filter.disabled[0]: there is no plugin \"Nope\""},
      {"profiles:\n- plugins:\n    bind:\n      enabled:\n      - name: NodeName",
       "7: profiles[0].plugins.bind.enabled[0]: plugin NodeName has nothing to do at bind"},
      {"profiles:\n- plugins:\n    filter:\n      enabled:\n      - name: NodeName\n      - name: NodeName",
       "8: profiles[0].plugins.filter.enabled[1]: plugin NodeName is enabled twice"},
      {"profiles:\n- plugins:\n    score:\n      enabled:\n      - name: NodeAffinity\n        weight: -1",
       "8: profiles[0].plugins.score.enabled[0].weight: -1 is negative"},
      {"profiles:\n- plugins: {podGroupPostFilter: {enabled: [{name: NodeName}]}}",
       "4: profiles[0].plugins.podGroupPostFilter: Muster has no such extension point"},
      {"profiles:\n- plugins: {queueSort: {disabled: [{name: '*'}]}}",
       "4: profiles[0]: profile \"muster\" must have one queueSort plugin, but has none"},
      {"profiles:\n- plugins: {bind: {disabled: [{name: '*'}]}}",
       "4: profiles[0]: profile \"muster\" must have a bind plugin, but has none"},
      {"profiles:\n- pluginConfig: [{args: {}}]", "4: profiles[0].pluginConfig[0].name: must name a plugin"},
      {"profiles:\n- pluginConfig:\n  - name: NodeName\n  - name: NodeName",
       "6: profiles[0].pluginConfig[1]: plugin NodeName is configured twice"},
      {"profiles:\n- pluginConfig:\n  - name: InterPodAffinity\n    args: {hardPodAffinityWeight: 1}",
       "5: profiles[0].pluginConfig[0]: plugin InterPodAffinity is part of kube-scheduler but not of this build"},
      {"profiles:\n- pluginConfig:\n  - name: NodeName\n    args: {x: 1}",
       "6: profiles[0].pluginConfig[0].args: plugin NodeName takes no arguments"},
  };
  for (const auto& row : kRows) {
    const auto config = Parse(absl::StrCat(kHead, row.text));
    EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument) << row.text;
    EXPECT_THAT(Message(config), HasSubstr(row.want)) << row.text;
    EXPECT_THAT(Message(config), StartsWith("f:")) << row.text;
    EXPECT_EQ(Message(config).find('\n'), std::string::npos) << Message(config);
  }
}

TEST(Config, SaysWhatIsWrongWithArguments) {
  const struct {
    const char* plugin;
    const char* args;  // from line 6 on
    const char* want;  // after "profiles[0].pluginConfig[0].args"
  } kRows[] = {
      {"NodeResourcesFit", "foo: 1", "6: .foo: unknown field"},
      {"NodeResourcesFit", "kind: NodeAffinityArgs", "6: .kind: must be NodeResourcesFitArgs"},
      {"NodeResourcesFit", "apiVersion: v1", "6: .apiVersion: must be kubescheduler.config.k8s.io/v1"},
      {"NodeResourcesFit", "ignoredResources: [a, 'b c']", "6: .ignoredResources: \"b c\" is not a resource name"},
      {"NodeResourcesFit", "ignoredResources: a", "6: .ignoredResources: must be a list, not a string"},
      {"NodeResourcesFit", "ignoredResourceGroups: [a/b]",
       "6: .ignoredResourceGroups: \"a/b\" is not a resource group"},
      {"NodeResourcesFit", "scoringStrategy: {type: Best}", "6: .scoringStrategy.type: must be LeastAllocated, "},
      {"NodeResourcesFit", "scoringStrategy: {resources: []}", "6: .scoringStrategy.type: must be LeastAllocated, "},
      {"NodeResourcesFit", "scoringStrategy: {type: LeastAllocated, resources: [{name: cpu, weight: 101}]}",
       "6: .scoringStrategy.resources[0].weight: 101 is not in the range 1 to 100"},
      {"NodeResourcesFit", "scoringStrategy: {type: LeastAllocated, resources: [{weight: 1}]}",
       "6: .scoringStrategy.resources[0].name: must name a resource"},
      {"NodeResourcesFit", "scoringStrategy: {type: LeastAllocated, requestedToCapacityRatio: {}}",
       "6: .scoringStrategy.requestedToCapacityRatio: must be left out unless"},
      {"NodeResourcesFit", "scoringStrategy: {type: RequestedToCapacityRatio}",
       "6: .scoringStrategy.requestedToCapacityRatio: is needed where"},
      {"NodeResourcesFit", "scoringStrategy: {type: RequestedToCapacityRatio, requestedToCapacityRatio: {shape: []}}",
       "6: .scoringStrategy.requestedToCapacityRatio.shape: must have at least one point"},
      {"NodeResourcesFit",
       "scoringStrategy:\n  type: RequestedToCapacityRatio\n  requestedToCapacityRatio:\n    shape:\n"
       "    - {utilization: 9, score: 1}\n    - {utilization: 9, score: 1}",
       "11: .scoringStrategy.requestedToCapacityRatio.shape[1].utilization: must be larger than that of the point "
       "before"},
      {"NodeResourcesFit",
       "scoringStrategy:\n  type: RequestedToCapacityRatio\n  requestedToCapacityRatio:\n    shape:\n"
       "    - {utilization: 101, score: 11}",
       "10: .scoringStrategy.requestedToCapacityRatio.shape[0].utilization: 101 is not in the range 0 to 100"},
      {"NodeResourcesBalancedAllocation", "resources: [{name: cpu, weight: 2}]", "6: .resources[0].weight: must be 1"},
      {"NodeResourcesBalancedAllocation", "resources: [{name: cpu}, {name: cpu}]",
       "6: .resources: names \"cpu\" twice"},
      {"NodeAffinity", "addedAffinity: {podAffinity: {}}", "6: .addedAffinity.podAffinity: unknown field"},
      {"NodeAffinity", "addedAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {}}",
       "6: .addedAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: must be given"},
      {"NodeAffinity", "addedAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1}]}",
       "6: .addedAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference: must be given"},
      // The plugin's own complaint, at the line which it is about.
      {"NodeAffinity",
       "addedAffinity:\n  requiredDuringSchedulingIgnoredDuringExecution:\n    nodeSelectorTerms:\n"
       "    - matchExpressions:\n      - key: a\n        operator: Sometimes",
       "11: : plugin NodeAffinity: addedAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]"
       ".matchExpressions[0].operator: Unsupported value"},
  };
  for (const auto& row : kRows) {
    const std::string args = absl::StrReplaceAll(row.args, {{"\n", "\n      "}});
    const auto config = Parse(
        absl::StrCat(kHead, "profiles:\n- pluginConfig:\n  - args:\n      ", args, "\n    name: ", row.plugin, "\n"));
    std::string want = row.want;
    want.replace(want.find(": ") + 2, 0, "profiles[0].pluginConfig[0].args");
    EXPECT_THAT(Message(config), HasSubstr(absl::StrCat("f:", want))) << row.args;
  }
}

TEST(Config, RefusesWrongDocuments) {
  const struct {
    std::string text;
    const char* want;
  } kRows[] = {
      {"", "f:1: the file is empty"},
      {"---\n---\n", "f:1: the file is empty"},
      {"a: [", "f:1: not YAML: "},
      {"a: 1\n b: 2\n", "f:2: not YAML: "},
      {",", "f:1: not YAML: text after the end of a document"},
      {"{a: 1} b", "f:1: not YAML: text after the end of a document"},
      {"- 1", "f:1: must be an object, not a list"},
      {"kind: KubeSchedulerConfiguration", "f:1: apiVersion: must be kubescheduler.config.k8s.io/v1 in this document"},
      {"kind: KubeSchedulerConfiguration\napiVersion: kubescheduler.config.k8s.io/v1beta3",
       "f:2: apiVersion: must be kubescheduler.config.k8s.io/v1 in this document"},
      {"apiVersion: kubescheduler.config.k8s.io/v1\nkind: Pod",
       "f:2: kind: must be KubeSchedulerConfiguration in this"},
      {absl::StrCat(kHead, kHead), "f:3: apiVersion: is given twice"},
      {absl::StrCat(kHead, "---\n", kHead), "f:4: apiVersion: must be muster.dev/v1alpha1 in this document"},
      {absl::StrCat(kHead, kMusterHead, kMusterHead), "f:7: there may only be two documents"},
      {absl::StrCat(kHead, kMusterHead, "bindsInFlight: 0"), "f:6: bindsInFlight: 0 is not in the range 1 to 10000"},
      {absl::StrCat(kHead, kMusterHead, "threads: 0"), "f:6: threads: 0 is not in the range 1 to 1024"},
      {absl::StrCat(kHead, kMusterHead, "seed: -1"), "f:6: seed: must be an integer from 0 to 18446744073709551615"},
      {absl::StrCat(kHead, kMusterHead, "defaultQueue: Team_A"), "f:6: defaultQueue: \"Team_A\" is no Queue's name"},
      {absl::StrCat(kHead, kMusterHead, "assumeExpiry: 0s"), "f:6: assumeExpiry: must be greater than zero"},
      {absl::StrCat(kHead, kMusterHead, "deviceChoice: firstFit"), "f:6: deviceChoice: must be Scored or FirstFit"},
      {absl::StrCat(kHead, kMusterHead, "deviceGroups: pcieRoot"), "f:6: deviceGroups: must be a list"},
      {absl::StrCat(kHead, kMusterHead, "deviceGroups: [a/b, pcieRoot]"),
       "f:6: deviceGroups[1]: \"pcieRoot\" is no fully qualified attribute (DOMAIN/NAME)"},
      {absl::StrCat(kHead, kMusterHead, "deviceGroups: [a/b, a/b]"), "f:6: deviceGroups[1]: \"a/b\" is given twice"},
      {absl::StrCat(kHead, kMusterHead, "deviceGroups: [a/a, a/b, a/c, a/d, a/e, a/f, a/g, a/h, a/i]"),
       "f:6: deviceGroups: must be at most 8"},
      {absl::StrCat(kHead, kMusterHead, "quota: x"), "f:6: quota: unknown field"},
  };
  for (const auto& row : kRows) EXPECT_THAT(Message(Parse(row.text)), StartsWith(row.want)) << row.text;
}

TEST(Config, TellsAllThatIsWrongInTheFilesOrder) {
  const auto config = Parse(absl::StrCat(kHead, "zzz: 1\nprofiles:\n- plugins: {score: {enabled: [{name: X}]}}\n",
                                         "  pluginConfig: [{name: Y}]\nparallelism: -1\n", kMusterHead, "qqq: 1\n"));
  EXPECT_EQ(Message(config),
            "f:3: zzz: unknown field\n"
            "f:5: profiles[0].plugins.score.enabled[0]: there is no plugin \"X\"\n"
            "f:6: profiles[0].pluginConfig[0]: there is no plugin \"Y\"\n"
            "f:7: parallelism: -1 is not greater than zero\n"
            "f:11: qqq: unknown field");
}

TEST(Config, AllProfilesSortTheQueueAlike) {
  Registry registry = TestRegistry();
  registry.Add({"OtherSort", Make<Sort>, {}, 0});
  const auto parse = [&](const char* first, const char* second) {
    return ParseConfiguration(
        absl::StrCat(kHead, "profiles:\n- {schedulerName: a, plugins: {queueSort: {disabled: [{name: ", first,
                     "}]}}}\n- {schedulerName: b, plugins: {queueSort: {disabled: [{name: ", second, "}]}}}\n"),
        "f", registry);
  };
  EXPECT_TRUE(parse("OtherSort", "OtherSort").ok());
  EXPECT_EQ(
      Message(parse("OtherSort", "PrioritySort")),
      "f:5: profiles[1]: has the queueSort plugin OtherSort, but profiles[0] has PrioritySort: it must be the same "
      "in all profiles");
  EXPECT_THAT(Message(ParseConfiguration(kHead, "f", registry)),
              HasSubstr("must have one queueSort plugin, but has PrioritySort, OtherSort"));
}

TEST(Config, ReadsAByteOrderMarkAndJson) {
  EXPECT_TRUE(Parse(absl::StrCat("\xEF\xBB\xBF", kHead, kMusterHead)).ok());
  const auto json = Parse(
      "{\n\t\"apiVersion\": \"kubescheduler.config.k8s.io/v1\",\n"
      "\t\"kind\": \"KubeSchedulerConfiguration\",\n\t\"parallelism\": 3\n}\n");
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ(json->parallelism, 3);
}

TEST(Config, LoadsFiles) {
  const Registry registry = TestRegistry();
  const auto shipped = LoadConfiguration("manifests/config/scheduler.yaml", registry);
  ASSERT_TRUE(shipped.ok()) << shipped.status();
  EXPECT_EQ(shipped->leader_election.resource_namespace, "muster-system");
  EXPECT_EQ(Message(LoadConfiguration("/no/such/file", registry)), "/no/such/file: cannot be read");
  EXPECT_EQ(Message(LoadConfiguration("/", registry)), "/: cannot be read");
}

// ---- Whatever is in the file, it is read or refused, line by line --------------------------------
TEST(Config, BrokenFilesNeverBreakTheReader) {
  const std::string good = absl::StrCat(kHead, R"(leaderElection: &x
  leaseDuration: 15s
profiles:
- schedulerName: a
  plugins:
    multiPoint: {disabled: [{name: "*"}], enabled: [{name: PrioritySort}, {name: DefaultBinder}]}
    score:
      enabled: [{name: NodeAffinity, weight: 3}]
  pluginConfig:
  - name: NodeResourcesFit
    args:
      scoringStrategy: {type: MostAllocated, resources: [{name: cpu, weight: 3}]}
  - name: NodeAffinity
    args: {addedAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}}}
)",
                                        kMusterHead, "seed: 7\nassumeExpiry: 5s\ndefaultQueue: team-a\n");
  ASSERT_TRUE(Parse(good).ok()) << Parse(good).status();
  constexpr uint64_t kSeed = 20260727;
  SCOPED_TRACE(absl::StrCat("seed ", kSeed));
  constexpr char kPieces[] = "{}[]:,-*&?|>'\"#!%@\n\t ~0a\x80\xff";
  Random random(kSeed);
  int refused = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string text = good;
    for (uint64_t edits = 1 + random.Below(4); edits > 0; --edits) {
      const size_t at = random.Below(text.size());
      switch (random.Below(4)) {
        case 0: text.erase(at, 1 + random.Below(20)); break;
        case 1: text[at] = kPieces[random.Below(sizeof kPieces - 1)]; break;
        case 2: text.insert(at, 1, kPieces[random.Below(sizeof kPieces - 1)]); break;
        case 3: text.insert(at, text.substr(random.Below(text.size()), random.Below(40))); break;
      }
      if (text.empty()) text = "x";
    }
    const auto config = Parse(text);
    if (config.ok()) continue;
    ++refused;
    ASSERT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument) << text;
    ASSERT_THAT(Message(config), StartsWith("f:")) << text;
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace muster
