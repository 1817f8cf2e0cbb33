#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "scheduler/engine/scheduler.h"
#include "scheduler/runtime/log.h"

namespace muster {
namespace {

// What a decision costs in simulated time: near what one thread of a 2020s server needs. Only the
// counts decide, so that a run replays bit for bit.
Duration CostOf(const WorkCount& work) {
  return absl::Nanoseconds(3000 + 60 * static_cast<int64_t>(work.filtered) + 400 * static_cast<int64_t>(work.scored));
}

}  // namespace

void Scheduler::RunCycle(QueuedGroup& group) {
  ++cycle_;
  const Time popped_at = loop_.Now();
  cache_.Refresh();
  if (StillWaits(group)) return queue_.Rejected(group, popped_at);
  request_.kept = group.reserved;
  ReleaseRoom(group);
  if (!(group.lone() ? FillRequest(group) : FillGroupRequest(group))) return;
  const Framework& framework = *profiles_[group.profile];
  if (stages_) stages_->SetProfile(framework.scheduler_name());
  request_.now = loop_.Now();
  const GroupDecision& decision = group_cycle_.Decide(framework, request_, stages_ ? &*stages_ : nullptr);
  loop_.Spend(CostOf(decision.work));
  LogDecision(group, decision, decision.why);
  if (metrics_ != nullptr) {
    metrics_->Decided(loop_.Now() - popped_at);
    metrics_->ShapeCache(decision.from_cache);
  }
  if (!decision.placed) {
    OnRejected(group, decision, popped_at);
  } else if (group.lone()) {
    OnPlaced(group, decision, popped_at);
  } else {
    OnGroupPlaced(group, decision, popped_at);
  }
}

// Of a lone pod. False: there is nothing to decide.
bool Scheduler::FillRequest(QueuedGroup& group) {
  const QueuedMember& member = group.first();
  order_.assign(1, 0);
  if (!member.pod->invalid.empty()) {
    Reject(group, member.pod->invalid, kSelfUpdated, /*is_error=*/true);
    return false;
  }
  batch_.clear();
  batch_.push_back({member.pod, cache_.InfoToPlace(*member.pod)});
  request_.members = batch_;
  request_.min = 1;
  request_.group = {};
  request_.key = member.pod->uid;
  request_.topology = member.pod->topology;
  request_.priority = group.priority;
  request_.preemption_policy = member.info->spec->preemption_policy;
  return true;
}

// The members in order_ are not tried: it is known what is wrong.
void Scheduler::Reject(QueuedGroup& group, const std::string& message, ClusterEvents wake_on, bool is_error) {
  Explanation why;
  why.is_error = is_error;
  why.wake_on = wake_on;
  why.message = message;
  LogDecision(group, {}, &why);
  group.wake_on = wake_on;
  group.rejectors.clear();
  queue_.Rejected(group, loop_.Now());
  for (const uint32_t i : order_)
    TellFailure(group.members[i], is_error ? "SchedulerError" : "Unschedulable", message, "");
}

// The room that was kept for the pod is not needed, or not there, any more.
void Scheduler::ForgetNomination(const QueuedMember& member, const std::string& node) {
  if (const std::string nominated = group_cycle_.nominator().NodeOf(member.pod->uid); nominated == node) {
    group_cycle_.nominator().Remove(member.pod->uid);  // its room is taken, by itself
  } else {
    OnNominationGone(*member.pod, nominated);
  }
}

void Scheduler::OnPlaced(QueuedGroup& group, const GroupDecision& decision, Time popped_at) {
  const NodeIndex node = decision.placements[0].node;
  const std::string name(cache_.Refresh().NodeName(node));
  const QueuedMember& member = group.first();
  cache_.Assume(member.pod, batch_[0].info, node);
  DropPlan(member.pod->uid);
  ForgetNomination(member, name);
  const BindingCycle::Task task{member.pod, name, loop_.Now(), popped_at};
  if (std::vector<Intent> intents = PreparationsIn(decision.intents); !intents.empty()) {
    preparation_.Start(task, std::move(intents));
    return;
  }
  OnPreparationEnded(task, "");
}

void Scheduler::Bind(const BindingCycle::Task& task) {
  if (metrics_ != nullptr) metrics_->BindStarted();
  binding_.Start(task);
}

// Where all is well, binds the pod.
void Scheduler::OnPreparationEnded(const BindingCycle::Task& task, const std::string& error) {
  const Pod& pod = *task.pod;
  Kick();
  if (commits_.Has(pod.uid)) return commits_.OnPreparationEnded(task, error);
  if (error.empty() && active_) return Bind(task);
  preparation_.GiveUp(pod.uid);
  cache_.Remove(pod.uid);
  Wake({kPodRemoved, nullptr, nullptr, &pod, nullptr});
  QueuedGroup* group = queue_.Find(pod.uid);
  if (group == nullptr) return;
  queue_.Failed(*group, loop_.Now());
  if (error.empty()) return;  // no longer ours to decide
  LogWarning(absl::StrCat(pod.Key(), " on ", task.node, ": ", error));
  if (metrics_ != nullptr) {
    metrics_->ScheduleAttempt(pod.spec->scheduler_name, Metrics::Attempt::kError, loop_.Now() - task.popped_at);
  }
  TellFailure(*queue_.FindMember(pod.uid), "SchedulerError", error, "");
}

void Scheduler::OnRejected(QueuedGroup& group, const GroupDecision& decision, Time popped_at) {
  const Explanation& why = *decision.why;
  const Time now = loop_.Now();
  const std::string& profile = profiles_[group.profile]->scheduler_name();
  const std::string reason = why.is_error ? "SchedulerError" : "Unschedulable";
  for (size_t i = 0; i < order_.size() && metrics_ != nullptr; ++i) {
    metrics_->ScheduleAttempt(profile, why.is_error ? Metrics::Attempt::kError : Metrics::Attempt::kUnschedulable,
                              now - popped_at);
    metrics_->QueuedPod(why.is_error ? Metrics::Queue::kBackoff : Metrics::Queue::kUnschedulable,
                        "ScheduleAttemptFailure");
  }
  group.wake_on = why.wake_on | kSelfUpdated;
  group.rejectors.assign(why.rejectors.begin(), why.rejectors.end());
  const bool makes_room = decision.room && decision.room->code == Code::kSuccess;
  if (makes_room && !decision.room->victims.empty()) {
    group.promised = false;
  } else if (makes_room && !request_.kept) {
    group.promised = true;
  }
  const bool no_quota = !why.is_error && !makes_room && !queue_.order().Fits(group);
  if (why.is_error) {
    queue_.Failed(group, now);
  } else if (no_quota) {
    const size_t preemption = why.message.find("preemption: ");
    group.note = preemption == std::string::npos ? "" : why.message.substr(preemption);
    queue_.NoRoom(group, RoomVersion(), now);
    if (promising_) group.promise_again = group.room_again;
    // Whom his queue protects yet may go then.
    if (decision.room && decision.room->again_at < absl::InfiniteFuture()) {
      group.room_version = UINT64_MAX;
      group.room_again = std::max(group.room_again, decision.room->again_at);
      look_again_at_ = std::min(look_again_at_, group.room_again);
    }
  } else {
    queue_.Rejected(group, now);
  }
  if (!no_quota) group.room_told = absl::InfinitePast();
  for (size_t i = 0; i < order_.size(); ++i) {
    QueuedMember& member = group.members[order_[i]];
    std::optional<std::string> nominate = "";
    if (makes_room && !group.lone()) {
      nominate = decision.nominations[i];
    } else if (decision.room) {
      nominate = decision.room->nominate;
    }
    if (nominate) group_cycle_.nominator().Set(member.pod, member.info, *nominate);
    // With its place in the queue, it is told later (TellWaiting). More nodes would not help, so it is not
    // unschedulable.
    if (no_quota && nominate.value_or(member.nominated) == member.nominated) continue;
    TellFailure(member, no_quota ? "SchedulingGated" : reason, why.message, nominate);
  }
  KeepRoom(group);
  if (!why.is_error && !makes_room && !no_quota) PlanStart(group);
  if (!group.lone()) {
    const GroupId id = GroupId::Of(*group.first().pod);
    // Where the minimum has its places, what is left over is elastic: no failure of the group.
    const GroupState state = groups_.Read(id, &group, cache_.Refresh());
    if (state.object != nullptr && state.Needed() > 0)
      group_status_.Failed(id, *state.object, profile, reason, why.message);
  }
  if (!decision.room) return;
  if (decision.room->deallocate != nullptr) preparation_.claims().Deallocate(*decision.room->deallocate);
  MakeRoom(group, decision);
}

// For people: what the one that is evicted goes for.
std::string Scheduler::WhyTaken(const PodInfo& preemptor, const PostFilterResult::Taken& taken) {
  if (taken.queue.empty()) return absl::StrCat("of higher rank (", taken.reason, ")");
  const std::string& queue = ledger_.catalog().queue(ledger_.AccountOf(preemptor).queue).name;
  return absl::StrCat("of queue \"", queue, "\" (", taken.reason, ")");
}

// Evicts the victims; until the server has taken that note, the group is not tried again.
void Scheduler::MakeRoom(QueuedGroup& group, const GroupDecision& decision) {
  const PostFilterResult& room = *decision.room;
  if (metrics_ != nullptr) metrics_->PreemptionAttempt();
  if (room.code != Code::kSuccess) return;
  if (metrics_ != nullptr) metrics_->Preemption(static_cast<int>(room.victims.size()));
  Nominator& nominator = group_cycle_.nominator();
  // Others that wait for these nodes may not fit there any more: they look for another at once.
  std::vector<PodPtr> lower;
  for (const uint32_t i : order_) {
    const auto at = nominator.by_node().find(nominator.NodeOf(group.members[i].pod->uid));
    if (at == nominator.by_node().end()) continue;
    for (const Nominator::Entry& entry : at->second.entries) {
      if (entry.info->spec->priority < group.priority && nominator.Yields(*entry.info, *group.first().info))
        lower.push_back(entry.pod);
    }
  }
  for (const PodPtr& pod : lower) {
    if (nominator.NodeOf(pod->uid).empty()) continue;  // it shared the node with several
    nominator.Remove(pod->uid);
    if (QueuedGroup* other = queue_.Find(pod->uid); other != nullptr && other->reserved) KeepRoom(*other);
    PodStatusPatch patch{pod->ns(), pod->name, pod->uid, {}, 0, true, ""};
    if (QueuedMember* waiting = queue_.FindMember(pod->uid)) waiting->nominated.clear();
    api_.PatchPodStatus(patch, [this, uid = pod->uid](const ApiStatus& status) {
      QueuedMember* untold = status.ok() ? nullptr : queue_.FindMember(uid);
      if (untold != nullptr) untold->nominated = untold->pod->nominated_node;  // the next attempt tells anew
    });
  }
  std::vector<PodPtr> victims;
  std::vector<std::string> taken;  // by victim
  for (size_t i = 0; i < room.victims.size(); ++i) {
    PodPtr pod = cache_.FindPlaced(room.victims[i]->uid);
    if (pod == nullptr) continue;
    if (!room.taken.empty() && !pod->deleting) CountEviction(*pod, room.taken[i].reason);
    if (!room.taken.empty() && !room.taken[i].queue.empty() && !pod->deleting)
      group_cycle_.evictions().Note(room.taken[i].queue, loop_.Now());
    victims.push_back(std::move(pod));
    taken.push_back(room.taken.empty() ? "" : WhyTaken(*group.first().info, room.taken[i]));
  }
  const std::string node = group.lone() ? *room.nominate : "";
  if (preemption_.Start(group.members[order_[0]].pod, node, victims, taken)) queue_.Hold(group);
  for (const PodPtr& pod : victims) cache_.SetLeaving(pod->uid);
}

void Scheduler::OnEvicted(const Pod& preemptor, const std::string& node, const ApiStatus& status) {
  const std::string key = GroupKeyOf(preemptor);
  QueuedGroup* group = key.empty() ? queue_.Find(preemptor.uid) : queue_.FindGroup(key);
  if (group != nullptr && group->part == QueuedGroup::Part::kHeld && !commits_.Preparing(key)) {
    if (status.ok()) {
      queue_.Release(*group, loop_.Now());
    } else {
      const std::string what =
          absl::StrCat("preemption: evicting pods", node.empty() ? "" : " from node ", node, ": ", status.message);
      LogWarning(absl::StrCat(preemptor.Key(), ": ", what));
      queue_.Failed(*group, loop_.Now());
      for (QueuedMember& member : group->members) {
        if (!member.may_be_tried()) continue;
        OnNominationGone(*member.pod, group_cycle_.nominator().NodeOf(member.pod->uid));
        TellFailure(member, "SchedulerError", what, "");
      }
    }
    GroupChanged(preemptor);
    // Held it was not gated, whatever its queue became.
    if (group->lone()) HoldLone(*group, Gated(*group->first().pod, group->profile));
  }
  Kick();
}

void Scheduler::OnBindEnded(const BindingCycle::Task& task, const ApiStatus& status) {
  const Time now = loop_.Now();
  const Pod& pod = *task.pod;
  QueuedGroup* group = queue_.Find(pod.uid);
  const std::string& profile = pod.spec->scheduler_name;
  if (metrics_ != nullptr) {
    metrics_->BindEnded(now - task.decided_at, status.ok());
    metrics_->ExtensionPoint(profile, "Bind", status.ok() ? "Success" : "Error", now - task.decided_at);
    metrics_->ScheduleAttempt(profile, status.ok() ? Metrics::Attempt::kScheduled : Metrics::Attempt::kError,
                              now - task.popped_at);
    if (status.ok() && group != nullptr) {
      metrics_->PodScheduled(static_cast<int>(group->attempts), now - group->first_seen);
      if (group->queue != kNoQueue)
        metrics_->QuotaWaited(ledger_.catalog().queue(group->queue).name, now - group->first_seen);
    }
  }
  if (status.ok()) {
    queue_.Remove(pod.uid);
    cache_.FinishBinding(pod.uid, now + config_.muster.assume_expiry);
    preparation_.Bound(pod.uid);
    recorder_.Scheduled(pod, task.node);
    commits_.OnBindEnded(task, status);
  } else if (commits_.Has(pod.uid)) {
    LogWarning(absl::StrCat("binding ", pod.Key(), " to ", task.node, ": ", status.message));
    commits_.OnBindEnded(task, status);
  } else {
    preparation_.GiveUp(pod.uid);
    cache_.Remove(pod.uid);
    Wake({kPodRemoved, nullptr, nullptr, &pod, nullptr});
    LogWarning(absl::StrCat("binding ", pod.Key(), " to ", task.node, ": ", status.message));
    // Gone, or bound by somebody else: the watch tells which, and the pod's status is theirs.
    const bool not_ours = status.code == ApiCode::kNotFound || status.code == ApiCode::kConflict;
    if (group != nullptr) {
      queue_.Failed(*group, now);
      if (!not_ours)
        TellFailure(*queue_.FindMember(pod.uid), "SchedulerError",
                    absl::StrCat("running Bind plugin \"DefaultBinder\": ", status.message), "");
    }
  }
  if (drained_ && binding_.in_flight() == 0) std::exchange(drained_, nullptr)();
  Kick();
}

}  // namespace muster
