// Builders of model objects for tests: MakePod("a").Cpu(500).Memory(64).Build().
#ifndef MUSTER_TEST_SUPPORT_MAKE_H_
#define MUSTER_TEST_SUPPORT_MAKE_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/model/node.h"
#include "scheduler/model/pod.h"

namespace muster {

inline void SetAmount(std::vector<Amount>& amounts, const std::string& resource, int64_t value) {
  std::erase_if(amounts, [&](const Amount& a) { return a.resource == resource; });
  if (value != 0) amounts.push_back({resource, value});
  std::sort(amounts.begin(), amounts.end(), [](const Amount& a, const Amount& b) { return a.resource < b.resource; });
}

// A pod of one container. Defaults: namespace "default", scheduler "muster", asks for nothing.
class MakePod {
 public:
  explicit MakePod(std::string name, std::string ns = "default") {
    pod_.name = std::move(name);
    spec_.ns = std::move(ns);
    spec_.scheduler_name = "muster";
    spec_.amounts.non_zero_cpu = 100;
    spec_.amounts.non_zero_memory = 200 << 20;
    spec_.image_count = 1;
  }
  MakePod& Uid(std::string uid) { return pod_.uid = std::move(uid), *this; }
  MakePod& Scheduler(std::string name) { return spec_.scheduler_name = std::move(name), *this; }
  MakePod& Node(std::string name) { return pod_.node = std::move(name), *this; }
  MakePod& Priority(int32_t priority) { return spec_.priority = priority, *this; }
  MakePod& Gate(std::string gate) { return pod_.scheduling_gates.push_back(std::move(gate)), *this; }
  MakePod& Label(std::string key, std::string value) { return spec_.labels[key] = std::move(value), *this; }
  MakePod& NodeSelector(std::string key, std::string value) {
    return spec_.node_selector[key] = std::move(value), *this;
  }
  MakePod& Tolerate(std::string key) {
    Toleration toleration;
    toleration.key = std::move(key);
    toleration.op = Toleration::Op::kExists;
    return spec_.tolerations.push_back(std::move(toleration)), *this;
  }
  MakePod& HostPort(int32_t port) { return spec_.host_ports.push_back({"0.0.0.0", "TCP", port}), *this; }
  // milli-CPU, bytes, units.
  MakePod& Cpu(int64_t milli) { return spec_.amounts.non_zero_cpu = milli, Request("cpu", milli); }
  MakePod& Memory(int64_t bytes) { return spec_.amounts.non_zero_memory = bytes, Request("memory", bytes); }
  MakePod& Request(const std::string& resource, int64_t value) {
    SetAmount(spec_.amounts.requests, resource, value);
    SetAmount(spec_.amounts.usage, resource, value);
    return *this;
  }
  MakePod& Invalid(std::string why) { return pod_.invalid = std::move(why), *this; }

  Pod Build() const {
    Pod pod = pod_;
    pod.spec = std::make_shared<const PodSpec>(spec_);
    return pod;
  }
  PodPtr Ptr() const { return std::make_shared<const Pod>(Build()); }

 private:
  Pod pod_;
  PodSpec spec_;
};

// Defaults: room for 110 pods and nothing else.
class MakeNode {
 public:
  explicit MakeNode(std::string name) {
    node_.name = std::move(name);
    node_.labels["kubernetes.io/hostname"] = node_.name;
    Room("pods", 110);
  }
  MakeNode& Room(const std::string& resource, int64_t value) {
    return SetAmount(node_.allocatable, resource, value), *this;
  }
  MakeNode& Cpu(int64_t milli) { return Room("cpu", milli); }
  MakeNode& Memory(int64_t bytes) { return Room("memory", bytes); }
  MakeNode& Label(std::string key, std::string value) { return node_.labels[key] = std::move(value), *this; }
  MakeNode& Taint(std::string key, TaintEffect effect = TaintEffect::kNoSchedule) {
    return node_.taints.push_back({std::move(key), "", effect}), *this;
  }
  MakeNode& Unschedulable() { return node_.unschedulable = true, *this; }

  Node Build() const { return node_; }
  NodePtr Ptr() const { return std::make_shared<const Node>(node_); }

 private:
  Node node_;
};

}  // namespace muster

#endif  // MUSTER_TEST_SUPPORT_MAKE_H_
