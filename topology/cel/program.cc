#include "topology/cel/program.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "topology/cel/declarations.h"

namespace muster::cel {
namespace {

constexpr std::string_view kConversions[] = {"bool", "bytes",  "double",    "duration", "dyn",
                                             "int",  "string", "timestamp", "type",     "uint"};

bool IsConversion(std::string_view name) {
  return std::find(std::begin(kConversions), std::end(kConversions), name) != std::end(kConversions);
}

bool IsQualifier(Kind kind) { return kind >= Kind::kBool && kind <= Kind::kString; }

// Numbers, strings and bools: what cel-go looks up instead of comparing.
bool IsHashed(const Value& value) { return IsQualifier(value.kind); }

class Planner {
 public:
  explicit Planner(Code& code) : code_(code) {
    code_.inits.push_back(0);  // the device's slot
  }

  absl::Status Run(const Expr* root) {
    code_.root = Visit(root);
    for (auto& [id, qualifiers] : qualifiers_) {
      Node& node = code_.nodes[id];
      node.b = static_cast<uint32_t>(code_.qualifiers.size());
      node.count = static_cast<uint32_t>(qualifiers.size());
      code_.qualifiers.insert(code_.qualifiers.end(), qualifiers.begin(), qualifiers.end());
    }
    return error_;
  }

 private:
  void Fail(std::string message) {
    if (error_.ok()) error_ = absl::InvalidArgumentError(absl::StrCat("program instantiation failed: ", message));
  }

  uint32_t Add(Node node) {
    code_.nodes.push_back(node);
    code_.names.emplace_back();
    return static_cast<uint32_t>(code_.nodes.size() - 1);
  }
  uint32_t AddConstant(Value value) {
    code_.constants.push_back(value);
    Node node{Op::kConst};
    node.a = static_cast<uint32_t>(code_.constants.size() - 1);
    return Add(node);
  }
  bool IsConstant(uint32_t id) const { return code_.nodes[id].op == Op::kConst; }
  const Value& Constant(uint32_t id) const { return code_.constants[code_.nodes[id].a]; }

  // A node over children, which are planned already.
  uint32_t AddParent(Node node, const std::vector<uint32_t>& children, const std::vector<bool>& optional = {}) {
    node.b = static_cast<uint32_t>(code_.children.size());
    node.count = static_cast<uint32_t>(children.size());
    code_.children.insert(code_.children.end(), children.begin(), children.end());
    code_.optional.resize(code_.children.size(), false);
    for (size_t i = 0; i < optional.size(); ++i) {
      code_.optional[node.b + i] = optional[i];
      if (optional[i]) node.flags |= kOptional;
    }
    return Add(node);
  }

  uint32_t Visit(const Expr* expr) {
    switch (expr->kind) {
      case ExprKind::kLiteral: return AddConstant(Keep(expr->literal));
      case ExprKind::kIdent: return VisitIdent(expr);
      case ExprKind::kSelect: {
        const uint32_t operand = Visit(expr->args[0]);
        const uint32_t field = AddConstant(MakeString(code_.arena.Copy(expr->name)));
        return Qualify(operand, field, false, expr->test_only);
      }
      case ExprKind::kCall: return VisitCall(expr);
      case ExprKind::kList: return VisitList(expr);
      case ExprKind::kMap: return VisitMap(expr);
      case ExprKind::kFold: return VisitFold(expr);
      case ExprKind::kStruct: Fail("messages are not supported"); return AddConstant(MakeNull());
    }
    return 0;
  }

  Value Keep(Value value) {
    if (value.kind == Kind::kString || value.kind == Kind::kBytes) value.text = code_.arena.Copy(value.view()).data();
    return value;
  }

  uint32_t VisitIdent(const Expr* expr) {
    if (expr->constant_type != nullptr) {
      return AddConstant(MakeText(Kind::kType, code_.arena.Copy(expr->constant_type->name)));
    }
    Node node{Op::kVariable};
    if (expr->declared_by != nullptr) node.a = slots_[expr->declared_by][static_cast<size_t>(expr->slot)];
    return Add(node);
  }

