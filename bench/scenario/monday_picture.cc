#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/scenario/monday.h"
#include "bench/scenario/stacked_areas.h"

namespace muster {
namespace {

constexpr size_t kNamed = 4;  // teams of a parent that have an area of their own

// The parents' teams with the most of it in the mean, and the others together, from the bottom.
template <typename Of>
AreaPanel Panel(const MondayPlan& plan, const MondayResult& result, std::string title, std::string unit, Of of) {
  AreaPanel panel;
  panel.title = std::move(title);
  panel.unit = std::move(unit);
  const size_t samples = result.samples.size();
  for (size_t p = 0; p < plan.parents.size(); ++p) {
    std::vector<AreaSeries> own;
    for (size_t t = 0; t < plan.teams.size(); ++t) {
      if (plan.teams[t].parent != p) continue;
      AreaSeries& series = own.emplace_back();
      series.name = plan.teams[t].name;
      series.group = p;
      for (const MondaySample& sample : result.samples) series.values.push_back(of(sample.teams[t]));
    }
    const auto sum = [](const AreaSeries& series) {
      double all = 0;
      for (const double value : series.values) all += value;
      return all;
    };
    std::stable_sort(own.begin(), own.end(), [&](const auto& a, const auto& b) { return sum(a) > sum(b); });
    AreaSeries rest{absl::StrCat(plan.parents[p].name, ", ", own.size() - std::min(own.size(), kNamed), " others"), p,
                    std::vector<double>(samples)};
    for (size_t i = kNamed; i < own.size(); ++i) {
      for (size_t s = 0; s < samples; ++s) rest.values[s] += own[i].values[s];
    }
    own.resize(std::min(own.size(), kNamed));
    own.push_back(std::move(rest));
    for (AreaSeries& series : own) {
      if (sum(series) > 0) panel.series.push_back(std::move(series));
    }
  }
  return panel;
}

double Nominal(const MondayPlan& plan, Pool pool) {
  double all = 0;
  for (const MondayTeam& team : plan.teams) {
    if (const QueueResource* quota = QuotaOf(team.queue, pool)) all += static_cast<double>(quota->nominal_quota);
  }
  return all;
}

}  // namespace

std::string DrawMonday(const MondayPlan& plan, const MondayResult& result) {
  AreaPicture picture;
  picture.title =
      absl::StrCat("A Monday morning: ", plan.teams.size(), " teams' queues on ", plan.nodes.size(), " nodes");
  picture.x_name = "minutes";
  for (const MondaySample& sample : result.samples) picture.x.push_back(absl::ToDoubleMinutes(sample.at));
  picture.marks = {{absl::ToDoubleMinutes(kBurstBegin), "ten times the agents"},
                   {absl::ToDoubleMinutes(kBurstEnd), "as before"}};
  picture.panels.push_back(Panel(plan, result, "In use by queue", "cores of nodes without GPUs",
                                 [](const MondayUse& use) { return static_cast<double>(use.used[0]) / 1000; }));
  picture.panels.back().limit = Nominal(plan, Pool::kGeneral) / 1000;
  picture.panels.push_back(Panel(plan, result, "In use by queue", "GPUs",
                                 [](const MondayUse& use) { return static_cast<double>(use.used[1] + use.used[2]); }));
  picture.panels.back().limit = Nominal(plan, Pool::kH100) + Nominal(plan, Pool::kA100);
  for (AreaPanel& panel : picture.panels) panel.limit_name = "all quotas:";
  picture.panels.push_back(Panel(plan, result, "Waiting by queue", "pods",
                                 [](const MondayUse& use) { return static_cast<double>(use.pending); }));
  return DrawAreas(picture);
}

}  // namespace muster
