// A small cluster of blocks, racks and hosts, and the places that the generator names in it.
#ifndef MUSTER_TEST_PLUGINS_TOPOLOGY_PLACES_H_
#define MUSTER_TEST_PLUGINS_TOPOLOGY_PLACES_H_

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "plugins/topology/topology_placement_generator.h"
#include "scheduler/model/pod_group.h"
#include "test/support/make.h"
#include "test/support/make_snapshot.h"

namespace muster {

using Mode = TopologyRequest::Mode;
inline constexpr char kGpu[] = "example.com/gpu";

// What a test asks for. Members ask for one GPU each, or for `gpus`, by member.
struct Asked {
  Mode mode = Mode::kRequired;
  std::string level = "rack";
  size_t count = 1;
  size_t min = SIZE_MAX;  // SIZE_MAX: all
  std::string slice_level = {};
  int32_t slice_size = 0;
  std::vector<std::string> placed = {};     // nodes
  std::vector<uint32_t> placed_ranks = {};  // UINT32_MAX: none
  std::vector<int64_t> gpus = {};
  std::vector<uint32_t> ranks = {};  // the members'; empty: where placed pods have some, those that these leave
};

class Places {
 public:
  // "b1:r1=4,2 r2=1; b2:r3=8": block b1 has rack r1 of two nodes with 4 and 2 free GPUs, ... Nodes are
  // named n00, n01, ... as they come; a rack "-" is outside every block and rack. `levels` are of the
  // Topology; none is made where it is empty.
  explicit Places(const std::string& text, std::vector<std::string> levels = {"block", "rack"})
      : Places(NodesOf(text), std::move(levels)) {}
  Places(std::vector<NodePtr> nodes, std::vector<std::string> levels) : snap(MakeSnapshot(std::move(nodes))) {
    if (!levels.empty()) AddTopology("t", std::move(levels));
    generator.set_slot(2);
  }

  static std::vector<NodePtr> NodesOf(const std::string& text) {
    std::vector<NodePtr> nodes;
    for (absl::string_view block : absl::StrSplit(text, ';', absl::SkipWhitespace())) {
      const std::vector<std::string> parts = absl::StrSplit(absl::StripAsciiWhitespace(block), ':');
      for (absl::string_view rack : absl::StrSplit(parts.back(), ' ', absl::SkipWhitespace())) {
        const std::vector<std::string> names = absl::StrSplit(rack, '=');
        for (absl::string_view gpus : absl::StrSplit(names[1], ',')) {
          MakeNode node(absl::StrCat("n", nodes.size() / 10, nodes.size() % 10));
          node.Room(kGpu, std::atoi(std::string(gpus).c_str()));
          if (names[0] != "-") node.Label("block", parts.front()).Label("rack", names[0]);
          nodes.push_back(node.Ptr());
        }
      }
    }
    return nodes;
  }

  void AddTopology(const std::string& name, std::vector<std::string> levels, Kind kind = Kind::kTopology) {
    auto topology = std::make_shared<Topology>();
    topology->name = name;
    topology->levels = std::move(levels);
    snap.SetObject(kind, std::move(topology));
  }

  // A shape that is kept as the engine keeps it.
  struct Shape {
    PodInfoPtr info;
    NodeSet feasible;
    CycleState memo;
  };
  Shape& ShapeOf(const PodPtr& pod) {
    for (const auto& shape : shapes) {
      if (*shape->info->spec == *pod->spec) return *shape;
    }
    shapes.push_back(std::make_unique<Shape>(Shape{snap.Resolve(pod->spec), {}, {}}));
    return *shapes.back();
  }
  Shape& ShapeOf(int64_t gpus) { return ShapeOf(MakePod("p").Request(kGpu, gpus).Ptr()); }

  // Nodes that have free what the shape asks for, but those in `closed`.
  void SetFeasible(Shape& shape) const {
    shape.feasible.Reset(snap.size());
    for (NodeIndex n = 0; n < snap.size(); ++n) {
      bool fits = snap.Free(kPods)[n] > 0 && !closed.contains(n);
      for (const PodInfo::Want& want : shape.info->requests) fits &= snap.Free(want.resource)[n] >= want.amount;
      if (fits) shape.feasible.Add(n);
    }
  }

  PlacementAnswer Generate(const Asked& asked, absl::FunctionRef<bool(const PlacementCandidate&)> visit) {
    std::vector<Shape*> used;
    std::vector<uint32_t> members;
    for (size_t i = 0; i < asked.count; ++i) {
      Shape& shape = of_pod != nullptr ? ShapeOf(of_pod) : ShapeOf(i < asked.gpus.size() ? asked.gpus[i] : 1);
      const auto it = std::find(used.begin(), used.end(), &shape);
      members.push_back(static_cast<uint32_t>(it - used.begin()));
      if (it == used.end()) used.push_back(&shape);
    }
    std::vector<PlacementShape> request_shapes;
    for (Shape* shape : used) {
      SetFeasible(*shape);
      request_shapes.push_back({shape->info.get(), &shape->feasible, &shape->memo});
    }
    std::vector<NodeIndex> placed;
    for (const std::string& name : asked.placed) placed.push_back(snap.Find(name));
    std::vector<uint32_t> ranks = asked.placed_ranks;
    ranks.resize(placed.size(), UINT32_MAX);
    std::vector<uint32_t> own = asked.ranks;
    for (uint32_t rank = 0; !asked.placed_ranks.empty() && own.size() < asked.count; ++rank) {
      if (std::count(ranks.begin(), ranks.end(), rank) == 0) own.push_back(rank);
    }
    const TopologyRequest topology{asked.mode, asked.level, asked.slice_level, asked.slice_size};
    const size_t min = std::min(asked.min, asked.count);
    return generator.GeneratePlacements({topology, request_shapes, members, min, placed, ranks, {}, own}, snap, visit);
  }

  // "rack r1 [0+4 n00,n01] [4+1 n02]": members 0 to 3 had best go to these nodes, ...
  std::string Text(const PlacementCandidate& candidate) const {
    std::string text = candidate.domain.empty() ? "all" : std::string(candidate.domain);
    for (const PlacementRun& run : candidate.runs) {
      absl::StrAppend(
          &text, " [", run.first, "+", run.count, " ",
          absl::StrJoin(run.nodes, ",", [&](std::string* out, NodeIndex n) { out->append(snap.NodeName(n)); }), "]");
    }
    return text;
  }
  // Every candidate, or why there is none: "impossible: ..." or "most 3 in rack r1".
  std::vector<std::string> Visit(const Asked& asked) {
    std::vector<std::string> visited;
    const PlacementAnswer answer = Generate(asked, [&](const PlacementCandidate& candidate) {
      visited.push_back(Text(candidate));
      return false;
    });
    if (!answer.impossible.empty()) visited.push_back(absl::StrCat("impossible: ", answer.impossible));
    if (visited.empty()) visited.push_back(absl::StrCat("most ", answer.most, " in ", answer.most_domain));
    return visited;
  }
  std::string First(const Asked& asked) { return Visit(asked).front(); }
  // Candidates without their runs.
  std::vector<std::string> Domains(const Asked& asked) {
    std::vector<std::string> names = Visit(asked);
    for (std::string& name : names) name = name.substr(0, name.find(" ["));
    return names;
  }

  Snapshot snap;
  TopologyPlacementGenerator generator;
  std::vector<std::unique_ptr<Shape>> shapes;
  std::map<NodeIndex, bool> closed;
  PodPtr of_pod;  // what all members are like, where set
};

}  // namespace muster

#endif  // MUSTER_TEST_PLUGINS_TOPOLOGY_PLACES_H_
