#include "queue/quota_tree.h"

#include <algorithm>

#include "scheduler/model/ids.h"

namespace muster {
namespace {

// Far above any sum of amounts (2^63 each), far below where sums of it overflow.
constexpr absl::int128 kEndless = absl::int128(1) << 110;
constexpr uint64_t kShareUnit = uint64_t{1} << 20;

absl::int128 Limit(int64_t limit) { return limit == kUnlimited ? kEndless : absl::int128(limit); }
absl::int128 Positive(absl::int128 v) { return v > 0 ? v : absl::int128(0); }

}  // namespace

void QuotaTree::Build(std::span<const Queue> queues, std::span<const uint32_t> resource_of) {
  resource_of_.assign(resource_of.begin(), resource_of.end());
  of_.clear();
  for (QuotaCell cell = 0; cell < resource_of.size(); ++cell) {
    if (resource_of[cell] >= of_.size()) of_.resize(resource_of[cell] + 1);
    of_[resource_of[cell]].push_back(cell);
  }
  parents_.clear();
  weights_.clear();
  cells_.assign(queues.size() * resource_of.size(), {});
  fingerprint_ = 0;
  ++builds_;
  for (QueueIndex q = 0; q < queues.size(); ++q) {
    parents_.push_back(queues[q].parent);
    weights_.push_back(queues[q].weight);
    for (const Quota& quota : queues[q].quotas) {
      Cell& cell = At(q, quota.cell);
      cell.listed = true;
      cell.subtree = quota.nominal;
      cell.local = Limit(quota.lending_limit);  // until its subtree is known
      cell.borrowing_limit = quota.borrowing_limit;
    }
  }
  // Children have greater indices: from the leaves up, then from the roots down.
  for (QueueIndex q = static_cast<QueueIndex>(queues.size()); q-- > 0;) {
    for (QuotaCell c = 0; c < resource_of_.size(); ++c) {
      Cell& cell = At(q, c);
      cell.local = cell.listed ? Positive(cell.subtree - cell.local) : absl::int128(0);
      cell.counts |= cell.listed;
      if (parents_[q] == kNoQueue) continue;
      Cell& above = At(parents_[q], c);
      above.subtree += cell.subtree - cell.local;
      above.counts |= cell.counts;
    }
  }
  std::vector<bool> from_above(cells_.size());  // listed by the queue or an ancestor
  for (QueueIndex q = 0; q < queues.size(); ++q) {
    for (QuotaCell c = 0; c < resource_of_.size(); ++c) {
      Cell& cell = At(q, c);
      const bool inherited = parents_[q] != kNoQueue && from_above[parents_[q] * resource_of_.size() + c];
      from_above[q * resource_of_.size() + c] = cell.listed || inherited;
      cell.counts |= inherited;
      cell.potential = cell.subtree;
      if (parents_[q] == kNoQueue) continue;
      const Cell& above = At(parents_[q], c);
      cell.potential = std::min(cell.subtree + Limit(cell.borrowing_limit), cell.local + above.potential);
    }
  }
}

void QuotaTree::Add(QueueIndex q, QuotaCell c, int64_t amount) {
  At(q, c).own += amount;
  fingerprint_ += Mix(q, c) * static_cast<uint64_t>(amount);
  if (!Counts(q, c)) return;
  for (Wide rest = amount; q != kNoQueue && rest != 0; q = parents_[q]) {
    Cell& cell = At(q, c);
    const Wide before = Positive(cell.usage - cell.local);
    cell.usage += rest;
    rest = Positive(cell.usage - cell.local) - before;
  }
}

QuotaTree::Wide QuotaTree::AvailableAt(QueueIndex q, QuotaCell c) const {
  const Cell& cell = At(q, c);
  if (parents_[q] == kNoQueue) return cell.subtree - cell.usage;
  Wide above = AvailableAt(parents_[q], c);
  if (cell.borrowing_limit != kUnlimited) {
    above = std::min(above, cell.subtree - cell.local - Positive(cell.usage - cell.local) + cell.borrowing_limit);
  }
  return Positive(cell.local - cell.usage) + above;
}

int64_t QuotaTree::Borrowed(QueueIndex q, QuotaCell c) const {
  const Cell& cell = At(q, c);
  return parents_[q] == kNoQueue ? 0 : Narrow(Positive(cell.usage - cell.subtree));
}

const Charge* QuotaTree::Lacking(QueueIndex q, std::span<const Charge> charges) const {
  for (const Charge& charge : charges) {
    if (charge.amount > 0 && Counts(q, charge.cell) && charge.amount > AvailableAt(q, charge.cell)) return &charge;
  }
  return nullptr;
}

bool QuotaTree::WithinNominal(QueueIndex q, std::span<const Charge> charges) const {
  for (const Charge& charge : charges) {
    const Cell& cell = At(q, charge.cell);
    if (cell.counts && cell.usage + charge.amount > cell.subtree) return false;
  }
  return true;
}

template <typename Used, typename Past, typename All>
Share QuotaTree::Dominant(int32_t weight, std::span<const Charge> charges, Used used_of, Past past_of,
                          All all_of) const {
  Share share;
  for (const std::vector<QuotaCell>& cells : of_) {
    Wide used = 0, past = 0, all = 0;
    for (const QuotaCell c : cells) {
      Wide more = 0;
      for (const Charge& charge : charges) {
        if (charge.cell == c) more += charge.amount;
      }
      used += used_of(c, more);
      past += past_of(c);
      all += all_of(c);
    }
    if (used <= 0 || all <= 0) continue;
    used += past;
    const Wide by = all * std::max(1, weight);
    const Wide ratio = (std::min(used, Wide(kUnlimited)) * 1000 * kShareUnit + by - 1) / by;
    share.infinite = weight == 0;
    share.value = std::max(share.value, static_cast<uint64_t>(std::min(ratio, Wide(UINT64_MAX))));
  }
  return share;
}

Share QuotaTree::ShareOf(QueueIndex q, std::span<const Charge> charges, std::span<const int64_t> past) const {
  const QueueIndex above = parents_[q];
  if (above == kNoQueue) return {};
  return Dominant(
      weights_[q], charges,
      [&](QuotaCell c, Wide more) {
        const Cell& cell = At(q, c);
        return cell.counts ? Positive(cell.usage + more - cell.subtree) : Wide(0);
      },
      [&](QuotaCell c) { return past.empty() || !At(q, c).counts ? Wide(0) : Positive(past[c] - At(q, c).subtree); },
      [&](QuotaCell c) { return At(above, c).counts ? At(above, c).potential : Wide(0); });
}

Share QuotaTree::ShareOfOwn(QueueIndex q, std::span<const Charge> charges, std::span<const int64_t> past) const {
  return Dominant(
      1, charges, [&](QuotaCell c, Wide more) { return At(q, c).counts ? Positive(At(q, c).own + more) : Wide(0); },
      [&](QuotaCell c) { return past.empty() || !At(q, c).counts ? Wide(0) : Wide(past[c]); },
      [&](QuotaCell c) { return At(q, c).counts ? At(q, c).potential : Wide(0); });
}

void QuotaTree::PassOn(QueueIndex q, std::vector<Charge>& charges) const {
  std::erase_if(charges, [&](Charge& charge) {
    const Cell& cell = At(q, charge.cell);
    if (!cell.counts) return true;
    charge.amount = Narrow(Positive(cell.usage + charge.amount - cell.local) - Positive(cell.usage - cell.local));
    return charge.amount == 0;
  });
}

}  // namespace muster
