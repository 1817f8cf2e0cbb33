#include "scheduler/framework/statement.h"

namespace muster {

void Statement::Rollback(size_t mark) {
  while (log_.size() > mark) {
    const Undo& undo = log_.back();
    snapshot_.SetCell(undo.column, undo.row, undo.old_value);
    log_.pop_back();
  }
}

void Statement::Set(ColumnId column, NodeIndex row, int64_t value) {
  log_.push_back({column, row, snapshot_.Cell(column, row)});
  snapshot_.SetCell(column, row, value);
}

void Statement::Place(const PodInfo& pod, NodeIndex row) {
  for (const PodInfo::CellDelta& d : pod.cells) Set(d.column, row, snapshot_.Cell(d.column, row) + d.delta);
}

}  // namespace muster
