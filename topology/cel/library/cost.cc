#include "topology/cel/library/cost.h"

#include <algorithm>
#include <cmath>

#include "topology/cel/kubernetes/named_format.h"

namespace muster::cel {
namespace {

// What cel-go takes for the size of a value: 1 unless it has one.
uint64_t Size(const Value& value) {
  switch (value.kind) {
    case Kind::kString: return CountRunes(value.view());
    case Kind::kBytes: return value.size;
    case Kind::kList: return value.list->size;
    case Kind::kMap: return value.map->size;
    case Kind::kIp: return value.ip->v4 ? 4 : 16;
    case Kind::kCidr: return static_cast<uint64_t>((value.cidr->bits + 7) / 8);
    default: return 1;
  }
}

// Looks into optionals, as the core's costs do and the libraries' do not.
uint64_t DeepSize(const Value& value) {
  const Value* inner = &value;
  while (inner->kind == Kind::kOptional && inner->inner != nullptr) inner = inner->inner;
  return Size(*inner);
}

uint64_t Tenths(uint64_t size, uint64_t times = 1) {
  return static_cast<uint64_t>(std::ceil(static_cast<double>(size) * (times == 2 ? 2 * 0.1 : 0.1)));
}

uint64_t Quarters(uint64_t size) { return static_cast<uint64_t>(std::ceil(static_cast<double>(size) * 0.25)); }
uint64_t MatchCost(uint64_t text, uint64_t pattern) {
  return static_cast<uint64_t>(std::ceil((1.0 + static_cast<double>(text)) * 0.1)) * Quarters(pattern);
}

uint64_t Traversal(const Value& value) {
  uint64_t cost = 0;
  switch (value.kind) {
    case Kind::kString:
    case Kind::kBytes: return static_cast<uint64_t>(static_cast<double>(value.size) * 0.1);
    case Kind::kList:
      for (uint32_t i = 0; i < value.list->size; ++i) cost += Traversal(value.list->items[i]);
      return cost;
    case Kind::kMap:
      for (uint32_t i = 0; i < value.map->size; ++i) {
        cost += Traversal(value.map->entries[i].key) + Traversal(value.map->entries[i].value);
      }
      return cost;
    default: return 1;
  }
}

uint64_t NewListCost(double factor, uint64_t size) {
  if (factor < 0) factor = 1;
  return static_cast<uint64_t>(std::min(static_cast<double>(size) * factor, 1e18)) + 1 + 10;
}

uint64_t SquareCost(const Value& list) {
  const uint64_t size = DeepSize(list);
  if (list.kind != Kind::kList || size == 0) return NewListCost(2, 0);
  const Kind kind = list.list->items[0].kind;
  return NewListCost(kind == Kind::kString || kind == Kind::kBytes ? 2.1 : 2.0, size * size);
}

bool IsKubernetes(Kind kind) { return kind >= Kind::kQuantity; }

struct Row {
  std::string_view name;
  CostRule rule;
};

constexpr Row kByOverload[] = {
    {"list_slice", CostRule::kNewList},
    {"lists_range", CostRule::kNewList},
    {"list_reverse", CostRule::kNewList},
    {"list_flatten", CostRule::kFlatten},
    {"list_flatten_int", CostRule::kFlatten},
    {"list_distinct", CostRule::kSquare},
    {"list_sets_contains_list", CostRule::kSets},
    {"list_sets_intersects_list", CostRule::kSets},
    {"list_sets_equivalent_list", CostRule::kSetsTwice},
};

constexpr Row kByFunction[] = {
    {"isSorted", CostRule::kTraversal}, {"sum", CostRule::kTraversal},     {"max", CostRule::kTraversal},
    {"min", CostRule::kTraversal},      {"indexOf", CostRule::kTraversal}, {"lastIndexOf", CostRule::kTraversal},
    {"includes", CostRule::kTraversal}, {"url", CostRule::kSize},          {"lowerAscii", CostRule::kSize},
    {"upperAscii", CostRule::kSize},    {"substring", CostRule::kSize},    {"trim", CostRule::kSize},
    {"replace", CostRule::kTwoSizes},   {"split", CostRule::kTwoSizes},    {"join", CostRule::kResult},
    {"find", CostRule::kRegex},         {"findAll", CostRule::kRegex},     {"cidr", CostRule::kSize},
    {"isIP", CostRule::kSize},          {"isCIDR", CostRule::kSize},       {"ip.isCanonical", CostRule::kTwoSizes},
    {"quantity", CostRule::kSize},      {"isQuantity", CostRule::kSize},   {"semver", CostRule::kSize},
    {"isSemver", CostRule::kSize},      {"validate", CostRule::kFormat},   {"_==_", CostRule::kEquals},
    {"_!=_", CostRule::kSmaller},
};

constexpr Row kRest[] = {
    {"starts_with_string", CostRule::kSecondSize},
    {"ends_with_string", CostRule::kSecondSize},
    {"string_to_bytes", CostRule::kSize},
    {"bytes_to_string", CostRule::kSize},
    {"strings_quote", CostRule::kSize},
    {"string_format", CostRule::kSize},
    {"in_list", CostRule::kElements},
    {"less_string", CostRule::kSmaller},
    {"greater_string", CostRule::kSmaller},
    {"less_equals_string", CostRule::kSmaller},
    {"greater_equals_string", CostRule::kSmaller},
    {"less_bytes", CostRule::kSmaller},
    {"greater_bytes", CostRule::kSmaller},
    {"less_equals_bytes", CostRule::kSmaller},
    {"greater_equals_bytes", CostRule::kSmaller},
    {"add_string", CostRule::kBoth},
    {"add_bytes", CostRule::kBoth},
    {"matches", CostRule::kRegex},
    {"matches_string", CostRule::kRegex},
    {"contains_string", CostRule::kSearch},
};

template <size_t N>
const Row* Look(const Row (&rows)[N], std::string_view name) {
  const auto* found = std::find_if(std::begin(rows), std::end(rows), [&](const Row& row) { return row.name == name; });
  return found == std::end(rows) ? nullptr : found;
}

}  // namespace

CostRule RuleOf(std::string_view function, std::string_view overload) {
  if (const Row* row = Look(kByOverload, overload); row != nullptr) return row->rule;
  // With one overload for each type of element: "list_int_sort".
  if (function == "sort" && !overload.empty()) return CostRule::kSquare;
  if (function == "@sortByAssociatedKeys" && !overload.empty()) return CostRule::kSquareKeys;
  if (function == "ip") return overload == "cidr_ip" ? CostRule::kOne : CostRule::kSize;
  if (function == "containsIP") {
    return overload == "cidr_contains_ip_string" ? CostRule::kContainsIpText : CostRule::kContainsIp;
  }
  if (function == "containsCIDR") {
    return overload == "cidr_contains_cidr_string" ? CostRule::kContainsCidrText : CostRule::kContainsCidr;
  }
  if (const Row* row = Look(kByFunction, function); row != nullptr) return row->rule;
  const Row* row = Look(kRest, overload);
  return row == nullptr ? CostRule::kOne : row->rule;
}

uint64_t CallCost(CostRule rule, const Value* args, int count, const Value& result) {
  switch (rule) {
    case CostRule::kOne: return 1;
    case CostRule::kTraversal: return Traversal(args[0]);
    case CostRule::kSize: return Tenths(Size(args[0]));
    case CostRule::kTwoSizes: return Tenths(Size(args[0]), 2);
    case CostRule::kResult: return Tenths(Size(result), 2);
    case CostRule::kSecondSize: return Tenths(DeepSize(args[1]));
    case CostRule::kSearch: return Tenths(DeepSize(args[0])) * Tenths(DeepSize(args[1]));
    case CostRule::kRegex: return MatchCost(Size(args[0]), Size(args[1]));
    case CostRule::kContainsIp: return Tenths(2 * Size(args[0]));
    case CostRule::kContainsIpText: return Tenths(2 * Size(args[0])) + Tenths(Size(args[1]));
    case CostRule::kContainsCidr: return Tenths(2 * Size(args[0])) + Tenths(Size(args[0])) + 1;
    case CostRule::kContainsCidrText:
      return Tenths(2 * Size(args[0])) + Tenths(Size(args[0])) + 1 + Tenths(Size(args[1]));
    case CostRule::kFormat:
      return args[0].kind == Kind::kFormat ? MatchCost(Size(args[1]), args[0].format->regex_size) : 1;
    case CostRule::kElements: return DeepSize(args[1]);
    case CostRule::kEquals:
      if (IsKubernetes(args[0].kind)) return 1;
      [[fallthrough]];
    case CostRule::kSmaller: return Tenths(std::min(DeepSize(args[0]), DeepSize(args[1])));
    case CostRule::kBoth: return Tenths(DeepSize(args[0]) + DeepSize(args[1]));
    case CostRule::kNewList: return NewListCost(1, DeepSize(result));
    case CostRule::kFlatten: {
      const bool depth = count == 2 && args[1].kind == Kind::kInt;
      return NewListCost(depth ? static_cast<double>(args[1].integer) : 1, DeepSize(args[0]));
    }
    case CostRule::kSquare: return SquareCost(args[0]);
    case CostRule::kSquareKeys: return SquareCost(args[1]);
    case CostRule::kSets: return 1 + DeepSize(args[0]) * DeepSize(args[1]);
    case CostRule::kSetsTwice: return 1 + 2 * DeepSize(args[0]) * DeepSize(args[1]);
  }
  return 1;
}

}  // namespace muster::cel
