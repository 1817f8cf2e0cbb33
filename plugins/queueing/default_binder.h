// DefaultBinder: binds a pod through the pods/binding subresource.
#ifndef MUSTER_PLUGINS_QUEUEING_DEFAULT_BINDER_H_
#define MUSTER_PLUGINS_QUEUEING_DEFAULT_BINDER_H_

#include <string_view>
#include <vector>

#include "scheduler/framework/plugin.h"

namespace muster {

class DefaultBinder final : public BindPlugin {
 public:
  std::string_view Name() const override { return "DefaultBinder"; }
  Outcome Bind(const PodInfo&, NodeIndex, std::vector<Intent>& intents) const override {
    intents.push_back({Intent::Kind::kBind});
    return Outcome::Success();
  }
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_QUEUEING_DEFAULT_BINDER_H_
