// ImageLocality: nodes that already have the pod's large images are better.
#ifndef MUSTER_PLUGINS_NODE_IMAGE_LOCALITY_H_
#define MUSTER_PLUGINS_NODE_IMAGE_LOCALITY_H_

#include <string>
#include <string_view>

#include "scheduler/framework/plugin.h"

namespace muster {

// As nodes report it: with a tag ("nginx" -> "nginx:latest").
std::string NormalizedImageName(std::string_view name);

class ImageLocality final : public ScorePlugin {
 public:
  std::string_view Name() const override { return "ImageLocality"; }
  absl::Status Score(const PodInfo& pod, const Snapshot& snap, const CycleState& state, const NodeSet& feasible,
                     WordRange range, int64_t* out) const override;
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_NODE_IMAGE_LOCALITY_H_
