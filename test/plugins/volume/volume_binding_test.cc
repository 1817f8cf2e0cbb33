#include "plugins/volume/volume_binding.h"

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
using Source = PersistentVolume::Source;

constexpr char kHost[] = "kubernetes.io/hostname";
constexpr char kElsewhere[] = "R: node(s) didn't match PersistentVolume's node affinity";
constexpr char kNoMatch[] = "R: node(s) didn't find available persistent volumes to bind";
constexpr char kNoSpace[] = "R: node(s) did not have enough free storage";
constexpr char kGone[] = "R: node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";

RunPlugin Binding() { return RunPlugin(VolumeBinding::Make(VolumeBindingArgs())); }

// Nodes n0 (zone a) and n1 (zone b); class "fast" is provisioned, class "local" is not.
Snapshot MakeCluster() {
  Snapshot snap = MakeSnapshot({MakeNode("n0").Label("zone", "a").Ptr(), MakeNode("n1").Label("zone", "b").Ptr()});
  Put(snap, MakeClass("fast"), MakeClass("local", "WaitForFirstConsumer", "kubernetes.io/no-provisioner"),
      MakeClass("slow", "Immediate"), MakeClass("odd", ""));
  return snap;
}

CSIStorageCapacity Capacity(std::string name, const char* zone, const char* size, const char* most = nullptr) {
  CSIStorageCapacity c;
  c.ns = "storage", c.name = std::move(name), c.storage_class = "fast";
  c.node_topology.present = true;
  if (*zone != 0) c.node_topology.requirements.push_back(In("zone", {zone}));
  if (size != nullptr) c.capacity = Parsed(size);
  if (most != nullptr) c.maximum_volume_size = Parsed(most);
  return c;
}

TEST(VolumeBindingTest, PreFilter) {
  Snapshot snap = MakeCluster();
  Put(snap, MakePVC("bound").Bound("v"), MakePVC("waits"), MakePVC("slow").Class("slow"), MakePVC("none").NoClass(),
      MakePVC("unknown").Class("unknown"), MakePVC("prebound").Prebound("v"), MakePVC("lost").Bound("v").Phase("Lost"),
      MakePVC("going").Deleting(), MakePVC("pod-mine").OwnedBy("uid-pod"), MakePVC("pod-other").OwnedBy("uid-x"));
  constexpr char kUnbound[] = "pod has unbound immediate PersistentVolumeClaims";
  const struct {
    std::vector<PodVolume> volumes;
    Code code;
    const char* reason;
  } rows[] = {
      {{}, Code::kSkip, ""},
      {{Disk(PodVolume::Kind::kGcePd, "d")}, Code::kSkip, ""},
      {{ClaimVolume("bound")}, Code::kSuccess, ""},
      {{ClaimVolume("waits")}, Code::kSuccess, ""},
      {{ClaimVolume("slow")}, Code::kUnschedulableAndUnresolvable, kUnbound},
      {{ClaimVolume("none")}, Code::kUnschedulableAndUnresolvable, kUnbound},
      {{ClaimVolume("unknown")}, Code::kUnschedulableAndUnresolvable, kUnbound},
      {{ClaimVolume("prebound")}, Code::kUnschedulableAndUnresolvable, kUnbound},
      {{ClaimVolume("bound"), ClaimVolume("gone")},
       Code::kUnschedulableAndUnresolvable,
       "persistentvolumeclaim \"gone\" not found"},
      {{ClaimVolume("lost")},
       Code::kUnschedulableAndUnresolvable,
       "persistentvolumeclaim \"lost\" bound to non-existent persistentvolume \"v\""},
      {{ClaimVolume("going")}, Code::kUnschedulableAndUnresolvable, "persistentvolumeclaim \"going\" is being deleted"},
      {{Ephemeral("mine")}, Code::kSuccess, ""},
      {{Ephemeral("other")},
       Code::kUnschedulableAndUnresolvable,
       "PVC default/pod-other was not created for pod default/pod (pod is not owner)"},
      {{Ephemeral("gone")},
       Code::kUnschedulableAndUnresolvable,
       "waiting for ephemeral volume controller to create the persistentvolumeclaim \"pod-gone\""},
  };
  for (const auto& row : rows) {
    RunPlugin plugin = Binding();
    const Outcome& outcome = plugin.PreFilter(*snap.Resolve(PodWith(row.volumes).Spec()), snap);
    EXPECT_EQ(outcome.code, row.code) << row.reason;
    EXPECT_EQ(outcome.reasons.empty() ? "" : outcome.reasons[0], row.reason);
    EXPECT_FALSE(plugin.PreScoreSkips(*snap.Resolve(PodWith(row.volumes).Spec()), snap));
  }
  Put(snap, MakePVC("odd").Class("odd"));
  CycleState state;
  NodeSet all = snap.all();
  const auto plugin = VolumeBinding::Make(VolumeBindingArgs());
  const auto broken = dynamic_cast<const VolumeBinding&>(**plugin).PreFilter(
      *snap.Resolve(PodWith({ClaimVolume("odd")}).Spec()), snap, state, all);
  EXPECT_EQ(broken.status().message(), "VolumeBindingMode not set for StorageClass \"odd\"");
}

