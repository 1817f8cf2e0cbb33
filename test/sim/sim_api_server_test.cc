#include "scheduler/sim/sim_api_server.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/model/pod_group.h"
#include "scheduler/model/volume_objects.h"
#include "scheduler/sim/sim_event_loop.h"
#include "test/support/make.h"

namespace muster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// What a watch said, a word an event: "+a" added, "~a" modified, "-a" deleted, "sync", "mark",
// "end:CODE".
struct Watched {
  std::vector<std::string> said;
  uint64_t version = 0;
  std::unique_ptr<WatchStream> stream;

  void Open(ApiServer& server, Kind kind, uint64_t from) {
    stream = server.Watch(kind, from,
                          {[this](std::vector<WatchEvent> events) {
                             for (const WatchEvent& event : events) Say(event);
                           },
                           [this](ApiStatus why) {
                             said.push_back("end:" + std::to_string(static_cast<int>(why.code)));
                             stream.reset();
                           }});
  }
  void Say(const WatchEvent& event) {
    EXPECT_GE(event.resource_version, event.type == WatchEvent::Type::kAdded ? 0 : version);
    version = std::max(version, event.resource_version);
    if (event.type == WatchEvent::Type::kSynced) return said.push_back("sync");
    if (event.type == WatchEvent::Type::kBookmark) return said.push_back("mark");
    const auto* pod = std::get_if<PodPtr>(&event.object);
    const auto* node = std::get_if<NodePtr>(&event.object);
    said.push_back(std::string(1, "+~-"[static_cast<int>(event.type)]) +
                   (pod != nullptr    ? (*pod)->name
                    : node != nullptr ? (*node)->name
                                      : std::get<ObjectPtr>(event.object)->name));
  }
  std::vector<std::string> Take() { return std::exchange(said, {}); }
};

class SimApiServerTest : public ::testing::Test {
 protected:
  ApiStatus Bind(const std::string& name, const std::string& node, const std::string& uid = "") {
    ApiStatus result{ApiCode::kUnreachable, "no answer", {}};
    server_.Bind({"default", name, uid, node}, [&](ApiStatus status) { result = std::move(status); });
    loop_.RunFor(absl::Seconds(1));
    return result;
  }
  void Create(const MakePod& pod) { ASSERT_TRUE(server_.CreatePod(pod.Build()).ok()); }
  std::string Uid(const std::string& name) { return server_.FindPod("default", name)->uid; }

  SimEventLoop loop_;
  SimApiServer server_{loop_};
};

TEST_F(SimApiServerTest, BindSetsNodeAndConditionAndClearsTheNomination) {
  Create(MakePod("a"));
  ASSERT_TRUE(server_
                  .PatchPodStatusNow({.ns = "default",
                                      .name = "a",
                                      .uid = "",
                                      .condition = {true, "False", "Unschedulable", "no"},
                                      .observed_generation = 0,
                                      .set_nominated_node = true,
                                      .nominated_node = "n9"})
                  .ok());
  EXPECT_EQ(server_.FindPod("default", "a")->nominated_node, "n9");
  EXPECT_TRUE(Bind("a", "n1", Uid("a")).ok());
  const PodPtr pod = server_.FindPod("default", "a");
  EXPECT_EQ(pod->node, "n1");
  EXPECT_EQ(pod->nominated_node, "");
  EXPECT_EQ(pod->scheduled.status, "True");
  EXPECT_EQ(pod->resource_version, server_.resource_version());
}

