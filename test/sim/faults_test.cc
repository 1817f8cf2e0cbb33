#include "scheduler/sim/faults.h"

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "scheduler/model/device.h"
#include "scheduler/model/pod_group.h"
#include "scheduler/sim/sim_api_server.h"
#include "scheduler/sim/sim_event_loop.h"
#include "test/support/make.h"

namespace muster {
namespace {

// Binds `count` pods through faults and returns how often each code came back.
struct BindRun {
  std::map<ApiCode, int> codes;
  uint64_t bound = 0;
  Time end;
  friend bool operator==(const BindRun&, const BindRun&) = default;
};
BindRun BindThrough(FaultRates rates, uint64_t seed, int count = 400) {
  SimEventLoop loop;
  SimApiServer server(loop);
  FaultyApiServer faulty(loop, server, rates, seed);
  BindRun run;
  for (int i = 0; i < count; ++i) {
    const std::string name = "p" + std::to_string(i);
    EXPECT_TRUE(server.CreatePod(MakePod(name).Build()).ok());
    faulty.Bind({"default", name, "", "n1"}, [&](ApiStatus status) { ++run.codes[status.code]; });
  }
  loop.Run();
  EXPECT_TRUE(faulty.Idle());
  run.bound = server.binds();
  run.end = loop.Now();
  return run;
}

TEST(FaultsTest, NoRatesNoFaults) {
  const BindRun run = BindThrough({}, 1);
  EXPECT_EQ(run.codes, (std::map<ApiCode, int>{{ApiCode::kOk, 400}}));
  EXPECT_EQ(run.bound, 400u);
}

TEST(FaultsTest, RefusedBindsDoNothingAndShowEveryCode) {
  const BindRun run = BindThrough({.refused = 1}, 2);
  EXPECT_EQ(run.bound, 0u);
  EXPECT_EQ(run.codes.size(), 4u);
  EXPECT_EQ(run.codes.count(ApiCode::kOk), 0u);
}

TEST(FaultsTest, LostAnswersTookEffect) {
  const BindRun run = BindThrough({.lost_answer = 1}, 3);
  EXPECT_EQ(run.bound, 400u);
  EXPECT_EQ(run.codes, (std::map<ApiCode, int>{{ApiCode::kUnreachable, 400}}));
}

TEST(FaultsTest, TheStatusOfGroupsSuffersToo) {
  const struct {
    FaultRates rates;
    bool told, written;
  } kRows[] = {{{}, true, true}, {{.refused = 1}, false, false}, {{.lost_answer = 1}, false, true}};
  for (const auto& row : kRows) {
    SimEventLoop loop;
    SimApiServer server(loop);
    FaultyApiServer faulty(loop, server, row.rates, 4);
    PodGroup group;
    group.ns = "team";
    group.name = "g";
    server.SetObject(Kind::kPodGroup, group);
    PodGroupStatusPatch patch;
    patch.ns = "team";
    patch.name = "g";
    patch.condition = {true, "True", "Scheduled", ""};
    bool told = false;
    faulty.PatchPodGroupStatus(patch, [&](const ApiStatus& status) { told = status.ok(); });
    loop.Run();
    EXPECT_EQ(told, row.told);
    EXPECT_EQ(server.objects().Get<PodGroup>(Kind::kPodGroup, "team", "g")->scheduled.present, row.written);
  }
}

TEST(FaultsTest, ClaimsSufferToo) {
  const auto reserve = [](FaultRates rates) {
    SimEventLoop loop;
    SimApiServer server(loop);
    FaultyApiServer faulty(loop, server, rates, 4);
    ResourceClaim made;
    made.ns = "default";
    made.name = "c";
    const auto claim = std::static_pointer_cast<const ResourceClaim>(server.SetObject(Kind::kResourceClaim, made));
    std::pair<ApiStatus, ClaimPtr> got;
    faulty.ReserveClaim({claim, DeviceAllocation(), {"", "pods", "p", "u"}}, [&](ApiStatus status, ClaimPtr written) {
      got = {std::move(status), std::move(written)};
    });
    loop.Run();
    const auto* now = server.objects().Get<ResourceClaim>(Kind::kResourceClaim, "default", "c");
    return std::make_tuple(got.first.ok(), got.second != nullptr, now->allocation.has_value());
  };
  EXPECT_EQ(reserve({}), std::make_tuple(true, true, true));
  EXPECT_EQ(reserve({.refused = 1}), std::make_tuple(false, false, false));
  EXPECT_EQ(reserve({.lost_answer = 1}), std::make_tuple(false, false, true));
}

TEST(FaultsTest, SameSeedSameFaults) {
  const FaultRates rates{.refused = 0.2, .lost_answer = 0.2, .slow = 0.3};
  EXPECT_EQ(BindThrough(rates, 7), BindThrough(rates, 7));
  EXPECT_NE(BindThrough(rates, 7), BindThrough(rates, 8));
}

// A client that resumes as a client should ends with the server's state, whatever the trouble.
class Mirror {
 public:
  Mirror(EventLoop& loop, ApiServer& server) : loop_(loop), server_(server) { Open(0); }
  const std::map<std::string, std::string>& pods() const { return pods_; }
  int restarts() const { return restarts_; }

