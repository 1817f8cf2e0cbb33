// What was decided, entry by entry, and the running hash that proves two runs equal.
#ifndef MUSTER_SCHEDULER_RUNTIME_DECISION_LOG_H_
#define MUSTER_SCHEDULER_RUNTIME_DECISION_LOG_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "scheduler/model/ids.h"
#include "scheduler/model/stable_hash.h"

namespace muster {

// One entry. Texts are borrowed: they live as long as the call that gets the entry. The engine
// keeps one Decision and clears it, so that a steady state allocates nothing.
struct Decision {
  enum class Result : uint8_t { kBound, kUnschedulable, kError, kGated };

  struct Member {
    std::string_view ns, name;
    std::string_view node;  // empty: placed nowhere
    int64_t score = 0;      // the node's weighted total
  };
  struct Rejection {
    std::string_view plugin;
    std::string_view reason;
    uint32_t nodes = 0;  // how many nodes it kept out; 0: the pod as a whole
  };
  // What the decision took; told to readers, but no part of the hash: a better cache may lower it.
  struct Work {
    uint64_t nodes_filtered = 0;
    uint64_t nodes_scored = 0;
    bool from_cache = false;  // the shape's answer was known
  };

  uint64_t cycle = 0;
  Time at;
  std::string_view profile;
  Result result = Result::kBound;
  std::string_view code;     // kube-scheduler's outcome code, where not bound
  std::string_view message;  // as told to the user: the condition's text
  std::string_view group;    // "namespace/name", where the pods have one
  std::vector<Member> pods;  // the group, in the order placed
  std::vector<Rejection> rejections;
  std::vector<std::string_view> may_help;  // the events which could change the answer
  Work work;

  void Clear();
};

std::string_view ResultName(Decision::Result result);  // "bound", "unschedulable", ...

// The entry as one line of JSON, without the newline. Text that is not UTF-8 is made so.
std::string ToJsonLine(const Decision& decision);

// Owner and only user: the decision thread.
class DecisionLog {
 public:
  using Observer = std::function<void(const Decision&)>;

  // Hashes the entry, then shows it to each observer, in the order in which they were added.
  void Add(const Decision& decision);
  void AddObserver(Observer observer) { observers_.push_back(std::move(observer)); }

  uint64_t entries() const { return entries_; }
  // Hash of all entries so far, of everything in them but `work`.
  uint64_t Hash() const { return hasher_.Digest(); }

 private:
  StableHasher hasher_;
  uint64_t entries_ = 0;
  std::vector<Observer> observers_;
};

// An observer that writes each entry as a line of JSON to a file, anew. Errors: cannot be opened.
// A write that fails later (disk full) is reported once on standard error and ends the writing.
absl::StatusOr<DecisionLog::Observer> WriteDecisionsTo(const std::string& path);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_RUNTIME_DECISION_LOG_H_
