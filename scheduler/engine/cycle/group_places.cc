#include "scheduler/engine/cycle/group_places.h"

#include <algorithm>

namespace muster {

const PlacementGeneratePlugin* GroupPlaces::PluginFor(const Framework& framework, const GroupRequest& request) {
  if (!request.topology.present() || framework.placement_generators().empty()) return nullptr;
  return framework.placement_generators().front();
}

PlacementAnswer GroupPlaces::Visit(const Framework& framework, const GroupRequest& request, size_t min,
                                   const Snapshot& snap, GroupSearch& search,
                                   absl::FunctionRef<bool(const PlacementCandidate&)> visit) {
  const PlacementGeneratePlugin* plugin = PluginFor(framework, request);
  if (plugin == nullptr) {
    PlacementAnswer answer;
    const TopologyRequest& topology = request.topology;
    if (topology.mode == TopologyRequest::Mode::kRequired || !topology.slice_level.empty()) {
      answer.impossible = "topology is required, and the profile has no placementGenerate plugin";
    } else {
      visit(search.WholeCluster());
    }
    return answer;
  }
  shapes_.clear();
  may_take_.resize(search.shapes().size());
  for (size_t i = 0; i < search.shapes().size(); ++i) {
    const GroupSearch::Shape& shape = search.shapes()[i];
    const Evaluation& answer = shape.entry->answer;
    // Where members placed first may make nodes feasible for others, those count too.
    const bool may_grow = shape.grows && answer.pre_filter().ok();
    if (may_grow) may_take_[i] = answer.local();
    shapes_.push_back({shape.entry->pod.get(), may_grow ? &may_take_[i] : &answer.feasible(), &shape.entry->memo});
  }
  placed_.clear();
  if (request.group.present()) {
    for (const PlacedMember& m : snap.MembersOf(request.members[0].pod->ns(), request.group)) {
      if (!m.pod->deleting)
        placed_.emplace_back(m.row, m.pod->rank < 0 ? UINT32_MAX : static_cast<uint32_t>(m.pod->rank));
    }
  }
  std::sort(placed_.begin(), placed_.end());
  placed_nodes_.clear();
  placed_ranks_.clear();
  for (const auto& [row, rank] : placed_) placed_nodes_.push_back(row), placed_ranks_.push_back(rank);
  ranks_.clear();
  for (const Member& m : request.members)
    ranks_.push_back(m.pod->rank < 0 ? UINT32_MAX : static_cast<uint32_t>(m.pod->rank));
  const PlacementRequest asked{request.topology, shapes_,       search.shape_of(), min,
                               placed_nodes_,    placed_ranks_, search.limits(),   ranks_};
  return plugin->GeneratePlacements(asked, snap, [&](const PlacementCandidate& candidate) {
    // What the plugin was given is as it was again, or nothing more is asked.
    return visit(candidate) || !search.RefreshAll();
  });
}

}  // namespace muster
