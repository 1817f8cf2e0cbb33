#include "plugins/topology/group_room.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace muster {

std::string GroupRoom::Reset(const GroupOnTree& group) {
  group_ = &group;
  shape_members_.assign(group.request.shapes.size(), 0);
  for (const uint32_t shape : group.request.members) ++shape_members_[shape];
  if (group.request.shapes.size() > 1) ListResources();
  slices_.clear();
  if (!group.sliced()) return "";
  std::string error = MakeSlices();
  if (error.empty()) CountWholeSlices();
  return error;
}

void GroupRoom::ListResources() {
  const PlacementRequest& request = group_->request;
  resources_.clear();
  for (const PlacementShape& shape : request.shapes) {
    for (const PodInfo::Want& want : shape.info->usage) {
      if (want.resource >= request.limits.size() || request.limits[want.resource] != 0)
        resources_.push_back(want.resource);
    }
  }
  std::sort(resources_.begin(), resources_.end());
  resources_.erase(std::unique(resources_.begin(), resources_.end()), resources_.end());
  steps_.clear();
  for (const ResourceId resource : resources_) {
    for (size_t s = 0; s < request.shapes.size(); ++s) {
      const auto& usage = request.shapes[s].info->usage;
      const auto it = std::find_if(usage.begin(), usage.end(), [&](const auto& w) { return w.resource == resource; });
      steps_.push_back({it == usage.end() ? 0 : it->amount, shape_members_[s]});
    }
    std::sort(steps_.end() - static_cast<ptrdiff_t>(request.shapes.size()), steps_.end(),
              [](const Step& a, const Step& b) { return a.amount < b.amount; });
  }
}

std::string GroupRoom::MakeSlices() {
  const PlacementRequest& request = group_->request;
  const DomainTree& tree = group_->tree;
  const std::string& key = request.topology.slice_level;
  if (request.topology.slice_size < 1) return absl::StrCat("slices of ", request.topology.slice_size, " pods");
  placed_.clear();
  for (size_t i = 0; i < request.placed.size(); ++i) {
    const DomainId leaf = tree.LeafOf(request.placed[i]);
    if (leaf == kNoDomain) {
      return absl::StrCat("its pod on node ", AsAbsl(group_->snap.NodeName(request.placed[i])),
                          " is outside every domain of ", key);
    }
    const uint32_t rank = i < request.placed_ranks.size() ? request.placed_ranks[i] : UINT32_MAX;
    placed_.push_back({rank, tree.Around(leaf, group_->slice_level)});
  }
  std::sort(placed_.begin(), placed_.end());
  if (!RanksTell()) {
    MakeUnrankedSlices();
    return "";
  }
  const size_t size = group_->slice_size();
  for (size_t i = 1; i < placed_.size(); ++i) {
    const Placed &a = placed_[i - 1], &b = placed_[i];
    if (a.rank / size == b.rank / size && a.home != b.home) {
      return absl::StrCat("slice ", a.rank / size, " of its pods is in several domains of ", key,
                          " already: ", tree.Name(a.home, group_->snap), " and ", tree.Name(b.home, group_->snap));
    }
  }
  MakeRankedSlices();
  return "";
}

// Whether each member and each placed pod has a rank of its own.
bool GroupRoom::RanksTell() const {
  const std::span<const uint32_t> ranks = group_->request.ranks;
  if (ranks.empty() || ranks.back() == UINT32_MAX) return false;
  const auto same = [](const Placed& a, const Placed& b) { return a.rank == b.rank; };
  if (std::adjacent_find(placed_.begin(), placed_.end(), same) != placed_.end()) return false;
  if (!placed_.empty() && placed_.back().rank == UINT32_MAX) return false;
  auto next = placed_.begin();
  for (size_t i = 0; i < ranks.size(); ++i) {
    if (i > 0 && ranks[i - 1] >= ranks[i]) return false;
    while (next != placed_.end() && next->rank < ranks[i]) ++next;
    if (next != placed_.end() && next->rank == ranks[i]) return false;
  }
  return true;
}

void GroupRoom::MakeRankedSlices() {
  const size_t size = group_->slice_size();
  size_t slice = SIZE_MAX;
  for (uint32_t member = 0; member < group_->size(); ++member) {
    if (const size_t rank = group_->request.ranks[member]; rank / size != slice) {
      slice = rank / size;
      const auto first = std::lower_bound(placed_.begin(), placed_.end(), slice * size,
                                          [](const Placed& p, size_t wanted) { return p.rank < wanted; });
      const bool open = first != placed_.end() && first->rank / size == slice;
      slices_.push_back({member, 0, open ? first->home : kNoDomain});
    }
    ++slices_.back().count;
  }
}

void GroupRoom::MakeUnrankedSlices() {
  const size_t size = group_->slice_size(), members = group_->size();
  size_t member = 0;
  const auto add = [&](size_t count, DomainId home) {
    count = std::min(count, members - member);
    if (count > 0) slices_.push_back({static_cast<uint32_t>(member), static_cast<uint32_t>(count), home});
    member += count;
  };
  for (size_t i = 0; i < placed_.size();) {
    size_t end = i;
    while (end < placed_.size() && placed_[end].home == placed_[i].home) ++end;
    if (const size_t over = (end - i) % size; over > 0) add(size - over, placed_[i].home);
    i = end;
  }
  while (member < members) add(size, kNoDomain);
}

