#include "topology/device/device_order.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/runtime/random.h"
#include "topology/device/allocator.h"

namespace muster {
namespace {

constexpr int64_t kGi = int64_t{1} << 30;
constexpr char kRoot[] = "resource.kubernetes.io/pcieRoot";

DeviceQuantity Amount(int64_t units) { return {Quantity::FromUnits(units), QuantityFormat::kBinarySI}; }
DeviceAttribute Text(std::string text) { return {DeviceAttribute::Type::kString, false, {}, {std::move(text)}}; }

// A node whose devices are asked for by class: the driver's name; a selector is a device's attribute "profile".
class Box {
 public:
  Box() {
    node_.name = "n";
    for (const bool scored : {false, true}) {
      DeviceQuestions questions;
      questions.selector = [](const std::string& expression, const ResourceSlice& slice, const Device& device) {
        const auto it = device.attributes.find("profile");
        const bool yes =
            expression == slice.driver || (it != device.attributes.end() && it->second.texts.at(0) == expression);
        if (expression == "broken") return SelectorAnswer{SelectorAnswer::Kind::kRuntimeError, "broken"};
        return SelectorAnswer{yes ? SelectorAnswer::Kind::kYes : SelectorAnswer::Kind::kNo, ""};
      };
      questions.node_matches = [](const auto&, const auto&) { return true; };
      questions.find_class = [this](const std::string& name) {
        DeviceClass& made = classes_[name];
        made.name = name;
        made.selectors = {name};
        return &made;
      };
      questions.new_share_id = [this] { return absl::StrCat("share-", ++shares_); };
      (scored ? scored_ : first_) = std::make_unique<DeviceAllocator>(
          DeviceFeatures(), std::move(questions), DeviceChoice{.first_fit = !scored, .groups = {kRoot, "gpu/link"}});
    }
  }

  // GPUs and NICs, as many; two of each to a link; GPU and NIC i share root i.
  Box& Whole(int count) {
    ResourceSlice gpus = SliceOf("gpu"), nics = SliceOf("nic");
    for (int i = 0; i < count; ++i) {
      for (ResourceSlice* slice : {&gpus, &nics}) {
        Device& device = slice->devices.emplace_back();
        device.name = absl::StrCat(slice->driver, i);
        device.attributes = {{kRoot, Text(absl::StrCat("root", i))}, {"link", Text(absl::StrCat("link", i / 2))}};
      }
    }
    return Put(gpus).Put(nics);
  }
  // GPUs of so many GiB.
  Box& Sized(const std::vector<int64_t>& sizes, bool shared) {
    ResourceSlice slice = SliceOf(shared ? "shared" : "gpu");
    for (size_t i = 0; i < sizes.size(); ++i) {
      Device& device = slice.devices.emplace_back();
      device.name = absl::StrCat("gpu", i);
      device.capacity["memory"].value = Amount(sizes[i] * kGi);
      if (shared) device.allow_multiple_allocations = true;
    }
    return Put(slice);
  }
  // GPUs in pieces: "PROFILE-GPU-FIRST", each of 1, 2, 4 or 8 of 8 slices of memory.
  Box& Cut(int count) {
    static const struct {
      const char* profile;
      int slices;
      std::vector<int> first;
    } kProfiles[] = {{"1g", 1, {0, 1, 2, 3, 4, 5, 6}}, {"2g", 2, {0, 2, 4}}, {"3g", 4, {0, 4}}, {"7g", 8, {0}}};
    ResourceSlice counters = SliceOf("mig", 2), pieces = counters;
    counters.name = counters.uid = "counters";
    for (int g = 0; g < count; ++g) {
      CounterSet& set = counters.shared_counters.emplace_back();
      set.name = absl::StrCat("gpu", g);
      for (int i = 0; i < 8; ++i) set.counters[absl::StrCat("slice", i)] = Amount(1);
    }
    for (const auto& profile : kProfiles) {
      for (int g = 0; g < count; ++g) {
        for (const int first : profile.first) {
          Device& piece = pieces.devices.emplace_back();
          piece.name = absl::StrCat(profile.profile, "-", g, "-", first);
          piece.attributes["profile"] = Text(profile.profile);
          CounterConsumption& takes = piece.consumes_counters.emplace_back();
          takes.counter_set = absl::StrCat("gpu", g);
          for (int i = first; i < first + profile.slices; ++i) takes.counters[absl::StrCat("slice", i)] = Amount(1);
        }
      }
    }
    return Put(counters).Put(pieces);
  }

