// "%d of %s".format([1, "x"]), at run time and for literals when compiling.
#ifndef MUSTER_TOPOLOGY_CEL_LIBRARY_FORMAT_STRING_H_
#define MUSTER_TOPOLOGY_CEL_LIBRARY_FORMAT_STRING_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "topology/cel/value.h"

namespace muster::cel {

// %.3f is {'f', 3}; without a precision -1, and then 6 where one is needed.
struct Clause {
  char verb = 's';
  int precision = -1;
};

// What an error message says about an argument of that type for this clause.
std::string ClauseError(char verb, std::string_view type);

// Writes `text` with each clause's argument replaced by what `write` makes of argument number `index`. `write` appends
// and returns what is wrong, or "". So does this.
using ArgumentWriter = std::function<std::string(const Clause& clause, uint32_t index, std::string& result)>;
std::string ExpandFormat(std::string_view text, uint32_t args, const ArgumentWriter& write, std::string& result,
                         uint32_t* used = nullptr);

}  // namespace muster::cel

#endif  // MUSTER_TOPOLOGY_CEL_LIBRARY_FORMAT_STRING_H_
