#include "scheduler/wire/device/device_objects.h"

#include <memory>
#include <random>
#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "scheduler/model/device.h"
#include "scheduler/wire/decode.h"

namespace muster {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;
using testing::SizeIs;

namespace resource = k8s::io::api::resource::v1;

template <typename Wire>
Wire Message(const std::string& text) {
  Wire wire;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &wire)) << text;
  wire.mutable_metadata()->set_name("n");
  return wire;
}

// Through the bytes.
template <typename Model, typename Wire>
std::shared_ptr<const Model> Decode(Kind kind, const std::string& text) {
  const ObjectPtr object = Decoder().DecodeObject(kind, Message<Wire>(text).SerializeAsString());
  auto made = std::dynamic_pointer_cast<const Model>(object);
  EXPECT_NE(made, nullptr) << text;
  return made;
}
auto Slice(const std::string& spec) {
  return Decode<ResourceSlice, resource::ResourceSlice>(Kind::kResourceSlice, "spec { " + spec + " }");
}
auto Claim(const std::string& text) {
  return Decode<ResourceClaim, resource::ResourceClaim>(Kind::kResourceClaim, text);
}

DeviceQuantity Amount(const std::string& text) { return {Quantity::ParseWide(text).value(), FormatOf(text)}; }
Requirement In(const std::string& key, const std::string& value) { return {key, Operator::kIn, {value}, ""}; }

TEST(DeviceObjects, Slice) {
  const auto slice = Slice(R"(
      driver: 'gpu.example.com' pool { name: 'p' generation: 3 resourceSliceCount: 2 } perDeviceNodeSelection: true
      skipNodeOperations: '*'
      sharedCounters { name: 'm' counters { key: 'memory' value { value { string: '80Gi' } } } }
      devices {
        name: 'gpu-0' nodeName: 'n1' bindsToNode: true allowMultipleAllocations: false
        capacity { key: 'memory' value { value { string: '40Gi' } requestPolicy {
          default { string: '1Gi' } validRange { min { string: '1Gi' } step { string: '512Mi' } } } } }
        capacity { key: 'cores' value { value { string: '1500m' } requestPolicy {
          validValues { string: '1' } validValues { string: '2' } } } }
        consumesCounters { counterSet: 'm' compatibilityGroups: 'mig'
                           counters { key: 'memory' value { value { string: '40Gi' } } } }
        taints { key: 'k' value: 'v' effect: 'NoSchedule' timeAdded { seconds: 7 } } taints { key: 'l' }
        bindingConditions: 'a' bindingConditions: 'b' bindingFailureConditions: 'c' }
      devices { name: 'gpu-1' allNodes: true })");
  EXPECT_EQ(slice->invalid, "");
  EXPECT_EQ(slice->driver, "gpu.example.com");
  EXPECT_EQ(slice->pool, "p");
  EXPECT_EQ(slice->generation, 3);
  EXPECT_EQ(slice->slice_count, 2);
  EXPECT_TRUE(slice->per_device_node_selection);
  EXPECT_EQ(slice->nodes, DeviceNodes());
  EXPECT_THAT(slice->skip_node_operations, ElementsAre("*"));
  EXPECT_THAT(slice->shared_counters, ElementsAre(CounterSet{"m", {{"memory", Amount("80Gi")}}}));
  ASSERT_THAT(slice->devices, SizeIs(2));
  const Device& device = slice->devices[0];
  EXPECT_EQ(device.nodes, (DeviceNodes{"n1", false, std::nullopt}));
  EXPECT_TRUE(device.binds_to_node);
  EXPECT_EQ(device.allow_multiple_allocations, false);
  CapacityPolicy range{Amount("1Gi"), {}, CapacityPolicy::Range{Amount("1Gi"), std::nullopt, Amount("512Mi")}};
  EXPECT_EQ(device.capacity.at("memory"), (DeviceCapacity{Amount("40Gi"), range}));
  CapacityPolicy values{std::nullopt, {Amount("1"), Amount("2")}, std::nullopt};
  EXPECT_EQ(device.capacity.at("cores"), (DeviceCapacity{Amount("1500m"), values}));
  EXPECT_THAT(device.consumes_counters, ElementsAre(CounterConsumption{"m", {{"memory", Amount("40Gi")}}, {"mig"}}));
  EXPECT_THAT(device.taints, ElementsAre(DeviceTaint{"k", "v", "NoSchedule", absl::FromUnixSeconds(7)},
                                         DeviceTaint{"l", "", "", absl::InfinitePast()}));
  EXPECT_THAT(device.binding_conditions, ElementsAre("a", "b"));
  EXPECT_THAT(device.binding_failure_conditions, ElementsAre("c"));
  EXPECT_TRUE(slice->devices[1].nodes.all_nodes);
  EXPECT_EQ(slice->devices[1].allow_multiple_allocations, std::nullopt);
}

