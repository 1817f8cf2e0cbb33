// Volume types that once were built into Kubernetes and now are CSI drivers': the drivers' names, and
// what such a volume is called and where it is reached in the driver's terms.
#ifndef MUSTER_PLUGINS_VOLUME_CSI_MIGRATION_H_
#define MUSTER_PLUGINS_VOLUME_CSI_MIGRATION_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "scheduler/model/labels.h"
#include "scheduler/model/pod.h"
#include "scheduler/model/volume_objects.h"

namespace muster {

struct InTreeType {
  std::string_view name;          // "kubernetes.io/gce-pd"
  std::string_view driver;        // "pd.csi.storage.gke.io"
  std::string_view topology_key;  // the driver's label for a node's zone; "" where zones are not translated
  bool on = true;                 // kube-scheduler takes its volumes for the driver's
};

// Null where the volume is of no such type.
const InTreeType* TypeOf(const PersistentVolume& volume);
const InTreeType* TypeOf(const PodVolume& volume);
const InTreeType* FindInTreeType(std::string_view name);

// The volume's handle in the driver's terms. Requires: TypeOf(volume)->on. Errors: upstream's.
absl::StatusOr<std::string> CsiHandle(const PersistentVolume& volume);
absl::StatusOr<std::string> CsiHandle(const PodVolume& volume);
// Its node affinity in the driver's terms: zones by the driver's label.
NodeAffinity CsiAffinity(const PersistentVolume& volume);

}  // namespace muster

#endif  // MUSTER_PLUGINS_VOLUME_CSI_MIGRATION_H_