TEST_F(SimApiServerTest, ObjectsOfAllKindsAreStoredAndWatched) {
  Watched classes, claims;
  StorageClass fast;
  fast.name = "fast";
  server_.SetObject(Kind::kStorageClass, fast);
  classes.Open(server_, Kind::kStorageClass, 0);
  claims.Open(server_, Kind::kPersistentVolumeClaim, 0);
  loop_.RunFor(absl::Seconds(1));
  EXPECT_THAT(classes.Take(), ElementsAre("+fast", "sync"));
  EXPECT_THAT(claims.Take(), ElementsAre("sync"));

  PersistentVolumeClaim claim;
  claim.ns = "default";
  claim.name = "c";
  claim.volume_name = "v";
  const ObjectPtr stored = server_.SetObject(Kind::kPersistentVolumeClaim, claim);
  EXPECT_EQ(stored->resource_version, server_.resource_version());
  EXPECT_NE(stored->uid, "");
  auto changed = static_cast<const PersistentVolumeClaim&>(*stored);
  EXPECT_EQ(changed.volume_name, "v");
  changed.volume_name = "w";
  server_.SetObject(Kind::kPersistentVolumeClaim, changed);
  EXPECT_EQ(server_.FindObject(Kind::kPersistentVolumeClaim, "default", "c")->uid, stored->uid);
  EXPECT_TRUE(server_.RemoveObject(Kind::kPersistentVolumeClaim, "default", "c").ok());
  EXPECT_TRUE(absl::IsNotFound(server_.RemoveObject(Kind::kPersistentVolumeClaim, "default", "c")));
  EXPECT_EQ(server_.FindObject(Kind::kPersistentVolumeClaim, "default", "c"), nullptr);
  loop_.RunFor(absl::Seconds(1));
  EXPECT_THAT(claims.Take(), ElementsAre("+c", "~c", "-c"));
  EXPECT_THAT(classes.Take(), IsEmpty());

  Watched resumed;
  resumed.Open(server_, Kind::kPersistentVolumeClaim, stored->resource_version);
  loop_.RunFor(absl::Seconds(1));
  EXPECT_THAT(resumed.Take(), ElementsAre("~c", "-c"));
}

TEST_F(SimApiServerTest, BindPreconditions) {
  Create(MakePod("bound").Node("n1"));
  Create(MakePod("gated").Gate("wait"));
  Create(MakePod("gone").Node("n1"));
  ASSERT_TRUE(server_.DeletePodNow("default", "gone", "").ok());
  Create(MakePod("free").Uid("u1"));
  const struct {
    const char *name, *uid;
    ApiCode code;
    const char* message;
  } kCases[] = {
      {"none", "", ApiCode::kNotFound, "pods \"none\" not found"},
      {"free", "u2", ApiCode::kConflict, "Precondition failed: UID in precondition: u2, UID in object meta: u1"},
      {"bound", "", ApiCode::kConflict, "pod bound is already assigned to node \"n1\""},
      {"gated", "", ApiCode::kConflict, "pod gated has non-empty .spec.schedulingGates"},
      {"gone", "", ApiCode::kConflict, "pod gone is being deleted, cannot be assigned to a host"},
  };
  for (const auto& c : kCases) {
    const ApiStatus status = server_.BindNow({"default", c.name, c.uid, "n2"});
    EXPECT_EQ(status.code, c.code) << c.name;
    EXPECT_THAT(status.message, HasSubstr(c.message));
  }
  EXPECT_EQ(server_.binds(), 0u);
}

TEST_F(SimApiServerTest, ARequestTakesEffectHalfWayAndOthersComeBetween) {
  Create(MakePod("a"));
  ApiStatus mine;
  bool answered = false;
  server_.Bind({"default", "a", "", "n1"}, [&](ApiStatus status) { mine = std::move(status), answered = true; });
  EXPECT_FALSE(server_.Idle());
  EXPECT_TRUE(server_.BindNow({"default", "a", "", "n2"}).ok());  // another scheduler is faster
  loop_.Run();
  EXPECT_TRUE(answered);
  EXPECT_EQ(mine.code, ApiCode::kConflict);
  EXPECT_EQ(server_.FindPod("default", "a")->node, "n2");
  EXPECT_TRUE(server_.Idle());
}

TEST_F(SimApiServerTest, WatchGivesTheStateThenTheChanges) {
  Create(MakePod("b"));
  Create(MakePod("a"));
  Watched pods;
  pods.Open(server_, Kind::kPod, 0);
  loop_.Run();
  EXPECT_THAT(pods.Take(), ElementsAre("+a", "+b", "sync"));
  Create(MakePod("c"));
  Bind("b", "n1");
  EXPECT_THAT(pods.Take(), ElementsAre("+c", "~b"));
  ASSERT_TRUE(server_.DeletePodNow("default", "c", "").ok());
  loop_.Run();
  EXPECT_THAT(pods.Take(), ElementsAre("-c"));
}

