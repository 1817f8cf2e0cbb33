// The group cycle against an exhaustive search with its own idea of what fits, on small clusters.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "plugins/all.h"
#include "scheduler/engine/cycle/group_cycle.h"
#include "scheduler/framework/config/config.h"
#include "scheduler/model/pod_group.h"
#include "scheduler/runtime/random.h"
#include "test/support/make.h"

namespace muster {
namespace {

constexpr std::array<const char*, 2> kKeys = {"kubernetes.io/hostname", "rack"};
constexpr int kApps = 2;

// What a pod asks for; all of it is something that the oracle below knows too.
struct Shape {
  int64_t cpu = 0, gpu = 0;
  int app = 0, port = 0;  // port 0: none
  bool tolerates = false, ssd = false;
  int apart_key = -1, apart_app = 0;  // -1: no such rule
  int beside_key = -1, beside_app = 0;
  int spread_key = -1, spread_app = 0, skew = 1;
};
struct TestNode {
  int64_t cpu = 0, gpu = 0;
  bool tainted = false, ssd = false;
  int rack = 0;
};
struct OnNode {
  Shape shape;
  int node;
};

struct Case {
  std::vector<TestNode> nodes;
  std::vector<OnNode> placed;
  std::vector<Shape> shapes;
  std::vector<int> members;  // shapes
  int min = 1;
  bool one_rack = false;
  int slice_size = 0, slice_key = 0;
};

Shape RandomShape(Random& random) {
  Shape s;
  s.cpu = static_cast<int64_t>(random.Below(4));
  s.gpu = random.Below(3) == 0 ? 1 : 0;
  s.app = static_cast<int>(random.Below(kApps));
  s.port = random.Below(6) == 0 ? 80 + static_cast<int>(random.Below(2)) : 0;
  s.tolerates = random.Below(3) == 0;
  s.ssd = random.Below(6) == 0;
  const auto rule = [&](int& key, int& app) {
    key = static_cast<int>(random.Below(2));
    app = static_cast<int>(random.Below(kApps));
  };
  switch (random.Below(6)) {
    case 0: rule(s.apart_key, s.apart_app); break;
    case 1: rule(s.beside_key, s.beside_app); break;
    case 2:
      rule(s.spread_key, s.spread_app);
      s.skew = 1 + static_cast<int>(random.Below(2));
      break;
    default: break;
  }
  return s;
}

Case RandomCase(Random& random) {
  Case c;
  const size_t nodes = 2 + random.Below(7), racks = 1 + random.Below(3);
  for (size_t i = 0; i < nodes; ++i) {
    c.nodes.push_back({static_cast<int64_t>(1 + random.Below(5)), static_cast<int64_t>(random.Below(3)),
                       random.Below(5) == 0, random.Below(2) == 0, static_cast<int>(random.Below(racks))});
  }
  for (size_t i = random.Below(4); i > 0; --i) {
    Shape s = RandomShape(random);
    s.beside_key = s.spread_key = -1;
    c.placed.push_back({s, static_cast<int>(random.Below(nodes))});
  }
  for (size_t i = 1 + random.Below(3); i > 0; --i) c.shapes.push_back(RandomShape(random));
  const size_t members = 2 + random.Below(5);
  for (size_t i = 0; i < members; ++i) c.members.push_back(static_cast<int>(random.Below(c.shapes.size())));
  if (random.Below(2) == 0) std::sort(c.members.begin(), c.members.end());
  c.min = static_cast<int>(random.Below(4) == 0 ? 1 + random.Below(members) : members);
  c.one_rack = random.Below(3) == 0;
  if (random.Below(5) == 0) {
    c.slice_size = 2 + static_cast<int>(random.Below(2));
    c.slice_key = static_cast<int>(random.Below(2));
    c.min = static_cast<int>(members);  // slices are placed whole
  }
  return c;
}

// --- The oracle --------------------------------------------------------------------------------

class Oracle {
 public:
  explicit Oracle(const Case& c) : c_(c), node_of_(c.members.size(), -1) {}

