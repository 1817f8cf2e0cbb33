// A group that prefers a level never spans more of its domains than pods placed one by one do, each on its best node,
// on random clusters. The seed of a failure is printed; MUSTER_CASES says how many cases to run.
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "plugins/all.h"
#include "scheduler/engine/cycle/group_cycle.h"
#include "scheduler/framework/config/config.h"
#include "scheduler/model/pod_group.h"
#include "scheduler/runtime/random.h"
#include "test/support/make.h"
#include "test/support/make_snapshot.h"

namespace muster {
namespace {

constexpr const char* kLevels[] = {"block", "rack", "kubernetes.io/hostname"};

struct Tally {
  int placed = 0, compared = 0, spread = 0, better = 0, mixed = 0, joined = 0, elastic = 0, neither = 0;
};

class PreferredCase {
 public:
  explicit PreferredCase(uint64_t seed) : seed_(seed), random_(seed) {
    std::vector<NodePtr> nodes;
    const uint64_t blocks = 1 + Pick(3), racks = 1 + Pick(4), count = 2 + Pick(18);
    for (uint64_t i = 0; i < count; ++i) {
      nodes.push_back(MakeNode(absl::StrCat("n", i / 10, i % 10))
                          .Cpu(static_cast<int64_t>(1 + Pick(6)) * 1000)
                          .Label("block", absl::StrCat("b", Pick(blocks)))
                          .Label("rack", absl::StrCat("r", Pick(racks)))
                          .Ptr());
    }
    snap_.Rebuild(std::move(nodes));
    const auto topology = std::make_shared<Topology>();
    topology->name = "t";
    topology->levels = {kLevels[0], kLevels[1], kLevels[2]};
    snap_.SetObject(Kind::kTopology, topology);
    for (uint64_t i = Pick(count); i > 0; --i) AddOld(MakePod(absl::StrCat("old", i)), RandomNode());

    const bool mixed = OneIn(2);
    level_ = Pick(3);
    request_.topology.mode = TopologyRequest::Mode::kPreferred;
    request_.topology.level = kLevels[level_];
    if (OneIn(5)) {
      for (uint64_t i = 1 + Pick(3); i > 0; --i) AddOld(MakePod(absl::StrCat("in", i)).Group("g"), RandomNode());
    }
    const uint64_t size = 1 + Pick(10);
    const int64_t cpu[] = {static_cast<int64_t>(1 + Pick(3)) * 500, static_cast<int64_t>(1 + Pick(3)) * 500};
    for (uint64_t i = 0; i < size; ++i) {
      const PodPtr pod = MakePod(absl::StrCat("m", i))
                             .Uid(absl::StrCat("m", i))
                             .Group("g")
                             .Rank(static_cast<int32_t>(100 + i))
                             .Cpu(cpu[mixed && OneIn(2)])
                             .Ptr();
      members_.push_back({pod, snap_.Resolve(pod->spec)});
    }
    request_.members = members_;
    request_.group = members_[0].pod->group;
    request_.min = OneIn(3) ? 1 + Pick(size) : size;
  }

  void Check(const Framework& framework, WorkerPool& pool, Tally& tally) {
    const std::vector<Placement> greedy = OneByOne(framework, pool);
    GroupCycle cycle(snap_, pool, seed_);
    const size_t most = Count(greedy), min = request_.min;
    const std::vector<Placement> placed = AsAGroup(cycle, framework);
    if (placed.empty()) {
      EXPECT_LT(most, min);
      ++tally.neither;
      return;
    }
    const bool mixed = std::any_of(members_.begin(), members_.end(),
                                   [&](const Member& m) { return !(*m.pod->spec == *members_[0].pod->spec); });
    ++tally.placed;
    tally.elastic += min < members_.size();
    tally.joined += !own_.empty();
    tally.mixed += mixed;
    const size_t spans = Spans(placed), others = Spans(greedy);
    tally.spread += spans > 1;
    if (!mixed) {
      EXPECT_EQ(Count(placed), most);
    }
    // What is left of several shapes may fill the places worse.
    if (Count(placed) != most || (mixed && tries_ > 1)) return;
    ++tally.compared;
    tally.better += spans < others;
    EXPECT_LE(spans, others) << Describe(placed) << "one by one:\n" << Describe(greedy);
  }

