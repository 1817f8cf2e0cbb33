// Volumes from the decision to the bind, on the simulated cluster.
#include "scheduler/engine/binding/volume_binding.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/sim/controllers/volume_controller.h"
#include "test/plugins/volume/make_volumes.h"
#include "test/support/sim_cluster.h"

namespace muster {
namespace {

using ::testing::HasSubstr;

constexpr char kHost[] = "kubernetes.io/hostname";

class VolumeBindingEngineTest : public ::testing::Test {
 protected:
  explicit VolumeBindingEngineTest(SimClusterOptions options = {}) : c(options) {
    Put(MakeClass("fast"));
    Put(MakeClass("local", "WaitForFirstConsumer", "kubernetes.io/no-provisioner"));
  }
  template <typename T>
  void Put(const T& object) {
    c.server.SetObject(KindOf(object), object);
  }
  void Put(const MakePV& v) { c.server.SetObject(Kind::kPersistentVolume, v.Build()); }
  void Put(const MakePVC& v) { c.server.SetObject(Kind::kPersistentVolumeClaim, v.Build()); }
  const PersistentVolume& Volume(const std::string& name) {
    return static_cast<const PersistentVolume&>(*c.server.FindObject(Kind::kPersistentVolume, "", name));
  }
  const PersistentVolumeClaim& Claim(const std::string& name) {
    return static_cast<const PersistentVolumeClaim&>(
        *c.server.FindObject(Kind::kPersistentVolumeClaim, "default", name));
  }
  std::string Message(const std::string& pod) { return c.server.FindPod("default", pod)->scheduled.message; }
  // What the scheduler takes for true.
  const PersistentVolume* Assumed(const std::string& name) {
    return c.scheduler->cache().objects().Get<PersistentVolume>(Kind::kPersistentVolume, "", name);
  }

  SimCluster c;
};

TEST_F(VolumeBindingEngineTest, BindsAPresentVolume) {
  VolumeController controller(c.loop, c.server);
  for (const char* name : {"n0", "n1", "n2"}) c.Create(MakeNode(name));
  Put(MakePV("v").Class("local").On({In(kHost, {"n1"})}));
  Put(MakePVC("c").Class("local"));
  c.Create(PodWith({ClaimVolume("c")}));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("pod"), "n1");
  EXPECT_EQ(Volume("v").claim_ref, (ClaimReference{"default", "c", "uid-c"}));
  EXPECT_TRUE(Volume("v").bound_by_controller);
  EXPECT_EQ(Claim("c").volume_name, "v");
}

TEST_F(VolumeBindingEngineTest, HasAVolumeProvisioned) {
  VolumeController controller(c.loop, c.server);
  c.Create(MakeNode("n0"));
  Put(MakePVC("c"));
  c.Create(PodWith({ClaimVolume("c")}));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("pod"), "n0");
  EXPECT_EQ(Claim("c").selected_node, "n0");
  EXPECT_EQ(Volume("pvc-uid-c").claim_ref, (ClaimReference{"default", "c", "uid-c"}));
}

TEST_F(VolumeBindingEngineTest, GivesAVolumeOnce) {
  VolumeController controller(c.loop, c.server);
  c.Create(MakeNode("n0"));
  Put(MakePV("v").Class("local"));
  for (const char* name : {"a", "b"}) {
    Put(MakePVC(name).Class("local"));
    c.Create(PodWith({ClaimVolume(name)}, name));
  }
  ASSERT_TRUE(c.Settle());
  const std::string late = c.NodeOf("a").empty() ? "a" : "b";
  EXPECT_EQ(c.NodeOf(late == "a" ? "b" : "a"), "n0");
  EXPECT_EQ(c.NodeOf(late), "");
  EXPECT_THAT(Message(late), HasSubstr("node(s) didn't find available persistent volumes to bind"));
  Put(MakePV("w").Class("local"));  // wakes it
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf(late), "n0");
}

