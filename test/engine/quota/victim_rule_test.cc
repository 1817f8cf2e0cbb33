// Exact sets of victims, derived by hand from the rules that victim_rule.h states (and where they are the same, Kueue
// documents); and random trees against a plain model of what is legal.
#include "scheduler/engine/quota/victim_rule.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "scheduler/runtime/random.h"
#include "test/engine/quota/victim_world.h"

namespace muster {
namespace {

// The policy is that of who asks: within the queue (Never, LowerPriority, Equal: or newer of equal priority), reclaim
// (Never, LowerPriority, Any), borrowing (Never, LowerPriority).
struct Row {
  const char *queues, *policy, *pods, *who, *victims;
};

constexpr char kTwo[] = "r=0 a:r=4 b:r=4";
constexpr char kLent[] = "r=0 a:r=4 b:r=4,l2";
constexpr char kShared[] = "r=4 a:r=0 b:r=0";
constexpr char kThree[] = "r=0 a:r=2 b:r=2 c:r=4";
constexpr char kEven[] = "r=0 a:r=4 b:r=4 c:r=4";
constexpr char kDeep[] = "r=0 x:r=0 y:r=0 a:x=4 b:x=4 c:y=4";
constexpr char kOwned[] = "r=0 x:r=4 y:r=0 a:x=0 b:x=0 c:y=4";
constexpr char kParents[] = "r=0 x:r=4 y:r=4 a:x=0 c:y=0 d:y=0";
constexpr char kInner[] = "r=0 x:r=4 b:r=4 a:x=2";
constexpr char kGpus[] = "r=0+0 a:r=4+4 b:r=4+4";
constexpr char kLimited[] = "r=8 x:r=0,b4 a:x=0 b:x=0 c:r=0";
constexpr char kSides[] = "r=0 x:r=0 c:r=4 a:x=4 b:x=4";

const Row kRows[] = {
    // An owner reclaims: the newest of the lowest priority first, as many as are needed, up to what is its own.
    {kTwo, "LAN", "a=1*8", "b=1", "a7:R"},
    {kTwo, "LAN", "a=1*8", "b=2", "a6:R a7:R"},
    {kTwo, "LAN", "a=1*8", "b=4", "a4:R a5:R a6:R a7:R"},
    {kTwo, "LAN", "a=1*8", "b=5", "no"},
    {kTwo, "LAN", "a=1*6", "b=2", "fits"},
    {kTwo, "LAN", "a=1*6", "b=3", "a5:R"},
    {kTwo, "LAN", "a=1*4 b=1*4", "b=1", "no"},
    {kTwo, "LAN", "a=1*4 a=1*4/5", "b=2", "a2:R a3:R"},
    {kTwo, "LAN", "a=1*8", "b=2/-5", "a6:R a7:R"},
    {kTwo, "LAN", "a=1*8/9", "b=1", "a7:R"},
    {kTwo, "NAN", "a=1*8", "b=2", "a6:R a7:R"},
    // By priority, or never; system priority never goes.
    {kTwo, "LLN", "a=1*8", "b=1", "no"},
    {kTwo, "LLN", "a=1*8", "b=1/1", "a7:R"},
    {kTwo, "LLN", "a=1*4 a=1*4/5", "b=2/3", "a2:R a3:R"},
    {kTwo, "LLN", "a=1*6/5 a=1*2", "b=3/3", "no"},
    {kTwo, "LLN", "a=1*6/5 a=1*2", "b=2/3", "a6:R a7:R"},
    {kTwo, "LNN", "a=1*8", "b=1/9", "no"},
    {kTwo, "LNL", "a=1*8", "b=1/9", "no"},
    {kTwo, "LAN", "a=1*8/2000000000", "b=1", "no"},
    {kTwo, "LAN", "a=1*8/1999999999", "b=1", "a7:R"},
    {kTwo, "LAN", "a=1*7/2000000000 a=1", "b=1", "a7:R"},
    {kTwo, "LAN", "a=1*7/2000000000 a=1", "b=2", "no"},
    // Pods of several sizes: nobody goes who could come back within what is his queue's.
    {kTwo, "LAN", "a=2*4", "b=1", "a3:R"},
    {kTwo, "LAN", "a=2*4", "b=3", "a2:R a3:R"},
    {kTwo, "LAN", "a=3*2 a=2", "b=4", "a1:R a2:R"},
    {kTwo, "LAN", "a=3*2 a=2", "b=3", "a1:R"},
    {kTwo, "LAN", "a=3*2 a=2", "b=2", "a2:R"},
    {kTwo, "LAN", "a=8", "b=1", "a0:R"},
    {kTwo, "LAN", "a=4*2", "b=4", "a1:R"},
    {kTwo, "LAN", "a=5 a=3", "b=3", "a1:R"},
    {kTwo, "LAN", "a=3 a=5", "b=3", "a1:R"},
    {kTwo, "LAN", "a=1 a=7", "b=4", "a1:R"},
    {kTwo, "LAN", "a=7 a=1", "b=4", "a0:R"},
    {kTwo, "LAN", "a=4 a=1*4", "b=1", "a4:R"},
    {kTwo, "LAN", "a=2*3 a=1*2", "b=4", "a2:R a3:R a4:R"},
    {kTwo, "LAN", "a=2*3 a=1*2", "b=3", "a2:R a4:R"},
    // What is lent to nobody needs no reclaiming.
    {kLent, "LAN", "a=1*6", "b=2", "fits"},
    {kLent, "LAN", "a=1*6", "b=3", "a5:R"},
    {kLent, "LAN", "a=1*6", "b=4", "a4:R a5:R"},
    {kLent, "LAN", "a=1*6 b=1*2", "b=1", "a5:R"},
    {kLent, "LAN", "a=1*6 b=1*2", "b=3", "no"},
    {"r=0 a:r=4 b:r=4,l0", "LAN", "a=1*4", "b=4", "fits"},
    // Who borrows takes from none that borrow, unless it is said so: then by priority, while its share is less.
    {kShared, "LAN", "a=1*4", "b=1/5", "no"},
    {kShared, "LAL", "a=1*4", "b=1/5", "a3:B"},
    {kShared, "LAL", "a=1*4", "b=2/5", "a2:B a3:B"},
    {kShared, "LAL", "a=1*4", "b=3/5", "no"},
    {kShared, "LAL", "a=1*4", "b=4/5", "no"},
    {kShared, "LAL", "a=1*4", "b=2", "no"},
    {kShared, "LAL", "a=1*4/5", "b=1/5", "no"},
    {kShared, "LAL", "a=1*2/9 a=1*2", "b=2/5", "a2:B a3:B"},
    {kShared, "LAL", "a=1*3/9 a=1", "b=2/5", "no"},
    {kShared, "LAL", "a=1*3/9 a=1", "b=1/5", "a3:B"},
    {kShared, "LAL", "a=1*3 b=1/5", "b=1/5", "a2:B"},
    {kShared, "LAL", "a=1*2 b=1*2/5", "b=1/5", "no"},
    {kShared, "LNL", "a=1*4", "b=1/5", "a3:B"},
    {kShared, "NAL", "a=1*4", "b=1/5", "a3:B"},
    {"r=4 a:r=0 b:r=0,b2", "LAL", "a=1*4", "b=2/5", "a2:B a3:B"},
    {"r=4 a:r=0 b:r=0,b2", "LAL", "a=1*4", "b=3/5", "no"},
    {"r=4 a:r=0,w2 b:r=0", "LAL", "a=1*4", "b=1/5", "a3:B"},
    {"r=4 a:r=0,w2 b:r=0", "LAL", "a=1*4", "b=2/5", "no"},
    {"r=4 a:r=0 b:r=0,w2", "LAL", "a=1*4", "b=3/5", "a1:B a2:B a3:B"},
    {"r=4 a:r=0,w0 b:r=0", "LAL", "a=1*4", "b=3/5", "a1:B a2:B a3:B"},
    {"r=4 a:r=0 b:r=0,w0", "LAL", "a=1*4", "b=1/5", "no"},
    {"r=4 a:r=0,w0 b:r=0,w0", "LAL", "a=1*4", "b=1/5", "a3:B"},
    {"r=4 a:r=0,w0 b:r=0,w0", "LAL", "a=1*4", "b=3/5", "no"},
    // In the queue itself.
    {"r=0 a:r=4", "LAN", "a=1*4", "a=1/5", "a3:Q"},
    {"r=0 a:r=4", "LAN", "a=1*4", "a=1", "no"},
    {"r=0 a:r=4", "LAN", "a=1*4", "<a=1", "no"},
    {"r=0 a:r=4", "LAN", "a=1*4", "a=2/5", "a2:Q a3:Q"},
    {"r=0 a:r=4", "NAN", "a=1*4", "a=1/5", "no"},
    {"r=0 a:r=4", "EAN", "a=1*4", "<a=1", "a3:Q"},
    {"r=0 a:r=4", "EAN", "a=1*4", "a=1", "no"},
    {"r=0 a:r=4", "EAN", "a=1*4/1", "<a=1", "no"},
    {kEven, "LAN", "a=1*7 b=1*3", "b=3/5", "b2:Q"},
    {"r=0 a:r=4 b:r=4", "LAN", "a=1*6", "a=3/5", "a5:Q"},
    {"r=0 a:r=4", "LAN", "a=1*2/9 a=1*2", "a=3/5", "no"},
    {"r=0 a:r=4", "LAN", "a=1/3 a=1/1 a=1/2 a=1/1", "a=2/5", "a1:Q a3:Q"},
    {"r=0 a:r=4", "LAN", "a=1/3 a=1/1 a=1/2 a=1/1", "a=3/5", "a1:Q a2:Q a3:Q"},
    {"a=4", "LAN", "a=1*4", "a=1/5", "a3:Q"},
    {"a=4 b=4", "LAL", "a=1*4 b=1*4", "a=1/5", "a3:Q"},
    {"a=4 b=4", "NAL", "a=1*4 b=1*4", "a=1/5", "no"},
    // Not for one that is partly within what is the queue's own, beside those that rank higher.
    {kTwo, "LAN", "a=1*3/9 a=1*5", "a=2/5", "no"},
    {kTwo, "LAN", "a=1*2/9 a=1*6", "a=2/5", "a6:Q a7:Q"},
    {kTwo, "LAN", "a=1*4/9 a=1*4", "a=2/5", "a6:Q a7:Q"},
    {kTwo, "LAN", "a=1*8", "a=5/5", "no"},
    {kTwo, "LAN", "a=1*8", "a=4/5", "a4:Q a5:Q a6:Q a7:Q"},
    // Borrowers before the own.
    {kTwo, "LAN", "a=1*6 b=1*2", "b=2/5", "a4:R a5:R"},
    {kTwo, "LAN", "a=1*5 b=1*3", "b=2/5", "a4:R b2:Q"},
    {kTwo, "LAN", "a=1*5 b=1*3", "b=1/5", "a4:R"},
    {kTwo, "LAN", "a=1*5 b=1*3/5", "b=2/5", "no"},
    {kTwo, "LNN", "a=1*5 b=1*3", "b=2/5", "b1:Q b2:Q"},
    {kTwo, "LAN", "a=1*4 b=1*4", "b=2/5", "b2:Q b3:Q"},
    {kTwo, "LAN", "a=1*4 b=1*2 b=1*2/9", "b=3/5", "no"},
    {kTwo, "LAN", "a=1*4 b=1*2 b=1*2/9", "b=2/5", "b0:Q b1:Q"},
    // The one most over its share first, as shares are once others are gone.
    {kThree, "LAN", "a=1*3 b=1*5", "c=1", "b4:R"},
    {kThree, "LAN", "a=1*3 b=1*5", "c=2", "b3:R b4:R"},
    {kThree, "LAN", "a=1*3 b=1*5", "c=3", "a2:R b3:R b4:R"},
    {kThree, "LAN", "a=1*3 b=1*5", "c=4", "a2:R b2:R b3:R b4:R"},
    {kThree, "LAN", "a=1*3 b=1*5/9", "c=1", "b4:R"},
    {kThree, "LLN", "a=1*3 b=1*5/9", "c=1/5", "a2:R"},
    {"r=0 a:r=2 b:r=2,w3 c:r=4", "LAN", "a=1*3 b=1*5", "c=1", "a2:R"},
    {"r=0 a:r=2 b:r=2,w4 c:r=4", "LAN", "a=1*3 b=1*5", "c=2", "a2:R b4:R"},
    {"r=0 a:r=2,w0 b:r=2 c:r=4", "LAN", "a=1*3 b=1*5", "c=1", "a2:R"},
    {kEven, "LAN", "a=1*6 b=1*6", "c=4", "a4:R a5:R b4:R b5:R"},
    {kEven, "LAN", "a=1*5 b=1*7", "c=3", "a4:R b5:R b6:R"},
    {kEven, "LAN", "a=1*4 b=1*8", "c=2", "b6:R b7:R"},
    {"r=0 x:r=0 c:r=2 d:r=6 a:x=2 b:x=2", "LAN", "a=1*4 b=1*4 c=1*4", "d=3", "a3:R b3:R c3:R"},
    // In a tree: between two queues decides what is below the nearest above both.
    {kDeep, "LAN", "a=1*8 c=1*4", "b=1", "a7:R"},
    {kDeep, "LAN", "a=1*12", "c=2", "a10:R a11:R"},
    {kDeep, "LAN", "a=1*12", "b=2", "a10:R a11:R"},
    {kDeep, "LAN", "a=1*6 b=1*2 c=1*4", "c=1", "no"},
    {kDeep, "LAN", "a=1*6 b=1*6", "c=1", "a5:R"},
    {kDeep, "LAN", "a=1*6 b=1*6", "c=2", "a5:R b5:R"},
    {kDeep, "LAN", "a=1*4 b=1*8", "c=2", "b6:R b7:R"},
    {kDeep, "LAN", "a=1*2 b=1*10", "a=2", "b8:R b9:R"},
    {kDeep, "LAN", "a=1*2 b=1*6 c=1*4", "a=2", "b4:R b5:R"},
    {kSides, "LAN", "a=1*6 c=1*6", "b=2", "a5:R c5:R"},
    {kSides, "LAN", "a=1*4 b=1*2 c=1*6", "b=2", "c4:R c5:R"},
    {"r=0 x:r=0,l2 c:r=4 a:x=4 b:x=4", "LAN", "a=1*4 b=1*2 c=1*6", "b=1", "c5:R"},
    {"r=0 x:r=0,l2 c:r=4 a:x=4 b:x=4", "LAN", "a=1*4 b=1*2 c=1*6", "b=2", "c4:R c5:R"},
    // A parent's quota is its children's, who reclaim it together.
    {kOwned, "LAN", "a=1*8", "c=3", "a5:R a6:R a7:R"},
    {kOwned, "LAN", "a=1*8", "c=4", "a4:R a5:R a6:R a7:R"},
    {kOwned, "LAN", "a=1*8", "c=5", "no"},
    {kOwned, "LAN", "a=1*4 c=1*4", "b=1", "no"},
    {kOwned, "LAL", "a=1*4 c=1*4", "b=1/5", "a3:B"},
    {kOwned, "LAL", "a=1*4 c=1*4", "b=2/5", "a2:B a3:B"},
    {kOwned, "LAL", "a=1*4 c=1*4", "b=3/5", "no"},
    {kParents, "LAN", "a=1*8", "c=2", "a6:R a7:R"},
    {kParents, "LAN", "a=1*8", "c=5", "no"},
    {kParents, "LAN", "a=1*6 c=1*2", "c=2", "a4:R a5:R"},
    {kParents, "LAN", "a=1*4 c=1*4", "c=1", "no"},
    {kParents, "LAN", "d=1*4 a=1*4", "c=1", "no"},
    {kParents, "LAL", "d=1*4 a=1*4", "c=1/5", "d3:B"},
    {kParents, "LAN", "d=1*2 a=1*6", "c=2", "a4:R a5:R"},
    // A queue with children has pods of its own, and its quota is theirs.
    {kInner, "LAN", "x=1*6 b=1*4", "a=1", "x5:R"},
    {kInner, "LAN", "x=1*6 b=1*4", "a=2", "x4:R x5:R"},
    {kInner, "LAN", "x=1*6 b=1*4", "a=3", "no"},
    {kInner, "LAN", "a=1*6 b=1*4", "x=1", "a5:R"},
    {kInner, "LAN", "a=1*6 b=1*4", "x=4", "a2:R a3:R a4:R a5:R"},
    {kInner, "LAN", "a=1*6 b=1*4", "x=5", "no"},
    {kInner, "LAN", "x=1*10", "b=1", "x9:R"},
    // A limit above.
    {kLimited, "LAN", "a=1*4", "b=1/5", "no"},
    {kLimited, "LAL", "a=1*4", "b=1/5", "a3:B"},
    {kLimited, "LAL", "a=1*2 c=1*6", "b=3/5", "no"},
    {kLimited, "LAL", "a=1*3 c=1*5", "b=1/5", "a2:B"},
    {kLimited, "LAL", "a=1*4 c=1*4", "b=1/5", "a3:B"},
    // Several resources: only those who use what lacks.
    {kGpus, "LAN", "a=1+1*6", "b=3+0", "a5:R"},
    {kGpus, "LAN", "a=1*6 a=0+1*6", "b=0+3", "a11:R"},
    {kGpus, "LAN", "a=1*6 a=0+1*6", "b=3+3", "a11:R a5:R"},
    {kGpus, "LAN", "a=1*6 a=0+1*6", "b=5+3", "no"},
    {kGpus, "LAN", "a=1*4 a=0+1*6", "b=0+3", "a9:R"},
    {kGpus, "LAN", "a=1+1*8", "b=2+1", "a6:R a7:R"},
    // Own pods that go lower the own share: nobody of another queue goes for it.
    {"r=8 a:r=0 b:r=0", "LAL", "b=1*3 a=1*5", "b=3/5", "b0:Q b1:Q b2:Q"},
    {"r=8 a:r=0 b:r=0", "LAL", "b=1 a=1*7", "b=2/5", "a5:B a6:B"},
    {"r=8 a:r=0 b:r=0", "LAL", "b=1*4 a=1*4/9", "b=1/5", "b3:Q"},
};

TEST(VictimRuleTest, WhoGoes) {
  for (const Row& row : kRows) {
    VictimWorld world(row.queues);
    const std::string who(row.who + (row.who[0] == '<'));
    world[who.substr(0, 1)].preemption = Policy(row.policy);
    world.Build();
    world.Pods(row.pods);
    EXPECT_EQ(world.Ask(row.who), row.victims)
        << row.queues << " | " << row.policy << " | " << row.pods << " | " << row.who;
  }
}

// Pods of a0, a1, ... that started so many minutes ago, the queue's minRuntime in minutes and evictionsPerHour, and
// how many of its pods went how many minutes ago; for how long the answer holds, in minutes, -1: for ever.
TEST(VictimRuleTest, AQueueProtectsItsPodsForAWhile) {
  struct {
    std::vector<int> started;
    int run;
    std::optional<int64_t> most;
    std::vector<int> went;
    const char *who, *victims;
    int again;
  } const rows[] = {
      {{99, 99, 99, 99, 99}, 0, {}, {}, "b=1", "a4:R", -1},
      {{99, 99, 99, 99, 9}, 10, {}, {}, "b=1", "a3:R", 1},
      {{99, 99, 99, 99, 10}, 10, {}, {}, "b=1", "a4:R", -1},
      {{9, 8, 7, 6, 5}, 10, {}, {}, "b=1", "no", 1},
      {{99, 99, 99, 99, -1}, 10, {}, {}, "b=1", "a3:R", 10},  // not started
      {{9, 8, 7, 6, 5}, 10, {}, {}, "a=1/5", "no", 1},        // from the own queue too
      {{99, 99, 99, 99, 99}, 0, 0, {}, "b=1", "no", -1},
      {{99, 99, 99, 99, 99}, 0, 1, {}, "b=1", "a4:R", -1},
      {{99, 99, 99, 99, 99}, 0, 1, {59}, "b=1", "no", 1},
      {{99, 99, 99, 99, 99}, 0, 1, {60}, "b=1", "no", 0},  // for a second
      {{99, 99, 99, 99, 99}, 0, 1, {61}, "b=1", "a4:R", -1},
      {{99, 99, 99, 99, 99}, 0, 2, {50, 20}, "b=1", "no", 10},
      {{99, 99, 99, 99, 99, 99}, 0, 1, {}, "b=2", "no", -1},
      {{99, 99, 99, 99, 99, 99}, 0, 2, {}, "b=2", "a4:R a5:R", -1},
      {{99, 99, 99, 99, 99}, 0, 0, {}, "a=1/5", "a4:Q", -1},  // by others only
  };
  for (const auto& row : rows) {
    VictimWorld world(row.started.size() == 5 ? "r=0 a:r=4 b:r=1" : "r=0 a:r=4 b:r=2");
    world["a"].preemption.min_runtime = absl::Minutes(row.run);
    world["a"].preemption.evictions_per_hour = row.most;
    world.Build();
    for (const int minutes : row.went) world.evictions.Note("a", kNow - absl::Minutes(minutes));
    for (const int minutes : row.started) {
      world.Run("a", "1", 0);
      world.units.back().started = minutes < 0 ? absl::InfiniteFuture() : kNow - absl::Minutes(minutes);
    }
    EXPECT_EQ(world.Ask(row.who), row.victims) << "row " << &row - rows;
    const Time again = world.rule.again_at();
    EXPECT_EQ(again == absl::InfiniteFuture() ? -1 : absl::ToInt64Minutes(again - kNow), row.again)
        << "row " << &row - rows;
  }
}

// --- Random trees ----------------------------------------------------------------------------------

// What the rules say, from their words, by adding up all pods anew for each question. Own pods of queue q are a child
// of q, numbered -1 - q.
class Model {
 public:
  using Charged = std::vector<const VictimRule::Unit*>;