  // Costs nothing as a branch or an index.
  void MakeFree(uint32_t id) {
    Node& node = code_.nodes[id];
    if (node.op == Op::kVariable || node.op == Op::kAttribute) node.flags |= kFree;
  }

  uint32_t Qualify(uint32_t operand, uint32_t index, bool optional, bool test) {
    const Qualifier qualifier{optional, IsConstant(index), IsConstant(index) ? code_.nodes[index].a : index};
    if (qualifier.constant && !IsQualifier(Constant(index).kind)) {
      Fail(absl::StrCat("invalid qualifier type: ", std::string(TypeName(Constant(index)))));
    }
    MakeFree(index);
    uint32_t id = operand;
    if (code_.nodes[operand].op != Op::kAttribute) {
      Node node{Op::kAttribute};
      node.a = operand;
      if (code_.nodes[operand].op == Op::kConditional) node.flags |= kFree;
      MakeFree(operand);
      id = Add(node);
    }
    qualifiers_[id].push_back(qualifier);
    if (test) code_.nodes[id].op = Op::kTest;
    return id;
  }

  std::vector<uint32_t> VisitAll(const std::vector<Expr*>& exprs) {
    std::vector<uint32_t> ids;
    for (const Expr* expr : exprs) ids.push_back(Visit(expr));
    return ids;
  }

  uint32_t VisitCall(const Expr* expr) {
    const std::string& name = expr->name;
    if (const uint32_t grown = VisitGrowth(expr); grown != kNone) return grown;
    const std::vector<uint32_t> args = VisitAll(expr->args);
    if (name == names::kAnd) return AddParent({Op::kAnd}, args);
    if (name == names::kOr) return AddParent({Op::kOr}, args);
    if (name == names::kConditional) {
      MakeFree(args[1]);
      MakeFree(args[2]);
      return AddParent({Op::kConditional}, args);
    }
    if (name == names::kIndex) return Qualify(args[0], args[1], false, false);
    if (name == names::kOptIndex || name == names::kOptSelect) return Qualify(args[0], args[1], true, false);
    const std::string_view overload = expr->overload == nullptr ? std::string_view() : expr->overload->id;
    const CostRule rule = RuleOf(name, overload);
    if (name == names::kEquals) return AddParent({Op::kEqual, rule}, args);
    if (name == names::kNotEquals) return AddParent({Op::kNotEqual, rule}, args);
    if (name == "or" && args.size() == 2) return AddParent({Op::kOptionalOr}, args);
    if (name == "orValue" && args.size() == 2) return AddParent({Op::kOrValue}, args);
    if (name == names::kIn && overload == "in_list" && IsConstant(args[1])) {
      const List& list = *Constant(args[1]).list;
      if (list.size == 0) return AddConstant(MakeBool(false));
      if (std::all_of(list.items, list.items + list.size, IsHashed)) {
        Node node{Op::kIn};
        node.c = code_.nodes[args[1]].a;
        return AddParent(node, {args[0]});
      }
    }
    const bool regex = name == "matches" || name == "find" || name == "findAll";
    const bool compiled = regex && CompileConstant(args[1]);
    if (IsConversion(name) && args.size() == 1 && IsConstant(args[0])) return Convert(*expr, args[0]);
    Node node{Op::kCall, rule};
    node.run = expr->function->run;
    if (args.size() > 2 || compiled) node.flags |= kEager;
    if (name == names::kNotStrictlyFalse) node.flags |= kLenient;
    const uint32_t id = AddParent(node, args);
    code_.names[id] = name;
    return id;
  }

  // Whether it is a pattern that is known now.
  bool CompileConstant(uint32_t id) {
    if (!IsConstant(id) || Constant(id).kind != Kind::kString) return false;
    std::string error;
    if (code_.regexes.Get(Constant(id).view(), error) == nullptr) Fail("error parsing regexp: " + error);
    return true;
  }

  uint32_t Convert(const Expr& expr, uint32_t arg) {
    const Value value = expr.function->run({code_.arena, code_.regexes}, &Constant(arg), 1);
    if (value.is_error()) Fail(std::string(value.view()));
    if (value.kind == Kind::kUnset) {
      Fail(absl::StrCat("no such overload: ", expr.name, "(", std::string(TypeName(Constant(arg))), ")"));
    }
    return AddConstant(value);
  }

