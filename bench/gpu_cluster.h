// The cluster that groups are measured on: nodes of eight GPUs in racks, racks in blocks; and the pods
// of training jobs.
#ifndef MUSTER_BENCH_GPU_CLUSTER_H_
#define MUSTER_BENCH_GPU_CLUSTER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "scheduler/model/node.h"
#include "scheduler/model/pod.h"
#include "scheduler/model/pod_group.h"
#include "scheduler/runtime/random.h"

namespace muster {

inline constexpr char kBlockLabel[] = "example.com/block";
inline constexpr char kRackLabel[] = "example.com/rack";
inline constexpr char kHostLabel[] = "kubernetes.io/hostname";
inline constexpr char kGpu[] = "nvidia.com/gpu";
inline constexpr int64_t kGpusANode = 8;

struct GpuCluster {
  size_t nodes = 5000, nodes_a_rack = 40, racks_a_block = 25;
  size_t RackOf(size_t node) const { return node / nodes_a_rack; }
  size_t BlockOf(size_t node) const { return RackOf(node) / racks_a_block; }
};

inline Node GpuNode(const GpuCluster& cluster, size_t i) {
  Node node;
  node.name = absl::StrFormat("node-%06d", i);
  node.uid = node.name;
  node.labels = {{kHostLabel, node.name},
                 {kRackLabel, absl::StrFormat("rack-%04d", cluster.RackOf(i))},
                 {kBlockLabel, absl::StrFormat("block-%03d", cluster.BlockOf(i))}};
  node.allocatable = {{"cpu", 128'000}, {"memory", int64_t{1} << 40}, {kGpu, kGpusANode}, {"pods", 110}};
  return node;
}

inline Topology GpuTopology() {
  Topology topology;
  topology.name = topology.uid = "default";
  topology.levels = {kBlockLabel, kRackLabel, kHostLabel};
  return topology;
}

// A pod that takes its share of the node's CPU and memory with its GPUs, so that GPUs decide what fits.
inline std::shared_ptr<const PodSpec> GpuPodSpec(int64_t gpus, Labels labels) {
  PodSpec spec;
  spec.scheduler_name = "muster";
  spec.ns = "bench";
  spec.labels = std::move(labels);
  spec.amounts.requests = {{"cpu", gpus * 12'000}, {"memory", gpus * (int64_t{96} << 30)}, {kGpu, gpus}};
  spec.amounts.usage = spec.amounts.scored = spec.amounts.requests;
  spec.amounts.non_zero_cpu = spec.amounts.requests[0].value;
  spec.amounts.non_zero_memory = spec.amounts.requests[1].value;
  spec.images = {"registry/trainer:latest"};
  spec.image_count = 1;
  return std::make_shared<const PodSpec>(std::move(spec));
}

// How much the pods of a gang have in common. Real Jobs are kIndexed.
enum class GangKind {
  kEqual,    // all pods of all gangs are of one shape
  kJob,      // each gang has labels of its own
  kIndexed,  // and each pod its index
};

inline Labels GangLabels(GangKind kind, const std::string& gang, size_t index) {
  Labels labels = {{"app", "train"}};
  if (kind == GangKind::kEqual) return labels;
  labels["batch.kubernetes.io/job-name"] = gang;
  labels["batch.kubernetes.io/controller-uid"] = absl::StrCat("uid-", gang);
  if (kind == GangKind::kIndexed) labels["batch.kubernetes.io/job-completion-index"] = absl::StrCat(index);
  return labels;
}

// The pods of a gang that starts whole, in rank order.
inline std::vector<Pod> GangPods(const std::string& gang, size_t count, int64_t gpus, GangKind kind,
                                 const TopologyRequest& topology) {
  std::vector<Pod> pods(count);
  std::shared_ptr<const PodSpec> spec;
  for (size_t i = 0; i < count; ++i) {
    if (spec == nullptr || kind == GangKind::kIndexed) spec = GpuPodSpec(gpus, GangLabels(kind, gang, i));
    pods[i].name = absl::StrFormat("%s-%04d", gang, i);
    pods[i].uid = absl::StrCat("uid-", pods[i].name);
    pods[i].spec = spec;
    pods[i].group = {GroupRef::Source::kNative, gang, 0};
    pods[i].topology = topology;
    pods[i].rank = static_cast<int32_t>(i);
  }
  return pods;
}

// Their PodGroup. A preferred topology has no word there: it stands in the pods' annotations.
inline PodGroup GangObject(const std::string& gang, size_t count, const TopologyRequest& topology) {
  PodGroup group;
  group.ns = "bench";
  group.name = gang;
  group.uid = absl::StrCat("uid-", gang);
  group.api_version = "scheduling.k8s.io/v1beta1";
  group.min_count = static_cast<int32_t>(count);
  if (topology.mode == TopologyRequest::Mode::kRequired) group.topology = topology;
  return group;
}

// What runs on each node already: the GPUs of each pod there. Three of ten nodes are empty, as many and
// some more are full, the rest is in between.
inline std::vector<std::vector<int64_t>> PartFilled(size_t nodes, uint64_t seed) {
  Random random(seed);
  std::vector<std::vector<int64_t>> pods(nodes);
  for (auto& node : pods) {
    const double draw = random.Unit();
    int64_t used = static_cast<int64_t>(1 + random.Below(kGpusANode - 1));
    if (draw < 0.3) used = 0;
    if (draw > 0.65) used = kGpusANode;
    for (int64_t size = kGpusANode; size > 0; size /= 2) {
      for (; used >= size; used -= size) node.push_back(size);
    }
  }
  return pods;
}

// Every tenth node has one GPU free: 500 in 5,000 nodes.
inline std::vector<std::vector<int64_t>> AlmostFull(size_t nodes) {
  std::vector<std::vector<int64_t>> pods(nodes);
  for (size_t i = 0; i < nodes; ++i) {
    pods[i] = {4, 2, 1};
    if (i % 10 != 0) pods[i].push_back(1);
  }
  return pods;
}

}  // namespace muster

#endif  // MUSTER_BENCH_GPU_CLUSTER_H_
