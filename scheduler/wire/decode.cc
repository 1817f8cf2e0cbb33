#include "scheduler/wire/decode.h"

#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "scheduler/model/pod_requests.h"
#include "scheduler/wire/field_reader.h"
#include "scheduler/wire/group_words.h"
#include "scheduler/wire/pod_spec.h"

namespace muster {
namespace {

namespace core = k8s::io::api::core::v1;

// --- A pod's shape as bytes --------------------------------------------------------------------
//
// Parsing a Pod message takes ten times as long as walking over its fields. So a pod is walked
// once: what is the pod's own (name, node, conditions, ...) is taken, and what plugins read is
// copied into a smaller Pod message, the *outline*. Pods of one shape have one outline, byte for
// byte; only an outline that was not seen before is parsed. As the PodSpec is made from the outline
// alone, a field that is missing below would be missing for all pods alike, and tests see it.

// Opens and closes nested messages in a serialised message; lengths are padded to five bytes.
class OutlineWriter {
 public:
  void Clear() { bytes_.clear(); }
  const std::string& bytes() const { return bytes_; }
  void Copy(const FieldReader& field) { bytes_.append(field.raw()); }
  size_t Open(uint32_t number) {
    for (uint32_t tag = number << 3 | 2; tag != 0; tag >>= 7) {
      bytes_.push_back(static_cast<char>((tag & 0x7f) | (tag >= 0x80 ? 0x80 : 0)));
    }
    bytes_.append(5, '\0');
    return bytes_.size();
  }
  void String(uint32_t number, std::string_view text) {
    const size_t opened = Open(number);
    bytes_.append(text);
    Close(opened);
  }
  void Close(size_t opened) {
    size_t length = bytes_.size() - opened;
    for (size_t i = 0; i < 5; ++i, length >>= 7) {
      bytes_[opened - 5 + i] = static_cast<char>((length & 0x7f) | (i < 4 ? 0x80 : 0));
    }
  }

 private:
  std::string bytes_;
};

constexpr uint64_t Fields(std::initializer_list<uint32_t> numbers) {
  uint64_t set = 0;
  for (uint32_t n : numbers) set |= uint64_t{1} << n;
  return set;
}
constexpr bool Contains(uint64_t set, uint32_t number) { return number < 64 && (set >> number & 1) != 0; }

// Copied whole into the outline.
constexpr uint64_t kMetadata = Fields({3, 11});  // namespace, labels
constexpr uint32_t kLabelsField = 11, kAnnotationsField = 12;
// nodeSelector, hostNetwork, affinity, schedulerName, tolerations, priority, preemptionPolicy,
// overhead, topologySpreadConstraints, hostUsers, resources
constexpr uint64_t kSpec = Fields({7, 11, 18, 19, 22, 25, 31, 32, 33, 37, 40});
// name, image, ports, resources, restartPolicy, restartPolicyRules
constexpr uint64_t kContainer = Fields({1, 2, 6, 8, 24, 25});
constexpr uint64_t kOwner = Fields({1, 3, 5, 6});  // kind, name, apiVersion, controller
// gcePersistentDisk, awsElasticBlockStore, iscsi, persistentVolumeClaim, rbd, cinder, azureFile,
// vsphereVolume, azureDisk, portworxVolume, csi
constexpr uint64_t kNamedVolume = Fields({3, 4, 8, 10, 11, 13, 18, 20, 22, 24, 28});
constexpr uint32_t kEphemeralVolume = 29, kImageVolume = 30;
constexpr uint64_t kStatus = Fields({19, 20});              // allocatedResources, resources
constexpr uint64_t kContainerStatus = Fields({1, 10, 11});  // name, allocatedResources, resources
constexpr uint64_t kCondition = Fields({1, 5});             // type, reason

Time ReadTime(std::string_view message) {
  int64_t seconds = 0, nanos = 0;
  for (FieldReader field(message); field.Next();) {
    if (field.number() == 1) seconds = static_cast<int64_t>(field.value());
    if (field.number() == 2) nanos = static_cast<int64_t>(field.value());
  }
  return absl::FromUnixSeconds(seconds) + absl::Nanoseconds(nanos);
}

// One walk over a Pod message. False where the bytes are no message.
class PodWalk {
 public:
  PodWalk(Pod* pod, OutlineWriter* outline) : pod_(*pod), outline_(*outline) {}

  // After Walk().
  const GroupWords& words() const { return words_; }

