#include "scheduler/engine/scheduler.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "scheduler/engine/changes.h"
#include "scheduler/runtime/log.h"

namespace muster {
namespace {

// Decisions in one turn of the loop, before answers and events that came meanwhile are seen.
constexpr int kCyclesPerTurn = 32;

constexpr Duration kTellAgain = absl::Seconds(5);

// What a decision costs in simulated time: near what one thread of a 2020s server needs. Only the
// counts decide, so that a run replays bit for bit.
Duration CostOf(const WorkCount& work) {
  return absl::Nanoseconds(3000 + 60 * static_cast<int64_t>(work.filtered) + 400 * static_cast<int64_t>(work.scored));
}

std::string VerdictOf(const PodStatusPatch& patch) {
  return absl::StrCat(patch.condition.reason, ": ", patch.condition.message, "\n",
                      patch.set_nominated_node ? patch.nominated_node : "-");
}

}  // namespace

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
      queue_({config.initial_backoff, config.max_backoff}, config.muster.pod_max_in_unschedulable_pods,
             [sort = &profiles_[0]->queue_sort()](const QueuedGroup& a, const QueuedGroup& b) {
               return sort->Less({a.info->spec->priority, a.queued_at}, {b.info->spec->priority, b.queued_at});
             }),
      group_cycle_(cache_.Refresh(), workers_, options.seed),
      volumes_(loop, api, cache_, [this](const auto& task, const auto& error) { OnVolumesEnded(task, error); }),
      binding_(loop, api, random_, [this](const auto& task, const auto& status) { OnBindEnded(task, status); }),
      recorder_(loop, api, options.instance),
      preemption_(loop, api, recorder_,
                  [this](const Pod& pod, const std::string& node, const ApiStatus& status) {
                    OnEvicted(pod, node, status);
                  }),
      pods_(loop, api, Kind::kPod, random_,
            {[this](const WatchEvent& event) { OnPod(event); }, [this] { Kick(); },
             [this](const ApiStatus& status) { OnPodWatch(status); }}),
      nodes_(loop, api, Kind::kNode, random_,
             {[this](const WatchEvent& event) { OnNode(event); }, [this] { Kick(); }, [](const ApiStatus&) {}}) {
  for (size_t k = 0; k < kKindCount; ++k) {
    const auto kind = static_cast<Kind>(k);
    if (kind == Kind::kPod || kind == Kind::kNode) continue;
    Reflector::Callbacks callbacks{[this, kind](const WatchEvent& event) { OnObject(kind, event); },
                                   [this] { Kick(); },
                                   [](const ApiStatus&) {}};
    others_.push_back(std::make_unique<Reflector>(loop, api, kind, random_, std::move(callbacks)));
  }
  if (metrics_ != nullptr) stages_.emplace(loop_, *metrics_);
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
  Kick();
}

void Scheduler::Stop(std::function<void()> drained) {
  active_ = false;
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
    if (!plugin->PreEnqueue(pod).ok()) return true;
  }
  return false;
}

// --- Events in ---------------------------------------------------------------------------------

void Scheduler::OnNode(const WatchEvent& event) {
  const NodePtr& node = std::get<NodePtr>(event.object);
  if (event.type == WatchEvent::Type::kDeleted) {
    cache_.RemoveNode(node->name);
    Wake({kNodeRemoved, node.get(), nullptr});
    return;
  }
  const NodePtr before = cache_.FindNode(node->name);
  cache_.SetNode(node);
  if (!node->invalid.empty()) LogWarning(absl::StrCat("node ", node->name, " takes no pods: ", node->invalid));
  Wake({before == nullptr ? kNodeAdded : NodeChanges(*before, *node), before.get(), node.get()});
}

void Scheduler::OnObject(Kind kind, const WatchEvent& event) {
  const ObjectPtr& object = std::get<ObjectPtr>(event.object);
  const ObjectPtr before = cache_.objects().Find(kind, object->ns, object->name);
  const bool gone = event.type == WatchEvent::Type::kDeleted;
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
  volumes_.OnObject(kind, object, gone);
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
  queue_.Remove(pod->uid);
  group_cycle_.nominator().Remove(pod->uid);
  const PodPtr before = cache_.FindPlaced(pod->uid);
  const bool confirmed = before == nullptr || cache_.IsAssumed(pod->uid);
  cache_.SetBound(pod);
  Wake({confirmed ? kPodAdded : BoundPodChanges(*before, *pod), nullptr, nullptr, before.get(), pod.get()});
}

