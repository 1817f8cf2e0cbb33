#include "scheduler/wire/decode.h"

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "scheduler/wire/pod_spec.h"
#include "scheduler/wire/proto/core_v1.pb.h"

namespace muster {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

namespace core = k8s::io::api::core::v1;

template <typename T>
T Message(const std::string& text) {
  T message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}
core::Pod PodMessage(const std::string& text) {
  auto pod = Message<core::Pod>(text);
  pod.mutable_metadata()->set_name("p");
  return pod;
}

PodPtr Decode(const std::string& text) { return Decoder().DecodePod(PodMessage(text).SerializeAsString()); }
PodPtr DecodeAsWritten(const std::string& text) { return Decoder().DecodePod(PodMessage(text)); }

std::string Print(const std::vector<Amount>& amounts) {
  std::string text;
  for (const Amount& a : amounts) text += (text.empty() ? "" : " ") + a.resource + "=" + std::to_string(a.value);
  return text;
}

std::string Requests(const std::string& list) { return "resources { " + list + " } "; }
std::string Entry(const std::string& list, const std::string& name, const std::string& quantity) {
  return list + " { key: '" + name + "' value { string: '" + quantity + "' } } ";
}

TEST(DecodePod, OwnFields) {
  const PodPtr pod = Decode(R"(
      metadata { namespace: 'team' uid: 'u-1' resourceVersion: '42' generation: 3
                 creationTimestamp { seconds: 1700000000 nanos: 5 } deletionTimestamp { seconds: 1 }
                 labels { key: 'app' value: 'web' } }
      spec { nodeName: 'n1' schedulingGates { name: 'a' } schedulingGates { name: 'b' } schedulerName: 'muster' }
      status { phase: 'Failed' nominatedNodeName: 'n2'
               conditions { type: 'Ready' status: 'True' }
               conditions { type: 'PodScheduled' status: 'False' reason: 'Unschedulable' message: 'no' } })");
  ASSERT_NE(pod, nullptr);
  EXPECT_EQ(pod->Key(), "team/p");
  EXPECT_EQ(pod->uid, "u-1");
  EXPECT_EQ(pod->resource_version, 42u);
  EXPECT_EQ(pod->generation, 3);
  EXPECT_EQ(pod->node, "n1");
  EXPECT_EQ(pod->spec->requested_node, "");
  EXPECT_EQ(pod->nominated_node, "n2");
  EXPECT_THAT(pod->scheduling_gates, ElementsAre("a", "b"));
  EXPECT_EQ(pod->created, absl::FromUnixSeconds(1700000000) + absl::Nanoseconds(5));
  EXPECT_TRUE(pod->deleting);
  EXPECT_TRUE(pod->ended);
  EXPECT_EQ(pod->scheduled, (PodCondition{true, "False", "Unschedulable", "no"}));
  EXPECT_EQ(pod->invalid, "");
  EXPECT_EQ(pod->spec->scheduler_name, "muster");
  EXPECT_THAT(pod->spec->labels, ElementsAre(Pair("app", "web")));
}

TEST(DecodePod, SchedulingFields) {
  const PodPtr pod = Decode(R"(
      spec { priority: 7 preemptionPolicy: 'Never' nodeSelector { key: 'disk' value: 'ssd' }
        tolerations { key: 'a' operator: 'Exists' effect: 'NoSchedule' }
        tolerations { key: 'b' value: 'v' } tolerations { key: 'c' operator: 'Near' effect: 'Odd' }
        affinity { nodeAffinity {
          requiredDuringSchedulingIgnoredDuringExecution { nodeSelectorTerms {
            matchExpressions { key: 'z' operator: 'In' values: 'y' values: 'x' }
            matchFields { key: 'metadata.name' operator: 'Odd' values: 'n' } } }
          preferredDuringSchedulingIgnoredDuringExecution { weight: 5 preference {
            matchExpressions { key: 'g' operator: 'Gt' values: '3' } } } } } })");
  const PodSpec& spec = *pod->spec;
  EXPECT_EQ(spec.priority, 7);
  EXPECT_EQ(spec.preemption_policy, "Never");
  EXPECT_THAT(spec.node_selector, ElementsAre(Pair("disk", "ssd")));
  using Op = Toleration::Op;
  EXPECT_THAT(spec.tolerations, ElementsAre(Toleration{"a", Op::kExists, "", false, TaintEffect::kNoSchedule},
                                            Toleration{"b", Op::kEqual, "v", true, TaintEffect::kOther},
                                            Toleration{"c", Op::kInvalid, "", false, TaintEffect::kOther}));
  ASSERT_TRUE(spec.node_affinity.has_required);
  ASSERT_EQ(spec.node_affinity.required.size(), 1u);
  EXPECT_EQ(spec.node_affinity.required[0].expressions[0], (Requirement{"z", Operator::kIn, {"y", "x"}, ""}));
  EXPECT_EQ(spec.node_affinity.required[0].fields[0], (Requirement{"metadata.name", Operator::kInvalid, {"n"}, "Odd"}));
  EXPECT_EQ(spec.node_affinity.preferred[0].weight, 5);
  EXPECT_EQ(spec.node_affinity.preferred[0].term.expressions[0], (Requirement{"g", Operator::kGt, {"3"}, ""}));
}

TEST(DecodePod, EmptyRequiredAffinityIsKept) {
  const PodPtr pod = Decode("spec { affinity { nodeAffinity { requiredDuringSchedulingIgnoredDuringExecution {} } } }");
  EXPECT_TRUE(pod->spec->node_affinity.has_required);
  EXPECT_THAT(pod->spec->node_affinity.required, IsEmpty());
}

TEST(DecodePod, PortsAndImages) {
  const PodPtr pod = Decode(R"(
      spec {
        volumes { name: 'v' } volumes { volumeSource { image { reference: 'data:1' } } }
        containers { image: 'web' ports { hostPort: 80 } ports { containerPort: 81 } }
        containers { ports { hostPort: 53 protocol: 'UDP' hostIP: '10.0.0.1' } }
        initContainers { image: 'side' restartPolicy: 'Always' ports { hostPort: 90 } }
        initContainers { image: 'init' ports { hostPort: 91 } } })");
  EXPECT_THAT(pod->spec->host_ports, ElementsAre(HostPort{"0.0.0.0", "TCP", 90}, HostPort{"0.0.0.0", "TCP", 80},
                                                 HostPort{"10.0.0.1", "UDP", 53}));
  EXPECT_THAT(pod->spec->images, ElementsAre("web", "side", "init", "data:1"));
  EXPECT_EQ(pod->spec->image_count, 5);
  EXPECT_THAT(Decode("spec { hostNetwork: true containers { ports { containerPort: 81 } } }")->spec->host_ports,
              ElementsAre(HostPort{"0.0.0.0", "TCP", 81}));
}

struct AmountCase {
  std::string name, spec, stored, written;  // requests of a pod as a server stores and as a user writes it
};

TEST(DecodePod, Requests) {
  const std::string cpu1 = Entry("requests", "cpu", "1"), limit2 = Entry("limits", "cpu", "2");
  const std::string huge = Entry("limits", "hugepages-2Mi", "4Mi");
  const AmountCase kCases[] = {
      {"nothing", "containers {}", "", ""},
      {"requests", "containers { " + Requests(cpu1) + "}", "cpu=1000", "cpu=1000"},
      {"limit as request", "containers { " + Requests(limit2) + "}", "cpu=2000", "cpu=2000"},
      {"request beside limit", "containers { " + Requests(cpu1 + limit2) + "}", "cpu=1000", "cpu=1000"},
      {"init limit", "initContainers { " + Requests(limit2) + "}", "cpu=2000", "cpu=2000"},
      {"rounded up each",
       "containers { " + Requests(Entry("requests", "cpu", "100u")) + "} containers { " +
           Requests(Entry("requests", "cpu", "100u")) + "}",
       "cpu=2", "cpu=2"},
      {"pod-level limit only", "resources { " + limit2 + "} containers {}", "", "cpu=2000"},
      {"pod-level limit, container request", "resources { " + limit2 + "} containers { " + Requests(cpu1) + "}",
       "cpu=1000", "cpu=1000"},
      {"pod-level huge pages from containers",
       "resources { " + cpu1 + "} containers { " + Requests(huge) + "} containers { " + Requests(huge) + "}",
       "cpu=1000 hugepages-2Mi=8388608", "cpu=1000 hugepages-2Mi=8388608"},
      {"overhead", "overhead { key: 'memory' value { string: '1Ki' } } containers { " + Requests(cpu1) + "}",
       "cpu=1000 memory=1024", "cpu=1000 memory=1024"},
      {"dropped names",
       "containers { " +
           Requests(Entry("requests", "pods", "1") + Entry("requests", "storage", "1") +
                    Entry("requests", "example.com/gpu", "2") + Entry("requests", "cpu", "0")) +
           "}",
       "example.com/gpu=2", "example.com/gpu=2"},
  };
  for (const AmountCase& c : kCases) {
    EXPECT_EQ(Print(Decode("spec { " + c.spec + "}")->spec->amounts.requests), c.stored) << c.name;
    EXPECT_EQ(Print(DecodeAsWritten("spec { " + c.spec + "}")->spec->amounts.requests), c.written) << c.name;
  }
}

TEST(DecodePod, StatusCountsForUsage) {
  const PodPtr pod = Decode("spec { containers { name: 'a' " + Requests(Entry("requests", "cpu", "1")) +
                            "} } status { containerStatuses { " + "name: 'a' " +
                            Requests(Entry("requests", "cpu", "3")) + Entry("allocatedResources", "cpu", "2") + "} }");
  EXPECT_EQ(Print(pod->spec->amounts.requests), "cpu=1000");
  EXPECT_EQ(Print(pod->spec->amounts.usage), "cpu=3000");
  const PodPtr infeasible =
      Decode("spec { containers { name: 'a' " + Requests(Entry("requests", "cpu", "9")) + "} } status { " +
             "conditions { type: 'PodResizePending' reason: 'Infeasible' } containerStatuses { name: 'a' " +
             Requests(Entry("requests", "cpu", "3")) + Entry("allocatedResources", "cpu", "2") + "} }");
  EXPECT_EQ(Print(infeasible->spec->amounts.requests), "cpu=9000");
  EXPECT_EQ(Print(infeasible->spec->amounts.usage), "cpu=3000");
}

TEST(DecodePod, InvalidNamesTheField) {
  const std::pair<std::string, std::string> kCases[] = {
      {"containers {} containers { " + Requests(Entry("requests", "cpu", "1x")) + "}",
       "spec.containers[1].resources.requests[cpu]: quantity \"1x\" is not a number with an optional suffix"},
      {"initContainers { " + Requests(Entry("limits", "memory", "-1")) + "}",
       "spec.initContainers[0].resources.limits[memory]: must not be negative"},
      {Entry("overhead", "cpu", "10E"), "spec.overhead[cpu]: quantity \"10E\" overflows 64 bits"},
  };
  for (const auto& [spec, message] : kCases) EXPECT_EQ(Decode("spec { " + spec + "}")->invalid, message);
}

LabelSelector Selector(std::vector<Requirement> requirements) { return {true, std::move(requirements)}; }
Requirement In(const std::string& key, const std::string& value) { return {key, Operator::kIn, {value}, ""}; }

constexpr char kRequired[] = "requiredDuringSchedulingIgnoredDuringExecution";

TEST(DecodePod, PodAffinityTerms) {
  struct Case {
    std::string term;
    PodAffinityTerm want;
  };
  const Case kCases[] = {
      {"", {"", {}, {"team"}, {}}},
      {"topologyKey: 'zone' labelSelector {}", {"zone", Selector({}), {"team"}, {}}},
      {"labelSelector { matchLabels { key: 'b' value: '2' } matchLabels { key: 'a' value: '1' }"
       " matchExpressions { key: '0' operator: 'Exists' } }",
       {"", Selector({In("a", "1"), In("b", "2"), {"0", Operator::kExists, {}, ""}}), {"team"}, {}}},
      {"namespaces: 'y' namespaces: 'x' namespaces: 'y'", {"", {}, {"x", "y"}, {}}},
      {"namespaceSelector {}", {"", {}, {}, Selector({})}},
      {"namespaces: 'x' namespaceSelector { matchLabels { key: 'a' value: '1' } }",
       {"", {}, {"x"}, Selector({In("a", "1")})}},
  };
  for (const Case& c : kCases) {
    const std::string term = " { " + c.term + " }";
    const std::string weighted =
        " preferredDuringSchedulingIgnoredDuringExecution { weight: 7 podAffinityTerm" + term + " }";
    const PodPtr pod =
        Decode("metadata { namespace: 'team' } spec { affinity { podAffinity { " + std::string(kRequired) + term +
               weighted + " } podAntiAffinity { " + kRequired + term + weighted + " } } }");
    EXPECT_EQ(pod->invalid, "");
    const PodAffinity& affinity = pod->spec->pod_affinity;
    EXPECT_THAT(affinity.required, ElementsAre(c.want)) << c.term;
    EXPECT_THAT(affinity.required_anti, ElementsAre(c.want)) << c.term;
    EXPECT_THAT(affinity.preferred, ElementsAre(WeightedPodAffinityTerm{7, c.want})) << c.term;
    EXPECT_THAT(affinity.preferred_anti, ElementsAre(WeightedPodAffinityTerm{7, c.want})) << c.term;
  }
}

TEST(DecodePod, LabelKeysAreMergedOnce) {
  const std::string pod = "metadata { labels { key: 'h' value: '1' } labels { key: 'm' value: '2' } } spec { ";
  const std::string keys = " matchLabelKeys: 'h' matchLabelKeys: 'none'";
  const Requirement h = In("h", "1"), not_m{"m", Operator::kNotIn, {"2"}, ""};
  const std::string merged_h = " matchExpressions { key: 'h' operator: 'In' values: '1' }";
  struct Case {
    std::string selector;
    LabelSelector affinity_written, affinity_stored, spread;
  };
  const Case kCases[] = {
      {"", {}, {}, {}},
      {"labelSelector {}", Selector({h, not_m}), Selector({}), Selector({h})},
      {"labelSelector {" + merged_h + " matchExpressions { key: 'm' operator: 'NotIn' values: '2' } }",
       Selector({h, not_m}), Selector({h, not_m}), Selector({h, not_m})},
      // The pod's label changed after it was stored: only spreading looks again.
      {"labelSelector { matchExpressions { key: 'h' operator: 'In' values: '0' } }", Selector({In("h", "0"), h, not_m}),
       Selector({In("h", "0")}), Selector({In("h", "0"), h})},
  };
  for (const Case& c : kCases) {
    const std::string text = pod + "affinity { podAffinity { " + kRequired + " { " + c.selector + keys +
                             " mismatchLabelKeys: 'm' } } } topologySpreadConstraints { " + c.selector + keys + " } }";
    const PodPtr written = DecodeAsWritten(text), stored = Decode(text);
    EXPECT_EQ(written->spec->pod_affinity.required[0].selector, c.affinity_written) << c.selector;
    EXPECT_EQ(stored->spec->pod_affinity.required[0].selector, c.affinity_stored) << c.selector;
    EXPECT_EQ(written->spec->spread[0].selector, c.spread) << c.selector;
    EXPECT_EQ(stored->spec->spread[0].selector, c.spread) << c.selector;
  }
}

TEST(DecodePod, SpreadConstraints) {
  const std::pair<std::string, SpreadConstraint> kCases[] = {
      {"maxSkew: 2 topologyKey: 'zone' whenUnsatisfiable: 'DoNotSchedule'", {2, "zone", true, {}, 1, true, false}},
      {"maxSkew: 1 whenUnsatisfiable: 'ScheduleAnyway' labelSelector {}", {1, "", false, Selector({}), 1, true, false}},
      {"maxSkew: 1 minDomains: 3", {1, "", true, {}, 3, true, false}},
      {"maxSkew: 1 nodeAffinityPolicy: 'Ignore' nodeTaintsPolicy: 'Honor'", {1, "", true, {}, 1, false, true}},
      {"maxSkew: 1 nodeAffinityPolicy: 'Honor' nodeTaintsPolicy: 'Ignore'", {1, "", true, {}, 1, true, false}},
  };
  for (const auto& [text, want] : kCases) {
    EXPECT_THAT(Decode("spec { topologySpreadConstraints { " + text + " } }")->spec->spread, ElementsAre(want)) << text;
  }
}

TEST(DecodePod, SelectorsThatAreNone) {
  const std::pair<std::string, std::string> kCases[] = {
      {"key: 'a' operator: 'Gt' values: '1'", "operator: \"Gt\" is not a valid label selector operator"},
      {"key: 'a'", "operator: \"\" is not a valid label selector operator"},
      {"key: 'a' operator: 'In'", "values: must not be empty for In and NotIn"},
      {"key: 'a' operator: 'Exists' values: 'x'", "values: must be empty for Exists and DoesNotExist"},
  };
  for (const auto& [expression, message] : kCases) {
    const std::string selector = "abelSelector { matchExpressions { " + expression + " } }";
    EXPECT_EQ(Decode("spec { topologySpreadConstraints { l" + selector + " } }")->invalid,
              "spec.topologySpreadConstraints[0].labelSelector.matchExpressions[0]." + message);
    EXPECT_EQ(Decode("spec { affinity { podAntiAffinity { preferredDuringSchedulingIgnoredDuringExecution {"
                     " podAffinityTerm { l" +
                     selector + " } } } } }")
                  ->invalid,
              "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm."
              "labelSelector.matchExpressions[0]." +
                  message);
  }
}

TEST(DecodePod, Volumes) {
  using Kind = PodVolume::Kind;
  const std::pair<std::string, PodVolume> kCases[] = {
      {"persistentVolumeClaim { claimName: 'c' readOnly: true }", {Kind::kClaim, "v", "c", "", true, {}, ""}},
      {"ephemeral {}", {Kind::kEphemeral, "v", "p-v", "u", false, {}, ""}},
      {"gcePersistentDisk { pdName: 'd' readOnly: true }", {Kind::kGcePd, "v", "d", "", true, {}, ""}},
      {"awsElasticBlockStore { volumeID: 'd' }", {Kind::kAwsEbs, "v", "d", "", false, {}, ""}},
      {"iscsi { iqn: 'd' readOnly: true }", {Kind::kIscsi, "v", "d", "", true, {}, ""}},
      {"rbd { monitors: 'b' monitors: 'a' image: 'd' pool: 'p' }", {Kind::kRbd, "v", "d", "", false, {"b", "a"}, "p"}},
      {"csi { driver: 'd' readOnly: true }", {Kind::kCsi, "v", "d", "", true, {}, ""}},
      {"azureDisk { diskName: 'n' diskURI: 'd' }", {Kind::kAzureDisk, "v", "d", "", false, {}, "Shared"}},
      {"azureDisk { diskURI: 'd' kind: 'Managed' }", {Kind::kAzureDisk, "v", "d", "", false, {}, "Managed"}},
      {"cinder { volumeID: 'd' }", {Kind::kCinder, "v", "d", "", false, {}, ""}},
      {"vsphereVolume { volumePath: 'd' }", {Kind::kVsphere, "v", "d", "", false, {}, ""}},
      {"azureFile { secretName: 's' shareName: 'd' }", {Kind::kAzureFile, "v", "d", "", false, {}, ""}},
      {"portworxVolume { volumeID: 'd' }", {Kind::kPortworx, "v", "d", "", false, {}, ""}},
  };
  for (const auto& [source, want] : kCases) {
    const PodPtr pod = Decode(
        "metadata { uid: 'u' } spec { volumes { name: 'none' volumeSource {} } "
        "volumes { name: 'v' volumeSource { " +
        source + " } } }");
    EXPECT_THAT(pod->spec->volumes, ElementsAre(want)) << source;
  }
}

TEST(DecodePod, Controller) {
  const auto owner = [](const std::string& api_version, const std::string& kind, const std::string& rest) {
    return "ownerReferences { apiVersion: '" + api_version + "' kind: '" + kind + "' name: 'o' uid: 'u' " + rest + "} ";
  };
  const std::string controller = "controller: true ";
  const ControllerRef none, rs{"ReplicaSet", "apps/v1", "o"};
  const std::pair<std::string, ControllerRef> kCases[] = {
      {"", none},
      {owner("apps/v1", "ReplicaSet", controller), rs},
      {owner("apps/v1", "ReplicaSet", ""), none},
      {owner("apps/v1", "StatefulSet", "") + owner("apps/v1", "ReplicaSet", controller), rs},
      {owner("batch/v1", "Job", controller) + owner("apps/v1", "ReplicaSet", controller), none},
      {owner("apps/v1", "StatefulSet", controller), {"StatefulSet", "apps/v1", "o"}},
      {owner("v1", "ReplicationController", controller), {"ReplicationController", "v1", "o"}},
      {owner("v1", "ReplicaSet", controller), none},
      {owner("apps/v1beta2", "ReplicaSet", controller), none},
      {owner("apps/v1", "DaemonSet", controller), none},
  };
  for (const auto& [owners, want] : kCases) {
    EXPECT_EQ(Decode("metadata { " + owners + "}")->spec->controller, want) << owners;
  }
}

TEST(DecodePod, RequiredFeatures) {
  const std::string restart =
      "{ restartPolicyRules { action: 'Restart' } restartPolicyRules { action: "
      "'RestartAllContainers' } } ";
  const std::string mount = "{ volumeMounts {} volumeMounts { name: 'a' bindMountOptions: 'noexec' } } ";
  const char kRestart[] = "RestartAllContainersOnContainerExits", kUsers[] = "UserNamespacesHostNetworkSupport",
             kMounts[] = "VolumeBindMountOptions";
  using Names = std::vector<std::string>;
  const std::pair<std::string, Names> kCases[] = {
      {"containers { volumeMounts { name: 'a' } restartPolicyRules { action: 'Restart' } }", {}},
      {"containers " + restart, {kRestart}},
      {"initContainers " + restart, {kRestart}},
      {"containers " + mount, {kMounts}},
      {"initContainers " + mount, {kMounts}},
      {"ephemeralContainers { ephemeralContainerCommon " + mount + "}", {kMounts}},
      {"hostNetwork: true hostUsers: false", {kUsers}},
      {"hostNetwork: true hostUsers: true", {}},
      {"hostNetwork: true", {}},
      {"hostUsers: false", {}},
      {"hostNetwork: true hostUsers: false containers " + mount + "containers " + restart, {kRestart, kUsers, kMounts}},
  };
  for (const auto& [spec, want] : kCases) {
    EXPECT_EQ(Decode("spec { " + spec + "}")->spec->required_features, want) << spec;
  }
}

TEST(DecodePod, Claims) {
  const PodPtr pod = Decode(R"(
      spec { resourceClaims { name: 'given' resourceClaimName: 'c' }
             resourceClaims { name: 'made' resourceClaimTemplateName: 't' }
             resourceClaims { name: 'needless' resourceClaimTemplateName: 't' }
             resourceClaims { name: 'to come' resourceClaimTemplateName: 't' } resourceClaims { name: 'odd' } }
      status { resourceClaimStatuses { name: 'given' resourceClaimName: 'not this' }
               resourceClaimStatuses { name: 'made' resourceClaimName: 'p-made-x7' }
               resourceClaimStatuses { name: 'made' resourceClaimName: 'a second' }
               resourceClaimStatuses { name: 'needless' }
               extendedResourceClaimStatus { resourceClaimName: 'p-extended' } })");
  EXPECT_THAT(pod->claims, ElementsAre(PodClaim{"given", "", "c", true}, PodClaim{"made", "t", "p-made-x7", true},
                                       PodClaim{"needless", "t", "", true}, PodClaim{"to come", "t", "", false},
                                       PodClaim{"odd", "", "", false}));
  EXPECT_EQ(pod->extended_claim, "p-extended");
  // Claims of a pod's own do not make a shape of its own.
  Decoder decoder;
  const PodPtr a = decoder.DecodePod(PodMessage("").SerializeAsString());
  const PodPtr b = decoder.DecodePod(PodMessage(R"(
      spec { resourceClaims { name: 'a' } } status { resourceClaimStatuses { name: 'a' } })")
                                         .SerializeAsString());
  EXPECT_EQ(a->spec, b->spec);
}

TEST(DecodePod, DevicesThatContainersAskFor) {
  const PodPtr pod = Decode(
      "spec { initContainers { name: 'i' " + Requests(Entry("requests", "example.com/gpu", "1")) + "} " +
      "initContainers { name: 's' restartPolicy: 'Always' " + Requests(Entry("limits", "example.com/gpu", "2")) + "} " +
      "containers { name: 'none' " + Requests(Entry("requests", "cpu", "1")) + "} " + "containers { name: 'c' " +
      Requests(Entry("requests", "memory", "1") + Entry("requests", "example.com/none", "0") +
               Entry("requests", "example.com/nic", "3") + Entry("requests", "kubernetes.io/batch", "1") +
               Entry("requests", "requests.example.com/x", "1") +
               Entry("requests", "deviceclass.resource.kubernetes.io/g", "4")) +
      "} }");
  using Ask = ContainerDevices::Request;
  EXPECT_THAT(
      pod->spec->devices,
      ElementsAre(
          ContainerDevices{"i", 0, true, {Ask{"example.com/gpu", 1, 0}}},
          ContainerDevices{"s", 1, false, {Ask{"example.com/gpu", 2, 0}}},
          ContainerDevices{
              "c", 3, false, {Ask{"deviceclass.resource.kubernetes.io/g", 4, 0}, Ask{"example.com/nic", 3, 1}}}));
}

TEST(DecodePod, StartTime) {
  EXPECT_EQ(Decode("")->started, absl::InfinitePast());
  EXPECT_EQ(Decode("status { startTime { seconds: 17 } }")->started, absl::FromUnixSeconds(17));
}

TEST(DecodePod, OnlyPodsWithClaimsOfTheirOwnHaveShapesOfTheirOwn) {
  Decoder decoder;
  std::vector<PodPtr> pods;
  for (const char* volume : {"persistentVolumeClaim { claimName: 'c' }", "ephemeral {}"}) {
    for (const char* name : {"a", "b"}) {
      core::Pod pod = PodMessage("spec { volumes { name: 'v' volumeSource { " + std::string(volume) + " } } }");
      pod.mutable_metadata()->set_name(name);
      pods.push_back(decoder.DecodePod(pod.SerializeAsString()));
    }
  }
  EXPECT_EQ(pods[0]->spec, pods[1]->spec);
  EXPECT_NE(pods[2]->spec, pods[3]->spec);
  EXPECT_EQ(pods[3]->spec->volumes[0].source, "b-v");
}

TEST(DecodePod, EqualShapesShareOneSpec) {
  Decoder decoder;
  std::vector<PodPtr> pods;
  for (int i = 0; i < 100; ++i) {
    core::Pod pod = PodMessage("metadata { namespace: 'n' } spec { containers { name: 'c' image: 'i' } }");
    pod.mutable_metadata()->set_name("p" + std::to_string(i));
    pod.mutable_spec()->set_nodename("node" + std::to_string(i));
    pod.mutable_spec()->add_volumes()->set_name("token-" + std::to_string(i));
    pods.push_back(decoder.DecodePod(pod.SerializeAsString()));
    pods.push_back(decoder.DecodePod(pod));
  }
  for (const PodPtr& pod : pods) EXPECT_EQ(pod->spec, pods[0]->spec);
  EXPECT_EQ(decoder.shapes(), 1u);
}

TEST(DecodePod, UnusedShapesAreLetGo) {
  Decoder decoder;
  for (int i = 0; i < 20000; ++i) {
    core::Pod pod = PodMessage("");
    (*pod.mutable_metadata()->mutable_labels())["i"] = std::to_string(i);
    decoder.DecodePod(pod.SerializeAsString());
  }
  EXPECT_LT(decoder.shapes(), 5000u);
}

// The walk over bytes must leave nothing out that BuildPodSpec reads from the whole message.
class RandomPod {
 public:
  explicit RandomPod(uint32_t seed) : random_(seed) {}
  // Fills fields of any message at random, with words that mean something somewhere.
  void Fill(google::protobuf::Message* message, int depth = 0) {
    const auto* type = message->GetDescriptor();
    const auto* reflection = message->GetReflection();
    using Field = google::protobuf::FieldDescriptor;
    for (int i = 0; i < type->field_count(); ++i) {
      const Field* field = type->field(i);
      if (Below(depth < 2 ? 4 : 2) == 0) continue;
      const int count = field->is_map() ? 1 : field->is_repeated() ? Below(3) : 1;
      for (int k = 0; k < count; ++k) {
        if (field->cpp_type() == Field::CPPTYPE_MESSAGE) {
          Fill(field->is_repeated() ? reflection->AddMessage(message, field)
                                    : reflection->MutableMessage(message, field),
               depth + 1);
        } else if (field->cpp_type() == Field::CPPTYPE_STRING) {
          const bool quantity = type->name() == "Quantity";
          const std::string word = quantity ? std::to_string(Below(5)) + (Below(2) == 0 ? "" : "m") : Word();
          field->is_repeated() ? reflection->AddString(message, field, word)
                               : reflection->SetString(message, field, word);
        } else if (field->cpp_type() == Field::CPPTYPE_BOOL) {
          reflection->SetBool(message, field, Below(2) == 0);
        } else if (field->cpp_type() == Field::CPPTYPE_INT32) {
          reflection->SetInt32(message, field, Below(4) - 1);
        } else {
          reflection->SetInt64(message, field, Below(4) - 1);
        }
      }
    }
  }
  int Below(int bound) { return static_cast<int>(random_() % static_cast<uint32_t>(bound)); }

