// Devices from the decision to the bind, on the simulated cluster.
#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/engine/binding/claim_flights.h"
#include "scheduler/sim/controllers/claim_controller.h"
#include "test/support/make_devices.h"
#include "test/support/sim_cluster.h"

namespace muster {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// Counts how often a device became a second claim's.
class DeviceAuditor final : public SimApiServer::Observer {
 public:
  explicit DeviceAuditor(SimApiServer& server) : server_(server) { server_.AddObserver(this); }
  ~DeviceAuditor() override { server_.RemoveObserver(this); }
  void OnPod(const PodPtr&, const PodPtr&) override {}
  void OnNode(const NodePtr&, const NodePtr&) override {}
  void OnObject(Kind kind, const ObjectPtr& before, const ObjectPtr& after) override {
    if (kind != Kind::kResourceClaim) return;
    Count(static_cast<const ResourceClaim*>(before.get()), -1);
    Count(static_cast<const ResourceClaim*>(after.get()), +1);
  }
  int twice() const { return twice_; }

 private:
  void Count(const ResourceClaim* claim, int sign) {
    if (claim == nullptr || !claim->allocation) return;
    for (const AllocatedDevice& device : claim->allocation->devices) twice_ += (given_[device.id] += sign) > 1;
  }
  SimApiServer& server_;
  std::map<DeviceId, int> given_;
  int twice_ = 0;
};

class DevicesTest : public ::testing::Test {
 protected:
  explicit DevicesTest(SimClusterOptions options = {}) : c(options), controller(c.loop, c.server) {
    c.server.SetObject(Kind::kDeviceClass, MakeDeviceClass());
  }
  void AddNode(const std::string& name, int devices) {
    c.Create(MakeNode(name).Cpu(100'000).Room("pods", 100));
    c.server.SetObject(Kind::kResourceSlice, MakeSlice(name, devices));
  }
  void Create(const Pod& pod) { EXPECT_TRUE(c.server.CreatePod(pod).ok()); }
  // With a claim of its own for so many, as the controller makes it.
  void CreateAskingFor(int64_t count, const MakePod& made) {
    const Pod pod = WithClaims(made);
    Create(pod);
    c.server.SetObject(Kind::kResourceClaim, MakeDeviceClaim(pod.name, count, pod.uid));
  }
  // Null: there is none.
  const ResourceClaim* Claim(const std::string& name) {
    return static_cast<const ResourceClaim*>(c.server.FindObject(Kind::kResourceClaim, "default", name).get());
  }
  std::string DevicesOf(const std::string& claim) {
    std::string devices;
    const ResourceClaim* found = Claim(claim);
    if (found == nullptr || !found->allocation) return "none";
    for (const AllocatedDevice& device : found->allocation->devices)
      absl::StrAppend(&devices, devices.empty() ? "" : " ", device.id.pool, "/", device.id.device);
    return devices;
  }
  size_t ConsumersOf(const std::string& claim) { return Claim(claim)->reserved_for.size(); }
  std::string Message(const std::string& pod) { return c.server.FindPod("default", pod)->scheduled.message; }

  // Where nothing is under way: no device is two claims', and reservations are of pods or groups that there are.
  void CheckClaims() {
    std::map<DeviceId, std::string> owner;
    std::set<std::string> uids;
    for (const PodPtr& pod : c.server.Pods()) {
      if (!pod->ended) uids.insert(pod->uid);
    }
    for (const auto& [key, object] : c.server.objects().All(Kind::kPodGroup)) uids.insert(object->uid);
    AllocatedDevices sums;
    for (const auto& [key, object] : c.server.objects().All(Kind::kResourceClaim)) {
      const auto& claim = static_cast<const ResourceClaim&>(*object);
      for (const auto& consumer : claim.reserved_for)
        EXPECT_TRUE(uids.contains(consumer.uid)) << claim.name << " is reserved for " << consumer.name << ", gone";
      if (!claim.allocation) {
        EXPECT_TRUE(claim.reserved_for.empty()) << claim.name;
        continue;
      }
      for (const AllocatedDevice& device : claim.allocation->devices) {
        const auto [it, fresh] = owner.emplace(device.id, claim.name);
        EXPECT_TRUE(fresh) << device.id.Text() << " is given to " << it->second << " and " << claim.name;
      }
    }
    size_t taken = 0;
    for (const auto& [id, use] : c.scheduler->cache().devices().allocated()) {
      EXPECT_EQ(use.exclusive, owner.count(id)) << id.Text();
      taken += use.exclusive;
    }
    EXPECT_EQ(taken, owner.size());
    for (const PodPtr& pod : c.server.Pods()) {
      if (pod->node.empty() || pod->ended || pod->deleting) continue;
      for (const PodClaim& named : pod->claims) {
        const ResourceClaim* claim = Claim(named.claim);
        ASSERT_NE(claim, nullptr) << pod->name;
        ASSERT_TRUE(claim->allocation) << pod->name << " runs without its devices";
        EXPECT_EQ(claim->allocation->devices[0].id.pool, pod->node);
      }
    }
  }

  SimCluster c;
  ClaimController controller;
  DeviceAuditor audit{c.server};
};

TEST_F(DevicesTest, GivesEachPodDevicesOfItsOwn) {
  AddNode("n0", 2);
  AddNode("n1", 2);
  for (const char* name : {"a", "b", "c", "d"}) CreateAskingFor(1, MakePod(name));
  ASSERT_TRUE(c.Settle());
  CheckClaims();
  for (const char* name : {"a", "b", "c", "d"}) {
    EXPECT_NE(c.NodeOf(name), "") << name;
    ASSERT_NE(Claim(name), nullptr);
    EXPECT_EQ(Claim(name)->reserved_for,
              (std::vector<ResourceClaim::Consumer>{{"", "pods", name, absl::StrCat("uid-", name)}}));
    EXPECT_TRUE(Claim(name)->finalizer);
  }
  CreateAskingFor(1, MakePod("e"));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("e"), "");
  EXPECT_THAT(Message("e"), StartsWith("0/2 nodes are available: 2 cannot allocate all claims."));
  EXPECT_EQ(DevicesOf("e"), "none");
  // Its devices are free once a pod has ended.
  ASSERT_TRUE(c.server.EndPod("default", "b").ok());
  ASSERT_TRUE(c.Settle());
  EXPECT_NE(c.NodeOf("e"), "");
  EXPECT_EQ(Claim("b"), nullptr);
  CheckClaims();
}

class FewAtOnceTest : public DevicesTest {
 protected:
  FewAtOnceTest() : DevicesTest({.seed = 1, .threads = 1, .faults = {}, .binds_in_flight = 2}) {}
};

TEST_F(FewAtOnceTest, BindsTheFirstBeforeItWritesTheClaimsOfAll) {
  AddNode("n0", 20);
  for (int i = 0; i < 20; ++i) CreateAskingFor(1, MakePod("p" + std::to_string(i)));
  const auto begun = [&] {
    int count = 0;
    for (const PodPtr& pod : c.server.Pods()) count += pod->node.empty() && Claim(pod->name)->finalizer;
    return count;
  };
  int most = 0;
  for (int i = 0; i < 1000; ++i) {
    c.loop.RunFor(absl::Milliseconds(1));
    most = std::max(most, begun());
  }
  EXPECT_EQ(most, 2);
  ASSERT_TRUE(c.Settle());
  for (int i = 0; i < 20; ++i) EXPECT_EQ(c.NodeOf("p" + std::to_string(i)), "n0");
  CheckClaims();
}

TEST_F(DevicesTest, WaitsForClaimsToBeMade) {
  AddNode("n0", 1);
  Pod pod = WithClaims(MakePod("a"));
  pod.claims[0].claim = "";
  pod.claims[0].known = false;
  Create(pod);
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.scheduler->cycles(), 0u);
  // First the pod says which, then it is there.
  ASSERT_TRUE(c.server.UpdatePod("default", "a", [](Pod& made) { made.claims[0] = ClaimNamed("a", true); }).ok());
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.scheduler->cycles(), 0u);
  c.server.SetObject(Kind::kResourceClaim, MakeDeviceClaim("a", 1, "uid-a"));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("a"), "n0");
}

