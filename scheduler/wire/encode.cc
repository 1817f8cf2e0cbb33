#include "scheduler/wire/encode.h"

#include "absl/strings/str_cat.h"
#include "scheduler/wire/proto/coordination_v1.pb.h"
#include "scheduler/wire/proto/core_v1.pb.h"
#include "scheduler/wire/proto/events_v1.pb.h"
#include "scheduler/wire/proto/runtime.pb.h"

namespace muster {
namespace {

namespace coordination = k8s::io::api::coordination::v1;
namespace meta = k8s::io::apimachinery::pkg::apis::meta::v1;

// MicroTime counts microseconds; finer parts would not survive the server.
void Set(Time time, meta::MicroTime* out) {
  const int64_t micros = absl::ToUnixMicros(time);
  const int64_t seconds = absl::ToUnixSeconds(time);
  out->set_seconds(seconds);
  out->set_nanos(static_cast<int32_t>((micros - seconds * 1'000'000) * 1'000));
}

Time ReadTime(const meta::MicroTime& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

std::string Text(std::string_view view) { return std::string(view); }

}  // namespace

std::string Seal(std::string_view api_version, std::string_view kind, const google::protobuf::MessageLite& object) {
  k8s::io::apimachinery::pkg::runtime::Unknown envelope;
  envelope.mutable_typemeta()->set_apiversion(Text(api_version));
  envelope.mutable_typemeta()->set_kind(Text(kind));
  object.SerializePartialToString(envelope.mutable_raw());
  std::string body("k8s\0", 4);
  envelope.AppendToString(&body);
  return body;
}

std::string EncodeBinding(std::string_view ns, std::string_view pod, std::string_view uid, std::string_view node) {
  k8s::io::api::core::v1::Binding binding;
  binding.mutable_metadata()->set_namespace_(Text(ns));
  binding.mutable_metadata()->set_name(Text(pod));
  if (!uid.empty()) binding.mutable_metadata()->set_uid(Text(uid));
  binding.mutable_target()->set_kind("Node");
  binding.mutable_target()->set_name(Text(node));
  return Seal("v1", "Binding", binding);
}

std::string EncodeEvent(const EventRecord& event) {
  k8s::io::api::events::v1::Event wire;
  wire.mutable_metadata()->set_namespace_(Text(event.ns));
  wire.mutable_metadata()->set_name(Text(event.name));
  Set(event.event_time, wire.mutable_eventtime());
  if (event.series_count > 0) {
    wire.mutable_series()->set_count(event.series_count);
    Set(event.series_last, wire.mutable_series()->mutable_lastobservedtime());
  }
  wire.set_reportingcontroller(Text(event.reporting_controller));
  wire.set_reportinginstance(Text(event.reporting_instance));
  wire.set_action(Text(event.action));
  wire.set_reason(Text(event.reason));
  wire.set_note(Text(event.note));
  wire.set_type(Text(event.type));
  const auto refer = [](auto* to, std::string_view kind, std::string_view api_version, std::string_view ns,
                        std::string_view name, std::string_view uid, uint64_t resource_version) {
    to->set_kind(Text(kind));
    to->set_apiversion(Text(api_version));
    to->set_namespace_(Text(ns));
    to->set_name(Text(name));
    to->set_uid(Text(uid));
    if (resource_version != 0) to->set_resourceversion(absl::StrCat(resource_version));
  };
  refer(wire.mutable_regarding(), event.regarding_kind, event.regarding_api_version, event.regarding_ns,
        event.regarding_name, event.regarding_uid, event.regarding_resource_version);
  if (!event.related_kind.empty()) {
    refer(wire.mutable_related(), event.related_kind, event.related_api_version, event.related_ns, event.related_name,
          event.related_uid, event.related_resource_version);
  }
  return Seal("events.k8s.io/v1", "Event", wire);
}

std::optional<LeaseRecord> DecodeLease(std::string_view object) {
  auto wire = std::make_shared<coordination::Lease>();
  if (!wire->ParseFromArray(object.data(), static_cast<int>(object.size()))) return std::nullopt;
  LeaseRecord lease;
  lease.ns = wire->metadata().namespace_();
  lease.name = wire->metadata().name();
  lease.resource_version = wire->metadata().resourceversion();
  lease.holder = wire->spec().holderidentity();
  lease.duration_seconds = wire->spec().leasedurationseconds();
  lease.transitions = wire->spec().leasetransitions();
  if (wire->spec().has_acquiretime()) lease.acquired = ReadTime(wire->spec().acquiretime());
  if (wire->spec().has_renewtime()) lease.renewed = ReadTime(wire->spec().renewtime());
  lease.original = std::move(wire);
  return lease;
}

std::string EncodeLease(const LeaseRecord& lease) {
  coordination::Lease wire;
  if (lease.original) wire = *static_cast<const coordination::Lease*>(lease.original.get());
  wire.mutable_metadata()->set_namespace_(lease.ns);
  wire.mutable_metadata()->set_name(lease.name);
  if (!lease.resource_version.empty()) wire.mutable_metadata()->set_resourceversion(lease.resource_version);
  coordination::LeaseSpec& spec = *wire.mutable_spec();
  spec.set_holderidentity(lease.holder);
  spec.set_leasedurationseconds(lease.duration_seconds);
  spec.set_leasetransitions(lease.transitions);
  if (lease.acquired != absl::InfinitePast()) Set(lease.acquired, spec.mutable_acquiretime());
  if (lease.renewed != absl::InfinitePast()) Set(lease.renewed, spec.mutable_renewtime());
  return Seal("coordination.k8s.io/v1", "Lease", wire);
}

}  // namespace muster
