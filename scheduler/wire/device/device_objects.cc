#include "scheduler/wire/device/device_objects.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/wire/make_object.h"
#include "scheduler/wire/pod_spec.h"

namespace muster {
namespace {

namespace resource = k8s::io::api::resource::v1;
namespace meta = k8s::io::apimachinery::pkg::apis::meta::v1;
using WireQuantity = k8s::io::apimachinery::pkg::api::resource::Quantity;
using Texts = std::vector<std::string>;

constexpr int kManagedFields = 17;  // of ObjectMeta

Time ReadTime(bool has, const meta::Time& wire) {
  return has ? absl::FromUnixSeconds(wire.seconds()) + absl::Nanoseconds(wire.nanos()) : absl::InfinitePast();
}

// Reads one object. Of several things that cannot be read the least is told: maps have no order of their own.
class DeviceReader {
 public:
  const std::string& error() const { return error_; }

  std::optional<DeviceQuantity> Quantity(const WireQuantity& wire, const std::string& path) {
    const auto value = muster::Quantity::ParseWide(wire.string());
    if (value.ok()) return DeviceQuantity{*value, FormatOf(wire.string())};
    Fail(absl::StrCat(path, ": ", value.status().message()));
    return std::nullopt;
  }

  template <typename Map>  // of Quantity, or of Counter
  DeviceQuantities Quantities(const Map& wire, const std::string& path) {
    DeviceQuantities all;
    for (const auto& [name, entry] : wire) {
      const std::string at = absl::StrCat(path, "[", name, "]");
      if (const auto quantity = Quantity(Of(entry), at)) all.emplace(name, *quantity);
    }
    return all;
  }

  // Of a slice or of a device in it.
  template <typename Wire>
  DeviceNodes Nodes(const Wire& wire, const std::string& path) {
    DeviceNodes nodes;
    nodes.node_name = wire.nodename();
    nodes.all_nodes = wire.allnodes();
    if (!wire.has_nodeselector()) return nodes;
    nodes.selector = ReadNodeSelector(wire.nodeselector());
    if (nodes.selector->size() != 1) Fail(absl::StrCat(path, ".nodeSelector.nodeSelectorTerms: must have one item"));
    return nodes;
  }

  Device ReadDevice(const resource::Device& wire, const std::string& path) {
    Device device;
    device.name = wire.name();
    for (const auto& [name, attribute] : wire.attributes()) device.attributes.emplace(name, Attribute(attribute));
    for (const auto& [name, capacity] : wire.capacity()) {
      if (auto read = Capacity(capacity, absl::StrCat(path, ".capacity[", name, "]")))
        device.capacity.emplace(name, *std::move(read));
    }
    for (const auto& consumed : wire.consumescounters()) {
      const std::string at = absl::StrCat(path, ".consumesCounters[", device.consumes_counters.size(), "].counters");
      device.consumes_counters.push_back(
          {consumed.counterset(), Quantities(consumed.counters(), at),
           Texts(consumed.compatibilitygroups().begin(), consumed.compatibilitygroups().end())});
    }
    device.nodes = Nodes(wire, path);
    for (const auto& taint : wire.taints()) device.taints.push_back(Taint(taint));
    device.binds_to_node = wire.bindstonode();
    device.binding_conditions = {wire.bindingconditions().begin(), wire.bindingconditions().end()};
    device.binding_failure_conditions = {wire.bindingfailureconditions().begin(),
                                         wire.bindingfailureconditions().end()};
    if (wire.has_allowmultipleallocations()) device.allow_multiple_allocations = wire.allowmultipleallocations();
    return device;
  }

  static DeviceTaint Taint(const resource::DeviceTaint& wire) {
    return {wire.key(), wire.value(), wire.effect(), ReadTime(wire.has_timeadded(), wire.timeadded())};
  }

  static Texts Selectors(const google::protobuf::RepeatedPtrField<resource::DeviceSelector>& wire) {
    Texts all;
    for (const auto& selector : wire) all.push_back(selector.cel().expression());
    return all;
  }

