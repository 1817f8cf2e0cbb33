// Builders of model objects for tests: MakePod("a").Cpu(500).Memory(64).Build(), or as a manifest
// writes it, MakePod("a").Req({{"cpu", "500m"}, {"memory", "64Mi"}}).Ptr().
#ifndef MUSTER_TEST_SUPPORT_MAKE_H_
#define MUSTER_TEST_SUPPORT_MAKE_H_

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/model/node.h"
#include "scheduler/model/pod.h"
#include "scheduler/model/pod_requests.h"
#include "scheduler/model/quantity.h"

namespace muster {

inline void SetAmount(std::vector<Amount>& amounts, const std::string& resource, int64_t value) {
  std::erase_if(amounts, [&](const Amount& a) { return a.resource == resource; });
  if (value != 0) amounts.push_back({resource, value});
  std::sort(amounts.begin(), amounts.end(), [](const Amount& a, const Amount& b) { return a.resource < b.resource; });
}

// {{"cpu", "500m"}, ...}
using Quantities = std::initializer_list<std::pair<const char*, const char*>>;

inline ResourceList MakeResources(Quantities quantities) {
  ResourceList list;
  for (const auto& [name, text] : quantities) {
    auto quantity = Quantity::Parse(text);
    if (!quantity.ok()) std::fprintf(stderr, "not a quantity: %s\n", text), std::abort();
    list[name] = *quantity;
  }
  return list;
}

using Values = std::vector<std::string>;
inline Requirement In(std::string key, Values values) {
  return {std::move(key), Operator::kIn, std::move(values), "In"};
}
inline Requirement NotIn(std::string key, Values values) {
  return {std::move(key), Operator::kNotIn, std::move(values), "NotIn"};
}
inline Requirement Exists(std::string key) { return {std::move(key), Operator::kExists, {}, "Exists"}; }
inline Requirement DoesNotExist(std::string key) {
  return {std::move(key), Operator::kDoesNotExist, {}, "DoesNotExist"};
}
inline Requirement Gt(std::string key, std::string value) {
  return {std::move(key), Operator::kGt, {std::move(value)}, "Gt"};
}
inline Requirement Lt(std::string key, std::string value) {
  return {std::move(key), Operator::kLt, {std::move(value)}, "Lt"};
}

// Defaults: namespace "default", scheduler "muster", one container that asks for nothing.
class MakePod {
 public:
  explicit MakePod(std::string name = "pod", std::string ns = "default") {
    pod_.name = std::move(name);
    spec_.ns = std::move(ns);
    spec_.scheduler_name = "muster";
    spec_.image_count = 1;
  }
  MakePod& Uid(std::string uid) { return pod_.uid = std::move(uid), *this; }
  MakePod& Scheduler(std::string name) { return spec_.scheduler_name = std::move(name), *this; }
  // Bound there.
  MakePod& Node(std::string name) { return pod_.node = std::move(name), *this; }
  // spec.nodeName of a pod that is yet to be placed.
  MakePod& Wish(std::string node) { return spec_.requested_node = std::move(node), *this; }
  MakePod& Nominated(std::string node) { return pod_.nominated_node = std::move(node), *this; }
  MakePod& Priority(int32_t priority) { return spec_.priority = priority, *this; }
  MakePod& Gate(std::string gate) { return pod_.scheduling_gates.push_back(std::move(gate)), *this; }
  MakePod& Label(std::string key, std::string value) { return spec_.labels[key] = std::move(value), *this; }
  MakePod& Group(std::string name, GroupRef::Source source = GroupRef::Source::kNative, int32_t size = 0) {
    return pod_.group = {source, std::move(name), size}, *this;
  }
  MakePod& Rank(int32_t rank) { return pod_.rank = rank, *this; }
  MakePod& NodeSelector(std::string key, std::string value) {
    return spec_.node_selector[key] = std::move(value), *this;
  }
  // One more required term; terms are alternatives.
  MakePod& Affinity(std::vector<Requirement> expressions, std::vector<Requirement> fields = {}) {
    spec_.node_affinity.has_required = true;
    spec_.node_affinity.required.push_back({std::move(expressions), std::move(fields)});
    return *this;
  }
  MakePod& Prefer(int32_t weight, std::vector<Requirement> expressions, std::vector<Requirement> fields = {}) {
    spec_.node_affinity.preferred.push_back({weight, {std::move(expressions), std::move(fields)}});
    return *this;
  }
  MakePod& Tolerate(std::string key) { return Tolerate({std::move(key), Toleration::Op::kExists, "", true, {}}); }
  MakePod& Tolerate(Toleration toleration) { return spec_.tolerations.push_back(std::move(toleration)), *this; }
  MakePod& HostPort(int32_t port, std::string protocol = "TCP", std::string ip = "0.0.0.0") {
    return spec_.host_ports.push_back({std::move(ip), std::move(protocol), port}), *this;
  }
  // The first is the default container's; each more one is a container's or a volume's.
  MakePod& Image(std::string image) {
    spec_.images.push_back(std::move(image));
    spec_.image_count = static_cast<int32_t>(spec_.images.size());
    return *this;
  }