TEST_F(SimApiServerTest, PodsThatEndLeaveTheWatchButNotTheStore) {
  Create(MakePod("a").Node("n1"));
  Watched pods;
  pods.Open(server_, Kind::kPod, 0);
  loop_.Run();
  ASSERT_TRUE(server_.EndPod("default", "a").ok());
  loop_.Run();
  EXPECT_THAT(pods.Take(), ElementsAre("+a", "sync", "-a"));
  Watched later;
  later.Open(server_, Kind::kPod, 0);
  ASSERT_TRUE(server_.DeletePodNow("default", "a", "").ok());
  loop_.Run();
  EXPECT_THAT(later.Take(), ElementsAre("sync"));
  EXPECT_THAT(pods.Take(), IsEmpty());
}

TEST_F(SimApiServerTest, WatchResumesWithoutLossOrRepeat) {
  Watched pods;
  pods.Open(server_, Kind::kPod, 0);
  Create(MakePod("a"));
  loop_.Run();
  const uint64_t seen = pods.version;
  pods.stream.reset();
  Create(MakePod("b"));
  Create(MakePod("c"));
  pods.Take();
  pods.Open(server_, Kind::kPod, seen);
  loop_.Run();
  EXPECT_THAT(pods.Take(), ElementsAre("+b", "+c"));
}

TEST_F(SimApiServerTest, WatchFromBeforeTheWindowIsGone) {
  SimApiServer server(loop_, {.history = 3});
  for (const char* name : {"a", "b", "c", "d", "e"}) ASSERT_TRUE(server.CreatePod(MakePod(name).Build()).ok());
  const uint64_t last = server.resource_version();
  const std::string gone = "end:" + std::to_string(static_cast<int>(ApiCode::kGone));
  for (const auto& [from, want] : std::vector<std::pair<uint64_t, std::vector<std::string>>>{
           {last - 4, {gone}}, {last - 3, {"+c", "+d", "+e"}}, {last, {}}}) {
    Watched pods;
    pods.Open(server, Kind::kPod, from);
    loop_.Run();
    EXPECT_EQ(pods.said, want) << last - from;
  }
}

TEST_F(SimApiServerTest, AnOpenWatchLosesNothingToTheWindow) {
  SimApiServer server(loop_, {.history = 2});
  Watched pods;
  pods.Open(server, Kind::kPod, 0);
  loop_.Run();
  for (const char* name : {"a", "b", "c", "d", "e"}) ASSERT_TRUE(server.CreatePod(MakePod(name).Build()).ok());
  loop_.Run();
  EXPECT_THAT(pods.Take(), ElementsAre("sync", "+a", "+b", "+c", "+d", "+e"));
}

TEST_F(SimApiServerTest, CompactionEndsOldResumesAndABookmarkSavesThem) {
  Watched pods, nodes;
  pods.Open(server_, Kind::kPod, 0);
  nodes.Open(server_, Kind::kNode, 0);
  loop_.Run();
  Create(MakePod("a"));
  loop_.RunFor(absl::Seconds(1));
  EXPECT_THAT(nodes.Take(), ElementsAre("sync"));
  const uint64_t before = nodes.version;
  loop_.RunFor(absl::Minutes(2));
  EXPECT_THAT(nodes.Take(), ElementsAre("mark"));
  const uint64_t marked = nodes.version;
  server_.Compact();
  nodes.Open(server_, Kind::kNode, before);
  loop_.RunFor(absl::Seconds(1));
  EXPECT_THAT(nodes.Take(), ElementsAre("end:" + std::to_string(static_cast<int>(ApiCode::kGone))));
  nodes.Open(server_, Kind::kNode, marked);
  ASSERT_TRUE(server_.CreateNode(MakeNode("n1").Build()).ok());
  loop_.RunFor(absl::Seconds(1));
  EXPECT_THAT(nodes.Take(), ElementsAre("+n1"));
}

TEST_F(SimApiServerTest, CutWatchesEndAndADestroyedStreamIsSilent) {
  Watched pods, silent;
  pods.Open(server_, Kind::kPod, 0);
  silent.Open(server_, Kind::kPod, 0);
  loop_.Run();
  silent.stream.reset();
  silent.Take();
  server_.CutWatches(Kind::kPod, {ApiCode::kUnreachable, "cut", {}});
  Create(MakePod("a"));
  loop_.Run();
  EXPECT_THAT(pods.Take(), ElementsAre("sync", "end:" + std::to_string(static_cast<int>(ApiCode::kUnreachable))));
  EXPECT_THAT(silent.Take(), IsEmpty());
}

