#include "scheduler/sim/scenario.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace muster {

Scenario::Scenario(EventLoop& loop, SimApiServer& server, Kubelet& kubelet)
    : loop_(loop), server_(server), kubelet_(kubelet) {
  server_.AddObserver(this);
}
Scenario::~Scenario() { server_.RemoveObserver(this); }

void Scenario::After(Duration delay, std::function<void()> fn) {
  ++under_way_;
  loop_.After(delay, [this, fn = std::move(fn)] {
    --under_way_;
    fn();
  });
}

absl::Status Scenario::Start(const Manifests& manifests) {
  for (const ManifestObject& made : manifests.objects) server_.SetObject(made.kind, *made.object);
  for (const NodePtr& node : manifests.nodes) {
    if (auto status = server_.CreateNode(*node); !status.ok()) return status;
  }
  pods_ = manifests.pods;
  workloads_.resize(manifests.workloads.size());
  std::vector<size_t> left(manifests.workloads.size());  // pods of each workload that may come unasked
  for (size_t w = 0; w < left.size(); ++w) {
    const ManifestWorkload& workload = manifests.workloads[w];
    left[w] = std::min(workload.parallelism, workload.pod_count);
    workloads_[w] = {workload.first_pod + left[w], workload.first_pod + workload.pod_count};
  }
  for (size_t i = 0; i < pods_.size(); ++i) {
    const ManifestPod& pod = pods_[i];
    if (pod.workload.has_value()) {
      if (left[*pod.workload] == 0) continue;
      --left[*pod.workload];
    }
    if (pod.arrival > absl::ZeroDuration()) {
      After(pod.arrival, [this, i] { Create(i); });
    } else {
      Create(i);
    }
  }
  return absl::OkStatus();
}

void Scenario::Create(size_t pod) {
  const ManifestPod& planned = pods_[pod];
  if (planned.run_duration.has_value()) kubelet_.RunsFor(planned.pod->ns(), planned.pod->name, *planned.run_duration);
  // The reader refuses two pods of one name; a pod that took the place of a deleted one may stand here.
  if (!server_.CreatePod(*planned.pod).ok()) return;
  for (const ObjectPtr& claim : planned.claims) server_.SetObject(Kind::kPersistentVolumeClaim, *claim);
  for (const ObjectPtr& claim : planned.device_claims) server_.SetObject(Kind::kResourceClaim, *claim);
  if (!planned.workload.has_value()) return;
  kubelet_.Replaces(planned.pod->ns(), planned.pod->name);
  job_of_[server_.FindPod(planned.pod->ns(), planned.pod->name)->uid] = *planned.workload;
}

void Scenario::OnPod(const PodPtr& before, const PodPtr& after) {
  if (before == nullptr || before->ended || after == nullptr || !after->ended) return;
  const auto job = job_of_.find(after->uid);
  if (job == job_of_.end()) return;
  Workload& workload = workloads_[job->second];
  job_of_.erase(job);
  if (workload.next == workload.end) return;
  const size_t next = workload.next++;
  After(absl::ZeroDuration(), [this, next] { Create(next); });
}

}  // namespace muster
