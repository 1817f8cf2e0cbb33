#include "scheduler/sim/manifests.h"

#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/model/volume_objects.h"
#include "test/sim/parse_manifests.h"

namespace muster {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

std::vector<std::string> Keys(const Manifests& manifests) {
  std::vector<std::string> keys;
  for (const ManifestPod& pod : manifests.pods) keys.push_back(pod.pod->Key());
  return keys;
}

std::vector<std::string> Objects(const Manifests& manifests) {
  std::vector<std::string> names;
  for (const ManifestObject& made : manifests.objects) {
    const std::string ns = made.object->ns.empty() ? "" : made.object->ns + "/";
    names.push_back(std::string(KindName(made.kind)) + " " + ns + made.object->name);
  }
  return names;
}
template <typename T>
const T& Get(const Manifests& manifests, size_t i) {
  return dynamic_cast<const T&>(*manifests.objects.at(i).object);
}

std::string Print(const std::vector<Amount>& amounts) {
  std::string text;
  for (const Amount& a : amounts) text += (text.empty() ? "" : " ") + a.resource + "=" + std::to_string(a.value);
  return text;
}

// A pod from line 1 on; `spec` is indented by two.
std::string Pod(const std::string& name, const std::string& spec = "  containers: [{name: c}]\n") {
  return "apiVersion: v1\nkind: Pod\nmetadata:\n  name: " + name + "\nspec:\n" + spec;
}

TEST(Manifests, PodAndNode) {
  const Manifests m = MustParse(R"(
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {zone: a}}
spec:
  taints: [{key: k, value: v, effect: NoSchedule}]
  podCIDR: 10.0.0.0/24
status:
  capacity: {cpu: 4, memory: 16Gi, pods: "110"}
  conditions: [{type: Ready, status: "True", lastHeartbeatTime: "2026-01-01T00:00:00Z"}]
---
apiVersion: v1
kind: Pod
metadata:
  name: p
  namespace: team
  uid: u
  resourceVersion: "7"
  creationTimestamp: 2026-01-01T00:00:01.5Z
  labels: {app: web}
  annotations: {muster.dev/run-duration: 1m30s, muster.dev/arrival: 10s}
  managedFields: [{manager: kubectl, fieldsV1: {"f:spec": {}}}]
spec:
  nodeName: n1
  securityContext: {runAsUser: 1000}
  containers:
  - name: c
    image: web:1
    command: [run, "--fast"]
    env: [{name: A, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
    livenessProbe: {httpGet: {path: /, port: http}, periodSeconds: 3}
    resources: {requests: {cpu: 0.5, memory: 1e3}, limits: {cpu: 500m, nvidia.com/gpu: 1}}
  volumes:
  - name: data
    emptyDir: {}
  - name: model
    image: {reference: "models/llm:1", pullPolicy: Always}
)");
  ASSERT_EQ(m.nodes.size(), 1u);
  EXPECT_EQ(Print(m.nodes[0]->allocatable), "cpu=4000 memory=17179869184 pods=110");
  ASSERT_EQ(m.pods.size(), 1u);
  const ManifestPod& pod = m.pods[0];
  EXPECT_EQ(pod.pod->Key(), "team/p");
  EXPECT_EQ(pod.pod->uid, "u");
  EXPECT_EQ(pod.pod->resource_version, 7u);
  EXPECT_EQ(pod.pod->node, "n1");
  EXPECT_EQ(pod.pod->spec->scheduler_name, "muster");
  EXPECT_EQ(Print(pod.pod->spec->amounts.requests), "cpu=500 memory=1000 nvidia.com/gpu=1");
  EXPECT_THAT(pod.pod->spec->images, ElementsAre("web:1", "models/llm:1"));
  EXPECT_EQ(pod.pod->created, absl::FromUnixMillis(1767225601500));
  EXPECT_EQ(pod.arrival, absl::Seconds(10));
  EXPECT_EQ(pod.run_duration, absl::Seconds(90));
  EXPECT_FALSE(pod.workload);
}

TEST(Manifests, Defaults) {
  ManifestOptions options;
  options.scheduler_name = "other";
  options.start = absl::FromUnixSeconds(1000);
  const Manifests m = MustParse(Pod("p") + "---\n" + Pod("q", "  schedulerName: mine\n"), options);
  ASSERT_EQ(m.pods.size(), 2u);
  EXPECT_EQ(m.pods[0].pod->Key(), "default/p");
  EXPECT_EQ(m.pods[0].pod->spec->scheduler_name, "other");
  EXPECT_EQ(m.pods[0].pod->created, options.start);
  EXPECT_EQ(m.pods[0].pod->uid.size(), 36u);
  EXPECT_NE(m.pods[0].pod->uid, m.pods[1].pod->uid);
  EXPECT_EQ(m.pods[0].run_duration, std::nullopt);
  EXPECT_EQ(m.pods[1].pod->spec->scheduler_name, "mine");
}

TEST(Manifests, Workloads) {
  const std::string tail = "  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c}]}}\n---\n";
  const auto workload = [&](const std::string& api, const std::string& kind, const std::string& spec) {
    return "apiVersion: " + api + "\nkind: " + kind + "\nmetadata: {name: w" + kind.substr(0, 1) +
           ", namespace: t}\nspec:\n" + spec + tail;
  };
  struct Case {
    std::string api, kind, spec;
    std::vector<std::string> pods;
    size_t parallelism;
  };
  const Case kCases[] = {
      {"apps/v1", "Deployment", "  replicas: 2\n  selector: {matchLabels: {a: b}}\n", {"t/wD-0", "t/wD-1"}, 2},
      {"apps/v1", "Deployment", "", {"t/wD-0"}, 1},
      {"apps/v1", "Deployment", "  replicas: 0\n", {}, 0},
      {"apps/v1", "ReplicaSet", "  replicas: 1\n", {"t/wR-0"}, 1},
      {"apps/v1", "StatefulSet", "  replicas: 2\n  ordinals: {start: 5}\n", {"t/wS-5", "t/wS-6"}, 2},
      {"batch/v1", "Job", "", {"t/wJ-0"}, 1},
      {"batch/v1", "Job", "  parallelism: 2\n", {"t/wJ-0", "t/wJ-1"}, 2},
      {"batch/v1", "Job", "  completions: 3\n  parallelism: 2\n", {"t/wJ-0", "t/wJ-1", "t/wJ-2"}, 2},
      {"batch/v1", "Job", "  completions: 1\n  parallelism: 5\n", {"t/wJ-0"}, 1},
      {"batch/v1", "Job", "  completions: 3\n", {"t/wJ-0", "t/wJ-1", "t/wJ-2"}, 1},
      {"batch/v1", "Job", "  suspend: true\n", {}, 0},
  };
  for (const Case& c : kCases) {
    const Manifests m = MustParse(Pod("first") + "---\n" + workload(c.api, c.kind, c.spec));
    std::vector<std::string> keys = Keys(m);
    EXPECT_EQ(keys.front(), "default/first");
    keys.erase(keys.begin());
    EXPECT_EQ(keys, c.pods) << c.kind << c.spec;
    ASSERT_EQ(m.workloads.size(), 1u);
    EXPECT_EQ(m.workloads[0].kind, c.kind);
    EXPECT_EQ(m.workloads[0].first_pod, 1u);
    EXPECT_EQ(m.workloads[0].pod_count, c.pods.size());
    EXPECT_EQ(m.workloads[0].parallelism, c.parallelism) << c.spec;
    for (size_t i = 1; i < m.pods.size(); ++i) {
      EXPECT_EQ(m.pods[i].workload, 0u);
      EXPECT_THAT(m.pods[i].pod->spec->labels, testing::Contains(Pair("a", "b")));
    }
  }
}

std::string PriorityClass(const std::string& name, const std::string& rest) {
  return "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: " + name + "}\n" + rest + "---\n";
}

TEST(Manifests, Priorities) {
  const std::string classes = PriorityClass("high", "value: 100\npreemptionPolicy: Never\n");
  struct Case {
    std::string spec, classes;
    int32_t priority;
    std::string policy;
  };
  const Case kCases[] = {
      {"  priorityClassName: high\n", classes, 100, "Never"},
      {"  priorityClassName: system-node-critical\n", classes, 2000001000, ""},
      {"  hostPID: true\n", classes, 0, ""},
      {"  hostPID: true\n", PriorityClass("base", "value: 5\nglobalDefault: true\n"), 5, ""},
      {"  priority: 9\n", PriorityClass("base", "value: 5\nglobalDefault: true\n"), 9, ""},
      {"  priority: 9\n  priorityClassName: gone\n  preemptionPolicy: PreemptLowerPriority\n", "", 9, ""},
  };
  for (const Case& c : kCases) {
    const Manifests m = MustParse(Pod("p", c.spec) + "---\n" + c.classes);
    ASSERT_EQ(m.pods.size(), 1u) << c.spec;
    EXPECT_EQ(m.pods[0].pod->spec->priority, c.priority) << c.spec;
    EXPECT_EQ(m.pods[0].pod->spec->preemption_policy, c.policy) << c.spec;
  }
  EXPECT_EQ(MustParse(classes).priority_classes.size(), 3u);
}

TEST(Manifests, OtherKinds) {
  const Manifests m = MustParse(R"(
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: team, labels: {a: b}}}
- {apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 1}]}}
- {apiVersion: v1, kind: Service, metadata: {name: t}}
- {apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: r}}
- {apiVersion: example.com/v1, kind: Thing, metadata: {name: t}}
- apiVersion: policy/v1
  kind: PodDisruptionBudget
  metadata: {name: b, namespace: team}
  spec: {minAvailable: 50%, selector: {matchLabels: {a: b}, matchExpressions: [{key: k, operator: Exists}]}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: b}
