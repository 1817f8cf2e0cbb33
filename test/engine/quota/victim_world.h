// Queues and pods in a line of text each, who wants room among them, and who goes for it.
#ifndef MUSTER_TEST_ENGINE_QUOTA_VICTIM_WORLD_H_
#define MUSTER_TEST_ENGINE_QUOTA_VICTIM_WORLD_H_

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
#include "scheduler/engine/quota/victim_rule.h"

namespace muster {

using Within = QueuePreemption::Within;
using Reclaim = QueuePreemption::Reclaim;
using Borrowing = QueuePreemption::Borrowing;
using Reason = VictimRule::Reason;

inline const Time kNow = absl::UnixEpoch() + absl::Hours(1000);

// Queues as "NAME[:PARENT]=CPU[+GPU][,bLIMIT][,lLIMIT][,wWEIGHT]", pods as "QUEUE=CPU[+GPU][*COUNT][/PRIORITY]": those
// of queue a are a0, a1, ... from the oldest on.
class VictimWorld {
 public:
  explicit VictimWorld(std::string_view queues) {
    for (const absl::string_view text : absl::StrSplit(std::string(queues), ' ')) {
      std::vector<std::string> parts = absl::StrSplit(text, ',');
      const auto [name, amounts] = Split(parts[0], '=');
      const auto [own, parent] = Split(name, ':');
      auto queue = std::make_shared<Queue>();
      queue->name = own;
      queue->parent = parent;
      const auto [cpu, gpu] = Split(amounts, '+');
      queue->resources.push_back({"cpu", "", Number(cpu), {}, {}});
      if (!gpu.empty()) queue->resources.push_back({"gpu", "", Number(gpu), {}, {}});
      for (size_t i = 1; i < parts.size(); ++i) {
        const int64_t value = Number(parts[i].substr(1));
        if (parts[i][0] == 'w') queue->weight = static_cast<int32_t>(value);
        for (QueueResource& resource : queue->resources) {
          if (parts[i][0] == 'b') resource.borrowing_limit = value;
          if (parts[i][0] == 'l') resource.lending_limit = value;
        }
      }
      queues_[own] = queue;
    }
  }
  Queue& operator[](const std::string& name) { return *queues_[name]; }

  void Build() {
    ClusterObjects objects;
    for (const auto& [name, queue] : queues_) objects.Set(Kind::kQueue, queue);
    catalog_.Build(objects, "");
    tree_.Build(catalog_.tree(), catalog_.resource_of());
    for (QueueIndex q = 0; q < tree_.size(); ++q) index_[catalog_.queue(q).name] = q;
  }
  void Pods(std::string_view pods) {
    if (pods.empty()) return;
    for (const absl::string_view text : absl::StrSplit(std::string(pods), ' ')) {
      const auto [head, priority] = Split(std::string(text), '/');
      const auto [pod, count] = Split(head, '*');
      const auto [queue, amounts] = Split(pod, '=');
      for (int64_t i = 0; i < (count.empty() ? 1 : Number(count)); ++i) Run(queue, amounts, Number(priority));
    }
  }
  void Run(const std::string& queue, const std::string& amounts, int64_t priority) {
    VictimRule::Unit unit;
    unit.queue = index_.at(queue);
    unit.priority = static_cast<int32_t>(priority);
    unit.created = unit.started = kNow - absl::Hours(500) + absl::Minutes(static_cast<int64_t>(units.size()));
    for (const Charge& charge : Charges(amounts)) {
      unit.charges.push_back(charge);
      tree_.Add(unit.queue, charge.cell, charge.amount);
    }
    names.push_back(absl::StrCat(queue, count_[queue]++));
    units.push_back(unit);
  }
  std::vector<Charge> Charges(const std::string& amounts) const {
    const auto [cpu, gpu] = Split(amounts, '+');
    std::vector<Charge> charges;
    const auto add = [&](const char* resource, const std::string& amount) {
      for (QuotaCell cell = 0; cell < catalog_.cells().size(); ++cell) {
        if (catalog_.cells()[cell].resource == resource && Number(amount) > 0)
          charges.push_back({cell, Number(amount)});
      }
    };
    add("cpu", cpu);
    add("gpu", gpu);
    return charges;
  }

