#include "scheduler/wire/device/claim_bodies.h"

#include "absl/strings/str_cat.h"
#include "scheduler/model/ids.h"
#include "scheduler/wire/device/device_objects.h"
#include "scheduler/wire/encode.h"
#include "scheduler/wire/proto/resource_v1.pb.h"

namespace muster {
namespace {

namespace resource = k8s::io::api::resource::v1;
namespace core = k8s::io::api::core::v1;
namespace meta = k8s::io::apimachinery::pkg::apis::meta::v1;

std::string SealClaim(const resource::ResourceClaim& claim) {
  return Seal("resource.k8s.io/v1", "ResourceClaim", claim);
}

resource::ResourceClaim AsRead(const ResourceClaim& claim) {
  resource::ResourceClaim wire;
  wire.ParseFromString(claim.original);  // it was once
  return wire;
}

void SetTime(Time time, meta::Time* out) { out->set_seconds(absl::ToUnixSeconds(time)); }  // as JSON: no fractions

template <typename To>
void AddRequirements(const std::vector<Requirement>& requirements, To add) {
  constexpr const char* kNames[] = {"In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"};
  for (const Requirement& from : requirements) {
    core::NodeSelectorRequirement& to = *add();
    to.set_key(from.key);
    to.set_operator_(from.op == Operator::kInvalid ? from.op_text : kNames[static_cast<size_t>(from.op)]);
    for (const std::string& value : from.values) to.add_values(value);
  }
}

void Write(const std::vector<DeviceToleration>& tolerations,
           google::protobuf::RepeatedPtrField<resource::DeviceToleration>* out) {
  for (const DeviceToleration& from : tolerations) {
    resource::DeviceToleration& to = *out->Add();
    if (!from.key.empty()) to.set_key(from.key);
    if (!from.op.empty()) to.set_operator_(from.op);
    if (!from.value.empty()) to.set_value(from.value);
    if (!from.effect.empty()) to.set_effect(from.effect);
    if (from.toleration_seconds) to.set_tolerationseconds(*from.toleration_seconds);
  }
}

void Write(const AllocatedDevice& from, resource::DeviceRequestAllocationResult* to) {
  to->set_request(from.request);
  to->set_driver(from.id.driver);
  to->set_pool(from.id.pool);
  to->set_device(from.id.device);
  if (from.admin_access) to->set_adminaccess(*from.admin_access);
  Write(from.tolerations, to->mutable_tolerations());
  for (const std::string& condition : from.binding_conditions) to->add_bindingconditions(condition);
  for (const std::string& condition : from.binding_failure_conditions) to->add_bindingfailureconditions(condition);
  if (!from.share_id.empty()) to->set_shareid(from.share_id);
  for (const auto& [name, amount] : from.consumed_capacity)
    (*to->mutable_consumedcapacity())[name].set_string(amount.Text());
  for (const std::string& operation : from.skip_node_operations) to->add_skipnodeoperations(operation);
}

void Write(const DeviceAllocation& from, resource::AllocationResult* to) {
  resource::DeviceAllocationResult& devices = *to->mutable_devices();
  for (const AllocatedDevice& device : from.devices) Write(device, devices.add_results());
  for (const AllocatedConfig& config : from.config) {
    resource::DeviceAllocationConfiguration& made = *devices.add_config();
    made.set_source(config.from_class ? "FromClass" : "FromClaim");
    for (const std::string& request : config.config.requests) made.add_requests(request);
    resource::DeviceConfiguration& configuration = *made.mutable_deviceconfiguration();
    if (!config.config.opaque) continue;
    configuration.mutable_opaque()->set_driver(config.config.driver);
    configuration.mutable_opaque()->mutable_parameters()->set_raw(config.config.parameters);
  }
  if (from.nodes) {
    core::NodeSelectorTerm& term = *to->mutable_nodeselector()->add_nodeselectorterms();
    AddRequirements(from.nodes->expressions, [&] { return term.add_matchexpressions(); });
    AddRequirements(from.nodes->fields, [&] { return term.add_matchfields(); });
  }
  if (from.time != absl::InfinitePast()) SetTime(from.time, to->mutable_allocationtimestamp());
}

}  // namespace

std::string EncodeFinalizer(const ResourceClaim& claim, bool wanted) {
  resource::ResourceClaim wire = AsRead(claim);
  auto& finalizers = *wire.mutable_metadata()->mutable_finalizers();
  for (int i = finalizers.size() - 1; i >= 0; --i) {
    if (finalizers[i] == kClaimFinalizer) finalizers.DeleteSubrange(i, 1);
  }
  if (wanted) wire.mutable_metadata()->add_finalizers(kClaimFinalizer);
  return SealClaim(wire);
}

std::string EncodeReservation(const ResourceClaim& claim, const std::optional<DeviceAllocation>& allocation,
                              const ResourceClaim::Consumer& consumer) {
  resource::ResourceClaim wire = AsRead(claim);
  if (allocation) {
    wire.mutable_status()->clear_allocation();
    Write(*allocation, wire.mutable_status()->mutable_allocation());
  }
  resource::ResourceClaimConsumerReference& to = *wire.mutable_status()->add_reservedfor();
  if (!consumer.api_group.empty()) to.set_apigroup(consumer.api_group);
  to.set_resource(consumer.resource);
  to.set_name(consumer.name);
  to.set_uid(consumer.uid);
  return SealClaim(wire);
}

std::string EncodeDeallocation(const ResourceClaim& claim) {
  resource::ResourceClaim wire = AsRead(claim);
  wire.mutable_status()->clear_allocation();
  wire.mutable_status()->clear_reservedfor();
  wire.mutable_status()->clear_devices();
  return SealClaim(wire);
}

std::string EncodeExtendedClaim(std::string_view ns, std::string_view pod, std::string_view pod_uid,
                                const std::vector<DeviceRequest>& requests) {
  resource::ResourceClaim wire;
  meta::ObjectMeta& metadata = *wire.mutable_metadata();
  metadata.set_namespace_(std::string(ns));
  metadata.set_generatename(absl::StrCat(AsAbsl(pod), "-extended-resources-"));
  (*metadata.mutable_annotations())[kExtendedClaimAnnotation] = "true";
  meta::OwnerReference& owner = *metadata.add_ownerreferences();
  owner.set_apiversion("v1");
  owner.set_kind("Pod");
  owner.set_name(std::string(pod));
  owner.set_uid(std::string(pod_uid));
  owner.set_controller(true);
  for (const DeviceRequest& from : requests) {
    resource::DeviceRequest& to = *wire.mutable_spec()->mutable_devices()->add_requests();
    to.set_name(from.name);
    to.mutable_exactly()->set_deviceclassname(from.device_class);
    to.mutable_exactly()->set_allocationmode(from.allocation_mode);
    to.mutable_exactly()->set_count(from.count);
  }
  return SealClaim(wire);
}

}  // namespace muster
