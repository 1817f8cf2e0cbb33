#include "scheduler/engine/pod_groups.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"

namespace muster {
namespace {

// How long kube-scheduler lets the pods of a gang wait for each other.
constexpr Duration kTimeout = absl::Minutes(5);

std::string_view Policy(std::string_view policy) { return policy.empty() ? "PreemptLowerPriority" : policy; }

// Members must agree on what the group as a whole is decided by.
class Agreement {
 public:
  // `object` may be null.
  explicit Agreement(const PodGroup* object) {
    // In v1alpha2 a group's priority is filled in only behind a gate of its own.
    if (object == nullptr || object->api_version.ends_with("/v1alpha2")) return;
    if (!object->api_version.starts_with("scheduling.k8s.io/")) return;
    has_priority_ = true;
    priority_ = object->priority.value_or(0);
    if (!object->preemption_policy.empty()) group_policy_ = object->preemption_policy;
  }

  // What is wrong with the pod, or "".
  std::string Check(const Pod& pod) {
    if (first_ == nullptr) {
      first_ = &pod;
      if (!has_priority_) priority_ = pod.spec->priority;
    }
    if (pod.spec->scheduler_name != first_->spec->scheduler_name) {
      return absl::StrCat("all pods in a single pod group should have the same .spec.schedulerName set, got: \"",
                          pod.spec->scheduler_name, "\" and \"", first_->spec->scheduler_name, "\"");
    }
    if (pod.spec->priority != priority_) {
      return absl::StrCat(has_priority_ ? "all pods in a single pod group should have the same priority as the pod "
                                          "group's priority, got "
                                        : "all pods in a single pod group should have the same priority, got ",
                          pod.spec->priority, " and ", priority_);
    }
    const std::string_view mine = Policy(pod.spec->preemption_policy);
    if (!group_policy_.empty() && mine != group_policy_) {
      return absl::StrCat(
          "all pods in a single pod group should have the same preemption policy as the pod group's "
          "preemption policy, got ",
          AsAbsl(mine), " and ", group_policy_);
    }
    if (const std::string_view theirs = Policy(first_->spec->preemption_policy); mine != theirs) {
      return absl::StrCat("all pods in a single pod group should have the same preemption policy, got ", AsAbsl(mine),
                          " and ", AsAbsl(theirs));
    }
    if (pod.group.size != first_->group.size) {
      return absl::StrCat("all pods in a gang should have the same label muster.dev/gang-size, got ", pod.group.size,
                          " of pod ", pod.name, " and ", first_->group.size, " of pod ", first_->name);
    }
    if (!pod.invalid.empty()) return absl::StrCat("pod ", pod.name, ": ", pod.invalid);
    return "";
  }
  const Pod* first() const { return first_; }
  int32_t priority() const { return priority_; }

