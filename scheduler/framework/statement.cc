#include "scheduler/framework/statement.h"

#include <utility>

namespace muster {

void Statement::Rollback(size_t mark) {
  while (log_.size() > mark) {
    const Undo& undo = log_.back();
    switch (undo.what) {
      case Undo::What::kCell: snapshot_.SetCell(undo.column, undo.row, undo.old_value); break;
      case Undo::What::kPlaced:
        snapshot_.RemovePod(*undo.pod.pod, undo.row);
        snapshot_.SetPodsVersion(undo.row, undo.pods_version);
        break;
      case Undo::What::kRemoved:
        snapshot_.AddPod(undo.pod, undo.row);
        snapshot_.SetPodsVersion(undo.row, undo.pods_version);
        break;
      case Undo::What::kObject:
        if (undo.old_object != nullptr) {
          snapshot_.SetObject(undo.kind, undo.old_object);
        } else {
          snapshot_.RemoveObject(undo.kind, undo.object->ns, undo.object->name);
        }
        break;
    }
    log_.pop_back();
  }
}

void Statement::Set(ColumnId column, NodeIndex row, int64_t value) {
  log_.push_back({.what = Undo::What::kCell, .column = column, .row = row, .old_value = snapshot_.Cell(column, row)});
  snapshot_.SetCell(column, row, value);
}

void Statement::Place(const PodOnNode& pod, NodeIndex row) {
  log_.push_back({.what = Undo::What::kPlaced, .row = row, .pods_version = snapshot_.PodsVersion(row), .pod = pod});
  snapshot_.AddPod(pod, row);
}

void Statement::Remove(const PodOnNode& pod, NodeIndex row) {
  log_.push_back({.what = Undo::What::kRemoved, .row = row, .pods_version = snapshot_.PodsVersion(row), .pod = pod});
  snapshot_.RemovePod(*pod.pod, row);
}

void Statement::SetObject(Kind kind, ObjectPtr object) {
  log_.push_back({.what = Undo::What::kObject,
                  .kind = kind,
                  .object = object,
                  .old_object = snapshot_.objects().Find(kind, object->ns, object->name)});
  snapshot_.SetObject(kind, std::move(object));
}

}  // namespace muster
