// A configuration, read and checked: what the engine and the command build themselves from.
// framework/config reads it from a file.
#ifndef MUSTER_SCHEDULER_FRAMEWORK_CONFIGURATION_H_
#define MUSTER_SCHEDULER_FRAMEWORK_CONFIGURATION_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "scheduler/framework/plugin_args.h"
#include "scheduler/framework/registry.h"
#include "scheduler/model/ids.h"

namespace muster {

struct PluginUse {
  std::string name;
  int32_t weight = 0;  // > 0 at kScore and kPlacementScore; 0 elsewhere
  friend bool operator==(const PluginUse&, const PluginUse&) = default;
};

// One scheduler name and the plugins behind it.
struct ProfileConfig {
  std::string scheduler_name;
  // Per extension point the plugins to run, in order: all exist in the registry and implement the
  // point. Exactly one at kQueueSort, at least one at kBind.
  std::array<std::vector<PluginUse>, kPoints> points;
  // An entry for every plugin named in `points`, defaults filled in.
  absl::btree_map<std::string, PluginArgs> args;

  const std::vector<PluginUse>& At(Point point) const { return points[static_cast<size_t>(point)]; }
};

struct LeaderElectionConfig {
  bool leader_elect = true;
  Duration lease_duration = absl::Seconds(15);
  Duration renew_deadline = absl::Seconds(10);
  Duration retry_period = absl::Seconds(2);
  std::string resource_namespace = "kube-system";
  std::string resource_name = "muster";
};

struct ClientConnectionConfig {
  std::string kubeconfig;        // path; "" = not given
  std::optional<double> qps;     // only where the file sets it; negative: no limit
  std::optional<int32_t> burst;  // only where the file sets it
};

// What upstream's configuration has no word for (muster.dev/v1alpha1 MusterConfiguration).
struct MusterOptions {
  int32_t binds_in_flight = 128;
  std::optional<int32_t> threads;  // unset: the command decides
  uint64_t seed = 1;
  Duration pod_max_in_unschedulable_pods = absl::Minutes(5);
  Duration assume_expiry = absl::Seconds(30);  // a bind confirmed by no watch event is forgotten after this
  // Of devices that fit, the first are taken, as kube-scheduler does; else those whose taking leaves most for others.
  bool devices_first_fit = false;
  // Attributes of devices, fully qualified, that should stay together for claims that match them.
  std::vector<std::string> device_groups = {"resource.kubernetes.io/pcieRoot"};
  std::string default_queue;  // for namespaces that no Queue selects; "" = their pods are held once any Queue exists
};

struct Configuration {
  std::vector<ProfileConfig> profiles;  // in the file's order; names differ; all have the same queue sort
  Duration initial_backoff = absl::Seconds(1);
  Duration max_backoff = absl::Seconds(10);
  int32_t parallelism = 16;
  bool delay_cache_until_active = false;
  LeaderElectionConfig leader_election;
  ClientConnectionConfig client;
  MusterOptions muster;
  std::vector<std::string> notices;  // what was accepted without effect, one sentence each
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_FRAMEWORK_CONFIGURATION_H_
