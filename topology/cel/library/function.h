// What a function of the environment is at run time.
#ifndef MUSTER_TOPOLOGY_CEL_LIBRARY_FUNCTION_H_
#define MUSTER_TOPOLOGY_CEL_LIBRARY_FUNCTION_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "topology/cel/value.h"

namespace muster::cel {

class RegexCache;

// What functions work with, of one evaluation.
struct Call {
  Arena& arena;
  RegexCache& regexes;

  Value Error(std::string_view message) const { return MakeError(arena.Copy(message)); }
  Value String(std::string_view text) const { return MakeString(arena.Copy(text)); }
  Value TooLarge() const { return MakeError("result too large"); }
};

// `args` has as many as an overload of the function has, none of them an error unless the function is made for that.
// Their kinds may be any: dyn passes every check before.
using Implementation = Value (*)(const Call& call, const Value* args, int count);

// Null where the environment declares the name for types that no value has.
Implementation FindImplementation(std::string_view name);

struct NamedImplementation {
  std::string_view name;
  Implementation run;
};
// A family's functions.
struct Family {
  const NamedImplementation* begin;
  size_t size;
};
Family OperatorFunctions();
Family ConversionFunctions();
Family StringFunctions();
Family FormatStringFunctions();
Family ListFunctions();
Family TimeFunctions();
Family OptionalFunctions();
Family RegexFunctions();
Family QuantityFunctions();
Family SemverFunctions();
Family NetworkFunctions();
Family UrlFunctions();
Family FormatFunctions();

// indexOf and lastIndexOf are strings' and lists'.
Value ListIndexOf(const Call& call, const Value* args, bool last);

}  // namespace muster::cel

#endif  // MUSTER_TOPOLOGY_CEL_LIBRARY_FUNCTION_H_
