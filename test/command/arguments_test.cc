#include "scheduler/command/arguments.h"

#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Parsed {
  std::optional<int> exit;
  std::string out, err;
  std::string text = "unset", choice = "table";
  std::vector<std::string> many, rest;
  bool on = false;
  std::optional<uint64_t> number;
  std::optional<Duration> length;
};

Parsed Parse(const std::vector<std::string>& args, bool take_rest = true) {
  Parsed p;
  Arguments arguments("try [flags]", "Tries.");
  arguments.Text("--text", "T", "a text", &p.text);
  arguments.Many("-f, --file", "F", "files", &p.many);
  arguments.Switch("--on", "a switch", &p.on);
  arguments.Number("--number", "N", "a number", 1, 256, &p.number);
  arguments.Length("--length", "D", "a length", &p.length);
  arguments.Choice("-o, --output", {"table", "json"}, "a choice", &p.choice);
  if (take_rest) arguments.Rest(&p.rest);
  std::ostringstream out, err;
  p.exit = arguments.Parse(args, out, err);
  p.out = out.str();
  p.err = err.str();
  return p;
}

TEST(ArgumentsTest, ReadsEveryForm) {
  const Parsed p = Parse({"--text", "a b", "-f", "x", "--file=y=z", "loose", "--on", "--number=256", "--length",
                          "1h30m", "-o", "json", "-", "--", "--text"});
  EXPECT_EQ(p.exit, std::nullopt) << p.err;
  EXPECT_EQ(p.text, "a b");
  EXPECT_THAT(p.many, ElementsAre("x", "y=z"));
  EXPECT_THAT(p.rest, ElementsAre("loose", "-", "--text"));
  EXPECT_TRUE(p.on);
  EXPECT_EQ(p.number, 256u);
  EXPECT_EQ(p.length, absl::Minutes(90));
  EXPECT_EQ(p.choice, "json");
}

TEST(ArgumentsTest, KeepsDefaults) {
  const Parsed p = Parse({});
  EXPECT_EQ(p.exit, std::nullopt);
  EXPECT_EQ(p.text, "unset");
  EXPECT_EQ(p.choice, "table");
  EXPECT_FALSE(p.number.has_value());
}

TEST(ArgumentsTest, RefusesWithTheFlagsName) {
  const struct {
    std::vector<std::string> args;
    const char* says;
  } kCases[] = {
      {{"--nope"}, "unknown flag --nope"},
      {{"--nope=1"}, "unknown flag --nope"},
      {{"-x"}, "unknown flag -x"},
      {{"--text"}, "--text needs a value"},
      {{"--text="}, "--text : must not be empty"},
      {{"--on=yes"}, "--on takes no value"},
      {{"--text", "a", "--text", "b"}, "--text is given twice"},
      {{"--number", "0"}, "--number 0: must be a whole number from 1 to 256"},
      {{"--number", "257"}, "from 1 to 256"},
      {{"--number", "-1"}, "from 1 to 256"},
      {{"--number", "7x"}, "from 1 to 256"},
      {{"--number", "99999999999999999999"}, "from 1 to 256"},
      {{"--length", "90"}, "--length 90: must be a length of time"},
      {{"--length", "-1s"}, "must be a length of time"},
      {{"--length", "inf"}, "must be a length of time"},
      {{"-o", "yaml"}, "-o yaml: must be one of table, json"},
  };
  for (const auto& c : kCases) {
    const Parsed p = Parse(c.args);
    EXPECT_EQ(p.exit, kExitBadInput) << c.args[0];
    EXPECT_THAT(p.err, HasSubstr(c.says));
    EXPECT_THAT(p.err, HasSubstr("usage: muster try [flags]"));
    EXPECT_EQ(p.out, "");
  }
  EXPECT_THAT(Parse({"loose"}, false).err, HasSubstr("unexpected argument \"loose\""));
  EXPECT_THAT(Parse({"--", "loose"}, false).err, HasSubstr("unexpected argument \"loose\""));
}

TEST(ArgumentsTest, HelpListsEveryFlag) {
  const Parsed p = Parse({"--help", "--nope"});
  EXPECT_EQ(p.exit, kExitOk);
  EXPECT_EQ(p.err, "");
  for (const char* flag : {"--text T", "-f, --file F", "--on", "--number N", "-o, --output table|json", "Tries."})
    EXPECT_THAT(p.out, HasSubstr(flag));
}

}  // namespace
}  // namespace muster
