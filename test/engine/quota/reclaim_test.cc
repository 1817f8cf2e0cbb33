// Queues that take room from each other, in simulation: who goes, for whom, and that it ends.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/engine/quota/make_queue.h"
#include "test/support/sim_cluster.h"

namespace muster {
namespace {

using ::testing::HasSubstr;
using Within = QueuePreemption::Within;
using Reclaim = QueuePreemption::Reclaim;
using Borrowing = QueuePreemption::Borrowing;

struct Pods {
  const char* ns;
  int count;
  int64_t cpu = 1000;
  int32_t priority = 0;
  int gang = 0;  // > 0: one gang
};

struct Teams : SimCluster {
  explicit Teams(const std::vector<MakeQueue>& queues, int nodes = 1, int64_t cpu = 100'000) {
    for (const char* name : {"a", "b", "c", "d"}) SetTeam(server, name, name);
    for (const MakeQueue& queue : queues) SetQueue(server, queue);
    for (int i = 0; i < nodes; ++i) Create(MakeNode(absl::StrCat("n", i)).Cpu(cpu));
    loop.RunFor(absl::Seconds(1));
  }
  void Add(const Pods& pods) {
    const std::string group = absl::StrCat(pods.ns, "-gang-", next_);
    for (int i = 0; i < pods.count; ++i) {
      MakePod pod(absl::StrCat(pods.ns, "-", next_++), pods.ns);
      pod.Cpu(pods.cpu).Priority(pods.priority);
      if (pods.gang > 0) pod.Group(group, GroupRef::Source::kLabels, pods.gang);
      Create(pod);
    }
    EXPECT_TRUE(Settle());
    loop.RunFor(absl::Seconds(1));
  }
  int Bound(const std::string& ns) const {
    int bound = 0;
    for (const PodPtr& pod : server.Pods()) bound += pod->ns() == ns && !pod->node.empty() && !pod->ended;
    return bound;
  }
  std::string BoundOf(std::initializer_list<const char*> namespaces) const {
    return absl::StrJoin(namespaces, " ", [&](std::string* out, const char* ns) { absl::StrAppend(out, Bound(ns)); });
  }
  std::string Told(const std::string& ns) const {
    for (const PodPtr& pod : server.Pods()) {
      if (pod->ns() == ns && pod->node.empty() && pod->scheduled.present)
        return absl::StrCat(pod->scheduled.reason, ": ", pod->scheduled.message);
    }
    return "";
  }
  int next_ = 0;
};

MakeQueue Q(const char* name, int64_t cpu, Within within = Within::kLowerPriority, Reclaim reclaim = Reclaim::kAny,
            Borrowing borrowing = Borrowing::kNever) {
  return MakeQueue(name, "r").Cpu(cpu).With([=](Queue& q) {
    q.preemption.within_queue = within;
    q.preemption.reclaim = reclaim;
    q.preemption.borrowing = borrowing;
  });
}

TEST(ReclaimTest, ScenesEndAsTheyShould) {
  struct Row {
    const char* name;
    std::vector<MakeQueue> queues;
    std::vector<Pods> pods;
    const char* bound;  // of a, b, c
  } const rows[] = {
      {"an owner gets its own back", {MakeQueue("r"), Q("a", 4000), Q("b", 4000)}, {{"a", 8}, {"b", 3}}, "5 3 0"},
      {"and no more", {MakeQueue("r"), Q("a", 4000), Q("b", 4000)}, {{"a", 8}, {"b", 6}}, "4 4 0"},
      {"priority does not matter",
       {MakeQueue("r"), Q("a", 4000), Q("b", 4000)},
       {{"a", 8, 1000, 9}, {"b", 4}},
       "4 4 0"},
      {"but where it is said so",
       {MakeQueue("r"), Q("a", 4000), Q("b", 4000, Within::kNever, Reclaim::kLowerPriority)},
       {{"a", 8, 1000, 9}, {"b", 4}},
       "8 0 0"},
      {"never",
       {MakeQueue("r"), Q("a", 4000), Q("b", 4000, Within::kNever, Reclaim::kNever)},
       {{"a", 8}, {"b", 4}},
       "8 0 0"},
      {"a gang whole", {MakeQueue("r"), Q("a", 4000), Q("b", 4000)}, {{"a", 8}, {"b", 4, 1000, 0, 4}}, "4 4 0"},
      {"a gang that is too large",
       {MakeQueue("r"), Q("a", 4000), Q("b", 4000)},
       {{"a", 8}, {"b", 5, 1000, 0, 5}},
       "8 0 0"},
      {"higher priority in the queue",
       {MakeQueue("r"), Q("a", 4000), Q("b", 0)},
       {{"a", 4}, {"a", 2, 1000, 5}},
       "4 0 0"},
      {"of those that borrow the one most over its share",
       {MakeQueue("r"), Q("a", 2000), Q("b", 2000), Q("c", 4000)},
       {{"a", 3}, {"b", 5}, {"c", 2}},
       "3 3 2"},
      {"who borrows takes nothing", {MakeQueue("r"), Q("a", 4000), Q("b", 0)}, {{"a", 4}, {"b", 4, 1000, 9}}, "4 0 0"},
      {"but where it is said so, by priority, while its share is less",
       {MakeQueue("r"), Q("a", 0), Q("b", 0, Within::kNever, Reclaim::kAny, Borrowing::kLowerPriority), Q("c", 6000)},
       {{"a", 6}, {"b", 6, 1000, 9}},
       "3 3 0"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    Teams c(row.queues);
    for (const Pods& pods : row.pods) c.Add(pods);
    c.loop.RunFor(absl::Minutes(10));
    EXPECT_EQ(c.BoundOf({"a", "b", "c"}), row.bound) << c.Told("a") << "\n" << c.Told("b") << "\n" << c.Told("c");
  }
}

// Quota is there, nodes are full.
TEST(ReclaimTest, WhereNodesLackRoomWhoGoesIsWhereThePodsAreToGo) {
  Teams c({MakeQueue("r"), Q("a", 8000), Q("b", 8000)}, /*nodes=*/4, /*cpu=*/4000);
  c.Add({"a", 14});
  c.Add({"b", 2, 1000, 0});
  EXPECT_EQ(c.BoundOf({"a", "b"}), "14 2");
  c.Add({"b", 1, 4000});
  EXPECT_EQ(c.BoundOf({"a", "b"}), "10 3") << c.Told("b");
}

// --- What once did not end ---------------------------------------------------------------------------

struct Evictions final : SimApiServer::Observer {
  void OnNode(const NodePtr&, const NodePtr&) override {}
  void OnPod(const PodPtr& before, const PodPtr& after) override {
    count += before != nullptr && after != nullptr && !before->preempted && after->preempted;
  }
  int count = 0;
};

// There is quota for all, and the node is full. Who is evicted is created again, with a higher priority than the pod
// that the room was made for, and that pod backs off after vain tries.
TEST(ReclaimTest, WhoIsEvictedDoesNotTakeTheRoomBack) {
  Teams c({MakeQueue("r").Cpu(100'000), Q("a", 4000, Within::kNever, Reclaim::kNever), Q("b", 0)}, 1, 4000);
  Evictions evictions;
  c.server.AddObserver(&evictions);
  for (int i = 0; i < 4; ++i) c.kubelet.Replaces("b", absl::StrCat("b-", i));
  c.Add({"b", 4, 1000, /*priority=*/5});
  c.Add({"a", 1});
  for (int i = 0; i < 6; ++i) {
    c.Create(MakeNode(absl::StrCat("small-", i)).Cpu(500));
    c.loop.RunFor(absl::Seconds(11));
  }
  SetQueue(c.server, Q("a", 4000));
  c.loop.RunFor(absl::Minutes(5));
  EXPECT_EQ(c.BoundOf({"a", "b"}), "1 3");
  EXPECT_EQ(evictions.count, 1);
  c.server.RemoveObserver(&evictions);
}

// A gang of which one runs, whose oldest pods wait: room that they make they get, not one that was created since.
TEST(ReclaimTest, OfAGangTheOldestGoFirst) {
  Teams c({MakeQueue("a").Cpu(1000).With(
      [](Queue& q) { q.preemption.within_queue = Within::kLowerOrNewerEqualPriority; })});
  Evictions evictions;
  c.server.AddObserver(&evictions);
  const auto add = [&](const char* name, bool in_gang) {
    MakePod pod(name, "a");
    pod.Cpu(1000);
    if (in_gang) pod.Group("g", GroupRef::Source::kLabels, 1);
    c.kubelet.Replaces("a", name);
    c.Create(pod);
    c.loop.RunFor(absl::Seconds(5));
  };
  add("first", false);
  add("z", true);
  add("lone", false);
  add("m", true);
  ASSERT_TRUE(c.server.DeletePodNow("a", "first", "").ok());
  ASSERT_TRUE(c.Settle());
  EXPECT_EQ(c.server.FindPod("a", "z")->node, "n0");
  EXPECT_LE(evictions.count, 1);
  c.server.RemoveObserver(&evictions);
}

}  // namespace
}  // namespace muster
