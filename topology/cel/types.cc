#include "topology/cel/types.h"

#include "absl/strings/str_cat.h"

namespace muster::cel {
namespace {

bool MoreGeneralOrSame(const Type* left, const Type* right) {
  if (left->kind == TypeKind::kDyn || left->kind == TypeKind::kParam) return true;
  if (right->kind == TypeKind::kDyn || right->kind == TypeKind::kParam || left->kind != right->kind) return false;
  switch (left->kind) {
    case TypeKind::kOpaque:
    case TypeKind::kList:
    case TypeKind::kMap:
      if (left->name != right->name || left->params.size() != right->params.size()) return false;
      for (size_t i = 0; i < left->params.size(); ++i) {
        if (!MoreGeneralOrSame(left->params[i], right->params[i])) return false;
      }
      return true;
    case TypeKind::kType: return true;
    default: return SameType(left, right);
  }
}

bool TakesNull(const Type* type) {
  return type->kind == TypeKind::kOpaque || type->kind == TypeKind::kObject || type->kind == TypeKind::kTime ||
         type->kind == TypeKind::kNull;
}

}  // namespace

const BasicTypes& Basic() {
  static const BasicTypes& basic = *new BasicTypes{
      {TypeKind::kError, "!error!", {}, 0},
      {TypeKind::kDyn, "dyn", {}, 0},
      {TypeKind::kNull, "null_type", {}, 0},
      {TypeKind::kPrimitive, "bool", {}, 0},
      {TypeKind::kPrimitive, "int", {}, 0},
      {TypeKind::kPrimitive, "uint", {}, 0},
      {TypeKind::kPrimitive, "double", {}, 0},
      {TypeKind::kPrimitive, "string", {}, 0},
      {TypeKind::kPrimitive, "bytes", {}, 0},
      {TypeKind::kTime, "google.protobuf.Timestamp", {}, 0},
      {TypeKind::kTime, "google.protobuf.Duration", {}, 0},
      {TypeKind::kType, "type", {}, 0},
      {TypeKind::kObject, "kubernetes.DRADevice", {}, 0},
      {TypeKind::kObject, "kubernetes.Quantity", {}, 0},
      {TypeKind::kObject, "kubernetes.Semver", {}, 0},
      {TypeKind::kObject, "kubernetes.URL", {}, 0},
      {TypeKind::kObject, "kubernetes.NamedFormat", {}, 0},
      {TypeKind::kOpaque, "net.IP", {}, 0},
      {TypeKind::kOpaque, "net.CIDR", {}, 0},
  };
  return basic;
}

const Type* BasicByName(std::string_view name) {
  const BasicTypes& basic = Basic();
  for (const Type* type : {&basic.dyn, &basic.null, &basic.boolean, &basic.integer, &basic.natural, &basic.real,
                           &basic.string, &basic.bytes, &basic.timestamp, &basic.duration, &basic.type, &basic.device,
                           &basic.quantity, &basic.semver, &basic.url, &basic.format, &basic.ip, &basic.cidr}) {
    if (type->name == name) return type;
  }
  return nullptr;
}

bool IsDyn(const Type* type) { return type->kind == TypeKind::kDyn; }
bool IsOptional(const Type* type) { return type->kind == TypeKind::kOpaque && type->name == "optional_type"; }

bool SameType(const Type* left, const Type* right) {
  if (left == right) return true;
  if (left->kind != right->kind || left->name != right->name || left->variable != right->variable ||
      left->params.size() != right->params.size()) {
    return false;
  }
  for (size_t i = 0; i < left->params.size(); ++i) {
    if (!SameType(left->params[i], right->params[i])) return false;
  }
  return true;
}

std::string FormatType(const Type* type, bool declared) {
  if (!declared) {
    if (type->kind == TypeKind::kNull) return "null";
    if (type->name == "google.protobuf.Timestamp") return "timestamp";
    if (type->name == "google.protobuf.Duration") return "duration";
  }
  if (type->kind == TypeKind::kParam) return absl::StrCat("_var", type->variable);
  if (type->params.empty()) return type->name;
  std::string text = type->name;
  for (size_t i = 0; i < type->params.size(); ++i) {
    absl::StrAppend(&text, i == 0 ? "(" : ", ", FormatType(type->params[i], declared));
  }
  return text + ")";
}

const Type* TypeTable::New(TypeKind kind, std::string_view name, std::vector<const Type*> params) {
  types_.push_back({kind, std::string(name), std::move(params), 0});
  return &types_.back();
}

const Type* TypeTable::NewVariable() {
  types_.push_back({TypeKind::kParam, "", {}, static_cast<uint32_t>(bindings_.size())});
  bindings_.push_back(nullptr);
  return &types_.back();
}

const Type* TypeTable::Instantiate(const Type* declared, std::vector<const Type*>& variables) {
  if (declared->kind == TypeKind::kParam) {
    if (variables.size() <= declared->variable) variables.resize(declared->variable + 1);
    const Type*& variable = variables[declared->variable];
    if (variable == nullptr) variable = NewVariable();
    return variable;
  }
  if (declared->params.empty()) return declared;
  std::vector<const Type*> params;
  for (const Type* param : declared->params) params.push_back(Instantiate(param, variables));
  return New(declared->kind, declared->name, std::move(params));
}

void TypeTable::Set(uint32_t variable, const Type* type) {
  undo_.emplace_back(variable, bindings_[variable]);
  bindings_[variable] = type;
}

bool TypeTable::Assignable(const Type* left, const Type* right) { return Assignable(std::vector{left}, {right}); }

bool TypeTable::Assignable(const std::vector<const Type*>& left, const std::vector<const Type*>& right) {
  undo_.clear();
  if (TryAll(left, right)) return true;
  for (auto it = undo_.rbegin(); it != undo_.rend(); ++it) bindings_[it->first] = it->second;
  return false;
}

bool TypeTable::TryAll(const std::vector<const Type*>& left, const std::vector<const Type*>& right) {
  if (left.size() != right.size()) return false;
  for (size_t i = 0; i < left.size(); ++i) {
    if (!Try(left[i], right[i])) return false;
  }
  return true;
}

bool TypeTable::Try(const Type* left, const Type* right) {
  bool bound_before = false;
  if (right->kind == TypeKind::kParam) {
    if (Bind(left, right, bound_before)) return true;
    if (bound_before) return false;
  }
  if (left->kind == TypeKind::kParam) return Bind(right, left, bound_before);
  const auto any = [](const Type* type) { return type->kind == TypeKind::kDyn || type->kind == TypeKind::kError; };
  if (any(left) || any(right)) return true;
  if (left->kind == TypeKind::kNull) return TakesNull(right);
  if (right->kind == TypeKind::kNull) return TakesNull(left);
  if (left->kind != right->kind) return false;
  if (left->kind == TypeKind::kType) return true;
  return left->name == right->name && TryAll(left->params, right->params);
}

bool TypeTable::Bind(const Type* type, const Type* variable, bool& bound_before) {
  bound_before = true;
  if (SameType(type, variable)) return true;
  if (const Type* bound = bindings_[variable->variable]; bound != nullptr) {
    if (SameType(type, bound)) return true;
    if (!Try(type, bound)) return false;
    const Type* general = MoreGeneral(type, bound);
    if (!Mentions(variable, general)) Set(variable->variable, general);
    return true;
  }
  bound_before = false;
  if (Mentions(variable, type)) return false;
  Set(variable->variable, type);
  return true;
}

bool TypeTable::Mentions(const Type* variable, const Type* within) const {
  if (SameType(variable, within)) return true;
  if (within->kind == TypeKind::kParam) {
    const Type* bound = bindings_[within->variable];
    return bound != nullptr && Mentions(variable, bound);
  }
  for (const Type* param : within->params) {
    if (Mentions(variable, param)) return true;
  }
  return false;
}

const Type* TypeTable::MoreGeneral(const Type* left, const Type* right) const {
  return MoreGeneralOrSame(left, right) ? left : right;
}

const Type* TypeTable::Resolve(const Type* type, bool free_is_dyn) {
  if (type->kind == TypeKind::kParam) {
    if (const Type* bound = bindings_[type->variable]; bound != nullptr) return Resolve(bound, free_is_dyn);
    return free_is_dyn ? &Basic().dyn : type;
  }
  if (type->params.empty()) return type;
  std::vector<const Type*> params;
  bool changed = false;
  for (const Type* param : type->params) {
    params.push_back(Resolve(param, free_is_dyn));
    changed |= params.back() != param;
  }
  return changed ? New(type->kind, type->name, std::move(params)) : type;
}

}  // namespace muster::cel
