#include "scheduler/model/pod_requests.h"

#include <algorithm>
#include <cctype>
namespace muster {
namespace {

constexpr char kCpuName[] = "cpu", kMemoryName[] = "memory";
constexpr int64_t kDefaultMilliCpu = 100;
constexpr int64_t kDefaultMemory = 200 << 20;

void AddTo(ResourceList& list, const ResourceList& more) {
  for (const auto& [name, quantity] : more) list[name] += quantity;
}

void MaxTo(ResourceList& list, const ResourceList& other) {
  for (const auto& [name, quantity] : other) {
    auto [it, inserted] = list.try_emplace(name, quantity);
    if (!inserted && it->second < quantity) it->second = quantity;
  }
}

bool Has(const std::optional<ResourceList>& list) { return list && !list->empty(); }

// Which of a container's lists counts.
enum class Source { kSpec, kAllocated, kActuated };

const ResourceList& Pick(const ContainerResources& container, Source source, bool infeasible) {
  static const ResourceList* const kNone = new ResourceList;
  if (source == Source::kSpec) return container.requests;
  if (source == Source::kActuated && Has(container.status_requests)) return *container.status_requests;
  if (Has(container.status_allocated)) return *container.status_allocated;
  return infeasible ? *kNone : container.requests;
}

// The containers' total of one source; `missing` is what a container counts for where its list
// lacks the resource. The i-th init container runs beside the sidecars before it:
//   init (1 cpu), sidecar (0.5), init (2); app (1.5)  =>  max(0.5 + 1.5, max(1, 0.5, 0.5 + 2)) = 2.5
ResourceList Aggregate(const PodResources& pod, Source source, const ResourceList& missing) {
  const auto amounts = [&](const ContainerResources& container) {
    ResourceList list = Pick(container, source, pod.resize_infeasible);
    for (const auto& [name, quantity] : missing) list.try_emplace(name, quantity);
    return list;
  };
  ResourceList total, sidecars, init;
  for (const ContainerResources& container : pod.containers) AddTo(total, amounts(container));
  for (const ContainerResources& container : pod.init_containers) {
    ResourceList needed = amounts(container);
    if (container.restart_always) {
      AddTo(total, needed);
      AddTo(sidecars, needed);
      MaxTo(init, sidecars);
    } else {
      AddTo(needed, sidecars);
      MaxTo(init, needed);
    }
  }
  MaxTo(total, init);
  return total;
}

ResourceList AggregateWithStatus(const PodResources& pod, const ResourceList& missing) {
  ResourceList total;
  if (!pod.resize_infeasible) total = Aggregate(pod, Source::kSpec, missing);
  if (Has(pod.status_allocated) && Has(pod.status_requests)) {
    MaxTo(total, *pod.status_allocated);
    MaxTo(total, *pod.status_requests);
  } else {
    MaxTo(total, Aggregate(pod, Source::kAllocated, missing));
    MaxTo(total, Aggregate(pod, Source::kActuated, missing));
  }
  return total;
}

bool HasPodLevelRequests(const PodResources& pod) {
  return pod.pod_requests && std::any_of(pod.pod_requests->begin(), pod.pod_requests->end(),
                                         [](const auto& entry) { return IsPodLevelResource(entry.first); });
}

void OverridePodLevel(ResourceList& total, const ResourceList& pod_level) {
  for (const auto& [name, quantity] : pod_level) {
    if (IsPodLevelResource(name)) total[name] = quantity;
  }
}

ResourceList SpecTotal(const PodResources& pod) {
  ResourceList total = Aggregate(pod, Source::kSpec, {});
  if (HasPodLevelRequests(pod)) OverridePodLevel(total, *pod.pod_requests);
  AddTo(total, pod.overhead);
  return total;
}

ResourceList StatusTotal(const PodResources& pod, const ResourceList& missing) {
  ResourceList total = AggregateWithStatus(pod, missing);
  if (HasPodLevelRequests(pod)) {
    ResourceList effective;
    if (!pod.resize_infeasible || !pod.status_requests) effective = *pod.pod_requests;
    if (pod.status_requests) {
      MaxTo(effective, *pod.status_requests);
      if (pod.status_allocated) MaxTo(effective, *pod.status_allocated);
    }
    OverridePodLevel(total, effective);
  }
  AddTo(total, pod.overhead);
  return total;
}

ResourceList ScoredTotal(const PodResources& pod, const ResourceList& missing) {
  ResourceList total = Aggregate(pod, Source::kSpec, missing);
  AddTo(total, pod.overhead);
  return total;
}

Quantity Find(const ResourceList& list, const std::string& name) {
  const auto it = list.find(name);
  return it == list.end() ? Quantity() : it->second;
}

std::vector<Amount> NonZeroAmounts(const ResourceList& list) {
  std::vector<Amount> amounts = ToAmounts(list);
  std::erase_if(amounts, [](const Amount& a) { return a.value == 0; });
  return amounts;
}

bool Contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

bool IsAlnum(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

// A label of a DNS subdomain.
bool IsDnsLabel(std::string_view label) {
  const auto lower_or_digit = [](char c) { return IsAlnum(c) && std::isupper(static_cast<unsigned char>(c)) == 0; };
  return !label.empty() && lower_or_digit(label.front()) && lower_or_digit(label.back()) &&
         std::all_of(label.begin(), label.end(), [&](char c) { return lower_or_digit(c) || c == '-'; });
}

// "requests." + name is a qualified name: a DNS subdomain, "/", and up to 63 characters.
bool IsQualifiedForQuota(std::string_view name) {
  const size_t slash = name.find('/');
  const std::string_view prefix = name.substr(0, slash), rest = name.substr(slash + 1);
  if (prefix.size() + sizeof("requests.") - 1 > 253 || rest.empty() || rest.size() > 63) return false;
  for (size_t begin = 0, end; begin <= prefix.size(); begin = end + 1) {
    end = std::min(prefix.find('.', begin), prefix.size());
    if (!IsDnsLabel(prefix.substr(begin, end - begin))) return false;
  }
  return IsAlnum(rest.front()) && IsAlnum(rest.back()) &&
         std::all_of(rest.begin(), rest.end(), [](char c) { return IsAlnum(c) || c == '-' || c == '_' || c == '.'; });
}

bool IsExtended(std::string_view name) {
  return Contains(name, "/") && !Contains(name, "kubernetes.io/") && !name.starts_with("requests.") &&
         IsQualifiedForQuota(name);
}

}  // namespace

bool IsPodLevelResource(std::string_view name) {
  return name == kCpuName || name == kMemoryName || name.starts_with("hugepages-");
}

bool IsAccountedResource(std::string_view name) {
  return name == kCpuName || name == kMemoryName || name == "ephemeral-storage" || name.starts_with("hugepages-") ||
         name.starts_with("attachable-volumes-") || Contains(name, "kubernetes.io/") || IsExtended(name);
}

std::vector<Amount> ToAmounts(const ResourceList& list) {
  std::vector<Amount> amounts;
  for (const auto& [name, quantity] : list) {
    if (!IsAccountedResource(name)) continue;
    amounts.push_back({name, name == kCpuName ? quantity.MilliValue() : quantity.Value()});
  }
  return amounts;
}

ResourceList SumContainers(const PodResources& pod) { return Aggregate(pod, Source::kSpec, {}); }

PodAmounts SumRequests(const PodResources& pod) {
  const ResourceList defaults = {{kCpuName, Quantity::FromMilli(kDefaultMilliCpu)},
                                 {kMemoryName, Quantity::FromUnits(kDefaultMemory)}};
  PodAmounts amounts;
  amounts.requests = NonZeroAmounts(SpecTotal(pod));
  const ResourceList usage = StatusTotal(pod, {});
  amounts.usage = NonZeroAmounts(usage);

  // With pod-level requests the defaults stand in only where the whole pod asks for nothing.
  ResourceList missing = defaults;
  if (HasPodLevelRequests(pod)) {
    for (const auto& [name, quantity] : usage) missing.erase(name);
  }
  const ResourceList non_zero = missing.empty() ? usage : StatusTotal(pod, missing);
  amounts.non_zero_cpu = Find(non_zero, kCpuName).MilliValue();
  amounts.non_zero_memory = Find(non_zero, kMemoryName).Value();
  amounts.scored = NonZeroAmounts(ScoredTotal(pod, defaults));
  return amounts;
}

}  // namespace muster
