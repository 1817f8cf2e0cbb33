#include <re2/re2.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/model/ids.h"
#include "topology/cel/checker.h"
#include "topology/cel/declarations.h"
#include "topology/cel/library/format_string.h"
#include "topology/cel/library/regex.h"
#include "topology/cel/syntax/lexer.h"

namespace muster::cel {
namespace {

class Validator {
 public:
  explicit Validator(std::string_view text) : text_(text) {}

  absl::Status Run(const Expr* root) {
    Visit(root, false);
    return error_;
  }

 private:
  void Fail(const Expr* expr, const std::string& message) {
    if (error_.ok()) error_ = absl::InvalidArgumentError(ErrorAt(text_, expr->position, message));
  }

  // `in_format`: inside a call of format(), whose arguments may be of any types.
  void Visit(const Expr* expr, bool in_format) {
    if (expr->kind == ExprKind::kCall) VisitCall(expr);
    if (expr->kind == ExprKind::kList && !in_format) VisitList(expr);
    if (expr->kind == ExprKind::kMap && !in_format) VisitMap(expr);
    in_format |= expr->kind == ExprKind::kCall && expr->name == "format";
    for (const Expr* arg : expr->args) Visit(arg, in_format);
  }

  static const Type* ElementType(const Expr* expr, bool optional) {
    return optional && IsOptional(expr->type) ? expr->type->params[0] : expr->type;
  }

  void Same(const Type*& type, const Expr* expr, bool optional) {
    // cel-go's own validator breaks down here.
    if (optional && expr->type->params.empty()) return Fail(expr, "optional element of type dyn");
    const Type* found = ElementType(expr, optional);
    if (type == nullptr) {
      type = found;
    } else if (!SameType(type, found)) {
      Fail(expr, absl::StrCat("expected type '", FormatType(type), "' but found '", FormatType(found), "'"));
    }
  }

  void VisitList(const Expr* expr) {
    const Type* type = nullptr;
    for (size_t i = 0; i < expr->args.size(); ++i) Same(type, expr->args[i], expr->optional[i]);
  }

  void VisitMap(const Expr* expr) {
    const Type* key = nullptr;
    const Type* value = nullptr;
    for (size_t i = 0; i < expr->args.size(); i += 2) {
      Same(key, expr->args[i], false);
      Same(value, expr->args[i + 1], expr->optional[i / 2]);
    }
  }

  void VisitCall(const Expr* expr) {
    const size_t first = expr->member ? 1 : 0;
    const Expr* arg = expr->args.size() > first ? expr->args[first] : nullptr;
    const bool literal = arg != nullptr && arg->kind == ExprKind::kLiteral;
    // cel-go looks at the first argument, whichever that is: for matches(text, pattern) the text.
    if (literal && expr->name == "matches" && arg->literal.kind == Kind::kString) {
      if (!CompileRegex(arg->literal.view()).ok()) Fail(arg, "invalid matches argument");
    }
    if (literal && (expr->name == "duration" || expr->name == "timestamp") && expr->args.size() == 1) {
      Arena arena;
      RegexCache regexes;
      const Value value = expr->function->run({arena, regexes}, &arg->literal, 1);
      if (value.is_error()) Fail(arg, absl::StrCat("invalid ", expr->name, " argument"));
    }
    if (expr->name == "format" && expr->member && expr->args.size() == 2) VisitFormat(expr);
  }

  void VisitFormat(const Expr* expr) {
    const Expr* format = expr->args[0];
    const Expr* list = expr->args[1];
    if (format->kind != ExprKind::kLiteral || format->literal.kind != Kind::kString || list->kind != ExprKind::kList) {
      return;
    }
    const uint32_t given = static_cast<uint32_t>(list->args.size());
    uint32_t used = 0;
    std::string ignored;
    const std::string error = ExpandFormat(
        format->literal.view(), given,
        [&](const Clause& clause, uint32_t index, std::string&) { return CheckArgument(clause, list->args[index]); },
        ignored, &used);
    if (!error.empty()) {
      Fail(expr, error);
    } else if (given > used) {
      Fail(expr, absl::StrCat("too many arguments supplied to string.format (expected ", used, ", got ", given, ")"));
    }
  }

  static bool IsOneOf(const Type* type, std::string_view names) {
    return IsDyn(type) ||
           absl::StrCat(" ", AsAbsl(names), " ").find(absl::StrCat(" ", type->name, " ")) != std::string::npos;
  }

  std::string CheckArgument(const Clause& clause, const Expr* arg) {
    std::string_view types;
    switch (clause.verb) {
      case 's': return CheckText(arg);
      case 'd':
      case 'o': types = "int uint"; break;
      case 'b': types = "int uint bool"; break;
      case 'f':
      case 'e': types = "double string"; break;
      default: types = "int uint string bytes";
    }
    return IsOneOf(arg->type, types) ? "" : ClauseError(clause.verb, arg->type->name);
  }

  std::string CheckText(const Expr* arg) {
    constexpr std::string_view kTypes =
        "list map int uint double bool string bytes type null_type google.protobuf.Timestamp google.protobuf.Duration";
    if (!IsOneOf(arg->type, kTypes)) return ClauseError('s', arg->type->name);
    if (arg->kind != ExprKind::kList && arg->kind != ExprKind::kMap) return "";
    for (const Expr* element : arg->args) {
      if (std::string error = CheckText(element); !error.empty()) return error;
    }
    return "";
  }

  std::string_view text_;
  absl::Status error_;
};

}  // namespace

absl::Status Validate(std::string_view text, const Expr* root) { return Validator(text).Run(root); }

}  // namespace muster::cel