TEST(DeviceObjects, NodesOfASlice) {
  EXPECT_EQ(Slice("nodeName: 'n1'")->nodes, (DeviceNodes{"n1", false, std::nullopt}));
  EXPECT_EQ(Slice("allNodes: true")->nodes, (DeviceNodes{"", true, std::nullopt}));
  const std::string term = "nodeSelectorTerms { matchExpressions { key: 'a' operator: 'In' values: 'b' } }";
  const auto chosen = Slice("nodeSelector { " + term + " }");
  EXPECT_EQ(chosen->nodes, (DeviceNodes{"", false, std::vector{NodeSelectorTerm{{In("a", "b")}, {}}}}));
  EXPECT_EQ(chosen->invalid, "");
  EXPECT_EQ(Slice("nodeSelector { " + term + term + " }")->invalid,
            "spec.nodeSelector.nodeSelectorTerms: must have one item");
  EXPECT_EQ(Slice("devices {} devices { nodeSelector {} }")->invalid,
            "spec.devices[1].nodeSelector.nodeSelectorTerms: must have one item");
}

TEST(DeviceObjects, Attributes) {
  using Type = DeviceAttribute::Type;
  const struct {
    const char* text;
    DeviceAttribute want;
  } kRows[] = {
      {"int: -5", {Type::kInt, false, {-5}, {}}},
      {"int: 0", {Type::kInt, false, {0}, {}}},
      {"bool: true", {Type::kBool, false, {1}, {}}},
      {"bool: false", {Type::kBool, false, {0}, {}}},
      {"string: ''", {Type::kString, false, {}, {""}}},
      {"version: '1.2.3'", {Type::kVersion, false, {}, {"1.2.3"}}},
      {"ints: 1 ints: 2", {Type::kInt, true, {1, 2}, {}}},
      {"bools: true bools: false", {Type::kBool, true, {1, 0}, {}}},
      {"strings: 'a'", {Type::kString, true, {}, {"a"}}},
      {"versions: '1.0.0' versions: '2.0.0'", {Type::kVersion, true, {}, {"1.0.0", "2.0.0"}}},
      {"", {}},
  };
  for (const auto& row : kRows) {
    const auto slice = Slice(std::string("devices { attributes { key: 'd/a' value { ") + row.text + " } } }");
    EXPECT_THAT(slice->devices[0].attributes, ElementsAre(Pair("d/a", row.want))) << row.text;
  }
}

// A device whose amounts are not known must not be allocated; which one is told does not hang on the order of a map.
TEST(DeviceObjects, AmountsThatCannotBeRead) {
  const struct {
    const char *device, *error;
  } kRows[] = {
      {"capacity { key: 'b' value { value { string: 'x' } } } capacity { key: 'a' value { value { string: '1x' } } }",
       "spec.devices[0].capacity[a].value: quantity \"1x\" is not a number with an optional suffix"},
      {"capacity { key: 'a' value { value { string: '1' } requestPolicy { default { string: 'y' } } } }",
       "spec.devices[0].capacity[a].requestPolicy.default: quantity \"y\" is not a number with an optional suffix"},
      {"consumesCounters {} consumesCounters { counters { key: 'c' value {} } }",
       "spec.devices[0].consumesCounters[1].counters[c]: quantity \"\" is not a number with an optional suffix"},
  };
  for (const auto& row : kRows) {
    const std::string spec = std::string("devices { ") + row.device + " }";
    EXPECT_EQ(Slice(spec)->invalid, row.error);
    std::string error;
    ReadObject(Message<resource::ResourceSlice>("spec { " + spec + " }"), &error);
    EXPECT_EQ(error, row.error);
  }
  EXPECT_EQ(Slice("sharedCounters { counters { key: 'm' value { value { string: '?' } } } }")->invalid,
            "spec.sharedCounters[0].counters[m]: quantity \"?\" is not a number with an optional suffix");
  // Beyond 64 bits is much, but an amount.
  EXPECT_EQ(Slice("devices { capacity { key: 'a' value { value { string: '20E' } } } }")->invalid, "");
}

