#include "scheduler/framework/verdicts.h"

#include <span>

namespace muster {

uint32_t RejectionKinds::Take(Rejections& rejections, NodeIndex n) {
  Rejections::OfNode& node = rejections.nodes[n];
  Kind kind{node.plugin, node.code, std::move(node.reasons)};
  node = {};
  const auto [it, fresh] = ids_.try_emplace(kind, static_cast<uint32_t>(kinds_.size()));
  if (fresh) {
    kinds_.push_back(std::move(kind));
  } else {
    kind.reasons.clear();
    node.reasons = std::move(kind.reasons);  // its room serves again
  }
  return it->second;
}

absl::Status Verdicts::Update(const Framework& framework, const PodInfo& pod, const Snapshot& snap, Evaluation& answer,
                              const Nominated* nominated) {
  const NodeIndex own = nominated != nullptr ? nominated->OwnRow(snap) : kNoNode;
  std::span<const NodeIndex> rows;
  const bool few = epoch_ != 0 && epoch_ == answer.epoch() && rows_.size() == snap.size() &&
                   snap.ChangedSince(cell_version_, &rows) && rows.size() <= snap.size() / 4 &&
                   (rows.empty() || !answer.looks_across(framework));
  if (few) {
    dirty_.Reset(snap.size());
    for (const NodeIndex n : rows) dirty_.Add(n);
    if (own != own_row_) {
      for (const NodeIndex n : {own_row_, own}) {
        if (n != kNoNode) dirty_.Add(n);
      }
    }
  } else {
    dirty_ = snap.all();
    rejections_.nodes.assign(snap.size(), {});
    kinds_ = {};
    counts_.assign(1, 0);
    rows_.assign(snap.size(), kinds_.Take(rejections_, 0));  // nobody's rejection
    counts_[0] = static_cast<int32_t>(snap.size());
    resolvable_.Reset(snap.size());
  }
  own_row_ = own;
  epoch_ = answer.epoch();
  cell_version_ = snap.cell_version();
  if (!dirty_.Any()) return absl::OkStatus();
  ++version_;
  absl::Status status = answer.ExplainSome(framework, pod, snap, dirty_, rejections_, nominated);
  if (!status.ok()) {
    epoch_ = 0;
    return status;
  }
  dirty_.ForEach([&](NodeIndex n) {
    --counts_[rows_[n]];
    const uint32_t kind = rows_[n] = kinds_.Take(rejections_, n);
    if (kind == counts_.size()) counts_.push_back(0);
    ++counts_[kind];
    if (kinds_[kind].code == Code::kUnschedulable) {
      resolvable_.Add(n);
    } else {
      resolvable_.Remove(n);
    }
  });
  return status;
}

}  // namespace muster
