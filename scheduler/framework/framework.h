// One profile: its plugins, made and put in order by extension point.
#ifndef MUSTER_SCHEDULER_FRAMEWORK_FRAMEWORK_H_
#define MUSTER_SCHEDULER_FRAMEWORK_FRAMEWORK_H_

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "scheduler/framework/configuration.h"
#include "scheduler/framework/plugin.h"
#include "scheduler/framework/registry.h"

namespace muster {

// Immutable after Create; safe to read from several threads.
class Framework {
 public:
  struct FilterStep {
    const FilterPlugin* filter;
    const PreFilterPlugin* pre;    // the same plugin's PreFilter, or null: Skip there skips the filter
    const CrossNodePlugin* cross;  // the same plugin, if it is one
  };
  struct ScoreStep {
    const ScorePlugin* score;
    const PreScorePlugin* pre;     // likewise
    const CrossNodePlugin* cross;  // likewise
    int32_t weight;
  };

  // Errors: a plugin's arguments ("profile \"x\": plugin Y: scoringStrategy: ...").
  static absl::StatusOr<std::unique_ptr<Framework>> Create(const ProfileConfig& profile, const Registry& registry);

  const std::string& scheduler_name() const { return scheduler_name_; }
  std::span<const PreEnqueuePlugin* const> pre_enqueue() const { return pre_enqueue_; }
  const QueueSortPlugin& queue_sort() const { return *queue_sort_; }
  std::span<const PreFilterPlugin* const> pre_filters() const { return pre_filters_; }
  std::span<const FilterStep> filters() const { return filters_; }
  // Of the filters and scores, each once.
  std::span<const CrossNodePlugin* const> cross_nodes() const { return cross_nodes_; }
  std::span<const PostFilterPlugin* const> post_filters() const { return post_filters_; }
  std::span<const PreScorePlugin* const> pre_scores() const { return pre_scores_; }
  std::span<const ScoreStep> scores() const { return scores_; }
  std::span<const ReservePlugin* const> reserves() const { return reserves_; }
  std::span<const PermitPlugin* const> permits() const { return permits_; }
  std::span<const PreBindPlugin* const> pre_binds() const { return pre_binds_; }
  std::span<const BindPlugin* const> binds() const { return binds_; }
  std::span<const PostBindPlugin* const> post_binds() const { return post_binds_; }
  // At most one.
  std::span<const PlacementGeneratePlugin* const> placement_generators() const { return placement_generators_; }
  // By name, or null.
  const Plugin* Find(std::string_view name) const;
  size_t slots() const { return plugins_.size(); }

 private:
  Framework() = default;
  template <typename T>
  absl::Status Fill(const ProfileConfig& profile, Point point, std::vector<const T*>& out);

  std::string scheduler_name_;
  std::vector<std::unique_ptr<Plugin>> plugins_;
  std::vector<const PreEnqueuePlugin*> pre_enqueue_;
  const QueueSortPlugin* queue_sort_ = nullptr;
  std::vector<const PreFilterPlugin*> pre_filters_;
  std::vector<FilterStep> filters_;
  std::vector<const CrossNodePlugin*> cross_nodes_;
  std::vector<const PostFilterPlugin*> post_filters_;
  std::vector<const PreScorePlugin*> pre_scores_;
  std::vector<ScoreStep> scores_;
  std::vector<const ReservePlugin*> reserves_;
  std::vector<const PermitPlugin*> permits_;
  std::vector<const PreBindPlugin*> pre_binds_;
  std::vector<const BindPlugin*> binds_;
  std::vector<const PostBindPlugin*> post_binds_;
  std::vector<const PlacementGeneratePlugin*> placement_generators_;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_FRAMEWORK_FRAMEWORK_H_
