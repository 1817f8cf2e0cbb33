#include "scheduler/wire/group_objects.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "scheduler/model/ids.h"
#include "scheduler/model/label_syntax.h"
#include "scheduler/model/quantity.h"
#include "scheduler/wire/make_object.h"
#include "scheduler/wire/pod_spec.h"

namespace muster {
namespace {

namespace meta = k8s::io::apimachinery::pkg::apis::meta::v1;
namespace v1beta1 = k8s::io::api::scheduling::v1beta1;
namespace v1alpha2 = k8s::io::api::scheduling::v1alpha2;

std::shared_ptr<PodGroup> Make(const meta::ObjectMeta& from, std::string_view api_version) {
  auto group = MakeObject<PodGroup>(from);
  group->api_version = api_version;
  group->generation = from.generation();
  group->created =
      absl::FromUnixSeconds(from.creationtimestamp().seconds()) + absl::Nanoseconds(from.creationtimestamp().nanos());
  return group;
}

// What all versions of scheduling.k8s.io have.
template <typename Wire>
std::shared_ptr<PodGroup> ReadCommon(const Wire& wire, std::string_view api_version, std::string_view condition) {
  auto group = Make(wire.metadata(), api_version);
  const auto& spec = wire.spec();
  const auto& policy = spec.schedulingpolicy();
  group->gang = policy.has_gang();
  if (policy.has_gang() == policy.has_basic()) {
    group->invalid = "spec.schedulingPolicy: must have exactly one of basic and gang";
  } else if (policy.has_gang() && policy.gang().mincount() < 1) {
    group->invalid = "spec.schedulingPolicy.gang.minCount: must be at least 1";
  } else if (policy.has_gang()) {
    group->min_count = policy.gang().mincount();
  }
  const auto& topology = spec.schedulingconstraints().topology();
  if (topology.size() > 1 && group->invalid.empty()) {
    group->invalid = "spec.schedulingConstraints.topology: must have at most one item";
  } else if (topology.size() == 1 && !IsLabelKey(topology[0].key()) && group->invalid.empty()) {
    group->invalid =
        absl::StrCat("spec.schedulingConstraints.topology[0].key: \"", topology[0].key(), "\" is no node label's key");
  } else if (topology.size() == 1) {
    group->topology.mode = TopologyRequest::Mode::kRequired;
    group->topology.level = topology[0].key();
  }
  if (spec.has_priority()) group->priority = spec.priority();
  for (const auto& from : spec.resourceclaims()) {
    PodClaim& claim = group->claims.emplace_back(PodClaim{from.name(), from.resourceclaimtemplatename(),
                                                          from.resourceclaimname(), from.has_resourceclaimname()});
    for (const auto& made : wire.status().resourceclaimstatuses()) {
      if (claim.known || made.name() != claim.name) continue;
      claim.claim = made.resourceclaimname();
      claim.known = true;
    }
  }
  for (const meta::Condition& c : wire.status().conditions()) {
    if (c.type() == AsAbsl(condition)) group->scheduled = {true, c.status(), c.reason(), c.message()};
  }
  return group;
}

}  // namespace

std::shared_ptr<PodGroup> ReadPodGroup(const v1beta1::PodGroup& wire, std::string_view api_version) {
  auto group = ReadCommon(wire, api_version, "PodGroupInitiallyScheduled");
  group->disrupted_whole = wire.spec().disruptionmode().has_all();
  group->parent = wire.spec().parentcompositepodgroupname();
  if (wire.spec().preemptionpolicy() != "PreemptLowerPriority")
    group->preemption_policy = wire.spec().preemptionpolicy();
  return group;
}

std::shared_ptr<PodGroup> ReadPodGroup(const v1alpha2::PodGroup& wire, std::string_view api_version) {
  auto group = ReadCommon(wire, api_version, "PodGroupScheduled");
  group->disrupted_whole = wire.spec().disruptionmode() == "PodGroup";
  return group;
}

std::shared_ptr<PodGroup> ReadPodGroup(const custom::CoschedulingPodGroup& wire, std::string_view api_version) {
  auto group = Make(wire.metadata(), api_version);
  const custom::CoschedulingPodGroupSpec& spec = wire.spec();
  if (spec.minmember() >= 1) {
    group->min_count = spec.minmember();
  } else {
    group->invalid = "spec.minMember: must be at least 1";
  }
  for (const auto& [name, quantity] : ReadResourceList(spec.minresources(), "spec.minResources", &group->invalid)) {
    const int64_t value = name == "cpu" ? quantity.MilliValue() : quantity.Value();
    if (value != 0) group->min_resources.push_back({name, value});
  }
  if (spec.has_scheduletimeoutseconds()) {
    group->schedule_timeout = absl::Seconds(std::max(spec.scheduletimeoutseconds(), 0));
    if (spec.scheduletimeoutseconds() < 0 && group->invalid.empty())
      group->invalid = "spec.scheduleTimeoutSeconds: must not be negative";
  }
  group->phase = wire.status().phase();
  group->members_scheduled = wire.status().scheduled();
  group->members_running = wire.status().running();
  group->members_succeeded = wire.status().succeeded();
  group->members_failed = wire.status().failed();
  return group;
}

std::shared_ptr<Topology> ReadTopology(const custom::Topology& wire) {
  auto topology = MakeObject<Topology>(wire.metadata());
  for (const auto& level : wire.spec().levels()) topology->levels.push_back(level.nodelabel());
  return topology;
}

std::string CheckLevels(const Topology& topology) {
  const std::vector<std::string>& levels = topology.levels;
  if (levels.empty()) return "spec.levels: must not be empty";
  for (size_t i = 0; i < levels.size(); ++i) {
    const auto at = [&](std::string_view why) { return absl::StrCat("spec.levels[", i, "].nodeLabel: ", AsAbsl(why)); };
    if (!IsLabelKey(levels[i])) return at(absl::StrCat("\"", levels[i], "\" is no node label's key"));
    if (std::find(levels.begin(), levels.begin() + static_cast<ptrdiff_t>(i), levels[i]) !=
        levels.begin() + static_cast<ptrdiff_t>(i))
      return at("is there twice");
    if (levels[i] == "kubernetes.io/hostname" && i + 1 != levels.size()) return at("must be the last level");
  }
  return "";
}

ObjectPtr DecodePodGroup(std::string_view object, std::string_view api_version) {
  const auto decode = [&](auto wire) -> ObjectPtr {
    if (!wire.ParseFromArray(object.data(), static_cast<int>(object.size())) || wire.metadata().name().empty())
      return nullptr;
    return ReadPodGroup(wire, api_version);
  };
  return api_version.ends_with("/v1alpha2") ? decode(v1alpha2::PodGroup()) : decode(v1beta1::PodGroup());
}

}  // namespace muster
