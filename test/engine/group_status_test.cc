#include "scheduler/engine/group_status.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "test/runtime/fake_api_server.h"
#include "test/runtime/manual_loop.h"

namespace muster {
namespace {

class GroupStatusTest : public testing::Test {
 protected:
  GroupStatusTest() {
    object_.ns = "default";
    object_.name = "g";
    object_.uid = "uid-g";
    object_.min_count = 4;
  }
  // So many pods of a coscheduling group are bound.
  void Bound(size_t pods) {
    GroupState state;
    state.object = &object_;
    state.min = 4;
    state.bound = state.placed = pods;
    status_.Update({"default", GroupRef::Source::kCoscheduling, "g"}, state, "muster", 4 - pods);
  }
  // What the server is asked, which takes it from there; "" = nothing.
  std::string Answer(ApiCode code = ApiCode::kOk) {
    if (api_.group_patches.empty()) return "";
    auto [patch, done] = std::move(api_.group_patches.front());
    api_.group_patches.pop_front();
    if (code == ApiCode::kOk) object_.phase = patch.phase;
    done({code, "", {}});
    return absl::StrCat(patch.phase, " ", patch.scheduled);
  }

  ManualLoop loop_;
  FakeApiServer api_;
  EventRecorder recorder_{loop_, api_, "test"};
  GroupStatus status_{loop_, api_, recorder_};
  PodGroup object_;
};

TEST_F(GroupStatusTest, OneWriteAtATimeAndTheLastWins) {
  Bound(1);
  Bound(2);
  Bound(4);
  EXPECT_EQ(api_.group_patches.size(), 1u);
  EXPECT_EQ(Answer(), "Scheduling 1");
  EXPECT_EQ(Answer(), "Scheduled 4");
  EXPECT_EQ(Answer(), "");
  Bound(4);
  EXPECT_EQ(Answer(), "");
}

TEST_F(GroupStatusTest, AWriteThatFailedIsMadeAgainUnlessThereIsNews) {
  Bound(1);
  EXPECT_EQ(Answer(ApiCode::kServerError), "Scheduling 1");
  EXPECT_EQ(Answer(), "");
  loop_.Advance(absl::Seconds(5));
  EXPECT_EQ(Answer(ApiCode::kConflict), "Scheduling 1");
  Bound(4);
  EXPECT_EQ(Answer(), "Scheduled 4");
  loop_.Advance(absl::Seconds(5));
  EXPECT_EQ(Answer(), "");
}

TEST_F(GroupStatusTest, AStandbyWritesNoMore) {
  Bound(1);
  Bound(4);
  status_.SetActive(false);
  EXPECT_EQ(Answer(ApiCode::kServerError), "Scheduling 1");
  loop_.Advance(absl::Seconds(5));
  EXPECT_EQ(Answer(), "");
}

}  // namespace
}  // namespace muster
