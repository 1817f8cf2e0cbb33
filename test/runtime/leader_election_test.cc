#include "scheduler/runtime/leader_election.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/runtime/fake_api_server.h"
#include "test/runtime/manual_loop.h"

namespace muster {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class LeaderElectionTest : public testing::Test {
 protected:
  // Answers the oldest request, which must be of this kind.
  void Answer(const std::string& verb, ApiCode code, const Lease& lease = {}) {
    ASSERT_FALSE(api_.leases.empty()) << "no request, want " << verb;
    FakeApiServer::LeaseCall call = api_.TakeLease();
    ASSERT_EQ(call.verb, verb);
    last_ = call.lease;
    call.done({code, "", {}}, code == ApiCode::kOk && lease.holder.empty() && verb != "get" ? call.lease : lease);
  }
  Lease HeldBy(const std::string& holder, int renewal) {
    Lease lease;
    lease.ns = "ns";
    lease.name = "muster";
    lease.holder = holder;
    lease.duration_seconds = 15;
    lease.transitions = 4;
    // A clock that is a day behind: it must not matter.
    lease.renewed = loop_.Now() - absl::Hours(24) + absl::Seconds(renewal);
    lease.acquired = absl::FromUnixSeconds(5);
    return lease;
  }
  void BecomeLeader() {
    election_.Start();
    Answer("get", ApiCode::kNotFound);
    Answer("create", ApiCode::kOk);
    ASSERT_TRUE(election_.leading());
    told_.clear();
  }
  // A waiting candidate's next attempt comes within 2.2 retry periods.
  void NextAttempt() { loop_.Advance(absl::Milliseconds(4400)); }

