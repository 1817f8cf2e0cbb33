#include "scheduler/wire/group_words.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <optional>

#include "absl/strings/str_cat.h"
#include "scheduler/model/label_syntax.h"
#include "scheduler/wire/field_reader.h"

namespace muster {
namespace {

std::optional<int32_t> ReadNumber(std::string_view text, int32_t least) {
  int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least) return std::nullopt;
  return value;
}

bool IsOneOf(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

}  // namespace

const std::array<std::string_view, GroupWords::kWordCount> GroupWords::kKeys = {
    "scheduling.x-k8s.io/pod-group",
    "muster.dev/gang",
    "muster.dev/gang-size",
    "batch.kubernetes.io/job-completion-index",
    "leaderworkerset.sigs.k8s.io/worker-index",
    "apps.kubernetes.io/pod-index",
    "kueue.x-k8s.io/max-exec-time-seconds",
    "batch.kubernetes.io/job-completion-index",
    "kueue.x-k8s.io/podset-required-topology",
    "kueue.x-k8s.io/podset-preferred-topology",
    "kueue.x-k8s.io/podset-unconstrained-topology",
    "kueue.x-k8s.io/podset-slice-required-topology",
    "kueue.x-k8s.io/podset-slice-size",
    "kueue.x-k8s.io/podset-slice-required-topology-constraints",
    "kueue.x-k8s.io/max-exec-time-seconds",
};

void GroupWords::Add(Range range, std::string_view entry) {
  std::string_view key, value;
  for (FieldReader field(entry); field.Next();) {
    if (field.number() == 1) key = field.bytes();
    if (field.number() == 2) value = field.bytes();
  }
  for (size_t word = range.first; word < range.end; ++word) {
    if (kKeys[word] != key) continue;
    values_[word] = value;
    present_ |= 1u << word;
  }
}

std::string GroupWords::Field(Word word) const {
  return absl::StrCat("metadata.", word < kLabels.end ? "labels" : "annotations", "[", AsAbsl(kKeys[word]), "]");
}

GroupRef GroupWords::Group(std::string* error) const {
  if (!pod_group_.empty()) return {GroupRef::Source::kNative, std::string(pod_group_)};
  if (!values_[kCoscheduling].empty()) return {GroupRef::Source::kCoscheduling, std::string(values_[kCoscheduling])};
  if (!Has(kGang)) {
    if (Has(kGangSize)) *error = absl::StrCat(Field(kGang), ": must be set where ", AsAbsl(kKeys[kGangSize]), " is");
    return {};
  }
  const auto size = ReadNumber(values_[kGangSize], 1);
  if (values_[kGang].empty()) {
    *error = absl::StrCat(Field(kGang), ": must not be empty");
  } else if (!Has(kGangSize)) {
    *error = absl::StrCat(Field(kGangSize), ": must be set where ", AsAbsl(kKeys[kGang]), " is");
  } else if (!size) {
    *error = absl::StrCat(Field(kGangSize), ": \"", AsAbsl(values_[kGangSize]), "\" is no whole number of at least 1");
  } else {
    return {GroupRef::Source::kLabels, std::string(values_[kGang]), *size};
  }
  return {};
}

TopologyRequest GroupWords::Topology(std::string* error) const {
  using Mode = TopologyRequest::Mode;
  constexpr uint32_t kAny = 1u << kRequired | 1u << kPreferred | 1u << kUnconstrained | 1u << kSliceRequired |
                            1u << kSliceSize | 1u << kSliceLevels;
  if ((present_ & kAny) == 0) return {};
  const auto fail = [&](Word word, std::string_view why) {
    *error = absl::StrCat(Field(word), ": ", AsAbsl(why));
    return TopologyRequest();
  };
  const auto beside = [&](Word word, Word other) {
    return fail(word, absl::StrCat("may not be set beside ", AsAbsl(kKeys[other])));
  };
  if (Has(kRequired) && Has(kPreferred)) return beside(kPreferred, kRequired);
  if (Has(kUnconstrained) && Has(kRequired)) return beside(kUnconstrained, kRequired);
  if (Has(kUnconstrained) && Has(kPreferred)) return beside(kUnconstrained, kPreferred);
  if (Has(kSliceLevels)) return fail(kSliceLevels, "slices of several levels are not supported");
  for (const Word word : {kRequired, kPreferred, kSliceRequired}) {
    if (Has(word) && !IsLabelKey(values_[word]))
      return fail(word, absl::StrCat("\"", AsAbsl(values_[word]), "\" is no node label's key"));
  }
  TopologyRequest request;
  if (Has(kRequired) || Has(kPreferred)) {
    request.mode = Has(kRequired) ? Mode::kRequired : Mode::kPreferred;
    request.level = values_[Has(kRequired) ? kRequired : kPreferred];
  }
  if (Has(kUnconstrained)) {
    const std::string_view text = values_[kUnconstrained];
    if (IsOneOf(text, {"1", "t", "T", "true", "TRUE", "True"})) {
      request.mode = Mode::kUnconstrained;
    } else if (!IsOneOf(text, {"0", "f", "F", "false", "FALSE", "False"})) {
      return fail(kUnconstrained, absl::StrCat("\"", AsAbsl(text), "\" is neither true nor false"));
    }
  }
  if (Has(kSliceSize) && !Has(kSliceRequired))
    return fail(kSliceSize, absl::StrCat("may not be set without ", AsAbsl(kKeys[kSliceRequired])));
  if (!Has(kSliceRequired)) return request;
  const auto size = ReadNumber(values_[kSliceSize], 1);
  if (!Has(kSliceSize))
    return fail(kSliceSize, absl::StrCat("must be set where ", AsAbsl(kKeys[kSliceRequired]), " is"));
  if (!size)
    return fail(kSliceSize, absl::StrCat("\"", AsAbsl(values_[kSliceSize]), "\" is no whole number of at least 1"));
  request.slice_level = values_[kSliceRequired];
  request.slice_size = *size;
  // Slices alone: they may lie anywhere.
  if (request.mode == Mode::kNone) request.mode = Mode::kUnconstrained;
  return request;
}

int32_t GroupWords::Rank(bool matters, std::string* error) const {
  // A LeaderWorkerSet's pods have both of the last: there the pod's index is that of its StatefulSet.
  for (const Word word : {kJobIndex, kOldJobIndex, kWorkerIndex, kPodIndex}) {
    if (!Has(word)) continue;
    if (const auto rank = ReadNumber(values_[word], 0)) return *rank;
    if (matters) *error = absl::StrCat(Field(word), ": \"", AsAbsl(values_[word]), "\" is no index");
    break;
  }
  return -1;
}

std::optional<Duration> GroupWords::MaxRunTime() const {
  const auto seconds = ReadNumber(values_[Has(kMaxRunTime) ? kMaxRunTime : kMaxRunTimeNote], 1);
  return seconds ? std::optional(absl::Seconds(*seconds)) : std::nullopt;
}

void GroupWords::Read(Pod* pod) const {
  if (present_ == 0 && pod_group_.empty()) return;
  std::string errors[3];
  pod->group = Group(&errors[0]);
  pod->topology = Topology(&errors[1]);
  pod->rank = Rank(pod->group.present() || pod->topology.present(), &errors[2]);
  if (const auto limit = MaxRunTime()) pod->max_runtime = std::min(*limit, pod->max_runtime.value_or(*limit));
  for (std::string& error : errors) {
    if (pod->invalid.empty()) pod->invalid = std::move(error);
  }
}

}  // namespace muster