TEST(DeviceObjects, ClassAndTaintRule) {
  const auto made = Decode<DeviceClass, resource::DeviceClass>(Kind::kDeviceClass, R"(
      metadata { creationTimestamp { seconds: 5 } }
      spec { selectors { cel { expression: 'true' } } selectors {} extendedResourceName: 'example.com/gpu'
             config { deviceConfiguration { opaque { driver: 'd' parameters { raw: '{"a":1}' } } } } })");
  EXPECT_THAT(made->selectors, ElementsAre("true", ""));
  EXPECT_THAT(made->config, ElementsAre(DeviceConfig{{}, true, "d", R"({"a":1})"}));
  EXPECT_EQ(made->extended_resource_name, "example.com/gpu");
  EXPECT_EQ(made->created, absl::FromUnixSeconds(5));

  const auto rule = Decode<DeviceTaintRule, resource::DeviceTaintRule>(
      Kind::kDeviceTaintRule,
      "spec { deviceSelector { driver: 'd' device: '' } taint { key: 'k' effect: 'NoExecute' } }");
  EXPECT_TRUE(rule->has_selector);
  EXPECT_EQ(rule->driver, "d");
  EXPECT_EQ(rule->pool, std::nullopt);
  EXPECT_EQ(rule->device, "");
  EXPECT_EQ(rule->taint, (DeviceTaint{"k", "", "NoExecute", absl::InfinitePast()}));
  EXPECT_FALSE((Decode<DeviceTaintRule, resource::DeviceTaintRule>(Kind::kDeviceTaintRule, "")->has_selector));
}

DeviceRequest Asks(const std::string& name, const std::string& device_class, const std::string& mode, int64_t count) {
  DeviceRequest request;
  request.name = name;
  request.device_class = device_class;
  request.allocation_mode = mode;
  request.count = count;
  return request;
}