  // `accu + [x]` and the like of map() and transformMap(), which grow what they have instead of copying it.
  uint32_t VisitGrowth(const Expr* expr) {
    const bool list = expr->name == names::kAdd && !expr->member && expr->args[1]->kind == ExprKind::kList;
    const bool map = expr->name == names::kMapInsert;
    if (!list && !map) return kNone;
    const Expr* accu = expr->args[0];
    if (accu->kind != ExprKind::kIdent || accu->declared_by == nullptr || accu->slot != 0) return kNone;
    const Expr* init = accu->declared_by->args[1];
    if (init->kind != (list ? ExprKind::kList : ExprKind::kMap) || !init->args.empty()) return kNone;
    if (accu->name != names::kAccu || (list && expr->args[1]->args.size() != 1)) return kNone;
    Node node{list ? Op::kAppend : Op::kInsert};
    node.a = slots_[accu->declared_by][0];
    if (list) return AddParent(node, VisitAll(expr->args[1]->args));
    return AddParent(node, VisitAll({expr->args.begin() + 1, expr->args.end()}));
  }

  uint32_t VisitList(const Expr* expr) {
    const std::vector<uint32_t> args = VisitAll(expr->args);
    const bool constant = std::all_of(args.begin(), args.end(), [this](uint32_t id) { return IsConstant(id); });
    const bool optional = std::find(expr->optional.begin(), expr->optional.end(), true) != expr->optional.end();
    if (!constant || optional) return AddParent({Op::kList}, args, expr->optional);
    List* list = NewList(code_.arena, static_cast<uint32_t>(args.size()));
    for (const uint32_t id : args) Append(code_.arena, *list, Constant(id));
    return AddConstant(MakeList(list));
  }

  uint32_t VisitMap(const Expr* expr) {
    const std::vector<uint32_t> args = VisitAll(expr->args);
    const bool constant = std::all_of(args.begin(), args.end(), [this](uint32_t id) { return IsConstant(id); });
    const bool optional = std::find(expr->optional.begin(), expr->optional.end(), true) != expr->optional.end();
    if (!constant || optional) {
      std::vector<bool> flags(args.size(), false);
      for (size_t i = 0; i < expr->optional.size(); ++i) flags[2 * i + 1] = expr->optional[i];
      return AddParent({Op::kMap}, args, flags);
    }
    Map* map = NewMap(code_.arena, static_cast<uint32_t>(args.size() / 2));
    for (size_t i = 0; i < args.size(); i += 2) Put(code_.arena, *map, Constant(args[i]), Constant(args[i + 1]));
    return AddConstant(MakeMap(map));
  }

  uint32_t VisitFold(const Expr* expr) {
    Fold fold{};
    fold.range = Visit(expr->args[0]);
    fold.init = Visit(expr->args[1]);
    fold.accu = NewSlot(fold.init);
    fold.variable = NewSlot(0);
    if (!expr->variable2.empty()) fold.variable2 = NewSlot(0);
    slots_[expr] = {fold.accu, fold.variable, fold.variable2};
    fold.condition = Visit(expr->args[2]);
    fold.step = Visit(expr->args[3]);
    fold.result = Visit(expr->args[4]);
    code_.folds.push_back(fold);
    Node node{Op::kFold};
    node.a = static_cast<uint32_t>(code_.folds.size() - 1);
    return Add(node);
  }

  uint32_t NewSlot(uint32_t init) {
    code_.inits.push_back(init);
    return static_cast<uint32_t>(code_.inits.size() - 1);
  }

  static constexpr uint32_t kNone = UINT32_MAX;

  Code& code_;
  absl::Status error_;
  std::map<uint32_t, std::vector<Qualifier>> qualifiers_;  // by node
  std::map<const Expr*, std::array<uint32_t, 3>> slots_;   // by fold
};

}  // namespace

absl::StatusOr<std::unique_ptr<Code>> Plan(const Expr* root) {
  auto code = std::make_unique<Code>();
  if (absl::Status status = Planner(*code).Run(root); !status.ok()) return status;
  return code;
}

}  // namespace muster::cel