  struct Want {
    std::string device_class;
    int64_t count = 1;
    std::string profile = "";
    int64_t gi = 0;
  };
  static ResourceClaim ClaimOf(const std::vector<Want>& wants, const std::string& match = "") {
    ResourceClaim claim;
    claim.ns = "ns";
    claim.name = "claim";
    for (const Want& want : wants) {
      DeviceRequest& request = claim.requests.emplace_back();
      request.name = absl::StrCat("r", claim.requests.size());
      request.device_class = want.device_class;
      request.allocation_mode = "ExactCount";
      request.count = want.count;
      if (!want.profile.empty()) request.selectors = {want.profile};
      if (want.gi > 0) request.capacity.emplace()["memory"] = Amount(want.gi * kGi);
    }
    if (!match.empty()) claim.constraints.push_back({{}, match, ""});
    return claim;
  }
  DeviceOutcome Allocate(const ResourceClaim& claim, bool scored, int64_t steps = 100'000,
                         int64_t better_steps = 100'000) {
    const ResourceClaim* claims[] = {&claim};
    return (scored ? scored_ : first_)->Allocate(devices_, node_, claims, steps, better_steps);
  }
  // The devices that a claim would get.
  std::string Take(const std::vector<Want>& wants, const std::string& match = "") {
    const DeviceOutcome outcome = Allocate(ClaimOf(wants, match), true);
    return outcome.kind == DeviceOutcome::Kind::kAllocated ? Names(outcome) : absl::StrCat("none ", outcome.message);
  }
  static std::string Names(const DeviceOutcome& outcome) {
    std::vector<std::string> names;
    for (const AllocatedDevice& device : outcome.allocations.at(0).devices) names.push_back(device.id.device);
    return absl::StrJoin(names, " ");
  }
  // By another claim; of a shared one so many GiB.
  Box& Use(const std::string& driver, const std::string& device, int64_t gi = 0) {
    DeviceAllocation allocation;
    AllocatedDevice& used = allocation.devices.emplace_back();
    used.id = {driver, "p", device};
    if (gi > 0) {
      used.share_id = "share";
      used.consumed_capacity["memory"] = Amount(gi * kGi);
    }
    Keep(std::move(allocation));
    return *this;
  }
  size_t Keep(DeviceAllocation allocation) {
    auto claim = std::make_shared<ResourceClaim>();
    claim->name = absl::StrCat("used-", used_.size());
    claim->allocation = std::move(allocation);
    devices_.Update(Kind::kResourceClaim, nullptr, claim, kNoRow);
    used_.push_back(claim);
    return used_.size() - 1;
  }
  void Free(size_t used) {
    if (used_[used] != nullptr) devices_.Update(Kind::kResourceClaim, used_[used], nullptr, kNoRow);
    used_[used] = nullptr;
  }
  size_t used() const { return used_.size(); }
  Box& Put(const ResourceSlice& slice) {
    slices_.push_back(std::make_shared<ResourceSlice>(slice));
    devices_.Update(Kind::kResourceSlice, nullptr, slices_.back(), kNoRow);
    return *this;
  }
  static ResourceSlice SliceOf(const std::string& driver, int64_t slices = 1) {
    ResourceSlice slice;
    slice.name = slice.uid = slice.driver = driver;
    slice.pool = "p";
    slice.slice_count = slices;
    slice.nodes.node_name = "n";
    return slice;
  }

  // Why what is taken must not be, or "".
  std::string Broken() const {
    absl::btree_map<std::pair<std::string, std::string>, int64_t> counters;
    for (const auto& slice : slices_) {
      for (const Device& device : slice->devices) {
        const auto use = devices_.allocated().find(DeviceId{slice->driver, slice->pool, device.name});
        if (use == devices_.allocated().end() || use->second.free()) continue;
        if (use->second.exclusive + (use->second.shared > 0 ? 1 : 0) > 1) return device.name + " is taken twice";
        for (const auto& [name, amount] : use->second.capacity) {
          if (device.capacity.at(name).value.value < amount) return device.name + " is overdrawn";
        }
        for (const CounterConsumption& consumed : device.consumes_counters) {
          for (const auto& [name, amount] : consumed.counters) {
            if (++counters[{consumed.counter_set, name}] > 1) return device.name + "'s counters are overdrawn";
          }
        }
      }
    }
    return "";
  }

