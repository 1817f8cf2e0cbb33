#include "topology/slot_counts.h"

#include <algorithm>

namespace muster {
namespace {

constexpr char kHostnameLabel[] = "kubernetes.io/hostname";

int64_t AmountOf(const std::vector<PodInfo::Want>& wants, ResourceId resource) {
  for (const PodInfo::Want& want : wants) {
    if (want.resource == resource) return want.amount;
  }
  return 0;
}

// For good: not only while its namespace has the labels of a selector.
bool AvoidsItselfPerHost(const PodInfo& pod, const Snapshot& snap) {
  const auto& terms = pod.spec->pod_affinity.required_anti;
  return std::any_of(terms.begin(), terms.end(), [&](const PodAffinityTerm& term) {
    return term.topology_key == kHostnameLabel && snap.Selects(term, *pod.spec) &&
           std::find(term.namespaces.begin(), term.namespaces.end(), pod.spec->ns) != term.namespaces.end();
  });
}

}  // namespace

SlotRule::SlotRule(const PodInfo& pod, const Snapshot& snap, std::span<const uint8_t> limits) {
  for (const PodInfo::Want& want : pod.requests)
    AddWant(want.resource, want.amount, AmountOf(pod.usage, want.resource), limits);
  AddWant(kPods, 1, 1, limits);
  // Extended resources have the highest ids, and are what there are fewest of.
  std::sort(wants_.begin(), wants_.end(), [](const Want& a, const Want& b) { return a.resource > b.resource; });
  one_a_node_ = !pod.spec->host_ports.empty();
  one_a_host_ = AvoidsItselfPerHost(pod, snap);
}

SlotRule::SlotRule(std::span<const PodInfo* const> pods, const Snapshot& snap, std::span<const uint8_t> limits) {
  if (pods.empty()) return;
  *this = SlotRule(*pods[0], snap, limits);
  for (const PodInfo* pod : pods.subspan(1)) {
    const SlotRule other(*pod, snap, limits);
    std::erase_if(wants_, [&](Want& want) {
      const auto same = std::find_if(other.wants_.begin(), other.wants_.end(),
                                     [&](const Want& w) { return w.resource == want.resource; });
      if (same == other.wants_.end()) return true;
      if (same->each < want.each) want.each = same->each, want.reciprocal = same->reciprocal;
      want.first = std::min(want.first, same->first);
      return false;
    });
    one_a_node_ = one_a_host_ = false;  // pods of one shape avoid each other, not those of another
  }
}

void SlotRule::AddWant(ResourceId resource, int64_t first, int64_t each, std::span<const uint8_t> limits) {
  if (first <= 0 || (resource < limits.size() && limits[resource] == 0)) return;
  // floor(2^64 / each) for each >= 2, which is floor((2^64 - 1) / each) but where each is a power of two.
  const auto divisor = static_cast<uint64_t>(each);
  const uint64_t reciprocal = each < 2 ? 0 : UINT64_MAX / divisor + ((divisor & (divisor - 1)) == 0 ? 1 : 0);
  wants_.push_back({resource, first, each, reciprocal});
}

const uint32_t* SlotRule::Hosts(const Snapshot& snap) const {
  const Snapshot::LabelKey* label = one_a_host_ ? snap.FindLabel(kHostnameLabel) : nullptr;
  return label == nullptr ? nullptr : label->column.data();
}

uint32_t SlotRule::SlotsOn(const Snapshot& snap, NodeIndex n) const { return SlotsOn(snap, Hosts(snap), n); }

uint32_t SlotRule::SlotsOn(const Snapshot& snap, const uint32_t* hosts, NodeIndex n) const {
  uint64_t slots = one_a_node_ || (hosts != nullptr && hosts[n] != 0) ? 1 : kMost;
  for (const Want& want : wants_) {
    const int64_t spare = snap.Free(want.resource)[n] - want.first;
    if (spare < 0) return 0;
    const auto rest = static_cast<uint64_t>(spare);
    // Mostly the first resource decides, and the others only agree.
    if (static_cast<unsigned __int128>(slots - 1) * static_cast<uint64_t>(want.each) <= rest) continue;
    uint64_t more = rest;
    if (want.each >= 2) {
      // The product's upper half is the quotient or one less: its error is below rest / 2^64 + 1.
      more = static_cast<uint64_t>(static_cast<unsigned __int128>(rest) * want.reciprocal >> 64);
      if (rest - more * static_cast<uint64_t>(want.each) >= static_cast<uint64_t>(want.each)) ++more;
    }
    slots = more + 1;
  }
  return static_cast<uint32_t>(slots);
}

void SlotCounts::Update(const DomainTree& tree, const Snapshot& snap, const SlotRule& rule, const NodeSet& open) {
  std::span<const NodeIndex> rows;
  const uint32_t* hosts = rule.Hosts(snap);
  if (tree_serial_ != tree.serial() || !(rule_ == rule) || !snap.ChangedSince(cell_version_, &rows)) {
    rule_ = rule;
    tree_serial_ = tree.serial();
    open_ = open;
    Compute(tree, snap, hosts);
  } else {
    for (const NodeIndex n : rows) {
      if (open_.Has(n)) Set(tree, n, rule_.SlotsOn(snap, hosts, n));
    }
    for (size_t w = 0; w < open.words(); ++w) {
      const uint64_t changed = open.word(w) ^ open_.word(w);
      if (changed == 0) continue;
      open_.word(w) = open.word(w);
      NodeSet::ForEachBit(changed, w,
                          [&](NodeIndex n) { Set(tree, n, open.Has(n) ? rule_.SlotsOn(snap, hosts, n) : 0); });
    }
  }
  cell_version_ = snap.cell_version();
}

void SlotCounts::Compute(const DomainTree& tree, const Snapshot& snap, const uint32_t* hosts) {
  slots_.assign(snap.size(), 0);
  sums_.assign(tree.size(), 0);
  total_ = 0;
  open_.ForEach([&](NodeIndex n) {
    const uint32_t slots = rule_.SlotsOn(snap, hosts, n);
    slots_[n] = slots;
    total_ += slots;
    if (const DomainId leaf = tree.LeafOf(n); leaf != kNoDomain) sums_[leaf] += slots;
  });
  // Parents come before their children.
  for (DomainId id = static_cast<DomainId>(tree.size()); id-- > 1;) sums_[tree.Parent(id)] += sums_[id];
}

void SlotCounts::Set(const DomainTree& tree, NodeIndex n, uint32_t slots) {
  const uint64_t delta = uint64_t{slots} - slots_[n];  // wraps where they become fewer; so do the sums
  if (delta == 0) return;
  slots_[n] = slots;
  total_ += delta;
  for (DomainId id = tree.LeafOf(n); id != kNoDomain; id = tree.Parent(id)) sums_[id] += delta;
}

}  // namespace muster
