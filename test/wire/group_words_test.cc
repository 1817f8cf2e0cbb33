// What a pod says about its group.
#include "scheduler/wire/group_words.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "scheduler/wire/decode.h"
#include "scheduler/wire/proto/core_v1.pb.h"

namespace muster {
namespace {

namespace core = k8s::io::api::core::v1;
using Words = std::vector<std::pair<const char*, const char*>>;

core::Pod WirePod(const Words& labels, const Words& annotations, const std::string& pod_group = "") {
  core::Pod pod;
  pod.mutable_metadata()->set_name("p");
  for (const auto& [key, value] : labels) (*pod.mutable_metadata()->mutable_labels())[key] = value;
  for (const auto& [key, value] : annotations) (*pod.mutable_metadata()->mutable_annotations())[key] = value;
  if (!pod_group.empty()) pod.mutable_spec()->mutable_schedulinggroup()->set_podgroupname(pod_group);
  return pod;
}

PodPtr Read(const Words& labels, const Words& annotations, const std::string& pod_group = "") {
  return Decoder().DecodePod(WirePod(labels, annotations, pod_group).SerializeAsString());
}

constexpr char kCoscheduling[] = "scheduling.x-k8s.io/pod-group";
constexpr char kGang[] = "muster.dev/gang";
constexpr char kSize[] = "muster.dev/gang-size";
constexpr char kRequired[] = "kueue.x-k8s.io/podset-required-topology";
constexpr char kPreferred[] = "kueue.x-k8s.io/podset-preferred-topology";
constexpr char kUnconstrained[] = "kueue.x-k8s.io/podset-unconstrained-topology";
constexpr char kSlice[] = "kueue.x-k8s.io/podset-slice-required-topology";
constexpr char kSliceSize[] = "kueue.x-k8s.io/podset-slice-size";
constexpr char kSliceLevels[] = "kueue.x-k8s.io/podset-slice-required-topology-constraints";
constexpr char kJobIndex[] = "batch.kubernetes.io/job-completion-index";
constexpr char kWorkerIndex[] = "leaderworkerset.sigs.k8s.io/worker-index";
constexpr char kPodIndex[] = "apps.kubernetes.io/pod-index";

TEST(GroupWords, TheFirstGroupThatIsNamedCounts) {
  const struct {
    Words labels;
    const char* pod_group;
    std::string want;  // source, name, size
    std::string invalid;
  } kRows[] = {
      {{}, "", "none", ""},
      {{{"app", "x"}}, "", "none", ""},
      {{}, "g", "native g 0", ""},
      {{{kCoscheduling, "c"}}, "", "coscheduling c 0", ""},
      {{{kCoscheduling, ""}}, "", "none", ""},
      {{{kGang, "l"}, {kSize, "3"}}, "", "labels l 3", ""},
      {{{kGang, "l"}, {kSize, "3"}, {kCoscheduling, "c"}}, "", "coscheduling c 0", ""},
      {{{kGang, "l"}, {kSize, "3"}, {kCoscheduling, "c"}}, "g", "native g 0", ""},
      {{{kGang, "l"}, {kSize, "-"}}, "g", "native g 0", ""},  // what does not count is not read
      {{{kGang, "l"}}, "", "none", "metadata.labels[muster.dev/gang-size]: must be set where muster.dev/gang is"},
      {{{kSize, "2"}}, "", "none", "metadata.labels[muster.dev/gang]: must be set where muster.dev/gang-size is"},
      {{{kGang, ""}, {kSize, "2"}}, "", "none", "metadata.labels[muster.dev/gang]: must not be empty"},
      {{{kGang, "l"}, {kSize, ""}}, "", "none", "[muster.dev/gang-size]: \"\" is no whole number of at least 1"},
      {{{kGang, "l"}, {kSize, "0"}}, "", "none", "[muster.dev/gang-size]: \"0\" is no whole number of at least 1"},
      {{{kGang, "l"}, {kSize, "2x"}}, "", "none", "[muster.dev/gang-size]: \"2x\" is no whole number of at least 1"},
      {{{kGang, "l"}, {kSize, "2147483648"}}, "", "none", "\"2147483648\" is no whole number of at least 1"},
  };
  constexpr const char* kSources[] = {"none", "native", "coscheduling", "labels"};
  for (const auto& row : kRows) {
    const PodPtr pod = Read(row.labels, {}, row.pod_group);
    const GroupRef& group = pod->group;
    const std::string source = kSources[static_cast<size_t>(group.source)];
    EXPECT_EQ(group.present() ? absl::StrCat(source, " ", group.name, " ", group.size) : source, row.want);
    EXPECT_NE(pod->invalid.find(row.invalid), std::string::npos) << pod->invalid << " / " << row.invalid;
    EXPECT_EQ(pod->invalid.empty(), row.invalid.empty()) << pod->invalid;
  }
}

TEST(GroupWords, Topology) {
  const struct {
    Words annotations;
    std::string want;  // mode, level, slices
    std::string invalid;
  } kRows[] = {
      {{}, "none", ""},
      {{{kRequired, "example.com/rack"}}, "required example.com/rack", ""},
      {{{kPreferred, "rack"}}, "preferred rack", ""},
      {{{kUnconstrained, "true"}}, "unconstrained", ""},
      {{{kUnconstrained, "T"}}, "unconstrained", ""},
      {{{kUnconstrained, "false"}}, "none", ""},
      {{{kUnconstrained, "yes"}}, "none", "[kueue.x-k8s.io/podset-unconstrained-topology]: \"yes\" is neither"},
      {{{kSlice, "host"}, {kSliceSize, "4"}}, "unconstrained, 4 a host", ""},
      {{{kRequired, "b"}, {kSlice, "r"}, {kSliceSize, "2"}}, "required b, 2 a r", ""},
      {{{kPreferred, "b"}, {kSlice, "r"}, {kSliceSize, "2"}}, "preferred b, 2 a r", ""},
      {{{kRequired, "a"}, {kPreferred, "b"}},
       "none",
       "[kueue.x-k8s.io/podset-preferred-topology]: may not be set beside"},
      {{{kRequired, "a"}, {kUnconstrained, "true"}}, "none", "may not be set beside kueue.x-k8s.io/podset-required"},
      {{{kPreferred, "a"}, {kUnconstrained, "true"}}, "none", "may not be set beside kueue.x-k8s.io/podset-preferred"},
      {{{kRequired, ""}}, "none", "[kueue.x-k8s.io/podset-required-topology]: \"\" is no node label's key"},
      {{{kPreferred, "a/b/c"}}, "none", "[kueue.x-k8s.io/podset-preferred-topology]: \"a/b/c\" is no node label's key"},
      {{{kRequired, "Example.com/a"}}, "none", "is no node label's key"},
      {{{kRequired, "a..b/c"}}, "none", "is no node label's key"},
      {{{kRequired, "a-.b/c"}}, "none", "is no node label's key"},
      {{{kRequired, "-a"}}, "none", "is no node label's key"},
      {{{kRequired, "a b"}}, "none", "is no node label's key"},
      {{{kSlice, "r"}}, "none", "[kueue.x-k8s.io/podset-slice-size]: must be set where"},
      {{{kSliceSize, "2"}}, "none", "[kueue.x-k8s.io/podset-slice-size]: may not be set without"},
      {{{kRequired, "b"}, {kSliceSize, "2"}}, "none", "[kueue.x-k8s.io/podset-slice-size]: may not be set without"},
      {{{kSlice, "r"}, {kSliceSize, "0"}}, "none", "\"0\" is no whole number of at least 1"},
      {{{kSlice, "r"}, {kSliceSize, "two"}}, "none", "\"two\" is no whole number of at least 1"},
      {{{kSlice, "r/"}, {kSliceSize, "2"}}, "none", "[kueue.x-k8s.io/podset-slice-required-topology]: \"r/\" is no"},
      {{{kSliceLevels, "[]"}}, "none", "slices of several levels are not supported"},
  };
  constexpr const char* kModes[] = {"none", "unconstrained", "preferred", "required"};
  for (const auto& row : kRows) {
    const PodPtr pod = Read({}, row.annotations);
    const TopologyRequest& topology = pod->topology;
    std::string text = kModes[static_cast<size_t>(topology.mode)];
    if (!topology.level.empty()) text += " " + topology.level;
    if (!topology.slice_level.empty()) absl::StrAppend(&text, ", ", topology.slice_size, " a ", topology.slice_level);
    EXPECT_EQ(text, row.want) << row.invalid;
    EXPECT_NE(pod->invalid.find(row.invalid), std::string::npos) << pod->invalid << " / " << row.invalid;
    EXPECT_EQ(pod->invalid.empty(), row.invalid.empty()) << pod->invalid;
  }
}

TEST(GroupWords, Rank) {
  const struct {
    Words labels, annotations;
    int32_t want;
    bool invalid_in_group;
  } kRows[] = {
      {{}, {}, -1, false},
      {{{kJobIndex, "0"}}, {}, 0, false},
      {{}, {{kJobIndex, "7"}}, 7, false},
      {{{kJobIndex, "6"}}, {{kJobIndex, "7"}}, 6, false},
      {{{kPodIndex, "5"}}, {}, 5, false},
      {{{kWorkerIndex, "4"}, {kPodIndex, "5"}}, {}, 4, false},  // a leader's pod index counts groups
      {{}, {{kPodIndex, "5"}}, -1, false},
      {{{kJobIndex, "-1"}}, {}, -1, true},
      {{{kJobIndex, "x"}, {kPodIndex, "5"}}, {}, -1, true},
  };
  for (const auto& row : kRows) {
    const PodPtr alone = Read(row.labels, row.annotations), member = Read(row.labels, row.annotations, "g");
    EXPECT_EQ(alone->rank, row.want);
    EXPECT_EQ(member->rank, row.want);
    EXPECT_EQ(alone->invalid, "");
    EXPECT_EQ(!member->invalid.empty(), row.invalid_in_group) << member->invalid;
  }
}

TEST(GroupWords, PodsOfDifferentGroupsHaveOneShape) {
  Decoder decoder;
  const PodPtr a = decoder.DecodePod(WirePod({}, {{kRequired, "rack"}, {kJobIndex, "1"}}, "a").SerializeAsString());
  const PodPtr b = decoder.DecodePod(WirePod({}, {}, "b").SerializeAsString());
  EXPECT_EQ(a->spec, b->spec);
  EXPECT_EQ(a->group.name, "a");
  EXPECT_EQ(b->group.name, "b");
}

TEST(GroupWords, AnEarlierReasonStands) {
  core::Pod pod = WirePod({{kGang, "g"}}, {});
  (*pod.mutable_spec()->mutable_overhead())["cpu"].set_string("?");
  EXPECT_EQ(Decoder().DecodePod(pod.SerializeAsString())->invalid.find("spec.overhead[cpu]"), 0u);
}

TEST(GroupWords, MaxRunTime) {
  constexpr char kMax[] = "kueue.x-k8s.io/max-exec-time-seconds";
  const struct {
    int64_t deadline;  // 0: none
    Words labels, annotations;
    int64_t want;  // seconds; -1: not known
  } kRows[] = {
      {0, {}, {}, -1},
      {90, {}, {}, 90},
      {0, {{kMax, "60"}}, {}, 60},
      {0, {}, {{kMax, "60"}}, 60},
      {90, {{kMax, "60"}}, {}, 60},  // whichever is less
      {90, {}, {{kMax, "600"}}, 90},
      {0, {{kMax, "60"}}, {{kMax, "30"}}, 60},  // the label counts
      {90, {{kMax, "0"}}, {}, 90},
      {0, {{kMax, "-5"}}, {}, -1},
      {0, {{kMax, "1m"}}, {}, -1},
      {0, {{kMax, ""}}, {{kMax, "30"}}, -1},
      {0, {{kMax, "99999999999"}}, {}, -1},
  };
  for (const auto& row : kRows) {
    core::Pod wire = WirePod(row.labels, row.annotations);
    if (row.deadline != 0) wire.mutable_spec()->set_activedeadlineseconds(row.deadline);
    const PodPtr pod = Decoder().DecodePod(wire.SerializeAsString());
    EXPECT_EQ(pod->invalid, "");
    EXPECT_EQ(pod->max_runtime ? absl::ToInt64Seconds(*pod->max_runtime) : -1, row.want)
        << row.deadline << testing::PrintToString(row.labels) << testing::PrintToString(row.annotations);
    EXPECT_FALSE(pod->group.present());
  }
}

}  // namespace
}  // namespace muster
