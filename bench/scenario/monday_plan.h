// A Monday morning of many teams on one cluster, as a plan: the nodes, the teams' queues, and all that arrives.
//
// 2,000 nodes (1,600 of 32 cores, 200 with eight H100 each, 200 with eight A100 each) and 50 teams, each with a Queue
// under one of three parents; their nominal quotas sum to 94% of the cores and to all GPUs, less 20 A100s.
// - research, 20 teams: gangs. Ten run more than their own since the weekend; the others' come at 15 to 25 minutes.
// - product, 15 teams: inference, which comes and goes all the time and for which a part of the quota is not lent.
// - assistants, 15 teams: agents. All other teams have some too.
// From 10 to 70 minutes ten times as many agents come as before and after. Eight teams of assistants and four of
// research ("hungry") then want more than they can get; the others stay within their own.
#ifndef MUSTER_BENCH_SCENARIO_MONDAY_PLAN_H_
#define MUSTER_BENCH_SCENARIO_MONDAY_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "scheduler/model/node.h"
#include "scheduler/model/pod.h"
#include "scheduler/model/pod_group.h"
#include "scheduler/model/queue.h"

namespace muster {

struct MondayOptions {
  uint64_t seed = 1;
  double scale = 1;    // of nodes, quotas and rates, at most 1
  bool queues = true;  // false: no Queue objects
  int threads = 1;     // that decide
};

inline constexpr Duration kBurstBegin = absl::Minutes(10), kBurstEnd = absl::Minutes(70);
inline constexpr Duration kMondayEnd = absl::Minutes(80);

enum class Work : uint8_t {
  kInference,
  kTraining,   // gangs
  kLane,       // agents short enough for the burst lane that come while their team's tokens last
  kLaneSpent,  // the same, of which tokens have run out
  kAgent,      // longer ones
};
inline constexpr size_t kWorks = 5;
const char* WorkName(Work work);

// What is counted: cores of the nodes without GPUs, GPUs of either model.
enum class Pool : uint8_t { kGeneral, kH100, kA100 };
inline constexpr size_t kPools = 3;
const char* PoolName(Pool pool);  // the value of the nodes' label, and the flavor's name
inline constexpr char kPoolLabel[] = "example.com/pool";
inline constexpr char kWorkLabel[] = "example.com/work";

struct MondayTeam {
  std::string name;  // of its namespace and of its Queue
  size_t parent = 0;
  bool hungry = false;
  Queue queue;
};

struct MondayParent {
  std::string name;
  int32_t weight = 1;
};

struct MondayArrival {
  Duration at;
  size_t team = 0;
  Work work = Work::kAgent;
  Pool pool = Pool::kGeneral;
  int64_t cpu = 0, gpus = 0;  // of each pod, in thousandths and units
  size_t pods = 1;            // more than one: a gang
  Duration runs;
  std::string name;  // unique in the team
};

struct MondayPlan {
  std::vector<Node> nodes;
  std::vector<MondayParent> parents;    // all below the queue "company"
  std::vector<MondayTeam> teams;        // by parent
  std::vector<MondayArrival> arrivals;  // by time

  std::vector<Queue> Queues() const;  // "company", the parents' and the teams'
  std::vector<ResourceFlavor> Flavors() const;
};

MondayPlan PlanMonday(const MondayOptions& options);

// The pods of an arrival, and the group of a gang.
std::vector<Pod> PodsOf(const MondayArrival& arrival, const MondayTeam& team);
PodGroup GroupOf(const MondayArrival& arrival, const MondayTeam& team);

// Of a queue for the resource and pool (cpu for kGeneral, GPUs for the others), null where it lists none.
const QueueResource* QuotaOf(const Queue& queue, Pool pool);

}  // namespace muster

#endif  // MUSTER_BENCH_SCENARIO_MONDAY_PLAN_H_