  Model(const QueueCatalog& catalog, Charged pods, QuotaCell cell)
      : catalog_(catalog), pods_(std::move(pods)), cell_(cell) {}

  static int Own(QueueIndex q) { return -1 - static_cast<int>(q); }
  int ParentOf(int node) const {
    if (node < 0) return -1 - node;
    const QueueIndex parent = catalog_.tree()[static_cast<size_t>(node)].parent;
    return parent == kNoQueue ? INT32_MAX : static_cast<int>(parent);
  }
  int64_t Nominal(int q) const {
    for (const Quota& quota : catalog_.tree()[static_cast<size_t>(q)].quotas) {
      if (quota.cell == cell_) return quota.nominal;
    }
    return 0;
  }
  int64_t Kept(int q) const {  // lent to nobody
    for (const Quota& quota : catalog_.tree()[static_cast<size_t>(q)].quotas) {
      if (quota.cell == cell_ && quota.lending_limit != kUnlimited)
        return std::max<int64_t>(0, Subtree(q) - quota.lending_limit);
    }
    return 0;
  }
  int64_t Subtree(int node) const {
    if (node < 0) return Nominal(-1 - node);
    int64_t sum = Nominal(node);
    for (size_t c = 0; c < catalog_.size(); ++c) {
      const int child = static_cast<int>(c);
      if (ParentOf(child) == node) sum += Subtree(child) - Kept(child);
    }
    return sum;
  }
  int64_t Usage(int node) const {
    int64_t sum = 0;
    if (node < 0) {
      for (const VictimRule::Unit* pod : pods_) {
        if (Own(pod->queue) != node) continue;
        for (const Charge& charge : pod->charges) sum += charge.cell == cell_ ? charge.amount : 0;
      }
      return sum;
    }
    sum = Usage(-1 - node);
    for (size_t c = 0; c < catalog_.size(); ++c) {
      const int child = static_cast<int>(c);
      if (ParentOf(child) == node) sum += std::max<int64_t>(0, Usage(child) - Kept(child));
    }
    return sum;
  }
  int64_t Potential(int q) const {  // with nothing used
    const int above = ParentOf(q);
    if (above == INT32_MAX) return Subtree(q);
    int64_t most = Kept(q) + Potential(above);
    for (const Quota& quota : catalog_.tree()[static_cast<size_t>(q)].quotas) {
      if (quota.cell == cell_ && quota.borrowing_limit != kUnlimited)
        most = std::min(most, Subtree(q) + quota.borrowing_limit);
    }
    return most;
  }
  bool Borrows(int node) const { return Usage(node) > Subtree(node); }
  // From the queue's own pods upwards.
  std::vector<int> Path(QueueIndex q) const {
    std::vector<int> path;
    for (int node = Own(q); node != INT32_MAX; node = ParentOf(node)) path.push_back(node);
    return path;
  }

