#include "test/topology/device/rows.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "plugins/node/node_selector.h"
#include "test/topology/device/row_objects.h"
#include "topology/device/allocator.h"
#include "topology/device/device_selectors.h"

namespace muster {
namespace {

using Json = nlohmann::json;

DeviceFeatures ReadFeatures(const Json& names) {
  const auto has = [&](const char* name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  return {.admin_access = has("DRAAdminAccess"),
          .compatibility_groups = has("DRADeviceCompatibilityGroups"),
          .consumable_capacity = has("DRAConsumableCapacity"),
          .derived_attributes = has("DRADerivedAttributes"),
          .binding_conditions = has("DRADeviceBindingConditions+DRAResourceClaimDeviceStatus"),
          .device_taints = has("DRADeviceTaints"),
          .fractional_capacity_range = has("DRAFractionalCapacityRange"),
          .list_type_attributes = has("DRAListTypeAttributes"),
          .optional_node_operations = has("DRAOptionalNodeOperations"),
          .partitionable_devices = has("DRAPartitionableDevices"),
          .prioritized_list = has("DRAPrioritizedList")};
}

// A claim that has what the row says is taken.
std::shared_ptr<ResourceClaim> ReadAllocated(const Json& uses) {
  auto claim = std::make_shared<ResourceClaim>();
  claim->name = "allocated";
  claim->allocation.emplace();
  for (const Json& use : uses) {
    AllocatedDevice taken;
    taken.id = DeviceId{use.at("driver"), use.at("pool"), use.at("device")};
    if (use.value("exclusive", false)) claim->allocation->devices.push_back(taken);
    taken.share_id = "share";
    if (!use.at("capacity").is_null()) {
      for (const auto& [name, amount] : use.at("capacity").items())
        taken.consumed_capacity[name] = ReadQuantity(amount);
    }
    if (use.value("shared", false) || !use.at("capacity").is_null()) claim->allocation->devices.push_back(taken);
  }
  return claim;
}

struct Row {
  // `allowed`: no class has other devices than these; null: all.
  explicit Row(const Json& row, const absl::flat_hash_set<DeviceId>* allowed = nullptr)
      : json(row), only(allowed), node(ReadNode(row.at("node"))), claims_before(ReadAllocated(row["allocated"])) {
    for (const Json& one : row.at("slices")) slices.push_back(std::make_shared<ResourceSlice>(ReadSlice(one)));
    for (const Json& one : row.at("classes")) classes.push_back(ReadClass(one));
    for (const Json& one : row.at("claims")) claims.push_back(ReadClaim(one));
    size_t index = 0;
    const auto no_row = [](const std::string&) { return kNoNode; };
    for (size_t i = 0; i < slices.size(); ++i) {
      slices[i]->uid = absl::StrCat(i);
      for (const Device& device : slices[i]->devices) indices[&device] = index++;
      devices.Update(Kind::kResourceSlice, nullptr, slices[i], no_row);
    }
    devices.Update(Kind::kResourceClaim, nullptr, claims_before, no_row);
    if (only == nullptr) return;
    for (DeviceClass& one : classes) one.selectors.insert(one.selectors.begin(), kOnly);
  }
  const Json& Answer(const char* of, const std::string& expression, const Device& device) const {
    return json.at(of).at(expression).at(indices.at(&device));
  }

  static constexpr char kOnly[] = "is one of `only`";
  const Json& json;
  const absl::flat_hash_set<DeviceId>* only;
  Node node;
  std::shared_ptr<ResourceClaim> claims_before;
  std::vector<std::shared_ptr<ResourceSlice>> slices;
  DeviceColumns devices;
  std::vector<DeviceClass> classes;
  std::vector<ResourceClaim> claims;
  absl::flat_hash_map<const Device*, size_t> indices;
  DeviceSelectors selectors;
  std::string difference;  // the first answer of a selector that is not upstream's
};

// What a syntax error expects instead is not said as upstream's parser does.
std::string Comparable(const std::string& message) { return message.substr(0, message.find("Syntax error: ")); }

std::string Text(const SelectorAnswer& answer) {
  return absl::StrCat(static_cast<int>(answer.kind), " ", Comparable(answer.message));
}
std::string Text(const absl::StatusOr<DeviceAttribute>& answer) {
  if (!answer.ok()) return Comparable(std::string(answer.status().message()));
  std::string text = absl::StrCat(static_cast<int>(answer->type), answer->list);
  for (const int64_t number : answer->ints) absl::StrAppend(&text, " ", number);
  for (const std::string& one : answer->texts) absl::StrAppend(&text, " ", one);
  return text;
}
template <typename Answer>
Answer Same(Row& row, const std::string& expression, Answer ours, const Answer& theirs) {
  if (row.difference.empty() && Text(ours) != Text(theirs)) {
    row.difference = absl::StrCat(expression, ": \"", Text(ours), "\", upstream's \"", Text(theirs), "\"");
  }
  return ours;
}

SelectorAnswer UpstreamsSelector(const Json& answer) {
  using Kind = SelectorAnswer::Kind;
  if (answer.contains("compile")) return {Kind::kCompileError, answer["compile"]};
  if (answer.contains("runtime")) return {Kind::kRuntimeError, answer["runtime"]};
  return {answer.value("match", false) ? Kind::kYes : Kind::kNo, ""};
}

absl::StatusOr<DeviceAttribute> UpstreamsDerived(const Json& answer, const std::string& name, const DeviceId& device) {
  if (answer.contains("attribute")) return ReadAttribute(answer["attribute"]);
  if (answer.contains("compile")) {
    return absl::InvalidArgumentError(
        absl::StrCat("compile derived attribute ", name, " failed: ", answer["compile"].get<std::string>()));
  }
  return absl::InvalidArgumentError(absl::StrCat("evaluate derived attribute ", name, " on device ", device.Text(),
                                                 " failed: ", answer["runtime"].get<std::string>()));
}

DeviceQuestions Questions(Row& row) {
  DeviceQuestions questions;
  questions.selector = [&row](const std::string& expression, const ResourceSlice& slice, const Device& device) {
    if (expression == Row::kOnly) {
      const bool is = row.only->contains({slice.driver, slice.pool, device.name});
      return SelectorAnswer{is ? SelectorAnswer::Kind::kYes : SelectorAnswer::Kind::kNo, ""};
    }
    return Same(row, expression, row.selectors.Matches(expression, slice, device),
                UpstreamsSelector(row.Answer("selectors", expression, device)));
  };
  questions.derived = [&row](const DerivedAttribute& attribute, const ResourceSlice& slice, const Device& device) {
    const DeviceId id{slice.driver, slice.pool, device.name};
    return Same(row, attribute.expression, row.selectors.Derive(attribute, slice, device),
                UpstreamsDerived(row.Answer("derived", attribute.expression, device), attribute.name, id));
  };
  questions.node_matches = [](const std::vector<NodeSelectorTerm>& terms, const Node& node) {
    return MatchesAny(terms, node);
  };
  questions.find_class = [&row](const std::string& name) -> const DeviceClass* {
    for (const DeviceClass& one : row.classes) {
      if (one.name == name) return &one;
    }
    return nullptr;
  };
  questions.new_share_id = [] { return std::string("share"); };
  return questions;
}

// Of each device, in all claims.
std::vector<std::string> RequestsOf(const Json& allocations) {
  std::vector<std::string> requests;
  for (const Json& allocation : allocations) {
    const Json devices = allocation.value("devices", Json::object()).value("results", Json::array());
    for (const Json& device : devices) requests.push_back(device.at("request"));
  }
  return requests;
}

// Amounts are compared as numbers where their texts differ for another reason than the number's.
std::string Differences(const Json& row, const DeviceOutcome& outcome, bool scored, bool* others) {
  using Kind = DeviceOutcome::Kind;
  const std::string theirs = row.value("error", "");
  if (Comparable(outcome.message) != Comparable(theirs))
    return absl::StrCat("error \"", outcome.message, "\", upstream's \"", theirs, "\"");
  if (!theirs.empty()) return "";
  const Json& results = row.at("results");
  const bool allocated = results.is_array();
  if ((outcome.kind == Kind::kAllocated) != allocated) {
    return absl::StrCat("allocated ", outcome.kind == Kind::kAllocated, ", upstream ", allocated);
  }
  Json ours = Json::array();
  for (const DeviceAllocation& allocation : outcome.allocations) ours.push_back(WriteAllocation(allocation));
  *others = allocated && ours != results;
  if (*others && scored) return RequestsOf(ours) == RequestsOf(results) ? "" : "other alternatives";
  if (*others) return absl::StrCat(ours.dump(), ", upstream ", results.dump());
  const int64_t rounds = row.value("rounds", int64_t{0});
  if (rounds != 0 && rounds != outcome.rounds) {
    return absl::StrCat(outcome.rounds, " rounds, upstream ", rounds);
  }
  return "";
}

DeviceOutcome Ask(Row& row, bool scored) {
  std::vector<const ResourceClaim*> claims;
  for (const ResourceClaim& claim : row.claims) claims.push_back(&claim);
  DeviceAllocator allocator(ReadFeatures(row.json.at("features")), Questions(row),
                            {.first_fit = !scored, .groups = {"resource.kubernetes.io/pcieRoot"}});
  return allocator.Allocate(row.devices, row.node, claims, int64_t{100'000'000});
}

// Why the first fit does not take those devices where there are no others, or "".
std::string Problem(const Json& json, const DeviceOutcome& outcome) {
  absl::flat_hash_set<DeviceId> taken;
  for (const DeviceAllocation& allocation : outcome.allocations) {
    for (const AllocatedDevice& device : allocation.devices) taken.insert(device.id);
  }
  Row row(json, &taken);
  const DeviceOutcome again = Ask(row, /*scored=*/false);
  // An error may be of a selector that was not asked about that device before.
  return again.kind == DeviceOutcome::Kind::kNoFit ? "not to be had" : "";
}

}  // namespace

RowAnswer AskRow(const std::string& line, bool scored) {
  RowAnswer answer;
  try {
    const Json json = Json::parse(line);
    if (json.value("lost", false)) {
      answer.lost = true;
      return answer;
    }
    Row row(json);
    const auto start = std::chrono::steady_clock::now();
    const DeviceOutcome outcome = Ask(row, scored);
    answer.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    answer.allocated = outcome.kind == DeviceOutcome::Kind::kAllocated;
    answer.steps = outcome.steps;
    answer.difference = row.difference.empty() ? Differences(json, outcome, scored, &answer.others) : row.difference;
    if (answer.difference.empty() && answer.others) answer.difference = Problem(json, outcome);
    if (!answer.difference.empty()) {
      answer.difference = absl::StrCat(json.at("name").get<std::string>(), ": ", answer.difference);
    }
  } catch (const std::exception& error) {
    answer.difference = absl::StrCat("malformed row: ", error.what());
  }
  return answer;
}

}  // namespace muster