  static std::vector<DeviceToleration> Tolerations(
      const google::protobuf::RepeatedPtrField<resource::DeviceToleration>& wire) {
    std::vector<DeviceToleration> all;
    for (const auto& from : wire) {
      DeviceToleration& to =
          all.emplace_back(DeviceToleration{from.key(), from.operator_(), from.value(), from.effect(), {}});
      if (from.has_tolerationseconds()) to.toleration_seconds = from.tolerationseconds();
    }
    return all;
  }

  template <typename Requests>
  static DeviceConfig Config(const Requests& requests, const resource::DeviceConfiguration& wire) {
    return {Texts(requests.begin(), requests.end()), wire.has_opaque(), wire.opaque().driver(),
            wire.opaque().parameters().raw()};
  }

  // ExactDeviceRequest or DeviceSubRequest.
  template <typename Wire>
  DeviceRequest Request(const std::string& name, const Wire& wire, const std::string& path) {
    DeviceRequest request;
    request.name = name;
    request.device_class = wire.deviceclassname();
    request.selectors = Selectors(wire.selectors());
    request.allocation_mode = wire.allocationmode();
    request.count = wire.count();
    request.tolerations = Tolerations(wire.tolerations());
    if (wire.has_capacity())
      request.capacity = Quantities(wire.capacity().requests(), absl::StrCat(path, ".capacity.requests"));
    for (const auto& derived : wire.derivedattributes())
      request.derived_attributes.push_back({derived.name(), derived.expression()});
    return request;
  }

  DeviceRequest ReadRequest(const resource::DeviceRequest& wire, const std::string& path) {
    if (wire.firstavailable().empty()) {
      DeviceRequest request = Request(wire.name(), wire.exactly(), absl::StrCat(path, ".exactly"));
      if (wire.exactly().has_adminaccess()) request.admin_access = wire.exactly().adminaccess();
      if (!wire.has_exactly()) Fail(absl::StrCat(path, ": must have exactly or firstAvailable"));
      return request;
    }
    DeviceRequest request;
    request.name = wire.name();
    for (const auto& sub : wire.firstavailable()) {
      request.first_available.push_back(
          Request(sub.name(), sub, absl::StrCat(path, ".firstAvailable[", request.first_available.size(), "]")));
    }
    return request;
  }

  AllocatedDevice Result(const resource::DeviceRequestAllocationResult& wire, const std::string& path) {
    AllocatedDevice device;
    device.request = wire.request();
    device.id = {wire.driver(), wire.pool(), wire.device()};
    if (wire.has_adminaccess()) device.admin_access = wire.adminaccess();
    device.tolerations = Tolerations(wire.tolerations());
    device.binding_conditions = {wire.bindingconditions().begin(), wire.bindingconditions().end()};
    device.binding_failure_conditions = {wire.bindingfailureconditions().begin(),
                                         wire.bindingfailureconditions().end()};
    device.share_id = wire.shareid();
    device.consumed_capacity = Quantities(wire.consumedcapacity(), absl::StrCat(path, ".consumedCapacity"));
    device.skip_node_operations = {wire.skipnodeoperations().begin(), wire.skipnodeoperations().end()};
    return device;
  }

  DeviceAllocation Allocation(const resource::AllocationResult& wire) {
    constexpr char kPath[] = "status.allocation";
    DeviceAllocation allocation;
    for (const auto& result : wire.devices().results()) {
      allocation.devices.push_back(
          Result(result, absl::StrCat(kPath, ".devices.results[", allocation.devices.size(), "]")));
    }
    for (const auto& config : wire.devices().config()) {
      allocation.config.push_back(
          {config.source() == "FromClass", Config(config.requests(), config.deviceconfiguration())});
    }
    if (wire.has_nodeselector()) {
      std::vector<NodeSelectorTerm> terms = ReadNodeSelector(wire.nodeselector());
      if (terms.size() != 1) Fail(absl::StrCat(kPath, ".nodeSelector.nodeSelectorTerms: must have one item"));
      allocation.nodes = terms.empty() ? NodeSelectorTerm() : std::move(terms.front());
    }
    allocation.time = ReadTime(wire.has_allocationtimestamp(), wire.allocationtimestamp());
    return allocation;
  }