spec: {maxUnavailable: 1}
)");
  EXPECT_THAT(Objects(m), ElementsAre("Namespace team", "Service default/s", "Service default/t",
                                      "PodDisruptionBudget team/b", "PodDisruptionBudget default/b"));
  EXPECT_THAT(Get<Namespace>(m, 0).labels, ElementsAre(Pair("a", "b"), Pair("kubernetes.io/metadata.name", "team")));
  EXPECT_EQ(Get<DisruptionBudget>(m, 3).selector.requirements.size(), 2u);
  EXPECT_FALSE(Get<DisruptionBudget>(m, 4).selector.present);
  ASSERT_EQ(m.budgets_to_count.size(), 2u);
  EXPECT_EQ(m.budgets_to_count[0].min_available, "50%");
  EXPECT_EQ(m.budgets_to_count[1].ns, "default");
  EXPECT_EQ(m.budgets_to_count[1].max_unavailable, "1");
  EXPECT_THAT(m.notices, ElementsAre("Role: 1 left aside, not part of the simulation",
                                     "Thing: 1 left aside, not part of the simulation"));
}

TEST(Manifests, StorageWithDefaults) {
  const Manifests m = MustParse(R"(
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: PersistentVolume
  metadata: {name: v, namespace: dropped}
  spec:
    capacity: {storage: 5Gi}
    csi: {driver: d, volumeHandle: h, volumeAttributes: {a: b}}
    claimRef: {namespace: default, name: c}
    nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: In, values: [a]}]}]}}