  ManualLoop loop_;
  FakeApiServer api_;
  Random random_{1};
  Lease last_;
  std::vector<std::string> told_;
  LeaderElection election_{loop_,
                           api_,
                           random_,
                           {.ns = "ns", .name = "muster", .identity = "me"},
                           {.on_started = [this] { told_.push_back("leads"); },
                            .on_lost = [this] { told_.push_back("lost"); },
                            .on_new_leader = [this](const std::string& who) { told_.push_back("holder " + who); },
                            .on_error = {}}};
};

TEST_F(LeaderElectionTest, CreatesTheLease) {
  election_.Start();
  Answer("get", ApiCode::kNotFound);
  Answer("create", ApiCode::kOk);
  EXPECT_THAT(told_, ElementsAre("holder me", "leads"));
  EXPECT_EQ(last_.holder, "me");
  EXPECT_EQ(last_.duration_seconds, 15);
  EXPECT_EQ(last_.transitions, 0);
  EXPECT_EQ(last_.acquired, loop_.Now());
}

TEST_F(LeaderElectionTest, RenewsEveryPeriodWithoutReading) {
  BecomeLeader();
  const Time acquired = loop_.Now();
  for (int i = 0; i < 3; ++i) {
    loop_.Advance(absl::Seconds(2));
    Answer("update", ApiCode::kOk);
    EXPECT_EQ(last_.renewed, loop_.Now());
    EXPECT_EQ(last_.acquired, acquired);
  }
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(LeaderElectionTest, TakesALeaseOnlyWhenItStoodStillForItsDurationByOurClock) {
  const Lease first = HeldBy("other", 0), second = HeldBy("other", 1);
  election_.Start();
  Answer("get", ApiCode::kOk, first);
  loop_.Advance(absl::Seconds(5));
  Answer("get", ApiCode::kOk, second);  // renewed: the wait starts again
  const Time seen = loop_.Now();
  while (!election_.leading() && loop_.Now() < seen + absl::Seconds(25)) {
    loop_.Advance(absl::Milliseconds(100));
    if (api_.leases.empty()) continue;
    if (api_.leases.front().verb == "get") Answer("get", ApiCode::kOk, second);
    if (!api_.leases.empty()) Answer("update", ApiCode::kOk);
  }
  EXPECT_TRUE(election_.leading());
  EXPECT_GE(loop_.Now() - seen, absl::Seconds(15));
  EXPECT_LE(loop_.Now() - seen, absl::Seconds(15 + 4.5));  // and the longest wait between attempts
  EXPECT_EQ(last_.transitions, 5);
}

TEST_F(LeaderElectionTest, GivesUpWhenItCannotRenewInTime) {
  BecomeLeader();
  for (int i = 0; i < 9; ++i) {
    loop_.Advance(absl::Seconds(1));
    if (!api_.leases.empty()) Answer("update", ApiCode::kUnreachable);
  }
  EXPECT_THAT(told_, IsEmpty());
  loop_.Advance(absl::Seconds(1));
  EXPECT_THAT(told_, ElementsAre("lost"));
  EXPECT_FALSE(election_.leading());
  EXPECT_EQ(loop_.timers(), 0u);
}

TEST_F(LeaderElectionTest, GivesUpWhenAnAnswerNeverComes) {
  BecomeLeader();
  loop_.Advance(absl::Seconds(10));
  EXPECT_THAT(told_, ElementsAre("lost"));
}

TEST_F(LeaderElectionTest, GivesUpAtOnceWhenAnotherHoldsIt) {
  BecomeLeader();
  loop_.Advance(absl::Seconds(2));
  Answer("update", ApiCode::kConflict);
  Answer("get", ApiCode::kOk, HeldBy("other", 0));
  EXPECT_THAT(told_, ElementsAre("holder other", "lost"));
}

TEST_F(LeaderElectionTest, AConflictOverItsOwnLeaseIsReadAndWrittenAgain) {
  BecomeLeader();
  loop_.Advance(absl::Seconds(2));
  Answer("update", ApiCode::kConflict);
  Lease ours = HeldBy("me", 0);
  Answer("get", ApiCode::kOk, ours);
  Answer("update", ApiCode::kOk);
  EXPECT_EQ(last_.acquired, ours.acquired);
  EXPECT_EQ(last_.transitions, 4);
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(LeaderElectionTest, MakesADeletedLeaseAnew) {
  BecomeLeader();
  loop_.Advance(absl::Seconds(2));
  Answer("update", ApiCode::kNotFound);
  Answer("get", ApiCode::kNotFound);
  Answer("create", ApiCode::kOk);
  EXPECT_TRUE(election_.leading());
}

TEST_F(LeaderElectionTest, TakesAReleasedLeaseAndCountsTheTransition) {
  election_.Start();
  Answer("get", ApiCode::kOk, HeldBy("", 0));
  Answer("update", ApiCode::kOk);
  EXPECT_EQ(last_.transitions, 5);
  EXPECT_TRUE(election_.leading());
}

TEST_F(LeaderElectionTest, LosesTheRaceAndWaits) {
  election_.Start();
  Answer("get", ApiCode::kOk, HeldBy("", 0));
  Answer("update", ApiCode::kConflict);
  EXPECT_FALSE(election_.leading());
  NextAttempt();
  Answer("get", ApiCode::kOk, HeldBy("other", 1));
  EXPECT_THAT(told_, ElementsAre("holder other"));
}

TEST_F(LeaderElectionTest, Releases) {
  BecomeLeader();
  bool done = false;
  election_.Release([&] { done = true; });
  EXPECT_FALSE(done);
  Answer("update", ApiCode::kOk);
  EXPECT_TRUE(done);
  EXPECT_EQ(last_.holder, "");
  EXPECT_EQ(last_.duration_seconds, 1);
  EXPECT_EQ(loop_.timers(), 0u);
}

TEST_F(LeaderElectionTest, ReleaseWaitsForTheAnswerUnderWay) {
  BecomeLeader();
  loop_.Advance(absl::Seconds(2));
  bool done = false;
  election_.Release([&] { done = true; });
  Answer("update", ApiCode::kOk);  // the renewal
  EXPECT_FALSE(done);
  Answer("update", ApiCode::kOk);  // the release
  EXPECT_EQ(last_.holder, "");
  EXPECT_TRUE(done);
}

TEST_F(LeaderElectionTest, AStandbyReleasesNothing) {
  election_.Start();
  Answer("get", ApiCode::kOk, HeldBy("other", 0));
  bool done = false;
  election_.Release([&] { done = true; });
  EXPECT_TRUE(done);
  EXPECT_TRUE(api_.leases.empty());
}

}  // namespace
}  // namespace muster
