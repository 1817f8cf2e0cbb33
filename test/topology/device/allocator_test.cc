#include "topology/device/allocator.h"

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/topology/device/rows.h"

namespace muster {
namespace {

using Kind = DeviceOutcome::Kind;

// Generated scenarios with upstream's answers (test/conformance/devices).
TEST(DeviceAllocatorTest, AnswersAsUpstream) {
  std::ifstream file("test/topology/device/upstream.jsonl");
  int rows = 0, allocated = 0;
  for (std::string line; std::getline(file, line); ++rows) {
    const RowAnswer answer = AskRow(line);
    EXPECT_EQ(answer.difference, "");
    allocated += answer.allocated ? 1 : 0;
  }
  EXPECT_GE(rows, 100);
  EXPECT_GE(allocated, 50);
}

// One node with a pool of devices, each with an attribute "d/a" of its own number.
class World {
 public:
  explicit World(int devices) {
    node_.name = "n";
    class_.name = "c";
    slice_.name = "s";
    slice_.driver = "d";
    slice_.pool = "p";
    slice_.slice_count = 1;
    slice_.nodes.node_name = "n";
    for (int i = 0; i < devices; ++i) {
      Device& device = slice_.devices.emplace_back();
      device.name = absl::StrCat("dev-", i);
      DeviceAttribute& attribute = device.attributes["a"];
      attribute.type = DeviceAttribute::Type::kInt;
      attribute.ints = {i};
    }
    claim_.ns = "ns";
    claim_.name = "claim";
  }
  Device& device(size_t i) { return slice_.devices[i]; }
  ResourceClaim& claim() { return claim_; }
  int64_t selector_steps = 0;  // of each answer
  void Ask(std::string mode, int64_t count) {
    DeviceRequest& request = claim_.requests.emplace_back();
    request.name = absl::StrCat("r", claim_.requests.size());
    request.device_class = "c";
    request.allocation_mode = std::move(mode);
    request.count = count;
  }
  DeviceOutcome Allocate(int64_t steps = 1000) const {
    DeviceQuestions questions;
    questions.selector = [this](const std::string& expression, const auto&, const auto&) {
      return SelectorAnswer{expression == "no" ? SelectorAnswer::Kind::kNo : SelectorAnswer::Kind::kYes, "",
                            selector_steps};
    };
    questions.node_matches = [](const auto&, const auto&) { return false; };
    questions.find_class = [this](const std::string& name) { return name == "c" ? &class_ : nullptr; };
    questions.new_share_id = [n = 0]() mutable { return absl::StrCat("share-", ++n); };
    DeviceColumns devices;
    const auto no_row = [](const std::string&) { return kNoNode; };
    devices.Update(muster::Kind::kResourceSlice, nullptr, std::make_shared<ResourceSlice>(slice_), no_row);
    devices.Update(muster::Kind::kResourceClaim, nullptr, std::make_shared<ResourceClaim>(other_), no_row);
    const ResourceClaim* claims[] = {&claim_};
    return DeviceAllocator({}, questions).Allocate(devices, node_, claims, steps);
  }
  // By another claim.
  void Take(const std::string& device) {
    if (!other_.allocation) other_.allocation.emplace();
    other_.allocation->devices.emplace_back().id = {"d", "p", device};
  }

