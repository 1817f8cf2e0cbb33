// The scheduler: watches, queues, decides, binds and tells. The same class runs on a real cluster
// and on the simulated one; only its ports differ.
//
// Decision thread only, from construction to destruction.
#ifndef MUSTER_SCHEDULER_ENGINE_SCHEDULER_H_
#define MUSTER_SCHEDULER_ENGINE_SCHEDULER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/statusor.h"
#include "queue/scheduling_queue.h"
#include "scheduler/engine/binding/binding_cycle.h"
#include "scheduler/engine/binding/event_recorder.h"
#include "scheduler/engine/binding/group_commit.h"
#include "scheduler/engine/binding/preemption.h"
#include "scheduler/engine/binding/preparation.h"
#include "scheduler/engine/cluster_cache.h"
#include "scheduler/engine/cycle/group_cycle.h"
#include "scheduler/engine/group_status.h"
#include "scheduler/engine/pod_groups.h"
#include "scheduler/engine/quota/ledger.h"
#include "scheduler/engine/quota/queue_policies.h"
#include "scheduler/engine/quota/queue_report.h"
#include "scheduler/engine/quota/queue_status.h"
#include "scheduler/engine/stage_metrics.h"
#include "scheduler/framework/configuration.h"
#include "scheduler/framework/framework.h"
#include "scheduler/runtime/api_server.h"
#include "scheduler/runtime/decision_log.h"
#include "scheduler/runtime/event_loop.h"
#include "scheduler/runtime/metrics.h"
#include "scheduler/runtime/random.h"
#include "scheduler/runtime/reflector.h"
#include "scheduler/runtime/worker_pool.h"

namespace muster {

struct SchedulerOptions {
  int threads = 1;  // for deciding; never changes a decision
  size_t min_words_a_thread = 32;
  uint64_t seed = 1;
  std::string instance = "sim";  // names this process in events
};

class Scheduler {
 public:
  // The ports outlive the scheduler; `metrics` may be null. Errors: a plugin's arguments.
  static absl::StatusOr<std::unique_ptr<Scheduler>> Create(const Configuration& config, const Registry& registry,
                                                           SchedulerOptions options, EventLoop& loop, ApiServer& api,
                                                           DecisionLog& log, Metrics* metrics);
  ~Scheduler();

  // Begins to watch. Decides nothing until SetActive(true) and every kind is synced.
  void Start();
  // A standby keeps its cache warm and neither decides nor writes. Becoming inactive lets binds in
  // flight end. Active from the start unless told otherwise before Start.
  void SetActive(bool active);
  // Decides no more; `drained` runs once no bind is in flight.
  void Stop(std::function<void()> drained);

  bool synced() const;
  // Neither a decision nor an answer is outstanding: only timers or new events can change anything.
  bool Idle() {
    return !pump_posted_ && !queue_.Ready() && !policies_.Waits(loop_.Now()) && binding_.in_flight() == 0 &&
           preparation_.in_flight() == 0 && preemption_.running() == 0 && commits_.open() == 0 && changed_.empty() &&
           untold_ == 0;
  }

  const SchedulingQueue& queue() const { return queue_; }
  const ClusterCache& cache() const { return cache_; }
  const Ledger& ledger() const { return ledger_; }
  // Of all queues and those that wait in them; valid until anything changes.
  QueueReport Report();
  // The name of the queue that the pod is charged to; "" = none.
  std::string QueueOf(const Pod& pod);
  uint64_t cycles() const { return cycle_; }
  // Next draw of the run's random source: equal in two runs that drew equally.
  uint64_t Unseed() { return random_.Next(); }

 private:
  // Why a group may not be tried. Told a little later, for most are about to be complete.
  struct Gate {
    std::string message;
    bool broken = false;
    Time tell_at;
    bool told = false;
  };

  Scheduler(const Configuration& config, std::vector<std::unique_ptr<Framework>> profiles, SchedulerOptions options,
            EventLoop& loop, ApiServer& api, DecisionLog& log, Metrics* metrics);

  // Events in.
  void OnPod(const WatchEvent& event);
  void OnPodWatch(const ApiStatus& status);
  void OnNode(const WatchEvent& event);
  void OnObject(Kind kind, const WatchEvent& event);
  void OnClaim(const ClaimPtr& claim, const ClaimPtr& before, const ClaimPtr& after);
  void OnBoundPod(const PodPtr& pod);
  void OnPendingPod(const PodPtr& pod);
  void OnPendingPodChanged(QueuedGroup& group, const PodPtr& pod, PodInfoPtr info, bool gated);
  void OnPodGone(const Pod& pod);
  void OnGroupObject(Kind kind, const Object& object, bool gone);
  // Of pods with at most this priority.
  void Wake(const ClusterEvent& event, int32_t max_priority = INT32_MAX);
  void OnNominationGone(const Pod& pod, const std::string& node);
  int ProfileOf(const std::string& scheduler_name) const;
  bool Gated(const Pod& pod, uint32_t profile) const;

  // Groups.
  void GroupChanged(const Pod& pod);
  void GroupChanged(GroupId id);
  void CheckGroups();
  void CheckGroup(const GroupId& id, const std::string& key, const Snapshot& snapshot);
  // Gates are kept by the group's key, or the lone pod's uid.
  void NoteGate(const QueuedGroup& group, const std::string& message, bool broken);
  void OpenGate(const std::string& key);
  void TellGates();
  void TellGate(QueuedGroup& group, const Gate& gate);
  void OrderMembers(const QueuedGroup& group);
  void TakeSlots(const QueuedGroup& group);

