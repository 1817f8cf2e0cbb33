#include "scheduler/wire/objects.h"

#include <random>
#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "scheduler/model/volume_objects.h"
#include "scheduler/wire/decode.h"

namespace muster {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

namespace core = k8s::io::api::core::v1;
namespace apps = k8s::io::api::apps::v1;
namespace policy = k8s::io::api::policy::v1;
namespace storage = k8s::io::api::storage::v1;

// Through the bytes; named n, of namespace s.
template <typename Model, typename Wire>
std::shared_ptr<const Model> Decode(Kind kind, const std::string& text) {
  Wire wire;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &wire)) << text;
  wire.mutable_metadata()->set_name("n");
  wire.mutable_metadata()->set_namespace_("s");
  const ObjectPtr object = Decoder().DecodeObject(kind, wire.SerializeAsString());
  auto made = std::dynamic_pointer_cast<const Model>(object);
  EXPECT_NE(made, nullptr) << text;
  return made;
}

template <typename Wire>
std::string Error(const std::string& text) {
  Wire wire;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &wire)) << text;
  std::string error;
  ReadObject(wire, &error);
  return error;
}

Requirement In(const std::string& key, const std::string& value) { return {key, Operator::kIn, {value}, ""}; }
LabelSelector Selector(std::vector<Requirement> requirements) { return {true, std::move(requirements)}; }

TEST(DecodeObject, Namespace) {
  const auto ns = Decode<Namespace, core::Namespace>(
      Kind::kNamespace, "metadata { uid: 'u' resourceVersion: '7' labels { key: 'a' value: 'b' } }");
  EXPECT_EQ(ns->ns, "s");
  EXPECT_EQ(ns->name, "n");
  EXPECT_EQ(ns->uid, "u");
  EXPECT_EQ(ns->resource_version, 7u);
  EXPECT_THAT(ns->labels, ElementsAre(Pair("a", "b")));
}

TEST(DecodeObject, WorkloadSelectors) {
  const std::string map = "spec { selector { key: 'b' value: '2' } selector { key: 'a' value: '1' } }";
  const LabelSelector both = Selector({In("a", "1"), In("b", "2")});
  const auto service = [](const std::string& text) {
    return Decode<WorkloadSelector, core::Service>(Kind::kService, text)->selector;
  };
  const auto controller = [](const std::string& text) {
    return Decode<WorkloadSelector, core::ReplicationController>(Kind::kReplicationController, text)->selector;
  };
  EXPECT_EQ(service(map), both);
  EXPECT_EQ(service("spec {}"), LabelSelector());
  EXPECT_EQ(controller(map), both);
  EXPECT_EQ(controller(""), LabelSelector());
  const std::string selector =
      "spec { selector { matchLabels { key: 'a' value: '1' } matchExpressions { key: 'c' operator: 'DoesNotExist' } } "
      "}";
  const LabelSelector want = Selector({In("a", "1"), {"c", Operator::kDoesNotExist, {}, ""}});
  const auto set = [](const std::string& text) {
    return Decode<WorkloadSelector, apps::ReplicaSet>(Kind::kReplicaSet, text)->selector;
  };
  EXPECT_EQ(set(selector), want);
  EXPECT_EQ(set("spec {}"), LabelSelector());
  EXPECT_EQ(set("spec { selector {} }"), Selector({}));
  EXPECT_EQ((Decode<WorkloadSelector, apps::StatefulSet>(Kind::kStatefulSet, selector)->selector), want);
  EXPECT_EQ(Error<apps::ReplicaSet>("spec { selector { matchExpressions { key: 'a' operator: 'Is' } } }"),
            "spec.selector.matchExpressions[0].operator: \"Is\" is not a valid label selector operator");
}