- apiVersion: v1
  kind: PersistentVolumeClaim
  metadata: {name: c}
  spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}, limits: {storage: 2Gi}}}
- {apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: fast}, provisioner: p, parameters: {a: b}}
- {apiVersion: storage.k8s.io/v1, kind: CSINode, metadata: {name: n}, spec: {drivers: [{name: d, nodeID: i}]}}
- {apiVersion: storage.k8s.io/v1, kind: CSIDriver, metadata: {name: d}, spec: {storageCapacity: true}}
- {apiVersion: storage.k8s.io/v1, kind: CSIStorageCapacity, metadata: {name: r}, storageClassName: fast, capacity: 1Gi}
- {apiVersion: storage.k8s.io/v1, kind: VolumeAttachment, metadata: {name: a}, spec: {attacher: d, nodeName: n,
   source: {persistentVolumeName: v}}}
)");
  EXPECT_THAT(Objects(m),
              ElementsAre("PersistentVolume v", "PersistentVolumeClaim default/c", "StorageClass fast", "CSINode n",
                          "CSIDriver d", "CSIStorageCapacity default/r", "VolumeAttachment a"));
  const auto& volume = Get<PersistentVolume>(m, 0);
  EXPECT_EQ(volume.handle, "h");
  EXPECT_EQ(volume.phase, "Pending");
  EXPECT_EQ(volume.volume_mode, "Filesystem");
  EXPECT_EQ(volume.affinity.required.size(), 1u);
  EXPECT_EQ(Get<PersistentVolumeClaim>(m, 1).phase, "Pending");
  EXPECT_EQ(Get<PersistentVolumeClaim>(m, 1).request, Quantity::FromUnits(1 << 30));
  EXPECT_EQ(Get<StorageClass>(m, 2).binding_mode, "Immediate");
  EXPECT_EQ(Get<VolumeAttachment>(m, 6).volume_name, "v");
  EXPECT_THAT(m.notices, IsEmpty());
}

