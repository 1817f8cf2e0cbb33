// Every folder of test/golden: a scenario, perhaps a configuration, and kube-scheduler's own answer.
// test/conformance finds them, checks that upstream says so, and writes expected.json.
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "test/command/cli.h"

namespace muster {
namespace {

using Json = nlohmann::json;
using GoldenTest = CliTest;

TEST_F(GoldenTest, EvaluateAnswersAsUpstream) {
  std::set<std::filesystem::path> folders;
  for (const auto& entry : std::filesystem::directory_iterator("test/golden")) folders.insert(entry.path());
  ASSERT_FALSE(folders.empty());
  for (const std::filesystem::path& folder : folders) {
    SCOPED_TRACE(folder);
    std::vector<std::string> args = {"-f", folder / "scenario.yaml", "--pod", "default/subject", "-o", "json"};
    if (std::filesystem::exists(folder / "config.yaml")) args.insert(args.end(), {"--config", folder / "config.yaml"});
    const Ran ran = Evaluate(args);
    const Json want = Json::parse(Read(folder / "expected.json"), nullptr, /*allow_exceptions=*/false);
    const Json got = Json::parse(ran.out, nullptr, /*allow_exceptions=*/false);
    ASSERT_FALSE(want.is_discarded());
    EXPECT_EQ(got, want) << ran.err;
    EXPECT_EQ(ran.exit, want.contains("error") ? 1 : 0);
  }
}

}  // namespace
}  // namespace muster
