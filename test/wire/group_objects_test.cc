#include "scheduler/wire/group_objects.h"

#include <string>

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "scheduler/wire/decode.h"

namespace muster {
namespace {

namespace v1beta1 = k8s::io::api::scheduling::v1beta1;
namespace v1alpha2 = k8s::io::api::scheduling::v1alpha2;

template <typename T>
T Message(const std::string& text) {
  T message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  message.mutable_metadata()->set_name("g");
  message.mutable_metadata()->set_namespace_("team");
  return message;
}

template <typename T>
std::shared_ptr<PodGroup> Read(const std::string& text, const std::string& version) {
  const ObjectPtr object = Decoder().DecodeObject(Kind::kPodGroup, Message<T>(text).SerializeAsString(), version);
  return std::make_shared<PodGroup>(dynamic_cast<const PodGroup&>(*object));
}

TEST(PodGroup, OfV1Beta1) {
  for (const char* version : {"scheduling.k8s.io/v1beta1", "scheduling.k8s.io/v1alpha3"}) {
    const auto group = Read<v1beta1::PodGroup>(
        R"(metadata { uid: 'u' resourceVersion: '9' generation: 2 creationTimestamp { seconds: 5 } }
           spec { schedulingPolicy { gang { minCount: 4 } } schedulingConstraints { topology { key: 'a.b/rack' } }
                  disruptionMode { all {} } priority: 7 preemptionPolicy: 'Never' parentCompositePodGroupName: 'top' }
           status { conditions { type: 'PodGroupScheduled' status: 'True' }
                    conditions { type: 'PodGroupInitiallyScheduled' status: 'False' reason: 'r' message: 'm' } })",
        version);
    EXPECT_EQ(group->ns + "/" + group->name + " " + group->uid, "team/g u");
    EXPECT_EQ(group->resource_version, 9u);
    EXPECT_EQ(group->api_version, version);
    EXPECT_EQ(group->generation, 2);
    EXPECT_EQ(group->created, absl::FromUnixSeconds(5));
    EXPECT_TRUE(group->gang);
    EXPECT_EQ(group->min_count, 4);
    TopologyRequest rack;
    rack.mode = TopologyRequest::Mode::kRequired;
    rack.level = "a.b/rack";
    EXPECT_EQ(group->topology, rack);
    EXPECT_TRUE(group->disrupted_whole);
    EXPECT_EQ(group->priority, 7);
    EXPECT_EQ(group->preemption_policy, "Never");
    EXPECT_EQ(group->parent, "top");
    EXPECT_EQ(group->schedule_timeout, absl::InfiniteDuration());
    EXPECT_EQ(group->scheduled, (PodCondition{true, "False", "r", "m"}));
    EXPECT_EQ(group->invalid, "");
  }
}

TEST(PodGroup, OfV1Alpha2) {
  const auto group = Read<v1alpha2::PodGroup>(
      R"(spec { schedulingPolicy { gang { minCount: 4 } } schedulingConstraints { topology { key: 'rack' } }
                disruptionMode: 'PodGroup' priority: 7 }
         status { conditions { type: 'PodGroupScheduled' status: 'True' reason: 'Scheduled' } })",
      "scheduling.k8s.io/v1alpha2");
  EXPECT_EQ(group->api_version, "scheduling.k8s.io/v1alpha2");
  EXPECT_EQ(group->min_count, 4);
  EXPECT_EQ(group->topology.level, "rack");
  EXPECT_TRUE(group->disrupted_whole);
  EXPECT_EQ(group->priority, 7);
  EXPECT_EQ(group->scheduled, (PodCondition{true, "True", "Scheduled", ""}));
  EXPECT_EQ(group->invalid, "");
  EXPECT_FALSE(Read<v1alpha2::PodGroup>("spec { disruptionMode: 'Pod' }", group->api_version)->disrupted_whole);
}

TEST(PodGroup, Claims) {
  const std::string text = R"(
      spec { resourceClaims { name: 'a' resourceClaimName: 'c' } resourceClaims { name: 'b' resourceClaimTemplateName: 't' }
             resourceClaims { name: 'd' resourceClaimTemplateName: 't' } }
      status { resourceClaimStatuses { name: 'b' resourceClaimName: 'g-b' } })";
  const std::vector<PodClaim> want = {{"a", "", "c", true}, {"b", "t", "g-b", true}, {"d", "t", "", false}};
  EXPECT_EQ(Read<v1beta1::PodGroup>(text, "scheduling.k8s.io/v1beta1")->claims, want);
  EXPECT_EQ(Read<v1alpha2::PodGroup>(text, "scheduling.k8s.io/v1alpha2")->claims, want);
}

