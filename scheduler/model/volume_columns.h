// What the volume plugins ask of every row: its CSINode, what is attached to it, and the limits of the
// CSI drivers.
//
// Owner: the Snapshot. Decision thread only.
#ifndef MUSTER_SCHEDULER_MODEL_VOLUME_COLUMNS_H_
#define MUSTER_SCHEDULER_MODEL_VOLUME_COLUMNS_H_

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "scheduler/model/cluster_objects.h"
#include "scheduler/model/ids.h"
#include "scheduler/model/volume_objects.h"

namespace muster {

class VolumeColumns {
 public:
  static constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

  // Null where the row's node has none.
  const CSINode* csi_node(NodeIndex n) const { return csi_nodes_[n]; }
  // In no promised order.
  std::span<const VolumeAttachment* const> attachments(NodeIndex n) const { return attachments_[n]; }
  // By row, padded.
  const int64_t* attachment_counts() const { return attachment_counts_.data(); }
  // The most volumes of a driver that each row's CSINode allows, padded; null where none says.
  const int64_t* Limits(std::string_view driver) const {
    const auto it = limits_.find(AsAbsl(driver));
    return it == limits_.end() ? nullptr : it->second.data();
  }

  // The rows have changed; `find` gives a node's row by name or kNoNode.
  template <typename Find>
  void Rebuild(size_t rows, size_t padded, const ClusterObjects& objects, Find&& find) {
    csi_nodes_.assign(rows, nullptr);
    attachments_.assign(rows, {});
    attachment_counts_.assign(padded, 0);
    limits_.clear();
    for (const auto& [key, object] : objects.All(Kind::kCSINode)) {
      SetCSINode(find(object->name), static_cast<const CSINode*>(object.get()));
    }
    for (const auto& [key, object] : objects.All(Kind::kVolumeAttachment)) {
      const auto& attachment = static_cast<const VolumeAttachment&>(*object);
      Attach(find(attachment.node), attachment);
    }
  }
  // Each with the row that it is about, or kNoNode.
  void SetCSINode(NodeIndex row, const CSINode* csi_node);
  void Attach(NodeIndex row, const VolumeAttachment& attachment);
  void Detach(NodeIndex row, const VolumeAttachment& attachment);

 private:
  std::vector<const CSINode*> csi_nodes_;
  std::vector<std::vector<const VolumeAttachment*>> attachments_;
  std::vector<int64_t> attachment_counts_;
  absl::flat_hash_map<std::string, std::vector<int64_t>> limits_;  // by driver
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_VOLUME_COLUMNS_H_
