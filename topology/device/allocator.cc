#include "topology/device/allocator.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "topology/device/device_order.h"
#include "topology/device/pools.h"
#include "topology/device/search.h"

namespace muster {
namespace {

void AddRequirements(const std::vector<Requirement>& from, std::vector<Requirement>& to) {
  for (const Requirement& r : from) {
    const std::set<std::string> values(r.values.begin(), r.values.end());
    const bool known = std::any_of(to.begin(), to.end(), [&](const Requirement& other) {
      return other.key == r.key && other.op == r.op &&
             std::set<std::string>(other.values.begin(), other.values.end()) == values;
    });
    if (!known) to.push_back(r);
  }
}

// From where all of the claim's devices can be reached. False: a slice's selector has several terms, says `outcome`.
bool SelectNodes(const ClaimPlan& plan, const DeviceSearch& search, const Node& node,
                 std::optional<NodeSelectorTerm>& nodes, DeviceOutcome& outcome) {
  NodeSelectorTerm all;
  for (const TakenDevice& taken : plan.devices) {
    const Candidate& candidate = search.candidate(taken.candidate);
    const DeviceNodes& own =
        candidate.slice->per_device_node_selection ? candidate.device->nodes : candidate.slice->nodes;
    if (!own.node_name.empty() || candidate.device->binds_to_node) {
      nodes.emplace();
      nodes->fields.push_back({"metadata.name", Operator::kIn, {node.name}, ""});
      return true;
    }
    if (!own.selector || own.selector->empty()) continue;
    if (own.selector->size() > 1) {
      outcome.kind = DeviceOutcome::Kind::kError;
      outcome.message = absl::StrCat("create NodeSelector for claim ", plan.claim->name,
                                     ": unsupported ResourceSlice.NodeSelector with ", own.selector->size(), " terms");
      outcome.allocations.clear();
      return false;
    }
    AddRequirements((*own.selector)[0].fields, all.fields);
    AddRequirements((*own.selector)[0].expressions, all.expressions);
  }
  if (!all.fields.empty() || !all.expressions.empty()) nodes = std::move(all);
  return true;
}

const RequestPlan& Chosen(const ClaimPlan& plan, size_t request) {
  return plan.requests[request][plan.chosen[request]];
}

// Whether `names` has the request, or the alternative chosen of it.
bool Names(const std::vector<std::string>& names, const ClaimPlan& plan, size_t request) {
  const auto has = [&](const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  if (has(plan.claim->requests[request].name)) return true;
  const RequestPlan& chosen = Chosen(plan, request);
  return chosen.parent != nullptr && has(chosen.FullName());
}

// Each class's once, with the requests of that class; then the claim's, those for requests that there are.
std::vector<AllocatedConfig> Configs(const ClaimPlan& plan) {
  std::vector<AllocatedConfig> configs;
  absl::btree_map<std::string, std::pair<size_t, size_t>> of_class;  // where in configs
  for (size_t r = 0; r < plan.requests.size(); ++r) {
    const RequestPlan& chosen = Chosen(plan, r);
    const auto [range, first] = of_class.try_emplace(chosen.device_class->name, configs.size(), configs.size());
    if (first) {
      for (const DeviceConfig& config : chosen.device_class->config) configs.push_back({true, config});
      range->second.second = configs.size();
    }
    for (size_t i = range->second.first; i < range->second.second; ++i) {
      if (first) configs[i].config.requests.clear();
      configs[i].config.requests.push_back(chosen.FullName());
    }
  }
  const auto any_named = [&](const DeviceConfig& config) {
    for (size_t r = 0; r < plan.requests.size(); ++r) {
      if (Names(config.requests, plan, r)) return true;
    }
    return config.requests.empty();
  };
  for (const DeviceConfig& config : plan.claim->config) {
    if (any_named(config)) configs.push_back({false, config});
  }
  for (AllocatedConfig& config : configs) {
    bool all = true;
    for (size_t r = 0; r < plan.requests.size(); ++r) all = all && Names(config.config.requests, plan, r);
    if (all) config.config.requests.clear();  // empty says all
  }
  return configs;
}

}  // namespace

struct DeviceAllocator::Known {
  uint64_t slices_version = 0;
  uint64_t version = 0;  // that `order` is up to date with; 0: none
  DeviceReach reach;
  DeviceOrder order;
};

DeviceAllocator::DeviceAllocator(DeviceFeatures features, DeviceQuestions questions, DeviceChoice choice)
    : features_(features),
      questions_(std::move(questions)),
      choice_(std::move(choice)),
      shared_(std::make_unique<Known>()) {}

DeviceAllocator::~DeviceAllocator() = default;

DeviceAllocator::Known& DeviceAllocator::KnownOf(const DeviceColumns& devices, const Node& node) {
  const auto make = [&](Known& known) {
    known.reach = GatherReach(devices, node, features_, questions_);
    if (!choice_.first_fit) known.order.Reset(known.reach, choice_.groups);
  };
  const DeviceColumns::OfNode* own = devices.Of(node.name);
  if (!devices.shared().empty() || own == nullptr) {
    // Which of them reach it hangs on its labels too.
    make(*shared_);
    shared_->version = 0;
    return *shared_;
  }
  if (known_.size() > 2 * devices.nodes() + 1024) known_.clear();  // mostly of nodes long gone
  std::unique_ptr<Known>& known = known_[node.name];
  if (known == nullptr) known = std::make_unique<Known>();
  if (known->slices_version != own->slices_version) {
    known->slices_version = own->slices_version;
    make(*known);
  }
  return *known;
}

DeviceOutcome DeviceAllocator::Allocate(const DeviceColumns& devices, const Node& node,
                                        std::span<const ResourceClaim* const> claims, int64_t step_limit,
                                        int64_t better_limit) {
  Known& known = KnownOf(devices, node);
  const std::vector<DevicePool>& pools = known.reach.pools;
  DeviceOutcome outcome;
  DeviceSearch search(node, features_, questions_, known.reach, step_limit, outcome);
  if (!search.Plan(claims)) return outcome;
  if (!search.Run()) {
    if (outcome.kind != DeviceOutcome::Kind::kNoFit) return outcome;
    if (std::any_of(pools.begin(), pools.end(), [](const DevicePool& pool) { return !pool.invalid.empty(); })) {
      outcome.kind = DeviceOutcome::Kind::kNodeError;
      outcome.message = "invalid resource pools were encountered";
    }
    return outcome;
  }
  if (!choice_.first_fit) {
    for (const ClaimPlan& plan : search.claims()) {
      std::optional<NodeSelectorTerm> nodes;
      if (!SelectNodes(plan, search, node, nodes, outcome)) return outcome;
    }
    const DeviceColumns::OfNode* own = &known == shared_.get() ? nullptr : devices.Of(node.name);
    const bool up_to_date = own != nullptr && known.version == own->version;
    const bool known_now = search.Improve(known.order, up_to_date, better_limit);
    if (own != nullptr && known_now) known.version = own->version;
  }
  for (const ClaimPlan& plan : search.claims()) {
    DeviceAllocation& allocation = outcome.allocations.emplace_back();
    for (const TakenDevice& taken : plan.devices) {
      const Candidate& candidate = search.candidate(taken.candidate);
      AllocatedDevice& device = allocation.devices.emplace_back();
      device.request = taken.plan->FullName();
      device.id = candidate.Id();
      if (taken.plan->admin()) device.admin_access = true;
      device.tolerations = taken.plan->request->tolerations;
      if (features_.binding_conditions) {
        device.binding_conditions = candidate.device->binding_conditions;
        device.binding_failure_conditions = candidate.device->binding_failure_conditions;
      }
      if (taken.shared) device.share_id = questions_.new_share_id();
      device.consumed_capacity = taken.consumed;
      if (features_.optional_node_operations) device.skip_node_operations = candidate.slice->skip_node_operations;
    }
    allocation.config = Configs(plan);
    if (!SelectNodes(plan, search, node, allocation.nodes, outcome)) return outcome;
    outcome.chosen.push_back(plan.chosen);
  }
  outcome.kind = DeviceOutcome::Kind::kAllocated;
  return outcome;
}

}  // namespace muster
