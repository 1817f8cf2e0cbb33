#include "scheduler/engine/group_cycle.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace muster {

const GroupDecision& GroupCycle::Decide(const Framework& framework, std::span<const Member> group,
                                        StageListener* stages) {
  // 1. Head: the queue named the group. 2. Admit: quota is charged here once queues exist.
  result_.placed = false;
  result_.placements.clear();
  result_.intents.clear();
  result_.why = nullptr;
  result_.room.reset();
  result_.work = {};
  result_.from_cache = true;

  // 3. Domains: without topology the only candidate domain is the cluster.
  // 4. Place: pods in order, each seeing the ones before it.
  const size_t start = statement_.Checkpoint();
  bool fits = true;
  for (const Member& member : group) {
    if (fits = PlacePod(framework, member, stages); !fits) break;
  }

  // 5. Make room: PlacePod asked PostFilter, which proves what it proposes.
  if (!fits || !CollectIntents(framework, group)) {
    statement_.Rollback(start);
    result_.placements.clear();
    result_.intents.clear();
    return result_;
  }

  // 6. Commit: what was placed stays; the caller carries the intents out.
  statement_.Commit();
  result_.placed = true;
  return result_;
}

bool GroupCycle::PlacePod(const Framework& framework, const Member& member, StageListener* stages) {
  bool known = false;
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
  const NodeIndex node = entry.answer.error().ok() ? Choose(*member.pod, entry.answer) : kNoNode;
  if (node == kNoNode) {
    result_.why = &WhyNot(framework, entry, nominated);
    if (!result_.why->is_error) MakeRoom(framework, member, entry, nominated, stages);
    return false;
  }
  result_.placements.push_back({node, entry.answer.Total(node)});
  statement_.Place({member.pod.get(), &pod}, node);
  return Reserve(framework, pod, node);
}

// The node that was made room on for the pod, while it fits there; else the best.
NodeIndex GroupCycle::Choose(const Pod& pod, const Evaluation& answer) const {
  if (!nominator_.by_node().empty()) {
    const NodeIndex wanted = snapshot_.Find(nominator_.NodeOf(pod.uid));
    if (wanted != kNoNode && answer.feasible().Has(wanted)) return wanted;
  }
  return answer.Best();
}

bool GroupCycle::Reserve(const Framework& framework, const PodInfo& pod, NodeIndex node) {
  for (const ReservePlugin* plugin : framework.reserves()) {
    if (Outcome o = plugin->Reserve(pod, snapshot_, node, statement_); !o.ok()) return Reject(*plugin, o);
  }
  for (const PermitPlugin* plugin : framework.permits()) {
    if (Outcome o = plugin->Permit(pod, snapshot_, node); !o.ok()) return Reject(*plugin, o);
  }
  return true;
}

bool GroupCycle::CollectIntents(const Framework& framework, std::span<const Member> group) {
  for (size_t i = 0; i < group.size(); ++i) {
    const NodeIndex node = result_.placements[i].node;
    for (const PreBindPlugin* plugin : framework.pre_binds()) {
      if (Outcome o = plugin->PreBind(*group[i].info, snapshot_, node, result_.intents); !o.ok()) return Reject(*plugin, o);
    }
  }
  for (size_t i = 0; i < group.size(); ++i) {
    for (const BindPlugin* plugin : framework.binds()) {
      const Outcome o = plugin->Bind(*group[i].info, result_.placements[i].node, result_.intents);
      if (o.skip()) continue;
      if (!o.ok()) return Reject(*plugin, o);
      break;
    }
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

void GroupCycle::MakeRoom(const Framework& framework, const Member& member, ShapeCache::Entry& entry,
                          const Nominated* nominated, StageListener* stages) {
  if (framework.post_filters().empty() || snapshot_.size() == 0) return;
  if (stages != nullptr) stages->Begin(Point::kPostFilter);
  const PostFilterRequest request{framework,  *member.pod, *member.info, snapshot_, entry.answer, entry.verdicts,
                                  statement_, nominated,   seed_};
  std::vector<std::string> messages;
  for (const PostFilterPlugin* plugin : framework.post_filters()) {
    PostFilterResult said = plugin->PostFilter(request, entry.memo);
    // The first that finds or breaks something decides; of the others, the last that says what becomes
    // of the nomination.
    const bool last = said.code != Code::kUnschedulable;
    if (last) messages.clear();
    messages.push_back(said.message);
    if (last || !result_.room || said.nominate) result_.room = std::move(said);
    if (last) break;
  }
  if (stages != nullptr) stages->End(result_.room->code ? CodeName(*result_.room->code) : "Error");
  rejected_ = *result_.why;
  absl::StrAppend(&rejected_.message, " ", absl::StrJoin(messages, ", "));
  result_.why = &rejected_;
}

}  // namespace muster
