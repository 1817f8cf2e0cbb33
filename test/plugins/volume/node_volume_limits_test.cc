#include "plugins/volume/node_volume_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "plugins/volume/csi_migration.h"
#include "test/plugins/volume/make_volumes.h"
#include "test/support/make_snapshot.h"
#include "test/support/run_plugin.h"

namespace muster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using K = PodVolume::Kind;
using Source = PersistentVolume::Source;

constexpr char kFull[] = "U: node(s) exceed max volume count";

class NodeVolumeLimitsTest : public ::testing::Test {
 protected:
  // The cluster's objects that most tests share: claims a, b, c, bound to CSI volumes of csi.x.
  static void Fill(Snapshot& snap) {
    for (const char* name : {"a", "b", "c"}) Put(snap, MakePV(name), MakePVC(name).Bound(name));
    Put(snap, MakePV("a2").From(Source::kCsi, "a", "csi.x"), MakePVC("a2").Bound("a2"));  // the same disk as a
    Put(snap, MakePV("other").From(Source::kCsi, "o", "csi.y"), MakePVC("other").Bound("other"));
    Put(snap, MakePV("gce").From(Source::kGcePd, "disk"), MakePVC("gce").Bound("gce"));
    Put(snap, MakePV("badebs").From(Source::kAwsEbs, "aws://z/x"), MakePVC("badebs").Bound("badebs"));
    Put(snap, MakePV("nfs").From(Source::kOther, ""), MakePVC("nfs").Bound("nfs"));
    Put(snap, MakeClass("fast"), MakeClass("gce", "WaitForFirstConsumer", "kubernetes.io/gce-pd"));
    Put(snap, MakePVC("waits"), MakePVC("waits2"), MakePVC("noclass").NoClass(), MakePVC("gceclass").Class("gce"));
    Put(snap, MakePVC("pod-eph").OwnedBy("uid-pod"));
  }
};

TEST_F(NodeVolumeLimitsTest, Counts) {
  const PodVolume a = ClaimVolume("a"), b = ClaimVolume("b"), waits = ClaimVolume("waits");
  const struct {
    const char* what;
    std::vector<PodVolume> wanted, there;
    std::vector<std::pair<std::string, int>> limits;
    bool fits;
  } rows[] = {
      {"room for one more", {a}, {b}, {{"csi.x", 2}}, true},
      {"full", {a}, {b}, {{"csi.x", 1}}, false},
      {"no room at all", {a}, {}, {{"csi.x", 0}}, false},
      {"two at once", {a, b}, {}, {{"csi.x", 1}}, false},
      {"no limit for the driver", {a}, {b}, {{"csi.x", -1}, {"csi.y", 0}}, true},
      {"the claim is there already", {a}, {a}, {{"csi.x", 1}}, true},
      {"the disk is there already", {ClaimVolume("a2")}, {a}, {{"csi.x", 1}}, true},
      {"one disk by two claims", {a, ClaimVolume("a2")}, {}, {{"csi.x", 1}}, true},
      {"another driver's volumes", {a}, {ClaimVolume("other")}, {{"csi.x", 1}}, true},
      {"not bound yet: of its class", {waits}, {b}, {{"csi.x", 1}}, false},
      {"not bound yet, there already", {waits}, {waits}, {{"csi.x", 1}}, true},
      {"two that are not bound yet", {waits}, {ClaimVolume("waits2")}, {{"csi.x", 1}}, false},
      {"without class", {ClaimVolume("noclass")}, {}, {{"csi.x", 0}}, true},
      {"no CSI volume", {ClaimVolume("nfs")}, {}, {{"csi.x", 0}}, true},
      {"ephemeral", {Ephemeral()}, {b}, {{"csi.x", 1}}, false},
      {"migrated", {ClaimVolume("gce")}, {}, {{"pd.csi.storage.gke.io", 0}}, false},
      {"of a migrated class", {ClaimVolume("gceclass")}, {}, {{"pd.csi.storage.gke.io", 0}}, false},
      {"not to be translated", {ClaimVolume("badebs")}, {}, {{"ebs.csi.aws.com", 0}}, true},
      {"inline", {Disk(K::kAwsEbs, "vol-1")}, {}, {{"ebs.csi.aws.com", 0}}, false},
      {"inline, there already",
       {Disk(K::kAwsEbs, "aws://z/vol-1")},
       {Disk(K::kAwsEbs, "vol-1")},
       {{"ebs.csi.aws.com", 1}},
       true},
      {"inline, not migrated", {Disk(K::kVsphere, "v")}, {}, {{"csi.vsphere.vmware.com", 0}}, true},
      {"a pod there lost its claim", {a}, {ClaimVolume("gone")}, {{"csi.x", 1}}, true},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    Snapshot snap =
        MakeSnapshot({MakeNode("n0").Ptr(), MakeNode("n1").Ptr()}, {PodWith(row.there, "there").Node("n1").Ptr()});
    Fill(snap);
    Put(snap, MakeCSINode("n1", row.limits));
    RunPlugin plugin{std::unique_ptr<Plugin>(new NodeVolumeLimits)};
    EXPECT_THAT(plugin.Filter(*snap.Resolve(PodWith(row.wanted).Spec()), snap), ElementsAre("", row.fits ? "" : kFull));
  }
}

