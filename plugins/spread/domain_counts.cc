#include "plugins/spread/domain_counts.h"

namespace muster {

DomainCounts::DomainCounts(const Snapshot& snap, const Snapshot::LabelKey* label, ColumnId column,
                           const NodeSet* counted)
    : label_(label), column_(column), counted_(counted), counts_(label == nullptr ? 1 : label->domains(), 0) {
  if (column == kNoColumn || label == nullptr) return;
  const int64_t* cells = snap.Cells(column);
  last_.assign(cells, cells + snap.size());
  for (NodeIndex n = 0; n < snap.size(); ++n) {
    if (label->column[n] == 0 || cells[n] == 0 || (counted != nullptr && !counted->Has(n))) continue;
    counts_[label->column[n]] += cells[n];
    total_ += cells[n];
  }
}

}  // namespace muster
