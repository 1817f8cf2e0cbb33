#include "scheduler/wire/pod_spec.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "scheduler/model/pod_requests.h"

namespace muster {
namespace {

namespace core = k8s::io::api::core::v1;

Operator ReadOperator(std::string_view text) {
  constexpr std::pair<std::string_view, Operator> kOperators[] = {
      {"In", Operator::kIn},         {"NotIn", Operator::kNotIn},
      {"Exists", Operator::kExists}, {"DoesNotExist", Operator::kDoesNotExist},
      {"Gt", Operator::kGt},         {"Lt", Operator::kLt},
  };
  for (const auto& [name, op] : kOperators) {
    if (text == name) return op;
  }
  return Operator::kInvalid;
}

std::vector<Requirement> ReadRequirements(
    const google::protobuf::RepeatedPtrField<core::NodeSelectorRequirement>& wire) {
  std::vector<Requirement> requirements;
  for (const auto& r : wire) {
    requirements.push_back({r.key(), ReadOperator(r.operator_()), {r.values().begin(), r.values().end()}, {}});
    if (requirements.back().op == Operator::kInvalid) requirements.back().op_text = r.operator_();
  }
  return requirements;
}

NodeSelectorTerm ReadTerm(const core::NodeSelectorTerm& term) {
  return {ReadRequirements(term.matchexpressions()), ReadRequirements(term.matchfields())};
}

NodeAffinity ReadNodeAffinity(const core::NodeAffinity& wire) {
  NodeAffinity affinity;
  affinity.has_required = wire.has_requiredduringschedulingignoredduringexecution();
  for (const auto& term : wire.requiredduringschedulingignoredduringexecution().nodeselectorterms()) {
    affinity.required.push_back(ReadTerm(term));
  }
  for (const auto& term : wire.preferredduringschedulingignoredduringexecution()) {
    affinity.preferred.push_back({term.weight(), ReadTerm(term.preference())});
  }
  return affinity;
}

Toleration ReadToleration(const core::Toleration& wire) {
  using Op = Toleration::Op;
  const std::string& op = wire.operator_();
  Toleration toleration{.key = wire.key(), .value = wire.value()};
  toleration.op = op.empty() || op == "Equal" ? Op::kEqual
                  : op == "Exists"            ? Op::kExists
                  : op == "Lt"                ? Op::kLt
                  : op == "Gt"                ? Op::kGt
                                              : Op::kInvalid;
  toleration.any_effect = wire.effect().empty();
  if (!toleration.any_effect) toleration.effect = ReadTaintEffect(wire.effect());
  return toleration;
}

// The limits of containers count as requests where these are missing, as the API server fills in.
struct Container {
  ContainerResources resources;
  ResourceList limits;
};

using StatusByName = std::map<std::string_view, const core::ContainerStatus*>;

Container ReadContainer(const core::Container& wire, const StatusByName& statuses, const std::string& path,
                        std::string* error) {
  Container container;
  container.resources.name = wire.name();
  container.resources.restart_always = wire.restartpolicy() == "Always";
  if (wire.has_resources()) {
    container.limits = ReadResourceList(wire.resources().limits(), absl::StrCat(path, ".resources.limits"), error);
    container.resources.requests =
        ReadResourceList(wire.resources().requests(), absl::StrCat(path, ".resources.requests"), error);
    container.resources.requests.insert(container.limits.begin(), container.limits.end());
  }
  if (const auto it = statuses.find(wire.name()); it != statuses.end()) {
    const core::ContainerStatus& status = *it->second;
    if (status.has_resources()) {
      container.resources.status_requests =
          ReadResourceList(status.resources().requests(), "status.containerStatuses[].resources.requests", error);
    }
    if (status.allocatedresources_size() > 0) {
      container.resources.status_allocated =
          ReadResourceList(status.allocatedresources(), "status.containerStatuses[].allocatedResources", error);
    }
  }
  return container;
}

// What 1.37 writes into spec.resources.requests of a new pod that has any pod-level resources:
// the containers' requests for what may be overcommitted, else the pod-level limit; for huge pages
// the containers' limits where they are the pod's.
void CompletePodLevel(const PodResources& pod, ResourceList container_limits, ResourceList* limits,
                      ResourceList* requests) {
  if (limits->empty() && requests->empty()) return;
  for (const auto& [name, limit] : container_limits) {
    if (name.starts_with("hugepages-") && !requests->contains(name)) limits->try_emplace(name, limit);
  }
  for (const auto& [name, request] : SumContainers(pod)) {
    if (IsPodLevelResource(name) && !name.starts_with("hugepages-")) requests->try_emplace(name, request);
  }
  for (const auto& [name, limit] : *limits) {
    if (IsPodLevelResource(name)) requests->try_emplace(name, limit);
  }
}

bool ResizeInfeasible(const core::PodStatus& status) {
  for (const core::PodCondition& condition : status.conditions()) {
    if (condition.type() == "PodResizePending") return condition.reason() == "Infeasible";
  }
  return false;
}

PodAmounts ReadAmounts(const core::Pod& pod, bool as_written, std::string* error) {
  const core::PodSpec& spec = pod.spec();
  const core::PodStatus& status = pod.status();
  StatusByName statuses;  // the first of a name counts
  for (const auto& s : status.containerstatuses()) statuses.try_emplace(s.name(), &s);
  for (const auto& s : status.initcontainerstatuses()) statuses.try_emplace(s.name(), &s);

  PodResources resources, limits;  // `limits`: the containers' limits where requests stand
  const auto add = [&](const auto& wire, std::string_view field, std::vector<ContainerResources> PodResources::*list) {
    for (int i = 0; i < wire.size(); ++i) {
      Container c = ReadContainer(wire.Get(i), statuses, absl::StrCat("spec.", AsAbsl(field), "[", i, "]"), error);
      (limits.*list).push_back({c.resources.name, c.resources.restart_always, std::move(c.limits), {}, {}});
      (resources.*list).push_back(std::move(c.resources));
    }
  };
  add(spec.containers(), "containers", &PodResources::containers);
  add(spec.initcontainers(), "initContainers", &PodResources::init_containers);
  if (spec.has_resources()) {
    ResourceList pod_requests = ReadResourceList(spec.resources().requests(), "spec.resources.requests", error);
    if (as_written) {
      ResourceList pod_limits = ReadResourceList(spec.resources().limits(), "spec.resources.limits", error);
      CompletePodLevel(resources, SumContainers(limits), &pod_limits, &pod_requests);
    }
    resources.pod_requests = std::move(pod_requests);
  }
  if (status.has_resources()) {
    resources.status_requests = ReadResourceList(status.resources().requests(), "status.resources.requests", error);
  }
  if (status.allocatedresources_size() > 0) {
    resources.status_allocated = ReadResourceList(status.allocatedresources(), "status.allocatedResources", error);
  }
  resources.overhead = ReadResourceList(spec.overhead(), "spec.overhead", error);
  resources.resize_infeasible = ResizeInfeasible(status);
  return SumRequests(resources);
}

void AddPorts(const core::Container& container, bool host_network, std::vector<HostPort>* ports) {
  for (const core::ContainerPort& port : container.ports()) {
    const int32_t number = port.hostport() == 0 && host_network ? port.containerport() : port.hostport();
    if (number <= 0) continue;
    ports->push_back(
        {port.hostip().empty() ? "0.0.0.0" : port.hostip(), port.protocol().empty() ? "TCP" : port.protocol(), number});
  }
}

}  // namespace

TaintEffect ReadTaintEffect(std::string_view text) {
  if (text == "NoSchedule") return TaintEffect::kNoSchedule;
  if (text == "PreferNoSchedule") return TaintEffect::kPreferNoSchedule;
  return text == "NoExecute" ? TaintEffect::kNoExecute : TaintEffect::kOther;
}

ResourceList ReadResourceList(const WireResourceList& wire, std::string_view path, std::string* error) {
  ResourceList list;
  for (const auto& [name, quantity] : wire) {
    const auto parsed = Quantity::Parse(quantity.string());
    if (parsed.ok() && !parsed->IsNegative()) {
      list.emplace(name, parsed->RoundUpToMilli());
    } else if (std::string text = absl::StrCat(AsAbsl(path), "[", name,
                                               "]: ", parsed.ok() ? "must not be negative" : parsed.status().message());
               error->empty() || text < *error) {
      *error = std::move(text);  // the least of several: the map has no order of its own
    }
  }
  return list;
}

std::string BuildPodSpec(const core::Pod& pod, bool as_written, PodSpec* out) {
  const core::PodSpec& spec = pod.spec();
  std::string error;
  out->scheduler_name = spec.schedulername();
  out->ns = pod.metadata().namespace_();
  out->labels = Labels(pod.metadata().labels().begin(), pod.metadata().labels().end());
  out->priority = spec.priority();
  if (spec.preemptionpolicy() != "PreemptLowerPriority") out->preemption_policy = spec.preemptionpolicy();
  out->amounts = ReadAmounts(pod, as_written, &error);
  out->node_selector = Labels(spec.nodeselector().begin(), spec.nodeselector().end());
  if (spec.affinity().has_nodeaffinity()) out->node_affinity = ReadNodeAffinity(spec.affinity().nodeaffinity());
  for (const auto& toleration : spec.tolerations()) out->tolerations.push_back(ReadToleration(toleration));

  for (const auto& container : spec.initcontainers()) {
    if (container.restartpolicy() == "Always") AddPorts(container, spec.hostnetwork(), &out->host_ports);
  }
  const auto add_image = [&](const std::string& image) {
    ++out->image_count;
    if (!image.empty()) out->images.push_back(image);
  };
  for (const auto& container : spec.containers()) {
    AddPorts(container, spec.hostnetwork(), &out->host_ports);
    add_image(container.image());
  }
  for (const auto& container : spec.initcontainers()) add_image(container.image());
  for (const auto& volume : spec.volumes()) {
    if (volume.volumesource().has_image()) add_image(volume.volumesource().image().reference());
  }
  return error;
}

}  // namespace muster
