#include "topology/cel/library/function.h"

#include <map>

namespace muster::cel {

Implementation FindImplementation(std::string_view name) {
  static const std::map<std::string_view, Implementation>& all = *[] {
    auto* functions = new std::map<std::string_view, Implementation>;
    for (const Family family :
         {OperatorFunctions(), ConversionFunctions(), StringFunctions(), FormatStringFunctions(), ListFunctions(),
          TimeFunctions(), OptionalFunctions(), RegexFunctions(), QuantityFunctions(), SemverFunctions(),
          NetworkFunctions(), UrlFunctions(), FormatFunctions()}) {
      for (size_t i = 0; i < family.size; ++i) functions->emplace(family.begin[i].name, family.begin[i].run);
    }
    return functions;
  }();
  const auto found = all.find(name);
  return found == all.end() ? nullptr : found->second;
}

}  // namespace muster::cel