TEST(PodGroup, Basic) {
  const auto group = Read<v1beta1::PodGroup>(
      "spec { schedulingPolicy { basic {} } disruptionMode { single {} } preemptionPolicy: 'PreemptLowerPriority' }",
      "scheduling.k8s.io/v1beta1");
  EXPECT_FALSE(group->gang || group->disrupted_whole || group->priority || group->scheduled.present);
  EXPECT_FALSE(group->topology.present());
  EXPECT_EQ(group->min_count, 1);
  EXPECT_EQ(group->preemption_policy, "");
  EXPECT_EQ(group->invalid, "");
}

TEST(PodGroup, WhatMakesNoSenseIsTold) {
  const struct {
    const char *text, *want;
  } kRows[] = {
      {"", "spec.schedulingPolicy: must have exactly one of basic and gang"},
      {"spec { schedulingPolicy { basic {} gang { minCount: 1 } } }", "spec.schedulingPolicy: must have exactly one"},
      {"spec { schedulingPolicy { gang {} } }", "spec.schedulingPolicy.gang.minCount: must be at least 1"},
      {"spec { schedulingPolicy { gang { minCount: -1 } } }", "spec.schedulingPolicy.gang.minCount: must be at least"},
      {"spec { schedulingPolicy { basic {} } schedulingConstraints { topology { key: 'a' } topology { key: 'b' } } }",
       "spec.schedulingConstraints.topology: must have at most one item"},
      {"spec { schedulingPolicy { basic {} } schedulingConstraints { topology { } } }",
       "spec.schedulingConstraints.topology[0].key: \"\" is no node label's key"},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(Read<v1beta1::PodGroup>(row.text, "scheduling.k8s.io/v1beta1")->invalid.find(row.want), 0u) << row.want;
  }
}

TEST(PodGroup, OfCoscheduling) {
  const auto group = ReadPodGroup(Message<custom::CoschedulingPodGroup>(
                                      R"(spec { minMember: 3 scheduleTimeoutSeconds: 20
           minResources { key: 'memory' value { string: '1Ki' } } minResources { key: 'cpu' value { string: '1500m' } }
           minResources { key: 'a.b/gpu' value { string: '0' } } }
         status { phase: 'Running' scheduled: 4 running: 3 succeeded: 2 failed: 1 })"),
                                  "scheduling.x-k8s.io/v1alpha1");
  EXPECT_TRUE(group->gang);
  EXPECT_EQ(group->api_version, "scheduling.x-k8s.io/v1alpha1");
  EXPECT_EQ(group->min_count, 3);
  EXPECT_EQ(group->min_resources, (std::vector<Amount>{{"cpu", 1500}, {"memory", 1024}}));
  EXPECT_EQ(group->schedule_timeout, absl::Seconds(20));
  EXPECT_EQ(group->phase, "Running");
  EXPECT_EQ(group->members_scheduled * 1000 + group->members_running * 100 + group->members_succeeded * 10 +
                group->members_failed,
            4321);
  EXPECT_EQ(group->invalid, "");
  const struct {
    const char *text, *want;
  } kRows[] = {
      {"", "spec.minMember: must be at least 1"},
      {"spec { minMember: 1 scheduleTimeoutSeconds: -1 }", "spec.scheduleTimeoutSeconds: must not be negative"},
      {"spec { minMember: 1 minResources { key: 'cpu' value { string: 'x' } } }", "spec.minResources[cpu]: "},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(ReadPodGroup(Message<custom::CoschedulingPodGroup>(row.text), "v")->invalid.find(row.want), 0u);
  }
}

TEST(Topology, LevelsInOrder) {
  const auto topology = ReadTopology(Message<custom::Topology>(
      "spec { levels { nodeLabel: 'b' } levels { nodeLabel: 'a' } levels { nodeLabel: 'kubernetes.io/hostname' } }"));
  EXPECT_EQ(topology->levels, (std::vector<std::string>{"b", "a", "kubernetes.io/hostname"}));
  EXPECT_EQ(CheckLevels(*topology), "");
}

TEST(Topology, LevelsThatMakeNoSense) {
  const struct {
    std::vector<std::string> levels;
    const char* want;
  } kRows[] = {
      {{}, "spec.levels: must not be empty"},
      {{"a", ""}, "spec.levels[1].nodeLabel: \"\" is no node label's key"},
      {{"a", "b", "a"}, "spec.levels[2].nodeLabel: is there twice"},
      {{"kubernetes.io/hostname", "a"}, "spec.levels[0].nodeLabel: must be the last level"},
  };
  for (const auto& row : kRows) {
    Topology topology;
    topology.levels = row.levels;
    EXPECT_EQ(CheckLevels(topology), row.want);
  }
}

}  // namespace
}  // namespace muster
