#include "scheduler/engine/cluster_cache.h"

#include <algorithm>
#include <utility>

#include "scheduler/model/stable_hash.h"

namespace muster {

Snapshot& ClusterCache::Refresh() {
  if (!nodes_changed_) {
    snapshot_.Settle();
    return snapshot_;
  }
  nodes_changed_ = false;
  std::vector<NodePtr> nodes;
  nodes.reserve(node_count_);
  for (auto it = nodes_.begin(); it != nodes_.end();) {
    NodeRecord& record = *it->second;
    const auto here = it++;
    if (record.node != nullptr) {
      nodes.push_back(record.node);
    } else if (record.row = kNoNode; record.pods.empty()) {
      nodes_.erase(here);
    }
  }
  std::sort(nodes.begin(), nodes.end(), [](const NodePtr& a, const NodePtr& b) { return a->name < b->name; });
  snapshot_.Rebuild(std::move(nodes));
  for (NodeIndex n = 0; n < snapshot_.size(); ++n) {
    NodeRecord& record = *nodes_.find(snapshot_.node(n).name)->second;
    const bool fresh = record.row == kNoNode;
    record.row = n;
    if (!fresh) continue;  // its cells moved along
    for (const Placed* placed : record.pods) snapshot_.AddPod({placed->pod.get(), placed->info.get()}, n);
  }
  return snapshot_;
}

PodInfoPtr ClusterCache::InfoFor(const Pod& pod) {
  if (pod.deleting && !pod.spec->deleting) {
    auto spec = std::make_shared<PodSpec>(*pod.spec);
    spec->deleting = true;
    return InfoFor(std::move(spec));
  }
  return InfoFor(pod.spec);
}

PodInfoPtr ClusterCache::InfoFor(const std::shared_ptr<const PodSpec>& spec) {
  if (auto it = info_of_spec_.find(spec.get()); it != info_of_spec_.end()) return it->second;
  std::vector<PodInfoPtr>& equal_hash = infos_[StableHash(*spec)];
  for (const PodInfoPtr& info : equal_hash) {
    if (*info->spec == *spec) return info;
  }
  PodInfoPtr info = snapshot_.Resolve(spec);
  equal_hash.push_back(info);
  info_of_spec_[spec.get()] = info;
  if (info_of_spec_.size() >= sweep_at_) SweepInfos();
  return info;
}

PodInfoPtr ClusterCache::InfoToPlace(const Pod& pod, bool alike) {
  PodInfoPtr plain = InfoFor(pod);
  if (pod.claims.empty()) return plain;
  AskedClaims asked = snapshot_.AskClaims(pod, alike);
  if (asked.empty()) return plain;
  StableHasher hash;
  hash.Add(asked.problem);
  for (const AskedClaim& claim : asked.claims) hash.Add(claim.name), hash.Add(claim.hash);
  std::vector<PodInfoPtr>& same_hash = asking_[{plain.get(), hash.Digest()}];
  for (const PodInfoPtr& info : same_hash) {
    if (info->spec->asked == asked) return info;
  }
  auto spec = std::make_shared<PodSpec>(*plain->spec);
  spec->asked = std::move(asked);
  PodInfoPtr info = snapshot_.Resolve(std::move(spec), std::move(plain));
  same_hash.push_back(info);
  if (info_of_spec_.size() + ++asking_count_ >= sweep_at_) SweepInfos();
  return info;
}

// Lets go of shapes that no pod has any more.
void ClusterCache::SweepInfos() {
  asking_count_ = 0;
  for (auto it = asking_.begin(); it != asking_.end();) {
    std::erase_if(it->second, [](const PodInfoPtr& info) { return info.use_count() == 1; });
    asking_count_ += it->second.size();
    const auto here = it++;
    if (here->second.empty()) asking_.erase(here);
  }
  constexpr long kOurs = 2;  // infos_ and info_of_spec_
  for (auto it = infos_.begin(); it != infos_.end();) {
    std::erase_if(it->second, [&](const PodInfoPtr& info) {
      if (info.use_count() > kOurs) return false;
      info_of_spec_.erase(info->spec.get());
      return true;
    });
    auto here = it++;
    if (here->second.empty()) infos_.erase(here);
  }
  sweep_at_ = std::max<size_t>(1024, (info_of_spec_.size() + asking_count_) * 2);
  snapshot_.SweepTerms();
}

ClusterCache::NodeRecord& ClusterCache::RecordOf(const std::string& name) {
  std::unique_ptr<NodeRecord>& record = nodes_[name];
  if (record == nullptr) {
    record = std::make_unique<NodeRecord>();
    record->name = name;
  }
  return *record;
}

void ClusterCache::SetNode(NodePtr node) {
  NodeRecord& record = RecordOf(node->name);
  const NodePtr old = std::exchange(record.node, std::move(node));
  if (old == nullptr) ++node_count_;
  if (old != nullptr && old->SameForScheduling(*record.node)) return;
  if (!nodes_changed_ && record.row != kNoNode) {
    snapshot_.ReplaceNode(record.row, record.node);
  } else {
    nodes_changed_ = true;
  }
}

void ClusterCache::RemoveNode(const std::string& name) {
  auto it = nodes_.find(name);
  if (it == nodes_.end() || it->second->node == nullptr) return;
  it->second->node = nullptr;
  --node_count_;
  nodes_changed_ = true;
}

NodePtr ClusterCache::FindNode(const std::string& name) const {
  auto it = nodes_.find(name);
  return it == nodes_.end() ? nullptr : it->second->node;
}

ClusterCache::Placed& ClusterCache::Attach(const PodPtr& pod, PodInfoPtr info, const std::string& node) {
  auto owned = std::make_unique<Placed>();
  Placed& placed = *owned;
  placed_[pod->uid] = std::move(owned);
  placed.pod = pod;
  placed.info = std::move(info);
  placed.record = &RecordOf(node);
  placed.index = static_cast<uint32_t>(placed.record->pods.size());
  placed.record->pods.push_back(&placed);
  if (listener_) listener_(*pod, *placed.info, placed.record->row, false);
  return placed;
}

void ClusterCache::SetBound(const PodPtr& pod) {
  const auto leaving = leaving_.find(pod->uid);
  if (leaving == leaving_.end()) return Renew(pod);
  if (pod->deleting) {
    leaving_.erase(leaving);
    return Renew(pod);
  }
  leaving->second = pod;
  Pod gone = *pod;
  gone.leaving = true;
  Renew(std::make_shared<const Pod>(std::move(gone)));
}

void ClusterCache::SetLeaving(const std::string& uid) {
  const PodPtr pod = FindPlaced(uid);
  if (pod == nullptr || pod->deleting || assumed_.contains(uid)) return;
  leaving_[uid] = pod;
  SetBound(pod);
}

void ClusterCache::SetStaying(const std::string& uid) {
  if (const auto it = leaving_.find(uid); it != leaving_.end()) {
    const PodPtr pod = std::move(it->second);
    leaving_.erase(it);
    Renew(pod);
  }
}

void ClusterCache::Renew(const PodPtr& pod) {
  PodInfoPtr info = InfoFor(*pod);
  if (auto it = placed_.find(pod->uid); it != placed_.end()) {
    Placed& placed = *it->second;
    if (placed.record->name == pod->node && (placed.info == info || placed.info->plain == info)) {
      const PodPtr before = std::exchange(placed.pod, pod);
      if (placed.record->row != kNoNode)
        snapshot_.RenewPod(*before, {pod.get(), placed.info.get()}, placed.record->row);
      if (listener_) listener_(*pod, *placed.info, placed.record->row, false);
      assumed_.erase(pod->uid);
      return;
    }
    Drop(pod->uid);
  }
  const Placed& placed = Attach(pod, std::move(info), pod->node);
  if (placed.record->row != kNoNode) snapshot_.AddPod({pod.get(), placed.info.get()}, placed.record->row);
}

PodPtr ClusterCache::FindPlaced(const std::string& uid) const {
  auto it = placed_.find(uid);
  return it == placed_.end() ? nullptr : it->second->pod;
}

std::string ClusterCache::NodeOf(const std::string& uid) const {
  auto it = placed_.find(uid);
  return it == placed_.end() ? std::string() : it->second->record->name;
}

bool ClusterCache::IsAssumed(const std::string& uid) const { return assumed_.contains(uid); }

void ClusterCache::Remove(const std::string& uid) {
  leaving_.erase(uid);
  Drop(uid);
}

void ClusterCache::Drop(const std::string& uid) {
  assumed_.erase(uid);
  auto it = placed_.find(uid);
  if (it == placed_.end()) return;
  const std::unique_ptr<Placed> placed = std::move(it->second);
  placed_.erase(it);
  if (listener_) listener_(*placed->pod, *placed->info, placed->record->row, true);
  NodeRecord& record = *placed->record;
  record.pods[placed->index] = record.pods.back();
  record.pods[placed->index]->index = placed->index;
  record.pods.pop_back();
  if (record.row != kNoNode) snapshot_.RemovePod(*placed->pod, record.row);
  if (record.node == nullptr && record.pods.empty() && record.row == kNoNode) nodes_.erase(std::string(record.name));
}

void ClusterCache::Assume(const PodPtr& pod, PodInfoPtr info, NodeIndex node) {
  Attach(pod, std::move(info), snapshot_.node(node).name);
  assumed_[pod->uid] = absl::InfiniteFuture();
}

void ClusterCache::FinishBinding(const std::string& uid, Time deadline) {
  if (auto it = assumed_.find(uid); it != assumed_.end()) it->second = deadline;
}

std::vector<PodPtr> ClusterCache::Expired(Time now) const {
  std::vector<PodPtr> expired;
  for (const auto& [uid, deadline] : assumed_) {
    if (deadline <= now) expired.push_back(placed_.find(uid)->second->pod);
  }
  std::sort(expired.begin(), expired.end(), [](const PodPtr& a, const PodPtr& b) { return a->uid < b->uid; });
  return expired;
}

}  // namespace muster