 private:
  Node node_;
  DeviceClass class_;
  ResourceSlice slice_;
  ResourceClaim claim_, other_;
};

std::vector<std::string> Devices(const DeviceOutcome& outcome) {
  std::vector<std::string> names;
  for (const DeviceAllocation& allocation : outcome.allocations) {
    for (const AllocatedDevice& device : allocation.devices) names.push_back(device.id.device);
  }
  return names;
}

TEST(DeviceAllocatorTest, TakesTheFirstThatAreFree) {
  World world(4);
  world.Ask("ExactCount", 2);
  world.Take("dev-1");
  EXPECT_THAT(Devices(world.Allocate()), testing::ElementsAre("dev-0", "dev-2"));
  world.Ask("ExactCount", 2);
  const DeviceOutcome outcome = world.Allocate();
  EXPECT_EQ(outcome.kind, Kind::kNoFit);
  EXPECT_EQ(outcome.message, "");
}

TEST(DeviceAllocatorTest, AsksForAnIdOfEachShareThatIsTaken) {
  World world(2);
  world.device(0).allow_multiple_allocations = true;
  world.Ask("ExactCount", 1);
  world.Ask("ExactCount", 1);
  const DeviceOutcome outcome = world.Allocate();
  ASSERT_THAT(Devices(outcome), testing::ElementsAre("dev-0", "dev-0"));
  EXPECT_EQ(outcome.allocations[0].devices[0].share_id, "share-1");
  EXPECT_EQ(outcome.allocations[0].devices[1].share_id, "share-2");
}

// 16 of 64 devices that must all be equal in what differs for all: each pair is looked at, and no more. A step is the
// device's and one the constraint's.
TEST(DeviceAllocatorTest, LooksNoFurtherWhereAConstraintFailsAtOnce) {
  World world(64);
  world.Ask("ExactCount", 16);
  world.claim().constraints.push_back({{}, "d/a", ""});
  const DeviceOutcome outcome = world.Allocate(100'000);
  EXPECT_EQ(outcome.kind, Kind::kNoFit);
  EXPECT_LE(outcome.rounds, 65);
  EXPECT_LE(outcome.steps, 2 * 64 * 65);
}

// 17 of 32 that differ in a number of which there are 16: every way to choose 16 would be looked at.
TEST(DeviceAllocatorTest, GivesUpAtItsLimit) {
  World world(32);
  for (size_t i = 0; i < 32; ++i) world.device(i).attributes["a"].ints = {static_cast<int64_t>(i / 2)};
  world.Ask("ExactCount", 17);
  world.claim().constraints.push_back({{}, "", "d/a"});
  const DeviceOutcome outcome = world.Allocate(50'000);
  EXPECT_EQ(outcome.kind, Kind::kGaveUp);
  EXPECT_EQ(outcome.message, "gave up looking for devices after 50000 steps");
  EXPECT_EQ(outcome.steps, 50'001);
  EXPECT_TRUE(outcome.allocations.empty());
}

// Beyond its limit by one answer at most.
TEST(DeviceAllocatorTest, CountsWhatSelectorsCost) {
  World world(64);
  world.selector_steps = 300;
  for (const char* mode : {"ExactCount", "All"}) {
    world.claim().requests.clear();
    world.Ask(mode, 1);
    world.claim().requests[0].selectors = {"no"};
    const DeviceOutcome outcome = world.Allocate(1000);
    EXPECT_EQ(outcome.kind, Kind::kGaveUp) << mode;
    EXPECT_GT(outcome.steps, 1000) << mode;
    EXPECT_LE(outcome.steps, 1300) << mode;
    EXPECT_EQ(world.Allocate(64 * 302).kind, Kind::kNoFit) << mode;
  }
}

// 2,048 alternatives, though the first request has no device already.
TEST(DeviceAllocatorTest, CountsPlanningAndConstraints) {
  World world(64);
  world.Ask("ExactCount", 1);
  world.claim().requests[0].selectors = {"no"};
  const int64_t without = world.Allocate(100'000).steps;
  for (int i = 0; i < 256; ++i) {
    world.Ask("ExactCount", 0);
    world.claim().requests.back().first_available.resize(8, world.claim().requests[0]);
    for (DeviceRequest& alternative : world.claim().requests.back().first_available) alternative.count = 0;
  }
  EXPECT_EQ(world.Allocate(100'000).steps, without + 256 * 8 * 3);

  World constrained(64);
  constrained.Ask("ExactCount", 1);
  constrained.claim().constraints.assign(10, {{}, "d/a", ""});
  EXPECT_EQ(constrained.Allocate().kind, Kind::kAllocated);
  EXPECT_EQ(constrained.Allocate().steps, 3 + 1 + 1 + 10 + 1 + 1 + 1);  // plan, place, device, constraints, places
}

TEST(DeviceAllocatorTest, RefusesAllWhereAConstraintForbidsThem) {
  World world(2);
  world.Ask("All", 0);
  world.claim().constraints.push_back({{}, "d/a", ""});
  const DeviceOutcome outcome = world.Allocate();
  EXPECT_EQ(outcome.kind, Kind::kError);
  EXPECT_EQ(
      outcome.message,
      "claim ns/claim, request r1: cannot add device d/p/dev-1 because a claim constraint would not be satisfied");
}

}  // namespace
}  // namespace muster