TEST_F(VolumeBindingEngineTest, GivesUpWaitingAfterAWhile) {
  c.Create(MakeNode("n0"));
  Put(MakePVC("c"));
  c.Create(PodWith({ClaimVolume("c")}));
  c.loop.RunFor(absl::Minutes(9));
  EXPECT_EQ(Claim("c").selected_node, "n0");
  EXPECT_EQ(Message("pod"), "");
  c.loop.RunFor(absl::Minutes(2));
  EXPECT_EQ(Message("pod"), "running PreBind plugin \"VolumeBinding\": binding volumes: context deadline exceeded");
  EXPECT_EQ(c.NodeOf("pod"), "");
  VolumeController controller(c.loop, c.server);
  Put(MakePVC("c").Selected("n0"));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("pod"), "n0");
}

TEST_F(VolumeBindingEngineTest, TriesAgainWhereProvisioningFailed) {
  c.Create(MakeNode("n0"));
  Put(MakePVC("c"));
  c.Create(PodWith({ClaimVolume("c")}));
  c.loop.RunFor(absl::Seconds(1));
  ASSERT_EQ(Claim("c").selected_node, "n0");
  Put(MakePVC("c"));  // the provisioner takes the node away
  c.loop.RunFor(absl::Milliseconds(20));
  EXPECT_EQ(Message("pod"),
            "running PreBind plugin \"VolumeBinding\": binding volumes: provisioning failed for PVC \"c\"");
  VolumeController controller(c.loop, c.server);
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("pod"), "n0");
}

TEST_F(VolumeBindingEngineTest, RefusesAVolumeThatIsElsewhere) {
  c.Create(MakeNode("n0"));
  Put(MakePVC("c"));
  c.Create(PodWith({ClaimVolume("c")}));
  c.loop.RunFor(absl::Seconds(1));
  Put(MakePVC("c").Selected("n0").Bound("v"));
  Put(MakePV("v").For("c", "uid-c").On({In(kHost, {"n9"})}));
  c.loop.RunFor(absl::Milliseconds(20));
  EXPECT_THAT(Message("pod"),
              HasSubstr("pv \"v\" node affinity doesn't match node \"n0\": no matching NodeSelectorTerms"));
}

TEST_F(VolumeBindingEngineTest, WaitsForWhatTheWatchTellsLate) {
  c.Create(MakeNode("n0"));
  Put(MakePVC("c"));
  c.Create(PodWith({ClaimVolume("c")}));
  c.loop.RunFor(absl::Seconds(1));
  Put(MakePVC("c").Selected("n0").Bound("v"));
  c.loop.RunFor(absl::Seconds(5));
  EXPECT_EQ(c.NodeOf("pod"), "");
  Put(MakePV("v").For("c", "uid-c"));
  c.loop.RunFor(absl::Seconds(1));
  EXPECT_EQ(c.NodeOf("pod"), "n0");
}

TEST_F(VolumeBindingEngineTest, AVolumeThatChangedMeanwhileIsLeftAlone) {
  c.Create(MakeNode("n0"));
  Put(MakePV("v").Class("local"));
  Put(MakePVC("c").Class("local"));
  c.Create(PodWith({ClaimVolume("c")}));
  while (Assumed("v") == nullptr || !Assumed("v")->claim_ref) ASSERT_TRUE(c.loop.Step());
  Put(MakePV("v").Class("local").For("other", "uid-other"));  // before our write arrives
  c.loop.RunFor(absl::Seconds(1));
  EXPECT_THAT(Message("pod"), HasSubstr("the object has been modified"));
  EXPECT_EQ(Volume("v").claim_ref->name, "other");
  EXPECT_EQ(Assumed("v")->claim_ref->name, "other");
  EXPECT_EQ(c.NodeOf("pod"), "");
}

