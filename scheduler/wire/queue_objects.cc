#include "scheduler/wire/queue_objects.h"

#include <algorithm>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "scheduler/model/ids.h"
#include "scheduler/model/label_syntax.h"
#include "scheduler/model/quantity.h"
#include "scheduler/wire/make_object.h"
#include "scheduler/wire/pod_spec.h"
#include "scheduler/wire/selector.h"

namespace muster {
namespace {

namespace meta = k8s::io::apimachinery::pkg::apis::meta::v1;
using WireQuantity = k8s::io::apimachinery::pkg::api::resource::Quantity;

constexpr char kDeviceClass[] = "deviceclass/";
constexpr Duration kLongest = absl::Nanoseconds(INT64_MAX);  // Go's

template <typename T>
using Words = std::span<const std::pair<const char*, T>>;

constexpr std::pair<const char*, Queue::Order> kOrders[] = {{"StrictFIFO", Queue::Order::kStrictFIFO},
                                                            {"BestEffortFIFO", Queue::Order::kBestEffortFIFO},
                                                            {"Backfill", Queue::Order::kBackfill}};
constexpr std::pair<const char*, Queue::StopPolicy> kStopPolicies[] = {
    {"None", Queue::StopPolicy::kNone},
    {"Hold", Queue::StopPolicy::kHold},
    {"HoldAndDrain", Queue::StopPolicy::kHoldAndDrain}};
constexpr std::pair<const char*, QueuePreemption::Within> kWithin[] = {
    {"Never", QueuePreemption::Within::kNever},
    {"LowerPriority", QueuePreemption::Within::kLowerPriority},
    {"LowerOrNewerEqualPriority", QueuePreemption::Within::kLowerOrNewerEqualPriority}};
constexpr std::pair<const char*, QueuePreemption::Reclaim> kReclaim[] = {
    {"Never", QueuePreemption::Reclaim::kNever},
    {"LowerPriority", QueuePreemption::Reclaim::kLowerPriority},
    {"Any", QueuePreemption::Reclaim::kAny}};
constexpr std::pair<const char*, QueuePreemption::Borrowing> kBorrowing[] = {
    {"Never", QueuePreemption::Borrowing::kNever}, {"LowerPriority", QueuePreemption::Borrowing::kLowerPriority}};
constexpr std::pair<const char*, QueueBudget::Beyond> kBeyond[] = {{"NoBorrowing", QueueBudget::Beyond::kNoBorrowing},
                                                                   {"Hold", QueueBudget::Beyond::kHold}};

Time ReadTime(const meta::Time& wire) {
  return absl::FromUnixSeconds(wire.seconds()) + absl::Nanoseconds(wire.nanos());
}

int64_t AmountOf(std::string_view resource, Quantity quantity) {
  return resource == "cpu" ? quantity.MilliValue() : quantity.Value();
}

bool IsResourceName(const std::string& name) {
  return IsLabelKey(name) ||
         (name.starts_with(kDeviceClass) && IsDnsSubdomain(std::string_view(name).substr(sizeof kDeviceClass - 1)));
}

// Reads a Queue's spec; what is wrong first is kept.
class SpecReader {
 public:
  explicit SpecReader(Queue* out) : out_(*out) {}

  void Read(const custom::QueueSpec& spec) {
    ReadParent(spec);
    if (spec.has_namespaceselector())
      out_.namespace_selector = ReadLabelSelector(spec.namespaceselector(), "spec.namespaceSelector", &out_.invalid);
    if (spec.has_weight()) out_.weight = spec.weight();
    if (out_.weight < 0) Fail("spec.weight", "must not be negative");
    Choose<Queue::Order>("spec.order", spec.has_order(), spec.order(), kOrders, &out_.order);
    if (spec.has_usagehalflife())
      ReadDuration("spec.usageHalfLife", spec.usagehalflife(), true, &out_.usage_half_life.emplace());
    for (const custom::QueueResource& resource : spec.resources()) ReadResource(resource);
    ReadPreemption(spec.preemption());
    if (spec.has_burst()) ReadBurst(spec.burst());
    if (spec.has_budget()) ReadBudget(spec.budget());
    Choose<Queue::StopPolicy>("spec.stopPolicy", spec.has_stoppolicy(), spec.stoppolicy(), kStopPolicies,
                              &out_.stop_policy);
  }

 private:
  void Fail(std::string_view path, std::string_view why) {
    if (out_.invalid.empty()) out_.invalid = absl::StrCat(AsAbsl(path), ": ", AsAbsl(why));
  }

