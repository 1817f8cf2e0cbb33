#include "scheduler/framework/framework.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace muster {

const Plugin* Framework::Find(std::string_view name) const {
  for (const auto& plugin : plugins_) {
    if (plugin->Name() == name) return plugin.get();
  }
  return nullptr;
}

template <typename T>
absl::Status Framework::Fill(const ProfileConfig& profile, Point point, std::vector<const T*>& out) {
  for (const PluginUse& use : profile.At(point)) {
    const auto* plugin = dynamic_cast<const T*>(Find(use.name));
    if (plugin == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("profile \"", profile.scheduler_name, "\": plugin ", use.name,
                                                     " has no ", AsAbsl(ConfigName(point))));
    }
    out.push_back(plugin);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Framework>> Framework::Create(const ProfileConfig& profile, const Registry& registry) {
  std::unique_ptr<Framework> fw(new Framework);
  fw->scheduler_name_ = profile.scheduler_name;
  for (const auto& [name, args] : profile.args) {
    const Registry::Entry* entry = registry.Find(name);
    if (entry == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("profile \"", profile.scheduler_name, "\": no plugin ", name));
    }
    auto plugin = entry->make(args);
    if (!plugin.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("profile \"", profile.scheduler_name, "\": plugin ", name, ": ", plugin.status().message()));
    }
    (*plugin)->set_slot(fw->plugins_.size());
    fw->plugins_.push_back(*std::move(plugin));
  }

  std::vector<const QueueSortPlugin*> sorts;
  std::vector<const FilterPlugin*> filters;
  std::vector<const ScorePlugin*> scores;
  absl::Status status;
  status.Update(fw->Fill(profile, Point::kPreEnqueue, fw->pre_enqueue_));
  status.Update(fw->Fill(profile, Point::kQueueSort, sorts));
  status.Update(fw->Fill(profile, Point::kPreFilter, fw->pre_filters_));
  status.Update(fw->Fill(profile, Point::kFilter, filters));
  status.Update(fw->Fill(profile, Point::kPostFilter, fw->post_filters_));
  status.Update(fw->Fill(profile, Point::kPreScore, fw->pre_scores_));
  status.Update(fw->Fill(profile, Point::kScore, scores));
  status.Update(fw->Fill(profile, Point::kReserve, fw->reserves_));
  status.Update(fw->Fill(profile, Point::kPermit, fw->permits_));
  status.Update(fw->Fill(profile, Point::kPreBind, fw->pre_binds_));
  status.Update(fw->Fill(profile, Point::kBind, fw->binds_));
  status.Update(fw->Fill(profile, Point::kPostBind, fw->post_binds_));
  status.Update(fw->Fill(profile, Point::kPlacementGenerate, fw->placement_generators_));
  if (!status.ok()) return status;
  if (sorts.size() != 1 || fw->binds_.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("profile \"", profile.scheduler_name,
                                                   "\": needs exactly one queueSort and at least one bind plugin"));
  }
  fw->queue_sort_ = sorts[0];

  // A plugin's Skip in PreFilter or PreScore counts only where that point is enabled too.
  for (const FilterPlugin* filter : filters) {
    const auto* pre = dynamic_cast<const PreFilterPlugin*>(filter);
    if (std::find(fw->pre_filters_.begin(), fw->pre_filters_.end(), pre) == fw->pre_filters_.end()) pre = nullptr;
    const auto* cross = dynamic_cast<const CrossNodePlugin*>(filter);
    if (cross != nullptr) fw->cross_nodes_.push_back(cross);
    fw->filters_.push_back({filter, pre, cross});
  }
  for (size_t i = 0; i < scores.size(); ++i) {
    const auto* pre = dynamic_cast<const PreScorePlugin*>(scores[i]);
    if (std::find(fw->pre_scores_.begin(), fw->pre_scores_.end(), pre) == fw->pre_scores_.end()) pre = nullptr;
    const auto* cross = dynamic_cast<const CrossNodePlugin*>(scores[i]);
    if (cross != nullptr &&
        std::find(fw->cross_nodes_.begin(), fw->cross_nodes_.end(), cross) == fw->cross_nodes_.end())
      fw->cross_nodes_.push_back(cross);
    fw->scores_.push_back({scores[i], pre, cross, profile.At(Point::kScore)[i].weight});
  }
  return fw;
}

}  // namespace muster