TEST(Manifests, ObjectsThatCannotBeReadAreErrors) {
  const std::string budget =
      "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: b}\n"
      "spec: {selector: {matchExpressions: [{key: a, operator: Gt, values: ['1']}]}}\n";
  EXPECT_EQ(ErrorOf(budget),
            "f.yaml:4: spec.selector.matchExpressions[0].operator: \"Gt\" is not a valid label selector operator");
  EXPECT_EQ(ErrorOf("apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {sellector: {a: b}}\n"),
            "f.yaml:4: spec.sellector: unknown field \"spec.sellector\"");
}

TEST(Manifests, BudgetsWithStatusAreNotCounted) {
  const std::string head = "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: b}\n";
  const Manifests m = MustParse(head +
                                "spec: {minAvailable: 1}\nstatus: {disruptionsAllowed: 2, disruptedPods: {p: "
                                "'2026-01-01T00:00:00Z'}}\n");
  EXPECT_THAT(m.budgets_to_count, IsEmpty());
  EXPECT_EQ(Get<DisruptionBudget>(m, 0).disruptions_allowed, 2);
  EXPECT_THAT(Get<DisruptionBudget>(m, 0).disrupted_pods, ElementsAre("p"));
}

TEST(Manifests, WorkloadsControlTheirPods) {
  const auto workload = [](const std::string& api_version, const std::string& kind, const std::string& selector) {
    return "apiVersion: " + api_version + "\nkind: " + kind + "\nmetadata: {name: w, namespace: team}\nspec:\n" +
           selector + "  template: {metadata: {labels: {app: a}}, spec: {containers: [{name: c}]}}\n";
  };
  const std::string match = "  selector: {matchLabels: {app: a}}\n";
  const struct {
    std::string text, object, api_version;
  } kCases[] = {
      {workload("apps/v1", "ReplicaSet", match), "ReplicaSet", "apps/v1"},
      {workload("apps/v1", "StatefulSet", match), "StatefulSet", "apps/v1"},
      {workload("apps/v1", "Deployment", match), "ReplicaSet", "apps/v1"},
      {workload("v1", "ReplicationController", ""), "ReplicationController", "v1"},
  };
  for (const auto& c : kCases) {
    const Manifests m = MustParse(c.text);
    ASSERT_EQ(m.objects.size(), 2u) << c.text;
    const auto& made = Get<WorkloadSelector>(m, 0);
    EXPECT_EQ(KindName(m.objects[0].kind), c.object);
    EXPECT_THAT(made.selector.requirements, ElementsAre(Requirement{"app", Operator::kIn, {"a"}, ""})) << c.text;
    ASSERT_EQ(m.pods.size(), 1u);
    EXPECT_EQ(m.pods[0].pod->spec->controller, (ControllerRef{c.object, c.api_version, made.name})) << c.text;
    EXPECT_EQ(Objects(m)[1], "Namespace team");
  }
}

