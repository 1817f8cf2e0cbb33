#include "scheduler/model/snapshot.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "scheduler/model/stable_hash.h"

namespace muster {
namespace {

constexpr ColumnId kNonZeroCpuColumn = 0;
constexpr ColumnId kNonZeroMemoryColumn = 1;
constexpr ColumnId kClaimVolumesColumn = 2;
constexpr size_t kMaxLog = 1 << 16;  // changed rows remembered; older readers start anew

size_t Padded(size_t rows) { return (rows + kWordBits - 1) / kWordBits * kWordBits; }

int64_t AttachableVolumes(const PodSpec& spec) {
  int64_t count = 0;
  for (const PodVolume& volume : spec.volumes) {
    switch (volume.kind) {
      case PodVolume::Kind::kClaim: ++count; break;
      case PodVolume::Kind::kIscsi:
      case PodVolume::Kind::kRbd:
      case PodVolume::Kind::kCsi: break;
      default: count += Snapshot::kUncountable;
    }
  }
  return count;
}

}  // namespace

Snapshot::Snapshot() {
  cells_.resize(3);
  for (std::string_view name : {"pods", "cpu", "memory", "ephemeral-storage"}) InternResource(name);
}

NodeIndex Snapshot::Find(std::string_view name) const {
  auto it = std::lower_bound(nodes_.begin(), nodes_.end(), name,
                             [](const NodePtr& node, std::string_view wanted) { return node->name < wanted; });
  if (it == nodes_.end() || (*it)->name != name) return kNoNode;
  return static_cast<NodeIndex>(it - nodes_.begin());
}

const Snapshot::LabelKey* Snapshot::FindLabel(std::string_view key) const {
  auto it = labels_.find(AsAbsl(key));
  return it == labels_.end() || it->second.column.empty() ? nullptr : &it->second;
}

int Snapshot::ClaimUsers(std::string_view claim) const {
  auto it = claim_users_.find(AsAbsl(claim));
  return it == claim_users_.end() ? 0 : it->second;
}

const Snapshot::Image* Snapshot::FindImage(std::string_view name) const {
  auto it = images_.find(AsAbsl(name));
  return it == images_.end() ? nullptr : &it->second;
}

bool Snapshot::ChangedSince(uint64_t version, std::span<const NodeIndex>* rows) const {
  if (version < log_start_) return false;
  *rows = std::span(log_).subspan(version - log_start_);
  return true;
}

ResourceId Snapshot::InternResource(std::string_view name) {
  const ResourceId id = resources_.Intern(name);
  if (id < allocatable_.size()) return id;
  allocatable_.emplace_back(Padded(size()), 0);
  cells_.emplace_back(Padded(size()), 0);
  free_column_.push_back(static_cast<ColumnId>(cells_.size() - 1));
  return id;
}

ColumnId Snapshot::InternPort(const HostPort& port) {
  for (const PortColumn& p : ports_) {
    if (p.port == port) return p.column;
  }
  cells_.emplace_back(Padded(size()), 0);
  ports_.push_back({port, static_cast<ColumnId>(cells_.size() - 1)});
  return ports_.back().column;
}

PodInfoPtr Snapshot::Resolve(std::shared_ptr<const PodSpec> spec, PodInfoPtr plain) {
  auto info = std::make_shared<PodInfo>();
  info->plain = std::move(plain);
  info->shape = StableHash(*spec);
  info->kin = StableHashButLabels(*spec);
  const PodAmounts& amounts = spec->amounts;
  for (const Amount& a : amounts.requests) info->requests.push_back({InternResource(a.resource), a.value});
  info->cells.push_back({free_column_[kPods], -1});
  info->cells.push_back({kNonZeroCpuColumn, amounts.non_zero_cpu});
  info->cells.push_back({kNonZeroMemoryColumn, amounts.non_zero_memory});
  for (const Amount& a : amounts.usage) {
    const ResourceId id = InternResource(a.resource);
    info->usage.push_back({id, a.value});
    info->cells.push_back({free_column_[id], -a.value});
  }
  if (const int64_t volumes = AttachableVolumes(*spec); volumes != 0)
    info->cells.push_back({kClaimVolumesColumn, volumes});
  for (const HostPort& port : spec->host_ports) info->cells.push_back({InternPort(port), 1});
  info->spec = std::move(spec);
  AddOwnTerms(*info);
  CountMatches(*info);
  infos_.push_back(info);
  return info;
}

void Snapshot::LogRow(NodeIndex n) {
  // A placement writes several cells of one row: one entry serves them all.
  if (!log_.empty() && log_.back() == n && log_start_ + log_.size() > seen_) return;
  if (log_.size() == kMaxLog) {
    log_.erase(log_.begin(), log_.begin() + kMaxLog / 2);
    log_start_ += kMaxLog / 2;
  }
  log_.push_back(n);
}

void Snapshot::ForgetChanges(uint64_t version) {
  if (version >= log_start_) {
    log_.resize(version - log_start_);
  } else {  // the log overflowed: readers start anew
    log_.clear();
    log_start_ = version;
  }
}

void Snapshot::SetCell(ColumnId c, NodeIndex n, int64_t value) {
  cells_[c][n] = value;
  LogRow(n);
}

void Snapshot::Apply(const PodInfo& pod, NodeIndex n, int sign) {
  for (const PodInfo::CellDelta& d : pod.cells) cells_[d.column][n] += sign * d.delta;
  LogRow(n);
}

void Snapshot::SetAllocatable(NodeIndex n, const Node& node) {
  for (ResourceId r = 0; r < allocatable_.size(); ++r) {
    cells_[free_column_[r]][n] -= allocatable_[r][n];
    allocatable_[r][n] = 0;
  }
  for (const Amount& a : node.allocatable) {
    const ResourceId r = InternResource(a.resource);
    allocatable_[r][n] = a.value;
    cells_[free_column_[r]][n] += a.value;
  }
}

void Snapshot::Rebuild(std::vector<NodePtr> nodes) {
  assert(std::is_sorted(nodes.begin(), nodes.end(), [](const auto& a, const auto& b) { return a->name < b->name; }));
  const std::vector<NodePtr> old = std::exchange(nodes_, std::move(nodes));
  const size_t rows = nodes_.size();
  std::vector<NodeIndex> from(rows, kNoNode);  // new row -> old row
  for (size_t i = 0, j = 0; i < rows; ++i) {
    while (j < old.size() && old[j]->name < nodes_[i]->name) ++j;
    if (j < old.size() && old[j]->name == nodes_[i]->name) from[i] = static_cast<NodeIndex>(j);
  }
  auto move_rows = [&](std::vector<int64_t>& column) {
    std::vector<int64_t> moved(Padded(rows), 0);
    for (size_t i = 0; i < rows; ++i) {
      if (from[i] != kNoNode) moved[i] = column[from[i]];
    }
    column = std::move(moved);
  };
  for (auto& column : cells_) move_rows(column);
  for (auto& column : allocatable_) move_rows(column);
  std::vector<std::vector<PodOnNode>> pods(rows);
  for (size_t i = 0; i < rows; ++i) {
    if (from[i] != kNoNode) pods[i] = std::exchange(pods_[from[i]], {});
  }
  for (const std::vector<PodOnNode>& gone : pods_) {
    for (const PodOnNode& pod : gone) CountClaims(*pod.info, -1);
  }
  pods_ = std::move(pods);
  pods_version_.resize(rows);
  for (uint64_t& version : pods_version_) version = ++pods_changes_;
  group_members_.Clear();
  for (NodeIndex n = 0; n < rows; ++n) {
    for (const PodOnNode& pod : pods_[n]) {
      if (pod.pod->group.present()) group_members_.Add({pod.pod, pod.info, n});
    }
  }
  all_.Reset(rows);
  tie_.resize(rows);
  for (NodeIndex n = 0; n < rows; ++n) {
    all_.Add(n);
    tie_[n] = Mix(StableHash(nodes_[n]->name));
    if (from[n] == kNoNode || old[from[n]] != nodes_[n]) SetAllocatable(n, *nodes_[n]);
  }
  volumes_.Rebuild(rows, Padded(rows), *objects_, [this](const std::string& name) { return Find(name); });
  devices_.Rebuild(rows, [this](const std::string& name) { return Find(name); });
  unsettled_ = false;
  IndexStatic();
  if (observer_ != nullptr) observer_->OnRowsChanged();
}

void Snapshot::ReplaceNode(NodeIndex n, NodePtr node) {
  assert(node->name == nodes_[n]->name);
  nodes_[n] = std::move(node);
  SetAllocatable(n, *nodes_[n]);
  unsettled_ = true;
}

void Snapshot::IndexStatic() {
  ++static_version_;
  for (auto& [key, label] : labels_) {
    if (label.values.size() > 2 * size() + 1024) label.values = Interner();  // mostly of nodes long gone
    label.column.clear();
  }
  taints_.clear();
  images_.clear();
  unschedulable_.Reset(size());
  usable_ = all_;
  for (NodeIndex n = 0; n < size(); ++n) {
    const Node& node = *nodes_[n];
    if (node.unschedulable) unschedulable_.Add(n);
    if (!node.invalid.empty()) usable_.Remove(n);
    for (const auto& [key, value] : node.labels) {
      LabelKey& label = labels_[key];
      if (label.column.empty()) label.column.resize(Padded(size()), 0);
      label.column[n] = 1 + label.values.Intern(value);
    }
    for (const Taint& taint : node.taints) {
      auto it = std::find_if(taints_.begin(), taints_.end(), [&](const TaintColumn& c) { return c.taint == taint; });
      if (it == taints_.end()) it = taints_.insert(taints_.end(), {taint, NodeSet(size())});
      it->nodes.Add(n);
    }
    for (const NodeImage& image : node.images) {
      for (const std::string& name : image.names) {
        auto [it, fresh] = images_.try_emplace(name);
        if (fresh) it->second = {NodeSet(size()), image.size_bytes, 0};
        if (it->second.nodes.Has(n)) continue;
        it->second.nodes.Add(n);
        ++it->second.node_count;
      }
    }
  }
}

}  // namespace muster
