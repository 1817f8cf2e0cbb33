// Operators, size() and optionals.
#include <cmath>
#include <string>

#include "topology/cel/library/function.h"
#include "topology/cel/library/time.h"

namespace muster::cel {
namespace {

Value IntOverflow() { return MakeError("integer overflow"); }
Value UintOverflow() { return MakeError("unsigned integer overflow"); }

// cel-go first asks the left operand whether it has the operator at all, and names the operator where it has not.
// Strings, durations and timestamps are asked like objects and never named.
using Kinds = uint32_t;
constexpr Kinds Bit(Kind kind) { return Kinds{1} << static_cast<int>(kind); }
constexpr Kinds kNumbers = Bit(Kind::kInt) | Bit(Kind::kUint) | Bit(Kind::kDouble);
constexpr Kinds kAsked = Bit(Kind::kString) | Bit(Kind::kDuration) | Bit(Kind::kTimestamp);
constexpr Kinds kAdd = kNumbers | Bit(Kind::kBytes) | Bit(Kind::kList);
constexpr Kinds kOrder = kNumbers | Bit(Kind::kBool) | Bit(Kind::kBytes);

Value Refused(const Value& left, Kinds having, std::string_view named) {
  return ((having | kAsked) & Bit(left.kind)) != 0 ? NoSuchOverload() : MakeError(named);
}

bool Both(const Value* args, Kind kind) { return args[0].kind == kind && args[1].kind == kind; }

Value Not(const Call&, const Value* args, int) {
  return args[0].kind == Kind::kBool ? MakeBool(!args[0].boolean) : NoSuchOverload();
}

Value Negate(const Call&, const Value* args, int) {
  switch (args[0].kind) {
    case Kind::kInt: return args[0].integer == INT64_MIN ? IntOverflow() : MakeInt(-args[0].integer);
    case Kind::kDuration: return args[0].integer == INT64_MIN ? IntOverflow() : MakeDuration(-args[0].integer);
    case Kind::kDouble: return MakeDouble(-args[0].real);
    default: return Refused(args[0], Bit(Kind::kInt) | Bit(Kind::kDouble) | Bit(Kind::kBool), "no such overload: -_");
  }
}

Value Joined(const Call& call, Kind kind, std::string_view left, std::string_view right) {
  if (!call.arena.Fits(left.size() + right.size())) return call.TooLarge();
  char* text = call.arena.New<char>(left.size() + right.size() + 1);
  left.copy(text, left.size());
  right.copy(text + left.size(), right.size());
  return MakeText(kind, {text, left.size() + right.size()});
}

Value Concatenated(const Call& call, const List& left, const List& right) {
  if (!call.arena.Fits((size_t{left.size} + right.size) * sizeof(Value))) return call.TooLarge();
  List* list = NewList(call.arena, left.size + right.size);
  for (uint32_t i = 0; i < left.size; ++i) Append(call.arena, *list, left.items[i]);
  for (uint32_t i = 0; i < right.size; ++i) Append(call.arena, *list, right.items[i]);
  return MakeList(list);
}

Value Add(const Call& call, const Value* args, int) {
  const Value& left = args[0];
  const Value& right = args[1];
  if (left.kind == Kind::kTimestamp && right.kind == Kind::kDuration) return AddToTimestamp(left, right.integer);
  if (left.kind == Kind::kDuration && right.kind == Kind::kTimestamp) return AddToTimestamp(right, left.integer);
  if (left.kind != right.kind) return Refused(args[0], kAdd, "no such overload: _+_");
  int64_t sum;
  switch (left.kind) {
    case Kind::kInt: return __builtin_add_overflow(left.integer, right.integer, &sum) ? IntOverflow() : MakeInt(sum);
    case Kind::kDuration:
      return __builtin_add_overflow(left.integer, right.integer, &sum) ? IntOverflow() : MakeDuration(sum);
    case Kind::kUint: {
      const uint64_t total = left.natural + right.natural;
      return total < left.natural ? UintOverflow() : MakeUint(total);
    }
    case Kind::kDouble: return MakeDouble(left.real + right.real);
    case Kind::kString:
    case Kind::kBytes: return Joined(call, left.kind, left.view(), right.view());
    case Kind::kList: return Concatenated(call, *left.list, *right.list);
    default: return Refused(args[0], kAdd, "no such overload: _+_");
  }
}

Value Subtract(const Call&, const Value* args, int) {
  const Value& left = args[0];
  const Value& right = args[1];
  if (left.kind == Kind::kTimestamp && right.kind == Kind::kDuration) {
    return AddToTimestamp(left, -static_cast<__int128>(right.integer));
  }
  if (left.kind != right.kind) return Refused(args[0], kNumbers, "no such overload: _-_");
  int64_t difference;
  switch (left.kind) {
    case Kind::kInt:
      return __builtin_sub_overflow(left.integer, right.integer, &difference) ? IntOverflow() : MakeInt(difference);
    case Kind::kDuration:
      return __builtin_sub_overflow(left.integer, right.integer, &difference) ? IntOverflow()
                                                                              : MakeDuration(difference);
    case Kind::kUint: return left.natural < right.natural ? UintOverflow() : MakeUint(left.natural - right.natural);
    case Kind::kDouble: return MakeDouble(left.real - right.real);
    case Kind::kTimestamp: return TimestampDifference(left, right);
    default: return Refused(args[0], kNumbers, "no such overload: _-_");
  }
}

Value Multiply(const Call&, const Value* args, int) {
  if (Both(args, Kind::kInt)) {
    int64_t product;
    return __builtin_mul_overflow(args[0].integer, args[1].integer, &product) ? IntOverflow() : MakeInt(product);
  }
  if (Both(args, Kind::kUint)) {
    uint64_t product;
    return __builtin_mul_overflow(args[0].natural, args[1].natural, &product) ? UintOverflow() : MakeUint(product);
  }
  return Both(args, Kind::kDouble) ? MakeDouble(args[0].real * args[1].real)
                                   : Refused(args[0], kNumbers, "no such overload: _*_");
}

Value Divide(const Call&, const Value* args, int) {
  if (Both(args, Kind::kInt)) {
    if (args[1].integer == 0) return MakeError("division by zero");
    if (args[0].integer == INT64_MIN && args[1].integer == -1) return IntOverflow();
    return MakeInt(args[0].integer / args[1].integer);
  }
  if (Both(args, Kind::kUint)) {
    return args[1].natural == 0 ? MakeError("division by zero") : MakeUint(args[0].natural / args[1].natural);
  }
  return Both(args, Kind::kDouble) ? MakeDouble(args[0].real / args[1].real)
                                   : Refused(args[0], kNumbers, "no such overload: _/_");
}

Value Modulo(const Call&, const Value* args, int) {
  if (Both(args, Kind::kInt)) {
    if (args[1].integer == 0) return MakeError("modulus by zero");
    if (args[0].integer == INT64_MIN && args[1].integer == -1) return IntOverflow();
    return MakeInt(args[0].integer % args[1].integer);
  }
  if (!Both(args, Kind::kUint)) return Refused(args[0], Bit(Kind::kInt) | Bit(Kind::kUint), "no such overload: _%_");
  return args[1].natural == 0 ? MakeError("modulus by zero") : MakeUint(args[0].natural % args[1].natural);
}

template <typename Holds>
Value Ordered(const Value* args, std::string_view named, Holds holds) {
  const Order order = Compare(args[0], args[1]);
  if (!order.error.is_error()) return MakeBool(holds(order.sign));
  return ((kOrder | kAsked) & Bit(args[0].kind)) != 0 ? order.error : MakeError(named);
}
Value Less(const Call&, const Value* args, int) {
  return Ordered(args, "no such overload: _<_", [](int sign) { return sign < 0; });
}
Value LessOrEqual(const Call&, const Value* args, int) {
  return Ordered(args, "no such overload: _<=_", [](int sign) { return sign <= 0; });
}
Value Greater(const Call&, const Value* args, int) {
  return Ordered(args, "no such overload: _>_", [](int sign) { return sign > 0; });
}
Value GreaterOrEqual(const Call&, const Value* args, int) {
  return Ordered(args, "no such overload: _>=_", [](int sign) { return sign >= 0; });
}

Value In(const Call&, const Value* args, int) {
  if (args[1].kind == Kind::kMap) return MakeBool(FindExact(*args[1].map, args[0]) != nullptr);
  if (args[1].kind != Kind::kList) return NoSuchOverload();
  const List& list = *args[1].list;
  for (uint32_t i = 0; i < list.size; ++i) {
    if (EqualDirect(args[0], list.items[i]) == Equality::kTrue) return MakeBool(true);
  }
  return MakeBool(false);
}

Value NotStrictlyFalse(const Call&, const Value* args, int) {
  return args[0].kind == Kind::kBool ? args[0] : MakeBool(true);
}

Value Size(const Call&, const Value* args, int) {
  switch (args[0].kind) {
    case Kind::kString: return MakeInt(CountRunes(args[0].view()));
    case Kind::kBytes: return MakeInt(args[0].size);
    case Kind::kList: return MakeInt(args[0].list->size);
    case Kind::kMap: return MakeInt(args[0].map->size);
    default: return Refused(args[0], 0, "no such overload: size");
  }
}

// ---- Optionals -------------------------------------------------------------------------------------------------

Value Of(const Call& call, const Value* args, int) { return MakeOptional(call.arena, args[0]); }
Value OfNonZero(const Call& call, const Value* args, int) {
  return IsZero(args[0]) ? MakeNone() : MakeOptional(call.arena, args[0]);
}
Value None(const Call&, const Value*, int) { return MakeNone(); }
Value HasValue(const Call&, const Value* args, int) {
  return args[0].kind == Kind::kOptional ? MakeBool(args[0].inner != nullptr) : Value();
}
Value ValueOf(const Call&, const Value* args, int) {
  if (args[0].kind != Kind::kOptional) return Value();
  return args[0].inner == nullptr ? MakeError("optional.none() dereference") : *args[0].inner;
}

Value Unwrap(const Call& call, const Value* args, int) {
  if (args[0].kind != Kind::kList) return Value();
  List* list = NewList(call.arena, args[0].list->size);
  for (uint32_t i = 0; i < args[0].list->size; ++i) {
    const Value& item = args[0].list->items[i];
    if (item.kind != Kind::kOptional) return call.Error("value " + Print(item) + " is not optional");
    if (item.inner != nullptr) Append(call.arena, *list, *item.inner);
  }
  return MakeList(list);
}

Value End(const Call& call, const Value& value, bool last) {
  if (value.kind != Kind::kList) return Value();
  const List& list = *value.list;
  return list.size == 0 ? MakeNone() : MakeOptional(call.arena, list.items[last ? list.size - 1 : 0]);
}
Value First(const Call& call, const Value* args, int) { return End(call, args[0], false); }
Value Last(const Call& call, const Value* args, int) { return End(call, args[0], true); }

constexpr NamedImplementation kOperators[] = {
    {"!_", Not},
    {"-_", Negate},
    {"_+_", Add},
    {"_-_", Subtract},
    {"_*_", Multiply},
    {"_/_", Divide},
    {"_%_", Modulo},
    {"_<_", Less},
    {"_<=_", LessOrEqual},
    {"_>_", Greater},
    {"_>=_", GreaterOrEqual},
    {"@in", In},
    {"@not_strictly_false", NotStrictlyFalse},
    {"size", Size},
};

constexpr NamedImplementation kOptionals[] = {
    {"optional.of", Of},     {"optional.ofNonZeroValue", OfNonZero},
    {"optional.none", None}, {"hasValue", HasValue},
    {"value", ValueOf},      {"optional.unwrap", Unwrap},
    {"unwrapOpt", Unwrap},   {"first", First},
    {"last", Last},
};

}  // namespace

Family OperatorFunctions() { return {kOperators, std::size(kOperators)}; }
Family OptionalFunctions() { return {kOptionals, std::size(kOptionals)}; }

}  // namespace muster::cel
