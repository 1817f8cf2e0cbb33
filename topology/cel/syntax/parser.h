// Parses an expression and expands its macros.
#ifndef MUSTER_TOPOLOGY_CEL_SYNTAX_PARSER_H_
#define MUSTER_TOPOLOGY_CEL_SYNTAX_PARSER_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "topology/cel/syntax/ast.h"

namespace muster::cel {

// The root, which `ast` owns. Errors name line and column.
absl::StatusOr<Expr*> Parse(std::string_view text, Ast& ast);

// What the macro of this name and number of arguments makes of a call; null where there is no such macro.
// `target` is null for a global call. Errors have no location yet.
absl::StatusOr<Expr*> ExpandMacro(Ast& ast, std::string_view name, Expr* target, const std::vector<Expr*>& args,
                                  uint32_t position);

}  // namespace muster::cel

#endif  // MUSTER_TOPOLOGY_CEL_SYNTAX_PARSER_H_
