// What a pod's labels and annotations say about the group that it starts with, and how long it runs.
#ifndef MUSTER_SCHEDULER_WIRE_GROUP_WORDS_H_
#define MUSTER_SCHEDULER_WIRE_GROUP_WORDS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "scheduler/model/pod.h"

namespace muster {

// Collects the few words that matter while a pod is walked over; keeps views into its bytes.
class GroupWords {
 public:
  // An entry of metadata.labels or metadata.annotations, serialised.
  void AddLabel(std::string_view entry) { Add(kLabels, entry); }
  void AddAnnotation(std::string_view entry) { Add(kAnnotations, entry); }
  void set_pod_group(std::string_view name) { pod_group_ = name; }  // spec.schedulingGroup.podGroupName

  // Sets the pod's group, topology and rank, and shortens its max_runtime. What makes no sense is told in
  // pod->invalid, if that is empty, and then counts as absent; a run time that makes none is not told.
  void Read(Pod* pod) const;

 private:
  enum Word : size_t {
    // Labels.
    kCoscheduling,
    kGang,
    kGangSize,
    kJobIndex,
    kWorkerIndex,
    kPodIndex,
    kMaxRunTime,
    // Annotations.
    kOldJobIndex,
    kRequired,
    kPreferred,
    kUnconstrained,
    kSliceRequired,
    kSliceSize,
    kSliceLevels,
    kMaxRunTimeNote,
    kWordCount,
  };
  struct Range {
    size_t first, end;
  };
  static constexpr Range kLabels{kCoscheduling, kOldJobIndex}, kAnnotations{kOldJobIndex, kWordCount};
  static const std::array<std::string_view, kWordCount> kKeys;

  void Add(Range range, std::string_view entry);
  bool Has(Word word) const { return (present_ >> word & 1) != 0; }
  std::string Field(Word word) const;  // "metadata.labels[KEY]"
  GroupRef Group(std::string* error) const;
  TopologyRequest Topology(std::string* error) const;
  int32_t Rank(bool matters, std::string* error) const;
  std::optional<Duration> MaxRunTime() const;

  std::array<std::string_view, kWordCount> values_;
  uint32_t present_ = 0;
  std::string_view pod_group_;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_WIRE_GROUP_WORDS_H_