 private:
  const QueueCatalog& catalog_;
  const Charged pods_;
  const QuotaCell cell_;
};

struct Running {
  std::string name;
  VictimRule::Unit unit;
  bool running = false;
};

// Why the victim may not go for `who` as one of the set, by the words of the rules; "" = it may. `after`: all that run
// in the end, the one that asks included; `before`: all that ran.
std::string WhyNot(const QueueCatalog& catalog, const Model::Charged& before, const Model::Charged& after,
                   const VictimRule::Unit& who, const VictimRule::Unit& victim, bool may_borrow = true) {
  const QueuePreemption& policy = catalog.queue(who.queue).preemption;
  const bool lower = victim.priority < who.priority;
  if (victim.queue == who.queue) {
    if (policy.within_queue == Within::kNever) return "never in the queue";
    const auto ranks_lower = [&](const VictimRule::Unit& pod) {
      const bool equal = policy.within_queue == Within::kLowerOrNewerEqualPriority && pod.priority == who.priority;
      return pod.priority < who.priority || (equal && pod.created > who.created);
    };
    Model::Charged higher;
    for (const VictimRule::Unit* pod : before) {
      if (pod->queue == who.queue && !ranks_lower(*pod)) higher.push_back(pod);
    }
    for (const Charge& charge : who.charges) {
      const Model model(catalog, higher, charge.cell);
      const int64_t used = model.Usage(Model::Own(who.queue)), own = model.Subtree(Model::Own(who.queue));
      if (used < own && own < used + charge.amount) return "who comes is partly within what is the queue's own";
    }
    return ranks_lower(victim) ? "" : "its rank is not lower";
  }
  if (victim.priority >= VictimRule::kSystemPriority) return "system priority";
  Model::Charged with = after;
  with.push_back(&victim);
  std::string why = "it borrows nothing that is asked for";
  for (const Charge& asked : who.charges) {
    const bool used = std::any_of(victim.charges.begin(), victim.charges.end(),
                                  [&](const Charge& charge) { return charge.cell == asked.cell && charge.amount > 0; });
    if (!used) continue;
    const Model back(catalog, with, asked.cell), now(catalog, after, asked.cell);
    std::vector<int> mine = now.Path(who.queue), other = now.Path(victim.queue);
    if (mine.back() != other.back()) return "they share nothing";
    while (mine.back() == other.back()) mine.pop_back(), other.pop_back();
    // As far as it gets with what it is charged.
    if (!std::all_of(other.begin(), other.end(),
                     [&](int node) { return back.Borrows(node) && back.Usage(node) > now.Usage(node); }))
      continue;
    why.clear();
    bool owner = true;
    for (const Charge& charge : who.charges) {
      const Model all(catalog, after, charge.cell);
      const bool gets_there = std::all_of(mine.begin(), mine.end() - 1,
                                          [&](int node) { return node < 0 || all.Usage(node) > all.Kept(node); });
      owner &= !gets_there || !all.Borrows(mine.back());
    }
    if (owner && policy.reclaim == Reclaim::kNever) return "never reclaims";
    if (owner && policy.reclaim == Reclaim::kLowerPriority && !lower) return "its priority is not lower";
    if (!owner && (policy.borrowing == Borrowing::kNever || !may_borrow)) return "who borrows takes nothing";
    if (!owner && !lower) return "its priority is not lower, for one that borrows";
    if (owner) break;
    // The shares, without rounding: of what is borrowed of what the place can lend, by weight.
    const auto share = [&](const Model::Charged& pods, int node) {
      std::pair<bool, double> most{false, 0};
      for (QuotaCell cell = 0; cell < catalog.cells().size(); ++cell) {
        const Model model(catalog, pods, cell);
        const int above = model.ParentOf(node);
        const auto lent = static_cast<double>(model.Potential(above));
        const auto over = static_cast<double>(node < 0 ? model.Usage(node) : model.Usage(node) - model.Subtree(node));
        const int weight = node < 0 ? 1 : catalog.queue(static_cast<QueueIndex>(node)).weight;
        if (over > 0 && lent > 0) most = std::max(most, {weight == 0, over / lent / std::max(1, weight)});
      }
      return most;
    };
    if (!(share(after, mine.back()) < share(with, other.back()))) return "its share is not less";
    break;
  }
  return why;
}

// Arrivals in random trees, each placed or not as the rules say; who is evicted comes back as a new pod. Every set of
// victims is legal by the model, leaves room, and has nobody who need not go; and it all ends.
class Play {
 public:
  explicit Play(uint64_t seed) : random_(seed) {}

