#include "topology/cel/value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace muster::cel {
namespace {

constexpr size_t kFirstBlock = 16 << 10;
constexpr uint32_t kIndexFrom = 16;

uint64_t Hash(uint64_t bits) {
  bits ^= bits >> 33;
  bits *= 0xff51afd7ed558ccdu;
  return bits ^ (bits >> 33);
}

// Equal keys hash alike, whatever kind of number they are.
uint64_t HashKey(const Value& key) {
  switch (key.kind) {
    case Kind::kBool: return Hash(key.boolean);
    case Kind::kInt: return Hash(static_cast<uint64_t>(key.integer));
    case Kind::kUint: return Hash(key.natural);
    case Kind::kDouble: {
      if (key.real >= -9.2e18 && key.real < 9.2e18 && std::floor(key.real) == key.real) {
        return Hash(static_cast<uint64_t>(static_cast<int64_t>(key.real)));
      }
      if (key.real >= 0 && key.real < 1.8446744073709552e19) return Hash(static_cast<uint64_t>(key.real));
      uint64_t bits;
      std::memcpy(&bits, &key.real, sizeof bits);
      return Hash(bits);
    }
    case Kind::kString: {
      uint64_t hash = 0xcbf29ce484222325u;
      for (const char c : key.view()) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
      return Hash(hash);
    }
    default: return static_cast<uint64_t>(key.kind);
  }
}

uint32_t IndexSize(const Map& map) { return map.capacity * 2 + 1; }

void AddToIndex(Map& map, uint32_t position) {
  const uint32_t size = IndexSize(map);
  uint64_t at = HashKey(map.entries[position].key) % size;
  while (map.index[at] != 0) at = (at + 1) % size;
  map.index[at] = position + 1;
}

int Sign(int64_t difference) { return difference < 0 ? -1 : difference > 0 ? 1 : 0; }
template <typename T>
int Sign(T left, T right) {
  return left < right ? -1 : right < left ? 1 : 0;
}
int CompareIntUint(int64_t left, uint64_t right) {
  if (left < 0 || right > INT64_MAX) return -1;
  return Sign(left, static_cast<int64_t>(right));
}
int CompareDoubleInt(double left, int64_t right) {
  if (left < -9223372036854775808.0) return -1;
  if (left > 9223372036854775808.0) return 1;
  return Sign(left, static_cast<double>(right));
}
int CompareDoubleUint(double left, uint64_t right) {
  if (left < 0) return -1;
  if (left > 18446744073709551616.0) return 1;
  return Sign(left, static_cast<double>(right));
}

bool IsNumber(Kind kind) { return kind == Kind::kInt || kind == Kind::kUint || kind == Kind::kDouble; }

// No NaN among them.
int CompareNumbers(const Value& left, const Value& right) {
  switch (left.kind) {
    case Kind::kInt:
      if (right.kind == Kind::kInt) return Sign(left.integer, right.integer);
      if (right.kind == Kind::kUint) return CompareIntUint(left.integer, right.natural);
      return -CompareDoubleInt(right.real, left.integer);
    case Kind::kUint:
      if (right.kind == Kind::kUint) return Sign(left.natural, right.natural);
      if (right.kind == Kind::kInt) return -CompareIntUint(right.integer, left.natural);
      return -CompareDoubleUint(right.real, left.natural);
    default:
      if (right.kind == Kind::kDouble) return Sign(left.real, right.real);
      if (right.kind == Kind::kInt) return CompareDoubleInt(left.real, right.integer);
      return CompareDoubleUint(left.real, right.natural);
  }
}

bool IsNan(const Value& value) { return value.kind == Kind::kDouble && std::isnan(value.real); }

Equality FromBool(bool equal) { return equal ? Equality::kTrue : Equality::kFalse; }

Equality EqualLists(const List& left, const List& right) {
  if (left.size != right.size) return Equality::kFalse;
  for (uint32_t i = 0; i < left.size; ++i) {
    if (Equal(left.items[i], right.items[i]) == Equality::kFalse) return Equality::kFalse;
  }
  return Equality::kTrue;
}

Equality EqualMaps(const Map& left, const Map& right) {
  if (left.size != right.size) return Equality::kFalse;
  for (uint32_t i = 0; i < left.size; ++i) {
    Value missing;
    const Value* other = Find(right, left.entries[i].key, missing);
    if (other == nullptr || Equal(left.entries[i].value, *other) == Equality::kFalse) return Equality::kFalse;
  }
  return Equality::kTrue;
}

bool SameIp(const CelIp& left, const CelIp& right) {
  return left.v4 == right.v4 && std::memcmp(left.bytes, right.bytes, left.v4 ? 4 : 16) == 0;
}

}  // namespace

