// A random cluster in which groups of all kinds come and go, nodes are lost and return, requests fail and the
// scheduler dies; what must hold at every write, and in the end.
#ifndef MUSTER_TEST_ENGINE_GANG_WORLD_H_
#define MUSTER_TEST_ENGINE_GANG_WORLD_H_

#include <algorithm>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "scheduler/model/pod_group.h"
#include "scheduler/runtime/random.h"
#include "scheduler/sim/controllers/volume_controller.h"
#include "test/engine/gang_places.h"
#include "test/plugins/volume/make_volumes.h"
#include "test/support/sim_cluster.h"

namespace muster {

class GangWorld {
 public:
  // How often each thing came about.
  using Tally = std::map<std::string, int>;

  GangWorld(uint64_t seed, FaultRates faults, Tally& tally)
      : random_(seed), c_({seed, 1, faults, OneIn(4) ? 2 : 0}), volumes_(c_.loop, c_.server), tally_(tally) {
    c_.server.AddObserver(&places_);
    c_.server.SetObject(Kind::kStorageClass, MakeClass("fast"));
    places_.levels = {kBlock, kRack};
    if (OneIn(2)) places_.levels.emplace_back(kHost);
    topology_is_late_ = OneIn(6);
    if (!topology_is_late_) AddTopology();
    const uint64_t nodes = 3 + Pick(6);
    for (uint64_t i = 0; i < nodes; ++i) AddNode();
  }
  ~GangWorld() { c_.server.RemoveObserver(&places_); }

  void Run() {
    const uint64_t steps = 12 + Pick(20);
    for (uint64_t i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      if (topology_is_late_ && i == steps / 2) AddTopology();
      Step();
      // At once, while requests are on their way, or after them.
      const int64_t micros[] = {0, 4'000, 40'000, 3'000'000};
      if (const int64_t most = micros[Pick(4)]; most != 0)
        c_.loop.RunFor(absl::Microseconds(static_cast<int64_t>(Pick(static_cast<uint64_t>(most)))));
    }
    c_.faulty.set_rates({});
    // A lost write is made up for when the group is next tried: after 5 minutes at the latest. Slots that are
    // kept are free after 5 minutes.
    c_.loop.RunFor(absl::Minutes(12));
    EXPECT_TRUE(c_.Settle()) << "it never settles";
    CheckEnd();
    Drain();
    if (testing::Test::HasFailure()) Dump();
  }

 private:
  using Source = GroupRef::Source;
  using Mode = TopologyRequest::Mode;
  using Group = GangPlaces::Group;
  static constexpr char kBlock[] = "example.com/block", kRack[] = "example.com/rack",
                        kHost[] = "kubernetes.io/hostname";

  uint64_t Pick(uint64_t bound) { return random_.Below(bound); }
  bool OneIn(uint64_t n) { return Pick(n) == 0; }

  void Step() {
    const uint64_t dice = Pick(100);
    if (dice < 38) return AddGroup();
    if (dice < 46) return AddLone();
    if (dice < 58) return DeletePod();
    if (dice < 62) return AddNode();
    if (dice < 67) return LoseNode();
    if (dice < 71) return ReturnNode();
    if (dice < 75) return ChangeMinimum();
    if (dice < 83) return Die();
    if (dice < 86)
      return c_.server.CutWatches(OneIn(2) ? Kind::kPod : Kind::kPodGroup, {ApiCode::kUnreachable, "", {}});
    if (dice < 89) return DeleteGroup();
    c_.loop.RunFor(absl::Seconds(static_cast<int64_t>(Pick(40))));
  }

  // --- Nodes -----------------------------------------------------------------------------------