  enum class Answer { kYes, kNo, kTooMany };
  // Whether some order of placing at least `min` members, each where it may be then, exists.
  Answer Exists() {
    for (int rack = c_.one_rack ? 0 : -1; rack < (c_.one_rack ? 3 : 0); ++rack) {
      rack_ = rack;
      seen_.clear();
      if (Descend(0)) return Answer::kYes;
      if (seen_.size() > kStates) return Answer::kTooMany;
    }
    return Answer::kNo;
  }
  // Whether exactly these nodes (-1: none) can be reached in some order.
  bool Reachable(const std::vector<int>& nodes) {
    rack_ = -1;
    if (c_.one_rack) {
      for (size_t m = 0; m < nodes.size(); ++m) {
        if (nodes[m] < 0) continue;
        const int rack = c_.nodes[static_cast<size_t>(nodes[m])].rack;
        if (rack_ >= 0 && rack_ != rack) return false;
        rack_ = rack;
      }
    }
    wanted_ = &nodes;
    seen_.clear();
    return Reach();
  }

 private:
  static constexpr size_t kStates = 200'000;

  int Domain(int key, int node) const { return key == 0 ? node : c_.nodes[static_cast<size_t>(node)].rack; }
  template <typename F>
  void ForEachPod(F&& f) const {
    for (const OnNode& p : c_.placed) f(p.shape, p.node);
    for (size_t m = 0; m < node_of_.size(); ++m) {
      if (node_of_[m] >= 0) f(c_.shapes[static_cast<size_t>(c_.members[m])], node_of_[m]);
    }
  }

  bool Fits(size_t member, int n) const {
    const Shape& s = c_.shapes[static_cast<size_t>(c_.members[member])];
    const TestNode& node = c_.nodes[static_cast<size_t>(n)];
    if (rack_ >= 0 && node.rack != rack_) return false;
    if ((node.tainted && !s.tolerates) || (s.ssd && !node.ssd)) return false;
    int64_t cpu = node.cpu, gpu = node.gpu;
    bool ok = true, any_beside = false, beside = false;
    std::map<int, int> spread;
    ForEachPod([&](const Shape& o, int at) {
      if (at == n) {
        cpu -= o.cpu, gpu -= o.gpu;
        if (s.port != 0 && o.port == s.port) ok = false;
      }
      if (s.apart_key >= 0 && o.app == s.apart_app && Domain(s.apart_key, at) == Domain(s.apart_key, n)) ok = false;
      if (o.apart_key >= 0 && s.app == o.apart_app && Domain(o.apart_key, at) == Domain(o.apart_key, n)) ok = false;
      if (s.beside_key >= 0 && o.app == s.beside_app) {
        any_beside = true;
        beside |= Domain(s.beside_key, at) == Domain(s.beside_key, n);
      }
      if (s.spread_key >= 0 && o.app == s.spread_app && (!s.ssd || c_.nodes[static_cast<size_t>(at)].ssd))
        ++spread[Domain(s.spread_key, at)];
    });
    if (!ok || (s.cpu > 0 && cpu < s.cpu) || (s.gpu > 0 && gpu < s.gpu)) return false;
    if (s.beside_key >= 0 && !beside && (any_beside || s.app != s.beside_app)) return false;
    if (s.spread_key >= 0) {
      int least = INT32_MAX;
      for (int i = 0; i < static_cast<int>(c_.nodes.size()); ++i) {
        if (!s.ssd || c_.nodes[static_cast<size_t>(i)].ssd) least = std::min(least, spread[Domain(s.spread_key, i)]);
      }
      if (spread[Domain(s.spread_key, n)] + (s.app == s.spread_app ? 1 : 0) - least > s.skew) return false;
    }
    if (c_.slice_size > 0) {
      for (size_t m = 0; m < node_of_.size(); ++m) {
        if (node_of_[m] >= 0 && m / Size() == member / Size() &&
            Domain(c_.slice_key, node_of_[m]) != Domain(c_.slice_key, n))
          return false;
      }
    }
    return true;
  }
  size_t Size() const { return static_cast<size_t>(c_.slice_size); }
  // Equal members that swap places make the same state.
  uint64_t State() const {
    std::vector<std::array<int, 3>> all;
    for (size_t m = 0; m < node_of_.size(); ++m)
      all.push_back({c_.members[m], c_.slice_size > 0 ? static_cast<int>(m / Size()) : 0, node_of_[m]});
    std::sort(all.begin(), all.end());
    uint64_t state = 0;
    for (const auto& [shape, slice, node] : all) state = state * 9 + static_cast<uint64_t>(node + 1);
    return state;
  }
  bool Descend(int placed) {
    if (placed >= c_.min) return true;
    if (seen_.size() > kStates || !seen_.insert(State()).second) return false;
    for (size_t m = 0; m < node_of_.size(); ++m) {
      if (node_of_[m] >= 0) continue;
      for (int n = 0; n < static_cast<int>(c_.nodes.size()); ++n) {
        if (!Fits(m, n)) continue;
        node_of_[m] = n;
        const bool found = Descend(placed + 1);
        node_of_[m] = -1;
        if (found) return true;
      }
    }
    return false;
  }
  bool Reach() {
    if (node_of_ == *wanted_) return true;
    if (!seen_.insert(State()).second) return false;
    for (size_t m = 0; m < node_of_.size(); ++m) {
      const int n = (*wanted_)[m];
      if (node_of_[m] >= 0 || n < 0 || !Fits(m, n)) continue;
      node_of_[m] = n;
      const bool found = Reach();
      node_of_[m] = -1;
      if (found) return true;
    }
    return false;
  }