TEST_F(VolumeBindingEngineTest, AGonePodLeavesNoTrace) {
  c.Create(MakeNode("n0"));
  Put(MakePV("v").Class("local"));
  Put(MakePVC("c").Class("local"));
  c.Create(PodWith({ClaimVolume("c")}));
  while (Assumed("v") == nullptr || !Assumed("v")->claim_ref) ASSERT_TRUE(c.loop.Step());
  c.server.SetObject(Kind::kPersistentVolume, MakePV("v").Class("local").Size("3Gi").Build());  // our write will fail
  c.server.DeletePodNow("default", "pod", "");
  c.loop.RunFor(absl::Seconds(1));
  EXPECT_FALSE(Assumed("v")->claim_ref);
  EXPECT_TRUE(c.scheduler->Idle());
}

class VolumeFaultsTest : public VolumeBindingEngineTest {
 protected:
  static SimClusterOptions Faulty() {
    SimClusterOptions options;
    options.seed = 7;
    options.faults.refused = 0.2;
    options.faults.lost_answer = 0.1;
    return options;
  }
  VolumeFaultsTest() : VolumeBindingEngineTest(Faulty()) {}
};

TEST_F(VolumeFaultsTest, ManyPodsInTheEnd) {
  VolumeController controller(c.loop, c.server);
  for (int i = 0; i < 4; ++i) c.Create(MakeNode(absl::StrCat("n", i)));
  for (int i = 0; i < 30; ++i) {
    const std::string name = absl::StrCat("p", i);
    const bool local = i % 3 == 0;
    if (local) Put(MakePV("v" + name).Class("local").On({In(kHost, {absl::StrCat("n", i % 4)})}));
    Put(local ? MakePVC(name).Class("local") : MakePVC(name));
    c.Create(PodWith({ClaimVolume(name)}, name));
  }
  ASSERT_TRUE(c.Settle());
  for (int i = 0; i < 30; ++i) {
    const std::string name = absl::StrCat("p", i);
    const std::string node = c.NodeOf(name);
    EXPECT_NE(node, "") << name;
    EXPECT_TRUE(Claim(name).FullyBound());
    const PersistentVolume& volume = Volume(Claim(name).volume_name);
    EXPECT_EQ(volume.claim_ref, (ClaimReference{"default", name, "uid-" + name}));
    if (i % 3 == 0) {
      EXPECT_EQ(volume.affinity.required[0].expressions[0].values[0], node);
    }
  }
}

// The volumes of all pods of a gang are ready before the first of them is bound.
TEST_F(VolumeBindingEngineTest, TheFirstBindOfAGangWaitsForAllItsVolumes) {
  c.Create(MakeNode("n0"));
  for (const char* name : {"a", "b"}) Put(MakePVC(name));
  c.Create(PodWith({ClaimVolume("a")}, "a").Group("g", GroupRef::Source::kLabels, 3));
  c.Create(PodWith({ClaimVolume("b")}, "b").Group("g", GroupRef::Source::kLabels, 3));
  c.Create(MakePod("c").Group("g", GroupRef::Source::kLabels, 3));
  c.loop.RunFor(absl::Seconds(1));
  EXPECT_EQ(Claim("a").selected_node, "n0");
  EXPECT_EQ(c.scheduler->cache().assumed_count(), 3u);
  EXPECT_EQ(c.server.binds(), 0u);
  Put(MakePVC("b"));  // the provisioner takes the node away
  c.loop.RunFor(absl::Milliseconds(20));
  EXPECT_THAT(Message("b"), HasSubstr("provisioning failed for PVC \"b\""));
  for (const char* name : {"a", "c"}) EXPECT_THAT(Message(name), HasSubstr("pod default/b of the group: "));
  EXPECT_EQ(c.scheduler->cache().assumed_count(), 0u);
  Put(MakePVC("a"));
  VolumeController controller(c.loop, c.server);
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.server.binds(), 3u);
}

}  // namespace
}  // namespace muster