  // Who goes for the pod.
  template <typename Pod>
  std::string Ask(const Pod& pod, const std::string& amounts) {
    VictimRule::Preemptor p;
    p.queue = pod.unit.queue;
    p.priority = pod.unit.priority;
    p.created = pod.unit.created;
    p.now = kNow;
    p.all = Charges(amounts);
    return Ask(std::move(p));
  }
  // Who goes for "[<]QUEUE=CPU[+GPU][/PRIORITY]" ("<": it is older than all): "a1:R b0:Q", by name, "fits" or "no".
  std::string Ask(const std::string& who) {
    const bool oldest = who[0] == '<';
    const auto [head, priority] = Split(who.substr(oldest), '/');
    const auto [queue, amounts] = Split(head, '=');
    VictimRule::Preemptor p;
    p.queue = index_.at(queue);
    p.priority = static_cast<int32_t>(Number(priority));
    p.created = oldest ? kNow - absl::Hours(900) : kNow;
    p.now = kNow;
    p.all = Charges(amounts);
    return Ask(std::move(p));
  }
  std::string Ask(VictimRule::Preemptor p) {
    const std::vector<Charge> charges = p.all;
    if (tree_.Lacking(p.queue, charges) == nullptr) return "fits";
    const uint64_t before = tree_.fingerprint();
    const bool may_help = rule.MayHelp(p.queue, charges, {});
    rule.Begin(std::move(p), tree_);
    std::vector<VictimRule::Unit> looked_at;
    std::vector<uint32_t> of;
    for (uint32_t u = 0; u < units.size(); ++u) {
      if (!rule.MayLose(units[u].queue)) continue;
      looked_at.push_back(units[u]);
      of.push_back(u);
    }
    victims.clear();
    std::vector<const VictimRule::Unit*> all;
    for (const VictimRule::Unit& unit : looked_at) all.push_back(&unit);
    for (const VictimRule::Plan& plan : rule.Plans(all)) {
      rule.Follow(plan);
      std::vector<uint32_t> kept, chosen, illegal;
      do {
        kept.insert(kept.end(), illegal.begin(), illegal.end());
        Order order = Candidates(looked_at, kept);
        std::vector<const VictimRule::Unit*> candidates;
        for (const uint32_t u : order) candidates.push_back(&looked_at[u]);
        chosen.clear();
        const bool found = rule.Choose(candidates, charges, std::less<uint32_t>(), chosen, illegal);
        for (uint32_t& u : illegal) u = order[u];
        if (!found) continue;
        std::vector<std::string> told;
        for (const uint32_t u : chosen) {
          victims.push_back(of[order[u]]);
          told.push_back(absl::StrCat(names[of[order[u]]], ":", Letter(rule.ReasonOf(*candidates[u]))));
        }
        std::sort(told.begin(), told.end());
        EXPECT_TRUE(may_help) << "it was said that nobody can help";
        EXPECT_EQ(tree_.fingerprint(), before);
        return absl::StrJoin(told, " ");
      } while (!illegal.empty());
    }
    return "no";
  }

  QueueIndex IndexOf(const std::string& queue) const { return index_.at(queue); }
  QuotaTree& tree() { return tree_; }
  const QueueCatalog& catalog() const { return catalog_; }

  std::vector<VictimRule::Unit> units;
  std::vector<std::string> names;  // by unit
  std::vector<uint32_t> victims;   // of the last answer
  EvictionLog evictions;
  VictimRule rule{catalog_, tree_, evictions};

 private:
  using Order = std::vector<uint32_t>;

  static std::pair<std::string, std::string> Split(const std::string& text, char at) {
    const size_t i = text.find(at);
    if (i == std::string::npos) return {text, ""};
    return {text.substr(0, i), text.substr(i + 1)};
  }
  static int64_t Number(const std::string& text) {
    int64_t number = 0;
    EXPECT_TRUE(text.empty() || absl::SimpleAtoi(text, &number)) << text;
    return number;
  }
  static const char* Letter(Reason reason) {
    switch (reason) {
      case Reason::kInQueue: return "Q";
      case Reason::kReclamation: return "R";
      case Reason::kBorrowing: return "B";
      default: return "?";
    }
  }
  // The most important first.
  Order Candidates(const std::vector<VictimRule::Unit>& looked_at, const std::vector<uint32_t>& kept) const {
    Order order;
    for (uint32_t u = 0; u < looked_at.size(); ++u) {
      if (rule.ReasonOf(looked_at[u]) != Reason::kNone && std::find(kept.begin(), kept.end(), u) == kept.end())
        order.push_back(u);
    }
    std::stable_sort(order.begin(), order.end(), [&](uint32_t x, uint32_t y) {
      const VictimRule::Unit &a = looked_at[x], &b = looked_at[y];
      const VictimRule::Rank rank_a = rule.RankOf(a.queue), rank_b = rule.RankOf(b.queue);
      if (rank_a != rank_b) return rank_a < rank_b;
      if (a.queue != b.queue) return a.queue < b.queue;
      return a.priority != b.priority ? a.priority > b.priority : a.started < b.started;
    });
    return order;
  }

  std::map<std::string, std::shared_ptr<Queue>> queues_;
  QueueCatalog catalog_;
  QuotaTree tree_;
  std::map<std::string, QueueIndex> index_;
  std::map<std::string, int> count_;
};

inline QueuePreemption Policy(std::string_view letters) {
  QueuePreemption policy;
  policy.within_queue = letters[0] == 'N'   ? Within::kNever
                        : letters[0] == 'L' ? Within::kLowerPriority
                                            : Within::kLowerOrNewerEqualPriority;
  policy.reclaim = letters[1] == 'N' ? Reclaim::kNever : letters[1] == 'L' ? Reclaim::kLowerPriority : Reclaim::kAny;
  policy.borrowing = letters[2] == 'N' ? Borrowing::kNever : Borrowing::kLowerPriority;
  return policy;
}

}  // namespace muster

#endif  // MUSTER_TEST_ENGINE_QUOTA_VICTIM_WORLD_H_
