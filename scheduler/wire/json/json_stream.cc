#include "scheduler/wire/json/json_stream.h"

#include <cctype>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "scheduler/model/ids.h"
#include "scheduler/wire/group_objects.h"
#include "scheduler/wire/json/json_message.h"
#include "scheduler/wire/queue_objects.h"

namespace muster {
namespace {

using nlohmann::json;
namespace meta = k8s::io::apimachinery::pkg::apis::meta::v1;

constexpr char kManagedFields[] = "managedFields";  // often most of an object, and never read

bool IsBlank(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

bool Keeps(json::parse_event_t event, const json& parsed) {
  return event != json::parse_event_t::key || parsed != kManagedFields;
}

WatchFrame::Type TypeOf(const json& type) {
  using Type = WatchFrame::Type;
  if (type == "ADDED") return Type::kAdded;
  if (type == "MODIFIED") return Type::kModified;
  if (type == "DELETED") return Type::kDeleted;
  if (type == "BOOKMARK") return Type::kBookmark;
  return type == "ERROR" ? Type::kError : Type::kUnknown;
}

}  // namespace

absl::Status JsonSplitter::Feed(std::string_view chunk) {
  size_t start = 0;  // of the object's part that is in this chunk
  for (size_t i = 0; i < chunk.size(); ++i) {
    const char c = chunk[i];
    if (depth_ == 0) {
      if (IsBlank(c)) continue;
      if (c != '{') return absl::InvalidArgumentError("the stream is not one of JSON objects");
      start = i;
      depth_ = 1;
    } else if (in_string_) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
      }
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      ++depth_;
    } else if ((c == '}' || c == ']') && --depth_ == 0) {
      pending_.append(chunk.substr(start, i + 1 - start));
      on_object_(pending_);
      pending_.clear();
    }
  }
  if (depth_ == 0) return absl::OkStatus();
  pending_.append(chunk.substr(start));
  if (pending_.size() <= FrameSplitter::kMaxFrame) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("an event of more than ", FrameSplitter::kMaxFrame, " bytes"));
}

std::optional<JsonFrame> ReadJsonFrame(std::string_view text) {
  json frame = json::parse(
      text.begin(), text.end(), [](int, json::parse_event_t event, const json& parsed) { return Keeps(event, parsed); },
      /*allow_exceptions=*/false);
  if (!frame.is_object()) return std::nullopt;
  const auto type = frame.find("type"), object = frame.find("object");
  if (type == frame.end() || object == frame.end() || !object->is_object()) return std::nullopt;
  return JsonFrame{TypeOf(*type), std::make_unique<json>(std::move(*object))};
}

absl::Status JsonList::Feed(std::string_view chunk) {
  if (body_.size() + chunk.size() > kMaxBody)
    return absl::ResourceExhaustedError(absl::StrCat("a list of more than ", kMaxBody, " bytes"));
  body_.append(chunk);
  return absl::OkStatus();
}

absl::Status JsonList::Finish(const std::function<void(const json& item)>& on_item) {
  bool in_items = false;
  const json list = json::parse(
      body_.begin(), body_.end(),
      [&](int depth, json::parse_event_t event, const json& parsed) {
        if (event == json::parse_event_t::key && depth == 1) in_items = parsed == "items";
        if (event != json::parse_event_t::object_end || depth != 2 || !in_items) return Keeps(event, parsed);
        on_item(parsed);
        return false;
      },
      /*allow_exceptions=*/false);
  body_ = std::string();
  if (!list.is_object()) return absl::InvalidArgumentError("the body is not a list in JSON");
  const auto kind = list.find("kind"), items = list.find("items");
  if (kind == list.end() || !kind->is_string() || !kind->get_ref<const std::string&>().ends_with("List"))
    return absl::InvalidArgumentError("the body is not a list");
  if (items != list.end() && !items->empty()) return absl::InvalidArgumentError("an item of the list is no object");
  resource_version_ = ReadJsonMeta(list).resource_version;
  return absl::OkStatus();
}

JsonMeta ReadJsonMeta(const json& object) {
  meta::ObjectMeta read;
  if (const auto it = object.find("metadata"); it != object.end()) ReadJson(*it, &read);
  const auto end = read.annotations().find("k8s.io/initial-events-end");
  return {ParseResourceVersion(read.resourceversion()), end != read.annotations().end() && end->second == "true"};
}

JsonStatus ReadJsonStatus(const json& object) {
  meta::Status read;
  ReadJson(object, &read);
  return {read.code(), read.details().retryafterseconds(), read.reason(), read.message()};
}

// Read as a message and then by `read`; a value of the wrong type makes it invalid.
template <typename Wire, typename Read>
static ObjectPtr ReadAs(const json& object, Read read) {
  Wire wire;
  const std::string error = ReadJson(object, &wire);
  if (wire.metadata().name().empty()) return nullptr;
  auto made = read(wire);
  if constexpr (requires { made->invalid; }) {
    if (!error.empty()) made->invalid = error;
  }
  return made;
}

ObjectPtr ReadJsonObject(Kind kind, const json& object, std::string_view api_version) {
  switch (kind) {
    case Kind::kCoschedulingPodGroup:
      return ReadAs<custom::CoschedulingPodGroup>(object,
                                                  [&](const auto& wire) { return ReadPodGroup(wire, api_version); });
    case Kind::kTopology:
    case Kind::kKueueTopology: return ReadAs<custom::Topology>(object, ReadTopology);
    case Kind::kQueue: return ReadAs<custom::Queue>(object, ReadQueue);
    case Kind::kResourceFlavor: return ReadAs<custom::ResourceFlavor>(object, ReadFlavor);
    default: return nullptr;
  }
}

}  // namespace muster
