#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "plugins/queueing/default_binder.h"
#include "plugins/queueing/priority_sort.h"
#include "plugins/queueing/scheduling_gates.h"
#include "test/support/make.h"

namespace muster {
namespace {

TEST(SchedulingGatesTest, GatedPodsWait) {
  const SchedulingGates plugin;
  EXPECT_TRUE(plugin.PreEnqueue(MakePod().Build(), {}).ok());
  const Outcome one = plugin.PreEnqueue(MakePod().Gate("foo").Build(), {});
  EXPECT_EQ(one.code, Code::kUnschedulableAndUnresolvable);
  EXPECT_EQ(one.reasons, std::vector<std::string>{"waiting for scheduling gates: [foo]"});
  const Outcome two = plugin.PreEnqueue(MakePod().Gate("foo").Gate("bar").Build(), {});
  EXPECT_EQ(two.reasons, std::vector<std::string>{"waiting for scheduling gates: [foo bar]"});
  EXPECT_EQ(plugin.RequeueOn(), kSelfGates);
}

TEST(PrioritySortTest, PriorityThenTime) {
  const PrioritySort plugin;
  const Time t1 = absl::UnixEpoch(), t2 = t1 + absl::Nanoseconds(1);
  EXPECT_TRUE(plugin.Less({10, t2}, {9, t1}));
  EXPECT_FALSE(plugin.Less({9, t1}, {10, t2}));
  EXPECT_TRUE(plugin.Less({10, t1}, {10, t2}));
  EXPECT_FALSE(plugin.Less({10, t2}, {10, t1}));
  EXPECT_FALSE(plugin.Less({10, t1}, {10, t1}));
  EXPECT_TRUE(plugin.Less({-1, t1}, {-2, t1}));
}

TEST(DefaultBinderTest, AsksForABind) {
  std::vector<Intent> intents;
  EXPECT_TRUE(DefaultBinder().Bind(PodInfo(), 0, intents).ok());
  ASSERT_EQ(intents.size(), 1u);
  EXPECT_EQ(intents[0].kind, Intent::Kind::kBind);
}

}  // namespace
}  // namespace muster
