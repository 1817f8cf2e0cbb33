#include "scheduler/engine/scheduler.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "scheduler/engine/changes.h"
#include "scheduler/runtime/log.h"

namespace muster {

absl::StatusOr<std::unique_ptr<Scheduler>> Scheduler::Create(const Configuration& config, const Registry& registry,
                                                             SchedulerOptions options, EventLoop& loop, ApiServer& api,
                                                             DecisionLog& log, Metrics* metrics) {
  std::vector<std::unique_ptr<Framework>> profiles;
  for (const ProfileConfig& profile : config.profiles) {
    auto framework = Framework::Create(profile, registry);
    if (!framework.ok()) return framework.status();
    profiles.push_back(*std::move(framework));
  }
  return std::unique_ptr<Scheduler>(
      new Scheduler(config, std::move(profiles), std::move(options), loop, api, log, metrics));
}

Scheduler::Scheduler(const Configuration& config, std::vector<std::unique_ptr<Framework>> profiles,
                     SchedulerOptions options, EventLoop& loop, ApiServer& api, DecisionLog& log, Metrics* metrics)
    : config_(config),
      profiles_(std::move(profiles)),
      loop_(loop),
      api_(api),
      log_(log),
      metrics_(metrics),
      random_(options.seed),
      workers_(options.threads, options.min_words_a_thread),
      ledger_(cache_.Refresh(), config.muster.default_queue,
              [this](const std::string& scheduler) { return ProfileOf(scheduler) >= 0; }),
      queue_({config.initial_backoff, config.max_backoff}, config.muster.pod_max_in_unschedulable_pods,
             [sort = &profiles_[0]->queue_sort()](const QueuedGroup& a, const QueuedGroup& b) {
               return sort->Less({a.priority, a.queued_at}, {b.priority, b.queued_at});
             }),
      policies_(ledger_, queue_, cache_.Refresh()),
      group_cycle_(cache_.Refresh(), workers_, options.seed, &ledger_),
      preparation_(loop, api, cache_,
                   {[this](const auto& task, const auto& error) { OnPreparationEnded(task, error); },
                    [this](const auto& before, const auto& after) { OnClaim(after, before, after); }}),
      binding_(loop, api, random_, static_cast<size_t>(config_.muster.binds_in_flight),
               [this](const auto& task, const auto& status) { OnBindEnded(task, status); }),
      recorder_(loop, api, options.instance),
      preemption_(
          loop, api, recorder_,
          [this](const Pod& pod, const std::string& node, const ApiStatus& status) { OnEvicted(pod, node, status); },
          [this](const Pod& victim) { cache_.SetStaying(victim.uid); }),
      groups_(cache_),
      commits_(loop, preparation_, binding_,
               {[this](const auto& task) { Bind(task); }, [this](const auto& key) { OnPrepared(key); },
                [this](const auto& undone) { OnUndone(undone); }}),
      group_status_(loop, api, recorder_),
      queue_status_(loop, api, [this] { QueuesChanged(); }),
      pods_(loop, api, Kind::kPod, random_,
            {[this](const WatchEvent& event) { OnPod(event); }, [this] { Kick(); },
             [this](const ApiStatus& status) { OnPodWatch(status); }}),
      nodes_(loop, api, Kind::kNode, random_,
             {[this](const WatchEvent& event) { OnNode(event); }, [this] { Kick(); }, [](const ApiStatus&) {}}) {
  for (size_t k = 0; k < kKindCount; ++k) {
    const auto kind = static_cast<Kind>(k);
    if (kind == Kind::kPod || kind == Kind::kNode) continue;
    Reflector::Callbacks callbacks{[this, kind](const WatchEvent& event) { OnObject(kind, event); }, [this] { Kick(); },
                                   [](const ApiStatus&) {}};
    others_.push_back(std::make_unique<Reflector>(loop, api, kind, random_, std::move(callbacks)));
  }
  if (metrics_ != nullptr) stages_.emplace(loop_, *metrics_);
  cache_.SetListener([this](const Pod& pod, const PodInfo& info, NodeIndex row, bool gone) {
    if (gone) {
      policies_.OnGone(pod.uid);
    } else if (row != kNoNode) {
      policies_.OnRunning(pod, info, row, loop_.Now());
    }
  });
}

Scheduler::~Scheduler() = default;

void Scheduler::Start() {
  for (const auto& kind : others_) kind->Start();
  nodes_.Start();
  pods_.Start();
}

bool Scheduler::synced() const {
  return pods_.synced() && nodes_.synced() &&
         std::all_of(others_.begin(), others_.end(), [](const auto& kind) { return kind->synced(); });
}

void Scheduler::SetActive(bool active) {
  active_ = active;
  group_status_.SetActive(active);
  queue_status_.SetActive(active);
  if (!active) commits_.ReleaseAll();
  Kick();
}

void Scheduler::Stop(std::function<void()> drained) {
  SetActive(false);
  drained_ = std::move(drained);
  if (binding_.in_flight() == 0 && drained_) std::exchange(drained_, nullptr)();
}

int Scheduler::ProfileOf(const std::string& scheduler_name) const {
  for (size_t i = 0; i < profiles_.size(); ++i) {
    if (profiles_[i]->scheduler_name() == scheduler_name) return static_cast<int>(i);
  }
  return -1;
}

bool Scheduler::Gated(const Pod& pod, uint32_t profile) const {
  for (const PreEnqueuePlugin* plugin : profiles_[profile]->pre_enqueue()) {
    if (!plugin->PreEnqueue(pod, cache_.objects()).ok()) return true;
  }
  return false;
}

// --- Events in ---------------------------------------------------------------------------------

void Scheduler::OnNode(const WatchEvent& event) {
  const NodePtr& node = std::get<NodePtr>(event.object);
  if (event.type == WatchEvent::Type::kDeleted) {
    cache_.RemoveNode(node->name);
    nodes_changed_ = true;
    group_cycle_.plans().Clear();
    Wake({kNodeRemoved, node.get(), nullptr});
    return;
  }
  const NodePtr before = cache_.FindNode(node->name);
  if (before == nullptr) {
    nodes_changed_ = true;
    group_cycle_.plans().Clear();
  }
  cache_.SetNode(node);
  if (!node->invalid.empty()) LogWarning(absl::StrCat("node ", node->name, " takes no pods: ", node->invalid));
  Wake({before == nullptr ? kNodeAdded : NodeChanges(*before, *node), before.get(), node.get()});
}

void Scheduler::OnObject(Kind kind, const WatchEvent& event) {
  const ObjectPtr& object = std::get<ObjectPtr>(event.object);
  const ObjectPtr before = cache_.objects().Find(kind, object->ns, object->name);
  const bool gone = event.type == WatchEvent::Type::kDeleted;
  if (kind == Kind::kResourceClaim) {
    const auto claim = std::static_pointer_cast<const ResourceClaim>(object);
    return OnClaim(claim, std::static_pointer_cast<const ResourceClaim>(before),
                   preparation_.claims().OnClaim(claim, gone));
  }
  if (kind == Kind::kQueue && before != nullptr && !gone &&
      static_cast<const Queue&>(*before).generation == static_cast<const Queue&>(*object).generation)
    return;  // its status, which is written here
  if (kind == Kind::kQueue || kind == Kind::kResourceFlavor || kind == Kind::kNamespace) {
    ledger_.OnObjectsChanged();
    Kick();
  }
  if (kind == Kind::kQueue && gone) queue_status_.Forget(object->uid);
  if (gone) {
    cache_.RemoveObject(kind, object->ns, object->name);
  } else {
    cache_.SetObject(kind, object);
  }
  ClusterEvent what;
  what.what = ObjectChanges(kind, before != nullptr, gone);
  what.old_object = before.get();
  what.new_object = gone ? nullptr : object.get();
  Wake(what);
  preparation_.OnObject(kind, object, gone);
  OnGroupObject(kind, *object, gone);
}

// `after` is what the cache is to have; null: nothing.
void Scheduler::OnClaim(const ClaimPtr& claim, const ClaimPtr& before, const ClaimPtr& after) {
  if (after != nullptr) {
    cache_.SetObject(Kind::kResourceClaim, after);
  } else {
    cache_.RemoveObject(Kind::kResourceClaim, claim->ns, claim->name);
  }
  ClusterEvent what;
  what.what = kResourceClaimChanged;
  what.old_object = before.get();
  what.new_object = after.get();
  if (before != nullptr || after != nullptr) Wake(what);
  const auto awaited = await_claim_.find(claim->Key());
  if (awaited == await_claim_.end()) return;
  const std::vector<std::string> uids = std::move(awaited->second);
  await_claim_.erase(awaited);
  for (const std::string& uid : uids) {
    if (const QueuedMember* member = queue_.FindMember(uid)) OnPendingPod(PodPtr(member->pod));
  }
}

void Scheduler::OnPodWatch(const ApiStatus& status) {
  pod_watch_since_ = status.ok() ? loop_.Now() : absl::InfiniteFuture();
}

void Scheduler::OnPod(const WatchEvent& event) {
  const PodPtr& pod = std::get<PodPtr>(event.object);
  if (event.type == WatchEvent::Type::kDeleted || pod->ended) {
    OnPodGone(*pod);
  } else if (!pod->node.empty()) {
    OnBoundPod(pod);
  } else {
    OnPendingPod(pod);
  }
}

void Scheduler::OnBoundPod(const PodPtr& pod) {
  binding_.Confirm(pod->uid, pod->node);
  preparation_.Bound(pod->uid);
  commits_.OnBound(pod->uid);
  queue_.Remove(pod->uid);
  group_cycle_.nominator().Remove(pod->uid);
  const PodPtr before = cache_.FindPlaced(pod->uid);
  const bool confirmed = before == nullptr || cache_.IsAssumed(pod->uid);
  cache_.SetBound(pod);
  GroupChanged(*pod);
  if (before != nullptr && before->group != pod->group) GroupChanged(*before);
  Wake({confirmed ? kPodAdded : BoundPodChanges(*before, *pod), nullptr, nullptr, before.get(), pod.get()});
}

void Scheduler::OnPendingPod(const PodPtr& pod) {
  const int profile = ProfileOf(pod->spec->scheduler_name);
  if (profile < 0) return;
  // Older than our bind, which the server has accepted or is about to: not news.
  if (cache_.IsAssumed(pod->uid)) return;
  GroupChanged(*pod);
  const std::string key = GroupKeyOf(*pod);
  QueuedGroup* group = queue_.Find(pod->uid);
  if (group != nullptr && group->key != key) {  // its labels name another group now
    GroupChanged(*queue_.FindMember(pod->uid)->pod);
    queue_.Remove(pod->uid);
    group = nullptr;
  }
  Nominator& nominator = group_cycle_.nominator();
  if (pod->deleting) {
    queue_.Remove(pod->uid);
    OnNominationGone(*pod, nominator.NodeOf(pod->uid));
    return;
  }
  const Time now = loop_.Now();
  const bool gated = Gated(*pod, static_cast<uint32_t>(profile));
  for (const PodClaim& claim : pod->claims) {
    if (!gated || claim.claim.empty()) continue;
    std::vector<std::string>& uids = await_claim_[absl::StrCat(pod->ns(), "/", claim.claim)];
    if (std::find(uids.begin(), uids.end(), pod->uid) == uids.end()) uids.push_back(pod->uid);
  }
  PodInfoPtr info = cache_.InfoFor(*pod);
  if (group == nullptr) {
    if (key.empty()) {
      HoldLone(queue_.Add(pod, info, static_cast<uint32_t>(profile), gated, now), gated);
    } else {
      queue_.Join(key, pod, info, static_cast<uint32_t>(profile), gated, now);
    }
    queue_.FindMember(pod->uid)->nominated = pod->nominated_node;
    nominator.Set(pod, std::move(info), pod->nominated_node);
    if (metrics_ != nullptr)
      metrics_->QueuedPod(gated ? Metrics::Queue::kGated : Metrics::Queue::kActive, "UnscheduledPodAdd");
  } else {
    OnPendingPodChanged(*group, pod, std::move(info), gated);
  }
  Kick();
}

void Scheduler::OnPendingPodChanged(QueuedGroup& group, const PodPtr& pod, PodInfoPtr info, bool gated) {
  QueuedMember& member = *queue_.FindMember(pod->uid);
  Nominator& nominator = group_cycle_.nominator();
  const PodPtr before = member.pod;
  const ClusterEvents changes = PendingPodChanges(*before, *pod);
  queue_.Update(pod->uid, pod, std::move(info));
  // What was decided here may not show there yet.
  const bool news = before->nominated_node != pod->nominated_node;
  nominator.Set(pod, member.info, news ? pod->nominated_node : nominator.NodeOf(pod->uid));
  if (news) member.nominated = pod->nominated_node;
  if (news) OnNominationGone(*before, before->nominated_node);
  if (group.lone()) {
    HoldLone(group, gated);
  } else {
    member.gated = gated;
  }
  if ((group.wake_on & changes) == 0) return;
  const ClusterEvent what{changes, nullptr, nullptr, before.get(), pod.get()};
  for (const void* plugin : group.rejectors) {
    const auto& rejector = *static_cast<const Plugin*>(plugin);
    if ((rejector.RequeueOn() & changes) != 0 && rejector.MayHelp(*pod, what)) queue_.WakeOne(group, loop_.Now());
  }
  // Rejected by no plugin: the pod itself could not be interpreted, and now perhaps can.
  if (group.rejectors.empty()) queue_.WakeOne(group, loop_.Now());
}

void Scheduler::OnPodGone(const Pod& pod) {
  preparation_.GiveUp(pod.uid);
  binding_.Cancel(pod.uid);
  for (const PodClaim& claim : pod.claims) {
    const auto awaited = await_claim_.find(absl::StrCat(pod.ns(), "/", claim.claim));
    if (awaited != await_claim_.end()) std::erase(awaited->second, pod.uid);
  }
  OnNominationGone(pod, group_cycle_.nominator().NodeOf(pod.uid));
  queue_.Remove(pod.uid);
  OpenGate(pod.uid);
  DropPlan(pod.uid);
  if (const std::string key = GroupKeyOf(pod); queue_.FindGroup(key) == nullptr) DropPlan(key);
  policies_.Forget(pod.uid);
  GroupChanged(pod);
  const bool slot_is_kept = commits_.OnGone(pod.uid);
  const PodPtr placed = cache_.FindPlaced(pod.uid);
  if (placed != nullptr && !slot_is_kept) {
    GroupChanged(*placed);
    cache_.Remove(pod.uid);
    Wake({kPodRemoved, nullptr, nullptr, placed.get(), nullptr});
  }
  Kick();
}

// The room that was kept for a pending pod is free to those who had to leave it.
void Scheduler::OnNominationGone(const Pod& pod, const std::string& node) {
  if (node.empty()) return;
  Nominator& nominator = group_cycle_.nominator();
  if (nominator.NodeOf(pod.uid) == node) nominator.Remove(pod.uid);
  if (QueuedGroup* group = queue_.Find(pod.uid); group != nullptr && group->reserved) KeepRoom(*group);
  Pod gone = pod;
  gone.node = node;
  Wake({kPodRemoved, nullptr, nullptr, &gone, nullptr}, pod.spec->priority);
}

void Scheduler::Wake(const ClusterEvent& event, int32_t max_priority) {
  if (event.what == 0) return;
  queue_.Wake(
      event.what,
      [&](const QueuedGroup& group) {
        if (group.priority > max_priority) return false;
        if (group.rejectors.empty()) return true;
        return std::any_of(group.rejectors.begin(), group.rejectors.end(), [&](const void* plugin) {
          const auto& rejector = *static_cast<const Plugin*>(plugin);
          if ((rejector.RequeueOn() & event.what) == 0) return false;
          const PodInfo* asked = nullptr;  // pods of one shape get one answer, but for their claims
          return std::any_of(group.members.begin(), group.members.end(), [&](const QueuedMember& member) {
            return (std::exchange(asked, member.info.get()) != member.info.get() || !member.pod->claims.empty()) &&
                   rejector.MayHelp(*member.pod, event);
          });
        });
      },
      [&](const QueuedGroup& group) {
        if (event.what != kPodRemoved) return true;
        return std::any_of(group.members.begin(), group.members.end(), [&](const QueuedMember& member) {
          return group_cycle_.nominator().NodeOf(member.pod->uid) == event.old_pod->node;
        });
      },
      loop_.Now());
  Kick();
}

// --- Deciding ----------------------------------------------------------------------------------

// Sees to it that Pump runs soon.
void Scheduler::Kick() {
  if (pump_posted_) return;
  pump_posted_ = true;
  loop_.Post([this] { Pump(); });
}

void Scheduler::Pump() {
  pump_posted_ = false;
  // Claims count too: what the server takes goes to those who are nearly done, not to one step of all.
  const auto room = [&] {
    return binding_.in_flight() + preparation_.claims().writing() < static_cast<size_t>(config_.muster.binds_in_flight);
  };
  if (active_ && synced()) {
    CheckExpired();
    RefreshQuota();
    CheckGroups();
    TellGates();
    int cycles = 0;
    for (; cycles < kCyclesPerTurn && room(); ++cycles) {
      RefreshQuota();
      QueuedGroup* group = queue_.Pop(loop_.Now());
      if (group == nullptr) break;
      RunCycle(*group);
    }
    if (cycles < kCyclesPerTurn && room()) LookForRoom();
    if (cycles == kCyclesPerTurn) Kick();
    // With no room for another bind there is nothing to wake up for: the next end comes here.
    if (room()) ArmTimer();
    QueuesChanged();
  }
  UpdateGauges();
}

// Wakes up for the queue's next deadline and for assumptions that may expire.
void Scheduler::ArmTimer() {
  Time next = std::min(queue_.NextDeadline(), policies_.NextDeadline(loop_.Now()));
  next = std::min({next, drain_at_, group_cycle_.plans().NextEnd(), look_again_at_});
  if (cache_.assumed_count() > binding_.in_flight() + preparation_.in_flight())
    next = std::min(next, loop_.Now() + config_.muster.assume_expiry);
  if (untold_ > 0) {
    for (const auto& [key, gate] : gates_) next = gate.told ? next : std::min(next, gate.tell_at);
  }
  if (next >= timer_at_ && timer_at_ > loop_.Now()) return;
  if (timer_at_ != absl::InfiniteFuture()) loop_.Cancel(timer_);
  timer_at_ = next;
  if (next == absl::InfiniteFuture()) return;
  timer_ = loop_.At(next, [this] {
    timer_at_ = absl::InfiniteFuture();
    Kick();
  });
}

// A bind that was accepted must show in the watch. Where it does not, although the watch has worked
// for long enough, the room is given back and the pod looked at again.
void Scheduler::CheckExpired() {
  if (pod_watch_since_ > loop_.Now() - config_.muster.assume_expiry) return;
  for (const PodPtr& pod : cache_.Expired(loop_.Now())) {
    LogWarning(absl::StrCat("bound pod ", pod->Key(), " was never confirmed by the watch; scheduling it again"));
    cache_.Remove(pod->uid);
    Wake({kPodRemoved, nullptr, nullptr, pod.get(), nullptr});
    OnPendingPod(pod);
  }
}

}  // namespace muster
