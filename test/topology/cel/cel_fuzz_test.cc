#include <fstream>
#include <iostream>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "test/topology/cel/answers.h"

namespace muster::cel {
namespace {

// Whatever is asked neither crashes nor runs over its budget.
class CelFuzzTest : public testing::Test {
 protected:
  // Printed at once: a crash must not take the seed along.
  CelFuzzTest() { std::cout << "seed " << seed_ << std::endl; }

  size_t Below(size_t count) { return random_() % count; }
  template <typename Texts>
  std::string_view OneOf(const Texts& texts) {
    return texts[Below(std::size(texts))];
  }

  void Ask(const std::string& text) {
    const absl::StatusOr<Program> program = Compile(text);
    if (!program.ok()) return;
    ++compiled_;
    const Result result = program->Evaluate(device_, scratch_, 10'000);
    EXPECT_TRUE(result.outcome != Result::Outcome::kValue || result.cost <= 10'000) << text;
  }

  uint64_t seed_ = std::random_device{}();
  std::mt19937_64 random_{seed_};
  DeviceView device_ = TestDevice();
  Scratch scratch_;
  int compiled_ = 0;
};

constexpr std::string_view kTokens[] = {"device",
                                        ".",
                                        "attributes",
                                        "capacity",
                                        "driver",
                                        "[",
                                        "]",
                                        "(",
                                        ")",
                                        "{",
                                        "}",
                                        ",",
                                        ":",
                                        "?",
                                        "&&",
                                        "||",
                                        "!",
                                        "-",
                                        "+",
                                        "*",
                                        "/",
                                        "%",
                                        "==",
                                        "!=",
                                        "<",
                                        ">=",
                                        "in",
                                        "1",
                                        "2u",
                                        "0x1f",
                                        "1.5",
                                        "-9223372036854775808",
                                        "'a'",
                                        "b'\\xff'",
                                        "r'\\d'",
                                        "\"\"\"x\"\"\"",
                                        "true",
                                        "null",
                                        "x",
                                        "y",
                                        "'gpu.example.com'",
                                        ".model",
                                        ".?",
                                        "[?",
                                        ".all(x, ",
                                        ".map(x, ",
                                        ".filter(x, ",
                                        ".exists(x, y, ",
                                        ".transformMap(k, v, ",
                                        "cel.bind(x, ",
                                        "has(",
                                        "dyn(",
                                        "size(",
                                        "type(",
                                        "quantity('1Gi')",
                                        "semver('1.2.3')",
                                        "optional.of(",
                                        "optional.none()",
                                        ".orValue(",
                                        ".optMap(x, ",
                                        "lists.range(3)",
                                        ".matches('a+')",
                                        ".format([",
                                        "])",
                                        "duration('1s')",
                                        "timestamp(0)",
                                        "ip('::1')",
                                        " ",
                                        "\n",
                                        "// x\n",
                                        "\t"};

TEST_F(CelFuzzTest, Mutations) {
  std::vector<std::string> seeds;
  for (const char* name : {"generated", "conformance"}) {
    std::ifstream lines("test/topology/cel/testdata/" + std::string(name) + ".jsonl");
    for (std::string line; std::getline(lines, line);) seeds.push_back(nlohmann::json::parse(line).at("expr"));
  }
  ASSERT_GT(seeds.size(), 2000u);
  constexpr std::string_view kBytes = "()[]{}.,?:+-*/%!&|<>='\"\\ 019xadevice\n\xc3\xff";
  for (int i = 0; i < 20'000; ++i) {
    std::string text(OneOf(seeds));
    for (size_t changes = 1 + Below(4); changes > 0 && !text.empty(); --changes) {
      const size_t at = Below(text.size());
      switch (Below(5)) {
        case 0: text[at] = kBytes[Below(kBytes.size())]; break;
        case 1: text.erase(at, 1 + Below(8)); break;
        case 2: text.insert(at, 1, kBytes[Below(kBytes.size())]); break;
        case 3: text.insert(at, OneOf(kTokens)); break;
        default: text.insert(at, OneOf(seeds).substr(0, Below(40)));
      }
    }
    Ask(text);
  }
  EXPECT_GT(compiled_, 0);
}

TEST_F(CelFuzzTest, RandomTokens) {
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (size_t count = 1 + Below(12); count > 0; --count) text += OneOf(kTokens);
    Ask(text);
  }
  EXPECT_GT(compiled_, 0);
}

TEST_F(CelFuzzTest, RandomBytes) {
  for (int i = 0; i < 20'000; ++i) {
    std::string text(Below(64), ' ');
    for (char& c : text) c = static_cast<char>(Below(256));
    Ask(text);
  }
}

// Nothing is too deep for the stack, up to the longest expression.
TEST_F(CelFuzzTest, Nests) {
  for (int i = 0; i < 2'000; ++i) {
    std::string front, back;
    for (size_t parts = 1 + Below(2); parts > 0; --parts) front += OneOf(kTokens);
    for (size_t parts = Below(3); parts > 0; --parts) back += OneOf(kTokens);
    const size_t times = 1 + Below(kMostExpressionBytes / (front.size() + back.size()));
    std::string text;
    for (size_t t = 0; t < times; ++t) text += front;
    text += OneOf(kTokens);
    for (size_t t = 0; t < times; ++t) text += back;
    Ask(text);
  }
}

}  // namespace
}  // namespace muster::cel