  void AddTopology() {
    Topology topology;
    topology.name = "t", topology.levels = places_.levels;
    c_.server.SetObject(Kind::kTopology, topology);
  }
  static MakeNode InRack(MakeNode node, char rack) {
    return node.Label(kRack, std::string(1, rack)).Label(kBlock, rack == 'c' ? "y" : "x");
  }
  void AddNode() {
    MakeNode node("n" + std::to_string(++nodes_));
    node.Cpu(static_cast<int64_t>(1 + Pick(4)) * 1000);
    // Pods on a node outside of what appears later would have their slices nowhere.
    c_.Create(!topology_is_late_ && OneIn(10) ? node : InRack(node, static_cast<char>('a' + Pick(3))));
  }
  void LoseNode() {
    if (c_.server.nodes().empty()) return;
    auto it = c_.server.nodes().begin();
    std::advance(it, static_cast<int64_t>(Pick(c_.server.nodes().size())));
    lost_.push_back(*it->second);
    ASSERT_TRUE(c_.server.DeleteNode(lost_.back().name).ok());
    // Pods that are on their way there are lost with it, and the others may find no room.
    c_.auditor.ExcuseAllInPart();
  }
  void ReturnNode() {
    if (lost_.empty()) return;
    ++tally_["nodes that returned"];
    // Where its pods were thought to be gone, others may have been placed elsewhere.
    places_.ExcuseAllOn(lost_.back().name);
    ASSERT_TRUE(c_.server.CreateNode(lost_.back()).ok());
    lost_.pop_back();
  }

  // --- Groups and pods ---------------------------------------------------------------------------

