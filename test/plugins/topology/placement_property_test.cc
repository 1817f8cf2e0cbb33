// Random trees, amounts and groups; what the generator says, beside counting by hand.
#include <algorithm>
#include <bit>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/plugins/topology/places.h"

namespace muster {
namespace {

using Path = std::vector<std::string>;  // a domain: its labels' values, the widest level's first

// The fewest of `amounts` that hold `count`, by trying all subsets; SIZE_MAX where none do.
size_t FewestThatHold(const std::vector<int64_t>& amounts, int64_t count) {
  size_t best = SIZE_MAX;
  for (uint32_t set = 0; set < (1u << amounts.size()); ++set) {
    int64_t sum = 0;
    for (size_t i = 0; i < amounts.size(); ++i) sum += (set >> i & 1) != 0 ? amounts[i] : 0;
    if (sum >= count) best = std::min(best, static_cast<size_t>(std::popcount(set)));
  }
  return best;
}

// One random cluster and group, and what it looks like from outside.
class Case {
 public:
  explicit Case(uint32_t seed) : random(seed), levels(1 + Pick(3)) {
    for (size_t i = 0; i < levels; ++i) keys.push_back(absl::StrCat("level", i));
    std::vector<NodePtr> nodes;
    const bool outside = Pick(3) == 0;
    for (uint32_t i = 0, count = 1 + Pick(12); i < count; ++i) {
      MakeNode node(absl::StrCat("n", i / 10, i % 10));
      node.Room(kGpu, Pick(5));
      for (const std::string& key : keys) {
        if (!outside || Pick(10) != 0) node.Label(key, absl::StrCat("v", Pick(3)));
      }
      nodes.push_back(node.Ptr());
    }
    places = std::make_unique<Places>(std::move(nodes), keys);
    const int64_t* gpus = places->snap.Free(places->ShapeOf(1).info->requests[0].resource);
    free.assign(gpus, gpus + places->snap.size());
    domains.resize(levels + 1);
    for (NodeIndex n = 0; n < places->snap.size(); ++n) {
      paths.emplace_back();
      const Labels& labels = places->snap.node(n).labels;
      if (!std::all_of(keys.begin(), keys.end(), [&](const std::string& key) { return labels.contains(key); }))
        continue;
      for (size_t depth = 0; depth <= levels; ++depth) {
        domains[depth][paths[n]].push_back(n);
        if (depth < levels) paths[n].push_back(labels.find(keys[depth])->second);
      }
    }
    asked.mode = Pick(2) == 0 ? Mode::kRequired : Mode::kPreferred;
    level = 1 + Pick(static_cast<uint32_t>(levels));
    asked.level = keys[level - 1];
    asked.count = 1 + Pick(10);
    asked.min = Pick(2) == 0 ? asked.count : Pick(static_cast<uint32_t>(asked.count) + 1);
  }

  uint32_t Pick(uint32_t below) { return static_cast<uint32_t>(random() % below); }
  // Empty where the node is outside the tree.
  Path PathOf(NodeIndex n, size_t depth) const {
    Path path = paths[n];
    if (!path.empty()) path.resize(depth);
    return path;
  }
  int64_t Free(NodeIndex n) const { return free[n]; }
  // The nodes of each domain of a level; level 0 is the tree.
  const std::map<Path, std::vector<NodeIndex>>& Domains(size_t depth) const { return domains[depth]; }
  int64_t FreeIn(const std::vector<NodeIndex>& nodes) const {
    int64_t sum = 0;
    for (const NodeIndex n : nodes) sum += Free(n);
    return sum;
  }
  std::vector<NodeIndex> AllNodes() const {
    std::vector<NodeIndex> all;
    for (NodeIndex n = 0; n < places->snap.size(); ++n) all.push_back(n);
    return all;
  }

  // Of the domains of the asked level inside the one of that path, the fewest that hold all members.
  size_t Fewest(const Path& path) const {
    std::vector<int64_t> amounts;
    for (const auto& [below, nodes] : Domains(level)) {
      if (std::equal(path.begin(), path.end(), below.begin())) amounts.push_back(FreeIn(nodes));
    }
    return FewestThatHold(amounts, static_cast<int64_t>(asked.count));
  }

