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
#include "yaml-cpp/yaml.h"

namespace google::protobuf {
class FieldDescriptor;
class Message;
}  // namespace google::protobuf

namespace muster {

// One per file. All functions may throw YAML::Exception, which the caller turns into an error.
class YamlReader {
 public:
  explicit YamlReader(std::string file) : file_(std::move(file)) {}

  // "FILE:LINE: PATH: message" (without PATH where it is empty), kInvalidArgument.
  absl::Status Error(const YAML::Node& node, std::string_view path, std::string_view message) const;
  std::string Place(const YAML::Node& node) const;  // "FILE:LINE"

  // The pairs of a mapping, with merge keys followed; an error where it is none or has a key twice.
  using Entries = std::vector<std::pair<std::string, YAML::Node>>;
  absl::Status ReadEntries(const YAML::Node& node, const std::string& path, Entries* entries);

  // A top-level object: `message` by its fields; apiVersion and kind are skipped.
  absl::Status ReadObject(const YAML::Node& node, google::protobuf::Message* message);

  // The value of a scalar that must be a string.
  absl::Status ReadString(const YAML::Node& node, const std::string& path, std::string* value) const;

 private:
  using Field = google::protobuf::FieldDescriptor;
  using Message = google::protobuf::Message;

  absl::Status Count(const YAML::Node& node);
  absl::Status ReadFields(const YAML::Node& node, const std::string& path, Message* message, bool top);
  absl::Status ReadField(const YAML::Node& node, const std::string& path, const Field* field, Message* message);
  absl::Status ReadMap(const YAML::Node& node, const std::string& path, const Field* field, Message* message);
  absl::Status ReadScalar(const YAML::Node& node, const std::string& path, const Field* field, Message* message);
  absl::Status ReadMessage(const YAML::Node& node, const std::string& path, Message* message);
  absl::Status ReadQuantity(const YAML::Node& node, const std::string& path, bool may_be_negative, std::string* value);
  absl::Status ReadTime(const YAML::Node& node, const std::string& path, Message* message);
  absl::Status ReadIntOrString(const YAML::Node& node, const std::string& path, Message* message);
  // A field that our messages leave out: only its names are looked at.
  absl::Status CheckNames(const YAML::Node& node, const std::string& path, std::string_view message);

  std::string file_;
  size_t values_ = 0;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_SIM_YAML_MESSAGE_H_