 private:
  static const WireQuantity& Of(const WireQuantity& quantity) { return quantity; }
  static const WireQuantity& Of(const resource::Counter& counter) { return counter.value(); }

  void Fail(std::string error) {
    if (error_.empty() || error < error_) error_ = std::move(error);
  }

  static DeviceAttribute Attribute(const resource::DeviceAttribute& wire) {
    using Type = DeviceAttribute::Type;
    if (wire.has_int_()) return {Type::kInt, false, {wire.int_()}, {}};
    if (wire.has_bool_()) return {Type::kBool, false, {wire.bool_() ? 1 : 0}, {}};
    if (wire.has_string()) return {Type::kString, false, {}, {wire.string()}};
    if (wire.has_version()) return {Type::kVersion, false, {}, {wire.version()}};
    if (!wire.ints().empty()) return {Type::kInt, true, {wire.ints().begin(), wire.ints().end()}, {}};
    if (!wire.bools().empty()) return {Type::kBool, true, {wire.bools().begin(), wire.bools().end()}, {}};
    if (!wire.strings().empty()) return {Type::kString, true, {}, {wire.strings().begin(), wire.strings().end()}};
    if (!wire.versions().empty()) return {Type::kVersion, true, {}, {wire.versions().begin(), wire.versions().end()}};
    return {};
  }

  std::optional<DeviceCapacity> Capacity(const resource::DeviceCapacity& wire, const std::string& path) {
    const auto value = Quantity(wire.value(), absl::StrCat(path, ".value"));
    if (!value) return std::nullopt;
    DeviceCapacity capacity{*value, std::nullopt};
    if (!wire.has_requestpolicy()) return capacity;
    const std::string at = absl::StrCat(path, ".requestPolicy");
    const resource::CapacityRequestPolicy& from = wire.requestpolicy();
    CapacityPolicy& policy = capacity.policy.emplace();
    const auto read = [&](bool has, const WireQuantity& quantity, const char* field) {
      return has ? Quantity(quantity, absl::StrCat(at, field)) : std::nullopt;
    };
    policy.default_value = read(from.has_default_(), from.default_(), ".default");
    for (const auto& valid : from.validvalues()) {
      if (const auto quantity = read(true, valid, ".validValues")) policy.valid_values.push_back(*quantity);
    }
    if (from.has_validrange()) {
      const resource::CapacityRequestPolicyRange& range = from.validrange();
      policy.valid_range = {read(range.has_min(), range.min(), ".validRange.min"),
                            read(range.has_max(), range.max(), ".validRange.max"),
                            read(range.has_step(), range.step(), ".validRange.step")};
    }
    return capacity;
  }

