#include "scheduler/framework/registry.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "plugins/all.h"

namespace muster {
namespace {

using Texts = std::vector<std::string>;

Texts Points(const Plugin& plugin) {
  Texts points;
  for (int p = 0; p < kPoints; ++p) {
    if (Implements(plugin, static_cast<Point>(p))) points.emplace_back(ConfigName(static_cast<Point>(p)));
  }
  return points;
}

// Order, weights and extension points of kube-scheduler's default profile.
TEST(RegistryTest, HasTheDefaultProfile) {
  struct Case {
    std::string name;
    int32_t weight;
    Texts points;
  };
  const std::vector<Case> cases = {
      {"SchedulingGates", 0, {"preEnqueue"}},
      {"PrioritySort", 0, {"queueSort"}},
      {"NodeName", 0, {"preFilter", "filter"}},
      {"NodeUnschedulable", 0, {"preFilter", "filter"}},
      {"TaintToleration", 3, {"preFilter", "filter", "preScore", "score"}},
      {"NodeAffinity", 2, {"preFilter", "filter", "preScore", "score"}},
      {"NodePorts", 0, {"preFilter", "filter"}},
      {"NodeResourcesFit", 1, {"preFilter", "filter", "preScore", "score"}},
      {"VolumeRestrictions", 0, {"preFilter", "filter"}},
      {"NodeVolumeLimits", 0, {"preFilter", "filter"}},
      {"VolumeBinding", 1, {"preFilter", "filter", "preScore", "score", "reserve", "preBind"}},
      {"VolumeZone", 0, {"preFilter", "filter"}},
      {"PodTopologySpread", 2, {"preFilter", "filter", "preScore", "score"}},
      {"InterPodAffinity", 2, {"preFilter", "filter", "preScore", "score"}},
      {"DynamicResources",
       2,
       {"preEnqueue", "preFilter", "filter", "postFilter", "preScore", "score", "reserve", "preBind"}},
      {"DefaultPreemption", 0, {"preEnqueue", "postFilter"}},
      {"NodeResourcesBalancedAllocation", 1, {"preScore", "score"}},
      {"ImageLocality", 1, {"score"}},
      {"DefaultBinder", 0, {"bind"}},
      {"NodeDeclaredFeatures", 0, {"preFilter", "filter"}},
      {"TopologyPlacementGenerator", 0, {"placementGenerate"}},
  };
  const Registry registry = AllPlugins();
  ASSERT_EQ(registry.entries().size(), cases.size());
  for (size_t i = 0; i < cases.size(); ++i) {
    const Registry::Entry& entry = registry.entries()[i];
    EXPECT_EQ(entry.name, cases[i].name);
    EXPECT_EQ(entry.default_weight, cases[i].weight) << entry.name;
    for (const PluginArgs& args : {entry.default_args, PluginArgs()}) {
      const auto plugin = entry.make(args);
      ASSERT_TRUE(plugin.ok()) << entry.name << ": " << plugin.status();
      EXPECT_EQ((*plugin)->Name(), entry.name);
      EXPECT_EQ(Points(**plugin), cases[i].points) << entry.name;
    }
    EXPECT_EQ(registry.Find(entry.name), &entry);
    EXPECT_FALSE(registry.IsMissing(entry.name));
  }
  EXPECT_EQ(registry.Find("GangScheduling"), nullptr);
  EXPECT_TRUE(registry.IsMissing("GangScheduling"));
  EXPECT_FALSE(registry.IsMissing("Nonsense"));
}

}  // namespace
}  // namespace muster
