// NodeName, NodeUnschedulable, TaintToleration, NodePorts and ImageLocality.
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "plugins/node/image_locality.h"
#include "plugins/node/node_declared_features.h"
#include "plugins/node/node_name.h"
#include "plugins/node/node_ports.h"
#include "plugins/node/node_unschedulable.h"
#include "plugins/node/taint_toleration.h"
#include "plugins/node/tolerations.h"
#include "test/support/make.h"
#include "test/support/make_snapshot.h"
#include "test/support/run_plugin.h"

namespace muster {
namespace {

using Texts = std::vector<std::string>;
using Scores = std::vector<int64_t>;
using enum TaintEffect;

template <typename T>
RunPlugin Plugged() {
  return RunPlugin(std::unique_ptr<Plugin>(std::make_unique<T>()));
}

Toleration Equal(std::string key, std::string value, TaintEffect effect) {
  return {std::move(key), Toleration::Op::kEqual, std::move(value), false, effect};
}

// --- NodeName -----------------------------------------------------------------------------------

TEST(NodeNameTest, OnlyTheNamedNodeFits) {
  constexpr char kOther[] = "R: node(s) didn't match the requested node name";
  Snapshot snap = MakeSnapshot({MakeNode("a").Ptr(), MakeNode("b").Ptr()});
  const PodInfoPtr any = snap.Resolve(MakePod().Spec()), b = snap.Resolve(MakePod().Wish("b").Spec());
  const PodInfoPtr gone = snap.Resolve(MakePod().Wish("gone").Spec());
  RunPlugin run = Plugged<NodeName>();
  EXPECT_EQ(run.Filter(*any, snap), (Texts{"", ""}));
  EXPECT_EQ(run.candidates(), snap.all());
  EXPECT_EQ(run.Filter(*b, snap), (Texts{kOther, ""}));
  EXPECT_TRUE(run.candidates().Has(1) && run.candidates().Count() == 1);
  EXPECT_EQ(run.Filter(*gone, snap), (Texts{kOther, kOther}));
  EXPECT_EQ(run.candidates().Count(), 0u);
  EXPECT_EQ(run.plugin().RequeueOn(), kNodeAdded);
}

// --- NodeUnschedulable --------------------------------------------------------------------------

TEST(NodeUnschedulableTest, TakesOnlyPodsThatTolerateIt) {
  constexpr char kNo[] = "R: node(s) were unschedulable";
  constexpr char kKey[] = "node.kubernetes.io/unschedulable";
  Snapshot snap = MakeSnapshot({MakeNode("a").Ptr(), MakeNode("b").Unschedulable().Ptr()});
  struct Case {
    MakePod pod;
    std::string verdict;
  };
  const Case cases[] = {
      {MakePod(), kNo},
      {MakePod().Tolerate(kKey), ""},
      {MakePod().Tolerate(""), ""},
      {MakePod().Tolerate(Equal(kKey, "", kNoSchedule)), ""},
      {MakePod().Tolerate(Equal(kKey, "x", kNoSchedule)), kNo},
      {MakePod().Tolerate(Equal(kKey, "", kNoExecute)), kNo},
      {MakePod().Tolerate("other"), kNo},
  };
  for (size_t i = 0; i < std::size(cases); ++i) {
    EXPECT_EQ(Plugged<NodeUnschedulable>().Filter(*snap.Resolve(cases[i].pod.Spec()), snap),
              (Texts{"", cases[i].verdict}))
        << "case " << i;
  }
}

TEST(NodeUnschedulableTest, KnowsWhichEventsHelp) {
  const NodeUnschedulable plugin;
  const Node open = MakeNode("n").Build(), shut = MakeNode("n").Unschedulable().Build();
  const Pod pod = MakePod().Build(), tolerant = MakePod().Tolerate("").Build();
  EXPECT_TRUE(plugin.MayHelp(pod, {.what = kNodeAdded, .new_node = &open}));
  EXPECT_FALSE(plugin.MayHelp(pod, {.what = kNodeAdded, .new_node = &shut}));
  EXPECT_TRUE(plugin.MayHelp(pod, {.what = kNodeTaint, .old_node = &shut, .new_node = &open}));
  EXPECT_FALSE(plugin.MayHelp(pod, {.what = kNodeTaint, .old_node = &open, .new_node = &open}));
  EXPECT_TRUE(plugin.MayHelp(pod, {.what = kSelfTolerations, .old_pod = &pod, .new_pod = &tolerant}));
  EXPECT_FALSE(plugin.MayHelp(pod, {.what = kSelfTolerations, .old_pod = &pod, .new_pod = &pod}));
}

// --- NodeDeclaredFeatures -------------------------------------------------------------------------

TEST(NodeDeclaredFeaturesTest, AllThatThePodAsksForIsDeclared) {
  constexpr char kNo[] = "R: node(s) didn't match Pod's required features";
  const auto node = [](const char* name, Texts features) {
    Node made = MakeNode(name).Build();
    made.declared_features = std::move(features);
    return std::make_shared<const Node>(std::move(made));
  };
  Snapshot snap = MakeSnapshot({node("a", {}), node("b", {"B"}), node("c", {"B", "C", "A"})});
  const std::pair<Texts, Texts> cases[] = {
      {{}, {"", "", ""}},
      {{"B"}, {kNo, "", ""}},
      {{"A", "B"}, {kNo, kNo, ""}},
      {{"A", "D"}, {kNo, kNo, kNo}},
  };
  for (const auto& [required, want] : cases) {
    auto spec = std::make_shared<PodSpec>(*MakePod().Spec());
    spec->required_features = required;
    EXPECT_EQ(Plugged<NodeDeclaredFeatures>().Filter(*snap.Resolve(spec), snap), want);
  }
}

TEST(NodeDeclaredFeaturesTest, KnowsWhichEventsHelp) {
  const NodeDeclaredFeatures plugin;
  const Node bare = MakeNode("n").Build();
  Node able = bare;
  able.declared_features = {"A"};
  const Pod pod = MakePod().Build();
  Pod other = pod;
  auto spec = std::make_shared<PodSpec>(*pod.spec);
  spec->required_features = {"A"};
  other.spec = spec;
  EXPECT_TRUE(plugin.MayHelp(pod, {.what = kNodeAdded, .new_node = &bare}));
  EXPECT_TRUE(plugin.MayHelp(pod, {.what = kNodeDeclaredFeature, .old_node = &bare, .new_node = &able}));
  EXPECT_FALSE(plugin.MayHelp(pod, {.what = kNodeDeclaredFeature, .old_node = &able, .new_node = &able}));
  EXPECT_TRUE(plugin.MayHelp(pod, {.what = kSelfUpdated, .old_pod = &other, .new_pod = &pod}));
  EXPECT_FALSE(plugin.MayHelp(pod, {.what = kSelfUpdated, .old_pod = &pod, .new_pod = &pod}));
}

// --- TaintToleration ----------------------------------------------------------------------------

TEST(TolerationsTest, FollowTheApisRules) {
  const auto toleration = [](std::string key, Toleration::Op op, std::string value, bool any, TaintEffect effect) {
    return Toleration{std::move(key), op, std::move(value), any, effect};
  };
  using Op = Toleration::Op;
  const Taint taint{"k", "v", kNoSchedule};
  struct Case {
    Toleration toleration;
    bool tolerates;
  };
  const Case cases[] = {
      {toleration("k", Op::kEqual, "v", false, kNoSchedule), true},
      {toleration("k", Op::kEqual, "v", true, kOther), true},
      {toleration("k", Op::kEqual, "w", true, kOther), false},
      {toleration("l", Op::kEqual, "v", true, kOther), false},
      {toleration("k", Op::kEqual, "v", false, kNoExecute), false},
      {toleration("k", Op::kExists, "", true, kOther), true},
      {toleration("k", Op::kExists, "w", false, kNoSchedule), true},
      {toleration("", Op::kExists, "", true, kOther), true},
      {toleration("", Op::kEqual, "v", true, kOther), true},
      {toleration("k", Op::kInvalid, "v", true, kOther), false},
      {toleration("k", Op::kGt, "0", true, kOther), false},
  };
  for (size_t i = 0; i < std::size(cases); ++i)
    EXPECT_EQ(Tolerates(cases[i].toleration, taint), cases[i].tolerates) << i;
  // Numeric comparison is behind a feature gate that is off.
  EXPECT_FALSE(Tolerates(toleration("k", Op::kGt, "900", true, kOther), Taint{"k", "950", kNoSchedule}));
}

TEST(TaintTolerationTest, RejectsUntoleratedTaints) {
  constexpr char kNo[] = "R: node(s) had untolerated taint(s)";
  const NodePtr none = MakeNode("a").Ptr(), user = MakeNode("b").Taint("dedicated", kNoSchedule, "user1").Ptr();
  const NodePtr execute = MakeNode("c").Taint("foo", kNoExecute, "bar").Ptr();
  const NodePtr prefer = MakeNode("d").Taint("dedicated", kPreferNoSchedule, "user1").Ptr();
  const NodePtr both = MakeNode("e").Taint("dedicated", kNoSchedule, "user1").Taint("foo", kNoSchedule, "bar").Ptr();
  Snapshot snap = MakeSnapshot({none, user, execute, prefer, both});
  struct Case {
    MakePod pod;
    Texts verdicts;
  };
  const Case cases[] = {
      {MakePod(), {"", kNo, kNo, "", kNo}},
      {MakePod().Tolerate(Equal("dedicated", "user1", kNoSchedule)), {"", "", kNo, "", kNo}},
      {MakePod().Tolerate(Equal("dedicated", "user2", kNoSchedule)), {"", kNo, kNo, "", kNo}},
      {MakePod().Tolerate("foo"), {"", kNo, "", "", kNo}},
      {MakePod().Tolerate("foo").Tolerate("dedicated"), {"", "", "", "", ""}},
      {MakePod().Tolerate(Equal("foo", "bar", kPreferNoSchedule)), {"", kNo, kNo, "", kNo}},
  };
  for (size_t i = 0; i < std::size(cases); ++i) {
    const PodInfoPtr pod = snap.Resolve(cases[i].pod.Spec());
    EXPECT_EQ(Plugged<TaintToleration>().Filter(*pod, snap), cases[i].verdicts) << "case " << i;
    EXPECT_EQ(Plugged<TaintToleration>().FilterAgain(*pod, snap), cases[i].verdicts)
        << "case " << i << " without PreFilter";
  }
}

TEST(TaintTolerationTest, PrefersFewerUntoleratedTaints) {
  const auto prefer = [](MakeNode node, const char* key, const char* value) {
    return node.Taint(key, kPreferNoSchedule, value);
  };
  const NodePtr none = MakeNode("a").Ptr(), arm = prefer(MakeNode("b"), "cpu", "arm64").Ptr();
  const NodePtr arm_ssd = prefer(prefer(MakeNode("c"), "cpu", "arm64"), "disk", "ssd").Ptr();
  const NodePtr hard = MakeNode("d").Taint("cpu", kNoSchedule, "arm64").Ptr();
  Snapshot snap = MakeSnapshot({none, arm, arm_ssd, hard});
  struct Case {
    MakePod pod;
    Scores scores;
  };
  const Case cases[] = {
      {MakePod(), {100, 50, 0, 100}},
      {MakePod().Tolerate("cpu").Tolerate("disk"), {100, 100, 100, 100}},
      {MakePod().Tolerate(Equal("cpu", "arm64", kPreferNoSchedule)), {100, 100, 0, 100}},
      {MakePod().Tolerate(Equal("cpu", "arm64", kNoSchedule)), {100, 50, 0, 100}},
      {MakePod().Tolerate(Equal("cpu", "x86", kPreferNoSchedule)), {100, 50, 0, 100}},
  };
  for (size_t i = 0; i < std::size(cases); ++i) {
    EXPECT_EQ(Plugged<TaintToleration>().Score(*snap.Resolve(cases[i].pod.Spec()), snap), cases[i].scores)
        << "case " << i;
  }
}

TEST(TaintTolerationTest, FilterAndScoreKeepTheirStatesApart) {
  Snapshot snap = MakeSnapshot({MakeNode("a").Taint("x").Ptr(), MakeNode("b").Taint("y", kPreferNoSchedule).Ptr()});
  const PodInfoPtr pod = snap.Resolve(MakePod().Spec());
  RunPlugin run = Plugged<TaintToleration>();
  const Texts before = run.Filter(*pod, snap);
  EXPECT_FALSE(run.PreScoreSkips(*pod, snap));
  EXPECT_EQ(run.FilterAgain(*pod, snap), before);
  EXPECT_EQ(run.ScoreAgain(*pod, snap), (Scores{100, 0}));
}

TEST(TaintTolerationTest, KnowsWhichEventsHelp) {
  const TaintToleration plugin;
  const Pod pod = MakePod().Tolerate("ok").Build();
  const Node clean = MakeNode("n").Taint("ok").Build(), soft = MakeNode("n").Taint("x", kPreferNoSchedule).Build();
  const Node bad = MakeNode("n").Taint("x").Build(), worse = MakeNode("n").Taint("y").Build();
  EXPECT_TRUE(plugin.MayHelp(pod, {.what = kNodeAdded, .new_node = &clean}));
  EXPECT_FALSE(plugin.MayHelp(pod, {.what = kNodeAdded, .new_node = &bad}));
  EXPECT_TRUE(plugin.MayHelp(pod, {.what = kNodeTaint, .old_node = &bad, .new_node = &soft}));
  EXPECT_FALSE(plugin.MayHelp(pod, {.what = kNodeTaint, .old_node = &bad, .new_node = &worse}));
  EXPECT_FALSE(plugin.MayHelp(pod, {.what = kNodeTaint, .old_node = &clean, .new_node = &soft}));
  EXPECT_TRUE(plugin.MayHelp(pod, {.what = kSelfTolerations, .old_pod = &pod, .new_pod = &pod}));
}

// --- NodePorts ----------------------------------------------------------------------------------

TEST(NodePortsTest, PortsOfANodeAreHeldOnce) {
  constexpr char kNo[] = "U: node(s) didn't have free ports for the requested pod ports";
  const auto udp = [](const char* ip, int port) { return MakePod().HostPort(port, "UDP", ip).Node("n"); };
  const auto tcp = [](const char* ip, int port) { return MakePod().HostPort(port, "TCP", ip).Node("n"); };
  constexpr char kAll[] = "0.0.0.0", kLocal[] = "127.0.0.1";
  struct Case {
    MakePod pod;
    std::vector<PodPtr> placed;
    bool fits;
  };
  const Case cases[] = {
      {MakePod(), {udp(kLocal, 8080).Ptr()}, true},
      {udp(kLocal, 8080), {udp(kLocal, 9090).Ptr()}, true},
      {udp(kLocal, 8080), {udp(kLocal, 8080).Ptr()}, false},
      {udp(kLocal, 8080), {tcp(kLocal, 8080).Ptr()}, true},
      {udp(kLocal, 8080), {udp("127.0.0.2", 8080).Ptr()}, true},
      {udp(kLocal, 8080), {udp(kAll, 8080).Ptr()}, false},
      {tcp(kAll, 8001), {tcp(kLocal, 8001).Ptr()}, false},
      {tcp(kAll, 8001), {udp(kLocal, 8001).Ptr()}, true},
      {tcp(kLocal, 8001).HostPort(8080, "UDP", kLocal), {tcp(kLocal, 8001).HostPort(8081, "UDP", kLocal).Ptr()}, false},
      {tcp(kLocal, 8001), {tcp(kLocal, 9001).Ptr(), tcp("10.0.0.1", 8001).Ptr()}, true},
  };
  for (size_t i = 0; i < std::size(cases); ++i) {
    Snapshot snap = MakeSnapshot({MakeNode("n").Ptr(), MakeNode("o").Ptr()}, cases[i].placed);
    const PodInfoPtr pod = snap.Resolve(cases[i].pod.Spec());
    EXPECT_EQ(Plugged<NodePorts>().Filter(*pod, snap), (Texts{cases[i].fits ? "" : kNo, ""})) << "case " << i;
  }
}

TEST(NodePortsTest, SkipsPodsWithoutPorts) {
  Snapshot snap = MakeSnapshot({MakeNode("n").Ptr()});
  EXPECT_TRUE(Plugged<NodePorts>().PreFilter(*snap.Resolve(MakePod().Spec()), snap).skip());
  EXPECT_FALSE(Plugged<NodePorts>().PreFilter(*snap.Resolve(MakePod().HostPort(1).Spec()), snap).skip());
}

// A shape's state outlives PreFilter; ports that other shapes bring in later must count.
TEST(NodePortsTest, SeesPortsThatCameAfterPreFilter) {
  Snapshot snap = MakeSnapshot({MakeNode("n").Ptr()});
  const PodInfoPtr wide = snap.Resolve(MakePod().HostPort(80).Spec());
  RunPlugin run = Plugged<NodePorts>();
  EXPECT_EQ(run.Filter(*wide, snap), Texts{""});
  const PodInfoPtr local = snap.Resolve(MakePod().HostPort(80, "TCP", "127.0.0.1").Spec());
  snap.Apply(*local, 0, +1);
  EXPECT_NE(run.FilterAgain(*wide, snap), Texts{""});
  snap.Apply(*local, 0, -1);
  EXPECT_EQ(run.FilterAgain(*wide, snap), Texts{""});
  snap.Apply(*wide, 0, +1);
  EXPECT_NE(run.FilterAgain(*wide, snap), Texts{""});
}

TEST(NodePortsTest, KnowsWhichEventsHelp) {
  const NodePorts plugin;
  const Pod pod = MakePod().HostPort(80).Build();
  const Pod same = MakePod().Node("n").HostPort(80, "TCP", "127.0.0.1").Build(),
            other = MakePod().Node("n").HostPort(81).Build();
  const Pod none = MakePod().Node("n").Build(), pending = MakePod().HostPort(80).Build(),
            soon = MakePod().Nominated("n").HostPort(80).Build();
  EXPECT_TRUE(plugin.MayHelp(pod, {.what = kPodRemoved, .old_pod = &same}));
  EXPECT_TRUE(plugin.MayHelp(pod, {.what = kPodRemoved, .old_pod = &soon}));
  EXPECT_FALSE(plugin.MayHelp(pod, {.what = kPodRemoved, .old_pod = &other}));
  EXPECT_FALSE(plugin.MayHelp(pod, {.what = kPodRemoved, .old_pod = &none}));
  EXPECT_FALSE(plugin.MayHelp(pod, {.what = kPodRemoved, .old_pod = &pending}));
  EXPECT_TRUE(plugin.MayHelp(pod, {.what = kNodeAdded}));
}

// --- ImageLocality ------------------------------------------------------------------------------

TEST(ImageLocalityTest, CompletesImageNames) {
  EXPECT_EQ(NormalizedImageName("root"), "root:latest");
  EXPECT_EQ(NormalizedImageName("root:tag"), "root:tag");
  EXPECT_EQ(NormalizedImageName("gcr.io:5000/root"), "gcr.io:5000/root:latest");
  EXPECT_EQ(NormalizedImageName("root@sha256:0123"), "root@sha256:0123");
  EXPECT_EQ(NormalizedImageName(""), ":latest");
}

TEST(ImageLocalityTest, PrefersNodesThatHaveTheImages) {
  constexpr int64_t kMi = 1 << 20;
  // {40, 300} is a node with those images, named by their MiB.
  const auto node = [&](const char* name, std::vector<int> sizes) {
    MakeNode made(name);
    for (const int size : sizes) {
      const std::string image = "gcr.io/" + std::to_string(size);
      made.Image({image + ":latest", image + ":v1", image + ":v1"}, size * kMi);
    }
    return made.Ptr();
  };
  const auto pod = [](std::vector<int> images) {
    MakePod made;
    for (const int image : images) made.Image("gcr.io/" + std::to_string(image));
    return made;
  };
  struct Case {
    std::vector<int> images;
    std::vector<NodePtr> nodes;
    Scores scores;
  };
  const Case cases[] = {
      {{40, 250}, {node("a", {40, 300, 2000}), node("b", {250, 10})}, {0, 5}},
      {{40, 300}, {node("a", {40, 300, 2000}), node("b", {250, 10})}, {7, 0}},
      {{10, 4000}, {node("a", {4000, 30}), node("b", {250, 10})}, {100, 0}},
      {{10, 4000}, {node("a", {4000, 30}), node("b", {250, 10}), node("c", {})}, {66, 0, 0}},
      {{300, 600, 900}, {node("a", {600, 40, 900}), node("b", {300, 600, 900}), node("c", {})}, {32, 36, 0}},
      {{30, 40}, {node("a", {20, 30, 40}), node("b", {4000, 30})}, {1, 0}},
      {{30, 300}, {node("a", {300, 600, 900}), node("b", {4000, 30})}, {6, 0}},
      {{300, 30}, {node("a", {40, 300, 2000}), node("b", {20, 30, 40})}, {6, 0}},
      {{1}, {node("a", {}), node("b", {})}, {0, 0}},
  };
  for (size_t i = 0; i < std::size(cases); ++i) {
    Snapshot snap = MakeSnapshot(cases[i].nodes);
    EXPECT_EQ(Plugged<ImageLocality>().Score(*snap.Resolve(pod(cases[i].images).Spec()), snap), cases[i].scores)
        << "case " << i;
  }
}

// --- All of them, on random clusters -------------------------------------------------------------

// Every filter's whole-cluster form against the same rule read off the model, node by node.
TEST(NodePluginsTest, ClusterFormsAgreeWithTheModel) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  const char* const keys[] = {"a", "b", "node.kubernetes.io/unschedulable"};
  const char* const values[] = {"", "v", "w"};
  const char* const ips[] = {"0.0.0.0", "10.0.0.1", "10.0.0.2"};
  const TaintEffect effects[] = {kNoSchedule, kPreferNoSchedule, kNoExecute};
  const auto port = [&](MakePod& pod) {
    pod.HostPort(static_cast<int32_t>(80 + below(3)), below(2) == 0 ? "TCP" : "UDP", ips[below(3)]);
  };
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<NodePtr> nodes;
    std::vector<PodPtr> placed;
    for (size_t n = below(150); n > 0; --n) {
      MakeNode node("n" + std::to_string(n));
      if (below(5) == 0) node.Unschedulable();
      for (const char* key : keys) {
        if (below(3) == 0) node.Taint(key, effects[below(3)], values[below(3)]);
      }
      if (below(2) == 0) {
        MakePod pod;
        port(pod);
        placed.push_back(pod.Node(node.Build().name).Ptr());
      }
      nodes.push_back(node.Ptr());
    }
    Snapshot snap = MakeSnapshot(nodes, placed);
    MakePod pod;
    for (size_t i = below(3); i > 0; --i) {
      pod.Tolerate(Toleration{keys[below(3)], below(2) == 0 ? Toleration::Op::kEqual : Toleration::Op::kExists,
                              values[below(3)], below(2) == 0, effects[below(3)]});
    }
    for (size_t i = below(3); i > 0; --i) port(pod);
    const PodInfoPtr info = snap.Resolve(pod.Spec());
    const Texts unschedulable = Plugged<NodeUnschedulable>().Filter(*info, snap);
    const Texts taints = Plugged<TaintToleration>().Filter(*info, snap),
                ports = Plugged<NodePorts>().Filter(*info, snap);
    RunPlugin score = Plugged<TaintToleration>();
    score.Score(*info, snap);
    for (NodeIndex n = 0; n < snap.size(); ++n) {
      const Node& node = snap.node(n);
      const auto& tolerations = info->spec->tolerations;
      const Taint cordon{"node.kubernetes.io/unschedulable", "", kNoSchedule};
      EXPECT_EQ(unschedulable[n].empty(), !node.unschedulable || Tolerates(tolerations, cordon));
      bool repelled = false;
      for (const Taint& t : node.taints) repelled |= Repels(t, tolerations);
      EXPECT_EQ(taints[n].empty(), !repelled);
      bool clash = false;
      for (const PodPtr& p : placed) {
        for (const HostPort& held : p->spec->host_ports) {
          for (const HostPort& want : info->spec->host_ports) {
            const bool overlap = held.ip == want.ip || held.ip == "0.0.0.0" || want.ip == "0.0.0.0";
            clash |= p->node == node.name && held.port == want.port && held.protocol == want.protocol && overlap;
          }
        }
      }
      EXPECT_EQ(ports[n].empty(), !clash);
    }
  }
}

}  // namespace
}  // namespace muster
