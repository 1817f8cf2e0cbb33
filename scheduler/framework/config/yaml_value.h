// Reading YAML strictly: each value knows its path and line, and what is wrong is collected, not
// thrown. Kubernetes' reading of YAML: a field that is null is a field that is absent, and a plain
// scalar that looks like a number or a bool is no string.
#ifndef MUSTER_SCHEDULER_FRAMEWORK_CONFIG_YAML_VALUE_H_
#define MUSTER_SCHEDULER_FRAMEWORK_CONFIG_YAML_VALUE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "yaml-cpp/node/node.h"

namespace muster {

class YamlErrors {
 public:
  explicit YamlErrors(std::string file_name) : file_name_(std::move(file_name)) {}
  // `line` counts from 1; an empty path leaves the path out.
  void Add(int line, const std::string& path, const std::string& message);
  bool empty() const { return errors_.empty(); }
  absl::Status ToStatus() const;  // one line an error, in the order of the file

 private:
  std::string file_name_;
  std::vector<std::pair<int, std::string>> errors_;
};

// A value that is there and not null.
class YamlValue {
 public:
  YamlValue(YAML::Node node, std::string path, YamlErrors* errors)
      : node_(std::move(node)), path_(std::move(path)), errors_(errors) {}
  YamlValue(const YamlValue&) = default;
  YamlValue& operator=(const YamlValue&) = delete;  // assigning a YAML::Node changes the tree

  const YAML::Node& node() const { return node_; }
  const std::string& path() const { return path_; }
  YamlErrors* errors() const { return errors_; }
  int line() const;
  void Error(const std::string& message) const { errors_->Add(line(), path_, message); }

  // Each reports a value of another type, or out of range, and leaves *out alone then.
  bool Read(std::string* out) const;
  bool Read(bool* out) const;
  bool Read(double* out) const;
  bool Read(absl::Duration* out) const;  // "1m30s", as Go writes them
  bool Read(uint64_t* out) const;
  bool Read(int64_t* out) const { return ReadInteger(INT64_MIN, INT64_MAX, out); }
  bool Read(int32_t* out) const;
  bool Read(std::vector<std::string>* out) const;
  // What is at `path` below this value ("a.b[0].c"), or as far on the way there as the file goes.
  YamlValue Below(std::string_view path) const;
  // The elements of a list, null ones reported and left out.
  std::vector<YamlValue> Elements() const;

 private:
  bool ReadInteger(int64_t least, int64_t most, int64_t* out) const;

  YAML::Node node_;
  std::string path_;
  YamlErrors* errors_;
};

// A mapping whose fields are taken by name; what was not taken when it goes is an unknown field.
class YamlObject {
 public:
  explicit YamlObject(const YamlValue& value);
  ~YamlObject();
  YamlObject(const YamlObject&) = delete;
  YamlObject& operator=(const YamlObject&) = delete;

  std::optional<YamlValue> Take(std::string_view field);
  // Reads a field if it is there; false where it is absent or wrong.
  template <typename T>
  bool Read(std::string_view field, T* out) {
    const std::optional<YamlValue> value = Take(field);
    return value.has_value() && value->Read(out);
  }
  // Reads a string that must be there and not empty: reports `wanted` if it is not.
  bool ReadName(std::string_view field, const std::string& wanted, std::string* out);
  // Reports about a field: at its line if it is there, else at the object's.
  void Error(std::string_view field, const std::string& message) const;
  // Takes all that is left, unread.
  void TakeRest() { fields_.clear(); }

 private:
  struct Field {
    std::string name;
    int line;
    YAML::Node node;
    bool taken = false;
  };
  std::string PathOf(std::string_view field) const;

  YamlValue value_;
  std::vector<Field> fields_;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_FRAMEWORK_CONFIG_YAML_VALUE_H_