  void AddGroup() {
    Group group;
    group.name = "g" + std::to_string(places_.groups.size());
    const Source sources[] = {Source::kNative, Source::kCoscheduling, Source::kLabels};
    group.source = sources[Pick(3)];
    group.pods = static_cast<int>(1 + Pick(6));
    group.min = OneIn(2) ? group.pods : static_cast<int>(1 + Pick(static_cast<uint64_t>(group.pods)));
    group.priority = static_cast<int32_t>(Pick(3));
    group.cpu = static_cast<int64_t>(1 + Pick(3)) * 500;
    group.ranked = OneIn(2);
    group.volumes = OneIn(8);
    group.annotated = group.source == Source::kLabels || OneIn(2);
    if (!OneIn(3)) group.topology = RandomTopology();
    Count(group);
    places_.groups.push_back(group);
    WriteGroup(group);
    for (int i = 0; i < group.pods; ++i) AddPod(group, i);
  }
  TopologyRequest RandomTopology() {
    TopologyRequest topology;
    const Mode modes[] = {Mode::kNone, Mode::kUnconstrained, Mode::kPreferred, Mode::kRequired, Mode::kRequired};
    topology.mode = modes[Pick(5)];
    size_t outer = 0;
    if (topology.mode >= Mode::kPreferred) {
      outer = Pick(places_.levels.size());
      topology.level = places_.levels[outer];
    }
    if (topology.mode < Mode::kPreferred || OneIn(2)) {
      topology.slice_level = places_.levels[outer + Pick(places_.levels.size() - outer)];
      topology.slice_size = static_cast<int32_t>(1 + Pick(3));
    }
    return topology;
  }
  void Count(const Group& group) {
    const TopologyRequest& asked = group.topology;
    ++tally_["groups"];
    if (!asked.present()) return;
    const char* const modes[] = {"no outer level", "unconstrained", "preferred", "required"};
    ++tally_[modes[static_cast<int>(asked.mode)]];
    if (asked.slice_level.empty()) return;
    ++tally_[group.ranked ? "ranked in slices" : "unranked in slices"];
    if (group.min < group.pods) ++tally_["elastic in slices"];
    if (asked.mode == Mode::kRequired) ++tally_["slices in a required domain"];
  }
  void WriteGroup(const Group& group) {
    if (group.source == Source::kLabels) return;
    c_.CreateGroup(group.name, group.min, [&](PodGroup& object) {
      if (group.source == Source::kCoscheduling) object.api_version = "scheduling.x-k8s.io/v1alpha1";
      object.priority = group.priority;
      if (!group.annotated) object.topology = group.topology;
    });
  }
  void AddPod(const Group& group, int number) {
    const std::string name = group.name + "-" + std::to_string(number);
    MakePod pod(name);
    pod.Group(group.name, group.source, group.source == Source::kLabels ? group.min : 0);
    pod.Cpu(group.cpu).Priority(group.priority);
    if (group.ranked) pod.Rank(number);
    if (group.volumes) {
      ++tally_["claims"];
      c_.server.SetObject(Kind::kPersistentVolumeClaim, MakePVC(name).Build());
      pod.Volume(ClaimVolume(name));
    }
    Pod made = pod.Build();
    if (group.annotated) made.topology = group.topology;
    if (OneIn(2)) c_.kubelet.Replaces("default", name);
    EXPECT_TRUE(c_.server.CreatePod(made).ok());
  }
  void AddLone() {
    c_.Create(MakePod("lone" + std::to_string(++lone_))
                  .Cpu(static_cast<int64_t>(1 + Pick(3)) * 500)
                  .Priority(static_cast<int32_t>(Pick(3))));
  }
  void DeletePod() {
    const auto pods = c_.server.Pods();
    if (pods.empty()) return;
    const PodPtr pod = pods[Pick(pods.size())];
    c_.server.DeletePodNow(pod->ns(), pod->name, pod->uid);
  }
  void ChangeMinimum() {
    if (places_.groups.empty()) return;
    Group& group = places_.groups[Pick(places_.groups.size())];
    if (group.source == Source::kLabels) return;
    group.min = static_cast<int>(1 + Pick(static_cast<uint64_t>(group.pods)));
    const Kind kind = group.source == Source::kNative ? Kind::kPodGroup : Kind::kCoschedulingPodGroup;
    const auto* old = c_.FindGroup(group.name, kind);
    if (old == nullptr) return;
    // More may be asked for than is there, or on its way.
    if (group.min > old->min_count) c_.auditor.Excuse(GroupId{"default", group.source, group.name}.Key());
    PodGroup changed = *old;
    changed.min_count = group.min;
    c_.server.SetObject(kind, changed);
  }
  void DeleteGroup() {
    if (places_.groups.empty()) return;
    const std::string name = places_.groups[Pick(places_.groups.size())].name;
    for (const PodPtr& pod : c_.server.Pods()) {
      if (pod->group.name == name) c_.server.DeletePodNow(pod->ns(), pod->name, pod->uid);
    }
  }
  // Now, or at one of its next writes.
  void Die() {
    ++tally_["deaths"];
    if (OneIn(2)) {
      c_.ports.back()->CrashAfter(static_cast<int>(Pick(8)));
      c_.loop.RunFor(absl::Milliseconds(static_cast<int64_t>(Pick(3000))));
    }
    c_.RestartScheduler();
  }

  // --- The end -----------------------------------------------------------------------------------

  int64_t Free(const Node& node) const {
    for (const Amount& amount : node.allocatable) {
      if (amount.resource == "cpu") return amount.value - c_.auditor.Used(node.name, "cpu");
    }
    return 0;
  }
  // How many more of the group's pods there is room for: at least so many.
  int Fit(const Group& group) const {
    std::map<std::string, int> slots;
    for (const auto& [name, node] : c_.server.nodes())
      slots[name] = static_cast<int>(std::max<int64_t>(Free(*node), 0) / group.cpu);
    return places_.Fit(group, slots);
  }

