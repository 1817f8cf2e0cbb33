#include "scheduler/sim/yaml_message.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"
#include "scheduler/model/ids.h"
#include "scheduler/model/quantity.h"
#include "scheduler/wire/known_fields.h"

namespace muster {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// What a scalar is to a YAML 1.1 reader, as kubectl's is.
struct Scalar {
  enum class Kind { kNull, kBool, kInt, kFloat, kString } kind = Kind::kString;
  bool truth = false;
  int64_t integer = 0;
  double real = 0;
};

bool IsOneOf(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

std::optional<int64_t> ReadInteger(std::string text) {
  std::erase(text, '_');
  const size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  int base = 10;
  if (text.size() > sign + 1 && text[sign] == '0') {
    const char mark = text[sign + 1];
    base = mark == 'x' || mark == 'X' ? 16 : mark == 'b' || mark == 'B' ? 2 : 8;
    text.erase(sign, base == 8 && mark != 'o' && mark != 'O' ? 1 : 2);
  }
  if (text.size() == sign || std::isalnum(static_cast<unsigned char>(text[sign])) == 0) return std::nullopt;
  errno = 0;
  char* end = nullptr;
  const int64_t value = std::strtoll(text.c_str(), &end, base);
  if (errno != 0 || end != text.c_str() + text.size()) return std::nullopt;
  return value;
}

// Digits, at most one dot, an exponent: nothing of what strtod takes beside that.
std::optional<double> ReadReal(std::string text) {
  std::erase(text, '_');
  bool digit = false;
  for (char c : text) {
    digit |= c >= '0' && c <= '9';
    if ((c < '0' || c > '9') && !IsOneOf(std::string_view(&c, 1), {"+", "-", ".", "e", "E"})) return std::nullopt;
  }
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (!digit || end != text.c_str() + text.size()) return std::nullopt;
  return value;
}

Scalar Resolve(const YamlNode& node) {
  using Kind = Scalar::Kind;
  const std::string& text = node.text;
  if (node.kind == YamlNode::Kind::kNull) return {.kind = Kind::kNull};
  if (!node.plain) return {};
  if (IsOneOf(text, {"", "~", "null", "Null", "NULL"})) return {.kind = Kind::kNull};
  // kubectl also takes a lone y or n for a boolean; many tools write these without quotes as names.
  if (IsOneOf(text, {"yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})) {
    return {.kind = Kind::kBool, .truth = true};
  }
  if (IsOneOf(text, {"no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})) {
    return {.kind = Kind::kBool};
  }
  if (IsOneOf(text,
              {".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF"})) {
    return {.kind = Kind::kFloat, .real = std::numeric_limits<double>::quiet_NaN()};
  }
  if (IsOneOf(std::string_view(text).substr(0, 1), {"_", "e", "E"})) return {};
  if (const auto integer = ReadInteger(text)) {
    return {.kind = Kind::kInt, .integer = *integer, .real = static_cast<double>(*integer)};
  }
  if (const auto real = ReadReal(text)) return {.kind = Kind::kFloat, .real = *real};
  return {};
}

std::string_view KindName(const YamlNode& node) {
  if (node.IsMap()) return "a mapping";
  if (node.IsList()) return "a list";
  switch (Resolve(node).kind) {
    case Scalar::Kind::kNull: return "null";
    case Scalar::Kind::kBool: return "a boolean (quote it to make it a string)";
    case Scalar::Kind::kInt:
    case Scalar::Kind::kFloat: return "a number (quote it to make it a string)";
    default: return "a string";
  }
}

bool IsNullValue(const YamlNode& node) {
  return !node.IsMap() && !node.IsList() && Resolve(node).kind == Scalar::Kind::kNull;
}

std::string ShortName(const Descriptor& message) {
  for (const std::string_view prefix : {"k8s.io.api.", "k8s.io.apimachinery.pkg."}) {
    if (message.full_name().starts_with(prefix)) return message.full_name().substr(prefix.size());
  }
  return message.full_name();
}

std::string Join(const std::string& path, const std::string& field) {
  return path.empty() ? field : absl::StrCat(path, ".", field);
}

// The message that a field of `message` stands in: itself, or one that Go embeds there.
std::pair<Message*, const FieldDescriptor*> FindField(Message* message, const std::string& name) {
  const Descriptor& type = *message->GetDescriptor();
  if (const FieldDescriptor* field = type.FindFieldByName(name)) return {message, field};
  for (const char* name_of :
       {"volumeSource", "persistentVolumeSource", "ephemeralContainerCommon", "deviceConfiguration"}) {
    const FieldDescriptor* embedded = type.FindFieldByName(name_of);
    if (embedded == nullptr) continue;
    const FieldDescriptor* field = embedded->message_type()->FindFieldByName(name);
    if (field != nullptr) return {message->GetReflection()->MutableMessage(message, embedded), field};
  }
  return {message, nullptr};
}

}  // namespace

std::string YamlReader::Place(const YamlNode& node) const { return absl::StrCat(file_, ":", node.line); }

absl::Status YamlReader::Error(const YamlNode& node, std::string_view path, std::string_view message) const {
  return absl::InvalidArgumentError(
      absl::StrCat(Place(node), ": ", AsAbsl(path), path.empty() ? "" : ": ", AsAbsl(message)));
}

absl::Status YamlReader::Count(const YamlNode& node) {
  return ++values_ > max_values_ ? Error(node, "", "the file stands for too many values") : absl::OkStatus();
}

absl::Status YamlReader::ReadEntries(const YamlNode& node, const std::string& path, Entries* entries) {
  if (!node.IsMap()) return Error(node, path, absl::StrCat("expected a mapping, got ", AsAbsl(KindName(node))));
  std::vector<const YamlNode*> merged;
  absl::flat_hash_set<std::string> keys;
  for (size_t i = 0; i + 1 < node.items.size(); i += 2) {
    const YamlNode &key = *node.items[i], &value = *node.items[i + 1];
    if (absl::Status status = Count(key); !status.ok()) return status;
    if (!key.IsScalar()) return Error(key, path, "a key must be a string");
    if (key.text == "<<" && key.plain) {
      if (value.IsList()) {
        merged.insert(merged.end(), value.items.begin(), value.items.end());
      } else {
        merged.push_back(&value);
      }
      continue;
    }
    if (!keys.insert(key.text).second) {
      return Error(key, Join(path, key.text), absl::StrCat("\"", key.text, "\" is there twice"));
    }
    entries->emplace_back(key.text, &value);
  }
  for (const YamlNode* from : merged) {
    Entries more;
    if (absl::Status status = ReadEntries(*from, path, &more); !status.ok()) return status;
    for (auto& entry : more) {
      if (keys.insert(entry.first).second) entries->push_back(std::move(entry));
    }
  }
  return absl::OkStatus();
}

absl::Status YamlReader::ReadObject(const YamlNode& node, Message* message) {
  return ReadFields(node, "", message, /*top=*/true);
}

absl::Status YamlReader::ReadFields(const YamlNode& node, const std::string& path, Message* message, bool top) {
  Entries entries;
  if (absl::Status status = ReadEntries(node, path, &entries); !status.ok()) return status;
  const std::string type = ShortName(*message->GetDescriptor());
  for (const auto& [name, held] : entries) {
    const YamlNode& value = *held;
    if (top && (name == "apiVersion" || name == "kind")) continue;
    const std::string field_path = Join(path, name);
    const auto known = KnownField(type, name);
    if (!known) return Error(value, field_path, absl::StrCat("unknown field \"", field_path, "\""));
    absl::Status status;
    if (IsNullValue(value)) continue;
    if (const auto [holder, field] = FindField(message, name); field != nullptr) {
      status = ReadField(value, field_path, field, holder);
    } else {
      status = CheckNames(value, field_path, *known);
    }
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status YamlReader::ReadField(const YamlNode& node, const std::string& path, const Field* field,
                                   Message* message) {
  const Reflection& reflection = *message->GetReflection();
  if (field->is_map()) return ReadMap(node, path, field, message);
  if (!field->is_repeated()) {
    if (field->cpp_type() != Field::CPPTYPE_MESSAGE) return ReadScalar(node, path, field, message);
    return ReadMessage(node, path, reflection.MutableMessage(message, field));
  }
  if (!node.IsList()) return Error(node, path, absl::StrCat("expected a list, got ", AsAbsl(KindName(node))));
  size_t i = 0;
  for (const YamlNode* held : node.items) {
    const YamlNode& element = *held;
    const std::string element_path = absl::StrCat(path, "[", i++, "]");
    if (absl::Status status = Count(element); !status.ok()) return status;
    absl::Status status;
    if (field->cpp_type() == Field::CPPTYPE_MESSAGE) {
      Message* added = reflection.AddMessage(message, field);
      if (!IsNullValue(element)) status = ReadMessage(element, element_path, added);
    } else {
      status = ReadScalar(element, element_path, field, message);
    }
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status YamlReader::ReadMap(const YamlNode& node, const std::string& path, const Field* field, Message* message) {
  Entries entries;
  if (absl::Status status = ReadEntries(node, path, &entries); !status.ok()) return status;
  const FieldDescriptor* const key_field = field->message_type()->map_key();
  const FieldDescriptor* const value_field = field->message_type()->map_value();
  for (const auto& [key, held] : entries) {
    const YamlNode& value = *held;
    const std::string entry_path = absl::StrCat(path, "[", key, "]");
    Message* entry = message->GetReflection()->AddMessage(message, field);
    entry->GetReflection()->SetString(entry, key_field, key);
    if (IsNullValue(value)) continue;
    if (absl::Status status = ReadField(value, entry_path, value_field, entry); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status YamlReader::ReadString(const YamlNode& node, const std::string& path, std::string* value) const {
  if (!node.IsScalar() || Resolve(node).kind != Scalar::Kind::kString) {
    return Error(node, path, absl::StrCat("expected a string, got ", AsAbsl(KindName(node))));
  }
  *value = node.text;
  return absl::OkStatus();
}

absl::Status YamlReader::ReadScalar(const YamlNode& node, const std::string& path, const Field* field,
                                    Message* message) {
  const Reflection& reflection = *message->GetReflection();
  if (field->cpp_type() == Field::CPPTYPE_STRING) {
    std::string text;
    if (!IsNullValue(node)) {
      if (absl::Status status = ReadString(node, path, &text); !status.ok()) return status;
    }
    if (field->is_repeated()) {
      reflection.AddString(message, field, text);
    } else {
      reflection.SetString(message, field, text);
    }
    return absl::OkStatus();
  }
  const Scalar scalar = node.IsScalar() ? Resolve(node) : Scalar();
  if (field->cpp_type() == Field::CPPTYPE_BOOL) {
    if (scalar.kind != Scalar::Kind::kBool) return Error(node, path, "expected true or false");
    reflection.SetBool(message, field, scalar.truth);
    return absl::OkStatus();
  }
  // Integers, also written as 3.0 or 1e3.
  const bool is_32 = field->cpp_type() == Field::CPPTYPE_INT32;
  int64_t value = scalar.integer;
  bool fits = scalar.kind == Scalar::Kind::kInt;
  if (scalar.kind == Scalar::Kind::kFloat && std::abs(scalar.real) < 0x1p53 && std::trunc(scalar.real) == scalar.real) {
    value = static_cast<int64_t>(scalar.real);
    fits = true;
  }
  if (!fits) return Error(node, path, "expected an integer");
  if (is_32 && (value < std::numeric_limits<int32_t>::min() || value > std::numeric_limits<int32_t>::max())) {
    return Error(node, path, "the number overflows 32 bits");
  }
  if (is_32) {
    reflection.SetInt32(message, field, static_cast<int32_t>(value));
  } else {
    reflection.SetInt64(message, field, value);
  }
  return absl::OkStatus();
}

absl::Status YamlReader::ReadMessage(const YamlNode& node, const std::string& path, Message* message) {
  const std::string& name = message->GetDescriptor()->name();
  if (name == "Quantity") {
    std::string text;
    const bool in_list = path.ends_with(']');  // resource lists are the only maps of quantities
    if (absl::Status status = ReadQuantity(node, path, !in_list, &text); !status.ok()) return status;
    message->GetReflection()->SetString(message, message->GetDescriptor()->FindFieldByName("string"), text);
    return absl::OkStatus();
  }
  if (name == "Time" || name == "MicroTime") return ReadTime(node, path, message);
  if (name == "IntOrString") return ReadIntOrString(node, path, message);
  if (name == "RawExtension") {
    nlohmann::json json;
    if (absl::Status status = ReadAnything(node, path, &json); !status.ok()) return status;
    message->GetReflection()->SetString(message, message->GetDescriptor()->FindFieldByName("raw"),
                                        json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    return absl::OkStatus();
  }
  return ReadFields(node, path, message, /*top=*/false);
}

absl::Status YamlReader::ReadAnything(const YamlNode& node, const std::string& path, nlohmann::json* json) {
  if (absl::Status status = Count(node); !status.ok()) return status;
  if (node.IsList()) {
    *json = nlohmann::json::array();
    for (const YamlNode* element : node.items) {
      const std::string element_path = absl::StrCat(path, "[", json->size(), "]");
      if (absl::Status status = ReadAnything(*element, element_path, &json->emplace_back()); !status.ok())
        return status;
    }
    return absl::OkStatus();
  }
  if (node.IsMap()) {
    *json = nlohmann::json::object();
    Entries entries;
    if (absl::Status status = ReadEntries(node, path, &entries); !status.ok()) return status;
    for (const auto& [name, value] : entries) {
      if (absl::Status status = ReadAnything(*value, Join(path, name), &(*json)[name]); !status.ok()) return status;
    }
    return absl::OkStatus();
  }
  const Scalar scalar = Resolve(node);
  switch (scalar.kind) {
    case Scalar::Kind::kNull: *json = nullptr; break;
    case Scalar::Kind::kBool: *json = scalar.truth; break;
    case Scalar::Kind::kInt: *json = scalar.integer; break;
    case Scalar::Kind::kFloat: *json = scalar.real; break;
    case Scalar::Kind::kString: *json = node.text; break;
  }
  return absl::OkStatus();
}

absl::Status YamlReader::ReadQuantity(const YamlNode& node, const std::string& path, bool may_be_negative,
                                      std::string* value) {
  const Scalar scalar = node.IsScalar() ? Resolve(node) : Scalar{.kind = Scalar::Kind::kNull};
  switch (scalar.kind) {
    case Scalar::Kind::kInt: *value = absl::StrCat(scalar.integer); break;
    case Scalar::Kind::kFloat:
    case Scalar::Kind::kString: *value = node.text; break;
    default: return Error(node, path, absl::StrCat("expected a quantity, got ", AsAbsl(KindName(node))));
  }
  if (scalar.kind == Scalar::Kind::kFloat) std::erase(*value, '_');
  const auto quantity = Quantity::Parse(*value);
  if (!quantity.ok()) {
    const absl::string_view message = quantity.status().message();
    return Error(node, path, {message.data(), message.size()});
  }
  if (quantity->IsNegative() && !may_be_negative) {
    return Error(node, path, absl::StrCat("quantity \"", *value, "\" must not be negative"));
  }
  return absl::OkStatus();
}

absl::Status YamlReader::ReadTime(const YamlNode& node, const std::string& path, Message* message) {
  std::string text, why;
  absl::Time time;
  if (absl::Status status = ReadString(node, path, &text); !status.ok()) return status;
  if (text.empty() || text[0] < '0' || text[0] > '9' || !absl::ParseTime(absl::RFC3339_full, text, &time, &why)) {
    return Error(node, path, absl::StrCat("\"", text, "\" is no RFC 3339 time such as 2026-01-31T12:00:00Z"));
  }
  const Descriptor& type = *message->GetDescriptor();
  const int64_t seconds = absl::ToUnixSeconds(time);
  const auto nanos = absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds));
  message->GetReflection()->SetInt64(message, type.FindFieldByName("seconds"), seconds);
  message->GetReflection()->SetInt32(message, type.FindFieldByName("nanos"), static_cast<int32_t>(nanos));
  return absl::OkStatus();
}

absl::Status YamlReader::ReadIntOrString(const YamlNode& node, const std::string& path, Message* message) {
  const Descriptor& type = *message->GetDescriptor();
  const bool is_string = node.IsScalar() && Resolve(node).kind == Scalar::Kind::kString;
  message->GetReflection()->SetInt64(message, type.FindFieldByName("type"), is_string ? 1 : 0);
  return ReadScalar(node, path, type.FindFieldByName(is_string ? "strVal" : "intVal"), message);
}

absl::Status YamlReader::CheckNames(const YamlNode& node, const std::string& path, std::string_view message) {
  if (absl::Status status = Count(node); !status.ok() || message.empty() || IsNullValue(node)) return status;
  if (node.IsList()) {
    size_t i = 0;
    for (const YamlNode* held : node.items) {
      const YamlNode& element = *held;
      const std::string element_path = absl::StrCat(path, "[", i++, "]");
      if (element.IsList()) return Error(element, element_path, "expected a mapping, got a list");
      if (absl::Status status = CheckNames(element, element_path, message); !status.ok()) return status;
    }
    return absl::OkStatus();
  }
  Entries entries;
  if (absl::Status status = ReadEntries(node, path, &entries); !status.ok()) return status;
  for (const auto& [name, held] : entries) {
    const YamlNode& value = *held;
    const std::string field_path = Join(path, name);
    const auto known = KnownField(message, name);
    if (!known) return Error(value, field_path, absl::StrCat("unknown field \"", field_path, "\""));
    if (absl::Status status = CheckNames(value, field_path, *known); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace muster
