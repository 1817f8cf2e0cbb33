#include "plugins/topology/topology_placement_generator.h"

#include <algorithm>
#include <functional>
#include <tuple>

#include "absl/strings/str_cat.h"

namespace muster {

using Mode = TopologyRequest::Mode;

struct TopologyPlacementGenerator::Shape : PluginState {
  SlotRule rule;
  SlotCounts counts;
};

PlacementAnswer TopologyPlacementGenerator::GeneratePlacements(const PlacementRequest& request, const Snapshot& snap,
                                                               Visit visit) const {
  PlacementAnswer answer;
  if (request.members.empty()) return answer;
  const TopologyRequest& asked = request.topology;
  const DomainTree* tree = trees_.Find(snap, asked, &answer.impossible);
  if (tree == nullptr) return answer;
  UpdateCounts(request, snap, *tree);
  GroupOnTree group{request, snap, *tree, counts_, request.shapes.size() > 1 ? mixed_counts_ : *counts_[0]};
  if (asked.mode == Mode::kRequired || asked.mode == Mode::kPreferred) group.level = *tree->LevelOf(asked.level);
  if (!asked.slice_level.empty()) {
    group.slice_level = *tree->LevelOf(asked.slice_level);
    if (group.slice_level < group.level) {
      answer.impossible = absl::StrCat("the slices' level ", asked.slice_level, " is above the level ", asked.level);
      return answer;
    }
  }
  answer.impossible = room_.Reset(group);
  if (!answer.impossible.empty()) return answer;
  DomainId pinned = kNoDomain;
  if (MarkUsed(group, &pinned, &answer.impossible)) {
    layout_.Reset(group, room_, used_);
    preferred_domains_.clear();
    VisitAll(group, pinned, visit, answer);
  }
  UnmarkUsed(group);
  return answer;
}

void TopologyPlacementGenerator::UpdateCounts(const PlacementRequest& request, const Snapshot& snap,
                                              const DomainTree& tree) const {
  counts_.clear();
  infos_.clear();
  const bool mixed = request.shapes.size() > 1;
  if (mixed) open_.Reset(snap.size());
  for (const PlacementShape& shape : request.shapes) {
    const bool known = shape.memo->Has(slot());
    Shape& kept = shape.memo->Ensure<Shape>(slot());
    if (!known) kept.rule = SlotRule(*shape.info, snap, request.limits);
    kept.counts.Update(tree, snap, kept.rule, *shape.feasible);
    counts_.push_back(&kept.counts);
    infos_.push_back(shape.info);
    for (size_t w = 0; mixed && w < open_.words(); ++w) open_.word(w) |= shape.feasible->word(w);
  }
  if (mixed) mixed_counts_.Update(tree, snap, SlotRule(infos_, snap, request.limits), open_);
}

// Marks the domains with placed pods of the group, and says which one they pin. False: it is impossible.
bool TopologyPlacementGenerator::MarkUsed(const GroupOnTree& group, DomainId* pinned, std::string* impossible) const {
  const DomainTree& tree = group.tree;
  const TopologyRequest& asked = group.request.topology;
  used_.resize(std::max(used_.size(), tree.size()), 0);
  for (const NodeIndex n : group.request.placed) {
    const DomainId leaf = tree.LeafOf(n);
    for (DomainId id = leaf; id != kNoDomain; id = tree.Parent(id)) ++used_[id];
    if (asked.mode != Mode::kRequired || !impossible->empty()) continue;
    if (leaf == kNoDomain) {
      *impossible =
          absl::StrCat("its pod on node ", AsAbsl(group.snap.NodeName(n)), " is outside every domain of ", asked.level);
      continue;
    }
    const DomainId domain = tree.Around(leaf, group.level);
    if (*pinned != kNoDomain && *pinned != domain) {
      *impossible = absl::StrCat("its pods are in several domains of ", asked.level,
                                 " already: ", tree.Name(*pinned, group.snap), " and ", tree.Name(domain, group.snap));
      continue;
    }
    *pinned = domain;
  }
  return impossible->empty();
}

void TopologyPlacementGenerator::UnmarkUsed(const GroupOnTree& group) const {
  for (const NodeIndex n : group.request.placed) {
    for (DomainId id = group.tree.LeafOf(n); id != kNoDomain; id = group.tree.Parent(id)) used_[id] = 0;
  }
}

void TopologyPlacementGenerator::VisitAll(const GroupOnTree& group, DomainId pinned, Visit visit,
                                          PlacementAnswer& answer) const {
  const DomainTree& tree = group.tree;
  const uint64_t size = group.size();
  const bool preferred = group.request.topology.mode == Mode::kPreferred;
  most_ = kNoDomain;
  bool placed = false;
  for (const bool all : {true, false}) {
    if (!all && group.request.min == size) break;
    options_.clear();
    for (size_t level = group.level; !placed; --level) {
      AddOptions(group, pinned == kNoDomain ? tree.OfLevel(level) : DomainTree::Range{pinned, pinned + 1}, all, answer);
      const bool last = !preferred || level == 0;
      // What needs no more domains than any can is visited at once, the rest when all are known.
      const uint64_t needed = last || !all ? UINT64_MAX : group.request.placed.empty() ? 1 : 0;
      placed = VisitOptions(group, needed, visit);
      if (last) break;
    }
    // Nodes outside the tree are the last resort; they have no slices.
    if (placed || !preferred || group.sliced() || tree.Outside().empty()) continue;
    const uint64_t held = room_.Held(kNoDomain, group.request.min);
    if (held > answer.most) answer.most = held, most_ = kNoDomain;
    if (all ? held == size : held < size && held >= std::max<uint64_t>(group.request.min, 1))
      placed = VisitOne(group, kNoDomain, held, visit);
  }
  if (!placed && most_ != kNoDomain) answer.most_domain = tree.Name(most_, group.snap);
}

// Adds those of `domains` (all of one level) that hold all members, or (not `all`) at least the minimum but not all.
void TopologyPlacementGenerator::AddOptions(const GroupOnTree& group, DomainTree::Range domains, bool all,
                                            PlacementAnswer& answer) const {
  const uint64_t size = group.size();
  const uint64_t need = std::max<uint64_t>(group.request.min, 1);
  const bool count = all && group.request.topology.mode == Mode::kPreferred;
  for (DomainId id = domains.begin; id < domains.end; ++id) {
    const uint64_t held = room_.Held(id, need);
    if (held > answer.most) answer.most = held, most_ = id;
    if (!room_.MayHold(id, need, held) || all != (held == size)) continue;
    options_.push_back({count ? DomainsNeeded(group, id) : 0, group.level - group.tree.LevelOf(id), Distance(group, id),
                        size - held, room_.Left(id), id, held});
  }
}

// Visits those that need at most so many domains, and forgets them. True: the group was placed.
bool TopologyPlacementGenerator::VisitOptions(const GroupOnTree& group, uint64_t needed, Visit visit) const {
  // A heap: mostly the first will do.
  const auto later = [](const Option& a, const Option& b) {
    return std::tie(a.needed, a.up, a.far, a.out, a.left, a.domain) >
           std::tie(b.needed, b.up, b.far, b.out, b.left, b.domain);
  };
  std::make_heap(options_.begin(), options_.end(), later);
  while (!options_.empty() && options_[0].needed <= needed) {
    std::pop_heap(options_.begin(), options_.end(), later);
    const Option best = options_.back();
    options_.pop_back();
    if (VisitOne(group, best.domain, best.held, visit)) return true;
  }
  return false;
}

bool TopologyPlacementGenerator::VisitOne(const GroupOnTree& group, DomainId domain, uint64_t held, Visit visit) const {
  const DomainTree& tree = group.tree;
  PlacementCandidate candidate;
  name_.clear();
  if (domain != kNoDomain) tree.AppendName(domain, group.snap, &name_);
  candidate.domain = name_;
  candidate.nodes = domain == kNoDomain ? tree.AllNodes() : tree.Nodes(domain);
  candidate.runs = layout_.Lay(domain, held);
  const bool preferred = group.request.topology.mode == Mode::kPreferred;
  if (group.sliced()) {
    slice_domains_.clear();
    for (const NodeIndex n : candidate.nodes) slice_domains_.push_back(tree.Around(tree.LeafOf(n), group.slice_level));
    candidate.slice_domain = slice_domains_;
    candidate.slices = room_.slices();
  } else if (preferred && group.request.shapes.size() > 1) {
    // How many of several shapes a domain takes is an estimate.
    if (preferred_domains_.empty()) FindPreferredDomains(group);
    candidate.preferred_domain = preferred_domains_;
  }
  return visit(candidate);
}

// The same in every place.
void TopologyPlacementGenerator::FindPreferredDomains(const GroupOnTree& group) const {
  const DomainTree& tree = group.tree;
  preferred_domains_.resize(group.snap.size());
  for (NodeIndex n = 0; n < group.snap.size(); ++n) {
    const DomainId leaf = tree.LeafOf(n), around = leaf == kNoDomain ? kNoDomain : tree.Around(leaf, group.level);
    if (around == kNoDomain) {
      preferred_domains_[n] = static_cast<uint32_t>(tree.size()) + n;
    } else {
      preferred_domains_[n] = used_[around] > 0 ? UINT32_MAX : around;
    }
  }
}

// How many domains of the asked level the members need at least, inside one of that level or above, beside those
// that have pods of the group.
uint64_t TopologyPlacementGenerator::DomainsNeeded(const GroupOnTree& group, DomainId domain) const {
  if (group.tree.LevelOf(domain) == group.level) return used_[domain] == 0;
  const DomainTree::Range inside = group.tree.Inside(domain, group.level);
  shares_.clear();
  uint64_t held = 0, needed = 0;
  for (DomainId id = inside.begin; id < inside.end; ++id) {
    if (used_[id] > 0) {
      held += room_.Share(id);
    } else {
      shares_.push_back(room_.Share(id));
    }
  }
  std::sort(shares_.begin(), shares_.end(), std::greater<>());
  for (; needed < shares_.size() && held < group.size(); ++needed) held += shares_[needed];
  return needed;
}

uint32_t TopologyPlacementGenerator::Distance(const GroupOnTree& group, DomainId domain) const {
  if (group.request.placed.empty()) return 0;
  uint32_t steps = 0;
  for (; domain != kNoDomain && used_[domain] == 0; domain = group.tree.Parent(domain)) ++steps;
  return steps;
}

}  // namespace muster