TEST(Manifests, ControllersMakeClaims) {
  const Manifests m = MustParse(R"(
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers: [{name: c}]
      volumes:
      - {name: data, emptyDir: {}}
      - name: scratch
        ephemeral: {volumeClaimTemplate: {spec: {resources: {requests: {storage: 2Gi}}}}}
  volumeClaimTemplates:
  - {apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}, spec: {storageClassName: fast}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data-db-1}}
)");
  ASSERT_EQ(m.pods.size(), 2u);
  using Claim = PersistentVolumeClaim;
  const auto claim = [&](size_t pod, size_t i) { return dynamic_cast<const Claim&>(*m.pods[pod].claims.at(i)); };
  ASSERT_EQ(m.pods[0].claims.size(), 2u);
  EXPECT_EQ(claim(0, 0).Key(), "default/db-0-scratch");
  EXPECT_EQ(claim(0, 0).controller_uid, m.pods[0].pod->uid);
  EXPECT_EQ(claim(0, 0).request, Quantity::FromUnits(int64_t{2} << 30));
  EXPECT_EQ(claim(0, 1).Key(), "default/data-db-0");
  EXPECT_EQ(claim(0, 1).Class(), "fast");
  EXPECT_EQ(claim(0, 1).controller_uid, "");
  ASSERT_EQ(m.pods[1].claims.size(), 1u);  // the other one is written
  EXPECT_EQ(claim(1, 0).Key(), "default/db-1-scratch");
  using Kind = PodVolume::Kind;
  EXPECT_THAT(m.pods[1].pod->spec->volumes,
              ElementsAre(PodVolume{Kind::kEphemeral, "scratch", "db-1-scratch", m.pods[1].pod->uid, false, {}, ""},
                          PodVolume{Kind::kClaim, "data", "data-db-1", "", false, {}, ""}));
}

TEST(Manifests, NamespacesOfPodsExist) {
  const Manifests m = MustParse(Pod("p") + "---\n{apiVersion: v1, kind: Namespace, metadata: {name: other}}\n---\n" +
                                "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: other}, spec: {}}\n");
  EXPECT_THAT(Objects(m), ElementsAre("Namespace other", "Namespace default"));
  EXPECT_THAT(Get<Namespace>(m, 1).labels, ElementsAre(Pair("kubernetes.io/metadata.name", "default")));
}

TEST(Manifests, JsonAndYamlForms) {
  const std::vector<std::string> texts = {
      "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\"},\n\t\"spec\":{\"priority\":3,\n"
      "\t\t\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"cpu\":1}}}]}}",
      "apiVersion: v1\nkind: PodList\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {priority: 3.0, "
      "containers: [{name: c, resources: {requests: {cpu: \"1\"}}}]}}",
      "---\n# nothing\n---\nx: &spec\n",
      "apiVersion: v1\r\nkind: Pod\r\nmetadata: {name: p}\r\nspec:\r\n  priority: 0x3\r\n  containers:\r\n  - name: "
      "c\r\n"
      "    resources: {requests: {cpu: 1e0}}\r\n...\r\n",
      "\xEF\xBB\xBF"
      "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  priority: 3\n  containers:\n  - name: c\n"
      "    resources: &r {requests: {cpu: 1}}\n  initContainers:\n  - name: i\n    resources: *r\n",
      "apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: null}\nspec:\n  priority: 3\n  nodeName: ~\n  "
      "containers:\n"
      "  - <<: {name: d, resources: {requests: {cpu: 1}}}\n    name: c\n",
  };
  for (const std::string& text : texts) {
    if (text.find("nothing") != std::string::npos) {
      EXPECT_THAT(ErrorOf(text), HasSubstr("apiVersion: is missing"));
      continue;
    }
    const Manifests m = MustParse(text);
    ASSERT_EQ(m.pods.size(), 1u) << text;
    EXPECT_EQ(m.pods[0].pod->spec->priority, 3) << text;
    EXPECT_EQ(Print(m.pods[0].pod->spec->amounts.requests), "cpu=1000") << text;
  }
}