  // How many were evicted.
  int Run() {
    const bool gpus = OneIn(3);
    std::vector<std::string> names;
    std::string queues;
    const size_t count = 2 + Pick(6);
    for (size_t q = 0; q < count; ++q) {
      const std::string name(1, static_cast<char>('a' + q));
      absl::StrAppend(&queues, q == 0 ? "" : " ", name,
                      q == 0 || OneIn(12) ? std::string() : absl::StrCat(":", names[Pick(q)]), "=", Pick(6));
      if (gpus) absl::StrAppend(&queues, "+", Pick(4));
      if (OneIn(5)) absl::StrAppend(&queues, ",b", Pick(5));
      if (OneIn(5)) absl::StrAppend(&queues, ",l0");
      if (OneIn(3)) absl::StrAppend(&queues, ",w", Pick(4));
      names.push_back(name);
    }
    VictimWorld world(queues);
    std::string policies;
    for (const std::string& name : names) {
      const std::string policy{"NLE"[Pick(3)], "NLAA"[Pick(4)], "NL"[Pick(2)]};
      absl::StrAppend(&policies, " ", name, ":", policy);
      world[name].preemption = Policy(policy);
    }
    world.Build();
    if (world.catalog().size() < count) return 0;  // it lends more than it has
    what_ = absl::StrCat(queues, " |", policies);
    std::vector<Running> pods(4 + Pick(16));
    for (size_t i = 0; i < pods.size(); ++i) {
      pods[i].name = names[Pick(count)];
      pods[i].unit.queue = world.IndexOf(pods[i].name);
      pods[i].unit.priority = static_cast<int32_t>(Pick(4));
      pods[i].unit.created = pods[i].unit.started = Next();
      amounts_.push_back(absl::StrCat(1 + Pick(4), gpus ? absl::StrCat("+", Pick(3)) : ""));
      for (const Charge& charge : world.Charges(amounts_[i])) pods[i].unit.charges.push_back(charge);
    }
    int evicted = 0;
    for (int quiet = 0, steps = 0; quiet < static_cast<int>(2 * pods.size()); ++steps) {
      if (steps == 20'000) {
        ADD_FAILURE() << "it does not end: " << what_;
        return evicted;
      }
      const size_t i =
          steps < 3 * static_cast<int>(pods.size()) ? Pick(pods.size()) : static_cast<size_t>(steps) % pods.size();
      ++quiet;
      if (pods[i].running) continue;
      const int gone = Try(world, pods, i);
      if (gone < 0) continue;
      quiet = 0;
      evicted += gone;
    }
    return evicted;
  }

