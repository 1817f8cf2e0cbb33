#include "topology/cel/checker.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "scheduler/model/ids.h"
#include "topology/cel/declarations.h"
#include "topology/cel/syntax/lexer.h"

namespace muster::cel {
namespace {

struct Variable {
  std::string_view name;
  const Type* type;
  Expr* fold;
  int slot;
};

class Checker {
 public:
  Checker(std::string_view text, TypeTable& types) : text_(text), types_(types) {
    const BasicTypes& basic = Basic();
    attributes_ = types_.NewMap(&basic.string, types_.NewMap(&basic.string, &basic.dyn));
    capacity_ = types_.NewMap(&basic.string, types_.NewMap(&basic.string, &basic.quantity));
  }

  absl::Status Run(Expr* root) {
    Visit(root);
    if (!errors_.empty()) return Errors();
    Finish(root);
    return absl::OkStatus();
  }

 private:
  void Fail(const Expr* expr, const std::string& message) { errors_.emplace_back(expr->position, message); }
  absl::Status Errors() {
    constexpr size_t kMost = 100;
    std::stable_sort(errors_.begin(), errors_.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<std::string> shown;
    for (size_t i = 0; i < std::min(kMost, errors_.size()); ++i) {
      shown.push_back(ErrorAt(text_, errors_[i].first, errors_[i].second));
    }
    if (errors_.size() > kMost) shown.push_back(absl::StrCat(errors_.size() - kMost, " more errors were truncated"));
    return absl::InvalidArgumentError(absl::StrJoin(shown, "\n"));
  }
  void Mismatch(const Expr* expr, const Type* expected, const Type* actual) {
    Fail(expr, absl::StrCat("expected type '", FormatType(expected), "' but found '", FormatType(actual), "'"));
  }

  void Visit(Expr* expr) {
    switch (expr->kind) {
      case ExprKind::kLiteral: expr->type = BasicByName(TypeName(expr->literal)); break;
      case ExprKind::kIdent: VisitIdent(expr); break;
      case ExprKind::kSelect: VisitSelect(expr); break;
      case ExprKind::kCall: VisitCall(expr); break;
      case ExprKind::kList: VisitList(expr); break;
      case ExprKind::kMap: VisitMap(expr); break;
      case ExprKind::kStruct: VisitStruct(expr); break;
      case ExprKind::kFold: VisitFold(expr); break;
    }
  }

  const Variable* FindVariable(std::string_view name) const {
    for (auto it = scope_.rbegin(); it != scope_.rend(); ++it) {
      if (it->name == name) return &*it;
    }
    return nullptr;
  }

  // `device` or the name of a type, whatever variables hide it.
  bool Global(Expr* expr, std::string_view name) {
    if (name == "device") {
      expr->type = &Basic().device;
      return true;
    }
    const Type* type = name == "dyn" || name == "kubernetes.DRADevice" ? nullptr : BasicByName(name);
    if (name == "list") type = types_.NewList(&Basic().dyn);
    if (name == "map") type = types_.NewMap(&Basic().dyn, &Basic().dyn);
    if (name == "optional_type") type = types_.NewOptional(&Basic().dyn);
    const bool known = type != nullptr && (type->kind != TypeKind::kObject);
    if (!known) return false;
    expr->constant_type = type;
    expr->type = types_.NewTypeOf(type);
    return true;
  }

  void VisitIdent(Expr* expr) {
    std::string_view name = expr->name;
    if (name[0] == '.') {
      name.remove_prefix(1);
    } else if (const Variable* variable = FindVariable(name); variable != nullptr) {
      expr->type = variable->type;
      expr->declared_by = variable->fold;
      expr->slot = variable->slot;
      return;
    }
    if (Global(expr, name)) return;
    expr->type = &Basic().error;
    Fail(expr, absl::StrCat("undeclared reference to '", expr->name, "' (in container '')"));
  }

  // "a.b.c" of selections of an identifier; "" for others.
  static std::string QualifiedName(const Expr* expr) {
    if (expr->kind == ExprKind::kIdent) return expr->name;
    if (expr->kind != ExprKind::kSelect || expr->test_only) return "";
    const std::string prefix = QualifiedName(expr->args[0]);
    return prefix.empty() ? "" : absl::StrCat(prefix, ".", expr->name);
  }

  void VisitSelect(Expr* expr) {
    std::string qualified = QualifiedName(expr);
    if (!qualified.empty()) {
      const std::string first = qualified.substr(0, qualified.find('.'));
      const bool absolute = first.empty();
      if (absolute) qualified.erase(0, 1);
      if ((absolute || FindVariable(first) == nullptr) && Global(expr, qualified)) {
        expr->kind = ExprKind::kIdent;
        expr->name = qualified;
        expr->args.clear();
        return;
      }
    }
    const Type* field = Field(expr, expr->args[0], expr->name, false);
    expr->type = expr->test_only ? &Basic().boolean : types_.Resolve(field, false);
  }

  const Type* Field(Expr* expr, Expr* operand, std::string_view name, bool optional) {
    Visit(operand);
    const Type* type = types_.Resolve(operand->type, false);
    const bool of_optional = IsOptional(type);
    if (of_optional) type = type->params[0];
    const Type* result = &Basic().dyn;
    switch (type->kind) {
      case TypeKind::kMap: result = type->params[1]; break;
      case TypeKind::kObject: result = ObjectField(expr, type, name); break;
      case TypeKind::kParam: types_.Assignable(&Basic().dyn, type); break;
      case TypeKind::kDyn:
      case TypeKind::kError: break;
      default: Fail(expr, absl::StrCat("type '", FormatType(type), "' does not support field selection"));
    }
    return of_optional || optional ? types_.NewOptional(result) : result;
  }

  const Type* ObjectField(const Expr* expr, const Type* object, std::string_view name) {
    if (object != &Basic().device) {
      Fail(expr, absl::StrCat("unexpected failed resolution of '", object->name, "'"));
      return &Basic().error;
    }
    if (name == "driver") return &Basic().string;
    if (name == "allowMultipleAllocations") return &Basic().boolean;
    if (name == "attributes") return attributes_;
    if (name == "capacity") return capacity_;
    Fail(expr, absl::StrCat("undefined field '", AsAbsl(name), "'"));
    return &Basic().error;
  }

  void VisitCall(Expr* expr) {
    if (expr->name == names::kOptSelect && !expr->member) {
      Visit(expr->args[1]);
      const std::string_view field = expr->args[1]->literal.view();
      expr->type = types_.Resolve(Field(expr, expr->args[0], field, true), false);
      return;
    }
    if (expr->member) {
      const std::string prefix = QualifiedName(expr->args[0]);
      const Function* qualified = prefix.empty() ? nullptr : LookUp(absl::StrCat(prefix, ".", expr->name));
      if (qualified != nullptr) {
        expr->name = qualified->name;
        expr->member = false;
        expr->args.erase(expr->args.begin());
      }
    }
    // cel-go reports on arguments before the target.
    for (size_t i = expr->member ? 1 : 0; i < expr->args.size(); ++i) Visit(expr->args[i]);
    if (expr->member) Visit(expr->args[0]);
    const Function* function = LookUp(expr->name);
    if (function == nullptr) {
      expr->type = &Basic().error;
      Fail(expr, absl::StrCat("undeclared reference to '", expr->name, "' (in container '')"));
      return;
    }
    expr->function = function;
    expr->name = function->name;
    Resolve(expr, *function);
  }

  static const Function* LookUp(std::string_view name) {
    if (!name.empty() && name[0] == '.') name.remove_prefix(1);
    return FindFunction(name);
  }

  void Resolve(Expr* expr, const Function& function) {
    std::vector<const Type*> args;
    for (const Expr* arg : expr->args) args.push_back(arg->type);
    if (function.name == names::kAnd || function.name == names::kOr) return ResolveLogic(expr, args);
    const Type* result = nullptr;
    int fitting = 0;
    for (const Overload& overload : function.overloads) {
      if (overload.member != expr->member || overload.args.size() != args.size()) continue;
      std::vector<const Type*> variables, wanted;
      for (const Type* arg : overload.args) wanted.push_back(types_.Instantiate(arg, variables));
      const Type* declared = types_.Instantiate(overload.result, variables);
      if (!types_.Assignable(args, wanted)) continue;
      expr->overload = ++fitting == 1 ? &overload : nullptr;
      const Type* found = types_.Resolve(declared, false);
      if (result == nullptr) {
        result = found;
      } else if (!IsDyn(result) && !SameType(found, result)) {
        result = &Basic().dyn;
      }
    }
    if (result == nullptr) {
      std::vector<std::string> written;
      for (const Type* arg : args) written.push_back(FormatType(types_.Resolve(arg, true)));
      const std::string target = expr->member ? absl::StrCat(written[0], ".") : "";
      if (expr->member) written.erase(written.begin());
      Fail(expr, absl::StrCat("found no matching overload for '", function.name, "' applied to '", target, "(",
                              absl::StrJoin(written, ", "), ")'"));
    }
    expr->type = result == nullptr ? &Basic().error : result;
  }

  void ResolveLogic(Expr* expr, const std::vector<const Type*>& args) {
    expr->type = &Basic().boolean;
    for (size_t i = 0; i < args.size(); ++i) {
      if (types_.Assignable(args[i], &Basic().boolean)) continue;
      Mismatch(expr->args[i], &Basic().boolean, args[i]);
      expr->type = &Basic().error;
    }
  }

  // Elements of several types make a list of dyn here; Validate refuses it where nothing excuses it.
  const Type* Join(const Type* before, const Type* now) {
    if (before == nullptr) return now;
    return types_.Assignable(before, now) ? types_.MoreGeneral(before, now) : &Basic().dyn;
  }

  // The type of an element or entry that is written with a question mark.
  const Type* Unwrapped(const Expr* expr) {
    if (IsOptional(expr->type)) return expr->type->params[0];
    if (!IsDyn(expr->type)) Mismatch(expr, types_.NewOptional(expr->type), expr->type);
    return expr->type;
  }

  void VisitList(Expr* expr) {
    const Type* element = nullptr;
    for (size_t i = 0; i < expr->args.size(); ++i) {
      Visit(expr->args[i]);
      element = Join(element, expr->optional[i] ? Unwrapped(expr->args[i]) : expr->args[i]->type);
    }
    expr->type = types_.NewList(element == nullptr ? types_.NewVariable() : element);
  }

  void VisitMap(Expr* expr) {
    const Type* key = nullptr;
    const Type* value = nullptr;
    for (size_t i = 0; i < expr->args.size(); i += 2) {
      Visit(expr->args[i]);
      key = Join(key, expr->args[i]->type);
      Expr* entry = expr->args[i + 1];
      Visit(entry);
      value = Join(value, expr->optional[i / 2] ? Unwrapped(entry) : entry->type);
    }
    if (key == nullptr) {
      key = types_.NewVariable();
      value = types_.NewVariable();
    }
    expr->type = types_.NewMap(key, value);
  }

  void VisitStruct(Expr* expr) {
    for (Expr* arg : expr->args) Visit(arg);
    expr->type = &Basic().error;
    Fail(expr, absl::StrCat("undeclared reference to '", expr->name, "' (in container '')"));
  }

  void VisitFold(Expr* expr) {
    Expr* range = expr->args[0];
    Visit(range);
    Visit(expr->args[1]);
    const Type* type = types_.Resolve(range->type, false);
    const Type* accu = expr->args[1]->type;
    const Type* first = &Basic().dyn;
    const Type* second = &Basic().dyn;
    switch (type->kind) {
      case TypeKind::kList:
        first = expr->variable2.empty() ? type->params[0] : &Basic().integer;
        second = type->params[0];
        break;
      case TypeKind::kMap:
        first = type->params[0];
        second = type->params[1];
        break;
      case TypeKind::kDyn:
      case TypeKind::kError:
      case TypeKind::kParam: types_.Assignable(&Basic().dyn, type); break;
      default:
        Fail(range, absl::StrCat("expression of type '", FormatType(type),
                                 "' cannot be range of a comprehension (must be list, map, or dynamic)"));
        first = second = &Basic().error;
    }
    scope_.push_back({expr->accu, accu, expr, 0});
    scope_.push_back({expr->variable, first, expr, 1});
    if (!expr->variable2.empty()) scope_.push_back({expr->variable2, second, expr, 2});
    Visit(expr->args[2]);
    Want(expr->args[2], &Basic().boolean);
    Visit(expr->args[3]);
    Want(expr->args[3], accu);
    scope_.resize(scope_.size() - (expr->variable2.empty() ? 1 : 2));
    Visit(expr->args[4]);
    scope_.pop_back();
    expr->type = types_.Resolve(expr->args[4]->type, false);
  }

  void Want(const Expr* expr, const Type* type) {
    if (!types_.Assignable(type, expr->type)) Mismatch(expr, type, expr->type);
  }

  void Finish(Expr* expr) {
    expr->type = types_.Resolve(expr->type, true);
    for (Expr* arg : expr->args) Finish(arg);
  }

  std::string_view text_;
  TypeTable& types_;
  const Type* attributes_;
  const Type* capacity_;
  std::vector<Variable> scope_;
  std::vector<std::pair<uint32_t, std::string>> errors_;  // by position once shown
};

}  // namespace

absl::Status Check(std::string_view text, Expr* root, TypeTable& types) { return Checker(text, types).Run(root); }

}  // namespace muster::cel