TEST(Manifests, Errors) {
  const std::pair<std::string, std::string> kCases[] = {
      {"a: [1,\n", "f.yaml:2: broken YAML: "},
      {"- 1\n", "f.yaml:1: expected a mapping, got a list"},
      {"kind: Pod\n", "f.yaml:1: apiVersion: is missing"},
      {"apiVersion: v1\n", "f.yaml:1: kind: is missing"},
      {"apiVersion: v1\nkind: Pood\n", "f.yaml:1: kind: no kind \"Pood\" in \"v1\" is known"},
      {"apiVersion: apps/v1beta1\nkind: Deployment\n", "f.yaml:1: kind: no kind \"Deployment\" in \"apps/v1beta1\""},
      {"apiVersion: v1\nkind: Pod\nspec: {}\n", "f.yaml:1: metadata.name: is missing"},
      {Pod("p", "  contaners: []\n"), "f.yaml:6: spec.contaners: unknown field \"spec.contaners\""},
      {Pod("p", "  containers:\n  - name: c\n    comand: []\n"),
       "f.yaml:8: spec.containers[0].comand: unknown field \"spec.containers[0].comand\""},
      {Pod("p", "  volumes:\n  - name: v\n    emptyDri: {}\n"), "unknown field \"spec.volumes[0].emptyDri\""},
      {Pod("p", "  volumes:\n  - volumeSource: {}\n"), "unknown field \"spec.volumes[0].volumeSource\""},
      {Pod("p", "  securityContext: {runAsUzer: 1}\n"),
       "f.yaml:6: spec.securityContext.runAsUzer: unknown field \"spec.securityContext.runAsUzer\""},
      {Pod("p", "  nodeName: 5\n"), "f.yaml:6: spec.nodeName: expected a string, got a number"},
      {Pod("p", "  nodeName: yes\n"), "f.yaml:6: spec.nodeName: expected a string, got a boolean"},
      {Pod("p", "  nodeSelector: {a: 1}\n"), "f.yaml:6: spec.nodeSelector[a]: expected a string, got a number"},
      {Pod("p", "  priority: \"5\"\n"), "f.yaml:6: spec.priority: expected an integer"},
      {Pod("p", "  priority: 1.5\n"), "f.yaml:6: spec.priority: expected an integer"},
      {Pod("p", "  priority: 3000000000\n"), "f.yaml:6: spec.priority: the number overflows 32 bits"},
      {Pod("p", "  hostNetwork: \"true\"\n"), "f.yaml:6: spec.hostNetwork: expected true or false"},
      {Pod("p", "  containers: {}\n"), "f.yaml:6: spec.containers: expected a list, got a mapping"},
      {Pod("p", "  containers: [[]]\n"), "f.yaml:6: spec.containers[0]: expected a mapping, got a list"},
      {Pod("p", "  priority: 1\n  priority: 2\n"), "f.yaml:7: spec.priority: \"priority\" is there twice"},
      {Pod("p", "  containers:\n  - resources:\n      requests:\n        cpu: -1\n"),
       "f.yaml:9: spec.containers[0].resources.requests[cpu]: quantity \"-1\" must not be negative"},
      {Pod("p", "  containers:\n  - resources:\n      limits: {memory: 99Ei}\n"),
       "f.yaml:8: spec.containers[0].resources.limits[memory]: quantity \"99Ei\" overflows 64 bits"},
      {Pod("p", "  overhead: {cpu: 1x}\n"), "f.yaml:6: spec.overhead[cpu]: quantity \"1x\" is not a number"},
      {Pod("p", "  overhead: {cpu: true}\n"), "f.yaml:6: spec.overhead[cpu]: expected a quantity, got a boolean"},
      {Pod("p", "  priorityClassName: no\n"), "f.yaml:6: spec.priorityClassName: expected a string"},
      {Pod("p", "  priorityClassName: gold\n"),
       "f.yaml:6: spec.priorityClassName: no PriorityClass with name gold was found"},
      {Pod("p") + "---\n" + Pod("p"), "f.yaml:8: metadata.name: Pod default/p is there already (f.yaml:1)"},
      {Pod("p\n  creationTimestamp: soon"), "f.yaml:5: metadata.creationTimestamp: \"soon\" is no RFC 3339 time"},
      {Pod("p\n  annotations: {muster.dev/run-duration: long}"),
       "f.yaml:5: metadata.annotations[muster.dev/run-duration]: \"long\" is no duration"},
      {Pod("p\n  annotations: {muster.dev/arrival: -1s}"), "\"-1s\" is no duration"},
      {Pod("p\n  annotations: {muster.dev/arrival: inf}"), "\"inf\" is no duration"},
      {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  replicas: -1\n  template: {}\n",
       "f.yaml:5: spec.replicas: must not be negative"},
      {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  replicas: 2147483647\n  template: {}\n",
       "f.yaml:1: more than 2000000 pods"},
      {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {}\n", "f.yaml:1: spec.template: is missing"},
      {"apiVersion: v1\nkind: Node\nmetadata: {name: n}\nstatus:\n  allocatable: {cpu: -4}\n",
       "f.yaml:5: status.allocatable[cpu]: quantity \"-4\" must not be negative"},
      {PriorityClass("a", "value: 1\nglobalDefault: true\n") + PriorityClass("b", "value: 1\nglobalDefault: true\n"),
       "f.yaml:7: globalDefault: \"a\" is the default already"},
      {PriorityClass("a", "value: 2000000000\n"), "f.yaml:4: value: must not be over 1000000000"},
  };
  for (const auto& [text, message] : kCases) {
    EXPECT_THAT(ErrorOf(text), HasSubstr(message)) << text;
    EXPECT_EQ(Parse(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(Manifests, AliasBombsEnd) {
  std::string text = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  nodeSelector:\n    <<: &a0 {k: v}\n";
  for (int i = 1; i < 40; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    text += "    x" + std::to_string(i) + ": &a" + std::to_string(i) + " {<<: [" + before + ", " + before + "]}\n";
  }
  text += "    <<: *a39\n";
  EXPECT_FALSE(Parse(text).ok());
}

TEST(Manifests, AnyBytesAreAnswered) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string samples[] = {
      Pod("p", "  priority: 3\n  containers:\n  - name: c\n    resources: {requests: {cpu: 1, memory: 5Gi}}\n"),
      "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  replicas: 2\n  template: &t\n    metadata: "
      "{labels: {a: \"b\"}}\n    spec: {containers: [{name: c}]}\n---\n{\"apiVersion\": \"v1\", \"kind\": \"List\", "
      "\"items\": [{\"apiVersion\": \"v1\", \"kind\": \"Node\", \"metadata\": {\"name\": \"n\"}}]}\n",
  };
  const std::string marks = std::string("{}[]:,-\n\t \"'&*!|>%@`#?~<0123e.abc\xff\\") + '\0';
  for (int i = 0; i < 4000; ++i) {
    std::string text = samples[i % 2];
    for (uint32_t k = random() % 6; k > 0; --k) {
      const size_t at = random() % text.size();
      switch (random() % 4) {
        case 0: text[at] = marks[random() % marks.size()]; break;
        case 1: text.erase(at, random() % 20); break;
        case 2: text.insert(at, 1, marks[random() % marks.size()]); break;
        default: text.insert(at, text.substr(random() % text.size(), random() % 40));
      }
      if (text.empty()) text = " ";
    }
    const auto manifests = Parse(text);
    EXPECT_TRUE(manifests.ok() || manifests.status().message().find("f.yaml:") == 0) << manifests.status() << text;
  }
}

TEST(ReadManifests, FilesAndFolders) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "manifests_test";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder / "sub");
  std::filesystem::create_directories(folder / "empty");
  const auto write = [&](const std::string& name, const std::string& text) { std::ofstream(folder / name) << text; };
  write("b.yml", Pod("b"));
  write("a.yaml", Pod("a"));
  write("c.json", R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"c"}})");
  write("readme.txt", "not: [a manifest");
  write("sub/d.yaml", Pod("d"));
  const auto read = [&](const std::vector<std::string>& paths) { return ReadManifests(paths, {}); };

  const auto all = read({folder, folder / "sub" / "d.yaml"});
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_THAT(Keys(*all), ElementsAre("default/a", "default/b", "default/c", "default/d"));
  EXPECT_EQ(read({folder / "none.yaml"}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(read({folder / "empty"}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(read({folder, folder / "a.yaml"}).status().message()), HasSubstr("is there already"));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace muster
