#include "topology/cel/cel.h"

#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/topology/cel/answers.h"

namespace muster::cel {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

Result Ask(std::string_view expression, uint64_t limit = kCostLimit) {
  static const DeviceView& device = *new DeviceView(TestDevice());
  Scratch scratch;
  const absl::StatusOr<Program> program = Compile(expression);
  if (!program.ok()) return {Result::Outcome::kError, false, "COMPILE " + std::string(program.status().message()), 0};
  return program->Evaluate(device, scratch, limit);
}

struct ValueRow {
  std::string_view expression;
  bool value;
  uint64_t cost;
};

TEST(CelTest, Values) {
  // Costs are upstream's.
  const ValueRow rows[] = {
      {"true", true, 0},
      {"device.driver == 'gpu.example.com'", true, 4},
      {"device.attributes['gpu.example.com'].index > 2", true, 5},
      {"has(device.attributes['gpu.example.com'].nothing)", false, 3},
      {"has(device.attributes['no.example.com'].model)", false, 3},
      {"'no.example.com' in device.attributes", false, 3},
      {"device.capacity['gpu.example.com'].memory.isGreaterThan(quantity('40Gi'))", true, 6},
      {"device.attributes['gpu.example.com'].version.isLessThan(semver('1.2.3'))", true, 6},
      {"'mps' in device.attributes['gpu.example.com'].modes", true, 5},
      {"device.attributes['gpu.example.com'].?nothing.orValue(7) == 7", true, 4},
      {"1 / 0 == 1 || true", true, 2},
      {"'a'.charAt(9).find('a') == '' && false", false, 1},
      {"'a'.charAt(9).find('a' + '') == '' && false", false, 3},
      {"[1, 2, 3].all(x, x < 4)", true, 16},
  };
  for (const ValueRow& row : rows) {
    const Result result = Ask(row.expression);
    EXPECT_EQ(result.outcome, Result::Outcome::kValue) << row.expression << ": " << result.message;
    EXPECT_EQ(result.value, row.value) << row.expression;
    EXPECT_EQ(result.cost, row.cost) << row.expression;
  }
}

struct ErrorRow {
  std::string_view expression;
  std::string_view message;
};

TEST(CelTest, Errors) {
  const ErrorRow rows[] = {
      {"device.attributes['gpu.example.com'].nothing == 1", "no such key: nothing"},
      {"device.attributes['gpu.example.com'].links[9] == 1", "index out of bounds: 9"},
      {"1 / 0 == 1", "division by zero"},
      {"dyn(1) + 'a' == 'b'", "no such overload"},
      {"dyn(1) < dyn('a')", "no such overload"},
      {"dyn([1]) < dyn('a')", "no such overload: _<_"},
      {"device.attributes['gpu.example.com'].version == '1.2.3'", "no such overload"},
      {"optional.none().value() == 1", "optional.none() dereference"},
      {"device.attributes['gpu.example.com'].index",
       "CEL result of type int could not be converted to bool: unsupported type conversion from 'int' to bool"},
      {"1 +", "COMPILE compilation failed: ERROR: <input>:1:4: Syntax error"},
      {"1 + 'a' == 2", "found no matching overload for '_+_' applied to '(int, string)'"},
      {"\n1 +\t'a' == 2",
       "COMPILE compilation failed: ERROR: <input>:2:3: found no matching overload for '_+_' applied to '(int, "
       "string)'\n | 1 + 'a' == 2\n | ..^"},
      {"nothing", "undeclared reference to 'nothing'"},
      {"1", "must evaluate to bool or the unknown type, not int"},
      {"[1, 'a'] == []", "expected type 'int' but found 'string'"},
      {"duration('x') == duration('1s')", "invalid duration argument"},
      {"'a'.matches('(')", "invalid matches argument"},
      {"device.nothing", "undefined field 'nothing'"},
  };
  for (const ErrorRow& row : rows) {
    const Result result = Ask(row.expression);
    EXPECT_EQ(result.outcome, Result::Outcome::kError) << row.expression;
    EXPECT_THAT(result.message, HasSubstr(std::string(row.message))) << row.expression;
  }
}

TEST(CelTest, TheCostLimitEndsEvaluation) {
  const std::string_view expensive = "lists.range(1000).all(x, lists.range(1000).all(y, x + y >= 0))";
  EXPECT_EQ(Ask(expensive).outcome, Result::Outcome::kCostExceeded);
  EXPECT_EQ(Ask("[1, 2, 3].all(x, x < 4)", 15).outcome, Result::Outcome::kCostExceeded);
  EXPECT_EQ(Ask("[1, 2, 3].all(x, x < 4)", 16).outcome, Result::Outcome::kValue);
  // Neither || nor a fold absorbs it.
  EXPECT_EQ(Ask("[1, 2, 3].all(x, x < 4) || true", 10).outcome, Result::Outcome::kCostExceeded);
}

TEST(CelTest, ResultsFarLargerThanTheirCostEndEvaluation) {
  // 2,000 * 2,000 * 2,000 bytes for a cost of 800,400.
  const std::string many(2000, 'a');
  EXPECT_EQ(Ask("'" + many + "'.replace('a', '" + many + "').replace('a', '" + many + "') == ''").outcome,
            Result::Outcome::kCostExceeded);
}

TEST(CelTest, TooLongTooDeepAndTooManyAreErrors) {
  EXPECT_FALSE(Compile(std::string(kMostExpressionBytes + 1, ' ')).ok());
  EXPECT_FALSE(Compile(std::string(300, '(') + "true" + std::string(300, ')')).ok());
  std::string doubled = "optional.of(1)";
  for (int i = 0; i < 60; ++i) doubled += ".optMap(v, v + 1)";
  EXPECT_FALSE(Compile(doubled + ".hasValue()").ok());
}

void ExpectAgreement(const std::string& path, int at_least) {
  std::ifstream lines(path);
  ASSERT_TRUE(lines.good()) << path;
  const Comparison found = CompareAnswers(lines);
  EXPECT_THAT(found.differences, IsEmpty());
  EXPECT_GE(found.ran, at_least);
}

TEST(CelTest, AgreesWithUpstreamOnTheConformanceTests) {
  ExpectAgreement("test/topology/cel/testdata/conformance.jsonl", 1200);
}

TEST(CelTest, AgreesWithUpstreamOnGeneratedExpressions) {
  ExpectAgreement("test/topology/cel/testdata/generated.jsonl", 1000);
}

}  // namespace
}  // namespace muster::cel