TEST_F(SimApiServerTest, PatchWithoutChangeWritesNothing) {
  Create(MakePod("a"));
  const PodStatusPatch patch{"default", "a", Uid("a"), {true, "False", "Unschedulable", "0/1 nodes"}, 0, false, ""};
  EXPECT_TRUE(server_.PatchPodStatusNow(patch).ok());
  const uint64_t version = server_.resource_version();
  EXPECT_TRUE(server_.PatchPodStatusNow(patch).ok());
  EXPECT_EQ(server_.resource_version(), version);
  EXPECT_EQ(server_.FindPod("default", "a")->scheduled.message, "0/1 nodes");
}

TEST_F(SimApiServerTest, DeletingABoundPodTakesItsTimeAPendingOneGoesAtOnce) {
  Create(MakePod("bound").Node("n1"));
  Create(MakePod("pending"));
  ASSERT_TRUE(server_.DeletePodNow("default", "bound", "").ok());
  ASSERT_TRUE(server_.DeletePodNow("default", "pending", "").ok());
  EXPECT_EQ(server_.FindPod("default", "pending"), nullptr);
  ASSERT_NE(server_.FindPod("default", "bound"), nullptr);
  EXPECT_TRUE(server_.FindPod("default", "bound")->deleting);
  loop_.Run();
  EXPECT_EQ(server_.FindPod("default", "bound"), nullptr);
}

TEST_F(SimApiServerTest, EventsKeepTheirSeries) {
  ApiEvent event;
  event.ns = "default";
  event.name = "a.1";
  event.reason = "FailedScheduling";
  std::vector<ApiCode> codes;
  const auto note = [&](ApiStatus status) { codes.push_back(status.code); };
  server_.CreateEvent(event, note);
  loop_.Run();
  server_.CreateEvent(event, note);
  event.series_count = 7;
  server_.PatchEventSeries(event, note);
  event.name = "b.1";
  server_.PatchEventSeries(event, note);
  loop_.Run();
  EXPECT_THAT(codes, ElementsAre(ApiCode::kOk, ApiCode::kAlreadyExists, ApiCode::kOk, ApiCode::kNotFound));
  EXPECT_EQ(server_.events().at("default/a.1").series_count, 7);
}

TEST_F(SimApiServerTest, LeasesAreOptimistic) {
  Lease mine;
  mine.ns = "kube-system";
  mine.name = "muster";
  mine.holder = "me";
  std::vector<ApiCode> codes;
  Lease got;
  const auto note = [&](ApiStatus status, Lease lease) {
    codes.push_back(status.code);
    if (status.ok()) got = std::move(lease);
  };
  server_.GetLease("kube-system", "muster", note);
  loop_.Run();
  server_.CreateLease(mine, note);
  loop_.Run();
  server_.CreateLease(mine, note);
  loop_.Run();
  const Lease old = got;
  got.holder = "you";
  server_.UpdateLease(got, note);
  loop_.Run();
  server_.UpdateLease(old, note);
  loop_.Run();
  EXPECT_THAT(codes,
              ElementsAre(ApiCode::kNotFound, ApiCode::kOk, ApiCode::kAlreadyExists, ApiCode::kOk, ApiCode::kConflict));
  EXPECT_EQ(got.holder, "you");
}

// Each kind's own words only; nothing is written where nothing changes.
TEST_F(SimApiServerTest, PatchesTheStatusOfGroups) {
  for (const Kind kind : {Kind::kPodGroup, Kind::kCoschedulingPodGroup}) {
    PodGroup group;
    group.ns = "team";
    group.name = "g";
    group.min_count = 3;
    const ObjectPtr made = server_.SetObject(kind, group);
    Watched watched;
    watched.Open(server_, kind, 0);
    PodGroupStatusPatch patch;
    patch.kind = kind;
    patch.ns = "team";
    patch.name = "g";
    patch.uid = made->uid;
    patch.condition = {true, "False", "Unschedulable", "no room"};
    patch.phase = "Scheduling";
    patch.scheduled = 2;
    std::vector<ApiCode> codes;
    const auto done = [&](const ApiStatus& status) { codes.push_back(status.code); };
    server_.PatchPodGroupStatus(patch, done);
    loop_.RunFor(absl::Seconds(1));
    const ObjectPtr written = server_.FindObject(kind, "team", "g");
    server_.PatchPodGroupStatus(patch, done);
    patch.uid = "another";
    server_.PatchPodGroupStatus(patch, done);
    patch.name = "h";
    server_.PatchPodGroupStatus(patch, done);
    loop_.RunFor(absl::Seconds(1));
    EXPECT_THAT(codes, ElementsAre(ApiCode::kOk, ApiCode::kOk, ApiCode::kConflict, ApiCode::kNotFound));
    EXPECT_THAT(watched.Take(), ElementsAre("+g", "sync", "~g"));
    EXPECT_EQ(server_.FindObject(kind, "team", "g"), written);
    const auto& now = dynamic_cast<const PodGroup&>(*written);
    const bool native = kind == Kind::kPodGroup;
    EXPECT_EQ(now.min_count, 3);
    EXPECT_EQ(now.scheduled, native ? patch.condition : PodCondition());
    EXPECT_EQ(now.phase, native ? "" : "Scheduling");
    EXPECT_EQ(now.members_scheduled, native ? 0 : 2);
  }
}

