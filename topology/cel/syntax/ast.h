// What the parser makes of an expression: a tree whose macros are already expanded.
#ifndef MUSTER_TOPOLOGY_CEL_SYNTAX_AST_H_
#define MUSTER_TOPOLOGY_CEL_SYNTAX_AST_H_

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "topology/cel/value.h"

namespace muster::cel {

struct Type;
struct Function;
struct Overload;

enum class ExprKind : uint8_t { kLiteral, kIdent, kSelect, kCall, kList, kMap, kStruct, kFold };

struct Expr {
  ExprKind kind = ExprKind::kLiteral;
  bool test_only = false;  // kSelect: has()
  bool member = false;     // kCall: args[0] is what the function is called on
  int height = 0;          // nested operators and selections, as written
  uint32_t position = 0;   // byte offset in the expression
  Value literal;
  std::string name;  // kIdent, kSelect: field, kCall: function, kStruct: type
  // kSelect: operand; kCall, kList: arguments; kMap: key, value, key, value, ...; kStruct: values.
  // kFold: range, initial value, condition, step, result.
  std::vector<Expr*> args;
  std::vector<bool> optional;             // kList: per element; kMap, kStruct: per entry
  std::vector<std::string> fields;        // kStruct
  std::string variable, variable2, accu;  // kFold; variable2 may be empty

  // Set by the checker.
  const Type* type = nullptr;
  const Function* function = nullptr;   // kCall
  const Overload* overload = nullptr;   // kCall: where only one fits
  const Type* constant_type = nullptr;  // kIdent: a type's name
  Expr* declared_by = nullptr;          // kIdent: the kFold whose variable it is; null for `device`
  int slot = 0;                         // kIdent: 0 accu, 1 variable, 2 variable2 of `declared_by`
};

// Owns the nodes.
class Ast {
 public:
  // An expression may double itself with every optMap; more nodes than this are too many.
  static constexpr size_t kMostNodes = 100'000;
  Expr* New(ExprKind kind, uint32_t position) {
    Expr& expr = nodes_.emplace_back();
    expr.kind = kind;
    expr.position = position;
    return &expr;
  }
  bool full() const { return nodes_.size() > kMostNodes; }
  size_t size() const { return nodes_.size(); }
  Arena& text() { return text_; }

 private:
  std::deque<Expr> nodes_;
  Arena text_;  // of literals
};

namespace names {
inline constexpr std::string_view kAnd = "_&&_", kOr = "_||_", kNot = "!_", kNegate = "-_", kConditional = "_?_:_",
                                  kIndex = "_[_]", kOptIndex = "_[?_]", kOptSelect = "_?._", kIn = "@in",
                                  kEquals = "_==_", kNotEquals = "_!=_", kAdd = "_+_",
                                  kNotStrictlyFalse = "@not_strictly_false", kAccu = "__result__",
                                  kMapInsert = "cel.@mapInsert";
}  // namespace names

}  // namespace muster::cel

#endif  // MUSTER_TOPOLOGY_CEL_SYNTAX_AST_H_