  void CheckEnd() {
    std::map<std::string, int> bound;
    std::map<std::string, std::vector<PodPtr>> pending;
    for (const PodPtr& pod : c_.server.Pods()) {
      if (pod->ended) continue;
      if (!pod->node.empty()) {
        ++bound[pod->group.name];
      } else {
        pending[pod->group.name].push_back(pod);
      }
    }
    for (const Group& group : places_.groups) {
      SCOPED_TRACE(group.name);
      places_.CheckUnsplit(group);
      const auto& waiting = pending[group.name];
      for (const PodPtr& pod : waiting) EXPECT_EQ(pod->scheduled.status, "False") << pod->Key() << " was told nothing";
      const int needed = std::max(group.min - bound[group.name], 0);
      if (bound[group.name] > 0) ++tally_["run"];
      if (waiting.empty()) continue;
      ++tally_["wait, wholly or in part"];
      if (static_cast<int>(waiting.size()) < needed || group.excused) continue;
      EXPECT_LT(Fit(group), std::max(needed, 1)) << "it waits though it fits";
    }
    for (const PodPtr& pod : pending[""]) {
      for (const auto& [name, node] : c_.server.nodes())
        EXPECT_LT(Free(*node), pod->spec->amounts.requests[0].value) << pod->Key() << " waits though it fits " << name;
    }
    EXPECT_EQ(c_.scheduler->cache().assumed_count(), 0u);
  }

  // All that waits fits in the end, given room; but on hosts that are asked for.
  void Drain() {
    for (const char rack : {'a', 'b', 'c'})
      c_.Create(InRack(MakeNode(std::string("big-") + rack).Cpu(1'000'000), rack));
    c_.loop.RunFor(absl::Minutes(6));
    ASSERT_TRUE(c_.Settle());
    std::map<std::string, int> alive, bound;
    for (const PodPtr& pod : c_.server.Pods()) {
      alive[pod->group.name] += !pod->ended;
      bound[pod->group.name] += !pod->ended && !pod->node.empty();
    }
    for (const PodPtr& pod : c_.server.Pods()) {
      if (!pod->node.empty() || pod->ended) continue;
      const Group* group = places_.Find(pod->group.name);
      if (group == nullptr) {
        ADD_FAILURE() << pod->Key() << " is left behind";
      } else if (group->excused || alive[group->name] < group->min) {
        ++tally_["left with reason"];
      } else if (group->topology.slice_level == kHost || group->topology.level == kHost) {
        EXPECT_LT(Fit(*group), std::max(group->min - bound[group->name], 1)) << pod->Key();
      } else {
        ADD_FAILURE() << pod->Key() << " is left behind: " << pod->scheduled.message;
      }
    }
    for (const Group& group : places_.groups) places_.CheckUnsplit(group);
    tally_["joined others in their place"] += places_.joined;
    tally_["excused"] += static_cast<int>(
        std::count_if(places_.groups.begin(), places_.groups.end(), [](auto& g) { return g.excused; }));
  }

  void Dump() const {
    for (const auto& [name, node] : c_.server.nodes()) {
      const auto rack = node->labels.find(kRack);
      std::cerr << "node " << name << " rack " << (rack == node->labels.end() ? "-" : rack->second) << " free "
                << Free(*node) << "\n";
    }
    for (const Group& g : places_.groups) {
      const TopologyRequest& t = g.topology;
      std::cerr << "group " << g.name << " min " << g.min << " of " << g.pods << " priority " << g.priority << " cpu "
                << g.cpu << " mode " << static_cast<int>(t.mode) << " " << t.level << " slices of " << t.slice_size
                << " " << t.slice_level << (g.excused ? " excused" : "") << (g.volumes ? " volumes" : "") << "\n";
    }
    for (const PodPtr& pod : c_.server.Pods())
      std::cerr << pod->name << "@" << pod->node << " rank " << pod->rank << " nominated " << pod->nominated_node
                << " preempted " << pod->preempted << " deleting " << pod->deleting << " " << pod->scheduled.message
                << "\n";
    for (const QueuedGroup* group : c_.scheduler->queue().Groups())
      std::cerr << group->key << " part " << static_cast<int>(group->part) << " pods " << group->members.size() << "\n";
  }

  Random random_;
  SimCluster c_;
  VolumeController volumes_;
  GangPlaces places_{c_.server};
  Tally& tally_;
  std::vector<Node> lost_;
  bool topology_is_late_ = false;
  int nodes_ = 0, lone_ = 0;
};

}  // namespace muster

#endif  // MUSTER_TEST_ENGINE_GANG_WORLD_H_
