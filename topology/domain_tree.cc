#include "topology/domain_tree.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace muster {
namespace {

// "example.com/rack" -> "rack".
std::string_view Noun(std::string_view key) { return key.substr(key.rfind('/') + 1); }

// By value of the label (0: lacks it): its position among the values that `nodes` have, in the order of
// their texts. Also counts those values.
std::vector<uint32_t> Ranks(const Snapshot::LabelKey& label, std::span<const NodeIndex> nodes, uint32_t* count) {
  std::vector<uint32_t> ranks(label.domains(), 0), values;
  for (const NodeIndex n : nodes) {
    uint32_t& seen = ranks[label.column[n]];
    if (std::exchange(seen, 1) == 0) values.push_back(label.column[n]);
  }
  const auto less = [&](uint32_t a, uint32_t b) { return label.values.Text(a - 1) < label.values.Text(b - 1); };
  // Host names mostly come in order.
  if (!std::is_sorted(values.begin(), values.end(), less)) std::sort(values.begin(), values.end(), less);
  for (uint32_t i = 0; i < values.size(); ++i) ranks[values[i]] = i;
  *count = static_cast<uint32_t>(values.size());
  return ranks;
}

}  // namespace

DomainTree::DomainTree(const Snapshot& snap, std::vector<std::string> keys, uint64_t serial)
    : keys_(std::move(keys)), serial_(serial) {
  std::vector<const std::vector<uint32_t>*> values;  // by key
  bool missing = false;
  for (const std::string& key : keys_) {
    const Snapshot::LabelKey* label = snap.FindLabel(key);
    missing |= label == nullptr;
    values.push_back(label == nullptr ? nullptr : &label->column);
  }
  std::vector<NodeIndex> outside;
  for (NodeIndex n = 0; n < snap.size(); ++n) {
    const bool inside = !missing && std::all_of(values.begin(), values.end(), [&](auto* v) { return (*v)[n] != 0; });
    (inside ? nodes_ : outside).push_back(n);
  }
  if (!nodes_.empty()) Sort(snap);
  leaf_.assign(snap.size(), kNoDomain);
  Divide(values);
  nodes_.insert(nodes_.end(), outside.begin(), outside.end());
}

// Orders the nodes by the texts of their labels, the widest level's first, then by name: a counting sort
// from the lowest level up.
void DomainTree::Sort(const Snapshot& snap) {
  std::vector<NodeIndex> sorted(nodes_.size());
  std::vector<uint32_t> starts;
  for (size_t i = keys_.size(); i-- > 0;) {
    const Snapshot::LabelKey& label = *snap.FindLabel(keys_[i]);
    uint32_t count = 0;
    const std::vector<uint32_t> ranks = Ranks(label, nodes_, &count);
    starts.assign(count + 1, 0);
    for (const NodeIndex n : nodes_) ++starts[ranks[label.column[n]] + 1];
    for (uint32_t rank = 0; rank < count; ++rank) starts[rank + 1] += starts[rank];
    for (const NodeIndex n : nodes_) sorted[starts[ranks[label.column[n]]]++] = n;
    nodes_.swap(sorted);
  }
}

// Makes the domains of the sorted nodes.
void DomainTree::Divide(std::span<const std::vector<uint32_t>* const> values) {
  const auto end = static_cast<uint32_t>(nodes_.size());
  level_begin_ = {0, 1};
  domains_.push_back({.nodes = {0, end}, .children = {}});
  ambiguous_.push_back(false);
  for (uint32_t level = 1; level <= keys_.size(); ++level) {
    const std::vector<uint32_t>& value = *(values[level - 1] == nullptr ? &leaf_ : values[level - 1]);
    std::vector<bool> seen;
    bool ambiguous = false;
    for (DomainId parent = level_begin_[level - 1]; parent < level_begin_[level]; ++parent) {
      const Range within = domains_[parent].nodes;
      domains_[parent].children.begin = static_cast<uint32_t>(domains_.size());
      for (uint32_t i = within.begin; i < within.end;) {
        const uint32_t here = value[nodes_[i]];
        if (seen.size() <= here) seen.resize(here + 1);
        ambiguous |= seen[here];
        seen[here] = true;
        const uint32_t begin = i;
        while (i < within.end && value[nodes_[i]] == here) ++i;
        domains_.push_back({.nodes = {begin, i}, .children = {}, .parent = parent, .level = level});
      }
      domains_[parent].children.end = static_cast<uint32_t>(domains_.size());
    }
    level_begin_.push_back(static_cast<uint32_t>(domains_.size()));
    ambiguous_.push_back(ambiguous);
  }
  for (DomainId id = level_begin_[keys_.size()]; id < domains_.size(); ++id) {
    const Range& range = domains_[id].nodes;
    for (uint32_t i = range.begin; i < range.end; ++i) leaf_[nodes_[i]] = id;
  }
}

std::optional<size_t> DomainTree::LevelOf(std::string_view key) const {
  const auto it = std::find(keys_.begin(), keys_.end(), key);
  if (it == keys_.end()) return std::nullopt;
  return static_cast<size_t>(it - keys_.begin()) + 1;
}

DomainTree::Range DomainTree::Inside(DomainId id, size_t level) const {
  Range range{id, id + 1};
  for (size_t at = LevelOf(id); at < level; ++at) {
    if (range.size() == 0) return range;
    range = {domains_[range.begin].children.begin, domains_[range.end - 1].children.end};
  }
  return range;
}

DomainId DomainTree::Around(DomainId id, size_t level) const {
  while (domains_[id].level > level) id = domains_[id].parent;
  return id;
}

std::string DomainTree::Name(DomainId id, const Snapshot& snap) const {
  std::string name;
  AppendName(id, snap, &name);
  return name;
}

void DomainTree::AppendName(DomainId id, const Snapshot& snap, std::string* out) const {
  if (id == kRoot) {
    if (!Outside().empty()) absl::StrAppend(out, "any ", AsAbsl(Noun(keys_[0])));
    return;
  }
  const size_t level = LevelOf(id);
  if (ambiguous_[level]) {
    AppendName(Parent(id), snap, out);
    out->append(", ");
  }
  const auto value = snap.node(Nodes(id)[0]).labels.find(keys_[level - 1]);
  absl::StrAppend(out, AsAbsl(Noun(keys_[level - 1])), " ", value->second);
}

}  // namespace muster
