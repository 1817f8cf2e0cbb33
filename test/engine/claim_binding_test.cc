#include "scheduler/engine/binding/claim_binding.h"

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/sim/faults.h"
#include "scheduler/sim/sim_api_server.h"
#include "scheduler/sim/sim_event_loop.h"

namespace muster {
namespace {

using testing::ElementsAre;
using testing::SizeIs;
using testing::StartsWith;

ResourceClaim MakeClaim(const std::string& name) {
  ResourceClaim claim;
  claim.ns = "s";
  claim.name = name;
  claim.requests.resize(1);
  claim.requests[0].name = "r";
  return claim;
}
DeviceAllocation Device(const std::string& device) {
  DeviceAllocation allocation;
  allocation.devices.resize(1);
  allocation.devices[0].request = "r";
  allocation.devices[0].id = {"d", "p", device};
  return allocation;
}

class ClaimBindingTest : public testing::Test, public SimApiServer::Observer {
 protected:
  ClaimBindingTest() { server_.AddObserver(this); }
  ~ClaimBindingTest() override { server_.RemoveObserver(this); }
  void OnPod(const PodPtr&, const PodPtr&) override {}
  void OnNode(const NodePtr&, const NodePtr&) override {}
  void OnObject(Kind, const ObjectPtr& before, const ObjectPtr& after) override {
    if (before == nullptr) return;
    if (after == nullptr) return steps_.push_back("gone");
    const auto &old = static_cast<const ResourceClaim&>(*before), &claim = static_cast<const ResourceClaim&>(*after);
    if (old.finalizer != claim.finalizer) steps_.push_back(claim.finalizer ? "finalizer" : "no finalizer");
    if (!old.allocation && claim.allocation) steps_.push_back(claim.allocation->devices[0].id.device);
    if (old.reserved_for != claim.reserved_for)
      steps_.push_back("reserved " + std::to_string(claim.reserved_for.size()));
  }

  ClaimPtr Make(const ResourceClaim& claim) {
    return std::static_pointer_cast<const ResourceClaim>(server_.SetObject(Kind::kResourceClaim, claim));
  }
  ClaimPtr Now() const {
    return std::static_pointer_cast<const ResourceClaim>(server_.FindObject(Kind::kResourceClaim, "s", "c"));
  }
  std::pair<ApiStatus, ClaimPtr> Reserve(const ClaimPtr& claim, std::optional<DeviceAllocation> allocation,
                                         const std::string& uid = "u") {
    std::optional<std::pair<ApiStatus, ClaimPtr>> got;
    binding_.Reserve({claim, std::move(allocation), {"", "pods", "p", uid}},
                     [&](ApiStatus status, ClaimPtr written) { got.emplace(std::move(status), std::move(written)); });
    loop_.RunFor(absl::Seconds(10));
    EXPECT_TRUE(got.has_value());
    return got.value_or(std::pair<ApiStatus, ClaimPtr>());
  }
  ApiStatus Delete(const ClaimPtr& claim) {
    std::optional<ApiStatus> got;
    binding_.Delete(claim, [&](ApiStatus status) { got = std::move(status); });
    loop_.RunFor(absl::Seconds(10));
    EXPECT_TRUE(got.has_value());
    return got.value_or(ApiStatus());
  }

