#include "scheduler/model/device/device_columns.h"

#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/model/snapshot.h"
#include "test/support/make.h"
#include "test/support/make_devices.h"
#include "test/support/make_snapshot.h"

namespace muster {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

template <typename T>
void Put(Snapshot& snap, Kind kind, T object) {
  snap.SetObject(kind, std::make_shared<T>(std::move(object)));
}

std::vector<NodeIndex> ChangedRows(const Snapshot& snap, uint64_t since) {
  std::span<const NodeIndex> rows;
  EXPECT_TRUE(snap.ChangedSince(since, &rows));
  std::vector<NodeIndex> changed(rows.begin(), rows.end());
  std::sort(changed.begin(), changed.end());
  changed.erase(std::unique(changed.begin(), changed.end()), changed.end());
  return changed;
}

Snapshot ThreeNodes() { return MakeSnapshot({MakeNode("n0").Ptr(), MakeNode("n1").Ptr(), MakeNode("n2").Ptr()}); }

TEST(DeviceColumnsTest, ASliceConcernsItsNodeAlone) {
  Snapshot snap = ThreeNodes();
  const uint64_t before = snap.cell_version();
  Put(snap, Kind::kResourceSlice, MakeSlice("n1", 2));
  EXPECT_THAT(ChangedRows(snap, before), ElementsAre(1));
  EXPECT_EQ(snap.devices().VersionOf(0), 0u);
  const uint64_t version = snap.devices().VersionOf(1);
  EXPECT_NE(version, 0u);
  ASSERT_NE(snap.devices().Of("n1"), nullptr);
  EXPECT_EQ(snap.devices().Of("n1")->slices.size(), 1u);
  EXPECT_EQ(snap.devices().OfPool({"d", "n1"}).size(), 1u);

  Put(snap, Kind::kResourceSlice, MakeSlice("n1", 3));
  EXPECT_NE(snap.devices().VersionOf(1), version);
  EXPECT_EQ(snap.devices().Of("n1")->slices[0]->devices.size(), 3u);
  snap.RemoveObject(Kind::kResourceSlice, "", "slice-n1");
  EXPECT_EQ(snap.devices().Of("n1"), nullptr);
  EXPECT_EQ(snap.devices().VersionOf(1), 0u);
  EXPECT_TRUE(snap.devices().allocated().empty());
}

TEST(DeviceColumnsTest, AnInvalidSliceIsNotThere) {
  Snapshot snap = ThreeNodes();
  ResourceSlice slice = MakeSlice("n1", 2);
  slice.invalid = "spec.devices[0]: nonsense";
  Put(snap, Kind::kResourceSlice, slice);
  EXPECT_EQ(snap.devices().Of("n1"), nullptr);
}

TEST(DeviceColumnsTest, SlicesOfNodesThatComeLaterGetTheirRow) {
  Snapshot snap = ThreeNodes();
  Put(snap, Kind::kResourceSlice, MakeSlice("n9", 1));
  EXPECT_EQ(snap.devices().Of("n9")->row, kNoNode);
  snap.Rebuild({MakeNode("n1").Ptr(), MakeNode("n9").Ptr()});
  EXPECT_EQ(snap.devices().Of("n9")->row, 1u);
  EXPECT_NE(snap.devices().VersionOf(1), 0u);
}

TEST(DeviceColumnsTest, ClaimsWithAnAllocationTakeDevices) {
  Snapshot snap = ThreeNodes();
  Put(snap, Kind::kResourceSlice, MakeSlice("n0", 2));
  Put(snap, Kind::kResourceSlice, MakeSlice("n1", 2));
  const DeviceId device{"d", "n1", "dev-1"};
  const DeviceUse& use = snap.devices().allocated().at(device);
  EXPECT_TRUE(use.free());
  const uint64_t slices = snap.devices().Of("n1")->slices_version, before = snap.cell_version();
  Put(snap, Kind::kResourceClaim, WithDevices(MakeDeviceClaim("a", 1), "n1", {"dev-1"}));
  EXPECT_EQ(use.exclusive, 1u);
  EXPECT_THAT(ChangedRows(snap, before), ElementsAre(1));
  EXPECT_EQ(snap.devices().Of("n1")->slices_version, slices);

  // Another scheduler took it too.
  Put(snap, Kind::kResourceClaim, WithDevices(MakeDeviceClaim("b", 1), "n1", {"dev-1"}));
  EXPECT_EQ(use.exclusive, 2u);
  Put(snap, Kind::kResourceClaim, MakeDeviceClaim("a", 1));
  snap.RemoveObject(Kind::kResourceClaim, "default", "b");
  EXPECT_TRUE(use.free());
}

TEST(DeviceColumnsTest, AdminAccessTakesNothingAndSharesAddUp) {
  Snapshot snap = ThreeNodes();
  Put(snap, Kind::kResourceSlice, MakeSlice("n0", 2));
  ResourceClaim claim = WithDevices(MakeDeviceClaim("a", 1), "n0", {"dev-0", "dev-1", "dev-1"});
  claim.allocation->devices[0].admin_access = true;
  for (const size_t i : {1, 2}) {
    claim.allocation->devices[i].share_id = absl::StrCat("share-", i);
    claim.allocation->devices[i].consumed_capacity["memory"].value = Quantity::FromUnits(10);
  }
  Put(snap, Kind::kResourceClaim, claim);
  EXPECT_TRUE(snap.devices().allocated().at({"d", "n0", "dev-0"}).free());
  const DeviceUse& use = snap.devices().allocated().at({"d", "n0", "dev-1"});
  EXPECT_EQ(use.shared, 2u);
  EXPECT_EQ(use.metered, 2u);
  EXPECT_EQ(use.capacity.at("memory").Value(), 20);
  claim.allocation->devices.pop_back();
  Put(snap, Kind::kResourceClaim, claim);
  EXPECT_EQ(use.capacity.at("memory").Value(), 10);
  snap.RemoveObject(Kind::kResourceClaim, "default", "a");
  EXPECT_TRUE(use.free());
  EXPECT_THAT(use.capacity, IsEmpty());
}

// Partitions of one node's hardware share counters with those of no other, but of its pool.
TEST(DeviceColumnsTest, CountersConcernAllNodesOfThePool) {
  Snapshot snap = ThreeNodes();
  for (const char* node : {"n0", "n2"}) {
    ResourceSlice slice = MakeSlice(node, 1);
    slice.pool = "p";
    slice.slice_count = 2;
    slice.devices[0].name = absl::StrCat("dev-", node);
    slice.devices[0].consumes_counters.push_back({"set", {}, {}});
    Put(snap, Kind::kResourceSlice, slice);
  }
  const uint64_t before = snap.cell_version();
  ResourceClaim claim = WithDevices(MakeDeviceClaim("a", 1), "p", {"dev-n0"});
  Put(snap, Kind::kResourceClaim, claim);
  EXPECT_THAT(ChangedRows(snap, before), ElementsAre(0, 2));
}

TEST(DeviceColumnsTest, WhatNamesNoNodeConcernsAllPodsWithClaims) {
  Snapshot snap = ThreeNodes();
  PodSpec pod;
  pod.ns = "default";
  pod.asked.claims.push_back({nullptr, 0, "a", false});
  uint64_t version = snap.devices().VersionFor(pod);
  const auto changed = [&] { return std::exchange(version, snap.devices().VersionFor(pod)) != version; };
  Put(snap, Kind::kResourceSlice, MakeSlice("n0", 1));
  EXPECT_FALSE(changed());
  Put(snap, Kind::kResourceSlice, MakeSlice("", 2));
  EXPECT_TRUE(changed());
  EXPECT_EQ(snap.devices().shared().size(), 1u);
  Put(snap, Kind::kResourceClaim, WithDevices(MakeDeviceClaim("b", 1), "shared", {"dev-1"}));
  EXPECT_TRUE(changed());
  Put(snap, Kind::kResourceClaim, MakeDeviceClaim("other", 1));
  EXPECT_FALSE(changed());
  Put(snap, Kind::kResourceClaim, MakeDeviceClaim("a", 1));
  EXPECT_TRUE(changed());
  Put(snap, Kind::kDeviceClass, MakeDeviceClass());
  EXPECT_TRUE(changed());
}

TEST(DeviceColumnsTest, RulesTaintDevices) {
  Snapshot snap = ThreeNodes();
  Put(snap, Kind::kResourceSlice, MakeSlice("n0", 2));
  DeviceTaintRule rule;
  rule.name = "rule";
  rule.has_selector = true;
  rule.driver = "d";
  rule.device = "dev-1";
  rule.taint = {"broken", "", "NoSchedule"};
  uint64_t forgotten = 0;
  int gone = 0;
  const auto count = [&](const ResourceSlice&) { ++gone; };
  EXPECT_TRUE(snap.devices().ForgottenSince(&forgotten, count));
  Put(snap, Kind::kDeviceTaintRule, rule);
  const auto taints = [&](size_t device) { return snap.devices().Of("n0")->slices[0]->devices[device].taints.size(); };
  EXPECT_EQ(taints(0), 0u);
  EXPECT_EQ(taints(1), 1u);
  EXPECT_TRUE(snap.devices().ForgottenSince(&forgotten, count));
  EXPECT_EQ(gone, 1);
  Put(snap, Kind::kResourceSlice, MakeSlice("n0", 3));
  EXPECT_EQ(taints(1), 1u);
  rule.has_selector = false;  // which matches none
  Put(snap, Kind::kDeviceTaintRule, rule);
  EXPECT_EQ(taints(1), 0u);
  rule.has_selector = true;
  Put(snap, Kind::kDeviceTaintRule, rule);
  snap.RemoveObject(Kind::kDeviceTaintRule, "", "rule");
  EXPECT_EQ(taints(1), 0u);
}

TEST(DeviceColumnsTest, ClaimsThatAskForTheSameAreOne) {
  DeviceColumns columns;
  uint64_t hash = 0, other = 0;
  const auto a = std::make_shared<ResourceClaim>(MakeDeviceClaim("a", 1)), b = std::make_shared<ResourceClaim>(*a),
             c = std::make_shared<ResourceClaim>(MakeDeviceClaim("c", 2));
  b->name = "b";
  EXPECT_EQ(columns.Like(a, &hash), a);
  EXPECT_EQ(columns.Like(b, &other), a);
  EXPECT_EQ(hash, other);
  EXPECT_EQ(columns.Like(c, &other), c);
}

// Whatever comes and goes, in whatever order, the sums are those of the claims that there are.
TEST(DeviceColumnsTest, SumsAreThoseOfTheClaims) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937 random(seed);
    Snapshot snap = ThreeNodes();
    std::map<std::string, ResourceClaim> claims;
    for (int step = 0; step < 300; ++step) {
      const std::string node = absl::StrCat("n", random() % 3), name = absl::StrCat("claim-", random() % 12);
      switch (random() % 5) {
        case 0: Put(snap, Kind::kResourceSlice, MakeSlice(node, 1 + static_cast<int>(random() % 4))); break;
        case 1: snap.RemoveObject(Kind::kResourceSlice, "", absl::StrCat("slice-", node)); break;
        case 2:
          snap.RemoveObject(Kind::kResourceClaim, "default", name);
          claims.erase(name);
          break;
        default: {
          ResourceClaim claim = MakeDeviceClaim(name, 1);
          if (random() % 4 != 0) claim = WithDevices(claim, node, {absl::StrCat("dev-", random() % 4)});
          if (claim.allocation && random() % 3 == 0) claim.allocation->devices[0].share_id = "share";
          Put(snap, Kind::kResourceClaim, claim);
          claims[name] = claim;
        }
      }
    }
    std::map<DeviceId, std::pair<uint32_t, uint32_t>> sums;
    for (const auto& [name, claim] : claims) {
      if (!claim.allocation) continue;
      const AllocatedDevice& device = claim.allocation->devices[0];
      (device.share_id.empty() ? sums[device.id].first : sums[device.id].second) += 1;
    }
    std::map<DeviceId, std::pair<uint32_t, uint32_t>> kept;
    for (const auto& [id, use] : snap.devices().allocated()) {
      if (!use.free()) kept[id] = {use.exclusive, use.shared};
    }
    EXPECT_EQ(kept, sums);
  }
}

}  // namespace
}  // namespace muster