TEST(DecodeObject, DisruptionBudget) {
  const auto budget = Decode<DisruptionBudget, policy::PodDisruptionBudget>(
      Kind::kPodDisruptionBudget,
      "spec { selector { matchLabels { key: 'a' value: '1' } } } "
      "status { disruptionsAllowed: 3 disruptedPods { key: 'q' value {} } disruptedPods { key: 'p' value {} } }");
  EXPECT_EQ(budget->selector, Selector({In("a", "1")}));
  EXPECT_EQ(budget->disruptions_allowed, 3);
  EXPECT_THAT(budget->disrupted_pods, ElementsAre("p", "q"));
  const auto bare = Decode<DisruptionBudget, policy::PodDisruptionBudget>(Kind::kPodDisruptionBudget, "");
  EXPECT_FALSE(bare->selector.present);
  EXPECT_EQ(bare->disruptions_allowed, 0);
}

TEST(DecodeObject, PersistentVolume) {
  const auto volume = Decode<PersistentVolume, core::PersistentVolume>(Kind::kPersistentVolume, R"(
      metadata { deletionTimestamp { seconds: 1 } labels { key: 'zone' value: 'a' }
                 annotations { key: 'volume.beta.kubernetes.io/storage-class' value: 'old' }
                 annotations { key: 'pv.kubernetes.io/bound-by-controller' value: '' } }
      spec { capacity { key: 'storage' value { string: '5Gi' } } accessModes: 'ReadWriteOnce' accessModes: 'ReadOnlyMany'
             volumeMode: 'Block' storageClassName: 'fast' volumeAttributesClassName: 'gold'
             claimRef { namespace: 't' name: 'c' uid: 'cu' }
             persistentVolumeSource { csi { driver: 'd' volumeHandle: 'h' } }
             nodeAffinity { required { nodeSelectorTerms {
               matchExpressions { key: 'zone' operator: 'In' values: 'a' } } } } }
      status { phase: 'Available' })");
  EXPECT_TRUE(volume->deleting);
  EXPECT_THAT(volume->labels, ElementsAre(Pair("zone", "a")));
  EXPECT_EQ(volume->class_annotation, "old");
  EXPECT_EQ(volume->Class(), "old");
  EXPECT_TRUE(volume->bound_by_controller);
  EXPECT_EQ(volume->capacity, Quantity::FromUnits(int64_t{5} << 30));
  EXPECT_THAT(volume->access_modes, ElementsAre("ReadWriteOnce", "ReadOnlyMany"));
  EXPECT_EQ(volume->volume_mode, "Block");
  EXPECT_EQ(volume->storage_class, "fast");
  EXPECT_EQ(volume->attributes_class, "gold");
  ASSERT_TRUE(volume->affinity.has_required);
  EXPECT_THAT(volume->affinity.required, ElementsAre(NodeSelectorTerm{{In("zone", "a")}, {}}));
  EXPECT_EQ(volume->claim_ref, (ClaimReference{"t", "c", "cu"}));
  EXPECT_EQ(volume->phase, "Available");
  EXPECT_EQ(volume->source, PersistentVolume::Source::kCsi);
  EXPECT_EQ(volume->driver, "d");
  EXPECT_EQ(volume->handle, "h");

  const auto bare = Decode<PersistentVolume, core::PersistentVolume>(Kind::kPersistentVolume, "");
  EXPECT_FALSE(bare->deleting || bare->bound_by_controller || bare->affinity.has_required);
  EXPECT_EQ(bare->class_annotation, std::nullopt);
  EXPECT_EQ(bare->claim_ref, std::nullopt);
  EXPECT_TRUE(bare->capacity.IsZero());
  EXPECT_EQ(bare->volume_mode, "Filesystem");
  EXPECT_EQ(bare->source, PersistentVolume::Source::kOther);
  EXPECT_EQ(Error<core::PersistentVolume>("spec { capacity { key: 'storage' value { string: 'x' } } }"),
            "spec.capacity[storage]: quantity \"x\" is not a number with an optional suffix");
}