// The claim's finalizer is told before its allocation: the device is not free meanwhile.
TEST_F(DevicesTest, KeepsADeviceWhileItsClaimIsWritten) {
  AddNode("n0", 1);
  for (int us = 0; us < 12'000; us += 200) {
    const std::string a = absl::StrCat("a", us), b = absl::StrCat("b", us);
    CreateAskingFor(1, MakePod(a));
    c.loop.RunFor(absl::Microseconds(us));
    CreateAskingFor(1, MakePod(b));
    ASSERT_TRUE(c.Settle());
    EXPECT_EQ(c.NodeOf(a).empty() + c.NodeOf(b).empty(), 1) << us;
    for (const std::string& name : {a, b}) c.server.DeletePodNow("default", name, "");
    ASSERT_TRUE(c.Settle());
  }
  EXPECT_EQ(audit.twice(), 0);
}

// Nobody knows whether the write took effect until somebody asks.
TEST_F(DevicesTest, KeepsADeviceWhileItsWritesEndIsNotKnown) {
  AddNode("n0", 1);
  c.faulty.set_rates({.lost_answer = 1});
  CreateAskingFor(1, MakePod("a"));
  c.loop.RunFor(absl::Seconds(3));
  CreateAskingFor(1, MakePod("b"));
  c.loop.RunFor(absl::Seconds(30));
  c.faulty.set_rates({});
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("a").empty() + c.NodeOf("b").empty(), 1);
  EXPECT_EQ(audit.twice(), 0);
  CheckClaims();
}

