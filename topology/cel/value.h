// Values of CEL expressions: sixteen bytes each, copied freely. What they point to lies in an Arena, in the program's
// constants or in the DeviceView, and must outlive them.
#ifndef MUSTER_TOPOLOGY_CEL_VALUE_H_
#define MUSTER_TOPOLOGY_CEL_VALUE_H_

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace muster::cel {

// Bump allocator for trivially destructible things; freed as a whole. One thread at a time.
class Arena {
 public:
  // Past this many bytes `exhausted` stays true and whoever builds large things must stop: an expression can make
  // results far larger than its cost says (a replacement in a replacement).
  // A list of a million elements, the longest that the cost limit lets be made, has 16 MB; and two of half a million,
  // added up, have 32.
  static constexpr size_t kMostBytes = size_t{32} << 20;

  void* Allocate(size_t bytes);
  template <typename T>
  T* New(size_t count = 1) {
    static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= 16);
    return static_cast<T*>(Allocate(count * sizeof(T)));
  }
  // False, with exhausted() from now on, where so much more must not be built.
  bool Fits(size_t bytes);
  bool exhausted() const { return exhausted_; }
  std::string_view Copy(std::string_view text);
  void Reset();  // keeps the first block

 private:
  struct Block {
    std::unique_ptr<char[]> data;
    size_t size;
  };
  std::vector<Block> blocks_;
  size_t used_ = 0;   // of the last block
  size_t total_ = 0;  // of all blocks before it
  bool exhausted_ = false;
};

enum class Kind : uint8_t {
  kUnset,  // a variable that has no value yet
  kError,
  kNull,
  kBool,
  kInt,
  kUint,
  kDouble,
  kString,
  kBytes,
  kList,
  kMap,
  kTimestamp,
  kDuration,
  kType,
  kOptional,
  kQuantity,
  kSemver,
  kUrl,
  kIp,
  kCidr,
  kFormat,
};

struct Value;

struct List {
  Value* items;
  uint32_t size;
  uint32_t capacity;
};

struct Entry;

// Keys in order of insertion; from 16 entries on an index by hash.
struct Map {
  Entry* entries;
  uint32_t size;
  uint32_t capacity;
  uint32_t* index;     // capacity * 2 positions + 1, 0 is free; null for a small map
  const Map* missing;  // what is found where nothing is (a domain without attributes), or null
};

// value * 10^scale, as upstream's resource.Quantity keeps it: `decimal` values are never taken for integers.
struct CelQuantity {
  __int128 value;
  int32_t scale;
  bool decimal;
};

struct CelSemver {
  uint64_t major, minor, patch;
  std::string_view pre;   // identifiers with dots between them
  std::string_view text;  // all of it, build metadata too
};

struct CelIp {
  uint8_t bytes[16];
  bool v4;  // then the first four
};

struct CelCidr {
  CelIp ip;
  int bits;
};

struct CelUrl {
  std::string_view scheme, userinfo, host, path, raw_path, query;
  std::string_view text;  // written out again: what equality compares
};

struct NamedFormat;

struct Value {
  Kind kind = Kind::kUnset;
  bool flag = false;    // kQuantity: the result of arithmetic, which upstream's equality does not know on the right
  int16_t minutes = 0;  // kTimestamp: the zone's offset that it was written with
  uint32_t size = 0;    // kString, kBytes, kType, kError: length; kTimestamp: nanoseconds
  union {
    bool boolean;
    int64_t integer = 0;  // kInt; kDuration: nanoseconds; kTimestamp: seconds since the epoch
    uint64_t natural;
    double real;
    const char* text;
    List* list;
    Map* map;
    const Value* inner;  // kOptional: null for none
    const CelQuantity* quantity;
    const CelSemver* semver;
    const CelUrl* url;
    const CelIp* ip;
    const CelCidr* cidr;
    const NamedFormat* format;
  };

  std::string_view view() const { return {text, size}; }
  bool is_error() const { return kind == Kind::kError; }
  bool is_true() const { return kind == Kind::kBool && boolean; }
  bool is_false() const { return kind == Kind::kBool && !boolean; }
};
static_assert(sizeof(Value) == 16);

