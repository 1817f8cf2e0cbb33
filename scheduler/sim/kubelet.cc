#include "scheduler/sim/kubelet.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace muster {

Kubelet::Kubelet(EventLoop& loop, SimApiServer& server, Options options)
    : loop_(loop), server_(server), options_(options) {
  server_.AddObserver(this);
}
Kubelet::Kubelet(EventLoop& loop, SimApiServer& server) : Kubelet(loop, server, Options()) {}
Kubelet::~Kubelet() { server_.RemoveObserver(this); }

void Kubelet::RunsFor(const std::string& ns, const std::string& name, Duration duration) {
  lives_[absl::StrCat(ns, "/", name)].run_time = duration;
}

void Kubelet::Replaces(const std::string& ns, const std::string& name) {
  lives_[absl::StrCat(ns, "/", name)].replaced = true;
}

void Kubelet::After(Duration delay, std::function<void()> fn) {
  ++under_way_;
  loop_.After(delay, [this, fn = std::move(fn)] {
    --under_way_;
    fn();
  });
}

void Kubelet::OnPod(const PodPtr& before, const PodPtr& after) {
  if (after != nullptr && !after->ended && !after->node.empty() && (before == nullptr || before->node.empty()))
    Start(*after);
  if (after == nullptr && !before->ended) Replace(before);
}

void Kubelet::Start(const Pod& pod) {
  if (!server_.nodes().contains(pod.node)) {  // bound to a node that has just gone
    LoseNode(pod.node);
    return;
  }
  const auto life = lives_.find(pod.Key());
  if (life == lives_.end() || life->second.run_time == absl::InfiniteDuration()) return;
  After(options_.start + life->second.run_time, [this, ns = pod.ns(), name = pod.name, uid = pod.uid, node = pod.node] {
    const PodPtr now = server_.FindPod(ns, name);
    if (now == nullptr || now->uid != uid || now->deleting || !server_.nodes().contains(node)) return;
    ++ended_;
    server_.EndPod(ns, name).IgnoreError();  // it was found just now
  });
}

void Kubelet::Replace(const PodPtr& pod) {
  const auto found = lives_.find(pod->Key());
  if (found == lives_.end() || !found->second.replaced) return;
  Pod next = *pod;
  next.name = absl::StrCat(pod->name, "-", ++replacements_);
  next.uid.clear();
  next.node.clear();
  next.nominated_node.clear();
  next.created = Time();
  next.started = absl::InfinitePast();
  next.deleting = false;
  next.preempted = false;
  next.scheduled = {};
  for (PodClaim& claim : next.claims) {
    if (!claim.template_name.empty()) claim.claim.clear(), claim.known = false;  // it gets one of its own
  }
  const Life life = found->second;
  lives_[next.Key()] = life;
  After(options_.replace, [this, next = std::move(next)] { server_.CreatePod(next).IgnoreError(); });
}

void Kubelet::OnNode(const NodePtr& before, const NodePtr& after) {
  if (after == nullptr) LoseNode(before->name);
}

void Kubelet::LoseNode(const std::string& node) {
  After(options_.lost_node_grace, [this, name = node] {
    if (server_.nodes().contains(name)) return;  // it came back in time
    for (const PodPtr& pod : server_.Pods()) {
      if (pod->node == name && !pod->ended) server_.DeletePodNow(pod->ns(), pod->name, pod->uid);
    }
  });
}

}  // namespace muster
