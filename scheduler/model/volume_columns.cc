#include "scheduler/model/volume_columns.h"

namespace muster {

void VolumeColumns::SetCSINode(NodeIndex row, const CSINode* csi_node) {
  if (row == kNoNode) return;
  csi_nodes_[row] = csi_node;
  for (auto& [driver, limits] : limits_) limits[row] = kNoLimit;
  if (csi_node == nullptr) return;
  for (const CSINode::Driver& driver : csi_node->drivers) {
    if (!driver.count) continue;
    std::vector<int64_t>& limits = limits_[driver.name];
    if (limits.empty()) limits.assign(attachment_counts_.size(), kNoLimit);
    limits[row] = *driver.count;
  }
}

void VolumeColumns::Attach(NodeIndex row, const VolumeAttachment& attachment) {
  if (row == kNoNode) return;
  attachments_[row].push_back(&attachment);
  ++attachment_counts_[row];
}

void VolumeColumns::Detach(NodeIndex row, const VolumeAttachment& attachment) {
  if (row != kNoNode) attachment_counts_[row] -= static_cast<int64_t>(std::erase(attachments_[row], &attachment));
}

}  // namespace muster