  // Queues.
  void RefreshQuota();
  void SetQueues();
  void AssignAll();
  std::string Assign(QueuedGroup& group, size_t count);
  void HoldLone(QueuedGroup& group, bool gated);
  void KeepRoom(QueuedGroup& group);
  bool StillWaits(const QueuedGroup& group);
  void ReleaseRoom(QueuedGroup& group);
  void LookForRoom();
  // Another one once it may be otherwise who has to go for whom.
  uint64_t RoomVersion();

  // Answers about queues.
  std::string WhyWaiting(const QueuedGroup& group) const;
  void QueuesChanged();
  void TellQueuesAt(Time at);
  void TellQueues();
  void CountQueue(const QueueCatalog::Entry& entry, const QueueStatus& status);
  void TellWaiting(QueueReport& report);
  void CountEviction(const Pod& victim, const std::string& reason);
  void Drain();
  void PlanStart(QueuedGroup& group);
  void DropPlan(const std::string& key);

  // Deciding.
  void Kick();
  void Pump();
  void ArmTimer();
  void RunCycle(QueuedGroup& group);
  bool FillRequest(QueuedGroup& group);
  bool FillGroupRequest(QueuedGroup& group);
  void Reject(QueuedGroup& group, const std::string& message, ClusterEvents wake_on, bool is_error);
  void OnPlaced(QueuedGroup& group, const GroupDecision& decision, Time popped_at);
  void OnGroupPlaced(QueuedGroup& group, const GroupDecision& decision, Time popped_at);
  void OnRejected(QueuedGroup& group, const GroupDecision& decision, Time popped_at);
  void MakeRoom(QueuedGroup& group, const GroupDecision& decision);
  std::string WhyTaken(const PodInfo& preemptor, const PostFilterResult::Taken& taken);
  void ForgetNomination(const QueuedMember& member, const std::string& node);
  void OnEvicted(const Pod& preemptor, const std::string& node, const ApiStatus& status);
  void OnPreparationEnded(const BindingCycle::Task& task, const std::string& error);
  void OnBindEnded(const BindingCycle::Task& task, const ApiStatus& status);
  void Bind(const BindingCycle::Task& task);
  void OnPrepared(const std::string& key);
  void OnUndone(const GroupCommits::Undone& undone);
  void CheckExpired();

  // Telling.
  // `nominate` is what becomes of the pod's nominated node; nullopt: what it is.
  void TellFailure(QueuedMember& member, const std::string& reason, const std::string& message,
                   const std::optional<std::string>& nominate);
  // By the condition alone. False: it says so already.
  bool TellGated(QueuedMember& member, const std::string& message);
  void Tell(QueuedMember& member, const PodStatusPatch& patch);
  void TellAgain(const std::string& uid, const PodStatusPatch& patch);
  // Of the members in order_.
  void LogDecision(const QueuedGroup& group, const GroupDecision& decision, const Explanation* why,
                   Decision::Result refusal = Decision::Result::kUnschedulable);
  void UpdateGauges();

  const Configuration config_;
  const std::vector<std::unique_ptr<Framework>> profiles_;
  EventLoop& loop_;
  ApiServer& api_;
  DecisionLog& log_;
  Metrics* metrics_;
  Random random_;
  WorkerPool workers_;
  ClusterCache cache_;
  Ledger ledger_;
  SchedulingQueue queue_;
  QueuePolicies policies_;
  GroupCycle group_cycle_;
  Preparation preparation_;
  BindingCycle binding_;
  EventRecorder recorder_;
  Preemption preemption_;
  PodGroups groups_;
  GroupCommits commits_;
  GroupStatus group_status_;
  QueueStatusWriter queue_status_;
  Reflector pods_, nodes_;
  std::vector<std::unique_ptr<Reflector>> others_;  // of all other kinds
  std::optional<StageMetrics> stages_;
  Decision entry_;  // reused
  // What the cycle is asked: the group's members to be tried, in order; reused.
  GroupRequest request_;
  std::vector<Member> batch_;
  std::vector<const PodInfo*> asking_;  // scratch
  Duration timeout_;                    // the group's, from its first bind to its last
  std::vector<uint32_t> order_;         // by batch_: the index among the queued group's members

  // Groups of which something changed that decides whether and how they are tried.
  absl::btree_map<std::string, GroupId> changed_;                       // by key
  bool nodes_changed_ = false;                                          // all of them
  absl::btree_map<std::string, Gate> gates_;                            // by key
  absl::btree_map<std::string, std::vector<std::string>> await_claim_;  // uids of gated pods, by "namespace/name"
  size_t untold_ = 0;
  // Decisions in one turn of the loop, before answers and events that came meanwhile are seen.
  static constexpr int kCyclesPerTurn = 32;
  bool promising_ = false;                       // in LookForRoom: what others leave
  Time look_again_at_ = absl::InfiniteFuture();  // when groups without room are looked at again, if nothing happens
  Time drain_at_ = absl::InfiniteFuture();       // when drained queues are looked at again

  // Telling of queues: when it was done last, when it is due, and whether there were any; the i-th queue is first.
  Time queues_told_ = absl::InfinitePast(), queues_armed_ = absl::InfiniteFuture();
  Time queues_changed_ = absl::InfinitePast();
  bool queues_told_of_ = false;
  size_t first_told_ = 0;
  Duration tell_credit_ = absl::ZeroDuration();
  Time credit_at_ = absl::InfinitePast();

  bool active_ = true;
  bool pump_posted_ = false;
  uint64_t cycle_ = 0;
  EventLoop::TimerId timer_ = 0;
  Time pod_watch_since_ = absl::InfiniteFuture();  // while it works
  Time timer_at_ = absl::InfiniteFuture();
  std::function<void()> drained_;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_ENGINE_SCHEDULER_H_