struct Entry {
  Value key;
  Value value;
};

inline Value Make(Kind kind) {
  Value value;
  value.kind = kind;
  return value;
}
inline Value MakeNull() { return Make(Kind::kNull); }
inline Value MakeBool(bool boolean) {
  Value value = Make(Kind::kBool);
  value.boolean = boolean;
  return value;
}
inline Value MakeInt(int64_t integer) {
  Value value = Make(Kind::kInt);
  value.integer = integer;
  return value;
}
inline Value MakeUint(uint64_t natural) {
  Value value = Make(Kind::kUint);
  value.natural = natural;
  return value;
}
inline Value MakeDouble(double real) {
  Value value = Make(Kind::kDouble);
  value.real = real;
  return value;
}
// The text must outlive the value (Arena::Copy).
inline Value MakeText(Kind kind, std::string_view text) {
  Value value = Make(kind);
  value.text = text.data();
  value.size = static_cast<uint32_t>(text.size());
  return value;
}
inline Value MakeString(std::string_view text) { return MakeText(Kind::kString, text); }
inline Value MakeError(std::string_view text) { return MakeText(Kind::kError, text); }
inline Value MakeList(List* list) {
  Value value = Make(Kind::kList);
  value.list = list;
  return value;
}
inline Value MakeMap(Map* map) {
  Value value = Make(Kind::kMap);
  value.map = map;
  return value;
}
inline Value MakeDuration(int64_t nanoseconds) {
  Value value = Make(Kind::kDuration);
  value.integer = nanoseconds;
  return value;
}
inline Value MakeTimestamp(int64_t seconds, uint32_t nanoseconds, int16_t minutes = 0) {
  Value value = Make(Kind::kTimestamp);
  value.integer = seconds;
  value.size = nanoseconds;
  value.minutes = minutes;
  return value;
}
inline Value NoSuchOverload() { return MakeError("no such overload"); }
Value MakeOptional(Arena& arena, Value inner);
inline Value MakeNone() {
  Value value = Make(Kind::kOptional);
  value.inner = nullptr;
  return value;
}

List* NewList(Arena& arena, uint32_t capacity);
void Append(Arena& arena, List& list, Value item);
Map* NewMap(Arena& arena, uint32_t capacity);
// Adds or replaces.
void Put(Arena& arena, Map& map, Value key, Value value);
// The value of a key, numbers of any kind alike; or null. Takes no `missing` into account.
const Value* FindExact(const Map& map, const Value& key);
// The same, with `missing`: what an index does. `default_value` receives it.
const Value* Find(const Map& map, const Value& key, Value& default_value);

// The name of a value's type, as type() writes it.
std::string_view TypeName(const Value& value);
// How an error message writes a value.
std::string Print(const Value& value);

enum class Equality : uint8_t { kFalse, kTrue, kError };
// kError where upstream's comparison fails, which `==` reports, `!=` takes for true and lists for equal.
Equality Equal(const Value& left, const Value& right);
// What a list's `in` asks: no special case for null.
Equality EqualDirect(const Value& left, const Value& right);
// -1, 0, 1; or an error value where the two have no order.
struct Order {
  int sign = 0;
  Value error;
};
Order Compare(const Value& left, const Value& right);
bool IsComparable(const Value& value);

// What an empty string, a zero and the like are (optional.ofNonZeroValue).
bool IsZero(const Value& value);

// Code points, as strings' positions and sizes count; a malformed byte counts as one.
uint32_t CountRunes(std::string_view text);
// The code point at `position`, which moves behind it; U+FFFD for a malformed byte.
char32_t NextRune(std::string_view text, size_t& position);
void AppendRune(std::string& text, char32_t rune);
bool IsUtf8(std::string_view text);

int CompareQuantity(const CelQuantity& left, const CelQuantity& right);
int CompareSemver(const CelSemver& left, const CelSemver& right);

// Go's way to write a double: %g, and 'f' with as many digits as it takes.
std::string FormatDouble(double number);
std::string FormatDoublePlain(double number);
// A Go string literal (%q).
std::string Quote(std::string_view text);

}  // namespace muster::cel

#endif  // MUSTER_TOPOLOGY_CEL_VALUE_H_
