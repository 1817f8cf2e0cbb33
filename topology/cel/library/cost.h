// What calls cost: cel-go's and Kubernetes' tables.
#ifndef MUSTER_TOPOLOGY_CEL_LIBRARY_COST_H_
#define MUSTER_TOPOLOGY_CEL_LIBRARY_COST_H_

#include <cstdint>
#include <string_view>

#include "topology/cel/value.h"

namespace muster::cel {

enum class CostRule : uint8_t {
  kOne,
  kTraversal,   // every element of the first argument
  kSize,        // a tenth of the first argument's size, rounded up
  kTwoSizes,    // a fifth
  kResult,      // a fifth of the result's size
  kSecondSize,  // a tenth of the second argument's
  kSearch,      // tenths of both, multiplied
  kRegex,       // text and pattern
  kContainsIp,
  kContainsIpText,
  kContainsCidr,
  kContainsCidrText,
  kFormat,    // a named format's regular expression
  kElements,  // the second argument's size
  kSmaller,   // a tenth of the smaller argument
  kEquals,    // that, but one for Kubernetes' types
  kBoth,      // a tenth of both sizes together
  kNewList,   // the resulting list
  kFlatten,
  kSquare,      // every pair of the first argument's elements
  kSquareKeys,  // of the second's
  kSets,        // every pair of both arguments' elements
  kSetsTwice,
};

// By function, and by overload where just one fits ("" otherwise).
CostRule RuleOf(std::string_view function, std::string_view overload);

uint64_t CallCost(CostRule rule, const Value* args, int count, const Value& result);

}  // namespace muster::cel

#endif  // MUSTER_TOPOLOGY_CEL_LIBRARY_COST_H_
