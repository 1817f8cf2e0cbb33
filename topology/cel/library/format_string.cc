#include "topology/cel/library/format_string.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/model/ids.h"
#include "topology/cel/library/conversions.h"
#include "topology/cel/library/function.h"

namespace muster::cel {
namespace {

constexpr int kMostPrecision = 1'000'000;  // upstream has no limit; no result that large has a use

std::string WriteText(const Value& value, std::string& result);

// An element of a list or map.
std::string WriteElement(const Value& value, std::string& result) {
  std::string text;
  switch (value.kind) {
    case Kind::kString: result += Quote(value.view()); return "";
    case Kind::kBytes: result += "b" + Quote(value.view()); return "";
    case Kind::kTimestamp:
    case Kind::kDuration:
      ToText(value, text);
      absl::StrAppend(&result, value.kind == Kind::kTimestamp ? "timestamp(" : "duration(", Quote(text), ")");
      return "";
    case Kind::kDouble: {
      if (std::isnan(value.real) || std::isinf(value.real)) {
        result += std::isnan(value.real) ? "\"NaN\"" : value.real > 0 ? "\"+Inf\"" : "\"-Inf\"";
        return "";
      }
      char buffer[400];
      std::snprintf(buffer, sizeof buffer, "%.6f", value.real);
      result += buffer;
      return "";
    }
    case Kind::kType: absl::StrAppend(&result, "type(", AsAbsl(value.view()), ")"); return "";
    case Kind::kNull:
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kUint:
    case Kind::kList:
    case Kind::kMap: return WriteText(value, result);
    default: return "no formatting function for " + std::string(TypeName(value));
  }
}

std::string WriteMap(const Map& map, std::string& result) {
  std::vector<std::pair<std::string, std::string>> entries;
  for (uint32_t i = 0; i < map.size; ++i) {
    auto& [key, value] = entries.emplace_back();
    if (std::string error = WriteElement(map.entries[i].key, key); !error.empty()) return error;
    if (std::string error = WriteElement(map.entries[i].value, value); !error.empty()) return error;
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& left, const auto& right) { return left.first < right.first; });
  result += '{';
  for (size_t i = 0; i < entries.size(); ++i) {
    absl::StrAppend(&result, i > 0 ? ", " : "", entries[i].first, ":", entries[i].second);
  }
  result += '}';
  return "";
}

std::string WriteText(const Value& value, std::string& result) {
  if (value.kind == Kind::kList) {
    result += '[';
    for (uint32_t i = 0; i < value.list->size; ++i) {
      if (i > 0) result += ", ";
      if (std::string error = WriteElement(value.list->items[i], result); !error.empty()) return error;
    }
    result += ']';
    return "";
  }
  if (value.kind == Kind::kMap) return WriteMap(*value.map, result);
  std::string text;
  const bool known = value.kind != Kind::kIp && value.kind != Kind::kCidr && ToText(value, text);
  if (!known) {
    return value.kind == Kind::kBytes ? "could not convert argument to string" : ClauseError('s', TypeName(value));
  }
  result += text;
  return "";
}

// Of a double, or of a text that names one.
bool RealOf(const Value& value, double& real) {
  if (value.kind == Kind::kDouble) {
    real = value.real;
    return true;
  }
  if (value.kind != Kind::kString) return false;
  const std::string_view text = value.view();
  if (text != "NaN" && text != "Infinity" && text != "-Infinity") return false;
  real = text == "NaN" ? NAN : text == "Infinity" ? INFINITY : -INFINITY;
  return true;
}

// What the American locale makes of numbers that are none.
bool WriteSpecial(double real, std::string& result) {
  if (std::isnan(real)) {
    result += "NaN";
  } else if (std::isinf(real)) {
    result += real < 0 ? "-\u221e" : "\u221e";
  } else {
    return false;
  }
  return true;
}

std::string Printed(const char* format, int precision, double real) {
  const int size = std::snprintf(nullptr, 0, format, precision, real);
  std::string text(static_cast<size_t>(size) + 1, '\0');
  std::snprintf(text.data(), text.size(), format, precision, real);
  text.pop_back();
  return text;
}

// 1,234.500000: with the American locale's groups.
void WriteFixed(double real, int precision, std::string& result) {
  if (WriteSpecial(real, result)) return;
  const std::string text = Printed("%.*f", precision, real);
  const size_t start = text[0] == '-' ? 1 : 0;
  const size_t end = std::min(text.find('.'), text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (i > start && i < end && (end - i) % 3 == 0) result += ',';
    result += text[i];
  }
}

// 1.234500 x 10^03, as the American locale writes it. Upstream takes the precision for a width; six digits it always
// is.
void WriteScientific(double real, int width, std::string& result) {
  static constexpr const char* kRaised[] = {"\u2070", "\u00b9", "\u00b2", "\u00b3", "\u2074",
                                            "\u2075", "\u2076", "\u2077", "\u2078", "\u2079"};
  std::string text;
  if (!WriteSpecial(real, text)) {
    const std::string plain = Printed("%.*e", 6, real);
    const size_t exponent = plain.find('e');
    text = plain.substr(0, exponent) + "\u00d710";
    if (plain[exponent + 1] == '-') text += "\u207b";
    for (const char digit : plain.substr(exponent + 2)) text += kRaised[digit - '0'];
  }
  const int size = static_cast<int>(CountRunes(text));
  if (size < width) result.append(static_cast<size_t>(width - size), ' ');
  result += text;
}

void WriteBase(uint64_t number, unsigned base, bool upper, std::string& result) {
  const std::string_view all = upper ? "0123456789ABCDEF" : "0123456789abcdef";
  std::string digits;
  do {
    digits += all[number % base];
    number /= base;
  } while (number > 0);
  result.append(digits.rbegin(), digits.rend());
}

std::string WriteNumber(const Clause& clause, const Value& value, std::string& result) {
  const bool upper = clause.verb == 'X';
  const unsigned base = clause.verb == 'b' ? 2 : clause.verb == 'o' ? 8 : clause.verb == 'd' ? 10 : 16;
  if (value.kind == Kind::kInt) {
    if (value.integer < 0) result += '-';
    const uint64_t size = value.integer < 0 ? ~value.natural + 1 : value.natural;
    WriteBase(size, base, upper, result);
    return "";
  }
  if (value.kind == Kind::kUint) return WriteBase(value.natural, base, upper, result), "";
  if (value.kind == Kind::kBool && base == 2) return result += value.boolean ? '1' : '0', "";
  if ((value.kind == Kind::kString || value.kind == Kind::kBytes) && base == 16) {
    for (const char c : value.view()) {
      const uint8_t byte = static_cast<uint8_t>(c);
      WriteBase(byte >> 4, 16, upper, result);
      WriteBase(byte & 15, 16, upper, result);
    }
    return "";
  }
  return ClauseError(clause.verb, TypeName(value));
}

std::string WriteArgument(const Clause& clause, const Value& value, std::string& result) {
  if (clause.verb == 's') return WriteText(value, result);
  if (clause.verb != 'f' && clause.verb != 'e') return WriteNumber(clause, value, result);
  double real;
  if (!RealOf(value, real)) return ClauseError(clause.verb, TypeName(value));
  const int precision = clause.precision < 0 ? 6 : clause.precision;
  clause.verb == 'f' ? WriteFixed(real, precision, result) : WriteScientific(real, precision, result);
  return "";
}

// The clause after '%', read off `rest`.
std::string ReadClause(std::string_view& rest, Clause& clause) {
  if (rest[0] == '.') {
    const size_t end = rest.find_first_not_of("0123456789", 1);
    if (end == std::string_view::npos) {
      return "could not parse formatting clause: error while parsing precision: "
             "could not find end of precision specifier";
    }
    clause.precision = 0;
    for (const char c : rest.substr(1, end - 1)) {
      clause.precision = std::min(clause.precision * 10 + (c - '0'), kMostPrecision);
    }
    if (end == 1 || clause.precision == kMostPrecision) {
      return "could not parse formatting clause: error while parsing precision: "
             "error while converting precision to integer";
    }
    rest.remove_prefix(end);
  }
  clause.verb = rest[0];
  rest.remove_prefix(1);
  if (std::string_view("sdfebxXo").find(clause.verb) != std::string_view::npos) return "";
  return absl::StrCat("could not parse formatting clause: unrecognized formatting clause \"",
                      std::string(1, clause.verb), "\"");
}

Value Format(const Call& call, const Value* args, int) {
  if (args[0].kind != Kind::kString || args[1].kind != Kind::kList) return Value();
  const List& list = *args[1].list;
  std::string result;
  const std::string error = ExpandFormat(
      args[0].view(), list.size,
      [&](const Clause& clause, uint32_t index, std::string& to) {
        if (!call.arena.Fits(to.size() + static_cast<size_t>(std::max(clause.precision, 0))))
          return std::string("result too large");
        return WriteArgument(clause, list.items[index], to);
      },
      result);
  return error.empty() ? call.String(result) : call.Error(error);
}

constexpr NamedImplementation kFormat = {"format", Format};

}  // namespace