 private:
  uint64_t Pick(uint64_t bound) { return random_.Below(bound); }
  bool OneIn(uint64_t n) { return Pick(n) == 0; }
  Time Next() { return kNow - absl::Hours(500) + absl::Seconds(++clock_); }

  // How many went for the pod; -1: it has no place.
  int Try(VictimWorld& world, std::vector<Running>& pods, size_t i) {
    Running& who = pods[i];
    world.units.clear();
    world.names.clear();
    std::vector<size_t> of;
    for (size_t p = 0; p < pods.size(); ++p) {
      if (!pods[p].running) continue;
      world.units.push_back(pods[p].unit);
      world.names.push_back(absl::StrCat(pods[p].name, p));
      of.push_back(p);
    }
    const std::string answer = world.Ask(who, amounts_[i]);
    if (answer == "no") return -1;
    const auto run = [&](Running& pod, bool running) {
      pod.running = running;
      for (const Charge& charge : pod.unit.charges)
        world.tree().Add(pod.unit.queue, charge.cell, running ? charge.amount : -charge.amount);
    };
    Model::Charged before, after;
    for (const Running& pod : pods) {
      if (pod.running) before.push_back(&pod.unit);
    }
    const std::vector<uint32_t> victims = answer == "fits" ? std::vector<uint32_t>() : world.victims;
    for (const uint32_t v : victims) run(pods[of[v]], false);
    run(who, true);
    for (const Running& pod : pods) {
      if (pod.running) after.push_back(&pod.unit);
    }
    for (const Charge& charge : who.unit.charges)
      EXPECT_GE(world.tree().Available(who.unit.queue, charge.cell), 0) << what_ << " " << answer;
    for (const uint32_t v : victims) {
      Running& victim = pods[of[v]];
      EXPECT_EQ(WhyNot(world.catalog(), before, after, who.unit, victim.unit), "")
          << what_ << " | for " << who.name << "=" << amounts_[i] << ": " << answer << ", " << world.names[v];
    }
    ExpectAllNeeded(world, pods, i, of, before, after, victims, answer);
    for (const uint32_t v : victims) pods[of[v]].unit.created = pods[of[v]].unit.started = Next();
    return static_cast<int>(victims.size());
  }

