#include "topology/cel/cel.h"

#include "absl/strings/str_cat.h"
#include "scheduler/model/ids.h"
#include "topology/cel/checker.h"
#include "topology/cel/kubernetes/quantity.h"
#include "topology/cel/kubernetes/semver.h"
#include "topology/cel/program.h"
#include "topology/cel/syntax/parser.h"

namespace muster::cel {
namespace {

template <typename T>
const T* Store(Arena& arena, const T& value) {
  T* copy = arena.New<T>();
  *copy = value;
  return copy;
}

template <typename Texts, typename Of>
Value ListOf(Arena& arena, const Texts& texts, Of of) {
  List* list = NewList(arena, static_cast<uint32_t>(texts.size()));
  for (const auto& text : texts) Append(arena, *list, of(text));
  return MakeList(list);
}

// How cel-go's values refuse to become a bool.
std::string_view WhyNotBool(const Value& value) {
  switch (value.kind) {
    case Kind::kInt: return "unsupported type conversion from 'int' to bool";
    case Kind::kUint: return "unsupported type conversion from 'uint' to bool";
    case Kind::kString: return "unsupported native conversion from string to 'bool'";
    case Kind::kType: return "type conversion not supported for 'type'";
    case Kind::kOptional: return "optional.none() dereference";
    case Kind::kDouble: return "type conversion error from Double to 'bool'";
    case Kind::kBytes: return "type conversion error from Bytes to 'bool'";
    case Kind::kList: return "type conversion error from list to 'bool'";
    case Kind::kMap: return "type conversion error from map to 'bool'";
    case Kind::kDuration: return "type conversion error from 'Duration' to 'bool'";
    case Kind::kTimestamp: return "type conversion error from 'Timestamp' to 'bool'";
    case Kind::kQuantity: return "type conversion error from 'Quantity' to 'bool'";
    case Kind::kSemver: return "type conversion error from 'Semver' to 'bool'";
    case Kind::kUrl: return "type conversion error from 'URL' to 'bool'";
    case Kind::kIp: return "type conversion error from 'IP' to 'bool'";
    case Kind::kCidr: return "type conversion error from 'CIDR' to 'bool'";
    case Kind::kFormat: return "type conversion error from 'Format' to 'bool'";
    default: return "type conversion error from 'null_type' to 'bool'";
  }
}

}  // namespace

// ---- Devices ---------------------------------------------------------------------------------------------------

DeviceView::DeviceView(std::string_view driver, bool allow_multiple_allocations) : arena_(std::make_unique<Arena>()) {
  Reset(driver, allow_multiple_allocations);
}

void DeviceView::Reset(std::string_view driver, bool allow_multiple_allocations) {
  arena_->Reset();
  error_.clear();
  driver_ = arena_->Copy(driver);
  const Map* nothing = NewMap(*arena_, 0);
  attributes_ = NewMap(*arena_, 2);
  capacity_ = NewMap(*arena_, 2);
  attributes_->missing = capacity_->missing = nothing;
  Map* device = NewMap(*arena_, 4);
  cel::Put(*arena_, *device, MakeString("attributes"), MakeMap(attributes_));
  cel::Put(*arena_, *device, MakeString("capacity"), MakeMap(capacity_));
  cel::Put(*arena_, *device, MakeString("driver"), MakeString(driver_));
  cel::Put(*arena_, *device, MakeString("allowMultipleAllocations"), MakeBool(allow_multiple_allocations));
  device_ = MakeMap(device);
}

DeviceView::DeviceView(DeviceView&&) noexcept = default;
DeviceView& DeviceView::operator=(DeviceView&&) noexcept = default;
DeviceView::~DeviceView() = default;

void DeviceView::Put(Map* domains, std::string_view name, Value value) {
  const size_t slash = name.find('/');
  const std::string_view domain = slash == std::string_view::npos ? driver_ : name.substr(0, slash);
  const std::string_view id = slash == std::string_view::npos ? name : name.substr(slash + 1);
  const Value* known = FindExact(*domains, MakeString(domain));
  Value ids = known != nullptr ? *known : MakeMap(NewMap(*arena_, 8));
  if (known == nullptr) cel::Put(*arena_, *domains, MakeString(arena_->Copy(domain)), ids);
  cel::Put(*arena_, *ids.map, MakeString(arena_->Copy(id)), value);
}

void DeviceView::AddAttribute(std::string_view name, Value value) { Put(attributes_, name, value); }

bool DeviceView::ParseVersion(std::string_view name, std::string_view text, Value& value) {
  std::string error;
  value = ParseSemver(*arena_, arena_->Copy(text), error);
  if (error.empty()) return true;
  if (error_.empty()) error_ = absl::StrCat("attribute ", AsAbsl(name), ": parse semantic version: ", error);
  return false;
}

void DeviceView::AddInt(std::string_view name, int64_t value) { AddAttribute(name, MakeInt(value)); }
void DeviceView::AddBool(std::string_view name, bool value) { AddAttribute(name, MakeBool(value)); }
void DeviceView::AddString(std::string_view name, std::string_view value) {
  AddAttribute(name, MakeString(arena_->Copy(value)));
}
void DeviceView::AddVersion(std::string_view name, std::string_view value) {
  Value version;
  if (ParseVersion(name, value, version)) AddAttribute(name, version);
}
void DeviceView::AddInts(std::string_view name, const std::vector<int64_t>& values) {
  AddAttribute(name, ListOf(*arena_, values, [](int64_t value) { return MakeInt(value); }));
}
void DeviceView::AddBools(std::string_view name, const std::vector<bool>& values) {
  AddAttribute(name, ListOf(*arena_, values, [](bool value) { return MakeBool(value); }));
}
void DeviceView::AddStrings(std::string_view name, const std::vector<std::string>& values) {
  AddAttribute(name, ListOf(*arena_, values, [this](const auto& value) { return MakeString(arena_->Copy(value)); }));
}
void DeviceView::AddVersions(std::string_view name, const std::vector<std::string>& values) {
  AddAttribute(name, ListOf(*arena_, values, [&](const auto& value) {
                 Value version;
                 return ParseVersion(name, value, version) ? version : MakeNull();
               }));
}

void DeviceView::AddUnsupported(std::string_view name) {
  if (error_.empty()) error_ = absl::StrCat("attribute ", AsAbsl(name), ": unsupported attribute value");
}

void DeviceView::AddCapacity(std::string_view name, std::string_view quantity) {
  CelQuantity parsed;
  if (const std::string_view error = ParseQuantity(quantity, parsed); !error.empty()) {
    if (error_.empty()) error_ = absl::StrCat("capacity ", AsAbsl(name), ": ", AsAbsl(error));
    return;
  }
  Value value = Make(Kind::kQuantity);
  value.quantity = Store(*arena_, parsed);
  Put(capacity_, name, value);
}

// ---- Programs --------------------------------------------------------------------------------------------------

struct Scratch::State {
  Frame frame;
};

Scratch::Scratch() : state_(std::make_unique<State>()) {}
Scratch::Scratch(Scratch&&) noexcept = default;
Scratch& Scratch::operator=(Scratch&&) noexcept = default;
Scratch::~Scratch() = default;

Program::Program(std::unique_ptr<const Code> code) : code_(std::move(code)) {}
Program::Program(Program&&) noexcept = default;
Program& Program::operator=(Program&&) noexcept = default;
Program::~Program() = default;

Result Program::Evaluate(const DeviceView& device, Scratch& scratch, uint64_t cost_limit) const {
  Result result;
  if (!device.error_.empty()) {
    result.outcome = Result::Outcome::kError;
    result.message = device.error_;
    return result;
  }
  const Evaluation evaluation = Run(*code_, device.device_, scratch.state_->frame, cost_limit);
  result.cost = evaluation.cost;
  Value value = evaluation.value;
  // A dyn result may be an optional, which converts to bool as what it has.
  while (value.kind == Kind::kOptional && value.inner != nullptr) value = *value.inner;
  if (value.kind == Kind::kBool) {
    result.value = value.boolean;
    return result;
  }
  result.outcome = evaluation.exceeded ? Result::Outcome::kCostExceeded : Result::Outcome::kError;
  result.message = value.is_error() ? std::string(value.view())
                                    : absl::StrCat("CEL result of type ", AsAbsl(TypeName(evaluation.value)),
                                                   " could not be converted to bool: ", AsAbsl(WhyNotBool(value)));
  return result;
}

namespace {

// An element of a derived value, or the value; optionals count as what they have, types as their names.
bool AddTo(DeviceAttribute& attribute, Value value) {
  using Type = DeviceAttribute::Type;
  while (value.kind == Kind::kOptional && value.inner != nullptr) value = *value.inner;
  const Type type = value.kind == Kind::kBool                                  ? Type::kBool
                    : value.kind == Kind::kInt                                 ? Type::kInt
                    : value.kind == Kind::kString || value.kind == Kind::kType ? Type::kString
                    : value.kind == Kind::kSemver                              ? Type::kVersion
                                                                               : Type::kUnknown;
  if (type == Type::kUnknown || (attribute.type != Type::kUnknown && attribute.type != type)) return false;
  attribute.type = type;
  switch (type) {
    case Type::kBool: attribute.ints.push_back(value.boolean); break;
    case Type::kInt: attribute.ints.push_back(value.integer); break;
    case Type::kString: attribute.texts.emplace_back(value.view()); break;
    default: attribute.texts.emplace_back(value.semver->text);
  }
  return true;
}

std::string_view NameOf(DeviceAttribute::Type type) {
  switch (type) {
    case DeviceAttribute::Type::kBool: return "bool";
    case DeviceAttribute::Type::kInt: return "int";
    case DeviceAttribute::Type::kString: return "string";
    default: return "semver";
  }
}

absl::StatusOr<DeviceAttribute> AttributeOf(const Value& value) {
  DeviceAttribute attribute;
  if (value.kind != Kind::kList) {
    if (AddTo(attribute, value)) return attribute;
    return absl::InvalidArgumentError(absl::StrCat("unsupported CEL return type: ", AsAbsl(TypeName(value))));
  }
  attribute.list = true;
  for (uint32_t i = 0; i < value.list->size; ++i) {
    const Value& item = value.list->items[i];
    if (AddTo(attribute, item)) continue;
    if (i == 0) {
      return absl::InvalidArgumentError(absl::StrCat("unsupported list element type: ", AsAbsl(TypeName(item))));
    }
    return absl::InvalidArgumentError(absl::StrCat("expected list element at index ", i, " to be ",
                                                   AsAbsl(NameOf(attribute.type)), ", got ", AsAbsl(TypeName(item))));
  }
  if (value.list->size == 0) attribute.type = DeviceAttribute::Type::kString;
  return attribute;
}

bool IsAttribute(const Type* type) {
  const BasicTypes& basic = Basic();
  return IsDyn(type) || type == &basic.boolean || type == &basic.integer || type == &basic.string ||
         type == &basic.semver;
}

}  // namespace

absl::StatusOr<DeviceAttribute> Program::Derive(const DeviceView& device, Scratch& scratch) const {
  if (!device.error_.empty()) return absl::InvalidArgumentError(device.error_);
  const Evaluation evaluation = Run(*code_, device.device_, scratch.state_->frame, kCostLimit);
  if (evaluation.value.is_error()) return absl::InvalidArgumentError(AsAbsl(evaluation.value.view()));
  return AttributeOf(evaluation.value);
}

namespace {

// `wants_instead`: "" where the result's type is as it must be, else what it must be.
template <typename Wants>
absl::StatusOr<std::unique_ptr<Code>> CompileCode(std::string_view expression, Wants wants_instead) {
  if (expression.size() > kMostExpressionBytes) {
    return absl::InvalidArgumentError(absl::StrCat("too long: may not be more than ", kMostExpressionBytes, " bytes"));
  }
  Ast ast;
  TypeTable types;
  const absl::StatusOr<Expr*> root = Parse(expression, ast);
  if (!root.ok()) return absl::InvalidArgumentError(absl::StrCat("compilation failed: ", root.status().message()));
  absl::Status checked = Check(expression, *root, types);
  if (checked.ok()) checked = Validate(expression, *root);
  if (!checked.ok()) return absl::InvalidArgumentError(absl::StrCat("compilation failed: ", checked.message()));
  if (const std::string_view wants = wants_instead((*root)->type); !wants.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("must evaluate to ", AsAbsl(wants), ", not ", FormatType((*root)->type, true)));
  }
  return Plan(*root);
}

}  // namespace

absl::StatusOr<Program> Compile(std::string_view expression) {
  auto code = CompileCode(expression, [](const Type* type) -> std::string_view {
    return IsDyn(type) || type == &Basic().boolean ? "" : "bool or the unknown type";
  });
  if (!code.ok()) return code.status();
  return Program(*std::move(code));
}

absl::StatusOr<Program> CompileDerived(std::string_view expression) {
  auto code = CompileCode(expression, [](const Type* type) -> std::string_view {
    const Type* element = type->kind == TypeKind::kList ? type->params[0] : type;
    return IsAttribute(element) ? ""
                                : "a primitive scalar (string, integer, boolean, semver) or a list of these scalars";
  });
  if (!code.ok()) return code.status();
  return Program(*std::move(code));
}

}  // namespace muster::cel
