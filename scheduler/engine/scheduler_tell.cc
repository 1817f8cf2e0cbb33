#include <utility>

#include "absl/strings/str_cat.h"
#include "scheduler/engine/scheduler.h"

namespace muster {
namespace {

constexpr Duration kTellAgain = absl::Seconds(5);

std::string VerdictOf(const PodStatusPatch& patch) {
  return absl::StrCat(patch.condition.reason, ": ", patch.condition.message, "\n",
                      patch.set_nominated_node ? patch.nominated_node : "-");
}

}  // namespace

void Scheduler::TellFailure(QueuedMember& member, const std::string& reason, const std::string& message,
                            const std::optional<std::string>& nominate) {
  const Pod& pod = *member.pod;
  const PodCondition condition{true, "False", reason, message};
  const bool nominated = nominate && *nominate != member.nominated;
  PodStatusPatch patch{pod.ns(), pod.name, pod.uid, condition, pod.generation, nominated, nominate.value_or("")};
  const bool told = (pod.scheduled == condition && !nominated) || member.verdict == VerdictOf(patch);
  // A group's pods are many: what is no news to any of them is told of the group as a whole.
  if (!told || !pod.group.present()) recorder_.FailedScheduling(pod, message);
  if (told) {
    member.verdict = VerdictOf(patch);
    return;
  }
  if (pod.scheduled.status != condition.status) patch.transition = loop_.Now();
  Tell(member, patch);
}

bool Scheduler::TellGated(QueuedMember& member, const std::string& message) {
  const Pod& pod = *member.pod;
  PodStatusPatch patch{pod.ns(),       pod.name, pod.uid, {true, "False", "SchedulingGated", message},
                       pod.generation, false,    ""};
  if (pod.scheduled == patch.condition || member.verdict == VerdictOf(patch)) return false;
  if (pod.scheduled.status != patch.condition.status) patch.transition = loop_.Now();
  Tell(member, patch);
  return true;
}

void Scheduler::Tell(QueuedMember& member, const PodStatusPatch& patch) {
  member.verdict = VerdictOf(patch);
  if (patch.set_nominated_node) member.nominated = patch.nominated_node;
  api_.PatchPodStatus(patch, [this, uid = patch.uid, patch](const ApiStatus& status) {
    if (status.ok()) return;
    QueuedMember* untold = queue_.FindMember(uid);
    if (untold == nullptr) return;
    untold->verdict.clear();  // the next attempt tells anew
    untold->nominated = untold->pod->nominated_node;
    // The next attempt may be minutes away: a write that may yet succeed is made again before.
    if (status.Retriable() || status.code == ApiCode::kConflict)
      loop_.After(kTellAgain, [this, uid, patch] { TellAgain(uid, patch); });
  });
}

void Scheduler::TellAgain(const std::string& uid, const PodStatusPatch& patch) {
  QueuedMember* member = queue_.FindMember(uid);
  if (!active_ || member == nullptr || !member->verdict.empty() || binding_.InFlight(uid)) return;
  Tell(*member, patch);
}

void Scheduler::LogDecision(const QueuedGroup& group, const GroupDecision& decision, const Explanation* why,
                            Decision::Result refusal) {
  entry_.Clear();
  entry_.cycle = cycle_;
  entry_.at = loop_.Now();
  entry_.profile = profiles_[group.profile]->scheduler_name();
  std::string name;
  if (!group.lone()) entry_.group = name = GroupId::Of(*group.first().pod).Text();
  const Snapshot& snapshot = cache_.Refresh();
  for (size_t i = 0; i < order_.size(); ++i) {
    const Pod& pod = *group.members[order_[i]].pod;
    Decision::Member member{pod.ns(), pod.name, {}, 0};
    if (decision.placed && decision.placements[i].node != kNoNode) {
      member.node = snapshot.NodeName(decision.placements[i].node);
      member.score = decision.placements[i].score;
    }
    entry_.pods.push_back(member);
  }
  if (!decision.placed) {
    entry_.result = why->is_error ? Decision::Result::kError : refusal;
    if (!why->is_error && refusal == Decision::Result::kUnschedulable)
      entry_.code = why->preemption_may_help ? "Unschedulable" : "UnschedulableAndUnresolvable";
  }
  if (why != nullptr) {  // of a group that is placed, why it is so only in part
    entry_.message = why->message;
    for (const Explanation::Cause& cause : why->causes)
      entry_.rejections.push_back({cause.plugin, cause.message, static_cast<uint32_t>(cause.nodes)});
    entry_.may_help = EventNames(why->wake_on);
  }
  entry_.work = {decision.work.filtered * kWordBits, decision.work.scored * kWordBits, decision.from_cache};
  log_.Add(entry_);
  if (metrics_ != nullptr) metrics_->DecisionLogged();
}

void Scheduler::UpdateGauges() {
  if (metrics_ == nullptr) return;
  metrics_->PendingPods(Metrics::Queue::kActive, static_cast<int64_t>(queue_.PodsIn(QueuedGroup::Part::kActive)));
  metrics_->PendingPods(Metrics::Queue::kBackoff, static_cast<int64_t>(queue_.PodsIn(QueuedGroup::Part::kBackoff)));
  metrics_->PendingPods(
      Metrics::Queue::kUnschedulable,
      static_cast<int64_t>(queue_.PodsIn(QueuedGroup::Part::kUnschedulable) + queue_.PodsIn(QueuedGroup::Part::kHeld)));
  metrics_->PendingPods(Metrics::Queue::kGated, static_cast<int64_t>(queue_.PodsIn(QueuedGroup::Part::kGated)));
  metrics_->CacheSize(static_cast<int64_t>(cache_.node_count()), static_cast<int64_t>(cache_.placed_count()),
                      static_cast<int64_t>(cache_.assumed_count()));
}

}  // namespace muster
