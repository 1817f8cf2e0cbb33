#include "scheduler/wire/json/json_message.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <cstdint>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"

namespace muster {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using nlohmann::json;

class Reader {
 public:
  std::string error;

  void Read(const json& from, const std::string& path, Message* message) {
    const std::string& type = message->GetDescriptor()->name();
    if (type == "Quantity") return ReadQuantity(from, path, message);
    if (type == "Time" || type == "MicroTime") return ReadTime(from, path, message);
    if (!from.is_object()) return Fail(path, "must be an object");
    for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
      const FieldDescriptor* field = message->GetDescriptor()->field(i);
      const auto value = from.find(field->name());
      if (value == from.end() || value->is_null()) continue;
      ReadField(*value, path.empty() ? field->name() : absl::StrCat(path, ".", field->name()), field, message);
    }
  }

 private:
  void Fail(const std::string& path, const char* why) {
    if (error.empty()) error = absl::StrCat(path, path.empty() ? "" : ": ", why);
  }

  void ReadField(const json& value, const std::string& path, const FieldDescriptor* field, Message* message) {
    if (field->is_map()) {
      if (!value.is_object()) return Fail(path, "must be an object");
      for (const auto& [key, held] : value.items()) {
        Message* entry = message->GetReflection()->AddMessage(message, field);
        entry->GetReflection()->SetString(entry, field->message_type()->map_key(), key);
        ReadValue(held, absl::StrCat(path, "[", key, "]"), field->message_type()->map_value(), entry);
      }
    } else if (field->is_repeated()) {
      if (!value.is_array()) return Fail(path, "must be a list");
      size_t i = 0;
      for (const json& item : value) ReadValue(item, absl::StrCat(path, "[", i++, "]"), field, message);
    } else {
      ReadValue(value, path, field, message);
    }
  }

  // One value, added to a repeated field.
  void ReadValue(const json& value, const std::string& path, const FieldDescriptor* field, Message* message) {
    const auto& reflection = *message->GetReflection();
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return Read(
            value, path,
            field->is_repeated() ? reflection.AddMessage(message, field) : reflection.MutableMessage(message, field));
      case FieldDescriptor::CPPTYPE_STRING: {
        if (!value.is_string()) return Fail(path, "must be a string");
        const auto& text = value.get_ref<const std::string&>();
        return field->is_repeated() ? reflection.AddString(message, field, text)
                                    : reflection.SetString(message, field, text);
      }
      case FieldDescriptor::CPPTYPE_BOOL:
        if (!value.is_boolean()) return Fail(path, "must be true or false");
        return reflection.SetBool(message, field, value.get<bool>());
      case FieldDescriptor::CPPTYPE_INT32:
      case FieldDescriptor::CPPTYPE_INT64: {
        const bool is_32 = field->cpp_type() == FieldDescriptor::CPPTYPE_INT32;
        if (!value.is_number_integer() || (value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX))
          return Fail(path, "must be a whole number");
        const auto number = value.get<int64_t>();
        if (!is_32) return reflection.SetInt64(message, field, number);
        if (number < INT32_MIN || number > INT32_MAX) return Fail(path, "the number overflows 32 bits");
        return reflection.SetInt32(message, field, static_cast<int32_t>(number));
      }
      default: return Fail(path, "is of a type that is not read");
    }
  }

  void ReadQuantity(const json& from, const std::string& path, Message* message) {
    if (!from.is_string() && !from.is_number()) return Fail(path, "must be a quantity");
    const std::string text = from.is_string() ? from.get<std::string>() : from.dump();
    message->GetReflection()->SetString(message, message->GetDescriptor()->FindFieldByName("string"), text);
  }

  void ReadTime(const json& from, const std::string& path, Message* message) {
    absl::Time time;
    std::string why;
    const std::string text = from.is_string() ? from.get<std::string>() : std::string();
    if (text.empty() || text[0] < '0' || text[0] > '9' || !absl::ParseTime(absl::RFC3339_full, text, &time, &why))
      return Fail(path, "must be a time such as 2026-01-31T12:00:00Z");
    const auto& type = *message->GetDescriptor();
    const int64_t seconds = absl::ToUnixSeconds(time);
    message->GetReflection()->SetInt64(message, type.FindFieldByName("seconds"), seconds);
    message->GetReflection()->SetInt32(
        message, type.FindFieldByName("nanos"),
        static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  }
};

}  // namespace

std::string ReadJson(const json& from, Message* message) {
  Reader reader;
  reader.Read(from, "", message);
  return std::move(reader.error);
}

}  // namespace muster