 private:
  void Open(uint64_t from) {
    listing_ = from == 0;
    fresh_.clear();
    stream_ = server_.Watch(Kind::kPod, from,
                            {[this](std::vector<WatchEvent> events) { OnEvents(events); },
                             [this](ApiStatus why) {
                               ++restarts_;
                               stream_.reset();
                               const bool anew = why.code == ApiCode::kGone || listing_;
                               loop_.After(absl::Milliseconds(50), [this, anew] { Open(anew ? 0 : version_); });
                             }});
  }
  void OnEvents(const std::vector<WatchEvent>& events) {
    for (const WatchEvent& event : events) {
      if (event.type == WatchEvent::Type::kSynced) {
        pods_ = std::move(fresh_);
        listing_ = false;
      } else if (event.type != WatchEvent::Type::kBookmark) {
        const PodPtr& pod = std::get<PodPtr>(event.object);
        auto& to = listing_ ? fresh_ : pods_;
        if (event.type == WatchEvent::Type::kDeleted) {
          to.erase(pod->name);
        } else {
          to[pod->name] = pod->node;
        }
      }
      version_ = event.resource_version;
    }
  }

  EventLoop& loop_;
  ApiServer& server_;
  std::unique_ptr<WatchStream> stream_;
  std::map<std::string, std::string> pods_, fresh_;
  bool listing_ = true;
  uint64_t version_ = 0;
  int restarts_ = 0;
};

TEST(FaultsTest, AWatchThatResumesSeesEverything) {
  int restarts = 0;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    SimEventLoop loop;
    SimApiServer server(loop);
    FaultyApiServer faulty(loop, server, {.slow = 0.1, .cut = 0.1, .gone = 0.05, .duplicated = 0.1}, seed);
    Mirror mirror(loop, faulty);
    Random random(seed);
    for (int i = 0; i < 200; ++i) {
      const std::string name = "p" + std::to_string(random.Below(20));
      const PodPtr pod = server.FindPod("default", name);
      if (pod == nullptr) {
        ASSERT_TRUE(server.CreatePod(MakePod(name).Build()).ok());
      } else if (pod->node.empty()) {
        ASSERT_TRUE(server.BindNow({"default", name, "", "n1"}).ok());
      } else if (random.Below(2) == 0) {
        server.DeletePodNow("default", name, "");
      } else if (!pod->ended) {
        ASSERT_TRUE(server.EndPod("default", name).ok());
      }
      loop.RunFor(absl::Milliseconds(static_cast<int64_t>(random.Below(60))));
    }
    faulty.set_rates({});
    loop.Run();
    std::map<std::string, std::string> want;
    for (const PodPtr& pod : server.Pods()) {
      if (!pod->ended) want[pod->name] = pod->node;
    }
    EXPECT_EQ(mirror.pods(), want);
    restarts += mirror.restarts();
  }
  EXPECT_GT(restarts, 500);  // else nothing was tried
}

}  // namespace
}  // namespace muster