TEST_F(DevicesTest, PodsShareAClaim) {
  AddNode("n0", 1);
  AddNode("n1", 1);
  c.server.SetObject(Kind::kResourceClaim, MakeDeviceClaim("shared", 1));
  for (const char* name : {"a", "b", "c"}) Create(WithClaims(MakePod(name), {ClaimNamed("shared")}));
  ASSERT_TRUE(c.Settle());
  EXPECT_NE(c.NodeOf("a"), "");
  EXPECT_EQ(c.NodeOf("b"), c.NodeOf("a"));
  EXPECT_EQ(c.NodeOf("c"), c.NodeOf("a"));
  EXPECT_EQ(ConsumersOf("shared"), 3u);
  EXPECT_EQ(DevicesOf("shared"), absl::StrCat(c.NodeOf("a"), "/dev-0"));
  CheckClaims();
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(c.server.EndPod("default", name).ok());
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(DevicesOf("shared"), "none");
  CheckClaims();
}

// All of a gang's claims, or none.
TEST_F(DevicesTest, AGangGetsDevicesAsAWhole) {
  AddNode("n0", 2);
  c.CreateGroup("g", 3);
  for (const char* name : {"a", "b", "c"}) CreateAskingFor(1, MakePod(name).Group("g"));
  ASSERT_TRUE(c.Settle());
  for (const char* name : {"a", "b", "c"}) {
    EXPECT_EQ(c.NodeOf(name), "") << name;
    EXPECT_EQ(DevicesOf(name), "none");
  }
  EXPECT_THAT(Message("a"), HasSubstr("cannot allocate all claims"));
  CheckClaims();
  AddNode("n1", 1);
  ASSERT_TRUE(c.Settle());
  for (const char* name : {"a", "b", "c"}) EXPECT_NE(c.NodeOf(name), "") << name;
  CheckClaims();
}

