#include "scheduler/model/group_members.h"

#include <algorithm>

namespace muster {

std::vector<PlacedMember>* GroupMembers::Find(const Pod& pod) {
  const auto it = groups_.find(View{pod.ns(), pod.group.source, pod.group.name});
  return it == groups_.end() ? nullptr : &it->second;
}

void GroupMembers::Add(const PlacedMember& member) {
  const Pod& pod = *member.pod;
  if (std::vector<PlacedMember>* members = Find(pod)) {
    empty_ -= members->empty();
    members->push_back(member);
    return;
  }
  groups_[Key{pod.ns(), pod.group.source, pod.group.name}].push_back(member);
}

void GroupMembers::Remove(const Pod& pod) {
  std::vector<PlacedMember>* members = Find(pod);
  if (members == nullptr) return;
  // From the back: what came last is what undo takes away.
  const auto it =
      std::find_if(members->rbegin(), members->rend(), [&](const PlacedMember& m) { return m.pod == &pod; });
  if (it == members->rend()) return;
  *it = members->back();
  members->pop_back();
  if (!members->empty()) return;
  ++empty_;
  if (empty_ < 64 || empty_ < groups_.size() / 2) return;
  absl::erase_if(groups_, [](const auto& group) { return group.second.empty(); });
  empty_ = 0;
}

void GroupMembers::Renew(const Pod& before, const Pod& after) {
  std::vector<PlacedMember>* members = Find(before);
  if (members == nullptr) return;
  const auto it = std::find_if(members->rbegin(), members->rend(), [&](const auto& m) { return m.pod == &before; });
  if (it == members->rend()) return;
  if (after.ns() == before.ns() && after.group.source == before.group.source && after.group.name == before.group.name) {
    it->pod = &after;
    return;
  }
  PlacedMember moved = *it;
  moved.pod = &after;
  Remove(before);
  if (after.group.present()) Add(moved);
}

}  // namespace muster
