// The flat form of a checked expression, and what evaluates it. Inside topology/cel only.
#ifndef MUSTER_TOPOLOGY_CEL_PROGRAM_H_
#define MUSTER_TOPOLOGY_CEL_PROGRAM_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "topology/cel/library/cost.h"
#include "topology/cel/library/function.h"
#include "topology/cel/library/regex.h"
#include "topology/cel/syntax/ast.h"
#include "topology/cel/value.h"

namespace muster::cel {

enum class Op : uint8_t {
  kConst,        // constants[a]
  kVariable,     // slot a
  kAttribute,    // operand a, then qualifiers [b, b + count)
  kTest,         // the same, whether the last qualifier finds anything
  kAnd,          // children [b, b + count)
  kOr,           //
  kConditional,  // children [b, b + 3)
  kEqual,        // children [b, b + 2)
  kNotEqual,     //
  kCall,         // function, children [b, b + count)
  kIn,           // child b in the constant list c: costs nothing
  kOptionalOr,   // children [b, b + 2)
  kOrValue,      //
  kList,         // children [b, b + count)
  kMap,          // children [b, b + count): key, value, ...
  kFold,         // folds[a]
  kAppend,       // slot a, the fold's growing list; child b is the element
  kInsert,       // slot a, the fold's growing map; children [b, b + count): key and value, or a map
};

constexpr uint16_t kFree = 1;      // kVariable, kAttribute: costs nothing itself (a branch or an index)
constexpr uint16_t kOptional = 2;  // kList, kMap: some elements are written with '?'
constexpr uint16_t kEager = 4;     // kCall: an error in an argument ends it before the next one
constexpr uint16_t kLenient = 8;   // kCall: takes errors as arguments

struct Node {
  Op op;
  CostRule cost = CostRule::kOne;  // kCall, kAppend, kInsert
  uint16_t flags = 0;
  uint32_t count = 0;
  uint32_t a = 0, b = 0, c = 0;
  Implementation run = nullptr;
};

struct Qualifier {
  bool optional = false;
  bool constant = true;
  uint32_t index = 0;  // a constant, or a node
};

struct Fold {
  uint32_t range, init, condition, step, result;  // nodes
  uint32_t accu, variable, variable2;             // slots; variable2 is 0 for none (slot 0 is the device)
};

struct Code {
  std::vector<Node> nodes;
  std::vector<uint32_t> children;
  std::vector<bool> optional;  // by position in children: an element or value written with '?'
  std::vector<Qualifier> qualifiers;
  std::vector<Fold> folds;
  std::vector<Value> constants;
  std::vector<uint32_t> inits;     // by slot: the node of an accu's initial value; 0 for other slots, whose 0 is unused
  std::vector<std::string> names;  // by node: what a kCall's function is called, for messages
  uint32_t root = 0;
  Arena arena;         // of the constants
  RegexCache regexes;  // of the constants; read only once compiled
};

// Compiles a checked and validated tree. Errors are those of cel-go's program planning: constants that do not convert,
// regular expressions that do not compile.
absl::StatusOr<std::unique_ptr<Code>> Plan(const Expr* root);

struct Evaluation {
  Value value;  // in the scratch's arena, or an error
  uint64_t cost = 0;
  bool exceeded = false;
};

// Values of one evaluation's variables, and its memory.
struct Frame {
  Arena arena;
  RegexCache regexes;
  std::vector<Value> slots;
};

// `device` may be unset where the code has no variables.
Evaluation Run(const Code& code, const Value& device, Frame& frame, uint64_t cost_limit);

}  // namespace muster::cel

#endif  // MUSTER_TOPOLOGY_CEL_PROGRAM_H_
