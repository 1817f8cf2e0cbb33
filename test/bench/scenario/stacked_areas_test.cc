#include "bench/scenario/stacked_areas.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(AxisSteps, AreOneTwoOrFiveTimesAPowerOfTen) {
  EXPECT_THAT(AxisSteps(1), ElementsAre(0, 0.2, 0.4, 0.6000000000000001, 0.8, 1));
  EXPECT_THAT(AxisSteps(7), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_THAT(AxisSteps(8), ElementsAre(0, 2, 4, 6, 8));
  EXPECT_THAT(AxisSteps(80), ElementsAre(0, 20, 40, 60, 80));
  EXPECT_THAT(AxisSteps(47950), ElementsAre(0, 10000, 20000, 30000, 40000, 50000));
}

TEST(AxisSteps, ReachWhatIsAskedForInFewSteps) {
  for (double most = 0.001; most < 1e9; most *= 1.07) {
    const std::vector<double> steps = AxisSteps(most);
    EXPECT_GE(steps.back(), most * (1 - 1e-9)) << most;
    EXPECT_LT(steps[steps.size() - 2], most) << most;
    EXPECT_LE(steps.size(), 9u) << most;
    EXPECT_GE(steps.size(), 3u) << most;
  }
}

TEST(DrawAreas, StacksEachAreaOnThoseBelow) {
  AreaPicture picture;
  picture.title = "a < b";
  picture.x = {0, 10};
  AreaPanel& panel = picture.panels.emplace_back();
  panel.series = {{"below", 0, {5, 5}}, {"above", 1, {5, 0}}};
  const std::string svg = DrawAreas(picture);
  // 260 high, from 72 down to 332, is 10: the first area is from 332 to 202, the second from there to 72 and 202.
  EXPECT_THAT(svg, HasSubstr("d=\"M80.0 202.0L980.0 202.0L980.0 332.0L80.0 332.0Z\""));
  EXPECT_THAT(svg, HasSubstr("d=\"M80.0 72.0L980.0 202.0L980.0 202.0L80.0 202.0Z\""));
  EXPECT_THAT(svg, HasSubstr("a &lt; b"));
  EXPECT_LT(svg.find(">above</text>"), svg.find(">below</text>"));  // as they lie
}

}  // namespace
}  // namespace muster
