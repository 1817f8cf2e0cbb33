#include "scheduler/model/pod_requests.h"

#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace muster {
namespace {

// "cpu=1 memory=1Gi" to a list.
ResourceList List(const std::string& text) {
  ResourceList list;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const size_t at = word.find('=');
    const auto quantity = Quantity::Parse(word.substr(at + 1));
    EXPECT_TRUE(quantity.ok()) << word;
    list.emplace(word.substr(0, at), *quantity);
  }
  return list;
}

std::string Print(const std::vector<Amount>& amounts) {
  std::string text;
  for (const Amount& a : amounts) text += (text.empty() ? "" : " ") + a.resource + "=" + std::to_string(a.value);
  return text;
}

// One container: "REQUESTS [| STATUS RESOURCES [| STATUS ALLOCATED]]".
ContainerResources Container(const std::string& text, bool restart_always = false) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, '|');) parts.push_back(part);
  ContainerResources container;
  container.restart_always = restart_always;
  if (!parts.empty()) container.requests = List(parts[0]);
  if (parts.size() > 1) container.status_requests = List(parts[1]);
  if (parts.size() > 2) container.status_allocated = List(parts[2]);
  return container;
}

// Builds what a row describes. Init containers that begin with "*" are sidecars.
PodResources MakeResources(const std::vector<std::string>& containers, const std::vector<std::string>& init = {},
                           const std::string& pod_level = "", const std::string& overhead = "") {
  PodResources pod;
  for (const auto& c : containers) pod.containers.push_back(Container(c));
  for (const auto& c : init) {
    const bool sidecar = c.starts_with('*');
    pod.init_containers.push_back(Container(sidecar ? c.substr(1) : c, sidecar));
  }
  if (!pod_level.empty()) pod.pod_requests = List(pod_level);
  pod.overhead = List(overhead);
  return pod;
}

struct RequestCase {
  std::string name;
  PodResources pod;
  std::string requests;
};

TEST(SumRequests, Spec) {
  const RequestCase kCases[] = {
      {"none", MakeResources({""}), ""},
      {"sum", MakeResources({"cpu=1 memory=1", "cpu=500m"}), "cpu=1500 memory=1"},
      {"units round up once", MakeResources({"cpu=1n memory=1m", "cpu=1n memory=1m"}), "cpu=1 memory=1"},
      {"init is a maximum", MakeResources({"cpu=1", "cpu=1"}, {"cpu=3 memory=5", "cpu=2 memory=6"}),
       "cpu=3000 memory=6"},
      {"sidecars add", MakeResources({"cpu=1"}, {"*cpu=1", "*cpu=2"}), "cpu=4000"},
      {"init after sidecars", MakeResources({"cpu=1"}, {"*cpu=2", "cpu=5"}), "cpu=7000"},
      {"init before sidecars", MakeResources({"cpu=1"}, {"cpu=5", "*cpu=2"}), "cpu=5000"},
      {"init between sidecars", MakeResources({"cpu=1"}, {"*cpu=2", "cpu=2", "*cpu=3"}), "cpu=6000"},
      {"overhead adds", MakeResources({"cpu=1"}, {}, "", "cpu=100m memory=7"), "cpu=1100 memory=7"},
      {"pod level replaces", MakeResources({"cpu=5 memory=5"}, {}, "cpu=2"), "cpu=2000 memory=5"},
      {"pod level and overhead", MakeResources({"cpu=5"}, {}, "cpu=2", "cpu=1"), "cpu=3000"},
      {"pod level huge pages", MakeResources({"hugepages-2Mi=4"}, {}, "hugepages-2Mi=2"), "hugepages-2Mi=2"},
      {"pod level ignores others", MakeResources({"cpu=1"}, {}, "example.com/a=2 cpu=1"), "cpu=1000"},
      {"pod level of others only", MakeResources({"cpu=1"}, {}, "ephemeral-storage=2"), "cpu=1000"},
      {"status is not asked", MakeResources({"cpu=1|cpu=9|cpu=9"}), "cpu=1000"},
      {"names",
       MakeResources({"pods=1 storage=1 example.com/a=1 foo=1 hugepages-1Gi=1 attachable-volumes-x=1 "
                      "kubernetes.io/b=1 requests.example.com/c=1 example.com/-bad=1 Example.com/d=1 "
                      "ephemeral-storage=1 x.kubernetes.io/e=1"}),
       "attachable-volumes-x=1 ephemeral-storage=1 example.com/a=1 hugepages-1Gi=1 kubernetes.io/b=1 "
       "x.kubernetes.io/e=1"},
      {"zero is left out", MakeResources({"cpu=0 example.com/a=0"}), ""},
      {"saturates", MakeResources({"memory=7Ei", "memory=7Ei"}), "memory=9223372036854775807"},
  };
  for (const RequestCase& c : kCases) EXPECT_EQ(Print(SumRequests(c.pod).requests), c.requests) << c.name;
}

struct UsageCase {
  std::string name;
  PodResources pod;
  bool infeasible;
  std::string pod_status, pod_allocated;  // "": absent
  std::string usage;
};