  void ReadParent(const custom::QueueSpec& spec) {
    out_.parent = spec.parent();
    if (!spec.has_parent()) return;
    if (!IsDnsSubdomain(out_.parent)) Fail("spec.parent", absl::StrCat("\"", out_.parent, "\" is no Queue's name"));
    if (out_.parent == out_.name) Fail("spec.parent", "must not be the queue itself");
  }

  template <typename T>
  void Choose(const char* path, bool has, const std::string& text, Words<T> words, T* value) {
    if (!has) return;
    for (const auto& [word, meant] : words) {
      if (text == word) {
        *value = meant;
        return;
      }
    }
    Fail(path, absl::StrCat("\"", text, "\" is none of ",
                            absl::StrJoin(words, ", ", [](std::string* to, const auto& w) { *to += w.first; })));
  }

  // As Go writes them: "168h", "1h30m".
  void ReadDuration(const char* path, const std::string& text, bool positive, Duration* value) {
    Duration read;
    // Neither a sign, absl's "inf", nor a lone 0.
    const bool plain = text.find_first_not_of("0123456789.hmsun") == std::string::npos && text != "0";
    if (!plain || !absl::ParseDuration(text, &read) || read >= kLongest)
      return Fail(path, absl::StrCat("\"", text, "\" is no duration such as 30s or 1h30m"));
    *value = read;
    if (positive && read == absl::ZeroDuration()) Fail(path, "must be greater than zero");
  }

  std::optional<int64_t> ReadAmount(const std::string& path, const std::string& resource, const WireQuantity& wire) {
    const auto quantity = Quantity::Parse(wire.string());
    if (quantity.ok() && !quantity->IsNegative()) return AmountOf(resource, *quantity);
    const absl::string_view why = quantity.ok() ? "must not be negative" : quantity.status().message();
    Fail(path, {why.data(), why.size()});
    return std::nullopt;
  }

  void ReadResource(const custom::QueueResource& wire) {
    const std::string path = absl::StrCat("spec.resources[", out_.resources.size(), "]");
    QueueResource& resource = out_.resources.emplace_back();
    resource.name = wire.name();
    resource.flavor = wire.flavor();
    if (!IsResourceName(wire.name()))
      Fail(path + ".name", absl::StrCat("\"", wire.name(), "\" is no name of a resource"));
    if (wire.has_flavor() && !IsDnsSubdomain(wire.flavor()))
      Fail(path + ".flavor", absl::StrCat("\"", wire.flavor(), "\" is no ResourceFlavor's name"));
    if (!seen_.emplace(wire.name(), wire.flavor()).second) Fail(path + ".name", "is there twice, in the same flavor");
    if (!wire.has_nominalquota()) {
      Fail(path + ".nominalQuota", "is missing");
    } else {
      resource.nominal_quota = ReadAmount(path + ".nominalQuota", wire.name(), wire.nominalquota()).value_or(0);
    }
    if (wire.has_borrowinglimit()) {
      resource.borrowing_limit = ReadAmount(path + ".borrowingLimit", wire.name(), wire.borrowinglimit());
      if (out_.parent.empty()) Fail(path + ".borrowingLimit", "a queue without parent has none to borrow from");
    }
    if (wire.has_lendinglimit())
      resource.lending_limit = ReadAmount(path + ".lendingLimit", wire.name(), wire.lendinglimit());
  }

  void ReadPreemption(const custom::QueuePreemption& wire) {
    QueuePreemption& out = out_.preemption;
    Choose<QueuePreemption::Within>("spec.preemption.withinQueue", wire.has_withinqueue(), wire.withinqueue(), kWithin,
                                    &out.within_queue);
    Choose<QueuePreemption::Reclaim>("spec.preemption.reclaim", wire.has_reclaim(), wire.reclaim(), kReclaim,
                                     &out.reclaim);
    Choose<QueuePreemption::Borrowing>("spec.preemption.borrowing", wire.has_borrowing(), wire.borrowing(), kBorrowing,
                                       &out.borrowing);
    if (wire.has_minruntime()) ReadDuration("spec.preemption.minRuntime", wire.minruntime(), false, &out.min_runtime);
    if (!wire.has_evictionsperhour()) return;
    out.evictions_per_hour = wire.evictionsperhour();
    if (wire.evictionsperhour() < 0) Fail("spec.preemption.evictionsPerHour", "must not be negative");
  }