TEST(VolumeBindingTest, BoundClaims) {
  const struct {
    const char* what;
    std::vector<MakePV> volumes;  // bound by claims of their names
    std::vector<std::string> verdicts;
  } rows[] = {
      {"reached from everywhere", {MakePV("v")}, {"", ""}},
      {"reached from one node", {MakePV("v").On({In(kHost, {"n1"})})}, {kElsewhere, ""}},
      {"by either of two terms", {MakePV("v").On({In(kHost, {"n1"})}).On({In("zone", {"a"})})}, {"", ""}},
      {"a name does not count", {MakePV("v").On({}, {In("metadata.name", {"x"})})}, {"", ""}},
      {"nor beside labels", {MakePV("v").On({In("zone", {"a"})}, {In("metadata.name", {"x"})})}, {"", kElsewhere}},
      {"an empty term", {MakePV("v").On({})}, {kElsewhere, kElsewhere}},
      {"two volumes",
       {MakePV("v").On({In(kHost, {"n1"})}), MakePV("w").On({In("zone", {"a"})})},
       {kElsewhere, kElsewhere}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    Snapshot snap = MakeCluster();
    std::vector<PodVolume> volumes;
    for (const MakePV& v : row.volumes) {
      const std::string name = v.Build().name;
      Put(snap, v, MakePVC(name).Bound(name));
      volumes.push_back(ClaimVolume(name));
    }
    EXPECT_EQ(Binding().Filter(*snap.Resolve(PodWith(volumes).Spec()), snap), row.verdicts);
  }
  Snapshot snap = MakeCluster();
  Put(snap, MakePVC("c").Bound("gone"), MakePVC("d").Bound("v"), MakePV("v").On({In("zone", {"a"})}));
  EXPECT_THAT(Binding().Filter(*snap.Resolve(PodWith({ClaimVolume("c")}).Spec()), snap), ElementsAre(kGone, kGone));
  EXPECT_THAT(Binding().Filter(*snap.Resolve(PodWith({ClaimVolume("d"), ClaimVolume("c")}).Spec()), snap),
              ElementsAre(kGone, kElsewhere));
}

TEST(VolumeBindingTest, MigratedVolumes) {
  Snapshot snap = MakeCluster();
  Put(snap, MakePV("v").From(Source::kGcePd, "d").Label("topology.kubernetes.io/zone", "a"), MakePVC("c").Bound("v"));
  const auto pod = snap.Resolve(PodWith({ClaimVolume("c")}).Spec());
  EXPECT_THAT(Binding().Filter(*pod, snap), ElementsAre("", ""));
  Put(snap, MakeCSINode("n1", {}, "kubernetes.io/aws-ebs,kubernetes.io/gce-pd"));  // its node has no zone of the driver
  EXPECT_THAT(Binding().Filter(*pod, snap), ElementsAre("", kElsewhere));
}

// Which of the volumes a claim "c" of class "local" gets; "" for none.
TEST(VolumeBindingTest, StaticMatching) {
  const auto pv = [](std::string name) { return MakePV(std::move(name)).Class("local"); };
  const MakePVC c = MakePVC("c").Class("local");
  const struct {
    const char* what;
    MakePVC claim;
    std::vector<MakePV> volumes;
    const char *on_n0, *on_n1;
  } rows[] = {
      {"none", c, {}, "", ""},
      {"one", c, {pv("v")}, "v", "v"},
      {"the smallest that is large enough",
       MakePVC(c).Size("2Gi"),
       {pv("a").Size("1Gi"), pv("b").Size("9Gi"), pv("c").Size("3Gi")},
       "c",
       "c"},
      {"of equals the first by name", c, {pv("b"), pv("a")}, "a", "a"},
      {"as small as needed", MakePVC(c).Size("1Gi"), {pv("a").Size("1073741823")}, "", ""},
      {"without a size anything fits", MakePVC(c).NoSize(), {pv("a").Size("1")}, "a", "a"},
      {"another class", c, {MakePV("v").Class("fast")}, "", ""},
      {"not available", c, {pv("v").Phase("Released")}, "", ""},
      {"being deleted", c, {pv("v").Deleting()}, "", ""},
      {"another mode", c, {pv("v").Block()}, "", ""},
      {"the same mode", MakePVC(c).Block(), {pv("v").Block()}, "v", "v"},
      {"other attributes", c, {pv("v").Attributes("gold")}, "", ""},
      {"the same attributes", MakePVC(c).Attributes("gold"), {pv("v").Attributes("gold")}, "v", "v"},
      {"access modes", MakePVC(c).Modes({"ReadWriteMany"}), {pv("v")}, "", ""},
      {"more access modes", c, {pv("v").Modes({"ReadOnlyMany", "ReadWriteOnce"})}, "v", "v"},
      {"a selector", MakePVC(c).Select({In("k", {"x"})}), {pv("a"), pv("b").Label("k", "x")}, "b", "b"},
      {"an empty selector", MakePVC(c).Select({}), {pv("a")}, "a", "a"},
      {"per node", c, {pv("a").On({In(kHost, {"n1"})}), pv("b")}, "b", "a"},
      {"somebody else's", c, {pv("a").For("other"), pv("b").Size("5Gi")}, "b", "b"},
      {"its own", c, {pv("a"), pv("b").Size("5Gi").For("c").Phase("Pending")}, "b", "b"},
      {"its own, elsewhere: no other", c, {pv("a"), pv("b").For("c").On({In(kHost, {"n1"})})}, "", "b"},
      {"its own, too small: another", c, {pv("a"), pv("b").For("c").Size("1Mi")}, "a", "a"},
      {"of a claim before it", c, {pv("a").For("c", "uid-old")}, "", ""},
      {"of this very claim", c, {pv("a").For("c", "uid-c")}, "a", "a"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    Snapshot snap = MakeCluster();
    Put(snap, row.claim);
    for (const MakePV& v : row.volumes) Put(snap, v);
    const auto pod = snap.Resolve(PodWith({ClaimVolume("c")}).Spec());
    const std::string on[] = {row.on_n0, row.on_n1};
    EXPECT_THAT(Binding().Filter(*pod, snap),
                ElementsAre(on[0].empty() ? kNoMatch : "", on[1].empty() ? kNoMatch : ""));
    const auto plugin = VolumeBinding::Make(VolumeBindingArgs());
    for (const NodeIndex n : {0u, 1u}) {
      if (on[n].empty()) continue;
      Statement statement(snap);
      EXPECT_TRUE(dynamic_cast<VolumeBinding&>(**plugin).Reserve({nullptr, pod.get()}, snap, n, statement).ok());
      std::vector<Intent> intents;
      EXPECT_TRUE(dynamic_cast<VolumeBinding&>(**plugin).PreBind({nullptr, pod.get()}, snap, n, intents).ok());
      ASSERT_EQ(intents.size(), 1u);
      EXPECT_EQ(intents[0].kind, Intent::Kind::kBindVolume);
      EXPECT_EQ(intents[0].timeout, absl::Minutes(10));
      const auto& bound = static_cast<const PersistentVolume&>(*intents[0].volume);
      EXPECT_EQ(bound.name, on[n]);
      EXPECT_EQ(bound.claim_ref, (ClaimReference{"default", "c", "uid-c"}));
      const auto before = std::find_if(row.volumes.begin(), row.volumes.end(),
                                       [&](const MakePV& v) { return v.Build().name == bound.name; });
      EXPECT_EQ(bound.bound_by_controller, !before->Build().claim_ref.has_value());
    }
  }
}

TEST(VolumeBindingTest, SeveralClaims) {
  Snapshot snap = MakeCluster();
  const auto pv = [](std::string name) { return MakePV(std::move(name)).Class("local"); };
  Put(snap, MakePVC("large").Class("local").Size("5Gi"), MakePVC("small").Class("local"), pv("v5").Size("5Gi"),
      pv("v1").Size("1Gi").On({In(kHost, {"n1"})}));
  // On n0 the small claim comes first and takes what the large one needs.
  EXPECT_THAT(Binding().Filter(*snap.Resolve(PodWith({ClaimVolume("large"), ClaimVolume("small")}).Spec()), snap),
              ElementsAre(kNoMatch, ""));
}

TEST(VolumeBindingTest, Provisioning) {
  StorageClass in_a = MakeClass("fast");
  in_a.allowed_topologies = {{{"zone", {"a"}}}};
  StorageClass nowhere = MakeClass("fast");
  nowhere.allowed_topologies = {{}};
  const CSIDriver tracked = MakeCSIDriver("csi.x", true), untracked = MakeCSIDriver("csi.x", false);
  CSIStorageCapacity no_topology = Capacity("c", "", "9Gi"), other_class = Capacity("c", "", "9Gi");
  no_topology.node_topology.present = false, other_class.storage_class = "slow";
  const MakePVC c = MakePVC("c");
  const struct {
    const char* what;
    MakePVC claim;
    StorageClass storage_class;
    CSIDriver driver;
    std::vector<CSIStorageCapacity> capacities;
    std::vector<std::string> verdicts;
  } rows[] = {
      {"anywhere", c, MakeClass("fast"), untracked, {}, {"", ""}},
      {"in one zone", c, in_a, untracked, {}, {"", kNoMatch}},
      {"in no zone", c, nowhere, untracked, {}, {kNoMatch, kNoMatch}},
      {"by nobody",
       c,
       MakeClass("fast", "WaitForFirstConsumer", "kubernetes.io/no-provisioner"),
       untracked,
       {},
       {kNoMatch, kNoMatch}},
      {"a node is chosen", MakePVC(c).Selected("n1"), MakeClass("fast"), untracked, {}, {kNoMatch, ""}},
      {"no capacity known", c, MakeClass("fast"), tracked, {}, {kNoSpace, kNoSpace}},
      {"capacity in one zone", c, MakeClass("fast"), tracked, {Capacity("c", "b", "1Gi")}, {kNoSpace, ""}},
      {"capacity everywhere", c, MakeClass("fast"), tracked, {Capacity("c", "", "1Gi")}, {"", ""}},
      {"too little", c, MakeClass("fast"), tracked, {Capacity("c", "", "1023Mi")}, {kNoSpace, kNoSpace}},
      {"too large a volume", c, MakeClass("fast"), tracked, {Capacity("c", "", "9Gi", "1Mi")}, {kNoSpace, kNoSpace}},
      {"the size counts alone", c, MakeClass("fast"), tracked, {Capacity("c", "", "0", "1Gi")}, {"", ""}},
      {"nothing told", c, MakeClass("fast"), tracked, {Capacity("c", "", nullptr)}, {kNoSpace, kNoSpace}},
      {"reached from nowhere", c, MakeClass("fast"), tracked, {no_topology}, {kNoSpace, kNoSpace}},
      {"of another class", c, MakeClass("fast"), tracked, {other_class}, {kNoSpace, kNoSpace}},
      {"no size asked for", MakePVC(c).NoSize(), MakeClass("fast"), tracked, {}, {"", ""}},
      {"topology first", c, in_a, tracked, {}, {kNoSpace, kNoMatch}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    Snapshot snap = MakeCluster();
    Put(snap, row.claim, row.storage_class, row.driver);
    for (const auto& capacity : row.capacities) Put(snap, capacity);
    EXPECT_EQ(Binding().Filter(*snap.Resolve(PodWith({ClaimVolume("c")}).Spec()), snap), row.verdicts);
  }
}

TEST(VolumeBindingTest, ReserveSelectsTheNode) {
  Snapshot snap = MakeCluster();
  Put(snap, MakePVC("c"));
  const auto pod = snap.Resolve(PodWith({ClaimVolume("c")}).Spec());
  const auto made = VolumeBinding::Make(VolumeBindingArgs());
  const auto& plugin = dynamic_cast<const VolumeBinding&>(**made);
  const auto selected = [&] {
    return snap.objects().Get<PersistentVolumeClaim>(Kind::kPersistentVolumeClaim, "default", "c")->selected_node;
  };
  {
    Statement statement(snap);
    EXPECT_TRUE(plugin.Reserve({nullptr, pod.get()}, snap, 1, statement).ok());
    EXPECT_EQ(selected(), "n1");
    std::vector<Intent> intents;
    EXPECT_TRUE(plugin.PreBind({nullptr, pod.get()}, snap, 1, intents).ok());
    ASSERT_EQ(intents.size(), 1u);
    EXPECT_EQ(intents[0].kind, Intent::Kind::kProvisionClaim);
    EXPECT_EQ(static_cast<const PersistentVolumeClaim&>(*intents[0].claim).selected_node, "n1");
  }
  EXPECT_EQ(selected(), std::nullopt);
}

TEST(VolumeBindingTest, BoundClaimsNeedNothing) {
  Snapshot snap = MakeCluster();
  Put(snap, MakePV("v"), MakePVC("c").Bound("v"));
  const auto pod = snap.Resolve(PodWith({ClaimVolume("c")}).Spec());
  const auto made = VolumeBinding::Make(VolumeBindingArgs());
  const auto& plugin = dynamic_cast<const VolumeBinding&>(**made);
  Statement statement(snap);
  std::vector<Intent> intents;
  EXPECT_TRUE(plugin.Reserve({nullptr, pod.get()}, snap, 1, statement).ok());
  EXPECT_TRUE(plugin.PreBind({nullptr, pod.get()}, snap, 1, intents).ok());
  EXPECT_EQ(statement.Checkpoint(), 0u);
  EXPECT_TRUE(intents.empty());
}

TEST(VolumeBindingTest, Score) {
  const MakePVC c = MakePVC("c"), d = MakePVC("d"), e = MakePVC("e").Class("big");
  const auto pv = [](std::string name, const char* size) { return MakePV(std::move(name)).Size(size); };
  const CSIDriver tracked = MakeCSIDriver("csi.x", true);
  const struct {
    const char* what;
    std::vector<MakePVC> claims;
    std::vector<MakePV> volumes;
    std::vector<CSIStorageCapacity> capacities;
    std::vector<int64_t> scores;
  } rows[] = {
      {"half full", {c}, {pv("v", "2Gi")}, {}, {50, 50}},
      {"full", {c}, {pv("v", "1Gi")}, {}, {0, 0}},
      {"a third", {c}, {pv("v", "3Gi")}, {}, {67, 67}},
      {"two of a class are summed", {c, d}, {pv("v", "1Gi"), pv("w", "3Gi")}, {}, {50, 50}},
      {"two classes: the mean, rounded", {c, e}, {pv("v", "2Gi"), pv("w", "3Gi").Class("big")}, {}, {59, 59}},
      {"provisioned, not tracked", {c}, {}, {}, {0, 0}},
      {"provisioned", {c}, {}, {Capacity("a", "a", "4Gi"), Capacity("b", "b", "2Gi")}, {75, 50}},
      {"two provisioned", {c, d}, {}, {Capacity("a", "", "4Gi")}, {50, 50}},
      {"present volumes count alone", {c, d}, {pv("v", "2Gi")}, {Capacity("a", "", "100Gi")}, {50, 50}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    Snapshot snap = MakeCluster();
    Put(snap, MakeClass("big"));
    std::vector<PodVolume> volumes;
    for (const MakePVC& claim : row.claims) {
      Put(snap, claim);
      volumes.push_back(ClaimVolume(claim.Build().name));
    }
    for (const MakePV& v : row.volumes) Put(snap, v);
    for (const auto& capacity : row.capacities) Put(snap, capacity);
    if (!row.capacities.empty()) Put(snap, tracked);
    RunPlugin plugin = Binding();
    const auto pod = snap.Resolve(PodWith(volumes).Spec());
    EXPECT_THAT(plugin.Filter(*pod, snap), ElementsAre("", ""));
    EXPECT_EQ(plugin.ScoreAgain(*pod, snap), row.scores);
  }
}

// As upstream: a profile whose filters are off knows nothing of the nodes' volumes.
TEST(VolumeBindingTest, ScoresNothingUnfiltered) {
  Snapshot snap = MakeCluster();
  Put(snap, MakePV("v").Size("2Gi"), MakePVC("c"));
  RunPlugin plugin = Binding();
  const auto pod = snap.Resolve(PodWith({ClaimVolume("c")}).Spec());
  plugin.PreFilter(*pod, snap);
  EXPECT_THAT(plugin.ScoreAgain(*pod, snap), ElementsAre(0, 0));
}

TEST(VolumeBindingTest, MayHelp) {
  PodVolume csi = Disk(PodVolume::Kind::kCsi, "d");
  const PodPtr pod = PodWith({ClaimVolume("c"), Ephemeral(), csi}).Ptr();
  const PersistentVolumeClaim claim = MakePVC("c").Build(), eph = MakePVC("pod-eph").Build(),
                              other = MakePVC("o").Build(), foreign = MakePVC("c").Ns("x").Build();
  const PersistentVolume volume = MakePV("v").Build();
  const StorageClass plain = MakeClass("s");
  StorageClass zoned = plain, faster = plain;
  zoned.allowed_topologies = {{{"zone", {"a"}}}}, faster.provisioner = "y";
  const CSINode none = MakeCSINode("n", {}), migrated = MakeCSINode("n", {}, "x"), more = MakeCSINode("n", {{"d", 1}});
  const CSIDriver on = MakeCSIDriver("d", true), off = MakeCSIDriver("d", false), e_on = MakeCSIDriver("e", true),
                  e_off = MakeCSIDriver("e", false);
  const CSIStorageCapacity small = Capacity("c", "", "1Gi"), large = Capacity("c", "", "2Gi"),
                           capped = Capacity("c", "", "9Gi", "1Gi"), unknown = Capacity("c", "", nullptr);
  const struct {
    const char* what;
    ClusterEvents event;
    const Object *before, *after;
    bool helps;
  } rows[] = {
      {"its claim", kClaimAdded, nullptr, &claim, true},
      {"its claim again", kClaimUpdated, &claim, &claim, true},
      {"its ephemeral claim", kClaimAdded, nullptr, &eph, true},
      {"another claim", kClaimAdded, nullptr, &other, false},
      {"a namesake", kClaimUpdated, &foreign, &foreign, false},
      {"any volume", kVolumeUpdated, &volume, &volume, true},
      {"a class", kStorageClassAdded, nullptr, &plain, true},
      {"a class's topologies", kStorageClassUpdated, &plain, &zoned, true},
      {"a class otherwise", kStorageClassUpdated, &plain, &faster, false},
      {"a CSINode", kCSINodeAdded, nullptr, &none, true},
      {"what has migrated", kCSINodeUpdated, &none, &migrated, true},
      {"a CSINode otherwise", kCSINodeUpdated, &none, &more, false},
      {"capacity is tracked no more", kCSIDriverUpdated, &on, &off, true},
      {"capacity is tracked now", kCSIDriverUpdated, &off, &on, false},
      {"another driver", kCSIDriverUpdated, &e_on, &e_off, false},
      {"a capacity", kStorageCapacityAdded, nullptr, &small, true},
      {"more capacity", kStorageCapacityUpdated, &small, &large, true},
      {"more that no volume can have", kStorageCapacityUpdated, &small, &capped, false},
      {"capacity known now", kStorageCapacityUpdated, &unknown, &small, true},
      {"capacity known no more", kStorageCapacityUpdated, &small, &unknown, false},
      {"a node", kNodeAdded, nullptr, nullptr, true},
  };
  for (const auto& row : rows) {
    ClusterEvent event{row.event};
    event.old_object = row.before, event.new_object = row.after;
    const auto plugin = VolumeBinding::Make(VolumeBindingArgs());
    EXPECT_EQ((*plugin)->MayHelp(*pod, event), row.helps) << row.what;
  }
}

}  // namespace
}  // namespace muster