TEST(SumRequests, UsageCountsTheStatus) {
  const UsageCase kCases[] = {
      {"no status", MakeResources({"cpu=1"}), false, "", "", "cpu=1000"},
      {"actuated is more", MakeResources({"cpu=1|cpu=2"}), false, "", "", "cpu=2000"},
      {"spec is more", MakeResources({"cpu=3|cpu=2|cpu=1"}), false, "", "", "cpu=3000"},
      {"allocated is most", MakeResources({"cpu=1|cpu=2|cpu=4"}), false, "", "", "cpu=4000"},
      {"allocated without resources", MakeResources({"cpu=1||cpu=4"}), false, "", "", "cpu=4000"},
      {"infeasible leaves the spec out", MakeResources({"cpu=9|cpu=2|cpu=1"}), true, "", "", "cpu=2000"},
      {"infeasible without status is nothing", MakeResources({"cpu=9"}), true, "", "", ""},
      // 1.37 compares sums: 3 + 1 asked, 1 + 3 in place: 4, not 3 + 3.
      {"maximum of sums", MakeResources({"cpu=3|cpu=1|cpu=1", "cpu=1|cpu=3|cpu=3"}), false, "", "", "cpu=4000"},
      {"sidecar's status", MakeResources({"cpu=1"}, {"*cpu=1|cpu=2"}), false, "", "", "cpu=3000"},
      {"plain init container's status", MakeResources({"cpu=1"}, {"cpu=2|cpu=5"}), false, "", "", "cpu=5000"},
      {"pod status, both", MakeResources({"cpu=1|cpu=9"}, {}, "cpu=1"), false, "cpu=2", "cpu=3", "cpu=3000"},
      {"pod status without pod-level requests", MakeResources({"cpu=1|cpu=9"}), false, "cpu=2", "cpu=3", "cpu=3000"},
      {"pod status, one only", MakeResources({"cpu=1|cpu=9"}), false, "cpu=2", "", "cpu=9000"},
      {"pod level over container status", MakeResources({"cpu=1|cpu=9"}, {}, "cpu=2"), false, "", "", "cpu=2000"},
      {"pod level infeasible", MakeResources({"cpu=1"}, {}, "cpu=9"), true, "cpu=2", "cpu=3", "cpu=3000"},
      {"pod level infeasible, no status", MakeResources({"cpu=1"}, {}, "cpu=9"), true, "", "", "cpu=9000"},
      {"overhead on top", MakeResources({"cpu=1|cpu=2"}, {}, "", "cpu=1"), false, "", "", "cpu=3000"},
  };
  for (UsageCase c : kCases) {
    c.pod.resize_infeasible = c.infeasible;
    if (!c.pod_status.empty()) c.pod.status_requests = List(c.pod_status);
    if (!c.pod_allocated.empty()) c.pod.status_allocated = List(c.pod_allocated);
    EXPECT_EQ(Print(SumRequests(c.pod).usage), c.usage) << c.name;
  }
}

struct NonZeroCase {
  std::string name;
  PodResources pod;
  int64_t cpu, mebibytes;  // as nodes count the pod
  std::string scored;      // as NodeResourcesFit's score counts it, memory in bytes
};

TEST(SumRequests, DefaultsForScores) {
  const std::string k200 = "memory=209715200", k400 = "memory=419430400";
  const NonZeroCase kCases[] = {
      {"no container", MakeResources({}), 0, 0, ""},
      {"nothing asked", MakeResources({""}), 100, 200, "cpu=100 " + k200},
      {"two containers", MakeResources({"", "cpu=1"}), 1100, 400, "cpu=1100 " + k400},
      {"zero is asked", MakeResources({"cpu=0 memory=0"}), 0, 0, ""},
      {"init containers too", MakeResources({""}, {"cpu=1"}), 1000, 200, "cpu=1000 " + k200},
      {"sidecars too", MakeResources({""}, {"*"}), 200, 400, "cpu=200 " + k400},
      {"pod level of cpu", MakeResources({"", ""}, {}, "cpu=2"), 2000, 400, "cpu=200 " + k400},
      {"pod level of both", MakeResources({"", ""}, {}, "cpu=2 memory=1Mi"), 2000, 1, "cpu=200 " + k400},
      {"pod level, one container asks", MakeResources({"memory=1Mi", ""}, {}, "cpu=2"), 2000, 1,
       "cpu=200 memory=210763776"},
      {"pod level, overhead asks", MakeResources({""}, {}, "cpu=2", "memory=1Mi"), 2000, 1, "cpu=100 memory=210763776"},
      {"overhead on top", MakeResources({""}, {}, "", "cpu=1 memory=1Mi"), 1100, 201, "cpu=1100 memory=210763776"},
      {"status raises nodes' count only", MakeResources({"cpu=1|cpu=2"}), 2000, 200, "cpu=1000 " + k200},
      {"scalars are scored", MakeResources({"example.com/a=3"}), 100, 200, "cpu=100 example.com/a=3 " + k200},
  };
  for (const NonZeroCase& c : kCases) {
    const PodAmounts amounts = SumRequests(c.pod);
    EXPECT_EQ(amounts.non_zero_cpu, c.cpu) << c.name;
    EXPECT_EQ(amounts.non_zero_memory, c.mebibytes << 20) << c.name;
    EXPECT_EQ(Print(amounts.scored), c.scored) << c.name;
  }
}

TEST(SumContainers, LeavesPodLevelAndOverheadOut) {
  EXPECT_EQ(Print(ToAmounts(SumContainers(MakeResources({"cpu=1"}, {"*cpu=1", "cpu=3"}, "cpu=9", "cpu=9")))),
            "cpu=4000");
}

}  // namespace
}  // namespace muster