 private:
  static NodeIndex kNoRow(const std::string&) { return kNoNode; }
  Node node_;
  DeviceColumns devices_;
  std::map<std::string, DeviceClass> classes_;
  std::vector<std::shared_ptr<ResourceSlice>> slices_;
  std::vector<std::shared_ptr<ResourceClaim>> used_;
  int shares_ = 0;
  std::unique_ptr<DeviceAllocator> first_, scored_;
};

TEST(DeviceOrderTest, TakesTheTightest) {
  Box box;
  box.Sized({80, 40, 60}, false);
  EXPECT_EQ(box.Take({{"gpu"}}), "gpu1");
  EXPECT_EQ(box.Take({{"gpu", 2}}), "gpu1 gpu2");
  box.Use("gpu", "gpu1");
  EXPECT_EQ(box.Take({{"gpu"}}), "gpu2");
}

TEST(DeviceOrderTest, FillsSharedDevices) {
  Box box;
  box.Sized({80, 80, 80, 40}, true).Use("shared", "gpu1", 20).Use("shared", "gpu2", 70);
  EXPECT_EQ(box.Take({{"shared", 1, "", 10}}), "gpu2");
  EXPECT_EQ(box.Take({{"shared", 1, "", 20}}), "gpu1");
  EXPECT_EQ(box.Take({{"shared", 1, "", 40}}), "gpu1");
  EXPECT_EQ(box.Take({{"shared", 1, "", 70}}), "gpu0");
  box.Use("shared", "gpu1", 60);
  EXPECT_EQ(box.Take({{"shared", 1, "", 20}}), "gpu3");  // of those that nobody shares the tightest
}

TEST(DeviceOrderTest, CutsWhatIsCut) {
  const struct {
    std::vector<std::string> used;
    std::string profile, want;
  } kRows[] = {
      {{}, "1g", "1g-0-6"},  // no piece of two has it
      {{}, "2g", "2g-0-0"},
      {{}, "3g", "3g-0-4"},  // the other half has more to offer
      {{}, "7g", "7g-0-0"},
      {{"1g-1-6"}, "1g", "1g-1-4"},
      {{"1g-1-6"}, "2g", "2g-1-4"},
      {{"1g-1-6"}, "3g", "3g-1-0"},
      {{"1g-1-6"}, "7g", "7g-0-0"},
      {{"1g-1-6", "3g-0-4"}, "1g", "1g-1-4"},  // in the way of a 2g; on gpu0 of a 3g too
      {{"7g-0-0"}, "1g", "1g-1-6"},
      {{"7g-0-0", "3g-1-4", "2g-1-2", "1g-1-1"}, "1g", "1g-1-0"},
      {{"7g-0-0", "3g-1-4", "2g-1-2", "1g-1-1"}, "2g", "none "},
  };
  for (const auto& row : kRows) {
    Box box;
    box.Cut(2);
    for (const std::string& used : row.used) box.Use("mig", used);
    EXPECT_EQ(box.Take({{"mig", 1, row.profile}}), row.want) << absl::StrJoin(row.used, " ") << ", " << row.profile;
  }
}

TEST(DeviceOrderTest, TakesWhatLiesTogether) {
  Box box;
  box.Cut(2);
  EXPECT_EQ(box.Take({{"mig", 3, "1g"}}), "1g-0-6 1g-0-0 1g-0-1");
  EXPECT_EQ(box.Take({{"mig", 1, "1g"}, {"mig", 1, "2g"}}), "1g-0-6 2g-0-0");
  Box whole;
  whole.Whole(4).Use("gpu", "gpu0");
  EXPECT_EQ(whole.Take({{"gpu", 2}}, "gpu/link"), "gpu2 gpu3");  // gpu1 alone cannot
}

TEST(DeviceOrderTest, BreaksGroupsThatAreBroken) {
  const struct {
    std::vector<std::string> used;
    std::vector<Box::Want> wants;
    std::string match, want;
  } kRows[] = {
      {{}, {{"gpu"}}, "", "gpu0"},
      {{"nic2"}, {{"gpu"}}, "", "gpu2"},  // the root has no NIC for it any more
      {{"gpu1"}, {{"nic"}}, "", "nic1"},
      {{"gpu1"}, {{"gpu"}}, "", "gpu0"},  // its link is broken
      {{"gpu0", "gpu3"}, {{"gpu", 2}}, "", "gpu1 gpu2"},
      {{"gpu1", "nic2"}, {{"gpu"}, {"nic"}}, kRoot, "gpu0 nic0"},  // of a broken link
      {{"gpu0", "gpu1", "gpu2", "nic3"}, {{"gpu"}, {"nic"}}, kRoot, "none "},
  };
  for (const auto& row : kRows) {
    Box box;
    box.Whole(4);
    for (const std::string& used : row.used) box.Use(used.substr(0, 3), used);
    EXPECT_EQ(box.Take(row.wants, row.match), row.want) << absl::StrJoin(row.used, " ");
  }
}

// To compare nodes: the fuller, the less is lost.
TEST(DeviceOrderTest, TellsWhatIsLost) {
  const auto loss = [](Box& box, const Box::Want& want) { return box.Allocate(Box::ClaimOf({want}), true).loss; };
  Box fresh, cut, empty, half, big;
  fresh.Cut(2);
  cut.Cut(2).Use("mig", "1g-0-6");
  EXPECT_LT(loss(cut, {"mig", 1, "1g"}), loss(fresh, {"mig", 1, "1g"}));
  empty.Sized({80, 80, 80, 80}, false);
  half.Sized({80, 80, 80, 80}, false).Use("gpu", "gpu0").Use("gpu", "gpu1");
  EXPECT_EQ(loss(empty, {"gpu"}) - loss(half, {"gpu"}), 2 * 8);
  big.Sized({160, 160, 160, 160}, false);
  EXPECT_EQ(loss(big, {"gpu"}) - loss(empty, {"gpu"}), 128);
  EXPECT_EQ(empty.Allocate(Box::ClaimOf({{"gpu"}}), false).loss, 0);
  // Without a step to look, it is not told.
  const ResourceClaim claim = Box::ClaimOf({{"gpu"}});
  EXPECT_EQ(big.Allocate(claim, true, 1000, 0).loss, loss(big, {"gpu"}));  // known before
  Box fresh_one;
  fresh_one.Sized({80, 40}, false);
  const DeviceOutcome outcome = fresh_one.Allocate(claim, true, 1000, 0);
  EXPECT_EQ(outcome.loss, DeviceOutcome::kUnknownLoss);
  EXPECT_EQ(Box::Names(outcome), "gpu0");
}

// Whether there are devices is what first fit says, though it looks at others: it meets no selector's error where it is
// done before, and its budget is the one that counts.
TEST(DeviceOrderTest, FitsWhatFirstFitFits) {
  Box box;
  box.Sized({80, 40}, false);
  ResourceClaim claim = Box::ClaimOf({{"gpu"}});
  claim.requests[0].selectors = {"broken"};
  for (const bool scored : {false, true})
    EXPECT_EQ(box.Allocate(claim, scored).kind, DeviceOutcome::Kind::kError) << scored;

  // The tightest device is the only one for the second request: with it all ways to choose eight fail.
  Box many;
  ResourceSlice slice = Box::SliceOf("gpu");
  for (int i = 0; i < 32; ++i) {
    Device& device = slice.devices.emplace_back();
    device.name = absl::StrCat("gpu", i);
    device.capacity["memory"].value = Amount((100 - i) * kGi);
  }
  slice.devices.back().attributes["profile"] = Text("x");
  many.Put(slice);
  const ResourceClaim claims = Box::ClaimOf({{"gpu", 8}, {"gpu", 1, "x"}});
  const DeviceOutcome first = many.Allocate(claims, false), scored = many.Allocate(claims, true);
  ASSERT_EQ(first.kind, DeviceOutcome::Kind::kAllocated);
  ASSERT_EQ(scored.kind, DeviceOutcome::Kind::kAllocated);
  EXPECT_EQ(Box::Names(first), Box::Names(scored));
  EXPECT_EQ(scored.steps, first.steps);
  EXPECT_EQ(scored.better_steps, first.steps + 256 + 8 * 32 + 1);
}

// The tightest device is of a slice from which no result can be made: one of 12,000 generated scenarios.
TEST(DeviceOrderTest, TakesNoDeviceWhoseNodesCannotBeWritten) {
  Box box;
  ResourceSlice near = Box::SliceOf("gpu", 2), far = near;
  Device device;
  device.name = "near";
  device.capacity["memory"].value = Amount(80 * kGi);
  near.devices.push_back(device);
  device.name = "far";
  device.capacity["memory"].value = Amount(40 * kGi);
  far.devices.push_back(device);
  far.name = far.uid = "z";
  far.nodes.node_name = "";
  far.nodes.selector.emplace(2);
  box.Put(near).Put(far);
  EXPECT_EQ(box.Take({{"gpu"}}), "near");
  EXPECT_EQ(box.Take({{"gpu", 2}}), "near far");  // as the first fit takes them
  box.Use("gpu", "near");
  const std::string problem = "unsupported ResourceSlice.NodeSelector with 2 terms";
  EXPECT_THAT(box.Take({{"gpu"}}), testing::HasSubstr(problem));
  // What the first fit fails for fails, though there is another.
  far.name = far.uid = "a";
  near.name = near.uid = "z";
  Box other;
  other.Put(near).Put(far);
  EXPECT_THAT(other.Take({{"gpu"}}), testing::HasSubstr(problem));
}

// Claims come and go: each fits a node where first fit finds it to fit, and nothing is taken twice.
TEST(DeviceOrderTest, AnswersAsFirstFitWhereverClaimsComeAndGo) {
  constexpr uint64_t kSeed = 20261122;
  SCOPED_TRACE(absl::StrCat("seed ", kSeed));
  Random random(kSeed);
  int fits = 0, others = 0, asked = 0;
  for (int round = 0; round < 60; ++round) {
    Box box;
    box.Whole(4).Cut(2);
    if (round % 2 == 0) box.Sized({80, 40, 80}, true);
    for (int step = 0; step < 60; ++step, ++asked) {
      if (box.used() > 0 && random.Below(3) == 0) box.Free(random.Below(box.used()));
      std::vector<Box::Want> wants;
      const auto times = 1 + random.Below(3);
      for (uint64_t i = 0; i < times; ++i) {
        static const std::string kProfiles[] = {"1g", "2g", "3g", "7g", ""};
        static const std::string kClasses[] = {"gpu", "nic", "mig", "shared"};
        Box::Want& want = wants.emplace_back();
        want.device_class = kClasses[random.Below(4)];
        want.count = static_cast<int64_t>(1 + random.Below(2));
        if (want.device_class == "mig") want.profile = kProfiles[random.Below(5)];
        if (want.device_class == "shared") want.gi = static_cast<int64_t>(random.Below(50));
      }
      const std::string matches[] = {"", "", kRoot, "gpu/link"};
      ResourceClaim claim = Box::ClaimOf(wants, matches[random.Below(4)]);
      if (random.Below(4) == 0) claim.constraints.push_back({{"r1"}, "", kRoot});
      if (random.Below(4) == 0) {
        DeviceRequest& request = claim.requests.back();
        request.first_available = {request, request};
        request.first_available[0].count = 3;
        request.first_available[1].name = "other";
      }
      const DeviceOutcome first = box.Allocate(claim, false);
      DeviceOutcome scored = box.Allocate(claim, true);
      ASSERT_EQ(first.kind, scored.kind) << round << " " << step << ": " << first.message << ", " << scored.message;
      ASSERT_EQ(first.message, scored.message);
      ASSERT_EQ(first.chosen, scored.chosen);
      if (scored.kind != DeviceOutcome::Kind::kAllocated) continue;
      ++fits;
      others += Box::Names(first) != Box::Names(scored) ? 1 : 0;
      box.Keep(std::move(scored.allocations[0]));
      ASSERT_EQ(box.Broken(), "") << round << " " << step;
    }
  }
  EXPECT_GT(fits, asked / 10);
  EXPECT_LT(fits, asked);
  EXPECT_GT(others, fits / 4);
}

}  // namespace
}  // namespace muster
