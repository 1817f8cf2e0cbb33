// Checks an expression's types, as cel-go does for Kubernetes' environment.
#ifndef MUSTER_TOPOLOGY_CEL_CHECKER_H_
#define MUSTER_TOPOLOGY_CEL_CHECKER_H_

#include <string_view>

#include "absl/status/status.h"
#include "topology/cel/syntax/ast.h"
#include "topology/cel/types.h"

namespace muster::cel {

// Fills in types and overloads of the tree. The types live in `types`. Errors: "1:2: what is wrong", all of them.
absl::Status Check(std::string_view text, Expr* root, TypeTable& types);

// What cel-go and Kubernetes refuse beyond types: literals of mixed types, malformed durations, timestamps, regular
// expressions and format strings in literals. For a checked tree.
absl::Status Validate(std::string_view text, const Expr* root);

}  // namespace muster::cel

#endif  // MUSTER_TOPOLOGY_CEL_CHECKER_H_