  bool Walk(std::string_view message) {
    FieldReader field(message);
    while (field.Next()) {
      if (!field.is_bytes() || field.number() > 3) continue;
      const size_t opened = outline_.Open(field.number());
      const bool ok = field.number() == 1   ? Metadata(field.bytes())
                      : field.number() == 2 ? Spec(field.bytes())
                                            : Status(field.bytes());
      if (!ok) return false;
      outline_.Close(opened);
    }
    for (const auto& [name, claim] : made_claims_) NameClaim(name, claim);
    if (own_claims_) {  // named after the pod and owned by it: such a pod has a shape of its own
      const size_t opened = outline_.Open(1);
      outline_.String(1, pod_.name);
      outline_.String(5, pod_.uid);
      outline_.Close(opened);
    }
    return field.ok();
  }

 private:
  bool Metadata(std::string_view message) {
    FieldReader field(message);
    while (field.Next()) {
      switch (field.number()) {
        case 1: pod_.name = field.bytes(); break;
        case 5: pod_.uid = field.bytes(); break;
        case 6: pod_.resource_version = ParseResourceVersion(field.bytes()); break;
        case 7: pod_.generation = static_cast<int64_t>(field.value()); break;
        case 8: pod_.created = ReadTime(field.bytes()); break;
        case 9: pod_.deleting = true; break;
        case 13:
          if (!Owner(field)) return false;
          break;
        default:
          if (field.number() == kLabelsField) words_.AddLabel(field.bytes());
          if (field.number() == kAnnotationsField) words_.AddAnnotation(field.bytes());
          if (Contains(kMetadata, field.number())) outline_.Copy(field);
      }
    }
    return field.ok();
  }

  // Only the controller, and only of a kind that plugins read.
  bool Owner(const FieldReader& owner) {
    std::string_view kind, api_version;
    bool controller = false;
    FieldReader field(owner.bytes());
    while (field.Next()) {
      if (field.number() == 1) kind = field.bytes();
      if (field.number() == 5) api_version = field.bytes();
      if (field.number() == 6) controller = field.value() != 0;
    }
    if (!field.ok() || !controller || controlled_) return field.ok();
    controlled_ = true;
    return !SpreadsPods(api_version, kind) || CopySome(owner, kOwner);
  }

  bool Spec(std::string_view message) {
    FieldReader field(message);
    while (field.Next()) {
      switch (field.number()) {
        case 1:
          if (!Volume(field.bytes())) return false;
          break;
        case 2:
        case 20:
          if (!Container(field)) return false;
          break;
        case 34:
          if (!EphemeralContainer(field.bytes())) return false;
          break;
        case 5: pod_.max_runtime = absl::Seconds(static_cast<int64_t>(field.value())); break;
        case 10: pod_.node = field.bytes(); break;
        case 38: {
          std::string_view name;
          FieldReader gate(field.bytes());
          while (gate.Next()) {
            if (gate.number() == 1) name = gate.bytes();
          }
          if (!gate.ok()) return false;
          pod_.scheduling_gates.emplace_back(name);
          break;
        }
        case 39:
          if (!Claim(field.bytes())) return false;
          break;
        case 43: {  // schedulingGroup
          FieldReader group(field.bytes());
          while (group.Next()) {
            if (group.number() == 1) words_.set_pod_group(group.bytes());
          }
          if (!group.ok()) return false;
          break;
        }
        default:
          if (Contains(kSpec, field.number())) outline_.Copy(field);
      }
    }
    return field.ok();
  }

  // An entry of resourceClaims.
  bool Claim(std::string_view message) {
    PodClaim& claim = pod_.claims.emplace_back();
    FieldReader field(message);
    while (field.Next()) {
      switch (field.number()) {
        case 1: claim.name = field.bytes(); break;
        case 3:
          claim.claim = field.bytes();
          claim.known = true;
          break;
        case 4: claim.template_name = field.bytes(); break;
        default: break;
      }
    }
    return field.ok();
  }

  // The first entry of a name counts.
  void NameClaim(std::string_view name, std::string_view made) {
    for (PodClaim& claim : pod_.claims) {
      if (claim.name != name || claim.known) continue;
      claim.claim = made;
      claim.known = true;
    }
  }

  bool Container(const FieldReader& container) {
    const size_t opened = outline_.Open(container.number());
    FieldReader field(container.bytes());
    while (field.Next()) {
      if (Contains(kContainer, field.number())) outline_.Copy(field);
      if (field.number() == 9 && !Mount(field.bytes())) return false;
    }
    outline_.Close(opened);
    return field.ok();
  }

  // volumeMounts (9) in ephemeralContainerCommon (1).
  bool EphemeralContainer(std::string_view message) {
    const size_t container = outline_.Open(34), common = outline_.Open(1);
    FieldReader field(message);
    while (field.Next()) {
      if (field.number() != 1) continue;
      FieldReader inner(field.bytes());
      while (inner.Next()) {
        if (inner.number() == 9 && !Mount(inner.bytes())) return false;
      }
      if (!inner.ok()) return false;
    }
    outline_.Close(common);
    outline_.Close(container);
    return field.ok();
  }

