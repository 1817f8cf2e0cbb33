// What Muster counts, under kube-scheduler's metric names and labels where it has them (so that
// dashboards made for it work), under muster_* where it has none.
#ifndef MUSTER_SCHEDULER_RUNTIME_METRICS_H_
#define MUSTER_SCHEDULER_RUNTIME_METRICS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/model/ids.h"

namespace muster {

// Threads: the methods that tell what happened belong to the decision thread, except ApiRequest
// and Text, which any thread may call. A label combination is looked up by its hash, once.
class Metrics {
 public:
  enum class Attempt : uint8_t { kScheduled, kUnschedulable, kError };
  enum class Queue : uint8_t { kActive, kBackoff, kUnschedulable, kGated };

  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // --- Attempts (`profile` is the scheduler name) ----------------------------------------------
  // One pod's attempt is over, its bind included where it was scheduled.
  void ScheduleAttempt(std::string_view profile, Attempt result, Duration took);
  // The deciding part alone, of one cycle.
  void Decided(Duration took);
  // A pod is bound: after how many attempts, and how long after it first could be scheduled.
  void PodScheduled(int attempts, Duration since_queued);
  // All plugins of an extension point ran ("Filter", "Score", ...; status "Success", ...).
  void ExtensionPoint(std::string_view profile, std::string_view point, std::string_view status, Duration took);
  // One plugin's run; upstream samples one attempt in ten.
  void PluginRan(std::string_view plugin, std::string_view point, std::string_view status, Duration took);
  void PluginEvaluated(std::string_view profile, std::string_view plugin, std::string_view point);
  // Pods now waiting for this plugin's sake: +1 when it rejects one, -1 when that one is retried.
  void UnschedulablePods(std::string_view profile, std::string_view plugin, int change);
  void PermitWaited(std::string_view result, Duration took);
  void PreemptionAttempt();
  void Preemption(int victims);  // one that found a node

  // --- Queues and cache ------------------------------------------------------------------------
  void PendingPods(Queue queue, int64_t pods);
  void QueuedPod(Queue queue, std::string_view event);  // kube-scheduler's event labels
  void CacheSize(int64_t nodes, int64_t pods, int64_t assumed_pods);
  void ShapeCache(bool hit);
  void DecisionLogged();

  // --- Queues with quota, by name ----------------------------------------------------------------
  struct QuotaCell {  // one of a queue's resources; cpu in cores, the others in units
    std::string resource, flavor;
    double used = 0, nominal = 0, borrowed = 0;
  };
  struct QuotaQueue {
    int64_t pending_pods = 0, running_pods = 0;  // charged to the queue itself
    double share = 0;                            // of what is lent, by weight; may be infinite
    std::vector<QuotaCell> cells;
  };
  // All queues as they are now, between Begin and End. The series of those that are not named then go, and with a
  // queue all that was counted for it.
  void BeginQuotaQueues();
  void SetQuotaQueue(const std::string& queue, const QuotaQueue& now);
  void EndQuotaQueues();
  // A pod of the queue was bound, so long after it was first seen.
  void QuotaWaited(const std::string& queue, Duration waited);
  // One of the queue's pods has to go; `reason` as in the pod's condition.
  void QuotaEvicted(const std::string& queue, std::string_view reason);
  // What the queue and its children were charged since the start, times seconds; never less than before.
  void QuotaResourceSeconds(const std::string& queue, const std::string& resource, double total);

  // --- The API server --------------------------------------------------------------------------
  void BindStarted();
  void BindEnded(Duration took, bool ok);
  void EventDropped();
  void ApiRequest(std::string_view method, std::string_view host, int http_code);  // 0: no answer
  void Leading(std::string_view lease, bool leading);

  // The text exposition format (content type text/plain; version=0.0.4), process_* included.
  std::string Text() const;

 private:
  struct Series;
  std::unique_ptr<Series> series_;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_RUNTIME_METRICS_H_
