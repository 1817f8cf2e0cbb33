#include "scheduler/sim/sim_event_loop.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/runtime/random.h"

namespace muster {
namespace {

using ::testing::ElementsAre;

class SimEventLoopTest : public ::testing::Test {
 protected:
  std::function<void()> Say(std::string what) {
    return [this, what] { said_.push_back(what); };
  }
  Time At(int64_t seconds) const { return SimEventLoop::Epoch() + absl::Seconds(seconds); }

  SimEventLoop loop_;
  std::vector<std::string> said_;
};

TEST_F(SimEventLoopTest, RunsInOrderOfTimeThenOfAsking) {
  loop_.At(At(2), Say("c"));
  loop_.At(At(1), Say("a"));
  loop_.At(At(1), Say("b"));
  loop_.Post(Say("now"));
  loop_.At(At(-5), Say("past"));
  loop_.Run();
  EXPECT_THAT(said_, ElementsAre("now", "past", "a", "b", "c"));
  EXPECT_EQ(loop_.Now(), At(2));
}

TEST_F(SimEventLoopTest, PostedWhileRunningComesBehindWhatIsDue) {
  loop_.At(At(1), [&] {
    loop_.Post(Say("posted"));
    said_.push_back("first");
  });
  loop_.At(At(1), Say("second"));
  loop_.Run();
  EXPECT_THAT(said_, ElementsAre("first", "second", "posted"));
}

TEST_F(SimEventLoopTest, SpendMakesEarlierEventsLateNotLost) {
  loop_.At(At(1), [&] { loop_.Spend(absl::Seconds(10)); });
  std::vector<Time> ran;
  loop_.At(At(3), [&] { ran.push_back(loop_.Now()); });
  loop_.At(At(12), [&] { ran.push_back(loop_.Now()); });
  loop_.Run();
  EXPECT_THAT(ran, ElementsAre(At(11), At(12)));
}

TEST_F(SimEventLoopTest, CancelledNeverRunsAndAnOldIdCancelsNothing) {
  const auto first = loop_.At(At(1), Say("first"));
  loop_.Cancel(first);
  const auto second = loop_.At(At(2), Say("second"));
  loop_.Cancel(first);  // its slot may be in use again
  loop_.Run();
  loop_.Cancel(second);
  loop_.At(At(3), Say("third"));
  loop_.Cancel(second);
  loop_.Run();
  EXPECT_THAT(said_, ElementsAre("second", "third"));
  EXPECT_EQ(loop_.pending(), 0u);
}

TEST_F(SimEventLoopTest, CancelInsideTheEventItself) {
  EventLoop::TimerId id = 0;
  id = loop_.At(At(1), [&] {
    loop_.Cancel(id);
    said_.push_back("ran");
  });
  loop_.At(At(1), Say("next"));
  loop_.Run();
  EXPECT_THAT(said_, ElementsAre("ran", "next"));
}

TEST_F(SimEventLoopTest, RunUntilIncludesItsEndAndSetsTheClock) {
  loop_.At(At(5), Say("at"));
  loop_.At(At(6), Say("after"));
  loop_.RunUntil(At(5));
  EXPECT_THAT(said_, ElementsAre("at"));
  loop_.RunFor(absl::Milliseconds(500));
  EXPECT_EQ(loop_.Now(), At(5) + absl::Milliseconds(500));
  EXPECT_EQ(loop_.NextTime(), At(6));
  EXPECT_EQ(loop_.pending(), 1u);
}

// Against the obvious model: a list sorted by (time, sequence).
TEST_F(SimEventLoopTest, AgreesWithASortedListUnderRandomCancels) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    SimEventLoop loop;
    std::vector<int> ran, want;
    std::vector<std::pair<Time, int>> model;
    std::vector<EventLoop::TimerId> ids;
    for (int i = 0; i < 500; ++i) {
      const Time when = SimEventLoop::Epoch() + absl::Seconds(static_cast<int64_t>(random.Below(40)));
      ids.push_back(loop.At(when, [&ran, i] { ran.push_back(i); }));
      model.emplace_back(when, i);
      if (random.Below(2) == 0) {
        const int victim = static_cast<int>(random.Below(ids.size()));
        loop.Cancel(ids[static_cast<size_t>(victim)]);
        std::erase_if(model, [&](const auto& m) { return m.second == victim; });
      }
    }
    EXPECT_EQ(loop.pending(), model.size());
    loop.Run();
    std::stable_sort(model.begin(), model.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [when, i] : model) want.push_back(i);
    EXPECT_EQ(ran, want);
  }
}

}  // namespace
}  // namespace muster
