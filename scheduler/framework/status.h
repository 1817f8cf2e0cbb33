// What a plugin answers. "Does not fit" is data (Outcome); absl::Status means something is broken.
#ifndef MUSTER_SCHEDULER_FRAMEWORK_STATUS_H_
#define MUSTER_SCHEDULER_FRAMEWORK_STATUS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace muster {

// kube-scheduler's outcome codes.
enum class Code : uint8_t {
  kSuccess,
  kUnschedulable,                 // does not fit now; preemption may help
  kUnschedulableAndUnresolvable,  // does not fit, and no preemption changes that
  kWait,
  kSkip,  // the plugin has nothing to say about this pod
  kPending,
};

constexpr std::string_view CodeName(Code code) {
  constexpr std::string_view kNames[] = {"Success", "Unschedulable", "UnschedulableAndUnresolvable",
                                         "Wait",    "Skip",          "Pending"};
  return kNames[static_cast<size_t>(code)];
}

struct Outcome {
  Code code = Code::kSuccess;
  std::vector<std::string> reasons;
  // Of a PreFilter that succeeds: the names of the only nodes that can do, if it knows such; sorted,
  // no name twice, known to the snapshot or not.
  std::optional<std::vector<std::string>> only;

  static Outcome Success() { return {}; }
  static Outcome Skip() { return {Code::kSkip, {}, {}}; }
  static Outcome Only(std::vector<std::string> nodes) { return {Code::kSuccess, {}, std::move(nodes)}; }
  static Outcome Unschedulable(std::string reason) { return {Code::kUnschedulable, {std::move(reason)}, {}}; }
  static Outcome Unresolvable(std::string reason) {
    return {Code::kUnschedulableAndUnresolvable, {std::move(reason)}, {}};
  }
  bool ok() const { return code == Code::kSuccess; }
  bool skip() const { return code == Code::kSkip; }
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_FRAMEWORK_STATUS_H_
