#include "plugins/node/node_affinity.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "plugins/node/node_selector.h"
#include "test/support/make.h"
#include "test/support/make_snapshot.h"
#include "test/support/run_plugin.h"

namespace muster {
namespace {

using Texts = std::vector<std::string>;
using Scores = std::vector<int64_t>;

constexpr char kNo[] = "R: node(s) didn't match Pod's node affinity/selector";
constexpr char kEnforced[] = "R: node(s) didn't match scheduler-enforced node affinity";

NodeAffinity Required(std::vector<Requirement> expressions) {
  NodeAffinity affinity;
  affinity.has_required = true;
  affinity.required.push_back({std::move(expressions), {}});
  return affinity;
}
RunPlugin Affinity(NodeAffinity added = {}) {
  return RunPlugin(NodeAffinityPlugin::Make(NodeAffinityArgs{std::move(added)}));
}

TEST(NodeAffinityTest, MatchesLabels) {
  const Requirement odd{"gpu", Operator::kInvalid, {}, "Near"};
  struct Case {
    MakePod pod;
    Labels labels;
    bool fits;
  };
  const Labels bar = {{"foo", "bar"}}, gpu = {{"gpu", "k1"}};
  const Case cases[] = {
      {MakePod().NodeSelector("foo", "bar"), {}, false},
      {MakePod().NodeSelector("foo", "bar"), bar, true},
      {MakePod().NodeSelector("foo", "bar"), {{"foo", "bar"}, {"baz", "blah"}}, true},
      {MakePod().NodeSelector("foo", "bar").NodeSelector("baz", "blah"), bar, false},
      {MakePod().Affinity({In("foo", {"bar", "value2"})}), bar, true},
      {MakePod().Affinity({In("foo", {"value1", "value2"})}), bar, false},
      {MakePod().Affinity({In("foo", {"a", "b", "c", "d", "e", "bar"})}), bar, true},
      {MakePod().Affinity({Gt("version", "0204")}), {{"version", "0206"}}, true},
      {MakePod().Affinity({Gt("version", "206")}), {{"version", "0206"}}, false},
      {MakePod().Affinity({Lt("version", "10")}), {{"version", "-3"}}, true},
      {MakePod().Affinity({Lt("version", "10")}), {{"version", "three"}}, false},
      {MakePod().Affinity({Lt("version", "10")}), {}, false},
      {MakePod().Affinity({Gt("version", "three")}), {{"version", "4"}}, false},
      {MakePod().Affinity({NotIn("mem", {"ddr", "ddr2"})}), {{"mem", "ddr3"}}, true},
      {MakePod().Affinity({NotIn("mem", {"ddr", "ddr2"})}), {{"mem", "ddr2"}}, false},
      {MakePod().Affinity({NotIn("mem", {"ddr", "ddr2"})}), {}, true},
      {MakePod().Affinity({Exists("gpu")}), gpu, true},
      {MakePod().Affinity({Exists("gpu")}), bar, false},
      {MakePod().Affinity({DoesNotExist("gpu")}), gpu, false},
      {MakePod().Affinity({DoesNotExist("gpu")}), bar, true},
      {MakePod().Affinity({Exists("gpu"), NotIn("gpu", {"amd", "inter"})}), gpu, true},
      {MakePod().Affinity({Exists("gpu"), In("gpu", {"amd", "inter"})}), gpu, false},
      // Terms are alternatives; an empty one matches nothing.
      {MakePod().Affinity({}), bar, false},
      {MakePod().Affinity({}).Affinity({Exists("foo")}), bar, true},
      {MakePod().Affinity({In("foo", {"no"})}).Affinity({Exists("foo")}), bar, true},
      {MakePod().NodeSelector("foo", "bar").Affinity({Exists("foo")}), bar, true},
      {MakePod().NodeSelector("foo", "baz").Affinity({Exists("foo")}), bar, false},
      // A term that cannot be interpreted matches nothing; the others still count.
      {MakePod().Affinity({NotIn("foo", {"invalid value: ___@#$%^"})}), bar, false},
      {MakePod().Affinity({odd}), gpu, false},
      {MakePod().Affinity({odd}).Affinity({Exists("gpu")}), gpu, true},
      {MakePod().Affinity({In("foo", {})}), bar, false},
      {MakePod().Affinity({{"foo", Operator::kExists, {"bar"}, "Exists"}}), bar, false},
      // Fields.
      {MakePod().Affinity({}, {In("metadata.name", {"n"})}), {}, true},
      {MakePod().Affinity({}, {NotIn("metadata.name", {"n"})}), {}, false},
      {MakePod().Affinity({}, {NotIn("metadata.name", {"m"})}), {}, true},
      {MakePod().Affinity({Exists("gpu")}, {In("metadata.name", {"n"})}), bar, false},
      {MakePod().Affinity({}, {In("metadata.name", {"n"})}).Affinity({Exists("foo")}), bar, true},
      {MakePod().Affinity({}, {NotIn("metadata.name", {"m", "l"})}), {}, false},  // takes one value
      {MakePod().Affinity({}, {Exists("metadata.name")}), {}, false},
      {MakePod().Affinity({}, {In("metadata.other", {""})}), {}, true},  // an unknown field reads as ""
      {MakePod().Affinity({}, {In("metadata.other", {"n"})}), {}, false},
  };
  for (size_t i = 0; i < std::size(cases); ++i) {
    const Case& c = cases[i];
    MakeNode node("n");
    for (const auto& [key, value] : c.labels) node.Label(key, value);
    // A second node puts values and keys into the snapshot that this one lacks.
    const NodePtr other = MakeNode("other").Label("foo", "value9").Label("gpu", "k2").Label("mem", "x").Ptr();
    Snapshot snap = MakeSnapshot({node.Ptr(), other});
    EXPECT_EQ(Affinity().Filter(*snap.Resolve(c.pod.Spec()), snap)[0], c.fits ? "" : kNo) << "case " << i;
  }
}

TEST(NodeAffinityTest, PreFilterNarrowsToNamedNodes) {
  struct Case {
    MakePod pod;
    Code code;
    std::vector<NodeIndex> candidates;  // of a, b, c
  };
  const auto names = [](Values values) { return In("metadata.name", std::move(values)); };
  const Case cases[] = {
      {MakePod(), Code::kSkip, {0, 1, 2}},
      {MakePod().Prefer(1, {Exists("x")}), Code::kSkip, {0, 1, 2}},
      {MakePod().NodeSelector("x", "y"), Code::kSuccess, {0, 1, 2}},
      {MakePod().Affinity({Exists("x")}), Code::kSuccess, {0, 1, 2}},
      {MakePod().Affinity({}, {names({"b"})}), Code::kSuccess, {1}},
      {MakePod().Affinity({Exists("x")}, {names({"b"})}), Code::kSuccess, {1}},
      {MakePod().Affinity({}, {names({"a"})}).Affinity({}, {names({"c"})}), Code::kSuccess, {0, 2}},
      {MakePod().Affinity({}, {names({"b"})}).Affinity({Exists("x")}), Code::kSuccess, {0, 1, 2}},
      {MakePod().Affinity({}, {names({"b"})}).Affinity({}), Code::kSuccess, {0, 1, 2}},
      {MakePod().Affinity({}, {names({"b"}), NotIn("metadata.name", {"a"})}), Code::kSuccess, {1}},
      {MakePod().Affinity({}, {names({"gone"})}), Code::kSuccess, {}},
      {MakePod().Affinity({}, {names({"a"}), names({"b"})}), Code::kUnschedulableAndUnresolvable, {0, 1, 2}},
      {MakePod().Affinity({}, {names({"a"}), names({"b"})}).Affinity({}, {names({"c"})}), Code::kSuccess, {2}},
      {MakePod().Affinity({}, {names({"a", "b"}), names({"b", "c"})}), Code::kSuccess, {1}},
  };
  Snapshot snap = MakeSnapshot({MakeNode("a").Ptr(), MakeNode("b").Ptr(), MakeNode("c").Ptr()});
  for (size_t i = 0; i < std::size(cases); ++i) {
    RunPlugin run = Affinity();
    const Outcome& outcome = run.PreFilter(*snap.Resolve(cases[i].pod.Spec()), snap);
    EXPECT_EQ(outcome.code, cases[i].code) << "case " << i;
    EXPECT_EQ(outcome.reasons, outcome.ok() || outcome.skip() ? Texts{} : Texts{"pod affinity terms conflict"});
    NodeSet want(3);
    for (const NodeIndex n : cases[i].candidates) want.Add(n);
    EXPECT_EQ(run.candidates(), want) << "case " << i;
  }
}

TEST(NodeAffinityTest, AddsTheConfiguredAffinity) {
  Snapshot snap =
      MakeSnapshot({MakeNode("a").Label("zone", "foo").Ptr(), MakeNode("b").Label("zone", "foo").Label("x", "1").Ptr(),
                    MakeNode("c").Label("x", "1").Ptr(), MakeNode("d").Ptr()});
  const PodInfoPtr plain = snap.Resolve(MakePod().Spec()),
                   picky = snap.Resolve(MakePod().NodeSelector("x", "1").Spec());
  const NodeAffinity zone = Required({In("zone", {"foo"})});
  EXPECT_EQ(Affinity(zone).Filter(*plain, snap), (Texts{"", "", kEnforced, kEnforced}));
  EXPECT_EQ(Affinity(zone).Filter(*picky, snap), (Texts{kNo, "", kEnforced, kEnforced}));  // one reason a node
  EXPECT_EQ(Affinity(Required({})).Filter(*plain, snap), (Texts{kEnforced, kEnforced, kEnforced, kEnforced}));
  RunPlugin unprepared = Affinity(zone);
  EXPECT_EQ(unprepared.FilterAgain(*picky, snap), (Texts{kNo, "", kEnforced, kEnforced}));
}

TEST(NodeAffinityTest, ScoresPreferences) {
  Snapshot snap = MakeSnapshot(
      {MakeNode("a").Label("foo", "bar").Ptr(), MakeNode("b").Label("key", "value").Label("az", "1").Ptr(),
       MakeNode("c").Label("foo", "bar").Label("key", "value").Label("az", "1").Ptr(), MakeNode("d").Ptr()});
  NodeAffinity added;
  added.preferred.push_back({3, {{In("az", {"1"})}, {}}});
  const MakePod two = MakePod().Prefer(2, {In("foo", {"bar"})});
  const MakePod both = MakePod()
                           .Prefer(2, {In("foo", {"bar"})})
                           .Prefer(4, {In("key", {"value"})})
                           .Prefer(5, {In("foo", {"bar"}), In("key", {"value"}), In("az", {"1"})});
  struct Case {
    NodeAffinity added;
    MakePod pod;
    Scores scores;  // empty: skips
  };
  const Case cases[] = {
      {{}, MakePod(), {}},
      {{}, MakePod().Affinity({Exists("x")}), {}},
      {{}, two, {100, 0, 100, 0}},
      {{}, both, {18, 36, 100, 0}},
      {added, MakePod(), {0, 100, 100, 0}},
      {added, two, {40, 60, 100, 0}},
      {{}, MakePod().Prefer(5, {Exists("nothing")}), {0, 0, 0, 0}},
      {{}, MakePod().Prefer(0, {Exists("foo")}), {0, 0, 0, 0}},
      {{}, MakePod().Prefer(7, {}), {0, 0, 0, 0}},  // an empty term matches nothing
      {{}, MakePod().Prefer(7, {}, {In("metadata.name", {"d"})}), {0, 0, 0, 100}},
      {{}, MakePod().Prefer(0, {In("foo", {"not valid!"})}), {0, 0, 0, 0}},  // nobody reads it
  };
  for (size_t i = 0; i < std::size(cases); ++i) {
    const PodInfoPtr pod = snap.Resolve(cases[i].pod.Spec());
    EXPECT_EQ(Affinity(cases[i].added).Score(*pod, snap), cases[i].scores) << "case " << i;
  }
}

TEST(NodeAffinityTest, BrokenPreferencesAreErrors) {
  Snapshot snap = MakeSnapshot({MakeNode("a").Ptr()});
  const Requirement odd{"gpu", Operator::kInvalid, {}, "Near"};
  struct Case {
    MakePod pod;
    std::string error;
  };
  constexpr char kSyntax[] =
      "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
      "and "
      "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
      "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
  const Case cases[] = {
      {MakePod().Prefer(1, {odd}),
       "[0].matchExpressions[0].operator: Unsupported value: \"Near\": supported values: \"In\", \"NotIn\", "
       "\"Exists\", "
       "\"DoesNotExist\", \"Gt\", \"Lt\""},
      {MakePod().Prefer(1, {Exists("a")}).Prefer(1, {In("foo", {"ok", "a b"})}),
       std::string("[1].matchExpressions[0].values[1][foo]: Invalid value: \"a b\": ") + kSyntax},
      {MakePod().Prefer(1, {Gt("foo", "x")}),
       "[0].matchExpressions[0].values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an "
       "integer"},
      {MakePod().Prefer(1, {In("foo", {})}),
       "[0].matchExpressions[0].values: Invalid value: null: for 'in', 'notin' operators, values set can't be empty"},
      {MakePod().Prefer(1, {}, {In("metadata.name", {"a", "b"})}),
       "[0].matchFields[0].values: Invalid value: [\"a\",\"b\"]: must have one element"},
      {MakePod().Prefer(1, {}, {Exists("metadata.name"), In("metadata.name", {})}),
       "[[0].matchFields[0].operator: Unsupported value: \"Exists\": supported values: \"In\", \"NotIn\", "
       "[0].matchFields[1].values: Invalid value: null: must have one element]"},
  };
  for (const Case& c : cases) {
    const auto plugin = *NodeAffinityPlugin::Make({});
    CycleState state;
    const PodInfoPtr pod = snap.Resolve(c.pod.Spec());
    const auto outcome = dynamic_cast<const PreScorePlugin&>(*plugin).PreScore(*pod, snap, state, snap.all());
    EXPECT_EQ(std::string(outcome.status().message()), c.error);
  }
}

TEST(NodeAffinityTest, NamesWhatIsWrongWithItsArguments) {
  NodeAffinityArgs args;
  args.added_affinity = Required({In("foo", {})});
  args.added_affinity.preferred.push_back({1, {{In("", {"a"})}, {}}});
  const std::string error(NodeAffinityPlugin::Make(args).status().message());
  EXPECT_NE(error.find("addedAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]."
                       "matchExpressions[0].values: "),
            std::string::npos)
      << error;
  EXPECT_NE(error.find("addedAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].matchExpressions[0].key: "
                       "Invalid value: \"\": "
                       "name part must be non-empty; "),
            std::string::npos)
      << error;
}

TEST(NodeAffinityTest, KnowsWhichEventsHelp) {
  const auto plugin = *NodeAffinityPlugin::Make(NodeAffinityArgs{Required({Exists("team")})});
  const Pod pod = MakePod().Affinity({In("foo", {"bar"})}).Build();
  const Node fits = MakeNode("n").Label("foo", "bar").Label("team", "x").Build();
  const Node moved = MakeNode("n").Label("foo", "bar").Label("team", "y").Build();
  const Node foreign = MakeNode("n").Label("foo", "bar").Build(), other = MakeNode("n").Label("team", "x").Build();
  EXPECT_TRUE(plugin->MayHelp(pod, {.what = kNodeAdded, .new_node = &fits}));
  EXPECT_FALSE(plugin->MayHelp(pod, {.what = kNodeAdded, .new_node = &other}));
  EXPECT_FALSE(plugin->MayHelp(pod, {.what = kNodeAdded, .new_node = &foreign}));
  EXPECT_TRUE(plugin->MayHelp(pod, {.what = kNodeLabel, .old_node = &other, .new_node = &fits}));
  EXPECT_FALSE(plugin->MayHelp(pod, {.what = kNodeLabel, .old_node = &fits, .new_node = &moved}));
  EXPECT_FALSE(plugin->MayHelp(pod, {.what = kNodeLabel, .old_node = &fits, .new_node = &other}));
}

// The whole-cluster form says of every node what the one-node form says.
TEST(NodeSelectorTest, ClusterFormIsTheOneNodeForm) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  const char* const keys[] = {"a", "b", "c", "unused"};
  const char* const values[] = {"", "x", "7", "-12", "0012", "99999999999999999999", "y", "z", "q", "unused"};
  const auto value = [&] { return std::string(values[below(std::size(values))]); };
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<NodePtr> nodes;
    for (size_t n = below(200); n > 0; --n) {
      MakeNode node("node-" + std::to_string(n));
      for (size_t k = 0; k < 3; ++k) {
        if (below(2) == 0) node.Label(keys[k], values[below(std::size(values) - 1)]);
      }
      nodes.push_back(node.Ptr());
    }
    const Snapshot snap = MakeSnapshot(nodes);
    NodeSelectorTerm term;
    for (size_t i = below(4); i > 0; --i) {
      Requirement r{keys[below(4)], static_cast<Operator>(below(7)), {}, "Odd"};
      const bool wants_values = r.op == Operator::kIn || r.op == Operator::kNotIn;
      for (size_t v = wants_values ? 1 + below(8) : r.op == Operator::kGt || r.op == Operator::kLt ? 1 : 0; v > 0; --v)
        r.values.push_back(value());
      if (below(10) == 0) r.values.push_back(value());
      term.expressions.push_back(std::move(r));
    }
    for (size_t i = below(3) / 2; i > 0; --i) {
      const std::string name = "node-" + std::to_string(below(210));
      term.fields.push_back(below(2) == 0 ? In("metadata.name", {name}) : NotIn("metadata.name", {name}));
    }
    const NodeSet set = Matching(term, snap);
    for (NodeIndex n = 0; n < snap.size(); ++n) ASSERT_EQ(set.Has(n), Matches(term, snap.node(n))) << "trial " << trial;
    const Labels wanted = {{keys[below(4)], value()}};
    const NodeSet having = HavingLabels(wanted, snap);
    for (NodeIndex n = 0; n < snap.size(); ++n) ASSERT_EQ(having.Has(n), HasLabels(wanted, snap.node(n)));
  }
}

}  // namespace
}  // namespace muster
