// Which taints a pod tolerates.
#ifndef MUSTER_PLUGINS_NODE_TOLERATIONS_H_
#define MUSTER_PLUGINS_NODE_TOLERATIONS_H_

#include <algorithm>
#include <span>

#include "scheduler/model/node.h"
#include "scheduler/model/pod.h"

namespace muster {

// An empty key stands for every key. Lt and Gt tolerate nothing: their feature gate
// (TaintTolerationComparisonOperators) is off in the versions that Muster follows.
inline bool Tolerates(const Toleration& toleration, const Taint& taint) {
  if (!toleration.any_effect && toleration.effect != taint.effect) return false;
  if (!toleration.key.empty() && toleration.key != taint.key) return false;
  switch (toleration.op) {
    case Toleration::Op::kEqual: return toleration.value == taint.value;
    case Toleration::Op::kExists: return true;
    default: return false;
  }
}

inline bool Tolerates(std::span<const Toleration> tolerations, const Taint& taint) {
  return std::any_of(tolerations.begin(), tolerations.end(), [&](const Toleration& t) { return Tolerates(t, taint); });
}

// Whether the pod may not be placed on a node that has this taint.
inline bool Repels(const Taint& taint, std::span<const Toleration> tolerations) {
  return (taint.effect == TaintEffect::kNoSchedule || taint.effect == TaintEffect::kNoExecute) &&
         !Tolerates(tolerations, taint);
}

}  // namespace muster

#endif  // MUSTER_PLUGINS_NODE_TOLERATIONS_H_
