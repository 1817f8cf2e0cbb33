#include "scheduler/engine/cycle/group_cycle.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "scheduler/engine/cycle/group_explain.h"

namespace muster {
namespace {

// What may leave a queue room.
constexpr ClusterEvents kRoomInQueue = kPodRemoved | kPodScaledDown | kNodeAdded | kNodeLabel | kQueueChanged;

// Whether the profile has a PostFilter that evicts; DynamicResources' takes allocations from claims alone.
bool Preempts(const Framework& framework) {
  const auto plugins = framework.post_filters();
  return std::any_of(plugins.begin(), plugins.end(), [](const auto* p) { return p->Name() != "DynamicResources"; });
}

}  // namespace

const GroupDecision& GroupCycle::Decide(const Framework& framework, const GroupRequest& request,
                                        StageListener* stages) {
  // 1. Head: the queue named the group. 2. Admit: pods are charged to their queue as they are placed, on nodes alone
  // that it has room on.
  result_.placed = false;
  result_.placements.clear();
  result_.intents.clear();
  result_.intent_member.clear();
  result_.why = nullptr;
  result_.room.reset();
  result_.nominations.clear();
  result_.work = {};
  result_.from_cache = true;
  shapes_.BeginRound();

  // 3. Domains and 4. place: a lone pod may go anywhere; a group's members in the best domain that takes
  // the whole minimum, each seeing the ones before it.
  // 5. Make room: where nothing fits, victims are looked for, and what they would do is proved.
  const size_t start = statement_.Checkpoint();
  const bool lone =
      request.members.size() == 1 && request.min == 1 && !request.group.present() && !request.topology.present();
  // What is kept for it is there once those have left whom it waits for, whoever was promised the rest.
  if (request.kept) UseQuota(Ledger::View::kWithoutPromises);
  const bool fits = lone ? PlacePod(framework, request, stages) : PlaceGroup(framework, request, stages);
  UseQuota(Ledger::View::kAll);
  if (!fits || !CollectIntents(framework, request.members)) {
    statement_.Rollback(start);
    result_.placements.clear();
    result_.intents.clear();
    result_.intent_member.clear();
    return result_;
  }

  // 6. Commit: what was placed stays; the caller carries the intents out.
  statement_.Commit();
  result_.placed = true;
  return result_;
}

bool GroupCycle::CollectIntents(const Framework& framework, std::span<const Member> members) {
  const auto of = [&](size_t member) {
    result_.intent_member.resize(result_.intents.size(), static_cast<uint32_t>(member));
  };
  for (size_t i = 0; i < members.size(); ++i) {
    const NodeIndex node = result_.placements[i].node;
    if (node == kNoNode) continue;
    for (const PreBindPlugin* plugin : framework.pre_binds()) {
      const PodOnNode pod{members[i].pod.get(), members[i].info.get()};
      if (Outcome o = plugin->PreBind(pod, snapshot_, node, result_.intents); !o.ok()) return Reject(*plugin, o);
    }
    of(i);
  }
  for (size_t i = 0; i < members.size(); ++i) {
    const NodeIndex node = result_.placements[i].node;
    if (node == kNoNode) continue;
    for (const BindPlugin* plugin : framework.binds()) {
      const Outcome o = plugin->Bind(*members[i].info, node, result_.intents);
      if (o.skip()) continue;
      if (!o.ok()) return Reject(*plugin, o);
      break;
    }
    of(i);
  }
  return true;
}

bool GroupCycle::Reject(const Plugin& plugin, const Outcome& outcome) {
  rejected_ = {};
  rejected_.message = absl::StrJoin(outcome.reasons, ", ");
  rejected_.causes.push_back({std::string(plugin.Name()), rejected_.message, 0});
  rejected_.rejectors = {&plugin};
  rejected_.wake_on = plugin.RequeueOn();
  rejected_.preemption_may_help = outcome.code == Code::kUnschedulable;
  result_.why = &rejected_;
  return false;
}

// --- A lone pod --------------------------------------------------------------------------------

bool GroupCycle::PlacePod(const Framework& framework, const GroupRequest& request, StageListener* stages) {
  bool known = false;
  const Member& member = request.members[0];
  const PodInfo& pod = *member.info;
  snapshot_.Prepare(pod);
  ShapeCache::Entry& entry = shapes_.Get(member.info, &known);
  result_.from_cache &= known;
  const auto for_words = [this](size_t words, absl::FunctionRef<void(WordRange)> body) {
    workers_.ForWords(words, [&](size_t begin, size_t end) { body({begin, end}); });
  };
  const Nominated others{nominator_, statement_, member.pod->uid};
  const Nominated* nominated = nominator_.by_node().empty() ? nullptr : &others;
  entry.answer.Update(framework, pod, snapshot_, seed_, for_words, result_.work, stages, nominated);
  const NodeSet* const room = search_.RoomFor(request, member);
  const NodeIndex node = entry.answer.error().ok() ? Choose(*member.pod, entry.answer, room) : kNoNode;
  if (node == kNoNode && room != nullptr && entry.answer.error().ok() && entry.answer.feasible_count() > 0) {
    NoQuota(pod);
    MakeRoomInQueue(framework, request, nominated, stages);
    return false;
  }
  if (node == kNoNode) {
    result_.why = &WhyNot(framework, entry, nominated);
    if (!result_.why->is_error) MakeRoom(framework, request, entry, nominated, stages);
    return false;
  }
  result_.placements.push_back({node, entry.answer.Total(node)});
  const PodOnNode placed{member.pod.get(), &pod};
  statement_.Place(placed, node);
  return Reserve(framework, placed, node);
}

// The node that was made room on for the pod, while it fits there; else the best.
NodeIndex GroupCycle::Choose(const Pod& pod, const Evaluation& answer, const NodeSet* room) const {
  if (!nominator_.by_node().empty()) {
    const NodeIndex wanted = snapshot_.Find(nominator_.NodeOf(pod.uid));
    if (wanted != kNoNode && answer.feasible().Has(wanted) && (room == nullptr || room->Has(wanted))) return wanted;
  }
  return room == nullptr ? answer.Best() : answer.BestIn(*room, snapshot_);
}

std::string GroupCycle::WhyNoRoom(const PodInfo& pod) const {
  std::string why = ledger_ == nullptr ? "" : ledger_->WhyNoRoom(pod);
  if (!why.empty()) return why;
  return plans_.empty() ? "its queue has no room in the flavors of the nodes that could take it"
                        : absl::StrCat("nodes that could take it are kept for ", plans_.Text());
}

// Nodes could take the pod, but its queue has no room for it there, or they are kept for others.
void GroupCycle::NoQuota(const PodInfo& pod) {
  rejected_ = {};
  rejected_.message = WhyNoRoom(pod);
  rejected_.causes.push_back({"Quota", rejected_.message, 0});
  rejected_.wake_on = kRoomInQueue;
  result_.why = &rejected_;
}

// The same of members of a group, beside what else is in their way. Pods anywhere may leave the queue room, which no
// plugin knows of.
void GroupCycle::AddNoQuota() {
  const PodInfo* pod = search_.without_quota();
  if (pod == nullptr || rejected_.is_error) return;
  absl::StrAppend(&rejected_.message, " ", WhyNoRoom(*pod));
  rejected_.wake_on |= kRoomInQueue;
  rejected_.rejectors.clear();
}

bool GroupCycle::Reserve(const Framework& framework, const PodOnNode& pod, NodeIndex node) {
  Outcome why;
  const Plugin* plugin = WhoRefuses(framework, pod, snapshot_, node, statement_, &why);
  return plugin == nullptr || Reject(*plugin, why);
}

const Explanation& GroupCycle::WhyNot(const Framework& framework, ShapeCache::Entry& entry,
                                      const Nominated* nominated) {
  Evaluation& answer = entry.answer;
  const bool by_filters = answer.error().ok() && answer.pre_filter().ok() && snapshot_.size() > 0;
  const bool told = !by_filters || entry.verdicts.Update(framework, *entry.pod, snapshot_, answer, nominated).ok();
  if (!told || !answer.error().ok() || entry.why_epoch != answer.epoch() ||
      entry.why_version != entry.verdicts.version()) {
    entry.why = Explain(framework, *entry.pod, snapshot_, answer, entry.verdicts, nominated);
    entry.why_epoch = answer.epoch();
    entry.why_version = entry.verdicts.version();
  }
  return entry.why;
}

void GroupCycle::MakeRoom(const Framework& framework, const GroupRequest& group, ShapeCache::Entry& entry,
                          const Nominated* nominated, StageListener* stages) {
  if (framework.post_filters().empty() || snapshot_.size() == 0) return;
  const Member& member = group.members[0];
  if (InQueue(*member.info)) {
    rejected_ = *result_.why;
    result_.why = &rejected_;
    if (rejected_.preemption_may_help) MakeRoomInQueue(framework, group, nominated, stages);
    return;
  }
  if (stages != nullptr) stages->Begin(Point::kPostFilter);
  const PostFilterRequest request{framework,      *member.pod, *member.info, snapshot_, entry.answer,
                                  entry.verdicts, statement_,  nominated,    seed_};
  std::vector<std::string> messages;
  for (const PostFilterPlugin* plugin : framework.post_filters()) {
    PostFilterResult said = plugin->PostFilter(request, entry.memo);
    // The first that finds or breaks something decides; of the others, the last that says what becomes
    // of the nomination.
    const bool last = said.code != Code::kUnschedulable;
    if (last) messages.clear();
    if (!said.message.empty()) messages.push_back(said.message);
    ClaimPtr deallocate = result_.room ? std::move(result_.room->deallocate) : nullptr;
    if (said.deallocate != nullptr) deallocate = std::move(said.deallocate);
    if (last || !result_.room || said.nominate) result_.room = std::move(said);
    result_.room->deallocate = std::move(deallocate);
    if (last) break;
  }
  if (stages != nullptr) stages->End(result_.room->code ? CodeName(*result_.room->code) : "Error");
  rejected_ = *result_.why;
  if (!messages.empty()) absl::StrAppend(&rejected_.message, " ", absl::StrJoin(messages, ", "));
  result_.why = &rejected_;
}

// Of a lone pod, by its queue's rules. Requires: rejected_ says why it has no place.
void GroupCycle::MakeRoomInQueue(const Framework& framework, const GroupRequest& request, const Nominated* nominated,
                                 StageListener* stages) {
  if (!Preempts(framework)) return;
  if (stages != nullptr) stages->Begin(Point::kPostFilter);
  const bool sound = search_.Begin(framework, request, shapes_, nominated, nullptr, result_.work);
  if (sound) {
    RoomForGroup room =
        preemption_.MakeRoomInQueue({framework, request, snapshot_, search_, places_, nominated}, *rule_, *ledger_);
    if (room.result.code == Code::kSuccess) room.result.nominate = room.nominations[0];
    absl::StrAppend(&rejected_.message, " ", room.result.message);
    result_.room = std::move(room.result);
  }
  search_.Keep();
  if (stages != nullptr) stages->End(sound ? CodeName(*result_.room->code) : "Error");
}

// --- A group -----------------------------------------------------------------------------------

// Members' own nominations are theirs to use: they keep no room from each other.
void GroupCycle::Withdraw(std::span<const Member> members) {
  nominated_.clear();
  if (nominator_.by_node().empty()) return;
  bool any = false;
  for (const Member& member : members) {
    nominated_.push_back(nominator_.NodeOf(member.pod->uid));
    any |= !nominated_.back().empty();
    nominator_.Remove(member.pod->uid);
  }
  if (!any) nominated_.clear();
}

void GroupCycle::Renominate(std::span<const Member> members) {
  for (size_t i = 0; i < nominated_.size(); ++i) {
    if (!nominated_[i].empty()) nominator_.Set(members[i].pod, members[i].info, nominated_[i]);
  }
}

bool GroupCycle::PlaceGroup(const Framework& framework, const GroupRequest& request, StageListener* stages) {
  using Verdict = GroupSearch::Verdict;
  if (snapshot_.size() == 0) {
    rejected_ = {};
    rejected_.message = "no nodes available to schedule pods";
    rejected_.wake_on = kNodeAdded;
    result_.why = &rejected_;
    return false;
  }
  Withdraw(request.members);
  const Nominated others{nominator_, statement_, request.members[0].pod->uid};
  const Nominated* nominated = nominator_.by_node().empty() ? nullptr : &others;
  Verdict verdict = Verdict::kImpossible;  // while every place proves so
  PlacementAnswer answer;
  bool placed = false;
  const bool sound = search_.Begin(framework, request, shapes_, nominated, stages, result_.work);
  result_.from_cache = search_.known();
  if (sound && !nominated_.empty()) placed = PlaceNominated(framework, request, nominated);
  if (sound && !placed) {
    answer =
        places_.Visit(framework, request, search_.need(), snapshot_, search_, [&](const PlacementCandidate& candidate) {
          Verdict said = search_.Place(candidate);
          if (said == Verdict::kPlaced && !search_.TryFewer(candidate.preferred_domain)) said = Verdict::kBroken;
          if (said == Verdict::kPlaced) TakePlacements(framework, request, candidate, nominated);
          if (said != Verdict::kImpossible) verdict = said;
          return said == Verdict::kPlaced || said == Verdict::kBroken;
        });
    placed = verdict == Verdict::kPlaced;
    if (!answer.complete && verdict == Verdict::kImpossible) verdict = Verdict::kNotFound;
  }
  if (!placed) {
    rejected_ = ExplainGroup({framework, request, snapshot_, search_, places_, nominated}, answer,
                             verdict == Verdict::kImpossible);
    AddNoQuota();
    result_.why = &rejected_;
    if (!rejected_.is_error) placed = MakeRoomForGroup(framework, request, nominated, stages);
  }
  search_.Keep();
  Renominate(request.members);
  return placed;
}

// Tries exactly the nodes that room was made on.
bool GroupCycle::PlaceNominated(const Framework& framework, const GroupRequest& request, const Nominated* nominated) {
  nominated_rows_.clear();
  size_t count = 0;
  for (const std::string& node : nominated_) {
    nominated_rows_.push_back(node.empty() ? kNoNode : snapshot_.Find(node));
    count += nominated_rows_.back() != kNoNode;
  }
  if (count < search_.need()) return false;
  bool placed = false;
  places_.Visit(framework, request, search_.need(), snapshot_, search_, [&](const PlacementCandidate& candidate) {
    placed = search_.PlaceExactly(candidate, nominated_rows_) == GroupSearch::Verdict::kPlaced;
    if (placed) TakePlacements(framework, request, candidate, nominated);
    return placed || search_.broken_shape() != nullptr;
  });
  return placed;
}

// What the search has placed in the candidate is the result.
void GroupCycle::TakePlacements(const Framework& framework, const GroupRequest& request,
                                const PlacementCandidate& candidate, const Nominated* nominated) {
  result_.placements.clear();
  for (size_t i = 0; i < request.members.size(); ++i)
    result_.placements.push_back({search_.nodes()[i], search_.scores()[i]});
  result_.why = nullptr;
  if (search_.placed() == request.members.size()) return;
  rejected_ = ExplainLeft({framework, request, snapshot_, search_, places_, nominated}, candidate);
  AddNoQuota();
  result_.why = &rejected_;
}

// True: the group was placed after all, for nobody has to go.
bool GroupCycle::MakeRoomForGroup(const Framework& framework, const GroupRequest& request, const Nominated* nominated,
                                  StageListener* stages) {
  UseQuota(Ledger::View::kAll);
  const bool no_quota = search_.without_quota() != nullptr;
  if (!Preempts(framework) || request.min == 0 || !(rejected_.preemption_may_help || no_quota)) return false;
  if (stages != nullptr) stages->Begin(Point::kPostFilter);
  const GroupContext context{framework, request, snapshot_, search_, places_, nominated};
  RoomForGroup room = InQueue(*request.members[0].info) ? preemption_.MakeRoomInQueue(context, *rule_, *ledger_)
                                                        : preemption_.MakeRoom(context, nominated_);
  if (stages != nullptr) stages->End(room.result.code ? CodeName(*room.result.code) : "Error");
  if (room.result.code == Code::kSuccess && room.result.victims.empty() && !room.waits) {
    nominated_.swap(room.nominations);
    const bool placed = PlaceNominated(framework, request, nominated);
    nominated_.swap(room.nominations);
    if (placed) return true;
    room.result.code = Code::kUnschedulable;
  }
  absl::StrAppend(&rejected_.message, " ", room.result.message);
  if (room.result.code == Code::kSuccess) result_.nominations = std::move(room.nominations);
  result_.room = std::move(room.result);
  return false;
}

}  // namespace muster
