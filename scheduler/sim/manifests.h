// Reads Kubernetes manifests as kubectl would: files and folders of YAML and JSON, with several
// documents a file and List objects, into what a simulated cluster starts from.
#ifndef MUSTER_SCHEDULER_SIM_MANIFESTS_H_
#define MUSTER_SCHEDULER_SIM_MANIFESTS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "scheduler/model/ids.h"
#include "scheduler/model/node.h"
#include "scheduler/model/object.h"
#include "scheduler/model/pod.h"

namespace muster {

struct ManifestPod {
  // name, ns, uid (made from kind, namespace and name where none is given), labels, node
  // (spec.nodeName: bound there), priority already resolved. resource_version as written, else 0.
  // created is metadata.creationTimestamp, else ManifestOptions::start + arrival.
  PodPtr pod;
  Duration arrival;                      // annotation muster.dev/arrival, from the start; else zero
  std::optional<Duration> run_duration;  // annotation muster.dev/run-duration; none: runs for ever
  std::optional<size_t> workload;        // index into Manifests::workloads
  // PersistentVolumeClaims that controllers make for it: of a StatefulSet's templates and of ephemeral
  // volumes. Not those that the manifests have.
  std::vector<ObjectPtr> claims = {};
  std::vector<ObjectPtr> device_claims = {};  // ResourceClaims, likewise: of ResourceClaimTemplates
};

// A Deployment, ReplicaSet, StatefulSet, ReplicationController or Job; its pods are pods[first_pod, first_pod +
// pod_count).
struct ManifestWorkload {
  std::string kind, ns, name;
  size_t first_pod = 0, pod_count = 0;
  // How many of the pods exist at once. Jobs: the next one is created when one has ended; for all
  // other kinds this is pod_count.
  size_t parallelism = 0;
};

struct ManifestPriorityClass {
  std::string name;
  int32_t value = 0;
  bool global_default = false;
  std::string preemption_policy;  // "" = PreemptLowerPriority
};

// Of any kind but Pod and Node, with the server's defaults.
struct ManifestObject {
  Kind kind = Kind::kNamespace;
  ObjectPtr object;
};

// A PodDisruptionBudget whose status is not written. minAvailable or maxUnavailable as written ("2",
// "50%"); "" where absent.
struct ManifestDisruptionBudget {
  std::string ns, name, min_available, max_unavailable;
};

// Everything in the order in which it was read: that is the order of creation.
struct Manifests {
  std::vector<NodePtr> nodes;
  std::vector<ManifestPod> pods;
  std::vector<ManifestWorkload> workloads;
  // Also a Namespace for each one that pods are in, and a ReplicaSet for each Deployment.
  std::vector<ManifestObject> objects;
  std::vector<ManifestPriorityClass> priority_classes;  // with the two that every cluster has
  std::vector<ManifestDisruptionBudget> budgets_to_count;
  std::vector<std::string> notices;  // one line for each kind that was read over
};

struct ManifestOptions {
  std::string scheduler_name = "muster";  // of pods that name none
  // "default-scheduler", which the API server fills in, counts as no name.
  bool default_scheduler_is_no_name = true;
  Time start = absl::UnixEpoch();
};

struct ManifestSource {
  std::string name;  // what errors call it
  std::string text;
};

// Files, or folders (their *.yaml, *.yml and *.json files by name, without subfolders). "-" reads
// standard input. All or nothing: the first error is returned as "FILE:LINE: FIELD.PATH: message"
// (kInvalidArgument); a file that cannot be read is kNotFound.
absl::StatusOr<Manifests> ReadManifests(std::span<const std::string> paths, const ManifestOptions& options);

// The same for texts in memory. Returns an error or a value for any bytes.
absl::StatusOr<Manifests> ParseManifests(std::span<const ManifestSource> sources, const ManifestOptions& options);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_SIM_MANIFESTS_H_