  // Topology spreading over `key` of pods of the namespace that `expressions` select.
  MakePod& Spread(int32_t max_skew, std::string key, std::vector<Requirement> expressions, bool hard = true) {
    SpreadConstraint c;
    c.max_skew = max_skew, c.topology_key = std::move(key), c.hard = hard;
    c.selector = {true, std::move(expressions)};
    return Spread(std::move(c));
  }
  MakePod& Spread(SpreadConstraint c) { return spec_.spread.push_back(std::move(c)), *this; }
  // Affinity among pods of the same namespace.
  MakePod& Beside(std::string key, std::vector<Requirement> expressions) {
    return spec_.pod_affinity.required.push_back(Term(std::move(key), std::move(expressions))), *this;
  }
  MakePod& Apart(std::string key, std::vector<Requirement> expressions) {
    return spec_.pod_affinity.required_anti.push_back(Term(std::move(key), std::move(expressions))), *this;
  }
  // Weight below zero: rather apart.
  MakePod& RatherBeside(int32_t weight, std::string key, std::vector<Requirement> expressions) {
    PodAffinityTerm term = Term(std::move(key), std::move(expressions));
    if (weight < 0) {
      spec_.pod_affinity.preferred_anti.push_back({-weight, std::move(term)});
    } else {
      spec_.pod_affinity.preferred.push_back({weight, std::move(term)});
    }
    return *this;
  }
  MakePod& Volume(PodVolume volume) { return spec_.volumes.push_back(std::move(volume)), *this; }
  MakePod& Started(Time time) { return pod_.started = time, *this; }
  MakePod& Deleting() { return pod_.deleting = spec_.deleting = true, *this; }

  // The first container's requests: milli-CPU, bytes, units.
  MakePod& Cpu(int64_t milli) { return Request("cpu", milli); }
  MakePod& Memory(int64_t bytes) { return Request("memory", bytes); }
  MakePod& Request(const std::string& resource, int64_t value) {
    if (resources_.containers.empty()) resources_.containers.emplace_back();
    resources_.containers[0].requests[resource] =
        resource == "cpu" ? Quantity::FromMilli(value) : Quantity::FromUnits(value);
    return *this;
  }
  // One more container, plain init container, sidecar; pod-level requests; overhead.
  MakePod& Req(Quantities q) { return Add(resources_.containers, q, false); }
  MakePod& InitReq(Quantities q) { return Add(resources_.init_containers, q, false); }
  MakePod& SidecarReq(Quantities q) { return Add(resources_.init_containers, q, true); }
  MakePod& PodReq(Quantities q) { return resources_.pod_requests = MakeResources(q), *this; }
  MakePod& Overhead(Quantities q) { return resources_.overhead = MakeResources(q), *this; }
  MakePod& Invalid(std::string why) { return pod_.invalid = std::move(why), *this; }

  std::shared_ptr<const PodSpec> Spec() const {
    PodResources resources = resources_;
    if (resources.containers.empty()) resources.containers.emplace_back();
    PodSpec spec = spec_;
    spec.amounts = SumRequests(resources);
    return std::make_shared<const PodSpec>(std::move(spec));
  }
  Pod Build() const {
    Pod pod = pod_;
    pod.spec = Spec();
    return pod;
  }
  PodPtr Ptr() const { return std::make_shared<const Pod>(Build()); }

 private:
  PodAffinityTerm Term(std::string key, std::vector<Requirement> expressions) const {
    return {std::move(key), {true, std::move(expressions)}, {spec_.ns}, {}};
  }
  MakePod& Add(std::vector<ContainerResources>& to, Quantities q, bool sidecar) {
    ContainerResources container;
    container.restart_always = sidecar;
    container.requests = MakeResources(q);
    return to.push_back(std::move(container)), *this;
  }

  Pod pod_;
  PodSpec spec_;
  PodResources resources_;
};

// Defaults: room for 110 pods and nothing else.
class MakeNode {
 public:
  explicit MakeNode(std::string name = "node") {
    node_.name = std::move(name);
    node_.labels["kubernetes.io/hostname"] = node_.name;
    Room("pods", 110);
  }
  MakeNode& Room(const std::string& resource, int64_t value) {
    return SetAmount(node_.allocatable, resource, value), *this;
  }
  MakeNode& Room(Quantities q) {
    for (const auto& [name, quantity] : MakeResources(q))
      Room(name, name == "cpu" ? quantity.MilliValue() : quantity.Value());
    return *this;
  }
  MakeNode& Cpu(int64_t milli) { return Room("cpu", milli); }
  MakeNode& Memory(int64_t bytes) { return Room("memory", bytes); }
  MakeNode& Label(std::string key, std::string value) { return node_.labels[key] = std::move(value), *this; }
  MakeNode& Taint(std::string key, TaintEffect effect = TaintEffect::kNoSchedule, std::string value = "") {
    return node_.taints.push_back({std::move(key), std::move(value), effect}), *this;
  }
  MakeNode& Image(std::vector<std::string> names, int64_t size_bytes) {
    return node_.images.push_back({std::move(names), size_bytes}), *this;
  }
  MakeNode& Unschedulable() { return node_.unschedulable = true, *this; }

  Node Build() const { return node_; }
  NodePtr Ptr() const { return std::make_shared<const Node>(node_); }

 private:
  Node node_;
};

}  // namespace muster

#endif  // MUSTER_TEST_SUPPORT_MAKE_H_
