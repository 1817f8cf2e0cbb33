#include "scheduler/runtime/reflector.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/runtime/fake_api_server.h"
#include "test/runtime/manual_loop.h"

namespace muster {
namespace {

using Type = WatchEvent::Type;
using testing::ElementsAre;
using testing::IsEmpty;

PodPtr MakeVersion(const std::string& name, const std::string& uid, uint64_t version) {
  auto spec = std::make_shared<PodSpec>();
  spec->ns = "ns";
  auto pod = std::make_shared<Pod>();
  pod->name = name;
  pod->uid = uid;
  pod->resource_version = version;
  pod->spec = std::move(spec);
  return pod;
}
WatchEvent Event(Type type, const std::string& name, const std::string& uid, uint64_t version) {
  return {type, version, MakeVersion(name, uid, version)};
}
WatchEvent Mark(Type type, uint64_t version) { return {type, version, {}}; }

class ReflectorTest : public testing::Test {
 protected:
  ReflectorTest() { reflector_.Start(); }

  FakeApiServer::OpenWatch& Watch() { return api_.watches.back(); }
  void Tell(std::vector<WatchEvent> events) { Watch().handler.on_events(std::move(events)); }
  void End(ApiCode code, Duration retry_after = absl::ZeroDuration()) {
    Watch().handler.on_end({code, "why", retry_after});
  }
  std::vector<std::string> Told() { return std::exchange(told_, {}); }