TEST_F(NodeVolumeLimitsTest, Attachments) {
  const struct {
    const char* what;
    const char *attacher, *volume;
    std::vector<PodVolume> there;
    int limit;
    bool fits;
  } rows[] = {
      {"of a pod that is gone", "csi.x", "b", {}, 1, false},
      {"of a pod that is there", "csi.x", "b", {ClaimVolume("b")}, 2, true},
      {"of the new pod's volume: it counts twice", "csi.x", "a", {}, 1, false},
      {"of another driver", "csi.y", "other", {}, 1, true},
      {"of a volume that is gone", "csi.x", "gone", {}, 1, true},
      {"of no CSI volume", "csi.x", "gce", {}, 1, true},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    Snapshot snap = MakeSnapshot({MakeNode("n1").Ptr()}, {PodWith(row.there, "there").Node("n1").Ptr()});
    Fill(snap);
    Put(snap, MakeCSINode("n1", {{"csi.x", row.limit}}), MakeAttachment("va", row.attacher, "n1", row.volume));
    RunPlugin plugin{std::unique_ptr<Plugin>(new NodeVolumeLimits)};
    EXPECT_THAT(plugin.Filter(*snap.Resolve(PodWith({ClaimVolume("a")}).Spec()), snap),
                ElementsAre(row.fits ? "" : kFull));
  }
}

TEST_F(NodeVolumeLimitsTest, DriverMustBeThere) {
  Snapshot snap = MakeSnapshot({MakeNode("n0").Ptr(), MakeNode("n1").Ptr(), MakeNode("n2").Ptr()});
  Fill(snap);
  Put(snap, MakeCSIDriver("csi.x", false, true), MakeCSINode("n1", {{"csi.x", -1}}),
      MakeCSINode("n2", {{"csi.y", -1}}));
  const std::string missing = "U: csi.x CSI driver is not installed on the node";
  RunPlugin plugin{std::unique_ptr<Plugin>(new NodeVolumeLimits)};
  EXPECT_THAT(plugin.Filter(*snap.Resolve(PodWith({ClaimVolume("a")}).Spec()), snap),
              ElementsAre(missing, "", missing));
  Put(snap, MakeCSIDriver("csi.x", false, false));
  EXPECT_THAT(plugin.Filter(*snap.Resolve(PodWith({ClaimVolume("a")}).Spec()), snap), ElementsAre("", "", ""));
}

TEST_F(NodeVolumeLimitsTest, MissingClaim) {
  Snapshot snap = MakeSnapshot({MakeNode("n0").Ptr()});
  RunPlugin plugin{std::unique_ptr<Plugin>(new NodeVolumeLimits)};
  EXPECT_THAT(plugin.Filter(*snap.Resolve(PodWith({ClaimVolume("gone")}).Spec()), snap),
              ElementsAre("R: looking up PVC default/gone: persistentvolumeclaim \"gone\" not found"));
}

