// Pods counted by topology domain (nodes with one value of a label key), kept up to date row by row.
#ifndef MUSTER_PLUGINS_SPREAD_DOMAIN_COUNTS_H_
#define MUSTER_PLUGINS_SPREAD_DOMAIN_COUNTS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "scheduler/model/node_set.h"
#include "scheduler/model/snapshot.h"

namespace muster {

inline constexpr std::string_view kHostnameLabel = "kubernetes.io/hostname";

// Sums a column of cells by domain. Domain 0 is that of nodes without the label: it is never
// counted. Valid until the snapshot's nodes change.
class DomainCounts {
 public:
  // `label` is null where no node has the key; `column` kNoColumn counts nothing. Only rows in
  // `counted` count, or all where it is null; it outlives this object.
  DomainCounts(const Snapshot& snap, const Snapshot::LabelKey* label, ColumnId column, const NodeSet* counted);

  // Cells of the rows may have changed: calls moved(domain, before, after) for each changed sum.
  template <typename F>
  void Update(const Snapshot& snap, std::span<const NodeIndex> rows, F&& moved) {
    if (column_ == kNoColumn || label_ == nullptr) return;
    const int64_t* cells = snap.Cells(column_);
    for (const NodeIndex n : rows) {
      const uint32_t domain = label_->column[n];
      if (cells[n] == last_[n] || domain == 0) continue;
      const int64_t delta = cells[n] - last_[n];
      last_[n] = cells[n];
      if (counted_ != nullptr && !counted_->Has(n)) continue;
      const int64_t before = counts_[domain];
      counts_[domain] += delta;
      total_ += delta;
      moved(domain, before, counts_[domain]);
    }
  }

  int64_t operator[](uint32_t domain) const { return counts_[domain]; }
  // Over all domains.
  int64_t total() const { return total_; }
  size_t size() const { return counts_.size(); }
  // The row's domain; 0 where it has none.
  uint32_t Domain(NodeIndex n) const { return label_ == nullptr ? 0 : label_->column[n]; }
  const Snapshot::LabelKey* label() const { return label_; }

 private:
  const Snapshot::LabelKey* label_;
  ColumnId column_;
  const NodeSet* counted_;
  std::vector<int64_t> counts_;  // by domain
  std::vector<int64_t> last_;    // cells as counted, by row
  int64_t total_ = 0;
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_SPREAD_DOMAIN_COUNTS_H_
