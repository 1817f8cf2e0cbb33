#include "scheduler/engine/quota/victim_index.h"

#include <algorithm>
#include <utility>

namespace muster {
namespace {

void AddCharges(std::span<const Charge> charges, VictimRule::Unit& unit) {
  for (const Charge& charge : charges) {
    const auto it =
        std::find_if(unit.charges.begin(), unit.charges.end(), [&](const Charge& c) { return c.cell == charge.cell; });
    if (it == unit.charges.end()) {
      unit.charges.push_back(charge);
    } else {
      it->amount += charge.amount;
    }
  }
}

}  // namespace

bool VictimIndex::RanksHigher(const Victim& a, const Victim& b) {
  if (a.unit.priority != b.unit.priority) return a.unit.priority > b.unit.priority;
  if (a.elastic != b.elastic) return b.elastic;
  if (a.whole != b.whole) return a.whole;
  if (a.unit.pods != b.unit.pods) return a.unit.pods > b.unit.pods;
  if (a.start != b.start) return a.start < b.start;
  const Pod &x = *a.first.pod.pod, &y = *b.first.pod.pod;
  return std::tie(x.ns(), x.name) < std::tie(y.ns(), y.name);
}

void VictimIndex::Update() {
  const ClusterObjects& objects = snapshot_.objects();
  if (std::exchange(generation_, ledger_.generation()) != ledger_.generation() || rows_.size() != snapshot_.size()) {
    rows_.clear();
    rows_.resize(snapshot_.size());
    groups_.clear();
    unused_.clear();
    dirty_.clear();
    group_of_.clear();
  }
  going_.clear();
  for (NodeIndex n = 0; n < rows_.size(); ++n) {
    if (rows_[n].version != snapshot_.PodsVersion(n)) Read(n);
    if (rows_[n].going) going_.push_back(n);
  }
  if (groups_version_ != objects.version(Kind::kPodGroup) ||
      coscheduling_version_ != objects.version(Kind::kCoschedulingPodGroup)) {
    groups_version_ = objects.version(Kind::kPodGroup);
    coscheduling_version_ = objects.version(Kind::kCoschedulingPodGroup);
    for (uint32_t g = 0; g < groups_.size(); ++g) {
      if (groups_[g].members > 0 && groups_[g].ref.source != GroupRef::Source::kLabels) Spoil(g);
    }
  }
  for (const uint32_t group : dirty_) ReadGroup(group);
  dirty_.clear();
}

void VictimIndex::Read(NodeIndex n) {
  Row& row = rows_[n];
  row.version = snapshot_.PodsVersion(n);
  const auto leave = [&](uint32_t group) {
    if (group == kNoGroup) return;
    --groups_[group].members;
    Spoil(group);
  };
  for (const Victim& victim : row.victims) leave(victim.group);
  for (const uint32_t group : row.going_of) leave(group);
  row.victims.clear();
  row.going_of.clear();
  row.going = false;
  for (const PodOnNode& on : snapshot_.PodsOn(n)) {
    const Pod& pod = *on.pod;
    const uint32_t group = pod.group.present() ? Enter(pod) : kNoGroup;
    row.going |= pod.going();
    if (pod.going() && group != kNoGroup) row.going_of.push_back(group);
    if (pod.going()) continue;
    Victim& victim = row.victims.emplace_back();
    victim.unit.queue = ledger_.AccountOf(*on.info).queue;
    victim.unit.priority = on.info->spec->priority;
    victim.unit.created = pod.created;
    victim.unit.started = victim.start = StartOf(pod);
    victim.first = {on, n};
    victim.group = group;
    if (victim.unit.queue == kNoQueue) continue;
    ledger_.ChargesOn(*on.info, n, charges_);
    victim.unit.charges.assign(charges_.begin(), charges_.end());
  }
  std::sort(row.victims.begin(), row.victims.end(), RanksHigher);
}

uint32_t VictimIndex::GroupOf(std::string_view ns, const GroupRef& group) const {
  const auto it = group_of_.find(Key{std::string(ns), group.source, group.name});
  return it == group_of_.end() ? kNoGroup : it->second;
}

uint32_t VictimIndex::Enter(const Pod& pod) {
  const auto [it, added] = group_of_.try_emplace(Key{pod.ns(), pod.group.source, pod.group.name}, 0);
  if (added) {
    if (unused_.empty()) {
      it->second = static_cast<uint32_t>(groups_.size());
      groups_.emplace_back();
    } else {
      it->second = unused_.back();
      unused_.pop_back();
    }
    Group& group = groups_[it->second];
    group = {};
    group.ns = pod.ns();
    group.ref = pod.group;
  }
  ++groups_[it->second].members;
  Spoil(it->second);
  return it->second;
}

void VictimIndex::Spoil(uint32_t group) {
  if (std::exchange(groups_[group].dirty, true)) return;
  dirty_.push_back(group);
}

VictimIndex::Victim* VictimIndex::Find(const Pod* pod, NodeIndex n) {
  for (Victim& victim : rows_[n].victims) {
    if (victim.first.pod.pod == pod) return &victim;
  }
  return nullptr;
}

// What depends on all of a group's pods: which of them are above its minimum, and whether they go as one.
void VictimIndex::ReadGroup(uint32_t index) {
  Group& group = groups_[index];
  group.dirty = false;
  group.pods.clear();
  if (group.members == 0) {
    group_of_.erase(Key{group.ns, group.ref.source, group.ref.name});
    unused_.push_back(index);
    return;
  }
  const auto placed = snapshot_.MembersOf(group.ns, group.ref);
  members_.clear();
  size_t minimum = 0;
  for (const PlacedMember& m : placed) {
    members_.push_back(m.pod);
    minimum = std::max(minimum, MinimumOf(*m.pod, snapshot_.objects()));
  }
  const PodGroup* own = NativeGroupOf(*placed[0].pod, snapshot_.objects());
  group.whole = own != nullptr && own->disrupted_whole;
  KeepElastic(members_, group.whole ? 0 : minimum);
  elastic_.clear();
  elastic_.insert(members_.begin(), members_.end());
  for (const PlacedMember& m : placed) {
    Victim* const victim = Find(m.pod, m.row);
    if (victim == nullptr) continue;
    const bool elastic = elastic_.contains(m.pod);
    const int32_t priority = VictimPriority(*m.pod, snapshot_.objects());
    const bool same = victim->elastic == elastic && victim->unit.priority == priority && victim->whole == group.whole;
    victim->elastic = elastic;
    victim->unit.priority = priority;
    victim->whole = group.whole;
    if (!same) std::sort(rows_[m.row].victims.begin(), rows_[m.row].victims.end(), RanksHigher);
  }
  if (group.whole) ReadWhole(index);
}

void VictimIndex::ReadWhole(uint32_t index) {
  Group& group = groups_[index];
  const VictimUnit all = AppendGroup(*snapshot_.MembersOf(group.ns, group.ref)[0].pod, snapshot_, group.pods);
  std::erase_if(group.pods, [](const PlacedPod& p) { return p.pod.pod->going(); });
  group.mixed = false;
  Victim& victim = group.victim;
  victim.unit.charges.clear();
  victim.whole = true;
  victim.group = index;
  victim.start = all.start;
  victim.unit.priority = all.priority;
  victim.unit.pods = static_cast<int64_t>(group.pods.size());
  victim.unit.created = absl::InfiniteFuture();
  victim.unit.started = absl::InfinitePast();
  victim.unit.queue = kNoQueue;
  if (group.pods.empty()) return;
  victim.first = group.pods[0];
  victim.unit.queue = ledger_.AccountOf(*group.pods[0].pod.info).queue;
  for (const PlacedPod& p : group.pods) {
    group.mixed |= ledger_.AccountOf(*p.pod.info).queue != victim.unit.queue;
    victim.unit.created = std::min(victim.unit.created, p.pod.pod->created);
    victim.unit.started = std::max(victim.unit.started, StartOf(*p.pod.pod));
    if (victim.unit.queue == kNoQueue) continue;
    ledger_.ChargesOn(*p.pod.info, p.row, charges_);
    AddCharges(charges_, victim.unit);
  }
}

}  // namespace muster
