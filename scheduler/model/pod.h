// A Pod, reduced to what a scheduler reads.
#ifndef MUSTER_SCHEDULER_MODEL_POD_H_
#define MUSTER_SCHEDULER_MODEL_POD_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/model/ids.h"
#include "scheduler/model/labels.h"

namespace muster {

enum class TaintEffect : uint8_t { kNoSchedule, kPreferNoSchedule, kNoExecute, kOther };

struct Toleration {
  enum class Op : uint8_t { kEqual, kExists, kLt, kGt, kInvalid };
  std::string key;
  Op op = Op::kEqual;
  std::string value;
  bool any_effect = true;  // effect left empty
  TaintEffect effect = TaintEffect::kOther;
  friend bool operator==(const Toleration&, const Toleration&) = default;
};

struct HostPort {
  std::string ip;        // "0.0.0.0" where left empty
  std::string protocol;  // "TCP" where left empty
  int32_t port = 0;      // > 0
  friend bool operator==(const HostPort&, const HostPort&) = default;
};

// An amount in the resource's fixed unit: milli-CPU for cpu, whole units for all others.
struct Amount {
  std::string resource;
  int64_t value = 0;
  friend bool operator==(const Amount&, const Amount&) = default;
};

// The pod's requests summed three ways, by PodAmounts (pod_requests.h). Vectors are ordered by
// resource name, without zero amounts.
struct PodAmounts {
  std::vector<Amount> requests;  // what a node must have free (spec only)
  std::vector<Amount> usage;     // what the pod counts for on its node (spec and resize status)
  // cpu and memory with 100m and 200Mi a container where nothing is asked: what scores read.
  int64_t non_zero_cpu = 0;
  int64_t non_zero_memory = 0;
  // What NodeResourcesFit's score adds to a node: spec only and without pod-level requests (an
  // oddity of upstream's), cpu and memory with the same amounts where a container asks for nothing.
  std::vector<Amount> scored;
  friend bool operator==(const PodAmounts&, const PodAmounts&) = default;
};

// spec.affinity.podAffinity or podAntiAffinity: pods that the labels select, in `namespaces` or in
// those that `namespace_selector` selects. matchLabelKeys and mismatchLabelKeys are merged into the
// selector; a term that names no namespaces at all has the pod's own in `namespaces`.
struct PodAffinityTerm {
  std::string topology_key;
  LabelSelector selector;
  std::vector<std::string> namespaces;  // sorted
  LabelSelector namespace_selector;
  friend bool operator==(const PodAffinityTerm&, const PodAffinityTerm&) = default;
};

struct WeightedPodAffinityTerm {
  int32_t weight = 0;
  PodAffinityTerm term;
  friend bool operator==(const WeightedPodAffinityTerm&, const WeightedPodAffinityTerm&) = default;
};

struct PodAffinity {
  std::vector<PodAffinityTerm> required, required_anti;
  std::vector<WeightedPodAffinityTerm> preferred, preferred_anti;
  bool empty() const {
    return required.empty() && required_anti.empty() && preferred.empty() && preferred_anti.empty();
  }
  friend bool operator==(const PodAffinity&, const PodAffinity&) = default;
};

// spec.topologySpreadConstraints; matchLabelKeys are merged into the selector.
struct SpreadConstraint {
  int32_t max_skew = 1;
  std::string topology_key;
  bool hard = true;  // DoNotSchedule, else ScheduleAnyway
  LabelSelector selector;
  int32_t min_domains = 1;
  bool honor_affinity = true;  // nodeAffinityPolicy: Honor
  bool honor_taints = false;   // nodeTaintsPolicy: Honor
  friend bool operator==(const SpreadConstraint&, const SpreadConstraint&) = default;
};

// One of spec.volumes that plugins read.
struct PodVolume {
  enum class Kind : uint8_t {
    kClaim,
    kEphemeral,
    kGcePd,
    kAwsEbs,
    kIscsi,
    kRbd,
    kCsi,
    kAzureDisk,
    kCinder,
    kVsphere,
    kAzureFile,
    kPortworx
  };
  Kind kind = Kind::kClaim;
  std::string name;  // spec.volumes[].name
  // kClaim and kEphemeral: the claim's name. Others: the disk's name or id; kIscsi: the IQN; kRbd: the
  // image; kCsi: the driver.
  std::string source;
  std::string owner_uid;  // kEphemeral: the pod's uid, which the claim must be owned by
  bool read_only = false;
  std::vector<std::string> monitors;  // kRbd
  std::string pool;                   // kRbd; kAzureDisk: its kind, "" where absent
  friend bool operator==(const PodVolume&, const PodVolume&) = default;
};

// What a container asks for of the resources that a DeviceClass may back: extended ones, and those named
// deviceclass.resource.kubernetes.io/CLASS.
struct ContainerDevices {
  struct Request {
    std::string resource;
    int64_t count = 0;   // > 0
    uint32_t place = 0;  // of the name among all that the container requests, sorted
    friend bool operator==(const Request&, const Request&) = default;
  };
  std::string container;
  uint32_t place = 0;             // among initContainers, then containers
  bool passing = false;           // an init container that has ended when the containers start
  std::vector<Request> requests;  // by name; never empty
  friend bool operator==(const ContainerDevices&, const ContainerDevices&) = default;
};

// The controller among metadata.ownerReferences, "" where there is none.
struct ControllerRef {
  std::string kind, api_version, name;
  friend bool operator==(const ControllerRef&, const ControllerRef&) = default;
};

struct ResourceClaim;

// One of the ResourceClaims of a pod that is to be placed (model/device/pod_claims.h).
struct AskedClaim {
  // Of one that is the pod's own and has no allocation: some claim that asks for the same, and a hash of that. Equal
  // ones are one object. Null: it matters which claim it is.
  std::shared_ptr<const ResourceClaim> like;
  uint64_t hash = 0;
  std::string name;       // then: in the pod's namespace
  bool reserved = false;  // then: for the pod or its group
  friend bool operator==(const AskedClaim&, const AskedClaim&) = default;
};

struct AskedClaims {
  std::vector<AskedClaim> claims;
  std::string problem;  // why they cannot be worked with, or ""
  bool empty() const { return claims.empty() && problem.empty(); }
  friend bool operator==(const AskedClaims&, const AskedClaims&) = default;
};

// All that plugins read of a pod: its *shape*. Equal shapes share one PodSpec.
struct PodSpec {
  std::string scheduler_name;
  std::string ns;
  Labels labels;
  int32_t priority = 0;
  std::string preemption_policy;  // "" = PreemptLowerPriority
  std::string requested_node;     // spec.nodeName, kept only while it is a wish (see Pod::node)
  PodAmounts amounts;
  Labels node_selector;
  NodeAffinity node_affinity;
  PodAffinity pod_affinity;
  std::vector<SpreadConstraint> spread;
  std::vector<PodVolume> volumes;
  ControllerRef controller;                    // kept only for kinds whose selectors spread pods by default
  bool deleting = false;                       // Pod::deleting: spreading does not count such pods
  std::vector<std::string> required_features;  // of the node; sorted (upstream's nodedeclaredfeatures)
  std::vector<Toleration> tolerations;
  std::vector<HostPort> host_ports;
  std::vector<std::string> images;        // containers, then init containers, then image volumes
  int32_t image_count = 0;                // upstream's divisor: all of those, images or not
  std::vector<ContainerDevices> devices;  // in order of `place`
  AskedClaims asked;                      // no part of what is read: filled in before the pod is decided about
  friend bool operator==(const PodSpec&, const PodSpec&) = default;
};

// Content hash, the same in every process (absl's is seeded per process and may not decide ties).
uint64_t StableHash(const PodSpec& spec);
// The same without the labels, and whether two specs differ in nothing else: the pods of a group often
// differ by the label of their rank alone.
uint64_t StableHashButLabels(const PodSpec& spec);
bool EqualButLabels(const PodSpec& a, const PodSpec& b);

struct PodCondition {
  bool present = false;
  std::string status, reason, message;
  friend bool operator==(const PodCondition&, const PodCondition&) = default;
};

// How a pod names the group that it starts with. Where a pod names several, the first in this order counts.
struct GroupRef {
  enum class Source : uint8_t {
    kNone,
    kNative,        // spec.schedulingGroup.podGroupName
    kCoscheduling,  // label scheduling.x-k8s.io/pod-group
    kLabels,        // labels muster.dev/gang and muster.dev/gang-size: there is no object
  };
  Source source = Source::kNone;
  std::string name;
  int32_t size = 0;  // kLabels: how many must start together
  bool present() const { return source != Source::kNone; }
  friend bool operator==(const GroupRef&, const GroupRef&) = default;
};

// Where the pods of a group shall be, in terms of the domains of a topology level: nodes with the same
// value of its label (and of the labels of the levels above).
struct TopologyRequest {
  enum class Mode : uint8_t {
    kNone,
    kUnconstrained,  // anywhere; slices may still be asked for
    kPreferred,      // in as few and as near domains of the level as possible
    kRequired,       // in one domain of the level
  };
  Mode mode = Mode::kNone;
  std::string level;        // a node label key; kPreferred and kRequired
  std::string slice_level;  // "": no slices
  int32_t slice_size = 0;   // each run of so many pods, by rank, in one domain of slice_level
  bool present() const { return mode != Mode::kNone || !slice_level.empty(); }
  friend bool operator==(const TopologyRequest&, const TopologyRequest&) = default;
};

// One of spec.resourceClaims of a pod or a PodGroup, with what status.resourceClaimStatuses says of it.
struct PodClaim {
  std::string name;           // what it is called in there
  std::string template_name;  // resourceClaimTemplateName: a controller makes the claim, owned by the pod or group
  std::string claim;          // the ResourceClaim's name: resourceClaimName, or what status says
  bool known = false;         // `claim` can be relied on: "" then means that none is needed
  friend bool operator==(const PodClaim&, const PodClaim&) = default;
};

struct Pod {
  std::string name, uid;
  uint64_t resource_version = 0;
  int64_t generation = 0;
  std::string node;                     // spec.nodeName: bound there; empty: pending
  std::string nominated_node;           // status.nominatedNodeName
  std::shared_ptr<const PodSpec> spec;  // never null
  std::vector<std::string> scheduling_gates;
  Time created;
  Time started = absl::InfinitePast();  // status.startTime; InfinitePast: not set
  bool deleting = false;                // has a deletionTimestamp
  bool leaving = false;                 // this scheduler asks for its eviction, which the watch does not show yet
  bool preempted = false;               // the condition DisruptionTarget is True for PreemptionByScheduler
  bool ended = false;                   // phase Succeeded or Failed
  PodCondition scheduled;               // the PodScheduled condition
  GroupRef group;
  TopologyRequest topology;  // of its group, by annotation
  int32_t rank = -1;         // position in its group; -1: has none
  // How long it runs at most once started: spec.activeDeadlineSeconds, or the label (else annotation)
  // kueue.x-k8s.io/max-exec-time-seconds, whichever is less. Absent: not known.
  std::optional<Duration> max_runtime;
  std::vector<PodClaim> claims;
  std::string extended_claim;  // status.extendedResourceClaimStatus.resourceClaimName; "": there is none
  // Why this pod cannot be interpreted ("spec.containers[0].resources.requests[cpu]: ..."), or "".
  std::string invalid;

  const std::string& ns() const { return spec->ns; }
  bool going() const { return deleting || leaving; }
  std::string Key() const { return spec->ns + "/" + name; }
};
using PodPtr = std::shared_ptr<const Pod>;

}  // namespace muster

#endif  // MUSTER_SCHEDULER_MODEL_POD_H_