  // Nobody could come back: there would be no room, or others might not go any more.
  void ExpectAllNeeded(VictimWorld& world, const std::vector<Running>& pods, size_t i, const std::vector<size_t>& of,
                       const Model::Charged& before, const Model::Charged& after, const std::vector<uint32_t>& victims,
                       const std::string& answer) {
    QuotaTree& tree = world.tree();
    const VictimRule::Unit& who = pods[i].unit;
    for (const uint32_t v : victims) {
      const VictimRule::Unit& unit = pods[of[v]].unit;
      for (const Charge& charge : unit.charges) tree.Add(unit.queue, charge.cell, charge.amount);
      const bool room = std::all_of(who.charges.begin(), who.charges.end(),
                                    [&](const Charge& charge) { return tree.Available(who.queue, charge.cell) >= 0; });
      for (const Charge& charge : unit.charges) tree.Add(unit.queue, charge.cell, -charge.amount);
      if (!room) continue;
      Model::Charged with = after;
      with.push_back(&unit);
      EXPECT_TRUE(std::any_of(
          victims.begin(), victims.end(),
          [&](uint32_t other) {
            return other != v &&
                   !WhyNot(world.catalog(), before, with, who, pods[of[other]].unit, /*may_borrow=*/false).empty();
          }))
          << what_ << " | " << answer << " " << world.names[v] << " need not go";
    }
  }

  Random random_;
  std::string what_;
  std::vector<std::string> amounts_;  // by pod
  int64_t clock_ = 0;
};

TEST(VictimRuleTest, RandomArrivalsAreLegalAndEnd) {
  int evicted = 0;
  for (uint64_t seed = 1; seed <= 10'000 && !HasFailure(); ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    evicted += Play(seed).Run();
  }
  EXPECT_GT(evicted, 10'000);
}

}  // namespace
}  // namespace muster
