#include "plugins/volume/volume_zone.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "test/plugins/volume/make_volumes.h"
#include "test/support/make_snapshot.h"
#include "test/support/run_plugin.h"

namespace muster {
namespace {

using ::testing::ElementsAre;

constexpr char kZone[] = "topology.kubernetes.io/zone";
constexpr char kRegion[] = "topology.kubernetes.io/region";
constexpr char kBetaZone[] = "failure-domain.beta.kubernetes.io/zone";
constexpr char kConflict[] = "R: node(s) had no available volume zone";

TEST(VolumeZoneTest, Filter) {
  const struct {
    const char* what;
    std::vector<std::pair<std::string, std::string>> volume, node;
    bool fits;
  } rows[] = {
      {"same zone", {{kZone, "a"}}, {{kZone, "a"}}, true},
      {"another zone", {{kZone, "a"}}, {{kZone, "b"}}, false},
      {"one of the zones", {{kZone, "a__b"}}, {{kZone, "b"}}, true},
      {"none of the zones", {{kZone, "a__b"}}, {{kZone, "c"}}, false},
      {"a list with a hole says nothing", {{kZone, "a__"}}, {{kZone, "c"}}, true},
      {"a node without zones", {{kZone, "a"}}, {}, true},
      {"a node with a region only", {{kZone, "a"}}, {{kRegion, "r"}}, false},
      {"the old label on the volume", {{kBetaZone, "a"}}, {{kZone, "a"}}, true},
      {"the old label on the volume, another zone", {{kBetaZone, "a"}}, {{kZone, "b"}}, false},
      {"the old label on the node only", {{kZone, "a"}}, {{kBetaZone, "a"}}, false},
      {"the node's old label goes before", {{kBetaZone, "a"}}, {{kBetaZone, "b"}, {kZone, "a"}}, false},
      {"zone and region", {{kZone, "a"}, {kRegion, "r"}}, {{kZone, "a"}, {kRegion, "r"}}, true},
      {"zone but not region", {{kZone, "a"}, {kRegion, "r"}}, {{kZone, "a"}, {kRegion, "q"}}, false},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    MakeNode node("n0");
    for (const auto& [key, value] : row.node) node.Label(key, value);
    MakePV volume("v");
    for (const auto& [key, value] : row.volume) volume.Label(key, value);
    Snapshot snap = MakeSnapshot({node.Ptr()});
    Put(snap, volume, MakePVC("c").Bound("v"));
    RunPlugin plugin{std::unique_ptr<Plugin>(new VolumeZone)};
    EXPECT_THAT(plugin.Filter(*snap.Resolve(PodWith({ClaimVolume("c")}).Spec()), snap),
                ElementsAre(row.fits ? "" : kConflict));
  }
}

TEST(VolumeZoneTest, PreFilter) {
  Snapshot snap = MakeSnapshot({MakeNode("n0").Ptr()});
  Put(snap, MakePV("v").Label(kZone, "a"), MakePV("plain"), MakeClass("fast"), MakeClass("slow", "Immediate"),
      MakeClass("odd", ""), MakePVC("bound").Bound("v"), MakePVC("plain").Bound("plain"), MakePVC("lost").Bound("gone"),
      MakePVC("waits"), MakePVC("slow").Class("slow"), MakePVC("odd").Class("odd"), MakePVC("none").NoClass(),
      MakePVC("unknown").Class("unknown"));
  const struct {
    const char* claim;
    Code code;
    const char* reason;
  } rows[] = {
      {"bound", Code::kSuccess, ""},
      {"plain", Code::kSkip, ""},
      {"waits", Code::kSkip, ""},
      {"gone", Code::kUnschedulableAndUnresolvable, "persistentvolumeclaim \"gone\" not found"},
      {"lost", Code::kUnschedulableAndUnresolvable, "persistentvolume \"gone\" not found"},
      {"slow", Code::kUnschedulableAndUnresolvable, "PersistentVolume had no name"},
      {"odd", Code::kUnschedulableAndUnresolvable, "VolumeBindingMode not set for StorageClass \"odd\""},
      {"none", Code::kUnschedulableAndUnresolvable, "PersistentVolumeClaim had no pv name and storageClass name"},
      {"unknown", Code::kUnschedulableAndUnresolvable, "storageclass.storage.k8s.io \"unknown\" not found"},
  };
  for (const auto& row : rows) {
    RunPlugin plugin{std::unique_ptr<Plugin>(new VolumeZone)};
    const Outcome& outcome = plugin.PreFilter(*snap.Resolve(PodWith({ClaimVolume(row.claim)}).Spec()), snap);
    EXPECT_EQ(outcome.code, row.code) << row.claim;
    EXPECT_EQ(outcome.reasons.empty() ? "" : outcome.reasons[0], row.reason) << row.claim;
  }
}

TEST(VolumeZoneTest, MayHelp) {
  const PodPtr pod = PodWith({ClaimVolume("c")}).Ptr();
  const StorageClass waits = MakeClass("w"), immediate = MakeClass("i", "Immediate");
  const PersistentVolume plain = MakePV("v").Build(), zoned = MakePV("v").Label(kZone, "a").Build(),
                         same = MakePV("v").Label(kZone, "a").Label("x", "y").Build();
  const PersistentVolumeClaim claim = MakePVC("c").Build(), other = MakePVC("o").Build();
  const struct {
    const char* what;
    ClusterEvents event;
    const Object *before, *after;
    bool helps;
  } rows[] = {
      {"a class that waits", kStorageClassAdded, nullptr, &waits, true},
      {"a class that does not", kStorageClassAdded, nullptr, &immediate, false},
      {"its claim", kClaimUpdated, &claim, &claim, true},
      {"another claim", kClaimAdded, nullptr, &other, false},
      {"a new volume", kVolumeAdded, nullptr, &plain, true},
      {"a volume's zone", kVolumeUpdated, &plain, &zoned, true},
      {"a volume's other label", kVolumeUpdated, &zoned, &same, false},
      {"a node's labels", kNodeLabel, nullptr, nullptr, true},
  };
  for (const auto& row : rows) {
    ClusterEvent event{row.event};
    event.old_object = row.before, event.new_object = row.after;
    EXPECT_EQ(VolumeZone().MayHelp(*pod, event), row.helps) << row.what;
  }
}

}  // namespace
}  // namespace muster