TEST(DecodeObject, VolumeSources) {
  using Source = PersistentVolume::Source;
  struct Case {
    const char* source;
    Source want;
    const char* handle;
  };
  const Case kCases[] = {
      {"gcePersistentDisk { pdName: 'h' }", Source::kGcePd, "h"},
      {"awsElasticBlockStore { volumeID: 'h' }", Source::kAwsEbs, "h"},
      {"azureDisk { diskName: 'x' diskURI: 'h' kind: 'Managed' }", Source::kAzureDisk, "h"},
      {"azureFile { shareName: 'h' }", Source::kAzureFile, ""},
      {"cinder { volumeID: 'h' }", Source::kCinder, "h"},
      {"vsphereVolume { volumePath: 'h' }", Source::kVsphere, "h"},
      {"portworxVolume { volumeID: 'h' }", Source::kPortworx, "h"},
      {"", Source::kOther, ""},
  };
  for (const Case& c : kCases) {
    const auto volume = Decode<PersistentVolume, core::PersistentVolume>(
        Kind::kPersistentVolume, std::string("spec { persistentVolumeSource { ") + c.source + " } }");
    EXPECT_EQ(volume->source, c.want) << c.source;
    EXPECT_EQ(volume->handle, c.handle) << c.source;
    EXPECT_EQ(volume->azure_kind, c.want == Source::kAzureDisk ? "Managed" : "") << c.source;
    EXPECT_EQ(volume->driver, "") << c.source;
  }
}

TEST(DecodeObject, PersistentVolumeClaim) {
  const auto claim = Decode<PersistentVolumeClaim, core::PersistentVolumeClaim>(Kind::kPersistentVolumeClaim, R"(
      metadata { deletionTimestamp { seconds: 1 }
                 annotations { key: 'volume.kubernetes.io/selected-node' value: 'node-1' }
                 annotations { key: 'pv.kubernetes.io/bind-completed' value: 'yes' }
                 ownerReferences { uid: 'x' } ownerReferences { uid: 'y' controller: true } }
      spec { accessModes: 'ReadWriteOnce' storageClassName: '' volumeName: 'v' volumeMode: 'Block'
             resources { requests { key: 'storage' value { string: '1Gi' } } }
             volumeAttributesClassName: 'gold' selector { matchLabels { key: 'a' value: '1' } } }
      status { phase: 'Bound' })");
  EXPECT_TRUE(claim->deleting);
  EXPECT_EQ(claim->class_annotation, std::nullopt);
  EXPECT_EQ(claim->selected_node, "node-1");
  EXPECT_TRUE(claim->FullyBound());
  EXPECT_EQ(claim->controller_uid, "y");
  EXPECT_EQ(claim->storage_class, "");
  EXPECT_EQ(claim->volume_name, "v");
  EXPECT_THAT(claim->access_modes, ElementsAre("ReadWriteOnce"));
  EXPECT_EQ(claim->volume_mode, "Block");
  EXPECT_EQ(claim->attributes_class, "gold");
  EXPECT_EQ(claim->request, Quantity::FromUnits(1 << 30));
  EXPECT_EQ(claim->selector, Selector({In("a", "1")}));
  EXPECT_EQ(claim->phase, "Bound");

  const auto bare = Decode<PersistentVolumeClaim, core::PersistentVolumeClaim>(
      Kind::kPersistentVolumeClaim,
      "metadata { annotations { key: 'volume.beta.kubernetes.io/storage-class' value: 'old' } }");
  EXPECT_EQ(bare->Class(), "old");
  EXPECT_EQ(bare->storage_class, std::nullopt);
  EXPECT_EQ(bare->selected_node, std::nullopt);
  EXPECT_EQ(bare->request, std::nullopt);
  EXPECT_EQ(bare->volume_mode, "Filesystem");
  EXPECT_FALSE(bare->deleting || bare->bind_completed || bare->selector.present);
  EXPECT_EQ(bare->controller_uid, "");
}

