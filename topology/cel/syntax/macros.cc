// The macros of the environment. Expansions are cel-go's own, because cost and errors show them.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/model/ids.h"
#include "topology/cel/syntax/parser.h"

namespace muster::cel {
namespace {

using Args = std::vector<Expr*>;

constexpr std::string_view kUnused = "#unused";

class Expander {
 public:
  Expander(Ast& ast, uint32_t position) : ast_(ast), position_(position) {}

  absl::StatusOr<Expr*> Expand(std::string_view name, Expr* target, const Args& args) {
    if (target == nullptr) return name == "has" && args.size() == 1 ? Has(args[0]) : nullptr;
    const size_t count = args.size();
    if (name == "bind" && count == 3 && target->kind == ExprKind::kIdent && target->name == "cel") return Bind(args);
    if (name == "optMap" && count == 2) return OptMap(target, args, true);
    if (name == "optFlatMap" && count == 2) return OptMap(target, args, false);
    if (name == "sortBy" && count == 2) return SortBy(target, args);
    const bool one_variable =
        (name == "all" || name == "exists" || name == "exists_one" || name == "filter" || name == "map") && count == 2;
    if (one_variable || (name == "map" && count == 3)) return Comprehension(name, target, args, 1);
    const bool two_variables =
        ((name == "all" || name == "exists" || name == "exists_one" || name == "existsOne") && count == 3) ||
        ((name == "transformList" || name == "transformMap" || name == "transformMapEntry") &&
         (count == 3 || count == 4));
    return two_variables ? Comprehension(name, target, args, 2) : nullptr;
  }

 private:
  Expr* Literal(Value value) {
    Expr* expr = ast_.New(ExprKind::kLiteral, position_);
    expr->literal = value;
    return expr;
  }
  Expr* Ident(std::string_view name) {
    Expr* expr = ast_.New(ExprKind::kIdent, position_);
    expr->name = name;
    return expr;
  }
  Expr* Accu() { return Ident(names::kAccu); }
  Expr* NewList(Args args) {
    Expr* expr = ast_.New(ExprKind::kList, position_);
    expr->optional.assign(args.size(), false);
    expr->args = std::move(args);
    return expr;
  }
  Expr* Call(std::string_view name, Args args, bool member = false) {
    Expr* expr = ast_.New(ExprKind::kCall, position_);
    expr->name = name;
    expr->args = std::move(args);
    expr->member = member;
    return expr;
  }
  Expr* Fold(Expr* range, std::string_view variable, std::string_view accu, Args parts) {
    Expr* expr = ast_.New(ExprKind::kFold, position_);
    expr->variable = variable;
    expr->accu = accu;
    expr->args = std::move(parts);
    expr->args.insert(expr->args.begin(), range);
    return expr;
  }
  // `accu` has the value of `init` in `result`: a fold over nothing.
  Expr* Let(std::string_view accu, Expr* init, Expr* result) {
    return Fold(NewList({}), kUnused, accu, {init, Literal(MakeBool(false)), Ident(accu), result});
  }

  Expr* Copy(const Expr* expr) {
    if (ast_.full()) return Literal(MakeNull());  // the parser will say that it is too large
    Expr* copy = ast_.New(expr->kind, expr->position);
    *copy = *expr;
    for (Expr*& arg : copy->args) arg = Copy(arg);
    return copy;
  }

  absl::StatusOr<Expr*> Has(const Expr* arg) {
    if (arg->kind != ExprKind::kSelect) return absl::InvalidArgumentError("invalid argument to has() macro");
    Expr* test = ast_.New(ExprKind::kSelect, position_);
    test->name = arg->name;
    test->args = arg->args;
    test->test_only = true;
    return test;
  }

  absl::StatusOr<Expr*> Bind(const Args& args) {
    if (args[0]->kind != ExprKind::kIdent) {
      return absl::InvalidArgumentError("cel.bind() variable names must be simple identifiers");
    }
    return Let(args[0]->name, args[1], args[2]);
  }

