#include "queue/queue_catalog.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace muster {

void QueueCatalog::Build(const ClusterObjects& objects, const std::string& default_queue) {
  entries_.clear();
  kept_.clear();
  for (const auto& [key, object] : objects.All(Kind::kQueue)) {
    kept_.push_back(object);
    entries_.push_back({static_cast<const Queue*>(object.get()), kNoQueue, {}, {}});
  }
  parents_.clear();
  for (const Entry& entry : entries_)
    parents_.push_back(entry.queue->parent.empty() ? kNone : Find(entry.queue->parent));
  default_queue_ = default_queue;
  selected_.clear();
  CheckEach(objects);
  CheckCycles();
  CheckLending();
  MakeTree();
  MakeCells();
}

uint32_t QueueCatalog::Find(std::string_view name) const {
  const auto at =
      std::partition_point(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.queue->name < name; });
  return at == entries_.end() || at->queue->name != name ? kNone : static_cast<uint32_t>(at - entries_.begin());
}

void QueueCatalog::Fail(uint32_t entry, std::string reason, std::string message) {
  if (!entries_[entry].reason.empty()) return;
  entries_[entry].reason = std::move(reason);
  entries_[entry].message = std::move(message);
}

void QueueCatalog::CheckEach(const ClusterObjects& objects) {
  for (uint32_t e = 0; e < entries_.size(); ++e) {
    const Queue& queue = *entries_[e].queue;
    if (!queue.invalid.empty()) Fail(e, "Invalid", queue.invalid);
    if (!queue.parent.empty() && parents_[e] == kNone)
      Fail(e, "ParentNotFound", absl::StrCat("parent \"", queue.parent, "\" does not exist"));
    for (const QueueResource& resource : queue.resources) {
      if (resource.flavor.empty()) continue;
      const std::string flavor = absl::StrCat("flavor \"", resource.flavor, "\" of ", resource.name);
      const ObjectPtr object = objects.Find(Kind::kResourceFlavor, "", resource.flavor);
      if (object == nullptr) {
        Fail(e, "FlavorNotFound", flavor + " does not exist");
      } else if (const auto& read = static_cast<const ResourceFlavor&>(*object); !read.invalid.empty()) {
        Fail(e, "FlavorInvalid", absl::StrCat(flavor, " is not usable: ", read.invalid));
      }
    }
  }
}

void QueueCatalog::CheckCycles() {
  enum class Mark : uint8_t { kNew, kOnPath, kDone };
  std::vector<Mark> marks(entries_.size(), Mark::kNew);
  std::vector<uint32_t> path;
  for (uint32_t start = 0; start < entries_.size(); ++start) {
    path.clear();
    uint32_t e = start;
    for (; e != kNone && marks[e] == Mark::kNew; e = parents_[e]) marks[e] = Mark::kOnPath, path.push_back(e);
    if (e != kNone && marks[e] == Mark::kOnPath) {
      const auto begin = std::find(path.begin(), path.end(), e);
      for (auto at = begin; at != path.end(); ++at) {
        std::vector<std::string> names;
        for (uint32_t up = *at; names.empty() || up != *at; up = parents_[up])
          names.push_back(entries_[up].queue->name);
        Fail(*at, "Cycle", absl::StrCat("is its own ancestor: ", absl::StrJoin(names, " -> "), " -> ", names[0]));
      }
    }
    for (const uint32_t done : path) marks[done] = Mark::kDone;
  }
}

// What a queue has is its nominal quota and that of all below it, sound or not: one's fault is not another's.
void QueueCatalog::CheckLending() {
  for (uint32_t e = 0; e < entries_.size(); ++e) {
    for (const QueueResource& resource : entries_[e].queue->resources) {
      if (!resource.lending_limit || *resource.lending_limit <= resource.nominal_quota) continue;
      absl::int128 has = 0;
      for (uint32_t other = 0; other < entries_.size(); ++other) {
        uint32_t up = other;
        for (size_t steps = 0; up != kNone && up != e && steps < entries_.size(); ++steps) up = parents_[up];
        if (up != e) continue;
        for (const QueueResource& of : entries_[other].queue->resources) {
          if (of.name == resource.name && of.flavor == resource.flavor) has += of.nominal_quota;
        }
      }
      if (*resource.lending_limit > has) {
        Fail(e, "LendsTooMuch",
             absl::StrCat("lendingLimit of ", resource.name, resource.flavor.empty() ? "" : " in flavor ",
                          resource.flavor, " is more than it has"));
      }
    }
  }
}

