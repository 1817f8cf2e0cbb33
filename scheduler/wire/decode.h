// Kubernetes protobuf bodies to the model: objects, lists, watch frames.
//
// Views that these functions return point into the bytes they were given.
#ifndef MUSTER_SCHEDULER_WIRE_DECODE_H_
#define MUSTER_SCHEDULER_WIRE_DECODE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "scheduler/model/node.h"
#include "scheduler/model/object.h"
#include "scheduler/model/pod.h"

namespace k8s::io::api::core::v1 {
class Node;
class Pod;
}  // namespace k8s::io::api::core::v1

namespace muster {

// Objects to the model. Not thread-safe: one a thread. Pods of equal shape share one PodSpec, also
// across calls; a shape that no pod uses any more is let go in time.
class Decoder {
 public:
  Decoder();
  ~Decoder();
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  // `object` is a core/v1 message (Envelope::object, a list's item, a watch event's object) as a
  // server gives it. An object that cannot be interpreted comes back with `invalid` set; nullptr
  // only where the bytes are not a message with a metadata.name.
  PodPtr DecodePod(std::string_view object);
  NodePtr DecodeNode(std::string_view object);
  // Of any other kind that comes in protobuf; nullptr as above. (objects.h has the same for messages.)
  // `api_version` tells a PodGroup's messages apart ("scheduling.k8s.io/v1beta1").
  ObjectPtr DecodeObject(Kind kind, std::string_view object, std::string_view api_version = {});
  // A pod or node as a user writes it: completed as the API server does on creation.
  // Priority classes and the scheduler's name are the caller's.
  PodPtr DecodePod(const k8s::io::api::core::v1::Pod& pod);
  NodePtr DecodeNode(const k8s::io::api::core::v1::Node& node);

  size_t shapes() const;  // distinct PodSpecs held

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// "" and what is no decimal number give 0.
uint64_t ParseResourceVersion(std::string_view text);

// A body: 6b 38 73 00, then runtime.Unknown.
struct Envelope {
  std::string_view api_version, kind;
  std::string_view object;  // the message named by kind
};
// nullopt: not such a body (perhaps JSON, as some proxies answer), or an encoded one.
std::optional<Envelope> OpenEnvelope(std::string_view body);

// metadata of any object: what a bookmark carries.
struct ObjectMetaView {
  std::string_view name, ns, uid;
  uint64_t resource_version = 0;
  bool initial_events_end = false;  // annotation k8s.io/initial-events-end: "true"
};
std::optional<ObjectMetaView> ReadObjectMeta(std::string_view object);

// meta/v1 Status.
struct StatusView {
  bool success = false;  // status: Success
  int32_t code = 0;
  std::string_view reason, message;
  int32_t retry_after_seconds = 0;
};
std::optional<StatusView> ReadStatus(std::string_view object);

// A watch stream: frames of 4 bytes length (big-endian) and a meta/v1 WatchEvent.
struct WatchFrame {
  enum class Type : uint8_t { kAdded, kModified, kDeleted, kBookmark, kError, kUnknown };
  Type type = Type::kUnknown;
  std::string_view kind;    // of the object; "Status" for kError
  std::string_view object;  // ReadStatus(object) for kError, ReadObjectMeta(object) for kBookmark
};
std::optional<WatchFrame> ReadWatchFrame(std::string_view frame);

// Cuts a stream of frames, fed in chunks of any size. on_frame gets each frame without its length;
// the view is valid during the call only.
class FrameSplitter {
 public:
  static constexpr size_t kMaxFrame = 16u << 20;  // as client-go allows
  explicit FrameSplitter(std::function<void(std::string_view frame)> on_frame) : on_frame_(std::move(on_frame)) {}
  absl::Status Feed(std::string_view chunk);  // error: a frame over kMaxFrame; the stream is lost
  bool AtBoundary() const { return pending_.empty(); }

 private:
  std::function<void(std::string_view)> on_frame_;
  std::string pending_;
};

// Cuts a list's body (PodList, NodeList, any XList), fed in chunks of any size, into its items;
// never holds more than one item and one chunk. The view is valid during the call only.
class ListSplitter {
 public:
  explicit ListSplitter(std::function<void(std::string_view item)> on_item) : on_item_(std::move(on_item)) {}
  absl::Status Feed(std::string_view chunk);  // error: not a list's body (a Status, JSON, cut or damaged)
  absl::Status Finish() const;                // error: the body ended early

  // Known once Finish() is ok (metadata precedes the items on today's servers).
  uint64_t resource_version() const { return resource_version_; }
  const std::string& continue_token() const { return continue_; }
  const std::string& kind() const { return kind_; }  // "PodList"
  size_t items() const { return items_; }

 private:
  absl::Status Consume(std::string_view& bytes);
  absl::Status OnEnvelopeField(uint32_t number, std::string_view value);
  absl::Status OnListField(uint32_t number, std::string_view value);

  std::function<void(std::string_view)> on_item_;
  std::string pending_, kind_, continue_;
  bool opened_ = false;  // the four bytes were seen
  bool in_raw_ = false, raw_done_ = false;
  uint64_t raw_left_ = 0;  // bytes of the list message still to come
  uint64_t resource_version_ = 0;
  size_t items_ = 0;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_WIRE_DECODE_H_
