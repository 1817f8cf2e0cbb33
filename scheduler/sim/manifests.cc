#include "scheduler/sim/manifests.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "scheduler/sim/claims/device_rules.h"
#include "scheduler/sim/claims/pod_claims.h"
#include "scheduler/sim/manifest_files.h"
#include "scheduler/sim/manifest_kinds.h"
#include "scheduler/sim/yaml_message.h"
#include "scheduler/wire/decode.h"
#include "scheduler/wire/device/device_objects.h"
#include "scheduler/wire/group_objects.h"
#include "scheduler/wire/objects.h"
#include "scheduler/wire/proto/apps_v1.pb.h"
#include "scheduler/wire/proto/batch_v1.pb.h"
#include "scheduler/wire/proto/core_v1.pb.h"
#include "scheduler/wire/proto/policy_v1.pb.h"
#include "scheduler/wire/proto/scheduling_v1.pb.h"
#include "scheduler/wire/proto/storage_v1.pb.h"
#include "scheduler/wire/queue_objects.h"

namespace muster {
namespace {

namespace apps = k8s::io::api::apps::v1;
namespace core = k8s::io::api::core::v1;
namespace scheduling = k8s::io::api::scheduling;
namespace policy = k8s::io::api::policy::v1;
namespace storage = k8s::io::api::storage::v1;
namespace resource = k8s::io::api::resource::v1;
namespace meta = k8s::io::apimachinery::pkg::apis::meta::v1;

constexpr char kArrival[] = "muster.dev/arrival";
constexpr char kRunDuration[] = "muster.dev/run-duration";
constexpr char kJobIndex[] = "batch.kubernetes.io/job-completion-index";
constexpr char kPodIndex[] = "apps.kubernetes.io/pod-index";
constexpr size_t kMaxPods = 2'000'000;
constexpr int32_t kMaxUserPriority = 1'000'000'000;

// An error whose message begins with its path: at the line that this leads to.
absl::Status ErrorIn(YamlReader& yaml, const YamlNode& node, const std::string& message) {
  return yaml.Error(node.At(std::string_view(message).substr(0, message.find(": "))), "", message);
}

class ManifestReader {
 public:
  explicit ManifestReader(const ManifestOptions& options) : options_(options) {
    out_.priority_classes = {{"system-cluster-critical", 2'000'000'000, false, ""},
                             {"system-node-critical", 2'000'001'000, false, ""}};
  }

  absl::Status ReadFile(const ManifestSource& source) {
    const auto file = ParseYaml(source.name, source.text);
    if (!file.ok()) return file.status();
    YamlReader yaml(source.name, source.text.size());
    for (const YamlNode* document : file->documents) {
      if (absl::Status status = ReadDocument(yaml, *document); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  // After all files: what needs to know the whole.
  absl::StatusOr<Manifests> Finish() {
    for (const PendingGroup& pending : pending_groups_) {
      if (absl::Status status = AddGroup(pending); !status.ok()) return status;
    }
    for (Pending& pending : pending_) {
      if (absl::Status status = AddPods(pending); !status.ok()) return status;
    }
    for (const auto& [kind, count] : ignored_) {
      out_.notices.push_back(absl::StrCat(kind, ": ", count, " left aside, not part of the simulation"));
    }
    return std::move(out_);
  }

 private:
  // Pods wait until all PriorityClasses are known.
  struct Pending {
    core::Pod pod;  // of a workload: its template
    std::string place, priority_place;
    Duration arrival;
    std::optional<Duration> run_duration;
    std::string workload_kind;  // "" for a pod
    size_t count = 1, parallelism = 1;
    int64_t first_ordinal = 0;
    const char* index = nullptr;                      // the label that gets a pod's ordinal
    std::vector<core::PersistentVolumeClaim> claims;  // a StatefulSet's templates
  };

  // So do groups.
  struct PendingGroup {
    std::shared_ptr<PodGroup> group;
    std::string priority_class, place;
  };

  absl::Status ReadDocument(YamlReader& yaml, const YamlNode& node) {
    YamlReader::Entries entries;
    if (absl::Status status = yaml.ReadEntries(node, "", &entries); !status.ok()) return status;
    std::string api_version, kind;
    const YamlNode* items = nullptr;
    for (const auto& [name, value] : entries) {
      absl::Status status;
      if (name == "apiVersion") status = yaml.ReadString(*value, name, &api_version);
      if (name == "kind") status = yaml.ReadString(*value, name, &kind);
      if (name == "items") items = value;
      if (!status.ok()) return status;
    }
    if (api_version.empty()) return yaml.Error(node, "apiVersion", "is missing");
    if (kind.empty()) return yaml.Error(node, "kind", "is missing");
    if (kind.ends_with("List")) {
      if (items == nullptr || items->kind == YamlNode::Kind::kNull) return absl::OkStatus();
      if (!items->IsList()) return yaml.Error(*items, "items", "expected a list");
      for (const YamlNode* item : items->items) {
        if (absl::Status status = ReadDocument(yaml, *item); !status.ok()) return status;
      }
      return absl::OkStatus();
    }
    return ReadKind(yaml, node, api_version, kind);
  }

  absl::Status ReadKind(YamlReader& yaml, const YamlNode& node, const std::string& api_version,
                        const std::string& kind) {
    const ManifestKind known = FindManifestKind(api_version, kind);
    api_version_ = api_version;
    switch (known) {
      case ManifestKind::kPod: return Read<core::Pod>(yaml, node, known, kind, &ManifestReader::OnPod);
      case ManifestKind::kNode: return Read<core::Node>(yaml, node, known, kind, &ManifestReader::OnNode);
      case ManifestKind::kPriorityClass:
        return Read<scheduling::v1::PriorityClass>(yaml, node, known, kind, &ManifestReader::OnPriorityClass);
      case ManifestKind::kDeployment:
        return Read<apps::Deployment>(yaml, node, known, kind, &ManifestReader::OnDeployment);
      case ManifestKind::kReplicaSet:
        return Read<apps::ReplicaSet>(yaml, node, known, kind,
                                      &ManifestReader::OnSelecting<Kind::kReplicaSet, apps::ReplicaSet>);
      case ManifestKind::kStatefulSet:
        return Read<apps::StatefulSet>(yaml, node, known, kind, &ManifestReader::OnStatefulSet);
      case ManifestKind::kReplicationController:
        return Read<core::ReplicationController>(
            yaml, node, known, kind,
            &ManifestReader::OnSelecting<Kind::kReplicationController, core::ReplicationController>);
      case ManifestKind::kJob:
        return Read<k8s::io::api::batch::v1::Job>(yaml, node, known, kind, &ManifestReader::OnJob);
      case ManifestKind::kNamespace: return ReadObject<Kind::kNamespace, core::Namespace>(yaml, node, known);
      case ManifestKind::kPodDisruptionBudget:
        return ReadObject<Kind::kPodDisruptionBudget, policy::PodDisruptionBudget>(yaml, node, known);
      case ManifestKind::kService: return ReadObject<Kind::kService, core::Service>(yaml, node, known);
      case ManifestKind::kPersistentVolume:
        return ReadObject<Kind::kPersistentVolume, core::PersistentVolume>(yaml, node, known);
      case ManifestKind::kPersistentVolumeClaim:
        return ReadObject<Kind::kPersistentVolumeClaim, core::PersistentVolumeClaim>(yaml, node, known);
      case ManifestKind::kStorageClass:
        return ReadObject<Kind::kStorageClass, storage::StorageClass>(yaml, node, known);
      case ManifestKind::kCSINode: return ReadObject<Kind::kCSINode, storage::CSINode>(yaml, node, known);
      case ManifestKind::kCSIDriver: return ReadObject<Kind::kCSIDriver, storage::CSIDriver>(yaml, node, known);
      case ManifestKind::kCSIStorageCapacity:
        return ReadObject<Kind::kCSIStorageCapacity, storage::CSIStorageCapacity>(yaml, node, known);
      case ManifestKind::kVolumeAttachment:
        return ReadObject<Kind::kVolumeAttachment, storage::VolumeAttachment>(yaml, node, known);
      case ManifestKind::kPodGroup:
        return Read<scheduling::v1beta1::PodGroup>(yaml, node, known, kind, &ManifestReader::OnPodGroup);
      case ManifestKind::kPodGroupV1Alpha2:
        return Read<scheduling::v1alpha2::PodGroup>(yaml, node, known, kind, &ManifestReader::OnPodGroup);
      case ManifestKind::kCoschedulingPodGroup:
        return Read<custom::CoschedulingPodGroup>(yaml, node, known, "PodGroup.scheduling.x-k8s.io",
                                                  &ManifestReader::OnCoschedulingPodGroup);
      case ManifestKind::kTopology:
        return Read<custom::Topology>(yaml, node, known, kind, &ManifestReader::OnTopology<Kind::kTopology>);
      case ManifestKind::kKueueTopology:
        return Read<custom::Topology>(yaml, node, known, "Topology.kueue.x-k8s.io",
                                      &ManifestReader::OnTopology<Kind::kKueueTopology>);
      case ManifestKind::kQueue: return Read<custom::Queue>(yaml, node, known, kind, &ManifestReader::OnQueue);
      case ManifestKind::kResourceFlavor:
        return Read<custom::ResourceFlavor>(yaml, node, known, kind, &ManifestReader::OnFlavor);
      case ManifestKind::kResourceClaim:
        return ReadObject<Kind::kResourceClaim, resource::ResourceClaim>(yaml, node, known);
      case ManifestKind::kResourceClaimTemplate:
        return Read<resource::ResourceClaimTemplate>(yaml, node, known, kind, &ManifestReader::OnClaimTemplate);
      case ManifestKind::kResourceSlice:
        return ReadObject<Kind::kResourceSlice, resource::ResourceSlice>(yaml, node, known);
      case ManifestKind::kDeviceClass: return ReadObject<Kind::kDeviceClass, resource::DeviceClass>(yaml, node, known);
      case ManifestKind::kDeviceTaintRule:
        return ReadObject<Kind::kDeviceTaintRule, resource::DeviceTaintRule>(yaml, node, known);
      case ManifestKind::kIgnored: ++ignored_[kind]; return absl::OkStatus();
      case ManifestKind::kUnknown: break;
    }
    return yaml.Error(node, "kind", absl::StrCat("no kind \"", kind, "\" in \"", api_version, "\" is known"));
  }

  // Reads, names and files one object, then hands it on.
  template <typename T>
  absl::Status Read(YamlReader& yaml, const YamlNode& node, ManifestKind known, const std::string& kind,
                    absl::Status (ManifestReader::*then)(YamlReader&, const YamlNode&, T&)) {
    T object;
    if (absl::Status status = yaml.ReadObject(node, &object); !status.ok()) return status;
    meta::ObjectMeta& metadata = *object.mutable_metadata();
    if (metadata.name().empty()) return yaml.Error(node, "metadata.name", "is missing");
    if (!IsNamespaced(known)) metadata.clear_namespace_();
    if (IsNamespaced(known) && metadata.namespace_().empty()) metadata.set_namespace_("default");
    if (metadata.uid().empty()) metadata.set_uid(MakeUid(kind, metadata));
    if (absl::Status status = File(kind, metadata, yaml.Place(node)); !status.ok()) return status;
    return (this->*then)(yaml, node, object);
  }

  template <Kind kKind, typename T>
  absl::Status ReadObject(YamlReader& yaml, const YamlNode& node, ManifestKind known) {
    return Read<T>(yaml, node, known, std::string(KindName(kKind)), &ManifestReader::OnObject<kKind, T>);
  }

  // Notes that the object exists; an error if it does already.
  absl::Status File(const std::string& kind, const meta::ObjectMeta& metadata, const std::string& place) {
    const auto [it, inserted] = places_.emplace(
        absl::StrCat(kind, " ", metadata.namespace_(), metadata.namespace_().empty() ? "" : "/", metadata.name()),
        place);
    if (inserted) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat(place, ": metadata.name: ", it->first, " is there already (", it->second, ")"));
  }

  absl::Status OnNode(YamlReader& yaml, const YamlNode& node, core::Node& object) {
    NodePtr decoded = decoder_.DecodeNode(object);
    if (!decoded->invalid.empty()) return yaml.Error(node, "", decoded->invalid);
    out_.nodes.push_back(std::move(decoded));
    return absl::OkStatus();
  }

  // What the API server fills in, as far as decisions read it.
  template <typename T>
  void Complete(T&) {}
  void Complete(core::Namespace& object) {
    (*object.mutable_metadata()->mutable_labels())["kubernetes.io/metadata.name"] = object.metadata().name();
  }
  void Complete(core::ReplicationController& object) {
    if (object.spec().selector().empty())
      *object.mutable_spec()->mutable_selector() = object.spec().template_().metadata().labels();
  }
  void Complete(core::PersistentVolume& object) {
    if (object.status().phase().empty()) object.mutable_status()->set_phase("Pending");
  }
  void Complete(core::PersistentVolumeClaim& object) {
    if (object.status().phase().empty()) object.mutable_status()->set_phase("Pending");
  }
  void Complete(storage::StorageClass& object) {
    if (object.volumebindingmode().empty()) object.set_volumebindingmode("Immediate");
  }
  void Complete(policy::PodDisruptionBudget& object) {
    if (object.has_status()) return;
    const auto text = [](bool has, const auto& value) {
      if (!has) return std::string();
      return value.type() == 1 ? value.strval() : absl::StrCat(value.intval());
    };
    const auto& spec = object.spec();
    out_.budgets_to_count.push_back({object.metadata().namespace_(), object.metadata().name(),
                                     text(spec.has_minavailable(), spec.minavailable()),
                                     text(spec.has_maxunavailable(), spec.maxunavailable())});
  }

  void Complete(resource::ResourceClaim& object) { CompleteNew(object.mutable_spec()); }
  void Complete(resource::ResourceSlice& object) { CompleteNew(options_.start, &object); }
  void Complete(resource::DeviceTaintRule& object) { CompleteNew(options_.start, &object); }
  void Complete(resource::DeviceClass& object) { SetCreation(object.mutable_metadata()); }

  // Why the API server would refuse it, beyond what reading it tells; "" if it would not.
  template <typename T>
  std::string Check(const T&) {
    return "";
  }
  std::string Check(const resource::ResourceClaim& object) { return CheckNew(object.spec()); }
  std::string Check(const resource::ResourceSlice& object) { return CheckNew(object); }
  std::string Check(const resource::DeviceClass& object) { return CheckNew(object); }
  std::string Check(const resource::DeviceTaintRule& object) { return CheckNew(object); }

  template <Kind kKind, typename T>
  absl::Status OnObject(YamlReader& yaml, const YamlNode& node, T& object) {
    Complete(object);
    std::string error = Check(object);
    ObjectPtr read = muster::ReadObject(object, &error);
    if (!error.empty()) return ErrorIn(yaml, node, error);
    out_.objects.push_back({kKind, std::move(read)});
    return absl::OkStatus();
  }

  absl::Status OnPriorityClass(YamlReader& yaml, const YamlNode& node, scheduling::v1::PriorityClass& object) {
    ManifestPriorityClass made{object.metadata().name(), object.value(), object.globaldefault(),
                               object.preemptionpolicy()};
    auto& classes = out_.priority_classes;
    if (made.name.starts_with("system-")) {
      // The two that every cluster has may be written out, as in a dump; others may not be made.
      const auto built_in = std::find_if(classes.begin(), classes.end(),
                                         [&](const auto& c) { return c.name == made.name && c.value == made.value; });
      if (built_in != classes.end()) return absl::OkStatus();
      return yaml.Error(node, "metadata.name", "names with the prefix \"system-\" are reserved");
    }
    if (made.value > kMaxUserPriority) {
      return yaml.Error(node.At("value"), "value", absl::StrCat("must not be over ", kMaxUserPriority));
    }
    if (made.global_default) {
      for (const ManifestPriorityClass& other : classes) {
        if (!other.global_default) continue;
        return yaml.Error(node, "globalDefault", absl::StrCat("\"", other.name, "\" is the default already"));
      }
    }
    classes.push_back(std::move(made));
    return absl::OkStatus();
  }

  template <typename T>
  absl::Status OnPodGroup(YamlReader& yaml, const YamlNode& node, T& object) {
    const YamlNode& named = node.At("spec.priorityClassName");
    pending_groups_.push_back({CompleteGroup(object), object.spec().priorityclassname(),
                               absl::StrCat(yaml.Place(named), ": spec.priorityClassName")});
    const std::string& invalid = pending_groups_.back().group->invalid;
    return invalid.empty() ? absl::OkStatus() : ErrorIn(yaml, node, invalid);
  }

  absl::Status OnCoschedulingPodGroup(YamlReader& yaml, const YamlNode& node, custom::CoschedulingPodGroup& object) {
    auto group = CompleteGroup(object);
    if (!group->invalid.empty()) return ErrorIn(yaml, node, group->invalid);
    out_.objects.push_back({Kind::kCoschedulingPodGroup, std::move(group)});
    return absl::OkStatus();
  }

  template <typename T>
  std::shared_ptr<PodGroup> CompleteGroup(T& object) const {
    SetCreation(object.mutable_metadata());
    return ReadPodGroup(object, api_version_);
  }

  void SetCreation(meta::ObjectMeta* metadata) const {
    if (!metadata->has_creationtimestamp())
      metadata->mutable_creationtimestamp()->set_seconds(absl::ToUnixSeconds(options_.start));
  }

  template <Kind kKind>
  absl::Status OnTopology(YamlReader& yaml, const YamlNode& node, custom::Topology& object) {
    auto topology = ReadTopology(object);
    const std::string why = CheckLevels(*topology);
    if (!why.empty()) return ErrorIn(yaml, node, why);
    out_.objects.push_back({kKind, std::move(topology)});
    return absl::OkStatus();
  }

  absl::Status OnQueue(YamlReader& yaml, const YamlNode& node, custom::Queue& object) {
    SetCreation(object.mutable_metadata());
    auto queue = ReadQueue(object);
    if (!queue->invalid.empty()) return ErrorIn(yaml, node, queue->invalid);
    out_.objects.push_back({Kind::kQueue, std::move(queue)});
    return absl::OkStatus();
  }

  absl::Status OnFlavor(YamlReader& yaml, const YamlNode& node, custom::ResourceFlavor& object) {
    auto flavor = ReadFlavor(object);
    if (!flavor->invalid.empty()) return ErrorIn(yaml, node, flavor->invalid);
    out_.objects.push_back({Kind::kResourceFlavor, std::move(flavor)});
    return absl::OkStatus();
  }

  absl::Status OnClaimTemplate(YamlReader& yaml, const YamlNode& node, resource::ResourceClaimTemplate& object) {
    CompleteNew(object.mutable_spec()->mutable_spec());
    const std::string why = CheckNew(object.spec().spec());
    if (!why.empty()) return ErrorIn(yaml, node, "spec." + why);
    claim_templates_.emplace(absl::StrCat(object.metadata().namespace_(), "/", object.metadata().name()), object);
    return absl::OkStatus();
  }

  absl::Status OnPod(YamlReader& yaml, const YamlNode& node, core::Pod& object) {
    return AddPending(yaml, node, node, "", {}, std::move(object));
  }

  template <typename T>
  absl::Status OnReplicated(YamlReader& yaml, const YamlNode& node, T& object) {
    Pending pending;
    pending.workload_kind = object.GetDescriptor()->name();
    if (absl::Status status =
            ReadCount(yaml, node, "replicas", object.spec().has_replicas(), object.spec().replicas(), &pending.count);
        !status.ok()) {
      return status;
    }
    pending.parallelism = pending.count;
    return AddWorkload(yaml, node, std::move(pending), object);
  }

  // Whose selector plugins read, and whose pods name it as their controller.
  template <Kind kKind, typename T>
  absl::Status OnSelecting(YamlReader& yaml, const YamlNode& node, T& object) {
    if (absl::Status status = OnObject<kKind>(yaml, node, object); !status.ok()) return status;
    const size_t index = pending_.size();
    if (absl::Status status = OnReplicated(yaml, node, object); !status.ok()) return status;
    SetController(kKind, object.metadata(), &pending_[index].pod);
    return absl::OkStatus();
  }

  // Its pods belong to a ReplicaSet that its controller makes.
  absl::Status OnDeployment(YamlReader& yaml, const YamlNode& node, apps::Deployment& object) {
    const size_t index = pending_.size();
    if (absl::Status status = OnReplicated(yaml, node, object); !status.ok()) return status;
    apps::ReplicaSet set;
    meta::ObjectMeta& metadata = *set.mutable_metadata();
    metadata.set_namespace_(object.metadata().namespace_());
    metadata.set_name(absl::StrCat(object.metadata().name(), "-", object.metadata().uid().substr(0, 8)));
    metadata.set_uid(MakeUid("ReplicaSet", metadata));
    if (object.spec().has_selector()) *set.mutable_spec()->mutable_selector() = object.spec().selector();
    SetController(Kind::kReplicaSet, metadata, &pending_[index].pod);
    return OnObject<Kind::kReplicaSet>(yaml, node, set);
  }

  static void SetController(Kind kind, const meta::ObjectMeta& owner, core::Pod* pod) {
    auto& reference = *pod->mutable_metadata()->add_ownerreferences();
    reference.set_apiversion(kind == Kind::kReplicationController ? "v1" : "apps/v1");
    reference.set_kind(std::string(KindName(kind)));
    reference.set_name(owner.name());
    reference.set_uid(owner.uid());
    reference.set_controller(true);
  }

  absl::Status OnStatefulSet(YamlReader& yaml, const YamlNode& node, apps::StatefulSet& object) {
    const size_t index = pending_.size();
    if (absl::Status status = OnSelecting<Kind::kStatefulSet>(yaml, node, object); !status.ok()) return status;
    Pending& pending = pending_[index];
    pending.first_ordinal = std::max(object.spec().ordinals().start(), 0);
    pending.index = kPodIndex;
    for (const auto& claim : object.spec().volumeclaimtemplates()) {
      // A volume of the template with that name gives way.
      auto* volumes = pending.pod.mutable_spec()->mutable_volumes();
      for (int i = volumes->size() - 1; i >= 0; --i) {
        if (volumes->Get(i).name() == claim.metadata().name()) volumes->DeleteSubrange(i, 1);
      }
      volumes->Add()->set_name(claim.metadata().name());
      pending.claims.push_back(claim);
    }
    return absl::OkStatus();
  }

  absl::Status OnJob(YamlReader& yaml, const YamlNode& node, k8s::io::api::batch::v1::Job& object) {
    Pending pending;
    pending.workload_kind = "Job";
    if (object.spec().completionmode() == "Indexed") pending.index = kJobIndex;
    const auto& spec = object.spec();
    absl::Status status =
        ReadCount(yaml, node, "parallelism", spec.has_parallelism(), spec.parallelism(), &pending.parallelism);
    if (!status.ok()) return status;
    pending.count = pending.parallelism;  // a Job without completions: its pods are one batch
    if (spec.has_completions()) {
      status = ReadCount(yaml, node, "completions", true, spec.completions(), &pending.count);
      if (!status.ok()) return status;
    }
    pending.parallelism = std::min(pending.parallelism, pending.count);
    if (spec.suspend() || pending.parallelism == 0) pending.count = pending.parallelism = 0;
    return AddWorkload(yaml, node, std::move(pending), object);
  }

  absl::Status ReadCount(YamlReader& yaml, const YamlNode& node, const std::string& field, bool has, int32_t value,
                         size_t* count) const {
    if (has && value < 0) return yaml.Error(node.At("spec." + field), "spec." + field, "must not be negative");
    *count = has ? static_cast<size_t>(value) : 1;
    return absl::OkStatus();
  }

  template <typename T>
  absl::Status AddWorkload(YamlReader& yaml, const YamlNode& node, Pending pending, T& object) {
    if (!object.spec().has_template_()) return yaml.Error(node, "spec.template", "is missing");
    core::Pod pod;
    *pod.mutable_spec() = object.spec().template_().spec();
    *pod.mutable_metadata() = object.spec().template_().metadata();
    pod.mutable_metadata()->set_namespace_(object.metadata().namespace_());
    pod.mutable_metadata()->set_name(object.metadata().name());
    pod.mutable_metadata()->clear_uid();
    if (!pod.metadata().has_creationtimestamp() && object.metadata().has_creationtimestamp()) {
      *pod.mutable_metadata()->mutable_creationtimestamp() = object.metadata().creationtimestamp();
    }
    return AddPending(yaml, node, node.At("spec.template"), "spec.template.", std::move(pending), std::move(pod));
  }

  // `node`: of the object; `pod_node`: of the pod or the template in it, at `path`.
  absl::Status AddPending(YamlReader& yaml, const YamlNode& node, const YamlNode& pod_node, const std::string& path,
                          Pending pending, core::Pod pod) {
    pending.place = yaml.Place(node);
    pending.priority_place =
        absl::StrCat(yaml.Place(pod_node.At("spec.priorityClassName")), ": ", path, "spec.priorityClassName");
    for (const char* name : {kArrival, kRunDuration}) {
      const auto it = pod.metadata().annotations().find(name);
      if (it == pod.metadata().annotations().end()) continue;
      Duration duration;
      if (!absl::ParseDuration(it->second, &duration) || duration < absl::ZeroDuration() ||
          duration == absl::InfiniteDuration()) {
        const std::string field = absl::StrCat("metadata.annotations[", name, "]");
        return yaml.Error(pod_node.At(field), path + field,
                          absl::StrCat("\"", it->second, "\" is no duration such as 30s or 1h30m"));
      }
      (name == kArrival ? pending.arrival : pending.run_duration.emplace()) = duration;
    }
    total_pods_ += pending.count;
    if (total_pods_ > kMaxPods) return yaml.Error(node, "", absl::StrCat("more than ", kMaxPods, " pods"));
    const std::string& named = pod.spec().schedulername();
    if (named.empty() || (options_.default_scheduler_is_no_name && named == "default-scheduler"))
      pod.mutable_spec()->set_schedulername(options_.scheduler_name);
    pending.pod = std::move(pod);
    pending_.push_back(std::move(pending));
    return absl::OkStatus();
  }

  // The class of that name, or where none is given the default one; null if there is none.
  const ManifestPriorityClass* FindClass(const std::string& wanted) const {
    const ManifestPriorityClass* found = nullptr;
    for (const ManifestPriorityClass& c : out_.priority_classes) {
      if (wanted.empty() ? c.global_default : c.name == wanted) found = &c;
    }
    return found;
  }

  // A group's priority is admission's too, and always there.
  absl::Status AddGroup(const PendingGroup& pending) {
    const ManifestPriorityClass* found = FindClass(pending.priority_class);
    if (!pending.group->priority.has_value()) {
      if (found == nullptr && !pending.priority_class.empty()) {
        return absl::InvalidArgumentError(
            absl::StrCat(pending.place, ": no PriorityClass with name ", pending.priority_class, " was found"));
      }
      pending.group->priority = found == nullptr ? 0 : found->value;
    }
    out_.objects.push_back({Kind::kPodGroup, pending.group});
    return absl::OkStatus();
  }

  // The priority that admission gives: of the class, else of the default class. One that is written
  // in the pod stands (as in a pod that a server stored).
  absl::Status ResolvePriority(const Pending& pending, core::PodSpec* spec) const {
    const std::string& wanted = spec->priorityclassname();
    const ManifestPriorityClass* found = FindClass(wanted);
    if (found == nullptr && !wanted.empty() && !spec->has_priority()) {
      return absl::InvalidArgumentError(
          absl::StrCat(pending.priority_place, ": no PriorityClass with name ", wanted, " was found"));
    }
    if (found == nullptr) return absl::OkStatus();
    if (!spec->has_priority()) spec->set_priority(found->value);
    if (spec->preemptionpolicy().empty()) spec->set_preemptionpolicy(found->preemption_policy);
    return absl::OkStatus();
  }

  // The server would refuse the pods of a namespace that there is not.
  void AddNamespace(const std::string& name) {
    const auto [it, inserted] = places_.emplace(absl::StrCat("Namespace ", name), "");
    if (!inserted) return;
    core::Namespace object;
    object.mutable_metadata()->set_name(name);
    object.mutable_metadata()->set_uid(MakeUid("Namespace", object.metadata()));
    Complete(object);
    std::string error;
    out_.objects.push_back({Kind::kNamespace, muster::ReadObject(object, &error)});
  }

  // Of claims that controllers make, those that were not made before.
  template <typename T>
  absl::Status AddClaims(const Pending& pending, const char* kind, std::vector<T> made,
                         std::vector<ObjectPtr>* claims) {
    for (T& claim : made) {
      const meta::ObjectMeta& metadata = claim.metadata();
      const std::string key = absl::StrCat(kind, " ", metadata.namespace_(), "/", metadata.name());
      if (!places_.emplace(key, pending.place).second) continue;
      Complete(claim);
      std::string error = Check(claim);
      claims->push_back(muster::ReadObject(claim, &error));
      if (!error.empty()) return absl::InvalidArgumentError(absl::StrCat(pending.place, ": ", key, ": ", error));
    }
    return absl::OkStatus();
  }

  absl::Status AddPods(Pending& pending) {
    core::Pod& pod = pending.pod;
    meta::ObjectMeta& metadata = *pod.mutable_metadata();
    if (absl::Status status = ResolvePriority(pending, pod.mutable_spec()); !status.ok()) return status;
    if (!metadata.has_creationtimestamp()) {
      metadata.mutable_creationtimestamp()->set_seconds(absl::ToUnixSeconds(options_.start + pending.arrival));
    }
    AddNamespace(metadata.namespace_());
    const bool alone = pending.workload_kind.empty();
    std::optional<size_t> workload;
    if (!alone) {
      workload = out_.workloads.size();
      out_.workloads.push_back({pending.workload_kind, metadata.namespace_(), metadata.name(), out_.pods.size(),
                                pending.count, pending.parallelism});
    }
    const std::string stem = metadata.name();
    for (size_t i = 0; i < pending.count; ++i) {
      if (!alone) {
        const int64_t ordinal = pending.first_ordinal + static_cast<int64_t>(i);
        metadata.set_name(absl::StrCat(stem, "-", ordinal));
        metadata.set_uid(MakeUid("Pod", metadata));
        if (pending.index != nullptr) (*metadata.mutable_labels())[pending.index] = absl::StrCat(ordinal);
        if (pending.index == kJobIndex) (*metadata.mutable_annotations())[kJobIndex] = absl::StrCat(ordinal);
        if (absl::Status status = File("Pod", metadata, pending.place); !status.ok()) return status;
      }
      std::vector<ObjectPtr> claims, device_claims;
      absl::Status status =
          AddClaims(pending, "PersistentVolumeClaim", MakeVolumeClaims(pending.claims, &pod), &claims);
      const int named = pod.status().resourceclaimstatuses_size();
      status.Update(AddClaims(pending, "ResourceClaim", MakeDeviceClaims(claim_templates_, &pod), &device_claims));
      if (!status.ok()) return status;
      PodPtr decoded = decoder_.DecodePod(pod);
      if (!decoded->invalid.empty()) {
        return absl::InvalidArgumentError(absl::StrCat(pending.place, ": ", decoded->invalid));
      }
      out_.pods.push_back({std::move(decoded), pending.arrival, pending.run_duration, workload, std::move(claims),
                           std::move(device_claims)});
      auto& statuses = *pod.mutable_status()->mutable_resourceclaimstatuses();  // the next one has claims of its own
      statuses.DeleteSubrange(named, statuses.size() - named);
    }
    return absl::OkStatus();
  }

  const ManifestOptions& options_;
  Manifests out_;
  Decoder decoder_;
  std::string api_version_;  // of the object that is being read
  std::vector<PendingGroup> pending_groups_;
  std::vector<Pending> pending_;
  ClaimTemplates claim_templates_;
  absl::flat_hash_map<std::string, std::string> places_;  // "Pod default/a" -> FILE:LINE
  std::map<std::string, size_t> ignored_;                 // kind -> how many
  size_t total_pods_ = 0;
};

}  // namespace

absl::StatusOr<Manifests> ParseManifests(std::span<const ManifestSource> sources, const ManifestOptions& options) {
  ManifestReader reader(options);
  for (const ManifestSource& source : sources) {
    if (absl::Status status = reader.ReadFile(source); !status.ok()) return status;
  }
  return reader.Finish();
}

absl::StatusOr<Manifests> ReadManifests(std::span<const std::string> paths, const ManifestOptions& options) {
  ManifestReader reader(options);
  for (const std::string& path : paths) {
    const auto files = ManifestFiles(path);
    if (!files.ok()) return files.status();
    for (const std::string& file : *files) {
      auto text = ReadManifestFile(file);
      if (!text.ok()) return text.status();
      if (absl::Status status = reader.ReadFile({file, *std::move(text)}); !status.ok()) return status;
    }
  }
  return reader.Finish();
}

}  // namespace muster