uint64_t GroupRoom::Homed(DomainId domain) const {
  for (const Home& home : homes_) {
    if (home.domain == domain) return home.count;
  }
  return 0;
}

void GroupRoom::CountWholeSlices() {
  const DomainTree& tree = group_->tree;
  const size_t size = group_->slice_size();
  whole_members_ = 0;
  shorts_.clear();
  homes_.clear();
  for (const PlacementSlice& slice : slices_) {
    if (slice.home != kNoDomain) {
      const auto home = std::find_if(homes_.begin(), homes_.end(), [&](Home& h) { return h.domain == slice.home; });
      if (home == homes_.end()) {
        homes_.push_back({slice.home, slice.count});
      } else {
        home->count += slice.count;
      }
    } else if (slice.count == size) {
      whole_members_ += size;
    } else {
      shorts_.push_back(slice.count);
    }
  }
  const DomainTree::Range level = tree.OfLevel(group_->slice_level);
  whole_.assign(level.end, 0);
  for (DomainId id = level.begin; id < level.end; ++id) whole_[id] = group_->together.In(id) / size;
  // Where only some members must be placed, these need not be among them.
  if (group_->request.min == group_->size()) {
    for (const Home& home : homes_) {
      const uint64_t in = group_->together.In(home.domain);
      whole_[home.domain] = in > home.count ? (in - home.count) / size : 0;
    }
  }
  for (DomainId id = level.end; id-- > 1;) whole_[tree.Parent(id)] += whole_[id];
}

uint64_t GroupRoom::HeldInSlices(DomainId id) const {
  const size_t size = group_->slice_size();
  const bool all_needed = group_->request.min == group_->size();
  uint64_t held = std::min(whole_[id] * size, whole_members_);
  const DomainTree::Range inside = group_->tree.Inside(id, group_->slice_level);
  for (const Home& home : homes_) {
    if (home.domain >= inside.begin && home.domain < inside.end)
      held += std::min(home.count, group_->together.In(home.domain));
  }
  const uint64_t most = group_->together.In(id);
  if (shorts_.empty()) return std::min(held, most);
  // A place for a whole slice may be left; or else the one short slice must do with what is left beside them.
  const bool left = whole_[id] * size > whole_members_;
  uint64_t room = left ? size : 0;
  for (DomainId d = inside.begin; d < inside.end && !left; ++d) {
    uint64_t in = group_->together.In(d);
    if (all_needed) in -= std::min(in, Homed(d));
    room = std::max(room, all_needed && shorts_.size() == 1 ? in % size : in);
  }
  for (const uint64_t count : shorts_) held += count <= room ? count : 0;
  return std::min(held, most);
}

uint64_t GroupRoom::Held(DomainId id, uint64_t need) {
  uint64_t held = group_->sliced() ? HeldInSlices(id) : std::min<uint64_t>(In(group_->together, id), group_->size());
  if (shape_members_.size() < 2 || held < need) return held;
  held = std::min(held, HeldByShape(id));
  return held < need ? held : std::min(held, HeldTogether(id));
}

uint64_t GroupRoom::HeldByShape(DomainId id) const {
  uint64_t held = 0;
  for (size_t s = 0; s < shape_members_.size(); ++s)
    held += std::min<uint64_t>(In(*group_->counts[s], id), shape_members_[s]);
  return held;
}

uint64_t GroupRoom::Share(DomainId id) const {
  if (group_->sliced()) return whole_[id] * group_->slice_size();
  return HeldByShape(id);
}

uint64_t GroupRoom::Left(DomainId id) const {
  if (group_->sliced() && id != kNoDomain) return whole_[id];
  uint64_t left = UINT64_MAX;
  for (size_t s = 0; s < shape_members_.size(); ++s) {
    if (shape_members_[s] == 0) continue;
    const uint64_t in = In(*group_->counts[s], id);
    left = std::min(left, in - std::min<uint64_t>(in, shape_members_[s]));
  }
  return left;
}

// Per resource, the members that take the least of it, as many as the domain's free amounts hold.
uint64_t GroupRoom::HeldTogether(DomainId id) {
  const auto nodes = id == kNoDomain ? group_->tree.AllNodes() : group_->tree.Nodes(id);
  uint64_t held = group_->size();
  auto step = steps_.begin();
  for (const ResourceId resource : resources_) {
    const int64_t* free = group_->snap.Free(resource);
    __int128 room = 0;
    for (const NodeIndex n : nodes) {
      if (group_->together.On(n) > 0 && free[n] > 0) room += free[n];
    }
    uint64_t count = 0;
    const auto end = step + static_cast<ptrdiff_t>(shape_members_.size());
    for (auto at = step; at != end; ++at) {
      const __int128 all = static_cast<__int128>(at->amount) * static_cast<__int128>(at->count);
      if (all > room) {
        count += static_cast<uint64_t>(room / at->amount);
        break;
      }
      count += at->count;
      room -= all;
    }
    step = end;
    held = std::min(held, count);
  }
  return held;
}

}  // namespace muster