  struct Seen {
    std::vector<NodeIndex> nodes;  // ascending
    std::vector<PlacementRun> runs;
    std::vector<std::vector<NodeIndex>> run_nodes;
    std::vector<uint32_t> slice_domains;
    std::vector<NodeIndex> as_given;
  };
  std::vector<Seen> Visit() {
    std::vector<Seen> seen;
    answer = places->Generate(asked, [&](const PlacementCandidate& c) {
      Seen one{{c.nodes.begin(), c.nodes.end()}, {c.runs.begin(), c.runs.end()}, {}, {}, {}};
      for (const PlacementRun& run : c.runs) one.run_nodes.emplace_back(run.nodes.begin(), run.nodes.end());
      one.slice_domains.assign(c.slice_domain.begin(), c.slice_domain.end());
      one.as_given = one.nodes;
      std::sort(one.nodes.begin(), one.nodes.end());
      seen.push_back(std::move(one));
      return false;
    });
    return seen;
  }

  std::mt19937 random;
  size_t levels, level = 0;
  std::vector<std::string> keys;
  std::vector<Path> paths;                                      // by node
  std::vector<int64_t> free;                                    // likewise
  std::vector<std::map<Path, std::vector<NodeIndex>>> domains;  // by level
  std::unique_ptr<Places> places;
  Asked asked;
  PlacementAnswer answer;
};

using Nodes = std::vector<NodeIndex>;

// The runs cover the first members, each within its nodes' free amounts.
void CheckRuns(const Case& c, const Case::Seen& seen, int64_t held) {
  size_t next = 0;
  std::map<NodeIndex, int> covered;
  for (size_t i = 0; i < seen.runs.size(); ++i) {
    EXPECT_EQ(seen.runs[i].first, next);
    next += seen.runs[i].count;
    EXPECT_GT(seen.runs[i].count, 0u);
    EXPECT_LE(seen.runs[i].count, c.FreeIn(seen.run_nodes[i]));
    for (const NodeIndex n : seen.run_nodes[i]) {
      EXPECT_EQ(covered[n]++, 0);
      EXPECT_TRUE(std::binary_search(seen.nodes.begin(), seen.nodes.end(), n));
    }
  }
  EXPECT_EQ(static_cast<int64_t>(next), held);
}

// Equal pods of one resource: a place is visited where, and only where, enough of them fit, in the order
// that is promised.
TEST(PlacementProperties, OfEqualPods) {
  for (uint32_t seed = 0; seed < 10'000; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Case c(seed);
    const auto count = static_cast<int64_t>(c.asked.count), min = static_cast<int64_t>(c.asked.min);
    const std::vector<Case::Seen> seen = c.Visit();
    const bool required = c.asked.mode == Mode::kRequired;
    if (c.Domains(0).empty()) {
      EXPECT_NE(c.answer.impossible, "");
      continue;
    }
    std::vector<Nodes> want;
    int64_t most = 0;
    std::vector<std::vector<Nodes>> tiers;
    std::vector<size_t> fewest;  // by tier: the domains of the level that the best place needs
    for (size_t depth = c.level + 1; depth-- > (required ? c.level : 0);) {
      tiers.emplace_back();
      fewest.push_back(SIZE_MAX);
      for (const auto& [path, nodes] : c.Domains(depth)) {
        tiers.back().push_back(nodes);
        fewest.back() = std::min(fewest.back(), c.Fewest(path));
      }
    }
    if (!required && c.Domains(0).begin()->second.size() < c.places->snap.size()) tiers.push_back({c.AllNodes()});
    size_t tier_of_first = tiers.size();
    for (size_t tier = 0; tier < tiers.size(); ++tier) {
      for (const Nodes& nodes : tiers[tier]) {
        most = std::max(most, std::min(count, c.FreeIn(nodes)));
        if (c.FreeIn(nodes) < std::max<int64_t>(min, 1)) continue;
        want.push_back(nodes);
        if (c.FreeIn(nodes) < count) continue;
        if (tier_of_first == tiers.size() || (tier < fewest.size() && fewest[tier] < fewest[tier_of_first]))
          tier_of_first = tier;
      }
    }
    std::vector<Nodes> got;
    for (const Case::Seen& one : seen) got.push_back(one.nodes);
    std::vector<Nodes> sorted = got;
    std::sort(sorted.begin(), sorted.end());
    std::sort(want.begin(), want.end());
    EXPECT_EQ(sorted, want);
    EXPECT_EQ(c.answer.most, static_cast<size_t>(most));
    EXPECT_TRUE(c.answer.complete);
    for (const Case::Seen& one : seen) CheckRuns(c, one, std::min(count, c.FreeIn(one.nodes)));
    if (got.empty()) continue;
    // The first holds all members wherever one does, is one that needs the fewest domains, and of the lowest level
    // that has such.
    EXPECT_EQ(c.FreeIn(got[0]) >= count, tier_of_first < tiers.size());
    if (tier_of_first == tiers.size()) {
      if (required) {
        for (const Nodes& nodes : want) EXPECT_LE(c.FreeIn(nodes), c.FreeIn(got[0]));
      }
      continue;
    }
    EXPECT_TRUE(std::count(tiers[tier_of_first].begin(), tiers[tier_of_first].end(), got[0]) > 0);
    if (tier_of_first == 0) {
      for (const Nodes& nodes : tiers[0]) EXPECT_TRUE(c.FreeIn(nodes) < count || c.FreeIn(nodes) >= c.FreeIn(got[0]));
    }
  }
}

// The first place needs the fewest of the preferred domains that can do, and the runs use no more.
TEST(PlacementProperties, PreferredSpansTheFewestDomains) {
  int checked = 0;
  for (uint32_t seed = 0; seed < 10'000; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Case c(seed);
    c.asked.mode = Mode::kPreferred;
    c.asked.min = c.asked.count;
    const std::vector<Case::Seen> seen = c.Visit();
    if (seen.empty() || c.Domains(0).empty()) continue;
    const size_t best = c.Fewest({});
    if (best == SIZE_MAX || best == 1) continue;
    ++checked;
    std::set<Path> used;
    for (const Nodes& nodes : seen[0].run_nodes) used.insert(c.PathOf(nodes[0], c.level));
    EXPECT_EQ(used.size(), best);
  }
  EXPECT_GT(checked, 1000);
}

// Slices: a place is visited where, and only where, enough whole ones fit; each is in one domain.
TEST(PlacementProperties, SlicesAreWhole) {
  int visited = 0;
  for (uint32_t seed = 0; seed < 10'000; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Case c(seed);
    const auto size = static_cast<int64_t>(1 + c.Pick(4));
    const size_t slice_level = c.level + c.Pick(static_cast<uint32_t>(c.levels - c.level) + 1);
    c.asked.slice_level = c.keys[slice_level - 1];
    c.asked.slice_size = static_cast<int32_t>(size);
    c.asked.mode = Mode::kRequired;
    const auto count = static_cast<int64_t>(c.asked.count), min = static_cast<int64_t>(c.asked.min);
    const std::vector<Case::Seen> seen = c.Visit();
    if (!c.answer.impossible.empty()) continue;
    // The most members in whole slices.
    const auto held = [&](const Path& path) {
      int64_t whole = 0;
      bool rest = false;  // whether the last, short, fits beside `whole` others
      for (const auto& [below, nodes] : c.Domains(slice_level)) {
        if (Path(below.begin(), below.begin() + static_cast<ptrdiff_t>(path.size())) != path) continue;
        whole += c.FreeIn(nodes) / size;
        rest |= c.FreeIn(nodes) % size >= count % size;
      }
      const int64_t full = count / size;
      return std::min(whole, full) * size + (whole > full || (whole == full && rest) ? count % size : 0);
    };
    size_t exact = 0, loose = 0;
    for (const auto& [path, nodes] : c.Domains(c.level)) {
      exact += held(path) >= std::max<int64_t>(min, 1);
      loose += c.FreeIn(nodes) >= std::max<int64_t>(min, 1);  // elastic members may leave slices in part
    }
    if (min == count) {
      EXPECT_EQ(seen.size(), exact);
    }
    EXPECT_GE(seen.size(), exact);
    EXPECT_LE(seen.size(), loose);
    for (const Case::Seen& one : seen) {
      ++visited;
      std::map<NodeIndex, uint32_t> domain;
      for (size_t i = 0; i < one.as_given.size(); ++i) domain[one.as_given[i]] = one.slice_domains[i];
      for (const NodeIndex a : one.nodes) {
        for (const NodeIndex b : one.nodes)
          EXPECT_EQ(domain[a] == domain[b], c.PathOf(a, slice_level) == c.PathOf(b, slice_level));
      }
      std::vector<uint32_t> of_member(c.asked.count, UINT32_MAX);
      std::map<uint32_t, int64_t> used;
      for (size_t i = 0; i < one.runs.size(); ++i) {
        for (const NodeIndex n : one.run_nodes[i]) EXPECT_EQ(domain[n], domain[one.run_nodes[i][0]]);
        used[domain[one.run_nodes[i][0]]] += one.runs[i].count;
        for (uint32_t m = 0; m < one.runs[i].count; ++m) of_member[one.runs[i].first + m] = domain[one.run_nodes[i][0]];
      }
      for (size_t m = 0; m < of_member.size(); ++m)
        EXPECT_EQ(of_member[m], of_member[m / static_cast<size_t>(size) * static_cast<size_t>(size)]);
      for (const auto& [id, members] : used) {
        int64_t free = 0;
        for (const NodeIndex n : one.nodes) free += domain[n] == id ? c.Free(n) : 0;
        EXPECT_LE(members, free);
      }
      if (min == count) {
        EXPECT_EQ(std::count(of_member.begin(), of_member.end(), UINT32_MAX), 0);
      }
    }
  }
  EXPECT_GT(visited, 1000);
}

// Whether the members, each of its own amount, fit into the nodes: all ways are tried.
bool Fit(std::vector<int64_t>& free, const std::vector<int64_t>& members, size_t next, size_t may_leave) {
  if (next == members.size()) return true;
  if (may_leave > 0 && Fit(free, members, next + 1, may_leave - 1)) return true;
  for (int64_t& room : free) {
    if (room < members[next]) continue;
    room -= members[next];
    const bool fits = Fit(free, members, next + 1, may_leave);
    room += members[next];
    if (fits) return true;
  }
  return false;
}

// Groups of several shapes: wherever the minimum fits in a domain, that is visited; runs cover members from
// the first on.
TEST(PlacementProperties, BoundsOfMixedGroupsAreBounds) {
  int fits = 0, skipped = 0;
  for (uint32_t seed = 0; seed < 10'000; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Case c(seed);
    c.asked.mode = Mode::kRequired;
    c.asked.count = 1 + c.Pick(5);
    c.asked.min = c.Pick(2) == 0 ? c.asked.count : 1 + c.Pick(static_cast<uint32_t>(c.asked.count));
    for (size_t i = 0; i < c.asked.count; ++i) c.asked.gpus.push_back(1 + c.Pick(4));
    const std::vector<Case::Seen> seen = c.Visit();
    if (!c.answer.impossible.empty()) continue;
    for (const Case::Seen& one : seen) {
      size_t next = 0;
      for (size_t i = 0; i < one.runs.size(); ++i) {
        EXPECT_EQ(one.runs[i].first, next);
        EXPECT_GT(one.runs[i].count, 0u);
        next += one.runs[i].count;
        int64_t most = 0;
        for (const NodeIndex n : one.run_nodes[i]) most = std::max(most, c.Free(n));
        // A domain of the lowest level is one run, whatever is in it.
        for (size_t m = one.runs[i].first; m < next && c.level < c.levels; ++m) EXPECT_LE(c.asked.gpus[m], most);
      }
      EXPECT_LE(next, c.asked.count);
    }
    for (const auto& [path, nodes] : c.Domains(c.level)) {
      std::vector<int64_t> free;
      for (const NodeIndex n : nodes) free.push_back(c.Free(n));
      const bool was_visited =
          std::any_of(seen.begin(), seen.end(), [&, of = nodes](const Case::Seen& one) { return one.nodes == of; });
      if (Fit(free, c.asked.gpus, 0, c.asked.count - c.asked.min)) {
        ++fits;
        EXPECT_TRUE(was_visited);
      } else {
        skipped += !was_visited;
      }
    }
  }
  EXPECT_GT(fits, 1000);
  EXPECT_GT(skipped, 1000);
}

}  // namespace
}  // namespace muster
