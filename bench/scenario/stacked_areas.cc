#include "bench/scenario/stacked_areas.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace muster {
namespace {

constexpr double kLeft = 80, kTop = 72, kWidth = 900, kHeight = 260, kGap = 74, kLegend = 190;
constexpr double kLegendLine = 15;

std::string Escaped(const std::string& text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}});
}

// 1234567 -> "1,234,567"; below ten with one digit where it is not whole.
std::string Number(double value) {
  if (value < 10 && value != std::floor(value)) return absl::StrFormat("%.1f", value);
  std::string text = absl::StrFormat("%.0f", value);
  for (size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

std::string Colour(const AreaPanel& panel, size_t s) {
  static constexpr double kHues[] = {212, 130, 28, 280, 350, 60};
  const size_t group = panel.series[s].group;
  size_t before = 0, all = 0;
  for (size_t i = 0; i < panel.series.size(); ++i) {
    if (panel.series[i].group != group) continue;
    if (i < s) ++before;
    ++all;
  }
  const double at = all < 2 ? 0.3 : static_cast<double>(before) / static_cast<double>(all - 1);
  return absl::StrFormat("hsl(%.0f,%.0f%%,%.0f%%)", kHues[group % std::size(kHues)], 62 - 12 * at, 42 + 40 * at);
}

class Drawing {
 public:
  explicit Drawing(const AreaPicture& picture) : picture_(picture), sums_(picture.x.size()) {}

  std::string Draw() && {
    const double width = kLeft + kWidth + kLegend + 20;
    const double height = kTop + static_cast<double>(picture_.panels.size()) * (kHeight + kGap) + 10;
    absl::StrAppendFormat(&out_,
                          "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" "
                          "height=\"%.0f\" font-family=\"sans-serif\" font-size=\"12\">\n"
                          "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
                          width, height, width, height);
    Text(kLeft, 22, "start", picture_.title, "font-size=\"16\"");
    for (size_t p = 0; p < picture_.panels.size(); ++p) {
      Panel(picture_.panels[p], kTop + static_cast<double>(p) * (kHeight + kGap), p + 1 == picture_.panels.size());
    }
    return out_ + "</svg>\n";
  }

 private:
  double X(double x) const {
    const double first = picture_.x.front(), last = picture_.x.back();
    return kLeft + (last > first ? (x - first) / (last - first) : 0) * kWidth;
  }
  void Text(double x, double y, const char* anchor, const std::string& text, const char* style = "") {
    absl::StrAppendFormat(&out_, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" %s>%s</text>\n", x, y, anchor, style,
                          Escaped(text));
  }
  void Line(double x1, double y1, double x2, double y2, const char* style) {
    absl::StrAppendFormat(&out_, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n", x1, y1, x2, y2, style);
  }

  void Panel(const AreaPanel& panel, double top, bool last) {
    std::fill(sums_.begin(), sums_.end(), 0);
    for (const AreaSeries& series : panel.series) {
      for (size_t i = 0; i < sums_.size(); ++i) sums_[i] += series.values[i];
    }
    const std::vector<double> steps =
        AxisSteps(std::max({1.0, panel.limit, *std::max_element(sums_.begin(), sums_.end())}));
    const auto y = [&](double value) { return top + kHeight * (1 - value / steps.back()); };
    Text(kLeft, top - 24, "start", absl::StrCat(panel.title, " (", panel.unit, ")"), "font-weight=\"bold\"");
    Areas(panel, y);
    for (const double step : steps) {
      Line(kLeft, y(step), kLeft + kWidth, y(step), "stroke=\"black\" stroke-opacity=\"0.12\"");
      Text(kLeft - 6, y(step) + 4, "end", Number(step));
    }
    Line(kLeft, top, kLeft, top + kHeight, "stroke=\"black\"");
    Line(kLeft, top + kHeight, kLeft + kWidth, top + kHeight, "stroke=\"black\"");
    for (const double step : AxisSteps(picture_.x.back())) {
      if (step < picture_.x.front() || step > picture_.x.back()) continue;
      Line(X(step), top + kHeight, X(step), top + kHeight + 4, "stroke=\"black\"");
      Text(X(step), top + kHeight + 17, "middle", Number(step));
    }
    if (last) Text(kLeft + kWidth / 2, top + kHeight + 36, "middle", picture_.x_name);
    for (const AreaPicture::Mark& mark : picture_.marks) {
      Line(X(mark.x), top, X(mark.x), top + kHeight, "stroke=\"#b00\" stroke-dasharray=\"2 3\"");
      Text(X(mark.x) + 3, top - 8, "start", mark.name, "fill=\"#b00\" font-size=\"11\"");
    }
    if (panel.limit > 0) {
      Line(kLeft, y(panel.limit), kLeft + kWidth, y(panel.limit), "stroke=\"black\" stroke-dasharray=\"6 4\"");
      Text(kLeft + kWidth - 4, y(panel.limit) - 4, "end", absl::StrCat(panel.limit_name, " ", Number(panel.limit)),
           "font-size=\"11\"");
    }
    Legend(panel, top);
  }

  template <typename Y>
  void Areas(const AreaPanel& panel, Y y) {
    std::fill(sums_.begin(), sums_.end(), 0);
    for (size_t s = 0; s < panel.series.size(); ++s) {
      std::string under;
      absl::StrAppend(&out_, "<path fill=\"", Colour(panel, s), "\" stroke=\"white\" stroke-width=\"0.3\" d=\"");
      for (size_t i = 0; i < sums_.size(); ++i) {
        under = absl::StrFormat("L%.1f %.1f", X(picture_.x[i]), y(sums_[i])) + under;
        sums_[i] += panel.series[s].values[i];
        absl::StrAppendFormat(&out_, "%c%.1f %.1f", i == 0 ? 'M' : 'L', X(picture_.x[i]), y(sums_[i]));
      }
      absl::StrAppend(&out_, under, "Z\"/>\n");
    }
  }

  // The topmost area first.
  void Legend(const AreaPanel& panel, double top) {
    double y = top + 8;
    for (size_t s = panel.series.size(); s-- > 0; y += kLegendLine) {
      absl::StrAppendFormat(&out_, "<rect x=\"%.1f\" y=\"%.1f\" width=\"11\" height=\"11\" fill=\"%s\"/>\n",
                            kLeft + kWidth + 16, y - 9, Colour(panel, s));
      Text(kLeft + kWidth + 32, y + 1, "start", panel.series[s].name);
    }
  }

  const AreaPicture& picture_;
  std::vector<double> sums_;  // by x: what lies below
  std::string out_;
};

}  // namespace

std::vector<double> AxisSteps(double most) {
  double step = std::pow(10, std::floor(std::log10(most)) - 1);
  for (size_t i = 0; most / step > 7; ++i) step *= i % 3 == 1 ? 2.5 : 2;
  std::vector<double> steps;
  for (size_t i = 0; steps.empty() || steps.back() < most; ++i) steps.push_back(static_cast<double>(i) * step);
  return steps;
}

std::string DrawAreas(const AreaPicture& picture) { return Drawing(picture).Draw(); }

}  // namespace muster