  // A mount counts only for its bindMountOptions (8).
  bool Mount(std::string_view message) {
    FieldReader field(message);
    while (field.Next()) {
      if (field.number() != 8) continue;
      const size_t mount = outline_.Open(9);
      outline_.Copy(field);
      outline_.Close(mount);
    }
    return field.ok();
  }

  // name (1), volumeSource (2): most volumes count for nothing, and have names of their own.
  bool Volume(std::string_view message) {
    std::string_view name;
    size_t volume = 0, wrapper = 0;
    const auto open = [&](bool named) {
      if (volume != 0) return;
      volume = outline_.Open(1);
      if (named) outline_.String(1, name);
      wrapper = outline_.Open(2);
    };
    for (FieldReader field(message); field.Next();) {
      if (field.number() == 1) name = field.bytes();
    }
    FieldReader field(message);
    while (field.Next()) {
      if (field.number() != 2) continue;
      FieldReader source(field.bytes());
      while (source.Next()) {
        if (Contains(kNamedVolume, source.number())) {
          open(/*named=*/true);
          outline_.Copy(source);
        } else if (source.number() == kEphemeralVolume) {
          open(/*named=*/true);
          outline_.String(kEphemeralVolume, "");
          own_claims_ = true;
        } else if (source.number() == kImageVolume) {
          open(/*named=*/false);
          outline_.Copy(source);
        }
      }
      if (!source.ok()) return false;
    }
    if (volume != 0) {
      outline_.Close(wrapper);
      outline_.Close(volume);
    }
    return field.ok();
  }

  bool Status(std::string_view message) {
    FieldReader field(message);
    while (field.Next()) {
      switch (field.number()) {
        case 1: pod_.ended = field.bytes() == "Succeeded" || field.bytes() == "Failed"; break;
        case 2:
          if (!Condition(field)) return false;
          break;
        case 7: pod_.started = ReadTime(field.bytes()); break;
        case 8:
        case 10:
          if (!CopySome(field, kContainerStatus)) return false;
          break;
        case 11: pod_.nominated_node = field.bytes(); break;
        case 15: {  // resourceClaimStatuses
          std::string_view name, claim;
          FieldReader entry(field.bytes());
          while (entry.Next()) {
            if (entry.number() == 1) name = entry.bytes();
            if (entry.number() == 2) claim = entry.bytes();
          }
          if (!entry.ok()) return false;
          made_claims_.emplace_back(name, claim);
          break;
        }
        case 18: {  // extendedResourceClaimStatus
          FieldReader claim(field.bytes());
          while (claim.Next()) {
            if (claim.number() == 2) pod_.extended_claim = claim.bytes();
          }
          if (!claim.ok()) return false;
          break;
        }
        default:
          if (Contains(kStatus, field.number())) outline_.Copy(field);
      }
    }
    return field.ok();
  }

  bool Condition(const FieldReader& condition) {
    std::string_view type, status, reason, text;
    FieldReader field(condition.bytes());
    while (field.Next()) {
      switch (field.number()) {
        case 1: type = field.bytes(); break;
        case 2: status = field.bytes(); break;
        case 5: reason = field.bytes(); break;
        case 6: text = field.bytes(); break;
        default: break;
      }
    }
    if (!field.ok()) return false;
    if (type == "PodScheduled") {
      pod_.scheduled = {true, std::string(status), std::string(reason), std::string(text)};
    } else if (type == "DisruptionTarget") {
      pod_.preempted = status == "True" && reason == "PreemptionByScheduler";
    } else if (type == "PodResizePending") {
      return CopySome(condition, kCondition);
    }
    return true;
  }

  bool CopySome(const FieldReader& message, uint64_t numbers) {
    const size_t opened = outline_.Open(message.number());
    FieldReader field(message.bytes());
    while (field.Next()) {
      if (Contains(numbers, field.number())) outline_.Copy(field);
    }
    outline_.Close(opened);
    return field.ok();
  }

  Pod& pod_;
  OutlineWriter& outline_;
  GroupWords words_;
  std::vector<std::pair<std::string_view, std::string_view>> made_claims_;  // by name in the pod
  bool controlled_ = false;                                                 // the controller was seen
  bool own_claims_ = false;                                                 // an ephemeral volume was
};

struct SpecHash {
  size_t operator()(const std::shared_ptr<const PodSpec>& spec) const { return StableHash(*spec); }
};
struct SpecEqual {
  bool operator()(const std::shared_ptr<const PodSpec>& a, const std::shared_ptr<const PodSpec>& b) const {
    return *a == *b;
  }
};

}  // namespace

struct Decoder::Impl {
  struct Shape {
    std::shared_ptr<const PodSpec> spec;
    std::string invalid;
  };
  // Shapes by outline are an aid only: few, and forgotten when there are too many.
  static constexpr size_t kMaxOutlines = 4096;

