#include "plugins/topology/topology_placement_generator.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/plugins/topology/places.h"

namespace muster {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

using Texts = std::vector<std::string>;
constexpr uint32_t kUnranked = UINT32_MAX;

TEST(TopologyPlacementGenerator, RequiredTakesTheTightestDomainThenTheRoomiest) {
  const struct {
    const char* cluster;
    const char* level;
    size_t count, min;
    Texts want;
  } kRows[] = {
      {"b1:r1=4 r2=2 r3=3", "rack", 2, 2, {"rack r2", "rack r3", "rack r1"}},
      {"b1:r1=4 r2=2 r3=3", "rack", 3, 3, {"rack r3", "rack r1"}},
      {"b1:r1=4 r2=2 r3=3", "rack", 4, 4, {"rack r1"}},
      {"b1:r1=4 r2=2 r3=3", "rack", 5, 5, {"most 4 in rack r1"}},
      {"b1:r1=4 r2=2 r3=3", "rack", 5, 2, {"rack r1", "rack r3", "rack r2"}},
      {"b1:r1=4 r2=2 r3=3", "rack", 3, 2, {"rack r3", "rack r1", "rack r2"}},
      {"b1:r1=4 r2=2 r3=3", "rack", 9, 0, {"rack r1", "rack r3", "rack r2"}},
      {"b1:r1=0 r2=0", "rack", 2, 0, {"most 0 in "}},
      {"b1:r2=2 r1=2; b2:r0=2", "rack", 2, 2, {"rack r1", "rack r2", "rack r0"}},  // equal: by block, then rack
      {"b1:r1=4 r2=2; b2:r3=5", "block", 4, 4, {"block b2", "block b1"}},
      {"b1:r1=4 r2=2; b2:r3=5", "block", 6, 6, {"block b1"}},
      {"b1:r1=4 r2=2; b2:r3=5", "block", 7, 7, {"most 6 in block b1"}},
      {"b1:r1=1,1,1,1 r2=3,0", "rack", 3, 3, {"rack r2", "rack r1"}},
      {"b1:r1=2; b2:r1=3; -=9", "rack", 2, 2, {"block b1, rack r1", "block b2, rack r1"}},
  };
  for (const auto& row : kRows) {
    Places places(row.cluster);
    EXPECT_THAT(places.Domains({.level = row.level, .count = row.count, .min = row.min}), ElementsAreArray(row.want))
        << row.cluster << " " << row.count;
  }
}

TEST(TopologyPlacementGenerator, PreferredGoesUpLevelByLevel) {
  const struct {
    const char* cluster;
    const char* level;
    size_t count, min;
    Texts want;
  } kRows[] = {
      {"b1:r1=4 r2=2; b2:r3=3", "rack", 3, 3, {"rack r3", "rack r1", "block b2", "block b1", "all"}},
      {"b1:r1=4 r2=2; b2:r3=3", "rack", 6, 6, {"block b1", "all"}},
      {"b1:r1=4 r2=2; b2:r3=3", "rack", 9, 9, {"all"}},
      {"b1:r1=4 r2=2; b2:r3=3", "rack", 10, 10, {"most 9 in "}},
      // The fewest racks, neither the tightest block nor the nearest places.
      {"b1:r1=2 r2=2 r3=2; b2:r4=4 r5=4", "rack", 6, 6, {"block b2", "all", "block b1"}},
      {"b1:r1=2 r2=2 r3=2; b2:r4=4; b3:r5=4", "rack", 6, 6, {"all", "block b1"}},
      {"b1:r1=3 r2=3; b2:r4=4 r5=4", "rack", 6, 6, {"block b1", "block b2", "all"}},
      {"b1:r1=4 r2=2; b2:r3=5", "block", 6, 6, {"block b1", "all"}},
      {"b1:r1=2; -=2", "rack", 2, 2, {"rack r1", "block b1", "any block", "all"}},
      {"b1:r1=2; -=2", "rack", 3, 3, {"all"}},
      {"b1:r1=2; -=2", "rack", 5, 5, {"most 4 in "}},
      // All members before the nearest of few.
      {"b1:r1=4 r2=3; b2:r3=3", "rack", 7, 4, {"block b1", "all", "rack r1"}},
      {"b1:r1=4 r2=3; b2:r3=3", "rack", 12, 4, {"rack r1", "block b1", "all"}},
  };
  for (const auto& row : kRows) {
    Places places(row.cluster);
    const Asked asked{.mode = Mode::kPreferred, .level = row.level, .count = row.count, .min = row.min};
    EXPECT_THAT(places.Domains(asked), ElementsAreArray(row.want)) << row.cluster << " " << row.count;
  }
}

TEST(TopologyPlacementGenerator, RunsKeepNeighboursTogether) {
  const struct {
    const char* cluster;
    Mode mode;
    const char* level;
    size_t count;
    const char* want;
  } kRows[] = {
      {"b1:r1=4,2", Mode::kRequired, "rack", 6, "rack r1 [0+4 n00] [4+2 n01]"},
      {"b1:r1=2,4,3", Mode::kRequired, "rack", 3, "rack r1 [0+3 n02]"},            // one holds all: the tightest
      {"b1:r1=2,4,3", Mode::kRequired, "rack", 6, "rack r1 [0+4 n01] [4+2 n00]"},  // largest first, tightest last
      {"b1:r1=2,4,3", Mode::kRequired, "rack", 5, "rack r1 [0+4 n01] [4+1 n00]"},
      {"b1:r1=1,1 r2=1 r3=2", Mode::kRequired, "block", 4, "block b1 [0+1 n00] [1+1 n01] [2+2 n03]"},
      {"b1:r1=3 r2=2; b2:r3=4", Mode::kPreferred, "rack", 9, "all [0+3 n00] [3+2 n01] [5+4 n02]"},
      {"b1:r1=3; -=2,2", Mode::kPreferred, "rack", 5, "all [0+3 n00] [3+2 n01,n02]"},
  };
  for (const auto& row : kRows) {
    Places places(row.cluster, {"block", "rack", "kubernetes.io/hostname"});
    EXPECT_EQ(places.First({.mode = row.mode, .level = row.level, .count = row.count}), row.want) << row.cluster;
  }
  // Without a level of hosts a rack is left to the scores.
  EXPECT_EQ(Places("b1:r1=1,1 r2=1").First({.level = "block", .count = 3}), "block b1 [0+2 n00,n01] [2+1 n02]");
}

TEST(TopologyPlacementGenerator, PlacedPodsPinARequiredDomainAndDrawPreferredOnes) {
  const struct {
    const char* cluster;
    Mode mode;
    size_t count;
    Texts placed;
    Texts want;
  } kRows[] = {
      {"b1:r1=4 r2=2", Mode::kRequired, 2, {"n00"}, {"rack r1"}},
      {"b1:r1=4 r2=2", Mode::kRequired, 3, {"n01"}, {"most 2 in rack r2"}},
      {"b1:r1=4,1 r2=2", Mode::kRequired, 2, {"n01", "n00", "n01"}, {"rack r1"}},
      {"b1:r1=4 r2=2",
       Mode::kRequired,
       2,
       {"n00", "n01"},
       {"impossible: its pods are in several domains of rack already: rack r1 and rack r2"}},
      {"b1:r1=4; -=3",
       Mode::kRequired,
       2,
       {"n01"},
       {"impossible: its pod on node n01 is outside every domain of rack"}},
      {"b1:r1=4 r2=2", Mode::kPreferred, 2, {"n00"}, {"rack r1", "block b1", "all", "rack r2"}},
      {"b1:r1=1 r2=3; b2:r3=2", Mode::kPreferred, 2, {"n00"}, {"rack r2", "rack r3", "block b1", "block b2", "all"}},
      {"b1:r1=1 r2=1 r3=1; b2:r4=2 r5=1", Mode::kPreferred, 3, {"n01"}, {"all", "block b1", "block b2"}},
      {"b1:r1=1 r2=2 r3=1; b2:r4=2 r5=1", Mode::kPreferred, 3, {"n01"}, {"block b1", "all", "block b2"}},
      {"b1:r1=2; -=3", Mode::kPreferred, 2, {"n01"}, {"rack r1", "block b1", "any block", "all"}},
  };
  for (const auto& row : kRows) {
    Places places(row.cluster);
    EXPECT_THAT(places.Domains({.mode = row.mode, .count = row.count, .placed = row.placed}),
                ElementsAreArray(row.want))
        << row.cluster;
  }
  // Racks that the group is in already come first.
  EXPECT_EQ(Places("b1:r1=3 r2=2 r3=1").First({.level = "block", .count = 4, .placed = {"n02"}}),
            "block b1 [0+1 n02] [1+3 n00]");
}

TEST(TopologyPlacementGenerator, SlicesStayWhole) {
  const struct {
    const char* cluster;
    Mode mode;
    const char* level;
    size_t count, min;
    int32_t size;
    Texts want;
  } kRows[] = {
      {"b1:r1=3 r2=2; b2:r3=4",
       Mode::kRequired,
       "block",
       4,
       4,
       2,
       {"block b1 [0+2 n00] [2+2 n01]", "block b2 [0+4 n02]"}},
      {"b1:r1=3 r2=1; b2:r3=5", Mode::kRequired, "block", 4, 4, 2, {"block b2 [0+4 n02]"}},
      {"b1:r1=3 r2=3; b2:r3=3", Mode::kRequired, "block", 6, 6, 2, {"most 4 in block b1"}},
      {"b1:r1=3 r2=3; b2:r3=3",
       Mode::kRequired,
       "block",
       6,
       3,
       2,
       {"block b1 [0+2 n00] [2+2 n01]", "block b2 [0+2 n02]"}},
      {"b1:r1=3 r2=3; b2:r3=3", Mode::kRequired, "block", 6, 5, 2, {"block b1 [0+2 n00] [2+2 n01]"}},
      {"b1:r1=3 r2=3; b2:r3=3", Mode::kNone, "", 6, 6, 2, {"all [0+2 n00] [2+2 n01] [4+2 n02]"}},
      {"b1:r1=3 r2=3; b2:r3=3; -=9", Mode::kUnconstrained, "", 8, 8, 2, {"most 6 in any block"}},
      {"b1:r1=3 r2=3; b2:r3=4", Mode::kPreferred, "block", 8, 8, 2, {"all [0+2 n00] [2+2 n01] [4+4 n02]"}},
      {"b1:r1=2 r2=2; b2:r3=4",
       Mode::kPreferred,
       "block",
       4,
       4,
       2,
       {"block b1 [0+2 n00] [2+2 n01]", "block b2 [0+4 n02]", "all [0+2 n00] [2+2 n01]"}},
      // The last slice is short; it may have to go where an earlier one is.
      {"b1:r1=3 r2=2", Mode::kRequired, "block", 5, 5, 2, {"block b1 [0+2 n00] [2+2 n01] [4+1 n00]"}},
      {"b1:r1=5 r2=4", Mode::kRequired, "block", 9, 9, 4, {"block b1 [0+4 n00] [4+4 n01] [8+1 n00]"}},
      {"b1:r1=4 r2=4", Mode::kRequired, "block", 9, 9, 4, {"most 8 in block b1"}},
      {"b1:r1=4 r2=5", Mode::kRequired, "rack", 5, 4, 4, {"rack r2 [0+4 n01] [4+1 n01]", "rack r1 [0+4 n00]"}},
      {"b1:r1=7 r2=1", Mode::kRequired, "block", 5, 5, 4, {"block b1 [0+4 n00] [4+1 n00]"}},
      {"b1:r1=4 r2=3 r3=2", Mode::kRequired, "block", 5, 5, 4, {"block b1 [0+4 n00] [4+1 n02]"}},
      {"b1:r1=4 r2=4", Mode::kRequired, "rack", 3, 3, 4, {"rack r1 [0+3 n00]", "rack r2 [0+3 n01]"}},
      {"b1:r1=4 r2=3,1", Mode::kRequired, "rack", 4, 4, 2, {"rack r1 [0+4 n00]", "rack r2 [0+4 n01,n02]"}},
  };
  for (const auto& row : kRows) {
    Places places(row.cluster);
    const Asked asked{row.mode, row.level, row.count, row.min, "rack", row.size};
    EXPECT_THAT(places.Visit(asked), ElementsAreArray(row.want)) << row.cluster << " " << row.count;
  }
}

TEST(TopologyPlacementGenerator, SlicesBelowWhichThereAreHosts) {
  Places places("b1:r1=3,2 r2=1,4", {"block", "rack", "kubernetes.io/hostname"});
  EXPECT_EQ(places.First({Mode::kRequired, "block", 8, 8, "rack", 4}), "block b1 [0+3 n00] [3+1 n01] [4+4 n03]");
  EXPECT_EQ(places.First({Mode::kRequired, "block", 6, 6, "kubernetes.io/hostname", 2}),
            "block b1 [0+2 n00] [2+2 n01] [4+2 n03]");
}

TEST(TopologyPlacementGenerator, SlicesOfWhichSomeArePlacedStayWhereTheyAre) {
  const struct {
    const char* cluster;
    size_t count, min;
    Texts placed;
    std::vector<uint32_t> ranks;
    const char* want;  // the first
  } kRows[] = {
      // Slices of three. Ranks 0, 1 and 5 are placed: members are the ranks 2, 3, 4, 6, 7, 8.
      {"b1:r1=9 r2=9", 6, 6, {"n00", "n00", "n01"}, {0, 1, 5}, "all [0+1 n00] [1+2 n01] [3+3 n01]"},
      {"b1:r1=1 r2=5", 6, 6, {"n00", "n00", "n01"}, {0, 1, 5}, "all [0+1 n00] [1+2 n01] [3+3 n01]"},
      {"b1:r1=0 r2=9", 6, 6, {"n00", "n00", "n01"}, {0, 1, 5}, "most 5 in "},
      {"b1:r1=0 r2=9", 6, 3, {"n00", "n00", "n01"}, {0, 1, 5}, "all [1+2 n01] [3+3 n01]"},
      {"b1:r1=9 r2=9",
       5,
       5,
       {"n00", "n01"},
       {0, 1},
       "impossible: slice 0 of its pods is in several domains of rack already: rack r1 and rack r2"},
      {"b1:r1=9; -=9", 5, 5, {"n01"}, {0}, "impossible: its pod on node n01 is outside every domain of rack"},
      // Without ranks the first members complete what is begun.
      {"b1:r1=9 r2=3", 5, 5, {"n00", "n01", "n01", "n01"}, {}, "all [0+2 n00] [2+3 n01]"},
      {"b1:r1=2 r2=3", 5, 5, {"n00", "n01", "n01", "n01"}, {}, "all [0+2 n00] [2+3 n01]"},
      {"b1:r1=2 r2=9", 1, 1, {"n00"}, {kUnranked}, "all [0+1 n00]"},
      // The short slice of rank 3 is beside what must go there.
      {"b1:r1=2 r2=0", 3, 3, {"n00"}, {0}, "most 2 in "},
      {"b1:r1=3 r2=0", 3, 3, {"n00"}, {0}, "all [0+2 n00] [2+1 n00]"},
      // Where some may be left out, these need not be those of slices that are begun.
      {"b1:r1=2", 3, 2, {"n00", "n00"}, {0, 1}, "all [0+1 n00]"},
      {"b1:r1=3", 4, 3, {"n00", "n00"}, {0, 1}, "all [0+1 n00]"},
      {"b1:r1=2 r2=9", 2, 2, {"n00", "n00"}, {0, 0}, "all [0+1 n00] [1+1 n00]"},  // two of one rank: as without
      // Rank 4 is placed, and the group has seven pods: the last slice is of rank 6 alone.
      {"b1:r1=4 r2=3", 6, 6, {"n01"}, {4}, "all [0+3 n00] [3+2 n01] [5+1 n00]"},
  };
  for (const auto& row : kRows) {
    Places places(row.cluster);
    const Asked asked{Mode::kNone, "", row.count, row.min, "rack", 3, row.placed, row.ranks};
    EXPECT_EQ(places.First(asked), row.want) << row.cluster;
  }
  Places places("b1:r1=2,2 r2=2", {"block", "rack", "kubernetes.io/hostname"});
  EXPECT_EQ(places.First({Mode::kNone, "", 2, 2, "rack", 3, {"n00"}, {0}}), "all [0+2 n00]");
}

TEST(TopologyPlacementGenerator, RanksThatAreMissingMoveNobodyToAnotherSlice) {
  const struct {
    const char* cluster;
    Texts placed;
    std::vector<uint32_t> placed_ranks, ranks;
    const char* want;  // the first
  } kRows[] = {
      {"b1:r1=3 r2=2", {}, {}, {0, 2, 3}, "all [0+1 n00] [1+2 n01]"},
      {"b1:r1=1 r2=1 r3=1", {}, {}, {0, 2, 4}, "all [0+1 n00] [1+1 n01] [2+1 n02]"},
      {"b1:r1=1 r2=1", {}, {}, {0, 1, 3}, "most 1 in "},
      {"b1:r1=3 r2=3", {"n00", "n01"}, {0, 3}, {2}, "all [0+1 n01]"},
      {"b1:r1=3 r2=0", {"n00", "n01"}, {0, 3}, {2}, "most 0 in "},
      {"b1:r1=3 r2=3", {"n00"}, {1}, {1, 3}, "all [0+1 n00] [1+1 n00]"},  // two of one rank
  };
  for (const auto& row : kRows) {
    Places places(row.cluster);
    const size_t count = row.ranks.size();
    const Asked asked{Mode::kNone, "", count, count, "rack", 2, row.placed, row.placed_ranks, {}, row.ranks};
    EXPECT_EQ(places.First(asked), row.want) << row.cluster;
  }
}

TEST(TopologyPlacementGenerator, GroupsOfSeveralShapes) {
  const struct {
    const char* cluster;
    std::vector<int64_t> gpus;
    size_t min;
    Texts want;
  } kRows[] = {
      {"b1:r1=4 r2=6 r3=8", {4, 1, 1}, 3, {"rack r2", "rack r3"}},
      {"b1:r1=3,3 r2=4,2", {4, 1, 1}, 3, {"rack r2"}},            // no node of r1 takes the first
      {"b1:r1=5,3 r2=4,2", {4, 4}, 2, {"most 1 in rack r1"}},     // one shape: by its slots
      {"b1:r1=5,4 r2=4,5", {5, 4, 4}, 3, {"most 2 in rack r1"}},  // 13 of 9
      {"b1:r1=5,4 r2=4", {5, 4, 4}, 2, {"rack r1"}},
      {"b1:r1=5,4 r2=4,4", {5, 4, 4}, 2, {"rack r1", "rack r2"}},
      {"b1:r1=8 r2=7,3,3", {4, 1}, 2, {"rack r2", "rack r1"}},  // the tightest for the first
  };
  for (const auto& row : kRows) {
    Places places(row.cluster);
    EXPECT_THAT(places.Domains({.count = row.gpus.size(), .min = row.min, .gpus = row.gpus}),
                ElementsAreArray(row.want))
        << row.cluster;
  }
  Places places("b1:r1=4,4 r2=4", {"block", "rack", "kubernetes.io/hostname"});
  EXPECT_EQ(places.First({.level = "block", .count = 5, .gpus = {4, 2, 2, 1, 1}}),
            "block b1 [0+1 n00] [1+2 n01] [3+2 n02]");
}

TEST(TopologyPlacementGenerator, WithoutALevelAllNodesAreOnePlace) {
  for (const Mode mode : {Mode::kNone, Mode::kUnconstrained}) {
    Places places("b1:r1=2 r2=1; -=1", {});
    EXPECT_THAT(places.Domains({.mode = mode, .level = "", .count = 4}), ElementsAre("all"));
    EXPECT_THAT(places.Domains({.mode = mode, .level = "", .count = 5}), ElementsAre("most 4 in "));
    EXPECT_THAT(places.Domains({.mode = mode, .level = "", .count = 5, .min = 4}), ElementsAre("all"));
  }
}

TEST(TopologyPlacementGenerator, WhichTreeIsMeant) {
  Places places("b1:r1=2 r2=1; -=1", {});
  const auto ask = [&](const char* level, const char* slices = "") {
    return places.First({Mode::kRequired, level, 1, 1, slices, 1});
  };
  EXPECT_EQ(ask("rack"), "rack r2 [0+1 n01]");  // of no Topology: a tree of its own
  EXPECT_EQ(ask("zone"), "impossible: no node has the label zone");
  EXPECT_EQ(ask("block", "rack"), "impossible: no Topology has both block and rack among its levels");
  EXPECT_EQ(ask("rack", "rack"), "rack r2 [0+1 n01]");
  places.AddTopology("k", {"block", "rack"}, Kind::kKueueTopology);
  EXPECT_EQ(ask("block", "rack"), "block b1 [0+1 n01]");
  EXPECT_EQ(ask("rack", "block"), "impossible: the slices' level block is above the level rack");
  EXPECT_EQ(places.First({Mode::kRequired, "rack", 1, 1, "rack", 0}), "impossible: slices of 0 pods");
  // muster.dev's before Kueue's; of two the first by name that has nodes.
  places.AddTopology("b", {"zone", "rack"});
  EXPECT_EQ(ask("rack"), "rack r2 [0+1 n01]");
  EXPECT_EQ(ask("zone"), "impossible: no node has all labels of Topology b: zone, rack");
  places.AddTopology("c", {"rack", "kubernetes.io/hostname"});
  EXPECT_EQ(ask("block"), "block b1 [0+1 n01]");
  EXPECT_EQ(ask("kubernetes.io/hostname"), "hostname n01 [0+1 n01]");  // the rack's host with the fewest
  places.snap.RemoveObject(Kind::kTopology, "", "c");
  EXPECT_EQ(ask("kubernetes.io/hostname"), "hostname n01 [0+1 n01]");
}

TEST(TopologyPlacementGenerator, PodsThatCannotShareANode) {
  Places places("b1:r1=4,4 r2=9 r3=3,3,3");
  places.of_pod = MakePod("p").Request(kGpu, 1).HostPort(80).Ptr();
  EXPECT_THAT(places.Domains({.count = 2}), ElementsAre("rack r1", "rack r3"));
  auto ns = std::make_shared<Namespace>();
  ns->name = "default";
  places.snap.SetObject(Kind::kNamespace, std::move(ns));
  places.of_pod = MakePod("p").Request(kGpu, 1).Label("a", "b").Apart("kubernetes.io/hostname", {In("a", {"b"})}).Ptr();
  EXPECT_THAT(places.Domains({.count = 2}), ElementsAre("rack r1", "rack r3"));
  places.of_pod = MakePod("p").Request(kGpu, 1).Label("a", "c").Apart("kubernetes.io/hostname", {In("a", {"b"})}).Ptr();
  EXPECT_THAT(places.Domains({.count = 2}), ElementsAre("rack r1", "rack r2", "rack r3"));
}

// What the profile does not look at is no bound.
TEST(TopologyPlacementGenerator, LimitsAreTheProfiles) {
  Places places("b1:r1=2 r2=1");
  Places::Shape& shape = places.ShapeOf(1);
  places.SetFeasible(shape);
  const PlacementShape shapes[] = {{shape.info.get(), &shape.feasible, &shape.memo}};
  const TopologyRequest topology{Mode::kRequired, "rack", "", 0};
  const std::vector<uint32_t> members(5, 0);
  std::vector<uint8_t> limits(places.snap.resources().size(), 1);
  limits[shape.info->requests[0].resource] = 0;
  int visited = 0;
  places.generator.GeneratePlacements({topology, shapes, members, 5, {}, {}, limits}, places.snap,
                                      [&](const PlacementCandidate&) { return ++visited == 9; });
  EXPECT_EQ(visited, 2);
}

TEST(TopologyPlacementGenerator, StopsWhereTheGroupWasPlaced) {
  Places places("b1:r1=2 r2=1 r3=3; b2:r4=1");
  for (const Mode mode : {Mode::kRequired, Mode::kPreferred}) {
    std::vector<std::string> visited;
    const PlacementAnswer answer = places.Generate({.mode = mode}, [&](const PlacementCandidate& candidate) {
      visited.push_back(std::string(candidate.domain));
      return visited.size() == 3;
    });
    EXPECT_THAT(visited, ElementsAre("rack r2", "rack r4", "rack r1"));
    EXPECT_TRUE(answer.complete);
  }
}

TEST(TopologyPlacementGenerator, FollowsTheCluster) {
  Places places("b1:r1=2 r2=3");
  const PodInfoPtr info = places.ShapeOf(2).info;
  const Pod pod;
  EXPECT_THAT(places.Domains({.count = 2}), ElementsAre("rack r1", "rack r2"));
  places.snap.AddPod({&pod, info.get()}, 1);
  EXPECT_THAT(places.Domains({.count = 2}), ElementsAre("rack r1"));
  places.closed[0] = true;
  EXPECT_THAT(places.Domains({.count = 2}), ElementsAre("most 1 in rack r2"));
  places.snap.RemovePod(pod, 1);
  EXPECT_THAT(places.Domains({.count = 2}), ElementsAre("rack r2"));
  places.closed.clear();
  // A node moves to another rack.
  places.snap.ReplaceNode(0, MakeNode("n00").Room(kGpu, 2).Label("block", "b1").Label("rack", "r9").Ptr());
  places.snap.Settle();
  EXPECT_THAT(places.Domains({.count = 2}), ElementsAre("rack r9", "rack r2"));
  // A node goes.
  places.snap.Rebuild({places.snap.node_ptr(1)});
  EXPECT_THAT(places.Domains({.count = 2}), ElementsAre("rack r2"));
}

}  // namespace
}  // namespace muster
