#include "scheduler/sim/controllers/claim_controller.h"

#include <string>

#include "gtest/gtest.h"
#include "scheduler/sim/kubelet.h"
#include "scheduler/sim/sim_event_loop.h"
#include "test/support/make_devices.h"

namespace muster {
namespace {

class ClaimControllerTest : public ::testing::Test {
 protected:
  const ResourceClaim* Claim(const std::string& name) {
    return static_cast<const ResourceClaim*>(server.FindObject(Kind::kResourceClaim, "default", name).get());
  }
  void Settle() {
    loop.RunFor(absl::Seconds(10));
    EXPECT_TRUE(controller.Idle());
  }
  SimEventLoop loop;
  SimApiServer server{loop};
  ClaimController controller{loop, server};
};

TEST_F(ClaimControllerTest, FreesASharedClaimWithItsLastConsumer) {
  ResourceClaim claim = WithDevices(MakeDeviceClaim("shared", 1), "n0", {"dev-0"});
  for (const char* name : {"a", "b"}) {
    ASSERT_TRUE(server.CreatePod(WithClaims(MakePod(name).Node("n0"), {ClaimNamed("shared")})).ok());
    claim.reserved_for.push_back({"", "pods", name, absl::StrCat("uid-", name)});
  }
  server.SetObject(Kind::kResourceClaim, claim);
  ASSERT_TRUE(server.EndPod("default", "a").ok());
  Settle();
  ASSERT_EQ(Claim("shared")->reserved_for.size(), 1u);
  EXPECT_TRUE(Claim("shared")->allocation);
  server.DeletePodNow("default", "b", "");
  Settle();
  EXPECT_TRUE(Claim("shared")->reserved_for.empty());
  EXPECT_FALSE(Claim("shared")->allocation);
  EXPECT_FALSE(Claim("shared")->finalizer);
}

TEST_F(ClaimControllerTest, RemovesAPodsOwnClaimAndMakesItsSuccessors) {
  Kubelet kubelet(loop, server);
  ASSERT_TRUE(server.CreatePod(WithClaims(MakePod("a").Node("n0"))).ok());
  kubelet.Replaces("default", "a");
  server.SetObject(Kind::kResourceClaim, WithDevices(MakeDeviceClaim("a", 2, "uid-a"), "n0", {"dev-0", "dev-1"}));
  server.DeletePodNow("default", "a", "");
  Settle();
  EXPECT_EQ(Claim("a"), nullptr);
  const PodPtr next = server.FindPod("default", "a-1");
  ASSERT_NE(next, nullptr);
  ASSERT_TRUE(next->claims[0].known);
  const ResourceClaim* claim = Claim(next->claims[0].claim);
  ASSERT_NE(claim, nullptr);
  EXPECT_EQ(claim->controller_uid, next->uid);
  EXPECT_EQ(claim->requests[0].count, 2);
  EXPECT_FALSE(claim->allocation);
}

}  // namespace
}  // namespace muster
