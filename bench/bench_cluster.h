// The cluster that the benchmarks run on: machines of three sizes in ten zones, some tainted, all
// with images; and pods of many shapes.
#ifndef MUSTER_BENCH_BENCH_CLUSTER_H_
#define MUSTER_BENCH_BENCH_CLUSTER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "scheduler/model/ids.h"
#include "scheduler/model/node.h"
#include "scheduler/model/pod.h"

namespace muster {

inline constexpr int64_t kGi = int64_t{1} << 30;

inline NodePtr BenchNode(size_t i) {
  static constexpr struct {
    const char* type;
    int64_t cores, gib;
  } kSizes[] = {{"large", 16, 64}, {"xlarge", 32, 128}, {"2xlarge", 64, 256}};
  const auto& size = kSizes[i % 3];
  Node node;
  node.name = absl::StrFormat("node-%06d", i);
  node.uid = node.name;
  node.labels = {{"kubernetes.io/hostname", node.name},
                 {"node.kubernetes.io/instance-type", size.type},
                 {"topology.kubernetes.io/zone", absl::StrCat("zone-", i % 10)},
                 {"rack", absl::StrCat("rack-", i / 32)}};
  node.allocatable = {
      {"cpu", size.cores * 1000}, {"ephemeral-storage", 200 * kGi}, {"memory", size.gib * kGi}, {"pods", 110}};
  if (i % 20 == 7) node.taints = {{"dedicated", "batch", TaintEffect::kNoSchedule}};
  if (i % 16 == 3) node.taints.push_back({"spot", "", TaintEffect::kPreferNoSchedule});
  for (size_t image = 0; image < 8; ++image) {
    if ((i + image) % 4 == 0)
      node.images.push_back(
          {{absl::StrCat("registry/app-", image, ":latest")}, static_cast<int64_t>(200 + image) << 20});
  }
  return std::make_shared<const Node>(std::move(node));
}

inline std::vector<NodePtr> BenchNodes(size_t count) {
  std::vector<NodePtr> nodes;
  for (size_t i = 0; i < count; ++i) nodes.push_back(BenchNode(i));
  return nodes;
}

// Shapes differ in what they ask for; every third prefers a zone, every fifth asks for a size.
inline std::shared_ptr<const PodSpec> BenchSpec(size_t shape) {
  PodSpec spec;
  spec.scheduler_name = "muster";
  spec.ns = "bench";
  spec.labels = {{"app", absl::StrCat("app-", shape)}};
  const int64_t cpu = 100 + static_cast<int64_t>(shape % 401);
  const int64_t memory = (int64_t{64} << 20) + (static_cast<int64_t>(shape) << 12);
  spec.amounts.requests = {{"cpu", cpu}, {"memory", memory}};
  spec.amounts.usage = spec.amounts.requests;
  spec.amounts.non_zero_cpu = cpu;
  spec.amounts.non_zero_memory = memory;
  spec.images = {absl::StrCat("registry/app-", shape % 8, ":latest")};
  spec.image_count = 1;
  if (shape % 3 == 0) {
    NodeSelectorTerm zone{{{"topology.kubernetes.io/zone", Operator::kIn, {absl::StrCat("zone-", shape % 10)}, "In"}},
                          {}};
    spec.node_affinity.preferred.push_back({10, std::move(zone)});
  }
  if (shape % 5 == 0) spec.node_selector = {{"node.kubernetes.io/instance-type", "xlarge"}};
  return std::make_shared<const PodSpec>(std::move(spec));
}

}  // namespace muster

#endif  // MUSTER_BENCH_BENCH_CLUSTER_H_
