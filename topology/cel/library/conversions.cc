#include "topology/cel/library/conversions.h"

#include <charconv>
#include <cmath>

#include "absl/strings/numbers.h"
#include "scheduler/model/ids.h"
#include "topology/cel/library/function.h"
#include "topology/cel/library/time.h"

namespace muster::cel {
namespace {

Value NoConversion(std::string_view to) {
  if (to == "int") return MakeError("type conversion error from 'string' to 'int'");
  if (to == "uint") return MakeError("type conversion error from 'string' to 'uint'");
  if (to == "double") return MakeError("type conversion error from 'string' to 'double'");
  if (to == "bool") return MakeError("type conversion error from 'string' to 'bool'");
  if (to == "duration") return MakeError("type conversion error from 'string' to 'google.protobuf.Duration'");
  return MakeError("type conversion error from 'string' to 'google.protobuf.Timestamp'");
}

template <typename Number>
bool ParseWhole(std::string_view text, Number& number) {
  if constexpr (std::is_signed_v<Number>) {
    if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  }
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

Value ToInt(const Call&, const Value* args, int) {
  const Value& arg = args[0];
  switch (arg.kind) {
    case Kind::kInt: return arg;
    case Kind::kUint: return arg.natural > INT64_MAX ? MakeError("integer overflow") : MakeInt(arg.integer);
    case Kind::kDouble:
      if (!(arg.real > -9223372036854775808.0 && arg.real < 9223372036854775808.0)) {
        return MakeError("integer overflow");
      }
      return MakeInt(static_cast<int64_t>(arg.real));
    case Kind::kString: {
      int64_t number;
      return ParseWhole(arg.view(), number) ? MakeInt(number) : NoConversion("int");
    }
    case Kind::kDuration:
    case Kind::kTimestamp: return MakeInt(arg.integer);
    default: return Value();
  }
}

Value ToUint(const Call&, const Value* args, int) {
  const Value& arg = args[0];
  switch (arg.kind) {
    case Kind::kUint: return arg;
    case Kind::kInt: return arg.integer < 0 ? MakeError("unsigned integer overflow") : MakeUint(arg.natural);
    case Kind::kDouble:
      if (!(arg.real >= 0 && arg.real < 18446744073709551616.0)) return MakeError("unsigned integer overflow");
      return MakeUint(static_cast<uint64_t>(arg.real));
    case Kind::kString: {
      uint64_t number;
      return ParseWhole(arg.view(), number) ? MakeUint(number) : NoConversion("uint");
    }
    default: return Value();
  }
}

bool ParseReal(std::string_view text, double& number) {
  // absl takes white space around the number, and the limits differ.
  if (text.empty() || text.front() == ' ' || text.back() == ' ' || text.find_first_of("\t\n\v\f\r") != text.npos ||
      text.find("nan(") != text.npos || !absl::SimpleAtod(AsAbsl(text), &number)) {
    return false;
  }
  const bool written = text.find_first_of("iI") != text.npos;
  return written || !std::isinf(number);
}

Value ToDouble(const Call&, const Value* args, int) {
  const Value& arg = args[0];
  switch (arg.kind) {
    case Kind::kDouble: return arg;
    case Kind::kInt: return MakeDouble(static_cast<double>(arg.integer));
    case Kind::kUint: return MakeDouble(static_cast<double>(arg.natural));
    case Kind::kString: {
      double number;
      return ParseReal(arg.view(), number) ? MakeDouble(number) : NoConversion("double");
    }
    default: return Value();
  }
}

Value ToBool(const Call&, const Value* args, int) {
  if (args[0].kind == Kind::kBool) return args[0];
  if (args[0].kind != Kind::kString) return Value();
  const std::string_view text = args[0].view();
  for (const std::string_view yes : {"1", "t", "T", "TRUE", "true", "True"}) {
    if (text == yes) return MakeBool(true);
  }
  for (const std::string_view no : {"0", "f", "F", "FALSE", "false", "False"}) {
    if (text == no) return MakeBool(false);
  }
  return NoConversion("bool");
}

Value ToBytes(const Call&, const Value* args, int) {
  if (args[0].kind == Kind::kBytes) return args[0];
  return args[0].kind == Kind::kString ? MakeText(Kind::kBytes, args[0].view()) : Value();
}

Value ToString(const Call& call, const Value* args, int) {
  const Value& arg = args[0];
  if (arg.kind == Kind::kString) return arg;
  if (arg.kind == Kind::kBytes) {
    return IsUtf8(arg.view()) ? MakeString(arg.view()) : MakeError("invalid UTF-8 in bytes, cannot convert to string");
  }
  std::string text;
  if (arg.kind == Kind::kType || arg.kind == Kind::kNull || !ToText(arg, text)) return Value();
  return call.String(text);
}

Value ToDuration(const Call&, const Value* args, int) {
  if (args[0].kind == Kind::kDuration) return args[0];
  if (args[0].kind != Kind::kString) return Value();
  int64_t nanoseconds;
  return ParseDuration(args[0].view(), nanoseconds) ? MakeDuration(nanoseconds) : NoConversion("duration");
}

Value ToTimestamp(const Call&, const Value* args, int) {
  if (args[0].kind == Kind::kTimestamp) return args[0];
  Value timestamp;
  if (args[0].kind == Kind::kInt) {
    timestamp = MakeTimestamp(args[0].integer, 0);
  } else if (args[0].kind == Kind::kString) {
    timestamp = ParseTimestamp(args[0].view());
    if (timestamp.kind == Kind::kUnset) return NoConversion("timestamp");
  } else {
    return Value();
  }
  const bool fits = timestamp.integer >= kFirstSecond && timestamp.integer <= kLastSecond;
  return fits ? timestamp : MakeError("timestamp overflow");
}

Value ToDyn(const Call&, const Value* args, int) { return args[0]; }
Value TypeOf(const Call&, const Value* args, int) { return MakeText(Kind::kType, TypeName(args[0])); }

constexpr NamedImplementation kFunctions[] = {
    {"int", ToInt},       {"uint", ToUint},         {"double", ToDouble},       {"bool", ToBool}, {"bytes", ToBytes},
    {"string", ToString}, {"duration", ToDuration}, {"timestamp", ToTimestamp}, {"dyn", ToDyn},   {"type", TypeOf},
};

}  // namespace

bool ToText(const Value& value, std::string& text) {
  switch (value.kind) {
    case Kind::kNull: text = "null"; return true;
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kUint:
    case Kind::kDouble:
    case Kind::kType: text = Print(value); return true;
    case Kind::kString: text = value.view(); return true;
    case Kind::kBytes: text = value.view(); return IsUtf8(value.view());
    case Kind::kDuration: text = FormatDuration(value.integer); return true;
    case Kind::kTimestamp: text = FormatTimestamp(value); return true;
    case Kind::kIp: text = FormatIp(*value.ip); return true;
    case Kind::kCidr: text = FormatCidr(*value.cidr); return true;
    default: return false;
  }
}

Family ConversionFunctions() { return {kFunctions, std::size(kFunctions)}; }

}  // namespace muster::cel
