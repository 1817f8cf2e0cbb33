#include "test/topology/device/rows.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "plugins/node/node_selector.h"
#include "test/topology/device/row_objects.h"
#include "topology/device/allocator.h"

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

AllocatedDevices ReadAllocated(const Json& uses) {
  AllocatedDevices allocated;
  for (const Json& use : uses) {
    DeviceUse& read = allocated[DeviceId{use.at("driver"), use.at("pool"), use.at("device")}];
    read.exclusive = use.value("exclusive", false);
    read.shared = use.value("shared", false);
    read.has_capacity = !use.at("capacity").is_null();
    if (!read.has_capacity) continue;
    for (const auto& [name, amount] : use.at("capacity").items()) read.capacity[name] = ReadQuantity(amount).value;
  }
  return allocated;
}

struct Row {
  explicit Row(const Json& row)
      : json(row), node(ReadNode(row.at("node"))), allocated(ReadAllocated(row["allocated"])) {
    for (const Json& one : row.at("slices")) slices.push_back(ReadSlice(one));
    for (const Json& one : row.at("classes")) classes.push_back(ReadClass(one));
    for (const Json& one : row.at("claims")) claims.push_back(ReadClaim(one));
    size_t index = 0;
    for (const ResourceSlice& slice : slices) {
      for (const Device& device : slice.devices) indices[&device] = index++;
    }
  }
  const Json& Answer(const char* of, const std::string& expression, const Device& device) const {
    return json.at(of).at(expression).at(indices.at(&device));
  }

  const Json& json;
  Node node;
  AllocatedDevices allocated;
  std::vector<ResourceSlice> slices;
  std::vector<DeviceClass> classes;
  std::vector<ResourceClaim> claims;
  absl::flat_hash_map<const Device*, size_t> indices;
};

DeviceQuestions Questions(const Row& row) {
  DeviceQuestions questions;
  questions.selector = [&row](const std::string& expression, const ResourceSlice&, const Device& device) {
    using Kind = SelectorAnswer::Kind;
    const Json& answer = row.Answer("selectors", expression, device);
    if (answer.contains("compile")) return SelectorAnswer{Kind::kCompileError, answer["compile"]};
    if (answer.contains("runtime")) return SelectorAnswer{Kind::kRuntimeError, answer["runtime"]};
    return SelectorAnswer{answer.value("match", false) ? Kind::kYes : Kind::kNo, ""};
  };
  questions.derived = [&row](const DerivedAttribute& attribute, const ResourceSlice& slice,
                             const Device& device) -> absl::StatusOr<DeviceAttribute> {
    const Json& answer = row.Answer("derived", attribute.expression, device);
    if (answer.contains("attribute")) return ReadAttribute(answer["attribute"]);
    if (answer.contains("compile")) {
      return absl::InvalidArgumentError(absl::StrCat("compile derived attribute ", attribute.name,
                                                     " failed: ", answer["compile"].get<std::string>()));
    }
    return absl::InvalidArgumentError(absl::StrCat("evaluate derived attribute ", attribute.name, " on device ",
                                                   slice.driver, "/", slice.pool, "/", device.name,
                                                   " failed: ", answer["runtime"].get<std::string>()));
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

// Amounts are compared as numbers where their texts differ for another reason than the number's.
std::string Differences(const Json& row, const DeviceOutcome& outcome) {
  using Kind = DeviceOutcome::Kind;
  const std::string theirs = row.value("error", "");
  if (outcome.message != theirs) return absl::StrCat("error \"", outcome.message, "\", upstream's \"", theirs, "\"");
  if (!theirs.empty()) return "";
  const Json& results = row.at("results");
  const bool allocated = results.is_array();
  if ((outcome.kind == Kind::kAllocated) != allocated) {
    return absl::StrCat("allocated ", outcome.kind == Kind::kAllocated, ", upstream ", allocated);
  }
  Json ours = Json::array();
  for (const DeviceAllocation& allocation : outcome.allocations) ours.push_back(WriteAllocation(allocation));
  if (allocated && ours != results) return absl::StrCat(ours.dump(), ", upstream ", results.dump());
  const int64_t rounds = row.value("rounds", int64_t{0});
  if (rounds != 0 && rounds != outcome.rounds) {
    return absl::StrCat(outcome.rounds, " rounds, upstream ", rounds);
  }
  return "";
}

}  // namespace

RowAnswer AskRow(const std::string& line) {
  RowAnswer answer;
  try {
    const Json json = Json::parse(line);
    if (json.value("lost", false)) {
      answer.lost = true;
      return answer;
    }
    const Row row(json);
    std::vector<const ResourceSlice*> slices;
    for (const ResourceSlice& slice : row.slices) slices.push_back(&slice);
    std::vector<const ResourceClaim*> claims;
    for (const ResourceClaim& claim : row.claims) claims.push_back(&claim);
    const DeviceAllocator allocator(ReadFeatures(json.at("features")), slices, &row.allocated, Questions(row));
    const auto start = std::chrono::steady_clock::now();
    const DeviceOutcome outcome = allocator.Allocate(row.node, claims, int64_t{100'000'000});
    answer.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    answer.allocated = outcome.kind == DeviceOutcome::Kind::kAllocated;
    answer.steps = outcome.steps;
    answer.difference = Differences(json, outcome);
    if (!answer.difference.empty()) {
      answer.difference = absl::StrCat(json.at("name").get<std::string>(), ": ", answer.difference);
    }
  } catch (const std::exception& error) {
    answer.difference = absl::StrCat("malformed row: ", error.what());
  }
  return answer;
}

}  // namespace muster