TEST_F(DevicesTest, AGangSharesAClaimThatNobodyHas) {
  AddNode("n0", 1);
  AddNode("n1", 2);
  c.server.SetObject(Kind::kResourceClaim, MakeDeviceClaim("shared", 2));
  c.CreateGroup("g", 3);
  for (const char* name : {"a", "b", "c"}) Create(WithClaims(MakePod(name).Group("g"), {ClaimNamed("shared")}));
  ASSERT_TRUE(c.Settle());
  for (const char* name : {"a", "b", "c"}) EXPECT_EQ(c.NodeOf(name), "n1") << name;
  EXPECT_EQ(ConsumersOf("shared"), 3u);
  CheckClaims();
}

TEST_F(DevicesTest, AClaimOfAGroupIsReservedForTheGroup) {
  AddNode("n0", 1);
  c.CreateGroup("g", 2, [](PodGroup& group) {
    group.uid = "uid-g";
    group.claims.push_back({"own-g", "t", "claim-g", true});
  });
  c.server.SetObject(Kind::kResourceClaim, MakeDeviceClaim("claim-g", 1, "uid-g"));
  for (const char* name : {"a", "b"}) Create(WithClaims(MakePod(name).Group("g"), {{"own-g", "t", "claim-g", true}}));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("a"), "n0");
  EXPECT_EQ(c.NodeOf("b"), "n0");
  ASSERT_EQ(ConsumersOf("claim-g"), 1u);
  EXPECT_EQ(Claim("claim-g")->reserved_for[0].resource, "podgroups");
  CheckClaims();
}

// A refused bind: the reservation is taken back; the allocation stays with the claim, as upstream's.
TEST_F(DevicesTest, AFailedBindGivesTheReservationBack) {
  AddNode("n0", 1);
  c.faulty.set_rates({.refused = 1});
  CreateAskingFor(1, MakePod("a"));
  c.loop.RunFor(absl::Seconds(30));
  EXPECT_EQ(c.NodeOf("a"), "");
  c.faulty.set_rates({});
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("a"), "n0");
  EXPECT_EQ(ConsumersOf("a"), 1u);
  CheckClaims();
}

TEST_F(DevicesTest, APodThatGoesMeanwhileLeavesNothing) {
  AddNode("n0", 1);
  // The decision falls at some 3 ms, and its writes take 2 ms each.
  for (int ms = 0; ms < 12; ++ms) {
    SCOPED_TRACE(ms);
    const std::string a = absl::StrCat("a", ms), b = absl::StrCat("b", ms);
    CreateAskingFor(1, MakePod(a));
    c.loop.RunFor(absl::Milliseconds(ms));
    c.server.DeletePodNow("default", a, "");
    ASSERT_TRUE(c.Settle());
    CheckClaims();
    CreateAskingFor(1, MakePod(b));
    ASSERT_TRUE(c.Settle());
    EXPECT_EQ(c.NodeOf(b), "n0");
    c.server.DeletePodNow("default", b, "");
    ASSERT_TRUE(c.Settle());
  }
}

// Another scheduler takes the device while ours is on its way: ours yields before the bind.
TEST_F(DevicesTest, YieldsToAnotherSchedulersAllocation) {
  AddNode("n0", 1);
  CreateAskingFor(1, MakePod("a"));
  while (DevicesOf("a") == "none") ASSERT_TRUE(c.loop.Step());
  c.server.SetObject(Kind::kResourceClaim, WithDevices(MakeDeviceClaim("theirs", 1), "n0", {"dev-0"}));
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("a"), "");
  EXPECT_EQ(DevicesOf("a"), "none");
  EXPECT_EQ(DevicesOf("theirs"), "n0/dev-0");
  CheckClaims();
  ASSERT_TRUE(c.server.RemoveObject(Kind::kResourceClaim, "default", "theirs").ok());
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("a"), "n0");
  CheckClaims();
}

TEST_F(DevicesTest, AnAllocationInTheWayIsTakenFromTheClaim) {
  AddNode("n0", 1);
  AddNode("n1", 1);
  c.server.SetObject(Kind::kResourceClaim, WithDevices(MakeDeviceClaim("mine", 1), "n0", {"dev-0"}));
  Create(WithClaims(MakePod("a").NodeSelector("kubernetes.io/hostname", "n1"), {ClaimNamed("mine")}));
  ASSERT_TRUE(c.server.UpdateNode("n1", [](Node& node) { node.labels["kubernetes.io/hostname"] = "n1"; }).ok());
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.NodeOf("a"), "n1");
  EXPECT_EQ(DevicesOf("mine"), "n1/dev-0");
}

