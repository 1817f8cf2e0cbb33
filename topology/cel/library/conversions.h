// Conversions that more than one family needs.
#ifndef MUSTER_TOPOLOGY_CEL_LIBRARY_CONVERSIONS_H_
#define MUSTER_TOPOLOGY_CEL_LIBRARY_CONVERSIONS_H_

#include <string>

#include "topology/cel/value.h"

namespace muster::cel {

// string(value); false where there is no such conversion.
bool ToText(const Value& value, std::string& text);
std::string FormatIp(const CelIp& ip);
std::string FormatCidr(const CelCidr& cidr);

}  // namespace muster::cel

#endif  // MUSTER_TOPOLOGY_CEL_LIBRARY_CONVERSIONS_H_