TEST(DecodeObject, StorageClass) {
  const auto made = Decode<StorageClass, storage::StorageClass>(Kind::kStorageClass, R"(
      provisioner: 'p' volumeBindingMode: 'WaitForFirstConsumer'
      allowedTopologies { matchLabelExpressions { key: 'zone' values: 'b' values: 'a' } } allowedTopologies {})");
  EXPECT_EQ(made->provisioner, "p");
  EXPECT_EQ(made->binding_mode, "WaitForFirstConsumer");
  EXPECT_THAT(made->allowed_topologies, ElementsAre(ElementsAre(StorageClass::TopologyRequirement{"zone", {"b", "a"}}),
                                                    StorageClass::TopologyTerm{}));
}

TEST(DecodeObject, CsiKinds) {
  const auto node = Decode<CSINode, storage::CSINode>(Kind::kCSINode, R"(
      metadata { annotations { key: 'storage.alpha.kubernetes.io/migrated-plugins' value: 'a,b' } }
      spec { drivers { name: 'd' allocatable { count: 0 } } drivers { name: 'e' allocatable {} } drivers { name: 'f' } })");
  EXPECT_THAT(node->drivers, ElementsAre(CSINode::Driver{"d", 0}, CSINode::Driver{"e", std::nullopt},
                                         CSINode::Driver{"f", std::nullopt}));
  EXPECT_EQ(node->migrated_plugins, "a,b");

  const auto driver = Decode<CSIDriver, storage::CSIDriver>(Kind::kCSIDriver, "spec { storageCapacity: true }");
  EXPECT_TRUE(driver->storage_capacity);
  EXPECT_FALSE(driver->prevent_pod_scheduling_if_missing);
  EXPECT_TRUE((Decode<CSIDriver, storage::CSIDriver>(Kind::kCSIDriver, "spec { preventPodSchedulingIfMissing: true }")
                   ->prevent_pod_scheduling_if_missing));

  const auto room = Decode<CSIStorageCapacity, storage::CSIStorageCapacity>(Kind::kCSIStorageCapacity, R"(
      storageClassName: 'fast' nodeTopology { matchLabels { key: 'zone' value: 'a' } }
      capacity { string: '2Gi' } maximumVolumeSize { string: '1Gi' })");
  EXPECT_EQ(room->storage_class, "fast");
  EXPECT_EQ(room->node_topology, Selector({In("zone", "a")}));
  EXPECT_EQ(room->capacity, Quantity::FromUnits(int64_t{2} << 30));
  EXPECT_EQ(room->Limit(), Quantity::FromUnits(1 << 30));
  const auto none = Decode<CSIStorageCapacity, storage::CSIStorageCapacity>(Kind::kCSIStorageCapacity, "");
  EXPECT_FALSE(none->node_topology.present || none->Limit().has_value());

  const auto attachment = Decode<VolumeAttachment, storage::VolumeAttachment>(
      Kind::kVolumeAttachment, "spec { attacher: 'd' nodeName: 'n1' source { persistentVolumeName: 'v' } }");
  EXPECT_EQ(attachment->attacher, "d");
  EXPECT_EQ(attachment->node, "n1");
  EXPECT_EQ(attachment->volume_name, "v");
  EXPECT_EQ((Decode<VolumeAttachment, storage::VolumeAttachment>(Kind::kVolumeAttachment, "")->volume_name),
            std::nullopt);
}

TEST(DecodeObject, AnyBytesAreAnswered) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  Decoder decoder;
  size_t read = 0;
  for (int i = 0; i < 2000; ++i) {
    core::PersistentVolume wire;
    wire.mutable_metadata()->set_name("n");
    (*wire.mutable_spec()->mutable_capacity())["storage"].set_string("1Gi");
    std::string bytes = wire.SerializeAsString();
    if (random() % 4 != 0) bytes[random() % bytes.size()] = static_cast<char>(random() % 256);
    for (size_t kind = 0; kind < kKindCount; ++kind) {
      read += decoder.DecodeObject(static_cast<Kind>(kind), bytes) == nullptr ? 0 : 1;
    }
  }
  EXPECT_GT(read, 0u);
  EXPECT_EQ(decoder.DecodeObject(Kind::kNamespace, ""), nullptr);
}

}  // namespace
}  // namespace muster
