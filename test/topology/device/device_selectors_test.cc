#include "topology/device/device_selectors.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster {
namespace {

using Answered = SelectorAnswer::Kind;
using Type = DeviceAttribute::Type;

// Two GPUs, "dev-0" and "dev-1", whose "index" is their number.
ResourceSlice Slice() {
  ResourceSlice slice;
  slice.driver = "gpu.example.com";
  slice.pool = "node-1";
  for (int64_t i = 0; i < 2; ++i) {
    Device& device = slice.devices.emplace_back();
    device.name = absl::StrCat("dev-", i);
    device.attributes["index"] = {Type::kInt, false, {i}, {}};
    device.attributes["nvlink.example.com/peers"] = {Type::kInt, true, {0, 1}, {}};
    device.attributes["model"] = {Type::kString, false, {}, {"h100"}};
    device.attributes["driverVersion"] = {Type::kVersion, false, {}, {"1.2.3+b"}};
    device.attributes["healthy"] = {Type::kBool, false, {1}, {}};
    device.capacity["memory"].value = {*Quantity::Parse("80Gi"), QuantityFormat::kBinarySI};
  }
  return slice;
}

struct Row {
  std::string expression;
  Answered first, second;
  std::string message;
};

TEST(DeviceSelectorsTest, Answers) {
  const std::string own = "device.attributes['gpu.example.com']";
  const Row rows[] = {
      {"device.driver == 'gpu.example.com' && !device.allowMultipleAllocations", Answered::kYes, Answered::kYes, ""},
      {own + ".index == 1", Answered::kNo, Answered::kYes, ""},
      {"device.attributes['nvlink.example.com'].peers == [0, 1] && " + own + ".healthy", Answered::kYes, Answered::kYes,
       ""},
      {own + ".driverVersion.isLessThan(semver('2.0.0'))", Answered::kYes, Answered::kYes, ""},
      {"device.capacity['gpu.example.com'].memory.isLessThan(quantity('80Gi'))", Answered::kNo, Answered::kNo, ""},
      {own + ".model.index", Answered::kRuntimeError, Answered::kRuntimeError,
       "no such key: index. consider using CEL optional chaining (.? followed by orValue()) or guarding the check with "
       "has() for optional fields"},
      {"1 / " + own + ".index == 1", Answered::kRuntimeError, Answered::kYes, "division by zero"},
      {"lists.range(2000).all(x, lists.range(2000).all(y, x + y >= 0))", Answered::kRuntimeError,
       Answered::kRuntimeError, "operation cancelled: actual cost limit exceeded"},
      {"device.nothing", Answered::kCompileError, Answered::kCompileError,
       "compilation failed: ERROR: <input>:1:7: undefined field 'nothing'\n | device.nothing\n | ......^"},
      {"device.driver", Answered::kCompileError, Answered::kCompileError,
       "must evaluate to bool or the unknown type, not string"},
  };
  const ResourceSlice slice = Slice();
  DeviceSelectors selectors;
  for (int round = 0; round < 2; ++round) {  // the second time it is known
    for (const Row& row : rows) {
      const SelectorAnswer first = selectors.Matches(row.expression, slice, slice.devices[0]);
      EXPECT_EQ(first.kind, row.first) << row.expression << ": " << first.message;
      EXPECT_EQ(first.message, row.message) << row.expression;
      EXPECT_EQ(selectors.Matches(row.expression, slice, slice.devices[1]).kind, row.second) << row.expression;
    }
  }
}

// 100,000 turns, at just under the cost limit; then it is known.
TEST(DeviceSelectorsTest, TellsWhatAnAnswerCost) {
  const ResourceSlice slice = Slice();
  DeviceSelectors selectors;
  const auto steps = [&](const std::string& expression) {
    return selectors.Matches(expression, slice, slice.devices[0]).steps;
  };
  const std::string hostile = "lists.range(400).all(x, lists.range(200).all(y, x + y >= 0))";
  EXPECT_GT(steps(hostile), 50'000);
  EXPECT_EQ(steps(hostile), 0);
  EXPECT_GT(steps("lists.range(2000).all(x, lists.range(2000).all(y, x + y >= 0))"), 250'000);  // too costly
  EXPECT_LT(steps("device.driver == 'other'"), 100);
  EXPECT_GT(steps(absl::StrCat("device.driver == '", std::string(10'000, 'x'), "'")), 30'000);  // long to compile
}

TEST(DeviceSelectorsTest, ForgetsAnswers) {
  ResourceSlice slice = Slice();
  DeviceSelectors selectors;
  const std::string small = "device.attributes['gpu.example.com'].index < 5";
  EXPECT_EQ(selectors.Matches(small, slice, slice.devices[1]).kind, Answered::kYes);
  selectors.Forget(slice);
  slice.devices[1].attributes["index"].ints = {7};
  EXPECT_EQ(selectors.Matches(small, slice, slice.devices[1]).kind, Answered::kNo);
  // More expressions than are kept.
  for (int i = 0; i < 600; ++i) {
    const std::string expression = absl::StrCat("device.attributes['gpu.example.com'].index == ", i);
    EXPECT_EQ(selectors.Matches(expression, slice, slice.devices[1]).kind, i == 7 ? Answered::kYes : Answered::kNo);
  }
}

struct DerivedRow {
  std::string expression;
  DeviceAttribute value;
  std::string message;
};

// Values and messages are upstream's.
TEST(DeviceSelectorsTest, Derives) {
  const std::string own = "device.attributes['gpu.example.com']";
  const std::string scalars = "a primitive scalar (string, integer, boolean, semver) or a list of these scalars";
  const DerivedRow rows[] = {
      {own + ".index * 2", {Type::kInt, false, {2}, {}}, ""},
      {"device.driver.split('.')", {Type::kString, true, {}, {"gpu", "example", "com"}}, ""},
      {own + ".driverVersion", {Type::kVersion, false, {}, {"1.2.3+b"}}, ""},
      {"[dyn(" + own + ".healthy), dyn(false)]", {Type::kBool, true, {1, 0}, {}}, ""},
      {own + ".?model",
       {},
       absl::StrCat("compile derived attribute d/a failed: must evaluate to ", scalars, ", not optional_type(dyn)")},
      {"dyn(optional.of(" + own + ".model))", {Type::kString, false, {}, {"h100"}}, ""},
      {"dyn([])", {Type::kString, true, {}, {}}, ""},
      {own + ".missing",
       {},
       "evaluate derived attribute d/a on device gpu.example.com/node-1/dev-1 failed: no such key: "
       "missing"},
      {"[dyn(1), dyn('a')]",
       {},
       "evaluate derived attribute d/a on device gpu.example.com/node-1/dev-1 failed: expected list element at index 1 "
       "to be int, got string"},
  };
  const ResourceSlice slice = Slice();
  DeviceSelectors selectors;
  for (const DerivedRow& row : rows) {
    const auto value = selectors.Derive({"d/a", row.expression}, slice, slice.devices[1]);
    EXPECT_EQ(std::string(value.status().message()), row.message) << row.expression;
    if (value.ok()) {
      EXPECT_EQ(*value, row.value) << row.expression;
    }
  }
}

}  // namespace
}  // namespace muster