// ---- Memory ----------------------------------------------------------------------------------------------------

void* Arena::Allocate(size_t bytes) {
  bytes = (bytes + 15) & ~size_t{15};
  if (blocks_.empty() || used_ + bytes > blocks_.back().size) {
    if (!blocks_.empty()) total_ += blocks_.back().size;
    const size_t size = std::max(bytes, blocks_.empty() ? kFirstBlock : std::min<size_t>(total_, 4 << 20));
    blocks_.push_back({std::make_unique<char[]>(size), size});
    used_ = 0;
  }
  void* result = blocks_.back().data.get() + used_;
  used_ += bytes;
  if (total_ + used_ > kMostBytes) exhausted_ = true;
  return result;
}

bool Arena::Fits(size_t bytes) {
  if (bytes > kMostBytes || total_ + used_ + bytes > kMostBytes) exhausted_ = true;
  return !exhausted_;
}

std::string_view Arena::Copy(std::string_view text) {
  if (text.empty()) return {"", 0};
  char* copy = New<char>(text.size());
  std::memcpy(copy, text.data(), text.size());
  return {copy, text.size()};
}

void Arena::Reset() {
  if (blocks_.size() > 1) blocks_.resize(1);
  used_ = total_ = 0;
  exhausted_ = false;
}

Value MakeOptional(Arena& arena, Value inner) {
  Value* copy = arena.New<Value>();
  *copy = inner;
  Value value = Make(Kind::kOptional);
  value.inner = copy;
  return value;
}

List* NewList(Arena& arena, uint32_t capacity) {
  List* list = arena.New<List>();
  *list = {capacity == 0 ? nullptr : arena.New<Value>(capacity), 0, capacity};
  return list;
}

void Append(Arena& arena, List& list, Value item) {
  if (list.size == list.capacity) {
    list.capacity = std::max<uint32_t>(4, list.capacity * 2);
    Value* items = arena.New<Value>(list.capacity);
    std::copy(list.items, list.items + list.size, items);
    list.items = items;
  }
  list.items[list.size++] = item;
}

Map* NewMap(Arena& arena, uint32_t capacity) {
  Map* map = arena.New<Map>();
  *map = {capacity == 0 ? nullptr : arena.New<Entry>(capacity), 0, capacity, nullptr, nullptr};
  if (capacity > kIndexFrom) {
    map->index = arena.New<uint32_t>(IndexSize(*map));
    std::fill_n(map->index, IndexSize(*map), 0);
  }
  return map;
}

void Put(Arena& arena, Map& map, Value key, Value value) {
  if (const Value* old = FindExact(map, key); old != nullptr) {
    const_cast<Value&>(*old) = value;
    return;
  }
  if (map.size == map.capacity) {
    Map* larger = NewMap(arena, std::max<uint32_t>(4, map.capacity * 2));
    std::copy(map.entries, map.entries + map.size, larger->entries);
    larger->size = map.size;
    larger->missing = map.missing;
    if (larger->index != nullptr) {
      for (uint32_t i = 0; i < map.size; ++i) AddToIndex(*larger, i);
    }
    map = *larger;
  }
  map.entries[map.size] = {key, value};
  if (map.index != nullptr) AddToIndex(map, map.size);
  ++map.size;
}

const Value* FindExact(const Map& map, const Value& key) {
  if (map.index != nullptr) {
    const uint32_t size = IndexSize(map);
    for (uint64_t at = HashKey(key) % size; map.index[at] != 0; at = (at + 1) % size) {
      const Entry& entry = map.entries[map.index[at] - 1];
      if (EqualDirect(entry.key, key) == Equality::kTrue) return &entry.value;
    }
    return nullptr;
  }
  if (key.kind == Kind::kString) {
    for (uint32_t i = 0; i < map.size; ++i) {
      const Value& other = map.entries[i].key;
      if (other.kind == Kind::kString && other.size == key.size && std::memcmp(other.text, key.text, key.size) == 0) {
        return &map.entries[i].value;
      }
    }
    return nullptr;
  }
  for (uint32_t i = 0; i < map.size; ++i) {
    if (EqualDirect(map.entries[i].key, key) == Equality::kTrue) return &map.entries[i].value;
  }
  return nullptr;
}