  void ReadBurst(const custom::QueueBurst& wire) {
    QueueBurst& out = out_.burst.emplace();
    ReadDuration("spec.burst.maxPodRuntime", wire.maxpodruntime(), true, &out.max_pod_runtime);
    if (wire.resources().empty()) Fail("spec.burst.resources", "must not be empty");
    for (const auto& [name, quantity] : ReadResourceList(wire.resources(), "spec.burst.resources", &out_.invalid)) {
      if (!IsResourceName(name)) Fail(absl::StrCat("spec.burst.resources[", name, "]"), "is no name of a resource");
      out.resources.push_back({name, AmountOf(name, quantity)});
    }
    ReadDuration("spec.burst.refill", wire.refill(), true, &out.refill);
  }

  void ReadBudget(const custom::QueueBudget& wire) {
    QueueBudget& out = out_.budget.emplace();
    out.resource = wire.resource();
    if (!IsResourceName(wire.resource()))
      Fail("spec.budget.resource", absl::StrCat("\"", wire.resource(), "\" is no name of a resource"));
    if (wire.has_seconds()) {
      out.seconds = ReadAmount("spec.budget.seconds", wire.resource(), wire.seconds()).value_or(0);
    } else {
      Fail("spec.budget.seconds", "is missing");
    }
    ReadDuration("spec.budget.window", wire.window(), true, &out.window);
    Choose<QueueBudget::Beyond>("spec.budget.beyond", wire.has_beyond(), wire.beyond(), kBeyond, &out.beyond);
  }

  Queue& out_;
  std::set<std::pair<std::string, std::string>> seen_;  // names and flavors of resources
};

const meta::Condition* FindReady(const custom::QueueStatus& status) {
  const auto& conditions = status.conditions();
  const auto at = std::find_if(conditions.begin(), conditions.end(), [](const auto& c) { return c.type() == "Ready"; });
  return at == conditions.end() ? nullptr : &*at;
}

}  // namespace

std::shared_ptr<Queue> ReadQueue(const custom::Queue& wire) {
  auto queue = MakeObject<Queue>(wire.metadata());
  queue->generation = wire.metadata().generation();
  queue->created = ReadTime(wire.metadata().creationtimestamp());
  if (!wire.has_spec()) queue->invalid = "spec: is missing";
  SpecReader(queue.get()).Read(wire.spec());
  if (const meta::Condition* ready = FindReady(wire.status())) {
    queue->ready = {true, ready->status(), ready->reason(), ready->message()};
    if (ready->has_lasttransitiontime()) queue->ready_since = ReadTime(ready->lasttransitiontime());
  }
  return queue;
}

std::shared_ptr<ResourceFlavor> ReadFlavor(const custom::ResourceFlavor& wire) {
  auto flavor = MakeObject<ResourceFlavor>(wire.metadata());
  const auto& labels = wire.spec().nodelabels();
  flavor->node_labels = Labels(labels.begin(), labels.end());
  if (labels.empty()) flavor->invalid = "spec.nodeLabels: must not be empty";
  for (const auto& [key, value] : flavor->node_labels) {
    if (!flavor->invalid.empty() || (IsLabelKey(key) && (value.empty() || IsLabelName(value)))) continue;
    flavor->invalid = absl::StrCat("spec.nodeLabels[", key, "]: \"", key, "=", value, "\" is no node label");
  }
  return flavor;
}

QueueStatus ReadQueueStatus(const custom::QueueStatus& wire) {
  QueueStatus status;
  if (const meta::Condition* ready = FindReady(wire)) {
    status.observed_generation = ready->observedgeneration();
    status.ready = {true, ready->status(), ready->reason(), ready->message()};
    if (ready->has_lasttransitiontime()) status.transition = ReadTime(ready->lasttransitiontime());
  }
  status.pending_groups = wire.pendinggroups();
  status.pending_pods = wire.pendingpods();
  status.running_pods = wire.runningpods();
  status.share = wire.share();
  const auto amount = [](const std::string& resource, const WireQuantity& quantity) {
    const auto parsed = Quantity::Parse(quantity.string());
    return parsed.ok() ? AmountOf(resource, *parsed) : 0;
  };
  for (const custom::QueueUsage& usage : wire.usage()) {
    status.usage.push_back({usage.resource(), usage.flavor(), amount(usage.resource(), usage.used()),
                            amount(usage.resource(), usage.borrowed())});
  }
  for (const custom::QueuePending& group : wire.pending()) {
    status.pending.push_back({group.group(), group.position(), group.pods(), group.ahead(), group.waitingfor(),
                              group.has_estimatedstart() ? ReadTime(group.estimatedstart()) : absl::InfiniteFuture(),
                              group.assumption()});
  }
  return status;
}

}  // namespace muster
