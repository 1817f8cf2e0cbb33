// Lists and watch streams of objects that come as JSON, and those objects: the counterpart of decode.h.
#ifndef MUSTER_SCHEDULER_WIRE_JSON_JSON_STREAM_H_
#define MUSTER_SCHEDULER_WIRE_JSON_JSON_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "nlohmann/json_fwd.hpp"
#include "scheduler/model/object.h"
#include "scheduler/wire/decode.h"

namespace muster {

// Cuts a stream of JSON objects, one after the other with or without blanks and line ends between them, fed in
// chunks of any size. The view is valid during the call only.
class JsonSplitter {
 public:
  explicit JsonSplitter(std::function<void(std::string_view object)> on_object) : on_object_(std::move(on_object)) {}
  // Error: something else than an object, or one over FrameSplitter::kMaxFrame; the stream is lost.
  absl::Status Feed(std::string_view chunk);
  bool AtBoundary() const { return depth_ == 0; }

 private:
  std::function<void(std::string_view)> on_object_;
  std::string pending_;
  int depth_ = 0;
  bool in_string_ = false, escaped_ = false;
};

// One event of a watch. For kBookmark and kError the object is of no kind of ours: see ReadJsonMeta, ReadJsonStatus.
struct JsonFrame {
  WatchFrame::Type type = WatchFrame::Type::kUnknown;
  std::unique_ptr<nlohmann::json> object;  // never null
};
// nullopt: not an event in JSON.
std::optional<JsonFrame> ReadJsonFrame(std::string_view text);

// Collects a list's body, fed in chunks of any size.
class JsonList {
 public:
  static constexpr size_t kMaxBody = 1u << 30;
  absl::Status Feed(std::string_view chunk);  // error: over kMaxBody
  // At the body's end: calls on_item with each item, then lets it go. Error: not a whole list.
  absl::Status Finish(const std::function<void(const nlohmann::json& item)>& on_item);
  uint64_t resource_version() const { return resource_version_; }  // after Finish()

 private:
  std::string body_;
  uint64_t resource_version_ = 0;
};

// The object's resourceVersion, and whether it ends the initial state.
struct JsonMeta {
  uint64_t resource_version = 0;
  bool initial_events_end = false;
};
JsonMeta ReadJsonMeta(const nlohmann::json& object);

struct JsonStatus {
  int32_t code = 0, retry_after_seconds = 0;
  std::string reason, message;
};
JsonStatus ReadJsonStatus(const nlohmann::json& object);

// The kinds of custom resources; nullptr for others and where there is no metadata.name.
ObjectPtr ReadJsonObject(Kind kind, const nlohmann::json& object, std::string_view api_version);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_WIRE_JSON_JSON_STREAM_H_