 private:
  const Pod* first_ = nullptr;
  bool has_priority_ = false;
  int32_t priority_ = 0;
  std::string group_policy_;
};

}  // namespace

std::string GroupId::Key() const {
  if (source == GroupRef::Source::kNone) return "";
  return absl::StrCat(static_cast<int>(source), "/", ns, "/", name);
}

Kind GroupId::kind() const {
  switch (source) {
    case GroupRef::Source::kNative: return Kind::kPodGroup;
    case GroupRef::Source::kCoscheduling: return Kind::kCoschedulingPodGroup;
    default: return Kind::kPod;
  }
}

std::string GroupKeyOf(const Pod& pod) { return pod.group.present() ? GroupId::Of(pod).Key() : std::string(); }

void PodGroups::ReadObject(const GroupId& id, GroupState& state) const {
  state.object = ObjectOf(id);
  if (state.object == nullptr) {
    state.stage = GroupState::Stage::kWaiting;
    state.message = absl::StrCat("waiting for pods's pod group \"", id.name, "\" to appear in scheduling queue");
    return;
  }
  const PodGroup& object = *state.object;
  state.gang = object.gang;
  state.min = static_cast<size_t>(std::max(object.min_count, 1));
  state.topology = object.topology;
  if (object.schedule_timeout != absl::InfiniteDuration()) state.timeout = object.schedule_timeout;
  if (!object.invalid.empty()) {
    state.stage = GroupState::Stage::kBroken;
    state.message = absl::StrCat("pod group \"", id.name, "\": ", object.invalid);
  } else if (!object.parent.empty()) {
    state.stage = GroupState::Stage::kBroken;
    state.message = absl::StrCat("pod group \"", id.name, "\" is part of composite pod group \"", object.parent,
                                 "\": composite pod groups are not supported");
  }
}

GroupState PodGroups::Read(const GroupId& id, const QueuedGroup* group, const Snapshot& snapshot) const {
  GroupState state;
  state.timeout = kTimeout;
  if (id.kind() != Kind::kPod) ReadObject(id, state);
  Agreement agreement(state.object);
  std::string odd;
  const auto check = [&](const Pod& pod) {
    if (odd.empty()) odd = agreement.Check(pod);
  };
  if (group != nullptr) {
    // The first by name stands for all, whatever the order in which they came.
    const QueuedMember* first = nullptr;
    for (const QueuedMember& member : group->members) {
      if (first == nullptr || member.pod->name < first->pod->name) first = &member;
      if (member.may_be_tried()) ++state.waiting;
    }
    check(*first->pod);
    for (const QueuedMember& member : group->members) check(*member.pod);
  }
  GroupRef ref{id.source, id.name, 0};
  for (const PlacedMember& member : snapshot.MembersOf(id.ns, ref)) {
    if (member.pod->deleting) continue;
    ++state.placed;
    if (!cache_.IsAssumed(member.pod->uid)) ++state.bound;
    if (member.pod->started != absl::InfinitePast()) ++state.running;
    check(*member.pod);
  }
  if (agreement.first() == nullptr) return state;
  const Pod& first = *agreement.first();
  state.scheduler_name = first.spec->scheduler_name;
  state.priority = agreement.priority();
  state.preemption_policy = first.spec->preemption_policy;
  if (id.kind() == Kind::kPod) state.min = static_cast<size_t>(std::max(first.group.size, 1));
  if (!state.topology.present()) state.topology = first.topology;
  if (state.stage != GroupState::Stage::kReady) return state;
  if (!odd.empty()) {
    state.stage = GroupState::Stage::kBroken;
    state.message = std::move(odd);
  } else if (state.gang && state.waiting + state.placed < state.min) {
    state.stage = GroupState::Stage::kWaiting;
    state.message = absl::StrCat("waiting for minCount pods from a gang to appear in scheduling queue: ",
                                 state.waiting + state.placed, " of ", state.min, " are there");
  }
  return state;
}

std::string PodGroups::Short(const PodGroup& object, const GroupId& id, const Snapshot& snapshot) {
  for (const Amount& wanted : object.min_resources) {
    int64_t have = 0;
    for (const PlacedMember& member : snapshot.MembersOf(id.ns, {id.source, id.name, 0})) {
      for (const Amount& amount : member.info->spec->amounts.requests) {
        if (amount.resource == wanted.resource) have += amount.value;
      }
    }
    if (const ResourceId resource = snapshot.resources().Find(wanted.resource); resource != Interner::kNone) {
      const int64_t* free = snapshot.Free(resource);
      snapshot.usable().ForEach([&](NodeIndex n) { have += std::max<int64_t>(free[n], 0); });
    }
    if (have >= wanted.value) continue;
    return absl::StrCat("pod group \"", id.name, "\": its minResources ask for ", wanted.value, " of ", wanted.resource,
                        ", and the cluster has ", have, " free");
  }
  return "";
}

std::string_view NextPhase(std::string_view phase, const GroupState& state, size_t pending) {
  // What its controller says of running pods and of ended ones is the controller's to change.
  if (phase == "Running" || phase == "Failed" || phase == "Finished") return phase;
  if (state.bound >= state.min) return state.running >= state.min ? "Running" : "Scheduled";
  if (phase == "Scheduled") return phase;
  if (state.bound > 0) return "Scheduling";
  return pending + state.placed >= state.min ? "PreScheduling" : "Pending";
}

}  // namespace muster