const Value* Find(const Map& map, const Value& key, Value& default_value) {
  const Value* found = FindExact(map, key);
  if (found != nullptr || map.missing == nullptr) return found;
  default_value = MakeMap(const_cast<Map*>(map.missing));
  return &default_value;
}

// ---- Comparing -------------------------------------------------------------------------------------------------

Equality EqualDirect(const Value& left, const Value& right) {
  switch (left.kind) {
    case Kind::kNull: return FromBool(right.kind == Kind::kNull);
    case Kind::kBool: return FromBool(right.kind == Kind::kBool && left.boolean == right.boolean);
    case Kind::kInt:
    case Kind::kUint:
    case Kind::kDouble:
      if (!IsNumber(right.kind) || IsNan(left) || IsNan(right)) return Equality::kFalse;
      return FromBool(CompareNumbers(left, right) == 0);
    case Kind::kString:
    case Kind::kBytes: return FromBool(left.kind == right.kind && left.view() == right.view());
    case Kind::kList: return right.kind == Kind::kList ? EqualLists(*left.list, *right.list) : Equality::kFalse;
    case Kind::kMap: return right.kind == Kind::kMap ? EqualMaps(*left.map, *right.map) : Equality::kFalse;
    case Kind::kTimestamp:
      return FromBool(right.kind == Kind::kTimestamp && left.integer == right.integer && left.size == right.size);
    case Kind::kDuration: return FromBool(right.kind == Kind::kDuration && left.integer == right.integer);
    case Kind::kType: return FromBool(right.kind == Kind::kType && left.view() == right.view());
    case Kind::kOptional:
      if (right.kind != Kind::kOptional) return Equality::kFalse;
      if (left.inner == nullptr || right.inner == nullptr) return FromBool(left.inner == right.inner);
      return EqualDirect(*left.inner, *right.inner);
    default: break;
  }
  // Kubernetes' own types do not compare with others.
  if (left.kind != right.kind || left.kind == Kind::kError) return Equality::kError;
  switch (left.kind) {
    case Kind::kQuantity:
      return right.flag ? Equality::kError : FromBool(CompareQuantity(*left.quantity, *right.quantity) == 0);
    case Kind::kSemver: return FromBool(CompareSemver(*left.semver, *right.semver) == 0);
    case Kind::kUrl: return FromBool(left.url->text == right.url->text);
    case Kind::kIp: return FromBool(SameIp(*left.ip, *right.ip));
    case Kind::kCidr: return FromBool(SameIp(left.cidr->ip, right.cidr->ip) && left.cidr->bits == right.cidr->bits);
    case Kind::kFormat: return FromBool(left.format == right.format);
    default: return Equality::kError;
  }
}

Equality Equal(const Value& left, const Value& right) {
  if (left.kind == Kind::kNull || right.kind == Kind::kNull) return FromBool(left.kind == right.kind);
  return EqualDirect(left, right);
}

bool IsComparable(const Value& value) {
  switch (value.kind) {
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kUint:
    case Kind::kDouble:
    case Kind::kString:
    case Kind::kBytes:
    case Kind::kTimestamp:
    case Kind::kDuration: return true;
    default: return false;
  }
}

Order Compare(const Value& left, const Value& right) {
  if (IsNumber(left.kind) && IsNumber(right.kind)) {
    if (IsNan(left) || IsNan(right)) return {0, MakeError("NaN values cannot be ordered")};
    return {CompareNumbers(left, right), {}};
  }
  if (left.kind != right.kind || !IsComparable(left)) return {0, NoSuchOverload()};
  switch (left.kind) {
    case Kind::kBool: return {Sign(left.boolean, right.boolean), {}};
    case Kind::kString:
    case Kind::kBytes: return {Sign(left.view().compare(right.view())), {}};
    case Kind::kTimestamp: {
      const int sign = Sign(left.integer, right.integer);
      return {sign != 0 ? sign : Sign(left.size, right.size), {}};
    }
    default: return {Sign(left.integer, right.integer), {}};
  }
}