  ManualLoop loop_;
  FakeApiServer api_;
  Random random_{1};
  std::vector<std::string> told_;
  Reflector reflector_{
      loop_,
      api_,
      Kind::kPod,
      random_,
      {.on_event =
           [this](const WatchEvent& event) {
             const Pod& pod = *std::get<PodPtr>(event.object);
             const char* verb = event.type == Type::kAdded ? "+" : event.type == Type::kModified ? "~" : "-";
             told_.push_back(absl::StrCat(verb, pod.name, "/", pod.uid));
           },
       .on_synced = [this] { told_.push_back("synced"); },
       .on_status = [this](const ApiStatus& s) { told_.push_back(s.ok() ? "up" : "down"); }}};
};

TEST_F(ReflectorTest, TellsTheStateThenTheChanges) {
  EXPECT_EQ(Watch().resource_version, 0u);
  Tell({Event(Type::kAdded, "a", "1", 5), Event(Type::kAdded, "b", "2", 6)});
  EXPECT_FALSE(reflector_.synced());
  Tell({Mark(Type::kSynced, 9)});
  EXPECT_TRUE(reflector_.synced());
  EXPECT_THAT(Told(), ElementsAre("+a/1", "+b/2", "synced", "up"));
  Tell({Event(Type::kModified, "a", "1", 10), Event(Type::kDeleted, "b", "2", 11), Event(Type::kAdded, "c", "3", 12)});
  EXPECT_THAT(Told(), ElementsAre("~a/1", "-b/2", "+c/3"));
  EXPECT_EQ(reflector_.size(), 2u);
}

TEST_F(ReflectorTest, ResumesWhereTheStreamEnded) {
  Tell({Event(Type::kAdded, "a", "1", 5), Mark(Type::kSynced, 9), Mark(Type::kBookmark, 20)});
  End(ApiCode::kOk);
  loop_.Advance(absl::ZeroDuration());
  ASSERT_EQ(api_.watches.size(), 2u);
  EXPECT_EQ(Watch().resource_version, 20u);
  EXPECT_TRUE(api_.watches[0].alive.expired());
}

TEST_F(ReflectorTest, BacksOffMoreAndMoreAndTellsOnce) {
  Tell({Mark(Type::kSynced, 9)});
  Told();
  Duration waited[4];
  for (Duration& wait : waited) {
    const size_t before = api_.watches.size();
    End(ApiCode::kUnreachable);
    for (wait = absl::ZeroDuration(); api_.watches.size() == before; wait += absl::Milliseconds(10)) {
      loop_.Advance(absl::Milliseconds(10));
    }
  }
  EXPECT_LT(waited[0], absl::Milliseconds(310));
  EXPECT_GT(waited[3], absl::Milliseconds(790));
  EXPECT_LT(waited[3], absl::Milliseconds(2410));
  EXPECT_EQ(Watch().resource_version, 9u);
  EXPECT_THAT(Told(), testing::Each("down"));
  Tell({Mark(Type::kBookmark, 10)});
  EXPECT_THAT(Told(), ElementsAre("up"));
}

TEST_F(ReflectorTest, AnAcceptedStreamWorksBeforeAnythingHappens) {
  Tell({Mark(Type::kSynced, 9)});
  End(ApiCode::kUnreachable);
  loop_.Advance(absl::Seconds(1));
  Told();
  Tell({});
  EXPECT_THAT(Told(), ElementsAre("up"));
}

TEST_F(ReflectorTest, HonoursRetryAfter) {
  End(ApiCode::kTooManyRequests, absl::Seconds(7));
  loop_.Advance(absl::Milliseconds(6900));
  EXPECT_EQ(api_.watches.size(), 1u);
  loop_.Advance(absl::Milliseconds(200));
  EXPECT_EQ(api_.watches.size(), 2u);
}

TEST_F(ReflectorTest, AfterGoneTellsWhatHappenedUnseen) {
  Tell({Event(Type::kAdded, "a", "1", 1), Event(Type::kAdded, "b", "2", 2), Event(Type::kAdded, "c", "3", 3),
        Event(Type::kAdded, "d", "4", 4), Mark(Type::kSynced, 9)});
  Told();
  End(ApiCode::kGone);
  loop_.Advance(absl::ZeroDuration());
  EXPECT_EQ(Watch().resource_version, 0u);
  // a is as it was, b changed, c was made anew, d went, e came.
  Tell({Event(Type::kAdded, "a", "1", 1), Event(Type::kAdded, "b", "2", 12), Event(Type::kAdded, "c", "33", 13),
        Event(Type::kAdded, "e", "5", 14)});
  Tell({Mark(Type::kSynced, 20)});
  EXPECT_THAT(Told(), ElementsAre("~b/2", "-c/3", "+c/33", "+e/5", "-d/4", "synced"));
}

TEST_F(ReflectorTest, ABrokenStartForgetsNothing) {
  Tell({Event(Type::kAdded, "a", "1", 1), Event(Type::kAdded, "b", "2", 2), Mark(Type::kSynced, 9)});
  End(ApiCode::kGone);
  loop_.Advance(absl::ZeroDuration());
  Tell({Event(Type::kAdded, "a", "1", 1)});
  End(ApiCode::kUnreachable);
  loop_.Advance(absl::Seconds(1));
  EXPECT_EQ(Watch().resource_version, 0u);
  Told();
  Tell({Event(Type::kAdded, "b", "2", 2), Mark(Type::kSynced, 30)});
  EXPECT_THAT(Told(), ElementsAre("-a/1", "synced", "up"));
}

TEST_F(ReflectorTest, GoneAgainAndAgainBacksOff) {
  for (int i = 0; i < 3; ++i) {
    End(ApiCode::kGone);
    loop_.Advance(absl::ZeroDuration());
  }
  EXPECT_EQ(api_.watches.size(), 2u);  // the second refusal waits
}

TEST_F(ReflectorTest, SilentShortStreamsAreNotAskedInATightCircle) {
  Tell({Mark(Type::kSynced, 9)});
  for (int i = 0; i < 100 && api_.watches.size() < 50; ++i) {
    Tell({});
    End(ApiCode::kOk);
    loop_.Advance(absl::Milliseconds(1));
  }
  EXPECT_LE(api_.watches.size(), 3u);
}

TEST_F(ReflectorTest, IgnoresTheDeletionOfAnotherUid) {
  Tell({Event(Type::kAdded, "a", "1", 1), Mark(Type::kSynced, 9)});
  Told();
  Tell({Event(Type::kDeleted, "a", "0", 10), Event(Type::kDeleted, "b", "2", 11)});
  EXPECT_THAT(Told(), IsEmpty());
}

TEST(ReflectorEndTest, DestroyedWhileItWaits) {
  ManualLoop loop;
  FakeApiServer api;
  Random random(1);
  {
    Reflector reflector(loop, api, Kind::kNode, random, {});
    reflector.Start();
    api.watches.back().handler.on_end({ApiCode::kUnreachable, "", {}});
  }
  EXPECT_EQ(loop.timers(), 0u);
  EXPECT_TRUE(api.watches.back().alive.expired());
}

}  // namespace
}  // namespace muster
