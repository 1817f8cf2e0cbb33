#include "scheduler/engine/binding/claim_binding.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace muster {
namespace {

// As client-go's retries after conflicts; a server that is away is given 10, 50, 250 and 1250 ms.
constexpr int kTries = 5;
constexpr Duration kWait = absl::Milliseconds(10);
constexpr int kWaitFactor = 5;

ApiStatus Lost(const ResourceClaim& claim, const char* how) {
  return {ApiCode::kConflict, absl::StrCat("claim ", claim.Key(), " got ", how, " in the meantime"), {}};
}

bool SameDevices(const DeviceAllocation& a, const DeviceAllocation& b) {
  return std::equal(
      a.devices.begin(), a.devices.end(), b.devices.begin(), b.devices.end(),
      [](const auto& x, const auto& y) { return x.request == y.request && x.id == y.id && x.share_id == y.share_id; });
}

}  // namespace

struct ClaimBinding::Task {
  ClaimReservation wanted;  // `claim` is the latest that is known
  bool remove = false;      // instead: Delete()
  ApiServer::ClaimDone done;
  bool read_first = false;  // the claim may have changed
  int tries = 0;
  Duration wait = kWait;
};

void ClaimBinding::Reserve(ClaimReservation reservation, ApiServer::ClaimDone done) {
  auto task = std::make_shared<Task>();
  task->wanted = std::move(reservation);
  task->done = std::move(done);
  std::optional<DeviceAllocation>& allocation = task->wanted.allocation;
  if (allocation && allocation->time == absl::InfinitePast())
    allocation->time = absl::FromUnixSeconds(absl::ToUnixSeconds(loop_.Now()));  // the server keeps no fractions
  Start(task);
}

void ClaimBinding::Delete(ClaimPtr claim, ApiServer::Done done) {
  auto task = std::make_shared<Task>();
  task->wanted.claim = std::move(claim);
  task->remove = true;
  task->done = [done = std::move(done)](ApiStatus status, const ClaimPtr&) { done(std::move(status)); };
  Start(task);
}

void ClaimBinding::Start(const TaskPtr& task) {
  std::deque<TaskPtr>& tasks = tasks_[task->wanted.claim->uid];
  tasks.push_back(task);
  if (tasks.size() == 1) Try(task);
}

void ClaimBinding::Finish(const TaskPtr& task, ApiStatus status) {
  const auto it = tasks_.find(task->wanted.claim->uid);
  it->second.pop_front();
  if (it->second.empty()) {
    tasks_.erase(it);
  } else {
    const TaskPtr next = it->second.front();
    if (next->wanted.claim->resource_version < task->wanted.claim->resource_version)
      next->wanted.claim = task->wanted.claim;
    loop_.Post([this, next, alive = alive_] {
      if (*alive) Try(next);
    });
  }
  ClaimPtr claim = status.ok() ? task->wanted.claim : nullptr;
  task->done(std::move(status), std::move(claim));
}

void ClaimBinding::Try(const TaskPtr& task) {
  ++task->tries;
  if (!std::exchange(task->read_first, true)) return Write(task);
  const ResourceClaim& known = *task->wanted.claim;
  api_.GetClaim(known.ns, known.name, [this, task, alive = alive_](ApiStatus status, ClaimPtr claim) {
    if (!*alive) return;
    if (!status.ok()) return OnFailure(task, "read", std::move(status));
    if (claim->uid != task->wanted.claim->uid) return OnGone(task);
    task->wanted.claim = std::move(claim);
    Write(task);
  });
}

void ClaimBinding::Write(const TaskPtr& task) {
  const ResourceClaim& claim = *task->wanted.claim;
  std::optional<DeviceAllocation>& allocation = task->wanted.allocation;
  if (task->remove) return SetFinalizer(task, false);
  if (claim.allocation && allocation && !SameDevices(*claim.allocation, *allocation))
    return Finish(task, Lost(claim, "allocated elsewhere"));
  if (std::any_of(claim.reserved_for.begin(), claim.reserved_for.end(),
                  [&](const auto& consumer) { return consumer.uid == task->wanted.consumer.uid; }))
    return Finish(task, {});
  if (claim.deleting) return Finish(task, Lost(claim, "deleted"));
  if (claim.allocation) {
    allocation.reset();
  } else if (!allocation) {
    return Finish(task, Lost(claim, "deallocated elsewhere"));
  } else if (!claim.finalizer) {
    return SetFinalizer(task, true);
  }
  api_.ReserveClaim(task->wanted, [this, task, alive = alive_](ApiStatus status, ClaimPtr written) {
    if (!*alive) return;
    if (!status.ok())
      return OnFailure(task, task->wanted.allocation ? "add allocation and reservation to" : "add reservation to",
                       std::move(status));
    task->wanted.claim = std::move(written);
    Finish(task, {});
  });
}

void ClaimBinding::SetFinalizer(const TaskPtr& task, bool wanted) {
  api_.SetClaimFinalizer(
      task->wanted.claim, wanted, [this, task, wanted, alive = alive_](ApiStatus status, ClaimPtr claim) {
        if (!*alive) return;
        if (!status.ok())
          return OnFailure(task, wanted ? "add finalizer to" : "remove finalizer from", std::move(status));
        task->wanted.claim = std::move(claim);
        if (wanted) return Write(task);
        DeleteNow(task);
      });
}

void ClaimBinding::DeleteNow(const TaskPtr& task) {
  const ResourceClaim& claim = *task->wanted.claim;
  api_.DeleteClaim(claim.ns, claim.name, claim.uid, [this, task, alive = alive_](ApiStatus status) {
    if (!*alive) return;
    if (!status.ok()) return OnFailure(task, "delete", std::move(status));
    Finish(task, {});
  });
}

void ClaimBinding::OnGone(const TaskPtr& task) {
  Finish(task, task->remove ? ApiStatus() : Lost(*task->wanted.claim, "deleted"));
}

void ClaimBinding::OnFailure(const TaskPtr& task, const char* step, ApiStatus status) {
  if (status.code == ApiCode::kNotFound) return OnGone(task);
  const bool conflict = status.code == ApiCode::kConflict;
  if (!(conflict || status.Retriable()) || task->tries >= kTries) {
    status.message = absl::StrCat(step, " claim ", task->wanted.claim->Key(), ": ", status.message);
    return Finish(task, std::move(status));
  }
  const Duration wait =
      conflict ? kWait : std::max(std::exchange(task->wait, task->wait * kWaitFactor), status.retry_after);
  loop_.After(wait, [this, task, alive = alive_] {
    if (*alive) Try(task);
  });
}

}  // namespace muster