  SimEventLoop loop_;
  SimApiServer server_{loop_};
  FaultyApiServer faulty_{loop_, server_, {}, 1};
  ClaimBinding binding_{loop_, faulty_};
  std::vector<std::string> steps_;
};

TEST_F(ClaimBindingTest, FinalizerThenStatus) {
  const auto [status, claim] = Reserve(Make(MakeClaim("c")), Device("0"));
  ASSERT_TRUE(status.ok()) << status.message;
  EXPECT_EQ(claim, Now());
  EXPECT_THAT(steps_, ElementsAre("finalizer", "0", "reserved 1"));
  steps_.clear();
  EXPECT_TRUE(Reserve(claim, std::nullopt, "u2").first.ok());
  EXPECT_THAT(steps_, ElementsAre("reserved 2"));
  EXPECT_TRUE(Reserve(Now(), std::nullopt, "u2").first.ok());  // is reserved
  EXPECT_THAT(steps_, SizeIs(1));
}

TEST_F(ClaimBindingTest, SaysWhenItAllocated) {
  loop_.RunFor(absl::Milliseconds(1500));
  const Time now = absl::FromUnixSeconds(absl::ToUnixSeconds(loop_.Now()));
  EXPECT_EQ(Reserve(Make(MakeClaim("c")), Device("0")).second->allocation->time, now);
}

// 40 members of a gang share a claim; each decided for the same devices. With 5 tries each they would get in each
// other's way.
TEST_F(ClaimBindingTest, SharersDoNotConflict) {
  const ClaimPtr claim = Make(MakeClaim("c"));
  size_t reserved = 0;
  for (int i = 0; i < 40; ++i) {
    binding_.Reserve({claim, Device("0"), {"", "pods", "p", std::to_string(i)}},
                     [&](const ApiStatus& status, const ClaimPtr& written) {
                       ASSERT_TRUE(status.ok()) << status.message;
                       EXPECT_EQ(written->reserved_for.size(), ++reserved);
                     });
  }
  loop_.RunFor(absl::Seconds(10));
  EXPECT_EQ(reserved, 40u);
  EXPECT_THAT(steps_, SizeIs(42));  // with the finalizer and the allocation
  EXPECT_EQ(Now()->resource_version, claim->resource_version + 41);
}

TEST_F(ClaimBindingTest, OneThatFailsLetsTheNextGo) {
  const ClaimPtr claim = Make(MakeClaim("c"));
  std::vector<std::string> answers;
  const auto reserve = [&](DeviceAllocation allocation, const std::string& uid) {
    binding_.Reserve({claim, std::move(allocation), {"", "pods", "p", uid}},
                     [&](const ApiStatus& status, const ClaimPtr&) { answers.push_back(status.message); });
  };
  DeviceAllocation wrong = Device("0");
  wrong.devices[0].request = "x";
  reserve(wrong, "a");
  reserve(Device("1"), "b");
  reserve(Device("2"), "c");
  binding_.Delete(claim, [&](const ApiStatus& status) { answers.push_back(status.message); });
  loop_.RunFor(absl::Seconds(10));
  EXPECT_THAT(answers, ElementsAre(StartsWith("add allocation and reservation to claim s/c: "), "",
                                   "claim s/c got allocated elsewhere in the meantime", ""));
  EXPECT_EQ(Now(), nullptr);
}

TEST_F(ClaimBindingTest, LooksAnewAfterAConflict) {
  const ClaimPtr old = Make(MakeClaim("c"));
  ResourceClaim changed = *old;
  changed.finalizer = true;
  Make(changed);
  steps_.clear();
  EXPECT_TRUE(Reserve(old, Device("0")).first.ok());
  EXPECT_THAT(steps_, ElementsAre("0", "reserved 1"));
}

TEST_F(ClaimBindingTest, WhoComesLateHasLost) {
  const ClaimPtr old = Make(MakeClaim("c"));
  const ClaimPtr theirs = Reserve(old, Device("0"), "them").second;
  const auto [late, none] = Reserve(old, Device("1"));
  EXPECT_EQ(late.code, ApiCode::kConflict);
  EXPECT_EQ(late.message, "claim s/c got allocated elsewhere in the meantime");
  EXPECT_EQ(none, nullptr);
  EXPECT_EQ(Now(), theirs);

  ResourceClaim freed = *theirs;
  freed.allocation.reset();
  freed.reserved_for.clear();
  const ClaimPtr bare = Make(freed);
  EXPECT_EQ(Reserve(theirs, std::nullopt).first.message, "claim s/c got deallocated elsewhere in the meantime");
  ASSERT_TRUE(server_.DeleteClaimNow("s", "c", "").ok());  // the finalizer keeps it
  EXPECT_EQ(Reserve(bare, Device("1")).first.message, "claim s/c got deleted in the meantime");
  EXPECT_TRUE(Delete(Now()).ok());
  EXPECT_EQ(Reserve(bare, Device("1")).first.message, "claim s/c got deleted in the meantime");
  Make(MakeClaim("c"));  // another of the name
  EXPECT_EQ(Reserve(bare, Device("1")).first.message, "claim s/c got deleted in the meantime");
  EXPECT_FALSE(Now()->allocation.has_value());
}

TEST_F(ClaimBindingTest, WhatIsRefusedIsNotTriedAgain) {
  const ClaimPtr claim = Make(MakeClaim("c"));
  DeviceAllocation wrong = Device("0");
  wrong.devices[0].request = "x";
  const ApiStatus status = Reserve(claim, wrong).first;
  EXPECT_EQ(status.code, ApiCode::kInvalid);
  EXPECT_THAT(status.message, StartsWith("add allocation and reservation to claim s/c: "));
  EXPECT_THAT(steps_, ElementsAre("finalizer"));
}

TEST_F(ClaimBindingTest, DeletesWithTheFinalizer) {
  const ClaimPtr old = Make(MakeClaim("c"));
  const ClaimPtr claim = Reserve(old, Device("0")).second;
  steps_.clear();
  EXPECT_TRUE(Delete(old).ok());  // of an old version
  EXPECT_EQ(Now(), nullptr);
  EXPECT_THAT(steps_, ElementsAre("no finalizer", "gone"));
  EXPECT_TRUE(Delete(claim).ok());  // is gone
}

TEST_F(ClaimBindingTest, AnAnswerThatWasLostIsFound) {
  faulty_.set_rates({.lost_answer = 1});
  const ClaimPtr claim = Make(MakeClaim("c"));
  EXPECT_EQ(Reserve(claim, Device("0")).first.code, ApiCode::kUnreachable);  // reads are lost too
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  FaultyApiServer faulty(loop_, server_, {.refused = 0.2, .lost_answer = 0.3, .slow = 0.1}, seed);
  std::map<std::string, ClaimBinding> schedulers;
  for (const char* who : {"a", "b"}) schedulers.try_emplace(who, loop_, faulty);
  std::map<std::string, std::string> promised;  // claim -> device, of those that were said to be ours
  int failed = 0;
  for (int i = 0; i < 300; ++i) {
    const std::string name = "c" + std::to_string(i);
    const ClaimPtr made = Make(MakeClaim(name));
    for (auto& [who, binding] : schedulers) {  // they want different devices for it
      binding.Reserve({made, Device(who), {"", "pods", who, who}},
                      [&, name, who = who](const ApiStatus& status, const ClaimPtr&) {
                        if (!status.ok()) {
                          ++failed;
                          return;
                        }
                        EXPECT_TRUE(promised.emplace(name, who).second) << name;
                      });
    }
  }
  loop_.Run();
  EXPECT_GT(promised.size(), 200u);
  EXPECT_GE(failed, 300);
  for (const auto& [name, who] : promised) {
    const auto left =
        std::static_pointer_cast<const ResourceClaim>(server_.FindObject(Kind::kResourceClaim, "s", name));
    EXPECT_TRUE(left->finalizer);
    ASSERT_TRUE(left->allocation.has_value()) << name;
    EXPECT_EQ(left->allocation->devices[0].id.device, who);
    ASSERT_THAT(left->reserved_for, SizeIs(1));
    EXPECT_EQ(left->reserved_for[0].uid, who);
  }
}

}  // namespace
}  // namespace muster
