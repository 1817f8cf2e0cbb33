#include "scheduler/sim/claims/device_rules.h"

#include <set>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "scheduler/model/label_syntax.h"

namespace muster {
namespace {

namespace resource = k8s::io::api::resource::v1;

// The API's limits.
constexpr int kRequests = 32, kConstraints = 32, kConfigs = 32, kSelectors = 32, kAlternatives = 8, kTolerations = 16;
constexpr int kDevices = 128, kHeavyDevices = 64;  // heavy: with taints, counters or lists
constexpr int kAttributes = 32, kTaints = 16, kConditions = 4, kValidValues = 10;
constexpr int kCounterSets = 8, kCounters = 32, kConsumedSets = 2;
constexpr size_t kExpression = 10 * 1024, kDriver = 63;
constexpr int64_t kNoCount = 0;

void SetTime(Time now, resource::DeviceTaint* taint) {
  if (!taint->has_timeadded()) taint->mutable_timeadded()->set_seconds(absl::ToUnixSeconds(now));
}

template <typename Wire>  // ExactDeviceRequest or DeviceSubRequest
void CompleteRequest(Wire* request) {
  if (request->allocationmode().empty()) request->set_allocationmode("ExactCount");
  if (request->allocationmode() == "ExactCount" && request->count() == kNoCount) request->set_count(1);
  for (auto& toleration : *request->mutable_tolerations()) {
    if (toleration.operator_().empty()) toleration.set_operator_("Equal");
  }
}

// Keeps the first complaint.
class Refusal {
 public:
  std::string text;

