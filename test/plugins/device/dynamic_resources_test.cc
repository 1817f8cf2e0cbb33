#include "plugins/device/dynamic_resources.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/framework/statement.h"
#include "scheduler/model/pod_group.h"
#include "test/support/make.h"
#include "test/support/make_devices.h"
#include "test/support/make_snapshot.h"
#include "test/support/run_plugin.h"

namespace muster {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kNone[] = "R: cannot allocate all claims";
constexpr char kElsewhere[] = "R: resourceclaim not available on the node";

class DynamicResourcesTest : public ::testing::Test {
 protected:
  explicit DynamicResourcesTest(int nodes = 3) : snap_(MakeSnapshot(Nodes(nodes))), run_(DynamicResources::Make({})) {
    Put(Kind::kDeviceClass, MakeDeviceClass());
  }
  // "n0", "n1", ...
  static std::vector<NodePtr> Nodes(int count) {
    std::vector<NodePtr> nodes;
    for (int i = 0; i < count; ++i) nodes.push_back(MakeNode(absl::StrCat("n", i)).Ptr());
    return nodes;
  }
  template <typename T>
  void Put(Kind kind, T object) {
    snap_.SetObject(kind, std::make_shared<T>(std::move(object)));
  }
  // Devices on n0 and n1, as many as is said.
  void PutSlices(int on_n0, int on_n1) {
    Put(Kind::kResourceSlice, MakeSlice("n0", on_n0));
    Put(Kind::kResourceSlice, MakeSlice("n1", on_n1));
  }
  void PutClaim(const ResourceClaim& claim) { Put(Kind::kResourceClaim, claim); }
  // A pod with a claim of its own for so many.
  Pod PodAskingFor(int64_t count, const std::string& name = "pod") {
    PutClaim(MakeDeviceClaim(name, count, absl::StrCat("uid-", name)));
    return WithClaims(MakePod(name));
  }
  PodInfoPtr InfoOf(const Pod& pod) {
    auto spec = std::make_shared<PodSpec>(*pod.spec);
    spec->asked = snap_.AskClaims(pod, true);
    return snap_.Resolve(std::move(spec));
  }
  std::vector<std::string> Filter(const Pod& pod) { return run_.Filter(*InfoOf(pod), snap_); }
  std::string PreFilter(const Pod& pod) {
    const Outcome& outcome = run_.PreFilter(*InfoOf(pod), snap_);
    return outcome.reasons.empty() ? std::string(CodeName(outcome.code))
                                   : absl::StrCat(std::string(CodeName(outcome.code)), ": ", outcome.reasons[0]);
  }
  const DynamicResources& plugin() const { return dynamic_cast<const DynamicResources&>(run_.plugin()); }
  const ResourceClaim& Claim(const std::string& name) {
    return *snap_.objects().Get<ResourceClaim>(Kind::kResourceClaim, "default", name);
  }
  Outcome Reserve(const Pod& pod, NodeIndex node, Statement& statement) {
    return plugin().Reserve({&pod, InfoOf(pod).get()}, snap_, node, statement);
  }