void QueueCatalog::MakeTree() {
  const auto sound = [&](uint32_t e) { return entries_[e].reason.empty(); };
  const auto parent = [&](uint32_t e) { return parents_[e] != kNone && sound(parents_[e]) ? parents_[e] : kNone; };
  std::vector<std::pair<uint32_t, uint32_t>> order;  // depth, entry
  for (uint32_t e = 0; e < entries_.size(); ++e) {
    if (!sound(e)) continue;
    uint32_t depth = 0;
    for (uint32_t up = parent(e); up != kNone; up = parent(up)) ++depth;
    order.emplace_back(depth, e);
  }
  std::sort(order.begin(), order.end());
  of_index_.clear();
  tree_.clear();
  for (const auto& [depth, e] : order) {
    entries_[e].index = static_cast<QueueIndex>(of_index_.size());
    of_index_.push_back(e);
    const uint32_t up = parent(e);
    tree_.push_back({up == kNone ? kNoQueue : entries_[up].index, entries_[e].queue->weight, {}});
  }
}

void QueueCatalog::MakeCells() {
  std::map<std::pair<std::string, std::string>, QuotaCell> known;
  for (const uint32_t e : of_index_) {
    for (const QueueResource& resource : entries_[e].queue->resources)
      known.emplace(std::pair(resource.name, resource.flavor), 0);
  }
  cells_.clear();
  resource_of_.clear();
  resources_.clear();
  for (auto& [name, cell] : known) {
    cell = static_cast<QuotaCell>(cells_.size());
    cells_.push_back({name.first, name.second});
    resource_of_.push_back(resources_.try_emplace(name.first, static_cast<uint32_t>(resources_.size())).first->second);
  }
  charged_.assign(of_index_.size(), std::vector<std::vector<QuotaCell>>(resources_.size()));
  const auto list = [&](QueueIndex at, QueueIndex of) {
    for (const Quota& quota : tree_[of].quotas) {
      std::vector<QuotaCell>& cells = charged_[at][resource_of_[quota.cell]];
      if (std::find(cells.begin(), cells.end(), quota.cell) == cells.end()) cells.push_back(quota.cell);
    }
  };
  for (QueueIndex q = 0; q < tree_.size(); ++q) {
    for (const QueueResource& resource : queue(q).resources) {
      tree_[q].quotas.push_back({known.at({resource.name, resource.flavor}), resource.nominal_quota,
                                 resource.borrowing_limit.value_or(kUnlimited),
                                 resource.lending_limit.value_or(kUnlimited)});
    }
    for (QueueIndex up = q; up != kNoQueue; up = tree_[up].parent) list(q, up);
  }
  for (QueueIndex q = 0; q < tree_.size(); ++q) {  // what is listed only below counts too
    for (QueueIndex up = tree_[q].parent; up != kNoQueue; up = tree_[up].parent) list(up, q);
  }
}

QueueCatalog::Owner QueueCatalog::OwnerOf(const std::string& ns, const std::string& wanted,
                                          const ClusterObjects& objects, bool ours) {
  const ObjectPtr object = objects.Find(Kind::kNamespace, "", ns);
  auto& [seen, selecting] = selected_[ns];
  if (seen == nullptr || seen != object) {
    seen = object;
    selecting.clear();
    static const Labels kNoLabels;
    const Labels& labels = object == nullptr ? kNoLabels : static_cast<const Namespace&>(*object).labels;
    for (uint32_t e = 0; e < entries_.size(); ++e) {
      if (entries_[e].queue->namespace_selector.Matches(labels)) selecting.push_back(e);
    }
  }
  uint32_t chosen = selecting.empty() ? kNone : selecting.front();
  if (selecting.empty() && ours && !default_queue_.empty()) {
    chosen = Find(default_queue_);
    if (chosen == kNone) return {kNoQueue, absl::StrCat("the default queue \"", default_queue_, "\" does not exist")};
  }
  if (!wanted.empty() && (chosen == kNone || entries_[chosen].queue->name != wanted)) {
    const uint32_t asked = Find(wanted);
    if (asked == kNone) return {kNoQueue, absl::StrCat("queue \"", wanted, "\" does not exist")};
    if (std::find(selecting.begin(), selecting.end(), asked) == selecting.end())
      return {kNoQueue, absl::StrCat("queue \"", wanted, "\" does not select namespace \"", ns, "\"")};
    chosen = asked;
  }
  if (chosen == kNone) return {kNoQueue, absl::StrCat("no queue selects namespace \"", ns, "\"")};
  const Entry& entry = entries_[chosen];
  if (entry.index == kNoQueue)
    return {kNoQueue, absl::StrCat("queue \"", entry.queue->name, "\" is not usable: ", entry.message)};
  return {entry.index, {}};
}

std::span<const QuotaCell> QueueCatalog::CellsOf(QueueIndex q, std::string_view resource) const {
  const auto at = resources_.find(AsAbsl(resource));
  return at == resources_.end() ? std::span<const QuotaCell>() : charged_[q][at->second];
}

}  // namespace muster
