// Bodies that are written to the API server, as enveloped protobuf.
#ifndef MUSTER_SCHEDULER_WIRE_ENCODE_H_
#define MUSTER_SCHEDULER_WIRE_ENCODE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "scheduler/model/ids.h"

namespace google::protobuf {
class MessageLite;
}  // namespace google::protobuf

namespace muster {

inline constexpr char kProtobufContentType[] = "application/vnd.kubernetes.protobuf";

// 6b 38 73 00 and runtime.Unknown around the message.
std::string Seal(std::string_view api_version, std::string_view kind, const google::protobuf::MessageLite& object);

// v1 Binding, for POST .../pods/NAME/binding. An empty uid is no precondition.
std::string EncodeBinding(std::string_view ns, std::string_view pod, std::string_view uid, std::string_view node);

// An events.k8s.io/v1 Event; the fields of ApiEvent under the same names.
struct EventRecord {
  std::string_view ns, name;
  std::string_view reporting_controller, reporting_instance, action, reason, type, note;
  std::string_view regarding_kind, regarding_api_version, regarding_ns, regarding_name, regarding_uid;
  uint64_t regarding_resource_version = 0;
  std::string_view related_kind, related_api_version, related_ns, related_name, related_uid;
  uint64_t related_resource_version = 0;
  Time event_time;
  int32_t series_count = 0;  // > 0: `series` is present
  Time series_last;
};
std::string EncodeEvent(const EventRecord& event);

// coordination.k8s.io/v1 Lease; the fields of runtime's Lease under the same names.
struct LeaseRecord {
  std::string ns, name, holder;
  int32_t duration_seconds = 0, transitions = 0;
  Time acquired = absl::InfinitePast(), renewed = absl::InfinitePast();  // InfinitePast: absent
  std::string resource_version;
  std::shared_ptr<const void> original;  // the message as read: what it holds beside these is written back
};
std::optional<LeaseRecord> DecodeLease(std::string_view object);
std::string EncodeLease(const LeaseRecord& lease);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_WIRE_ENCODE_H_