TEST(DeviceObjects, ClaimsSpec) {
  const auto claim = Claim(R"(
      metadata { namespace: 's' uid: 'u' resourceVersion: '9' deletionTimestamp {}
                 ownerReferences { uid: 'x' } ownerReferences { uid: 'pod' controller: true }
                 annotations { key: 'resource.kubernetes.io/pod-claim-name' value: 'gpu' }
                 annotations { key: 'resource.kubernetes.io/extended-resource-claim' value: 'true' }
                 finalizers: 'other' finalizers: 'resource.kubernetes.io/delete-protection' }
      spec { devices {
        requests { name: 'a' exactly { deviceClassName: 'c' selectors { cel { expression: 'x' } } allocationMode: 'All'
          adminAccess: false tolerations { key: 'k' operator: 'Exists' effect: 'NoExecute' tolerationSeconds: 3 }
          capacity { requests { key: 'm' value { string: '1Gi' } } }
          derivedAttributes { name: 'd/e' expression: 'y' } } }
        requests { name: 'b' firstAvailable { name: 'l' deviceClassName: 'c' allocationMode: 'ExactCount' count: 2 }
                             firstAvailable { name: 'm' deviceClassName: 'd' count: 1 } }
        constraints { requests: 'a' requests: 'b/l' matchAttribute: 'd/a' } constraints { distinctAttribute: 'd/b' }
        config { requests: 'a' deviceConfiguration { opaque { driver: 'd' parameters { raw: '1' } } } } config {} } })");
  EXPECT_EQ(claim->Key(), "s/n");
  EXPECT_EQ(claim->resource_version, 9u);
  EXPECT_EQ(claim->controller_uid, "pod");
  EXPECT_EQ(claim->pod_claim_name, "gpu");
  EXPECT_TRUE(claim->extended_resource);
  EXPECT_TRUE(claim->deleting);
  EXPECT_TRUE(claim->finalizer);
  DeviceRequest a = Asks("a", "c", "All", 0);
  a.selectors = {"x"};
  a.admin_access = false;
  a.tolerations = {{"k", "Exists", "", "NoExecute", 3}};
  a.capacity = {{"m", Amount("1Gi")}};
  a.derived_attributes = {{"d/e", "y"}};
  DeviceRequest b = Asks("b", "", "", 0);
  b.first_available = {Asks("l", "c", "ExactCount", 2), Asks("m", "d", "", 1)};
  EXPECT_THAT(claim->requests, ElementsAre(a, b));
  EXPECT_THAT(claim->constraints,
              ElementsAre(DeviceConstraint{{"a", "b/l"}, "d/a", ""}, DeviceConstraint{{}, "", "d/b"}));
  EXPECT_THAT(claim->config, ElementsAre(DeviceConfig{{"a"}, true, "d", "1"}, DeviceConfig()));
  EXPECT_FALSE(claim->allocation.has_value());
  EXPECT_THAT(claim->reserved_for, IsEmpty());
  EXPECT_EQ(claim->invalid, "");

  const auto bare = Claim("metadata { finalizers: 'other' }");
  EXPECT_FALSE(bare->finalizer || bare->deleting || bare->extended_resource);
  EXPECT_EQ(bare->controller_uid, "");
  EXPECT_EQ(Claim("spec { devices { requests { name: 'a' } } }")->invalid,
            "spec.devices.requests[0]: must have exactly or firstAvailable");
  EXPECT_THAT(Claim("spec { devices { requests { firstAvailable {} firstAvailable { capacity { requests { "
                    "key: 'm' value {} } } } } } }")
                  ->invalid,
              HasSubstr("spec.devices.requests[0].firstAvailable[1].capacity.requests[m]: "));
}

TEST(DeviceObjects, ClaimsStatus) {
  const auto claim = Claim(R"(
      status {
        allocation {
          devices {
            results { request: 'a' driver: 'd' pool: 'p' device: '0' adminAccess: true tolerations { key: 'k' }
                      bindingConditions: 'r' bindingFailureConditions: 'f' skipNodeOperations: '*' }
            results { request: 'b/l' driver: 'd' pool: 'p' device: '1' shareID: 'uid'
                      consumedCapacity { key: 'm' value { string: '512Mi' } } }
            config { source: 'FromClass' deviceConfiguration { opaque { driver: 'd' parameters { raw: '{}' } } } }
            config { source: 'FromClaim' requests: 'a' } }
          nodeSelector { nodeSelectorTerms { matchFields { key: 'metadata.name' operator: 'In' values: 'n1' } } }
          allocationTimestamp { seconds: 11 } }
        reservedFor { resource: 'pods' name: 'p' uid: 'u1' }
        reservedFor { apiGroup: 'scheduling.k8s.io' resource: 'podgroups' name: 'g' uid: 'u2' }
        devices { driver: 'd' pool: 'p' device: '0' conditions { type: 'r' status: 'True' }
                  conditions { type: 'f' status: 'False' } }
        devices { driver: 'd' pool: 'p' device: '1' shareID: 'uid' } })");
  ASSERT_TRUE(claim->allocation.has_value());
  const DeviceAllocation& allocation = *claim->allocation;
  AllocatedDevice a;
  a.request = "a";
  a.id = {"d", "p", "0"};
  a.admin_access = true;
  a.tolerations = {{"k", "", "", "", std::nullopt}};
  a.binding_conditions = {"r"};
  a.binding_failure_conditions = {"f"};
  a.skip_node_operations = {"*"};
  AllocatedDevice b;
  b.request = "b/l";
  b.id = {"d", "p", "1"};
  b.share_id = "uid";
  b.consumed_capacity = {{"m", Amount("512Mi")}};
  EXPECT_THAT(allocation.devices, ElementsAre(a, b));
  EXPECT_THAT(allocation.config, ElementsAre(AllocatedConfig{true, {{}, true, "d", "{}"}},
                                             AllocatedConfig{false, {{"a"}, false, "", ""}}));
  EXPECT_EQ(allocation.nodes, (NodeSelectorTerm{{}, {In("metadata.name", "n1")}}));
  EXPECT_EQ(allocation.time, absl::FromUnixSeconds(11));
  using Consumer = ResourceClaim::Consumer;
  EXPECT_THAT(claim->reserved_for,
              ElementsAre(Consumer{"", "pods", "p", "u1"}, Consumer{"scheduling.k8s.io", "podgroups", "g", "u2"}));
  using Condition = ResourceClaim::Condition;
  EXPECT_THAT(claim->conditions,
              ElementsAre(Condition{{"d", "p", "0"}, "", "r", true}, Condition{{"d", "p", "0"}, "", "f", false}));

  const auto anywhere = Claim("status { allocation {} }");
  ASSERT_TRUE(anywhere->allocation.has_value());
  EXPECT_EQ(anywhere->allocation->nodes, std::nullopt);
  EXPECT_EQ(anywhere->allocation->time, absl::InfinitePast());
  EXPECT_EQ(Claim("status { allocation { nodeSelector {} } }")->invalid,
            "status.allocation.nodeSelector.nodeSelectorTerms: must have one item");
}

