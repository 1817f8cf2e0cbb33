#include "scheduler/framework/config/yaml_value.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "yaml-cpp/yaml.h"

namespace muster {
namespace {

// Written without quotes and without a tag: its type is what it looks like.
bool IsPlain(const YAML::Node& node) { return node.Tag() == "?" || node.Tag().empty(); }

std::optional<bool> AsBool(const YAML::Node& node) {
  bool value = false;
  // A lone y or n is a name, as Kubernetes reads YAML.
  if (node.IsScalar() && IsPlain(node) && node.Scalar().size() > 1 && YAML::convert<bool>::decode(node, value))
    return value;
  return std::nullopt;
}

std::optional<double> AsNumber(const YAML::Node& node) {
  double value = 0;
  if (node.IsScalar() && IsPlain(node) && absl::SimpleAtod(node.Scalar(), &value) && std::isfinite(value)) return value;
  return std::nullopt;
}

const char* TypeOf(const YAML::Node& node) {
  if (node.IsMap()) return "an object";
  if (node.IsSequence()) return "a list";
  if (AsBool(node)) return "a bool";
  if (AsNumber(node)) return "a number";
  return "a string";
}

}  // namespace

void YamlErrors::Add(int line, const std::string& path, const std::string& message) {
  errors_.emplace_back(line, absl::StrCat(file_name_, ":", line, ": ", path, path.empty() ? "" : ": ", message));
}

absl::Status YamlErrors::ToStatus() const {
  if (errors_.empty()) return absl::OkStatus();
  auto sorted = errors_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return absl::InvalidArgumentError(
      absl::StrJoin(sorted, "\n", [](std::string* out, const auto& error) { absl::StrAppend(out, error.second); }));
}

int YamlValue::line() const { return std::max(node_.Mark().line, 0) + 1; }

bool YamlValue::Read(std::string* out) const {
  if (!node_.IsScalar() || AsBool(node_) || AsNumber(node_)) {
    Error(absl::StrCat("must be a string, not ", TypeOf(node_), node_.IsScalar() ? " (quote it)" : ""));
    return false;
  }
  *out = node_.Scalar();
  return true;
}

bool YamlValue::Read(bool* out) const {
  const std::optional<bool> value = AsBool(node_);
  if (!value) {
    Error(absl::StrCat("must be true or false, not ", TypeOf(node_)));
    return false;
  }
  *out = *value;
  return true;
}

bool YamlValue::Read(double* out) const {
  const std::optional<double> value = AsNumber(node_);
  if (!value) {
    Error(absl::StrCat("must be a number, not ", TypeOf(node_)));
    return false;
  }
  *out = *value;
  return true;
}

bool YamlValue::ReadInteger(int64_t least, int64_t most, int64_t* out) const {
  int64_t value = 0;
  if (AsNumber(node_) && absl::SimpleAtoi(node_.Scalar(), &value) && value >= least && value <= most) {
    *out = value;
    return true;
  }
  const std::optional<double> number = AsNumber(node_);
  if (!number) {
    Error(absl::StrCat("must be an integer, not ", TypeOf(node_)));
  } else if (*number == std::floor(*number)) {
    Error(absl::StrCat(node_.Scalar(), " is out of range (", least, " to ", most, ")"));
  } else {
    Error(absl::StrCat("must be an integer, not ", node_.Scalar()));
  }
  return false;
}

bool YamlValue::Read(int32_t* out) const {
  int64_t value = 0;
  if (!ReadInteger(std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max(), &value)) return false;
  *out = static_cast<int32_t>(value);
  return true;
}

bool YamlValue::Read(uint64_t* out) const {
  if (AsNumber(node_) && absl::SimpleAtoi(node_.Scalar(), out)) return true;
  Error("must be an integer from 0 to 18446744073709551615");
  return false;
}

bool YamlValue::Read(absl::Duration* out) const {
  std::string text;
  if (!Read(&text)) return false;
  absl::Duration value;
  // "inf" is absl's word, not Go's.
  if (!absl::ParseDuration(text, &value) || value == absl::InfiniteDuration() || value == -absl::InfiniteDuration()) {
    Error(absl::StrCat("\"", text, "\" is not a duration such as 15s, 1m30s or 500ms"));
    return false;
  }
  *out = value;
  return true;
}

bool YamlValue::Read(std::vector<std::string>* out) const {
  std::vector<std::string> texts;
  bool good = node_.IsSequence();
  for (const YamlValue& element : Elements()) good = element.Read(&texts.emplace_back()) && good;
  if (good) *out = std::move(texts);
  return good;
}

std::vector<YamlValue> YamlValue::Elements() const {
  std::vector<YamlValue> elements;
  if (!node_.IsSequence()) {
    Error(absl::StrCat("must be a list, not ", TypeOf(node_)));
    return elements;
  }
  size_t i = 0;
  for (const auto& element : node_) {
    YamlValue value(element, absl::StrCat(path_, "[", i++, "]"), errors_);
    if (element.IsNull()) {
      value.Error("must not be null");
    } else {
      elements.push_back(std::move(value));
    }
  }
  return elements;
}

YamlValue YamlValue::Below(std::string_view path) const {
  YamlValue here = *this;
  while (!path.empty()) {
    const size_t end = path.find_first_of(".[]", 1);
    const std::string step(path.substr(0, end));
    path = end == std::string_view::npos ? "" : path.substr(end);
    size_t index = 0;
    YAML::Node next;
    if (step[0] == '[' && absl::SimpleAtoi(step.substr(1), &index)) {
      if (here.node_.IsSequence() && index < here.node_.size()) next.reset(here.node_[index]);
      if (!path.empty()) path.remove_prefix(1);  // the ']'
    } else if (here.node_.IsMap()) {
      const std::string field = step.substr(step[0] == '.' ? 1 : 0);
      for (const auto& entry : here.node_) {
        if (entry.first.IsScalar() && entry.first.Scalar() == field) next.reset(entry.second);
      }
    }
    if (next.IsNull()) break;
    here.node_.reset(next);
  }
  return here;
}

YamlObject::YamlObject(const YamlValue& value) : value_(value) {
  if (!value.node().IsMap()) {
    value.Error(absl::StrCat("must be an object, not ", TypeOf(value.node())));
    return;
  }
  for (const auto& entry : value.node()) {
    const YAML::Node& key = entry.first;
    std::string name = key.IsScalar() ? key.Scalar() : "?";
    const auto same = [&](const Field& field) { return field.name == name; };
    if (std::any_of(fields_.begin(), fields_.end(), same)) {
      value.errors()->Add(key.Mark().line + 1, PathOf(name), "is given twice");
    } else {
      fields_.push_back({std::move(name), key.Mark().line + 1, entry.second});
    }
  }
}

YamlObject::~YamlObject() {
  for (const Field& field : fields_) {
    if (!field.taken) value_.errors()->Add(field.line, PathOf(field.name), "unknown field");
  }
}

std::optional<YamlValue> YamlObject::Take(std::string_view name) {
  for (Field& field : fields_) {
    if (field.name != name) continue;
    field.taken = true;
    if (field.node.IsNull()) return std::nullopt;
    return YamlValue(field.node, PathOf(name), value_.errors());
  }
  return std::nullopt;
}

bool YamlObject::ReadName(std::string_view name, const std::string& wanted, std::string* out) {
  const std::optional<YamlValue> value = Take(name);
  if (value && !value->Read(out)) return false;
  if (value && !out->empty()) return true;
  Error(name, wanted);
  return false;
}

void YamlObject::Error(std::string_view name, const std::string& message) const {
  int line = value_.line();
  for (const Field& field : fields_) {
    if (field.name == name) line = field.line;
  }
  value_.errors()->Add(line, PathOf(name), message);
}

std::string YamlObject::PathOf(std::string_view field) const {
  return absl::StrCat(value_.path(), value_.path().empty() ? "" : ".", std::string(field));
}

}  // namespace muster
