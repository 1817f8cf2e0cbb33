// format.dns1123Label() and its like.
#ifndef MUSTER_TOPOLOGY_CEL_KUBERNETES_NAMED_FORMAT_H_
#define MUSTER_TOPOLOGY_CEL_KUBERNETES_NAMED_FORMAT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace muster::cel {

struct NamedFormat {
  std::string_view name;  // after "format."
  uint64_t regex_size;    // what validating costs goes by
  // What is wrong with a text; nothing for a valid one.
  std::vector<std::string> (*validate)(std::string_view text);
};

}  // namespace muster::cel

#endif  // MUSTER_TOPOLOGY_CEL_KUBERNETES_NAMED_FORMAT_H_