  PodPtr DecodePod(std::string_view object, bool as_written) {
    auto pod = std::make_shared<Pod>();
    outline.Clear();
    PodWalk walk(pod.get(), &outline);
    if (!walk.Walk(object)) {
      if (pod->name.empty()) return nullptr;
      static const auto* const kEmpty = new std::shared_ptr<const PodSpec>(std::make_shared<PodSpec>());
      pod->spec = *kEmpty;
      pod->invalid = "the object is not a Pod message";
      return pod;
    }
    if (pod->name.empty()) return nullptr;
    const Shape& shape = FindShape(as_written);
    pod->spec = shape.spec;
    pod->invalid = shape.invalid;
    walk.words().Read(pod.get());
    return pod;
  }

  const Shape& FindShape(bool as_written) {
    auto& known = by_outline[as_written ? 1 : 0];
    if (const auto it = known.find(outline.bytes()); it != known.end()) return it->second;
    if (known.size() >= kMaxOutlines) known.clear();
    Shape shape;
    PodSpec spec;
    scratch_pod.Clear();
    if (scratch_pod.ParseFromString(outline.bytes())) {
      shape.invalid = BuildPodSpec(scratch_pod, as_written, &spec);
    } else {
      shape.invalid = "the object is not a Pod message";
    }
    shape.spec = Share(std::move(spec));
    return known.emplace(outline.bytes(), std::move(shape)).first->second;
  }

  std::shared_ptr<const PodSpec> Share(PodSpec spec) {
    if (pool.size() >= sweep_at) {
      for (auto& known : by_outline) known.clear();
      absl::erase_if(pool, [](const auto& held) { return held.use_count() == 1; });
      sweep_at = 2 * pool.size() + 1024;
    }
    return *pool.insert(std::make_shared<const PodSpec>(std::move(spec))).first;
  }

  OutlineWriter outline;
  core::Pod scratch_pod;
  core::Node scratch_node;
  absl::flat_hash_map<std::string, Shape> by_outline[2];  // as stored, as written
  absl::flat_hash_set<std::shared_ptr<const PodSpec>, SpecHash, SpecEqual> pool;
  size_t sweep_at = 1024;
};

Decoder::Decoder() : impl_(std::make_unique<Impl>()) {}
Decoder::~Decoder() = default;

size_t Decoder::shapes() const { return impl_->pool.size(); }

PodPtr Decoder::DecodePod(std::string_view object) { return impl_->DecodePod(object, /*as_written=*/false); }

PodPtr Decoder::DecodePod(const core::Pod& pod) {
  return impl_->DecodePod(pod.SerializeAsString(), /*as_written=*/true);
}

NodePtr Decoder::DecodeNode(std::string_view object) {
  core::Node& wire = impl_->scratch_node;
  wire.Clear();
  if (wire.ParseFromArray(object.data(), static_cast<int>(object.size()))) return DecodeNode(wire);
  const auto meta = ReadObjectMeta(object);
  if (!meta || meta->name.empty()) return nullptr;
  auto node = std::make_shared<Node>();
  node->name = meta->name;
  node->uid = meta->uid;
  node->resource_version = meta->resource_version;
  node->invalid = "the object is not a Node message";
  return node;
}

NodePtr Decoder::DecodeNode(const core::Node& wire) {
  if (wire.metadata().name().empty()) return nullptr;
  auto node = std::make_shared<Node>();
  node->name = wire.metadata().name();
  node->uid = wire.metadata().uid();
  node->resource_version = ParseResourceVersion(wire.metadata().resourceversion());
  node->labels = Labels(wire.metadata().labels().begin(), wire.metadata().labels().end());
  node->unschedulable = wire.spec().unschedulable();
  for (const auto& t : wire.spec().taints()) node->taints.push_back({t.key(), t.value(), ReadTaintEffect(t.effect())});

  const core::NodeStatus& status = wire.status();
  const bool has_allocatable = status.allocatable_size() > 0;
  const ResourceList allocatable = has_allocatable
                                       ? ReadResourceList(status.allocatable(), "status.allocatable", &node->invalid)
                                       : ReadResourceList(status.capacity(), "status.capacity", &node->invalid);
  for (const auto& [name, quantity] : allocatable) {
    if (name == "cpu") {
      node->allocatable.push_back({name, quantity.MilliValue()});
    } else if (name == "pods" || IsAccountedResource(name)) {
      node->allocatable.push_back({name, quantity.Value()});
    }
  }
  for (const auto& image : status.images()) {
    node->images.push_back({{image.names().begin(), image.names().end()}, image.sizebytes()});
  }
  node->declared_features = {status.declaredfeatures().begin(), status.declaredfeatures().end()};
  return node;
}

}  // namespace muster
