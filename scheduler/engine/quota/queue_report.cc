#include "scheduler/engine/quota/queue_report.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "scheduler/engine/pod_groups.h"
#include "scheduler/model/amount_text.h"

namespace muster {
namespace {

constexpr size_t kNamed = 3;
// A walk looks at so many ends: of queues with more pods that end, only the near future is known.
constexpr size_t kMostEnds = 4000;
// And goes back so often to see whether a group further back fits before one that does not.
constexpr int kMostReturns = 4;
// Starts are estimated of so many of a queue's groups: of those that its status names, and if asked of some more.
constexpr size_t kFewStarts = 10, kMostStarts = 50;

std::string NameOf(const QueuedGroup& group) {
  const Pod& pod = *group.first().pod;
  if (group.lone()) return pod.Key();
  const GroupId id = GroupId::Of(pod);
  const std::string kind = id.kind() == Kind::kPod ? "gang" : std::string(KindName(id.kind()));
  return absl::StrCat(id.ns, "/", kind, "/", id.name);
}

// "a, b, c and 4 more".
std::string Names(std::span<const std::string> names, size_t all) {
  std::string text = absl::StrJoin(names, ", ");
  if (all > names.size()) absl::StrAppend(&text, " and ", all - names.size(), " more");
  return text;
}

size_t Unplaced(const QueuedGroup& group) {
  if (group.lone()) return group.part != QueuedGroup::Part::kNone;  // else its bind is under way
  return static_cast<size_t>(
      std::count_if(group.members.begin(), group.members.end(), [](const QueuedMember& m) { return !m.placed; }));
}

std::string TimeText(Time time) { return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone()); }

}  // namespace