std::string ClauseError(char verb, std::string_view type) {
  std::string text;
  switch (verb) {
    case 'b': text = "only integers and bools can be formatted as binary"; break;
    case 'd': text = "decimal clause can only be used on integers"; break;
    case 'f': text = "fixed-point clause can only be used on doubles"; break;
    case 'e': text = "scientific clause can only be used on doubles"; break;
    case 'o': text = "octal clause can only be used on integers"; break;
    case 'x':
    case 'X': text = "only integers, byte buffers, and strings can be formatted as hex"; break;
    default:
      text =
          "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, "
          "and timestamps";
  }
  return absl::StrCat(text, ", was given ", AsAbsl(type));
}

std::string ExpandFormat(std::string_view text, uint32_t args, const ArgumentWriter& write, std::string& result,
                         uint32_t* used) {
  uint32_t index = 0;
  while (!text.empty()) {
    const char c = text[0];
    text.remove_prefix(1);
    if (c != '%') {
      result += c;
      continue;
    }
    if (!text.empty() && text[0] == '%') {
      result += '%';
      text.remove_prefix(1);
      continue;
    }
    if (index < args && text.empty()) return "unexpected end of string";
    if (index >= args) return absl::StrCat("index ", index, " out of range");
    Clause clause;
    if (std::string error = ReadClause(text, clause); !error.empty()) return error;
    std::string error = write(clause, index, result);
    if (!error.empty()) return "error during formatting: " + error;
    ++index;
  }
  if (used != nullptr) *used = index;
  return "";
}

Family FormatStringFunctions() { return {&kFormat, 1}; }

}  // namespace muster::cel
