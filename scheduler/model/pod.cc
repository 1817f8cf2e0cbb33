#include "scheduler/model/pod.h"

#include <tuple>

#include "scheduler/model/stable_hash.h"

namespace muster {
namespace {

void Add(StableHasher& h, const Labels& labels) {
  h.Add(labels.size());
  for (const auto& [key, value] : labels) h.Add(key), h.Add(value);
}

void Add(StableHasher& h, const std::vector<Amount>& amounts) {
  h.Add(amounts.size());
  for (const Amount& a : amounts) h.Add(a.resource), h.Add(static_cast<uint64_t>(a.value));
}

void Add(StableHasher& h, const std::vector<Requirement>& requirements) {
  h.Add(requirements.size());
  for (const Requirement& r : requirements) {
    h.Add(r.key), h.Add(static_cast<uint64_t>(r.op)), h.Add(r.op_text), h.Add(r.values.size());
    for (const std::string& v : r.values) h.Add(v);
  }
}

void Add(StableHasher& h, const NodeSelectorTerm& term) { Add(h, term.expressions), Add(h, term.fields); }

void Add(StableHasher& h, const NodeAffinity& affinity) {
  h.Add(uint64_t{affinity.has_required});
  h.Add(affinity.required.size());
  for (const NodeSelectorTerm& t : affinity.required) Add(h, t);
  h.Add(affinity.preferred.size());
  for (const PreferredTerm& t : affinity.preferred) h.Add(static_cast<uint64_t>(t.weight)), Add(h, t.term);
}

void Add(StableHasher& h, const LabelSelector& selector) {
  h.Add(uint64_t{selector.present});
  Add(h, selector.requirements);
}

void Add(StableHasher& h, const PodAffinityTerm& term) {
  h.Add(term.topology_key);
  Add(h, term.selector), Add(h, term.namespace_selector);
  h.Add(term.namespaces.size());
  for (const std::string& ns : term.namespaces) h.Add(ns);
}

void Add(StableHasher& h, const std::vector<PodAffinityTerm>& terms) {
  h.Add(terms.size());
  for (const PodAffinityTerm& t : terms) Add(h, t);
}

void Add(StableHasher& h, const std::vector<WeightedPodAffinityTerm>& terms) {
  h.Add(terms.size());
  for (const WeightedPodAffinityTerm& t : terms) h.Add(static_cast<uint64_t>(t.weight)), Add(h, t.term);
}

void Add(StableHasher& h, const SpreadConstraint& c) {
  h.Add(static_cast<uint64_t>(c.max_skew)), h.Add(c.topology_key), h.Add(static_cast<uint64_t>(c.min_domains));
  h.Add(uint64_t{c.hard} << 2 | uint64_t{c.honor_affinity} << 1 | uint64_t{c.honor_taints});
  Add(h, c.selector);
}

void Add(StableHasher& h, const PodVolume& v) {
  h.Add(static_cast<uint64_t>(v.kind) << 1 | uint64_t{v.read_only});
  h.Add(v.name), h.Add(v.source), h.Add(v.owner_uid), h.Add(v.pool), h.Add(v.monitors.size());
  for (const std::string& monitor : v.monitors) h.Add(monitor);
}

// All from the priority on.
void AddRest(StableHasher& h, const PodSpec& spec) {
  h.Add(static_cast<uint64_t>(spec.priority)), h.Add(spec.preemption_policy), h.Add(spec.requested_node);
  Add(h, spec.amounts.requests), Add(h, spec.amounts.usage), Add(h, spec.amounts.scored);
  h.Add(static_cast<uint64_t>(spec.amounts.non_zero_cpu)), h.Add(static_cast<uint64_t>(spec.amounts.non_zero_memory));
  Add(h, spec.node_selector), Add(h, spec.node_affinity);
  h.Add(spec.tolerations.size());
  for (const Toleration& t : spec.tolerations) {
    h.Add(t.key), h.Add(t.value);
    h.Add(static_cast<uint64_t>(t.op) << 16 | static_cast<uint64_t>(t.any_effect) << 8 |
          static_cast<uint64_t>(t.effect));
  }
  Add(h, spec.pod_affinity.required), Add(h, spec.pod_affinity.required_anti);
  Add(h, spec.pod_affinity.preferred), Add(h, spec.pod_affinity.preferred_anti);
  h.Add(spec.spread.size());
  for (const SpreadConstraint& c : spec.spread) Add(h, c);
  h.Add(spec.volumes.size());
  for (const PodVolume& v : spec.volumes) Add(h, v);
  h.Add(spec.controller.kind), h.Add(spec.controller.api_version), h.Add(spec.controller.name);
  h.Add(uint64_t{spec.deleting}), h.Add(spec.required_features.size());
  for (const std::string& feature : spec.required_features) h.Add(feature);
  h.Add(spec.host_ports.size());
  for (const HostPort& p : spec.host_ports) h.Add(p.ip), h.Add(p.protocol), h.Add(static_cast<uint64_t>(p.port));
  h.Add(spec.images.size());
  for (const std::string& image : spec.images) h.Add(image);
  h.Add(static_cast<uint64_t>(spec.image_count));
  // Most ask for none of these.
  if (!spec.devices.empty()) h.Add(spec.devices.size());
  if (!spec.asked.empty()) h.Add(spec.asked.claims.size()), h.Add(spec.asked.problem);
  for (const AskedClaim& c : spec.asked.claims) h.Add(c.name), h.Add(c.hash), h.Add(uint64_t{c.reserved});
  for (const ContainerDevices& c : spec.devices) {
    h.Add(c.container), h.Add(uint64_t{c.place} << 1 | uint64_t{c.passing}), h.Add(c.requests.size());
    for (const auto& r : c.requests) h.Add(r.resource), h.Add(static_cast<uint64_t>(r.count)), h.Add(uint64_t{r.place});
  }
}

}  // namespace

uint64_t StableHash(const PodSpec& spec) {
  StableHasher h;
  h.Add(spec.scheduler_name), h.Add(spec.ns);
  Add(h, spec.labels);
  AddRest(h, spec);
  return h.Digest();
}

uint64_t StableHashButLabels(const PodSpec& spec) {
  StableHasher h;
  h.Add(spec.scheduler_name), h.Add(spec.ns);
  AddRest(h, spec);
  return h.Digest();
}

bool EqualButLabels(const PodSpec& a, const PodSpec& b) {
  if (&a == &b) return true;
  // Names every field, so that a new one does not compile until it has a place here.
  const auto fields = [](const PodSpec& spec) {
    const auto& [scheduler_name, ns, labels, priority, preemption_policy, requested_node, amounts, node_selector,
                 node_affinity, pod_affinity, spread, volumes, controller, deleting, required_features, tolerations,
                 host_ports, images, image_count, devices, asked] = spec;
    (void)labels;
    return std::tie(priority, ns, amounts, host_ports, tolerations, node_selector, node_affinity, pod_affinity, spread,
                    volumes, images, image_count, controller, scheduler_name, preemption_policy, requested_node,
                    deleting, required_features, devices, asked);
  };
  return fields(a) == fields(b);
}

}  // namespace muster
