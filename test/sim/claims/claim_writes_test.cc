// ResourceClaims in the simulated API server: the real one's rules.
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/model/device.h"
#include "scheduler/sim/sim_api_server.h"
#include "scheduler/sim/sim_event_loop.h"
#include "test/support/make.h"

namespace muster {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using Consumer = ResourceClaim::Consumer;

class SimClaimsTest : public testing::Test {
 protected:
  using Answer = std::pair<ApiStatus, ClaimPtr>;
  Answer Ask(const std::function<void(ApiServer::ClaimDone)>& ask) {
    std::optional<Answer> got;
    ask([&](ApiStatus status, ClaimPtr claim) { got.emplace(std::move(status), std::move(claim)); });
    loop_.RunFor(absl::Seconds(1));
    return got.value_or(Answer{{ApiCode::kUnreachable, "no answer", {}}, nullptr});
  }
  Answer Finalize(const ClaimPtr& claim, bool wanted = true) {
    return Ask([&](auto done) { server_.SetClaimFinalizer(claim, wanted, done); });
  }
  Answer Reserve(const ClaimPtr& claim, const std::string& uid, std::optional<DeviceAllocation> allocation = {}) {
    return Ask([&](auto done) { server_.ReserveClaim({claim, allocation, {"", "pods", "p-" + uid, uid}}, done); });
  }
  Answer Deallocate(const ClaimPtr& claim) {
    return Ask([&](auto done) { server_.DeallocateClaim(claim, done); });
  }
  Answer Unreserve(const std::string& uid, const std::string& consumer) {
    return Ask([&](auto done) { server_.UnreserveClaim("default", "c", uid, consumer, done); });
  }
  ApiStatus Delete(const std::string& uid) {
    std::optional<ApiStatus> got;
    server_.DeleteClaim("default", "c", uid, [&](ApiStatus status) { got = std::move(status); });
    loop_.RunFor(absl::Seconds(1));
    return *got;
  }
  ClaimPtr Now() const {
    return std::static_pointer_cast<const ResourceClaim>(server_.FindObject(Kind::kResourceClaim, "default", "c"));
  }
  ClaimPtr Make() {
    ResourceClaim claim;
    claim.ns = "default";
    claim.name = "c";
    claim.requests.resize(1);
    claim.requests[0].name = "r";
    server_.SetObject(Kind::kResourceClaim, claim);
    return Now();
  }
  static DeviceAllocation Allocation(const std::string& device, const std::string& request = "r") {
    DeviceAllocation allocation;
    allocation.devices.emplace_back();
    allocation.devices[0].request = request;
    allocation.devices[0].id = {"d", "p", device};
    return allocation;
  }