TEST_F(NodeVolumeLimitsTest, Errors) {
  const struct {
    std::vector<PodVolume> wanted, there;
    const char* message;
  } rows[] = {
      {{Ephemeral("eph", "x")}, {}, "PVC default/x-eph was not created for pod default/x (pod is not owner)"},
      {{ClaimVolume("a")}, {Ephemeral("eph", "x")}, "was not created for pod"},
      {{Disk(K::kAwsEbs, "aws://z/x")},
       {},
       "converting volume(v) from inline to csi: failed to translate Kubernetes ID to EBS Volume ID Invalid format for "
       "AWS volume (aws://z/x)"},
  };
  for (const auto& row : rows) {
    Snapshot snap = MakeSnapshot({MakeNode("n1").Ptr()}, {PodWith(row.there, "there").Node("n1").Ptr()});
    Fill(snap);
    Put(snap, MakePVC("x-eph").OwnedBy("another"), MakeCSINode("n1", {{"csi.x", 5}}));
    NodeVolumeLimits plugin;
    CycleState state;
    NodeSet all = snap.all();
    const auto pod = snap.Resolve(PodWith(row.wanted).Spec());
    ASSERT_TRUE(plugin.PreFilter(*pod, snap, state, all)->ok());
    Feasible nodes(all, {0, snap.words()});
    EXPECT_THAT(std::string(plugin.Filter(*pod, snap, state, nodes).message()), HasSubstr(row.message));
  }
}

TEST_F(NodeVolumeLimitsTest, SkipsPodsWithoutSuchVolumes) {
  Snapshot snap = MakeSnapshot({MakeNode("n0").Ptr()});
  RunPlugin plugin{std::unique_ptr<Plugin>(new NodeVolumeLimits)};
  EXPECT_TRUE(plugin.PreFilter(*snap.Resolve(PodWith({Disk(K::kRbd, "x"), Disk(K::kCsi, "d")}).Spec()), snap).skip());
}

TEST_F(NodeVolumeLimitsTest, MayHelp) {
  const PodPtr claims = PodWith({ClaimVolume("c")}).Ptr(), inlined = PodWith({Disk(K::kGcePd, "d")}).Ptr();
  const PodPtr gone = PodWith({ClaimVolume("x")}).Ptr(), plain = PodWith({Disk(K::kRbd, "d")}).Ptr();
  const PersistentVolumeClaim claim = MakePVC("c").Build(), other = MakePVC("o").Build();
  const CSINode one = MakeCSINode("n", {{"d", 1}}), two = MakeCSINode("n", {{"d", 2}}),
                more = MakeCSINode("n", {{"d", 1}, {"e", 1}});
  const VolumeAttachment gce = MakeAttachment("a", "pd.csi.storage.gke.io", "n", "v"),
                         x = MakeAttachment("a", "x", "n", "v");
  const struct {
    const char* what;
    PodPtr pod;
    ClusterEvents event;
    const Object *before, *after;
    const Pod* old_pod;
    bool helps;
  } rows[] = {
      {"its claim", claims, kClaimAdded, nullptr, &claim, nullptr, true},
      {"another claim", claims, kClaimAdded, nullptr, &other, nullptr, false},
      {"a pod with a claim", claims, kPodRemoved, nullptr, nullptr, gone.get(), true},
      {"a pod without", claims, kPodRemoved, nullptr, nullptr, plain.get(), false},
      {"a higher limit", claims, kCSINodeUpdated, &one, &two, nullptr, true},
      {"a lower limit", claims, kCSINodeUpdated, &two, &one, nullptr, false},
      {"a new driver", claims, kCSINodeUpdated, &one, &more, nullptr, true},
      {"a new node", claims, kCSINodeAdded, nullptr, &one, nullptr, true},
      {"detached, for a claim", claims, kVolumeAttachmentDeleted, &x, nullptr, nullptr, true},
      {"detached, another driver's", inlined, kVolumeAttachmentDeleted, &x, nullptr, nullptr, false},
      {"detached, its driver's", inlined, kVolumeAttachmentDeleted, &gce, nullptr, nullptr, true},
  };
  for (const auto& row : rows) {
    ClusterEvent event{row.event};
    event.old_object = row.before, event.new_object = row.after, event.old_pod = row.old_pod;
    EXPECT_EQ(NodeVolumeLimits().MayHelp(*row.pod, event), row.helps) << row.what;
  }
}

