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
  EXPECT_EQ(Text(profile.At(Point::kPreEnqueue)), "SchedulingGates");
  EXPECT_EQ(Text(profile.At(Point::kQueueSort)), "PrioritySort");
  EXPECT_EQ(Text(profile.At(Point::kFilter)),
            "NodeName NodeUnschedulable TaintToleration NodeAffinity NodePorts NodeResourcesFit PodTopologySpread "
            "InterPodAffinity");
  EXPECT_EQ(Text(profile.At(Point::kScore)),
            "TaintToleration*3 NodeAffinity*2 NodeResourcesFit*1 PodTopologySpread*2 InterPodAffinity*2 "
            "NodeResourcesBalancedAllocation*1 ImageLocality*1");
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
    const auto config =
        ParseConfiguration(absl::StrCat(kHead, "profiles:\n- pluginConfig:\n  - {name: NodeAffinity, args: ",
                                        "{addedAffinity: {\n", row.args, "}}}\n"),
                           "f", AllPlugins());
    EXPECT_THAT(std::string(config.status().message()), StartsWith(row.want)) << row.args;
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
  for (const char* name : {"VolumeBinding", "DefaultPreemption",
                           "DynamicResources", "NodeVolumeLimits", "VolumeRestrictions", "VolumeZone"}) {
    const auto config = ParseConfiguration(
        absl::StrCat(kHead, "profiles: [{plugins: {multiPoint: {enabled: [{name: ", name, "}]}}}]"), "f", AllPlugins());
    EXPECT_THAT(std::string(config.status().message()),
                HasSubstr(absl::StrCat("plugin ", name, " is part of kube-scheduler but not of this build of Muster")));
  }
}

}  // namespace
}  // namespace muster
