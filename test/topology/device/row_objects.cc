#include "test/topology/device/row_objects.h"

#include <stdexcept>

namespace muster {
namespace {

using Json = nlohmann::json;

const Json& Get(const Json& json, const char* key) {
  static const Json kNone;
  if (!json.is_object()) return kNone;
  const auto it = json.find(key);
  return it == json.end() ? kNone : *it;
}
std::string Text(const Json& json, const char* key) {
  const Json& value = Get(json, key);
  return value.is_null() ? "" : value.get<std::string>();
}
int64_t Int(const Json& json, const char* key) {
  const Json& value = Get(json, key);
  return value.is_null() ? 0 : value.get<int64_t>();
}
bool Bool(const Json& json, const char* key) {
  const Json& value = Get(json, key);
  return !value.is_null() && value.get<bool>();
}
std::vector<std::string> Texts(const Json& json, const char* key) {
  const Json& value = Get(json, key);
  return value.is_null() ? std::vector<std::string>() : value.get<std::vector<std::string>>();
}

void ReadMeta(const Json& json, Object& object) {
  object.ns = Text(Get(json, "metadata"), "namespace");
  object.name = Text(Get(json, "metadata"), "name");
}

constexpr std::string_view kOperators[] = {"In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"};

std::vector<Requirement> ReadRequirements(const Json& json) {
  std::vector<Requirement> all;
  for (const Json& one : json) {
    Requirement r{Text(one, "key"), Operator::kInvalid, Texts(one, "values"), Text(one, "operator")};
    for (size_t i = 0; i < std::size(kOperators); ++i) {
      if (r.op_text == kOperators[i]) r.op = static_cast<Operator>(i);
    }
    if (r.op != Operator::kInvalid) r.op_text.clear();
    all.push_back(std::move(r));
  }
  return all;
}

DeviceNodes ReadNodes(const Json& json) {
  DeviceNodes nodes;
  nodes.node_name = Text(json, "nodeName");
  nodes.all_nodes = Bool(json, "allNodes");
  if (const Json& selector = Get(json, "nodeSelector"); !selector.is_null()) {
    nodes.selector.emplace();
    for (const Json& term : Get(selector, "nodeSelectorTerms")) {
      nodes.selector->push_back(
          {ReadRequirements(Get(term, "matchExpressions")), ReadRequirements(Get(term, "matchFields"))});
    }
  }
  return nodes;
}

std::optional<DeviceQuantity> MaybeQuantity(const Json& json, const char* key) {
  const Json& value = Get(json, key);
  if (value.is_null()) return std::nullopt;
  return ReadQuantity(value.get<std::string>());
}

DeviceQuantities ReadCounters(const Json& json) {
  DeviceQuantities all;
  for (const auto& [name, counter] : json.items()) all[name] = ReadQuantity(Text(counter, "value"));
  return all;
}

DeviceCapacity ReadCapacity(const Json& json) {
  DeviceCapacity capacity{ReadQuantity(Text(json, "value")), std::nullopt};
  const Json& wire = Get(json, "requestPolicy");
  if (wire.is_null()) return capacity;
  CapacityPolicy& policy = capacity.policy.emplace();
  policy.default_value = MaybeQuantity(wire, "default");
  for (const Json& value : Get(wire, "validValues")) policy.valid_values.push_back(ReadQuantity(value));
  if (const Json& range = Get(wire, "validRange"); !range.is_null()) {
    policy.valid_range =
        CapacityPolicy::Range{MaybeQuantity(range, "min"), MaybeQuantity(range, "max"), MaybeQuantity(range, "step")};
  }
  return capacity;
}

Device ReadDevice(const Json& json) {
  Device device;
  device.name = Text(json, "name");
  for (const auto& [name, attribute] : Get(json, "attributes").items()) {
    device.attributes[name] = ReadAttribute(attribute);
  }
  for (const auto& [name, capacity] : Get(json, "capacity").items()) device.capacity[name] = ReadCapacity(capacity);
  for (const Json& consumed : Get(json, "consumesCounters")) {
    device.consumes_counters.push_back({Text(consumed, "counterSet"), ReadCounters(Get(consumed, "counters")),
                                        Texts(consumed, "compatibilityGroups")});
  }
  device.nodes = ReadNodes(json);
  for (const Json& taint : Get(json, "taints")) {
    DeviceTaint& read = device.taints.emplace_back();
    read.key = Text(taint, "key");
    read.value = Text(taint, "value");
    read.effect = Text(taint, "effect");
  }
  device.binds_to_node = Bool(json, "bindsToNode");
  device.binding_conditions = Texts(json, "bindingConditions");
  device.binding_failure_conditions = Texts(json, "bindingFailureConditions");
  if (!Get(json, "allowMultipleAllocations").is_null()) {
    device.allow_multiple_allocations = Bool(json, "allowMultipleAllocations");
  }
  return device;
}

std::vector<std::string> ReadSelectors(const Json& json) {
  std::vector<std::string> all;
  for (const Json& selector : json) all.push_back(Text(Get(selector, "cel"), "expression"));
  return all;
}

std::vector<DeviceToleration> ReadTolerations(const Json& json) {
  std::vector<DeviceToleration> all;
  for (const Json& one : json) {
    DeviceToleration& toleration = all.emplace_back();
    toleration.key = Text(one, "key");
    toleration.op = Text(one, "operator");
    toleration.value = Text(one, "value");
    toleration.effect = Text(one, "effect");
    if (!Get(one, "tolerationSeconds").is_null()) toleration.toleration_seconds = Int(one, "tolerationSeconds");
  }
  return all;
}

DeviceRequest ReadRequest(const Json& json, const std::string& name) {
  DeviceRequest request;
  request.name = name;
  request.device_class = Text(json, "deviceClassName");
  request.selectors = ReadSelectors(Get(json, "selectors"));
  request.allocation_mode = Text(json, "allocationMode");
  request.count = Int(json, "count");
  if (!Get(json, "adminAccess").is_null()) request.admin_access = Bool(json, "adminAccess");
  request.tolerations = ReadTolerations(Get(json, "tolerations"));
  if (const Json& capacity = Get(json, "capacity"); !capacity.is_null()) {
    request.capacity.emplace();
    for (const auto& [key, value] : Get(capacity, "requests").items()) (*request.capacity)[key] = ReadQuantity(value);
  }
  for (const Json& derived : Get(json, "derivedAttributes")) {
    request.derived_attributes.push_back({Text(derived, "name"), Text(derived, "expression")});
  }
  return request;
}

DeviceConfig ReadConfig(const Json& json) {
  const Json& opaque = Get(json, "opaque");
  const Json& parameters = Get(opaque, "parameters");
  return {Texts(json, "requests"), !opaque.is_null(), Text(opaque, "driver"),
          parameters.is_null() ? "" : parameters.dump()};
}

Json WriteRequirements(const std::vector<Requirement>& requirements) {
  Json all = Json::array();
  for (const Requirement& r : requirements) {
    Json one = {{"key", r.key}, {"operator", r.op_text}};
    if (r.op != Operator::kInvalid) one["operator"] = kOperators[static_cast<size_t>(r.op)];
    if (!r.values.empty()) one["values"] = r.values;
    all.push_back(std::move(one));
  }
  return all;
}

Json WriteDevice(const AllocatedDevice& device) {
  Json json = {{"request", device.request},
               {"driver", device.id.driver},
               {"pool", device.id.pool},
               {"device", device.id.device}};
  if (device.admin_access) json["adminAccess"] = *device.admin_access;
  for (const DeviceToleration& toleration : device.tolerations) {
    Json one = Json::object();
    if (!toleration.key.empty()) one["key"] = toleration.key;
    if (!toleration.op.empty()) one["operator"] = toleration.op;
    if (!toleration.value.empty()) one["value"] = toleration.value;
    if (!toleration.effect.empty()) one["effect"] = toleration.effect;
    if (toleration.toleration_seconds) one["tolerationSeconds"] = *toleration.toleration_seconds;
    json["tolerations"].push_back(std::move(one));
  }
  if (!device.binding_conditions.empty()) json["bindingConditions"] = device.binding_conditions;
  if (!device.binding_failure_conditions.empty()) json["bindingFailureConditions"] = device.binding_failure_conditions;
  if (!device.share_id.empty()) json["shareID"] = device.share_id;
  for (const auto& [name, amount] : device.consumed_capacity) json["consumedCapacity"][name] = amount.Text();
  if (!device.skip_node_operations.empty()) json["skipNodeOperations"] = device.skip_node_operations;
  return json;
}

}  // namespace

DeviceQuantity ReadQuantity(const std::string& text) {
  const absl::StatusOr<Quantity> value = Quantity::ParseWide(text);
  if (!value.ok()) throw std::runtime_error(std::string(value.status().message()));
  return {*value, FormatOf(text)};
}

DeviceAttribute ReadAttribute(const Json& json) {
  using Type = DeviceAttribute::Type;
  DeviceAttribute attribute;
  for (const auto& [key, value] : json.items()) {
    attribute.list = key.ends_with('s');
    const std::string kind = attribute.list ? key.substr(0, key.size() - 1) : key;
    attribute.type = kind == "int"      ? Type::kInt
                     : kind == "bool"   ? Type::kBool
                     : kind == "string" ? Type::kString
                                        : Type::kVersion;
    for (const Json& one : attribute.list ? value : Json::array({value})) {
      if (kind == "int") attribute.ints.push_back(one.get<int64_t>());
      if (kind == "bool") attribute.ints.push_back(one.get<bool>() ? 1 : 0);
      if (one.is_string()) attribute.texts.push_back(one.get<std::string>());
    }
  }
  return attribute;
}

Node ReadNode(const Json& json) {
  Node node;
  node.name = Text(Get(json, "metadata"), "name");
  for (const auto& [key, value] : Get(Get(json, "metadata"), "labels").items()) node.labels[key] = value;
  node.declared_features = Texts(Get(json, "status"), "declaredFeatures");
  return node;
}

ResourceSlice ReadSlice(const Json& json) {
  ResourceSlice slice;
  ReadMeta(json, slice);
  const Json& spec = Get(json, "spec");
  slice.driver = Text(spec, "driver");
  slice.pool = Text(Get(spec, "pool"), "name");
  slice.generation = Int(Get(spec, "pool"), "generation");
  slice.slice_count = Int(Get(spec, "pool"), "resourceSliceCount");
  slice.nodes = ReadNodes(spec);
  slice.per_device_node_selection = Bool(spec, "perDeviceNodeSelection");
  for (const Json& device : Get(spec, "devices")) slice.devices.push_back(ReadDevice(device));
  for (const Json& set : Get(spec, "sharedCounters")) {
    slice.shared_counters.push_back({Text(set, "name"), ReadCounters(Get(set, "counters"))});
  }
  slice.skip_node_operations = Texts(spec, "skipNodeOperations");
  return slice;
}

DeviceClass ReadClass(const Json& json) {
  DeviceClass read;
  ReadMeta(json, read);
  read.selectors = ReadSelectors(Get(Get(json, "spec"), "selectors"));
  for (const Json& config : Get(Get(json, "spec"), "config")) read.config.push_back(ReadConfig(config));
  return read;
}

ResourceClaim ReadClaim(const Json& json) {
  ResourceClaim claim;
  ReadMeta(json, claim);
  const Json& devices = Get(Get(json, "spec"), "devices");
  for (const Json& wire : Get(devices, "requests")) {
    DeviceRequest& request = claim.requests.emplace_back(ReadRequest(Get(wire, "exactly"), Text(wire, "name")));
    for (const Json& sub : Get(wire, "firstAvailable")) {
      request.first_available.push_back(ReadRequest(sub, Text(sub, "name")));
    }
  }
  for (const Json& constraint : Get(devices, "constraints")) {
    claim.constraints.push_back(
        {Texts(constraint, "requests"), Text(constraint, "matchAttribute"), Text(constraint, "distinctAttribute")});
  }
  for (const Json& config : Get(devices, "config")) claim.config.push_back(ReadConfig(config));
  return claim;
}

Json WriteAllocation(const DeviceAllocation& allocation) {
  Json json = {{"devices", Json::object()}};
  for (const AllocatedDevice& device : allocation.devices) json["devices"]["results"].push_back(WriteDevice(device));
  for (const AllocatedConfig& config : allocation.config) {
    Json one = {{"source", config.from_class ? "FromClass" : "FromClaim"}};
    if (!config.config.requests.empty()) one["requests"] = config.config.requests;
    if (config.config.opaque) {
      one["opaque"] = {{"driver", config.config.driver}, {"parameters", Json::parse(config.config.parameters)}};
    }
    json["devices"]["config"].push_back(std::move(one));
  }
  if (allocation.nodes) {
    Json term = Json::object();
    if (!allocation.nodes->fields.empty()) term["matchFields"] = WriteRequirements(allocation.nodes->fields);
    if (!allocation.nodes->expressions.empty()) {
      term["matchExpressions"] = WriteRequirements(allocation.nodes->expressions);
    }
    json["nodeSelector"] = {{"nodeSelectorTerms", Json::array({term})}};
  }
  return json;
}

}  // namespace muster
