#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "plugins/spread/inter_pod_affinity.h"
#include "plugins/spread/pod_topology_spread.h"
#include "test/support/make.h"
#include "test/support/make_snapshot.h"
#include "test/support/run_plugin.h"

namespace muster {
namespace {

constexpr char kHost[] = "kubernetes.io/hostname";
const std::string kSkewed = "U: node(s) didn't match pod topology spread constraints";
const std::string kNoKey = "R: node(s) didn't match pod topology spread constraints (missing required label)";
const std::string kNotBeside = "R: node(s) didn't match pod affinity rules";
const std::string kApart = "U: node(s) didn't match pod anti-affinity rules";
const std::string kExisting = "U: node(s) didn't satisfy existing pods anti-affinity rules";

// Nodes a and b in zone x, c in zone y, d in no zone.
std::vector<NodePtr> FourNodes() {
  return {MakeNode("a").Label("zone", "x").Ptr(), MakeNode("b").Label("zone", "x").Ptr(),
          MakeNode("c").Label("zone", "y").Ptr(), MakeNode("d").Ptr()};
}
PodPtr On(const std::string& node, const std::string& app, const std::string& ns = "default") {
  static int count = 0;
  return MakePod("p" + std::to_string(++count), ns).Label("app", app).Node(node).Ptr();
}
const std::vector<Requirement> kWeb = {In("app", {"web"})};

TEST(PodTopologySpreadTest, HardConstraints) {
  struct Case {
    const char* name;
    std::vector<PodPtr> placed;
    MakePod pod;
    std::vector<std::string> verdicts;
  };
  SpreadConstraint three_domains;
  three_domains.topology_key = "zone", three_domains.selector = {true, kWeb}, three_domains.min_domains = 3;
  MakePod web = MakePod().Label("app", "web");
  const PodPtr ending = MakePod("ending").Label("app", "web").Node("a").Deleting().Ptr();
  const Case cases[] = {
      {"nothing runs", {}, MakePod(web).Spread(1, "zone", kWeb), {"", "", "", kNoKey}},
      {"one ahead", {On("a", "web")}, MakePod(web).Spread(1, "zone", kWeb), {kSkewed, kSkewed, "", kNoKey}},
      {"a wider skew", {On("a", "web")}, MakePod(web).Spread(2, "zone", kWeb), {"", "", "", kNoKey}},
      {"does not count itself", {On("a", "web")}, MakePod().Spread(1, "zone", kWeb), {"", "", "", kNoKey}},
      {"another namespace", {On("a", "web", "other")}, MakePod(web).Spread(1, "zone", kWeb), {"", "", "", kNoKey}},
      {"another app", {On("a", "db")}, MakePod(web).Spread(1, "zone", kWeb), {"", "", "", kNoKey}},
      {"terminating", {ending}, MakePod(web).Spread(1, "zone", kWeb), {"", "", "", kNoKey}},
      {"by host", {On("a", "web"), On("d", "web")}, MakePod(web).Spread(1, kHost, kWeb), {kSkewed, "", "", kSkewed}},
      {"too few domains",
       {On("a", "web"), On("c", "web")},
       MakePod(web).Spread(three_domains),
       {kSkewed, kSkewed, kSkewed, kNoKey}},
      {"only its nodes count",
       {On("a", "web")},
       MakePod(web).NodeSelector("zone", "x").Spread(1, "zone", kWeb),
       {"", "", "", kNoKey}},
      {"soft ones do not filter", {On("a", "web")}, MakePod(web).Spread(1, "zone", kWeb, false), {"", "", "", ""}},
  };
  for (const Case& c : cases) {
    Snapshot snap = MakeSnapshot(FourNodes(), c.placed);
    const PodInfoPtr pod = snap.Resolve(c.pod.Spec());
    snap.Prepare(*pod);
    EXPECT_EQ(RunPlugin(PodTopologySpread::Make({})).Filter(*pod, snap), c.verdicts) << c.name;
  }
}

TEST(PodTopologySpreadTest, SoftConstraints) {
  Snapshot snap = MakeSnapshot(FourNodes(), {On("a", "web"), On("a", "web"), On("c", "web")});
  const auto scores = [&](const MakePod& pod) {
    const PodInfoPtr info = snap.Resolve(pod.Spec());
    snap.Prepare(*info);
    return RunPlugin(PodTopologySpread::Make({})).Score(*info, snap);
  };
  using Scores = std::vector<int64_t>;
  EXPECT_EQ(scores(MakePod()), Scores{}) << "skips";
  // Zone x has 2, y 1: times log(2 + 2) = 1.39 that is 3 and 1; of the most, 3: 100 * (3 + 1 - s) / 3.
  EXPECT_EQ(scores(MakePod().Spread(1, "zone", kWeb, false)), (Scores{33, 33, 100, 0}));
  // Hosts have 2, 0, 1, 0: times log(4 + 2) = 1.79 that is 4, 0, 2, 0.
  EXPECT_EQ(scores(MakePod().Spread(1, kHost, kWeb, false)), (Scores{0, 100, 50, 100}));
}

TEST(PodTopologySpreadTest, DefaultConstraintsSelectAsServicesDo) {
  Snapshot snap = MakeSnapshot(FourNodes(), {On("a", "web"), On("a", "web"), On("c", "web")});
  const PodInfoPtr pod = snap.Resolve(MakePod().Label("app", "web").Spec());
  RunPlugin spread(PodTopologySpread::Make({}));
  snap.Prepare(*pod);
  EXPECT_TRUE(spread.Score(*pod, snap).empty()) << "no Service selects it";
  auto service = std::make_shared<WorkloadSelector>();
  service->ns = "default", service->name = "web", service->selector = {true, {In("app", {"web"})}};
  const uint64_t before = pod->questions_version;
  snap.SetObject(Kind::kService, service);
  snap.Prepare(*pod);
  EXPECT_NE(pod->questions_version, before);
  // Hosts have 2, 0, 1, 0: times log(4 + 2), with maxSkew 3, that is 6, 2, 4, 2; no node has a zone label.
  EXPECT_EQ(spread.Score(*pod, snap), (std::vector<int64_t>{33, 100, 66, 100}));
  snap.RemoveObject(Kind::kService, "default", "web");
  snap.Prepare(*pod);
  EXPECT_TRUE(spread.Score(*pod, snap).empty());
}

TEST(InterPodAffinityTest, RequiredTerms) {
  struct Case {
    const char* name;
    std::vector<PodPtr> placed;
    MakePod pod;
    std::vector<std::string> verdicts;
  };
  MakePod web = MakePod().Label("app", "web");
  const PodPtr shy = MakePod("shy").Node("a").Apart("zone", kWeb).Ptr();
  const Case cases[] = {
      {"no terms", {On("a", "web")}, MakePod(), {"", "", "", ""}},
      {"beside one", {On("a", "web")}, MakePod().Beside("zone", kWeb), {"", "", kNotBeside, kNotBeside}},
      {"beside none", {}, MakePod().Beside("zone", kWeb), {kNotBeside, kNotBeside, kNotBeside, kNotBeside}},
      {"the first of its kind", {}, MakePod(web).Beside("zone", kWeb), {"", "", "", kNotBeside}},
      {"no longer the first",
       {On("c", "web")},
       MakePod(web).Beside("zone", kWeb),
       {kNotBeside, kNotBeside, "", kNotBeside}},
      {"apart", {On("a", "web")}, MakePod().Apart("zone", kWeb), {kApart, kApart, "", ""}},
      {"apart by host", {On("a", "web")}, MakePod().Apart(kHost, kWeb), {kApart, "", "", ""}},
      {"others keep apart", {shy}, web, {kExisting, kExisting, "", ""}},
      {"others do not mind", {shy}, MakePod(), {"", "", "", ""}},
      {"first rule first", {On("a", "web"), shy}, MakePod(web).Apart(kHost, kWeb), {kApart, kExisting, "", ""}},
  };
  for (const Case& c : cases) {
    Snapshot snap = MakeSnapshot(FourNodes(), c.placed);
    const PodInfoPtr pod = snap.Resolve(c.pod.Spec());
    snap.Prepare(*pod);
    EXPECT_EQ(RunPlugin(InterPodAffinity::Make({})).Filter(*pod, snap), c.verdicts) << c.name;
  }
}

TEST(InterPodAffinityTest, PreferredTerms) {
  const auto scores = [](std::vector<PodPtr> placed, const MakePod& pod, PluginArgs args = {}) {
    Snapshot snap = MakeSnapshot(FourNodes(), placed);
    const PodInfoPtr info = snap.Resolve(pod.Spec());
    snap.Prepare(*info);
    return RunPlugin(InterPodAffinity::Make(args)).Score(*info, snap);
  };
  using Scores = std::vector<int64_t>;
  MakePod web = MakePod().Label("app", "web");
  const PodPtr fond = MakePod("fond").Node("c").RatherBeside(10, "zone", kWeb).Ptr();
  const PodPtr bound = MakePod("bound").Node("c").Beside("zone", kWeb).Ptr();
  EXPECT_EQ(scores({On("a", "web")}, MakePod()), Scores{});
  EXPECT_EQ(scores({On("a", "web")}, MakePod().RatherBeside(5, "zone", kWeb)), (Scores{100, 100, 0, 0}));
  EXPECT_EQ(scores({On("a", "web")}, MakePod().RatherBeside(-5, "zone", kWeb)), (Scores{0, 0, 100, 100}));
  EXPECT_EQ(scores({fond}, web), (Scores{0, 0, 100, 0}));
  EXPECT_EQ(scores({bound}, web), (Scores{0, 0, 100, 0}));
  EXPECT_EQ(scores({bound}, web, InterPodAffinityArgs{0, false}), Scores{});
  EXPECT_EQ(scores({fond}, web, InterPodAffinityArgs{1, true}), Scores{});
  // 3 web pods in x at 1, one in y: 3, 3, 1, 0 of 3.
  EXPECT_EQ(
      scores({On("a", "web"), On("a", "web"), On("b", "web"), On("c", "web")}, MakePod().RatherBeside(1, "zone", kWeb)),
      (Scores{100, 100, 33, 0}));
}

TEST(InterPodAffinityTest, TermsOverNamespaces) {
  Snapshot snap = MakeSnapshot(FourNodes(), {On("a", "web", "prod")});
  MakePod pod;
  PodSpec spec = *pod.Spec();
  spec.pod_affinity.required.push_back({"zone", {true, kWeb}, {}, {true, {In("tier", {"1"})}}});
  const PodInfoPtr info = snap.Resolve(std::make_shared<const PodSpec>(spec));
  RunPlugin affinity(InterPodAffinity::Make({}));
  snap.Prepare(*info);
  EXPECT_EQ(affinity.Filter(*info, snap)[0], kNotBeside) << "the namespace is not known";
  auto prod = std::make_shared<Namespace>();
  prod->name = "prod", prod->labels = {{"tier", "1"}};
  snap.SetObject(Kind::kNamespace, prod);
  EXPECT_EQ(affinity.Filter(*info, snap)[0], "");
  auto renamed = std::make_shared<Namespace>(*prod);
  renamed->labels["tier"] = "2";
  snap.SetObject(Kind::kNamespace, renamed);
  EXPECT_EQ(affinity.Filter(*info, snap)[0], kNotBeside);
}

}  // namespace
}  // namespace muster