TEST(CsiMigrationTest, HandlesOfVolumes) {
  constexpr char kZone[] = "topology.kubernetes.io/zone", kBeta[] = "failure-domain.beta.kubernetes.io/zone";
  const struct {
    PersistentVolume volume;
    const char* handle;
  } rows[] = {
      {MakePV("v").From(Source::kGcePd, "d").Build(), "projects/UNSPECIFIED/zones/UNSPECIFIED/disks/d"},
      {MakePV("v").From(Source::kGcePd, "d").Label(kZone, "us-a-b").Build(),
       "projects/UNSPECIFIED/zones/us-a-b/disks/d"},
      {MakePV("v").From(Source::kGcePd, "d").Label(kZone, "x").Label(kBeta, "y").Build(),
       "projects/UNSPECIFIED/zones/y/disks/d"},
      {MakePV("v").From(Source::kGcePd, "d").Label(kZone, "us-a-b__us-a-c").Build(),
       "projects/UNSPECIFIED/regions/us-a/disks/d"},
      {MakePV("v").From(Source::kGcePd, "d").Label(kZone, "a__b").Build(), ""},
      {MakePV("v").From(Source::kGcePd, "d").Label(kZone, "us-a-b__us-b-c").Build(), ""},
      {MakePV("v").From(Source::kAwsEbs, "vol-1").Build(), "vol-1"},
      {MakePV("v").From(Source::kAwsEbs, "aws:///vol-1").Build(), "vol-1"},
      {MakePV("v").From(Source::kAwsEbs, "bad/id").Build(), "bad/id"},
      {MakePV("v").From(Source::kAwsEbs, "aws://z/vol-1/x").Build(), ""},
      {MakePV("v").From(Source::kCinder, "c").Build(), "c"},
  };
  for (const auto& row : rows) EXPECT_EQ(CsiHandle(row.volume).value_or(""), row.handle);
  PersistentVolume azure = MakePV("v").From(Source::kAzureDisk, "/uri").Build();
  azure.azure_kind = "managed";
  EXPECT_EQ(*CsiHandle(azure), "/uri");
  azure.azure_kind = "Shared";
  EXPECT_EQ(CsiHandle(azure).status().message(), "kind(Shared) is not supported in csi migration");
}

TEST(CsiMigrationTest, Affinity) {
  const MakePV gce = MakePV("v").From(Source::kGcePd, "d");
  constexpr char kZone[] = "topology.kubernetes.io/zone", kKey[] = "topology.gke.io/zone";
  constexpr char kBetaZone[] = "failure-domain.beta.kubernetes.io/zone";
  constexpr char kBetaRegion[] = "failure-domain.beta.kubernetes.io/region",
                 kRegion[] = "topology.kubernetes.io/region";
  using Terms = std::vector<NodeSelectorTerm>;
  EXPECT_EQ(CsiAffinity(MakePV(gce).On({In(kZone, {"a"})}).Build()).required, (Terms{{{In(kKey, {"a"})}, {}}}));
  EXPECT_EQ(CsiAffinity(MakePV(gce).Label(kZone, "b__a").Build()).required, (Terms{{{In(kKey, {"a", "b"})}, {}}}));
  EXPECT_EQ(CsiAffinity(MakePV(gce).Label(kZone, "a").On({Exists("x")}).Build()).required,
            (Terms{{{Exists("x"), In(kKey, {"a"})}, {}}}));
  EXPECT_EQ(CsiAffinity(MakePV(gce).On({In(kBetaZone, {"a"}), In(kBetaRegion, {"r"})}).Build()).required,
            (Terms{{{In(kKey, {"a"}), In(kRegion, {"r"})}, {}}}));
  EXPECT_FALSE(CsiAffinity(MakePV(gce).Label(kZone, "__").Build()).has_required);
  EXPECT_FALSE(CsiAffinity(MakePV(gce).Build()).has_required);
}

}  // namespace
}  // namespace muster