  Snapshot snap_;
  RunPlugin run_;
};

TEST_F(DynamicResourcesTest, HasNothingToSayOfPodsWithoutClaims) {
  EXPECT_EQ(PreFilter(MakePod().Build()), "Skip");
  PodClaim none{"own", "t", "", true};  // the controller says that none is needed
  EXPECT_EQ(PreFilter(WithClaims(MakePod(), {none})), "Skip");
}

TEST_F(DynamicResourcesTest, RejectsPodsWhoseClaimsAreNotThere) {
  Pod pod = WithClaims(MakePod());
  const auto both = [&](const std::string& why) {
    EXPECT_EQ(PreFilter(pod), absl::StrCat("UnschedulableAndUnresolvable: ", why));
    EXPECT_THAT(plugin().PreEnqueue(pod, snap_.objects()).reasons, ElementsAre(why));
  };
  pod.claims[0].known = false;
  both("pod \"default/pod\": ResourceClaim not created yet");
  pod.claims[0].known = true;
  both("could not find v1.ResourceClaim \"default/pod\"");
  PutClaim(MakeDeviceClaim("pod", 1, "uid-other"));
  both("ResourceClaim default/pod was not created for Pod default/pod (Pod is not owner)");
  ResourceClaim claim = MakeDeviceClaim("pod", 1, "uid-pod");
  claim.deleting = true;
  PutClaim(claim);
  both("resourceclaim \"pod\" is being deleted");
  claim.deleting = false;
  PutClaim(claim);
  EXPECT_EQ(PreFilter(pod), "Success");
  EXPECT_TRUE(plugin().PreEnqueue(pod, snap_.objects()).ok());
  snap_.RemoveObject(Kind::kDeviceClass, "", "c");
  EXPECT_EQ(PreFilter(pod), "UnschedulableAndUnresolvable: request r: device class c does not exist");
}

TEST_F(DynamicResourcesTest, TakesNodesThatHaveEnoughDevices) {
  PutSlices(2, 1);
  EXPECT_THAT(Filter(PodAskingFor(1)), ElementsAre("", "", kNone));
  EXPECT_THAT(Filter(PodAskingFor(2)), ElementsAre("", kNone, kNone));
  PutClaim(WithDevices(MakeDeviceClaim("other", 1), "n0", {"dev-0"}));
  EXPECT_THAT(Filter(PodAskingFor(2)), ElementsAre(kNone, kNone, kNone));
  EXPECT_THAT(Filter(PodAskingFor(1)), ElementsAre("", "", kNone));
}

TEST_F(DynamicResourcesTest, SeesWhatChangesAfterPreFilter) {
  PutSlices(1, 1);
  const PodInfoPtr info = InfoOf(PodAskingFor(1));
  EXPECT_THAT(run_.Filter(*info, snap_), ElementsAre("", "", kNone));
  PutClaim(WithDevices(MakeDeviceClaim("other", 1), "n0", {"dev-0"}));
  EXPECT_THAT(run_.FilterAgain(*info, snap_), ElementsAre(kNone, "", kNone));
  Put(Kind::kResourceSlice, MakeSlice("n2", 1));
  EXPECT_THAT(run_.FilterAgain(*info, snap_), ElementsAre(kNone, "", ""));
  snap_.RemoveObject(Kind::kResourceClaim, "default", "other");
  EXPECT_THAT(run_.FilterAgain(*info, snap_), ElementsAre("", "", ""));
}

class DynamicResourcesOf60Test : public DynamicResourcesTest {
 protected:
  DynamicResourcesOf60Test() : DynamicResourcesTest(60) {}
  void Look(const PodInfo& info, NodeSet nodes) {
    Feasible look(nodes, {0, snap_.words()});
    look.BeginPlugin(0);
    EXPECT_TRUE(plugin().Filter(info, snap_, state_, look).ok());
  }
  // How many nodes were asked: as explaining tells, which asks none itself.
  size_t Asked(const PodInfo& info) {
    NodeSet nodes = snap_.all();
    Rejections rejections;
    rejections.Reset(snap_.size());
    Feasible explained(nodes, {0, snap_.words()}, &rejections);
    explained.BeginPlugin(0);
    EXPECT_TRUE(plugin().Filter(info, snap_, state_, explained).ok());
    size_t asked = 0;
    for (const Rejections::OfNode& of : rejections.nodes) {
      const std::string_view why = rejections.texts.Text(of.reasons.at(0));
      EXPECT_THAT(std::string(why), AnyOf("gave up looking for devices after 20000 steps",
                                          "devices were not looked for: the steps of one decision were used up"));
      asked += why.starts_with("gave up");
    }
    return asked;
  }
  CycleState state_;
};

// 17 of 32 that differ in what has 16 values: 20,001 steps a node, of 400,000 in all. Nodes that were not reached are
// neither reached by explaining nor by trying one, but by the next look.
TEST_F(DynamicResourcesOf60Test, LooksWithinABudgetOfSteps) {
  const auto slice_of = [](const std::string& node) {
    ResourceSlice slice = MakeSlice(node, 32);
    for (size_t i = 0; i < 32; ++i)
      slice.devices[i].attributes["d/a"] = {DeviceAttribute::Type::kInt, false, {static_cast<int64_t>(i / 2)}, {}};
    return slice;
  };
  for (NodeIndex n = 0; n < snap_.size(); ++n) Put(Kind::kResourceSlice, slice_of(snap_.node(n).name));
  ResourceClaim claim = MakeDeviceClaim("pod", 17, "uid-pod");
  claim.constraints.push_back({{}, "", "d/a"});
  PutClaim(claim);
  const PodInfoPtr info = InfoOf(WithClaims(MakePod()));
  NodeSet candidates = snap_.all();
  ASSERT_TRUE(plugin().PreFilter(*info, snap_, state_, candidates).ok());
  Look(*info, snap_.all());
  EXPECT_EQ(Asked(*info), 20u);
  EXPECT_EQ(Asked(*info), 20u);
  NodeSet one(snap_.size());
  one.Add(59);
  Look(*info, one);
  EXPECT_EQ(Asked(*info), 20u);
  Look(*info, snap_.all());
  EXPECT_EQ(Asked(*info), 40u);
  // One whose devices are others now is asked though no step is left.
  Put(Kind::kResourceSlice, slice_of(snap_.node(59).name));
  Look(*info, one);
  EXPECT_EQ(Asked(*info), 41u);
}

// An answer about a slice's device says nothing of one that took its place.
TEST_F(DynamicResourcesTest, AsksNewSlicesAnew) {
  for (int round = 0; round < 50; ++round) {
    ResourceSlice slice = MakeSlice("n0", 1);
    slice.devices[0].attributes["round"] = {DeviceAttribute::Type::kInt, false, {round}, {}};
    Put(Kind::kResourceSlice, slice);
    ResourceClaim claim = MakeDeviceClaim("pod", 1, "uid-pod");
    claim.requests[0].selectors = {absl::StrCat("device.attributes['d'].round == ", round / 2 * 2)};
    snap_.RemoveObject(Kind::kResourceClaim, "default", "pod");
    PutClaim(claim);
    EXPECT_THAT(Filter(WithClaims(MakePod())), ElementsAre(round % 2 == 0 ? "" : kNone, kNone, kNone)) << round;
  }
}

TEST_F(DynamicResourcesTest, GoesWhereItsClaimsDevicesAre) {
  PutSlices(2, 2);
  PutClaim(WithDevices(MakeDeviceClaim("shared", 1), "n1", {"dev-0"}));
  EXPECT_THAT(Filter(WithClaims(MakePod(), {ClaimNamed("shared")})), ElementsAre(kElsewhere, "", kElsewhere));
  // With another that is to be allocated: n0 could, but for the first.
  PutClaim(MakeDeviceClaim("more", 2));
  const Pod pod = WithClaims(MakePod(), {ClaimNamed("shared"), ClaimNamed("more")});
  EXPECT_THAT(Filter(pod), ElementsAre(kElsewhere, kNone, kNone));
}

TEST_F(DynamicResourcesTest, RefusesAClaimWithTooManyConsumers) {
  PutSlices(1, 1);
  ResourceClaim claim = WithDevices(MakeDeviceClaim("shared", 1), "n1", {"dev-0"});
  for (int i = 0; i < 256; ++i)
    claim.reserved_for.push_back({"", "pods", absl::StrCat("p", i), absl::StrCat("uid-p", i)});
  PutClaim(claim);
  EXPECT_EQ(PreFilter(WithClaims(MakePod(), {ClaimNamed("shared")})),
            "UnschedulableAndUnresolvable: resourceclaim in use");
  EXPECT_EQ(PreFilter(WithClaims(MakePod("p7"), {ClaimNamed("shared")})), "Success");
}

TEST_F(DynamicResourcesTest, ShapesAreOneWhereClaimsAskForTheSame) {
  PutSlices(2, 2);
  const Pod a = PodAskingFor(1, "a"), b = PodAskingFor(1, "b"), c = PodAskingFor(2, "c");
  const auto asked = [&](const Pod& pod) { return snap_.AskClaims(pod, true); };
  EXPECT_EQ(asked(a), asked(b));
  EXPECT_NE(asked(a), asked(c));
  EXPECT_NE(snap_.AskClaims(a, false), snap_.AskClaims(b, false));
  PutClaim(WithDevices(Claim("b"), "n1", {"dev-1"}));
  EXPECT_NE(asked(a), asked(b));
  EXPECT_THAT(Filter(b), ElementsAre(kElsewhere, "", kElsewhere));
  EXPECT_THAT(Filter(a), ElementsAre("", "", kNone));
  // A claim that pods name is no other's, allocated or not.
  PutClaim(MakeDeviceClaim("d", 1));
  EXPECT_NE(asked(a), asked(WithClaims(MakePod("e"), {ClaimNamed("d")})));
}

TEST_F(DynamicResourcesTest, AssumesDevicesAndRollsBack) {
  PutSlices(2, 0);
  const Pod a = PodAskingFor(1, "a"), b = PodAskingFor(1, "b"), c = PodAskingFor(1, "c");
  Statement statement(snap_);
  ASSERT_TRUE(Reserve(a, 0, statement).ok());
  ASSERT_TRUE(Reserve(b, 0, statement).ok());
  EXPECT_EQ(Claim("a").allocation->devices[0].id.Text(), "d/n0/dev-0");
  EXPECT_EQ(Claim("b").allocation->devices[0].id.Text(), "d/n0/dev-1");
  EXPECT_EQ(Claim("a").reserved_for, (std::vector<ResourceClaim::Consumer>{{"", "pods", "a", "uid-a"}}));
  EXPECT_THAT(Filter(c), ElementsAre(kNone, kNone, kNone));
  EXPECT_THAT(Reserve(c, 0, statement).reasons, ElementsAre("cannot allocate all claims"));
  std::vector<Intent> intents;
  ASSERT_TRUE(plugin().PreBind({&a, InfoOf(a).get()}, snap_, 0, intents).ok());
  ASSERT_EQ(intents.size(), 1u);
  EXPECT_EQ(intents[0].kind, Intent::Kind::kReserveClaim);
  EXPECT_EQ(intents[0].claim->name, "a");
  EXPECT_EQ(intents[0].consumer.uid, "uid-a");
  statement.Rollback(0);
  EXPECT_FALSE(Claim("a").allocation);
  EXPECT_THAT(Filter(c), ElementsAre("", kNone, kNone));
}

TEST_F(DynamicResourcesTest, SharesAClaimThatAnotherPodJustGot) {
  PutSlices(2, 2);
  PutClaim(MakeDeviceClaim("shared", 1));
  const Pod a = WithClaims(MakePod("a"), {ClaimNamed("shared")}), b = WithClaims(MakePod("b"), {ClaimNamed("shared")});
  EXPECT_THAT(Filter(b), ElementsAre("", "", kNone));
  Statement statement(snap_);
  ASSERT_TRUE(Reserve(a, 1, statement).ok());
  EXPECT_THAT(Filter(b), ElementsAre(kElsewhere, "", kElsewhere));
  ASSERT_TRUE(Reserve(b, 1, statement).ok());
  EXPECT_EQ(Claim("shared").reserved_for.size(), 2u);
  EXPECT_EQ(Claim("shared").allocation->devices.size(), 1u);
}

TEST_F(DynamicResourcesTest, ReservesAGroupsClaimForTheGroup) {
  PutSlices(1, 1);
  PodGroup group;
  group.ns = "default", group.name = "g", group.uid = "uid-g";
  group.claims.push_back({"own-g", "t", "claim-g", true});
  Put(Kind::kPodGroup, group);
  PutClaim(MakeDeviceClaim("claim-g", 1, "uid-g"));
  const PodClaim named{"own-g", "t", "claim-g", true};
  const Pod a = WithClaims(MakePod("a").Group("g"), {named}), b = WithClaims(MakePod("b").Group("g"), {named});
  Statement statement(snap_);
  ASSERT_TRUE(Reserve(a, 1, statement).ok());
  ASSERT_TRUE(Reserve(b, 1, statement).ok());
  EXPECT_EQ(Claim("claim-g").reserved_for,
            (std::vector<ResourceClaim::Consumer>{{"scheduling.k8s.io", "podgroups", "g", "uid-g"}}));
}

TEST_F(DynamicResourcesTest, PrefersEarlierAlternatives) {
  PutSlices(3, 1);
  ResourceClaim claim = MakeDeviceClaim("pod", 0, "uid-pod");
  claim.requests[0] = {};
  claim.requests[0].name = "r";
  claim.requests[0].first_available = {MakeDeviceRequest(3, "three"), MakeDeviceRequest(1, "one")};
  PutClaim(claim);
  const Pod pod = WithClaims(MakePod());
  EXPECT_THAT(Filter(pod), ElementsAre("", "", kNone));
  EXPECT_THAT(run_.ScoreAgain(*InfoOf(pod), snap_), ElementsAre(100, 87, 0));  // 8 and 7 of 8
}

TEST_F(DynamicResourcesTest, ABrokenSelectorIsAnError) {
  PutSlices(1, 1);
  ResourceClaim claim = MakeDeviceClaim("pod", 1, "uid-pod");
  claim.requests[0].selectors = {"device.attributes['d'].absent == 1"};
  PutClaim(claim);
  const PodInfoPtr info = InfoOf(WithClaims(MakePod()));
  CycleState state;
  NodeSet candidates = snap_.all();
  ASSERT_TRUE(plugin().PreFilter(*info, snap_, state, candidates).ok());
  NodeSet alive = snap_.all();
  Feasible nodes(alive, {0, snap_.words()});
  nodes.BeginPlugin(0);
  EXPECT_THAT(std::string(plugin().Filter(*info, snap_, state, nodes).message()),
              testing::HasSubstr("claim default/pod: selector #0 on device d/n0/dev-0: CEL runtime error"));
  DynamicResourcesArgs args;
  args.nodes_fail_alone = true;
  RunPlugin lenient(DynamicResources::Make(args));
  EXPECT_THAT(lenient.Filter(*info, snap_),
              ElementsAre(testing::StartsWith("R: \1claim default/pod"), testing::StartsWith("R: \1claim"), kNone));
}

TEST_F(DynamicResourcesTest, WakesThoseThatAChangeMayHelp) {
  const Pod mine = WithClaims(MakePod("a")), other = WithClaims(MakePod("b"));
  const ResourceClaim none = MakeDeviceClaim("a", 1, "uid-a"), given = WithDevices(none, "n0", {"dev-0"});
  ResourceClaim finalized = none;
  finalized.finalizer = true;
  const struct {
    const ResourceClaim *before, *after;
    bool mine, others;
  } kRows[] = {
      {nullptr, &none, true, false},      // it is there now
      {&none, &finalized, false, false},  // nothing that matters
      {&none, &given, true, false},       // its place is known now
      {&given, &none, true, true},        // devices are free
      {&given, nullptr, true, true},      // likewise
      {&none, nullptr, false, false},
  };
  for (const auto& row : kRows) {
    const ClusterEvent event{kResourceClaimChanged, nullptr, nullptr, nullptr, nullptr, row.before, row.after};
    EXPECT_EQ(plugin().MayHelp(mine, event), row.mine) << &row - kRows;
    EXPECT_EQ(plugin().MayHelp(other, event), row.others) << &row - kRows;
  }
  Pod waiting = mine;
  waiting.claims[0].known = false;
  EXPECT_FALSE(plugin().MayHelp(waiting, {kSelfClaims}));
  EXPECT_TRUE(plugin().MayHelp(mine, {kSelfClaims}));
  EXPECT_TRUE(plugin().MayHelp(mine, {kDevicesChanged}));
}

}  // namespace
}  // namespace muster
