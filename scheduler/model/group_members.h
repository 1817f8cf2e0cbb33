// Which pods of each group are on nodes. Pods without a group cost nothing here.
//
// Owner: the Snapshot. Decision thread only.
#ifndef MUSTER_SCHEDULER_MODEL_GROUP_MEMBERS_H_
#define MUSTER_SCHEDULER_MODEL_GROUP_MEMBERS_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "scheduler/model/ids.h"
#include "scheduler/model/pod.h"

namespace muster {

struct PodInfo;

// A group's pod on a row.
struct PlacedMember {
  const Pod* pod;
  const PodInfo* info;
  NodeIndex row;
};

class GroupMembers {
 public:
  // By namespace, source and name, in no promised order; GroupRef::size is no part of a group's identity.
  // Valid until the next change.
  std::span<const PlacedMember> Of(std::string_view ns, const GroupRef& group) const {
    const auto it = groups_.find(View{ns, group.source, group.name});
    return it == groups_.end() ? std::span<const PlacedMember>() : it->second;
  }
  // Requires: member.pod->group.present().
  void Add(const PlacedMember& member);
  void Remove(const Pod& pod);
  // `after` is a newer object of the same pod, on the same row.
  void Renew(const Pod& before, const Pod& after);
  void Clear() {
    groups_.clear();
    empty_ = 0;
  }

 private:
  struct Key {
    std::string ns;
    GroupRef::Source source;
    std::string name;
  };
  struct View {
    std::string_view ns;
    GroupRef::Source source;
    std::string_view name;
  };
  static View Of(const View& view) { return view; }
  static View Of(const Key& key) { return {key.ns, key.source, key.name}; }
  struct Hash {
    using is_transparent = void;
    size_t operator()(const auto& key) const {
      const View view = Of(key);
      return absl::HashOf(AsAbsl(view.ns), static_cast<int>(view.source), AsAbsl(view.name));
    }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const auto& a, const auto& b) const {
      const View x = Of(a), y = Of(b);
      return x.source == y.source && x.name == y.name && x.ns == y.ns;
    }
  };
  std::vector<PlacedMember>* Find(const Pod& pod);

  // Groups that became empty stay for a while, so that trying one again allocates nothing.
  absl::flat_hash_map<Key, std::vector<PlacedMember>, Hash, Equal> groups_;
  size_t empty_ = 0;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_GROUP_MEMBERS_H_
