// Device selectors: CEL expressions over one device, in the environment that kube-scheduler 1.37 compiles stored
// selectors in. Compile once, evaluate for each device; values, errors and costs are kube-scheduler's.
#ifndef MUSTER_TOPOLOGY_CEL_CEL_H_
#define MUSTER_TOPOLOGY_CEL_CEL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "scheduler/model/device.h"
#include "topology/cel/value.h"

namespace muster::cel {

inline constexpr size_t kMostExpressionBytes = 10 * 1024;
inline constexpr uint64_t kCostLimit = 1'000'000;

// A device as selectors see it. Filled, then only read (any thread). The names and texts are copied; some 16 KiB each.
class DeviceView {
 public:
  explicit DeviceView(std::string_view driver, bool allow_multiple_allocations = false);
  // Starts over for another device, in the memory of the one before.
  void Reset(std::string_view driver, bool allow_multiple_allocations);
  DeviceView(DeviceView&&) noexcept;
  DeviceView& operator=(DeviceView&&) noexcept;
  ~DeviceView();

  // `name` is "domain/id" or "id", which stands for the driver's domain. A name added twice has the last value.
  void AddInt(std::string_view name, int64_t value);
  void AddBool(std::string_view name, bool value);
  void AddString(std::string_view name, std::string_view value);
  // A version that is no semantic version makes every evaluation an error, as upstream has it.
  void AddVersion(std::string_view name, std::string_view value);
  void AddInts(std::string_view name, const std::vector<int64_t>& values);
  void AddBools(std::string_view name, const std::vector<bool>& values);
  void AddStrings(std::string_view name, const std::vector<std::string>& values);
  void AddVersions(std::string_view name, const std::vector<std::string>& values);
  // An attribute of no type that is known makes every evaluation an error, too.
  void AddUnsupported(std::string_view name);
  // `quantity` as the API writes it. Malformed ones make every evaluation an error.
  void AddCapacity(std::string_view name, std::string_view quantity);

 private:
  friend class Program;
  void AddAttribute(std::string_view name, Value value);
  bool ParseVersion(std::string_view name, std::string_view text, Value& value);
  void Put(Map* domains, std::string_view name, Value value);

  std::unique_ptr<Arena> arena_;
  Value device_;
  Map* attributes_;
  Map* capacity_;
  std::string_view driver_;
  std::string error_;  // of a malformed version or quantity
};

// Memory of evaluations, to be used again and again: a thread's own.
class Scratch {
 public:
  Scratch();
  Scratch(Scratch&&) noexcept;
  Scratch& operator=(Scratch&&) noexcept;
  ~Scratch();

 private:
  friend class Program;
  struct State;
  std::unique_ptr<State> state_;
};

struct Result {
  enum class Outcome : uint8_t { kValue, kError, kCostExceeded };
  Outcome outcome = Outcome::kValue;
  bool value = false;
  std::string message;  // why there is no value
  uint64_t cost = 0;    // cel-go's actual cost
};

struct Code;

// A compiled expression. Immutable: any number of threads may evaluate it, each with its own Scratch.
class Program {
 public:
  Program(Program&&) noexcept;
  Program& operator=(Program&&) noexcept;
  ~Program();

  // Allocates nothing but for error messages, results of string functions and the like.
  Result Evaluate(const DeviceView& device, Scratch& scratch, uint64_t cost_limit = kCostLimit) const;
  // The value of a CompileDerived, or why there is none (InvalidArgument).
  absl::StatusOr<DeviceAttribute> Derive(const DeviceView& device, Scratch& scratch) const;

 private:
  friend absl::StatusOr<Program> Compile(std::string_view expression);
  friend absl::StatusOr<Program> CompileDerived(std::string_view expression);
  explicit Program(std::unique_ptr<const Code> code);

  std::unique_ptr<const Code> code_;
};

// Errors (InvalidArgument) where kube-scheduler refuses the expression: syntax, types, malformed literals, a result
// that is neither bool nor dyn; and expressions of more than 10 KiB.
absl::StatusOr<Program> Compile(std::string_view expression);

// The same for an attribute derived from others: a bool, int, string or version, or a list of one of these.
absl::StatusOr<Program> CompileDerived(std::string_view expression);

}  // namespace muster::cel

#endif  // MUSTER_TOPOLOGY_CEL_CEL_H_
