// The undo log of cells: how decisions change a Snapshot.
#ifndef MUSTER_SCHEDULER_FRAMEWORK_STATEMENT_H_
#define MUSTER_SCHEDULER_FRAMEWORK_STATEMENT_H_

#include <cstddef>
#include <vector>

#include "scheduler/model/snapshot.h"

namespace muster {

// One statement is one group's try. Without Commit() it leaves no trace: the destructor rolls
// back. Reusable after Commit() or Rollback(0); keeps its capacity, so a steady state allocates
// nothing. Decision thread only.
class Statement {
 public:
  explicit Statement(Snapshot& snapshot) : snapshot_(snapshot) {}
  ~Statement() { Rollback(0); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // A mark to roll back to.
  size_t Checkpoint() const { return log_.size(); }
  void Rollback(size_t mark);
  void Commit() { log_.clear(); }

  void Set(ColumnId column, NodeIndex row, int64_t value);
  // Adds the pod's cells to the row.
  void Place(const PodInfo& pod, NodeIndex row);

 private:
  struct Undo {
    ColumnId column;
    NodeIndex row;
    int64_t old_value;
  };
  Snapshot& snapshot_;
  std::vector<Undo> log_;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_FRAMEWORK_STATEMENT_H_