 private:
  std::string Word() {
    static const char* const kWords[] = {"a",          "b",
                                         "",           "Always",
                                         "In",         "Exists",
                                         "NoSchedule", "cpu",
                                         "memory",     "PodResizePending",
                                         "Infeasible", "PodScheduled",
                                         "Equal",      "example.com/x",
                                         "apps/v1",    "ReplicaSet",
                                         "Honor",      "RestartAllContainers"};
    return kWords[Below(std::size(kWords))];
  }
  std::mt19937 random_;
};

TEST(DecodePod, WalkAgreesWithParsing) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  RandomPod random(seed);
  Decoder decoder;
  for (int i = 0; i < 2000; ++i) {
    core::Pod pod;
    random.Fill(&pod);
    pod.mutable_metadata()->set_name("p");
    PodSpec want;
    const std::string invalid = BuildPodSpec(pod, /*as_written=*/false, &want);
    const PodPtr got = decoder.DecodePod(pod.SerializeAsString());
    ASSERT_NE(got, nullptr);
    ASSERT_EQ(got->invalid, invalid) << pod.DebugString();
    ASSERT_EQ(*got->spec, want) << pod.DebugString();
    ASSERT_EQ(got->node, pod.spec().nodename());
  }
}

TEST(DecodePod, AnyBytesAreAnswered) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  RandomPod random(seed);
  Decoder decoder;
  for (int i = 0; i < 3000; ++i) {
    core::Pod pod;
    core::Node node;
    random.Fill(&pod);
    random.Fill(&node);
    for (std::string bytes : {pod.SerializeAsString(), node.SerializeAsString()}) {
      for (int k = random.Below(4); k >= 0 && !bytes.empty(); --k) {
        bytes[static_cast<size_t>(random.Below(static_cast<int>(bytes.size())))] = static_cast<char>(random.Below(256));
      }
      bytes.resize(bytes.size() - static_cast<size_t>(random.Below(3) == 0 && !bytes.empty()));
      const PodPtr a = decoder.DecodePod(bytes);
      EXPECT_TRUE(a == nullptr || a->spec != nullptr);
      decoder.DecodeNode(bytes);
      ReadStatus(bytes);
      ReadObjectMeta(bytes);
      ReadWatchFrame(bytes);
    }
  }
}

