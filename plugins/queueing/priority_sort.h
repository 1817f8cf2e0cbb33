// PrioritySort: higher priority first, then longer in the queue.
#ifndef MUSTER_PLUGINS_QUEUEING_PRIORITY_SORT_H_
#define MUSTER_PLUGINS_QUEUEING_PRIORITY_SORT_H_

#include <string_view>

#include "scheduler/framework/plugin.h"

namespace muster {

class PrioritySort final : public QueueSortPlugin {
 public:
  std::string_view Name() const override { return "PrioritySort"; }
  bool Less(const QueueKey& a, const QueueKey& b) const override {
    return a.priority != b.priority ? a.priority > b.priority : a.queued_at < b.queued_at;
  }
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_QUEUEING_PRIORITY_SORT_H_