  SimEventLoop loop_;
  SimApiServer server_{loop_};
};

TEST_F(SimClaimsTest, FinalizerThenAllocationThenAnotherConsumer) {
  const ClaimPtr made = Make();
  const auto [finalized, with] = Finalize(made);
  ASSERT_TRUE(finalized.ok()) << finalized.message;
  EXPECT_TRUE(with->finalizer);
  EXPECT_GT(with->resource_version, made->resource_version);
  const auto [status, allocated] = Reserve(with, "u1", Allocation("0"));
  ASSERT_TRUE(status.ok()) << status.message;
  EXPECT_EQ(allocated->allocation, Allocation("0"));
  const auto [again, both] = Reserve(allocated, "u2");
  ASSERT_TRUE(again.ok()) << again.message;
  EXPECT_THAT(both->reserved_for, ElementsAre(Consumer{"", "pods", "p-u1", "u1"}, Consumer{"", "pods", "p-u2", "u2"}));
  EXPECT_EQ(both, Now());
}

TEST_F(SimClaimsTest, WritesHoldForTheVersionThatWasRead) {
  const ClaimPtr made = Make();
  const ClaimPtr with = Finalize(made).second;
  for (const auto& [status, claim] :
       {Finalize(made), Reserve(made, "u", Allocation("0")), Deallocate(made), Finalize(made, false)}) {
    EXPECT_EQ(status.code, ApiCode::kConflict);
    EXPECT_EQ(status.message,
              "Operation cannot be fulfilled on resourceclaims.resource.k8s.io \"c\": the object has been modified; "
              "please apply your changes to the latest version and try again");
    EXPECT_EQ(claim, nullptr);
  }
  EXPECT_EQ(Now(), with);
  ASSERT_TRUE(server_.RemoveObject(Kind::kResourceClaim, "default", "c").ok());
  EXPECT_EQ(Reserve(with, "u", Allocation("0")).first.code, ApiCode::kNotFound);
  Make();  // another one of the name
  EXPECT_EQ(Reserve(with, "u", Allocation("0")).first.code, ApiCode::kConflict);
}

TEST_F(SimClaimsTest, AnAllocationStandsUntilItIsTakenAway) {
  const ClaimPtr first = Reserve(Make(), "u1", Allocation("0")).second;
  const auto [status, none] = Reserve(first, "u2", Allocation("1"));
  EXPECT_EQ(status.code, ApiCode::kInvalid);
  EXPECT_THAT(status.message, HasSubstr("status.allocation: Invalid value: null: field cannot be modified once set"));
  const auto [freed, empty] = Deallocate(first);
  ASSERT_TRUE(freed.ok()) << freed.message;
  EXPECT_FALSE(empty->allocation.has_value());
  EXPECT_THAT(empty->reserved_for, IsEmpty());
  EXPECT_TRUE(Reserve(empty, "u2", Allocation("1")).first.ok());
}

TEST_F(SimClaimsTest, RefusesWhatNoServerTakes) {
  const ClaimPtr made = Make();
  const auto refused = [](const Answer& answer) {
    EXPECT_EQ(answer.first.code, ApiCode::kInvalid);
    return answer.first.message;
  };
  EXPECT_THAT(refused(Reserve(made, "u")), HasSubstr("may not be specified when `allocated` is not set"));
  EXPECT_THAT(refused(Reserve(made, "", Allocation("0"))), HasSubstr("status.reservedFor[0].uid: Required value"));
  EXPECT_THAT(refused(Reserve(made, "u", Allocation("0", "x"))),
              HasSubstr("must be the name of a request in the claim"));
  DeviceAllocation many = Allocation("0");
  many.devices.resize(33, many.devices[0]);
  EXPECT_THAT(refused(Reserve(made, "u", many)), HasSubstr("Too many: 33: must have at most 32 items"));
  ClaimPtr claim = Reserve(made, "u0", Allocation("0")).second;
  EXPECT_THAT(refused(Reserve(claim, "u0")), HasSubstr("status.reservedFor[1]: Duplicate value"));
  for (int i = 1; i < 256; ++i) claim = Reserve(claim, "u" + std::to_string(i)).second;
  EXPECT_THAT(refused(Reserve(claim, "u256")), HasSubstr("Too many: 257: must have at most 256 items"));
}

TEST_F(SimClaimsTest, UnreservesWhateverTheVersion) {
  const ClaimPtr claim = Reserve(Reserve(Make(), "u1", Allocation("0")).second, "u2").second;
  const auto [status, left] = Unreserve(claim->uid, "u1");
  ASSERT_TRUE(status.ok()) << status.message;
  EXPECT_THAT(left->reserved_for, SizeIs(1));
  EXPECT_TRUE(left->allocation.has_value());
  // Nothing to do is nothing written.
  const auto [again, same] = Unreserve(claim->uid, "u1");
  EXPECT_TRUE(again.ok());
  EXPECT_EQ(same->resource_version, left->resource_version);
  EXPECT_EQ(Unreserve("another", "u2").first.code, ApiCode::kInvalid);
  EXPECT_THAT(Now()->reserved_for, SizeIs(1));
}

TEST_F(SimClaimsTest, AFinalizerKeepsADeletedClaim) {
  const ClaimPtr claim = Reserve(Finalize(Make()).second, "u1", Allocation("0")).second;
  EXPECT_EQ(Delete("another").code, ApiCode::kConflict);
  ASSERT_TRUE(Delete(claim->uid).ok());
  const ClaimPtr going = Now();
  ASSERT_NE(going, nullptr);
  EXPECT_TRUE(going->deleting);
  EXPECT_THAT(Reserve(going, "u2").first.message, HasSubstr("new entries may not be added"));
  EXPECT_TRUE(Finalize(going, false).first.ok());
  EXPECT_EQ(Now(), nullptr);
  EXPECT_EQ(Delete(claim->uid).code, ApiCode::kNotFound);

  const ClaimPtr bare = Make();
  EXPECT_TRUE(Delete(bare->uid).ok());
  EXPECT_EQ(Now(), nullptr);
}

TEST_F(SimClaimsTest, MakesClaimsOfExtendedResources) {
  ExtendedClaim wanted{"default", std::string(60, 'p'), "pod-uid", {}};
  wanted.requests.resize(1);
  wanted.requests[0].name = "container-0-request-0";
  const auto [status, claim] = Ask([&](auto done) { server_.CreateClaim(wanted, done); });
  ASSERT_TRUE(status.ok()) << status.message;
  EXPECT_EQ(claim->name.size(), 63u);
  EXPECT_NE(claim->uid, "");
  EXPECT_EQ(claim->controller_uid, "pod-uid");
  EXPECT_TRUE(claim->extended_resource);
  EXPECT_THAT(claim->requests, SizeIs(1));
  EXPECT_NE(Ask([&](auto done) { server_.CreateClaim(wanted, done); }).second->name, claim->name);

  ASSERT_TRUE(server_.CreatePod(MakePod("p").Build()).ok());
  PodStatusPatch patch;
  patch.ns = "default";
  patch.name = "p";
  patch.extended = {claim->name, {{"c", "example.com/gpu", "container-0-request-0"}}};
  EXPECT_TRUE(server_.PatchPodStatusNow(patch).ok());
  EXPECT_EQ(server_.FindPod("default", "p")->extended_claim, claim->name);
}

}  // namespace
}  // namespace muster
