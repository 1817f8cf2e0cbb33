// Which volumes a pod's claims have or would get on a node: bound ones that must be reachable there,
// present ones that would be bound, and ones that would be provisioned.
#ifndef MUSTER_PLUGINS_VOLUME_VOLUME_MATCHING_H_
#define MUSTER_PLUGINS_VOLUME_VOLUME_MATCHING_H_

#include <memory>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/statusor.h"
#include "scheduler/model/node_set.h"
#include "scheduler/model/snapshot.h"
#include "scheduler/model/volume_objects.h"

namespace muster {

// A pod's claims, in the order of its volumes. Objects are the snapshot's: valid until it changes.
struct PodClaims {
  std::vector<const PersistentVolumeClaim*> bound;
  std::vector<const PersistentVolumeClaim*> delayed;    // to be bound once a node is chosen
  std::vector<const PersistentVolumeClaim*> immediate;  // to be bound by now, but are not
};
// Requires: all claims exist. Errors: upstream's.
absl::StatusOr<PodClaims> ClaimsOf(const PodSpec& pod, const ClusterObjects& objects);

// What the claims would get on one node.
struct NodeVolumes {
  struct Binding {
    const PersistentVolume* volume;
    const PersistentVolumeClaim* claim;
  };
  struct Provision {
    const PersistentVolumeClaim* claim;
    const CSIStorageCapacity* capacity;  // from which it would be taken; null where that is not tracked
  };
  std::vector<Binding> bindings;
  std::vector<Provision> provisions;
  // Why not, all that apply.
  bool bound_elsewhere = false;  // a bound volume is not reachable
  bool no_match = false;         // a claim finds no volume and cannot be provisioned
  bool no_space = false;
  bool volume_gone = false;  // a bound volume does not exist
  bool ok() const { return !bound_elsewhere && !no_match && !no_space && !volume_gone; }
};

// Whether a PersistentVolume is reachable from the node, as that node sees it.
bool VolumeReaches(const Object& volume, const Node& node, const ClusterObjects& objects);

class VolumeMatcher {
 public:
  VolumeMatcher(const Snapshot& snap, const PodClaims& claims);

  // Errors: a bound volume that cannot be translated to its CSI driver's terms.
  absl::StatusOr<NodeVolumes> On(NodeIndex node) const;

  // Of the nodes `asked` of a word, those on which each of NodeVolumes' verdicts is true.
  struct Verdicts {
    uint64_t bound_elsewhere = 0, no_match = 0, no_space = 0, volume_gone = 0;
  };
  absl::StatusOr<Verdicts> OnWord(size_t word, uint64_t asked) const;
  // Whether some node's volumes have a size that is known.
  bool counts_space() const;

 private:
  // Nodes from which something can be reached; null: all.
  using Reach = std::shared_ptr<const NodeSet>;
  static bool Reaches(const Reach& reach, NodeIndex n) { return reach == nullptr || reach->Has(n); }
  static uint64_t Word(const Reach& reach, size_t w) { return reach == nullptr ? ~uint64_t{0} : reach->word(w); }

  struct Bound {
    const PersistentVolume* volume = nullptr;  // null: it does not exist
    Reach reach;
    absl::Status error;  // of nodes that take it for a CSI driver's:
    NodeSet broken;      // empty where there is no error
  };
  struct Candidate {
    const PersistentVolume* volume;
    Reach reach;
  };
  struct Wanted {
    const PersistentVolumeClaim* claim;
    std::vector<Candidate> prebound;  // volumes that name the claim
    std::vector<Candidate> free;      // the smallest first, equals by name
  };
  struct Provisioner {
    bool able = false;
    Reach reach;
    bool tracked = false;  // there must be capacity, by namespace and name:
    std::vector<std::pair<const CSIStorageCapacity*, Reach>> capacities;
  };

  Reach ReachOf(const NodeAffinity& affinity) const;
  Reach ReachOf(const PersistentVolume& volume);
  void AddBound(const PersistentVolumeClaim& claim);
  void AddWanted(const PersistentVolumeClaim& claim);
  void AddProvisioner(const PersistentVolumeClaim& claim);
  absl::Status CheckBound(NodeIndex n, NodeVolumes& out) const;
  bool Matches() const;  // whether there is a volume that may be bound
  static const PersistentVolume* Match(const Wanted& wanted, NodeIndex n, const NodeVolumes& taken);
  void Provide(const std::vector<const PersistentVolumeClaim*>& claims, NodeIndex n, NodeVolumes& out) const;

  const Snapshot& snap_;
  std::vector<Bound> bound_;
  std::vector<const PersistentVolumeClaim*> selected_;  // claims for which a node is chosen already
  std::vector<Wanted> wanted_;                          // the others, the smallest first
  bool matches_ = false;
  absl::btree_map<const PersistentVolumeClaim*, Provisioner> provisioners_;  // looked up only
  absl::btree_map<const PersistentVolume*, Reach> reach_of_volume_;          // likewise
};

}  // namespace muster

#endif  // MUSTER_PLUGINS_VOLUME_VOLUME_MATCHING_H_