TEST(DecodeNode, Fields) {
  const NodePtr node = Decoder().DecodeNode(Message<core::Node>(R"(
      metadata { name: 'n' uid: 'u' resourceVersion: '9' labels { key: 'zone' value: 'a' } }
      spec { unschedulable: true taints { key: 'k' value: 'v' effect: 'NoExecute' } taints { key: 'l' effect: '' } }
      status {
        capacity { key: 'cpu' value { string: '99' } }
        allocatable { key: 'cpu' value { string: '1500m' } } allocatable { key: 'pods' value { string: '110' } }
        allocatable { key: 'example.com/gpu' value { string: '8' } } allocatable { key: 'odd' value { string: '1' } }
        images { names: 'i:1' names: 'i@sha' sizeBytes: 5 }
        declaredFeatures: 'B' declaredFeatures: 'A' })")
                                                .SerializeAsString());
  EXPECT_EQ(node->name, "n");
  EXPECT_EQ(node->uid, "u");
  EXPECT_EQ(node->resource_version, 9u);
  EXPECT_TRUE(node->unschedulable);
  EXPECT_THAT(node->labels, ElementsAre(Pair("zone", "a")));
  EXPECT_THAT(node->taints, ElementsAre(Taint{"k", "v", TaintEffect::kNoExecute}, Taint{"l", "", TaintEffect::kOther}));
  EXPECT_EQ(Print(node->allocatable), "cpu=1500 example.com/gpu=8 pods=110");
  EXPECT_THAT(node->images, ElementsAre(NodeImage{{"i:1", "i@sha"}, 5}));
  EXPECT_THAT(node->declared_features, ElementsAre("B", "A"));
}

TEST(DecodeNode, CapacityStandsInAndInvalidIsNamed) {
  const auto decode = [](const std::string& status) {
    return Decoder().DecodeNode(Message<core::Node>("metadata { name: 'n' } status { " + status + "}"));
  };
  EXPECT_EQ(Print(decode(Entry("capacity", "cpu", "2"))->allocatable), "cpu=2000");
  EXPECT_EQ(decode(Entry("allocatable", "cpu", "two"))->invalid,
            "status.allocatable[cpu]: quantity \"two\" is not a number with an optional suffix");
}

}  // namespace
}  // namespace muster