  std::string error_;
};

// The object with what was wrong with it.
template <typename T>
ObjectPtr Finish(std::shared_ptr<T> object, const DeviceReader& reader, std::string* error) {
  object->invalid = reader.error();
  if (error->empty()) *error = reader.error();
  return object;
}

// Without managedFields, half of a claim's bytes: a server keeps those that it is not sent.
std::string Original(const resource::ResourceClaim& wire) {
  resource::ResourceClaim kept = wire;
  meta::ObjectMeta& metadata = *kept.mutable_metadata();
  metadata.GetReflection()->MutableUnknownFields(&metadata)->DeleteByNumber(kManagedFields);
  return kept.SerializeAsString();
}

}  // namespace

ObjectPtr ReadObject(const resource::ResourceSlice& wire, std::string* error) {
  DeviceReader reader;
  auto slice = MakeObject<ResourceSlice>(wire.metadata());
  const resource::ResourceSliceSpec& spec = wire.spec();
  slice->driver = spec.driver();
  slice->pool = spec.pool().name();
  slice->generation = spec.pool().generation();
  slice->slice_count = spec.pool().resourceslicecount();
  slice->nodes = reader.Nodes(spec, "spec");
  slice->per_device_node_selection = spec.perdevicenodeselection();
  for (const auto& device : spec.devices())
    slice->devices.push_back(reader.ReadDevice(device, absl::StrCat("spec.devices[", slice->devices.size(), "]")));
  for (const auto& set : spec.sharedcounters()) {
    const std::string at = absl::StrCat("spec.sharedCounters[", slice->shared_counters.size(), "].counters");
    slice->shared_counters.push_back({set.name(), reader.Quantities(set.counters(), at)});
  }
  slice->skip_node_operations = {spec.skipnodeoperations().begin(), spec.skipnodeoperations().end()};
  return Finish(std::move(slice), reader, error);
}

ObjectPtr ReadObject(const resource::DeviceClass& wire, std::string*) {
  auto made = MakeObject<DeviceClass>(wire.metadata());
  made->selectors = DeviceReader::Selectors(wire.spec().selectors());
  for (const auto& config : wire.spec().config())
    made->config.push_back(DeviceReader::Config(Texts(), config.deviceconfiguration()));
  made->extended_resource_name = wire.spec().extendedresourcename();
  made->created = ReadTime(wire.metadata().has_creationtimestamp(), wire.metadata().creationtimestamp());
  return made;
}

ObjectPtr ReadObject(const resource::DeviceTaintRule& wire, std::string*) {
  auto rule = MakeObject<DeviceTaintRule>(wire.metadata());
  rule->has_selector = wire.spec().has_deviceselector();
  const resource::DeviceTaintSelector& selector = wire.spec().deviceselector();
  if (selector.has_driver()) rule->driver = selector.driver();
  if (selector.has_pool()) rule->pool = selector.pool();
  if (selector.has_device()) rule->device = selector.device();
  rule->taint = DeviceReader::Taint(wire.spec().taint());
  return rule;
}

ObjectPtr ReadObject(const resource::ResourceClaim& wire, std::string* error) {
  DeviceReader reader;
  const meta::ObjectMeta& metadata = wire.metadata();
  auto claim = MakeObject<ResourceClaim>(metadata);
  for (const auto& owner : metadata.ownerreferences()) {
    if (!owner.controller()) continue;
    claim->controller_uid = owner.uid();
    break;
  }
  const auto annotation = [&](const char* name) {
    const auto it = metadata.annotations().find(name);
    return it == metadata.annotations().end() ? std::string() : it->second;
  };
  claim->pod_claim_name = annotation(kPodClaimAnnotation);
  claim->extended_resource = annotation(kExtendedClaimAnnotation) == "true";
  claim->deleting = metadata.has_deletiontimestamp();
  claim->finalizer = std::find(metadata.finalizers().begin(), metadata.finalizers().end(), kClaimFinalizer) !=
                     metadata.finalizers().end();
  const resource::DeviceClaim& devices = wire.spec().devices();
  for (const auto& request : devices.requests()) {
    const std::string at = absl::StrCat("spec.devices.requests[", claim->requests.size(), "]");
    claim->requests.push_back(reader.ReadRequest(request, at));
  }
  for (const auto& constraint : devices.constraints()) {
    claim->constraints.push_back({Texts(constraint.requests().begin(), constraint.requests().end()),
                                  constraint.matchattribute(), constraint.distinctattribute()});
  }
  for (const auto& config : devices.config())
    claim->config.push_back(DeviceReader::Config(config.requests(), config.deviceconfiguration()));
  if (wire.status().has_allocation()) claim->allocation = reader.Allocation(wire.status().allocation());
  for (const auto& consumer : wire.status().reservedfor())
    claim->reserved_for.push_back({consumer.apigroup(), consumer.resource(), consumer.name(), consumer.uid()});
  for (const auto& device : wire.status().devices()) {
    for (const auto& condition : device.conditions()) {
      claim->conditions.push_back({{device.driver(), device.pool(), device.device()},
                                   device.shareid(),
                                   condition.type(),
                                   condition.status() == "True"});
    }
  }
  claim->original = Original(wire);
  return Finish(std::move(claim), reader, error);
}

}  // namespace muster
