#include <algorithm>
#include <string>
#include <vector>

#include "topology/cel/library/function.h"

namespace muster::cel {
namespace {

bool AreLists(const Value& left, const Value& right) { return left.kind == Kind::kList && right.kind == Kind::kList; }

bool Contains(const List& list, const Value& item) {
  return std::any_of(list.items, list.items + list.size,
                     [&](const Value& other) { return EqualDirect(item, other) == Equality::kTrue; });
}
bool ContainsAll(const List& list, const List& items) {
  return std::all_of(items.items, items.items + items.size, [&](const Value& item) { return Contains(list, item); });
}

Value SetContains(const Call&, const Value* args, int) {
  if (!AreLists(args[0], args[1])) return Value();
  return MakeBool(ContainsAll(*args[0].list, *args[1].list));
}
Value SetEquivalent(const Call&, const Value* args, int) {
  if (!AreLists(args[0], args[1])) return Value();
  return MakeBool(ContainsAll(*args[0].list, *args[1].list) && ContainsAll(*args[1].list, *args[0].list));
}
Value SetIntersects(const Call&, const Value* args, int) {
  if (!AreLists(args[0], args[1])) return Value();
  const List& items = *args[0].list;
  return MakeBool(std::any_of(items.items, items.items + items.size,
                              [&](const Value& item) { return Contains(*args[1].list, item); }));
}

Value Slice(const Call& call, const Value* args, int) {
  if (args[0].kind != Kind::kList || args[1].kind != Kind::kInt || args[2].kind != Kind::kInt) return Value();
  const int64_t start = args[1].integer, end = args[2].integer, size = args[0].list->size;
  const std::string what = "cannot slice(" + std::to_string(start) + ", " + std::to_string(end) + "), ";
  if (start < 0 || end < 0) return call.Error(what + "negative indexes not supported");
  if (start > end) return call.Error(what + "start index must be less than or equal to end index");
  if (size < end) return call.Error(what + "list is length " + std::to_string(size));
  List* list = NewList(call.arena, 0);
  *list = {args[0].list->items + start, static_cast<uint32_t>(end - start), static_cast<uint32_t>(end - start)};
  return MakeList(list);
}

void FlattenInto(const Call& call, const List& from, int64_t depth, List& list) {
  for (uint32_t i = 0; i < from.size && !call.arena.exhausted(); ++i) {
    if (from.items[i].kind == Kind::kList && depth > 0) {
      FlattenInto(call, *from.items[i].list, depth - 1, list);
    } else {
      Append(call.arena, list, from.items[i]);
    }
  }
}
Value Flatten(const Call& call, const Value* args, int count) {
  if (args[0].kind != Kind::kList || (count == 2 && args[1].kind != Kind::kInt)) return Value();
  const int64_t depth = count == 2 ? args[1].integer : 1;
  if (depth < 0) return MakeError("level must be non-negative");
  List* list = NewList(call.arena, args[0].list->size);
  FlattenInto(call, *args[0].list, depth, *list);
  return MakeList(list);
}

Value SortedBy(const Call& call, const List& list, const List& keys) {
  if (list.size != keys.size) {
    return call.Error("@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got " +
                      std::to_string(list.size) + " and " + std::to_string(keys.size) + " elements respectively");
  }
  if (keys.size > 0 && !IsComparable(keys.items[0])) return MakeError("list elements must be comparable");
  for (uint32_t i = 1; i < keys.size; ++i) {
    if (keys.items[i].kind != keys.items[0].kind) return MakeError("list elements must have the same type");
  }
  std::vector<uint32_t> order(list.size);
  for (uint32_t i = 0; i < list.size; ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](uint32_t left, uint32_t right) {
    const Order found = Compare(keys.items[left], keys.items[right]);
    return !found.error.is_error() && found.sign < 0;
  });
  List* sorted = NewList(call.arena, list.size);
  for (const uint32_t i : order) Append(call.arena, *sorted, list.items[i]);
  return MakeList(sorted);
}
Value Sort(const Call& call, const Value* args, int) {
  return args[0].kind == Kind::kList ? SortedBy(call, *args[0].list, *args[0].list) : Value();
}
Value SortByKeys(const Call& call, const Value* args, int) {
  return AreLists(args[0], args[1]) ? SortedBy(call, *args[0].list, *args[1].list) : Value();
}

Value Range(const Call& call, const Value* args, int) {
  constexpr int64_t kMost = 1'000'000;
  if (args[0].kind != Kind::kInt) return Value();
  const int64_t size = args[0].integer;
  if (size < 0) return call.Error("lists.range: size must be non-negative, got " + std::to_string(size));
  if (size > kMost) {
    return call.Error("lists.range: size " + std::to_string(size) + " exceeds maximum allowed (1000000)");
  }
  List* list = NewList(call.arena, static_cast<uint32_t>(size));
  for (int64_t i = 0; i < size; ++i) Append(call.arena, *list, MakeInt(i));
  return MakeList(list);
}

Value Reverse(const Call& call, const Value* args, int) {
  if (args[0].kind != Kind::kList) return Value();
  List* list = NewList(call.arena, args[0].list->size);
  for (uint32_t i = args[0].list->size; i > 0; --i) Append(call.arena, *list, args[0].list->items[i - 1]);
  return MakeList(list);
}

Value Distinct(const Call& call, const Value* args, int) {
  if (args[0].kind != Kind::kList) return Value();
  constexpr uint32_t kMost = 2000;  // 2 * n * n would cost more than any limit
  if (args[0].list->size > kMost) return call.arena.Fits(SIZE_MAX / 2), call.TooLarge();
  List* list = NewList(call.arena, 0);
  for (uint32_t i = 0; i < args[0].list->size; ++i) {
    if (!Contains(*list, args[0].list->items[i])) Append(call.arena, *list, args[0].list->items[i]);
  }
  return MakeList(list);
}

// ---- Kubernetes' ------------------------------------------------------------------------------------------------

Value IsSorted(const Call&, const Value* args, int) {
  if (args[0].kind != Kind::kList) return Value();
  const List& list = *args[0].list;
  for (uint32_t i = 0; i < list.size; ++i) {
    if (!IsComparable(list.items[i])) return NoSuchOverload();
    if (i == 0) continue;
    const Order order = Compare(list.items[i - 1], list.items[i]);
    if (!order.error.is_error() && order.sign > 0) return MakeBool(false);
  }
  return MakeBool(true);
}

Value Extreme(const Call& call, const Value& value, int sign, std::string_view name) {
  if (value.kind != Kind::kList) return Value();
  const List& list = *value.list;
  if (list.size == 0) return call.Error(std::string(name) + " called on empty list");
  Value best = list.items[0];
  for (uint32_t i = 0; i < list.size; ++i) {
    if (!IsComparable(list.items[i])) return Value();
    const Order order = Compare(best, list.items[i]);
    if (!order.error.is_error() && order.sign == sign) best = list.items[i];
  }
  return best;
}
Value Min(const Call& call, const Value* args, int) { return Extreme(call, args[0], 1, "min"); }
Value Max(const Call& call, const Value* args, int) { return Extreme(call, args[0], -1, "max"); }

Value Sum(const Call& call, const Value* args, int) {
  if (args[0].kind != Kind::kList) return Value();
  const List& list = *args[0].list;
  Value total = MakeInt(0);
  if (list.size > 0) {
    switch (list.items[0].kind) {
      case Kind::kUint: total = MakeUint(0); break;
      case Kind::kDouble: total = MakeDouble(0); break;
      case Kind::kDuration: total = MakeDuration(0); break;
      default: break;
    }
  }
  static const Implementation add = FindImplementation("_+_");
  for (uint32_t i = 0; i < list.size; ++i) {
    const Value pair[2] = {total, list.items[i]};
    total = add(call, pair, 2);
    if (total.is_error()) return total;
  }
  return total;
}

Value Includes(const Call&, const Value* args, int) {
  if (args[0].kind != Kind::kList) return MakeBool(EqualDirect(args[0], args[1]) == Equality::kTrue);
  const List& list = *args[0].list;
  for (uint32_t i = 0; i < list.size; ++i) {
    if (EqualDirect(list.items[i], args[1]) == Equality::kTrue) return MakeBool(true);
  }
  return MakeBool(false);
}

constexpr NamedImplementation kFunctions[] = {
    {"sets.contains", SetContains},
    {"sets.equivalent", SetEquivalent},
    {"sets.intersects", SetIntersects},
    {"slice", Slice},
    {"flatten", Flatten},
    {"sort", Sort},
    {"@sortByAssociatedKeys", SortByKeys},
    {"lists.range", Range},
    {"reverse", Reverse},
    {"distinct", Distinct},
    {"isSorted", IsSorted},
    {"min", Min},
    {"max", Max},
    {"sum", Sum},
    {"includes", Includes},
};

}  // namespace

Value ListIndexOf(const Call&, const Value* args, bool last) {
  if (args[0].kind != Kind::kList) return Value();
  const List& list = *args[0].list;
  int64_t found = -1;
  for (uint32_t i = 0; i < list.size; ++i) {
    if (EqualDirect(list.items[i], args[1]) != Equality::kTrue) continue;
    found = i;
    if (!last) break;
  }
  return MakeInt(found);
}

Family ListFunctions() { return {kFunctions, std::size(kFunctions)}; }

}  // namespace muster::cel