  void Unless(bool holds, std::string_view path, std::string_view why) {
    if (!holds && text.empty()) text = absl::StrCat(AsAbsl(path), ": ", AsAbsl(why));
  }
  void AtMost(int limit, int size, std::string_view path) {
    if (size > limit) Unless(false, path, absl::StrCat("must have at most ", limit, " items"));
  }
  void Fresh(std::set<std::string>* seen, const std::string& name, std::string_view path) {
    Unless(seen->insert(name).second, path, "is there twice");
  }
  // A DNS label.
  void Name(const std::string& name, std::string_view path) {
    Unless(name.size() <= 63 && name.find('.') == std::string::npos && IsDnsSubdomain(name), path,
           absl::StrCat("\"", name, "\" is no name of lower-case letters, digits and dashes"));
  }
  void Driver(const std::string& driver, std::string_view path) {
    Unless(driver.size() <= kDriver && IsDnsSubdomain(driver), path,
           absl::StrCat("\"", driver, "\" is no driver's name, which is a DNS name"));
  }
  void Selectors(const google::protobuf::RepeatedPtrField<resource::DeviceSelector>& selectors,
                 const std::string& path) {
    AtMost(kSelectors, selectors.size(), path);
    for (int i = 0; i < selectors.size(); ++i) {
      const std::string at = absl::StrCat(path, "[", i, "].cel.expression");
      Unless(!selectors[i].cel().expression().empty(), at, "is missing");
      Unless(selectors[i].cel().expression().size() <= kExpression, at, "must have at most 10240 bytes");
    }
  }
  void Taint(const resource::DeviceTaint& taint, const std::string& path) {
    Unless(IsLabelKey(taint.key()), path + ".key", absl::StrCat("\"", taint.key(), "\" is no label's key"));
    Unless(taint.effect() == "None" || taint.effect() == "NoSchedule" || taint.effect() == "NoExecute",
           path + ".effect", "must be None, NoSchedule or NoExecute");
  }
  // ExactDeviceRequest or DeviceSubRequest.
  template <typename Wire>
  void Request(const Wire& request, const std::string& path) {
    Unless(IsDnsSubdomain(request.deviceclassname()), path + ".deviceClassName",
           absl::StrCat("\"", request.deviceclassname(), "\" is no name of a DeviceClass"));
    Selectors(request.selectors(), path + ".selectors");
    const bool exact = request.allocationmode() == "ExactCount";
    Unless(exact || request.allocationmode() == "All", path + ".allocationMode", "must be ExactCount or All");
    Unless(exact ? request.count() > 0 : request.count() == kNoCount, path + ".count",
           exact ? "must be greater than 0" : "must not be given where allocationMode is All");
    AtMost(kTolerations, request.tolerations_size(), path + ".tolerations");
    for (int i = 0; i < request.tolerations_size(); ++i) {
      const auto& toleration = request.tolerations(i);
      Unless(toleration.operator_() == "Equal" || (toleration.operator_() == "Exists" && toleration.value().empty()),
             absl::StrCat(path, ".tolerations[", i, "].operator"), "must be Equal, or Exists without a value");
    }
  }
};

int Count(std::initializer_list<bool> given) {
  int count = 0;
  for (const bool one : given) count += one ? 1 : 0;
  return count;
}

void CheckDevice(const resource::Device& device, bool own_nodes, const std::string& path, Refusal* refusal) {
  refusal->Name(device.name(), path + ".name");
  const int nodes = Count({!device.nodename().empty(), device.has_nodeselector(), device.allnodes()});
  refusal->Unless(nodes == (own_nodes ? 1 : 0), path,
                  own_nodes ? "must have one of nodeName, nodeSelector and allNodes, as perDeviceNodeSelection is true"
                            : "must not have nodes of its own, as perDeviceNodeSelection is not true");
  refusal->AtMost(kAttributes, device.attributes_size() + device.capacity_size(), path + ".attributes and capacity");
  for (const auto& [name, attribute] : device.attributes()) {
    const int values = Count({attribute.has_int_(), attribute.has_bool_(), attribute.has_string(),
                              attribute.has_version(), !attribute.ints().empty(), !attribute.bools().empty(),
                              !attribute.strings().empty(), !attribute.versions().empty()});
    refusal->Unless(values == 1, absl::StrCat(path, ".attributes[", name, "]"), "must have one value");
  }
  for (const auto& [name, capacity] : device.capacity()) {
    if (!capacity.has_requestpolicy()) continue;
    const std::string at = absl::StrCat(path, ".capacity[", name, "].requestPolicy");
    const auto& policy = capacity.requestpolicy();
    refusal->Unless(device.allowmultipleallocations(), at, "needs allowMultipleAllocations to be true");
    refusal->Unless(policy.validvalues().empty() || !policy.has_validrange(), at,
                    "must not have both validValues and validRange");
    refusal->Unless(policy.has_default_() || (policy.validvalues().empty() && !policy.has_validrange()), at,
                    "must have a default beside validValues or validRange");
    refusal->AtMost(kValidValues, policy.validvalues_size(), at + ".validValues");
  }
  refusal->AtMost(kConsumedSets, device.consumescounters_size(), path + ".consumesCounters");
  refusal->AtMost(kTaints, device.taints_size(), path + ".taints");
  for (int i = 0; i < device.taints_size(); ++i)
    refusal->Taint(device.taints(i), absl::StrCat(path, ".taints[", i, "]"));
  refusal->AtMost(kConditions, device.bindingconditions_size(), path + ".bindingConditions");
  refusal->AtMost(kConditions, device.bindingfailureconditions_size(), path + ".bindingFailureConditions");
  refusal->Unless(device.bindingconditions().empty() == device.bindingfailureconditions().empty(), path,
                  "must have both bindingConditions and bindingFailureConditions, or neither");
}

bool IsHeavy(const resource::Device& device) {
  if (!device.taints().empty() || !device.consumescounters().empty()) return true;
  for (const auto& [name, attribute] : device.attributes()) {
    if (!attribute.ints().empty() || !attribute.bools().empty() || !attribute.strings().empty() ||
        !attribute.versions().empty())
      return true;
  }
  return false;
}

}  // namespace

void CompleteNew(resource::ResourceClaimSpec* spec) {
  for (auto& request : *spec->mutable_devices()->mutable_requests()) {
    if (request.has_exactly()) CompleteRequest(request.mutable_exactly());
    for (auto& sub : *request.mutable_firstavailable()) CompleteRequest(&sub);
  }
}

void CompleteNew(Time now, resource::ResourceSlice* slice) {
  for (auto& device : *slice->mutable_spec()->mutable_devices()) {
    for (auto& taint : *device.mutable_taints()) SetTime(now, &taint);
  }
}

void CompleteNew(Time now, resource::DeviceTaintRule* rule) { SetTime(now, rule->mutable_spec()->mutable_taint()); }

std::string CheckNew(const resource::ResourceClaimSpec& spec) {
  Refusal refusal;
  const resource::DeviceClaim& devices = spec.devices();
  std::set<std::string> names, references;
  refusal.AtMost(kRequests, devices.requests_size(), "spec.devices.requests");
  for (int i = 0; i < devices.requests_size(); ++i) {
    const auto& request = devices.requests(i);
    const std::string path = absl::StrCat("spec.devices.requests[", i, "]");
    refusal.Name(request.name(), path + ".name");
    refusal.Fresh(&names, request.name(), path + ".name");
    references.insert(request.name());
    refusal.Unless(request.has_exactly() == request.firstavailable().empty(), path,
                   "must have one of exactly and firstAvailable");
    if (request.has_exactly()) refusal.Request(request.exactly(), path + ".exactly");
    refusal.AtMost(kAlternatives, request.firstavailable_size(), path + ".firstAvailable");
    std::set<std::string> subs;
    for (int k = 0; k < request.firstavailable_size(); ++k) {
      const auto& sub = request.firstavailable(k);
      const std::string at = absl::StrCat(path, ".firstAvailable[", k, "]");
      refusal.Name(sub.name(), at + ".name");
      refusal.Fresh(&subs, sub.name(), at + ".name");
      references.insert(absl::StrCat(request.name(), "/", sub.name()));
      refusal.Request(sub, at);
    }
  }
  const auto refer = [&](const auto& requests, const std::string& path) {
    for (const std::string& name : requests)
      refusal.Unless(references.contains(name), path, absl::StrCat("there is no request \"", name, "\""));
  };
  refusal.AtMost(kConstraints, devices.constraints_size(), "spec.devices.constraints");
  for (int i = 0; i < devices.constraints_size(); ++i) {
    const std::string path = absl::StrCat("spec.devices.constraints[", i, "]");
    refer(devices.constraints(i).requests(), path + ".requests");
    refusal.Unless(devices.constraints(i).has_matchattribute() != devices.constraints(i).has_distinctattribute(), path,
                   "must have one of matchAttribute and distinctAttribute");
  }
  refusal.AtMost(kConfigs, devices.config_size(), "spec.devices.config");
  for (int i = 0; i < devices.config_size(); ++i)
    refer(devices.config(i).requests(), absl::StrCat("spec.devices.config[", i, "].requests"));
  return refusal.text;
}

std::string CheckNew(const resource::ResourceSlice& slice) {
  Refusal refusal;
  const resource::ResourceSliceSpec& spec = slice.spec();
  refusal.Driver(spec.driver(), "spec.driver");
  refusal.Unless(IsDnsSubdomain(spec.pool().name()) || spec.pool().name().find('/') != std::string::npos,
                 "spec.pool.name", absl::StrCat("\"", spec.pool().name(), "\" is no pool's name"));
  refusal.Unless(spec.pool().generation() >= 0, "spec.pool.generation", "must not be negative");
  refusal.Unless(spec.pool().resourceslicecount() > 0, "spec.pool.resourceSliceCount", "must be greater than 0");
  const int nodes =
      Count({!spec.nodename().empty(), spec.has_nodeselector(), spec.allnodes(), spec.perdevicenodeselection()});
  refusal.Unless(nodes == 1, "spec", "must have one of nodeName, nodeSelector, allNodes and perDeviceNodeSelection");
  refusal.Unless(spec.devices().empty() || spec.sharedcounters().empty(), "spec",
                 "must not have both devices and sharedCounters");
  bool heavy = false;
  std::set<std::string> names;
  for (int i = 0; i < spec.devices_size(); ++i) {
    const std::string path = absl::StrCat("spec.devices[", i, "]");
    CheckDevice(spec.devices(i), spec.perdevicenodeselection(), path, &refusal);
    refusal.Fresh(&names, spec.devices(i).name(), path + ".name");
    heavy |= IsHeavy(spec.devices(i));
  }
  refusal.AtMost(heavy ? kHeavyDevices : kDevices, spec.devices_size(), "spec.devices");
  refusal.AtMost(kCounterSets, spec.sharedcounters_size(), "spec.sharedCounters");
  std::set<std::string> sets;
  for (int i = 0; i < spec.sharedcounters_size(); ++i) {
    const std::string path = absl::StrCat("spec.sharedCounters[", i, "]");
    refusal.Name(spec.sharedcounters(i).name(), path + ".name");
    refusal.Fresh(&sets, spec.sharedcounters(i).name(), path + ".name");
    refusal.AtMost(kCounters, spec.sharedcounters(i).counters_size(), path + ".counters");
  }
  return refusal.text;
}

std::string CheckNew(const resource::DeviceClass& device_class) {
  Refusal refusal;
  refusal.Selectors(device_class.spec().selectors(), "spec.selectors");
  refusal.AtMost(kConfigs, device_class.spec().config_size(), "spec.config");
  return refusal.text;
}

std::string CheckNew(const resource::DeviceTaintRule& rule) {
  Refusal refusal;
  refusal.Taint(rule.spec().taint(), "spec.taint");
  return refusal.text;
}

}  // namespace muster
