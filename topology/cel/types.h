// Static types of CEL, and what may stand for what.
#ifndef MUSTER_TOPOLOGY_CEL_TYPES_H_
#define MUSTER_TOPOLOGY_CEL_TYPES_H_

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace muster::cel {

enum class TypeKind : uint8_t {
  kError,
  kDyn,
  kNull,
  kPrimitive,  // bool, int, uint, double, string, bytes
  kTime,       // timestamp and duration
  kList,
  kMap,
  kObject,  // kubernetes.Quantity and the like
  kOpaque,  // optional_type, net.IP, net.CIDR
  kType,
  kParam,  // a type variable, by number
};

struct Type {
  TypeKind kind = TypeKind::kError;
  std::string name;  // as at run time: "int", "google.protobuf.Duration"
  std::vector<const Type*> params;
  uint32_t variable = 0;  // kParam
};

// The types without parameters, alive for ever.
struct BasicTypes {
  Type error, dyn, null, boolean, integer, natural, real, string, bytes, timestamp, duration, type, device, quantity,
      semver, url, format, ip, cidr;
};
const BasicTypes& Basic();
// By the name at run time or "dyn"; null for unknown names and list, map and optional_type.
const Type* BasicByName(std::string_view name);

// Owns the types that one check makes, and what stands for its type variables.
class TypeTable {
 public:
  const Type* NewList(const Type* element) { return New(TypeKind::kList, "list", {element}); }
  const Type* NewMap(const Type* key, const Type* value) { return New(TypeKind::kMap, "map", {key, value}); }
  const Type* NewOptional(const Type* value) { return New(TypeKind::kOpaque, "optional_type", {value}); }
  const Type* NewTypeOf(const Type* type) { return New(TypeKind::kType, "type", {type}); }
  const Type* NewVariable();
  // A declared type with its parameters A, B, ... (numbers) replaced by variables.
  const Type* Instantiate(const Type* declared, std::vector<const Type*>& variables);

  // Whether `from` may stand where `to` is wanted, in either direction as CEL has it. Binds variables where so.
  bool Assignable(const Type* left, const Type* right);
  bool Assignable(const std::vector<const Type*>& left, const std::vector<const Type*>& right);
  const Type* MoreGeneral(const Type* left, const Type* right) const;
  // The type with its variables replaced; free ones stay, or become dyn.
  const Type* Resolve(const Type* type, bool free_is_dyn);

 private:
  const Type* New(TypeKind kind, std::string_view name, std::vector<const Type*> params);
  bool Try(const Type* left, const Type* right);
  bool TryAll(const std::vector<const Type*>& left, const std::vector<const Type*>& right);
  bool Bind(const Type* type, const Type* variable, bool& bound_before);
  bool Mentions(const Type* variable, const Type* within) const;
  void Set(uint32_t variable, const Type* type);

  std::deque<Type> types_;
  std::vector<const Type*> bindings_;  // by variable; null while free
  std::vector<std::pair<uint32_t, const Type*>> undo_;
};

bool SameType(const Type* left, const Type* right);
bool IsDyn(const Type* type);
bool IsOptional(const Type* type);
// As type errors write it; `declared`: by the names that declarations have.
std::string FormatType(const Type* type, bool declared = false);

}  // namespace muster::cel

#endif  // MUSTER_TOPOLOGY_CEL_TYPES_H_
