// What Kubernetes accepts as a label's key and value.
#ifndef MUSTER_PLUGINS_NODE_LABEL_SYNTAX_H_
#define MUSTER_PLUGINS_NODE_LABEL_SYNTAX_H_

#include <string>
#include <string_view>
#include <vector>

namespace muster {

// What is wrong, in the API server's words; empty where nothing is.
std::vector<std::string> LabelKeyErrors(std::string_view key);
std::vector<std::string> LabelValueErrors(std::string_view value);

}  // namespace muster

#endif  // MUSTER_PLUGINS_NODE_LABEL_SYNTAX_H_