TEST_F(SimApiServerTest, KeepsTopologies) {
  for (const Kind kind : {Kind::kTopology, Kind::kKueueTopology}) {
    Topology topology;
    topology.name = "t";
    topology.levels = {"rack"};
    server_.SetObject(kind, topology);
    Watched watched;
    watched.Open(server_, kind, 0);
    loop_.RunFor(absl::Seconds(1));
    EXPECT_TRUE(server_.RemoveObject(kind, "", "t").ok());
    loop_.RunFor(absl::Seconds(1));
    EXPECT_THAT(watched.Take(), ElementsAre("+t", "sync", "-t"));
  }
}

TEST_F(SimApiServerTest, KeepsTheStatusOfQueues) {
  Queue queue;
  queue.name = "q";
  queue.uid = "u";
  queue.weight = 3;
  server_.SetObject(Kind::kQueue, queue);
  Watched watched;
  watched.Open(server_, Kind::kQueue, 0);
  loop_.RunFor(absl::Seconds(1));
  EXPECT_EQ(server_.FindQueueStatus("q"), nullptr);

  QueueStatus status;
  status.ready = {true, "True", "Ready", ""};
  status.pending_pods = 4;
  std::vector<ApiCode> codes;
  const auto patch = [&](const char* name, const char* uid) {
    server_.PatchQueueStatus(name, uid, status, [&](const ApiStatus& told) { codes.push_back(told.code); });
    loop_.RunFor(absl::Seconds(1));
  };
  patch("q", "u");
  patch("q", "");  // again: nothing changes
  EXPECT_THAT(watched.Take(), ElementsAre("+q", "sync", "~q"));
  ASSERT_NE(server_.FindQueueStatus("q"), nullptr);
  EXPECT_TRUE(*server_.FindQueueStatus("q") == status);
  const auto stored = [&] { return dynamic_cast<const Queue&>(*server_.FindObject(Kind::kQueue, "", "q")); };
  EXPECT_EQ(stored().ready, status.ready);
  EXPECT_EQ(stored().weight, 3);
  status.pending_pods = 5;
  patch("q", "another");
  patch("r", "");
  EXPECT_THAT(codes, ElementsAre(ApiCode::kOk, ApiCode::kOk, ApiCode::kInvalid, ApiCode::kNotFound));
  EXPECT_EQ(server_.FindQueueStatus("q")->pending_pods, 4);
  patch("q", "u");
  EXPECT_EQ(server_.FindQueueStatus("q")->pending_pods, 5);
  EXPECT_TRUE(server_.RemoveObject(Kind::kQueue, "", "q").ok());
  server_.SetObject(Kind::kQueue, queue);
  EXPECT_EQ(server_.FindQueueStatus("q"), nullptr);  // another queue
  loop_.RunFor(absl::Seconds(1));
  EXPECT_THAT(watched.Take(), ElementsAre("~q", "-q", "+q"));
}

TEST_F(SimApiServerTest, KeepsFlavors) {
  ResourceFlavor flavor;
  flavor.name = "f";
  flavor.node_labels = {{"gpu", "H100"}};
  server_.SetObject(Kind::kResourceFlavor, flavor);
  const ObjectPtr stored = server_.FindObject(Kind::kResourceFlavor, "", "f");
  EXPECT_EQ(dynamic_cast<const ResourceFlavor&>(*stored).node_labels, flavor.node_labels);
}

}  // namespace
}  // namespace muster
