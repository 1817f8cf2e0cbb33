// The undo log: how decisions change a Snapshot's cells, pods and objects.
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
  // Rolls back a trial that began at `mark` and Snapshot::cell_version() `version`: evaluations do not
  // even see its rows as changed. Requires: none was updated meanwhile.
  void EndTrial(size_t mark, uint64_t version) {
    Rollback(mark);
    snapshot_.ForgetChanges(version);
  }

  void Set(ColumnId column, NodeIndex row, int64_t value);
  // Puts the pod on the row, with its cells. The pod and its info live until it is removed.
  void Place(const PodOnNode& pod, NodeIndex row);
  // Takes a pod away that is on the row.
  void Remove(const PodOnNode& pod, NodeIndex row);
  // Adds or replaces an object, as Snapshot::SetObject.
  void SetObject(Kind kind, ObjectPtr object);

 private:
  struct Undo {
    enum class What : uint8_t { kCell, kPlaced, kRemoved, kObject } what;
    Kind kind = Kind::kPod;
    ColumnId column = kNoColumn;
    NodeIndex row = kNoNode;
    int64_t old_value = 0;
    uint64_t pods_version = 0;  // of the row, before
    PodOnNode pod = {};
    ObjectPtr object = {};      // that was set
    ObjectPtr old_object = {};  // null: there was none
  };
  Snapshot& snapshot_;
  std::vector<Undo> log_;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_FRAMEWORK_STATEMENT_H_
