// semver("1.2.3-rc.1").
#ifndef MUSTER_TOPOLOGY_CEL_KUBERNETES_SEMVER_H_
#define MUSTER_TOPOLOGY_CEL_KUBERNETES_SEMVER_H_

#include <string>
#include <string_view>

#include "topology/cel/value.h"

namespace muster::cel {

// `text` must live as long as the value. `error` says what is wrong.
Value ParseSemver(Arena& arena, std::string_view text, std::string& error);

}  // namespace muster::cel

#endif  // MUSTER_TOPOLOGY_CEL_KUBERNETES_SEMVER_H_
