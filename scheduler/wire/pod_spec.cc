#include "scheduler/wire/pod_spec.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "scheduler/model/pod_requests.h"
#include "scheduler/wire/selector.h"

namespace muster {
namespace {

namespace core = k8s::io::api::core::v1;

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

using Keys = google::protobuf::RepeatedPtrField<std::string>;

// One requirement for each key that the pod has, unless it is there: what the server stored before is
// read again.
void MergeLabelKeys(const Keys& keys, Operator op, const Labels& labels, LabelSelector* selector) {
  auto& all = selector->requirements;
  for (const std::string& key : keys) {
    const auto label = labels.find(key);
    if (label == labels.end()) continue;
    Requirement requirement{key, op, {label->second}, {}};
    if (std::find(all.begin(), all.end(), requirement) == all.end()) all.push_back(std::move(requirement));
  }
}

PodAffinityTerm ReadPodAffinityTerm(const core::PodAffinityTerm& wire, const PodSpec& pod, bool as_written,
                                    const std::string& path, std::string* error) {
  PodAffinityTerm term;
  term.topology_key = wire.topologykey();
  if (wire.has_labelselector()) {
    term.selector = ReadLabelSelector(wire.labelselector(), path + ".labelSelector", error);
    if (as_written) {  // on creation; kube-scheduler reads the selector as it is stored
      MergeLabelKeys(wire.matchlabelkeys(), Operator::kIn, pod.labels, &term.selector);
      MergeLabelKeys(wire.mismatchlabelkeys(), Operator::kNotIn, pod.labels, &term.selector);
    }
  }
  term.namespaces = {wire.namespaces().begin(), wire.namespaces().end()};
  std::sort(term.namespaces.begin(), term.namespaces.end());
  term.namespaces.erase(std::unique(term.namespaces.begin(), term.namespaces.end()), term.namespaces.end());
  if (wire.has_namespaceselector()) {
    term.namespace_selector = ReadLabelSelector(wire.namespaceselector(), path + ".namespaceSelector", error);
  } else if (term.namespaces.empty()) {
    term.namespaces = {pod.ns};
  }
  return term;
}

// podAffinity or podAntiAffinity.
template <typename Wire>
void ReadPodAffinity(const Wire& wire, const PodSpec& pod, bool as_written, const std::string& path,
                     std::vector<PodAffinityTerm>* required, std::vector<WeightedPodAffinityTerm>* preferred,
                     std::string* error) {
  const auto read = [&](const core::PodAffinityTerm& term, const char* list, size_t i, const char* in) {
    return ReadPodAffinityTerm(term, pod, as_written,
                               absl::StrCat(path, ".", list, "DuringSchedulingIgnoredDuringExecution[", i, "]", in),
                               error);
  };
  for (const auto& term : wire.requiredduringschedulingignoredduringexecution()) {
    required->push_back(read(term, "required", required->size(), ""));
  }
  for (const auto& term : wire.preferredduringschedulingignoredduringexecution()) {
    preferred->push_back(
        {term.weight(), read(term.podaffinityterm(), "preferred", preferred->size(), ".podAffinityTerm")});
  }
}

// matchLabelKeys are merged in a stored pod too, by the API server and by kube-scheduler once more.
SpreadConstraint ReadSpreadConstraint(const core::TopologySpreadConstraint& wire, const Labels& labels,
                                      const std::string& path, std::string* error) {
  SpreadConstraint constraint;
  constraint.max_skew = wire.maxskew();
  constraint.topology_key = wire.topologykey();
  constraint.hard = wire.whenunsatisfiable() != "ScheduleAnyway";
  if (wire.has_mindomains()) constraint.min_domains = wire.mindomains();
  constraint.honor_affinity = wire.nodeaffinitypolicy().empty() || wire.nodeaffinitypolicy() == "Honor";
  constraint.honor_taints = wire.nodetaintspolicy() == "Honor";
  if (!wire.has_labelselector()) return constraint;
  constraint.selector = ReadLabelSelector(wire.labelselector(), path + ".labelSelector", error);
  MergeLabelKeys(wire.matchlabelkeys(), Operator::kIn, labels, &constraint.selector);
  return constraint;
}

void AddVolume(const core::Volume& wire, const core::Pod& pod, std::vector<PodVolume>* volumes) {
  using Kind = PodVolume::Kind;
  const core::VolumeSource& from = wire.volumesource();
  PodVolume volume;
  volume.name = wire.name();
  const auto set = [&](Kind kind, const std::string& source, bool read_only) {
    volume.kind = kind;
    volume.source = source;
    volume.read_only = read_only;
  };
  if (from.has_persistentvolumeclaim()) {
    set(Kind::kClaim, from.persistentvolumeclaim().claimname(), from.persistentvolumeclaim().readonly());
  } else if (from.has_ephemeral()) {
    set(Kind::kEphemeral, absl::StrCat(pod.metadata().name(), "-", wire.name()), false);
    volume.owner_uid = pod.metadata().uid();
  } else if (from.has_gcepersistentdisk()) {
    set(Kind::kGcePd, from.gcepersistentdisk().pdname(), from.gcepersistentdisk().readonly());
  } else if (from.has_awselasticblockstore()) {
    set(Kind::kAwsEbs, from.awselasticblockstore().volumeid(), from.awselasticblockstore().readonly());
  } else if (from.has_iscsi()) {
    set(Kind::kIscsi, from.iscsi().iqn(), from.iscsi().readonly());
  } else if (from.has_rbd()) {
    set(Kind::kRbd, from.rbd().image(), from.rbd().readonly());
    volume.monitors = {from.rbd().monitors().begin(), from.rbd().monitors().end()};
    volume.pool = from.rbd().pool().empty() ? "rbd" : from.rbd().pool();
  } else if (from.has_csi()) {
    set(Kind::kCsi, from.csi().driver(), from.csi().readonly());
  } else if (from.has_azuredisk()) {
    set(Kind::kAzureDisk, from.azuredisk().diskuri(), from.azuredisk().readonly());
    volume.pool = from.azuredisk().kind().empty() ? "Shared" : from.azuredisk().kind();
  } else if (from.has_cinder()) {
    set(Kind::kCinder, from.cinder().volumeid(), from.cinder().readonly());
  } else if (from.has_vspherevolume()) {
    set(Kind::kVsphere, from.vspherevolume().volumepath(), false);
  } else if (from.has_azurefile()) {
    set(Kind::kAzureFile, from.azurefile().sharename(), from.azurefile().readonly());
  } else if (from.has_portworxvolume()) {
    set(Kind::kPortworx, from.portworxvolume().volumeid(), from.portworxvolume().readonly());
  } else {
    return;
  }
  volumes->push_back(std::move(volume));
}

ControllerRef ReadController(const core::Pod& pod) {
  for (const auto& owner : pod.metadata().ownerreferences()) {
    if (!owner.controller()) continue;
    if (!SpreadsPods(owner.apiversion(), owner.kind())) break;
    return {owner.kind(), owner.apiversion(), owner.name()};
  }
  return {};
}

// The features of 1.37 that a pod can ask of its node, by name.
std::vector<std::string> RequiredFeatures(const core::PodSpec& spec) {
  bool restart_all = false, mount_options = false;
  const auto look_at_mounts = [&](const auto& container) {
    for (const auto& mount : container.volumemounts()) mount_options |= !mount.bindmountoptions().empty();
  };
  for (const auto* list : {&spec.containers(), &spec.initcontainers()}) {
    for (const core::Container& container : *list) {
      look_at_mounts(container);
      for (const auto& rule : container.restartpolicyrules()) restart_all |= rule.action() == "RestartAllContainers";
    }
  }
  for (const auto& container : spec.ephemeralcontainers()) look_at_mounts(container.ephemeralcontainercommon());
  std::vector<std::string> features;
  if (restart_all) features.emplace_back("RestartAllContainersOnContainerExits");
  if (spec.hostnetwork() && spec.has_hostusers() && !spec.hostusers())
    features.emplace_back("UserNamespacesHostNetworkSupport");
  if (mount_options) features.emplace_back("VolumeBindMountOptions");
  return features;
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

// Whether a DeviceClass may stand for the resource (upstream's IsDRAExtendedResourceName).
bool MayBeDevices(const std::string& resource) {
  if (resource.starts_with("deviceclass.resource.kubernetes.io/")) return true;
  return resource.find('/') != std::string::npos && resource.find("kubernetes.io/") == std::string::npos &&
         !resource.starts_with("requests.");
}

// Amounts that cannot be read are told elsewhere.
void AddDevices(const core::Container& container, uint32_t place, bool init, std::vector<ContainerDevices>* out) {
  std::map<std::string, const std::string*> requests;  // with the limits of what is not requested, as above
  for (const auto& [name, quantity] : container.resources().requests()) requests[name] = &quantity.string();
  for (const auto& [name, quantity] : container.resources().limits()) requests.try_emplace(name, &quantity.string());
  ContainerDevices devices{container.name(), place, init && container.restartpolicy() != "Always", {}};
  uint32_t among = 0;
  for (const auto& [name, text] : requests) {
    const uint32_t request_place = among++;
    if (!MayBeDevices(name)) continue;
    const auto count = Quantity::Parse(*text);
    if (count.ok() && count->Value() > 0) devices.requests.push_back({name, count->Value(), request_place});
  }
  if (!devices.requests.empty()) out->push_back(std::move(devices));
}

}  // namespace

bool SpreadsPods(std::string_view api_version, std::string_view kind) {
  if (api_version == "v1") return kind == "ReplicationController";
  return api_version == "apps/v1" && (kind == "ReplicaSet" || kind == "StatefulSet");
}

std::vector<NodeSelectorTerm> ReadNodeSelector(const core::NodeSelector& wire) {
  std::vector<NodeSelectorTerm> terms;
  for (const auto& term : wire.nodeselectorterms()) terms.push_back(ReadTerm(term));
  return terms;
}

static NodeAffinity ReadNodeAffinity(const core::NodeAffinity& wire) {
  NodeAffinity affinity;
  affinity.has_required = wire.has_requiredduringschedulingignoredduringexecution();
  affinity.required = ReadNodeSelector(wire.requiredduringschedulingignoredduringexecution());
  for (const auto& term : wire.preferredduringschedulingignoredduringexecution()) {
    affinity.preferred.push_back({term.weight(), ReadTerm(term.preference())});
  }
  return affinity;
}

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
  if (spec.affinity().has_podaffinity()) {
    ReadPodAffinity(spec.affinity().podaffinity(), *out, as_written, "spec.affinity.podAffinity",
                    &out->pod_affinity.required, &out->pod_affinity.preferred, &error);
  }
  if (spec.affinity().has_podantiaffinity()) {
    ReadPodAffinity(spec.affinity().podantiaffinity(), *out, as_written, "spec.affinity.podAntiAffinity",
                    &out->pod_affinity.required_anti, &out->pod_affinity.preferred_anti, &error);
  }
  for (const auto& constraint : spec.topologyspreadconstraints()) {
    out->spread.push_back(ReadSpreadConstraint(
        constraint, out->labels, absl::StrCat("spec.topologySpreadConstraints[", out->spread.size(), "]"), &error));
  }
  for (const auto& volume : spec.volumes()) AddVolume(volume, pod, &out->volumes);
  out->controller = ReadController(pod);
  out->required_features = RequiredFeatures(spec);
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
  uint32_t place = 0;
  for (const auto& container : spec.initcontainers()) AddDevices(container, place++, /*init=*/true, &out->devices);
  for (const auto& container : spec.containers()) AddDevices(container, place++, /*init=*/false, &out->devices);
  for (const auto& volume : spec.volumes()) {
    if (volume.volumesource().has_image()) add_image(volume.volumesource().image().reference());
  }
  return error;
}

}  // namespace muster
