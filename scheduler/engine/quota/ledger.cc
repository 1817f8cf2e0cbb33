#include "scheduler/engine/quota/ledger.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "queue/fair_share.h"
#include "scheduler/model/amount_text.h"

namespace muster {

Ledger::Ledger(Snapshot& snapshot, std::string default_queue, std::function<bool(const std::string&)> ours)
    : snapshot_(snapshot), default_queue_(std::move(default_queue)), ours_(std::move(ours)) {}

bool Ledger::Refresh() {
  const bool had_queues = on();
  const bool objects = std::exchange(objects_changed_, false);
  if (objects) catalog_.Build(snapshot_.objects(), default_queue_);
  snapshot_.SetObserver(on() ? this : nullptr);
  if (!on()) {
    if (objects && had_queues) {
      for (QuotaTree& tree : trees_) tree.Build({}, {});
      accounts_.clear();
      known_.clear();
      reserved_.clear();
      changed_.clear();
      ++epoch_;
    }
    return objects && had_queues;
  }
  if (objects) {
    ++epoch_;
    accounts_.clear();
    known_.clear();
    reserved_.clear();
  }
  const bool rows = std::exchange(rows_changed_, false);
  const bool flavors = (objects || static_version_ != snapshot_.static_version()) && FindFlavors();
  if (objects || rows || flavors) CountAll();
  return objects;
}

// Which rows have which flavor. True: it is not what it was.
bool Ledger::FindFlavors() {
  static_version_ = snapshot_.static_version();
  std::vector<NodeSet> rows(catalog_.cells().size());
  for (QuotaCell cell = 0; cell < rows.size(); ++cell) {
    const std::string& flavor = catalog_.cells()[cell].flavor;
    if (flavor.empty()) continue;
    rows[cell].Reset(snapshot_.size());
    const auto* object = snapshot_.objects().Get<ResourceFlavor>(Kind::kResourceFlavor, "", flavor);
    if (object == nullptr) continue;
    for (NodeIndex n = 0; n < snapshot_.size(); ++n) {
      const Labels& labels = snapshot_.node(n).labels;
      const bool has = std::all_of(object->node_labels.begin(), object->node_labels.end(), [&](const auto& label) {
        const auto it = labels.find(label.first);
        return it != labels.end() && it->second == label.second;
      });
      if (has) rows[cell].Add(n);
    }
  }
  if (rows == rows_of_) return false;
  rows_of_ = std::move(rows);
  return true;
}

void Ledger::SetNoBorrowing(std::vector<std::string> queues) {
  if (no_borrowing_ == queues) return;
  no_borrowing_ = std::move(queues);
  objects_changed_ = true;
}

void Ledger::CountAll() {
  ++version_;
  ++generation_;
  std::vector<QuotaTree::Queue> queues(catalog_.tree().begin(), catalog_.tree().end());
  for (QueueIndex q = 0; q < queues.size(); ++q) {
    if (std::find(no_borrowing_.begin(), no_borrowing_.end(), catalog_.queue(q).name) == no_borrowing_.end()) continue;
    for (Quota& quota : queues[q].quotas) quota.borrowing_limit = 0;
  }
  for (QuotaTree& tree : trees_) tree.Build(queues, catalog_.resource_of());
  going_ = 0;
  priorities_.assign(queues.size() + 1, {});
  is_changed_.assign(queues.size(), true);
  charged_as_.assign(queues.size(), 0);
  taken_as_.assign(queues.size(), UINT64_MAX);  // all are told of
  changed_.clear();
  for (QueueIndex q = 0; q < queues.size(); ++q) changed_.push_back(q);
  for (NodeIndex n = 0; n < snapshot_.size(); ++n) {
    for (const PodOnNode& pod : snapshot_.PodsOn(n)) Count(pod, n, +1);
  }
  for (const auto& [key, kept] : reserved_) {
    for (const Charge& charge : kept.charges) Add(kept.queue, charge.cell, charge.amount, ViewWithout(kept));
  }
}

const Ledger::Account& Ledger::AccountOf(const PodInfo& pod) {
  if (pod.account_epoch == epoch_) return accounts_[pod.account];
  const PodSpec& spec = *pod.spec;
  const auto label = spec.labels.find(kQueueLabel);
  const QueueCatalog::Owner owner =
      catalog_.OwnerOf(spec.ns, label == spec.labels.end() ? std::string() : label->second, snapshot_.objects(),
                       ours_(spec.scheduler_name));
  Key key{owner.queue, owner.why, {}, spec.node_selector};
  for (const Amount& amount : spec.amounts.usage) std::get<2>(key).emplace_back(amount.resource, amount.value);
  const auto [it, added] = known_.try_emplace(std::move(key), static_cast<uint32_t>(accounts_.size()));
  pod.account_epoch = epoch_;
  pod.account = it->second;
  if (!added) return accounts_[it->second];
  Account& account = accounts_.emplace_back();
  account.queue = owner.queue;
  account.why = owner.why;
  if (owner.queue == kNoQueue) return account;
  const auto take = [&](std::string_view resource, int64_t amount) {
    const std::span<const QuotaCell> cells = catalog_.CellsOf(owner.queue, resource);
    if (cells.empty() || amount <= 0) return;
    if (cells.size() == 1 && IsEverywhere(cells[0])) {
      account.fixed.push_back({cells[0], amount});
    } else {
      account.any.push_back({amount, 1, {cells.begin(), cells.end()}});
      AnyCharge& asked = account.asked.emplace_back(AnyCharge{amount, 1, {}});
      std::copy_if(cells.begin(), cells.end(), std::back_inserter(asked.cells),
                   [&](QuotaCell cell) { return MayHave(spec, cell); });
    }
  };
  for (const Amount& amount : spec.amounts.usage) take(amount.resource, amount.value);
  take("pods", 1);
  std::sort(account.fixed.begin(), account.fixed.end());
  return account;
}

bool Ledger::MayHave(const PodSpec& pod, QuotaCell cell) const {
  const std::string& flavor = catalog_.cells()[cell].flavor;
  const auto* object = snapshot_.objects().Get<ResourceFlavor>(Kind::kResourceFlavor, "", flavor);
  return object == nullptr ||
         std::all_of(object->node_labels.begin(), object->node_labels.end(), [&](const auto& label) {
           const auto it = pod.node_selector.find(label.first);
           return it == pod.node_selector.end() || it->second == label.second;
         });
}

QuotaCell Ledger::CellOn(const AnyCharge& any, NodeIndex row) const {
  for (const QuotaCell cell : any.cells) {
    if (IsEverywhere(cell) || rows_of_[cell].Has(row)) return cell;
  }
  return kNoCell;
}

void Ledger::ChargesOn(const PodInfo& pod, NodeIndex row, std::vector<Charge>& charges) {
  const Account& account = AccountOf(pod);
  charges = account.fixed;
  for (const AnyCharge& any : account.any) {
    if (const QuotaCell cell = CellOn(any, row); cell != kNoCell) charges.push_back({cell, any.each});
  }
}

void Ledger::AddToTrees(QueueIndex queue, QuotaCell cell, int64_t amount, View but) {
  for (const View view : {View::kAll, View::kWithoutPromises, View::kWithoutGoing}) {
    if (view == View::kAll || view != but) trees_[static_cast<size_t>(view)].Add(queue, cell, amount);
  }
}

void Ledger::Add(QueueIndex queue, QuotaCell cell, int64_t amount, View but) {
  AddToTrees(queue, cell, amount, but);
  charged_as_[queue] += Mix(cell) * static_cast<uint64_t>(amount);
  ++version_;
  if (is_changed_[queue]) return;
  is_changed_[queue] = true;
  changed_.push_back(queue);
}

void Ledger::Count(const PodOnNode& on, NodeIndex row, int sign) {
  // Until Refresh the rows may not be those that are known here: it will count all.
  if (objects_changed_ || rows_changed_) return;
  const Account& account = AccountOf(*on.info);
  auto& counts = priorities_[account.queue == kNoQueue ? priorities_.size() - 1 : account.queue];
  const bool in_group = on.pod->group.source == GroupRef::Source::kNative;
  const auto count = counts.try_emplace(in_group ? INT32_MIN : on.info->spec->priority, 0).first;
  if ((count->second += sign) == 0) counts.erase(count);
  if (account.queue == kNoQueue) return;
  const View but = on.pod->going() ? View::kWithoutGoing : View::kAll;
  if (on.pod->going()) going_ += sign;
  for (const Charge& charge : account.fixed) Add(account.queue, charge.cell, sign * charge.amount, but);
  for (const AnyCharge& any : account.any) {
    if (const QuotaCell cell = CellOn(any, row); cell != kNoCell) Add(account.queue, cell, sign * any.each, but);
  }
}

void Ledger::Reserve(const std::string& key, QueueIndex queue, std::vector<Charge> charges, bool promised) {
  Release(key);
  const Kept& kept = reserved_[key] = {queue, std::move(charges), promised};
  for (const Charge& charge : kept.charges) Add(queue, charge.cell, charge.amount, ViewWithout(kept));
}

void Ledger::Release(const std::string& key) {
  const auto it = reserved_.find(key);
  if (it == reserved_.end()) return;
  const Kept& kept = it->second;
  for (const Charge& charge : kept.charges) Add(kept.queue, charge.cell, -charge.amount, ViewWithout(kept));
  reserved_.erase(it);
}

bool Ledger::WaitsForGoing(const std::string& key, const PodInfo& pod) {
  const auto it = reserved_.find(key);
  if (it == reserved_.end()) return false;
  const Kept& kept = it->second;
  const auto add = [&](int sign) {
    for (const Charge& charge : kept.charges)
      AddToTrees(kept.queue, charge.cell, sign * charge.amount, ViewWithout(kept));
  };
  const PodInfo* const pods[] = {&pod};
  Demand(pods, 1, all_, any_);
  add(-1);
  const bool waits = !Fits(tree(View::kWithoutPromises), kept.queue, all_, any_) &&
                     Fits(tree(View::kWithoutGoing), kept.queue, all_, any_);
  add(+1);
  return waits;
}

void Ledger::Demand(std::span<const PodInfo* const> pods, size_t count, std::vector<Charge>& all,
                    std::vector<AnyCharge>& any) {
  all.clear();
  any.clear();
  // In each cell the `count` least of what the pods ask for; pods that ask for nothing there ask for 0.
  const auto least = [&](auto&& amount_of) {
    amounts_.clear();
    for (const PodInfo* pod : pods) amounts_.push_back(amount_of(AccountOf(*pod)));
    if (count < amounts_.size())
      std::nth_element(amounts_.begin(), amounts_.begin() + static_cast<ptrdiff_t>(count), amounts_.end());
    absl::int128 sum = 0;
    for (size_t i = 0; i < std::min(count, amounts_.size()); ++i) sum += amounts_[i];
    return static_cast<int64_t>(std::min<absl::int128>(sum, kUnlimited));
  };
  const PodInfo* asked = nullptr;
  for (const PodInfo* pod : pods) {
    if (std::exchange(asked, pod) == pod) continue;
    for (const Charge& charge : AccountOf(*pod).fixed) {
      if (std::any_of(all.begin(), all.end(), [&](const Charge& c) { return c.cell == charge.cell; })) continue;
      const int64_t amount = least([&](const Account& account) {
        const auto it = std::find_if(account.fixed.begin(), account.fixed.end(),
                                     [&](const Charge& c) { return c.cell == charge.cell; });
        return it == account.fixed.end() ? int64_t{0} : it->amount;
      });
      if (amount > 0) all.push_back({charge.cell, amount});
    }
    for (const AnyCharge& charge : AccountOf(*pod).asked) {
      if (std::any_of(any.begin(), any.end(), [&](const AnyCharge& c) { return c.cells == charge.cells; })) continue;
      // So many ask for as much or more; of the least of these amounts.
      size_t without = 0;
      int64_t each = kUnlimited;
      for (const PodInfo* other : pods) {
        const auto& anys = AccountOf(*other).asked;
        const auto it =
            std::find_if(anys.begin(), anys.end(), [&](const AnyCharge& c) { return c.cells == charge.cells; });
        without += it == anys.end();
        if (it != anys.end()) each = std::min(each, it->each);
      }
      if (count <= without) continue;
      any.push_back({each, static_cast<int64_t>(count - without), charge.cells});
    }
  }
  // With one cell to choose from there is no choice.
  std::erase_if(any, [&](const AnyCharge& charge) {
    if (charge.cells.size() != 1) return false;
    all.push_back({charge.cells[0],
                   static_cast<int64_t>(std::min<absl::int128>(absl::int128(charge.each) * charge.pods, kUnlimited))});
    return true;
  });
  std::sort(all.begin(), all.end());
  std::sort(any.begin(), any.end());
}

const NodeSet* Ledger::RoomFor(const PodInfo& pod) {
  if (!on()) return nullptr;
  const Account& account = AccountOf(pod);
  if (account.queue == kNoQueue) return nullptr;
  if (tree().Lacking(account.queue, account.fixed) != nullptr) {
    room_.Reset(snapshot_.size());
    return &room_;
  }
  if (account.any.empty()) return nullptr;
  room_ = snapshot_.all();
  for (const AnyCharge& any : account.any) {
    some_.Reset(snapshot_.size());
    taken_.Reset(snapshot_.size());  // rows that a cell before has
    for (const QuotaCell cell : any.cells) {
      const bool has_room = tree().Available(account.queue, cell) >= any.each;
      const NodeSet& rows = IsEverywhere(cell) ? snapshot_.all() : rows_of_[cell];
      for (size_t w = 0; w < some_.words(); ++w) {
        if (has_room) some_.word(w) |= rows.word(w) & ~taken_.word(w);
        taken_.word(w) |= rows.word(w);
      }
    }
    for (size_t w = 0; w < room_.words(); ++w) room_.word(w) &= some_.word(w);
  }
  return &room_;
}

std::string Ledger::WhyNoRoom(const PodInfo& pod) {
  const Account& account = AccountOf(pod);
  return WhyNoRoom(account.queue, account.fixed, account.asked);
}

std::string Ledger::WhyNoRoom(QueueIndex queue, std::span<const Charge> all, std::span<const AnyCharge> any) const {
  const auto text = [&](QuotaCell cell, int64_t wants) {
    const auto& [resource, flavor] = catalog_.cells()[cell];
    const int64_t available = std::max<int64_t>(0, tree().Available(queue, cell));
    return absl::StrCat(resource, flavor.empty() ? "" : absl::StrCat(" (", flavor, ")"), " asks for ",
                        AmountText(resource, wants), ", available ", AmountText(resource, available), ", used ",
                        AmountText(resource, tree().Usage(queue, cell)), " of ",
                        AmountText(resource, tree().SubtreeQuota(queue, cell)));
  };
  std::vector<std::string> lacks;
  if (const Charge* lacking = tree().Lacking(queue, all)) lacks.push_back(text(lacking->cell, lacking->amount));
  for (const AnyCharge& charge : any) {
    int64_t pods = 0;
    for (const QuotaCell cell : charge.cells) pods += std::max<int64_t>(0, tree().Available(queue, cell)) / charge.each;
    if (pods >= charge.pods) continue;
    for (const QuotaCell cell : charge.cells) lacks.push_back(text(cell, charge.each));
  }
  if (lacks.empty()) return "";
  return absl::StrCat("queue \"", catalog_.queue(queue).name, "\" has no room: ", absl::StrJoin(lacks, "; "));
}

}  // namespace muster
