// What the scheduler does for groups of pods only.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "scheduler/engine/scheduler.h"
#include "scheduler/runtime/log.h"

namespace muster {
namespace {

// Most groups that lack pods are about to get them: told at once, each pod of a gang would be told of all
// that come after it.
constexpr Duration kTellGate = absl::Seconds(2);

bool Before(const QueuedMember& a, const QueuedMember& b) {
  // Those without a rank, -1, come last.
  const auto rank_a = static_cast<uint32_t>(a.pod->rank), rank_b = static_cast<uint32_t>(b.pod->rank);
  if (rank_a != rank_b) return rank_a < rank_b;
  if (a.pod->spec->priority != b.pod->spec->priority) return a.pod->spec->priority > b.pod->spec->priority;
  // The older first: those that others had to go for must be those that get the room.
  return a.pod->created != b.pod->created ? a.pod->created < b.pod->created : a.pod->name < b.pod->name;
}

}  // namespace

// --- What changes ------------------------------------------------------------------------------

void Scheduler::GroupChanged(const Pod& pod) {
  if (pod.group.present()) GroupChanged(GroupId::Of(pod));
}

void Scheduler::GroupChanged(GroupId id) {
  std::string key = id.Key();
  changed_.insert_or_assign(std::move(key), std::move(id));
  Kick();
}

void Scheduler::OnGroupObject(Kind kind, const Object& object, bool gone) {
  if (kind != Kind::kPodGroup && kind != Kind::kCoschedulingPodGroup) return;
  const auto source = kind == Kind::kPodGroup ? GroupRef::Source::kNative : GroupRef::Source::kCoscheduling;
  const GroupId id{object.ns, source, object.name};
  GroupChanged(id);
  if (!gone) return;
  group_status_.Forget(object.uid);
  commits_.ReleaseEmpty(id.Key());
}

void Scheduler::CheckGroups() {
  if (std::exchange(nodes_changed_, false)) {
    for (const auto& [key, group] : queue_.named()) changed_.try_emplace(key, GroupId::Of(*group->first().pod));
  }
  if (changed_.empty()) return;
  const Snapshot& snapshot = cache_.Refresh();
  const auto changed = std::exchange(changed_, {});
  for (const auto& [key, id] : changed) CheckGroup(id, key, snapshot);
}

void Scheduler::CheckGroup(const GroupId& id, const std::string& key, const Snapshot& snapshot) {
  QueuedGroup* group = queue_.FindGroup(key);
  const GroupState state = groups_.Read(id, group, snapshot);
  if (state.object != nullptr && state.stage != GroupState::Stage::kBroken && ProfileOf(state.scheduler_name) >= 0) {
    size_t pending = 0;
    for (size_t i = 0; group != nullptr && i < group->members.size(); ++i) pending += !group->members[i].placed;
    group_status_.Update(id, state, state.scheduler_name, pending);
  }
  if (group == nullptr) {
    OpenGate(key);
    if (commits_.has_empty() && commits_.AllEmpty(snapshot.MembersOf(id.ns, {id.source, id.name, 0})))
      commits_.ReleaseEmpty(key);
    return;
  }
  const Time now = loop_.Now();
  queue_.SetOrder(*group, state.priority, state.placed > 0 && state.Needed() > 0);
  const bool busy = group->part == QueuedGroup::Part::kHeld || commits_.Preparing(key);
  const std::string gate =
      state.stage == GroupState::Stage::kReady ? Assign(*group, std::max<size_t>(1, state.Needed())) : state.message;
  if (!gate.empty()) {
    if (state.waiting == 0) return OpenGate(key);
    if (!busy) {
      queue_.SetGated(*group, true, now);
      // No room is kept for what cannot be tried.
      for (const QueuedMember& member : group->members)
        OnNominationGone(*member.pod, group_cycle_.nominator().NodeOf(member.pod->uid));
    }
    return NoteGate(*group, gate, state.stage == GroupState::Stage::kBroken);
  }
  OpenGate(key);
  const bool news = state.waiting > group->tried || state.Needed() < group->needed;
  if (state.waiting == 0) {
    // Nothing to try: gated pods wait for their gates, others are on their way.
  } else if (group->part == QueuedGroup::Part::kGated) {
    queue_.SetGated(*group, false, now);
  } else if (group->part == QueuedGroup::Part::kNone && !busy) {
    queue_.Enter(*group, now);
  } else if (news) {
    queue_.WakeOne(*group, now);
  }
}

// --- Telling why a group is not tried ------------------------------------------------------------

void Scheduler::NoteGate(const QueuedGroup& group, const std::string& message, bool broken) {
  const auto [it, added] = gates_.try_emplace(group.lone() ? group.first().pod->uid : group.key);
  Gate& gate = it->second;
  const bool all_know = std::none_of(group.members.begin(), group.members.end(), [](const QueuedMember& member) {
    return member.may_be_tried() && member.verdict.empty();
  });
  if (!added && gate.message == message && all_know) return;
  gate.message = message;
  gate.broken = broken;
  if (!added && !gate.told) return;  // it is about to be
  gate.told = false;
  gate.tell_at = loop_.Now() + kTellGate;
  ++untold_;
}

void Scheduler::OpenGate(const std::string& key) {
  const auto it = gates_.find(key);
  if (it == gates_.end()) return;
  if (!it->second.told) --untold_;
  gates_.erase(it);
}

void Scheduler::TellGates() {
  if (untold_ == 0) return;
  for (auto& [key, gate] : gates_) {
    if (gate.told || gate.tell_at > loop_.Now()) continue;
    gate.told = true;
    --untold_;
    QueuedGroup* group = queue_.FindGroup(key);
    if (group == nullptr) group = queue_.Find(key);
    if (group != nullptr) TellGate(*group, gate);
  }
}

void Scheduler::TellGate(QueuedGroup& group, const Gate& gate) {
  Explanation why;
  why.message = gate.message;
  why.is_error = gate.broken;
  OrderMembers(group);
  LogDecision(group, {}, &why, Decision::Result::kGated);
  // An autoscaler adds nodes for what is unschedulable, but these pods wait for no node.
  for (const uint32_t i : order_)
    TellFailure(group.members[i], gate.broken ? "SchedulerError" : "SchedulingGated", gate.message, "");
  if (group.lone()) return;
  const GroupId id = GroupId::Of(*group.first().pod);
  const PodGroup* object = groups_.ObjectOf(id);
  if (gate.broken && object != nullptr) {
    const std::string& profile = profiles_[group.profile]->scheduler_name();
    group_status_.Failed(id, *object, profile, "SchedulerError", gate.message);
  }
}

// --- The cycle -----------------------------------------------------------------------------------

// Into order_ those that can be tried.
void Scheduler::OrderMembers(const QueuedGroup& group) {
  order_.clear();
  for (uint32_t i = 0; i < group.members.size(); ++i) {
    if (group.members[i].may_be_tried()) order_.push_back(i);
  }
  std::sort(order_.begin(), order_.end(),
            [&](uint32_t a, uint32_t b) { return Before(group.members[a], group.members[b]); });
}

bool Scheduler::FillGroupRequest(QueuedGroup& group) {
  const GroupId id = GroupId::Of(*group.first().pod);
  const Snapshot& snapshot = cache_.Refresh();
  GroupState state = groups_.Read(id, &group, snapshot);
  if (state.stage != GroupState::Stage::kReady) {
    queue_.SetGated(group, true, loop_.Now());
    GroupChanged(id);
    return false;
  }
  OrderMembers(group);
  if (order_.empty()) return false;  // in no part until there is a pod to try
  if (commits_.has_empty()) {
    TakeSlots(group);
    state = groups_.Read(id, &group, snapshot);
  }
  group.tried = state.waiting;
  group.needed = state.Needed();
  if (state.object != nullptr && state.placed < state.min) {
    if (const std::string lack = PodGroups::Short(*state.object, id, snapshot); !lack.empty()) {
      Reject(group, lack, kNodeAdded | kNodeAllocatable | kPodRemoved | kPodScaledDown, /*is_error=*/false);
      group_status_.Failed(id, *state.object, profiles_[group.profile]->scheduler_name(), "Unschedulable", lack);
      return false;
    }
  }
  batch_.clear();
  for (const uint32_t i : order_) batch_.push_back({group.members[i].pod, cache_.InfoToPlace(*group.members[i].pod)});
  request_.members = batch_;
  request_.min = state.gang ? state.Needed() : 0;
  request_.group = group.first().pod->group;
  request_.key = group.key;
  request_.topology = std::move(state.topology);
  request_.priority = state.priority;
  request_.preemption_policy = std::move(state.preemption_policy);
  timeout_ = state.timeout;
  return true;
}

// Pods that replace others of the group may have the room that was kept for them.
void Scheduler::TakeSlots(const QueuedGroup& group) {
  for (const uint32_t i : order_) {
    const QueuedMember& member = group.members[i];
    const auto slot = commits_.TakeSlot(group.key, *member.info);
    if (!slot) continue;
    cache_.Remove(slot->pod->uid);
    group_cycle_.nominator().Set(member.pod, member.info, slot->node);
    Wake({kPodRemoved, nullptr, nullptr, slot->pod.get(), nullptr});
  }
}

void Scheduler::OnGroupPlaced(QueuedGroup& group, const GroupDecision& decision, Time popped_at) {
  const Snapshot& snapshot = cache_.Refresh();
  std::vector<GroupCommits::Member> members;
  std::vector<uint32_t> place_of(order_.size());  // in `members`
  size_t left = 0;
  for (size_t i = 0; i < order_.size(); ++i) {
    const NodeIndex node = decision.placements[i].node;
    if (node == kNoNode) {
      ++left;
      continue;
    }
    QueuedMember& member = group.members[order_[i]];
    member.placed = true;
    place_of[i] = static_cast<uint32_t>(members.size());
    members.push_back({member.pod, member.info, std::string(snapshot.NodeName(node)), {}});
    cache_.Assume(member.pod, batch_[i].info, node);
  }
  for (size_t k = 0; k < decision.intents.size(); ++k) {
    if (decision.intents[k].kind != Intent::Kind::kBind)
      members[place_of[decision.intent_member[k]]].first.push_back(decision.intents[k]);
  }
  for (const uint32_t i : order_) {
    const QueuedMember& member = group.members[i];
    if (member.placed) ForgetNomination(member, cache_.NodeOf(member.pod->uid));
  }
  group.unschedulable_count = group.error_count = 0;
  DropPlan(group.key);
  group.tried = left;
  group.needed = 0;
  if (left > 0) {
    group.wake_on = decision.why->wake_on | kSelfUpdated;
    group.rejectors.assign(decision.why->rejectors.begin(), decision.why->rejectors.end());
    queue_.Rejected(group, loop_.Now());
    for (const uint32_t i : order_) {
      if (!group.members[i].placed) TellFailure(group.members[i], "Unschedulable", decision.why->message, "");
    }
  }
  // Until the binds are out, all of it may yet be undone: nothing is to be added.
  queue_.Hold(group);
  commits_.Start(group.key, popped_at, timeout_, std::move(members));
}

void Scheduler::OnPrepared(const std::string& key) {
  QueuedGroup* group = queue_.FindGroup(key);
  if (group == nullptr || group->part != QueuedGroup::Part::kHeld) return;
  const bool waiting = std::any_of(group->members.begin(), group->members.end(),
                                   [](const QueuedMember& member) { return member.may_be_tried(); });
  if (waiting) {
    queue_.Release(*group, loop_.Now());
  } else {
    queue_.Park(*group);
  }
  GroupChanged(*group->first().pod);
}

// The group's pods take their slots no more: those that are there are tried again.
void Scheduler::OnUndone(const GroupCommits::Undone& undone) {
  const Time now = loop_.Now();
  for (const PodPtr& pod : undone.pods) {
    preparation_.GiveUp(pod->uid);
    if (!cache_.IsAssumed(pod->uid)) continue;
    cache_.Remove(pod->uid);
    Wake({kPodRemoved, nullptr, nullptr, pod.get(), nullptr});
  }
  if (!undone.error.empty()) LogWarning(absl::StrCat(undone.culprit->Key(), ": ", undone.error));
  if (!undone.pods.empty()) GroupChanged(*undone.pods[0]);
  QueuedGroup* group = queue_.FindGroup(undone.key);
  if (group == nullptr) return;
  const std::string& profile = profiles_[group->profile]->scheduler_name();
  bool again = false;
  for (const PodPtr& pod : undone.pods) {
    QueuedMember* member = queue_.FindMember(pod->uid);
    if (member == nullptr) continue;
    member->placed = false;
    again = true;
    if (undone.error.empty()) continue;
    const bool own = pod == undone.culprit;
    if (metrics_ != nullptr) metrics_->ScheduleAttempt(profile, Metrics::Attempt::kError, absl::ZeroDuration());
    TellFailure(*member, "SchedulerError",
                own ? undone.error : absl::StrCat("pod ", undone.culprit->Key(), " of the group: ", undone.error), "");
  }
  if (again || group->part == QueuedGroup::Part::kHeld) queue_.Failed(*group, now);
  const GroupId id = GroupId::Of(*group->first().pod);
  const PodGroup* object = groups_.ObjectOf(id);
  if (object != nullptr && !undone.error.empty())
    group_status_.Failed(id, *object, profile, "SchedulerError", undone.error);
  Kick();
}

}  // namespace muster
