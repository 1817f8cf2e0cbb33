// Groups, topologies and ranks in manifests.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/model/pod_group.h"
#include "scheduler/sim/manifests.h"
#include "test/sim/parse_manifests.h"

namespace muster {
namespace {

using testing::ElementsAre;

// An object from line 1 on; its `rest` begins on line 4.
std::string Object(const std::string& version, const std::string& kind, const std::string& rest) {
  return "apiVersion: " + version + "\nkind: " + kind + "\nmetadata: {name: o}\n" + rest;
}
template <typename T>
const T& Get(const Manifests& manifests, Kind kind) {
  for (const ManifestObject& made : manifests.objects) {
    if (made.kind == kind) return dynamic_cast<const T&>(*made.object);
  }
  ADD_FAILURE() << "no " << KindName(kind);
  static const T* const kNone = new T();
  return *kNone;
}

TEST(ManifestGroups, PodGroupOfEachVersion) {
  for (const std::string version : {"v1beta1", "v1alpha3", "v1alpha2"}) {
    ManifestOptions options;
    options.start = absl::FromUnixSeconds(50);
    const std::string mode = version == "v1alpha2" ? "PodGroup" : "{all: {}}";
    const std::string ref = version == "v1alpha2"
                                ? "podGroupTemplateRef: {workload: {workloadName: w, podGroupTemplateName: t}}"
                                : "workloadRef: {workloadName: w, templateName: t}";
    const Manifests m =
        MustParse(Object("scheduling.k8s.io/" + version, "PodGroup",
                         "spec:\n  schedulingPolicy: {gang: {minCount: 4}}\n  disruptionMode: " + mode + "\n  " + ref +
                             "\n  schedulingConstraints: {topology: [{key: example.com/rack}]}\n"
                             "  resourceClaims: [{name: c, resourceClaimName: d}]\n"
                             "status: {conditions: []}\n"),
                  options);
    const auto& group = Get<PodGroup>(m, Kind::kPodGroup);
    EXPECT_EQ(group.ns + "/" + group.name, "default/o");
    EXPECT_EQ(group.api_version, "scheduling.k8s.io/" + version);
    EXPECT_EQ(group.min_count, 4);
    EXPECT_EQ(group.topology.level, "example.com/rack");
    EXPECT_TRUE(group.disrupted_whole);
    EXPECT_EQ(group.priority, 0);  // as admission writes it
    EXPECT_EQ(group.created, options.start);
    EXPECT_FALSE(group.uid.empty());
  }
}

TEST(ManifestGroups, PriorityOfAGroup) {
  const std::string classes =
      "---\napiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: high}\nvalue: 9\n"
      "---\napiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: usual}\nvalue: 3\nglobalDefault: "
      "true\n";
  const struct {
    const char* field;
    int32_t want;
  } kRows[] = {
      {"", 3}, {", priorityClassName: high", 9}, {", priorityClassName: high, priority: 5", 5}, {", priority: 5", 5}};
  for (const auto& row : kRows) {
    const Manifests m = MustParse(Object("scheduling.k8s.io/v1beta1", "PodGroup",
                                         std::string("spec: {schedulingPolicy: {basic: {}}") + row.field + "}\n") +
                                  classes);
    EXPECT_EQ(Get<PodGroup>(m, Kind::kPodGroup).priority, row.want) << row.field;
  }
}

TEST(ManifestGroups, CustomResources) {
  const Manifests m = MustParse(
      Object("scheduling.x-k8s.io/v1alpha1", "PodGroup",
             "spec: {minMember: 3, minResources: {cpu: 2, memory: 1Ki}, scheduleTimeoutSeconds: 10}\n"
             "status: {phase: Pending, scheduleStartTime: null}\n") +
      "---\n" + Object("scheduling.k8s.io/v1beta1", "PodGroup", "spec: {schedulingPolicy: {basic: {}}}\n") + "---\n" +
      Object("muster.dev/v1alpha1", "Topology", "spec: {levels: [{nodeLabel: block}, {nodeLabel: rack}]}\n") + "---\n" +
      Object("kueue.x-k8s.io/v1beta1", "Topology", "spec: {levels: [{nodeLabel: kubernetes.io/hostname}]}\n"));
  const auto& group = Get<PodGroup>(m, Kind::kCoschedulingPodGroup);
  EXPECT_EQ(group.ns, "default");
  EXPECT_EQ(group.min_count, 3);
  EXPECT_EQ(group.min_resources, (std::vector<Amount>{{"cpu", 2000}, {"memory", 1024}}));
  EXPECT_EQ(group.schedule_timeout, absl::Seconds(10));
  EXPECT_EQ(group.phase, "Pending");
  EXPECT_FALSE(Get<PodGroup>(m, Kind::kPodGroup).gang);  // of the same name, of another kind
  EXPECT_EQ(Get<Topology>(m, Kind::kTopology).ns, "");
  EXPECT_THAT(Get<Topology>(m, Kind::kTopology).levels, ElementsAre("block", "rack"));
  EXPECT_THAT(Get<Topology>(m, Kind::kKueueTopology).levels, ElementsAre("kubernetes.io/hostname"));
}

TEST(ManifestGroups, WorkloadsAreLeftAside) {
  const Manifests m = MustParse(Object("scheduling.k8s.io/v1beta1", "Workload", "spec: {podGroupTemplates: []}\n"));
  EXPECT_THAT(m.notices, ElementsAre("Workload: 1 left aside, not part of the simulation"));
}

TEST(ManifestGroups, Errors) {
  const struct {
    const char *version, *kind, *rest, *want;
  } kRows[] = {
      {"scheduling.k8s.io/v1beta1", "PodGroup", "spec:\n  schedulingPolicy:\n    gang: {minCount: 0}\n",
       "f.yaml:6: spec.schedulingPolicy.gang.minCount: must be at least 1"},
      {"scheduling.k8s.io/v1beta1", "PodGroup", "spec: {}\n", "f.yaml:4: spec.schedulingPolicy: must have exactly one"},
      {"scheduling.k8s.io/v1beta1", "PodGroup", "spec:\n  schedulingPolicy: {gang: {minCont: 2}}\n",
       "f.yaml:5: spec.schedulingPolicy.gang.minCont: unknown field"},
      {"scheduling.k8s.io/v1beta1", "PodGroup", "spec:\n  disruptionMode: PodGroup\n",
       "f.yaml:5: spec.disruptionMode: expected a mapping, got a string"},
      {"scheduling.k8s.io/v1alpha2", "PodGroup", "spec:\n  preemptionPolicy: Never\n",
       "f.yaml:5: spec.preemptionPolicy: unknown"},
      {"scheduling.k8s.io/v1alpha1", "PodGroup", "",
       "f.yaml:1: kind: no kind \"PodGroup\" in \"scheduling.k8s.io/v1alpha1\""},
      {"scheduling.k8s.io/v1beta1", "PodGroup", "spec:\n  schedulingPolicy: {basic: {}}\n  priorityClassName: none\n",
       "f.yaml:6: spec.priorityClassName: no PriorityClass with name none was found"},
      {"scheduling.x-k8s.io/v1alpha1", "PodGroup", "spec: {minMember: -2}\n",
       "f.yaml:4: spec.minMember: must be at least 1"},
      {"scheduling.x-k8s.io/v1alpha1", "PodGroup", "spec:\n  minMember: two\n",
       "f.yaml:5: spec.minMember: expected an integer"},
      {"muster.dev/v1alpha1", "Topology", "spec:\n  levels: []\n", "f.yaml:5: spec.levels: must not be empty"},
      {"muster.dev/v1alpha1", "Topology", "spec:\n  levels: [{nodeLabel: a}, {nodeLabel: a}]\n",
       "f.yaml:5: spec.levels[1].nodeLabel: is there twice"},
      {"kueue.x-k8s.io/v1beta2", "Topology", "spec:\n  levels: [{label: a}]\n",
       "f.yaml:5: spec.levels[0].label: unknown field"},
      {"muster.dev/v1", "Topology", "", "f.yaml:1: kind: no kind \"Topology\" in \"muster.dev/v1\" is known"},
      {"v1", "Pod", "spec: {containers: [{name: c}], schedulingGroup: {name: g}}\n",
       "f.yaml:4: spec.schedulingGroup.name: unknown field"},
  };
  for (const auto& row : kRows) {
    const std::string error = ErrorOf(Object(row.version, row.kind, row.rest));
    EXPECT_EQ(error.find(row.want), 0u) << error << "\n" << row.want;
  }
  EXPECT_THAT(ErrorOf(Object("muster.dev/v1alpha1", "Topology", "spec: {levels: [{nodeLabel: a}]}\n---\n") +
                      Object("muster.dev/v1alpha1", "Topology", "spec: {levels: [{nodeLabel: a}]}\n")),
              testing::HasSubstr("Topology o is there already"));
}

// What a template says about the group all pods say; their ranks are their own.
TEST(ManifestGroups, PodsOfWorkloadsKeepTheirWordsAndGetRanks) {
  const std::string pods =
      "  template:\n    metadata:\n      labels: {muster.dev/gang: g, muster.dev/gang-size: \"2\"}\n"
      "      annotations: {kueue.x-k8s.io/podset-required-topology: rack}\n"
      "    spec: {containers: [{name: c}], schedulingGroup: {podGroupName: pg}}\n";
  const struct {
    const char *version, *kind, *spec;
    std::vector<int> ranks;
  } kRows[] = {
      {"batch/v1", "Job", "  completions: 2\n  parallelism: 2\n  completionMode: Indexed\n", {0, 1}},
      {"batch/v1", "Job", "  completions: 2\n  parallelism: 2\n", {-1, -1}},
      {"apps/v1", "StatefulSet", "  replicas: 2\n  ordinals: {start: 3}\n", {3, 4}},
      {"apps/v1", "Deployment", "  replicas: 2\n", {-1, -1}},
  };
  for (const auto& row : kRows) {
    const Manifests m = MustParse(Object(row.version, row.kind, std::string("spec:\n") + row.spec + pods));
    std::vector<int> ranks;
    for (const ManifestPod& made : m.pods) {
      ranks.push_back(made.pod->rank);
      EXPECT_EQ(made.pod->group.source, GroupRef::Source::kNative);
      EXPECT_EQ(made.pod->group.name, "pg");
      EXPECT_EQ(made.pod->topology.level, "rack");
      EXPECT_EQ(made.pod->spec->labels.at("muster.dev/gang"), "g");
    }
    EXPECT_EQ(ranks, row.ranks) << row.kind << row.spec;
  }
}

TEST(ManifestGroups, WordsThatMakeNoSenseNameTheirPod) {
  const std::string error = ErrorOf(
      "apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {muster.dev/gang: g}}\nspec: {containers: [{name: "
      "c}]}\n");
  EXPECT_EQ(error, "f.yaml:1: metadata.labels[muster.dev/gang-size]: must be set where muster.dev/gang is");
}

}  // namespace
}  // namespace muster
