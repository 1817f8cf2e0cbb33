#include "scheduler/engine/binding/binding_cycle.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace muster {
namespace {

constexpr Duration kFirstRetry = absl::Milliseconds(100);
constexpr Duration kMaxRetry = absl::Seconds(5);

}  // namespace

void BindingCycle::Start(Task task) {
  const std::string uid = task.pod->uid;
  Running& running = tasks_[uid];
  if (running.sent) --sent_;
  running = {std::move(task), 0, next_id_++, false};
  if (sent_ < limit_) return Send(running);
  waiting_.emplace_back(uid, running.id);
}

void BindingCycle::Send(Running& running) {
  ++running.tries;
  if (!std::exchange(running.sent, true)) ++sent_;
  const Pod& pod = *running.task.pod;
  api_.Bind({pod.ns(), pod.name, pod.uid, running.task.node},
            [this, uid = pod.uid, id = running.id](const ApiStatus& status) { OnAnswer(uid, id, status); });
}

void BindingCycle::OnAnswer(const std::string& uid, uint64_t id, const ApiStatus& status) {
  auto it = tasks_.find(uid);
  if (it == tasks_.end() || it->second.id != id) return;
  // A conflict may be with our own bind, whose answer was lost, or with another's on the same node:
  // either way the room is taken. The watch confirms it, or the assumption expires.
  const bool maybe_bound_there =
      status.code == ApiCode::kConflict &&
      (it->second.tries > 1 ||
       absl::StrContains(status.message, absl::StrCat("to node \"", it->second.task.node, "\"")));
  if (maybe_bound_there) return End(uid, ApiStatus{});
  if (!status.Retriable()) return End(uid, status);
  // 100 ms, 200 ms, ... 5 s, each up to half as long again, so that many do not return at once.
  Duration wait = std::min(kMaxRetry, kFirstRetry * (1 << std::min(it->second.tries - 1, 6)));
  wait = std::max(wait, status.retry_after) * (1 + random_.Unit() / 2);
  loop_.After(wait, [this, uid, id] {
    auto again = tasks_.find(uid);
    if (again != tasks_.end() && again->second.id == id) Send(again->second);
  });
}

BindingCycle::Task BindingCycle::Take(Tasks::iterator it) {
  if (it->second.sent) --sent_;
  Task task = std::move(it->second.task);
  tasks_.erase(it);
  while (sent_ < limit_ && !waiting_.empty()) {
    const auto [uid, id] = std::move(waiting_.front());
    waiting_.pop_front();
    const auto next = tasks_.find(uid);
    if (next != tasks_.end() && next->second.id == id) Send(next->second);
  }
  return task;
}

void BindingCycle::End(const std::string& uid, const ApiStatus& status) {
  const Task task = Take(tasks_.find(uid));
  ended_(task, status);
}

void BindingCycle::Confirm(const std::string& uid, const std::string& node) {
  auto it = tasks_.find(uid);
  if (it == tasks_.end()) return;
  if (it->second.task.node == node) return End(uid, ApiStatus{});
  End(uid, {ApiCode::kConflict, "pod was bound to node \"" + node + "\" by another scheduler", {}});
}

void BindingCycle::Cancel(const std::string& uid) {
  if (const auto it = tasks_.find(uid); it != tasks_.end()) Take(it);
}

}  // namespace muster
