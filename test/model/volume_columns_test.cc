#include "scheduler/model/volume_columns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "test/plugins/volume/make_volumes.h"
#include "test/support/make_snapshot.h"

namespace muster {
namespace {

constexpr int64_t kNone = VolumeColumns::kNoLimit;

TEST(VolumeColumnsTest, FollowsCSINodesAndAttachments) {
  Snapshot snap = MakeSnapshot({MakeNode("a").Ptr(), MakeNode("c").Ptr()});
  const auto& columns = snap.volumes();
  EXPECT_EQ(columns.Limits("x"), nullptr);
  Put(snap, MakeCSINode("c", {{"x", 3}, {"y", -1}}), MakeCSINode("b", {{"x", 5}}), MakeAttachment("1", "x", "c", "v"),
      MakeAttachment("2", "x", "b", "w"));
  EXPECT_EQ(columns.csi_node(0), nullptr);
  EXPECT_EQ(columns.csi_node(1)->name, "c");
  EXPECT_EQ(columns.Limits("y"), nullptr);
  EXPECT_EQ(columns.Limits("x")[0], kNone);
  EXPECT_EQ(columns.Limits("x")[1], 3);
  EXPECT_EQ(columns.attachment_counts()[1], 1);

  snap.Rebuild({MakeNode("a").Ptr(), MakeNode("b").Ptr(), MakeNode("c").Ptr()});
  EXPECT_EQ(columns.Limits("x")[1], 5);
  EXPECT_EQ(columns.Limits("x")[2], 3);
  EXPECT_EQ(columns.attachments(1)[0]->name, "2");
  EXPECT_EQ(columns.attachments(2)[0]->name, "1");

  Put(snap, MakeCSINode("c", {{"y", 1}}), MakeAttachment("1", "x", "a", "v"));  // moved
  EXPECT_EQ(columns.Limits("x")[2], kNone);
  EXPECT_EQ(columns.Limits("y")[2], 1);
  EXPECT_EQ(columns.attachment_counts()[0], 1);
  EXPECT_EQ(columns.attachment_counts()[2], 0);

  snap.RemoveObject(Kind::kCSINode, "", "b");
  snap.RemoveObject(Kind::kVolumeAttachment, "", "2");
  EXPECT_EQ(columns.csi_node(1), nullptr);
  EXPECT_EQ(columns.Limits("x")[1], kNone);
  EXPECT_TRUE(columns.attachments(1).empty());
}

TEST(VolumeColumnsTest, CountsVolumesOfPods) {
  using K = PodVolume::Kind;
  Snapshot snap =
      MakeSnapshot({MakeNode("a").Ptr()}, {PodWith({ClaimVolume("x"), ClaimVolume("y")}, "p").Node("a").Ptr(),
                                           PodWith({Disk(K::kRbd, "i")}, "q").Node("a").Ptr()});
  EXPECT_EQ(snap.ClaimVolumes()[0], 2);
  const PodPtr inlined = PodWith({Disk(K::kGcePd, "d"), Ephemeral()}, "r").Ptr();
  const PodInfoPtr info = snap.Resolve(inlined->spec);
  snap.AddPod({inlined.get(), info.get()}, 0);
  EXPECT_EQ(snap.ClaimVolumes()[0], 2 + 2 * Snapshot::kUncountable);
  snap.RemovePod(*inlined, 0);
  EXPECT_EQ(snap.ClaimVolumes()[0], 2);
}

}  // namespace
}  // namespace muster
