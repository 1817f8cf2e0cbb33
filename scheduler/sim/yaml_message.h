// YAML (and so JSON) to a protobuf message of Kubernetes', with the rules of kubectl: strict types,
// no unknown and no repeated fields, quantities and times in their own forms.
#ifndef MUSTER_SCHEDULER_SIM_YAML_MESSAGE_H_
#define MUSTER_SCHEDULER_SIM_YAML_MESSAGE_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "nlohmann/json_fwd.hpp"
#include "scheduler/sim/yaml_tree.h"

namespace google::protobuf {
class FieldDescriptor;
class Message;
}  // namespace google::protobuf

namespace muster {

// One per file.
class YamlReader {
 public:
  YamlReader(std::string file, size_t bytes) : file_(std::move(file)), max_values_(1'000'000 + bytes) {}

  // "FILE:LINE: PATH: message" (without PATH where it is empty), kInvalidArgument.
  absl::Status Error(const YamlNode& node, std::string_view path, std::string_view message) const;
  std::string Place(const YamlNode& node) const;  // "FILE:LINE"

  // The pairs of a mapping, with merge keys followed; an error where it is none or has a key twice.
  using Entries = std::vector<std::pair<std::string, const YamlNode*>>;
  absl::Status ReadEntries(const YamlNode& node, const std::string& path, Entries* entries);

  // A top-level object: `message` by its fields; apiVersion and kind are skipped.
  absl::Status ReadObject(const YamlNode& node, google::protobuf::Message* message);

  // The value of a scalar that must be a string.
  absl::Status ReadString(const YamlNode& node, const std::string& path, std::string* value) const;

 private:
  using Field = google::protobuf::FieldDescriptor;
  using Message = google::protobuf::Message;

  absl::Status Count(const YamlNode& node);
  absl::Status ReadFields(const YamlNode& node, const std::string& path, Message* message, bool top);
  absl::Status ReadField(const YamlNode& node, const std::string& path, const Field* field, Message* message);
  absl::Status ReadMap(const YamlNode& node, const std::string& path, const Field* field, Message* message);
  absl::Status ReadScalar(const YamlNode& node, const std::string& path, const Field* field, Message* message);
  absl::Status ReadMessage(const YamlNode& node, const std::string& path, Message* message);
  // As JSON.
  absl::Status ReadAnything(const YamlNode& node, const std::string& path, nlohmann::json* json);
  absl::Status ReadQuantity(const YamlNode& node, const std::string& path, bool may_be_negative, std::string* value);
  absl::Status ReadTime(const YamlNode& node, const std::string& path, Message* message);
  absl::Status ReadIntOrString(const YamlNode& node, const std::string& path, Message* message);
  // A field that our messages leave out: only its names are looked at.
  absl::Status CheckNames(const YamlNode& node, const std::string& path, std::string_view message);

  std::string file_;
  size_t values_ = 0;
  const size_t max_values_;  // with aliases a small file can stand for a huge object
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_SIM_YAML_MESSAGE_H_
