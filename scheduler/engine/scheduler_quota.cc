// What the scheduler does about queues: assigns what waits, and keeps what is charged in step.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "scheduler/engine/scheduler.h"
#include "scheduler/runtime/log.h"

namespace muster {
namespace {

// What a drained queue still has is looked at so often; an eviction takes some seconds to show.
constexpr Duration kDrainAgain = absl::Seconds(10);
// A start that is not known now may be later; looking for it costs some 20 ms where 4,096 pods say when they end.
constexpr Duration kPlanAgain = absl::Seconds(10);

}  // namespace

// Before anything is decided: queues as they are now, and who waits in which.
void Scheduler::RefreshQuota() {
  const Time now = loop_.Now();
  cache_.Refresh();
  if (group_cycle_.plans().Expire(now)) Wake({kQueueChanged, nullptr, nullptr, nullptr, nullptr});
  bool anew = ledger_.Refresh();
  if (anew) SetQueues();
  if (policies_.Advance(now)) anew = true;
  if (ledger_.Refresh()) SetQueues();  // of a queue that may not borrow the tree is another
  if (anew) AssignAll();
  if (anew || now >= drain_at_) Drain();
  ledger_.TakeChanged([&](QueueIndex q) {
    queue_.Charged(q);
    policies_.Charged(q, now);
  });
}

void Scheduler::SetQueues() {
  std::vector<Queue::Order> orders;
  for (QueueIndex q = 0; q < ledger_.tree().size(); ++q) orders.push_back(ledger_.catalog().queue(q).order);
  queue_.SetQueues(ledger_.tree(), orders, [this](const QueuedGroup& group, const QueuedGroup& blocked) {
    return policies_.GoesAhead(group, blocked);
  });
  policies_.Build(loop_.Now());
  group_cycle_.nominator().TouchAll();
  for (const QueueCatalog::Entry& entry : ledger_.catalog().entries()) {
    if (!entry.reason.empty()) LogWarning(absl::StrCat("queue ", entry.queue->name, " takes no pods: ", entry.message));
  }
}

void Scheduler::AssignAll() {
  for (const QueuedGroup* each : queue_.Groups()) {
    QueuedGroup* group = queue_.Find(each->first().pod->uid);
    if (!group->lone()) {
      GroupChanged(*group->first().pod);
      continue;
    }
    HoldLone(*group, Gated(*group->first().pod, group->profile));
  }
  CheckGroups();
  for (const QueuedGroup* each : queue_.Groups()) KeepRoom(*queue_.Find(each->first().pod->uid));
  Wake({kQueueChanged, nullptr, nullptr, nullptr, nullptr});
}

// Which queue the group is charged to, and what it asks of that when `count` of its pods are placed: "", or why none
// takes it now.
std::string Scheduler::Assign(QueuedGroup& group, size_t count) {
  if (!ledger_.on()) return "";
  const Ledger::Account& account = ledger_.AccountOf(*group.first().info);
  std::string why = account.why;
  asking_.clear();
  Duration runtime = absl::ZeroDuration();
  Time since = absl::InfiniteFuture();
  for (const QueuedMember& member : group.members) {
    since = std::min(since, member.pod->created);
    if (!member.may_be_tried()) continue;
    asking_.push_back(member.info.get());
    runtime = std::max(runtime, member.pod->max_runtime.value_or(absl::InfiniteDuration()));
    const QueueIndex own = ledger_.AccountOf(*member.info).queue;
    if (why.empty() && own != ledger_.AccountOf(*group.first().info).queue) why = "its pods belong to different queues";
  }
  const QueueIndex queue = why.empty() ? ledger_.AccountOf(*group.first().info).queue : kNoQueue;
  std::vector<Charge> all;
  std::vector<AnyCharge> any;
  if (queue != kNoQueue && !group.reserved) ledger_.Demand(asking_, count, all, any);
  queue_.SetDemand(group, queue, std::move(all), std::move(any), runtime, since);
  for (QueueIndex q = queue; why.empty() && q != kNoQueue; q = ledger_.tree().parent(q)) {
    if (ledger_.catalog().queue(q).stop_policy != Queue::StopPolicy::kNone)
      why = absl::StrCat("queue \"", ledger_.catalog().queue(q).name, "\" is on hold");
  }
  // Who has had others evicted has its turn: held at the budget's edge it would have them evicted again and again. So
  // has a gang that is in part bound: its members run, and none is of use without the others.
  const bool has_turn = group.reserved || group.partial;
  return why.empty() && queue != kNoQueue && !has_turn ? policies_.OverBudget(queue) : why;
}

// While its victims go, nobody else may have the room in its queue either: what the group's nodes are charged with is
// charged for it.
void Scheduler::KeepRoom(QueuedGroup& group) {
  const bool had_room = group.reserved;
  ReleaseRoom(group);
  if (!ledger_.on() || group.queue == kNoQueue) return;
  const Nominator& nominator = group_cycle_.nominator();
  const Snapshot& snapshot = cache_.Refresh();
  std::vector<Charge> charges, own;
  bool has_room = false;
  for (const QueuedMember& member : group.members) {
    const std::string node = nominator.NodeOf(member.pod->uid);
    const NodeIndex row = node.empty() ? kNoNode : snapshot.Find(node);
    if (row == kNoNode) continue;
    has_room = true;
    ledger_.ChargesOn(*member.info, row, own);
    charges.insert(charges.end(), own.begin(), own.end());
  }
  if (has_room)
    ledger_.Reserve(group.lone() ? group.first().pod->uid : group.key, group.queue, std::move(charges),
                    group.lone() && group.promised);
  queue_.SetReserved(group, has_room);
  if (has_room || had_room) Assign(group, std::max<size_t>(1, group.needed));
}

// Whether nothing but what those leave who are on their way out gives the pod its room: then it is not looked for.
// Thousands may wait so, and look every second.
bool Scheduler::StillWaits(const QueuedGroup& group) {
  if (!group.reserved || !group.lone()) return false;
  const std::string& uid = group.first().pod->uid;
  const std::string node = group_cycle_.nominator().NodeOf(uid);
  return cache_.Refresh().Find(node) != kNoNode && ledger_.WaitsForGoing(uid, *group.first().info);
}

void Scheduler::ReleaseRoom(QueuedGroup& group) {
  if (!group.reserved) return;
  queue_.SetReserved(group, false);
  ledger_.Release(group.lone() ? group.first().pod->uid : group.key);
}

// Evicts the pods of queues on HoldAndDrain, those of this scheduler alone. What is refused is tried again.
void Scheduler::Drain() {
  drain_at_ = absl::InfiniteFuture();
  const QueueCatalog& catalog = ledger_.catalog();
  std::vector<std::string> drained(ledger_.tree().size());  // by queue: the name of the one on HoldAndDrain
  bool any = false;
  for (QueueIndex q = 0; q < drained.size(); ++q) {
    const QueueIndex parent = ledger_.tree().parent(q);
    if (catalog.queue(q).stop_policy == Queue::StopPolicy::kHoldAndDrain) {
      drained[q] = catalog.queue(q).name;
    } else if (parent != kNoQueue) {
      drained[q] = drained[parent];
    }
    any |= !drained[q].empty();
  }
  if (!any || !active_) return;
  drain_at_ = loop_.Now() + kDrainAgain;
  const Snapshot& snapshot = cache_.Refresh();
  for (NodeIndex n = 0; n < snapshot.size(); ++n) {
    for (const PodOnNode& on : snapshot.PodsOn(n)) {
      const Pod& pod = *on.pod;
      if (pod.deleting || cache_.IsAssumed(pod.uid) || ProfileOf(pod.spec->scheduler_name) < 0) continue;
      const QueueIndex queue = ledger_.AccountOf(*on.info).queue;
      if (queue == kNoQueue || drained[queue].empty()) continue;
      PodStatusPatch patch{pod.ns(), pod.name, pod.uid, {}, pod.generation, false, ""};
      patch.preempted_message = absl::StrCat(pod.spec->scheduler_name, ": queue \"", drained[queue], "\" is drained");
      if (!pod.preempted) patch.transition = loop_.Now();
      api_.PatchPodStatus(patch, [this, ns = pod.ns(), name = pod.name, uid = pod.uid](const ApiStatus& status) {
        if (!status.ok()) return;
        if (const PodPtr drained_pod = cache_.FindPlaced(uid)) CountEviction(*drained_pod, "Drained");
        api_.DeletePod(ns, name, uid, [](const ApiStatus&) {});
      });
    }
  }
}

// The first of a Backfill queue that has no place is kept one, from when those who run there now have ended.
void Scheduler::PlanStart(QueuedGroup& group) {
  const std::string& key = request_.key;
  group.placeless = !group_cycle_.plans().Has(key);
  if (group.queue == kNoQueue || !queue_.order().HoldsBack(group) || group_cycle_.plans().Has(key) ||
      group.plan_again > loop_.Now())
    return;
  const std::string name = group.lone() ? group.first().pod->Key() : GroupId::Of(*group.first().pod).Text();
  if (!group_cycle_.PlanStart(*profiles_[group.profile], request_, key, name))
    group.plan_again = loop_.Now() + kPlanAgain;
  group.placeless = !group_cycle_.plans().Has(key);
  queue_.Reconsider();
}

void Scheduler::DropPlan(const std::string& key) {
  if (group_cycle_.plans().Remove(key)) Wake({kQueueChanged, nullptr, nullptr, nullptr, nullptr});
}

uint64_t Scheduler::RoomVersion() {
  const Snapshot& snapshot = cache_.Refresh();
  const uint64_t objects = snapshot.objects().version(Kind::kQueue) + snapshot.objects().version(Kind::kPodGroup);
  return Mix(ledger_.tree().fingerprint(), Mix(snapshot.static_version(), objects));
}

// Nobody else may go. What those leave who are on their way out is promised one by one, in the order of shares (a
// promise counts as used): else who happens to ask first has it, whatever he has. Then groups without room in their
// queue may have others make it.
void Scheduler::LookForRoom() {
  if (!ledger_.on()) return;
  for (int cycles = 0;; ++cycles) {
    if (cycles == kCyclesPerTurn) return Kick();
    RefreshQuota();
    QueuedGroup* group = nullptr;
    if (ledger_.any_going()) {
      ledger_.Use(Ledger::View::kWithoutGoing);
      group = queue_.TopOfTrial(ledger_.tree(), loop_.Now());
      ledger_.Use(Ledger::View::kAll);
    }
    if (group == nullptr) break;
    queue_.Take(*group);
    promising_ = true;
    RunCycle(*group);
    promising_ = false;
  }
  std::vector<QueuedGroup*> groups;
  const uint64_t version = RoomVersion();
  look_again_at_ = queue_.order().ForEachWithoutRoom(loop_.Now(), [&](QueuedGroup& group) {
    if (group.room_version != version && group_cycle_.MayMakeRoom(group.queue, group.demand, group.either))
      groups.push_back(&group);
  });
  for (QueuedGroup* group : groups) {
    RefreshQuota();
    if (group->part != QueuedGroup::Part::kActive || queue_.order().Fits(*group)) continue;
    queue_.Take(*group);
    RunCycle(*group);
  }
}

// A lone pod that no queue takes is gated like one that PreEnqueue rejects, and told why.
void Scheduler::HoldLone(QueuedGroup& group, bool gated) {
  const std::string why = Assign(group, 1);
  queue_.SetGated(group, gated || !why.empty(), loop_.Now());
  if (why.empty() && !gated && ledger_.on()) queue_.SetExpress(group, policies_.GoesExpress(group, loop_.Now()));
  if (why.empty() || gated) {
    OpenGate(group.first().pod->uid);
  } else {
    const Pod& pod = *group.first().pod;  // no room is kept for what cannot be tried
    if (group.part == QueuedGroup::Part::kGated) OnNominationGone(pod, group_cycle_.nominator().NodeOf(pod.uid));
    NoteGate(group, why, /*broken=*/false);
  }
}

}  // namespace muster