TEST_F(DevicesTest, NobodyLosesDevicesInARestart) {
  AddNode("n0", 4);
  AddNode("n1", 4);
  for (int i = 0; i < 8; ++i) CreateAskingFor(1, MakePod(absl::StrCat("pod-", i)));
  for (int crash = 0; crash < 6; ++crash) {
    c.loop.RunFor(absl::Milliseconds(3));
    c.RestartScheduler();
  }
  ASSERT_TRUE(c.Settle());
  for (int i = 0; i < 8; ++i) EXPECT_NE(c.NodeOf(absl::StrCat("pod-", i)), "") << i;
  CheckClaims();
}

class DevicesPropertyTest : public ::testing::TestWithParam<uint32_t> {};

// Pods, gangs and shared claims come and go, slices change, the scheduler dies, requests fail: at rest no device is two
// claims', no reservation is of a pod that is gone, and what the scheduler counts is what claims say.
TEST_P(DevicesPropertyTest, ClaimsStaySound) {
  struct World : DevicesTest {
    World(SimClusterOptions options) : DevicesTest(options) {}
    void TestBody() override {}
    using DevicesTest::AddNode, DevicesTest::Create, DevicesTest::CreateAskingFor, DevicesTest::CheckClaims,
        DevicesTest::c, DevicesTest::audit;
  };
  SCOPED_TRACE(absl::StrCat("seed ", GetParam()));
  std::mt19937 random(GetParam());
  SimClusterOptions options;
  options.seed = GetParam();
  World world(options);
  const bool restarts = GetParam() % 2 == 0;
  for (int n = 0; n < 4; ++n) world.AddNode(absl::StrCat("n", n), 2 + n);
  for (int i = 0; i < 3; ++i)
    world.c.server.SetObject(Kind::kResourceClaim, MakeDeviceClaim(absl::StrCat("shared-", i), 1 + i));
  int made = 0;
  for (int round = 0; round < 5; ++round) {
    if (round % 2 == 1) world.c.faulty.set_rates({.refused = 0.1, .lost_answer = 0.1, .slow = 0.2, .cut = 0.02});
    for (int step = 0; step < 12; ++step) {
      const std::string name = absl::StrCat("pod-", made);
      const std::string old = absl::StrCat("pod-", made == 0 ? 0 : random() % static_cast<uint32_t>(made));
      switch (random() % 8) {
        case 0: world.c.server.DeletePodNow("default", old, ""); break;
        case 1: (void)world.c.server.EndPod("default", old); break;
        case 2:
          ++made;
          world.Create(WithClaims(MakePod(name), {ClaimNamed(absl::StrCat("shared-", random() % 3))}));
          break;
        case 3: {
          const std::string group = absl::StrCat("g", made);
          world.c.CreateGroup(group, 2);
          for (int i = 0; i < 2; ++i)
            world.CreateAskingFor(1 + static_cast<int>(random() % 2),
                                  MakePod(absl::StrCat("pod-", made++)).Group(group));
          break;
        }
        default: ++made; world.CreateAskingFor(1 + static_cast<int>(random() % 3), MakePod(name));
      }
      world.c.loop.RunFor(absl::Microseconds(random() % (random() % 3 == 0 ? 20'000 : 3'000)));
      if (restarts && random() % 10 == 0) world.c.RestartScheduler();
    }
    world.c.faulty.set_rates({});
    ASSERT_TRUE(world.c.Settle(absl::Hours(4)));
    world.CheckClaims();
  }
  // A write of a process that is dead may land when its successor has read the claims.
  if (!restarts) {
    EXPECT_EQ(world.audit.twice(), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, DevicesPropertyTest, ::testing::Range(1u, 61u));

}  // namespace
}  // namespace muster
