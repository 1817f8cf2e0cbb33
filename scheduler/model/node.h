// A Node, reduced to what a scheduler reads.
#ifndef MUSTER_SCHEDULER_MODEL_NODE_H_
#define MUSTER_SCHEDULER_MODEL_NODE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "scheduler/model/labels.h"
#include "scheduler/model/pod.h"

namespace muster {

struct Taint {
  std::string key, value;
  TaintEffect effect = TaintEffect::kOther;
  friend bool operator==(const Taint&, const Taint&) = default;
};

struct NodeImage {
  std::vector<std::string> names;
  int64_t size_bytes = 0;
  friend bool operator==(const NodeImage&, const NodeImage&) = default;
};

struct Node {
  std::string name, uid;
  uint64_t resource_version = 0;
  Labels labels;
  bool unschedulable = false;
  std::vector<Taint> taints;        // in the order written: the first one not tolerated is named
  std::vector<Amount> allocatable;  // ordered by resource name
  std::vector<NodeImage> images;
  std::vector<std::string> declared_features;  // status.declaredFeatures, as written
  std::string invalid;                         // why it cannot be interpreted, or ""; such a node takes no pods

  // Equal in all that decisions read: a heartbeat changes nothing here.
  bool SameForScheduling(const Node& o) const {
    return name == o.name && labels == o.labels && unschedulable == o.unschedulable && taints == o.taints &&
           allocatable == o.allocatable && images == o.images && declared_features == o.declared_features &&
           invalid == o.invalid;
  }
};
using NodePtr = std::shared_ptr<const Node>;

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_NODE_H_
