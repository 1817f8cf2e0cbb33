// Draws areas that are stacked on each other over time, as an SVG picture.
#ifndef MUSTER_BENCH_SCENARIO_STACKED_AREAS_H_
#define MUSTER_BENCH_SCENARIO_STACKED_AREAS_H_

#include <string>
#include <vector>

namespace muster {

struct AreaSeries {
  std::string name;
  size_t group = 0;            // decides the hue; shades differ within a group
  std::vector<double> values;  // >= 0, one for each x
};

struct AreaPanel {
  std::string title, unit;
  std::vector<AreaSeries> series;  // from the bottom
  double limit = 0;                // a dashed line there; 0: none
  std::string limit_name;
};

struct AreaPicture {
  std::string title, x_name;
  std::vector<double> x;  // rising
  struct Mark {
    double x = 0;
    std::string name;
  };
  std::vector<Mark> marks;        // lines across all panels
  std::vector<AreaPanel> panels;  // from the top, over the same x
};

// The steps of an axis from 0 to at least `most` (> 0): 1, 2 or 5 times a power of ten apart, at most seven steps.
std::vector<double> AxisSteps(double most);

std::string DrawAreas(const AreaPicture& picture);

}  // namespace muster

#endif  // MUSTER_BENCH_SCENARIO_STACKED_AREAS_H_