  absl::StatusOr<Expr*> OptMap(Expr* target, const Args& args, bool wrap) {
    if (args[0]->kind != ExprKind::kIdent) {
      const std::string_view name = wrap ? "optMap" : "optFlatMap";
      return absl::InvalidArgumentError(absl::StrCat(AsAbsl(name), "() variable name must be a simple identifier"));
    }
    Expr* body = Let(args[0]->name, Call("value", {Copy(target)}, true), args[1]);
    if (wrap) body = Call("optional.of", {body});
    return Call(names::kConditional, {Call("hasValue", {target}, true), body, Call("optional.none", {})});
  }

  absl::StatusOr<Expr*> SortBy(Expr* target, const Args& args) {
    if (target->kind == ExprKind::kLiteral || target->kind == ExprKind::kMap || target->kind == ExprKind::kStruct) {
      return absl::InvalidArgumentError(
          "sortBy can only be applied to a list, identifier, comprehension, call or select expression");
    }
    constexpr std::string_view kInput = "@__sortBy_input__";
    absl::StatusOr<Expr*> keys = Comprehension("map", Ident(kInput), args, 1);
    if (!keys.ok()) return keys;
    return Let(kInput, target, Call("@sortByAssociatedKeys", {Ident(kInput), *keys}, true));
  }

  absl::Status CheckVariable(const Expr* expr, bool two, bool quantifier) {
    if (expr->kind != ExprKind::kIdent) {
      return absl::InvalidArgumentError(two || quantifier ? "argument must be a simple name"
                                                          : "argument is not an identifier");
    }
    if (expr->name == names::kAccu) {
      return absl::InvalidArgumentError("iteration variable overwrites accumulator variable");
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Expr*> Comprehension(std::string_view name, Expr* target, const Args& args, size_t variables) {
    const bool quantifier = name != "map" && name != "filter";
    for (size_t i = 0; i < variables; ++i) {
      if (absl::Status status = CheckVariable(args[i], variables == 2, quantifier); !status.ok()) return status;
    }
    if (variables == 2 && args[0]->name == args[1]->name) {
      return absl::InvalidArgumentError(absl::StrCat("duplicate variable name: ", args[0]->name));
    }
    Expr* fold = Fold(target, args[0]->name, names::kAccu, Steps(name, args, variables));
    if (variables == 2) fold->variable2 = args[1]->name;
    return fold;
  }

  // Initial value, condition, step and result.
  Args Steps(std::string_view name, const Args& args, size_t variables) {
    const Args body(args.begin() + static_cast<ptrdiff_t>(variables), args.end());
    Expr* yes = Literal(MakeBool(true));
    if (name == "all") {
      return {yes, Call(names::kNotStrictlyFalse, {Accu()}), Call(names::kAnd, {Accu(), body[0]}), Accu()};
    }
    if (name == "exists") {
      return {Literal(MakeBool(false)), Call(names::kNotStrictlyFalse, {Call(names::kNot, {Accu()})}),
              Call(names::kOr, {Accu(), body[0]}), Accu()};
    }
    if (name == "exists_one" || name == "existsOne") {
      Expr* more = Call(names::kAdd, {Accu(), Literal(MakeInt(1))});
      return {Literal(MakeInt(0)), yes, Call(names::kConditional, {body[0], more, Accu()}),
              Call(names::kEquals, {Accu(), Literal(MakeInt(1))})};
    }
    Expr* filter = body.size() == 2 ? body[0] : nullptr;
    Expr* init = NewList({});
    Expr* step;
    if (name == "transformMap" || name == "transformMapEntry") {
      init = ast_.New(ExprKind::kMap, position_);
      step = name == "transformMap" ? Call(names::kMapInsert, {Accu(), Ident(args[0]->name), body.back()})
                                    : Call(names::kMapInsert, {Accu(), body.back()});
    } else if (name == "filter") {
      filter = body[0];
      step = Call(names::kAdd, {Accu(), NewList({Ident(args[0]->name)})});
    } else {
      step = Call(names::kAdd, {Accu(), NewList({body.back()})});
    }
    if (filter != nullptr) step = Call(names::kConditional, {filter, step, Accu()});
    return {init, yes, step, Accu()};
  }

  Ast& ast_;
  uint32_t position_;
};

}  // namespace

absl::StatusOr<Expr*> ExpandMacro(Ast& ast, std::string_view name, Expr* target, const Args& args, uint32_t position) {
  return Expander(ast, position).Expand(name, target, args);
}

}  // namespace muster::cel