void Scheduler::OnPendingPod(const PodPtr& pod) {
  const int profile = ProfileOf(pod->spec->scheduler_name);
  if (profile < 0) return;
  // Older than our bind, which the server has accepted or is about to: not news.
  if (cache_.IsAssumed(pod->uid)) return;
  QueuedGroup* group = queue_.Find(pod->uid);
  Nominator& nominator = group_cycle_.nominator();
  if (pod->deleting) {
    queue_.Remove(pod->uid);
    OnNominationGone(*pod, nominator.NodeOf(pod->uid));
    return;
  }
  const Time now = loop_.Now();
  const bool gated = Gated(*pod, static_cast<uint32_t>(profile));
  if (group == nullptr) {
    queue_.Add(pod, cache_.InfoFor(*pod), static_cast<uint32_t>(profile), gated, now).nominated = pod->nominated_node;
    nominator.Set(pod, cache_.InfoFor(*pod), pod->nominated_node);
    if (metrics_ != nullptr) metrics_->QueuedPod(gated ? Metrics::Queue::kGated : Metrics::Queue::kActive, "UnscheduledPodAdd");
  } else {
    const PodPtr before = group->pod;
    const ClusterEvents changes = PendingPodChanges(*before, *pod);
    queue_.Update(*group, pod, cache_.InfoFor(*pod));
    // What was decided here may not show there yet.
    const bool news = before->nominated_node != pod->nominated_node;
    nominator.Set(pod, group->info, news ? pod->nominated_node : nominator.NodeOf(pod->uid));
    if (news) group->nominated = pod->nominated_node;
    if (news) OnNominationGone(*before, before->nominated_node);
    queue_.SetGated(*group, gated, now);
    if ((group->wake_on & changes) != 0) {
      const ClusterEvent what{changes, nullptr, nullptr, before.get(), pod.get()};
      for (const void* plugin : group->rejectors) {
        const auto& rejector = *static_cast<const Plugin*>(plugin);
        if ((rejector.RequeueOn() & changes) != 0 && rejector.MayHelp(*pod, what)) queue_.WakeOne(*group, now);
      }
      // Rejected by no plugin: the pod itself could not be interpreted, and now perhaps can.
      if (group->rejectors.empty()) queue_.WakeOne(*group, now);
    }
  }
  Kick();
}

