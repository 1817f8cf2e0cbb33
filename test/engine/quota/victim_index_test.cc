// The index of victims that is kept current says what one that is made anew does.
#include "scheduler/engine/quota/victim_index.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "scheduler/framework/statement.h"
#include "scheduler/runtime/random.h"
#include "test/engine/quota/make_queue.h"
#include "test/support/make.h"

namespace muster {
namespace {

constexpr size_t kNodes = 4, kGroups = 5;

struct World {
  World() {
    std::vector<NodePtr> nodes;
    for (size_t n = 0; n < kNodes; ++n) nodes.push_back(MakeNode(absl::StrCat("n", n)).Cpu(100'000).Ptr());
    snap.Rebuild(std::move(nodes));
    for (const char* name : {"a", "b"}) {
      Namespace ns;
      ns.name = name;
      ns.labels = {{"team", name}};
      snap.SetObject(Kind::kNamespace, std::make_shared<Namespace>(ns));
      snap.SetObject(Kind::kQueue, std::make_shared<Queue>(MakeQueue(name).Cpu(10'000).Build()));
    }
    ledger.Refresh();
  }
  PodPtr Make(Random& random, const std::string& name) const {
    MakePod pod(name, random.Below(2) == 0 ? "a" : "b");
    pod.Cpu(static_cast<int64_t>(1000 * (1 + random.Below(3)))).Priority(static_cast<int32_t>(random.Below(3)));
    if (const uint64_t g = random.Below(2 * kGroups); g < kGroups) {
      const GroupRef::Source source = g < 2 ? GroupRef::Source::kNative : GroupRef::Source::kLabels;
      pod.Group(absl::StrCat("g", g), source, 2);
    }
    auto made = std::make_shared<Pod>(pod.Build());
    if (random.Below(2) == 0) made->started = absl::UnixEpoch() + absl::Seconds(random.Below(5));
    made->deleting = random.Below(6) == 0;
    return made;
  }
  void SetGroup(Random& random) {
    PodGroup group;
    group.ns = random.Below(2) == 0 ? "a" : "b";
    group.name = absl::StrCat("g", random.Below(2));
    group.gang = true;
    group.min_count = static_cast<int32_t>(1 + random.Below(3));
    group.disrupted_whole = random.Below(2) == 0;
    if (random.Below(2) == 0) group.priority = static_cast<int32_t>(random.Below(9));
    snap.SetObject(Kind::kPodGroup, std::make_shared<PodGroup>(group));
  }

  Snapshot snap;
  Ledger ledger{snap, "", [](const std::string&) { return true; }};
};

std::string Text(const VictimIndex::Victim& victim) {
  std::string text = absl::StrCat(victim.first.pod.pod->name, " q", victim.unit.queue, " p", victim.unit.priority, " x",
                                  victim.unit.pods, victim.elastic ? " elastic" : "", victim.whole ? " whole" : "", " ",
                                  absl::FormatTime(victim.start), " ", absl::FormatTime(victim.unit.started));
  for (const Charge& charge : victim.unit.charges) absl::StrAppend(&text, " ", charge.cell, ":", charge.amount);
  return text;
}

std::string Text(const VictimIndex& index) {
  std::string text;
  for (NodeIndex n = 0; n < kNodes; ++n) {
    absl::StrAppend(&text, "row ", n, "\n");
    for (const VictimIndex::Victim& victim : index.On(n)) absl::StrAppend(&text, Text(victim), "\n");
  }
  std::vector<std::string> whole;
  index.ForEachWhole([&](const VictimIndex::Victim& victim, std::span<const PlacedPod> pods) {
    whole.push_back(Text(victim));
    for (const PlacedPod& p : pods) absl::StrAppend(&whole.back(), " ", p.pod.pod->name, "@", p.row);
  });
  std::sort(whole.begin(), whole.end());
  return absl::StrCat(text, absl::StrJoin(whole, "\n"), "\ngoing ", absl::StrJoin(index.going(), " "));
}

TEST(VictimIndexTest, WhatIsKeptCurrentIsAsMadeAnew) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    World w;
    VictimIndex kept(w.snap, w.ledger);
    std::map<std::string, std::pair<PodPtr, PodInfoPtr>> pods;
    std::map<std::string, NodeIndex> row_of;
    for (int step = 0; step < 200; ++step) {
      const std::string name = absl::StrCat("p", random.Below(24));
      const auto at = pods.find(name);
      if (random.Below(12) == 0) {
        w.SetGroup(random);
      } else if (at == pods.end()) {
        const PodPtr pod = w.Make(random, name);
        const PodInfoPtr info = w.snap.Resolve(pod->spec);
        const auto row = static_cast<NodeIndex>(random.Below(kNodes));
        w.snap.AddPod({pod.get(), info.get()}, row);
        pods[name] = {pod, info};
        row_of[name] = row;
      } else if (random.Below(2) == 0) {
        auto newer = std::make_shared<Pod>(*at->second.first);
        newer->started = absl::UnixEpoch() + absl::Seconds(random.Below(5));
        w.snap.RenewPod(*at->second.first, {newer.get(), at->second.second.get()}, row_of[name]);
        at->second.first = newer;
      } else {
        w.snap.RemovePod(*at->second.first, row_of[name]);
        pods.erase(at);
      }
      if (random.Below(3) > 0) continue;
      if (!pods.empty()) {  // a trial leaves no trace
        Statement statement(w.snap);
        const auto& [pod, info] = pods.begin()->second;
        statement.Remove({pod.get(), info.get()}, row_of[pods.begin()->first]);
      }
      kept.Update();
      VictimIndex anew(w.snap, w.ledger);
      anew.Update();
      ASSERT_EQ(Text(kept), Text(anew)) << "step " << step;
    }
  }
}

}  // namespace
}  // namespace muster
