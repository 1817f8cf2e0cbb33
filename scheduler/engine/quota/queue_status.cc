#include "scheduler/engine/quota/queue_status.h"

namespace muster {

bool QueueStatusWriter::Tell(const Queue& queue, QueueStatus status) {
  if (!active_) return true;
  Told& told = told_[queue.uid];
  const PodCondition& before = told.known ? told.status.ready : queue.ready;
  const Time since = told.known ? told.status.transition : queue.ready_since;
  const bool same = before.present && before.status == status.ready.status && since != absl::InfinitePast();
  status.transition = same ? since : loop_.Now();
  if (told.known && told.status == status) return true;
  if (told.under_way || left_ == 0) return false;
  --left_;
  told.known = told.under_way = true;
  told.status = status;
  api_.PatchQueueStatus(queue.name, queue.uid, status, [this, uid = queue.uid](const ApiStatus& answer) {
    const auto at = told_.find(uid);
    if (at == told_.end()) return;
    at->second.under_way = false;
    if (!active_ || !(answer.Retriable() || answer.code == ApiCode::kConflict)) return;
    at->second.known = false;
    again_();
  });
  return true;
}

}  // namespace muster
