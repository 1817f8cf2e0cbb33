#include "scheduler/runtime/decision_log.h"

#include <fstream>
#include <functional>
#include <set>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster {
namespace {

using ::testing::HasSubstr;

Decision Bound() {
  Decision d;
  d.cycle = 7;
  d.at = absl::FromUnixMicros(1'700'000'000'250'000);
  d.profile = "muster";
  d.pods = {{"team", "web-0", "node-a", 212}};
  d.work = {.nodes_filtered = 100, .nodes_scored = 90, .from_cache = true};
  return d;
}

Decision Unschedulable() {
  Decision d = Bound();
  d.result = Decision::Result::kUnschedulable;
  d.code = "Unschedulable";
  d.message = "0/2 nodes are available: 2 Insufficient cpu.";
  d.pods = {{"team", "web-0", "", 0}};
  d.rejections = {{"NodeResourcesFit", "Insufficient cpu", 2}};
  d.may_help = {"NodeAdd"};
  return d;
}

uint64_t HashOf(const Decision& d) {
  DecisionLog log;
  log.Add(d);
  return log.Hash();
}

TEST(DecisionLog, HashesEverythingButTheWork) {
  const std::function<void(Decision&)> kChanges[] = {
      [](Decision& d) { d.cycle = 8; },
      [](Decision& d) { d.at += absl::Nanoseconds(1); },
      [](Decision& d) { d.profile = "other"; },
      [](Decision& d) { d.result = Decision::Result::kError; },
      [](Decision& d) { d.code = "Pending"; },
      [](Decision& d) { d.message = ""; },
      [](Decision& d) { d.pods[0].ns = "tea"; },
      [](Decision& d) { d.pods[0].ns = "teamw", d.pods[0].name = "eb-0"; },
      [](Decision& d) { d.pods[0].node = "node-b"; },
      [](Decision& d) { d.pods[0].score = 1; },
      [](Decision& d) { d.pods.push_back(d.pods[0]); },
      [](Decision& d) { d.rejections[0].plugin = "NodePorts"; },
      [](Decision& d) { d.rejections[0].reason = "Insufficient memory"; },
      [](Decision& d) { d.rejections[0].nodes = 1; },
      [](Decision& d) { d.rejections.clear(); },
      [](Decision& d) { d.may_help = {"NodeUpdate"}; },
  };
  std::set<uint64_t> hashes = {HashOf(Unschedulable())};
  for (const auto& change : kChanges) {
    Decision d = Unschedulable();
    change(d);
    hashes.insert(HashOf(d));
  }
  EXPECT_EQ(hashes.size(), std::size(kChanges) + 1);
  Decision d = Unschedulable();
  d.work = {};
  EXPECT_EQ(HashOf(d), HashOf(Unschedulable()));
}

TEST(DecisionLog, HashDependsOnTheOrder) {
  DecisionLog ab, ba, empty;
  ab.Add(Bound());
  ab.Add(Unschedulable());
  ba.Add(Unschedulable());
  ba.Add(Bound());
  EXPECT_NE(ab.Hash(), ba.Hash());
  EXPECT_EQ(ab.entries(), 2u);
  EXPECT_EQ(empty.entries(), 0u);
}

// Fixed for all time and all machines: a golden log hash must mean the same everywhere.
TEST(DecisionLog, HashIsTheSameInEveryProcess) { EXPECT_EQ(HashOf(Bound()), UINT64_C(18102792761331173667)); }

TEST(DecisionLog, EntriesAreJsonLines) {
  EXPECT_EQ(ToJsonLine(Bound()),
            R"({"cycle":7,"time":"2023-11-14T22:13:20.250000Z","profile":"muster","result":"bound",)"
            R"("pods":[{"namespace":"team","name":"web-0","node":"node-a","score":212}],)"
            R"("work":{"nodesFiltered":100,"nodesScored":90,"fromCache":true}})");
  EXPECT_THAT(ToJsonLine(Unschedulable()),
              HasSubstr(R"("reasons":[{"plugin":"NodeResourcesFit","message":"Insufficient cpu","nodes":2}],)"
                        R"("mayHelp":["NodeAdd"])"));
  Decision broken = Bound();
  broken.message = "\xff";
  EXPECT_THAT(ToJsonLine(broken), HasSubstr("\"message\":\"\xef\xbf\xbd\""));
}

TEST(DecisionLog, WritesFiles) {
  const std::string path = ::testing::TempDir() + "/decisions.jsonl";
  {
    DecisionLog log;
    auto observer = WriteDecisionsTo(path);
    ASSERT_TRUE(observer.ok()) << observer.status();
    log.AddObserver(*std::move(observer));
    log.Add(Bound());
    log.Add(Unschedulable());
  }
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_EQ(text.str(), ToJsonLine(Bound()) + "\n" + ToJsonLine(Unschedulable()) + "\n");
  EXPECT_THAT(WriteDecisionsTo("/no/such/folder/x").status().ToString(),
              HasSubstr("/no/such/folder/x: cannot be written: No such file or directory"));
}

}  // namespace
}  // namespace muster