void Scheduler::OnPodGone(const Pod& pod) {
  volumes_.Cancel(pod.uid);
  binding_.Cancel(pod.uid);
  queue_.Remove(pod.uid);
  OnNominationGone(pod, group_cycle_.nominator().NodeOf(pod.uid));
  const PodPtr placed = cache_.FindPlaced(pod.uid);
  if (placed != nullptr) {
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
  Pod gone = pod;
  gone.node = node;
  Wake({kPodRemoved, nullptr, nullptr, &gone, nullptr}, pod.spec->priority);
}

void Scheduler::Wake(const ClusterEvent& event, int32_t max_priority) {
  if (event.what == 0) return;
  queue_.Wake(
      event.what,
      [&](const QueuedGroup& group) {
        if (group.info->spec->priority > max_priority) return false;
        if (group.rejectors.empty()) return true;
        return std::any_of(group.rejectors.begin(), group.rejectors.end(), [&](const void* plugin) {
          const auto& rejector = *static_cast<const Plugin*>(plugin);
          return (rejector.RequeueOn() & event.what) != 0 && rejector.MayHelp(*group.pod, event);
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
  const auto room = [&] { return binding_.in_flight() < static_cast<size_t>(config_.muster.binds_in_flight); };
  if (active_ && synced()) {
    CheckExpired();
    int cycles = 0;
    for (; cycles < kCyclesPerTurn && room(); ++cycles) {
      QueuedGroup* group = queue_.Pop(loop_.Now());
      if (group == nullptr) break;
      RunCycle(*group);
    }
    if (cycles == kCyclesPerTurn) Kick();
    // With no room for another bind there is nothing to wake up for: the next bind's end comes here.
    if (room()) ArmTimer();
  }
  UpdateGauges();
}

// Wakes up for the queue's next deadline and for assumptions that may expire.
void Scheduler::ArmTimer() {
  Time next = queue_.NextDeadline();
  if (cache_.assumed_count() > binding_.in_flight() + volumes_.in_flight())
    next = std::min(next, loop_.Now() + config_.muster.assume_expiry);
  if (next >= timer_at_ && timer_at_ > loop_.Now()) return;
  if (timer_at_ != absl::InfiniteFuture()) loop_.Cancel(timer_);
  timer_at_ = next;
  if (next == absl::InfiniteFuture()) return;
  timer_ = loop_.At(next, [this] {
    timer_at_ = absl::InfiniteFuture();
    Kick();
  });
}

void Scheduler::RunCycle(QueuedGroup& group) {
  ++cycle_;
  const Time popped_at = loop_.Now();
  if (!group.pod->invalid.empty()) {
    Explanation why;
    why.is_error = true;
    why.wake_on = kSelfUpdated;
    why.message = group.pod->invalid;
    LogDecision(group, {}, &why);
    group.wake_on = kSelfUpdated;
    group.rejectors.clear();
    queue_.Rejected(group, popped_at);
    TellFailure(group, "SchedulerError", why.message, "");
    return;
  }
  cache_.Refresh();
  const Framework& framework = *profiles_[group.profile];
  if (stages_) stages_->SetProfile(framework.scheduler_name());
  const Member member{group.pod, group.info};
  const GroupDecision& decision =
      group_cycle_.Decide(framework, std::span(&member, 1), stages_ ? &*stages_ : nullptr);
  loop_.Spend(CostOf(decision.work));
  LogDecision(group, decision, decision.why);
  if (metrics_ != nullptr) {
    metrics_->Decided(loop_.Now() - popped_at);
    metrics_->ShapeCache(decision.from_cache);
  }
  if (decision.placed) {
    OnPlaced(group, decision, popped_at);
  } else {
    OnRejected(group, decision, popped_at);
  }
}

void Scheduler::OnPlaced(QueuedGroup& group, const GroupDecision& decision, Time popped_at) {
  const NodeIndex node = decision.placements[0].node;
  const std::string name(cache_.Refresh().NodeName(node));
  cache_.Assume(group.pod, group.info, node);
  if (const std::string nominated = group_cycle_.nominator().NodeOf(group.pod->uid); nominated == name) {
    group_cycle_.nominator().Remove(group.pod->uid);  // its room is taken, by itself
  } else {
    OnNominationGone(*group.pod, nominated);
  }
  const BindingCycle::Task task{group.pod, name, loop_.Now(), popped_at};
  if (std::vector<Intent> intents = VolumeIntents(decision.intents); !intents.empty()) {
    volumes_.Start(task, std::move(intents));
    return;
  }
  OnVolumesEnded(task, "");
}

// Where all is well, binds the pod.
void Scheduler::OnVolumesEnded(const BindingCycle::Task& task, const std::string& error) {
  if (error.empty() && active_) {
    if (metrics_ != nullptr) metrics_->BindStarted();
    binding_.Start(task);
    return;
  }
  const Pod& pod = *task.pod;
  cache_.Remove(pod.uid);
  Wake({kPodRemoved, nullptr, nullptr, &pod, nullptr});
  QueuedGroup* group = queue_.Find(pod.uid);
  if (group == nullptr) return;
  queue_.Failed(*group, loop_.Now());
  if (error.empty()) return;  // no longer ours to decide
  LogWarning(absl::StrCat("volumes of ", pod.Key(), " on ", task.node, ": ", error));
  if (metrics_ != nullptr) {
    metrics_->ScheduleAttempt(pod.spec->scheduler_name, Metrics::Attempt::kError, loop_.Now() - task.popped_at);
  }
  TellFailure(*group, "SchedulerError", absl::StrCat("running PreBind plugin \"VolumeBinding\": ", error), "");
}

void Scheduler::OnRejected(QueuedGroup& group, const GroupDecision& decision, Time popped_at) {
  const Explanation& why = *decision.why;
  const Time now = loop_.Now();
  const std::string& profile = profiles_[group.profile]->scheduler_name();
  if (metrics_ != nullptr) {
    metrics_->ScheduleAttempt(profile, why.is_error ? Metrics::Attempt::kError : Metrics::Attempt::kUnschedulable,
                              now - popped_at);
    metrics_->QueuedPod(why.is_error ? Metrics::Queue::kBackoff : Metrics::Queue::kUnschedulable,
                        "ScheduleAttemptFailure");
  }
  group.wake_on = why.wake_on | kSelfUpdated;
  group.rejectors.assign(why.rejectors.begin(), why.rejectors.end());
  if (why.is_error) {
    queue_.Failed(group, now);
  } else {
    queue_.Rejected(group, now);
  }
  std::optional<std::string> nominate = "";
  if (decision.room) nominate = decision.room->nominate;
  if (nominate) group_cycle_.nominator().Set(group.pod, group.info, *nominate);
  TellFailure(group, why.is_error ? "SchedulerError" : "Unschedulable", why.message, nominate);
  if (decision.room) MakeRoom(group, *decision.room);
}

// Evicts the victims; until the server has taken that note, the pod is not tried again.
void Scheduler::MakeRoom(QueuedGroup& group, const PostFilterResult& room) {
  if (metrics_ != nullptr) metrics_->PreemptionAttempt();
  if (room.code != Code::kSuccess) return;
  if (metrics_ != nullptr) metrics_->Preemption(static_cast<int>(room.victims.size()));
  const std::string& node = *room.nominate;
  Nominator& nominator = group_cycle_.nominator();
  // Others that wait for this node may not fit there any more: they look for another at once.
  std::vector<PodPtr> lower;
  if (const auto at = nominator.by_node().find(node); at != nominator.by_node().end()) {
    for (const Nominator::Entry& entry : at->second.entries) {
      if (entry.info->spec->priority < group.info->spec->priority) lower.push_back(entry.pod);
    }
  }
  for (const PodPtr& pod : lower) {
    nominator.Remove(pod->uid);
    PodStatusPatch patch{pod->ns(), pod->name, pod->uid, {}, 0, true, ""};
    if (QueuedGroup* waiting = queue_.Find(pod->uid)) waiting->nominated.clear();
    api_.PatchPodStatus(patch, [this, uid = pod->uid](const ApiStatus& status) {
      QueuedGroup* untold = status.ok() ? nullptr : queue_.Find(uid);
      if (untold != nullptr) untold->nominated = untold->pod->nominated_node;  // the next attempt tells anew
    });
  }
  std::vector<PodPtr> victims;
  for (const Pod* victim : room.victims) {
    if (PodPtr pod = cache_.FindPlaced(victim->uid)) victims.push_back(std::move(pod));
  }
  if (preemption_.Start(group.pod, node, victims)) queue_.Hold(group);
}

void Scheduler::OnEvicted(const Pod& preemptor, const std::string& node, const ApiStatus& status) {
  QueuedGroup* group = queue_.Find(preemptor.uid);
  if (group != nullptr && group->part == QueuedGroup::Part::kHeld) {
    if (status.ok()) {
      queue_.Release(*group, loop_.Now());
    } else {
      const std::string what = absl::StrCat("preemption: evicting pods from node ", node, ": ", status.message);
      LogWarning(absl::StrCat(preemptor.Key(), ": ", what));
      queue_.Failed(*group, loop_.Now());
      OnNominationGone(*group->pod, node);
      TellFailure(*group, "SchedulerError", what, "");
    }
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
    if (status.ok() && group != nullptr)
      metrics_->PodScheduled(static_cast<int>(group->attempts), now - group->first_seen);
  }
  if (status.ok()) {
    queue_.Remove(pod.uid);
    cache_.FinishBinding(pod.uid, now + config_.muster.assume_expiry);
    recorder_.Scheduled(pod, task.node);
  } else {
    cache_.Remove(pod.uid);
    Wake({kPodRemoved, nullptr, nullptr, &pod, nullptr});
    LogWarning(absl::StrCat("binding ", pod.Key(), " to ", task.node, ": ", status.message));
    // Gone, or bound by somebody else: the watch tells which, and the pod's status is theirs.
    const bool not_ours = status.code == ApiCode::kNotFound || status.code == ApiCode::kConflict;
    if (group != nullptr) {
      queue_.Failed(*group, now);
      if (!not_ours)
        TellFailure(*group, "SchedulerError", absl::StrCat("running Bind plugin \"DefaultBinder\": ", status.message),
                    "");
    }
  }
  if (drained_ && binding_.in_flight() == 0) std::exchange(drained_, nullptr)();
  Kick();
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

// --- Telling -----------------------------------------------------------------------------------

void Scheduler::TellFailure(QueuedGroup& group, const std::string& reason, const std::string& message,
                            const std::optional<std::string>& nominate) {
  const Pod& pod = *group.pod;
  recorder_.FailedScheduling(pod, message);
  const PodCondition condition{true, "False", reason, message};
  const bool nominated = nominate && *nominate != group.nominated;
  PodStatusPatch patch{pod.ns(), pod.name, pod.uid, condition, pod.generation, nominated, nominate.value_or("")};
  if ((pod.scheduled == condition && !nominated) || group.verdict == VerdictOf(patch)) return;
  if (pod.scheduled.status != condition.status) patch.transition = loop_.Now();
  Tell(group, patch);
}

void Scheduler::Tell(QueuedGroup& group, const PodStatusPatch& patch) {
  group.verdict = VerdictOf(patch);
  if (patch.set_nominated_node) group.nominated = patch.nominated_node;
  api_.PatchPodStatus(patch, [this, uid = patch.uid, patch](const ApiStatus& status) {
    if (status.ok()) return;
    QueuedGroup* untold = queue_.Find(uid);
    if (untold == nullptr) return;
    untold->verdict.clear();  // the next attempt tells anew
    untold->nominated = untold->pod->nominated_node;
    // The next attempt may be minutes away: a write that may yet succeed is made again before.
    if (status.Retriable()) loop_.After(kTellAgain, [this, uid, patch] { TellAgain(uid, patch); });
  });
}

void Scheduler::TellAgain(const std::string& uid, const PodStatusPatch& patch) {
  QueuedGroup* group = queue_.Find(uid);
  if (!active_ || group == nullptr || !group->verdict.empty() || binding_.InFlight(uid)) return;
  Tell(*group, patch);
}

void Scheduler::LogDecision(const QueuedGroup& group, const GroupDecision& decision, const Explanation* why) {
  entry_.Clear();
  entry_.cycle = cycle_;
  entry_.at = loop_.Now();
  entry_.profile = profiles_[group.profile]->scheduler_name();
  Decision::Member member{group.pod->ns(), group.pod->name, {}, 0};
  if (decision.placed) {
    entry_.result = Decision::Result::kBound;
    member.node = cache_.Refresh().NodeName(decision.placements[0].node);
    member.score = decision.placements[0].score;
  } else {
    entry_.result = why->is_error ? Decision::Result::kError : Decision::Result::kUnschedulable;
    if (!why->is_error)
      entry_.code = why->preemption_may_help ? "Unschedulable" : "UnschedulableAndUnresolvable";
    entry_.message = why->message;
    for (const Explanation::Cause& cause : why->causes)
      entry_.rejections.push_back({cause.plugin, cause.message, static_cast<uint32_t>(cause.nodes)});
    entry_.may_help = EventNames(why->wake_on);
  }
  entry_.pods.push_back(member);
  entry_.work = {decision.work.filtered * kWordBits, decision.work.scored * kWordBits, decision.from_cache};
  log_.Add(entry_);
  if (metrics_ != nullptr) metrics_->DecisionLogged();
}

void Scheduler::UpdateGauges() {
  if (metrics_ == nullptr) return;
  metrics_->PendingPods(Metrics::Queue::kActive, static_cast<int64_t>(queue_.active()));
  metrics_->PendingPods(Metrics::Queue::kBackoff, static_cast<int64_t>(queue_.backing_off()));
  metrics_->PendingPods(Metrics::Queue::kUnschedulable, static_cast<int64_t>(queue_.unschedulable()));
  metrics_->PendingPods(Metrics::Queue::kGated, static_cast<int64_t>(queue_.gated()));
  metrics_->CacheSize(static_cast<int64_t>(cache_.node_count()), static_cast<int64_t>(cache_.placed_count()),
                      static_cast<int64_t>(cache_.assumed_count()));
}

}  // namespace muster
