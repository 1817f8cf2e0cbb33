#include <algorithm>
#include <string>
#include <vector>

#include "topology/cel/library/function.h"

namespace muster::cel {
namespace {

std::vector<char32_t> Runes(std::string_view text) {
  std::vector<char32_t> runes;
  for (size_t position = 0; position < text.size();) runes.push_back(NextRune(text, position));
  return runes;
}

bool IsString(const Value& value) { return value.kind == Kind::kString; }
bool IsInt(const Value& value) { return value.kind == Kind::kInt; }

Value OutOfRange(const Call& call, int64_t index) { return call.Error("index out of range: " + std::to_string(index)); }

// Where the code point of that number starts, for 0 <= number <= size.
size_t ByteOffset(std::string_view text, int64_t number) {
  size_t position = 0;
  for (; number > 0 && position < text.size(); --number) NextRune(text, position);
  return position;
}

Value Contains(const Call&, const Value* args, int) {
  if (!IsString(args[0]) || !IsString(args[1])) return NoSuchOverload();
  return MakeBool(args[0].view().find(args[1].view()) != std::string_view::npos);
}
Value StartsWith(const Call&, const Value* args, int) {
  if (!IsString(args[0]) || !IsString(args[1])) return NoSuchOverload();
  return MakeBool(args[0].view().substr(0, args[1].size) == args[1].view());
}
Value EndsWith(const Call&, const Value* args, int) {
  if (!IsString(args[0]) || !IsString(args[1])) return NoSuchOverload();
  const std::string_view text = args[0].view(), end = args[1].view();
  return MakeBool(text.size() >= end.size() && text.substr(text.size() - end.size()) == end);
}

Value CharAt(const Call& call, const Value* args, int) {
  if (!IsString(args[0]) || !IsInt(args[1])) return Value();
  const std::string_view text = args[0].view();
  const int64_t index = args[1].integer;
  if (index < 0 || index > CountRunes(text)) return OutOfRange(call, index);
  const size_t start = ByteOffset(text, index);
  if (start >= text.size()) return MakeString("");
  size_t end = start;
  NextRune(text, end);
  return MakeString(text.substr(start, end - start));
}

Value Substring(const Call& call, const Value* args, int count) {
  if (!IsString(args[0]) || !IsInt(args[1]) || (count == 3 && !IsInt(args[2]))) return Value();
  const std::string_view text = args[0].view();
  const int64_t size = CountRunes(text);
  const int64_t start = args[1].integer, end = count == 3 ? args[2].integer : size;
  if (count == 3 && start > end) {
    return call.Error("invalid substring range. start: " + std::to_string(start) + ", end: " + std::to_string(end));
  }
  if (start < 0 || start > size) return OutOfRange(call, start);
  if (end < 0 || end > size) return OutOfRange(call, end);
  const size_t from = ByteOffset(text, start);
  return MakeString(text.substr(from, ByteOffset(text, end) - from));
}

Value IndexOf(const Call& call, const Value* args, int count) {
  if (args[0].kind == Kind::kList && count == 2) return ListIndexOf(call, args, false);
  if (!IsString(args[0]) || !IsString(args[1]) || (count == 3 && !IsInt(args[2]))) return Value();
  const int64_t offset = count == 3 ? args[2].integer : 0;
  if (offset < 0) return OutOfRange(call, offset);
  const std::vector<char32_t> text = Runes(args[0].view()), part = Runes(args[1].view());
  const int64_t size = static_cast<int64_t>(text.size());
  if (part.empty()) return MakeInt(std::min(offset, size));
  if (offset >= size) return MakeInt(-1);
  const auto found = std::search(text.begin() + offset, text.end(), part.begin(), part.end());
  return MakeInt(found == text.end() ? -1 : found - text.begin());
}

Value LastIndexOf(const Call& call, const Value* args, int count) {
  if (args[0].kind == Kind::kList && count == 2) return ListIndexOf(call, args, true);
  if (!IsString(args[0]) || !IsString(args[1]) || (count == 3 && !IsInt(args[2]))) return Value();
  const std::vector<char32_t> text = Runes(args[0].view()), part = Runes(args[1].view());
  const int64_t size = static_cast<int64_t>(text.size());
  if (count == 2 && part.empty()) return MakeInt(size);
  if (count == 2 && args[0].size < args[1].size) return MakeInt(-1);
  const int64_t offset = count == 3 ? args[2].integer : size - 1;
  if (offset < 0) return OutOfRange(call, offset);
  if (part.empty()) return MakeInt(std::min(offset, size));
  if (offset >= size) return MakeInt(-1);
  for (int64_t i = std::min(offset, size - static_cast<int64_t>(part.size())); i >= 0; --i) {
    if (std::equal(part.begin(), part.end(), text.begin() + i)) return MakeInt(i);
  }
  return MakeInt(-1);
}

// Malformed bytes become U+FFFD, as every trip through Go's runes makes of them.
Value ChangeCase(const Call& call, const Value* args, char from, char to) {
  if (!IsString(args[0])) return Value();
  std::string mended;
  std::string_view text = args[0].view();
  if (!IsUtf8(text)) {
    for (const char32_t rune : Runes(text)) AppendRune(mended, rune);
    text = mended;
  }
  char* changed = call.arena.New<char>(text.size());
  std::transform(text.begin(), text.end(), changed,
                 [&](char c) { return c >= from && c <= from + 25 ? static_cast<char>(c + to - from) : c; });
  return MakeString({changed, text.size()});
}
Value LowerAscii(const Call& call, const Value* args, int) { return ChangeCase(call, args, 'A', 'a'); }
Value UpperAscii(const Call& call, const Value* args, int) { return ChangeCase(call, args, 'a', 'A'); }

bool IsSpace(char32_t rune) {
  return (rune >= '\t' && rune <= '\r') || rune == ' ' || rune == 0x85 || rune == 0xa0 || rune == 0x1680 ||
         (rune >= 0x2000 && rune <= 0x200a) || rune == 0x2028 || rune == 0x2029 || rune == 0x202f || rune == 0x205f ||
         rune == 0x3000;
}

Value Trim(const Call&, const Value* args, int) {
  if (!IsString(args[0])) return Value();
  const std::string_view text = args[0].view();
  size_t start = text.size(), end = 0;
  for (size_t position = 0; position < text.size();) {
    const size_t before = position;
    if (IsSpace(NextRune(text, position))) continue;
    start = std::min(start, before);
    end = position;
  }
  return MakeString(start < end ? text.substr(start, end - start) : std::string_view(""));
}

Value Replace(const Call& call, const Value* args, int count) {
  if (!IsString(args[0]) || !IsString(args[1]) || !IsString(args[2]) || (count == 4 && !IsInt(args[3]))) {
    return Value();
  }
  const std::string_view text = args[0].view(), old = args[1].view(), with = args[2].view();
  int64_t left = count == 4 ? args[3].integer : -1;
  std::string result;
  size_t at = 0;
  // An empty text is found before every code point and at the end.
  while (left != 0 && at <= text.size()) {
    const size_t found = old.empty() ? at : text.find(old, at);
    if (found == std::string_view::npos) break;
    if (!call.arena.Fits(result.size() + with.size() + text.size())) return call.TooLarge();
    result.append(text.substr(at, found - at)).append(with);
    at = found + old.size();
    if (old.empty()) {
      if (at >= text.size()) {
        ++at;
        break;
      }
      size_t next = at;
      NextRune(text, next);
      result.append(text.substr(at, next - at));
      at = next;
    }
    --left;
  }
  if (at < text.size()) result.append(text.substr(at));
  return call.String(result);
}

Value Split(const Call& call, const Value* args, int count) {
  if (!IsString(args[0]) || !IsString(args[1]) || (count == 3 && !IsInt(args[2]))) return Value();
  std::string_view rest = args[0].view();
  const std::string_view by = args[1].view();
  const int64_t most = count == 3 ? args[2].integer : -1;
  List* list = NewList(call.arena, 0);
  if (most == 0) return MakeList(list);
  if (by.empty()) {
    while (!rest.empty() && (most < 0 || list->size + 1 < most) && !call.arena.exhausted()) {
      size_t end = 0;
      NextRune(rest, end);
      Append(call.arena, *list, MakeString(rest.substr(0, end)));
      rest.remove_prefix(end);
    }
    if (!rest.empty()) Append(call.arena, *list, MakeString(rest));
    return MakeList(list);
  }
  while ((most < 0 || list->size + 1 < most) && !call.arena.exhausted()) {
    const size_t found = rest.find(by);
    if (found == std::string_view::npos) break;
    Append(call.arena, *list, MakeString(rest.substr(0, found)));
    rest.remove_prefix(found + by.size());
  }
  Append(call.arena, *list, MakeString(rest));
  return MakeList(list);
}

Value Join(const Call& call, const Value* args, int count) {
  if (args[0].kind != Kind::kList || (count == 2 && !IsString(args[1]))) return Value();
  std::string result;
  for (uint32_t i = 0; i < args[0].list->size; ++i) {
    const Value& item = args[0].list->items[i];
    if (!IsString(item)) return call.Error("join: invalid input: " + Print(item));
    if (!call.arena.Fits(result.size() + item.size)) return call.TooLarge();
    if (i > 0 && count == 2) result.append(args[1].view());
    result.append(item.view());
  }
  return call.String(result);
}

Value QuoteText(const Call& call, const Value* args, int) {
  if (!IsString(args[0])) return Value();
  static constexpr std::string_view kFrom = "\a\b\f\n\r\t\v\\\"", kTo = "abfnrtv\\\"";
  std::string result = "\"";
  for (const char32_t rune : Runes(args[0].view())) {
    const size_t escaped = rune < 0x80 ? kFrom.find(static_cast<char>(rune)) : std::string_view::npos;
    if (escaped == std::string_view::npos) {
      AppendRune(result, rune);
    } else {
      result += '\\';
      result += kTo[escaped];
    }
  }
  return call.String(result + "\"");
}

constexpr NamedImplementation kFunctions[] = {
    {"contains", Contains},
    {"startsWith", StartsWith},
    {"endsWith", EndsWith},
    {"charAt", CharAt},
    {"substring", Substring},
    {"indexOf", IndexOf},
    {"lastIndexOf", LastIndexOf},
    {"lowerAscii", LowerAscii},
    {"upperAscii", UpperAscii},
    {"trim", Trim},
    {"replace", Replace},
    {"split", Split},
    {"join", Join},
    {"strings.quote", QuoteText},
};

}  // namespace

Family StringFunctions() { return {kFunctions, std::size(kFunctions)}; }

}  // namespace muster::cel
