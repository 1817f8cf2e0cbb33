#include "scheduler/framework/registry.h"

#include <algorithm>

namespace muster {
namespace {

template <typename T>
bool Is(const Plugin& plugin) {
  return dynamic_cast<const T*>(&plugin) != nullptr;
}

}  // namespace

std::string_view ConfigName(Point point) {
  switch (point) {
    case Point::kPreEnqueue: return "preEnqueue";
    case Point::kQueueSort: return "queueSort";
    case Point::kPreFilter: return "preFilter";
    case Point::kFilter: return "filter";
    case Point::kPostFilter: return "postFilter";
    case Point::kPreScore: return "preScore";
    case Point::kScore: return "score";
    case Point::kReserve: return "reserve";
    case Point::kPermit: return "permit";
    case Point::kPreBind: return "preBind";
    case Point::kBind: return "bind";
    case Point::kPostBind: return "postBind";
    case Point::kPlacementGenerate: return "placementGenerate";
    case Point::kPlacementScore: return "placementScore";
  }
  return "";
}

bool Implements(const Plugin& plugin, Point point) {
  switch (point) {
    case Point::kPreEnqueue: return Is<PreEnqueuePlugin>(plugin);
    case Point::kQueueSort: return Is<QueueSortPlugin>(plugin);
    case Point::kPreFilter: return Is<PreFilterPlugin>(plugin);
    case Point::kFilter: return Is<FilterPlugin>(plugin);
    case Point::kPostFilter: return Is<PostFilterPlugin>(plugin);
    case Point::kPreScore: return Is<PreScorePlugin>(plugin);
    case Point::kScore: return Is<ScorePlugin>(plugin);
    case Point::kReserve: return Is<ReservePlugin>(plugin);
    case Point::kPermit: return Is<PermitPlugin>(plugin);
    case Point::kPreBind: return Is<PreBindPlugin>(plugin);
    case Point::kBind: return Is<BindPlugin>(plugin);
    case Point::kPostBind: return Is<PostBindPlugin>(plugin);
    case Point::kPlacementGenerate: return Is<PlacementGeneratePlugin>(plugin);
    case Point::kPlacementScore: return Is<PlacementScorePlugin>(plugin);
  }
  return false;
}

const Registry::Entry* Registry::Find(std::string_view name) const {
  const auto it = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.name == name; });
  return it == entries_.end() ? nullptr : &*it;
}

bool Registry::IsMissing(std::string_view name) const {
  return std::find(missing_.begin(), missing_.end(), name) != missing_.end();
}

}  // namespace muster