TEST(DeviceObjects, AClaimKeepsWhatItWasReadFrom) {
  auto wire = Message<resource::ResourceClaim>("metadata { labels { key: 'a' value: 'b' } } spec { devices {} }");
  auto* metadata = wire.mutable_metadata();
  metadata->GetReflection()->MutableUnknownFields(metadata)->AddLengthDelimited(17, "managed");
  metadata->GetReflection()->MutableUnknownFields(metadata)->AddLengthDelimited(99, "later");
  const auto claim = std::static_pointer_cast<const ResourceClaim>(
      Decoder().DecodeObject(Kind::kResourceClaim, wire.SerializeAsString()));
  EXPECT_THAT(claim->original, HasSubstr("later"));
  EXPECT_THAT(claim->original, Not(HasSubstr("managed")));
  resource::ResourceClaim kept;
  ASSERT_TRUE(kept.ParseFromString(claim->original));
  EXPECT_EQ(kept.metadata().labels().at("a"), "b");
  EXPECT_TRUE(kept.spec().has_devices());
}

TEST(DeviceObjects, AnyBytesAreAnswered) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  Decoder decoder;
  const std::string slice =
      Message<resource::ResourceSlice>(R"(spec { driver: 'd' devices { name: 'a' capacity { key: 'm' value { value {
          string: '1Gi' } requestPolicy { validValues { string: '1' } } } } attributes { key: 'k' value { ints: 1 } }
          consumesCounters { counters { key: 'c' value { value { string: '1' } } } } } })")
          .SerializeAsString();
  const std::string claim =
      Message<resource::ResourceClaim>(R"(spec { devices { requests { name: 'a' exactly { count: 1 capacity {
          requests { key: 'm' value { string: '1' } } } } } } } status { allocation { devices { results { request: 'a'
          consumedCapacity { key: 'm' value { string: '1' } } } } nodeSelector { nodeSelectorTerms {} } } })")
          .SerializeAsString();
  size_t read = 0, invalid = 0;
  for (int i = 0; i < 4000; ++i) {
    std::string bytes = i % 2 == 0 ? slice : claim;
    if (random() % 4 != 0) bytes[random() % bytes.size()] = static_cast<char>(random() % 256);
    if (random() % 8 == 0) bytes.resize(random() % bytes.size());
    const auto as_slice =
        std::static_pointer_cast<const ResourceSlice>(decoder.DecodeObject(Kind::kResourceSlice, bytes));
    const auto as_claim =
        std::static_pointer_cast<const ResourceClaim>(decoder.DecodeObject(Kind::kResourceClaim, bytes));
    for (const Kind kind : {Kind::kDeviceClass, Kind::kDeviceTaintRule}) decoder.DecodeObject(kind, bytes);
    read += as_slice != nullptr || as_claim != nullptr ? 1 : 0;
    invalid += as_slice != nullptr && !as_slice->invalid.empty() ? 1 : 0;
  }
  EXPECT_GT(read, 0u);
  EXPECT_GT(invalid, 0u);
}

}  // namespace
}  // namespace muster