bool IsZero(const Value& value) {
  switch (value.kind) {
    case Kind::kNull: return true;
    case Kind::kBool: return !value.boolean;
    case Kind::kInt:
    case Kind::kDuration: return value.integer == 0;
    case Kind::kUint: return value.natural == 0;
    case Kind::kDouble: return value.real == 0;
    case Kind::kString:
    case Kind::kBytes: return value.size == 0;
    case Kind::kList: return value.list->size == 0;
    case Kind::kMap: return value.map->size == 0;
    case Kind::kTimestamp: return value.integer == -62135596800 && value.size == 0;  // the year 1
    default: return false;
  }
}

int CompareQuantity(const CelQuantity& left, const CelQuantity& right) {
  // value * 10^n, or the sign and "too large".
  const auto scaled = [](__int128 value, int32_t by, __int128& result) {
    result = value;
    for (; by > 0 && result != 0; --by) {
      if (__builtin_mul_overflow(result, 10, &result)) return false;
    }
    return true;
  };
  const int32_t low = std::min(left.scale, right.scale);
  __int128 a, b;
  const bool a_fits = scaled(left.value, left.scale - low, a);
  const bool b_fits = scaled(right.value, right.scale - low, b);
  if (!a_fits) return left.value < 0 ? -1 : 1;
  if (!b_fits) return right.value < 0 ? 1 : -1;
  return Sign(a, b);
}

int CompareSemver(const CelSemver& left, const CelSemver& right) {
  if (left.major != right.major) return Sign(left.major, right.major);
  if (left.minor != right.minor) return Sign(left.minor, right.minor);
  if (left.patch != right.patch) return Sign(left.patch, right.patch);
  if (left.pre.empty() || right.pre.empty()) return Sign(!right.pre.empty(), !left.pre.empty());
  std::string_view a = left.pre, b = right.pre;
  const auto next = [](std::string_view& rest) {
    const size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    rest = dot == std::string_view::npos ? std::string_view() : rest.substr(dot + 1);
    return part;
  };
  const auto numeric = [](std::string_view part) { return part.find_first_not_of("0123456789") == part.npos; };
  while (!a.empty() && !b.empty()) {
    const std::string_view x = next(a), y = next(b);
    const bool x_number = numeric(x), y_number = numeric(y);
    if (x_number != y_number) return x_number ? -1 : 1;
    if (x_number && x.size() != y.size()) return Sign(x.size(), y.size());
    if (x != y) return x < y ? -1 : 1;
  }
  return Sign(!a.empty(), !b.empty());
}

// ---- Text ------------------------------------------------------------------------------------------------------

std::string_view TypeName(const Value& value) {
  switch (value.kind) {
    case Kind::kUnset:
    case Kind::kError: return "error";
    case Kind::kNull: return "null_type";
    case Kind::kBool: return "bool";
    case Kind::kInt: return "int";
    case Kind::kUint: return "uint";
    case Kind::kDouble: return "double";
    case Kind::kString: return "string";
    case Kind::kBytes: return "bytes";
    case Kind::kList: return "list";
    case Kind::kMap: return "map";
    case Kind::kTimestamp: return "google.protobuf.Timestamp";
    case Kind::kDuration: return "google.protobuf.Duration";
    case Kind::kType: return "type";
    case Kind::kOptional: return "optional_type";
    case Kind::kQuantity: return "kubernetes.Quantity";
    case Kind::kSemver: return "kubernetes.Semver";
    case Kind::kUrl: return "kubernetes.URL";
    case Kind::kIp: return "net.IP";
    case Kind::kCidr: return "net.CIDR";
    case Kind::kFormat: return "kubernetes.NamedFormat";
  }
  return "";
}

std::string Print(const Value& value) {
  switch (value.kind) {
    case Kind::kBool: return value.boolean ? "true" : "false";
    case Kind::kInt: return std::to_string(value.integer);
    case Kind::kUint: return std::to_string(value.natural);
    case Kind::kDouble: return FormatDouble(value.real);
    case Kind::kString:
    case Kind::kError:
    case Kind::kType: return std::string(value.view());
    case Kind::kDuration: return FormatDoublePlain(static_cast<double>(value.integer) / 1e9) + "s";
    case Kind::kList: {
      std::string text = "[";
      for (uint32_t i = 0; i < value.list->size && text.size() < 4096; ++i) {
        if (i > 0) text += ", ";
        text += Print(value.list->items[i]);
      }
      return text + "]";
    }
    case Kind::kOptional: return value.inner == nullptr ? "optional.none()" : "optional(" + Print(*value.inner) + ")";
    default: return std::string(TypeName(value));
  }
}

