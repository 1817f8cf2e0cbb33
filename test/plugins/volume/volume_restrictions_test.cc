#include "plugins/volume/volume_restrictions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "scheduler/framework/statement.h"
#include "test/plugins/volume/make_volumes.h"
#include "test/support/make_snapshot.h"
#include "test/support/run_plugin.h"

namespace muster {
namespace {

using ::testing::ElementsAre;
using K = PodVolume::Kind;

constexpr char kDisk[] = "U: node(s) had no available disk";
constexpr char kInUse[] =
    "U: node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another "
    "pod";

RunPlugin Plugin_() { return RunPlugin(std::unique_ptr<Plugin>(new VolumeRestrictions)); }

PodVolume Rbd(std::vector<std::string> monitors, std::string pool, std::string image, bool read_only = false) {
  PodVolume v = Disk(K::kRbd, std::move(image), read_only);
  v.monitors = std::move(monitors), v.pool = std::move(pool);
  return v;
}

TEST(VolumeRestrictionsTest, Disks) {
  const struct {
    const char* what;
    PodVolume wanted, there;
    bool conflict;
  } rows[] = {
      {"the same GCE disk", Disk(K::kGcePd, "a"), Disk(K::kGcePd, "a"), true},
      {"another GCE disk", Disk(K::kGcePd, "a"), Disk(K::kGcePd, "b"), false},
      {"one GCE disk, one reads", Disk(K::kGcePd, "a", true), Disk(K::kGcePd, "a"), true},
      {"one GCE disk, both read", Disk(K::kGcePd, "a", true), Disk(K::kGcePd, "a", true), false},
      {"one EBS volume, both read", Disk(K::kAwsEbs, "a", true), Disk(K::kAwsEbs, "a", true), true},
      {"one name, two kinds", Disk(K::kAwsEbs, "a"), Disk(K::kGcePd, "a"), false},
      {"one IQN", Disk(K::kIscsi, "iqn"), Disk(K::kIscsi, "iqn", true), true},
      {"one IQN, both read", Disk(K::kIscsi, "iqn", true), Disk(K::kIscsi, "iqn", true), false},
      {"one RBD image", Rbd({"a", "b"}, "p", "i"), Rbd({"c", "b"}, "p", "i"), true},
      {"one RBD image, both read", Rbd({"a"}, "p", "i", true), Rbd({"a"}, "p", "i", true), false},
      {"no monitor in common", Rbd({"a"}, "p", "i"), Rbd({"b"}, "p", "i"), false},
      {"another pool", Rbd({"a"}, "p", "i"), Rbd({"a"}, "q", "i"), false},
      {"another image", Rbd({"a"}, "p", "i"), Rbd({"a"}, "p", "j"), false},
      {"one cinder volume", Disk(K::kCinder, "a"), Disk(K::kCinder, "a"), false},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    Snapshot snap =
        MakeSnapshot({MakeNode("n0").Ptr(), MakeNode("n1").Ptr()}, {PodWith({row.there}, "p").Node("n1").Ptr()});
    RunPlugin plugin = Plugin_();
    const auto pod = snap.Resolve(PodWith({row.wanted}).Spec());
    EXPECT_THAT(plugin.Filter(*pod, snap), ElementsAre("", row.conflict ? kDisk : ""));
  }
}

TEST(VolumeRestrictionsTest, ClaimsForOnePod) {
  const MakePVC once = MakePVC("once").Modes({"ReadWriteOncePod"}), shared = MakePVC("shared");
  const struct {
    const char* what;
    std::vector<PodVolume> wanted;
    PodPtr there;
    bool skip, in_use;
  } rows[] = {
      {"used", {ClaimVolume("once")}, PodWith({ClaimVolume("once")}).Node("n1").Ptr(), false, true},
      {"not used", {ClaimVolume("once")}, PodWith({ClaimVolume("shared")}).Node("n1").Ptr(), true, false},
      {"used by name only",
       {ClaimVolume("once")},
       MakePod("p", "x").Volume(ClaimVolume("once")).Node("n1").Ptr(),
       true,
       false},
      {"shared", {ClaimVolume("shared")}, PodWith({ClaimVolume("shared")}).Node("n1").Ptr(), true, false},
      {"an ephemeral volume's", {ClaimVolume("once")}, PodWith({Ephemeral("x", "once")}).Node("n1").Ptr(), true, false},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    Snapshot snap = MakeSnapshot({MakeNode("n0").Ptr(), MakeNode("n1").Ptr()}, {row.there});
    Put(snap, once, shared);
    RunPlugin plugin = Plugin_();
    const auto pod = snap.Resolve(PodWith(row.wanted).Spec());
    EXPECT_THAT(plugin.Filter(*pod, snap), ElementsAre(row.in_use ? kInUse : "", row.in_use ? kInUse : ""));
    EXPECT_EQ(plugin.pre_filter().skip(), row.skip);
  }
}

TEST(VolumeRestrictionsTest, MissingClaim) {
  Snapshot snap = MakeSnapshot({MakeNode("n0").Ptr()});
  RunPlugin plugin = Plugin_();
  const Outcome& outcome = plugin.PreFilter(*snap.Resolve(PodWith({ClaimVolume("gone")}).Spec()), snap);
  EXPECT_EQ(outcome.code, Code::kUnschedulableAndUnresolvable);
  EXPECT_THAT(outcome.reasons, ElementsAre("persistentvolumeclaim \"gone\" not found"));
}

// What preemption tries: without the pod that uses the claim, the node fits.
TEST(VolumeRestrictionsTest, CountsAnewWhenRowsChange) {
  const PodPtr user = PodWith({ClaimVolume("once")}, "user").Node("n1").Ptr();
  Snapshot snap = MakeSnapshot({MakeNode("n0").Ptr(), MakeNode("n1").Ptr()}, {user});
  Put(snap, MakePVC("once").Modes({"ReadWriteOncePod"}));
  const auto pod = snap.Resolve(PodWith({ClaimVolume("once")}).Spec());
  VolumeRestrictions plugin;
  CycleState state;
  NodeSet all = snap.all();
  ASSERT_TRUE(plugin.PreFilter(*pod, snap, state, all)->ok());
  EXPECT_TRUE(state.only_now());
  const auto feasible = [&] {
    NodeSet set = snap.all();
    Feasible nodes(set, {0, snap.words()});
    EXPECT_TRUE(plugin.Filter(*pod, snap, state, nodes).ok());
    return set.Count();
  };
  EXPECT_EQ(feasible(), 0u);
  const std::vector<NodeIndex> rows = {1, 1};
  {
    Statement statement(snap);
    statement.Remove(snap.PodsOn(1)[0], 1);
    EXPECT_TRUE(plugin.Recount(*pod, snap, rows, state));
    EXPECT_EQ(feasible(), 2u);
  }
  EXPECT_TRUE(plugin.Recount(*pod, snap, rows, state));
  EXPECT_EQ(feasible(), 0u);
}

TEST(VolumeRestrictionsTest, MayHelp) {
  const PodPtr pod = PodWith({ClaimVolume("c"), Disk(K::kGcePd, "d")}).Ptr();
  const auto claim = MakePVC("c").Ptr(), foreign = MakePVC("c").Ns("x").Ptr(), other = MakePVC("o").Ptr();
  const auto gone = [](PodVolume v, std::string ns = "default") { return MakePod("g", ns).Volume(v).Node("n").Ptr(); };
  const struct {
    const char* what;
    ClusterEvents event;
    PodPtr old_pod;
    ObjectPtr new_object;
    bool helps;
  } rows[] = {
      {"a node", kNodeAdded, nullptr, nullptr, true},
      {"its claim", kClaimAdded, nullptr, claim, true},
      {"a namesake", kClaimAdded, nullptr, foreign, false},
      {"another claim", kClaimAdded, nullptr, other, false},
      {"a pod with its claim", kPodRemoved, gone(ClaimVolume("c")), nullptr, true},
      {"a pod with its disk", kPodRemoved, gone(Disk(K::kGcePd, "d")), nullptr, true},
      {"a pod with another disk", kPodRemoved, gone(Disk(K::kGcePd, "e")), nullptr, false},
      {"a pod of another namespace", kPodRemoved, gone(ClaimVolume("c"), "x"), nullptr, false},
  };
  for (const auto& row : rows) {
    ClusterEvent event{row.event};
    event.old_pod = row.old_pod.get(), event.new_object = row.new_object.get();
    EXPECT_EQ(VolumeRestrictions().MayHelp(*pod, event), row.helps) << row.what;
  }
}

}  // namespace
}  // namespace muster