std::string ShareText(const Share& share) {
  if (share.infinite) return "inf";
  // In 2^-20ths of thousandths.
  uint64_t thousandths = (share.value + (uint64_t{1} << 19)) >> 20;
  if (share.value > 0) thousandths = std::max<uint64_t>(thousandths, 1);
  std::string text = absl::StrFormat("%d.%03d", thousandths / 1000, thousandths % 1000);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

QueueReport::QueueReport(Ledger& ledger, const SchedulingQueue& queue, const ReleaseTimes& releases,
                         const Snapshot& snapshot, Time now, Why why)
    : ledger_(ledger), queue_(queue), releases_(releases), snapshot_(snapshot), now_(now), why_(std::move(why)) {
  if (!ledger.on()) return;
  running_.resize(ledger.tree().size());
  waiting_.resize(ledger.tree().size());
  for (NodeIndex n = 0; n < snapshot.size(); ++n) {
    for (const PodOnNode& pod : snapshot.PodsOn(n)) {
      const QueueIndex q = ledger.AccountOf(*pod.info).queue;
      if (q != kNoQueue) ++running_[q];
    }
  }
  for (const QueuedGroup* group : queue.Groups()) {
    // Groups that lack pods, or have bad ones, are not assigned yet.
    const QueueIndex q = group->queue != kNoQueue ? group->queue : ledger.AccountOf(*group->first().info).queue;
    if (q != kNoQueue && Unplaced(*group) > 0) waiting_[q].push_back(group);
  }
  for (auto& groups : waiting_) {
    std::stable_sort(groups.begin(), groups.end(), [&](const QueuedGroup* a, const QueuedGroup* b) {
      const bool gated_a = a->part == QueuedGroup::Part::kGated, gated_b = b->part == QueuedGroup::Part::kGated;
      return gated_a != gated_b ? gated_b : queue.order().ComesBefore(*a, *b);
    });
  }
}

QueueStatus QueueReport::StatusOf(size_t index, size_t most) {
  const QueueCatalog::Entry& entry = ledger_.catalog().entries()[index];
  const Queue& queue = *entry.queue;
  const QueueIndex q = entry.index;
  QueueStatus status;
  status.observed_generation = queue.generation;
  if (q == kNoQueue) {
    status.ready = {true, "False", entry.reason, entry.message};
    return status;
  }
  const bool held = queue.stop_policy != Queue::StopPolicy::kNone;
  status.ready = {true, "True", "Ready", held ? "on hold: nothing new starts" : ""};
  status.running_pods = running_[q];
  status.pending_groups = static_cast<int64_t>(waiting_[q].size());
  for (const QueuedGroup* group : waiting_[q]) status.pending_pods += static_cast<int64_t>(Unplaced(*group));
  const QuotaTree& tree = ledger_.tree();
  status.share = ShareText(tree.ShareOf(q));
  const auto cells = ledger_.catalog().cells();
  for (const QueueResource& resource : queue.resources) {
    const auto at = std::find_if(cells.begin(), cells.end(), [&](const QueueCatalog::Cell& cell) {
      return std::tie(cell.resource, cell.flavor) == std::tie(resource.name, resource.flavor);
    });
    if (at == cells.end()) continue;
    const auto cell = static_cast<QuotaCell>(at - cells.begin());
    status.usage.push_back({resource.name, resource.flavor, tree.Usage(q, cell), tree.Borrowed(q, cell)});
  }
  for (size_t place = 0; place < std::min(most, waiting_[q].size()); ++place)
    status.pending.push_back(Describe(q, place));
  return status;
}

QueueStatus::Pending QueueReport::Describe(QueueIndex q, size_t place) {
  const QueuedGroup& group = *waiting_[q][place];
  const Start& start = StartOf(q, place);
  return {NameOf(group),
          static_cast<int32_t>(place + 1),
          static_cast<int32_t>(Unplaced(group)),
          Ahead(q, place),
          WaitingFor(q, place),
          start.at,
          start.assumption};
}

std::string QueueReport::TextOf(QueueIndex q, size_t place) {
  const QueueStatus::Pending told = Describe(q, place);
  std::string text = absl::StrCat(told.waiting_for, "; position ", told.position, " of ", waiting_[q].size());
  if (!told.ahead.empty()) absl::StrAppend(&text, ", behind ", told.ahead);
  if (told.estimated_start != absl::InfiniteFuture()) {
    absl::StrAppend(&text, "; estimated start ", TimeText(told.estimated_start), " if ", told.assumption);
  } else if (!told.assumption.empty()) {
    absl::StrAppend(&text, "; estimated start ", told.assumption);
  }
  if (!waiting_[q][place]->note.empty()) absl::StrAppend(&text, ". ", waiting_[q][place]->note);
  return text;
}

bool QueueReport::Blocked(QueueIndex q, size_t place) const {
  const QueuedGroup& group = *waiting_[q][place];
  if (group.part != QueuedGroup::Part::kActive || group.reserved) return false;
  if (!Fits(group)) return true;
  if (place == 0 || ledger_.catalog().queue(q).order == Queue::Order::kBestEffortFIFO) return false;
  const QueuedGroup& first = *waiting_[q][0];
  return first.part != QueuedGroup::Part::kActive || !Fits(first);
}

std::string QueueReport::WaitingFor(QueueIndex q, size_t place) const {
  const QueuedGroup& group = *waiting_[q][place];
  if (group.reserved) return "pods that make room for it to be gone";
  if (group.part == QueuedGroup::Part::kActive) {
    const std::string lacks = ledger_.WhyNoRoom(q, group.demand, group.either);
    return lacks.empty() ? "its turn" : lacks;
  }
  const std::string why = why_(group);
  return why.empty() ? "its next try" : why;
}

std::string QueueReport::Ahead(QueueIndex q, size_t place) const {
  std::vector<std::string> nearest;
  for (size_t i = place; i > 0 && nearest.size() < kNamed; --i) nearest.push_back(NameOf(*waiting_[q][i - 1]));
  return Names(nearest, place);
}

// --- Estimated starts ----------------------------------------------------------------------------

void QueueReport::FindEnds() {
  if (std::exchange(ends_known_, true)) return;
  const size_t cells = ledger_.tree().cells();
  unsaid_.resize(ledger_.tree().size() * cells);
  std::vector<Charge> charges;
  for (NodeIndex n = 0; n < snapshot_.size(); ++n) {
    for (const PodOnNode& on : snapshot_.PodsOn(n)) {
      const QueueIndex q = ledger_.AccountOf(*on.info).queue;
      if (q == kNoQueue) continue;
      ledger_.ChargesOn(*on.info, n, charges);
      const Time end = releases_.EndOf(on.pod->uid);
      if (end == absl::InfiniteFuture() || end + ReleaseTimes::kGrace < now_) {
        for (const Charge& charge : charges) unsaid_[q * cells + charge.cell] = true;
        continue;
      }
      ends_.push_back({end, q, static_cast<uint32_t>(charges_.size()), static_cast<uint32_t>(charges.size())});
      charges_.insert(charges_.end(), charges.begin(), charges.end());
    }
  }
  std::stable_sort(ends_.begin(), ends_.end(), [](const End& a, const End& b) { return a.at < b.at; });
  later_ = ledger_.tree();
}

// Goes through a queue's groups and the ends of pods at once, and undoes all that it did to the tree.
class QueueReport::Walk {
 public:
  explicit Walk(QueueReport& of) : of_(of), tree_(of.later_) {}
  ~Walk() { Undo(0); }
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  using Taken = std::multimap<Time, std::pair<QueueIndex, std::vector<Charge>>>;
  struct Mark {
    size_t done, next;
    Time at;
    Taken own;
  };
  Mark Here() const { return {done_.size(), next_, at_, own_}; }
  void Back(Mark mark) {
    Undo(mark.done);
    next_ = mark.next;
    at_ = mark.at;
    own_ = std::move(mark.own);
  }
  bool Fits(const QueuedGroup& group) const { return muster::Fits(tree_, group); }
  // The next instant at which some end. False: no more are known.
  bool Next() {
    const bool own = !own_.empty() && (next_ == of_.ends_.size() || own_.begin()->first <= of_.ends_[next_].at);
    if (own) {
      at_ = own_.begin()->first;
      for (const Charge& charge : own_.begin()->second.second) Add(own_.begin()->second.first, charge, -1);
      own_.erase(own_.begin());
      return true;
    }
    if (next_ == of_.ends_.size() || ++looked_ > kMostEnds) return false;
    const End& end = of_.ends_[next_++];
    at_ = end.at;
    for (uint32_t i = 0; i < end.count; ++i) Add(end.queue, of_.charges_[end.first + i], -1);
    return true;
  }
  // It starts now, and ends if that is known.
  void Take(const QueuedGroup& group) {
    std::vector<Charge> taken(group.demand);
    for (const AnyCharge& any : group.either) {
      int64_t left = any.pods;
      for (const QuotaCell cell : any.cells) {
        const int64_t here = std::min(left, std::max<int64_t>(0, tree_.Available(group.queue, cell)) / any.each);
        if (here > 0) taken.push_back({cell, here * any.each});
        left -= here;
      }
    }
    for (const Charge& charge : taken) Add(group.queue, charge, 1);
    if (at_ != absl::InfinitePast() && group.max_runtime != absl::InfiniteDuration()) {
      own_.emplace(at_ + group.max_runtime, std::pair(group.queue, std::move(taken)));
    } else {
      open_ = true;
    }
  }
  Time at() const { return at_; }      // of the last end; InfinitePast: none was needed
  bool open() const { return open_; }  // something was taken that has no known end

 private:
  void Add(QueueIndex queue, const Charge& charge, int64_t sign) {
    tree_.Add(queue, charge.cell, sign * charge.amount);
    done_.emplace_back(queue, Charge{charge.cell, sign * charge.amount});
  }

  void Undo(size_t to) {
    for (; done_.size() > to; done_.pop_back())
      tree_.Add(done_.back().first, done_.back().second.cell, -done_.back().second.amount);
  }

  QueueReport& of_;
  QuotaTree& tree_;
  std::vector<std::pair<QueueIndex, Charge>> done_;
  Taken own_;  // by the groups that start here, by their ends
  size_t next_ = 0, looked_ = 0;
  Time at_ = absl::InfinitePast();
  bool open_ = false;
};

// Why the group can never start, or "".
std::string QueueReport::Never(const QueuedGroup& group) const {
  for (const Charge& charge : group.demand) {
    const int64_t most = ledger_.tree().Potential(group.queue, charge.cell);
    if (charge.amount <= most || !ledger_.tree().Counts(group.queue, charge.cell)) continue;
    const std::string& resource = ledger_.catalog().cells()[charge.cell].resource;
    return absl::StrCat("never: its queue may use at most ", AmountText(resource, most), " of ", resource);
  }
  return "";
}

// Of the walk's end: whose pods keep what the group lacks for as long as they like.
std::string QueueReport::WhoDoesNotSay(const QueuedGroup& group) const {
  std::vector<QuotaCell> lacking;
  for (const Charge& charge : group.demand) {
    if (later_.Available(group.queue, charge.cell) < charge.amount) lacking.push_back(charge.cell);
  }
  for (const AnyCharge& any : group.either) lacking.insert(lacking.end(), any.cells.begin(), any.cells.end());
  const auto root_of = [&](QueueIndex q) {
    while (later_.parent(q) != kNoQueue) q = later_.parent(q);
    return q;
  };
  std::vector<std::string> names;
  size_t all = 0;
  for (const QueueCatalog::Entry& entry : ledger_.catalog().entries()) {
    if (entry.index == kNoQueue || root_of(entry.index) != root_of(group.queue)) continue;
    const bool keeps = std::any_of(lacking.begin(), lacking.end(),
                                   [&](QuotaCell cell) { return unsaid_[entry.index * later_.cells() + cell]; });
    if (keeps && ++all <= kNamed) names.push_back(entry.queue->name);
  }
  if (all == 0) return "";
  return absl::StrCat("not known: running pods of queue", all == 1 ? " " : "s ", Names(names, all),
                      " have no known end");
}

const QueueReport::Start& QueueReport::StartOf(QueueIndex q, size_t place) {
  static const Start kTooFar{absl::InfiniteFuture(),
                             absl::StrCat("not known: ", kMostStarts, " or more are before it")};
  if (place >= kMostStarts) return kTooFar;
  std::vector<Start>& starts = starts_[q];
  if (place < starts.size()) return starts[place];
  starts.assign(std::min(waiting_[q].size(), place < kFewStarts ? kFewStarts : kMostStarts), {});
  FindEnds();
  Walk walk(*this);
  const bool in_order = ledger_.catalog().queue(q).order != Queue::Order::kBestEffortFIFO;
  int returns = 0;
  for (size_t i = 0; i < starts.size(); ++i) {
    const QueuedGroup& group = *waiting_[q][i];
    Start& start = starts[i];
    if (group.part == QueuedGroup::Part::kGated) break;  // as are those behind it
    if (group.part != QueuedGroup::Part::kActive || group.reserved) {
      start.assumption = "not known: it does not wait for quota";
      continue;
    }
    start.assumption = Never(group);
    if (!start.assumption.empty()) continue;
    Walk::Mark before = walk.Here();
    while (!walk.Fits(group) && walk.Next()) {
    }
    if (walk.Fits(group)) {
      if (walk.at() != absl::InfinitePast()) {
        start.at = walk.at();
        start.assumption = "running pods end when they say, and nobody else takes what they leave";
      }
      walk.Take(group);
      continue;
    }
    start.assumption = WhoDoesNotSay(group);
    if (start.assumption.empty())
      start.assumption = walk.open() ? "not known: those before it do not say how long they will run" : "not known";
    if (in_order || ++returns > kMostReturns) {
      for (size_t k = i + 1; k < starts.size() && waiting_[q][k]->part != QueuedGroup::Part::kGated; ++k)
        starts[k].assumption = absl::StrCat("not known: nor is ", NameOf(group), "'s");
      break;
    }
    walk.Back(std::move(before));
  }
  return starts[place];
}

}  // namespace muster
