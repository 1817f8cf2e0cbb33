#include "scheduler/sim/kubelet.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/sim/scenario.h"
#include "scheduler/sim/sim_event_loop.h"
#include "test/support/make.h"

namespace muster {
namespace {

using ::testing::ElementsAre;

class KubeletTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(server_.CreateNode(MakeNode("n1").Build()).ok()); }
  void Create(const MakePod& pod) { ASSERT_TRUE(server_.CreatePod(pod.Build()).ok()); }
  bool Ended(const std::string& name) const { return server_.FindPod("default", name)->ended; }
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const PodPtr& pod : server_.Pods()) names.push_back(pod->name + (pod->ended ? " ended" : ""));
    return names;
  }

  SimEventLoop loop_;
  SimApiServer server_{loop_};
  Kubelet kubelet_{loop_, server_, {absl::Seconds(1), absl::Seconds(40), absl::Seconds(1)}};
};

TEST_F(KubeletTest, APodEndsItsRunTimeAfterItStarted) {
  kubelet_.RunsFor("default", "a", absl::Seconds(10));
  Create(MakePod("a"));
  Create(MakePod("forever"));
  loop_.RunFor(absl::Seconds(100));
  EXPECT_FALSE(Ended("a")) << "a pod that is not bound does not run";
  ASSERT_TRUE(server_.BindNow({"default", "a", "", "n1"}).ok());
  ASSERT_TRUE(server_.BindNow({"default", "forever", "", "n1"}).ok());
  loop_.RunFor(absl::Milliseconds(10'999));
  EXPECT_FALSE(Ended("a"));
  EXPECT_FALSE(kubelet_.Idle());
  loop_.RunFor(absl::Milliseconds(1));
  EXPECT_TRUE(Ended("a"));
  EXPECT_TRUE(kubelet_.Idle());
  loop_.Run();
  EXPECT_FALSE(Ended("forever"));
  EXPECT_EQ(kubelet_.ended(), 1u);
}

TEST_F(KubeletTest, ADeletedPodDoesNotEnd) {
  kubelet_.RunsFor("default", "a", absl::Seconds(10));
  Create(MakePod("a").Node("n1"));
  loop_.RunFor(absl::Milliseconds(10'500));
  ASSERT_TRUE(server_.DeletePodNow("default", "a", "").ok());
  loop_.Run();
  EXPECT_THAT(Names(), ElementsAre());
  EXPECT_EQ(kubelet_.ended(), 0u);
}

TEST_F(KubeletTest, PodsOfALostNodeAreDeletedAndAWorkloadsAreReplaced) {
  kubelet_.Replaces("default", "web");
  Create(MakePod("web").Node("n1"));
  Create(MakePod("lone").Node("n1"));
  ASSERT_TRUE(server_.DeleteNode("n1").ok());
  loop_.RunFor(absl::Seconds(39));
  EXPECT_THAT(Names(), ElementsAre("lone", "web"));
  loop_.Run();
  EXPECT_THAT(Names(), ElementsAre("web-1"));
  const PodPtr next = server_.FindPod("default", "web-1");
  EXPECT_EQ(next->node, "");
  EXPECT_FALSE(next->deleting);
  EXPECT_FALSE(next->scheduled.present);
}

TEST_F(KubeletTest, ANodeThatComesBackKeepsItsPods) {
  Create(MakePod("a").Node("n1"));
  ASSERT_TRUE(server_.DeleteNode("n1").ok());
  loop_.RunFor(absl::Seconds(10));
  ASSERT_TRUE(server_.CreateNode(MakeNode("n1").Build()).ok());
  loop_.Run();
  EXPECT_THAT(Names(), ElementsAre("a"));
}

TEST_F(KubeletTest, APodBoundToANodeThatIsGoneIsDeleted) {
  Create(MakePod("a"));
  ASSERT_TRUE(server_.BindNow({"default", "a", "", "n2"}).ok());
  loop_.Run();
  EXPECT_THAT(Names(), ElementsAre());
}

TEST_F(KubeletTest, AJobKeepsItsParallelismUntilAllHaveRun) {
  Manifests manifests;
  for (const char* name : {"j0", "j1", "j2"})
    manifests.pods.push_back({MakePod(name).Ptr(), absl::ZeroDuration(), absl::Seconds(5), 0});
  manifests.pods.push_back({MakePod("late").Ptr(), absl::Minutes(1), std::nullopt, std::nullopt});
  manifests.workloads.push_back({"Job", "default", "j", 0, 3, 2});
  Scenario scenario(loop_, server_, kubelet_);
  ASSERT_TRUE(scenario.Start(manifests).ok());
  EXPECT_THAT(Names(), ElementsAre("j0", "j1"));
  EXPECT_FALSE(scenario.Idle());  // "late" is to come
  ASSERT_TRUE(server_.BindNow({"default", "j1", "", "n1"}).ok());
  loop_.RunFor(absl::Seconds(10));
  EXPECT_THAT(Names(), ElementsAre("j0", "j1 ended", "j2"));
  ASSERT_TRUE(server_.BindNow({"default", "j0", "", "n1"}).ok());
  ASSERT_TRUE(server_.BindNow({"default", "j2", "", "n1"}).ok());
  loop_.Run();
  EXPECT_THAT(Names(), ElementsAre("j0 ended", "j1 ended", "j2 ended", "late"));
  EXPECT_TRUE(scenario.Idle());
}

}  // namespace
}  // namespace muster
