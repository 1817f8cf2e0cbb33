#include "plugins/topology/group_layout.h"

#include <algorithm>
#include <tuple>

namespace muster {

void GroupLayout::Reset(const GroupOnTree& group, const GroupRoom& room, std::span<const uint32_t> used) {
  group_ = &group;
  room_ = &room;
  used_ = used;
  taken_.resize(group.tree.size(), 0);
}

std::span<const PlacementRun> GroupLayout::Lay(DomainId id, size_t count) {
  const DomainTree& tree = group_->tree;
  runs_.clear();
  run_domains_.clear();
  if (group_->sliced()) {
    const DomainTree::Range inside = tree.Inside(id, group_->slice_level);
    whole_.clear();
    next_whole_ = 0;
    const std::span<const PlacementSlice> slices = room_->slices();
    for (uint32_t i = 0; i < slices.size(); ++i) {
      const PlacementSlice& slice = slices[i];
      if (slice.home != kNoDomain) {
        const bool here = slice.home >= inside.begin && slice.home < inside.end;
        if (here && Room(slice.home) >= slice.count) LayWhole(slice.home, slice.first, slice.count);
      } else if (slice.count == group_->slice_size()) {
        whole_.push_back(i);
      }
    }
    LaySlices(id, whole_.size());
    for (const PlacementSlice& slice : slices) {
      if (slice.home == kNoDomain && slice.count < group_->slice_size()) LayShort(id, slice);
    }
  } else if (id != kNoDomain) {
    LayAll(id, count);
  } else {
    const size_t inside = LayAll(kRoot, std::min<uint64_t>(count, Room(kRoot)));
    if (inside < count) {
      runs_.push_back({static_cast<uint32_t>(inside), static_cast<uint32_t>(count - inside), tree.Outside()});
    }
  }
  Forget();
  std::sort(runs_.begin(), runs_.end(), [](const PlacementRun& a, const PlacementRun& b) { return a.first < b.first; });
  return runs_;
}

// Clears what Run() noted.
void GroupLayout::Forget() {
  for (DomainId domain : run_domains_) {
    for (; domain != kNoDomain; domain = group_->tree.Parent(domain)) taken_[domain] = 0;
  }
}

// Level by level; or without heed of the levels above the asked one, where that takes fewer domains of it.
size_t GroupLayout::LayAll(DomainId id, size_t count) {
  const DomainTree& tree = group_->tree;
  const size_t laid = Lay(id, 0, count);
  if (tree.LevelOf(id) + 1 >= group_->level) return laid;
  const size_t spans = Spans(id);
  near_.assign(runs_.begin(), runs_.end());
  near_domains_.assign(run_domains_.begin(), run_domains_.end());
  const auto restart = [&] {
    Forget();
    runs_.clear();
    run_domains_.clear();
  };
  restart();
  size_t next = 0;
  Spread(
      tree.Inside(id, group_->level), count, [&](DomainId child, size_t n) { return Holds(child, next, n); },
      [&](DomainId child, size_t n) {
        const size_t there = Lay(child, next, n);
        next += there;
        return there;
      });
  if (next >= laid && Spans(id) < spans) return next;
  restart();
  for (size_t i = 0; i < near_.size(); ++i) Run(near_domains_[i], near_[i].first, near_[i].count);
  return laid;
}

// How many domains of the asked level, inside of `id`, are taken that were not used.
size_t GroupLayout::Spans(DomainId id) const {
  const DomainTree::Range inside = group_->tree.Inside(id, group_->level);
  size_t spans = 0;
  for (DomainId d = inside.begin; d < inside.end; ++d) spans += taken_[d] > 0 && used_[d] == 0;
  return spans;
}

// Lays `count` of something over the children: place(child, n) returns how many of n it laid there,
// holds(child, n) says how many of n would fit. Returns how many were laid.
template <typename HoldsFn, typename PlaceFn>
size_t GroupLayout::Spread(DomainTree::Range children, size_t count, HoldsFn holds, PlaceFn place) {
  const size_t begin = children_.size();
  for (DomainId id = children.begin; id < children.end; ++id) {
    const uint64_t fit = holds(id, count);
    if (fit > 0) children_.push_back({id, used_[id] > 0, fit, Room(id)});
  }
  const size_t end = children_.size();
  const auto order = [](const Child& c) { return std::tuple(!c.used, ~c.holds, ~c.room, c.id); };
  std::sort(children_.begin() + static_cast<ptrdiff_t>(begin), children_.end(),
            [&](const Child& a, const Child& b) { return order(a) < order(b); });
  size_t laid = 0;
  for (size_t i = begin; i < end && laid < count; ++i) {
    const size_t left = count - laid;
    size_t pick = i;
    if (holds(children_[i].id, left) >= left) {
      // The tightest: rooms shrink from here on.
      for (size_t j = i + 1; j < end && children_[j].used == children_[i].used; ++j) {
        if (holds(children_[j].id, left) < left) break;
        if (children_[j].room < children_[pick].room) pick = j;
      }
    }
    const DomainId id = children_[pick].id;  // placing may move the stack
    if (const size_t take = std::min<size_t>(left, holds(id, left)); take > 0) laid += place(id, take);
  }
  children_.resize(begin);
  return laid;
}

// Members [first, first + count); returns how many of them were laid, from the first on.
size_t GroupLayout::Lay(DomainId id, size_t first, size_t count) {
  const DomainTree::Range children = group_->tree.Children(id);
  if (children.size() == 0) {
    Run(id, first, count);
    return count;
  }
  size_t next = first;
  return Spread(
      children, count, [&](DomainId child, size_t n) { return Holds(child, next, n); },
      [&](DomainId child, size_t n) {
        const size_t laid = Lay(child, next, n);
        next += laid;
        return laid;
      });
}

// The next `count` of the whole slices.
size_t GroupLayout::LaySlices(DomainId id, size_t count) {
  const size_t size = group_->slice_size();
  if (group_->tree.LevelOf(id) < group_->slice_level) {
    return Spread(
        group_->tree.Children(id), count,
        [&](DomainId child, size_t n) { return std::min<uint64_t>(n, room_->WholeSlices(child)); },
        [&](DomainId child, size_t n) { return LaySlices(child, n); });
  }
  count = std::min<size_t>(count, Room(id) / size);
  for (size_t end = next_whole_ + count; next_whole_ < end;) {
    // Slices beside each other are laid as one.
    const size_t begin = next_whole_++;
    while (next_whole_ < end && whole_[next_whole_] == whole_[next_whole_ - 1] + 1) ++next_whole_;
    LayWhole(id, room_->slices()[whole_[begin]].first, (next_whole_ - begin) * size);
  }
  return count;
}

// A short slice: where others are, else in the tightest domain.
void GroupLayout::LayShort(DomainId id, const PlacementSlice& slice) {
  const DomainTree::Range inside = group_->tree.Inside(id, group_->slice_level);
  DomainId best = kNoDomain;
  const auto order = [&](DomainId d) { return std::tuple(taken_[d] == 0, Room(d)); };
  for (DomainId d = inside.begin; d < inside.end; ++d) {
    if (Room(d) >= slice.count && (best == kNoDomain || order(d) < order(best))) best = d;
  }
  if (best != kNoDomain) LayWhole(best, slice.first, slice.count);
}

// What does not divide over the levels below may go anywhere in the domain.
void GroupLayout::LayWhole(DomainId id, size_t first, size_t count) {
  const size_t laid = Lay(id, first, count);
  if (laid < count) Run(id, first + laid, count - laid);
}

uint64_t GroupLayout::Room(DomainId id) const {
  const uint64_t in = group_->together.In(id);
  return in - std::min<uint64_t>(in, taken_[id]);
}

// How many of members [first, first + count) the domain takes, from the first on. Of several shapes an
// estimate: each member takes the share that it has of an empty domain of its shape.
size_t GroupLayout::Holds(DomainId id, size_t first, size_t count) const {
  const auto room = static_cast<size_t>(std::min<uint64_t>(count, Room(id)));
  if (group_->counts.size() == 1) return room;
  constexpr uint64_t kFull = uint64_t{1} << 40;
  uint64_t load = 0, share = 0;
  uint32_t shape = UINT32_MAX;
  for (size_t i = 0; i < room; ++i) {
    if (const uint32_t of = group_->request.members[first + i]; of != shape) {
      shape = of;
      const uint64_t slots = group_->counts[shape]->In(id);
      if (slots == 0) return i;
      share = kFull / slots;
    }
    load += share;
    if (load > kFull) return i;
  }
  return room;
}

void GroupLayout::Run(DomainId id, size_t first, size_t count) {
  runs_.push_back({static_cast<uint32_t>(first), static_cast<uint32_t>(count), group_->tree.Nodes(id)});
  run_domains_.push_back(id);
  for (DomainId domain = id; domain != kNoDomain; domain = group_->tree.Parent(domain))
    taken_[domain] += static_cast<uint32_t>(count);
}

}  // namespace muster