char32_t NextRune(std::string_view text, size_t& position) {
  constexpr char32_t kBad = 0xfffd;
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(position);
  if (first < 0x80) return ++position, first;
  const int length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || position + length > text.size()) return ++position, kBad;
  char32_t rune = first & (0xff >> (length + 1));
  for (int i = 1; i < length; ++i) {
    if ((byte(position + i) & 0xc0) != 0x80) return ++position, kBad;
    rune = rune << 6 | (byte(position + i) & 0x3f);
  }
  const bool overlong = (length == 3 && rune < 0x800) || (length == 4 && rune < 0x10000);
  if (overlong || rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000)) return ++position, kBad;
  position += length;
  return rune;
}

uint32_t CountRunes(std::string_view text) {
  uint32_t count = 0;
  for (size_t position = 0; position < text.size(); ++count) {
    if (static_cast<uint8_t>(text[position]) < 0x80) {
      ++position;
    } else {
      NextRune(text, position);
    }
  }
  return count;
}

bool IsUtf8(std::string_view text) {
  for (size_t position = 0; position < text.size();) {
    const size_t before = position;
    if (NextRune(text, position) == 0xfffd && position == before + 1) return false;
  }
  return true;
}

void AppendRune(std::string& text, char32_t rune) {
  if (rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000)) rune = 0xfffd;
  if (rune < 0x80) {
    text += static_cast<char>(rune);
  } else if (rune < 0x800) {
    text += static_cast<char>(0xc0 | rune >> 6);
    text += static_cast<char>(0x80 | (rune & 0x3f));
  } else if (rune < 0x10000) {
    text += static_cast<char>(0xe0 | rune >> 12);
    text += static_cast<char>(0x80 | (rune >> 6 & 0x3f));
    text += static_cast<char>(0x80 | (rune & 0x3f));
  } else {
    text += static_cast<char>(0xf0 | rune >> 18);
    text += static_cast<char>(0x80 | (rune >> 12 & 0x3f));
    text += static_cast<char>(0x80 | (rune >> 6 & 0x3f));
    text += static_cast<char>(0x80 | (rune & 0x3f));
  }
}

std::string FormatDouble(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "+Inf" : "-Inf";
  char digits[40];
  const auto end = std::to_chars(digits, digits + sizeof digits, number, std::chars_format::scientific).ptr;
  const std::string_view text(digits, static_cast<size_t>(end - digits));
  const int exponent = std::atoi(std::string(text.substr(text.find('e') + 1)).c_str());
  if (exponent < -4 || exponent >= 6) return std::string(text);
  return FormatDoublePlain(number);
}

std::string FormatDoublePlain(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "+Inf" : "-Inf";
  char digits[400];
  const auto end = std::to_chars(digits, digits + sizeof digits, number, std::chars_format::fixed).ptr;
  return std::string(digits, end);
}

std::string Quote(std::string_view text) {
  std::string result = "\"";
  char buffer[16];
  for (size_t position = 0; position < text.size();) {
    const size_t before = position;
    const char32_t rune = NextRune(text, position);
    if (rune == 0xfffd && position == before + 1) {
      std::snprintf(buffer, sizeof buffer, "\\x%02x", static_cast<uint8_t>(text[before]));
      result += buffer;
      continue;
    }
    switch (rune) {
      case '"': result += "\\\""; break;
      case '\\': result += "\\\\"; break;
      case '\a': result += "\\a"; break;
      case '\b': result += "\\b"; break;
      case '\f': result += "\\f"; break;
      case '\n': result += "\\n"; break;
      case '\r': result += "\\r"; break;
      case '\t': result += "\\t"; break;
      case '\v': result += "\\v"; break;
      default:
        if (rune < ' ' || rune == 0x7f) {
          std::snprintf(buffer, sizeof buffer, "\\x%02x", static_cast<unsigned>(rune));
          result += buffer;
        } else {
          AppendRune(result, rune);
        }
    }
  }
  return result + "\"";
}

}  // namespace muster::cel
