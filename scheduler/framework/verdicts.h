// Per node who rejects a shape and why, kept up to date row by row beside the shape's Evaluation.
#ifndef MUSTER_SCHEDULER_FRAMEWORK_VERDICTS_H_
#define MUSTER_SCHEDULER_FRAMEWORK_VERDICTS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "scheduler/framework/evaluation.h"
#include "scheduler/framework/feasible.h"
#include "scheduler/framework/nominator.h"
#include "scheduler/model/snapshot.h"

namespace muster {

// Equal rejections, each once. Ids stay.
class RejectionKinds {
 public:
  struct Kind {
    uint16_t plugin = Rejections::kNobody;
    Code code = Code::kSuccess;
    std::vector<uint32_t> reasons;  // in texts()
    friend auto operator<=>(const Kind&, const Kind&) = default;
  };
  // Reasons of one node, whose entry is cleared.
  uint32_t Take(Rejections& rejections, NodeIndex n);
  const Kind& operator[](uint32_t id) const { return kinds_[id]; }
  size_t size() const { return kinds_.size(); }

 private:
  absl::btree_map<Kind, uint32_t> ids_;
  std::vector<Kind> kinds_;
};

class Verdicts {
 public:
  // Makes the verdicts true for the snapshot as it is now. Requires: `answer` is up to date, neither
  // broken nor rejected by PreFilter; it is the same object at every call.
  absl::Status Update(const Framework& framework, const PodInfo& pod, const Snapshot& snap, Evaluation& answer,
                      const Nominated* nominated);

  // kSuccess where the pod fits.
  Code code(NodeIndex n) const { return n < rows_.size() ? kinds_[rows_[n]].code : Code::kSuccess; }
  // Why it does not fit there. Requires: n is a row of the last Update.
  const RejectionKinds::Kind& Of(NodeIndex n) const { return kinds_[rows_[n]]; }
  // Nodes rejected as Unschedulable: removing pods there may help.
  const NodeSet& resolvable() const { return resolvable_; }
  const std::string& Text(uint32_t reason) const { return rejections_.texts.Text(reason); }
  // Calls f(kind, nodes) for every kind of rejection that there is.
  template <typename F>
  void ForEachKind(F&& f) const {
    for (uint32_t id = 0; id < kinds_.size(); ++id) {
      if (counts_[id] > 0 && kinds_[id].code != Code::kSuccess) f(kinds_[id], counts_[id]);
    }
  }
  // Rises with every Update that may have changed a verdict.
  uint64_t version() const { return version_; }

 private:
  std::vector<uint32_t> rows_;   // kind by row
  std::vector<int32_t> counts_;  // by kind
  RejectionKinds kinds_;
  NodeSet resolvable_;
  NodeSet dirty_;          // scratch
  Rejections rejections_;  // scratch, but for its texts
  uint64_t epoch_ = 0;     // of the Evaluation; 0: none yet
  uint64_t cell_version_ = 0;
  uint64_t version_ = 0;
  NodeIndex own_row_ = kNoNode;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_FRAMEWORK_VERDICTS_H_
