// url("https://example.com/a?b=c"), as Go's net/url reads it.
#ifndef MUSTER_TOPOLOGY_CEL_KUBERNETES_URL_H_
#define MUSTER_TOPOLOGY_CEL_KUBERNETES_URL_H_

#include <string>
#include <string_view>

namespace muster::cel {

// "" or why an API server would not take it as a request's URI.
std::string CheckRequestUri(std::string_view text);

}  // namespace muster::cel

#endif  // MUSTER_TOPOLOGY_CEL_KUBERNETES_URL_H_