  const Case& c_;
  std::vector<int> node_of_;
  int rack_ = -1;
  const std::vector<int>* wanted_ = nullptr;
  absl::flat_hash_set<uint64_t> seen_;
};

// --- The same for the cycle --------------------------------------------------------------------

MakePod Make(const Shape& s, const std::string& name) {
  MakePod pod(name);
  pod.Uid(name).Label("app", absl::StrCat(s.app));
  if (s.cpu > 0) pod.Cpu(s.cpu * 1000);
  if (s.gpu > 0) pod.Request("x.io/gpu", s.gpu);
  if (s.port > 0) pod.HostPort(s.port);
  if (s.tolerates) pod.Tolerate("t");
  if (s.ssd) pod.NodeSelector("disk", "ssd");
  if (s.apart_key >= 0) pod.Apart(kKeys[static_cast<size_t>(s.apart_key)], {In("app", {absl::StrCat(s.apart_app)})});
  if (s.beside_key >= 0)
    pod.Beside(kKeys[static_cast<size_t>(s.beside_key)], {In("app", {absl::StrCat(s.beside_app)})});
  if (s.spread_key >= 0)
    pod.Spread(s.skew, kKeys[static_cast<size_t>(s.spread_key)], {In("app", {absl::StrCat(s.spread_app)})});
  return pod;
}

std::string Describe(const Case& c) {
  std::string text = absl::StrCat("min ", c.min, c.one_rack ? " one rack" : "", " slices of ", c.slice_size, " in ",
                                  c.slice_key, "\n");
  const auto shape = [](const Shape& s) {
    return absl::StrCat("cpu ", s.cpu, " gpu ", s.gpu, " app ", s.app, " port ", s.port, " tolerates ", s.tolerates,
                        " ssd ", s.ssd, " apart ", s.apart_key, "/", s.apart_app, " beside ", s.beside_key, "/",
                        s.beside_app, " spread ", s.spread_key, "/", s.spread_app, "/", s.skew, "\n");
  };
  for (const TestNode& n : c.nodes)
    absl::StrAppend(&text, "node cpu ", n.cpu, " gpu ", n.gpu, " tainted ", n.tainted, " ssd ", n.ssd, " rack ", n.rack,
                    "\n");
  for (const OnNode& p : c.placed) absl::StrAppend(&text, "on ", p.node, ": ", shape(p.shape));
  for (const int m : c.members) absl::StrAppend(&text, "member ", shape(c.shapes[static_cast<size_t>(m)]));
  return text;
}

struct Tally {
  int exist = 0, found = 0, proven = 0, impossible = 0, unknown = 0;
};

void Check(const Framework& framework, WorkerPool& pool, const Case& c, uint64_t seed, Tally& tally) {
  Snapshot snap;
  std::vector<NodePtr> nodes;
  for (size_t i = 0; i < c.nodes.size(); ++i) {
    const TestNode& n = c.nodes[i];
    MakeNode make(absl::StrCat("n", i));
    make.Cpu(n.cpu * 1000).Room("x.io/gpu", n.gpu).Label("rack", absl::StrCat("r", n.rack));
    if (n.tainted) make.Taint("t");
    if (n.ssd) make.Label("disk", "ssd");
    nodes.push_back(make.Ptr());
  }
  snap.Rebuild(nodes);
  const auto topology = std::make_shared<Topology>();
  topology->name = "t";
  topology->levels = {kKeys[1], kKeys[0]};
  snap.SetObject(Kind::kTopology, topology);
  std::vector<Member> kept;
  // These may be more than the node has room for.
  for (size_t i = 0; i < c.placed.size(); ++i) {
    const PodPtr pod = Make(c.placed[i].shape, absl::StrCat("old", i)).Ptr();
    kept.push_back({pod, snap.Resolve(pod->spec)});
    snap.AddPod({pod.get(), kept.back().info.get()}, static_cast<NodeIndex>(c.placed[i].node));
  }
  // Equal pods share one PodInfo, as the cluster cache makes it; a label of its own for every third case.
  std::vector<Member> members;
  std::vector<PodInfoPtr> infos;
  for (const Shape& s : c.shapes) infos.push_back(snap.Resolve(Make(s, "x").Spec()));
  for (size_t i = 0; i < c.members.size(); ++i) {
    MakePod make = Make(c.shapes[static_cast<size_t>(c.members[i])], absl::StrCat("m", i));
    make.Group("g").Rank(static_cast<int32_t>(i));
    if (seed % 3 == 0) make.Label("rank", absl::StrCat(i));
    const PodPtr pod = make.Ptr();
    members.push_back({pod, seed % 3 == 0 ? snap.Resolve(pod->spec) : infos[static_cast<size_t>(c.members[i])]});
  }
  GroupRequest request;
  request.members = members;
  request.min = static_cast<size_t>(c.min);
  request.group = members[0].pod->group;
  if (c.one_rack) {
    request.topology.mode = TopologyRequest::Mode::kRequired;
    request.topology.level = "rack";
  }
  if (c.slice_size > 0) {
    if (!c.one_rack) request.topology.mode = TopologyRequest::Mode::kUnconstrained;
    request.topology.slice_level = kKeys[static_cast<size_t>(c.slice_key)];
    request.topology.slice_size = c.slice_size;
  }
  std::vector<std::vector<int64_t>> before;
  GroupCycle cycle(snap, pool, seed);
  for (const Member& m : members) snap.Prepare(*m.info);
  for (ColumnId col = 0; col < snap.columns(); ++col)
    before.emplace_back(snap.Cells(col), snap.Cells(col) + snap.size());
  const GroupDecision& decision = cycle.Decide(framework, request);

  Oracle oracle(c);
  if (decision.placed) {
    std::vector<int> at;
    int count = 0;
    for (const Placement& p : decision.placements) {
      at.push_back(p.node == kNoNode ? -1 : static_cast<int>(p.node));
      count += p.node != kNoNode;
    }
    EXPECT_GE(count, c.min);
    EXPECT_TRUE(oracle.Reachable(at)) << "placed where it does not fit";
    ++tally.exist, ++tally.found;
    return;
  }
  for (ColumnId col = 0; col < before.size(); ++col) {
    EXPECT_TRUE(std::equal(before[col].begin(), before[col].end(), snap.Cells(col))) << "left a trace";
  }
  const bool proven = decision.why->message.find("budget") == std::string::npos;
  switch (oracle.Exists()) {
    case Oracle::Answer::kYes:
      ++tally.exist;
      EXPECT_FALSE(proven) << decision.why->message;
      break;
    case Oracle::Answer::kNo: ++tally.impossible, tally.proven += proven; break;
    case Oracle::Answer::kTooMany: ++tally.unknown; break;
  }
}

TEST(GroupSearchTest, FindsWhatAnExhaustiveSearchFinds) {
  const Registry registry = AllPlugins();
  const auto framework = *Framework::Create(DefaultConfiguration(registry).profiles[0], registry);
  WorkerPool pool{1};
  const char* asked = std::getenv("MUSTER_CASES");
  const int cases = asked != nullptr ? std::atoi(asked) : 5000;
  const char* from = std::getenv("MUSTER_SEED");
  const uint64_t first = from != nullptr ? static_cast<uint64_t>(std::atoll(from)) : 1;
  Tally tally;
  for (uint64_t seed = first; seed < first + static_cast<uint64_t>(cases); ++seed) {
    Random random(seed);
    const Case c = RandomCase(random);
    SCOPED_TRACE(absl::StrCat("seed ", seed, "\n", Describe(c)));
    Check(*framework, pool, c, seed, tally);
    if (testing::Test::HasFailure()) break;
  }
  std::printf("%d cases: a placement exists in %d, found in %d; none in %d, proven in %d; not known in %d\n", cases,
              tally.exist, tally.found, tally.impossible, tally.proven, tally.unknown);
  EXPECT_GE(tally.found * 100, tally.exist * 99);
}

}  // namespace
}  // namespace muster