 private:
  uint64_t Pick(uint64_t bound) { return random_.Below(bound); }
  bool OneIn(uint64_t n) { return Pick(n) == 0; }
  NodeIndex RandomNode() { return static_cast<NodeIndex>(Pick(snap_.size())); }
  void AddOld(MakePod make, NodeIndex n) {
    const PodPtr pod = make.Uid(make.Build().name).Cpu(static_cast<int64_t>(1 + Pick(4)) * 500).Ptr();
    const PodInfoPtr info = snap_.Resolve(pod->spec);
    if (snap_.Free(kCpu)[n] < pod->spec->amounts.requests[0].value) return;
    if (pod->group.present()) own_.push_back(n);
    kept_.push_back({pod, info});
    snap_.AddPod({pod.get(), info.get()}, n);
  }
  // As though they were no group, and the cluster as it was afterwards.
  std::vector<Placement> OneByOne(const Framework& framework, WorkerPool& pool) {
    GroupCycle cycle(snap_, pool, seed_);
    std::vector<Placement> placements;
    for (const Member& member : members_) {
      const GroupDecision& decision = cycle.Decide(framework, std::span(&member, 1));
      placements.push_back(decision.placed ? decision.placements[0] : Placement{});
    }
    for (size_t i = 0; i < members_.size(); ++i) {
      if (placements[i].node != kNoNode) snap_.RemovePod(*members_[i].pod, placements[i].node);
    }
    return placements;
  }
  // Empty where it is not placed. Elastic members without room are tried again, as the queue does.
  std::vector<Placement> AsAGroup(GroupCycle& cycle, const Framework& framework) {
    std::vector<Placement> placements(members_.size());
    std::vector<size_t> which(members_.size());
    std::iota(which.begin(), which.end(), size_t{0});
    std::vector<Member> rest = members_;
    for (bool first = true; !rest.empty(); first = false, ++tries_) {
      request_.members = rest;
      const GroupDecision& decision = cycle.Decide(framework, request_);
      if (!decision.placed) return first ? std::vector<Placement>() : placements;
      std::vector<size_t> left;
      for (size_t i = 0; i < which.size(); ++i) {
        placements[which[i]] = decision.placements[i];
        if (decision.placements[i].node == kNoNode) left.push_back(which[i]);
      }
      which = left;
      rest.clear();
      for (const size_t i : which) rest.push_back(members_[i]);
      request_.min = 0;
    }
    return placements;
  }
  static size_t Count(const std::vector<Placement>& placements) {
    return static_cast<size_t>(
        std::count_if(placements.begin(), placements.end(), [](const Placement& p) { return p.node != kNoNode; }));
  }
  // Domains of the asked level, with those of the group's other pods.
  size_t Spans(const std::vector<Placement>& placements) const {
    std::set<std::string> domains;
    for (const NodeIndex n : own_) domains.insert(DomainOf(n));
    for (const Placement& p : placements) {
      if (p.node != kNoNode) domains.insert(DomainOf(p.node));
    }
    return domains.size();
  }
  std::string DomainOf(NodeIndex n) const {
    std::string domain;
    for (size_t i = 0; i <= level_; ++i) absl::StrAppend(&domain, "/", snap_.node(n).labels.at(kLevels[i]));
    return domain;
  }
  std::string Describe(const std::vector<Placement>& placements) const {
    std::string text = absl::StrCat("level ", kLevels[level_], " min ", request_.min, "\n");
    for (NodeIndex n = 0; n < snap_.size(); ++n) {
      absl::StrAppend(&text, DomainOf(n), " ", AsAbsl(snap_.NodeName(n)), " free ", snap_.Free(kCpu)[n],
                      std::count(own_.begin(), own_.end(), n) > 0 ? " has some" : "", ":");
      for (size_t i = 0; i < members_.size(); ++i) {
        if (placements[i].node == n) absl::StrAppend(&text, " ", members_[i].pod->spec->amounts.requests[0].value);
      }
      absl::StrAppend(&text, "\n");
    }
    return text;
  }

  const uint64_t seed_;
  Random random_;
  Snapshot snap_;
  std::vector<Member> kept_, members_;
  std::vector<NodeIndex> own_;  // nodes of the group's pods that are placed already
  size_t level_ = 0;
  int tries_ = 0;  // decisions that placed some
  GroupRequest request_;
};

TEST(PreferredPropertyTest, NeverSpansMoreDomainsThanPodsPlacedOneByOne) {
  const Registry registry = AllPlugins();
  ProfileConfig profile = DefaultConfiguration(registry).profiles[0];
  const auto spreading = *Framework::Create(profile, registry);
  NodeResourcesFitArgs packed;
  packed.scoring_strategy.type = ScoringStrategy::Type::kMostAllocated;
  profile.args["NodeResourcesFit"] = packed;
  const auto packing = *Framework::Create(profile, registry);
  WorkerPool pool{1};
  const char* asked = std::getenv("MUSTER_CASES");
  const uint64_t cases = asked != nullptr ? std::strtoull(asked, nullptr, 10) : 10'000;
  const char* from = std::getenv("MUSTER_SEED");
  const uint64_t first = from != nullptr ? std::strtoull(from, nullptr, 10) : 1;
  Tally tally;
  for (uint64_t seed = first; seed < first + cases; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    PreferredCase(seed).Check(seed % 2 == 0 ? *spreading : *packing, pool, tally);
    if (HasFailure()) break;
  }
  std::cout << cases << " cases: placed " << tally.placed << ", compared " << tally.compared << ", in several domains "
            << tally.spread << ", in fewer than one by one " << tally.better << ", of several shapes " << tally.mixed
            << ", beside placed pods " << tally.joined << ", elastic " << tally.elastic << ", without room "
            << tally.neither << "\n";
  if (cases < 1000) return;
  EXPECT_GT(tally.compared * 10, tally.placed * 9);
  for (const int count : {tally.placed, tally.spread, tally.better, tally.mixed, tally.joined, tally.elastic})
    EXPECT_GT(count, 20);
}

}  // namespace
}  // namespace muster
