// The reader together with this build's own plugins.
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "plugins/all.h"
#include "scheduler/framework/config/config.h"
#include "scheduler/framework/framework.h"

namespace muster {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kHead[] = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n";

std::string Text(const std::vector<PluginUse>& uses) {
  return absl::StrJoin(uses, " ", [](std::string* out, const PluginUse& use) {
    absl::StrAppend(out, use.name);
    if (use.weight != 0) absl::StrAppend(out, "*", use.weight);
  });
}

TEST(ConfigOfAllPlugins, DefaultProfileIsKubeSchedulers) {
  const Registry registry = AllPlugins();
  const Configuration config = DefaultConfiguration(registry);
  ASSERT_EQ(config.profiles.size(), 1u);
  const ProfileConfig& profile = config.profiles[0];
  EXPECT_EQ(Text(profile.At(Point::kPreEnqueue)), "SchedulingGates DynamicResources DefaultPreemption");
  EXPECT_EQ(Text(profile.At(Point::kQueueSort)), "PrioritySort");
  EXPECT_EQ(Text(profile.At(Point::kFilter)),
            "NodeName NodeUnschedulable TaintToleration NodeAffinity NodePorts NodeResourcesFit "
            "VolumeRestrictions NodeVolumeLimits VolumeBinding VolumeZone PodTopologySpread InterPodAffinity "
            "DynamicResources NodeDeclaredFeatures");
  EXPECT_EQ(
      Text(profile.At(Point::kScore)),
      "TaintToleration*3 NodeAffinity*2 NodeResourcesFit*1 VolumeBinding*1 PodTopologySpread*2 InterPodAffinity*2 "
      "DynamicResources*2 NodeResourcesBalancedAllocation*1 ImageLocality*1");
  EXPECT_EQ(Text(profile.At(Point::kBind)), "DefaultBinder");
  EXPECT_TRUE(Framework::Create(profile, registry).ok());
}

TEST(ConfigOfAllPlugins, PluginsCheckTheirArguments) {
  const struct {
    const char* args;
    const char* want;
  } kRows[] = {
      {"requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions:\n"
       "[{key: a, operator: Gt,\nvalues: [x]}]}]}",
       "f:8: profiles[0].pluginConfig[0].args: plugin NodeAffinity: addedAffinity."
       "requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values"},
      {"requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchFields:\n"
       "[{key: a, operator: Exists}]}]}",
       "f:7: profiles[0].pluginConfig[0].args: plugin NodeAffinity: addedAffinity."
       "requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].operator"},
  };
  for (const auto& row : kRows) {
    const auto config = ParseConfiguration(
        absl::StrCat(kHead, "profiles:\n- pluginConfig:\n  - {name: NodeAffinity, args: ", "{addedAffinity: {\n",
                     row.args, "}}}\n"),
        "f", AllPlugins());
    EXPECT_THAT(std::string(config.status().message()), StartsWith(row.want)) << row.args;
  }
}

TEST(ConfigOfAllPlugins, VolumeBindingArgs) {
  const struct {
    const char* args;
    const char* error;  // "": none
    int64_t timeout;
    std::vector<int> scores;  // of the shape's points
  } kRows[] = {
      {"{}", "", 600, {10, 0}},
      {"{bindTimeoutSeconds: 5}", "", 5, {10, 0}},
      {"{bindTimeoutSeconds: 0, shape: []}", "", 0, {10, 0}},
      {"{shape: [{utilization: 0, score: 1}, {utilization: 50, score: 5}, {utilization: 100, score: 10}]}",
       "",
       600,
       {1, 5, 10}},
      {"{bindTimeoutSeconds: -1}",
       "bindTimeoutSeconds: invalid BindTimeoutSeconds, should not be a negative value",
       0,
       {}},
      {"{shape: [{utilization: 50, score: 1}, {utilization: 40, score: 1}]}",
       "shape[1].utilization: must be larger",
       0,
       {}},
      {"{shape: [{utilization: 50, score: 11}]}", "shape[0].score: 11 is not in the range 0 to 10", 0, {}},
  };
  for (const auto& row : kRows) {
    const auto config = ParseConfiguration(
        absl::StrCat(kHead, "profiles:\n- pluginConfig:\n  - {name: VolumeBinding, args: ", row.args, "}\n"), "f",
        AllPlugins());
    EXPECT_EQ(config.ok(), *row.error == 0) << config.status();
    if (!config.ok()) {
      EXPECT_THAT(std::string(config.status().message()), HasSubstr(row.error));
      continue;
    }
    const auto& args = std::get<VolumeBindingArgs>(config->profiles[0].args.at("VolumeBinding"));
    EXPECT_EQ(args.bind_timeout_seconds, row.timeout);
    std::vector<int> scores;
    for (const UtilizationPoint& point : args.shape) scores.push_back(point.score);
    EXPECT_EQ(scores, row.scores) << row.args;
  }
}

TEST(ConfigOfAllPlugins, ArgumentsOfDisabledPluginsAreCheckedToo) {
  const auto config = ParseConfiguration(
      absl::StrCat(kHead, "profiles:\n- plugins: {multiPoint: {disabled: [{name: NodeAffinity}]}}\n",
                   "  pluginConfig:\n  - {name: NodeAffinity, args: {addedAffinity: {",
                   "preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {matchExpressions: [",
                   "{key: a, operator: Gt, values: [x]}]}}]}}}\n"),
      "f", AllPlugins());
  EXPECT_THAT(std::string(config.status().message()),
              StartsWith("f:6: profiles[0].pluginConfig[0].args: plugin NodeAffinity: addedAffinity."));
}

// Those of kube-scheduler that come later are not taken for misspellings.
TEST(ConfigOfAllPlugins, MissingPluginsAreNamedAsSuch) {
  for (const char* name : {"PodGroupPodsCount", "GangScheduling"}) {
    const auto config = ParseConfiguration(
        absl::StrCat(kHead, "profiles: [{plugins: {multiPoint: {enabled: [{name: ", name, "}]}}}]"), "f", AllPlugins());
    EXPECT_THAT(std::string(config.status().message()),
                HasSubstr(absl::StrCat("plugin ", name, " is part of kube-scheduler but not of this build of Muster")));
  }
}

}  // namespace
}  // namespace muster
